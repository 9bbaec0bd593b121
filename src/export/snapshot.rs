//! The read model, gathered a page at a time: what one export or one scrape is made of.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::alert::{AlertView, Rule, Severity, Subject};
use crate::model::dependency::DependencyIndex;
use crate::model::discovery::DiscoveryView;
use crate::model::notification::ReceiverView;
use crate::model::page::{DependencyView, EngineView, HostView, WindowFigures};
use crate::model::time::Wall;
use crate::net::reader::{Reader, Stopped};

use super::catalog::Owner;
use super::process::{ProcessFigures, ProcessView};
use crate::net::wall::now as wall_now;

/// Dependencies or hosts asked for at a time, so that the engine's loop is never held for long.
pub const PAGE: usize = 256;

/// Everything that metrics are made of, at about one moment: consistent per dependency, not across them.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub taken: Wall,
    /// In the order of their indexes.
    pub dependencies: Vec<DependencyView>,
    /// One per (name, port): see [`merge_hosts`].
    pub hosts: Vec<HostView>,
    pub engine: EngineView,
    pub process: ProcessView,
    pub receivers: Vec<ReceiverView>,
    pub discovery: Arc<DiscoveryView>,
    /// The alerts that are raised, by whom they are about, in that order.
    pub raised: Vec<Raised>,
}

/// The alerts that are raised about one owner of series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    pub owner: Owner,
    /// Each rule once.
    pub alerts: Vec<(Rule, Severity)>,
}

/// Reads all pages.
pub async fn snapshot(reader: &Reader, process: &ProcessFigures) -> Result<Snapshot, Stopped> {
    let engine = reader.engine().await?;
    let mut dependencies = Vec::with_capacity(engine.dependencies);
    let mut from = Some(DependencyIndex(0));
    while let Some(index) = from {
        let page = reader.page(index, PAGE).await?;
        dependencies.extend(page.dependencies);
        from = page.next;
    }
    let mut hosts = Vec::with_capacity(engine.hosts);
    let mut from = Some(0);
    while let Some(position) = from {
        let page = reader.hosts(position, PAGE).await?;
        hosts.extend(page.hosts);
        from = page.next;
    }
    let mut alerts = Vec::new();
    let mut from = Some(0);
    while let Some(place) = from {
        let page = reader.alerts(place, PAGE).await?;
        alerts.extend(page.alerts.into_iter().filter(|alert| alert.state.is_raised()));
        from = page.next;
    }
    let mut snapshot = Snapshot {
        taken: wall_now(),
        dependencies,
        hosts: merge_hosts(hosts),
        engine,
        process: process.snapshot(),
        receivers: reader.receivers().await?,
        discovery: process.discovery(),
        raised: Vec::new(),
    };
    snapshot.set_raised(&alerts);
    Ok(snapshot)
}

impl Snapshot {
    /// Finds the owners of raised alerts. One whose dependency has left between two pages has none.
    pub fn set_raised(&mut self, alerts: &[AlertView]) {
        self.raised.clear();
        // Nothing is looked for where there is nothing to be found, which is the rule.
        if alerts.is_empty() {
            return;
        }
        let names = (0..).zip(&self.dependencies);
        let names: HashMap<&str, usize> = names.map(|(at, view)| (&*view.dependency.name, at)).collect();
        let hosts = (0..).zip(&self.hosts);
        let hosts: HashMap<(&str, u16), usize> = hosts
            .map(|(at, view)| ((&*view.key.name, view.key.port), at))
            .collect();
        let mut raised: BTreeMap<Owner, BTreeMap<Rule, Severity>> = BTreeMap::new();
        for alert in alerts.iter().filter(|alert| alert.state.is_raised()) {
            let owner = match &alert.key.subject {
                Subject::Dependency(name) => names.get(&**name).map(|at| Owner::Dependency(*at)),
                Subject::Host(key) => hosts.get(&(&*key.name, key.port)).map(|at| Owner::Host(*at)),
                Subject::Monitor => Some(Owner::Process),
            };
            if let Some(owner) = owner {
                let severity = raised
                    .entry(owner)
                    .or_default()
                    .entry(alert.key.rule)
                    .or_insert(alert.severity);
                // Two ways to one host are one owner: see `merge_hosts`.
                *severity = alert.severity.max(*severity);
            }
        }
        let raised = raised.into_iter();
        self.raised = raised
            .map(|(owner, alerts)| Raised {
                owner,
                alerts: alerts.into_iter().collect(),
            })
            .collect();
    }

    /// The alerts that are raised about an owner.
    pub fn raised_of(&self, owner: Owner) -> &[(Rule, Severity)] {
        let found = self.raised.binary_search_by_key(&owner, |raised| raised.owner);
        found.map(|place| &*self.raised[place].alerts).unwrap_or_default()
    }
}

