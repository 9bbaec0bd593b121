//! TLS as bytes: whether a peer speaks it, and what its first answer says.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{CipherSuite, ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use crate::net::crypto;

/// Record types (RFC 8446, section 5.1): change_cipher_spec, alert, handshake, application_data.
const RECORD_TYPES: std::ops::RangeInclusive<u8> = 20..=23;
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;
const RECORD_HEADER: usize = 5;
/// Extension supported_versions (RFC 8446, section 4.2.1).
const SUPPORTED_VERSIONS: u16 = 43;

/// Whether these first bytes of a peer are the header of a TLS record: its type and version 3.x (RFC 8446, section 5.1).
pub(crate) fn looks_like_tls(first_bytes: &[u8]) -> bool {
    first_bytes.len() >= 3 && !contradicts_tls(first_bytes)
}

/// Whether these first bytes, be they few, cannot be the start of a TLS record.
pub(super) fn contradicts_tls(first_bytes: &[u8]) -> bool {
    match first_bytes {
        [] => false,
        [kind] => !RECORD_TYPES.contains(kind),
        [kind, 3] => !RECORD_TYPES.contains(kind),
        [kind, 3, minor, ..] => !RECORD_TYPES.contains(kind) || *minor > 4,
        _ => true,
    }
}

/// The version and cipher suite that a ServerHello at the start of these bytes chooses (RFC 8446, section 4.1.3).
pub(super) fn server_hello(first_bytes: &[u8]) -> Option<(Box<str>, Box<str>)> {
    let (header, body) = first_bytes.split_at_checked(RECORD_HEADER)?;
    if header[0] != HANDSHAKE || !looks_like_tls(header) || *body.first()? != SERVER_HELLO {
        return None;
    }
    // Type and length of the message, the legacy version, 32 bytes of randomness, the session's identity.
    let legacy = u16_at(body, 4)?;
    let session = usize::from(*body.get(38)?);
    let suite = u16_at(body, 39 + session)?;
    let extensions = body.get(39 + session + 5..).unwrap_or_default();
    let version = supported_version(extensions).unwrap_or(legacy);
    Some((version_name(version), suite_name(CipherSuite::from(suite))))
}

fn supported_version(mut extensions: &[u8]) -> Option<u16> {
    loop {
        let kind = u16_at(extensions, 0)?;
        let length = usize::from(u16_at(extensions, 2)?);
        if kind == SUPPORTED_VERSIONS {
            return u16_at(extensions, 4);
        }
        extensions = extensions.get(4 + length..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

pub(super) fn version_name(version: u16) -> Box<str> {
    match version {
        0x0300 => "SSLv3".into(),
        0x0301 => "TLSv1.0".into(),
        0x0302 => "TLSv1.1".into(),
        0x0303 => "TLSv1.2".into(),
        0x0304 => "TLSv1.3".into(),
        other => format!("{other:#06x}").into(),
    }
}

/// IANA's name. rustls writes `TLS13_` where IANA has `TLS_`.
pub(super) fn suite_name(suite: CipherSuite) -> Box<str> {
    match suite.as_str() {
        Some(name) => name.replacen("TLS13_", "TLS_", 1).into(),
        None => format!("{:#06x}", u16::from(suite)).into(),
    }
}

/// Sends a ClientHello and tells whether what comes back is a TLS record: a ServerHello or an alert, both say yes. An
/// error, an end or silence until the deadline say no.
pub(crate) async fn client_hello_probe<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    server_name: &str,
    deadline: Instant,
) -> bool {
    let Some(hello) = client_hello(server_name) else {
        return false;
    };
    let mut answer = [0; RECORD_HEADER];
    let talk = async {
        io.write_all(&hello).await?;
        io.flush().await?;
        io.read_exact(&mut answer).await
    };
    matches!(tokio::time::timeout_at(deadline, talk).await, Ok(Ok(_))) && looks_like_tls(&answer)
}

/// The bytes of a ClientHello for TLS 1.2 and 1.3. A name that cannot be one is left out, as an address is.
fn client_hello(server_name: &str) -> Option<Vec<u8>> {
    let name = ServerName::try_from(server_name.to_owned())
        .unwrap_or_else(|_| ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into()));
    let mut config = ClientConfig::builder_with_provider(crypto::provider())
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).ok()?;
    Some(hello)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_told_from_other_protocols() {
        for tls in [&[22, 3, 1, 0, 5][..], &[21, 3, 3, 0, 2, 2, 40], &[22, 3, 4]] {
            assert!(looks_like_tls(tls), "{tls:?}");
        }
        for other in [
            &b"HTTP/1.1"[..],
            b"SSH-2.0",
            b"220 ",
            b"-ERR",
            b"\x4a\0\0\0\x0a",
            b"\x16\x02\x00",
            b"\x16\x03\x09",
        ] {
            assert!(!looks_like_tls(other), "{other:?}");
            assert!(contradicts_tls(other), "{other:?}");
        }
        for few in [&[][..], &[22], &[22, 3]] {
            assert!(!looks_like_tls(few) && !contradicts_tls(few), "{few:?}");
        }
    }

    #[test]
    fn a_server_hello_tells_version_and_cipher() {
        let mut hello = vec![22, 3, 3, 0, 90, 2, 0, 0, 86, 3, 3];
        hello.extend([9; 32]);
        hello.push(2);
        hello.extend([1, 1]);
        hello.extend([0x13, 0x02, 0]);
        let without_extensions = hello.clone();
        hello.extend([0, 13, 0, 1, 0, 3, 7, 7, 7]);
        let at = hello.len() - 9;
        hello.splice(at.., [0, 13, 0, 51, 0, 3, 7, 7, 7, 0, 43, 0, 2, 3, 4]);
        assert_eq!(
            server_hello(&hello),
            Some(("TLSv1.3".into(), "TLS_AES_256_GCM_SHA384".into()))
        );
        assert_eq!(server_hello(&without_extensions).unwrap().0, "TLSv1.2".into());
        for cut in 0..47 {
            assert_eq!(server_hello(&hello[..cut]), None, "{cut}");
        }
        assert_eq!(server_hello(&[21, 3, 3, 0, 2, 2, 40]), None);
    }

    #[test]
    fn our_hello_is_a_tls_record_even_for_odd_names() {
        for name in ["example.com", "10.0.0.1", "no such name!"] {
            let hello = client_hello(name).unwrap();
            assert!(looks_like_tls(&hello));
            assert_eq!(hello[RECORD_HEADER], 1);
        }
    }
}
