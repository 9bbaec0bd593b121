//! The system's resolver, its files, and the way to its nameserver, with dnsmasq as that nameserver.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::net::{Host, Net, SERVER, SERVER_V6, lab};
use crate::run::Diagnosis;

/// Another address of the server, at which nothing listens.
const NOBODY: &str = "10.92.0.3";

/// A lab whose client asks dnsmasq at the server, which knows these records: `/name/address`. `None` where it cannot be
/// made.
fn named(records: &[String]) -> Option<Net> {
    let mut net = lab()?;
    net.on(Host::Server, "ip", ["addr", "add", "10.92.0.3/24", "dev", "s0"]);
    net.etc(Host::Client, "resolv.conf", &format!("nameserver {SERVER}\n"));
    net.etc(Host::Client, "hosts", "127.0.0.1 localhost\n");
    dnsmasq(&mut net, SERVER, records);
    Some(net)
}

fn dnsmasq(net: &mut Net, at: &str, records: &[String]) {
    let listen = format!("--listen-address={at}");
    let mut arguments = vec![
        "--keep-in-foreground",
        "--no-resolv",
        "--no-hosts",
        "--bind-interfaces",
        "--user=root",
        "--pid-file",
        "--conf-file=/dev/null",
        "--local=/example/",
        &listen,
    ];
    arguments.extend(records.iter().map(String::as_str));
    net.start(Host::Server, "dnsmasq", &arguments);
    answers(net, at);
}

/// Waits until something answers at port 53 there.
fn answers(net: &Net, at: &str) {
    // A question for the root, with one label of length zero, type A, class IN.
    let question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01";
    let at = format!("{at}:53");
    net.within(Host::Client, move || {
        // Not connected, so that a refusal is silence as well and the timeout is the pause between two questions.
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        let pause = Some(Duration::from_millis(50));
        socket.set_read_timeout(pause).expect("a timeout");
        let limit = Instant::now() + Duration::from_secs(10);
        loop {
            socket.send_to(question, &at).expect("a way there");
            if socket.recv(&mut [0; 512]).is_ok() {
                return;
            }
            assert!(Instant::now() < limit, "the nameserver does not answer at {at}");
        }
    });
}

fn a(name: &str, address: &str) -> String {
    format!("--host-record={name},{address}")
}

/// It answered, and this is worth knowing.
#[track_caller]
pub fn has_finding(found: &Diagnosis, id: &str) {
    assert_eq!(found.verdict(), "ok", "{}", found.pretty());
    let findings = found.0["findings"].as_array().expect("findings");
    assert!(
        findings.iter().any(|finding| finding["id"] == id),
        "{}",
        found.pretty()
    );
}

fn url(name: &str, port: u16) -> String {
    format!("http://{name}:{port}/")
}

#[test]
#[ignore = "needs root, ip, nft and dnsmasq"]
fn names_that_are_well() {
    let records = [
        a("it.example", SERVER),
        a("both.example", &format!("{SERVER},{SERVER_V6}")),
        a("six.example", SERVER_V6),
        "--cname=alias.example,it.example".to_owned(),
    ];
    let Some(net) = named(&records) else { return };
    let port = net.serve_http(Host::Server, &format!("{SERVER}:0")).port();
    net.serve_http(Host::Server, &format!("[{SERVER_V6}]:{port}"));
    net.etc(
        Host::Client,
        "resolv.conf",
        &format!("search example\nnameserver {SERVER}\n"),
    );
    net.etc(
        Host::Client,
        "hosts",
        &format!("127.0.0.1 localhost\n{SERVER} it.example\n{SERVER} only.here.example\n"),
    );
    for name in [
        "it.example",
        "both.example",
        "six.example",
        "alias.example",
        "it",
        "alias",
        "only.here.example",
    ] {
        net.check(&url(name, port), &["--deep"]).healthy();
    }
}

#[test]
#[ignore = "needs root, ip, nft and dnsmasq"]
fn the_hosts_file_overrules_dns() {
    let Some(net) = named(&[a("it.example", SERVER)]) else {
        return;
    };
    let port = net.serve_http(Host::Server, &format!("{SERVER}:0")).port();
    net.etc(Host::Client, "hosts", &format!("{NOBODY} it.example\n"));
    let found = net.check(&url("it.example", port), &[]);
    found.failed("dns.answer_mismatch.hosts_file connect fast config no confirmed");
    assert_eq!(
        found.evidence("inner_cause"),
        "tcp.refused.rst",
        "{}",
        found.pretty()
    );
    assert!(
        found.pretty().contains("getaddrinfo of glibc"),
        "who spoke is named"
    );
    // It works, and is elsewhere.
    net.serve_http(Host::Server, &format!("{NOBODY}:{port}"));
    net.check(&url("it.example", port), &[]).healthy();
    let found = net.check(&url("it.example", port), &["--deep"]);
    has_finding(&found, "dns.answer_mismatch.hosts_file");
}

#[test]
#[ignore = "needs root, ip, nft and dnsmasq"]
fn the_systems_resolver_is_not_told_to_ask_dns() {
    let Some(net) = named(&[a("it.example", SERVER)]) else {
        return;
    };
    let port = net.serve_http(Host::Server, &format!("{SERVER}:0")).port();
    net.etc(Host::Client, "nsswitch.conf", "hosts: files\n");
    let found = net.check(&url("it.example", port), &["--deep"]);
    has_finding(&found, "dns.answer_mismatch.split_horizon");
    assert!(found.pretty().contains("EAI_NONAME"), "{}", found.pretty());
}

