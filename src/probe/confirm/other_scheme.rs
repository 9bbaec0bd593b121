//! The other scheme on the same host and port: plain HTTP to a port that did not understand TLS, or HTTPS to one that did
//! not understand plain HTTP.

use crate::model::attempt::ConfirmationResult;
use crate::model::dependency::{HttpUrl, Probe, Scheme};
use crate::model::order::AttemptOrder;

use super::not_done;
use super::not_found::status_of;
use crate::probe::World;

/// Asks by plain HTTP. What is secret is not sent: the answer's status is all that is wanted.
pub(super) async fn plain_http(world: &World, order: &AttemptOrder, path: bool) -> ConfirmationResult {
    match status_by(world, order, Scheme::Http, path).await {
        Some((url, status)) => ConfirmationResult::OtherScheme { url, status },
        None => not_done("the request is not one to repeat"),
    }
}

/// The URL with the other scheme (with `/` for its path, unless that is wanted), and the status with which it answers. `None` when the method is not safe.
pub(super) async fn status_by(
    world: &World,
    order: &AttemptOrder,
    scheme: Scheme,
    path: bool,
) -> Option<(Box<str>, Option<u16>)> {
    let Probe::Http(probe) = &order.dependency.probe else {
        return None;
    };
    if !matches!(&*probe.method, "GET" | "HEAD") {
        return None;
    }
    let mut url = HttpUrl {
        scheme,
        ..probe.url.clone()
    };
    if !path {
        (url.path, url.query) = ("/".into(), None);
    }
    let shown = url.to_string().into();
    let status = status_of(world, order, (&order.dependency, probe), url).await;
    Some((shown, status))
}
