//! Budgets nest: no phase above `attempt`, `attempt` not above `total`, `total` not above the interval.
//!
//! What is set at one level must nest there. What is inherited (from `defaults`, or built in) is lowered to fit what is
//! set nearer to the dependency: `interval: 10s` alone is a good configuration.

use std::time::Duration;

use crate::config::raw;
use crate::config::scalar::{Span, write_duration};
use crate::model::dependency::Timeouts;

use super::Entry;

/// Time between two operations unless configured.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
/// Shorter intervals are load, not watching.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

const PHASES: [&str; 5] = ["resolve", "connect", "tls", "first_byte", "body"];

fn phase(timeouts: &raw::Timeouts, name: &str) -> Option<Duration> {
    let span: Option<Span> = match name {
        "resolve" => timeouts.resolve,
        "connect" => timeouts.connect,
        "tls" => timeouts.tls,
        "first_byte" => timeouts.first_byte,
        "body" => timeouts.body,
        "attempt" => timeouts.attempt,
        _ => timeouts.total,
    };
    span.map(|span| span.0)
}

/// Checks what one level says of itself.
pub fn check_level<T>(entry: &Entry<'_, T>, interval: Option<Span>, timeouts: &raw::Timeouts) {
    let get = |name| phase(timeouts, name);
    let outer = [("attempt", get("attempt")), ("total", get("total"))];
    for name in PHASES {
        for (outer_name, outer) in outer {
            exceeds(entry, name, get(name), &format!("timeouts.{outer_name}"), outer);
        }
    }
    exceeds(entry, "attempt", get("attempt"), "timeouts.total", get("total"));
    let interval = interval.map(|span| span.0);
    exceeds(entry, "total", get("total"), "interval", interval);
    if get("total").is_none() {
        exceeds(entry, "attempt", get("attempt"), "interval", interval);
    }
    if interval.is_some_and(|interval| interval < SHORTEST_INTERVAL) {
        let shortest = write_duration(SHORTEST_INTERVAL);
        entry.error(
            "interval",
            format!("is shorter than {shortest}, the least that is accepted"),
            None,
        );
    }
}

fn exceeds<T>(
    entry: &Entry<'_, T>,
    name: &str,
    inner: Option<Duration>,
    outer_name: &str,
    outer: Option<Duration>,
) {
    if let (Some(inner), Some(outer)) = (inner, outer)
        && inner > outer
    {
        let (inner, outer) = (write_duration(inner), write_duration(outer));
        entry.error(
            &format!("timeouts.{name}"),
            format!("{inner} is more than {outer_name}, which is {outer}"),
            Some(format!("lower it to {outer} or less, or raise {outer_name}")),
        );
    }
}

/// A budget with the level from which it came.
#[derive(Clone, Copy)]
struct Level {
    value: Duration,
    own: bool,
}

/// The budgets and the interval that hold for a dependency.
pub fn lower(entry: &Entry<'_, raw::Dependency>, defaults: &raw::Defaults) -> (Timeouts, Duration) {
    let raw = &entry.raw;
    check_level(entry, raw.interval, &raw.timeouts);
    let built_in = Timeouts::default();
    let pick = |name: &str, default: Duration| match phase(&raw.timeouts, name) {
        Some(value) => Level { value, own: true },
        None => Level {
            value: phase(&defaults.timeouts, name).unwrap_or(default),
            own: false,
        },
    };
    let interval = match raw.interval {
        Some(span) => Level {
            value: span.0,
            own: true,
        },
        None => Level {
            value: defaults.interval.map_or(DEFAULT_INTERVAL, |span| span.0),
            own: false,
        },
    };
    let quiet = entry.is_pruned("timeouts") || entry.is_pruned("interval") || entry.is_pruned("deadline");
    let fit = |inner: Level, name: &str, outer: Level, outer_name: &str| {
        // At one level the mistake is already said; what is inherited gives way.
        if inner.own && !outer.own && inner.value > outer.value && !quiet {
            let (inner, outer) = (write_duration(inner.value), write_duration(outer.value));
            entry.error(
                &format!("timeouts.{name}"),
                format!("{inner} is more than {outer_name}, which is {outer} by default"),
                Some(format!("lower it, or set {outer_name} here as well")),
            );
        }
        Level {
            value: inner.value.min(outer.value),
            own: inner.own,
        }
    };
    let mut total = fit(pick("total", built_in.total), "total", interval, "interval");
    if let Some(deadline) = raw.deadline.map(|span| span.0) {
        if total.own && total.value > deadline && !quiet {
            let (have, allowed) = (write_duration(total.value), write_duration(deadline));
            entry.error(
                "timeouts.total",
                format!("{have} is more than the caller's deadline, which is {allowed}"),
                Some(format!(
                    "lower it to {allowed} or less: an answer after that helps nobody"
                )),
            );
        }
        total.value = total.value.min(deadline);
    }
    let attempt = fit(
        pick("attempt", built_in.attempt),
        "attempt",
        total,
        "timeouts.total",
    );
    let inner = |name: &str, default| fit(pick(name, default), name, attempt, "timeouts.attempt").value;
    let timeouts = Timeouts {
        resolve: inner("resolve", built_in.resolve),
        connect: inner("connect", built_in.connect),
        tls: inner("tls", built_in.tls),
        first_byte: inner("first_byte", built_in.first_byte),
        body: inner("body", built_in.body),
        attempt: attempt.value,
        total: total.value,
    };
    (timeouts, interval.value)
}
