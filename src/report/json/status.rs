//! The daemon itself: which one it is, what it watches, and its part where several share the work.

use serde_json::{Value as Json, json};

use crate::model::page::{EngineView, ScaleOutView};

use super::SCHEMA_VERSION;

/// What a daemon of that version says of itself.
pub fn status(version: &str, view: &EngineView) -> Json {
    let location = view.place.iter().find(|(name, _)| *name == "location");
    json!({
        "schema_version": SCHEMA_VERSION,
        "version": version,
        "since": view.since.to_string(),
        "dependencies": view.dependencies,
        "hosts": view.hosts,
        "incidents": view.incidents,
        "location": location.map(|(_, location)| &**location),
        "scale_out": view.scale_out.as_ref().map(scale_out),
    })
}

fn scale_out(view: &ScaleOutView) -> Json {
    json!({
        "replica": &*view.name,
        "ordinal": view.share.replica,
        "replicas": view.share.replicas,
        "factor": view.share.factor,
        "watched": view.watched,
        "left_to_others": view.left,
        "election": {"mode": view.election.id(), "speaks": view.speaks},
    })
}
