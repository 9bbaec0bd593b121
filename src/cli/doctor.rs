//! `whyd doctor`: is this host fit for what the configuration asks of it?
//!
//! Each area has a file: it gathers facts, and judges them by a function that touches nothing. What has to be asked over the
//! network is asked by the daemon's own loop (`asked`), so that a collector or a nameserver fails here for the cause that
//! `whyd check` would name. Nothing is changed, and nothing is sent to receivers and collectors but handshakes.

mod asked;
mod clock;
mod endpoints;
mod finding;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod limits;
mod listener;
mod names;
mod network;
mod ping;
mod resources;
mod shown;
mod state;
mod surroundings;
mod system;
mod trust;

use std::process::ExitCode;

use super::args::{DoctorArgs, Global, OutputFormat};
use super::output::{Output, complain, say, stderr_color, stdout_style};
use super::{BAD_CONFIG, wiring};
use crate::config::Overrides;
use crate::model::plan::{DEFAULT_LISTEN, Listen, Plan};
use crate::report::units::{count, dependencies};
use asked::Question;
use finding::{Finding, Level};

/// At least one finding is a problem.
const PROBLEM: u8 = 1;

pub fn run(args: &DoctorArgs, global: &Global) -> ExitCode {
    let (plan, configuration) = match configuration(args, global) {
        Ok(found) => found,
        Err(finding) => (None, Some(*finding)),
    };
    let is_bad = configuration
        .as_ref()
        .is_some_and(|found| found.level == Level::Problem);
    let mut findings: Vec<Finding> = configuration.into_iter().collect();
    match examine(args, plan.as_ref(), global) {
        Ok(more) => findings.extend(more),
        Err(error) => {
            complain(&error);
            return ExitCode::FAILURE;
        }
    }
    let text = match args.output {
        OutputFormat::Json => shown::json(&findings),
        OutputFormat::Human => shown::human(&findings, &stdout_style(global.color)),
    };
    let mut output = Output::stdout();
    output.write(&text);
    output.exit(if is_bad {
        BAD_CONFIG
    } else if findings.iter().any(|found| found.level == Level::Problem) {
        PROBLEM
    } else {
        0
    })
}

/// The plan, and what there is to say of the configuration. Diagnostics go to standard error, as those of `validate` do.
fn configuration(
    args: &DoctorArgs,
    global: &Global,
) -> Result<(Option<Plan>, Option<Finding>), Box<Finding>> {
    let Some(path) = &args.config else {
        let text = "none was given, so that only what every configuration needs is looked at";
        let found = Finding::ok("configuration", text).fix("whyd doctor --config PATH");
        return Ok((None, Some(found)));
    };
    let subject = path.display().to_string();
    // What is wrong with this host does not depend on the replica.
    let anywhere = Overrides {
        elsewhere: true,
        ..Overrides::default()
    };
    let loaded = wiring::load(path, &anywhere, stderr_color(global.color)).map_err(|diagnostics| {
        say(diagnostics.trim_end());
        let found = Finding::problem("configuration", "is refused: what is wrong with it stands above");
        Box::new(found.on(&subject).fix(format!("whyd validate {subject}")))
    })?;
    let what = dependencies(loaded.plan.dependencies.len());
    let found = if loaded.warnings.is_empty() {
        Finding::ok("configuration", format!("is good: {what}"))
    } else {
        let warnings = count(loaded.warnings.len(), "warning");
        Finding::warning("configuration", format!("is good, with {warnings}: {what}"))
            .fix(format!("whyd validate {subject}"))
    };
    let mut plan = loaded.plan;
    if let Some(address) = args.listen {
        let listen = plan.listen.take();
        plan.listen = Some(Listen {
            address,
            tls: listen.as_ref().and_then(|listen| listen.tls.clone()),
            auth: listen.and_then(|listen| listen.auth),
        });
    }
    Ok((Some(plan), Some(found.on(&subject))))
}

/// Everything that can be looked at; what has to be asked is asked all at once.
fn examine(args: &DoctorArgs, plan: Option<&Plan>, global: &Global) -> Result<Vec<Finding>, String> {
    let _logging = wiring::start_logging(global, "error")?;
    let who = surroundings::Who::gather();
    let lookup = names::Facts::gather();
    let mut questions = names::questions(&lookup);
    let servers = questions.len();
    let unreadable = endpoints::questions(plan, &mut questions);
    let answers = asked::ask(&questions)?;
    let (of_servers, of_endpoints) = answers.split_at(servers.min(answers.len()));

    let listen = match plan {
        Some(plan) => plan
            .listen
            .as_ref()
            .map(|listen| (listen.address, listen.tls.is_some())),
        None => Some((args.listen.unwrap_or(DEFAULT_LISTEN), false)),
    };
    let listener = listener::Facts::gather(listen);
    let directory = args.state_dir.as_deref().map(wiring::state_directory);
    let state = state::Facts::gather(directory);
    let limits = limits::Facts::gather(state.held_by(), listener.of_ours());
    let mut findings = surroundings::judge(&who, &surroundings::Facts::gather(plan));
    #[cfg(feature = "kubernetes")]
    findings.extend(kubernetes::examine(plan)?);
    findings.extend(names::judge(&lookup, of_servers));
    findings.extend(network::judge(&network::Facts::gather()));
    findings.extend(limits::judge(&limits));
    findings.extend(resources::judge(&resources::Facts::gather(plan, &limits)));
    findings.extend(clock::judge(&clock::Facts::gather()));
    findings.extend(ping::judge(&ping::Facts::gather(plan, who.gid)));
    findings.extend(state::judge(&who, &state));
    findings.extend(trust::judge(&trust::Facts::gather(plan)));
    findings.extend(listener::judge(&listener));
    findings.extend(unreadable);
    let asked: &[Question] = questions.get(servers..).unwrap_or_default();
    findings.extend(endpoints::judge(asked, of_endpoints));
    Ok(findings)
}
