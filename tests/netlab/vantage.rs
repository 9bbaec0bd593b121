//! Is it us? The network of the prober cut in several ways, and cuts that only look like it.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::net::{Host, Net, ROUTER, SERVER, SERVER_V6, lab};

/// The longest that anything here is waited for.
const LIMIT: Duration = Duration::from_secs(40);
const LISTEN: &str = "127.0.0.1:9477";
/// On the server's side, each its own host.
const ANCHORS: [&str; 3] = ["10.92.0.3", "10.92.0.4", "10.92.0.5"];

/// `whyd run` on the client.
struct Service<'n> {
    net: &'n Net,
    child: Child,
    directory: PathBuf,
}

impl<'n> Service<'n> {
    fn start(net: &'n Net, config: &str) -> Service<'n> {
        let directory = std::env::temp_dir().join(format!("whyd-netlab-{}", net.name(Host::Client)));
        fs::create_dir_all(&directory).expect("a directory");
        let path = directory.join("whyd.yaml");
        fs::write(&path, config).expect("a file");
        let log = fs::File::create(directory.join("log")).expect("a file");
        let mut command = net.command(Host::Client, env!("CARGO_BIN_EXE_whyd"));
        command
            .arg("run")
            .arg("--config")
            .arg(&path)
            .args(["--listen", LISTEN]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Service {
            net,
            child: command.spawn().expect("whyd starts"),
            directory,
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    fn lines_with(&self, words: &str) -> usize {
        self.log().lines().filter(|line| line.contains(words)).count()
    }

    /// The body of an answer of the listener; empty while it does not answer.
    fn get(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {LISTEN}\r\nConnection: close\r\n\r\n");
        let answer = self.net.within(Host::Client, || {
            let mut stream = TcpStream::connect(LISTEN).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
            stream.write_all(request.as_bytes()).ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).ok()?;
            Some(text)
        });
        let answer = answer.unwrap_or_default();
        let Some((head, body)) = answer.split_once("\r\n\r\n") else {
            return String::new();
        };
        if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            return body.to_owned();
        }
        let (mut whole, mut rest) = (String::new(), body);
        while let Some((size, after)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
            if size == 0 {
                break;
            }
            whole.push_str(&after[..size]);
            rest = &after[size + 2..];
        }
        whole
    }

    fn json(&self, path: &str) -> Json {
        serde_json::from_str(&self.get(path)).unwrap_or(Json::Null)
    }

    /// The values of every series of a metric whose labels hold that text.
    fn series(&self, name: &str, label: &str) -> Vec<f64> {
        let text = self.get("/metrics");
        let ours = text.lines().filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
                && line.contains(label)
        });
        ours.filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect()
    }

    fn sum(&self, name: &str, label: &str) -> f64 {
        self.series(name, label).iter().sum()
    }

    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + LIMIT;
        while !holds() {
            assert!(
                Instant::now() < end,
                "{what} did not happen; vantage: {:#}\nlog:\n{}",
                self.json("/api/v1/vantage"),
                self.log()
            );
            #[expect(
                clippy::disallowed_methods,
                reason = "looking again and again, with a limit, is waiting for the thing"
            )]
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn up(&self) -> f64 {
        self.sum("whyd_up", "")
    }

    /// Everything that was told wrongly about a dependency.
    fn failures(&self) -> String {
        let failed = self.sum("whyd_operations_total", "outcome=\"failed\"");
        let attempts = self.series("whyd_attempts_total", "error_type=").len();
        if failed == 0.0 && attempts == 0 && self.lines_with("is failing") == 0 {
            return String::new();
        }
        let text = self.get("/metrics");
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("error_type=")).collect();
        format!("{failed} failed operations\n{}\n{}", lines.join("\n"), self.log())
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        // `ip netns exec` becomes the program it is given.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Fifty dependencies on ten addresses behind the router, asked in three ways, one on the client itself, one on its link.
fn fifty(net: &Net) -> String {
    let mut text = String::from(
        "defaults:
  interval: 2s
  timeouts: {connect: 600ms, first_byte: 600ms, attempt: 1s, total: 1800ms}
  retry: {attempts: 2, backoff: {initial: 50ms, max: 100ms}}
dependencies:
",
    );
    for i in 10..20 {
        net.on(
            Host::Server,
            "ip",
            ["addr", "add", &format!("10.92.0.{i}/24"), "dev", "s0"],
        );
    }
    for i in 0..50 {
        let address = net.serve_http(Host::Server, &format!("10.92.0.{}:0", 10 + i % 10));
        let (scheme, more) = match i % 3 {
            0 => ("tcp", ""),
            1 => ("http", "/"),
            _ => ("http", "/\n    keepalive: {reuse: true}"),
        };
        writeln!(text, "  - name: far-{i:02}\n    url: {scheme}://{address}{more}").expect("a string");
    }
    let here = net.serve_http(Host::Client, "127.0.0.1:0");
    let near = net.serve_http(Host::Router, &format!("{ROUTER}:0"));
    writeln!(text, "  - {{name: here, url: \"http://{here}/\"}}").expect("a string");
    writeln!(text, "  - {{name: near, url: \"http://{near}/\"}}").expect("a string");
    text
}

