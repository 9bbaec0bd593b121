//! Who is told of alerts.

use std::sync::Arc;
use std::time::Duration;

use super::super::super::decode::list;
use super::super::super::raw::alerts::{RawEmail, RawReceiver, RawTemplate};
use super::super::super::raw::choices::{MailSecurityWord, PingWord, SecretText};
use super::super::super::raw::values::DurationText;
use super::super::super::report::{Finding, Part, Place};
use super::super::super::url_lint;
use super::super::{Context, names, secret};
use super::{matchers, severity, web};
use crate::model::alert::Severity;
use crate::model::receiver::{Channel, Email, MailSecurity, Ping, Receiver, Takes, Template};
use crate::model::secret::SecretRef;
use crate::model::silence::Matcher;
use crate::template;

/// PagerDuty's Events API v2, "Send an alert event".
pub const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";
/// Opsgenie's "API overview".
pub const OPSGENIE: &str = "https://api.opsgenie.com";
/// How often a heartbeat's URL is asked unless configured.
pub const HEARTBEAT: Duration = Duration::from_secs(60);

/// Receivers in the order in which they are written.
pub fn lower(
    context: &mut Context<'_>,
    raw: &[(RawReceiver, Place)],
    known: &matchers::Known,
) -> Arc<[Arc<Receiver>]> {
    let named = raw.iter().map(|(one, place)| (one.name.as_ref(), place));
    names::check(context, named, "among the receivers");
    let mut all: Vec<Arc<Receiver>> = Vec::new();
    for (one, place) in raw {
        let Some(template) = receiver(context, one, place, known) else {
            continue;
        };
        for (i, channel) in channels(context, one, place).into_iter().enumerate() {
            let name = match i {
                0 => Arc::clone(&template.name),
                _ => format!("{}/{}", template.name, i + 1).into(),
            };
            all.push(Arc::new(Receiver {
                name,
                channel,
                ..template.clone()
            }));
        }
    }
    let takes_critical = |one: &Arc<Receiver>| {
        let admits = |matcher: &Matcher| &*matcher.label != "severity" || matcher.admits(Some("critical"));
        let told = !matches!(one.channel, Channel::Heartbeat { .. });
        told && one.takes.matchers.iter().all(admits)
    };
    if let Some((_, place)) = raw.first().filter(|_| !all.is_empty())
        && !all.iter().any(takes_critical)
        && let Some(list) = place.path.parent()
    {
        let place = Place {
            file: place.file,
            path: list,
        };
        let finding = Finding::warning(&place, "nobody is told of critical alerts").at(Part::Key);
        context
            .report
            .add(finding.expected("a receiver for them, other than a heartbeat"));
    }
    all.into()
}

