//! Misbehaving servers on loopback, for `whyd demo` and for the tests.
//!
//! Every server binds a port of 127.0.0.1 that the system chooses, does what it was told to do and nothing else, and
//! ends with its handle: dropping it stops the accept loop and every connection. The lab knows nothing of whyd.

mod connection;
mod server;

pub mod certs;
pub mod dns;
pub mod grpc;
pub mod h2;
pub mod http;
pub mod proxy;
pub mod tcp;
pub mod tls;

pub use connection::Ending;
pub use server::Server;
