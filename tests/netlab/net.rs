//! Three hosts on one machine: client — router — server, each a network namespace, IPv4 and IPv6.
//!
//! ```text
//!   client                 router                  server
//!   c0 10.91.0.2/24 ── r0 10.91.0.1 │ r1 10.92.0.1 ── s0 10.92.0.2/24
//!   c0 fd91::2/64   ── r0 fd91::1   │ r1 fd92::1   ── s0 fd92::2/64
//! ```
//!
//! Namespaces are private to a test, so that the addresses are the same in all of them. They go away with their handle.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub const CLIENT: &str = "10.91.0.2";
pub const ROUTER: &str = "10.91.0.1";
pub const SERVER: &str = "10.92.0.2";
pub const SERVER_V6: &str = "fd92::2";

/// Why such tests cannot be made here; `None` where they can. Where they are required, that is a failure.
fn missing() -> Option<String> {
    // SAFETY: geteuid(2) takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return Some("root is needed to make network namespaces".to_owned());
    }
    let tools = ["ip", "nft", "sysctl"];
    let lacks = |tool: &&&str| {
        let found = Command::new(tool)
            .arg("-h")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        found.is_err()
    };
    let lacking: Vec<&str> = tools.iter().filter(lacks).copied().collect();
    (!lacking.is_empty()).then(|| format!("not installed: {}", lacking.join(", ")))
}

/// The lab, or `None` (said loudly) where it cannot be made.
pub fn lab() -> Option<Net> {
    if let Some(why) = missing() {
        assert!(
            std::env::var_os("WHYD_REQUIRE_TOOLS").is_none(),
            "cannot run: {why}"
        );
        eprintln!("NOT RUN: {why}");
        return None;
    }
    Some(Net::new())
}

pub struct Net {
    id: u32,
    children: Vec<Child>,
}

/// One of the three hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    Client,
    Router,
    Server,
}

impl Net {
    fn new() -> Net {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let id = std::process::id() * 64 % 1_000_000 + NUMBER.fetch_add(1, Ordering::Relaxed);
        let net = Net {
            id,
            children: Vec::new(),
        };
        for host in [Host::Client, Host::Router, Host::Server] {
            run("ip", ["netns", "add", &net.name(host)]);
            net.on(host, "ip", ["link", "set", "lo", "up"]);
            // Without it, link-local addresses cannot be used in the first second, and neighbours stay unknown so long.
            net.sysctl(host, "net.ipv6.conf.all.accept_dad=0");
            net.sysctl(host, "net.ipv6.conf.default.accept_dad=0");
        }
        net.join(Host::Client, "c0", "r0");
        net.join(Host::Server, "s0", "r1");
        let sides = [
            (Host::Client, "c0", "10.91.0.2/24", "fd91::2/64"),
            (Host::Router, "r0", "10.91.0.1/24", "fd91::1/64"),
            (Host::Router, "r1", "10.92.0.1/24", "fd92::1/64"),
            (Host::Server, "s0", "10.92.0.2/24", "fd92::2/64"),
        ];
        for (host, device, v4, v6) in sides {
            net.on(host, "ip", ["addr", "add", v4, "dev", device]);
            // Without duplicate address detection the address can be used at once.
            net.on(host, "ip", ["-6", "addr", "add", v6, "dev", device, "nodad"]);
            net.on(host, "ip", ["link", "set", device, "up"]);
        }
        for (host, device, ..) in sides {
            net.await_link(host, device);
        }
        net.sysctl(Host::Router, "net.ipv4.ip_forward=1");
        net.sysctl(Host::Router, "net.ipv6.conf.all.forwarding=1");
        for (host, v4, v6) in [
            (Host::Client, "10.91.0.1", "fd91::1"),
            (Host::Server, "10.92.0.1", "fd92::1"),
        ] {
            net.on(host, "ip", ["route", "add", "default", "via", v4]);
            net.on(host, "ip", ["-6", "route", "add", "default", "via", v6]);
        }
        net
    }

    /// A cable from the host to the router.
    fn join(&self, host: Host, device: &str, at_router: &str) {
        let (name, router) = (self.name(host), self.name(Host::Router));
        run(
            "ip",
            [
                "link", "add", device, "netns", &name, "type", "veth", "peer", "name", at_router, "netns",
                &router,
            ],
        );
    }

    /// Waits until the device is up in the eyes of IPv6 as well: the kernel tells of a new carrier at most once a
    /// second, and until then neighbour discovery is deaf on it.
    fn await_link(&self, host: Host, device: &str) {
        let wait = "until grep -q up /sys/class/net/$0/operstate; do sleep 0.02; done";
        self.on(host, "timeout", ["10", "sh", "-c", wait, device]);
    }

    /// The namespace's name.
    pub fn name(&self, host: Host) -> String {
        let letter = match host {
            Host::Client => 'c',
            Host::Router => 'r',
            Host::Server => 's',
        };
        format!("whyd{}{letter}", self.id)
    }

    /// A command inside the host's namespace, ready to be changed and run.
    pub fn command(&self, host: Host, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(host)]).arg(program);
        command
    }

    /// Runs a command there, which must succeed; returns what it printed.
    #[track_caller]
    pub fn on<const N: usize>(&self, host: Host, program: &str, arguments: [&str; N]) -> String {
        let mut command = self.command(host, program);
        succeed(command.args(arguments))
    }

    #[track_caller]
    pub fn sysctl(&self, host: Host, setting: &str) {
        self.on(host, "sysctl", ["-q", "-w", setting]);
    }

    /// Loads nftables rules there: a whole ruleset in nft's own language.
    #[track_caller]
    pub fn nft(&self, host: Host, rules: &str) {
        self.on(host, "nft", [rules]);
    }

    /// Starts a server there, which ends with this handle. The caller waits until it answers.
    #[track_caller]
    pub fn start(&mut self, host: Host, program: &str, arguments: &[&str]) {
        let mut command = self.command(host, program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn();
        self.children
            .push(child.unwrap_or_else(|error| panic!("{program} does not start: {error}")));
    }

    /// Runs a closure on a thread inside the host's namespace: its sockets belong there, also after it returned.
    #[track_caller]
    pub fn within<T: Send>(&self, host: Host, work: impl FnOnce() -> T + Send) -> T {
        let path = format!("/run/netns/{}", self.name(host));
        let namespace = fs::File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        std::thread::scope(|scope| {
            let inside = scope.spawn(move || {
                use std::os::fd::AsRawFd;
                // SAFETY: setns(2) changes the network namespace of this thread alone, which ends below.
                let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
                assert_eq!(entered, 0, "{}", std::io::Error::last_os_error());
                work()
            });
            inside
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The files that `ip netns exec` lays over /etc for the host: `resolv.conf` and `hosts`.
    pub fn etc(&self, host: Host, file: &str, text: &str) {
        let directory = PathBuf::from("/etc/netns").join(self.name(host));
        fs::create_dir_all(&directory).expect("a directory under /etc/netns");
        fs::write(directory.join(file), text).expect("a file under /etc/netns");
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        for host in [Host::Client, Host::Router, Host::Server] {
            let name = self.name(host);
            let _ = Command::new("ip").args(["netns", "del", &name]).status();
            let _ = fs::remove_dir_all(PathBuf::from("/etc/netns").join(&name));
        }
    }
}

#[track_caller]
fn run<const N: usize>(program: &str, arguments: [&str; N]) -> String {
    succeed(Command::new(program).args(arguments))
}

#[track_caller]
fn succeed(command: &mut Command) -> String {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
