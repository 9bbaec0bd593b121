//! `--watch-config`: files that others replace are read again, as Kubernetes replaces those of a ConfigMap.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Daemon, Files, run};

fn nobody(name: &str) -> String {
    format!("dependencies: [{{name: {name}, url: 'http://127.0.0.1:1/'}}]\n")
}

fn watching(config: &Path) -> Command {
    let mut command = run(config);
    command.args(["--watch-config", "--listen", "127.0.0.1:0"]);
    command
}

/// A volume as a kubelet makes it of a ConfigMap: files are links into `..data`, which is a link to a directory that is
/// written beside the old one; one rename of the link changes all of them.
struct Mount(PathBuf);

impl Mount {
    fn new(files: &Files, text: &str) -> Mount {
        let mount = Mount(files.path("mount"));
        fs::create_dir_all(&mount.0).expect("a directory");
        mount.swap("..2026_01", text);
        symlink("..data/whyd.yaml", mount.0.join("whyd.yaml")).expect("a link");
        mount
    }

    fn swap(&self, directory: &str, text: &str) {
        let old = fs::read_link(self.0.join("..data"));
        fs::create_dir(self.0.join(directory)).expect("a directory");
        fs::write(self.0.join(directory).join("whyd.yaml"), text).expect("written");
        symlink(directory, self.0.join("..data_tmp")).expect("a link");
        fs::rename(self.0.join("..data_tmp"), self.0.join("..data")).expect("renamed");
        if let Ok(old) = old {
            fs::remove_dir_all(self.0.join(old)).expect("removed");
        }
    }
}

/// As a directory and as the file in it: one log line for each swap, and a bad one changes nothing until a good one comes.
#[tokio::test]
async fn a_configmap_that_is_swapped_is_read_again() {
    for file in ["", "whyd.yaml"] {
        let files = Files::new();
        let mount = Mount::new(&files, &nobody("first"));
        let mut daemon = Daemon::of(watching(&mount.0.join(file))).await;
        mount.swap("..2026_02", &nobody("second"));
        daemon.process.line("reloaded ").await;
        assert_eq!(daemon.get("/api/v1/dependencies/second").await.status, 200);
        assert_eq!(daemon.get("/api/v1/dependencies/first").await.status, 404);

        mount.swap("..2026_03", "dependencies: [{name: third, url: 'nowhere'}]\n");
        daemon.process.line("reload refused").await;
        assert_eq!(daemon.get("/api/v1/dependencies/second").await.status, 200);
        let metrics = daemon.metrics().await;
        assert_eq!(metrics.get("whyd_config_last_reload_success", &[]), Some(0.0));

        // The kubelet writes a volume anew for a label of the ConfigMap as well; of that nothing is to be said.
        let before = daemon.process.written().lines.len();
        mount.swap("..2026_04", "dependencies: [{name: third, url: 'nowhere'}]\n");
        mount.swap("..2026_05", &nobody("fourth"));
        daemon.process.line_after(before, "reloaded ").await;
        assert_eq!(daemon.get("/api/v1/dependencies/fourth").await.status, 200);
        let written = daemon.stop().await;
        let count = |text: &str| written.lines.iter().filter(|line| line.contains(text)).count();
        assert_eq!(
            (count("reloaded "), count("reload refused")),
            (2, 1),
            "{}",
            written.text()
        );
    }
}

/// Without the flag files may change as they like, until somebody says that they are ready.
#[tokio::test]
async fn nobody_reads_again_unasked() {
    let files = Files::new();
    let path = files.config(&nobody("first"));
    let unasked = Daemon::start(&path).await;
    let mut asked = Daemon::of(watching(&path)).await;
    files.config(&nobody("second"));
    asked.process.line("reloaded ").await;
    assert_eq!(unasked.get("/api/v1/dependencies/first").await.status, 200);
    assert_eq!(unasked.post("/-/reload").await.status, 200);
    assert_eq!(unasked.get("/api/v1/dependencies/second").await.status, 200);
    let text = unasked.stop().await.text();
    assert_eq!(text.matches("reloaded ").count(), 1, "{text}");
}

#[tokio::test]
async fn a_file_that_comes_and_one_that_goes_are_noticed() {
    let files = Files::new();
    fs::create_dir_all(files.path("conf.d")).expect("a directory");
    files.write("conf.d/a.yaml", &nobody("first"));
    let mut daemon = Daemon::of(watching(&files.path("conf.d"))).await;
    files.write("conf.d/b.yaml", &nobody("second"));
    daemon
        .process
        .line("1 added, 0 changed, 0 removed, 1 unchanged")
        .await;
    fs::remove_file(files.path("conf.d/a.yaml")).expect("it was there");
    daemon
        .process
        .line("0 added, 0 changed, 1 removed, 1 unchanged")
        .await;
}
