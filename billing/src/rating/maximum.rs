//! Maximums: the most that is charged in a month for a fee or a resource of an instance, for an instance, or for a customer.

use std::collections::BTreeMap;

use slapledger_core::domain::id::{InstanceId, Sequence};
use slapledger_core::domain::invoice::{InvoiceLine, LineKind, Reduces};
use slapledger_core::domain::money::{Amount, Exact, Price};
use slapledger_core::domain::pricing::{CapPer, Every, Matched, Model, Of, Proration, RateSubject};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Period;

use super::customer::{counts, name_of_base, united};
use super::instance::RatedInstance;
use super::prices::{AppliedCharge, AppliedRate, PricingSpan, RatePiece, Version, uncut};
use super::reduction::{LineReduction, MinimumPart, MonthUntil, Reduced, ReductionRule};
use super::usage::name_of;
use super::{DimensionSlice, Own, RatedLine, RatingSubject};
use crate::history::History;
use crate::proration::prorate;

/// What a maximum per line is of: a fee or a resource, and the group of its usage.
type CappedThing<'l> = (Reduces, &'l DimensionSlice);

/// A maximum of a month, before it is known what it comes to.
struct Maximum<'m, 'a> {
    pieces: &'m [RatePiece<'a>],
    /// The months of a piece that the maximum is for; the second time is that in which it would be one.
    months: &'m dyn Fn(Period, Period, Proration) -> Vec<Period>,
    members: Vec<usize>,
    instance: Option<InstanceId>,
    dimensions: Vec<(Box<str>, Box<str>)>,
    reduces: Reduces,
    /// What it is of, for people.
    what: String,
    events: Vec<Sequence>,
}

