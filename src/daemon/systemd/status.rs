//! The line that `systemctl status` shows: what is watched, what fails and why, and a reload that was refused.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::model::cause::Cause;
use crate::model::dependency::DependencyIndex;
use crate::model::failure::State;
use crate::model::page::EngineView;
use crate::model::time::Wall;
use crate::model::vantage::Sight;
use crate::net::reader::{Reader, Stopped};
use crate::net::sanitize::foreign_text;
use crate::report::units::dependencies_on_hosts;

use super::{Changes, Manager};

/// Longest line, in characters: a few lines of a terminal.
const LINE: usize = 320;
/// Of it, for the reason of a refused reload.
const REASON: usize = 160;
/// Failing dependencies that are named; of the others the number is said.
const NAMED: usize = 5;
/// Longest name shown, in characters.
const NAME: usize = 40;
/// Between two lines, so that many changes at once are one.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a line is made without anybody having told of a change: what tells of them may be dropped when too much happens.
const AT_LEAST: Duration = Duration::from_secs(60);
/// Dependencies asked for at once.
const PAGE: usize = 256;

/// What the line is made from.
#[derive(Debug)]
pub struct Board {
    reader: Reader,
    changes: Changes,
    /// Why the last reload was refused, if it was.
    refused: Mutex<Option<Box<str>>>,
}

/// A dependency that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Failing {
    since: Wall,
    name: Box<str>,
    cause: Cause,
}

/// What there is to say of the dependencies.
#[derive(Clone, Debug, Default)]
struct Verdicts {
    failing: Vec<Failing>,
    /// How many have none: not asked yet, or nothing can be said.
    none: usize,
}

impl Board {
    pub fn new(reader: Reader, changes: Changes) -> Board {
        Board {
            reader,
            changes,
            refused: Mutex::default(),
        }
    }

