//! How this room gets at secrets and shows foreign text: a small adapter.

use std::sync::Arc;

use crate::model::secret::{Secret, SecretRef, Text};

/// A secret that could not be had. Says where it should have come from, never what it is.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the secret in {path}: {source}")]
pub struct SecretError {
    path: String,
    source: std::io::Error,
}

/// The value of a secret, read now: a rotated file is seen at the next use. A trailing newline is not part of it.
pub fn resolve(secret: &SecretRef) -> Result<Secret, SecretError> {
    match secret {
        SecretRef::Inline(secret) => Ok(secret.clone()),
        SecretRef::File(path) => std::fs::read_to_string(path)
            .map(|text| Secret::new(text.trim_end_matches(['\r', '\n'])))
            .map_err(|source| SecretError {
                path: path.display().to_string(),
                source,
            }),
    }
}

/// The value of a text that may be secret.
pub fn text(text: &Text) -> Result<Arc<str>, SecretError> {
    match text {
        Text::Plain(plain) => Ok(plain.clone()),
        Text::Secret(secret) => resolve(secret).map(|secret| secret.expose().into()),
    }
}

/// Text from a peer as it may be shown: without control characters, cut to `max` characters.
pub fn foreign(text: &str, max: usize) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(max).collect();
    if text.chars().filter(|c| !c.is_control()).nth(max).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named_and_nothing_else() {
        let missing = SecretRef::File("/nonexistent/token".into());
        let error = resolve(&missing).expect_err("there is no such file").to_string();
        assert!(
            error.starts_with("cannot read the secret in /nonexistent/token: "),
            "{error}"
        );
    }

    #[test]
    fn foreign_text_is_cut_and_cleaned() {
        assert_eq!(foreign("a\u{1b}[31mb\nc", 5), "a[31m…");
        assert_eq!(foreign("short", 5), "short");
    }
}
