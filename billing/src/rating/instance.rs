//! What one instance is charged: its fees and its usage, each for the time in which one rate was the best for it.

use std::collections::BTreeMap;

use slapledger_core::domain::id::{InstanceId, ResourceId, Sequence};
use slapledger_core::domain::instance::InstanceType;
use slapledger_core::domain::invoice::LineKind;
use slapledger_core::domain::money::Exact;
use slapledger_core::domain::pricing::{Every, Matched, Meter, Model, Per, Resource, Tariff, When};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_projections::metering::{AsOf, Dimension, Metered, Method, Target};
use slapledger_projections::stop;

use super::prices::{By, Charge, Version};
use super::{Complete, Dimensions, Own, Pooled, Rated, RatingSubject};
use crate::history::{Allocation, Attributes, History};
use crate::proration::prorate;
use crate::tariff::Priced;
use crate::warning::Warning;
use crate::{tariff, units};

/// A time in which the charge did not change.
struct Stretch<'a> {
    period: Period,
    charge: Charge<'a>,
    /// What the instance was for, without repetitions.
    types: Vec<InstanceType>,
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
    pub(super) fn lines(&self, own: &mut Own<'a>, warnings: &mut Vec<Warning>) {
        if let Some(allocated) = self.allocation.within(self.subject.period) {
            self.warn(allocated, warnings);
            for item in &self.subject.prices.items {
                self.fees(allocated, item, own);
            }
        }
        let (target, usage) = (Target::Instance(self.id), self.subject.usage());
        for resource in self.subject.basis.metering.series(&target) {
            let Some(period) = self.time_of_use(&usage, &target, resource) else { continue };
            let mut read = Read { usage: &usage, target: &target, resource, metered: BTreeMap::new() };
            let before = own.lines.len();
            let mut uncharged = Uncharged::new();
            if self.subject.prices.groups {
                for (part, version) in self.subject.prices.within(period) {
                    for group in read.groups(part, version) {
                        self.usage(&mut read, part, &group, own, (warnings, &mut uncharged));
                    }
                }
                // Groups come one after the other; their lines are in order of time.
                own.lines[before..].sort_by_key(|rated| rated.line.period.start);
            } else {
                self.usage(&mut read, period, &[], own, (warnings, &mut uncharged));
            }
            // Told once, however many groups there are.
            warnings.extend(uncharged.into_iter().filter_map(|((start, stop, declared), events)| {
                let (instance, resource, period) = (self.id, resource.clone(), Period::new(start, stop)?);
                Some(if declared {
                    Warning::UsageNoRate { instance, resource, period, events }
                } else {
                    Warning::Undeclared { instance, resource, period, events }
                })
            }));
        }
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
            let now = self.stretches(instant, &[], charge).pop()?;
            let Charge::Rate(by) = now.charge else { return None };
            let Model::Recurring { when: When::Advance, .. } = by.rate.model else { return None };
            let line = self.fee(&Stretch { period: month, ..now }, by)?;
            Some(Rated { line: line.line.of_kind(LineKind::Advance), events: line.events })
        });
        fees.collect()
    }

    fn warn(&self, allocated: Period, warnings: &mut Vec<Warning>) {
        for stretch in self.stretches(allocated, &[], Charge::anything) {
            let (instance, period) = (self.id, stretch.period);
            match stretch.charge {
                Charge::NoPrices => warnings.push(Warning::NoPrices { instance, period }),
                Charge::NoRate => warnings.push(Warning::NoRate { instance, period }),
                Charge::Rate(_) | Charge::Free | Charge::Undeclared => {}
            }
        }
    }

    fn fees(&self, allocated: Period, item: &'a str, own: &mut Own<'a>) {
        let charge = |prices, matched: Matched<'_>| Charge::fee(prices, item, matched);
        for stretch in self.stretches(allocated, &[], charge) {
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
        let events = self.history.events(period.stop, self.subject.as_of);
        let line = self.subject.line(LineKind::Recurring, period, by, (quantity, unit), priced);
        let description = self.describe(name, stretch, (quantity, unit));
        Some(Rated::new(line.about(self.id, &[]).described(description), events))
    }

    /// The part of the period in which there can be usage: the allocation. A node whose clock is ahead may have
    /// reported usage that stops shortly after the end, which was attributed before the end was known: it counts.
    fn time_of_use(&self, usage: &AsOf<'_>, target: &Target, resource: &ResourceId) -> Option<Period> {
        let since =
            Period::new(self.allocation.since(), Timestamp::MAX)?.intersection(self.subject.period)?;
        let Some(until) = self.allocation.until() else { return Some(since) };
        let after = Period::new(until, Timestamp::MAX).and_then(|after| after.intersection(since));
        let late = after.is_some_and(|after| usage.totals(target, resource.as_str(), after).count > 0);
        if late { Some(since) } else { Period::new(since.start, since.stop.min(until)) }
    }

    fn usage(
        &self,
        read: &mut Read<'_>,
        period: Period,
        group: &Dimensions,
        own: &mut Own<'a>,
        (warnings, uncharged): (&mut Vec<Warning>, &mut Uncharged),
    ) {
        stop::check();
        let charge = |prices, matched: Matched<'_>| Charge::usage(prices, read.resource, matched);
        for stretch in self.stretches(period, group, charge) {
            let Period { start, stop } = stretch.period;
            match stretch.charge {
                Charge::Rate(by) => self.rated_usage(read, &stretch, by, group, own, warnings),
                Charge::Undeclared | Charge::NoRate => {
                    let version = self.subject.prices.at(start);
                    let events = read.events(stretch.period, version, group);
                    if events > 0 {
                        let declared = matches!(stretch.charge, Charge::NoRate);
                        *uncharged.entry((start, stop, declared)).or_default() += events;
                    }
                }
                // Time without prices is told of once, for the instance.
                Charge::Free | Charge::NoPrices => {}
            }
        }
    }

    fn rated_usage(
        &self,
        read: &mut Read<'_>,
        stretch: &Stretch<'a>,
        by: By<'a>,
        group: &Dimensions,
        own: &mut Own<'a>,
        warnings: &mut Vec<Warning>,
    ) {
        let Model::Usage { per, free, tariff, .. } = &by.rate.model else { return };
        let Some(declared) = by.version.book.resource(read.resource) else { return };
        let linear = is_linear(tariff, *free);
        let parts = if linear { vec![stretch.period] } else { self.subject.by_month(stretch.period) };
        for period in parts {
            let Some(metered) = read.metered(period, (by.version, declared), group) else { continue };
            let events: Vec<Sequence> = metered.sequences.into_iter().map(Sequence).collect();
            let quantity = units::quantity(metered.numerator, metered.denominator, declared.conversion);
            let Some(quantity) = quantity else {
                let (instance, resource) = (self.id, read.resource.clone());
                warnings.push(Warning::TooMuch { instance, resource, period });
                continue;
            };
            if *per == Per::Customer {
                if quantity == Quantity::ZERO {
                    continue;
                }
                let (instance, dimensions) = (self.id, group.to_vec());
                own.pooled.push(Pooled { instance, by, dimensions, period, quantity, events });
                continue;
            }
            let Some(priced) = tariff::price(quantity, *free, tariff) else {
                let (instance, resource) = (self.id, read.resource.clone());
                warnings.push(Warning::TooMuch { instance, resource, period });
                continue;
            };
            let kind = LineKind::Usage { resource: read.resource.clone() };
            let what = name_of(read.resource, group);
            let stretch = Stretch { period, charge: stretch.charge, types: stretch.types.clone() };
            let description = self.describe(&what, &stretch, (quantity, &declared.unit));
            let line = self.subject.line(kind, period, by, (quantity, &declared.unit), priced);
            let rated = Rated::new(line.about(self.id, group).described(description), events);
            let lines = if quantity == Quantity::ZERO { &mut own.nothing } else { &mut own.lines };
            lines.push(rated);
        }
    }

    /// A period in parts, each as long as the charge does not change.
    fn stretches(
        &self,
        period: Period,
        group: &Dimensions,
        charge: impl Fn(Option<Version<'a>>, Matched<'_>) -> Charge<'a>,
    ) -> Vec<Stretch<'a>> {
        let mut stretches: Vec<Stretch<'a>> = Vec::new();
        let mut add = |period: Period, charge: Charge<'a>, attributes: &Attributes| match stretches.last_mut()
        {
            Some(last) if last.charge.same(charge) => {
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

    fn describe(&self, what: &str, stretch: &Stretch<'_>, (quantity, unit): (Quantity, &str)) -> String {
        let types: Vec<&str> = stretch.types.iter().map(|kind| kind.as_str()).collect();
        let (reference, period, types) = (&self.history.reference, stretch.period, types.join(" and "));
        let Allocation { computer, partition, .. } = self.allocation;
        format!("{reference} on {computer} {partition}: {what}, {types}, {period} ({quantity} {unit})")
    }
}

/// How many events are not charged, by their period and whether their resource is declared.
type Uncharged = BTreeMap<(Timestamp, Timestamp, bool), u64>;

/// The usage of a period by group.
type ByGroup = BTreeMap<Vec<Dimension>, Metered>;

/// A resource of a target, as of some event.
struct Read<'a> {
    usage: &'a AsOf<'a>,
    target: &'a Target,
    resource: &'a ResourceId,
    /// What was metered for all groups at once, by period and version; each group takes its own. Metering for each group
    /// alone would look at all usage as often as there are groups.
    metered: BTreeMap<(Timestamp, Timestamp, u32), ByGroup>,
}

impl Read<'_> {
    /// How many events of a group there are in a period.
    fn events(&mut self, period: Period, version: Option<Version<'_>>, group: &Dimensions) -> u64 {
        let declared = version.and_then(|version| Some((version, version.book.resource(self.resource)?)));
        match declared.filter(|_| !group.is_empty()) {
            Some(declared) => self.metered(period, declared, group).map_or(0, |metered| metered.events),
            None => self.usage.read(self.target, self.resource.as_str(), period).sequences.len() as u64,
        }
    }

    /// The usage of a group in a period, as a version meters it; to be asked once of each.
    fn metered(
        &mut self,
        period: Period,
        (version, declared): (Version<'_>, &Resource),
        group: &Dimensions,
    ) -> Option<Metered> {
        if declared.group_by.is_empty() {
            return self.meter(period, declared).into_iter().find(|metered| *metered.dimensions == *group);
        }
        self.by_group(period, (version, declared)).remove(group)
    }

    /// The groups a version divides the usage of a period into; one without a name, if it does not divide it.
    fn groups(&mut self, period: Period, version: Option<Version<'_>>) -> Vec<Vec<Dimension>> {
        let declared = version.and_then(|version| Some((version, version.book.resource(self.resource)?)));
        match declared.filter(|(_, declared)| !declared.group_by.is_empty()) {
            Some(declared) => self.by_group(period, declared).keys().cloned().collect(),
            None => vec![Vec::new()],
        }
    }

    fn by_group(&mut self, period: Period, (version, declared): (Version<'_>, &Resource)) -> &mut ByGroup {
        let key = (period.start, period.stop, version.number);
        if !self.metered.contains_key(&key) {
            let all = self.meter(period, declared).into_iter();
            self.metered.insert(key, all.map(|metered| (metered.dimensions.clone(), metered)).collect());
        }
        self.metered.entry(key).or_default()
    }

    fn meter(&self, period: Period, declared: &Resource) -> Vec<Metered> {
        let method = method(&declared.meter);
        self.usage.meter(self.target, self.resource.as_str(), period, method, &declared.group_by)
    }
}

/// A resource and the group of its usage, for people.
pub(super) fn name_of(resource: &ResourceId, group: &Dimensions) -> String {
    let named: Vec<String> = group.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if named.is_empty() { resource.to_string() } else { format!("{resource} [{}]", named.join(" ")) }
}

/// Whether parts of a quantity cost together what all of it costs.
pub(super) fn is_linear(tariff: &Tariff, free: Quantity) -> bool {
    matches!(tariff, Tariff::PerUnit { .. }) && free == Quantity::ZERO
}

pub(crate) fn method(meter: &Meter) -> Method<'_> {
    match meter {
        Meter::Sum => Method::Sum,
        Meter::TimeIntegral => Method::TimeIntegral,
        Meter::Count => Method::Count,
        Meter::Min => Method::Min,
        Meter::Max => Method::Max,
        Meter::Average => Method::Average,
        Meter::Latest => Method::Latest,
        Meter::UniqueCount { dimension } => Method::UniqueCount { dimension },
        Meter::Percentile { percent, sample_minutes } => {
            Method::Percentile { percent: *percent, sample_minutes: (*sample_minutes).into() }
        }
    }
}
