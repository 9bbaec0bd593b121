//! Where dependencies come from besides the file, and what was found there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::dependency::TlsSettings;
use super::secret::{SecretRef, Text};
use super::time::Wall;

/// One entry of `discovery`. How what it finds becomes dependencies is the configuration's own knowledge; this is what the
/// edge needs that looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Unique.
    pub name: Arc<str>,
    pub kind: SourceKind,
    /// How long what is not found any more goes on being watched. Sources flap, and what comes back within this time has lost
    /// nothing.
    pub linger: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    Files(FileSource),
    Http(Box<HttpSource>),
    DnsSrv(DnsSource),
    Kubernetes(Box<KubernetesSource>),
}

impl SourceKind {
    /// The key of the configuration.
    pub const fn id(&self) -> &'static str {
        match self {
            SourceKind::Files(_) => "file_sd",
            SourceKind::Http(_) => "http_sd",
            SourceKind::DnsSrv(_) => "dns_srv",
            SourceKind::Kubernetes(_) => "kubernetes",
        }
    }

    /// What it looks at, without secrets: a source that looks elsewhere is another.
    pub fn identity(&self) -> String {
        let what = match self {
            SourceKind::Files(source) => format!("{:?}", source.files),
            SourceKind::Http(source) => source.url.split('?').next().unwrap_or_default().to_owned(),
            SourceKind::DnsSrv(source) => source.names.join(" "),
            SourceKind::Kubernetes(source) => format!(
                "{:?} {:?} {:?} {}",
                source.roles, source.namespaces, source.selector, source.prefix
            ),
        };
        format!("{} {what}", self.id())
    }
}

/// Prometheus's `file_sd_configs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSource {
    /// Paths; the last part may hold one `*`.
    pub files: Arc<[PathBuf]>,
    /// Files are read again after this time even if nothing tells of a change.
    pub refresh: Duration,
}

/// Prometheus's `http_sd_configs`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSource {
    /// Without user info.
    pub url: Arc<str>,
    pub refresh: Duration,
    pub headers: Arc<[(Arc<str>, Text)]>,
    pub basic: Option<(Arc<str>, SecretRef)>,
    pub bearer: Option<SecretRef>,
    pub tls: TlsSettings,
}

/// SRV records (RFC 2782): every target and port of each name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSource {
    pub names: Arc<[Arc<str>]>,
    /// Time between two questions; a shorter time to live does not shorten it.
    pub refresh: Duration,
    /// In place of the system's.
    pub servers: Arc<[SocketAddr]>,
}

/// What is announced in a Kubernetes cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct KubernetesSource {
    /// What is looked for.
    pub roles: Arc<[KubernetesRole]>,
    /// Only in these; empty means the whole cluster, which takes a ClusterRole.
    pub namespaces: Arc<[Arc<str>]>,
    /// A label selector in Kubernetes' own form, given to the API.
    pub selector: Option<Arc<str>>,
    /// In front of the annotations' names, without the slash.
    pub prefix: Arc<str>,
    /// Where the API is; `None` takes the pod's own service account, or else the kubeconfig of the environment.
    pub kubeconfig: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KubernetesRole {
    Services,
    Ingresses,
    /// gateway.networking.k8s.io
    HttpRoutes,
    /// `Probe` of monitoring.coreos.com
    Probes,
}

/// One thing that a source found. What it becomes is decided by the source's entry in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What is to be watched, as the source words it: `host:port`, a host, or a URL.
    pub address: Arc<str>,
    /// The same for the same thing as long as it exists, whatever else of it changes; unique within the source.
    pub id: Arc<str>,
    /// What the source says of it. Names that begin with `__` are for templates and never become labels.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Keys of a dependency as YAML, said where it was announced (an annotation). Whoever may write them is not trusted with
    /// files, the environment or secrets.
    pub settings: Option<Arc<str>>,
    /// Where it stands, for people: `targets/shop.json: [0].targets[2]`, `service shop/cart`.
    pub place: Arc<str>,
}

/// Bytes of the settings of a target. Nobody needs as many.
pub const LONGEST_SETTINGS: usize = 16 * 1024;

