//! Sources of discovery as they are written.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_yaml::{Mapping, Value};

use super::super::lower::discovery::{Entry, fit, merge};
use super::super::mask::is_secret_key;
use super::super::raw::alerts::RawReceiverAuth;
use super::super::raw::choices::{KubernetesRoleWord, ProxySetting, SecretText};
use super::super::raw::discovery::{RawDiscovery, RawDnsSrv, RawFileSd, RawFound, RawHttpSd, RawKubernetes};
use super::super::raw::lists::OneOrMany;
use super::super::raw::quantities::Span;
use super::super::raw::values::{DurationText, Nameserver, Word};
use super::super::raw::{RawDefaults, RawDependency, RawTls};
use super::super::report::{Place, within};
use super::{REDACTED, basic, headers, secret, shown, tls, words};
use crate::model::discovery::{
    DnsSource, FileSource, HttpSource, KubernetesRole, KubernetesSource, Source, SourceKind,
};

/// What the edges know of the sources.
pub fn sources(all: &[Source]) -> Option<Vec<RawDiscovery>> {
    (!all.is_empty()).then(|| all.iter().map(source).collect())
}

fn source(source: &Source) -> RawDiscovery {
    let raw = RawDiscovery {
        name: Some(Word(source.name.to_string())),
        linger: Some(Span(source.linger)),
        ..RawDiscovery::default()
    };
    match &source.kind {
        SourceKind::Files(one) => RawDiscovery {
            file_sd: Some(files(one)),
            ..raw
        },
        SourceKind::Http(one) => RawDiscovery {
            http_sd: Some(http(one)),
            ..raw
        },
        SourceKind::DnsSrv(one) => RawDiscovery {
            dns_srv: Some(dns(one)),
            ..raw
        },
        SourceKind::Kubernetes(one) => RawDiscovery {
            kubernetes: Some(kubernetes(one)),
            ..raw
        },
    }
}

fn files(source: &FileSource) -> RawFileSd {
    RawFileSd {
        files: Some(OneOrMany(source.files.iter().map(|path| shown(path)).collect())),
        refresh: Some(DurationText(source.refresh)),
    }
}

fn http(source: &HttpSource) -> RawHttpSd {
    let url = match source.url.split_once('?') {
        // A query may hold a secret.
        Some((bare, _)) => format!("{bare}?{REDACTED}"),
        None => source.url.to_string(),
    };
    let auth = RawReceiverAuth {
        basic: source
            .basic
            .as_ref()
            .map(|(user, password)| basic(user, password)),
        bearer: source.bearer.as_ref().map(secret),
    };
    RawHttpSd {
        url: Some(url),
        refresh: Some(DurationText(source.refresh)),
        headers: headers(&source.headers),
        auth: (auth != RawReceiverAuth::default()).then_some(auth),
        tls: Some(RawTls {
            aia: None,
            ..tls(&source.tls)
        }),
    }
}

fn dns(source: &DnsSource) -> RawDnsSrv {
    let servers: Vec<Nameserver> = source.servers.iter().copied().map(Nameserver).collect();
    RawDnsSrv {
        names: words(source.names.iter()),
        refresh: Some(DurationText(source.refresh)),
        servers: (!servers.is_empty()).then_some(OneOrMany(servers)),
    }
}

fn kubernetes(source: &KubernetesSource) -> RawKubernetes {
    let roles = source.roles.iter().map(|role| match role {
        KubernetesRole::Services => KubernetesRoleWord::Services,
        KubernetesRole::Ingresses => KubernetesRoleWord::Ingresses,
        KubernetesRole::HttpRoutes => KubernetesRoleWord::HttpRoutes,
        KubernetesRole::Probes => KubernetesRoleWord::Probes,
    });
    RawKubernetes {
        roles: Some(OneOrMany(roles.collect())),
        namespaces: words(source.namespaces.iter()),
        selector: source.selector.as_ref().map(Arc::to_string),
        annotation_prefix: Some(Word(source.prefix.to_string())),
        kubeconfig: source.kubeconfig.as_deref().map(shown),
    }
}

