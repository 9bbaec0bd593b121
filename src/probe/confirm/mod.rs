//! Second looks: what the engine asks for to tell apart what one attempt cannot. One file each.

mod as_browser;
mod client_hello;
mod compare_names;
mod every_address;
mod fetch_issuer;
mod fresh_connection;
mod late_alert;
mod mss_clamp;
mod not_found;
mod other_scheme;
mod signs_of_life;
mod trial;

use tokio::time::Instant;

use crate::model::attempt::{Budget, Confirmation, ConfirmationResult};
use crate::model::evidence::Evidence;
use crate::model::order::{AttemptOrder, ConfirmationKind, ConfirmationOrder, Connection};

use super::World;

/// Makes a second look. It ends within its budget.
pub(crate) async fn confirm(world: &World, order: &ConfirmationOrder) -> Confirmation {
    let began = Instant::now();
    let mut evidence = Evidence::new();
    let attempt = AttemptOrder {
        index: order.index,
        dependency: order.dependency.clone(),
        operation: order.operation,
        number: 1,
        connection: Connection::Fresh,
        leave_unheard: false,
        budget: order.budget,
        budget_of: Budget::Attempt,
    };
    let result = match &order.kind {
        ConfirmationKind::NotFoundVariants => not_found::variants_that_answer(world, &attempt).await,
        ConfirmationKind::ClientHello(address) => {
            client_hello::client_hello(world, &attempt, *address, &mut evidence).await
        }
        ConfirmationKind::FreshConnection(address) => {
            fresh_connection::fresh_connection(world, attempt, *address, &mut evidence).await
        }
        ConfirmationKind::SignsOfLife { address, all } => {
            signs_of_life::signs_of_life(*address, *all, order.budget).await
        }
        ConfirmationKind::MssClamp { address, stalled } => {
            mss_clamp::mss_clamp(world, attempt, *address, *stalled).await
        }
        ConfirmationKind::PlainHttp { path } => other_scheme::plain_http(world, &attempt, *path).await,
        ConfirmationKind::LateAlert(address) => late_alert::late_alert(world, &attempt, *address).await,
        ConfirmationKind::FetchIssuer { address, url } => {
            fetch_issuer::fetch_issuer(world, &attempt, *address, url).await
        }
        ConfirmationKind::AsBrowser { refused } => as_browser::vary(world, &attempt, *refused).await,
        ConfirmationKind::EveryAddress(family) => {
            every_address::every_address(world, &attempt, *family).await
        }
        ConfirmationKind::CompareNames => compare_names::compare_names(world, &attempt).await,
    };
    Confirmation {
        elapsed: began.elapsed(),
        result,
        evidence,
    }
}

fn not_done(why: &str) -> ConfirmationResult {
    ConfirmationResult::NotDone(why.into())
}
