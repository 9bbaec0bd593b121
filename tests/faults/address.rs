//! Several addresses of one name: what works is used, and what does not is told.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};
use whyd::lab::certs::CertSpec;
use whyd::lab::dns::{self, Reply};
use whyd::lab::http::{Behaviour, HttpOptions, HttpServer};
use whyd::lab::tls::TlsOptions;

use crate::ask::{Ask, ask};
use crate::binary::check;
use crate::identity::{Trust, server_tls};

/// Keeps that port of ::1 from being listened at by anyone.
fn refuse_ipv6(port: u16) -> Socket {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None).expect("IPv6 on this machine");
    socket.set_only_v6(true).expect("an option of every system");
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    socket.bind(&address.into()).expect("the same port of ::1");
    socket
}

#[tokio::test]
async fn one_bad_address_of_several() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let port = server.address().port();
    let found =
        ask(Ask::new(format!("http://it.lab.test:{port}/"))
            .with("resolve: {addresses: [127.0.0.2, 127.0.0.1]}"))
        .await;
    let evidence = found.finding("address.partial");
    assert_eq!(evidence["working"], format!("127.0.0.1:{port}"));
    assert_eq!(evidence["failed"][0]["address"], format!("127.0.0.2:{port}"));
    assert_eq!(evidence["failed"][0]["cause"], "tcp.refused.rst");
    assert_eq!(
        found.attempts().len(),
        1,
        "another address is not another attempt"
    );
}

#[tokio::test]
async fn ipv6_is_broken_and_ipv4_works() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let port = server.address().port();
    let _refusing = refuse_ipv6(port);
    let both = Reply::Addresses {
        a: vec![[127, 0, 0, 1].into()],
        aaaa: vec![Ipv6Addr::LOCALHOST],
    };
    let lab = dns::start([("it.lab.test", both)]).await.expect("a port");
    let url = format!("http://it.lab.test:{port}/");
    let resolver = lab.address().to_string();
    let said = check(&["--retries", "0", "--resolver", &resolver, &url]).await;
    let found = said.one(0);
    let evidence = found.finding("address.ipv6_broken");
    assert_eq!(evidence["inner_cause"], "tcp.refused.rst");
    assert_eq!(evidence["failed"][0]["address"], format!("[::1]:{port}"));
    assert_eq!(evidence["working"], format!("127.0.0.1:{port}"));
}

/// A listener on ::1, and what keeps the same port of 127.0.0.1 from being listened at by anyone. A port that is free in
/// one family may be taken in the other, so that several are tried.
fn listening_on_ipv6_alone() -> (std::net::TcpListener, Socket) {
    let pair = || {
        let listener = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("IPv6");
        let port = listener.local_addr().expect("its address").port();
        let refusing = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        refusing.bind(&address.into()).ok().map(|()| (listener, refusing))
    };
    (0..50)
        .find_map(|_| pair())
        .expect("a port that is free in both families")
}

#[tokio::test]
async fn ipv4_is_broken_and_ipv6_works() {
    let (listener, _refusing) = listening_on_ipv6_alone();
    let port = listener.local_addr().expect("its address").port();
    let found =
        ask(Ask::new(format!("tcp://it.lab.test:{port}")).with("resolve: {addresses: [127.0.0.1, '::1']}"))
            .await;
    let evidence = found.finding("address.ipv4_broken");
    assert_eq!(evidence["working"], format!("[::1]:{port}"));
}

#[tokio::test]
async fn no_address_works() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let port = server.address().port();
    let found =
        ask(Ask::new(format!("http://it.lab.test:{port}/"))
            .with("resolve: {addresses: [127.0.0.2, 127.0.0.3]}"))
        .await;
    found
        .failed("tcp.refused.rst connect fast remote yes")
        .says("addresses", "127.0.0.2")
        .says("addresses", "127.0.0.3");
    assert_eq!(server.server().connections(), 0);
}

