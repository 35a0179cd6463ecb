//! The balance of an invoice: what of its total is credited, paid and due, after every credit note.
//!
//! A credit note lowers what is due first. The rest goes back into the prepaid credit that had paid, the newest first. A
//! note that somebody wrote is about one invoice. One of a run is about the invoices whose lines it gives back: each
//! gets its lines with their tax, in the order of the note, and all together no more than the total of the note. What a
//! line of an earlier document charged made less of what that document gave back itself: what is more than it can take is
//! for the invoices of which it gave lines back.
//!
//! A note may give back more than an invoice charged: if a later invoice took a line below zero of it, the later one
//! charged the difference. So what is more than the invoice can take is for the later ones that took something of it,
//! then for those that charged more for its lines: a correction is of all that was charged for a line.

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};

use crate::domain::id::InvoiceId;
use crate::domain::money::Amount;
use crate::domain::tax::Tax;

use super::{
    CreditUsed, DocumentKind, Invoice, InvoiceLine, LineKind, LineRef, Remainders, as_charged, base_and_tax,
};

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

    /// What is due of it or was paid: so much credit notes can take.
    fn open(&self) -> Amount {
        self.due.checked_add(self.paid()).unwrap_or(self.due)
    }

    /// Takes a share of a credit note over, and what of it was returned.
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
    /// The invoices of which each document of a run gives lines back, in the order of its lines; then, those of theirs.
    about: BTreeMap<InvoiceId, Vec<InvoiceId>>,
}

/// What a note gives back of some invoices: of the first as much as it can take, then of the next.
struct GivenBack {
    of: Vec<InvoiceId>,
    gross: Amount,
}

impl Balances {
    /// That of an invoice; none of a draft or a credit note.
    pub fn get(&self, invoice: &InvoiceId) -> Option<&Balance> {
        self.of.get(invoice)
    }

    /// What a credit note of a run returns to prepaid credit.
    pub fn returned(&self, note: &Invoice, earlier: &impl EarlierLines) -> Vec<CreditUsed> {
        let wanted = self.given_back(note, &note.lines, earlier);
        self.returned_to(self.shares(note, wanted, earlier))
    }

    /// What a credit note returns that somebody wrote about an invoice.
    pub(super) fn returned_by_hand(
        &self,
        note: &Invoice,
        about: &InvoiceId,
        earlier: &impl EarlierLines,
    ) -> Vec<CreditUsed> {
        let wanted = GivenBack { of: vec![about.clone()], gross: note.total };
        self.returned_to(self.shares(note, vec![wanted], earlier))
    }

