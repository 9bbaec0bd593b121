//! A machine with a really booted systemd: a Debian in a container of namespaces. The test's own thread steps into its
//! network, so that servers of the test are what whyd watches there.

use std::fs;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::harness::LIMIT;
use crate::harness::tools::find;

/// What the machine has besides a minimal Debian.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,libpam-systemd,iproute2,procps";
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Looks again and again until there is something to see.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        pause(LOOK_AGAIN);
    }
}

/// Between two looks at what cannot tell by itself that it has changed, and where it is waited for that nothing happens.
#[allow(
    clippy::disallowed_methods,
    reason = "nothing is waited for by it that could be waited for otherwise"
)]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn done(command: &mut Command) {
    let status = command
        .status()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// The package of this tree, built once in a run of the tests; or the one that `WHYD_DEB` names.
pub fn package() -> PathBuf {
    if let Some(given) = std::env::var_os("WHYD_DEB") {
        return given.into();
    }
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    BUILT
        .get_or_init(|| {
            let made = workspace().join("target/package");
            for old in fs::read_dir(&made).into_iter().flatten().flatten() {
                if old.path().extension().is_some_and(|extension| extension == "deb") {
                    fs::remove_file(old.path()).expect("an old package can be removed");
                }
            }
            done(Command::new(workspace().join("systemd/packages")).args(["--profile", "dev", "deb"]));
            let built = fs::read_dir(&made).expect("what was built").flatten();
            let mut packages = built.map(|entry| entry.path());
            packages
                .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
                .expect("a package")
        })
        .clone()
}

/// What these tests need of the machine that they run on. Without it they have nothing to say, which is said.
pub fn can_be_had() -> bool {
    let tools = ["debootstrap", "systemd-nspawn", "nsenter", "cargo-deb"];
    let found = tools.map(|tool| find(tool, &format!("WHYD_{}", tool.to_uppercase().replace('-', "_"))));
    // SAFETY: it only asks.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root {
        let message = "root is needed to boot a machine";
        assert!(std::env::var_os("WHYD_REQUIRE_TOOLS").is_none(), "{message}");
        eprintln!("\nSKIPPED, NOTHING WAS TESTED: {message}\n");
    }
    is_root && found.iter().all(Option::is_some)
}

/// The root of a Debian, made once and kept.
fn template(suite: &str) -> PathBuf {
    let kept = workspace().join("target/systemd-roots").join(suite);
    if !kept.exists() {
        let making = kept.with_extension("making");
        let _ = fs::remove_dir_all(&making);
        fs::create_dir_all(&making).expect("a directory");
        done(
            Command::new("debootstrap")
                .args(["--variant=minbase", &format!("--include={PACKAGES}"), suite])
                .arg(&making)
                .stdout(Stdio::null()),
        );
        fs::rename(&making, &kept).expect("the finished root can be put in its place");
    }
    kept
}

pub struct Machine {
    root: PathBuf,
    container: Child,
    /// The machine's first process, as it is seen from here.
    leader: u32,
}

impl Machine {
    /// Boots a Debian of that name.
    pub fn boot(suite: &str) -> Machine {
        let root = workspace().join(format!("target/tmp/machine-{suite}-{}", std::process::id()));
        done(
            Command::new("cp")
                .args(["--archive", "--reflink=auto"])
                .arg(template(suite))
                .arg(&root),
        );
        let console = fs::File::create(root.with_extension("console")).expect("a file for the console");
        let container = Command::new("systemd-nspawn")
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            .args([
                "--quiet",
                "--register=no",
                "--keep-unit",
                "--console=pipe",
                "--private-network",
                "--boot",
            ])
            .args(["--machine", &format!("whyd-{suite}-{}", std::process::id())])
            .arg("--directory")
            .arg(&root)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(console.try_clone().expect("a second descriptor"))
            .stderr(console)
            .spawn()
            .expect("systemd-nspawn starts");
        let id = container.id();
        let mut machine = Machine {
            root,
            container,
            leader: 0,
        };
        let children = format!("/proc/{id}/task/{id}/children");
        machine.leader = until("the machine's first process", || {
            let children = fs::read_to_string(&children).ok()?;
            children.split_whitespace().next()?.parse().ok()
        });
        until("the machine has booted", || {
            let state = machine.text_of(&["systemctl", "is-system-running"]);
            matches!(state.trim(), "running" | "degraded").then_some(())
        });
        machine
    }

