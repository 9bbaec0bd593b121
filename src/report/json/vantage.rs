//! Ourselves as observers: whether we see, by whose word, and when we did not.

use serde_json::{Value as Json, json};

use crate::model::headroom::HeadroomView;
use crate::model::vantage::{Gap, Gaps, Sight, VantageView};

use super::scalar::seconds;

/// The state of our own sight.
pub fn vantage(view: &VantageView, headroom: &HeadroomView) -> Json {
    let because = match view.sight {
        Sight::Online => None,
        Sight::Offline(because) => Some(because.id()),
    };
    let anchors: Json = view
        .anchors
        .iter()
        .map(|anchor| json!({"target": &*anchor.target, "standing": anchor.standing.id()}))
        .collect();
    json!({
        "state": view.sight.id(),
        "because": because,
        "since": view.since.map(|wall| wall.to_string()),
        "observed": view.observed.map(|wall| wall.to_string()),
        "anchors": anchors,
        "anchors_discredited": view.anchors_discredited,
        "suspended": view.suspended,
        "gaps": gaps(&view.gaps),
        "gaps_total": view.gaps_total,
        "headroom": self::headroom(headroom),
    })
}

fn headroom(view: &HeadroomView) -> Json {
    let resources = view.resources;
    let ports = resources.and_then(|resources| resources.ports);
    let limit = resources.map(|resources| resources.open_files_limit);
    json!({
        "scarce": view.scarce.map(|scarce| scarce.id()),
        "open_files": resources.map(|resources| resources.open_files),
        "open_files_limit": limit.filter(|limit| *limit < u64::MAX),
        "ports_in_use": ports.map(|ports| ports.in_use),
        "port_range": ports.map(|ports| ports.range),
        "operations_at_once": view.cap,
    })
}

/// Times in which nothing could be said, oldest first; the last one has no end while it lasts.
pub fn gaps(gaps: &Gaps) -> Json {
    gaps.iter().map(gap).collect()
}

fn gap(gap: &Gap) -> Json {
    let lasted = gap.to.map(|to| {
        let nanos = to.unix_nanos().saturating_sub(gap.from.unix_nanos());
        seconds(std::time::Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
    });
    json!({
        "from": gap.from.to_string(),
        "to": gap.to.map(|wall| wall.to_string()),
        "lasted": lasted,
        "because": gap.because.id(),
    })
}
