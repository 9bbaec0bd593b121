//! How the API of Kubernetes is reached: the one place where a client of it is made, and what its failures are called.
//!
//! In a pod the service account that Kubernetes mounts there says who we are; elsewhere a kubeconfig does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use kube::client::AuthError;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config, Error};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::{crypto, sanitize};

/// Where Kubernetes mounts the service account of a pod
/// (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/).
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// For a connection to the API to stand. It is near, or there is nothing to wait for.
const CONNECT: Duration = Duration::from_secs(10);
/// Silence on a connection after which it counts as lost. Longer than a watch asks the API to keep quiet.
const READ: Duration = Duration::from_secs(130);
const WRITE: Duration = Duration::from_secs(30);
/// How long a watch lasts before the API is asked to end it, in seconds. A network that drops connections in silence is
/// noticed 5 s after that, so that changes are seen late by that much at worst.
pub const WATCH_SECONDS: u32 = 120;

/// Longest text of the API's that is shown, in characters.
const LONGEST: usize = 300;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoAccess(Box<str>);

/// A client by that kubeconfig; without one by the pod's service account, or else by the kubeconfig of the environment
/// (`KUBECONFIG`, `~/.kube/config`). It asks nothing yet. Tokens in files are read again as they are rotated: by the client
/// within a minute, and at once by a new client. Must be called within a tokio runtime.
///
/// # Errors
/// There is no service account and no kubeconfig, or it cannot be used. Nothing of its secrets is told.
pub async fn client(kubeconfig: Option<&Path>) -> Result<Client, NoAccess> {
    crypto::install();
    let config = match kubeconfig {
        Some(path) => from_file(path).await?,
        None if in_a_pod() => of_the_pod(Path::new(SERVICE_ACCOUNT))?,
        None => of_the_environment().await?,
    };
    with_manners(config)
}

/// A client by a service account that is mounted there, as in a pod whose API is at that URL.
///
/// # Errors
/// As of [`client`].
pub fn client_of_account(url: &str, directory: &Path) -> Result<Client, NoAccess> {
    crypto::install();
    with_manners(of_account(url, directory)?)
}

fn with_manners(mut config: Config) -> Result<Client, NoAccess> {
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(READ);
    config.write_timeout = Some(WRITE);
    config.reset_reader_on_write = true;
    // Who asks knows when to ask again, and says meanwhile that it could not; the client's own would be silent for minutes.
    config.default_retry = false;
    let agent = concat!("whyd/", env!("CARGO_PKG_VERSION"));
    config.headers.push((USER_AGENT, HeaderValue::from_static(agent)));
    Client::try_from(config).map_err(|error| NoAccess(Trouble::of(&error).to_string().into()))
}

/// The variables that Kubernetes sets in every container.
fn in_a_pod() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() && Path::new(SERVICE_ACCOUNT).join("token").exists()
}

fn of_the_pod(directory: &Path) -> Result<Config, NoAccess> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let host = variable("KUBERNETES_SERVICE_HOST");
    let bracketed = if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    };
    let port = variable("KUBERNETES_SERVICE_PORT");
    let port = if port.is_empty() { "443" } else { &port };
    of_account(&format!("https://{bracketed}:{port}"), directory)
}

fn of_account(url: &str, directory: &Path) -> Result<Config, NoAccess> {
    let url = url.parse().map_err(|error| {
        NoAccess(
            format!("the address of the API is not one ({error}): look at KUBERNETES_SERVICE_HOST").into(),
        )
    })?;
    let mut config = Config::new(url);
    let (token, ca) = (directory.join("token"), directory.join("ca.crt"));
    for file in [&token, &ca] {
        std::fs::metadata(file).map_err(|error| unreadable("the service account's", file, &error))?;
    }
    let pem = std::fs::read(&ca).map_err(|error| unreadable("the service account's", &ca, &error))?;
    let roots = CertificateDer::pem_slice_iter(&pem)
        .filter_map(Result::ok)
        .map(|der| der.to_vec());
    config.root_cert = Some(roots.collect());
    // Both are read again while the client lives.
    config.auth_info.token_file = Some(token.to_string_lossy().into_owned());
    config.root_cert_file = Some(ca);
    if let Ok(namespace) = std::fs::read_to_string(directory.join("namespace")) {
        config.default_namespace = namespace.trim().to_owned();
    }
    Ok(config)
}

