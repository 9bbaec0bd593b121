//! When a server wants to be asked again.

use std::time::Duration;

use http::HeaderValue;

use crate::model::time::Wall;

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
pub fn retry_after(value: &HeaderValue, now: Wall) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_second();
    Some(Duration::from_secs(
        u64::try_from(date - now.unix_secs()).unwrap_or(0),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_comes_in_two_forms() {
        let now = Wall::from_unix_secs(784_111_770);
        let parse = |text: &str| retry_after(&HeaderValue::from_str(text).expect("a header"), now);
        assert_eq!(parse("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            parse("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::from_secs(7))
        );
        assert_eq!(parse("Sun, 06 Nov 1993 08:49:37 GMT"), None);
        assert_eq!(parse("Sat, 06 Nov 1993 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(parse("soon"), None);
    }
}
