//! Codes of discounts: which customer redeemed which code, and when.
//!
//! A code is one of a price book (`pricing`); what the discount takes off is for the rating.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use serde::Serialize;

use super::Outcome;
use super::event::{Event, Stream};
use super::id::{InvalidText, PartyId, check_text};
use super::party::Parties;
use super::pricing::{PriceBook, PriceBooks, Rate};
use super::time::Timestamp;

/// A customer has the discounts of a code.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct DiscountCodeRedeemed {
    /// Who.
    pub customer: PartyId,
    /// Which code.
    pub code: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// Give a customer the discounts of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedeemDiscountCode {
    /// Who.
    pub customer: PartyId,
    /// Which code.
    pub code: Box<str>,
}

/// The longest code, in bytes.
pub const MAX_CODE: usize = 100;

/// Why a code is not redeemed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscountRefusal {
    /// The customer is no party.
    #[error("there is no party {party}")]
    UnknownParty {
        /// Who.
        party: PartyId,
    },
    /// The code is empty, too long, or has control characters.
    #[error("code {0}")]
    BadCode(InvalidText),
    /// No price book that applies now has a discount of the code for the customer.
    #[error("no discount that applies now has the code {code:?} for {customer}: check its spelling")]
    UnknownCode {
        /// Which code.
        code: Box<str>,
        /// For whom.
        customer: PartyId,
    },
}

/// The codes that customers redeemed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct DiscountCodes {
    redeemed: BTreeMap<PartyId, BTreeMap<Box<str>, Timestamp>>,
}

impl DiscountCodes {
    /// When a customer redeemed a code, if they did.
    pub fn redeemed(&self, customer: PartyId, code: &str) -> Option<Timestamp> {
        self.redeemed.get(&customer)?.get(code).copied()
    }

    pub(crate) fn redeem(
        &self,
        (parties, books): (&Parties, &PriceBooks),
        command: &RedeemDiscountCode,
        now: Timestamp,
    ) -> Result<Outcome<()>, DiscountRefusal> {
        let RedeemDiscountCode { customer, code } = command.clone();
        parties.get(customer).ok_or(DiscountRefusal::UnknownParty { party: customer })?;
        check_text(&code, MAX_CODE).map_err(DiscountRefusal::BadCode)?;
        if self.redeemed(customer, &code).is_some() {
            return Ok(Outcome::unchanged(()));
        }
        let mut own = books.overrides_at(customer, now);
        if !books.in_force(now).any(|book| has_code(book, &code, customer))
            && !own.any(|known| is_of_code(&known.rate, &code))
        {
            return Err(DiscountRefusal::UnknownCode { code, customer });
        }
        let event = DiscountCodeRedeemed { customer, code, at: now };
        Ok(Outcome::of((), [(Stream::Party(customer), Event::DiscountCodeRedeemed(event))]))
    }

    pub(crate) fn taken_over(&mut self, event: &DiscountCodeRedeemed) {
        self.redeemed.entry(event.customer).or_default().insert(event.code.clone(), event.at);
    }
}

/// Whether a book has a discount of a code for a customer.
fn has_code(book: &PriceBook, code: &str, customer: PartyId) -> bool {
    let for_them = |rate: &Rate| rate.matching.customer.is_none_or(|named| named == customer);
    book.rates.iter().any(|rate| is_of_code(rate, code) && for_them(rate))
}

fn is_of_code(rate: &Rate, code: &str) -> bool {
    rate.code() == Some(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::given::{Given, register_party};
    use crate::domain::id::PriceBookName;
    use crate::domain::money::{Currency, Rounding};
    use crate::domain::pricing::{
        DiscountLimits, InvoiceTerms, Match, Model, Of, OnChange, PublishPriceBook, Reduction,
    };

    fn book(code: &str, customer: Option<PartyId>, valid_from: Timestamp) -> PublishPriceBook {
        let model = Model::Discount {
            item: code.into(),
            reduction: Reduction::Percent("10".parse().expect("a quantity")),
            of: Of::All,
            order: 0,
            code: Some(code.into()),
            limits: DiscountLimits::default(),
        };
        let rate = Rate { model, trial: None, matching: Match { customer, ..Match::default() } };
        let book = PriceBook {
            name: PriceBookName::new("standard").expect("a name"),
            currency: Currency::EUR,
            valid_from,
            rounding: Rounding::HalfUp,
            on_change: OnChange::Continue,
            terms: InvoiceTerms::default(),
            resources: Vec::new(),
            rates: vec![rate],
        };
        PublishPriceBook { book, retroactive: false }
    }

    fn redeem(customer: u64, code: &str) -> RedeemDiscountCode {
        RedeemDiscountCode { customer: PartyId(customer), code: code.into() }
    }

    #[test]
    fn a_code_is_redeemed_once() {
        let given = Given::nothing().done(register_party()).done(book("WELCOME", None, Timestamp::MIN));
        let at = given.now;
        let event = DiscountCodeRedeemed { customer: PartyId(1), code: "WELCOME".into(), at };
        given
            .when(redeem(1, "WELCOME"))
            .then([(Stream::Party(PartyId(1)), Event::DiscountCodeRedeemed(event))])
            .and()
            .when(redeem(1, "WELCOME"))
            .unchanged();
    }

    #[test]
    fn what_is_no_code_of_theirs_is_refused() {
        let given =
            Given::nothing().done(register_party()).done(book("WELCOME", Some(PartyId(2)), Timestamp::MIN));
        let unknown = |code: &str| DiscountRefusal::UnknownCode { code: code.into(), customer: PartyId(1) };
        given.when(redeem(1, "WELCOME")).refused(unknown("WELCOME"));
        let given = Given::nothing().done(register_party()).done(book("LATER", None, Timestamp::MAX));
        given.when(redeem(1, "LATER")).refused(unknown("LATER"));
        let given = Given::nothing().done(register_party()).done(book("WELCOME", None, Timestamp::MIN));
        given.when(redeem(1, "welcome")).refused(unknown("welcome"));
        let given = Given::nothing().done(register_party());
        given.when(redeem(9, "A")).refused(DiscountRefusal::UnknownParty { party: PartyId(9) });
        let given = Given::nothing().done(register_party());
        given.when(redeem(1, "")).refused(DiscountRefusal::BadCode(InvalidText::Empty));
    }
}
