//! Where names can come, go and be replaced on the way to a file. Links are replaced as a whole (the mounts of Kubernetes,
//! git-sync), which moves nothing in the directory that they lead to.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// As many as Linux follows (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// The directories to be watched for changes of a file, or of what is in a directory: where it is, where each link is that leads
/// there, and the last one that is there where the way ends.
pub fn directories(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut links = 0;
    let mut here = PathBuf::new();
    let mut rest = names(path);
    while let Some(name) = rest.pop() {
        match Path::new(&name).components().next() {
            Some(Component::Normal(_)) => {}
            Some(Component::ParentDir) => {
                up(&mut here);
                continue;
            }
            Some(Component::CurDir) | None => continue,
            // The root, or a prefix.
            Some(root) => {
                here = PathBuf::from(root.as_os_str());
                continue;
            }
        }
        let next = here.join(&name);
        match fs::symlink_metadata(&next) {
            Ok(what) if what.is_symlink() => {
                found.insert(or_this(here.clone()));
                links += 1;
                match fs::read_link(&next) {
                    Ok(to) if links <= MOST_LINKS => rest.extend(names(&to)),
                    _ => return found,
                }
            }
            Ok(_) => here = next,
            Err(_) => {
                found.insert(or_this(here));
                return found;
            }
        }
    }
    if !or_this(here.clone()).is_dir() {
        here.pop();
    }
    found.insert(or_this(here));
    found
}

/// The last one first.
fn names(path: &Path) -> Vec<OsString> {
    let all = path.components().rev();
    all.map(|one| one.as_os_str().to_owned()).collect()
}

/// `..`, of a way without links.
fn up(here: &mut PathBuf) {
    match here.components().next_back() {
        Some(Component::Normal(_)) => drop(here.pop()),
        None | Some(Component::ParentDir) => here.push(".."),
        _ => {}
    }
}

fn or_this(directory: PathBuf) -> PathBuf {
    if directory.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        directory
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn each_link_on_the_way_is_watched_where_it_is() {
        let top = std::env::temp_dir().join(format!("whyd-ways-{}", std::process::id()));
        let _ = fs::remove_dir_all(&top);
        for directory in ["rev1/t", "links", "other"] {
            fs::create_dir_all(top.join(directory)).expect("can be made");
        }
        let top = top.canonicalize().expect("is there");
        fs::write(top.join("rev1/t/a.json"), "").expect("can be written");
        symlink("rev1", top.join("current")).expect("can be made");
        symlink("../current/t/a.json", top.join("links/a.json")).expect("can be made");
        symlink(top.join("nowhere/b.json"), top.join("other/b.json")).expect("can be made");
        symlink("loop", top.join("loop")).expect("can be made");
        let found = |path: &str| -> Vec<String> {
            let all = directories(&top.join(path)).into_iter();
            let inner = all.map(|one| one.strip_prefix(&top).map(Path::to_owned));
            inner
                .map(|one| one.expect("is inside").display().to_string())
                .collect()
        };
        for (path, expected) in [
            ("rev1/t/a.json", &["rev1/t"][..]),
            ("rev1/t", &["rev1/t"]),
            ("current/t", &["", "rev1/t"]),
            ("current/t/new.json", &["", "rev1/t"]),
            ("links/a.json", &["", "links", "rev1/t"]),
            ("links/../rev1/t/a.json", &["rev1/t"]),
            ("other/b.json", &["", "other"]),
            ("not/yet/there", &[""]),
            ("loop", &[""]),
        ] {
            assert_eq!(found(path), expected, "{path}");
        }
        let _ = fs::remove_dir_all(&top);
    }

    #[test]
    fn a_file_without_a_directory_lies_in_this_one() {
        let this = BTreeSet::from([PathBuf::from(".")]);
        assert_eq!(directories(Path::new("absent.yaml")), this);
        assert_eq!(directories(Path::new("./Cargo.toml")), this);
    }
}
