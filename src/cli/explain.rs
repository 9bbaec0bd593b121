//! `whyd explain`: what a cause means.

use std::process::ExitCode;

use super::args::{ExplainArgs, Global};
use super::output::{Output, stdout_style};
use super::usage_error;
use crate::model::cause::Cause;
use crate::report::causes;

pub fn run(args: &ExplainArgs, global: &Global) -> ExitCode {
    let style = stdout_style(global.color);
    let text = match &args.cause {
        None => causes::list(&style),
        Some(id) => match id.parse::<Cause>() {
            Ok(cause) => causes::explain(cause, &style),
            Err(()) => return usage_error(&unknown(id)),
        },
    };
    let mut output = Output::stdout();
    output.write(&text);
    output.exit(0)
}

fn unknown(id: &str) -> String {
    let mut text = format!("there is no cause {id:?}");
    let near = causes::suggestions(id);
    if near.is_empty() {
        text.push_str("; `whyd explain` lists all of them");
    } else {
        text.push_str(", did you mean:");
        for cause in near {
            text.push_str(&format!("\n  {cause}"));
        }
    }
    text
}
