//! TLS and proxies. One row per cause, and rows for what only looks like it.

use super::super::errno::*;
use super::*;

use CertificateFaultKind as Fault;
use Confidence::{Likely, Observed};
use Speed::{Fast, Slow};

#[test]
fn handshakes() {
    let alert = |number: u8| tls(TlsTrouble::AlertReceived(number), |_| ());
    let asked = |number: u8, sent: bool| {
        tls(TlsTrouble::AlertReceived(number), move |tls| {
            tls.client_cert_requested = true;
            tls.client_cert_sent = sent;
        })
    };
    let late = |number: u8, sent: bool| {
        let trouble = Trouble::Tls(TlsTrouble::AlertReceived(number));
        case(Phase::FirstByte, trouble).https(move |tls| {
            tls.finished = true;
            tls.client_cert_requested = true;
            tls.client_cert_sent = sent;
        })
    };
    let stalled = |unacked| {
        timeout(Phase::Tls, Budget::Phase)
            .https(|_| ())
            .tcp(|tcp| tcp.unacked = unacked)
    };
    let mismatch = Cause::TlsVersionOrCipherMismatch;
    check(vec![
        (
            "http there",
            tls(TlsTrouble::NotTls, |_| ()).first_bytes(b"HTTP/1.1 400 Bad Request"),
            Cause::TlsPlaintextPeer,
            Observed,
            Fast,
        ),
        (
            "ssh there, called misbehaviour",
            tls(TlsTrouble::Misbehaved("corrupt".into()), |_| ()).first_bytes(b"SSH-2.0-x"),
            Cause::TlsPlaintextPeer,
            Observed,
            Fast,
        ),
        (
            "misbehaved",
            tls(TlsTrouble::Misbehaved("x".into()), |_| ()),
            Cause::TlsAlert,
            Likely,
            Fast,
        ),
        ("70", alert(70), mismatch, Observed, Fast),
        ("71", alert(71), mismatch, Observed, Fast),
        ("40", alert(40), mismatch, Likely, Fast),
        (
            "ours",
            tls(TlsTrouble::Incompatible("no version".into()), |_| ()),
            mismatch,
            Observed,
            Fast,
        ),
        ("112", alert(112), Cause::TlsUnrecognizedName, Observed, Fast),
        ("120", alert(120), Cause::TlsAlpnMismatch, Observed, Fast),
        (
            "alpn",
            tls(TlsTrouble::Alpn("h2".into()), |_| ()),
            Cause::TlsAlpnMismatch,
            Observed,
            Fast,
        ),
        ("80", alert(80), Cause::TlsAlert, Observed, Fast),
        ("50", alert(50), Cause::TlsAlert, Observed, Fast),
        (
            "116 after the handshake",
            late(116, false),
            Cause::TlsClientCertRequired,
            Observed,
            Fast,
        ),
        (
            "40 when asked and not given",
            asked(40, false),
            Cause::TlsClientCertRequired,
            Likely,
            Fast,
        ),
        (
            "42 when asked and not given",
            asked(42, false),
            Cause::TlsClientCertRequired,
            Likely,
            Fast,
        ),
        (
            "42 when given",
            asked(42, true),
            Cause::TlsClientCertRejected,
            Observed,
            Fast,
        ),
        (
            "48 when given, late",
            late(48, true),
            Cause::TlsClientCertRejected,
            Observed,
            Fast,
        ),
        ("48 when never asked", alert(48), Cause::TlsAlert, Observed, Fast),
        ("stall", stalled(0), Cause::TlsTimedOut, Observed, Slow),
        (
            "stall, unacknowledged",
            stalled(2),
            Cause::TlsTimedOut,
            Observed,
            Slow,
        ),
    ]);
    assert_eq!(
        evidence(&stalled(0).classify(), "client_hello_acknowledged"),
        "true"
    );
    let unacknowledged = stalled(2).classify();
    assert_eq!(evidence(&unacknowledged, "client_hello_acknowledged"), "false");
    assert!(unacknowledged.alternatives.contains(&Cause::TcpPathMtuBlackHole));
    assert_eq!(evidence(&alert(80).classify(), "alert_name"), "internal_error");
}

