//! The dependency's own request on connections that are kept or thrown away as the measurement needs them.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use http::header;
use tokio::time::Instant;

use crate::model::attempt::{Budget, H2Frame, H2Trouble, Role, Stop, TlsTrouble, Trouble};
use crate::model::dependency::{HttpProbe, Probe};
use crate::model::idle::IdleEnd;
use crate::model::order::{AttemptOrder, Connection, IdleOrder, OperationId};

use super::super::World;
use super::super::auth;
use super::super::http::body::{self, Wanted, is_bodiless};
use super::super::http::exchange::{Answer, Ask, ask, exchange};
use super::super::http::facts::response_facts;
use super::super::http::link::Link;
use super::super::run::{Halt, Run};

/// A connection after a complete answer, ready for another request.
pub(super) struct Kept {
    pub link: Link,
    /// Where it leads; `None` where a proxy stands between.
    pub address: Option<SocketAddr>,
    /// Since when it lies idle.
    pub since: Instant,
    /// `Keep-Alive: timeout=`.
    pub announced: Option<Duration>,
}

impl Kept {
    pub fn end(&self) -> IdleEnd {
        self.link.wire.end(self.link.is_h2())
    }

    /// When its end was seen, once it was.
    pub fn ended_at(&self) -> Instant {
        let seen = self.link.wire.traffic().ended;
        seen.map_or_else(Instant::now, Instant::from_std)
    }

    /// How long it had lain idle then.
    pub fn ended_after(&self) -> Duration {
        self.ended_at().saturating_duration_since(self.since)
    }
}

/// What became of a request.
pub(super) enum Asked {
    /// Answered, and the connection can be used again.
    Kept(Kept),
    /// Answered, and the connection cannot be used again.
    NotKept,
    /// The connection did not carry it.
    Dead(IdleEnd),
    /// It failed in a way that says nothing of the connection.
    Failed(Box<str>),
}

/// Makes the requests of a round.
pub(super) struct Requests<'a> {
    world: &'a World,
    probe: &'a HttpProbe,
    order: AttemptOrder,
}

