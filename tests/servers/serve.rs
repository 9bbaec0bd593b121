//! Other people's servers on loopback, for the tests of this directory: started with a configuration of the test's own
//! on free ports, waited for, and ended for certain.
//!
//! A [`Recipe`] says what to run. Its files and arguments may hold `{0}`, `{1}`, … for ports of the server's own, which
//! are waited for, `{dir}` for the directory of its files, and whatever [`Recipe::set`] names. A server runs as nobody
//! where the test runs as root. It ends with its handle, with all its children; also when the test panics, and then
//! what it wrote is printed; and by a signal when the test's thread ends without unwinding.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::harness::{LIMIT, Process, eventually};

/// Gives the started server, or ends the test where its program is not installed, which has been said then.
#[macro_export]
macro_rules! need {
    ($recipe:expr) => {
        match $recipe.start().await {
            Some(server) => server,
            None => return,
        }
    };
}

/// What to run.
pub struct Recipe {
    program: &'static str,
    arguments: Vec<String>,
    files: Vec<(String, String)>,
    programs: Vec<String>,
    values: Vec<(String, String)>,
    ready: Option<&'static str>,
}

/// A server that runs. It ends with this handle.
pub struct Server {
    name: &'static str,
    process: Process,
    directory: Directory,
    ports: Vec<u16>,
}

impl Recipe {
    pub fn new(program: &'static str, arguments: &[&str]) -> Recipe {
        Recipe {
            program,
            arguments: arguments.iter().map(|&text| text.to_owned()).collect(),
            files: Vec::new(),
            programs: Vec::new(),
            values: Vec::new(),
            ready: None,
        }
    }

    /// A file of its directory, in which the places are filled in.
    pub fn file(mut self, name: &str, text: impl Into<String>) -> Recipe {
        self.files.push((name.to_owned(), text.into()));
        self
    }

    /// A file that may be executed.
    pub fn program_file(mut self, name: &str, text: impl Into<String>) -> Recipe {
        self.programs.push(name.to_owned());
        self.file(name, text)
    }

    /// What stands for `{name}`.
    pub fn set(mut self, name: &str, value: impl ToString) -> Recipe {
        self.values.push((format!("{{{name}}}"), value.to_string()));
        self
    }

    /// It is ready when this is in what it writes and its ports answer, not when they answer alone.
    pub fn says(mut self, line: &'static str) -> Recipe {
        self.ready = Some(line);
        self
    }

    /// Starts it and waits until all its ports answer. `None` where it is not installed. Another program may take one of
    /// its ports first: then it is started again on others.
    pub async fn start(self) -> Option<Server> {
        let program = find(self.program)?;
        let mut log = String::new();
        for _ in 0..5 {
            let server = self.spawn(&program);
            match server.ready(self.ready).await {
                Ok(()) => return Some(server),
                Err(written) => log = written,
            }
            assert!(
                log.to_lowercase().contains("in use"),
                "{} has ended:\n{log}",
                self.program
            );
        }
        panic!("{} finds no free port:\n{log}", self.program);
    }

    fn spawn(&self, program: &Path) -> Server {
        let directory = Directory::new(self.program);
        let places = |number: &usize| {
            let place = format!("{{{number}}}");
            let texts = self.files.iter().map(|(_, text)| text);
            texts.chain(&self.arguments).any(|text| text.contains(&place))
        };
        let count = (0..16).take_while(places).count();
        let ports = free_ports(count);
        let fill = |text: &str| {
            let mut text = text.replace("{dir}", &directory.0.display().to_string());
            for (place, value) in &self.values {
                text = text.replace(place, value);
            }
            for (number, port) in ports.iter().enumerate() {
                text = text.replace(&format!("{{{number}}}"), &port.to_string());
            }
            text
        };
        for (name, text) in &self.files {
            let mode = if self.programs.contains(name) {
                0o755
            } else {
                0o644
            };
            directory.write(name, &fill(text), mode);
        }
        let mut command = Command::new(program);
        command
            .args(self.arguments.iter().map(|argument| fill(argument)))
            .env_remove("RUST_LOG")
            .current_dir(&directory.0);
        end_with_its_parent(&mut command);
        Server {
            name: self.program,
            process: Process::start(command),
            directory,
            ports,
        }
    }
}

impl Server {
    /// The port that the configuration names so.
    pub fn port(&self, number: usize) -> u16 {
        self.ports[number]
    }

