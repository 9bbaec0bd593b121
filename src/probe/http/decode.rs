//! Content codings, decoded as the body arrives, with a bound on what comes out.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use http::header::{self, HeaderMap};

/// Where decoded bytes go: the first ones are kept, all are counted.
#[derive(Debug)]
pub(crate) struct Keep {
    pub kept: Vec<u8>,
    limit: usize,
    total: u64,
    bound: u64,
}

impl Keep {
    /// Keeps at most `limit` bytes, and takes at most `bound` in all.
    pub fn new(limit: usize, bound: u64) -> Keep {
        Keep {
            kept: Vec::new(),
            limit,
            total: 0,
            bound,
        }
    }

    fn is_over(&self) -> bool {
        self.total > self.bound
    }
}

impl Write for Keep {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.total += data.len() as u64;
        if self.is_over() {
            return Err(io::Error::other("more than is looked at"));
        }
        let take = data.len().min(self.limit.saturating_sub(self.kept.len()));
        self.kept.extend_from_slice(&data[..take]);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Undoes the content codings of a response, outermost first.
pub(crate) enum Decoder {
    Identity(Keep),
    Gzip(Box<MultiGzDecoder<Keep>>),
    Deflate(Box<Deflate>),
    Brotli(Box<DecompressorWriter<Keep>>),
    /// A coding that was not asked for; its name.
    Unknown(Box<str>),
    /// The bound was reached: the rest is not looked at.
    Full(Vec<u8>),
}

impl Decoder {
    /// The decoder that the headers ask for.
    pub fn new(headers: &HeaderMap, keep: Keep) -> Decoder {
        let mut codings = headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|coding| coding.trim().to_ascii_lowercase())
            .filter(|coding| !coding.is_empty() && coding != "identity");
        let coding = codings.next();
        if codings.next().is_some() {
            // Codings over codings are allowed and never seen; they are not asked for.
            return Decoder::Unknown("several codings".into());
        }
        match coding.as_deref() {
            None => Decoder::Identity(keep),
            Some("gzip" | "x-gzip") => Decoder::Gzip(Box::new(MultiGzDecoder::new(keep))),
            Some("deflate") => Decoder::Deflate(Box::new(Deflate::new(keep))),
            Some("br") => Decoder::Brotli(Box::new(DecompressorWriter::new(keep, 4096))),
            Some(other) => Decoder::Unknown(crate::net::sanitize::foreign_text(other.as_bytes(), 32)),
        }
    }

    /// Takes the next bytes of the body.
    pub fn write(&mut self, data: &[u8]) -> io::Result<()> {
        let (result, over) = match self {
            Decoder::Identity(keep) => (keep.write_all(data), keep.is_over()),
            Decoder::Gzip(decoder) => (decoder.write_all(data), decoder.get_ref().is_over()),
            Decoder::Deflate(decoder) => (decoder.write(data), decoder.keep.is_over()),
            Decoder::Brotli(decoder) => (decoder.write_all(data), decoder.get_ref().is_over()),
            Decoder::Unknown(_) | Decoder::Full(_) => return Ok(()),
        };
        if over {
            let kept = std::mem::take(self.kept_mut());
            *self = Decoder::Full(kept);
            return Ok(());
        }
        result
    }

    /// Ends the body. An error means that the coding did not come to its end.
    pub fn finish(&mut self) -> io::Result<()> {
        match self {
            Decoder::Gzip(decoder) => decoder.try_finish(),
            Decoder::Deflate(decoder) => decoder.finish(),
            Decoder::Brotli(decoder) => decoder.close(),
            Decoder::Identity(_) | Decoder::Unknown(_) | Decoder::Full(_) => Ok(()),
        }
    }

    /// What was kept of the decoded body.
    pub fn into_kept(mut self) -> Vec<u8> {
        std::mem::take(self.kept_mut())
    }

    fn kept_mut(&mut self) -> &mut Vec<u8> {
        match self {
            Decoder::Identity(keep) => &mut keep.kept,
            Decoder::Gzip(decoder) => &mut decoder.get_mut().kept,
            Decoder::Deflate(decoder) => &mut decoder.keep.kept,
            Decoder::Brotli(decoder) => &mut decoder.get_mut().kept,
            Decoder::Unknown(_) => {
                // Nothing was decoded, and nothing is shown.
                *self = Decoder::Full(Vec::new());
                self.kept_mut()
            }
            Decoder::Full(kept) => kept,
        }
    }
}

