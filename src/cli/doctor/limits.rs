//! Whose limits are judged: those of a whyd that runs here, where it can be found without guessing, or else those of the
//! shell that asked. A unit and a shell seldom have the same.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::finding::Finding;
use super::system;

/// Our unit, as systemd/ and the packages have it.
const UNIT: &str = "whyd.service";
/// For the answer of systemd, which may be busy.
const PATIENCE: Duration = Duration::from_secs(2);
/// `TCP_LISTEN` of the kernel's tables of sockets.
const LISTENS: &str = "0A";
/// What a whyd opens sockets of, and what goes without where it may not.
const FAMILIES: [(&str, &str); 4] = [
    ("AF_INET", "nothing is reached by IPv4"),
    ("AF_INET6", "nothing is reached by IPv6"),
    ("AF_UNIX", "neither systemd nor the journal hears of it"),
    (
        "AF_NETLINK",
        "it does not see routes and links, by which it tells whose fault a failure is",
    ),
];

pub struct Facts {
    pub process: Option<Process>,
    /// Somebody holds the state directory or answers at the listener as a whyd does, and cannot be looked at from here.
    pub hidden: bool,
    pub unit: Option<Unit>,
}

/// A whyd that runs.
#[derive(Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    pub found: FoundBy,
    /// The soft limit, which it has raised as far as it may.
    pub open_files: Option<u64>,
    /// Whether it sees the same network as we do; `None` where that is not to be known.
    pub same_network: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    StateDirectory,
    Listener,
    Unit,
}

/// What systemd says of our unit.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unit {
    pub main_pid: Option<u32>,
    pub open_files: Option<String>,
    /// Families that it may not use, of those that a whyd needs.
    pub without: Vec<&'static str>,
}

impl Facts {
    /// `holder` has the state directory locked; `listener` is where somebody listens, and whether it answered as a whyd does.
    pub fn gather(holder: Option<u32>, listener: Option<(SocketAddr, bool)>) -> Self {
        let unit = unit();
        let main = unit.as_ref().and_then(|unit| unit.main_pid);
        let by = |found| move |pid| (pid, found);
        let found = holder
            .map(by(FoundBy::StateDirectory))
            .or_else(|| {
                listener
                    .and_then(|(address, _)| listens_at(address))
                    .map(by(FoundBy::Listener))
            })
            .or_else(|| main.map(by(FoundBy::Unit)));
        let process = found.and_then(|(pid, found)| Process::look(pid, found));
        Facts {
            hidden: process.is_none() && (holder.is_some() || listener.is_some_and(|(_, answered)| answered)),
            process,
            unit,
        }
    }

    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.pid)
    }
}

impl Process {
    /// `None` where it has gone, or is another program's.
    fn look(pid: u32, found: FoundBy) -> Option<Self> {
        if !is_ours(pid) {
            return None;
        }
        let network = |of: &str| fs::read_link(format!("/proc/{of}/ns/net")).ok();
        let own = network("self").zip(network(&pid.to_string()));
        Some(Process {
            pid,
            found,
            open_files: open_files(&system::text(format!("/proc/{pid}/limits"))?),
            same_network: own.map(|(ours, its)| ours == its),
        })
    }
}

/// Whether the process is a whyd: the kernel's note of a lock names a file by its number alone, and a socket may be held by
/// whoever handed it on.
fn is_ours(pid: u32) -> bool {
    system::text(format!("/proc/{pid}/comm")).is_some_and(|name| name == "whyd")
}

/// `Max open files            1024                 524288               files`: the soft limit.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(libc::RLIM_INFINITY),
        number => number.parse().ok(),
    }
}

/// The one whyd that listens there, if it is one and may be looked at.
fn listens_at(address: SocketAddr) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| system::text(path).unwrap_or_default());
    let sockets: BTreeSet<PathBuf> = tables
        .iter()
        .flat_map(|table| listeners(table, address))
        .map(|inode| format!("socket:[{inode}]").into())
        .collect();
    let holds = |pid: &u32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten();
        open.filter_map(|file| fs::read_link(file.path()).ok())
            .any(|target| sockets.contains(&target))
    };
    let all = fs::read_dir("/proc").ok()?.flatten();
    let processes = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut holders = processes.filter(|pid| is_ours(*pid)).filter(holds);
    let first = holders.next()?;
    holders.next().is_none().then_some(first)
}

