//! Paths that take smaller packets than their ends believe, with and without the ICMP message that says so.

use std::time::Instant;

use crate::net::{Host, Net, SERVER, lab};

const SERVERS: [&str; 2] = [SERVER, "[fd92::2]"];

/// The router says nothing of packets that are too big.
fn silence_the_router(net: &Net) {
    net.nft(
        Host::Router,
        "add table inet lab; \
         add chain inet lab output { type filter hook output priority 0; }; \
         add rule inet lab output icmp type destination-unreachable icmp code frag-needed drop; \
         add rule inet lab output icmpv6 type packet-too-big drop",
    );
}

/// A link of 1400 bytes behind the router.
fn narrow(net: &Net, device: &str) {
    net.on(Host::Router, "ip", ["link", "set", device, "mtu", "1400"]);
}

fn body_file(bytes: usize) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("whyd-netlab-{}-{bytes}", std::process::id()));
    std::fs::write(&path, vec![b'x'; bytes]).expect("a file");
    path
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_large_upload_vanishes() {
    let Some(net) = lab() else { return };
    let servers = SERVERS.map(|server| net.serve_http(Host::Server, &format!("{server}:0")));
    narrow(&net, "r1");
    silence_the_router(&net);
    let body = format!("@{}", body_file(200_000).display());
    for server in servers {
        let url = format!("http://{server}/upload");
        // Small exchanges work.
        net.check(&url, &[]).healthy();
        let began = Instant::now();
        let found = net.check(
            &url,
            &[
                "--method",
                "POST",
                "--data",
                &body,
                "--timeout",
                "6s",
                "--retries",
                "2",
            ],
        );
        let took = began.elapsed().as_secs_f64();
        found.failed("tcp.path_mtu_black_hole request slow network no confirmed");
        assert!(took < 11.0, "{took} s");
        assert_eq!(
            found.evidence("largest_segment_that_passes"),
            1000,
            "{}",
            found.pretty()
        );
        assert_eq!(found.evidence("tcp")["path_mtu"], 1500, "{}", found.pretty());
        assert_eq!(
            found.0["alternatives"],
            serde_json::json!([]),
            "{}",
            found.pretty()
        );
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_large_answer_vanishes() {
    let Some(net) = lab() else { return };
    let servers = SERVERS.map(|server| net.serve_bytes(&format!("{server}:0"), 5_000));
    narrow(&net, "r0");
    silence_the_router(&net);
    for server in servers {
        let found = net.check(&format!("http://{server}/"), &["--timeout", "5s"]);
        found.failed("tcp.path_mtu_black_hole first_byte slow network no confirmed");
        assert_eq!(found.evidence("stalled_while"), "receiving", "{}", found.pretty());
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn with_the_routers_message_the_path_is_well() {
    let Some(net) = lab() else { return };
    let servers = SERVERS.map(|server| net.serve_http(Host::Server, &format!("{server}:0")));
    let answers = SERVERS.map(|server| net.serve_bytes(&format!("{server}:0"), 200_000));
    narrow(&net, "r1");
    narrow(&net, "r0");
    let body = format!("@{}", body_file(200_000).display());
    for server in servers {
        net.check(
            &format!("http://{server}/"),
            &["--method", "POST", "--data", &body],
        )
        .healthy();
    }
    for server in answers {
        net.check(&format!("http://{server}/"), &[]).healthy();
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_path_that_dies_under_an_upload_is_not_its_mtu() {
    let Some(net) = lab() else { return };
    let servers = SERVERS.map(|server| net.serve_http(Host::Server, &format!("{server}:0")));
    // Everything but the handshake is lost, large or small.
    net.nft(
        Host::Router,
        "add table inet lab; \
         add chain inet lab forward { type filter hook forward priority 0; }; \
         add rule inet lab forward meta length 100-65535 drop",
    );
    let body = format!("@{}", body_file(200_000).display());
    for server in servers {
        let found = net.check(
            &format!("http://{server}/"),
            &["--method", "POST", "--data", &body, "--timeout", "4s"],
        );
        found.failed("tcp.timed_out request slow network yes likely");
        assert!(
            !found.evidence("segment_sizes_tried").is_null(),
            "{}",
            found.pretty()
        );
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn packets_that_are_lost_at_times_are_sent_again() {
    let Some(net) = lab() else { return };
    let servers = SERVERS.map(|server| net.serve_http(Host::Server, &format!("{server}:0")));
    net.nft(
        Host::Router,
        "add table inet lab; \
         add chain inet lab forward { type filter hook forward priority 0; }; \
         add rule inet lab forward meta l4proto tcp numgen inc mod 5 == 4 drop",
    );
    let body = format!("@{}", body_file(20_000).display());
    for server in servers {
        let found = net.check(
            &format!("http://{server}/"),
            &["--method", "POST", "--data", &body, "--retries", "2"],
        );
        assert_eq!(found.verdict(), "ok", "{}", found.pretty());
    }
}
