//! What the edges need to know of a source.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::super::super::raw::choices::KubernetesRoleWord;
use super::super::super::raw::discovery::{RawDiscovery, RawDnsSrv, RawFileSd, RawHttpSd, RawKubernetes};
use super::super::super::report::{Finding, Part, Place};
use super::super::super::url_lint;
use super::super::alerting::web::{self, Parts};
use super::super::{Context, add_lints, secret};
use crate::model::discovery::{
    DnsSource, FileSource, HttpSource, KubernetesRole, KubernetesSource, SourceKind,
};
use crate::model::receiver::WebAuth;

/// Prometheus's default for files.
pub const FILE_REFRESH: Duration = Duration::from_secs(300);
/// Prometheus's default for HTTP.
pub const HTTP_REFRESH: Duration = Duration::from_secs(60);
/// Prometheus's default for DNS.
pub const DNS_REFRESH: Duration = Duration::from_secs(30);
/// Others' servers are not asked more often than this.
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);
/// In front of the annotations' names.
pub const ANNOTATION_PREFIX: &str = "whyd.io";

/// The one kind that the entry gives.
pub fn kind(context: &mut Context<'_>, raw: &RawDiscovery, place: &Place) -> Option<SourceKind> {
    const KINDS: &str = "one of `file_sd`, `http_sd`, `dns_srv` and `kubernetes`";
    let keys = ["file_sd", "http_sd", "dns_srv", "kubernetes"];
    let given = [
        raw.file_sd.is_some(),
        raw.http_sd.is_some(),
        raw.dns_srv.is_some(),
        raw.kubernetes.is_some(),
    ];
    let lost = keys
        .iter()
        .any(|key| context.report.left_out.contains(&place.key(key)));
    match given.iter().filter(|given| **given).count() {
        0 if lost => return None,
        0 => {
            context.report.missing(place, "file_sd", KINDS);
            return None;
        }
        1 => {}
        _ => {
            let finding = Finding::error(place, "not exactly one kind of source");
            context.report.add(finding.expected(KINDS));
            return None;
        }
    }
    if let Some(raw) = &raw.file_sd {
        files(context, raw, &place.key("file_sd"))
    } else if let Some(raw) = &raw.http_sd {
        http(context, raw, &place.key("http_sd"))
    } else if let Some(raw) = &raw.dns_srv {
        dns(context, raw, &place.key("dns_srv"))
    } else {
        let raw = raw.kubernetes.as_ref()?;
        kubernetes(context, raw, &place.key("kubernetes"))
    }
}

fn refresh(context: &mut Context<'_>, given: Option<Duration>, default: Duration, place: &Place) -> Duration {
    let refresh = given.unwrap_or(default);
    if refresh < SHORTEST_REFRESH {
        let finding = Finding::error(&place.key("refresh"), "this is too often");
        context.report.add(finding.expected("at least 1s"));
    }
    refresh
}

fn files(context: &mut Context<'_>, raw: &RawFileSd, place: &Place) -> Option<SourceKind> {
    let Some(given) = &raw.files else {
        let expected = "files with targets such as `targets/*.json`";
        context.report.missing(place, "files", expected);
        return None;
    };
    let at = place.key("files");
    if given.0.is_empty() {
        context.report.error(&at, "no file is named");
    }
    let directory = context.directories.get(place.file).cloned().unwrap_or_default();
    let mut files: Vec<PathBuf> = Vec::new();
    for (i, text) in given.0.iter().enumerate() {
        let at = if given.0.len() == 1 {
            at.clone()
        } else {
            at.index(i)
        };
        check_pattern(context, text, &at);
        let path = directory.join(text);
        if files.contains(&path) {
            context.report.error(&at, "this file is named twice");
        }
        if !text.contains('*') && !path.exists() {
            context.report.warning(&at, "there is no such file here");
        }
        files.push(path);
    }
    Some(SourceKind::Files(FileSource {
        files: files.into(),
        refresh: refresh(context, raw.refresh.map(|text| text.0), FILE_REFRESH, place),
    }))
}

/// The form that Prometheus takes: `*` in the last part only, and the ending says the format.
fn check_pattern(context: &mut Context<'_>, text: &str, at: &Place) {
    let (parents, last) = text.rsplit_once('/').unwrap_or(("", text));
    let ends = [".json", ".yml", ".yaml"].iter().any(|end| last.ends_with(end));
    if !ends {
        let finding = Finding::error(at, "the format is told by the file's ending");
        context.report.add(finding.expected("`.json`, `.yml` or `.yaml`"));
    }
    if parents.contains('*') || last.matches('*').count() > 1 {
        let finding = Finding::error(at, "this pattern cannot be used");
        context
            .report
            .add(finding.expected("at most one `*`, in the last part of the path"));
    }
}

