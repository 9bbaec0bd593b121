//! Real networks made of namespaces: a client, a router and a server, with real faults between them, asked by the real
//! program. For each, the right cause with its evidence, and look-alikes that must stay well.
//!
//! These need root and `ip` and `nft`, so that plain `cargo test` leaves them out; `.ci/run` installs the tools and runs
//! them: `WHYD_REQUIRE_TOOLS=1 cargo test --test netlab -- --ignored`. Without root or a tool they say so loudly and pass,
//! unless that variable is set.

#[allow(dead_code, reason = "every scenario uses its own part of the lab")]
mod net;
#[allow(dead_code, reason = "every scenario uses its own part of the lab")]
mod run;

mod addresses;
mod connecting;
mod harness;
mod icmp;
mod keepalive;
mod names;
mod path_mtu;
mod silence;
mod vantage;
