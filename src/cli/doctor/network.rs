//! The ways out of this host, and what runs out on them.

use std::net::IpAddr;

use super::finding::{Finding, Level};
use super::system;
use crate::daemon;
use crate::model::headroom::Ports;
use crate::model::vantage::{DefaultRoute, NetworkFacts};
use crate::probe::host;

/// Shares of what there is in use from which it is said, and from which it is a problem.
const HIGH: f64 = 0.8;
const FULL: f64 = 0.95;

pub struct Facts {
    pub network: Option<NetworkFacts>,
    /// Ports for outgoing connections.
    pub ports: Option<Ports>,
    /// Connections that the firewall tracks, and how many it can.
    pub tracked: Option<(u64, u64)>,
}

impl Facts {
    pub fn gather() -> Self {
        let tracking = |name: &str| system::number(format!("/proc/sys/net/netfilter/nf_conntrack_{name}"));
        Facts {
            network: host::network(),
            ports: daemon::resources().and_then(|resources| resources.ports),
            tracked: tracking("count").zip(tracking("max")),
        }
    }
}

pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(network) = &facts.network {
        findings.extend(ways_out(network));
    }
    if let Some(ports) = facts.ports {
        let fix = "sysctl -w net.ipv4.ip_local_port_range='10240 65535'";
        findings.push(used(
            "ports",
            "ports for outgoing connections",
            (ports.in_use, ports.range),
            fix,
        ));
    }
    if let Some(tracked) = facts.tracked {
        let fix = format!(
            "sysctl -w net.netfilter.nf_conntrack_max={}",
            tracked.1.saturating_mul(2)
        );
        findings.push(used(
            "ports",
            "connections that the firewall tracks",
            tracked,
            &fix,
        ));
    }
    findings
}

fn used(check: &'static str, what: &str, (used, of): (u64, u64), fix: &str) -> Finding {
    let share = used as f64 / (of as f64).max(1.0);
    let seen = format!("{used} of {of} {what} are in use");
    match share {
        share if share >= FULL => Finding::problem(check, seen).fix(fix),
        share if share >= HIGH => Finding::warning(check, seen).fix(fix),
        _ => Finding::ok(check, seen),
    }
}

fn ways_out(network: &NetworkFacts) -> Vec<Finding> {
    let runs = network
        .interfaces
        .iter()
        .any(|one| !one.loopback && one.up && one.running);
    if !runs {
        let text = "no interface but loopback is up, so that only this host can be reached";
        return vec![Finding::problem("routes", text).fix("ip link; ip address")];
    }
    let of = |ipv6: bool| network.default_routes.iter().find(|route| route.ipv6 == ipv6);
    let has_global_v6 = network.addresses.iter().any(|own| is_global_v6(own.address));
    let mut findings: Vec<Finding> = [of(false), of(true)]
        .into_iter()
        .flatten()
        .map(of_route)
        .collect();
    if findings.is_empty() {
        let text = "there is no default route: only what is on this host's own links can be reached";
        findings.push(Finding::warning("routes", text).fix("ip route; ip -6 route"));
    }
    let half = match (has_global_v6, of(true)) {
        (true, None) if of(false).is_some() => {
            "has an address and no default route: names with AAAA records cost each connection an attempt in vain"
        }
        (false, Some(_)) => "has a default route and no address to use it with",
        _ => return findings,
    };
    findings.push(
        Finding::warning("routes", half)
            .on("IPv6")
            .fix("ip -6 address; ip -6 route"),
    );
    findings
}

fn of_route(route: &DefaultRoute) -> Finding {
    let family = if route.ipv6 { "IPv6" } else { "IPv4" };
    let by = route
        .gateway
        .map(|gateway| format!("by {gateway} "))
        .unwrap_or_default();
    let seen = format!("has a default route {by}on {}", route.interface);
    let found = match route.neighbour {
        Some(false) => Finding {
            level: Level::Warning,
            ..Finding::ok(
                "routes",
                format!("{seen}, and the gateway does not answer to its address"),
            )
        }
        .fix(format!("ip neighbour show dev {}", route.interface)),
        _ => Finding::ok("routes", seen),
    };
    found.on(family)
}

/// One that others can be reached with: neither loopback nor of the link alone (RFC 4291).
fn is_global_v6(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::vantage::{Interface, OwnAddress};

    fn route(ipv6: bool) -> DefaultRoute {
        DefaultRoute {
            ipv6,
            gateway: Some(
                if ipv6 { "fd00::1" } else { "192.0.2.1" }
                    .parse()
                    .expect("an address"),
            ),
            interface: "eth0".into(),
            neighbour: None,
        }
    }

    fn network(addresses: &[&str], routes: Vec<DefaultRoute>) -> NetworkFacts {
        NetworkFacts {
            interfaces: vec![Interface {
                name: "eth0".into(),
                loopback: false,
                adapter: true,
                up: true,
                running: true,
            }],
            addresses: addresses
                .iter()
                .map(|address| OwnAddress {
                    address: address.parse().expect("an address"),
                    prefix: 64,
                    interface: "eth0".into(),
                })
                .collect(),
            default_routes: routes,
        }
    }

    fn levels(network: NetworkFacts) -> Vec<Level> {
        ways_out(&network).iter().map(|found| found.level).collect()
    }

    #[test]
    fn half_of_ipv6_is_said_and_none_of_it_is_fine() {
        let (v4, v6) = ("192.0.2.7", "2001:db8::7");
        assert_eq!(levels(network(&[v4, "fe80::1"], vec![route(false)])), [Level::Ok]);
        assert_eq!(
            levels(network(&[v4, v6], vec![route(false), route(true)])),
            [Level::Ok, Level::Ok]
        );
        assert_eq!(
            levels(network(&[v4, v6], vec![route(false)])),
            [Level::Ok, Level::Warning]
        );
        assert_eq!(
            levels(network(&[v4, "fe80::1"], vec![route(false), route(true)])),
            [Level::Ok, Level::Ok, Level::Warning]
        );
    }

    #[test]
    fn no_way_out_is_said() {
        assert_eq!(levels(network(&["192.0.2.7"], Vec::new())), [Level::Warning]);
        let mut down = network(&[], Vec::new());
        down.interfaces[0].running = false;
        assert_eq!(levels(down), [Level::Problem]);
        let mut silent = route(false);
        silent.neighbour = Some(false);
        assert_eq!(levels(network(&["192.0.2.7"], vec![silent])), [Level::Warning]);
    }

    #[test]
    fn what_runs_out_is_said_before_it_has() {
        let level = |used_: u64| used("ports", "things", (used_, 100), "x").level;
        assert_eq!(
            [level(10), level(80), level(95)],
            [Level::Ok, Level::Warning, Level::Problem]
        );
        assert_eq!(used("ports", "things", (0, 0), "x").level, Level::Ok);
    }
}
