//! Credit notes by hand: what of an invoice is given back, whole lines or parts of them, and never more than is left.
//!
//! A credit note has the same tax as the lines it gives back: the tax on all that notes credited so far, less what
//! earlier notes had. So the notes of a document have together the tax on all they credited, rounded once. A note
//! lowers what is due first; what is more than that goes back into the prepaid credit that had paid, the newest first.

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};

use crate::domain::Outcome;
use crate::domain::id::{InvoiceId, Sequence, check_text};
use crate::domain::money::{Amount, Currency, Exact};
use crate::domain::pricing::PriceTax;
use crate::domain::quantity::{ONE, Quantity};
use crate::domain::tax::Tax;
use crate::domain::time::Timestamp;

use super::{
    Around, Balances, Citation, DocumentKind, EarlierLines, Invoice, InvoiceLine, InvoiceRefusal, Invoices,
    LineRef, Remainders, TaxSubtotal, as_charged, base_and_tax, known,
};

/// Give back what an invoice charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueCreditNote {
    /// The invoice as it was issued, the names of its parties sealed anew for the note.
    pub original: Invoice,
    /// What of it.
    pub give_back: GiveBack,
    /// Why, for people.
    pub reason: Box<str>,
    /// The last event that the amounts were worked out from, if they depend on what else corrects the invoice.
    pub as_of: Option<Sequence>,
}

/// What of an invoice is given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GiveBack {
    /// All that is left of it: it is void.
    All,
    /// Something of these lines.
    Lines(Vec<(u32, HowMuch)>),
}

/// How much of a line is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HowMuch {
    /// All that is left of it.
    Rest,
    /// So much.
    Amount(Amount),
    /// What is more than this.
    DownTo(Amount),
}

/// The longest reason, in bytes.
const MAX_REASON: usize = 500;

/// What the lines of a document of a run charged, and how they are taxed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct ChargedLines(Vec<(Amount, Tax)>);

impl ChargedLines {
    pub(super) fn of(document: DocumentKind, lines: &[InvoiceLine]) -> Self {
        Self(lines.iter().map(|line| (as_charged(document, line.amount), line.tax)).collect())
    }

    /// What a line charged.
    pub(super) fn amount(&self, line: u32) -> Option<Amount> {
        self.get(line).map(|(amount, _)| amount)
    }

    /// What a line charged, and how it is taxed.
    pub(super) fn get(&self, line: u32) -> Option<(Amount, Tax)> {
        self.0.get(index(line)?).copied()
    }
}

/// The lines of an invoice, with what is left of each.
struct Left {
    lines: Vec<LineLeft>,
    price_tax: PriceTax,
}

#[derive(Debug, Clone, Copy)]
struct LineLeft {
    charged: Amount,
    left: Amount,
    /// What earlier credit notes credited of it.
    credited: Amount,
    /// What is left of its residue.
    residue: Exact,
    tax: Tax,
}

impl Left {
    fn of(invoice: &Invoice, remainders: &Remainders) -> Self {
        let id = &invoice.id;
        let lines = invoice.lines.iter().map(|line| LineLeft {
            charged: line.amount,
            left: remainders.of(id, line.n, line.amount),
            credited: remainders.taken(id, line.n).map_or(nothing(line.amount), |taken| taken.credited),
            residue: remainders.residue(id, line.n, line.residue),
            tax: line.tax,
        });
        Self { lines: lines.collect(), price_tax: invoice.price_tax }
    }

    /// What is to be given back of each line, in the order of the document.
    fn wanted(
        &self,
        invoice: &Invoice,
        give_back: &GiveBack,
    ) -> Result<BTreeMap<usize, Amount>, InvoiceRefusal> {
        let GiveBack::Lines(wanted) = give_back else { return Ok(self.all(invoice.currency)) };
        if wanted.is_empty() {
            return Err(InvoiceRefusal::NoLines);
        }
        let mut lines = BTreeMap::new();
        for (n, how_much) in wanted {
            let line = *n;
            let unknown = || InvoiceRefusal::UnknownLine { invoice: invoice.id.clone(), line };
            let at = index(line).ok_or_else(unknown)?;
            let left = self.lines.get(at).ok_or_else(unknown)?.left;
            let amount = match how_much {
                HowMuch::Rest => left,
                HowMuch::Amount(amount) => *amount,
                HowMuch::DownTo(amount) => left.checked_sub(*amount).unwrap_or(left),
            };
            if !amount.is_in(invoice.currency) {
                return Err(InvoiceRefusal::BadAmount { currency: invoice.currency });
            }
            let (some, all) = (amount.minor(), left.minor());
            if some == 0 || some.signum() != all.signum() || some.unsigned_abs() > all.unsigned_abs() {
                return Err(InvoiceRefusal::MoreThanLeft { line, left });
            }
            if lines.insert(at, amount).is_some() {
                return Err(InvoiceRefusal::LineTwice { line });
            }
        }
        Ok(lines)
    }

