//! What is told of alerts: incidents, who is not to be told and why, and the outbox.

use std::sync::Arc;

use crate::model::alert::{AlertChange, AlertKey, Muted};
use crate::model::incident::{IncidentId, IncidentView};
use crate::model::notification::{DeliveryId, DeliveryOutcome, ReceiverView};
use crate::model::record::{Change, KeptAlert, KeptIncident, KeptNotification, PersistSeq};
use crate::model::silence::{Opening, Silence, SilenceChange, SilenceView};
use crate::model::time::{Now, Wall};

use super::{Engine, Output};

/// A receiver that does not take what it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryTrouble {
    pub receiver: Arc<str>,
    /// Tries that failed since the last one that did not, and why the last one did.
    pub failed_in_a_row: u32,
    pub why: Box<str>,
    /// When a notification was last given up since something was last delivered.
    pub given_up: Option<Wall>,
}

/// Everything that is to be told, and to whom.
#[derive(Debug, Default)]
pub struct Desk {}

impl Engine {
    /// Takes what happened to alerts, and what has become due, and notes what must be kept.
    pub(super) fn notify(
        &mut self,
        _changes: &[(AlertKey, AlertChange)],
        _now: Now,
        _kept: &mut Vec<Change>,
    ) {
    }

    /// What `notify` put into the outbox may be sent once that number is on disk, or could not be written.
    pub(super) fn outbox_handed_over(&mut self, _seq: PersistSeq) {}

    /// Sends what may be sent.
    pub(super) fn dispatch(&mut self, _now: Now, _out: &mut Vec<Output>) {}

    pub(super) fn delivery_finished(
        &mut self,
        _delivery: DeliveryId,
        _outcome: DeliveryOutcome,
        _now: Now,
        _out: &mut Vec<Output>,
    ) {
    }

    pub(super) fn silence_changed(&mut self, _change: SilenceChange, _now: Now) {}

    pub(super) fn calendar_changed(&mut self, _openings: Vec<Opening>, _now: Now) {}

    pub(super) fn restore_incident(&mut self, _kept: KeptIncident, _now: Now) {}

    /// Takes from an alert's record which incident it belongs to.
    pub(super) fn restore_member(&mut self, _kept: &KeptAlert, _now: Now) {}

    pub(super) fn restore_notification(&mut self, _kept: KeptNotification, _now: Now) {}

    pub(super) fn restore_silence(&mut self, _silence: Silence) {}

    /// Those that are open.
    pub fn incidents(&self) -> Vec<IncidentView> {
        Vec::new()
    }

    /// How many are open. Asked for by every export and every look at the health, so it must cost nothing.
    pub fn open_incidents(&self) -> usize {
        0
    }

    /// Silences and maintenance windows that have not ended.
    pub fn silences(&self, _now: Wall) -> Vec<SilenceView> {
        Vec::new()
    }

    /// How each receiver is doing.
    pub fn receivers(&self) -> Vec<ReceiverView> {
        Vec::new()
    }

    /// The incident that the alert belongs to, also at the moment at which it leaves it.
    pub(super) fn incident_of(&self, _key: &AlertKey) -> Option<IncidentId> {
        None
    }

    /// Why an alert that is raised is not told.
    pub(super) fn muted(&self, _key: &AlertKey) -> Option<Muted> {
        None
    }

    /// What is wrong with deliveries: one entry for each receiver (heartbeats left out) that does not take what it is sent.
    pub(super) fn delivery_troubles(&self) -> Vec<DeliveryTrouble> {
        Vec::new()
    }

    /// Receivers that acknowledged that the alert fires.
    pub(super) fn told(&self, _key: &AlertKey) -> Vec<Arc<str>> {
        Vec::new()
    }
}