impl<'a> RatingSubject<'a> {
    /// The maximums of each instance in a span: first of its lines, then of all of them.
    pub(super) fn maximums_of_instances(
        &'a self,
        span: &PricingSpan,
        instances: &[(InstanceId, &'a History)],
        own: &mut Own<'a>,
    ) {
        if self.prices.maximums.is_empty() {
            return;
        }
        let mut by_instance: BTreeMap<InstanceId, Vec<usize>> = BTreeMap::new();
        for (at, rated) in own.lines.iter().enumerate() {
            if let Some(instance) =
                rated.line.instance.filter(|_| span.period.contains(rated.line.period.start))
            {
                by_instance.entry(instance).or_default().push(at);
            }
        }
        for rated in self.allocated(instances) {
            let Some(lines) = by_instance.get(&rated.id) else { continue };
            for (per, of) in &self.prices.maximums {
                self.maximum_of_instance((span, &rated), lines, (*per, of), own);
            }
        }
    }

    fn maximum_of_instance(
        &'a self,
        (span, rated): (&PricingSpan, &RatedInstance<'a>),
        lines: &[usize],
        (per, of): (CapPer, &Of),
        own: &mut Own<'a>,
    ) {
        let charge = |prices: Option<Version<'a>>, matched: Matched<'_>| {
            let by = prices.and_then(|version| version.rate(RateSubject::Maximum(of, per), matched));
            by.map_or(AppliedCharge::Free, AppliedCharge::Rate)
        };
        let stretches = span.parts.iter().flat_map(|part| rated.stretches((*part, true), &[], charge));
        let pieces: Vec<RatePiece<'a>> = stretches
            .filter_map(|stretch| match stretch.charge {
                AppliedCharge::Rate(by) => Some((stretch.period, by)),
                _ => None,
            })
            .collect();
        let members = self.members(lines.iter().copied(), (&pieces, of, false), &own.lines);
        if members.is_empty() {
            return;
        }
        let mut things: BTreeMap<CappedThing<'_>, Vec<usize>> = BTreeMap::new();
        for at in members {
            let line = &own.lines[at].line;
            let thing = match per {
                CapPer::Line => (self.thing_of(line), &*line.dimensions),
                CapPer::Instance | CapPer::Customer => (Reduces::All, &[][..]),
            };
            things.entry(thing).or_default().push(at);
        }
        let things: Vec<_> =
            things.into_iter().map(|((thing, group), members)| (thing, group.to_vec(), members)).collect();
        let months = |piece: Period, applies: Period, proration: Proration| {
            let time = match proration {
                Proration::None => rated.allocation.within(applies).map(|_| piece),
                Proration::Allocated => rated.allocation.within(piece),
            };
            time.into_iter().collect()
        };
        for (reduces, dimensions, members) in things {
            let reference = &rated.history.reference;
            let what = match &reduces {
                Reduces::All => format!("{} of {reference}", name_of_base(of)),
                Reduces::Fee(item) if item.is_empty() => format!("the fee of {reference}"),
                Reduces::Fee(item) => format!("{item} of {reference}"),
                Reduces::Resource(resource) => format!("{} of {reference}", name_of(resource, &dimensions)),
            };
            let events = rated.history.events(span.period.stop, self.as_of, self.prices.states);
            let maximum = Maximum {
                pieces: &pieces,
                months: &months,
                members,
                instance: Some(rated.id),
                dimensions,
                reduces,
                what,
                events,
            };
            self.maximum(&maximum, own);
        }
    }

    /// A maximum of a customer, from the parts of a month in which it applies.
    pub(super) fn maximum_of_customer(
        &self,
        parts: &[RatePiece<'a>],
        histories: &[&History],
        own: &mut Own<'a>,
    ) {
        let Some((_, by)) = parts.first() else { return };
        let Model::Maximum { of, .. } = &by.rate.model else { return };
        let members = self.members(0..own.lines.len(), (parts, of, true), &own.lines);
        let allocations = || histories.iter().filter_map(|history| history.allocation.as_ref());
        let months = |part: Period, applies: Period, proration: Proration| match proration {
            Proration::None => {
                let there = allocations().any(|allocation| allocation.within(applies).is_some());
                if there { vec![part] } else { Vec::new() }
            }
            Proration::Allocated => united(allocations().filter_map(|allocation| allocation.within(part))),
        };
        let stop = parts.last().map_or(self.period.stop, |(part, _)| part.stop);
        let events = histories.iter().filter(|history| {
            let within = |(part, _): &RatePiece<'a>| {
                history.allocation.as_ref().is_some_and(|known| known.within(*part).is_some())
            };
            parts.iter().any(within)
        });
        let events =
            events.flat_map(|history| history.events(stop, self.as_of, self.prices.states)).collect();
        let maximum = Maximum {
            pieces: parts,
            months: &months,
            members,
            instance: None,
            dimensions: Vec::new(),
            reduces: Reduces::All,
            what: name_of_base(of),
            events,
        };
        self.maximum(&maximum, own);
    }

    /// The lines a maximum is of: those that begin in its time.
    fn members(
        &self,
        places: impl Iterator<Item = usize>,
        (pieces, of, percentages): (&[RatePiece<'a>], &Of, bool),
        lines: &[RatedLine],
    ) -> Vec<usize> {
        let counted = |line: &InvoiceLine| {
            pieces.iter().any(|(piece, _)| counts(line, (self.prices.name, *piece), of, percentages))
        };
        places.filter(|at| counted(&lines[*at].line)).collect()
    }

    fn maximum(&self, maximum: &Maximum<'_, 'a>, own: &mut Own<'a>) {
        let Maximum { pieces, members, .. } = maximum;
        let mut in_period = pieces.iter().filter(|(piece, _)| !self.is_before(*piece));
        let first = in_period.next();
        let Some((_, by)) = first.or(pieces.first()) else { return };
        let (now, parts) = self.capped(maximum, (*by, MonthUntil::Now), &own.lines);
        if now.amount == 0 && members.iter().all(|at| !self.is_before(own.lines[*at].line.period)) {
            return;
        }
        let (before, _) = self.capped(maximum, (*by, MonthUntil::Before), &own.lines);
        let stop = in_period.next_back().or(first).map(|(piece, _)| piece.stop);
        let period = first.zip(stop).and_then(|((piece, _), stop)| Period::new(piece.start, stop));
        let own_parts = parts.iter().filter(|part| !self.is_before(part.time));
        let quantity = own_parts.map(|part| part.quantity.billionths()).sum();
        let quantity = Quantity::from_billionths(quantity).unwrap_or_default();
        let book = by.version.book;
        let mut prices: Vec<String> = parts.iter().map(|part| part.price.to_string()).collect();
        prices.dedup();
        let base = Amount::from_minor(now.base, book.currency);
        let description = format!(
            "at most {} {currency} a month for {} ({quantity} month, {base} {currency} so far), {}",
            prices.join(" and "),
            maximum.what,
            self.calendar.shown(period.unwrap_or(self.period)),
            currency = book.currency,
        );
        let reduction = LineReduction {
            kind: LineKind::Maximum,
            by: *by,
            instance: maximum.instance,
            dimensions: maximum.dimensions.clone(),
            reduces: maximum.reduces.clone(),
            period,
            quantity: (quantity, "month"),
            members: members.clone(),
            now,
            before,
            description,
            events: maximum.events.clone(),
            rule: ReductionRule::Maximum(parts),
        };
        self.reduce(reduction, own);
    }

    /// What lines are above a maximum until some instant, and the times and prices that it is the sum of.
    fn capped(
        &self,
        maximum: &Maximum<'_, 'a>,
        (by, until): (AppliedRate<'a>, MonthUntil),
        lines: &[RatedLine],
    ) -> (Reduced, Vec<MinimumPart>) {
        let pieces = maximum.pieces.iter().copied();
        let pieces = pieces.filter(|(piece, _)| until == MonthUntil::Now || self.is_before(*piece));
        let parts: Vec<MinimumPart> = uncut(&pieces.collect::<Vec<_>>(), self)
            .filter_map(|((piece, by), applies)| match by.rate.model {
                Model::Maximum { price, proration, .. } => {
                    Some(((maximum.months)(piece, applies, proration), price))
                }
                _ => None,
            })
            .flat_map(|(times, price)| times.into_iter().map(move |time| (time, price)))
            .filter_map(|(time, price): (Period, Price)| {
                Some(MinimumPart { time, quantity: prorate(time, Every::Month, self.calendar)?, price })
            })
            .collect();
        let base = self.left_of(maximum.members.iter().map(|at| &lines[*at]), until);
        let most: Exact = parts.iter().map(|part| Exact::product(part.quantity, part.price)).sum();
        let rounded = most.round(by.version.book.currency, by.version.book.rounding);
        let above = base - rounded.minor();
        // Without time there is no maximum: what is charged then was used after the node had reported the end.
        let reduced = if parts.is_empty() || above <= 0 {
            Reduced { base, amount: 0, residue: Exact::ZERO }
        } else {
            Reduced { base, amount: above, residue: Exact::from(rounded).minus(most) }
        };
        (reduced, parts)
    }

    /// What a line of an instance is about: the fee or the resource.
    fn thing_of(&self, line: &InvoiceLine) -> Reduces {
        match &line.kind {
            LineKind::Usage { resource } => Reduces::Resource(resource.clone()),
            _ => Reduces::Fee(self.prices.item_of(line).into()),
        }
    }
}
