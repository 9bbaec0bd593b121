//! `/api/v1/discovery`: how the sources do, and what of what they found is not watched.

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::report::json as report;

use super::Web;

/// Every source, and everything that is to be said of what they found.
pub async fn discovery(State(web): State<Web>) -> Response {
    axum::Json(report::discovery(&web.process.discovery())).into_response()
}
