//! What a customer is charged for all instances together: usage priced together, percentages and minimums.

use std::collections::BTreeMap;

use slapledger_core::domain::id::{InstanceId, Sequence};
use slapledger_core::domain::invoice::{InvoiceLine, LineKind};
use slapledger_core::domain::money::{Amount, Exact};
use slapledger_core::domain::pricing::{Every, Model, Of};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::{Period, Timestamp};

use super::instance::{is_linear, name_of};
use super::prices::{By, Version};
use super::{Complete, Dimensions, Own, Rated, RatingSubject};
use crate::history::History;
use crate::proration::prorate;
use crate::tariff;
use crate::tariff::Priced;
use crate::warning::Warning;

/// The usage of one instance that is priced together with that of others.
pub(crate) struct Pooled<'a> {
    pub(crate) instance: InstanceId,
    pub(super) by: By<'a>,
    pub(super) dimensions: Vec<(Box<str>, Box<str>)>,
    /// The time in which the rate was the best for the instance.
    pub(crate) period: Period,
    pub(crate) quantity: Quantity,
    pub(super) events: Vec<Sequence>,
}

impl<'a> RatingSubject<'a> {
    /// The lines about all instances together, from their own lines and what they pooled.
    pub(super) fn lines_of_customer(
        &self,
        histories: &[&History],
        own: &mut Own<'a>,
        warnings: &mut Vec<Warning>,
    ) {
        self.pooled(own, warnings);
        let versions = self.prices.within(self.period);
        let versions = versions.into_iter().filter_map(|(part, version)| Some((part, version?)));
        for (part, version) in versions {
            let covers = |matching: &slapledger_core::domain::pricing::Match| {
                matching.customer.is_none_or(|customer| customer == self.payer)
            };
            let rates = version.of_customer(covers);
            let percentages = rates.iter().filter(|by| matches!(by.rate.model, Model::Percentage { .. }));
            let lines: Vec<Rated> =
                percentages.filter_map(|by| self.percentage(part, *by, &own.lines)).collect();
            own.lines.extend(lines);
            let there = histories.iter().filter(|history| {
                history.allocation.as_ref().is_some_and(|allocation| allocation.within(part).is_some())
            });
            let there: Vec<Sequence> =
                there.flat_map(|history| history.events(part.stop, self.as_of)).collect();
            if there.is_empty() {
                continue;
            }
            let minimums = rates.iter().filter(|by| matches!(by.rate.model, Model::Minimum { .. }));
            let lines: Vec<Rated> =
                minimums.filter_map(|by| self.minimum(part, *by, &own.lines, &there)).collect();
            own.lines.extend(lines);
        }
    }

