//! `whyd check` against the lab: the right cause in both forms, the exit status, the shape of the output.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;
use whyd::lab::certs::{Authority, CertSpec};
use whyd::lab::dns::{self, DnsLab, Reply};
use whyd::lab::http::{Behaviour, HttpOptions, HttpServer};
use whyd::lab::tcp::RefusedPort;
use whyd::lab::tls::{ServerTls, TlsOptions};

use super::{stderr, stdout, whyd};

/// The lab's servers run on it while the binary is waited for.
fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

fn plain(runtime: &Runtime, behaviour: Behaviour) -> (HttpServer, String) {
    let server = runtime
        .block_on(HttpServer::plain(behaviour))
        .expect("a port is free");
    let url = format!("http://{}/", server.address());
    (server, url)
}

fn refused() -> (RefusedPort, String) {
    let port = RefusedPort::reserve().expect("a port is free");
    let target = format!("tcp://{}", port.address());
    (port, target)
}

/// A server with a certificate for localhost, and the PEM file of its authority.
struct Secure {
    server: HttpServer,
    authority: PathBuf,
}

impl Secure {
    fn start(runtime: &Runtime, certificate: CertSpec) -> Secure {
        let root = Authority::new("the tests' CA").expect("a certificate");
        let issued = root.issue(certificate).expect("a certificate");
        let tls = ServerTls::new(&issued.chain_pem, &issued.key_pem, TlsOptions::default());
        let options = HttpOptions {
            tls: Some(tls.expect("keys that fit")),
            explain_plain_http: true,
            idle: None,
        };
        let server = runtime
            .block_on(HttpServer::start(Behaviour::ok(), options))
            .expect("a port is free");
        // The port is in the name, since tests run side by side.
        let file = format!("authority-{}.pem", server.address().port());
        let authority = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
        std::fs::write(&authority, root.pem()).expect("a file");
        Secure { server, authority }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}/", self.server.address().port())
    }

    fn authority(&self) -> &str {
        self.authority.to_str().expect("UTF-8")
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        // Nothing depends on its being gone.
        let _ = std::fs::remove_file(&self.authority);
    }
}

fn nameserver(runtime: &Runtime) -> DnsLab {
    let known = [("api.lab.test", Reply::a([127, 0, 0, 1]))];
    runtime.block_on(dns::start(known)).expect("a port is free")
}

/// The objects of `--output json`, one a line.
fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Asks in both forms and holds both to the cause, the sentence that a person reads first, and the exit status.
fn names(cause: &str, phase: &str, sentence: &str, options: &[&str], target: &str) -> Value {
    let with = |format| [&["check", "--output", format], options, &[target]].concat();

    let human = whyd(&with("human"));
    let text = stdout(&human);
    assert_eq!(human.status.code(), Some(1), "{text}{}", stderr(&human));
    let mut lines = text.lines();
    let headline = lines.next().expect("a verdict");
    assert!(headline.starts_with("✗ ") && headline.contains(target), "{text}");
    assert_eq!(lines.next(), Some(""), "{text}");
    assert_eq!(lines.next().map(str::trim), Some(sentence), "{text}");
    let id = lines.next().expect("the id").trim();
    assert!(id.starts_with(&format!("{cause}, ")), "{text}");
    for section in ["\n  evidence ", "\n  attempts ", "\n  fix "] {
        assert!(text.contains(section), "{section:?} is missing: {text}");
    }
    assert!(text.contains(" ✗\n"), "the waterfall marks the phase: {text}");
    narrow(&text);

    let json = whyd(&with("json"));
    assert_eq!(json.status.code(), Some(1), "{}", stderr(&json));
    let mut objects = objects(&stdout(&json));
    assert_eq!(objects.len(), 1);
    let object = objects.remove(0);
    assert_eq!(object["verdict"], "failed");
    assert_eq!(object["cause"], cause);
    assert_eq!(object["phase"], phase);
    let last = object["attempts"].as_array().and_then(|attempts| attempts.last());
    let last = last.expect("an attempt");
    assert_eq!(last["failure"]["cause"], cause);
    assert_ne!(object["fix"], "");
    object
}

/// Fits a terminal of 80 columns, and has no colour where there is no terminal.
fn narrow(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
}

#[test]
fn a_refused_port() {
    let (_port, target) = refused();
    let object = names(
        "tcp.refused.rst",
        "connect",
        "The connection was refused: nothing listens there",
        &[],
        &target,
    );
    assert_eq!(object["speed"], "fast");
    // A restarting process is worth waiting for, unlike the causes below that are somebody's configuration.
    assert_eq!(object["attempts"].as_array().map(Vec::len), Some(3));
}

