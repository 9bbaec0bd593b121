//! Placeholder for the certificate factory: just what the demo and the lab's tests call until the real one is merged.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, Error, IsCa, Issuer, KeyPair};

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// What a certificate is to say.
#[derive(Clone, Debug, Default)]
pub struct CertSpec {
    names: Vec<String>,
    expired: bool,
}

impl CertSpec {
    pub fn named<S: Into<String>>(names: impl IntoIterator<Item = S>) -> CertSpec {
        CertSpec {
            names: names.into_iter().map(Into::into).collect(),
            expired: false,
        }
    }

    pub fn expired(self, _ago: Duration) -> CertSpec {
        CertSpec {
            expired: true,
            ..self
        }
    }
}

/// A certificate with its key, in PEM.
pub struct Issued {
    pub chain_pem: String,
    pub key_pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Result<Authority, Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Authority {
            issuer: Issuer::new(params, key),
            pem,
        })
    }

    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub fn issue(&self, spec: CertSpec) -> Result<Issued, Error> {
        let mut params = CertificateParams::new(spec.names)?;
        if spec.expired {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate()?;
        Ok(Issued {
            chain_pem: params.signed_by(&key, &self.issuer)?.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}
