//! Prepared client sides: one per distinct settings, loaded when first needed and again when one of its files changes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::aia;
use super::certificate::Certificate;
use super::crl::Crls;
use super::recorder::{Memory, Recorder};
use crate::model::dependency::{ClientCert, TlsMinVersion, TlsSettings};
use crate::net::crypto;
use crate::net::stamp::FileStamp;
use crate::net::trust::{self, Trust};

/// Distinct settings kept. Each with CA files of its own holds a copy of the system's roots, of about 60 KiB.
const MAX_SLOTS: usize = 256;
/// How long files are taken to be unchanged without looking.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Client sides for all handshakes, and what they learnt. Shared by reference.
pub(crate) struct TlsClients {
    slots: Mutex<HashMap<Key, Slot>>,
    memory: Arc<Memory>,
}

/// What of the settings needs a client side of its own: the name and the protocols offered go with each handshake.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    ca: Arc<[PathBuf]>,
    only_given_ca: bool,
    crl: Arc<[PathBuf]>,
    client_cert: Option<ClientCert>,
    min_version: TlsMinVersion,
}

struct Slot {
    state: Arc<SlotState>,
    used: Instant,
}

#[derive(Default)]
struct SlotState {
    current: Mutex<Option<(Arc<Prepared>, Instant)>>,
    /// Held while loading, so that a thousand probes at the start read the files once.
    loading: tokio::sync::Mutex<()>,
}

impl SlotState {
    /// What is prepared, if its files were looked at a short while ago.
    fn fresh(&self) -> Option<Arc<Prepared>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (prepared, looked_at) = current.as_ref()?;
        (prepared.files.is_empty() || looked_at.elapsed() < LOOK_AGAIN).then(|| prepared.clone())
    }

    fn stale(&self) -> Option<Arc<Prepared>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|(prepared, _)| prepared.clone())
    }

    fn set(&self, prepared: Option<Arc<Prepared>>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = prepared.map(|prepared| (prepared, Instant::now()));
    }
}

impl TlsClients {
    pub fn new() -> Self {
        crypto::install();
        TlsClients {
            slots: Mutex::default(),
            memory: Arc::default(),
        }
    }

    /// The client side for these settings.
    ///
    /// # Errors
    /// A file cannot be had or used; the text names it and says why.
    pub(super) async fn prepared(&self, settings: &TlsSettings) -> Result<Arc<Prepared>, Box<str>> {
        let key = Key {
            ca: settings.ca.clone(),
            only_given_ca: settings.only_given_ca,
            crl: settings.crl.clone(),
            client_cert: settings.client_cert.clone(),
            min_version: settings.min_version,
        };
        let slot = self.slot(&key);
        if let Some(prepared) = slot.fresh() {
            return Ok(prepared);
        }
        let _loading = slot.loading.lock().await;
        if let Some(prepared) = slot.fresh() {
            return Ok(prepared);
        }
        let stale = slot.stale();
        let loaded = tokio::task::spawn_blocking(move || match stale {
            Some(prepared) if prepared.files_unchanged() => Ok(prepared),
            _ => Prepared::load(&key).map(Arc::new),
        });
        let loaded = loaded
            .await
            .unwrap_or_else(|err| Err(format!("loading the TLS settings ended early: {err}").into()));
        slot.set(loaded.as_ref().ok().cloned());
        loaded
    }

    /// Keeps the authorities of a fetched file, whatever they are: they prove something only where they complete a path.
    pub fn learn_fetched(&self, body: &[u8]) {
        for der in aia::certificates(body) {
            if let Ok(certificate) = Certificate::parse(&der)
                && certificate.is_ca
            {
                self.memory.fetched.remember(certificate.subject, &der);
            }
        }
    }

    pub(super) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    fn slot(&self, key: &Key) -> Arc<SlotState> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(slot) = slots.get_mut(key) {
            slot.used = now;
            return slot.state.clone();
        }
        if slots.len() >= MAX_SLOTS {
            let oldest = slots
                .iter()
                .min_by_key(|(_, slot)| slot.used)
                .map(|(key, _)| key.clone());
            oldest.and_then(|oldest| slots.remove(&oldest));
        }
        let state = Arc::<SlotState>::default();
        let slot = Slot {
            state: state.clone(),
            used: now,
        };
        slots.insert(key.clone(), slot);
        state
    }
}

