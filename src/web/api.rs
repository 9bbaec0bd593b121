//! `/api/v1/dependencies`: how each dependency stands, and everything about one of them.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::dependency::DependencyIndex;
use crate::model::failure::State as Standing;
use crate::net::reader::Stopped;
use crate::report::json as report;

use super::{Web, problem, stopped};

/// Dependencies in one answer unless `limit` says otherwise, and the most that it may say.
pub const LIMIT: (usize, usize) = (256, 1000);

/// What may be asked of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    state: Option<StateFilter>,
    limit: Option<usize>,
    /// `next_cursor` of the answer before.
    cursor: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateFilter {
    Unknown,
    Up,
    Failing,
}

impl StateFilter {
    const fn admits(self, state: &Standing) -> bool {
        matches!(
            (self, state),
            (StateFilter::Unknown, Standing::Unknown)
                | (StateFilter::Up, Standing::Up { .. })
                | (StateFilter::Failing, Standing::Failing { .. })
        )
    }
}

/// The dependencies, a page at a time.
pub async fn list(State(web): State<Web>, query: Result<Query<ListQuery>, QueryRejection>) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    let limit = query.limit.unwrap_or(LIMIT.0);
    if limit == 0 || limit > LIMIT.1 {
        let message = format!("limit is a number from 1 to {}", LIMIT.1);
        return problem(StatusCode::BAD_REQUEST, &message);
    }
    match gather(&web, &query, limit).await {
        Ok((dependencies, next)) => {
            axum::Json(json!({ "dependencies": dependencies, "next_cursor": next })).into_response()
        }
        Err(Stopped) => stopped(),
    }
}

/// At most `limit` dependencies that the query admits, and where the next answer begins.
async fn gather(web: &Web, query: &ListQuery, limit: usize) -> Result<(Vec<Value>, Option<u32>), Stopped> {
    let discovery = web.process.discovery();
    let mut found = Vec::new();
    let mut from = DependencyIndex(query.cursor.unwrap_or(0));
    loop {
        let page = web.reader.page(from, crate::export::snapshot::PAGE).await?;
        for view in &page.dependencies {
            if query.state.is_some_and(|filter| !filter.admits(&view.state)) {
                continue;
            }
            if found.len() == limit {
                return Ok((found, Some(view.index.0)));
            }
            let mut row = report::dependency(view);
            row["source"] = report::origin(discovery.origins.get(&view.dependency.name));
            found.push(row);
        }
        match page.next {
            Some(next) => from = next,
            None => return Ok((found, None)),
        }
    }
}

/// What may be asked of one dependency.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetailQuery {
    /// Most operations in each of its lists.
    limit: Option<usize>,
}

/// One dependency with its host, its findings and its last operations.
pub async fn one(
    State(web): State<Web>,
    Path(name): Path<String>,
    query: Result<Query<DetailQuery>, QueryRejection>,
) -> Response {
    let limit = match query {
        Ok(Query(query)) => query.limit.unwrap_or(usize::MAX),
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    match web.reader.detail(&name).await {
        Ok(Some(detail)) => {
            let discovery = web.process.discovery();
            let mut shown = report::detail(&detail, limit);
            shown["source"] = report::origin(discovery.origins.get(&detail.view.dependency.name));
            axum::Json(shown).into_response()
        }
        Ok(None) => problem(StatusCode::NOT_FOUND, "there is no dependency of that name"),
        Err(Stopped) => stopped(),
    }
}

/// Whether we see, what the anchors say, and when we did not see.
pub async fn vantage(State(web): State<Web>) -> Response {
    match web.reader.engine().await {
        Ok(engine) => axum::Json(report::vantage(&engine.vantage, &engine.headroom)).into_response(),
        Err(Stopped) => stopped(),
    }
}
