//! What is known of our own sight, and when it is to be looked at again.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::model::dependency::DependencyIndex;
use crate::model::order::OperationId;
use crate::model::time::{Moment, Now, Wall};
use crate::model::vantage::{
    AnchorStanding, AnchorView, Gap, Gaps, NetworkFacts, ObservationId, OfflineBecause, Sight, Vantage,
    VantageFacts, VantageOrder, VantageView,
};

use super::judge::{self, Anchor, Distance, Grounds, Judgement};

/// Least time between the beginnings of two observations with anchors, who are others' servers, and without.
const SPACING: Duration = Duration::from_secs(1);
const SPACING_WITHOUT_ANCHORS: Duration = Duration::from_millis(100);
/// How long beyond its budget an observation is waited for: its own bookkeeping, and a loaded machine.
const GRACE: Duration = Duration::from_millis(500);
/// How old an observation may be that clears a dependency which was failing already. One that was up needs an observation
/// that began after it failed.
pub const FRESH: Duration = Duration::from_secs(10);
/// For how long a host that fell silent is a witness for others.
const RECENT: Duration = Duration::from_secs(10);
/// Time between two looks at anchors that proved nothing, so that they count again when they answer again.
const DISCREDITED_RECHECK: Duration = Duration::from_secs(60);
/// Silent hosts and heard addresses that are remembered; more of them would prove nothing more.
const REMEMBERED: usize = 8;
/// Gaps that are kept.
const GAPS_KEPT: usize = 64;

/// What is said of anchors that are silent and prove nothing by that.
pub const SILENT: &str = "silent";

/// An observation under way.
#[derive(Debug)]
struct UnderWay {
    id: ObservationId,
    began: Moment,
    /// When it is given up.
    until: Moment,
    /// Who answered since.
    heard: Vec<IpAddr>,
}

/// The last observation.
#[derive(Debug)]
struct Last {
    began: Moment,
    at: Now,
    judgement: Judgement,
    network: Option<NetworkFacts>,
}

/// What changes by an observation or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    WentOffline(OfflineBecause),
    CameOnline,
}

#[derive(Debug, Default)]
pub struct Watch {
    config: Vantage,
    serial: u64,
    under_way: Option<UnderWay>,
    /// Another observation is to begin as soon as manners allow.
    wanted: bool,
    last: Option<Last>,
    standings: Vec<AnchorStanding>,
    sight: Sight,
    since: Option<Wall>,
    /// When the present gap began, and the last one that has ended.
    gap_from: Moment,
    last_gap: Option<(Moment, Moment)>,
    had_way_out: bool,
    discredited: bool,
    told_discredited: bool,
    /// Answers of dependencies matter now. Where this is false, a healthy attempt costs nothing here.
    listening: bool,
    /// Hosts that fell silent, by their place in the table of hosts.
    silent: VecDeque<(Moment, u32)>,
    /// The address whose answer ended the last gap.
    heard_last: Option<IpAddr>,
    /// Operations whose verdict waits for an observation.
    pub waiting: Vec<(DependencyIndex, OperationId)>,
    /// When the earliest alarm is set.
    armed: Option<Moment>,
    pub suspended: usize,
    gaps: Gaps,
    gaps_total: u64,
}

impl Watch {
    /// Another configuration is in force. Returns whether a first look is wanted.
    pub fn configure(&mut self, config: &Vantage, one_round: bool) {
        let first = self.last.is_none() && self.under_way.is_none();
        let changed = self.config.anchors != config.anchors;
        if changed {
            self.standings = vec![AnchorStanding::NotAsked; config.anchors.len()];
            self.discredited = false;
        }
        self.config = config.clone();
        // A service learns at once how its network looks while it works. One round asks only when it has to.
        self.wanted |= (first || changed) && !one_round;
    }

    pub const fn is_offline(&self) -> bool {
        self.sight.is_offline()
    }

    pub const fn is_listening(&self) -> bool {
        self.listening
    }

    /// By what we know that we are offline, if we are.
    pub const fn offline_because(&self) -> Option<OfflineBecause> {
        match self.sight {
            Sight::Offline(because) => Some(because),
            Sight::Online => None,
        }
    }

    pub fn network(&self) -> Option<&NetworkFacts> {
        self.last.as_ref()?.network.as_ref()
    }

    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// Whether the last observation began at that moment or later, and so clears or excuses what failed then.
    pub fn observed_since(&self, moment: Moment) -> bool {
        self.last.as_ref().is_some_and(|last| last.began >= moment)
    }

    /// That host has fallen silent.
    pub fn note_silent(&mut self, host: u32, now: Moment) {
        self.silent
            .retain(|(at, known)| *known != host && now.since(*at) < RECENT);
        if self.silent.len() == REMEMBERED {
            self.silent.pop_front();
        }
        self.silent.push_back((now, host));
    }

