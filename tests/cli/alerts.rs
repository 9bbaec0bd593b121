//! `whyd alerts test`: a receiver is tried, for real.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{stderr, stdout, whyd};

/// A receiver that keeps the bodies it is sent and answers each with the next status, the last of which stays.
struct Receiver {
    url: String,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    fn start(statuses: &'static [&'static str]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
        let bodies: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = Arc::clone(&bodies);
        std::thread::spawn(move || {
            for (served, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { return };
                let mut reader = BufReader::new(stream);
                let mut length = 0;
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().expect("a length");
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).expect("a body");
                kept.lock()
                    .expect("not poisoned")
                    .push(serde_json::from_slice(&body).expect("JSON"));
                let status = statuses[served.min(statuses.len() - 1)];
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nso");
                let _ = reader.get_mut().write_all(answer.as_bytes());
            }
        });
        Receiver { url, bodies }
    }
}

/// A configuration with these receivers.
fn config(name: &str, receivers: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("alerts-{name}.yaml"));
    let text = format!("dependencies: [{{name: a, url: 'tcp://127.0.0.1:1'}}]\nreceivers:\n{receivers}\n");
    std::fs::write(&path, text).expect("it can be written");
    path
}

fn test(receiver: &str, config: &std::path::Path) -> (Option<i32>, String, String) {
    let output = whyd(&[
        "alerts",
        "test",
        receiver,
        "--config",
        config.to_str().expect("UTF-8"),
    ]);
    (output.status.code(), stdout(&output), stderr(&output))
}

#[test]
fn a_test_is_sent_and_its_end_too() {
    let receiver = Receiver::start(&["200 OK"]);
    let config = config(
        "good",
        &format!("- {{name: hook, webhook: {{url: '{}'}}}}", receiver.url),
    );
    let (code, out, err) = test("hook", &config);
    assert_eq!((code, &*err), (Some(0), ""), "{out}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("hook (webhook): a test (test-"), "{out}");
    assert!(lines[1].starts_with("hook (webhook): its end (test-"), "{out}");
    assert!(
        lines.iter().all(|line| line.contains(") was accepted, after ")),
        "{out}"
    );
    let bodies = receiver.bodies.lock().expect("not poisoned");
    assert_eq!(
        (&bodies[0]["status"], &bodies[1]["status"]),
        (&"firing".into(), &"resolved".into())
    );
    assert_eq!(bodies[0]["alerts"][0]["labels"]["alertname"], "WhydTest");
    assert_eq!(bodies[0]["groupKey"], bodies[1]["groupKey"]);
    assert!(
        bodies[0]["whyd"]["text"]
            .as_str()
            .expect("text")
            .contains("Nothing has failed")
    );
}

#[test]
fn what_is_not_taken_is_told_and_the_status_says_so() {
    let receiver = Receiver::start(&["503 Busy"]);
    let config = config(
        "busy",
        &format!("- {{name: hook, webhook: {{url: '{}'}}}}", receiver.url),
    );
    let (code, out, _) = test("hook", &config);
    assert_eq!(code, Some(1), "{out}");
    assert!(
        out.contains("failed, might work later: http://127.0.0.1:") && out.contains("answered 503"),
        "{out}"
    );
    assert!(!out.contains("/hook"), "the path may be a secret: {out}");
    assert_eq!(
        receiver.bodies.lock().expect("not poisoned").len(),
        1,
        "no end of what nobody knows"
    );
}

#[test]
fn every_peer_of_an_alertmanager_is_tried() {
    let (first, second) = (Receiver::start(&["200 OK"]), Receiver::start(&["400 Bad"]));
    let urls = format!("'{}', '{}'", first.url, second.url);
    let config = config(
        "peers",
        &format!("- {{name: am, alertmanager: {{urls: [{urls}]}}}}"),
    );
    let (code, out, _) = test("am", &config);
    assert_eq!(code, Some(1), "{out}");
    assert!(
        out.contains("am (alertmanager): a test (") && out.contains("am/2 (alertmanager): a test ("),
        "{out}"
    );
    assert!(
        out.contains("was refused: ") && out.contains("over there by itself in 5 minutes"),
        "{out}"
    );
}

#[test]
fn mistakes_have_statuses_of_their_own() {
    let good = config(
        "names",
        "- {name: on-call, webhook: {url: 'http://127.0.0.1:1/'}}",
    );
    let (code, out, err) = test("on-cal", &good);
    assert_eq!((code, &*out), (Some(2), ""));
    assert!(err.contains("did you mean on-call?"), "{err}");
    let bad = config("bad", "- {name: on-call, webhok: {url: 'http://127.0.0.1:1/'}}");
    let (code, _, err) = test("on-call", &bad);
    assert_eq!(code, Some(78));
    assert!(err.contains("webhok"), "{err}");
    assert_eq!(whyd(&["alerts", "test", "x"]).status.code(), Some(2));
}
