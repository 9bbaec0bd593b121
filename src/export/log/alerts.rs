//! What happens to alerts, and to the notifications of them, as log lines: what a person wants to read in the night.

use tracing::{debug, error, info, warn};

use crate::model::alert::{AlertChange, AlertState, AlertView, Muted, ResolvedBecause, Severity, Subject};
use crate::model::event::{Delivered, DeliveryEvent};
use crate::model::time::Wall;

use super::Lasted;
use super::kinds::Kind;

/// As bad as the alert is.
macro_rules! by_severity {
    ($severity:expr, $($line:tt)*) => {
        match $severity {
            Severity::Critical => error!($($line)*),
            Severity::Warning => warn!($($line)*),
            Severity::Info => info!($($line)*),
        }
    };
}

/// One line for one change of one alert.
pub fn alert(change: AlertChange, view: &AlertView, now: Wall) {
    match change {
        AlertChange::Fired => fired(view, now),
        AlertChange::Resolved(because) => resolved(view, because, now),
        AlertChange::Pending | AlertChange::Cleared | AlertChange::Recovering | AlertChange::Relapsed => {
            debug!(
                alert = view.key.rule.id(),
                alert_id = %view.id,
                change = change.id(),
                severity = view.severity.id(),
                dependency = dependency(view),
                host = host(view),
                "alert {} is {}: {}",
                view.key,
                change_words(change),
                what(view),
            );
        }
    }
}

fn fired(view: &AlertView, now: Wall) {
    let text = &view.text;
    let begun = begun(view).unwrap_or(now);
    by_severity!(
        view.severity,
        message_id = Kind::AlertRaised.message_id(),
        alert = view.key.rule.id(),
        alert_id = %view.id,
        change = AlertChange::Fired.id(),
        severity = view.severity.id(),
        dependency = dependency(view),
        host = host(view),
        cause = text.cause.map(|cause| cause.id()),
        phase = text.phase.map(|phase| phase.id()),
        speed = text.speed.map(|speed| speed.id()),
        since = %begun,
        incident = view.incident.map(tracing::field::display),
        muted = view.muted.as_ref().map(Muted::id),
        description = &*text.description,
        fix = &*text.fix,
        "alert, {}: {}, since {begun} ({}){}{}",
        view.severity.id(),
        what(view),
        Lasted(now.seconds_since(begun).max(0)),
        if text.fix.is_empty() { String::new() } else { format!("; fix: {}", text.fix) },
        view.muted.as_ref().map(muted_words).unwrap_or_default(),
    );
}

fn resolved(view: &AlertView, because: ResolvedBecause, now: Wall) {
    let lasted = raised(view).map(|since| now.seconds_since(since).max(0));
    info!(
        message_id = Kind::AlertOver.message_id(),
        alert = view.key.rule.id(),
        alert_id = %view.id,
        change = "resolved",
        because = because.id(),
        severity = view.severity.id(),
        dependency = dependency(view),
        host = host(view),
        cause = view.text.cause.map(|cause| cause.id()),
        raised_for = lasted,
        incident = view.incident.map(tracing::field::display),
        "alert over{}{}: {}",
        lasted.map(|lasted| format!(" after {}", Lasted(lasted))).unwrap_or_default(),
        match because {
            ResolvedBecause::Recovered => "",
            ResolvedBecause::Removed => " (it left the configuration)",
            ResolvedBecause::Disabled => " (the rule was switched off)",
        },
        what(view),
    );
}

/// One line for what became of a notification.
pub fn delivery(event: &DeliveryEvent) {
    let (receiver, notification, title) = (&*event.receiver, &*event.notification, &*event.title);
    match &event.what {
        Delivered::Accepted { tries: 0 | 1 } => {
            info!(
                receiver,
                notification,
                outcome = "accepted",
                "{receiver} was told: {title}"
            );
        }
        Delivered::Accepted { tries } => info!(
            receiver,
            notification,
            outcome = "accepted",
            tries,
            "{receiver} was told at the {tries}. try: {title}",
        ),
        Delivered::Failing { why } => warn!(
            message_id = Kind::NotificationFailing.message_id(),
            receiver,
            notification,
            outcome = "failing",
            error = &**why,
            "{receiver} does not take notifications, which is tried again: {why}; what it should hear: {title}",
        ),
        Delivered::GivenUp { why } => error!(
            message_id = Kind::NotificationLost.message_id(),
            receiver,
            notification,
            outcome = "expired",
            error = &**why,
            "{receiver} was never told and will not be: {why}; what it should have heard: {title}",
        ),
    }
}

/// What the alert says in one line, which names its cause.
fn what(view: &AlertView) -> String {
    let summary = &view.text.summary;
    let shown = if summary.is_empty() {
        view.key.to_string()
    } else {
        summary.to_string()
    };
    match view.text.cause {
        Some(cause) if !shown.contains(cause.id()) => {
            let speed = view.text.speed.map(|speed| format!(", {}", speed.id()));
            format!("{shown} ({}{})", cause.id(), speed.unwrap_or_default())
        }
        _ => shown,
    }
}

/// When its condition began to hold.
fn begun(view: &AlertView) -> Option<Wall> {
    match view.state {
        AlertState::Quiet => None,
        AlertState::Pending { since } => Some(since),
        AlertState::Firing { pending, .. } | AlertState::Recovering { pending, .. } => Some(pending),
    }
}

/// When it was raised.
fn raised(view: &AlertView) -> Option<Wall> {
    match view.state {
        AlertState::Quiet | AlertState::Pending { .. } => None,
        AlertState::Firing { since, .. } => Some(since),
        AlertState::Recovering { firing, .. } => Some(firing),
    }
}

fn dependency(view: &AlertView) -> Option<&str> {
    match &view.key.subject {
        Subject::Dependency(name) => Some(name),
        Subject::Host(_) | Subject::Monitor => None,
    }
}

fn host(view: &AlertView) -> Option<String> {
    match &view.key.subject {
        Subject::Host(key) => Some(key.to_string()),
        Subject::Dependency(_) | Subject::Monitor => None,
    }
}

const fn change_words(change: AlertChange) -> &'static str {
    match change {
        AlertChange::Pending => "pending: its condition begins to hold",
        AlertChange::Cleared => "quiet again: its condition did not hold for long enough",
        AlertChange::Fired => "raised",
        AlertChange::Recovering => "recovering: its condition holds no more",
        AlertChange::Relapsed => "firing again: its condition holds once more",
        AlertChange::Resolved(_) => "over",
    }
}

fn muted_words(muted: &Muted) -> String {
    match muted {
        Muted::Silence(id) => format!("; nobody is told: silence {id}"),
        Muted::Maintenance(name) => format!("; nobody is told: maintenance window {name}"),
        Muted::Parent(name) => format!("; nobody is told: {name}, which it needs, is failing"),
        Muted::Overshadowed(rule) => format!("; nobody is told: {} says more", rule.id()),
        Muted::Peer(name) => format!("; {name} tells of it"),
        Muted::Unproven => "; others tell of it, since this replica cannot prove that it lives".to_owned(),
    }
}
