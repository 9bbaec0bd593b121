//! TCP: refused, silent, reset before, and reset within the answer.

use whyd::lab::http::{Behaviour, HttpServer};
use whyd::lab::tcp::{self, FullBacklog, RefusedPort, Scripts, Step};

use crate::ask::{Ask, ask, ask_url};
use crate::binary::check;

#[tokio::test]
async fn nothing_listens() {
    let port = RefusedPort::reserve().expect("a port");
    for scheme in ["http", "tcp", "tls", "https"] {
        ask_url(format!("{scheme}://{}", port.address()))
            .await
            .failed("tcp.refused.rst connect fast remote yes")
            .confidence("observed")
            .evidence("errno", "ECONNREFUSED")
            .evidence("call", "connect")
            .evidence("address", port.address().to_string());
    }
}

#[tokio::test]
async fn nothing_listens_said_by_the_binary() {
    let port = RefusedPort::reserve().expect("a port");
    let target = format!("http://{}/", port.address());
    let said = check(&["--retries", "0", &target]).await;
    let diagnosis = said.one(1);
    diagnosis
        .failed("tcp.refused.rst connect fast remote yes")
        .evidence("errno", "ECONNREFUSED");
    assert_eq!(diagnosis.0["target"], target.as_str());
    assert_eq!(diagnosis.attempts().len(), 1);
    let phases = diagnosis.attempts()[0]["phases"].as_object().expect("phases");
    assert!(
        !phases.contains_key("tls") && !phases.contains_key("first_byte"),
        "{phases:?}"
    );
}

#[tokio::test]
async fn a_full_accept_queue_drops_the_syn() {
    let full = FullBacklog::start().await.expect("a full queue");
    ask(Ask::new(format!("tcp://{}", full.address())).with("timeouts: {connect: 300ms}"))
        .await
        .failed("tcp.timed_out connect slow network yes")
        .evidence("budget", "phase")
        .evidence("accept_queue_full", true);
}

#[tokio::test]
async fn a_full_accept_queue_uses_up_the_total() {
    let full = FullBacklog::start().await.expect("a full queue");
    let said = check(&["--timeout", "400ms", &format!("http://{}/", full.address())]).await;
    said.one(1)
        .failed("tcp.timed_out connect slow network yes")
        .evidence("budget", "total");
}

#[tokio::test]
async fn reset_once_the_request_was_sent() {
    let server = tcp::start(Scripts::always(vec![Step::ReadHead, Step::Reset]))
        .await
        .expect("a port");
    ask(Ask::new(format!("http://{}/", server.address())))
        .await
        .failed("tcp.reset.after_accept first_byte fast remote yes")
        .evidence("errno", "ECONNRESET")
        .evidence("received_bytes", 0)
        .evidence("spoke_tls", false);
}

#[tokio::test]
async fn reset_in_the_middle_of_the_body() {
    let server = HttpServer::plain(Behaviour::ResetMidResponse { sent: 64 })
        .await
        .expect("a port");
    let found = ask_url(format!("http://{}/", server.address())).await;
    found
        .failed("tcp.reset.mid_response body fast remote idempotent_only")
        .evidence("errno", "ECONNRESET");
    assert!(found.number("received_bytes") >= 64.0);
}

#[tokio::test]
async fn reset_in_the_middle_of_the_head() {
    let script = vec![
        Step::ReadHead,
        Step::text("HTTP/1.1 200 OK\r\nContent-"),
        Step::Reset,
    ];
    let server = tcp::start(Scripts::always(script)).await.expect("a port");
    ask_url(format!("http://{}/", server.address()))
        .await
        .failed("tcp.reset.mid_response first_byte fast remote idempotent_only")
        .evidence("errno", "ECONNRESET");
}

#[tokio::test]
async fn a_request_that_is_not_idempotent_is_sent_once() {
    let server = HttpServer::plain(Behaviour::ResetMidResponse { sent: 10 })
        .await
        .expect("a port");
    let found = ask(Ask::new(format!("http://{}/", server.address()))
        .with("method: POST")
        .with("body: one")
        .with("retry: {attempts: 3}"))
    .await;
    found.failed("tcp.reset.mid_response body fast remote idempotent_only");
    assert_eq!(found.attempts().len(), 1);
    assert_eq!(found.attempts()[0]["retry"]["decision"], "not_idempotent");
    assert_eq!(server.server().requests(), 1);
}
