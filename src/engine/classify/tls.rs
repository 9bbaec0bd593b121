//! The TLS handshake: alerts, certificates, and peers that do not speak TLS at all.

use crate::model::attempt::{CertificateFault, RevocationFacts, Standing, TlsFacts, TlsTrouble, Trouble};
use crate::model::cause::Cause;
use crate::model::evidence::Value;
use crate::model::failure::Confidence;
use crate::model::phase::Phase;
use crate::model::time::Wall;

use super::evidence;
use super::names;
use super::precedence::CERTIFICATE;
use super::recognise::{Spoken, recognise};
use super::scene::{Found, Scene};
use super::transport::wants_client_certificate;

pub fn explain(scene: &Scene<'_>) -> Option<Found> {
    let in_handshake = scene.phase() == Some(Phase::Tls);
    match &scene.stop.trouble {
        Trouble::Tls(trouble) => Some(troubled(scene, trouble)),
        Trouble::TimedOut(_) if in_handshake => Some(timed_out(scene)),
        Trouble::Closed if in_handshake => {
            let found = hello_acknowledged(Found::observed(Cause::TlsClosed), scene);
            Some(if wants_client_certificate(scene) {
                found.or(&[Cause::TlsClientCertRequired])
            } else {
                found
            })
        }
        _ => None,
    }
}

fn facts<'a>(scene: &Scene<'a>) -> Option<&'a TlsFacts> {
    scene.hop.and_then(|hop| hop.tls.as_deref())
}

fn troubled(scene: &Scene<'_>, trouble: &TlsTrouble) -> Found {
    match trouble {
        TlsTrouble::AlertReceived(number) => alert(scene, *number)
            .with("alert", *number)
            .with("alert_name", names::alert(*number)),
        TlsTrouble::NotTls => plaintext(scene),
        TlsTrouble::Certificate => certificate(scene),
        TlsTrouble::Incompatible(reason) => Found::observed(Cause::TlsVersionOrCipherMismatch)
            .with("reason", &**reason)
            .with("refused_by", "us"),
        TlsTrouble::Alpn(reason) => Found::observed(Cause::TlsAlpnMismatch).with("reason", &**reason),
        TlsTrouble::Misbehaved(reason) => {
            let found = match recognise(scene.first_bytes()) {
                Some(spoken) if spoken != Spoken::Tls => plaintext(scene),
                // The alert is ours: the peer sent what the protocol does not allow.
                _ => Found::likely(Cause::TlsAlert, &[Cause::TlsPlaintextPeer]).with("sent_by", "us"),
            };
            found.with("reason", &**reason)
        }
    }
}

fn plaintext(scene: &Scene<'_>) -> Found {
    let mut found = Found::observed(Cause::TlsPlaintextPeer);
    evidence::peer_speaks(&mut found.evidence, scene);
    found
}

fn timed_out(scene: &Scene<'_>) -> Found {
    let found = Found::observed(Cause::TlsTimedOut);
    let Some(hop) = scene.hop else { return found };
    let Some(tcp) = hop.tcp else { return found };
    let acknowledged = tcp.unacked == 0 || hop.received > 0;
    let found = found.with("client_hello_acknowledged", acknowledged);
    if acknowledged {
        found
    } else {
        // A ClientHello with a post-quantum share fills two segments, which a path with a smaller MTU swallows.
        found.or(&[Cause::TcpPathMtuBlackHole, Cause::TcpTimedOut])
    }
}

/// Whether the peer has taken our ClientHello before it ended the handshake. The connection is gone by then, so that only
/// what came back, or the kernel's count of what was acknowledged (its SYN among it), tells.
pub fn hello_acknowledged(found: Found, scene: &Scene<'_>) -> Found {
    let Some(hop) = scene.hop else { return found };
    let counted = hop.tcp.and_then(|tcp| tcp.bytes_acked).map(|bytes| bytes > 1);
    let acknowledged = if hop.received > 0 { Some(true) } else { counted };
    found.with_some("client_hello_acknowledged", acknowledged)
}

