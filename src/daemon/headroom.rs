//! Samples what sockets are made of, every few seconds, for the engine. A sample is five system calls however many
//! descriptors are open.

use std::fs;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::engine::Input;
use crate::model::headroom::{Ports, Resources};

/// Time between two samples.
const EVERY: Duration = Duration::from_secs(10);

/// Tells the engine at once, and again and again, until it has gone.
pub async fn watch(inputs: mpsc::Sender<Input>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(resources) = sample() else { return };
        if inputs.send(Input::ResourcesChanged(resources)).await.is_err() {
            return;
        }
    }
}

/// `None` where the system does not tell.
pub fn sample() -> Option<Resources> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: getrlimit fills the structure that it is given and has no other effect.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return None;
    }
    Some(Resources {
        open_files: open_files()?,
        open_files_limit: if limit.rlim_cur == libc::RLIM_INFINITY {
            u64::MAX
        } else {
            limit.rlim_cur
        },
        ports: ports(),
    })
}

/// The directory's size is the number of open descriptors (Linux 6.2 and newer); before that they are counted.
fn open_files() -> Option<u64> {
    let directory = "/proc/self/fd";
    match fs::metadata(directory).ok()?.len() {
        0 => {
            let count = fs::read_dir(directory).ok()?.count();
            // The one that reads the directory is not there any more.
            u64::try_from(count).ok()?.checked_sub(1)
        }
        open => Some(open),
    }
}

/// Those of our network namespace.
fn ports() -> Option<Ports> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let sockets = fs::read_to_string("/proc/net/sockstat").ok()?;
    Some(Ports {
        in_use: sockets_with_port(&sockets)?,
        range: width(&range)?,
    })
}

/// `TCP: inuse 5 orphan 0 tw 3 alloc 7 mem 1`, of both families.
fn sockets_with_port(sockstat: &str) -> Option<u64> {
    let line = sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let value = |name: &str| {
        let place = words.iter().position(|word| *word == name)?;
        words.get(place + 1)?.parse::<u64>().ok()
    };
    Some(value("inuse")? + value("tw")?)
}

fn width(range: &str) -> Option<u64> {
    let mut ends = range.split_whitespace().map(|word| word.parse::<u64>().ok());
    let (low, high) = (ends.next()??, ends.next()??);
    Some(high.checked_sub(low)? + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        let text = "sockets: used 301\nTCP: inuse 5 orphan 0 tw 3 alloc 7 mem 1\nUDP: inuse 2 mem 0\n";
        assert_eq!(sockets_with_port(text), Some(8));
        assert_eq!(width("32768\t60999\n"), Some(28_232));
        assert_eq!(width("60999 32768"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_descriptor_more_is_seen() {
        let before = sample().expect("Linux tells");
        assert!(before.open_files > 0 && before.open_files_limit > before.open_files);
        // Other tests open and close theirs at the same time; so many at once stand out.
        let files: Vec<_> = (0..200)
            .map(|_| fs::File::open("/dev/null").expect("a file"))
            .collect();
        let after = sample().expect("Linux tells");
        assert!(after.open_files > before.open_files + 100, "{before:?} {after:?}");
        drop(files);
    }
}
