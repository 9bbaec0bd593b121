//! The demo's dependencies: servers of the lab that each fail in one way, and the configuration file that names them.
//!
//! The file is an ordinary one. What each dependency is expected to show is known here for the tests alone; nothing
//! that is printed comes from it.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::lab::certs::{Authority, CertSpec};
use crate::lab::dns::{self, DnsLab};
use crate::lab::grpc::{self, GrpcBehaviour};
use crate::lab::http::{Behaviour, HttpOptions, HttpServer, IdleClose};
use crate::lab::proxy::{self, ProxyBehaviour};
use crate::lab::tcp::{FullBacklog, RefusedPort};
use crate::lab::tls::{ServerTls, TlsOptions, TlsSetupError};
use crate::lab::{Ending, Server};
use crate::model::cause::Cause;
use crate::model::failure::Verdict;

use super::directory::PrivateDirectory;

/// The lab could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum DemoLabError {
    #[error("cannot start a server on loopback, or write its files")]
    Io(#[from] io::Error),
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
}

/// The running lab. Everything in it ends with it, its files included.
#[derive(Debug)]
pub struct DemoLab {
    scenes: Vec<Scene>,
    directory: PrivateDirectory,
    authority: PathBuf,
}

/// One dependency: how it is configured, what stands behind it, and what it should show.
#[derive(Debug)]
struct Scene {
    name: &'static str,
    url: String,
    /// Further keys of its entry, one line each.
    settings: Vec<String>,
    expected: ExpectedVerdict,
    behind: Behind,
}

/// What stands behind a dependency, kept so that it goes on running.
#[derive(Debug)]
enum Behind {
    Http(HttpServer),
    Proxy { _server: Server },
    Grpc { _server: Server },
    Refused { _port: RefusedPort },
    Full { _backlog: FullBacklog },
    Dns { _server: DnsLab },
}

/// What a dependency should show once it was probed a few times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedVerdict {
    pub verdict: Verdict,
    /// The cause of the failure, or the one that is masked while it answers.
    pub cause: Option<Cause>,
}

const fn answers(cause: Option<Cause>) -> ExpectedVerdict {
    ExpectedVerdict {
        verdict: Verdict::Ok,
        cause,
    }
}

const fn fails(cause: Cause) -> ExpectedVerdict {
    ExpectedVerdict {
        verdict: Verdict::Failed,
        cause: Some(cause),
    }
}

impl Scene {
    fn new(name: &'static str, url: String, expected: ExpectedVerdict, behind: Behind) -> Scene {
        Scene {
            name,
            url,
            settings: Vec::new(),
            expected,
            behind,
        }
    }

    /// A plain HTTP server, asked in plain HTTP.
    async fn plain(name: &'static str, behaviour: Behaviour, expected: ExpectedVerdict) -> io::Result<Scene> {
        let server = HttpServer::plain(behaviour).await?;
        let url = format!("http://{}/", server.address());
        Ok(Scene::new(name, url, expected, Behind::Http(server)))
    }

    #[must_use]
    fn with(mut self, setting: impl Into<String>) -> Scene {
        self.settings.push(setting.into());
        self
    }
}

/// The name in the lab's certificates; it stands for 127.0.0.1 by configuration.
const TLS_NAME: &str = "api.lab.test";

/// The configuration's defaults. Budgets nest: no phase above `attempt`, `attempt` not above `total`, `total` not above
/// the interval; two attempts that run into a phase's budget still fit into `total`.
const DEFAULTS: &str = "\
defaults:
  interval: 2s
  timeouts: {resolve: 500ms, connect: 500ms, tls: 700ms, first_byte: 600ms, body: 600ms, attempt: 900ms, total: 1900ms}
  retry: {attempts: 2, backoff: {initial: 20ms, max: 50ms}}
";

impl DemoLab {
    /// Starts every server. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// A port cannot be bound, a certificate cannot be made, or the directory for the files cannot be written.
    pub async fn start() -> Result<DemoLab, DemoLabError> {
        let directory = PrivateDirectory::create()?;
        let root = Authority::new("whyd demo CA")?;
        let authority = directory.write("ca.pem", root.pem())?;
        let mut scenes = answering(&root).await?;
        scenes.extend(unreachable().await?);
        scenes.extend(badly_secured(&root).await?);
        scenes.extend(badly_answering().await?);
        for scene in &mut scenes {
            if scene.url.starts_with("https://") {
                let path = quoted(&authority);
                scene.settings.push(format!("tls: {{ca: [{path}]}}"));
            }
        }
        Ok(DemoLab {
            scenes,
            directory,
            authority,
        })
    }

