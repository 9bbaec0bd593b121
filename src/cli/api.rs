//! A running daemon, asked over its API.

use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serde_json::Value as Json;

use super::args::ApiArgs;
use super::output::complain;
use super::{USAGE, wiring};
use crate::export::otlp::http::client;
use crate::model::dependency::TlsSettings;
use crate::model::secret::SecretRef;
use crate::net::sanitize::{error_chain, foreign_text};
use crate::net::secret::Secrets;

/// No daemon answers there (EX_UNAVAILABLE of sysexits.h).
pub const NO_ANSWER: u8 = 69;
/// The daemon answered, and would not do it.
pub const NOT_DONE: u8 = 1;

/// For one request with its answer.
const LIMIT: Duration = Duration::from_secs(30);
/// Bytes of an answer. The largest are lists of incidents with thousands of members.
const ANSWER: usize = 64 * 1024 * 1024;
/// Characters of what another server than ours says.
const SAID: usize = 300;

/// Where to ask, and with which credentials. It has no `Debug`: it holds a secret.
pub struct Api {
    client: Client,
    base: Url,
    credentials: Credentials,
}

enum Credentials {
    None,
    Basic(String, String),
    Bearer(String),
}

/// Why there is no answer to be printed.
#[derive(Debug)]
pub enum Trouble {
    /// The command line is at fault.
    Usage(String),
    /// Nobody answers, or nobody who is a whyd.
    NoAnswer(String),
    /// The daemon would not: its words.
    NotDone(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Trouble::Usage(text) | Trouble::NoAnswer(text) | Trouble::NotDone(text)) = self;
        f.write_str(text)
    }
}

impl Trouble {
    /// Says it on standard error; the exit status that goes with it.
    pub fn exit(&self) -> ExitCode {
        complain(&self.to_string());
        match self {
            Trouble::Usage(_) => USAGE.into(),
            Trouble::NoAnswer(_) => NO_ANSWER.into(),
            Trouble::NotDone(_) => NOT_DONE.into(),
        }
    }
}

impl Api {
    /// # Errors
    /// The URL is none, a file cannot be read, or credentials are incomplete.
    pub fn new(args: &ApiArgs) -> Result<Api, Trouble> {
        let base = base(&args.url).map_err(Trouble::Usage)?;
        let credentials = credentials(args).map_err(Trouble::Usage)?;
        let tls = TlsSettings {
            ca: args.ca.iter().cloned().collect(),
            ..TlsSettings::default()
        };
        let client = client(&tls).map_err(|error| Trouble::Usage(error.to_string()))?;
        Ok(Api {
            client,
            base,
            credentials,
        })
    }

    /// What is at that path; the segments are escaped.
    pub async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Json, Trouble> {
        let mut url = self.at(path);
        url.query_pairs_mut().extend_pairs(query);
        self.ask(self.client.get(url)).await
    }

    pub async fn post(&self, path: &[&str], body: &Json) -> Result<Json, Trouble> {
        let request = self.client.post(self.at(path));
        let request = request.header("content-type", "application/json");
        self.ask(request.body(body.to_string())).await
    }

    pub async fn delete(&self, path: &[&str]) -> Result<Json, Trouble> {
        self.ask(self.client.request(Method::DELETE, self.at(path))).await
    }

    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Only URLs that cannot be a base have no path; `base` has refused those.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        url
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Json, Trouble> {
        let request = match &self.credentials {
            Credentials::None => request,
            Credentials::Basic(user, password) => request.basic_auth(user, Some(password)),
            Credentials::Bearer(token) => request.bearer_auth(token),
        };
        let answer = request
            .timeout(LIMIT)
            .send()
            .await
            .map_err(|error| self.no_answer(&error))?;
        let status = answer.status();
        let body = read(answer).await.map_err(|error| self.no_answer(&error))?;
        let parsed: Option<Json> = serde_json::from_slice(&body).ok();
        match (status.is_success(), parsed) {
            (true, Some(json)) => Ok(json),
            (false, Some(json)) if json["error"].is_string() => Err(self.refused(status, &json)),
            _ => Err(Trouble::NoAnswer(format!(
                "what answers at {} is no whyd: {status}, {}",
                self.base,
                foreign_text(&body, SAID)
            ))),
        }
    }

