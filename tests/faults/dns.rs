//! Names that do not resolve: what each nameserver said, and which of its words explains the failure.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use whyd::lab::dns::{self, DnsLab, Reply};
use whyd::lab::http::{Behaviour, HttpServer};

use crate::ask::{Ask, Diagnosis, ask, ask_all, ask_url};
use crate::binary::check;

async fn lab<'a>(zones: impl IntoIterator<Item = (&'a str, Reply)>) -> DnsLab {
    dns::start(zones).await.expect("a port")
}

fn by(server: SocketAddr) -> String {
    format!("resolve: {{servers: [\"{server}\"]}}")
}

/// Asks `http://it.lab.test/` where a nameserver answers like this.
async fn resolving(reply: Reply) -> Diagnosis {
    let lab = lab([("it.lab.test", reply)]).await;
    ask(Ask::new("http://it.lab.test/")
        .with(by(lab.address()))
        .with("timeouts: {resolve: 400ms}"))
    .await
}

#[tokio::test]
async fn a_name_that_does_not_exist() {
    let zone = "lab.test".to_owned();
    resolving(Reply::Nxdomain { zone })
        .await
        .failed("dns.name_not_resolved.nxdomain resolve fast config no")
        .confidence("observed")
        .evidence("rcode", "NXDOMAIN")
        .evidence("zone", "lab.test")
        .evidence("missing", "it");
}

#[tokio::test]
async fn a_name_that_is_nearly_a_known_one() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let lab = lab([("payments.lab.test", Reply::a([127, 0, 0, 1]))]).await;
    let port = server.address().port();
    let at = |name: &str, host: &str| {
        let url = format!("http://{host}.lab.test:{port}/");
        Ask::new(url).named(name).with(by(lab.address()))
    };
    let found = ask_all(&[at("right", "payments"), at("misspelt", "paymnets")]).await;
    found[0].healthy();
    found[1]
        .failed("dns.name_not_resolved.nxdomain resolve fast config no")
        .evidence("did_you_mean", "payments.lab.test")
        .fix("payments.lab.test");
}

#[tokio::test]
async fn a_name_that_does_not_exist_said_by_the_binary() {
    let lab = lab([]).await;
    let resolver = lab.address().to_string();
    let said = check(&["--resolver", &resolver, "https://nowhere.lab.test/"]).await;
    let found = said.one(1);
    found
        .failed("dns.name_not_resolved.nxdomain resolve fast config no")
        .evidence("server", resolver.as_str());
    assert_eq!(found.attempts().len(), 1, "it is not worth a retry");
    let phases = found.attempts()[0]["phases"].as_object().expect("phases");
    assert_eq!(phases.keys().collect::<Vec<_>>(), ["resolve"]);
}

#[tokio::test]
async fn a_name_without_addresses() {
    resolving(Reply::NoData)
        .await
        .failed("dns.name_not_resolved.nodata resolve fast config no");
    resolving(Reply::Text("v=spf1 -all".to_owned()))
        .await
        .failed("dns.name_not_resolved.nodata resolve fast config no");
}

#[tokio::test]
async fn a_name_without_addresses_of_the_family() {
    let lab = lab([("it.lab.test", Reply::a([127, 0, 0, 1]))]).await;
    let resolver = lab.address().to_string();
    let said = check(&["-6", "--resolver", &resolver, "http://it.lab.test/"]).await;
    said.one(1)
        .failed("dns.name_not_resolved.nodata resolve fast config no");
}

#[tokio::test]
async fn a_server_that_fails() {
    resolving(Reply::Servfail { extended: None })
        .await
        .failed("dns.server.servfail resolve fast remote with_backoff")
        .evidence("rcode", "SERVFAIL");
    let extended = Some((6, "no valid RRSIG".to_owned()));
    resolving(Reply::Servfail { extended })
        .await
        .failed("dns.server.servfail resolve fast remote with_backoff")
        .evidence("extended_error_code", 6)
        .evidence("extended_error", "DNSSEC Bogus")
        .evidence("extended_error_text", "no valid RRSIG")
        .fix("DNSSEC");
    let extended = Some((22, String::new()));
    resolving(Reply::Servfail { extended })
        .await
        .failed("dns.server.servfail resolve fast remote with_backoff")
        .evidence("extended_error", "No Reachable Authority");
}

