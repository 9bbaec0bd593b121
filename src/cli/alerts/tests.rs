use super::*;
use crate::model::receiver::{Channel, Takes, Template, WebAuth, WebTarget};
use crate::model::secret::Text;

fn alerting(names: &[&str]) -> Alerting {
    let receiver = |name: &&str| {
        Arc::new(Receiver {
            name: (*name).into(),
            channel: Channel::Webhook(WebTarget {
                url: Text::Plain("http://127.0.0.1:1/".into()),
                headers: Arc::from([]),
                auth: WebAuth::None,
                tls: Default::default(),
                proxy: None,
            }),
            takes: Takes {
                least: crate::model::alert::Severity::Info,
                matchers: Arc::from([]),
            },
            send_resolved: true,
            repeat: Receiver::REPEAT,
            per_minute: Receiver::PER_MINUTE,
            expire: Receiver::EXPIRE,
            timeout: Receiver::TIMEOUT,
            template: Template::default(),
        })
    };
    Alerting {
        receivers: names.iter().map(receiver).collect(),
        ..Alerting::default()
    }
}

#[test]
fn a_name_means_its_peers_too() {
    let alerting = alerting(&["am", "am/2", "am/3", "am/x", "am2", "slack"]);
    let names = |name: &str| -> Vec<String> {
        let found = named(&alerting, name);
        found.iter().map(|receiver| receiver.name.to_string()).collect()
    };
    assert_eq!(names("am"), ["am", "am/2", "am/3"]);
    assert_eq!(names("am/2"), ["am/2"]);
    assert_eq!(names("a"), Vec::<String>::new());
}

#[test]
fn one_that_is_not_there_is_answered_with_those_that_are() {
    let alerting = alerting(&["on-call", "slack"]);
    assert_eq!(
        unknown(&alerting, "on-cal"),
        "there is no receiver \"on-cal\", did you mean on-call?"
    );
    assert_eq!(
        unknown(&alerting, "pagerduty"),
        "there is no receiver \"pagerduty\"; there are: on-call, slack"
    );
    assert!(unknown(&Alerting::default(), "x").ends_with("has no receivers"));
}
