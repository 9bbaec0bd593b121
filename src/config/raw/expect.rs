//! What an answer must be, as users write it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::choices::HeaderSetting;
use super::lists::{OneOrMany, Statuses};
use super::values::{DurationText, Fingerprint, Whole, Word};

section! {
    /// Expectations. One that fails is `assert.*`.
    "Expect" RawExpect {
        /// The statuses that are good; 2xx unless given.
        status: Statuses,
        /// Headers that the answer must have.
        headers: BTreeMap<String, HeaderSetting>,
        /// Texts that the body must contain.
        body_contains: OneOrMany<String>,
        /// A regular expression that the body must match.
        body_regex: String,
        /// A regular expression that the body must not match.
        body_not_regex: String,
        /// JSON paths (RFC 9535) that the body must have.
        json: OneOrMany<RawJsonExpect>,
        /// The longest time to the end of the body; of other probes, to their end.
        latency: DurationText,
        /// What the peer's certificates must be, beyond valid.
        cert: RawCertExpect,
        /// Values of which each must be among the answers of a `dns://` dependency.
        records: OneOrMany<Word>,
    }
}

section! {
    /// What certificates must be; each that is given must hold.
    "CertExpectation" RawCertExpect {
        /// Days for which every certificate that a client needs must still be valid.
        days_left: Whole<0, 10000>,
        /// A text that the issuer of the server's certificate must contain.
        issuer: String,
        /// SHA-256 fingerprints, one of which the server's certificate or an authority above it must have.
        fingerprint: OneOrMany<Fingerprint>,
    }
}

section! {
    /// What a header must be: one of these.
    "HeaderParts" RawHeaderExpect {
        /// It must be there, whatever it says.
        present: bool,
        /// It must be exactly this.
        equal: Word,
        /// It must match this regular expression.
        matching: String,
    }
}

section! {
    /// What a JSON path must give.
    "JsonExpectation" RawJsonExpect {
        /// The path, such as `$.status`.
        #[schemars(required)]
        path: String,
        /// What at least one node must equal; without it the path must match something.
        #[serde(default, deserialize_with = "given")]
        equals: serde_json::Value,
    }
}

/// `equals: null` is given, and is null.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(deserializer).map(Some)
}
