//! Targets of the command line: the same raw types, the same rules, a plan of one round.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::model::plan::{Limits, Plan};

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::environment::Environment;
use super::expand::Expanded;
use super::key_path::KeyPath;
use super::load::Sections;
use super::lower::{self, Entry};
use super::raw;
use super::scalar::{OneOrMany, Span, Statuses, TextOrFile, parse_statuses};
use super::source::Source;

/// What `whyd check` takes beside its targets; the names are those of the configuration's keys.
#[derive(Clone, Default)]
pub struct TargetOptions {
    pub method: Option<String>,
    /// `Name: value`.
    pub headers: Vec<String>,
    pub body: Option<String>,
    pub proxy: Option<String>,
    pub ca: Vec<PathBuf>,
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    pub server_name: Option<String>,
    /// `IP` or `IP:port`.
    pub resolvers: Vec<String>,
    pub ipv4: bool,
    pub ipv6: bool,
    /// `1.1` or `2`.
    pub http_version: Option<HttpVersionChoice>,
    pub expect_status: Option<String>,
    /// Attempts in all.
    pub attempts: Option<u8>,
    pub deep: bool,
    pub timeouts: TargetTimeouts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersionChoice {
    Http1,
    Http2,
}

/// Budgets of the command line; a smaller one lowers those inside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetTimeouts {
    pub resolve: Option<Duration>,
    pub connect: Option<Duration>,
    pub tls: Option<Duration>,
    pub first_byte: Option<Duration>,
    pub body: Option<Duration>,
    pub attempt: Option<Duration>,
    pub total: Option<Duration>,
}

/// A plan of one round over the targets.
#[derive(Clone, Debug)]
pub struct TargetPlan {
    pub plan: Plan,
    /// What was understood without being said, such as a scheme.
    pub notes: Vec<String>,
    /// The dependencies' names, in the order of the targets.
    pub order: Vec<Arc<str>>,
}

/// Total budget of a target unless given.
const DEFAULT_TOTAL: Duration = Duration::from_secs(25);

/// Makes a plan of the command line.
///
/// # Errors
/// Everything that is wrong with the targets and the options, at once.
pub fn plan_for_targets(
    targets: &[String],
    options: &TargetOptions,
    env: &dyn Environment,
) -> Result<TargetPlan, Diagnostics> {
    let mut notes = Vec::new();
    let mut order: Vec<Arc<str>> = Vec::new();
    let sources: Vec<Source> = targets
        .iter()
        .map(|target| Source::new(target.clone(), String::new()))
        .collect();
    let mut sections = Sections::default();
    let mut wrong = Vec::new();
    if targets.iter().any(|target| target.trim().is_empty()) {
        let message = "a target is empty; expected one such as https://host/path or tcp://host:port";
        wrong.push(usage(None, message.to_owned()));
    }
    let template = match template(options) {
        Ok(template) => template,
        Err(messages) => {
            wrong.extend(messages.into_iter().map(|message| usage(None, message)));
            raw::Dependency::default()
        }
    };
    let mut seen: HashSet<&str> = HashSet::new();
    for (target, source) in asked(targets, &sources) {
        if !seen.insert(target) {
            continue;
        }
        let url = with_scheme(target, &mut notes);
        let name = unused(&shown(target), &order);
        order.push(Arc::clone(&name));
        let raw = raw::Dependency {
            name: name.to_string(),
            url,
            ..template.clone()
        };
        sections.dependencies.push(Entry {
            source,
            base: KeyPath::root(),
            raw,
            pruned: Vec::new(),
            expanded: Rc::new(Expanded::new()),
        });
    }
    let plan = lower::plan(&sections, env);
    for (target, source) in asked(targets, &sources) {
        for diagnostic in source.diagnostics() {
            if diagnostic.severity == Severity::Warning {
                notes.push(format!("{}: {}", shown(target), diagnostic.message));
            } else {
                wrong.push(Diagnostic {
                    file: None,
                    place: None,
                    ..in_words(target, options, diagnostic)
                });
            }
        }
    }
    wrong.dedup_by(|a, b| a.message == b.message);
    match plan {
        Some(plan) if wrong.is_empty() => {
            let limits = Limits {
                concurrency: 256,
                ..plan.limits
            };
            let plan = Plan {
                one_round: true,
                otlp: None,
                listen: None,
                limits,
                ..plan
            };
            Ok(TargetPlan { plan, notes, order })
        }
        _ => Err(Diagnostics(wrong)),
    }
}

fn usage(key: Option<&str>, message: String) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        file: None,
        place: None,
        key: key.unwrap_or_default().to_owned(),
        message,
        help: None,
    }
}

/// The targets with their sources, without empty ones, of which only one thing can be said.
fn asked<'a>(targets: &'a [String], sources: &'a [Source]) -> impl Iterator<Item = (&'a String, &'a Source)> {
    let both = targets.iter().zip(sources);
    both.filter(|(target, _)| !target.trim().is_empty())
}

