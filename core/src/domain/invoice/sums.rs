//! What has to add up in a document before it becomes final.

use crate::domain::money::{Amount, Currency, Exact, Price};
use crate::domain::pricing::PriceTax;
use crate::domain::quantity::{ONE, Quantity};
use crate::domain::tax::{Tax, TaxCategory};

use super::{Invoice, InvoiceLine, InvoiceRefusal, LineKind, PriceStep};

/// The base and the tax of lines of one category and rate, from their sum. `None`, if it has more digits than can be
/// counted.
pub fn base_and_tax(
    price_tax: PriceTax,
    tax: Tax,
    sum: Amount,
    currency: Currency,
) -> Option<(Amount, Amount)> {
    match price_tax {
        PriceTax::Exclusive => Some((sum, tax.round_on(sum, currency)?)),
        PriceTax::Inclusive => {
            let within = tax.round_within(sum, currency)?;
            Some((sum.checked_sub(within)?, within))
        }
    }
}

/// EN 16931: BR-CO-10 (sum of lines), BR-CO-13 and 14 (net and tax), BR-CO-15 and 16 (totals), BR-CO-17 (tax of a
/// category).
pub(super) fn check_sums(invoice: &Invoice) -> Result<(), InvoiceRefusal> {
    let currency = invoice.currency;
    let fails = |what| Err(InvoiceRefusal::SumsDoNotAddUp { what });
    if invoice.lines.iter().zip(1..).any(|(line, n)| line.n != n) {
        return fails("lines are not numbered from 1");
    }
    let subtotals = || invoice.tax.iter().flat_map(|subtotal| [subtotal.base, subtotal.amount]);
    let gross = match invoice.price_tax {
        PriceTax::Exclusive => Some(invoice.net),
        PriceTax::Inclusive => Amount::sum(currency, subtotals()),
    };
    if Amount::sum(currency, invoice.lines.iter().map(|line| line.amount)) != gross {
        return fails("net is not the sum of the lines");
    }
    for subtotal in &invoice.tax {
        let lines = invoice.lines.iter().filter(|line| line.tax == subtotal.tax).map(|line| line.amount);
        let sum = Amount::sum(currency, lines);
        let split = sum.and_then(|sum| base_and_tax(invoice.price_tax, subtotal.tax, sum, currency));
        let Some((base, tax)) = split else { return fails("tax base is not the sum of its lines") };
        if base != subtotal.base && invoice.price_tax.is_exclusive() {
            return fails("tax base is not the sum of its lines");
        }
        if subtotal.tax.category == TaxCategory::S {
            if tax != subtotal.amount {
                return fails("tax is not its rate of the base");
            }
            if base != subtotal.base {
                return fails("tax base is not the sum of its lines without the tax");
            }
        } else if subtotal.tax.rate != Quantity::ZERO {
            return fails("tax rate of a category without tax is not zero");
        } else if subtotal.amount != Amount::zero(currency) {
            return fails("tax outside the scope of tax is not zero");
        }
    }
    if Amount::sum(currency, invoice.tax.iter().map(|subtotal| subtotal.base)) != Some(invoice.net) {
        return fails("tax bases are not the net");
    }
    let parts = invoice.tax.iter().map(|subtotal| subtotal.amount).chain([invoice.net, invoice.rounding]);
    if Amount::sum(currency, parts) != Some(invoice.total) {
        return fails("total is not net, tax and rounding");
    }
    if !invoice.lines.iter().all(|line| line_adds_up(line, currency)) {
        return fails("a line is not quantity times price");
    }
    Ok(())
}

/// Its amount less its residue is what its steps, or quantity and price, make. A quantity has nine digits: of what was
/// computed from a fraction of time, the digits after the ninth are not in it.
fn line_adds_up(line: &InvoiceLine, currency: Currency) -> bool {
    let minor_unit = Exact::from(Amount::from_minor(1, currency));
    // What adjusts is the difference of several amounts that were rounded, and what takes the rest of one has its residue.
    let of_earlier = matches!(line.kind, LineKind::Adjustment | LineKind::Correction { .. });
    if !of_earlier && line.residue.is_beyond(minor_unit) {
        return false;
    }
    let parts: Vec<(Quantity, Price)> = match line.unit_price {
        Some(price) if line.steps.is_empty() => vec![(line.quantity, price)],
        None if line.steps.is_empty() => return true,
        _ => line.steps.iter().map(|step| (step.quantity, step.price)).collect(),
    };
    let last_digit = quantity(1);
    let once = |step: &PriceStep| quantity(if step.quantity.billionths() < 0 { -ONE } else { ONE });
    let flat: Exact = line.steps.iter().map(|step| Exact::product(once(step), step.flat)).sum();
    let shown: Exact = parts.iter().map(|(quantity, price)| Exact::product(*quantity, *price)).sum();
    let lost: Exact = parts.iter().map(|(_, price)| Exact::product(last_digit, *price)).sum();
    let exact = Exact::from(line.amount).minus(line.residue);
    !exact.minus(flat).minus(shown).is_beyond(lost)
}

fn quantity(billionths: i128) -> Quantity {
    Quantity::from_billionths(billionths).unwrap_or_default()
}
