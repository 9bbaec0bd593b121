//! `whyd doctor`, in surroundings that are broken on purpose.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use super::{stderr, stdout, whyd};

fn directory(name: &str) -> PathBuf {
    let path =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("doctor-{name}-{}", std::process::id()));
    fs::create_dir_all(&path).expect("a directory");
    path
}

/// A configuration whose listener has a free port.
fn config(directory: &std::path::Path, more: &str) -> String {
    let text = format!(
        "listen: {{address: '127.0.0.1:0'}}\ndependencies: [{{name: a, url: 'tcp://127.0.0.1:1'}}]\n{more}\n"
    );
    let path = directory.join("whyd.yaml");
    fs::write(&path, text).expect("it can be written");
    path.to_str().expect("UTF-8").to_owned()
}

fn findings(output: &Output) -> Vec<Value> {
    let lines = stdout(output);
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    lines.lines().map(parse).collect()
}

/// The findings of one area, as (subject, level, what was seen).
fn of<'a>(findings: &'a [Value], check: &str) -> Vec<(&'a str, &'a str, &'a str)> {
    let text = |value: &'a Value| value.as_str().unwrap_or_default();
    let own = findings.iter().filter(|found| found["check"] == check);
    own.map(|found| {
        (
            text(&found["subject"]),
            text(&found["level"]),
            text(&found["seen"]),
        )
    })
    .collect()
}

fn doctor(config: &str, more: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = whyd(&[&["doctor", "--config", config, "--output", "json"], more].concat());
    (output.status.code(), findings(&output))
}

#[test]
fn exporters_and_receivers_are_reached_and_told_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let open = listener.local_addr().expect("bound");
    let closed = {
        let gone = TcpListener::bind("127.0.0.1:0").expect("loopback");
        gone.local_addr().expect("bound")
    };
    let directory = directory("endpoints");
    let config = config(
        &directory,
        &format!(
            "otlp: {{endpoint: 'http://{open}'}}
receivers:
- {{name: am, alertmanager: {{url: 'http://{closed}'}}}}
- {{name: hook, webhook: {{url: {{file: '{}/url'}}}}}}",
            directory.display()
        ),
    );
    let (code, found) = doctor(&config, &[]);
    assert_eq!(code, Some(1), "{found:#?}");
    let exporters = of(&found, "exporter");
    assert_eq!(exporters.len(), 1, "one collector is asked once: {exporters:?}");
    assert_eq!(exporters[0].1, "ok", "{exporters:?}");
    let receivers = of(&found, "receiver");
    let hook = receivers
        .iter()
        .find(|(subject, ..)| *subject == "hook")
        .expect("the hook");
    assert!(
        hook.1 == "problem" && hook.2.contains("cannot read the secret file"),
        "{hook:?}"
    );
    let am = receivers
        .iter()
        .find(|(subject, ..)| subject.starts_with("am ("))
        .expect("Alertmanager");
    assert!(am.1 == "problem" && am.2.contains("tcp.refused"), "{am:?}");

    // The collector saw a connection and not one byte.
    let (mut stream, _) = listener.accept().expect("a connection");
    let mut sent = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut sent).expect("its end");
    assert_eq!(sent, b"");
    fs::remove_dir_all(directory).expect("it was there");
}

