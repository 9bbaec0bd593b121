//! What the kernel's files say, read and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

/// The file without the space around its text; `None` where there is none.
pub fn text(path: impl AsRef<Path>) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

pub fn number(path: impl AsRef<Path>) -> Option<u64> {
    text(path)?.parse().ok()
}

/// An error number in the system's words.
pub fn error(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// The directories of that process's control group (version 2), or of our own, from its own up to the root as we see it: a limit of any of them holds.
pub fn control_groups(pid: Option<u32>) -> Vec<PathBuf> {
    let process = pid.map_or("self".to_owned(), |pid| pid.to_string());
    let own = text(format!("/proc/{process}/cgroup")).unwrap_or_default();
    groups(&own, Path::new("/sys/fs/cgroup"))
}

fn groups(own: &str, root: &Path) -> Vec<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let Some(path) = path else { return Vec::new() };
    // Behind `..` are groups that this namespace does not show.
    let path: PathBuf = Path::new(path)
        .components()
        .filter(|part| matches!(part, std::path::Component::Normal(_)))
        .collect();
    let mut all: Vec<PathBuf> = path.ancestors().map(|part| root.join(part)).collect();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_within_all_those_above_it() {
        let root = Path::new("/g");
        let names = |own: &str| -> Vec<String> {
            let all = groups(own, root);
            all.iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(
            names("0::/a.slice/b.service"),
            ["/g/a.slice/b.service", "/g/a.slice", "/g/"]
        );
        assert_eq!(names("0::/"), ["/g/"]);
        assert_eq!(names("0::/../x"), ["/g/x", "/g/"]);
        assert_eq!(names("1:cpu:/x"), [] as [&str; 0]);
    }

    #[test]
    fn errors_are_words() {
        assert_eq!(error(libc::EACCES), "Permission denied");
    }
}
