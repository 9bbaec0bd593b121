//! What alerts about the monitor itself say.

use crate::model::alert::{AlertText, Rule};
use crate::model::headroom::Scarce;

use super::super::rules::monitor::Facts;
use super::{minute, quantity};

/// Characters of an error that an alert repeats.
const LONGEST_ERROR: usize = 300;
/// Names that an alert repeats.
const NAMES: usize = 5;

pub fn text(rule: Rule, facts: &Facts<'_>) -> AlertText {
    let (summary, description, fix) = match rule {
        Rule::MonitorOffline => offline(facts),
        Rule::MonitorLate => late(facts),
        Rule::MonitorExportsFailing => exports(facts),
        Rule::MonitorResourcesLow => resources(facts),
        Rule::MonitorStateUnwritable => state(facts),
        Rule::MonitorDeliveriesFailing => deliveries(facts),
        Rule::MonitorConfigRefused => config(facts),
        Rule::MonitorDiscoveryFailing => discovery(facts),
        _ => Default::default(),
    };
    AlertText {
        summary: summary.into(),
        description: description.into(),
        fix: fix.into(),
        ..AlertText::default()
    }
}

type Three = (String, String, String);

fn offline(facts: &Facts<'_>) -> Three {
    let because = facts.offline.map_or("", |because| because.words());
    (
        format!("whyd is offline: {because}"),
        format!(
            "No verdict is given about what is beyond this host, since {because}. Alerts that were raised stay raised, and none is raised."
        ),
        "repair the network of the host on which whyd runs".to_owned(),
    )
}

fn late(facts: &Facts<'_>) -> Three {
    let late = facts.late;
    (
        format!("whyd is late: {} of its operations", quantity(late.value(), "1")),
        format!(
            "{} of {} operations that were due in five minutes were left out or began late.",
            late.part, late.of
        ),
        "give whyd more processor, raise `limits.concurrency`, or ask less often".to_owned(),
    )
}

fn exports(facts: &Facts<'_>) -> Three {
    let (exporter, failed) = facts.failing_export().unwrap_or(("export", 0));
    (
        format!("{exporter} does not reach its collector"),
        format!("{failed} exports of {exporter} failed in a row."),
        "look at the collector at `otlp.endpoint`; whyd's log says how each export failed".to_owned(),
    )
}

fn resources(facts: &Facts<'_>) -> Three {
    let (what, fix) = match facts.scarce {
        Some(Scarce::Ports) => (
            "local ports",
            "reuse connections (`keepalive: {reuse: true}`), ask less often, or widen net.ipv4.ip_local_port_range",
        ),
        _ => (
            "descriptors",
            "raise the limit of open files (LimitNOFILE= in the unit), or lower `limits.concurrency`",
        ),
    };
    (
        format!("whyd runs out of {what}"),
        format!("Few {what} are left: connections are not kept, and fewer operations run at once."),
        fix.to_owned(),
    )
}

fn state(facts: &Facts<'_>) -> Three {
    if let (None, Some(lost)) = (facts.state_trouble(), facts.state_lost()) {
        return (
            "whyd lost its state".to_owned(),
            format!(
                "At the start {lost}. Silences are to be made again; alerts, baselines and windows begin anew."
            ),
            "look at the disk under the state directory; this passes an hour after the start".to_owned(),
        );
    }
    let why = facts.state_trouble().map_or("", |why| &**why);
    (
        "whyd cannot write its state".to_owned(),
        format!(
            "What must survive a restart is in memory only: {why}. Alerts are told all the same; after a restart some may be told again."
        ),
        "make room in the state directory, or make it writable".to_owned(),
    )
}

fn deliveries(facts: &Facts<'_>) -> Three {
    let Some(trouble) = facts.failing_delivery() else {
        return Default::default();
    };
    let receiver = &trouble.receiver;
    let (failed, why) = (trouble.failed_in_a_row, &trouble.why);
    let (summary, failures) = match failed {
        // It expired before this process could try.
        0 => (format!("a notification to {receiver} was given up"), None),
        1 => (
            format!("{receiver} does not take its notifications"),
            Some(format!("The last delivery to {receiver} failed because: {why}.")),
        ),
        _ => (
            format!("{receiver} does not take its notifications"),
            Some(format!(
                "{failed} deliveries to {receiver} failed in a row, the last because: {why}."
            )),
        ),
    };
    let given_up = trouble
        .given_up
        .map(|at| format!("A notification was given up at {}: nobody was told.", minute(at)));
    let description: Vec<String> = failures.into_iter().chain(given_up).collect();
    (
        summary,
        description.join(" "),
        format!("try `whyd alerts test {receiver}`, and look at what it says"),
    )
}

fn config(facts: &Facts<'_>) -> Three {
    let since = facts
        .edges
        .config_refused
        .map_or(String::new(), |at| format!(" since {}", minute(at)));
    (
        "whyd goes on with an older configuration".to_owned(),
        format!("The last reload was refused{since}: an older configuration is in force than the file's."),
        "run `whyd validate` on the file, correct what it says, and reload".to_owned(),
    )
}

fn discovery(facts: &Facts<'_>) -> Three {
    let Some(trouble) = facts.failing_source() else {
        return Default::default();
    };
    let source = &trouble.source;
    let others: Vec<&str> = facts
        .edges
        .discovery
        .iter()
        .filter(|other| other.source != *source)
        .map(|other| &*other.source)
        .collect();
    let more = match others.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let kept = match (trouble.targets, trouble.from_last_run) {
        (0, _) => "It has found nothing: nothing of it is watched.".to_owned(),
        (1, true) => "The target that the last run found is watched".to_owned(),
        (1, false) => "The target that it found last is still watched".to_owned(),
        (many, true) => format!("The {many} targets that the last run found are watched"),
        (many, false) => format!("The {many} targets that it found last are still watched"),
    };
    let unknown = match trouble.targets {
        0 => "",
        _ => "; what has come, gone or moved since is not known.",
    };
    let also = match others.as_slice() {
        [] => String::new(),
        others => format!(" The same goes for {}.", few(others)),
    };
    (
        format!("discovery cannot look at {source}{more}"),
        format!(
            "The source {source} has failed since {}: {}. {kept}{unknown}{also}",
            minute(trouble.since),
            clipped(&trouble.why),
        ),
        "correct what the error names: the file, the server, the nameserver or the rights; `/api/v1/discovery` shows every source"
            .to_owned(),
    )
}

/// Some of many.
fn few(names: &[&str]) -> String {
    let shown = names.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// An error that names many files is as long as they are many.
fn clipped(why: &str) -> String {
    let why = why.trim_end_matches('.');
    match why.char_indices().nth(LONGEST_ERROR) {
        None => why.to_owned(),
        Some((end, _)) => format!("{}…", &why[..end]),
    }
}