/// The keys that name a channel, and whether they are given.
fn given(raw: &RawReceiver) -> [(&'static str, bool); 7] {
    [
        ("alertmanager", raw.alertmanager.is_some()),
        ("webhook", raw.webhook.is_some()),
        ("slack", raw.slack.is_some()),
        ("pagerduty", raw.pagerduty.is_some()),
        ("opsgenie", raw.opsgenie.is_some()),
        ("email", raw.email.is_some()),
        ("heartbeat", raw.heartbeat.is_some()),
    ]
}

/// Everything but the channel, which is the caller's to put in.
fn receiver(
    context: &mut Context<'_>,
    raw: &RawReceiver,
    place: &Place,
    known: &matchers::Known,
) -> Option<Receiver> {
    let all = given(raw);
    let chosen: Vec<&str> = all
        .iter()
        .filter(|(_, given)| *given)
        .map(|(key, _)| *key)
        .collect();
    let [chosen] = chosen.as_slice() else {
        let lost = |(key, _): &(&str, bool)| context.report.left_out.contains(&place.key(key));
        if !all.iter().any(lost) && !context.report.left_out.contains(place) {
            let keys: Vec<&str> = all.iter().map(|(key, _)| *key).collect();
            let finding = Finding::error(place, "not exactly one way to tell somebody");
            context
                .report
                .add(finding.expected(format!("one of {}", list(&keys))));
        }
        return None;
    };
    check_meaning(context, raw, place, chosen);
    let wakes = matches!(*chosen, "pagerduty" | "opsgenie");
    let built_in = if wakes { Severity::Warning } else { Severity::Info };
    let repeat = if *chosen == "alertmanager" {
        Receiver::REPEAT_ALERTMANAGER
    } else {
        Receiver::REPEAT
    };
    let matchers = raw
        .r#match
        .as_ref()
        .map(|labels| matchers::of_alerts(context, labels, &place.key("match"), known));
    Some(Receiver {
        name: raw.name.as_ref().map_or("?", |name| name.0.as_str()).into(),
        // Stands in until the channel is known.
        channel: Channel::Webhook(web::nowhere()),
        takes: Takes {
            least: raw.severity.map_or(built_in, severity),
            matchers: matchers.unwrap_or_default(),
        },
        send_resolved: raw.send_resolved.unwrap_or(true),
        repeat: raw.repeat.map_or(repeat, |text| text.0),
        per_minute: raw.rate_limit.map_or(Receiver::PER_MINUTE, |number| number.0),
        expire: raw.expire.map_or(Receiver::EXPIRE, |text| text.0),
        timeout: raw.timeout.map_or(Receiver::TIMEOUT, |text| text.0),
        template: raw
            .template
            .as_ref()
            .map(|template| texts(context, template, &place.key("template")))
            .unwrap_or_default(),
    })
}

/// Alertmanager's `resolve_timeout`, after which it takes what it hears no more of for over.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(300);

/// Keys that have no meaning for that channel.
fn check_meaning(context: &mut Context<'_>, raw: &RawReceiver, place: &Place, channel: &str) {
    let without: &[(&str, bool)] = match channel {
        "heartbeat" => &[
            ("severity", raw.severity.is_some()),
            ("match", raw.r#match.is_some()),
            ("send_resolved", raw.send_resolved.is_some()),
            ("repeat", raw.repeat.is_some()),
            ("rate_limit", raw.rate_limit.is_some()),
            ("expire", raw.expire.is_some()),
            ("template", raw.template.is_some()),
        ],
        "alertmanager" => &[("template", raw.template.is_some())],
        _ => &[],
    };
    for (key, _) in without.iter().filter(|(_, given)| *given) {
        let finding = Finding::error(&place.key(key), format!("this means nothing for `{channel}`"));
        context.report.add(finding.at(Part::Key));
    }
    if let Some(repeat) = raw.repeat
        && channel == "alertmanager"
        && repeat.0 >= RESOLVE_TIMEOUT
    {
        let finding = Finding::warning(
            &place.key("repeat"),
            "Alertmanager takes what it hears no more of for over after five minutes (its `resolve_timeout`)",
        );
        context.report.add(finding.expected("less, such as `1m`"));
    }
    let (expire, timeout) = (raw.expire, raw.timeout.map_or(Receiver::TIMEOUT, |text| text.0));
    if expire.is_some_and(|expire| expire.0 < timeout) {
        let finding = Finding::error(&place.key("expire"), "it would expire within the first try");
        let shown = DurationText(timeout);
        context
            .report
            .add(finding.expected(format!("at least the `timeout` of {shown}")));
    }
}

fn texts(context: &mut Context<'_>, raw: &RawTemplate, place: &Place) -> Template {
    for (key, source) in [("title", &raw.title), ("text", &raw.text)] {
        let Some(source) = source else { continue };
        let at = place.key(key);
        if source.trim().is_empty() {
            context.report.error(&at, "the template is empty");
        } else if let Err(fault) = template::check(source) {
            let finding = Finding::error(&at, fault.to_string());
            context
                .report
                .add(finding.suggest_opt(fault.instead.map(|name| format!("did you mean `{name}`?"))));
        }
    }
    Template {
        title: raw.title.as_deref().map(Into::into),
        text: raw.text.as_deref().map(Into::into),
    }
}

/// The channel; several where it names several peers.
fn channels(context: &mut Context<'_>, raw: &RawReceiver, place: &Place) -> Vec<Channel> {
    if let Some(one) = &raw.alertmanager {
        let targets = web::alertmanagers(context, one, &place.key("alertmanager"));
        return targets.into_iter().map(Channel::Alertmanager).collect();
    }
    single(context, raw, place).into_iter().collect()
}

fn single(context: &mut Context<'_>, raw: &RawReceiver, place: &Place) -> Option<Channel> {
    let channel = |name: &str| place.key(name);
    if let Some(one) = &raw.webhook {
        return web::target(context, &web::Parts::from(one), &channel("webhook")).map(Channel::Webhook);
    }
    if let Some(one) = &raw.slack {
        let target = web::target(context, &web::Parts::from(one), &channel("slack"))?;
        let name = one.channel.as_deref().map(Into::into);
        return Some(Channel::Slack {
            target,
            channel: name,
        });
    }
    if let Some(one) = &raw.pagerduty {
        let at = channel("pagerduty");
        let key = key(context, one.routing_key.as_ref(), &at.key("routing_key"));
        let target = web::service(context, &web::Parts::from(one), &at, PAGERDUTY)?;
        return Some(Channel::PagerDuty {
            target,
            routing_key: key?,
        });
    }
    if let Some(one) = &raw.opsgenie {
        let at = channel("opsgenie");
        let key = key(context, one.api_key.as_ref(), &at.key("api_key"));
        let target = web::service(context, &web::Parts::from(one), &at, OPSGENIE)?;
        return Some(Channel::Opsgenie {
            target,
            api_key: key?,
        });
    }
    if let Some(one) = &raw.heartbeat {
        let at = channel("heartbeat");
        let target = web::target(context, &web::Parts::from(one), &at)?;
        let interval = one.interval.map_or(HEARTBEAT, |text| text.0);
        if interval < Duration::from_secs(1) {
            let finding = Finding::error(&at.key("interval"), "the URL would be asked too often");
            context.report.add(finding.expected("at least 1s"));
        }
        let method = match one.method {
            Some(PingWord::Get) | None => Ping::Get,
            Some(PingWord::Post) => Ping::Post,
        };
        return Some(Channel::Heartbeat {
            target,
            interval,
            method,
        });
    }
    let one = raw.email.as_ref()?;
    email(context, one, &channel("email")).map(Channel::Email)
}

fn key(context: &mut Context<'_>, given: Option<&SecretText>, place: &Place) -> Option<SecretRef> {
    let Some(text) = given else {
        if let Some(parent) = place.path.parent() {
            let container = Place {
                file: place.file,
                path: parent,
            };
            let name = place.path.last_key().unwrap_or_default();
            context
                .report
                .missing(&container, name, "the key, best as `{file: PATH}`");
        }
        return None;
    };
    Some(secret::lower(context, text, place))
}

fn email(context: &mut Context<'_>, raw: &RawEmail, place: &Place) -> Option<Email> {
    for (key, given, expected) in [
        ("host", raw.host.is_some(), "the mail server's name or address"),
        ("from", raw.from.is_some(), "the sender's address"),
        ("to", raw.to.is_some(), "one address or several"),
    ] {
        if !given {
            context.report.missing(place, key, expected);
        }
    }
    let (security, port) = match raw.security {
        Some(MailSecurityWord::StartTls) | None => (MailSecurity::StartTls, 587),
        Some(MailSecurityWord::Implicit) => (MailSecurity::Implicit, 465),
        Some(MailSecurityWord::None) => (MailSecurity::None, 25),
    };
    let port = raw
        .port
        .map_or(port, |port| u16::try_from(port.0).unwrap_or(u16::MAX));
    if port == 465 && security == MailSecurity::StartTls {
        let finding = Finding::warning(&place.key("port"), "port 465 is TLS from the first byte");
        context.report.add(finding.suggest("write `security: implicit`"));
    }
    let login = login(context, raw, place);
    if login.is_some() && security == MailSecurity::None {
        let at = place.key("password");
        let problem = "with `security: none`, the password crosses the network in the clear";
        context.report.warning(&at, problem);
    }
    let host = raw.host.as_ref()?;
    let is_host = matches!(
        url_lint::parse(&format!("tcp://{}:25", bracketed(&host.0))),
        (Some(url_lint::Target::Tcp(_)), _)
    );
    if !is_host {
        let finding = Finding::error(&place.key("host"), "this is not a host name");
        let expected = "a name such as `mail.example.com`, without scheme and port";
        context.report.add(finding.expected(expected));
    }
    if let Some(from) = &raw.from {
        check_address(context, from, &place.key("from"));
    }
    let to = raw.to.as_ref()?;
    let at = place.key("to");
    if to.0.is_empty() {
        context.report.error(&at, "nobody is written to");
    }
    for (i, address) in to.0.iter().enumerate() {
        let at = if to.0.len() == 1 { at.clone() } else { at.index(i) };
        check_address(context, address, &at);
    }
    let tls = raw
        .tls
        .as_ref()
        .map(|tls| web::tls(context, tls, &place.key("tls")))
        .unwrap_or_default();
    Some(Email {
        host: host.0.as_str().into(),
        port,
        security,
        tls,
        login,
        from: raw.from.as_deref()?.into(),
        to: to.0.iter().map(|address| address.as_str().into()).collect(),
        hello: raw.hello.as_deref().map(Into::into),
    })
}

fn bracketed(host: &str) -> String {
    match host.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host.to_owned(),
    }
}

fn login(context: &mut Context<'_>, raw: &RawEmail, place: &Place) -> Option<(Arc<str>, SecretRef)> {
    match (&raw.user, &raw.password) {
        (Some(user), Some(password)) => Some((
            user.0.as_str().into(),
            secret::lower(context, password, &place.key("password")),
        )),
        (Some(_), None) => {
            context
                .report
                .missing(place, "password", "the user's password, or `{file: PATH}`");
            None
        }
        (None, Some(_)) => {
            context.report.missing(place, "user", "the user's name");
            None
        }
        (None, None) => None,
    }
}

/// `a@b.example` or `Name <a@b.example>`, on one line: what is more is left to the server.
fn check_address(context: &mut Context<'_>, text: &str, place: &Place) {
    let bare = match text.trim().strip_suffix('>').map(|rest| rest.rsplit_once('<')) {
        Some(Some((_, address))) => address,
        Some(None) => "",
        None => text,
    };
    let good = bare.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !bare.contains([' ', ',', ';', '<', '>'])
    });
    if !good || text.chars().any(char::is_control) {
        let finding = Finding::error(place, "this is not an email address");
        context
            .report
            .add(finding.expected("one such as `oncall@example.org`; several as a list"));
    }
}
