//! Whether echoes (ICMP) can be sent, where something needs them.

use super::finding::Finding;
use super::system;
use crate::model::dependency::Probe;
use crate::model::plan::Plan;
use crate::probe::host::{self, Echo};

pub struct Facts {
    /// Whether a dependency or an anchor is asked by echoes.
    pub needed: bool,
    pub echo: Echo,
    /// `net.ipv4.ping_group_range`.
    pub range: Option<String>,
    pub gid: u32,
}

impl Facts {
    pub fn gather(plan: Option<&Plan>, gid: u32) -> Self {
        let is_echo = |probe: &Probe| matches!(probe, Probe::Icmp(_));
        Facts {
            needed: plan.is_some_and(|plan| {
                let anchors = plan.vantage.anchors.iter();
                plan.dependencies
                    .iter()
                    .chain(anchors)
                    .any(|one| is_echo(&one.probe))
            }),
            echo: host::echo(false),
            range: system::text("/proc/sys/net/ipv4/ping_group_range"),
            gid,
        }
    }
}

pub fn judge(facts: &Facts) -> Vec<Finding> {
    let found = match facts.echo {
        Echo::Datagram => Finding::ok(
            "ping",
            "echoes can be sent: our group is in net.ipv4.ping_group_range",
        ),
        Echo::Raw => Finding::ok("ping", "echoes can be sent by raw sockets (CAP_NET_RAW)"),
        Echo::Neither { datagram, .. } => {
            let range = facts.range.as_deref().unwrap_or_default();
            let range: Vec<&str> = range.split_whitespace().collect();
            let seen = format!(
                "echoes cannot be sent: {} (net.ipv4.ping_group_range is \"{}\", our group {})",
                system::error(datagram),
                range.join(" "),
                facts.gid
            );
            let fix = format!(
                "sysctl -w net.ipv4.ping_group_range='{0} {0}', or give CAP_NET_RAW",
                facts.gid
            );
            if facts.needed {
                Finding::problem("ping", seen).fix(fix)
            } else {
                let seen = format!("{seen}; nothing is asked by them, only second looks go without");
                Finding::ok("ping", seen).fix(fix)
            }
        }
    };
    vec![found]
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn it_is_a_problem_only_where_something_is_asked_by_echoes() {
        let facts = |needed, echo| Facts {
            needed,
            echo,
            range: Some("1\t0".to_owned()),
            gid: 65_532,
        };
        let neither = Echo::Neither {
            datagram: libc::EACCES,
            raw: libc::EPERM,
        };
        let level = |needed, echo| judge(&facts(needed, echo))[0].level;
        assert_eq!(level(true, neither), Level::Problem);
        assert_eq!(level(false, neither), Level::Ok);
        assert_eq!(level(true, Echo::Datagram), Level::Ok);
        assert_eq!(level(true, Echo::Raw), Level::Ok);
        let found = &judge(&facts(true, neither))[0];
        assert!(found.seen.contains("\"1 0\""), "{found:?}");
        assert!(
            found
                .fix
                .as_deref()
                .is_some_and(|fix| fix.contains("'65532 65532'")),
            "{found:?}"
        );
    }
}
