//! placeholder until the classification is merged
use crate::model::attempt::*;
use crate::model::cause::*;
use crate::model::dependency::*;
use crate::model::evidence::Evidence;
use crate::model::failure::*;
use crate::model::order::*;
use crate::model::time::Wall;
pub struct Context<'a> {
    pub dependency: &'a Dependency,
    pub known_hosts: &'a dyn Fn(&str) -> Option<String>,
    pub now: Wall,
}
pub fn classify(attempt: &Attempt, _context: &Context<'_>) -> Option<Failure> {
    let stop = attempt.stop()?;
    let cause = match &stop.trouble {
        Trouble::Io { .. } => Cause::TcpRefusedRst,
        Trouble::Unexpected(Unexpected::Status { got: 503, .. }) => Cause::Http503,
        Trouble::Closed => Cause::TcpClosedStale,
        _ => Cause::Unknown,
    };
    Some(Failure {
        cause,
        phase: stop.phase,
        speed: Speed::Fast,
        confidence: Confidence::Observed,
        alternatives: vec![],
        evidence: Evidence::new(),
        fix: "".into(),
        elapsed: attempt.elapsed,
        chain: vec![],
    })
}
pub fn findings(_: &Attempt, _: &Context<'_>) -> Vec<Finding> {
    vec![]
}
pub fn second_looks(_: &Failure, _: &Attempt, _: &Dependency) -> Vec<ConfirmationKind> {
    vec![]
}
pub fn confirmed(failure: Failure, _: &ConfirmationKind, _: &Confirmation) -> Failure {
    failure
}
pub fn confirmed_by_next_attempt(_: &mut Failure, _: bool) {}
