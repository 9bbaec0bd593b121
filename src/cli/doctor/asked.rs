//! What is asked over the network: one round of the daemon's own loop, everything at once.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::wiring;
use crate::config::{self, ProcessEnvironment, TargetOptions};
use crate::daemon;
use crate::model::dependency::{Probe, TlsSettings};
use crate::model::failure::{OperationRecord, Verdict};
use crate::model::plan::Plan;

/// For one answer, with everything that comes before it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Something to be asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The area of the finding and what in it.
    pub check: &'static str,
    pub subject: String,
    /// As `whyd check` takes it.
    pub target: String,
    pub tls: Option<TlsSettings>,
    /// An HTTP proxy's URL.
    pub proxy: Option<Arc<str>>,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Answered {
        after: Duration,
        /// The cause, where it answered with an error.
        but: Option<&'static str>,
    },
    Failed {
        after: Duration,
        cause: &'static str,
        /// What the cause means, in a few words.
        means: String,
        fix: String,
    },
    /// The target could not be made sense of: the reason.
    NotAsked(String),
}

/// The answers, in the order of the questions.
///
/// # Errors
/// The runtime or the loop does not start.
pub fn ask(questions: &[Question]) -> Result<Vec<Answer>, String> {
    let mut answers = vec![Answer::NotAsked("it was not asked in time".to_owned()); questions.len()];
    let mut round: Option<Plan> = None;
    for (place, question) in questions.iter().enumerate() {
        match plan(place, question) {
            Err(why) => answers[place] = Answer::NotAsked(why),
            Ok(one) => match &mut round {
                Some(round) => round.dependencies.extend(one.dependencies),
                None => round = Some(one),
            },
        }
    }
    let Some(mut round) = round else {
        return Ok(answers);
    };
    round.dependencies.sort_by(|one, other| one.name.cmp(&other.name));
    let ran = wiring::in_runtime(daemon::run_once(round, std::future::pending(), |record| {
        let place: Option<usize> = record.dependency.name.parse().ok();
        if let Some(answer) = place.and_then(|place| answers.get_mut(place)) {
            *answer = answer_of(&record);
        }
    }))?;
    ran.map_err(|error| error.to_string())?;
    Ok(answers)
}

/// A plan of one round for one question, whose dependency is called by its place.
fn plan(place: usize, question: &Question) -> Result<Plan, String> {
    let options = TargetOptions {
        // What the environment says of proxies is for dependencies; exporters and receivers do not go by it.
        proxy: Some(question.proxy.as_deref().unwrap_or("none").to_owned()),
        timeout: Some(PATIENCE),
        retries: Some(0),
        ..TargetOptions::default()
    };
    let targets = [question.target.clone()];
    let made = config::plan_for_targets(&targets, &options, &ProcessEnvironment)
        .map_err(|diagnostics| diagnostics.render(false).trim().to_owned())?;
    let mut plan = made.plan;
    for dependency in &mut plan.dependencies {
        let own = Arc::make_mut(dependency);
        own.name = format!("{place:06}").into();
        if let (Probe::Tls(probe), Some(tls)) = (&mut own.probe, &question.tls) {
            probe.tls = tls.clone();
        }
    }
    Ok(plan)
}

fn answer_of(record: &OperationRecord) -> Answer {
    let after = record.elapsed;
    let has_answered = record
        .attempts
        .last()
        .and_then(|last| last.attempt.decisive_hop())
        .is_some_and(|hop| hop.received > 0);
    match &record.failure {
        None => Answer::Answered { after, but: None },
        Some(_) if matches!(record.verdict, Verdict::Ok | Verdict::RetriedOk) => {
            Answer::Answered { after, but: None }
        }
        // A nameserver that says no has answered; a TLS handshake that fails has not.
        Some(failure) if has_answered && matches!(record.dependency.probe, Probe::Dns(_)) => {
            Answer::Answered {
                after,
                but: Some(failure.cause.id()),
            }
        }
        Some(failure) => Answer::Failed {
            after,
            cause: failure.cause.id(),
            means: failure.cause.doc().title.to_owned(),
            fix: failure.fix.to_string(),
        },
    }
}
