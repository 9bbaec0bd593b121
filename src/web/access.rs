//! Who may ask, and how much of a request is taken.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::plan::ListenAuth;
use crate::net::secret::{SecretError, Secrets};

use super::problem;

/// What a client without credentials is told to bring (RFC 7617, RFC 6750).
pub const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"whyd\", charset=\"UTF-8\", Bearer realm=\"whyd\"");

/// The credentials that are asked for, if any.
#[derive(Debug)]
pub struct Guard {
    wanted: Option<ListenAuth>,
    secrets: Secrets,
}

impl Guard {
    pub fn new(wanted: Option<ListenAuth>) -> Self {
        Guard {
            wanted,
            secrets: Secrets::new(),
        }
    }

    /// Whether the headers have the credentials. A secret's file that changed is read again, so that a rotated one holds at once.
    fn admits(&self, headers: &HeaderMap) -> Result<bool, SecretError> {
        let Some(wanted) = &self.wanted else {
            return Ok(true);
        };
        let given = headers
            .get(AUTHORIZATION)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        let (scheme, given) = split_scheme(given);
        Ok(match wanted {
            ListenAuth::Bearer(token) => {
                let token = self.secrets.resolve(token)?;
                scheme.eq_ignore_ascii_case(b"bearer") && same(given, token.expose().as_bytes())
            }
            ListenAuth::Basic { user, password } => {
                let password = self.secrets.resolve(password)?;
                let wanted = format!("{user}:{}", password.expose());
                let given = STANDARD.decode(given).unwrap_or_default();
                scheme.eq_ignore_ascii_case(b"basic") && same(&given, wanted.as_bytes())
            }
        })
    }
}

fn split_scheme(value: &[u8]) -> (&[u8], &[u8]) {
    match value.iter().position(|byte| *byte == b' ') {
        Some(place) => (&value[..place], value[place..].trim_ascii()),
        None => (value, &[]),
    }
}

/// Compares in a time that depends on what was given and not on how much of it is right.
fn same(given: &[u8], wanted: &[u8]) -> bool {
    let mut difference = u8::from(given.len() != wanted.len() || wanted.is_empty());
    for (place, byte) in given.iter().enumerate() {
        let other = wanted
            .get(place % wanted.len().max(1))
            .copied()
            .unwrap_or_default();
        difference |= std::hint::black_box(byte ^ other);
    }
    std::hint::black_box(difference) == 0
}

/// Lets through whom the guard admits.
pub async fn authenticate(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.admits(request.headers()) {
        Ok(true) => next.run(request).await,
        Ok(false) => problem(StatusCode::UNAUTHORIZED, "credentials are needed"),
        Err(error) => {
            tracing::error!("listener: {error}; nobody is let in");
            problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the credentials to compare with cannot be read",
            )
        }
    }
}

/// Whether the listener asks for no credentials.
#[derive(Clone, Copy, Debug)]
pub struct Open(pub bool);

/// What changes something is not taken from a page of another site that an operator's browser shows: it could send the
/// request to a loopback address, or with the credentials that the browser keeps.
pub async fn not_from_another_site(State(open): State<Open>, request: Request, next: Next) -> Response {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !is_safe && let Some(why) = foreign(request.headers(), open) {
        return problem(StatusCode::FORBIDDEN, why);
    }
    next.run(request).await
}

/// Why a request is taken for one of another site. Browsers send `Sec-Fetch-Site` (W3C Fetch Metadata), older ones `Origin`;
/// what is no browser sends neither.
fn foreign(headers: &HeaderMap, open: Open) -> Option<&'static str> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text("host").unwrap_or_default();
    let (site, origin) = (text("sec-fetch-site"), text("origin"));
    let same = match (site, origin) {
        (None, None) => return None,
        (Some(site), _) => site == "same-origin" || site == "none",
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
        }
    };
    if !same {
        Some("not from another site")
    } else if open.0 && !is_address(host) {
        // A name of the attacker's that points here (DNS rebinding) makes its page one of the same site. Where no
        // credentials are asked for, only what cannot be pointed elsewhere is believed.
        Some("without credentials a browser may do this by the listener's IP address or by localhost only")
    } else {
        None
    }
}

