//! Silences and maintenance windows: whom they concern, and when.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::time::Wall;

/// One condition on a label. Labels are the user's own and `dependency`, `host`, `alert` (a rule's id), `severity`,
/// `cause`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    pub label: Arc<str>,
    /// `*` stands for any run of characters.
    pub pattern: Arc<str>,
    /// Whether it must not match.
    pub negated: bool,
}

impl Matcher {
    /// Of `label=pattern` or `label!=pattern`; `None` where there is no label before the sign.
    pub fn parse(text: &str) -> Option<Matcher> {
        let (label, pattern) = text.split_once('=')?;
        let (label, negated) = match label.strip_suffix('!') {
            Some(label) => (label, true),
            None => (label, false),
        };
        let label = label.trim();
        (!label.is_empty()).then(|| Matcher {
            label: label.into(),
            pattern: pattern.trim().into(),
            negated,
        })
    }

    /// Whether a label's value (none for a label that is not there) is admitted.
    pub fn admits(&self, value: Option<&str>) -> bool {
        glob(&self.pattern, value.unwrap_or("")) != self.negated
    }
}

/// As [`Matcher::parse`] reads it.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negated { "!=" } else { "=" };
        write!(f, "{}{sign}{}", self.label, self.pattern)
    }
}

/// Whether all admit. An empty list admits everything.
pub fn all_admit<'v>(matchers: &[Matcher], value: impl Fn(&str) -> Option<&'v str>) -> bool {
    matchers
        .iter()
        .all(|matcher| matcher.admits(value(&matcher.label)))
}

/// Whether `text` is like `pattern`, in which `*` stands for any run of characters.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return false };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// A silence made by a person while the daemon runs. It is kept over restarts until it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Unique.
    pub id: Arc<str>,
    pub matchers: Arc<[Matcher]>,
    pub owner: Arc<str>,
    pub reason: Arc<str>,
    pub from: Wall,
    pub until: Wall,
    pub created: Wall,
}

/// A maintenance window of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// Unique among the windows.
    pub name: Arc<str>,
    pub matchers: Arc<[Matcher]>,
    pub owner: Arc<str>,
    pub reason: Arc<str>,
    pub schedule: Schedule,
    /// After which it does not come any more.
    pub ends: Option<Wall>,
}

/// When a maintenance window is open. The calendar (an edge) makes intervals of it, since days have no fixed length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    Once {
        from: Wall,
        until: Wall,
    },
    /// Begins as a cron expression (five fields) says, in that time zone (IANA), and lasts so long.
    Cron {
        expression: Arc<str>,
        zone: Arc<str>,
        lasts: Duration,
    },
}

/// One time at which a maintenance window is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The window's name.
    pub window: Arc<str>,
    pub from: Wall,
    pub until: Wall,
}

/// What a person asks of the silences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SilenceChange {
    /// A new one, or another in place of the one with that id.
    Put(Silence),
    /// It ends now.
    End { id: Arc<str> },
}

/// The read model of one silence or of one maintenance window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilenceView {
    pub silence: Silence,
    /// From the configuration: `id` is the window's name, and it cannot be ended by a person.
    pub configured: bool,
    pub active: bool,
    /// Raised alerts that are not told because of it.
    pub muting: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run() {
        for (pattern, text, matches) in [
            ("payments", "payments", true),
            ("payments", "payments-2", false),
            ("pay*", "payments", true),
            ("*", "", true),
            ("*-db", "orders-db", true),
            ("*-db", "-db", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("aa*aa", "aaa", false),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn matchers_are_read_as_they_are_written() {
        for text in [
            "team=checkout",
            "env!=prod",
            "dependency=*-db",
            "note=a=b",
            "env=",
        ] {
            let matcher = Matcher::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(matcher.to_string(), text);
        }
        assert_eq!(Matcher::parse("team"), None);
        assert_eq!(Matcher::parse("=x"), None);
        assert_eq!(Matcher::parse("!=x"), None);
    }

    #[test]
    fn a_label_that_is_not_there_is_empty() {
        let not_prod = Matcher {
            label: "env".into(),
            pattern: "prod".into(),
            negated: true,
        };
        assert!(not_prod.admits(None) && !not_prod.admits(Some("prod")));
    }
}
