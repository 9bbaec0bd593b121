//! Silences and maintenance windows as the API tells them.

use serde_json::{Value as Json, json};

use crate::model::silence::{Matcher, SilenceView};

/// One silence, or one maintenance window of the configuration.
pub fn silence(view: &SilenceView) -> Json {
    let silence = &view.silence;
    json!({
        "id": &*silence.id,
        "matchers": silence.matchers.iter().map(matcher).collect::<Vec<_>>(),
        "owner": &*silence.owner,
        "reason": &*silence.reason,
        "from": silence.from.to_string(),
        "until": silence.until.to_string(),
        "created": silence.created.to_string(),
        "configured": view.configured,
        "active": view.active,
        "muting": view.muting,
    })
}

fn matcher(matcher: &Matcher) -> Json {
    json!({"label": &*matcher.label, "pattern": &*matcher.pattern, "negated": matcher.negated})
}
