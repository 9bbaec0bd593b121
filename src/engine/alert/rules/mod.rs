//! The rules. Each is a pure function of what is known of its subject, and says with which numbers it compared.

pub mod down;

use crate::model::alert::{Comparison, Holds, Rule};
use crate::model::alert_policy::RulePolicy;
use crate::model::time::Now;

use super::super::slot::Slot;

/// What a rule makes of its subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    pub holds: Holds,
    /// Samples suffice to raise it (where it holds) or to end it (where it does not).
    pub enough: bool,
    pub compared: Compared,
}

/// The numbers, in place: rules are looked at far more often than anybody asks for them.
pub type Compared = [Option<Comparison>; 4];

impl Judged {
    pub const fn unclear() -> Judged {
        Judged {
            holds: Holds::Unclear,
            enough: false,
            compared: [const { None }; 4],
        }
    }

    fn new(holds: Holds, enough: bool) -> Judged {
        Judged {
            holds,
            enough,
            ..Judged::unclear()
        }
    }

    /// Adds that `value` was held against `threshold`, and whether it is where the rule wants it.
    fn with(
        mut self,
        what: &'static str,
        value: f64,
        threshold: f64,
        unit: &'static str,
        met: bool,
    ) -> Judged {
        if let Some(place) = self.compared.iter_mut().find(|place| place.is_none()) {
            *place = Some(Comparison {
                what,
                value,
                threshold,
                unit,
                met,
            });
        }
        self
    }

    pub fn compared(&self) -> impl Iterator<Item = &Comparison> {
        self.compared.iter().flatten()
    }
}

/// The rules that look at one dependency's operations.
pub const OF_DEPENDENCIES: &[Rule] = &[Rule::DependencyDownFast, Rule::DependencyDownSlow];

/// Whether no rule can hold, told by little, since nearly all operations of nearly all dependencies are of that kind.
pub fn is_well(slot: &Slot) -> bool {
    !slot.signals.is_failing()
}

pub fn of_dependency(rule: Rule, policy: &RulePolicy, slot: &Slot, _now: Now) -> Judged {
    match rule {
        Rule::DependencyDownFast | Rule::DependencyDownSlow => down::judge(rule, policy, slot),
        _ => Judged::unclear(),
    }
}
