//! The demo's table: rows made from the read model, and their rendering. It knows nothing of the lab.

use std::time::Duration;

use crate::model::attempt::StaleKind;
use crate::model::cause::{Cause, Speed};
use crate::model::failure::{Failure, OperationRecord, State, Verdict};
use crate::model::page::{Detail, FailureKey};
use crate::model::phase::Phase;

/// One dependency as the table shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub name: String,
    pub standing: Standing,
    /// Why it fails; or, while it answers, what was masked by a retry or by a fresh connection.
    pub cause: Option<Cause>,
    pub speed: Option<Speed>,
    pub phase: Option<Phase>,
    /// Duration of the last operation.
    pub took: Option<Duration>,
    /// Operations that answered only after a failed attempt.
    pub retried: u64,
    /// Kept connections found dead and replaced.
    pub stale: u64,
    /// What to do about the cause of a failure.
    pub fix: Option<String>,
}

/// How a dependency stands at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not probed yet.
    Waiting,
    Is(Verdict),
}

impl Standing {
    const fn id(self) -> &'static str {
        match self {
            Standing::Waiting => "waiting",
            Standing::Is(verdict) => verdict.id(),
        }
    }

    /// Whether the dependency answers, so that its cause is a masked one.
    const fn answers(self) -> bool {
        matches!(self, Standing::Is(Verdict::Ok | Verdict::RetriedOk))
    }

    const fn style(self) -> &'static str {
        match self {
            Standing::Is(Verdict::Ok) => GREEN,
            Standing::Is(Verdict::RetriedOk) => YELLOW,
            Standing::Is(Verdict::Failed) => RED,
            Standing::Is(Verdict::Inconclusive) | Standing::Waiting => DIM,
        }
    }
}

impl Row {
    /// What the read model says of a dependency.
    pub fn of(detail: &Detail) -> Row {
        let last = newest(detail);
        let (standing, shown) = standing(detail, last);
        Row {
            name: detail.view.dependency.name.to_string(),
            standing,
            cause: shown.cause,
            speed: shown.speed,
            phase: shown.phase,
            took: last.map(|record| record.elapsed),
            retried: operations(detail, Verdict::RetriedOk),
            stale: detail.view.keepalive_resets.iter().flatten().sum(),
            fix: shown.fix,
        }
    }
}

/// A cause with what goes with it.
#[derive(Default)]
struct ShownCause {
    cause: Option<Cause>,
    speed: Option<Speed>,
    phase: Option<Phase>,
    fix: Option<String>,
}

impl From<&Failure> for ShownCause {
    fn from(failure: &Failure) -> Self {
        ShownCause {
            cause: Some(failure.cause),
            speed: Some(failure.speed),
            phase: failure.phase,
            fix: Some(failure.fix.to_string()),
        }
    }
}

fn standing(detail: &Detail, last: Option<&OperationRecord>) -> (Standing, ShownCause) {
    match detail.view.state {
        State::Failing {
            cause, phase, speed, ..
        } => {
            let record = detail
                .last_failures
                .iter()
                .filter_map(|record| record.failure.as_ref());
            let fix = record
                .into_iter()
                .find(|failure| failure.cause == cause)
                .map(|failure| failure.fix.to_string());
            let shown = ShownCause {
                cause: Some(cause),
                speed: Some(speed),
                phase,
                fix,
            };
            (Standing::Is(Verdict::Failed), shown)
        }
        State::Up { .. } if retried_lately(detail) => {
            (Standing::Is(Verdict::RetriedOk), masked_by_retry(detail))
        }
        State::Up { .. } => (Standing::Is(Verdict::Ok), masked_by_fresh_connection(detail)),
        State::Unknown => match last.and_then(|record| record.failure.as_ref()) {
            Some(failure) => (Standing::Is(Verdict::Inconclusive), failure.into()),
            None => (Standing::Waiting, ShownCause::default()),
        },
    }
}

/// Whether an operation of the last minute answered only after a failed attempt.
fn retried_lately(detail: &Detail) -> bool {
    operations(detail, Verdict::RetriedOk) > 0 && detail.host.windows[0].retried_then_succeeded > 0
}

