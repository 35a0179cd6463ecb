//! The program: the command line, what `serve` runs, offline commands, and the demo.
//!
//! It puts the crates beside it together (`engine`, `usecases`, `protocols`, `net`, `ca`, `client`) and is known by none
//! of them.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod cli;
pub mod config;
pub mod demo;
mod multimaster;
pub mod server_certificate;
mod witness_link;