    /// The thread that calls this is in the machine's network from then on, and so are those that it starts.
    pub fn step_into_its_network(&self) {
        let namespace = fs::File::open(format!("/proc/{}/ns/net", self.leader)).expect("its network");
        // SAFETY: setns changes this thread's network namespace and nothing else.
        let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
        assert_eq!(entered, 0, "{}", std::io::Error::last_os_error());
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("not the root")).expect("a directory");
        let next = path.with_extension("next");
        fs::File::create(&next)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("a file can be written");
        fs::rename(next, path).expect("it can be put in its place");
    }

    pub fn run(&self, command: &[&str]) -> Output {
        Command::new("nsenter")
            .args(["--target", &self.leader.to_string(), "--all", "--wd=/"])
            .args(command)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("SYSTEMD_PAGER", "")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .expect("nsenter runs")
    }

    /// What a command writes, whatever comes of it.
    pub fn text_of(&self, command: &[&str]) -> String {
        let output = self.run(command);
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }

    /// What a command writes that must succeed.
    #[track_caller]
    pub fn ok(&self, command: &[&str]) -> String {
        let output = self.run(command);
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            output.status.success(),
            "{command:?}: {}\n{text}\n{}",
            output.status,
            self.text_of(&["journalctl", "-u", "whyd", "-n", "40"])
        );
        text
    }

    #[track_caller]
    pub fn fails(&self, command: &[&str]) -> String {
        let output = self.run(command);
        assert!(!output.status.success(), "{command:?} succeeds");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// A property of a unit.
    pub fn property(&self, unit: &str, name: &str) -> String {
        let text = self.ok(&["systemctl", "show", "--value", "--property", name, unit]);
        text.trim().to_owned()
    }

    /// whyd's main process, as the machine sees it.
    pub fn main_pid(&self) -> u32 {
        self.property("whyd", "MainPID").parse().expect("a number")
    }

    /// whyd's main process, as it is seen from here.
    pub fn pid_from_here(&self) -> u32 {
        let inside = self.main_pid();
        let space = fs::read_link(format!("/proc/{}/ns/pid", self.leader)).expect("its processes");
        let all = fs::read_dir("/proc").expect("/proc").flatten();
        let mut numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let is_it = |pid: &u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let inner = status.lines().find(|line| line.starts_with("NSpid:"));
            inner.is_some_and(|line| line.split_whitespace().last() == Some(&inside.to_string()))
                && fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|own| own == space)
        };
        numbers.find(is_it).expect("whyd is among the processes")
    }

    /// The journal's entries that match, as they are exported.
    pub fn journal(&self, matching: &[&str]) -> Vec<serde_json::Value> {
        let mut command = vec!["journalctl", "--quiet", "--output=json", "--all"];
        command.extend(matching);
        let text = self.ok(&command);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let signal = |pid: u32, number: i32| {
            // SAFETY: it sends a signal to a process that this test started.
            unsafe { libc::kill(pid.cast_signed(), number) };
        };
        if std::thread::panicking() {
            eprintln!("{}", self.text_of(&["journalctl", "-n", "120", "--no-hostname"]));
        }
        if self.leader != 0 {
            // systemd(1): power off.
            signal(self.leader, libc::SIGRTMIN() + 4);
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(15) {
            if let Ok(Some(_)) = self.container.try_wait() {
                break;
            }
            pause(LOOK_AGAIN);
        }
        let _ = self.container.kill();
        let _ = self.container.wait();
        let _ = fs::remove_file(self.root.with_extension("console"));
        if let Err(error) = remove(&self.root) {
            eprintln!("{} stays: {error}", self.root.display());
        }
    }
}

fn remove(root: &Path) -> std::io::Result<()> {
    fs::remove_dir_all(root)
}

/// A thread that stands still until this is dropped. It is traced and not signalled, so that the others go on.
pub struct Frozen(Vec<i32>);

impl Frozen {
    /// Every thread of that name.
    pub fn threads(pid: u32, name: &str) -> Frozen {
        let mut frozen = Frozen(Vec::new());
        for entry in fs::read_dir(format!("/proc/{pid}/task"))
            .expect("its threads")
            .flatten()
        {
            let comm = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            if comm.trim() == name {
                let thread = entry.file_name().to_str().and_then(|text| text.parse().ok());
                frozen.0.push(thread.expect("a number"));
            }
        }
        assert!(!frozen.0.is_empty(), "{pid} has no thread {name}");
        for thread in &frozen.0 {
            // SAFETY: both calls concern a thread of the test's own service, and neither reads nor writes memory of this one.
            let stopped = unsafe {
                libc::ptrace(libc::PTRACE_SEIZE, *thread, 0, 0) == 0
                    && libc::ptrace(libc::PTRACE_INTERRUPT, *thread, 0, 0) == 0
            };
            assert!(stopped, "{}", std::io::Error::last_os_error());
            // SAFETY: no status is asked for.
            let waited = unsafe { libc::waitpid(*thread, std::ptr::null_mut(), libc::__WALL) };
            assert_eq!(waited, *thread, "{}", std::io::Error::last_os_error());
        }
        frozen
    }

    /// Takes note of threads that were killed: a process whose traced threads nobody takes note of does not go.
    pub fn reap(&self) {
        for thread in &self.0 {
            // SAFETY: no status is asked for, and nothing is waited for.
            unsafe { libc::waitpid(*thread, std::ptr::null_mut(), libc::__WALL | libc::WNOHANG) };
        }
    }
}
