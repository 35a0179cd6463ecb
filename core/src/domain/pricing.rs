//! Price books: what is declared, what it costs, and since when. Published versions never change.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use serde::Serialize;

use super::Outcome;
use super::event::{Event, Stream};
use super::id::{ComputerId, PartyId, PriceBookName, ResourceId, SoftwareRelease, SoftwareType};
use super::instance::InstanceType;
use super::money::{Currency, Price, Rounding};
use super::time::Timestamp;

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
    /// What is measured, and how it is made into a quantity.
    pub resources: Vec<Resource>,
    /// What it costs.
    pub rates: Vec<Rate>,
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
}

/// Whether the quantities of a resource add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// They add up (requests, bytes sent), and are divided by time.
    Counter,
    /// They are levels that hold for a period (percent, MiB in use).
    Gauge,
}

/// How a period's usage becomes one quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// The sum of a counter.
    Sum,
    /// A gauge times the hours it held.
    TimeIntegral,
}

/// A price and what it is the price of.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rate {
    /// A fee for each instance and month, for the part of the month it is allocated.
    Recurring {
        /// For a whole month.
        price: Price,
        /// For which instances.
        #[serde(rename = "match")]
        matching: Match,
    },
    /// For each unit of a resource.
    PerUnit {
        /// Which.
        resource: ResourceId,
        /// For one unit.
        price: Price,
        /// For which instances.
        #[serde(rename = "match")]
        matching: Match,
    },
}

impl Rate {
    /// For which instances it is.
    pub fn matching(&self) -> &Match {
        match self {
            Self::Recurring { matching, .. } | Self::PerUnit { matching, .. } => matching,
        }
    }

    /// The resource it is the price of; none for a recurring fee.
    pub fn resource(&self) -> Option<&ResourceId> {
        match self {
            Self::Recurring { .. } => None,
            Self::PerUnit { resource, .. } => Some(resource),
        }
    }
}

/// Which instances a rate is for: all members that are named must be as named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Match {
    /// The release it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_release: Option<SoftwareRelease>,
    /// As what it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_type: Option<SoftwareType>,
    /// Where it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computer: Option<ComputerId>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<InstanceType>,
    /// Who pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<PartyId>,
}

/// What a match looks at.
#[derive(Debug, Clone, Copy)]
pub struct Matched<'a> {
    /// The release it runs.
    pub software_release: &'a SoftwareRelease,
    /// As what it runs.
    pub software_type: &'a SoftwareType,
    /// Where it runs.
    pub computer: &'a ComputerId,
    /// What it is for.
    pub instance_type: InstanceType,
    /// Who pays.
    pub customer: PartyId,
}

impl Match {
    /// How many members are named: the rate with most wins.
    pub fn members(&self) -> usize {
        [
            self.software_release.is_some(),
            self.software_type.is_some(),
            self.computer.is_some(),
            self.instance_type.is_some(),
            self.customer.is_some(),
        ]
        .into_iter()
        .filter(|named| *named)
        .count()
    }

    /// Whether an instance is as all named members say.
    pub fn covers(&self, instance: Matched<'_>) -> bool {
        self.software_release.as_ref().is_none_or(|named| named == instance.software_release)
            && self.software_type.as_ref().is_none_or(|named| named == instance.software_type)
            && self.computer.as_ref().is_none_or(|named| named == instance.computer)
            && self.instance_type.is_none_or(|named| named == instance.instance_type)
            && self.customer.is_none_or(|named| named == instance.customer)
    }

    /// Whether some instance could be as both say.
    fn overlaps(&self, other: &Self) -> bool {
        fn agree<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            one.zip(other).is_none_or(|(one, other)| one == other)
        }
        agree(self.software_release.as_ref(), other.software_release.as_ref())
            && agree(self.software_type.as_ref(), other.software_type.as_ref())
            && agree(self.computer.as_ref(), other.computer.as_ref())
            && agree(self.instance_type.as_ref(), other.instance_type.as_ref())
            && agree(self.customer.as_ref(), other.customer.as_ref())
    }
}

impl PriceBook {
    /// What is declared of a resource.
    pub fn resource(&self, resource: &ResourceId) -> Option<&Resource> {
        self.resources.iter().find(|declared| declared.resource == *resource)
    }

    /// The rate for an instance: of those that cover it, the one that names most members.
    pub fn rate(&self, resource: Option<&ResourceId>, instance: Matched<'_>) -> Option<&Rate> {
        let candidates = self.rates.iter().filter(|rate| rate.resource() == resource);
        candidates.filter(|rate| rate.matching().covers(instance)).max_by_key(|rate| rate.matching().members())
    }

