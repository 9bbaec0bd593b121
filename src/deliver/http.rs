//! Requests to receivers: clients that are kept by their settings, what a request carries, and how an answer is read.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::http::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT,
};
use ::http::{Method, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Client, Proxy, Url, redirect};

use crate::model::dependency::TlsSettings;
use crate::model::receiver::{WebAuth, WebTarget};
use crate::net::client_tls::client_config;
use crate::net::retry_after::retry_after;
use crate::net::sanitize::{error_chain, foreign_text};
use crate::net::stamp::FileStamp;
use crate::net::wall;

use super::trip::{NotTaken, Trip};

/// As every request of ours says who asks.
pub const AGENT: &str = concat!(
    "whyd/",
    env!("CARGO_PKG_VERSION"),
    " (+",
    env!("CARGO_PKG_REPOSITORY"),
    ")"
);
/// How much of an answer is read, in bytes. What matters stands at its beginning.
const ANSWER_BYTES: usize = 16 * 1024;
/// How long the body of an answer may take, once its status is known: the status decides.
const BODY_TIME: Duration = Duration::from_secs(2);
/// Characters of an answer that are shown.
const FIRST_WORDS: usize = 160;
/// From so many bytes on a part of a URL may be a token, and not a word such as `webhooks`, of which errors speak too.
const TOKEN: usize = 12;
/// Clients that are kept. More settings than these are not in one plan, so that the oldest is left over.
const MOST_CLIENTS: usize = 64;

/// HTTP clients by their settings, so that connections are kept between deliveries.
#[derive(Debug, Default)]
pub struct Clients(Mutex<Vec<(Settings, Client)>>);

#[derive(Debug, PartialEq)]
struct Settings {
    tls: TlsSettings,
    /// Of the certificate files: a client is made anew when one was replaced.
    files: Vec<(PathBuf, Option<FileStamp>)>,
    proxy: Option<String>,
}

impl Settings {
    fn of(target: &WebTarget) -> Settings {
        let own = target.tls.client_cert.iter();
        let own = own.flat_map(|files| [&files.chain, &files.key]);
        let stamped = |path: &PathBuf| (path.clone(), FileStamp::of(path).ok());
        Settings {
            tls: target.tls.clone(),
            files: target.tls.ca.iter().chain(own).map(stamped).collect(),
            proxy: target.proxy.as_deref().map(str::to_owned),
        }
    }
}

impl Clients {
    fn client(&self, target: &WebTarget) -> Result<Client, NotTaken> {
        let settings = Settings::of(target);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = kept.iter().find(|(known, _)| *known == settings) {
            return Ok(client.clone());
        }
        let client = make(&settings)?;
        if kept.len() >= MOST_CLIENTS {
            kept.remove(0);
        }
        kept.push((settings, client.clone()));
        Ok(client)
    }
}

/// No proxy of the environment, no redirects (a secret is for whom it was given, and a POST that becomes a GET tells
/// nobody), no Referer.
fn make(settings: &Settings) -> Result<Client, NotTaken> {
    let tls = client_config(&settings.tls, &[b"h2", b"http/1.1"])
        .map_err(|error| NotTaken::later(format!("TLS: {error}")))?;
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false);
    if let Some(url) = &settings.proxy {
        let proxy =
            Proxy::all(url).map_err(|_| NotTaken::never("the proxy's URL cannot be used".to_owned()))?;
        builder = builder.proxy(proxy);
    }
    builder
        .build()
        .map_err(|error| NotTaken::never(format!("no HTTP client: {}", error_chain(&error).join(": "))))
}

/// A request, without what its target adds to it.
pub struct Call {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    /// JSON.
    pub body: Option<Vec<u8>>,
}

impl Call {
    pub fn post(url: Url, body: Vec<u8>) -> Call {
        Call {
            method: Method::POST,
            url,
            headers: HeaderMap::new(),
            body: Some(body),
        }
    }

    /// With another header. A value that cannot be one is left out: those given here are our own.
    pub fn header(mut self, name: &'static str, value: &str) -> Call {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }
}

/// What a receiver answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    pub headers: HeaderMap,
    /// Its first bytes.
    pub body: Vec<u8>,
    /// Scheme, host and port of whom was asked.
    origin: String,
}

impl Answer {
    /// What follows from the status alone.
    pub fn judged(&self) -> Result<(), NotTaken> {
        let status = self.status;
        if status.is_success() {
            return Ok(());
        }
        let why = self.words();
        let later = status.is_server_error()
            || matches!(
                status,
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
            );
        Err(if later {
            NotTaken::Later {
                why,
                retry_after: self.retry_after,
            }
        } else {
            NotTaken::Never { why }
        })
    }