/// The numbers of the sockets in a table (proc_pid_net(5)) that listen at that address, or at all of its port.
fn listeners(table: &str, address: SocketAddr) -> impl Iterator<Item = &str> {
    table.lines().filter_map(move |line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (words.get(1)?, words.get(3)?, words.get(9)?);
        let (ip, port) = local.split_once(':')?;
        let ip = ip_of(ip)?;
        let is_there = u16::from_str_radix(port, 16) == Ok(address.port())
            && (ip == address.ip() || ip.is_unspecified());
        (*state == LISTENS && is_there).then_some(*inode)
    })
}

/// Words of 32 bits in hexadecimal, each as this machine reads the bytes of the network.
fn ip_of(hexadecimal: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for start in (0..hexadecimal.len()).step_by(8) {
        let word = u32::from_str_radix(hexadecimal.get(start..start + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    if let Ok(four) = <[u8; 4]>::try_from(&*bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(&*bytes).ok()?;
    Some(Ipv6Addr::from(sixteen).to_canonical())
}

/// Asks systemd, where there is one, and does not wait for one that hangs.
fn unit() -> Option<Unit> {
    let properties = "--property=LoadState,MainPID,LimitNOFILE,RestrictAddressFamilies";
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut systemctl = Command::new("systemctl");
        systemctl.args(["show", UNIT, properties]).stdin(Stdio::null());
        // Whoever asked may have gone.
        let _ = tell.send(systemctl.output());
    });
    let output = told.recv_timeout(PATIENCE).ok()?.ok()?;
    output
        .status
        .success()
        .then(|| unit_of(&String::from_utf8_lossy(&output.stdout)))?
}

/// `None` where there is no such unit.
fn unit_of(properties: &str) -> Option<Unit> {
    let of = |name: &str| {
        let mut lines = properties.lines().filter_map(|line| line.split_once('='));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    if of("LoadState") != Some("loaded") {
        return None;
    }
    let without = of("RestrictAddressFamilies").map_or(Vec::new(), |families| {
        // A list behind `~` is of what is denied. Without a restriction the property is not told.
        let (denied, names) = match families.strip_prefix('~') {
            Some(names) => (true, names),
            None => (false, families),
        };
        let is_named = |family: &str| names.split_whitespace().any(|name| name == family);
        let needed = FAMILIES.iter().map(|(family, _)| *family);
        needed.filter(|family| is_named(family) == denied).collect()
    });
    Some(Unit {
        main_pid: of("MainPID")
            .and_then(|pid| pid.parse().ok())
            .filter(|pid| *pid != 0),
        open_files: of("LimitNOFILE").map(str::to_owned),
        without,
    })
}

pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![whose(facts)];
    if let Some(process) = &facts.process
        && process.same_network == Some(false)
    {
        let seen = format!(
            "process {} is in another network than this shell, of which all that is said of nameservers, routes, ports and endpoints holds",
            process.pid
        );
        let fix = format!("nsenter --target {} --net {} doctor …", process.pid, program());
        findings.push(Finding::warning("limits", seen).fix(fix));
    }
    let without = facts.unit.iter().flat_map(|unit| &unit.without);
    for (family, goes_without) in
        without.filter_map(|name| FAMILIES.iter().find(|(family, _)| family == name))
    {
        let seen = format!("the unit may not use {family}: {goes_without}");
        let fix = format!("RestrictAddressFamilies={family} (systemctl edit {UNIT}), besides what is there");
        findings.push(Finding::warning("limits", seen).on(UNIT).fix(fix));
    }
    findings
}

fn whose(facts: &Facts) -> Finding {
    if let Some(process) = &facts.process {
        let by = match process.found {
            FoundBy::StateDirectory => "which holds the state directory".to_owned(),
            FoundBy::Listener => "which has the listener".to_owned(),
            FoundBy::Unit => format!("which {UNIT} runs"),
        };
        let seen = format!("are those of the running whyd, process {}, {by}", process.pid);
        return Finding::ok("limits", seen);
    }
    let unit = match facts.unit.as_ref().map(|unit| unit.open_files.as_deref()) {
        Some(Some(open_files)) => format!("{UNIT} has its own (LimitNOFILE={open_files})"),
        Some(None) => format!("{UNIT} has its own (LimitNOFILE=)"),
        None => "a unit or a container has its own (LimitNOFILE= of the unit)".to_owned(),
    };
    if facts.hidden {
        let seen = format!(
            "are this shell's, since the whyd that runs here cannot be looked at by this user; {unit}"
        );
        return Finding::warning("limits", seen)
            .fix("whyd doctor as root, or as that one's user and in its container");
    }
    Finding::ok(
        "limits",
        format!("are this shell's, since no running whyd was found; {unit}"),
    )
}

fn program() -> String {
    let own = std::env::current_exe().ok();
    own.as_deref().unwrap_or(Path::new("whyd")).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn the_kernels_limits_are_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            1024                 524288               files     \n";
        assert_eq!(open_files(text), Some(1024));
        let text = "Max open files            unlimited            unlimited            files     \n";
        assert_eq!(open_files(text), Some(libc::RLIM_INFINITY));
        assert_eq!(open_files("Max cpu time  unlimited\n"), None);
        let own = fs::read_to_string("/proc/self/limits").expect("Linux");
        assert!(open_files(&own).is_some(), "{own}");
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_listener_is_found_by_its_address_or_as_that_of_all() {
        let four = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
           0: 0100007F:2505 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0\n\
           1: 00000000:2505 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0\n\
           2: 0100007F:2505 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0\n\
           3: 0200007F:2505 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 444 1 0\n";
        let six = "   0: 00000000000000000000000000000000:2505 0:0 0A 0:0 00:0 0 0 0 555 1\n\
           1: 00000000000000000000000001000000:2505 0:0 0A 0:0 00:0 0 0 0 666 1\n";
        let found = |table, address: &str| -> Vec<_> {
            listeners(table, address.parse().expect("an address")).collect()
        };
        assert_eq!(found(four, "127.0.0.1:9477"), ["111", "222"]);
        assert_eq!(found(four, "127.0.0.1:9478"), [] as [&str; 0]);
        assert_eq!(found(six, "[::1]:9477"), ["555", "666"]);
    }

    #[test]
    fn systemd_is_understood() {
        assert_eq!(
            unit_of("LoadState=not-found\nMainPID=0\nLimitNOFILE=524288\n"),
            None
        );
        let stopped = unit_of("LimitNOFILE=524288\nMainPID=0\nLoadState=loaded\n").expect("loaded");
        assert_eq!(
            (stopped.main_pid, stopped.open_files.as_deref()),
            (None, Some("524288"))
        );
        assert!(stopped.without.is_empty());
        let of = |families: &str| {
            let text = format!("MainPID=7\nRestrictAddressFamilies={families}\nLoadState=loaded");
            unit_of(&text).expect("loaded").without
        };
        assert_eq!(of("AF_INET AF_INET6 AF_UNIX AF_NETLINK"), [] as [&str; 0]);
        assert_eq!(of("AF_UNIX AF_INET"), ["AF_INET6", "AF_NETLINK"]);
        assert_eq!(of("~AF_NETLINK AF_PACKET"), ["AF_NETLINK"]);
    }

    #[test]
    fn whose_limits_they_are_is_said() {
        let facts = |process: Option<Process>, hidden, open_files: Option<&str>| Facts {
            process,
            hidden,
            unit: open_files.map(|number| Unit {
                open_files: Some(number.to_owned()),
                without: vec!["AF_NETLINK"],
                ..Unit::default()
            }),
        };
        let process = |same_network| Process {
            pid: 123,
            found: FoundBy::Unit,
            open_files: Some(1024),
            same_network,
        };
        let found = judge(&facts(Some(process(Some(true))), false, None));
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].seen,
            "are those of the running whyd, process 123, which whyd.service runs"
        );
        let found = judge(&facts(Some(process(Some(false))), false, None));
        assert_eq!(found[1].level, Level::Warning);
        assert!(
            found[1]
                .fix
                .as_deref()
                .is_some_and(|fix| fix.contains("--target 123 --net"))
        );

        let found = judge(&facts(None, false, Some("524288")));
        assert_eq!((found[0].level, found[1].level), (Level::Ok, Level::Warning));
        assert!(found[0].seen.contains("this shell's") && found[0].seen.contains("LimitNOFILE=524288"));
        assert!(found[1].seen.contains("AF_NETLINK"), "{found:?}");
        let found = judge(&facts(None, true, None));
        assert_eq!(found[0].level, Level::Warning);
        assert!(
            found[0].seen.contains("LimitNOFILE=") && found[0].fix.is_some(),
            "{found:?}"
        );
    }
}
