//! Alerts, receivers and maintenance windows on their way back to the raw types.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::lower::scale_out::LOCATION;
use super::super::lower::{has_minimum, has_threshold};
use super::super::raw::alerts::{
    AlertsSetting, RawAlertPolicy, RawAlertmanager, RawAlerts, RawEmail, RawHeartbeat, RawMaintenance,
    RawMonitorAlerts, RawMonitorRules, RawOpsgenie, RawPagerDuty, RawReceiver, RawReceiverAuth, RawRule,
    RawRules, RawSlack, RawTemplate, RawWebhook,
};
use super::super::raw::choices::{MailSecurityWord, PingWord, SecretText, SeverityWord};
use super::super::raw::lists::OneOrMany;
use super::super::raw::quantities::{Number, Percent, Span, TimeText};
use super::super::raw::values::{DurationText, Whole, Word};
use super::super::raw::{RawDefaults, RawTls};
use super::super::url_lint;
use super::{REDACTED, basic, headers, pairs, secret, texts, tls};
use crate::model::alert::{Rule, Severity};
use crate::model::alert_policy::{AlertPolicy, RulePolicy};
use crate::model::dependency::TlsSettings;
use crate::model::receiver::{Alerting, Channel, Email, MailSecurity, Ping, Receiver, WebAuth, WebTarget};
use crate::model::secret::{SecretRef, Text};
use crate::model::silence::{Maintenance, Matcher, Schedule};
use crate::model::time::Wall;

fn severity(severity: Severity) -> SeverityWord {
    match severity {
        Severity::Info => SeverityWord::Info,
        Severity::Warning => SeverityWord::Warning,
        Severity::Critical => SeverityWord::Critical,
    }
}

/// The built-in thresholds, which every dependency has but for what it says itself.
pub fn defaults() -> RawDefaults {
    let policy = AlertPolicy::default();
    let mut rules = RawRules::default();
    for rule in RawRules::RULES {
        rules.set(*rule, whole_rule(*rule, policy.rule(*rule)));
    }
    RawDefaults {
        alerts: Some(AlertsSetting::Full(Box::new(RawAlertPolicy {
            enabled: None,
            objective: Some(Percent(policy.objective)),
            rules: Some(rules),
        }))),
        ..RawDefaults::default()
    }
}

fn whole_rule(rule: Rule, policy: &RulePolicy) -> RawRule {
    RawRule {
        enabled: Some(policy.enabled),
        severity: Some(severity(policy.severity)),
        r#for: Some(Span(policy.hold)),
        keep_firing_for: Some(Span(policy.recover)),
        threshold: has_threshold(rule).then_some(Number(policy.threshold)),
        minimum: has_minimum(rule).then_some(Whole(policy.minimum)),
    }
}

/// Where a policy differs from the built-in one.
pub fn policy(policy: &AlertPolicy) -> Option<AlertsSetting> {
    let built_in = AlertPolicy::default();
    let off = RawRules::RULES.iter().all(|rule| !policy.rule(*rule).enabled);
    let mut rules = RawRules::default();
    for rule in RawRules::RULES {
        let one = policy.rule(*rule);
        let mut other = *built_in.rule(*rule);
        if off {
            other.enabled = false;
        }
        if *one != other {
            rules.set(*rule, differing(one, &other));
        }
    }
    let raised = RawAlertPolicy {
        enabled: off.then_some(false),
        objective: (policy.objective != built_in.objective).then_some(Percent(policy.objective)),
        rules: (rules != RawRules::default()).then_some(rules),
    };
    (raised != RawAlertPolicy::default()).then(|| AlertsSetting::Full(Box::new(raised)))
}

fn differing(one: &RulePolicy, other: &RulePolicy) -> RawRule {
    RawRule {
        enabled: (one.enabled != other.enabled).then_some(one.enabled),
        severity: (one.severity != other.severity).then(|| severity(one.severity)),
        r#for: (one.hold != other.hold).then_some(Span(one.hold)),
        keep_firing_for: (one.recover != other.recover).then_some(Span(one.recover)),
        threshold: (one.threshold != other.threshold).then_some(Number(one.threshold)),
        minimum: (one.minimum != other.minimum).then_some(Whole(one.minimum)),
    }
}

