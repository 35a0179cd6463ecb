//! What one instance is charged: its fees and its usage, each for the time in which one rate was the best for it.

use slapledger_core::domain::id::InstanceId;
use slapledger_core::domain::instance::InstanceType;
use slapledger_core::domain::invoice::LineKind;
use slapledger_core::domain::money::Exact;
use slapledger_core::domain::pricing::{Every, Matched, Model, When};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Period;

use super::prices::{By, Charge, Version};
use super::{Complete, Dimensions, Own, PricingSpan, Rated, RatingSubject};
use crate::history::{Allocation, Attributes, History};
use crate::proration::prorate;
use crate::tariff::Priced;
use crate::warning::Warning;

/// A time in which the charge did not change.
#[derive(Clone)]
pub(super) struct Stretch<'a> {
    pub(super) period: Period,
    pub(super) charge: Charge<'a>,
    /// What the instance was for, without repetitions.
    pub(super) types: Vec<InstanceType>,
}

/// One instance, and what is needed to charge it.
pub(super) struct Instance<'a> {
    pub(super) subject: &'a RatingSubject<'a>,
    pub(super) id: InstanceId,
    pub(super) history: &'a History,
    pub(super) allocation: &'a Allocation,
}

impl<'a> Instance<'a> {
    /// Its lines: fees by item, then usage by resource, each in order of time; and what cannot be charged.
    pub(super) fn lines(&self, spans: &[PricingSpan], own: &mut Own<'a>, warnings: &mut Vec<Warning>) {
        if let Some(allocated) = self.allocation.within(self.subject.period) {
            self.warn(allocated, warnings);
            for item in &self.subject.prices.items {
                for span in spans.iter().filter_map(|span| span.within(allocated)) {
                    self.fees(&span, item, own);
                }
            }
        }
        self.all_usage(spans, own, warnings);
    }

    /// What it is charged for the time to come, if it is there when the period ends.
    pub(super) fn in_advance(&self) -> Vec<Rated> {
        let stop = self.subject.period.stop;
        let there =
            self.allocation.since() <= stop && self.allocation.until().is_none_or(|until| stop < until);
        let month = Period::new(stop, self.subject.calendar.next_month(stop));
        let (Some(month), Some(instant), true) = (month, Period::new(stop, stop.plus_micros(1)), there)
        else {
            return Vec::new();
        };
        let fees = self.subject.prices.items.iter().filter_map(|item| {
            let charge = |prices, matched: Matched<'_>| Charge::fee(prices, item, matched);
            let now = self.stretches((instant, false), &[], charge).pop()?;
            let Charge::Rate(by) = now.charge else { return None };
            let Model::Recurring { when: When::Advance, .. } = by.rate.model else { return None };
            let line = self.fee(&Stretch { period: month, ..now }, by)?;
            Some(Rated { line: line.line.of_kind(LineKind::Advance), ..line })
        });
        fees.collect()
    }

    fn warn(&self, allocated: Period, warnings: &mut Vec<Warning>) {
        for stretch in self.stretches((allocated, false), &[], Charge::anything) {
            let (instance, period) = (self.id, stretch.period);
            match stretch.charge {
                Charge::NoPrices => warnings.push(Warning::NoPrices { instance, period }),
                Charge::NoRate => warnings.push(Warning::NoRate { instance, period }),
                Charge::Rate(_) | Charge::Free | Charge::Undeclared => {}
            }
        }
    }

    fn fees(&self, span: &PricingSpan, item: &'a str, own: &mut Own<'a>) {
        let charge = |prices, matched: Matched<'_>| Charge::fee(prices, item, matched);
        let parts = span.parts.iter();
        for stretch in parts.flat_map(|part| self.stretches((*part, span.continues), &[], charge)) {
            let Charge::Rate(by) = stretch.charge else { continue };
            let Some(line) = self.fee(&stretch, by) else { continue };
            match by.rate.model {
                Model::Recurring { when: When::Advance, .. } => {
                    own.in_advance.entry((self.id, item)).or_default().push(line);
                }
                _ => own.lines.push(line),
            }
        }
    }

    fn fee(&self, stretch: &Stretch<'_>, by: By<'_>) -> Option<Rated> {
        let Model::Recurring { item, price, every, .. } = &by.rate.model else { return None };
        let (period, calendar) = (stretch.period, self.subject.calendar);
        let (unit, name) = match every {
            Every::Hour => ("hour", "hourly fee"),
            Every::Day => ("day", "daily fee"),
            Every::Month => ("month", "monthly fee"),
            Every::Year => ("year", "yearly fee"),
        };
        let quantity = prorate(period, *every, calendar)?;
        if quantity == Quantity::ZERO {
            return None;
        }
        let name = if item.is_empty() { name } else { item };
        let exact = Exact::product(quantity, *price);
        let priced = Priced { steps: Vec::new(), unit_price: Some(*price), exact };
        let events = self.history.events(period.stop, self.subject.as_of, self.subject.prices.states);
        let line = self.subject.line(LineKind::Recurring, period, by, (quantity, unit), priced);
        let description = self.describe(name, stretch, (quantity, unit));
        Some(Rated::new(line.about(self.id, &[]).described(description), events))
    }

    /// A period in parts, each as long as the charge does not change: where prices continue, equal charges are one.
    pub(super) fn stretches(
        &self,
        (period, continues): (Period, bool),
        group: &Dimensions,
        charge: impl Fn(Option<Version<'a>>, Matched<'_>) -> Charge<'a>,
    ) -> Vec<Stretch<'a>> {
        let mut stretches: Vec<Stretch<'a>> = Vec::new();
        let mut add = |period: Period, charge: Charge<'a>, attributes: &Attributes| match stretches.last_mut()
        {
            Some(last) if last.charge.same(charge, continues) => {
                last.period.stop = period.stop;
                if !last.types.contains(&attributes.instance_type) {
                    last.types.push(attributes.instance_type);
                }
            }
            _ => stretches.push(Stretch { period, charge, types: vec![attributes.instance_type] }),
        };
        let computer = &self.allocation.computer;
        for (part, prices) in self.subject.prices.within(period) {
            for (part, attributes) in self.history.within(part) {
                for (part, region) in self.subject.basis.regions.within(computer, part) {
                    let matched = attributes.matched((computer, region), self.subject.payer, group);
                    add(part, charge(prices, matched), attributes);
                }
            }
        }
        stretches
    }

    pub(super) fn describe(
        &self,
        what: &str,
        stretch: &Stretch<'_>,
        (quantity, unit): (Quantity, &str),
    ) -> String {
        let types: Vec<&str> = stretch.types.iter().map(|kind| kind.as_str()).collect();
        let (reference, period, types) = (&self.history.reference, stretch.period, types.join(" and "));
        let Allocation { computer, partition, .. } = self.allocation;
        format!("{reference} on {computer} {partition}: {what}, {types}, {period} ({quantity} {unit})")
    }
}
