//! A price of one customer, as the events about it say.

use bincode::{Decode, Encode};
use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::pricing::{OverrideId, PriceOverride};
use slapledger_core::domain::time::Timestamp;

/// A price of one customer, with each end that an event set.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KnownOverride {
    pub(crate) set: PriceOverride,
    /// When it was set.
    pub at: Timestamp,
    /// The event that set it.
    pub sequence: Sequence,
    /// Until when it counts, as events said it, by rising sequences.
    pub(crate) ends: Vec<(Timestamp, Sequence)>,
}

impl KnownOverride {
    /// As it was known when an event had just been recorded; none, if it was not set by then.
    pub fn as_of(&self, sequence: Sequence) -> Option<PriceOverride> {
        let ended = self.ends.iter().rfind(|(_, by)| *by <= sequence).map(|(until, _)| *until);
        let known = (self.sequence <= sequence).then(|| self.set.clone())?;
        Some(PriceOverride { valid_until: ended.or(known.valid_until), ..known })
    }

    /// Which.
    pub fn id(&self) -> OverrideId {
        self.set.id
    }

    /// The code that its customer must have redeemed, if there is one; an end does not change it.
    pub fn code(&self) -> Option<&str> {
        self.set.rate.code()
    }

    /// As it is.
    pub fn now(&self) -> PriceOverride {
        let ended = self.ends.last().map(|(until, _)| *until);
        PriceOverride { valid_until: ended.or(self.set.valid_until), ..self.set.clone() }
    }

    /// The event that ended it, if one did.
    pub fn ended_by(&self) -> Option<Sequence> {
        self.ends.last().map(|(_, by)| *by)
    }
}
