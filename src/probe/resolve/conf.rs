//! The system's resolver configuration: resolv.conf and the hosts file, read again when they change.
//!
//! Both are read as the C library reads them: a line that makes no sense is left out, and the others count. (The parser
//! of hickory's resolver drops every nameserver when one search domain is bad, and keeps no zone of a link-local one.)

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hickory_resolver::proto::rr::Name;

use super::names::absolute;

/// How often the files are looked at for changes.
const LOOK: Duration = Duration::from_secs(1);
const DNS_PORT: u16 = 53;
/// Limits of resolv.conf(5): MAXNS, RES_MAXNDOTS, RES_MAXRETRANS (seconds), RES_MAXRETRY.
const MAX_SERVERS: usize = 3;
const MAX_NDOTS: usize = 15;
const MAX_TIMEOUT: u64 = 30;
const MAX_ATTEMPTS: u32 = 5;

/// What resolv.conf says.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvConf {
    pub servers: Vec<SocketAddr>,
    pub search: Vec<Name>,
    /// A name with at least so many dots is asked for as it is before the search list is tried.
    pub ndots: usize,
    /// How long one server is given for one try.
    pub timeout: Duration,
    /// Tries per server.
    pub attempts: u32,
    /// Begin with another server each time.
    pub rotate: bool,
    /// Ask over TCP from the start.
    pub use_vc: bool,
    /// Do not ask for AAAA where any family will do.
    pub no_aaaa: bool,
}

impl Default for ResolvConf {
    fn default() -> Self {
        ResolvConf {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            use_vc: false,
            no_aaaa: false,
        }
    }
}

impl ResolvConf {
    /// Reads the file's text. Without a nameserver in it the C library asks this host, resolv.conf(5); so do we, and the
    /// refusal shows.
    pub fn parse(text: &str) -> Self {
        let mut conf = ResolvConf::default();
        for line in text.lines() {
            // Only a comment sign in the first column makes a comment.
            if line.starts_with(['#', ';']) {
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") if conf.servers.len() < MAX_SERVERS => {
                    conf.servers.extend(words.next().and_then(nameserver));
                }
                // The last of either counts.
                Some("search") => conf.search = words.filter_map(absolute).collect(),
                Some("domain") => conf.search = words.take(1).filter_map(absolute).collect(),
                Some("options") => words.for_each(|option| conf.option(option)),
                _ => {}
            }
        }
        if conf.servers.is_empty() {
            conf.servers
                .push(SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT)));
        }
        conf
    }

    fn option(&mut self, option: &str) {
        let (name, value) = option.split_once(':').unwrap_or((option, ""));
        match name {
            "ndots" => self.ndots = value.parse().map_or(self.ndots, |n: usize| n.min(MAX_NDOTS)),
            "timeout" => {
                if let Ok(seconds) = value.parse::<u64>() {
                    self.timeout = Duration::from_secs(seconds.clamp(1, MAX_TIMEOUT));
                }
            }
            "attempts" => {
                if let Ok(attempts) = value.parse::<u32>() {
                    self.attempts = attempts.clamp(1, MAX_ATTEMPTS);
                }
            }
            "rotate" => self.rotate = true,
            "use-vc" => self.use_vc = true,
            "no-aaaa" => self.no_aaaa = true,
            _ => {}
        }
    }
}

/// An address, of which a link-local one may name its interface (`fe80::1%eth0`).
fn nameserver(word: &str) -> Option<SocketAddr> {
    let (address, zone) = match word.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (word, None),
    };
    let address: IpAddr = address.parse().ok()?;
    match (address, zone) {
        (IpAddr::V6(address), Some(zone)) => {
            let scope = interface_index(zone)?;
            Some(SocketAddrV6::new(address, DNS_PORT, 0, scope).into())
        }
        (IpAddr::V4(_), Some(_)) => None,
        (address, None) => Some(SocketAddr::new(address, DNS_PORT)),
    }
}

