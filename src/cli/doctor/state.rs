//! The state directory: whether what must survive a restart can be kept.

use std::ffi::CString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use super::surroundings::Who;
use super::system;
use crate::store::{Survey, survey};

/// Free bytes below which it is said, and below which it is a problem. The file of 10,000 dependencies with alerts has some
/// tens of megabytes, and grows by copying pages before it frees the old ones.
const LITTLE: u64 = 64 << 20;
const NONE: u64 = 4 << 20;

pub struct Facts {
    pub directory: Option<Directory>,
}

pub struct Directory {
    pub path: PathBuf,
    pub contents: Contents,
    /// Whether we may write there, or into what is above it where it is not there yet; or the error number.
    pub writable: Result<(), i32>,
    pub space: Option<Space>,
    /// Whose the process is that has it locked.
    pub holder_uid: Option<u32>,
}

pub enum Contents {
    Seen(Survey),
    NotThere,
    /// Why it cannot be looked into.
    Unreadable(String),
}

#[derive(Clone, Copy)]
pub struct Space {
    pub bytes: u64,
    /// `None` where the file system does not count files.
    pub files: Option<u64>,
}

impl Facts {
    pub fn gather(directory: Option<PathBuf>) -> Self {
        Facts {
            directory: directory.map(Directory::gather),
        }
    }
}

impl Facts {
    /// Whose the state directory is: the process that has it locked.
    pub fn held_by(&self) -> Option<u32> {
        match &self.directory.as_ref()?.contents {
            Contents::Seen(seen) => seen.held_by,
            _ => None,
        }
    }
}

impl Directory {
    fn gather(path: PathBuf) -> Self {
        let contents = match survey(&path) {
            Ok(seen) => Contents::Seen(seen),
            Err(error) if error.kind() == ErrorKind::NotFound => Contents::NotThere,
            Err(error) => Contents::Unreadable(error.raw_os_error().map_or(error.to_string(), system::error)),
        };
        let there = path
            .ancestors()
            .find(|part| part.exists())
            .unwrap_or(Path::new("/"));
        let held_by = match &contents {
            Contents::Seen(seen) => seen.held_by,
            _ => None,
        };
        let process = held_by.and_then(|pid| std::fs::metadata(format!("/proc/{pid}")).ok());
        Directory {
            writable: may_write(there),
            space: space(there),
            holder_uid: process.map(|process| process.uid()),
            contents,
            path,
        }
    }
}

/// Whether files can be made in that directory, by the kernel's own judgement: modes, access lists, read-only mounts.
fn may_write(directory: &Path) -> Result<(), i32> {
    let path = CString::new(directory.as_os_str().as_bytes()).map_err(|_| libc::EINVAL)?;
    // SAFETY: the path is a C string that lives through the call, which touches nothing else.
    let answer = unsafe {
        libc::faccessat(
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::W_OK | libc::X_OK,
            libc::AT_EACCESS,
        )
    };
    if answer == 0 {
        return Ok(());
    }
    Err(std::io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EACCES))
}

fn space(directory: &Path) -> Option<Space> {
    let path = CString::new(directory.as_os_str().as_bytes()).ok()?;
    // SAFETY: all-zero is a valid statvfs, which the call fills.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a C string and the structure is ours; both live through the call.
    if unsafe { libc::statvfs(path.as_ptr(), &mut found) } != 0 {
        return None;
    }
    Some(Space {
        bytes: found.f_bavail.saturating_mul(found.f_frsize),
        files: (found.f_files > 0).then_some(found.f_favail),
    })
}

pub fn judge(who: &Who, facts: &Facts) -> Vec<Finding> {
    let Some(directory) = &facts.directory else {
        let seen =
            "there is no state directory: a restart forgets alerts, what is still to be told, and silences";
        let fix = "whyd run --state-dir DIR; StateDirectory= in a unit; a volume in a container";
        return vec![Finding::warning("state", seen).fix(fix)];
    };
    let subject = directory.path.display().to_string();
    let mut findings = Vec::new();
    match (&directory.contents, directory.writable) {
        (Contents::NotThere, Ok(())) => {
            findings.push(Finding::ok("state", "is not there yet; the daemon makes it"));
        }
        (Contents::NotThere, Err(errno)) => {
            let seen = format!(
                "is not there and cannot be made by user {}: {}",
                who.uid,
                system::error(errno)
            );
            let fix = format!("install -d -m 0700 -o {} -g {} {subject}", who.uid, who.gid);
            findings.push(Finding::problem("state", seen).fix(fix));
        }
        (Contents::Unreadable(why), _) => {
            let seen = format!("cannot be looked into by user {}: {why}", who.uid);
            findings.push(Finding::problem("state", seen).fix(format!("ls -ld {subject}")));
        }
        (Contents::Seen(_), Err(errno)) => findings.push(not_writable(who, &subject, errno)),
        (Contents::Seen(seen), Ok(())) => {
            findings.extend(contents(who, &subject, seen, directory.holder_uid))
        }
    }
    if let Some(space) = directory.space {
        findings.extend(little_space(&subject, space));
    }
    findings.into_iter().map(|found| found.on(&subject)).collect()
}

fn not_writable(who: &Who, subject: &str, errno: i32) -> Finding {
    let seen = format!(
        "cannot be written to by user {}: {}",
        who.uid,
        system::error(errno)
    );
    let fix = match errno {
        libc::EROFS => format!("mount a volume at {subject}, or name another directory by --state-dir"),
        _ => format!("chown -R {}:{} {subject}, or run as its owner", who.uid, who.gid),
    };
    Finding::problem("state", seen).fix(fix)
}

