//! The labelled sections below the waterfall: a label on the left, text in a column on the right.

use crate::model::attempt::{ConfirmationResult, SegmentTrial, Variation};
use crate::model::cause::Cause;
use crate::model::failure::{AttemptRecord, ConfirmationRecord, Failure, Finding};
use crate::model::looks::{AddressTrial, NameSource, NamesCompared, Said, Trial};

use super::evidence::{self, Entry};
use crate::report::style::{Style, Tone};
use crate::report::units::duration;
use crate::report::words;
use crate::report::wrap::{cut, pad, pad_left, width, wrap};

/// Columns before the text: two of indent, thirteen of label ("could also be"), two of gap.
const LABEL: usize = 13;
const TEXT_AT: usize = 2 + LABEL + 2;

/// Longest key of an evidence entry that has its value beside it.
const KEY_MAX: usize = 22;

pub struct Sections<'a> {
    style: &'a Style,
    lines: Vec<String>,
}

impl<'a> Sections<'a> {
    pub fn new(style: &'a Style) -> Self {
        Sections {
            style,
            lines: Vec::new(),
        }
    }

    pub fn lines(self) -> Vec<String> {
        self.lines
    }

    /// The lines with a blank one before them; none at all where there is nothing to say.
    pub fn lines_after_blank(self) -> Vec<String> {
        if self.lines.is_empty() {
            return self.lines;
        }
        std::iter::once(String::new()).chain(self.lines).collect()
    }

    /// Columns of a section's text.
    fn room(&self) -> usize {
        self.style.width.saturating_sub(TEXT_AT).max(8)
    }

    fn push(&mut self, label: &str, text: Vec<String>) {
        for (number, line) in text.into_iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            let label = self.style.paint(Tone::Heading, &pad(label, LABEL));
            self.lines
                .push(format!("  {label}  {line}").trim_end().to_owned());
        }
    }

    /// What was seen of a failure of `target`, as the headline shows that.
    pub fn evidence(&mut self, failure: &Failure, target: &str) {
        let entries = evidence::for_people(failure, target);
        let lines = entry_lines(&entries, self.room(), self.style);
        self.push("evidence", lines);
    }

    /// The error chain, outermost first, each link below the one that it explains.
    pub fn errors(&mut self, failure: &Failure) {
        let chain = evidence::errors_for_people(failure);
        let mut lines = Vec::new();
        for (depth, link) in chain.iter().enumerate() {
            // Beyond a few links the indent would only cost room.
            let lead = if depth == 0 { 0 } else { 2 * depth.min(4) };
            for (number, part) in wrap(link, self.room().saturating_sub(lead))
                .into_iter()
                .enumerate()
            {
                let mark = if depth > 0 && number == 0 { "└ " } else { "" };
                lines.push(format!("{}{part}", pad_left(mark, lead)));
            }
        }
        self.push("errors", lines);
    }

    /// Each second look with what it asked, how long that took, what came of it, and what it ruled out.
    pub fn second_looks(&mut self, confirmations: &[ConfirmationRecord]) {
        let mut lines = Vec::new();
        for record in confirmations {
            let tried = format!(
                "{}, {}",
                record.kind.id().replace('_', " "),
                duration(record.confirmation.elapsed)
            );
            let tried = cut(&tried, self.room());
            lines.push(self.style.paint(Tone::Faint, &tried));
            let found = wrap(&second_look(&record.confirmation.result), self.room() - 2);
            lines.extend(found.into_iter().map(|line| format!("  {line}")));
            if !record.ruled_out.is_empty() {
                let causes: Vec<&str> = record.ruled_out.iter().map(|cause| cause.id()).collect();
                let text = format!("rules out {}", causes.join(", "));
                let ruled_out = hanging(&text, self.room() - 2);
                lines.extend(ruled_out.into_iter().map(|line| format!("  {line}")));
            }
        }
        let label = if confirmations.len() > 1 {
            "second looks"
        } else {
            "second look"
        };
        self.push(label, lines);
    }

    pub fn mistaken_for(&mut self, cause: Cause) {
        let text = cause.doc().mistaken_for;
        if !text.is_empty() {
            self.push("mistaken for", wrap(text, self.room()));
        }
    }

    pub fn alternatives(&mut self, alternatives: &[Cause]) {
        let mut lines = Vec::new();
        for cause in alternatives {
            let title = cause.doc().title;
            let text = if title.is_empty() {
                cause.id().to_owned()
            } else {
                format!("{}: {title}", cause.id())
            };
            lines.extend(hanging(&text, self.room()));
        }
        self.push("could also be", lines);
    }

    /// Each attempt with its duration, its cause where they differ, and why it was or was not followed by another.
    pub fn attempts(&mut self, attempts: &[AttemptRecord], allowed: u8) {
        if allowed == 1 && attempts.iter().all(|record| record.attempt.stale_found.is_none()) {
            // One attempt was asked for and one was made: the headline has said all of it.
            return;
        }
        let several = attempts.len() > 1;
        let cause = |record: &AttemptRecord| record.failure.as_ref().map(|failure| failure.cause);
        let differ = attempts.windows(2).any(|two| cause(&two[0]) != cause(&two[1]));
        let mut lines = Vec::new();
        for record in attempts {
            let mut parts = Vec::new();
            if differ && let Some(cause) = cause(record) {
                parts.push(cause.id().to_owned());
            }
            parts.push(words::retry_reason(&record.decision));
            if let Some(stale) = stale_text(record) {
                parts.insert(0, stale);
            }
            let elapsed = pad_left(&duration(record.attempt.elapsed), if several { 7 } else { 0 });
            let lead = format!("{} of {}  {elapsed}  ", record.number, allowed.max(record.number));
            lines.extend(beside(&lead, &parts.join("; "), self.room()));
        }
        self.push(if allowed == 1 { "attempt" } else { "attempts" }, lines);
    }

    /// Connections that were found dead before anything was sent, of an operation that has no section of attempts.
    pub fn stale(&mut self, attempts: &[AttemptRecord]) {
        let texts: Vec<String> = attempts.iter().filter_map(stale_text).collect();
        let lines = texts.iter().flat_map(|text| wrap(text, self.room())).collect();
        self.push("keep-alive", lines);
    }

    pub fn findings(&mut self, findings: &[Finding]) {
        let mut lines = Vec::new();
        for finding in findings {
            lines.push(cut(finding.id.id(), self.room()));
            let entries = evidence::whole(&finding.evidence);
            let inner = entry_lines(&entries, self.room() - 2, self.style);
            lines.extend(inner.into_iter().map(|line| format!("  {line}")));
            if !finding.fix.is_empty() {
                let fix = wrap(&finding.fix, self.room() - 4);
                for (number, part) in fix.into_iter().enumerate() {
                    let mark = if number == 0 { "→" } else { " " };
                    lines.push(format!("  {mark} {}", self.style.paint(Tone::Strong, &part)));
                }
            }
        }
        self.push("also found", lines);
    }

    /// The failure's own fix, or the general one where it has none.
    pub fn fix(&mut self, failure: &Failure) {
        let general = failure.cause.doc().fix;
        let text = if failure.fix.is_empty() {
            general
        } else {
            &failure.fix
        };
        if !text.is_empty() {
            let lines = wrap(text, self.room());
            let lines = lines
                .iter()
                .map(|line| self.style.paint(Tone::Strong, line))
                .collect();
            self.push("fix", lines);
        }
    }
}