    fn returned_to(&self, shares: Vec<(InvoiceId, Amount)>) -> Vec<CreditUsed> {
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
    pub fn issued(&mut self, document: &Invoice, lines: &[InvoiceLine], earlier: &impl EarlierLines) {
        let wanted = self.given_back(document, lines, earlier);
        let direct = wanted.iter().flat_map(|wanted| &wanted.of);
        let theirs =
            wanted.iter().flat_map(|wanted| &wanted.of).filter_map(|of| self.about.get(of)).flatten();
        let mut seen = BTreeSet::new();
        let about = direct.chain(theirs).filter(|invoice| seen.insert(*invoice));
        let about: Vec<InvoiceId> = about.cloned().collect();
        if !about.is_empty() {
            self.about.insert(document.id.clone(), about);
        }
        if document.document == DocumentKind::Invoice {
            let (prepaid, due) = (document.prepaid.clone(), document.due);
            let credited = due.checked_sub(due).unwrap_or(due);
            self.of.insert(document.id.clone(), Balance { credited, prepaid, due });
            return;
        }
        self.noted(document, wanted, earlier);
    }

    /// Takes a credit note over that somebody wrote about an invoice.
    pub fn credited(&mut self, note: &Invoice, earlier: &impl EarlierLines) {
        let about = note.cites.iter();
        let about = about.map(|cited| GivenBack { of: vec![cited.invoice.clone()], gross: note.total });
        self.noted(note, about.collect(), earlier);
    }

    fn noted(&mut self, note: &Invoice, wanted: Vec<GivenBack>, earlier: &impl EarlierLines) {
        // The log has notes that returned less than this would, or nothing.
        let mut told = note.prepaid.clone();
        for (invoice, share) in self.shares(note, wanted, earlier) {
            let Some(balance) = self.of.get_mut(&invoice) else { continue };
            let mut returned = balance.returned(share);
            returned.retain_mut(|back| {
                let Some(told) = told.iter_mut().find(|told| told.credit == back.credit) else {
                    return false;
                };
                let less = told.amount.minor() < back.amount.minor();
                back.amount = if less { told.amount } else { back.amount };
                told.amount = told.amount.checked_sub(back.amount).unwrap_or(told.amount);
                true
            });
            balance.credit(share, &returned);
        }
    }

    /// How much of the total of a credit note is for which invoice: never more than is due of it or was paid. What is
    /// more than one can take is for later invoices that took something of it: for each as much as it took with its tax,
    /// and what is left then for the first that can take it; then likewise for those that charged more for it; and then
    /// for the earlier invoices of which it gave lines back.
    fn shares(
        &self,
        note: &Invoice,
        wanted: Vec<GivenBack>,
        earlier: &impl EarlierLines,
    ) -> Vec<(InvoiceId, Amount)> {
        let mut shares = Shares { balances: self, rest: note.total, given: Vec::new() };
        for GivenBack { of, gross } in wanted {
            let mut more = of.iter().fold(gross, |more, invoice| shares.take(invoice, more));
            if more.minor() <= 0 {
                continue;
            }
            let remainders = earlier.remainders();
            let takers = of.iter().flat_map(|invoice| remainders.takers(invoice)).collect();
            let adders = of.iter().flat_map(|invoice| remainders.adders(invoice)).collect();
            for later in [takers, adders].map(|lines: Vec<_>| self.charged_by(earlier, lines)) {
                let later = later.into_iter();
                let later = later.filter_map(|(later, amounts)| Some((later, gross_of(note, amounts)?)));
                let later: Vec<(InvoiceId, Amount)> = later.collect();
                for limited in [true, false] {
                    for (later, charged) in &later {
                        let wanted = if limited && charged.minor() < more.minor() { *charged } else { more };
                        let left = shares.take(later, wanted);
                        let taken = wanted.checked_sub(left);
                        more = taken.and_then(|taken| more.checked_sub(taken)).unwrap_or(more);
                    }
                }
            }
            let earlier = of.iter().filter_map(|invoice| self.about.get(invoice)).flatten();
            earlier.fold(more, |more, invoice| shares.take(invoice, more));
        }
        shares.given
    }

    /// The invoices that such lines are on, in the order of their numbers, and what the lines charged above zero.
    fn charged_by<'l>(
        &self,
        earlier: &impl EarlierLines,
        lines: impl IntoIterator<Item = (&'l InvoiceId, u32)>,
    ) -> Vec<(InvoiceId, Vec<(Tax, Amount)>)> {
        let mut amounts: BTreeMap<&InvoiceId, Vec<(Tax, Amount)>> = BTreeMap::new();
        for (invoice, n) in lines.into_iter().filter(|(invoice, _)| self.of.contains_key(*invoice)) {
            if let Some((amount, tax)) = earlier.line(invoice, n).filter(|(amount, _)| amount.minor() > 0) {
                amounts.entry(invoice).or_default().push((tax, amount));
            }
        }
        amounts.into_iter().map(|(invoice, amounts)| (invoice.clone(), amounts)).collect()
    }

    /// The invoices of which the document of a run gives lines back, and of a note how much with tax.
    fn given_back(
        &self,
        note: &Invoice,
        lines: &[InvoiceLine],
        earlier: &impl EarlierLines,
    ) -> Vec<GivenBack> {
        // What charges more gives nothing back of the line it cites; what makes a line below zero greater or smaller, such
        // as a discount, changes what is given back. A charge by hand that cites a line corrects it.
        let gives_back = |line: &InvoiceLine, cited: &LineRef| {
            let of_earlier =
                matches!(line.kind, LineKind::Adjustment | LineKind::Advance) || line.kind.charge().is_some();
            let charged = earlier.line(&cited.invoice, cited.line);
            of_earlier
                && (as_charged(note.document, line.amount).minor() < 0
                    || charged.is_some_and(|(charged, _)| charged.minor() < 0))
        };
        let about = |line: &InvoiceLine| {
            let cited = line.cites.as_ref().filter(|cited| gives_back(line, cited))?;
            let known = self.of.contains_key(&cited.invoice) || self.about.contains_key(&cited.invoice);
            known.then(|| cited.invoice.clone())
        };
        let mut seen = BTreeSet::new();
        let invoices = lines.iter().filter_map(about).filter(|invoice| seen.insert(invoice.clone()));
        let wanted = invoices.filter_map(|invoice| {
            let back = lines.iter().filter(|line| about(line).as_ref() == Some(&invoice));
            let gross = gross_of(note, back.map(|line| (line.tax, line.amount)))?;
            let of = if self.of.contains_key(&invoice) {
                vec![invoice]
            } else {
                self.about.get(&invoice).cloned().unwrap_or_default()
            };
            Some(GivenBack { of, gross })
        });
        wanted.collect()
    }
}

/// What is known of the lines of earlier documents.
pub trait EarlierLines {
    /// What a line of the document of a run charged, and how it is taxed.
    fn line(&self, invoice: &InvoiceId, n: u32) -> Option<(Amount, Tax)>;

