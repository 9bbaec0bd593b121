//! Several replicas with their Leases, in virtual time: how they see each other, and what a receiver hears of them all.

use std::collections::HashSet;
use std::time::Duration;

use whyd::engine::Input;
use whyd::model::alert::Rule;
use whyd::model::plan::{Election, Plan, ScaleOut};
use whyd::model::share::{Peers, Share};
use whyd::model::time::Wall;

use super::world::*;

pub const REPLICAS: u32 = 3;
/// How long it takes until others see that a replica is gone, and until they see that it is back, in seconds.
pub const UNSEEN: (u64, u64) = (15, 3);

pub fn share(replica: u32) -> Share {
    Share {
        replica,
        replicas: REPLICAS,
        factor: 2,
    }
}

pub fn names() -> Vec<String> {
    (0..9).map(|i| format!("d{i}")).collect()
}

pub fn plan_of(replica: u32) -> Plan {
    let own = names().into_iter().filter(|name| share(replica).holds(name));
    let own = own.map(|name| dependency(&name)).collect();
    let mut plan = plan(own, vec![webhook("hook"), alertmanager("state")]);
    plan.scale_out = Some(ScaleOut {
        share: share(replica),
        name: format!("whyd-{replica}").into(),
        election: Election::Leases {
            namespace: None,
            name: "whyd".into(),
        },
        in_all: 9,
        neighbours: [].into(),
    });
    plan
}

/// One replica, and how the others see it.
pub struct Replica {
    pub world: World,
    pub lives: bool,
    /// Whether it reaches the API where Leases are.
    pub connected: bool,
    /// Since when it holds its Lease without a break; and when it last renewed it.
    pub since: Option<(u64, Wall)>,
    pub renewed: Option<(u64, Wall)>,
    /// Until when it had told people everything, as its Lease says.
    pub told_until: Wall,
    /// The same before the last break, and when it had renewed its Lease then.
    pub proved: Option<Wall>,
    pub before: Option<Wall>,
    pub told: Option<Peers>,
}

pub struct Fleet {
    pub replicas: Vec<Replica>,
    /// Seconds.
    pub now: u64,
}

impl Fleet {
    pub fn new() -> Fleet {
        let new = |replica| Replica {
            world: World::new(plan_of(replica)),
            lives: true,
            connected: true,
            since: None,
            renewed: None,
            told_until: Wall::default(),
            proved: None,
            before: None,
            told: None,
        };
        let mut fleet = Fleet {
            replicas: (0..REPLICAS).map(new).collect(),
            now: 0,
        };
        fleet.pass(120);
        fleet
    }

    pub fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += 1;
            for replica in &mut self.replicas {
                match replica.lives {
                    true => replica.world.pass_secs(1),
                    false => replica.world.now = replica.world.now + Duration::from_secs(1),
                }
            }
            self.renew();
            self.tell();
        }
    }

    pub fn renew(&mut self) {
        for replica in self.replicas.iter_mut().filter(|one| one.lives && one.connected) {
            let now = (self.now, replica.world.wall());
            let unbroken = replica.renewed.is_some_and(|(at, _)| at + UNSEEN.0 > self.now);
            if !unbroken || replica.since.is_none() {
                replica.since = Some(now);
                replica.proved = replica.renewed.map(|_| replica.told_until);
                replica.before = replica.renewed.map(|(_, at)| at);
            }
            if self.now.is_multiple_of(5) || !unbroken {
                replica.renewed = Some(now);
                // What it had not been able to tell then stands in its Lease.
                replica.told_until = replica.world.untold.unwrap_or(now.1).min(now.1);
            }
        }
    }

    pub fn tell(&mut self) {
        for me in 0..self.replicas.len() {
            let mut peers = Peers::default();
            for (number, replica) in (0..).zip(&self.replicas) {
                let (Some((seen, since)), Some((renewed, _))) = (replica.since, replica.renewed) else {
                    continue;
                };
                let lives = renewed + UNSEEN.0 > self.now;
                if number as usize == me {
                    // It counts on its own for less time than others do.
                    peers.standing = replica.connected && renewed + 10 > self.now;
                    peers.before = replica.before;
                } else if lives && seen + UNSEEN.1 <= self.now {
                    peers.living.push(number);
                } else if !lives {
                    peers.gone.push((number, replica.told_until));
                    continue;
                } else {
                    peers.gone.extend(replica.proved.map(|proof| (number, proof)));
                    continue;
                }
                peers.since.push((number, since));
            }
            let one = &mut self.replicas[me];
            if one.lives && one.connected | !peers.standing && one.told.as_ref() != Some(&peers) {
                // Who does not reach the API knows only that.
                if !one.connected {
                    let before = one.told.clone().unwrap_or_default();
                    peers = Peers {
                        standing: false,
                        ..before
                    };
                }
                if one.told.as_ref() != Some(&peers) {
                    one.told = Some(peers.clone());
                    one.world.apply(Input::PeersObserved(peers));
                }
            }
        }
    }

    pub fn kill(&mut self, replica: u32) {
        self.replicas[replica as usize].lives = false;
    }

    /// `kept`: its state directory is there.
    pub fn come_back(&mut self, replica: u32, kept: bool) {
        let one = &mut self.replicas[replica as usize];
        if one.lives {
            return;
        }
        if !kept {
            one.world.disk.clear();
        }
        one.told = None;
        one.lives = true;
        one.world.restart(|_| true);
    }

    pub fn set(&mut self, name: &str, nature: Nature) {
        for replica in &mut self.replicas {
            replica.world.set(&[name], nature);
        }
    }

    /// How often a receiver heard that a dependency is down, and that it is not, from all replicas; and whether it believes
    /// that it is.
    pub fn heard(&self, name: &str) -> (usize, usize, bool) {
        let mut notes: Vec<(u64, usize, bool, bool)> = Vec::new();
        for replica in &self.replicas {
            let mut seen = HashSet::new();
            let mut told: HashSet<(String, Wall, bool)> = HashSet::new();
            for heard in replica.world.heard_by("hook") {
                if !seen.insert(heard.notification.id.clone()) {
                    continue;
                }
                for note in &heard.notification.alerts {
                    let down = matches!(note.key.rule, Rule::DependencyDownFast | Rule::DependencyDownSlow);
                    if note.key.subject.to_string() != name || !down {
                        continue;
                    }
                    let fires = note.ended.is_none();
                    // What is listed again is no news; but it is believed if another said otherwise meanwhile.
                    let news = told.insert((note.key.to_string(), note.since, fires));
                    notes.push((heard.at.as_nanos(), notes.len(), fires, news));
                }
            }
        }
        notes.sort_unstable();
        let count = |what: bool| {
            let news = notes.iter().filter(|(.., fires, news)| *fires == what && *news);
            news.count()
        };
        let believes = notes.last().is_some_and(|(.., fires, _)| *fires);
        (count(true), count(false), believes)
    }
}
