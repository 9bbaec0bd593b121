//! Taking part in the election: as the plan says, and again when it says otherwise.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::elect::{self, TakingPart};
use crate::engine::Input;
use crate::model::plan::{Election, Plan};
use crate::model::time::Wall;

/// News that may wait for the loop.
const QUEUE: usize = 4;

/// Which replicas live is told to the engine as long as this is.
pub struct Elections {
    inputs: mpsc::Sender<Input>,
    /// Since when something waits that people are to be told; the others are told that.
    untold: watch::Receiver<Option<Wall>>,
    /// Tells this process from another one of the same name. A pod that is started again under its UID is the same.
    process: String,
    current: Option<(elect::Election, TakingPart, JoinHandle<()>)>,
}

impl Elections {
    pub fn new(inputs: mpsc::Sender<Input>, untold: watch::Receiver<Option<Wall>>, random: u64) -> Elections {
        let pod = std::env::var("POD_UID").ok().filter(|uid| !uid.is_empty());
        Elections {
            inputs,
            untold,
            process: pod.unwrap_or_else(|| format!("{random:016x}")),
            current: None,
        }
    }

    /// Takes part as the plan says. Must be called within a tokio runtime.
    pub fn change(&mut self, plan: &Plan) {
        let wanted = self.wanted(plan);
        if wanted.as_ref() == self.current.as_ref().map(|(current, ..)| current) {
            return;
        }
        if let Some((_, _, telling)) = self.current.take() {
            telling.abort();
        }
        self.current = wanted.map(|wanted| {
            let (news, mut told) = mpsc::channel(QUEUE);
            let inputs = self.inputs.clone();
            let telling = tokio::spawn(async move {
                while let Some(peers) = told.recv().await {
                    if inputs.send(Input::PeersObserved(peers)).await.is_err() {
                        return;
                    }
                }
            });
            let part = elect::take_part(wanted.clone(), self.untold.clone(), news);
            (wanted, part, telling)
        });
    }

    fn wanted(&self, plan: &Plan) -> Option<elect::Election> {
        let scale_out = plan.scale_out.as_ref()?;
        match &scale_out.election {
            Election::Leases { namespace, name } if scale_out.elects() => Some(elect::Election {
                share: scale_out.share,
                namespace: namespace.clone(),
                name: Arc::clone(name),
                identity: format!("{}_{}", scale_out.name, self.process).into(),
            }),
            _ => None,
        }
    }

    /// Lets another replica speak at once.
    pub async fn release(&mut self) {
        if let Some((_, part, telling)) = self.current.take() {
            part.release().await;
            telling.abort();
        }
    }
}
