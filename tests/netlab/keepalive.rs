//! A router that translates addresses and forgets idle flows after five seconds: what the daemon finds out about it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::net::{Host, Net, SERVER, lab};

/// Flows that lay idle for so long are forgotten.
const FORGETS: u64 = 5;
/// From the daemon's start.
const LIMIT: Duration = Duration::from_secs(180);

/// Translates the client's address; what belongs to no flow that is remembered, and begins none, is dropped in silence.
fn forgetful_nat(net: &Net) {
    net.nft(
        Host::Router,
        "add table ip nat;
         add chain ip nat post { type nat hook postrouting priority 100; };
         add rule ip nat post oifname r1 masquerade;
         add table ip f;
         add chain ip f through { type filter hook forward priority 0; policy drop; };
         add rule ip f through ct state established,related accept;
         add rule ip f through tcp flags & (syn | ack) == syn ct state new accept",
    );
    let forgets = format!("net.netfilter.nf_conntrack_tcp_timeout_established={FORGETS}");
    net.sysctl(Host::Router, &forgets);
    net.sysctl(Host::Router, "net.netfilter.nf_conntrack_tcp_loose=0");
}

/// A daemon on the client, which ends with this handle.
struct Daemon<'a> {
    net: &'a Net,
    child: Child,
    directory: std::path::PathBuf,
}

impl Daemon<'_> {
    fn start<'a>(net: &'a Net, dependencies: &str) -> Daemon<'a> {
        let name = format!("netlab-{}", net.name(Host::Client));
        let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&directory).expect("a directory");
        let config = directory.join("whyd.yaml");
        let text = format!("listen: {{address: '127.0.0.1:9477'}}\ndependencies:\n{dependencies}");
        std::fs::write(&config, text).expect("a configuration");
        let mut command = net.command(Host::Client, env!("CARGO_BIN_EXE_whyd"));
        command.args(["run", "--config"]).arg(&config);
        command.arg("--state-dir").arg(directory.join("state"));
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("whyd starts");
        Daemon {
            net,
            child,
            directory,
        }
    }

    /// What the API says of a dependency; `None` while nothing listens.
    fn dependency(&self, name: &str) -> Option<Json> {
        let text = self.net.within(Host::Client, || {
            let mut stream = TcpStream::connect("127.0.0.1:9477").ok()?;
            let head = "HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
            write!(stream, "GET /api/v1/dependencies/{name} {head}").ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).ok()?;
            Some(text)
        })?;
        let (_, body) = text.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok()
    }

    /// Waits until the API shows it.
    #[track_caller]
    fn shows<T>(&self, name: &str, what: &str, look: impl Fn(&Json) -> Option<T>) -> T {
        let began = Instant::now();
        let mut last = Json::Null;
        while began.elapsed() < LIMIT {
            if let Some(json) = self.dependency(name) {
                if let Some(found) = look(&json) {
                    return found;
                }
                last = json;
            }
            // Nothing tells when it has changed.
            let (_hold, wait) = std::sync::mpsc::channel::<()>();
            let _ = wait.recv_timeout(Duration::from_millis(200));
        }
        panic!("not within {LIMIT:?}: {what}\n{last:#}");
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_nat_that_forgets_idle_flows_is_measured() {
    let Some(net) = lab() else { return };
    let server = net.serve_http(Host::Server, &format!("{SERVER}:0"));
    forgetful_nat(&net);
    let dependency =
        format!("- {{name: behind, url: 'http://{server}/', interval: 2s, keepalive: {{discover: true}}}}");
    let daemon = Daemon::start(&net, &dependency);
    let began = Instant::now();
    let known = daemon.shows("behind", "the idle timeout", |json| {
        let known = &json["host"]["idle_measurement"]["known"];
        known.is_object().then(|| json.clone())
    });
    assert!(began.elapsed() < LIMIT);
    let measured = &known["host"]["idle_measurement"]["known"];
    let number = |key: &str| {
        measured[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key}: {known:#}"))
    };
    assert_eq!(measured["kind"], "silent", "{known:#}");
    assert_eq!(measured["how"], "silence");
    assert!(
        number("good_after") >= 4.0 && number("ended_after") <= 8.0,
        "{measured:#}"
    );
    assert!(number("samples") >= 2.0 && number("control_uses") > 10.0);
    let finding = known["findings"].as_array().and_then(|findings| findings.first());
    let finding = finding.unwrap_or_else(|| panic!("no finding: {known:#}"));
    assert_eq!(finding["id"], "keepalive.idle_timeout");
    let fix = finding["fix"].as_str().unwrap_or_default();
    assert!(fix.contains("set your pool's idle timeout below 4."), "{fix}");
    // The ordinary probes of the same daemon, on fresh connections, never suffered.
    assert_eq!(known["state"], "up");
    assert_eq!(known["counters"]["operations"]["failed"], 0);
}

#[test]
#[ignore = "needs root, ip and nft"]
fn silence_on_a_kept_connection_is_left_soon_and_a_fresh_one_proves_it() {
    let Some(net) = lab() else { return };
    let server = net.serve_http(Host::Server, &format!("{SERVER}:0"));
    forgetful_nat(&net);
    // Both lie idle for 7 s. A POST may have arrived although nobody acknowledged it, so that it is not sent again.
    let rest = "interval: 7s, timeouts: {first_byte: 3s, attempt: 4s, total: 6s}, keepalive: {reuse: true}";
    let dependencies = format!(
        "- {{name: get, url: 'http://{server}/', {rest}}}
- {{name: post, url: 'http://{server}/', method: POST, body: x, {rest}}}\n"
    );
    let daemon = Daemon::start(&net, &dependencies);
    let get = daemon.shows("get", "an operation that was retried", |json| {
        let last = json["last_failures"].as_array()?.first()?.clone();
        (last["verdict"] == "retried_ok").then_some(last)
    });
    let failure = &get["attempts"][0]["failure"];
    assert_eq!(failure["cause"], "tcp.timed_out.stale", "{get:#}");
    assert_eq!(failure["confidence"], "confirmed", "{get:#}");
    assert_eq!(failure["evidence"]["fresh_connection_works"], true);
    assert_eq!(failure["evidence"]["budget"], "acknowledgement");
    let elapsed = get["elapsed"].as_f64().expect("a time");
    assert!(elapsed < 2.5, "it waited for the full timeout: {get:#}");
    let post = daemon.shows("post", "a failure", |json| {
        let last = json["last_failures"].as_array()?.first()?.clone();
        (last["verdict"] == "failed").then_some(last)
    });
    assert_eq!(post["cause"], "tcp.timed_out.stale", "{post:#}");
    assert_eq!(post["attempts"].as_array().map(Vec::len), Some(1), "{post:#}");
    let decision = &post["attempts"][0]["retry"]["decision"];
    assert_eq!(decision, "not_idempotent", "{post:#}");
    // It was given its whole time: nothing else would have followed.
    assert!(post["elapsed"].as_f64().expect("a time") >= 2.9, "{post:#}");
}
