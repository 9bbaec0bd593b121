//! The end of each step: what happened to alerts becomes events, records and notifications.

use crate::model::alert::{AlertChange, AlertKey, AlertPage, AlertView};
use crate::model::event::Event;
use crate::model::monitor::SelfFacts;
use crate::model::record::{Change, KeptAlert, RecordKey};
use crate::model::time::Now;

use super::super::{Engine, Output};

impl Engine {
    /// Makes events, records and notifications of what happened. An alert's new state and the notifications of it are
    /// handed over to be kept together, so that a crash leaves both or neither.
    pub(in super::super) fn settle_alerts(&mut self, now: Now, out: &mut Vec<Output>) {
        let changes = self.alerts.take_changes();
        let mut kept: Vec<Change> = Vec::new();
        for (key, _) in &changes {
            kept.push(match self.alerts.kept(key) {
                Some(alert) => Change::Put(crate::model::record::Record::Alert(Box::new(alert))),
                None => Change::Remove(RecordKey::alert(key)),
            });
        }
        self.notify(&changes, now, &mut kept);
        for (key, change) in &changes {
            if let Some(view) = self.alert_view(key, *change) {
                let (change, view) = (*change, Box::new(view));
                out.push(Output::Observed(Event::AlertChanged { change, view }));
            }
        }
        if !kept.is_empty() {
            let seq = self.persist(kept, out);
            self.outbox_handed_over(seq);
        }
        self.dispatch(now, out);
    }

    /// At most `max` alerts that are not quiet, from that place on.
    pub fn alerts(&self, _from: usize, _max: usize, _now: Now) -> AlertPage {
        AlertPage::default()
    }

    /// Every rule for one dependency, for its host, or (`None`) for the monitor, quiet ones too, with the numbers compared;
    /// `None` where there is no dependency of that name.
    pub fn why(&self, _dependency: Option<&str>, _now: Now) -> Option<Vec<AlertView>> {
        None
    }

    fn alert_view(&self, _key: &AlertKey, _change: AlertChange) -> Option<AlertView> {
        None
    }

    pub(in super::super) fn self_observed(&mut self, _facts: SelfFacts, _now: Now) {}

    pub(in super::super) fn restore_alert(&mut self, _kept: KeptAlert, _now: Now) {}
}
