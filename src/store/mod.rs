//! The state directory: what must survive a restart, written so that a crash at any moment leaves all of it or what was
//! there before.
//!
//! The engine says what is to be kept ([`Output::Persist`](crate::engine::Output::Persist)), a thread of its own writes
//! it down ([`Writer`]), and the engine hears when it is safe ([`Input::Persisted`](crate::engine::Input::Persisted)). A
//! store that fails stops nobody: what could not be written stays in memory, is tried again, and is said.
//!
//! # Another kind of record
//!
//! 1. `model/record.rs`: a variant of `Record` with what is kept (civil time only), one of `RecordKind` with its table's
//!    name, and a `RecordKey` to find it by.
//! 2. `store/codec/`: how it is written, as a struct of its own with a version; never a type of `model` itself, which
//!    may change.
//! 3. The engine: push `Change::Put(record)` through `Engine::persist` when it changes, and take it in
//!    `Engine::restore`, which is called once, before the first plan.
//!
//! # The file
//!
//! `whyd.redb` holds one table per kind, from a key to JSON with its version. What this version does not know (a table, a
//! record's version) is passed over and left as it is; a record is replaced only when there is something newer to say
//! under the same key. A file that cannot be read is moved aside, never deleted. `lock` is held while a daemon uses the
//! directory.

mod codec;
mod file;
pub mod found;
mod lock;
mod survey;
mod writer;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::record::Record;

pub use survey::{Survey, survey};
pub use writer::{OnWritten, StoreStatus, Writer, Writing, Written};

use file::{FileError, StateFile};
use lock::{Lock, LockError};

/// Why the state directory cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the state directory {directory} is in use by another whyd{}", by.as_deref().map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    InUse { directory: PathBuf, by: Option<String> },
    #[error("the state directory {directory} cannot be used: {error}")]
    Directory { directory: PathBuf, error: io::Error },
}

/// An opened state directory. While it lives, no other daemon can use the directory.
pub struct Store {
    directory: PathBuf,
    /// `None` where not even the lock could be written (a full disk); then nothing else will be either.
    lock: Option<Lock>,
    file: Option<StateFile>,
    /// Why nothing can be written at present.
    trouble: Option<Arc<str>>,
}

/// What was found in the directory.
pub struct Opened {
    pub store: Store,
    pub records: Vec<Record>,
    /// What a person should hear: a file moved aside, records that this version does not understand.
    pub warnings: Vec<String>,
    /// What another run had written and could not be read: it was moved aside, and all that was remembered is forgotten.
    pub lost: Option<Arc<str>>,
}

impl Store {
    /// Why nothing can be written at present, so that what should be kept is in memory only.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.trouble.clone()
    }

    /// Opens the directory, makes it if need be, and reads everything in it. It blocks.
    ///
    /// # Errors
    /// Another daemon uses it, or it cannot be used for a reason that will not pass: no permission, not a directory. A
    /// disk that is full or fails is no error: the daemon works, keeps what it has in memory, and tries again.
    pub fn open(directory: &Path) -> Result<Opened, OpenError> {
        let unusable = |error| OpenError::Directory {
            directory: directory.to_owned(),
            error,
        };
        lock::make_directory(directory).map_err(unusable)?;
        let mut warnings = Vec::new();
        let lock = match Lock::take(directory) {
            Ok(lock) => Some(lock),
            Err(LockError::Held { by }) => {
                return Err(OpenError::InUse {
                    directory: directory.to_owned(),
                    by,
                });
            }
            Err(LockError::Io(error)) if is_lasting(&error) => return Err(unusable(error)),
            Err(LockError::Io(error)) => {
                warnings.push(format!("{} cannot be locked: {error}", directory.display()));
                None
            }
        };
        let mut trouble = None;
        let (file, records, lost) = match file::open_or_move_aside(directory, &mut warnings) {
            Ok(found) => (Some(found.file), found.records, found.lost),
            Err(problem) => {
                warnings.push(format!(
                    "nothing is read from {}, and what should be kept stays in memory until it can be written: {problem}",
                    directory.display()
                ));
                trouble = Some(problem.to_string().into());
                (None, Vec::new(), None)
            }
        };
        let store = Store {
            directory: directory.to_owned(),
            lock,
            file,
            trouble,
        };
        Ok(Opened {
            store,
            records,
            warnings,
            lost,
        })
    }
}

/// Whether such an error is a mistake of whoever chose the directory, and not a state of the disk that may pass.
fn is_lasting(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotFound
    )
}

/// The lock that could not be taken when the daemon started cannot be taken now either, or somebody else has it.
fn lock_failed(error: LockError) -> FileError {
    let error = match error {
        LockError::Held { .. } => io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another whyd has taken the state directory meanwhile",
        ),
        LockError::Io(error) => error,
    };
    FileError::Other(Box::new(redb::Error::Io(error)))
}
