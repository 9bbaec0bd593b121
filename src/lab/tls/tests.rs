use super::*;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::lab::certs::{Authority, CertSpec};
use crate::lab::tcp::{self, Scripts, Step};

/// A client that trusts the authority.
pub(in crate::lab) fn client(authority: &Authority, versions: TlsVersions, alpn: &[&str]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for root in certificates(authority.pem()).unwrap() {
        roots.add(root).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&versions.supported())
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

/// Connects to a server with those options and reads the one byte that it sends.
async fn read_one(options: TlsOptions<'_>, versions: TlsVersions, alpn: &[&str]) -> std::io::Result<u8> {
    let authority = Authority::new("lab").unwrap();
    let issued = authority.issue(CertSpec::named(["lab.test"])).unwrap();
    let tls = ServerTls::new(&issued.chain_pem, &issued.key_pem, options).unwrap();
    let script = vec![Step::text("!"), Step::WaitForClose];
    let server = tcp::start(Scripts::always(script).over_tls(tls)).await.unwrap();
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let name = ServerName::try_from("lab.test").unwrap();
    let mut stream = client(&authority, versions, alpn).connect(name, stream).await?;
    stream.read_u8().await
}

fn alert(error: &std::io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

#[tokio::test]
async fn scripts_run_inside_tls_of_the_versions_asked_for() {
    for versions in [TlsVersions::Both, TlsVersions::Tls12, TlsVersions::Tls13] {
        let options = TlsOptions {
            versions,
            ..TlsOptions::default()
        };
        assert_eq!(read_one(options, versions, &[]).await.unwrap(), b'!');
    }
    let options = TlsOptions {
        versions: TlsVersions::Tls13,
        ..TlsOptions::default()
    };
    let error = read_one(options, TlsVersions::Tls12, &[]).await.unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::ProtocolVersion));
}

#[tokio::test]
async fn protocols_without_overlap_are_refused() {
    let options = TlsOptions {
        alpn: &["h2"],
        ..TlsOptions::default()
    };
    let error = read_one(options, TlsVersions::Both, &["http/1.1"])
        .await
        .unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::NoApplicationProtocol));
}

#[tokio::test]
async fn a_missing_client_certificate_is_refused_in_either_version() {
    let authority = Authority::new("clients").unwrap();
    for versions in [TlsVersions::Tls12, TlsVersions::Tls13] {
        let options = TlsOptions {
            versions,
            client_authorities: Some(authority.pem()),
            ..TlsOptions::default()
        };
        let error = read_one(options, versions, &[]).await.unwrap_err();
        // OpenSSL sends alert 40 in TLS 1.2; rustls sends 116 in either version.
        assert_eq!(
            alert(&error),
            Some(AlertDescription::CertificateRequired),
            "{error:?}"
        );
    }
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let authority = Authority::new("lab").unwrap();
    let one = authority.issue(CertSpec::default()).unwrap();
    let other = authority.issue(CertSpec::default()).unwrap();
    assert!(ServerTls::new(&one.chain_pem, &other.key_pem, TlsOptions::default()).is_err());
    assert!(ServerTls::new("not PEM", &one.key_pem, TlsOptions::default()).is_err());
}
