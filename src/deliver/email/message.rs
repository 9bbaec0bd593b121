//! The mail itself (RFC 5322): text and a simple page, in one thread for each incident.

use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};

use crate::deliver::fit;
use crate::deliver::story::{self, Style};
use crate::model::notification::DeliveryOrder;
use crate::model::receiver::Email;

/// Characters of a subject. Longer ones are legal, folded, and shown by nobody.
const SUBJECT: usize = 200;
/// Characters of the text. Mail has no limit that matters here; this is what somebody may scroll through.
const TEXT: usize = 50_000;

/// # Errors
/// An address of the configuration is none.
pub fn message(order: &DeliveryOrder, email: &Email) -> Result<Message, String> {
    let notification = &order.notification;
    let from = mailbox(&email.from)?;
    let domain = from.email.domain().to_owned();
    let id = format!("<{}@{domain}>", word(&notification.id));
    // One thread for each time that the incident opens. Its root is no mail: whoever joins later has a thread too.
    let thread = format!(
        "<incident.{}.{}@{domain}>",
        notification.incident,
        notification.since.unix_secs()
    );
    let mut builder = Message::builder()
        .from(from)
        .date(system_time(notification.at.unix_secs()))
        .subject(fit::one_line(&story::title(order, Style::Plain), SUBJECT))
        .message_id(Some(id))
        .in_reply_to(thread.clone())
        .references(thread);
    for to in email.to.iter() {
        builder = builder.to(mailbox(to)?);
    }
    // No holiday notes as answers (RFC 3834).
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    builder = builder.raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()));
    builder
        .multipart(content(order))
        .map_err(|error| error.to_string())
}

fn content(order: &DeliveryOrder) -> MultiPart {
    let plain = story::text(order, Style::Plain, TEXT);
    let html = story::text(order, Style::Html, TEXT * 2);
    let heading = story::escape(Style::Html, &story::title(order, Style::Plain));
    let page = format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{heading}</title></head>\n\
         <body style=\"font-family: sans-serif\">\n<h2>{heading}</h2>\n{html}\n</body></html>\n"
    );
    let part = |kind: ContentType, text: String| SinglePart::builder().header(kind).body(text);
    MultiPart::alternative()
        // The same on every retry, as all of the mail is.
        .boundary(format!("whyd-{}", word(&order.notification.id)))
        .singlepart(part(ContentType::TEXT_PLAIN, format!("{plain}\n")))
        .singlepart(part(ContentType::TEXT_HTML, page))
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse()
        .map_err(|error| format!("{text:?} is no mail address: {error}"))
}

/// What may stand before the `@` of a message's id, and in a boundary.
fn word(id: &str) -> String {
    id.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') {
                c
            } else {
                '-'
            }
        })
        .collect()
}

/// Before 1970 there was no mail.
fn system_time(unix_secs: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(unix_secs).unwrap_or(0))
}
