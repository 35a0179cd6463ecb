//! The versions of a price book: which counts when, and what it says of an instance.

use std::collections::BTreeSet;

use slapledger_core::domain::id::{PartyId, PriceBookName, ResourceId};
use slapledger_core::domain::instance::RequestedState;
use slapledger_core::domain::invoice::{InvoiceLine, LineKind, Reduces};
use slapledger_core::domain::pricing::{
    CapPer, FeeEnd, Match, Matched, Model, Of, OnChange, OnTaxChange, OverrideId, PriceBook, PriceOverride,
    PriceTax, PriceVersion, Rate, RateSubject, Resource, Trial,
};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::tax::SoldProduct;
use slapledger_core::domain::time::{Period, Timestamp};

use super::RatingSubject;
use super::adjustment::{TaxesCharged, key};
use super::rate_number::number_of;
use crate::history::StatesPriced;
use crate::proration::by_month;

/// All versions of a price book that a run looks at, the first being version 1.
pub(crate) struct Prices<'a> {
    pub(crate) name: &'a PriceBookName,
    versions: &'a [PriceBook],
    /// Prices of the customer that take the place of rates.
    overrides: &'a [PriceOverride],
    /// What fees are for, in any version.
    pub(super) items: BTreeSet<&'a str>,
    /// Which changes of state any version looks at.
    pub(super) states: StatesPriced,
    /// What maximums of lines and of instances are of, in any version, in the order in which they are taken off.
    pub(super) maximums: BTreeSet<(CapPer, &'a Of)>,
    /// Whether any version cuts lines where the tax changes.
    pub(super) cuts_taxes: bool,
    /// Whether any version has discounts or maximums.
    pub(super) reduces: bool,
    /// Whether any version has discounts on so many invoices.
    pub(crate) counts_invoices: bool,
}

/// A time whose usage is counted together: a part of a billing month, or the time of a version that restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PricingSpan {
    pub(super) period: Period,
    /// Its parts in which the same percentages, minimums and maximums apply: lines are cut between them.
    pub(super) parts: Vec<Period>,
    /// Whether quantities continue, and equal prices are one line.
    pub(super) continues: bool,
}

impl PricingSpan {
    fn new(period: Period, continues: bool) -> Self {
        Self { period, parts: vec![period], continues }
    }

    /// The same with a cut at an instant.
    fn cut_at(self, at: Timestamp) -> Self {
        let parts = self.parts.iter().flat_map(|part| {
            let both =
                [Period::new(part.start, part.stop.min(at)), Period::new(part.start.max(at), part.stop)];
            both.into_iter().flatten()
        });
        Self { parts: parts.collect(), ..self }
    }

    /// The same with a cut where the tax on what is of no product changes, if that cuts lines.
    fn taxed(self, subject: &RatingSubject<'_>) -> Self {
        let taxed = self.parts.iter().flat_map(|part| subject.taxed_within(SoldProduct::default(), *part));
        Self { parts: taxed.map(|(part, _)| part).collect(), ..self }
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
    overrides: &'a [PriceOverride],
    /// An instant in the time for which it is asked.
    at: Timestamp,
}

/// A rate, its number, and its version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AppliedRate<'a> {
    pub(crate) version: Version<'a>,
    /// Of an override, a number of its own that no book has.
    pub(crate) number: u32,
    pub(crate) rate: &'a Rate,
    /// The price of the customer that it is, if it is no rate of the book.
    pub(crate) price_override: Option<OverrideId>,
}

/// A time of a month, and a rate that applies in it.
pub(super) type RatePiece<'a> = (Period, AppliedRate<'a>);

/// Each piece with the time that it would be without the cut where the period begins: a month that is invoiced in parts has
/// the maximums and minimums of one that is not.
pub(super) fn uncut<'p, 'a>(
    pieces: &'p [RatePiece<'a>],
    subject: &RatingSubject<'_>,
) -> impl Iterator<Item = (RatePiece<'a>, Period)> + use<'p, 'a> {
    let (begins, customer) = (subject.period.start, subject.payer);
    let goes_on = move |(before, by): &RatePiece<'_>, (after, then): &RatePiece<'_>| {
        (before.stop, after.start) == (begins, begins)
            && by.version.same_for_customer(then.version, customer)
            && by.charges_as(*then)
    };
    pieces.chunk_by(goes_on).flat_map(|chunk| {
        let start = chunk[0].0.start;
        let stop = chunk.last().map_or(chunk[0].0.stop, |(last, _)| last.stop);
        chunk.iter().map(move |piece| (*piece, Period { start, stop }))
    })
}