#[tokio::test]
async fn a_server_that_refuses() {
    resolving(Reply::Refused)
        .await
        .failed("dns.server.refused resolve fast config no")
        .evidence("rcode", "REFUSED");
}

#[tokio::test]
async fn a_server_that_is_silent() {
    let found = resolving(Reply::Silent).await;
    found.failed("dns.timed_out resolve slow network yes");
    assert!(found.elapsed() >= 390.0, "{}", found.pretty());
    let a = [127, 0, 0, 1].into();
    // An answer to somebody else's question is none.
    resolving(Reply::WrongId { a: vec![a] })
        .await
        .failed("dns.timed_out resolve slow network yes");
}

#[tokio::test]
async fn a_server_that_talks_nonsense() {
    resolving(Reply::Malformed)
        .await
        .failed("dns.failed resolve fast network with_backoff");
}

/// A UDP port at which nothing answers and that nobody else can take: a connected socket takes datagrams of its peer
/// alone, and the kernel refuses all others.
fn dead_resolver() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket
        .connect(peer.local_addr().expect("its address"))
        .expect("connecting sends nothing");
    socket
}

#[tokio::test]
async fn no_server_at_all() {
    let dead = dead_resolver();
    let address = dead.local_addr().expect("its address");
    ask(Ask::new("http://it.lab.test/").with(by(address)))
        .await
        .failed("dns.unreachable resolve fast local no")
        .evidence("server", address.to_string());
}

#[tokio::test]
async fn the_second_server_knows() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let lab = lab([("it.lab.test", Reply::a([127, 0, 0, 1]))]).await;
    let dead = dead_resolver();
    let both = format!(
        "resolve: {{servers: [\"{}\", \"{}\"]}}",
        dead.local_addr().expect("its address"),
        lab.address()
    );
    let url = format!("http://it.lab.test:{}/", server.address().port());
    ask(Ask::new(url).with(both)).await.healthy();
}

#[tokio::test]
async fn of_two_servers_the_one_that_says_why_explains() {
    let refusing = lab([("it.lab.test", Reply::Refused)]).await;
    let dead = dead_resolver();
    let both = format!(
        "resolve: {{servers: [\"{}\", \"{}\"]}}",
        dead.local_addr().expect("its address"),
        refusing.address()
    );
    ask(Ask::new("http://it.lab.test/").with(both))
        .await
        .failed("dns.server.refused resolve fast config no")
        .alternative("dns.unreachable");
}

#[tokio::test]
async fn aaaa_is_dropped() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let a = vec![[127, 0, 0, 1].into()];
    let lab = lab([("it.lab.test", Reply::AaaaSilent { a })]).await;
    let url = format!("http://it.lab.test:{}/", server.address().port());
    let found = ask(Ask::new(url)
        .with(by(lab.address()))
        .with("timeouts: {resolve: 300ms}"))
    .await;
    let evidence = found.finding("dns.aaaa_stalled");
    assert_eq!(evidence["name"], "it.lab.test");
    assert!(evidence["waited"].as_f64().expect("a time") > 0.05, "{evidence}");
}

#[tokio::test]
async fn answers_that_look_odd_and_are_right() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let a = vec![Ipv4Addr::LOCALHOST];
    let to = "other.lab.test".to_owned();
    let lab = lab([
        ("cut.lab.test", Reply::Truncated { a: a.clone() }),
        ("old.lab.test", Reply::NoEdns { a: a.clone() }),
        ("alias.lab.test", Reply::Cname { to, a }),
    ])
    .await;
    for name in ["cut", "old", "alias"] {
        let url = format!("http://{name}.lab.test:{}/", server.address().port());
        ask(Ask::new(url).with(by(lab.address()))).await.healthy();
    }
}

