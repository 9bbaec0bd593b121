//! What was found: how bad it is, what was seen, what to do.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Ok,
    /// It works, but not for long, or not as well as it could.
    Warning,
    /// Something that the configuration asks for does not work.
    Problem,
}

impl Level {
    pub const fn id(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Problem => "problem",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The area, one word.
    pub check: &'static str,
    /// What in that area, where there are several: a nameserver, a receiver, a file.
    pub subject: Option<String>,
    pub level: Level,
    pub seen: String,
    /// What to do, as a command where there is one.
    pub fix: Option<String>,
}

impl Finding {
    pub fn ok(check: &'static str, seen: impl Into<String>) -> Self {
        Finding::new(check, Level::Ok, seen.into())
    }

    pub fn warning(check: &'static str, seen: impl Into<String>) -> Self {
        Finding::new(check, Level::Warning, seen.into())
    }

    pub fn problem(check: &'static str, seen: impl Into<String>) -> Self {
        Finding::new(check, Level::Problem, seen.into())
    }

    fn new(check: &'static str, level: Level, seen: String) -> Self {
        Finding {
            check,
            subject: None,
            level,
            seen,
            fix: None,
        }
    }

    pub fn on(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}
