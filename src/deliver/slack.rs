//! Slack: a message through an incoming webhook, or through `chat.postMessage` where the URL is that one and a bearer
//! token is given. Mattermost and others take the same.

use serde_json::{Value, json};

use crate::model::alert::Severity;
use crate::model::notification::{DeliveryOrder, Notification};
use crate::model::receiver::WebTarget;

use super::http::{Answer, Call};
use super::story::{self, Style};
use super::trip::{NotTaken, Trip};

/// Characters of the text of one section (docs.slack.dev/reference/block-kit/blocks/section-block: 3,000). All sections
/// together stay far below the 50 blocks of a message, and below the undocumented limit on the sum of their texts (some
/// 11,000 characters were refused: slackapi/bolt-js, issue 2867).
const SECTION: usize = 3_000;
/// Sections that a user's text may fill.
const SECTIONS: usize = 2;

pub async fn deliver(trip: &mut Trip<'_>, target: &WebTarget, channel: Option<&str>) -> Result<(), NotTaken> {
    let url = trip.url(target)?;
    let body = message(trip.order, channel).to_string().into_bytes();
    judged(&trip.send(target, Call::post(url, body)).await?)
}

pub fn message(order: &DeliveryOrder, channel: Option<&str>) -> Value {
    let title = story::title(order, Style::Slack);
    let text = story::text(order, Style::Slack, SECTION * SECTIONS);
    let blocks: Vec<Value> = sections(&text)
        .into_iter()
        .map(|text| json!({"type": "section", "text": {"type": "mrkdwn", "text": text}}))
        .collect();
    let mut message = json!({
        "text": title,
        "attachments": [{"color": color(&order.notification), "blocks": blocks}],
        // Links are to be read, not drawn as cards below the message.
        "unfurl_links": false,
    });
    if let Some(channel) = channel {
        message["channel"] = channel.into();
    }
    message
}

/// The text in pieces of whole lines, each as long as a section may be.
fn sections(text: &str) -> Vec<String> {
    let mut sections: Vec<String> = vec![String::new()];
    let mut length = 0;
    for line in text.lines() {
        let line = story::cut(line, Style::Slack, SECTION);
        let added = line.chars().count() + 1;
        if length + added > SECTION + 1 {
            sections.push(String::new());
            length = 0;
        }
        if let Some(last) = sections.last_mut() {
            if length > 0 {
                last.push('\n');
            }
            last.push_str(&line);
            length += added;
        }
    }
    sections.retain(|section| !section.trim().is_empty());
    sections
}

fn color(notification: &Notification) -> &'static str {
    match (notification.is_firing(), notification.severity) {
        (false, _) => "#2eb67d",
        (true, Severity::Critical) => "#d0021b",
        (true, Severity::Warning) => "#e8a317",
        (true, Severity::Info) => "#439fe0",
    }
}

/// An incoming webhook answers with a status and a word (docs.slack.dev, "Sending messages using incoming webhooks"),
/// a method of the API with 200 and whether it went well.
fn judged(answer: &Answer) -> Result<(), NotTaken> {
    answer.judged()?;
    let Ok(Value::Object(said)) = serde_json::from_slice(&answer.body) else {
        return Ok(());
    };
    if said.get("ok") != Some(&Value::Bool(false)) {
        return Ok(());
    }
    let word = said.get("error").and_then(Value::as_str).unwrap_or_default();
    let later = matches!(
        word,
        "ratelimited"
            | "rate_limited"
            | "internal_error"
            | "fatal_error"
            | "service_unavailable"
            | "request_timeout"
    );
    let why = answer.words();
    Err(if later {
        NotTaken::Later {
            why,
            retry_after: answer.retry_after,
        }
    } else {
        NotTaken::never(why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_whole_lines_of_bounded_length() {
        let line = "x".repeat(1_400);
        let text = format!("{line}\n{line}\n{line}");
        let sections = sections(&text);
        assert_eq!(
            sections.iter().map(String::len).collect::<Vec<_>>(),
            [2_801, 1_400]
        );
        let long = super::sections(&"ä".repeat(4_000));
        assert_eq!(long.len(), 1);
        assert_eq!(long[0].chars().count(), SECTION);
        assert!(super::sections("\n \n").is_empty());
    }
}
