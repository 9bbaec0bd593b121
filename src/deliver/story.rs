//! What a notification says to people: our own words, or the user's template.
//!
//! Ours are for somebody who is woken: first what is the matter and what to do, then since when, who else, and the numbers.

use std::time::Duration;

use crate::model::incident::Factor;
use crate::model::notification::{AlertNote, DeliveryOrder, Notification, Occasion};
use crate::model::time::Wall;
use crate::template::{self, Escape};

use super::fit;

/// How many alerts and names a text lists at most, tried from the first to the last until it is short enough.
const LISTED: [usize; 6] = [100, 50, 20, 10, 5, 2];
/// Characters of one alert in a list, and of one value of the evidence.
const LONGEST_ITEM: usize = 240;
/// Characters of the description, and of what is to be done.
const LONGEST_PARAGRAPH: usize = 2_000;
/// Values of the evidence that are shown.
const EVIDENCE: usize = 16;
/// Characters of a title, before the receiver's own limit.
pub const LONGEST_TITLE: usize = 400;

/// In what a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    /// Slack's mrkdwn.
    Slack,
    Html,
}

/// The title: status and what is the matter, on one line.
pub fn title(order: &DeliveryOrder, style: Style) -> String {
    let own = || {
        let notification = &order.notification;
        escape(
            style,
            &format!("{}: {}", status(notification), notification.title),
        )
    };
    let text = match &order.receiver.template.title {
        Some(source) => from_template(order, source, style).unwrap_or_else(own),
        None => own(),
    };
    cut(&fit::one_line(&text, usize::MAX), style, LONGEST_TITLE)
}

/// The text, of at most so many characters.
pub fn text(order: &DeliveryOrder, style: Style, most: usize) -> String {
    if let Some(source) = &order.receiver.template.text
        && let Some(text) = from_template(order, source, style)
    {
        return cut(&text, style, most);
    }
    let mut text = String::new();
    // In a channel nobody reads on: there a list is shorter than in a mail.
    for listed in LISTED.into_iter().skip(if style == Style::Slack { 2 } else { 0 }) {
        text = write(&parts(order, listed), style);
        if text.chars().count() <= most {
            return text;
        }
    }
    cut(&text, style, most)
}

/// In place of a template that fails, which `config` has tried when it was loaded, our own words are sent.
fn from_template(order: &DeliveryOrder, source: &str, style: Style) -> Option<String> {
    let own = write(&parts(order, LISTED[2]), Style::Plain);
    // Of HTML there is no template: it is made of the text.
    let escape = match style {
        Style::Plain | Style::Html => Escape::None,
        Style::Slack => Escape::Slack,
    };
    match template::render(source, &template::Facts { order, text: &own }, escape) {
        Ok(text) if style == Style::Html => Some(format!(
            "<p>{}</p>",
            self::escape(style, &text).replace('\n', "<br>\n")
        )),
        Ok(text) => Some(text),
        Err(error) => {
            let receiver = &order.receiver.name;
            tracing::warn!(%receiver, %error, "a template of the receiver failed; the usual text is sent");
            None
        }
    }
}

/// Firing or over, in a word.
fn status(notification: &Notification) -> String {
    let firing = notification.is_firing();
    match notification.occasion {
        Occasion::Test if firing => "TEST".to_owned(),
        Occasion::Test => "TEST IS OVER".to_owned(),
        _ if !firing => "RESOLVED".to_owned(),
        Occasion::Repeated => format!("STILL {}", notification.severity.id().to_uppercase()),
        _ => notification.severity.id().to_uppercase(),
    }
}

