//! Events as log lines: a state change is one line that names the cause in plain words; a healthy probe is not one.

mod alerts;
mod journal;
mod kinds;
mod lines;
mod service;
mod writer;

use std::fmt;
use std::io::IsTerminal as _;

use tracing::{Level, debug, enabled, info, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::model::cause::Cause;
use crate::model::dependency::Dependency;
use crate::model::event::{Event, VantageChange};
use crate::model::failure::{Failure, OperationRecord, State, Verdict};
use crate::model::headroom::{Resources, Scarce};
use crate::model::idle::{IdleLimit, IdleMeasurement, IdleUnknown};

use crate::net::wall::now as wall_now;
use crate::report::units::dependencies;

pub use journal::stderr_is_the_journal;
pub use kinds::catalogue;
pub use service::{complain, reload_refused, reloaded, started, stopping};
pub use writer::Logging;

use kinds::Kind;
use lines::Lines;

/// Where events are made whose sentence says what their fields say.
const ROOM: &str = module_path!();

/// Whether an event is one of this program's, whose fields have names of our choice.
fn is_ours(target: &str) -> bool {
    target.split("::").next() == Some(env!("CARGO_CRATE_NAME"))
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
    /// Entries of the journal, with fields. Where there is no journal: text with the priority in front that journald
    /// understands (sd-daemon(3)), and without a time: the journal has one.
    Journald,
}

/// Logging that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("{filter:?} is not a log filter: {source}")]
    Filter {
        filter: String,
        source: tracing_subscriber::filter::ParseError,
    },
    #[error("logging is set up already")]
    Twice,
    #[error("logging has no thread to write with: {0}")]
    Thread(std::io::Error),
}

/// Crates whose own chatter says little about what is watched: errors and warnings only, unless asked for by name. Those of
/// Kubernetes warn with whole answers of its API, and whoever asks by them says what is wrong.
const QUIET: &str = "hyper=warn,hyper_util=warn,h2=warn,tonic=warn,tower=warn,reqwest=warn,rustls=warn,hickory_proto=warn,\
                     hickory_resolver=warn,hickory_net=warn,opentelemetry=warn,opentelemetry_sdk=warn,opentelemetry-otlp=warn,\
                     kube_client=off,kube_runtime=off";

/// Sets up logging for the whole process: to the journal where that is asked for and there is one, else to standard error. `RUST_LOG`, where it is set, is taken in place of `level`;
/// both have the form of `tracing_subscriber::EnvFilter`'s directives. Lines are written by a thread of their own, and
/// the last of them while what is returned is dropped.
pub fn init_logging(format: LogFormat, level: &str) -> Result<Logging, LogError> {
    let filter = filter(std::env::var("RUST_LOG").ok().as_deref(), level)?;
    if format == LogFormat::Journald
        && let Ok(sink) = journal::Sink::open()
    {
        let lost = |count| journal::plain(priority(Level::WARN), &lost_words(count));
        let queue = writer::Queue::start(sink, lost).map_err(LogError::Thread)?;
        let done = tracing_subscriber::registry()
            .with(filter)
            .with(journal::Entries::new(queue.clone()))
            .try_init();
        return done.map(|()| Logging::new(queue)).map_err(|_| LogError::Twice);
    }
    let colours =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let lost: fn(u64) -> Vec<u8> = match format {
        LogFormat::Text => |count| format!("{} {}\n", wall_now(), lost_words(count)).into(),
        LogFormat::Json => |count| {
            format!(
                "{}\n",
                serde_json::json!({"level": "WARN", "message": lost_words(count)})
            )
            .into()
        },
        LogFormat::Journald => |count| format!("<{}>{}\n", priority(Level::WARN), lost_words(count)).into(),
    };
    let queue = writer::Queue::start(std::io::stderr(), lost).map_err(LogError::Thread)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(queue.clone());
    let done = match format {
        LogFormat::Text => builder
            .with_ansi(colours)
            .event_format(Lines { journald: false })
            .try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init(),
        LogFormat::Journald => builder
            .with_ansi(false)
            .event_format(Lines { journald: true })
            .try_init(),
    };
    done.map(|()| Logging::new(queue)).map_err(|_| LogError::Twice)
}

