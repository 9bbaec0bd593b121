//! The daemon under measurement.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::metrics::{Lag, Metrics, get};

pub struct Whyd {
    child: Child,
    address: String,
    config: PathBuf,
}

impl Whyd {
    pub fn start(config: &str) -> Self {
        let path = std::env::temp_dir().join(format!("whyd-bench-{}.yaml", std::process::id()));
        fs::write(&path, config).expect("a configuration file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_whyd"))
            .args(["run", "--config"])
            .arg(&path)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("whyd starts");
        let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        let mut seen = String::new();
        let address = loop {
            let line = lines
                .next()
                .unwrap_or_else(|| panic!("whyd ended early:\n{seen}"))
                .expect("a line");
            if let Some((_, address)) = line.split_once("health are on http://") {
                break address.split_whitespace().next().unwrap_or(address).to_owned();
            }
            seen.push_str(&line);
            seen.push('\n');
        };
        // The rest of its log is read away, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Whyd {
            child,
            address,
            config: path,
        }
    }

    pub fn metrics(&self) -> Metrics {
        Metrics(get(&self.address, "/metrics"))
    }

    pub fn wait_until_all_up(&self, dependencies: usize) {
        let limit = Instant::now() + Duration::from_secs(90);
        loop {
            let up = self.metrics().sum("whyd_up");
            if up as usize == dependencies {
                return;
            }
            assert!(
                Instant::now() < limit,
                "only {up} of {dependencies} dependencies came up"
            );
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    pub fn operations(&self) -> u64 {
        self.metrics().sum("whyd_operations_total") as u64
    }

    pub fn lag(&self) -> Lag {
        Lag::read(&self.metrics())
    }

    /// User and system CPU time of the process so far.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("its accounting");
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .expect("a name")
            .1
            .split_whitespace()
            .collect();
        let ticks: u64 =
            fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime");
        // SAFETY: sysconf reads a constant of the system.
        let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
        Duration::from_secs_f64(ticks as f64 / per_second)
    }

    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("a size");
        line.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<u64>()
            .expect("a number")
            * 1024
    }
}

impl Drop for Whyd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.config);
    }
}