    /// The configuration file's text.
    pub fn config_yaml(&self) -> String {
        let mut text = String::from("# Written by `whyd demo`; it goes when the demo ends.\n");
        text.push_str(DEFAULTS);
        text.push_str("listen: {address: \"127.0.0.1:0\"}\ndependencies:\n");
        for scene in &self.scenes {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  - name: {}\n    url: {}", scene.name, scene.url);
            for setting in &scene.settings {
                let _ = writeln!(text, "    {setting}");
            }
        }
        text
    }

    /// Writes the configuration file and returns its path; it goes with the lab.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_config(&self) -> io::Result<PathBuf> {
        self.directory.write("whyd.yaml", &self.config_yaml())
    }

    /// The PEM file of the authority that the lab's sound certificates come from.
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// What each dependency should show, by name. For tests: nothing that is printed may come from it.
    pub fn expected(&self) -> Vec<(&'static str, ExpectedVerdict)> {
        self.scenes
            .iter()
            .map(|scene| (scene.name, scene.expected))
            .collect()
    }

    /// Exchanges the behaviours of two HTTP servers; `false` when one of the names is not one of theirs.
    pub fn swap(&self, one: &str, other: &str) -> bool {
        let (Some(one), Some(other)) = (self.http(one), self.http(other)) else {
            return false;
        };
        let behaviour = one.behaviour();
        one.set_behaviour(other.behaviour());
        other.set_behaviour(behaviour);
        true
    }

    fn http(&self, name: &str) -> Option<&HttpServer> {
        let scene = self.scenes.iter().find(|scene| scene.name == name)?;
        match &scene.behind {
            Behind::Http(server) => Some(server),
            _ => None,
        }
    }
}

/// The ones that answer, two of them only at a second look.
async fn answering(root: &Authority) -> Result<Vec<Scene>, DemoLabError> {
    let reused = https(root, TLS_NAME, "healthy-reused", answers(None)).await?;
    let flaky = Behaviour::FlakyThenOk {
        failures: 2,
        status: 503,
        // A host's retry budget earns 0.2 a probe: with more failures than this it would run dry after a while.
        successes: 10,
    };
    let retried = ExpectedVerdict {
        verdict: Verdict::RetriedOk,
        cause: Some(Cause::Http503),
    };
    let idle = IdleClose {
        after: Duration::from_millis(700),
        ending: Ending::Fin,
    };
    let options = HttpOptions {
        idle: Some(idle),
        ..HttpOptions::default()
    };
    let closing = HttpServer::start(Behaviour::ok(), options).await?;
    let url = format!("http://{}/", closing.address());
    let stale = answers(Some(Cause::TcpClosedStale));
    Ok(vec![
        Scene::plain("healthy", Behaviour::ok(), answers(None)).await?,
        reused.with("keepalive: {reuse: true}"),
        Scene::plain("flaky-503", flaky, retried)
            .await?
            .with("interval: 1s")
            .with("timeouts: {attempt: 900ms, total: 1s}")
            .with("retry: {attempts: 3}"),
        Scene::new("stale-keepalive", url, stale, Behind::Http(closing)).with("keepalive: {reuse: true}"),
    ])
}

/// The ones that are not reached.
async fn unreachable() -> Result<Vec<Scene>, DemoLabError> {
    let refused = RefusedPort::reserve()?;
    let full = FullBacklog::start().await?;
    let nameserver = dns::start([("api.lab.test", dns::Reply::a([127, 0, 0, 1]))]).await?;
    let denying = proxy::start(ProxyBehaviour::denied()).await?;
    let (refused_url, full_url) = (plain_url(refused.address()), plain_url(full.address()));
    let servers = format!("resolve: {{servers: [\"{}\"]}}", nameserver.address());
    let through = format!("proxy: http://{}", denying.address());
    Ok(vec![
        Scene::new(
            "refused",
            refused_url,
            fails(Cause::TcpRefusedRst),
            Behind::Refused { _port: refused },
        ),
        Scene::new(
            "full-backlog",
            full_url,
            fails(Cause::TcpTimedOut),
            Behind::Full { _backlog: full },
        ),
        Scene::new(
            "unknown-name",
            // One letter off the name that the others have, as misspelt hosts are.
            "http://apl.lab.test/".to_owned(),
            fails(Cause::DnsNxdomain),
            Behind::Dns { _server: nameserver },
        )
        .with(servers),
        Scene::new(
            "proxy-denies",
            format!("https://{TLS_NAME}/"),
            fails(Cause::ProxyConnectDenied),
            Behind::Proxy { _server: denying },
        )
        .with(through),
    ])
}

