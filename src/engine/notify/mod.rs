//! What is told of alerts: incidents, who is not to be told and why, and the outbox.

use std::sync::Arc;

use crate::model::alert::{AlertChange, AlertKey};
use crate::model::incident::IncidentView;
use crate::model::notification::{DeliveryId, DeliveryOutcome, ReceiverView};
use crate::model::record::{Change, KeptIncident, KeptNotification, PersistSeq};
use crate::model::silence::{Opening, Silence, SilenceChange, SilenceView};
use crate::model::time::{Now, Wall};

use super::{Engine, Output};

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

    pub(super) fn restore_incident(&mut self, _kept: KeptIncident) {}

    pub(super) fn restore_notification(&mut self, _kept: KeptNotification) {}

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

    /// Receivers that acknowledged that the alert fires.
    pub(super) fn told(&self, _key: &AlertKey) -> Vec<Arc<str>> {
        Vec::new()
    }
}
