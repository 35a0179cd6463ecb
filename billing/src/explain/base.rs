//! What percentages and minimums rest on: other lines of the same document.

use serde::Serialize;
use slapledger_core::domain::invoice::InvoiceLine;
use slapledger_core::domain::money::{Amount, Exact, Price};
use slapledger_core::domain::pricing::{Every, Model, Of, PriceBook, Rate};

use super::time::Time;
use super::{Basis, ExplainDesk, MOST, Why, rounded};
use crate::document::as_charged;
use crate::drafts::is_in_advance;
use crate::rating::{LineDetail, MinimumPart, Rated, RatingSubject, counts};

/// The lines that a percentage or a minimum is of.
#[derive(Debug, Serialize)]
pub struct Base {
    /// The first hundred of them.
    pub lines: Vec<BaseLine>,
    /// How many more there are.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub lines_left_out: u64,
    /// The sum of all of them.
    pub sum: Amount,
    /// What is to be paid at least: the line is what the sum lacks of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least: Option<Least>,
}

/// A line that counts.
#[derive(Debug, Serialize)]
pub struct BaseLine {
    /// Its number.
    pub n: u32,
    /// As something charged.
    pub amount: Amount,
}

/// What is to be paid at least: months x price of each part, rounded once.
#[derive(Debug, Serialize)]
pub struct Least {
    /// The months of the first part.
    pub time: Time,
    /// For one.
    pub price: Price,
    /// The other parts: at another price, or after a time without instances.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<LeastPart>,
    /// Before it is rounded.
    pub exact: Exact,
    /// Rounded.
    pub amount: Amount,
}

/// An uninterrupted time of a minimum that has one price.
#[derive(Debug, Serialize)]
pub struct LeastPart {
    /// The months.
    pub time: Time,
    /// For one.
    pub price: Price,
}

/// What a percentage or a minimum is of, and whether percentages count.
pub(super) fn of(rate: &Rate) -> Option<(&Of, bool)> {
    match &rate.model {
        Model::Percentage { of, .. } => Some((of, false)),
        Model::Minimum { of, .. } => Some((of, true)),
        _ => None,
    }
}

impl ExplainDesk<'_> {
    /// What a percentage or a minimum rests on.
    pub(super) fn of_lines(
        &self,
        subject: &RatingSubject<'_>,
        (line, again): (&InvoiceLine, Option<&Rated>),
        (book, rate): (&PriceBook, &Rate),
    ) -> Why {
        let Some((of, percentages)) = of(rate) else { return Why::default() };
        let Some(mut base) = self.base(line, of, percentages) else { return Why::default() };
        let sum = base.sum;
        let from = format!("{} lines add up to {sum}", base.lines.len() as u64 + base.lines_left_out);
        match rate.model {
            Model::Percentage { percent, .. } => {
                let exact = Exact::percentage(sum, percent).unwrap_or(Exact::ZERO);
                let formula = vec![
                    from,
                    format!("{sum} x {percent} / 100 = {exact}"),
                    rounded(exact, (line.amount, line.residue), (book.rounding, book.currency)),
                ];
                Why { formula, basis: Some(Basis::Lines(base)), exact: Some(exact), ..Why::default() }
            }
            Model::Minimum { price, .. } => {
                let parts = match again.map(|again| &again.detail) {
                    Some(LineDetail::Minimum(parts)) => parts.clone(),
                    _ => vec![MinimumPart { time: line.period, quantity: line.quantity, price }],
                };
                let exact = parts.iter().map(|part| Exact::product(part.quantity, part.price)).sum();
                let amount = Exact::round(exact, book.currency, book.rounding);
                let terms: Vec<String> =
                    parts.iter().map(|part| format!("{} x {}", part.quantity, part.price)).collect();
                let times = parts.into_iter().map(|MinimumPart { time, quantity, price }| LeastPart {
                    time: Time::of(subject, time, Every::Month, quantity),
                    price,
                });
                let mut times: Vec<LeastPart> = times.collect();
                let mut formula: Vec<String> = times.iter().map(|part| part.time.formula()).collect();
                formula.extend([
                    format!("at least {} = {exact}", terms.join(" + ")),
                    rounded(exact, (amount, line.residue), (book.rounding, book.currency)),
                    from,
                    format!("{amount} - {sum} = {}", line.amount),
                ]);
                let more = times.split_off(times.len().min(1));
                base.least = times.pop().map(|first| Least {
                    time: first.time,
                    price: first.price,
                    more,
                    exact,
                    amount,
                });
                Why { formula, basis: Some(Basis::Lines(base)), ..Why::default() }
            }
            _ => Why::default(),
        }
    }

    fn base(&self, line: &InvoiceLine, of: &Of, percentages: bool) -> Option<Base> {
        let priced = line.price_book.as_ref()?;
        let invoice = self.invoice();
        let versions = self.billing().books.versions(priced.name.as_str());
        let counted = invoice.lines.iter().filter(|other| {
            // What fees in advance really cost is settled afterwards.
            counts(other, (&priced.name, line.period), of, percentages) && !is_in_advance(other, versions)
        });
        let mut lines: Vec<BaseLine> =
            counted.map(|other| BaseLine { n: other.n, amount: as_charged(invoice, other).amount }).collect();
        let sum = Amount::sum(invoice.currency, lines.iter().map(|line| line.amount))?;
        let lines_left_out = lines.len().saturating_sub(MOST) as u64;
        lines.truncate(MOST);
        Some(Base { lines, lines_left_out, sum, least: None })
    }
}
