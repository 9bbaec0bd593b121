//! The exporter against real collectors on loopback: tonic's generated service, and an HTTP server.

use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::Mutex;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use super::*;
use crate::export::samples::{self, World};
use crate::model::dependency::{ClientCert, TlsSettings};
use crate::model::plan::OtlpProtocol;
use crate::model::secret::{Secret, SecretRef, Text};
use crate::model::time::Wall;

/// One request as a collector saw it.
struct Seen {
    request: ExportMetricsServiceRequest,
    token: Option<String>,
    user_agent: String,
}

impl Seen {
    fn names(&self) -> Vec<&str> {
        let scopes = self
            .request
            .resource_metrics
            .iter()
            .flat_map(|resource| &resource.scope_metrics);
        scopes
            .flat_map(|scope| &scope.metrics)
            .map(|metric| metric.name.as_str())
            .collect()
    }

    fn resource(&self, name: &str) -> Option<String> {
        let resource = self.request.resource_metrics.first()?.resource.as_ref()?;
        let pair = resource.attributes.iter().find(|pair| pair.key == name)?;
        Some(format!("{:?}", pair.value.as_ref()?.value.as_ref()?))
    }
}

/// Answers with what it was given, in turn, and then with success.
struct Grpc {
    seen: mpsc::UnboundedSender<Seen>,
    answers: Mutex<VecDeque<Result<ExportMetricsServiceResponse, Status>>>,
}

#[tonic::async_trait]
impl MetricsService for Grpc {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let header = |name: &str| request.metadata().get(name).and_then(|value| value.to_str().ok());
        let (token, user_agent) = (header("x-token").map(str::to_owned), header("user-agent"));
        let user_agent = user_agent.unwrap_or_default().to_owned();
        let request = request.into_inner();
        let _ = self.seen.send(Seen {
            request,
            token,
            user_agent,
        });
        let next = self.answers.lock().expect("no test panics with it").pop_front();
        next.unwrap_or_else(|| Ok(ExportMetricsServiceResponse::default()))
            .map(Response::new)
    }
}

type Answers = Vec<Result<ExportMetricsServiceResponse, Status>>;

async fn grpc_collector(
    answers: Answers,
    tls: Option<rustls::ServerConfig>,
) -> (u16, mpsc::UnboundedReceiver<Seen>) {
    let (seen, arrivals) = mpsc::unbounded_channel();
    let service = Grpc {
        seen,
        answers: Mutex::new(answers.into()),
    };
    let service =
        MetricsServiceServer::new(service).accept_compressed(tonic::codec::CompressionEncoding::Gzip);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    let acceptor = tls.map(|config| tokio_rustls::TlsAcceptor::from(Arc::new(config)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                match acceptor {
                    None => server.serve_connection(TokioIo::new(stream), service).await.ok(),
                    Some(acceptor) => match acceptor.accept(stream).await {
                        Ok(stream) => server.serve_connection(TokioIo::new(stream), service).await.ok(),
                        Err(_) => None,
                    },
                }
            });
        }
    });
    (port, arrivals)
}

