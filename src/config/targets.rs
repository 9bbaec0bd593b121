//! From the command line to a plan of one round, by the same lowering as a file's.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Diagnostics, Severity, place};
use super::environment::Environment;
use super::lower::{Origin, RawPlan, lower};
use super::mask;
use super::raw::choices::{ConfirmWord, FamilyWord, ProxySetting, SecretText, VersionWord};
use super::raw::lists::{OneOrMany, Statuses};
use super::raw::values::{Address, DurationText, FromScalar, Nameserver, Whole, Word};
use super::raw::{
    RawAuth, RawBasic, RawCertExpect, RawDefaults, RawDependency, RawExpect, RawRedirects, RawResolve,
    RawRetry, RawTimeouts, RawTls, RawVantage,
};
use super::report::{Finding, Part, Place, Report};
use super::url_lint::{self, Target};
use crate::model::dependency::Timeouts;
use crate::model::plan::Plan;

/// What `whyd check` takes; each stands for a key of the configuration. Texts are checked by [`plan_for_targets`].
#[derive(Clone, Default)]
pub struct TargetOptions {
    pub method: Option<String>,
    /// `Name: value` each.
    pub headers: Vec<String>,
    pub body: Option<String>,
    /// `NAME:PASSWORD`.
    pub user: Option<String>,
    pub bearer: Option<String>,
    /// A URL, `environment` or `none`.
    pub proxy: Option<String>,
    pub ca: Vec<String>,
    pub only_given_ca: bool,
    pub client_cert: Option<String>,
    pub client_key: Option<String>,
    pub crl: Vec<String>,
    pub aia: bool,
    pub server_name: Option<String>,
    /// Nameservers: `IP[:port]`.
    pub resolvers: Vec<String>,
    /// Addresses that stand for the name.
    pub addresses: Vec<String>,
    /// URLs of anchors: whom to ask whether it is us.
    pub anchors: Vec<String>,
    pub ipv4: bool,
    pub ipv6: bool,
    pub http_version: Option<String>,
    pub max_redirects: Option<u8>,
    pub user_agent: Option<String>,
    /// The total budget.
    pub timeout: Option<Duration>,
    pub attempt_timeout: Option<Duration>,
    pub resolve_timeout: Option<Duration>,
    pub connect_timeout: Option<Duration>,
    pub tls_timeout: Option<Duration>,
    pub first_byte_timeout: Option<Duration>,
    pub body_timeout: Option<Duration>,
    /// 0 means one attempt.
    pub retries: Option<u8>,
    pub fast_below: Option<Duration>,
    /// As `expect.status`: `2xx`, `200,301-303`.
    pub expect_status: Option<String>,
    pub expect_body: Vec<String>,
    pub expect_body_regex: Option<String>,
    pub expect_latency: Option<Duration>,
    /// As `expect.cert.days_left`.
    pub expect_cert_days: Option<u32>,
    /// Go over to TLS where the service's conversation can.
    pub starttls: bool,
    /// Every second look.
    pub deep: bool,
}

/// Nothing of the values, which may be secrets.
impl std::fmt::Debug for TargetOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TargetOptions").finish_non_exhaustive()
    }
}

/// A plan of one round, and what is to be said about how the targets were understood.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetPlan {
    pub plan: Plan,
    /// Such as "`example.com` has no scheme: taken as https://example.com/".
    pub notes: Vec<String>,
    /// The dependencies' names, in the order of the targets.
    pub order: Vec<Arc<str>>,
}

