//! Certificate authorities: the system's, and the files that the configuration names.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::finding::Finding;
use crate::model::dependency::{Probe, TlsSettings};
use crate::model::plan::Plan;
use crate::model::receiver::Channel;
use crate::net::trust::{self, SystemTrust, Trust};
use crate::report::units::count;

pub struct Facts {
    pub system: SystemTrust,
    /// Files of the configuration: how many authorities, or what is wrong.
    pub files: Vec<(PathBuf, Result<usize, String>)>,
}

impl Facts {
    pub fn gather(plan: Option<&Plan>) -> Self {
        let mut paths = BTreeSet::new();
        for settings in plan.into_iter().flat_map(settings) {
            paths.extend(settings.ca.iter().cloned());
        }
        let read = |path: PathBuf| {
            let trust = Trust::with_files(std::slice::from_ref(&path), true);
            let read = trust
                .map(|trust| trust.given().len())
                .map_err(|error| error.to_string());
            (path, read)
        };
        Facts {
            system: trust::survey(),
            files: paths.into_iter().map(read).collect(),
        }
    }
}

/// Everything that the plan says of TLS.
fn settings(plan: &Plan) -> Vec<&TlsSettings> {
    let anchors = plan.vantage.anchors.iter();
    let dependencies = plan.dependencies.iter().chain(anchors);
    let mut all: Vec<&TlsSettings> = dependencies.filter_map(|one| of_probe(&one.probe)).collect();
    all.extend(plan.otlp.as_ref().map(|otlp| &otlp.tls));
    all.extend(
        plan.alerting
            .receivers
            .iter()
            .map(|receiver| of_channel(&receiver.channel)),
    );
    all
}

fn of_probe(probe: &Probe) -> Option<&TlsSettings> {
    match probe {
        Probe::Http(_) | Probe::Grpc(_) | Probe::WebSocket(_) => probe.http().map(|http| &http.tls),
        Probe::Tls(tls) => Some(&tls.tls),
        Probe::Dialogue(dialogue) => Some(&dialogue.tls),
        Probe::Tcp(_) | Probe::Dns(_) | Probe::Icmp(_) => None,
    }
}

fn of_channel(channel: &Channel) -> &TlsSettings {
    match channel {
        Channel::Alertmanager(target)
        | Channel::Webhook(target)
        | Channel::Slack { target, .. }
        | Channel::PagerDuty { target, .. }
        | Channel::Opsgenie { target, .. }
        | Channel::Heartbeat { target, .. } => &target.tls,
        Channel::Email(email) => &email.tls,
    }
}

pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![of_system(&facts.system)];
    for error in &facts.system.errors {
        let fix = "chmod 644 what is not readable, or correct SSL_CERT_FILE and SSL_CERT_DIR";
        findings.push(Finding::warning("trust", error.clone()).fix(fix));
    }
    for (path, read) in &facts.files {
        let found = match read {
            Ok(number) => Finding::ok("trust", format!("holds {}", authorities(*number))),
            Err(error) => Finding::problem("trust", format!("cannot be used: {error}")).fix(format!(
                "ls -l {0}; openssl x509 -in {0} -noout -text",
                path.display()
            )),
        };
        findings.push(found.on(path.display().to_string()));
    }
    findings
}

fn of_system(system: &SystemTrust) -> Finding {
    if !system.compiled_in {
        return Finding::ok("trust", format!("the system has {}", authorities(system.used)));
    }
    let seen =
        "the system has no certificate authorities: Mozilla's list as of this program's build stands in";
    Finding::warning("trust", seen).fix("apt-get install ca-certificates, or SSL_CERT_FILE=BUNDLE.pem")
}

fn authorities(number: usize) -> String {
    match number {
        1 => "1 certificate authority".to_owned(),
        _ => count(number, "certificate").to_owned() + " of authorities",
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_system_without_authorities_and_a_bad_file_are_told() {
        let facts = Facts {
            system: SystemTrust {
                used: 0,
                errors: vec!["/etc/ssl/certs: Permission denied".to_owned()],
                compiled_in: true,
            },
            files: vec![
                ("/a.pem".into(), Ok(2)),
                (
                    "/b.pem".into(),
                    Err("the CA file /b.pem holds no certificate".to_owned()),
                ),
            ],
        };
        let levels: Vec<Level> = judge(&facts).iter().map(|found| found.level).collect();
        assert_eq!(
            levels,
            [Level::Warning, Level::Warning, Level::Ok, Level::Problem]
        );
    }
}
