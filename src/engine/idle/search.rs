//! The search for one host's idle timeout: from the facts of a round to the next round, or to a result.
//!
//! A host that ends idle connections itself is measured directly: the first parked connection that ends tells when, and
//! another one must end at the same time. One behind something that forgets connections in silence is searched for: a
//! ladder of idle times, then the bracket between what was good and what was not is narrowed, and found once more.
//! Whatever ends the busy connection as well is not idleness, and counts for nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::model::attempt::StaleKind;
use crate::model::idle::{ControlFacts, IdleEnd, IdleFacts, IdleLimit, IdleRound, IdleUnknown, RungOutcome};

/// Parked connections in one round. With the busy one they are a handful.
pub const PARKED: usize = 5;
/// How often the busy connection is used while nothing is known to survive; more often than any timeout worth measuring.
const BUSY: Duration = Duration::from_secs(1);
/// How often it is used at least, however long others may lie idle.
const BUSY_AT_LEAST: Duration = Duration::from_secs(20);
/// It is never used more often than this.
const BUSY_AT_MOST: Duration = Duration::from_millis(100);
/// How many rounds may contradict what others showed, or could not be made, before the search is given up.
const CHANCES: u8 = 4;
/// More rounds than any search needs.
const ROUNDS: u8 = 40;
/// Of an end that was seen, at most so many are waited for until two agree.
const ENDS: usize = 4;
/// The pause before a round that could not be made is made again.
const PAUSE: Duration = Duration::from_secs(30);

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Measure {
        after: Duration,
        rungs: Vec<Duration>,
        control_every: Duration,
    },
    Known {
        limit: IdleLimit,
        samples: u8,
    },
    Unknown(IdleUnknown),
}

#[derive(Clone, Debug)]
pub struct Search {
    ladder: Arc<[Duration]>,
    low: Duration,
    /// A connection that lay idle for so long was dead.
    high: Option<(Duration, IdleEnd)>,
    /// Ends that were seen as they came.
    ends: Vec<(IdleEnd, Duration)>,
    /// How often the bracket was found.
    samples: u8,
    /// The round under way looks for the bracket once more.
    again: bool,
    control_every: Duration,
    control_uses: u32,
    announced: Option<Duration>,
    /// Ages at which busy connections ended too.
    ended_in_use: Vec<Duration>,
    chances: u8,
    rounds: u8,
}

impl Search {
    pub fn new(ladder: Arc<[Duration]>) -> Search {
        Search {
            ladder,
            low: Duration::ZERO,
            high: None,
            ends: Vec::new(),
            samples: 0,
            again: false,
            control_every: BUSY,
            control_uses: 0,
            announced: None,
            ended_in_use: Vec::new(),
            chances: CHANCES,
            rounds: ROUNDS,
        }
    }

    /// Begins with what was known before, which one more measurement confirms or throws over.
    pub fn from_known(ladder: Arc<[Duration]>, limit: IdleLimit) -> Search {
        let mut search = Search::new(ladder);
        if let IdleLimit::Ends { how, low, high } = limit {
            if how.kind() == StaleKind::Closed {
                search.ends.push((how, high));
            } else {
                (search.low, search.high, search.samples) = (low, Some((high, how)), 1);
            }
        }
        search
    }

    pub fn bracket(&self) -> (Duration, Option<Duration>) {
        let seen = self.ends.last().map(|(_, after)| *after);
        (self.low, seen.or(self.high.map(|(at, _)| at)))
    }

    pub fn announced(&self) -> Option<Duration> {
        self.announced
    }

    pub fn control_uses(&self) -> u32 {
        self.control_uses
    }

    /// The first round.
    pub fn begin(&mut self) -> Step {
        self.next(Duration::ZERO)
    }

    /// What follows from a round.
    pub fn take(&mut self, round: &IdleRound) -> Step {
        let facts = match round {
            IdleRound::NotKept => return Step::Unknown(IdleUnknown::NotKept),
            IdleRound::NotMade(why) => return self.not_made(why),
            IdleRound::Done(facts) => facts,
        };
        self.announced = facts.announced.or(self.announced);
        self.control_uses = self.control_uses.saturating_add(facts.control.uses);
        for after in facts.rungs.iter().filter_map(survived) {
            self.survived(after);
        }
        match first_end(facts) {
            Some((how, after, seen)) => {
                if let Err(step) = self.hold_against(&facts.control, after) {
                    return step;
                }
                self.ended(how, after, seen);
            }
            None => {
                self.again = false;
                if let Some(why) = facts.rungs.iter().find_map(unclear) {
                    return self.not_made(why);
                }
            }
        }
        self.next(Duration::ZERO)
    }

