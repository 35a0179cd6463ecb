//! Overrides: prices of one customer that take the place of rates of a published book for a time.
//!
//! Where its `match` covers an instance, an override is the rate of its subject, whatever the version of the book says. It is
//! set and ended by events of its own; versions of the book keep it.

use bincode::{Decode, Encode};
use serde::Serialize;

use super::{InvoicedPeriod, MAX_BYTES, OverrideId, PriceBook, PriceBooks, PricingRefusal, Rate};
use crate::domain::Outcome;
use crate::domain::event::{Event, Stream};
use crate::domain::id::{PartyId, PriceBookName};
use crate::domain::party::Parties;
use crate::domain::time::{Period, Timestamp};

/// The most overrides that a customer has of a book.
const MOST_OF_CUSTOMER: usize = 1000;

/// A price of one customer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PriceOverride {
    /// Which.
    #[serde(rename = "override")]
    pub id: OverrideId,
    /// The rates of which book it takes the place of.
    pub price_book: PriceBookName,
    /// For whom; its `match` names the customer too.
    pub customer: PartyId,
    /// Since when it counts.
    pub valid_from: Timestamp,
    /// Until when, if that is known.
    pub valid_until: Option<Timestamp>,
    /// What is charged.
    pub rate: Box<Rate>,
}

impl PriceOverride {
    /// When it counts; `None`, if it never does.
    pub fn time(&self) -> Option<Period> {
        Period::new(self.valid_from, self.valid_until.unwrap_or(Timestamp::MAX))
    }
}

/// A price of one customer takes the place of rates of a book.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PriceOverrideSet {
    /// The price.
    #[serde(flatten)]
    pub price_override: PriceOverride,
    /// When it was set.
    pub at: Timestamp,
}

/// It ends.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PriceOverrideEnded {
    /// Which.
    #[serde(rename = "override")]
    pub id: OverrideId,
    /// Of which book.
    pub price_book: PriceBookName,
    /// Until when it counts.
    pub valid_until: Timestamp,
    /// When somebody ended it.
    pub at: Timestamp,
}

/// Give a customer a price of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetPriceOverride {
    /// The rates of which book it takes the place of.
    pub price_book: PriceBookName,
    /// For whom.
    pub customer: PartyId,
    /// Since when it counts.
    pub valid_from: Timestamp,
    /// Until when, if that is known.
    pub valid_until: Option<Timestamp>,
    /// What is charged. Its `match` need not name the customer.
    pub rate: Box<Rate>,
    /// Whether it may take effect in a period of the customer that is invoiced by the prices of the book.
    pub retroactive: bool,
}

/// End a price of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndPriceOverride {
    /// Of which book.
    pub price_book: PriceBookName,
    /// Which.
    pub id: OverrideId,
    /// The instant until which it counts. Default: now.
    pub valid_until: Option<Timestamp>,
    /// Whether that may change a period of the customer that is invoiced by the prices of the book.
    pub retroactive: bool,
}

impl PriceBooks {
    /// All overrides of a book, the oldest first.
    pub fn overrides_of<'a>(&'a self, name: &'a PriceBookName) -> impl Iterator<Item = &'a PriceOverride> {
        self.overrides.values().filter(move |known| known.price_book == *name)
    }

    /// The overrides of a customer that count at an instant, of all books.
    pub(crate) fn overrides_at(
        &self,
        customer: PartyId,
        at: Timestamp,
    ) -> impl Iterator<Item = &PriceOverride> {
        let of_customer = self.overrides.values().filter(move |known| known.customer == customer);
        of_customer.filter(move |known| known.time().is_some_and(|time| time.contains(at)))
    }

