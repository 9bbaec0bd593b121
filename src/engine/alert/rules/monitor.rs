//! The monitor itself is unwell. Whoever trusts its silence must hear of it.

use std::sync::Arc;

use crate::model::alert::{Holds, Rule};
use crate::model::alert_policy::RulePolicy;
use crate::model::headroom::Scarce;
use crate::model::monitor::{SelfFacts, SourceTrouble};
use crate::model::time::Wall;
use crate::model::vantage::OfflineBecause;

use super::super::super::notify::DeliveryTrouble;
use super::super::stats::{Share, Z_95};
use super::Judged;
use super::masked::count;

/// A notification that was given up, or a state that was lost, so long ago is not complained of any more.
const REMEMBERED_SECONDS: i64 = 3_600;

/// What is known of ourselves.
#[derive(Debug)]
pub struct Facts<'a> {
    pub edges: &'a SelfFacts,
    pub offline: Option<OfflineBecause>,
    pub scarce: Option<Scarce>,
    /// Operations of the last five minutes that were left out or began late, among all that were due.
    pub late: Share,
    pub deliveries: &'a [DeliveryTrouble],
    pub now: Wall,
}

impl Facts<'_> {
    /// The exporter that fails, and how often in a row.
    pub fn failing_export(&self) -> Option<(&'static str, u32)> {
        let exports = self.edges.exports.iter();
        let worst = exports.max_by_key(|export| export.failed_in_a_row)?;
        (worst.failed_in_a_row > 0).then_some((worst.exporter, worst.failed_in_a_row))
    }

    /// The receiver that takes nothing, or that lost a notification of late.
    pub fn failing_delivery(&self) -> Option<&DeliveryTrouble> {
        self.deliveries
            .iter()
            .max_by_key(|trouble| (self.is_given_up(trouble), trouble.failed_in_a_row))
    }

    pub fn is_given_up(&self, trouble: &DeliveryTrouble) -> bool {
        trouble
            .given_up
            .is_some_and(|at| self.now.seconds_since(at) < REMEMBERED_SECONDS)
    }

    /// What was found damaged at the start, if that is not long ago.
    pub fn state_lost(&self) -> Option<&Arc<str>> {
        let (at, what) = self.edges.state_lost.as_ref()?;
        (self.now.seconds_since(*at) < REMEMBERED_SECONDS).then_some(what)
    }

    /// The source of discovery that cannot look for the longest time.
    pub fn failing_source(&self) -> Option<&SourceTrouble> {
        self.edges.discovery.iter().min_by_key(|trouble| trouble.since)
    }

    pub fn state_trouble(&self) -> Option<&Arc<str>> {
        self.edges.state_trouble.as_ref()
    }
}

pub fn judge(rule: Rule, policy: &RulePolicy, facts: &Facts<'_>) -> Judged {
    let when = |holds: bool| Judged::of(if holds { Holds::Yes } else { Holds::No });
    match rule {
        Rule::MonitorOffline => when(facts.offline.is_some()),
        Rule::MonitorLate => late(policy, facts.late),
        Rule::MonitorExportsFailing => {
            let failed = facts.failing_export().map_or(0, |(_, failed)| failed);
            when(failed >= policy.minimum.max(1)).least(
                "failed exports in a row",
                failed,
                policy.minimum.max(1),
            )
        }
        Rule::MonitorResourcesLow => when(facts.scarce.is_some()),
        Rule::MonitorStateUnwritable => when(facts.state_trouble().is_some() || facts.state_lost().is_some()),
        Rule::MonitorDeliveriesFailing => {
            let trouble = facts.failing_delivery();
            let failed = trouble.map_or(0, |trouble| trouble.failed_in_a_row);
            let is_given_up = trouble.is_some_and(|trouble| facts.is_given_up(trouble));
            let minimum = policy.minimum.max(1);
            when(failed >= minimum || is_given_up).least("failed deliveries in a row", failed, minimum)
        }
        Rule::MonitorConfigRefused => when(facts.edges.config_refused.is_some()),
        Rule::MonitorDiscoveryFailing => when(facts.failing_source().is_some()),
        _ => Judged::unclear(),
    }
}

fn late(policy: &RulePolicy, late: Share) -> Judged {
    let (operations, minimum) = (count(late.of), policy.minimum.max(2));
    let bound = late.lower_bound(Z_95);
    let holds = if operations >= minimum && bound > policy.threshold {
        Holds::Yes
    } else if late.value() < policy.threshold / 2.0 {
        Holds::No
    } else {
        Holds::Between
    };
    Judged::of(holds)
        .share(
            "lower bound of the share of operations left out or late in 5 m",
            bound,
            policy.threshold,
        )
        .least("operations that were due in 5 m", operations, minimum)
}
