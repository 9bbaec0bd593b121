//! The command line. Each command is a file; `wiring` joins them with the rooms that do the work.

mod alerts;
mod alerts_shown;
mod api;
pub mod args;
mod check;
pub mod demo;
mod discovery;
mod doctor;
mod explain;
mod output;
pub mod reference;
mod rules;
mod silence;
mod validate;
mod wiring;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};

use args::{Cli, Command};
use output::{Output, complain};

/// The command line is wrong.
const USAGE: u8 = 2;
/// The configuration is bad (EX_CONFIG of sysexits.h).
const BAD_CONFIG: u8 = 78;

/// Runs the program with these arguments, the first of which is its name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = command()
        .try_get_matches_from(args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return not_a_command(&error),
    };
    let global = &cli.global;
    match &cli.command {
        Command::Check(check) => check::run(check, global),
        Command::Run(run) => wiring::run_daemon(run, global),
        Command::Validate(validate) => validate::run(validate, global),
        Command::Explain(explain) => explain::run(explain, global),
        Command::Alerts(alerts) => alerts::run(alerts, global),
        Command::Incidents(incidents) => alerts_shown::incidents(incidents, global),
        Command::Silence(silence) => silence::run(silence, global),
        Command::Rules(rules) => rules::run(rules),
        Command::Doctor(doctor) => doctor::run(doctor, global),
        Command::Schema => print(&reference::schema(&wiring::schema())),
        Command::Demo(demo) => wiring::run_demo(demo, global),
        Command::Completions(completions) => print(&reference::completions(completions.shell)),
        Command::Man => print(&reference::man_page()),
    }
}

/// Help and version go to standard output, a mistake to standard error.
fn not_a_command(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that has gone away needs no help.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        _ => {
            let _ = error.print();
            USAGE.into()
        }
    }
}

fn print(text: &str) -> ExitCode {
    let mut output = Output::stdout();
    output.write(text);
    output.exit(0)
}

/// A mistake on the command line that clap cannot see.
fn usage_error(text: &str) -> ExitCode {
    complain(text);
    USAGE.into()
}

/// The definition of the command line, laid out for 80 columns wherever it runs.
fn command() -> clap::Command {
    Cli::command().term_width(80)
}
