//! The listener: connections, their bounds, TLS, and who is at the other end.
//!
//! Invariants: however many connect and however slowly they speak, memory is bounded and others are answered. Every
//! wait for the other side has an end (see [`Connections`]). When there is no room, the connection that has waited
//! longest for a request makes place; one whose request is under way is never cut off for another, and who finds no
//! place is told 503. An accept that fails (no file descriptors) neither ends the server nor makes it spin. A stop
//! answers every request that is there, and waits for no other for longer than a few seconds.
//!
//! It knows nothing of routes and of who may do what: it inserts a [`Peer`] into the extensions of each request. What
//! a request may take once its head is read (length of a body, time of a handler) is said in `slapledger_protocols`.

mod bounds;
mod connection;
mod listen;
mod overload;
mod progress;
mod registry;
mod stage;
#[cfg(test)]
mod tests;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;

pub use bounds::Connections;
pub use listen::serve;
pub use tls::{ServerIdentity, ShownCertificate, tls};

/// Who sent a request; in its extensions.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The other end of the connection; a proxy, if there is one in between.
    pub address: SocketAddr,
    /// The certificate it has proved to own, issued by an authority that is trusted. That it was not revoked since, and
    /// has not expired since the connection began, is for anyone who answers the request to see.
    pub certificate: Option<Arc<PeerCertificate>>,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// The certificate of a client.
#[derive(Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// SHA-256 of `der`.
    pub fingerprint: [u8; 32],
    /// The certificate as it was sent.
    pub der: Vec<u8>,
}
