//! Computers and the partitions they offer.
//!
//! A computer offers partitions; the master allocates them. Who sits where is decided in `instance`; here is
//! only what is on offer, what is taken, and whom and what it is for.
//!
//! In a ledger that is a master, a computer gets new instances only if its allocation scope lets them in, it has
//! not reached its capacity, it is not silent, and not so many of its instances are in error that the computer
//! must be to blame. slapos proxy knows none of these.

mod commands;
mod decide;
mod events;
mod room;
mod state;
#[cfg(test)]
mod tests;

pub use commands::{
    BangComputer, ComputerRefusal, ConfigureComputer, DescribeComputer, NoticeSilence, RegisterComputer,
    RequestComputer, RetireComputer, SetAllocationScope, UnknownComputer,
};
pub use events::{
    AllocationScope, AllocationScopeSet, ComputerBanged, ComputerConfigured, ComputerDescribed,
    ComputerFellSilent, ComputerHeard, ComputerRegistered, ComputerRetired, NetworkAddress, Offer,
    PartitionOffered, PartitionWithdrawn,
};
pub use state::{Computer, Computers, in_trouble};
