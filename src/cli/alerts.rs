//! `whyd alerts`: a receiver is tried; what is shown of a running daemon has a file of its own.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::args::{AlertsArgs, AlertsCommand, AlertsTestArgs, Global};
use super::output::{Output, complain, say, stderr_color};
use super::{BAD_CONFIG, alerts_shown, usage_error, wiring};
use crate::config::Overrides;
use crate::deliver::{Deliverer, test};
use crate::model::notification::{DeliveryId, DeliveryOrder, DeliveryOutcome, Links, Notification};
use crate::model::receiver::{Alerting, Receiver};
use crate::model::similar::closest;
use crate::net::wall;
use crate::report::units::duration;

/// Exit status where a receiver did not take the test.
const NOT_TAKEN: u8 = 1;
/// Edits that a mistyped name may have.
const NEAR: usize = 3;

pub fn run(args: &AlertsArgs, global: &Global) -> ExitCode {
    match &args.command {
        Some(AlertsCommand::Test(test)) => try_receiver(test, global),
        None => alerts_shown::alerts(&args.show, global),
    }
}

fn try_receiver(args: &AlertsTestArgs, global: &Global) -> ExitCode {
    // Who the receivers are does not depend on the replica.
    let anywhere = Overrides {
        elsewhere: true,
        ..Overrides::default()
    };
    let loaded = match wiring::load(&args.config, &anywhere, stderr_color(global.color)) {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            say(diagnostics.trim_end());
            return BAD_CONFIG.into();
        }
    };
    for warning in &loaded.warnings {
        say(warning.trim_end());
    }
    let alerting = loaded.plan.alerting;
    let chosen = named(&alerting, &args.receiver);
    if chosen.is_empty() {
        return usage_error(&unknown(&alerting, &args.receiver));
    }
    match wiring::in_runtime(try_all(chosen, alerting)) {
        Ok(exit) => exit,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// The receiver of that name, and its peers: those are called `NAME/2` and so on, and may be named alone.
fn named(alerting: &Alerting, name: &str) -> Vec<Arc<Receiver>> {
    let is_meant = |receiver: &&Arc<Receiver>| {
        let rest = receiver.name.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || is_peer(rest))
    };
    alerting.receivers.iter().filter(is_meant).cloned().collect()
}

/// Whether that is what stands behind the name of a peer beyond the first.
fn is_peer(rest: &str) -> bool {
    let number = rest.strip_prefix('/').unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn unknown(alerting: &Alerting, name: &str) -> String {
    let names: Vec<&str> = alerting
        .receivers
        .iter()
        .map(|receiver| &*receiver.name)
        .collect();
    if names.is_empty() {
        return format!("there is no receiver {name:?}: the configuration has no receivers");
    }
    match closest(name, names.iter().copied(), NEAR) {
        Some(near) => format!("there is no receiver {name:?}, did you mean {near}?"),
        None => format!("there is no receiver {name:?}; there are: {}", names.join(", ")),
    }
}

async fn try_all(receivers: Vec<Arc<Receiver>>, alerting: Alerting) -> ExitCode {
    let mut output = Output::stdout();
    let deliverer = Deliverer::new();
    let links = Links {
        external_url: alerting.external_url.clone(),
        runbooks: Arc::clone(&alerting.runbooks),
        shared: false,
    };
    let mut exit = 0;
    for (number, receiver) in (1..).zip(receivers) {
        let mut told = test::notifications(&receiver, &alerting.labels, wall::now()).into_iter();
        while let Some(notification) = told.next() {
            let what = if notification.is_firing() {
                "a test"
            } else {
                "its end"
            };
            let order = DeliveryOrder {
                delivery: DeliveryId(number),
                receiver: Arc::clone(&receiver),
                notification: Arc::new(notification),
                tried: 0,
                links: links.clone(),
            };
            let began = Instant::now();
            let outcome = deliverer.deliver(&order).await;
            output.write(&line(&order, what, &outcome, began.elapsed()));
            if outcome != DeliveryOutcome::Accepted {
                exit = NOT_TAKEN;
                // Without its beginning nobody there knows what has ended.
                told.by_ref().for_each(drop);
            }
        }
        if let Some(note) = test::note(&receiver) {
            output.write(&format!("{}: {note}\n", receiver.name));
        }
    }
    output.exit(exit)
}

fn line(order: &DeliveryOrder, what: &str, outcome: &DeliveryOutcome, took: Duration) -> String {
    let receiver = &order.receiver;
    let Notification { id, .. } = &*order.notification;
    let became = match outcome {
        DeliveryOutcome::Accepted => "was accepted".to_owned(),
        DeliveryOutcome::Failed { why, retry_after } => {
            let later = retry_after.map(|after| format!(" (asks to come again in {})", duration(after)));
            format!("failed, might work later: {why}{}", later.unwrap_or_default())
        }
        DeliveryOutcome::Refused { why } => format!("was refused: {why}"),
    };
    format!(
        "{} ({}): {what} ({id}) {became}, after {}\n",
        receiver.name,
        receiver.channel.id(),
        duration(took)
    )
}

#[cfg(test)]
mod tests;
