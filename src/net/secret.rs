//! Placeholder until the secrets room is merged.

use std::sync::Arc;

use crate::model::secret::{Secret, SecretRef, Text};

#[derive(Default)]
pub struct Secrets;

#[derive(Debug, thiserror::Error)]
#[error("cannot read {0}")]
pub struct SecretError(String);

impl Secrets {
    pub fn new() -> Self {
        Secrets
    }

    pub fn resolve(&self, secret: &SecretRef) -> Result<Secret, SecretError> {
        match secret {
            SecretRef::Inline(secret) => Ok(secret.clone()),
            SecretRef::File(path) => std::fs::read_to_string(path)
                .map(|text| Secret::new(text.trim_end_matches('\n').to_owned()))
                .map_err(|_| SecretError(path.display().to_string())),
        }
    }

    pub fn text(&self, text: &Text) -> Result<Arc<str>, SecretError> {
        match text {
            Text::Plain(text) => Ok(text.clone()),
            Text::Secret(secret) => self.resolve(secret).map(|secret| secret.expose().into()),
        }
    }
}
