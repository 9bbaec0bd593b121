//! What readers see of alerts: those that are not quiet, and of one dependency all of them with their reasons.

use std::sync::Arc;

use crate::model::alert::{AlertKey, AlertPage, AlertText, AlertView, Evaluation, Holds, Severity};
use crate::model::time::Now;

use super::super::Engine;
use super::subject::Who;
use super::{Alert, words};

impl Engine {
    /// At most `max` alerts that are not quiet, from that place on.
    pub fn alerts(&self, from: usize, max: usize, now: Now) -> AlertPage {
        let mut rest = self.alerts.iter().skip(from);
        let alerts: Vec<AlertView> = rest
            .by_ref()
            .take(max)
            .map(|(key, alert)| self.alert_view(key, Some(alert), now))
            .collect();
        let next = rest.next().map(|_| from + alerts.len());
        AlertPage { alerts, next }
    }

    /// Every rule for one dependency, for its host, or (`None`) for the monitor, quiet ones too, with the numbers compared;
    /// `None` where there is no dependency of that name.
    pub fn why(&self, dependency: Option<&str>, now: Now) -> Option<Vec<AlertView>> {
        let mut subjects = Vec::new();
        match dependency {
            Some(name) => {
                let index = self.tables.index_of(name)?;
                subjects.push(Who::Dependency(index));
                subjects.extend(self.tables.slot(index).map(|slot| Who::Host(slot.host)));
            }
            None => subjects.push(Who::Monitor),
        }
        let mut views = Vec::new();
        for who in subjects {
            for rule in Engine::scope_rules(who.scope()) {
                if let Some(key) = self.key_of(who, rule) {
                    views.push(self.alert_view(&key, self.alerts.get(&key), now));
                }
            }
        }
        Some(views)
    }

    /// Of after the change; what is over has the state that it left and the words that it had.
    pub(super) fn changed_view(&self, key: &AlertKey, now: Now) -> Option<AlertView> {
        let alert = self.alerts.get_or_ended(key)?;
        Some(self.alert_view(key, Some(alert), now))
    }

    fn alert_view(&self, key: &AlertKey, alert: Option<&Alert>, now: Now) -> AlertView {
        let who = self.who(&key.subject);
        AlertView {
            key: key.clone(),
            id: key.id(),
            state: alert.map(|alert| alert.state).unwrap_or_default(),
            severity: match (alert, who) {
                (Some(alert), _) => alert.severity,
                (None, Some(who)) => self.alert_severity(who, key.rule),
                (None, None) => Severity::Info,
            },
            labels: match (alert, who) {
                (Some(alert), _) => Arc::clone(&alert.labels),
                (None, Some(who)) => self.alert_labels(who),
                (None, None) => Arc::from([]),
            },
            text: alert.map_or_else(|| Arc::new(AlertText::default()), |alert| Arc::clone(&alert.text)),
            evaluation: self.evaluation(key, alert, now),
            incident: self.incident_of(key),
            muted: self.muted(key),
            told: self.told(key),
        }
    }

    /// What the rule makes of its subject now, and what follows.
    fn evaluation(&self, key: &AlertKey, alert: Option<&Alert>, now: Now) -> Evaluation {
        let nothing = |text: &str| Evaluation {
            holds: Holds::Unclear,
            compared: Vec::new(),
            text: text.into(),
        };
        let Some(who) = self.who(&key.subject) else {
            return nothing("its subject is not in the configuration any more");
        };
        let Some(policy) = self.terms(who, key.rule) else {
            return nothing("nothing is known of its subject yet");
        };
        if !policy.enabled {
            return nothing("the rule is switched off");
        }
        let mut judged = self.judged(who, key.rule, &policy, now);
        let gap = self.gap_of(who);
        if gap.is_some() {
            judged.holds = Holds::Unclear;
        }
        Evaluation {
            holds: judged.holds,
            compared: judged.compared().cloned().collect(),
            text: words::reason(&judged, alert, &policy, gap, now).into(),
        }
    }

    /// Why nothing can be said of the subject at present.
    fn gap_of(&self, who: Who) -> Option<&'static str> {
        let Who::Dependency(index) = who else { return None };
        let slot = self.tables.slot(index)?;
        if slot.suspended {
            Some("we are offline")
        } else if slot.tally.operations.iter().all(|count| *count == 0) {
            Some("it was not asked yet")
        } else if !slot.conclusive {
            Some("its last operation was inconclusive")
        } else {
            None
        }
    }
}
