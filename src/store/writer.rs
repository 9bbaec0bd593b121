//! Writing without holding anybody up: changes are handed over under a short lock, and a thread of its own writes them.
//!
//! What waits is bounded by what there is to keep: a newer change of the same record takes the older one's place.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::model::record::{Change, PersistSeq, RecordKey};

use super::file::{self, FileError, StateFile};
use super::{Lock, Store};

/// More different records than this do not wait: then something is wrong, and memory is worth more.
const MAX_WAITING: usize = 200_000;
/// After a failed write, how long until the next try.
const RETRY: Duration = Duration::from_secs(15);

/// How the store is doing, for metrics and health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// Why what should be kept is in memory only; `None` while all is well.
    pub trouble: Option<Arc<str>>,
    /// Writes that failed.
    pub failures: u64,
    /// Changes that were not even remembered, because too many waited.
    pub dropped: u64,
}

/// What is told after every write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Of the newest change that was in it or before it.
    pub seq: PersistSeq,
    /// Why it is not on disk, where it is not; then it stays in memory and is tried again.
    pub trouble: Option<Arc<str>>,
}

/// Told after every write.
pub type OnWritten = Box<dyn FnMut(Written) + Send>;

struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    changes: BTreeMap<RecordKey, Change>,
    /// Of the newest change handed over.
    newest: PersistSeq,
    stopping: bool,
    status: StoreStatus,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Plain data, right after every step.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands changes to the thread that writes. Cheap to clone.
#[derive(Clone)]
pub struct Writer(Arc<Shared>);

/// The thread that writes. Dropping it lets the thread end by itself.
pub struct Writing {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(store: Store, on_written: OnWritten) -> std::io::Result<(Writer, Writing)> {
        let waiting = Waiting {
            status: StoreStatus {
                trouble: store.trouble.clone(),
                ..StoreStatus::default()
            },
            ..Waiting::default()
        };
        let shared = Arc::new(Shared {
            waiting: Mutex::new(waiting),
            wake: Condvar::new(),
        });
        let thread = std::thread::Builder::new().name("whyd-store".into()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                Keeper {
                    shared,
                    store,
                    on_written,
                }
                .run();
            }
        })?;
        let writing = Writing {
            shared: Arc::clone(&shared),
            thread: Some(thread),
        };
        Ok((Writer(shared), writing))
    }

    /// Hands changes over. It never waits for the disk.
    pub fn keep(&self, seq: PersistSeq, changes: Vec<Change>) {
        let mut waiting = self.0.lock();
        for change in changes {
            let key = change.key();
            if waiting.changes.len() < MAX_WAITING || waiting.changes.contains_key(&key) {
                waiting.changes.insert(key, change);
            } else {
                waiting.status.dropped += 1;
            }
        }
        waiting.newest = waiting.newest.max(seq);
        drop(waiting);
        self.0.wake.notify_one();
    }

    pub fn status(&self) -> StoreStatus {
        self.0.lock().status.clone()
    }
}

impl Writing {
    /// Lets the thread write what waits, and end. It blocks until then, which takes one write.
    pub fn finish(mut self) {
        self.tell_to_stop();
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed by the thread itself.
            let _ = thread.join();
        }
    }

    fn tell_to_stop(&self) {
        self.shared.lock().stopping = true;
        self.shared.wake.notify_one();
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.tell_to_stop();
    }
}

/// What the thread owns.
struct Keeper {
    shared: Arc<Shared>,
    store: Store,
    on_written: OnWritten,
}

impl Keeper {
    fn run(mut self) {
        loop {
            let (batch, newest, stopping) = self.next_batch();
            if !batch.is_empty() {
                let written = self.write(&batch);
                let trouble = self.note(written, batch);
                (self.on_written)(Written { seq: newest, trouble });
            }
            if stopping {
                return;
            }
        }
    }

    /// Waits for something to write. After a failure it waits for the next try as well, so that a broken disk is not
    /// asked in a loop.
    fn next_batch(&self) -> (BTreeMap<RecordKey, Change>, PersistSeq, bool) {
        let mut waiting = self.shared.lock();
        if waiting.status.trouble.is_some() && !waiting.stopping {
            let waited = self
                .shared
                .wake
                .wait_timeout_while(waiting, RETRY, |waiting| !waiting.stopping);
            waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        while waiting.changes.is_empty() && !waiting.stopping {
            waiting = self
                .shared
                .wake
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        (
            std::mem::take(&mut waiting.changes),
            waiting.newest,
            waiting.stopping,
        )
    }

    fn write(&mut self, batch: &BTreeMap<RecordKey, Change>) -> Result<(), FileError> {
        if self.store.lock.is_none() {
            self.store.lock = Some(Lock::take(&self.store.directory).map_err(super::lock_failed)?);
        }
        let file = match &self.store.file {
            Some(file) => file,
            None => self.store.file.insert(reopen(&self.store.directory)?),
        };
        let written = file.write(batch.values());
        if written.is_err() {
            // After an error redb takes nothing more until it is opened again.
            self.store.file = None;
        }
        written
    }

    /// Notes how it went. What was not written waits again, unless there is something newer.
    fn note(&self, written: Result<(), FileError>, batch: BTreeMap<RecordKey, Change>) -> Option<Arc<str>> {
        let mut waiting = self.shared.lock();
        match written {
            Ok(()) => {
                if waiting.status.trouble.take().is_some() {
                    tracing::info!("what should survive a restart is being written down again");
                }
            }
            Err(error) => {
                waiting.status.failures += 1;
                let is_news = waiting.status.trouble.is_none();
                let text: Arc<str> = error.to_string().into();
                if is_news {
                    tracing::error!(
                        directory = %self.store.directory.display(),
                        "what should survive a restart cannot be written down and is kept in memory: {text}; probing goes on, and it is tried again every {} s",
                        RETRY.as_secs()
                    );
                }
                waiting.status.trouble = Some(text);
                for (key, change) in batch {
                    waiting.changes.entry(key).or_insert(change);
                }
            }
        }
        waiting.status.trouble.clone()
    }
}

/// Opens the file again after an error, or for the first time where the disk was full when the daemon started.
fn reopen(directory: &std::path::Path) -> Result<StateFile, FileError> {
    let mut warnings = Vec::new();
    // What stands in it was read at the start, or could not be; it is written over key by key.
    let file::FirstLook { file, .. } = file::open_or_move_aside(directory, &mut warnings)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(file)
}
