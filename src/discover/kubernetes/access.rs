//! The client that all followers of a source share.

use std::path::PathBuf;

use kube::Client;
use tokio::sync::Mutex;

use crate::net::kubernetes::{NoAccess, client};

/// How the API is reached, and the client that was made last.
#[derive(Default)]
pub struct Access {
    kubeconfig: Option<PathBuf>,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    /// Counts the clients.
    generation: u64,
    client: Option<Client>,
}

impl Access {
    pub fn new(kubeconfig: Option<PathBuf>) -> Access {
        Access {
            kubeconfig,
            current: Mutex::default(),
        }
    }

    /// The client and its number.
    ///
    /// # Errors
    /// There can be none now; it is tried again the next time.
    pub async fn client(&self) -> Result<(u64, Client), NoAccess> {
        let mut current = self.current.lock().await;
        if let Some(client) = &current.client {
            return Ok((current.generation, client.clone()));
        }
        let new = client(self.kubeconfig.as_deref()).await?;
        current.generation += 1;
        current.client = Some(new.clone());
        Ok((current.generation, new))
    }

    /// Does away with a client that was refused, so that the next one reads its token again. Several followers may be
    /// refused with the same client.
    pub async fn renew(&self, generation: u64) {
        let mut current = self.current.lock().await;
        if current.generation == generation {
            current.client = None;
        }
    }
}
