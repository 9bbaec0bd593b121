//! How much one list or one object may hold. Its labels stand on each of its targets: whoever may write many of both would
//! otherwise multiply a short text by itself until no memory is left.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::discovery::Target;

/// Labels of one group or object, those with `__` in front among them.
pub const MOST_LABELS: usize = 512;
/// What all targets of a list or an object may hold in all, in bytes.
const MOST: usize = 64 << 20;
/// What a label takes besides its letters: two pointers and their share of the tree.
pub const PER_LABEL: usize = 64;

/// What the targets that were made so far hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight(usize);

impl Weight {
    /// Adds one more target to it.
    ///
    /// # Errors
    /// Its targets hold more than they may.
    pub fn add(&mut self, target: &Target) -> Result<(), String> {
        let settings = target.settings.as_ref().map_or(0, |settings| settings.len());
        self.add_bytes(target.address.len() + target.id.len() + settings + of_labels(&target.labels))
    }

    /// As `add`, of what its parts are known to hold.
    ///
    /// # Errors
    /// As of `add`.
    pub fn add_bytes(&mut self, bytes: usize) -> Result<(), String> {
        self.0 = self.0.saturating_add(bytes);
        if self.0 <= MOST {
            return Ok(());
        }
        let most = MOST >> 20;
        Err(format!(
            "its targets, each with all its labels, hold more than {most} MiB"
        ))
    }
}

/// What the labels hold on each target, in bytes.
pub fn of_labels(labels: &BTreeMap<Arc<str>, Arc<str>>) -> usize {
    let one = |(name, value): (&Arc<str>, &Arc<str>)| name.len() + value.len() + PER_LABEL;
    labels.iter().map(one).sum()
}
