//! Who is not told, and why: silences, maintenance, a failing parent, a more telling alert.

use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{AlertKey, AlertState, Muted, Rule, Severity, Subject};
use crate::model::cause::Cause;
use crate::model::dependency::HostKey;
use crate::model::failure::Verdict;
use crate::model::receiver::{Channel, Receiver};
use crate::model::silence::Matcher;
use crate::model::time::Wall;

use super::desk::{Desk, World};
use super::factors::{dependency_of, is_down};
use super::incident::Member;
use super::parents::{down_alerts, is_down_raised};
use super::silences::Labels;
use super::speakers::Speaker;

/// How long a child whose parent is well again is given to show that it is, too.
const AFTER_PARENT: Duration = Duration::from_secs(300);
/// Failures after an outage from which on what was raised in it (an error budget that burns, say) is taken for trouble of
/// another kind: as many as make a dependency be called down.
const AFTER_OUTAGE: usize = 3;

/// Rules that say nothing while the dependency is known to be down.
const IN_OUTAGE: [Rule; 6] = super::join::SIGNS;
/// From the least severe to the most severe.
const CERTIFICATES: [Rule; 3] = [
    Rule::CertificateExpiring,
    Rule::CertificateExpiringSoon,
    Rule::CertificateExpired,
];

/// What matchers look at besides an alert's key.
struct About<'a> {
    severity: Severity,
    labels: &'a [(Arc<str>, Arc<str>)],
    cause: Option<Cause>,
}

impl World<'_> {
    fn host_of<'k>(&'k self, key: &'k AlertKey) -> Option<&'k HostKey> {
        match &key.subject {
            Subject::Dependency(name) => {
                let index = self.tables.index_of(name)?;
                Some(&self.tables.slot(index)?.dependency.host)
            }
            Subject::Host(host) => Some(host),
            Subject::Monitor => None,
        }
    }

    /// How often a dependency failed in operations that began at that time or later, as far as that is remembered.
    fn failures_since(&self, name: &str, since: Wall) -> usize {
        let slot = self
            .tables
            .index_of(name)
            .and_then(|index| self.tables.slot(index));
        let records = slot.into_iter().flat_map(|slot| slot.history.failures());
        let failed = records.filter(|record| record.verdict == Verdict::Failed && record.started >= since);
        failed.count()
    }

    fn with_labels<R>(&self, key: &AlertKey, about: &About<'_>, ask: impl FnOnce(&Labels<'_>) -> R) -> R {
        let host = self.host_of(key);
        let with_port = host.map(|host| {
            let bare = HostKey {
                proxy: None,
                ..host.clone()
            };
            bare.to_string()
        });
        ask(&Labels {
            user: about.labels,
            dependency: dependency_of(key).map(|name| &**name),
            host: host
                .zip(with_port.as_deref())
                .map(|(host, with_port)| (&*host.name, with_port)),
            alert: key.rule.id(),
            severity: about.severity.id(),
            cause: about.cause.map(Cause::id),
        })
    }

    fn admits(&self, matchers: &[Matcher], key: &AlertKey, about: &About<'_>) -> bool {
        matchers.is_empty() || self.with_labels(key, about, |labels| labels.are_admitted_by(matchers))
    }
}

impl Desk {
    /// Whether a receiver takes alerts like this one.
    fn takes(receiver: &Receiver, key: &AlertKey, about: &About<'_>, world: &World<'_>) -> bool {
        let is_told = !matches!(receiver.channel, Channel::Heartbeat { .. });
        is_told
            && about.severity >= receiver.takes.least
            && world.admits(&receiver.takes.matchers, key, about)
    }

    /// The same, of a member.
    pub(super) fn takes_member(
        receiver: &Receiver,
        key: &AlertKey,
        member: &Member,
        world: &World<'_>,
    ) -> bool {
        let about = About {
            severity: member.severity,
            labels: &member.labels,
            cause: member.text.cause,
        };
        Desk::takes(receiver, key, &about, world)
    }

    /// Whether a receiver is to know of a member that it fires.
    pub(super) fn is_wanted(&self, receiver: &Receiver, key: &AlertKey, world: &World<'_>) -> bool {
        let Some(member) = self.member(key) else {
            return false;
        };
        let is_ours = receiver.channel.keeps_states() || member.speaker == Speaker::Me;
        is_ours
            && member.is_raised()
            && member.muted.is_none()
            && Desk::takes_member(receiver, key, member, world)
    }

    /// Whether a receiver may be told of a pending alert.
    pub(super) fn may_list(&self, receiver: &Receiver, key: &AlertKey, world: &World<'_>) -> bool {
        let Some(alert) = world.alerts.get(key) else {
            return false;
        };
        let about = About {
            severity: alert.severity,
            labels: &alert.labels,
            cause: alert.text.cause,
        };
        self.mute_of(key, &about, None, world).0.is_none() && Desk::takes(receiver, key, &about, world)
    }

    /// Why an alert is not told, and whether only because it is not known yet that it is over with what muted it.
    fn mute_of(
        &self,
        key: &AlertKey,
        about: &About<'_>,
        before: Option<&Muted>,
        world: &World<'_>,
    ) -> (Option<Muted>, bool) {
        if !self.in_force.is_empty() {
            let now = world.now.wall;
            let muted = world.with_labels(key, about, |labels| self.silences.mute(labels, now));
            if muted.is_some() {
                return (muted, false);
            }
        }
        let Some(name) = dependency_of(key) else {
            return (None, false);
        };
        if let Some(root) = self.parents.failing_root(name, world.alerts) {
            return (Some(Muted::Parent(root)), false);
        }
        if let Some(rule) = overshadowed_by(key, name, world) {
            return (Some(Muted::Overshadowed(rule)), false);
        }
        match before {
            Some(Muted::Parent(parent)) if self.lingers_after_parent(key, name, parent, world) => {
                (before.cloned(), true)
            }
            _ if self.lingers_after_outage(key.rule, name, world) => {
                (Some(Muted::Overshadowed(Rule::DependencyDownFast)), true)
            }
            _ => (None, false),
        }
    }

