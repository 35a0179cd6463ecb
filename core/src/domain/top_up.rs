//! Top-ups of prepaid credit: how low a balance may fall before another payment is requested, and how much.
//!
//! A request is made in the decision that lowers the balance, once, until the balance is at the threshold again.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use serde::Serialize;

use super::Outcome;
use super::credit::{CreditOwner, CreditRefusal, Credits};
use super::event::{Event, Stream};
use super::id::PartyId;
use super::money::{Amount, Currency};
use super::party::Parties;
use super::time::Timestamp;

/// A top-up is requested when a balance falls below this.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct TopUpSet {
    /// With whom.
    pub seller: PartyId,
    /// Whose credit.
    pub customer: PartyId,
    /// In what.
    pub currency: Currency,
    /// Below this; never, if it is zero.
    pub threshold: Amount,
    /// How much is requested.
    pub amount: Amount,
    /// When somebody set it.
    pub at: Timestamp,
}

/// A balance fell below its threshold.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct TopUpRequested {
    /// With whom.
    pub seller: PartyId,
    /// Whose credit.
    pub customer: PartyId,
    /// In what.
    pub currency: Currency,
    /// What is left.
    pub balance: Amount,
    /// How much is requested.
    pub amount: Amount,
    /// When.
    pub at: Timestamp,
}

/// Say when a top-up is requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTopUp {
    /// With whom.
    pub seller: PartyId,
    /// Whose credit.
    pub customer: PartyId,
    /// In what.
    pub currency: Currency,
    /// Below this; never, if it is zero.
    pub threshold: Amount,
    /// How much.
    pub amount: Amount,
}

/// When a top-up is requested, and whether it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct TopUp {
    /// Below this; never, if it is zero.
    pub threshold: Amount,
    /// How much.
    pub amount: Amount,
    /// Whether it was requested, and the balance is still below.
    pub requested: bool,
}

/// All top-ups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct TopUps(BTreeMap<CreditOwner, TopUp>);

impl TopUps {
    /// That of a balance, if there is one.
    pub fn get(&self, owner: CreditOwner) -> Option<&TopUp> {
        self.0.get(&owner)
    }

    /// Those of a customer.
    pub fn of(&self, customer: PartyId) -> impl Iterator<Item = (CreditOwner, &TopUp)> {
        self.0.iter().filter(move |((_, of, _), _)| *of == customer).map(|(owner, top_up)| (*owner, top_up))
    }

    /// The request for a balance that has fallen to something.
    pub(super) fn request(
        &self,
        owner: CreditOwner,
        balance: Amount,
        at: Timestamp,
    ) -> Option<(Stream, Event)> {
        let top_up = self.0.get(&owner).filter(|top_up| !top_up.requested)?;
        (balance.minor() < top_up.threshold.minor()).then(|| requested(owner, top_up.amount, balance, at))
    }

    pub(super) fn set(&mut self, event: &TopUpSet) {
        let TopUpSet { seller, customer, currency, threshold, amount, .. } = *event;
        self.0.insert((seller, customer, currency), TopUp { threshold, amount, requested: false });
    }

    pub(super) fn requested(&mut self, event: &TopUpRequested) {
        let TopUpRequested { seller, customer, currency, .. } = *event;
        if let Some(top_up) = self.0.get_mut(&(seller, customer, currency)) {
            top_up.requested = true;
        }
    }

    /// A balance is something now: at its threshold, another request may be made.
    pub(super) fn balance_is(&mut self, owner: CreditOwner, balance: impl FnOnce() -> Option<Amount>) {
        if let Some(top_up) = self.0.get_mut(&owner).filter(|top_up| top_up.requested)
            && balance().is_some_and(|balance| balance.minor() >= top_up.threshold.minor())
        {
            top_up.requested = false;
        }
    }
}

fn requested(
    (seller, customer, currency): CreditOwner,
    amount: Amount,
    balance: Amount,
    at: Timestamp,
) -> (Stream, Event) {
    let event = TopUpRequested { seller, customer, currency, balance, amount, at };
    (Stream::Party(customer), Event::TopUpRequested(event))
}

