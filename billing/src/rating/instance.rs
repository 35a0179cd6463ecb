//! What one instance is charged: its fees and its usage, each for the time in which one rate was the best for it.

use std::fmt::Write as _;
use std::rc::Rc;

use slapledger_core::domain::id::InstanceId;
use slapledger_core::domain::instance::InstanceType;
use slapledger_core::domain::invoice::{InvoiceLine, LineKind};
use slapledger_core::domain::money::Exact;
use slapledger_core::domain::pricing::{FeeTerms, Matched, Model, When};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::tax::Tax;
use slapledger_core::domain::time::{Period, Timestamp};

use super::prices::{AppliedCharge, AppliedRate, Version};
use super::times::CustomerTimes;
use super::{Complete, DimensionSlice, LineDetail, Own, PricingSpan, RatedLine, RatingSubject};
use crate::history::{AllocationHistory, Attributes, History};
use crate::proration::{name_of_fee, unit_of};
use crate::tariff::{Priced, for_nothing};
use crate::warning::Warning;

/// A time in which the charge did not change.
#[derive(Clone)]
pub(super) struct Stretch<'a> {
    pub(super) period: Period,
    pub(super) charge: AppliedCharge<'a>,
    /// What the instance was for, without repetitions.
    pub(super) types: Vec<InstanceType>,
    /// The end of the trial that it is in, if it costs nothing.
    pub(super) trial: Option<Timestamp>,
    /// The tax at its end, if changes of it cut lines.
    pub(super) tax: Tax,
}

/// One instance, and what is needed to charge it.
pub(super) struct RatedInstance<'a> {
    pub(super) subject: &'a RatingSubject<'a>,
    pub(super) id: InstanceId,
    pub(super) history: &'a History,
    pub(super) allocation: &'a AllocationHistory,
    /// When the first of all instances of the customer was allocated.
    pub(super) first_allocated: Option<Timestamp>,
    /// What the calendar of the customer says, the same for all instances.
    pub(super) times: Rc<CustomerTimes<'a>>,
}

impl<'a> RatedInstance<'a> {
    /// Its lines: fees by item, then usage by resource, each in order of time; and what cannot be charged.
    pub(super) fn lines(&self, spans: &[PricingSpan], own: &mut Own<'a>, warnings: &mut Vec<Warning>) {
        if let Some(allocated) = self.allocation.within(self.subject.period) {
            self.warn(allocated, warnings);
        }
        self.all_fees(spans, own);
        self.all_usage(spans, own, warnings);
    }

    /// Its fees by item, each in order of time.
    pub(super) fn all_fees(&self, spans: &[PricingSpan], own: &mut Own<'a>) {
        let Some(allocated) = self.allocation.within(self.times.with_month_before) else { return };
        for item in &self.subject.prices.items {
            for span in spans.iter().filter_map(|span| span.within(allocated)) {
                self.fees(&span, item, own);
            }
        }
    }

    /// What it is charged for the time to come, if it is there when the period ends.
    pub(super) fn in_advance(&self) -> Vec<RatedLine> {
        let stop = self.subject.period.stop;
        let there =
            self.allocation.since() <= stop && self.allocation.until().is_none_or(|until| stop < until);
        let month = Period::new(stop, self.times.next_month(stop));
        let (Some(month), Some(instant), true) = (month, Period::new(stop, stop.plus_micros(1)), there)
        else {
            return Vec::new();
        };
        let fees = self.subject.prices.items.iter().filter_map(|item| {
            let charge = |prices, matched: Matched<'_>| AppliedCharge::fee(prices, item, matched);
            let now = self.stretches((instant, false), &[], charge).pop()?;
            let AppliedCharge::Rate(by) = now.charge else { return None };
            let Model::Recurring { when: When::Advance, .. } = by.rate.model else { return None };
            let parts = self
                .by_trial(month, now.charge)
                .filter_map(|(period, trial)| self.fee(&Stretch { period, trial, ..now.clone() }, by));
            let lines = parts.map(|line| RatedLine { line: line.line.of_kind(LineKind::Advance), ..line });
            Some(lines.collect::<Vec<_>>())
        });
        fees.flatten().collect()
    }

    fn warn(&self, allocated: Period, warnings: &mut Vec<Warning>) {
        for stretch in self.stretches((allocated, false), &[], AppliedCharge::anything) {
            let (instance, period) = (self.id, stretch.period);
            match stretch.charge {
                AppliedCharge::NoPrices => warnings.push(Warning::NoPrices { instance, period }),
                AppliedCharge::NoRate => warnings.push(Warning::NoRate { instance, period }),
                AppliedCharge::Rate(_) | AppliedCharge::Free | AppliedCharge::Undeclared => {}
            }
        }
    }

