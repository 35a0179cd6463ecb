//! Rating: what everybody owes for a period, from what instances were, what they used, and what that costs.
//!
//! Pure: the same histories, meters and prices give the same lines, byte for byte. A line is the time in which one
//! rate of one price version was the best for an instance (`instance`) or for all of a customer's (`customer`); its
//! quantity is rounded once at nine digits and its amount once to the minor unit. What cannot be charged is not guessed
//! at: it is named in a warning. Anyone who owns instances pays, the seller too: who sells to nobody else (`slapledger
//! proxy`) still wants to see what it costs. What earlier documents said is looked at by `advance` and `adjustment`
//! alone; what becomes of the lines is for `crate::document`.

mod adjustment;
mod advance;
mod customer;
mod discount;
mod fee;
mod instance;
mod maximum;
mod pool;
mod prices;
mod rate_number;
mod reduction;
mod taxed;
mod times;
mod usage;

use std::collections::BTreeMap;
use std::rc::Rc;

use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::id::{InstanceId, PartyId, Sequence};
use slapledger_core::domain::invoice::{InvoiceLine, LineKind};
use slapledger_core::domain::money::{self, Amount};
use slapledger_core::domain::pricing::Resource;
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::tax::{SoldProduct, Taxes};
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_projections::metering::{AsOf, Metering};

use crate::events::event_set;
use crate::history::{AllocationHistory, History};
use crate::proration::by_month;
use crate::regions::Regions;
use crate::tariff::Priced;
use crate::warning::Warning;

pub(crate) use adjustment::{
    AdjustmentKey, Charged, Earlier, OwnedAdjustmentKey, TaxesCharged, adjustments, key, new_events,
};
pub(crate) use advance::{ChargedInAdvance, settle, settled};
pub(crate) use customer::{MinimumBefore, counts};
pub(crate) use discount::{DiscountedInvoices, RedeemedCodes};
use fee::PooledFee;
pub(crate) use fee::{FeePart, FeeTime};
use instance::RatedInstance;
use prices::PricingSpan;
pub(crate) use prices::{AppliedRate, Prices};
pub(crate) use reduction::{MinimumPart, ReductionDetail, ReductionRule, TakenOff};
pub(crate) use taxed::sold_in;
use times::CustomerTimes;
pub(crate) use usage::{MeteredShare, Pooled, method};

/// Dimensions of usage and their values.
pub(crate) type DimensionSlice = [(Box<str>, Box<str>)];

/// All that lines are made from, but for prices.
#[derive(Clone, Copy)]
pub(crate) struct RatingBasis<'a> {
    pub(crate) regions: &'a Regions,
    pub(crate) metering: &'a Metering,
    pub(crate) taxes: &'a Taxes,
}

/// Who is charged by whom, for when, by which prices, as known when.
#[derive(Clone, Copy)]
pub(crate) struct RatingSubject<'a> {
    pub(crate) basis: RatingBasis<'a>,
    pub(crate) prices: &'a Prices<'a>,
    pub(crate) seller: PartyId,
    pub(crate) payer: PartyId,
    pub(crate) calendar: &'a Calendar,
    pub(crate) period: Period,
    pub(crate) as_of: Sequence,
    /// Up to which event taxes are known where a change of them cuts a line.
    pub(crate) taxes_as_of: Sequence,
    /// The taxes that lines of a document about this have, if they are rated again.
    pub(crate) taxes_charged: Option<&'a TaxesCharged>,
    /// Of discounts on so many invoices, on how many others there are.
    pub(crate) discounted: Option<&'a DiscountedInvoices>,
    /// The codes of discounts that the payer redeemed.
    pub(crate) redeemed: Option<&'a RedeemedCodes>,
}

/// A line without its number, and the events behind it, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RatedLine {
    pub(crate) line: InvoiceLine,
    pub(crate) events: Vec<Sequence>,
    pub(crate) detail: LineDetail,
    /// What discounts and maximums take off it.
    pub(crate) taken: TakenOff,
}

