//! Several addresses of one name, of which a part cannot be reached.

use crate::names::has_finding;
use crate::net::{Host, Net, SERVER, SERVER_V6, lab};

const SECOND: &str = "10.92.0.3";

/// The name that the client knows at these addresses.
fn at(net: &Net, addresses: &[&str]) {
    let lines: String = addresses.iter().map(|ip| format!("{ip} it.example\n")).collect();
    net.etc(Host::Client, "hosts", &lines);
    // Nobody answers there: what is looked up is looked up in the hosts file.
    net.etc(Host::Client, "resolv.conf", "nameserver 127.0.0.1\n");
}

/// Serves on both families and on a second IPv4 address, all on one port.
fn serve(net: &Net) -> u16 {
    net.on(Host::Server, "ip", ["addr", "add", "10.92.0.3/24", "dev", "s0"]);
    let port = net.serve_http(Host::Server, &format!("{SERVER}:0")).port();
    net.serve_http(Host::Server, &format!("{SECOND}:{port}"));
    net.serve_http(Host::Server, &format!("[{SERVER_V6}]:{port}"));
    port
}

fn through(net: &Net, rule: &str) {
    net.nft(
        Host::Router,
        &format!(
            "add table inet f; add chain inet f through {{ type filter hook forward priority 0; }}; add rule inet f through {rule}"
        ),
    );
}

#[test]
#[ignore = "needs root, ip and nft"]
fn addresses_that_are_all_well() {
    let Some(net) = lab() else { return };
    let port = serve(&net);
    let url = format!("http://it.example:{port}/");
    at(&net, &[SERVER, SECOND, SERVER_V6]);
    net.check(&url, &["--deep"]).healthy();
    at(&net, &[SERVER_V6]);
    net.check(&url, &["--deep"]).healthy();
    // Without a route for IPv6 nothing is known of that family, and it is nothing of theirs.
    at(&net, &[SERVER, SERVER_V6]);
    net.on(Host::Client, "ip", ["-6", "route", "del", "default"]);
    net.check(&url, &["--deep"]).healthy();
    net.sysctl(Host::Client, "net.ipv6.conf.all.disable_ipv6=1");
    net.check(&url, &["--deep"]).healthy();
}

#[test]
#[ignore = "needs root, ip and nft"]
fn ipv6_is_a_black_hole() {
    let Some(net) = lab() else { return };
    let port = serve(&net);
    let url = format!("http://it.example:{port}/");
    at(&net, &[SERVER, SERVER_V6]);
    through(&net, "meta nfproto ipv6 tcp dport 1-65535 drop");
    let found = net.check(&url, &["--connect-timeout", "1s"]);
    has_finding(&found, "address.ipv6_broken");
    let found = net.check(&url, &["-6", "--connect-timeout", "1s"]);
    found.failed("address.ipv6_broken connect slow network yes confirmed");
    let inner = found.evidence("inner_cause").as_str().unwrap_or_default();
    assert!(inner.starts_with("tcp.timed_out"), "{}", found.pretty());
}

#[test]
#[ignore = "needs root, ip and nft"]
fn ipv6_is_refused_by_a_router() {
    let Some(net) = lab() else { return };
    let port = serve(&net);
    let url = format!("http://it.example:{port}/");
    at(&net, &[SERVER, SERVER_V6]);
    through(
        &net,
        "meta nfproto ipv6 tcp dport 1-65535 reject with icmpv6 type no-route",
    );
    let found = net.check(&url, &[]);
    has_finding(&found, "address.ipv6_broken");
}

#[test]
#[ignore = "needs root, ip and nft"]
fn one_address_of_several_is_a_black_hole() {
    let Some(net) = lab() else { return };
    let port = serve(&net);
    let url = format!("http://it.example:{port}/");
    at(&net, &[SERVER, SECOND]);
    through(&net, &format!("ip daddr {SECOND} tcp dport 1-65535 drop"));
    net.check(&url, &[]).healthy();
    let found = net.check(&url, &["--deep", "--connect-timeout", "1s"]);
    has_finding(&found, "address.partial");
}
