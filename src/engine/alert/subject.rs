//! Whom an alert is about: where its thresholds, its labels and its marks are found.

use std::sync::Arc;

use crate::model::alert::{AlertKey, Rule, RuleScope, Severity, Subject};
use crate::model::alert_policy::RulePolicy;
use crate::model::dependency::{Dependency, DependencyIndex};

use super::super::Engine;
use super::{Labels, Marks};

/// A subject that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Dependency(DependencyIndex),
    /// By its place in the table.
    Host(u32),
    Monitor,
}

impl Who {
    pub const fn scope(self) -> RuleScope {
        match self {
            Who::Dependency(_) => RuleScope::Dependency,
            Who::Host(_) => RuleScope::Host,
            Who::Monitor => RuleScope::Monitor,
        }
    }
}

/// By what a host's alerts are raised: of the thresholds of the dependencies on it the most sensitive ones, of their
/// labels those that all have alike.
#[derive(Clone, Debug)]
pub struct HostTerms {
    pub masked: RulePolicy,
    pub stale: RulePolicy,
    pub labels: Labels,
}

impl HostTerms {
    fn of(dependency: &Dependency) -> Self {
        HostTerms {
            masked: *dependency.alerts.rule(Rule::RetryMasked),
            stale: *dependency.alerts.rule(Rule::KeepaliveStale),
            labels: Arc::clone(&dependency.labels),
        }
    }

    fn join(&mut self, dependency: &Dependency) {
        self.masked = most_sensitive(self.masked, *dependency.alerts.rule(Rule::RetryMasked));
        self.stale = most_sensitive(self.stale, *dependency.alerts.rule(Rule::KeepaliveStale));
        if !dependency_has_all(dependency, &self.labels) {
            let common = self
                .labels
                .iter()
                .filter(|label| dependency.labels.contains(label));
            self.labels = common.cloned().collect();
        }
    }

    fn rule(&self, rule: Rule) -> &RulePolicy {
        match rule {
            Rule::KeepaliveStale => &self.stale,
            _ => &self.masked,
        }
    }
}

fn dependency_has_all(dependency: &Dependency, labels: &Labels) -> bool {
    Arc::ptr_eq(&dependency.labels, labels) || labels.iter().all(|label| dependency.labels.contains(label))
}

fn most_sensitive(one: RulePolicy, other: RulePolicy) -> RulePolicy {
    match (one.enabled, other.enabled) {
        (true, false) => one,
        (false, _) => other,
        (true, true) => RulePolicy {
            enabled: true,
            severity: one.severity.max(other.severity),
            hold: one.hold.min(other.hold),
            recover: one.recover.max(other.recover),
            threshold: one.threshold.min(other.threshold),
            minimum: one.minimum.min(other.minimum),
        },
    }
}

impl Engine {
    /// The subject of that key, if it is in the plan.
    pub(super) fn who(&self, subject: &Subject) -> Option<Who> {
        match subject {
            Subject::Dependency(name) => self.tables.index_of(name).map(Who::Dependency),
            Subject::Host(key) => self.tables.host_of(key).map(Who::Host),
            Subject::Monitor => Some(Who::Monitor),
        }
    }

    pub(super) fn key_of(&self, who: Who, rule: Rule) -> Option<AlertKey> {
        let subject = match who {
            Who::Dependency(index) => {
                Subject::Dependency(Arc::clone(&self.tables.slot(index)?.dependency.name))
            }
            Who::Host(place) => Subject::Host(self.tables.hosts.get(place)?.key.clone()),
            Who::Monitor => Subject::Monitor,
        };
        Some(AlertKey { rule, subject })
    }

    /// By what that rule judges the subject.
    pub(super) fn terms(&self, who: Who, rule: Rule) -> Option<RulePolicy> {
        match who {
            Who::Dependency(index) => Some(*self.tables.slot(index)?.dependency.alerts.rule(rule)),
            Who::Host(place) => Some(*self.tables.hosts.get(place)?.terms.as_ref()?.rule(rule)),
            Who::Monitor => Some(*self.alerts.terms.monitor.rule(rule)),
        }
    }

    pub(super) fn marks_mut(&mut self, who: Who) -> Option<&mut Marks> {
        match who {
            Who::Dependency(index) => Some(&mut self.tables.slot_mut(index)?.marks),
            Who::Host(place) => Some(&mut self.tables.hosts.get_mut(place)?.marks),
            Who::Monitor => Some(&mut self.alerts.marks),
        }
    }

    pub(super) fn marks(&self, who: Who) -> Marks {
        let marks = match who {
            Who::Dependency(index) => self.tables.slot(index).map(|slot| slot.marks),
            Who::Host(place) => self.tables.hosts.get(place).map(|host| host.marks),
            Who::Monitor => Some(self.alerts.marks),
        };
        marks.unwrap_or_default()
    }

    /// Its own labels and those that every alert carries; its own win.
    pub(super) fn alert_labels(&self, who: Who) -> Labels {
        let own = match who {
            Who::Dependency(index) => self.tables.slot(index).map(|slot| &slot.dependency.labels),
            Who::Host(place) => self
                .tables
                .hosts
                .get(place)
                .and_then(|host| host.terms.as_ref())
                .map(|terms| &terms.labels),
            Who::Monitor => None,
        };
        if who == Who::Monitor
            && let Some(replica) = &self.alerts.replica
        {
            // Of several replicas it is this one that has the trouble.
            let mut labels = self.alerts.terms.labels.to_vec();
            labels.push(("replica".into(), Arc::clone(replica)));
            labels.sort();
            return labels.into();
        }
        let common = &self.alerts.terms.labels;
        let Some(own) = own else { return Arc::clone(common) };
        if common.is_empty() {
            return Arc::clone(own);
        }
        let of_all = common
            .iter()
            .filter(|(name, _)| !own.iter().any(|(known, _)| known == name));
        let mut labels: Vec<_> = own.iter().chain(of_all).cloned().collect();
        labels.sort();
        labels.into()
    }

    pub(super) fn alert_severity(&self, who: Who, rule: Rule) -> Severity {
        self.terms(who, rule)
            .map_or(Severity::Info, |policy| policy.severity)
    }

    /// After a change of the plan: by what each host's alerts are raised from now on.
    pub(super) fn settle_host_terms(&mut self, neighbours: &[Arc<Dependency>]) {
        for (_, host) in self.tables.hosts.iter_mut() {
            host.terms = None;
        }
        for (_, slot) in self.tables.slots.iter() {
            let Some(host) = self.tables.hosts.get_mut(slot.host) else {
                continue;
            };
            match &mut host.terms {
                Some(terms) => terms.join(&slot.dependency),
                none => *none = Some(Box::new(HostTerms::of(&slot.dependency))),
            }
        }
        for neighbour in neighbours {
            if let Some(host) = self.tables.host_mut(&neighbour.host)
                && let Some(terms) = &mut host.terms
            {
                terms.join(neighbour);
            }
        }
    }
}
