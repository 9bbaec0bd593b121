//! Conversations over TCP: with services whose manners are known (`smtp://`, `postgres://`, …), and in the user's own
//! words (`dialogue:`).
//!
//! Their phases: `request` for what is sent, `first_byte` for the waits for what the peer says, `verify` where that is not
//! what was expected; `tls` wherever the handshake comes.

mod binary;
mod ldap;
mod lines;
mod mail;
mod mysql;
mod postgres;
mod steps;
mod talk;

use crate::model::attempt::DialogueFacts;
use crate::model::dependency::{DialogueProbe, Security, Service, Talk as Kind};
use crate::model::phase::Phase;
use crate::model::secret::Secret;

use super::connect::{To, reach};
use super::http::prepared::no_credentials;
use super::run::{Halt, HopIndex, Run};

pub(crate) use steps::PatternCache;
use talk::Talk;

/// Connects, talks, and says goodbye.
pub(crate) async fn attempt(run: &mut Run<'_>, probe: &DialogueProbe) -> Result<(), Halt> {
    let to = To {
        endpoint: &probe.endpoint,
        resolve: &probe.resolve,
        proxy: probe.proxy.as_ref(),
        tls: &probe.tls,
    };
    let (io, hop) = reach(run, &to).await?;
    let mut talk = Talk::new(run, hop, probe, io);
    if probe.security == Security::Implicit {
        talk.secure().await?;
    }
    let talked = converse(&mut talk, probe).await;
    talk.finish(talked).await
}

async fn converse(talk: &mut Talk<'_, '_>, probe: &DialogueProbe) -> Result<(), Halt> {
    let starttls = probe.security == Security::StartTls;
    let service = match &probe.talk {
        Kind::Steps(steps) => return steps::run(talk, steps).await,
        Kind::Service(service) => *service,
    };
    match service {
        Service::Smtp => mail::smtp(talk, starttls).await,
        Service::Pop3 => mail::pop3(talk, starttls).await,
        Service::Imap => mail::imap(talk, starttls).await,
        Service::Ftp => mail::ftp(talk, starttls).await,
        Service::Redis => {
            let login = login(talk, probe)?;
            lines::redis(talk, login).await
        }
        Service::Memcached => lines::memcached(talk).await,
        Service::Nats => lines::nats(talk).await,
        Service::Ssh => lines::ssh(talk).await,
        Service::Postgres => postgres::postgres(talk, probe, starttls).await,
        Service::MySql => mysql::mysql(talk, probe, starttls).await,
        Service::Amqp => binary::amqp(talk).await,
        Service::Ldap => ldap::ldap(talk, starttls).await,
    }
}

/// The user (who may have no name) and the password, read now.
fn login(talk: &Talk<'_, '_>, probe: &DialogueProbe) -> Result<Option<(String, Secret)>, Halt> {
    let Some((user, password)) = &probe.login else {
        return Ok(None);
    };
    let password = talk
        .secrets()
        .resolve(password)
        .map_err(|err| no_credentials(format!("password: {err}")))?;
    Ok(Some((user.to_string(), password)))
}

/// Notes the step that begins.
pub(crate) fn note(run: &mut Run<'_>, hop: HopIndex, step: &str) {
    let facts = run
        .hop(hop)
        .dialogue
        .get_or_insert_with(Box::<DialogueFacts>::default);
    facts.step = step.into();
}

/// The phase of what was said and is not as expected.
const JUDGED: Phase = Phase::Verify;