/// Makes a plan in which each target is asked once. A dependency is named by its target without secrets.
///
/// Fails with everything that is wrong with the targets and the options.
pub fn plan_for_targets(
    targets: &[String],
    options: &TargetOptions,
    env: &dyn Environment,
) -> Result<TargetPlan, Diagnostics> {
    let mut report = Report::default();
    let mut notes = Vec::new();
    let options_place = Place::root(0).key(OPTIONS);
    let timeouts = nested_timeouts(options);
    let shared = shared(options, &timeouts, &options_place, &mut report);
    let own = own(options, &options_place, &mut report);
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut order: Vec<Arc<str>> = Vec::new();
    let mut dependencies = Vec::new();
    for (i, text) in targets.iter().enumerate() {
        if targets[..i].contains(text) {
            continue;
        }
        let url = understood(text, &mut notes);
        let mut name = name_of(&url).unwrap_or_else(|| format!("target {}", i + 1));
        let count = taken.entry(name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            name = format!("{name} ({count})");
        }
        order.push(name.as_str().into());
        let mut dependency = own.clone();
        dependency.name = Some(Word(name));
        dependency.url = Some(url);
        dependencies.push((dependency, Place::root(0).key(TARGETS).index(i)));
    }
    let raw = RawPlan {
        defaults: Some((shared, options_place)),
        dependencies,
        vantage: (!options.anchors.is_empty()).then(|| {
            let raw = RawVantage {
                anchors: Some(options.anchors.clone()),
                ..RawVantage::default()
            };
            (raw, Place::root(0).key(OPTIONS).key("vantage"))
        }),
        from: Origin::CommandLine,
        ..RawPlan::default()
    };
    let plan = lower(&raw, env, &mut report).plan;
    let mut placed: Vec<Diagnostic> = Vec::new();
    for mut diagnostic in place(&report, &[]) {
        diagnostic.key = key_on_the_command_line(&diagnostic.key, targets);
        if !placed.contains(&diagnostic) {
            placed.push(diagnostic);
        }
    }
    if report.has_errors() {
        return Err(Diagnostics(placed));
    }
    for warning in placed.iter().filter(|one| one.severity == Severity::Warning) {
        let suggestion = warning
            .suggestion
            .as_ref()
            .map(|text| format!("; {text}"))
            .unwrap_or_default();
        notes.push(format!("{}: {}{suggestion}", warning.key, warning.problem));
    }
    Ok(TargetPlan { plan, notes, order })
}

const OPTIONS: &str = "options";
const TARGETS: &str = "targets";

/// What each key is called on the command line.
const FLAGS: [(&str, &str); 28] = [
    ("redirects", "--max-redirects"),
    ("timeouts.total", "--timeout"),
    ("timeouts.attempt", "--attempt-timeout"),
    ("timeouts.resolve", "--resolve-timeout"),
    ("timeouts.connect", "--connect-timeout"),
    ("timeouts.tls", "--tls-timeout"),
    ("timeouts.first_byte", "--first-byte-timeout"),
    ("timeouts.body", "--body-timeout"),
    ("retry", "--retries"),
    ("fast_below", "--fast-below"),
    ("headers", "--header"),
    ("body", "--data"),
    ("method", "--method"),
    ("auth.bearer", "--bearer"),
    ("auth", "--user"),
    ("proxy", "--proxy"),
    ("tls.ca", "--ca"),
    ("tls.crl", "--crl"),
    ("tls.client_key", "--client-key"),
    ("tls.client_cert", "--client-cert"),
    ("tls.server_name", "--server-name"),
    ("resolve.addresses", "--address"),
    ("resolve.family", "--ipv4 or --ipv6"),
    ("resolve", "--resolver"),
    ("vantage.anchors", "--anchor"),
    ("http_version", "--http"),
    ("user_agent", "--user-agent"),
    ("expect", "--expect"),
];

