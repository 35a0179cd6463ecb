//! The balance of an invoice: what of its total is credited, paid and due, after every credit note.
//!
//! A credit note lowers what is due first. The rest goes back into the prepaid credit that had paid, the newest first. A
//! note that somebody wrote is about one invoice. One of a run is about the invoices whose lines it gives back: each
//! gets its lines with their tax, in the order of the note, and all together no more than the total of the note.

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};

use crate::domain::id::InvoiceId;
use crate::domain::money::Amount;
use crate::domain::tax::Tax;

use super::{CreditUsed, DocumentKind, Invoice, InvoiceLine, LineKind, LineRef};

/// What is known of an invoice that is final.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Balance {
    /// What credit notes credited of its total.
    pub credited: Amount,
    /// What prepaid credit has paid of it and was not returned.
    pub prepaid: Vec<CreditUsed>,
    /// What is still to be paid.
    pub due: Amount,
}

impl Balance {
    /// What was paid of it and not returned.
    pub fn paid(&self) -> Amount {
        let nothing = self.due.checked_sub(self.due).unwrap_or(self.due);
        self.prepaid.iter().fold(nothing, |sum, used| sum.checked_add(used.amount).unwrap_or(sum))
    }

    /// What of a share of a credit note goes back into prepaid credit: what is more than is due, into the newest credit
    /// first.
    pub(super) fn returned(&self, share: Amount) -> Vec<CreditUsed> {
        let mut more = share.checked_sub(self.due).unwrap_or(share);
        let mut back = Vec::new();
        for used in self.prepaid.iter().rev() {
            let amount = if used.amount.minor() < more.minor() { used.amount } else { more };
            let Some(rest) = more.checked_sub(amount).filter(|_| amount.minor() > 0) else { continue };
            more = rest;
            back.push(CreditUsed { credit: used.credit, amount });
        }
        back
    }

    /// Takes a share of a credit note over, and what of it was returned. What is more than both gives back what a later
    /// invoice charged, and is no part of this balance.
    fn credit(&mut self, share: Amount, returned: &[CreditUsed]) {
        let before = (self.due, self.paid());
        let mut lowers = share;
        for back in returned {
            if let Some(used) = self.prepaid.iter_mut().find(|used| used.credit == back.credit) {
                used.amount = used.amount.checked_sub(back.amount).unwrap_or(used.amount);
            }
            lowers = lowers.checked_sub(back.amount).unwrap_or(lowers);
        }
        self.prepaid.retain(|used| used.amount.minor() != 0);
        let lowers = if lowers.minor() > self.due.minor() { self.due } else { lowers };
        self.due = self.due.checked_sub(lowers).unwrap_or(self.due);
        let after = self.due.checked_add(self.paid());
        let credited = before.0.checked_add(before.1).and_then(|before| before.checked_sub(after?));
        let sum = credited.and_then(|credited| self.credited.checked_add(credited));
        self.credited = sum.unwrap_or(self.credited);
    }
}

/// The balances of all invoices that are final.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Balances {
    of: BTreeMap<InvoiceId, Balance>,
}

impl Balances {
    /// That of an invoice; none of a draft or a credit note.
    pub fn get(&self, invoice: &InvoiceId) -> Option<&Balance> {
        self.of.get(invoice)
    }

    /// What a credit note of a run returns to prepaid credit. `charged` is what a line of an earlier document charged.
    pub(crate) fn returned(
        &self,
        note: &Invoice,
        charged: impl Fn(&LineRef) -> Option<Amount>,
    ) -> Vec<CreditUsed> {
        let shares = self.shares(note, &note.lines, charged);
        let back =
            shares.into_iter().filter_map(|(invoice, share)| Some(self.of.get(&invoice)?.returned(share)));
        back.flatten().fold(Vec::new(), |mut sum: Vec<CreditUsed>, back| {
            match sum.iter_mut().find(|known| known.credit == back.credit) {
                Some(known) => known.amount = known.amount.checked_add(back.amount).unwrap_or(known.amount),
                None => sum.push(back),
            }
            sum
        })
    }

    /// Takes the document of a run over.
    pub fn issued(
        &mut self,
        document: &Invoice,
        lines: &[InvoiceLine],
        charged: impl Fn(&LineRef) -> Option<Amount>,
    ) {
        if document.document == DocumentKind::Invoice {
            let (prepaid, due) = (document.prepaid.clone(), document.due);
            let credited = due.checked_sub(due).unwrap_or(due);
            self.of.insert(document.id.clone(), Balance { credited, prepaid, due });
            return;
        }
        // The log has notes of runs that returned nothing.
        let returns = !document.prepaid.is_empty();
        for (invoice, share) in self.shares(document, lines, charged) {
            let Some(balance) = self.of.get_mut(&invoice) else { continue };
            let returned = if returns { balance.returned(share) } else { Vec::new() };
            balance.credit(share, &returned);
        }
    }

    /// Takes a credit note over that somebody wrote about an invoice.
    pub fn credited(&mut self, note: &Invoice) {
        if let Some(balance) = note.cites.as_ref().and_then(|cited| self.of.get_mut(&cited.invoice)) {
            balance.credit(note.total, &note.prepaid);
        }
    }

    /// The invoices that a credit note of a run is about, and how much of its total is for each: never more than is due
    /// of it or was paid.
    fn shares(
        &self,
        note: &Invoice,
        lines: &[InvoiceLine],
        charged: impl Fn(&LineRef) -> Option<Amount>,
    ) -> Vec<(InvoiceId, Amount)> {
        // What charges more, or was charged or given by hand, takes nothing of the line it cites.
        let gives_back = |line: &InvoiceLine, cited: &LineRef| {
            let takes = matches!(line.kind, LineKind::Adjustment | LineKind::Advance);
            takes
                && charged(cited)
                    .is_some_and(|charged| charged.minor().signum() == line.amount.minor().signum())
        };
        let about = |line: &InvoiceLine| {
            let cited = line.cites.as_ref().filter(|cited| gives_back(line, cited))?;
            self.of.contains_key(&cited.invoice).then(|| cited.invoice.clone())
        };
        let (mut seen, mut rest, mut shares) = (BTreeSet::new(), note.total, Vec::new());
        for invoice in lines.iter().filter_map(about) {
            let Some(balance) = self.of.get(&invoice).filter(|_| seen.insert(invoice.clone())) else {
                continue;
            };
            let back = lines.iter().filter(|line| about(line).as_ref() == Some(&invoice));
            let mut by_tax: BTreeMap<Tax, Vec<Amount>> = BTreeMap::new();
            back.for_each(|line| by_tax.entry(line.tax).or_default().push(line.amount));
            let gross = by_tax.into_iter().flat_map(|(tax, amounts)| {
                let base = Amount::sum(note.currency, amounts);
                [base, base.and_then(|base| tax.round_on(base, note.currency))]
            });
            let gross = Amount::sum(note.currency, gross.flatten());
            let open = balance.due.checked_add(balance.paid());
            let limits = [gross, open, Some(rest)].into_iter().flatten();
            let Some(share) = limits.min_by_key(|amount| amount.minor()).filter(|share| share.minor() > 0)
            else {
                continue;
            };
            rest = rest.checked_sub(share).unwrap_or(rest);
            shares.push((invoice, share));
        }
        shares
    }
}