/// `located`: one of the labels is the location, which is not among them in the configuration.
pub fn alerts(alerting: &Alerting, located: bool) -> RawAlerts {
    let mut labels = alerting.labels.to_vec();
    labels.retain(|(name, _)| !(located && **name == *LOCATION));
    let mut rules = RawMonitorRules::default();
    for rule in RawMonitorRules::RULES {
        rules.set(*rule, whole_rule(*rule, alerting.monitor.rule(*rule)));
    }
    RawAlerts {
        group_wait: Some(Span(alerting.group_wait)),
        group_interval: Some(Span(alerting.group_interval)),
        labels: pairs(&labels),
        external_url: alerting.external_url.as_ref().map(|url| url.to_string()),
        runbooks: Some(alerting.runbooks.to_string()),
        tier_label: Some(Word(alerting.tier_label.to_string())),
        tiers: Some(
            alerting
                .tiers
                .iter()
                .map(|(tier, cap)| (tier.to_string(), severity(*cap)))
                .collect(),
        ),
        monitor: Some(RawMonitorAlerts { rules: Some(rules) }),
        overrides: None,
    }
}

/// Peers of one Alertmanager come together again.
pub fn receivers(all: &[Arc<Receiver>]) -> Option<Vec<RawReceiver>> {
    let mut raised: Vec<RawReceiver> = Vec::new();
    for one in all {
        let peer_of = one.name.split_once('/').map(|(name, _)| name);
        let first = raised
            .last_mut()
            .filter(|last| last.name.as_ref().map(|name| name.0.as_str()) == peer_of);
        match (first.and_then(|first| first.alertmanager.as_mut()), &one.channel) {
            (Some(first), Channel::Alertmanager(target)) => {
                let urls = first.urls.get_or_insert_with(|| OneOrMany(Vec::new()));
                urls.0.extend(first.url.take());
                urls.0.push(address(&target.url));
            }
            _ => raised.push(receiver(one)),
        }
    }
    (!raised.is_empty()).then_some(raised)
}

fn receiver(one: &Receiver) -> RawReceiver {
    let name = Some(Word(one.name.to_string()));
    let timeout = Some(DurationText(one.timeout));
    if let Channel::Heartbeat {
        target,
        interval,
        method,
    } = &one.channel
    {
        return RawReceiver {
            name,
            timeout,
            heartbeat: Some(RawHeartbeat {
                url: Some(address(&target.url)),
                interval: Some(DurationText(*interval)),
                method: Some(match method {
                    Ping::Get => PingWord::Get,
                    Ping::Post => PingWord::Post,
                }),
                headers: headers(&target.headers),
                auth: auth(target),
                tls: own_tls(&target.tls),
                proxy: proxy(target),
            }),
            ..RawReceiver::default()
        };
    }
    let template = RawTemplate {
        title: one.template.title.as_ref().map(|text| text.to_string()),
        text: one.template.text.as_ref().map(|text| text.to_string()),
    };
    let raw = RawReceiver {
        name,
        severity: Some(severity(one.takes.least)),
        r#match: matchers(&one.takes.matchers),
        send_resolved: Some(one.send_resolved),
        repeat: Some(DurationText(one.repeat)),
        rate_limit: Some(Whole(one.per_minute)),
        expire: Some(DurationText(one.expire)),
        timeout,
        template: (template != RawTemplate::default()).then_some(template),
        ..RawReceiver::default()
    };
    with_channel(raw, &one.channel)
}

fn with_channel(mut raw: RawReceiver, channel: &Channel) -> RawReceiver {
    match channel {
        Channel::Alertmanager(target) => {
            raw.alertmanager = Some(RawAlertmanager {
                url: Some(address(&target.url)),
                urls: None,
                headers: headers(&target.headers),
                auth: auth(target),
                tls: own_tls(&target.tls),
                proxy: proxy(target),
            });
        }
        Channel::Webhook(target) => {
            raw.webhook = Some(RawWebhook {
                url: Some(address(&target.url)),
                headers: headers(&target.headers),
                auth: auth(target),
                tls: own_tls(&target.tls),
                proxy: proxy(target),
            });
        }
        Channel::Slack { target, channel } => {
            raw.slack = Some(RawSlack {
                url: Some(address(&target.url)),
                channel: channel.as_ref().map(|text| text.to_string()),
                tls: own_tls(&target.tls),
                proxy: proxy(target),
            });
        }
        Channel::PagerDuty { target, routing_key } => {
            raw.pagerduty = Some(RawPagerDuty {
                routing_key: Some(secret(routing_key)),
                url: Some(address(&target.url)),
                tls: own_tls(&target.tls),
                proxy: proxy(target),
            });
        }
        Channel::Opsgenie { target, api_key } => {
            raw.opsgenie = Some(RawOpsgenie {
                api_key: Some(secret(api_key)),
                url: Some(address(&target.url)),
                tls: own_tls(&target.tls),
                proxy: proxy(target),
            });
        }
        Channel::Email(one) => raw.email = Some(email(one)),
        // It has nothing of what the others have; see `receiver`.
        Channel::Heartbeat { .. } => {}
    }
    raw
}

