//! Secrets, files and credentials.

use std::path::{Path, PathBuf};

use super::super::raw::choices::SecretText;
use super::super::report::{Finding, Place};
use super::{Context, Origin};
use crate::model::secret::{CREDENTIALS_DIRECTORY, Secret, SecretRef};

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
        SecretText::Credential(name) => credential(context, name, &place.key("credential")),
    }
}

/// A credential of the service manager's. One that is not there is only a warning, as a file is.
fn credential(context: &mut Context<'_>, name: &str, place: &Place) -> SecretRef {
    if !is_credential_name(name) {
        context.report.add(
            Finding::error(place, "not a credential's name")
                .expected("the name that `LoadCredential=NAME:PATH` of the unit gives it: a file's name without `/` and `:`"),
        );
    } else {
        let directory = context.env.var(CREDENTIALS_DIRECTORY);
        if !directory.is_some_and(|directory| Path::new(&directory).join(name).exists()) {
            let advice = format!("`LoadCredential={name}:PATH` in systemd's unit hands it over");
            context
                .report
                .add(Finding::warning(place, "there is no such credential here").suggest(advice));
        }
    }
    SecretRef::Credential(name.into())
}

/// As systemd checks it (`credential_name_valid` in its src/shared/creds-util.c): the name of a file and of a descriptor.
fn is_credential_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= 255
        && name
            .bytes()
            .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'/' && byte != b':')
}