#[tokio::test]
async fn a_question_of_ones_own() {
    let zone = "lab.test".to_owned();
    let lab = lab([
        ("it.lab.test", Reply::a([192, 0, 2, 1])),
        ("no.lab.test", Reply::Nxdomain { zone }),
        ("bad.lab.test", Reply::Servfail { extended: None }),
        ("mute.lab.test", Reply::Silent),
    ])
    .await;
    let at = |name: &str| format!("dns://{}/{name}.lab.test?type=A", lab.address());
    ask_url(at("it")).await.healthy();
    ask_url(at("no"))
        .await
        .failed("dns.name_not_resolved.nxdomain first_byte fast config no");
    ask_url(at("bad"))
        .await
        .failed("dns.server.servfail first_byte fast remote with_backoff");
    ask(Ask::new(at("mute")).with("timeouts: {first_byte: 300ms}"))
        .await
        .failed("dns.timed_out first_byte slow network yes");
    ask(Ask::new(at("it")).with("expect: {records: 192.0.2.2}"))
        .await
        .failed("assert.body verify fast config no")
        .evidence("wanted", "192.0.2.2")
        .says("got", "192.0.2.1");
    let dead = dead_resolver();
    let url = format!(
        "dns://{}/it.lab.test?type=A",
        dead.local_addr().expect("its address")
    );
    ask_url(url)
        .await
        .failed("dns.unreachable first_byte fast local no");
}

/// `whyd check` of `http://it.lab.test:PORT/` by these nameservers.
async fn by_both(servers: [&DnsLab; 2], port: u16, options: &[&str]) -> crate::binary::Said {
    let [one, other] = servers.map(|lab| lab.address().to_string());
    let url = format!("http://it.lab.test:{port}/");
    let mut arguments = vec!["--retries", "0", "--resolver", &one, "--resolver", &other, &url];
    arguments.extend_from_slice(options);
    check(&arguments).await
}

fn a(last: &[u8]) -> Reply {
    Reply::Addresses {
        a: last.iter().map(|n| Ipv4Addr::new(127, 0, 0, *n)).collect(),
        aaaa: Vec::new(),
    }
}

#[tokio::test]
async fn one_nameserver_denies_what_the_other_has() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let port = server.address().port();
    let denies = lab([]).await;
    let knows = lab([("it.lab.test", a(&[1]))]).await;
    let said = by_both([&denies, &knows], port, &[]).await;
    said.one(1)
        .failed("dns.answer_mismatch.split_horizon resolve fast config no")
        .confidence("confirmed")
        .evidence("inner_cause", "dns.name_not_resolved.nxdomain")
        .evidence("differs", denies.address().to_string())
        .says("sources", "127.0.0.1");
    // The other way round it answers, and is found by who looks.
    let said = by_both([&knows, &denies], port, &[]).await;
    said.one(0).healthy();
    let said = by_both([&knows, &denies], port, &["--deep"]).await;
    let evidence = said.one(0).finding("dns.answer_mismatch.split_horizon").clone();
    assert_eq!(evidence["differs"], denies.address().to_string());
}

#[tokio::test]
async fn one_nameserver_leads_to_an_address_that_fails() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let port = server.address().port();
    let wrong = lab([("it.lab.test", a(&[7]))]).await;
    let right = lab([("it.lab.test", a(&[1]))]).await;
    let said = by_both([&wrong, &right], port, &[]).await;
    said.one(1)
        .failed("dns.answer_mismatch.split_horizon connect fast config no")
        .confidence("likely")
        .alternative("dns.answer_mismatch.stale")
        .evidence("inner_cause", "tcp.refused.rst")
        .says("addresses_asked", "127.0.0.7");
    let said = by_both([&right, &wrong], port, &["--deep"]).await;
    let evidence = said.one(0).finding("dns.answer_mismatch.split_horizon").clone();
    assert_eq!(evidence["differs"], wrong.address().to_string());
}

#[tokio::test]
async fn one_nameserver_serves_an_older_zone() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let port = server.address().port();
    let zone = |serial: u32, last: u8| Reply::Authoritative {
        zone: "lab.test".to_owned(),
        serial,
        a: vec![Ipv4Addr::new(127, 0, 0, last)],
    };
    let of = |serial, last| {
        vec![
            ("it.lab.test", zone(serial, last)),
            ("lab.test", zone(serial, last)),
        ]
    };
    let old = lab(of(20_261_101, 7)).await;
    let new = lab(of(20_261_124, 1)).await;
    let said = by_both([&new, &old], port, &["--deep"]).await;
    let evidence = said.one(0).finding("dns.answer_mismatch.stale").clone();
    assert_eq!(evidence["differs"], old.address().to_string());
    assert_eq!(evidence["confidence"], "confirmed");
    let said = by_both([&old, &new], port, &[]).await;
    said.one(1)
        .failed("dns.answer_mismatch.stale connect fast config no")
        .says("sources", "20261101");
}

