//! Real misbehaving servers on loopback, asked through the real program: for each, the right cause, where it happened,
//! how fast it came, whose fault it is, whether asking again can help, and the evidence that says so.
//!
//! A scenario starts its servers, asks by the daemon's own loop over a plan that was made of YAML or of the command
//! line's targets (or by the binary itself), and reads the same JSON that `whyd check --output json` prints.

mod ask;
mod binary;
mod identity;

mod address;
mod dialogue;
mod dns;
mod grpc;
mod h2;
mod healthy;
mod http;
mod icmp;
mod keepalive;
mod oauth;
mod ours;
mod proxy;
mod tcp;
mod tls;
mod tls_certs;
mod websocket;