#[tokio::test]
async fn the_address_that_got_further_explains() {
    let server = HttpServer::plain(Behaviour::status(500)).await.expect("a port");
    let port = server.address().port();
    let found =
        ask(Ask::new(format!("http://it.lab.test:{port}/"))
            .with("resolve: {addresses: [127.0.0.2, 127.0.0.1]}"))
        .await;
    found
        .failed("http.error.500 first_byte fast remote with_backoff")
        .says("addresses", "127.0.0.2");
}

/// Servers with these behaviours, at 127.0.0.1, 127.0.0.2 and so on, all on one port.
async fn servers(behaviours: Vec<Behaviour>) -> (u16, Vec<HttpServer>) {
    let mut servers: Vec<HttpServer> = Vec::new();
    for (n, behaviour) in (1..).zip(behaviours) {
        let port = servers.first().map_or(0, |first| first.address().port());
        let at = SocketAddr::from(([127, 0, 0, n], port));
        let server = HttpServer::start_at(at, behaviour, HttpOptions::default()).await;
        servers.push(server.expect("the same port"));
    }
    (servers[0].address().port(), servers)
}

/// A nameserver that knows `it.lab.test` at 127.0.0.1 to 127.0.0.n, in this order.
async fn named(addresses: &[&str]) -> dns::DnsLab {
    let parsed = addresses
        .iter()
        .map(|ip| ip.parse::<IpAddr>().expect("an address"));
    let (mut a, mut aaaa) = (Vec::new(), Vec::new());
    for address in parsed {
        match address {
            IpAddr::V4(v4) => a.push(v4),
            IpAddr::V6(v6) => aaaa.push(v6),
        }
    }
    let reply = Reply::Addresses { a, aaaa };
    dns::start([("it.lab.test", reply)]).await.expect("a port")
}

#[tokio::test]
async fn an_address_that_nobody_asked_is_found_by_a_deep_look() {
    let (port, _servers) = servers(vec![Behaviour::ok()]).await;
    let lab = named(&["127.0.0.1", "127.0.0.2"]).await;
    let url = format!("http://it.lab.test:{port}/");
    let resolver = lab.address().to_string();
    let said = check(&["--resolver", &resolver, &url]).await;
    said.one(0).healthy();
    let said = check(&["--deep", "--resolver", &resolver, &url]).await;
    let evidence = said.one(0).finding("address.partial").clone();
    assert_eq!(evidence["inner_cause"], "tcp.refused.rst");
    assert_eq!(evidence["failed"][0]["address"], format!("127.0.0.2:{port}"));
    assert_eq!(
        evidence["failed"][0]["asked"], 2,
        "nothing is claimed of what failed once"
    );
    assert_eq!(evidence["working"], format!("127.0.0.1:{port}"));
}

#[tokio::test]
async fn an_address_that_answers_503_while_the_others_are_well() {
    let bad_second = vec![Behaviour::ok(), Behaviour::status(503), Behaviour::ok()];
    let (port, _servers) = servers(bad_second).await;
    let lab = named(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]).await;
    let url = format!("http://it.lab.test:{port}/");
    let said = check(&["--deep", "--resolver", &lab.address().to_string(), &url]).await;
    let evidence = said.one(0).finding("address.partial").clone();
    assert_eq!(evidence["inner_cause"], "http.error.503");
    assert_eq!(evidence["failed"][0]["status"], 503);
    assert_eq!(evidence["failed"].as_array().map(Vec::len), Some(1));
    assert_eq!(evidence["addresses_asked"].as_array().map(Vec::len), Some(3));
    let bad_first = named(&["127.0.0.2", "127.0.0.1"]).await;
    let resolver = bad_first.address().to_string();
    let said = check(&["--retries", "0", "--resolver", &resolver, &url]).await;
    said.one(1)
        .failed("address.partial first_byte fast network yes")
        .confidence("confirmed")
        .evidence("inner_cause", "http.error.503")
        .says("failed", "127.0.0.2")
        .says("working", "127.0.0.1")
        .fix("127.0.0.2");
}

