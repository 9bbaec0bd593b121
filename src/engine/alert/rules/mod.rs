//! The rules. Each is a pure function of what is known of its subject, and says with which numbers it compared.

pub mod certificate;
pub mod down;
pub mod failing_often;
pub mod flapping;
pub mod latency;
pub mod masked;
pub mod monitor;
pub mod names;
pub mod slo;
pub mod stale;

use std::time::Duration;

use crate::model::alert::{Comparison, Holds, Rule};
use crate::model::alert_policy::RulePolicy;
use crate::model::time::Now;

use super::super::host::Host;
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
pub type Compared = [Option<Comparison>; 5];

impl Judged {
    pub const fn unclear() -> Judged {
        Judged {
            holds: Holds::Unclear,
            enough: false,
            compared: [const { None }; 5],
        }
    }

    pub const fn new(holds: Holds, enough: bool) -> Judged {
        Judged {
            holds,
            enough,
            ..Judged::unclear()
        }
    }

    /// Of a rule that needs no more samples than it has looked at.
    pub const fn of(holds: Holds) -> Judged {
        Judged::new(holds, true)
    }

    /// Adds that `value` was held against `threshold`, and that it should be above it (or as many).
    pub fn least(self, what: &'static str, value: impl Into<f64>, threshold: impl Into<f64>) -> Judged {
        let (value, threshold) = (value.into(), threshold.into());
        self.with(what, value, threshold, "", value >= threshold)
    }

    /// The same of a share that should be above.
    pub fn share(self, what: &'static str, value: f64, threshold: f64) -> Judged {
        self.with(what, value, threshold, "1", value > threshold)
    }

    pub fn with(
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
pub const OF_DEPENDENCIES: &[Rule] = &[
    Rule::DependencyDownFast,
    Rule::DependencyDownSlow,
    Rule::DependencyFailingOften,
    Rule::SloBurnFast,
    Rule::SloBurnMedium,
    Rule::SloBurnSlow,
    Rule::LatencyRegression,
    Rule::CertificateExpired,
    Rule::CertificateExpiringSoon,
    Rule::CertificateExpiring,
    Rule::DnsAnswersDiffer,
    Rule::AddressBroken,
    Rule::Flapping,
];

/// The rules that look at all operations on a host together.
pub const OF_HOSTS: &[Rule] = &[Rule::RetryMasked, Rule::KeepaliveStale];

/// Whether no rule can hold, told by little, since nearly all operations of nearly all dependencies are of that kind.
pub fn is_well(slot: &Slot, now: Now) -> bool {
    let signals = &slot.signals;
    !signals.failed_of_late(now.moment)
        && !signals.latency.is_suspicious()
        && signals.names_differ == 0
        && signals.broken == 0
        && certificate::is_far(slot, now.wall)
}

pub fn of_dependency(rule: Rule, policy: &RulePolicy, slot: &Slot, now: Now) -> Judged {
    match rule {
        Rule::DependencyDownFast | Rule::DependencyDownSlow => down::judge(rule, policy, slot),
        Rule::DependencyFailingOften => failing_often::judge(policy, slot, now.moment),
        Rule::SloBurnFast | Rule::SloBurnMedium | Rule::SloBurnSlow => {
            slo::judge(rule, policy, slot, now.moment)
        }
        Rule::LatencyRegression => latency::judge(policy, slot),
        Rule::CertificateExpiring | Rule::CertificateExpiringSoon | Rule::CertificateExpired => {
            certificate::judge(rule, policy, slot, now.wall)
        }
        Rule::DnsAnswersDiffer | Rule::AddressBroken => names::judge(rule, policy, slot),
        Rule::Flapping => flapping::judge(policy, slot),
        _ => Judged::unclear(),
    }
}

pub fn of_host(rule: Rule, policy: &RulePolicy, host: &Host, now: Now) -> Judged {
    match rule {
        Rule::RetryMasked => masked::judge(policy, host, now.moment),
        Rule::KeepaliveStale => stale::judge(policy, host, now.moment),
        _ => Judged::unclear(),
    }
}

/// How many operations of that interval a span holds.
pub fn expected(span: Duration, interval: Duration) -> u64 {
    let interval = interval.as_millis().max(1);
    u64::try_from(span.as_millis() / interval).unwrap_or(u64::MAX)
}
