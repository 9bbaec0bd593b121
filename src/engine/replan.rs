//! A plan comes into force: what is new is scheduled, what is gone is forgotten, what is unchanged keeps its state.

use std::collections::HashSet;
use std::sync::Arc;

use crate::model::dependency::{Dependency, DependencyIndex};
use crate::model::event::Event;
use crate::model::plan::Plan;
use crate::model::time::Now;

use super::schedule::{self, Alarm};
use super::{Engine, Output};

/// How a dependency of the new plan relates to the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Unchanged,
    /// Asked as before and judged by other thresholds: what is under way goes on.
    Judged,
    /// The same series (host and labels), asked in another way: figures and history are kept.
    Asked,
    /// Another host or other labels: its series are others, so it begins anew.
    Identity,
}

fn change(old: &Dependency, new: &Dependency) -> Change {
    if old == new {
        Change::Unchanged
    } else if is_asked_alike(old, new) {
        Change::Judged
    } else if old.host == new.host && old.labels == new.labels {
        Change::Asked
    } else {
        Change::Identity
    }
}

/// Whether nothing but the thresholds of the rules is another.
fn is_asked_alike(old: &Dependency, new: &Dependency) -> bool {
    let judged_alike = Dependency {
        alerts: Arc::clone(&old.alerts),
        ..new.clone()
    };
    *old == judged_alike
}

impl Engine {
    pub(super) fn replan(&mut self, plan: &Arc<Plan>, now: Now, out: &mut Vec<Output>) {
        self.limits = plan.limits;
        let replica = plan
            .scale_out
            .as_ref()
            .map(|place| ("replica", Arc::clone(&place.name)));
        let location = plan
            .location
            .as_ref()
            .map(|location| ("location", Arc::clone(location)));
        self.place = replica.into_iter().chain(location).collect();
        self.one_round = plan.one_round;
        self.planned = true;
        self.vantage.configure(&plan.vantage, plan.one_round);
        let wanted: HashSet<&str> = plan.dependencies.iter().map(|d| &*d.name).collect();
        let gone: Vec<DependencyIndex> = self
            .tables
            .names()
            .filter(|(name, _)| !wanted.contains(&***name))
            .map(|(_, index)| index)
            .collect();
        let removed = gone.len();
        for index in gone {
            self.remove(index, now, out);
        }
        let (mut added, mut changed, mut unchanged) = (0, 0, 0);
        for dependency in &plan.dependencies {
            let known = self.tables.index_of(&dependency.name);
            let relation = known
                .and_then(|i| self.tables.slot(i))
                .map(|s| change(&s.dependency, dependency));
            match (known, relation) {
                (Some(index), Some(Change::Unchanged)) => {
                    unchanged += 1;
                    self.forget_suggestion(index);
                }
                (Some(index), Some(Change::Judged)) => {
                    changed += 1;
                    self.forget_suggestion(index);
                    if let Some(slot) = self.tables.slot_mut(index) {
                        slot.dependency = Arc::clone(dependency);
                    }
                }
                (Some(index), Some(Change::Asked)) => {
                    changed += 1;
                    self.ask_otherwise(index, dependency, now, out);
                }
                (Some(index), Some(Change::Identity)) => {
                    changed += 1;
                    self.remove(index, now, out);
                    self.add(dependency, now);
                }
                _ => {
                    added += 1;
                    self.add(dependency, now);
                }
            }
        }
        self.count_own();
        out.push(Output::Observed(Event::PlanApplied {
            added,
            changed,
            removed,
            unchanged,
        }));
        self.forget_names_of_others(out);
        self.use_new_room(now, out);
        self.look_around(now, out);
        self.replan_idle(plan, now, out);
        self.replan_alerts(plan, now);
        self.replan_desk(plan, now, out);
    }

    /// How many dependencies of the configuration itself share each cap.
    fn count_own(&mut self) {
        for (_, host) in self.tables.hosts.iter_mut() {
            host.places.own = 0;
        }
        self.places.own = 0;
        let own = self
            .tables
            .slots
            .iter()
            .filter(|(_, slot)| !slot.dependency.found);
        for (_, slot) in own {
            self.places.own += 1;
            if let Some(host) = self.tables.hosts.get_mut(slot.host) {
                host.places.own += 1;
            }
        }
    }

    fn add(&mut self, dependency: &Arc<Dependency>, now: Now) {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let index = self.tables.add(dependency, generation, now.wall);
        if let Some(slot) = self.tables.slot_mut(index) {
            slot.names = self.names_kept.take(dependency);
        }
        self.not_begun += 1;
        self.schedule(index, now);
    }

    fn schedule(&mut self, index: DependencyIndex, now: Now) {
        let one_round = self.one_round;
        let Some(slot) = self.tables.slot_mut(index) else {
            return;
        };
        let (name, interval) = (&*slot.dependency.name, slot.dependency.interval);
        let (due, regular) = if one_round {
            (now.moment, None)
        } else if slot.begun {
            (schedule::first_due(name, interval, now), None)
        } else {
            schedule::begin(name, interval, now)
        };
        slot.regular = regular;
        self.alarms.set(
            due,
            Alarm::Due {
                index,
                generation: slot.generation,
            },
        );
    }

    fn ask_otherwise(
        &mut self,
        index: DependencyIndex,
        dependency: &Arc<Dependency>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        self.pause_alerts_of(index, now.moment);
        self.cancel(index, now, out);
        let Some((slot, host)) = self.tables.pair_mut(index) else {
            return;
        };
        host.budget.make_room_for(dependency.retry.attempts);
        let rescheduled = slot.dependency.interval != dependency.interval;
        slot.dependency = Arc::clone(dependency);
        slot.suggestion = None;
        out.push(Output::Forget(Arc::clone(&dependency.name)));
        if rescheduled {
            self.generation = self.generation.wrapping_add(1);
            slot.generation = self.generation;
            self.schedule(index, now);
        }
    }

    fn remove(&mut self, index: DependencyIndex, now: Now, out: &mut Vec<Output>) {
        self.end_alerts_of(index);
        self.cancel(index, now, out);
        let waited = self
            .tables
            .slot(index)
            .is_some_and(|slot| slot.waiting_since.is_some());
        if waited {
            // It stands in its host's queue or in the global one; leaving the table takes it out of the former.
            self.waiting_count -= 1;
            self.waiting.leave(index);
        }
        if let Some(slot) = self.tables.remove(index) {
            if !slot.begun {
                self.not_begun -= 1;
            }
            self.forget_names(&slot, out);
            out.push(Output::Forget(Arc::clone(&slot.dependency.name)));
        }
    }

    /// Ends the operation under way without a verdict.
    fn cancel(&mut self, index: DependencyIndex, now: Now, out: &mut Vec<Output>) {
        let Some(slot) = self.tables.slot_mut(index) else {
            return;
        };
        let Some(operation) = slot.operation.take() else {
            return;
        };
        let place = (slot.host, slot.dependency.found);
        out.push(Output::Cancel(operation.id));
        self.release(place, now, out);
    }

    fn forget_suggestion(&mut self, index: DependencyIndex) {
        if let Some(slot) = self.tables.slot_mut(index) {
            slot.suggestion = None;
        }
    }

    /// The caps may have grown.
    pub(super) fn use_new_room(&mut self, now: Now, out: &mut Vec<Output>) {
        let hosts: Vec<u32> = self
            .tables
            .hosts
            .iter()
            .filter(|(_, host)| !host.waiting.is_empty())
            .map(|(i, _)| i)
            .collect();
        for host in hosts {
            self.start_waiting(host, now, out);
        }
    }
}