#[test]
fn an_unknown_host() {
    let runtime = runtime();
    let nameserver = nameserver(&runtime);
    let object = names(
        "dns.name_not_resolved.nxdomain",
        "resolve",
        "The name does not exist",
        &["--resolver", &nameserver.address().to_string()],
        "http://apl.lab.test/",
    );
    assert_eq!(object["attempts"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        object["attempts"][0]["phases"]
            .as_object()
            .map(|phases| phases.len()),
        Some(1)
    );
}

#[test]
fn an_expired_certificate() {
    let runtime = runtime();
    let certificate = CertSpec::named(["localhost"]).expired(Duration::from_secs(3 * 86_400));
    let secure = Secure::start(&runtime, certificate);
    let object = names(
        "tls.cert.date_invalid.expired",
        "tls",
        "A certificate has expired",
        &["--ca", secure.authority()],
        &secure.url("https"),
    );
    assert_eq!(object["fault"], "config");
    let evidence = &object["attempts"][0]["failure"]["evidence"];
    assert_eq!(evidence["chain_position"], 0);
    assert!(evidence["not_after"].is_string(), "{evidence}");
    let fix = object["fix"].as_str().expect("a fix");
    assert!(fix.contains("localhost") && fix.contains("3 days"), "{fix}");
}

#[test]
fn http_to_a_tls_port() {
    let runtime = runtime();
    let secure = Secure::start(&runtime, CertSpec::named(["localhost"]));
    let object = names(
        "http.protocol.error.tls_peer",
        "first_byte",
        "Plain HTTP was sent to a TLS port",
        &[],
        &secure.url("http"),
    );
    assert_eq!(object["confidence"], "confirmed");
    assert!(object["fix"].as_str().is_some_and(|fix| fix.contains("https://")));
}

#[test]
fn https_to_a_plain_port() {
    let runtime = runtime();
    let (server, _) = plain(&runtime, Behaviour::ok());
    names(
        "tls.protocol.error.plaintext_peer",
        "tls",
        "The port does not speak TLS",
        &[],
        &format!("https://{}/", server.address()),
    );
}

#[test]
fn a_truncated_body() {
    let runtime = runtime();
    let truncated = Behaviour::Truncated {
        content_length: 1000,
        sent: 400,
    };
    let (_server, url) = plain(&runtime, truncated);
    let object = names(
        "http.response.invalid.content_length_mismatch",
        "body",
        "The body is shorter than announced",
        &["--retries", "1"],
        &url,
    );
    let evidence = &object["attempts"][1]["failure"]["evidence"];
    assert_eq!(
        (&evidence["expected_bytes"], &evidence["got_bytes"]),
        (&1000.into(), &400.into())
    );
    assert_eq!(object["attempts"][1]["status"], 200);
}

#[test]
fn a_stalled_first_byte() {
    let runtime = runtime();
    let (_server, url) = plain(&runtime, Behaviour::Silent);
    let object = names(
        "http.timed_out.first_byte",
        "first_byte",
        "The server took the request and sent nothing",
        &["--retries", "1", "--first-byte-timeout", "100ms"],
        &url,
    );
    assert_eq!(object["attempts"].as_array().map(Vec::len), Some(2));
    let evidence = &object["attempts"][0]["failure"]["evidence"];
    assert_eq!(evidence["request_acknowledged"], true);
}

/// With nothing but `--timeout`, what ended the wait is what the caller set: the total budget.
#[test]
fn a_stall_that_uses_up_the_total_budget_says_so() {
    let runtime = runtime();
    let (_server, url) = plain(&runtime, Behaviour::Silent);
    let object = names(
        "http.timed_out.first_byte",
        "first_byte",
        "The server took the request and sent nothing",
        &["--timeout", "300ms"],
        &url,
    );
    let evidence = &object["attempts"][0]["failure"]["evidence"];
    assert_eq!(evidence["budget"], "total", "{evidence}");
    assert!(
        object["elapsed"]
            .as_f64()
            .is_some_and(|elapsed| (0.3..2.0).contains(&elapsed)),
        "{object}"
    );
}

#[test]
fn what_answers_takes_at_most_four_lines_and_exits_with_0() {
    let runtime = runtime();
    let (_server, url) = plain(&runtime, Behaviour::ok());
    let output = whyd(&["check", &url]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(stderr(&output), "");
    assert!(text.starts_with(&format!("✓ {url}   ok in ")), "{text}");
    assert!((2..=4).contains(&text.lines().count()), "{text}");
    narrow(&text);
}

#[test]
fn what_answers_only_after_a_retry_says_so_and_exits_with_0() {
    let runtime = runtime();
    let flaky = Behaviour::FlakyThenOk {
        failures: 1,
        status: 503,
        successes: 100,
    };
    let (_server, url) = plain(&runtime, flaky);
    let output = whyd(&["check", "--output", "json", &url]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let object = &objects(&stdout(&output))[0];
    assert_eq!(object["verdict"], "retried_ok");
    assert_eq!(object["cause"], Value::Null);
    assert_eq!(object["attempts"][0]["failure"]["cause"], "http.error.503");
    assert_eq!(object["attempts"][1]["failure"], Value::Null);
}

/// The keys are a promise to scripts: none may go, and a new one is added here on purpose.
#[test]
fn json_has_the_promised_keys() {
    let (_port, target) = refused();
    let output = whyd(&["check", "--retries", "0", "-o", "json", &target]);
    let object = &objects(&stdout(&output))[0];
    let keys = |value: &Value| -> Vec<String> {
        let mut keys: Vec<String> = value.as_object().expect("an object").keys().cloned().collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(
        keys(object),
        [
            "alternatives",
            "attempts",
            "cause",
            "chain",
            "confidence",
            "confirmations",
            "elapsed",
            "evidence",
            "fault",
            "findings",
            "fix",
            "phase",
            "retryable",
            "schema_version",
            "speed",
            "started",
            "target",
            "verdict"
        ]
    );
    assert_eq!(object["schema_version"], 1);
    assert_eq!(object["target"], target.as_str());
    let attempt = &object["attempts"][0];
    for key in ["n", "elapsed", "status", "phases", "hops", "failure"] {
        assert!(attempt.get(key).is_some(), "{key} is missing: {attempt}");
    }
    let hop = &attempt["hops"][0];
    for key in ["url", "role", "address", "reused", "idle_before", "phases"] {
        assert!(hop.get(key).is_some(), "{key} is missing: {hop}");
    }
    for key in ["cause", "phase", "speed", "evidence", "chain"] {
        assert!(
            attempt["failure"].get(key).is_some(),
            "{key} is missing: {attempt}"
        );
    }
}

#[test]
fn many_targets_are_printed_in_their_order_and_the_worst_is_the_exit_status() {
    let runtime = runtime();
    // The first one is the last to conclude.
    let (_slow, slow) = plain(
        &runtime,
        Behaviour::SlowFirstByte {
            wait: Duration::from_millis(300),
        },
    );
    let (_port, refused) = refused();
    let (_fast, fast) = plain(&runtime, Behaviour::ok());
    let targets = [slow.as_str(), refused.as_str(), fast.as_str(), slow.as_str()];

    let output = whyd(&[&["check", "--retries", "0", "-o", "json"], &targets[..]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let objects = objects(&stdout(&output));
    let asked: Vec<&Value> = objects.iter().map(|object| &object["target"]).collect();
    assert_eq!(asked, targets[..3], "in order, and the one given twice once");

    let text = stdout(&whyd(&[&["check", "--retries", "0"], &targets[..]].concat()));
    assert!(text.ends_with("\n\n3 targets: 2 ok, 1 failed\n"), "{text}");
    narrow(&text);
}

#[test]
fn a_missing_scheme_is_understood_and_said() {
    let (port, _) = refused();
    let bare = port.address().to_string();
    let output = whyd(&["check", "--retries", "0", "-o", "json", &bare]);
    assert_eq!(
        stderr(&output),
        format!("note: `{bare}` has no scheme: taken as http://{bare}/\n")
    );
    assert_eq!(objects(&stdout(&output))[0]["target"], format!("http://{bare}/"));
}

#[test]
fn targets_that_cannot_be_meant_are_usage_errors_with_a_hint() {
    let mistakes = [
        ("htps://api.lab.test/", "htps"),
        ("http//api.lab.test/", "http://api.lab.test/"),
        ("https:/api.lab.test", "https://api.lab.test"),
        ("http://${HOST}/", "not expanded"),
        ("http://a b/", "%20"),
        ("tcp://localhost", "port is missing"),
        ("icmp://127.0.0.1:7", "no ports"),
        ("", "empty"),
    ];
    for (target, hint) in mistakes {
        let output = whyd(&["check", target]);
        assert_eq!(output.status.code(), Some(2), "{target}: {}", stdout(&output));
        assert!(stderr(&output).contains(hint), "{target}: {}", stderr(&output));
        assert_eq!(
            stderr(&output).matches("error:").count(),
            1,
            "{target}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn options_that_cannot_work_are_usage_errors_in_the_options_own_names() {
    let mistakes: [(&[&str], &str); 3] = [
        (&["-4", "http://[::1]:1/"], "--ipv4"),
        (&["-6", "http://127.0.0.1:1/"], "--ipv6"),
        (
            &["--ca", "/no/such/file", "https://127.0.0.1:1/"],
            "/no/such/file",
        ),
    ];
    for (args, hint) in mistakes {
        let output = whyd(&[&["check"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stdout(&output));
        assert!(stderr(&output).contains(hint), "{args:?}: {}", stderr(&output));
    }
}

/// Interrupted before an answer came: nothing is known about the target, and its state says so.
#[cfg(unix)]
#[test]
fn an_interrupt_is_inconclusive() {
    let runtime = runtime();
    let (server, url) = plain(&runtime, Behaviour::Silent);
    let child = Command::new(env!("CARGO_BIN_EXE_whyd"))
        .args(["check", &url])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let asked = server.server().wait_for_requests(1);
    let asked = async { tokio::time::timeout(Duration::from_secs(20), asked).await };
    runtime.block_on(asked).expect("the request arrives");
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.expect("kill runs").success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
}
