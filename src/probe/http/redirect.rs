//! Redirects, followed by us: visited URLs, the limit, the downgrade, and how the method changes (RFC 9110, section 15.4).

use std::sync::Arc;

use http::header::{self, HeaderMap};
use http::{Method, StatusCode};
use url::Url;

use crate::model::attempt::RedirectTrouble;
use crate::model::dependency::{Endpoint, Expect, HttpUrl, Redirects, Scheme};
use crate::net::sanitize::foreign_text;

/// Longest location shown, in characters.
const MAX_SHOWN: usize = 200;

/// Whether an answer is a redirect that is followed. One that the user expects is the answer itself.
pub(crate) fn is_followed(status: StatusCode, policy: Redirects, expect: &Expect) -> bool {
    let expected = expect
        .status
        .as_ref()
        .is_some_and(|set| set.contains(status.as_u16()));
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) && policy.limit > 0 && !expected
}

/// The URLs of one attempt.
pub(crate) struct Trail {
    policy: Redirects,
    followed: u8,
    visited: Vec<(Method, HttpUrl)>,
}

impl Trail {
    pub fn new(policy: Redirects) -> Trail {
        Trail {
            policy,
            followed: 0,
            visited: Vec::new(),
        }
    }

    /// The URL and the method to go on with.
    pub fn next(
        &mut self,
        from: (&HttpUrl, &Method),
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<(HttpUrl, Method), RedirectTrouble> {
        let (url, method) = from;
        let Some(location) = headers.get(header::LOCATION) else {
            return Err(RedirectTrouble::Unusable("no Location header".into()));
        };
        let Some(next) = std::str::from_utf8(location.as_bytes())
            .ok()
            .and_then(|location| resolve(url, location))
        else {
            let end = location
                .as_bytes()
                .iter()
                .position(|byte| matches!(byte, b'?' | b'#'));
            let shown = &location.as_bytes()[..end.unwrap_or(location.len())];
            let shown = crate::net::sanitize::scrub_url(&foreign_text(shown, MAX_SHOWN));
            return Err(RedirectTrouble::Unusable(shown.into()));
        };
        let shown = || -> Box<str> { foreign_text(next.to_string().as_bytes(), MAX_SHOWN) };
        if url.scheme == Scheme::Https && next.scheme == Scheme::Http && !self.policy.allow_downgrade {
            return Err(RedirectTrouble::Downgrade(shown()));
        }
        let next_method = method_after(status, method);
        self.visited.push((method.clone(), url.clone()));
        if self
            .visited
            .iter()
            .any(|(method, url)| *method == next_method && *url == next)
        {
            return Err(RedirectTrouble::Loop(shown()));
        }
        if self.followed >= self.policy.limit {
            return Err(RedirectTrouble::TooMany(self.policy.limit));
        }
        self.followed += 1;
        Ok((next, next_method))
    }
}

/// 303 asks for the result by GET; 301 and 302 do so for POST, as every browser has it.
fn method_after(status: StatusCode, method: &Method) -> Method {
    match status.as_u16() {
        303 if *method != Method::HEAD => Method::GET,
        301 | 302 if *method == Method::POST => Method::GET,
        _ => method.clone(),
    }
}

/// A location relative to where it was given. `None` for what is not an HTTP URL.
fn resolve(base: &HttpUrl, location: &str) -> Option<HttpUrl> {
    let base = format!(
        "{}://{}{}",
        base.scheme.id(),
        base.authority(),
        base.path_and_query()
    );
    let url = Url::parse(&base).ok()?.join(location.trim()).ok()?;
    let scheme = match url.scheme() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return None,
    };
    let host = url.host_str()?;
    Some(HttpUrl {
        scheme,
        endpoint: Endpoint {
            host: host.trim_start_matches('[').trim_end_matches(']').into(),
            port: url.port_or_known_default()?,
        },
        path: url.path().into(),
        query: url.query().map(Arc::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn url(text: &str) -> HttpUrl {
        let any = HttpUrl {
            scheme: Scheme::Http,
            endpoint: Endpoint {
                host: "x".into(),
                port: 80,
            },
            path: "/".into(),
            query: None,
        };
        resolve(&any, text).unwrap()
    }

    fn location(text: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_static(text));
        headers
    }

    #[test]
    fn locations_resolve() {
        let base = url("https://h:8443/a/b?q=1");
        for (given, wanted) in [
            ("c", "https://h:8443/a/c"),
            ("/c#frag", "https://h:8443/c"),
            ("//other/c", "https://other/c"),
            ("http://[::1]:99/x", "http://[::1]:99/x"),
            ("?r=2", "https://h:8443/a/b?…"),
        ] {
            assert_eq!(resolve(&base, given).unwrap().to_string(), wanted, "{given}");
        }
        assert_eq!(resolve(&base, "ftp://h/"), None);
        assert_eq!(resolve(&base, "http://"), None);
    }

    #[test]
    fn methods_change_as_the_rfc_says() {
        for (status, method, wanted) in [
            (301, Method::POST, Method::GET),
            (302, Method::PUT, Method::PUT),
            (303, Method::PUT, Method::GET),
            (303, Method::HEAD, Method::HEAD),
            (307, Method::POST, Method::POST),
            (308, Method::POST, Method::POST),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(method_after(status, &method), wanted, "{status} {method}");
        }
    }

    #[test]
    fn a_post_redirected_to_itself_by_303_is_no_loop() {
        let mut trail = Trail::new(Redirects::default());
        let here = url("http://h/a");
        let (next, method) = trail
            .next((&here, &Method::POST), StatusCode::SEE_OTHER, &location("/a"))
            .unwrap();
        assert_eq!(method, Method::GET);
        let again = trail.next((&next, &method), StatusCode::FOUND, &location("/a"));
        assert!(matches!(again, Err(RedirectTrouble::Loop(_))));
    }

    #[test]
    fn limits_and_downgrades() {
        let mut trail = Trail::new(Redirects {
            limit: 1,
            allow_downgrade: false,
        });
        let found = StatusCode::FOUND;
        let secure = url("https://h/a");
        let down = trail.next((&secure, &Method::GET), found, &location("http://h/a?s=hunter2"));
        assert_eq!(down, Err(RedirectTrouble::Downgrade("http://h/a?…".into())));
        let (next, method) = trail
            .next((&secure, &Method::GET), found, &location("/b"))
            .unwrap();
        let more = trail.next((&next, &method), found, &location("/c"));
        assert_eq!(more, Err(RedirectTrouble::TooMany(1)));
        let none = trail.next((&next, &method), found, &HeaderMap::new());
        assert!(matches!(none, Err(RedirectTrouble::Unusable(_))));
    }
}
