//! The protocols: SLAP as forms, SLAP as JSON-RPC, hateoas and REST, and what stands before them.
//!
//! Each protocol reads its own form, asks a use case and writes its own form. They never import each other: what two of
//! them do is a use case. `access` and `limits` stand before all of them; `router` puts them together.

pub mod access;
mod browser;
mod hateoas;
mod limits;
#[cfg(test)]
mod matrix;
pub mod multimaster;
pub mod operations;
mod pages;
mod request_id;
pub mod rest;
pub mod router;
mod rpc;
mod slap;
mod streams;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