fn alert(scene: &Scene<'_>, number: u8) -> Found {
    let (requested, sent) = facts(scene).map_or((false, false), |tls| {
        (tls.client_cert_requested, tls.client_cert_sent)
    });
    match number {
        0 => Found::observed(Cause::TlsClosed),
        116 => Found::observed(Cause::TlsClientCertRequired),
        // What a server says about a certificate can only be about ours.
        42..=46 | 48 if requested && sent => Found::observed(Cause::TlsClientCertRejected),
        49 | 51 if requested && sent => Found::likely(Cause::TlsClientCertRejected, &[Cause::TlsAlert]),
        // Before TLS 1.3 there was no alert for a missing one: servers send these.
        40..=46 | 48 | 49 if requested => {
            Found::likely(Cause::TlsClientCertRequired, &[Cause::TlsVersionOrCipherMismatch])
        }
        70 | 71 => Found::observed(Cause::TlsVersionOrCipherMismatch),
        40 => Found::likely(
            Cause::TlsVersionOrCipherMismatch,
            &[Cause::TlsUnrecognizedName, Cause::TlsClientCertRequired],
        ),
        112 => Found::observed(Cause::TlsUnrecognizedName),
        120 => Found::observed(Cause::TlsAlpnMismatch),
        // Go and some proxies answer a name that they do not serve with internal_error.
        80 => Found::observed(Cause::TlsAlert).or(&[Cause::TlsUnrecognizedName]),
        _ => Found::observed(Cause::TlsAlert),
    }
}

fn certificate(scene: &Scene<'_>) -> Found {
    let Some(tls) = facts(scene) else {
        return Found::observed(Cause::Unknown);
    };
    let deciding = CERTIFICATE.iter().find_map(|(kind, cause)| {
        let fault = tls.faults.iter().find(|fault| fault.kind == *kind)?;
        Some((fault, *cause))
    });
    let Some((fault, cause)) = deciding else {
        // The verifier refused the chain and named no fault: a bug of ours.
        return Found::observed(Cause::Unknown);
    };
    let found = match cause {
        // Proved only when the chain completes with a certificate from elsewhere.
        Cause::TlsCertMissingIntermediate if fault.completes_with.is_empty() => {
            Found::likely(cause, &[Cause::TlsCertUnknownRoot])
        }
        Cause::TlsCertMissingIntermediate => Found {
            confidence: Confidence::Confirmed,
            ..Found::observed(cause).with("completes_with", texts(&fault.completes_with))
        },
        Cause::TlsCertRevoked => revoked(tls, fault),
        _ => Found::observed(cause),
    };
    describe(found, scene, tls, fault)
}

/// A source that is outdated is believed where it says that a certificate is revoked, since only a hold is ever taken
/// back; but it is old, which is said.
fn revoked(tls: &TlsFacts, fault: &CertificateFault) -> Found {
    let of_it = |facts: &&RevocationFacts| {
        Some(facts.position) == fault.position && matches!(facts.standing, Standing::Revoked { .. })
    };
    let mut found = Found::observed(Cause::TlsCertRevoked);
    let Some(facts) = tls.revocation.iter().find(of_it) else {
        return found;
    };
    if let Some(certificate) = tls.chain.get(usize::from(facts.position)) {
        found.evidence.set("serial", &*certificate.serial);
    }
    if let Standing::Revoked { at, reason } = &facts.standing {
        found.evidence.set("revoked_at", *at);
        found.evidence.set("reason", reason.unwrap_or("unspecified"));
    }
    found.evidence.set("revocation_source", facts.source.id());
    found.evidence.set("said_by", &*facts.said_by);
    found.evidence.set_some("this_update", facts.this_update);
    found.evidence.set_some("next_update", facts.next_update);
    if facts.outdated {
        found.evidence.set("outdated", true);
        found.confidence = Confidence::Likely;
    }
    found
}