/// Servers at the anchors' addresses, and their URLs.
fn anchors(net: &Net) -> Vec<String> {
    let serve = |ip: &&str| {
        net.on(
            Host::Server,
            "ip",
            ["addr", "add", &format!("{ip}/24"), "dev", "s0"],
        );
        let address: SocketAddr = net.serve_http(Host::Server, &format!("{ip}:0"));
        format!("tcp://{address}")
    };
    ANCHORS.iter().map(serve).collect()
}

/// Nothing passes the router any more.
fn cut_at_router(net: &Net) {
    net.nft(
        Host::Router,
        "add table inet cut; add chain inet cut through { type filter hook forward priority 0; policy drop; }",
    );
}

fn mend_router(net: &Net) {
    net.nft(Host::Router, "delete table inet cut");
}

#[test]
#[ignore = "needs root, ip and nft"]
fn fifty_dependencies_go_offline_as_one_and_come_back_by_themselves() {
    let Some(net) = lab() else { return };
    let config = format!(
        "{}vantage:\n  anchors: [{}]\n  timeout: 700ms\n  recheck: 1s\n",
        fifty(&net),
        anchors(&net).join(", ")
    );
    let service = Service::start(&net, &config);
    service.until("everything is up", || service.up() == 52.0);
    assert_eq!(service.series("whyd_vantage_offline", ""), [0.0]);

    // The router drops everything: silence. What is on this side of it answers as before.
    cut_at_router(&net);
    service.until("offline is said", || {
        service.series("whyd_vantage_offline", "") == [1.0]
    });
    let inconclusive = || service.sum("whyd_operations_total", "outcome=\"inconclusive\"");
    service.until("every far one was asked again", || inconclusive() >= 100.0);
    assert_eq!(service.failures(), "");
    let vantage = service.json("/api/v1/vantage");
    assert_eq!(
        (&vantage["state"], &vantage["because"]),
        (&"offline".into(), &"anchors".into()),
        "{vantage:#}"
    );
    assert_eq!(vantage["suspended"], 50, "{vantage:#}");
    assert_eq!(service.series("whyd_up", "far-"), [0.0; 0], "no verdict is shown");
    assert_eq!(service.series("whyd_up", "\"here\""), [1.0]);
    assert_eq!(service.series("whyd_up", "\"near\""), [1.0]);
    assert_eq!(service.lines_with("we are offline"), 1, "{}", service.log());

    mend_router(&net);
    service.until("we see again", || {
        service.series("whyd_vantage_offline", "") == [0.0]
    });
    service.until("everything is up again", || service.up() == 52.0);
    assert_eq!(service.failures(), "");
    assert_eq!(service.lines_with("we see again after"), 1, "{}", service.log());
    let dependency = service.json("/api/v1/dependencies/far-07");
    assert_eq!(
        dependency["gaps"].as_array().map(Vec::len),
        Some(1),
        "{:#}",
        dependency["gaps"]
    );
    assert!(
        dependency["gaps"][0]["lasted"]
            .as_f64()
            .is_some_and(|lasted| lasted > 1.0)
    );
    assert_eq!(
        service.json("/api/v1/dependencies/here")["gaps"],
        serde_json::json!([])
    );

    // The client's own cable: the kernel knows at once.
    net.on(Host::Client, "ip", ["link", "set", "c0", "down"]);
    service.until("offline is said", || {
        service.series("whyd_vantage_offline", "") == [1.0]
    });
    let before = inconclusive();
    service.until("every far one was asked again", || {
        inconclusive() >= before + 100.0
    });
    assert_eq!(service.json("/api/v1/vantage")["because"], "links_down");
    assert_eq!(service.failures(), "");
    net.on(Host::Client, "ip", ["link", "set", "c0", "up"]);
    net.on(Host::Client, "ip", ["route", "add", "default", "via", ROUTER]);
    service.until("everything is up again", || service.up() == 52.0);
    assert_eq!(service.series("whyd_vantage_gaps_total", ""), [2.0]);
    assert_eq!(service.failures(), "");
}

#[test]
#[ignore = "needs root, ip and nft"]
fn without_anchors_the_loss_of_the_link_or_of_the_default_route_is_ours() {
    let Some(net) = lab() else { return };
    let service = Service::start(&net, &fifty(&net));
    service.until("everything is up", || service.up() == 52.0);
    // One family's way out is enough for not being offline, so both go.
    net.on(Host::Client, "ip", ["-6", "route", "del", "default"]);
    net.on(Host::Client, "ip", ["route", "del", "default"]);
    service.until("offline is said", || {
        service.series("whyd_vantage_offline", "") == [1.0]
    });
    assert_eq!(service.json("/api/v1/vantage")["because"], "no_way_out");
    net.on(Host::Client, "ip", ["route", "add", "default", "via", ROUTER]);
    service.until("everything is up again", || service.up() == 52.0);
    let inconclusive = || service.sum("whyd_operations_total", "outcome=\"inconclusive\"");
    net.on(Host::Client, "ip", ["link", "set", "c0", "down"]);
    service.until("offline is said again", || {
        service.series("whyd_vantage_offline", "") == [1.0]
    });
    let before = inconclusive();
    service.until("every far one was asked again", || {
        inconclusive() >= before + 100.0
    });
    assert_eq!(service.failures(), "");
    net.on(Host::Client, "ip", ["link", "set", "c0", "up"]);
    net.on(Host::Client, "ip", ["route", "add", "default", "via", ROUTER]);
    service.until("everything is up again", || service.up() == 52.0);
    assert_eq!(service.failures(), "");
}

