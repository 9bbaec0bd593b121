//! A stand-in for the API server of Kubernetes on loopback: lists in pages, watches, optimistic concurrency, tokens and
//! roles, and the faults that a client must survive. It knows no kinds of objects but by their definitions, and keeps what
//! it was asked, so that a test can say which rights a client uses.
//!
//! It follows "Kubernetes API Concepts" (https://kubernetes.io/docs/reference/using-api/api-concepts/).

#![allow(dead_code, reason = "each of the test binaries uses a part of it")]

#[path = "kubernetes/answer.rs"]
mod answer;
#[path = "kubernetes/store.rs"]
mod store;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use store::Store;

/// What a client asked for, as RBAC sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// `list`, `watch`, `get`, `create`, `update`, `patch` or `delete`.
    pub verb: &'static str,
    /// Empty for the core group.
    pub group: String,
    /// The plural, with `/` and the subresource where there is one.
    pub resource: String,
    /// `None` at the cluster's scope.
    pub namespace: Option<String>,
    /// Of one object.
    pub name: Option<String>,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub asked: Asked,
    pub version: String,
    pub query: String,
    pub user_agent: String,
    /// Whether it carried a bearer token.
    pub token: bool,
    /// The answer.
    pub status: u16,
}

/// A right, as a rule of a Role or ClusterRole gives it.
#[derive(Clone, Debug)]
struct Grant {
    /// Where; `None` is everywhere.
    namespace: Option<String>,
    groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
    names: Vec<String>,
}

impl Grant {
    fn covers(&self, asked: &Asked) -> bool {
        let has = |list: &[String], what: &str| list.iter().any(|own| own == "*" || own == what);
        let named =
            self.names.is_empty() || asked.name.as_ref().is_some_and(|name| self.names.contains(name));
        (self.namespace.is_none() || self.namespace == asked.namespace)
            && has(&self.groups, &asked.group)
            && has(&self.resources, &asked.resource)
            && has(&self.verbs, asked.verb)
            && named
    }
}

/// A fault that some of the next requests meet.
#[derive(Clone, Debug)]
struct Fault {
    verb: &'static str,
    resource: String,
    times: u32,
    status: u16,
    reason: &'static str,
}

/// How the server behaves; a test changes it while clients are connected.
#[derive(Default)]
struct Manners {
    /// The tokens that are taken; `None` asks for none.
    tokens: Option<BTreeSet<String>>,
    /// `None` allows everything.
    grants: Option<Vec<Grant>>,
    faults: Vec<Fault>,
    /// Requests of this verb are not answered.
    silent: Option<&'static str>,
    bookmarks: Option<Duration>,
    /// Whether a revision that is gone is told by the status of the answer instead of an event.
    gone_by_status: bool,
    requests: Vec<Request>,
    /// Watches end with a new number: torn in the middle of a line, in an orderly way, or with an error event.
    torn: u64,
    ended: u64,
    expired: u64,
    watches: usize,
}

struct Shared {
    store: Mutex<Store>,
    manners: Mutex<Manners>,
    /// Changes whenever something did that a watch must look at.
    changed: watch::Sender<u64>,
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().expect("not poisoned")
    }

    fn manners(&self) -> MutexGuard<'_, Manners> {
        self.manners.lock().expect("not poisoned")
    }

    fn wake(&self) {
        self.changed.send_modify(|n| *n += 1);
    }
}

/// The server. It ends with this handle.
pub struct KubeApi {
    shared: Arc<Shared>,
    address: SocketAddr,
    tls: Option<Tls>,
    serving: Option<JoinHandle<()>>,
}

struct Tls {
    acceptor: TlsAcceptor,
    /// The certificate that signs the server's, in PEM.
    ca: String,
}

impl Drop for KubeApi {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

impl KubeApi {
    /// A server over plain HTTP that knows every kind of `store::DEFINITIONS` and lets everybody do everything.
    pub async fn start() -> KubeApi {
        KubeApi::with(None).await
    }

