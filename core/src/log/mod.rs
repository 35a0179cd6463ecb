//! The log: bytes on disk, their order, and the tree that makes them verifiable.

pub mod checkpoint;
#[cfg(test)]
mod contract;
pub mod cosigning;
pub mod envelope;
pub mod frame;
#[cfg(test)]
pub(crate) mod golden;
pub mod memory;
pub mod merkle;
pub mod note;
mod payload;
pub mod sled_store;
pub mod store;
pub mod tiles;
mod upcast;
pub mod witness;

pub use payload::PayloadError;