/// Names the target, and the option as it is written on the command line.
fn in_words(target: &str, options: &TargetOptions, diagnostic: Diagnostic) -> Diagnostic {
    let key = match diagnostic.key.as_str() {
        "url" | "name" => shown(target),
        "resolve.family" if options.ipv4 => "--ipv4".to_owned(),
        "resolve.family" => "--ipv6".to_owned(),
        "http_version" => "--http".to_owned(),
        key => {
            let key = key.split('[').next().unwrap_or(key);
            let option = key.split('.').next_back().unwrap_or(key).replace('_', "-");
            let option = match key.split('.').next().unwrap_or(key) {
                "timeouts" if option == "total" => "timeout".to_owned(),
                "timeouts" => format!("{option}-timeout"),
                "headers" => "header".to_owned(),
                "proxy" => "proxy".to_owned(),
                "resolve" => "resolver".to_owned(),
                "retry" => "retries".to_owned(),
                "expect" => format!("expect-{option}"),
                _ => option,
            };
            format!("--{option}")
        }
    };
    Diagnostic { key, ..diagnostic }
}

/// The target as it may be printed: without user info and query.
fn shown(target: &str) -> String {
    let (scheme, rest) = target.split_once("://").unwrap_or(("", target));
    let cut = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(cut);
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let is_dns = scheme == "dns";
    let path = if is_dns {
        path
    } else {
        path.split(['?', '#']).next().unwrap_or(path)
    };
    let query = if !is_dns && rest.contains('?') { "?…" } else { "" };
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{authority}{path}{query}")
}

/// A name that no other target has: what tells them apart may be in a part that is not printed.
fn unused(shown: &str, taken: &[Arc<str>]) -> Arc<str> {
    let mut name: Arc<str> = shown.into();
    let mut number = 1;
    while taken.contains(&name) {
        number += 1;
        name = format!("{shown} ({number})").into();
    }
    name
}

/// A bare host or host:port is understood, and that is said.
fn with_scheme(target: &str, notes: &mut Vec<String>) -> String {
    if target.contains("://") || target.contains(['$', '{', '<', ' ']) || target.starts_with('/') {
        return target.to_owned();
    }
    if ["http", "https"]
        .iter()
        .any(|scheme| misses_a_sign(target, scheme))
    {
        // As it stands the lint says what is missing; a scheme before it would make "http" the host.
        return target.to_owned();
    }
    let host = target.split('/').next().unwrap_or(target);
    let port = host
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok());
    let bare_ipv6 = target.parse::<std::net::Ipv6Addr>().is_ok();
    let url = match (port, target.contains('/')) {
        _ if bare_ipv6 => format!("https://[{target}]"),
        (None | Some(443 | 8443), _) => format!("https://{target}"),
        (Some(80 | 8080 | 8000 | 3000), _) | (Some(_), true) => format!("http://{target}"),
        (Some(_), false) => format!("tcp://{target}"),
    };
    notes.push(format!(
        "{}: no scheme given, taken as {}",
        shown(target),
        shown(&url)
    ));
    url
}

/// `http//host` and `http:/host`: the scheme is there, and what ends it was mistyped.
fn misses_a_sign(target: &str, scheme: &str) -> bool {
    target
        .strip_prefix(scheme)
        .is_some_and(|rest| rest.starts_with("//") || rest.starts_with(":/"))
}

fn template(options: &TargetOptions) -> Result<raw::Dependency, Vec<String>> {
    let mut wrong = Vec::new();
    let mut headers = BTreeMap::new();
    for header in &options.headers {
        match header.split_once(':') {
            Some((name, value)) => {
                headers.insert(name.trim().to_owned(), TextOrFile::Text(value.trim().to_owned()));
            }
            None => wrong.push("--header: expected 'Name: value'".to_owned()),
        }
    }
    let status = match options.expect_status.as_deref().map(parse_statuses).transpose() {
        Ok(status) => status.map(Statuses),
        Err(message) => {
            wrong.push(format!("--expect-status: {message}"));
            None
        }
    };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let has_tls = !options.ca.is_empty() || options.client_cert.is_some() || options.server_name.is_some();
    let has_resolve = !options.resolvers.is_empty() || options.ipv4 || options.ipv6;
    let total = options.timeouts.total.unwrap_or(DEFAULT_TOTAL);
    Ok(raw::Dependency {
        interval: Some(Span(total.max(Duration::from_secs(1)))),
        timeouts: timeouts(&options.timeouts, total),
        retry: raw::Retry {
            attempts: options.attempts,
            ..raw::Retry::default()
        },
        confirm: options.deep.then_some(raw::Confirm::Full),
        method: options.method.clone(),
        headers,
        body: options.body.clone().map(TextOrFile::Text),
        expect: raw::Expect {
            status,
            ..raw::Expect::default()
        },
        tls: has_tls.then(|| raw::Tls {
            ca: OneOrMany(
                options
                    .ca
                    .iter()
                    .map(|path| path.to_string_lossy().into_owned())
                    .collect(),
            ),
            client_cert: options.client_cert.clone(),
            client_key: options.client_key.clone(),
            server_name: options.server_name.clone(),
            ..raw::Tls::default()
        }),
        proxy: options.proxy.clone().map(|url| raw::Proxy {
            url,
            user: None,
            password: None,
        }),
        resolve: has_resolve.then(|| raw::Resolve {
            servers: options.resolvers.clone(),
            family: match (options.ipv4, options.ipv6) {
                (true, _) => Some(raw::Family::Ipv4),
                (false, true) => Some(raw::Family::Ipv6),
                (false, false) => None,
            },
            addresses: Vec::new(),
        }),
        http_version: options.http_version.map(|version| match version {
            HttpVersionChoice::Http1 => raw::HttpVersion::Http1,
            HttpVersionChoice::Http2 => raw::HttpVersion::Http2,
        }),
        ..raw::Dependency::default()
    })
}

