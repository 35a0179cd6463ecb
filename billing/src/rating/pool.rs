//! Usage that the instances of a customer have priced together.
//!
//! Where prices continue, a rate that charges the same in the next version is the same pool, and pools go on with each
//! other's allowances, tiers and packages if the later rate took the place of the earlier, or an instance went from
//! one to the other. Rates that stand beside each other count for themselves.

use std::collections::{BTreeMap, BTreeSet};

use slapledger_core::domain::id::{InstanceId, ResourceId};
use slapledger_core::domain::invoice::{InvoiceLine, LineKind};
use slapledger_core::domain::pricing::{Model, Resource};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::tax::SoldProduct;
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_projections::metering::Target;

use super::prices::AppliedRate;
use super::rate_number::rate_number;
use super::usage::{
    LineOfPool, MeteredShare, Pooled, adds_up, is_linear, left_of_trial, method, name_of, sum_of,
};
use super::{Complete, DimensionSlice, Own, PricingSpan, RatedLine, RatingSubject, together};
use crate::history::History;
use crate::tariff;
use crate::tariff::Continued;
use crate::units;
use crate::warning::Warning;

/// The usage of one rate, by its place in what was pooled.
struct UsagePool<'a> {
    by: AppliedRate<'a>,
    /// The time in which the rate applied, by whatever instance.
    period: Period,
    /// The part of the span it is in.
    part: Period,
    members: Vec<usize>,
}

impl<'a> RatingSubject<'a> {
    /// Lines of usage that is priced together.
    pub(super) fn pooled(
        &self,
        spans: &[PricingSpan],
        instances: &[(InstanceId, &History)],
        own: &mut Own<'a>,
        warnings: &mut Vec<Warning>,
    ) {
        let mut by_group: BTreeMap<(usize, &str, &DimensionSlice), Vec<usize>> = BTreeMap::new();
        for (at, pooled) in own.pooled.iter().enumerate() {
            let Model::Usage { resource, .. } = &pooled.by.rate.model else { continue };
            let span = spans.iter().position(|span| span.period.contains(pooled.period.start));
            let Some(span) = span else { continue };
            by_group.entry((span, resource.as_str(), &pooled.dimensions)).or_default().push(at);
        }
        let mut lines: Vec<(LineOfPool, Vec<usize>, RatedLine)> = Vec::new();
        for ((span, ..), members) in by_group {
            let Some(span) = spans.get(span) else { continue };
            for class in self.classes(span, &own.pooled, &members) {
                lines.extend(self.class((span, instances), &own.pooled, class, warnings));
            }
        }
        lines.sort_by(|(one, _, first), (other, _, second)| {
            let of = |line: &'_ RatedLine| line.line.dimensions.clone();
            (one.0, one.1, of(first), one.2).cmp(&(other.0, other.1, of(second), other.2))
        });
        for (key, members, line) in lines {
            for at in members {
                own.pooled[at].line = Some(key);
            }
            own.lines.push(line);
        }
    }