    /// Somebody answered. Where that proves that we see, says so.
    pub fn note_heard(&mut self, address: IpAddr) -> Change {
        if let Some(under_way) = &mut self.under_way
            && under_way.heard.len() < REMEMBERED
        {
            under_way.heard.push(address);
        }
        if judge::distance(self.network(), Some(address)) != Distance::Far {
            return Change::None;
        }
        self.silent.clear();
        if self.sight.is_offline() {
            // The anchors are asked again, to know whether they were silent for a reason of their own.
            self.heard_last = Some(address);
            self.wanted = true;
            return Change::CameOnline;
        }
        if self.under_way.is_none() {
            // It listened because every anchor was silent and nothing else was known.
            self.discredited = true;
            self.listening = false;
            self.wanted = true;
        }
        Change::None
    }

    /// How many anchors are silent while others answer, when that is news.
    pub fn discredit_to_tell(&mut self) -> Option<usize> {
        let (_, silent) = self.anchor_counts();
        if !self.discredited {
            self.told_discredited = false;
        }
        let news = self.discredited && silent > 0 && !self.told_discredited && self.under_way.is_none();
        self.told_discredited |= news;
        news.then_some(silent)
    }

    /// The observation to begin now, if one is due.
    pub fn begin(&mut self, now: Moment, stopping: bool) -> Option<VantageOrder> {
        if self.under_way.is_some() || self.next_begin(stopping).is_none_or(|at| at > now) {
            return None;
        }
        self.wanted = false;
        self.serial += 1;
        let id = ObservationId(self.serial);
        self.under_way = Some(UnderWay {
            id,
            began: now,
            until: now + self.config.timeout + GRACE,
            heard: self.heard_last.take().into_iter().collect(),
        });
        self.listening = true;
        Some(VantageOrder {
            id,
            anchors: Arc::clone(&self.config.anchors),
            budget: self.config.timeout,
        })
    }

    /// When the next observation may begin, if one is wanted.
    fn next_begin(&self, stopping: bool) -> Option<Moment> {
        let last = self.last.as_ref().map(|last| last.began);
        let spacing = if self.config.anchors.is_empty() {
            SPACING_WITHOUT_ANCHORS
        } else {
            SPACING
        };
        let wanted = self
            .wanted
            .then(|| last.map_or(Moment::ZERO, |began| began + spacing));
        let again = (self.sight.is_offline() && !stopping)
            .then(|| last.map_or(Moment::ZERO, |began| began + self.config.recheck.max(spacing)));
        let heal = (self.discredited && !stopping)
            .then(|| last.map_or(Moment::ZERO, |began| began + DISCREDITED_RECHECK));
        wanted.into_iter().chain(again).chain(heal).min()
    }

    /// The moment for which an alarm must be set now, unless an earlier one is set already.
    pub fn arm(&mut self, stopping: bool) -> Option<Moment> {
        let at = match &self.under_way {
            Some(under_way) => under_way.until,
            None => self.next_begin(stopping)?,
        };
        if self.armed.is_some_and(|armed| armed <= at) {
            return None;
        }
        self.armed = Some(at);
        Some(at)
    }

    /// The alarm came. Returns the observation that has to be given up, if one has.
    pub fn woke(&mut self, now: Moment) -> Option<ObservationId> {
        self.armed = None;
        let under_way = self.under_way.as_ref()?;
        (under_way.until <= now).then_some(under_way.id)
    }

    /// Gives an observation up: what waits for it goes on with nothing learned.
    pub fn give_up(&mut self, id: ObservationId, now: Now) {
        let Some(under_way) = self.under_way.take_if(|under_way| under_way.id == id) else {
            return;
        };
        self.last = Some(Last {
            began: under_way.began,
            at: now,
            judgement: Judgement::Open,
            network: self.last.take().and_then(|last| last.network),
        });
    }

    /// Takes an observation's facts. `None` when nobody waits for it.
    pub fn observed(&mut self, id: ObservationId, facts: VantageFacts, now: Now) -> Option<Change> {
        let under_way = self.under_way.take_if(|under_way| under_way.id == id)?;
        let network = facts.network.or_else(|| self.last.take()?.network);
        let standings = self.anchors(&facts.anchors, network.as_ref(), now.wall);
        let far = |address: &IpAddr| judge::distance(network.as_ref(), Some(*address)) == Distance::Far;
        let judgement = judge::judge(&Grounds {
            anchors: &standings,
            network: network.as_ref(),
            heard: under_way.heard.iter().any(far),
            had_way_out: self.had_way_out,
            discredited: self.discredited,
            silent_hosts: self.silent_hosts(now.moment),
        });
        self.standings = standings.iter().map(|anchor| anchor.standing).collect();
        self.had_way_out |= network.as_ref().is_some_and(NetworkFacts::has_default_route);
        self.last = Some(Last {
            began: under_way.began,
            at: now,
            judgement,
            network,
        });
        Some(self.follow(judgement))
    }

