//! AMQP: the protocol header, and the first frame that answers it.

use crate::model::attempt::Mismatch;
use crate::probe::run::Halt;

use super::talk::{Odd, Talk};

/// AMQP 0-9-1 (the specification, section 4.2.2). A broker of another version answers with its own header, which is an
/// answer too: it is alive.
pub(super) async fn amqp(talk: &mut Talk<'_, '_>) -> Result<(), Halt> {
    const WANTED: &str = "a Connection.Start frame";
    talk.step("protocol header");
    talk.say(b"AMQP\x00\x00\x09\x01").await?;
    let head = talk.exactly(7, WANTED).await?;
    if head.starts_with(b"AMQP") {
        talk.remember(&head);
        return Ok(());
    }
    // A method frame (1) of channel 0; its payload begins with class 10 (connection) and method 10 (start).
    let is_method = head[..3] == [1, 0, 0];
    if is_method && talk.exactly(4, WANTED).await? == [0, 10, 0, 10] {
        return Ok(());
    }
    let got = [&head[..], &talk.heard].concat();
    Err(talk.odd(Odd {
        wanted: WANTED,
        got: &got,
        code: None,
        how: Mismatch::Other,
    }))
}
