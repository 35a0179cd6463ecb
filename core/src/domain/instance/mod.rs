//! Software instances: `request()` as an upsert, allocation to a partition, and what nodes report of them.
//!
//! An instance is known by its requester and reference; a request from inside an instance tree belongs to the
//! tree's root. Its id is never used again; the same name requested after its partition was freed is another
//! instance. Allocation is for life: an instance does not move. If its partition is gone, it ends (see `loss`).
//!
//! A shared instance (a slave) has no partition of its own: it lives on one that runs the same software, its host,
//! and ends with it. Where the master and slapos proxy differ, the mode of the ledger decides.

mod commands;
mod decide;
mod events;
pub mod filter;
mod loss;
mod parts;
mod report;
mod room;
mod state;
#[cfg(test)]
mod tests;

pub use commands::{
    BangInstance, InstancePlace, InstanceRefusal, ReleasePartition, RenameInstance, ReportInstance,
    RequestInstance, RequestOutcome, RequestedAgain, SetConnectionParameters, WithoutRoom,
};
pub use events::{
    ConnectionParametersSet, InstanceAllocated, InstanceBanged, InstanceChanged, InstanceEnded,
    InstanceRenamed, InstanceRequested, InstanceStateReported, InstanceType, ReportedState, RequestedState,
    Requester,
};
pub use parts::SealedPartRecorded;
pub use state::{Allocation, Instance, Instances};

pub(crate) use room::InstanceSurroundings;
