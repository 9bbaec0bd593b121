//! Credentials of a request: basic, bearer, and tokens fetched with OAuth2 client credentials.
//!
//! A token request is an exchange like any other, over our own connections: when it fails, its hop says in which phase.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use tokio::time::Instant;

use crate::model::attempt::{ResponseFacts, Role, TokenTrouble, Trouble};
use crate::model::dependency::{
    Auth, ClientCredentials, HttpProbe, HttpVersion, ResolveSettings, TlsSettings,
};
use crate::model::phase::Phase;
use crate::model::secret::Secret;
use crate::net::sanitize::foreign_text;

use super::http::body::{self, Wanted};
use super::http::exchange::{Answer, Ask, ask};
use super::http::facts::response_facts;
use super::http::prepared::{Target, no_credentials};
use super::proxy::basic;
use super::run::{Halt, Run, halt};

/// A token is not used in the last moments before it expires.
const MARGIN: Duration = Duration::from_secs(30);
/// How long a token is used whose lifetime is not told (RFC 6749 leaves it open).
const UNTOLD_LIFETIME: Duration = Duration::from_secs(300);
const MAX_ANSWER: u64 = 64 * 1024;

/// The value of `Authorization`, if the dependency wants one.
pub(crate) async fn authorization(run: &mut Run<'_>, probe: &HttpProbe) -> Result<Option<HeaderValue>, Halt> {
    match &probe.auth {
        Auth::None => Ok(None),
        Auth::Basic { user, password } => {
            let password = run
                .world
                .secrets
                .resolve(password)
                .map_err(|err| no_credentials(format!("password: {err}")))?;
            Ok(Some(basic(user, password.expose())))
        }
        Auth::Bearer(token) => {
            let token = run
                .world
                .secrets
                .resolve(token)
                .map_err(|err| no_credentials(format!("bearer token: {err}")))?;
            bearer(&token).map(Some)
        }
        Auth::ClientCredentials(client) => {
            let token = token(run, probe, client).await?;
            bearer(&token).map(Some)
        }
    }
}

fn bearer(token: &Secret) -> Result<HeaderValue, Halt> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
        .map_err(|_| no_credentials("bearer token: it cannot be sent in a header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Tokens by client. The inner lock is held while one is fetched, so that dependencies with the same client wait for
/// one request instead of sending many.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<Key, Arc<tokio::sync::Mutex<Option<Token>>>>>);

/// Everything that decides which token is issued, except the secret.
type Key = (String, Arc<str>, String, Option<Arc<str>>);

struct Token {
    value: Secret,
    /// The secret with which it was asked for: a rotated one makes it void.
    secret: Secret,
    until: Instant,
}

impl Tokens {
    fn slot(&self, client: &ClientCredentials) -> Arc<tokio::sync::Mutex<Option<Token>>> {
        let key = (
            // With its query, which is never shown.
            format!("{}{}", client.token_url, client.token_url.path_and_query()),
            client.client_id.clone(),
            client.scopes.join(" "),
            client.audience.clone(),
        );
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(key).or_default().clone()
    }
}

/// Forgets the token of this probe, unless another request is just being made for it.
pub(crate) fn forget_token(run: &Run<'_>, probe: &HttpProbe) {
    if let Auth::ClientCredentials(client) = &probe.auth
        && let Ok(mut token) = run.world.tokens.slot(client).try_lock()
    {
        *token = None;
    }
}

async fn token(run: &mut Run<'_>, probe: &HttpProbe, client: &ClientCredentials) -> Result<Secret, Halt> {
    let secret = run
        .world
        .secrets
        .resolve(&client.client_secret)
        .map_err(|err| no_credentials(format!("client secret: {err}")))?;
    let slot = run.world.tokens.slot(client);
    // Who holds the lock is bound by its own attempt's end; we by ours.
    let end = run.end;
    let mut cached = match tokio::time::timeout_at(end.at, slot.lock()).await {
        Ok(cached) => cached,
        Err(_) => {
            let hop = run.add_hop(client.token_url.to_string().into(), Role::TokenEndpoint);
            return Err(halt(Phase::FirstByte, hop, Trouble::TimedOut(end.of)));
        }
    };
    if let Some(token) = &*cached
        && token.until > Instant::now()
        && token.secret == secret
    {
        return Ok(token.value.clone());
    }
    *cached = None;
    let fetched = fetch(run, probe, client, secret).await?;
    let value = fetched.value.clone();
    *cached = Some(fetched);
    Ok(value)
}

/// RFC 6749, section 4.4.2, with the client authenticated by HTTP Basic (section 2.3.1).
async fn fetch(
    run: &mut Run<'_>,
    probe: &HttpProbe,
    client: &ClientCredentials,
    secret: Secret,
) -> Result<Token, Halt> {
    let target = Arc::new(Target::new(client.token_url.clone())?);
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let credentials = basic(&encode(&client.client_id), &encode(secret.expose()));
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(header::HOST, target.authority.clone());
    if let Ok(user_agent) = HeaderValue::from_str(&probe.user_agent) {
        headers.insert(header::USER_AGENT, user_agent);
    }
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::AUTHORIZATION, credentials);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let request = Ask {
        target,
        role: Role::TokenEndpoint,
        method: Method::POST,
        headers,
        body: Bytes::from(form(client)),
        version: HttpVersion::Auto,
        proxy: probe.proxy.as_ref(),
        // The authorities are shared; who we are, and which name is meant, is the target's alone.
        tls: Cow::Owned(TlsSettings {
            client_cert: None,
            server_name: None,
            ..probe.tls.clone()
        }),
        resolve: Cow::Owned(ResolveSettings {
            addresses: Arc::default(),
            ..probe.resolve.clone()
        }),
        only: None,
        reuse: false,
        tunnelled: false,
    };
    let answer = ask(run, &request).await?;
    read_token(run, answer, secret).await
}

/// The request's body: what is asked for, without who asks.
fn form(client: &ClientCredentials) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if !client.scopes.is_empty() {
        form.append_pair("scope", &client.scopes.join(" "));
    }
    if let Some(audience) = &client.audience {
        form.append_pair("audience", audience);
    }
    form.finish()
}

