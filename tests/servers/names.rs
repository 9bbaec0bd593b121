//! Names asked of BIND, unbound and dnsmasq.

use std::net::UdpSocket;

use crate::ask::{Ask, Diagnosis, ask, ask_all, ask_url};
use crate::binary::check;
use crate::need;
use crate::recipes::{dnsmasq, named, nginx, unbound};
use crate::serve::{Recipe, Server};
use crate::start::ZONE;

fn by(server: &Server) -> String {
    format!("resolve: {{servers: [\"{}\"]}}", server.address(0))
}

/// Asks for that name's page where that server resolves names.
async fn resolving(server: &Server, name: &str) -> Diagnosis {
    ask(Ask::new(format!("http://{name}/"))
        .with(by(server))
        .with("timeouts: {resolve: 1500ms}"))
    .await
}

/// BIND with the zone `lab.example`.
fn bind() -> Recipe {
    named(
        "recursion no;",
        "zone \"lab.example\" { type master; file \"{dir}/zone\"; };",
    )
    .file(
        "zone",
        format!("{ZONE}mail IN MX 10 www\nlong IN DNAME {}\n", long_name()),
    )
}

/// A name of the zone that is nearly as long as a name may be.
fn long_name() -> String {
    let label = "a".repeat(60);
    format!("{label}.{label}.{label}.lab.example.")
}

#[tokio::test]
#[ignore = "needs bind9 and nginx; run by .ci/run"]
async fn a_name_that_bind_does_not_know() {
    let server = need!(bind());
    resolving(&server, "wwv.lab.example")
        .await
        .failed("dns.name_not_resolved.nxdomain resolve fast config no")
        .evidence("rcode", "NXDOMAIN")
        .evidence("zone", "lab.example")
        .evidence("missing", "wwv")
        .evidence("server", server.address(0).to_string());
    let target = need!(nginx("server { listen 127.0.0.1:{0}; return 200 ok; }"));
    let at = |name: &str, host: &str| {
        Ask::new(format!("http://{host}.lab.example:{}/", target.port(0)))
            .named(name)
            .with(by(&server))
    };
    let found = ask_all(&[at("right", "www"), at("misspelt", "wwv")]).await;
    found[0].healthy();
    found[1]
        .failed("dns.name_not_resolved.nxdomain resolve fast config no")
        .evidence("did_you_mean", "www.lab.example");
}

#[tokio::test]
#[ignore = "needs bind9; run by .ci/run"]
async fn names_without_addresses() {
    let server = need!(bind());
    resolving(&server, "mail.lab.example")
        .await
        .failed("dns.name_not_resolved.nodata resolve fast config no");
    let resolver = server.address(0).to_string();
    let said = check(&["-6", "--resolver", &resolver, "http://www.lab.example/"]).await;
    said.one(1)
        .failed("dns.name_not_resolved.nodata resolve fast config no");
}

#[tokio::test]
#[ignore = "needs bind9 and dnsmasq; run by .ci/run"]
async fn servers_that_refuse() {
    let bind = need!(bind());
    // Without servers to ask, dnsmasq refuses what it does not know by itself.
    let dnsmasq = need!(dnsmasq("address=/www.lab.example/127.0.0.1"));
    for server in [&bind, &dnsmasq] {
        resolving(server, "www.elsewhere.example")
            .await
            .failed("dns.server.refused resolve fast config no")
            .evidence("rcode", "REFUSED");
    }
}

#[tokio::test]
#[ignore = "needs bind9; run by .ci/run"]
async fn a_zone_that_is_not_loaded() {
    let server = need!(named(
        "recursion no;",
        "zone \"lab.example\" { type master; file \"{dir}/missing\"; };"
    ));
    resolving(&server, "www.lab.example")
        .await
        .failed("dns.server.servfail resolve fast remote with_backoff")
        .evidence("rcode", "SERVFAIL");
}

#[tokio::test]
#[ignore = "needs bind9; run by .ci/run"]
async fn a_code_that_means_none_of_these() {
    let server = need!(bind());
    let long = "b".repeat(60);
    // The name that the DNAME makes of it is longer than a name may be (RFC 6672, section 2.2).
    resolving(&server, &format!("{long}.long.lab.example"))
        .await
        .failed("dns.failed resolve fast network with_backoff")
        .evidence("rcode", "YXDOMAIN");
}

