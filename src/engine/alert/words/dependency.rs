//! What alerts about one dependency say.

use std::fmt::Write as _;

use crate::model::alert::{AlertText, Rule};
use crate::model::cause::FindingId;
use crate::model::failure::{Failure, Finding, OperationRecord, State};
use crate::model::time::Now;
use crate::model::tls::CertificateFacts;

use super::super::super::slot::Slot;
use super::super::latency::duration_at;
use super::super::rings::Span;
use super::super::rules::{certificate, failing_often, flapping, slo};
use super::super::signals::BROKEN;
use super::super::stats::Share;
use super::{cause_speed_phase, evidence, minute, of_failure, quantity, say_failure, span};

pub fn text(rule: Rule, slot: &Slot, record: Option<&OperationRecord>, now: Now) -> AlertText {
    match rule {
        Rule::DependencyDownFast | Rule::DependencyDownSlow => down(slot, record),
        Rule::DependencyFailingOften => failing_often(slot, record),
        Rule::SloBurnFast | Rule::SloBurnMedium | Rule::SloBurnSlow => burn(rule, slot, record, now),
        Rule::LatencyRegression => latency(slot, record),
        Rule::CertificateExpiring | Rule::CertificateExpiringSoon | Rule::CertificateExpired => {
            certificate(slot, record, now)
        }
        Rule::DnsAnswersDiffer => found(slot, "the sources of its name give different answers", &|id| {
            matches!(
                id,
                FindingId::DnsMismatchHostsFile
                    | FindingId::DnsMismatchSplitHorizon
                    | FindingId::DnsMismatchStale
            )
        }),
        Rule::AddressBroken => found(slot, "one way to it is broken", &|id| BROKEN.contains(&id)),
        Rule::Flapping => flapping(slot, record),
        _ => AlertText::default(),
    }
}

fn down(slot: &Slot, record: Option<&OperationRecord>) -> AlertText {
    let name = &slot.dependency.name;
    let Some(failure) = record.and_then(|record| record.failure.as_ref()) else {
        return AlertText {
            summary: format!("{name} is down").into(),
            ..AlertText::default()
        };
    };
    let mut description = String::new();
    let times = match slot.signals.failures_in_a_row {
        1 => "once so far".to_owned(),
        count => format!("{count} times in a row"),
    };
    let _ = match &slot.state {
        State::Failing { since, .. } => {
            write!(description, "It has failed since {}, {times}.", minute(*since))
        }
        State::Unknown | State::Up { .. } => write!(description, "It failed {times}."),
    };
    say_failure(&mut description, failure);
    if let Some(success) = slot.history.last_success() {
        let _ = write!(description, " It last answered at {}.", minute(success.started));
    }
    AlertText {
        summary: format!("{name} is down: {}", cause_speed_phase(failure)).into(),
        description: description.into(),
        ..of_failure(failure)
    }
}

/// The failure that an alert about a share of operations tells of: this operation's, or the last one before it.
fn last_failure<'a>(slot: &'a Slot, record: Option<&'a OperationRecord>) -> Option<&'a Failure> {
    let own = record.and_then(|record| record.failure.as_ref());
    own.or_else(|| {
        let mut failures = slot.history.failures();
        failures.find_map(|record| record.failure.as_ref().filter(|failure| !failure.cause.is_ours()))
    })
}

/// `12 of 60`.
fn of(share: Share) -> String {
    format!("{} of {}", share.part, share.of)
}

/// The causes of the failures that are kept, each once, the newest first.
fn causes(slot: &Slot) -> String {
    let mut named: Vec<&str> = Vec::new();
    for failure in slot
        .history
        .failures()
        .filter_map(|record| record.failure.as_ref())
    {
        if !failure.cause.is_ours() && !named.contains(&failure.cause.id()) {
            named.push(failure.cause.id());
        }
    }
    named.join(", ")
}

fn about_share(
    slot: &Slot,
    record: Option<&OperationRecord>,
    summary: String,
    mut description: String,
) -> AlertText {
    let causes = causes(slot);
    if !causes.is_empty() {
        let _ = write!(description, " Causes of late: {causes}.");
    }
    let failure = last_failure(slot, record);
    if let Some(failure) = failure {
        say_failure(&mut description, failure);
    }
    AlertText {
        summary: match failure {
            Some(failure) => format!("{summary}: {}", cause_speed_phase(failure)).into(),
            None => summary.into(),
        },
        description: description.into(),
        ..failure.map(of_failure).unwrap_or_default()
    }
}

fn failing_often(slot: &Slot, record: Option<&OperationRecord>) -> AlertText {
    let share = slot.signals.last(failing_often::WINDOW);
    let budget = slot.dependency.alerts.budget();
    let covered = slot.dependency.interval.saturating_mul(share.of as u32);
    let description = format!(
        "{} of the last operations ({}) failed, where {} may; its streaks are too short to be an outage.",
        of(share),
        span(covered),
        quantity(budget, "1"),
    );
    let summary = format!("{} fails often, {} times", slot.dependency.name, of(share));
    about_share(slot, record, summary, description)
}

