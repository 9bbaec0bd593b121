//! WebSocket frames as a client writes and reads them (RFC 6455, section 5).

use bytes::{Buf, BytesMut};

/// Longest frame and longest message taken, in bytes.
pub(super) const MAX_MESSAGE: usize = 1 << 20;
/// Control frames are short (section 5.5).
const MAX_CONTROL: usize = 125;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const ALL: [(Opcode, u8); 6] = [
        (Opcode::Continuation, 0x0),
        (Opcode::Text, 0x1),
        (Opcode::Binary, 0x2),
        (Opcode::Close, 0x8),
        (Opcode::Ping, 0x9),
        (Opcode::Pong, 0xa),
    ];

    fn number(self) -> u8 {
        Self::ALL
            .iter()
            .find_map(|(opcode, number)| (*opcode == self).then_some(*number))
            .unwrap_or(0)
    }

    fn of(number: u8) -> Option<Opcode> {
        Self::ALL
            .iter()
            .find_map(|(opcode, known)| (*known == number).then_some(*opcode))
    }

    fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub opcode: Opcode,
    /// Whether it ends its message.
    pub last: bool,
    pub payload: Vec<u8>,
}

/// One whole frame, masked as a client's must be (section 5.3).
pub(super) fn encode(opcode: Opcode, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    const MASKED: u8 = 0x80;
    let mut frame = vec![0x80 | opcode.number()];
    match payload.len() {
        // Each arm's length fits its field.
        length @ 0..=125 => frame.push(MASKED | length as u8),
        length @ 126..=0xffff => {
            frame.push(MASKED | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(MASKED | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// Takes the next frame off the buffer: `Ok(None)` when it is not all there yet, the error is how the peer broke the
/// protocol.
pub(super) fn decode(buffer: &mut BytesMut) -> Result<Option<Frame>, &'static str> {
    let [first, second, ..] = buffer[..] else {
        return Ok(None);
    };
    if first & 0x70 != 0 {
        return Err("a reserved bit is set, and no extension was agreed upon");
    }
    let opcode = Opcode::of(first & 0x0f).ok_or("an opcode that is not defined")?;
    let last = first & 0x80 != 0;
    if second & 0x80 != 0 {
        return Err("a frame of the server is masked");
    }
    let (length, head) = match usize::from(second & 0x7f) {
        126 => match buffer.get(2..4) {
            Some(bytes) => (usize::from(u16::from_be_bytes([bytes[0], bytes[1]])), 4),
            None => return Ok(None),
        },
        127 => match buffer
            .get(2..10)
            .and_then(|bytes| <[u8; 8]>::try_from(bytes).ok())
        {
            Some(bytes) => (
                usize::try_from(u64::from_be_bytes(bytes)).unwrap_or(usize::MAX),
                10,
            ),
            None => return Ok(None),
        },
        length => (length, 2),
    };
    if opcode.is_control() && (length > MAX_CONTROL || !last) {
        return Err("a control frame is too long or in pieces");
    }
    if length > MAX_MESSAGE {
        return Err("a frame is larger than 1 MiB");
    }
    if buffer.len() < head + length {
        return Ok(None);
    }
    buffer.advance(head);
    let payload = buffer.split_to(length).to_vec();
    Ok(Some(Frame {
        opcode,
        last,
        payload,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_are_written() {
        let mask = [1, 2, 3, 4];
        assert_eq!(
            encode(Opcode::Text, b"ab", mask),
            [0x81, 0x82, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2]
        );
        assert_eq!(encode(Opcode::Binary, &[0; 300], mask)[..4], [0x82, 0xfe, 1, 44]);
        assert_eq!(
            encode(Opcode::Ping, &[0; 70_000], mask)[..10],
            [0x89, 0xff, 0, 0, 0, 0, 0, 1, 0x11, 0x70]
        );
    }

    #[test]
    fn frames_are_read_when_they_are_whole() {
        let mut buffer = BytesMut::from(&[0x81, 2, b'h'][..]);
        assert_eq!(decode(&mut buffer), Ok(None));
        buffer.extend_from_slice(b"i\x89\x00");
        let frame = decode(&mut buffer).unwrap().unwrap();
        assert_eq!(
            (frame.opcode, frame.last, &frame.payload[..]),
            (Opcode::Text, true, &b"hi"[..])
        );
        assert_eq!(decode(&mut buffer).unwrap().unwrap().opcode, Opcode::Ping);
        assert!(buffer.is_empty());
        let mut long = BytesMut::from(&[0x82, 126, 1, 0][..]);
        long.extend_from_slice(&[7; 256]);
        assert_eq!(decode(&mut long).unwrap().unwrap().payload.len(), 256);
    }

    #[test]
    fn what_the_protocol_forbids_is_said() {
        for wrong in [
            &[0xc1, 0][..],
            &[0x83, 0],
            &[0x81, 0x80],
            &[0x09, 0],
            &[0x88, 126, 0, 200],
            &[0x82, 127, 0, 0, 0, 0, 0x40, 0, 0, 0],
        ] {
            assert!(decode(&mut BytesMut::from(wrong)).is_err(), "{wrong:?}");
        }
    }

    proptest::proptest! {
        /// Whatever a peer sends, a frame is taken whole, or not at all, or refused; and what we write can be read.
        #[test]
        fn any_bytes_are_taken_whole_or_refused(bytes in proptest::collection::vec(0_u8.., 0..300)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(frame)) = decode(&mut buffer) {
                assert!(frame.payload.len() <= bytes.len());
            }
            let written = encode(Opcode::Binary, &bytes, [0; 4]);
            let mut unmasked = BytesMut::from(&written[..]);
            unmasked[1] &= 0x7f;
            let head = if bytes.len() < 126 { 2 } else { 4 };
            let mut unmasked: Vec<u8> = unmasked.to_vec();
            unmasked.drain(head..head + 4);
            let frame = decode(&mut BytesMut::from(&unmasked[..])).unwrap().unwrap();
            assert_eq!(frame.payload, bytes);
        }
    }
}
