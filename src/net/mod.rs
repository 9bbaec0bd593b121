//! Shared by the edges: the crypto provider, trust stores, our own HTTP client, secrets, the sanitising of foreign text,
//! the ways to
//! files, and the handle by which readers get pages of the read model. It decides nothing.

pub mod client_tls;
pub mod crypto;
pub mod fetch;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
pub mod reader;
pub mod retry_after;
pub mod sanitize;
pub mod secret;
pub mod stamp;
pub mod trust;
pub mod wall;
pub mod ways;