/// `options.timeouts.total` is `--timeout`, `targets[0].url` the target itself, without its secrets.
fn key_on_the_command_line(key: &str, targets: &[String]) -> String {
    let rest = match key.strip_prefix(TARGETS).and_then(|rest| rest.strip_prefix('[')) {
        Some(rest) => match rest.split_once(']') {
            Some((index, "" | ".url")) => {
                let target = index.parse::<usize>().ok().and_then(|index| targets.get(index));
                return target.map(|text| mask::target(text)).unwrap_or_default();
            }
            Some((_, rest)) => rest.trim_start_matches('.'),
            None => rest,
        },
        None => key.strip_prefix(OPTIONS).unwrap_or(key).trim_start_matches('.'),
    };
    if let Some(what) = rest.strip_prefix("expect.") {
        let what = what.split(['.', '[']).next().unwrap_or("");
        return format!(
            "--expect-{}",
            what.trim_end_matches("_contains").replace('_', "-")
        );
    }
    let flag = FLAGS.iter().find(|(key, _)| rest.starts_with(key));
    flag.map_or_else(|| rest.to_owned(), |(_, flag)| (*flag).to_owned())
}

/// The target as a URL. What has no scheme is taken for something, which is said.
fn understood(text: &str, notes: &mut Vec<String>) -> String {
    let begins_like_url = ["http:", "https:", "http//", "https//", "//", "/"]
        .iter()
        .any(|start| text.starts_with(start));
    if text.contains("://") || begins_like_url || text.trim().is_empty() {
        return text.to_owned();
    }
    let url = if text.parse::<std::net::Ipv6Addr>().is_ok() {
        format!("https://[{text}]")
    } else {
        format!("{}://{text}", scheme_for(text))
    };
    // One that is wrong in another way too is told about that way.
    if let Some(shown) = name_of(&url) {
        notes.push(format!(
            "`{}` has no scheme: taken as {shown}",
            mask::target(text)
        ));
    }
    url
}

/// By the port: HTTP in the clear unless it is TLS's, and a mere connection where the port is known for something else.
fn scheme_for(text: &str) -> &'static str {
    let authority = text.split(['/', '?', '#']).next().unwrap_or("");
    let port = match authority.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => port.parse::<u16>().ok(),
        _ => None,
    };
    match port {
        None | Some(443 | 8443) => "https",
        Some(port) if authority.len() == text.len() && url_lint::is_port_of_other(port) => "tcp",
        Some(_) => "http",
    }
}

fn name_of(url: &str) -> Option<String> {
    let target = url_lint::parse(url).0?;
    match target {
        Target::Http { ref url, .. } => Some(url.to_string()),
        Target::Tcp(ref endpoint) => Some(format!("tcp://{endpoint}")),
        Target::Tls(ref endpoint) => Some(format!("tls://{endpoint}")),
        Target::Dns {
            ref server,
            ref name,
            record,
            ..
        } => Some(format!("dns://{server}/{name}?type={record}")),
        Target::WebSocket { ref url, .. } => {
            let shown = url.to_string();
            Some(format!("ws{}", shown.strip_prefix("http").unwrap_or(&shown)))
        }
        Target::Grpc { ref url, ref service } => {
            Some(format!("{}://{}/{service}", target.scheme(), url.endpoint))
        }
        Target::Icmp(ref endpoint) | Target::Service { ref endpoint, .. } => {
            Some(format!("{}://{endpoint}", target.scheme()))
        }
    }
}

/// A smaller budget lowers those inside it; a larger one that is given raises the built-in ones around it.
fn nested_timeouts(options: &TargetOptions) -> Timeouts {
    let built_in = Timeouts::default();
    let phases = [
        (options.resolve_timeout, built_in.resolve),
        (options.connect_timeout, built_in.connect),
        (options.tls_timeout, built_in.tls),
        (options.first_byte_timeout, built_in.first_byte),
        (options.body_timeout, built_in.body),
    ];
    let longest_given = phases
        .iter()
        .filter_map(|(given, _)| *given)
        .max()
        .unwrap_or_default();
    let attempt = options
        .attempt_timeout
        .unwrap_or(built_in.attempt.max(longest_given));
    let total = options.timeout.unwrap_or(built_in.total.max(attempt));
    let attempt = attempt.min(total);
    let [resolve, connect, tls, first_byte, body] =
        phases.map(|(given, built_in)| given.unwrap_or(built_in).min(attempt));
    Timeouts {
        resolve,
        connect,
        tls,
        first_byte,
        body,
        attempt,
        total,
    }
}

