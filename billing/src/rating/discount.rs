//! Discounts: what is taken off a customer's lines of a month, one discount after the other.

use std::collections::BTreeMap;

use slapledger_core::domain::id::{InstanceId, Sequence};
use slapledger_core::domain::invoice::{LineKind, Reduces};
use slapledger_core::domain::money::{Amount, Exact, Price};
use slapledger_core::domain::pricing::{DiscountLimits, Every, Model, Of, Reduction as RateReduction};
use slapledger_core::domain::quantity::{ONE, Quantity};
use slapledger_core::domain::time::{Period, Timestamp};

use super::customer::{counts, name_of_base};
use super::prices::AppliedRate;
use super::reduction::{LineReduction, MinimumPart, MonthUntil, Reduced, ReductionRule};
use super::{Own, RatedLine, RatingSubject};
use crate::history::{AllocationHistory, History};
use crate::proration::prorate;

/// How many standing invoices of a customer have each discount, as of the cut-off of a run: by item.
pub(crate) type DiscountedInvoices = BTreeMap<Box<str>, u32>;

/// When a customer redeemed each code, and the event that says so.
pub(crate) type RedeemedCodes = BTreeMap<Box<str>, (Timestamp, Sequence)>;

/// A part of a month, and the rate of a discount in it.
type DiscountPart<'a> = (Period, AppliedRate<'a>);

/// What a discount is computed from.
#[derive(Default)]
struct DiscountParts {
    /// Percent, and what is left of the lines that they are of.
    percents: Vec<(Quantity, Amount)>,
    /// Months at an amount.
    amounts: Vec<MinimumPart>,
}

