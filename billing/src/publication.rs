//! What publishing a price book would do: which version it follows, and which invoiced periods it takes effect in.

use slapledger_core::domain::id::{InvoiceId, PartyId};
use slapledger_core::domain::invoice::Invoice;
use slapledger_core::domain::pricing::PriceBook;
use slapledger_core::domain::time::Period;

use crate::price_book::BookDifference;
use crate::view::Billing;

/// The most invoiced periods that are told.
const MOST_TOLD: usize = 100;

/// What publishing a price book would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The version it would be; the newest one, if that says the same.
    pub version: u32,
    /// The version that counts where it would begin to count.
    pub follows: Option<u32>,
    /// How it differs from that.
    pub difference: BookDifference,
    /// Documents whose periods it takes effect in; the first hundred.
    pub invoiced: Vec<TouchedInvoice>,
    /// How many more there are.
    pub invoiced_left_out: u64,
}

/// A document in whose period a version takes effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TouchedInvoice {
    /// Which.
    pub invoice: InvoiceId,
    /// Whose.
    pub payer: PartyId,
    /// When.
    pub period: Period,
}

impl Billing {
    /// What publishing a price book now would do.
    pub fn publication(&self, book: &PriceBook) -> Publication {
        let versions = self.books.versions(book.name.as_str());
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        if versions.last() == Some(book) {
            let version = number(versions.len());
            return Publication {
                version,
                follows: Some(version),
                difference: BookDifference::default(),
                invoiced: Vec::new(),
                invoiced_left_out: 0,
            };
        }
        let before = (1..).zip(versions).filter(|(_, known)| known.valid_from <= book.valid_from);
        let before = before.max_by_key(|(number, known)| (known.valid_from, *number));
        let difference = BookDifference::between(before.map(|(_, known)| known), book);
        let follows = before.map(|(number, _)| number);
        let effect = self.books.effect_of(book);
        let of_book = |invoice: &Invoice| {
            self.runs.get(&invoice.run).is_some_and(|run| run.opened.price_book == book.name)
        };
        let issued = self.issued.values().filter(|place| place.note == 0);
        let documents =
            issued.filter_map(|place| self.documents.get(place)).map(|document| &document.invoice);
        let mut touched = documents.filter(|invoice| {
            effect.is_some_and(|effect| invoice.period.intersection(effect).is_some())
                && of_book(invoice)
                && !self.is_void(invoice)
        });
        let told = touched.by_ref().take(MOST_TOLD).map(|invoice| TouchedInvoice {
            invoice: invoice.id.clone(),
            payer: invoice.buyer.party,
            period: invoice.period,
        });
        let invoiced = told.collect();
        let invoiced_left_out = touched.count() as u64;
        Publication { version: number(versions.len() + 1), follows, difference, invoiced, invoiced_left_out }
    }
}