    fn refused(&self, status: StatusCode, answer: &Json) -> Trouble {
        let said = foreign_text(answer["error"].as_str().unwrap_or_default().as_bytes(), 4 * SAID);
        match status {
            StatusCode::UNAUTHORIZED => Trouble::NotDone(format!(
                "whyd at {} wants credentials, and {}: --user with --password-file, or --token-file",
                self.base,
                match self.credentials {
                    Credentials::None => "none were given",
                    Credentials::Basic(..) | Credentials::Bearer(_) => "does not take those that were given",
                }
            )),
            StatusCode::SERVICE_UNAVAILABLE => Trouble::NoAnswer(format!("whyd at {}: {said}", self.base)),
            _ => Trouble::NotDone(said.into()),
        }
    }

    fn no_answer(&self, error: &reqwest::Error) -> Trouble {
        let chain = error_chain(error);
        // The first says that sending failed, and the URL; the last what really happened.
        let why = chain.last().map(|why| &**why).unwrap_or("no answer");
        Trouble::NoAnswer(format!(
            "no whyd answers at {}: {}; --url or WHYD_URL says where it listens",
            self.base,
            if error.is_timeout() {
                "no answer in time"
            } else {
                why
            },
        ))
    }
}

/// Its URL, to which paths are added. Credentials have options of their own, since a URL ends up in histories and lists of
/// processes.
fn base(text: &str) -> Result<Url, String> {
    let parsed = Url::parse(text).map_err(|error| format!("--url: {text:?} is not a URL: {error}"));
    let url = parsed?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        Err(format!("--url: {text:?} is not an http:// or https:// URL"))
    } else if !url.username().is_empty() || url.password().is_some() {
        Err(
            "--url: credentials do not belong in the URL: use --user with --password-file, or --token-file"
                .to_owned(),
        )
    } else if url.query().is_some() || url.fragment().is_some() {
        Err("--url: the address of the listener is needed, without a query".to_owned())
    } else {
        Ok(url)
    }
}

fn credentials(args: &ApiArgs) -> Result<Credentials, String> {
    let secret = |path: &std::path::Path| {
        let secret = Secrets::new().resolve(&SecretRef::File(path.to_owned()));
        secret
            .map(|secret| secret.expose().to_owned())
            .map_err(|error| error.to_string())
    };
    let token = std::env::var("WHYD_TOKEN").ok().filter(|token| !token.is_empty());
    match (&args.token_file, &args.user, &args.password_file) {
        (Some(_), Some(_), _) => Err("either --token-file or --user, not both".to_owned()),
        (Some(path), None, _) => Ok(Credentials::Bearer(secret(path)?)),
        (None, Some(user), Some(path)) => Ok(Credentials::Basic(user.clone(), secret(path)?)),
        (None, Some(_), None) => Err("--user needs --password-file".to_owned()),
        (None, None, Some(_)) => Err("--password-file needs --user".to_owned()),
        (None, None, None) => Ok(token.map_or(Credentials::None, Credentials::Bearer)),
    }
}

async fn read(mut answer: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER {
            body.truncate(ANSWER);
            break;
        }
    }
    Ok(body)
}

/// Runs what asks, on a runtime of its own.
pub fn run<T>(args: &ApiArgs, work: impl AsyncFnOnce(Arc<Api>) -> Result<T, Trouble>) -> Result<T, Trouble> {
    let ran = wiring::in_runtime(async {
        let api = Api::new(args)?;
        work(Arc::new(api)).await
    });
    ran.unwrap_or_else(|error| Err(Trouble::NoAnswer(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_of_a_listener_is_taken() {
        assert!(base("http://127.0.0.1:9477").is_ok());
        assert!(base("https://whyd.internal/behind/").is_ok());
        for wrong in [
            "127.0.0.1:9477",
            "ftp://host",
            "http://u:p@host",
            "http://host/?q=1",
            "unix:/run/whyd",
            "",
        ] {
            let error = base(wrong).expect_err(wrong);
            assert!(error.starts_with("--url: ") && !error.contains("u:p"), "{error}");
        }
    }

    #[test]
    fn paths_are_added_to_what_is_there_and_escaped() {
        let api = |url: &str| Api {
            client: client(&TlsSettings::default()).expect("a client"),
            base: base(url).expect("a URL"),
            credentials: Credentials::None,
        };
        assert_eq!(
            api("http://127.0.0.1:9477").at(&["alerts"]).as_str(),
            "http://127.0.0.1:9477/api/v1/alerts"
        );
        assert_eq!(
            api("https://a/behind/").at(&["silences", "a/../b"]).as_str(),
            "https://a/behind/api/v1/silences/a%2F..%2Fb"
        );
    }
}
