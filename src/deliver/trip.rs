//! One try to deliver one notification: what it was told, which secrets it met, and how it ended.

use std::sync::Arc;
use std::time::Duration;

use crate::model::notification::{DeliveryOrder, DeliveryOutcome};
use crate::model::secret::{Secret, SecretRef, Text};
use crate::net::sanitize::{foreign_text, scrub_url};
use crate::net::secret::SecretError;

use super::Deliverer;

/// Longest `why`, in characters.
const LONGEST_WHY: usize = 400;
/// What is shorter is in ordinary words too, and to hide it would garble them.
const SHORTEST_HIDDEN: usize = 4;

/// Why a receiver did not take what it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It may take it later.
    Later {
        why: String,
        retry_after: Option<Duration>,
    },
    /// It will not take it as it is.
    Never { why: String },
}

impl NotTaken {
    pub fn later(why: impl Into<String>) -> NotTaken {
        NotTaken::Later {
            why: why.into(),
            retry_after: None,
        }
    }

    pub fn never(why: impl Into<String>) -> NotTaken {
        NotTaken::Never { why: why.into() }
    }
}

/// A secret's file may be missing for the moment in which it is replaced.
impl From<SecretError> for NotTaken {
    fn from(error: SecretError) -> NotTaken {
        NotTaken::later(error.to_string())
    }
}

pub struct Trip<'a> {
    pub deliverer: &'a Deliverer,
    pub order: &'a DeliveryOrder,
    /// Secrets that were used: a receiver may repeat them in its answer.
    hidden: Vec<String>,
}

impl<'a> Trip<'a> {
    pub fn new(deliverer: &'a Deliverer, order: &'a DeliveryOrder) -> Trip<'a> {
        Trip {
            deliverer,
            order,
            hidden: Vec::new(),
        }
    }

    /// The secret as it is now.
    pub fn secret(&mut self, secret: &SecretRef) -> Result<Secret, NotTaken> {
        let secret = self.deliverer.secrets.resolve(secret)?;
        self.hide(secret.expose());
        Ok(secret)
    }

    /// The text as it is now; a secret one is not shown from here on.
    pub fn text(&mut self, text: &Text) -> Result<Arc<str>, NotTaken> {
        let value = self.deliverer.secrets.text(text)?;
        if matches!(text, Text::Secret(_)) {
            self.hide(&value);
        }
        Ok(value)
    }

    /// From here on this is in nothing that is said of the try.
    pub fn hide(&mut self, secret: &str) {
        if secret.len() >= SHORTEST_HIDDEN {
            self.hidden.push(secret.to_owned());
        }
    }

    /// What became of the try, fit to be shown.
    pub fn outcome(mut self, ended: Result<(), NotTaken>) -> DeliveryOutcome {
        // The longest first: one may be a part of another.
        self.hidden.sort_by_key(|hidden| std::cmp::Reverse(hidden.len()));
        match ended {
            Ok(()) => DeliveryOutcome::Accepted,
            Err(NotTaken::Later { why, retry_after }) => DeliveryOutcome::Failed {
                why: self.shown(why),
                retry_after,
            },
            Err(NotTaken::Never { why }) => DeliveryOutcome::Refused { why: self.shown(why) },
        }
    }

    fn shown(&self, mut why: String) -> Box<str> {
        for hidden in &self.hidden {
            why = why.replace(hidden.as_str(), "[redacted]");
        }
        foreign_text(scrub_url(&why).as_bytes(), LONGEST_WHY)
    }
}