    /// `127.0.0.1` with that port.
    pub fn address(&self, number: usize) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port(number)))
    }

    /// `http://127.0.0.1:PORT/path` with its first port.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address(0))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.0.join(name)
    }

    /// Sends a signal to its first process.
    pub fn signal(&self, signal: libc::c_int) {
        self.process.signal(signal);
    }

    /// Sends a signal to all its processes: SIGSTOP freezes it as a whole.
    pub fn signal_all(&self, signal: libc::c_int) {
        self.process.signal_group(signal);
    }

    /// Everything that it wrote, to its outputs and to log files in its directory.
    pub fn log(&self) -> String {
        let mut text = self.process.written().text();
        let files = fs::read_dir(&self.directory.0).into_iter().flatten().flatten();
        for file in files.filter(|file| file.path().extension().is_some_and(|end| end == "log")) {
            let log = fs::read(file.path()).unwrap_or_default();
            let name = file.path();
            let _ = write!(text, "\n-- {}\n{}", name.display(), String::from_utf8_lossy(&log));
        }
        text
    }

    /// Waits until it has written this.
    pub async fn logged(&self, text: &str) {
        let what = format!("{} writes {text:?}", self.name);
        eventually(&what, async || self.log().contains(text).then_some(())).await;
    }

    /// Waits for its ports; what it wrote where it ends instead.
    async fn ready(&self, line: Option<&str>) -> Result<(), String> {
        let limit = Instant::now() + LIMIT;
        for &port in &self.ports {
            while !answers(port) {
                let written = self.process.written();
                if written.ended {
                    return Err(written.text());
                }
                assert!(
                    Instant::now() < limit,
                    "{} does not listen:\n{}",
                    self.name,
                    self.log()
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        if let Some(line) = line {
            self.logged(line).await;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("-- {} wrote:\n{}", self.name, self.log());
        }
    }
}

/// Whether something listens there, by IPv4 or IPv6.
fn answers(port: u16) -> bool {
    let homes: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    homes.iter().any(|&home| TcpStream::connect((home, port)).is_ok())
}

/// A directory that a server may read and write whoever it runs as. It goes away with its handle.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("whyd-servers-{}-{number}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a directory for the server's files");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("it is this test's");
        Directory(path)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.0.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a directory for the server's files");
        }
        fs::write(&path, text).expect("a server's file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is this test's");
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What stays in the temporary directory is the system's to remove.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where a program is. Without it the test has nothing to say, which is an error where `WHYD_REQUIRE_TOOLS` is set, and
/// is said out loud elsewhere. The system's directories come first: what a user's directory holds is not for nobody.
pub fn find(name: &str) -> Option<PathBuf> {
    let system = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = system.into_iter().chain(std::env::split_paths(&path));
    let found = all
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("WHYD_REQUIRE_TOOLS").is_none(),
            "{name} is not installed"
        );
        eprintln!("\nSKIPPED, NOTHING WAS TESTED: {name} is not installed\n");
    }
    found
}

/// Ports on which nothing listens now, of those that no outgoing connection takes by itself.
pub fn free_ports(count: usize) -> Vec<u16> {
    /// Below the kernel's default `ip_local_port_range`, which begins at 32768.
    const RANGE: std::ops::Range<u32> = 12_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let seed = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        now.subsec_micros()
            .wrapping_add(std::process::id().wrapping_mul(7_919))
    };
    let _ = NEXT.compare_exchange(
        0,
        seed() % RANGE.len() as u32,
        Ordering::Relaxed,
        Ordering::Relaxed,
    );
    let candidates = (0..RANGE.len()).map(|_| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) % RANGE.len() as u32;
        u16::try_from(RANGE.start + number).expect("in the range")
    });
    let free = |port: &u16| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
            && std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
    };
    let ports: Vec<u16> = candidates.filter(free).take(count).collect();
    assert_eq!(ports.len(), count, "there are free ports");
    ports
}

/// The server gets a terminating signal when the thread that started it is no more, and is nobody where it may choose.
fn end_with_its_parent(command: &mut Command) {
    // SAFETY: geteuid(2) always succeeds and touches no memory.
    if unsafe { libc::geteuid() } == 0 {
        const NOBODY: u32 = 65_534;
        command.uid(NOBODY).gid(NOBODY);
    }
    // SAFETY: prctl(2) is safe to call after fork; it allocates nothing and touches no memory of ours.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}
