//! The versions of a price book: which counts when, and what it says of an instance.

use std::collections::BTreeSet;

use slapledger_core::domain::id::{PriceBookName, ResourceId};
use slapledger_core::domain::pricing::{Match, Matched, PriceBook, PriceVersion, Rate, Subject};
use slapledger_core::domain::time::{Period, Timestamp};

/// All versions of a price book that a run looks at, the first being version 1.
pub(crate) struct Prices<'a> {
    pub(crate) name: &'a PriceBookName,
    versions: &'a [PriceBook],
    /// What fees are for, in any version.
    pub(super) items: BTreeSet<&'a str>,
    /// Whether any version groups any usage.
    pub(super) groups: bool,
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
        let mut resources = versions.iter().flat_map(|book| &book.resources);
        let groups = resources.any(|declared| !declared.group_by.is_empty());
        Self { name, versions, items: items.collect(), groups }
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
    /// The rate for an instance.
    pub(super) fn rate(self, subject: Subject<'_>, instance: Matched<'_>) -> Option<By<'a>> {
        let (number, rate) = self.book.rate(subject, instance)?;
        Some(By { version: self, number, rate })
    }

    /// Of the rates about all of a customer's lines those that are for this one: of each subject the one that names
    /// most members.
    pub(super) fn of_customer(self, covers: impl Fn(&Match) -> bool) -> Vec<By<'a>> {
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

    pub(super) fn same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Rate(by), Self::Rate(other)) => {
                (by.version.number, by.number) == (other.version.number, other.number)
            }
            _ => std::mem::discriminant(&self) == std::mem::discriminant(&other),
        }
    }
}
