//! `whyd rules`: the judgement of our alerts as rules for Prometheus, from the chart that they are kept in.

use std::process::ExitCode;

/// The canonical file. Helm reads nothing outside its chart, so that it lives there.
const RULES: &str = include_str!("../../helm/whyd/files/rules/whyd.rules.yaml");

pub fn run() -> ExitCode {
    super::print(RULES)
}
