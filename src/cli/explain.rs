//! `whyd explain`: what a cause means, and what cause somebody else's error text speaks of.

use std::io::{self, Read};
use std::process::ExitCode;

use super::args::{ExplainArgs, Global, OutputFormat};
use super::output::{Output, stdout_style};
use super::usage_error;
use crate::clients;
use crate::model::cause::Cause;
use crate::report::causes;

mod foreign;

/// Bytes of standard input that are read: more than is looked at (`clients::explain` cuts in the middle).
const MAX_INPUT: u64 = 16 * 1024 * 1024;
/// Exit status where nothing in the text was recognised.
const NOT_RECOGNISED: u8 = 1;

pub fn run(args: &ExplainArgs, global: &Global) -> ExitCode {
    if let Some(error) = &args.error {
        return explain_error(error, args.output, global);
    }
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

/// `text` is the error itself, or `-` for standard input.
fn explain_error(text: &str, format: OutputFormat, global: &Global) -> ExitCode {
    let read;
    let text = match text {
        "-" => match standard_input() {
            Ok(input) => {
                read = input;
                read.as_str()
            }
            Err(error) => return usage_error(&format!("cannot read standard input: {error}")),
        },
        text => text,
    };
    if text.trim().is_empty() {
        return usage_error("there is no error text to explain");
    }
    let explanation = clients::explain(text);
    let shown = match format {
        OutputFormat::Json => foreign::json(&explanation),
        OutputFormat::Human => foreign::human(&explanation, &stdout_style(global.color)),
    };
    let mut output = Output::stdout();
    output.write(&shown);
    output.exit(match explanation.is_recognised() {
        true => 0,
        false => NOT_RECOGNISED,
    })
}

/// A log may hold any bytes; what is no UTF-8 is replaced.
fn standard_input() -> io::Result<String> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(MAX_INPUT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unknown(id: &str) -> String {
    // Not shown again: an error text that was given in the place of an id may hold secrets.
    if id.contains(char::is_whitespace) {
        return "this is no cause's id; an error text is explained by `whyd explain --error 'TEXT'`"
            .to_owned();
    }
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
