//! Projections: pure folds of events into what is read, and the runner that keeps them up to date.
//!
//! A projection is a function of the events and of nothing else. Deleted, it comes back from the log byte for
//! byte, whichever way the events arrived: live, from a snapshot and its tail, or read again from the first one.
//! Nothing here decides anything, knows a clock, or opens what is sealed.

pub mod access;
pub mod calendar;
pub mod catalogue;
pub mod copy_on_write;
pub mod instances;
pub mod inventory;
pub mod metering;
pub mod page;
pub mod projects;
pub mod replay;
pub mod rows;
pub mod runner;
pub mod slap;
mod snapshot;
pub mod stop;
pub mod view;

pub use access::AccessView;
pub use copy_on_write::CopyOnWrite;
pub use page::Page;
pub use projects::Projects;
pub use runner::Runner;
pub use slap::SlapViews;
pub use view::{Projection, View, ViewPart};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;
