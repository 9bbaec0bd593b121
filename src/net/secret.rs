//! Secrets from files and credentials: read when needed, kept, and read again when the file changes.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::secret::{CREDENTIALS_DIRECTORY, Secret, SecretRef, Text};
use crate::net::stamp::FileStamp;

/// Larger files are not secrets but mistakes.
const MAX_SIZE: u64 = 1 << 20;
/// Files kept. More than that are not in one plan, so that the rest are left over from earlier plans.
const MAX_KEPT: usize = 8_192;

/// Why a secret could not be had. It names the file and never its content.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the {what}: {reason}")]
pub struct SecretError {
    /// The file that was to be read; of a credential where there are none, its name.
    pub path: PathBuf,
    what: What,
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum What {
    #[error("secret file {}", .0.display())]
    File(PathBuf),
    #[error("credential {0}")]
    Credential(Arc<str>),
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is larger than {MAX_SIZE} bytes")]
    TooLarge,
    #[error("it is not UTF-8 text")]
    NotText,
    #[error(
        "systemd handed over none ({CREDENTIALS_DIRECTORY} is not set); its unit needs LoadCredential={0}:PATH"
    )]
    NoCredentials(Arc<str>),
    #[error("systemd did not hand it over; its unit needs LoadCredential={0}:PATH")]
    NoSuchCredential(Arc<str>),
}

impl SecretError {
    /// The system's error number, where it was a system call that failed.
    pub fn errno(&self) -> Option<i32> {
        match &self.reason {
            Reason::Io(err) => err.raw_os_error(),
            Reason::NoSuchCredential(_) => Some(libc::ENOENT),
            Reason::TooLarge | Reason::NotText | Reason::NoCredentials(_) => None,
        }
    }
}

/// Resolves references to secrets. Shared by reference; its `Debug` shows no secret.
#[derive(Debug, Default)]
pub struct Secrets {
    kept: Mutex<HashMap<PathBuf, (FileStamp, Secret)>>,
    /// Where the credentials are, if the service manager handed over any.
    credentials: Option<PathBuf>,
}

impl Secrets {
    /// Credentials are those of this process.
    pub fn new() -> Self {
        Secrets::with_credentials(std::env::var_os(CREDENTIALS_DIRECTORY).map(PathBuf::from))
    }

    fn with_credentials(credentials: Option<PathBuf>) -> Self {
        Secrets {
            kept: Mutex::default(),
            credentials,
        }
    }

    /// The secret as it is now. A file that did not change since it was last read costs one stat(2).
    ///
    /// # Errors
    /// The file cannot be read, is larger than 1 MiB or is not UTF-8.
    pub fn resolve(&self, secret: &SecretRef) -> Result<Secret, SecretError> {
        match secret {
            SecretRef::Inline(secret) => Ok(secret.clone()),
            SecretRef::File(path) => self.file(path).map_err(|reason| SecretError {
                path: path.clone(),
                what: What::File(path.clone()),
                reason,
            }),
            SecretRef::Credential(name) => self.credential(name).map_err(|reason| SecretError {
                path: self.credentials.as_deref().unwrap_or(Path::new("")).join(&**name),
                what: What::Credential(name.clone()),
                reason,
            }),
        }
    }

    fn credential(&self, name: &Arc<str>) -> Result<Secret, Reason> {
        let Some(directory) = &self.credentials else {
            return Err(Reason::NoCredentials(name.clone()));
        };
        // `config` has seen to it that the name is a file's and leads nowhere else.
        self.file(&directory.join(&**name))
            .map_err(|reason| match reason {
                Reason::Io(err) if err.kind() == io::ErrorKind::NotFound => {
                    Reason::NoSuchCredential(name.clone())
                }
                other => other,
            })
    }

    /// The text as it is now, secret or not. The caller takes care of where it goes.
    ///
    /// # Errors
    /// As [`Secrets::resolve`].
    pub fn text(&self, text: &Text) -> Result<Arc<str>, SecretError> {
        match text {
            Text::Plain(text) => Ok(text.clone()),
            Text::Secret(secret) => Ok(self.resolve(secret)?.expose().into()),
        }
    }