    /// The pools of a group, those together that continue each other.
    fn classes(&self, span: &PricingSpan, all: &[Pooled<'a>], members: &[usize]) -> Vec<Vec<UsagePool<'a>>> {
        let mut pools: BTreeMap<(u32, u32, Timestamp), UsagePool<'a>> = BTreeMap::new();
        for at in members {
            let pooled = &all[*at];
            let Some((by, period, part)) = self.time_of_pool(span, pooled) else { continue };
            let key = (by.version.number, by.number, period.start);
            let pool =
                pools.entry(key).or_insert_with(|| UsagePool { by, period, part, members: Vec::new() });
            pool.period.stop = pool.period.stop.max(period.stop);
            pool.members.push(*at);
        }
        let declared = self.declared_times(span, pools.values().next());
        let time_of =
            |pool: &UsagePool<'a>| declared.iter().position(|time| time.contains(pool.period.start));
        let mut classes: Vec<Vec<UsagePool<'a>>> = Vec::new();
        for pool in pools.into_values() {
            let continues = |other: &UsagePool<'a>| {
                span.continues && time_of(&pool) == time_of(other) && pool.goes_on_with(other, all)
            };
            let (mut joined, apart): (Vec<_>, Vec<_>) =
                classes.into_iter().partition(|class| class.iter().any(continues));
            classes = apart;
            let mut class: Vec<UsagePool<'a>> = joined.drain(..).flatten().collect();
            class.push(pool);
            classes.push(class);
        }
        classes.into_iter().map(|class| if span.continues { merged(class) } else { class }).collect()
    }

    /// The times of a span in which the resource of a pool was declared in one way: what comes after another declaration
    /// does not continue what was before it.
    fn declared_times(&self, span: &PricingSpan, pool: Option<&UsagePool<'a>>) -> Vec<Period> {
        let Some(Model::Usage { resource, .. }) = pool.map(|pool| &pool.by.rate.model) else {
            return Vec::new();
        };
        let mut times: Vec<(Period, Option<&Resource>)> = Vec::new();
        for (time, version) in self.prices.within(span.period) {
            let declared = version.and_then(|version| version.book.resource(resource));
            match times.last_mut() {
                Some((last, known)) if *known == declared => last.stop = time.stop,
                _ => times.push((time, declared)),
            }
        }
        times.into_iter().map(|(time, _)| time).collect()
    }

    /// The rate that names a pool, the time in which it applied, and the part of the span that is in.
    fn time_of_pool(
        &self,
        span: &PricingSpan,
        pooled: &Pooled<'a>,
    ) -> Option<(AppliedRate<'a>, Period, Period)> {
        let start = pooled.period.start;
        let part = span.parts.iter().find(|part| part.contains(start)).copied()?;
        if !span.continues {
            let Model::Usage { free, tariff, .. } = &pooled.by.rate.model else { return None };
            let linear = is_linear(tariff, *free) && pooled.by.trial_quantity().is_none();
            let months = if linear { vec![part] } else { self.by_month(part) };
            let period = months.into_iter().find(|month| month.contains(start))?;
            return Some((pooled.by, period, part));
        }
        let Model::Usage { resource, .. } = &pooled.by.rate.model else { return None };
        let taxed = self.taxed_within(sold_together(resource), part).into_iter();
        let part = taxed.map(|(part, _)| part).find(|part| part.contains(start))?;
        // The same rate in the versions before and after: the first one names it.
        let versions = self.prices.within(part);
        let same = |at: usize| {
            let version = versions.get(at)?.1?;
            version.rates().find(|by| by.rate.matching == pooled.by.rate.matching && by.charges_as(pooled.by))
        };
        let at = versions.iter().position(|(time, _)| time.contains(start))?;
        let (mut first, mut last, mut by) = (at, at, pooled.by);
        while let Some(before) = first.checked_sub(1).and_then(|at| Some((at, same(at)?))) {
            (first, by) = before;
        }
        while same(last + 1).is_some() {
            last += 1;
        }
        // One line of an instance may reach over versions that have the rate for others alone.
        let stop = versions[last].0.stop.max(pooled.period.stop.min(part.stop));
        Some((by, Period::new(versions[first].0.start, stop)?, part))
    }

    /// The lines of pools that continue each other.
    fn class(
        &self,
        (span, instances): (&PricingSpan, &[(InstanceId, &History)]),
        all: &[Pooled<'a>],
        pools: Vec<UsagePool<'a>>,
        warnings: &mut Vec<Warning>,
    ) -> Vec<(LineOfPool, Vec<usize>, RatedLine)> {
        let members = pools.iter().flat_map(|pool| &pool.members).map(|at| &all[*at]);
        // Of an instance that is in several pools, the whole counts once.
        let wholes: BTreeMap<InstanceId, Quantity> =
            members.clone().map(|pooled| (pooled.instance, pooled.whole)).collect();
        let whole: i128 = wholes.values().map(|whole| whole.billionths()).sum();
        let total = members.map(|pooled| pooled.quantity).fold(Quantity::ZERO, sum_of);
        let mut before = Quantity::ZERO;
        let mut lines = Vec::new();
        for pool in pools {
            let Some((declared, line)) =
                self.line_of_pool((&pool, all), (span, whole), Continued { before, total }, instances)
            else {
                if let Model::Usage { resource, .. } = &pool.by.rate.model
                    && !self.is_before(pool.period)
                {
                    let (payer, resource, period) = (self.payer, resource.clone(), pool.period);
                    warnings.push(Warning::TooMuchTogether { payer, resource, period });
                }
                continue;
            };
            if adds_up(&declared.meter) {
                before = sum_of(before, line.line.quantity);
            }
            let key = (pool.by.version.number, pool.by.number, pool.period.start);
            lines.push((key, pool.members, line));
        }
        lines
    }

    fn line_of_pool(
        &self,
        (pool, all): (&UsagePool<'a>, &[Pooled<'a>]),
        (span, whole): (&PricingSpan, i128),
        continued: Continued,
        instances: &[(InstanceId, &History)],
    ) -> Option<(&'a Resource, RatedLine)> {
        let goes_on = span.continues;
        let (by, period) = (pool.by, pool.period);
        let Model::Usage { resource, free, tariff, .. } = &by.rate.model else { return None };
        let declared = by.version.declared(by.rate)?;
        let members = || pool.members.iter().map(|at| &all[*at]);
        let sum = members().map(|pooled| pooled.quantity.billionths()).sum();
        let quantity = Quantity::from_billionths(sum)?;
        let group = members().next()?.dimensions.clone();
        let trial = by.trial_quantity().map(|trial| {
            let times = if goes_on { self.declared_times(span, Some(pool)) } else { vec![period] };
            let since =
                times.iter().find(|time| time.contains(period.start)).map_or(period.start, |time| time.start);
            (trial, self.used_before(since, instances, (declared, &*group)))
        });
        let left = left_of_trial(trial);
        let shared = goes_on && !adds_up(&declared.meter) && sum != whole;
        let priced = if shared && !is_linear(tariff, *free) {
            let whole_priced = tariff::price(Quantity::from_billionths(whole)?, *free, tariff)?;
            whole_priced.scaled(sum, whole)?
        } else if goes_on && adds_up(&declared.meter) {
            tariff::after_trial(quantity, continued, (left, *free), tariff)?
        } else {
            tariff::after_trial(quantity, Continued::anew(quantity), (left, *free), tariff)?
        };
        let events = together(members().flat_map(|pooled| pooled.events.iter().copied()));
        let unit = &*declared.unit;
        let what = name_of(resource, &group);
        let shown = self.calendar.shown(period);
        let description = format!("all instances: {what}, {shown} ({quantity} {unit})");
        let kind = LineKind::Usage { resource: resource.clone() };
        let tax = self.tax_on(sold_together(resource), period);
        let line = InvoiceLine { tax, ..self.line(kind, period, by, (quantity, unit), priced) };
        let mut rated = RatedLine::new(line.in_group(&group).described(description), events);
        if adds_up(&declared.meter) && (goes_on || trial.is_some()) {
            let before = if goes_on { continued.before } else { Quantity::ZERO };
            let share = MeteredShare { metered: period, share: None, before, trial };
            rated.detail = super::LineDetail::Usage(share);
        }
        Some((declared, rated))
    }

    /// What all instances used of a resource and group until an instant.
    fn used_before(
        &self,
        until: Timestamp,
        instances: &[(InstanceId, &History)],
        (declared, group): (&Resource, &DimensionSlice),
    ) -> Quantity {
        let used = instances.iter().filter_map(|(id, history)| {
            let usage = self.usage_of(declared, history.allocation.as_ref());
            let life = Period::new(history.allocation.as_ref()?.since(), until)?;
            let (target, resource) = (Target::Instance(*id), declared.resource.as_str());
            let metered = usage.meter(&target, resource, life, method(&declared.meter), &declared.group_by);
            let metered = metered.into_iter().find(|metered| *metered.dimensions == *group)?;
            units::quantity(metered.numerator, metered.denominator, declared.conversion)
        });
        used.fold(Quantity::ZERO, sum_of)
    }
}

impl<'a> Own<'a> {
    /// What of the usage that was pooled is in a line.
    pub(crate) fn pooled_in<'o>(&'o self, line: &'o InvoiceLine) -> impl Iterator<Item = &'o Pooled<'a>> {
        let version = line.price_book.as_ref().map_or(0, |priced| priced.version);
        let key = (version, rate_number(line), line.period.start);
        let is_in =
            move |pooled: &&Pooled<'a>| pooled.line == Some(key) && pooled.dimensions == line.dimensions;
        self.pooled.iter().filter(is_in)
    }
}

