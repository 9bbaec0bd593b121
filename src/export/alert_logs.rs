//! Alerts as OTLP log records (event name `whyd.alert`): one when an alert is raised and one when it is over.
//!
//! Unlike traces they are kept until they arrived, for a while: there are few of them and each says much.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity as Grade};
use opentelemetry_otlp::LogExporter;
use opentelemetry_sdk::logs::{LogBatch, LogExporter as _, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::model::alert::{AlertChange, AlertState, AlertView, Muted, Severity, Subject};
use crate::model::plan::{AlertLogs, Otlp};
use crate::model::time::Wall;
use crate::net::sanitize::error_chain;
use crate::net::secret::Secrets;
use crate::net::wall;

use super::otlp::{BuildError, FLUSH, Headers, resolve_headers};
use super::process::{Exporter, ProcessFigures, SCOPE, VERSION};
use super::random::share;
use super::sdk::{Destination, Transport};

/// The event's name, by which a receiver finds them.
pub const EVENT: &str = "whyd.alert";
/// Records that may wait for the task, and that may wait there for a collector that is away; the oldest go first.
const QUEUE: usize = 1024;
const WAITING: usize = 4096;
/// Records in one request, and how long the first of them waits for others.
const BATCH: (usize, Duration) = (256, Duration::from_millis(200));
/// Between two tries, the first time and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// After how long records that did not arrive are given up.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A handle to send alerts with. Cheap to clone; when the last is gone, what waits is tried once more and the task ends.
#[derive(Clone, Debug)]
pub struct AlertLogSender {
    queue: mpsc::Sender<Item>,
    process: Arc<ProcessFigures>,
    logger: SdkLogger,
}

#[derive(Debug)]
enum Item {
    Alert(Box<SdkLogRecord>),
    Flush(oneshot::Sender<()>),
}

impl AlertLogSender {
    /// Starts the task that sends; `None` where the plan sends no log records. Must be called on a runtime.
    pub fn start(plan: &Otlp, process: Arc<ProcessFigures>) -> Result<Option<AlertLogSender>, BuildError> {
        let Some(settings) = plan.alert_logs.clone() else {
            return Ok(None);
        };
        let task = Task {
            transport: Transport::new(&settings.endpoint, plan)?,
            settings,
            plan: plan.clone(),
            process: process.clone(),
            secrets: Secrets::new(),
            scope: InstrumentationScope::builder(SCOPE).with_version(VERSION).build(),
            built: None,
            waiting: VecDeque::new(),
            failed: 0,
            failing_since: None,
            again: Instant::now(),
            proven: false,
        };
        let (queue, items) = mpsc::channel(QUEUE);
        tokio::spawn(task.run(items));
        // It exports nothing: only records are made with it.
        let logger = SdkLoggerProvider::builder().build().logger(SCOPE);
        Ok(Some(AlertLogSender {
            queue,
            process,
            logger,
        }))
    }

    /// Sends what happened to an alert, if receivers of log records are told of that; never waits.
    pub fn send(&self, change: AlertChange, view: &AlertView) {
        if !matches!(change, AlertChange::Fired | AlertChange::Resolved(_)) {
            return;
        }
        let record = record(self.logger.create_log_record(), change, view, wall::now());
        if self.queue.try_send(Item::Alert(Box::new(record))).is_err() {
            self.process.export_failed(Exporter::OtlpLogs);
            tracing::warn!("otlp: an alert did not leave as a log record: too many wait");
        }
    }

    /// Waits until what was handed in before was tried, for as long as a flush may take.
    pub async fn flush(&self) {
        let (done, finished) = oneshot::channel();
        let flushed = async {
            if self.queue.send(Item::Flush(done)).await.is_ok() {
                // An error means that the task has ended, and with it all that could be waited for.
                let _ = finished.await;
            }
        };
        let _ = timeout(FLUSH, flushed).await;
    }
}

struct Task {
    transport: Transport,
    settings: AlertLogs,
    plan: Otlp,
    process: Arc<ProcessFigures>,
    secrets: Secrets,
    scope: InstrumentationScope,
    /// The exporter and the headers that it was built with.
    built: Option<(Headers, LogExporter)>,
    waiting: VecDeque<SdkLogRecord>,
    /// Tries that failed in a row, and since when.
    failed: u32,
    failing_since: Option<Instant>,
    /// When what waits is sent.
    again: Instant,
    /// The collector has taken log records before.
    proven: bool,
}

impl Task {
    async fn run(mut self, mut items: mpsc::Receiver<Item>) {
        loop {
            let item = if self.waiting.is_empty() {
                items.recv().await
            } else {
                match timeout_at(self.again, items.recv()).await {
                    Ok(item) => item,
                    Err(_) => {
                        self.send().await;
                        continue;
                    }
                }
            };
            match item {
                Some(Item::Alert(record)) => self.take(*record),
                Some(Item::Flush(done)) => {
                    self.send().await;
                    // Whoever waited may have given up.
                    let _ = done.send(());
                }
                None => {
                    self.send().await;
                    return;
                }
            }
        }
    }

    fn take(&mut self, record: SdkLogRecord) {
        if self.waiting.is_empty() && self.failed == 0 {
            self.again = Instant::now() + BATCH.1;
        }
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
            tracing::warn!(
                "otlp: a log record of an alert is lost: more than {WAITING} wait for the collector"
            );
        }
        self.waiting.push_back(record);
    }

    /// Sends what waits, until it is all gone or a request fails.
    async fn send(&mut self) {
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(BATCH.0);
            match self.try_send(count).await {
                Ok(()) => {
                    self.waiting.drain(..count);
                    self.arrived();
                }
                Err(why) => {
                    self.did_not_arrive(&why);
                    return;
                }
            }
        }
    }

    fn arrived(&mut self) {
        self.process.export_arrived(Exporter::OtlpLogs);
        if self.failed > 0 {
            tracing::info!(
                "otlp: alerts arrive as log records again, after {} failed tries",
                self.failed
            );
        }
        (self.failed, self.failing_since, self.proven) = (0, None, true);
    }

    fn did_not_arrive(&mut self, why: &str) {
        let now = Instant::now();
        let since = *self.failing_since.get_or_insert(now);
        // A collector for metrics alone was never asked whether it takes logs as well: that it does not is no trouble
        // that somebody should be called for.
        if self.settings.asked_for || self.proven {
            self.process.export_failed(Exporter::OtlpLogs);
        }
        if self.failed == 0 {
            let hint = if self.settings.asked_for || self.proven {
                ""
            } else {
                " (`otlp: {logs: false}` where the collector takes none)"
            };
            tracing::warn!("otlp: alerts did not arrive as log records and are sent again: {why}{hint}");
        }
        if now - since > PATIENCE {
            tracing::warn!(
                "otlp: {} log records of alerts are lost: {why}",
                self.waiting.len()
            );
            self.waiting.clear();
        }
        let longest = PAUSE.0.saturating_mul(1 << self.failed.min(6)).min(PAUSE.1);
        self.failed = self.failed.saturating_add(1);
        // Replicas that failed together do not come back together.
        self.again = now + longest.mul_f64(0.5 + share() / 2.0);
    }

    async fn try_send(&mut self, count: usize) -> Result<(), String> {
        let headers =
            resolve_headers(&self.secrets, &self.plan.headers).map_err(|error| error.to_string())?;
        let (_, exporter) = match self.built.take_if(|(known, _)| *known == headers) {
            Some(built) => self.built.insert(built),
            None => {
                let exporter = self.transport.logs(&Destination {
                    endpoint: &self.settings.endpoint,
                    headers: &headers,
                    plan: &self.plan,
                    identity: self.process.identity(),
                })?;
                self.built.insert((headers, exporter))
            }
        };
        let batch: Vec<_> = self
            .waiting
            .iter()
            .take(count)
            .map(|record| (record, &self.scope))
            .collect();
        match timeout(self.plan.timeout, exporter.export(LogBatch::new(&batch))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error_chain(&error).join(": ")),
            Err(_) => Err(format!("no answer within {:?}", self.plan.timeout)),
        }
    }
}