    fn not_made(&mut self, why: &str) -> Step {
        if self.chances <= 1 {
            return Step::Unknown(IdleUnknown::NotMade(why.into()));
        }
        self.chances -= 1;
        self.next(PAUSE)
    }

    fn contradicted(&mut self) {
        self.chances = self.chances.saturating_sub(1);
        self.samples = 0;
        self.again = false;
    }

    /// A connection that lay idle for so long was good.
    fn survived(&mut self, after: Duration) {
        if self.high.is_some_and(|(high, _)| after >= high) {
            self.high = None;
            self.contradicted();
        }
        if self.ends.iter().any(|(_, end)| after > *end + tolerance(*end)) {
            self.ends.clear();
            self.contradicted();
        }
        self.low = self.low.max(after);
    }

    /// Whether the busy connection outlived the one that ended. If not, nothing is learned of idleness: the next round, or
    /// the end of the search.
    fn hold_against(&mut self, control: &ControlFacts, after: Duration) -> Result<(), Step> {
        let renewed_then = control
            .renewed
            .is_some_and(|at| at.abs_diff(after) <= tolerance(after));
        if control.alive && !renewed_then {
            return Ok(());
        }
        self.again = false;
        let (age, idle) = control.ended.unwrap_or((after, Duration::ZERO));
        let was_idle = idle * 5 >= self.control_every * 4;
        if was_idle && self.control_every > BUSY_AT_MOST {
            // It was not busy enough for a limit as short as this.
            self.control_every = (idle / 4).max(BUSY_AT_MOST);
            return Err(self.next(Duration::ZERO));
        }
        let same_age = |other: &&Duration| other.abs_diff(age) <= tolerance(age);
        if self.ended_in_use.iter().any(|other| same_age(&other)) {
            return Err(Step::Unknown(IdleUnknown::EndsInUse { age }));
        }
        self.ended_in_use.push(age);
        self.contradicted();
        Err(self.next(Duration::ZERO))
    }

    /// A parked connection ended after so long (or was found dead by then).
    fn ended(&mut self, how: IdleEnd, after: Duration, seen: bool) {
        if seen || how.kind() == StaleKind::Closed {
            if self.low > after + tolerance(after) {
                self.low = Duration::ZERO;
                self.contradicted();
            }
            self.ends.push((how, after));
            return;
        }
        let found_again = self.again
            && self
                .high
                .is_some_and(|(high, before)| before.kind() == how.kind() && after >= high);
        self.again = false;
        if after <= self.low {
            // What was good before is not any more: the search begins below it.
            self.low = Duration::ZERO;
            self.contradicted();
        }
        if found_again {
            self.samples += 1;
        } else if self.high.is_none_or(|(high, _)| after < high) {
            self.high = Some((after, how));
            self.samples = 1;
        }
    }

    fn next(&mut self, after: Duration) -> Step {
        if self.rounds == 0 || self.chances == 0 {
            return Step::Unknown(IdleUnknown::Contradictory);
        }
        self.rounds -= 1;
        let rungs = if !self.ends.is_empty() {
            match self.claim() {
                Ok(step) => return step,
                Err(rung) => vec![rung],
            }
        } else if let Some((high, how)) = self.high {
            if self.samples >= 2 {
                let (low, samples) = (self.low, self.samples);
                return Step::Known {
                    limit: IdleLimit::Ends { how, low, high },
                    samples,
                };
            }
            self.inside(high)
        } else {
            let left: Vec<Duration> = self.ladder.iter().copied().filter(|r| *r > self.low).collect();
            if left.is_empty() {
                return Step::Known {
                    limit: IdleLimit::NoneFound { up_to: self.low },
                    samples: 1,
                };
            }
            spread(&left)
        };
        Step::Measure {
            after,
            rungs,
            control_every: self.busy(),
        }
    }