impl<'a> UsagePool<'a> {
    /// Whether it continues another pool: it took its place, or an instance went from one to the other.
    fn goes_on_with(&self, other: &Self, all: &[Pooled<'a>]) -> bool {
        let instances = |pool: &Self| -> BTreeSet<InstanceId> {
            pool.members.iter().map(|at| all[*at].instance).collect()
        };
        let replaced = self.by.rate.matching == other.by.rate.matching;
        replaced || !instances(self).is_disjoint(&instances(other))
    }
}

/// Usage that is priced together is of no release.
fn sold_together(resource: &ResourceId) -> SoldProduct<'_> {
    SoldProduct { software_release: None, resource: Some(resource) }
}

/// Pools in the order of time, those as one that charge the same in the same part.
fn merged(class: Vec<UsagePool<'_>>) -> Vec<UsagePool<'_>> {
    let mut pools: Vec<UsagePool<'_>> = Vec::new();
    let mut class = class;
    class.sort_by_key(|pool| (pool.period.start, pool.by.version.number, pool.by.number));
    for mut pool in class {
        let same = |known: &&mut UsagePool<'_>| known.part == pool.part && known.by.charges_as(pool.by);
        match pools.iter_mut().find(same) {
            Some(known) => {
                known.period.stop = known.period.stop.max(pool.period.stop);
                known.members.append(&mut pool.members);
            }
            None => pools.push(pool),
        }
    }
    pools
}
