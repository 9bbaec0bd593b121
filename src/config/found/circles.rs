//! Circles among those that need each other, found in one pass however many there are: who may name what his target needs
//! must not make us search the whole for each name.

use std::collections::HashSet;

/// Whom each needs, by their places; `None` is nobody that is known.
pub type Needs = Vec<Vec<Option<usize>>>;

/// No place yet.
const NEW: usize = usize::MAX;

/// The needs to pass over, so that nobody needs himself by way of others: who, and which of his. The first `own` need each
/// other in no circle, and all that they need stays.
pub fn to_pass_over(needs: &Needs, own: usize) -> HashSet<(usize, usize)> {
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum State {
        New,
        /// It needs, by way of others, the one that is looked at.
        Above,
        Done,
    }
    let circle = circles(needs);
    let mut state = vec![State::New; needs.len()];
    let mut passed_over = HashSet::new();
    for root in own..needs.len() {
        let mut path = if state[root] == State::New {
            vec![(root, 0)]
        } else {
            Vec::new()
        };
        while let Some((one, next)) = path.last_mut() {
            let one = *one;
            state[one] = State::Above;
            let Some(needed) = needs[one].get(*next) else {
                state[one] = State::Done;
                path.pop();
                continue;
            };
            let which = *next;
            *next += 1;
            let Some(needed) = needed.filter(|needed| circle[*needed] == circle[one]) else {
                continue;
            };
            // What the configuration names needs it by ways that all stay.
            if needed < own || state[needed] == State::Above {
                passed_over.insert((one, which));
            } else if state[needed] == State::New {
                path.push((needed, 0));
            }
        }
    }
    passed_over
}

/// The number of the circle that each is in; who is in none has one for himself. (R. Tarjan, "Depth-first search and linear
/// graph algorithms", SIAM Journal on Computing 1 (1972), pages 146 to 160.)
fn circles(needs: &Needs) -> Vec<usize> {
    let mut order = vec![NEW; needs.len()];
    let mut lowest = vec![NEW; needs.len()];
    let mut circle = vec![NEW; needs.len()];
    let mut open = Vec::new();
    let (mut seen, mut circles) = (0, 0);
    for root in 0..needs.len() {
        let mut path = if order[root] == NEW {
            vec![(root, 0)]
        } else {
            Vec::new()
        };
        while let Some((one, next)) = path.last_mut() {
            let one = *one;
            if order[one] == NEW {
                (order[one], lowest[one]) = (seen, seen);
                seen += 1;
                open.push(one);
            }
            if let Some(needed) = needs[one].get(*next) {
                *next += 1;
                match *needed {
                    Some(needed) if order[needed] == NEW => path.push((needed, 0)),
                    Some(needed) if circle[needed] == NEW => lowest[one] = lowest[one].min(order[needed]),
                    _ => {}
                }
                continue;
            }
            path.pop();
            if let Some((before, _)) = path.last() {
                lowest[*before] = lowest[*before].min(lowest[one]);
            }
            if lowest[one] == order[one] {
                while let Some(member) = open.pop() {
                    circle[member] = circles;
                    if member == one {
                        break;
                    }
                }
                circles += 1;
            }
        }
    }
    circle
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn needs(all: &[&[usize]]) -> Needs {
        all.iter()
            .map(|own| own.iter().copied().map(Some).collect())
            .collect()
    }

    fn sorted(needs: &Needs, own: usize) -> Vec<(usize, usize)> {
        let mut all: Vec<_> = to_pass_over(needs, own).into_iter().collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn only_what_closes_a_circle_is_passed_over() {
        assert_eq!(sorted(&needs(&[&[1], &[2], &[]]), 0), []);
        assert_eq!(sorted(&needs(&[&[1], &[2], &[0]]), 0), [(2, 0)]);
        assert_eq!(sorted(&needs(&[&[0]]), 0), [(0, 0)]);
        // What stands in the configuration stays.
        assert_eq!(sorted(&needs(&[&[1], &[0, 2], &[]]), 1), [(1, 0)]);
        assert_eq!(sorted(&vec![vec![None, Some(1)], vec![None]], 0), []);
    }

    #[test]
    fn many_who_need_many_take_no_time() {
        // Layers of which each needs the whole of the one before, and the first the last.
        let (layers, width) = (40, 300);
        let layer = |at: usize| (0..width).map(move |i| Some(at * width + i)).collect::<Vec<_>>();
        let needs: Needs = (0..layers * width)
            .map(|i| layer((i / width + layers - 1) % layers))
            .collect();
        assert_eq!(to_pass_over(&needs, 0).len() % width, 0);
        // A chain as long as a source is large.
        let chain: Needs = (1..=50_000).map(|next| vec![Some(next % 50_000)]).collect();
        assert_eq!(to_pass_over(&chain, 0).len(), 1);
    }

    proptest! {
        #[test]
        fn what_is_left_has_no_circle(
            all in prop::collection::vec(prop::collection::vec(0_usize..12, 0..5), 12),
            own in 0_usize..6,
        ) {
            let mut needs: Needs = all.iter().map(|own| own.iter().copied().map(Some).collect()).collect();
            for (one, all) in needs.iter_mut().enumerate().take(own) {
                // Among themselves they need those behind them only.
                all.retain(|needed| needed.is_some_and(|needed| needed > one));
            }
            let before = circles(&needs);
            let passed_over = to_pass_over(&needs, own);
            for (one, which) in &passed_over {
                prop_assert!(*one >= own);
                let needed = needs[*one][*which].expect("is somebody");
                prop_assert_eq!(before[needed], before[*one]);
            }
            for (one, which) in passed_over {
                needs[one][which] = None;
            }
            let after: HashSet<usize> = circles(&needs).into_iter().collect();
            prop_assert_eq!(after.len(), needs.len());
            for (one, all) in needs.iter().enumerate() {
                prop_assert!(!all.contains(&Some(one)));
            }
        }
    }
}
