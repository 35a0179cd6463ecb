//! Price books: what is declared, what it costs, and since when. Published versions never change.
//!
//! `rate` says what a rate charges, `matching` which instances it is for, `check` which books may be published. Here is what a book says; what
//! comes of it for a quantity is for the rating.

mod check;
mod matching;
mod overrides;
mod rate;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::Outcome;
use super::event::{Event, Stream};
use super::id::{InvalidText, InvoiceId, PartyId, PriceBookName, ResourceId, number_id};
use super::money::{Currency, Price, Rounding};
use super::quantity::Quantity;
use super::time::{Period, Timestamp};

pub use check::{PricingRefusal, RULE_OF_CARRY_OVER, RULE_OF_METERS, RULE_OF_MOST};
pub use matching::{Match, Matched};
pub use overrides::{
    EndPriceOverride, PriceOverride, PriceOverrideEnded, PriceOverrideSet, SetPriceOverride,
};
pub use rate::{
    Anchor, BaseFeeTime, CapPer, DiscountLimits, Every, FeeEnd, FeeProration, FeeTerms, Model, Of, Per,
    Proration, Rate, RateSubject, Reduction, Tariff, Tier, Trial, When,
};

/// What a price book says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PriceBook {
    /// Its name, over all its versions.
    pub name: PriceBookName,
    /// The currency of all its prices.
    pub currency: Currency,
    /// Since when this version counts.
    pub valid_from: Timestamp,
    /// How amounts are brought to the minor unit.
    pub rounding: Rounding,
    /// What a change of version or rate within a month does to allowances, tiers, packages and minimums.
    pub on_change: OnChange,
    /// What it says of tax and of documents.
    pub terms: InvoiceTerms,
    /// What is measured, and how it is made into a quantity.
    pub resources: Vec<Resource>,
    /// What it costs.
    pub rates: Vec<Rate>,
}

/// What a change of version or rate within a billing month does to what is counted by the month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// Each version and rate counts for itself. Books published before this could be chosen restart.
    Restart,
    /// Allowances, tiers, packages and minimums continue, and equal prices are one line.
    #[default]
    Continue,
}

/// What a price book says of tax and of documents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InvoiceTerms {
    /// Whether its prices contain tax.
    pub tax: PriceTax,
    /// What a change of the tax within the time of a line does to the line.
    pub on_tax_change: OnTaxChange,
    /// What becomes of a document whose total is zero.
    pub zero_invoices: ZeroInvoices,
    /// So much of a month's charges, without tax, is invoiced before the month is over.
    pub threshold: Option<Price>,
}

/// Whether prices contain tax.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriceTax {
    /// Tax is added to the lines.
    #[default]
    Exclusive,
    /// Amounts of lines contain tax, which is taken out of their sum.
    Inclusive,
}

impl PriceTax {
    /// Whether tax is added.
    pub fn is_exclusive(&self) -> bool {
        *self == Self::Exclusive
    }
}

/// What a change of the tax rate or treatment within the time of a line does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTaxChange {
    /// The tax at the last instant of the line is for all of it.
    #[default]
    LastInstant,
    /// The line is cut where the tax changes.
    Cut,
}

/// What becomes of a document whose total is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ZeroInvoices {
    /// It is issued as any other.
    #[default]
    Issue,
    /// It is not drafted.
    Skip,
}

/// A declared resource.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Resource {
    /// Its name in usage events.
    pub resource: ResourceId,
    /// Whether its quantities add up or are levels.
    pub kind: ResourceKind,
    /// How a period's usage becomes one quantity.
    pub meter: Meter,
    /// The unit of that quantity.
    pub unit: Box<str>,
    /// How what was reported is brought to that unit.
    pub conversion: Conversion,
    /// The dimensions of usage that are charged apart from each other.
    pub group_by: Vec<Box<str>>,
    /// The most of `unit` that an instance plausibly uses in an hour. What reports more is suspended.
    pub most: Option<Quantity>,
    /// Whether the last reported level of a gauge holds until the next report.
    pub carry_over: bool,
}

/// In microseconds.
const HOUR: i128 = 3_600_000_000;

impl Resource {
    /// Whether a report says more than can be. Of a counter, for each hour that its period has begun; of a gauge, as a
    /// level.
    pub fn is_implausible(&self, reported: Quantity, period: Period) -> bool {
        let Some(most) = self.most else { return false };
        let hours = match self.kind {
            ResourceKind::Counter => (i128::from(period.micros()) + HOUR - 1) / HOUR,
            ResourceKind::Gauge => 1,
        };
        let Conversion { multiply, divide } = self.conversion;
        let reported = reported.billionths().checked_mul(multiply.into());
        let most = most.billionths().checked_mul(divide.into()).and_then(|most| most.checked_mul(hours));
        // What is too large to be computed on the one side is more than anything on the other.
        match (reported, most) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(reported), Some(most)) => reported > most,
        }
    }
}

