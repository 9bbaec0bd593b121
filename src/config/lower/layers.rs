//! The layers a setting may come from: the dependency, `defaults`, or what is built in.

use super::super::raw::RawDefaults;
use super::super::report::Place;

pub struct Layers<'a> {
    pub own: &'a RawDefaults,
    pub own_place: &'a Place,
    pub defaults: &'a RawDefaults,
    pub defaults_place: &'a Place,
}

/// Later is closer to the dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    BuiltIn,
    Defaults,
    Own,
}

impl Layers<'_> {
    /// The closest value, and where it is from.
    pub fn pick<T>(&self, get: impl Fn(&RawDefaults) -> Option<T>) -> Option<(T, Level)> {
        get(self.own)
            .map(|value| (value, Level::Own))
            .or_else(|| get(self.defaults).map(|value| (value, Level::Defaults)))
    }

    /// The closest value.
    pub fn value<T>(&self, get: impl Fn(&RawDefaults) -> Option<T>) -> Option<T> {
        self.pick(get).map(|(value, _)| value)
    }

    /// Where a key of that level stands; `None` for what is built in.
    pub fn place(&self, level: Level, key: &str) -> Option<Place> {
        match level {
            Level::Own => Some(self.own_place.dotted(key)),
            Level::Defaults => Some(self.defaults_place.dotted(key)),
            Level::BuiltIn => None,
        }
    }
}