impl<'a> Prices<'a> {
    /// The prices of everybody who has none of their own.
    pub(crate) fn new(name: &'a PriceBookName, versions: &'a [PriceBook]) -> Self {
        Self::with(name, versions, &[])
    }

    /// The prices of a customer.
    pub(crate) fn with(
        name: &'a PriceBookName,
        versions: &'a [PriceBook],
        overrides: &'a [PriceOverride],
    ) -> Self {
        let own = overrides.iter().map(|own| &*own.rate);
        let rates = versions.iter().flat_map(|book| &book.rates).chain(own.clone());
        let items = rates.filter_map(|rate| match rate.subject() {
            RateSubject::Fee(item) => Some(item),
            _ => None,
        });
        let states = versions.iter().flat_map(|book| &book.rates).chain(own).map(StatesPriced::of);
        let states = states.fold(StatesPriced::default(), |states, more| StatesPriced {
            all: states.all || more.all,
            destroyed: states.destroyed || more.destroyed,
        });
        let rates =
            || versions.iter().flat_map(|book| &book.rates).chain(overrides.iter().map(|own| &*own.rate));
        let maximums = rates().filter_map(|rate| match rate.subject() {
            RateSubject::Maximum(of, per) if per != CapPer::Customer => Some((per, of)),
            _ => None,
        });
        let reduces = rates().any(|rate| rate.model.reduces());
        let counts_invoices = rates()
            .any(|rate| matches!(&rate.model, Model::Discount { limits, .. } if limits.invoices.is_some()));
        let maximums = maximums.collect();
        let cuts_taxes = versions.iter().any(|book| book.terms.on_tax_change == OnTaxChange::Cut);
        Self {
            name,
            versions,
            overrides,
            items: items.collect(),
            states,
            maximums,
            cuts_taxes,
            reduces,
            counts_invoices,
        }
    }

