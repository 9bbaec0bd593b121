//! Secrets as types: what may be printed and what may not.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A secret value. Its `Debug` and `Display` show that there is one, and nothing of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Arc<str>);

impl Secret {
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Secret(value.into())
    }

    /// The value itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The variable that names the directory of the credentials which the service manager hands over (systemd.exec(5)).
pub const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Where a secret comes from. Only edges resolve it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// Read when needed, and again when the file changes; a trailing newline is not part of it.
    File(PathBuf),
    /// The name of a credential that the service manager hands over (systemd.exec(5), `LoadCredential=`): a file of that
    /// name in `$CREDENTIALS_DIRECTORY`, read as any other.
    Credential(Arc<str>),
    /// Given in place (from the environment or the command line).
    Inline(Secret),
}

/// A text that may be secret, such as a header's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Text {
    Plain(Arc<str>),
    Secret(SecretRef),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let secret = Text::Secret(SecretRef::Inline(Secret::new("hunter2")));
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(Secret::new("hunter2").to_string(), "[redacted]");
    }
}
