//! The thresholds of the rules, as they hold for one dependency: made of the built-in ones, `defaults`, what is said for a
//! label and what is said for the dependency itself.

use std::time::Duration;

use super::alert::{Rule, Severity};

/// What one rule compares with. What `threshold` and `minimum` mean is the rule's affair, see [`RulePolicy::built_in`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RulePolicy {
    pub enabled: bool,
    /// After the cap by the dependency's tier.
    pub severity: Severity,
    /// How long its condition must hold before it is raised (`for`).
    pub hold: Duration,
    /// How long its condition must not hold before it is over (`keep_firing_for`).
    pub recover: Duration,
    pub threshold: f64,
    pub minimum: u32,
}

impl RulePolicy {
    /// The values that need no configuration.
    pub const fn built_in(rule: Rule) -> RulePolicy {
        use Severity::{Critical, Info, Warning};
        const fn make(
            severity: Severity,
            hold: u64,
            recover: u64,
            threshold: f64,
            minimum: u32,
        ) -> RulePolicy {
            RulePolicy {
                enabled: true,
                severity,
                hold: Duration::from_secs(hold),
                recover: Duration::from_secs(recover),
                threshold,
                minimum,
            }
        }
        match rule {
            // `minimum`: failed operations in a row; over after two successes in a row that last `recover`.
            Rule::DependencyDownFast => make(Critical, 60, 60, 1.0, 3),
            Rule::DependencyDownSlow => make(Critical, 180, 60, 1.0, 3),
            // `threshold`: times the error budget, held against the lower bound of the share of failures among the last 60
            // operations (30 minutes at the usual interval); `minimum`: failures among them, of those in a row two. Five, since
            // the rule also asks whether chance would bring about so many; with six, one outage of twenty per cent in
            // seventy would not be found within 30 minutes.
            Rule::DependencyFailingOften => make(Critical, 0, 600, 3.0, 5),
            // `threshold`: times the error budget (Google's SRE workbook, chapter 5); `minimum`: failures in the long window.
            Rule::SloBurnFast => make(Critical, 0, 300, 14.4, 5),
            Rule::SloBurnMedium => make(Critical, 0, 900, 6.0, 5),
            Rule::SloBurnSlow => make(Warning, 0, 3_600, 1.0, 5),
            // `threshold`: share of the successes in an hour, held against its lower bound; `minimum`: operations.
            Rule::RetryMasked => make(Warning, 300, 600, 0.05, 20),
            // The same of the operations; `minimum`: connections that were dead to somebody's harm.
            Rule::KeepaliveStale => make(Warning, 300, 600, 0.05, 5),
            // `threshold`: times the baseline's median; `minimum`: operations that the baseline is learned from.
            Rule::LatencyRegression => make(Warning, 600, 600, 2.0, 100),
            // `threshold`: days left, in proportion less for certificates that live shorter than 90 days; `minimum`:
            // operations that showed it.
            Rule::CertificateExpiring => make(Warning, 300, 300, 21.0, 2),
            Rule::CertificateExpiringSoon => make(Critical, 300, 300, 7.0, 2),
            Rule::CertificateExpired => make(Critical, 60, 300, 0.0, 2),
            // `minimum`: looks in a row that showed it. They are made every ten minutes, so that two are enough.
            Rule::DnsAnswersDiffer => make(Warning, 300, 300, 1.0, 2),
            Rule::AddressBroken => make(Warning, 300, 300, 1.0, 2),
            // `threshold`: changes between up and failing among the last 30 verdicts; `minimum`: verdicts.
            // Six failures scattered over thirty operations: five come by chance every few months where 1 % fail.
            Rule::Flapping => make(Warning, 0, 1_800, 12.0, 20),
            Rule::MonitorOffline => make(Critical, 60, 60, 1.0, 1),
            // `threshold`: share of the operations of five minutes that were left out or began late, held against its lower
            // bound; `minimum`: operations. Held for twice that time, so that a machine that slept once alarms nobody.
            Rule::MonitorLate => make(Warning, 600, 300, 0.05, 10),
            // `minimum`: failed exports in a row.
            Rule::MonitorExportsFailing => make(Warning, 300, 60, 1.0, 2),
            Rule::MonitorResourcesLow => make(Warning, 60, 300, 1.0, 1),
            Rule::MonitorStateUnwritable => make(Critical, 0, 60, 1.0, 1),
            // `minimum`: failed deliveries in a row.
            Rule::MonitorDeliveriesFailing => make(Warning, 60, 60, 1.0, 2),
            Rule::MonitorConfigRefused => make(Info, 60, 0, 1.0, 1),
            // A source that fails keeps what it found, so that nothing is lost by waiting for one that is restarted.
            Rule::MonitorDiscoveryFailing => make(Warning, 900, 60, 1.0, 1),
        }
    }
}

/// All rules for one dependency (or, of those about the monitor, for this process).
#[derive(Clone, Debug, PartialEq)]
pub struct AlertPolicy {
    /// Share of operations that should succeed, above 0 and below 1.
    pub objective: f64,
    /// By `Rule::index`.
    pub rules: [RulePolicy; Rule::COUNT],
}

impl AlertPolicy {
    pub const OBJECTIVE: f64 = 0.99;

    pub fn rule(&self, rule: Rule) -> &RulePolicy {
        &self.rules[rule.index()]
    }

    /// Share of operations that may fail.
    pub fn budget(&self) -> f64 {
        1.0 - self.objective
    }
}

impl Default for AlertPolicy {
    fn default() -> Self {
        let mut rules = [RulePolicy::built_in(Rule::DependencyDownFast); Rule::COUNT];
        for rule in Rule::ALL {
            rules[rule.index()] = RulePolicy::built_in(*rule);
        }
        AlertPolicy {
            objective: AlertPolicy::OBJECTIVE,
            rules,
        }
    }
}
