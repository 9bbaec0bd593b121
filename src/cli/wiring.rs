//! Joins the commands with the rooms that do the work: command-line arguments in, plans and daemons out.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::args::{
    CheckArgs, ConnectionArgs, DemoArgs, Global, HttpVersionArg, LogFormat, PlaceArgs, RunArgs,
};
use super::demo;
use super::output::complain;
use crate::config::{self, Diagnostic, Overrides, ProcessEnvironment, TargetOptions};
use crate::daemon;
use crate::export::log;
use crate::model::failure::OperationRecord;
use crate::model::plan::Plan;
use crate::net::trust::{self, Trust};

/// The targets of the command line as a plan of one round.
pub struct Targets {
    pub plan: Plan,
    /// What was understood without being said, such as a scheme.
    pub notes: Vec<String>,
    /// Names of the plan's dependencies, in the order of the targets.
    pub order: Vec<Arc<str>>,
}

/// Reads the certificates that the command line names, so that a mistyped path is not first met when a handshake needs it.
///
/// # Errors
/// What is wrong with the first bad file, under its option's name.
pub fn check_certificates(args: &ConnectionArgs) -> Result<(), String> {
    Trust::with_files(&args.ca, true).map_err(|error| format!("--ca: {error}"))?;
    if let Some(path) = &args.client_cert {
        trust::certificates(path).map_err(|error| format!("--client-cert: {error}"))?;
    }
    if let Some(path) = &args.client_key {
        let read = std::fs::read(path);
        read.map_err(|error| format!("--client-key: {} cannot be read: {error}", path.display()))?;
    }
    Ok(())
}

/// Why nothing was asked.
pub struct Refused {
    /// The rendered diagnostics.
    pub text: String,
    /// The targets that are at fault: each with what is wrong with it and what to write instead.
    pub targets: Vec<(String, String, String)>,
}

/// The plan of one round that the arguments ask for.
///
/// # Errors
/// When an option or a target cannot be used.
pub fn plan_for_targets(args: &CheckArgs, data: Option<String>, color: bool) -> Result<Targets, Refused> {
    let path = |path: &std::path::PathBuf| path.to_string_lossy().into_owned();
    let options = TargetOptions {
        method: args.request.method.clone(),
        headers: args.request.headers.clone(),
        body: data,
        proxy: args.connection.proxy.clone(),
        ca: args.connection.ca.iter().map(path).collect(),
        client_cert: args.connection.client_cert.as_ref().map(path),
        client_key: args.connection.client_key.as_ref().map(path),
        crl: args.connection.crl.iter().map(path).collect(),
        aia: args.connection.aia,
        server_name: args.connection.server_name.clone(),
        resolvers: args.connection.resolvers.clone(),
        anchors: args.connection.anchors.clone(),
        ipv4: args.connection.ipv4,
        ipv6: args.connection.ipv6,
        starttls: args.connection.starttls,
        http_version: args.request.http.map(|version| match version {
            HttpVersionArg::Http1 => "1.1".to_owned(),
            HttpVersionArg::Http2 => "2".to_owned(),
        }),
        expect_status: args.request.expect_status.clone(),
        expect_cert_days: args.request.expect_cert_days,
        timeout: args.budget.timeout,
        attempt_timeout: args.budget.attempt_timeout,
        resolve_timeout: args.budget.resolve_timeout,
        connect_timeout: args.budget.connect_timeout,
        tls_timeout: args.budget.tls_timeout,
        first_byte_timeout: args.budget.first_byte_timeout,
        body_timeout: args.budget.body_timeout,
        retries: args.budget.retries,
        deep: args.deep,
        ..TargetOptions::default()
    };
    let made = config::plan_for_targets(&args.targets, &options, &ProcessEnvironment);
    let made = made.map_err(|diagnostics| refused(&diagnostics.0, &args.targets, color))?;
    Ok(Targets {
        plan: made.plan,
        notes: made.notes,
        order: made.order,
    })
}

fn refused(diagnostics: &[Diagnostic], targets: &[String], color: bool) -> Refused {
    let rendered: String = diagnostics
        .iter()
        .map(|diagnostic| diagnostic.render(color))
        .collect();
    let about = |target: &String| {
        let shown = config::shown_target(target);
        let wrong = diagnostics.iter().find(|diagnostic| diagnostic.key == shown)?;
        let fix = wrong
            .suggestion
            .clone()
            .unwrap_or_else(|| "correct the URL".to_owned());
        Some((shown, wrong.problem.clone(), fix))
    };
    Refused {
        text: rendered.trim_end().to_owned(),
        targets: targets.iter().filter_map(about).collect(),
    }
}

