//! What real clients say when a dependency fails, and what `whyd explain --error` makes of it.

#[path = "client_errors/corpus.rs"]
mod corpus;
#[path = "client_errors/lab.rs"]
mod lab;