/// Why settings are not even read: they are too long, or repeat themselves by the aliases of YAML, by which a short text
/// becomes one that no memory holds. It must be asked before anything reads them.
pub fn why_unread(settings: &str) -> Option<String> {
    if settings.len() > LONGEST_SETTINGS {
        return Some(format!("the settings are longer than {LONGEST_SETTINGS} bytes"));
    }
    // An alias is `*` and the name of an anchor, which is `&` and the name: a text that has both somewhere is no loss, and
    // none that has an alias escapes.
    let named = |sign: char| {
        settings.split(sign).skip(1).map(|rest| {
            let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
            rest.split(|c| !is_of_name(c)).next().unwrap_or_default()
        })
    };
    let anchors: BTreeSet<&str> = named('&').filter(|name| !name.is_empty()).collect();
    let alias = named('*').find(|name| anchors.contains(name))?;
    Some(format!(
        "the settings repeat a part of themselves (`*{alias}`): write it out"
    ))
}

/// What a source has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Everything that there is now, in place of what it said before; sorted by `id`.
    Found(Arc<[Target]>),
    /// It could not look; what it found before stays. `Found` says that it can again.
    Failed(Box<str>),
    /// It could look at a part of it: everything that there is now as far as it is known, as `Found` has it, and what is wrong
    /// with the rest. It fails until `Found` says otherwise.
    Partly(Arc<[Target]>, Box<str>),
    /// What is announced there and cannot be a target, in place of what it said of that before; sorted. It says nothing of
    /// whether the source can look.
    Refused(Arc<[Refused]>),
}

/// Something that is announced at a source and cannot be a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// Where it stands, for people, as of a target.
    pub place: Arc<str>,
    pub why: Box<str>,
}

/// News of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The name of the source.
    pub source: Arc<str>,
    pub news: News,
}

/// Where a dependency was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The name of the source.
    pub source: Arc<str>,
    /// Where it stands there, for people.
    pub place: Arc<str>,
}

/// Something to say of what was found: it could not become a dependency, or not as it was announced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Remark {
    /// The name of the source.
    pub source: Arc<str>,
    /// What it is about, without what may be secret in a URL; empty where it is about the source as a whole.
    pub target: Arc<str>,
    /// Where that stands, for people; may be empty.
    pub place: Arc<str>,
    pub why: Box<str>,
    /// Whether it is not watched because of this.
    pub refused: bool,
}

/// How a source does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceView {
    pub name: Arc<str>,
    /// The key of the configuration.
    pub kind: &'static str,
    /// What it found last.
    pub targets: usize,
    /// What is not found any more and still watched.
    pub lingering: usize,
    /// Dependencies that came of it.
    pub watched: usize,
    /// What could not become a dependency.
    pub refused: usize,
    /// Whether this is what another run left, since it has found nothing itself yet.
    pub kept: bool,
    pub last_success: Option<Wall>,
    /// When it last could not look, and why.
    pub last_failure: Option<(Wall, Box<str>)>,
    /// Since when that is its last word; `None` while it can look.
    pub failing: Option<Wall>,
    /// How often it could not look.
    pub failures: u64,
}

/// What is known of discovery, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiscoveryView {
    /// In the order of the configuration.
    pub sources: Vec<SourceView>,
    /// Where each dependency that was found comes from, by its name.
    pub origins: Arc<HashMap<Arc<str>, Origin>>,
    /// Sorted.
    pub remarks: Arc<[Remark]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_would_grow_are_not_read() {
        for (settings, why) in [
            ("expect: {status: 204}", None),
            ("expect: {body_contains: 'a & b * c'}", None),
            ("expect: {body_contains: '&amp; *b'}", None),
            (
                "a: &a [x]\nb: *a",
                Some("the settings repeat a part of themselves (`*a`): write it out"),
            ),
            (
                "{a: &a-1 x,b: [*a-1,*a-1]}",
                Some("the settings repeat a part of themselves (`*a-1`): write it out"),
            ),
        ] {
            assert_eq!(why_unread(settings).as_deref(), why, "{settings}");
        }
        let long = "x".repeat(LONGEST_SETTINGS);
        assert_eq!(why_unread(&long), None);
        assert_eq!(
            why_unread(&format!("{long}x")).as_deref(),
            Some("the settings are longer than 16384 bytes")
        );
    }
}
