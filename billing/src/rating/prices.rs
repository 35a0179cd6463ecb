//! The versions of a price book: which counts when, and what it says of an instance.

use std::collections::BTreeSet;

use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::id::{PartyId, PriceBookName, ResourceId};
use slapledger_core::domain::instance::RequestedState;
use slapledger_core::domain::pricing::{
    FeeEnd, Match, Matched, Model, OnChange, PriceBook, PriceVersion, Rate, Resource, Subject,
};
use slapledger_core::domain::time::{Period, Timestamp};

use crate::history::StatesPriced;
use crate::proration::by_month;

/// All versions of a price book that a run looks at, the first being version 1.
pub(crate) struct Prices<'a> {
    pub(crate) name: &'a PriceBookName,
    versions: &'a [PriceBook],
    /// What fees are for, in any version.
    pub(super) items: BTreeSet<&'a str>,
    /// Which changes of state any version looks at.
    pub(super) states: StatesPriced,
}

/// A time whose usage is counted together: a part of a billing month, or the time of a version that restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PricingSpan {
    pub(super) period: Period,
    /// Its parts in which the same percentages and minimums apply: lines are cut between them.
    pub(super) parts: Vec<Period>,
    /// Whether quantities continue, and equal prices are one line.
    pub(super) continues: bool,
}

impl PricingSpan {
    fn new(period: Period, continues: bool) -> Self {
        Self { period, parts: vec![period], continues }
    }

    /// What of it is in a period.
    pub(super) fn within(&self, period: Period) -> Option<Self> {
        let parts = self.parts.iter().filter_map(|part| part.intersection(period)).collect();
        Some(Self { period: self.period.intersection(period)?, parts, continues: self.continues })
    }
}

/// A version and its number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version<'a> {
    pub(crate) number: u32,
    pub(crate) book: &'a PriceBook,
}

/// A rate, its number, and its version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct By<'a> {
    pub(crate) version: Version<'a>,
    pub(crate) number: u32,
    pub(crate) rate: &'a Rate,
}

impl<'a> Prices<'a> {
    pub(crate) fn new(name: &'a PriceBookName, versions: &'a [PriceBook]) -> Self {
        let rates = versions.iter().flat_map(|book| &book.rates);
        let items = rates.filter_map(|rate| match rate.subject() {
            Subject::Fee(item) => Some(item),
            _ => None,
        });
        let states = versions.iter().flat_map(|book| &book.rates).map(StatesPriced::of);
        let states = states.fold(StatesPriced::default(), |states, more| StatesPriced {
            all: states.all || more.all,
            destroyed: states.destroyed || more.destroyed,
        });
        Self { name, versions, items: items.collect(), states }
    }

    /// The spans of a period for a customer; together they are the period.
    pub(super) fn spans(&self, period: Period, customer: PartyId, calendar: &Calendar) -> Vec<PricingSpan> {
        let mut spans: Vec<PricingSpan> = Vec::new();
        let mut before: Option<Version<'a>> = None;
        for (part, version) in self.within(period) {
            let continues = version.is_some_and(Version::continues);
            match (spans.last_mut(), before, version) {
                (Some(span), Some(before), Some(version)) if continues => {
                    span.continues = true;
                    span.period.stop = part.stop;
                    match span.parts.last_mut() {
                        Some(last) if before.same_for_customer(version, customer) => last.stop = part.stop,
                        _ => span.parts.push(part),
                    }
                }
                _ => spans.push(PricingSpan::new(part, continues)),
            }
            before = version;
        }
        let by_month = spans.into_iter().flat_map(|span| {
            let months = if span.continues { by_month(span.period, calendar) } else { vec![span.period] };
            months.into_iter().filter_map(move |month| span.within(month))
        });
        by_month.collect()
    }

    /// The parts of a period in which one version counted, or none yet; together they are the period.
    pub(crate) fn within(&self, period: Period) -> Vec<(Period, Option<Version<'a>>)> {
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
    pub(crate) fn at(&self, instant: Timestamp) -> Option<Version<'a>> {
        let valid = (1..).zip(self.versions).filter(|(_, book)| book.valid_from <= instant);
        let newest = valid.max_by_key(|(number, book)| (book.valid_from, *number));
        newest.map(|(number, book)| Version { number, book })
    }

    /// A version as lines name it.
    pub(crate) fn named(&self, version: Version<'_>) -> PriceVersion {
        PriceVersion { name: self.name.clone(), version: version.number }
    }
}

