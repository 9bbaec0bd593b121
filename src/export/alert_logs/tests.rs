//! Log records against tonic's generated collector service on loopback.

use std::sync::Mutex;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use tokio::net::TcpListener;

use super::*;
use crate::model::alert::{ResolvedBecause, Rule};
use crate::model::dependency::TlsSettings;
use crate::model::plan::OtlpProtocol;
use crate::model::secret::{Secret, SecretRef, Text};
use crate::report::samples::alerts as samples;

type Arrivals = mpsc::UnboundedReceiver<(Option<String>, ExportLogsServiceRequest)>;

/// Refuses as often as it is told to, and then takes everything.
struct Collector {
    seen: mpsc::UnboundedSender<(Option<String>, ExportLogsServiceRequest)>,
    refusals: Mutex<u32>,
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        let token = request
            .metadata()
            .get("x-token")
            .and_then(|value| value.to_str().ok());
        let token = token.map(str::to_owned);
        let _ = self.seen.send((token, request.into_inner()));
        let mut refusals = self.refusals.lock().expect("no test panics with it");
        if *refusals > 0 {
            *refusals -= 1;
            return Err(tonic::Status::invalid_argument("not now"));
        }
        Ok(tonic::Response::new(ExportLogsServiceResponse::default()))
    }
}

async fn collector(refusals: u32) -> (u16, Arrivals) {
    let (seen, arrivals) = mpsc::unbounded_channel();
    let collector = Collector {
        seen,
        refusals: Mutex::new(refusals),
    };
    let service =
        LogsServiceServer::new(collector).accept_compressed(tonic::codec::CompressionEncoding::Gzip);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(async move { server.serve_connection(TokioIo::new(stream), service).await });
        }
    });
    (port, arrivals)
}

fn plan(port: u16, asked_for: bool) -> Otlp {
    Otlp {
        endpoint: "http://127.0.0.1:1".into(),
        protocol: OtlpProtocol::Grpc,
        headers: Arc::from([(
            "x-token".into(),
            Text::Secret(SecretRef::Inline(Secret::new("s3cret"))),
        )]),
        gzip: true,
        timeout: Duration::from_secs(5),
        interval: Duration::from_secs(60),
        tls: TlsSettings::default(),
        resource: Arc::from([]),
        exponential_histograms: false,
        traces_endpoint: None,
        alert_logs: Some(AlertLogs {
            endpoint: format!("http://127.0.0.1:{port}").into(),
            asked_for,
        }),
    }
}

async fn arrival(arrivals: &mut Arrivals) -> (Option<String>, Vec<LogRecord>) {
    let arrived = timeout(Duration::from_secs(20), arrivals.recv()).await;
    let (token, request) = arrived.expect("in time").expect("the collector runs");
    let resources = request.resource_logs.into_iter();
    let scopes = resources.flat_map(|resource| resource.scope_logs);
    (token, scopes.flat_map(|scope| scope.log_records).collect())
}

fn attribute(record: &LogRecord, name: &str) -> Option<String> {
    let mut pairs = record.attributes.iter().filter(|pair| pair.key == name);
    let pair = pairs.next()?;
    assert!(pairs.next().is_none(), "{name} twice");
    match pair.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text.clone()),
        Any::IntValue(number) => Some(number.to_string()),
        other => panic!("{name} is {other:?}"),
    }
}

