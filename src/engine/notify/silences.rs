//! Silences and the openings of maintenance windows: which hold now, and whom they concern.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::alert::Muted;
use crate::model::record::{Change, Record, RecordKey};
use crate::model::silence::{Maintenance, Matcher, Opening, Silence, SilenceChange, SilenceView};
use crate::model::time::Wall;

/// The labels by which matchers tell alerts apart.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    pub user: &'a [(Arc<str>, Arc<str>)],
    pub dependency: Option<&'a str>,
    /// The host's name, and the same with its port: either is admitted.
    pub host: Option<(&'a str, &'a str)>,
    pub alert: &'a str,
    pub severity: &'a str,
    pub cause: Option<&'a str>,
}

impl Labels<'_> {
    /// Whether all matchers admit them.
    pub fn are_admitted_by(&self, matchers: &[Matcher]) -> bool {
        matchers.iter().all(|matcher| match (&*matcher.label, self.host) {
            ("host", Some((name, with_port))) => {
                let (by_name, by_both) = (matcher.admits(Some(name)), matcher.admits(Some(with_port)));
                if matcher.negated {
                    by_name && by_both
                } else {
                    by_name || by_both
                }
            }
            (label, _) => matcher.admits(self.value(label)),
        })
    }

    fn value(&self, label: &str) -> Option<&str> {
        match label {
            "dependency" => self.dependency,
            "alert" => Some(self.alert),
            "severity" => Some(self.severity),
            "cause" => self.cause,
            _ => self
                .user
                .iter()
                .find(|(name, _)| &**name == label)
                .map(|(_, value)| &**value),
        }
    }
}

#[derive(Debug, Default)]
pub struct Silences {
    silences: BTreeMap<Arc<str>, Silence>,
    openings: Vec<Opening>,
    windows: Arc<[Maintenance]>,
}

impl Silences {
    pub fn configure(&mut self, windows: &Arc<[Maintenance]>) {
        self.windows = Arc::clone(windows);
    }

    pub fn open(&mut self, openings: Vec<Opening>) {
        self.openings = openings;
    }

    pub fn restore(&mut self, silence: Silence) {
        self.silences.insert(Arc::clone(&silence.id), silence);
    }

    /// Takes what a person asks; what is to be kept of it.
    pub fn change(&mut self, change: SilenceChange) -> Option<Change> {
        match change {
            SilenceChange::Put(silence) => {
                self.silences.insert(Arc::clone(&silence.id), silence.clone());
                Some(Change::Put(Record::Silence(Box::new(silence))))
            }
            SilenceChange::End { id } => {
                self.silences.remove(&id)?;
                Some(Change::Remove(RecordKey::silence(&id)))
            }
        }
    }

    /// Forgets those that are over.
    pub fn end(&mut self, now: Wall) -> Vec<Change> {
        let over = self.silences.values().filter(|silence| silence.until <= now);
        let over: Vec<Arc<str>> = over.map(|silence| Arc::clone(&silence.id)).collect();
        for id in &over {
            self.silences.remove(id);
        }
        over.iter()
            .map(|id| Change::Remove(RecordKey::silence(id)))
            .collect()
    }

    /// What holds now, by name: to see whether that has changed.
    pub fn in_force(&self, now: Wall) -> Vec<Muted> {
        let silences = self
            .silences
            .values()
            .filter(|silence| holds(silence.from, silence.until, now));
        let windows = self
            .windows
            .iter()
            .filter(|window| self.opening(window, now).is_some());
        silences
            .map(|silence| Muted::Silence(Arc::clone(&silence.id)))
            .chain(windows.map(|window| Muted::Maintenance(Arc::clone(&window.name))))
            .collect()
    }

    /// The next time at which something begins or ends.
    pub fn next(&self, now: Wall) -> Option<Wall> {
        let silences = self
            .silences
            .values()
            .flat_map(|silence| [silence.from, silence.until]);
        let openings = self
            .openings
            .iter()
            .flat_map(|opening| [opening.from, opening.until]);
        silences.chain(openings).filter(|at| *at > now).min()
    }

    /// What mutes an alert with these labels.
    pub fn mute(&self, labels: &Labels<'_>, now: Wall) -> Option<Muted> {
        let silence = self.silences.values().find(|silence| {
            holds(silence.from, silence.until, now) && labels.are_admitted_by(&silence.matchers)
        });
        if let Some(silence) = silence {
            return Some(Muted::Silence(Arc::clone(&silence.id)));
        }
        let window = self
            .windows
            .iter()
            .find(|window| self.opening(window, now).is_some() && labels.are_admitted_by(&window.matchers))?;
        Some(Muted::Maintenance(Arc::clone(&window.name)))
    }

    /// Since when that silence or opening has held; `None` for any other reason to be mute.
    pub fn since(&self, muted: &Muted, now: Wall) -> Option<Wall> {
        match muted {
            Muted::Silence(id) => {
                let silence = self.silences.get(id)?;
                Some(silence.from.max(silence.created))
            }
            Muted::Maintenance(name) => {
                let window = self.windows.iter().find(|window| window.name == *name)?;
                Some(self.opening(window, now)?.from)
            }
            _ => None,
        }
    }

    fn opening(&self, window: &Maintenance, now: Wall) -> Option<&Opening> {
        self.openings
            .iter()
            .find(|opening| opening.window == window.name && holds(opening.from, opening.until, now))
    }

    /// Those that have not ended, with the number of alerts that each mutes. Of a window the opening that is or that
    /// comes next.
    pub fn views(&self, now: Wall, muting: impl Fn(&Muted) -> usize) -> Vec<SilenceView> {
        let mut views: Vec<SilenceView> = Vec::new();
        for silence in self.silences.values().filter(|silence| silence.until > now) {
            views.push(SilenceView {
                silence: silence.clone(),
                configured: false,
                active: holds(silence.from, silence.until, now),
                muting: muting(&Muted::Silence(Arc::clone(&silence.id))),
            });
        }
        for window in self.windows.iter() {
            let of_window = self
                .openings
                .iter()
                .filter(|opening| opening.window == window.name && opening.until > now);
            let Some(opening) = of_window.min_by_key(|opening| opening.from) else {
                continue;
            };
            views.push(SilenceView {
                silence: Silence {
                    id: Arc::clone(&window.name),
                    matchers: Arc::clone(&window.matchers),
                    owner: Arc::clone(&window.owner),
                    reason: Arc::clone(&window.reason),
                    from: opening.from,
                    until: opening.until,
                    created: opening.from,
                },
                configured: true,
                active: holds(opening.from, opening.until, now),
                muting: muting(&Muted::Maintenance(Arc::clone(&window.name))),
            });
        }
        views
    }
}

fn holds(from: Wall, until: Wall, now: Wall) -> bool {
    from <= now && now < until
}
