//! What discounts and maximums take off other lines: how much of each, and the lines that say so.
//!
//! A reduction is one of a month. What it comes to by the end of the period, less what it came to before the period, is
//! on the document: it can be the other way round. It is divided among its lines in proportion to what is left of them,
//! in their order, at rounded boundaries, so that the parts add up. There is a line for each tax that these lines have.

use std::collections::BTreeMap;

use slapledger_core::domain::id::{InstanceId, Sequence};
use slapledger_core::domain::invoice::{LineKind, Reduces};
use slapledger_core::domain::money::{Amount, Exact, Price};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::tax::Tax;
use slapledger_core::domain::time::Period;

use super::prices::AppliedRate;
use super::{Complete, LineDetail, Own, RatedLine, RatingSubject, together};
use crate::tariff::{Priced, part_of};

/// What reductions took off a line, in minor units: of all of the month until the period ends, and of what was before
/// the period alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TakenOff {
    so_far: i128,
    before: i128,
}

/// Which lines of a month are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MonthUntil {
    /// All until the period ends.
    Now,
    /// Those before the period: another run charged them.
    Before,
}

impl RatedLine {
    /// What reductions left of it, in minor units.
    pub(super) fn net(&self, until: MonthUntil) -> i128 {
        self.line.amount.minor()
            - match until {
                MonthUntil::Now => self.taken.so_far,
                MonthUntil::Before => self.taken.before,
            }
    }

    fn take(&mut self, minor: i128, until: MonthUntil) {
        match until {
            MonthUntil::Now => self.taken.so_far += minor,
            MonthUntil::Before => self.taken.before += minor,
        }
    }
}

/// An uninterrupted time of a minimum, a maximum or a discount that has one price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MinimumPart {
    /// The time: all of a part of the month, or when the customer had instances.
    pub(crate) time: Period,
    /// How many months it is.
    pub(crate) quantity: Quantity,
    /// For a month.
    pub(crate) price: Price,
}

/// What a reduction comes to in a month until some instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reduced {
    /// What is left of the lines that it is of, in minor units.
    pub(super) base: i128,
    /// What is taken off them.
    pub(super) amount: i128,
    /// What rounding added to the line.
    pub(super) residue: Exact,
}

/// A reduction of a month.
pub(super) struct LineReduction<'a> {
    pub(super) kind: LineKind,
    pub(super) by: AppliedRate<'a>,
    pub(super) instance: Option<InstanceId>,
    pub(super) dimensions: Vec<(Box<str>, Box<str>)>,
    pub(super) reduces: Reduces,
    /// Its time in the period of the document; none, if it applies before it alone.
    pub(super) period: Option<Period>,
    pub(super) quantity: (Quantity, &'static str),
    /// The places of the lines it is of.
    pub(super) members: Vec<usize>,
    pub(super) now: Reduced,
    pub(super) before: Reduced,
    pub(super) description: String,
    /// The events behind it, beside those behind its lines.
    pub(super) events: Vec<Sequence>,
    pub(super) rule: ReductionRule,
}

/// What a reduction was computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReductionDetail {
    pub(crate) rule: ReductionRule,
    /// What reductions before it left of its lines, in the month so far.
    pub(crate) base: Amount,
    /// What it takes off them.
    pub(crate) amount: Amount,
    /// What rounding added.
    pub(crate) residue: Exact,
    /// The same of what was before the period: what was left, and what was taken off.
    pub(crate) before: Option<(Amount, Amount)>,
    /// What all its lines come to, one for each tax, as taken off.
    pub(crate) of_all_taxes: Amount,
}

/// How much a reduction is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReductionRule {
    /// What is above the sum of these.
    Maximum(Vec<MinimumPart>),
    /// The sum of these, but no more than what is left.
    Discount {
        /// Percent, and what is left of the lines that they are of.
        percents: Vec<(Quantity, Amount)>,
        /// Months at an amount.
        amounts: Vec<MinimumPart>,
    },
}

impl<'a> RatingSubject<'a> {
    /// Takes a reduction off its lines, and adds the lines that say so.
    pub(super) fn reduce(&self, reduction: LineReduction<'a>, own: &mut Own<'a>) {
        let LineReduction { kind, by, members, now, before, events, .. } = reduction;
        let earlier: Vec<usize> =
            members.iter().copied().filter(|at| self.is_before(own.lines[*at].line.period)).collect();
        let mut by_tax = take_off(&mut own.lines, &members, now.amount, MonthUntil::Now);
        for (tax, amount) in take_off(&mut own.lines, &earlier, before.amount, MonthUntil::Before) {
            *by_tax.entry(tax).or_default() -= amount;
        }
        by_tax.retain(|_, amount| *amount != 0);
        let Some(period) = reduction.period else { return };
        let currency = by.version.book.currency;
        let amount = |minor: i128| Amount::from_minor(minor, currency);
        let detail = ReductionDetail {
            rule: reduction.rule,
            base: amount(now.base),
            amount: amount(now.amount),
            residue: now.residue,
            before: (before.base != 0 || before.amount != 0)
                .then(|| (amount(before.base), amount(before.amount))),
            of_all_taxes: amount(by_tax.values().sum()),
        };
        let mut residue = now.residue.minus(before.residue);
        for (tax, minor) in by_tax {
            let behind = members.iter().map(|at| &own.lines[*at]).filter(|rated| rated.line.tax == tax);
            let behind = behind.flat_map(|rated| rated.events.iter().copied());
            let behind = together(behind.chain(events.iter().copied()));
            let priced = Priced { steps: Vec::new(), unit_price: None, exact: Exact::ZERO };
            let mut line = self.line(kind.clone(), period, by, reduction.quantity, priced);
            line.amount = amount(-minor);
            // What rounding added is of the whole: the first line has it.
            line.residue = std::mem::take(&mut residue);
            line.tax = tax;
            line.reduces = Some(reduction.reduces.clone());
            line.instance = reduction.instance;
            let line = line.in_group(&reduction.dimensions).described(reduction.description.clone());
            let mut rated = RatedLine::new(line, behind);
            rated.detail = LineDetail::Reduction(Box::new(detail.clone()));
            own.lines.push(rated);
        }
    }

    /// What is left of lines, in minor units.
    pub(super) fn left_of<'l>(&self, lines: impl Iterator<Item = &'l RatedLine>, until: MonthUntil) -> i128 {
        let lines = lines.filter(|rated| until == MonthUntil::Now || self.is_before(rated.line.period));
        lines.map(|rated| rated.net(until)).sum()
    }
}

/// Takes an amount off lines, in proportion to what is left of them; what is taken, for each tax.
fn take_off(
    lines: &mut [RatedLine],
    members: &[usize],
    amount: i128,
    until: MonthUntil,
) -> BTreeMap<Tax, i128> {
    let mut taken = BTreeMap::new();
    let left = |rated: &RatedLine| rated.net(until).max(0);
    let whole: i128 = members.iter().map(|at| left(&lines[*at])).sum();
    if amount == 0 || whole == 0 {
        return taken;
    }
    let (mut passed, mut before) = (0, 0);
    for at in members {
        passed += left(&lines[*at]);
        let boundary = part_of(amount, passed, whole);
        lines[*at].take(boundary - before, until);
        *taken.entry(lines[*at].line.tax).or_default() += boundary - before;
        before = boundary;
    }
    taken
}
