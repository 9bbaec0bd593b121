//! What the engine hands out to be kept, and what it is given back at its start.

use crate::model::alert::AlertState;
use crate::model::record::{Change, PersistSeq, Record};
use crate::model::time::Now;

use super::{Engine, Output};

/// How far what was handed out has come.
#[derive(Debug, Default)]
pub struct Persist {
    last: PersistSeq,
    durable: PersistSeq,
    answered: PersistSeq,
}

impl Persist {
    /// The number of the next thing that is handed out.
    fn next(&mut self) -> PersistSeq {
        self.last.0 += 1;
        self.last
    }

    /// Everything up to `seq` was written, or could not be.
    pub fn answered(&mut self, seq: PersistSeq, durable: bool) {
        self.answered = self.answered.max(seq);
        if durable {
            self.durable = self.durable.max(seq);
        }
    }

    /// Whether what was handed out under that number is on disk, or could not be written: then it is acted upon all the
    /// same, since an alert that is told and might be told again is better than one that is not told.
    pub fn is_answered(&self, seq: PersistSeq) -> bool {
        seq <= self.answered
    }

    /// Whether what was handed out under that number is on disk.
    pub fn is_durable(&self, seq: PersistSeq) -> bool {
        seq <= self.durable
    }
}

impl Engine {
    /// Hands changes out to be kept. The number tells, in time, whether they are.
    pub(super) fn persist(&mut self, changes: Vec<Change>, out: &mut Vec<Output>) -> PersistSeq {
        let seq = self.persist.next();
        out.push(Output::Persist { seq, changes });
        seq
    }

    /// Takes what was kept by another run, before the first plan comes.
    pub fn restore(&mut self, records: Vec<Record>, now: Now) {
        for record in records {
            match record {
                Record::IdleTimeout { host, measurement } => self.restore_idle(host, measurement),
                Record::Names {
                    dependency,
                    name,
                    seen,
                } => self.names_kept.add(dependency, name, seen),
                Record::Alert(kept) => {
                    self.restore_member(&kept, now);
                    // One that is over is kept only until that is told.
                    if kept.state != AlertState::Quiet {
                        self.restore_alert(*kept, now);
                    }
                }
                Record::Incident(kept) => self.restore_incident(*kept, now),
                Record::Outbox(kept) => self.restore_notification(*kept, now),
                Record::Silence(silence) => self.restore_silence(*silence),
                Record::Signals(kept) => self.restore_signals(*kept),
            }
        }
    }
}
