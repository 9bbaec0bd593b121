//! Speaking and listening: every wait is bounded, every word is noted, and whatever goes wrong has its step.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::model::attempt::{DialogueTrouble, Mismatch, Trouble};
use crate::model::dependency::DialogueProbe;
use crate::model::phase::Phase;
use crate::net::sanitize::foreign_text;
use crate::net::secret::Secrets;
use crate::probe::http::trouble::phase_of;
use crate::probe::proxy::io_trouble;
use crate::probe::run::{Halt, HopIndex, Run, halt, halt_by};
use crate::probe::secure::{Secure, secure};
use crate::probe::stream::Io;

use super::{JUDGED, note};

/// Longest text shown of what the peer said, in characters.
pub(super) const MAX_TEXT: usize = 160;
/// Longest line, and the most that is kept of what was not yet understood, in bytes.
const MAX_HEARD: usize = 64 * 1024;
/// How long saying goodbye may take.
const CLOSE_WAIT: std::time::Duration = std::time::Duration::from_millis(20);

/// A conversation under way.
pub(super) struct Talk<'r, 'a> {
    pub run: &'r mut Run<'a>,
    pub hop: HopIndex,
    probe: &'r DialogueProbe,
    /// `None` only while a handshake has it, and after one that failed.
    io: Option<Io>,
    /// What was read and not yet used.
    pub heard: Vec<u8>,
    /// What the connection carried before its last handshake.
    before: (u64, u64),
}

/// What a service says that is not as it should be.
pub(super) struct Odd<'t> {
    pub wanted: &'t str,
    pub got: &'t [u8],
    pub code: Option<&'t str>,
    pub how: Mismatch,
}

impl<'r, 'a> Talk<'r, 'a> {
    pub fn new(run: &'r mut Run<'a>, hop: HopIndex, probe: &'r DialogueProbe, io: Io) -> Self {
        Talk {
            run,
            hop,
            probe,
            io: Some(io),
            heard: Vec::new(),
            before: (0, 0),
        }
    }

    pub fn secrets(&self) -> &Secrets {
        &self.run.world.secrets
    }

    /// Begins a step.
    pub fn step(&mut self, name: &str) {
        note(self.run, self.hop, name);
    }

    /// Goes over to TLS. What was said in the clear and not yet used is thrown away: nobody can tell who said it
    /// (RFC 3207, section 4.2).
    pub async fn secure(&mut self) -> Result<(), Halt> {
        self.heard.clear();
        let Some(io) = self.io.take() else {
            return Err(self.lost());
        };
        let traffic = io.wire.traffic();
        self.before.0 += traffic.sent;
        self.before.1 += traffic.received;
        io.wire.begin_use();
        let alpn: Vec<&[u8]> = self.probe.tls.alpn.iter().map(|name| name.as_bytes()).collect();
        let how = Secure {
            settings: &self.probe.tls,
            host: &self.probe.endpoint.host,
            alpn: &alpn,
        };
        self.io = Some(secure(self.run, self.hop, io, how).await?);
        Ok(())
    }