/// Whether the quantities of a resource add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// They add up (requests, bytes sent), and are divided by time.
    Counter,
    /// They are levels that hold for a period (percent, MiB in use).
    Gauge,
}

/// How a period's usage becomes one quantity. docs/price-books.md has each in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// The sum of a counter.
    Sum,
    /// A gauge times the hours it held.
    TimeIntegral,
    /// How many usage events ended in the period.
    Count,
    /// The lowest level.
    Min,
    /// The highest level.
    Max,
    /// The level on the average of the time it was reported for.
    Average,
    /// The last level.
    Latest,
    /// How many different values of a dimension there were.
    UniqueCount {
        /// Which dimension.
        dimension: Box<str>,
    },
    /// The level that so many percent of the samples do not exceed, by nearest rank.
    Percentile {
        /// From 1 to 100.
        percent: u8,
        /// How long a sample is.
        sample_minutes: u16,
    },
}

/// An exact factor: one unit of what is reported is `multiply / divide` units of what is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Conversion {
    /// At least 1.
    pub multiply: u64,
    /// At least 1.
    pub divide: u64,
}

impl Conversion {
    /// What is reported is what is charged.
    pub const NONE: Self = Self { multiply: 1, divide: 1 };
}

impl PriceBook {
    /// What is declared of a resource.
    pub fn resource(&self, resource: &ResourceId) -> Option<&Resource> {
        self.resources.iter().find(|declared| declared.resource == *resource)
    }

    /// The rate for an instance and its number, from 1: of those that cover it, the one that names most members.
    pub fn rate(&self, subject: RateSubject<'_>, instance: Matched<'_>) -> Option<(u32, &Rate)> {
        let candidates = (1..).zip(&self.rates).filter(|(_, rate)| rate.subject() == subject);
        candidates
            .filter(|(_, rate)| rate.matching.covers(instance))
            .max_by_key(|(_, rate)| rate.matching.members())
    }

    /// The customers who owe it a fee also without any instance.
    pub fn always_owed_by(&self) -> impl Iterator<Item = PartyId> {
        let always = self
            .rates
            .iter()
            .filter(|rate| matches!(rate.model, Model::BaseFee { owed: BaseFeeTime::Always, .. }));
        always.filter_map(|rate| rate.matching.customer)
    }

    /// Whether both have prices in one currency for some of the same customers.
    fn competes_with(&self, other: &Self) -> bool {
        let of_all = |book: &Self| book.rates.iter().any(|rate| rate.matching.customer.is_none());
        let named = |book: &Self, customer: PartyId| {
            book.rates.iter().any(|rate| rate.matching.customer == Some(customer))
        };
        let mut customers = self.rates.iter().filter_map(|rate| rate.matching.customer);
        self.currency == other.currency
            && (of_all(self) || of_all(other) || customers.any(|one| named(other, one)))
    }

    /// The subjects of all rates, each once, in order.
    pub fn subjects(&self) -> Vec<RateSubject<'_>> {
        let mut subjects: Vec<_> = self.rates.iter().map(Rate::subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        subjects
    }
}

number_id!(
    /// A price of one customer that takes the place of a rate of a price book.
    OverrideId, "OVERRIDE-", "OVERRIDE-1"
);

/// A version of a price book counts from now on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PriceBookPublished {
    /// From 1, without gaps, for each name.
    pub version: u32,
    /// What it says.
    pub book: PriceBook,
}

/// Publish a price book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishPriceBook {
    /// What it says.
    pub book: PriceBook,
    /// Whether it may take effect in a period that is invoiced by its prices.
    pub retroactive: bool,
}

/// A period for which a customer was invoiced by the prices of a book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoicedPeriod {
    /// The document.
    pub invoice: InvoiceId,
    /// Whose.
    pub payer: PartyId,
    /// When.
    pub period: Period,
}

/// A version, as an invoice line names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, JsonSchema)]
pub struct PriceVersion {
    /// The book.
    pub name: PriceBookName,
    /// Its version.
    pub version: u32,
}

/// All price books.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct PriceBooks {
    by_name: BTreeMap<PriceBookName, Vec<PriceBook>>,
    /// Whether any version says what is plausible: most do not, and reports are many.
    has_bounds: bool,
    /// The resources whose levels carry over, by any version.
    carried: BTreeSet<ResourceId>,
    overrides: BTreeMap<OverrideId, PriceOverride>,
    last_override: u64,
}

/// The most bytes of a published price book: an event holds at most 65,535, and its envelope needs some.
const MAX_BYTES: usize = 60_000;

