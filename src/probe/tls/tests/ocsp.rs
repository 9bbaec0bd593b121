//! OCSP responses of OpenSSL (`ocsp/make.sh` made them), read at a fixed time.

use crate::model::attempt::Standing;
use crate::probe::tls::certificate::Certificate;
use crate::probe::tls::ocsp::{About, Said, read};

/// A minute after they were made; they are good for seven days.
const NOW: i64 = 1_795_524_308 + 60;
const DAY: i64 = 86_400;

macro_rules! der {
    ($name:literal) => {
        include_bytes!(concat!("ocsp/", $name, ".der"))
    };
}

fn about(response: &[u8], certificate: &[u8], now: i64) -> Said {
    let authority = Certificate::parse(der!("ca")).unwrap();
    let certificate = Certificate::parse(certificate).unwrap();
    let about = About {
        certificate: &certificate,
        issuer_key: authority.key(),
        now,
    };
    read(response, about)
}

fn standing(response: &[u8], now: i64) -> Standing {
    about(response, der!("leaf"), now).standing
}

fn no_proof(response: &[u8], now: i64) -> String {
    match standing(response, now) {
        Standing::NoProof(why) => why.into(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_three_statuses() {
    for good in [&der!("good")[..], der!("delegate"), der!("sha256")] {
        let said = about(good, der!("leaf"), NOW);
        assert_eq!(said.standing, Standing::Good);
        let (this, next) = (said.this_update.unwrap(), said.next_update.unwrap());
        assert!(this <= NOW && next == this + 7 * DAY, "{said:?}");
    }
    assert_eq!(standing(der!("unknown"), NOW), Standing::Unknown);
    let Standing::Revoked { at, reason } = standing(der!("revoked"), NOW) else {
        panic!("it is revoked");
    };
    assert_eq!(reason, Some("key_compromise"));
    assert!((at.seconds_since(crate::model::time::Wall::from_unix_secs(NOW))).abs() < 600);
}

#[test]
fn what_is_outdated_proves_a_revocation_and_nothing_else() {
    let later = NOW + 8 * DAY;
    assert!(no_proof(der!("good"), later).contains("outdated"));
    assert!(no_proof(der!("unknown"), later).contains("outdated"));
    assert!(matches!(
        standing(der!("revoked"), later),
        Standing::Revoked { .. }
    ));
    let held = |now| about(der!("held"), der!("held_leaf"), now).standing;
    assert!(matches!(
        held(NOW),
        Standing::Revoked {
            reason: Some("certificate_hold"),
            ..
        }
    ));
    assert!(matches!(held(later), Standing::NoProof(_)));
    assert!(no_proof(der!("good"), NOW - 2 * DAY).contains("future"));
}

#[test]
fn a_response_of_somebody_else_proves_nothing() {
    assert!(no_proof(der!("not_a_responder"), NOW).contains("may not sign"));
    assert!(no_proof(der!("held"), NOW).contains("another certificate"));
    // A delegate whose certificate has ended; its response, though, is read as one of that time.
    let ended = NOW + 4_000 * DAY;
    assert!(no_proof(der!("delegate"), ended).contains("not valid now"));
    // tryLater has no bytes.
    assert!(no_proof(&[0x30, 3, 0x0a, 1, 3], NOW).contains("try later"));
    assert!(no_proof(b"nonsense", NOW).contains("cannot be read"));
    assert!(no_proof(&[], NOW).contains("cannot be read"));
}

#[test]
fn no_changed_byte_changes_what_is_believed() {
    for response in [&der!("good")[..], der!("revoked"), der!("delegate")] {
        let true_one = standing(response, NOW);
        for at in 0..response.len() {
            let mut changed = response.to_vec();
            changed[at] ^= 0x01;
            let said = standing(&changed, NOW);
            assert!(
                said == true_one || matches!(said, Standing::NoProof(_)),
                "byte {at}: {said:?}"
            );
            assert!(
                matches!(standing(&response[..at], NOW), Standing::NoProof(_)),
                "cut at {at}"
            );
        }
    }
}

#[test]
fn must_staple_is_read() {
    assert!(Certificate::parse(der!("leaf")).unwrap().must_staple);
    assert!(!Certificate::parse(der!("ca")).unwrap().must_staple);
}
