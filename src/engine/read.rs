//! Pages of the read model.

use std::sync::Arc;

use crate::model::dependency::DependencyIndex;
use crate::model::page::{Detail, EngineView, HostPage, HostView, Page};
use crate::model::time::Now;

use super::Engine;

impl Engine {
    /// At most `max` dependencies from that index on.
    pub fn page(&self, from: DependencyIndex, max: usize) -> Page {
        let mut rest = self.tables.slots.from(from.0);
        let dependencies = rest
            .by_ref()
            .take(max)
            .map(|(index, slot)| slot.view(DependencyIndex(index)))
            .collect();
        Page {
            dependencies,
            next: rest.next().map(|(index, _)| DependencyIndex(index)),
        }
    }

    /// At most `max` hosts from that place on, with their windows as of `now`.
    pub fn hosts(&self, from: u32, max: usize, now: Now) -> HostPage {
        let cap = self.limits.concurrency_per_host;
        let mut rest = self.tables.hosts.from(from);
        let hosts = rest
            .by_ref()
            .take(max)
            .map(|(_, host)| self.complete(host.view(cap, now.moment)))
            .collect();
        HostPage {
            hosts,
            next: rest.next().map(|(index, _)| index),
        }
    }

    pub fn view(&self) -> EngineView {
        EngineView {
            since: self.since,
            dependencies: self.tables.slots.len(),
            hosts: self.tables.hosts.len(),
            in_flight: self.places.in_flight,
            cap: self.headroom.cap(self.limits.concurrency),
            waiting: self.waiting_count,
            skipped: self.skipped,
            lag: self.lag,
            first_round_begun: self.first_round_begun,
            vantage: self.vantage.view(),
            headroom: self.headroom.view(self.limits.concurrency),
            place: Arc::clone(&self.place),
            incidents: self.open_incidents(),
            scale_out: self.desk.scale_out_view(self.tables.slots.len()),
        }
    }

    pub fn detail(&self, name: &str, now: Now) -> Option<Detail> {
        let index = self.tables.index_of(name)?;
        let slot = self.tables.slot(index)?;
        let host = self.tables.hosts.get(slot.host)?;
        let host = self.complete(host.view(self.limits.concurrency_per_host, now.moment));
        let mut detail = slot.detail(index, host);
        detail.findings.extend(self.idle.finding(&slot.dependency.host));
        Some(detail)
    }

    /// The host's page with what was measured of it.
    fn complete(&self, mut view: HostView) -> HostView {
        self.idle.complete(&mut view, |seq| self.persist.is_durable(seq));
        view
    }
}