/// Fills a record with what happened to an alert, and when.
fn record(mut record: SdkLogRecord, change: AlertChange, view: &AlertView, now: Wall) -> SdkLogRecord {
    let fires = change == AlertChange::Fired;
    let at = match view.state {
        AlertState::Firing { since, .. } if fires => since,
        _ => now,
    };
    record.set_event_name(EVENT);
    record.set_timestamp(system_time(at));
    record.set_observed_timestamp(system_time(now));
    let (grade, name) = match (fires, view.severity) {
        (true, Severity::Critical) => (Grade::Error, "ERROR"),
        (true, Severity::Warning) => (Grade::Warn, "WARN"),
        (true, Severity::Info) | (false, _) => (Grade::Info, "INFO"),
    };
    record.set_severity_number(grade);
    record.set_severity_text(name);
    let text = &view.text;
    let summary = if text.summary.is_empty() {
        view.key.to_string()
    } else {
        text.summary.to_string()
    };
    record.set_body(AnyValue::from(if fires {
        summary
    } else {
        format!("over: {summary}")
    }));
    let mut put = |name: &str, value: String| record.add_attribute(name.to_owned(), value);
    // The user's labels first, so that nothing of ours can be replaced by them.
    for (name, value) in view.labels.iter() {
        put(name, value.to_string());
    }
    put("alert", view.key.rule.id().to_owned());
    put("whyd.alert.id", view.id.to_string());
    put("state", if fires { "firing" } else { "resolved" }.to_owned());
    put("severity", view.severity.id().to_owned());
    match &view.key.subject {
        Subject::Dependency(name) => put("dependency", name.to_string()),
        Subject::Host(key) => put("server.address", key.name.to_string()),
        Subject::Monitor => {}
    }
    let optional = [
        ("error.type", text.cause.map(|cause| cause.id().to_owned())),
        ("speed", text.speed.map(|speed| speed.id().to_owned())),
        ("phase", text.phase.map(|phase| phase.id().to_owned())),
        ("incident", view.incident.map(|incident| incident.to_string())),
        (
            "muted",
            view.muted.as_ref().map(|muted| Muted::id(muted).to_owned()),
        ),
        ("description", Some(text.description.to_string())),
        ("fix", Some(text.fix.to_string())),
    ];
    for (name, value) in optional {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            put(name, value);
        }
    }
    if let AlertChange::Resolved(because) = change {
        put("resolved_because", because.id().to_owned());
    }
    if let Subject::Host(key) = &view.key.subject {
        record.add_attribute("server.port", i64::from(key.port));
    }
    record
}

fn system_time(wall: Wall) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(u64::try_from(wall.unix_nanos()).unwrap_or(0))
}

#[cfg(test)]
mod tests;