fn unreadable(whose: &str, file: &Path, error: &std::io::Error) -> NoAccess {
    NoAccess(format!("cannot read {whose} {}: {error}", file.display()).into())
}

async fn from_file(path: &Path) -> Result<Config, NoAccess> {
    let told = |error: &KubeconfigError| NoAccess(in_kubeconfig(&path.display().to_string(), error));
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| told(&error))?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|error| told(&error))
}

async fn of_the_environment() -> Result<Config, NoAccess> {
    let path = std::env::var_os("KUBECONFIG").filter(|set| !set.is_empty());
    let standard = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube/config"));
    if path.is_none() && !standard.is_some_and(|path| path.exists()) {
        let why = if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
            "this pod has no token of a service account: set `automountServiceAccountToken: true`, or name a `kubeconfig`"
        } else {
            "this is no pod, and there is no kubeconfig: name one as `kubeconfig`, or set KUBECONFIG"
        };
        return Err(NoAccess(why.into()));
    }
    let name = path.map_or_else(
        || "~/.kube/config".to_owned(),
        |path| path.to_string_lossy().into_owned(),
    );
    Config::from_kubeconfig(&KubeConfigOptions::default())
        .await
        .map_err(|error| NoAccess(in_kubeconfig(&name, &error)))
}

/// What is wrong with a kubeconfig. A parser's message shows lines of the file, which holds secrets.
fn in_kubeconfig(name: &str, error: &KubeconfigError) -> Box<str> {
    match error {
        KubeconfigError::Parse(error) => {
            let at = error.location().map(|at| format!(", line {}", at.line()));
            format!("{name} is not a kubeconfig{}", at.unwrap_or_default()).into()
        }
        KubeconfigError::ReadConfig(error, _) => format!("cannot read the kubeconfig {name}: {error}").into(),
        other => format!("the kubeconfig {name} cannot be used: {}", chain(other)).into(),
    }
}

/// Why the API did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// 401: it does not know us (any more).
    Unauthorized,
    /// 403, in the API's words, which name the right that is missing.
    Forbidden(Box<str>),
    /// 404: nothing of this kind is served, or there is no such object.
    Missing,
    /// 409: somebody else has changed the object, or it exists.
    Conflict,
    /// 410: the revision is gone from the API's memory.
    Gone,
    /// Another status with the API's words.
    Refused(u16, Box<str>),
    /// There was no answer, and why.
    Unreachable(Box<str>),
    /// What was answered could not be understood.
    Garbled(Box<str>),
    /// We could not say who we are.
    Credentials(Box<str>),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Unauthorized => write!(f, "the API does not accept our token (401 Unauthorized)"),
            Trouble::Forbidden(message) => write!(f, "{message}"),
            Trouble::Missing => write!(f, "the API serves nothing of this kind (404)"),
            Trouble::Conflict => write!(f, "the object was changed meanwhile (409)"),
            Trouble::Gone => write!(f, "the API has forgotten this revision (410)"),
            Trouble::Refused(code, message) => write!(f, "the API answers {code}: {message}"),
            Trouble::Unreachable(why) => write!(f, "the API cannot be reached: {why}"),
            Trouble::Garbled(why) => write!(f, "the API's answer cannot be understood: {why}"),
            Trouble::Credentials(why) => write!(f, "{why}"),
        }
    }
}

