//! The place of a value within a document: keys and indexes from the root.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// `dependencies[3].timeouts.connect`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyPath(pub Vec<Step>);

impl KeyPath {
    pub fn root() -> Self {
        KeyPath::default()
    }

    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.joined(Step::Key(key.to_owned()))
    }

    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.joined(Step::Index(index))
    }

    fn joined(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        KeyPath(steps)
    }

    #[must_use]
    pub fn join(&self, rest: &KeyPath) -> Self {
        KeyPath(self.0.iter().chain(&rest.0).cloned().collect())
    }

    /// The keys alone, of a dotted text such as `timeouts.connect`.
    #[must_use]
    pub fn dotted(&self, keys: &str) -> Self {
        keys.split('.').fold(self.clone(), |path, key| path.key(key))
    }

    pub fn parent(&self) -> Option<(KeyPath, &Step)> {
        let (last, rest) = self.0.split_last()?;
        Some((KeyPath(rest.to_vec()), last))
    }

    pub fn starts_with(&self, prefix: &KeyPath) -> bool {
        self.0.starts_with(&prefix.0)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if i == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
