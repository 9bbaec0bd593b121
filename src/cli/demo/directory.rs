//! A private directory that lives as long as its handle.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many names are tried before giving up.
const NAMES: u32 = 1000;

/// Readable by this user only; removed with its content when dropped.
#[derive(Debug)]
pub struct PrivateDirectory(PathBuf);

impl PrivateDirectory {
    /// Makes a new directory below the system's place for temporary files.
    ///
    /// # Errors
    /// It cannot be made there.
    pub fn create() -> io::Result<PrivateDirectory> {
        // A name is not used again in the same process, so that one that is gone stays gone.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let parent = std::env::temp_dir();
        let process = std::process::id();
        for _ in 0..NAMES {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("whyd-demo-{process}-{number}"));
            // mkdir(2) fails on anything that is already there, so that nobody can put a link in our way.
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(PrivateDirectory(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    #[cfg(test)]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and returns its path.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, content: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        std::fs::write(&path, content)?;
        Ok(path)
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_private_and_goes_with_its_handle() {
        let one = PrivateDirectory::create().unwrap();
        let other = PrivateDirectory::create().unwrap();
        assert_ne!(one.path(), other.path());
        let file = one.write("a.txt", "content").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "content");
        let mode = std::fs::metadata(one.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && other.path().exists());
    }
}
