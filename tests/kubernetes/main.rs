//! What is announced in a Kubernetes cluster becomes what is watched: against a stand-in of the API server on loopback.

#![cfg(feature = "kubernetes")]

#[path = "../harness/kubernetes.rs"]
mod api;
#[path = "../harness/mod.rs"]
mod harness;

mod daemon;
mod documents;
mod stand_in;
mod watching;
