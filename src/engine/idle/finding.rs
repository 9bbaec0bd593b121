//! What a measured idle timeout means for whoever keeps connections to that host.

use std::time::Duration;

use crate::model::attempt::StaleKind;
use crate::model::cause::FindingId;
use crate::model::dependency::HostKey;
use crate::model::evidence::Evidence;
use crate::model::failure::Finding;
use crate::model::idle::{IdleEnd, IdleLimit, IdleMeasurement};

/// Nothing where no end was found: there is nothing to be done about it.
pub fn of(host: &HostKey, known: &IdleMeasurement) -> Option<Finding> {
    let IdleLimit::Ends { how, low, high } = known.limit else {
        return None;
    };
    let mut evidence = Evidence::new()
        .with("host", host.to_string())
        .with("kind", how.kind().id())
        .with("how", how.id())
        .with("good_after", low)
        .with("ended_after", high)
        .with("samples", known.samples)
        .with("control_uses", known.control_uses)
        .with("measured_at", known.at);
    evidence.set_some("announced", known.announced);
    Some(Finding {
        id: FindingId::KeepaliveIdleTimeout,
        evidence,
        fix: advice(host, how, low, high).into(),
    })
}

fn advice(host: &HostKey, how: IdleEnd, low: Duration, high: Duration) -> String {
    // Ends that were seen lie at one moment, or in a span; what was forgotten in silence lies somewhere between.
    let when = if seconds(low) == seconds(high) {
        format!("after {}", seconds(high))
    } else if low.is_zero() {
        format!("within {}", seconds(high))
    } else {
        format!("between {} and {}", seconds(low), seconds(high))
    };
    let below = seconds(if low.is_zero() { high } else { low });
    let pool = format!("set your pool's idle timeout below {below}");
    match how.kind() {
        StaleKind::Closed => {
            let word = match how {
                IdleEnd::GoAway => "GOAWAY",
                IdleEnd::CloseNotify => "a TLS close_notify",
                _ => "FIN",
            };
            format!("{host} closes idle connections {when} with {word}: {pool}")
        }
        StaleKind::Reset => {
            format!("connections to {host} that lay idle are reset {when}: {pool}")
        }
        StaleKind::Silent => format!(
            "something on the way to {host} forgets idle connections {when} without a word: {pool}, or use TCP keepalive more often than that"
        ),
    }
}

/// Rounded down, so that the advice stays below the limit.
fn seconds(duration: Duration) -> String {
    if duration >= Duration::from_secs(10) {
        return format!("{} s", duration.as_secs());
    }
    let tenths = duration.as_millis() / 100;
    match tenths % 10 {
        0 => format!("{} s", tenths / 10),
        rest => format!("{}.{rest} s", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Wall;

    fn words(how: IdleEnd, low: u64, high: u64) -> String {
        let host = HostKey {
            name: "api.internal".into(),
            port: 443,
            proxy: None,
        };
        let known = IdleMeasurement {
            limit: IdleLimit::Ends {
                how,
                low: Duration::from_millis(low),
                high: Duration::from_millis(high),
            },
            samples: 2,
            control_uses: 9,
            announced: None,
            at: Wall::default(),
        };
        of(&host, &known).expect("a finding").fix.into()
    }

    #[test]
    fn advice_in_the_users_terms() {
        assert_eq!(
            words(IdleEnd::Fin, 60_003, 60_004),
            "api.internal:443 closes idle connections after 60 s with FIN: set your pool's idle timeout below 60 s"
        );
        assert_eq!(
            words(IdleEnd::GoAway, 40_000, 58_000),
            "api.internal:443 closes idle connections between 40 s and 58 s with GOAWAY: set your pool's idle timeout below 40 s"
        );
        assert_eq!(
            words(IdleEnd::Silence, 4_750, 5_230),
            "something on the way to api.internal:443 forgets idle connections between 4.7 s and 5.2 s without a word: set your pool's idle timeout below 4.7 s, or use TCP keepalive more often than that"
        );
        assert_eq!(
            words(IdleEnd::Rst, 340_000, 360_001),
            "connections to api.internal:443 that lay idle are reset between 340 s and 360 s: set your pool's idle timeout below 340 s"
        );
        assert!(words(IdleEnd::Silence, 0, 1_000).contains("within 1 s"));
    }
}
