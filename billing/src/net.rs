//! Lines without tax: amounts of a document with tax in its prices contain it.

use std::collections::BTreeMap;

use slapledger_core::domain::invoice::Invoice;
use slapledger_core::domain::money::Amount;
use slapledger_core::domain::tax::Tax;

/// A total in proportion to some amounts: each boundary between them is rounded half up, so that the shares add up to it.
/// All are zero, if the amounts come to nothing.
pub(crate) fn shares(total: Amount, amounts: &[Amount]) -> Vec<Amount> {
    let all: i128 = amounts.iter().map(|amount| amount.minor()).sum();
    let (mut sum, mut before) = (0_i128, 0_i128);
    let shares = amounts.iter().map(|amount| {
        sum += amount.minor();
        let until = if sum == all { total.minor() } else { part(total.minor(), sum, all) };
        let share = if all == 0 { 0 } else { until - before };
        before = until;
        like(total, share)
    });
    shares.collect()
}

/// So much of a total, rounded half up.
fn part(total: i128, some: i128, all: i128) -> i128 {
    let (mut some, mut all) = (some, all);
    // What cannot be multiplied is beyond any money: fewer digits do.
    let product = loop {
        if let Some(product) = total.checked_mul(some).and_then(|product| product.checked_mul(2)) {
            break product;
        }
        (some, all) = (some / 2, all / 2);
    };
    if all == 0 { 0 } else { (product + all * product.signum() * all.signum()) / (2 * all) }
}

fn like(amount: Amount, minor: i128) -> Amount {
    amount.with_minor(minor)
}

/// What each line of a document comes to without tax. If amounts contain tax, that of each category and rate is divided
/// among its lines.
pub fn line_nets(invoice: &Invoice) -> Vec<Amount> {
    let mut nets: Vec<Amount> = invoice.lines.iter().map(|line| line.amount).collect();
    if invoice.price_tax.is_exclusive() {
        return nets;
    }
    let mut by_tax: BTreeMap<Tax, Vec<usize>> = BTreeMap::new();
    for (at, line) in invoice.lines.iter().enumerate() {
        by_tax.entry(line.tax).or_default().push(at);
    }
    for subtotal in &invoice.tax {
        let lines = by_tax.get(&subtotal.tax).map_or(&[][..], Vec::as_slice);
        let amounts: Vec<Amount> = lines.iter().map(|at| nets[*at]).collect();
        for (at, share) in lines.iter().zip(shares(subtotal.amount, &amounts)) {
            nets[*at] = nets[*at].checked_sub(share).unwrap_or(nets[*at]);
        }
    }
    nets
}

#[cfg(test)]
mod tests {
    use slapledger_core::domain::money::Currency;

    use super::*;

    #[test]
    fn shares_add_up_to_the_total() {
        let rows: [(i128, &[i128], &[i128]); 7] = [
            (135, &[980, 500], &[89, 46]),
            (10, &[1, 1, 1], &[3, 4, 3]),
            (-10, &[-1, -1, -1], &[-3, -4, -3]),
            (5, &[-10, 30, 20], &[-1, 4, 2]),
            (0, &[10, -10], &[0, 0]),
            (7, &[], &[]),
            (1, &[i128::MAX / 8, i128::MAX / 8], &[1, 0]),
        ];
        let euros = |minor: &i128| Amount::from_minor(*minor, Currency::EUR);
        for (total, amounts, expected) in rows {
            let amounts: Vec<Amount> = amounts.iter().map(euros).collect();
            let found: Vec<i128> =
                shares(euros(&total), &amounts).iter().map(|share| share.minor()).collect();
            assert_eq!(found, expected, "{total}");
        }
    }
}
