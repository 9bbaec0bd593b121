//! The environment as an argument, so that tests give their own.

use std::collections::{BTreeMap, HashMap};

/// Where `${env:NAME}`, the proxy variables and the `OTEL_*` variables are looked up.
pub trait Environment {
    fn var(&self, name: &str) -> Option<String>;

    /// What this host is called.
    fn host_name(&self) -> Option<String> {
        self.var("HOSTNAME")
    }
}

/// The environment of this process. A value that is not UTF-8 counts as not set.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn host_name(&self) -> Option<String> {
        // Linux has it there (proc(5)); shells elsewhere have it in their environment.
        let known = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let known = known
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty());
        known.or_else(|| self.var("HOSTNAME"))
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