/// Reads a text as its key's type does; what is wrong is noted at the key.
fn read<T: FromScalar>(text: &str, place: &Place, report: &mut Report) -> Option<T> {
    match T::from_text(text) {
        Ok(value) => Some(value),
        Err(hint) => {
            report.add(
                Finding::error(place, format!("cannot use `{text}`"))
                    .expected(T::EXPECTED)
                    .suggest_opt(hint),
            );
            None
        }
    }
}

/// The options that `defaults` has keys for.
fn shared(options: &TargetOptions, timeouts: &Timeouts, place: &Place, report: &mut Report) -> RawDefaults {
    let duration = |value: Duration| Some(DurationText(value));
    check_options(options, place, report);
    RawDefaults {
        interval: duration(timeouts.total.max(super::lower::DEFAULT_INTERVAL)),
        timeouts: Some(RawTimeouts {
            resolve: duration(timeouts.resolve),
            connect: duration(timeouts.connect),
            tls: duration(timeouts.tls),
            first_byte: duration(timeouts.first_byte),
            body: duration(timeouts.body),
            attempt: duration(timeouts.attempt),
            total: duration(timeouts.total),
        }),
        retry: options.retries.map(|retries| RawRetry {
            attempts: Some(Whole(u32::from(retries.min(19)) + 1)),
            backoff: None,
        }),
        confirm: Some(if options.deep {
            ConfirmWord::Full
        } else {
            ConfirmWord::Gentle
        }),
        fast_below: options.fast_below.map(DurationText),
        headers: Some(headers(options, place, report)),
        tls: Some(RawTls {
            ca: (!options.ca.is_empty()).then(|| OneOrMany(options.ca.clone())),
            only_given_ca: options.only_given_ca.then_some(true),
            client_cert: options.client_cert.clone(),
            client_key: options.client_key.clone(),
            crl: (!options.crl.is_empty()).then(|| OneOrMany(options.crl.clone())),
            aia: options.aia.then_some(true),
            server_name: options.server_name.clone(),
            ..RawTls::default()
        }),
        proxy: options.proxy.as_deref().map(|text| match text {
            "none" | "" => ProxySetting::None,
            "environment" => ProxySetting::Environment,
            url => ProxySetting::Url(url.to_owned()),
        }),
        resolve: Some(resolve(options, place, report)),
        redirects: options.max_redirects.map(|limit| RawRedirects {
            limit: Some(Whole(u32::from(limit.min(50)))),
            allow_downgrade: None,
        }),
        http_version: options
            .http_version
            .as_deref()
            .and_then(|text| read::<VersionWord>(text, &place.key("http_version"), report)),
        user_agent: options.user_agent.clone(),
        ..RawDefaults::default()
    }
}

/// What the types of the options let pass.
fn check_options(options: &TargetOptions, place: &Place, report: &mut Report) {
    for (given, key) in [
        (options.timeout, "total"),
        (options.attempt_timeout, "attempt"),
        (options.resolve_timeout, "resolve"),
        (options.connect_timeout, "connect"),
        (options.tls_timeout, "tls"),
        (options.first_byte_timeout, "first_byte"),
        (options.body_timeout, "body"),
    ] {
        if given.is_some_and(|given| given.is_zero()) {
            report.add(
                Finding::error(&place.key("timeouts").key(key), "a budget of nothing")
                    .expected("more than 0s"),
            );
        }
    }
    for (given, most, key) in [
        (options.retries, 19, "retry"),
        (options.max_redirects, 50, "redirects"),
    ] {
        if given.is_some_and(|given| given > most) {
            report.add(Finding::error(&place.key(key), "too many").expected(format!("at most {most}")));
        }
    }
    if options.ipv4 && options.ipv6 {
        report.error(
            &place.dotted("resolve.family"),
            "`--ipv4` and `--ipv6` exclude each other",
        );
    }
}