impl<'a> Version<'a> {
    /// Whether what is counted by the month continues when it takes effect.
    fn continues(self) -> bool {
        self.book.on_change == OnChange::Continue
    }

    /// Whether the percentages and minimums of a customer are those of another version.
    fn same_for_customer(self, other: Self, customer: PartyId) -> bool {
        let (own, others) = (self.of_customer(customer), other.of_customer(customer));
        own.len() == others.len() && own.iter().all(|by| others.iter().any(|other| by.charges_as(*other)))
    }

    /// What it declares of the resource of a rate.
    pub(super) fn declared(self, rate: &Rate) -> Option<&'a Resource> {
        match &rate.model {
            Model::Usage { resource, .. } => self.book.resource(resource),
            _ => None,
        }
    }

    /// The rate for an instance.
    pub(super) fn rate(self, subject: Subject<'_>, instance: Matched<'_>) -> Option<By<'a>> {
        let (number, rate) = self.book.rate(subject, instance)?;
        Some(By { version: self, number, rate })
    }

    /// Of the rates about all of a customer's lines those that are for this one: of each subject the one that names
    /// most members.
    pub(super) fn of_customer(self, customer: PartyId) -> Vec<By<'a>> {
        let covers = |matching: &Match| matching.customer.is_none_or(|named| named == customer);
        let rates =
            (1..).zip(&self.book.rates).filter(|(_, rate)| rate.of_customers() && covers(&rate.matching));
        let mut best: Vec<By<'a>> = Vec::new();
        for (number, rate) in rates {
            let by = By { version: self, number, rate };
            match best.iter_mut().find(|known| known.rate.subject() == rate.subject()) {
                Some(known) if known.rate.matching.members() < rate.matching.members() => *known = by,
                Some(_) => {}
                None => best.push(by),
            }
        }
        best
    }
}

impl By<'_> {
    /// Whether another rate charges the same for the same: a change between them changes no bill.
    pub(super) fn charges_as(self, other: By<'_>) -> bool {
        self.rate.model == other.rate.model
            && self.version.declared(self.rate) == other.version.declared(other.rate)
            && self.version.book.rounding == other.version.book.rounding
    }
}

/// What an instance is charged for one thing at one time.
#[derive(Clone, Copy)]
pub(super) enum Charge<'a> {
    /// By this rate.
    Rate(By<'a>),
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
    /// The fee of this name for being there.
    pub(super) fn fee(prices: Option<Version<'a>>, item: &str, instance: Matched<'_>) -> Self {
        let by = prices.and_then(|version| version.rate(Subject::Fee(item), instance));
        // A fee that lasts until destruction is requested has ended then.
        let by = by.filter(|by| match by.rate.model {
            Model::Recurring { until: FeeEnd::DestroyRequested, .. } => {
                instance.state != RequestedState::Destroyed
            }
            _ => true,
        });
        by.map_or(Self::Free, Self::Rate)
    }

    /// Whether there is anything to pay at all: one who pays for usage alone is not forgotten.
    pub(super) fn anything(prices: Option<Version<'a>>, instance: Matched<'_>) -> Self {
        let Some(version) = prices else { return Self::NoPrices };
        // Groups of usage are not known here: a rate for one of them is a rate for the instance.
        let covers = |rate: &Rate| match rate.subject() {
            Subject::Fee(_) => rate.matching.covers(instance),
            Subject::Resource(_) => rate.matching.covers_any_group(instance),
            Subject::Percentage(_) | Subject::Minimum(_) => false,
        };
        if version.book.rates.iter().any(covers) { Self::Free } else { Self::NoRate }
    }

    /// What is paid for a resource.
    pub(super) fn usage(prices: Option<Version<'a>>, resource: &ResourceId, instance: Matched<'_>) -> Self {
        let Some(version) = prices else { return Self::NoPrices };
        if version.book.resource(resource).is_none() {
            return Self::Undeclared;
        }
        let subject = Subject::Resource(resource);
        match version.rate(subject, instance) {
            Some(by) => Self::Rate(by),
            None if version.book.rates.iter().any(|rate| rate.subject() == subject) => Self::NoRate,
            None => Self::Free,
        }
    }

    /// Whether the time of both is one line: where prices continue, if they charge the same.
    pub(super) fn same(self, other: Self, continues: bool) -> bool {
        match (self, other) {
            (Self::Rate(by), Self::Rate(other)) => {
                (by.version.number, by.number) == (other.version.number, other.number)
                    || (continues && by.charges_as(other))
            }
            _ => std::mem::discriminant(&self) == std::mem::discriminant(&other),
        }
    }
}
