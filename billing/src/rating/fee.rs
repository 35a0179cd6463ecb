//! Fees that are not simply for the time of one instance in units of the calendar: those whose units begin on a day of their
//! own or are charged whole, those for all instances of a customer together, and those of a customer.
//!
//! Of a fee that is charged whole, each unit in which it is owed is charged once, where its time in the unit begins: what of
//! the unit comes after a price changed, or in the next run, is paid.

use std::collections::BTreeMap;

use slapledger_core::domain::id::{InstanceId, Sequence};
use slapledger_core::domain::invoice::LineKind;
use slapledger_core::domain::money::{Exact, Price};
use slapledger_core::domain::pricing::{
    Anchor, BaseFeeTime, Every, FeeProration, FeeTerms, Matched, Model, Per, RateSubject,
};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::{Date, Period, Timestamp};

use super::customer::united;
use super::instance::{RatedInstance, Stretch};
use super::prices::{AppliedCharge, AppliedRate};
use super::{Complete, LineDetail, Own, PricingSpan, RatedLine, RatingSubject, together};
use crate::history::{AllocationHistory, History};
use crate::proration::{FeeUnits, HOUR, name_of_fee, sum_of, unit_of};
use crate::tariff::Priced;

/// A part of the time of a fee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeePart {
    /// Whose; none, if it is the customer's.
    pub(crate) instance: Option<InstanceId>,
    /// When.
    pub(crate) time: Period,
    /// The length in microseconds of the whole it is a part of, or of each of the wholes it consists of.
    pub(crate) whole: i64,
}

/// The time of a fee, in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeeTime {
    pub(crate) parts: Vec<FeePart>,
    /// How many wholes a unit of the fee is.
    pub(crate) wholes: i64,
}

impl FeeTime {
    /// How many units of the fee it is.
    pub(crate) fn quantity(&self) -> Option<Quantity> {
        let parts: Vec<(Period, i64)> = self.parts.iter().map(|part| (part.time, part.whole)).collect();
        sum_of(&parts, self.wholes)
    }
}

/// The time of one instance for a fee that is priced for all instances together.
pub(super) struct PooledFee<'a> {
    by: AppliedRate<'a>,
    period: Period,
    time: FeeTime,
    events: Vec<Sequence>,
}

/// What identifies a fee for all instances: what it is for, the part of the month, and the rate that names it.
type FeeKey<'a> = (&'a str, Timestamp, u32, u32);

impl AppliedRate<'_> {
    /// Whether the time of all instances is priced together.
    pub(super) fn is_fee_of_customer(self) -> bool {
        matches!(self.rate.model, Model::Recurring { terms: FeeTerms { per: Per::Customer, .. }, .. })
    }
}

impl<'a> RatedInstance<'a> {
    /// The time that a fee charges for a stretch; none, if it charges nothing of it.
    pub(super) fn fee_time(&self, by: AppliedRate<'a>, period: Period) -> Option<FeeTime> {
        let Model::Recurring { item, every, terms, .. } = &by.rate.model else { return None };
        let since = match terms.per {
            Per::Instance => Some(self.allocation.since()),
            Per::Customer => self.first_allocated,
        };
        let units = self.subject.fee_units(*every, *terms, since);
        let paid_before = |before: Period| {
            let charge = |prices, matched: Matched<'_>| AppliedCharge::fee(prices, item, matched);
            let before = self.allocation.within(before).into_iter();
            let mut stretches = before.flat_map(|before| self.stretches((before, true), &[], charge));
            stretches.any(|stretch| match stretch.charge {
                AppliedCharge::Rate(other) => has_units(&other.rate.model, *every, *terms),
                _ => false,
            })
        };
        let parts = parts_of(&units, terms.proration, period, paid_before);
        let of_instance = |(time, whole)| FeePart { instance: Some(self.id), time, whole };
        FeeTime::of(parts.into_iter().map(of_instance), (&units, terms.proration))
    }

    /// The time of a stretch whose fee is for all instances together.
    pub(super) fn pooled_fee(&self, stretch: &Stretch<'a>, by: AppliedRate<'a>) -> Option<PooledFee<'a>> {
        let (period, subject) = (stretch.period, self.subject);
        let time = self.fee_time(by, period)?;
        let events = self.history.events(period.stop, subject.as_of, subject.prices.states);
        Some(PooledFee { by, period, time, events })
    }
}