    /// Who answered what, in one line.
    pub fn words(&self) -> String {
        let mut words = format!("{} answered {}", self.origin, self.status);
        if self.status.is_redirection() {
            words.push_str(", and redirects are not followed");
            let target = self.headers.get(LOCATION).and_then(|value| value.to_str().ok());
            if let Some(url) = target.and_then(|target| Url::parse(target).ok()) {
                words.push_str(&format!(": it points to {}", origin(&url)));
            }
            return words;
        }
        let said = first_words(&self.body);
        if !said.is_empty() {
            words.push_str(&format!(": {said}"));
        }
        words
    }
}

/// The first words of an answer: of a page its title.
fn first_words(body: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if !text.starts_with('<') {
        return foreign_text(text.as_bytes(), FIRST_WORDS);
    }
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        let end = start + lower[start..].find("</title>")?;
        text.get(start..end)
    });
    foreign_text(title.unwrap_or_default().trim().as_bytes(), FIRST_WORDS)
}

/// Scheme, host and port: all of a URL that may be shown.
pub fn origin(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

impl Trip<'_> {
    /// The target's URL as it is now. Its path and query are not shown from here on: they may be the secret.
    pub fn url(&mut self, target: &WebTarget) -> Result<Url, NotTaken> {
        let text = self.text(&target.url)?;
        let url = Url::parse(text.trim())
            .map_err(|error| NotTaken::never(format!("the URL cannot be used: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(NotTaken::never("the URL is not one of http:// or https://"));
        }
        self.hide(&url[url::Position::BeforePath..]);
        for segment in url.path_segments().into_iter().flatten() {
            if segment.len() >= TOKEN {
                self.hide(segment);
            }
        }
        if let Some(query) = url.query() {
            self.hide(query);
        }
        for (_, value) in url.query_pairs().filter(|(_, value)| value.len() >= TOKEN) {
            self.hide(&value);
        }
        if let Some(password) = url.password() {
            self.hide(password);
        }
        Ok(url)
    }

    /// Sends it, and gives whatever is answered.
    pub async fn send(&mut self, target: &WebTarget, call: Call) -> Result<Answer, NotTaken> {
        let client = self.deliverer.clients.client(target)?;
        let from = origin(&call.url);
        let headers = self.headers(target, call.headers)?;
        let mut request = client.request(call.method, call.url);
        if let Some(body) = call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let answer = request.headers(headers).send().await;
        let answer = answer.map_err(|error| {
            let chain = error_chain(&error.without_url());
            NotTaken::later(format!("{from}: {}", chain.join(": ")))
        })?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok(Answer {
            status,
            retry_after: headers
                .get(RETRY_AFTER)
                .and_then(|value| retry_after(value, wall::now())),
            headers,
            body: read(answer).await,
            origin: from,
        })
    }

    /// What the target adds stands over what the channel wants, and over the usual.
    fn headers(&mut self, target: &WebTarget, own: HeaderMap) -> Result<HeaderMap, NotTaken> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.extend(own);
        let authorization = match &target.auth {
            WebAuth::None => None,
            WebAuth::Basic { user, password } => {
                let password = self.secret(password)?;
                let both = BASE64_STANDARD.encode(format!("{user}:{}", password.expose()));
                self.hide(&both);
                Some(format!("Basic {both}"))
            }
            WebAuth::Bearer(token) => Some(format!("Bearer {}", self.secret(token)?.expose())),
        };
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, sensitive("Authorization", &value)?);
        }
        for (name, value) in target.headers.iter() {
            let key: HeaderName = name
                .parse()
                .map_err(|_| NotTaken::never(format!("the header name {name:?} cannot be used")))?;
            let value = self.text(value)?;
            headers.insert(key, sensitive(name, &value)?);
        }
        Ok(headers)
    }
}

/// A header's value that no debugging output shows.
pub fn sensitive(name: &str, value: &str) -> Result<HeaderValue, NotTaken> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| NotTaken::never(format!("the value of the header {name} cannot be sent")))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The first bytes of the body; what cannot be read in time is no reason to take a success for a failure.
async fn read(mut answer: reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    let reading = async {
        while let Ok(Some(chunk)) = answer.chunk().await {
            let room = ANSWER_BYTES - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == ANSWER_BYTES {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(BODY_TIME, reading).await;
    body
}

/// The URL with that behind its path.
pub fn join(url: &Url, path: &str) -> Url {
    let mut joined = url.clone();
    joined.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
    joined
}
