//! `/api/v1/status`: which whyd this is, what it watches, and its part where several share the work.

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::export::process::VERSION;
use crate::net::reader::Stopped;
use crate::report::json as report;

use super::{Web, stopped};

/// The daemon about itself.
pub async fn status(State(web): State<Web>) -> Response {
    match web.reader.engine().await {
        Ok(engine) => axum::Json(report::status(VERSION, &engine)).into_response(),
        Err(Stopped) => stopped(),
    }
}