impl PriceBooks {
    /// All versions of a book, the first being version 1.
    pub fn versions(&self, name: &str) -> &[PriceBook] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// The versions that apply at an instant, one of each book: the one that applies from the latest instant, of
    /// several the newest.
    pub fn in_force(&self, at: Timestamp) -> impl Iterator<Item = &PriceBook> {
        self.by_name.values().filter_map(move |versions| {
            versions.iter().filter(|book| book.valid_from <= at).max_by_key(|book| book.valid_from)
        })
    }

    /// Whether a report says more of a resource than a price book that applies when it stops says there can be.
    pub(crate) fn find_implausible(&self, resource: &ResourceId, reported: Quantity, period: Period) -> bool {
        self.has_bounds
            && self.in_force(period.stop.plus_micros(-1)).any(|book| {
                book.resource(resource).is_some_and(|declared| declared.is_implausible(reported, period))
            })
    }

    /// Whether levels of a resource carry over by any version; if none is named, of any resource.
    pub fn carries_over(&self, resource: Option<&ResourceId>) -> bool {
        resource.map_or(!self.carried.is_empty(), |resource| self.carried.contains(resource))
    }

    /// The names of all books.
    pub fn names(&self) -> impl Iterator<Item = &PriceBookName> {
        self.by_name.keys()
    }

    /// The time in which a version takes effect when it is published next: until a known version begins after it.
    pub fn effect_of(&self, book: &PriceBook) -> Option<Period> {
        let versions = self.versions(book.name.as_str());
        let later = versions.iter().map(|known| known.valid_from).filter(|at| *at > book.valid_from);
        Period::new(book.valid_from, later.min().unwrap_or(Timestamp::MAX))
    }

    /// Another book that has prices in the same currency for some of the same customers, if this book did not compete
    /// with it before.
    fn competitor(&self, book: &PriceBook) -> Option<&PriceBookName> {
        let own = self.versions(book.name.as_str());
        let others = self.by_name.iter().filter(|(name, _)| **name != book.name);
        let mut competing = others.filter(|(_, versions)| {
            let competes = |book: &PriceBook| versions.iter().any(|other| other.competes_with(book));
            competes(book) && !own.iter().any(competes)
        });
        competing.next().map(|(name, _)| name)
    }

    pub(crate) fn publish(
        &self,
        command: &PublishPriceBook,
        invoiced: impl Iterator<Item = InvoicedPeriod>,
    ) -> Result<Outcome<(PriceBookName, u32)>, PricingRefusal> {
        let book = &command.book;
        // First of all: the check compares rates with each other.
        let size =
            bincode::encode_to_vec(book, bincode::config::standard()).map_or(usize::MAX, |bytes| bytes.len());
        if size > MAX_BYTES {
            return Err(PricingRefusal::TooLarge { max: MAX_BYTES });
        }
        book.check()?;
        let versions = self.versions(book.name.as_str());
        if let Some(known) = versions.first().filter(|known| known.currency != book.currency) {
            return Err(PricingRefusal::OtherCurrency { name: book.name.clone(), known: known.currency });
        }
        if versions.first().is_some_and(|known| known.terms.tax != book.terms.tax) {
            return Err(PricingRefusal::OtherPriceTax { name: book.name.clone() });
        }
        // Publishing what counts already is publishing nothing; after another version it is going back.
        if versions.last() == Some(book) {
            return Ok(Outcome::unchanged((
                book.name.clone(),
                u32::try_from(versions.len()).unwrap_or(u32::MAX),
            )));
        }
        if let Some(other) = self.competitor(book) {
            return Err(PricingRefusal::SameCustomers { other: other.clone(), currency: book.currency });
        }
        if let Some(effect) = self.effect_of(book).filter(|_| !command.retroactive) {
            let mut touched = invoiced.filter(|invoiced| invoiced.period.intersection(effect).is_some());
            if let Some(InvoicedPeriod { invoice, period, .. }) = touched.next() {
                let (valid_from, more) = (book.valid_from, touched.count());
                return Err(PricingRefusal::Retroactive { valid_from, invoice, period, more });
            }
        }
        if let Some(refusal) = self.effect_of(book).and_then(|effect| self.broken_override(book, effect)) {
            return Err(refusal);
        }
        let version = u32::try_from(versions.len() + 1).unwrap_or(u32::MAX);
        let event = PriceBookPublished { version, book: book.clone() };
        let stream = Stream::PriceBook(book.name.clone());
        Ok(Outcome::of((book.name.clone(), version), [(stream, Event::PriceBookPublished(event))]))
    }

    /// Adds a version: the fold that decisions and billing share.
    pub fn published(&mut self, event: &PriceBookPublished) {
        self.has_bounds |= event.book.resources.iter().any(|declared| declared.most.is_some());
        let carried = event.book.resources.iter().filter(|declared| declared.carry_over);
        self.carried.extend(carried.map(|declared| declared.resource.clone()));
        self.by_name.entry(event.book.name.clone()).or_default().push(event.book.clone());
    }
}