    fn pooled(&self, own: &mut Own<'a>, warnings: &mut Vec<Warning>) {
        type CustomerKey<'k> = (u32, u32, &'k Dimensions, Timestamp);
        let mut pools: BTreeMap<CustomerKey<'_>, (By<'a>, Period, Vec<&Pooled<'a>>)> = BTreeMap::new();
        for pooled in &own.pooled {
            let Some(period) = self.part_of(pooled) else { continue };
            let key = (pooled.by.version.number, pooled.by.number, &*pooled.dimensions, period.start);
            pools.entry(key).or_insert_with(|| (pooled.by, period, Vec::new())).2.push(pooled);
        }
        let mut lines = Vec::new();
        for ((.., group, _), (by, period, pooled)) in pools {
            let Model::Usage { resource, free, tariff, .. } = &by.rate.model else { continue };
            let Some(declared) = by.version.book.resource(resource) else { continue };
            let sum = pooled.iter().map(|pooled| pooled.quantity.billionths()).sum();
            let Some(quantity) = Quantity::from_billionths(sum) else {
                warnings.push(Warning::TooMuchTogether {
                    payer: self.payer,
                    resource: resource.clone(),
                    period,
                });
                continue;
            };
            let events = together(pooled.iter().flat_map(|pooled| pooled.events.iter().copied()));
            let Some(priced) = tariff::price(quantity, *free, tariff) else {
                warnings.push(Warning::TooMuchTogether {
                    payer: self.payer,
                    resource: resource.clone(),
                    period,
                });
                continue;
            };
            let unit = &*declared.unit;
            let what = name_of(resource, group);
            let description = format!("all instances: {what}, {period} ({quantity} {unit})");
            let kind = LineKind::Usage { resource: resource.clone() };
            let line = self.line(kind, period, by, (quantity, unit), priced);
            lines.push(Rated::new(line.in_group(group).described(description), events));
        }
        own.lines.extend(lines);
    }

    /// The part of the period in which the version of a rate counted; of a tariff that is not linear, the month in it.
    fn part_of(&self, pooled: &Pooled<'a>) -> Option<Period> {
        let Model::Usage { free, tariff, .. } = &pooled.by.rate.model else { return None };
        let parts = self.prices.within(self.period).into_iter().map(|(part, _)| part);
        let part = parts.into_iter().find(|part| part.contains(pooled.period.start))?;
        if is_linear(tariff, *free) {
            return Some(part);
        }
        self.by_month(part).into_iter().find(|month| month.contains(pooled.period.start))
    }

    /// What of the usage that was pooled is in a line.
    pub(crate) fn pooled_in<'o>(
        &'o self,
        own: &'o Own<'a>,
        line: &'o InvoiceLine,
    ) -> impl Iterator<Item = &'o Pooled<'a>> {
        own.pooled.iter().filter(move |pooled| {
            let version = line.price_book.as_ref().map(|priced| priced.version);
            let by = (version, line.rate) == (Some(pooled.by.version.number), pooled.by.number);
            by && pooled.dimensions == line.dimensions && self.part_of(pooled) == Some(line.period)
        })
    }

    fn percentage(&self, part: Period, by: By<'a>, lines: &[Rated]) -> Option<Rated> {
        let Model::Percentage { percent, of } = &by.rate.model else { return None };
        let base = sum(lines, by.version, of, false);
        if base.minor() <= 0 {
            return None;
        }
        let exact = Exact::percentage(base, *percent)?;
        let events =
            together(counted(lines, by.version, of, false).flat_map(|line| line.events.iter().copied()));
        let currency = by.version.book.currency;
        let description = format!("{percent} percent of {} ({base} {currency}), {part}", name_of_base(of));
        let priced = Priced { steps: Vec::new(), unit_price: None, exact };
        let line = self.line(LineKind::Percentage, part, by, (*percent, "percent"), priced);
        Some(Rated::new(line.described(description), events))
    }

    fn minimum(&self, part: Period, by: By<'a>, lines: &[Rated], there: &[Sequence]) -> Option<Rated> {
        let Model::Minimum { price, of } = &by.rate.model else { return None };
        let quantity = prorate(part, Every::Month, self.calendar)?;
        let least = Exact::product(quantity, *price);
        let base = sum(lines, by.version, of, true);
        let priced = Priced { steps: Vec::new(), unit_price: None, exact: least.minus(base.into()) };
        let behind = counted(lines, by.version, of, true).flat_map(|line| line.events.iter().copied());
        let events = together(behind.chain(there.iter().copied()));
        let what = name_of_base(of);
        let currency = by.version.book.currency;
        let description = format!(
            "at least {price} {currency} a month for {what} ({quantity} month, {base} {currency} so far), {part}"
        );
        let mut line = self.line(LineKind::Minimum, part, by, (quantity, "month"), priced);
        // The least is an amount of its own: with half to even the difference would not round alike.
        let book = by.version.book;
        let rounded = least.round(book.currency, book.rounding);
        line.amount = rounded.checked_sub(base)?;
        line.residue = Exact::from(rounded).minus(least);
        (line.amount.minor() > 0).then(|| Rated::new(line.described(description), events))
    }
}

/// What lines priced by a version add up to.
fn sum(lines: &[Rated], version: Version<'_>, of: &Of, percentages: bool) -> Amount {
    let amounts = counted(lines, version, of, percentages).map(|line| line.line.amount);
    Amount::sum(version.book.currency, amounts)
        .expect("an amount is below 10^27 minor units, so that 10^11 of them can be added")
}

/// The lines priced by a version that a percentage or a minimum is of.
fn counted<'l>(
    lines: &'l [Rated],
    version: Version<'l>,
    of: &'l Of,
    percentages: bool,
) -> impl Iterator<Item = &'l Rated> {
    lines.iter().filter(move |rated| counts(&rated.line, version.number, of, percentages))
}

/// Whether a line priced by a version is one that a percentage or a minimum is of.
pub(crate) fn counts(line: &InvoiceLine, version: u32, of: &Of, percentages: bool) -> bool {
    let priced = line.price_book.as_ref().is_some_and(|by| by.version == version);
    priced
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

/// Each event once, ascending.
fn together(events: impl Iterator<Item = Sequence>) -> Vec<Sequence> {
    let mut events: Vec<Sequence> = events.collect();
    events.sort_unstable();
    events.dedup();
    events
}
