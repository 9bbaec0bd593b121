//! A certificate factory: authorities, and certificates that are right or wrong in the way asked for.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, Error,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason,
    RevokedCertParams, SerialNumber,
};
use rustls::pki_types::CertificateDer;

const DAY: Duration = Duration::from_secs(86_400);

/// A certificate authority: a root, or an intermediate that another one signed.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
    /// PEM of the intermediates from this one up, without the root.
    intermediates: String,
}

/// What a certificate is to say. The default is good: valid from yesterday for 90 days, for servers.
#[derive(Clone, Debug, Default)]
pub struct CertSpec {
    /// DNS names (wildcards too) and addresses, for the subject alternative name.
    pub names: Vec<String>,
    /// The subject's common name; the first of `names` unless given.
    pub common_name: Option<String>,
    pub not_before: Option<SystemTime>,
    pub not_after: Option<SystemTime>,
    pub usage: Usage,
    /// Whether basic constraints say that it is a certificate authority.
    pub is_ca: bool,
}

/// The extended key usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    #[default]
    Server,
    Client,
    /// No such extension, which allows everything.
    Any,
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate and the intermediates above it, as a server presents them: leaf first, no root.
    pub chain_pem: String,
    /// The certificate alone.
    pub pem: String,
    pub key_pem: String,
    pub der: CertificateDer<'static>,
}

impl CertSpec {
    /// A good certificate for these names and addresses.
    pub fn named<S: Into<String>>(names: impl IntoIterator<Item = S>) -> CertSpec {
        CertSpec {
            names: names.into_iter().map(Into::into).collect(),
            ..CertSpec::default()
        }
    }

    /// The same, ended so long ago.
    pub fn expired(self, ago: Duration) -> CertSpec {
        let end = SystemTime::now() - ago;
        CertSpec {
            not_before: Some(end - 90 * DAY),
            not_after: Some(end),
            ..self
        }
    }

    /// The same, valid only after so long.
    pub fn not_before(self, from_now: Duration) -> CertSpec {
        let start = SystemTime::now() + from_now;
        CertSpec {
            not_before: Some(start),
            not_after: Some(start + 90 * DAY),
            ..self
        }
    }

    fn params(self) -> Result<CertificateParams, Error> {
        let now = SystemTime::now();
        let common_name = self.common_name.or_else(|| self.names.first().cloned());
        let mut params = CertificateParams::new(self.names)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        set_validity(
            &mut params,
            self.not_before.unwrap_or(now - DAY),
            self.not_after.unwrap_or(now + 90 * DAY),
        );
        params.extended_key_usages = match self.usage {
            Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Usage::Any => Vec::new(),
        };
        params.is_ca = if self.is_ca {
            IsCa::Ca(BasicConstraints::Unconstrained)
        } else {
            IsCa::ExplicitNoCa
        };
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }
}

impl Authority {
    /// A root of that common name, valid from a year ago for ten years.
    ///
    /// # Errors
    /// The name does not fit into a certificate, or there is no randomness for the key.
    pub fn new(name: &str) -> Result<Authority, Error> {
        let params = authority_params(name)?;
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Authority {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            intermediates: String::new(),
            issuer: Issuer::new(params, key),
        })
    }

    /// An intermediate of that common name, signed by this authority.
    ///
    /// # Errors
    /// As [`Authority::new`].
    pub fn intermediate(&self, name: &str) -> Result<Authority, Error> {
        self.intermediate_with(name, |_| ())
    }

    /// An intermediate, changed as wanted before it is signed.
    ///
    /// # Errors
    /// As [`Authority::new`].
    pub fn intermediate_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<Authority, Error> {
        let mut params = authority_params(name)?;
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Authority {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            intermediates: format!("{}{}", certificate.pem(), self.intermediates),
            issuer: Issuer::new(params, key),
        })
    }

    /// A certificate with a fresh key (ECDSA, P-256), signed by this authority.
    ///
    /// # Errors
    /// A name does not fit into a certificate, or there is no randomness for the key.
    pub fn issue(&self, spec: CertSpec) -> Result<Issued, Error> {
        let key = KeyPair::generate()?;
        let certificate = spec.params()?.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            chain_pem: format!("{}{}", certificate.pem(), self.intermediates),
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            der: certificate.der().clone(),
        })
    }

    /// Another certificate for another authority's name and key, changed as wanted before this authority signs it.
    ///
    /// # Errors
    /// As [`Authority::new`].
    pub fn cross_sign(
        &self,
        name: &str,
        other: &Authority,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<CertificateDer<'static>, Error> {
        let mut params = authority_params(name)?;
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let certificate = params.signed_by(other.issuer.key(), &self.issuer)?;
        Ok(certificate.der().clone())
    }

    /// This authority's revocation list with these certificates, good for a week: PEM.
    ///
    /// # Errors
    /// A certificate is not one.
    pub fn revocation_list(&self, revoked: &[&Issued]) -> Result<String, Error> {
        let now = rcgen::date_time_ymd(1970, 1, 1)
            + SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
        let revoked = revoked.iter().map(|issued| {
            let (_, parsed) = x509_parser::parse_x509_certificate(&issued.der)
                .map_err(|_| Error::CouldNotParseCertificate)?;
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from_slice(parsed.raw_serial()),
                revocation_time: now,
                reason_code: Some(RevocationReason::KeyCompromise),
                invalidity_date: None,
            })
        });
        let params = CertificateRevocationListParams {
            this_update: now - DAY,
            next_update: now + 7 * DAY,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect::<Result<_, Error>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer)?.pem()
    }

    /// This authority's own certificate, for those who are to trust it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }
}

/// A certificate that signed itself.
///
/// # Errors
/// As [`Authority::issue`].
pub fn self_signed(spec: CertSpec) -> Result<Issued, Error> {
    let key = KeyPair::generate()?;
    let certificate = spec.params()?.self_signed(&key)?;
    Ok(Issued {
        chain_pem: certificate.pem(),
        pem: certificate.pem(),
        key_pem: key.serialize_pem(),
        der: certificate.der().clone(),
    })
}

fn authority_params(name: &str) -> Result<CertificateParams, Error> {
    let now = SystemTime::now();
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now - 365 * DAY, now + 3_650 * DAY);
    Ok(params)
}

/// Sets the time in which it is valid. Times before 1970 become 1970.
pub fn set_validity(params: &mut CertificateParams, not_before: SystemTime, not_after: SystemTime) {
    let since_epoch = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since_epoch(not_before);
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_epoch(not_after);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_what_was_asked() {
        let root = Authority::new("root").unwrap();
        let middle = root.intermediate("middle").unwrap();
        let spec = CertSpec::named(["a.test", "127.0.0.1"]).expired(3 * DAY);
        let issued = middle.issue(spec).unwrap();
        assert_eq!(issued.chain_pem.matches("BEGIN CERTIFICATE").count(), 2);
        let (_, leaf) = x509_parser::parse_x509_certificate(&issued.der).unwrap();
        assert_eq!(leaf.issuer().to_string(), "CN=middle");
        assert_eq!(leaf.subject().to_string(), "CN=a.test");
        assert_eq!(
            leaf.subject_alternative_name()
                .unwrap()
                .unwrap()
                .value
                .general_names
                .len(),
            2
        );
        let validity = leaf.validity();
        assert!(!validity.is_valid());
        assert_eq!(
            validity.not_after.timestamp() - validity.not_before.timestamp(),
            90 * 86_400
        );
        let (_, issuer) = x509_parser::parse_x509_certificate(middle.der()).unwrap();
        leaf.verify_signature(Some(issuer.public_key())).unwrap();
    }
}
