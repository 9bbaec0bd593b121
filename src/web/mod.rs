//! The one listener: metrics, the API, health and reload.
//!
//! Our own accept loop bounds what any client may take: connections, header size and time, no request bodies but a small
//! one of a silence.

mod access;
mod alerts;
mod api;
mod discovery;
mod health;
mod metrics;
mod server;
mod silence_request;
mod silences;
mod status;
mod tls;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::export::process::ProcessFigures;
use crate::model::plan::ListenAuth;
use crate::net::reader::Reader;

pub use server::Server;

/// What the listener serves from.
#[derive(Clone, Debug)]
pub struct Web {
    pub reader: Reader,
    pub process: Arc<ProcessFigures>,
    /// Where a request to reload goes; `None` where there is nothing to reload.
    pub reload: Option<mpsc::Sender<ReloadRequest>>,
}

/// A request to read the configuration again. The answer is a word on what was done, or the diagnostics.
#[derive(Debug)]
pub struct ReloadRequest {
    pub reply: oneshot::Sender<Result<String, String>>,
}

/// All routes, behind authentication where it is asked for.
fn router(web: Web, auth: Option<ListenAuth>) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/dependencies", get(api::list))
        .route("/api/v1/dependencies/{name}", get(api::one))
        .route("/api/v1/discovery", get(discovery::discovery))
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/vantage", get(api::vantage))
        .route("/api/v1/alerts", get(alerts::alerts))
        .route("/api/v1/incidents", get(alerts::incidents))
        .route("/api/v1/receivers", get(alerts::receivers))
        .route(access::SILENCES, get(silences::silences).post(silences::add))
        .route("/api/v1/silences/{id}", delete(silences::end))
        .route("/-/reload", post(health::reload))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(
            access::Open(auth.is_none()),
            access::not_from_another_site,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::new(access::Guard::new(auth)),
            access::authenticate,
        ));
    // Whoever restarts a process that hangs, or waits for one that starts, must not need its password: a kubelet has none.
    Router::new()
        .route("/-/healthy", get(health::healthy))
        .route("/-/ready", get(health::ready))
        .method_not_allowed_fallback(wrong_method)
        .merge(guarded)
        .layer(middleware::from_fn(access::without_body))
        .with_state(web)
}

async fn not_found(uri: Uri) -> Response {
    problem(
        StatusCode::NOT_FOUND,
        &format!("there is nothing at {}", uri.path()),
    )
}

async fn wrong_method(uri: Uri) -> Response {
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        &format!("{} is not asked for in this way", uri.path()),
    )
}

/// A refusal in the one form that all have.
fn problem(status: StatusCode, message: &str) -> Response {
    let mut headers = HeaderMap::new();
    if status == StatusCode::UNAUTHORIZED {
        headers.insert("www-authenticate", access::CHALLENGE);
    }
    (status, headers, axum::Json(json!({ "error": message }))).into_response()
}

/// The loop has ended: there is nothing to say any more.
fn stopped() -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "the engine has stopped")
}

#[cfg(test)]
mod tests;
