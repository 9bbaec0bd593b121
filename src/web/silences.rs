//! `/api/v1/silences`: whom nobody is told about, and the two things that a person may change while the daemon runs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::export::random;
use crate::model::page::EngineView;
use crate::model::silence::{Matcher, Silence, SilenceChange, SilenceView};
use crate::net::reader::Stopped;
use crate::net::wall;
use crate::report::json as report;

use super::alerts::list;
use super::silence_request::{self, Problem};
use super::{Web, problem, stopped};

/// Bytes of a silence, and how long it may take to arrive.
const BODY: (usize, Duration) = (32 * 1024, Duration::from_secs(10));
/// Silences at a time. People make dozens; what makes thousands is a script that has lost its way.
const MOST: usize = 1000;

/// Silences and maintenance windows that have not ended.
pub async fn silences(State(web): State<Web>) -> Response {
    match web.reader.silences().await {
        Ok(views) => list("silences", views.iter().map(report::silence)),
        Err(Stopped) => stopped(),
    }
}

/// Makes a silence: 201 and its id, or 400 and what is wrong with each key.
pub async fn add(State(web): State<Web>, request: Request) -> Response {
    if !is_json(request.headers()) {
        return problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a silence is sent as JSON, with Content-Type: application/json",
        );
    }
    let body = match timeout(BODY.1, to_bytes(request.into_body(), BODY.0)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let message = format!("a silence is no longer than {} bytes", BODY.0);
            return problem(StatusCode::PAYLOAD_TOO_LARGE, &message);
        }
        Err(_) => return problem(StatusCode::REQUEST_TIMEOUT, "the silence did not arrive in time"),
    };
    let now = wall::now();
    let wanted = match silence_request::read(&body, now) {
        Ok(wanted) => wanted,
        Err(problems) => return refused(&problems),
    };
    let silence = Silence {
        id: random::uuid().into(),
        matchers: wanted.matchers.into(),
        owner: wanted.owner.into(),
        reason: wanted.reason.into(),
        from: wanted.from,
        until: wanted.until,
        created: now,
    };
    make(&web, silence).await.unwrap_or_else(|Stopped| stopped())
}

async fn make(web: &Web, silence: Silence) -> Result<Response, Stopped> {
    if web
        .reader
        .silences()
        .await?
        .iter()
        .filter(|view| !view.configured)
        .count()
        >= MOST
    {
        let message = format!("there are {MOST} silences already: end some");
        return Ok(problem(StatusCode::CONFLICT, &message));
    }
    let mut warnings: Vec<String> = Vec::new();
    for matcher in silence.matchers.iter().filter(|matcher| !matcher.negated) {
        let is_name = &*matcher.label == "dependency" && !matcher.pattern.contains('*');
        if is_name && web.reader.detail(&matcher.pattern).await?.is_none() {
            warnings.push(format!(
                "there is no dependency named {} at present",
                matcher.pattern
            ));
        }
    }
    warnings.extend(on_this_replica(&web.reader.engine().await?, &silence.matchers));
    let id = Arc::clone(&silence.id);
    tracing::info!(
        silence = &*id,
        owner = &*silence.owner,
        from = %silence.from,
        until = %silence.until,
        "silence {id} of {} until {}: {}",
        silence.owner,
        silence.until,
        silence.reason,
    );
    web.reader.change_silence(SilenceChange::Put(silence)).await?;
    let made = find(web, &id).await?;
    let answer = json!({
        "schema_version": report::SCHEMA_VERSION,
        "id": &*id,
        "silence": made.as_ref().map(report::silence),
        "warnings": warnings,
    });
    Ok((StatusCode::CREATED, axum::Json(answer)).into_response())
}

/// Where several replicas share the work: that none of the others knows of it, and which they are where names tell.
fn on_this_replica(engine: &EngineView, matchers: &[Matcher]) -> Option<String> {
    let share = engine.scale_out.as_ref()?.share;
    if share.replicas == 1 {
        return None;
    }
    let called = engine.place.iter().find(|(label, _)| *label == "replica");
    let called = called.map_or_else(String::new, |(_, name)| format!("{name}, "));
    let named = matchers
        .iter()
        .filter(|one| &*one.label == "dependency" && !one.negated && !one.pattern.contains('*'))
        .map(|one| {
            let holders = share.holders(&one.pattern).into_iter().collect::<BTreeSet<u32>>();
            let holders: Vec<String> = holders.iter().map(u32::to_string).collect();
            format!(" ({}: number {})", one.pattern, holders.join(" and "))
        });
    let named: String = named.collect();
    Some(format!(
        "this silence is on this replica only ({called}number {} of {} from 0), and the others tell as before: put it on every \
         replica that watches what it names{named}, or silence in Alertmanager. A maintenance window of the configuration holds on all",
        share.replica, share.replicas,
    ))
}

/// Ends a silence.
pub async fn end(State(web): State<Web>, Path(id): Path<String>) -> Response {
    end_one(&web, &id).await.unwrap_or_else(|Stopped| stopped())
}

async fn end_one(web: &Web, id: &str) -> Result<Response, Stopped> {
    match find(web, id).await? {
        None => Ok(problem(StatusCode::NOT_FOUND, "there is no silence of that id")),
        Some(view) if view.configured => Ok(problem(
            StatusCode::CONFLICT,
            "this is a maintenance window of the configuration: it ends by its schedule, or by a reload without it",
        )),
        Some(view) => {
            let id = view.silence.id;
            tracing::info!(silence = &*id, "silence {id} of {} is ended", view.silence.owner);
            web.reader
                .change_silence(SilenceChange::End { id: Arc::clone(&id) })
                .await?;
            let answer = json!({"schema_version": report::SCHEMA_VERSION, "id": &*id, "status": "ended"});
            Ok(axum::Json(answer).into_response())
        }
    }
}

async fn find(web: &Web, id: &str) -> Result<Option<SilenceView>, Stopped> {
    let all = web.reader.silences().await?;
    Ok(all.into_iter().find(|view| *view.silence.id == *id))
}

fn refused(problems: &[Problem]) -> Response {
    let shown: Vec<String> = problems.iter().map(Problem::to_string).collect();
    let listed = problems.iter();
    let listed: Value = listed
        .map(|one| json!({"key": one.key, "problem": one.problem}))
        .collect();
    let answer = json!({"error": shown.join("; "), "problems": listed});
    (StatusCode::BAD_REQUEST, axum::Json(answer)).into_response()
}

/// A form of another site cannot send this type without asking first (a preflight request), which nobody here answers.
fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = given
        .and_then(|given| given.split(';').next())
        .unwrap_or_default();
    media.trim().eq_ignore_ascii_case("application/json")
}
