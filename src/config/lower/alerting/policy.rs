//! Thresholds by layer: built in, `defaults`, overrides by label in their order, the dependency's own; then the cap of
//! its tier.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::super::super::raw::alerts::{AlertsSetting, RawAlerts, RawOverride, RawRules};
use super::super::super::raw::quantities::Percent;
use super::super::super::raw::values::DurationText;
use super::super::super::report::{Finding, Place};
use super::super::{Context, RawPlan};
use super::{Lowering, matchers, rules, tiers};
use crate::model::alert::{Rule, Severity};
use crate::model::alert_policy::AlertPolicy;
use crate::model::dependency::Dependency;
use crate::model::silence::Matcher;

/// What one place in the configuration says of thresholds.
struct Layer<'r> {
    place: Place,
    enabled: Option<bool>,
    objective: Option<Percent>,
    rules: Option<&'r RawRules>,
}

impl<'r> Layer<'r> {
    fn of_setting(setting: &'r AlertsSetting, place: Place) -> Layer<'r> {
        match setting {
            AlertsSetting::Switch(on) => Layer {
                place,
                enabled: Some(*on),
                objective: None,
                rules: None,
            },
            AlertsSetting::Full(policy) => Layer {
                place,
                enabled: policy.enabled,
                objective: policy.objective,
                rules: policy.rules.as_ref(),
            },
        }
    }

    fn of_override(raw: &'r RawOverride, place: Place) -> Layer<'r> {
        Layer {
            place,
            enabled: raw.enabled,
            objective: raw.objective,
            rules: raw.rules.as_ref(),
        }
    }

    fn check(&self, context: &mut Context<'_>) {
        if let Some(rules) = self.rules {
            rules::check(context.report, rules, &self.place.key("rules"));
        }
    }

    fn apply(&self, policy: &mut AlertPolicy) {
        if let Some(on) = self.enabled {
            for rule in RawRules::RULES {
                policy.rules[rule.index()].enabled = on;
            }
        }
        if let Some(objective) = self.objective {
            policy.objective = objective.0;
        }
        if let Some(rules) = self.rules {
            rules::apply(policy, rules);
        }
    }
}

/// Notes what is wrong with a dependency's own thresholds.
pub fn check_own(context: &mut Context<'_>, setting: &AlertsSetting, place: &Place) {
    Layer::of_setting(setting, place.clone()).check(context);
}

/// Gives every dependency its thresholds; those with the same ones share them.
pub fn policies(context: &mut Context<'_>, raw: &RawPlan, dependencies: &mut [Lowering<'_>]) {
    let nothing = (RawAlerts::default(), Place::root(0).key("alerts"));
    let (alerts, place) = raw.alerts.as_ref().unwrap_or(&nothing);
    let defaults = raw.defaults.as_ref().and_then(|(defaults, place)| {
        let setting = defaults.alerts.as_ref()?;
        Some(Layer::of_setting(setting, place.key("alerts")))
    });
    let known = matchers::Known::new(raw, dependencies.iter().map(|(dependency, ..)| dependency), &[]);
    let overrides = overrides(context, alerts, &place.key("overrides"), &known);
    for layer in defaults.iter().chain(overrides.iter().map(|(_, layer)| layer)) {
        layer.check(context);
    }
    let caps = tiers::caps(context, (alerts, place), (dependencies, raw.discovery.is_empty()));
    let mut shared = Shared::default();
    for ((dependency, raw, place), cap) in dependencies.iter_mut().zip(caps) {
        let own = raw
            .alerts
            .as_ref()
            .map(|setting| Layer::of_setting(setting, place.key("alerts")));
        if let Some(own) = &own {
            own.check(context);
        }
        let layers: Vec<&Layer<'_>> = defaults
            .iter()
            .chain(matching(&overrides, dependency))
            .chain(own.iter())
            .collect();
        let policy = shared.policy(&layers, own.is_some(), cap);
        advise(context, dependency, &policy, &layers);
        dependency.alerts = policy;
    }
}

type Override<'r> = (Arc<[Matcher]>, Layer<'r>);

fn overrides<'r>(
    context: &mut Context<'_>,
    raw: &'r RawAlerts,
    place: &Place,
    known: &matchers::Known,
) -> Vec<Override<'r>> {
    let mut all = Vec::new();
    for (i, one) in raw.overrides.iter().flatten().enumerate() {
        let at = place.index(i);
        let Some(labels) = one.r#match.as_ref().filter(|labels| !labels.is_empty()) else {
            let expected = "the labels of those that it is for: `match: {team: checkout}`";
            context.report.missing(&at, "match", expected);
            continue;
        };
        let matchers = matchers::of_dependencies(context, labels, &at.key("match"), known);
        if one.enabled.is_none() && one.objective.is_none() && one.rules.is_none() {
            let finding = Finding::warning(&at, "this override changes nothing");
            context
                .report
                .add(finding.expected("`objective`, `rules` or `enabled`"));
        }
        let layer = Layer::of_override(one, at);
        all.push((matchers, layer));
    }
    all
}

fn matching<'o, 'r>(
    overrides: &'o [Override<'r>],
    dependency: &'o Dependency,
) -> impl Iterator<Item = &'o Layer<'r>> {
    overrides
        .iter()
        .filter(|(matchers, _)| matchers.iter().all(|matcher| admits(matcher, dependency)))
        .map(|(_, layer)| layer)
}

fn admits(matcher: &Matcher, dependency: &Dependency) -> bool {
    match &*matcher.label {
        "dependency" => matcher.admits(Some(&dependency.name)),
        // By its name, or with its port, as alerts are matched.
        "host" => {
            let (name, with_port) = (&dependency.host.name, dependency.host.to_string());
            let both = [matcher.admits(Some(name)), matcher.admits(Some(&with_port))];
            if matcher.negated {
                both == [true, true]
            } else {
                both != [false, false]
            }
        }
        label => {
            let found = dependency.labels.iter().find(|(name, _)| **name == *label);
            matcher.admits(found.map(|(_, value)| &**value))
        }
    }
}

