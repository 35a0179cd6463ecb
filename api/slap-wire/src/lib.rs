//! The document formats of SLAP, as slapos.core 1.26.1 writes and reads them.
//!
//! Pure functions from text to values and back. Invariants: no reader panics, whatever the input; depth, size and number
//! of nodes are bounded before memory is spent; no document type, no external entity; what a writer accepts, the real
//! Python client reads back as the same value.
//!
//! Not here: HTTP, forms, authentication, and what the values mean to the ledger.

pub mod computer_config;
pub mod documents;
pub mod instance_xml;
pub mod marshal;
pub mod tioxml;
pub mod usage_report;
pub mod xml;

pub use xml::{MAX_BYTES, MAX_DEPTH, MAX_NODES, UncarriableText, XmlError, check_text};
