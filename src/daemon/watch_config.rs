//! Reading the configuration again when it has changed, for those who cannot send a signal: Kubernetes writes a mounted
//! ConfigMap or Secret anew and tells nobody in the container.
//!
//! What counts is the content. Such a mount is changed by one rename of the link `..data`, which moves no file that was
//! named; editors write a file in several steps or put another in its place; network file systems tell of nothing. So
//! whatever the system tells is only a reason to look, and it is looked without a reason now and then.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::warn;

use crate::config;
use crate::net::ways;
use crate::web::ReloadRequest;

use super::reading::{self, Reading};

/// When it is looked.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// After this time even if nothing tells of a change.
    look: Duration,
    /// Whoever writes has finished when nothing happened for so long.
    quiet: Duration,
    /// Whoever writes without end is not waited for longer.
    patience: Duration,
    /// What cannot be read within this time cannot be read.
    limit: Duration,
}

/// A kubelet alone needs about a minute for a changed ConfigMap.
const PACE: Pace = Pace {
    look: Duration::from_secs(30),
    quiet: Duration::from_millis(500),
    patience: Duration::from_secs(5),
    limit: reading::LIMIT,
};

/// What the configuration consists of: names and contents of its files, or why they cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Content(u64),
    Unreadable(String),
}

/// The configuration as it was when this was made. It belongs before the first load, so that no change falls between.
#[derive(Debug)]
pub struct ConfigWatch {
    path: PathBuf,
    seen: Seen,
    pace: Pace,
}

impl ConfigWatch {
    pub fn new(path: &Path) -> Self {
        ConfigWatch {
            path: path.to_owned(),
            seen: look(path),
            pace: PACE,
        }
    }

    /// Asks for a reload whenever the configuration is another than it was, until nobody takes the requests any more. One
    /// that was refused is asked for again when it has changed once more. Must be called within a tokio runtime.
    pub fn start(self, reloads: mpsc::Sender<ReloadRequest>) {
        let (told, tell) = mpsc::channel(1);
        let watcher = watcher(&self.path, told);
        tokio::spawn(self.follow(watcher, tell, reloads));
    }

    async fn follow(
        mut self,
        watcher: Option<RecommendedWatcher>,
        mut told: mpsc::Receiver<()>,
        reloads: mpsc::Sender<ReloadRequest>,
    ) {
        let reading = Reading::default();
        loop {
            tokio::select! {
                () = reloads.closed() => return,
                () = change(&mut told, watcher.is_some(), self.pace) => {}
            }
            let path = self.path.clone();
            // Whatever keeps it from being read: that is one state, of which the service says more.
            let now = match reading.within(self.pace.limit, move || look(&path)).await {
                Ok(now) => now,
                Err(_) => Seen::Unreadable("it does not answer".into()),
            };
            if now == self.seen {
                continue;
            }
            self.seen = now;
            let (reply, outcome) = oneshot::channel();
            if reloads.send(ReloadRequest { reply }).await.is_err() {
                return;
            }
            // The service has said in the log what came of it.
            let _ = outcome.await;
        }
    }
}

/// Ends when there may be something to see.
async fn change(told: &mut mpsc::Receiver<()>, is_told: bool, pace: Pace) {
    if !is_told {
        tokio::time::sleep(pace.look).await;
        return;
    }
    if timeout(pace.look, told.recv()).await.is_err() {
        return;
    }
    let patience = Instant::now() + pace.patience;
    loop {
        let quiet = (Instant::now() + pace.quiet).min(patience);
        match timeout_at(quiet, told.recv()).await {
            Ok(Some(())) if Instant::now() < patience => {}
            _ => return,
        }
    }
}

/// The files in the order in which they are loaded, as they are now.
fn look(path: &Path) -> Seen {
    let read = || -> std::io::Result<u64> {
        let mut hasher = DefaultHasher::new();
        for file in config::files(path)? {
            file.hash(&mut hasher);
            std::fs::read(&file)?.hash(&mut hasher);
        }
        Ok(hasher.finish())
    };
    read().map_or_else(|error| Seen::Unreadable(error.to_string()), Seen::Content)
}

