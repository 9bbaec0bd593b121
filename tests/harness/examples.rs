//! What `whyd check` prints for people, kept as the example of a cause.
//!
//! Off unless `WHYD_EXAMPLES` names a directory: then the first run that ends in a cause leaves what it printed there as
//! `CAUSE.txt`. `UPDATE_EXPECT=1 WHYD_EXAMPLES=DIR cargo test --lib examples` makes docs/examples.md of them.

use std::path::PathBuf;

/// Whether examples are kept in this run, for what must be asked again to have one.
pub fn wanted(cause: &str) -> bool {
    file(cause).is_some_and(|file| !file.exists())
}

/// Keeps the text of a cause that has none yet. A text that names another cause, or a file of this machine, is no example.
pub fn keep(cause: &str, text: &str) {
    let is_of_the_cause = text.contains(&format!("  {cause}, "));
    let is_of_this_machine = text.contains("/tmp") || text.contains("/root");
    if let Some(file) = file(cause)
        && !file.exists()
        && is_of_the_cause
        && !is_of_this_machine
    {
        std::fs::write(file, text).expect("WHYD_EXAMPLES is a directory");
    }
}

/// The same, of what was printed of several targets.
pub fn keep_among(cause: &str, text: &str) {
    let begins = |line: &&str| ["✗ ", "? ", "✓ ", "! "].iter().any(|mark| line.starts_with(mark));
    let mut blocks: Vec<String> = Vec::new();
    for line in text.lines() {
        if begins(&line) || blocks.is_empty() {
            blocks.push(String::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.push_str(line);
            block.push('\n');
        }
    }
    for block in blocks {
        keep(cause, &format!("{}\n", block.trim_end()));
    }
}

fn file(cause: &str) -> Option<PathBuf> {
    let directory = PathBuf::from(std::env::var_os("WHYD_EXAMPLES")?);
    Some(directory.join(format!("{cause}.txt")))
}
