//! Alerts: which rules there are, about whom they speak, how they stand, and why.

use std::fmt;
use std::sync::Arc;

use super::cause::{Cause, Speed};
use super::dependency::HostKey;
use super::incident::IncidentId;
use super::phase::Phase;
use super::time::Wall;

/// How much an alert matters. The order is that of importance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Somebody should look at it in the day.
    Warning,
    /// Somebody is woken.
    Critical,
}

impl Severity {
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

    pub const fn id(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }

    pub fn from_id(id: &str) -> Option<Severity> {
        Self::ALL.into_iter().find(|severity| severity.id() == id)
    }
}

/// About what a rule speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleScope {
    /// One dependency.
    Dependency,
    /// One host, that is, all dependencies on it together: one of them alone may be asked too seldom for its rate to mean
    /// anything.
    Host,
    /// This process.
    Monitor,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident $id:literal $name:literal $scope:ident;)*) => {
        /// The rules by which alerts are raised. The set is closed; ids are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[$doc])* $variant,)*
        }

        impl Rule {
            /// Every rule, in the order in which they are shown.
            pub const ALL: &'static [Rule] = &[$(Rule::$variant,)*];
            pub const COUNT: usize = Rule::ALL.len();

            /// As it stands in the configuration, the API and `whyd_alert_active`.
            pub const fn id(self) -> &'static str {
                match self { $(Rule::$variant => $id,)* }
            }

            /// As Alertmanager (`alertname`) and the Prometheus rules call it.
            pub const fn name(self) -> &'static str {
                match self { $(Rule::$variant => $name,)* }
            }

            pub const fn scope(self) -> RuleScope {
                match self { $(Rule::$variant => RuleScope::$scope,)* }
            }
        }
    };
}

rules! {
    /// Several operations in a row failed, and quickly: a misconfiguration or a dead process.
    DependencyDownFast "dependency_down_fast" "WhydDependencyDownFast" Dependency;
    /// Several operations in a row failed after using up a timeout: an overload or the network.
    DependencyDownSlow "dependency_down_slow" "WhydDependencyDownSlow" Dependency;
    /// Operations fail now and then, far more often than the objective allows.
    DependencyFailingOften "dependency_failing_often" "WhydDependencyFailingOften" Dependency;
    /// The error budget burns so fast that 2 % of a month's are gone in an hour.
    SloBurnFast "slo_burn_fast" "WhydSloBurnFast" Dependency;
    /// 5 % of a month's budget are gone in six hours.
    SloBurnMedium "slo_burn_medium" "WhydSloBurnMedium" Dependency;
    /// 10 % of a month's budget are gone in three days.
    SloBurnSlow "slo_burn_slow" "WhydSloBurnSlow" Dependency;
    /// Operations succeed only after a retry: the trouble that error rates hide.
    RetryMasked "retry_masked" "WhydRetryMasked" Host;
    /// Kept connections are found dead on reuse.
    KeepaliveStale "keepalive_stale" "WhydKeepaliveStale" Host;
    /// Operations take much longer than they used to.
    LatencyRegression "latency_regression" "WhydLatencyRegression" Dependency;
    CertificateExpiring "certificate_expiring" "WhydCertificateExpiring" Dependency;
    CertificateExpiringSoon "certificate_expiring_soon" "WhydCertificateExpiringSoon" Dependency;
    CertificateExpired "certificate_expired" "WhydCertificateExpired" Dependency;
    /// The sources of a name give different answers.
    DnsAnswersDiffer "dns_answers_differ" "WhydDnsAnswersDiffer" Dependency;
    /// One address or one family fails while the dependency still answers.
    AddressBroken "address_broken" "WhydAddressBroken" Dependency;
    /// It goes up and down.
    Flapping "flapping" "WhydFlapping" Dependency;
    /// We are offline: no verdicts are given.
    MonitorOffline "monitor_offline" "WhydMonitorOffline" Monitor;
    /// Operations are left out or begin late.
    MonitorLate "monitor_late" "WhydMonitorLate" Monitor;
    /// Metrics or traces do not reach their collector.
    MonitorExportsFailing "monitor_exports_failing" "WhydMonitorExportsFailing" Monitor;
    /// Descriptors or ports run out.
    MonitorResourcesLow "monitor_resources_low" "WhydMonitorResourcesLow" Monitor;
    /// What must survive a restart cannot be written down.
    MonitorStateUnwritable "monitor_state_unwritable" "WhydMonitorStateUnwritable" Monitor;
    /// A receiver does not take its notifications, or some expired before it did.
    MonitorDeliveriesFailing "monitor_deliveries_failing" "WhydMonitorDeliveriesFailing" Monitor;
    /// The last reload was refused: an older configuration is in force.
    MonitorConfigRefused "monitor_config_refused" "WhydMonitorConfigRefused" Monitor;
    /// A source of discovery cannot look: what it found before is watched, and nobody knows whether that is still all.
    MonitorDiscoveryFailing "monitor_discovery_failing" "WhydMonitorDiscoveryFailing" Monitor;
}

