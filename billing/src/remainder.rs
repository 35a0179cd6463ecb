//! What is still charged: the remainder of each line, of what corrected and adjusted it, and the balance of a document.
//!
//! [`Remainders`](slapledger_core::domain::invoice::Remainders) and
//! [`Balances`](slapledger_core::domain::invoice::Balances) define both; here they are read beside the documents.

use serde::Serialize;
use slapledger_core::domain::charge::ChargeRecorded;
use slapledger_core::domain::id::{InvoiceId, PartyId, RunId, Sequence};
use slapledger_core::domain::invoice::{Balance, Invoice, InvoiceLine, LineKind, LineRef, as_charged};
use slapledger_core::domain::money::{Amount, Currency};

use crate::drafts::{as_charged as line_as_charged, line_of};
use crate::view::{Billing, Document, DocumentPlace};

/// What became of an invoice that is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BalanceState {
    /// It is to be paid in full, or what prepaid credit left of it.
    Open,
    /// Credit notes lowered what is to be paid.
    PartlyCredited,
    /// Credit notes of later runs took all of it.
    Credited,
    /// Somebody voided it, or credited each of its lines.
    Void,
    /// Nothing is to be paid any more.
    Paid,
}

impl BalanceState {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::PartlyCredited => "partly_credited",
            Self::Credited => "credited",
            Self::Void => "void",
            Self::Paid => "paid",
        }
    }

    /// All of them.
    pub const ALL: [Self; 5] = [Self::Open, Self::PartlyCredited, Self::Credited, Self::Void, Self::Paid];
}

/// Something that is still charged of a void document, or of what was about it.
pub(crate) struct OfVoid {
    /// The void document.
    pub(crate) void: LineRef,
    /// As something charged.
    pub(crate) line: InvoiceLine,
    /// Where it stands.
    pub(crate) at: LineRef,
    pub(crate) remainder: Amount,
    /// The event that issued the document it stands in.
    pub(crate) issued: Sequence,
}

impl Billing {
    /// What remains of a line, as something charged.
    pub fn remainder_of(&self, invoice: &Invoice, line: &InvoiceLine) -> Amount {
        self.remainders.of(&invoice.id, line.n, as_charged(invoice.document, line.amount))
    }

    /// The same; nothing, if the line only takes of an earlier one: that one has the less.
    pub(crate) fn stands_of(&self, invoice: &Invoice, line: &InvoiceLine) -> Amount {
        match self.remainders.takes(&invoice.id, line.n) {
            Some(_) => Amount::zero(invoice.currency),
            None => self.remainder_of(invoice, line),
        }
    }

    /// What credit notes gave back of a line by somebody's good will.
    pub(crate) fn credited_of(&self, invoice: &Invoice, line: &InvoiceLine) -> Amount {
        let taken = self.remainders.taken(&invoice.id, line.n);
        let taken = taken.filter(|_| self.remainders.takes(&invoice.id, line.n).is_none());
        taken.map_or_else(|| Amount::zero(invoice.currency), |taken| taken.credited)
    }

    /// What is charged for a line by now: what remains of it, of adjustments that charged more for it, and of charges by
    /// hand that correct it.
    pub fn charged_for(&self, invoice: &Invoice, line: &InvoiceLine) -> Option<Amount> {
        let about = LineRef { invoice: invoice.id.clone(), line: line.n };
        let corrections = self.corrections(&invoice.id);
        let corrections = corrections.filter(|(recorded, _)| recorded.cites.as_ref() == Some(&about));
        let corrections = corrections.map(|(recorded, on)| {
            on.map_or(recorded.amount, |(document, line)| self.remainder_of(&document.invoice, line))
        });
        let run = self.run_of(invoice, line)?;
        let adjusted = self.adjusted.get(&(run, invoice.buyer.party)).into_iter().flatten();
        let adjusted = adjusted.filter_map(|place| self.line_at(*place));
        let adjusted = adjusted.filter(|(_, line)| line.cites.as_ref() == Some(&about));
        let adjusted = adjusted.map(|(document, line)| self.stands_of(&document.invoice, line));
        Amount::sum(invoice.currency, corrections.chain(adjusted).chain([self.remainder_of(invoice, line)]))
    }

