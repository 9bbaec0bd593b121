//! Who is told of alerts, how, and what of.

use std::sync::Arc;
use std::time::Duration;

use super::alert::Severity;
use super::dependency::TlsSettings;
use super::secret::{SecretRef, Text};
use super::silence::Matcher;

/// One place that notifications go to. Where the configuration names several peers of one Alertmanager, each is a
/// receiver of its own here, since each must be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// As configured; peers beyond the first have their number behind it (`alertmanager/2`). Unique.
    pub name: Arc<str>,
    pub channel: Channel,
    pub takes: Takes,
    /// Whether it is told that an alert is over.
    pub send_resolved: bool,
    /// After how long what still fires is told again. For Alertmanager: how often all that fires is posted again.
    pub repeat: Duration,
    /// Notifications a minute; what is beyond waits.
    pub per_minute: u32,
    /// After how long what could not be delivered is given up, loudly.
    pub expire: Duration,
    /// Of one request, or of the whole dialogue of an email.
    pub timeout: Duration,
    pub template: Template,
}

impl Receiver {
    pub const REPEAT: Duration = Duration::from_secs(4 * 3600);
    /// Below Alertmanager's `resolve_timeout` (5 m), as Prometheus does it.
    pub const REPEAT_ALERTMANAGER: Duration = Duration::from_secs(60);
    pub const PER_MINUTE: u32 = 30;
    pub const EXPIRE: Duration = Duration::from_secs(24 * 3600);
    pub const TIMEOUT: Duration = Duration::from_secs(10);
}

/// Which alerts a receiver is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takes {
    /// This severity and higher ones.
    pub least: Severity,
    pub matchers: Arc<[Matcher]>,
}

/// Texts of the user's in place of ours. Sources of templates, compiled once by `config` to validate them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    pub title: Option<Arc<str>>,
    pub text: Option<Arc<str>>,
}

/// A URL that requests go to. It may hold a secret, as Slack's do: it is never printed but for scheme and host.
#[derive(Clone, Debug, PartialEq)]
pub struct WebTarget {
    pub url: Text,
    pub headers: Arc<[(Arc<str>, Text)]>,
    pub auth: WebAuth,
    pub tls: TlsSettings,
    /// An HTTP proxy's URL without user info.
    pub proxy: Option<Arc<str>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum WebAuth {
    #[default]
    None,
    Basic {
        user: Arc<str>,
        password: SecretRef,
    },
    Bearer(SecretRef),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Channel {
    /// `POST {url}/api/v2/alerts`.
    Alertmanager(WebTarget),
    /// Alertmanager's webhook payload, version 4.
    Webhook(WebTarget),
    /// An incoming webhook.
    Slack {
        target: WebTarget,
        channel: Option<Arc<str>>,
    },
    /// Events API v2.
    PagerDuty {
        target: WebTarget,
        routing_key: SecretRef,
    },
    /// Opsgenie's alert API, which Jira Service Management speaks too.
    Opsgenie {
        target: WebTarget,
        api_key: SecretRef,
    },
    Email(Email),
    /// A URL that is asked for as long as the engine works: whoever misses it raises the alarm.
    Heartbeat {
        target: WebTarget,
        interval: Duration,
        method: Ping,
    },
}

/// How a heartbeat is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ping {
    #[default]
    Get,
    /// With an empty body.
    Post,
}

impl Channel {
    pub const fn id(&self) -> &'static str {
        match self {
            Channel::Alertmanager(_) => "alertmanager",
            Channel::Webhook(_) => "webhook",
            Channel::Slack { .. } => "slack",
            Channel::PagerDuty { .. } => "pagerduty",
            Channel::Opsgenie { .. } => "opsgenie",
            Channel::Email(_) => "email",
            Channel::Heartbeat { .. } => "heartbeat",
        }
    }

    /// Whether it keeps the alerts' states itself, so that it is told of each alert and again while it fires, and does
    /// the grouping.
    pub const fn keeps_states(&self) -> bool {
        matches!(self, Channel::Alertmanager(_))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Email {
    /// The server to hand mail to.
    pub host: Arc<str>,
    pub port: u16,
    pub security: MailSecurity,
    pub tls: TlsSettings,
    pub login: Option<(Arc<str>, SecretRef)>,
    pub from: Arc<str>,
    pub to: Arc<[Arc<str>]>,
    /// What we call ourselves in EHLO.
    pub hello: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// STARTTLS must succeed.
    StartTls,
    /// TLS from the first byte (port 465).
    Implicit,
    /// No TLS: only to a relay on this host or in a trusted network.
    None,
}

/// All that the configuration says of alerts beside the dependencies' own thresholds.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerting {
    pub receivers: Arc<[Arc<Receiver>]>,
    /// How long an incident waits for others of its kind before it is told.
    pub group_wait: Duration,
    /// How long until what is new of an incident that was told is told as well.
    pub group_interval: Duration,
    pub maintenance: Arc<[super::silence::Maintenance]>,
    /// Thresholds of the rules about this process.
    pub monitor: Arc<super::alert_policy::AlertPolicy>,
    /// The label by which dependencies tell their tier, and the highest severity of alerts for each. The policies are
    /// capped already; these are for showing.
    pub tier_label: Arc<str>,
    pub tiers: Arc<[(Arc<str>, Severity)]>,
    /// Labels that every alert carries beside its own (a cluster's name, say). Where a dependency has one of the same
    /// name, the dependency's counts.
    pub labels: Arc<[(Arc<str>, Arc<str>)]>,
    /// Where people find this daemon's page and API, without a slash at the end.
    pub external_url: Option<Arc<str>>,
    /// Where the page of a cause is: its id is put behind this.
    pub runbooks: Arc<str>,
}

impl Alerting {
    pub const GROUP_WAIT: Duration = Duration::from_secs(10);
    pub const GROUP_INTERVAL: Duration = Duration::from_secs(300);
    pub const TIER_LABEL: &'static str = "tier";
    /// The built-in caps.
    pub const TIERS: [(&'static str, Severity); 3] = [
        ("1", Severity::Critical),
        ("2", Severity::Warning),
        ("3", Severity::Info),
    ];
    pub const RUNBOOKS: &'static str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/causes.md#");
}

impl Default for Alerting {
    fn default() -> Self {
        Alerting {
            receivers: Arc::from([]),
            group_wait: Alerting::GROUP_WAIT,
            group_interval: Alerting::GROUP_INTERVAL,
            maintenance: Arc::from([]),
            monitor: Arc::default(),
            tier_label: Alerting::TIER_LABEL.into(),
            tiers: Alerting::TIERS
                .into_iter()
                .map(|(tier, severity)| (tier.into(), severity))
                .collect(),
            labels: Arc::from([]),
            external_url: None,
            runbooks: Alerting::RUNBOOKS.into(),
        }
    }
}