#[test]
fn certificates() {
    let one = |kind| certificate(&[kind]);
    check(vec![
        (
            "expired",
            one(Fault::Expired),
            Cause::TlsCertExpired,
            Observed,
            Fast,
        ),
        (
            "early",
            one(Fault::NotYetValid),
            Cause::TlsCertNotYetValid,
            Observed,
            Fast,
        ),
        (
            "root",
            one(Fault::UnknownRoot),
            Cause::TlsCertUnknownRoot,
            Observed,
            Fast,
        ),
        (
            "self-signed",
            one(Fault::SelfSigned),
            Cause::TlsCertSelfSigned,
            Observed,
            Fast,
        ),
        (
            "gap",
            one(Fault::MissingIntermediate),
            Cause::TlsCertMissingIntermediate,
            Likely,
            Fast,
        ),
        (
            "name",
            one(Fault::NameMismatch),
            Cause::TlsCertNameInvalid,
            Observed,
            Fast,
        ),
        (
            "revoked",
            one(Fault::Revoked),
            Cause::TlsCertRevoked,
            Observed,
            Fast,
        ),
        ("ca", one(Fault::CaAsLeaf), Cause::TlsCertCaAsLeaf, Observed, Fast),
        (
            "signature",
            one(Fault::BadSignature),
            Cause::TlsCertBadSignature,
            Observed,
            Fast,
        ),
        (
            "weak",
            one(Fault::WeakSignature),
            Cause::TlsCertWeakSignature,
            Observed,
            Fast,
        ),
        (
            "purpose",
            one(Fault::Purpose),
            Cause::TlsCertPurpose,
            Observed,
            Fast,
        ),
        (
            "encoding",
            one(Fault::Encoding),
            Cause::TlsCertEncoding,
            Observed,
            Fast,
        ),
        (
            "expired does not hide a wrong name",
            certificate(&[Fault::Expired, Fault::NameMismatch]),
            Cause::TlsCertNameInvalid,
            Observed,
            Fast,
        ),
        (
            "nor an unknown issuer",
            certificate(&[Fault::Expired, Fault::NameMismatch, Fault::UnknownRoot]),
            Cause::TlsCertUnknownRoot,
            Observed,
            Fast,
        ),
    ]);
}

#[test]
fn proxies() {
    let answered = |trouble| case(Phase::Proxy, Trouble::Proxy(trouble)).proxied(true);
    let status = |code| answered(ProxyTrouble::Status(code));
    let nxdomain = vec![answer("10.0.0.2:53", A, rcode(3))];
    let forwarded = |code: u16| {
        let case = super::status(code).proxied(false);
        case.hop(|hop| hop.role = Role::Target)
    };
    check(vec![
        (
            "its name",
            resolve(Trouble::NoAddress, nxdomain).proxied(false),
            Cause::ProxyNameNotResolved,
            Observed,
            Fast,
        ),
        (
            "refused",
            io(Phase::Connect, Call::Connect, ECONNREFUSED).proxied(false),
            Cause::ProxyRefused,
            Observed,
            Fast,
        ),
        (
            "silence",
            timeout(Phase::Connect, Budget::Phase).proxied(false),
            Cause::ProxyTimedOut,
            Observed,
            Slow,
        ),
        (
            "silence after CONNECT",
            timeout(Phase::Proxy, Budget::Phase).proxied(true),
            Cause::ProxyTimedOut,
            Likely,
            Slow,
        ),
        (
            "reset",
            io(Phase::Proxy, Call::Receive, ECONNRESET).proxied(true),
            Cause::ProxyFailed,
            Observed,
            Fast,
        ),
        (
            "closed",
            case(Phase::Proxy, Trouble::Closed).proxied(true),
            Cause::ProxyFailed,
            Observed,
            Fast,
        ),
        (
            "nonsense",
            answered(ProxyTrouble::Malformed),
            Cause::ProxyFailed,
            Observed,
            Fast,
        ),
        ("407", status(407), Cause::ProxyAuthRequired, Observed, Fast),
        ("403", status(403), Cause::ProxyConnectDenied, Observed, Fast),
        ("502", status(502), Cause::ProxyUpstreamFailed, Observed, Fast),
        (
            "407 to a forwarded request",
            forwarded(407),
            Cause::ProxyAuthRequired,
            Observed,
            Fast,
        ),
        (
            "503 to a forwarded request",
            forwarded(503),
            Cause::Http503,
            Likely,
            Fast,
        ),
        (
            "behind CONNECT it is the target's",
            case(Phase::Tls, Trouble::Tls(TlsTrouble::AlertReceived(112)))
                .https(|_| ())
                .proxied(true),
            Cause::TlsUnrecognizedName,
            Observed,
            Fast,
        ),
    ]);
    let refused = io(Phase::Connect, Call::Connect, ECONNREFUSED)
        .proxied(false)
        .classify();
    assert_eq!(evidence(&refused, "inner_cause"), "tcp.refused.rst");
    assert!(refused.fix.contains("proxy.example:3128"), "{}", refused.fix);
}