    fn fees(&self, span: &PricingSpan, item: &'a str, own: &mut Own<'a>) {
        let charge = |prices, matched: Matched<'_>| AppliedCharge::fee(prices, item, matched);
        let parts = span.parts.iter();
        for stretch in parts.flat_map(|part| self.stretches((*part, span.continues), &[], charge)) {
            let AppliedCharge::Rate(by) = stretch.charge else { continue };
            if by.is_fee_of_customer() {
                own.pooled_fees.extend(self.pooled_fee(&stretch, by));
                continue;
            }
            let Some(line) = self.fee(&stretch, by) else { continue };
            match by.rate.model {
                Model::Recurring { when: When::Advance, .. } => {
                    own.in_advance.entry((self.id, item)).or_default().push(line);
                }
                _ => own.lines.push(line),
            }
        }
    }

    fn fee(&self, stretch: &Stretch<'_>, by: AppliedRate<'_>) -> Option<RatedLine> {
        let Model::Recurring { item, price, every, terms, .. } = &by.rate.model else { return None };
        let period = stretch.period;
        let unit = unit_of(*every);
        // Most fees are for the time of their line, in units of the calendar.
        let (quantity, detail) = if *terms == FeeTerms::default() {
            (self.times.prorated(period, *every)?, LineDetail::None)
        } else {
            let time = self.fee_time(by, period)?;
            (time.quantity()?, LineDetail::Fee(time))
        };
        if quantity == Quantity::ZERO {
            return None;
        }
        let name = name_of_fee(item, *every);
        let exact = Exact::product(quantity, *price);
        let priced = match stretch.trial {
            Some(_) => for_nothing(quantity),
            None => Priced { steps: Vec::new(), unit_price: Some(*price), exact },
        };
        let events = self.history.events(period.stop, self.subject.as_of, self.subject.prices.states);
        let line = self.subject.line(LineKind::Recurring, period, by, (quantity, unit), priced);
        let line = InvoiceLine { tax: self.tax_of((by, stretch.trial.is_some()), period), ..line };
        let description = self.describe(name, stretch, (quantity, unit));
        let rated = RatedLine::new(line.about(self.id, &[]).described(description), events);
        Some(RatedLine { detail, ..rated })
    }

    /// A period in parts, each as long as the charge does not change: where prices continue, equal charges are one.
    pub(super) fn stretches(
        &self,
        (period, continues): (Period, bool),
        group: &DimensionSlice,
        charge: impl Fn(Option<Version<'a>>, Matched<'_>) -> AppliedCharge<'a>,
    ) -> Vec<Stretch<'a>> {
        let mut stretches: Vec<Stretch<'a>> = Vec::new();
        let mut add = |(period, trial): (Period, Option<Timestamp>),
                       (charge, tax): (AppliedCharge<'a>, Tax),
                       attributes: &Attributes| match stretches.last_mut() {
            Some(last)
                if last.charge.same(charge, continues)
                    && last.trial == trial
                    && (last.tax == tax || !self.subject.cuts_at(period.start)) =>
            {
                last.period.stop = period.stop;
                last.tax = tax;
                if !last.types.contains(&attributes.instance_type) {
                    last.types.push(attributes.instance_type);
                }
            }
            _ => {
                stretches.push(Stretch { period, charge, types: vec![attributes.instance_type], trial, tax });
            }
        };
        let computer = &self.allocation.computer;
        for (part, prices) in self.subject.prices.within(period) {
            for (part, attributes) in self.history.within(part) {
                for (part, region) in self.subject.basis.regions.within(computer, part) {
                    let matched = attributes.matched((computer, region), self.subject.payer, group);
                    let charge = charge(prices, matched);
                    for (part, trial) in self.by_trial(part, charge) {
                        for (part, tax) in self.taxed((part, trial.is_some()), charge, attributes) {
                            add((part, trial), (charge, tax), attributes);
                        }
                    }
                }
            }
        }
        stretches
    }

    /// A time in parts, each with the end of the trial that it is in.
    fn by_trial(
        &self,
        period: Period,
        charge: AppliedCharge<'a>,
    ) -> impl Iterator<Item = (Period, Option<Timestamp>)> + use<> {
        let days = match charge {
            AppliedCharge::Rate(by) => by.trial_days(),
            _ => None,
        };
        let end = days.map(|days| self.subject.calendar.days_after(self.allocation.since(), days));
        let (before, after) = match end {
            None => (None, Some(period)),
            Some(end) => {
                let before = Period::new(period.start, period.stop.min(end));
                (before, Period::new(period.start.max(end), period.stop))
            }
        };
        before.map(|before| (before, end)).into_iter().chain(after.map(|after| (after, None)))
    }

    pub(super) fn describe(
        &self,
        what: &str,
        stretch: &Stretch<'_>,
        (quantity, unit): (Quantity, &str),
    ) -> String {
        let period = self.times.shown(stretch.period);
        let trial = if stretch.trial.is_some() { "trial of " } else { "" };
        let AllocationHistory { computer, partition, .. } = self.allocation;
        // There is one for each line.
        let mut text = String::with_capacity(160);
        let _ = write!(text, "{} on {computer} {partition}: {trial}{what}, ", self.history.reference);
        for (n, kind) in stretch.types.iter().enumerate() {
            text.push_str(if n > 0 { " and " } else { "" });
            text.push_str(kind.as_str());
        }
        let _ = write!(text, ", {period} ({quantity} {unit})");
        text
    }
}
