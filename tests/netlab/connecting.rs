//! Connections that are refused or find no way: by the host, by a router, by a neighbour that does not answer, by the
//! client's own tables. For both families.

use crate::net::{CLIENT, Host, Net, ROUTER, SERVER, SERVER_V6, lab};

const CLIENT_V6: &str = "fd91::2";
const ROUTER_V6: &str = "fd91::1";

/// The two families, with the server's address as a URL has it, the router's and the client's.
const FAMILIES: [(&str, &str, &str); 2] = [(SERVER, ROUTER, CLIENT), ("[fd92::2]", ROUTER_V6, CLIENT_V6)];

/// A rule for packets to that TCP port, in that chain, for both families.
fn rule(net: &Net, host: Host, hook: &str, verdict: &str) {
    net.nft(
        host,
        &format!(
            "add table inet lab; \
             add chain inet lab {hook} {{ type filter hook {hook} priority 0; }}; \
             add rule inet lab {hook} tcp dport 81 {verdict}"
        ),
    );
}

#[test]
#[ignore = "needs root, ip and nft"]
fn nothing_listens_there() {
    let Some(net) = lab() else { return };
    for (server, ..) in FAMILIES {
        let found = net.check(&format!("tcp://{server}:81"), &[]);
        found.failed("tcp.refused.rst connect fast remote yes observed");
        assert!(found.evidence("offender").is_null(), "{}", found.pretty());
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_firewall_that_answers_with_a_reset_cannot_be_told_from_that() {
    let Some(net) = lab() else { return };
    rule(&net, Host::Router, "forward", "reject with tcp reset");
    for (server, ..) in FAMILIES {
        let found = net.check(&format!("tcp://{server}:81"), &[]);
        found.failed("tcp.refused.rst connect fast remote yes observed");
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_router_refuses_and_is_named() {
    for (verdict, facts) in [
        ("reject", "tcp.refused.icmp connect fast network no observed"),
        (
            "reject with icmpx admin-prohibited",
            "tcp.address_unreachable.prohibited connect fast config no observed",
        ),
        (
            "reject with icmpx host-unreachable",
            "tcp.address_unreachable.host connect fast network yes observed",
        ),
        (
            "reject with icmpx no-route",
            "tcp.address_unreachable.network connect fast network yes observed",
        ),
    ] {
        let Some(net) = lab() else { return };
        rule(&net, Host::Router, "forward", verdict);
        for (server, router, _) in FAMILIES {
            let found = net.check(&format!("http://{server}:81/"), &[]);
            found.failed(facts);
            assert_eq!(found.evidence("offender"), router, "{}", found.pretty());
            let fix = found.0["fix"].as_str().unwrap_or_default();
            assert!(fix.contains(router), "{fix}");
        }
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn the_hosts_own_firewall_refuses_and_is_named() {
    let Some(net) = lab() else { return };
    rule(&net, Host::Server, "input", "reject");
    for (server, ..) in FAMILIES {
        let found = net.check(&format!("tcp://{server}:81"), &[]);
        found.failed("tcp.refused.icmp connect fast network no observed");
        let itself = server.trim_matches(['[', ']']);
        assert_eq!(found.evidence("offender"), itself, "{}", found.pretty());
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn the_clients_own_firewall_refuses() {
    for verdict in ["reject", "reject with icmpx admin-prohibited"] {
        let Some(net) = lab() else { return };
        rule(&net, Host::Client, "output", verdict);
        for (server, _, client) in FAMILIES {
            let found = net.check(&format!("tcp://{server}:81"), &[]);
            assert_eq!(found.0["cause"], "local.policy_denied", "{}", found.pretty());
            assert_eq!(found.evidence("offender"), client, "{}", found.pretty());
        }
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn the_clients_own_routes_lead_nowhere() {
    for (kind, cause) in [
        ("unreachable", "tcp.address_unreachable.no_route"),
        ("blackhole", "tcp.address_unreachable.no_route"),
        ("throw", "tcp.address_unreachable.no_route"),
        ("prohibit", "local.policy_denied"),
    ] {
        let Some(net) = lab() else { return };
        net.on(Host::Client, "ip", ["route", "replace", kind, "10.99.0.0/16"]);
        net.on(Host::Client, "ip", ["-6", "route", "replace", kind, "fd99::/64"]);
        if kind == "throw" {
            net.on(Host::Client, "ip", ["route", "del", "default"]);
            net.on(Host::Client, "ip", ["-6", "route", "del", "default"]);
        }
        for target in ["tcp://10.99.0.1:80", "tcp://[fd99::1]:80"] {
            let found = net.check(target, &[]);
            assert_eq!(found.0["cause"], cause, "{kind} {}", found.pretty());
            assert_eq!(found.0["confidence"], "observed", "{kind} {}", found.pretty());
            assert_eq!(found.0["fault"], "local", "{kind} {}", found.pretty());
        }
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_router_without_a_route_is_not_our_routing_table() {
    let Some(net) = lab() else { return };
    for (target, router) in [("tcp://10.99.0.1:80", ROUTER), ("tcp://[fd99::1]:80", ROUTER_V6)] {
        let found = net.check(target, &[]);
        found.failed("tcp.address_unreachable.network connect fast network yes observed");
        assert_eq!(found.evidence("offender"), router, "{}", found.pretty());
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn nobody_answers_on_the_link() {
    let Some(net) = lab() else { return };
    for target in ["tcp://10.91.0.77:80", "tcp://[fd91::77]:80"] {
        let found = net.check(target, &["--connect-timeout", "5s"]);
        found.failed("tcp.address_unreachable.host connect slow network yes observed");
        assert_eq!(found.evidence("neighbour_silent"), true, "{}", found.pretty());
        assert!(found.evidence("gateway").is_null(), "{}", found.pretty());
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_gateway_that_is_gone_is_named() {
    let Some(net) = lab() else { return };
    net.on(
        Host::Client,
        "ip",
        ["route", "replace", "default", "via", "10.91.0.99"],
    );
    net.on(
        Host::Client,
        "ip",
        ["-6", "route", "replace", "default", "via", "fd91::99"],
    );
    for (target, gateway) in [
        (format!("tcp://{SERVER}:80"), "10.91.0.99"),
        (format!("tcp://[{SERVER_V6}]:80"), "fd91::99"),
    ] {
        let found = net.check(&target, &["--connect-timeout", "5s"]);
        assert_eq!(
            found.0["cause"],
            "tcp.address_unreachable.host",
            "{}",
            found.pretty()
        );
        assert_eq!(found.evidence("gateway"), gateway, "{}", found.pretty());
        let fix = found.0["fix"].as_str().unwrap_or_default();
        assert!(fix.contains(gateway), "{fix}");
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn without_an_address_of_the_family_ports_are_not_to_blame() {
    let Some(net) = lab() else { return };
    net.sysctl(Host::Client, "net.ipv6.conf.all.disable_ipv6=1");
    let found = net.check(&format!("tcp://[{SERVER_V6}]:80"), &[]);
    assert_eq!(
        found.0["cause"],
        "tcp.address_unreachable.no_route",
        "{}",
        found.pretty()
    );
}

#[test]
#[ignore = "needs root, ip and nft"]
fn local_ports_run_out() {
    let Some(net) = lab() else { return };
    net.sysctl(Host::Client, "net.ipv4.ip_local_port_range=40000 40003");
    for (server, ..) in FAMILIES {
        let at = net
            .listen(Host::Server, &format!("{server}:0"))
            .local_addr()
            .expect("an address");
        // It stays: a dropped listener would refuse. Four connections to it use every port there is.
        let listener = net.listen(Host::Server, &at.to_string());
        let held: Vec<_> = net.within(Host::Client, || {
            (0..4).map(|_| std::net::TcpStream::connect(at)).collect()
        });
        assert!(held.iter().all(Result::is_ok), "{held:?}");
        let found = net.check(&format!("tcp://{at}"), &[]);
        assert_eq!(found.0["cause"], "local.port_exhausted", "{}", found.pretty());
        assert_eq!(found.0["verdict"], "inconclusive", "{}", found.pretty());
        assert_eq!(found.evidence("local_ports"), "40000-40003", "{}", found.pretty());
        drop((held, listener));
        // Closed, they are free again: nothing is wrong with the server.
        let again = net.listen(Host::Server, &format!("{server}:0"));
        let at = again.local_addr().expect("an address");
        net.check(&format!("tcp://{at}"), &[]).healthy();
    }
}