    /// Says something.
    pub async fn say(&mut self, words: &[u8]) -> Result<(), Halt> {
        let Some(io) = &mut self.io else {
            return Err(self.lost());
        };
        let began = Instant::now();
        let deadline = self.run.deadline(self.run.timeouts().first_byte);
        let written = deadline
            .bound(async {
                io.write_all(words).await?;
                io.flush().await
            })
            .await;
        self.run.spent(self.hop, Phase::Request, began);
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(err)) => Err(self.broken(Phase::Request, &err)),
            Err(budget) => Err(halt(Phase::Request, self.hop, Trouble::TimedOut(budget))),
        }
    }

    /// The next line without its end, and without trailing blanks.
    pub async fn line(&mut self, wanted: &str) -> Result<Vec<u8>, Halt> {
        loop {
            if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.heard.drain(..=end).collect();
                line.truncate(line.trim_ascii_end().len());
                self.remember(&line);
                return Ok(line);
            }
            self.hear(wanted).await?;
        }
    }

    /// The next so many bytes.
    pub async fn exactly(&mut self, count: usize, wanted: &str) -> Result<Vec<u8>, Halt> {
        while self.heard.len() < count {
            self.hear(wanted).await?;
        }
        Ok(self.heard.drain(..count).collect())
    }

    /// Reads once. Fails when the peer closes, when it says too much without being understood, and when nothing comes: of
    /// somebody who has said something in this step that is not what was wanted, otherwise it is silence.
    pub async fn hear(&mut self, wanted: &str) -> Result<(), Halt> {
        let Some(io) = &mut self.io else {
            return Err(self.lost());
        };
        let began = Instant::now();
        let limit = if self.heard.is_empty() {
            self.run.timeouts().first_byte
        } else {
            self.run.timeouts().body
        };
        let deadline = self.run.deadline(limit);
        let read = deadline.bound(io.read_buf(&mut self.heard)).await;
        self.run.spent(self.hop, Phase::FirstByte, began);
        match read {
            Ok(Ok(0)) => Err(self.closed(wanted)),
            Ok(Ok(_)) if self.heard.len() > MAX_HEARD => Err(self.odd(Odd {
                wanted,
                got: &self.heard.clone(),
                code: None,
                how: Mismatch::Other,
            })),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(err)) => Err(self.broken(Phase::FirstByte, &err)),
            Err(_) if !self.heard.is_empty() => Err(self.odd(Odd {
                wanted,
                got: &self.heard.clone(),
                code: None,
                how: Mismatch::Silent,
            })),
            Err(budget) => Err(halt(Phase::FirstByte, self.hop, Trouble::TimedOut(budget))),
        }
    }

    /// Keeps what the peer said last as a fact.
    pub fn remember(&mut self, words: &[u8]) {
        let text = shown(words);
        if let Some(facts) = &mut self.run.hop(self.hop).dialogue {
            facts.heard = Some(text);
        }
    }

    /// The peer said something else than it should.
    pub fn odd(&mut self, odd: Odd<'_>) -> Halt {
        self.run.spent(self.hop, JUDGED, Instant::now());
        let text = shown(odd.got);
        let mut stop = halt(
            JUDGED,
            self.hop,
            Trouble::Dialogue(DialogueTrouble {
                wanted: odd.wanted.into(),
                got: Some(text.clone()),
                code: odd.code.map(Into::into),
                how: odd.how,
            }),
        );
        stop.chain.push(text);
        stop
    }

    /// The peer ended the connection. One that never said a word may not be the service at all.
    fn closed(&mut self, wanted: &str) -> Halt {
        let said_something = self
            .run
            .hop(self.hop)
            .dialogue
            .as_ref()
            .is_some_and(|facts| facts.heard.is_some());
        if !self.heard.is_empty() {
            return self.odd(Odd {
                wanted,
                got: &self.heard.clone(),
                code: None,
                how: Mismatch::Closed,
            });
        }
        if !said_something {
            return halt(Phase::FirstByte, self.hop, Trouble::Closed);
        }
        halt(
            Phase::FirstByte,
            self.hop,
            Trouble::Dialogue(DialogueTrouble {
                wanted: wanted.into(),
                got: None,
                code: None,
                how: Mismatch::Closed,
            }),
        )
    }

    fn broken(&mut self, phase: Phase, err: &io::Error) -> Halt {
        let trouble = io_trouble(err);
        let phase = phase_of(&trouble, phase);
        if self.run.hop(self.hop).phases.get(phase).is_none() {
            self.run.spent(self.hop, phase, Instant::now());
        }
        halt_by(phase, self.hop, trouble, err)
    }

    /// Cannot be: a conversation ends when its handshake fails.
    fn lost(&self) -> Halt {
        halt(Phase::Tls, self.hop, Trouble::Closed)
    }

    /// Says the last words without waiting long for an answer.
    pub async fn goodbye(&mut self, words: &[u8]) {
        let Some(io) = &mut self.io else { return };
        let leaving = async {
            io.write_all(words).await?;
            io.flush().await?;
            // Whoever closes before the answer is there makes the peer's kernel send a reset, which its log may show.
            io.read(&mut [0; 256]).await
        };
        let _ = tokio::time::timeout(CLOSE_WAIT, leaving).await;
    }

    /// Writes down what the connection carried, and closes it.
    pub async fn finish(self, talked: Result<(), Halt>) -> Result<(), Halt> {
        // After a handshake that failed, its facts are written down already.
        let Some(mut io) = self.io else { return talked };
        match &talked {
            Ok(()) => self.run.note_wire(self.hop, &io.wire),
            Err(_) => self.run.note_failed_wire(self.hop, &io.wire),
        }
        let hop = self.run.hop(self.hop);
        hop.sent += self.before.0;
        hop.received += self.before.1;
        if talked.is_ok() {
            let _ = tokio::time::timeout(CLOSE_WAIT, io.shutdown()).await;
        }
        talked
    }
}

/// Words of the peer as evidence.
pub(super) fn shown(words: &[u8]) -> Box<str> {
    foreign_text(&words[..words.len().min(MAX_TEXT * 8)], MAX_TEXT)
}
