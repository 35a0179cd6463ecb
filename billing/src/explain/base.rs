//! What percentages, discounts, minimums and maximums rest on: other lines of the same document.

use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::invoice::InvoiceLine;
use slapledger_core::domain::money::{Amount, Exact, Price};
use slapledger_core::domain::pricing::{Every, Model, Of, PriceBook, Rate};

use super::time::TimeExplained;
use super::{ExplainDesk, ExplanationParts, LineBasis, MOST, rounded};
use crate::document::as_charged;
use crate::rating::{
    LineDetail, MinimumBefore, MinimumPart, RatedLine, RatingSubject, ReductionDetail, ReductionRule, counts,
};

/// The lines that a percentage, a minimum or a maximum is of.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BaseExplained {
    /// The first hundred of them.
    pub lines: Vec<BaseLine>,
    /// How many more there are.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub lines_left_out: u64,
    /// The sum of all of them.
    pub sum: Amount,
    /// What discounts and maximums that come before take off them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_off: Option<Amount>,
    /// What is to be paid at least: the line is what the sum lacks of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least: Option<LeastExplained>,
    /// What is to be paid at most: the line is what is above it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<LeastExplained>,
    /// What of the month another run charged, before the time of the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<BeforeExplained>,
}

/// What was charged of a month before the time of a minimum or a maximum.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BeforeExplained {
    /// What is left of the lines that count.
    pub sum: Amount,
    /// By the minimum itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Amount>,
    /// What the maximum itself took off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_off: Option<Amount>,
}

/// A line that counts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BaseLine {
    /// Its number.
    pub n: u32,
    /// As something charged.
    pub amount: Amount,
}

/// What is to be paid at least or at most: months x price of each part, rounded once.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LeastExplained {
    /// The months of the first part.
    pub time: TimeExplained,
    /// For one.
    pub price: Price,
    /// The other parts: at another price, or after a time without instances.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<LeastPartExplained>,
    /// Before it is rounded.
    pub exact: Exact,
    /// Rounded.
    pub amount: Amount,
}

/// An uninterrupted time of a minimum or a maximum that has one price.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LeastPartExplained {
    /// The months.
    pub time: TimeExplained,
    /// For one.
    pub price: Price,
}

/// What a percentage, a minimum or a maximum is of, and whether percentages count.
pub(super) fn of(rate: &Rate) -> Option<(&Of, bool)> {
    match &rate.model {
        Model::Percentage { of, .. } => Some((of, false)),
        Model::Minimum { of, .. } | Model::Maximum { of, .. } | Model::Discount { of, .. } => {
            Some((of, true))
        }
        _ => None,
    }
}

