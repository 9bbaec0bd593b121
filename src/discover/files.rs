//! Files with targets: read when the system tells that they changed, and now and then without a reason, since network file
//! systems tell of nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::Telling;
use super::format::{self, Format, MOST_TARGETS};
use crate::model::discovery::{FileSource, Target};
use crate::net::ways;

/// Whoever writes has finished when nothing happened for so long.
const QUIET: Duration = Duration::from_millis(100);
/// Whoever writes without end is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Files that do not answer for so long are on a mount whose server is dead.
const ANSWERS: Duration = Duration::from_secs(30);
/// Bytes of one file.
const LARGEST: u64 = 64 << 20;
/// Files that a pattern may name.
const MOST_FILES: usize = 1_000;

/// What was read last, by file: what a file that is broken now goes on saying.
type Kept = BTreeMap<PathBuf, Vec<Target>>;

/// Looks at the files until nobody listens any more.
pub async fn run(source: FileSource, before: Arc<[Target]>, telling: Telling) {
    run_within(source, before, telling, ANSWERS).await;
}

/// The same, with how long files may take to answer.
async fn run_within(source: FileSource, before: Arc<[Target]>, telling: Telling, limit: Duration) {
    let (changed, mut changes) = mpsc::channel(1);
    let mut watch = Watch::new(changed);
    let mut kept = by_file(&before);
    let mut ever = false;
    loop {
        let files = Arc::clone(&source.files);
        let before = std::mem::take(&mut kept);
        let mut looked = tokio::task::spawn_blocking(move || {
            watch.renew(&files);
            let looked = look(&files, before);
            let found = format::identify(looked.now.values().flatten().cloned().collect());
            (watch, looked, found)
        });
        let looked = match timeout(limit, &mut looked).await {
            Ok(looked) => looked,
            Err(_) => {
                let why = silent(&source.files, limit);
                if !telling.failed(why).await {
                    return;
                }
                // It ends when they answer again; another one would only hang as well.
                looked.await
            }
        };
        let Ok((same, looked, found)) = looked else {
            // What was found stays with whoever listens.
            telling.failed("reading the files failed by a bug".into()).await;
            return;
        };
        watch = same;
        kept = looked.now;
        // As long as nothing could be read, nothing was found: not even that there is nothing.
        ever |= looked.wrong.is_empty() || looked.read > 0;
        if !telling.looked(ever.then_some(found), &looked.wrong).await {
            return;
        }
        wait(&mut changes, watch.watcher.is_some(), source.refresh).await;
    }
}

fn silent(patterns: &[PathBuf], limit: Duration) -> String {
    let names: Vec<_> = patterns
        .iter()
        .map(|pattern| pattern.display().to_string())
        .collect();
    format!("{}: reading takes longer than {limit:?}", names.join(", "))
}

/// What was found before, by the file that each place names.
fn by_file(before: &[Target]) -> Kept {
    let mut kept = Kept::new();
    for target in before {
        if let Some((file, _)) = target.place.rsplit_once(": [") {
            kept.entry(file.into()).or_default().push(target.clone());
        }
    }
    kept
}

/// Until something changed, or until it is time to look anyway.
async fn wait(changes: &mut mpsc::Receiver<()>, watched: bool, refresh: Duration) {
    let look = Instant::now() + refresh;
    if !watched {
        tokio::time::sleep_until(look).await;
        return;
    }
    if timeout_at(look, changes.recv()).await.is_err() {
        return;
    }
    let patience = Instant::now() + PATIENCE;
    loop {
        let quiet = (Instant::now() + QUIET).min(patience);
        match timeout_at(quiet, changes.recv()).await {
            Ok(Some(())) if Instant::now() < patience => {}
            _ => return,
        }
    }
}

/// Has the system tell of changes.
struct Watch {
    changed: mpsc::Sender<()>,
    /// Each with what it was when it was watched.
    directories: BTreeMap<PathBuf, Option<(u64, u64)>>,
    /// `None` where the system cannot tell.
    watcher: Option<RecommendedWatcher>,
}

impl Watch {
    fn new(changed: mpsc::Sender<()>) -> Watch {
        Watch {
            changed,
            directories: BTreeMap::new(),
            watcher: None,
        }
    }

    /// Watches where the files are now: a directory that was replaced is another one. It belongs before a look, so that no
    /// change falls between.
    fn renew(&mut self, patterns: &[PathBuf]) {
        let now: BTreeMap<_, _> = watched(patterns)
            .into_iter()
            .map(|directory| {
                let what = std::fs::metadata(&directory);
                let what = what.map(|what| (what.dev(), what.ino())).ok();
                (directory, what)
            })
            .collect();
        if now == self.directories && self.watcher.is_some() {
            return;
        }
        self.watcher = watcher(now.keys(), self.changed.clone());
        self.directories = now;
    }
}

/// The directories, since a file that is replaced is another file.
fn watched(patterns: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    for pattern in patterns {
        all.extend(ways::directories(directory_of(pattern)));
        let files = matching(pattern).unwrap_or_default();
        for file in files.iter().filter(|file| file.is_symlink()) {
            all.extend(ways::directories(file));
        }
    }
    all
}

