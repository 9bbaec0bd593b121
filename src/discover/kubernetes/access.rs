//! The client that all followers of a source share.

use std::path::PathBuf;

use kube::Client;
use tokio::sync::Mutex;

use crate::net::kubernetes::{NoAccess, client};

/// How the API is reached, and the client that was made last.
pub struct Access {
    by: By,
    current: Mutex<Current>,
}

enum By {
    Kubeconfig(Option<PathBuf>),
    /// The same one again and again.
    #[cfg(test)]
    Client(Client),
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
            by: By::Kubeconfig(kubeconfig),
            current: Mutex::default(),
        }
    }

    #[cfg(test)]
    pub fn of(client: Client) -> Access {
        Access {
            by: By::Client(client),
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
        let new = match &self.by {
            By::Kubeconfig(kubeconfig) => client(kubeconfig.as_deref()).await?,
            #[cfg(test)]
            By::Client(client) => client.clone(),
        };
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
