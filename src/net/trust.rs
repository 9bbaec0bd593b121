//! Which certificate authorities are trusted: the system's, read once, and those of PEM files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, pem};

/// A file of certificates that cannot be used. It names the file and what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("cannot read the CA file {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the CA file {} is not PEM: {reason}", path.display())]
    NotPem { path: PathBuf, reason: String },
    #[error("the CA file {} holds no certificate", path.display())]
    Empty { path: PathBuf },
    #[error("certificate {number} of the CA file {} cannot be used: {reason}", path.display())]
    Unusable {
        path: PathBuf,
        /// From 1 in the order of the file.
        number: usize,
        reason: String,
    },
}

/// A set of trust anchors. Immutable; cheap to clone.
#[derive(Clone, Debug)]
pub struct Trust {
    roots: Arc<RootCertStore>,
    /// The certificates of the files, as given.
    given: Arc<[CertificateDer<'static>]>,
    id: u64,
}

impl Trust {
    /// The system's roots: those that rustls-native-certs finds (it honours `SSL_CERT_FILE` and `SSL_CERT_DIR`), or
    /// Mozilla's compiled-in list where the system has none. Read once in the life of the process, which takes some
    /// milliseconds of blocking file access.
    pub fn system() -> Trust {
        static SYSTEM: OnceLock<Trust> = OnceLock::new();
        SYSTEM
            .get_or_init(|| Trust::new(system_roots(), Vec::new()))
            .clone()
    }

    /// The certificates of these PEM files, besides the system's unless `only_given`. Reads files (blocking).
    ///
    /// # Errors
    /// A file cannot be read, is not PEM, or holds no certificate or one that cannot be a trust anchor.
    pub fn with_files(files: &[PathBuf], only_given: bool) -> Result<Trust, TrustError> {
        if files.is_empty() && !only_given {
            return Ok(Trust::system());
        }
        let mut roots = if only_given {
            RootCertStore::empty()
        } else {
            (*Trust::system().roots).clone()
        };
        let mut given = Vec::new();
        for path in files {
            for (position, certificate) in certificates(path)?.into_iter().enumerate() {
                roots
                    .add(certificate.clone())
                    .map_err(|err| TrustError::Unusable {
                        path: path.clone(),
                        number: position + 1,
                        reason: err.to_string(),
                    })?;
                given.push(certificate);
            }
        }
        Ok(Trust::new(roots, given))
    }

    fn new(roots: RootCertStore, given: Vec<CertificateDer<'static>>) -> Trust {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Trust {
            roots: Arc::new(roots),
            given: given.into(),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }

    pub fn roots(&self) -> &Arc<RootCertStore> {
        &self.roots
    }

    /// The certificates that files gave, in their order; empty for the system's trust.
    pub fn given(&self) -> &[CertificateDer<'static>] {
        &self.given
    }

    /// Different for every set that was loaded in this process: what was verified against one holds for that one.
    pub fn id(&self) -> u64 {
        self.id
    }
}

/// What the system has of certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemTrust {
    /// Those that can be used.
    pub used: usize,
    /// Files and directories that were there and could not be read.
    pub errors: Vec<String>,
    /// Whether Mozilla's compiled-in list stands in, since there are none.
    pub compiled_in: bool,
}

/// Looks at the system's authorities as [`Trust::system`] does. Blocks for some milliseconds.
pub fn survey() -> SystemTrust {
    let native = rustls_native_certs::load_native_certs();
    let (used, _) = RootCertStore::empty().add_parsable_certificates(native.certs);
    SystemTrust {
        used,
        errors: native.errors.iter().map(ToString::to_string).collect(),
        compiled_in: used == 0,
    }
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!(error = %error, "a system root certificate was not read");
    }
    // A system's bundle may hold oddities that no verifier takes; they are left out as every client does.
    let (used, ignored) = roots.add_parsable_certificates(native.certs);
    if used == 0 {
        tracing::debug!(
            ignored,
            "the system has no root certificates; Mozilla's list stands in"
        );
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

/// Every certificate of a PEM file, in its order; other sections are passed over.
///
/// # Errors
/// The file cannot be read, is not PEM, or holds no certificate.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let bytes = std::fs::read(path).map_err(|source| TrustError::Read {
        path: path.to_owned(),
        source,
    })?;
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|err| TrustError::NotPem {
        path: path.to_owned(),
        reason: pem_reason(&err).to_owned(),
    })?;
    if found.is_empty() {
        return Err(TrustError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(found)
}

/// What is wrong with a PEM file, in words that quote nothing of it: the file may hold a private key.
pub fn pem_reason(err: &pem::Error) -> &'static str {
    match err {
        pem::Error::MissingSectionEnd { .. } => "a section has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "a section is not base64",
        pem::Error::NoItemsFound => "it holds no such section",
        _ => "it cannot be read",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(name: &str, content: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("whyd-trust-{}-{name}", std::process::id()));
        std::fs::File::create(&path)
            .unwrap()
            .write_all(content.as_bytes())
            .unwrap();
        path
    }

    fn authority(name: &str) -> String {
        crate::lab::certs::Authority::new(name).unwrap().pem().to_owned()
    }

    #[test]
    fn the_system_has_roots_and_they_are_read_once() {
        let first = Trust::system();
        assert!(!first.roots().is_empty());
        assert!(Arc::ptr_eq(first.roots(), Trust::system().roots()));
        let same = Trust::with_files(&[], false).unwrap();
        assert_eq!(same.id(), first.id());
    }

    #[test]
    fn files_add_to_the_system_or_stand_alone() {
        let path = file("two.pem", &format!("{}{}", authority("a"), authority("b")));
        let alone = Trust::with_files(std::slice::from_ref(&path), true).unwrap();
        assert_eq!((alone.roots().len(), alone.given().len()), (2, 2));
        let added = Trust::with_files(std::slice::from_ref(&path), false).unwrap();
        assert_eq!(added.roots().len(), Trust::system().roots().len() + 2);
        assert_ne!(added.id(), alone.id());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn errors_name_the_file() {
        let missing = Trust::with_files(&["/nonexistent/ca.pem".into()], true).unwrap_err();
        assert!(missing.to_string().contains("/nonexistent/ca.pem"), "{missing}");
        let empty = file("empty.pem", "# nothing\n");
        let err = Trust::with_files(std::slice::from_ref(&empty), true).unwrap_err();
        assert!(matches!(err, TrustError::Empty { .. }), "{err}");
        let broken = file(
            "broken.pem",
            "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        );
        let err = Trust::with_files(std::slice::from_ref(&broken), true).unwrap_err();
        assert!(matches!(err, TrustError::NotPem { .. }), "{err}");
        let cut = file(
            "cut.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        );
        let err = Trust::with_files(std::slice::from_ref(&cut), true).unwrap_err();
        assert!(matches!(err, TrustError::Unusable { number: 1, .. }), "{err}");
        for path in [empty, broken, cut] {
            std::fs::remove_file(path).unwrap();
        }
    }
}