    /// All rules a price book must keep, whoever reads it and from where.
    pub fn check(&self) -> Result<(), PricingRefusal> {
        for (at, declared) in self.resources.iter().enumerate() {
            let resource = || declared.resource.clone();
            if self.resources[..at].iter().any(|other| other.resource == declared.resource) {
                return Err(PricingRefusal::ResourceTwice { resource: resource() });
            }
            let fits = matches!(
                (declared.kind, declared.meter),
                (ResourceKind::Counter, Meter::Sum) | (ResourceKind::Gauge, Meter::TimeIntegral)
            );
            if !fits {
                return Err(PricingRefusal::MeterDoesNotFit { resource: resource() });
            }
            if declared.unit.is_empty() || declared.unit.len() > 100 || declared.unit.chars().any(char::is_control) {
                return Err(PricingRefusal::BadUnit { resource: resource() });
            }
        }
        for (at, rate) in self.rates.iter().enumerate() {
            if let Some(resource) = rate.resource().filter(|resource| self.resource(resource).is_none()) {
                return Err(PricingRefusal::UndeclaredResource { rate: at + 1, resource: resource.clone() });
            }
            let tie = self.rates[..at].iter().position(|other| {
                other.resource() == rate.resource()
                    && other.matching().members() == rate.matching().members()
                    && other.matching().overlaps(rate.matching())
            });
            if let Some(other) = tie {
                return Err(PricingRefusal::Tie { one: other + 1, other: at + 1 });
            }
        }
        if self.rates.is_empty() {
            return Err(PricingRefusal::NoRates);
        }
        Ok(())
    }
}

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
}

/// Why a price book is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PricingRefusal {
    /// A resource is declared more than once.
    #[error("resource {resource} is declared more than once")]
    ResourceTwice {
        /// Which.
        resource: ResourceId,
    },
    /// The meter does not suit the kind.
    #[error("resource {resource}: a counter is metered by sum, a gauge by time_integral")]
    MeterDoesNotFit {
        /// Which.
        resource: ResourceId,
    },
    /// A unit is missing or no word.
    #[error("resource {resource}: unit must be 1 to 100 bytes without control characters")]
    BadUnit {
        /// Which.
        resource: ResourceId,
    },
    /// A rate is for a resource that is not declared.
    #[error("rate {rate}: resource {resource} is not declared in resources")]
    UndeclaredResource {
        /// Which rate, from 1.
        rate: usize,
        /// Which resource.
        resource: ResourceId,
    },
    /// Two rates could both be the one with most members.
    #[error("rates {one} and {other} match the same instances with as many members: neither would win")]
    Tie {
        /// Which, from 1.
        one: usize,
        /// And which.
        other: usize,
    },
    /// Nothing costs anything.
    #[error("rates must not be empty")]
    NoRates,
    /// The currency of a name is for life.
    #[error("price book {name} is in {known}: its currency cannot change")]
    OtherCurrency {
        /// Which.
        name: PriceBookName,
        /// Its currency.
        known: Currency,
    },
    /// It is too large to be one event.
    #[error("price book is larger than {max} bytes")]
    TooLarge {
        /// The most it may have.
        max: usize,
    },
}

impl PricingRefusal {
    /// The member of a price book that is to blame.
    pub fn field(&self) -> &'static str {
        match self {
            Self::ResourceTwice { .. } | Self::MeterDoesNotFit { .. } | Self::BadUnit { .. } => "resources",
            Self::UndeclaredResource { .. } | Self::Tie { .. } | Self::NoRates => "rates",
            Self::OtherCurrency { .. } => "currency",
            Self::TooLarge { .. } => "",
        }
    }
}

/// A version, as an invoice line names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize)]
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
}

/// The most bytes of a published price book: an event holds at most 65,535, and its envelope needs some.
const MAX_BYTES: usize = 60_000;

impl PriceBooks {
    /// All versions of a book, the first being version 1.
    pub fn versions(&self, name: &str) -> &[PriceBook] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// The names of all books.
    pub fn names(&self) -> impl Iterator<Item = &PriceBookName> {
        self.by_name.keys()
    }

    pub(crate) fn publish(
        &self,
        command: &PublishPriceBook,
    ) -> Result<Outcome<(PriceBookName, u32)>, PricingRefusal> {
        let book = &command.book;
        // First of all: the check compares rates with each other.
        let size = bincode::encode_to_vec(book, bincode::config::standard()).map_or(usize::MAX, |bytes| bytes.len());
        if size > MAX_BYTES {
            return Err(PricingRefusal::TooLarge { max: MAX_BYTES });
        }
        book.check()?;
        let versions = self.versions(book.name.as_str());
        if let Some(known) = versions.first().filter(|known| known.currency != book.currency) {
            return Err(PricingRefusal::OtherCurrency { name: book.name.clone(), known: known.currency });
        }
        // Publishing what counts already is publishing nothing; after another version it is going back.
        if versions.last() == Some(book) {
            return Ok(Outcome::unchanged((book.name.clone(), u32::try_from(versions.len()).unwrap_or(u32::MAX))));
        }
        let version = u32::try_from(versions.len() + 1).unwrap_or(u32::MAX);
        let event = PriceBookPublished { version, book: book.clone() };
        let stream = Stream::PriceBook(book.name.clone());
        Ok(Outcome::of((book.name.clone(), version), [(stream, Event::PriceBookPublished(event))]))
    }

    /// Adds a version: the fold that decisions and billing share.
    pub fn published(&mut self, event: &PriceBookPublished) {
        self.by_name.entry(event.book.name.clone()).or_default().push(event.book.clone());
    }
}
