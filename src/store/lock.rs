//! One daemon per state directory: a lock that the system gives up for us, however the process ends.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

pub const FILE: &str = "lock";

/// Makes the directory and its parents; what is in it is nobody else's business.
pub fn make_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Held while it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

#[derive(Debug)]
pub enum LockError {
    /// By the process of that number, as it wrote itself.
    Held {
        by: Option<String>,
    },
    Io(io::Error),
}

impl Lock {
    /// Takes the directory's lock or says who has it. It does not wait.
    pub fn take(directory: &Path) -> Result<Lock, LockError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(directory.join(FILE))
            .map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {
                // Who holds it is a courtesy to whoever finds it held; the lock is the system's.
                let _ = sign(&mut file);
                Ok(Lock { _file: file })
            }
            Err(TryLockError::WouldBlock) => Err(LockError::Held {
                by: signature(&mut file),
            }),
            Err(TryLockError::Error(error)) => Err(LockError::Io(error)),
        }
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn signature(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.to_owned())
}