async fn read_token(run: &mut Run<'_>, mut answer: Answer, secret: Secret) -> Result<Token, Halt> {
    let hop = answer.hop;
    let status = answer.parts.status;
    let wanted = Wanted {
        max: MAX_ANSWER,
        keep: MAX_ANSWER as usize,
        gap: run.timeouts().body,
        within: None,
        looked_at: true,
    };
    let headers = &answer.parts.headers;
    let read = body::read(run, &mut answer.link, &mut answer.body, headers, wanted).await;
    run.spent(hop, Phase::Body, answer.at);
    run.note_wire(hop, &answer.link.wire);
    // No excerpt: the body of a token endpoint may hold a token.
    let facts = ResponseFacts {
        body_bytes: read
            .as_ref()
            .map_or_else(|failure| failure.bytes, |body| body.bytes),
        ..response_facts(headers)
    };
    run.hop(hop).response = Some(Box::new(facts));
    let body = match read {
        Ok(body) => body.kept,
        Err(failure) if status == StatusCode::OK => {
            let mut stop = halt(Phase::Body, hop, failure.trouble);
            stop.chain = failure.chain;
            return Err(stop);
        }
        Err(_) => Vec::new(),
    };
    let json: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    if status != StatusCode::OK {
        // RFC 6749, section 5.2: a short code.
        let error = json
            .as_ref()
            .and_then(|json| json.get("error")?.as_str())
            .map(|code| foreign_text(code.as_bytes(), 64));
        let status = status.as_u16();
        let trouble = Trouble::Token(TokenTrouble::Status { status, error });
        return Err(halt(Phase::FirstByte, hop, trouble));
    }
    let Some(value) = json
        .as_ref()
        .and_then(|json| json.get("access_token")?.as_str())
        .filter(|token| !token.is_empty())
    else {
        return Err(halt(Phase::Body, hop, Trouble::Token(TokenTrouble::Malformed)));
    };
    let lifetime = json
        .as_ref()
        .and_then(|json| json.get("expires_in"))
        .and_then(|told| told.as_u64().or_else(|| told.as_str()?.parse().ok()))
        .map_or(UNTOLD_LIFETIME, Duration::from_secs)
        // Beyond a day there is no reason to trust that nothing was revoked.
        .min(Duration::from_secs(86_400));
    // A short-lived token is used for half of its life at least.
    let used = lifetime.saturating_sub(MARGIN).max(lifetime / 2);
    Ok(Token {
        value: Secret::new(value),
        secret,
        until: Instant::now() + used,
    })
}
