//! From the raw types to the plan: fills in defaults, checks what one type alone cannot, notes everything wrong.

mod alerting;
mod applies;
mod budgets;
pub mod discovery;
mod expect;
mod graph;
mod http;
mod keepalive;
mod labels;
mod layers;
mod listen;
mod names;
mod network;
mod otlp;
mod resource;
pub mod scale_out;
mod secret;
mod services;
mod vantage;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::environment::Environment;
use super::raw::alerts::{RawAlerts, RawMaintenance, RawReceiver};
use super::raw::choices::ConfirmWord;
use super::raw::discovery::RawDiscovery;
use super::raw::scale_out::RawScaleOut;
use super::raw::values::Word;
use super::raw::{RawDefaults, RawDependency, RawLimits, RawListen, RawOtlp, RawVantage};
use super::report::{Finding, Part, Place, Report};
use super::url_lint::{self, Lint, Target};
use crate::model::alert_policy::AlertPolicy;
use crate::model::dependency::{Confirm, Dependency, DnsProbe, HostKey, Probe, Security, TcpProbe, TlsProbe};
use crate::model::plan::{Limits, Plan};
use crate::model::receiver::Alerting;
use layers::Layers;

pub use alerting::{Lowering, has_minimum, has_threshold};

/// Time between two operations unless configured.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
/// A failure sooner than this is fast unless configured.
pub const DEFAULT_FAST_BELOW: Duration = Duration::from_secs(1);
/// Bytes of body read at most unless configured.
pub const DEFAULT_MAX_BODY: u64 = 1 << 20;

/// How requests identify themselves unless configured.
pub fn default_user_agent() -> String {
    match env!("CARGO_PKG_REPOSITORY") {
        "" => concat!("whyd/", env!("CARGO_PKG_VERSION")).to_owned(),
        repository => format!("whyd/{} (+{repository})", env!("CARGO_PKG_VERSION")),
    }
}

/// Everything decoded, from all files or from the command line.
#[derive(Debug, Default)]
pub struct RawPlan {
    pub defaults: Option<(RawDefaults, Place)>,
    pub dependencies: Vec<(RawDependency, Place)>,
    pub limits: Option<RawLimits>,
    pub vantage: Option<(RawVantage, Place)>,
    pub listen: Option<(RawListen, Place)>,
    pub otlp: Option<(RawOtlp, Place)>,
    pub alerts: Option<(RawAlerts, Place)>,
    pub receivers: Vec<(RawReceiver, Place)>,
    pub maintenance: Vec<(RawMaintenance, Place)>,
    pub scale_out: Option<(RawScaleOut, Place)>,
    pub location: Option<(Word, Place)>,
    /// What the command line says in place of these two.
    pub overrides: scale_out::Overrides,
    pub discovery: Vec<(RawDiscovery, Place)>,
    /// Where relative paths of each file start; a file beyond the end has none (the command line).
    pub directories: Vec<PathBuf>,
    pub from: Origin,
}

/// Where the plan comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    #[default]
    Files,
    /// One round, no exports, no listener; names are made from the targets.
    CommandLine,
}

/// What lowering needs besides the raw types.
pub struct Context<'a> {
    pub env: &'a dyn Environment,
    pub report: &'a mut Report,
    pub directories: &'a [PathBuf],
    pub from: Origin,
    /// What every dependency's alerts have until more is known.
    pub alerts: Arc<AlertPolicy>,
    /// The label `location` is ours.
    pub located: bool,
}

/// What is said of a key that is reserved.
const NOT_IN_THIS_VERSION: &str = "this is accepted, and does nothing in this version";

/// What everything was lowered to.
pub struct Lowered {
    /// Good only if no error was noted.
    pub plan: Plan,
    /// Where there is something to discover: the dependencies before thresholds, each with its place among the raw ones.
    pub file: Vec<(Dependency, usize)>,
    pub entries: Vec<discovery::Entry>,
}

