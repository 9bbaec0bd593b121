//! gRPC's health service: every serving state, every status, and those who answer for it and do not speak gRPC.

use std::time::Duration;

use whyd::lab::grpc::{self, GrpcBehaviour};
use whyd::lab::http::{Behaviour, HttpServer};
use whyd::lab::tcp::{self, Scripts, Step};
use whyd::lab::tls::TlsOptions;

use crate::ask::{Ask, Diagnosis, ask, ask_url};
use crate::identity::{Trust, server_tls};

async fn ask_of(behaviour: GrpcBehaviour) -> Diagnosis {
    let server = grpc::start(behaviour, None).await.expect("a port");
    ask(Ask::new(format!("grpc://{}/shop.Cart", server.address()))).await
}

#[tokio::test]
async fn a_service_that_serves() {
    let server = grpc::start(GrpcBehaviour::Health(1), None).await.expect("a port");
    ask(Ask::new(format!("grpc://{}/shop.Cart", server.address()))
        .with("headers: {x-tenant: main}")
        .with("timeouts: {first_byte: 2s}"))
    .await
    .healthy();
    let head = server.last_head().expect("a call");
    assert!(head.starts_with("POST /grpc.health.v1.Health/Check"), "{head}");
    for said in [
        r#""content-type": "application/grpc""#,
        r#""te": "trailers""#,
        r#""x-tenant": "main""#,
        r#""grpc-timeout": "2100m""#,
    ] {
        assert!(head.contains(said), "{said} in {head}");
    }
    ask_url(format!("grpc://{}", server.address())).await.healthy();
}

#[tokio::test]
async fn a_service_that_serves_with_tls() {
    let trust = Trust::new();
    let options = TlsOptions {
        alpn: &["h2"],
        ..TlsOptions::default()
    };
    let tls = server_tls(&trust.good(), options);
    let server = grpc::start(GrpcBehaviour::Health(1), Some(tls))
        .await
        .expect("a port");
    let url = format!("grpcs://{}/", server.address());
    ask(Ask::new(url.as_str()).with(trust.key())).await.healthy();
    ask(Ask::new(url.as_str()))
        .await
        .failed("tls.cert.authority_invalid.unknown_root tls fast config no");
    ask_url(format!("grpc://{}/", server.address()))
        .await
        .failed("http.protocol.error.tls_peer first_byte fast config no")
        .fix("grpcs://");
}

#[tokio::test]
async fn states_other_than_serving() {
    for (state, name) in [(0, "UNKNOWN"), (2, "NOT_SERVING"), (3, "SERVICE_UNKNOWN")] {
        ask_of(GrpcBehaviour::Health(state))
            .await
            .failed("grpc.not_serving verify fast remote with_backoff")
            .evidence("serving_status", name)
            .evidence("service", "shop.Cart");
    }
}

#[tokio::test]
async fn every_status_has_its_cause() {
    for (code, facts) in [
        (1, "grpc.cancelled"),
        (2, "grpc.unknown"),
        (3, "grpc.invalid_argument"),
        (4, "grpc.deadline_exceeded"),
        (5, "grpc.not_found"),
        (6, "grpc.already_exists"),
        (7, "grpc.permission_denied"),
        (8, "grpc.resource_exhausted"),
        (9, "grpc.failed_precondition"),
        (10, "grpc.aborted"),
        (11, "grpc.out_of_range"),
        (12, "grpc.unimplemented"),
        (13, "grpc.internal"),
        (14, "grpc.unavailable"),
        (15, "grpc.data_loss"),
        (16, "grpc.unauthenticated"),
    ] {
        let message = "no%20%1b[31mway".to_owned();
        let found = ask_of(GrpcBehaviour::TrailersOnly {
            code,
            message: message.clone(),
        })
        .await;
        assert_eq!(found.0["cause"], facts, "{}", found.pretty());
        found
            .evidence("grpc_status", code)
            .evidence("grpc_message", "no [31mway")
            .evidence("grpc_status_from", "trailers only");
        assert_eq!(found.0["phase"], "first_byte");
        let found = ask_of(GrpcBehaviour::Trailers { code, message }).await;
        assert_eq!(found.0["cause"], facts, "{}", found.pretty());
        assert_eq!(found.0["phase"], "body");
        found.evidence("grpc_status_from", "trailers");
    }
}