fn headers(options: &TargetOptions, place: &Place, report: &mut Report) -> BTreeMap<String, SecretText> {
    let mut headers = BTreeMap::new();
    for header in &options.headers {
        match header.split_once(':') {
            Some((name, value)) => {
                headers.insert(
                    name.trim().to_owned(),
                    SecretText::Inline(value.trim().to_owned()),
                );
            }
            None => {
                let finding =
                    Finding::error(&place.key("headers"), "a header without a colon").at(Part::Value);
                report.add(finding.expected("`Name: value`"));
            }
        }
    }
    headers
}

fn resolve(options: &TargetOptions, place: &Place, report: &mut Report) -> RawResolve {
    let place = place.key("resolve");
    let mut servers = Vec::new();
    for text in &options.resolvers {
        servers.extend(read::<Nameserver>(text, &place.key("servers"), report));
    }
    let mut addresses = Vec::new();
    for text in &options.addresses {
        addresses.extend(read::<Address>(text, &place.key("addresses"), report));
    }
    RawResolve {
        servers: (!servers.is_empty()).then_some(OneOrMany(servers)),
        family: match (options.ipv4, options.ipv6) {
            (true, false) => Some(FamilyWord::Ipv4),
            (false, true) => Some(FamilyWord::Ipv6),
            _ => None,
        },
        addresses: (!addresses.is_empty()).then_some(OneOrMany(addresses)),
    }
}

/// The options that only a dependency has keys for.
fn own(options: &TargetOptions, place: &Place, report: &mut Report) -> RawDependency {
    let status = options.expect_status.as_deref().and_then(|text| {
        let read = serde_yaml::from_value::<Statuses>(serde_yaml::Value::String(text.to_owned()));
        if read.is_err() {
            let finding = Finding::error(&place.dotted("expect.status"), format!("cannot use `{text}`"));
            report.add(finding.expected("statuses such as `200`, `2xx` or `200,301-303`"));
        }
        read.ok()
    });
    let expect = RawExpect {
        status,
        body_contains: (!options.expect_body.is_empty()).then(|| OneOrMany(options.expect_body.clone())),
        body_regex: options.expect_body_regex.clone(),
        latency: options.expect_latency.map(DurationText),
        cert: options.expect_cert_days.map(|days| RawCertExpect {
            days_left: Some(Whole(days.min(10_000))),
            ..RawCertExpect::default()
        }),
        ..RawExpect::default()
    };
    RawDependency {
        method: options.method.clone(),
        body: options.body.clone().map(SecretText::Inline),
        auth: auth(options, place, report),
        expect: (expect != RawExpect::default()).then_some(expect),
        starttls: options.starttls.then_some(true),
        ..RawDependency::default()
    }
}

