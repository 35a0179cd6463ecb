//! Prices of single customers: what was set and ended, and what of it a run knows.

use std::ops::Bound;

use slapledger_core::domain::id::{PartyId, PriceBookName, Sequence};
use slapledger_core::domain::invoice::InvoiceLine;
use slapledger_core::domain::pricing::{
    BaseFeeTime, Model, OverrideId, PriceOverride, PriceOverrideEnded, PriceOverrideSet, Rate, Trial, When,
};

use crate::known_override::KnownOverride;
use crate::view::Billing;

impl Billing {
    pub(crate) fn override_set(&mut self, event: &PriceOverrideSet, sequence: Sequence) {
        let set = event.price_override.clone();
        self.trials_by_quantity |= matches!(set.rate.trial, Some(Trial::Quantity(_)));
        let known = KnownOverride { set, at: event.at, sequence, ends: Vec::new() };
        self.overrides_by_customer.entry(known.set.customer).or_default().push(known.set.id);
        self.overrides.insert(known.set.id, known);
    }

    pub(crate) fn override_ended(&mut self, event: &PriceOverrideEnded, sequence: Sequence) {
        if let Some(known) = self.overrides.get_mut(&event.id) {
            known.ends.push((event.valid_until, sequence));
        }
    }

    /// The prices of a customer that take the place of rates of a book, as they were known at an event; the oldest first.
    pub(crate) fn overrides_for(
        &self,
        book: &PriceBookName,
        customer: PartyId,
        as_of: Sequence,
    ) -> Vec<PriceOverride> {
        let of_customer = self.overrides_by_customer.get(&customer).into_iter().flatten();
        let of_customer = of_customer.filter_map(|id| self.overrides.get(id));
        let of_customer = of_customer.filter(|known| known.set.price_book == *book);
        of_customer.filter_map(|known| known.as_of(as_of)).collect()
    }

    /// Overrides of a book after one, the oldest first.
    pub fn overrides_of(
        &self,
        book: &str,
        seen: impl Fn(PartyId) -> bool,
        after: Option<OverrideId>,
    ) -> impl Iterator<Item = &KnownOverride> {
        let later = self.overrides.range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        let wanted =
            move |known: &&KnownOverride| known.set.price_book.as_str() == book && seen(known.set.customer);
        later.map(|(_, known)| known).filter(wanted)
    }

    /// An override, if it was set.
    pub fn price_override(&self, id: OverrideId) -> Option<&KnownOverride> {
        self.overrides.get(&id)
    }

    /// The customers who owe a base fee of a book by a price of their own, also without any instance.
    pub(crate) fn always_owed_by(&self, book: &PriceBookName) -> impl Iterator<Item = PartyId> {
        let of_book = self.overrides.values().filter(move |known| known.set.price_book == *book);
        let always = of_book
            .filter(|known| matches!(known.set.rate.model, Model::BaseFee { owed: BaseFeeTime::Always, .. }));
        always.map(|known| known.set.customer)
    }

    /// The rate that priced a line.
    pub(crate) fn rate_of(&self, line: &InvoiceLine) -> Option<&Rate> {
        if let Some(id) = line.price_override {
            return self.overrides.get(&id).map(|known| &*known.set.rate);
        }
        let priced = line.price_book.as_ref()?;
        let nth = |n: u32| usize::try_from(n).ok()?.checked_sub(1);
        self.books.versions(priced.name.as_str()).get(nth(priced.version)?)?.rates.get(nth(line.rate)?)
    }

    /// Whether a line is of a fee that is charged in advance.
    pub(crate) fn is_in_advance(&self, line: &InvoiceLine) -> bool {
        let rate = self.rate_of(line);
        matches!(rate.map(|rate| &rate.model), Some(Model::Recurring { when: When::Advance, .. }))
    }
}
