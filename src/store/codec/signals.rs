//! What the rules of alerts remember, as it is written down.

use serde::{Deserialize, Serialize};

use crate::model::dependency::HostKey;
use crate::model::record::Record;
use crate::model::signals::{HostSlot, KeptCounts, KeptDependency, KeptSignals};
use crate::model::time::Wall;

#[derive(Serialize, Deserialize)]
pub struct SignalsV1 {
    at: i64,
    of: OfV1,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OfV1 {
    Dependency(Box<DependencyV1>),
    Host { host: HostV1, hour: Vec<HostSlot> },
}

#[derive(Serialize, Deserialize)]
struct HostV1 {
    name: String,
    port: u16,
    proxy: Option<String>,
}

/// Rings as failures and operations in turn.
#[derive(Serialize, Deserialize)]
struct DependencyV1 {
    name: String,
    host: HostV1,
    in_a_row: [u32; 3],
    verdicts: u64,
    seen: u8,
    untold: u8,
    rings: [Vec<(u16, u16)>; 4],
    latency: Vec<u16>,
    last_failed: Option<i64>,
    down_ended: Option<i64>,
    names_differ: u8,
    broken: u8,
}

impl HostV1 {
    fn new(host: &HostKey) -> Self {
        HostV1 {
            name: host.name.to_string(),
            port: host.port,
            proxy: host.proxy.as_deref().map(str::to_owned),
        }
    }

    fn read(self) -> HostKey {
        HostKey {
            name: self.name.into(),
            port: self.port,
            proxy: self.proxy.map(Into::into),
        }
    }
}

impl SignalsV1 {
    pub fn new(kept: &KeptSignals) -> Self {
        let of = match &kept.counts {
            KeptCounts::Host { host, hour } => OfV1::Host {
                host: HostV1::new(host),
                hour: hour.clone(),
            },
            KeptCounts::Dependency(kept) => OfV1::Dependency(Box::new(DependencyV1 {
                name: kept.name.to_string(),
                host: HostV1::new(&kept.host),
                in_a_row: [
                    kept.failures_in_a_row,
                    kept.successes_in_a_row,
                    kept.fast_in_a_row,
                ],
                verdicts: kept.verdicts,
                seen: kept.seen,
                untold: kept.untold,
                rings: kept.rings.clone(),
                latency: kept.latency.clone(),
                last_failed: kept.last_failed.map(Wall::unix_nanos),
                down_ended: kept.down_ended.map(Wall::unix_nanos),
                names_differ: kept.names_differ,
                broken: kept.broken,
            })),
        };
        SignalsV1 {
            at: kept.at.unix_nanos(),
            of,
        }
    }

    pub fn read(self) -> Record {
        let counts = match self.of {
            OfV1::Host { host, hour } => KeptCounts::Host {
                host: host.read(),
                hour,
            },
            OfV1::Dependency(kept) => {
                let [failures_in_a_row, successes_in_a_row, fast_in_a_row] = kept.in_a_row;
                KeptCounts::Dependency(Box::new(KeptDependency {
                    name: kept.name.into(),
                    host: kept.host.read(),
                    failures_in_a_row,
                    successes_in_a_row,
                    fast_in_a_row,
                    verdicts: kept.verdicts,
                    seen: kept.seen,
                    untold: kept.untold,
                    rings: kept.rings,
                    latency: kept.latency,
                    last_failed: kept.last_failed.map(Wall::from_unix_nanos),
                    down_ended: kept.down_ended.map(Wall::from_unix_nanos),
                    names_differ: kept.names_differ,
                    broken: kept.broken,
                }))
            }
        };
        Record::Signals(Box::new(KeptSignals {
            at: Wall::from_unix_nanos(self.at),
            counts,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{decode, encode};
    use super::*;
    use crate::model::record::RecordKind;

    fn host() -> HostKey {
        HostKey {
            name: "payments.internal".into(),
            port: 443,
            proxy: Some("http://proxy:3128".into()),
        }
    }

    #[test]
    fn what_is_remembered_survives_and_is_small() {
        let dependency = KeptCounts::Dependency(Box::new(KeptDependency {
            name: "payments".into(),
            host: host(),
            failures_in_a_row: 3,
            successes_in_a_row: 0,
            fast_in_a_row: 2,
            verdicts: u64::MAX / 3,
            seen: 64,
            untold: 12,
            rings: [11, 13, 13, 25].map(|slots| vec![(12, 3_600); slots]),
            latency: vec![40; 60],
            last_failed: Some(Wall::from_unix_nanos(1_795_478_400_250_000_001)),
            down_ended: None,
            names_differ: 2,
            broken: 1,
        }));
        let hour = vec![[1, 2, 3, 4, 5, 6, 7, 8, 9]; 12];
        for counts in [dependency, KeptCounts::Host { host: host(), hour }] {
            let record = Record::Signals(Box::new(KeptSignals {
                at: Wall::from_unix_nanos(1_795_478_400_000_000_007),
                counts,
            }));
            let bytes = encode(&record).expect("encodes");
            assert!(bytes.len() < 1_400, "{} bytes", bytes.len());
            assert_eq!(decode(RecordKind::Signals, &bytes), Ok(record));
        }
    }
}
