//! A certificate of the presented chain ends soon, or has ended.
//!
//! Certificates that live for less than 90 days are given notice in proportion: who renews them by themselves does so when a
//! third of their life is left (Let's Encrypt and cert-manager say so), and 21 days of 90 come after that. What is made for a
//! week must not raise an alarm every day of its life.

use std::time::Duration;

use crate::model::alert::{Holds, Rule};
use crate::model::alert_policy::RulePolicy;
use crate::model::time::Wall;

use super::super::super::slot::Slot;
use super::super::signals::Certificate;
use super::Judged;

const DAY: f64 = 86_400.0;
/// From this lifetime on the notice is what is configured.
const FULL_NOTICE: Duration = Duration::from_secs(90 * 86_400);
/// Fewest operations that showed it, whatever is configured.
const LEAST: u32 = 2;

pub fn days_left(certificate: &Certificate, now: Wall) -> f64 {
    certificate.not_after.seconds_since(now) as f64 / DAY
}

fn notice(policy: &RulePolicy, certificate: &Certificate) -> f64 {
    let whole = certificate.lifetime.as_secs_f64() / FULL_NOTICE.as_secs_f64();
    policy.threshold * whole.min(1.0)
}

/// No rule about certificates can hold.
pub fn is_far(slot: &Slot, now: Wall) -> bool {
    let Some(certificate) = &slot.signals.certificate else {
        return true;
    };
    let rules = [
        Rule::CertificateExpiring,
        Rule::CertificateExpiringSoon,
        Rule::CertificateExpired,
    ];
    let most = rules.map(|rule| slot.dependency.alerts.rule(rule).threshold);
    days_left(certificate, now) > most.into_iter().fold(0.0, f64::max)
}

pub fn judge(rule: Rule, policy: &RulePolicy, slot: &Slot, now: Wall) -> Judged {
    let Some(certificate) = &slot.signals.certificate else {
        return Judged::unclear();
    };
    let (left, notice) = (days_left(certificate, now), notice(policy, certificate));
    let seen = u32::from(certificate.seen);
    let minimum = policy.minimum.max(LEAST);
    let holds = if left > notice {
        Holds::No
    } else if is_told_by_another(rule, certificate, slot, now) {
        // The more urgent rule tells it. What was raised before that stays raised, since it is not over.
        Holds::Between
    } else {
        Holds::Yes
    };
    Judged::new(holds, seen >= minimum)
        .with(
            "days until the certificate ends",
            left,
            notice,
            "d",
            left <= notice,
        )
        .least("operations that showed it", seen, minimum)
}

fn is_told_by_another(rule: Rule, certificate: &Certificate, slot: &Slot, now: Wall) -> bool {
    let more_urgent: &[Rule] = match rule {
        Rule::CertificateExpiring => &[Rule::CertificateExpiringSoon, Rule::CertificateExpired],
        Rule::CertificateExpiringSoon => &[Rule::CertificateExpired],
        _ => &[],
    };
    more_urgent.iter().any(|rule| {
        let policy = slot.dependency.alerts.rule(*rule);
        policy.enabled && days_left(certificate, now) <= notice(policy, certificate)
    })
}
