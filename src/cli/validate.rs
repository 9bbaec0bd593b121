//! `whyd validate`: is this configuration good?

use std::path::Path;
use std::process::ExitCode;

use super::args::{Global, ValidateArgs};
use super::discovery;
use super::output::{Output, say, stderr_color};
use super::{BAD_CONFIG, wiring};
use crate::model::plan::Plan;
use crate::report::units::{dependencies_on_hosts, share_of};

pub fn run(args: &ValidateArgs, global: &Global) -> ExitCode {
    let color = stderr_color(global.color);
    let overrides = wiring::overrides(&args.place);
    let loaded = match wiring::load(&args.path, &overrides, color) {
        Ok(_) if args.quiet => return ExitCode::SUCCESS,
        Err(_) if args.quiet => return BAD_CONFIG.into(),
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            say(diagnostics.trim_end());
            return BAD_CONFIG.into();
        }
    };
    for warning in &loaded.warnings {
        say(warning.trim_end());
    }
    let found = discovery::look(&loaded.plan, loaded.finder);
    for remark in &found.remarks {
        say(remark);
    }
    let text = if args.dump {
        match wiring::dump(&args.path, &overrides, color) {
            Ok(text) => text,
            Err(diagnostics) => {
                say(diagnostics.trim_end());
                return BAD_CONFIG.into();
            }
        }
    } else {
        format!("{}\n{}", good(&args.path, &loaded.plan), found.told)
    };
    let mut output = Output::stdout();
    output.write(&text);
    output.exit(0)
}

fn good(path: &Path, plan: &Plan) -> String {
    let mut hosts: Vec<_> = plan
        .dependencies
        .iter()
        .map(|dependency| &dependency.host)
        .collect();
    hosts.sort();
    hosts.dedup();
    let mut text = format!(
        "{} is good: {}",
        path.display(),
        dependencies_on_hosts(plan.dependencies.len(), hosts.len())
    );
    if let Some(scale_out) = &plan.scale_out {
        text.push_str(&format!("; {}", share_of(scale_out, plan.dependencies.len())));
    }
    text
}
