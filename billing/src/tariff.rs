//! What a quantity costs: the steps it is priced in, and their exact sum.
//!
//! What is free comes first, the tariff sees the rest: tiers and packages count what is left. A quantity may continue
//! another: then what is free, tiers and packages go on where that ended. Every step says what it costs by itself, so
//! that the sum can be done again by hand from a line of an invoice. Nothing is rounded here but the share of a price.

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

/// Where a quantity stands among all that is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Continued {
    /// What was counted before it: what is free and the lower tiers are taken by that, and packages begun.
    pub(crate) before: Quantity,
    /// All that is counted together, also after it.
    pub(crate) total: Quantity,
}

impl Continued {
    /// Nothing else is counted.
    pub(crate) fn anew(quantity: Quantity) -> Self {
        Self { before: Quantity::ZERO, total: quantity }
    }
}

impl Priced {
    /// A share of it: every step is that share of itself, rounded half up to nine digits.
    pub(crate) fn scaled(self, part: i128, whole: i128) -> Option<Self> {
        let share = |billionths: i128| part_of(billionths, part, whole);
        let step = |step: PriceStep| {
            let quantity = Quantity::from_billionths(share(step.quantity.billionths()))?;
            let flat = Price::from_billionths(share(step.flat.billionths())).ok()?;
            Some(PriceStep { quantity, flat, ..step })
        };
        let steps: Vec<PriceStep> = self.steps.into_iter().map(step).collect::<Option<_>>()?;
        let exact = steps.iter().map(cost).sum();
        Some(Self { steps, unit_price: self.unit_price, exact })
    }
}

/// A share of a number, rounded half up; `part` is at most `whole`.
pub(crate) fn part_of(number: i128, part: i128, whole: i128) -> i128 {
    let (mut part, mut whole) = (part, whole.max(1));
    // The product of a rest and a part must fit; 62 bits of a share are more than a quantity shows.
    while whole >= 1 << 62 {
        (part, whole) = (part >> 1, whole >> 1);
    }
    (number / whole) * part + ((number % whole) * part + whole / 2).div_euclid(whole)
}

/// The price of a quantity, of which some is free. None, if it is more packages than can be written (10^15).
pub(crate) fn price(quantity: Quantity, free: Quantity, tariff: &Tariff) -> Option<Priced> {
    continued(quantity, Continued::anew(quantity), free, tariff)
}

/// The same of a quantity that continues what was counted before.
pub(crate) fn continued(
    quantity: Quantity,
    Continued { before, total }: Continued,
    free: Quantity,
    tariff: &Tariff,
) -> Option<Priced> {
    if let (Tariff::PerUnit { price }, true) = (tariff, free == Quantity::ZERO) {
        let exact = Exact::product(quantity, *price);
        return Some(Priced { steps: Vec::new(), unit_price: Some(*price), exact });
    }
    let less = |one: Quantity, other: Quantity| {
        Quantity::from_billionths((one.billionths() - other.billionths()).max(0))
    };
    let free_now = quantity.min(less(free, before)?);
    let (rest, rest_before) = (less(quantity, free_now)?, less(before, free)?);
    let mut steps = Vec::new();
    if free_now > Quantity::ZERO {
        steps.push(alike(free_now, nothing()));
    }
    if rest > Quantity::ZERO {
        match tariff {
            Tariff::PerUnit { price } => steps.push(alike(rest, *price)),
            Tariff::Graduated { tiers } => graduated(rest_before, rest, tiers, &mut steps),
            Tariff::Volume { tiers } => steps.extend(volume((rest_before, rest), less(total, free)?, tiers)),
            Tariff::Package { size, price } => {
                steps.push(alike(packages((rest_before, rest), *size)?, *price));
            }
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

/// The same, if what is left of a trial costs nothing before anything else counts: it is a step of its own.
pub(crate) fn after_trial(
    quantity: Quantity,
    continued_by: Continued,
    (trial, free): (Quantity, Quantity),
    tariff: &Tariff,
) -> Option<Priced> {
    let both = Quantity::from_billionths(trial.billionths() + free.billionths())?;
    let priced = continued(quantity, continued_by, both, tariff)?;
    let left = (trial.billionths() - continued_by.before.billionths()).max(0);
    let in_trial = Quantity::from_billionths(left.min(quantity.billionths()))?;
    let (mut steps, mut unit_price) = (priced.steps, priced.unit_price);
    match steps.first_mut() {
        // What is free follows the trial at the same price of nothing.
        Some(first) if in_trial > Quantity::ZERO && first.quantity > in_trial && free > Quantity::ZERO => {
            first.quantity = Quantity::from_billionths(first.quantity.billionths() - in_trial.billionths())?;
            steps.insert(0, alike(in_trial, nothing()));
            unit_price = None;
        }
        _ => {}
    }
    Some(Priced { steps, unit_price, exact: priced.exact })
}

/// A quantity that costs nothing.
pub(crate) fn for_nothing(quantity: Quantity) -> Priced {
    Priced { steps: vec![alike(quantity, nothing())], unit_price: Some(nothing()), exact: Exact::ZERO }
}

pub(crate) fn alike(quantity: Quantity, price: Price) -> PriceStep {
    PriceStep { quantity, price, flat: nothing(), up_to: None }
}

fn nothing() -> Price {
    Price::from_billionths(0).expect("nothing is a price")
}

fn graduated(before: Quantity, quantity: Quantity, tiers: &[Tier], steps: &mut Vec<PriceStep>) {
    let (from, until) = (before.billionths(), before.billionths() + quantity.billionths());
    let mut below = 0;
    for tier in tiers {
        let up_to = tier.up_to.map_or(until, |bound| bound.billionths().min(until));
        let begins = below.max(from);
        let Tier { up_to: bound, price, flat } = *tier;
        if let Some(part) = Quantity::from_billionths(up_to - begins).filter(|part| *part > Quantity::ZERO) {
            // What is paid once was paid by the part that began the tier.
            let flat = if from <= below { flat } else { nothing() };
            steps.push(PriceStep { quantity: part, price, flat, up_to: bound });
        }
        below = up_to.max(below);
    }
}

fn volume((before, quantity): (Quantity, Quantity), total: Quantity, tiers: &[Tier]) -> Option<PriceStep> {
    let tier = tiers.iter().find(|tier| tier.up_to.is_none_or(|bound| total <= bound))?;
    let flat = if before == Quantity::ZERO { tier.flat } else { nothing() };
    Some(PriceStep { quantity, price: tier.price, flat, up_to: tier.up_to })
}

/// How many packages a quantity begins that follows another.
fn packages((before, quantity): (Quantity, Quantity), size: Quantity) -> Option<Quantity> {
    let begun = |quantity: i128| {
        let full = quantity.checked_div(size.billionths())?;
        Some(full + i128::from(quantity % size.billionths() > 0))
    };
    let until = before.billionths() + quantity.billionths();
    let more = begun(until)? - begun(before.billionths())?;
    Quantity::from_billionths(more.checked_mul(ONE)?)
}

/// What a step costs.
pub(crate) fn cost(step: &PriceStep) -> Exact {
    Exact::product(step.quantity, step.price).plus(once(step.flat))
}

fn once(price: Price) -> Exact {
    Quantity::from_billionths(ONE).map_or(Exact::ZERO, |one| Exact::product(one, price))
}

/// The sum of a line as it is done by hand, such as `1000 x 0.002 + 500 x 0.001 + flat 1 = 3.5`. Empty for a line that
/// has neither steps nor a price.
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