    /// The base and the tax of what is given back under a category and rate: of all that notes credited so far, less what
    /// earlier notes had. What a later invoice settled or adjusted has its tax there.
    fn base_and_tax(
        &self,
        (currency, price_tax): (Currency, PriceTax),
        tax: Tax,
        sum: Amount,
    ) -> Option<(Amount, Amount)> {
        let of_tax = self.lines.iter().filter(|line| line.tax == tax);
        let before = Amount::sum(currency, of_tax.map(|line| line.credited))?;
        let after = base_and_tax(price_tax, tax, before.checked_add(sum)?, currency)?;
        let before = base_and_tax(price_tax, tax, before, currency)?;
        Some((after.0.checked_sub(before.0)?, after.1.checked_sub(before.1)?))
    }

    /// All that is left, for a void. If later documents took everything, the first line stands for all, with nothing.
    fn all(&self, currency: Currency) -> BTreeMap<usize, Amount> {
        let lines = self.lines.iter().enumerate();
        // Of a line whose amount is gone something of its exact price may be left: an amount of zero, and a residue.
        let some = lines.filter(|(_, line)| {
            line.left.minor() != 0 || line.charged.minor() == 0 || line.residue != Exact::ZERO
        });
        let mut all: BTreeMap<usize, Amount> = some.map(|(at, line)| (at, line.left)).collect();
        if all.is_empty() {
            return self.lines.first().map(|_| (0, Amount::zero(currency))).into_iter().collect();
        }
        // A note never asks for money: so much of the lines below zero is left to the next run, which settles it.
        if self.total(currency, &all).is_some_and(|total| total.minor() < 0) {
            let mut room: i128 = all.values().map(|amount| amount.minor().max(0)).sum();
            for amount in all.values_mut().filter(|amount| amount.minor() < 0) {
                *amount = Amount::from_minor(amount.minor().max(-room), currency);
                room += amount.minor();
            }
            all.retain(|at, amount| {
                amount.minor() != 0 || self.lines.get(*at).is_some_and(|line| line.left.minor() == 0)
            });
        }
        all
    }

    /// What is given back together with its tax.
    fn total(&self, currency: Currency, wanted: &BTreeMap<usize, Amount>) -> Option<Amount> {
        let mut by_tax: BTreeMap<Tax, Vec<Amount>> = BTreeMap::new();
        for (at, amount) in wanted {
            by_tax.entry(self.lines.get(*at)?.tax).or_default().push(*amount);
        }
        let totals = by_tax.into_iter().map(|(tax, amounts)| {
            let base = Amount::sum(currency, amounts)?;
            let (base, amount) = self.base_and_tax((currency, self.price_tax), tax, base)?;
            base.checked_add(amount)
        });
        Amount::sum(currency, totals.collect::<Option<Vec<_>>>()?)
    }
}

impl Invoices {
    pub(crate) fn credit(
        &self,
        around: Around<'_>,
        command: &IssueCreditNote,
        now: Timestamp,
    ) -> Result<Outcome<InvoiceId>, InvoiceRefusal> {
        let IssueCreditNote { original, give_back, reason, as_of } = command;
        let invoice = || original.id.clone();
        check_is_invoice(original)?;
        let charged = self
            .charged
            .get(&original.id)
            .ok_or_else(|| InvoiceRefusal::UnknownInvoice { invoice: invoice() })?;
        if !original.lines.iter().map(|line| (line.amount, line.tax)).eq(charged.0.iter().copied()) {
            return Err(InvoiceRefusal::OtherDocument { invoice: invoice() });
        }
        check_text(reason, MAX_REASON).map_err(InvoiceRefusal::BadReason)?;
        self.check_stands(&original.id)?;
        if let Some(as_of) = as_of {
            self.check_unchanged((original.seller.party, original.buyer.party, original.currency), *as_of)?;
        }
        let note = decided(original, (give_back, reason), (&self.balances, &self.lines()))?;
        let parties = around.parties;
        let (seller, buyer) = (known(parties, note.seller.party)?, known(parties, note.buyer.party)?);
        self.issue(around, note, (seller, buyer), now)
    }
}

/// The credit note that gives something of an invoice back after all earlier documents, without its number and its dates.
/// This decides a command, and it checks a note that was issued.
pub fn credit_note(
    original: &Invoice,
    (give_back, reason): (&GiveBack, &str),
    (balances, earlier): (&Balances, &impl EarlierLines),
) -> Result<Invoice, InvoiceRefusal> {
    check_is_invoice(original)?;
    check_text(reason, MAX_REASON).map_err(InvoiceRefusal::BadReason)?;
    if earlier.remainders().is_void(&original.id) {
        return Err(InvoiceRefusal::Void { invoice: original.id.clone() });
    }
    decided(original, (give_back, reason), (balances, earlier))
}