impl ExplainDesk<'_> {
    /// What a percentage, a minimum or a maximum rests on.
    pub(super) fn of_lines(
        &self,
        subject: &RatingSubject<'_>,
        (line, again): (&InvoiceLine, Option<&RatedLine>),
        (book, rate): (&PriceBook, &Rate),
    ) -> ExplanationParts {
        let Some((of, percentages)) = of(rate) else { return ExplanationParts::default() };
        let Some(base) = self.base((subject, line), rate, (of, percentages)) else {
            return ExplanationParts::default();
        };
        let detail = again.map(|again| &again.detail);
        match (&rate.model, detail) {
            (Model::Percentage { percent, .. }, _) => {
                let left = match detail {
                    Some(LineDetail::Percentage(left)) => *left,
                    _ => base.sum,
                };
                let (base, mut formula) = base.left(left, None);
                let exact = Exact::percentage(left, *percent).unwrap_or(Exact::ZERO);
                formula.extend([
                    format!("{left} x {percent} / 100 = {exact}"),
                    rounded(exact, (line.amount, line.residue), (book.rounding, book.currency)),
                ]);
                let basis = Some(LineBasis::Lines(base));
                ExplanationParts { formula, basis, exact: Some(exact), ..ExplanationParts::default() }
            }
            (Model::Minimum { price, .. }, _) => {
                let (parts, left, before) = if let Some(LineDetail::Minimum { parts, base, before }) = detail
                {
                    (parts.clone(), *base, before.clone())
                } else {
                    let part = MinimumPart { time: line.period, quantity: line.quantity, price: *price };
                    (vec![part], base.sum, None)
                };
                let (mut base, from) = base.left(left, None);
                let (least, mut formula) = priced_months(subject, ("at least", parts), line.residue, book);
                let amount = least.as_ref().map_or(Amount::zero(book.currency), |least| least.amount);
                formula.extend(from);
                formula.push(match &before {
                    None => format!("{amount} - {left} = {}", line.amount),
                    Some(MinimumBefore { base, amount: minimum }) => format!(
                        "{amount} - {base} (before) - {left}, but not below 0, - {minimum} (the minimum before) = {}",
                        line.amount
                    ),
                });
                base.before = before.map(|MinimumBefore { base, amount }| BeforeExplained {
                    sum: base,
                    minimum: Some(amount),
                    taken_off: None,
                });
                base.least = least;
                ExplanationParts {
                    formula,
                    basis: Some(LineBasis::Lines(base)),
                    ..ExplanationParts::default()
                }
            }
            (_, Some(LineDetail::Reduction(detail))) => reduction(subject, (line, detail), base, book),
            _ => ExplanationParts::default(),
        }
    }

    fn base(
        &self,
        (subject, line): (&RatingSubject<'_>, &InvoiceLine),
        rate: &Rate,
        (of, percentages): (&Of, bool),
    ) -> Option<BaseExplained> {
        let priced = line.price_book.as_ref()?;
        let invoice = self.invoice();
        let counted = invoice.lines.iter().filter(|other| {
            // What fees in advance really cost is settled afterwards.
            counts(other, (&priced.name, line.period), of, percentages)
                && !self.billing().is_in_advance(other)
                && subject.prices.is_reduced(line, other)
                && is_in_time(rate, other)
        });
        let mut lines: Vec<BaseLine> =
            counted.map(|other| BaseLine { n: other.n, amount: as_charged(invoice, other).amount }).collect();
        let sum = Amount::sum(invoice.currency, lines.iter().map(|line| line.amount))?;
        let lines_left_out = lines.len().saturating_sub(MOST) as u64;
        lines.truncate(MOST);
        Some(BaseExplained {
            lines,
            lines_left_out,
            sum,
            taken_off: None,
            least: None,
            most: None,
            before: None,
        })
    }
}

/// Whether a line begins before a discount ends.
fn is_in_time(rate: &Rate, line: &InvoiceLine) -> bool {
    match &rate.model {
        Model::Discount { limits, .. } => limits.until.is_none_or(|until| line.period.start < until),
        _ => true,
    }
}

impl BaseExplained {
    /// What is left of the lines after what comes before, and how: `before` is what is left of lines of the month that
    /// are on other documents.
    fn left(mut self, left: Amount, before: Option<Amount>) -> (Self, Vec<String>) {
        let (count, sum) = (self.lines.len() as u64 + self.lines_left_out, self.sum);
        let mut formula = vec![format!("{count} lines add up to {sum}")];
        let with_before = before.and_then(|before| sum.checked_add(before)).unwrap_or(sum);
        if let Some(before) = before {
            formula.push(format!(
                "{sum} + {before} (left of what was charged before in the month) = {with_before}"
            ));
        }
        self.taken_off = with_before.checked_sub(left).filter(|taken| taken.minor() != 0);
        if let Some(taken) = self.taken_off {
            formula.push(format!(
                "{with_before} - {taken} (what discounts and maximums before it take off) = {left}"
            ));
        }
        (self, formula)
    }
}

