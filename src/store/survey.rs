//! A look at a state directory from outside, which changes nothing in it. For `whyd doctor`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{file, lock};

/// What lies in a state directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Bytes of the records' file; `None` where there is none yet.
    pub file: Option<u64>,
    /// Whether that file may be read and written by us, or the error number.
    pub usable: Option<Result<(), i32>>,
    /// Files that were found damaged and moved aside.
    pub damaged: Vec<PathBuf>,
    /// The process that has the directory locked, where the kernel tells.
    pub held_by: Option<u32>,
}

/// # Errors
/// The directory is not there, is none, or may not be looked into.
pub fn survey(directory: &Path) -> io::Result<Survey> {
    let mut survey = Survey::default();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(file::DAMAGED) {
            survey.damaged.push(entry.path());
        }
    }
    survey.damaged.sort();
    let records = directory.join(file::FILE);
    survey.file = fs::metadata(&records).ok().map(|file| file.len());
    if survey.file.is_some() {
        let opened = fs::OpenOptions::new().read(true).write(true).open(&records);
        survey.usable = Some(
            opened
                .map(drop)
                .map_err(|error| error.raw_os_error().unwrap_or(0)),
        );
    }
    survey.held_by = fs::metadata(directory.join(lock::FILE))
        .ok()
        .and_then(|file| holder(&fs::read_to_string("/proc/locks").ok()?, file.ino()));
    Ok(survey)
}

/// Who holds an advisory lock on the file of that number: `1: FLOCK  ADVISORY  WRITE 707 00:1a:1234 0 EOF` (proc_locks(5)).
/// It is read rather than tried: a lock that is tried is held for a moment, in which a daemon that starts would not get it.
/// Devices are not compared, since some file systems show another than the kernel's; that another file system has a lock
/// on a file of the same number is told by the process's own note.
fn holder(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, place, ..] = words[..] else {
            return None;
        };
        let number: u64 = place.rsplit(':').next()?.parse().ok()?;
        (number == inode).then(|| pid.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::lock::Lock;

    #[test]
    fn the_holder_of_a_lock_is_read_from_the_kernels_table() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 00:1a:77 0 EOF\n\
            2: FLOCK  ADVISORY  WRITE 707 fe:00:77 0 EOF\n\
            3: -> FLOCK  ADVISORY  WRITE 808 fe:00:78 0 EOF\n";
        assert_eq!(holder(locks, 77), Some(707));
        assert_eq!(holder(locks, 78), None, "who waits for a lock has none");
    }

    #[test]
    fn a_directory_in_use_is_seen_and_left_as_it_is() {
        let directory = std::env::temp_dir().join(format!("whyd-survey-{}", std::process::id()));
        assert!(survey(&directory).is_err());
        fs::create_dir_all(&directory).expect("a directory");
        assert_eq!(survey(&directory).expect("it is there"), Survey::default());
        let lock = Lock::take(&directory).expect("nobody has it");
        let damaged = directory.join("whyd.redb.damaged-1");
        fs::write(&damaged, "x").expect("a file");
        let seen = survey(&directory).expect("it is there");
        assert_eq!(seen.held_by, Some(std::process::id()));
        assert_eq!((seen.file, seen.damaged), (None, vec![damaged]));
        drop(lock);
        assert_eq!(survey(&directory).expect("it is there").held_by, None);
        fs::remove_dir_all(&directory).expect("it was there");
    }
}