/// `deflate` is the zlib format (RFC 9110, section 8.4.1.2), but some servers send the raw one.
pub(crate) struct Deflate {
    inner: Option<Decompress>,
    ended: bool,
    keep: Keep,
}

impl Deflate {
    fn new(keep: Keep) -> Deflate {
        Deflate {
            inner: None,
            ended: false,
            keep,
        }
    }

    fn write(&mut self, mut data: &[u8]) -> io::Result<()> {
        let Some(first) = data.first() else {
            return Ok(());
        };
        // The low half of zlib's first byte is 8 (RFC 1950); of a raw stream that would be a stored block.
        let inner = self
            .inner
            .get_or_insert_with(|| Decompress::new(first & 0x0f == 8));
        let mut out = [0; 4096];
        while !self.ended {
            let (taken, made) = (inner.total_in(), inner.total_out());
            let status = inner
                .decompress(data, &mut out, FlushDecompress::None)
                .map_err(|err| io::Error::new(io::ErrorKind::InvalidData, err))?;
            let taken = (inner.total_in() - taken) as usize;
            let made = (inner.total_out() - made) as usize;
            data = &data[taken..];
            self.keep.write_all(&out[..made])?;
            self.ended = status == Status::StreamEnd;
            if taken == 0 && made == 0 || data.is_empty() && made < out.len() {
                break;
            }
        }
        Ok(())
    }

    fn finish(&self) -> io::Result<()> {
        if self.ended {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn coded(coding: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        headers
    }

    fn decode(coding: &'static str, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut decoder = Decoder::new(&coded(coding), Keep::new(1 << 20, 1 << 20));
        for piece in body.chunks(7) {
            decoder.write(piece)?;
        }
        decoder.finish()?;
        Ok(decoder.into_kept())
    }

    fn samples(text: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        let level = flate2::Compression::default();
        let mut gzip = flate2::write::GzEncoder::new(vec![], level);
        gzip.write_all(text).unwrap();
        let mut zlib = flate2::write::ZlibEncoder::new(vec![], level);
        zlib.write_all(text).unwrap();
        let mut raw = flate2::write::DeflateEncoder::new(vec![], level);
        raw.write_all(text).unwrap();
        vec![
            ("gzip", gzip.finish().unwrap()),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", raw.finish().unwrap()),
        ]
    }

    /// `echo -n 'hello hello hello' | brotli`, as an uncompressed meta-block (RFC 7932, section 9.2).
    const BROTLI: &[u8] = b"\x0f\x08\x80hello hello hello\x03";

    #[test]
    fn whole_bodies_decode() {
        let text = b"hello hello hello";
        for (coding, body) in samples(text) {
            assert_eq!(decode(coding, &body).unwrap(), text, "{coding}");
        }
        assert_eq!(decode("br", BROTLI).unwrap(), text);
        assert_eq!(decode("identity", text).unwrap(), text);
    }

    #[test]
    fn cut_and_broken_bodies_do_not() {
        let text: Vec<u8> = (0..4000_u32).flat_map(|n| n.to_le_bytes()).collect();
        for (coding, body) in samples(&text) {
            assert!(
                decode(coding, &body[..body.len() - 5]).is_err(),
                "{coding} cut by 5"
            );
            assert!(
                decode(coding, &body[..body.len() / 2]).is_err(),
                "{coding} cut in half"
            );
        }
        assert!(decode("br", &BROTLI[..10]).is_err());
        for coding in ["gzip", "deflate", "br"] {
            assert!(decode(coding, b"this is plain text").is_err(), "{coding}");
        }
    }

    #[test]
    fn a_bomb_is_left_alone() {
        let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
        gzip.write_all(&vec![0; 4 << 20]).unwrap();
        let bomb = gzip.finish().unwrap();
        let mut decoder = Decoder::new(&coded("gzip"), Keep::new(16, 1 << 16));
        decoder.write(&bomb).unwrap();
        decoder.finish().unwrap();
        assert_eq!(decoder.into_kept().len(), 16);
    }
}
