//! `Probe` of the Prometheus operator (monitoring.coreos.com/v1): what its authors ask a blackbox exporter to probe is watched
//! by whyd itself.
//!
//! What a module does is written in the exporter's own configuration, which nobody here can see. The names below are
//! those of the exporter's examples and of the usual charts; another name is refused, since a guess would be a false alarm.
//! (https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.Probe,
//! https://github.com/prometheus/blackbox_exporter/blob/master/example.yml)

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_yaml::{Mapping, Value};

use super::super::bounds::MOST_LABELS;
use super::announce::{Announced, Context, Found, call, labels, note, settings};
use super::ingresses::{IngressSpec, ways};
use super::object::{Key, Lenient, Seen};
use crate::model::discovery::Target;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProbeSpec {
    job_name: Option<String>,
    module: Option<String>,
    targets: ProbeTargets,
    interval: Option<String>,
    scrape_timeout: Option<String>,
    /// Parameters for the exporter beside the module.
    params: Vec<ProbeParam>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ProbeParam {
    name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ProbeTargets {
    static_config: Option<StaticConfig>,
    ingress: Option<IngressTargets>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StaticConfig {
    #[serde(rename = "static")]
    targets: Vec<String>,
    labels: BTreeMap<String, String>,
    relabeling_configs: Vec<Relabeling>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct IngressTargets {
    selector: Selector,
    namespace_selector: NamespaceSelector,
    relabeling_configs: Vec<Relabeling>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Relabeling {
    action: Option<String>,
    target_label: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NamespaceSelector {
    any: bool,
    match_names: Vec<String>,
}

/// A LabelSelector.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Selector {
    match_labels: BTreeMap<String, String>,
    match_expressions: Vec<Expression>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Expression {
    key: String,
    operator: String,
    values: Vec<String>,
}

impl Selector {
    fn fits<S>(&self, object: &Seen<S>) -> bool {
        let label = |key: &str| object.metadata.labels.as_ref().and_then(|labels| labels.get(key));
        let named = self
            .match_labels
            .iter()
            .all(|(key, value)| label(key) == Some(value));
        named
            && self.match_expressions.iter().all(|one| {
                let own = label(&one.key);
                match one.operator.as_str() {
                    "In" => own.is_some_and(|own| one.values.contains(own)),
                    "NotIn" => own.is_none_or(|own| !one.values.contains(own)),
                    "Exists" => own.is_some(),
                    "DoesNotExist" => own.is_none(),
                    // The API takes no other.
                    _ => false,
                }
            })
    }
}

pub type Probe = Seen<Lenient<ProbeSpec>>;

/// How a module asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    Http(&'static [(&'static str, &'static str)]),
    /// The target is a host and port, or a host alone, and this is the scheme.
    Scheme(&'static str),
}

const OK: &[(&str, &str)] = &[];

/// What modules of the usual names do.
const MODULES: &[(&str, Means)] = &[
    ("http_2xx", Means::Http(OK)),
    ("http", Means::Http(OK)),
    ("https", Means::Http(OK)),
    ("https_2xx", Means::Http(OK)),
    ("http_get", Means::Http(OK)),
    ("http_get_2xx", Means::Http(OK)),
    ("http_head_2xx", Means::Http(&[("method", "HEAD")])),
    ("http_200", Means::Http(&[("status", "200")])),
    ("http_4xx", Means::Http(&[("status", "4xx")])),
    ("http_401", Means::Http(&[("status", "401")])),
    ("http_403", Means::Http(&[("status", "403")])),
    ("http_404", Means::Http(&[("status", "404")])),
    ("tcp_connect", Means::Scheme("tcp")),
    ("tcp", Means::Scheme("tcp")),
    ("tcp_tls", Means::Scheme("tls")),
    ("tcp_connect_tls", Means::Scheme("tls")),
    ("tls_connect", Means::Scheme("tls")),
    ("tls", Means::Scheme("tls")),
    ("icmp", Means::Scheme("icmp")),
    ("ping", Means::Scheme("icmp")),
    ("grpc", Means::Scheme("grpcs")),
    ("grpc_plain", Means::Scheme("grpc")),
    ("ssh_banner", Means::Scheme("ssh")),
    ("pop3s_banner", Means::Scheme("pop3s")),
    ("smtp_starttls", Means::Scheme("smtp")),
    ("imap_starttls", Means::Scheme("imap")),
];

/// The names of modules that are understood.
pub fn modules() -> impl Iterator<Item = &'static str> {
    MODULES.iter().map(|(name, _)| *name)
}

/// What a Probe asks for.
struct Asked<'p> {
    announced: &'p Announced,
    means: Means,
    settings: Option<Arc<str>>,
    place: Arc<str>,
    key: Key,
}

/// Whether a Probe takes its targets from Ingresses.
pub fn wants_ingresses(probe: &Probe) -> bool {
    matches!(&probe.spec, Some(Lenient(Ok(spec))) if spec.targets.ingress.is_some())
}

/// The targets of a Probe. `ingresses` are those that can be seen; `None` where they are not looked at, and why.
pub fn found<'i, I>(context: &Context, probe: &Probe, ingresses: Result<I, &str>) -> Found
where
    I: Iterator<Item = &'i Seen<IngressSpec>>,
{
    let key = probe.key();
    let place: Arc<str> = format!("probe {key}").into();
    let announced = match Announced::read_beside(probe, &context.prefix) {
        Ok(Some(announced)) => announced,
        Ok(None) => return Found::default(),
        Err(why) => return Found::refused(&place, why),
    };
    let spec = match &probe.spec {
        Some(Lenient(Ok(spec))) => spec,
        Some(Lenient(Err(why))) => return Found::refused(&place, format!("it cannot be understood: {why}")),
        None => return Found::refused(&place, "it has no spec"),
    };
    let asked = match asked(spec, &announced, (&place, &key)) {
        Ok(asked) => asked,
        Err(why) => return Found::refused(&place, why),
    };
    let mut shared = match labels(context, "probe", probe) {
        Ok(shared) => shared,
        Err(why) => return Found::refused(&place, why),
    };
    note(
        context,
        &mut shared,
        "probe_job_name",
        spec.job_name.as_deref().unwrap_or_default(),
    );
    note(
        context,
        &mut shared,
        "probe_module",
        spec.module.as_deref().unwrap_or_default(),
    );
    let mut found = Found::default();
    if let Some(fixed) = &spec.targets.static_config {
        fixed_targets(context, &asked, (fixed, &shared), &mut found);
    }
    match (&spec.targets.ingress, ingresses) {
        (None, _) => {}
        (Some(_), Err(why)) => found.refuse(&place, format!("its targets are Ingresses, and {why}")),
        (Some(wanted), Ok(ingresses)) => {
            for ingress in ingresses.filter(|ingress| wanted.takes(ingress, &key)) {
                if !ingress_targets(context, &asked, (wanted, ingress, &shared), &mut found) {
                    break;
                }
            }
        }
    }
    if spec.targets.static_config.is_none() && spec.targets.ingress.is_none() {
        found.refuse(
            &place,
            "it has neither `targets.staticConfig` nor `targets.ingress`",
        );
    }
    found
}

impl IngressTargets {
    fn takes(&self, ingress: &Seen<IngressSpec>, probe: &Key) -> bool {
        let namespace = ingress.metadata.namespace.as_deref().unwrap_or_default();
        let names = &self.namespace_selector.match_names;
        let here = if names.is_empty() {
            self.namespace_selector.any || namespace == &*probe.namespace
        } else {
            names.iter().any(|name| name == namespace)
        };
        here && self.selector.fits(ingress)
    }
}

/// What holds for all its targets.
fn asked<'p>(
    spec: &ProbeSpec,
    announced: &'p Announced,
    (place, key): (&Arc<str>, &Key),
) -> Result<Asked<'p>, Box<str>> {
    if let Some(param) = spec.params.iter().find(|param| param.name != "module") {
        return Err(format!(
            "its `params` give the exporter `{}`, whose meaning whyd cannot know",
            param.name
        )
        .into());
    }
    let module = spec
        .module
        .as_deref()
        .filter(|module| !module.is_empty())
        .unwrap_or("http_2xx");
    let known = MODULES.iter().find(|(name, _)| *name == module);
    let means = match (&announced.scheme, known) {
        (Some(_), _) => Means::Scheme(""),
        (None, Some((_, means))) => *means,
        (None, None) => return Err(unknown_module(module)),
    };
    let mut more = Vec::new();
    if let Means::Http(how) = means {
        more.extend(how.iter().map(|(key, value)| meant(key, value)));
    }
    if module.ends_with("_starttls") {
        more.push(("starttls", Value::from(true)));
    }
    let interval = whole(spec.interval.as_deref(), "interval")?;
    if let Some(interval) = &interval {
        more.push(("interval", Value::from(interval.as_str())));
    }
    if let Some(limit) = whole(spec.scrape_timeout.as_deref(), "scrapeTimeout")? {
        let timeouts: Mapping = [(Value::from("total"), Value::from(limit))].into_iter().collect();
        more.push(("timeouts", Value::Mapping(timeouts)));
    }
    Ok(Asked {
        announced,
        means,
        settings: settings(None, announced.settings.as_deref(), &more)?,
        place: Arc::clone(place),
        key: key.clone(),
    })
}

/// A key of a dependency in place of what a module is known to do.
fn meant(key: &'static str, value: &str) -> (&'static str, Value) {
    let below =
        |inner: &str, value: Value| Value::Mapping([(Value::from(inner), value)].into_iter().collect());
    match key {
        "status" => ("expect", below("status", Value::from(value))),
        other => (other, Value::from(value)),
    }
}

fn unknown_module(module: &str) -> Box<str> {
    let why = if module.starts_with("dns") {
        "hides which name it asks for: put it in `dependencies` as `dns://server/name?type=A`"
    } else if module.contains("post") {
        "sends a body, and what it is stands in the exporter's configuration: put it in `dependencies`"
    } else {
        "is none of the usual ones, and what it does stands in the exporter's configuration: say the scheme by the annotation \
         `scheme`, and what is expected by `settings`"
    };
    format!("its module `{module}` {why}").into()
}

/// A duration of Prometheus (`1m30s`) in one unit.
fn whole(text: Option<&str>, key: &str) -> Result<Option<String>, Box<str>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match milliseconds(text) {
        Some(ms) if ms > 0 && ms % 1000 == 0 => Ok(Some(format!("{}s", ms / 1000))),
        Some(ms) if ms > 0 => Ok(Some(format!("{ms}ms"))),
        _ => Err(format!("its `{key}` is not a duration, such as `30s`").into()),
    }
}

/// https://prometheus.io/docs/prometheus/latest/querying/basics/#float-literals-and-time-durations
fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = match &rest[..letters] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        rest = &rest[letters..];
        sum = sum.checked_add(number.checked_mul(unit)?)?;
    }
    (!text.is_empty()).then_some(sum)
}

