//! ICMP echoes through a router that answers for others, that says nothing, and that is not to be asked.

use serde_json::Value as Json;

use crate::net::{Host, Net, SERVER, SERVER_V6, lab};
use crate::run::Diagnosis;

/// `whyd check` on the client without the right to open raw sockets, as a service has it.
fn check_without_raw_sockets(net: &Net, target: &str) -> Diagnosis {
    let mut command = net.command(Host::Client, "setpriv");
    command.args(["--bounding-set", "-net_raw", "--inh-caps", "-net_raw"]);
    command.args([
        env!("CARGO_BIN_EXE_whyd"),
        "check",
        target,
        "--output",
        "json",
        "--retries",
        "0",
    ]);
    let output = command.output().expect("setpriv starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said
        .lines()
        .next()
        .unwrap_or_else(|| panic!("nothing was said: {}", String::from_utf8_lossy(&output.stderr)));
    Diagnosis(serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
}

#[test]
#[ignore = "needs root, ip and nft"]
fn the_server_answers_in_both_families_and_by_both_kinds_of_sockets() {
    let Some(net) = lab() else { return };
    let targets = [format!("icmp://{SERVER}"), format!("icmp://[{SERVER_V6}]")];
    for target in &targets {
        // Raw: `ping_group_range` is `1 0` in a new namespace, and root has CAP_NET_RAW.
        net.check(target, &[]).healthy();
    }
    net.sysctl(Host::Client, "net.ipv4.ping_group_range=0 2147483647");
    for target in &targets {
        check_without_raw_sockets(&net, target).healthy();
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn without_any_permission_no_verdict_is_given() {
    let Some(net) = lab() else { return };
    let found = check_without_raw_sockets(&net, &format!("icmp://{SERVER}"));
    assert_eq!(found.verdict(), "inconclusive", "{}", found.pretty());
    assert_eq!(found.0["cause"], "icmp.no_permission", "{}", found.pretty());
    assert_eq!(found.0["fault"], "local");
    assert_eq!(*found.evidence("datagram_socket"), Json::from("EACCES"));
    assert_eq!(*found.evidence("raw_socket"), Json::from("EPERM"));
    let fix = found.0["fix"].as_str().unwrap_or_default();
    assert!(
        fix.contains("net.ipv4.ping_group_range") && fix.contains("CAP_NET_RAW"),
        "{fix}"
    );
}

#[test]
#[ignore = "needs root, ip and nft"]
fn echoes_that_are_dropped() {
    let Some(net) = lab() else { return };
    net.nft(
        Host::Router,
        "add table inet f; add chain inet f through { type filter hook forward priority 0; }; \
         add rule inet f through icmp type echo-request drop; add rule inet f through icmpv6 type echo-request drop",
    );
    for target in [format!("icmp://{SERVER}"), format!("icmp://[{SERVER_V6}]")] {
        let found = net.check(&target, &["--timeout", "600ms"]);
        found.failed("icmp.timed_out first_byte slow network yes observed");
        assert_eq!(*found.evidence("packets"), Json::from(1));
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_router_that_answers_for_the_server() {
    let Some(net) = lab() else { return };
    for (rule, target, says) in [
        (
            "icmp type echo-request reject with icmp type admin-prohibited",
            format!("icmp://{SERVER}"),
            (3, 13),
        ),
        (
            "icmp type echo-request reject with icmp type host-unreachable",
            format!("icmp://{SERVER}"),
            (3, 1),
        ),
        (
            "icmpv6 type echo-request reject with icmpv6 type admin-prohibited",
            format!("icmp://[{SERVER_V6}]"),
            (1, 1),
        ),
        (
            "icmpv6 type echo-request reject with icmpv6 type no-route",
            format!("icmp://[{SERVER_V6}]"),
            (1, 0),
        ),
    ] {
        net.nft(
            Host::Router,
            &format!(
                "add table inet f; delete table inet f; add table inet f; \
                 add chain inet f through {{ type filter hook forward priority 0; }}; add rule inet f through {rule}"
            ),
        );
        for permission in [
            "net.ipv4.ping_group_range=1 0",
            "net.ipv4.ping_group_range=0 2147483647",
        ] {
            net.sysctl(Host::Client, permission);
            let found = net.check(&target, &["--timeout", "5s"]);
            assert_eq!(found.0["cause"], "icmp.unreachable", "{rule}: {}", found.pretty());
            assert_eq!(found.0["phase"], "first_byte");
            assert_eq!(
                (found.evidence("icmp_type"), found.evidence("icmp_code")),
                (&Json::from(says.0), &Json::from(says.1)),
                "{rule}: {}",
                found.pretty()
            );
            let router = if target.contains('[') {
                "fd91::1"
            } else {
                "10.91.0.1"
            };
            assert_eq!(
                *found.evidence("offender"),
                Json::from(router),
                "{}",
                found.pretty()
            );
        }
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_neighbour_that_is_not_there() {
    let Some(net) = lab() else { return };
    // On our own link nobody has this address: after about three seconds this host itself says so.
    let found = net.check("icmp://10.91.0.77", &["--timeout", "8s"]);
    found.failed("icmp.unreachable first_byte slow network yes observed");
    assert_eq!(*found.evidence("icmp_says"), Json::from("host unreachable"));
    assert_eq!(*found.evidence("offender"), Json::from(crate::net::CLIENT));
}

#[test]
#[ignore = "needs root, ip and nft"]
fn no_route_of_our_own() {
    let Some(net) = lab() else { return };
    net.on(Host::Client, "ip", ["route", "del", "default"]);
    let found = net.check(&format!("icmp://{SERVER}"), &[]);
    assert_eq!(
        found.0["cause"],
        "tcp.address_unreachable.no_route",
        "{}",
        found.pretty()
    );
    assert_eq!(found.0["fault"], "local");
}
