//! Authorities that other peers presented, kept so that a missing intermediate can be proved to be just that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most certificates kept. The intermediates of all public authorities together are about 2,000.
const MAX_KEPT: usize = 1_024;
/// Most of one name.
const MAX_OF_A_NAME: usize = 4;

/// Certificates of authorities by the DER of their subject. Only such as were part of a verified path come in, so that
/// no peer can fill it with inventions.
#[derive(Debug, Default)]
pub(super) struct SeenAuthorities {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_subject: HashMap<Box<[u8]>, Vec<Arc<[u8]>>>,
    count: usize,
}

impl SeenAuthorities {
    pub fn remember(&self, subject: &[u8], der: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.count >= MAX_KEPT {
            *kept = Kept::default();
        }
        let same_name = kept.by_subject.entry(subject.into()).or_default();
        if same_name.len() >= MAX_OF_A_NAME || same_name.iter().any(|known| **known == *der) {
            return;
        }
        same_name.push(der.into());
        kept.count += 1;
    }

    /// Those of that subject.
    pub fn named(&self, subject: &[u8]) -> Vec<Arc<[u8]>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_subject.get(subject).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_not_repeated() {
        let seen = SeenAuthorities::default();
        for _ in 0..3 {
            seen.remember(b"name", b"one");
        }
        assert_eq!(seen.named(b"name").len(), 1);
        for other in 0..10_u8 {
            seen.remember(b"name", &[other]);
        }
        assert_eq!(seen.named(b"name").len(), MAX_OF_A_NAME);
        assert!(seen.named(b"other").is_empty());
        for many in 0..3_000_u32 {
            seen.remember(&many.to_be_bytes(), b"x");
            assert!(seen.kept.lock().unwrap().count <= MAX_KEPT);
        }
    }
}