/// Why rules of relabelling would have whyd watch something else than they say. Those that only name labels are left out.
fn unfollowed(rules: &[Relabeling]) -> Option<String> {
    let rule = rules.iter().find(|rule| {
        let action = rule.action.as_deref().unwrap_or("replace").to_ascii_lowercase();
        let target = rule.target_label.as_deref().unwrap_or_default();
        match action.as_str() {
            "labeldrop" | "labelkeep" => false,
            "replace" | "lowercase" | "uppercase" | "hashmod" => {
                target.starts_with("__param_")
                    || matches!(target, "__address__" | "__scheme__" | "__metrics_path__")
            }
            // They choose among the targets, or make labels of any name.
            _ => true,
        }
    })?;
    let action = rule.action.as_deref().unwrap_or("replace");
    Some(format!(
        "whyd does not follow its `relabelingConfigs`, and `{action}` there changes what is probed"
    ))
}

fn fixed_targets(
    context: &Context,
    asked: &Asked<'_>,
    (fixed, shared): (&StaticConfig, &BTreeMap<Arc<str>, Arc<str>>),
    found: &mut Found,
) {
    if let Some(why) = unfollowed(&fixed.relabeling_configs) {
        found.refuse(&asked.place, why);
        return;
    }
    if fixed.labels.len() > MOST_LABELS {
        let why = format!("its `staticConfig.labels` are more than {MOST_LABELS}");
        found.refuse(&asked.place, why);
        return;
    }
    let mut seen = std::collections::BTreeSet::new();
    let several = fixed.targets.len() > 1;
    for target in fixed.targets.iter().map(|target| target.trim()) {
        if target.is_empty() || !seen.insert(target) {
            continue;
        }
        let address = match address(asked, target) {
            Ok(address) => address,
            Err(why) => {
                found.refuse(&asked.place, why);
                continue;
            }
        };
        let mut labels = shared.clone();
        // What the API says of the Probe is not for its author to say, and what templates are told neither.
        for (name, value) in fixed.labels.iter().filter(|(name, _)| !name.starts_with("__")) {
            labels
                .entry(context.shared(name))
                .or_insert_with(|| context.shared(value));
        }
        if !found.add(of_probe(context, asked, (target, several), (address, labels))) {
            break;
        }
    }
}

