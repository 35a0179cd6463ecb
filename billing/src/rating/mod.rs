//! Rating: what everybody owes for a period, from what instances were, what they used, and what that costs.
//!
//! Pure: the same histories, meters and prices give the same lines, byte for byte. A line is the time in which one
//! rate of one price version was the best for an instance (`instance`) or for all of a customer's (`customer`); its
//! quantity is rounded once at nine digits and its amount once to the minor unit. What cannot be charged is not guessed
//! at: it is named in a warning. Whoever owns instances pays, the seller too: who sells to nobody else (`slapledger
//! proxy`) still wants to see what it costs. What earlier documents said is looked at by `advance` and `adjustment`
//! alone; what becomes of the lines is for `crate::document`.

mod adjustment;
mod advance;
mod customer;
mod instance;
mod pool;
mod prices;
mod usage;

use std::collections::BTreeMap;

use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::id::{InstanceId, PartyId, Sequence};
use slapledger_core::domain::invoice::{InvoiceLine, LineKind};
use slapledger_core::domain::money;
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::tax::Taxes;
use slapledger_core::domain::time::Period;
use slapledger_projections::metering::{AsOf, Metering};

use crate::events::event_set;
use crate::history::History;
use crate::proration::by_month;
use crate::regions::Regions;
use crate::tariff::Priced;
use crate::warning::Warning;

pub(crate) use adjustment::{AdjustmentKey, Charged, Earlier, adjustments, key, new_events};
pub(crate) use advance::{ChargedInAdvance, settle, settled};
pub(crate) use customer::{MinimumPart, counts};
use instance::Instance;
pub(crate) use pool::Pooled;
use prices::PricingSpan;
pub(crate) use prices::{By, Prices};
pub(crate) use usage::{MeteredShare, method};

/// Dimensions of usage and their values.
pub(crate) type Dimensions = [(Box<str>, Box<str>)];

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
}

/// A line without its number, and the events behind it, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rated {
    pub(crate) line: InvoiceLine,
    pub(crate) events: Vec<Sequence>,
    pub(crate) detail: LineDetail,
}

/// What a line was computed from, beside what it says itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum LineDetail {
    /// Nothing else.
    #[default]
    None,
    /// Usage of an instance.
    Usage(MeteredShare),
    /// The times and prices of a minimum.
    Minimum(Vec<MinimumPart>),
}

impl Rated {
    pub(crate) fn new(mut line: InvoiceLine, events: Vec<Sequence>) -> Self {
        line.events = event_set(&events);
        Self { line, events, detail: LineDetail::None }
    }
}

/// What a customer owes for a period by what was in it.
#[derive(Default)]
pub(crate) struct Own<'a> {
    /// Fees in arrears and usage of each instance, then what is about all of them.
    pub(crate) lines: Vec<Rated>,
    /// What those cost that are charged in advance, by instance and item: for `settle`.
    pub(crate) in_advance: BTreeMap<(InstanceId, &'a str), Vec<Rated>>,
    /// Usage of an instance that came to nothing: no lines, but where there was a line it is gone for these events.
    pub(crate) nothing: Vec<Rated>,
    pooled: Vec<Pooled<'a>>,
}

impl<'a> RatingSubject<'a> {
    /// All lines for what was in the period.
    pub(crate) fn rate(
        &'a self,
        instances: &[(InstanceId, &'a History)],
        warnings: &mut Vec<Warning>,
    ) -> Own<'a> {
        let mut own = Own::default();
        let spans = self.prices.spans(self.period, self.payer, self.calendar);
        for instance in self.allocated(instances) {
            instance.lines(&spans, &mut own, warnings);
        }
        let histories: Vec<&History> = instances.iter().map(|(_, history)| *history).collect();
        self.lines_of_customer(&spans, &histories, &mut own, warnings);
        own
    }

    /// The fees for the month to come of those that are there when the period ends.
    pub(crate) fn in_advance(&'a self, instances: &[(InstanceId, &'a History)]) -> Vec<Rated> {
        self.allocated(instances).flat_map(|instance| instance.in_advance()).collect()
    }

    fn allocated(&'a self, instances: &[(InstanceId, &'a History)]) -> impl Iterator<Item = Instance<'a>> {
        let allocated = instances.iter().filter_map(|(id, history)| {
            let allocation = history.allocation.as_ref()?;
            Some(Instance { subject: self, id: *id, history, allocation })
        });
        allocated.collect::<Vec<_>>().into_iter()
    }

    pub(crate) fn usage(&self) -> AsOf<'a> {
        self.basis.metering.as_of(self.as_of)
    }

    /// A period in calendar months.
    pub(crate) fn by_month(&self, period: Period) -> Vec<Period> {
        by_month(period, self.calendar)
    }

    /// A line, but for number, description and what it is about. The tax is that of its last instant.
    fn line(
        &self,
        kind: LineKind,
        period: Period,
        by: By<'_>,
        (quantity, unit): (Quantity, &str),
        priced: Priced,
    ) -> InvoiceLine {
        let book = by.version.book;
        let rated = money::Rated::of(priced.exact, book.currency, book.rounding);
        let (tax, _) = self.basis.taxes.on((self.seller, self.payer), period.stop.plus_micros(-1));
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
            rate: by.number,
            tax,
            events: event_set(&[]),
            cites: None,
        }
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
    fn about(self, instance: InstanceId, group: &Dimensions) -> Self;
    fn in_group(self, group: &Dimensions) -> Self;
    fn described(self, description: String) -> Self;
    fn of_kind(self, kind: LineKind) -> Self;
}

impl Complete for InvoiceLine {
    fn about(self, instance: InstanceId, group: &Dimensions) -> Self {
        Self { instance: Some(instance), ..self.in_group(group) }
    }

    fn in_group(self, group: &Dimensions) -> Self {
        Self { dimensions: group.to_vec(), ..self }
    }

    fn described(self, description: String) -> Self {
        Self { description: description.into(), ..self }
    }

    fn of_kind(self, kind: LineKind) -> Self {
        Self { kind, ..self }
    }
}
