//! `/api/v1/alerts`, `/api/v1/incidents` and `/api/v1/receivers`: what is raised, why or why not, and who was told.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::export::snapshot::PAGE;
use crate::model::alert::{AlertState, AlertView, Severity};
use crate::net::reader::Stopped;
use crate::report::json as report;

use super::api::LIMIT;
use super::{Web, problem, stopped};

/// What may be asked of the alerts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertsQuery {
    /// Every rule for that dependency and its host, those too that are quiet.
    dependency: Option<String>,
    /// Every rule about the monitor.
    #[serde(default)]
    monitor: bool,
    state: Option<StateFilter>,
    severity: Option<SeverityFilter>,
    limit: Option<usize>,
    /// `next_cursor` of the answer before.
    cursor: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateFilter {
    Quiet,
    Pending,
    Firing,
    Recovering,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SeverityFilter {
    Info,
    Warning,
    Critical,
}

impl AlertsQuery {
    fn admits(&self, view: &AlertView) -> bool {
        let state = match view.state {
            AlertState::Quiet => StateFilter::Quiet,
            AlertState::Pending { .. } => StateFilter::Pending,
            AlertState::Firing { .. } => StateFilter::Firing,
            AlertState::Recovering { .. } => StateFilter::Recovering,
        };
        let severity = match view.severity {
            Severity::Info => SeverityFilter::Info,
            Severity::Warning => SeverityFilter::Warning,
            Severity::Critical => SeverityFilter::Critical,
        };
        self.state.is_none_or(|wanted| wanted == state)
            && self.severity.is_none_or(|wanted| wanted == severity)
    }

    /// Why it cannot be answered.
    fn contradiction(&self) -> Option<String> {
        let one = self.dependency.is_some() || self.monitor;
        let limit = self.limit.unwrap_or(LIMIT.0);
        if self.dependency.is_some() && self.monitor {
            Some("ask for a dependency or for the monitor, not for both".to_owned())
        } else if one && (self.limit.is_some() || self.cursor.is_some()) {
            Some("the rules for one dependency or for the monitor come in one answer: leave out limit and cursor".to_owned())
        } else if !one && self.state == Some(StateFilter::Quiet) {
            Some("quiet ones are listed for one dependency (dependency=NAME) or for the monitor (monitor=true)".to_owned())
        } else if limit == 0 || limit > LIMIT.1 {
            Some(format!("limit is a number from 1 to {}", LIMIT.1))
        } else {
            None
        }
    }
}

/// The alerts that are not quiet, a page at a time; or every rule for one dependency or for the monitor.
pub async fn alerts(State(web): State<Web>, query: Result<Query<AlertsQuery>, QueryRejection>) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    if let Some(why) = query.contradiction() {
        return problem(StatusCode::BAD_REQUEST, &why);
    }
    let found = if query.monitor || query.dependency.is_some() {
        match web.reader.why(query.dependency.as_deref()).await {
            Ok(Some(views)) => {
                let views = views.iter().filter(|view| query.admits(view));
                Ok((views.map(report::alert).collect(), None))
            }
            Ok(None) => return problem(StatusCode::NOT_FOUND, "there is no dependency of that name"),
            Err(stopped) => Err(stopped),
        }
    } else {
        gather(&web, &query).await
    };
    match found {
        Ok((alerts, next)) => axum::Json(json!({
            "schema_version": report::SCHEMA_VERSION,
            "alerts": alerts,
            "next_cursor": next,
        }))
        .into_response(),
        Err(Stopped) => stopped(),
    }
}

/// At most as many alerts as the query wants of those that it admits, and where the next answer begins.
async fn gather(web: &Web, query: &AlertsQuery) -> Result<(Vec<Value>, Option<usize>), Stopped> {
    let limit = query.limit.unwrap_or(LIMIT.0);
    let mut found = Vec::new();
    let mut from = query.cursor.unwrap_or(0);
    loop {
        let page = web.reader.alerts(from, PAGE).await?;
        for (place, view) in (from..).zip(&page.alerts) {
            if !query.admits(view) {
                continue;
            }
            if found.len() == limit {
                return Ok((found, Some(place)));
            }
            found.push(report::alert(view));
        }
        match page.next {
            Some(next) => from = next,
            None => return Ok((found, None)),
        }
    }
}

/// Incidents that are open: who is in them, and who was told when.
pub async fn incidents(State(web): State<Web>) -> Response {
    match web.reader.incidents().await {
        Ok(views) => list("incidents", views.iter().map(report::incident)),
        Err(Stopped) => stopped(),
    }
}

/// How the receivers do.
pub async fn receivers(State(web): State<Web>) -> Response {
    match web.reader.receivers().await {
        Ok(views) => list("receivers", views.iter().map(report::receiver)),
        Err(Stopped) => stopped(),
    }
}

/// A whole list under its name.
pub fn list(name: &str, items: impl Iterator<Item = Value>) -> Response {
    let items: Value = items.collect();
    axum::Json(json!({ "schema_version": report::SCHEMA_VERSION, name: items })).into_response()
}