#[test]
fn a_bad_configuration_is_told_as_validate_tells_it_and_the_host_is_looked_at_all_the_same() {
    let directory = directory("bad");
    let config = config(&directory, "nonsense: 1");
    let output = whyd(&["doctor", "--config", &config, "--output", "json"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("nonsense"), "{}", stderr(&output));
    let found = findings(&output);
    assert_eq!(of(&found, "configuration")[0].1, "problem");
    assert!(!of(&found, "clock").is_empty() && !of(&found, "trust").is_empty());
    assert_eq!(whyd(&["doctor", "--nonsense"]).status.code(), Some(2));
    fs::remove_dir_all(directory).expect("it was there");
}

#[test]
fn too_few_descriptors_and_a_taken_port_are_problems_with_a_fix() {
    let other = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let taken = other.local_addr().expect("bound");
    // Who answers in other words than ours: a server that hangs up.
    std::thread::spawn(move || {
        for stream in other.incoming() {
            drop(stream);
        }
    });
    let directory = directory("limits");
    let many: String = (0..400)
        .map(|n| format!("- {{name: d{n}, url: 'tcp://127.0.0.1:1'}}\n"))
        .collect();
    let path = directory.join("many.yaml");
    fs::write(
        &path,
        format!("listen: {{address: '{taken}'}}\ndependencies:\n{many}"),
    )
    .expect("it can be written");
    let script = format!(
        "ulimit -n 256; PATH=/nowhere exec {} doctor --config {} --output json",
        env!("CARGO_BIN_EXE_whyd"),
        path.display()
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .env_clear()
        .output()
        .expect("sh runs");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let found = findings(&output);
    let descriptors = of(&found, "descriptors");
    assert_eq!(descriptors[0].1, "problem", "{descriptors:?}");
    assert!(descriptors[0].2.contains("256 open files"), "{descriptors:?}");
    let listener = of(&found, "listener");
    assert_eq!(
        (listener[0].0, listener[0].1),
        (&*taken.to_string(), "problem"),
        "{listener:?}"
    );
    for problem in found.iter().filter(|found| found["level"] == "problem") {
        assert!(problem["fix"].is_string(), "{problem}");
    }
    fs::remove_dir_all(directory).expect("it was there");
}

#[test]
fn a_state_directory_is_looked_at_and_left_as_it_is() {
    let directory = directory("state");
    let config = config(&directory, "");
    let state = directory.join("state");
    let given = ["--state-dir", state.to_str().expect("UTF-8")];
    let (_, found) = doctor(&config, &given);
    assert_eq!(of(&found, "state")[0].1, "ok", "{found:#?}");
    assert!(!state.exists(), "the daemon makes it, not the doctor");

    fs::create_dir(&state).expect("a directory");
    fs::write(state.join("whyd.redb.damaged-17"), "x").expect("a file");
    let (_, found) = doctor(&config, &given);
    let seen = of(&found, "state");
    assert!(
        seen.iter()
            .any(|one| one.1 == "warning" && one.2.contains("damaged-17")),
        "{seen:?}"
    );

    // Root may write everywhere.
    // SAFETY: geteuid cannot fail and touches no memory.
    if unsafe { libc::geteuid() } != 0 {
        fs::set_permissions(&state, fs::Permissions::from_mode(0o500)).expect("ours");
        let (code, found) = doctor(&config, &given);
        assert_eq!(
            (code, of(&found, "state")[0].1),
            (Some(1), "problem"),
            "{found:#?}"
        );
    }
    // A file where a directory should be.
    let file = directory.join("file");
    fs::write(&file, "").expect("a file");
    let (code, found) = doctor(&config, &["--state-dir", file.to_str().expect("UTF-8")]);
    assert_eq!(
        (code, of(&found, "state")[0].1),
        (Some(1), "problem"),
        "{found:#?}"
    );
    fs::remove_dir_all(directory).expect("it was there");
}

#[test]
fn people_get_80_columns_and_no_colour_without_a_terminal() {
    let output = whyd(&["doctor"]);
    let text = stdout(&output);
    assert!(text.contains("resolver") && text.contains("checks: "), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
}

/// An API of Kubernetes that only answers what we may: everything but to watch ingresses.
#[cfg(feature = "kubernetes")]
fn access_reviews() -> std::net::SocketAddr {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    let answer = |stream: std::net::TcpStream| -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let (mut line, mut length) = (String::new(), 0);
            let mut first = String::new();
            while reader.read_line(&mut line).ok()? > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().ok()?;
                }
                if first.is_empty() {
                    first.clone_from(&line);
                }
                line.clear();
            }
            assert!(
                first.starts_with("POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
                "{first}"
            );
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            let mut review: Value = serde_json::from_slice(&body).expect("JSON");
            let asked = &review["spec"]["resourceAttributes"];
            assert_eq!(asked["namespace"], "shop");
            let allowed = !(asked["resource"] == "ingresses" && asked["verb"] == "watch");
            review["status"] = serde_json::json!({ "allowed": allowed });
            let body = review.to_string();
            let head = format!(
                "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            reader.get_mut().write_all((head + &body).as_bytes()).ok()?;
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

#[test]
#[cfg(feature = "kubernetes")]
fn rights_that_are_missing_in_kubernetes_are_named() {
    let directory = directory("kubernetes");
    let kubeconfig = directory.join("kubeconfig");
    let text = |server: &str| {
        format!(
            "apiVersion: v1
kind: Config
current-context: a
clusters: [{{name: a, cluster: {{server: '{server}'}}}}]
users: [{{name: a, user: {{token: hunter2}}}}]
contexts: [{{name: a, context: {{cluster: a, user: a, namespace: watch}}}}]
"
        )
    };
    fs::write(&kubeconfig, text(&format!("http://{}", access_reviews()))).expect("it can be written");
    let config = config(
        &directory,
        &format!(
            "discovery: [{{name: shop, kubernetes: {{roles: [services, ingresses], namespaces: [shop], kubeconfig: '{}'}}}}]",
            kubeconfig.display()
        ),
    );
    let (code, found) = doctor(&config, &[]);
    let kubernetes = of(&found, "kubernetes");
    assert_eq!(
        kubernetes,
        [("discovery \"shop\"", "problem", "may not watch ingresses in shop")],
        "{found:#?}"
    );
    assert_eq!(code, Some(1));

    fs::write(&kubeconfig, text("http://127.0.0.1:1")).expect("it can be written");
    let (code, found) = doctor(&config, &[]);
    let kubernetes = of(&found, "kubernetes");
    assert!(
        kubernetes[0].1 == "problem" && kubernetes[0].2.contains("cannot be reached"),
        "{kubernetes:?}"
    );
    assert_eq!(code, Some(1));
    assert!(!format!("{found:?}").contains("hunter2"));
    fs::remove_dir_all(directory).expect("it was there");
}
