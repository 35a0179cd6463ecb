//! What of the current month is on no document of a customer, for the threshold at which it is invoiced.

use std::collections::BTreeSet;

use slapledger_core::domain::id::{PartyId, PriceBookName, Sequence};
use slapledger_core::domain::invoice::RunReason;
use slapledger_core::domain::money::{Amount, Exact};
use slapledger_core::domain::quantity::{ONE, Quantity};
use slapledger_core::domain::time::{Period, Timestamp};

use crate::rating::Prices;
use crate::view::{Billing, BillingView, DocumentPlace, DocumentState};

/// Charges of a month that have reached the threshold of their price book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReachedThreshold {
    /// From the end of the last document about the month, or else from its start, until now.
    pub period: Period,
    /// What is charged for it, without tax, and without fees in advance.
    pub amount: Amount,
}

impl BillingView {
    /// What is to be invoiced to a customer now, because the threshold of the version in force is reached.
    pub fn reached_threshold(
        &self,
        (seller, payer): (PartyId, PartyId),
        price_book: &PriceBookName,
        (as_of, now): (Sequence, Timestamp),
    ) -> Option<ReachedThreshold> {
        let versions = self.billing.books.versions(price_book.as_str());
        let book = Prices::new(price_book, versions).at(now)?.book;
        let threshold = Exact::product(Quantity::from_billionths(ONE)?, book.terms.threshold?);
        let month = self.month_so_far((seller, payer), price_book, (as_of, now))?;
        let (period, (amount, _)) = (month.period, month.base_and_tax(month.lines.iter())?);
        (Exact::from(amount) >= threshold).then_some(ReachedThreshold { period, amount })
    }
}

impl Billing {
    /// The price books whose version in force has a threshold, and who sells by them: the seller of the last run.
    pub fn with_threshold(&self, now: Timestamp, first_party: PartyId) -> Vec<(PriceBookName, PartyId)> {
        let books = self.books.in_force(now).filter(|book| book.terms.threshold.is_some());
        let sold = books.map(|book| {
            let mut runs = self.runs.values().rev();
            let last = runs.find(|run| run.opened.price_book == book.name && !run.withdrawn);
            (book.name.clone(), last.map_or(first_party, |run| run.opened.seller))
        });
        sold.collect()
    }

    /// The customers who have, or had, instances.
    pub fn customers(&self) -> BTreeSet<PartyId> {
        self.histories.owners().collect()
    }

    /// Whether a customer is to get a document already: an open run has a draft that can become final, or was opened at
    /// the threshold.
    pub fn awaits_document(&self, payer: PartyId) -> bool {
        let mut open = self.runs.values().filter(|run| run.state() == DocumentState::Draft);
        open.any(|run| {
            let draft = self.documents.get(&DocumentPlace::of(run.opened.run, payer));
            let could_be_final = draft.is_some_and(|draft| run.drawn_up_at >= draft.invoice.period.stop);
            let at_threshold = run.opened.reason == RunReason::Threshold && run.opened.names(payer);
            could_be_final || at_threshold
        })
    }
}
