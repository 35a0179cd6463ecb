//! The remainder of a line: what it charged, less everything that later documents took of it.
//!
//! A later document takes of a line in four ways. A credit note credits it. A run settles it: a fee that was charged in
//! advance, or a line of a void document. A run adjusts it towards zero. A charge by hand corrects it towards zero. The last
//! three are lines that cite the line and have the other sign. If such a line is credited itself, with its document, it
//! has taken nothing. An adjustment or a charge that charges more is a line with a remainder of its own.
//!
//! What rounding added to the line goes with the last part that is taken of it, so that exact prices cancel too.
//!
//! This is the only definition: the decisions about credit notes and the billing view fold the same documents into it.

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};

use crate::domain::id::InvoiceId;
use crate::domain::money::{Amount, Exact};

use super::{DocumentKind, Invoice, InvoiceLine, LineKind, LineRef};

/// What later documents took of a line, as something charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Taken {
    /// By credit notes that somebody wrote.
    pub credited: Amount,
    /// By lines of later runs that settle or adjust it.
    pub settled: Amount,
    /// By charges by hand that correct it.
    pub corrected: Amount,
    /// The residue that all of them took.
    pub residue: Exact,
}

/// What a line takes something of.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct Take {
    of: LineRef,
    /// Whether a charge by hand takes it.
    by_hand: bool,
}

/// What later documents took of all lines. What they charged is in the documents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Remainders {
    taken: BTreeMap<InvoiceId, BTreeMap<u32, Taken>>,
    /// The lines that take something, and of which line.
    takes: BTreeMap<InvoiceId, BTreeMap<u32, Take>>,
    /// The lines that charge more for an earlier one, and for which.
    adds: BTreeMap<InvoiceId, BTreeMap<u32, LineRef>>,
    void: BTreeSet<InvoiceId>,
}

impl Remainders {
    /// What remains of a line that charged so much.
    pub fn of(&self, invoice: &InvoiceId, n: u32, charged: Amount) -> Amount {
        let taken = self.taken(invoice, n);
        let rest = taken.and_then(|taken| {
            charged.checked_sub(taken.credited)?.checked_sub(taken.settled)?.checked_sub(taken.corrected)
        });
        rest.unwrap_or(charged)
    }

    /// What remains of the residue of a line that had so much: what goes with the last part of the line.
    pub fn residue(&self, invoice: &InvoiceId, n: u32, residue: Exact) -> Exact {
        self.taken(invoice, n).map_or(residue, |taken| residue.minus(taken.residue))
    }

    /// What later documents took of a line, if they took anything.
    pub fn taken(&self, invoice: &InvoiceId, n: u32) -> Option<Taken> {
        self.taken.get(invoice)?.get(&n).copied()
    }

    /// The line that a line takes something of, if it does.
    pub fn takes(&self, invoice: &InvoiceId, n: u32) -> Option<&LineRef> {
        self.takes.get(invoice)?.get(&n).map(|take| &take.of)
    }

    /// Whether a line takes something of another because a charge by hand corrects that.
    pub fn takes_by_hand(&self, invoice: &InvoiceId, n: u32) -> bool {
        self.takes.get(invoice).and_then(|lines| lines.get(&n)).is_some_and(|take| take.by_hand)
    }

    /// The lines of later documents that take something of a document, in the order of their documents.
    pub fn takers(&self, invoice: &InvoiceId) -> impl Iterator<Item = (&InvoiceId, u32)> {
        about(&self.takes, invoice, |take| &take.of)
    }

    /// The lines of later documents that charge more for lines of a document, likewise: adjustments, and charges by hand
    /// that correct them.
    pub fn adders(&self, invoice: &InvoiceId) -> impl Iterator<Item = (&InvoiceId, u32)> {
        about(&self.adds, invoice, |of| of)
    }

    /// Whether a credit note said that nothing of a document is left: its period can be invoiced again.
    pub fn is_void(&self, invoice: &InvoiceId) -> bool {
        self.void.contains(invoice)
    }

