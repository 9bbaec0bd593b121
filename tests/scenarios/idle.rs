//! Hosts that end idle connections, or something before them that forgets them, in virtual time.

use std::time::Duration;

use whyd::model::idle::{ControlFacts, IdleEnd, IdleFacts, IdleRound, RungOutcome};
use whyd::model::order::IdleOrder;

/// What becomes of connections to a host.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdleHost {
    /// The host ends idle ones after so long.
    pub closes: Option<Duration>,
    /// They are forgotten in silence after so long.
    pub forgets: Option<Duration>,
    /// All end at this age.
    pub max_age: Option<Duration>,
    /// It closes each after its answer.
    pub not_kept: bool,
}

impl IdleHost {
    /// What a round shows and how long it takes.
    pub fn round(&self, order: &IdleOrder) -> (IdleRound, Duration) {
        if self.not_kept {
            return (IdleRound::NotKept, Duration::from_millis(2));
        }
        let ends = [self.closes, self.max_age].into_iter().flatten().min();
        let mut rungs = vec![RungOutcome::Unfinished; order.rungs.len()];
        let mut took = Duration::ZERO;
        for (rung, outcome) in order.rungs.iter().zip(&mut rungs) {
            let forgotten = self.forgets.filter(|at| at <= rung);
            let ended = ends.filter(|at| at <= rung && forgotten.is_none_or(|forgotten| *at < forgotten));
            (*outcome, took) = match (ended, forgotten) {
                (Some(after), _) => (
                    RungOutcome::Ended {
                        how: IdleEnd::Fin,
                        after,
                    },
                    after,
                ),
                (None, Some(_)) => (
                    RungOutcome::Lost {
                        how: IdleEnd::Silence,
                        after: *rung,
                    },
                    *rung + Duration::from_secs(1),
                ),
                (None, None) => (RungOutcome::Survived { after: *rung }, *rung),
            };
            if ended.or(forgotten).is_some() {
                break;
            }
        }
        let ended = self
            .max_age
            .filter(|age| *age <= took)
            .map(|age| (age, Duration::ZERO));
        let uses = u32::try_from(took.as_secs() / order.control_every.as_secs().max(1)).expect("not so many");
        let control = ControlFacts {
            uses,
            alive: ended.is_none(),
            ended,
            renewed: None,
        };
        let announced = None;
        (
            IdleRound::Done(IdleFacts {
                rungs,
                control,
                announced,
            }),
            took,
        )
    }
}
