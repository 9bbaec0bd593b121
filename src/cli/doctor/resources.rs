//! What the plan needs of descriptors, memory and processors, against what a running whyd is allowed, or else whoever
//! asks.

use super::finding::Finding;
use super::{limits, system};
use crate::daemon;
use crate::model::plan::Plan;

/// Memory for the program itself, and for each dependency: the benchmark's figure for 10,000 (docs/operations.md), rounded up.
const BASE: u64 = 40 << 20;
const EACH: u64 = 13_000;
/// Between what is needed and what is allowed there should be half as much again: a reload holds two plans for a moment.
const ROOM: f64 = 1.5;

pub struct Facts {
    /// The running whyd whose limits these are.
    pub process: Option<u32>,
    /// The most that the soft limit can be raised to, which the daemon does by itself.
    pub open_files: Option<u64>,
    pub memory: Option<u64>,
    /// Of a processor.
    pub processor: Option<f64>,
    pub needs: Option<Needs>,
}

/// What the plan asks for.
#[derive(Clone, Copy)]
pub struct Needs {
    pub open_files: u64,
    pub memory: u64,
    pub processor: f64,
}

impl Facts {
    pub fn gather(plan: Option<&Plan>, limits: &limits::Facts) -> Self {
        let groups = system::control_groups(limits.pid());
        let memory = groups
            .iter()
            .filter_map(|group| system::number(group.join("memory.max")));
        let old = system::number("/sys/fs/cgroup/memory/memory.limit_in_bytes");
        let total = system::text("/proc/meminfo").and_then(|text| total(&text));
        let processor = groups
            .iter()
            .filter_map(|group| quota(&system::text(group.join("cpu.max"))?));
        Facts {
            process: limits.pid(),
            open_files: match &limits.process {
                Some(process) => process.open_files,
                None => daemon::raise_open_files(),
            },
            memory: memory.chain(old).chain(total).min(),
            processor: processor.min_by(f64::total_cmp),
            needs: plan.map(|plan| Needs {
                open_files: daemon::open_files_wanted(plan),
                memory: BASE + EACH * plan.dependencies.len() as u64,
                processor: daemon::load_of(plan),
            }),
        }
    }
}

/// `MemTotal:  8123456 kB`
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace()
        .next()?
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

/// `QUOTA PERIOD` in microseconds, or `max PERIOD`.
fn quota(cpu_max: &str) -> Option<f64> {
    let (quota, period) = cpu_max.split_once(' ')?;
    let (quota, period) = (quota.parse::<f64>().ok()?, period.trim().parse::<f64>().ok()?);
    (period > 0.0).then(|| quota / period)
}

pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let to = match facts.process {
        Some(pid) => format!("to process {pid}"),
        None => "here".to_owned(),
    };
    if let Some(limit) = facts.open_files {
        findings.push(descriptors(&to, limit, facts.needs.map(|needs| needs.open_files)));
    }
    if let Some(limit) = facts.memory {
        findings.push(memory(&to, limit, facts.needs.map(|needs| needs.memory)));
    }
    if let Some(limit) = facts.processor {
        findings.push(processor(&to, limit, facts.needs.map(|needs| needs.processor)));
    }
    findings
}

fn descriptors(to: &str, limit: u64, needed: Option<u64>) -> Finding {
    let allowed = match limit {
        libc::RLIM_INFINITY => "any number of open files is".to_owned(),
        limit => format!("{limit} open files are"),
    };
    match needed {
        Some(needed) if needed > limit => {
            let seen = format!("{allowed} allowed {to}, and the plan may need {needed}");
            let fix = format!(
                "LimitNOFILE={0} in the unit, or ulimit -n {0}",
                needed.next_power_of_two()
            );
            Finding::problem("descriptors", seen).fix(fix)
        }
        Some(needed) => Finding::ok(
            "descriptors",
            format!("{allowed} allowed {to}, and the plan needs at most {needed}"),
        ),
        None => Finding::ok("descriptors", format!("{allowed} allowed {to}")),
    }
}

fn memory(to: &str, limit: u64, needed: Option<u64>) -> Finding {
    let Some(needed) = needed else {
        return Finding::ok("memory", format!("{} are allowed {to}", mebibytes(limit)));
    };
    let seen = format!(
        "{} are allowed {to}, and the plan needs about {}",
        mebibytes(limit),
        mebibytes(needed)
    );
    let wanted = (needed as f64 * ROOM) as u64;
    let fix = format!(
        "MemoryMax= in the unit, or resources.limits.memory of the container: {}Mi or more",
        wanted.div_ceil(1 << 20)
    );
    match limit {
        limit if limit < needed => Finding::problem("memory", seen).fix(fix),
        limit if limit < wanted => Finding::warning("memory", seen).fix(fix),
        _ => Finding::ok("memory", seen),
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

fn processor(to: &str, limit: f64, needed: Option<f64>) -> Finding {
    let Some(needed) = needed else {
        return Finding::ok("processor", format!("{limit:.2} of a processor is allowed {to}"));
    };
    let seen =
        format!("{limit:.2} of a processor is allowed {to}, and the plan's probes need about {needed:.2}");
    let fix = "a higher CPUQuota= or resources.limits.cpu, or none: throttling makes probes late and slow";
    match limit {
        limit if limit < needed => Finding::problem("processor", seen).fix(fix),
        limit if limit < needed * ROOM => Finding::warning("processor", seen).fix(fix),
        _ => Finding::ok("processor", seen),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        assert_eq!(total("MemTotal:        2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert_eq!(quota("20000 100000"), Some(0.2));
        assert_eq!(quota("max 100000"), None);
    }

    #[test]
    fn what_is_too_little_is_a_problem_and_what_is_tight_a_warning() {
        assert_eq!(descriptors("here", 1024, Some(4000)).level, Level::Problem);
        assert!(
            descriptors("here", 1024, Some(4000))
                .fix
                .expect("a fix")
                .contains("4096")
        );
        assert_eq!(descriptors("here", 1024, Some(1000)).level, Level::Ok);
        assert_eq!(descriptors("here", libc::RLIM_INFINITY, None).level, Level::Ok);
        let levels =
            |limits: [u64; 3]| limits.map(|limit| memory("here", limit << 20, Some(100 << 20)).level);
        assert_eq!(
            levels([90, 120, 200]),
            [Level::Problem, Level::Warning, Level::Ok]
        );
        let levels = |limits: [f64; 3]| limits.map(|limit| processor("here", limit, Some(0.4)).level);
        assert_eq!(
            levels([0.2, 0.5, 1.0]),
            [Level::Problem, Level::Warning, Level::Ok]
        );
    }
}
