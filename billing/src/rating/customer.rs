//! What a customer is charged for all instances together: percentages and minimums.

use slapledger_core::domain::id::PriceBookName;
use slapledger_core::domain::invoice::{InvoiceLine, LineKind};
use slapledger_core::domain::money::{Amount, Currency, Exact, Price};
use slapledger_core::domain::pricing::{Every, Model, Of, Proration};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Period;

use super::prices::{By, PricingSpan};
use super::{Complete, LineDetail, Own, Rated, RatingSubject, together};
use crate::history::History;
use crate::proration::prorate;
use crate::tariff::Priced;
use crate::warning::Warning;

/// An uninterrupted time of a minimum that has one price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MinimumPart {
    /// The time: all of a part of the month, or when the customer had instances.
    pub(crate) time: Period,
    /// How many months it is.
    pub(crate) quantity: Quantity,
    /// For a month.
    pub(crate) price: Price,
}

impl<'a> RatingSubject<'a> {
    /// The lines about all instances together, from their own lines and what they pooled.
    pub(super) fn lines_of_customer(
        &self,
        spans: &[PricingSpan],
        histories: &[&History],
        own: &mut Own<'a>,
        warnings: &mut Vec<Warning>,
    ) {
        self.pooled(spans, own, warnings);
        for span in spans {
            let mut minimums: Vec<Vec<(Period, By<'a>)>> = Vec::new();
            for part in &span.parts {
                // The rates of a customer are the same all through a part.
                let rates = self
                    .prices
                    .at(part.start)
                    .map(|version| version.of_customer(self.payer))
                    .unwrap_or_default();
                let percentages = rates.iter().filter(|by| matches!(by.rate.model, Model::Percentage { .. }));
                let lines: Vec<Rated> =
                    percentages.filter_map(|by| self.percentage(*part, *by, &own.lines)).collect();
                own.lines.extend(lines);
                let of_minimum =
                    rates.into_iter().filter(|by| matches!(by.rate.model, Model::Minimum { .. }));
                for by in of_minimum {
                    let goes_on = minimums.iter_mut().find(|parts| {
                        parts.last().is_some_and(|(last, before)| {
                            last.stop == part.start && before.rate.subject() == by.rate.subject()
                        })
                    });
                    match goes_on {
                        Some(parts) => parts.push((*part, by)),
                        None => minimums.push(vec![(*part, by)]),
                    }
                }
            }
            let lines: Vec<Rated> =
                minimums.iter().filter_map(|parts| self.minimum(parts, &own.lines, histories)).collect();
            own.lines.extend(lines);
        }
    }

    fn percentage(&self, part: Period, by: By<'a>, lines: &[Rated]) -> Option<Rated> {
        let Model::Percentage { percent, of } = &by.rate.model else { return None };
        let currency = by.version.book.currency;
        let base = sum(self.counted(lines, part, of, false), currency);
        if base.minor() <= 0 {
            return None;
        }
        let exact = Exact::percentage(base, *percent)?;
        let events =
            together(self.counted(lines, part, of, false).flat_map(|line| line.events.iter().copied()));
        let description = format!("{percent} percent of {} ({base} {currency}), {part}", name_of_base(of));
        let priced = Priced { steps: Vec::new(), unit_price: None, exact };
        let line = self.line(LineKind::Percentage, part, by, (*percent, "percent"), priced);
        Some(Rated::new(line.described(description), events))
    }

    /// One minimum of a month: what its parts come to, beside what was charged in all of them.
    fn minimum(&self, parts: &[(Period, By<'a>)], lines: &[Rated], histories: &[&History]) -> Option<Rated> {
        let ((first, by), (last, _)) = (parts.first()?, parts.last()?);
        let period = Period::new(first.start, last.stop)?;
        let Model::Minimum { of, .. } = &by.rate.model else { return None };
        let priced_parts = parts.iter().flat_map(|(part, by)| self.minimum_parts(*part, *by, histories));
        let priced_parts: Vec<MinimumPart> = priced_parts.collect();
        if priced_parts.is_empty() {
            return None;
        }
        let quantity = priced_parts.iter().map(|part| part.quantity.billionths()).sum();
        let quantity = Quantity::from_billionths(quantity)?;
        let owed: Exact = priced_parts.iter().map(|part| Exact::product(part.quantity, part.price)).sum();
        let book = by.version.book;
        let base = sum(self.counted(lines, period, of, true), book.currency);
        let priced = Priced { steps: Vec::new(), unit_price: None, exact: owed.minus(base.into()) };
        let behind = self.counted(lines, period, of, true).flat_map(|line| line.events.iter().copied());
        let there = histories.iter().filter(|history| {
            history.allocation.as_ref().is_some_and(|allocation| allocation.within(period).is_some())
        });
        let there = there.flat_map(|history| history.events(period.stop, self.as_of, self.prices.states));
        let events = together(behind.chain(there));
        let (what, currency) = (name_of_base(of), book.currency);
        let mut rates: Vec<String> = priced_parts.iter().map(|part| part.price.to_string()).collect();
        rates.dedup();
        let rates = rates.join(" and ");
        let description = format!(
            "at least {rates} {currency} a month for {what} ({quantity} month, {base} {currency} so far), {period}"
        );
        let mut line = self.line(LineKind::Minimum, period, *by, (quantity, "month"), priced);
        // The least is an amount of its own: with half to even the difference would not round alike.
        let rounded = owed.round(book.currency, book.rounding);
        line.amount = rounded.checked_sub(base)?;
        line.residue = Exact::from(rounded).minus(owed);
        if line.amount.minor() <= 0 {
            return None;
        }
        let minimum = Rated::new(line.described(description), events);
        Some(Rated { detail: LineDetail::Minimum(priced_parts), ..minimum })
    }

    /// The times of a part for which a minimum is owed; none, if the customer had no instance in it.
    fn minimum_parts(&self, part: Period, by: By<'_>, histories: &[&History]) -> Vec<MinimumPart> {
        let Model::Minimum { price, proration, .. } = by.rate.model else { return Vec::new() };
        let times = match proration {
            Proration::None => {
                let mut allocations = histories.iter().filter_map(|history| history.allocation.as_ref());
                let there = allocations.any(|allocation| allocation.within(part).is_some());
                if there { vec![part] } else { Vec::new() }
            }
            Proration::Allocated => united(histories.iter().flat_map(|history| history.held(part))),
        };
        let months = |time: Period| {
            Some(MinimumPart { time, quantity: prorate(time, Every::Month, self.calendar)?, price })
        };
        times.into_iter().filter_map(months).collect()
    }

    /// The lines of a time that a percentage or a minimum is of.
    fn counted<'l>(
        &self,
        lines: &'l [Rated],
        period: Period,
        of: &'l Of,
        percentages: bool,
    ) -> impl Iterator<Item = &'l Rated> {
        let name = self.prices.name.clone();
        lines.iter().filter(move |rated| counts(&rated.line, (&name, period), of, percentages))
    }
}

/// Times without overlaps, in order; those that touch are one.
fn united(times: impl Iterator<Item = Period>) -> Vec<Period> {
    let mut times: Vec<Period> = times.collect();
    times.sort_unstable();
    let mut united: Vec<Period> = Vec::new();
    for time in times {
        match united.last_mut() {
            Some(last) if time.start <= last.stop => last.stop = last.stop.max(time.stop),
            _ => united.push(time),
        }
    }
    united
}

/// What lines add up to.
fn sum<'l>(lines: impl Iterator<Item = &'l Rated>, currency: Currency) -> Amount {
    Amount::sum(currency, lines.map(|line| line.line.amount))
        .expect("an amount is below 10^27 minor units, so that 10^11 of them can be added")
}

/// Whether a line is one that a percentage or a minimum of a time, and of a price book, is of.
pub(crate) fn counts(
    line: &InvoiceLine,
    (book, period): (&PriceBookName, Period),
    of: &Of,
    percentages: bool,
) -> bool {
    // Lines are cut where percentages and minimums change, so that one is in a time if it begins there.
    line.price_book.as_ref().is_some_and(|by| by.name == *book)
        && period.contains(line.period.start)
        && match (&line.kind, of) {
            (LineKind::Recurring, Of::All | Of::Recurring)
            | (LineKind::Usage { .. }, Of::All | Of::Usage) => true,
            (LineKind::Usage { resource }, Of::Resource(named)) => resource == named,
            (LineKind::Percentage, Of::All) => percentages,
            _ => false,
        }
}

fn name_of_base(of: &Of) -> String {
    match of {
        Of::All => "all charges".to_owned(),
        Of::Recurring => "fees".to_owned(),
        Of::Usage => "usage".to_owned(),
        Of::Resource(resource) => resource.to_string(),
    }
}
