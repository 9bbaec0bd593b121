//! A receiver of webhooks that remembers all it was sent, and fails as often as it is asked to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;

use super::Dice;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    Takes,
    /// A quarter is refused unread. Another quarter is taken, but the answer says otherwise.
    FailsHalf,
}

/// One notification as it came.
#[derive(Clone)]
struct Heard {
    id: String,
    body: Value,
    /// What was true when it came, and before that.
    expected: Expected,
}

#[derive(Clone, Default)]
struct Expected {
    before: BTreeSet<String>,
    now: BTreeSet<String>,
}

pub struct Receiver {
    address: SocketAddr,
    manners: Manners,
    dice: Mutex<Dice>,
    heard: Mutex<Vec<Heard>>,
    refused: Mutex<u32>,
    expected: Mutex<Expected>,
}

impl Receiver {
    pub async fn start(manners: Manners, seed: u64) -> Arc<Receiver> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let receiver = Arc::new(Receiver {
            address: listener.local_addr().expect("an address"),
            manners,
            dice: Mutex::new(Dice(seed ^ 3)),
            heard: Mutex::default(),
            refused: Mutex::default(),
            expected: Mutex::default(),
        });
        let router = Router::new()
            .route("/hook", post(hear))
            .with_state(Arc::clone(&receiver));
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// From now on just these fail, after what was expected before.
    pub fn expect(&self, failing: &BTreeSet<String>) {
        let mut expected = self.expected.lock().expect("not poisoned");
        expected.before = std::mem::replace(&mut expected.now, failing.clone());
    }

    pub fn story(&self) -> Story {
        Story {
            heard: self.heard.lock().expect("not poisoned").clone(),
            refused: *self.refused.lock().expect("not poisoned"),
        }
    }
}

async fn hear(State(receiver): State<Arc<Receiver>>, body: Bytes) -> StatusCode {
    let lot = match receiver.manners {
        Manners::Takes => 3,
        Manners::FailsHalf => receiver.dice.lock().expect("not poisoned").below(4),
    };
    if lot == 0 {
        *receiver.refused.lock().expect("not poisoned") += 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let id = body["whyd"]["notification"]
        .as_str()
        .expect("the notification's id")
        .to_owned();
    let expected = receiver.expected.lock().expect("not poisoned").clone();
    receiver
        .heard
        .lock()
        .expect("not poisoned")
        .push(Heard { id, body, expected });
    if lot == 1 {
        *receiver.refused.lock().expect("not poisoned") += 1;
        return StatusCode::BAD_GATEWAY;
    }
    StatusCode::OK
}

impl Heard {
    fn incident(&self) -> &str {
        self.body["whyd"]["incident"].as_str().expect("an incident")
    }

    /// The dependencies that fail as its alerts' do and have no alert yet.
    fn affected(&self) -> impl Iterator<Item = &str> {
        let affected = self.body["whyd"]["affected"].as_array().expect("a list").iter();
        affected.map(|name| name.as_str().expect("a name"))
    }

    /// Each alert's dependency and status.
    fn alerts(&self) -> impl Iterator<Item = (&str, &str)> {
        let alerts = self.body["alerts"].as_array().expect("alerts").iter();
        alerts.map(|alert| {
            let name = alert["labels"]["dependency"].as_str().expect("a dependency");
            (name, alert["status"].as_str().expect("a status"))
        })
    }
}

/// All that a receiver was told, in order.
pub struct Story {
    heard: Vec<Heard>,
    refused: u32,
}

impl Story {
    /// Without what came again, which is known by its id.
    fn once(&self) -> Vec<&Heard> {
        let mut seen = BTreeSet::new();
        self.heard.iter().filter(|heard| seen.insert(&heard.id)).collect()
    }

    /// The words on each dependency, in order; what still fires is said again when others join or leave its incident. To
    /// be listed as affected is to be told of as failing; what fires after that is no news. Who is neither listed nor told
    /// of in the next word on the incident is well again without having fired.
    fn words(&self) -> BTreeMap<String, Vec<&str>> {
        let mut said: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut listed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for heard in self.once() {
            for (name, status) in heard.alerts() {
                said.entry(name.to_owned()).or_default().push(status);
            }
            let affected: BTreeSet<&str> = heard.affected().collect();
            for name in &affected {
                said.entry((*name).to_owned()).or_default().push("firing");
            }
            let before = listed.insert(heard.incident(), affected.clone());
            let named =
                |name: &str| affected.contains(name) || heard.alerts().any(|(other, _)| other == name);
            for name in before.into_iter().flatten().filter(|name| !named(name)) {
                said.entry(name.to_owned()).or_default().push("resolved");
            }
        }
        said
    }

    /// The dependencies that fail, as far as it was told.
    pub fn firing(&self) -> BTreeSet<String> {
        let words = self.words();
        let firing = words
            .into_iter()
            .filter(|(_, said)| said.last() == Some(&"firing"));
        firing.map(|(name, _)| name).collect()
    }

    /// How often each went from one to the other.
    pub fn changes(&self) -> BTreeMap<String, usize> {
        let count = |mut said: Vec<&str>| {
            said.dedup();
            said.len()
        };
        self.words()
            .into_iter()
            .map(|(name, said)| (name, count(said)))
            .collect()
    }

    /// Nothing came again in another form, nothing was said that was not so, and no end was told twice or of what had not
    /// begun.
    pub fn check(&self) {
        let mut first: BTreeMap<&str, &Value> = BTreeMap::new();
        for heard in &self.heard {
            let before = first.entry(&heard.id).or_insert(&heard.body);
            assert_eq!(*before, &heard.body, "the same id came with another content");
        }
        for heard in self.once() {
            let Expected { before, now } = &heard.expected;
            let affected = heard.affected().map(|name| (name, "firing"));
            for (name, status) in heard.alerts().chain(affected) {
                let so = [before, now].map(|failing| failing.contains(name) == (status == "firing"));
                assert!(
                    so.contains(&true),
                    "{name} is told to be {status}: {:#}",
                    heard.body
                );
            }
        }
        for (name, said) in self.words() {
            let ends = said
                .windows(2)
                .all(|pair| pair[1] == "firing" || pair[0] == "firing");
            assert!(said[0] == "firing" && ends, "{name}: {said:?}");
        }
    }

    /// The last notifications, a line each.
    pub fn last(&self, many: usize) -> String {
        let once = self.once();
        let line = |heard: &&Heard| {
            let alerts: Vec<String> = heard
                .alerts()
                .map(|(name, status)| format!("{name} {status}"))
                .collect();
            let affected: Vec<&str> = heard.affected().collect();
            format!(
                "{} {}: {}; affected: {}\n",
                heard.body["whyd"]["at"],
                heard.id,
                alerts.join(", "),
                affected.join(", ")
            )
        };
        once.iter()
            .skip(once.len().saturating_sub(many))
            .map(line)
            .collect()
    }

    pub fn summary(&self) -> String {
        let distinct = self.once().len();
        format!(
            "{} notifications of which {} came again, {} answers were failures",
            distinct,
            self.heard.len() - distinct,
            self.refused
        )
    }
}