    /// A parent is well again and nothing of the child is known yet that is later than that.
    fn lingers_after_parent(&self, key: &AlertKey, name: &str, parent: &str, world: &World<'_>) -> bool {
        let Some(until) = self.well_since.get(parent) else {
            return false;
        };
        if world.now.wall >= *until + AFTER_PARENT {
            return false;
        }
        let state = world.alerts.get(key).map(|alert| alert.state);
        matches!(state, Some(AlertState::Recovering { .. })) || world.failures_since(name, *until) == 0
    }

    /// What was raised in an outage stays raised for a while after it (windows are long), which is no news to anybody.
    fn lingers_after_outage(&self, rule: Rule, name: &str, world: &World<'_>) -> bool {
        let of_failures = IN_OUTAGE.contains(&rule) && rule != Rule::LatencyRegression;
        let Some(until) = self.down_until.get(name).filter(|_| of_failures) else {
            return false;
        };
        world.failures_since(name, *until) < AFTER_OUTAGE
    }

    /// Notes when a down alert was over. `raised`: it was more than pending.
    pub(super) fn note_end(&mut self, key: &AlertKey, raised: bool, now: Wall) {
        let Some(name) = dependency_of(key).filter(|_| is_down(key.rule)) else {
            return;
        };
        if raised {
            self.down_until.insert(Arc::clone(name), now);
        }
        if self.parents.is_needed(name) {
            self.well_since.insert(Arc::clone(name), now);
        }
    }

    /// Decides anew whether a member is told.
    pub(super) fn set_mute(&mut self, key: &AlertKey, world: &World<'_>) -> bool {
        let Some(member) = self.member(key).filter(|member| member.is_raised()) else {
            return false;
        };
        let about = About {
            severity: member.severity,
            labels: &member.labels,
            cause: member.text.cause,
        };
        let (muted, lingering) = self.mute_of(key, &about, member.muted.as_ref(), world);
        if lingering {
            self.lingering.insert(key.clone());
        } else {
            self.lingering.remove(key);
        }
        let Some(member) = self.member_mut(key) else {
            return false;
        };
        let changed = member.muted != muted;
        member.muted = muted;
        if let Some(id) = self.place.get(key).copied() {
            self.recount(id);
        }
        changed
    }

    pub(super) fn look_at_mute(&mut self, key: &AlertKey, world: &World<'_>) {
        if self.set_mute(key, world) {
            self.look(key, world);
        }
    }

    /// Other alerts of the same dependency may be overshadowed now, or not any more.
    pub(super) fn siblings_changed(&mut self, key: &AlertKey, world: &World<'_>) {
        let Some(name) = dependency_of(key) else { return };
        let siblings = if is_down(key.rule) {
            &IN_OUTAGE[..]
        } else if CERTIFICATES.contains(&key.rule) {
            &CERTIFICATES[..]
        } else {
            return;
        };
        for rule in siblings.iter().filter(|rule| **rule != key.rule) {
            let sibling = AlertKey {
                rule: *rule,
                subject: Subject::Dependency(Arc::clone(name)),
            };
            self.look_at_mute(&sibling, world);
        }
    }

    /// A dependency fails, or does not any more: those that need it are muted by it, or are not.
    pub(super) fn family_changed(&mut self, key: &AlertKey, world: &World<'_>) {
        if self.parents.is_empty() || !is_down(key.rule) {
            return;
        }
        let Some(name) = dependency_of(key) else { return };
        for child in self.parents.descendants(name) {
            for rule in Rule::ALL {
                let key = AlertKey {
                    rule: *rule,
                    subject: Subject::Dependency(Arc::clone(&child)),
                };
                if self.place.contains_key(&key) {
                    self.look_at_mute(&key, world);
                }
            }
        }
    }

    /// Looks whether silences or windows began or ended; then, or when told to, decides anew about every member.
    pub(super) fn look_at_mutes(&mut self, all: bool, world: &World<'_>) {
        let over = self.silences.end(world.now.wall);
        self.changes.extend(over);
        let in_force = self.silences.in_force(world.now.wall);
        let changed = in_force != self.in_force || std::mem::take(&mut self.silences_changed);
        self.in_force = in_force;
        let keys: Vec<AlertKey> = if all || changed {
            self.place.keys().cloned().collect()
        } else {
            self.lingering.iter().cloned().collect()
        };
        for key in keys {
            if self.set_mute(&key, world) || all {
                self.look(&key, world);
            }
        }
    }
}

/// The alert of the same dependency that says more.
fn overshadowed_by(key: &AlertKey, name: &Arc<str>, world: &World<'_>) -> Option<Rule> {
    if IN_OUTAGE.contains(&key.rule) && is_down_raised(name, world.alerts) {
        let raised = down_alerts(name, world.alerts).find(|(_, alert)| alert.state.is_raised());
        return raised.map(|(down, _)| down.rule);
    }
    let level = CERTIFICATES.iter().position(|rule| *rule == key.rule)?;
    let more_severe = CERTIFICATES.iter().skip(level + 1).rev();
    more_severe.copied().find(|rule| {
        let other = AlertKey {
            rule: *rule,
            subject: key.subject.clone(),
        };
        world
            .alerts
            .get(&other)
            .is_some_and(|alert| alert.state.is_raised())
    })
}
