//! Echoes on loopback. They take a ping socket or CAP_NET_RAW; where neither is to be had, the refusal is what is tested.

use std::time::Duration;

use crate::model::attempt::{IcmpTrouble, Outcome, Trouble};
use crate::model::dependency::{Endpoint, IcmpProbe, Probe, ResolveSettings};
use crate::model::phase::Phase;
use crate::probe::Prober;
use crate::probe::tests::{dependency, order};

fn probe(host: &str) -> Probe {
    Probe::Icmp(IcmpProbe {
        endpoint: Endpoint {
            host: host.into(),
            port: 0,
        },
        resolve: ResolveSettings::default(),
        packets: 2,
        latency: None,
    })
}

#[tokio::test]
async fn loopback_answers_in_both_families() {
    for host in ["127.0.0.1", "::1"] {
        let mut dependency = dependency(probe(host));
        dependency.timeouts.first_byte = Duration::from_secs(2);
        let attempt = Prober::new().attempt(&order(dependency)).await;
        let hop = &attempt.hops[0];
        match &attempt.outcome {
            Outcome::Answered => {
                assert_eq!(attempt.hops.len(), 1);
                assert_eq!(
                    hop.address.map(|address| address.ip().to_string()).as_deref(),
                    Some(host)
                );
                assert_eq!((hop.sent, hop.received), (32, 32));
                for phase in [Phase::Connect, Phase::Request, Phase::FirstByte] {
                    assert!(hop.phases.get(phase).is_some(), "{phase}");
                }
            }
            Outcome::Stopped(stop) => match stop.trouble {
                Trouble::Icmp(IcmpTrouble::NoPermission { datagram, raw }) => {
                    assert_eq!((datagram, raw), (libc::EACCES, libc::EPERM));
                    assert_eq!(stop.phase, Some(Phase::Connect));
                }
                // No IPv6 on this machine.
                Trouble::Io { errno, .. } if host == "::1" => {
                    assert!(
                        matches!(
                            errno,
                            libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT | libc::ENETUNREACH
                        ),
                        "{errno}"
                    );
                }
                ref other => panic!("{other:?}"),
            },
        }
    }
}
