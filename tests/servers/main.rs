//! whyd against servers that other people wrote: nginx, haproxy, squid, BIND, unbound, dnsmasq, OpenSSL, stunnel, Python.
//! What the tests of `tests/faults/` prove with servers of the lab is proved here with those that fail in the field.
//!
//! They are not run by `cargo test`, since the servers must be installed; `.ci/run` installs them and runs
//! `cargo test --test servers -- --ignored`. `docs/proofs.md` says which cause is proved where.

// The tests of the faults ask in the same way and read the same answers.
#[allow(dead_code, reason = "each of the test binaries uses a part of it")]
#[path = "../faults/ask.rs"]
mod ask;
#[allow(dead_code, reason = "each of the test binaries uses a part of it")]
#[path = "../faults/binary.rs"]
mod binary;
#[path = "../harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "each of the test binaries uses a part of it")]
#[path = "../faults/identity.rs"]
mod identity;

#[allow(dead_code, reason = "what no test needs yet is what the next one needs")]
mod pki;
#[allow(dead_code, reason = "what no test needs yet is what the next one needs")]
mod recipes;
#[allow(dead_code, reason = "what no test needs yet is what the next one needs")]
mod serve;

mod answers;
mod broken;
mod browsers;
mod certificates;
mod certs;
mod expectations;
mod h2;
mod healthy;
mod keepalive;
mod kept;
mod mtls;
mod names;
mod proxies;
mod revocation;
mod schemes;
mod services;
mod stalls;
mod start;
mod transport;
mod views;
