//! The system's resolver configuration: resolv.conf and the hosts file, read again when they change.

use std::fs::Metadata;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hickory_resolver::Hosts;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType as WireType};

/// How often the files are looked at for changes.
const LOOK: Duration = Duration::from_secs(1);
const DNS_PORT: u16 = 53;

/// What the two files say.
#[derive(Debug)]
pub struct SystemConf {
    pub servers: Vec<SocketAddr>,
    pub search: Vec<Name>,
    pub ndots: usize,
    hosts: Hosts,
}

impl SystemConf {
    /// Addresses of a name in the hosts file, and of `localhost` and names below it (RFC 6761, section 6.3).
    pub fn hosts_file(&self, name: &str) -> Vec<IpAddr> {
        let Ok(parsed) = Name::from_str(name) else {
            return Vec::new();
        };
        let look_up = |kind| {
            let found = self.hosts.lookup_static_host(&Query::query(parsed.clone(), kind));
            let answers = found.map(|found| found.answers().to_vec()).unwrap_or_default();
            answers
                .into_iter()
                .filter_map(|record| record.data.ip_addr())
                .collect::<Vec<_>>()
        };
        let mut found = look_up(WireType::AAAA);
        found.extend(look_up(WireType::A));
        let bare = name.trim_end_matches('.').to_ascii_lowercase();
        if found.is_empty() && (bare == "localhost" || bare.ends_with(".localhost")) {
            found = vec![Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
        }
        found
    }
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
    stamps: [Option<(SystemTime, u64)>; 2],
    looked: Instant,
}

impl SystemFiles {
    pub fn new(resolv_conf: PathBuf, hosts: PathBuf) -> Self {
        let conf = Arc::new(parse(&resolv_conf, &hosts));
        let stamps = [stamp(&resolv_conf), stamp(&hosts)];
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

    /// What the files say now (as of at most a second ago).
    pub fn conf(&self) -> Arc<SystemConf> {
        // A panic while the lock was held left a whole value: it is replaced in one step.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() >= LOOK {
            current.looked = Instant::now();
            let stamps = [stamp(&self.resolv_conf), stamp(&self.hosts)];
            if stamps != current.stamps {
                current.stamps = stamps;
                current.conf = Arc::new(parse(&self.resolv_conf, &self.hosts));
            }
        }
        Arc::clone(&current.conf)
    }
}

fn stamp(path: &PathBuf) -> Option<(SystemTime, u64)> {
    let metadata: Metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn parse(resolv_conf: &PathBuf, hosts_file: &PathBuf) -> SystemConf {
    let mut hosts = Hosts::default();
    if let Ok(text) = std::fs::read(hosts_file) {
        // A line that cannot be read is left out, as the C library does.
        let _ = hosts.read_hosts_conf(text.as_slice());
    }
    let text = std::fs::read(resolv_conf).unwrap_or_default();
    match parse_resolv_conf(&text) {
        Some((servers, search, ndots)) => SystemConf {
            servers,
            search,
            ndots,
            hosts,
        },
        // Without a nameserver the C library asks this host, resolv.conf(5); so do we, and the refusal shows.
        None => SystemConf {
            servers: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT))],
            search: Vec::new(),
            ndots: 1,
            hosts,
        },
    }
}

#[cfg(all(unix, not(any(target_os = "android", target_vendor = "apple"))))]
fn parse_resolv_conf(text: &[u8]) -> Option<(Vec<SocketAddr>, Vec<Name>, usize)> {
    let (config, options) = hickory_resolver::system_conf::parse_resolv_conf(text).ok()?;
    let servers = config
        .name_servers
        .iter()
        .map(|server| SocketAddr::new(server.ip, DNS_PORT))
        .collect();
    Some((servers, config.search.clone(), options.ndots))
}

#[cfg(not(all(unix, not(any(target_os = "android", target_vendor = "apple")))))]
fn parse_resolv_conf(_: &[u8]) -> Option<(Vec<SocketAddr>, Vec<Name>, usize)> {
    let (config, options) = hickory_resolver::system_conf::read_system_conf().ok()?;
    let servers = config
        .name_servers
        .iter()
        .map(|server| SocketAddr::new(server.ip, DNS_PORT))
        .collect();
    Some((servers, config.search.clone(), options.ndots))
}
