//! What one instance is charged for its usage of resources.
//!
//! Within a span, quantities continue: an allowance, a tier or a package that was begun by one rate goes on with the next.
//! Meters that do not add up (a maximum, a percentile) measure the span once, and each rate charges the share of the time
//! in which it applied. In a span that restarts, every stretch counts for itself.

use std::collections::{BTreeMap, HashMap};

use slapledger_core::domain::id::{InstanceId, ResourceId, Sequence};
use slapledger_core::domain::invoice::{InvoiceLine, LineKind};
use slapledger_core::domain::pricing::{Matched, Meter, Model, Per, Resource, Tariff};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_projections::metering::{AsOf, Metered, Method, Target};
use slapledger_projections::stop;

use super::instance::{RatedInstance, Stretch};
use super::prices::{AppliedCharge, AppliedRate, Version};
use super::{Complete, DimensionSlice, LineDetail, Own, PricingSpan, RatedLine};
use crate::tariff::Continued;
use crate::warning::Warning;
use crate::{tariff, units};

/// How the quantity of a line, or of a part of it, comes from what a meter measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MeteredShare {
    /// The time the meter looked at.
    pub(crate) metered: Period,
    /// Of a meter that does not add up, the share of the value: this time of that.
    pub(crate) share: Option<(Period, i64)>,
    /// What was counted earlier in the month: allowances, tiers and packages go on from there.
    pub(crate) before: Quantity,
    /// The units of a trial, and how many of them were used before the month.
    pub(crate) trial: Option<(Quantity, Quantity)>,
}

/// The usage of one instance that is priced together with that of others.
pub(crate) struct Pooled<'a> {
    pub(crate) instance: InstanceId,
    pub(super) by: AppliedRate<'a>,
    pub(super) dimensions: Vec<(Box<str>, Box<str>)>,
    /// The time in which the rate was the best for the instance.
    pub(crate) period: Period,
    pub(crate) share: MeteredShare,
    pub(crate) quantity: Quantity,
    /// What the meter measured of the instance in its span, of which the quantity may be a share.
    pub(super) whole: Quantity,
    pub(super) events: Vec<Sequence>,
    /// The line it is in: version, rate and beginning.
    pub(super) line: Option<LineOfPool>,
}

/// What tells the lines of pools of one group apart.
pub(super) type LineOfPool = (u32, u32, Timestamp);

/// A time of an instance in which a resource was declared in one way.
struct DeclaredTime<'a> {
    span: PricingSpan,
    /// How long the instance could use the resource in the whole span.
    present: i64,
    declared: Option<&'a Resource>,
}

impl<'a> RatedInstance<'a> {
    /// Lines of usage, by resource.
    pub(super) fn all_usage(&self, spans: &[PricingSpan], own: &mut Own<'a>, warnings: &mut Vec<Warning>) {
        let (target, usage) = (Target::Instance(self.id), self.subject.usage());
        for resource in self.subject.basis.metering.series(&target) {
            let Some(period) = self.time_of_use(&usage, &target, resource) else { continue };
            let before = own.lines.len();
            for span in spans.iter().filter_map(|span| span.within(period)) {
                for piece in self.declared_times(&span, resource) {
                    let usage = piece.declared.map_or(usage, |declared| self.reading(declared));
                    let read =
                        ResourceRead { usage: &usage, target: &target, resource, declared: piece.declared };
                    self.usage(&piece, read, own, warnings);
                }
            }
            // Groups come one after the other; their lines are in order of time.
            own.lines[before..].sort_by_key(|rated| rated.line.period.start);
        }
    }