/// Has the system tell of changes. Where it does not (the user has no inotify instances left, for one), looking now and then
/// must do.
fn watcher(path: &Path, told: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let tell = move |event: notify::Result<notify::Event>| {
        // One that waits already says enough. Errors may stand for events that were lost.
        if event.map_or(true, |event| may_change(&event.kind)) {
            let _ = told.try_send(());
        }
    };
    let watching = notify::recommended_watcher(tell).and_then(|mut watcher| {
        for directory in ways::directories(path) {
            watcher.watch(&directory, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    });
    watching
        .inspect_err(|error| {
            warn!(
                "nothing tells of changes of {} ({error}); it is looked at every {:?}",
                path.display(),
                PACE.look
            );
        })
        .ok()
}

/// Reading is told as well, and it is we who read.
fn may_change(kind: &EventKind) -> bool {
    !matches!(kind, EventKind::Access(kind) if *kind != AccessKind::Close(AccessMode::Write))
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Self {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path =
                std::env::temp_dir().join(format!("whyd-watch-config-{}-{number}", std::process::id()));
            fs::create_dir_all(&path).expect("a directory");
            Directory(path)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, text).expect("written");
            path
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn only_what_is_loaded_counts() {
        let directory = Directory::new();
        let file = directory.write("a.yaml", "a");
        let before = look(&directory.0);
        directory.write("notes.txt", "something");
        directory.write(".hidden.yaml", "something");
        directory.write("a.yaml", "a");
        assert_eq!(
            look(&directory.0),
            before,
            "no file of the configuration has changed"
        );
        directory.write("b.yml", "");
        let with_another = look(&directory.0);
        assert_ne!(with_another, before);
        directory.write("a.yaml", "b");
        assert_ne!(look(&directory.0), with_another);
        assert!(matches!(look(&file), Seen::Content(_)));
        assert!(matches!(look(&directory.0.join("absent")), Seen::Unreadable(_)));
    }

    #[test]
    fn our_own_reading_is_no_reason_to_look() {
        assert!(!may_change(&EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!may_change(&EventKind::Access(AccessKind::Read)));
        assert!(!may_change(&EventKind::Access(AccessKind::Close(
            AccessMode::Read
        ))));
        assert!(may_change(&EventKind::Access(AccessKind::Close(
            AccessMode::Write
        ))));
        assert!(may_change(&EventKind::Any));
    }

    const SHORT: Pace = Pace {
        look: Duration::from_millis(10),
        quiet: Duration::from_millis(20),
        patience: Duration::from_millis(200),
        limit: Duration::from_secs(10),
    };

    /// A file system that tells of nothing: a change is found all the same, once, and what does not change is not asked for.
    #[tokio::test]
    async fn what_nothing_tells_of_is_found() {
        let directory = Directory::new();
        let file = directory.write("whyd.yaml", "one");
        let mut watch = ConfigWatch::new(&file);
        watch.pace = SHORT;
        let (reloads, mut requests) = mpsc::channel::<ReloadRequest>(4);
        let (_told, tell) = mpsc::channel(1);
        tokio::spawn(watch.follow(None, tell, reloads));
        let looks = 20 * SHORT.look;
        assert!(
            timeout(looks, requests.recv()).await.is_err(),
            "nothing has changed"
        );
        fs::rename(directory.write("next", "two"), &file).expect("in its place");
        let request = requests.recv().await.expect("a request");
        request.reply.send(Err("refused".into())).expect("somebody waits");
        let again = timeout(looks, requests.recv()).await;
        assert!(again.is_err(), "what was refused is not asked for again");
        fs::remove_file(&file).expect("it was there");
        let request = requests.recv().await.expect("a request");
        request.reply.send(Err("refused".into())).expect("somebody waits");
    }

    /// A FIFO that nobody writes to is as silent as a file on a dead mount: that is a change, and so is what comes after it.
    #[tokio::test]
    async fn what_does_not_answer_is_asked_for_once_and_so_is_what_answers_again() {
        let directory = Directory::new();
        let file = directory.write("whyd.yaml", "one");
        let mut watch = ConfigWatch::new(&file);
        watch.pace = Pace {
            limit: Duration::from_millis(50),
            ..SHORT
        };
        let (reloads, mut requests) = mpsc::channel::<ReloadRequest>(4);
        let (_told, tell) = mpsc::channel(1);
        let name = std::ffi::CString::new(directory.0.join("fifo").display().to_string()).expect("no NUL");
        // SAFETY: the name is a C string that lives until after the call.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0, "a FIFO");
        fs::rename(directory.0.join("fifo"), &file).expect("in its place");
        tokio::spawn(watch.follow(None, tell, reloads));
        let request = requests.recv().await.expect("a request");
        request.reply.send(Err("refused".into())).expect("somebody waits");
        let looks = tokio::time::sleep(20 * SHORT.look);
        tokio::select! {
            _ = requests.recv() => panic!("it was asked for already"),
            () = looks => {}
        }
        // Whoever was held by it reads this, and ends.
        fs::write(&file, "two").expect("somebody reads");
        fs::rename(directory.write("next", "two"), &file).expect("in its place");
        let request = requests.recv().await.expect("a request");
        request.reply.send(Ok("reloaded".into())).expect("somebody waits");
    }

    /// Whoever writes without end is followed now and then.
    #[tokio::test]
    async fn a_change_is_waited_for_until_it_is_quiet_but_not_for_ever() {
        let (told, mut tell) = mpsc::channel(1);
        let pace = Pace {
            look: Duration::from_secs(60),
            ..SHORT
        };
        told.send(()).await.expect("room");
        let began = Instant::now();
        change(&mut tell, true, pace).await;
        assert!(began.elapsed() >= pace.quiet);
        let writer = tokio::spawn(async move {
            while told.send(()).await.is_ok() {
                tokio::task::yield_now().await;
            }
        });
        let began = Instant::now();
        change(&mut tell, true, pace).await;
        assert!(began.elapsed() >= pace.patience);
        writer.abort();
    }
}