fn lost_words(count: u64) -> String {
    format!("{count} lines of this log are lost: they could not be written as fast as they came")
}

fn filter(environment: Option<&str>, level: &str) -> Result<EnvFilter, LogError> {
    let asked = environment
        .map(str::trim)
        .filter(|set| !set.is_empty())
        .unwrap_or(level);
    // What was asked for comes last: of two directives for one target, the later one holds.
    let directives = format!("{QUIET},{asked}");
    EnvFilter::builder()
        .parse(directives)
        .map_err(|source| LogError::Filter {
            filter: asked.to_owned(),
            source,
        })
}

const fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Writes what an event means, where it means something at the level in force.
pub fn log_event(event: &Event) {
    match event {
        Event::OperationFinished(record) => log_operation(record),
        Event::StateChanged { from, to, record } => log_change(from, to, record),
        Event::KeepaliveReset { dependency, stale } => debug!(
            dependency = &*dependency.name,
            kind = stale.kind.id(),
            address = %stale.address,
            idle = stale.idle.as_secs_f64(),
            "{} had closed a kept connection ({}) after {} idle; a fresh one is used",
            dependency.name,
            stale.kind.id(),
            Seconds(stale.idle),
        ),
        Event::IdleTimeoutMeasured {
            dependency,
            before,
            measurement,
        } => log_idle_timeout(dependency, before.as_ref(), measurement),
        Event::IdleTimeoutUnknown { dependency, why } => info!(
            dependency = &*dependency.name,
            host = %dependency.host,
            why = why.id(),
            "{}: the idle timeout of {} could not be measured: {}",
            dependency.name,
            dependency.host,
            idle_words(why),
        ),
        Event::BreakerChanged { dependency, from, to } => info!(
            dependency = &*dependency.name,
            from = from.id(),
            to = to.id(),
            "{}: {}",
            dependency.name,
            breaker_words(*to),
        ),
        Event::ProbesSkipped {
            dependency,
            count,
            reason,
        } => warn!(
            message_id = Kind::OperationsLeftOut.message_id(),
            dependency = &*dependency.name,
            count,
            reason = reason.id(),
            "{}: {count} scheduled operations left out ({})",
            dependency.name,
            skip_words(*reason),
        ),
        Event::PlanApplied {
            added,
            changed,
            removed,
            unchanged,
        } => info!(
            added,
            changed,
            removed,
            unchanged,
            "configuration in force: dependencies: {added} added, {changed} changed, {removed} removed, {unchanged} unchanged",
        ),
        Event::VantageChanged(change) => log_vantage(change),
        Event::HeadroomChanged { scarce, resources } => log_headroom(*scarce, *resources),
        Event::AlertChanged { change, view } => alerts::alert(*change, view, wall_now()),
        Event::Delivery(delivery) => alerts::delivery(delivery),
        Event::Drained => debug!("nothing is under way any more"),
    }
}

fn log_headroom(scarce: Option<Scarce>, resources: Option<Resources>) {
    let open_files = resources.map(|resources| resources.open_files);
    let open_files_limit = resources.map(|resources| resources.open_files_limit);
    let ports = resources.and_then(|resources| resources.ports);
    let Some(scarce) = scarce else {
        info!(
            message_id = Kind::ResourcesEnough.message_id(),
            open_files, open_files_limit, "enough descriptors and ports are left again: nothing is held back"
        );
        return;
    };
    let (words, cause) = match scarce {
        Scarce::OpenFiles => (
            "open files run short (raise LimitNOFILE or ulimit -n)",
            Cause::LocalFdExhaustedProcess,
        ),
        Scarce::Ports => (
            "local ports have run out (reuse connections, or widen ip_local_port_range)",
            Cause::LocalPortExhausted,
        ),
    };
    warn!(
        message_id = Kind::ResourcesLow.message_id(),
        cause = cause.id(),
        scarce = scarce.id(),
        open_files,
        open_files_limit,
        ports_in_use = ports.map(|ports| ports.in_use),
        port_range = ports.map(|ports| ports.range),
        "{words}: fewer operations run at once, no connection is kept and no second look is made",
    );
}

