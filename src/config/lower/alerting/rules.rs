//! What may be said of each rule.

use super::super::super::raw::alerts::{RawMonitorRules, RawRule, RawRules};
use super::super::super::report::{Finding, Part, Place, Report};
use super::severity;
use crate::model::alert::Rule;
use crate::model::alert_policy::{AlertPolicy, RulePolicy};

/// What a rule's threshold is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    /// The rule compares with nothing that could be chosen.
    Nothing,
    /// Times what the objective allows.
    Budgets,
    /// Times what was usual.
    Times,
    /// Of operations.
    Share,
    Days,
    /// Changes among the last [`VERDICTS`].
    Changes,
}

/// Over how many verdicts flapping is looked for.
const VERDICTS: u32 = 30;

fn measure(rule: Rule) -> Measure {
    match rule {
        Rule::DependencyFailingOften | Rule::SloBurnFast | Rule::SloBurnMedium | Rule::SloBurnSlow => {
            Measure::Budgets
        }
        Rule::RetryMasked | Rule::KeepaliveStale | Rule::MonitorLate => Measure::Share,
        Rule::LatencyRegression => Measure::Times,
        Rule::CertificateExpiring | Rule::CertificateExpiringSoon => Measure::Days,
        Rule::Flapping => Measure::Changes,
        Rule::DependencyDownFast
        | Rule::DependencyDownSlow
        | Rule::CertificateExpired
        | Rule::DnsAnswersDiffer
        | Rule::AddressBroken
        | Rule::MonitorOffline
        | Rule::MonitorExportsFailing
        | Rule::MonitorResourcesLow
        | Rule::MonitorStateUnwritable
        | Rule::MonitorDeliveriesFailing
        | Rule::MonitorConfigRefused
        | Rule::MonitorDiscoveryFailing => Measure::Nothing,
    }
}

/// Whether the rule has a threshold that may be chosen.
pub fn has_threshold(rule: Rule) -> bool {
    measure(rule) != Measure::Nothing
}

/// Whether the rule counts samples. The others speak of one state of this process, which needs none.
pub fn has_minimum(rule: Rule) -> bool {
    !matches!(
        rule,
        Rule::MonitorOffline
            | Rule::MonitorResourcesLow
            | Rule::MonitorStateUnwritable
            | Rule::MonitorConfigRefused
            | Rule::MonitorDiscoveryFailing
    )
}

/// Keys by which rules are found in a section.
pub trait Section {
    const RULES: &[Rule];
    fn get(&self, rule: Rule) -> Option<&RawRule>;
}

impl Section for RawRules {
    const RULES: &[Rule] = RawRules::RULES;
    fn get(&self, rule: Rule) -> Option<&RawRule> {
        RawRules::get(self, rule)
    }
}

impl Section for RawMonitorRules {
    const RULES: &[Rule] = RawMonitorRules::RULES;
    fn get(&self, rule: Rule) -> Option<&RawRule> {
        RawMonitorRules::get(self, rule)
    }
}

/// Notes what is wrong with the rules at `place`.
pub fn check(report: &mut Report, section: &impl Section, place: &Place) {
    each(section, |rule, raw| {
        check_rule(report, rule, raw, &place.key(rule.id()))
    });
}

fn each<S: Section>(section: &S, mut take: impl FnMut(Rule, &RawRule)) {
    for rule in S::RULES {
        if let Some(raw) = section.get(*rule) {
            take(*rule, raw);
        }
    }
}

fn check_rule(report: &mut Report, rule: Rule, raw: &RawRule, place: &Place) {
    if let Some(threshold) = raw.threshold {
        let at = place.key("threshold");
        match measure(rule) {
            Measure::Nothing => {
                report.add(Finding::error(&at, "this rule has no threshold").at(Part::Key));
            }
            measure => check_threshold(report, measure, threshold.0, &at),
        }
    }
    if let Some(minimum) = raw.minimum {
        let at = place.key("minimum");
        if !has_minimum(rule) {
            report.add(Finding::error(&at, "this rule counts no samples").at(Part::Key));
        } else if rule == Rule::Flapping && minimum.0 > VERDICTS {
            let finding = Finding::error(&at, "it is looked for among the last 30 verdicts");
            report.add(finding.expected("at most 30"));
        }
    }
}

fn check_threshold(report: &mut Report, measure: Measure, threshold: f64, at: &Place) {
    let (good, expected) = match measure {
        Measure::Share => (
            threshold > 0.0 && threshold < 1.0,
            "a share above 0 and below 1, such as `0.05`",
        ),
        Measure::Times => (threshold > 1.0, "a number above 1: times what was usual"),
        Measure::Budgets => (
            threshold > 0.0 && threshold <= 1_000.0,
            "a number above 0: times what the objective allows",
        ),
        Measure::Days => (threshold <= 3_650.0, "days, at most 3650"),
        Measure::Changes => (
            (1.0..f64::from(VERDICTS)).contains(&threshold),
            "a number of changes from 1 to 29, among 30 verdicts",
        ),
        Measure::Nothing => return,
    };
    if good {
        return;
    }
    let finding = Finding::error(at, "this threshold can never decide anything").expected(expected);
    let percent = measure == Measure::Share && (1.0..100.0).contains(&threshold);
    report.add(finding.suggest_opt(percent.then(|| format!("did you mean `{}`?", threshold / 100.0))));
}

/// Lays what is said over what held before.
pub fn apply<S: Section>(policy: &mut AlertPolicy, section: &S) {
    each(section, |rule, raw| {
        let one = &mut policy.rules[rule.index()];
        *one = RulePolicy {
            enabled: raw.enabled.unwrap_or(one.enabled),
            severity: raw.severity.map_or(one.severity, severity),
            hold: raw.r#for.map_or(one.hold, |span| span.0),
            recover: raw.keep_firing_for.map_or(one.recover, |span| span.0),
            threshold: raw.threshold.map_or(one.threshold, |number| number.0),
            minimum: raw.minimum.map_or(one.minimum, |number| number.0),
        };
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_thresholds_are_good() {
        for rule in Rule::ALL {
            let built_in = RulePolicy::built_in(*rule);
            let mut report = Report::default();
            check_threshold(&mut report, measure(*rule), built_in.threshold, &Place::root(0));
            assert!(report.findings.is_empty(), "{rule:?}: {:?}", report.findings);
            assert!(built_in.minimum >= 1, "{rule:?}");
        }
    }
}
