//! A diagnosis as text: the verdict first, then the cause in plain words, where the time went, what was seen, and what
//! to do. No line is wider than the style says.

pub mod alerts;
mod evidence;
mod sections;

use crate::model::attempt::Attempt;
use crate::model::cause::{Cause, FindingId};
use crate::model::failure::{AttemptRecord, Failure, OperationRecord, Verdict};

use super::style::{Style, Tone};
use super::units::{count, duration};
use super::waterfall::{connection, segments, waterfall};
use super::words;
use super::wrap::{width, wrap};
use sections::Sections;

/// The whole diagnosis of one operation, ending in a newline.
pub fn operation(record: &OperationRecord, style: &Style) -> String {
    let lines = match record.verdict {
        Verdict::Ok => answered(record, style),
        Verdict::RetriedOk => answered_after_retry(record, style),
        Verdict::Failed | Verdict::Inconclusive => not_answered(record, style),
    };
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

/// One line over several operations: "4 targets: 2 ok, 1 failed, 1 inconclusive".
pub fn summary(verdicts: &[Verdict]) -> String {
    let parts: Vec<String> = Verdict::ALL
        .into_iter()
        .filter_map(|verdict| {
            let number = verdicts.iter().filter(|other| **other == verdict).count();
            let word = match verdict {
                Verdict::RetriedOk => "ok after a retry",
                other => other.id(),
            };
            (number > 0).then(|| format!("{number} {word}"))
        })
        .collect();
    format!("{}: {}", count(verdicts.len(), "target"), parts.join(", "))
}

/// Two to four lines, and what was found besides.
fn answered(record: &OperationRecord, style: &Style) -> Vec<String> {
    let attempt = record.attempts.last().map(|last| &last.attempt);
    let mut facts = attempt.map(facts_of_answer).unwrap_or_default();
    let verdict = format!("ok in {}", duration(record.elapsed));
    let mut lines = Vec::new();
    let whole = format!("{}   {verdict}   {}", target(record), facts.join(", "));
    if width(&whole) + 2 <= style.width && !facts.is_empty() {
        lines.push(format!(
            "{} {}   {}   {}",
            style.paint(Tone::Good, "✓"),
            style.paint(Tone::Strong, &target(record)),
            style.paint(Tone::Good, &verdict),
            facts.join(", ")
        ));
        facts.clear();
    } else {
        lines.extend(headline("✓", &target(record), &verdict, Tone::Good, style));
    }
    if !facts.is_empty() {
        lines.extend(wrap(&facts.join(", "), style.width - 2).into_iter().map(indent));
    }
    if let Some(attempt) = attempt {
        // An answer takes four lines at most: what the headline needs more, the legend has less.
        lines.extend(segments(
            &attempt.phases(),
            if lines.len() == 1 { 2 } else { 1 },
            style,
        ));
    }
    let mut sections = Sections::new(style);
    sections.stale(&record.attempts);
    sections.second_looks(&record.confirmations);
    sections.findings(&record.findings);
    lines.extend(sections.lines_after_blank());
    lines
}

fn answered_after_retry(record: &OperationRecord, style: &Style) -> Vec<String> {
    let verdict = format!(
        "ok in {}, but only on attempt {}",
        duration(record.elapsed),
        record.attempts.len()
    );
    let mut lines = headline("!", &target(record), &verdict, Tone::Warning, style);
    let masked = record
        .attempts
        .iter()
        .rev()
        .find_map(|attempt| attempt.failure.as_ref());
    if let Some(failure) = masked {
        lines.push(String::new());
        lines.extend(cause_lines(failure, Tone::Warning, style));
    }
    lines.push(String::new());
    if let Some(last) = record.attempts.last() {
        lines.extend(segments(&last.attempt.phases(), 2, style));
        lines.push(String::new());
    }
    let mut sections = Sections::new(style);
    sections.attempts(&record.attempts, record.dependency.retry.attempts);
    if let Some(failure) = masked {
        sections.evidence(failure, &target(record));
        sections.errors(failure);
        sections.alternatives(&failure.alternatives);
    }
    // That a retry masked it is what all of this says.
    let others = record
        .findings
        .iter()
        .filter(|finding| finding.id != FindingId::RetryMasked);
    sections.findings(&others.cloned().collect::<Vec<_>>());
    if let Some(failure) = masked {
        sections.fix(failure);
    }
    lines.extend(sections.lines());
    lines
}

fn not_answered(record: &OperationRecord, style: &Style) -> Vec<String> {
    let failed = record.verdict == Verdict::Failed;
    let (mark, tone) = if failed {
        ("✗", Tone::Bad)
    } else {
        ("?", Tone::Warning)
    };
    let word = if failed { "failed in" } else { "no verdict after" };
    let mut verdict = format!("{word} {}", duration(record.elapsed));
    if let Some(failure) = &record.failure {
        verdict.push_str(&format!(
            " ({}, fault: {})",
            failure.speed.id(),
            failure.cause.fault().id()
        ));
    }
    let mut lines = headline(mark, &target(record), &verdict, tone, style);
    let Some(failure) = &record.failure else {
        return lines;
    };
    lines.push(String::new());
    lines.extend(cause_lines(failure, tone, style));
    if !failed {
        let note = "The trouble is on this side, so nothing is said about the target.";
        lines.extend(wrap(note, style.width - 2).into_iter().map(indent));
    }
    lines.extend(bars(record.attempts.last(), failure, style));
    lines.push(String::new());
    let mut sections = Sections::new(style);
    sections.evidence(failure, &target(record));
    sections.errors(failure);
    sections.second_looks(&record.confirmations);
    sections.mistaken_for(failure.cause);
    sections.alternatives(&failure.alternatives);
    sections.attempts(&record.attempts, record.dependency.retry.attempts);
    sections.findings(&record.findings);
    sections.fix(failure);
    lines.extend(sections.lines());
    lines
}

/// The waterfall of the last attempt with a blank line before it; nothing where no phase began.
fn bars(last: Option<&AttemptRecord>, failure: &Failure, style: &Style) -> Vec<String> {
    let Some(last) = last else { return Vec::new() };
    let bars = waterfall(&last.attempt, failure.phase, style);
    if bars.is_empty() {
        return bars;
    }
    let mut lines = vec![String::new()];
    if last.number > 1 {
        lines.push(format!(
            "  {}",
            style.paint(Tone::Faint, &format!("attempt {}", last.number))
        ));
    }
    lines.extend(bars);
    lines
}

/// What is worth a word about an answer: status, protocol, address, redirects.
fn facts_of_answer(attempt: &Attempt) -> Vec<String> {
    let mut facts = attempt.hops.last().map(connection).unwrap_or_default();
    let mut urls: Vec<&str> = attempt.hops.iter().map(|hop| &*hop.url).collect();
    urls.dedup();
    if urls.len() > 1 {
        facts.push(format!("after {}", count(urls.len() - 1, "redirect")));
    }
    facts
}

fn target(record: &OperationRecord) -> String {
    record.dependency.probe.target()
}

/// The mark, the target and the verdict: on one line where they fit, otherwise the verdict on a line of its own.
fn headline(mark: &str, target: &str, verdict: &str, tone: Tone, style: &Style) -> Vec<String> {
    let mark = style.paint(tone, mark);
    if 2 + width(target) + 3 + width(verdict) <= style.width {
        let target = style.paint(Tone::Strong, target);
        return vec![format!("{mark} {target}   {}", style.paint(tone, verdict))];
    }
    let mut lines = Vec::new();
    for (number, part) in wrap(target, style.width - 2).iter().enumerate() {
        let part = style.paint(Tone::Strong, part);
        lines.push(if number == 0 {
            format!("{mark} {part}")
        } else {
            format!("  {part}")
        });
    }
    for part in wrap(verdict, style.width - 2) {
        lines.push(format!("  {}", style.paint(tone, &part)));
    }
    lines
}

/// The cause in plain words, and below it its id with how sure it is and where it happened.
fn cause_lines(failure: &Failure, tone: Tone, style: &Style) -> Vec<String> {
    let room = style.width - 2;
    let mut lines = Vec::new();
    let title = headline_title(failure.cause);
    if !title.is_empty() {
        for part in wrap(&title, room) {
            lines.push(format!("  {}", style.paint(tone, &part)));
        }
    }
    let mut facts = vec![
        failure.cause.id().to_owned(),
        words::confidence(failure.confidence).to_owned(),
    ];
    if let Some(phase) = failure.phase {
        facts.push(words::phase(phase).to_owned());
    }
    lines.extend(wrap(&facts.join(", "), room).into_iter().map(indent));
    lines
}

/// The cause's title as a sentence begins.
fn headline_title(cause: Cause) -> String {
    let title = cause.doc().title;
    let mut letters = title.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

fn indent(line: String) -> String {
    format!("  {line}")
}

#[cfg(test)]
mod tests;
