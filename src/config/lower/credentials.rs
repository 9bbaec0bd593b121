//! Texts and secrets: in place, from the environment, or in a file.

use crate::config::key_path::KeyPath;
use crate::config::scalar::TextOrFile;
use crate::model::secret::{Secret, SecretRef, Text};

use super::Entry;

/// A value that is always secret.
pub fn secret(value: &TextOrFile) -> SecretRef {
    match value {
        TextOrFile::Text(text) => SecretRef::Inline(Secret::new(text.as_str())),
        TextOrFile::File(path) => SecretRef::File(path.clone()),
    }
}

/// Headers whose values are credentials wherever they come from.
const SECRET_HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "x-auth-token",
    "api-key",
];

/// A header's value or a body: secret when it comes from a file or the environment, or when the header's name says so.
pub fn text<T>(entry: &Entry<'_, T>, path: &KeyPath, header: Option<&str>, value: &TextOrFile) -> Text {
    let by_name = header.is_some_and(|name| {
        let name = name.to_ascii_lowercase();
        SECRET_HEADERS.contains(&name.as_str()) || name.contains("token") || name.contains("secret")
    });
    match value {
        TextOrFile::File(path) => Text::Secret(SecretRef::File(path.clone())),
        TextOrFile::Text(text) if by_name || entry.is_expanded(path) => {
            Text::Secret(SecretRef::Inline(Secret::new(text.as_str())))
        }
        TextOrFile::Text(text) => Text::Plain(text.as_str().into()),
    }
}
