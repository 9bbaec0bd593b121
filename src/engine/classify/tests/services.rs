//! Probes beyond HTTP: echoes, gRPC, WebSocket and conversations.

use super::*;
use Confidence::{Likely, Observed};
use Speed::{Fast, Slow};

fn endpoint(port: u16) -> Endpoint {
    Endpoint {
        host: "shop.example".into(),
        port,
    }
}

fn http_of(dependency: &Dependency) -> HttpProbe {
    match &dependency.probe {
        Probe::Http(http) => (**http).clone(),
        other => panic!("{other:?}"),
    }
}

fn as_icmp(case: Case) -> Case {
    case.at("192.0.2.7:0")
        .hop(|hop| hop.url = "icmp://shop.example".into())
        .dependency(|dependency| {
            dependency.probe = Probe::Icmp(IcmpProbe {
                endpoint: endpoint(0),
                resolve: ResolveSettings::default(),
                packets: 3,
                latency: None,
            });
        })
}

fn as_grpc(case: Case) -> Case {
    case.hop(|hop| hop.url = "grpc://shop.example:80/shop.Cart".into())
        .dependency(|dependency| {
            dependency.probe = Probe::Grpc(Box::new(GrpcProbe {
                http: http_of(dependency),
                service: "shop.Cart".into(),
            }));
        })
}

fn as_websocket(case: Case) -> Case {
    case.hop(|hop| hop.url = "ws://shop.example/health".into())
        .dependency(|dependency| {
            dependency.probe = Probe::WebSocket(Box::new(WebSocketProbe {
                http: http_of(dependency),
                subprotocols: Arc::default(),
                ping: false,
                dialogue: Arc::default(),
            }));
        })
}

fn as_redis(case: Case) -> Case {
    case.hop(|hop| {
        hop.url = "redis://shop.example:6379".into();
        hop.dialogue = Some(Box::new(DialogueFacts {
            step: "PING".into(),
            heard: None,
        }));
    })
    .dependency(|dependency| {
        dependency.probe = Probe::Dialogue(Box::new(DialogueProbe {
            endpoint: endpoint(6379),
            resolve: ResolveSettings::default(),
            proxy: None,
            tls: TlsSettings::default(),
            security: Security::None,
            talk: Talk::Service(Service::Redis),
            path: None,
            login: None,
            latency: None,
            cert: None,
        }));
    })
}

#[test]
fn echoes() {
    let at = Phase::FirstByte;
    let icmp = |phase, trouble| as_icmp(case(phase, Trouble::Icmp(trouble)));
    let says = |kind, code| IcmpTrouble::Unreachable {
        kind,
        code,
        offender: Some([192, 0, 2, 1].into()),
    };
    let denied = IcmpTrouble::NoPermission { datagram: 13, raw: 1 };
    check(vec![
        (
            "denied",
            icmp(Phase::Connect, denied.clone()),
            Cause::IcmpNoPermission,
            Observed,
            Fast,
        ),
        (
            "a router",
            icmp(at, says(3, 13)),
            Cause::IcmpUnreachable,
            Observed,
            Fast,
        ),
        (
            "silence",
            as_icmp(timeout(at, Budget::Phase)),
            Cause::IcmpTimedOut,
            Observed,
            Slow,
        ),
        (
            "no route of ours",
            as_icmp(io(
                Phase::Connect,
                Call::Connect,
                crate::engine::classify::errno::ENETUNREACH,
            ))
            .hop(|hop| hop.phases = Default::default())
            .took(Phase::Connect, 0),
            Cause::TcpNoRoute,
            Likely,
            Fast,
        ),
        (
            "our own firewall",
            as_icmp(io(
                Phase::Request,
                Call::Send,
                crate::engine::classify::errno::EPERM,
            )),
            Cause::LocalPolicyDenied,
            Observed,
            Fast,
        ),
        (
            "the message was lost, the error was not",
            as_icmp(io(
                at,
                Call::Receive,
                crate::engine::classify::errno::EHOSTUNREACH,
            )),
            Cause::IcmpUnreachable,
            Observed,
            Fast,
        ),
    ]);
    let failure = icmp(at, says(3, 10)).classify();
    assert_eq!(
        evidence(&failure, "icmp_says"),
        "host administratively prohibited"
    );
    assert_eq!(evidence(&failure, "offender"), "192.0.2.1");
    assert_eq!(evidence(&failure, "address"), "192.0.2.7");
    assert!(failure.fix.contains("192.0.2.1"), "{}", failure.fix);
    let failure = icmp(Phase::Connect, denied).classify();
    assert!(failure.cause.is_ours());
    assert_eq!(evidence(&failure, "datagram_socket"), "EACCES");
}

