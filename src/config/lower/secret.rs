//! Secrets and files.

use std::path::PathBuf;

use super::super::raw::choices::SecretText;
use super::super::report::Place;
use super::{Context, Origin};
use crate::model::secret::{Secret, SecretRef};

/// A file's path: from the configuration's directory unless absolute. One that is not there is only a warning, because
/// a configuration may be checked elsewhere than it is used.
pub fn path(context: &mut Context<'_>, text: &str, place: &Place) -> PathBuf {
    let directory = context.directories.get(place.file).cloned().unwrap_or_default();
    let path = directory.join(text);
    if text.is_empty() {
        context.report.error(place, "the path is empty");
    } else if !path.exists() {
        match context.from {
            Origin::Files => context.report.warning(place, "there is no such file here"),
            Origin::CommandLine => context.report.error(place, "there is no such file"),
        }
    }
    path
}

/// A secret.
pub fn lower(context: &mut Context<'_>, text: &SecretText, place: &Place) -> SecretRef {
    match text {
        SecretText::Inline(text) => {
            if text.is_empty() {
                context.report.error(place, "the secret is empty");
            }
            SecretRef::Inline(Secret::new(text.as_str()))
        }
        SecretText::File(text) => SecretRef::File(path(context, text, &place.key("file"))),
    }
}
