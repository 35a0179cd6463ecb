//! Settling what was charged in advance: what a month really cost, less what was charged for it before it began.

use std::collections::BTreeMap;

use slapledger_core::domain::id::{InstanceId, PriceBookName, Sequence};
use slapledger_core::domain::invoice::{InvoiceLine, LineKind, LineRef, PriceStep};
use slapledger_core::domain::money::{Amount, Currency, Exact};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::tax::Tax;

use super::{Complete, Own, RatedLine};

/// A fee that an issued document charged in advance for time in the period that is rated now.
pub(crate) struct ChargedInAdvance {
    /// As something charged.
    pub(crate) line: InvoiceLine,
    pub(crate) at: LineRef,
    /// What of its amount remains.
    pub(crate) left: Amount,
    /// What is left of its residue.
    pub(crate) residue: Exact,
    /// The event that issued the document.
    pub(crate) issued: Sequence,
}

/// The lines that settle fees in advance: what they really cost, and what was charged for them, where the two differ.
pub(crate) fn settle(
    own: Own<'_>,
    charged: Vec<ChargedInAdvance>,
    (book, currency): (&PriceBookName, Currency),
) -> Vec<RatedLine> {
    // Lines name no item; those of one instance are settled together.
    let mut by_instance: BTreeMap<InstanceId, (Vec<RatedLine>, Vec<ChargedInAdvance>)> = BTreeMap::new();
    for ((instance, _), lines) in own.in_advance {
        by_instance.entry(instance).or_default().0.extend(lines);
    }
    for charged in charged {
        let of_book = charged.line.price_book.as_ref().is_some_and(|priced| priced.name == *book);
        if let Some(instance) = charged.line.instance.filter(|_| of_book) {
            by_instance.entry(instance).or_default().1.push(charged);
        }
    }
    let unsettled = by_instance.into_values().filter(|(cost, charged)| {
        let cost = by_tax(cost.iter().map(|rated| (rated.line.tax, rated.line.amount)), currency);
        cost != by_tax(charged.iter().map(|charged| (charged.line.tax, charged.left)), currency)
    });
    let lines =
        unsettled.flat_map(|(cost, charged)| cost.into_iter().chain(charged.into_iter().map(taken_back)));
    lines.collect()
}

/// What amounts come to for each tax: a rate that changed after a fee was charged makes another document of it, though the
/// fee is the same. `None`, if it is too much for an amount.
fn by_tax(amounts: impl Iterator<Item = (Tax, Amount)>, currency: Currency) -> Option<BTreeMap<Tax, Amount>> {
    let mut sums: BTreeMap<Tax, Amount> = BTreeMap::new();
    for (tax, amount) in amounts {
        let sum = sums.entry(tax).or_insert(Amount::zero(currency));
        *sum = sum.checked_add(amount)?;
    }
    sums.retain(|_, amount| amount.minor() != 0);
    Some(sums)
}

/// The line of what was charged in advance, turned round.
fn taken_back(charged: ChargedInAdvance) -> RatedLine {
    let ChargedInAdvance { line, at, left, residue, issued } = charged;
    let description = format!("charged in advance by {}: {}", at.invoice, line.description);
    settled((line, at), (left, residue), issued, LineKind::Advance, description)
}

/// A line of an earlier document, turned round as far as it and its residue are left.
pub(crate) fn settled(
    (line, at): (InvoiceLine, LineRef),
    (left, residue): (Amount, Exact),
    issued: Sequence,
    kind: LineKind,
    description: String,
) -> RatedLine {
    let whole = left == line.amount && residue == line.residue;
    let minus = |quantity: Quantity| Quantity::from_billionths(-quantity.billionths()).unwrap_or_default();
    let steps = line.steps.iter().map(|step| PriceStep { quantity: minus(step.quantity), ..step.clone() });
    let taken = InvoiceLine {
        // Of what was given back in part there is no quantity that costs the rest.
        unit_price: line.unit_price.filter(|_| whole),
        steps: if whole { steps.collect() } else { Vec::new() },
        quantity: minus(line.quantity),
        amount: left.negated(),
        residue: Exact::ZERO.minus(residue),
        cites: Some(at),
        ..line
    };
    RatedLine::new(taken.of_kind(kind).described(description), vec![issued])
}