#[tokio::test]
async fn answers_without_a_grpc_status() {
    for (http, cause) in [
        (400, "grpc.internal"),
        (401, "grpc.unauthenticated"),
        (403, "grpc.permission_denied"),
        (404, "grpc.unimplemented"),
        (429, "grpc.unavailable"),
        (503, "grpc.unavailable"),
        (500, "grpc.unknown"),
        (200, "grpc.unknown"),
    ] {
        let found = ask_of(GrpcBehaviour::Http(http)).await;
        assert_eq!(found.0["cause"], cause, "{}", found.pretty());
        found
            .evidence("status", http)
            .evidence("grpc_status_from", "HTTP status")
            .fix("no gRPC status");
    }
    let found = ask_of(GrpcBehaviour::NoTrailers).await;
    assert_eq!(found.0["cause"], "grpc.unknown", "{}", found.pretty());
}

#[tokio::test]
async fn an_answer_that_is_no_health_answer() {
    for bytes in [vec![], vec![0, 0, 0, 0, 9, 8, 1], vec![1, 0, 0, 0, 2, 8, 1]] {
        ask_of(GrpcBehaviour::Message(bytes))
            .await
            .failed("grpc.internal verify fast remote idempotent_only");
    }
}

#[tokio::test]
async fn silence_is_the_time_that_ran_out() {
    let server = grpc::start(GrpcBehaviour::Silent, None).await.expect("a port");
    ask(Ask::new(format!("grpc://{}/", server.address())).with("timeouts: {first_byte: 300ms}"))
        .await
        .failed("http.timed_out.first_byte first_byte slow remote idempotent_only")
        .evidence("request_acknowledged", true);
}

#[tokio::test]
async fn peers_that_speak_otherwise() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let found = ask_url(format!("grpc://{}/", server.address())).await;
    assert_eq!(
        found.0["cause"],
        "http.protocol.error.version",
        "{}",
        found.pretty()
    );
    ask_url(format!("grpcs://{}/", server.address()))
        .await
        .failed("tls.protocol.error.plaintext_peer tls fast config no");
    let scripts = Scripts::always(vec![Step::ReadBytes(24), Step::Reset]);
    let server = tcp::start(scripts).await.expect("a port");
    ask_url(format!("grpc://{}/", server.address()))
        .await
        .failed("tcp.reset.after_accept first_byte fast remote yes");
}

#[tokio::test]
async fn a_connection_is_kept_and_used_again() {
    let server = grpc::start(GrpcBehaviour::Health(1), None).await.expect("a port");
    let plan = crate::ask::plan(&[
        Ask::new(format!("grpc://{}/", server.address())).with("keepalive: {reuse: true}")
    ]);
    let order = whyd::model::order::AttemptOrder {
        index: whyd::model::dependency::DependencyIndex(0),
        dependency: plan.dependencies[0].clone(),
        operation: whyd::model::order::OperationId(1),
        number: 1,
        leave_unheard: false,
        connection: whyd::model::order::Connection::Reuse,
        budget: Duration::from_secs(5),
        budget_of: whyd::model::attempt::Budget::Attempt,
    };
    let prober = whyd::probe::Prober::new();
    for reused in [false, true, true] {
        let attempt = prober.attempt(&order).await;
        assert!(attempt.stop().is_none(), "{attempt:?}");
        assert_eq!(attempt.hops[0].reused, reused);
    }
    assert_eq!(server.connections(), 1);
}