impl FeeTime {
    /// The time of these parts; none, if there are none.
    fn of(
        parts: impl Iterator<Item = FeePart>,
        (units, proration): (&FeeUnits<'_>, FeeProration),
    ) -> Option<Self> {
        let parts: Vec<FeePart> = parts.collect();
        let wholes = if proration == FeeProration::Whole { 1 } else { units.wholes() };
        (!parts.is_empty()).then_some(Self { parts, wholes })
    }
}

/// Whether a fee counts its time in these units.
fn has_units(model: &Model, every: Every, terms: FeeTerms) -> bool {
    match model {
        Model::Recurring { every: of, terms: by, .. } | Model::BaseFee { every: of, terms: by, .. } => {
            (*of, *by) == (every, terms)
        }
        _ => false,
    }
}

/// The parts of an uninterrupted time that a fee charges: its share of each unit, or all of each unit that was not begun, and
/// paid, before.
fn parts_of(
    units: &FeeUnits<'_>,
    proration: FeeProration,
    time: Period,
    paid_before: impl Fn(Period) -> bool,
) -> Vec<(Period, i64)> {
    if proration == FeeProration::Time {
        return units.parts(time);
    }
    let first = units.around(time.start);
    let paid = Period::new(first.start, time.start).is_some_and(paid_before);
    let from = if paid { first.stop } else { first.start };
    let mut parts: Vec<(Period, i64)> = Vec::new();
    let Some(rest) = Period::new(from, time.stop) else { return parts };
    if units.are_hours() {
        let stop = units.around(time.stop.plus_micros(-1)).stop;
        return Period::new(from, stop).map(|hours| (hours, HOUR)).into_iter().collect();
    }
    for unit in units.begun(rest) {
        match parts.last_mut() {
            Some((last, length)) if *length == unit.micros() => last.stop = unit.stop,
            _ => parts.push((unit, unit.micros())),
        }
    }
    parts
}

impl<'a> RatingSubject<'a> {
    /// The units of a fee, the first of which begins for an anniversary on the day of an instant.
    fn fee_units(&self, every: Every, terms: FeeTerms, since: Option<Timestamp>) -> FeeUnits<'a> {
        let anchor: Option<Date> = match terms.anchor {
            Anchor::Calendar => None,
            Anchor::Anniversary => since.map(|since| self.calendar.day_of(since)),
            Anchor::Day(day) => Some(day),
        };
        FeeUnits::new(every, anchor, self.calendar)
    }

    /// Lines of fees that are for all instances together: one for each price and part of the month.
    pub(super) fn pooled_fees(&self, spans: &[PricingSpan], own: &mut Own<'a>) {
        let mut lines: BTreeMap<FeeKey<'a>, (AppliedRate<'a>, Period, Vec<PooledFee<'a>>)> = BTreeMap::new();
        for pooled in std::mem::take(&mut own.pooled_fees) {
            let Model::Recurring { item, .. } = &pooled.by.rate.model else { continue };
            let start = pooled.period.start;
            let span = spans.iter().find(|span| span.period.contains(start));
            let part = span.and_then(|span| span.parts.iter().find(|part| part.contains(start)));
            let Some((span, part)) = span.zip(part) else { continue };
            let (by, period) =
                if span.continues { self.first_alike(*part, pooled.by) } else { (pooled.by, *part) };
            let key = (&**item, period.start, by.version.number, by.number);
            lines.entry(key).or_insert_with(|| (by, period, Vec::new())).2.push(pooled);
        }
        let lines = lines.into_values().filter_map(|(by, period, pooled)| {
            let Model::Recurring { item, price, every, .. } = &by.rate.model else { return None };
            let wholes = pooled.first()?.time.wholes;
            let events = together(pooled.iter().flat_map(|pooled| pooled.events.iter().copied()));
            let parts = pooled.into_iter().flat_map(|pooled| pooled.time.parts).collect();
            let name = format!("all instances: {}", name_of_fee(item, *every));
            self.fee_of_customer((by, period), (&name, *price, *every), FeeTime { parts, wholes }, events)
        });
        own.lines.extend(lines);
    }