    /// The discounts that lines of a document are of: their items.
    pub(crate) fn discounts_on<'l>(&self, lines: impl Iterator<Item = &'l InvoiceLine>) -> BTreeSet<&'a str> {
        let discounts = lines.filter(|line| {
            line.kind == LineKind::Discount
                && line.price_book.as_ref().is_some_and(|priced| priced.name == *self.name)
        });
        discounts
            .filter_map(|line| match &self.rate_of(line)?.model {
                Model::Discount { item, .. } => Some(&**item),
                _ => None,
            })
            .collect()
    }

    /// The rate of a line.
    fn rate_of(&self, line: &InvoiceLine) -> Option<&'a Rate> {
        if let Some(id) = line.price_override {
            return self.overrides.iter().find(|own| own.id == id).map(|own| &*own.rate);
        }
        let nth = |n: u32| usize::try_from(n).ok()?.checked_sub(1);
        let version = self.versions.get(nth(line.price_book.as_ref()?.version)?)?;
        version.rates.get(nth(line.rate)?)
    }

    /// The taxes that lines were charged with; none, if nothing is taken off them.
    pub(crate) fn taxes_charged<'l>(
        &self,
        lines: impl Iterator<Item = &'l InvoiceLine>,
    ) -> Option<TaxesCharged> {
        let mut taxes = TaxesCharged::new();
        for line in lines.filter(|_| self.reduces) {
            // Of a line and those that adjust it the first has the tax of all.
            if let Some(key) = key(line) {
                taxes.entry(key.owned()).or_insert(line.tax);
            }
        }
        (!taxes.is_empty()).then_some(taxes)
    }

    /// Whether a line is one that another, if it is a maximum of an instance, is of.
    pub(crate) fn is_reduced(&self, reduction: &InvoiceLine, line: &InvoiceLine) -> bool {
        let same_thing = match &reduction.reduces {
            None | Some(Reduces::All) => true,
            Some(Reduces::Fee(item)) => {
                matches!(line.kind, LineKind::Recurring) && self.item_of(line) == &**item
            }
            Some(Reduces::Resource(named)) => {
                matches!(&line.kind, LineKind::Usage { resource } if resource == named)
                    && line.dimensions == reduction.dimensions
            }
        };
        same_thing && reduction.instance.is_none_or(|instance| line.instance == Some(instance))
    }

    /// What a fee is for; nothing, if it has no name.
    pub(super) fn item_of(&self, line: &InvoiceLine) -> &'a str {
        match self.rate_of(line).map(|rate| &rate.model) {
            Some(Model::Recurring { item, .. }) => item,
            _ => "",
        }
    }

    /// The spans of a period for a customer; together they are the period. One that continues begins with its month, also
    /// if the period does not: it is cut where the period begins.
    pub(super) fn spans(&self, subject: &RatingSubject<'_>) -> Vec<PricingSpan> {
        let (period, customer, calendar) = (subject.period, subject.payer, subject.calendar);
        let mut spans: Vec<PricingSpan> = Vec::new();
        let mut before: Option<Version<'a>> = None;
        for (part, version) in self.within(subject.with_month_before()) {
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
        let since = by_month.filter_map(|span| match (span.continues, span.period.intersection(period)) {
            (_, None) => None,
            (false, Some(own)) => span.within(own),
            (true, Some(_)) => Some(span.cut_at(period.start)),
        });
        since.map(|span| span.taxed(subject)).collect()
    }

    /// The parts of a period in which one version and the same overrides counted, or no version yet; together they are the
    /// period.
    pub(crate) fn within(&self, period: Period) -> Vec<(Period, Option<Version<'a>>)> {
        let own = self.overrides.iter().filter_map(PriceOverride::time);
        let own = own.flat_map(|time| [time.start, time.stop]);
        let changes = self.versions.iter().map(|book| book.valid_from).chain(own);
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
        newest.map(|(number, book)| Version { number, book, overrides: self.overrides, at: instant })
    }

    /// Whether its prices contain tax: all versions say the same.
    pub(crate) fn price_tax(&self) -> PriceTax {
        self.versions.first().map(|book| book.terms.tax).unwrap_or_default()
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
        let same = own.len() == others.len()
            && own.iter().all(|by| others.iter().any(|other| by.charges_as(*other)));
        same && self.same_for_instances(other, customer)
    }

    /// Whether the maximums of a customer's instances are those of another version.
    fn same_for_instances(self, other: Self, customer: PartyId) -> bool {
        let maximums = |version: Self| {
            let rates = version.rates().filter(move |by| {
                matches!(by.rate.model, Model::Maximum { .. })
                    && !by.rate.of_customers()
                    && by.rate.matching.customer.is_none_or(|named| named == customer)
            });
            rates.map(|by| (by.price_override.is_some(), &by.rate.model, &by.rate.matching))
        };
        maximums(self).count() == maximums(other).count()
            && maximums(self).all(|own| maximums(other).any(|theirs| own == theirs))
    }

    /// What it declares of the resource of a rate.
    pub(super) fn declared(self, rate: &Rate) -> Option<&'a Resource> {
        match &rate.model {
            Model::Usage { resource, .. } => self.book.resource(resource),
            _ => None,
        }
    }

    /// The rate for an instance.
    pub(super) fn rate(self, subject: RateSubject<'_>, instance: Matched<'_>) -> Option<AppliedRate<'a>> {
        let own = self.own().filter(|by| by.rate.subject() == subject && by.rate.matching.covers(instance));
        if let Some(own) = own.max_by_key(|by| by.rate.matching.members()) {
            return Some(own);
        }
        let (number, rate) = self.book.rate(subject, instance)?;
        Some(AppliedRate { version: self, number, rate, price_override: None })
    }

    /// The prices of the customer that take the place of rates.
    fn own(self) -> impl Iterator<Item = AppliedRate<'a>> {
        let in_force = move |own: &&PriceOverride| own.time().is_some_and(|time| time.contains(self.at));
        self.overrides.iter().filter(in_force).map(move |own| AppliedRate {
            version: self,
            number: number_of(own.id),
            rate: &own.rate,
            price_override: Some(own.id),
        })
    }

    /// All rates there are for the customer, those of their own first.
    pub(crate) fn rates(self) -> impl Iterator<Item = AppliedRate<'a>> {
        let of_book = (1..).zip(&self.book.rates).map(move |(number, rate)| AppliedRate {
            version: self,
            number,
            rate,
            price_override: None,
        });
        self.own().chain(of_book)
    }

    /// Of the rates about all of a customer's lines those that are for this one: of each subject the one that names
    /// most members.
    pub(crate) fn of_customer(self, customer: PartyId) -> Vec<AppliedRate<'a>> {
        let covers = |matching: &Match| matching.customer.is_none_or(|named| named == customer);
        let rates =
            (1..).zip(&self.book.rates).filter(|(_, rate)| rate.of_customers() && covers(&rate.matching));
        let mut best: Vec<AppliedRate<'a>> = Vec::new();
        for (number, rate) in rates {
            let by = AppliedRate { version: self, number, rate, price_override: None };
            match best.iter_mut().find(|known| known.rate.subject() == rate.subject()) {
                Some(known) if known.rate.matching.members() < rate.matching.members() => *known = by,
                Some(_) => {}
                None => best.push(by),
            }
        }
        for own in self.own().filter(|by| by.rate.of_customers() && covers(&by.rate.matching)) {
            match best.iter_mut().find(|known| known.rate.subject() == own.rate.subject()) {
                Some(known) => *known = own,
                None => best.push(own),
            }
        }
        best
    }
}

