//! Random numbers for jitter and for the identity of a process, from the crypto provider.

use crate::net::crypto;

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Where the system gives no randomness, zero is a bad identity and a bad jitter, but it is no reason to stop.
    let _ = crypto::provider().secure_random.fill(&mut bytes);
    bytes
}

/// A number from 0 to 1.
pub fn share() -> f64 {
    f64::from(u32::from_le_bytes(bytes())) / f64::from(u32::MAX)
}

/// A random UUID (RFC 9562, version 4).
pub fn uuid() -> String {
    uuid_of(bytes(), 4)
}

/// Random or hashed bytes as a UUID of that version.
pub fn uuid_of(mut id: [u8; 16], version: u8) -> String {
    id[6] = id[6] & 0x0f | version << 4;
    id[8] = id[8] & 0x3f | 0x80;
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_differ_and_have_the_form() {
        let (one, other) = (uuid(), uuid());
        assert_ne!(one, other);
        assert_eq!(one.len(), 36);
        assert_eq!(&one[14..15], "4");
        assert!((0.0..=1.0).contains(&share()));
    }
}
