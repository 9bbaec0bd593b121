//! An intermediate that the peer left out, fetched from where its certificate says that it is.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::attempt::{CertificateFault, ConfirmationResult};
use crate::model::order::AttemptOrder;
use crate::net::fetch;

use super::late_alert::shake;
use super::not_done;
use crate::probe::World;

/// Certificates are of about 2 KiB, messages with several of them of 10.
const MOST: usize = 64 * 1024;
const LIMIT: Duration = Duration::from_secs(3);
/// How many are fetched one above the other.
const MOST_STEPS: usize = 3;

/// Fetches the issuer and shakes hands again: the audit takes what was fetched as it takes what other peers presented,
/// which proves something only where the path then leads to a trusted authority.
pub(super) async fn fetch_issuer(
    world: &World,
    order: &AttemptOrder,
    address: SocketAddr,
    url: &str,
) -> ConfirmationResult {
    let end = Instant::now() + order.budget;
    let mut url: Box<str> = url.into();
    for _ in 0..MOST_STEPS {
        let left = end.saturating_duration_since(Instant::now());
        match fetch::small_file(&url, MOST, LIMIT.min(left)).await {
            Ok(body) => world.tls.learn_fetched(&body),
            Err(why) => {
                return not_done(&format!(
                    "the issuer's certificate at {url} was not to be had: {why}"
                ));
            }
        }
        let mut order = order.clone();
        order.budget = end.saturating_duration_since(Instant::now());
        let Some((facts, _)) = shake(world, &order, address).await else {
            return not_done("no handshake after the issuer's certificate was fetched");
        };
        let proved = |fault: &&CertificateFault| !fault.completes_with.is_empty();
        if let Some(fault) = facts.faults.iter().find(proved) {
            let completes_with = fault.completes_with.clone();
            return ConfirmationResult::IssuerFetched { url, completes_with };
        }
        // What was fetched says where its own issuer is.
        match facts.faults.into_iter().find_map(|fault| fault.issuer_url) {
            Some(above) if above != url => url = above,
            _ => break,
        }
    }
    ConfirmationResult::IssuerFetched {
        url,
        completes_with: Box::default(),
    }
}