/// Asks every dependency once by the daemon's own loop and hands over each operation as it concludes. Ctrl-C ends it
/// early; what had not concluded by then is not handed over.
pub fn run_round(plan: Plan, global: &Global, on: impl FnMut(Arc<OperationRecord>)) -> Result<(), String> {
    let _logging = start_logging(global, "warn")?;
    in_runtime(async {
        // The handler is there before the first question goes out, so that no interrupt comes too early for it.
        // Without one, the signal's default ends the process, which will do.
        let handler = signal(SignalKind::interrupt());
        let interrupted = async {
            match handler {
                Ok(mut handler) => drop(handler.recv().await),
                Err(_) => std::future::pending().await,
            }
        };
        daemon::run_once(plan, interrupted, on)
            .await
            .map_err(|error| error.to_string())
    })?
}

pub fn run_daemon(args: &RunArgs, global: &Global) -> ExitCode {
    // SAFETY: the arguments were read by the process's only thread, and no other has been started yet.
    let handover = match unsafe { daemon::take_over() } {
        Ok(handover) => handover,
        Err(error) => {
            complain(&error.to_string());
            return super::BAD_CONFIG.into();
        }
    };
    let options = daemon::ServiceOptions {
        config: args.config.clone(),
        listen: args.listen,
        state_dir: args.state_dir.as_deref().map(state_directory),
        overrides: Overrides {
            elsewhere: false,
            ..overrides(&args.place)
        },
        watch_config: args.watch_config,
    };
    let ran = start_logging(global, "info").map(|_logging| daemon::run(options, handover));
    ran.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::FAILURE
    })
}

/// systemd gives several directories, separated by colons, where a unit has several (systemd.exec(5)): ours is the first.
/// A directory that was named on the command line may have a colon in its name.
pub fn state_directory(given: &Path) -> PathBuf {
    let from_environment = std::env::var_os("STATE_DIRECTORY");
    match given.to_str().and_then(|text| text.split_once(':')) {
        Some((first, _)) if from_environment.as_deref() == Some(given.as_os_str()) => first.into(),
        _ => given.to_owned(),
    }
}

pub fn run_demo(args: &DemoArgs, global: &Global) -> ExitCode {
    let options = demo::DemoOptions { for_: args.for_ };
    let ran = start_logging(global, "error").and_then(|_logging| in_runtime(demo::run(options)));
    match ran {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// What the command line says of a replica's place; this machine need not be a replica.
pub fn overrides(args: &PlaceArgs) -> Overrides {
    Overrides {
        shard: args.shard,
        location: args.location.clone(),
        elsewhere: true,
        whole: false,
    }
}

/// A configuration that is good, with its rendered warnings.
pub struct Loaded {
    pub plan: Plan,
    /// Makes dependencies of what is found.
    pub finder: config::Finder,
    pub warnings: Vec<String>,
}

/// `Err` is the rendered diagnostics.
pub fn load(path: &Path, overrides: &Overrides, color: bool) -> Result<Loaded, String> {
    let loaded = config::load_as(path, &ProcessEnvironment, overrides);
    let loaded = loaded.map_err(|diagnostics| diagnostics.render(color))?;
    let warnings = loaded
        .warnings
        .iter()
        .map(|warning| warning.render(color))
        .collect();
    Ok(Loaded {
        plan: loaded.plan,
        finder: loaded.finder,
        warnings,
    })
}

/// The effective configuration as YAML. `Err` is the rendered diagnostics.
pub fn dump(path: &Path, overrides: &Overrides, color: bool) -> Result<String, String> {
    config::dump_as(path, &ProcessEnvironment, overrides).map_err(|diagnostics| diagnostics.render(color))
}

pub fn schema() -> serde_json::Value {
    config::schema()
}

pub fn start_logging(global: &Global, default_level: &str) -> Result<log::Logging, String> {
    let format = match global.log_format {
        Some(LogFormat::Text) => log::LogFormat::Text,
        Some(LogFormat::Json) => log::LogFormat::Json,
        Some(LogFormat::Journald) => log::LogFormat::Journald,
        None if log::stderr_is_the_journal() => log::LogFormat::Journald,
        None => log::LogFormat::Text,
    };
    let level = global.log_level.as_deref().unwrap_or(default_level);
    log::init_logging(format, level).map_err(|error| error.to_string())
}

pub fn in_runtime<F: Future>(work: F) -> Result<F::Output, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime cannot start: {error}"))?;
    let done = runtime.block_on(work);
    // The system's resolver may hold a thread for many seconds more, and nobody waits for its answer.
    runtime.shutdown_background();
    Ok(done)
}
