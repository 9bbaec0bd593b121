//! Phases as bars: a waterfall of one bar a line for what failed, one segmented bar for what went well.

use std::time::Duration;

use crate::model::attempt::{Attempt, Hop};
use crate::model::phase::{Phase, Phases};

use super::style::{Style, Tone};
use super::units::duration;
use super::wrap::{cut, pad, pad_left, width};

/// Columns of the longest phase name, `first_byte`.
const NAME: usize = 10;
/// Columns of a duration, such as `59 m 59 s`.
const FIGURE: usize = 9;
/// Columns after the duration: a space and the mark of the failing phase.
const MARK: usize = 2;

/// One line per phase and hop, each bar beginning where the one before ended. The phase that failed is marked with `✗`.
/// Where there are several hops, each has a line of its own before its phases.
pub fn waterfall(attempt: &Attempt, failed_in: Option<Phase>, style: &Style) -> Vec<String> {
    let total: Duration = attempt.hops.iter().map(|hop| hop.phases.sum()).sum();
    let failing_hop = attempt.stop().and_then(|stop| stop.hop).map(usize::from);
    let several = attempt.hops.len() > 1;
    let mut lines = Vec::new();
    let mut before = Duration::ZERO;
    for (number, hop) in attempt.hops.iter().enumerate() {
        if several {
            lines.push(hop_line(hop, style));
        }
        let is_failing = match failing_hop {
            Some(failing) => failing == number,
            None => number + 1 == attempt.hops.len(),
        };
        let gave_up_in = hop.stop.as_deref().and_then(|stop| stop.phase);
        let failed = if is_failing { failed_in } else { gave_up_in };
        for phase in Phase::ALL {
            let elapsed = hop.phases.get(phase);
            if elapsed.is_none() && failed != Some(phase) {
                continue;
            }
            let bar = bar(before, elapsed, total, bar_width(style));
            lines.push(phase_line(phase, elapsed, &bar, failed == Some(phase), style));
            before += elapsed.unwrap_or_default();
        }
    }
    lines
}

fn bar_width(style: &Style) -> usize {
    style
        .width
        .saturating_sub(2 + NAME + 1 + 1 + FIGURE + MARK)
        .max(8)
}

fn phase_line(phase: Phase, elapsed: Option<Duration>, bar: &str, failed: bool, style: &Style) -> String {
    let tone = if failed { Tone::Bad } else { Tone::Heading };
    let figure = elapsed.map_or_else(|| "–".to_owned(), duration);
    let line = format!(
        "  {} {} {}",
        pad(phase.id(), NAME),
        style.paint(tone, bar),
        pad_left(&figure, FIGURE)
    );
    if failed {
        format!("{line} {}", style.paint(Tone::Bad, "✗"))
    } else {
        line
    }
}

/// A bar of exactly `columns`, blank before its beginning and after its end. A phase too short for a column still shows.
fn bar(before: Duration, elapsed: Option<Duration>, total: Duration, columns: usize) -> String {
    let Some(elapsed) = elapsed else {
        return " ".repeat(columns);
    };
    let column = |at: Duration| {
        let share = if total.is_zero() {
            0.0
        } else {
            at.as_secs_f64() / total.as_secs_f64()
        };
        ((share * columns as f64).round() as usize).min(columns)
    };
    let begin = column(before);
    let end = column(before + elapsed);
    if end > begin {
        format!(
            "{}{}{}",
            " ".repeat(begin),
            "█".repeat(end - begin),
            " ".repeat(columns - end)
        )
    } else {
        let begin = begin.min(columns - 1);
        format!("{}▏{}", " ".repeat(begin), " ".repeat(columns - begin - 1))
    }
}

/// Whom the hop asked and what came of it.
fn hop_line(hop: &Hop, style: &Style) -> String {
    let mut parts = vec![hop.url.to_string()];
    parts.extend(connection(hop));
    let text = cut(&parts.join("  "), style.width - 4);
    format!(
        "  {} {}",
        style.paint(Tone::Faint, "→"),
        style.paint(Tone::Faint, &text)
    )
}

/// Status, protocol, address and reuse of a hop, in words; what is not known is left out.
pub fn connection(hop: &Hop) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(status) = hop.status {
        parts.push(status.to_string());
    }
    if let Some(protocol) = hop.protocol {
        parts.push(protocol.id().to_owned());
    }
    if let Some(version) = hop.tls.as_deref().and_then(|tls| tls.version.as_deref()) {
        parts.push(version.to_owned());
    }
    if let Some(address) = hop.address {
        parts.push(super::words::address(address));
    }
    if hop.role != crate::model::attempt::Role::Target {
        parts.push(hop.role.id().replace('_', " "));
    }
    match (hop.reused, hop.idle_before) {
        (true, Some(idle)) => parts.push(format!("reused after {} idle", duration(idle))),
        (true, None) => parts.push("reused".to_owned()),
        (false, _) => {}
    }
    parts
}

