//! Names that are nearly the same, for "did you mean".

/// The candidate nearest to `text` within `max` edits (insertions, deletions, substitutions, swaps of neighbours), never
/// `text` itself. Ties go to the first.
pub fn closest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>, max: usize) -> Option<&'a str> {
    let text: Vec<char> = text.chars().collect();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let limit = best.map_or(max, |(distance, _)| distance.saturating_sub(1));
        if let Some(distance) = distance_within(&text, candidate, limit)
            && distance > 0
        {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Edits between two texts, counted as in [`closest`].
pub fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    distance_within(&a, b, usize::MAX).unwrap_or(usize::MAX)
}

/// Optimal string alignment distance (Damerau–Levenshtein without repeated edits), `None` when above `max`.
fn distance_within(a: &[char], b: &str, max: usize) -> Option<usize> {
    let b: Vec<char> = b.chars().collect();
    if a.len().abs_diff(b.len()) > max {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut current = Vec::with_capacity(b.len() + 1);
        current.push(i + 1);
        for (j, cb) in b.iter().enumerate() {
            let substituted = previous[j] + usize::from(ca != cb);
            let mut cost = substituted.min(previous[j + 1] + 1).min(current[j] + 1);
            if i > 0 && j > 0 && *ca == b[j - 1] && a[i - 1] == *cb {
                cost = cost.min(before[j - 1] + 1);
            }
            current.push(cost);
        }
        if current.iter().min().is_some_and(|least| *least > max) {
            return None;
        }
        before = std::mem::replace(&mut previous, current);
    }
    previous.last().copied().filter(|distance| *distance <= max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_within_reach_wins() {
        let known = ["interval", "timeouts", "internal"];
        assert_eq!(closest("intervall", known, 2), Some("interval"));
        assert_eq!(closest("itnerval", known, 2), Some("interval"));
        assert_eq!(closest("timeout", known, 2), Some("timeouts"));
        assert_eq!(
            closest("interval", known, 1),
            Some("internal"),
            "never the text itself"
        );
        assert_eq!(closest("intervallo", known, 1), None);
        assert_eq!(closest("zzz", known, 2), None);
        assert_eq!((distance("abcd", "abdc"), distance("", "abc")), (1, 3));
    }
}