fn email(one: &Email) -> RawEmail {
    RawEmail {
        host: Some(Word(one.host.to_string())),
        port: Some(Whole(one.port.into())),
        security: Some(match one.security {
            MailSecurity::StartTls => MailSecurityWord::StartTls,
            MailSecurity::Implicit => MailSecurityWord::Implicit,
            MailSecurity::None => MailSecurityWord::None,
        }),
        tls: own_tls(&one.tls),
        user: one.login.as_ref().map(|(user, _)| Word(user.to_string())),
        password: one.login.as_ref().map(|(_, password)| secret(password)),
        from: Some(one.from.to_string()),
        to: texts(one.to.iter()),
        hello: one.hello.as_ref().map(|text| text.to_string()),
    }
}

/// A URL's scheme and host tell where alerts go; its path may be the secret.
fn address(url: &Text) -> SecretText {
    match url {
        Text::Plain(url) => SecretText::Inline(url.to_string()),
        Text::Secret(SecretRef::Inline(whole)) => {
            let (parsed, _) = url_lint::parse_http(whole.expose());
            SecretText::Inline(match parsed {
                Some((url, _)) if &*url.path == "/" && url.query.is_none() => {
                    format!("{}://{}/", url.scheme.id(), url.authority())
                }
                Some((url, _)) => format!("{}://{}/{REDACTED}", url.scheme.id(), url.authority()),
                None => REDACTED.into(),
            })
        }
        Text::Secret(file) => secret(file),
    }
}

fn auth(target: &WebTarget) -> Option<RawReceiverAuth> {
    match &target.auth {
        WebAuth::None => None,
        WebAuth::Basic { user, password } => Some(RawReceiverAuth {
            basic: Some(basic(user, password)),
            bearer: None,
        }),
        WebAuth::Bearer(token) => Some(RawReceiverAuth {
            basic: None,
            bearer: Some(secret(token)),
        }),
    }
}

fn proxy(target: &WebTarget) -> Option<String> {
    target.proxy.as_ref().map(|url| url.to_string())
}

fn own_tls(settings: &TlsSettings) -> Option<RawTls> {
    (*settings != TlsSettings::default()).then(|| RawTls {
        aia: None,
        ..tls(settings)
    })
}

fn matchers(all: &[Matcher]) -> Option<BTreeMap<String, Word>> {
    let all: BTreeMap<String, Word> = all
        .iter()
        .map(|one| {
            let sign = if one.negated { "!" } else { "" };
            (one.label.to_string(), Word(format!("{sign}{}", one.pattern)))
        })
        .collect();
    (!all.is_empty()).then_some(all)
}

fn time(wall: Wall) -> Option<TimeText> {
    let time = jiff::Timestamp::from_nanosecond(wall.unix_nanos().into());
    time.ok().map(TimeText::Absolute)
}

pub fn maintenance(all: &[Maintenance]) -> Option<Vec<RawMaintenance>> {
    let raised: Vec<RawMaintenance> = all
        .iter()
        .map(|one| {
            let raw = RawMaintenance {
                name: Some(Word(one.name.to_string())),
                r#match: matchers(&one.matchers),
                until: one.ends.and_then(time),
                owner: Some(Word(one.owner.to_string())),
                reason: Some(Word(one.reason.to_string())),
                ..RawMaintenance::default()
            };
            match &one.schedule {
                Schedule::Once { from, until } => RawMaintenance {
                    from: time(*from),
                    to: time(*until),
                    ..raw
                },
                Schedule::Cron {
                    expression,
                    zone,
                    lasts,
                } => RawMaintenance {
                    schedule: Some(expression.to_string()),
                    timezone: Some(Word(zone.to_string())),
                    lasts: Some(DurationText(*lasts)),
                    ..raw
                },
            }
        })
        .collect();
    (!raised.is_empty()).then_some(raised)
}