/// Fillings of the segments, in turn, so that neighbours differ without colour.
const SHADES: [&str; 4] = ["█", "▓", "▒", "░"];

/// All phases in one bar, and below it a legend of at most `legend_lines`. Where they have no room for every phase, the
/// shortest are left out of the legend; the bar has them all.
pub fn segments(phases: &Phases, legend_lines: usize, style: &Style) -> Vec<String> {
    let shown: Vec<(Phase, Duration)> = phases.iter().collect();
    if shown.is_empty() {
        return Vec::new();
    }
    let room = style.width - 2;
    let mut bar = String::from("  ");
    for (number, columns) in shares(&shown, room).into_iter().enumerate() {
        let shade = SHADES[number % SHADES.len()].repeat(columns);
        bar.push_str(&style.paint(Tone::Heading, &shade));
    }
    let mut lines = vec![bar];
    let mut named: Vec<(usize, Phase, Duration)> = shown
        .iter()
        .enumerate()
        .map(|(number, (phase, elapsed))| (number, *phase, *elapsed))
        .collect();
    while legend(&named, style).len() > legend_lines.max(1) && named.len() > 1 {
        let shortest = named
            .iter()
            .min_by_key(|(_, _, elapsed)| *elapsed)
            .map(|(number, _, _)| *number);
        named.retain(|(number, _, _)| Some(*number) != shortest);
    }
    lines.extend(legend(&named, style));
    lines
}

/// Columns of each phase: at least one, in proportion otherwise, `room` in all.
fn shares(shown: &[(Phase, Duration)], room: usize) -> Vec<usize> {
    let total: f64 = shown.iter().map(|(_, elapsed)| elapsed.as_secs_f64()).sum();
    let spare = room.saturating_sub(shown.len());
    let mut columns: Vec<usize> = shown
        .iter()
        .map(|(_, elapsed)| {
            let share = if total > 0.0 {
                elapsed.as_secs_f64() / total
            } else {
                0.0
            };
            1 + (share * spare as f64).floor() as usize
        })
        .collect();
    // What rounding left over goes to the longest, where it shows least.
    let used: usize = columns.iter().sum();
    if let Some(longest) = columns.iter_mut().max_by_key(|columns| **columns) {
        *longest += room.saturating_sub(used);
    }
    columns
}

/// Each phase with its place in the bar, which decides its shade.
fn legend(named: &[(usize, Phase, Duration)], style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::from(" ");
    for (number, phase, elapsed) in named {
        let shade = SHADES[number % SHADES.len()];
        let entry = format!(" {shade} {phase} {} ", duration(*elapsed));
        if width(&line) + width(entry.trim_end()) > style.width {
            lines.push(line.trim_end().to_owned());
            line = String::from(" ");
        }
        line.push_str(&entry);
    }
    lines.push(line.trim_end().to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fill_their_columns_and_begin_where_the_last_one_ended() {
        let ms = Duration::from_millis;
        assert_eq!(bar(ms(0), Some(ms(50)), ms(100), 10), "█████     ");
        assert_eq!(bar(ms(50), Some(ms(50)), ms(100), 10), "     █████");
        assert_eq!(bar(ms(100), Some(ms(0)), ms(100), 10), "         ▏");
        assert_eq!(bar(ms(0), Some(ms(0)), ms(0), 4), "▏   ");
        assert_eq!(bar(ms(0), None, ms(9), 4), "    ");
    }

    #[test]
    fn segments_fill_the_line_and_show_every_phase() {
        let mut phases = Phases::default();
        phases.add(Phase::Resolve, Duration::from_nanos(1));
        phases.add(Phase::Connect, Duration::from_millis(3));
        phases.add(Phase::FirstByte, Duration::from_secs(7));
        let style = Style {
            width: 60,
            color: false,
        };
        let lines = segments(&phases, 2, &style);
        assert_eq!(width(&lines[0]), 60);
        assert!(lines[0].starts_with("  █▓▒"), "{}", lines[0]);
        assert_eq!(segments(&Phases::default(), 2, &style), Vec::<String>::new());
    }

    #[test]
    fn a_legend_without_room_names_the_longest_phases() {
        let mut phases = Phases::default();
        for (number, phase) in Phase::ALL.into_iter().enumerate() {
            phases.add(phase, Duration::from_micros(300 + 100 * number as u64));
        }
        let style = Style {
            width: 60,
            color: false,
        };
        let lines = segments(&phases, 1, &style);
        assert_eq!(lines.len(), 2);
        assert!(
            lines[1].contains("verify 1.0 ms") && !lines[1].contains("resolve"),
            "{}",
            lines[1]
        );
        assert!(segments(&phases, 9, &style)[1].contains("resolve"));
    }
}
