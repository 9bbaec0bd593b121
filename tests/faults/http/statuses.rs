//! Statuses of 400 and above.

use std::time::Duration;

use whyd::lab::http::Behaviour;

use super::{ask_of, plain, root};
use crate::ask::{Ask, Diagnosis, ask};
use crate::binary::check;

/// Asks a server that answers with that status and those headers.
async fn answered(status: u16, headers: &[(&str, &str)]) -> Diagnosis {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    ask_of(Behaviour::Status {
        status,
        headers: headers.iter().map(owned).collect(),
        body: b"in words".to_vec(),
    })
    .await
}

#[tokio::test]
async fn not_found_here_but_with_a_slash() {
    let server = plain(Behaviour::OnlyAt {
        path: "/health/".to_owned(),
    })
    .await;
    let asked = format!("http://{}/health", server.address());
    let found = ask(Ask::new(&asked)).await;
    found
        .failed("http.error.4xx first_byte fast config no")
        .evidence("status", 404)
        .evidence("answers_at", format!("{asked}/"))
        .confidence("confirmed")
        .fix(&format!("{asked}/"));
    assert_eq!(found.0["confirmations"][0]["kind"], "not_found_variants");
}

#[tokio::test]
async fn not_found_here_but_without_the_slash() {
    let server = plain(Behaviour::OnlyAt {
        path: "/health".to_owned(),
    })
    .await;
    let asked = format!("http://{}/health", server.address());
    ask(Ask::new(format!("{asked}/")))
        .await
        .failed("http.error.4xx first_byte fast config no")
        .evidence("answers_at", asked);
}

#[tokio::test]
async fn not_found_anywhere_said_by_the_binary() {
    let server = plain(Behaviour::status(404)).await;
    let url = format!("http://{}/a?token=hunter2", server.address());
    let said = check(&["--retries", "0", &url]).await;
    let found = said.one(1);
    found
        .failed("http.error.4xx first_byte fast config no")
        .evidence("status", 404)
        .confidence("observed");
    assert!(found.lacks("answers_at"), "{}", found.pretty());
    assert!(!found.pretty().contains("hunter2"), "the query stays ours");
    assert!(!said.errors.contains("hunter2"), "{}", said.errors);
}

#[tokio::test]
async fn no_second_look_where_none_is_allowed() {
    let server = plain(Behaviour::status(404)).await;
    let url = format!("http://{}/a", server.address());
    ask(Ask::new(url).with("confirm: \"off\""))
        .await
        .failed("http.error.4xx first_byte fast config no");
    assert_eq!(server.server().requests(), 1);
}

#[tokio::test]
async fn what_a_client_did_wrong() {
    for status in [400, 403, 405, 410, 451] {
        answered(status, &[])
            .await
            .failed("http.error.4xx first_byte fast config no")
            .evidence("status", status)
            .says("excerpt", "in words");
    }
    answered(401, &[("WWW-Authenticate", "Bearer realm=\"lab\"")])
        .await
        .failed("http.error.4xx first_byte fast config no")
        .says("authenticate", "Bearer")
        .fix("credentials");
}

#[tokio::test]
async fn too_many_requests() {
    ask_of(Behaviour::TooMany {
        retry_after: "7".to_owned(),
    })
    .await
    .failed("http.error.429 first_byte fast config with_backoff")
    .evidence("retry_after", 7.0)
    .fix("7");
    let date = "Fri, 31 Dec 2100 23:59:59 GMT";
    ask_of(Behaviour::TooMany {
        retry_after: date.to_owned(),
    })
    .await
    .failed("http.error.429 first_byte fast config with_backoff")
    .says("retry_after", "2100-12-31T23:59:59");
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let server = plain(Behaviour::TooMany {
        retry_after: "600".to_owned(),
    })
    .await;
    let found = ask(Ask::new(root(&server)).with("retry: {attempts: 3}")).await;
    found.failed("http.error.429 first_byte fast config with_backoff");
    assert_eq!(server.server().requests(), 1, "ten minutes do not fit");
    assert_eq!(found.attempts()[0]["retry"]["decision"], "retry_after_too_long");
}

#[tokio::test]
async fn what_the_server_did_wrong() {
    for (status, id) in [
        (500, "500"),
        (501, "5xx"),
        (502, "502"),
        (503, "503"),
        (504, "504"),
        (507, "5xx"),
    ] {
        answered(status, &[("Via", "1.1 edge")])
            .await
            .failed(&format!("http.error.{id} first_byte fast remote with_backoff"))
            .evidence("status", status)
            .evidence("server", "whyd-lab")
            .evidence("via", "1.1 edge");
    }
}

#[tokio::test]
async fn a_gateway_says_what_its_upstream_did() {
    let says = "edge; error=connection_timeout; details=\"no SYN-ACK\"";
    for (status, id) in [(502, "502"), (504, "504")] {
        answered(status, &[("Proxy-Status", says)])
            .await
            .failed(&format!("http.error.{id} first_byte fast remote with_backoff"))
            .evidence("proxy_status", says);
    }
    answered(503, &[("Retry-After", "120")])
        .await
        .failed("http.error.503 first_byte fast remote with_backoff")
        .evidence("retry_after", 120.0)
        .fix("120");
}

#[tokio::test]
async fn a_server_error_that_takes_long_is_slow() {
    let bytes = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let script = vec![
        whyd::lab::tcp::Step::ReadHead,
        whyd::lab::tcp::Step::Wait(Duration::from_millis(200)),
        whyd::lab::tcp::Step::Write(bytes.to_vec()),
        whyd::lab::tcp::Step::Close,
    ];
    let server = whyd::lab::tcp::start(whyd::lab::tcp::Scripts::always(script))
        .await
        .expect("a port");
    ask(Ask::new(format!("http://{}/", server.address())).with("fast_below: 100ms"))
        .await
        .failed("http.error.503 first_byte slow remote with_backoff");
}

#[tokio::test]
async fn answered_after_a_retry() {
    let server = plain(Behaviour::FlakyThenOk {
        failures: 1,
        status: 503,
        successes: 1,
    })
    .await;
    let said = check(&["--retries", "2", &root(&server)]).await;
    let found = said.one(0);
    assert_eq!(found.verdict(), "retried_ok");
    assert_eq!(found.attempts().len(), 2);
    assert_eq!(found.attempts()[0]["failure"]["cause"], "http.error.503");
    assert!(found.attempts()[1]["failure"].is_null());
    assert_eq!(found.0["findings"][0]["id"], "retry.masked");
    assert_eq!(found.0["findings"][0]["evidence"]["causes"][0], "http.error.503");
    assert!(found.0["cause"].is_null(), "{}", found.pretty());
}