/// Status, headers and body.
type Answer = (u16, &'static [(&'static str, &'static str)], Vec<u8>);

/// An HTTP collector that answers with these statuses and headers in turn, and then with 200.
async fn http_collector(answers: Vec<Answer>) -> (u16, mpsc::UnboundedReceiver<Seen>) {
    use http_body_util::{BodyExt, Full};
    let (seen, arrivals) = mpsc::unbounded_channel();
    let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (seen, answers) = (seen.clone(), answers.clone());
            let handle = move |request: hyper::Request<hyper::body::Incoming>| {
                let (seen, answers) = (seen.clone(), answers.clone());
                async move {
                    assert_eq!(request.uri().path(), "/v1/metrics");
                    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
                    let text = |name: &str| {
                        request
                            .headers()
                            .get(name)
                            .map(|v| v.to_str().expect("text").to_owned())
                    };
                    let (token, user_agent) = (text("x-token"), text("user-agent").expect("always sent"));
                    let packed = text("content-encoding").as_deref() == Some("gzip");
                    let mut body = request.into_body().collect().await?.to_bytes().to_vec();
                    if packed {
                        let mut plain = Vec::new();
                        flate2::read::GzDecoder::new(&*body)
                            .read_to_end(&mut plain)
                            .expect("gzip");
                        body = plain;
                    }
                    let request = ExportMetricsServiceRequest::decode(&*body).expect("protobuf");
                    let _ = seen.send(Seen {
                        request,
                        token,
                        user_agent,
                    });
                    let next = answers.lock().expect("no test panics with it").pop_front();
                    let (status, headers, body) = next.unwrap_or((200, &[], Vec::new()));
                    let mut answer = hyper::Response::builder().status(status);
                    for (name, value) in headers {
                        answer = answer.header(*name, *value);
                    }
                    Ok::<_, hyper::Error>(answer.body(Full::new(Bytes::from(body))).expect("valid"))
                }
            };
            let service = hyper::service::service_fn(handle);
            let server = hyper::server::conn::http1::Builder::new();
            tokio::spawn(async move { server.serve_connection(TokioIo::new(stream), service).await });
        }
    });
    (port, arrivals)
}

fn plan(endpoint: String, protocol: OtlpProtocol) -> Otlp {
    Otlp {
        endpoint: endpoint.into(),
        protocol,
        headers: Arc::from([(
            "x-token".into(),
            Text::Secret(SecretRef::Inline(Secret::new("s3cret"))),
        )]),
        gzip: true,
        timeout: Duration::from_secs(5),
        interval: Duration::from_millis(50),
        tls: TlsSettings::default(),
        resource: Arc::from([("deployment.environment.name".into(), "test".into())]),
        exponential_histograms: false,
        traces_endpoint: None,
        alert_logs: None,
    }
}

fn exporter(plan: &Otlp, world: World) -> (OtlpExporter, Arc<ProcessFigures>) {
    let process = Arc::new(ProcessFigures::new(Wall::default()));
    let reader = samples::serve(world);
    let exporter = OtlpExporter::new(plan, reader, process.clone()).expect("a good plan");
    (exporter, process)
}

async fn arrival(arrivals: &mut mpsc::UnboundedReceiver<Seen>) -> Seen {
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, arrivals.recv())
        .await
        .expect("in time")
        .expect("the collector runs")
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[tokio::test]
async fn grpc_arrives_at_every_interval_and_once_more_at_the_end() {
    let (port, mut arrivals) = grpc_collector(Vec::new(), None).await;
    let plan = plan(format!("http://127.0.0.1:{port}"), OtlpProtocol::Grpc);
    let (exporter, process) = exporter(&plan, World::of(3));
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(exporter.run(stopped));
    for _ in 0..2 {
        let seen = arrival(&mut arrivals).await;
        assert!(seen.names().contains(&"whyd.up"));
        assert_eq!(seen.token.as_deref(), Some("s3cret"));
        assert!(seen.user_agent.starts_with("whyd/"), "{}", seen.user_agent);
        assert!(
            seen.resource("service.instance.id")
                .expect("ours")
                .contains(&*process.identity().instance_id)
        );
        assert!(
            seen.resource("deployment.environment.name")
                .expect("given")
                .contains("test")
        );
        assert!(seen.resource("service.name").expect("ours").contains("whyd"));
    }
    while arrivals.try_recv().is_ok() {}
    stop.send(true).expect("the exporter listens");
    arrival(&mut arrivals).await;
    tokio::time::timeout(Duration::from_secs(20), task)
        .await
        .expect("it ends")
        .expect("without panic");
    assert_eq!(process.snapshot().export_failures, [0, 0, 0]);
}

