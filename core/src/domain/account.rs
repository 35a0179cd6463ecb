//! Accounting periods: what is closed stays as it is.

use bincode::{Decode, Encode};
use serde::Serialize;

use super::id::PartyId;
use super::time::Timestamp;

/// The books of a seller are closed up to an instant.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct AccountsClosed {
    /// Whose.
    pub seller: PartyId,
    /// The first instant that is still open.
    pub until: Timestamp,
    /// When it was done.
    pub at: Timestamp,
}
