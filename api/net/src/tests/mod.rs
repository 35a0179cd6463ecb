//! The listener with routes of a few lines, spoken to over real sockets.

mod encrypted;
mod plain;
mod running;