/// Where what a section says comes from.
pub struct Section<'a> {
    pub place: &'a Place,
    /// Where its relative paths start.
    pub directory: &'a Path,
    pub expanded: &'a BTreeSet<Place>,
}

/// How what is found becomes dependencies, with what `defaults` say of them, which a dump has nowhere else.
pub fn entry(
    raw: &mut RawDiscovery,
    entry: &Entry,
    own: &Section<'_>,
    defaults: Option<(&RawDefaults, Section<'_>)>,
) {
    raw.url.clone_from(&entry.url);
    raw.dependency_name.clone_from(&entry.name);
    let mut whole = match defaults {
        Some((defaults, from)) => {
            let mut defaults = defaults.clone();
            // What is built in stands in the dump's own `defaults`.
            let built_in = super::alerts::defaults().alerts;
            defaults.alerts = defaults.alerts.filter(|given| Some(given) != built_in.as_ref());
            readable(serde_yaml::to_value(defaults).unwrap_or_default(), &from)
        }
        None => Value::Mapping(Default::default()),
    };
    let closer = readable(entry.value.clone(), own);
    merge(&mut whole, closer.clone());
    if let Ok(mut fitting) = serde_yaml::from_value::<RawDependency>(whole) {
        // As they are lowered when they are inherited.
        fit(&mut fitting, closer.as_mapping().unwrap_or(&Mapping::new()));
        let fitting = serde_yaml::to_value(fitting).unwrap_or_default();
        raw.dependency = serde_yaml::from_value(fitting).ok();
    }
}

/// The same without secrets, and with paths that start nowhere in particular.
fn readable(value: Value, from: &Section<'_>) -> Value {
    let mut found: RawFound = serde_yaml::from_value(value).unwrap_or_default();
    let hide = |text: &mut SecretText, at: &Place, is_secret: bool| match text {
        SecretText::Inline(inline) if is_secret || within(from.expanded, at) => *inline = REDACTED.into(),
        SecretText::Inline(_) | SecretText::Credential(_) => {}
        SecretText::File(path) => *path = shown(&from.directory.join(&*path)),
    };
    for (name, text) in found.headers.iter_mut().flatten() {
        hide(text, &from.place.key("headers").key(name), is_secret_key(name));
    }
    if let Some(body) = &mut found.body {
        hide(body, &from.place.key("body"), false);
    }
    if let Some(auth) = &mut found.auth {
        let basic = auth.basic.as_mut().and_then(|basic| basic.password.as_mut());
        let client = auth
            .oauth2
            .as_mut()
            .and_then(|client| client.client_secret.as_mut());
        for text in basic.into_iter().chain(client).chain(auth.bearer.as_mut()) {
            hide(text, from.place, true);
        }
    }
    let at = from.place.key("dialogue");
    for step in found.dialogue.iter_mut().flat_map(|steps| &mut steps.0) {
        if let Some(text) = &mut step.send {
            hide(text, &at, false);
        }
    }
    let at = from.place.key("proxy");
    match &mut found.proxy {
        Some(ProxySetting::Url(url)) if url.contains('@') || within(from.expanded, &at) => {
            *url = REDACTED.into();
        }
        Some(ProxySetting::Full(full)) => {
            if let Some(password) = &mut full.password {
                hide(password, &at, true);
            }
            if let Some(url) = full.url.as_mut().filter(|url| url.contains('@')) {
                *url = REDACTED.into();
            }
        }
        _ => {}
    }
    if let Some(tls) = &mut found.tls {
        let many = [&mut tls.ca, &mut tls.crl]
            .into_iter()
            .flatten()
            .flat_map(|many| &mut many.0);
        let one = [&mut tls.client_cert, &mut tls.client_key];
        for path in many.chain(one.into_iter().flatten()) {
            *path = shown(&from.directory.join(&*path));
        }
    }
    serde_yaml::to_value(&found).unwrap_or_default()
}
