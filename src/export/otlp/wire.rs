//! The little of protobuf that OTLP needs: a writer that appends to one buffer, and a reader of small answers.
//!
//! Encoding: <https://protobuf.dev/programming-guides/encoding/>.

/// Appends fields to a buffer. Nested messages are opened and closed; their length is put in when it is known.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

/// An open message: where its content begins.
#[derive(Clone, Copy, Debug)]
#[must_use = "an open message must be closed"]
pub struct Open(usize);

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

impl Writer {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Appends fields that were encoded before.
    pub fn raw(&mut self, encoded: &[u8]) {
        self.0.extend_from_slice(encoded);
    }

    pub fn uint(&mut self, field: u32, value: u64) {
        self.tag(field, VARINT);
        self.varint(value);
    }

    pub fn fixed64(&mut self, field: u32, value: u64) {
        self.tag(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub fn double(&mut self, field: u32, value: f64) {
        self.fixed64(field, value.to_bits());
    }

    pub fn string(&mut self, field: u32, value: &str) {
        self.tag(field, DELIMITED);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value.as_bytes());
    }

    /// A packed repeated field of eight-byte values.
    pub fn packed64(&mut self, field: u32, values: impl ExactSizeIterator<Item = u64>) {
        self.tag(field, DELIMITED);
        self.varint(8 * values.len() as u64);
        for value in values {
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Begins a nested message.
    pub fn open(&mut self, field: u32) -> Open {
        self.tag(field, DELIMITED);
        // Room for the length of a short message; `close` makes more where it is needed.
        self.0.push(0);
        Open(self.0.len())
    }

    pub fn close(&mut self, open: Open) {
        let length = self.0.len() - open.0;
        let mut encoded = [0; 10];
        let size = put_varint(length as u64, &mut encoded);
        let end = self.0.len();
        self.0.resize(end + size - 1, 0);
        self.0.copy_within(open.0..end, open.0 + size - 1);
        self.0[open.0 - 1..open.0 - 1 + size].copy_from_slice(&encoded[..size]);
    }

    fn tag(&mut self, field: u32, kind: u64) {
        self.varint(u64::from(field) << 3 | kind);
    }

    fn varint(&mut self, value: u64) {
        let mut encoded = [0; 10];
        let size = put_varint(value, &mut encoded);
        self.0.extend_from_slice(&encoded[..size]);
    }
}

fn put_varint(mut value: u64, out: &mut [u8; 10]) -> usize {
    let mut size = 0;
    while value >= 0x80 {
        // Seven bits remain after the mask.
        out[size] = (value & 0x7f) as u8 | 0x80;
        value >>= 7;
        size += 1;
    }
    out[size] = value as u8;
    size + 1
}

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in their order; ends at the first thing that is not protobuf.
pub fn fields(message: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    let mut rest = message;
    std::iter::from_fn(move || {
        let tag = take_varint(&mut rest)?;
        let value = match tag & 7 {
            VARINT => Field::Number(take_varint(&mut rest)?),
            FIXED64 => Field::Number(u64::from_le_bytes(take(&mut rest, 8)?.try_into().ok()?)),
            DELIMITED => {
                let length = usize::try_from(take_varint(&mut rest)?).ok()?;
                Field::Bytes(take(&mut rest, length)?)
            }
            FIXED32 => Field::Number(u32::from_le_bytes(take(&mut rest, 4)?.try_into().ok()?).into()),
            _ => return None,
        };
        Some((tag >> 3, value))
    })
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_messages_of_every_size_read_back() {
        for size in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let mut writer = Writer::default();
            writer.uint(1, 300);
            let outer = writer.open(2);
            let inner = writer.open(16);
            writer.string(3, &"x".repeat(size));
            writer.close(inner);
            writer.double(4, 0.5);
            writer.close(outer);
            writer.fixed64(5, 7);
            let bytes = writer.into_bytes();
            let top: Vec<_> = fields(&bytes).collect();
            assert_eq!((top[0], top[2]), ((1, Field::Number(300)), (5, Field::Number(7))));
            let (2, Field::Bytes(outer)) = top[1] else {
                panic!("{:?}", top[1].0)
            };
            let inside: Vec<_> = fields(outer).collect();
            assert_eq!(inside[1], (4, Field::Number(0.5_f64.to_bits())));
            let (16, Field::Bytes(inner)) = inside[0] else {
                panic!("{:?}", inside[0].0)
            };
            let (3, Field::Bytes(text)) = fields(inner).next().expect("a field") else {
                panic!("not the text")
            };
            assert_eq!(text.len(), size);
        }
    }

    #[test]
    fn rubbish_ends_the_fields() {
        assert_eq!(fields(&[0xff; 20]).count(), 0);
        assert_eq!(
            fields(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x").count(),
            0
        );
        assert_eq!(fields(b"\x08\x01\x0a\x05ab").count(), 1);
    }
}