#[test]
fn a_proxy_that_says_so_of_its_answer_is_the_one_that_failed() {
    let forwarded = |status: u16, facts: ResponseFacts| {
        case(
            Phase::FirstByte,
            Trouble::Unexpected(Unexpected::Status {
                got: status,
                wanted: "2xx".into(),
            }),
        )
        .proxied(false)
        .hop(|hop| {
            hop.role = Role::Target;
            hop.url = "http://shop.example/health".into();
            hop.status = Some(status);
            hop.response = Some(Box::new(facts));
        })
        .classify()
    };
    let squid = |error: &str| ResponseFacts {
        squid_error: Some(error.into()),
        ..ResponseFacts::default()
    };
    let failed = forwarded(503, squid("ERR_CONNECT_FAIL 111"));
    assert_eq!(
        (failed.cause, failed.confidence),
        (Cause::ProxyUpstreamFailed, Observed)
    );
    assert_eq!(failed.alternatives, [Cause::Http503]);
    assert!(
        failed.fix.contains("squid says ERR_CONNECT_FAIL (ECONNREFUSED)"),
        "{}",
        failed.fix
    );
    assert!(evidence(&failed, "caused_by").contains("tcp.refused.rst"));
    assert_eq!(
        forwarded(403, squid("ERR_ACCESS_DENIED 0")).cause,
        Cause::ProxyConnectDenied
    );
    // The same pages of a squid that nobody configured as a proxy are the site's own answers.
    let site = case(
        Phase::FirstByte,
        Trouble::Unexpected(Unexpected::Status {
            got: 503,
            wanted: "2xx".into(),
        }),
    )
    .hop(|hop| {
        hop.status = Some(503);
        hop.response = Some(Box::new(squid("ERR_CONNECT_FAIL 111")));
    })
    .classify();
    assert_eq!(site.cause, Cause::Http503);
    assert!(site.fix.contains("squid says"), "{}", site.fix);
}

#[test]
fn an_inherited_proxy_and_one_that_is_not_used_are_said() {
    let inherited = io(Phase::Connect, Call::Connect, ECONNREFUSED)
        .proxied(false)
        .dependency(|dependency| {
            if let Probe::Http(http) = &mut dependency.probe
                && let Some(proxy) = &mut http.proxy
            {
                proxy.inherited_from = Some("HTTPS_PROXY".into());
            }
        })
        .classify();
    assert_eq!(evidence(&inherited, "proxy_inherited_from"), "HTTPS_PROXY");
    assert!(inherited.fix.contains("HTTPS_PROXY"), "{}", inherited.fix);
    let unused = |case: Case| {
        case.dependency(|dependency| dependency.unused_proxy = Some("https_proxy".into()))
            .classify()
    };
    let failure = unused(timeout(Phase::Connect, Budget::Phase));
    assert_eq!(evidence(&failure, "proxy_variable_not_used"), "https_proxy");
    assert!(failure.fix.contains("honour https_proxy"), "{}", failure.fix);
    // What reached the target has nothing to do with it.
    let answered = unused(case(Phase::FirstByte, Trouble::Closed));
    assert!(answered.evidence.get("proxy_variable_not_used").is_none());
}

#[test]
fn a_client_certificate_that_was_wanted_explains_the_end_of_a_connection() {
    let wanted = |case: Case| {
        case.https(|tls| {
            tls.finished = true;
            tls.client_cert_requested = true;
        })
        .classify()
    };
    let reset = wanted(io(Phase::FirstByte, Call::Receive, ECONNRESET));
    assert_eq!(reset.cause, Cause::TlsClientCertRequired);
    assert_eq!(
        (reset.confidence, &reset.alternatives[..]),
        (Likely, &[Cause::TcpResetAfterAccept][..])
    );
    let in_handshake = wanted(io(Phase::Tls, Call::Receive, ECONNRESET));
    assert_eq!(in_handshake.cause, Cause::TlsReset);
    assert_eq!(in_handshake.alternatives, [Cause::TlsClientCertRequired]);
    // nginx answers 400 and says why.
    let nginx = |sent: bool, page: &str| {
        case(
            Phase::FirstByte,
            Trouble::Unexpected(Unexpected::Status {
                got: 400,
                wanted: "2xx".into(),
            }),
        )
        .https(|tls| {
            tls.client_cert_requested = true;
            tls.client_cert_sent = sent;
        })
        .hop(|hop| {
            hop.status = Some(400);
            hop.response = Some(Box::new(ResponseFacts {
                body_excerpt: Some(page.into()),
                ..ResponseFacts::default()
            }));
        })
        .classify()
        .cause
    };
    let required = "400 Bad Request No required SSL certificate was sent nginx";
    let error = "400 Bad Request The SSL certificate error nginx";
    assert_eq!(nginx(false, required), Cause::TlsClientCertRequired);
    assert_eq!(nginx(true, error), Cause::TlsClientCertRejected);
    assert_eq!(nginx(false, "400 Bad Request"), Cause::Http4xx);
}
