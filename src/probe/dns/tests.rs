//! The DNS probe against a scripted server.

use std::net::SocketAddr;
use std::time::Duration;

use crate::lab::dns::{self, DnsLab, Reply};
use crate::model::attempt::{Attempt, Budget, Call, DnsReply, Outcome, Trouble, Unexpected};
use crate::model::dependency::{Dependency, DnsProbe, DnsTransport, Endpoint, Probe, RecordType};
use crate::model::order::{AttemptOrder, Connection};
use crate::model::phase::Phase;

use super::super::resolve::Resolver;
use super::super::tests::{LIMIT, assert_stop, dependency, order, stop};

const NAME: &str = "name.lab.test";

async fn lab(reply: Reply) -> DnsLab {
    dns::start([(NAME, reply)]).await.unwrap()
}

fn probe(address: SocketAddr) -> DnsProbe {
    DnsProbe {
        server: Endpoint {
            host: address.ip().to_string().into(),
            port: address.port(),
        },
        name: NAME.into(),
        record: RecordType::A,
        transport: DnsTransport::Udp,
        expect: [].into(),
    }
}

fn order_of(probe: DnsProbe) -> AttemptOrder {
    order(dependency(Probe::Dns(probe)))
}

async fn attempt_with(order: &AttemptOrder, resolver: &Resolver) -> Attempt {
    let Probe::Dns(probe) = &order.dependency.probe else {
        panic!("a DNS probe")
    };
    tokio::time::timeout(LIMIT, super::attempt(probe, order, resolver))
        .await
        .unwrap()
}

async fn attempt(probe: DnsProbe) -> Attempt {
    attempt_with(&order_of(probe), &Resolver::new()).await
}

/// A port of both transports on which nothing listens.
async fn dead() -> SocketAddr {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    // Free for UDP too, or the test would ask somebody else.
    tokio::net::UdpSocket::bind(address).await.unwrap();
    address
}

#[tokio::test]
async fn an_answer_is_held_against_what_is_expected() {
    let lab = lab(Reply::Addresses {
        a: vec![[192, 0, 2, 1].into(), [192, 0, 2, 2].into()],
        aaaa: vec!["2001:db8::1".parse().unwrap()],
    })
    .await;
    let mut asked = probe(lab.address());
    asked.expect = ["192.0.2.2".into()].into();
    let found = attempt(asked.clone()).await;
    assert_eq!(found.outcome, Outcome::Answered);
    let hop = &found.hops[0];
    let phases: Vec<Phase> = hop.phases.iter().map(|(phase, _)| phase).collect();
    assert_eq!(
        phases,
        [Phase::Connect, Phase::Request, Phase::FirstByte, Phase::Verify]
    );
    assert!(hop.sent > 12 && hop.received > hop.sent, "{hop:?}");
    assert_eq!(hop.address, Some(lab.address()));
    let resolution = hop.resolution.as_deref().unwrap();
    assert_eq!(resolution.addresses.len(), 2);
    assert_eq!(resolution.ttl, Some(Duration::from_secs(30)));

    asked.expect = ["192.0.2.2".into(), "192.0.2.9".into()].into();
    let found = attempt(asked.clone()).await;
    let trouble = Trouble::Unexpected(Unexpected::Record {
        wanted: "192.0.2.9".into(),
        got: vec!["192.0.2.1".into(), "192.0.2.2".into()],
    });
    assert_stop(&found, Phase::Verify, trouble);

    asked.record = RecordType::AAAA;
    asked.expect = ["2001:DB8:0::1".into()].into();
    assert_eq!(attempt(asked).await.outcome, Outcome::Answered);
}

#[tokio::test]
async fn names_are_the_same_in_any_case_and_texts_are_not() {
    let alias = lab(Reply::Cname {
        to: "target.lab.test".into(),
        a: vec![],
    })
    .await;
    let mut asked = probe(alias.address());
    asked.record = RecordType::from_name("CNAME").unwrap();
    asked.expect = ["Target.LAB.test.".into()].into();
    assert_eq!(attempt(asked).await.outcome, Outcome::Answered);
    let text = lab(Reply::Text("v=spf1 -all".into())).await;
    let mut asked = probe(text.address());
    asked.record = RecordType::from_name("TXT").unwrap();
    asked.expect = ["v=spf1 -all".into()].into();
    assert_eq!(attempt(asked.clone()).await.outcome, Outcome::Answered);
    asked.expect = ["V=SPF1 -all".into()].into();
    let found = attempt(asked).await;
    assert!(
        matches!(stop(&found).trouble, Trouble::Unexpected(_)),
        "{found:?}"
    );
}