    pub fn set_refused(&self, why: Option<&str>) {
        let why = why.map(|text| foreign_text(text.as_bytes(), REASON));
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// The line as it is now. Its making waits for the engine's loop.
    ///
    /// # Errors
    /// The loop has ended.
    pub async fn line(&self) -> Result<String, Stopped> {
        let mut verdicts = Verdicts::default();
        let mut from = Some(DependencyIndex(0));
        while let Some(start) = from {
            let page = self.reader.page(start, PAGE).await?;
            for view in &page.dependencies {
                match view.state {
                    State::Failing { since, cause, .. } => verdicts.failing.push(Failing {
                        since,
                        name: view.dependency.name.as_ref().into(),
                        cause,
                    }),
                    State::Unknown => verdicts.none += 1,
                    State::Up { .. } => {}
                }
            }
            from = page.next;
        }
        let engine = self.reader.engine().await?;
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(words(&engine, verdicts, refused.as_deref()))
    }

    /// Tells whenever the line has changed, until the loop has ended.
    pub async fn keep_telling(self: Arc<Self>, manager: Manager) {
        loop {
            // Whether it was told of or not, it is looked at.
            let _ = timeout(AT_LEAST, self.changes.0.notified()).await;
            let Ok(line) = self.line().await else { return };
            manager.status(&line);
            sleep(PAUSE).await;
        }
    }
}

fn words(engine: &EngineView, verdicts: Verdicts, refused: Option<&str>) -> String {
    let Verdicts { mut failing, none } = verdicts;
    let mut line = String::new();
    if let Some(why) = refused {
        let _ = write!(
            line,
            "reload refused, the old configuration is in force ({why}); "
        );
    }
    if engine.dependencies == 0 {
        line.push_str("nothing to watch yet");
        return line;
    }
    let _ = write!(
        line,
        "watching {}",
        dependencies_on_hosts(engine.dependencies, engine.hosts)
    );
    if let Sight::Offline(because) = engine.vantage.sight {
        let _ = write!(line, "; we are offline: {}, no verdicts", because.words());
    }
    if none > 0 {
        let _ = write!(line, "; {none} without a verdict");
    }
    if failing.is_empty() {
        line.push_str("; none fails");
        return line;
    }
    // What failed first is the likelier reason of the rest.
    failing.sort_by(|a, b| (a.since, &a.name).cmp(&(b.since, &b.name)));
    let verb = if failing.len() == 1 { "fails" } else { "fail" };
    let _ = write!(line, "; {} {verb}: ", failing.len());
    for (i, one) in failing.iter().enumerate() {
        let name = foreign_text(one.name.as_bytes(), NAME);
        let comma = if i == 0 { "" } else { ", " };
        let next = format!("{comma}{name} ({})", one.cause);
        let rest = failing.len() - i;
        if i > 0 && (i == NAMED || (line.chars().count() + next.chars().count() > LINE)) {
            let _ = write!(line, " and {rest} more");
            break;
        }
        line.push_str(&next);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples::World;
    use crate::model::vantage::OfflineBecause;

    fn engine(count: u32) -> EngineView {
        World::of(count).engine()
    }

    fn failing(since: i64, name: &str) -> Failing {
        Failing {
            since: Wall::from_unix_secs(1_790_000_000 + since),
            name: name.into(),
            cause: Cause::TlsCertExpired,
        }
    }

    fn of(failing: Vec<Failing>) -> Verdicts {
        Verdicts { failing, none: 0 }
    }

    #[test]
    fn what_has_no_verdict_is_not_told_as_well() {
        let verdicts = Verdicts {
            failing: Vec::new(),
            none: 2,
        };
        assert_eq!(
            words(&engine(3), verdicts, None),
            "watching 3 dependencies on 3 hosts; 2 without a verdict; none fails"
        );
    }

    #[test]
    fn the_line_says_what_is_watched_and_what_fails_first() {
        assert_eq!(words(&engine(0), of(Vec::new()), None), "nothing to watch yet");
        assert_eq!(
            words(&engine(1), of(Vec::new()), None),
            "watching 1 dependency on 1 host; none fails"
        );
        let two = vec![failing(9, "orders"), failing(5, "payments")];
        assert_eq!(
            words(&engine(120), of(two), None),
            "watching 120 dependencies on 120 hosts; 2 fail: payments (tls.cert.date_invalid.expired), \
             orders (tls.cert.date_invalid.expired)"
        );
    }

    #[test]
    fn the_line_is_bounded_whatever_fails_and_whatever_its_name() {
        let many = |name: &str| (0..1_000).map(|i| failing(i, &format!("{name}{i}"))).collect();
        let line = words(&engine(1_000), of(many("d")), None);
        assert!(line.contains("; 1000 fail: d0 ("), "{line}");
        assert!(line.ends_with(" and 995 more"), "{line}");
        let reason = "x".repeat(10_000);
        let board = Board::new(Reader::new(1).0, Changes::default());
        board.set_refused(Some(&reason));
        let refused = board.refused.lock().expect("no test panics with it").clone();
        let line = words(&engine(1_000), of(many(&"n".repeat(300))), refused.as_deref());
        assert!(
            line.chars().count() <= LINE + NAME + 60,
            "{}: {line}",
            line.chars().count()
        );
        assert!(line.ends_with(" more"), "{line}");
    }

    #[test]
    fn a_refused_reload_and_lost_sight_are_said_first() {
        let mut engine = engine(2);
        engine.vantage.sight = Sight::Offline(OfflineBecause::LinksDown);
        assert_eq!(
            words(&engine, of(Vec::new()), Some("whyd.yaml:3:5: unknown key")),
            "reload refused, the old configuration is in force (whyd.yaml:3:5: unknown key); watching 2 dependencies on 2 \
             hosts; we are offline: no network interface is operational, no verdicts; none fails"
        );
    }

    #[test]
    fn no_line_has_a_line_break() {
        let board = Board::new(Reader::new(1).0, Changes::default());
        board.set_refused(Some("a\nREADY=0\nb"));
        let refused = board.refused.lock().expect("no test panics with it").clone();
        assert_eq!(refused.as_deref(), Some("a READY=0 b"));
        let line = words(&engine(1), of(vec![failing(0, "a\nWATCHDOG=trigger")]), None);
        assert!(!line.contains('\n'), "{line}");
    }
}