fn check_is_invoice(original: &Invoice) -> Result<(), InvoiceRefusal> {
    match original.document {
        DocumentKind::Invoice => Ok(()),
        DocumentKind::CreditNote => Err(InvoiceRefusal::NotAnInvoice { invoice: original.id.clone() }),
    }
}

fn decided(
    original: &Invoice,
    (give_back, reason): (&GiveBack, &str),
    (balances, earlier): (&Balances, &impl EarlierLines),
) -> Result<Invoice, InvoiceRefusal> {
    let left = Left::of(original, earlier.remainders());
    let wanted = left.wanted(original, give_back)?;
    let mut note = note(original, (&left, &wanted), (*give_back == GiveBack::All, reason))?;
    note.prepaid = balances.returned_by_hand(&note, &original.id, earlier);
    let paid = Amount::sum(note.currency, note.prepaid.iter().map(|back| back.amount));
    note.due = paid.and_then(|paid| note.total.checked_sub(paid)).unwrap_or(note.total);
    Ok(note)
}

fn note(
    original: &Invoice,
    (left, wanted): (&Left, &BTreeMap<usize, Amount>),
    (void, reason): (bool, &str),
) -> Result<Invoice, InvoiceRefusal> {
    let currency = original.currency;
    let sum = |amounts: &mut dyn Iterator<Item = Amount>| {
        Amount::sum(currency, amounts)
            .ok_or(InvoiceRefusal::SumsDoNotAddUp { what: "the sum has more digits than can be counted" })
    };
    let given = sum(&mut wanted.values().copied())?;
    let net_left = sum(&mut left.lines.iter().map(|line| line.left))?;
    let rest = left.lines.iter().enumerate().filter(|(at, line)| wanted.get(at) != Some(&line.left));
    let all = void || rest.map(|(_, line)| line.left.minor()).all(|minor| minor == 0);
    if !void && (given.minor() > net_left.minor() || given.minor() < 0 || (given.minor() == 0 && !all)) {
        let invoice = original.id.clone();
        return Err(InvoiceRefusal::MoreThanDocument { invoice, net: given, left: net_left });
    }
    let cited = wanted.iter().filter_map(|(at, amount)| Some((original.lines.get(*at)?, *amount)));
    let lines: Vec<InvoiceLine> = (1..)
        .zip(cited.zip(wanted.keys().filter_map(|at| left.lines.get(*at))))
        .map(|(n, ((line, amount), left))| given_back((n, &original.id), line, (amount, left)))
        .collect();
    let taxes: BTreeSet<Tax> = lines.iter().map(|line| line.tax).collect();
    let subtotals = taxes.into_iter().map(|tax| {
        let of_tax = sum(&mut lines.iter().filter(|line| line.tax == tax).map(|line| line.amount))?;
        let split = left.base_and_tax((currency, original.price_tax), tax, of_tax);
        let (base, amount) = split.unwrap_or((of_tax, Amount::zero(currency)));
        let exemption = original.tax.iter().find(|subtotal| subtotal.tax == tax);
        let exemption = exemption.and_then(|subtotal| subtotal.exemption.clone());
        Ok(TaxSubtotal { tax, base, amount, exemption })
    });
    let tax = subtotals.collect::<Result<Vec<_>, InvoiceRefusal>>()?;
    let net = sum(&mut tax.iter().map(|subtotal| subtotal.base))?;
    let rounding = if all { original.rounding } else { Amount::zero(currency) };
    let total = sum(&mut tax.iter().map(|subtotal| subtotal.amount).chain([net, rounding]))?;
    let citation = Citation { invoice: original.id.clone(), reason: reason.into(), all };
    Ok(Invoice {
        document: DocumentKind::CreditNote,
        cites: Some(citation),
        lines,
        net,
        tax,
        rounding,
        total,
        prepaid: Vec::new(),
        due: total,
        ..original.clone()
    })
}

/// A line that gives one back: as it was, or a part of it. The residue goes back with what is last of it.
fn given_back(
    (n, invoice): (u32, &InvoiceId),
    line: &InvoiceLine,
    (amount, left): (Amount, &LineLeft),
) -> InvoiceLine {
    let cites = Some(LineRef { invoice: invoice.clone(), line: line.n });
    if amount == line.amount && left.residue == line.residue {
        return InvoiceLine { n, cites, ..line.clone() };
    }
    let one = if amount.minor() < 0 { -ONE } else { ONE };
    InvoiceLine {
        n,
        description: format!("part of: {}", line.description).into(),
        quantity: Quantity::from_billionths(one).unwrap_or_default(),
        unit: "part".into(),
        unit_price: None,
        steps: Vec::new(),
        amount,
        residue: if amount == left.left { left.residue } else { Exact::ZERO },
        cites,
        ..line.clone()
    }
}

fn nothing(like: Amount) -> Amount {
    like.checked_sub(like).unwrap_or(like)
}

fn index(line: u32) -> Option<usize> {
    usize::try_from(line).ok()?.checked_sub(1)
}
