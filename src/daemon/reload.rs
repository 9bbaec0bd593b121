//! Reading the configuration again: the new one when it is good, the old one and the reasons when it is not.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::config::{self, Diagnostics, Loaded, Overrides, ProcessEnvironment};
use crate::model::plan::{Listen, Plan};

/// Where the configuration is, and what the command line says in its place.
#[derive(Clone, Debug)]
pub struct Source {
    pub path: PathBuf,
    pub listen: Option<SocketAddr>,
    pub overrides: Overrides,
}

impl Source {
    /// Loads it. Reading files blocks, so this belongs on a thread that may block.
    pub fn load(&self) -> Result<Loaded, Diagnostics> {
        let mut loaded = config::load_as(&self.path, &ProcessEnvironment, &self.overrides)?;
        self.override_listen(&mut loaded.plan);
        Ok(loaded)
    }

    fn override_listen(&self, plan: &mut Plan) {
        let Some(address) = self.listen else { return };
        plan.listen = Some(match plan.listen.take() {
            Some(listen) => Listen { address, ..listen },
            None => Listen {
                address,
                tls: None,
                auth: None,
            },
        });
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What a reload cannot change, because the socket is bound: said instead of silently ignored.
pub fn unchangeable(old: Option<&Listen>, new: Option<&Listen>) -> Option<String> {
    if old == new {
        return None;
    }
    Some("listen: has changed; the listener keeps its old settings until a restart".into())
}
