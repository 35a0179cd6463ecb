//! The language of the ledger and its log.
//!
//! `domain` decides and evolves, `log` keeps bytes, `ledger` is the one writer between them.
//! Nothing here knows HTTP, XML or JSON documents; `domain` knows no store, no clock and no randomness.

pub mod backup;
pub mod domain;
pub mod export;
pub mod fingerprints;
pub mod keyring;
pub mod ledger;
pub mod log;
pub mod schema;
pub mod secret_files;