    fn file(&self, path: &Path) -> Result<Secret, Reason> {
        // The stamp is taken before the content: a change between the two is seen the next time.
        let stamp = FileStamp::of(path)?;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, secret)) = kept.get(path)
            && *known == stamp
        {
            return Ok(secret.clone());
        }
        drop(kept);
        let secret = read(path)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(path.to_owned(), (stamp, secret.clone()));
        Ok(secret)
    }
}

fn read(path: &Path) -> Result<Secret, Reason> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_SIZE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(Reason::TooLarge);
    }
    let text = String::from_utf8(bytes).map_err(|_| Reason::NotText)?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct TempFile(PathBuf);

    impl TempFile {
        fn new(name: &str, content: &[u8]) -> TempFile {
            let path = std::env::temp_dir().join(format!("whyd-secret-{}-{name}", std::process::id()));
            std::fs::write(&path, content).unwrap();
            TempFile(path)
        }
    }

    impl Drop for TempFile {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_file_is_read_again_when_it_changes() {
        let file = TempFile::new("change", b"first\n");
        let secrets = Secrets::new();
        let secret = SecretRef::File(file.0.clone());
        assert_eq!(secrets.resolve(&secret).unwrap().expose(), "first");
        std::fs::write(&file.0, b"the second\r\n").unwrap();
        assert_eq!(secrets.resolve(&secret).unwrap().expose(), "the second");
        assert_eq!(&*secrets.text(&Text::Secret(secret)).unwrap(), "the second");
        assert!(!format!("{secrets:?}").contains("second"));
    }

    #[test]
    fn a_file_that_did_not_change_is_not_read_again() {
        let file = TempFile::new("kept", b"one");
        let secrets = Secrets::new();
        let secret = SecretRef::File(file.0.clone());
        secrets.resolve(&secret).unwrap();
        let modified = std::fs::metadata(&file.0).unwrap().modified().unwrap();
        let handle = std::fs::OpenOptions::new().write(true).open(&file.0).unwrap();
        std::os::unix::fs::FileExt::write_at(&handle, b"two", 0).unwrap();
        handle.set_modified(modified).unwrap();
        assert_eq!(secrets.resolve(&secret).unwrap().expose(), "one");
    }

    #[test]
    fn a_credential_is_a_file_of_the_directory_that_the_service_manager_names() {
        let file = TempFile::new("credential", b"s3cret\n");
        let directory = file.0.parent().unwrap().to_owned();
        let name: Arc<str> = file.0.file_name().unwrap().to_str().unwrap().into();
        let secrets = Secrets::with_credentials(Some(directory));
        let secret = SecretRef::Credential(name);
        assert_eq!(secrets.resolve(&secret).unwrap().expose(), "s3cret");
        std::fs::write(&file.0, b"rotated").unwrap();
        assert_eq!(secrets.resolve(&secret).unwrap().expose(), "rotated");

        let err = secrets
            .resolve(&SecretRef::Credential("whyd-absent".into()))
            .unwrap_err();
        assert_eq!(
            err.to_string(),
            "cannot read the credential whyd-absent: systemd did not hand it over; its unit needs \
             LoadCredential=whyd-absent:PATH"
        );
        assert_eq!(err.errno(), Some(libc::ENOENT));
        let err = Secrets::with_credentials(None).resolve(&secret).unwrap_err();
        assert!(
            err.to_string().contains("CREDENTIALS_DIRECTORY is not set"),
            "{err}"
        );
    }

    #[test]
    fn errors_name_the_path_and_not_the_content() {
        let file = TempFile::new("binary", b"hunter2\xff");
        let secrets = Secrets::new();
        let err = secrets.resolve(&SecretRef::File(file.0.clone())).unwrap_err();
        assert!(err.to_string().contains(file.0.to_str().unwrap()), "{err}");
        assert!(!format!("{err} {err:?}").contains("hunter2"));
        assert_eq!(err.errno(), None);

        let err = secrets
            .resolve(&SecretRef::File("/nonexistent/whyd".into()))
            .unwrap_err();
        assert!(
            err.to_string()
                .starts_with("cannot read the secret file /nonexistent/whyd: "),
            "{err}"
        );
        assert_eq!(err.errno(), Some(libc::ENOENT));
    }
}