/// The first failed attempt of the last operation that succeeded, or else what attempts failed of most often.
fn masked_by_retry(detail: &Detail) -> ShownCause {
    let attempts = detail.last_success.iter().flat_map(|record| &record.attempts);
    if let Some(failure) = attempts.filter_map(|attempt| attempt.failure.as_ref()).next() {
        return failure.into();
    }
    let most = detail.view.attempts_failed.iter().max_by_key(|(_, count)| *count);
    match most {
        Some((FailureKey::Named { cause, phase, speed }, _)) => ShownCause {
            cause: Some(*cause),
            speed: Some(*speed),
            phase: *phase,
            fix: None,
        },
        Some((FailureKey::Other, _)) | None => ShownCause::default(),
    }
}

/// The kind of staleness that was met most often.
fn masked_by_fresh_connection(detail: &Detail) -> ShownCause {
    let kinds = StaleKind::ALL.into_iter().zip(detail.view.keepalive_resets);
    let most = kinds
        .map(|(kind, seen)| (kind, seen.iter().sum::<u64>()))
        .filter(|(_, count)| *count > 0)
        .max_by_key(|(_, count)| *count);
    ShownCause {
        cause: most.map(|(kind, _)| match kind {
            StaleKind::Closed => Cause::TcpClosedStale,
            StaleKind::Reset => Cause::TcpResetStale,
            StaleKind::Silent => Cause::TcpTimedOutStale,
        }),
        ..ShownCause::default()
    }
}

fn operations(detail: &Detail, verdict: Verdict) -> u64 {
    let index = Verdict::ALL.iter().position(|other| *other == verdict);
    index.map_or(0, |index| detail.view.operations[index])
}

fn newest(detail: &Detail) -> Option<&OperationRecord> {
    let records = detail.last_success.iter().chain(detail.last_failures.first());
    records
        .max_by_key(|record| record.started_at)
        .map(|record| &**record)
}

const RESET: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";

/// What stands in the place of a value that there is none of.
const NONE: &str = "-";
const HEADINGS: [&str; 7] = ["dependency", "verdict", "cause", "speed", "phase", "took", "r/s"];
const CAUSE: usize = 2;
const TOOK: usize = 5;
/// The cause column is this wide where the names leave room: the widest piece of an id between two dots fits.
const CAUSE_WIDTH: usize = 25;
/// The least that names and causes get, and the least width for which the table is made.
const NAME_MINIMUM: usize = 12;
pub const WIDTH_MINIMUM: usize = 72;

/// Which of the headings are shown.
const ALL: &[usize] = &[0, 1, CAUSE, 3, 4, TOOK, 6];
const ONE_LINE_EACH: &[usize] = &[0, 1, CAUSE, TOOK];

/// The table, no line wider than `width` columns (which is taken as at least [`WIDTH_MINIMUM`]).
///
/// A cause too long for its column is continued below, broken after a dot, so that no shorter id is ever shown for it.
pub fn table(rows: &[Row], width: usize, color: bool) -> String {
    lay_out(rows, ALL, CAUSE_WIDTH, width, color)
}

/// The same for a low terminal: fewer columns, so that in 80 of them every cause stands on one line.
pub fn low_table(rows: &[Row], width: usize, color: bool) -> String {
    lay_out(rows, ONE_LINE_EACH, usize::MAX, width, color)
}

fn lay_out(rows: &[Row], columns: &[usize], for_cause: usize, width: usize, color: bool) -> String {
    let cells: Vec<[String; 7]> = rows.iter().map(cells).collect();
    let widths = widths(&cells, columns, for_cause, width.max(WIDTH_MINIMUM));
    let mut text = String::new();
    let headings = HEADINGS.map(str::to_owned);
    let bold = [if color { BOLD } else { "" }; 7];
    line(&mut text, columns, &headings, &widths, &bold);
    for (row, mut cells) in rows.iter().zip(cells) {
        let mut styles = [""; 7];
        if color {
            styles[1] = row.standing.style();
            styles[CAUSE] = if row.standing.answers() { DIM } else { BOLD };
        }
        cells[0] = cut(&cells[0], widths[0]);
        let pieces = wrap_id(&cells[CAUSE], widths[CAUSE]);
        for (i, piece) in pieces.into_iter().enumerate() {
            if i > 0 {
                cells = Default::default();
            }
            cells[CAUSE] = piece;
            line(&mut text, columns, &cells, &widths, &styles);
        }
    }
    text
}

