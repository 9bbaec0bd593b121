//! What is told of alerts: incidents, who is not to be told and why, and the outbox.
//!
//! `desk` takes what happens to alerts and keeps the incidents; `factors` says by what alerts hang together; `incident` has
//! one incident and what each receiver knows of it; `pending` those that are about to join; `mutes`, `silences` and
//! `parents` who is not told, `speakers` which replica tells and `peers` what follows from it; `tell` and `words` make the
//! notifications; `outbox` and `queue` see to it that they arrive, `beat` that receivers hear that we live;
//! `join` finds the incident of an alert; `write` keeps them and `restore` takes what another run left; `view` is what
//! readers see.

mod beat;
mod desk;
mod factors;
mod incident;
mod join;
mod mutes;
mod outbox;
mod parents;
mod peers;
mod pending;
mod queue;
mod restore;
mod silences;
mod speakers;
mod tell;
mod view;
mod words;
mod write;

use std::sync::Arc;

use crate::model::alert::{AlertChange, AlertKey, AlertState, Muted};
use crate::model::incident::{IncidentId, IncidentView};
use crate::model::notification::{DeliveryId, DeliveryOutcome, ReceiverView};
use crate::model::plan::Plan;
use crate::model::record::{Change, KeptAlert, KeptIncident, KeptNotification, PersistSeq};
use crate::model::silence::{Opening, Silence, SilenceChange, SilenceView};
use crate::model::time::{Moment, Now, Wall};

pub use desk::Desk;

use super::schedule::Alarm;
use super::{Engine, Output};
use desk::World;

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

/// When the condition of an alert began to hold.
fn pending_since(state: &AlertState) -> Wall {
    match state {
        AlertState::Pending { since } => *since,
        AlertState::Firing { pending, .. } | AlertState::Recovering { pending, .. } => *pending,
        AlertState::Quiet => Wall::default(),
    }
}

impl Engine {
    /// Takes what happened to alerts, and what has become due, and notes what must be kept.
    pub(super) fn notify(&mut self, changes: &[(AlertKey, AlertChange)], now: Now, kept: &mut Vec<Change>) {
        let world = World {
            alerts: &self.alerts,
            tables: &self.tables,
            now,
        };
        self.desk.step(changes, &world, kept);
    }

    /// What `notify` put into the outbox may be sent once that number is on disk, or could not be written.
    pub(super) fn outbox_handed_over(&mut self, seq: PersistSeq) {
        self.desk.outbox.handed_over(seq);
    }

    /// Sends what may be sent, and sets the alarm for what is due next.
    pub(super) fn dispatch(&mut self, now: Now, out: &mut Vec<Output>) {
        let persist = &self.persist;
        let results = self.desk.outbox.run(now, |seq| persist.is_answered(seq), out);
        let events = self.desk.delivered(results, now.wall);
        out.extend(events.into_iter().map(Output::Observed));
        out.extend(self.desk.untold().map(Output::Untold));
        let next = [self.desk.next(), self.desk.outbox.next()]
            .into_iter()
            .flatten()
            .min();
        if let Some(at) = next.filter(|at| *at < Moment::from_nanos(u64::MAX))
            && self.desk.alarm.is_none_or(|set| at < set)
        {
            // What is due now has been done, so that this is later.
            let at = at.max(Moment::from_nanos(now.moment.as_nanos() + 1));
            self.desk.alarm = Some(at);
            self.alarms.set(at, Alarm::Desk);
        }
    }

    /// The alarm has come: whatever is due is done at the end of this step.
    pub(super) fn desk_alarm(&mut self) {
        self.desk.alarm = None;
    }

    /// Takes the receivers, windows and parents of a plan.
    pub(super) fn replan_desk(&mut self, plan: &Plan, now: Now, out: &mut Vec<Output>) {
        let results = self.desk.configure(plan, now);
        let events = self.desk.delivered(results, now.wall);
        out.extend(events.into_iter().map(Output::Observed));
    }

    /// What waits to be told is told now; what is on its way may arrive.
    pub(super) fn stop_desk(&mut self) {
        self.desk.flush();
        self.desk.outbox.stop();
    }

    /// Whether a stop need not wait for deliveries.
    pub(super) fn desk_is_settled(&mut self, now: Now) -> bool {
        self.desk.outbox.is_settled(now.moment)
    }

    pub(super) fn delivery_finished(
        &mut self,
        delivery: DeliveryId,
        outcome: DeliveryOutcome,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let results = self
            .desk
            .outbox
            .finished(delivery, outcome, &mut self.random, now);
        let events = self.desk.delivered(results, now.wall);
        out.extend(events.into_iter().map(Output::Observed));
    }

    pub(super) fn silence_changed(&mut self, change: SilenceChange, _now: Now) {
        let change = self.desk.silences.change(change);
        self.desk.look_at_silences(change);
    }

    pub(super) fn calendar_changed(&mut self, openings: Vec<Opening>, _now: Now) {
        self.desk.silences.open(openings);
        self.desk.look_at_silences(None);
    }

    pub(super) fn restore_incident(&mut self, kept: KeptIncident, _now: Now) {
        self.desk.restored_incidents.push(kept);
    }

    /// Takes from an alert's record which incident it belongs to.
    pub(super) fn restore_member(&mut self, kept: &KeptAlert, _now: Now) {
        if kept.incident.is_some() {
            self.desk.restored_alerts.push(kept.clone());
        }
    }

    pub(super) fn restore_notification(&mut self, kept: KeptNotification, _now: Now) {
        self.desk.outbox.restore(kept);
    }

    pub(super) fn restore_silence(&mut self, silence: Silence) {
        self.desk.silences.restore(silence);
        self.desk.look_at_silences(None);
    }

    /// Those that are open.
    pub fn incidents(&self) -> Vec<IncidentView> {
        self.desk.incident_views(&self.world(Now::default()))
    }

    /// How many are open. Asked for by every export and every look at the health, so it must cost nothing.
    pub fn open_incidents(&self) -> usize {
        self.desk.open
    }

    /// Silences and maintenance windows that have not ended.
    pub fn silences(&self, now: Wall) -> Vec<SilenceView> {
        self.desk.silence_views(now)
    }

    /// How each receiver is doing.
    pub fn receivers(&self) -> Vec<ReceiverView> {
        self.desk.outbox.views()
    }

    /// The incident that the alert belongs to, also at the moment at which it leaves it.
    pub(super) fn incident_of(&self, key: &AlertKey) -> Option<IncidentId> {
        self.desk.incident_of(key)
    }

    /// Why an alert that is raised is not told.
    pub(super) fn muted(&self, key: &AlertKey) -> Option<Muted> {
        let muted = self.desk.member(key)?.muted.clone();
        muted.or_else(|| self.desk.peer_mute(key, &self.world(Now::default())))
    }

    /// What is wrong with deliveries: one entry for each receiver (heartbeats left out) that does not take what it is sent.
    pub(super) fn delivery_troubles(&self) -> Vec<DeliveryTrouble> {
        self.desk.outbox.troubles()
    }

    /// Receivers that acknowledged that the alert fires.
    pub(super) fn told(&self, key: &AlertKey) -> Vec<Arc<str>> {
        self.desk.told(key)
    }

    fn world(&self, now: Now) -> World<'_> {
        World {
            alerts: &self.alerts,
            tables: &self.tables,
            now,
        }
    }
}