impl<'a> RatingSubject<'a> {
    /// Whether a discount is one of a month.
    pub(super) fn is_granted(
        &self,
        (part, by): (Period, AppliedRate<'a>),
        instances: &[(InstanceId, &History)],
    ) -> bool {
        let Model::Discount { item, code, limits, .. } = &by.rate.model else { return false };
        if let Some(most) = limits.invoices {
            let used = self.discounted.and_then(|known| known.get(item)).copied().unwrap_or(0);
            if used >= u32::from(most) {
                return false;
            }
        }
        if code.is_none() && limits.months.is_none() {
            return true;
        }
        let since = if let Some(code) = code {
            self.redemption(code).map(|(at, _)| at)
        } else {
            let allocated = instances.iter().filter_map(|(_, history)| history.allocation.as_ref());
            allocated.map(AllocationHistory::since).min()
        };
        let most = limits.months.map_or(i32::MAX, i32::from);
        since.is_some_and(|since| {
            let passed = self.calendar.month_of(part.start).since(self.calendar.month_of(since));
            (0..most).contains(&passed)
        })
    }

    /// When the payer redeemed a code, as far as is known.
    fn redemption(&self, code: &str) -> Option<(Timestamp, Sequence)> {
        self.redeemed?.get(code).copied().filter(|(_, by)| *by <= self.as_of)
    }

    /// Takes a discount off the lines of a month.
    pub(super) fn discount(&self, parts: &[DiscountPart<'a>], own: &mut Own<'a>) {
        let mut in_period = parts.iter().filter(|(part, _)| !self.is_before(*part));
        let Some((first, by)) = in_period.next() else { return };
        let stop = in_period.next_back().map_or(first.stop, |(last, _)| last.stop);
        let Model::Discount { item, of, reduction, .. } = &by.rate.model else { return };
        let members: Vec<usize> = parts.iter().flat_map(|part| self.members_of(*part, &own.lines)).collect();
        let (now, counted) = self.discounted_by(parts, (*by, MonthUntil::Now), &own.lines);
        let (before, _) = self.discounted_by(parts, (*by, MonthUntil::Before), &own.lines);
        if (now.amount, before.amount) == (0, 0) {
            return;
        }
        let codes = parts.iter().filter_map(|(_, by)| match &by.rate.model {
            Model::Discount { code, .. } => code.as_deref(),
            _ => None,
        });
        let currency = by.version.book.currency;
        let months = |part: &MinimumPart| !self.is_before(part.time);
        let months = counted.amounts.iter().filter(|part| months(part));
        let (quantity, how) = match reduction {
            RateReduction::Percent(percent) => ((*percent, "percent"), format!("{percent} percent")),
            RateReduction::Amount(amount) => {
                let months = Quantity::from_billionths(months.map(|part| part.quantity.billionths()).sum());
                ((months.unwrap_or_default(), "month"), format!("{amount} {currency} a month"))
            }
        };
        let period = Period::new(first.start, stop);
        let name = if item.is_empty() { "discount" } else { item };
        let base = Amount::from_minor(now.base, currency);
        let description = format!(
            "{name}: {how} off {} ({base} {currency}), {}",
            name_of_base(of),
            self.calendar.shown(period.unwrap_or(self.period)),
        );
        let reduction = LineReduction {
            kind: LineKind::Discount,
            by: *by,
            instance: None,
            dimensions: Vec::new(),
            reduces: Reduces::All,
            period,
            quantity,
            members,
            now,
            before,
            description,
            events: codes.filter_map(|code| Some(self.redemption(code)?.1)).collect(),
            rule: ReductionRule::Discount { percents: counted.percents, amounts: counted.amounts },
        };
        self.reduce(reduction, own);
    }

    /// The lines that a discount is of in a part of a month.
    fn members_of<'l>(
        &self,
        (part, by): DiscountPart<'a>,
        lines: &'l [RatedLine],
    ) -> impl Iterator<Item = usize> + use<'l, 'a> {
        let (of, until) = match &by.rate.model {
            Model::Discount { of, limits: DiscountLimits { until, .. }, .. } => (of, *until),
            _ => (&Of::All, None),
        };
        let name = self.prices.name;
        let is_of = move |rated: &RatedLine| {
            counts(&rated.line, (name, part), of, true)
                && until.is_none_or(|until| rated.line.period.start < until)
        };
        lines.iter().enumerate().filter(move |(_, rated)| is_of(rated)).map(|(at, _)| at)
    }

    /// What a discount takes off the lines of a month until some instant.
    fn discounted_by(
        &self,
        parts: &[DiscountPart<'a>],
        (by, until): (AppliedRate<'a>, MonthUntil),
        lines: &[RatedLine],
    ) -> (Reduced, DiscountParts) {
        let currency = by.version.book.currency;
        let parts = parts.iter().filter(|(part, _)| until == MonthUntil::Now || self.is_before(*part));
        let left =
            |part: &DiscountPart<'a>| self.left_of(self.members_of(*part, lines).map(|at| &lines[at]), until);
        let parts: Vec<(&DiscountPart<'a>, i128)> = parts.map(|part| (part, left(part))).collect();
        let spent: i128 = parts.iter().map(|(_, left)| left).sum();
        let (mut base, mut exact, mut counted) = (0, Exact::ZERO, DiscountParts::default());
        for ((part, by), left) in parts {
            let Model::Discount { reduction, limits, .. } = &by.rate.model else { continue };
            let spent = Exact::from(Amount::from_minor(spent, currency));
            if limits.minimum_spend.is_some_and(|least| spent < whole(least)) {
                continue;
            }
            base += left;
            match reduction {
                RateReduction::Percent(percent) => {
                    let left = Amount::from_minor(left, currency);
                    exact = exact.plus(Exact::percentage(left, *percent).unwrap_or(Exact::ZERO));
                    counted.percents.push((*percent, left));
                }
                RateReduction::Amount(price) => {
                    let Some(quantity) = prorate(*part, Every::Month, self.calendar) else { continue };
                    exact = exact.plus(Exact::product(quantity, *price));
                    counted.amounts.push(MinimumPart { time: *part, quantity, price: *price });
                }
            }
        }
        let rounded = exact.round(currency, by.version.book.rounding);
        // Never below zero: of what is left no more than all is taken off.
        let reduced = if rounded.minor() < base {
            let residue = exact.minus(rounded.into());
            Reduced { base, amount: rounded.minor().max(0), residue }
        } else {
            let all = rounded.minor() == base;
            let residue = if all { exact.minus(rounded.into()) } else { Exact::ZERO };
            Reduced { base, amount: base.max(0), residue }
        };
        (reduced, counted)
    }
}

/// A price once.
fn whole(price: Price) -> Exact {
    Quantity::from_billionths(ONE).map_or(Exact::ZERO, |one| Exact::product(one, price))
}