/// The ones with which no secure connection can be agreed upon.
async fn badly_secured(root: &Authority) -> Result<Vec<Scene>, DemoLabError> {
    let expired = CertSpec::named([TLS_NAME]).expired(Duration::from_secs(3 * 86_400));
    let expired = serve_tls(root, expired, TlsOptions::default()).await?;
    let stranger = Authority::new("somebody else's CA")?;
    let untrusted = serve_tls(&stranger, CertSpec::named([TLS_NAME]), TlsOptions::default()).await?;
    let wants_client = TlsOptions {
        client_authorities: Some(root.pem()),
        ..TlsOptions::default()
    };
    let wants_client = serve_tls(root, CertSpec::named([TLS_NAME]), wants_client).await?;
    let plain = HttpServer::plain(Behaviour::ok()).await?;
    let secure = serve_tls(root, CertSpec::named([TLS_NAME]), TlsOptions::default()).await?;
    let secure_url = plain_url(secure.address());
    Ok(vec![
        https_scene("expired-cert", fails(Cause::TlsCertExpired), expired),
        https(
            root,
            "other.lab.test",
            "wrong-host-cert",
            fails(Cause::TlsCertNameInvalid),
        )
        .await?,
        https_scene("untrusted-root", fails(Cause::TlsCertUnknownRoot), untrusted),
        https_scene(
            "no-client-cert",
            fails(Cause::TlsClientCertRequired),
            wants_client,
        ),
        https_scene("plain-on-tls", fails(Cause::TlsPlaintextPeer), plain),
        Scene::new(
            "http-to-tls",
            secure_url,
            fails(Cause::HttpTlsPeer),
            Behind::Http(secure),
        ),
    ])
}

/// The ones that are reached and answer badly or not at all.
async fn badly_answering() -> Result<Vec<Scene>, DemoLabError> {
    let slow = Behaviour::SlowFirstByte {
        wait: Duration::from_secs(30),
    };
    let limited = Behaviour::TooMany {
        retry_after: "30".to_owned(),
    };
    let truncated = Behaviour::Truncated {
        content_length: 1000,
        sent: 400,
    };
    let stalled = Behaviour::BodyStall { sent: 400 };
    let unfit = grpc::start(GrpcBehaviour::Health(2), None).await?;
    let url = format!("grpc://{}/shop.Cart", unfit.address());
    let unfit = Behind::Grpc { _server: unfit };
    Ok(vec![
        Scene::new("grpc-unfit", url, fails(Cause::GrpcNotServing), unfit),
        Scene::plain("slow-first-byte", slow, fails(Cause::HttpTimedOutFirstByte)).await?,
        Scene::plain("rate-limited", limited, fails(Cause::Http429)).await?,
        Scene::plain(
            "truncated-body",
            truncated,
            fails(Cause::HttpContentLengthMismatch),
        )
        .await?,
        Scene::plain(
            "redirect-loop",
            Behaviour::RedirectLoop,
            fails(Cause::HttpRedirectLoop),
        )
        .await?,
        Scene::plain("body-stall", stalled, fails(Cause::HttpTimedOutBodyStall)).await?,
    ])
}

fn plain_url(address: SocketAddr) -> String {
    format!("http://{address}/")
}

/// A sound server whose certificate is for `name`.
async fn https(
    root: &Authority,
    name: &str,
    dependency: &'static str,
    expected: ExpectedVerdict,
) -> Result<Scene, DemoLabError> {
    let server = serve_tls(root, CertSpec::named([name]), TlsOptions::default()).await?;
    Ok(https_scene(dependency, expected, server))
}

/// A server asked by [`TLS_NAME`], which is put in the place of its address.
fn https_scene(name: &'static str, expected: ExpectedVerdict, server: HttpServer) -> Scene {
    let url = format!("https://{TLS_NAME}:{}/", server.address().port());
    Scene::new(name, url, expected, Behind::Http(server)).with("resolve: {addresses: [127.0.0.1]}")
}

async fn serve_tls(
    authority: &Authority,
    spec: CertSpec,
    options: TlsOptions<'_>,
) -> Result<HttpServer, DemoLabError> {
    let issued = authority.issue(spec)?;
    // With its root in the chain, an authority that nobody trusts is told apart from a missing intermediate.
    let chain = format!("{}{}", issued.chain_pem, authority.pem());
    let options = HttpOptions {
        tls: Some(ServerTls::new(&chain, &issued.key_pem, options)?),
        explain_plain_http: true,
        idle: None,
    };
    Ok(HttpServer::start(Behaviour::ok(), options).await?)
}

/// A path as a double-quoted YAML scalar, which a JSON string is.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}

#[cfg(test)]
mod tests;
