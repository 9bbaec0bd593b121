//! The environment as an argument, so that tests give their own.

use std::collections::{BTreeMap, HashMap};

/// Where `${env:NAME}`, the proxy variables and the `OTEL_*` variables are looked up.
pub trait Environment {
    fn var(&self, name: &str) -> Option<String>;
}

/// The environment of this process. A value that is not UTF-8 counts as not set.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl Environment for BTreeMap<String, String> {
    fn var(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

impl Environment for HashMap<&str, &str> {
    fn var(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| (*value).to_owned())
    }
}