    /// Takes the document of a run over. `charged` is what a line of an earlier document charged.
    pub fn issued(
        &mut self,
        invoice: &Invoice,
        lines: &[InvoiceLine],
        charged: impl Fn(&LineRef) -> Option<Amount>,
    ) {
        for line in lines {
            let Some(cited) = line.cites.as_ref().filter(|cited| cited.line > 0) else { continue };
            let amount = as_charged(invoice.document, line.amount);
            let Some(charged) = charged(cited) else { continue };
            match (&line.kind, charged.minor().signum() * amount.minor().signum()) {
                (LineKind::Adjustment | LineKind::Advance | LineKind::Correction { .. }, ..=-1) => {
                    let by_hand = matches!(line.kind, LineKind::Correction { .. });
                    let take = Take { of: cited.clone(), by_hand };
                    let residue = residue_as_charged(invoice.document, line.residue);
                    self.take(&take, amount.negated(), Exact::ZERO.minus(residue));
                    self.takes.entry(invoice.id.clone()).or_default().insert(line.n, take);
                }
                (LineKind::Adjustment | LineKind::OneOff { .. }, 1..) => {
                    self.adds.entry(invoice.id.clone()).or_default().insert(line.n, cited.clone());
                }
                _ => {}
            }
        }
    }

    /// Takes a credit note over that somebody wrote about a document.
    pub fn credited(&mut self, note: &Invoice, lines: &[InvoiceLine]) {
        for line in lines {
            let Some(cited) = &line.cites else { continue };
            let taken = self.taken_mut(cited, line.amount);
            taken.credited = taken.credited.checked_add(line.amount).unwrap_or(taken.credited);
            taken.residue = taken.residue.plus(line.residue);
            let take = self.takes.get(&cited.invoice).and_then(|lines| lines.get(&cited.line));
            if let Some(take) = take.cloned() {
                self.take(&take, line.amount, line.residue);
            }
        }
        if let Some(cited) = note.cites.as_ref().filter(|cited| cited.all) {
            self.void.insert(cited.invoice.clone());
        }
    }

    fn take(&mut self, take: &Take, amount: Amount, residue: Exact) {
        let taken = self.taken_mut(&take.of, amount);
        let sum = if take.by_hand { &mut taken.corrected } else { &mut taken.settled };
        *sum = sum.checked_add(amount).unwrap_or(*sum);
        taken.residue = taken.residue.plus(residue);
    }

    fn taken_mut(&mut self, cited: &LineRef, like: Amount) -> &mut Taken {
        let nothing = like.checked_sub(like).unwrap_or(like);
        let of_document = self.taken.entry(cited.invoice.clone()).or_default();
        of_document.entry(cited.line).or_insert(Taken {
            credited: nothing,
            settled: nothing,
            corrected: nothing,
            residue: Exact::ZERO,
        })
    }
}

/// The lines that are about a document, in the order of their documents.
fn about<'l, T>(
    lines: &'l BTreeMap<InvoiceId, BTreeMap<u32, T>>,
    invoice: &InvoiceId,
    of: impl Fn(&T) -> &LineRef + Copy,
) -> impl Iterator<Item = (&'l InvoiceId, u32)> {
    lines.iter().flat_map(move |(document, lines)| {
        let about = lines.iter().filter(move |(_, line)| of(line).invoice == *invoice);
        about.map(move |(n, _)| (document, *n))
    })
}

/// An amount as something charged: in a credit note of a run amounts are turned round.
pub fn as_charged(document: DocumentKind, amount: Amount) -> Amount {
    match document {
        DocumentKind::Invoice => amount,
        DocumentKind::CreditNote => amount.negated(),
    }
}

/// A residue, likewise.
pub fn residue_as_charged(document: DocumentKind, residue: Exact) -> Exact {
    match document {
        DocumentKind::Invoice => residue,
        DocumentKind::CreditNote => Exact::ZERO.minus(residue),
    }
}