    /// What was reported of a resource, as it is declared: levels may carry over until the instance ends.
    fn reading(&self, declared: &'a Resource) -> AsOf<'a> {
        self.subject.usage_of(declared, Some(self.allocation))
    }

    /// The part of the period in which there can be usage: the allocation. A node whose clock is ahead may have
    /// reported usage that stops shortly after the end, which was attributed before the end was known: it counts.
    fn time_of_use(&self, usage: &AsOf<'_>, target: &Target, resource: &ResourceId) -> Option<Period> {
        let since = Period::new(self.allocation.since(), Timestamp::MAX)?
            .intersection(self.times.with_month_before)?;
        let Some(until) = self.allocation.until() else { return Some(since) };
        let after = Period::new(until, Timestamp::MAX).and_then(|after| after.intersection(since));
        let late = after.is_some_and(|after| usage.totals(target, resource.as_str(), after).count > 0);
        if late { Some(since) } else { Period::new(since.start, since.stop.min(until)) }
    }

    /// The parts of a span in which a resource is declared in one way: quantities of two declarations do not add up.
    fn declared_times(&self, span: &PricingSpan, resource: &ResourceId) -> Vec<DeclaredTime<'a>> {
        let mut parts: Vec<(Period, Option<&'a Resource>)> = Vec::new();
        for (part, version) in self.subject.prices.within(span.period) {
            let declared = version.and_then(|version| version.book.resource(resource));
            match parts.last_mut() {
                Some((last, known)) if span.continues && *known == declared => last.stop = part.stop,
                _ => parts.push((part, declared)),
            }
        }
        let present = span.period.micros() + self.rest_of_month(span);
        let times = parts.into_iter().filter_map(|(part, declared)| {
            Some(DeclaredTime { span: span.within(part)?, present, declared })
        });
        times.collect()
    }

    /// How long the instance is there after a period that ends within a month, as far as is known: what does not add up is
    /// charged by the share of the month.
    fn rest_of_month(&self, span: &PricingSpan) -> i64 {
        let stop = span.period.stop;
        if !span.continues || stop < self.subject.period.stop {
            return 0;
        }
        let month = self.times.next_month(stop.plus_micros(-1));
        let until = self.allocation.until().map_or(month, |until| until.min(month));
        Period::new(stop, until).map_or(0, Period::micros)
    }

    fn usage(
        &self,
        piece: &DeclaredTime<'a>,
        read: ResourceRead<'_, 'a>,
        own: &mut Own<'a>,
        warnings: &mut Vec<Warning>,
    ) {
        let mut meters = MeterCache::new(read);
        if read.declared.is_none_or(|declared| declared.group_by.is_empty()) {
            let stretches = self.stretches_of_usage(piece, read.resource, &[]);
            self.group(piece, &mut meters, (&[], &stretches), own, warnings);
            return;
        }
        let versions = self.subject.prices.within(piece.span.period);
        let mut rates = versions.iter().filter_map(|(_, version)| *version).flat_map(Version::rates);
        let apart = rates.any(|by| !by.rate.matching.dimensions.is_empty());
        let groups = meters.groups(piece.span.period);
        // Rates that name no dimensions are the same for all groups.
        let same = (!apart).then(|| self.stretches_of_usage(piece, read.resource, &[]));
        for group in groups {
            let own_stretches = same.is_none().then(|| self.stretches_of_usage(piece, read.resource, &group));
            let stretches = own_stretches.as_ref().or(same.as_ref()).map_or(&[][..], Vec::as_slice);
            self.group(piece, &mut meters, (&group, stretches), own, warnings);
        }
    }

    fn stretches_of_usage(
        &self,
        piece: &DeclaredTime<'_>,
        resource: &ResourceId,
        group: &DimensionSlice,
    ) -> Vec<Stretch<'a>> {
        let charge = |prices, matched: Matched<'_>| AppliedCharge::usage(prices, resource, matched);
        let parts = piece.span.parts.iter();
        parts.flat_map(|part| self.stretches((*part, piece.span.continues), group, charge)).collect()
    }

