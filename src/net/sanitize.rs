//! Placeholder until the sanitising room is merged.

pub fn foreign_text(bytes: &[u8], max: usize) -> Box<str> {
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    if text.chars().count() <= max {
        return text.into();
    }
    let mut cut: String = text.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut.into()
}

pub fn scrub_url(text: &str) -> String {
    text.to_owned()
}

pub fn error_chain(err: &(dyn std::error::Error + 'static)) -> Vec<Box<str>> {
    let mut chain = vec![];
    let mut next = Some(err);
    while let Some(err) = next {
        chain.push(err.to_string().into());
        next = err.source();
    }
    chain
}
