//! Findings as text for people, and as JSON.

use serde_json::json;

use super::finding::{Finding, Level};
use crate::report::style::{Style, Tone};
use crate::report::units::count;
use crate::report::wrap::{pad, width, wrap};

/// One object a line.
pub fn json(findings: &[Finding]) -> String {
    let line = |found: &Finding| {
        let object = json!({
            "schema_version": 1,
            "check": found.check,
            "subject": found.subject,
            "level": found.level.id(),
            "seen": found.seen,
            "fix": found.fix,
        });
        format!("{object}\n")
    };
    findings.iter().map(line).collect()
}

/// Every finding under its area, and a line that counts them. A fix stands where something is to be fixed.
pub fn human(findings: &[Finding], style: &Style) -> String {
    let column = findings.iter().map(|found| width(found.check)).max().unwrap_or(0);
    let mut text = String::new();
    for found in findings {
        let (mark, tone) = match found.level {
            Level::Ok => ("✓", Tone::Good),
            Level::Warning => ("!", Tone::Warning),
            Level::Problem => ("✗", Tone::Bad),
        };
        let seen = match &found.subject {
            Some(subject) => format!("{subject} {}", found.seen),
            None => found.seen.clone(),
        };
        let indent = column + 4;
        let mut lines = wrap(&seen, style.width.saturating_sub(indent)).into_iter();
        let first = lines.next().unwrap_or_default();
        text += &format!(
            "{} {}  {first}\n",
            style.paint(tone, mark),
            pad(found.check, column)
        );
        for line in lines {
            text += &format!("{}{line}\n", " ".repeat(indent));
        }
        let fix = found.fix.as_deref().filter(|_| found.level != Level::Ok);
        for (place, line) in fix
            .map(|fix| wrap(fix, style.width.saturating_sub(indent + 5)))
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            let label = if place == 0 {
                style.paint(Tone::Strong, "fix")
            } else {
                "   ".to_owned()
            };
            text += &format!("{}{label}  {line}\n", " ".repeat(indent));
        }
    }
    text + "\n" + &summary(findings) + "\n"
}

/// "14 checks: 12 ok, 1 warning, 1 problem"
fn summary(findings: &[Finding]) -> String {
    let number = |level: Level| findings.iter().filter(|found| found.level == level).count();
    let mut parts = vec![format!("{} ok", number(Level::Ok))];
    for (level, noun) in [(Level::Warning, "warning"), (Level::Problem, "problem")] {
        if number(level) > 0 {
            parts.push(count(number(level), noun));
        }
    }
    format!("{}: {}", count(findings.len(), "check"), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::ok("resolver", "answers in 2 ms")
                .on("192.0.2.1:53")
                .fix("not shown"),
            Finding::problem(
                "ping",
                "echoes cannot be sent: Permission denied, and some more words that need a second line",
            )
            .fix("sysctl -w a='1 2'"),
        ]
    }

    #[test]
    fn people_get_marks_fixes_and_a_count_within_the_width() {
        let text = human(&findings(), &Style::default());
        let expected = "\
✓ resolver  192.0.2.1:53 answers in 2 ms
✗ ping      echoes cannot be sent: Permission denied, and some more words that
            need a second line
            fix  sysctl -w a='1 2'

2 checks: 1 ok, 1 problem
";
        assert_eq!(text, expected);
    }

    #[test]
    fn programs_get_one_object_a_line() {
        let text = json(&findings());
        let first: serde_json::Value =
            serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
        assert_eq!(first["level"], "ok");
        assert_eq!(first["subject"], "192.0.2.1:53");
        assert_eq!(text.lines().count(), 2);
    }
}