impl Trouble {
    pub fn of(error: &Error) -> Trouble {
        match error {
            Error::Api(status) => Trouble::of_status(status),
            Error::SerdeError(error) => Trouble::Garbled(text(&error.to_string())),
            Error::FromUtf8(error) => Trouble::Garbled(text(&error.to_string())),
            Error::Auth(error) => Trouble::Credentials(of_credentials(error)),
            Error::InferConfig(error) => Trouble::Credentials(chain(error)),
            Error::InferKubeconfig(error) => Trouble::Credentials(in_kubeconfig("of whyd", error)),
            // Credentials are sought again for each request, below the client's other services.
            Error::Service(error) => match error.downcast_ref::<AuthError>() {
                Some(error) => Trouble::Credentials(of_credentials(error)),
                None => Trouble::Unreachable(chain(&**error)),
            },
            other => Trouble::Unreachable(chain(other)),
        }
    }

    pub fn of_status(status: &kube::core::Status) -> Trouble {
        match status.code {
            401 => Trouble::Unauthorized,
            403 => Trouble::Forbidden(text(&status.message)),
            404 => Trouble::Missing,
            409 => Trouble::Conflict,
            410 => Trouble::Gone,
            code => Trouble::Refused(code, text(&status.message)),
        }
    }
}

/// What a command for credentials prints may be a token, and so may its arguments: neither is shown.
fn of_credentials(error: &AuthError) -> Box<str> {
    match error {
        AuthError::AuthExecRun { out, .. } => {
            format!("the kubeconfig's command for credentials failed: {}", out.status).into()
        }
        AuthError::AuthExecParse(_) | AuthError::ParseTokenKey(_) => {
            "what the kubeconfig's command for credentials printed cannot be understood".into()
        }
        other => format!("credentials for the API: {}", chain(other)).into(),
    }
}

fn text(message: &str) -> Box<str> {
    sanitize::foreign_text(sanitize::scrub_url(message).as_bytes(), LONGEST)
}

fn chain(error: &(dyn std::error::Error + 'static)) -> Box<str> {
    text(&sanitize::error_chain(error).join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn wrong(kubeconfig: &str) -> String {
        let name = format!("whyd-kubeconfig-{}-{:p}", std::process::id(), kubeconfig);
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, kubeconfig).expect("written");
        let told = client(Some(&path)).await.err().expect("no client").to_string();
        std::fs::remove_file(&path).expect("removed");
        told.replace(&*path.to_string_lossy(), "FILE")
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_kubeconfig_is_told_without_its_secrets() {
        let unreadable = client(Some(Path::new("/nowhere/at/all")))
            .await
            .err()
            .expect("no client");
        assert!(
            unreadable
                .to_string()
                .starts_with("cannot read the kubeconfig /nowhere/at/all: "),
            "{unreadable}"
        );
        let told = wrong("users: [{name: me, user: {token: s3cret}}]\nclusters: {{").await;
        assert!(told.starts_with("FILE is not a kubeconfig, line "), "{told}");
        let told = wrong(
            "{clusters: [{name: c, cluster: {server: 'https://me:s3cret@h ost/'}}], users: [{name: u, user: {token: s3cret}}],
              contexts: [{name: x, context: {cluster: c, user: u}}], current-context: x}",
        )
        .await;
        assert!(told.starts_with("the kubeconfig FILE cannot be used: "), "{told}");
        assert!(!told.contains("s3cret"), "{told}");
        let command = "{clusters: [{name: c, cluster: {server: 'http://h/'}}], contexts: [{name: x, context: {cluster: c, user: u}}],
            current-context: x, users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: sh,
            args: [-c, 'echo s3cret; exit 3'], interactiveMode: Never}}}]}";
        let told = wrong(command).await;
        assert!(told.contains("failed: exit status: 3"), "{told}");
        assert!(!told.contains("s3cret"), "{told}");
    }

    #[tokio::test]
    async fn a_service_account_that_is_not_there_is_named() {
        let told = client_of_account("https://127.0.0.1", Path::new("/nowhere"))
            .err()
            .expect("no client");
        assert!(
            told.to_string()
                .starts_with("cannot read the service account's /nowhere/token: "),
            "{told}"
        );
    }
}