/// What a line was computed from, beside what it says itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum LineDetail {
    /// Nothing else.
    #[default]
    None,
    /// The times of a fee that is not simply the time of its line.
    Fee(FeeTime),
    /// Usage of an instance.
    Usage(MeteredShare),
    /// What is left of the lines that a percentage is of.
    Percentage(Amount),
    /// A minimum.
    Minimum {
        /// Its times and prices.
        parts: Vec<MinimumPart>,
        /// What is left of the lines that it is of.
        base: Amount,
        /// What was charged before its time in the same month.
        before: Option<MinimumBefore>,
    },
    /// A discount or a maximum.
    Reduction(Box<ReductionDetail>),
}

impl RatedLine {
    pub(crate) fn new(mut line: InvoiceLine, events: Vec<Sequence>) -> Self {
        line.events = event_set(&events);
        Self { line, events, detail: LineDetail::None, taken: TakenOff::default() }
    }

    /// Whether it charges time or usage of an instance, alone or with others.
    pub(crate) fn is_of(&self, instance: InstanceId) -> bool {
        let together = match &self.detail {
            LineDetail::Fee(time) => time.parts.iter().any(|part| part.instance == Some(instance)),
            _ => false,
        };
        together || self.line.instance == Some(instance)
    }
}

/// What a customer owes for a period by what was in it.
#[derive(Default)]
pub(crate) struct Own<'a> {
    /// Fees in arrears and usage of each instance, then what is about all of them.
    pub(crate) lines: Vec<RatedLine>,
    /// What those cost that are charged in advance, by instance and item: for `settle`.
    pub(crate) in_advance: BTreeMap<(InstanceId, &'a str), Vec<RatedLine>>,
    /// Usage of an instance that came to nothing: no lines, but where there was a line it is gone for these events.
    pub(crate) nothing: Vec<RatedLine>,
    pooled: Vec<Pooled<'a>>,
    pooled_fees: Vec<PooledFee<'a>>,
}

