//! Places under a cap, and who waits for one. What the configuration itself names goes first, and what was found cannot take
//! every place: whoever may write a Probe or a list of targets would otherwise decide what else is watched.

use std::collections::VecDeque;

use crate::model::dependency::DependencyIndex;

/// The part of a cap that what was found leaves free: one of so many, and no more than anybody could take.
const KEPT: u32 = 4;

/// Places under one cap.
#[derive(Debug, Default)]
pub struct Places {
    /// Operations under way.
    pub in_flight: u32,
    /// Those of what was found.
    found: u32,
    /// How many dependencies of the configuration itself share the cap.
    pub own: u32,
}

impl Places {
    /// How many more may be under way.
    pub fn room(&self, cap: u32, found: bool) -> u32 {
        let room = cap.saturating_sub(self.in_flight);
        if !found {
            return room;
        }
        let kept = (cap / KEPT).min(self.own);
        room.min(cap.saturating_sub(kept).saturating_sub(self.found))
    }

    pub fn take(&mut self, found: bool) {
        self.in_flight += 1;
        self.found += u32::from(found);
    }

    pub fn free(&mut self, found: bool) {
        self.in_flight -= 1;
        self.found -= u32::from(found);
    }
}

/// Dependencies that wait for a place, in the order in which they came.
#[derive(Debug, Default)]
pub struct Queue {
    own: VecDeque<DependencyIndex>,
    found: VecDeque<DependencyIndex>,
}

impl Queue {
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.found.is_empty()
    }

    /// Those of one kind.
    pub fn of(&mut self, found: bool) -> &mut VecDeque<DependencyIndex> {
        if found { &mut self.found } else { &mut self.own }
    }

    /// The next one for which there is room, and of which kind it is.
    pub fn pop(&mut self, room: impl Fn(bool) -> u32) -> Option<(DependencyIndex, bool)> {
        [false, true]
            .into_iter()
            .filter(|found| room(*found) > 0)
            .find_map(|found| Some((self.of(found).pop_front()?, found)))
    }

    pub fn leave(&mut self, index: DependencyIndex) {
        for queue in [&mut self.own, &mut self.found] {
            queue.retain(|waiting| *waiting != index);
        }
    }

    pub fn clear(&mut self) {
        self.own.clear();
        self.found.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_leaves_what_others_could_take() {
        let places = |in_flight, found, own| Places {
            in_flight,
            found,
            own,
        };
        for (cap, taken, own_room, found_room) in [
            (40, places(0, 0, 100), 40, 30),
            (40, places(30, 30, 100), 10, 0),
            (40, places(35, 25, 100), 5, 5),
            (40, places(40, 20, 100), 0, 0),
            // Nobody else is there, or few are.
            (40, places(0, 0, 0), 40, 40),
            (40, places(0, 0, 3), 40, 37),
            (1, places(0, 0, 9), 1, 1),
            // The cap is smaller now than it was.
            (4, places(30, 30, 9), 0, 0),
        ] {
            let room = (taken.room(cap, false), taken.room(cap, true));
            assert_eq!(room, (own_room, found_room), "{cap} {taken:?}");
        }
    }
}