/// Names and texts in two columns.
fn entry_lines(entries: &[Entry], room: usize, style: &Style) -> Vec<String> {
    let keys = entries.iter().map(|(key, _)| width(key)).max().unwrap_or(0);
    let column = keys.min(KEY_MAX).min(room / 2);
    let mut lines = Vec::new();
    for (key, texts) in entries {
        let shown = cut(key, room);
        let beside = width(&shown) <= column;
        let texts = texts.iter().flat_map(|text| {
            let text = if text.is_empty() { "(empty)" } else { text };
            hanging(text, room - column - 2)
        });
        if !beside {
            lines.push(style.paint(Tone::Faint, &shown));
        }
        for (number, text) in texts.enumerate() {
            let key = if number == 0 && beside { &*shown } else { "" };
            lines.push(format!("{}  {text}", style.paint(Tone::Faint, &pad(key, column))));
        }
    }
    lines
}

/// Text in a column beside its lead; below it where the line has no room for a column.
fn beside(lead: &str, text: &str, room: usize) -> Vec<String> {
    let columns = width(lead);
    if columns + 16 > room {
        let below = wrap(text, room - 2).into_iter().map(|part| format!("  {part}"));
        return std::iter::once(cut(lead.trim_end(), room)).chain(below).collect();
    }
    let parts = wrap(text, room - columns).into_iter().enumerate();
    parts
        .map(|(number, part)| {
            format!(
                "{}{part}",
                if number == 0 {
                    lead.to_owned()
                } else {
                    " ".repeat(columns)
                }
            )
        })
        .collect()
}

/// Wrapped, with the second and later lines two columns further in.
fn hanging(text: &str, room: usize) -> Vec<String> {
    let first = wrap(text, room);
    if first.len() == 1 {
        return first;
    }
    let room = room.saturating_sub(2);
    let wrapped = wrap(text, room).into_iter().enumerate();
    wrapped
        .map(|(number, line)| if number == 0 { line } else { format!("  {line}") })
        .collect()
}

fn stale_text(record: &AttemptRecord) -> Option<String> {
    let stale = record.attempt.stale_found.as_ref()?;
    let how = match stale.kind {
        crate::model::attempt::StaleKind::Closed => "closed by the peer",
        crate::model::attempt::StaleKind::Reset => "reset",
        crate::model::attempt::StaleKind::Silent => "dead without a word",
    };
    let after = if stale.measured { "after" } else { "within" };
    Some(format!(
        "the parked connection was {how} {after} {} idle, and replaced",
        duration(stale.idle)
    ))
}

