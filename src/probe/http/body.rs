//! Reading a body: bounded, gap by gap, decoded as it comes.

use std::io;
use std::time::Duration;

use http::StatusCode;
use http::header::{self, HeaderMap};
use hyper::body::Body as _;

use crate::model::attempt::{HttpTrouble, Trouble};
use crate::net::sanitize::foreign_text;
use crate::probe::run::{Run, chain};

use super::decode::{Decoder, Keep};
use super::facts::{content_length, has_token};
use super::link::{BodyStream, Link};
use super::trouble::{Framing, goaway, is_cut_off, short_body};

/// What is wanted of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Bytes on the wire after which reading stops.
    pub max: u64,
    /// Decoded bytes to keep.
    pub keep: usize,
    /// Longest gap between two reads.
    pub gap: Duration,
    /// For the whole of it, where it is read as a courtesy only: whoever drips must not use up the attempt.
    pub within: Option<Duration>,
    /// Whether the decoded text matters: then a coding that nobody asked for is a trouble.
    pub looked_at: bool,
}

/// A body that was read as far as wanted.
pub(crate) struct Body {
    pub kept: Vec<u8>,
    /// Bytes before decoding.
    pub bytes: u64,
    /// Whether it was read to its end.
    pub complete: bool,
}

/// A body that could not be read.
pub(crate) struct BodyFailure {
    pub trouble: Trouble,
    pub chain: Vec<Box<str>>,
    pub kept: Vec<u8>,
    pub bytes: u64,
}

/// Decoded bytes may be so many times those that may be read; beyond that it is a bomb and is left alone.
const EXPANSION: u64 = 16;
const LEAST_BOUND: u64 = 4 << 20;

/// How the body of this response ends.
pub(crate) fn framing(headers: &HeaderMap) -> Framing {
    if has_token(headers, header::TRANSFER_ENCODING, "chunked") {
        return Framing::Chunked;
    }
    content_length(headers).map_or(Framing::Open, Framing::Length)
}

/// Whether a response has no body by its nature (RFC 9110, section 6.4.1).
pub(crate) fn is_bodiless(method: &http::Method, status: StatusCode) -> bool {
    *method == http::Method::HEAD || matches!(status.as_u16(), 204 | 304)
}

/// Reads the body of a response.
pub(crate) async fn read(
    run: &Run<'_>,
    link: &mut Link,
    stream: &mut BodyStream,
    headers: &HeaderMap,
    wanted: Wanted,
) -> Result<Body, BodyFailure> {
    let framing = framing(headers);
    let bound = wanted.max.saturating_mul(EXPANSION).max(LEAST_BOUND);
    let mut reader = Reader {
        decoder: Decoder::new(headers, Keep::new(wanted.keep, bound)),
        bytes: 0,
    };
    if let (Decoder::Unknown(coding), true) = (&reader.decoder, wanted.looked_at) {
        let trouble = HttpTrouble::Decoding(format!("{coding}: not asked for").into());
        return Err(reader.fail(Trouble::Http(trouble), Vec::new()));
    }
    let whole = wanted.within.map(|within| run.deadline(within));
    loop {
        if is_end(stream) {
            break;
        }
        let gap = run.deadline(wanted.gap);
        let deadline = whole.map_or(gap, |whole| gap.min(whole));
        let piece = match deadline.bound(link.next(stream)).await {
            Err(budget) => return Err(reader.fail(Trouble::TimedOut(budget), Vec::new())),
            Ok(piece) => piece,
        };
        match piece {
            None => break,
            Some(Ok(data)) => {
                if let Err(err) = reader.take(&data) {
                    return Err(reader.undecodable(&err));
                }
                if reader.bytes >= wanted.max && !is_end(stream) {
                    return Ok(reader.done(false));
                }
            }
            Some(Err(err)) => {
                let traffic = link.wire.traffic();
                if is_cut_off(&err)
                    && let Some(reason) = link.goaway().await
                {
                    return Err(reader.fail(goaway(reason), chain(err.as_dyn())));
                }
                match short_body(&err, &traffic, framing, reader.bytes) {
                    Some(trouble) => return Err(reader.fail(trouble, chain(err.as_dyn()))),
                    None => break,
                }
            }
        }
    }
    // A stream of HTTP/2 may be reset without an error in the middle of its body, which looks like its end.
    if let Framing::Length(expected) = framing
        && reader.bytes < expected
        && link.is_h2()
    {
        let got = reader.bytes;
        let trouble = HttpTrouble::ShortBody { expected, got };
        return Err(reader.fail(Trouble::Http(trouble), Vec::new()));
    }
    if reader.bytes > 0
        && let Err(err) = reader.decoder.finish()
    {
        return Err(reader.undecodable(&err));
    }
    Ok(reader.done(true))
}

fn is_end(stream: &BodyStream) -> bool {
    match stream {
        BodyStream::H1(incoming) => incoming.is_end_stream(),
        BodyStream::H2(stream) => stream.is_end_stream(),
    }
}

struct Reader {
    decoder: Decoder,
    bytes: u64,
}

impl Reader {
    fn take(&mut self, data: &[u8]) -> io::Result<()> {
        self.bytes += data.len() as u64;
        self.decoder.write(data)
    }

    fn done(self, complete: bool) -> Body {
        Body {
            bytes: self.bytes,
            kept: self.decoder.into_kept(),
            complete,
        }
    }

    fn fail(self, trouble: Trouble, chain: Vec<Box<str>>) -> BodyFailure {
        BodyFailure {
            trouble,
            chain,
            bytes: self.bytes,
            kept: self.decoder.into_kept(),
        }
    }

    fn undecodable(self, err: &io::Error) -> BodyFailure {
        let text = foreign_text(err.to_string().as_bytes(), 200);
        self.fail(Trouble::Http(HttpTrouble::Decoding(text)), chain(err))
    }
}
