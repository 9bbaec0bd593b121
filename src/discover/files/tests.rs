//! Real files.

use super::*;
use crate::discover::testing::{Heard, listen};
use crate::model::discovery::SourceKind;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("whyd-file-sd-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("can be made");
        Directory(path)
    }

    /// By rename, as whoever writes such files does.
    fn write(&self, name: &str, text: &str) {
        let beside = self.0.join(format!(".{name}.new"));
        std::fs::write(&beside, text).expect("can be written");
        std::fs::rename(beside, self.0.join(name)).expect("can be renamed");
    }

    fn source(&self, files: &[&str], refresh: Duration) -> SourceKind {
        let files = files.iter().map(|name| self.0.join(name)).collect();
        SourceKind::Files(FileSource { files, refresh })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const LONG: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn changes_are_told_and_a_broken_file_keeps_what_it_said() {
    let directory = Directory::new("changes");
    directory.write("a.json", r#"[{"targets":["a:1"]}]"#);
    directory.write("b.json", r#"[{"targets":["b:1"]}]"#);
    directory.write("c.txt", "not looked at");
    let mut heard = listen(directory.source(&["*.json", "d.yml"], LONG));
    // d.yml is not there, which is said, and spoils no other.
    heard
        .until(|heard| heard.found == ["a:1", "b:1"] && heard.failed.contains("d.yml: No such file"))
        .await;

    directory.write("d.yml", "- targets: [d:1]\n");
    heard
        .until(|heard| heard.found == ["a:1", "b:1", "d:1"] && heard.failed.is_empty())
        .await;

    directory.write("a.json", r#"[{"targets":["a:1","a:2"]"#);
    let place = "a.json:1:25: EOF while parsing";
    heard
        .until(|heard| heard.found == ["a:1", "b:1", "d:1"] && heard.failed.contains(place))
        .await;

    directory.write("a.json", r#"[{"targets":["a:2"]}]"#);
    heard
        .until(|heard| heard.found == ["a:2", "b:1", "d:1"] && heard.failed.is_empty())
        .await;

    std::fs::remove_file(directory.0.join("b.json")).expect("is there");
    heard.until(|heard| heard.found == ["a:2", "d:1"]).await;
}

/// Links are how a test that may run as root makes a file that cannot be looked at.
#[test]
fn only_a_file_that_is_decidedly_not_there_takes_its_targets_along() {
    let directory = Directory::new("absent");
    let (loops, nowhere, gone) = ("loops.json", "nowhere.json", "gone.json");
    for name in [loops, nowhere, gone] {
        directory.write(name, &format!(r#"[{{"targets":["{name}"]}}]"#));
    }
    std::fs::create_dir(directory.0.join("sub")).expect("can be made");
    std::fs::write(directory.0.join("sub/named.yml"), "- targets: [named]\n").expect("can be written");
    let link = |to: &str, name: &str| {
        std::fs::remove_file(directory.0.join(name)).expect("is there");
        std::os::unix::fs::symlink(to, directory.0.join(name)).expect("can be made");
    };
    let found = |looked: &Looked| -> Vec<String> {
        let all = looked.now.values().flatten();
        all.map(|target| target.address.to_string()).collect()
    };
    for patterns in [
        &["*.json", "sub/named.yml"][..],
        &[gone, loops, nowhere, "sub/named.yml"],
    ] {
        let patterns: Vec<PathBuf> = patterns.iter().map(|name| directory.0.join(name)).collect();
        let before = look(&patterns, Kept::new());
        assert_eq!(found(&before), [gone, loops, nowhere, "named"]);
        assert_eq!(before.wrong, [""; 0]);

        link(loops, loops);
        link("not-mounted", nowhere);
        std::fs::remove_file(directory.0.join(gone)).expect("is there");
        std::fs::rename(directory.0.join("sub"), directory.0.join("elsewhere")).expect("is moved");
        let now = look(&patterns, before.now);
        assert_eq!(found(&now), [loops, nowhere, "named"], "{:?}", now.wrong);
        for part in [
            "loops.json: ",
            "nowhere.json: the link leads nowhere",
            "named.yml: ",
        ] {
            assert!(
                now.wrong.iter().any(|why| why.contains(part)),
                "{part}: {:?}",
                now.wrong
            );
        }
        let said = now.wrong.iter().any(|why| why.contains(gone));
        assert_eq!(said, patterns.len() > 2, "one that is named is missed");

        std::fs::rename(directory.0.join("elsewhere"), directory.0.join("sub")).expect("is moved");
        std::fs::remove_file(directory.0.join(nowhere)).expect("is there");
        std::fs::remove_file(directory.0.join(loops)).expect("is there");
        assert_eq!(found(&look(&patterns, now.now)), ["named"]);
        for name in [loops, nowhere, gone] {
            directory.write(name, &format!(r#"[{{"targets":["{name}"]}}]"#));
        }
    }
}

#[tokio::test]
async fn files_are_read_again_without_being_told() {
    let directory = Directory::new("refresh");
    directory.write("a.yml", "- targets: [a]\n");
    let file = FileSource {
        files: [directory.0.join("a.yml")].into(),
        refresh: Duration::from_millis(50),
    };
    let mut heard = Heard::of(|telling| run(file, Arc::from([]), telling));
    heard.until(|heard| heard.found == ["a"]).await;
    directory.write("a.yml", "- targets: [b]\n");
    heard.until(|heard| heard.found == ["b"]).await;
}

#[test]
fn patterns_name_files_of_one_directory() {
    let is = |pattern: &str, file: &str| matches(Path::new(pattern), Path::new(file));
    assert!(is("t/*.json", "t/a.json") && is("t/a*b.yml", "t/ab.yml") && is("t/a.yml", "t/a.yml"));
    assert!(!is("t/*.json", "u/a.json") && !is("t/*.json", "t/.a.json") && !is("t/ab*ba.yml", "t/aba.yml"));
}

/// A FIFO stands for a mount whose server is dead: whoever opens it is held until somebody writes.
#[tokio::test]
async fn a_file_that_does_not_answer_is_said_to_fail_and_read_when_it_does() {
    let directory = Directory::new("silent");
    let path = directory.0.join("a.json");
    let name = std::ffi::CString::new(path.display().to_string()).expect("no NUL");
    // SAFETY: the name is a C string that lives until after the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0, "a FIFO");
    let file = FileSource {
        files: [path.clone()].into(),
        refresh: LONG,
    };
    let limit = Duration::from_millis(50);
    let mut heard = Heard::of(|telling| run_within(file, Arc::from([]), telling, limit));
    heard
        .until(|heard| heard.failed.contains("a.json: reading takes longer than 50ms"))
        .await;
    std::fs::write(&path, r#"[{"targets":["a:1"]}]"#).expect("somebody reads");
    heard
        .until(|heard| heard.found == ["a:1"] && heard.failed.is_empty())
        .await;
    std::fs::remove_file(&path).expect("nobody is held by it any more");
}
