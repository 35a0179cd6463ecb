//! The log: bytes on disk, their order, and the tree that makes them verifiable.

#[cfg(test)]
mod contract;
pub mod envelope;
pub mod frame;
#[cfg(test)]
pub(crate) mod golden;
pub mod memory;
pub mod merkle;
mod payload;
pub mod sled_store;
pub mod store;
mod upcast;
pub mod witness;

pub use payload::PayloadError;
