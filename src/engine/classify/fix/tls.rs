//! What to do about TLS and certificates.

use crate::model::attempt::TlsFacts;
use crate::model::cause::Cause;
use crate::model::evidence::Value;

use super::super::scene::{Found, Scene};
use super::{position, relative, text};

pub fn tls(found: &Found, scene: &Scene<'_>) -> Option<String> {
    let peer = scene.peer();
    Some(match found.cause {
        Cause::TlsPlaintextPeer => match text(found, "peer_speaks") {
            Some("HTTP") => {
                format!("use http:// for {peer}, or the port that speaks TLS: this one speaks plain HTTP")
            }
            Some(protocol) => format!("correct the port: {peer} speaks {protocol}, not TLS"),
            None => format!("use the port of {peer} that speaks TLS"),
        },
        Cause::TlsVersionOrCipherMismatch if text(found, "refused_by").is_some() => {
            format!("enable TLS 1.2 or newer, with current ciphers, at {peer}")
        }
        Cause::TlsClientCertRequired => {
            format!("give whyd a client certificate for {peer} (tls.client_cert or --client-cert)")
        }
        Cause::TlsClientCertRejected => match text(found, "alert_name") {
            Some(alert) => format!("give a client certificate that {peer} accepts: it says {alert}"),
            None => format!("give a client certificate that {peer} accepts"),
        },
        Cause::TlsUnrecognizedName => format!("serve {} at {peer}, or correct the name", server_name(scene)),
        Cause::TlsAlpnMismatch => format!("enable the protocol at {peer}, or stop asking for it"),
        Cause::TlsAlert => match text(found, "alert_name") {
            Some(alert) => format!("look at the TLS log of {peer}: it ended the handshake with {alert}"),
            None => return None,
        },
        Cause::TlsClosed | Cause::TlsReset => {
            format!("look at the log of {peer}: it ended the handshake without a word")
        }
        Cause::TlsTimedOut => match found.evidence.get("client_hello_acknowledged") {
            Some(Value::Bool(true)) => {
                format!("look at the load of {peer}: it took the ClientHello and did not answer")
            }
            Some(Value::Bool(false)) => {
                format!("look at the MTU on the way to {peer}: the ClientHello was not acknowledged")
            }
            _ => return None,
        },
        _ => return None,
    })
}

fn server_name(scene: &Scene<'_>) -> String {
    let tls: Option<&TlsFacts> = scene.hop.and_then(|hop| hop.tls.as_deref());
    tls.and_then(|tls| tls.server_name.as_deref())
        .map_or_else(|| scene.host(), str::to_owned)
}

pub fn certificate(found: &Found, scene: &Scene<'_>) -> Option<String> {
    let name = server_name(scene);
    let place = match found.evidence.get("chain_position") {
        Some(Value::Integer(place)) => position(usize::try_from(*place).unwrap_or(0)),
        _ => position(0),
    };
    let from_now = |key: &str| match found.evidence.get(key) {
        Some(Value::Time(at)) => Some(relative(at.seconds_since(scene.context.now))),
        _ => None,
    };
    Some(match found.cause {
        Cause::TlsCertExpired => match from_now("not_after") {
            Some(when) => format!("renew the certificate of {name} ({place}, expired {when})"),
            None => format!("renew the certificate of {name}"),
        },
        Cause::TlsCertNotYetValid => match from_now("not_before") {
            Some(when) => {
                format!("check the clocks, or wait: the certificate of {name} ({place}) begins {when}")
            }
            None => return None,
        },
        Cause::TlsCertUnknownRoot | Cause::TlsCertSelfSigned | Cause::TlsCertMissingIntermediate
            if found.evidence.get("system_roots_accept").is_some() =>
        {
            format!(
                "trust the system's roots for {name} (leave out tls.only_given_ca): they accept its certificate"
            )
        }
        Cause::TlsCertUnknownRoot => match text(found, "issuer") {
            Some(issuer) => {
                format!(
                    "trust the CA of {name} (tls.ca or --ca; issuer {issuer}), never turn verification off"
                )
            }
            None => format!("trust the CA of {name} (tls.ca or --ca), never turn verification off"),
        },
        Cause::TlsCertSelfSigned => {
            format!(
                "give {name} a certificate from a CA, or trust this one (tls.ca or --ca), never turn verification off"
            )
        }
        Cause::TlsCertMissingIntermediate => {
            format!("serve the intermediate certificate together with the one of {name}")
        }
        Cause::TlsCertNameInvalid => match names_presented(found) {
            Some(names) => {
                format!("reissue the certificate with {name}, or ask for a name that it has: {names}")
            }
            None => format!("reissue the certificate with {name} as a subject alternative name"),
        },
        Cause::TlsCertRevoked => match text(found, "reason") {
            Some(reason) if reason != "unspecified" => {
                format!(
                    "replace the certificate of {name} ({place}): its CA revoked it ({})",
                    reason.replace('_', " ")
                )
            }
            _ => format!("replace the certificate of {name} ({place}): its CA revoked it"),
        },
        Cause::TlsCertCaAsLeaf => format!("give {name} a server certificate: it presents a CA's own"),
        Cause::TlsCertWeakSignature | Cause::TlsCertBadSignature => {
            match text(found, "signature_algorithm") {
                Some(algorithm) => {
                    format!("reissue the certificate of {name} ({place}, signed with {algorithm})")
                }
                None => format!("reissue the certificate of {name} ({place})"),
            }
        }
        Cause::TlsCertPurpose => {
            format!("reissue the certificate of {name} ({place}) for server authentication")
        }
        Cause::TlsCertEncoding => format!("reissue the certificate of {name} ({place}): it does not decode"),
        _ => return None,
    })
}

/// The first names of the certificate.
fn names_presented(found: &Found) -> Option<String> {
    const SHOWN: usize = 3;
    let Value::List(names) = found.evidence.get("names_presented")? else {
        return None;
    };
    let texts: Vec<&str> = names
        .iter()
        .filter_map(|name| match name {
            Value::Text(name) => Some(&**name),
            _ => None,
        })
        .collect();
    if texts.is_empty() {
        return None;
    }
    let more = texts.len().saturating_sub(SHOWN);
    let shown = texts[..texts.len() - more].join(", ");
    Some(if more > 0 {
        format!("{shown} and {more} more")
    } else {
        shown
    })
}
