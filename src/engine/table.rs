//! The engine's tables: dependencies and hosts, found by index, by name and by key.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::dependency::{Dependency, DependencyIndex, HostKey};
use crate::model::time::Wall;

use super::host::Host;
use super::slot::Slot;

/// Places that keep their index while they are taken, and are given out again afterwards.
#[derive(Debug)]
pub struct Table<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Table<T> {
    pub fn insert(&mut self, value: T) -> u32 {
        if let Some(index) = self.free.pop() {
            self.places[index as usize] = Some(value);
            return index;
        }
        self.places.push(Some(value));
        u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
    }

    pub fn remove(&mut self, index: u32) -> Option<T> {
        let taken = self.places.get_mut(index as usize)?.take();
        if taken.is_some() {
            self.free.push(index);
        }
        taken
    }

    pub fn get(&self, index: u32) -> Option<&T> {
        self.places.get(index as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.places.get_mut(index as usize)?.as_mut()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> + Clone {
        self.from(0)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        (0..)
            .zip(&mut self.places)
            .filter_map(|(i, place)| place.as_mut().map(|value| (i, value)))
    }

    /// What is at that index and after it.
    pub fn from(&self, index: u32) -> impl Iterator<Item = (u32, &T)> + Clone {
        let places = self.places.get(index as usize..).unwrap_or(&[]);
        (index..)
            .zip(places)
            .filter_map(|(i, place)| place.as_ref().map(|value| (i, value)))
    }

    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

/// Dependencies and the hosts that they are on.
#[derive(Debug, Default)]
pub struct Tables {
    pub slots: Table<Slot>,
    pub hosts: Table<Host>,
    by_name: HashMap<Arc<str>, DependencyIndex>,
    by_key: HashMap<HostKey, u32>,
}

impl Tables {
    pub fn index_of(&self, name: &str) -> Option<DependencyIndex> {
        self.by_name.get(name).copied()
    }

    /// The place of the host with that key.
    pub fn host_of(&self, key: &HostKey) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    pub fn host_mut(&mut self, key: &HostKey) -> Option<&mut Host> {
        let place = self.host_of(key)?;
        self.hosts.get_mut(place)
    }

    pub fn slot(&self, index: DependencyIndex) -> Option<&Slot> {
        self.slots.get(index.0)
    }

    pub fn slot_mut(&mut self, index: DependencyIndex) -> Option<&mut Slot> {
        self.slots.get_mut(index.0)
    }

    /// The slot together with its host.
    pub fn pair_mut(&mut self, index: DependencyIndex) -> Option<(&mut Slot, &mut Host)> {
        let slot = self.slots.get_mut(index.0)?;
        let host = self.hosts.get_mut(slot.host)?;
        Some((slot, host))
    }

    pub fn add(&mut self, dependency: &Arc<Dependency>, generation: u32, now: Wall) -> DependencyIndex {
        let host = self.join_host(dependency, now);
        let slot = Slot::new(Arc::clone(dependency), host, generation, now);
        let index = DependencyIndex(self.slots.insert(slot));
        self.by_name.insert(Arc::clone(&dependency.name), index);
        index
    }

    pub fn remove(&mut self, index: DependencyIndex) -> Option<Slot> {
        let slot = self.slots.remove(index.0)?;
        self.by_name.remove(&slot.dependency.name);
        self.leave_host(slot.host, index);
        Some(slot)
    }

    pub fn names(&self) -> impl Iterator<Item = (&Arc<str>, DependencyIndex)> {
        self.by_name.iter().map(|(name, index)| (name, *index))
    }

    fn join_host(&mut self, dependency: &Arc<Dependency>, now: Wall) -> u32 {
        let attempts = dependency.retry.attempts;
        let place = match self.by_key.get(&dependency.host) {
            Some(place) => *place,
            None => {
                let key = dependency.host.clone();
                let place = self.hosts.insert(Host::new(key.clone(), now, attempts));
                self.by_key.insert(key, place);
                place
            }
        };
        if let Some(host) = self.hosts.get_mut(place) {
            host.members += 1;
            host.budget.make_room_for(attempts);
        }
        place
    }

    fn leave_host(&mut self, place: u32, index: DependencyIndex) {
        let Some(host) = self.hosts.get_mut(place) else {
            return;
        };
        host.members -= 1;
        host.waiting.leave(index);
        if host.members == 0
            && let Some(host) = self.hosts.remove(place)
        {
            self.by_key.remove(&host.key);
        }
    }
}