impl Rule {
    pub const fn index(self) -> usize {
        self as usize
    }

    pub fn from_id(id: &str) -> Option<Rule> {
        Self::ALL.iter().copied().find(|rule| rule.id() == id)
    }
}

/// Whom an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    Dependency(Arc<str>),
    Host(HostKey),
    Monitor,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Dependency(name) => f.write_str(name),
            Subject::Host(host) => host.fmt(f),
            Subject::Monitor => f.write_str("whyd"),
        }
    }
}

/// What an alert is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertKey {
    pub rule: Rule,
    pub subject: Subject,
}

/// The same for the same rule and subject in every process and at every time, so that replicas and retries deduplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(pub u64);

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl AlertKey {
    pub fn id(&self) -> AlertId {
        let subject = match &self.subject {
            Subject::Dependency(name) => format!("dependency {name}"),
            Subject::Host(host) => format!("host {host}"),
            Subject::Monitor => "monitor".to_owned(),
        };
        AlertId(stable_hash(&[self.rule.id(), &subject]))
    }
}

impl fmt::Display for AlertKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.rule.id(), self.subject)
    }
}

/// FNV-1a, 64 bits, with a final mix: stable across versions and machines, which the standard library's hashers are not.
pub fn stable_hash(parts: &[&str]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        // A byte that is in no text stands between two parts.
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 32)
}

/// How an alert stands. Times are those at which the state was entered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlertState {
    /// Its condition does not hold.
    #[default]
    Quiet,
    /// Its condition holds, but not for long enough, or on too few samples.
    Pending { since: Wall },
    /// It was raised. `pending` is when its condition began to hold.
    Firing { since: Wall, pending: Wall },
    /// It was raised and its condition holds no more, but not for long enough to say that it is over.
    Recovering {
        since: Wall,
        firing: Wall,
        pending: Wall,
    },
}

impl AlertState {
    pub const fn id(self) -> &'static str {
        match self {
            AlertState::Quiet => "quiet",
            AlertState::Pending { .. } => "pending",
            AlertState::Firing { .. } => "firing",
            AlertState::Recovering { .. } => "recovering",
        }
    }

    /// Raised and not over: firing or recovering.
    pub const fn is_raised(self) -> bool {
        matches!(self, AlertState::Firing { .. } | AlertState::Recovering { .. })
    }
}

/// Why an alert that was raised is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResolvedBecause {
    /// Its condition has not held for long enough.
    Recovered,
    /// Its subject left the configuration, or is another one under the same name.
    Removed,
    /// The rule was switched off.
    Disabled,
}

impl ResolvedBecause {
    pub const ALL: [ResolvedBecause; 3] = [
        ResolvedBecause::Recovered,
        ResolvedBecause::Removed,
        ResolvedBecause::Disabled,
    ];

    pub const fn id(self) -> &'static str {
        match self {
            ResolvedBecause::Recovered => "recovered",
            ResolvedBecause::Removed => "removed",
            ResolvedBecause::Disabled => "disabled",
        }
    }
}

/// One number held against another.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// In words: "failed operations in a row", "lower bound of the share of failures in 30 m".
    pub what: &'static str,
    pub value: f64,
    pub threshold: f64,
    /// UCUM; empty for counts.
    pub unit: &'static str,
    /// Whether the value is where the rule wants it to be in order to hold.
    pub met: bool,
}

/// What a rule makes of its subject at one moment: the numbers compared and what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    pub holds: Holds,
    pub compared: Vec<Comparison>,
    /// One sentence.
    pub text: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    Yes,
    /// Not any more by the stricter measure at which an alert that was raised ends (hysteresis).
    No,
    /// Between the two: what is raised stays raised and what is not is not raised.
    Between,
    /// It cannot be said: too few samples, no verdict, a gap. Nothing changes.
    Unclear,
}