#[test]
#[ignore = "needs root, ip, nft and dnsmasq"]
fn two_nameservers_of_which_one_denies() {
    let Some(mut net) = named(&[a("other.example", SERVER)]) else {
        return;
    };
    dnsmasq(&mut net, NOBODY, &[a("it.example", SERVER)]);
    let port = net.serve_http(Host::Server, &format!("{SERVER}:0")).port();
    let both = |one: &str, other: &str| format!("nameserver {one}\nnameserver {other}\n");
    net.etc(Host::Client, "resolv.conf", &both(SERVER, NOBODY));
    let found = net.check(&url("it.example", port), &[]);
    found.failed("dns.answer_mismatch.split_horizon resolve fast config no confirmed");
    net.etc(Host::Client, "resolv.conf", &both(NOBODY, SERVER));
    net.check(&url("it.example", port), &[]).healthy();
    let found = net.check(&url("it.example", port), &["--deep"]);
    has_finding(&found, "dns.answer_mismatch.split_horizon");
}

#[test]
#[ignore = "needs root, ip, nft and dnsmasq"]
fn what_asks_for_ipv6_addresses_is_dropped_on_the_way() {
    let Some(net) = named(&[a("it.example", SERVER)]) else {
        return;
    };
    let port = net.serve_http(Host::Server, &format!("{SERVER}:0")).port();
    // The type of the question stands behind the UDP header (8 bytes), that of DNS (12) and the name (12); AAAA is 28.
    net.nft(
        Host::Router,
        "add table ip f; add chain ip f through { type filter hook forward priority 0; }; add rule ip f through udp dport 53 @th,256,16 28 drop",
    );
    let found = net.check(&url("it.example", port), &[]);
    has_finding(&found, "dns.aaaa_stalled");
    let found = net.check(&url("it.example", port), &["-6", "--resolve-timeout", "1s"]);
    found.failed("dns.aaaa_stalled resolve slow network yes confirmed");
    net.check(&url("it.example", port), &["-4", "--deep"]).healthy();
}

#[test]
#[ignore = "needs root, ip, nft and dnsmasq"]
fn the_nameserver_cannot_be_reached() {
    let Some(net) = named(&[]) else { return };
    let target = "http://it.example/";
    net.etc(Host::Client, "resolv.conf", "nameserver 127.0.0.53\n");
    let found = net.check(target, &[]);
    found.failed("dns.unreachable resolve fast local no observed");
    let fix = found.0["fix"].as_str().unwrap_or_default();
    assert!(
        fix.contains("real nameserver") && fix.contains("container"),
        "{fix}"
    );
    net.etc(Host::Client, "resolv.conf", &format!("nameserver {NOBODY}\n"));
    net.check(target, &[])
        .failed("dns.unreachable resolve fast local no observed");
    let rule = |what: &str| {
        let chain = "add table ip f; add chain ip f through { type filter hook forward priority 0; }; flush chain ip f through";
        net.nft(
            Host::Router,
            &format!("{chain}; add rule ip f through udp dport 53 {what}"),
        );
    };
    net.etc(Host::Client, "resolv.conf", &format!("nameserver {SERVER}\n"));
    rule("drop");
    let found = net.check(target, &["--resolve-timeout", "1s"]);
    found.failed("dns.timed_out resolve slow network yes observed");
    assert_eq!(
        found.evidence("server"),
        &format!("{SERVER}:53")[..],
        "{}",
        found.pretty()
    );
    assert_eq!(found.evidence("transport"), "udp");
    rule("reject with icmp type admin-prohibited");
    net.check(target, &[])
        .failed("dns.unreachable resolve fast local no observed");
    net.nft(
        Host::Client,
        "add table ip f; add chain ip f out { type filter hook output priority 0; }; add rule ip f out udp dport 53 drop",
    );
    let found = net.check(target, &[]);
    assert_eq!(found.0["cause"], "local.policy_denied", "{}", found.pretty());
}

#[test]
#[ignore = "needs root, ip, nft and dnsmasq"]
fn an_answer_that_fits_only_into_tcp_which_is_shut() {
    let many: Vec<String> = (1..=200)
        .map(|n| a("it.example", &format!("10.92.1.{n}")))
        .collect();
    let Some(net) = named(&many) else { return };
    let rule = |what: &str| {
        let chain = "add table ip f; add chain ip f through { type filter hook forward priority 0; }; flush chain ip f through";
        net.nft(
            Host::Router,
            &format!("{chain}; add rule ip f through tcp dport 53 {what}"),
        );
    };
    rule("reject with tcp reset");
    let found = net.check("http://it.example/", &[]);
    found.failed("dns.failed resolve fast network with_backoff observed");
    assert!(
        found.0["fix"]
            .as_str()
            .is_some_and(|fix| fix.contains("TCP port 53"))
    );
    rule("drop");
    let found = net.check("http://it.example/", &["--resolve-timeout", "1s"]);
    found.failed("dns.timed_out resolve slow network yes observed");
    assert_eq!(found.evidence("transport"), "tcp", "{}", found.pretty());
}
