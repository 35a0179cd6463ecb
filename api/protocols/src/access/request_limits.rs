//! How many requests are served, and how large they may be.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use slapledger_engine::MOST_PARAMETER_BYTES;

/// The limits of requests, as they are configured.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestLimits {
    /// Requests a second of one credential; twice as many at once.
    pub most_per_second: NonZeroU32,
    /// Requests a second of one address without a credential (IPv6: of one /64).
    pub most_per_second_unknown: NonZeroU32,
    /// Requests under way at a time; others wait.
    pub most_at_a_time: usize,
    /// Those of one holder, by whichever credentials, or of one address without one.
    pub most_at_a_time_of_one: usize,
    /// The most bytes of a body.
    pub most_body_bytes: usize,
    /// The most bytes of the parameters of one instance, and of its connection parameters, as they are stored.
    pub most_parameter_bytes: usize,
    /// Streams of events that are open at a time; more are refused.
    pub most_streams: usize,
    /// Those of one holder, by whichever credentials.
    pub most_streams_of_one: usize,
    /// Bytes a second of all streams together: beyond that, they fall behind the log and catch up later.
    pub most_stream_bytes_per_second: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            most_per_second: NonZeroU32::new(2000).expect("not zero"),
            most_per_second_unknown: NonZeroU32::new(50).expect("not zero"),
            most_at_a_time: 512,
            most_at_a_time_of_one: 128,
            most_body_bytes: 16 * 1024 * 1024,
            most_parameter_bytes: MOST_PARAMETER_BYTES,
            most_streams: 1024,
            most_streams_of_one: 64,
            most_stream_bytes_per_second: 16 * 1024 * 1024,
        }
    }
}