impl Holds {
    pub const fn id(self) -> &'static str {
        match self {
            Holds::Yes => "yes",
            Holds::No => "no",
            Holds::Between => "between",
            Holds::Unclear => "unclear",
        }
    }
}

/// What an alert says: to people, in the words of the moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertText {
    /// One line without the severity: `payments is down: tls.cert.date_invalid.expired (fast, in tls)`.
    pub summary: Box<str>,
    /// Some sentences: since when, the numbers, the evidence.
    pub description: Box<str>,
    /// One line: what to do.
    pub fix: Box<str>,
    pub cause: Option<Cause>,
    pub phase: Option<Phase>,
    pub speed: Option<Speed>,
    /// The evidence as texts, in the order in which it should be read.
    pub evidence: Vec<(Box<str>, Box<str>)>,
}

/// Why an alert that is raised is not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Muted {
    /// A silence, by its id.
    Silence(Arc<str>),
    /// A maintenance window, by its name.
    Maintenance(Arc<str>),
    /// A dependency that this one needs is failing.
    Parent(Arc<str>),
    /// The same subject has a more telling alert.
    Overshadowed(Rule),
    /// Another replica, by its name, tells those that would be told twice.
    Peer(Arc<str>),
    /// This replica cannot prove that it lives, so that another one may tell them.
    Unproven,
}

impl Muted {
    pub const fn id(&self) -> &'static str {
        match self {
            Muted::Silence(_) => "silence",
            Muted::Maintenance(_) => "maintenance",
            Muted::Parent(_) => "parent",
            Muted::Overshadowed(_) => "overshadowed",
            Muted::Peer(_) => "peer",
            Muted::Unproven => "unproven",
        }
    }
}

/// The read model of one alert.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertView {
    pub key: AlertKey,
    pub id: AlertId,
    pub state: AlertState,
    pub severity: Severity,
    pub labels: Arc<[(Arc<str>, Arc<str>)]>,
    pub text: Arc<AlertText>,
    pub evaluation: Evaluation,
    pub incident: Option<IncidentId>,
    pub muted: Option<Muted>,
    /// Receivers that acknowledged that it fires.
    pub told: Vec<Arc<str>>,
}

/// A slice of the alerts, in a stable order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertPage {
    pub alerts: Vec<AlertView>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<usize>,
}

/// Something happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertChange {
    /// Its condition began to hold.
    Pending,
    /// Its condition ceased to hold before it was raised.
    Cleared,
    /// It was raised.
    Fired,
    /// Its condition ceased to hold; it is over if that lasts.
    Recovering,
    /// Its condition holds again before it was over.
    Relapsed,
    /// It is over.
    Resolved(ResolvedBecause),
}

impl AlertChange {
    pub const fn id(self) -> &'static str {
        match self {
            AlertChange::Pending => "pending",
            AlertChange::Cleared => "cleared",
            AlertChange::Fired => "fired",
            AlertChange::Recovering => "recovering",
            AlertChange::Relapsed => "relapsed",
            AlertChange::Resolved(_) => "resolved",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_ids_and_are_unique() {
        let mut seen = std::collections::HashSet::new();
        for rule in Rule::ALL {
            let camel: String = rule
                .id()
                .split('_')
                .map(|word| word[..1].to_uppercase() + &word[1..])
                .collect();
            assert_eq!(rule.name(), format!("Whyd{camel}"));
            assert!(seen.insert(rule.id()));
            assert_eq!(Rule::from_id(rule.id()), Some(*rule));
            assert_eq!(Rule::ALL[rule.index()], *rule);
        }
    }

    #[test]
    fn an_id_is_the_same_in_every_process() {
        let key = AlertKey {
            rule: Rule::DependencyDownFast,
            subject: Subject::Dependency("payments".into()),
        };
        assert_eq!(key.id(), key.clone().id());
        let other = AlertKey {
            rule: Rule::DependencyDownSlow,
            ..key.clone()
        };
        assert_ne!(key.id(), other.id());
        // Stays what it is in every version: incidents that are open at a receiver are found by it.
        assert_eq!(key.id().to_string().len(), 16);
    }
}