/// Lowers everything. The plan is good only if no error was noted.
pub fn lower(raw: &RawPlan, env: &dyn Environment, report: &mut Report) -> Lowered {
    let nothing = (RawDefaults::default(), Place::root(0).key("defaults"));
    let (defaults, defaults_place) = raw.defaults.as_ref().unwrap_or(&nothing);
    let mut context = Context {
        env,
        report,
        directories: &raw.directories,
        from: raw.from,
        alerts: Arc::default(),
        located: false,
    };
    let location = scale_out::location(&mut context, raw);
    context.located = location.is_some();
    if raw.defaults.is_some() {
        check_defaults(&mut context, defaults, defaults_place);
    }
    let names = names::check(
        &mut context,
        raw.dependencies
            .iter()
            .map(|(one, place)| (one.name.as_ref(), place)),
        "in the whole configuration",
    );
    let mut dependencies = Vec::with_capacity(raw.dependencies.len());
    let mut file = Vec::new();
    for (i, (dependency, place)) in raw.dependencies.iter().enumerate() {
        let own = RawDefaults::from(dependency);
        let layers = Layers {
            own: &own,
            own_place: place,
            defaults,
            defaults_place,
        };
        if let Some(lowered) = lower_dependency(&mut context, dependency, place, &layers) {
            if !raw.discovery.is_empty() {
                file.push((lowered.clone(), i));
            }
            dependencies.push((lowered, dependency, place));
        }
    }
    graph::check(&mut context, raw, &names);
    let served = raw.from == Origin::Files;
    if served {
        alerting::policies(&mut context, raw, &mut dependencies);
    }
    let mut dependencies: Vec<Arc<Dependency>> = dependencies
        .into_iter()
        .map(|(lowered, ..)| Arc::new(lowered))
        .collect();
    dependencies.sort_by(|a, b| a.name.cmp(&b.name));
    let vantage = vantage::lower(&mut context, raw.vantage.as_ref(), &dependencies);
    let (sources, entries) = discovery::lower(&mut context, raw);
    let mut plan = Plan {
        vantage,
        alerting: if served {
            alerting::lower(&mut context, raw, &dependencies)
        } else {
            Alerting::default()
        },
        dependencies,
        limits: lower_limits(raw.limits.as_ref()),
        one_round: !served,
        otlp: if served {
            otlp::lower(&mut context, raw.otlp.as_ref())
        } else {
            None
        },
        listen: if served {
            listen::lower(&mut context, raw.listen.as_ref())
        } else {
            None
        },
        discovery: sources,
        scale_out: if served {
            scale_out::lower(&mut context, raw)
        } else {
            None
        },
        location: location.clone(),
    };
    if let Some(location) = location {
        scale_out::locate(&mut plan.alerting, location);
    }
    scale_out::check_election(&mut context, raw, &plan);
    if !raw.overrides.whole {
        scale_out::keep_own(&mut plan);
    }
    Lowered { plan, file, entries }
}