/// Policies that there are already: thousands of dependencies have a handful of them.
#[derive(Default)]
struct Shared {
    /// By the addresses of the layers (which live as long as this) and the cap.
    by_layers: HashMap<(Vec<usize>, Option<Severity>), Arc<AlertPolicy>>,
    by_value: HashMap<Vec<u64>, Arc<AlertPolicy>>,
}

impl Shared {
    fn policy(&mut self, layers: &[&Layer<'_>], own: bool, cap: Option<Severity>) -> Arc<AlertPolicy> {
        if own {
            // Its own layer is nobody else's, and its address is used again.
            return self.intern(merged(layers, cap));
        }
        let key = (
            layers
                .iter()
                .map(|layer| std::ptr::from_ref::<Layer<'_>>(layer).addr())
                .collect(),
            cap,
        );
        if let Some(known) = self.by_layers.get(&key) {
            return Arc::clone(known);
        }
        let policy = self.intern(merged(layers, cap));
        self.by_layers.insert(key, Arc::clone(&policy));
        policy
    }

    fn intern(&mut self, policy: AlertPolicy) -> Arc<AlertPolicy> {
        let known = self.by_value.entry(bits(&policy));
        Arc::clone(known.or_insert_with(|| Arc::new(policy)))
    }
}

fn merged(layers: &[&Layer<'_>], cap: Option<Severity>) -> AlertPolicy {
    let mut policy = AlertPolicy::default();
    for layer in layers {
        layer.apply(&mut policy);
    }
    if let Some(cap) = cap {
        for rule in RawRules::RULES {
            let one = &mut policy.rules[rule.index()];
            one.severity = one.severity.min(cap);
        }
    }
    policy
}

/// Everything in a policy, as something that can be compared and hashed.
fn bits(policy: &AlertPolicy) -> Vec<u64> {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let mut bits = Vec::with_capacity(1 + 5 * Rule::COUNT);
    bits.push(policy.objective.to_bits());
    for one in &policy.rules {
        let severity = one.severity as u64;
        bits.push(u64::from(one.enabled) | severity << 1 | u64::from(one.minimum) << 8);
        bits.extend([nanos(one.hold), nanos(one.recover), one.threshold.to_bits()]);
    }
    bits
}

/// Thresholds of the rules about this process.
pub fn monitor(context: &mut Context<'_>, raw: &RawAlerts, place: &Place) -> Arc<AlertPolicy> {
    let mut policy = AlertPolicy::default();
    if let Some(given) = raw.monitor.as_ref().and_then(|monitor| monitor.rules.as_ref()) {
        rules::check(context.report, given, &place.dotted("monitor.rules"));
        rules::apply(&mut policy, given);
    }
    Arc::new(policy)
}

const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// Says what cannot work as it stands for one dependency.
fn advise(context: &mut Context<'_>, dependency: &Dependency, policy: &AlertPolicy, layers: &[&Layer<'_>]) {
    advise_on_objective(context, dependency, policy, layers);
    let mut seen: BTreeSet<Rule> = BTreeSet::new();
    // The closest layer that says it is the one in force.
    for layer in layers.iter().rev() {
        let Some(given) = layer.rules else { continue };
        for rule in RawRules::RULES {
            let Some(span) = given.get(*rule).and_then(|raw| raw.r#for) else {
                continue;
            };
            if seen.insert(*rule)
                && policy.rule(*rule).enabled
                && span.0 > Duration::ZERO
                && span.0 < dependency.interval
            {
                let at = layer.place.dotted("rules").key(rule.id()).key("for");
                context.report.warning(
                    &at,
                    "shorter than the interval: what holds at one operation holds until the next",
                );
            }
        }
    }
    let days = |rule: Rule| policy.rule(rule).threshold;
    let (far, near) = (Rule::CertificateExpiring, Rule::CertificateExpiringSoon);
    let both = policy.rule(far).enabled && policy.rule(near).enabled;
    if both && days(far) <= days(near) {
        let given = layers.iter().rev().find_map(|layer| {
            let given = layer.rules?;
            [far, near]
                .into_iter()
                .find(|rule| given.get(*rule).is_some_and(|raw| raw.threshold.is_some()))
                .map(|rule| layer.place.key("rules").key(rule.id()).key("threshold"))
        });
        if let Some(at) = given {
            let problem = "`certificate_expiring` would come after `certificate_expiring_soon`";
            context.report.warning(&at, problem);
        }
    }
}

/// A budget of less than the failures that a rule takes for evidence is spent before it can say anything.
fn advise_on_objective(
    context: &mut Context<'_>,
    dependency: &Dependency,
    policy: &AlertPolicy,
    layers: &[&Layer<'_>],
) {
    let Some(given) = layers.iter().rev().find(|layer| layer.objective.is_some()) else {
        return;
    };
    let slow = policy.rule(Rule::SloBurnSlow);
    let operations = MONTH.as_secs_f64() / dependency.interval.as_secs_f64();
    let failures = operations * policy.budget();
    if slow.enabled && failures < f64::from(slow.minimum) {
        let problem = format!(
            "with an operation every {} this allows {failures:.1} failures a month, fewer than the {} that the burn rate \
             rules take for evidence",
            DurationText(dependency.interval),
            slow.minimum,
        );
        let finding = Finding::warning(&given.place.key("objective"), problem);
        context
            .report
            .add(finding.suggest("ask more often, or lower the objective"));
    }
}
