//! Notifications on their way to receivers: one file per kind of receiver. What is to be sent, when, and what follows
//! from the answer is the engine's.

use crate::model::notification::{DeliveryOrder, DeliveryOutcome};

/// Sends notifications. Cheap to clone by reference; it keeps connections between deliveries.
#[derive(Debug, Default)]
pub struct Deliverer {}

impl Deliverer {
    pub fn new() -> Self {
        Self::default()
    }

    /// One try. It never panics on what a receiver answers, takes no longer than the receiver's timeout, and no secret is
    /// in what it says of a failure.
    pub async fn deliver(&self, order: &DeliveryOrder) -> DeliveryOutcome {
        DeliveryOutcome::Refused {
            why: format!("{} is not built", order.receiver.channel.id()).into(),
        }
    }
}
