//! Silences, as they are written down.

use serde::{Deserialize, Serialize};

use crate::model::record::Record;
use crate::model::silence::{Matcher, Silence};
use crate::model::time::Wall;

#[derive(Serialize, Deserialize)]
pub struct SilenceV1 {
    id: String,
    matchers: Vec<MatcherV1>,
    owner: String,
    reason: String,
    from: i64,
    until: i64,
    created: i64,
}

#[derive(Serialize, Deserialize)]
struct MatcherV1 {
    label: String,
    pattern: String,
    negated: bool,
}

impl SilenceV1 {
    pub fn new(silence: &Silence) -> Self {
        let matcher = |matcher: &Matcher| MatcherV1 {
            label: matcher.label.to_string(),
            pattern: matcher.pattern.to_string(),
            negated: matcher.negated,
        };
        SilenceV1 {
            id: silence.id.to_string(),
            matchers: silence.matchers.iter().map(matcher).collect(),
            owner: silence.owner.to_string(),
            reason: silence.reason.to_string(),
            from: silence.from.unix_nanos(),
            until: silence.until.unix_nanos(),
            created: silence.created.unix_nanos(),
        }
    }

    pub fn read(self) -> Record {
        let matcher = |matcher: MatcherV1| Matcher {
            label: matcher.label.into(),
            pattern: matcher.pattern.into(),
            negated: matcher.negated,
        };
        Record::Silence(Box::new(Silence {
            id: self.id.into(),
            matchers: self.matchers.into_iter().map(matcher).collect(),
            owner: self.owner.into(),
            reason: self.reason.into(),
            from: Wall::from_unix_nanos(self.from),
            until: Wall::from_unix_nanos(self.until),
            created: Wall::from_unix_nanos(self.created),
        }))
    }
}
