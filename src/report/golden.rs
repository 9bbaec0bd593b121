//! Files that hold what the program prints: generated documents and golden texts.

use std::path::Path;

/// Holds the text against the file (relative to the root of the package). With `UPDATE_EXPECT=1` the file is written instead.
pub fn assert_current(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).expect("the folder can be made");
        }
        std::fs::write(&file, text).expect("the file can be written");
        return;
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == text,
        "{path} is not current (UPDATE_EXPECT=1 rewrites it); the program now makes:\n{text}"
    );
}
