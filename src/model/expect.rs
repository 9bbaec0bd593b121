//! What the user expects of an answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What the user expects of an answer. An expectation that fails is `assert.*`, not the network's fault.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect {
    /// `None` means 200 to 299. A status of 400 or above that is not wanted is `http.error.*`.
    pub status: Option<StatusSet>,
    pub headers: Arc<[HeaderExpect]>,
    pub body_contains: Arc<[Arc<str>]>,
    /// Source text of a regular expression; `config` compiled it once to validate it.
    pub body_regex: Option<Arc<str>>,
    pub body_not_regex: Option<Arc<str>>,
    pub body_json: Arc<[JsonExpect]>,
    /// Longest time to the end of the body.
    pub latency: Option<Duration>,
    /// What the peer's certificates must be.
    pub cert: Option<Arc<CertExpect>>,
}

/// What the user expects of the certificates that a peer presents, beyond what makes them valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertExpect {
    /// Whole days for which each certificate that is needed must still be valid.
    pub days_left: Option<u32>,
    /// A text that the leaf's issuer must contain.
    pub issuer: Option<Arc<str>>,
    /// SHA-256 of the DER in lower-case hexadecimal: the leaf, or an authority above it, must be one of these.
    pub fingerprints: Arc<[Arc<str>]>,
}

impl Expect {
    /// Whether a status is wanted.
    pub fn admits_status(&self, status: u16) -> bool {
        match &self.status {
            Some(set) => set.contains(status),
            None => (200..300).contains(&status),
        }
    }

    /// Whether the body must be looked at.
    pub fn wants_body(&self) -> bool {
        !self.body_contains.is_empty()
            || self.body_regex.is_some()
            || self.body_not_regex.is_some()
            || !self.body_json.is_empty()
    }
}

/// Inclusive ranges of status codes; `2xx` is 200 to 299.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSet(pub Arc<[(u16, u16)]>);

impl StatusSet {
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (low, high)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            if low == high {
                write!(f, "{low}")?;
            } else if low % 100 == 0 && *high == low + 99 {
                write!(f, "{}xx", low / 100)?;
            } else {
                write!(f, "{low}-{high}")?;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderExpect {
    /// Lower case.
    pub name: Arc<str>,
    pub is: HeaderIs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderIs {
    Present,
    Equal(Arc<str>),
    /// Source text of a regular expression.
    Matching(Arc<str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonExpect {
    /// RFC 9535.
    pub path: Arc<str>,
    /// The JSON text that at least one node must equal; `None` means that the path must match something.
    pub equals: Option<Arc<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_sets_print_as_they_are_written() {
        let set = StatusSet(Arc::from([(200, 299), (301, 301), (400, 404)]));
        assert_eq!(set.to_string(), "2xx, 301, 400-404");
        assert!(set.contains(250) && set.contains(301) && !set.contains(300));
    }
}
