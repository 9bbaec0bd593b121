//! What sockets are made of, and how much of it is left.

/// A sample of this process and its network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Descriptors that this process has open.
    pub open_files: u64,
    /// How many it may have open; `u64::MAX` where there is no limit.
    pub open_files_limit: u64,
    pub ports: Option<Ports>,
}

/// Local ports of TCP, an upper bound: the same port may serve connections to different peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Sockets that hold a port, those in TIME_WAIT among them.
    pub in_use: u64,
    /// How many ports there are to choose from.
    pub range: u64,
}

/// Of what there is little left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scarce {
    OpenFiles,
    /// A connection found no port a moment ago.
    Ports,
}

impl Scarce {
    pub const fn id(self) -> &'static str {
        match self {
            Scarce::OpenFiles => "open_files",
            Scarce::Ports => "ports",
        }
    }
}

/// The read model: the last sample and what follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadroomView {
    pub resources: Option<Resources>,
    pub scarce: Option<Scarce>,
    /// Operations that may be under way at once, where descriptors allow fewer than the configured limit.
    pub cap: Option<u32>,
}
