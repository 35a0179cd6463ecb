//! What is still charged: the remainder of each line, of what corrected and adjusted it, and the balance of a document.
//!
//! [`Remainders`](slapledger_core::domain::invoice::Remainders) and
//! [`Balances`](slapledger_core::domain::invoice::Balances) define both; here they are read beside the documents.

use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::{InvoiceId, PartyId, RunId, Sequence};
use slapledger_core::domain::invoice::{
    Balance, Invoice, InvoiceLine, LineKind, LineRef, as_charged, residue_as_charged,
};
use slapledger_core::domain::money::{Amount, Currency, Exact};

use crate::document::{as_charged as line_as_charged, line_of};
use crate::view::{Billing, Charge, Document, DocumentPlace};

/// What became of an invoice that is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
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

/// How a line comes to be charged with another amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineCorrection {
    /// It is charged with that already.
    None,
    /// A credit note brings the line itself down to this.
    Credit(Amount),
    /// A charge by hand on the next invoice.
    Charge(Amount),
}

/// Something that is still charged of a void document, or of what was about it.
pub(crate) struct OfVoid {
    /// The void document.
    pub(crate) void: InvoiceId,
    /// As something charged.
    pub(crate) line: InvoiceLine,
    /// Where it stands.
    pub(crate) at: LineRef,
    pub(crate) remainder: Amount,
    /// What remains of its residue.
    pub(crate) residue: Exact,
    /// The event that issued the document it stands in.
    pub(crate) issued: Sequence,
}

impl Billing {
    /// What remains of a line, as something charged.
    pub fn remainder_of(&self, invoice: &Invoice, line: &InvoiceLine) -> Amount {
        self.remainders.of(&invoice.id, line.n, as_charged(invoice.document, line.amount))
    }

    /// What remains of its residue, likewise.
    pub(crate) fn residue_of(&self, invoice: &Invoice, line: &InvoiceLine) -> Exact {
        let residue = residue_as_charged(invoice.document, line.residue);
        self.remainders.residue(&invoice.id, line.n, residue)
    }

    /// What remains of a line; nothing, if the line only takes of an earlier one: that one has the less.
    pub(crate) fn stands_of(&self, invoice: &Invoice, line: &InvoiceLine) -> Amount {
        match self.remainders.takes(&invoice.id, line.n) {
            Some(_) => Amount::zero(invoice.currency),
            None => self.remainder_of(invoice, line),
        }
    }

    /// What was given of a line by somebody's good will: by credit notes, and by charges that correct it.
    pub(crate) fn credited_of(&self, invoice: &Invoice, line: &InvoiceLine) -> Amount {
        let taken = self.remainders.taken(&invoice.id, line.n);
        let taken = taken.filter(|_| self.remainders.takes(&invoice.id, line.n).is_none());
        let given = taken.map(|taken| taken.credited.checked_add(taken.corrected).unwrap_or(taken.credited));
        given.unwrap_or_else(|| Amount::zero(invoice.currency))
    }

    /// What credit notes gave back of what an adjustment took of an earlier line.
    pub(crate) fn regained_of(&self, invoice: &Invoice, line: &InvoiceLine) -> Amount {
        let is_taking = line.kind == LineKind::Adjustment
            && self.remainders.takes(&invoice.id, line.n).is_some()
            && !self.remainders.takes_by_hand(&invoice.id, line.n);
        let taken = self.remainders.taken(&invoice.id, line.n).filter(|_| is_taking);
        taken.map_or(Amount::zero(invoice.currency), |taken| taken.credited)
    }

    /// What is charged for a line by now: what remains of it, of adjustments that charged more for it, and of charges by
    /// hand that correct it.
    pub fn charged_for(&self, invoice: &Invoice, line: &InvoiceLine) -> Option<Amount> {
        let about = LineRef { invoice: invoice.id.clone(), line: line.n };
        let open = self.corrections_of(&about).filter(|charge| charge.invoice.is_none());
        let open = open.map(|charge| charge.recorded.amount);
        let changes = self.changes_of(invoice, line);
        let changes = changes.iter().map(|(document, line)| self.stands_of(&document.invoice, line));
        Amount::sum(invoice.currency, open.chain(changes).chain([self.remainder_of(invoice, line)]))
    }

    /// The lines of later documents that change what is charged for a line, in the order of their documents: adjustments of
    /// it, and charges by hand that correct it.
    pub(crate) fn changes_of(&self, invoice: &Invoice, line: &InvoiceLine) -> Vec<(&Document, &InvoiceLine)> {
        let about = LineRef { invoice: invoice.id.clone(), line: line.n };
        let corrected = self.corrections_of(&about).flat_map(|charge| self.lines_of_charge(charge));
        let run = self.run_of(invoice, line);
        let adjusted = run.and_then(|run| self.adjusted.get(&(run, invoice.buyer.party)));
        let adjusted = adjusted.into_iter().flatten().filter_map(|place| self.line_at(*place));
        let adjusted = adjusted.filter(|(_, line)| line.cites.as_ref() == Some(&about));
        let mut changes: Vec<(&Document, &InvoiceLine)> = adjusted.chain(corrected).collect();
        changes.sort_by_key(|(document, line)| (document.issued, line.n));
        changes
    }

    /// How what is charged for a line comes to be an amount: what is too much is credited at once, as far as it remains of
    /// the line itself. None, if the difference has too many digits.
    pub fn correction(
        &self,
        invoice: &Invoice,
        line: &InvoiceLine,
        amount: Amount,
    ) -> Option<LineCorrection> {
        let difference = amount.checked_sub(self.charged_for(invoice, line)?)?;
        if difference.minor() == 0 {
            return Some(LineCorrection::None);
        }
        let remainder = self.remainder_of(invoice, line);
        let down_to = remainder.checked_add(difference).filter(|down_to| {
            let (remainder, down_to) = (remainder.minor(), down_to.minor());
            down_to.unsigned_abs() < remainder.unsigned_abs()
                && (down_to == 0 || down_to.signum() == remainder.signum())
        });
        Some(down_to.map_or(LineCorrection::Charge(difference), LineCorrection::Credit))
    }