/// Months at their prices, and how that is computed.
fn priced_months(
    subject: &RatingSubject<'_>,
    (word, parts): (&str, Vec<MinimumPart>),
    residue: Exact,
    book: &PriceBook,
) -> (Option<LeastExplained>, Vec<String>) {
    let exact = parts.iter().map(|part| Exact::product(part.quantity, part.price)).sum();
    let amount = Exact::round(exact, book.currency, book.rounding);
    let terms: Vec<String> = parts.iter().map(|part| format!("{} x {}", part.quantity, part.price)).collect();
    let times = parts.into_iter().map(|MinimumPart { time, quantity, price }| LeastPartExplained {
        time: TimeExplained::of(subject, time, Every::Month, quantity),
        price,
    });
    let mut times: Vec<LeastPartExplained> = times.collect();
    let mut formula: Vec<String> = times.iter().map(|part| part.time.formula()).collect();
    formula.extend([
        format!("{word} {} = {exact}", terms.join(" + ")),
        rounded(exact, (amount, residue), (book.rounding, book.currency)),
    ]);
    let more = times.split_off(times.len().min(1));
    let first = times.pop();
    let told =
        first.map(|first| LeastExplained { time: first.time, price: first.price, more, exact, amount });
    (told, formula)
}

/// What a maximum takes off its lines.
fn reduction(
    subject: &RatingSubject<'_>,
    (line, detail): (&InvoiceLine, &ReductionDetail),
    base: BaseExplained,
    book: &PriceBook,
) -> ExplanationParts {
    let ReductionDetail { rule, base: left, amount, residue, before, of_all_taxes } = detail;
    let (mut base, mut formula) = base.left(*left, before.map(|(left, _)| left));
    match rule {
        ReductionRule::Maximum(parts) => {
            let (most, months) = priced_months(subject, ("at most", parts.clone()), *residue, book);
            formula.extend(months);
            let at_most = most.as_ref().map_or(Amount::zero(book.currency), |most| most.amount);
            formula.push(format!("{left} - {at_most}, but not below 0, = {amount}"));
            base.most = most;
        }
        ReductionRule::Discount { percents, amounts } => {
            for MinimumPart { time, quantity, .. } in amounts {
                formula.push(TimeExplained::of(subject, *time, Every::Month, *quantity).formula());
            }
            let percents = percents.iter().map(|(percent, left)| {
                let exact = Exact::percentage(*left, *percent).unwrap_or(Exact::ZERO);
                (format!("{left} x {percent} / 100"), exact)
            });
            let amounts = amounts.iter().map(|part| {
                (format!("{} x {}", part.quantity, part.price), Exact::product(part.quantity, part.price))
            });
            let terms: Vec<(String, Exact)> = percents.chain(amounts).collect();
            let exact: Exact = terms.iter().map(|(_, exact)| *exact).sum();
            let terms: Vec<String> = terms.into_iter().map(|(term, _)| term).collect();
            formula.push(format!("{} = {exact}", terms.join(" + ")));
            if exact.round(book.currency, book.rounding) == *amount {
                let added = Exact::from(*amount).minus(exact);
                formula.push(rounded(exact, (*amount, added), (book.rounding, book.currency)));
            } else {
                formula.push(format!("no more than what is left: {amount}"));
            }
        }
    }
    if let Some((sum, taken)) = *before {
        formula.push(format!("{amount} - {taken} (taken off before in the month) = {of_all_taxes}"));
        base.before = Some(BeforeExplained { sum, minimum: None, taken_off: Some(taken) });
    }
    if of_all_taxes.negated() == line.amount {
        formula.push(format!("taken off: {}", line.amount));
    } else {
        let tax = line.tax;
        formula.push(format!(
            "taken off what is taxed as {:?} {}, in proportion to what is left of each line: {}",
            tax.category, tax.rate, line.amount
        ));
    }
    ExplanationParts { formula, basis: Some(LineBasis::Lines(base)), ..ExplanationParts::default() }
}
