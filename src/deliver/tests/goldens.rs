//! The payloads as they are, held against files.

use crate::deliver::story::{self, Style};
use crate::deliver::{opsgenie, pagerduty, slack, webhook};
use crate::model::receiver::{Channel, Template};
use crate::report::golden::assert_current;

use super::{Sample, target};

fn hook() -> Channel {
    Channel::Webhook(target("https://hooks.example/secret-path"))
}

fn samples() -> [(&'static str, Sample); 3] {
    [
        ("opened", Sample::default()),
        ("changed", Sample::several()),
        ("closed", Sample::over()),
    ]
}

fn pretty(json: &serde_json::Value) -> String {
    serde_json::to_string_pretty(json).expect("JSON") + "\n"
}

#[test]
fn texts() {
    for (name, sample) in samples() {
        let order = sample.order(hook());
        for (style, kind) in [
            (Style::Plain, "txt"),
            (Style::Slack, "mrkdwn"),
            (Style::Html, "html"),
        ] {
            let text = format!(
                "{}\n\n{}\n",
                story::title(&order, style),
                story::text(&order, style, 9_000)
            );
            assert_current(&format!("tests/golden/deliver/{name}.{kind}"), &text);
        }
    }
}

#[test]
fn payloads() {
    for (name, sample) in samples() {
        let order = sample.order(hook());
        let read = |bytes: Vec<u8>| -> serde_json::Value { serde_json::from_slice(&bytes).expect("JSON") };
        let all = [
            ("webhook", read(webhook::body(&order))),
            ("slack", slack::message(&order, Some("#alerts"))),
            ("pagerduty", read(pagerduty::body(&order, "R0UT1NG"))),
            ("opsgenie", opsgenie::alert(&order)),
        ];
        for (channel, payload) in all {
            if (channel, name) == ("opsgenie", "closed") {
                // It is closed by its alias; the socket tests see that.
                continue;
            }
            assert_current(
                &format!("tests/golden/deliver/{name}.{channel}.json"),
                &pretty(&payload),
            );
        }
    }
}

#[test]
fn a_template_stands_in_place_of_our_words() {
    let mut sample = Sample::several();
    sample.template = Template {
        title: Some("{{ status | upper }} {{ firing }}/{{ alerts | length }}: {{ alerts[1].dependency }}".into()),
        text: Some(
            "{% for alert in alerts %}{{ alert.dependency }} <{{ alert.labels.team }}{{ alert.labels.none }}>\n{% endfor %}"
                .into(),
        ),
    };
    let order = sample.order(hook());
    assert_eq!(story::title(&order, Style::Plain), "FIRING 2/3: ledger <eu>");
    assert_eq!(
        story::title(&order, Style::Slack),
        "FIRING 2/3: ledger &lt;eu&gt;"
    );
    assert_eq!(
        story::text(&order, Style::Slack, 500),
        "payments <checkout>\nledger &lt;eu&gt; <checkout>\nsearch <checkout>"
    );
    assert!(story::text(&order, Style::Html, 500).starts_with("<p>payments &lt;checkout&gt;<br>\n"));
    assert_eq!(story::text(&order, Style::Plain, 25), "payments <checkout>\n…");
}

#[test]
fn a_template_that_fails_costs_nobody_the_alert() {
    let sample = Sample {
        template: Template {
            title: Some("{{ alerts[7].summary }}".into()),
            text: Some(
                "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}".into(),
            ),
        },
        ..Sample::default()
    };
    let order = sample.order(hook());
    assert!(story::title(&order, Style::Plain).starts_with("CRITICAL: payments is down"));
    assert!(story::text(&order, Style::Plain, 5_000).contains("renew the certificate"));
}