#[test]
fn calls_and_upgrades() {
    let at = Phase::FirstByte;
    let status = |code| {
        as_grpc(case(
            at,
            Trouble::Grpc(GrpcTrouble::Status {
                code,
                message: Some("busy".into()),
                from: GrpcStatusFrom::Trailers,
            }),
        ))
    };
    let refused = |status| {
        as_websocket(case(at, Trouble::WebSocket(WebSocketTrouble::Status(status))))
            .hop(|hop| hop.status = Some(status))
    };
    let plain_to_tls = "The plain HTTP request was sent to HTTPS port";
    check(vec![
        ("unavailable", status(14), Cause::GrpcUnavailable, Observed, Fast),
        (
            "a code that is not defined",
            status(77),
            Cause::GrpcUnknown,
            Observed,
            Fast,
        ),
        (
            "not serving",
            as_grpc(case(Phase::Verify, Trouble::Grpc(GrpcTrouble::NotServing(2)))),
            Cause::GrpcNotServing,
            Observed,
            Fast,
        ),
        (
            "silence",
            as_grpc(timeout(at, Budget::Phase)),
            Cause::HttpTimedOutFirstByte,
            Observed,
            Slow,
        ),
        (
            "frames to a port that answers with an alert",
            as_grpc(case(
                at,
                Trouble::H2(H2Trouble {
                    frame: H2Frame::GoAway,
                    reason: 6,
                    remote: false,
                }),
            ))
            .first_bytes(b"\x15\x03\x01\x00\x02\x02\x46"),
            Cause::HttpTlsPeer,
            Observed,
            Fast,
        ),
        (
            "no upgrade",
            refused(404),
            Cause::WebsocketUpgradeRefused,
            Observed,
            Fast,
        ),
        (
            "no upgrade, but in other words",
            refused(400)
                .excerpt(plain_to_tls)
                .hop(|hop| hop.status = Some(400)),
            Cause::HttpTlsPeer,
            Observed,
            Fast,
        ),
    ]);
    assert_eq!(evidence(&status(14).classify(), "grpc_message"), "busy");
}

#[test]
fn conversations() {
    let at = Phase::FirstByte;
    let said = |got: Option<&str>, how| {
        as_redis(case(
            Phase::Verify,
            Trouble::Dialogue(DialogueTrouble {
                wanted: "+PONG".into(),
                got: got.map(Into::into),
                code: None,
                how,
            }),
        ))
    };
    check(vec![
        (
            "loading",
            said(Some("-LOADING"), Mismatch::Other),
            Cause::AssertBody,
            Observed,
            Fast,
        ),
        (
            "and then nothing",
            said(Some("+P"), Mismatch::Silent),
            Cause::AssertBody,
            Observed,
            Slow,
        ),
        (
            "and then the end",
            said(None, Mismatch::Closed),
            Cause::AssertBody,
            Observed,
            Fast,
        ),
        (
            "silence",
            as_redis(timeout(at, Budget::Phase)),
            Cause::DeadlineExceeded,
            Observed,
            Slow,
        ),
        (
            "not a word",
            as_redis(case(at, Trouble::Closed)),
            Cause::TcpResetAfterAccept,
            Likely,
            Fast,
        ),
        (
            "a reset",
            as_redis(io(at, Call::Receive, crate::engine::classify::errno::ECONNRESET)),
            Cause::TcpResetAfterAccept,
            Observed,
            Fast,
        ),
    ]);
    for (how, words) in [
        (Mismatch::LoginWanted, "password"),
        (Mismatch::LoginRefused, "correct the user"),
        (Mismatch::NoStartTls, "starttls"),
    ] {
        let fix = said(Some("-ERR"), how).classify().fix;
        assert!(fix.contains(words), "{fix}");
    }
    let other = said(Some("SSH-2.0-x"), Mismatch::Other)
        .first_bytes(b"SSH-2.0-x")
        .classify();
    assert_eq!(evidence(&other, "peer_speaks"), "SSH");
    assert!(other.fix.contains("speaks SSH, not Redis"), "{}", other.fix);
    assert_eq!(evidence(&other, "step"), "PING");
}

/// As for HTTP: whatever stops these probes is understood.
#[test]
fn nothing_that_stops_these_probes_is_unknown() {
    let mut troubles: Vec<Trouble> = [Budget::Phase, Budget::Attempt, Budget::Total]
        .into_iter()
        .map(Trouble::TimedOut)
        .collect();
    troubles.extend([Trouble::Closed, Trouble::NoAddress, Trouble::Abandoned]);
    for errno in [1, 13, 23, 24, 32, 100, 101, 103, 104, 105, 110, 111, 113] {
        troubles.push(Trouble::Io {
            call: Call::Receive,
            errno,
        });
    }
    for phase in Phase::ALL {
        for trouble in &troubles {
            for dress in [as_icmp, as_grpc, as_websocket, as_redis] {
                let failure = dress(case(phase, trouble.clone())).classify();
                assert_ne!(failure.cause, Cause::Unknown, "{phase:?} {trouble:?}");
                assert!(!failure.fix.is_empty(), "{phase:?} {trouble:?}");
            }
        }
    }
}