/// `None` where the system cannot tell.
fn watcher<'d>(
    directories: impl Iterator<Item = &'d PathBuf>,
    changed: mpsc::Sender<()>,
) -> Option<RecommendedWatcher> {
    let told = move |event: notify::Result<notify::Event>| {
        // Our own reading is told of too.
        let ours = matches!(&event, Ok(event) if matches!(event.kind, EventKind::Access(kind)
            if kind != AccessKind::Close(AccessMode::Write)));
        if !ours {
            // One that waits is enough.
            let _ = changed.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(told).ok()?;
    let mut watched = false;
    for directory in directories {
        watched |= watcher.watch(directory, RecursiveMode::NonRecursive).is_ok();
    }
    watched.then_some(watcher)
}

fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// What a look at all files gave.
#[derive(Debug, PartialEq, Eq)]
struct Looked {
    now: Kept,
    /// How many files could be read.
    read: usize,
    /// What could not be read, each with its file and place.
    wrong: Vec<String>,
}

fn look(patterns: &[PathBuf], mut before: Kept) -> Looked {
    let mut now = Kept::new();
    let mut wrong = Vec::new();
    let (mut count, mut readable) = (0, 0);
    for pattern in patterns {
        let files = match matching(pattern) {
            Ok(files) => files,
            Err(why) => {
                wrong.push(why);
                // Nobody knows what is there: what was goes on.
                let here = before.extract_if(.., |file, _| matches(pattern, file));
                now.extend(here);
                continue;
            }
        };
        for file in files {
            if now.contains_key(&file) {
                continue;
            }
            match read(&file) {
                Ok(targets) => {
                    readable += 1;
                    count += targets.len();
                    now.insert(file, targets);
                }
                Err(why) if is_absent(&file) => wrong.push(why),
                Err(why) => {
                    wrong.push(why);
                    if let Some(targets) = before.remove(&file) {
                        count += targets.len();
                        now.insert(file, targets);
                    }
                }
            }
        }
    }
    if count > MOST_TARGETS {
        wrong.push(format!(
            "there are more than {MOST_TARGETS} targets; the rest is left out"
        ));
        let mut room = MOST_TARGETS;
        for targets in now.values_mut() {
            targets.truncate(room);
            room -= targets.len();
        }
    }
    Looked {
        now,
        read: readable,
        wrong,
    }
}

/// The targets of one file.
///
/// # Errors
/// Why it cannot be read, with its name and, where it is known, the place.
pub fn read(file: &Path) -> Result<Vec<Target>, String> {
    let name = file.display().to_string();
    let failed = |error: std::io::Error| format!("{name}: {error}");
    let mut text = Vec::new();
    let opened = std::fs::File::open(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound if file.is_symlink() => format!("{name}: the link leads nowhere"),
        _ => failed(error),
    })?;
    opened.take(LARGEST + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > LARGEST {
        return Err(format!("{name}: larger than {LARGEST} bytes"));
    }
    let format = match file.extension().and_then(|end| end.to_str()) {
        Some("json") => Format::Json,
        _ => Format::Yaml,
    };
    format::read(&text, format, &name)
}

/// The files that a pattern names, sorted; those whose names begin with a dot only where the pattern does. A file without
/// `*` is named whether it is there or not, so that one that is missing is said.
///
/// # Errors
/// The directory cannot be read.
pub fn matching(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let last = pattern.file_name().and_then(|name| name.to_str()).unwrap_or("");
    if !last.contains('*') {
        return Ok(vec![pattern.to_owned()]);
    }
    let directory = directory_of(pattern);
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if matches(pattern, &path) && may_be_file(&path) {
            found.push(path);
        }
    }
    if found.len() > MOST_FILES {
        return Err(format!("{}: more than {MOST_FILES} files", pattern.display()));
    }
    found.sort();
    Ok(found)
}

/// Whether a name of a directory is one to be read. What cannot be looked at may be a file, and reading it says what is wrong.
fn may_be_file(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(what) => what.is_file(),
        Err(_) => !is_absent(path),
    }
}

/// Whether there decidedly is no such file: its directory is there, and has no such name. A link that leads nowhere is a name,
/// since the links of a file system that is not mounted all do.
pub fn is_absent(file: &Path) -> bool {
    let nothing = |error: std::io::Error| error.kind() == ErrorKind::NotFound;
    std::fs::symlink_metadata(file).is_err_and(nothing)
        && std::fs::metadata(directory_of(file)).is_ok_and(|directory| directory.is_dir())
}

fn matches(pattern: &Path, file: &Path) -> bool {
    let (Some(wanted), Some(name)) = (pattern.file_name(), file.file_name()) else {
        return false;
    };
    if directory_of(pattern) != directory_of(file) {
        return false;
    }
    let (wanted, name) = (wanted.to_string_lossy(), name.to_string_lossy());
    match wanted.split_once('*') {
        None => wanted == name,
        Some((before, after)) => {
            let long = name.len() >= before.len() + after.len();
            let hidden = name.starts_with('.') && !before.starts_with('.');
            long && !hidden && name.starts_with(before) && name.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests;
