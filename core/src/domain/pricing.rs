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
        candidates
            .filter(|rate| rate.matching().covers(instance))
            .max_by_key(|rate| rate.matching().members())
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
            if declared.unit.is_empty()
                || declared.unit.len() > 100
                || declared.unit.chars().any(char::is_control)
            {
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
        // Publishing what counts already is publishing nothing; after another version it is going back.
        if versions.last() == Some(book) {
            return Ok(Outcome::unchanged((
                book.name.clone(),
                u32::try_from(versions.len()).unwrap_or(u32::MAX),
            )));
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

#[cfg(test)]
mod tests {
    use crate::domain::Answer;
    use crate::domain::given::{Given, at, computer, release, software_type};

    use super::*;

    fn resource(name: &str) -> ResourceId {
        ResourceId::new(name).expect(name)
    }

    fn gauge(name: &str) -> Resource {
        let (kind, meter) = (ResourceKind::Gauge, Meter::TimeIntegral);
        Resource { resource: resource(name), kind, meter, unit: "percent_hour".into() }
    }

    fn price(text: &str) -> Price {
        text.parse().expect(text)
    }

    fn fee(matching: Match) -> Rate {
        Rate::Recurring { price: price("10.00"), matching }
    }

    fn per_unit(name: &str, matching: Match) -> Rate {
        Rate::PerUnit { resource: resource(name), price: price("0.002"), matching }
    }

    fn book() -> PriceBook {
        PriceBook {
            name: PriceBookName::new("standard").expect("a name"),
            currency: Currency::EUR,
            valid_from: at("2026-01-01T00:00:00Z"),
            rounding: Rounding::HalfUp,
            resources: vec![gauge("cpu")],
            rates: vec![fee(Match::default()), per_unit("cpu", Match::default())],
        }
    }

    fn of_release(name: &str) -> Match {
        Match { software_release: Some(release(name)), ..Match::default() }
    }

    fn of_type(name: &str) -> Match {
        Match { software_type: Some(software_type(name)), ..Match::default() }
    }

    fn of_computer(name: &str) -> Match {
        Match { computer: Some(computer(name)), ..Match::default() }
    }

    fn of_instances(instance_type: InstanceType) -> Match {
        Match { instance_type: Some(instance_type), ..Match::default() }
    }

    fn of_customer(party: u64) -> Match {
        Match { customer: Some(PartyId(party)), ..Match::default() }
    }

    fn publish(book: PriceBook) -> PublishPriceBook {
        PublishPriceBook { book }
    }

    fn answer(version: u32) -> Answer {
        Answer::PriceBook { name: book().name, version }
    }

    #[test]
    fn versions_are_numbered_and_what_counts_already_is_not_published_again() {
        let published = |version, book| {
            let stream = Stream::PriceBook(PriceBookName::new("standard").expect("a name"));
            [(stream, Event::PriceBookPublished(PriceBookPublished { version, book }))]
        };
        let dearer = PriceBook {
            rates: vec![Rate::Recurring { price: price("11"), matching: Match::default() }],
            ..book()
        };
        let given = Given::nothing()
            .when(publish(book()))
            .then(published(1, book()))
            .answered(&answer(1))
            .and()
            .when(publish(book()))
            .then([])
            .answered(&answer(1))
            .and()
            .when(publish(dearer.clone()))
            .then(published(2, dearer))
            .answered(&answer(2))
            .and()
            // Going back is another version.
            .when(publish(book()))
            .then(published(3, book()))
            .and();
        assert_eq!(given.state.price_books.versions("standard").len(), 3);
        assert_eq!(given.state.price_books.names().count(), 1);
        assert!(given.state.price_books.versions("other").is_empty());
    }

    #[test]
    fn books_that_contradict_themselves_are_refused() {
        let of = |resources: Vec<Resource>, rates: Vec<Rate>| PriceBook { resources, rates, ..book() };
        let unit = |unit: &str| of(vec![Resource { unit: unit.into(), ..gauge("cpu") }], book().rates);
        let meter = |kind, meter| of(vec![Resource { kind, meter, ..gauge("cpu") }], book().rates);
        let (bad_unit, no_fit) = (
            PricingRefusal::BadUnit { resource: resource("cpu") },
            PricingRefusal::MeterDoesNotFit { resource: resource("cpu") },
        );
        let undeclared = |rate, name| PricingRefusal::UndeclaredResource { rate, resource: resource(name) };
        let rows = [
            (
                of(vec![gauge("cpu"), gauge("cpu")], vec![]),
                PricingRefusal::ResourceTwice { resource: resource("cpu") },
            ),
            (meter(ResourceKind::Counter, Meter::TimeIntegral), no_fit.clone()),
            (meter(ResourceKind::Gauge, Meter::Sum), no_fit),
            (unit(""), bad_unit.clone()),
            (unit("\n"), bad_unit.clone()),
            (unit(&"x".repeat(101)), bad_unit),
            (of(vec![gauge("cpu")], vec![per_unit("memory", Match::default())]), undeclared(1, "memory")),
            (
                of(vec![], vec![fee(Match::default()), per_unit("cpu", Match::default())]),
                undeclared(2, "cpu"),
            ),
            (of(vec![gauge("cpu")], vec![]), PricingRefusal::NoRates),
        ];
        for (book, refusal) in rows {
            Given::nothing().when(publish(book)).refused(refusal);
        }
    }

    #[test]
    fn rates_that_could_both_win_are_refused() {
        let both = |one: &Match, other: &Match| Match {
            software_release: one.software_release.clone().or_else(|| other.software_release.clone()),
            software_type: one.software_type.clone().or_else(|| other.software_type.clone()),
            computer: one.computer.clone().or_else(|| other.computer.clone()),
            instance_type: one.instance_type.or(other.instance_type),
            customer: one.customer.or(other.customer),
        };
        let testing = of_instances(InstanceType::Testing);
        let tie = Err(PricingRefusal::Tie { one: 1, other: 2 });
        let rows = [
            (Match::default(), Match::default(), tie.clone()),
            (of_release("r"), of_release("r"), tie.clone()),
            (of_release("r"), of_release("s"), Ok(())),
            (of_type("t"), of_type("u"), Ok(())),
            (of_computer("COMP-1"), of_computer("COMP-2"), Ok(())),
            (of_customer(1), of_customer(2), Ok(())),
            (testing.clone(), of_instances(InstanceType::Production), Ok(())),
            (of_release("r"), of_type("t"), tie.clone()),
            (of_computer("COMP-1"), of_customer(1), tie.clone()),
            (of_customer(1), testing.clone(), tie.clone()),
            (of_release("r"), both(&of_release("r"), &of_type("t")), Ok(())),
            (both(&of_release("r"), &testing), both(&of_type("t"), &testing), tie),
            (both(&of_release("r"), &of_customer(1)), both(&of_type("t"), &of_customer(2)), Ok(())),
        ];
        for (one, other, expected) in rows {
            let rates = |rate: fn(Match) -> Rate| vec![rate(one.clone()), rate(other.clone())];
            let check = |rates| PriceBook { rates, ..book() }.check();
            assert_eq!(check(rates(fee)), expected, "{one:?} and {other:?}");
            assert_eq!(check(rates(|matching| per_unit("cpu", matching))), expected, "{one:?} and {other:?}");
            // A fee and a price of usage never compete.
            assert_eq!(check(vec![fee(one.clone()), per_unit("cpu", other.clone())]), Ok(()));
        }
    }

    #[test]
    fn the_rate_that_names_most_members_wins() {
        let (small, large) = (release("http://release/small"), release("http://release/large"));
        let of_both = Match { customer: Some(PartyId(2)), ..of_release("http://release/large") };
        let rates = vec![fee(Match::default()), fee(of_both), fee(of_release("http://release/large"))];
        let book = PriceBook { rates, ..book() };
        assert_eq!(book.check(), Ok(()));
        let (computer, software_type) = (computer("COMP-1"), software_type("default"));
        let winner = |release, customer| {
            let matched = Matched {
                software_release: release,
                software_type: &software_type,
                computer: &computer,
                instance_type: InstanceType::Production,
                customer: PartyId(customer),
            };
            assert_eq!(book.rate(Some(&resource("cpu")), matched), None);
            book.rates.iter().position(|rate| Some(rate) == book.rate(None, matched))
        };
        assert_eq!(winner(&small, 2), Some(0));
        assert_eq!(winner(&large, 1), Some(2));
        assert_eq!(winner(&large, 2), Some(1));
    }

    /// Each rule is checked before the state of things, and the size before each rule.
    #[test]
    fn refusals_in_order() {
        let usd = PriceBook { currency: "USD".parse().expect("a currency"), ..book() };
        let many = (0..200).map(|n| fee(of_release(&format!("http://release/{n}/{}", "x".repeat(500)))));
        let large =
            PriceBook { rates: many.collect(), resources: vec![gauge("cpu"), gauge("cpu")], ..usd.clone() };
        Given::nothing()
            .done(publish(book()))
            .when(publish(large))
            .refused(PricingRefusal::TooLarge { max: 60_000 })
            .when(publish(PriceBook { rates: vec![], ..usd.clone() }))
            .refused(PricingRefusal::NoRates)
            .when(publish(usd))
            .refused(PricingRefusal::OtherCurrency { name: book().name, known: Currency::EUR });
    }
}