#[tokio::test]
#[ignore = "needs unbound and bind9; run by .ci/run"]
async fn signatures_that_do_not_verify() {
    // A zone without signatures where a trust anchor says that it is signed.
    let authority = need!(bind());
    let server = need!(
        unbound(
            "  ede: yes
  module-config: \"validator iterator\"
  trust-anchor: \"lab.example. DS 12345 13 2 ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789\"",
            "stub-zone:\n  name: lab.example\n  stub-addr: {authority}",
        )
        .set("authority", at(&authority))
    );
    let found = resolving(&server, "www.lab.example").await;
    found
        .failed("dns.server.servfail resolve fast remote with_backoff")
        .evidence("rcode", "SERVFAIL")
        .evidence("extended_error_code", 9)
        .evidence("extended_error", "DNSKEY Missing")
        .fix("DNSKEY Missing");
}

/// An address as unbound writes it.
fn at(server: &Server) -> String {
    format!("127.0.0.1@{}", server.port(0))
}

#[tokio::test]
#[ignore = "needs unbound; run by .ci/run"]
async fn a_resolver_that_does_not_answer() {
    // unbound drops what is asked of such a zone; and one that forwards to nobody goes on trying.
    let silent = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let port = silent.local_addr().expect("bound").port();
    let server = need!(
        unbound(
            "  local-zone: \"dropped.example.\" deny",
            "forward-zone:\n  name: slow.example\n  forward-addr: 127.0.0.1@{silent}",
        )
        .set("silent", port)
    );
    for name in ["www.dropped.example", "www.slow.example"] {
        resolving(&server, name)
            .await
            .failed("dns.timed_out resolve slow network yes")
            .says("server", &server.address(0).to_string());
    }
}

#[tokio::test]
#[ignore = "needs bind9; run by .ci/run"]
async fn an_answer_too_large_for_a_datagram() {
    let addresses: String = (2..62)
        .map(|number| format!("many IN A 127.0.0.{number}\n"))
        .collect();
    let server = need!(bind().file("zone", format!("{ZONE}{addresses}")));
    // It comes again over TCP (RFC 7766), and that is nothing to talk about.
    let url = format!("dns://{}/many.lab.example?type=A", server.address(0));
    let found = ask(Ask::new(url).with("expect: {records: [127.0.0.61]}")).await;
    found.healthy();
    assert!(found.pretty().contains("\"tcp\""), "{}", found.pretty());
}

#[tokio::test]
#[ignore = "needs unbound and nginx; run by .ci/run"]
async fn ipv6_addresses_are_never_answered() {
    let target = need!(nginx("server { listen 127.0.0.1:{0}; return 200 ok; }"));
    let silent = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let server = need!(
        unbound(
            "  local-zone: \"lab.example.\" typetransparent\n  local-data: \"www.lab.example. A 127.0.0.1\"",
            "forward-zone:\n  name: lab.example\n  forward-addr: 127.0.0.1@{silent}",
        )
        .set("silent", silent.local_addr().expect("bound").port())
    );
    let found = ask(Ask::new(format!("http://www.lab.example:{}/", target.port(0)))
        .with(by(&server))
        .with("timeouts: {resolve: 1s}"))
    .await;
    found.finding("dns.aaaa_stalled");
}

#[tokio::test]
#[ignore = "needs bind9; run by .ci/run"]
async fn a_dns_probe_reads_what_bind_says() {
    let server = need!(bind());
    let url = |name: &str| format!("dns://{}/{name}?type=A", server.address(0));
    ask(Ask::new(url("www.lab.example")).with("expect: {records: [127.0.0.1]}"))
        .await
        .healthy();
    ask_url(url("nowhere.lab.example"))
        .await
        .failed("dns.name_not_resolved.nxdomain first_byte fast config no");
    ask_url(url("www.elsewhere.example"))
        .await
        .failed("dns.server.refused first_byte fast config no");
}

#[tokio::test]
#[ignore = "needs unbound; run by .ci/run"]
async fn a_resolver_that_was_stopped() {
    let server = need!(unbound("  local-data: \"www.lab.example. A 127.0.0.1\"", ""));
    let resolve = by(&server);
    drop(server);
    ask(Ask::new("http://www.lab.example/").with(resolve))
        .await
        .failed("dns.unreachable resolve fast local no")
        .says("servers", "ECONNREFUSED");
}
