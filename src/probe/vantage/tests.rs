//! Observations over real sockets on loopback.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, UdpSocket};

use crate::model::attempt::Outcome;
use crate::model::dependency::{Dependency, Endpoint, Probe, ResolveSettings, TcpProbe};
use crate::model::vantage::{ObservationId, VantageOrder};
use crate::probe::Prober;

fn anchor(port: u16) -> Arc<Dependency> {
    let mut dependency = crate::probe::tests::dependency(Probe::Tcp(TcpProbe {
        endpoint: Endpoint {
            host: "127.0.0.1".into(),
            port,
        },
        resolve: ResolveSettings::default(),
        proxy: None,
    }));
    dependency.name = format!("anchor {port}").into();
    Arc::new(dependency)
}

#[tokio::test]
async fn every_anchor_is_asked_at_once_and_none_of_this_host_settles_it() {
    let open = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let closed = UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("a port that TCP does not have");
    let order = VantageOrder {
        id: ObservationId(1),
        anchors: Arc::from([
            anchor(closed.local_addr().expect("an address").port()),
            anchor(open.local_addr().expect("an address").port()),
        ]),
        budget: Duration::from_secs(2),
    };
    let began = Instant::now();
    let facts = Prober::new().observe(&order).await;
    assert!(began.elapsed() < Duration::from_secs(2));
    let [Some(refused), Some(answered)] = &facts.anchors[..] else {
        panic!("both were asked: {facts:?}");
    };
    assert!(matches!(refused.outcome, Outcome::Stopped(_)));
    assert!(matches!(answered.outcome, Outcome::Answered));
}
