//! Stub.
use std::net::SocketAddr;
use std::sync::Arc;
/// Peer.
#[derive(Debug, Clone)]
pub struct Peer {
    /// a
    pub address: SocketAddr,
    /// c
    pub certificate: Option<Arc<PeerCertificate>>,
    /// t
    pub tls: bool,
}
/// The certificate of a client.
#[derive(Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// f
    pub fingerprint: [u8; 32],
    /// d
    pub der: Vec<u8>,
}