fn segment_trial(trial: &SegmentTrial) -> String {
    let size = match trial.mss {
        Some(mss) => format!("segments of {mss} bytes"),
        None => "segments of the usual size".to_owned(),
    };
    let end = if trial.worked { "go through" } else { "stall" };
    format!("{size} {end}")
}

fn second_look(result: &ConfirmationResult) -> String {
    match result {
        ConfirmationResult::NotFoundVariants(variants) if variants.is_empty() => {
            "no other spelling of the URL answers".to_owned()
        }
        ConfirmationResult::NotFoundVariants(variants) => {
            let shown: Vec<String> = variants
                .iter()
                .map(|(url, status)| format!("{url} answers {status}"))
                .collect();
            shown.join(", ")
        }
        ConfirmationResult::ClientHello { spoke_tls: true } => {
            "a ClientHello was answered: it speaks TLS".to_owned()
        }
        ConfirmationResult::ClientHello { spoke_tls: false } => {
            "a ClientHello was not answered in TLS".to_owned()
        }
        ConfirmationResult::FreshConnection { worked: true } => {
            "the same request works on a fresh connection".to_owned()
        }
        ConfirmationResult::FreshConnection { worked: false } => {
            "the same request fails on a fresh connection, too".to_owned()
        }
        ConfirmationResult::SignsOfLife(found) => {
            let alive = found.signs.iter().filter(|sign| sign.is_alive()).count();
            format!(
                "looked for signs of life: {} steps, {alive} answered by the address",
                found.signs.len()
            )
        }
        ConfirmationResult::MssClamp(trials) => {
            let shown: Vec<String> = trials.iter().map(segment_trial).collect();
            shown.join(", ")
        }
        ConfirmationResult::OtherScheme {
            url,
            status: Some(status),
        } => format!("{url} answers {status}"),
        ConfirmationResult::OtherScheme { url, status: None } => format!("{url} does not answer"),
        ConfirmationResult::LateAlert {
            alert: Some(alert), ..
        } => format!("after a handshake and no request the peer sent alert {alert}"),
        ConfirmationResult::LateAlert { ended: true, .. } => {
            "after a handshake and no request the peer ended the connection".to_owned()
        }
        ConfirmationResult::LateAlert { .. } => {
            "after a handshake and no request the peer waits for one".to_owned()
        }
        ConfirmationResult::IssuerFetched { url, completes_with } if completes_with.is_empty() => {
            format!("what {url} has does not complete the chain")
        }
        ConfirmationResult::IssuerFetched { url, completes_with } => {
            format!(
                "the chain completes with {} of {url}",
                completes_with.join(" and ")
            )
        }
        ConfirmationResult::Varied(tried) => {
            let one = |one: &Variation| match one.status {
                Some(status) => format!("{} {status}", one.varied.id()),
                None => format!("{} no answer", one.varied.id()),
            };
            let shown: Vec<String> = tried.iter().map(one).collect();
            format!("one difference at a time: {}", shown.join(", "))
        }
        ConfirmationResult::EveryAddress(asked) => every_address(&asked.trials),
        ConfirmationResult::NamesCompared(compared) => names_compared(compared),
        ConfirmationResult::NotDone(why) => format!("not made: {why}"),
    }
}

fn every_address(trials: &[AddressTrial]) -> String {
    if trials.is_empty() {
        return "it has no other address".to_owned();
    }
    let each: Vec<String> = trials
        .iter()
        .map(|trial| {
            let ip = trial.address.ip();
            match trial.verdict {
                Trial::Works => format!("{ip} works"),
                Trial::Fails(cause) => format!("{ip} fails ({})", cause.id()),
                Trial::Unsettled => format!("{ip} is not settled"),
            }
        })
        .collect();
    format!("each address on its own: {}", each.join(", "))
}

fn names_compared(compared: &NamesCompared) -> String {
    let each: Vec<String> = compared
        .sources
        .iter()
        .map(|source| {
            let who = match source.source {
                NameSource::HostsFile => "/etc/hosts".to_owned(),
                NameSource::System => "the system".to_owned(),
                NameSource::Nameserver(server) => server.to_string(),
            };
            let addresses: Vec<String> = source.addresses.iter().map(ToString::to_string).collect();
            match source.said {
                Said::Addresses => format!("{who} says {}", addresses.join(" and ")),
                said => format!("{who}: {}", said.id()),
            }
        })
        .collect();
    let asked = match compared.trials.is_empty() {
        true => String::new(),
        false => format!("; {}", every_address(&compared.trials)),
    };
    format!(
        "sources of {} compared: {}{asked}",
        compared.name,
        each.join(", ")
    )
}