    /// The overrides of a book that count in some of a time in which a version takes effect, and what of their rates it does
    /// not allow for.
    pub(super) fn broken_override(&self, book: &PriceBook, effect: Period) -> Option<PricingRefusal> {
        let touched = self
            .overrides_of(&book.name)
            .filter(|known| known.time().is_some_and(|time| time.intersection(effect).is_some()));
        let mut broken = touched.filter_map(|known| {
            let refusal = book.check_rate(1, &known.rate).err()?;
            let (field, what) = match refusal {
                PricingRefusal::UndeclaredResource { resource, .. } => {
                    ("resources", format!("resource {resource} is not declared"))
                }
                // Whether a kind of rate is possible depends on this term of the book.
                PricingRefusal::BadRate { field: "kind", rule, .. } => ("on_change", rule.to_owned()),
                PricingRefusal::BadRate { field, rule, .. } => {
                    ("resources", format!("{field} of its rate {rule}"))
                }
                other => ("resources", other.to_string()),
            };
            let (id, customer) = (known.id, known.customer);
            Some(PricingRefusal::BreaksOverride { id, customer, field, what: what.into() })
        });
        broken.next()
    }

    pub(crate) fn set_override(
        &self,
        parties: &Parties,
        command: &SetPriceOverride,
        invoiced: impl Iterator<Item = InvoicedPeriod>,
        now: Timestamp,
    ) -> Result<Outcome<OverrideId>, PricingRefusal> {
        let SetPriceOverride { price_book, customer, valid_from, valid_until, rate, retroactive } = command;
        let versions = self.versions(price_book.as_str());
        if versions.is_empty() {
            return Err(PricingRefusal::UnknownBook { name: price_book.clone() });
        }
        parties.get(*customer).ok_or(PricingRefusal::UnknownCustomer { customer: *customer })?;
        let bad = |field, rule| PricingRefusal::BadOverride { field, rule };
        let Some(time) = Period::new(*valid_from, valid_until.unwrap_or(Timestamp::MAX)) else {
            return Err(bad("valid_until", "must be after valid_from"));
        };
        let size =
            bincode::encode_to_vec(rate, bincode::config::standard()).map_or(usize::MAX, |bytes| bytes.len());
        if size > MAX_BYTES {
            return Err(PricingRefusal::OverrideTooLarge { max: MAX_BYTES });
        }
        let mut rate = rate.clone();
        if rate.matching.customer.is_some_and(|named| named != *customer) {
            return Err(bad("rate", "must not name another customer in match"));
        }
        rate.matching.customer = Some(*customer);
        let concerned = versions.iter().filter(|book| self.is_in_force_within(book, time));
        let concerned: Vec<&PriceBook> = concerned.collect();
        if concerned.is_empty() {
            return Err(bad("valid_until", "must be after the first version of the book begins"));
        }
        for book in &concerned {
            book.check_rate(1, &rate).map_err(|refusal| match refusal {
                PricingRefusal::BadRate { field, rule, .. } => {
                    PricingRefusal::BadOverrideRate { field, rule }
                }
                PricingRefusal::UndeclaredResource { resource, .. } => {
                    PricingRefusal::UndeclaredByBook { resource, name: price_book.clone() }
                }
                other => other,
            })?;
        }
        let has_prices = |book: &&PriceBook| {
            book.rates.iter().any(|rate| rate.matching.customer.is_none_or(|named| named == *customer))
        };
        if !concerned.iter().any(has_prices) {
            return Err(bad("customer", "has no prices in this book, of which one could take the place"));
        }
        let own = || self.overrides_of(price_book).filter(|known| known.customer == *customer);
        if own().count() >= MOST_OF_CUSTOMER {
            return Err(bad("customer", "has 1000 overrides of this book, which is the most there can be"));
        }
        let alike = own().find(|known| known.time() == Some(time) && known.rate == rate);
        if let Some(known) = alike {
            return Ok(Outcome::unchanged(known.id));
        }
        let rival = own().find(|known| {
            known.time().is_some_and(|other| other.intersection(time).is_some())
                && known.rate.subject() == rate.subject()
                && known.rate.matching.members() == rate.matching.members()
                && known.rate.matching.overlaps(&rate.matching)
        });
        if let Some(other) = rival {
            return Err(PricingRefusal::OverrideTie { other: other.id });
        }
        check_invoiced((*customer, time), *retroactive, invoiced)?;
        let id = OverrideId(self.last_override + 1);
        let (price_book, customer, valid_from, valid_until) =
            (price_book.clone(), *customer, *valid_from, *valid_until);
        let stream = Stream::PriceBook(price_book.clone());
        let price_override = PriceOverride { id, price_book, customer, valid_from, valid_until, rate };
        let event = PriceOverrideSet { price_override, at: now };
        Ok(Outcome::of(id, [(stream, Event::PriceOverrideSet(event))]))
    }