#[cfg(test)]
impl TlsClients {
    /// As if the time for which files are taken to be unchanged were over.
    pub fn look_at_files_again(&self) {
        for slot in self.slots.lock().unwrap().values() {
            if let Some((_, looked_at)) = slot.state.current.lock().unwrap().as_mut() {
                *looked_at -= LOOK_AGAIN;
            }
        }
    }

    pub fn kept(&self) -> usize {
        self.slots.lock().unwrap().len()
    }
}

/// One client side, ready for handshakes.
pub(super) struct Prepared {
    trust: Trust,
    crls: Crls,
    client_key: Option<Arc<CertifiedKey>>,
    /// Trusts nobody: each handshake puts its own verifier in.
    base: ClientConfig,
    files: Vec<(PathBuf, FileStamp)>,
}

impl Prepared {
    fn load(key: &Key) -> Result<Prepared, Box<str>> {
        let client_files = key.client_cert.iter().flat_map(|cert| [&cert.chain, &cert.key]);
        // Stamps are taken before the contents are read: a change between the two is seen the next time.
        let mut files = Vec::new();
        for path in key.ca.iter().chain(key.crl.iter()).chain(client_files) {
            let stamp =
                FileStamp::of(path).map_err(|err| format!("cannot read {}: {err}", path.display()))?;
            files.push((path.clone(), stamp));
        }
        let trust = Trust::with_files(&key.ca, key.only_given_ca).map_err(|err| err.to_string())?;
        let crls = match key.crl.is_empty() {
            true => Crls::default(),
            false => Crls::load(&key.crl)?,
        };
        let provider = crypto::provider();
        let client_key = match &key.client_cert {
            Some(cert) => Some(Arc::new(client_key(cert, &provider)?)),
            None => None,
        };
        let mut base = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions(key.min_version))
            .map_err(|err| err.to_string())?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        // A resumed handshake shows no certificate.
        base.resumption = Resumption::disabled();
        Ok(Prepared {
            trust,
            crls,
            client_key,
            base,
            files,
        })
    }

    fn files_unchanged(&self) -> bool {
        let unchanged =
            |(path, stamp): &(PathBuf, FileStamp)| FileStamp::of(path).is_ok_and(|now| now == *stamp);
        self.files.iter().all(unchanged)
    }

    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Revocation lists, none where no file was given.
    pub fn crls(&self) -> &Crls {
        &self.crls
    }

    pub fn client_key(&self) -> Option<&Arc<CertifiedKey>> {
        self.client_key.as_ref()
    }

    /// The configuration of one handshake, which `recorder` watches and decides.
    pub fn config(&self, recorder: &Arc<Recorder>) -> Arc<ClientConfig> {
        let mut config = self.base.clone();
        config.dangerous().set_certificate_verifier(recorder.clone());
        config.client_auth_cert_resolver = recorder.clone();
        Arc::new(config)
    }
}

fn versions(min: TlsMinVersion) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_12: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
    static FROM_13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
    match min {
        TlsMinVersion::Tls12 => &FROM_12,
        TlsMinVersion::Tls13 => &FROM_13,
    }
}

fn client_key(files: &ClientCert, provider: &CryptoProvider) -> Result<CertifiedKey, Box<str>> {
    let chain = trust::certificates(&files.chain).map_err(|err| err.to_string())?;
    let key = private_key(&files.key)?;
    CertifiedKey::from_der(chain, key, provider).map_err(|err| {
        let (chain, key) = (files.chain.display(), files.key.display());
        format!("the client certificate {chain} and the key {key} cannot be used together: {err}").into()
    })
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Box<str>> {
    let bytes = std::fs::read(path).map_err(|err| format!("cannot read {}: {err}", path.display()))?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|err| {
        let encrypted = bytes.windows(9).any(|part| part == b"ENCRYPTED");
        let reason = match err {
            pem::Error::NoItemsFound if encrypted => {
                "the key is encrypted, and there is nobody to ask for its password"
            }
            pem::Error::NoItemsFound => "it holds no private key",
            err => trust::pem_reason(&err),
        };
        format!("the private key {} cannot be used: {reason}", path.display()).into()
    })
}
