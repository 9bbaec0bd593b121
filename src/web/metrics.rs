//! `/metrics`: the catalogue as Prometheus text or OpenMetrics, sent piece by piece.

use std::io::Write as _;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;

use crate::export::prometheus::{Exposition, Format};
use crate::export::snapshot::snapshot;

use super::{Web, stopped};

/// The metrics of this moment.
pub async fn metrics(State(web): State<Web>, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::negotiate(accept);
    let packed = accepts_gzip(&headers);
    let Ok(snapshot) = snapshot(&web.reader, &web.process).await else {
        return stopped();
    };
    let pieces = Pieces {
        exposition: Exposition::new(snapshot, format),
        text: String::new(),
        gzip: packed.then(|| GzEncoder::new(Vec::new(), Compression::fast())),
    };
    let body = stream::try_unfold(pieces, |mut pieces| async move {
        let piece = pieces.next()?;
        Ok::<_, std::io::Error>(piece.map(|piece| (piece, pieces)))
    });
    let mut answer = Body::from_stream(body).into_response();
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

/// Whether `Accept-Encoding` has gzip with a weight above zero (RFC 9110, section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|q| q.parse().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.unwrap_or(1.0) > 0.0
    })
}

struct Pieces {
    exposition: Exposition,
    text: String,
    /// Taken when everything is written.
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl Pieces {
    fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        self.text.clear();
        let more = self.exposition.write_piece(&mut self.text);
        let Some(mut gzip) = self.gzip.take() else {
            return Ok(more.then(|| Bytes::from(self.text.clone())));
        };
        if !more {
            return gzip.finish().map(|rest| Some(Bytes::from(rest)));
        }
        gzip.write_all(self.text.as_bytes())?;
        let packed = std::mem::take(gzip.get_mut());
        self.gzip = Some(gzip);
        Ok(Some(Bytes::from(packed)))
    }
}
