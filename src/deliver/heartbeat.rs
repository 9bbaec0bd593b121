//! A heartbeat: a URL that is asked for as long as the engine works. Whoever misses it raises the alarm.

use ::http::{HeaderMap, Method};

use crate::model::receiver::{Ping, WebTarget};

use super::http::Call;
use super::trip::{NotTaken, Trip};

pub async fn deliver(trip: &mut Trip<'_>, target: &WebTarget, method: Ping) -> Result<(), NotTaken> {
    let url = trip.url(target)?;
    let call = Call {
        method: match method {
            Ping::Get => Method::GET,
            Ping::Post => Method::POST,
        },
        url,
        headers: HeaderMap::new(),
        body: None,
    };
    trip.send(target, call).await?.judged()
}
