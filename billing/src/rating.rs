//! Rating: what everybody owes for a period, from what instances were, what they used, and what that costs.
//!
//! Pure: the same histories, meters and prices give the same drafts, byte for byte. A line is the time in which one
//! rate of one price version was the best for an instance; its quantity is rounded once at nine digits and its
//! amount once to the minor unit. What cannot be charged is not guessed at: it is named in a warning. Whoever owns
//! instances pays, the seller too: who sells to nobody else (`slapledger proxy`) still wants to see what it costs.
//! Numbers and dates of issue are given when a draft becomes final, not here.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::id::{
    InstanceId, InvoiceId, PartyId, PriceBookName, ResourceId, RunId, Sequence,
};
use slapledger_core::domain::instance::InstanceType;
use slapledger_core::domain::invoice::{
    DocumentKind, Invoice, InvoiceLine, InvoiceParty, InvoiceRunOpened, LineKind, Tax, TaxSubtotal,
};
use slapledger_core::domain::money::{self, Amount};
use slapledger_core::domain::pricing::{
    Matched, Model, PriceBook, PriceVersion, Rate, ResourceKind, Subject, Tariff,
};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::sealed::Sealed;
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_projections::metering::{AsOf, Metering, Target};

use crate::events::event_set;
use crate::history::{Allocation, Attributes, Histories, History};
use crate::months;
use crate::warning::Warning;

/// Who pays, and where their months are cut.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Payer {
    pub(crate) name: Sealed,
    pub(crate) calendar: Calendar,
}

/// All that drafts are made from.
pub(crate) struct Basis<'a> {
    pub(crate) payers: &'a BTreeMap<PartyId, Payer>,
    pub(crate) metering: &'a Metering,
    /// All versions of the run's price book, the first being version 1.
    pub(crate) versions: &'a [PriceBook],
}

/// The id of a draft, until it has a number: run and payer.
pub(crate) fn draft_id(run: RunId, payer: PartyId) -> InvoiceId {
    InvoiceId::new(&format!("{run}-{payer}")).expect("two numbers and their prefixes are short text")
}

/// What a payer owes for their instances in their part of a run; nothing, if there is nothing to charge.
pub(crate) fn draft(
    basis: &Basis<'_>,
    run: &InvoiceRunOpened,
    (payer, period): (PartyId, Period),
    instances: &[(InstanceId, &History)],
    warnings: &mut Vec<Warning>,
) -> Option<Invoice> {
    let (buyer, seller) = (basis.payers.get(&payer)?, basis.payers.get(&run.seller)?);
    let currency = basis.versions.first()?.currency;
    let prices = Prices { name: &run.price_book, versions: basis.versions };
    let usage = basis.metering.as_of(run.cut_off);
    let mut lines = Vec::new();
    for (id, history) in instances {
        let Some(allocation) = &history.allocation else { continue };
        let target = Target::Instance(*id);
        let resources = basis.metering.series(&target);
        let cut_off = run.cut_off;
        let calendar = &buyer.calendar;
        let instance = Instance { id: *id, history, allocation, payer, calendar, prices, period, cut_off };
        instance.lines((&usage, &target, &resources), &mut lines, warnings);
    }
    for (line, n) in lines.iter_mut().zip(1..) {
        line.n = n;
    }
    if lines.is_empty() {
        return None;
    }
    let net = Amount::sum(currency, lines.iter().map(|line| line.amount))
        .expect("an amount is below 10^27 minor units, so that 10^11 of them can be added");
    let nothing = Amount::zero(currency);
    let party = |party, payer: &Payer| InvoiceParty {
        party,
        name: payer.name.clone(),
        details: None,
        country: None,
        vat_id: false,
    };
    Some(Invoice {
        id: draft_id(run.run, payer),
        document: DocumentKind::Invoice,
        run: run.run,
        cites: None,
        seller: party(run.seller, seller),
        buyer: party(payer, buyer),
        currency,
        period,
        issued_at: run.at,
        due_at: run.at,
        lines,
        net,
        tax: vec![TaxSubtotal { tax: Tax::NONE, base: net, amount: nothing, exemption: None }],
        rounding: nothing,
        total: net,
        prepaid: Vec::new(),
        due: net,
    })
}

/// The versions of a price book, and which one counts when.
#[derive(Clone, Copy)]
struct Prices<'a> {
    name: &'a PriceBookName,
    versions: &'a [PriceBook],
}

