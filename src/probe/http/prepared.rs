//! What can be made of a dependency's HTTP settings once, instead of at every attempt.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri, uri::PathAndQuery};

use crate::model::attempt::Trouble;
use crate::model::dependency::{Dependency, HttpProbe, HttpUrl, Scheme};
use crate::model::secret::{SecretRef, Text};
use crate::net::secret::Secrets;
use crate::probe::expect::Compiled;
use crate::probe::run::{Halt, halt_nowhere};

/// The codings that we decode.
const ACCEPT_ENCODING: &str = "gzip, deflate, br";

/// A dependency's request, and its compiled expectations.
pub(crate) struct Prepared {
    pub target: Arc<Target>,
    pub method: Method,
    pub body: Option<Text>,
    /// Sent to every origin: our defaults, and the user's headers that hold no secret.
    pub open: HeaderMap,
    /// As `open`, with the secrets that were given in place: for the dependency's own origin.
    pub own: HeaderMap,
    /// Headers whose value is read from a file at each attempt.
    pub from_files: Vec<(HeaderName, SecretRef)>,
    pub expect: Compiled,
}

/// A URL in the forms in which it is used.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub url: HttpUrl,
    /// Without secrets.
    pub shown: Arc<str>,
    pub path: PathAndQuery,
    /// `Host`, or `:authority`.
    pub authority: HeaderValue,
}

impl Target {
    pub fn new(url: HttpUrl) -> Result<Target, Halt> {
        let path = PathAndQuery::try_from(url.path_and_query());
        let authority = HeaderValue::try_from(url.authority());
        match (path, authority) {
            (Ok(path), Ok(authority)) => Ok(Target {
                shown: url.to_string().into(),
                path,
                authority,
                url,
            }),
            _ => {
                let text = format!("{url} cannot be asked for");
                Err(halt_nowhere(Trouble::UrlInvalid(text.as_str().into()), &text))
            }
        }
    }

    pub fn is_https(&self) -> bool {
        self.url.scheme == Scheme::Https
    }

    /// Scheme, host and port are the same (RFC 6454).
    pub fn same_origin(&self, other: &Target) -> bool {
        self.url.scheme == other.url.scheme && self.url.endpoint == other.url.endpoint
    }

    /// `/path?query`, as a server is asked.
    pub fn origin_form(&self) -> Uri {
        Uri::from(self.path.clone())
    }

    /// `http://host/path?query`, as a proxy is asked, and as HTTP/2 takes its pseudo-headers from.
    pub fn absolute_form(&self, authority: &HeaderValue) -> Option<Uri> {
        Uri::builder()
            .scheme(self.url.scheme.id())
            .authority(authority.as_bytes())
            .path_and_query(self.path.clone())
            .build()
            .ok()
    }
}

impl Prepared {
    pub fn new(dependency: &Dependency, probe: &HttpProbe) -> Result<Prepared, Halt> {
        let mut target = Target::new(probe.url.clone())?;
        // `ws://` and `grpc://` are carried by HTTP and shown as what they are.
        target.shown = dependency.probe.target().into();
        let Ok(method) = Method::from_bytes(probe.method.as_bytes()) else {
            return Err(unusable(format!("not a method: {}", probe.method)));
        };
        let mut open = HeaderMap::with_capacity(8);
        open.insert(header::HOST, target.authority.clone());
        open.insert(header::USER_AGENT, value("User-Agent", &probe.user_agent)?);
        open.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        open.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(ACCEPT_ENCODING));
        if !dependency.keepalive.reuse {
            open.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let mut own = open.clone();
        let mut from_files = Vec::new();
        let mut seen: Vec<HeaderName> = Vec::new();
        for (name, text) in probe.headers.iter() {
            let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
                return Err(unusable(format!("not a header name: {name}")));
            };
            // The first of a name replaces our default, the others join it.
            let first = !seen.contains(&header);
            match text {
                Text::Plain(plain) => {
                    let plain = value(name, plain)?;
                    if !is_credential(&header) && header != header::HOST {
                        put(&mut open, &header, plain.clone(), first);
                    }
                    put(&mut own, &header, plain, first);
                }
                Text::Secret(SecretRef::Inline(secret)) => {
                    let mut secret = value(name, secret.expose())?;
                    secret.set_sensitive(true);
                    put(&mut own, &header, secret, first);
                }
                Text::Secret(file) => from_files.push((header.clone(), file.clone())),
            }
            seen.push(header);
        }
        let expect = Compiled::new(&probe.expect).map_err(unusable)?;
        Ok(Prepared {
            target: Arc::new(target),
            method,
            body: probe.body.clone(),
            open,
            own,
            from_files,
            expect,
        })
    }

    /// The headers for the dependency's own origin, secrets included.
    pub fn own_headers(&self, secrets: &Secrets) -> Result<HeaderMap, Halt> {
        let mut headers = self.own.clone();
        for (i, (name, file)) in self.from_files.iter().enumerate() {
            let text = secrets
                .resolve(file)
                .map_err(|err| no_credentials(format!("header {name}: {err}")))?;
            let mut secret = value(name.as_str(), text.expose())?;
            secret.set_sensitive(true);
            let first = !self.from_files[..i].iter().any(|(earlier, _)| earlier == name);
            put(&mut headers, name, secret, first);
        }
        Ok(headers)
    }

    pub fn request_body(&self, secrets: &Secrets) -> Result<Bytes, Halt> {
        let Some(body) = &self.body else {
            return Ok(Bytes::new());
        };
        let text = secrets
            .text(body)
            .map_err(|err| no_credentials(format!("request body: {err}")))?;
        Ok(Bytes::copy_from_slice(text.as_bytes()))
    }
}

fn put(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue, first: bool) {
    if first {
        headers.insert(name, value);
    } else {
        headers.append(name, value);
    }
}

/// Headers that are credentials whatever the user says of them.
fn is_credential(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::AUTHORIZATION | header::COOKIE | header::PROXY_AUTHORIZATION
    )
}

fn value(name: &str, text: &str) -> Result<HeaderValue, Halt> {
    // The text may be secret: only the header's name is told.
    HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| no_credentials(format!("header {name}: its value cannot be sent")))
}

pub(crate) fn no_credentials(text: String) -> Halt {
    halt_nowhere(Trouble::Credentials(text.as_str().into()), &text)
}

fn unusable(text: String) -> Halt {
    halt_nowhere(Trouble::Other(text.as_str().into()), &text)
}

/// The prepared requests, by dependency.
#[derive(Default)]
pub(crate) struct PreparedCache(Mutex<HashMap<Arc<str>, Entry>>);

type Entry = (Arc<Dependency>, Arc<Prepared>);

impl PreparedCache {
    /// The prepared request of this very dependency; one of the same name from before a reload does not count.
    pub fn get(&self, dependency: &Arc<Dependency>, probe: &HttpProbe) -> Result<Arc<Prepared>, Halt> {
        {
            let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((of, prepared)) = cache.get(&dependency.name)
                && Arc::ptr_eq(of, dependency)
            {
                return Ok(prepared.clone());
            }
        }
        let prepared = Arc::new(Prepared::new(dependency, probe)?);
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(dependency.name.clone(), (dependency.clone(), prepared.clone()));
        Ok(prepared)
    }

    pub fn forget(&self, dependency: &str) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.remove(dependency);
    }
}
