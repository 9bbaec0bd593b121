//! What whyd watches and tells in the machine: servers of the test's own, in the machine's network.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::harness::only_down;

#[derive(Clone)]
pub struct Servers {
    address: SocketAddr,
    /// Takes connections and never answers.
    silent: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Every request's headers, as lines.
    headers: Mutex<Vec<String>>,
    notifications: Mutex<Vec<Value>>,
    fails: AtomicBool,
    holds: AtomicBool,
    is_holding: AtomicBool,
}

impl Servers {
    pub async fn start() -> Servers {
        let seen = Arc::new(Seen::default());
        let router = Router::new()
            .route("/", get(answer))
            .route("/switched", get(switched))
            .route("/hook", post(hear))
            .with_state(Arc::clone(&seen));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let silent = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                held.push(stream);
            }
        });
        Servers {
            address,
            silent,
            seen,
        }
    }

    /// One that works and is shown a secret, one that can be switched, one that is closed, one that never answers.
    pub fn config(&self) -> String {
        let (address, silent) = (self.address, self.silent);
        let alerts = only_down("{for: 0s, keep_firing_for: 0s, minimum: 2}");
        format!(
            "defaults:
  interval: 1s
  timeouts: {{total: 900ms}}
  retry: {{attempts: 1}}
  confirm: off
{alerts}alerts: {{group_wait: 50ms, group_interval: 200ms}}
receivers:
  - {{name: hook, severity: info, repeat: 1h, rate_limit: 6000, webhook: {{url: 'http://{address}/hook'}}}}
dependencies:
  - {{name: keyed, url: 'http://{address}/', headers: {{X-Key: {{credential: key}}}}}}
  - {{name: switched, url: 'http://localhost:{port}/switched'}}
  - {{name: closed, url: 'tcp://127.0.0.1:1'}}
  - {{name: silent, url: 'http://{silent}/', interval: 30s, timeouts: {{attempt: 29s, first_byte: 29s, total: 29s}}}}
",
            port = address.port(),
        )
    }

    /// Whether a request had that header.
    pub fn heard(&self, header: &str) -> bool {
        let headers = self.seen.headers.lock().expect("no test panics with it");
        headers.iter().any(|line| line == header)
    }

    /// How many notifications were taken that say that a dependency's alert fires.
    pub fn notifications(&self, dependency: &str) -> usize {
        let all = self.seen.notifications.lock().expect("no test panics with it");
        let about = |body: &&Value| {
            let alerts = body["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
            alerts
                .iter()
                .any(|alert| alert["status"] == "firing" && alert["labels"]["dependency"] == dependency)
        };
        all.iter().filter(about).count()
    }

    /// Whether the one that can be switched fails.
    pub fn fail(&self, fails: bool) {
        self.seen.fails.store(fails, Ordering::Relaxed);
    }

    /// From now on the receiver takes requests and does not answer.
    pub fn hold_notifications(&self) {
        self.seen.holds.store(true, Ordering::Relaxed);
    }

    pub fn take_notifications(&self) {
        self.seen.holds.store(false, Ordering::Relaxed);
    }

    /// Whether a notification waits for its answer.
    pub fn is_holding(&self) -> bool {
        self.seen.is_holding.load(Ordering::Relaxed)
    }
}

async fn answer(State(seen): State<Arc<Seen>>, headers: HeaderMap) -> &'static str {
    let mut kept = seen.headers.lock().expect("no test panics with it");
    for (name, value) in &headers {
        kept.push(format!("{name}: {}", value.to_str().unwrap_or("?")));
    }
    "ok"
}

async fn switched(State(seen): State<Arc<Seen>>) -> StatusCode {
    if seen.fails.load(Ordering::Relaxed) {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    }
}

async fn hear(State(seen): State<Arc<Seen>>, body: Bytes) -> StatusCode {
    if seen.holds.load(Ordering::Relaxed) {
        seen.is_holding.store(true, Ordering::Relaxed);
        // Longer than anybody waits.
        tokio::time::sleep(Duration::from_secs(3_600)).await;
    }
    let body = serde_json::from_slice(&body).expect("JSON");
    seen.notifications
        .lock()
        .expect("no test panics with it")
        .push(body);
    StatusCode::OK
}
