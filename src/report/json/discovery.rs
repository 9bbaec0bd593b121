//! Where dependencies come from besides the file, and what of what was found is not watched.

use serde_json::{Value as Json, json};

use crate::model::discovery::{DiscoveryView, Origin, Remark, SourceView};

use super::SCHEMA_VERSION;
use super::scalar::text;

/// Where a dependency was found; `null` for one of the configuration.
pub fn origin(origin: Option<&Origin>) -> Json {
    origin.map_or(
        Json::Null,
        |origin| json!({"name": &*origin.source, "place": &*origin.place}),
    )
}

/// How the sources do.
pub fn discovery(view: &DiscoveryView) -> Json {
    let remarks = |refused: bool| -> Json {
        let remarks = view.remarks.iter().filter(|one| one.refused == refused);
        remarks.map(remark).collect()
    };
    json!({
        "schema_version": SCHEMA_VERSION,
        "sources": view.sources.iter().map(source).collect::<Json>(),
        "refused": remarks(true),
        "notes": remarks(false),
    })
}

fn source(view: &SourceView) -> Json {
    let last_error = view.last_failure.as_ref();
    json!({
        "name": &*view.name,
        "kind": view.kind,
        "state": if view.failing.is_some() { "failing" } else if view.last_success.is_some() { "ok" } else { "unknown" },
        "targets": view.targets,
        "lingering": view.lingering,
        "watched": view.watched,
        "refused": view.refused,
        "from_last_run": view.kept,
        "last_success": view.last_success.map(|at| at.to_string()),
        "last_error": last_error.map(|(at, why)| json!({"at": at.to_string(), "error": text(why)})),
        "failing_since": view.failing.map(|at| at.to_string()),
        "failures": view.failures,
    })
}

fn remark(remark: &Remark) -> Json {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "source": &*remark.source,
        "place": some(&remark.place),
        "target": some(&remark.target),
        "reason": text(&remark.why),
    })
}