#[tokio::test]
async fn answers_without_the_record_are_bad_answers() {
    for (reply, expected) in [
        (
            Reply::Nxdomain {
                zone: "lab.test".into(),
            },
            DnsReply::Code {
                rcode: 3,
                soa: Some("lab.test".into()),
            },
        ),
        (
            Reply::NoData,
            DnsReply::NoData {
                soa: Some("lab.test".into()),
            },
        ),
        (Reply::Refused, DnsReply::Code { rcode: 5, soa: None }),
    ] {
        let lab = lab(reply).await;
        let found = attempt(probe(lab.address())).await;
        assert_stop(&found, Phase::FirstByte, Trouble::DnsAnswer);
        let resolution = found.hops[0].resolution.as_deref().unwrap();
        assert_eq!(resolution.answers[0].reply, expected);
    }
}

#[tokio::test]
async fn silence_ends_with_the_budget_that_ended() {
    let lab = lab(Reply::Silent).await;
    let mut dependency: Dependency = dependency(Probe::Dns(probe(lab.address())));
    dependency.timeouts.first_byte = Duration::from_millis(100);
    let mut order = order(dependency);
    let found = attempt_with(&order, &Resolver::new()).await;
    assert_stop(&found, Phase::FirstByte, Trouble::TimedOut(Budget::Phase));
    order.budget = Duration::from_millis(50);
    order.budget_of = Budget::Total;
    let found = attempt_with(&order, &Resolver::new()).await;
    assert_stop(&found, Phase::FirstByte, Trouble::TimedOut(Budget::Total));
    assert!(found.elapsed < Duration::from_secs(1));
}

#[tokio::test]
async fn a_dead_server_refuses_over_both_transports() {
    let address = dead().await;
    let found = attempt(probe(address)).await;
    let Trouble::Io {
        call: Call::Send | Call::Receive,
        errno: libc::ECONNREFUSED,
    } = stop(&found).trouble
    else {
        panic!("{found:?}")
    };
    assert!(stop(&found).chain[0].contains("refused"), "{found:?}");
    let mut asked = probe(address);
    asked.transport = DnsTransport::Tcp;
    let refused = Trouble::Io {
        call: Call::Connect,
        errno: libc::ECONNREFUSED,
    };
    assert_stop(&attempt(asked).await, Phase::Connect, refused);
}

#[tokio::test]
async fn tcp_is_used_when_it_is_asked_for() {
    let lab = lab(Reply::a([192, 0, 2, 1])).await;
    let mut asked = probe(lab.address());
    asked.transport = DnsTransport::Tcp;
    let found = attempt(asked).await;
    assert_eq!(found.outcome, Outcome::Answered);
    assert!(found.hops[0].resolution.as_deref().unwrap().answers[0].over_tcp);
}

#[tokio::test]
async fn the_servers_next_address_is_asked_when_one_is_dead() {
    let lab = lab(Reply::a([192, 0, 2, 1])).await;
    let directory = std::env::temp_dir().join(format!("whyd-dns-probe-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let hosts = directory.join("hosts");
    // Nothing listens on IPv6, whether the system has it or not.
    std::fs::write(&hosts, "127.0.0.1 ns.test\n::1 ns.test\n").unwrap();
    let resolver = Resolver::with_files(directory.join("resolv.conf"), hosts);
    let mut asked = probe(lab.address());
    asked.server.host = "ns.test".into();
    let mut order = order_of(asked);
    let found = attempt_with(&order, &resolver).await;
    assert_eq!(found.outcome, Outcome::Answered, "{found:?}");
    assert_eq!(found.hops.len(), 2);
    let failed = found.hops[0].stop.as_deref().unwrap();
    assert_eq!(failed.hop, Some(0));
    assert!(matches!(failed.trouble, Trouble::Io { .. }), "{failed:?}");
    assert!(found.hops[0].phases.get(Phase::Resolve).is_some());
    assert_eq!(found.hops[1].address, Some(lab.address()));

    order.connection = Connection::Address(lab.address());
    let found = attempt_with(&order, &resolver).await;
    assert_eq!((&found.outcome, found.hops.len()), (&Outcome::Answered, 1));
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn what_cannot_be_asked_is_said() {
    let lab = lab(Reply::NoData).await;
    let mut asked = probe(lab.address());
    asked.name = "a..b".into();
    let found = attempt(asked).await;
    assert!(
        matches!(stop(&found).trouble, Trouble::UrlInvalid(_)),
        "{found:?}"
    );
    assert_eq!((stop(&found).phase, lab.questions()), (None, 0));
    let mut asked = probe(lab.address());
    asked.server.host = "a..b".into();
    assert_stop(&attempt(asked).await, Phase::Resolve, Trouble::NoAddress);
}