impl<'a> RatingSubject<'a> {
    /// All lines for what was in the period.
    pub(crate) fn rate(
        &'a self,
        instances: &[(InstanceId, &'a History)],
        warnings: &mut Vec<Warning>,
    ) -> Own<'a> {
        let mut own = Own::default();
        let spans = self.prices.spans(self);
        for instance in self.allocated(instances) {
            instance.lines(&spans, &mut own, warnings);
        }
        self.lines_of_customer(&spans, instances, &mut own, warnings);
        own.since(self.period.start);
        own
    }

    /// The fees of instances, alone and together: without usage and what is taken off.
    pub(crate) fn fees_alone(&'a self, instances: &[(InstanceId, &'a History)]) -> Own<'a> {
        let mut own = Own::default();
        let spans = self.prices.spans(self);
        for instance in self.allocated(instances) {
            instance.all_fees(&spans, &mut own);
        }
        self.pooled_fees(&spans, &mut own);
        own.since(self.period.start);
        own
    }

    /// The period, and what is before it in its first month: allowances, tiers, packages and minimums that were begun there
    /// continue.
    pub(super) fn with_month_before(&self) -> Period {
        let month = self.calendar.month_of(self.period.start).first();
        let start = self.calendar.start_of(month).min(self.period.start);
        Period::new(start, self.period.stop).unwrap_or(self.period)
    }

    /// Whether a time is before the period: it is charged by another run.
    pub(super) fn is_before(&self, time: Period) -> bool {
        time.start < self.period.start
    }

    /// The fees for the month to come of those that are there when the period ends.
    pub(crate) fn in_advance(&'a self, instances: &[(InstanceId, &'a History)]) -> Vec<RatedLine> {
        self.allocated(instances).flat_map(|instance| instance.in_advance()).collect()
    }

    fn allocated(
        &'a self,
        instances: &[(InstanceId, &'a History)],
    ) -> impl Iterator<Item = RatedInstance<'a>> {
        let allocations = instances.iter().filter_map(|(_, history)| history.allocation.as_ref());
        let first_allocated = allocations.map(AllocationHistory::since).min();
        let times = Rc::new(CustomerTimes::new(self.calendar, self.with_month_before()));
        let allocated = instances.iter().filter_map(|(id, history)| {
            let allocation = history.allocation.as_ref()?;
            let times = Rc::clone(&times);
            Some(RatedInstance { subject: self, id: *id, history, allocation, first_allocated, times })
        });
        allocated.collect::<Vec<_>>().into_iter()
    }

    pub(crate) fn usage(&self) -> AsOf<'a> {
        self.basis.metering.as_of(self.as_of)
    }

    /// What was reported of a resource of an instance, as it is declared: levels may carry over until the instance ends.
    pub(crate) fn usage_of<'d>(
        &self,
        declared: &'d Resource,
        allocation: Option<&AllocationHistory>,
    ) -> AsOf<'d>
    where
        'a: 'd,
    {
        if !declared.carry_over {
            return self.usage();
        }
        let until = allocation.and_then(AllocationHistory::until).unwrap_or(Timestamp::MAX);
        self.usage().carried_until(until, &declared.group_by)
    }

    /// A period in calendar months.
    pub(crate) fn by_month(&self, period: Period) -> Vec<Period> {
        by_month(period, self.calendar)
    }

    /// A line, but for number, description and what it is about. The tax is that of no product, at its last instant.
    fn line(
        &self,
        kind: LineKind,
        period: Period,
        by: AppliedRate<'_>,
        (quantity, unit): (Quantity, &str),
        priced: Priced,
    ) -> InvoiceLine {
        let book = by.version.book;
        let rated = money::RoundedAmount::of(priced.exact, book.currency, book.rounding);
        let tax = self.tax_on(SoldProduct::default(), period);
        InvoiceLine {
            n: 0,
            kind,
            instance: None,
            dimensions: Vec::new(),
            description: "".into(),
            period,
            quantity,
            unit: unit.into(),
            unit_price: priced.unit_price,
            steps: priced.steps,
            amount: rated.amount,
            residue: rated.residue,
            price_book: Some(self.prices.named(by.version)),
            // A price of the customer is no rate of the book.
            rate: if by.price_override.is_some() { 0 } else { by.number },
            price_override: by.price_override,
            reduces: None,
            tax,
            events: event_set(&[]),
            cites: None,
        }
    }
}

impl Own<'_> {
    /// Leaves out what was charged before: it was only counted for what continues.
    fn since(&mut self, start: Timestamp) {
        let is_since = |rated: &RatedLine| rated.line.period.start >= start;
        self.lines.retain(is_since);
        self.nothing.retain(is_since);
        self.in_advance.values_mut().for_each(|lines| lines.retain(is_since));
        self.in_advance.retain(|_, lines| !lines.is_empty());
    }
}

/// Each event once, ascending.
fn together(events: impl Iterator<Item = Sequence>) -> Vec<Sequence> {
    let mut events: Vec<Sequence> = events.collect();
    events.sort_unstable();
    events.dedup();
    events
}

/// What makes a line complete.
trait Complete {
    fn about(self, instance: InstanceId, group: &DimensionSlice) -> Self;
    fn in_group(self, group: &DimensionSlice) -> Self;
    fn described(self, description: String) -> Self;
    fn of_kind(self, kind: LineKind) -> Self;
}

impl Complete for InvoiceLine {
    fn about(self, instance: InstanceId, group: &DimensionSlice) -> Self {
        Self { instance: Some(instance), ..self.in_group(group) }
    }

    fn in_group(self, group: &DimensionSlice) -> Self {
        Self { dimensions: group.to_vec(), ..self }
    }

    fn described(self, description: String) -> Self {
        Self { description: description.into(), ..self }
    }

    fn of_kind(self, kind: LineKind) -> Self {
        Self { kind, ..self }
    }
}
