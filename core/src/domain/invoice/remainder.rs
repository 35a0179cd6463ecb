//! The remainder of a line: what it charged, less everything that later documents took of it.
//!
//! A later document takes of a line in three ways. A credit note credits it. A run settles it: a fee that was charged in
//! advance, or a line of a void document. A run adjusts it towards zero. The last two are lines that cite the line and
//! have the other sign. If such a line is credited itself, with its document, it has taken nothing. An adjustment that
//! charges more is a line with a remainder of its own.
//!
//! This is the only definition: the decisions about credit notes and the billing view fold the same documents into it.

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};

use crate::domain::id::InvoiceId;
use crate::domain::money::Amount;

use super::{DocumentKind, Invoice, InvoiceLine, LineKind, LineRef};

/// What later documents took of a line, as something charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Taken {
    /// By credit notes that somebody wrote.
    pub credited: Amount,
    /// By lines of later runs that settle or adjust it.
    pub settled: Amount,
}

/// What later documents took of all lines. What they charged is in the documents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Remainders {
    taken: BTreeMap<InvoiceId, BTreeMap<u32, Taken>>,
    /// The lines that take something, and of which line.
    takes: BTreeMap<InvoiceId, BTreeMap<u32, LineRef>>,
    void: BTreeSet<InvoiceId>,
}

impl Remainders {
    /// What remains of a line that charged so much.
    pub fn of(&self, invoice: &InvoiceId, n: u32, charged: Amount) -> Amount {
        let taken = self.taken(invoice, n);
        let rest = taken.and_then(|taken| charged.checked_sub(taken.credited)?.checked_sub(taken.settled));
        rest.unwrap_or(charged)
    }

    /// What later documents took of a line, if they took anything.
    pub fn taken(&self, invoice: &InvoiceId, n: u32) -> Option<Taken> {
        self.taken.get(invoice)?.get(&n).copied()
    }

    /// The line that a line takes something of, if it does.
    pub fn takes(&self, invoice: &InvoiceId, n: u32) -> Option<&LineRef> {
        self.takes.get(invoice)?.get(&n)
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
            if !matches!(line.kind, LineKind::Adjustment | LineKind::Advance) {
                continue;
            }
            let amount = as_charged(invoice.document, line.amount);
            let opposite = |charged: Amount| charged.minor().signum() * amount.minor().signum() < 0;
            if charged(cited).is_some_and(opposite) {
                self.takes.entry(invoice.id.clone()).or_default().insert(line.n, cited.clone());
                self.settle(cited, amount.negated());
            }
        }
    }

    /// Takes a credit note over that somebody wrote about a document.
    pub fn credited(&mut self, note: &Invoice, lines: &[InvoiceLine]) {
        for line in lines {
            let Some(cited) = &line.cites else { continue };
            let taken = self.taken_mut(cited, line.amount);
            taken.credited = taken.credited.checked_add(line.amount).unwrap_or(taken.credited);
            if let Some(of) = self.takes(&cited.invoice, cited.line).cloned() {
                self.settle(&of, line.amount);
            }
        }
        if let Some(cited) = note.cites.as_ref().filter(|cited| cited.all) {
            self.void.insert(cited.invoice.clone());
        }
    }

    fn settle(&mut self, cited: &LineRef, amount: Amount) {
        let taken = self.taken_mut(cited, amount);
        taken.settled = taken.settled.checked_add(amount).unwrap_or(taken.settled);
    }

    fn taken_mut(&mut self, cited: &LineRef, like: Amount) -> &mut Taken {
        let nothing = like.checked_sub(like).unwrap_or(like);
        let of_document = self.taken.entry(cited.invoice.clone()).or_default();
        of_document.entry(cited.line).or_insert(Taken { credited: nothing, settled: nothing })
    }
}

/// An amount as something charged: in a credit note of a run amounts are turned round.
pub fn as_charged(document: DocumentKind, amount: Amount) -> Amount {
    match document {
        DocumentKind::Invoice => amount,
        DocumentKind::CreditNote => amount.negated(),
    }
}