/// On the command line a smaller budget lowers the ones inside it, and a larger inner one is cut to fit.
fn timeouts(given: &TargetTimeouts, total: Duration) -> raw::Timeouts {
    let attempt = given.attempt.map(|attempt| attempt.min(total));
    let outer = attempt.unwrap_or(total);
    let within = |phase: Option<Duration>| phase.map(|phase| Span(phase.min(outer)));
    // A phase that is given and longer than an attempt's default raises the attempt, as far as the total allows.
    let phases = [
        given.resolve,
        given.connect,
        given.tls,
        given.first_byte,
        given.body,
    ];
    let longest = phases
        .into_iter()
        .flatten()
        .max()
        .map(|longest| longest.min(total));
    let default_attempt = crate::model::dependency::Timeouts::default().attempt.min(total);
    let raised = longest.filter(|longest| *longest > default_attempt);
    raw::Timeouts {
        resolve: within(given.resolve),
        connect: within(given.connect),
        tls: within(given.tls),
        first_byte: within(given.first_byte),
        body: within(given.body),
        attempt: attempt.or(raised).map(Span),
        total: Some(Span(total)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn plan(targets: &[&str], options: &TargetOptions) -> Result<TargetPlan, Diagnostics> {
        let targets: Vec<String> = targets.iter().map(|&target| target.to_owned()).collect();
        plan_for_targets(&targets, options, &HashMap::new())
    }

    #[test]
    fn a_bare_host_is_understood_and_said() {
        let made = plan(
            &["api.example", "db.example:5432", "web:8080"],
            &TargetOptions::default(),
        )
        .expect("a plan");
        let targets: Vec<String> = made
            .order
            .iter()
            .map(|name| {
                made.plan
                    .dependencies
                    .iter()
                    .find(|d| d.name == *name)
                    .expect("it")
                    .probe
                    .target()
            })
            .collect();
        assert_eq!(
            targets,
            [
                "https://api.example/",
                "tcp://db.example:5432",
                "http://web:8080/"
            ]
        );
        assert_eq!(made.notes.len(), 3);
    }

    /// The query is not printed, and is what tells them apart.
    #[test]
    fn targets_that_differ_only_in_what_is_not_printed_are_all_asked() {
        let targets = ["http://h/?a=1", "http://h/?a=2", "http://h/?a=1"];
        let made = plan(&targets, &TargetOptions::default()).expect("a plan");
        assert_eq!(made.plan.dependencies.len(), 2);
        assert_eq!(made.order.len(), 2);
    }

    #[test]
    fn an_address_of_the_other_family_is_refused() {
        let options = TargetOptions {
            ipv6: true,
            ..TargetOptions::default()
        };
        let wrong = plan(&["tcp://10.0.0.7:1", "tcp://h:1"], &options).expect_err("an error");
        assert_eq!(wrong.errors(), 1, "{wrong}");
        assert!(
            wrong.to_string().contains("--ipv6: asks for IPv6 only"),
            "{wrong}"
        );
    }

    #[test]
    fn a_smaller_budget_lowers_those_inside_it() {
        let mut options = TargetOptions::default();
        options.timeouts.total = Some(Duration::from_millis(500));
        options.timeouts.connect = Some(Duration::from_secs(2));
        let made = plan(&["https://api.example/"], &options).expect("a plan");
        let timeouts = made.plan.dependencies[0].timeouts;
        assert_eq!(timeouts.total, Duration::from_millis(500));
        assert_eq!(timeouts.attempt, Duration::from_millis(500));
        assert_eq!(timeouts.connect, Duration::from_millis(500));
    }

    #[test]
    fn mistakes_name_the_target_and_nothing_secret() {
        let wrong = plan(
            &["https://user:hunter2@${HOST}/", "icmp://h"],
            &TargetOptions::default(),
        )
        .expect_err("errors");
        let text = wrong.to_string();
        assert_eq!(wrong.errors(), 2, "{text}");
        assert!(
            !text.contains("hunter2") && text.contains("not filled in") && text.contains("icmp"),
            "{text}"
        );
    }
}
