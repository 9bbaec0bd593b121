//! URLs of the probes beyond HTTP, TCP and DNS.

use super::{Lint, Parts, Target, UserInfo, decode_percent};
use crate::config::diagnostic::Severity;
use crate::model::dependency::{Endpoint, GrpcProbe, HttpUrl, Scheme, Service};

fn error(problem: &str, range: std::ops::Range<usize>) -> Lint {
    Lint::new(Severity::Error, problem, range)
}

/// `icmp://host`.
pub fn icmp(parts: &Parts<'_>, endpoint: Endpoint, lints: &mut Vec<Lint>) -> Option<Target> {
    const FORM: &str = "`icmp://host`";
    if endpoint.port != 0 {
        lints.push(error("ICMP has no ports", parts.authority.clone()).expected(FORM));
    }
    let rest = parts.path.start..parts.text.len();
    if !matches!(&parts.text[rest.clone()], "" | "/") {
        lints.push(error("this scheme takes a host, and nothing after it", rest).expected(FORM));
    }
    Some(Target::Icmp(endpoint))
}

/// `grpc://host:port/service`; without a service the server as a whole is asked about.
pub fn grpc(parts: &Parts<'_>, endpoint: Endpoint, lints: &mut Vec<Lint>) -> Option<Target> {
    const FORM: &str = "`grpc://host:port/service`";
    if let Some(query) = &parts.query {
        lints.push(error("this scheme has no query", query.clone()).expected(FORM));
    }
    let service = parts.get(&parts.path);
    let service = service.strip_prefix('/').unwrap_or(service);
    if service.contains('/') {
        let lint = error(
            "the service's name comes after the port, and nothing after it",
            parts.path.clone(),
        );
        lints.push(lint.expected(FORM));
    }
    let scheme = match parts.scheme {
        "grpcs" => Scheme::Https,
        _ => Scheme::Http,
    };
    Some(Target::Grpc {
        url: HttpUrl {
            scheme,
            endpoint,
            path: GrpcProbe::PATH.into(),
            query: None,
        },
        service: decode_percent(service),
    })
}

/// What was read as HTTP is a WebSocket's.
pub fn websocket(target: Target) -> Option<Target> {
    match target {
        Target::Http { url, user_info } => Some(Target::WebSocket { url, user_info }),
        _ => None,
    }
}

/// `smtp://host[:port]`, `postgres://[user@]host[:port][/database]` and so on.
pub fn service(
    parts: &Parts<'_>,
    (service, tls): (Service, bool),
    endpoint: Endpoint,
    lints: &mut Vec<Lint>,
) -> Option<Target> {
    if let Some(query) = &parts.query {
        let lint = error("this scheme has no query", query.clone());
        lints.push(match service.has_starttls() {
            true => lint.suggest(Some(
                "write `starttls: true` beside the URL if TLS is meant".into(),
            )),
            false => lint,
        });
    }
    let path = parts.get(&parts.path).trim_matches('/');
    if !path.is_empty() && service != Service::Postgres {
        let problem = "what comes after the port is not used";
        lints.push(Lint::new(Severity::Warning, problem, parts.path.clone()));
    }
    let user_info = parts.user_info.as_ref().map(|range| {
        let (user, password) = parts.get(range).split_once(':').unwrap_or((parts.get(range), ""));
        UserInfo {
            user: decode_percent(user),
            password: decode_percent(password),
        }
    });
    if let (Some(range), Some(info)) = (&parts.user_info, &user_info)
        && !info.password.is_empty()
        && !service.has_login()
    {
        let problem = "the password is not used: the conversation ends before the login";
        lints.push(Lint::new(Severity::Warning, problem, range.clone()));
    }
    Some(Target::Service {
        service,
        tls,
        endpoint,
        path: (!path.is_empty()).then(|| decode_percent(path)),
        user_info,
    })
}
