//! Connections between operations, and the measurement of how long a host keeps them.

use std::sync::Arc;
use std::time::Duration;

use super::super::report::Finding;
use super::Context;
use super::layers::{Layers, Level};
use crate::model::dependency::{IdleSearch, Keepalive, Probe};

/// Idle times that may be tried: below, a busy connection could not be told from an idle one; above, nobody waits.
const SHORTEST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(7_200);
/// So many idle times may be tried.
const MOST: usize = 16;
/// A host is measured at most so often.
const SOONEST: Duration = Duration::from_secs(600);

pub fn lower(context: &mut Context<'_>, layers: &Layers<'_>, probe: &Probe) -> Keepalive {
    Keepalive {
        reuse: layers
            .value(|shared| shared.keepalive.as_ref()?.reuse)
            .unwrap_or_default(),
        discover: discover(context, layers, probe),
    }
}

fn discover(context: &mut Context<'_>, layers: &Layers<'_>, probe: &Probe) -> Option<Arc<IdleSearch>> {
    let settings = settings(context, layers);
    let (true, level) = layers.pick(|shared| shared.keepalive.as_ref()?.discover)? else {
        return None;
    };
    if probe.only_reads() {
        return Some(Arc::new(settings));
    }
    if let (Level::Own, Some(place)) = (level, layers.place(level, "keepalive.discover")) {
        let problem = match probe {
            Probe::Http(http) => format!(
                "this asks more often than the interval says, which {} must not",
                http.method
            ),
            _ => "this is measured with HTTP requests".to_owned(),
        };
        let finding = Finding::error(&place, problem).expected("a dependency with GET, HEAD or OPTIONS");
        context.report.add(finding);
    }
    // Inherited, it is meant for those that can.
    None
}

/// What is wrong with the settings is told whether or not anything is measured.
pub fn settings(context: &mut Context<'_>, layers: &Layers<'_>) -> IdleSearch {
    let mut settings = IdleSearch::default();
    if let Some((ladder, level)) = layers.pick(|shared| shared.keepalive.as_ref()?.ladder.clone()) {
        let rungs: Vec<Duration> = ladder.0.iter().map(|text| text.0).collect();
        let good = (1..=MOST).contains(&rungs.len())
            && rungs.iter().all(|rung| (SHORTEST..=LONGEST).contains(rung))
            && rungs.windows(2).all(|pair| pair[0] < pair[1]);
        match layers.place(level, "keepalive.ladder") {
            Some(place) if !good => context.report.add(
                Finding::error(&place, "these idle times cannot be tried")
                    .expected(format!("1 to {MOST} of them, ascending, each from 2s to 2h")),
            ),
            _ => settings.ladder = rungs.into(),
        }
    }
    if let Some((remeasure, level)) = layers.pick(|shared| shared.keepalive.as_ref()?.remeasure) {
        match layers.place(level, "keepalive.remeasure") {
            Some(place) if remeasure.0 < SOONEST => context.report.add(
                Finding::error(&place, "this is too often: it holds connections open on the host")
                    .expected("10m or more"),
            ),
            _ => settings.remeasure = remeasure.0,
        }
    }
    settings
}