/// What the sources of revocation say that do not decide: `no_proof` says why.
fn undecided(tls: &TlsFacts) -> Vec<Value> {
    let undecided = tls.revocation.iter().filter_map(|facts| {
        let Standing::NoProof(why) = &facts.standing else {
            return None;
        };
        Some(Value::Map(vec![
            ("chain_position", facts.position.into()),
            ("revocation_source", facts.source.id().into()),
            ("said_by", (&*facts.said_by).into()),
            ("no_proof", (&**why).into()),
        ]))
    });
    undecided.collect()
}

fn describe(mut found: Found, scene: &Scene<'_>, tls: &TlsFacts, fault: &CertificateFault) -> Found {
    let position = fault.position.unwrap_or(0);
    let evidence = &mut found.evidence;
    if let Some(certificate) = tls.chain.get(usize::from(position)) {
        evidence.set("chain_position", position);
        evidence.set("subject", &*certificate.subject);
        evidence.set("issuer", &*certificate.issuer);
        evidence.set("not_before", certificate.not_before);
        evidence.set("not_after", certificate.not_after);
        evidence.set("fingerprint", &*certificate.fingerprint);
        if found.cause == Cause::TlsCertWeakSignature || found.cause == Cause::TlsCertBadSignature {
            evidence.set("signature_algorithm", &*certificate.signature_algorithm);
        }
    }
    if found.cause == Cause::TlsCertNameInvalid {
        let asked = tls
            .server_name
            .as_deref()
            .map_or_else(|| scene.host(), str::to_owned);
        evidence.set("name_asked", asked);
        if let Some(leaf) = tls.chain.first() {
            evidence.set("names_presented", texts(&leaf.names));
        }
    }
    if !fault.detail.is_empty() {
        evidence.set("verifier", &*fault.detail);
    }
    if tls.faults.len() > 1 {
        evidence.set("faults", faults(tls));
    }
    if tls.system_trusts {
        evidence.set("system_roots_accept", true);
    }
    let undecided = undecided(tls);
    if !undecided.is_empty() {
        evidence.set("revocation", Value::List(undecided));
    }
    if tls.must_staple && !tls.stapled {
        evidence.set("must_staple_without_staple", true);
    }
    evidence.set("chain", chain(tls, scene.context.now));
    found
}

fn texts(values: &[Box<str>]) -> Value {
    Value::List(values.iter().map(|value| (&**value).into()).collect())
}

fn faults(tls: &TlsFacts) -> Value {
    let one = |fault: &CertificateFault| {
        let cause = CERTIFICATE
            .iter()
            .find_map(|(kind, cause)| (*kind == fault.kind).then_some(cause.id()));
        let mut map: Vec<(&'static str, Value)> = Vec::with_capacity(3);
        if let Some(position) = fault.position {
            map.push(("chain_position", position.into()));
        }
        map.push(("cause", cause.unwrap_or(Cause::Unknown.id()).into()));
        if !fault.detail.is_empty() {
            map.push(("verifier", (&*fault.detail).into()));
        }
        Value::Map(map)
    };
    Value::List(tls.faults.iter().map(one).collect())
}

/// The presented chain, leaf first.
fn chain(tls: &TlsFacts, now: Wall) -> Value {
    let one = |certificate: &crate::model::attempt::CertificateFacts| {
        let mut map: Vec<(&'static str, Value)> = vec![
            ("subject", (&*certificate.subject).into()),
            ("issuer", (&*certificate.issuer).into()),
            ("not_after", certificate.not_after.into()),
        ];
        if certificate.not_after < now {
            map.push(("expired", true.into()));
        }
        if certificate.self_issued {
            map.push(("self_issued", true.into()));
        }
        Value::Map(map)
    };
    Value::List(tls.chain.iter().map(one).collect())
}