    /// The same over TLS, for `127.0.0.1` and `localhost`.
    pub async fn start_tls() -> KubeApi {
        KubeApi::with(Some(tls())).await
    }

    async fn with(tls: Option<Tls>) -> KubeApi {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            store: Mutex::new(Store::new()),
            manners: Mutex::default(),
            changed: watch::channel(0).0,
        });
        let mut api = KubeApi {
            shared,
            address,
            tls,
            serving: None,
        };
        api.serve(listener);
        api
    }

    fn serve(&mut self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        let acceptor = self.tls.as_ref().map(|tls| tls.acceptor.clone());
        self.serving = Some(tokio::spawn(async move {
            // The connections end with this task.
            let mut connections = JoinSet::new();
            loop {
                let Ok((socket, _)) = listener.accept().await else {
                    return;
                };
                let _ = socket.set_nodelay(true);
                let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
                connections.spawn(async move {
                    let service = service_fn(|request| answer::answer(Arc::clone(&shared), request));
                    let mut http = http1::Builder::new();
                    http.timer(TokioTimer::new());
                    // How a connection ends is the client's affair.
                    let _ = match acceptor {
                        None => http.serve_connection(TokioIo::new(socket), service).await,
                        Some(acceptor) => match acceptor.accept(socket).await {
                            Ok(socket) => http.serve_connection(TokioIo::new(socket), service).await,
                            Err(_) => Ok(()),
                        },
                    };
                });
                while connections.try_join_next().is_some() {}
            }
        }));
    }

    pub fn url(&self) -> String {
        let letter = if self.tls.is_some() { "s" } else { "" };
        format!("http{letter}://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate by which the server is trusted, in PEM.
    pub fn ca(&self) -> &str {
        self.tls.as_ref().map_or("", |tls| &tls.ca)
    }

    /// Writes a kubeconfig with a user that has that token, or the token of that file.
    pub fn kubeconfig(&self, path: &Path, token: Option<&str>, token_file: Option<&Path>) -> PathBuf {
        let mut user = json!({});
        if let Some(token) = token {
            user["token"] = json!(token);
        }
        if let Some(file) = token_file {
            user["tokenFile"] = json!(file);
        }
        let mut cluster = json!({"server": self.url()});
        if let Some(tls) = &self.tls {
            use base64::Engine as _;
            let ca = base64::engine::general_purpose::STANDARD.encode(&tls.ca);
            cluster["certificate-authority-data"] = json!(ca);
        }
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "stand-in", "cluster": cluster}],
            "users": [{"name": "whyd", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "stand-in", "user": "whyd"}}],
            "current-context": "test",
        });
        // JSON is YAML.
        std::fs::write(path, config.to_string()).expect("the kubeconfig can be written");
        path.to_owned()
    }

    // Objects.

    /// Creates the object, or replaces the one of its name, whatever its resourceVersion says.
    pub fn put(&self, object: Value) {
        self.put_all([object]);
    }

    pub fn put_all(&self, objects: impl IntoIterator<Item = Value>) {
        let mut store = self.shared.store();
        for object in objects {
            store.put(object);
        }
        drop(store);
        self.shared.wake();
    }

    /// Removes the object; whether there was one.
    pub fn remove(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let gone = self.shared.store().remove(kind, namespace, name);
        self.shared.wake();
        gone
    }

    /// The object as it is now.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        self.shared.store().get(kind, namespace, name)
    }

    /// All objects of a kind, by namespace and name.
    pub fn all(&self, kind: &str) -> Vec<Value> {
        self.shared.store().all(kind)
    }

    /// A kind that the server does not know (a custom resource that is not installed), or in these versions alone.
    pub fn serve_versions(&self, plural: &str, versions: &[&'static str]) {
        self.shared.store().serve_versions(plural, versions);
    }

    // Tokens and rights.

    /// Takes just these tokens from now on.
    pub fn take_tokens(&self, tokens: &[&str]) {
        let tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
        self.shared.manners().tokens = Some(tokens);
    }

    /// Allows nothing but what is permitted after this.
    pub fn forbid_everything(&self) {
        self.shared.manners().grants = Some(Vec::new());
    }

    /// Gives the rights of a Role or ClusterRole, in that namespace or everywhere.
    pub fn permit(&self, namespace: Option<&str>, role: &Value) {
        let rules = role["rules"].as_array().expect("rules");
        let texts = |value: &Value| -> Vec<String> {
            let list = value.as_array().into_iter().flatten();
            list.map(|text| text.as_str().expect("text").to_owned()).collect()
        };
        let mut manners = self.shared.manners();
        let grants = manners.grants.get_or_insert_default();
        grants.extend(rules.iter().map(|rule| Grant {
            namespace: namespace.map(str::to_owned),
            groups: texts(&rule["apiGroups"]),
            resources: texts(&rule["resources"]),
            verbs: texts(&rule["verbs"]),
            names: texts(&rule["resourceNames"]),
        }));
    }

    // What it was asked.

    pub fn requests(&self) -> Vec<Request> {
        self.shared.manners().requests.clone()
    }

    /// What was asked so far, each once.
    pub fn asked(&self) -> BTreeSet<Asked> {
        let manners = self.shared.manners();
        manners
            .requests
            .iter()
            .map(|request| request.asked.clone())
            .collect()
    }

    /// How often that was asked for, whatever the answer.
    pub fn count(&self, verb: &str, resource: &str) -> usize {
        let manners = self.shared.manners();
        let of = |request: &&Request| request.asked.verb == verb && request.asked.resource == resource;
        manners.requests.iter().filter(of).count()
    }

    /// How many watches are open.
    pub fn watches(&self) -> usize {
        self.shared.manners().watches
    }

    // Faults.

    /// The next so many requests of this kind are answered with that status and reason (`""` for a status without one).
    pub fn fail(&self, verb: &'static str, resource: &str, times: u32, status: u16, reason: &'static str) {
        self.shared.manners().faults.push(Fault {
            verb,
            resource: resource.to_owned(),
            times,
            status,
            reason,
        });
    }

    /// Requests of this verb get no answer, until this is called with `None`. Their connections stay as they are.
    pub fn be_silent(&self, verb: Option<&'static str>) {
        self.shared.manners().silent = verb;
        self.shared.wake();
    }

    /// Tears every open watch in the middle of a line.
    pub fn tear_watches(&self) {
        self.shared.manners().torn += 1;
        self.shared.wake();
    }

    /// Ends every open watch as if its time were up.
    pub fn end_watches(&self) {
        self.shared.manners().ended += 1;
        self.shared.wake();
    }

    /// Tells every open watch that its revision is gone, and forgets all changes so far, so that no watch can begin
    /// before now.
    pub fn expire_watches(&self) {
        self.shared.store().compact();
        self.shared.manners().expired += 1;
        self.shared.wake();
    }

    /// Forgets all changes so far: a watch that begins before now is told that its revision is gone, by an event or by the
    /// answer's status.
    pub fn compact(&self, by_status: bool) {
        self.shared.store().compact();
        self.shared.manners().gone_by_status = by_status;
    }

    /// Sends a bookmark that often to those who asked for them.
    pub fn bookmark_every(&self, interval: Duration) {
        self.shared.manners().bookmarks = Some(interval);
        self.shared.wake();
    }

    /// Refuses connections and ends those that there are.
    pub async fn go_down(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
        self.shared.manners().watches = 0;
    }

    /// Comes back at the same address, with the same objects.
    pub async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the same port");
        self.serve(listener);
    }
}

fn tls() -> Tls {
    whyd::net::crypto::install();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let signed = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .expect("a certificate and its key");
    Tls {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        ca: signed.cert.pem(),
    }
}