    /// What later documents took of the lines, or charged more for them.
    fn remainders(&self) -> &Remainders;
}

/// The shares of a note while they are worked out.
struct Shares<'b> {
    balances: &'b Balances,
    rest: Amount,
    given: Vec<(InvoiceId, Amount)>,
}

impl Shares<'_> {
    /// Gives an invoice its share of what is wanted; what it cannot take.
    fn take(&mut self, invoice: &InvoiceId, wanted: Amount) -> Amount {
        let Some(balance) = self.balances.of.get(invoice) else { return wanted };
        let given = self.given.iter_mut().find(|(known, _)| known == invoice);
        let open = balance.open();
        let open = given.as_ref().and_then(|(_, given)| open.checked_sub(*given)).unwrap_or(open);
        let limits = [wanted, open, self.rest].into_iter().min_by_key(|amount| amount.minor());
        let Some(share) = limits.filter(|share| share.minor() > 0) else { return wanted };
        self.rest = self.rest.checked_sub(share).unwrap_or(self.rest);
        match given {
            Some((_, given)) => *given = given.checked_add(share).unwrap_or(*given),
            None => self.given.push((invoice.clone(), share)),
        }
        wanted.checked_sub(share).unwrap_or(wanted)
    }
}

/// Amounts with their tax, which is rounded once for each category and rate. They contain it, if those of the note do: all
/// prices of a book do, or none.
fn gross_of(note: &Invoice, amounts: impl IntoIterator<Item = (Tax, Amount)>) -> Option<Amount> {
    let currency = note.currency;
    let mut by_tax: BTreeMap<Tax, Vec<Amount>> = BTreeMap::new();
    amounts.into_iter().for_each(|(tax, amount)| by_tax.entry(tax).or_default().push(amount));
    let gross = by_tax.into_iter().flat_map(|(tax, amounts)| {
        let sum = Amount::sum(currency, amounts);
        let split = sum.and_then(|sum| base_and_tax(note.price_tax, tax, sum, currency));
        [split.map(|(base, _)| base), split.map(|(_, tax)| tax)]
    });
    Amount::sum(currency, gross.flatten())
}