#[tokio::test]
async fn nameservers_that_differ_and_are_well() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let port = server.address().port();
    let second = SocketAddr::from(([127, 0, 0, 2], port));
    let second = HttpServer::start_at(second, Behaviour::ok(), Default::default()).await;
    let _second = second.expect("the same port");
    let zone = "lab.test".to_owned();
    let pairs = [
        ("subsets", a(&[1]), a(&[2])),
        ("another order", a(&[1, 2]), a(&[2, 1])),
        ("a part of it", a(&[1, 2]), a(&[2])),
        ("rotating", rotating(&[1, 2]), rotating(&[2, 1])),
        ("the second refuses", a(&[1]), Reply::Refused),
        ("the first fails", Reply::Servfail { extended: None }, a(&[1])),
        (
            "an alias",
            a(&[1]),
            Reply::Cname {
                to: "o.lab.test".to_owned(),
                a: vec![Ipv4Addr::LOCALHOST],
            },
        ),
        (
            "another serial, the same answer",
            a(&[1]),
            Reply::Authoritative {
                zone,
                serial: 9,
                a: vec![Ipv4Addr::LOCALHOST],
            },
        ),
    ];
    for (what, one, other) in pairs {
        let one = lab([("it.lab.test", one)]).await;
        let other = lab([("it.lab.test", other)]).await;
        let said = by_both([&one, &other], port, &["--deep"]).await;
        assert_eq!(said.status, Some(0), "{what}: {:?}", said.diagnoses);
        said.one(0).healthy();
    }
}

fn rotating(last: &[u8]) -> Reply {
    Reply::Rotating {
        a: last.iter().map(|n| Ipv4Addr::new(127, 0, 0, *n)).collect(),
    }
}

#[tokio::test]
async fn aaaa_is_dropped_and_nothing_else_was_asked_for() {
    let a = vec![[127, 0, 0, 1].into()];
    let lab = lab([("it.lab.test", Reply::AaaaSilent { a })]).await;
    let resolver = lab.address().to_string();
    let said = check(&[
        "-6",
        "--retries",
        "0",
        "--resolve-timeout",
        "400ms",
        "--resolver",
        &resolver,
        "http://it.lab.test/",
    ])
    .await;
    said.one(1)
        .failed("dns.aaaa_stalled resolve slow network yes")
        .confidence("confirmed")
        .evidence("inner_cause", "dns.timed_out");
}

#[tokio::test]
async fn aaaa_was_late_only_once() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let lab = lab([(
        "it.lab.test",
        Reply::AaaaLateOnce {
            a: vec![Ipv4Addr::LOCALHOST],
        },
    )])
    .await;
    let url = format!("http://it.lab.test:{}/", server.address().port());
    let resolver = lab.address().to_string();
    let said = check(&["--resolve-timeout", "400ms", "--resolver", &resolver, &url]).await;
    said.one(0).healthy();
}

#[tokio::test]
async fn a_server_whose_tcp_does_not_get_through() {
    resolving(Reply::TruncatedAndSilent)
        .await
        .failed("dns.timed_out resolve slow network yes")
        .evidence("transport", "tcp")
        .evidence("truncated_over_udp", true)
        .fix("TCP port 53");
    resolving(Reply::TruncatedAndClosed)
        .await
        .failed("dns.failed resolve fast network with_backoff")
        .fix("TCP port 53");
}

#[tokio::test]
async fn a_server_that_blocks_the_name_says_so() {
    let extended = Some((15, "blocked by policy".to_owned()));
    resolving(Reply::Servfail { extended })
        .await
        .failed("dns.server.servfail resolve fast remote with_backoff")
        .evidence("extended_error", "Blocked")
        .fix("Blocked");
}

#[tokio::test]
async fn servers_that_do_not_know_edns_are_well() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let a = vec![Ipv4Addr::LOCALHOST];
    let lab = lab([
        ("dropped.lab.test", Reply::EdnsDropped { a: a.clone() }),
        ("notimp.lab.test", Reply::EdnsCode { rcode: 4, a }),
    ])
    .await;
    for name in ["dropped", "notimp"] {
        let url = format!("http://{name}.lab.test:{}/", server.address().port());
        let said = check(&["--deep", "--resolver", &lab.address().to_string(), &url]).await;
        said.one(0).healthy();
    }
}
