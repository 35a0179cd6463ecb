//! The edge of Slapledger: SLAP, REST, usage ingest, the command line, and what runs them.
//!
//! Only here are HTTP, XML and JSON known, the clock read and ids made. Wire types are converted by hand to the
//! commands of the core.

pub mod access;
pub mod app;
pub mod ca;
pub mod certification;
pub mod cli;
pub mod clock;
pub mod config;
mod console;
pub mod contacts;
pub mod demo;
pub mod erasure;
pub mod folder;
mod hateoas;
pub mod health;
pub mod http;
pub mod invoicing;
pub mod net;
pub mod operations;
mod rpc;
pub mod server_certificate;
pub mod shipping;
pub mod slap;