    /// The usage of one group.
    fn group(
        &self,
        piece: &DeclaredTime<'a>,
        meters: &mut MeterCache<'_, 'a>,
        (group, stretches): (&DimensionSlice, &[Stretch<'a>]),
        own: &mut Own<'a>,
        warnings: &mut Vec<Warning>,
    ) {
        stop::check();
        let mut rated: Vec<(&Stretch<'a>, AppliedRate<'a>)> = Vec::new();
        for stretch in stretches {
            match stretch.charge {
                AppliedCharge::Rate(by) => rated.push((stretch, by)),
                // Another run told of it.
                _ if self.subject.is_before(stretch.period) => {}
                AppliedCharge::Undeclared | AppliedCharge::NoRate => {
                    let (instance, resource, period) =
                        (self.id, meters.read.resource.clone(), stretch.period);
                    let events = meters.events(period, group);
                    if events == 0 {
                        continue;
                    }
                    let declared = matches!(stretch.charge, AppliedCharge::NoRate);
                    let told = warnings.last_mut().and_then(|last| match last {
                        Warning::UsageNoRate { instance: of, resource: what, period: when, events }
                            if declared && (*of, &*what, *when) == (instance, &resource, period) =>
                        {
                            Some(events)
                        }
                        _ => None,
                    });
                    // Of groups that nothing is charged for it is told once.
                    if let Some(told) = told {
                        *told += events;
                    } else if declared {
                        warnings.push(Warning::UsageNoRate { instance, resource, period, events });
                    } else {
                        warnings.push(Warning::Undeclared { instance, resource, period, events });
                    }
                }
                // Time without prices is told of once, for the instance.
                AppliedCharge::Free | AppliedCharge::NoPrices => {}
            }
        }
        let Some(declared) = meters.read.declared else { return };
        let quantities = if !piece.span.continues {
            self.restarting(&rated, meters, group, declared)
        } else if adds_up(&declared.meter) {
            adding_up(&rated, meters, group, declared)
        } else {
            by_share(piece, &rated, meters, group, declared)
        };
        let mut counted = Quantity::ZERO;
        let total = counted_together(&quantities);
        for taken in quantities {
            let StretchQuantity { stretch, by, .. } = taken;
            let (instance, resource, period) = (self.id, meters.read.resource.clone(), stretch.period);
            let before = self.subject.is_before(period);
            let Some(quantity) = taken.quantity else {
                warnings.extend((!before).then_some(Warning::TooMuch { instance, resource, period }));
                continue;
            };
            let Model::Usage { per, free, tariff, .. } = &by.rate.model else { continue };
            let (metered, share) = (taken.metered, taken.share);
            if *per == Per::Customer && stretch.trial.is_none() {
                if quantity != Quantity::ZERO {
                    own.pooled.push(Pooled {
                        instance,
                        by,
                        dimensions: group.to_vec(),
                        period,
                        share: MeteredShare { metered, share, before: Quantity::ZERO, trial: None },
                        quantity,
                        whole: taken.whole,
                        events: taken.events,
                        line: None,
                    });
                }
                continue;
            }
            let continued = if piece.span.continues {
                Continued { before: counted, total }
            } else {
                Continued::anew(quantity)
            };
            let trial = by.trial_quantity().map(|trial| {
                let since = if piece.span.continues { piece.span.period.start } else { period.start };
                (trial, self.used_before(since, meters, group, declared))
            });
            let priced = match share {
                _ if stretch.trial.is_some() => Some(tariff::for_nothing(quantity)),
                Some((of, whole)) if !is_linear(tariff, *free) => tariff::price(taken.whole, *free, tariff)
                    .and_then(|priced| priced.scaled(of.micros().into(), whole.into())),
                _ => tariff::after_trial(quantity, continued, (left_of_trial(trial), *free), tariff),
            };
            let Some(priced) = priced else {
                warnings.extend((!before).then_some(Warning::TooMuch { instance, resource, period }));
                continue;
            };
            let what = name_of(&resource, group);
            let kind = LineKind::Usage { resource };
            let description = self.describe(&what, &stretch, (quantity, &declared.unit));
            let line = self.subject.line(kind, period, by, (quantity, &declared.unit), priced);
            let line = InvoiceLine { tax: self.tax_of((by, stretch.trial.is_some()), period), ..line };
            let mut rated = RatedLine::new(line.about(self.id, group).described(description), taken.events);
            let goes_on = share.is_none() && stretch.trial.is_none();
            let before = if goes_on { continued.before } else { Quantity::ZERO };
            rated.detail = LineDetail::Usage(MeteredShare { metered, share, before, trial });
            let lines = if quantity == Quantity::ZERO { &mut own.nothing } else { &mut own.lines };
            lines.push(rated);
            if stretch.trial.is_none() {
                counted = sum_of(counted, quantity);
            }
        }
    }

    /// What the instance used of a resource and group from its allocation until an instant.
    fn used_before(
        &self,
        until: Timestamp,
        meters: &mut MeterCache<'_, 'a>,
        group: &DimensionSlice,
        declared: &Resource,
    ) -> Quantity {
        let life = Period::new(self.allocation.since(), until);
        let used = life.and_then(|life| meters.of(life, group));
        used.and_then(|used| units::quantity(used.numerator, used.denominator, declared.conversion))
            .unwrap_or_default()
    }

    /// Each stretch, and each month of one whose tariff is not linear, for itself.
    fn restarting(
        &self,
        rated: &[(&Stretch<'a>, AppliedRate<'a>)],
        meters: &mut MeterCache<'_, 'a>,
        group: &DimensionSlice,
        declared: &Resource,
    ) -> Vec<StretchQuantity<'a>> {
        let mut taken = Vec::new();
        for (stretch, by) in rated {
            let Model::Usage { free, tariff, .. } = &by.rate.model else { continue };
            let linear = is_linear(tariff, *free) && by.trial_quantity().is_none();
            let parts = if linear { vec![stretch.period] } else { self.subject.by_month(stretch.period) };
            for period in parts {
                let stretch = Stretch { period, ..(*stretch).clone() };
                taken.extend(StretchQuantity::all(stretch, *by, meters.of(period, group), declared));
            }
        }
        taken
    }
}

/// What adds up is measured in each stretch.
fn adding_up<'a>(
    rated: &[(&Stretch<'a>, AppliedRate<'a>)],
    meters: &mut MeterCache<'_, 'a>,
    group: &DimensionSlice,
    declared: &Resource,
) -> Vec<StretchQuantity<'a>> {
    let taken = rated.iter().filter_map(|(stretch, by)| {
        StretchQuantity::all((*stretch).clone(), *by, meters.of(stretch.period, group), declared)
    });
    taken.collect()
}

