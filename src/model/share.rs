//! Which replica watches what, where several run from the same configuration: each computes its share by itself.
//!
//! Rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM Transactions on
//! Networking 6(1), 1998): every replica gets a score for every dependency, and the highest scores watch it. One replica
//! more takes over its own share and moves nothing else.

use super::time::Wall;

/// This replica's place among the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// From 0; below `replicas`.
    pub replica: u32,
    pub replicas: u32,
    /// How many watch each dependency; from 1 to `replicas`.
    pub factor: u32,
}

/// Which replicas live, as far as this one knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Whether this replica can prove that it lives. If not, another may speak in its place, and it must be silent.
    pub standing: bool,
    /// The others that live, ascending.
    pub living: Vec<u32>,
    /// The others that were known to live, each with the time until which it told people all that it had to tell: when it last
    /// proved that it lived, or since when something waited then that it had not been able to tell.
    pub gone: Vec<(u32, Wall)>,
    /// Until when this replica had proved that it lived, before it ceased to for a while. `None` where it never did.
    pub before: Option<Wall>,
    /// Since when each that lives has done so without a break, as its Lease says, this one among them. Clocks may differ, but all
    /// replicas read the same times.
    pub since: Vec<(u32, Wall)>,
}

impl Share {
    /// The replicas that watch the dependency of this name, the one that speaks for it first.
    pub fn holders(&self, name: &str) -> Vec<u32> {
        let mut scored: Vec<(u64, u32)> = (0..self.replicas)
            .map(|replica| (score(name, replica), replica))
            .collect();
        scored.sort_unstable_by(|a, b| b.cmp(a));
        scored.truncate(self.factor as usize);
        scored.into_iter().map(|(_, replica)| replica).collect()
    }

    /// Whether this replica watches the dependency of this name.
    pub fn holds(&self, name: &str) -> bool {
        let own = (score(name, self.replica), self.replica);
        let better = (0..self.replicas).filter(|replica| (score(name, *replica), *replica) > own);
        better.take(self.factor as usize).count() < self.factor as usize
    }
}

/// It must be the same in every version: replicas of two versions run side by side during an upgrade.
fn score(name: &str, replica: u32) -> u64 {
    // FNV-1a over the name (RFC 9923), then the finalizer of MurmurHash3, since FNV alone spreads the last bytes badly.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.bytes().chain(replica.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(replica: u32, replicas: u32, factor: u32) -> Share {
        Share {
            replica,
            replicas,
            factor,
        }
    }

    #[test]
    fn the_scores_are_the_same_in_every_version() {
        // Computed beside this by a program of another language.
        assert_eq!(share(0, 3, 2).holders("payments"), [1, 0]);
        assert_eq!(score("payments", 0), 0x403b_ffc1_28ec_e432);
    }

    #[test]
    fn each_is_watched_as_often_as_asked_and_the_work_is_even() {
        for (replicas, factor) in [(1, 1), (2, 1), (3, 2), (5, 3), (4, 4)] {
            let mut work = vec![0_u32; replicas as usize];
            for i in 0..1_000 {
                let name = format!("dependency-{i}");
                let holders = share(0, replicas, factor).holders(&name);
                assert_eq!(holders.len(), factor as usize);
                for replica in 0..replicas {
                    assert_eq!(
                        share(replica, replicas, factor).holds(&name),
                        holders.contains(&replica)
                    );
                    work[replica as usize] += u32::from(holders.contains(&replica));
                }
            }
            let even = 1_000 * factor / replicas;
            assert!(
                work.iter().all(|n| n.abs_diff(even) <= even / 7),
                "{replicas} replicas, factor {factor}: {work:?}"
            );
        }
    }

    #[test]
    fn a_replica_more_takes_its_share_and_moves_nothing_else() {
        let mut moved = 0;
        for i in 0..1_000 {
            let name = format!("dependency-{i}");
            let before = share(0, 3, 2).holders(&name);
            let after = share(0, 4, 2).holders(&name);
            let new: Vec<&u32> = after.iter().filter(|replica| !before.contains(replica)).collect();
            assert!(new.is_empty() || new == [&3], "{before:?} → {after:?}");
            moved += new.len();
        }
        // Of 2,000 places a quarter is the new replica's.
        assert!((400..=600).contains(&moved), "{moved}");
    }
}