fn http(context: &mut Context<'_>, raw: &RawHttpSd, place: &Place) -> Option<SourceKind> {
    let at = place.key("url");
    let parts = Parts {
        headers: raw.headers.as_ref(),
        auth: raw.auth.as_ref(),
        tls: raw.tls.as_ref(),
        ..Parts::default()
    };
    let rest = web::rest(
        context,
        &parts,
        place,
        crate::model::secret::Text::Plain("".into()),
    );
    let refresh = refresh(context, raw.refresh.map(|text| text.0), HTTP_REFRESH, place);
    let Some(text) = &raw.url else {
        context
            .report
            .missing(place, "url", "a URL such as `https://host/targets`");
        return None;
    };
    let (parsed, lints) = url_lint::parse_http(text);
    add_lints(context.report, &at, lints);
    let (url, user_info) = parsed?;
    if user_info.is_some() {
        let finding = Finding::error(&at, "this URL must hold no user and password");
        context.report.add(finding.expected("`auth` beside it"));
        return None;
    }
    let rest = rest?;
    let (basic, bearer) = match rest.auth {
        WebAuth::None => (None, None),
        WebAuth::Basic { user, password } => (Some((user, password)), None),
        WebAuth::Bearer(token) => (None, Some(token)),
    };
    Some(SourceKind::Http(Box::new(HttpSource {
        url: format!(
            "{}://{}{}",
            url.scheme.id(),
            url.authority(),
            url.path_and_query()
        )
        .into(),
        refresh,
        headers: rest.headers,
        basic,
        bearer,
        tls: rest.tls,
    })))
}

fn dns(context: &mut Context<'_>, raw: &RawDnsSrv, place: &Place) -> Option<SourceKind> {
    let Some(given) = &raw.names else {
        let expected = "names such as `_https._tcp.example.com`";
        context.report.missing(place, "names", expected);
        return None;
    };
    let at = place.key("names");
    if given.0.is_empty() {
        context.report.error(&at, "no name is given");
    }
    let mut names: Vec<Arc<str>> = Vec::new();
    for (i, name) in given.0.iter().enumerate() {
        let at = if given.0.len() == 1 {
            at.clone()
        } else {
            at.index(i)
        };
        let bare = name.0.trim_end_matches('.').to_ascii_lowercase();
        if !is_dns_name(&bare) {
            let finding = Finding::error(&at, "this is not a name of the DNS");
            context
                .report
                .add(finding.expected("a name such as `_https._tcp.example.com`"));
        } else if names.iter().any(|known| **known == *bare) {
            context.report.error(&at, "this name is given twice");
        }
        names.push(bare.into());
    }
    Some(SourceKind::DnsSrv(DnsSource {
        names: names.into(),
        refresh: refresh(context, raw.refresh.map(|text| text.0), DNS_REFRESH, place),
        servers: raw
            .servers
            .iter()
            .flat_map(|many| &many.0)
            .map(|one| one.0)
            .collect(),
    }))
}

/// RFC 1035, section 2.3.4, and letters as RFC 2181, section 11, leaves them to applications.
fn is_dns_name(name: &str) -> bool {
    let fits = |label: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (1..=63).contains(&label.len()) && label.chars().all(known)
    };
    name.len() <= 253 && name.split('.').all(fits)
}

fn kubernetes(context: &mut Context<'_>, raw: &RawKubernetes, place: &Place) -> Option<SourceKind> {
    let mut roles: Vec<KubernetesRole> = Vec::new();
    for word in raw.roles.iter().flat_map(|many| &many.0) {
        let role = match word {
            KubernetesRoleWord::Services => KubernetesRole::Services,
            KubernetesRoleWord::Ingresses => KubernetesRole::Ingresses,
            KubernetesRoleWord::HttpRoutes => KubernetesRole::HttpRoutes,
            KubernetesRoleWord::Probes => KubernetesRole::Probes,
        };
        if roles.contains(&role) {
            context.report.error(&place.key("roles"), "a role is given twice");
        } else {
            roles.push(role);
        }
    }
    match &raw.roles {
        None => roles.push(KubernetesRole::Services),
        Some(_) if roles.is_empty() => context.report.error(&place.key("roles"), "no role is given"),
        Some(_) => {}
    }
    roles.sort_unstable();
    let namespaces = raw.namespaces.iter().flat_map(|many| &many.0);
    for name in namespaces.clone() {
        check_dns_label(context, &name.0, &place.key("namespaces"));
    }
    let prefix = raw
        .annotation_prefix
        .as_ref()
        .map_or(ANNOTATION_PREFIX, |word| &word.0);
    if !is_dns_name(prefix) || prefix.contains('_') {
        let finding = Finding::error(
            &place.key("annotation_prefix"),
            "this is not a prefix of annotations",
        );
        context
            .report
            .add(finding.expected("a name such as `whyd.io`, without the slash"));
    }
    if raw.selector.as_ref().is_some_and(|text| text.trim().is_empty()) {
        context
            .report
            .error(&place.key("selector"), "the selector is empty");
    }
    if cfg!(not(feature = "kubernetes")) {
        let finding = Finding::error(place, "this whyd was built without Kubernetes").at(Part::Key);
        context
            .report
            .add(finding.expected("a build with the feature `kubernetes`"));
    }
    let kubeconfig = raw.kubeconfig.as_ref();
    Some(SourceKind::Kubernetes(Box::new(KubernetesSource {
        roles: roles.into(),
        namespaces: namespaces.map(|word| word.0.as_str().into()).collect(),
        selector: raw.selector.as_deref().map(Into::into),
        prefix: prefix.into(),
        kubeconfig: kubeconfig.map(|text| secret::path(context, text, &place.key("kubeconfig"))),
    })))
}

/// A namespace's name (RFC 1123, as Kubernetes has it).
fn check_dns_label(context: &mut Context<'_>, name: &str, at: &Place) {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=63).contains(&name.len()) && name.chars().all(known);
    if !fits || name.starts_with('-') || name.ends_with('-') {
        let finding = Finding::error(at, "this is not a namespace's name");
        context
            .report
            .add(finding.expected("lower-case letters, digits and hyphens"));
    }
}
