//! Exporters, receivers and sources: whether they can be reached, by a connection and a handshake and nothing more.

use std::path::Path;
use std::sync::Arc;

use reqwest::Url;

use super::asked::{Answer, Question};
use super::finding::Finding;
use crate::model::dependency::TlsSettings;
use crate::model::discovery::SourceKind;
use crate::model::plan::{Otlp, Plan};
use crate::model::receiver::{Channel, MailSecurity, WebTarget};
use crate::model::secret::Text;
use crate::net::secret::Secrets;
use crate::report::units::duration;

/// Adds what the plan wants reached. What has to be read first (a URL that is a secret) and cannot be is a finding.
pub fn questions(plan: Option<&Plan>, questions: &mut Vec<Question>) -> Vec<Finding> {
    let Some(plan) = plan else { return Vec::new() };
    let mut all = Collected {
        secrets: Secrets::new(),
        questions,
        findings: Vec::new(),
    };
    if let Some(otlp) = &plan.otlp {
        all.otlp(otlp);
    }
    for receiver in plan.alerting.receivers.iter() {
        all.receiver(&receiver.name, &receiver.channel);
    }
    for source in plan.discovery.iter() {
        if let SourceKind::Http(http) = &source.kind {
            all.secret(
                "discovery",
                &source.name,
                http.headers.iter().map(|(_, value)| value),
            );
            all.url("discovery", &source.name, &http.url, &http.tls, None);
        }
    }
    all.findings
}

struct Collected<'a> {
    secrets: Secrets,
    questions: &'a mut Vec<Question>,
    findings: Vec<Finding>,
}

impl Collected<'_> {
    fn otlp(&mut self, otlp: &Otlp) {
        self.secret("exporter", "OTLP", otlp.headers.iter().map(|(_, value)| value));
        let mut known: Vec<&str> = Vec::new();
        let endpoints = [
            ("OTLP metrics", Some(&otlp.endpoint)),
            ("OTLP traces", otlp.traces_endpoint.as_ref()),
            ("OTLP logs", otlp.alert_logs.as_ref().map(|logs| &logs.endpoint)),
        ];
        for (signal, endpoint) in endpoints {
            let Some(endpoint) = endpoint else { continue };
            // One collector for all of them is asked once.
            let place = authority(endpoint);
            if !known.contains(&place) {
                known.push(place);
                self.url("exporter", signal, endpoint, &otlp.tls, None);
            }
        }
    }

    fn receiver(&mut self, name: &str, channel: &Channel) {
        let target = match channel {
            Channel::Alertmanager(target)
            | Channel::Webhook(target)
            | Channel::Slack { target, .. }
            | Channel::PagerDuty { target, .. }
            | Channel::Opsgenie { target, .. }
            | Channel::Heartbeat { target, .. } => target,
            Channel::Email(email) => {
                let scheme = if email.security == MailSecurity::Implicit {
                    "tls"
                } else {
                    "tcp"
                };
                let place = format!("{}:{}", bracketed(&email.host), email.port);
                self.ask(("receiver", name), scheme, &place, &email.tls, None);
                return;
            }
        };
        self.web(name, target);
    }

    fn web(&mut self, name: &str, target: &WebTarget) {
        self.secret("receiver", name, target.headers.iter().map(|(_, value)| value));
        match self.secrets.text(&target.url) {
            Ok(url) => self.url("receiver", name, &url, &target.tls, target.proxy.as_ref()),
            Err(error) => self.unreadable("receiver", name, error.path.as_path(), &error.to_string()),
        }
    }

    /// Each of them must be readable.
    fn secret<'t>(&mut self, check: &'static str, name: &str, texts: impl Iterator<Item = &'t Text>) {
        for text in texts {
            if let Err(error) = self.secrets.text(text) {
                self.unreadable(check, name, error.path.as_path(), &error.to_string());
            }
        }
    }

    fn unreadable(&mut self, check: &'static str, name: &str, path: &Path, why: &str) {
        let found = Finding::problem(check, format!("needs a secret: {why}")).on(name);
        self.findings.push(found.fix(format!("ls -l {}", path.display())));
    }

    /// Of the URL nothing but scheme, host and port is used or shown: the rest may be a secret.
    fn url(
        &mut self,
        check: &'static str,
        name: &str,
        url: &str,
        tls: &TlsSettings,
        proxy: Option<&Arc<str>>,
    ) {
        let parsed = Url::parse(url).ok();
        let place = parsed
            .as_ref()
            .and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
        let Some((host, port)) = place else {
            let found = Finding::problem(check, "has a URL without a host and a port");
            self.findings.push(found.on(name));
            return;
        };
        let place = format!("{host}:{port}");
        if parsed.as_ref().is_some_and(|url| url.scheme() == "https") {
            self.ask((check, name), "tls", &place, tls, proxy);
        } else if let Some(proxy) = proxy {
            // Plain HTTP is asked of the proxy itself, which may let nobody through to other ports than 443.
            let place = authority(proxy).to_owned();
            self.ask((check, name), "tcp", &place, tls, None);
        } else {
            self.ask((check, name), "tcp", &place, tls, None);
        }
    }

    fn ask(
        &mut self,
        (check, name): (&'static str, &str),
        scheme: &str,
        place: &str,
        tls: &TlsSettings,
        proxy: Option<&Arc<str>>,
    ) {
        self.questions.push(Question {
            check,
            subject: format!("{name} ({place})"),
            target: format!("{scheme}://{place}"),
            tls: Some(tls.clone()),
            proxy: proxy.cloned(),
        });
    }
}

