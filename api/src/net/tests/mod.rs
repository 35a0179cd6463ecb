//! The listener with routes of a few lines, spoken to over real sockets.

mod encrypted;
mod local;
mod plain;
mod running;
