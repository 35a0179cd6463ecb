//! Usage that the instances of a customer have priced together.
//!
//! Where prices continue, a rate that charges the same in the next version is the same pool, and pools go on with each
//! other's allowances, tiers and packages if the later rate took the place of the earlier, or an instance went from one to
//! the other. Rates that stand beside each other count for themselves.

use std::collections::{BTreeMap, BTreeSet};

use slapledger_core::domain::id::{InstanceId, Sequence};
use slapledger_core::domain::invoice::{InvoiceLine, LineKind};
use slapledger_core::domain::pricing::{Model, Resource};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::{Period, Timestamp};

use super::prices::By;
use super::usage::{MeteredShare, adds_up, is_linear, name_of, sum_of};
use super::{Complete, Dimensions, Own, PricingSpan, Rated, RatingSubject, together};
use crate::tariff;
use crate::tariff::Continued;
use crate::warning::Warning;

/// The usage of one instance that is priced together with that of others.
pub(crate) struct Pooled<'a> {
    pub(crate) instance: InstanceId,
    pub(super) by: By<'a>,
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
type LineOfPool = (u32, u32, Timestamp);

/// The usage of one rate, by its place in what was pooled.
struct UsagePool<'a> {
    by: By<'a>,
    /// The time in which the rate applied, to whomever.
    period: Period,
    /// The part of the span it is in.
    part: Period,
    members: Vec<usize>,
}

impl<'a> RatingSubject<'a> {
    /// Lines of usage that is priced together.
    pub(super) fn pooled(&self, spans: &[PricingSpan], own: &mut Own<'a>, warnings: &mut Vec<Warning>) {
        let mut by_group: BTreeMap<(usize, &str, &Dimensions), Vec<usize>> = BTreeMap::new();
        for (at, pooled) in own.pooled.iter().enumerate() {
            let Model::Usage { resource, .. } = &pooled.by.rate.model else { continue };
            let span = spans.iter().position(|span| span.period.contains(pooled.period.start));
            let Some(span) = span else { continue };
            by_group.entry((span, resource.as_str(), &pooled.dimensions)).or_default().push(at);
        }
        let mut lines: Vec<(LineOfPool, Vec<usize>, Rated)> = Vec::new();
        for ((span, ..), members) in by_group {
            let Some(span) = spans.get(span) else { continue };
            for class in self.classes(span, &own.pooled, &members) {
                lines.extend(self.class(span, &own.pooled, class, warnings));
            }
        }
        lines.sort_by(|(one, _, first), (other, _, second)| {
            let of = |line: &'_ Rated| line.line.dimensions.clone();
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
        let mut classes: Vec<Vec<UsagePool<'a>>> = Vec::new();
        for pool in pools.into_values() {
            let continues = |other: &UsagePool<'a>| span.continues && pool.goes_on_with(other, all);
            let (mut joined, apart): (Vec<_>, Vec<_>) =
                classes.into_iter().partition(|class| class.iter().any(continues));
            classes = apart;
            let mut class: Vec<UsagePool<'a>> = joined.drain(..).flatten().collect();
            class.push(pool);
            classes.push(class);
        }
        classes.into_iter().map(|class| if span.continues { merged(class) } else { class }).collect()
    }

    /// The rate that names a pool, the time in which it applied, and the part of the span that is in.
    fn time_of_pool(&self, span: &PricingSpan, pooled: &Pooled<'a>) -> Option<(By<'a>, Period, Period)> {
        let start = pooled.period.start;
        let part = span.parts.iter().find(|part| part.contains(start)).copied()?;
        if !span.continues {
            let Model::Usage { free, tariff, .. } = &pooled.by.rate.model else { return None };
            let months = if is_linear(tariff, *free) { vec![part] } else { self.by_month(part) };
            let period = months.into_iter().find(|month| month.contains(start))?;
            return Some((pooled.by, period, part));
        }
        // The same rate in the versions before and after: the first one names it.
        let versions = self.prices.within(part);
        let same = |at: usize| {
            let version = versions.get(at)?.1?;
            let mut rates = (1..).zip(&version.book.rates);
            rates.find_map(|(number, rate)| {
                let by = By { version, number, rate };
                (rate.matching == pooled.by.rate.matching && by.charges_as(pooled.by)).then_some(by)
            })
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
        span: &PricingSpan,
        all: &[Pooled<'a>],
        pools: Vec<UsagePool<'a>>,
        warnings: &mut Vec<Warning>,
    ) -> Vec<(LineOfPool, Vec<usize>, Rated)> {
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
                self.line_of_pool(&pool, all, (span.continues, whole), Continued { before, total })
            else {
                if let Model::Usage { resource, .. } = &pool.by.rate.model {
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
        pool: &UsagePool<'a>,
        all: &[Pooled<'a>],
        (goes_on, whole): (bool, i128),
        continued: Continued,
    ) -> Option<(&'a Resource, Rated)> {
        let (by, period) = (pool.by, pool.period);
        let Model::Usage { resource, free, tariff, .. } = &by.rate.model else { return None };
        let declared = by.version.declared(by.rate)?;
        let members = || pool.members.iter().map(|at| &all[*at]);
        let sum = members().map(|pooled| pooled.quantity.billionths()).sum();
        let quantity = Quantity::from_billionths(sum)?;
        let shared = goes_on && !adds_up(&declared.meter) && sum != whole;
        let priced = if shared && !is_linear(tariff, *free) {
            let whole_priced = tariff::price(Quantity::from_billionths(whole)?, *free, tariff)?;
            whole_priced.scaled(sum, whole)?
        } else if goes_on && adds_up(&declared.meter) {
            tariff::continued(quantity, continued, *free, tariff)?
        } else {
            tariff::price(quantity, *free, tariff)?
        };
        let events = together(members().flat_map(|pooled| pooled.events.iter().copied()));
        let unit = &*declared.unit;
        let group = members().next()?.dimensions.clone();
        let what = name_of(resource, &group);
        let description = format!("all instances: {what}, {period} ({quantity} {unit})");
        let kind = LineKind::Usage { resource: resource.clone() };
        let line = self.line(kind, period, by, (quantity, unit), priced);
        let mut rated = Rated::new(line.in_group(&group).described(description), events);
        if goes_on && adds_up(&declared.meter) {
            rated.detail = super::LineDetail::Usage(MeteredShare {
                metered: period,
                share: None,
                before: continued.before,
            });
        }
        Some((declared, rated))
    }
}

impl<'a> Own<'a> {
    /// What of the usage that was pooled is in a line.
    pub(crate) fn pooled_in<'o>(&'o self, line: &'o InvoiceLine) -> impl Iterator<Item = &'o Pooled<'a>> {
        let version = line.price_book.as_ref().map_or(0, |priced| priced.version);
        let key = (version, line.rate, line.period.start);
        let is_in =
            move |pooled: &&Pooled<'a>| pooled.line == Some(key) && pooled.dimensions == line.dimensions;
        self.pooled.iter().filter(is_in)
    }
}

impl<'a> UsagePool<'a> {
    /// Whether it continues another pool: it took its place, or an instance went from one to the other.
    fn goes_on_with(&self, other: &Self, all: &[Pooled<'a>]) -> bool {
        if self.by.version.declared(self.by.rate) != other.by.version.declared(other.by.rate) {
            return false;
        }
        let instances = |pool: &Self| -> BTreeSet<InstanceId> {
            pool.members.iter().map(|at| all[*at].instance).collect()
        };
        let replaced = self.by.rate.matching == other.by.rate.matching;
        replaced || !instances(self).is_disjoint(&instances(other))
    }
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