    fn run_of(&self, invoice: &Invoice, line: &InvoiceLine) -> Option<RunId> {
        match line.kind {
            LineKind::Adjustment => self.run_about(invoice, line),
            _ => Some(invoice.run),
        }
    }

    /// The charges by hand that correct lines of a document: what was recorded, and where it is, if a document has it.
    fn corrections(
        &self,
        invoice: &InvoiceId,
    ) -> impl Iterator<Item = (&ChargeRecorded, Option<(&Document, &InvoiceLine)>)> {
        let charges = self.corrections.get(invoice).into_iter().flatten();
        charges.filter_map(|charge| self.charges.get(charge)).map(|charge| {
            let place = charge.invoice.as_ref().and_then(|invoice| self.issued.get(invoice));
            let document = place.and_then(|place| self.documents.get(place));
            let by_hand = LineKind::OneOff { charge: charge.recorded.charge };
            let on = document.and_then(|document| {
                Some((document, document.invoice.lines.iter().find(|line| line.kind == by_hand)?))
            });
            (&charge.recorded, on)
        })
    }

    fn line_at(&self, (place, n): (DocumentPlace, u32)) -> Option<(&Document, &InvoiceLine)> {
        let document = self.documents.get(&place)?;
        Some((document, line_of(&document.invoice, n)?))
    }

    /// Whether all of a document was given back: then it is as if it had never been.
    pub fn is_void(&self, invoice: &Invoice) -> bool {
        self.remainders.is_void(&invoice.id)
    }

    /// What is still charged of a payer's void documents: by lines of later documents that adjusted or corrected them,
    /// and by their own lines, if what had taken of them is void itself.
    pub(crate) fn of_void(&self, seller: (PartyId, Currency), payer: PartyId) -> Vec<OfVoid> {
        let mut found = Vec::new();
        for place in self.voided.get(&payer).into_iter().flatten() {
            let Some(void) = self.documents.get(place) else { continue };
            if (void.invoice.seller.party, void.invoice.currency) != seller {
                continue;
            }
            let mut stands = |document: &Document, line: &InvoiceLine| {
                let (invoice, remainder) = (&document.invoice, self.stands_of(&document.invoice, line));
                let at = LineRef { invoice: invoice.id.clone(), line: line.n };
                let Some(issued) = document.issued.filter(|_| remainder.minor() != 0) else { return };
                let (line, void) = (line_as_charged(invoice, line), LineRef { invoice: void.invoice.id.clone(), line: 0 });
                if found.iter().all(|known: &OfVoid| known.at != at) {
                    found.push(OfVoid { void, line, at, remainder, issued });
                }
            };
            void.invoice.lines.iter().for_each(|line| stands(void, line));
            let adjusted = self.adjusted.get(&(place.run, payer)).into_iter().flatten();
            adjusted.filter_map(|place| self.line_at(*place)).for_each(|(document, line)| stands(document, line));
            let corrections = self.corrections(&void.invoice.id).filter_map(|(_, on)| on);
            corrections.for_each(|(document, line)| stands(document, line));
        }
        found
    }

    /// The balance of an invoice that is final.
    pub fn balance(&self, document: &Document) -> Option<(&Balance, BalanceState)> {
        document.issued?;
        let invoice = &document.invoice;
        let balance = self.balances.get(&invoice.id)?;
        let state = if self.is_void(invoice) {
            BalanceState::Void
        } else if balance.due.minor() == 0 && balance.credited.minor() > 0 && balance.credited == invoice.total {
            BalanceState::Credited
        } else if balance.due.minor() == 0 {
            BalanceState::Paid
        } else if balance.credited.minor() > 0 {
            BalanceState::PartlyCredited
        } else {
            BalanceState::Open
        };
        Some((balance, state))
    }
}