fn auth(options: &TargetOptions, place: &Place, report: &mut Report) -> Option<RawAuth> {
    let at = place.key("auth");
    match (&options.user, &options.bearer) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            report.error(&at, "`--user` and `--bearer` exclude each other");
            None
        }
        (None, Some(token)) => Some(RawAuth {
            bearer: Some(SecretText::Inline(token.clone())),
            ..RawAuth::default()
        }),
        (Some(user), None) => match user.split_once(':') {
            Some((user, password)) => {
                let password = Some(SecretText::Inline(password.to_owned()));
                let basic = RawBasic {
                    user: Some(Word(user.to_owned())),
                    password,
                };
                Some(RawAuth {
                    basic: Some(basic),
                    ..RawAuth::default()
                })
            }
            None => {
                report.add(Finding::error(&at, "the password is missing").expected("`NAME:PASSWORD`"));
                None
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dependency::{Auth, Confirm, Probe};

    fn plan(targets: &[&str], options: &TargetOptions) -> Result<TargetPlan, Diagnostics> {
        let targets: Vec<String> = targets.iter().map(|text| (*text).to_owned()).collect();
        plan_for_targets(&targets, options, &HashMap::new())
    }

    #[test]
    fn bare_targets_are_understood_and_said() {
        let made = plan(
            &["example.com", "localhost:3000", "db:5432", "::1", "h:443/x"],
            &TargetOptions::default(),
        );
        let made = made.expect("is good");
        let mut names: Vec<&str> = made.plan.dependencies.iter().map(|one| &*one.name).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "http://localhost:3000/",
                "https://[::1]/",
                "https://example.com/",
                "https://h/x",
                "tcp://db:5432"
            ]
        );
        assert_eq!(
            made.notes[0],
            "`example.com` has no scheme: taken as https://example.com/"
        );
        assert!(made.plan.one_round && made.plan.otlp.is_none() && made.plan.listen.is_none());
    }

    #[test]
    fn smaller_budgets_lower_those_inside_and_larger_ones_raise_those_around() {
        let seconds = |n| Some(Duration::from_secs(n));
        let timeouts = |options: TargetOptions| {
            plan(&["https://h/"], &options)
                .expect("is good")
                .plan
                .dependencies[0]
                .timeouts
        };
        let small = timeouts(TargetOptions {
            timeout: seconds(2),
            ..TargetOptions::default()
        });
        assert_eq!(
            (small.total, small.attempt, small.first_byte),
            (
                Duration::from_secs(2),
                Duration::from_secs(2),
                Duration::from_secs(2)
            )
        );
        let large = timeouts(TargetOptions {
            first_byte_timeout: seconds(60),
            ..TargetOptions::default()
        });
        assert_eq!(
            (large.total, large.attempt, large.first_byte),
            (
                Duration::from_secs(60),
                Duration::from_secs(60),
                Duration::from_secs(60)
            )
        );
        assert_eq!(large.connect, Duration::from_secs(3));
    }

    #[test]
    fn options_reach_the_plan() {
        let options = TargetOptions {
            headers: vec!["X-Test: 1".into()],
            body: Some("{}".into()),
            user: Some("me:hunter2".into()),
            expect_status: Some("200,301-303".into()),
            retries: Some(0),
            deep: true,
            ..TargetOptions::default()
        };
        let made = plan(&["https://h/"], &options).expect("is good");
        let one = &made.plan.dependencies[0];
        let Probe::Http(http) = &one.probe else {
            panic!("{:?}", one.probe)
        };
        assert_eq!(
            (&*http.method, http.headers.len(), one.retry.attempts),
            ("POST", 1, 1)
        );
        assert_eq!(one.confirm, Confirm::Full);
        assert!(matches!(&http.auth, Auth::Basic { user, .. } if &**user == "me"));
        assert!(http.expect.admits_status(302) && !http.expect.admits_status(204));
        assert!(!format!("{made:?}").contains("hunter2"));
    }

    #[test]
    fn everything_wrong_is_told_without_secrets() {
        let options = TargetOptions {
            headers: vec!["no colon".into()],
            resolvers: vec!["dns.example".into()],
            ca: vec!["/nowhere/ca.pem".into()],
            retries: Some(99),
            http_version: Some("3".into()),
            ..TargetOptions::default()
        };
        let wrong = plan(&["https://me:hunter2@None/?k=hunter2", "icmp://h:7"], &options)
            .expect_err("is bad")
            .to_string();
        let mut lines: Vec<&str> = wrong.lines().collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "command line: --ca: there is no such file",
                "command line: --header: a header without a colon; expected `Name: value`",
                "command line: --http: cannot use `3`; expected `auto`, `1.1` or `2`",
                "command line: --resolver: cannot use `dns.example`; expected a nameserver's address such as \
                 `10.0.0.2`, `10.0.0.2:5353` or `[2001:db8::1]:53`",
                "command line: --retries: too many; expected at most 19",
                "command line: https://**********@None/?k=*******: a host that says that a value was missing: `none`",
                "command line: icmp://h:7: ICMP has no ports; expected `icmp://host`",
            ]
        );
    }
}