/// Whether there may be more.
fn ingress_targets(
    context: &Context,
    asked: &Asked<'_>,
    (wanted, ingress, shared): (&IngressTargets, &Seen<IngressSpec>, &BTreeMap<Arc<str>, Arc<str>>),
    found: &mut Found,
) -> bool {
    if let Some(why) = unfollowed(&wanted.relabeling_configs) {
        found.refuse(&asked.place, why);
        return false;
    }
    let own = match super::announce::labels(context, "ingress", ingress) {
        Ok(own) => own,
        Err(why) => {
            found.refuse(&asked.place, format!("ingress {}: {why}", ingress.key()));
            return true;
        }
    };
    let (ways, reasons) = ways(ingress, None);
    for why in reasons {
        found.refuse(&asked.place, format!("ingress {}: {why}", ingress.key()));
    }
    for way in ways {
        // The operator gives the exporter this URL, whatever the module.
        let url = way.url();
        match address(asked, &url) {
            Ok(address) => {
                let mut labels = shared.clone();
                labels.extend(own.clone());
                if !found.add(of_probe(context, asked, (&url, true), (address, labels))) {
                    return false;
                }
            }
            Err(why) => found.refuse(&asked.place, why),
        }
    }
    true
}

fn of_probe(
    context: &Context,
    asked: &Asked<'_>,
    (target, several): (&str, bool),
    (address, mut labels): (String, BTreeMap<Arc<str>, Arc<str>>),
) -> Target {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", &address));
    let own = rest
        .split(['?', '#'])
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    let name = match &asked.announced.name {
        Some(name) if several => format!("{name}:{own}"),
        Some(name) => name.to_string(),
        // One host may be probed in several ways, and each has a name.
        None if matches!(scheme, "http" | "https") => own.to_owned(),
        None => format!("{scheme}:{own}"),
    };
    call(context, &mut labels, &name);
    note(context, &mut labels, "probe_target", target);
    Target {
        address: address.into(),
        id: format!("probe/{}:{target}", asked.key).into(),
        labels,
        settings: asked.settings.clone(),
        place: Arc::clone(&asked.place),
    }
}

/// What the module would ask, as a URL.
fn address(asked: &Asked<'_>, target: &str) -> Result<String, Box<str>> {
    let announced = asked.announced;
    let shown = crate::net::sanitize::scrub_url(target);
    let bare = target.split_once("://");
    if target.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("its target `{shown}` has blanks in it").into());
    }
    let mut url = match (asked.means, &announced.scheme, bare) {
        (_, Some(scheme), Some((_, rest))) => format!("{scheme}://{rest}"),
        (_, Some(scheme), None) => format!("{scheme}://{target}"),
        (Means::Http(_), None, Some(("http" | "https", _))) => target.to_owned(),
        // As the exporter has it.
        (Means::Http(_), None, None) => format!("http://{target}"),
        (Means::Scheme(scheme), None, None) => format!("{scheme}://{target}"),
        (_, None, Some(_)) => {
            return Err(format!("its target `{shown}` is no target of its module").into());
        }
    };
    if let Some(path) = &announced.path {
        let start = url.find("://").map_or(0, |at| at + 3);
        let end = url[start..]
            .find(['/', '?', '#'])
            .map_or(url.len(), |at| start + at);
        url.truncate(end);
        url.push_str(path);
    }
    Ok(url)
}