impl<'a> Prices<'a> {
    /// The parts of a period in which one version counted, or none yet; together they are the period.
    fn within(self, period: Period) -> Vec<(Period, Option<(u32, &'a PriceBook)>)> {
        let changes = self.versions.iter().map(|book| book.valid_from);
        let mut bounds: Vec<_> =
            changes.filter(|at| period.contains(*at)).chain([period.start, period.stop]).collect();
        bounds.sort_unstable();
        bounds.dedup();
        let parts = bounds.windows(2).filter_map(|bounds| Period::new(bounds[0], bounds[1]));
        parts.map(|part| (part, self.at(part.start))).collect()
    }

    /// The version that counts at an instant: of those valid since then or earlier the one with the latest start;
    /// of several with the same start the one published last.
    fn at(self, instant: Timestamp) -> Option<(u32, &'a PriceBook)> {
        let valid = (1..).zip(self.versions).filter(|(_, book)| book.valid_from <= instant);
        valid.max_by_key(|(version, book)| (book.valid_from, *version))
    }
}

/// What an instance is charged for one thing at one time.
#[derive(Clone, Copy)]
enum Charge<'a> {
    /// By this rate.
    Rate(u32, &'a PriceBook, (u32, &'a Rate)),
    /// Nothing, and that is how the prices are meant.
    Free,
    /// Nothing: there are no prices yet.
    NoPrices,
    /// Nothing: there are prices, and none is for it.
    NoRate,
    /// Nothing: it is not declared how this is measured.
    Undeclared,
}

impl<'a> Charge<'a> {
    /// The fee for being there.
    fn fee(prices: Option<(u32, &'a PriceBook)>, instance: Matched<'_>) -> Self {
        let Some((version, book)) = prices else { return Self::NoPrices };
        match book.rate(Subject::Fee(""), instance) {
            Some(rate) => Self::Rate(version, book, rate),
            // One who pays for usage alone is not forgotten.
            None if book.rates.iter().any(|rate| rate.matching.covers(instance)) => Self::Free,
            None => Self::NoRate,
        }
    }

    /// What is paid for a resource.
    fn usage(prices: Option<(u32, &'a PriceBook)>, resource: &ResourceId, instance: Matched<'_>) -> Self {
        let Some((version, book)) = prices else { return Self::NoPrices };
        if book.resource(resource).is_none() {
            return Self::Undeclared;
        }
        match book.rate(Subject::Resource(resource), instance) {
            Some(rate) => Self::Rate(version, book, rate),
            None if book.rates.iter().any(|rate| rate.subject() == Subject::Resource(resource)) => {
                Self::NoRate
            }
            None => Self::Free,
        }
    }

    fn same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Rate(version, _, rate), Self::Rate(other, _, other_rate)) => {
                version == other && rate.0 == other_rate.0
            }
            _ => std::mem::discriminant(&self) == std::mem::discriminant(&other),
        }
    }
}

/// A time in which the charge did not change.
struct Stretch<'a> {
    period: Period,
    charge: Charge<'a>,
    /// What the instance was for, without repetitions.
    types: Vec<InstanceType>,
}

/// One instance, and what is needed to charge it for a period.
struct Instance<'a> {
    id: InstanceId,
    history: &'a History,
    allocation: &'a Allocation,
    payer: PartyId,
    calendar: &'a Calendar,
    prices: Prices<'a>,
    period: Period,
    cut_off: Sequence,
}

/// Metering as of the cut-off, an instance in it, and all it ever used.
type UsageOf<'a> = (&'a AsOf<'a>, &'a Target, &'a [&'a ResourceId]);

impl<'a> Instance<'a> {
    /// Its lines, the fee first and then resources by name, each in order of time; and what cannot be charged.
    fn lines(&self, usage: UsageOf<'_>, lines: &mut Vec<InvoiceLine>, warnings: &mut Vec<Warning>) {
        let allocated = self.allocation.within(self.period);
        for stretch in allocated.into_iter().flat_map(|allocated| self.stretches(allocated, Charge::fee)) {
            let (instance, period) = (self.id, stretch.period);
            match stretch.charge {
                Charge::Rate(version, book, rate) => lines.extend(self.fee(&stretch, (version, book, rate))),
                Charge::NoPrices => warnings.push(Warning::NoPrices { instance, period }),
                Charge::NoRate => warnings.push(Warning::NoRate { instance, period }),
                Charge::Free | Charge::Undeclared => {}
            }
        }
        let (usage, target, resources) = usage;
        for resource in resources {
            let Some(period) = self.time_of_use(usage, target, resource) else { continue };
            let charge = |prices, matched: Matched<'_>| Charge::usage(prices, resource, matched);
            for stretch in self.stretches(period, charge) {
                self.usage((usage, target, resource), &stretch, lines, warnings);
            }
        }
    }

    /// The part of the period in which there can be usage: the allocation. A node whose clock is ahead may have
    /// reported usage that stops shortly after the end, which was attributed before the end was known: it counts.
    fn time_of_use(&self, usage: &AsOf<'_>, target: &Target, resource: &ResourceId) -> Option<Period> {
        let since = Period::new(self.allocation.since(), Timestamp::MAX)?.intersection(self.period)?;
        let Some(until) = self.allocation.until() else { return Some(since) };
        let after = Period::new(until, Timestamp::MAX).and_then(|after| after.intersection(since));
        let late = after.is_some_and(|after| usage.totals(target, resource.as_str(), after).count > 0);
        if late { Some(since) } else { Period::new(since.start, since.stop.min(until)) }
    }