    /// What ends that were seen amount to; or how long the next connection is to lie idle so that it ends by itself too.
    fn claim(&self) -> Result<Step, Duration> {
        let last = self
            .ends
            .last()
            .copied()
            .unwrap_or((IdleEnd::Fin, Duration::ZERO));
        let agreeing: Vec<Duration> = self
            .ends
            .iter()
            .filter(|(how, after)| how.kind() == last.0.kind() && after.abs_diff(last.1) <= tolerance(last.1))
            .map(|(_, after)| *after)
            .collect();
        let same_kind = self.ends.iter().all(|(how, _)| how.kind() == last.0.kind());
        let all: Vec<Duration> = self.ends.iter().map(|(_, after)| *after).collect();
        let claimed = match (agreeing.len() >= 2, self.ends.len() >= ENDS) {
            (true, _) => agreeing,
            // It ends them, and not always at the same time: the span is what is known.
            (false, true) if same_kind => all,
            (false, true) => return Ok(Step::Unknown(IdleUnknown::Contradictory)),
            (false, false) => {
                let longest = all.iter().max().copied().unwrap_or_default();
                return Err(longest + longest / 4 + Duration::from_secs(2));
            }
        };
        Ok(Step::Known {
            limit: IdleLimit::Ends {
                how: last.0,
                low: claimed.iter().min().copied().unwrap_or_default(),
                high: claimed.iter().max().copied().unwrap_or_default(),
            },
            samples: u8::try_from(claimed.len()).unwrap_or(u8::MAX),
        })
    }

    /// Idle times between what was good and what was not; both once more where they are close enough.
    fn inside(&mut self, high: Duration) -> Vec<Duration> {
        let low = self.low;
        // Clear of both: what was measured took a little longer than its rung.
        let clear = |rung: Duration| precision(rung) / 2;
        let of_ladder: Vec<Duration> = self
            .ladder
            .iter()
            .copied()
            .filter(|rung| *rung > low + clear(*rung) && *rung + clear(*rung) < high)
            .collect();
        let between = if of_ladder.is_empty() {
            between(low, high)
        } else {
            spread(&of_ladder)
        };
        if !between.is_empty() {
            return between;
        }
        self.again = true;
        [low, high].into_iter().filter(|rung| !rung.is_zero()).collect()
    }

    fn busy(&self) -> Duration {
        let relaxed = (self.low / 3).min(BUSY_AT_LEAST);
        self.control_every.max(relaxed)
    }
}

/// How far two measurements of the same thing may lie apart: servers look for idle connections now and then.
fn tolerance(of: Duration) -> Duration {
    (of / 20).max(Duration::from_millis(500))
}

/// How narrow a bracket is narrow enough, for a limit of about that length.
fn precision(of: Duration) -> Duration {
    (of / 10).max(Duration::from_millis(500))
}

/// At most [`PARKED`] of them, evenly, the first and the last among them.
fn spread(of: &[Duration]) -> Vec<Duration> {
    if of.len() <= PARKED {
        return of.to_vec();
    }
    (0..PARKED)
        .map(|n| of[n * (of.len() - 1) / (PARKED - 1)])
        .collect()
}

/// Idle times strictly between the two, where they are further apart than is wanted.
fn between(low: Duration, high: Duration) -> Vec<Duration> {
    let width = high.saturating_sub(low);
    let wanted = precision(high);
    if width <= wanted {
        return Vec::new();
    }
    if low.is_zero() {
        // Nothing is known from below: each is about half of the next, so that short limits are found soon.
        let mut rungs: Vec<Duration> =
            std::iter::successors(Some(high * 5 / 11), |rung| Some(*rung * 5 / 11))
                .take(PARKED)
                .filter(|rung| *rung >= Duration::from_millis(500))
                .collect();
        rungs.reverse();
        return rungs;
    }
    let steps = width.as_nanos().div_ceil(wanted.as_nanos());
    let count = usize::try_from(steps).unwrap_or(PARKED + 1).saturating_sub(1);
    let parts = u32::try_from(count.min(PARKED)).unwrap_or(1) + 1;
    (1..parts).map(|n| low + width / parts * n).collect()
}

fn survived(outcome: &RungOutcome) -> Option<Duration> {
    match outcome {
        RungOutcome::Survived { after } => Some(*after),
        _ => None,
    }
}

fn unclear(outcome: &RungOutcome) -> Option<&str> {
    match outcome {
        RungOutcome::Unclear(why) => Some(why),
        _ => None,
    }
}

/// The earliest end, how, after how long, and whether it was seen as it came.
fn first_end(facts: &IdleFacts) -> Option<(IdleEnd, Duration, bool)> {
    facts
        .rungs
        .iter()
        .filter_map(|outcome| match outcome {
            RungOutcome::Ended { how, after } => Some((*how, *after, true)),
            RungOutcome::Lost { how, after } => Some((*how, *after, false)),
            _ => None,
        })
        .min_by_key(|(_, after, _)| *after)
}

#[cfg(test)]
mod tests;