fn log_vantage(change: &VantageChange) {
    match change {
        VantageChange::Offline {
            because,
            since,
            anchors,
            silent,
            suspended,
        } => warn!(
            message_id = Kind::Offline.message_id(),
            cause = Cause::VantageOffline.id(),
            because = because.id(),
            since = %since,
            anchors,
            anchors_silent = silent,
            suspended,
            "we are offline: {}{}; no verdict is given about {} until we see again",
            because.words(),
            if *anchors > 0 {
                format!(" ({silent} of {anchors} anchors are silent)")
            } else {
                String::new()
            },
            dependencies(*suspended),
        ),
        VantageChange::Online { gap, suspended } => {
            let lasted = gap.to.unwrap_or(gap.from).seconds_since(gap.from).max(0);
            info!(
                message_id = Kind::Online.message_id(),
                cause = Cause::VantageOffline.id(),
                from = %gap.from,
                to = %gap.to.unwrap_or(gap.from),
                offline_for = lasted,
                suspended,
                "we see again after {}: verdicts are given again about {}",
                Lasted(lasted),
                dependencies(*suspended),
            );
        }
        VantageChange::AnchorsDiscredited { silent } => warn!(
            anchors_silent = silent,
            "{silent} anchors are silent while dependencies answer: until an anchor answers they do not count",
        ),
    }
}

fn log_change(from: &State, to: &State, record: &OperationRecord) {
    let name = &*record.dependency.name;
    match (to, &record.failure) {
        (State::Failing { .. }, Some(failure)) => log_failing(name, failure, record),
        (
            State::Failing {
                cause, phase, speed, ..
            },
            None,
        ) => warn!(
            message_id = Kind::DependencyFailing.message_id(),
            dependency = name,
            state = to.id(),
            cause = cause.id(),
            phase = phase.map(|phase| phase.id()),
            speed = speed.id(),
            "{name} is failing: {cause}",
        ),
        (State::Up { .. }, _) => match from {
            State::Failing { since, cause, .. } => {
                let lasted = record.started.seconds_since(*since).max(0);
                info!(
                    message_id = Kind::DependencyRecovered.message_id(),
                    dependency = name,
                    state = to.id(),
                    previous_cause = cause.id(),
                    failed_for = lasted,
                    "{name} works again after {} ({cause})",
                    Lasted(lasted),
                );
            }
            _ => info!(
                message_id = Kind::DependencyWorks.message_id(),
                dependency = name,
                state = to.id(),
                "{name} works"
            ),
        },
        (State::Unknown, _) => info!(
            message_id = Kind::DependencyUnknown.message_id(),
            dependency = name,
            state = to.id(),
            "{name}: nothing can be said any more"
        ),
    }
}

fn log_failing(name: &str, failure: &Failure, record: &OperationRecord) {
    let title = failure.cause.doc().title;
    // A cause whose words are missing is still named by its id.
    let words = if title.is_empty() {
        failure.cause.id()
    } else {
        title
    };
    warn!(
        message_id = Kind::DependencyFailing.message_id(),
        dependency = name,
        state = "failing",
        cause = failure.cause.id(),
        phase = failure.phase.map(|phase| phase.id()),
        speed = failure.speed.id(),
        fault = failure.cause.fault().id(),
        confidence = failure.confidence.id(),
        elapsed = record.elapsed.as_secs_f64(),
        attempts = record.attempts.len(),
        target_url = record.dependency.probe.target(),
        fix = &*failure.fix,
        "{name} is failing: {words} ({}), {} after {}; fix: {}",
        failure.cause,
        failure.speed.id(),
        Seconds(record.elapsed),
        failure.fix,
    );
}

