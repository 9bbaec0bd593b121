//! Discovery as users write it: where dependencies come from besides the file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::alerts::{AlertsSetting, RawReceiverAuth};
use super::choices::{ConfirmWord, KubernetesRoleWord, ProxySetting, SecretText, VersionWord};
use super::lists::OneOrMany;
use super::quantities::Span;
use super::values::{ByteSize, DurationText, Nameserver, Word};
use super::{
    RawAuth, RawBreaker, RawDefaults, RawExpect, RawIcmp, RawKeepalive, RawRedirects, RawResolve, RawRetry,
    RawStep, RawTimeouts, RawTls, RawWebSocket,
};

section! {
    /// Where dependencies come from besides the file: exactly one of `file_sd`, `http_sd`, `dns_srv` and `kubernetes`. What is
    /// found there is watched like what stands here; docs/discovery.md has examples.
    "Discovery" RawDiscovery {
        /// Its name, unique in the whole configuration.
        #[schemars(required)]
        name: Word,
        /// Files with targets in Prometheus's format.
        file_sd: RawFileSd,
        /// A URL that answers with targets in Prometheus's format.
        http_sd: RawHttpSd,
        /// SRV records.
        dns_srv: RawDnsSrv,
        /// What is announced in a Kubernetes cluster.
        kubernetes: RawKubernetes,
        /// How long what is not found any more goes on being watched, since sources flap; `0s` ends it at once.
        linger: Span,
        /// The URL of what is found, as a template; its variables are listed at the end. Unless given, a target that is a URL
        /// stands for itself. Otherwise its labels `__scheme__`, `__metrics_path__` and `__param_NAME` make one as in Prometheus;
        /// where it has none of them, port 80 means `http://`, 443 and 8443 mean `https://`, and another `tcp://`.
        url: String,
        /// The name of what is found, as a template. Unless given, the label `__whyd_name__`, or else the target without scheme
        /// and query, with `_` for `/`. Names are unique: what the configuration names wins over what is found, and of two
        /// entries the first.
        dependency_name: String,
        /// What holds for all that is found here: above `defaults`, and below what a target says itself.
        dependency: RawFound,
    }
}

section! {
    /// Files in the format of Prometheus's `file_sd_configs`: a list of `{targets: [...], labels: {...}}` as `.json`, `.yml` or
    /// `.yaml`. They are read again as soon as they change. A file that cannot be read keeps what it said before.
    "FileSd" RawFileSd {
        /// Their paths, from the configuration's directory unless absolute; the last part may hold one `*`.
        #[schemars(required)]
        files: OneOrMany<String>,
        /// After how long they are read again even if nothing told of a change, as on network file systems.
        refresh: DurationText,
    }
}

section! {
    /// A URL that answers with the same as JSON (Prometheus's `http_sd_configs`). If it does not answer, what it said before holds.
    "HttpSd" RawHttpSd {
        /// The URL.
        #[schemars(required)]
        url: String,
        /// Time between two requests.
        refresh: DurationText,
        /// Request headers.
        headers: BTreeMap<String, SecretText>,
        /// How to authenticate.
        auth: RawReceiverAuth,
        /// What is trusted and what is shown to the server.
        tls: RawTls,
    }
}

section! {
    /// SRV records (RFC 2782): the target and port of each record is one dependency.
    "DnsSrv" RawDnsSrv {
        /// Names such as `_https._tcp.example.com`, in full: no search domain is tried.
        #[schemars(required)]
        names: OneOrMany<Word>,
        /// Time between two questions, whatever the records' time to live.
        refresh: DurationText,
        /// Nameservers to ask in place of the system's.
        servers: OneOrMany<Nameserver>,
    }
}

section! {
    /// What is announced in a Kubernetes cluster by annotations, or by `Probe` resources of the Prometheus operator.
    "KubernetesSd" RawKubernetes {
        /// What is looked for: `services`, `ingresses`, `http_routes` (of the Gateway API) and `probes` (of the Prometheus
        /// operator).
        roles: OneOrMany<KubernetesRoleWord>,
        /// Only in these namespaces. Unless given, in the whole cluster, which takes a ClusterRole.
        namespaces: OneOrMany<Word>,
        /// Only what has these labels: `app=shop,tier!=test`, as `kubectl -l` has it.
        selector: String,
        /// What stands before the slash in the names of annotations.
        annotation_prefix: Word,
        /// A kubeconfig file. Unless given, the pod's service account, or else the kubeconfig of the environment.
        kubeconfig: String,
    }
}

dependency_section! {
    /// What holds for all that is found: the keys of a dependency but `name` and `url`. A secret that is given here is shown to
    /// whatever the source names.
    "Found" RawFound {}
}