/// What does not add up is measured once, and each stretch has its share of the time.
fn by_share<'a>(
    piece: &DeclaredTime<'_>,
    rated: &[(&Stretch<'a>, AppliedRate<'a>)],
    meters: &mut MeterCache<'_, 'a>,
    group: &DimensionSlice,
    declared: &Resource,
) -> Vec<StretchQuantity<'a>> {
    let (Some((first, _)), Some((last, _))) = (rated.first(), rated.last()) else { return Vec::new() };
    let Some(metered) = Period::new(first.period.start, last.period.stop) else { return Vec::new() };
    let Some(value) = meters.of(metered, group) else { return Vec::new() };
    let whole = units::quantity(value.numerator, value.denominator, declared.conversion);
    let present = i128::from(piece.present);
    // Boundaries are rounded, so that the shares of all the time are the whole.
    let until = |time: i64| whole.map(|whole| tariff::part_of(whole.billionths(), time.into(), present));
    let mut time = 0;
    let shares = rated.iter().map(|(stretch, by)| {
        let before = until(time);
        time += stretch.period.micros();
        let all = stretch.period.micros() == piece.present;
        let quantity = until(time).zip(before).map(|(until, before)| until - before);
        StretchQuantity {
            stretch: (*stretch).clone(),
            by: *by,
            metered,
            share: (!all).then_some((stretch.period, piece.present)),
            quantity: quantity.and_then(Quantity::from_billionths),
            whole: whole.unwrap_or_default(),
            events: value.sequences.iter().copied().map(Sequence).collect(),
        }
    });
    shares.collect()
}

/// The quantity of a stretch.
struct StretchQuantity<'a> {
    stretch: Stretch<'a>,
    by: AppliedRate<'a>,
    metered: Period,
    share: Option<(Period, i64)>,
    /// None, if it has more digits than a quantity.
    quantity: Option<Quantity>,
    /// What the meter measured, of which the quantity may be a share.
    whole: Quantity,
    events: Vec<Sequence>,
}