#[tokio::test]
async fn what_can_help_is_tried_again_and_a_refusal_is_not() {
    let answers = vec![
        Err(Status::unavailable("not yet")),
        Err(Status::invalid_argument("no")),
    ];
    let (port, mut arrivals) = grpc_collector(answers, None).await;
    let plan = plan(format!("http://127.0.0.1:{port}"), OtlpProtocol::Grpc);
    let (mut exporter, process) = exporter(&plan, World::of(1));
    exporter.export(deadline()).await;
    assert_eq!(
        process.snapshot().export_failures,
        [1, 0, 0],
        "refused at the second try"
    );
    assert_eq!(process.exports()[0].failed_in_a_row, 1);
    arrival(&mut arrivals).await;
    arrival(&mut arrivals).await;
    assert!(arrivals.try_recv().is_err(), "and not sent a third time");
    exporter.export(deadline()).await;
    assert_eq!(process.snapshot().export_failures, [1, 0, 0]);
    assert_eq!((exporter.failures, process.exports()[0].failed_in_a_row), (0, 0));
}

#[tokio::test]
async fn a_collector_that_is_away_costs_no_more_than_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    for protocol in [OtlpProtocol::Grpc, OtlpProtocol::HttpProtobuf] {
        let plan = plan(format!("http://127.0.0.1:{port}/v1/metrics"), protocol);
        let (mut exporter, process) = exporter(&plan, World::of(1));
        let before = Instant::now();
        exporter.export(before + Duration::from_millis(100)).await;
        assert!(before.elapsed() < Duration::from_secs(10));
        assert_eq!(process.snapshot().export_failures, [1, 0, 0]);
    }
}

#[tokio::test]
async fn a_partial_success_is_counted_and_not_sent_again() {
    let partial = ExportMetricsServiceResponse {
        partial_success: Some(ExportMetricsPartialSuccess {
            rejected_data_points: 3,
            error_message: "too old".into(),
        }),
    };
    let (port, mut arrivals) = grpc_collector(vec![Ok(partial)], None).await;
    let plan = plan(format!("http://127.0.0.1:{port}"), OtlpProtocol::Grpc);
    let (mut exporter, process) = exporter(&plan, World::of(1));
    exporter.export(deadline()).await;
    let view = process.snapshot();
    assert_eq!((view.points_rejected, view.export_failures), (3, [1, 0, 0]));
    assert_eq!(
        process.exports()[0].failed_in_a_row,
        1,
        "what is refused in part does not arrive"
    );
    arrival(&mut arrivals).await;
    assert!(arrivals.try_recv().is_err());
    assert_eq!(exporter.complaint, "too old");
}