/// A piece of our text.
enum Part {
    Paragraph(String),
    Line(&'static str, String),
    List {
        label: &'static str,
        items: Vec<String>,
        /// How many there are.
        count: usize,
    },
    Link(&'static str, String),
}

fn parts(order: &DeliveryOrder, listed: usize) -> Vec<Part> {
    let notification = &order.notification;
    let (firing, over): (Vec<_>, Vec<_>) = notification.alerts.iter().partition(|note| note.ended.is_none());
    let mut parts = if firing.is_empty() {
        over_at_all(notification)
    } else {
        the_matter(notification)
    };
    let shared = shared(&notification.factors);
    if !shared.is_empty() && notification.alerts.len() + notification.affected.len() > 1 {
        parts.push(Part::Line("In common", shared));
    }
    if firing.len() > 1 || (firing.len() == 1 && !over.is_empty()) {
        parts.push(list("Firing", &firing, listed, |note| {
            note.text.summary.to_string()
        }));
    }
    if !over.is_empty() && notification.alerts.len() > 1 {
        parts.push(list("Over", &over, listed, ended_line));
    }
    for (label, names) in [
        ("Failing in the same way, not raised yet", &notification.affected),
        ("Failing because these do, not told", &notification.suppressed),
    ] {
        if !names.is_empty() && !firing.is_empty() {
            let names = fit::names(names.iter().map(|name| &**name), listed);
            parts.push(Part::Line(label, names));
        }
    }
    let labels = notification
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let labels = labels.collect::<Vec<_>>().join(", ");
    if !labels.is_empty() {
        parts.push(Part::Line("Labels", fit::one_line(&labels, LONGEST_ITEM)));
    }
    if let Some(cause) = notification.cause {
        if !firing.is_empty() {
            parts.push(Part::Line("To read more", format!("whyd explain {}", cause.id())));
        }
        parts.push(Part::Link("Runbook", order.links.runbook(cause)));
    }
    if let Some(url) = &order.links.external_url {
        parts.push(Part::Link("This whyd", url.to_string()));
    }
    parts
}

/// What is the matter and what to do: the first thing to be read.
fn the_matter(notification: &Notification) -> Vec<Part> {
    let text = &notification.text;
    let mut parts = Vec::new();
    let description = if text.description.is_empty() {
        &text.summary
    } else {
        &text.description
    };
    if !description.is_empty() {
        parts.push(Part::Paragraph(fit::chars(description, LONGEST_PARAGRAPH)));
    }
    if !text.fix.is_empty() {
        parts.push(Part::Line("What to do", fit::chars(&text.fix, LONGEST_PARAGRAPH)));
    }
    if let Some(cause) = notification.cause {
        let how = [
            text.speed.map(|speed| speed.id().to_owned()),
            text.phase.map(|phase| format!("in {phase}")),
        ];
        let how = how.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let how = if how.is_empty() { how } else { format!(" ({how})") };
        parts.push(Part::Line("Cause", format!("{}{how}", cause.id())));
    }
    let lasted = lasted(notification.since, notification.at);
    parts.push(Part::Line("Since", format!("{} ({lasted})", notification.since)));
    if !text.evidence.is_empty() {
        parts.push(Part::Line("Evidence", evidence_line(&text.evidence)));
    }
    parts
}

/// All of it is over.
fn over_at_all(notification: &Notification) -> Vec<Part> {
    let ended = notification
        .alerts
        .iter()
        .filter_map(|note| note.ended)
        .map(|(ended, _)| ended);
    let ended = ended.max().unwrap_or(notification.at);
    let mut parts = vec![Part::Paragraph(format!(
        "It is over: it began {} and ended {}, after {}.",
        notification.since,
        ended,
        lasted(notification.since, ended)
    ))];
    if let [only] = &*notification.alerts
        && let Some((_, because)) = only.ended
    {
        parts.push(Part::Line("Why", because.id().to_owned()));
    }
    if let Some(cause) = notification.cause {
        parts.push(Part::Line("Cause", cause.id().to_owned()));
    }
    parts
}

fn list(
    label: &'static str,
    notes: &[&AlertNote],
    listed: usize,
    line: impl Fn(&AlertNote) -> String,
) -> Part {
    let items = notes.iter().take(listed);
    Part::List {
        label,
        items: items
            .map(|note| fit::one_line(&line(note), LONGEST_ITEM))
            .collect(),
        count: notes.len(),
    }
}

fn ended_line(note: &AlertNote) -> String {
    let Some((ended, because)) = note.ended else {
        return note.key.to_string();
    };
    format!(
        "{} ({}), {} after {}",
        note.key.subject,
        note.key.rule.id(),
        because.id(),
        lasted(note.since, ended)
    )
}

/// What the members share. One that is the dependency itself says nothing.
fn shared(factors: &[Factor]) -> String {
    let telling = factors
        .iter()
        .filter(|factor| !matches!(factor, Factor::Dependency(_)));
    let words = telling.map(|factor| format!("{} {factor}", factor.kind().replace('_', " ")));
    words.take(4).collect::<Vec<_>>().join(", ")
}

/// `name=value`, the most telling first.
pub fn evidence_line(evidence: &[(Box<str>, Box<str>)]) -> String {
    let pairs = evidence.iter().take(EVIDENCE);
    let pairs = pairs.map(|(name, value)| format!("{name}={}", fit::one_line(value, LONGEST_ITEM)));
    let mut line = pairs.collect::<Vec<_>>().join(", ");
    if evidence.len() > EVIDENCE {
        line.push_str(&format!(" and {} more", evidence.len() - EVIDENCE));
    }
    line
}

/// Two units of a span, as people say it.
fn lasted(from: Wall, to: Wall) -> String {
    let seconds = u64::try_from(to.seconds_since(from)).unwrap_or(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let duration = Duration::from_secs(seconds);
    if minutes == 0 {
        format!("{} s", duration.as_secs())
    } else if hours == 0 {
        format!("{minutes} m {:02} s", seconds % 60)
    } else if days == 0 {
        format!("{hours} h {:02} m", minutes % 60)
    } else {
        format!("{days} d {:02} h", hours % 24)
    }
}

fn write(parts: &[Part], style: Style) -> String {
    let pieces: Vec<String> = parts.iter().map(|part| write_part(part, style)).collect();
    pieces.join("\n")
}

fn write_part(part: &Part, style: Style) -> String {
    let label = |label: &str| match style {
        Style::Plain => format!("{label}:"),
        Style::Slack => format!("*{label}:*"),
        Style::Html => format!("<b>{label}:</b>"),
    };
    let text = match part {
        Part::Paragraph(text) => escape(style, text),
        Part::Line(name, text) => format!("{} {}", label(name), escape(style, text)),
        Part::List {
            label: name,
            items,
            count,
        } => {
            let name = format!("{name} ({count})");
            let mut text = match style {
                Style::Plain | Style::Slack => label(&name),
                Style::Html => format!("{}<br>", label(&name)),
            };
            let mut line = |item: &str| {
                text.push_str(if style == Style::Html {
                    "\n&bull; "
                } else {
                    "\n  - "
                });
                text.push_str(&escape(style, item));
                if style == Style::Html {
                    text.push_str("<br>");
                }
            };
            items.iter().for_each(|item| line(item));
            if *count > items.len() {
                line(&format!("and {} more", count - items.len()));
            }
            text
        }
        Part::Link(name, url) => match style {
            Style::Plain => format!("{} {url}", label(name)),
            Style::Slack => format!("{} <{}>", label(name), escape(style, url)),
            Style::Html => format!(
                "{} <a href=\"{url}\">{url}</a>",
                label(name),
                url = escape(style, url)
            ),
        },
    };
    match style {
        Style::Html => format!("<p>{text}</p>"),
        Style::Plain | Style::Slack => text,
    }
}

/// What would be markup there, as text.
pub fn escape(style: Style, text: &str) -> String {
    match style {
        Style::Plain => text.to_owned(),
        Style::Slack => template::escape_slack(text),
        Style::Html => {
            let text = template::escape_slack(text);
            text.replace('"', "&quot;").replace('\'', "&#39;")
        }
    }
}

/// Cut, and not within an escaped character.
pub fn cut(text: &str, style: Style, most: usize) -> String {
    let mut cut = fit::lines(text, most);
    if cut.len() == text.len() || style == Style::Plain {
        return cut;
    }
    if let Some(at) = cut.rfind('&')
        && !cut[at..].contains(';')
    {
        cut.truncate(at);
        cut.push('…');
    }
    cut
}
