//! What a customer is charged for all instances together: percentages and minimums, and the order of what is about a month.

use slapledger_core::domain::id::{InstanceId, PriceBookName};
use slapledger_core::domain::invoice::{InvoiceLine, LineKind};
use slapledger_core::domain::money::{Amount, Exact};
use slapledger_core::domain::pricing::{Every, Model, Of, Proration, RateSubject};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Period;

use super::adjustment::key;
use super::prices::{AppliedRate, PricingSpan, RatePiece, uncut};
use super::reduction::{MinimumPart, MonthUntil};
use super::{Complete, LineDetail, Own, RatedLine, RatingSubject, together};
use crate::history::History;
use crate::proration::prorate;
use crate::tariff::Priced;
use crate::warning::Warning;

/// What of a month is before the time of a minimum: another run charged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MinimumBefore {
    /// What was charged beside it.
    pub(crate) base: Amount,
    /// What it was.
    pub(crate) amount: Amount,
}

/// What a minimum comes to in a part of a month.
struct LeastOfMonth {
    period: Period,
    parts: Vec<MinimumPart>,
    owed: Exact,
    base: Amount,
    amount: Amount,
    residue: Exact,
}

impl<'a> RatingSubject<'a> {
    /// The lines about all instances together, from their own lines and what they pooled; and in each month, what is taken
    /// off: maximums of instances, percentages of what is left, discounts, maximums of the customer, minimums.
    pub(super) fn lines_of_customer(
        &'a self,
        spans: &[PricingSpan],
        instances: &[(InstanceId, &'a History)],
        own: &mut Own<'a>,
        warnings: &mut Vec<Warning>,
    ) {
        let histories: Vec<&History> = instances.iter().map(|(_, history)| *history).collect();
        self.pooled_fees(spans, own);
        self.pooled(spans, instances, own, warnings);
        for span in spans {
            self.base_fees(span, &histories, own);
        }
        self.taxed_as_charged(&mut own.lines);
        for span in spans {
            self.maximums_of_instances(span, instances, own);
            // The rates of a customer are the same all through a part.
            let rates_of = |part: &Period| {
                let version = self.prices.at(part.start);
                (*part, version.map(|version| version.of_customer(self.payer)).unwrap_or_default())
            };
            let rates: Vec<(Period, Vec<AppliedRate<'a>>)> = span.parts.iter().map(rates_of).collect();
            for (part, rates) in &rates {
                let percentages = rates.iter().filter(|by| matches!(by.rate.model, Model::Percentage { .. }));
                let lines: Vec<RatedLine> = percentages
                    .filter_map(|by| self.percentage((span.period, *part), *by, &own.lines))
                    .collect();
                own.lines.extend(lines);
            }
            self.taxed_as_charged(&mut own.lines);
            for parts in self.discounts(&rates, instances) {
                self.discount(&parts, own);
            }
            let mut maximums = chains(&rates, |model| matches!(model, Model::Maximum { .. }));
            maximums.sort_by(|one, other| subject_of(one).cmp(&subject_of(other)));
            for parts in &maximums {
                self.maximum_of_customer(parts, &histories, own);
            }
            let minimums = chains(&rates, |model| matches!(model, Model::Minimum { .. }));
            let lines: Vec<RatedLine> =
                minimums.iter().filter_map(|parts| self.minimum(parts, &own.lines, &histories)).collect();
            own.lines.extend(lines);
        }
    }

    /// The discounts of a month, in the order in which they are taken off.
    fn discounts(
        &self,
        rates: &[(Period, Vec<AppliedRate<'a>>)],
        instances: &[(InstanceId, &History)],
    ) -> Vec<Vec<(Period, AppliedRate<'a>)>> {
        if !self.prices.reduces {
            return Vec::new();
        }
        let mut discounts = chains(rates, |model| matches!(model, Model::Discount { .. }));
        for parts in &mut discounts {
            parts.retain(|part| self.is_granted(*part, instances));
        }
        discounts.sort_by_key(|parts| {
            parts.first().and_then(|(_, by)| match &by.rate.model {
                Model::Discount { order, item, .. } => Some((*order, &**item)),
                _ => None,
            })
        });
        discounts
    }

    /// Gives lines the tax that they were charged with: what is taken off them has the same.
    fn taxed_as_charged(&self, lines: &mut [RatedLine]) {
        let Some(charged) = self.taxes_charged.filter(|_| self.prices.reduces) else { return };
        for rated in lines {
            if let Some(tax) = key(&rated.line).and_then(|key| charged.get(&key.owned())) {
                rated.line.tax = *tax;
            }
        }
    }

    fn percentage(
        &self,
        (month, part): (Period, Period),
        by: AppliedRate<'a>,
        lines: &[RatedLine],
    ) -> Option<RatedLine> {
        let Model::Percentage { percent, of } = &by.rate.model else { return None };
        let currency = by.version.book.currency;
        let until = if self.is_before(part) { MonthUntil::Before } else { MonthUntil::Now };
        let mut base = self.left_of(self.counted(lines, part, of, false), until);
        // What is taken off by now of the lines before the period, more than it was by then, is of the first part of it.
        if part.start == self.period.start.max(month.start)
            && let Some(before) = Period::new(month.start, part.start)
        {
            let left = |until| self.left_of(self.counted(lines, before, of, false), until);
            base += left(MonthUntil::Now) - left(MonthUntil::Before);
        }
        if base <= 0 {
            return None;
        }
        let base = Amount::from_minor(base, currency);
        let exact = Exact::percentage(base, *percent)?;
        let events =
            together(self.counted(lines, part, of, false).flat_map(|line| line.events.iter().copied()));
        let description = format!(
            "{percent} percent of {} ({base} {currency}), {}",
            name_of_base(of),
            self.calendar.shown(part)
        );
        let priced = Priced { steps: Vec::new(), unit_price: None, exact };
        let line = self.line(LineKind::Percentage, part, by, (*percent, "percent"), priced);
        let rated = RatedLine::new(line.described(description), events);
        Some(RatedLine { detail: LineDetail::Percentage(base), ..rated })
    }

    /// One minimum of a month: what its parts come to, beside what was charged in all of them. What of the month is before
    /// the period counts, and what the minimum came to by then was charged.
    fn minimum(
        &self,
        parts: &[(Period, AppliedRate<'a>)],
        lines: &[RatedLine],
        histories: &[&History],
    ) -> Option<RatedLine> {
        let before = parts.iter().take_while(|(part, _)| self.is_before(*part)).count();
        let (before, own) = parts.split_at(before);
        let ((first, by), (last, _)) = (own.first()?, own.last()?);
        let period = Period::new(first.start, last.stop)?;
        let Model::Minimum { of, .. } = &by.rate.model else { return None };
        let whole = self.least(parts, (*by, MonthUntil::Now), lines, histories)?;
        let own_parts = whole.parts.iter().filter(|part| !self.is_before(part.time));
        let own_parts: Vec<i128> = own_parts.map(|part| part.quantity.billionths()).collect();
        if own_parts.is_empty() {
            return None;
        }
        let quantity = Quantity::from_billionths(own_parts.into_iter().sum())?;
        let before = self.least(before, (*by, MonthUntil::Before), lines, histories);
        let book = by.version.book;
        let priced =
            Priced { steps: Vec::new(), unit_price: None, exact: whole.owed.minus(whole.base.into()) };
        let behind = self.counted(lines, whole.period, of, true).flat_map(|line| line.events.iter().copied());
        let there = histories.iter().filter(|history| {
            history.allocation.as_ref().is_some_and(|allocation| allocation.within(whole.period).is_some())
        });
        let there = there.flat_map(|history| history.events(period.stop, self.as_of, self.prices.states));
        let events = together(behind.chain(there));
        let (what, currency, base) = (name_of_base(of), book.currency, whole.base);
        let shown = self.calendar.shown(period);
        let mut rates: Vec<String> = whole.parts.iter().map(|part| part.price.to_string()).collect();
        rates.dedup();
        let rates = rates.join(" and ");
        let earlier = before.as_ref().filter(|before| before.amount.minor() != 0);
        let earlier = earlier.map_or(String::new(), |before| format!(", {} before", before.amount));
        let description = format!(
            "at least {rates} {currency} a month for {what} ({quantity} month, {base} {currency} so far{earlier}), {shown}"
        );
        let mut line = self.line(LineKind::Minimum, period, *by, (quantity, "month"), priced);
        line.amount =
            before.as_ref().map_or(Some(whole.amount), |before| whole.amount.checked_sub(before.amount))?;
        line.residue = before.as_ref().map_or(whole.residue, |before| whole.residue.minus(before.residue));
        if line.amount.minor() == 0 {
            return None;
        }
        let minimum = RatedLine::new(line.described(description), events);
        let before = before.map(|before| MinimumBefore { base: before.base, amount: before.amount });
        let nothing = Amount::zero(book.currency);
        let base = whole.base.checked_sub(before.as_ref().map_or(nothing, |before| before.base))?;
        Some(RatedLine { detail: LineDetail::Minimum { parts: whole.parts, base, before }, ..minimum })
    }

    /// What a minimum comes to in parts of a month, beside what was charged in them.
    fn least(
        &self,
        parts: &[(Period, AppliedRate<'a>)],
        (by, until): (AppliedRate<'_>, MonthUntil),
        lines: &[RatedLine],
        histories: &[&History],
    ) -> Option<LeastOfMonth> {
        let ((first, _), (last, _)) = (parts.first()?, parts.last()?);
        let period = Period::new(first.start, last.stop)?;
        let Model::Minimum { of, .. } = &by.rate.model else { return None };
        let priced =
            uncut(parts, self).flat_map(|(piece, applies)| self.minimum_parts(piece, applies, histories));
        let parts: Vec<MinimumPart> = priced.collect();
        let owed: Exact = parts.iter().map(|part| Exact::product(part.quantity, part.price)).sum();
        let book = by.version.book;
        let base =
            Amount::from_minor(self.left_of(self.counted(lines, period, of, true), until), book.currency);
        // The least is an amount of its own: with half to even the difference would not round alike.
        let rounded = owed.round(book.currency, book.rounding);
        let amount = rounded.checked_sub(base)?;
        let (amount, residue) = if amount.minor() > 0 {
            (amount, Exact::from(rounded).minus(owed))
        } else {
            (Amount::zero(book.currency), Exact::ZERO)
        };
        Some(LeastOfMonth { period, parts, owed, base, amount, residue })
    }

    /// The times of a part for which a minimum is owed; none, if the customer had no instance in the time in which it
    /// applies.
    fn minimum_parts(
        &self,
        (part, by): RatePiece<'_>,
        applies: Period,
        histories: &[&History],
    ) -> Vec<MinimumPart> {
        let Model::Minimum { price, proration, .. } = by.rate.model else { return Vec::new() };
        let times = match proration {
            Proration::None => {
                let mut allocations = histories.iter().filter_map(|history| history.allocation.as_ref());
                let there = allocations.any(|allocation| allocation.within(applies).is_some());
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
        lines: &'l [RatedLine],
        period: Period,
        of: &'l Of,
        percentages: bool,
    ) -> impl Iterator<Item = &'l RatedLine> {
        let name = self.prices.name.clone();
        lines.iter().filter(move |rated| counts(&rated.line, (&name, period), of, percentages))
    }
}

/// Times without overlaps, in order; those that touch are one.
pub(super) fn united(times: impl Iterator<Item = Period>) -> Vec<Period> {
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

/// The rates of a month that follow each other as the price of the same thing, each with the part it is for.
fn chains<'a>(
    rates: &[(Period, Vec<AppliedRate<'a>>)],
    wanted: impl Fn(&Model) -> bool,
) -> Vec<Vec<(Period, AppliedRate<'a>)>> {
    let mut chains: Vec<Vec<(Period, AppliedRate<'a>)>> = Vec::new();
    for (part, rates) in rates {
        for by in rates.iter().filter(|by| wanted(&by.rate.model)) {
            let goes_on = chains.iter_mut().find(|parts| {
                parts.last().is_some_and(|(last, before)| {
                    last.stop == part.start && before.rate.subject() == by.rate.subject()
                })
            });
            match goes_on {
                Some(parts) => parts.push((*part, *by)),
                None => chains.push(vec![(*part, *by)]),
            }
        }
    }
    chains
}

fn subject_of<'a>(parts: &[(Period, AppliedRate<'a>)]) -> Option<RateSubject<'a>> {
    parts.first().map(|(_, by)| by.rate.subject())
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

pub(super) fn name_of_base(of: &Of) -> String {
    match of {
        Of::All => "all charges".to_owned(),
        Of::Recurring => "fees".to_owned(),
        Of::Usage => "usage".to_owned(),
        Of::Resource(resource) => resource.to_string(),
    }
}
