//! The sources of a name give different answers; or one address, or one family, fails while the dependency still answers.
//! Both are found by looks that are made every ten minutes, or by the operations themselves.

use crate::model::alert::{Holds, Rule};
use crate::model::alert_policy::RulePolicy;

use super::super::super::slot::Slot;
use super::Judged;

/// Fewest looks that showed it, whatever is configured.
const LEAST: u32 = 2;

pub fn judge(rule: Rule, policy: &RulePolicy, slot: &Slot) -> Judged {
    let (showed, what) = match rule {
        Rule::DnsAnswersDiffer => (
            slot.signals.names_differ,
            "looks in a row at which the sources of its name differed",
        ),
        _ => (
            slot.signals.broken,
            "operations and looks in a row at which one way to it failed",
        ),
    };
    let (showed, minimum) = (u32::from(showed), policy.minimum.max(LEAST));
    if showed == 0 {
        return Judged::of(Holds::No).least(what, showed, minimum);
    }
    Judged::new(Holds::Yes, showed >= minimum).least(what, showed, minimum)
}
