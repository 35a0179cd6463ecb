//! Drafts that are approved or held one by one.
//!
//! A held draft does not become final, neither with its run nor alone. An approved draft may become final alone, also
//! while the grace period of its run lasts: somebody has looked at it. A refresh makes other drafts: approvals end with
//! it, while what is held stays held.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::Serialize;

use super::{InvoiceRefusal, Invoices, RunRecord, known};
use crate::domain::Outcome;
use crate::domain::event::{Event, Stream};
use crate::domain::id::{PartyId, RunId, check_text};
use crate::domain::party::Parties;
use crate::domain::time::Timestamp;

/// The longest reason, in bytes.
const MAX_REASON_BYTES: usize = 1000;

/// What was decided of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DraftDecision {
    /// It may become final, also alone.
    Approved,
    /// It may not become final until it is approved.
    Held,
}

/// Approve or hold the draft of a payer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewDraft {
    /// Of which run.
    pub run: RunId,
    /// Whose draft.
    pub payer: PartyId,
    /// What is decided.
    pub decision: DraftDecision,
    /// Why.
    pub reason: Box<str>,
}

/// Somebody approved or held a draft. The envelope of the event says who.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InvoiceDraftReviewed {
    /// Of which run.
    pub run: RunId,
    /// Whose draft.
    pub payer: PartyId,
    /// What was decided.
    pub decision: DraftDecision,
    /// Why.
    pub reason: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// The last decision on a draft.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Review {
    decision: DraftDecision,
    reason: Box<str>,
}

impl Invoices {
    pub(crate) fn review(
        &self,
        parties: &Parties,
        command: &ReviewDraft,
        now: Timestamp,
    ) -> Result<Outcome<()>, InvoiceRefusal> {
        let &ReviewDraft { run, payer, decision, ref reason } = command;
        check_text(reason, MAX_REASON_BYTES).map_err(InvoiceRefusal::BadReason)?;
        let record = self.run(run)?;
        known(parties, payer)?;
        record.check_open(run)?;
        let mut issued = record.issued.iter();
        if let Some((_, invoice)) = issued.find(|((party, _), _)| *party == payer) {
            return Err(InvoiceRefusal::AlreadyInvoiced { run, invoice: invoice.clone() });
        }
        let review = Review { decision, reason: reason.clone() };
        if record.reviews.get(&payer) == Some(&review) {
            return Ok(Outcome::unchanged(()));
        }
        let event = InvoiceDraftReviewed { run, payer, decision, reason: review.reason, at: now };
        Ok(Outcome::of((), [(Stream::InvoiceRun(run), Event::InvoiceDraftReviewed(event))]))
    }

    pub(crate) fn reviewed(&mut self, event: &InvoiceDraftReviewed) {
        if let Some(run) = self.runs.get_mut(&event.run) {
            let review = Review { decision: event.decision, reason: event.reason.clone() };
            run.reviews.insert(event.payer, review);
        }
    }
}

impl RunRecord {
    /// Whether what was decided of a draft, and the grace period, let it become final.
    pub(super) fn check_reviewed(
        &self,
        run: RunId,
        payer: PartyId,
        (alone, now): (bool, Timestamp),
    ) -> Result<(), InvoiceRefusal> {
        let review = self.reviews.get(&payer);
        if let Some(Review { decision: DraftDecision::Held, reason }) = review {
            return Err(InvoiceRefusal::DraftHeld { run, payer, reason: reason.clone() });
        }
        if alone {
            return if review.is_some() {
                Ok(())
            } else {
                Err(InvoiceRefusal::DraftNotApproved { run, payer })
            };
        }
        match self.grace_until.filter(|until| now < *until) {
            Some(until) => Err(InvoiceRefusal::InGrace { run, until }),
            None => Ok(()),
        }
    }

    /// Its drafts are other ones now: nobody has approved those.
    pub(super) fn drafts_changed(&mut self) {
        self.reviews.retain(|_, review| review.decision == DraftDecision::Held);
    }
}
