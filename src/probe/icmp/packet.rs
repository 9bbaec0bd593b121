//! ICMP echo messages (RFC 792; RFC 4443, section 4).

/// What is sent along, so that an answer that is not ours is told from ours.
pub(super) const PAYLOAD: usize = 24;
const HEADER: usize = 8;

/// Which family a message belongs to: the numbers of its types differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    const fn request(self) -> u8 {
        match self {
            Family::V4 => 8,
            Family::V6 => 128,
        }
    }

    const fn reply(self) -> u8 {
        match self {
            Family::V4 => 0,
            Family::V6 => 129,
        }
    }
}

/// One echo request, and how its answer is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Echo {
    pub family: Family,
    /// The kernel sets its own on a datagram socket; there it is not compared.
    pub identifier: Option<u16>,
    pub sequence: u16,
    pub payload: [u8; PAYLOAD],
}

impl Echo {
    pub fn request(&self) -> Vec<u8> {
        let mut message = Vec::with_capacity(HEADER + PAYLOAD);
        message.extend_from_slice(&[self.family.request(), 0, 0, 0]);
        message.extend_from_slice(&self.identifier.unwrap_or_default().to_be_bytes());
        message.extend_from_slice(&self.sequence.to_be_bytes());
        message.extend_from_slice(&self.payload);
        if self.family == Family::V4 {
            // Of an ICMPv6 message the kernel makes the checksum, which covers a pseudo-header.
            let sum = checksum(&message);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        message
    }

    /// Whether the message answers this request, or an earlier one of the same socket, which is as good a sign of life.
    pub fn is_answered_by(&self, message: &[u8]) -> bool {
        let (Some(head), Some(payload)) = (message.get(..HEADER), message.get(HEADER..HEADER + PAYLOAD))
        else {
            return false;
        };
        let identifier = u16::from_be_bytes([head[4], head[5]]);
        let sequence = u16::from_be_bytes([head[6], head[7]]);
        head[0] == self.family.reply()
            && head[1] == 0
            && self.identifier.is_none_or(|own| own == identifier)
            && sequence <= self.sequence
            && payload == self.payload
    }
}

/// The ICMP message in what a raw IPv4 socket receives: the IP header is in front of it (RFC 791, section 3.1).
pub(super) fn behind_ip_header(packet: &[u8]) -> &[u8] {
    match packet.first() {
        Some(first) if first >> 4 == 4 => packet.get(usize::from(first & 0x0f) * 4..).unwrap_or_default(),
        _ => packet,
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(message: &[u8]) -> u16 {
    let mut sum: u32 = message
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(family: Family) -> Echo {
        Echo {
            family,
            identifier: Some(0x1234),
            sequence: 2,
            payload: *b"twenty-four bytes of it.",
        }
    }

    #[test]
    fn a_request_sums_up_to_nothing() {
        let request = echo(Family::V4).request();
        assert_eq!(request.len(), 32);
        assert_eq!(checksum(&request), 0);
        assert_eq!(request[..2], [8, 0]);
        assert_eq!(echo(Family::V6).request()[..4], [128, 0, 0, 0]);
    }

    #[test]
    fn only_our_own_answer_counts() {
        for family in [Family::V4, Family::V6] {
            let echo = echo(family);
            let mut reply = echo.request();
            assert!(
                !echo.is_answered_by(&reply),
                "the request itself, as loopback shows it"
            );
            reply[0] = family.reply();
            assert!(echo.is_answered_by(&reply));
            let earlier = Echo { sequence: 3, ..echo };
            assert!(earlier.is_answered_by(&reply), "the answer to an earlier one");
            let other = Echo {
                identifier: Some(1),
                ..echo
            };
            assert!(!other.is_answered_by(&reply));
            reply[10] ^= 1;
            assert!(!echo.is_answered_by(&reply));
            assert!(!echo.is_answered_by(&reply[..8]));
        }
    }

    #[test]
    fn the_ip_header_is_passed_over() {
        let mut packet = vec![0x46; 24];
        packet.extend_from_slice(&[0, 0, 1, 2]);
        assert_eq!(behind_ip_header(&packet), [0, 0, 1, 2]);
        assert!(behind_ip_header(&[0x4f, 0]).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn no_packet_is_too_odd_to_be_looked_at(bytes in proptest::collection::vec(0_u8.., 0..96)) {
            let _ = echo(Family::V4).is_answered_by(behind_ip_header(&bytes));
            let _ = echo(Family::V6).is_answered_by(&bytes);
        }
    }
}
