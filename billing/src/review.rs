//! What was decided of drafts, by whom and why.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use serde::Serialize;
use slapledger_core::domain::id::{PartyId, RunId, Sequence};
use slapledger_core::domain::invoice::DraftDecision;
use slapledger_core::domain::time::Timestamp;

/// The last decision on a draft.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct DraftReview {
    /// What was decided.
    pub decision: DraftDecision,
    /// Why.
    pub reason: Box<str>,
    /// Who decided it.
    pub by: Box<str>,
    /// When.
    pub at: Timestamp,
    /// The event that says so.
    pub sequence: Sequence,
}

/// The last decision on each draft, and on each document that was one.
pub(crate) type DraftReviews = BTreeMap<(RunId, PartyId), DraftReview>;