fn log_operation(record: &OperationRecord) {
    if !enabled!(Level::DEBUG) {
        return;
    }
    let name = &*record.dependency.name;
    let cause = record.failure.as_ref().map(|failure| failure.cause.id());
    debug!(
        dependency = name,
        verdict = record.verdict.id(),
        cause,
        elapsed = record.elapsed.as_secs_f64(),
        attempts = record.attempts.len(),
        "{name}: {}{} in {}",
        verdict_words(record.verdict),
        cause.map(|cause| format!(" ({cause})")).unwrap_or_default(),
        Seconds(record.elapsed),
    );
}

fn verdict_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::RetriedOk => "ok, but only after a failed attempt",
        Verdict::Failed => "failed",
        Verdict::Inconclusive => "inconclusive",
    }
}

fn log_idle_timeout(dependency: &Dependency, before: Option<&IdleMeasurement>, now: &IdleMeasurement) {
    let (name, host) = (&*dependency.name, &dependency.host);
    let same = |before: &IdleMeasurement| match (before.limit, now.limit) {
        (IdleLimit::NoneFound { .. }, IdleLimit::NoneFound { .. }) => true,
        (IdleLimit::Ends { how: a, .. }, IdleLimit::Ends { how: b, .. }) => a == b,
        _ => false,
    };
    let again = if before.is_some_and(same) { " (again)" } else { "" };
    match now.limit {
        IdleLimit::NoneFound { up_to } => info!(
            dependency = name,
            up_to = up_to.as_secs_f64(),
            "{name}: {host} keeps idle connections for {} and longer{again}",
            Seconds(up_to),
        ),
        IdleLimit::Ends { how, low, high } => info!(
            dependency = name,
            kind = how.kind().id(),
            how = how.id(),
            good_after = low.as_secs_f64(),
            ended_after = high.as_secs_f64(),
            samples = now.samples,
            "{name}: idle connections to {host} end between {} and {} ({}){again}",
            Seconds(low),
            Seconds(high),
            how.id(),
        ),
    }
}

fn idle_words(why: &IdleUnknown) -> String {
    match why {
        IdleUnknown::NotKept => "it closes every connection after its answer".into(),
        IdleUnknown::EndsInUse { age } => format!(
            "its connections end at an age of about {} also while they are in use",
            Seconds(*age)
        ),
        IdleUnknown::Contradictory => "no two measurements agree".into(),
        IdleUnknown::NotMade(why) => format!("no connection for it: {why}"),
    }
}

fn breaker_words(state: crate::model::event::BreakerState) -> &'static str {
    use crate::model::event::BreakerState;
    match state {
        BreakerState::Admitting => "retries and second looks are made again",
        BreakerState::Trying => "the next operation may retry, and its result decides whether the others may",
        BreakerState::Suppressing => "it keeps failing, so retries and second looks are left out for a while",
    }
}

fn skip_words(reason: crate::model::event::SkipReason) -> &'static str {
    use crate::model::event::SkipReason;
    match reason {
        SkipReason::StillRunning => "the one before was still running",
        SkipReason::Late => "this process was too late for them",
        SkipReason::Saturated => "a concurrency cap was reached",
    }
}

/// A short duration as people read it.
struct Seconds(std::time::Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds < 0.0095 {
            write!(f, "{:.1} ms", seconds * 1e3)
        } else if seconds < 1.0 {
            write!(f, "{:.0} ms", seconds * 1e3)
        } else {
            write!(f, "{seconds:.1} s")
        }
    }
}

/// A long one, in whole seconds.
struct Lasted(i64);

impl fmt::Display for Lasted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (self.0 / 3600, self.0 / 60 % 60, self.0 % 60);
        match (hours, minutes) {
            (0, 0) => write!(f, "{seconds} s"),
            (0, _) => write!(f, "{minutes} min {seconds} s"),
            _ => write!(f, "{hours} h {minutes} min"),
        }
    }
}

#[cfg(test)]
mod tests;
