//! Small files of other hosts, fetched by plain HTTP: what certificates point at. Nothing here is measured.

use std::time::Duration;

/// Redirects followed. Authorities have moved their files behind content networks.
const REDIRECTS: usize = 2;

/// The body of a successful answer.
///
/// # Errors
/// Why it could not be had, in words: not an `http://` URL, no answer within the limit, a status other than 2xx, or more
/// than `most` bytes.
pub async fn small_file(url: &str, most: usize, limit: Duration) -> Result<Vec<u8>, String> {
    // What a certificate is verified by cannot depend on another certificate (RFC 5280, section 8).
    if !url.starts_with("http://") {
        return Err("it is not an http:// URL".to_owned());
    }
    let client = reqwest::Client::builder()
        .no_proxy()
        .referer(false)
        .redirect(reqwest::redirect::Policy::limited(REDIRECTS))
        .timeout(limit)
        .user_agent(concat!("whyd/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|err| innermost(&err))?;
    let answer = client.get(url).send().await;
    let mut answer = answer
        .and_then(reqwest::Response::error_for_status)
        .map_err(|err| innermost(&err))?;
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|err| innermost(&err))? {
        if body.len() + part.len() > most {
            return Err(format!("it is larger than {most} bytes"));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// The outer texts repeat the URL and say nothing.
fn innermost(err: &reqwest::Error) -> String {
    if let Some(status) = err.status() {
        return format!("it is answered {status}");
    }
    let mut inner: &dyn std::error::Error = err;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
