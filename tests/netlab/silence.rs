//! Ports that do not answer: a filter, a host that is gone, a listener that does not accept, our own firewall. And peers
//! that take a connection and do not read.

use std::io::Read;
use std::net::SocketAddr;

use serde_json::Value as Json;

use crate::net::{CLIENT, Host, Net, SERVER, lab};
use crate::run::Diagnosis;

const SERVERS: [&str; 2] = [SERVER, "[fd92::2]"];

/// A rule in a chain of that hook.
fn rule(net: &Net, host: Host, hook: &str, rule: &str) {
    net.nft(
        host,
        &format!(
            "add table inet lab; \
             add chain inet lab {hook} {{ type filter hook {hook} priority 0; }}; \
             add rule inet lab {hook} {rule}"
        ),
    );
}

/// What the step of the search saw.
fn step<'a>(found: &'a Diagnosis, name: &str) -> &'a Json {
    let steps = found.evidence("tried").as_array();
    steps
        .and_then(|steps| steps.iter().find(|step| step["step"] == name))
        .unwrap_or(&Json::Null)
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_filter_before_a_host_that_is_alive() {
    for (host, hook) in [(Host::Router, "forward"), (Host::Server, "input")] {
        let Some(net) = lab() else { return };
        rule(&net, host, hook, "tcp dport 81 drop");
        for server in SERVERS {
            let found = net.check(&format!("tcp://{server}:81"), &["--connect-timeout", "1s"]);
            found.failed("tcp.timed_out.filtered connect slow network no confirmed");
            assert_eq!(
                step(&found, "an ICMP echo")["result"],
                "answered",
                "{}",
                found.pretty()
            );
            assert_eq!(
                step(&found, "a stray segment to the port")["result"],
                "silent",
                "{}",
                found.pretty()
            );
        }
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_filter_before_a_host_that_answers_no_echo_shows_by_another_port() {
    let Some(net) = lab() else { return };
    rule(&net, Host::Router, "forward", "tcp dport 81 drop");
    rule(
        &net,
        Host::Router,
        "forward",
        "meta l4proto { icmp, icmpv6 } drop",
    );
    for server in SERVERS {
        let target = format!("tcp://{server}:81");
        // Nothing is claimed while nothing answers.
        let found = net.check(&target, &["--connect-timeout", "1s"]);
        found.failed("tcp.timed_out connect slow network yes observed");
        assert!(step(&found, "TCP port 443").is_null(), "{}", found.pretty());
        let found = net.check(&target, &["--connect-timeout", "1s", "--deep"]);
        found.failed("tcp.timed_out.filtered connect slow network no confirmed");
        let another = &step(&found, "TCP port 443")["result"];
        assert_eq!(
            another,
            "refused, so that the host is there",
            "{}",
            found.pretty()
        );
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn silence_of_everything_beyond_a_router_stays_open() {
    let Some(net) = lab() else { return };
    rule(&net, Host::Router, "forward", "drop");
    for server in SERVERS {
        let found = net.check(
            &format!("tcp://{server}:81"),
            &["--connect-timeout", "1s", "--deep"],
        );
        found.failed("tcp.timed_out connect slow network yes observed");
        assert_eq!(
            found.0["alternatives"],
            serde_json::json!(["tcp.timed_out.filtered", "tcp.timed_out.host_down"])
        );
        assert_eq!(
            step(&found, "TCP port 443")["result"],
            "silent",
            "{}",
            found.pretty()
        );
        assert_eq!(
            step(&found, "UDP port 33434")["result"],
            "silent",
            "{}",
            found.pretty()
        );
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_host_on_the_link_that_is_down() {
    let Some(net) = lab() else { return };
    for target in ["tcp://10.91.0.77:80", "tcp://[fd91::77]:80"] {
        let found = net.check(target, &["--connect-timeout", "1s"]);
        found.failed("tcp.timed_out.host_down connect slow remote yes confirmed");
        assert_eq!(found.evidence("neighbour"), "failed", "{}", found.pretty());
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_host_on_the_link_that_filters_is_not_down() {
    let Some(net) = lab() else { return };
    rule(&net, Host::Router, "input", "meta l4proto { tcp, udp } drop");
    rule(&net, Host::Router, "input", "icmp type echo-request drop");
    rule(&net, Host::Router, "input", "icmpv6 type echo-request drop");
    for target in ["tcp://10.91.0.1:80", "tcp://[fd91::1]:80"] {
        let found = net.check(target, &["--connect-timeout", "1s"]);
        found.failed("tcp.timed_out.filtered connect slow network no confirmed");
        assert_eq!(
            found.evidence("answered_by")[0],
            "the neighbour table",
            "{}",
            found.pretty()
        );
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn the_last_router_says_that_a_host_is_gone() {
    let Some(net) = lab() else { return };
    for target in ["tcp://10.92.0.77:80", "tcp://[fd92::77]:80"] {
        // It takes the router three seconds to find out; the connect budget is over by then.
        let found = net.check(target, &["--connect-timeout", "2s"]);
        found.failed("tcp.address_unreachable.host connect slow network yes confirmed");
        assert!(!found.evidence("offender").is_null(), "{}", found.pretty());
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn the_clients_own_firewall_drops() {
    let Some(net) = lab() else { return };
    rule(&net, Host::Client, "output", "tcp dport 81 drop");
    for server in SERVERS {
        let found = net.check(&format!("tcp://{server}:81"), &["--connect-timeout", "1s"]);
        assert_eq!(found.0["cause"], "local.policy_denied", "{}", found.pretty());
        assert_eq!(found.0["confidence"], "confirmed", "{}", found.pretty());
    }
}

/// A listener whose queue is full: nothing accepts, and its places are taken.
fn full_listener(
    net: &Net,
    host: Host,
    address: &str,
) -> (socket2::Socket, SocketAddr, Vec<socket2::Socket>) {
    net.within(host, || {
        let address: SocketAddr = address.parse().expect("an address");
        let domain = socket2::Domain::for_address(address);
        let listener = socket2::Socket::new(domain, socket2::Type::STREAM, None).expect("a socket");
        listener.bind(&address.into()).expect("bound");
        listener.listen(0).expect("listening");
        let at = listener
            .local_addr()
            .ok()
            .and_then(|at| at.as_socket())
            .expect("an address");
        let held = (0..3).map(|_| {
            let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(true).expect("non-blocking");
            // One gets in; the others wait in vain.
            let _ = socket.connect(&at.into());
            socket
        });
        let held = held.collect();
        (listener, at, held)
    })
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_full_accept_queue_is_no_filter() {
    let Some(net) = lab() else { return };
    for server in SERVERS {
        let (_listener, at, _held) = full_listener(&net, Host::Server, &format!("{server}:0"));
        for options in [
            &["--connect-timeout", "1s"][..],
            &["--connect-timeout", "1s", "--deep"],
        ] {
            let found = net.check(&format!("tcp://{at}"), options);
            found.failed("tcp.timed_out connect slow network yes likely");
            assert_eq!(
                found.evidence("accept_queue_full"),
                "likely",
                "{}",
                found.pretty()
            );
            assert_eq!(
                found.0["alternatives"],
                serde_json::json!(["tcp.timed_out.filtered"])
            );
        }
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn on_this_host_the_queue_itself_is_seen() {
    let Some(net) = lab() else { return };
    for own in ["127.0.0.1", "[::1]", CLIENT] {
        let (_listener, at, _held) = full_listener(&net, Host::Client, &format!("{own}:0"));
        let found = net.check(&format!("tcp://{at}"), &["--connect-timeout", "1s"]);
        found.failed("tcp.timed_out connect slow network yes confirmed");
        assert_eq!(found.evidence("accept_queue_full"), true, "{}", found.pretty());
        assert_eq!(found.evidence("accept_queue_length"), 1, "{}", found.pretty());
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_peer_takes_the_request_and_does_not_read() {
    let Some(net) = lab() else { return };
    let path = std::env::temp_dir().join(format!("whyd-netlab-{}-unread", std::process::id()));
    std::fs::write(&path, vec![b'x'; 8 << 20]).expect("a file");
    let body = format!("@{}", path.display());
    for server in SERVERS {
        let listener = net.listen(Host::Server, &format!("{server}:0"));
        let at = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                // It reads the beginning, as a process that is stuck later does.
                let mut start = [0; 100];
                let _ = (&stream).read(&mut start);
                held.push(stream);
            }
        });
        let found = net.check(
            &format!("http://{at}/"),
            &["--method", "POST", "--data", &body, "--timeout", "4s"],
        );
        found.failed("tcp.peer_not_reading request slow remote with_backoff observed");
        assert_eq!(found.evidence("tcp")["send_window"], 0, "{}", found.pretty());
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_peer_that_reads_slowly_is_well() {
    let Some(net) = lab() else { return };
    let path = std::env::temp_dir().join(format!("whyd-netlab-{}-slow", std::process::id()));
    std::fs::write(&path, vec![b'x'; 1 << 20]).expect("a file");
    let body = format!("@{}", path.display());
    for server in SERVERS {
        let listener = net.listen(Host::Server, &format!("{server}:0"));
        let at = listener.local_addr().expect("an address");
        // A small window that shuts again and again: what is read is read in small pieces.
        socket2::SockRef::from(&listener)
            .set_recv_buffer_size(8 * 1024)
            .expect("a small buffer");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || crate::run::answer(stream));
            }
        });
        net.check(&format!("http://{at}/"), &["--method", "POST", "--data", &body])
            .healthy();
    }
}