    /// The first rate of a part of a month that charges the same as a rate, and the time from there to the end of the last.
    fn first_alike(&self, part: Period, by: AppliedRate<'a>) -> (AppliedRate<'a>, Period) {
        let alike = self.prices.within(part).into_iter().filter_map(|(time, version)| {
            let found = version?.rates().find(|other| other.charges_as(by))?;
            Some((time, found))
        });
        let alike: Vec<(Period, AppliedRate<'a>)> = alike.collect();
        let bounds = alike.first().zip(alike.last());
        let found =
            bounds.and_then(|((first, by), (last, _))| Some((*by, Period::new(first.start, last.stop)?)));
        found.unwrap_or((by, part))
    }

    /// Lines of fees of the customer, in a span.
    pub(super) fn base_fees(&self, span: &PricingSpan, histories: &[&History], own: &mut Own<'a>) {
        for part in &span.parts {
            let version = self.prices.at(part.start);
            // The rates of a customer are the same all through a part.
            let rates = version.map(|version| version.of_customer(self.payer)).unwrap_or_default();
            own.lines.extend(rates.into_iter().filter_map(|by| self.base_fee(*part, by, histories)));
        }
    }

    fn base_fee(&self, part: Period, by: AppliedRate<'a>, histories: &[&History]) -> Option<RatedLine> {
        let Model::BaseFee { item, price, every, terms, owed } = &by.rate.model else { return None };
        let allocations = histories.iter().filter_map(|history| history.allocation.as_ref());
        let first = allocations.map(AllocationHistory::since).min();
        let units = self.fee_units(*every, *terms, first);
        let paid_before = |before: Period| {
            self.prices.within(before).into_iter().any(|(time, version)| {
                let rates = version.map(|version| version.of_customer(self.payer)).unwrap_or_default();
                rates.into_iter().any(|other| match &other.rate.model {
                    Model::BaseFee { owed, .. } => {
                        other.rate.subject() == RateSubject::BaseFee(item)
                            && has_units(&other.rate.model, *every, *terms)
                            && !owed_in(time, *owed, histories).is_empty()
                    }
                    _ => false,
                })
            })
        };
        let times = owed_in(part, *owed, histories);
        let parts = times.iter().flat_map(|time| parts_of(&units, terms.proration, *time, paid_before));
        let of_customer = |(time, whole)| FeePart { instance: None, time, whole };
        let time = FeeTime::of(parts.map(of_customer), (&units, terms.proration))?;
        let there = histories.iter().filter(|history| {
            *owed == BaseFeeTime::Allocated
                && history.allocation.as_ref().is_some_and(|allocation| allocation.within(part).is_some())
        });
        let events = there.flat_map(|history| history.events(part.stop, self.as_of, self.prices.states));
        let name = if item.is_empty() { "base fee" } else { item };
        self.fee_of_customer((by, part), (name, *price, *every), time, together(events))
    }

    /// The line of a fee that is of no single instance; none, if it is for no time.
    fn fee_of_customer(
        &self,
        (by, period): (AppliedRate<'a>, Period),
        (name, price, every): (&str, Price, Every),
        time: FeeTime,
        events: Vec<Sequence>,
    ) -> Option<RatedLine> {
        let (quantity, unit) = (time.quantity()?, unit_of(every));
        if quantity == Quantity::ZERO {
            return None;
        }
        let exact = Exact::product(quantity, price);
        let priced = Priced { steps: Vec::new(), unit_price: Some(price), exact };
        let line = self.line(LineKind::Recurring, period, by, (quantity, unit), priced);
        let description = format!("{name}, {} ({quantity} {unit})", self.calendar.shown(period));
        let rated = RatedLine::new(line.described(description), events);
        Some(RatedLine { detail: LineDetail::Fee(time), ..rated })
    }
}

/// The times of a part in which a fee of a customer is owed.
fn owed_in(part: Period, owed: BaseFeeTime, histories: &[&History]) -> Vec<Period> {
    match owed {
        BaseFeeTime::Always => vec![part],
        BaseFeeTime::Allocated => united(histories.iter().flat_map(|history| history.held(part))),
    }
}
