//! Traces against tonic's generated collector service on loopback.

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;

use super::*;
use crate::export::samples;
use crate::model::dependency::TlsSettings;
use crate::model::plan::OtlpProtocol;
use crate::model::secret::{Secret, SecretRef, Text};

struct Collector(mpsc::UnboundedSender<(Option<String>, ExportTraceServiceRequest)>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let token = request
            .metadata()
            .get("x-token")
            .and_then(|value| value.to_str().ok());
        let token = token.map(str::to_owned);
        let _ = self.0.send((token, request.into_inner()));
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

type Arrivals = mpsc::UnboundedReceiver<(Option<String>, ExportTraceServiceRequest)>;

async fn collector() -> (u16, Arrivals) {
    let (seen, arrivals) = mpsc::unbounded_channel();
    let service =
        TraceServiceServer::new(Collector(seen)).accept_compressed(tonic::codec::CompressionEncoding::Gzip);
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

/// Takes one HTTP request, answers 200 and gives its path and headers back.
async fn http_collector() -> (u16, mpsc::UnboundedReceiver<hyper::Request<()>>) {
    let (seen, arrivals) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = seen.clone();
            let service =
                hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let _ = seen.send(request.map(|_| ()));
                    async { Ok::<_, hyper::Error>(hyper::Response::new(String::new())) }
                });
            let server = hyper::server::conn::http1::Builder::new();
            tokio::spawn(async move { server.serve_connection(TokioIo::new(stream), service).await });
        }
    });
    (port, arrivals)
}

fn plan(endpoint: String, protocol: OtlpProtocol) -> Otlp {
    Otlp {
        endpoint: "http://127.0.0.1:1".into(),
        protocol,
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
        traces_endpoint: Some(endpoint.into()),
        alert_logs: None,
    }
}

fn record() -> Arc<OperationRecord> {
    Arc::new(samples::failed_operation(Arc::new(samples::dependency(
        "payments",
    ))))
}

async fn arrival<T>(arrivals: &mut mpsc::UnboundedReceiver<T>) -> T {
    timeout(Duration::from_secs(20), arrivals.recv())
        .await
        .expect("in time")
        .expect("the collector runs")
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let pair = span.attributes.iter().find(|pair| pair.key == name)?;
    match pair.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text.clone()),
        Any::IntValue(number) => Some(number.to_string()),
        Any::BoolValue(truth) => Some(truth.to_string()),
        _ => None,
    }
}

#[tokio::test]
async fn an_operation_is_a_tree_of_spans_with_the_right_times() {
    let (port, mut arrivals) = collector().await;
    let process = Arc::new(ProcessFigures::default());
    let plan = plan(format!("http://127.0.0.1:{port}"), OtlpProtocol::Grpc);
    let sender = TraceSender::start(&plan, process.clone())
        .expect("a good plan")
        .expect("traces are asked for");
    sender.send(&record());
    sender.flush().await;
    let (token, request) = arrivals.try_recv().expect("flushed");
    assert_eq!(token.as_deref(), Some("s3cret"));
    let resource = request.resource_spans[0].resource.as_ref().expect("a resource");
    assert!(
        resource
            .attributes
            .iter()
            .any(|pair| pair.key == "service.instance.id")
    );
    let spans = &request.resource_spans[0].scope_spans[0].spans;
    let operation = &spans[0];
    assert_eq!(operation.name, "probe payments");
    assert!(operation.parent_span_id.is_empty());
    assert_eq!(
        attribute(operation, "error.type").as_deref(),
        Some("tls.cert.date_invalid.expired")
    );
    assert_eq!(attribute(operation, "team").as_deref(), Some("checkout"));
    let start = operation.start_time_unix_nano;
    assert_eq!(operation.end_time_unix_nano - start, 220_000_000);
    let attempts: Vec<&Span> = spans
        .iter()
        .filter(|span| span.parent_span_id == operation.span_id)
        .collect();
    assert_eq!(attempts.len(), 2);
    assert_eq!(attribute(attempts[0], "http.request.resend_count"), None);
    assert_eq!(
        attribute(attempts[1], "http.request.resend_count").as_deref(),
        Some("1")
    );
    assert_eq!(attempts[1].start_time_unix_nano - start, 200_000_000);
    let second = |span: &&Span| span.parent_span_id == attempts[1].span_id;
    let phases: Vec<(&str, u64, u64)> = spans
        .iter()
        .filter(second)
        .map(|span| {
            let begun = span.start_time_unix_nano - start;
            (
                span.name.as_str(),
                begun / 1_000_000,
                (span.end_time_unix_nano - start) / 1_000_000,
            )
        })
        .collect();
    let wanted = [
        ("resolve", 200, 202),
        ("connect", 202, 203),
        ("connect", 203, 206),
        ("tls", 206, 210),
    ];
    assert_eq!(phases, wanted);
    assert!(spans.iter().all(|span| span.trace_id == operation.trace_id));
    assert_eq!(process.snapshot().traces_dropped, 0);
}

#[tokio::test]
async fn http_is_spoken_on_our_own_runtime() {
    let (port, mut arrivals) = http_collector().await;
    let process = Arc::new(ProcessFigures::default());
    let plan = plan(
        format!("http://127.0.0.1:{port}/custom/traces"),
        OtlpProtocol::HttpProtobuf,
    );
    let sender = TraceSender::start(&plan, process.clone())
        .expect("a good plan")
        .expect("traces are asked for");
    sender.send(&record());
    sender.flush().await;
    let request = arrival(&mut arrivals).await;
    assert_eq!(request.uri().path(), "/custom/traces");
    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
    assert_eq!(request.headers()["content-encoding"], "gzip");
    assert_eq!(request.headers()["x-token"], "s3cret");
    assert_eq!(process.snapshot().traces_dropped, 0);
}

#[tokio::test]
async fn what_the_queue_cannot_take_is_dropped_and_counted() {
    let process = Arc::new(ProcessFigures::default());
    let plan = plan("http://127.0.0.1:1".into(), OtlpProtocol::Grpc);
    let sender = TraceSender::start(&plan, process.clone())
        .expect("a good plan")
        .expect("traces are asked for");
    let record = record();
    // The task does not run before this one waits.
    for _ in 0..QUEUE + 7 {
        sender.send(&record);
    }
    assert_eq!(process.snapshot().traces_dropped, 7);
}

#[tokio::test]
async fn a_request_that_fails_is_lost_and_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let process = Arc::new(ProcessFigures::default());
    let mut plan = plan(format!("http://127.0.0.1:{port}"), OtlpProtocol::Grpc);
    plan.timeout = Duration::from_millis(200);
    let sender = TraceSender::start(&plan, process.clone())
        .expect("a good plan")
        .expect("traces are asked for");
    sender.send(&record());
    sender.flush().await;
    let view = process.snapshot();
    assert_eq!((view.traces_dropped, view.export_failures), (1, [0, 1, 0]));
}

#[tokio::test]
async fn without_an_endpoint_there_is_no_sender() {
    let mut plan = plan(String::new(), OtlpProtocol::Grpc);
    plan.traces_endpoint = None;
    let sender = TraceSender::start(&plan, Arc::new(ProcessFigures::default())).expect("nothing to refuse");
    assert!(sender.is_none());
}
