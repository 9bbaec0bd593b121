//! Whether a file changed since it was last read, by its metadata.

use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// What of a file's metadata changes when its content does. The inode tells a file that another one replaced within
/// the resolution of its time stamp, as Kubernetes does with the link of a mounted secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    modified: Option<SystemTime>,
    len: u64,
    inode: u64,
}

impl FileStamp {
    /// # Errors
    /// The file is not there or may not be looked at.
    pub fn of(path: &Path) -> io::Result<FileStamp> {
        std::fs::metadata(path).map(|metadata| FileStamp::new(&metadata))
    }

    fn new(metadata: &Metadata) -> FileStamp {
        FileStamp {
            modified: metadata.modified().ok(),
            len: metadata.len(),
            inode: inode(metadata),
        }
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}