fn cells(row: &Row) -> [String; 7] {
    let cause = match row.cause {
        Some(cause) if row.standing.answers() => format!("({cause})"),
        Some(cause) => cause.to_string(),
        None => NONE.to_owned(),
    };
    [
        row.name.clone(),
        row.standing.id().to_owned(),
        cause,
        row.speed.map_or(NONE, Speed::id).to_owned(),
        row.phase.map_or(NONE, Phase::id).to_owned(),
        row.took.map_or_else(|| NONE.to_owned(), short),
        format!("{}/{}", row.retried, row.stale),
    ]
}

/// Each column as wide as its content, but the names and the causes share what the others leave.
fn widths(cells: &[[String; 7]], columns: &[usize], for_cause: usize, width: usize) -> [usize; 7] {
    let mut widths = HEADINGS.map(str::len);
    for row in cells {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(cell.chars().count());
        }
    }
    let separators = columns.len() - 1;
    let fixed = columns.iter().filter(|column| ![0, CAUSE].contains(column));
    let others: usize = fixed.map(|column| widths[*column]).sum::<usize>() + separators;
    let left = width.saturating_sub(others).max(NAME_MINIMUM + NAME_MINIMUM);
    let for_cause = widths[CAUSE].min(for_cause);
    widths[0] = widths[0].min(left.saturating_sub(for_cause).max(NAME_MINIMUM));
    widths[CAUSE] = widths[CAUSE].min(left - widths[0]);
    widths
}

fn line(text: &mut String, columns: &[usize], cells: &[String; 7], widths: &[usize; 7], styles: &[&str; 7]) {
    let start = text.len();
    for &i in columns {
        let cell = &cells[i];
        if i > 0 {
            text.push(' ');
        }
        let padding = " ".repeat(widths[i].saturating_sub(cell.chars().count()));
        // Durations are numbers, and read best when their units stand below each other.
        let (before, after) = if i == TOOK {
            (&*padding, "")
        } else {
            ("", &*padding)
        };
        text.push_str(before);
        match styles[i] {
            "" => text.push_str(cell),
            style => text.extend([style, cell, RESET]),
        }
        text.push_str(after);
    }
    text.truncate(start + text[start..].trim_end().len());
    text.push('\n');
}

/// At most `width` characters; what was cut off leaves a mark.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Pieces of at most `width` characters, broken after dots, or after underscores where a piece is too long by itself.
/// Every piece but the last ends in the character that it was broken after, which says that the id goes on.
fn wrap_id(id: &str, width: usize) -> Vec<String> {
    const INDENT: &str = "  ";
    let mut pieces = Vec::new();
    let mut rest = id;
    let mut room = width;
    while rest.len() > room {
        // Ids are ASCII, so that bytes are columns.
        let window = &rest[..room];
        let end = window
            .rfind('.')
            .or_else(|| window.rfind('_'))
            .map_or(room, |at| at + 1);
        let (piece, next) = rest.split_at(end);
        pieces.push(piece.to_owned());
        rest = next;
        room = width.saturating_sub(INDENT.len()).max(1);
    }
    pieces.push(rest.to_owned());
    for piece in pieces.iter_mut().skip(1) {
        piece.insert_str(0, INDENT);
    }
    pieces
}

/// A duration in at most five characters.
fn short(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    // The bounds lie where rounding would add a digit.
    match millis {
        m if m < 9.95 => format!("{m:.1}ms"),
        m if m < 999.5 => format!("{m:.0}ms"),
        m if m < 9_995.0 => format!("{:.2}s", m / 1e3),
        m if m < 99_950.0 => format!("{:.1}s", m / 1e3),
        m => format!("{:.0}s", m / 1e3),
    }
}

/// What to do about each failure, wrapped to `width`.
pub fn fixes(rows: &[Row], width: usize) -> String {
    let mut text = String::new();
    for row in rows {
        if let (Standing::Is(Verdict::Failed), Some(fix)) = (row.standing, &row.fix) {
            wrap_words(&mut text, &format!("{}: {fix}", row.name), width);
        }
    }
    text
}

fn wrap_words(text: &mut String, paragraph: &str, width: usize) {
    const INDENT: &str = "    ";
    let mut column = 0;
    for word in paragraph.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            text.push('\n');
            text.push_str(INDENT);
            column = INDENT.len();
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests;
