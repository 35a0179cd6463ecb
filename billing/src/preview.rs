//! What would be invoiced now: the drafts that a run would have if it were opened at this moment. Nothing is recorded.

use slapledger_core::domain::id::{PartyId, PriceBookName, RunId, Sequence};
use slapledger_core::domain::invoice::{Invoice, RunPeriod};
use slapledger_core::domain::time::Timestamp;
use slapledger_projections::Page;

use crate::drafts::Question;
use crate::view::BillingView;
use crate::warning::Warning;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Preview<'a> {
    /// Who sells.
    pub seller: PartyId,
    /// Who pays; everybody, if nobody is named.
    pub payer: Option<PartyId>,
    /// What about.
    pub period: RunPeriod,
    /// By which prices.
    pub price_book: &'a PriceBookName,
    /// The last event of the view.
    pub as_of: Sequence,
    /// What time it is.
    pub at: Timestamp,
}

/// What a payer would be invoiced.
#[derive(Debug, PartialEq, Eq)]
pub struct Previewed {
    /// Who.
    pub payer: PartyId,
    /// The document, if there is anything to pay; its id and run are those of nothing.
    pub draft: Option<Invoice>,
    /// What it does not charge.
    pub warnings: Vec<Warning>,
}

impl BillingView {
    /// What payers after one would be invoiced, those for whom there is a draft or a warning.
    pub fn preview(
        &self,
        asked: Preview<'_>,
        after: Option<PartyId>,
        limit: usize,
    ) -> Page<Previewed, PartyId> {
        let versions = self.billing.books.versions(asked.price_book.as_str());
        let question = Question {
            // No run has this number.
            run: RunId(0),
            seller: asked.seller,
            period: asked.period,
            price_book: asked.price_book,
            versions,
            cut_off: asked.as_of,
            at: asked.at,
            payers: &[],
        };
        let payers = self.billing.payers_asked(&question).into_iter();
        let payers = payers.filter(|payer| asked.payer.is_none_or(|asked| asked == *payer));
        let payers = payers.filter(|payer| after.is_none_or(|after| *payer > after));
        let previewed = payers.map(|payer| {
            let (draft, warnings) = self.billing.draft_of(question, &self.metering, payer);
            Previewed { payer, draft, warnings }
        });
        let told = previewed.filter(|told| told.draft.is_some() || !told.warnings.is_empty());
        Page::take(told, limit, |told| told.payer)
    }
}
