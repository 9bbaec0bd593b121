//! Misbehaving servers on loopback, for `whyd demo` and for the tests.

pub mod certs;
