//! As much of DER (ITU-T X.690) as taking a certificate's outer structure apart needs.

const SEQUENCE: u8 = 0x30;

/// One element: its content alone, and the whole with tag and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    pub whole: &'a [u8],
}

/// The first element, and what follows it. `None` where the encoding is broken.
pub(super) fn element(input: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        // Certificates are shorter than 2^24 bytes, since TLS has no room for longer ones; revocation lists are not.
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(count)?;
        (
            bytes
                .iter()
                .fold(0, |length: usize, byte| length << 8 | usize::from(*byte)),
            rest,
        )
    };
    let (content, after) = rest.split_at_checked(length)?;
    let whole = &input[..input.len() - after.len()];
    Some((Element { tag, content, whole }, after))
}

/// The content of a sequence that is all of the input.
pub(super) fn sequence(input: &[u8]) -> Option<&[u8]> {
    match element(input)? {
        (element, []) if element.tag == SEQUENCE => Some(element.content),
        _ => None,
    }
}

/// The bytes of a bit string's content, which must be whole bytes.
pub(super) fn bits(content: &[u8]) -> Option<&[u8]> {
    match content.split_first()? {
        (0, bytes) => Some(bytes),
        _ => None,
    }
}

/// A sequence of this content.
pub(super) fn in_sequence(content: &[u8]) -> Vec<u8> {
    let mut whole = vec![SEQUENCE];
    match content.len() {
        length @ 0..0x80 => whole.push(length as u8),
        length => {
            let bytes = length.to_be_bytes();
            let significant = &bytes[(length.leading_zeros() / 8) as usize..];
            whole.push(0x80 | significant.len() as u8);
            whole.extend_from_slice(significant);
        }
    }
    whole.extend_from_slice(content);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_survive_a_round_trip() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x1234, 0x1_0000] {
            let content = vec![7; length];
            assert_eq!(sequence(&in_sequence(&content)), Some(&content[..]), "{length}");
        }
    }

    #[test]
    fn broken_encodings_are_none() {
        for broken in [
            &[][..],
            &[0x30],
            &[0x30, 2, 1],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x30, 0x81],
        ] {
            assert_eq!(element(broken), None, "{broken:?}");
        }
        assert_eq!(sequence(&[0x30, 0, 0]), None);
        assert_eq!(sequence(&[0x31, 0]), None);
        assert_eq!(bits(&[1, 2]), None);
        assert_eq!(bits(&[]), None);
        assert_eq!(
            element(&[2, 1, 5, 9]).map(|(it, rest)| (it.content, it.whole.len(), rest)),
            Some((&[5][..], 3, &[9][..]))
        );
    }
}
