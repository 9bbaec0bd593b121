//! Time: which phase used it up, and by whose budget.

use std::time::Duration;

use whyd::lab::http::Behaviour;

use super::{plain, root};
use crate::ask::{Ask, Diagnosis, ask};
use crate::binary::check;

async fn ask_within(behaviour: Behaviour, timeouts: &str) -> Diagnosis {
    let server = plain(behaviour).await;
    ask(Ask::new(root(&server)).with(format!("timeouts: {{{timeouts}}}"))).await
}

#[tokio::test]
async fn no_first_byte() {
    let found = ask_within(Behaviour::Silent, "first_byte: 300ms").await;
    found
        .failed("http.timed_out.first_byte first_byte slow remote idempotent_only")
        .evidence("budget", "phase")
        .evidence("request_acknowledged", true)
        .confidence("observed");
    assert!(found.number("waited") >= 0.3);
}

#[tokio::test]
async fn no_first_byte_within_the_attempt_and_the_total() {
    for (timeouts, budget) in [("attempt: 300ms", "attempt"), ("total: 300ms", "total")] {
        ask_within(Behaviour::Silent, timeouts)
            .await
            .failed("http.timed_out.first_byte first_byte slow remote idempotent_only")
            .evidence("budget", budget);
    }
}

#[tokio::test]
async fn no_first_byte_said_by_the_binary() {
    let server = plain(Behaviour::Silent).await;
    let said = check(&["--timeout", "400ms", &root(&server)]).await;
    let found = said.one(1);
    found
        .failed("http.timed_out.first_byte first_byte slow remote idempotent_only")
        .evidence("budget", "total")
        .fix("the total budget ended");
    assert_eq!(found.attempts().len(), 1, "no time is left for another one");
}

#[tokio::test]
async fn a_body_that_stops_coming() {
    let found = ask_within(Behaviour::BodyStall { sent: 100 }, "body: 300ms").await;
    found
        .failed("http.timed_out.body_stall body slow remote idempotent_only")
        .evidence("budget", "phase")
        .evidence("body_bytes", 100)
        .evidence("status", 200);
    assert!(found.number("quiet_for") >= 0.28, "{}", found.pretty());
}

#[tokio::test]
async fn a_body_that_stops_coming_uses_up_the_total() {
    ask_within(Behaviour::BodyStall { sent: 100 }, "total: 400ms")
        .await
        .failed("http.timed_out.body_stall body slow remote idempotent_only")
        .evidence("budget", "total");
}

#[tokio::test]
async fn a_drip_has_no_gap_to_blame() {
    let behaviour = Behaviour::DripBody {
        gap: Duration::from_millis(40),
    };
    ask_within(behaviour, "total: 600ms, body: 300ms")
        .await
        .failed("deadline.exceeded body slow unclear idempotent_only")
        .evidence("drip", true)
        .evidence("budget", "total")
        .evidence("longest_phase", "body");
}

#[tokio::test]
async fn time_spread_over_phases() {
    // The head comes after half of the time, and the body's gaps are short.
    let script = vec![
        whyd::lab::tcp::Step::ReadHead,
        whyd::lab::tcp::Step::Wait(Duration::from_millis(400)),
        whyd::lab::tcp::Step::text("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        whyd::lab::tcp::Step::WriteSlowly {
            bytes: vec![b'.'; 1000],
            gap: Duration::from_millis(30),
        },
    ];
    let server = whyd::lab::tcp::start(whyd::lab::tcp::Scripts::always(script))
        .await
        .expect("a port");
    ask(Ask::new(format!("http://{}/", server.address())).with("timeouts: {total: 700ms}"))
        .await
        .failed("deadline.exceeded body slow unclear idempotent_only")
        .evidence("longest_phase", "first_byte");
}

#[tokio::test]
async fn each_attempt_of_a_stall_has_its_own_failure() {
    let server = plain(Behaviour::Silent).await;
    let found = ask(Ask::new(root(&server))
        .with("timeouts: {first_byte: 150ms}")
        .with("retry: {attempts: 2, backoff: {initial: 10ms}}"))
    .await;
    found.failed("http.timed_out.first_byte first_byte slow remote idempotent_only");
    let causes: Vec<&str> = found
        .attempts()
        .iter()
        .filter_map(|attempt| attempt["failure"]["cause"].as_str())
        .collect();
    assert_eq!(causes, ["http.timed_out.first_byte"; 2]);
    assert!(found.elapsed() >= 300.0);
}