    pub(crate) fn end_override(
        &self,
        command: &EndPriceOverride,
        invoiced: impl Iterator<Item = InvoicedPeriod>,
        now: Timestamp,
    ) -> Result<Outcome<OverrideId>, PricingRefusal> {
        let EndPriceOverride { price_book, id, valid_until, retroactive } = command;
        let known = self.overrides.get(id).filter(|known| known.price_book == *price_book);
        let known = known.ok_or(PricingRefusal::UnknownOverride { id: *id })?;
        if valid_until.is_some_and(|until| until < known.valid_from) {
            let (field, rule) = ("valid_until", "must not be before the valid_from of the override");
            return Err(PricingRefusal::BadOverride { field, rule });
        }
        // One that ends now and has not begun never counts.
        let until = valid_until.unwrap_or(now).max(known.valid_from);
        match known.valid_until {
            Some(end) if end == until => return Ok(Outcome::unchanged(*id)),
            Some(end) if end < until && valid_until.is_none() => return Ok(Outcome::unchanged(*id)),
            Some(end) if end < until => {
                let (field, rule) = ("valid_until", "must not be after the end that the override has");
                return Err(PricingRefusal::BadOverride { field, rule });
            }
            _ => {}
        }
        if let Some(changed) = Period::new(until, known.valid_until.unwrap_or(Timestamp::MAX)) {
            check_invoiced((known.customer, changed), *retroactive, invoiced)?;
        }
        let stream = Stream::PriceBook(price_book.clone());
        let event =
            PriceOverrideEnded { id: *id, price_book: price_book.clone(), valid_until: until, at: now };
        Ok(Outcome::of(*id, [(stream, Event::PriceOverrideEnded(event))]))
    }

    /// Adds an override: the fold that decisions and billing share.
    pub fn override_set(&mut self, event: &PriceOverrideSet) {
        let known = &event.price_override;
        self.last_override = self.last_override.max(known.id.0);
        self.overrides.insert(known.id, known.clone());
    }

    /// Ends one.
    pub fn override_ended(&mut self, event: &PriceOverrideEnded) {
        if let Some(known) = self.overrides.get_mut(&event.id) {
            known.valid_until = Some(event.valid_until);
        }
    }

    /// Whether a version applies in some of a time.
    fn is_in_force_within(&self, book: &PriceBook, time: Period) -> bool {
        let versions = self.versions(book.name.as_str());
        let later = versions.iter().map(|known| known.valid_from).filter(|at| *at > book.valid_from);
        let effect = Period::new(book.valid_from, later.min().unwrap_or(Timestamp::MAX));
        let last = versions.iter().rfind(|known| known.valid_from == book.valid_from);
        effect.is_some_and(|effect| effect.intersection(time).is_some())
            && last.is_some_and(|last| std::ptr::eq(last, book))
    }
}

/// A period that is invoiced to a customer is not touched, unless that is wanted.
fn check_invoiced(
    (customer, time): (PartyId, Period),
    retroactive: bool,
    invoiced: impl Iterator<Item = InvoicedPeriod>,
) -> Result<(), PricingRefusal> {
    let mut touched =
        invoiced.filter(|known| known.payer == customer && known.period.intersection(time).is_some());
    match touched.next().filter(|_| !retroactive) {
        None => Ok(()),
        Some(InvoicedPeriod { invoice, period, .. }) => {
            let (valid_from, more) = (time.start, touched.count());
            Err(PricingRefusal::Retroactive { valid_from, invoice, period, more })
        }
    }
}