#[tokio::test]
async fn http_carries_the_same_and_honours_retry_after() {
    let answers: Vec<Answer> = vec![
        (429, &[("retry-after", "1")], Vec::new()),
        (503, &[], b"try later".to_vec()),
        (200, &[], Vec::new()),
    ];
    let (port, mut arrivals) = http_collector(answers).await;
    let plan = plan(
        format!("http://127.0.0.1:{port}/v1/metrics"),
        OtlpProtocol::HttpProtobuf,
    );
    let (mut exporter, process) = exporter(&plan, World::of(1));
    let before = Instant::now();
    exporter.export(deadline()).await;
    assert!(
        before.elapsed() >= Duration::from_secs(1),
        "it waited as it was asked"
    );
    assert_eq!(process.snapshot().export_failures, [0, 0, 0]);
    for _ in 0..3 {
        let seen = arrival(&mut arrivals).await;
        assert!(seen.names().contains(&"whyd.probe.duration"));
        assert_eq!(seen.token.as_deref(), Some("s3cret"));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (port, mut arrivals) = http_collector(vec![(307, &[("location", "/v1/metrics")], Vec::new())]).await;
    let plan = plan(
        format!("http://127.0.0.1:{port}/v1/metrics"),
        OtlpProtocol::HttpProtobuf,
    );
    let (mut exporter, process) = exporter(&plan, World::of(1));
    exporter.export(deadline()).await;
    arrival(&mut arrivals).await;
    assert!(arrivals.try_recv().is_err());
    assert_eq!(process.snapshot().export_failures, [1, 0, 0]);
}

#[tokio::test]
async fn a_large_export_arrives_in_several_requests_over_one_connection() {
    let (port, mut arrivals) = grpc_collector(Vec::new(), None).await;
    let mut plan = plan(format!("http://127.0.0.1:{port}"), OtlpProtocol::Grpc);
    plan.gzip = false;
    let (mut exporter, process) = exporter(&plan, World::of(1500));
    exporter.export(deadline()).await;
    assert_eq!(process.snapshot().export_failures, [0, 0, 0]);
    let mut requests = 0;
    let mut operations = 0;
    while let Ok(seen) = arrivals.try_recv() {
        requests += 1;
        operations += seen
            .names()
            .iter()
            .filter(|name| **name == "whyd.operations")
            .count();
    }
    assert!(requests >= 2 && operations >= 1, "{requests} requests");
}

/// An authority, a server's configuration that asks for a client certificate, and the files of a client.
struct Pki {
    server: rustls::ServerConfig,
    ca: std::path::PathBuf,
    client: ClientCert,
}

fn pki(directory: &std::path::Path) -> Pki {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("valid");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).expect("signed");
    let issuer = Issuer::from_params(&params, &ca_key);
    let issue = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("valid");
        (params.signed_by(&key, &issuer).expect("signed"), key)
    };
    let (server, server_key) = issue("localhost");
    let (client, client_key) = issue("client");
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).expect("a temporary file");
        path
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .expect("a verifier");
    let key = rustls::pki_types::PrivateKeyDer::try_from(server_key.serialize_der()).expect("a key");
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![server.der().clone()], key)
        .expect("a certificate");
    config.alpn_protocols = vec![b"h2".to_vec()];
    Pki {
        server: config,
        ca: write("ca.pem", &ca.pem()),
        client: ClientCert {
            chain: write("client.pem", &client.pem()),
            key: write("client.key", &client_key.serialize_pem()),
        },
    }
}

#[tokio::test]
async fn grpc_over_tls_trusts_the_given_authority_and_shows_the_client_certificate() {
    let directory = std::env::temp_dir().join(samples::unique_name());
    std::fs::create_dir(&directory).expect("a temporary directory");
    let pki = pki(&directory);
    let (port, mut arrivals) = grpc_collector(Vec::new(), Some(pki.server)).await;
    let mut plan = plan(format!("https://localhost:{port}"), OtlpProtocol::Grpc);
    plan.tls.ca = Arc::from([pki.ca]);
    let short = || Instant::now() + Duration::from_millis(100);
    let (mut without, process) = exporter(&plan, World::of(1));
    without.export(short()).await;
    assert_eq!(
        process.snapshot().export_failures,
        [1, 0, 0],
        "a certificate is asked for"
    );
    plan.tls.client_cert = Some(pki.client);
    let (mut with, process) = exporter(&plan, World::of(1));
    with.export(deadline()).await;
    assert_eq!(process.snapshot().export_failures, [0, 0, 0]);
    assert!(arrival(&mut arrivals).await.names().contains(&"whyd.up"));
    plan.tls.ca = Arc::from([]);
    let (mut untrusting, process) = exporter(&plan, World::of(1));
    untrusting.export(short()).await;
    assert_eq!(
        process.snapshot().export_failures,
        [1, 0, 0],
        "an unknown authority"
    );
    std::fs::remove_dir_all(&directory).expect("ours");
}

#[tokio::test]
async fn plans_that_cannot_work_are_refused_at_once() {
    let process = || Arc::new(ProcessFigures::new(Wall::default()));
    let build = |plan: &Otlp| OtlpExporter::new(plan, samples::serve(World::of(0)), process()).err();
    let bad = plan("collector:4317".into(), OtlpProtocol::Grpc);
    assert!(matches!(build(&bad), Some(BuildError::Endpoint(_))));
    let mut bad = plan("https://collector:4317".into(), OtlpProtocol::Grpc);
    bad.tls.ca = Arc::from(["/nonexistent/ca.pem".into()]);
    let error = build(&bad).expect("no such file").to_string();
    assert!(error.contains("/nonexistent/ca.pem"), "{error}");
}