fn body(record: &LogRecord) -> &str {
    match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Any::StringValue(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_alert_leaves_when_it_is_raised_and_when_it_is_over() {
    let (port, mut arrivals) = collector(0).await;
    let process = Arc::new(ProcessFigures::default());
    let sender = AlertLogSender::start(&plan(port, true), process.clone())
        .expect("usable")
        .expect("wanted");
    let view = samples::alert(Rule::DependencyDownFast, "payments");
    for change in [
        AlertChange::Pending,
        AlertChange::Recovering,
        AlertChange::Relapsed,
        AlertChange::Cleared,
    ] {
        sender.send(change, &view);
    }
    sender.send(AlertChange::Fired, &view);
    sender.send(
        AlertChange::Resolved(ResolvedBecause::Removed),
        &samples::alert(Rule::RetryMasked, "payments"),
    );
    let (token, records) = arrival(&mut arrivals).await;
    assert_eq!(token.as_deref(), Some("s3cret"));
    let [fired, over] = &records[..] else {
        panic!("{records:#?}")
    };
    assert_eq!(
        (&*fired.event_name, &*over.event_name),
        ("whyd.alert", "whyd.alert")
    );
    assert_eq!(
        (fired.severity_number, over.severity_number),
        (17, 9),
        "ERROR and INFO"
    );
    assert_eq!(
        fired.time_unix_nano, 1_795_489_393_000_000_000,
        "when it was raised"
    );
    assert_eq!(
        body(fired),
        "payments is down: tls.cert.date_invalid.expired (fast, in tls)"
    );
    assert!(body(over).starts_with("over: "), "{}", body(over));
    for (name, value) in [
        ("alert", "dependency_down_fast"),
        ("state", "firing"),
        ("severity", "critical"),
        ("dependency", "payments"),
        ("error.type", "tls.cert.date_invalid.expired"),
        ("speed", "fast"),
        ("phase", "tls"),
        ("incident", "123456789abcdef0"),
        ("fix", "renew the certificate of payments.internal"),
        ("team", "checkout"),
        ("whyd.alert.id", &view.id.to_string()),
    ] {
        assert_eq!(attribute(fired, name).as_deref(), Some(value), "{name}");
    }
    for (name, value) in [
        ("state", "resolved"),
        ("resolved_because", "removed"),
        ("server.address", "payments.internal"),
        ("server.port", "443"),
    ] {
        assert_eq!(attribute(over, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(attribute(over, "dependency"), None);
    sender.flush().await;
    assert_eq!(process.exports()[2].failed_in_a_row, 0);
    assert!(arrivals.try_recv().is_err(), "once");
}

#[tokio::test]
async fn what_did_not_arrive_is_sent_again_in_order_and_counted() {
    let (port, mut arrivals) = collector(2).await;
    let process = Arc::new(ProcessFigures::default());
    let sender = AlertLogSender::start(&plan(port, true), process.clone())
        .expect("usable")
        .expect("wanted");
    sender.send(
        AlertChange::Fired,
        &samples::alert(Rule::DependencyDownFast, "first"),
    );
    assert_eq!(arrival(&mut arrivals).await.1.len(), 1);
    sender.send(
        AlertChange::Fired,
        &samples::alert(Rule::DependencyDownFast, "second"),
    );
    let names = |records: &[LogRecord]| -> Vec<String> {
        records
            .iter()
            .filter_map(|record| attribute(record, "dependency"))
            .collect()
    };
    assert_eq!(names(&arrival(&mut arrivals).await.1), ["first", "second"]);
    assert_eq!(
        names(&arrival(&mut arrivals).await.1),
        ["first", "second"],
        "at last"
    );
    sender.flush().await;
    let view = process.snapshot();
    assert_eq!(view.export_failures, [0, 0, 2]);
    assert_eq!(process.exports()[2].failed_in_a_row, 0);
}

#[tokio::test]
async fn a_collector_that_was_never_asked_for_logs_is_not_blamed_for_taking_none() {
    let (port, mut arrivals) = collector(1).await;
    let process = Arc::new(ProcessFigures::default());
    let sender = AlertLogSender::start(&plan(port, false), process.clone())
        .expect("usable")
        .expect("wanted");
    sender.send(
        AlertChange::Fired,
        &samples::alert(Rule::DependencyDownFast, "payments"),
    );
    arrival(&mut arrivals).await;
    arrival(&mut arrivals).await;
    sender.flush().await;
    assert_eq!(process.snapshot().export_failures, [0, 0, 0]);
}

#[tokio::test]
async fn what_waits_is_tried_once_more_when_the_sender_goes() {
    let (port, mut arrivals) = collector(0).await;
    let sender = AlertLogSender::start(&plan(port, true), Arc::default())
        .expect("usable")
        .expect("wanted");
    sender.send(AlertChange::Fired, &samples::alert(Rule::MonitorLate, ""));
    drop(sender);
    let (_, records) = arrival(&mut arrivals).await;
    assert_eq!(
        (
            attribute(&records[0], "dependency"),
            attribute(&records[0], "server.address")
        ),
        (None, None)
    );
}

#[tokio::test]
async fn without_a_place_for_them_there_is_no_sender() {
    let mut plan = plan(1, true);
    plan.alert_logs = None;
    assert!(
        AlertLogSender::start(&plan, Arc::default())
            .expect("usable")
            .is_none()
    );
}