#[test]
#[ignore = "needs root, ip and nft"]
fn what_fails_beside_working_anchors_is_blamed() {
    let Some(net) = lab() else { return };
    let anchors = anchors(&net);
    let with = |more: &[&str]| {
        let mut options: Vec<String> = anchors.iter().map(|url| format!("--anchor={url}")).collect();
        options.extend(more.iter().map(|text| (*text).to_owned()));
        options
    };
    let check = |target: &str, options: &[String]| {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        net.check(target, &options)
    };
    let healthy = net.serve_http(Host::Server, &format!("{SERVER}:0"));
    check(&format!("http://{healthy}/"), &with(&[])).healthy();

    // One port is filtered.
    net.nft(
        Host::Router,
        "add table ip one; add chain ip one through { type filter hook forward priority 0; }; add rule ip one through tcp dport 81 drop",
    );
    let filtered = check(&format!("tcp://{SERVER}:81"), &with(&["--timeout", "600ms"]));
    assert_eq!(filtered.verdict(), "failed", "{}", filtered.pretty());
    assert_eq!(filtered.evidence("anchors"), "answer", "{}", filtered.pretty());

    // Only IPv6 has no route: that is not offline.
    net.on(Host::Client, "ip", ["-6", "route", "del", "default"]);
    let one_family = check(&format!("tcp://[{SERVER_V6}]:81"), &with(&[]));
    assert_eq!(one_family.verdict(), "failed", "{}", one_family.pretty());
    assert_eq!(one_family.0["cause"], "tcp.address_unreachable.no_route");

    // The resolver is silent, and addresses work.
    net.etc(
        Host::Client,
        "resolv.conf",
        &format!("nameserver {SERVER}\noptions timeout:1 attempts:1\n"),
    );
    net.nft(Host::Router, "add rule ip one through udp dport 53 drop");
    let unresolved = check("http://shop.example/", &with(&["--timeout", "3s"]));
    assert_eq!(unresolved.verdict(), "failed", "{}", unresolved.pretty());
    assert_eq!(unresolved.0["cause"], "dns.timed_out", "{}", unresolved.pretty());
}

#[test]
#[ignore = "needs root, ip and nft"]
fn one_target_is_inconclusive_only_when_the_anchors_or_the_link_prove_it() {
    let Some(net) = lab() else { return };
    let anchors = anchors(&net);
    let target = net.serve_http(Host::Server, &format!("{SERVER}:0"));
    let target = format!("http://{target}/");
    let options: Vec<String> = anchors.iter().map(|url| format!("--anchor={url}")).collect();
    let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
    options.extend(["--timeout", "800ms"]);
    cut_at_router(&net);
    let offline = net.check(&target, &options);
    assert_eq!(offline.verdict(), "inconclusive", "{}", offline.pretty());
    assert_eq!(offline.0["cause"], "vantage.offline");
    assert_eq!(
        offline.evidence("looked_like"),
        "tcp.timed_out",
        "{}",
        offline.pretty()
    );
    // Nobody but the target was asked: silence is all there is.
    let blamed = net.check(&target, &["--timeout", "800ms"]);
    assert_eq!(blamed.verdict(), "failed", "{}", blamed.pretty());
    mend_router(&net);

    // Without a default route, a target that needs one has no route; we may be where we are meant to be.
    net.on(Host::Client, "ip", ["route", "del", "default"]);
    let no_route = net.check(&target, &[]);
    assert_eq!(no_route.verdict(), "failed", "{}", no_route.pretty());
    assert_eq!(no_route.0["cause"], "tcp.address_unreachable.no_route");

    // Without a link nothing can be said about anybody.
    net.on(Host::Client, "ip", ["link", "set", "c0", "down"]);
    let unplugged = net.check(&target, &[]);
    assert_eq!(unplugged.verdict(), "inconclusive", "{}", unplugged.pretty());
    assert_eq!(unplugged.0["cause"], "vantage.offline");
    assert!(
        unplugged.0["fix"].as_str().is_some_and(|fix| fix.contains("c0")),
        "{}",
        unplugged.pretty()
    );
    // What is on this host does not need it.
    let own = net.serve_http(Host::Client, "127.0.0.1:0");
    net.check(&format!("http://{own}/"), &[]).healthy();
}
