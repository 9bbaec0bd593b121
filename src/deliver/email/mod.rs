//! Email, handed to a mail server (RFC 5321, RFC 6409).
//!
//! A mail has several readers, and a server may take it for some of them only. Those have it then: they are not sent it
//! again, and one address that does not exist keeps nobody from being told.

mod message;
mod smtp;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use lettre::Address;

use crate::model::receiver::Email;

use super::trip::{NotTaken, Trip};
use smtp::{Dialogue, Reply};

/// Tries after which recipients that the server goes on to put off are left behind, since what comes next waits for this.
const PUT_OFF: u32 = 5;
/// Mails that are remembered as taken for some recipients.
const REMEMBERED: usize = 256;

/// For whom a mail was taken that was not taken for all: the notification's id and an address.
#[derive(Debug, Default)]
pub struct Mailed(Mutex<VecDeque<(Arc<str>, Address)>>);

impl Mailed {
    fn has(&self, id: &str, address: &Address) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .any(|(mail, taken)| **mail == *id && taken == address)
    }

    fn remember(&self, id: &Arc<str>, addresses: impl Iterator<Item = Address>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for address in addresses {
            if known.len() >= REMEMBERED {
                known.pop_front();
            }
            known.push_back((Arc::clone(id), address));
        }
    }
}

pub async fn deliver(trip: &mut Trip<'_>, email: &Email) -> Result<(), NotTaken> {
    let order = trip.order;
    let message = message::message(order, email).map_err(NotTaken::never)?;
    let id = &order.notification.id;
    let mailed = &trip.deliverer.mailed;
    // Of mail and not of readers: the mail itself names all of them.
    let mut left: Vec<Address> = message.envelope().to().to_vec();
    left.retain(|address| !mailed.has(id, address));
    if left.is_empty() {
        return Ok(());
    }
    let login = match &email.login {
        Some((user, password)) => Some((Arc::clone(user), trip.secret(password)?)),
        None => None,
    };
    if let Some((user, password)) = &login {
        // A server may repeat what it was told, as it was told.
        for said in smtp::spoken_secrets(user, password.expose()) {
            trip.hide(&said);
        }
    }
    let mut dialogue = Dialogue::open(email).await?;
    if let Some((user, password)) = &login {
        dialogue.authenticate(user, password.expose()).await?;
    }
    let content = message.formatted();
    dialogue
        .from(message.envelope().from(), &left, content.len())
        .await?;
    let mut answers: Vec<(Address, Reply)> = Vec::with_capacity(left.len());
    for address in left {
        let reply = dialogue.recipient(&address).await?;
        answers.push((address, reply));
    }
    if answers.iter().any(|(_, reply)| reply.is_good()) {
        dialogue.content(&content).await?;
    }
    dialogue.quit().await;
    judged(trip, answers)
}

/// What follows from the answers for the recipients.
fn judged(trip: &Trip<'_>, answers: Vec<(Address, Reply)>) -> Result<(), NotTaken> {
    let (taken, not): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(_, reply)| reply.is_good());
    if not.is_empty() {
        return Ok(());
    }
    let why: Vec<String> = not
        .iter()
        .map(|(address, reply)| format!("{address}: {reply}"))
        .collect();
    let why = format!("the mail server does not take mail for {}", why.join("; "));
    let put_off = not.iter().any(|(_, reply)| reply.is_transient());
    if taken.is_empty() {
        return Err(if put_off {
            NotTaken::later(why)
        } else {
            NotTaken::never(why)
        });
    }
    let id = &trip.order.notification.id;
    trip.deliverer
        .mailed
        .remember(id, taken.into_iter().map(|(address, _)| address));
    if put_off && trip.order.tried < PUT_OFF {
        return Err(NotTaken::later(format!("{why}; the others have it")));
    }
    let receiver = &trip.order.receiver.name;
    tracing::warn!(%receiver, "{why}; the others have it");
    Ok(())
}
