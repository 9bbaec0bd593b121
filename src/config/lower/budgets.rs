//! Durations and counts that must fit into each other.
//!
//! An inherited value that is too large for one given more closely is lowered to it: who says `interval: 10s` need not
//! repeat every timeout. Two values of the same closeness that do not fit, or a close one that exceeds an inherited
//! one, are a mistake.

use std::fmt::Display;
use std::time::Duration;

use super::super::raw::values::DurationText;
use super::super::raw::{RawDefaults, RawTimeouts};
use super::super::report::Finding;
use super::layers::{Layers, Level};
use super::{Context, DEFAULT_INTERVAL};
use crate::model::dependency::{BreakerPolicy, RetryPolicy, Timeouts};

/// A value, the key it is known by, and how close to the dependency it was given.
#[derive(Clone, Copy, Debug)]
struct Budget<T> {
    value: T,
    key: &'static str,
    level: Level,
    /// The key that lowered it.
    lowered_by: Option<&'static str>,
}

impl<T: Copy + PartialOrd + Shown> Budget<T> {
    fn pick(
        layers: &Layers<'_>,
        key: &'static str,
        built_in: T,
        get: impl Fn(&RawDefaults) -> Option<T>,
    ) -> Budget<T> {
        let (value, level) = layers.pick(get).unwrap_or((built_in, Level::BuiltIn));
        Budget {
            value,
            key,
            level,
            lowered_by: None,
        }
    }

    /// `inner` must not exceed this.
    fn bounds(&self, inner: &mut Budget<T>, layers: &Layers<'_>, context: &mut Context<'_>) {
        if inner.value <= self.value {
            return;
        }
        if inner.level < self.level {
            inner.value = self.value;
            inner.level = self.level;
            inner.lowered_by = Some(self.lowered_by.unwrap_or(self.key));
            return;
        }
        let outer_text = match (self.lowered_by, self.level) {
            (Some(by), _) => format!("`{}` ({}, lowered to fit `{by}`)", self.key, self.value.shown()),
            (None, Level::BuiltIn) => {
                format!("`{}` ({}, the built-in default)", self.key, self.value.shown())
            }
            (None, Level::Defaults) => format!("`{}` ({}, from `defaults`)", self.key, self.value.shown()),
            (None, Level::Own) => format!("`{}` ({})", self.key, self.value.shown()),
        };
        let outer_place = layers.place(self.level, self.lowered_by.unwrap_or(self.key));
        // What exceeds is at least as close as what it exceeds, and the built-in values fit: it has a place.
        let place = layers
            .place(inner.level, inner.key)
            .unwrap_or_else(|| layers.own_place.clone());
        let problem = format!("{} exceeds {outer_text}", inner.value.shown());
        let mut finding = Finding::error(&place, problem).expected(format!("at most {}", self.value.shown()));
        if let Some(outer_place) = outer_place {
            let what = self
                .lowered_by
                .map_or_else(|| "given".to_owned(), |by| format!("`{by}` given"));
            finding = finding.see(what, &outer_place);
        }
        context.report.add(finding);
    }
}

trait Shown {
    fn shown(&self) -> String;
}

impl Shown for Duration {
    fn shown(&self) -> String {
        DurationText(*self).to_string()
    }
}

impl Shown for u32 {
    fn shown(&self) -> String {
        show(self)
    }
}

fn show(value: &impl Display) -> String {
    value.to_string()
}

/// The timeouts and the interval, nested.
pub fn timeouts(
    context: &mut Context<'_>,
    layers: &Layers<'_>,
    deadline: Option<Duration>,
) -> (Timeouts, Duration) {
    let built_in = Timeouts::default();
    let pick = |key, built_in, get: fn(&RawTimeouts) -> Option<DurationText>| {
        Budget::pick(layers, key, built_in, |shared| {
            get(shared.timeouts.as_ref()?).map(|text| text.0)
        })
    };
    let interval = Budget::pick(layers, "interval", DEFAULT_INTERVAL, |shared| {
        shared.interval.map(|text| text.0)
    });
    let mut total = pick("timeouts.total", built_in.total, |t| t.total);
    let mut attempt = pick("timeouts.attempt", built_in.attempt, |t| t.attempt);
    let mut phases = [
        pick("timeouts.resolve", built_in.resolve, |t| t.resolve),
        pick("timeouts.connect", built_in.connect, |t| t.connect),
        pick("timeouts.tls", built_in.tls, |t| t.tls),
        pick("timeouts.first_byte", built_in.first_byte, |t| t.first_byte),
        pick("timeouts.body", built_in.body, |t| t.body),
    ];
    interval.bounds(&mut total, layers, context);
    if let Some(value) = deadline {
        let deadline = Budget {
            value,
            key: "deadline",
            level: Level::Own,
            lowered_by: None,
        };
        deadline.bounds(&mut total, layers, context);
    }
    total.bounds(&mut attempt, layers, context);
    for phase in &mut phases {
        attempt.bounds(phase, layers, context);
    }
    let [resolve, connect, tls, first_byte, body] = phases.map(|phase| phase.value);
    let timeouts = Timeouts {
        resolve,
        connect,
        tls,
        first_byte,
        body,
        attempt: attempt.value,
        total: total.value,
    };
    (timeouts, interval.value)
}

pub fn retry(context: &mut Context<'_>, layers: &Layers<'_>) -> RetryPolicy {
    let built_in = RetryPolicy::default();
    let max = Budget::pick(layers, "retry.backoff.max", built_in.max, |shared| {
        shared.retry.as_ref()?.backoff.as_ref()?.max.map(|text| text.0)
    });
    let mut initial = Budget::pick(layers, "retry.backoff.initial", built_in.initial, |shared| {
        shared
            .retry
            .as_ref()?
            .backoff
            .as_ref()?
            .initial
            .map(|text| text.0)
    });
    max.bounds(&mut initial, layers, context);
    let attempts = layers.value(|shared| shared.retry.as_ref()?.attempts);
    RetryPolicy {
        attempts: attempts.map_or(built_in.attempts, |n| small(n.0)),
        initial: initial.value,
        max: max.value,
    }
}

pub fn breaker(context: &mut Context<'_>, layers: &Layers<'_>) -> BreakerPolicy {
    let built_in = BreakerPolicy::default();
    let window = Budget::pick(layers, "breaker.window", u32::from(built_in.window), |shared| {
        shared.breaker.as_ref()?.window.map(|n| n.0)
    });
    let mut minimum = Budget::pick(layers, "breaker.minimum", u32::from(built_in.minimum), |shared| {
        shared.breaker.as_ref()?.minimum.map(|n| n.0)
    });
    window.bounds(&mut minimum, layers, context);
    let breaker = |get: fn(&super::super::raw::RawBreaker) -> Option<DurationText>| {
        layers.value(|shared| get(shared.breaker.as_ref()?))
    };
    BreakerPolicy {
        failure_share: layers
            .value(|shared| shared.breaker.as_ref()?.failure_share)
            .map_or(built_in.failure_share, |share| share.0),
        window: small(window.value),
        minimum: small(minimum.value),
        pause: breaker(|b| b.pause).map_or(built_in.pause, |text| text.0),
        refuse: layers
            .value(|shared| shared.breaker.as_ref()?.refuse)
            .unwrap_or(built_in.refuse),
    }
}

/// The raw types bound these far below 255.
fn small(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}
