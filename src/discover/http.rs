//! A URL that answers with targets, as Prometheus's `http_sd_configs` ask for them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH};
use ::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Client, redirect};

use super::Telling;
use super::format::{self, Format};
use crate::model::discovery::{HttpSource, Target};
use crate::model::secret::{SecretRef, Text};
use crate::net::client_tls::client_config;
use crate::net::sanitize::error_chain;
use crate::net::secret::Secrets;
use crate::net::stamp::FileStamp;

/// How we say who asks.
const AGENT: &str = concat!(
    "whyd/",
    env!("CARGO_PKG_VERSION"),
    " (+",
    env!("CARGO_PKG_REPOSITORY"),
    ")"
);
/// One request with its answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer.
const LARGEST: usize = 64 << 20;
/// The first pause after a failure; each is twice the last, up to the refresh.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Redirects followed, which stay on the same host: a secret is for whom it was given.
const REDIRECTS: usize = 3;
/// Says how often we ask (prometheus.io, "HTTP SD", "Writing HTTP Service Discovery").
const INTERVAL_HEADER: HeaderName = HeaderName::from_static("x-prometheus-refresh-interval-seconds");

/// Asks again and again until nobody listens any more.
pub async fn run(source: Box<HttpSource>, telling: Telling) {
    let mut asker = Asker::new(source);
    let mut failures = 0_u32;
    loop {
        let heard = match asker.ask().await {
            Ok(targets) => {
                failures = 0;
                telling.found(targets).await
            }
            Err(why) => {
                failures = failures.saturating_add(1);
                telling.failed(why).await
            }
        };
        if !heard {
            return;
        }
        let pause = match failures {
            0 => asker.source.refresh,
            // A server that was away for a moment is not away for a whole refresh.
            _ => FIRST_PAUSE
                .saturating_mul(1 << (failures - 1).min(16))
                .min(asker.source.refresh),
        };
        tokio::time::sleep(pause).await;
    }
}

struct Asker {
    source: Box<HttpSource>,
    secrets: Secrets,
    /// With the stamps of the files that it was made of.
    client: Option<(Vec<Option<FileStamp>>, Client)>,
    /// What the server called its last answer, and what that was.
    last: Option<(HeaderValue, Arc<[Target]>)>,
}

impl Asker {
    fn new(source: Box<HttpSource>) -> Self {
        Asker {
            source,
            secrets: Secrets::new(),
            client: None,
            last: None,
        }
    }

    /// The URL without its query, which may hold a secret.
    fn name(&self) -> &str {
        self.source.url.split('?').next().unwrap_or_default()
    }

    async fn ask(&mut self) -> Result<Arc<[Target]>, String> {
        let headers = self.headers()?;
        let request = self.client()?.get(&*self.source.url).headers(headers);
        let answer = request.send().await.map_err(|error| self.told(error))?;
        let status = answer.status();
        if let Some((_, targets)) = self.last.as_ref().filter(|_| status == StatusCode::NOT_MODIFIED) {
            return Ok(Arc::clone(targets));
        }
        if status != StatusCode::OK {
            return Err(format!("{}: answered {status}, expected 200", self.name()));
        }
        let kind = answer.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let given: String = essence.chars().filter(|c| !c.is_control()).take(60).collect();
            return Err(format!(
                "{}: the answer's Content-Type is `{given}`, expected `application/json`",
                self.name()
            ));
        }
        let tag = answer.headers().get(ETAG).cloned();
        let body = self.body(answer).await?;
        let name = self.name().to_owned();
        let read = tokio::task::spawn_blocking(move || {
            let targets = format::read(&body, Format::Json, &name)?;
            Ok::<_, String>(format::identify(targets))
        });
        let targets = read
            .await
            .map_err(|_| "reading the answer failed by a bug".to_owned())??;
        self.last = tag.map(|tag| (tag, Arc::clone(&targets)));
        Ok(targets)
    }

    async fn body(&self, mut answer: reqwest::Response) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| self.told(error))? {
            if body.len() + part.len() > LARGEST {
                return Err(format!(
                    "{}: the answer is larger than {LARGEST} bytes",
                    self.name()
                ));
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    fn told(&self, error: reqwest::Error) -> String {
        // The outer text repeats the URL, query and all.
        let error = error.without_url();
        format!("{}: {}", self.name(), error_chain(&error).join(": "))
    }

    fn headers(&self) -> Result<HeaderMap, String> {
        let source = &self.source;
        let secret = |secret: &SecretRef| self.secrets.resolve(secret).map_err(|error| error.to_string());
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Ok(seconds) = HeaderValue::from_str(&source.refresh.as_secs_f64().to_string()) {
            headers.insert(INTERVAL_HEADER, seconds);
        }
        if let Some((tag, _)) = &self.last {
            headers.insert(IF_NONE_MATCH, tag.clone());
        }
        for (name, text) in source.headers.iter() {
            let value = match text {
                Text::Plain(text) => text.to_string(),
                Text::Secret(reference) => secret(reference)?.expose().to_owned(),
            };
            headers.insert(header_name(name)?, header_value(name, &value)?);
        }
        let authorization = match (&source.basic, &source.bearer) {
            (Some((user, password)), _) => {
                let pair = format!("{user}:{}", secret(password)?.expose());
                Some(format!("Basic {}", BASE64_STANDARD.encode(pair)))
            }
            (None, Some(token)) => Some(format!("Bearer {}", secret(token)?.expose())),
            (None, None) => None,
        };
        if let Some(text) = authorization {
            headers.insert(AUTHORIZATION, header_value("Authorization", &text)?);
        }
        Ok(headers)
    }

    /// The client, made anew when a certificate file was replaced.
    fn client(&mut self) -> Result<Client, String> {
        let tls = &self.source.tls;
        let own = tls
            .client_cert
            .iter()
            .flat_map(|files| [&files.chain, &files.key]);
        let stamp = |path: &PathBuf| FileStamp::of(path).ok();
        let stamps: Vec<_> = tls.ca.iter().chain(own).map(stamp).collect();
        if let Some((_, client)) = self.client.as_ref().filter(|(known, _)| *known == stamps) {
            return Ok(client.clone());
        }
        let name = self.name();
        let config =
            client_config(tls, &[b"h2", b"http/1.1"]).map_err(|error| format!("{name}: TLS: {error}"))?;
        let client = Client::builder()
            .tls_backend_preconfigured(config)
            .no_proxy()
            .referer(false)
            .redirect(redirect::Policy::custom(same_host))
            .timeout(TIMEOUT)
            .user_agent(AGENT)
            .build()
            .map_err(|error| format!("{name}: no HTTP client: {}", error_chain(&error).join(": ")))?;
        self.client = Some((stamps, client.clone()));
        Ok(client)
    }
}

fn same_host(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let origin = |url: &reqwest::Url| {
        (
            url.scheme().to_owned(),
            url.host_str().map(str::to_owned),
            url.port_or_known_default(),
        )
    };
    let same = attempt
        .previous()
        .first()
        .is_some_and(|first| origin(first) == origin(attempt.url()));
    if same && attempt.previous().len() <= REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no header's name"))
}

/// What cannot be sent is named by its header and not shown.
fn header_value(name: &str, text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| format!("the value of the header `{name}` cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
