//! The reference of all metrics, generated from the catalogue: docs/metrics.md.

use std::fmt::Write as _;

use super::catalog::{METRICS, Metric, Scope};

const HEAD: &str = "# Metrics

<!-- Generated from src/export/catalog/table/. Do not edit: `UPDATE_EXPECT=1 cargo test --lib export::reference` writes it. -->

The same figures leave by two ways: pushed as OTLP, and pulled as Prometheus text or OpenMetrics from
`/metrics`. Names are promises. The usual translation from OTLP to Prometheus gives exactly the Prometheus names below.

Attributes of a dependency's series: `dependency`, `server.address`, `server.port`, and the labels of its configuration. A
host's series carry `server.address` and `server.port` only; a server that is reached both directly and by a proxy is one
host here, with sums over both. A receiver's series carry `receiver`, its name in the configuration. Where
replicas share the work every series carries `replica`, and where the configuration says one, `location`. In Prometheus, dots become underscores: `error.type` is `error_type`.

`error.type` holds ids of causes (see causes.md), and `_OTHER` once a dependency has shown 12 different combinations of
error.type, phase and speed. So a dependency has at most 41 series and its host 10, counting a histogram as one, and besides
one for each alert that is raised about them: each rule at most once, 13 of a dependency and 2 of a host.

Counters and histograms are cumulative from the time their owner was first seen. A series that is absent says that nothing
is known; it is never zero instead. The series of a removed dependency disappear at the next export.

";

/// The text of docs/metrics.md.
pub fn reference() -> String {
    let mut text = String::from(HEAD);
    text.push_str("| OTLP | unit | Prometheus | kind | of |\n|---|---|---|---|---|\n");
    for metric in &METRICS {
        let _ = writeln!(
            text,
            "| [{}](#{}) | {} | `{}` | {} | {} |",
            metric.name,
            metric.prometheus,
            unit(metric),
            metric.prometheus,
            metric.kind.id(),
            of(metric.scope),
        );
    }
    for metric in &METRICS {
        section(&mut text, metric);
    }
    text
}

fn section(text: &mut String, metric: &Metric) {
    let _ = writeln!(
        text,
        "\n## {}\n\n{} ({})",
        metric.prometheus,
        metric.name,
        unit(metric)
    );
    let _ = writeln!(text, "\n{}", metric.help);
    if !metric.absent.is_empty() {
        let _ = writeln!(text, "Absent {}.", metric.absent);
    }
    if !metric.attributes.is_empty() {
        text.push('\n');
        for (name, values) in metric.attributes {
            let _ = writeln!(text, "- `{name}`: {values}");
        }
    }
}

fn unit(metric: &Metric) -> String {
    if metric.unit.is_empty() {
        "no unit".to_owned()
    } else {
        format!("`{}`", metric.unit)
    }
}

fn of(scope: Scope) -> &'static str {
    match scope {
        Scope::Dependency => "dependency",
        Scope::Host => "host",
        Scope::Process => "process",
        Scope::HostAndProcess => "host, process",
        Scope::Receiver => "receiver",
        Scope::Source => "source",
        Scope::Raised => "dependency, host, process",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        let text = reference();
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(path, &text).expect("docs can be written");
        }
        let kept = std::fs::read_to_string(path).expect("docs/metrics.md exists");
        assert!(
            kept == text,
            "docs/metrics.md is not current: run with UPDATE_EXPECT=1"
        );
    }
}