    /// What was judged becomes what holds.
    fn follow(&mut self, judgement: Judgement) -> Change {
        match judgement {
            Judgement::AnchorsAnswer => self.discredited = false,
            Judgement::AnchorsContradicted => self.discredited = true,
            Judgement::Offline(_) | Judgement::Open => {}
        }
        let silent = self.standings.contains(&AnchorStanding::Silent);
        let change = match (self.sight, judgement) {
            (Sight::Online, Judgement::Offline(because)) => Change::WentOffline(because),
            // Offline by the anchors stays so while they are silent, whatever else is not known.
            (Sight::Offline(OfflineBecause::Anchors), Judgement::Open) if silent => Change::None,
            (Sight::Offline(_), Judgement::Offline(because)) => {
                self.sight = Sight::Offline(because);
                Change::None
            }
            (Sight::Offline(_), _) => Change::CameOnline,
            (Sight::Online, _) => Change::None,
        };
        self.listening = match change {
            Change::WentOffline(_) => true,
            Change::CameOnline => false,
            Change::None => self.sight.is_offline() || (silent && !self.discredited),
        };
        change
    }

    fn anchors<'a>(
        &'a self,
        attempts: &[Option<Box<crate::model::attempt::Attempt>>],
        network: Option<&NetworkFacts>,
        now: Wall,
    ) -> Vec<Anchor<'a>> {
        let anchors = self.config.anchors.iter().enumerate();
        anchors
            .map(|(i, anchor)| {
                let attempt = attempts.get(i).and_then(Option::as_deref);
                judge::anchor(anchor, attempt, network, now)
            })
            .collect()
    }

    fn silent_hosts(&self, now: Moment) -> usize {
        let recent = |(at, _): &&(Moment, u32)| now.since(*at) < RECENT;
        // The host in question is among them, and is no witness for itself.
        self.silent.iter().filter(recent).count().saturating_sub(1)
    }

    /// From now on we are offline; nothing was seen since `from`.
    pub fn go_offline(&mut self, because: OfflineBecause, from: Moment, now: Now) -> Gap {
        let ago = now.moment.since(from);
        let began = Wall::from_unix_nanos(
            now.wall
                .unix_nanos()
                .saturating_sub(i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX)),
        );
        let gap = Gap {
            from: began,
            to: None,
            because,
        };
        self.sight = Sight::Offline(because);
        self.since = Some(began);
        self.gap_from = from;
        self.gaps.begin(gap, GAPS_KEPT);
        self.gaps_total += 1;
        gap
    }

    /// From now on we see again. Returns the gap that has ended.
    pub fn come_online(&mut self, now: Now) -> Option<Gap> {
        self.sight = Sight::Online;
        self.since = Some(now.wall);
        self.last_gap = Some((self.gap_from, now.moment));
        self.silent.clear();
        self.gaps.end(now.wall);
        self.gaps.last().copied()
    }

    /// Whether a gap has ended since the start.
    pub const fn had_gap(&self) -> bool {
        self.last_gap.is_some()
    }

    /// Why an attempt that began then at that address, and has now fallen silent, says nothing of the dependency: we are
    /// offline, or were for a part of it.
    pub fn excuse(&self, address: Option<IpAddr>, began: Moment) -> Option<OfflineBecause> {
        let because = match (self.sight, self.last_gap) {
            (Sight::Offline(because), _) => because,
            (Sight::Online, Some((_, to))) if began < to => self.gaps.last()?.because,
            (Sight::Online, _) => return None,
        };
        judge::explains(because, self.network(), address).then_some(because)
    }

    /// What the anchors said when they were last asked, as evidence beside a failure.
    pub fn anchors_said(&self) -> Option<&'static str> {
        if self.config.anchors.is_empty() {
            return None;
        }
        match self.last.as_ref()?.judgement {
            Judgement::AnchorsAnswer => Some("answer"),
            Judgement::AnchorsContradicted => Some("silent, while others answer"),
            Judgement::Open if self.standings.contains(&AnchorStanding::Silent) => Some(SILENT),
            Judgement::Open if self.standings.contains(&AnchorStanding::NotResolved) => Some("not resolved"),
            Judgement::Offline(_) | Judgement::Open => None,
        }
    }

    /// How many anchors there are, and how many of them were silent.
    pub fn anchor_counts(&self) -> (usize, usize) {
        let silent = |standing: &&AnchorStanding| **standing == AnchorStanding::Silent;
        (self.standings.len(), self.standings.iter().filter(silent).count())
    }

    /// When the network was last known to work.
    pub fn last_seen(&self) -> Option<Moment> {
        let last = self.last.as_ref()?;
        (last.judgement == Judgement::AnchorsAnswer).then_some(last.at.moment)
    }

    pub fn view(&self) -> VantageView {
        let anchors = self.config.anchors.iter().zip(&self.standings);
        VantageView {
            sight: self.sight,
            since: self.since,
            observed: self.last.as_ref().map(|last| last.at.wall),
            anchors: anchors
                .map(|(anchor, standing)| AnchorView {
                    target: anchor.probe.target().into(),
                    standing: *standing,
                })
                .collect(),
            anchors_discredited: self.discredited,
            suspended: self.suspended,
            gaps: self.gaps.clone(),
            gaps_total: self.gaps_total,
        }
    }
}
