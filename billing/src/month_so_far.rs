//! What of the current month is on no document of a customer yet, rated as it is known now.

use std::collections::BTreeMap;

use slapledger_core::domain::id::{PartyId, PriceBookName, RunId, Sequence};
use slapledger_core::domain::invoice::{Bound, RunPeriod, Tax, base_and_tax};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::pricing::PriceTax;
use slapledger_core::domain::time::{Period, Timestamp};

use crate::doubt::ImplausibleUsage;
use crate::drafts::{Desk, Question};
use crate::rating::{Prices, RatedLine};
use crate::view::BillingView;

/// The charges of the current month that are on no document.
pub(crate) struct MonthSoFar {
    /// From the end of the last document about the month, or else from its start, until now.
    pub(crate) period: Period,
    /// Fees in arrears, usage, and what is about all of them.
    pub(crate) lines: Vec<RatedLine>,
    /// What those cost that are charged in advance.
    pub(crate) in_advance: Vec<RatedLine>,
    pub(crate) currency: Currency,
    price_tax: PriceTax,
}

impl MonthSoFar {
    /// The base of some lines, and the tax on it; none, if that is too much for an amount.
    pub(crate) fn base_and_tax<'l>(
        &self,
        lines: impl Iterator<Item = &'l RatedLine>,
    ) -> Option<(Amount, Amount)> {
        let mut by_tax: BTreeMap<Tax, Vec<Amount>> = BTreeMap::new();
        lines.for_each(|rated| by_tax.entry(rated.line.tax).or_default().push(rated.line.amount));
        let nothing = Amount::zero(self.currency);
        by_tax.into_iter().try_fold((nothing, nothing), |(base, tax), (of, amounts)| {
            let sum = Amount::sum(self.currency, amounts)?;
            let (more_base, more_tax) = base_and_tax(self.price_tax, of, sum, self.currency)?;
            Some((base.checked_add(more_base)?, tax.checked_add(more_tax)?))
        })
    }
}

impl BillingView {
    /// What of the current month is on no document of a customer; none, if there are no prices or nothing is left of it.
    pub(crate) fn month_so_far(
        &self,
        (seller, payer): (PartyId, PartyId),
        price_book: &PriceBookName,
        (as_of, now): (Sequence, Timestamp),
    ) -> Option<MonthSoFar> {
        let versions = self.billing.books.versions(price_book.as_str());
        let overrides = self.billing.overrides_for(price_book, payer, as_of);
        let prices = Prices::with(price_book, versions, &overrides);
        let currency = versions.first()?.currency;
        let calendar = self.billing.calendar_of(payer)?;
        let month = calendar.start_of(calendar.month_of(now).first());
        let question = Question {
            // No run has this number.
            run: RunId(0),
            seller,
            period: RunPeriod { start: Bound::Instant(month), stop: Bound::Instant(now) },
            price_book,
            versions,
            cut_off: as_of,
            at: now,
            payers: &[],
        };
        let implausible = ImplausibleUsage::default();
        let desk = Desk {
            billing: &self.billing,
            question,
            prices: &prices,
            currency,
            metering: &self.metering,
            implausible: &implausible,
        };
        let open = desk.open_parts(payer, Period::new(month, now)?).ok()?;
        let period = open.last().copied().filter(|part| part.stop == now)?;
        let instances = self.billing.histories.of(payer);
        let discounted = desk.discounted(payer);
        let subject = desk.subject((payer, calendar), period, discounted.as_ref());
        let own = subject.rate(&instances, &mut Vec::new());
        let in_advance = own.in_advance.into_values().flatten().collect();
        Some(MonthSoFar { period, lines: own.lines, in_advance, currency, price_tax: prices.price_tax() })
    }
}
