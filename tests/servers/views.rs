//! Nameservers that do not say the same: BIND with views and with zones of different ages, unbound and dnsmasq beside it.

use crate::binary::{Said, check};
use crate::need;
use crate::recipes::{dnsmasq, named, nginx, unbound};
use crate::serve::{Recipe, Server};

/// A zone `lab.example` of that serial number, with `www` there.
fn zone(serial: u32, www: &str) -> String {
    format!(
        "$TTL 60
@ IN SOA ns.lab.example. admin.lab.example. {serial} 3600 600 86400 60
@ IN NS ns
ns IN A 127.0.0.1
www IN A {www}
"
    )
}

/// BIND as an authority of that zone.
fn authority(zone: String) -> Recipe {
    named(
        "recursion no;",
        "zone \"lab.example\" { type master; file \"{dir}/zone\"; };",
    )
    .file("zone", zone)
}

/// `whyd check` of `http://www.lab.example` there by these nameservers, in this order.
async fn by(servers: [&Server; 2], target: &Server, options: &[&str]) -> Said {
    let [one, other] = servers.map(|server| server.address(0).to_string());
    let url = format!("http://www.lab.example:{}/", target.port(0));
    let mut arguments = vec!["--retries", "0", "--resolver", &one, "--resolver", &other, &url];
    arguments.extend_from_slice(options);
    check(&arguments).await
}

#[tokio::test]
#[ignore = "needs bind9 and nginx; run by .ci/run"]
async fn a_secondary_whose_transfers_stopped() {
    let target = need!(nginx("server { listen 127.0.0.1:{0}; return 200 ok; }"));
    let old = need!(authority(zone(20_261_101, "127.0.0.7")));
    let new = need!(authority(zone(20_261_124, "127.0.0.1")));
    by([&old, &new], &target, &[])
        .await
        .one(1)
        .failed("dns.answer_mismatch.stale connect fast config no")
        .confidence("confirmed")
        .evidence("inner_cause", "tcp.refused.rst")
        .evidence("differs", old.address(0).to_string())
        .says("sources", "20261101")
        .says("sources", "20261124");
    let said = by([&new, &old], &target, &["--deep"]).await;
    let evidence = said.one(0).finding("dns.answer_mismatch.stale").clone();
    assert_eq!(evidence["differs"], old.address(0).to_string());
    // A newer copy that says the same is only newer.
    let newer = need!(authority(zone(20_261_125, "127.0.0.1")));
    by([&new, &newer], &target, &["--deep"]).await.one(0).healthy();
}

#[tokio::test]
#[ignore = "needs bind9, dnsmasq and nginx; run by .ci/run"]
async fn an_inner_view_that_the_other_server_does_not_have() {
    let target = need!(nginx("server { listen 127.0.0.1:{0}; return 200 ok; }"));
    let inner = need!(authority(zone(1, "127.0.0.1")));
    // It knows the zone, and not the name in it.
    let outer = need!(dnsmasq(
        "local=/lab.example/\nhost-record=mail.lab.example,192.0.2.1"
    ));
    by([&outer, &inner], &target, &[])
        .await
        .one(1)
        .failed("dns.answer_mismatch.split_horizon resolve fast config no")
        .confidence("confirmed")
        .evidence("differs", outer.address(0).to_string());
    by([&inner, &outer], &target, &[]).await.one(0).healthy();
    let said = by([&inner, &outer], &target, &["--deep"]).await;
    said.one(0).finding("dns.answer_mismatch.split_horizon");
}

#[tokio::test]
#[ignore = "needs bind9, unbound, dnsmasq and nginx; run by .ci/run"]
async fn servers_that_differ_and_are_well() {
    let target = need!(nginx(
        "server { listen 127.0.0.1:{0}; listen 127.0.0.2:{0}; return 200 ok; }"
    ));
    let both = zone(1, "127.0.0.1") + "www IN A 127.0.0.2\n";
    let rotates = need!(authority(both));
    let authority = need!(authority(zone(7, "127.0.0.1")));
    let cache = need!(
        unbound(
            "",
            "stub-zone:\n  name: lab.example\n  stub-addr: 127.0.0.1@{authority}",
        )
        .set("authority", authority.port(0))
    );
    let part = need!(dnsmasq("host-record=www.lab.example,127.0.0.2"));
    let elsewhere = need!(dnsmasq("address=/other.example/127.0.0.1"));
    let pairs = [
        ("an authority and a cache of it", &authority, &cache),
        ("a list that rotates, and a part of it", &rotates, &part),
        ("each its own, and both work", &authority, &part),
        ("one that refuses", &authority, &elsewhere),
    ];
    for (what, one, other) in pairs {
        let said = by([one, other], &target, &["--deep"]).await;
        assert_eq!(said.status, Some(0), "{what}");
        said.one(0).healthy();
    }
}
