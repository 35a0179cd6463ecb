//! The edge of Slapledger: SLAP, REST, usage ingest, the command line, and what runs them.
//!
//! Only here are HTTP, XML and JSON known, the clock read and ids made. Wire types are converted by hand to the
//! commands of the core.

pub mod ca;
pub mod cli;
pub mod client;
pub mod config;
pub mod demo;
pub mod dto;
pub mod engine;
pub mod kit;
pub mod net;
pub mod protocols;
pub mod server_certificate;
pub mod slap_wire;
pub mod usecases;
