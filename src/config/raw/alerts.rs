//! Alerts as users write them: rules, receivers, maintenance windows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::suggest;
use super::choices::{DayWord, MailSecurityWord, PingWord, SecretText, SeverityWord};
use super::lists::OneOrMany;
use super::quantities::{Number, Percent, Span, TimeOfDay, TimeText};
use super::values::{DurationText, Whole, Word, bad};
use super::{RawBasic, RawTls};
use crate::model::alert::Rule;

/// A section with a key for each of some rules.
macro_rules! rules_section {
    (
        $(#[$meta:meta])*
        $title:literal $name:ident { $($(#[$field_meta:meta])* $field:ident: $rule:ident,)* }
    ) => {
        section! {
            $(#[$meta])*
            $title $name { $($(#[$field_meta])* $field: RawRule,)* }
        }

        impl $name {
            pub const RULES: &[Rule] = &[$(Rule::$rule),*];

            pub fn get(&self, rule: Rule) -> Option<&RawRule> {
                match rule {
                    $(Rule::$rule => self.$field.as_ref(),)*
                    _ => None,
                }
            }

            /// Sets the key of a rule that has one here.
            pub fn set(&mut self, rule: Rule, raw: RawRule) {
                match rule {
                    $(Rule::$rule => self.$field = Some(raw),)*
                    _ => {}
                }
            }
        }
    };
}

rules_section! {
    /// The rules by which alerts about a dependency or its host are raised. What `threshold` and `minimum` mean stands with
    /// each.
    "Rules" RawRules {
        /// Operations failed, quickly, so many (`minimum`) times in a row: a misconfiguration or a dead process.
        dependency_down_fast: DependencyDownFast,
        /// Operations failed after using up a timeout, so many (`minimum`) times in a row: an overload or the network.
        dependency_down_slow: DependencyDownSlow,
        /// Operations fail now and then. The share of failures in 30 minutes, by its lower confidence bound, is above
        /// `threshold` times the share that the objective allows; `minimum` failures in that time.
        dependency_failing_often: DependencyFailingOften,
        /// The error budget burns `threshold` times as fast as it may (14.4: 2 % of a month's in an hour); `minimum` failures.
        slo_burn_fast: SloBurnFast,
        /// The same in six hours (6: 5 % of a month's budget).
        slo_burn_medium: SloBurnMedium,
        /// The same in three days (1: 10 % of a month's budget).
        slo_burn_slow: SloBurnSlow,
        /// Operations succeed only after a retry: a share of `threshold` of those in an hour, by its lower confidence bound,
        /// of `minimum` operations. Of all dependencies on the host.
        retry_masked: RetryMasked,
        /// Kept connections are found dead on reuse: a share of `threshold` in an hour, by its lower confidence bound, and
        /// `minimum` of them. Of all dependencies on the host.
        keepalive_stale: KeepaliveStale,
        /// Operations take `threshold` times as long as they used to, which `minimum` operations have shown.
        latency_regression: LatencyRegression,
        /// A certificate of the presented chain ends in `threshold` days; `minimum` operations showed it.
        certificate_expiring: CertificateExpiring,
        /// The same, nearer.
        certificate_expiring_soon: CertificateExpiringSoon,
        /// A certificate of the presented chain has ended; `minimum` operations showed it.
        certificate_expired: CertificateExpired,
        /// The sources of a name gave different answers, `minimum` operations in a row.
        dns_answers_differ: DnsAnswersDiffer,
        /// One address or one family failed while the dependency still answered, `minimum` operations in a row.
        address_broken: AddressBroken,
        /// It changed `threshold` times between up and failing among the last 30 verdicts; `minimum` verdicts.
        flapping: Flapping,
    }
}

rules_section! {
    /// The rules by which alerts about whyd itself are raised.
    "MonitorRules" RawMonitorRules {
        /// We are offline: nobody gets a verdict.
        monitor_offline: MonitorOffline,
        /// A share of `threshold` of five minutes' operations was left out or late; `minimum` operations.
        monitor_late: MonitorLate,
        /// Metrics, traces or logs did not reach their collector, `minimum` times in a row.
        monitor_exports_failing: MonitorExportsFailing,
        /// Descriptors or ports run out.
        monitor_resources_low: MonitorResourcesLow,
        /// What must survive a restart cannot be written down.
        monitor_state_unwritable: MonitorStateUnwritable,
        /// A receiver did not take its notifications, `minimum` times in a row, or some expired.
        monitor_deliveries_failing: MonitorDeliveriesFailing,
        /// The last reload was refused: an older configuration is in force.
        monitor_config_refused: MonitorConfigRefused,
        /// A source of discovery cannot look; what it found before is watched.
        monitor_discovery_failing: MonitorDiscoveryFailing,
    }
}

section! {
    /// One rule.
    "Rule" RawRule {
        /// Whether it raises alerts.
        enabled: bool,
        /// `info`, `warning` or `critical`; a dependency's tier may lower it (`alerts.tiers`).
        severity: SeverityWord,
        /// How long its condition must hold before the alert is raised.
        r#for: Span,
        /// How long its condition must not hold before the alert is over.
        keep_firing_for: Span,
        /// What it compares with; see the rule.
        threshold: Number,
        /// The fewest samples that it takes for evidence; see the rule.
        minimum: Whole<1, 100000>,
    }
}

section! {
    /// When alerts about a dependency are raised.
    "AlertPolicy" RawAlertPolicy {
        /// `false` switches every rule off (as `alerts: off` does), `true` switches every rule on; `rules` may say otherwise of
        /// some.
        enabled: bool,
        /// The percentage of operations that should succeed.
        objective: Percent,
        /// Thresholds of the rules.
        rules: RawRules,
    }
}

/// Alerts of a dependency: none, or how.
#[derive(Clone, Debug, PartialEq)]
pub enum AlertsSetting {
    Switch(bool),
    Full(Box<RawAlertPolicy>),
}

const ALERTS_EXPECTED: &str = "`off`, `on`, or `{objective: …, rules: {…}}`";

struct AlertsVisitor;

impl<'de> Visitor<'de> for AlertsVisitor {
    type Value = AlertsSetting;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(ALERTS_EXPECTED)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<AlertsSetting, E> {
        match text {
            "off" => Ok(AlertsSetting::Switch(false)),
            "on" => Ok(AlertsSetting::Switch(true)),
            _ => {
                let meant = suggest::nearest(text, ["off", "on"]);
                let hint = meant.map(|word| format!("did you mean `{word}`?"));
                Err(bad(ALERTS_EXPECTED, hint))
            }
        }
    }
    fn visit_bool<E: de::Error>(self, on: bool) -> Result<AlertsSetting, E> {
        Ok(AlertsSetting::Switch(on))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AlertsSetting, A::Error> {
        RawAlertPolicy::deserialize(MapAccessDeserializer::new(map))
            .map(|policy| AlertsSetting::Full(Box::new(policy)))
    }
}

impl<'de> Deserialize<'de> for AlertsSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AlertsVisitor)
    }
}

impl Serialize for AlertsSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            AlertsSetting::Switch(true) => serializer.serialize_str("on"),
            AlertsSetting::Switch(false) => serializer.serialize_str("off"),
            AlertsSetting::Full(policy) => policy.serialize(serializer),
        }
    }
}

impl JsonSchema for AlertsSetting {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "AlertsSetting".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let full = generator.subschema_for::<RawAlertPolicy>();
        json_schema!({"anyOf": [full, {"enum": ["off", "on", false, true]}]})
    }
}

section! {
    /// What is said in alerts, and how they differ by label.
    "Alerts" RawAlerts {
        /// How long an incident waits for others of its kind before it is told; `0s` tells it at once.
        group_wait: Span,
        /// How long until what is new of an incident that was told is told as well.
        group_interval: Span,
        /// Labels that every alert carries beside its own, such as the name of a cluster.
        labels: BTreeMap<String, Word>,
        /// Where people find this daemon's page and API: `https://whyd.example.org`. It stands in notifications.
        external_url: String,
        /// Where the pages of causes are: a cause's id, with `-` for `.`, is put behind this.
        runbooks: String,
        /// The label by which dependencies tell their tier.
        tier_label: Word,
        /// The highest severity that an alert about a dependency of that tier may have. A dependency is of the highest tier of
        /// its own and of those that need it (`depends_on`); one without a tier has no such limit.
        tiers: BTreeMap<String, SeverityWord>,
        /// Alerts about whyd itself.
        monitor: RawMonitorAlerts,
        /// Thresholds by label: above `defaults` and below what a dependency says itself. All whose labels match are applied;
        /// later ones win.
        overrides: Vec<RawOverride>,
    }
}

section! {
    /// Alerts about whyd itself.
    "MonitorAlerts" RawMonitorAlerts {
        /// Thresholds of the rules.
        rules: RawMonitorRules,
    }
}

section! {
    /// Thresholds for some dependencies.
    "AlertOverride" RawOverride {
        /// Labels that a dependency must have: its own, `dependency` (its name) or `host` (with or without the port). `*` stands for any text, a leading
        /// `!` means that it must not match.
        #[schemars(required)]
        r#match: BTreeMap<String, Word>,
        /// `false` switches every rule off, `true` on; `rules` may say otherwise of some.
        enabled: bool,
        /// The percentage of operations that should succeed.
        objective: Percent,
        /// Thresholds of the rules.
        rules: RawRules,
    }
}

section! {
    /// One receiver of notifications: exactly one of `alertmanager`, `webhook`, `slack`, `pagerduty`, `opsgenie`, `email` and
    /// `heartbeat`.
    "Receiver" RawReceiver {
        /// Its name, unique in the whole configuration.
        #[schemars(required)]
        name: Word,
        /// It is told of alerts of this severity and of higher ones. Unless given, of all; `pagerduty` and `opsgenie`, which
        /// wake people, from `warning` on.
        severity: SeverityWord,
        /// It is told of alerts whose labels match all of these: the user's labels and `dependency`, `host`, `alert` (a rule's
        /// id), `severity`, `cause`. `*` stands for any text, a leading `!` means that it must not match.
        r#match: BTreeMap<String, Word>,
        /// Whether it is told that alerts are over.
        send_resolved: bool,
        /// After how long what still fires is told again; for `alertmanager`, how often it is posted again (1m).
        repeat: DurationText,
        /// Notifications a minute; what is beyond waits.
        rate_limit: Whole<1, 10000>,
        /// After how long a notification that could not be delivered is given up. That is an alert itself.
        expire: DurationText,
        /// How long one try may take.
        timeout: DurationText,
        /// Texts in place of the built-in ones.
        template: RawTemplate,
        /// Alertmanagers (API v2); every one of them is told.
        alertmanager: RawAlertmanager,
        /// A URL to which JSON is posted: Alertmanager's webhook format, version 4.
        webhook: RawWebhook,
        /// A Slack incoming webhook.
        slack: RawSlack,
        /// PagerDuty's Events API v2.
        pagerduty: RawPagerDuty,
        /// Opsgenie's alert API, or that of Jira Service Management.
        opsgenie: RawOpsgenie,
        /// Email.
        email: RawEmail,
        /// A URL that is asked again and again for as long as whyd works: who misses it raises the alarm.
        heartbeat: RawHeartbeat,
    }
}

section! {
    /// Templates in the language of Jinja (minijinja). What they may use is listed at the end.
    "Template" RawTemplate {
        /// One line: the subject or title.
        title: String,
        /// The text.
        text: String,
    }
}

section! {
    /// How to authenticate at a receiver: exactly one of these.
    "ReceiverAuth" RawReceiverAuth {
        /// A user's name and password.
        basic: RawBasic,
        /// A bearer token.
        bearer: SecretText,
    }
}

section! {
    /// Alertmanagers: `url` or `urls`.
    "Alertmanager" RawAlertmanager {
        /// Its URL without `/api/v2/alerts`: `http://alertmanager:9093`.
        url: SecretText,
        /// The URLs of all peers of a cluster, each of which is told.
        urls: OneOrMany<SecretText>,
        /// Request headers.
        headers: BTreeMap<String, SecretText>,
        /// How to authenticate.
        auth: RawReceiverAuth,
        /// What is trusted and what is shown to the peer.
        tls: RawTls,
        /// The URL of an HTTP proxy, without user and password.
        proxy: String,
    }
}

section! {
    /// A webhook.
    "Webhook" RawWebhook {
        /// Its URL.
        #[schemars(required)]
        url: SecretText,
        /// Request headers.
        headers: BTreeMap<String, SecretText>,
        /// How to authenticate.
        auth: RawReceiverAuth,
        /// What is trusted and what is shown to the peer.
        tls: RawTls,
        /// The URL of an HTTP proxy, without user and password.
        proxy: String,
    }
}

section! {
    /// Slack.
    "Slack" RawSlack {
        /// The incoming webhook's URL, which is a secret.
        #[schemars(required)]
        url: SecretText,
        /// The channel, where the webhook may choose one.
        channel: String,
        /// What is trusted and what is shown to the peer.
        tls: RawTls,
        /// The URL of an HTTP proxy, without user and password.
        proxy: String,
    }
}

section! {
    /// PagerDuty.
    "PagerDuty" RawPagerDuty {
        /// The integration key of a service.
        #[schemars(required)]
        routing_key: SecretText,
        /// Where events go: `https://events.eu.pagerduty.com/v2/enqueue` for accounts in the EU.
        url: SecretText,
        /// What is trusted and what is shown to the peer.
        tls: RawTls,
        /// The URL of an HTTP proxy, without user and password.
        proxy: String,
    }
}

section! {
    /// Opsgenie.
    "Opsgenie" RawOpsgenie {
        /// The key of an API integration.
        #[schemars(required)]
        api_key: SecretText,
        /// The API's base, without `/v2/alerts`: `https://api.eu.opsgenie.com` in the EU, or that of Jira Service Management.
        url: SecretText,
        /// What is trusted and what is shown to the peer.
        tls: RawTls,
        /// The URL of an HTTP proxy, without user and password.
        proxy: String,
    }
}

section! {
    /// Email.
    "Email" RawEmail {
        /// The server to hand mail to.
        #[schemars(required)]
        host: Word,
        /// Its port: unless given, 587 with `starttls`, 465 with `implicit`, 25 with `none`.
        port: Whole<1, 65535>,
        /// `starttls` (which must succeed), `implicit` (TLS from the first byte), or `none`.
        security: MailSecurityWord,
        /// What is trusted and what is shown to the server.
        tls: RawTls,
        /// The user's name.
        user: Word,
        /// The password.
        password: SecretText,
        /// The sender: `whyd@example.org` or `whyd <whyd@example.org>`.
        #[schemars(required)]
        from: String,
        /// One address or several.
        #[schemars(required)]
        to: OneOrMany<String>,
        /// What we call ourselves in EHLO.
        hello: String,
    }
}

section! {
    /// A heartbeat.
    "Heartbeat" RawHeartbeat {
        /// The URL to ask.
        #[schemars(required)]
        url: SecretText,
        /// How often.
        interval: DurationText,
        /// `get`, or `post` with an empty body.
        method: PingWord,
        /// Request headers.
        headers: BTreeMap<String, SecretText>,
        /// How to authenticate.
        auth: RawReceiverAuth,
        /// What is trusted and what is shown to the peer.
        tls: RawTls,
        /// The URL of an HTTP proxy, without user and password.
        proxy: String,
    }
}

section! {
    /// A maintenance window: once (`from` and `to`), or again and again (`schedule`, or `days` and `at`, and `lasts`). Alerts that
    /// it matches are recorded and not told; if they still fire when it closes, they are told then.
    "Maintenance" RawMaintenance {
        /// Its name, unique in the whole configuration.
        #[schemars(required)]
        name: Word,
        /// Alerts whose labels match all of these: the user's labels and `dependency`, `host`, `alert` (a rule's id), `severity`,
        /// `cause`. `*` stands for any text, a leading `!` means that it must not match.
        #[schemars(required)]
        r#match: BTreeMap<String, Word>,
        /// When it opens, as cron has it: minute, hour, day of the month, month, day of the week.
        schedule: String,
        /// The days on which it opens; every day unless given.
        days: OneOrMany<DayWord>,
        /// The time of day at which it opens.
        at: TimeOfDay,
        /// How long it is open, up to 31 days.
        lasts: DurationText,
        /// The time zone of `schedule`, of `days` and `at`, and of times without an offset, by its IANA name. What the clocks
        /// skip when they are set forward opens when they are, and what they show twice opens twice.
        timezone: Word,
        /// Where it opens once: when.
        from: TimeText,
        /// Where it opens once: until when.
        to: TimeText,
        /// From when on it does not open any more.
        until: TimeText,
        /// Who answers for it.
        #[schemars(required)]
        owner: Word,
        /// Why.
        #[schemars(required)]
        reason: Word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_key() {
        let mut known: Vec<Rule> = RawRules::RULES.to_vec();
        known.extend(RawMonitorRules::RULES);
        assert_eq!(known, Rule::ALL);
        let all = |one: &Rule| (one.id().to_owned(), serde_json::json!({"enabled": false}));
        let off = |rules: &[Rule]| serde_json::Value::Object(rules.iter().map(all).collect());
        let rules: RawRules = serde_json::from_value(off(RawRules::RULES)).expect("keys are ids");
        let monitor: RawMonitorRules =
            serde_json::from_value(off(RawMonitorRules::RULES)).expect("keys are ids");
        for rule in Rule::ALL {
            let found = rules.get(*rule).or_else(|| monitor.get(*rule)).expect("is there");
            assert_eq!(found.enabled, Some(false), "{rule:?}");
        }
    }
}
