//! `whyd silence`: nobody is told of some alerts for a while.

use std::process::ExitCode;

use serde_json::{Map, Value as Json, json};

use super::alerts_shown::print;
use super::api::{self, Trouble};
use super::args::{Global, SilenceAddArgs, SilenceArgs, SilenceCommand, SilenceEndArgs};
use super::output::{complain, say};
use crate::report::human::alerts as human;

pub fn run(args: &SilenceArgs, global: &Global) -> ExitCode {
    match &args.command {
        SilenceCommand::Add(add) => self::add(add, global),
        SilenceCommand::List(list) => {
            let asked = api::run(list, async |api| api.get(&["silences"], &[]).await);
            print(asked, list, global, |answer, style| {
                human::silences(
                    answer["silences"]
                        .as_array()
                        .map(Vec::as_slice)
                        .unwrap_or_default(),
                    style,
                )
            })
        }
        SilenceCommand::End(end) => self::end(end, global),
    }
}

fn add(args: &SilenceAddArgs, global: &Global) -> ExitCode {
    let asked =
        request(args).and_then(|body| api::run(&args.api, async |api| api.post(&["silences"], &body).await));
    if let Ok(answer) = &asked {
        for warning in answer["warnings"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
        {
            say(&format!("warning: {warning}"));
        }
    }
    print(asked, &args.api, global, |answer, style| {
        let lines = human::silence(&answer["silence"], style);
        format!("{}\n", lines.join("\n"))
    })
}

/// The daemon checks it; the words of the command line are its words.
fn request(args: &SilenceAddArgs) -> Result<Json, Trouble> {
    let user = || {
        ["USER", "LOGNAME"]
            .iter()
            .find_map(|name| std::env::var(name).ok())
    };
    let owner = args
        .owner
        .clone()
        .or_else(user)
        .filter(|owner| !owner.trim().is_empty());
    let Some(owner) = owner else {
        return Err(Trouble::Usage(
            "say who you are with --owner: USER is not set".to_owned(),
        ));
    };
    let mut body = Map::new();
    body.insert("matchers".to_owned(), json!(args.matchers));
    body.insert("owner".to_owned(), owner.into());
    body.insert("reason".to_owned(), args.reason.clone().into());
    for (key, value) in [("from", &args.from), ("until", &args.until), ("for", &args.for_)] {
        if let Some(value) = value {
            body.insert(key.to_owned(), value.clone().into());
        }
    }
    Ok(Json::Object(body))
}

fn end(args: &SilenceEndArgs, global: &Global) -> ExitCode {
    let mut refused = false;
    let asked = api::run(&args.api, async |api| {
        let mut ended = Vec::new();
        for id in &args.ids {
            match api.delete(&["silences", id]).await {
                Ok(_) => ended.push(id.clone()),
                // One that is over already keeps the others from nothing.
                Err(Trouble::NotDone(why)) => {
                    complain(&format!("{id}: {why}"));
                    refused = true;
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(json!({"ended": ended}))
    });
    let printed = print(asked, &args.api, global, |answer, _| {
        let ended = answer["ended"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str);
        ended.map(|id| format!("{id} is ended\n")).collect()
    });
    if refused { api::NOT_DONE.into() } else { printed }
}
