//! Listens to a source as the daemon does.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Telling, Watching, watch};
use crate::model::discovery::{News, Source, SourceKind, Target, Update};

/// What was heard last.
pub struct Heard {
    updates: mpsc::Receiver<Update>,
    pub targets: Arc<[Target]>,
    /// Their addresses.
    pub found: Vec<String>,
    /// Empty while it can look.
    pub failed: String,
    _ends: Ends,
}

enum Ends {
    Watching { _watching: Watching },
    Task(JoinHandle<()>),
}

impl Drop for Ends {
    fn drop(&mut self) {
        if let Ends::Task(task) = self {
            task.abort();
        }
    }
}

pub fn listen(kind: SourceKind) -> Heard {
    let source = Source {
        name: "s".into(),
        kind,
        linger: Duration::ZERO,
    };
    let (send, updates) = mpsc::channel(16);
    let watching = watch(&source, Arc::from([]), send);
    Heard::with(updates, Ends::Watching { _watching: watching })
}

impl Heard {
    /// Of one edge, with settings that the configuration does not admit.
    pub fn of<F: Future<Output = ()> + Send + 'static>(run: impl FnOnce(Telling) -> F) -> Heard {
        let (updates, heard) = mpsc::channel(16);
        let source = "s".into();
        let task = tokio::spawn(run(Telling { source, updates }));
        Heard::with(heard, Ends::Task(task))
    }

    fn with(updates: mpsc::Receiver<Update>, ends: Ends) -> Heard {
        Heard {
            updates,
            targets: Arc::from([]),
            found: Vec::new(),
            failed: String::new(),
            _ends: ends,
        }
    }

    /// Listens until it is so.
    pub async fn until(&mut self, is_so: impl Fn(&Heard) -> bool) {
        let limit = tokio::time::Instant::now() + Duration::from_secs(20);
        while !is_so(self) {
            let update = tokio::time::timeout_at(limit, self.updates.recv()).await;
            let Ok(Some(update)) = update else {
                panic!("last heard: {:?}, {:?}", self.found, self.failed);
            };
            match update.news {
                News::Found(targets) => {
                    assert!(targets.is_sorted_by(|a, b| a.id < b.id), "{targets:?}");
                    self.found = targets.iter().map(|target| target.address.to_string()).collect();
                    self.targets = targets;
                    self.failed.clear();
                }
                News::Failed(why) => self.failed = why.into(),
                News::Partly(targets, why) => {
                    self.found = targets.iter().map(|target| target.address.to_string()).collect();
                    self.targets = targets;
                    self.failed = why.into();
                }
                News::Refused(_) => {}
            }
        }
    }
}