#[tokio::test]
async fn what_may_not_be_repeated_is_not_sent_to_every_address() {
    let (port, servers) = servers(vec![Behaviour::status(503), Behaviour::status(503)]).await;
    let lab = named(&["127.0.0.1", "127.0.0.2"]).await;
    let url = format!("http://it.lab.test:{port}/");
    let resolver = lab.address().to_string();
    let said = check(&[
        "--deep",
        "--retries",
        "0",
        "--method",
        "POST",
        "--data",
        "x",
        "--resolver",
        &resolver,
        &url,
    ])
    .await;
    said.one(1)
        .failed("http.error.503 first_byte fast remote with_backoff");
    let requests: u64 = servers.iter().map(|server| server.server().requests()).sum();
    assert_eq!(requests, 1, "the others were only connected to");
}

#[tokio::test]
async fn an_address_with_another_certificate() {
    let trust = Trust::new();
    let wrong = CertSpec::named(["other.lab.test"]);
    let right = CertSpec::named(["it.lab.test"]);
    let mut port = 0;
    let mut servers = Vec::new();
    for (n, spec) in [(1, right), (2, wrong)] {
        let issued = trust.authority.issue(spec).expect("a certificate");
        let options = HttpOptions {
            tls: Some(server_tls(&issued, TlsOptions::default())),
            ..HttpOptions::default()
        };
        let at = SocketAddr::from(([127, 0, 0, n], port));
        let server = HttpServer::start_at(at, Behaviour::ok(), options).await;
        let server = server.expect("the same port");
        port = server.address().port();
        servers.push(server);
    }
    let lab = named(&["127.0.0.1", "127.0.0.2"]).await;
    let url = format!("https://it.lab.test:{port}/");
    let ca = trust.file();
    let said = check(&[
        "--deep",
        "--ca",
        &ca,
        "--resolver",
        &lab.address().to_string(),
        &url,
    ])
    .await;
    let evidence = said.one(0).finding("address.partial").clone();
    assert_eq!(evidence["inner_cause"], "tls.cert.name_invalid");
    let asked = evidence["addresses_asked"].as_array().expect("both");
    let certificates: Vec<&str> = asked
        .iter()
        .filter_map(|entry| entry["certificate_sha256"].as_str())
        .collect();
    assert_eq!(certificates.len(), 2, "{evidence}");
    assert_ne!(certificates[0], certificates[1]);
}

#[tokio::test]
async fn who_asks_for_ipv6_alone_learns_that_ipv4_works() {
    let (port, _servers) = servers(vec![Behaviour::ok()]).await;
    let _refusing = refuse_ipv6(port);
    let lab = named(&["127.0.0.1", "::1"]).await;
    let url = format!("http://it.lab.test:{port}/");
    let resolver = lab.address().to_string();
    let said = check(&["-6", "--retries", "0", "--resolver", &resolver, &url]).await;
    said.one(1)
        .failed("address.ipv6_broken connect fast network yes")
        .confidence("confirmed")
        .evidence("inner_cause", "tcp.refused.rst");
}

#[tokio::test]
async fn an_address_that_was_away_for_a_moment_is_not_broken() {
    // It refuses the attempt, and answers whenever it is asked afterwards.
    let flaky = Behaviour::FlakyThenOk {
        failures: 1,
        status: 503,
        successes: 1000,
    };
    let (port, _servers) = servers(vec![Behaviour::ok(), flaky]).await;
    let lab = named(&["127.0.0.2", "127.0.0.1"]).await;
    let url = format!("http://it.lab.test:{port}/");
    let resolver = lab.address().to_string();
    let said = check(&["--retries", "0", "--resolver", &resolver, &url]).await;
    said.one(1)
        .failed("http.error.503 first_byte fast remote with_backoff");
}

#[tokio::test]
async fn several_addresses_that_are_all_well() {
    let (port, _servers) = servers(vec![Behaviour::ok(), Behaviour::ok(), Behaviour::ok()]).await;
    let lab = named(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]).await;
    let url = format!("http://it.lab.test:{port}/");
    let resolver = lab.address().to_string();
    for target in [&url[..], &format!("tcp://it.lab.test:{port}")] {
        let said = check(&["--deep", "--resolver", &resolver, target]).await;
        said.one(0).healthy();
    }
    let said = check(&["--deep", &format!("http://localhost:{port}/")]).await;
    said.one(0).healthy();
}
