//! The bounds of connections, as they are configured.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How many connections there may be, and how long each may keep the server waiting.
///
/// Times are whole seconds. The default is safe on the open internet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Connections {
    /// The most connections at a time. Past it, the one that has waited longest for a request is closed for a new
    /// one; when all have a request under way, the new one is answered 503 (under TLS: closed). Never more than the
    /// limit of open files leaves room for.
    pub most: usize,
    /// The most connections from one address (IPv6: from one /64). Past it a new one is answered 503 and closed. Those of
    /// a terminator that is configured are not counted.
    pub most_per_address: usize,
    /// Whose connections are many clients'.
    #[serde(skip)]
    pub terminators: Vec<IpAddr>,
    /// Seconds for a TLS handshake.
    pub handshake_timeout_seconds: u64,
    /// Seconds in which the head of a request must arrive: from the beginning of the connection for the first one, from
    /// its first byte for those after it. Past them the answer is 408.
    pub head_timeout_seconds: u64,
    /// Seconds for which a connection may stay open between requests.
    pub idle_timeout_seconds: u64,
    /// Seconds of waiting for a body in which `body_least_bytes` must arrive. Past them the body is an error.
    pub body_timeout_seconds: u64,
    /// Bytes of a body that must arrive in `body_timeout_seconds` of waiting, for as long as it lasts.
    pub body_least_bytes: u64,
    /// Seconds of waiting for a client to read, in which it must take `write_least_bytes`. Past them the connection is
    /// closed.
    pub write_timeout_seconds: u64,
    /// Bytes of an answer that must be taken in `write_timeout_seconds` of waiting.
    pub write_least_bytes: u64,
    /// The most bytes of the head of a request: request line and header fields. A head is measured as it arrives, so
    /// that one that arrives all at once may be somewhat longer. Past it the answer is 431.
    pub most_head_bytes: usize,
    /// The most header fields. Past it the answer is 431.
    pub most_head_fields: usize,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            most: 4096,
            most_per_address: 128,
            terminators: Vec::new(),
            handshake_timeout_seconds: 10,
            head_timeout_seconds: 10,
            idle_timeout_seconds: 75,
            body_timeout_seconds: 20,
            body_least_bytes: 4096,
            write_timeout_seconds: 30,
            write_least_bytes: 4096,
            most_head_bytes: 64 * 1024,
            most_head_fields: 100,
        }
    }
}

/// A year: longer is not meant.
const MOST_SECONDS: u64 = 365 * 24 * 3600;

impl Connections {
    /// Says which value cannot be meant.
    pub fn check(&self) -> anyhow::Result<()> {
        let seconds = 1..=MOST_SECONDS;
        let bytes = 1..=1024 * 1024;
        let rules = [
            ("most", self.most as u64, 1..=1_000_000),
            ("most_per_address", self.most_per_address as u64, 1..=u64::MAX),
            ("handshake_timeout_seconds", self.handshake_timeout_seconds, seconds.clone()),
            ("head_timeout_seconds", self.head_timeout_seconds, seconds.clone()),
            ("idle_timeout_seconds", self.idle_timeout_seconds, seconds.clone()),
            ("body_timeout_seconds", self.body_timeout_seconds, seconds.clone()),
            ("body_least_bytes", self.body_least_bytes, bytes.clone()),
            ("write_timeout_seconds", self.write_timeout_seconds, seconds),
            ("write_least_bytes", self.write_least_bytes, bytes),
            ("most_head_bytes", self.most_head_bytes as u64, 8192..=256 * 1024),
            ("most_head_fields", self.most_head_fields as u64, 32..=1000),
        ];
        for (name, value, range) in rules {
            let (least, most) = (range.start(), range.end());
            anyhow::ensure!(
                range.contains(&value),
                "connections.{name} must be {least} to {most}, not {value}"
            );
        }
        let Self { most, most_per_address, .. } = self;
        anyhow::ensure!(
            most_per_address <= most,
            "connections.most_per_address must be 1 to {most}, as connections.most is, not {most_per_address}"
        );
        Ok(())
    }

    pub(super) fn handshake_timeout(&self) -> Duration {
        Duration::from_secs(self.handshake_timeout_seconds)
    }

    pub(super) fn head_timeout(&self) -> Duration {
        Duration::from_secs(self.head_timeout_seconds)
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_seconds)
    }
}
