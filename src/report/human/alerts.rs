//! Alerts, incidents and silences as text. They come from a daemon's API as JSON, of this version or of another one, so
//! that what is not there is left out.

use serde_json::Value as Json;

use crate::report::style::{Style, Tone};
use crate::report::units::{count, duration};
use crate::report::wrap::{pad, pad_left, wrap};

/// Columns of a number in the table of comparisons.
const NUMBER: usize = 11;

/// What is raised or about to be, ending in a line that counts them.
pub fn alerts(list: &[Json], style: &Style) -> String {
    let mut lines = Vec::new();
    for alert in list {
        lines.extend(headline(alert, &text(alert, "summary"), style));
        lines.extend(standing(alert, style));
        lines.extend(said(alert, "fix", style));
        lines.push(String::new());
    }
    let raised = list.iter().filter(|alert| is_raised(alert)).count();
    let pending = list
        .iter()
        .filter(|alert| text(alert, "state") == "pending")
        .count();
    lines.push(match (raised, pending) {
        (0, 0) => style.paint(Tone::Good, "no alert is raised"),
        (raised, 0) => format!("{} raised", count(raised, "alert")),
        (raised, pending) => format!("{} raised, {pending} pending", count(raised, "alert")),
    });
    finish(lines)
}

/// Every rule for one subject: how it stands, why, and the numbers compared.
pub fn why(subject: &str, list: &[Json], style: &Style) -> String {
    let raised = list.iter().filter(|alert| is_raised(alert)).count();
    let title = format!("{subject}: {raised} of {} raised", count(list.len(), "rule"));
    let mut lines: Vec<String> = wrap(&title, style.width)
        .iter()
        .map(|line| style.paint(Tone::Strong, line))
        .collect();
    let what = style.width - 4 - 2 * (NUMBER + 1) - 4;
    let head = format!(
        "    {}{} {} met",
        pad("", what),
        pad_left("is", NUMBER + 1),
        pad_left("limit", NUMBER)
    );
    lines.push(style.paint(Tone::Faint, head.trim_end()));
    for alert in list {
        lines.extend(headline(alert, &text(alert, "alert"), style));
        lines.extend(standing(alert, style));
        lines.extend(said(alert, "why", style));
        for compared in array(alert, "compared") {
            lines.extend(comparison(compared, what, style));
        }
        lines.extend(said(alert, "fix", style).into_iter().filter(|_| is_raised(alert)));
        lines.push(String::new());
    }
    lines.pop();
    finish(lines)
}

/// One number held against another, on as many lines as its description needs.
fn comparison(compared: &Json, what: usize, style: &Style) -> Vec<String> {
    let unit = text(compared, "unit");
    let is_met = compared["met"] == true;
    let numbers = format!(
        "{} {} ",
        pad_left(&number(&compared["value"], &unit), NUMBER + 1),
        pad_left(&number(&compared["threshold"], &unit), NUMBER),
    );
    let met = if is_met {
        style.paint(Tone::Bad, "yes")
    } else {
        "no".to_owned()
    };
    let described = wrap(&text(compared, "what"), what);
    let rows = described.iter().enumerate();
    rows.map(|(place, part)| match place {
        0 => format!("    {}{numbers}{met}", pad(part, what)),
        _ => format!("    {part}"),
    })
    .collect()
}

/// A figure with its unit, in few columns.
fn number(value: &Json, unit: &str) -> String {
    let Some(value) = value.as_f64() else {
        return "unknown".to_owned();
    };
    let plain = |value: f64| {
        let shown = if value.fract() == 0.0 {
            format!("{value:.0}")
        } else {
            format!("{value:.2}")
        };
        // What is too wide says its size at least.
        if shown.len() <= NUMBER {
            shown
        } else {
            format!("{value:.1e}")
        }
    };
    match unit {
        "s" if (0.0..1e12).contains(&value) => duration(std::time::Duration::from_secs_f64(value)),
        "1" => format!("{} %", plain((value * 1e4).round() / 100.0)),
        "" => plain(value),
        unit if unit.starts_with('{') => plain(value),
        unit => format!("{} {unit}", plain(value)),
    }
}

/// Incidents that are open, with their members.
pub fn incidents(list: &[Json], style: &Style) -> String {
    let mut lines = Vec::new();
    for incident in list {
        lines.extend(headline(incident, &text(incident, "title"), style));
        let mut since = format!(
            "since {}, incident {}",
            text(incident, "since"),
            text(incident, "id")
        );
        let told = array(incident, "told").iter();
        let told: Vec<String> = told
            .map(|one| format!("{} at {}", text(one, "receiver"), text(one, "at")))
            .collect();
        since += &if told.is_empty() {
            "; nobody was told".to_owned()
        } else {
            format!("; told {}", told.join(", "))
        };
        lines.extend(indented(&since, style));
        let factors = array(incident, "factors").iter();
        let factors: Vec<String> = factors
            .map(|one| format!("{} {}", text(one, "kind"), text(one, "value")))
            .collect();
        lines.extend(labelled("in common", &factors.join(", "), style));
        let members = array(incident, "members")
            .iter()
            .filter(|member| text(member, "state") != "pending");
        let members: Vec<String> = members
            .map(|one| format!("{} ({})", about(one), text(one, "alert")))
            .collect();
        lines.extend(labelled("members", &members.join(", "), style));
        lines.extend(labelled("about to join", &names(incident, "affected"), style));
        lines.extend(labelled(
            "fail because of it",
            &names(incident, "suppressed"),
            style,
        ));
        lines.extend(said(incident, "fix", style));
        lines.push(String::new());
    }
    lines.push(match list.len() {
        0 => style.paint(Tone::Good, "no incident is open"),
        open => format!("{} open", count(open, "incident")),
    });
    finish(lines)
}