/// Scheme, host and port of a URL.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

pub fn judge(questions: &[Question], answers: &[Answer]) -> Vec<Finding> {
    let pairs = questions.iter().zip(answers);
    pairs
        .map(|(question, answer)| {
            let found = match answer {
                Answer::Answered { after, .. } => {
                    let how = if question.target.starts_with("tls://") {
                        "TLS stands"
                    } else {
                        "a connection stands"
                    };
                    Finding::ok(question.check, format!("{how} after {}", duration(*after)))
                }
                Answer::Failed {
                    cause, means, fix, ..
                } => {
                    Finding::problem(question.check, format!("cannot be reached: {means} ({cause})")).fix(fix)
                }
                Answer::NotAsked(why) => Finding::warning(question.check, format!("was not asked: {why}")),
            };
            found.on(&question.subject)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::receiver::WebAuth;
    use crate::model::secret::{Secret, SecretRef};

    fn collected(channel: &Channel) -> (Vec<(String, String)>, Vec<Finding>) {
        let mut questions = Vec::new();
        let mut all = Collected {
            secrets: Secrets::new(),
            questions: &mut questions,
            findings: Vec::new(),
        };
        all.receiver("hook", channel);
        let findings = all.findings;
        let shown = questions
            .iter()
            .map(|one| (one.subject.clone(), one.target.clone()));
        (shown.collect(), findings)
    }

    fn webhook(url: SecretRef) -> Channel {
        Channel::Webhook(WebTarget {
            url: Text::Secret(url),
            headers: Arc::from([]),
            auth: WebAuth::None,
            tls: TlsSettings::default(),
            proxy: None,
        })
    }

    #[test]
    fn of_a_secret_url_only_the_place_is_asked_and_shown() {
        let url = SecretRef::Inline(Secret::new("https://hooks.test/services/hunter2?k=hunter2"));
        let (asked, findings) = collected(&webhook(url));
        assert_eq!(
            asked,
            [(
                "hook (hooks.test:443)".to_owned(),
                "tls://hooks.test:443".to_owned()
            )]
        );
        assert!(findings.is_empty());
    }

    #[test]
    fn a_secret_that_cannot_be_read_is_a_problem_without_its_content() {
        let (asked, findings) = collected(&webhook(SecretRef::File("/nonexistent/url".into())));
        assert!(asked.is_empty());
        assert_eq!(findings[0].fix.as_deref(), Some("ls -l /nonexistent/url"));
    }

    #[test]
    fn places_are_cut_out_of_urls() {
        assert_eq!(authority("http://proxy.test:3128/x"), "proxy.test:3128");
        assert_eq!(authority("http://[::1]:4317"), "[::1]:4317");
        assert_eq!(bracketed("::1"), "[::1]");
    }
}