impl AppliedRate<'_> {
    /// The days after the allocation of an instance that cost nothing.
    pub(super) fn trial_days(self) -> Option<u16> {
        match self.rate.trial {
            Some(Trial::Days(days)) => Some(days),
            _ => None,
        }
    }

    /// The first units that cost nothing.
    pub(super) fn trial_quantity(self) -> Option<Quantity> {
        match self.rate.trial {
            Some(Trial::Quantity(quantity)) => Some(quantity),
            _ => None,
        }
    }

    /// Whether another rate charges the same for the same: a change between them changes no bill.
    pub(super) fn charges_as(self, other: AppliedRate<'_>) -> bool {
        self.rate.model == other.rate.model
            && self.rate.trial == other.rate.trial
            && self.version.declared(self.rate) == other.version.declared(other.rate)
            && self.version.book.rounding == other.version.book.rounding
    }
}

/// What an instance is charged for one thing at one time.
#[derive(Clone, Copy)]
pub(super) enum AppliedCharge<'a> {
    /// By this rate.
    Rate(AppliedRate<'a>),
    /// Nothing, and that is how the prices are meant.
    Free,
    /// Nothing: there are no prices yet.
    NoPrices,
    /// Nothing: there are prices, and none is for it.
    NoRate,
    /// Nothing: it is not declared how this is measured.
    Undeclared,
}

impl<'a> AppliedCharge<'a> {
    /// The fee of this name for being there.
    pub(super) fn fee(prices: Option<Version<'a>>, item: &str, instance: Matched<'_>) -> Self {
        let by = prices.and_then(|version| version.rate(RateSubject::Fee(item), instance));
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
            RateSubject::Fee(_) | RateSubject::BaseFee(_) => rate.matching.covers(instance),
            RateSubject::Resource(_) => rate.matching.covers_any_group(instance),
            RateSubject::Percentage(_)
            | RateSubject::Minimum(_)
            | RateSubject::Discount(_)
            | RateSubject::Maximum(..) => false,
        };
        if version.rates().any(|by| covers(by.rate)) { Self::Free } else { Self::NoRate }
    }

    /// What is paid for a resource.
    pub(super) fn usage(prices: Option<Version<'a>>, resource: &ResourceId, instance: Matched<'_>) -> Self {
        let Some(version) = prices else { return Self::NoPrices };
        if version.book.resource(resource).is_none() {
            return Self::Undeclared;
        }
        let subject = RateSubject::Resource(resource);
        match version.rate(subject, instance) {
            Some(by) => Self::Rate(by),
            None if version.rates().any(|by| by.rate.subject() == subject) => Self::NoRate,
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
