//! The discounts of customers: who has which, since when, until when, and on how many more invoices.

use slapledger_core::domain::id::{PartyId, PriceBookName, Sequence};
use slapledger_core::domain::pricing::{Model, OverrideId};
use slapledger_core::domain::time::Timestamp;
use slapledger_projections::Page;

use crate::rating::Prices;
use crate::view::Billing;

/// A discount that a customer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerDiscount {
    /// Who.
    pub customer: PartyId,
    /// The price book.
    pub price_book: PriceBookName,
    /// Its version.
    pub version: u32,
    /// Which of its rates, from 1; none, if it is a price of the customer.
    pub rate: Option<u32>,
    /// The price of the customer that it is.
    pub price_override: Option<OverrideId>,
    /// The name of the discount; empty, if it has none.
    pub item: Box<str>,
    /// The code that was redeemed for it, if it needs one.
    pub code: Option<Box<str>>,
    /// When the code was redeemed, or the first instance was allocated.
    pub since: Option<Timestamp>,
    /// When it ends, if that is known.
    pub until: Option<Timestamp>,
    /// On how many more invoices it is.
    pub invoices_left: Option<u32>,
}

/// A place in the list of discounts: customer, and how many of theirs come before.
pub type DiscountPlace = (PartyId, u32);

impl Billing {
    /// When a customer redeemed a code, and the event that says so.
    pub fn redemption(&self, customer: PartyId, code: &str) -> Option<(Timestamp, Sequence)> {
        self.redeemed.get(&customer)?.get(code).copied()
    }

    /// The discounts of customers after a place, by the versions that apply at an instant; those that are over are left
    /// out.
    pub fn discounts(
        &self,
        (at, as_of): (Timestamp, Sequence),
        seen: impl Fn(PartyId) -> bool,
        after: Option<DiscountPlace>,
        limit: usize,
    ) -> Page<CustomerDiscount, DiscountPlace> {
        let customers = self.payers.keys().copied().filter(|customer| seen(*customer));
        let customers = customers.filter(|customer| after.is_none_or(|(after, _)| *customer >= after));
        let discounts = customers.flat_map(|customer| {
            let of_customer = self.discounts_of(customer, at, as_of).into_iter();
            (1_u32..).zip(of_customer).map(move |(n, discount)| ((customer, n), discount))
        });
        let mut rest = discounts.filter(|(place, _)| after.is_none_or(|after| *place > after));
        let page = Page::take(&mut rest, limit, |(place, _)| *place);
        page.map(|(_, discount)| discount)
    }

    fn discounts_of(&self, customer: PartyId, at: Timestamp, as_of: Sequence) -> Vec<CustomerDiscount> {
        let mut found = Vec::new();
        for name in self.books.names() {
            let versions = self.books.versions(name.as_str());
            let overrides = self.overrides_for(name, customer, as_of);
            let own = overrides.iter().map(|own| &*own.rate);
            if !versions
                .iter()
                .flat_map(|book| &book.rates)
                .chain(own)
                .any(|rate| matches!(rate.model, Model::Discount { .. }))
            {
                continue;
            }
            let prices = Prices::with(name, versions, &overrides);
            let Some(version) = prices.at(at) else { continue };
            let invoices = self.invoices_with_discounts(&prices, None, customer, as_of);
            for by in version.of_customer(customer) {
                let Model::Discount { item, code, limits, .. } = &by.rate.model else { continue };
                let since = match code {
                    Some(code) => match self.redemption(customer, code) {
                        Some((at, _)) => Some(at),
                        None => continue,
                    },
                    None => self.first_allocation(customer),
                };
                let calendar = self.calendar_of(customer);
                let months_end = limits.months.zip(since).zip(calendar).map(|((months, since), calendar)| {
                    let mut month = calendar.month_of(since);
                    (0..months).for_each(|_| month = month.next());
                    calendar.start_of(month.first())
                });
                let until = [months_end, limits.until].into_iter().flatten().min();
                let used = invoices.as_ref().and_then(|known| known.get(item)).copied().unwrap_or(0);
                let invoices_left = limits.invoices.map(|most| u32::from(most).saturating_sub(used));
                if until.is_some_and(|until| until <= at) || invoices_left == Some(0) {
                    continue;
                }
                found.push(CustomerDiscount {
                    customer,
                    price_book: name.clone(),
                    version: by.version.number,
                    rate: by.price_override.is_none().then_some(by.number),
                    price_override: by.price_override,
                    item: item.clone(),
                    code: code.clone(),
                    since,
                    until,
                    invoices_left,
                });
            }
        }
        found
    }

    fn first_allocation(&self, customer: PartyId) -> Option<Timestamp> {
        let instances = self.histories.of(customer).into_iter();
        instances.filter_map(|(_, history)| Some(history.allocation.as_ref()?.since())).min()
    }
}
