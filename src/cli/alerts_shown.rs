//! `whyd alerts` and `whyd incidents`: what a running daemon has raised, and why or why not.

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::api::{self, Api, Trouble};
use super::args::{ApiArgs, Global, OutputFormat, ShowAlertsArgs};
use super::output::{Output, stdout_style};
use crate::report::human::alerts as human;
use crate::report::style::Style;

/// Alerts asked for at a time.
const PAGE: &str = "1000";

pub fn alerts(args: &ShowAlertsArgs, global: &Global) -> ExitCode {
    let one = args
        .dependency
        .clone()
        .or_else(|| args.monitor.then(|| "whyd".to_owned()));
    let asked = api::run(&args.api, async |api| match (&args.dependency, args.monitor) {
        (Some(name), _) => api.get(&["alerts"], &[("dependency", name)]).await,
        (None, true) => api.get(&["alerts"], &[("monitor", "true")]).await,
        (None, false) => all(&api).await,
    });
    print(asked, &args.api, global, |answer, style| {
        let list = answer["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
        match &one {
            Some(subject) => human::why(subject, list, style),
            None => human::alerts(list, style),
        }
    })
}

/// All that is not quiet, in the form of one answer.
async fn all(api: &Arc<Api>) -> Result<Json, Trouble> {
    let mut list = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", PAGE)];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let mut answer = api.get(&["alerts"], &query).await?;
        if let Json::Array(more) = answer["alerts"].take() {
            list.extend(more);
        }
        cursor = answer["next_cursor"].as_u64().map(|next| next.to_string());
        if cursor.is_none() {
            let version = answer["schema_version"].take();
            return Ok(json!({"schema_version": version, "alerts": list, "next_cursor": null}));
        }
    }
}

pub fn incidents(args: &ApiArgs, global: &Global) -> ExitCode {
    let asked = api::run(args, async |api| api.get(&["incidents"], &[]).await);
    print(asked, args, global, |answer, style| {
        human::incidents(
            answer["incidents"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default(),
            style,
        )
    })
}

/// Prints an answer as it is, or as that function lays it out.
pub fn print(
    asked: Result<Json, Trouble>,
    args: &ApiArgs,
    global: &Global,
    human: impl FnOnce(&Json, &Style) -> String,
) -> ExitCode {
    let answer = match asked {
        Ok(answer) => answer,
        Err(trouble) => return trouble.exit(),
    };
    let mut output = Output::stdout();
    output.write(&match args.output {
        OutputFormat::Json => format!("{answer}\n"),
        OutputFormat::Human => human(&answer, &stdout_style(global.color)),
    });
    output.exit(0)
}