impl SetTopUp {
    pub(crate) fn decide(
        &self,
        parties: &Parties,
        credits: &Credits,
        now: Timestamp,
    ) -> Result<Outcome<()>, CreditRefusal> {
        let Self { seller, customer, currency, threshold, amount } = *self;
        for party in [seller, customer] {
            parties.get(party).ok_or(CreditRefusal::UnknownParty { party })?;
        }
        if threshold.minor() < 0 || !threshold.is_in(currency) {
            return Err(CreditRefusal::BadThreshold { currency });
        }
        if amount.minor() <= 0 || !amount.is_in(currency) {
            return Err(CreditRefusal::BadAmount { currency });
        }
        let owner = (seller, customer, currency);
        let known = credits.top_ups().get(owner);
        if known.is_some_and(|known| (known.threshold, known.amount) == (threshold, amount)) {
            return Ok(Outcome::unchanged(()));
        }
        let event = TopUpSet { seller, customer, currency, threshold, amount, at: now };
        let balance = credits.balance(owner, now);
        let below = (balance.minor() < threshold.minor()).then(|| requested(owner, amount, balance, now));
        let set = (Stream::Party(customer), Event::TopUpSet(event));
        Ok(Outcome::of((), [set].into_iter().chain(below)))
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::credit::{CreditKind, ExpireCredits, GrantCredit, PRIORITY, WithdrawCredit};
    use crate::domain::given::{Given, register_party};
    use crate::domain::id::PartyId;

    use super::*;

    fn euros(cents: i128) -> Amount {
        Amount::from_minor(cents, Currency::EUR)
    }

    fn set(threshold: i128, amount: i128) -> SetTopUp {
        let (seller, customer, currency) = (PartyId(1), PartyId(2), Currency::EUR);
        SetTopUp { seller, customer, currency, threshold: euros(threshold), amount: euros(amount) }
    }

    fn grant(cents: i128, expires_at: Option<Timestamp>) -> GrantCredit {
        GrantCredit {
            seller: PartyId(1),
            customer: PartyId(2),
            currency: Currency::EUR,
            amount: euros(cents),
            description: "paid in advance".into(),
            kind: CreditKind::Paid,
            priority: PRIORITY,
            expires_at,
        }
    }

    fn withdraw(credit: u64) -> WithdrawCredit {
        WithdrawCredit { credit: crate::domain::credit::CreditId(credit), reason: "paid back".into() }
    }

    /// How many top-ups were requested, and for which balances.
    fn requests(given: &Given) -> Vec<i128> {
        let requests = given.log.iter().filter_map(|(_, event)| match event {
            Event::TopUpRequested(event) => Some(event.balance.minor()),
            _ => None,
        });
        requests.collect()
    }

    #[test]
    fn a_top_up_is_requested_once_until_the_balance_is_back() {
        let given = Given::nothing().done(register_party()).done(register_party());
        let given =
            given.done(grant(500, None)).done(grant(300, None)).done(grant(200, None)).done(set(600, 1000));
        assert_eq!(requests(&given), Vec::<i128>::new());
        let given = given.done(withdraw(1));
        assert_eq!(requests(&given), [500]);
        // It is still below.
        let given = given.done(withdraw(2));
        assert_eq!(requests(&given), [500]);
        // 10.00 more are enough, and then it falls again.
        let given = given.done(grant(1000, None)).done(withdraw(4));
        assert_eq!(requests(&given), [500, 200]);
        let given = given.when(set(600, 1000)).unchanged().and();
        // Somebody who says something else is told again; at zero nobody is.
        let given = given.done(set(700, 1000));
        assert_eq!(requests(&given), [500, 200, 200]);
        let given = given.done(set(0, 1000)).done(withdraw(3));
        assert_eq!(requests(&given), [500, 200, 200]);
    }

    #[test]
    fn what_expires_lowers_a_balance() {
        let given = Given::nothing().done(register_party()).done(register_party());
        let expiry = given.now.plus_micros(1_000_000);
        let given =
            given.done(grant(500, Some(expiry))).done(grant(300, Some(expiry))).done(grant(100, None));
        let mut given = given.done(set(400, 1000));
        given.now = expiry;
        let given = given.done(ExpireCredits { limit: 10 });
        assert_eq!(requests(&given), [100]);
    }

    #[test]
    fn what_is_no_top_up() {
        let given = Given::nothing().done(register_party()).done(register_party());
        let stranger = SetTopUp { customer: PartyId(9), ..set(1, 1) };
        let given = given.when(stranger).refused(CreditRefusal::UnknownParty { party: PartyId(9) });
        let given = given.when(set(-1, 1)).refused(CreditRefusal::BadThreshold { currency: Currency::EUR });
        given.when(set(1, 0)).refused(CreditRefusal::BadAmount { currency: Currency::EUR });
    }
}
