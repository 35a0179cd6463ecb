//! What a quantity costs: the steps it is priced in, and their exact sum.
//!
//! What is free comes first, the tariff sees the rest: tiers and packages count what is left. Every step says what it costs by
//! itself, so that the sum can be done again by hand from a line of an invoice. Nothing is rounded here.

use slapledger_core::domain::invoice::PriceStep;
use slapledger_core::domain::money::{Exact, Price};
use slapledger_core::domain::pricing::{Tariff, Tier};
use slapledger_core::domain::quantity::{ONE, Quantity};

/// A quantity with its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Priced {
    /// The parts that cost differently; empty, if the sum is quantity times price.
    pub(crate) steps: Vec<PriceStep>,
    /// What each unit costs, if they all cost the same and nothing else is to be paid.
    pub(crate) unit_price: Option<Price>,
    /// What it costs.
    pub(crate) exact: Exact,
}

/// The price of a quantity, of which some is free. None, if it is more packages than can be written (10^15).
pub(crate) fn price(quantity: Quantity, free: Quantity, tariff: &Tariff) -> Option<Priced> {
    if let (Tariff::PerUnit { price }, true) = (tariff, free == Quantity::ZERO) {
        let exact = Exact::product(quantity, *price);
        return Some(Priced { steps: Vec::new(), unit_price: Some(*price), exact });
    }
    let free = quantity.min(free);
    let rest = Quantity::from_billionths(quantity.billionths() - free.billionths())?;
    let mut steps = Vec::new();
    if free > Quantity::ZERO {
        steps.push(alike(free, nothing()));
    }
    if rest > Quantity::ZERO {
        match tariff {
            Tariff::PerUnit { price } => steps.push(alike(rest, *price)),
            Tariff::Graduated { tiers } => graduated(rest, tiers, &mut steps),
            Tariff::Volume { tiers } => steps.extend(volume(rest, tiers)),
            Tariff::Package { size, price } => steps.push(alike(packages(rest, *size)?, *price)),
        }
    }
    let unit_price = match &*steps {
        // Nothing costs nothing, whatever its price.
        [] => Some(nothing()),
        [step] if step.quantity == quantity && step.flat == nothing() => Some(step.price),
        _ => None,
    };
    let exact = steps.iter().map(cost).sum();
    Some(Priced { steps, unit_price, exact })
}

pub(crate) fn alike(quantity: Quantity, price: Price) -> PriceStep {
    PriceStep { quantity, price, flat: nothing(), up_to: None }
}

fn nothing() -> Price {
    Price::from_billionths(0).expect("nothing is a price")
}

fn graduated(quantity: Quantity, tiers: &[Tier], steps: &mut Vec<PriceStep>) {
    let mut below = 0;
    for tier in tiers {
        let up_to = tier.up_to.map_or(quantity, |bound| bound.min(quantity)).billionths();
        let Some(part) = Quantity::from_billionths(up_to - below).filter(|part| *part > Quantity::ZERO)
        else {
            break;
        };
        let Tier { up_to: bound, price, flat } = *tier;
        steps.push(PriceStep { quantity: part, price, flat, up_to: bound });
        below = up_to;
    }
}

fn volume(quantity: Quantity, tiers: &[Tier]) -> Option<PriceStep> {
    let tier = tiers.iter().find(|tier| tier.up_to.is_none_or(|bound| quantity <= bound))?;
    Some(PriceStep { quantity, price: tier.price, flat: tier.flat, up_to: tier.up_to })
}

/// How many packages were begun.
fn packages(quantity: Quantity, size: Quantity) -> Option<Quantity> {
    let (quantity, size) = (quantity.billionths(), size.billionths());
    let full = quantity.checked_div(size)?;
    let begun = full + i128::from(quantity % size > 0);
    Quantity::from_billionths(begun.checked_mul(ONE)?)
}

/// What a step costs.
pub(crate) fn cost(step: &PriceStep) -> Exact {
    Exact::product(step.quantity, step.price).plus(once(step.flat))
}

fn once(price: Price) -> Exact {
    Quantity::from_billionths(ONE).map_or(Exact::ZERO, |one| Exact::product(one, price))
}

/// The sum of a line as it is done by hand, such as `1000 x 0.002 + 500 x 0.001 + flat 1 = 3.5`. Empty for a line that has
/// neither steps nor a price.
pub(crate) fn explain(quantity: Quantity, unit_price: Option<Price>, steps: &[PriceStep]) -> String {
    let whole = unit_price.filter(|_| steps.is_empty()).map(|price| alike(quantity, price));
    let steps: Vec<&PriceStep> = whole.iter().chain(steps).collect();
    if steps.is_empty() {
        return String::new();
    }
    let term = |step: &&PriceStep| {
        let PriceStep { quantity, price, flat, .. } = step;
        let flat = if *flat == nothing() { String::new() } else { format!(" + flat {flat}") };
        format!("{quantity} x {price}{flat}")
    };
    let terms: Vec<String> = steps.iter().map(term).collect();
    let sum: Exact = steps.into_iter().map(cost).sum();
    format!("{} = {sum}", terms.join(" + "))
}

#[cfg(test)]
mod tests;
