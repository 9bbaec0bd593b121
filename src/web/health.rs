//! Whether the daemon lives, whether it is ready, and the request to read its configuration again.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::model::page::EngineView;

use super::{ReloadRequest, Web, problem};

/// A loop that does not answer within this time does not move.
const LOOP_ANSWERS: Duration = Duration::from_secs(2);
/// Longest wait for a reload.
const RELOAD: Duration = Duration::from_secs(60);

async fn engine(web: &Web) -> Result<EngineView, &'static str> {
    match timeout(LOOP_ANSWERS, web.reader.engine()).await {
        Ok(Ok(engine)) => Ok(engine),
        Ok(Err(_)) => Err("the engine has stopped"),
        Err(_) => Err("the engine does not answer"),
    }
}

/// 200 while the loop moves.
pub async fn healthy(State(web): State<Web>) -> Response {
    match engine(&web).await {
        Ok(_) => match web.process.state_trouble() {
            None => axum::Json(json!({ "status": "healthy" })).into_response(),
            // Probing does not depend on it, so that a restart would only lose what memory still has.
            Some(why) => {
                axum::Json(json!({ "status": "healthy", "state_not_written": &*why })).into_response()
            }
        },
        Err(why) => problem(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

/// 200 once the configuration is in force and every dependency was begun, which takes a minute at most where no cap holds it back. The exporters were started before the listener.
pub async fn ready(State(web): State<Web>) -> Response {
    let not_yet = |why| problem(StatusCode::SERVICE_UNAVAILABLE, why);
    if web.process.snapshot().reload.is_none() {
        return not_yet("no configuration is in force yet");
    }
    match engine(&web).await {
        Ok(engine) if engine.first_round_begun => axum::Json(json!({ "status": "ready" })).into_response(),
        Ok(_) => not_yet("the first round has not begun for every dependency"),
        Err(why) => not_yet(why),
    }
}

/// Reads the configuration again: 200 and what was done, or 500 and the diagnostics.
pub async fn reload(State(web): State<Web>) -> Response {
    let Some(requests) = &web.reload else {
        return problem(
            StatusCode::NOT_IMPLEMENTED,
            "there is no configuration file to read again",
        );
    };
    let (reply, outcome) = oneshot::channel();
    match requests.try_send(ReloadRequest { reply }) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => {
            return problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "other reloads are waiting already",
            );
        }
        Err(TrySendError::Closed(_)) => {
            return problem(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping");
        }
    }
    match timeout(RELOAD, outcome).await {
        Ok(Ok(Ok(done))) => axum::Json(json!({ "status": "reloaded", "message": done })).into_response(),
        Ok(Ok(Err(diagnostics))) => (StatusCode::INTERNAL_SERVER_ERROR, diagnostics).into_response(),
        Ok(Err(_)) => problem(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping"),
        Err(_) => problem(StatusCode::GATEWAY_TIMEOUT, "the reload did not end in time"),
    }
}
