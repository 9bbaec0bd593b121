//! Connections that are kept between operations, and servers that end them.

use std::time::Duration;

use tokio::sync::mpsc;
use whyd::daemon::{Daemon, Options, Running};
use whyd::lab::Ending;
use whyd::lab::http::{Behaviour, HttpOptions, HttpServer, IdleClose};
use whyd::lab::tcp::{self, Scripts, Step};
use whyd::lab::tls::TlsOptions;
use whyd::model::event::Event;
use whyd::model::page::DependencyView;
use whyd::report::json;

use crate::ask::{Ask, Diagnosis, LIMIT, keep_example, plan};
use crate::identity::{Trust, server_tls, trusting};

/// A daemon that asks one dependency each second over a kept connection.
struct Watching {
    daemon: Running,
    concluded: mpsc::UnboundedReceiver<Diagnosis>,
}

impl Watching {
    async fn start(url: String) -> Watching {
        Watching::of(Ask::new(url)).await
    }

    async fn of(ask: Ask) -> Watching {
        let it = ask
            .with("interval: 1s")
            .with("keepalive: {reuse: true}")
            .with("retry: {attempts: 3, backoff: {initial: 10ms}}");
        let mut plan = plan(&[it]);
        plan.listen = None;
        let (tell, concluded) = mpsc::unbounded_channel();
        let listener = move |event: &Event| {
            if let Event::OperationFinished(record) = event {
                keep_example(record);
                // Whoever does not look any more wants to know nothing more.
                let _ = tell.send(Diagnosis(json::operation(record)));
            }
        };
        let options = Options {
            listener: Some(Box::new(listener)),
            ..Options::default()
        };
        let daemon = Daemon::start(plan, options).await.expect("a daemon");
        Watching { daemon, concluded }
    }

    async fn next(&mut self) -> Diagnosis {
        let next = tokio::time::timeout(LIMIT, self.concluded.recv()).await;
        next.expect("an operation each second").expect("the daemon lives")
    }

    async fn view(&self) -> DependencyView {
        let detail = self.daemon.reader().detail("it").await;
        detail.expect("the daemon lives").expect("the dependency").view
    }
}

fn root(address: std::net::SocketAddr) -> String {
    format!("http://{address}/")
}

#[tokio::test]
async fn a_kept_connection_is_used_again() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let mut watching = Watching::start(root(server.address())).await;
    watching.next().await.healthy();
    let second = watching.next().await;
    second.healthy();
    let hop = &second.attempts()[0]["hops"][0];
    assert_eq!(hop["reused"], true);
    assert!(
        hop["idle_before"].as_f64().is_some_and(|idle| idle > 0.0),
        "{hop}"
    );
    assert!(hop["phases"]["connect"].is_null(), "nothing was connected");
    assert_eq!(server.server().connections(), 1);
    assert_eq!(watching.view().await.keepalive_resets, [[0; 2]; 3]);
}

/// A server that ends idle connections long before the next operation.
async fn ending_idle(ending: Ending, kind: &str, row: usize) {
    let options = HttpOptions {
        idle: Some(IdleClose {
            after: Duration::from_millis(100),
            ending,
        }),
        ..HttpOptions::default()
    };
    let server = HttpServer::start(Behaviour::ok(), options).await.expect("a port");
    let mut watching = Watching::start(root(server.address())).await;
    watching.next().await.healthy();
    let second = watching.next().await;
    assert_eq!(second.verdict(), "ok", "{}", second.pretty());
    assert_eq!(second.attempts().len(), 1, "nothing was sent, nothing failed");
    let found = &second.attempts()[0]["stale_found"];
    assert_eq!(found["kind"], kind, "{}", second.pretty());
    let idle = found["idle"].as_f64().expect("a time");
    assert!((0.09..0.9).contains(&idle), "{idle}");
    let view = watching.view().await;
    assert_eq!(view.keepalive_resets[row], [1, 0], "seen before sending");
    let [ok, retried_ok, failed, _] = view.operations;
    assert_eq!((ok, retried_ok, failed), (2, 0, 0));
}

#[tokio::test]
async fn closed_while_idle() {
    ending_idle(Ending::Fin, "closed", 0).await;
}

#[tokio::test]
async fn reset_while_idle() {
    ending_idle(Ending::Reset, "reset", 1).await;
}

#[tokio::test]
async fn closed_while_idle_over_tls() {
    let trust = Trust::new();
    let tls = server_tls(&trust.good(), TlsOptions::default());
    let options = HttpOptions {
        tls: Some(tls),
        idle: Some(IdleClose {
            after: Duration::from_millis(100),
            ending: Ending::Fin,
        }),
        ..HttpOptions::default()
    };
    let server = HttpServer::start(Behaviour::ok(), options).await.expect("a port");
    let ask = trusting(&trust, &server);
    let mut watching = Watching::of(ask).await;
    watching.next().await.healthy();
    let second = watching.next().await;
    assert_eq!(second.verdict(), "ok", "{}", second.pretty());
    let found = &second.attempts()[0]["stale_found"];
    assert_eq!(found["kind"], "closed", "{}", second.pretty());
    assert_eq!(found["measured"], true);
    let hop = &second.attempts()[0]["hops"][0];
    assert_eq!((&hop["reused"], hop["tls"].is_object()), (&false.into(), true));
}

/// A server that takes the second request of its first connection and ends that instead of answering.
async fn ending_on_reuse(end: Step, facts: &str, row: usize) {
    let answer = || Step::text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let first = vec![Step::ReadHead, answer(), Step::ReadHead, end];
    let then = vec![Step::ReadHead, answer(), Step::WaitForClose];
    let server = tcp::start(Scripts::then_last(vec![first, then]))
        .await
        .expect("a port");
    let mut watching = Watching::start(root(server.address())).await;
    watching.next().await.healthy();
    let second = watching.next().await;
    assert_eq!(second.verdict(), "retried_ok", "{}", second.pretty());
    let [lost, answered] = second.attempts() else {
        panic!("two attempts: {}", second.pretty());
    };
    let failure = &lost["failure"];
    let text = |key: &str| failure[key].as_str().unwrap_or("-").to_owned();
    let found = ["cause", "phase", "speed", "confidence"].map(text).join(" ");
    assert_eq!(found, facts, "{}", second.pretty());
    assert_eq!(failure["evidence"]["reused"], true);
    assert_eq!(lost["retry"]["because"], "fresh_connection");
    assert_eq!(answered["hops"][0]["reused"], false);
    let view = watching.view().await;
    assert_eq!(view.keepalive_resets[row], [0, 1], "seen after sending");
}

#[tokio::test]
async fn closed_on_reuse() {
    ending_on_reuse(Step::Close, "tcp.closed.stale first_byte fast confirmed", 0).await;
}

#[tokio::test]
async fn reset_on_reuse() {
    ending_on_reuse(Step::Reset, "tcp.reset.stale first_byte fast confirmed", 1).await;
}