/// Gives dependencies the thresholds of their alerts, anew and without saying anything: what is wrong with the
/// configuration was said when it was loaded, and what is wrong with what was found when it was made.
pub fn thresholds(raw: &RawPlan, env: &dyn Environment, dependencies: &mut [Lowering<'_>]) {
    let mut context = Context {
        env,
        report: &mut Report::default(),
        directories: &raw.directories,
        from: raw.from,
        alerts: Arc::default(),
        located: false,
    };
    alerting::policies(&mut context, raw, dependencies);
}

/// What is wrong with the defaults is told even when no dependency would meet it.
fn check_defaults(context: &mut Context<'_>, defaults: &RawDefaults, place: &Place) {
    let nothing = RawDefaults::default();
    let own_place = place.key("");
    let layers = Layers {
        own: &nothing,
        own_place: &own_place,
        defaults,
        defaults_place: place,
    };
    budgets::timeouts(context, &layers, None);
    budgets::retry(context, &layers);
    budgets::breaker(context, &layers);
    labels::lower(context, &layers);
    http::headers(context, &layers);
    network::tls(context, &layers);
    network::resolve(&layers);
    keepalive::settings(context, &layers);
}

fn lower_dependency(
    context: &mut Context<'_>,
    raw: &RawDependency,
    place: &Place,
    layers: &Layers<'_>,
) -> Option<Dependency> {
    let target = lower_url(context, raw, place);
    let timeouts = budgets::timeouts(context, layers, raw.deadline.map(|text| text.0));
    let probe = lower_probe(context, raw, layers, target);
    let (timeouts, interval) = timeouts;
    if let Some(limit) = raw.expect.as_ref().and_then(|expect| expect.latency)
        && limit.0 > timeouts.attempt
    {
        let at = place.dotted("expect.latency");
        context
            .report
            .warning(&at, "longer than `timeouts.attempt`: it can never fail");
    }
    let labels = labels::lower(context, layers);
    let retry = budgets::retry(context, layers);
    let breaker = budgets::breaker(context, layers);
    let probe = probe?;
    let keepalive = keepalive::lower(context, layers, &probe);
    let endpoint = probe.endpoint();
    let proxy = probe.proxy();
    let host = HostKey {
        name: endpoint.host.clone(),
        port: endpoint.port,
        proxy: proxy.map(|proxy| proxy.to_string().into()),
    };
    Some(Dependency {
        unused_proxy: network::unused_proxy(context, layers, &probe),
        found: false,
        alerts: Arc::clone(&context.alerts),
        name: raw.name.as_ref().map_or("?", |name| name.0.as_str()).into(),
        labels,
        host,
        interval,
        timeouts,
        retry,
        breaker,
        confirm: match layers.value(|shared| shared.confirm) {
            Some(ConfirmWord::Off) => Confirm::Off,
            Some(ConfirmWord::Gentle) => Confirm::Gentle,
            Some(ConfirmWord::Full) => Confirm::Full,
            None => Confirm::default(),
        },
        keepalive,
        fast_below: layers
            .value(|shared| shared.fast_below)
            .map_or(DEFAULT_FAST_BELOW, |text| text.0),
        depends_on: raw
            .depends_on
            .iter()
            .flat_map(|names| &names.0)
            .map(|name| name.0.as_str().into())
            .collect(),
        probe,
    })
}

/// Notes what the lint says of the URL at `place`; texts from the environment are not quoted.
pub fn add_lints(report: &mut Report, place: &Place, lints: Vec<Lint>) {
    let quoting = !report.is_expanded(place);
    for lint in lints {
        let mut finding = Finding::error(place, lint.message(quoting));
        if quoting {
            // The range is one of the expanded text: where that is not what stands in the file, it means nothing.
            finding.part = Part::Within(lint.range.clone());
        }
        finding.severity = lint.severity;
        finding.expected = lint.expected.map(str::to_owned);
        finding.suggestion = lint.suggestion.filter(|_| quoting);
        report.add(finding);
    }
}

fn lower_url(context: &mut Context<'_>, raw: &RawDependency, place: &Place) -> Option<Target> {
    let Some(text) = &raw.url else {
        context
            .report
            .missing(place, "url", "a URL such as `https://host/path`");
        return None;
    };
    let (target, lints) = url_lint::parse(text);
    add_lints(context.report, &place.key("url"), lints);
    target
}

fn lower_probe(
    context: &mut Context<'_>,
    raw: &RawDependency,
    layers: &Layers<'_>,
    target: Option<Target>,
) -> Option<Probe> {
    let Some(target) = target else {
        // The URL is no good, but the rest of the entry is looked at all the same.
        network::tls(context, layers);
        http::headers(context, layers);
        expect::lower(context, raw, layers.own_place);
        return None;
    };
    applies::check(context, raw, layers, &target);
    if !matches!(target, Target::Dns { .. }) {
        network::check_family(context, layers, target.endpoint());
    }
    Some(match target {
        Target::Http { url, user_info } => {
            Probe::Http(Box::new(http::lower(context, raw, layers, (url, user_info))))
        }
        Target::Tcp(endpoint) if raw.dialogue.is_some() => {
            services::steps(context, raw, layers, (endpoint, Security::None))
        }
        Target::Tls(endpoint) if raw.dialogue.is_some() => {
            services::steps(context, raw, layers, (endpoint, Security::Implicit))
        }
        Target::Icmp(_) | Target::Grpc { .. } | Target::WebSocket { .. } | Target::Service { .. } => {
            services::lower(context, raw, layers, target)?
        }
        Target::Tcp(endpoint) => Probe::Tcp(TcpProbe {
            proxy: network::proxy(
                context,
                layers,
                &network::Meant {
                    scheme: "tcp",
                    endpoint: &endpoint,
                },
            ),
            resolve: network::resolve(layers),
            endpoint,
        }),
        Target::Tls(endpoint) => Probe::Tls(TlsProbe {
            proxy: network::proxy(
                context,
                layers,
                &network::Meant {
                    scheme: "tls",
                    endpoint: &endpoint,
                },
            ),
            resolve: network::resolve(layers),
            tls: network::tls(context, layers),
            cert: expect::cert_alone(context, raw, layers.own_place),
            endpoint,
        }),
        Target::Dns {
            server,
            name,
            record,
            transport,
        } => Probe::Dns(DnsProbe {
            server,
            name: name.into(),
            record,
            transport,
            expect: expect::records(raw),
        }),
    })
}

fn lower_limits(raw: Option<&RawLimits>) -> Limits {
    let built_in = Limits::default();
    let Some(raw) = raw else { return built_in };
    Limits {
        concurrency: raw.concurrency.map_or(built_in.concurrency, |n| n.0),
        concurrency_per_host: raw
            .concurrency_per_host
            .map_or(built_in.concurrency_per_host, |n| n.0),
        confirmations_per_host: raw
            .confirmations_per_host
            .map_or(built_in.confirmations_per_host, |n| n.0),
    }
}

#[cfg(test)]
mod tests;
