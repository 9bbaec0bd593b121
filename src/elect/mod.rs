//! Which replicas live: each holds a Lease of its own and looks at the others'.