fn contents(who: &Who, subject: &str, seen: &Survey, holder_uid: Option<u32>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let size = match seen.file {
        Some(bytes) => format!("{} KiB", bytes.div_ceil(1024)),
        None => "nothing yet".to_owned(),
    };
    match (seen.usable, seen.held_by) {
        (Some(Err(errno)), _) => {
            let text = format!(
                "whyd.redb cannot be opened by user {}: {}",
                who.uid,
                system::error(errno)
            );
            let fix = format!("chown {}:{} {subject}/whyd.redb", who.uid, who.gid);
            findings.push(Finding::problem("state", text).fix(fix));
        }
        (_, Some(pid)) => {
            let text = format!("is in use by process {pid} and holds {size}");
            findings.push(match holder_uid {
                Some(uid) if uid != who.uid => Finding::warning(
                    "state",
                    format!("{text}; that one is user {uid} and this is user {}, so that what is said of permissions may not hold for it", who.uid),
                )
                .fix(format!("setpriv --reuid={uid} --clear-groups whyd doctor …")),
                _ => Finding::ok("state", text),
            });
        }
        (_, None) => findings.push(Finding::ok(
            "state",
            format!("can be written to and holds {size}"),
        )),
    }
    if let Some(first) = seen.damaged.first() {
        let text = format!(
            "{} found damaged and moved aside, the first {}: what was remembered there is forgotten",
            match seen.damaged.len() {
                1 => "a file was".to_owned(),
                many => format!("{many} files were"),
            },
            first.display()
        );
        findings.push(Finding::warning("state", text).fix(format!(
            "look at the disk (dmesg), then rm {subject}/whyd.redb.damaged-*"
        )));
    }
    findings
}

fn little_space(subject: &str, space: Space) -> Option<Finding> {
    let fix = format!("df -h {subject}; df -i {subject}");
    let seen = format!("its file system has {} MiB left", space.bytes >> 20);
    if space.files == Some(0) {
        return Some(Finding::problem("state", "its file system has no room for another file").fix(fix));
    }
    match space.bytes {
        bytes if bytes < NONE => Some(Finding::problem("state", seen).fix(fix)),
        bytes if bytes < LITTLE => Some(Finding::warning("state", seen).fix(fix)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    const WHO: Who = Who {
        uid: 65_532,
        gid: 65_532,
    };

    fn directory(contents: Contents, writable: Result<(), i32>) -> Directory {
        Directory {
            path: "/var/lib/whyd".into(),
            contents,
            writable,
            space: None,
            holder_uid: None,
        }
    }

    fn found(directory: Directory) -> Vec<Finding> {
        let facts = Facts {
            directory: Some(directory),
        };
        judge(&WHO, &facts)
    }

    fn levels(directory: Directory) -> Vec<Level> {
        found(directory).iter().map(|found| found.level).collect()
    }

    #[test]
    fn where_nothing_can_be_kept_is_a_problem_with_the_command_that_mends_it() {
        let seen = || Contents::Seen(Survey::default());
        assert_eq!(levels(directory(seen(), Ok(()))), [Level::Ok]);
        assert_eq!(levels(directory(Contents::NotThere, Ok(()))), [Level::Ok]);
        let denied = found(directory(seen(), Err(libc::EACCES)));
        assert_eq!(denied[0].level, Level::Problem);
        assert_eq!(
            denied[0].fix.as_deref(),
            Some("chown -R 65532:65532 /var/lib/whyd, or run as its owner")
        );
        let read_only = found(directory(seen(), Err(libc::EROFS)));
        assert!(
            read_only[0]
                .fix
                .as_deref()
                .is_some_and(|fix| fix.starts_with("mount a volume"))
        );
        assert_eq!(
            levels(directory(Contents::NotThere, Err(libc::EACCES))),
            [Level::Problem]
        );
        assert_eq!(judge(&WHO, &Facts { directory: None })[0].level, Level::Warning);
    }

    #[test]
    fn who_uses_it_and_what_was_lost_are_told() {
        let used = || Survey {
            file: Some(4096),
            usable: Some(Ok(())),
            held_by: Some(7),
            damaged: Vec::new(),
        };
        let by = |uid| Directory {
            holder_uid: Some(uid),
            ..directory(Contents::Seen(used()), Ok(()))
        };
        assert_eq!(levels(by(65_532)), [Level::Ok]);
        assert_eq!(levels(by(0)), [Level::Warning]);
        let unusable = Survey {
            usable: Some(Err(libc::EACCES)),
            ..used()
        };
        assert_eq!(
            levels(directory(Contents::Seen(unusable), Ok(()))),
            [Level::Problem]
        );
        let damaged = Survey {
            damaged: vec!["/var/lib/whyd/whyd.redb.damaged-1".into()],
            ..Survey::default()
        };
        assert_eq!(
            levels(directory(Contents::Seen(damaged), Ok(()))),
            [Level::Ok, Level::Warning]
        );
    }

    #[test]
    fn a_full_disk_is_seen_before_it_is_full() {
        let level = |mebibytes: u64, files| {
            let space = Space {
                bytes: mebibytes << 20,
                files,
            };
            little_space("/x", space).map(|found| found.level)
        };
        assert_eq!(level(2, None), Some(Level::Problem));
        assert_eq!(level(30, Some(9)), Some(Level::Warning));
        assert_eq!(level(300, Some(0)), Some(Level::Problem));
        assert_eq!(level(300, None), None);
    }

    #[test]
    fn the_kernel_says_what_may_be_written() {
        assert_eq!(may_write(&std::env::temp_dir()), Ok(()));
        assert!(may_write(Path::new("/proc/1/fdinfo/x")).is_err());
        assert!(space(Path::new("/")).is_some_and(|space| space.bytes > 0));
    }
}
