//! A thousand members, and texts without end, go through each channel within its limits.

use std::sync::Arc;

use serde_json::Value;

use crate::deliver::story::{self, Style};
use crate::deliver::{opsgenie, pagerduty, slack, webhook};
use crate::model::alert::AlertText;
use crate::model::notification::DeliveryOrder;
use crate::model::receiver::Channel;

use super::{Sample, note, target};

const COUNT: usize = 1_000;

fn many() -> DeliveryOrder {
    Sample::many(COUNT).order(Channel::Webhook(target("https://hooks.example/")))
}

/// One alert whose texts are as long and as foreign as texts can be.
fn endless() -> DeliveryOrder {
    let long = |times| -> Box<str> { "ä<&>€\u{1F525} ".repeat(times).into() };
    let mut alert = note("payments", None);
    alert.text = Arc::new(AlertText {
        summary: long(2_000),
        description: long(5_000),
        fix: long(2_000),
        evidence: (0..200).map(|n| (format!("name{n}").into(), long(500))).collect(),
        ..(*alert.text).clone()
    });
    alert.labels = (0..100)
        .map(|n| (format!("label{n}").into(), long(100).into()))
        .collect();
    let sample = Sample {
        alerts: vec![alert],
        ..Sample::default()
    };
    sample.order(Channel::Webhook(target("https://hooks.example/")))
}

fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn characters(value: &Value) -> usize {
    value.as_str().expect("text").chars().count()
}

#[test]
fn a_webhook_takes_all_of_them_and_counts_what_it_does_not_take() {
    let body = webhook::body(&many());
    assert!(body.len() <= 1_000_000, "{}", body.len());
    let payload = read(&body);
    let alerts = payload["alerts"].as_array().expect("alerts");
    assert_eq!(
        (alerts.len(), payload["truncatedAlerts"].as_u64()),
        (COUNT, Some(0))
    );
    assert!(alerts[0]["annotations"]["fix"].is_string());
    assert_eq!(alerts[COUNT - 1]["labels"]["dependency"], "dependency-0999");
    assert!(alerts[COUNT - 1]["annotations"]["summary"].is_string());
    assert_eq!(
        payload["whyd"]["affected"].as_array().expect("names").len(),
        COUNT
    );

    let order = Sample::many(20 * COUNT).order(Channel::Webhook(target("https://hooks.example/")));
    let body = webhook::body(&order);
    assert!(body.len() <= 1_000_000, "{}", body.len());
    let payload = read(&body);
    let told = payload["alerts"].as_array().expect("alerts").len();
    assert!(told >= 500, "{told}");
    assert_eq!(payload["truncatedAlerts"], 20 * COUNT - told);
    assert_eq!(payload["whyd"]["affectedCount"], 20 * COUNT);
}

#[test]
fn slack_gets_sections_of_3000_characters_and_the_number_of_the_others() {
    for order in [many(), endless()] {
        let message = slack::message(&order, None);
        assert!(characters(&message["text"]) <= 400);
        let blocks = message["attachments"][0]["blocks"].as_array().expect("blocks");
        assert!((1..=3).contains(&blocks.len()), "{}", blocks.len());
        for block in blocks {
            let text = &block["text"]["text"];
            assert!(characters(text) <= 3_000);
            // No entity is cut in half.
            for part in text.as_str().expect("text").split('&').skip(1) {
                assert!(
                    ["amp;", "lt;", "gt;"].iter().any(|end| part.starts_with(end)),
                    "&{part}"
                );
            }
        }
    }
    let text = slack::message(&many(), None).to_string();
    assert!(text.contains("Firing (1000)"), "{text}");
    assert!(text.contains("and 980 more"), "{text}");
}

#[test]
fn pagerduty_gets_512_kilobytes_and_a_summary_of_1024() {
    for order in [many(), endless()] {
        let body = pagerduty::body(&order, "key");
        assert!(body.len() <= 512 * 1024, "{}", body.len());
        let event = read(&body);
        assert!(characters(&event["payload"]["summary"]) <= 1_024);
        assert!(characters(&event["dedup_key"]) <= 255);
    }
    let event = read(&pagerduty::body(&many(), "key"));
    let firing = event["payload"]["custom_details"]["firing"]
        .as_str()
        .expect("names");
    assert!(firing.ends_with("dependency-0999"), "all are named");
}

#[test]
fn opsgenie_gets_its_fields_in_their_lengths() {
    for order in [many(), endless()] {
        let alert = opsgenie::alert(&order);
        assert!(characters(&alert["message"]) <= 130);
        assert!(characters(&alert["alias"]) <= 512);
        assert!(characters(&alert["description"]) <= 15_000);
        assert!(characters(&alert["entity"]) <= 512);
        let tags = alert["tags"].as_array().expect("tags");
        assert!(tags.len() <= 20 && tags.iter().all(|tag| characters(tag) <= 50));
        let details = alert["details"].as_object().expect("details");
        let sum: usize = details
            .iter()
            .map(|(name, value)| name.chars().count() + characters(value))
            .sum();
        assert!(sum <= 8_000, "{sum}");
    }
    let description = opsgenie::alert(&many())["description"].to_string();
    assert!(description.contains("more"), "{description}");
}

#[test]
fn texts_of_every_style_are_cut_where_they_are_told_to() {
    for order in [many(), endless()] {
        for style in [Style::Plain, Style::Slack, Style::Html] {
            for most in [50, 500, 3_000, 50_000] {
                let text = story::text(&order, style, most);
                assert!(text.chars().count() <= most + 2, "{style:?} {most}");
                assert!(!text.is_empty());
            }
        }
    }
}
