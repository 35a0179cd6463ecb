//! The SLAP edge: what `SlapOS` nodes and clients say to the master, and what they are answered.
//!
//! `wire` holds the document formats and nothing else.

pub mod wire;