impl<'a> Requests<'a> {
    /// `None` for what is no HTTP request that only reads.
    pub fn new(world: &'a World, order: &'a IdleOrder) -> Option<Requests<'a>> {
        let dependency = &order.dependency;
        let Probe::Http(probe) = &dependency.probe else {
            return None;
        };
        let attempt = AttemptOrder {
            index: order.index,
            dependency: dependency.clone(),
            // It is no operation; nothing looks at this.
            operation: OperationId(0),
            number: 1,
            connection: Connection::Fresh,
            leave_unheard: true,
            budget: dependency.timeouts.attempt,
            budget_of: Budget::Attempt,
        };
        dependency.probe.only_reads().then_some(Requests {
            world,
            probe,
            order: attempt,
        })
    }

    /// Asks on a fresh connection, to that address where one is given.
    pub async fn fresh(&self, address: Option<SocketAddr>) -> Asked {
        let mut run = Run::new(self.world, &self.order);
        let request = match self.request(&mut run, address).await {
            Ok(request) => request,
            Err(stop) => return Asked::Failed(words(&stop)),
        };
        match ask(&mut run, &request).await {
            Ok(answer) => self.finish(&mut run, &request, answer, address).await,
            Err(stop) => Asked::Failed(words(&stop)),
        }
    }

    /// Asks once more on a connection that was kept.
    pub async fn again(&self, kept: Kept) -> Asked {
        let mut run = Run::new(self.world, &self.order);
        let address = kept.address;
        let request = match self.request(&mut run, address).await {
            Ok(request) => request,
            Err(stop) => return Asked::Failed(words(&stop)),
        };
        let hop = run.add_hop(request.target.shown.clone(), Role::Target);
        run.hop(hop).reused = true;
        kept.link.wire.begin_use();
        match exchange(&mut run, hop, &request, kept.link, Instant::now()).await {
            Ok(answer) => self.finish(&mut run, &request, answer, address).await,
            Err(lost) => match dead(&run, &lost.stop) {
                Some(how) => Asked::Dead(how),
                None => Asked::Failed(words(&lost.stop)),
            },
        }
    }

    async fn request(&self, run: &mut Run<'_>, only: Option<SocketAddr>) -> Result<Ask<'a>, Halt> {
        let probe = self.probe;
        let prepared = run.world.prepared.get(&self.order.dependency, probe)?;
        let mut headers = prepared.own_headers(&run.world.secrets)?;
        if !headers.contains_key(header::AUTHORIZATION)
            && let Some(value) = auth::authorization(run, probe).await?
        {
            headers.insert(header::AUTHORIZATION, value);
        }
        // A dependency that keeps no connections between its operations asks for their end; these are to be kept.
        headers.remove(header::CONNECTION);
        Ok(Ask {
            target: prepared.target.clone(),
            role: Role::Target,
            method: prepared.method.clone(),
            headers,
            body: prepared.request_body(&run.world.secrets)?,
            version: probe.version,
            proxy: probe.proxy.as_ref(),
            tls: Cow::Borrowed(&probe.tls),
            resolve: Cow::Borrowed(&probe.resolve),
            only,
            tunnelled: false,
            reuse: false,
        })
    }

    /// Reads the answer to its end. Whatever it says, the connection carried it.
    async fn finish(
        &self,
        run: &mut Run<'_>,
        request: &Ask<'_>,
        mut answer: Answer,
        address: Option<SocketAddr>,
    ) -> Asked {
        if answer.parts.status.as_u16() == 429 {
            return Asked::Failed("the host asks for fewer requests (429)".into());
        }
        let facts = response_facts(&answer.parts.headers);
        let is_direct = request.proxy.is_none();
        let address = address.or_else(|| is_direct.then_some(answer.link.wire.peer));
        let wanted = Wanted {
            max: self.probe.max_body,
            keep: 0,
            gap: run.timeouts().body,
            within: None,
            looked_at: false,
        };
        if !is_bodiless(&request.method, answer.parts.status) {
            let read = body::read(
                run,
                &mut answer.link,
                &mut answer.body,
                &answer.parts.headers,
                wanted,
            )
            .await;
            match read {
                Ok(body) if body.complete => {}
                Ok(_) => return Asked::NotKept,
                Err(failure) => {
                    return Asked::Failed(format!("the answer broke off: {:?}", failure.trouble).into());
                }
            }
        }
        let since = Instant::now();
        if facts.connection_close || !answer.link.settles(run.end.at).await {
            return Asked::NotKept;
        }
        Asked::Kept(Kept {
            link: answer.link,
            address,
            since,
            announced: facts
                .keep_alive_timeout
                .map(|seconds| Duration::from_secs(seconds.into())),
        })
    }
}

/// How the connection died, where that is why the request on it failed.
fn dead(run: &Run<'_>, stop: &Stop) -> Option<IdleEnd> {
    match &stop.trouble {
        Trouble::Closed => Some(IdleEnd::Fin),
        Trouble::Tls(TlsTrouble::AlertReceived(0)) => Some(IdleEnd::CloseNotify),
        Trouble::H2(H2Trouble {
            frame: H2Frame::GoAway,
            reason: 0,
            remote: true,
        }) => Some(IdleEnd::GoAway),
        Trouble::Io {
            errno: libc::ECONNRESET | libc::EPIPE,
            ..
        } => Some(IdleEnd::Rst),
        Trouble::Io {
            errno: libc::ETIMEDOUT,
            ..
        } => Some(IdleEnd::Silence),
        Trouble::TimedOut(Budget::Acknowledgement) => Some(IdleEnd::Silence),
        Trouble::TimedOut(_) => {
            let hop = run.hops.last()?;
            let unheard = hop.received == 0 && hop.tcp.is_some_and(|tcp| tcp.unacked > 0);
            unheard.then_some(IdleEnd::Silence)
        }
        _ => None,
    }
}

/// Why a request failed, in the error's own words.
fn words(stop: &Stop) -> Box<str> {
    match stop.chain.first() {
        Some(text) => text.clone(),
        None => format!("{:?}", stop.trouble).into(),
    }
}