/// Whether a `Host` header has an IP address or `localhost`, whatever the port.
fn is_address(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok()
}

/// Where the one request with a body goes.
pub const SILENCES: &str = "/api/v1/silences";

/// Nothing else here takes a body: one is refused before a byte of it is read.
pub async fn without_body(request: Request, next: Next) -> Response {
    if request.method() == Method::POST && request.uri().path() == SILENCES {
        return next.run(request).await;
    }
    let headers = request.headers();
    let length = headers.get(CONTENT_LENGTH).map(HeaderValue::as_bytes);
    if headers.contains_key(TRANSFER_ENCODING) || length.is_some_and(|length| length != b"0") {
        let mut refusal = problem(StatusCode::PAYLOAD_TOO_LARGE, "requests have no body here");
        refusal
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
        return refusal;
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::{Secret, SecretRef};

    fn guard(auth: ListenAuth, header: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, header.parse().expect("a header"));
        Guard::new(Some(auth)).admits(&headers).expect("an inline secret")
    }

    fn inline(text: &str) -> SecretRef {
        SecretRef::Inline(Secret::new(text))
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let bearer = || ListenAuth::Bearer(inline("abcabc"));
        assert!(guard(bearer(), "Bearer abcabc"));
        assert!(guard(bearer(), "bearer  abcabc"));
        for wrong in [
            "Bearer abc",
            "Bearer abcabcabcabc",
            "Bearer ",
            "Bearer",
            "abcabc",
            "Basic abcabc",
        ] {
            assert!(!guard(bearer(), wrong), "{wrong}");
        }
        assert!(
            !guard(ListenAuth::Bearer(inline("")), "Bearer "),
            "an empty secret admits nobody"
        );
    }

    #[test]
    fn what_a_browser_sends_for_another_site_is_told_apart() {
        let asked = |open: bool, pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().expect("a header"));
            }
            foreign(&headers, Open(open)).is_none()
        };
        let here = ("host", "127.0.0.1:9477");
        assert!(asked(true, &[here]), "no browser");
        assert!(
            asked(true, &[("host", "whyd.internal:9477")]),
            "no browser, by any name"
        );
        for site in ["cross-site", "same-site", "odd"] {
            assert!(!asked(true, &[here, ("sec-fetch-site", site)]), "{site}");
            assert!(!asked(false, &[here, ("sec-fetch-site", site)]), "{site}");
        }
        assert!(asked(true, &[here, ("sec-fetch-site", "same-origin")]));
        assert!(asked(true, &[here, ("origin", "http://127.0.0.1:9477")]));
        assert!(asked(
            true,
            &[("host", "[::1]:9477"), ("origin", "http://[::1]:9477")]
        ));
        assert!(asked(
            true,
            &[("host", "localhost:9477"), ("sec-fetch-site", "same-origin")]
        ));
        for origin in ["null", "http://evil.example", "http://127.0.0.1:80"] {
            assert!(!asked(true, &[here, ("origin", origin)]), "{origin}");
        }
        let rebound = [("host", "evil.example:9477"), ("sec-fetch-site", "same-origin")];
        assert!(!asked(true, &rebound), "a name that points here");
        assert!(asked(false, &rebound), "with credentials it may be our own name");
    }

    #[test]
    fn basic_compares_user_and_password() {
        let basic = || ListenAuth::Basic {
            user: "ops".into(),
            password: inline("pa:ss"),
        };
        let header = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert!(guard(basic(), &header("ops:pa:ss")));
        assert!(!guard(basic(), &header("ops:pa")));
        assert!(!guard(basic(), &header("root:pa:ss")));
        assert!(!guard(basic(), "Basic !!!"));
    }
}
