//! How names are looked up, and whether who is asked answers.

use std::path::Path;
use std::time::Duration;

use super::asked::{Answer, Question};
use super::finding::Finding;
use crate::probe::host::{self, Lookup};
use crate::report::units::duration;

const FILE: &str = "/etc/resolv.conf";
/// A nameserver that takes longer costs each lookup that much.
const SLOW: Duration = Duration::from_millis(500);

pub struct Facts {
    /// Or why the file cannot be read.
    pub lookup: Result<Lookup, String>,
}

impl Facts {
    pub fn gather() -> Self {
        Facts {
            lookup: host::lookup(Path::new(FILE)).map_err(|error| error.to_string()),
        }
    }
}

/// One for each nameserver. The root's own servers are asked for: every resolver knows them, and whatever it says to that,
/// it has answered.
pub fn questions(facts: &Facts) -> Vec<Question> {
    let servers = facts.lookup.as_ref().map_or(&[][..], |lookup| &lookup.servers);
    let question = |server: &std::net::SocketAddr| Question {
        check: "resolver",
        subject: server.to_string(),
        target: format!("dns://{server}/.?type=NS"),
        tls: None,
        proxy: None,
    };
    servers.iter().map(question).collect()
}

/// `answers` are the nameservers', in their order.
pub fn judge(facts: &Facts, answers: &[Answer]) -> Vec<Finding> {
    let lookup = match &facts.lookup {
        Err(error) => {
            let text = format!("cannot be read: {error}; names are asked of 127.0.0.1 instead");
            let fix = format!("name the nameservers in {FILE}, readable by everybody: chmod 644 {FILE}");
            return vec![Finding::problem("resolver", text).on(FILE).fix(fix)];
        }
        Ok(lookup) => lookup,
    };
    let mut findings = vec![of_file(lookup)];
    let any_answers = answers
        .iter()
        .any(|answer| matches!(answer, Answer::Answered { .. }));
    for (server, answer) in lookup.servers.iter().zip(answers) {
        findings.push(of_server(&server.to_string(), answer, any_answers, lookup));
    }
    findings
}

fn of_file(lookup: &Lookup) -> Finding {
    if !lookup.given {
        return Finding::warning("resolver", "names no nameserver, so that 127.0.0.1 is asked")
            .on(FILE)
            .fix(format!("echo 'nameserver ADDRESS' >> {FILE}"));
    }
    let search = match lookup.search.is_empty() {
        true => "no search list".to_owned(),
        false => format!("search {}", lookup.search.join(" ")),
    };
    let each = duration(lookup.timeout);
    let text = format!(
        "says: {search}, ndots {}, {each} for each of {} tries",
        lookup.ndots, lookup.attempts
    );
    Finding::ok("resolver", text).on(FILE)
}

fn of_server(server: &str, answer: &Answer, any_answers: bool, lookup: &Lookup) -> Finding {
    let found = match answer {
        Answer::Answered { after, .. } if *after > SLOW => {
            let text = format!("answers, but only after {}", duration(*after));
            Finding::warning("resolver", text).fix(format!("whyd check 'dns://{server}/.?type=NS' --deep"))
        }
        Answer::Answered { after, but } => {
            let but = but.map(|cause| format!(" ({cause})")).unwrap_or_default();
            Finding::ok("resolver", format!("answers in {}{but}", duration(*after)))
        }
        Answer::Failed {
            cause, means, fix, ..
        } if any_answers => {
            let lost = duration(lookup.timeout);
            let text = format!(
                "does not answer: {means} ({cause}); others do, but each lookup may lose {lost} here"
            );
            Finding::warning("resolver", text).fix(fix)
        }
        Answer::Failed {
            cause, means, fix, ..
        } => Finding::problem("resolver", format!("does not answer: {means} ({cause})")).fix(fix),
        Answer::NotAsked(why) => Finding::warning("resolver", format!("was not asked: {why}")),
    };
    found.on(server)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn facts(servers: &[&str], given: bool) -> Facts {
        Facts {
            lookup: Ok(Lookup {
                servers: servers
                    .iter()
                    .map(|server| server.parse().expect("an address"))
                    .collect(),
                given,
                search: vec!["svc.cluster.local.".to_owned()],
                ndots: 5,
                timeout: Duration::from_secs(5),
                attempts: 2,
            }),
        }
    }

    fn failed() -> Answer {
        Answer::Failed {
            after: Duration::from_secs(5),
            cause: "dns.timed_out",
            means: "no answer".to_owned(),
            fix: "look".to_owned(),
        }
    }

    fn answered(millis: u64) -> Answer {
        Answer::Answered {
            after: Duration::from_millis(millis),
            but: None,
        }
    }

    fn levels(facts: &Facts, answers: &[Answer]) -> Vec<Level> {
        judge(facts, answers).iter().map(|found| found.level).collect()
    }

    #[test]
    fn a_dead_nameserver_is_a_problem_when_no_other_answers() {
        let two = facts(&["192.0.2.1:53", "192.0.2.2:53"], true);
        assert_eq!(
            levels(&two, &[answered(3), answered(4)]),
            [Level::Ok, Level::Ok, Level::Ok]
        );
        assert_eq!(
            levels(&two, &[failed(), answered(4)]),
            [Level::Ok, Level::Warning, Level::Ok]
        );
        assert_eq!(
            levels(&two, &[failed(), failed()]),
            [Level::Ok, Level::Problem, Level::Problem]
        );
        assert_eq!(levels(&two, &[answered(900)])[1], Level::Warning);
    }

    #[test]
    fn a_file_that_says_nothing_or_cannot_be_read_is_told() {
        assert_eq!(levels(&facts(&["127.0.0.1:53"], false), &[])[0], Level::Warning);
        let unreadable = Facts {
            lookup: Err("Permission denied".to_owned()),
        };
        let found = judge(&unreadable, &[]);
        assert_eq!((found.len(), found[0].level), (1, Level::Problem));
        assert!(found[0].seen.contains("Permission denied"), "{found:?}");
    }
}