/// Silences and maintenance windows.
pub fn silences(list: &[Json], style: &Style) -> String {
    let mut lines = Vec::new();
    for silence in list {
        lines.extend(self::silence(silence, style));
        lines.push(String::new());
    }
    let active = list.iter().filter(|silence| silence["active"] == true).count();
    lines.push(match list.len() {
        0 => "there is no silence".to_owned(),
        all => format!("{}, {active} active", count(all, "silence")),
    });
    finish(lines)
}

/// One silence: its id, when it ends, whom it concerns, who made it and why.
pub fn silence(silence: &Json, style: &Style) -> Vec<String> {
    let matchers = array(silence, "matchers").iter();
    let matchers: Vec<String> = matchers
        .map(|one| {
            let sign = if one["negated"] == true { "!=" } else { "=" };
            format!("{}{sign}{}", text(one, "label"), text(one, "pattern"))
        })
        .collect();
    let standing = if silence["active"] == true {
        let muting = silence["muting"]
            .as_u64()
            .and_then(|muting| usize::try_from(muting).ok())
            .unwrap_or_default();
        format!(
            "until {}, mutes {} now",
            text(silence, "until"),
            count(muting, "raised alert")
        )
    } else {
        format!("from {} until {}", text(silence, "from"), text(silence, "until"))
    };
    let kind = if silence["configured"] == true {
        "maintenance window"
    } else {
        "silence"
    };
    let mut lines: Vec<String> = wrap(&format!("{kind} {}", text(silence, "id")), style.width)
        .iter()
        .map(|line| style.paint(Tone::Strong, line))
        .collect();
    lines.extend(indented(&standing, style));
    lines.extend(indented(&matchers.join(" "), style));
    lines.extend(indented(
        &format!("{}: {}", text(silence, "owner"), text(silence, "reason")),
        style,
    ));
    lines
}

/// The mark and what it is about, in the tone of its severity, and the severity.
fn headline(alert: &Json, title: &str, style: &Style) -> Vec<String> {
    let severity = text(alert, "severity");
    let stands = is_raised(alert) || alert.get("state").is_none();
    let (mark, tone) = match severity.as_str() {
        _ if !stands => ("·", Tone::Faint),
        "critical" => ("✗", Tone::Bad),
        "warning" => ("!", Tone::Warning),
        _ => ("·", Tone::Strong),
    };
    let title = format!("{severity}: {title}");
    let parts = wrap(&title, style.width - 2);
    let rows = parts.iter().enumerate();
    rows.map(|(place, part)| {
        let mark = if place == 0 {
            style.paint(tone, mark)
        } else {
            " ".to_owned()
        };
        format!(
            "{mark} {}",
            style.paint(if stands { tone } else { Tone::Strong }, part)
        )
    })
    .collect()
}

/// How it stands since when, about whom where that is not said elsewhere, and who was told.
fn standing(alert: &Json, style: &Style) -> Vec<String> {
    let (state, since, pending) = (
        text(alert, "state"),
        text(alert, "since"),
        text(alert, "pending_since"),
    );
    let mut parts = vec![match state.as_str() {
        "firing" if pending != since => format!("firing since {since}, its condition holds since {pending}"),
        "recovering" => format!(
            "recovering since {since}, raised at {}",
            text(alert, "raised_since")
        ),
        _ if since.is_empty() => state,
        _ => format!("{state} since {since}"),
    }];
    if !alert["host"].is_null() {
        parts.push(format!(
            "about the host {}, all dependencies on it together",
            about(alert)
        ));
    }
    let muted = &alert["muted"];
    if !muted.is_null() {
        parts.push(format!(
            "nobody is told: {} {}",
            text(muted, "by"),
            text(muted, "which")
        ));
    }
    let told = names(alert, "told");
    if !told.is_empty() {
        parts.push(format!("told {told}"));
    }
    let incident = text(alert, "incident");
    if !incident.is_empty() {
        parts.push(format!("incident {incident}"));
    }
    indented(&parts.join("; "), style)
}

fn is_raised(alert: &Json) -> bool {
    matches!(text(alert, "state").as_str(), "firing" | "recovering")
}

/// Whom it is about.
fn about(alert: &Json) -> String {
    let host = &alert["host"];
    match (&alert["dependency"], host.is_null()) {
        (Json::String(name), _) => plain(name),
        (_, false) => {
            let port = host["port"]
                .as_u64()
                .map(|port| format!(":{port}"))
                .unwrap_or_default();
            format!("{}{port}", text(host, "server"))
        }
        _ => "whyd".to_owned(),
    }
}

fn said(object: &Json, key: &str, style: &Style) -> Vec<String> {
    let said = text(object, key);
    match key {
        _ if said.is_empty() => Vec::new(),
        "why" => indented(&said, style),
        label => labelled(label, &said, style),
    }
}

fn labelled(label: &str, said: &str, style: &Style) -> Vec<String> {
    if said.is_empty() {
        Vec::new()
    } else {
        indented(&format!("{label}: {said}"), style)
    }
}

fn indented(said: &str, style: &Style) -> Vec<String> {
    wrap(said, style.width - 2)
        .into_iter()
        .map(|line| format!("  {line}"))
        .collect()
}

fn array<'j>(object: &'j Json, key: &str) -> &'j [Json] {
    object[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn names(object: &Json, key: &str) -> String {
    let names = array(object, key).iter().filter_map(Json::as_str);
    names.map(plain).collect::<Vec<_>>().join(", ")
}

/// The text under that key; empty where there is none.
fn text(object: &Json, key: &str) -> String {
    object[key].as_str().map(plain).unwrap_or_default()
}

/// What comes over the network must not steer a terminal.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn finish(lines: Vec<String>) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