    /// A period in parts, each as long as the charge does not change.
    fn stretches(
        &self,
        period: Period,
        charge: impl Fn(Option<(u32, &'a PriceBook)>, Matched<'_>) -> Charge<'a>,
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
        for (part, prices) in self.prices.within(period) {
            for (part, attributes) in self.history.within(part) {
                let matched = attributes.matched(&self.allocation.computer, self.payer);
                add(part, charge(prices, matched), attributes);
            }
        }
        stretches
    }

    fn fee(&self, stretch: &Stretch<'_>, by: (u32, &PriceBook, (u32, &Rate))) -> Option<InvoiceLine> {
        let quantity = Quantity::from_billionths(months::billionths(stretch.period, self.calendar))?;
        let events = self.history.events(stretch.period.stop, self.cut_off);
        self.line(LineKind::Recurring, stretch, by, (quantity, "month"), &events)
    }

    fn usage(
        &self,
        (usage, target, resource): (&AsOf<'_>, &Target, &ResourceId),
        stretch: &Stretch<'_>,
        lines: &mut Vec<InvoiceLine>,
        warnings: &mut Vec<Warning>,
    ) {
        let (instance, period) = (self.id, stretch.period);
        let reading = usage.read(target, resource.as_str(), period);
        let (resource, events) = (resource.clone(), reading.sequences.len() as u64);
        if events == 0 {
            return;
        }
        match stretch.charge {
            Charge::Rate(version, book, rate) => {
                let Some(declared) = book.resource(&resource) else { return };
                let billionths = match declared.kind {
                    ResourceKind::Counter => reading.sum_billionths,
                    ResourceKind::Gauge => in_hours(reading.integral),
                };
                let Some(quantity) = Quantity::from_billionths(billionths) else {
                    warnings.push(Warning::TooMuch { instance, resource, period });
                    return;
                };
                let behind: Vec<Sequence> = reading.sequences.into_iter().map(Sequence).collect();
                let (kind, how_much) = (LineKind::Usage { resource }, (quantity, &*declared.unit));
                lines.extend(self.line(kind, stretch, (version, book, rate), how_much, &behind));
            }
            Charge::Undeclared => warnings.push(Warning::Undeclared { instance, resource, period, events }),
            Charge::NoRate => warnings.push(Warning::UsageNoRate { instance, resource, period, events }),
            // Time without prices is told of once, for the instance.
            Charge::Free | Charge::NoPrices => {}
        }
    }

    /// A line, but for its number; none about nothing.
    fn line(
        &self,
        kind: LineKind,
        stretch: &Stretch<'_>,
        (version, book, (number, rate)): (u32, &PriceBook, (u32, &Rate)),
        (quantity, unit): (Quantity, &str),
        events: &[Sequence],
    ) -> Option<InvoiceLine> {
        if quantity == Quantity::ZERO {
            return None;
        }
        let (Model::Recurring { price, .. } | Model::Usage { tariff: Tariff::PerUnit { price }, .. }) =
            &rate.model
        else {
            return None;
        };
        let types: Vec<&str> = stretch.types.iter().map(|kind| kind.as_str()).collect();
        let what = match &kind {
            LineKind::Recurring => "monthly fee",
            LineKind::Usage { resource } => resource.as_str(),
            _ => "",
        };
        let (reference, period) = (&self.history.reference, stretch.period);
        let Allocation { computer, partition, .. } = self.allocation;
        let types = types.join(" and ");
        let description =
            format!("{reference} on {computer} {partition}: {what}, {types}, {period} ({quantity} {unit})");
        let rated = money::rate(quantity, *price, book.currency, book.rounding);
        Some(InvoiceLine {
            n: 0,
            kind,
            instance: Some(self.id),
            dimensions: Vec::new(),
            description: description.into(),
            period,
            quantity,
            unit: unit.into(),
            unit_price: Some(*price),
            steps: Vec::new(),
            amount: rated.amount,
            residue: rated.residue,
            price_book: Some(PriceVersion { name: self.prices.name.clone(), version }),
            rate: number,
            tax: Tax::NONE,
            events: event_set(events)?,
            cites: None,
        })
    }
}

/// A level times microseconds, in billionths, as the level times hours; rounded once, half up.
fn in_hours(integral: i128) -> i128 {
    const HOUR: i128 = 3_600_000_000;
    // Levels are not negative, and a remainder is far below the largest number.
    integral / HOUR + i128::from(integral % HOUR * 2 >= HOUR)
}

/// The events that are behind a line, read again as of the cut-off of its run.
pub(crate) fn events_behind(
    line: &InvoiceLine,
    (histories, metering): (&Histories, &Metering),
    cut_off: Sequence,
) -> Option<Vec<Sequence>> {
    let events = match &line.kind {
        LineKind::Recurring => histories.get(line.instance?)?.events(line.period.stop, cut_off),
        LineKind::Usage { resource } => {
            let target = Target::Instance(line.instance?);
            let reading = metering.as_of(cut_off).read(&target, resource.as_str(), line.period);
            reading.sequences.into_iter().map(Sequence).collect()
        }
        _ => return None,
    };
    (event_set(&events).as_ref() == Some(&line.events)).then_some(events)
}