fn interface_index(zone: &str) -> Option<u32> {
    if let Ok(index) = zone.parse() {
        return Some(index);
    }
    let name = std::ffi::CString::new(zone).ok()?;
    // SAFETY: the name is a C string that lives through the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

/// The hosts file: lower-case names to addresses, in the file's order.
#[derive(Clone, Debug, Default)]
pub struct Hosts(HashMap<Box<str>, Vec<IpAddr>>);

impl Hosts {
    pub fn parse(text: &str) -> Self {
        let mut names: HashMap<Box<str>, Vec<IpAddr>> = HashMap::new();
        for line in text.trim_start_matches('\u{feff}').lines() {
            let mut words = line
                .split('#')
                .next()
                .unwrap_or_default()
                .split_ascii_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else {
                continue;
            };
            for name in words {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                let addresses = names.entry(name.into()).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Hosts(names)
    }

    fn get(&self, name: &str) -> &[IpAddr] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

/// What `localhost` is without a hosts file (RFC 6761, section 6.3).
const LOCALHOST: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// What the two files say.
#[derive(Clone, Debug, Default)]
pub struct SystemConf {
    pub resolv: ResolvConf,
    hosts: Hosts,
}

impl SystemConf {
    /// Addresses of a name in the hosts file, and of `localhost` and names below it.
    pub fn hosts_file(&self, name: &str) -> &[IpAddr] {
        let name = name.strip_suffix('.').unwrap_or(name);
        let found = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.hosts.get(&name.to_ascii_lowercase())
        } else {
            self.hosts.get(name)
        };
        if !found.is_empty() || !is_localhost(name) {
            return found;
        }
        &LOCALHOST
    }
}

fn is_localhost(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
}

/// The files, parsed, and a watch over them.
#[derive(Debug)]
pub struct SystemFiles {
    resolv_conf: PathBuf,
    hosts: PathBuf,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    conf: Arc<SystemConf>,
    stamps: [Option<Stamp>; 2],
    looked: Instant,
}

/// What changes with a file: it is written to, or another one takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
    device: u64,
    inode: u64,
}

impl SystemFiles {
    pub fn new(resolv_conf: PathBuf, hosts: PathBuf) -> Self {
        // Stamped before they are read: a change in between is seen at the next look.
        let stamps = [stamp(&resolv_conf), stamp(&hosts)];
        let conf = Arc::new(read(&resolv_conf, &hosts));
        SystemFiles {
            resolv_conf,
            hosts,
            current: Mutex::new(Current {
                conf,
                stamps,
                looked: Instant::now(),
            }),
        }
    }

    /// What the files say now, as of at most a second ago.
    pub fn conf(&self) -> Arc<SystemConf> {
        self.conf_within(LOOK)
    }

    fn conf_within(&self, age: Duration) -> Arc<SystemConf> {
        // A panic while the lock was held left a whole value: it is replaced in one step.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() >= age {
            current.looked = Instant::now();
            let stamps = [stamp(&self.resolv_conf), stamp(&self.hosts)];
            if stamps != current.stamps {
                current.stamps = stamps;
                current.conf = Arc::new(read(&self.resolv_conf, &self.hosts));
            }
        }
        Arc::clone(&current.conf)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp {
        modified: metadata.modified().ok()?,
        length: metadata.len(),
        device: metadata.dev(),
        inode: metadata.ino(),
    })
}

fn read(resolv_conf: &Path, hosts: &Path) -> SystemConf {
    SystemConf {
        resolv: ResolvConf::parse(&text_of(resolv_conf)),
        hosts: Hosts::parse(&text_of(hosts)),
    }
}

/// A file that is not there says nothing, as for the C library.
fn text_of(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn resolv_conf_is_read_as_its_manual_says() {
        let conf = ResolvConf::parse(
            "# nameserver 192.0.2.99\n; comment\nnameserver 192.0.2.1\nnameserver\tfe80::1%1\nnameserver none\n\
             domain old.test\nsearch shop.test svc.cluster.local\n\
             options ndots:5 timeout:1 attempts:9 rotate use-vc no-aaaa edns0 nonsense:1\n",
        );
        assert_eq!(conf.servers[0], SocketAddr::new(v4(1), 53));
        assert!(matches!(conf.servers[1], SocketAddr::V6(v6) if v6.scope_id() == 1));
        assert_eq!(conf.servers.len(), 2);
        let search: Vec<String> = conf.search.iter().map(Name::to_string).collect();
        assert_eq!(search, ["shop.test.", "svc.cluster.local."]);
        assert_eq!(
            (conf.ndots, conf.timeout, conf.attempts),
            (5, Duration::from_secs(1), 5)
        );
        assert!(conf.rotate && conf.use_vc && conf.no_aaaa);
    }

    #[test]
    fn a_bad_search_domain_takes_no_nameserver_with_it() {
        let conf = ResolvConf::parse("nameserver 192.0.2.1\nsearch bad..domain good.test\n");
        assert_eq!(conf.servers, [SocketAddr::new(v4(1), 53)]);
        assert_eq!(conf.search.len(), 1);
    }

    #[test]
    fn more_than_three_nameservers_are_not_used_and_none_is_this_host() {
        let four: String = (1..=4).map(|n| format!("nameserver 192.0.2.{n}\n")).collect();
        assert_eq!(ResolvConf::parse(&four).servers.len(), 3);
        let local = [SocketAddr::from((Ipv4Addr::LOCALHOST, 53))];
        assert_eq!(ResolvConf::parse("").servers, local);
    }

    #[test]
    fn the_hosts_file_knows_names_in_any_case() {
        let conf = SystemConf {
            resolv: ResolvConf::default(),
            hosts: Hosts::parse(
                "\u{feff}192.0.2.1 One.test one # comment two.test\n192.0.2.2\tone.test\nbad line\n::1 localhost\n",
            ),
        };
        assert_eq!(conf.hosts_file("one.TEST."), [v4(1), v4(2)]);
        assert!(conf.hosts_file("two.test").is_empty());
        assert_eq!(conf.hosts_file("localhost"), [IpAddr::from(Ipv6Addr::LOCALHOST)]);
        assert_eq!(conf.hosts_file("Api.LocalHost"), LOCALHOST);
        assert!(conf.hosts_file("notlocalhost").is_empty());
    }

    #[test]
    fn a_file_that_takes_another_ones_place_is_seen() {
        let directory = std::env::temp_dir().join(format!("whyd-conf-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (resolv, hosts) = (directory.join("resolv.conf"), directory.join("hosts"));
        fs::write(&resolv, "nameserver 192.0.2.1\n").unwrap();
        let files = SystemFiles::new(resolv.clone(), hosts);
        assert_eq!(files.conf().resolv.servers[0].ip(), v4(1));
        // The same length within the same tick of the clock, as a ConfigMap's swap can be.
        let next = directory.join("next");
        fs::write(&next, "nameserver 192.0.2.2\n").unwrap();
        fs::rename(&next, &resolv).unwrap();
        assert_eq!(files.conf_within(Duration::ZERO).resolv.servers[0].ip(), v4(2));
        fs::remove_dir_all(&directory).unwrap();
    }
}
