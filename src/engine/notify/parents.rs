//! Who needs whom (`depends_on`), and which of them fail.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::model::alert::{AlertKey, Rule, Subject};
use crate::model::dependency::Dependency;

use super::super::alert::{Alert, Alerts};

/// The graph of `depends_on`, both ways. Only those that have a part in it are in it.
#[derive(Debug, Default)]
pub struct Parents {
    parents: HashMap<Arc<str>, Arc<[Arc<str>]>>,
    children: HashMap<Arc<str>, Vec<Arc<str>>>,
}

impl Parents {
    pub fn of(dependencies: &[Arc<Dependency>]) -> Parents {
        let mut graph = Parents::default();
        for dependency in dependencies
            .iter()
            .filter(|dependency| !dependency.depends_on.is_empty())
        {
            for parent in dependency.depends_on.iter() {
                let children = graph.children.entry(Arc::clone(parent)).or_default();
                children.push(Arc::clone(&dependency.name));
            }
            graph
                .parents
                .insert(Arc::clone(&dependency.name), Arc::clone(&dependency.depends_on));
        }
        graph
    }

    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }

    /// Whether another one needs it.
    pub fn is_needed(&self, name: &str) -> bool {
        self.children.contains_key(name)
    }

    /// Every dependency that it needs, directly or not.
    pub fn ancestors(&self, name: &Arc<str>) -> Vec<Arc<str>> {
        reach(name, |name| {
            self.parents.get(name).map_or(&[][..], |parents| parents)
        })
    }

    /// Every dependency that needs it, directly or not.
    pub fn descendants(&self, name: &Arc<str>) -> Vec<Arc<str>> {
        reach(name, |name| {
            self.children.get(name).map_or(&[][..], |children| children)
        })
    }

    /// The failing ancestor at which it began: the one that has no failing ancestor itself. Of several the first by name.
    pub fn failing_root(&self, name: &Arc<str>, alerts: &Alerts) -> Option<Arc<str>> {
        if !self.parents.contains_key(name) {
            return None;
        }
        let failing: Vec<Arc<str>> = self
            .ancestors(name)
            .into_iter()
            .filter(|ancestor| is_failing(ancestor, alerts))
            .collect();
        let is_root = |candidate: &&Arc<str>| {
            let above = self.ancestors(candidate);
            !above.iter().any(|other| failing.contains(other))
        };
        failing.iter().filter(is_root).min().cloned()
    }
}

/// What is reached from `name`, without itself. Cycles are refused by the configuration, and end here all the same.
fn reach<'g>(name: &Arc<str>, next: impl Fn(&str) -> &'g [Arc<str>]) -> Vec<Arc<str>> {
    let mut seen: BTreeSet<Arc<str>> = BTreeSet::new();
    let mut found = Vec::new();
    let mut waiting: VecDeque<&Arc<str>> = next(name).iter().collect();
    while let Some(one) = waiting.pop_front() {
        if one != name && seen.insert(Arc::clone(one)) {
            found.push(Arc::clone(one));
            waiting.extend(next(one));
        }
    }
    found
}

/// The alerts that say that a dependency is down, and are not quiet.
pub fn down_alerts<'a>(
    name: &Arc<str>,
    alerts: &'a Alerts,
) -> impl Iterator<Item = (AlertKey, &'a Alert)> + use<'a> {
    let subject = Subject::Dependency(Arc::clone(name));
    [Rule::DependencyDownFast, Rule::DependencyDownSlow]
        .into_iter()
        .filter_map(move |rule| {
            let key = AlertKey {
                rule,
                subject: subject.clone(),
            };
            let alert = alerts.get(&key)?;
            Some((key, alert))
        })
}

/// Whether it fails: a down alert of it is pending or raised.
pub fn is_failing(name: &Arc<str>, alerts: &Alerts) -> bool {
    use crate::model::alert::AlertState::Quiet;
    down_alerts(name, alerts).any(|(_, alert)| alert.state != Quiet)
}

/// Whether a down alert of it is raised.
pub fn is_down_raised(name: &Arc<str>, alerts: &Alerts) -> bool {
    down_alerts(name, alerts).any(|(_, alert)| alert.state.is_raised())
}