impl<'a> StretchQuantity<'a> {
    /// All that was measured in a stretch, if there was any usage.
    fn all(
        stretch: Stretch<'a>,
        by: AppliedRate<'a>,
        metered: Option<&Metered>,
        declared: &Resource,
    ) -> Option<Self> {
        let value = metered?;
        let quantity = units::quantity(value.numerator, value.denominator, declared.conversion);
        Some(Self {
            metered: stretch.period,
            stretch,
            by,
            share: None,
            quantity,
            whole: quantity.unwrap_or_default(),
            events: value.sequences.iter().copied().map(Sequence).collect(),
        })
    }
}

/// All that the rates of one instance count together in a span.
fn counted_together(taken: &[StretchQuantity<'_>]) -> Quantity {
    let own = taken.iter().filter(|taken| match &taken.by.rate.model {
        Model::Usage { per, .. } => *per == Per::Instance && taken.stretch.trial.is_none(),
        _ => false,
    });
    own.filter_map(|taken| taken.quantity).fold(Quantity::ZERO, sum_of)
}

/// How much of a trial is left.
pub(super) fn left_of_trial(trial: Option<(Quantity, Quantity)>) -> Quantity {
    trial.map_or(Quantity::ZERO, |(trial, used)| {
        Quantity::from_billionths((trial.billionths() - used.billionths()).max(0)).unwrap_or_default()
    })
}

/// A sum; of what has too many digits, the largest part that has not.
pub(super) fn sum_of(one: Quantity, other: Quantity) -> Quantity {
    Quantity::from_billionths(one.billionths() + other.billionths()).unwrap_or(one.max(other))
}

/// A resource of a target, as of some event.
#[derive(Clone, Copy)]
struct ResourceRead<'r, 'a> {
    usage: &'r AsOf<'r>,
    target: &'r Target,
    resource: &'r ResourceId,
    declared: Option<&'a Resource>,
}

impl ResourceRead<'_, '_> {
    /// How many events there are in a period.
    fn events(self, period: Period) -> u64 {
        self.usage.read(self.target, self.resource.as_str(), period).sequences.len() as u64
    }
}

/// Dimensions and their values, as a group is named.
type UsageGroupKey = Vec<(Box<str>, Box<str>)>;

/// What was metered of one resource: each period is read once, however many groups it has.
struct MeterCache<'r, 'a> {
    read: ResourceRead<'r, 'a>,
    known: HashMap<Period, BTreeMap<UsageGroupKey, Metered>>,
}

impl<'r, 'a> MeterCache<'r, 'a> {
    fn new(read: ResourceRead<'r, 'a>) -> Self {
        Self { read, known: HashMap::new() }
    }

    fn all(&mut self, period: Period) -> &BTreeMap<UsageGroupKey, Metered> {
        let read = self.read;
        self.known.entry(period).or_insert_with(|| {
            let Some(declared) = read.declared else { return BTreeMap::new() };
            let (method, groups) = (method(&declared.meter), &declared.group_by);
            let metered = read.usage.meter(read.target, read.resource.as_str(), period, method, groups);
            metered.into_iter().map(|metered| (metered.dimensions.clone(), metered)).collect()
        })
    }

    fn groups(&mut self, period: Period) -> Vec<UsageGroupKey> {
        self.all(period).keys().cloned().collect()
    }

    fn of(&mut self, period: Period, group: &DimensionSlice) -> Option<&Metered> {
        self.all(period).get(group)
    }

    /// How many events of a group there are in a period.
    fn events(&mut self, period: Period, group: &DimensionSlice) -> u64 {
        if group.is_empty() {
            return self.read.events(period);
        }
        self.of(period, group).map_or(0, |metered| metered.events)
    }
}

/// A resource and the group of its usage, for people.
pub(super) fn name_of(resource: &ResourceId, group: &DimensionSlice) -> String {
    let named: Vec<String> = group.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if named.is_empty() { resource.to_string() } else { format!("{resource} [{}]", named.join(" ")) }
}

/// Whether parts of a quantity cost together what all of it costs.
pub(super) fn is_linear(tariff: &Tariff, free: Quantity) -> bool {
    matches!(tariff, Tariff::PerUnit { .. }) && free == Quantity::ZERO
}

/// Whether what is measured in two times is measured in both together.
pub(super) fn adds_up(meter: &Meter) -> bool {
    matches!(meter, Meter::Sum | Meter::TimeIntegral | Meter::Count)
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