    fn run_of(&self, invoice: &Invoice, line: &InvoiceLine) -> Option<RunId> {
        match line.kind {
            LineKind::Adjustment => self.run_about(invoice, line),
            _ => Some(invoice.run),
        }
    }

    /// The charges by hand that correct a line.
    fn corrections_of<'b>(&'b self, line: &LineRef) -> impl Iterator<Item = &'b Charge> {
        let charges = self.corrections.get(&line.invoice).into_iter().flatten();
        let charges = charges.filter_map(|charge| self.charges.get(charge));
        charges.filter(move |charge| charge.recorded.cites.as_ref() == Some(line))
    }

    /// The lines that have a charge by hand, if a document has it.
    fn lines_of_charge<'b>(
        &'b self,
        charge: &Charge,
    ) -> impl Iterator<Item = (&'b Document, &'b InvoiceLine)> {
        let place = charge.invoice.as_ref().and_then(|invoice| self.issued.get(invoice));
        let document = place.and_then(|place| self.documents.get(place)).map(|document| &**document);
        let by_hand = Some(charge.recorded.charge);
        document.into_iter().flat_map(move |document| {
            let lines = document.invoice.lines.iter().filter(move |line| line.kind.charge() == by_hand);
            lines.map(move |line| (document, line))
        })
    }

    /// Whether a charge is on no document and will be on none: what it corrects is void, or about what is void.
    pub fn is_dropped(&self, charge: &Charge) -> bool {
        charge.invoice.is_none() && charge.recorded.cites.as_ref().is_some_and(|cited| self.is_of_void(cited))
    }

    /// A line of a document that is issued, and the document.
    pub(crate) fn line_of(&self, line: &LineRef) -> Option<(&Document, &InvoiceLine)> {
        self.line_at((*self.issued.get(&line.invoice)?, line.line))
    }

    fn line_at(&self, (place, n): (DocumentPlace, u32)) -> Option<(&Document, &InvoiceLine)> {
        let document = &**self.documents.get(&place)?;
        Some((document, line_of(&document.invoice, n)?))
    }

    /// Whether all of a document was given back: then it is as if it had never been.
    pub fn is_void(&self, invoice: &Invoice) -> bool {
        self.remainders.is_void(&invoice.id)
    }

    /// What is still charged of a payer's void documents: by lines of later documents that adjusted or corrected them,
    /// and by their own lines, if what had taken of them is void itself.
    pub(crate) fn of_void(&self, seller: (PartyId, Currency), payer: PartyId) -> Vec<OfVoid> {
        let mut found: Vec<OfVoid> = Vec::new();
        for place in self.voided.get(&payer).into_iter().flatten() {
            let Some(void) = self.documents.get(place).map(|document| &**document) else { continue };
            if (void.invoice.seller.party, void.invoice.currency) != seller {
                continue;
            }
            let own = void.invoice.lines.iter().map(|line| (void, line));
            let adjusted = self.adjusted.get(&(place.run, payer)).into_iter().flatten();
            let mut open: Vec<(&Document, &InvoiceLine)> =
                own.chain(adjusted.filter_map(|place| self.line_at(*place))).collect();
            while let Some((document, line)) = open.pop() {
                let (invoice, remainder) = (&document.invoice, self.stands_of(&document.invoice, line));
                let at = LineRef { invoice: invoice.id.clone(), line: line.n };
                // A correction may be corrected itself.
                open.extend(self.corrections_of(&at).flat_map(|charge| self.lines_of_charge(charge)));
                let Some(issued) = document.issued.filter(|_| remainder.minor() != 0) else { continue };
                let residue = self.residue_of(invoice, line);
                let (line, void) = (line_as_charged(invoice, line), void.invoice.id.clone());
                if found.iter().all(|known| known.at != at) {
                    found.push(OfVoid { void, line, at, remainder, residue, issued });
                }
            }
        }
        found.sort_by(|one, other| one.at.cmp(&other.at));
        found
    }

    /// Whether a line is of a void document, or adjusts or corrects one that is.
    pub fn is_of_void(&self, cited: &LineRef) -> bool {
        let document = self.issued.get(&cited.invoice).and_then(|place| self.documents.get(place));
        let Some(invoice) = document.map(|document| &document.invoice) else { return false };
        if self.is_void(invoice) {
            return true;
        }
        let Some(line) = line_of(invoice, cited.line) else { return false };
        match line.kind {
            LineKind::Adjustment => self.run_about(invoice, line).is_some_and(|run| {
                let about = self.documents.get(&DocumentPlace::of(run, invoice.buyer.party));
                about.is_some_and(|about| self.is_void(&about.invoice))
            }),
            LineKind::OneOff { charge } | LineKind::Correction { charge } => {
                let cited = self.charges.get(&charge).and_then(|charge| charge.recorded.cites.as_ref());
                cited.is_some_and(|cited| self.is_of_void(cited))
            }
            _ => false,
        }
    }

    /// The balance of an invoice that is final.
    pub fn balance(&self, document: &Document) -> Option<(&Balance, BalanceState)> {
        document.issued?;
        let invoice = &document.invoice;
        let balance = self.balances.get(&invoice.id)?;
        let state = if self.is_void(invoice) {
            BalanceState::Void
        } else if balance.due.minor() == 0
            && balance.credited.minor() > 0
            && balance.credited.minor() >= invoice.total.minor()
        {
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
