//! Samples of what there may be several kinds of, to take their defaults from.

use std::time::Duration;

use serde_json::Value;

use super::super::raw::alerts::{
    RawEmail, RawHeartbeat, RawMaintenance, RawOpsgenie, RawPagerDuty, RawReceiver, RawWebhook,
};
use super::super::raw::choices::SecretText;
use super::super::raw::discovery::{RawDiscovery, RawDnsSrv, RawFileSd, RawHttpSd, RawKubernetes};
use super::super::raw::lists::OneOrMany;
use super::super::raw::values::{DurationText, Word};
use super::super::report::Place;

/// One receiver of each kind that has defaults of its own.
pub fn receivers(place: &Place) -> Vec<(RawReceiver, Place)> {
    let text = |text: &str| Some(SecretText::Inline(text.into()));
    let url = text("https://host.example/");
    let all = [
        RawReceiver {
            webhook: Some(RawWebhook {
                url: url.clone(),
                ..RawWebhook::default()
            }),
            ..RawReceiver::default()
        },
        RawReceiver {
            pagerduty: Some(RawPagerDuty {
                routing_key: text("key"),
                ..RawPagerDuty::default()
            }),
            ..RawReceiver::default()
        },
        RawReceiver {
            opsgenie: Some(RawOpsgenie {
                api_key: text("key"),
                ..RawOpsgenie::default()
            }),
            ..RawReceiver::default()
        },
        RawReceiver {
            email: Some(RawEmail {
                host: Some(Word("mail.example".into())),
                from: Some("a@example.org".into()),
                to: Some(OneOrMany(vec!["b@example.org".into()])),
                ..RawEmail::default()
            }),
            ..RawReceiver::default()
        },
        RawReceiver {
            heartbeat: Some(RawHeartbeat {
                url,
                ..RawHeartbeat::default()
            }),
            ..RawReceiver::default()
        },
    ];
    let place = place.key("receivers");
    let named = |(i, one): (usize, RawReceiver)| {
        let name = Some(Word(format!("receiver {i}")));
        (RawReceiver { name, ..one }, place.index(i))
    };
    all.into_iter().enumerate().map(named).collect()
}

pub fn maintenance(place: &Place) -> Vec<(RawMaintenance, Place)> {
    let raw = RawMaintenance {
        name: Some(Word("window".into())),
        r#match: Some([("dependency".into(), Word("*".into()))].into()),
        schedule: Some("0 2 * * *".into()),
        lasts: Some(DurationText(Duration::from_secs(3_600))),
        owner: Some(Word("owner".into())),
        reason: Some(Word("reason".into())),
        ..RawMaintenance::default()
    };
    vec![(raw, place.key("maintenance").index(0))]
}

/// One source of each kind.
pub fn discovery(place: &Place) -> Vec<(RawDiscovery, Place)> {
    let all = [
        RawDiscovery {
            file_sd: Some(RawFileSd {
                files: Some(OneOrMany(vec!["*.json".into()])),
                ..RawFileSd::default()
            }),
            ..RawDiscovery::default()
        },
        RawDiscovery {
            http_sd: Some(RawHttpSd {
                url: Some("https://host.example/".into()),
                ..RawHttpSd::default()
            }),
            ..RawDiscovery::default()
        },
        RawDiscovery {
            dns_srv: Some(RawDnsSrv {
                names: Some(OneOrMany(vec![Word("host.example".into())])),
                ..RawDnsSrv::default()
            }),
            ..RawDiscovery::default()
        },
        RawDiscovery {
            kubernetes: Some(RawKubernetes::default()),
            ..RawDiscovery::default()
        },
    ];
    let place = place.key("discovery");
    let named = |(i, one): (usize, RawDiscovery)| {
        let name = Some(Word(format!("source {i}")));
        (RawDiscovery { name, ..one }, place.index(i))
    };
    all.into_iter().enumerate().map(named).collect()
}

/// Makes one receiver of all the samples, the first of which says what holds for most, without what they were given.
pub fn receiver_defaults(value: &mut Value) {
    let Some(merged) = merge_samples(value, "receivers") else {
        return;
    };
    // It differs by channel.
    merged.remove("severity");
    for (channel, keys) in [
        ("webhook", &["url"][..]),
        ("pagerduty", &["routing_key"]),
        ("opsgenie", &["api_key"]),
        ("email", &["host", "from", "to", "port"]),
        ("heartbeat", &["url"]),
    ] {
        if let Some(section) = merged.get_mut(channel).and_then(Value::as_object_mut) {
            section.retain(|key, _| !keys.contains(&key.as_str()));
        }
    }
}

/// Makes one entry of all those of a list, and returns it.
pub fn merge_samples<'v>(value: &'v mut Value, list: &str) -> Option<&'v mut serde_json::Map<String, Value>> {
    let all = value.get_mut(list).and_then(Value::as_array_mut)?;
    let mut merged = serde_json::Map::new();
    for one in std::mem::take(all) {
        for (key, value) in one.as_object().into_iter().flatten() {
            merged.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    merged.remove("name");
    all.push(Value::Object(merged));
    all.first_mut().and_then(Value::as_object_mut)
}

/// Makes one source of all the samples, without what they were given.
pub fn discovery_defaults(value: &mut Value) {
    merge_samples(value, "discovery");
    for (section, key) in [("file_sd", "files"), ("http_sd", "url"), ("dns_srv", "names")] {
        let section = value.pointer_mut(&format!("/discovery/0/{section}"));
        if let Some(section) = section.and_then(Value::as_object_mut) {
            section.remove(key);
        }
    }
}
