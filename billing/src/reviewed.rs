//! Which decision holds for which draft.

use std::collections::BTreeMap;

use slapledger_core::domain::id::{PartyId, RunId};
use slapledger_core::domain::invoice::{DraftDecision, InvoiceDraftReviewed};
use slapledger_core::log::envelope::Recorded;

use crate::review::DraftReview;
use crate::view::{Billing, Document};

impl Billing {
    /// What was decided of a document while it was a draft, if anything was.
    pub fn review(&self, document: &Document) -> Option<&DraftReview> {
        let of_run = self.is_of_run(document);
        of_run.then(|| self.reviews.get(&(document.invoice.run, document.invoice.buyer.party))).flatten()
    }

    /// The payers of a run whose drafts are held, and why.
    pub fn held(&self, run: RunId) -> BTreeMap<PartyId, Box<str>> {
        let of_run = self.reviews.range((run, PartyId(u64::MIN))..=(run, PartyId(u64::MAX)));
        let held = of_run.filter(|(_, review)| review.decision == DraftDecision::Held);
        let drafts = held.filter(|((_, payer), _)| self.is_draft(run, *payer));
        drafts.map(|((_, payer), review)| (*payer, review.reason.clone())).collect()
    }

    /// How many drafts of a run are approved, held, and undecided.
    pub fn decided(&self, run: RunId) -> [usize; 3] {
        let mut counts = [0; 3];
        for document in self.documents_of(run).filter(|document| document.issued.is_none()) {
            counts[match self.review(document).map(|review| review.decision) {
                Some(DraftDecision::Approved) => 0,
                Some(DraftDecision::Held) => 1,
                None => 2,
            }] += 1;
        }
        counts
    }

    pub(crate) fn reviewed(&mut self, event: &InvoiceDraftReviewed, recorded: &Recorded) {
        let review = DraftReview {
            decision: event.decision,
            reason: event.reason.clone(),
            by: recorded.meta.actor.id.clone(),
            at: event.at,
            sequence: recorded.sequence,
        };
        self.reviews.insert((event.run, event.payer), review);
    }

    /// The drafts of a run are other ones now: nobody has approved those.
    pub(crate) fn drafts_changed(&mut self, run: RunId) {
        let lapsed = self.reviews.range((run, PartyId(u64::MIN))..=(run, PartyId(u64::MAX)));
        let lapsed = lapsed.filter(|(_, review)| review.decision == DraftDecision::Approved);
        let lapsed: Vec<_> = lapsed.map(|(place, _)| *place).collect();
        for place in lapsed {
            self.reviews.remove(&place);
        }
    }
}
