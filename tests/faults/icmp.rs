//! ICMP echoes on loopback, or the refusal to send one where this process may not.

use crate::ask::{Ask, ask};

#[tokio::test]
async fn loopback_answers_or_we_may_not_ask() {
    for host in ["127.0.0.1", "localhost"] {
        let found = ask(Ask::new(format!("icmp://{host}"))
            .with("icmp: {packets: 2}")
            .with("resolve: {family: ipv4}")
            .with("timeouts: {first_byte: 2s}"))
        .await;
        if found.verdict() == "ok" {
            let hop = &found.0["attempts"][0]["hops"][0];
            assert_eq!(hop["address"], "127.0.0.1", "{}", found.pretty());
            assert!(
                hop["phases"]["first_byte"].as_f64().is_some(),
                "{}",
                found.pretty()
            );
        } else {
            found
                .concluded("inconclusive", "icmp.no_permission connect fast local no")
                .evidence("sysctl", "net.ipv4.ping_group_range")
                .fix("CAP_NET_RAW");
        }
    }
}