fn burn(rule: Rule, slot: &Slot, record: Option<&OperationRecord>, now: Now) -> AlertText {
    let (long, short, _) = slo::windows(rule);
    let budget = slot.dependency.alerts.budget();
    let in_long = slot.signals.rings.sum(long, now.moment);
    let in_short = slot.signals.rings.sum(short, now.moment);
    let times = in_long.value() / budget;
    let description = format!(
        "{} operations failed in {} and {} in {}, where {} may (objective {}): the error budget burns {} times as fast as it may{}.",
        of(in_long),
        long.id(),
        of(in_short),
        short.id(),
        quantity(budget, "1"),
        quantity(slot.dependency.alerts.objective, "1"),
        quantity(times, ""),
        match long {
            Span::Hour => ", which uses up 2 % of a month's in an hour",
            Span::SixHours => ", which uses up 5 % of a month's in six hours",
            _ => ", which uses up 10 % of a month's in three days",
        },
    );
    let summary = format!("{} burns its error budget", slot.dependency.name);
    about_share(slot, record, summary, description)
}

fn flapping(slot: &Slot, record: Option<&OperationRecord>) -> AlertText {
    let changes = slot.signals.changes(flapping::WINDOW);
    let description = format!(
        "It went from answering to failing or back {} times among its last {} operations ({}).",
        changes.part,
        changes.of,
        span(slot.dependency.interval.saturating_mul(changes.of as u32)),
    );
    let summary = format!("{} goes up and down", slot.dependency.name);
    about_share(slot, record, summary, description)
}

fn latency(slot: &Slot, record: Option<&OperationRecord>) -> AlertText {
    let name = &slot.dependency.name;
    let latency = &slot.signals.latency;
    let (Some(base), Some(recent)) = (latency.baseline(), latency.recent()) else {
        return AlertText {
            summary: format!("{name} takes longer than it used to").into(),
            ..AlertText::default()
        };
    };
    let (usual, present) = (duration_at(base.median), duration_at(recent));
    let times = present.as_secs_f64() / usual.as_secs_f64().max(1e-9);
    let mut description = format!(
        "The last operations took {} in the median, where {} is usual (of {} operations): {} times as long.",
        span(present),
        span(usual),
        latency.learned(),
        quantity(times, ""),
    );
    // Where the time goes, as far as the last operation shows it.
    let phases = record
        .and_then(|record| record.attempts.last())
        .map(|attempt| attempt.attempt.phases());
    if let Some(phases) = phases {
        let slowest = phases.iter().max_by_key(|(_, elapsed)| *elapsed);
        if let Some((phase, elapsed)) = slowest {
            let _ = write!(
                description,
                " Most of the last one, {}, was spent in {}.",
                span(elapsed),
                phase.id()
            );
        }
    }
    AlertText {
        summary: format!("{name} takes {} instead of {}", span(present), span(usual)).into(),
        description: description.into(),
        fix: format!("look for what has changed at {name} or on the way to it; where this is how it is now, it becomes the baseline after a day").into(),
        ..AlertText::default()
    }
}

fn certificate(slot: &Slot, record: Option<&OperationRecord>, now: Now) -> AlertText {
    let name = &slot.dependency.name;
    let Some(known) = &slot.signals.certificate else {
        return AlertText::default();
    };
    let left = certificate::days_left(known, now.wall);
    let end = minute(known.not_after);
    let when = if left > 0.0 {
        format!("ends in {}", quantity(left * 86_400.0, "s"))
    } else {
        format!("ended {} ago", quantity(-left * 86_400.0, "s"))
    };
    let shown = |record: &OperationRecord| certificate_with_end(record, known.not_after).cloned();
    let kept = slot
        .history
        .last_success()
        .into_iter()
        .chain(slot.history.earlier_successes());
    let facts = record.and_then(shown).or_else(|| {
        kept.chain(slot.history.failures())
            .find_map(|record| shown(record))
    });
    let mut text = AlertText {
        summary: format!("a certificate of {name} {when}").into(),
        description: format!("A certificate that {name} presents is valid until {end}.").into(),
        fix: format!("renew the certificate of {}", slot.dependency.probe.endpoint()).into(),
        ..AlertText::default()
    };
    text.evidence.push(("not_after".into(), end.to_string().into()));
    if let Some(facts) = facts {
        text.description = format!(
            "The certificate {} issued by {} is valid until {end}.",
            facts.subject, facts.issuer
        )
        .into();
        for (key, value) in [
            ("subject", &facts.subject),
            ("issuer", &facts.issuer),
            ("fingerprint", &facts.fingerprint),
        ] {
            text.evidence.push((key.into(), value.clone()));
        }
    }
    text
}

fn certificate_with_end(
    record: &OperationRecord,
    not_after: crate::model::time::Wall,
) -> Option<&CertificateFacts> {
    let hops = record
        .attempts
        .iter()
        .rev()
        .flat_map(|attempt| &attempt.attempt.hops);
    let mut chain = hops.filter_map(|hop| hop.tls.as_ref()).flat_map(|tls| &tls.chain);
    chain.find(|certificate| certificate.not_after == not_after)
}

fn found(slot: &Slot, what: &str, wanted: &dyn Fn(FindingId) -> bool) -> AlertText {
    let name = &slot.dependency.name;
    let finding: Option<Finding> = slot.all_findings().into_iter().find(|finding| wanted(finding.id));
    let Some(finding) = finding else {
        return AlertText {
            summary: format!("{name}: {what}").into(),
            description: format!("It answers, but {what}.").into(),
            fix: format!("see what is found of {name} in the API").into(),
            ..AlertText::default()
        };
    };
    AlertText {
        summary: format!("{name}: {what} ({})", finding.id.id()).into(),
        description: format!("It answers, but {what}: {}.", finding.id.id()).into(),
        fix: finding.fix.clone(),
        evidence: evidence(&finding.evidence),
        ..AlertText::default()
    }
}