/// Makes one host of those that differ by their proxy alone.
///
/// A host's series carry its name and port and nothing else, so the same server reached directly and by a proxy would
/// give two series of one identity, which receivers refuse. Counts are summed, and ratios are made of the sums.
fn merge_hosts(hosts: Vec<HostView>) -> Vec<HostView> {
    let mut merged: Vec<HostView> = Vec::with_capacity(hosts.len());
    let mut places: HashMap<(Arc<str>, u16), usize> = HashMap::with_capacity(hosts.len());
    for host in hosts {
        let key = (host.key.name.clone(), host.key.port);
        match places.get(&key) {
            Some(&place) => add_host(&mut merged[place], &host),
            None => {
                places.insert(key, merged.len());
                merged.push(host);
            }
        }
    }
    merged
}

fn add_host(sum: &mut HostView, other: &HostView) {
    // The fuller of the two groups is the one that holds probes back.
    if other.saturation() > sum.saturation() {
        (sum.in_flight, sum.cap) = (other.in_flight, other.cap);
    }
    sum.since = sum.since.min(other.since);
    for (window, more) in sum.windows.iter_mut().zip(&other.windows) {
        add_window(window, more);
    }
    for (count, more) in sum.suppressed.iter_mut().zip(other.suppressed) {
        *count += more;
    }
    // The shorter limit is the one that a client's pool has to stay below.
    sum.idle_timeout = match (sum.idle_timeout, other.idle_timeout) {
        (Some(ours), Some(theirs)) if theirs.1 < ours.1 => Some(theirs),
        (ours, theirs) => ours.or(theirs),
    };
    // A measurement is of one way to the host, and series tell no ways apart.
    sum.idle = None;
}

fn add_window(sum: &mut WindowFigures, more: &WindowFigures) {
    sum.operations += more.operations;
    sum.succeeded += more.succeeded;
    sum.retried += more.retried;
    sum.retried_then_succeeded += more.retried_then_succeeded;
    sum.attempts += more.attempts;
    for (count, more) in sum.stale.iter_mut().zip(more.stale) {
        *count += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples;

    #[test]
    fn a_host_reached_in_two_ways_is_one_host() {
        let direct = samples::host("api.internal", 443);
        let mut by_proxy = direct.clone();
        by_proxy.key.proxy = Some("http://proxy:3128".into());
        by_proxy.in_flight = 30;
        let merged = merge_hosts(vec![
            direct.clone(),
            samples::host("api.internal", 8443),
            by_proxy,
        ]);
        assert_eq!(merged.len(), 2);
        assert_eq!(merged[0].windows[0].operations, 2 * direct.windows[0].operations);
        assert_eq!(merged[0].suppressed, direct.suppressed.map(|count| 2 * count));
        assert_eq!(merged[0].in_flight, 30);
    }

    #[tokio::test]
    async fn all_pages_are_read() {
        let reader = samples::serve(samples::World::of(600));
        let process = ProcessFigures::new(Wall::default());
        let snapshot = snapshot(&reader, &process).await.expect("the loop runs");
        assert_eq!(snapshot.dependencies.len(), 600);
        assert_eq!(snapshot.hosts.len(), 600);
        assert_eq!(snapshot.dependencies[599].index, DependencyIndex(599));
    }

    #[tokio::test]
    async fn alerts_that_are_raised_find_their_owners() {
        use crate::report::samples::alerts::alert;
        let mut world = samples::World::of(600);
        let mut by_proxy = alert(Rule::RetryMasked, "d7");
        if let Subject::Host(key) = &mut by_proxy.key.subject {
            key.proxy = Some("http://proxy:3128".into());
        }
        by_proxy.severity = Severity::Warning;
        let mut pending = alert(Rule::Flapping, "d8");
        pending.state = crate::model::alert::AlertState::Pending {
            since: samples::SINCE,
        };
        // More than one page of them.
        world.alerts = (0..600)
            .map(|at| alert(Rule::DependencyDownFast, &format!("d{at}")))
            .collect();
        world.alerts.extend([
            alert(Rule::Flapping, "d7"),
            by_proxy,
            alert(Rule::RetryMasked, "d7"),
            pending,
            alert(Rule::MonitorLate, ""),
            alert(Rule::DependencyDownFast, "gone"),
        ]);
        let reader = samples::serve(world);
        let snapshot = snapshot(&reader, &ProcessFigures::new(Wall::default()))
            .await
            .expect("the loop runs");
        assert_eq!(snapshot.raised.len(), 602);
        let critical = Severity::Critical;
        assert_eq!(
            snapshot.raised_of(Owner::Dependency(8)),
            [(Rule::DependencyDownFast, critical)]
        );
        assert_eq!(
            snapshot.raised_of(Owner::Dependency(7)),
            [(Rule::DependencyDownFast, critical), (Rule::Flapping, critical)]
        );
        assert_eq!(
            snapshot.raised_of(Owner::Host(7)),
            [(Rule::RetryMasked, critical)],
            "once, and the graver one"
        );
        assert_eq!(
            snapshot.raised_of(Owner::Process),
            [(Rule::MonitorLate, critical)]
        );
        assert_eq!(snapshot.raised_of(Owner::Host(8)), []);
    }

    #[tokio::test]
    async fn a_stopped_loop_is_an_error() {
        let (reader, requests) = Reader::new(1);
        drop(requests);
        let process = ProcessFigures::new(Wall::default());
        assert_eq!(snapshot(&reader, &process).await.err(), Some(Stopped));
    }
}
