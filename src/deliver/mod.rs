//! Notifications on their way to receivers: one file per kind of receiver. What is to be sent, when, and what follows
//! from the answer is the engine's.

mod alertmanager;
mod email;
mod fit;
mod heartbeat;
mod http;
mod labels;
mod opsgenie;
mod pagerduty;
mod slack;
mod story;
pub mod test;
mod trip;
mod webhook;

use std::time::Duration;

use crate::model::notification::{DeliveryOrder, DeliveryOutcome};
use crate::model::receiver::Channel;
use crate::net::crypto;
use crate::net::secret::Secrets;

use email::Mailed;
use http::Clients;
use trip::{NotTaken, Trip};

/// Sends notifications. Shared by reference; it keeps connections between deliveries.
#[derive(Debug, Default)]
pub struct Deliverer {
    secrets: Secrets,
    clients: Clients,
    mailed: Mailed,
}

impl Deliverer {
    pub fn new() -> Self {
        crypto::install();
        Self::default()
    }

    /// One try. It never panics on what a receiver answers, takes no longer than the receiver's timeout, and no secret is
    /// in what it says of a failure.
    pub async fn deliver(&self, order: &DeliveryOrder) -> DeliveryOutcome {
        let limit = order.receiver.timeout;
        let mut trip = Trip::new(self, order);
        let ended = tokio::time::timeout(limit, carry(&mut trip)).await;
        let ended =
            ended.unwrap_or_else(|_| Err(NotTaken::later(format!("no answer within {}", in_seconds(limit)))));
        trip.outcome(ended)
    }
}

async fn carry(trip: &mut Trip<'_>) -> Result<(), NotTaken> {
    let receiver = std::sync::Arc::clone(&trip.order.receiver);
    match &receiver.channel {
        Channel::Alertmanager(target) => alertmanager::deliver(trip, target).await,
        Channel::Webhook(target) => webhook::deliver(trip, target).await,
        Channel::Slack { target, channel } => slack::deliver(trip, target, channel.as_deref()).await,
        Channel::PagerDuty { target, routing_key } => pagerduty::deliver(trip, target, routing_key).await,
        Channel::Opsgenie { target, api_key } => opsgenie::deliver(trip, target, api_key).await,
        Channel::Email(email) => email::deliver(trip, email).await,
        Channel::Heartbeat { target, method, .. } => heartbeat::deliver(trip, target, *method).await,
    }
}

fn in_seconds(limit: Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

#[cfg(test)]
mod tests;
