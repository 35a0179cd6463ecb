//! Prepaid credit: what a customer paid before, used up by the invoices of one seller in one currency.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::Outcome;
use super::event::{Event, Stream};
use super::id::{InvalidText, PartyId, check_text, number_id};
use super::invoice::{CreditUsed, DocumentKind, Invoice};
use super::money::{Amount, Currency};
use super::party::Parties;
use super::time::Timestamp;
use super::top_up::{TopUpRequested, TopUpSet, TopUps};

number_id!(
    /// A prepaid credit.
    CreditId, "CREDIT-", "CREDIT-1"
);

/// Where a credit comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CreditKind {
    /// The customer paid for it.
    #[default]
    Paid,
    /// The seller gave it.
    Promotional,
}

/// The priority of a credit, if none is stated: in the middle.
pub const PRIORITY: u8 = 50;
/// The lowest priority: it pays last.
pub const MAX_PRIORITY: u8 = 100;

/// A customer has prepaid credit.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct CreditGranted {
    /// Which.
    pub credit: CreditId,
    /// With whom.
    pub seller: PartyId,
    /// Whose.
    pub customer: PartyId,
    /// In what.
    pub currency: Currency,
    /// How much; above zero.
    pub amount: Amount,
    /// For people.
    pub description: Box<str>,
    /// Where it comes from.
    pub kind: CreditKind,
    /// Lower ones pay first.
    pub priority: u8,
    /// From when on it pays nothing, if it expires.
    pub expires_at: Option<Timestamp>,
    /// When.
    pub at: Timestamp,
}

/// What was left of a credit when it expired.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct CreditExpired {
    /// Which.
    pub credit: CreditId,
    /// What was left of it.
    pub amount: Amount,
    /// When.
    pub at: Timestamp,
}

/// What was left of a credit is not there any more.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct CreditWithdrawn {
    /// Which.
    pub credit: CreditId,
    /// What was left of it.
    pub amount: Amount,
    /// Why, for people.
    pub reason: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// Give a customer prepaid credit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantCredit {
    /// With whom.
    pub seller: PartyId,
    /// Whose.
    pub customer: PartyId,
    /// In what.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// For people.
    pub description: Box<str>,
    /// Where it comes from.
    pub kind: CreditKind,
    /// Lower ones pay first.
    pub priority: u8,
    /// From when on it pays nothing, if it expires.
    pub expires_at: Option<Timestamp>,
}

/// Record what is left of credits that have expired: of some, if there are many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpireCredits {
    /// The most credits.
    pub limit: usize,
}

/// The most credits that expire with one command.
pub const MAX_EXPIRED: usize = 1000;

/// Take back what is left of a credit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawCredit {
    /// Which.
    pub credit: CreditId,
    /// Why, for people.
    pub reason: Box<str>,
}

/// The longest description or reason, in bytes.
pub const MAX_TEXT: usize = 500;

/// Why a command about prepaid credit is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreditRefusal {
    /// The seller or customer is no party.
    #[error("there is no party {party}")]
    UnknownParty {
        /// Who.
        party: PartyId,
    },
    /// There is no such credit.
    #[error("there is no credit {credit}")]
    Unknown {
        /// Which.
        credit: CreditId,
    },
    /// It is nothing, less than nothing, or not in minor units of the currency.
    #[error("amount must be above zero, in minor units of {currency}")]
    BadAmount {
        /// In what.
        currency: Currency,
    },
    /// The threshold is less than nothing, or not in minor units of the currency.
    #[error("threshold must not be below zero, in minor units of {currency}; zero requests nothing")]
    BadThreshold {
        /// In what.
        currency: Currency,
    },
    /// The priority is beyond the lowest.
    #[error("priority must be from 0 to {MAX_PRIORITY}; lower ones pay first")]
    BadPriority,
    /// It would have expired already.
    #[error("expires_at must be later than now")]
    ExpiresInThePast,
    /// The description is empty, too long, or has control characters.
    #[error("description {0}")]
    BadDescription(InvalidText),
    /// The reason is empty, too long, or has control characters.
    #[error("reason {0}")]
    BadReason(InvalidText),
}

/// A prepaid credit and what is left of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Credit {
    /// With whom.
    pub seller: PartyId,
    /// Whose.
    pub customer: PartyId,
    /// In what.
    pub currency: Currency,
    /// What is left.
    pub left: Amount,
    /// Lower ones pay first.
    pub priority: u8,
    /// From when on it pays nothing, if it expires.
    pub expires_at: Option<Timestamp>,
}

impl Credit {
    /// Whose it is.
    pub fn owner(&self) -> CreditOwner {
        (self.seller, self.customer, self.currency)
    }

    /// Its place among the credits of a customer: by priority, then by expiry, then by age.
    fn place(&self, credit: CreditId) -> OpenCredit {
        (self.owner(), self.priority, self.expires_at.unwrap_or(Timestamp::MAX), credit)
    }
}

/// With whom, whose, and in what credit is.
pub type CreditOwner = (PartyId, PartyId, Currency);

type OpenCredit = (CreditOwner, u8, Timestamp, CreditId);

/// All prepaid credits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Credits {
    by_id: BTreeMap<CreditId, Credit>,
    /// Those of which something is left, by seller, customer and currency, in the order in which they pay.
    open: BTreeSet<OpenCredit>,
    /// Those of them that expire, by when.
    expiring: BTreeSet<(Timestamp, CreditId)>,
    /// When more is requested.
    top_ups: TopUps,
}

impl Credits {
    /// The credit, if there is one.
    pub fn get(&self, credit: CreditId) -> Option<&Credit> {
        self.by_id.get(&credit)
    }

    /// When more is requested, and whether it is.
    pub fn top_ups(&self) -> &TopUps {
        &self.top_ups
    }

    /// What a customer has left with a seller at an instant.
    pub fn balance(&self, owner: CreditOwner, at: Timestamp) -> Amount {
        let open = self.open_to(owner).map(|(_, known)| known);
        let left = open.filter(|known| known.expires_at.is_none_or(|expiry| expiry > at));
        let nothing = Amount::zero(owner.2);
        left.fold(nothing, |sum, known| sum.checked_add(known.left).unwrap_or(sum))
    }

    /// The request for more, if a balance is too low when so much of it is gone.
    pub(crate) fn top_up_after(
        &self,
        owner: CreditOwner,
        gone: Amount,
        at: Timestamp,
    ) -> Option<(Stream, Event)> {
        self.top_ups.get(owner)?;
        let balance = self.balance(owner, at).checked_sub(gone)?;
        self.top_ups.request(owner, balance, at)
    }

    /// When the first credit expires of which something is left.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.expiring.first().map(|(at, _)| *at)
    }

    /// The credits of which something is left for a customer with a seller, in the order in which they pay.
    pub fn open_to(
        &self,
        (seller, customer, currency): (PartyId, PartyId, Currency),
    ) -> impl Iterator<Item = (CreditId, &Credit)> {
        let owner = (seller, customer, currency);
        let from = (owner, u8::MIN, Timestamp::MIN, CreditId(0));
        let open = self.open.range(from..).take_while(move |(of, ..)| *of == owner);
        open.filter_map(|(.., credit)| Some((*credit, self.by_id.get(credit)?)))
    }

    /// What of a total is paid with the credits a customer has left with a seller at an instant: by priority, then by
    /// expiry, then by age. Nothing, if the total is not above zero.
    pub fn pay(
        &self,
        (seller, customer, currency): (PartyId, PartyId, Currency),
        total: Amount,
        at: Timestamp,
    ) -> Vec<CreditUsed> {
        let mut due = total;
        let mut used = Vec::new();
        let open = self.open_to((seller, customer, currency));
        for (credit, known) in open.filter(|(_, known)| known.expires_at.is_none_or(|expiry| expiry > at)) {
            if due.minor() <= 0 {
                break;
            }
            let amount = if known.left.minor() < due.minor() { known.left } else { due };
            let Some(rest) = due.checked_sub(amount) else { break };
            due = rest;
            used.push(CreditUsed { credit, amount });
        }
        used
    }

    pub(crate) fn grant(
        &self,
        parties: &Parties,
        command: &GrantCredit,
        now: Timestamp,
    ) -> Result<Outcome<CreditId>, CreditRefusal> {
        let GrantCredit { seller, customer, currency, amount, description, kind, priority, expires_at } =
            command.clone();
        for party in [seller, customer] {
            parties.get(party).ok_or(CreditRefusal::UnknownParty { party })?;
        }
        if amount.minor() <= 0 || !amount.is_in(currency) {
            return Err(CreditRefusal::BadAmount { currency });
        }
        check_text(&description, MAX_TEXT).map_err(CreditRefusal::BadDescription)?;
        let credit = CreditId(self.by_id.last_key_value().map_or(1, |(last, _)| last.0 + 1));
        if priority > MAX_PRIORITY {
            return Err(CreditRefusal::BadPriority);
        }
        if expires_at.is_some_and(|expiry| expiry <= now) {
            return Err(CreditRefusal::ExpiresInThePast);
        }
        let event = CreditGranted {
            credit,
            seller,
            customer,
            currency,
            amount,
            description,
            kind,
            priority,
            expires_at,
            at: now,
        };
        Ok(Outcome::of(credit, [(Stream::Party(customer), Event::CreditGranted(event))]))
    }

    pub(crate) fn withdraw(
        &self,
        command: &WithdrawCredit,
        now: Timestamp,
    ) -> Result<Outcome<()>, CreditRefusal> {
        let WithdrawCredit { credit, reason } = command.clone();
        let known = self.by_id.get(&credit).ok_or(CreditRefusal::Unknown { credit })?;
        check_text(&reason, MAX_TEXT).map_err(CreditRefusal::BadReason)?;
        if known.left.minor() == 0 {
            return Ok(Outcome::unchanged(()));
        }
        let event = CreditWithdrawn { credit, amount: known.left, reason, at: now };
        // What has expired is no part of the balance any more.
        let has_expired = known.expires_at.is_some_and(|expiry| expiry <= now);
        let gone = if has_expired { Amount::zero(known.currency) } else { known.left };
        let top_up = self.top_up_after(known.owner(), gone, now);
        let withdrawn = (Stream::Party(known.customer), Event::CreditWithdrawn(event));
        Ok(Outcome::of((), [withdrawn].into_iter().chain(top_up)))
    }

    /// What is left of credits that have expired is gone.
    pub(crate) fn expire(&self, command: &ExpireCredits, now: Timestamp) -> Outcome<()> {
        let due = self.expiring.iter().take_while(|(at, _)| *at <= now).take(command.limit.min(MAX_EXPIRED));
        let due: Vec<(CreditId, &Credit)> =
            due.filter_map(|(_, credit)| Some((*credit, self.by_id.get(credit)?))).collect();
        let owners: BTreeSet<CreditOwner> = due.iter().map(|(_, known)| known.owner()).collect();
        // They are no part of the balance any more.
        let top_ups =
            owners.into_iter().filter_map(|owner| self.top_up_after(owner, Amount::zero(owner.2), now));
        let events = due.into_iter().map(|(credit, known)| {
            let event = CreditExpired { credit, amount: known.left, at: now };
            (Stream::Party(known.customer), Event::CreditExpired(event))
        });
        Outcome::of((), events.chain(top_ups))
    }

    /// Takes a credit over: the fold that decisions and billing share.
    pub fn granted(&mut self, event: &CreditGranted) {
        let CreditGranted { seller, customer, currency, amount, priority, expires_at, .. } = *event;
        let known = Credit { seller, customer, currency, left: amount, priority, expires_at };
        self.by_id.insert(event.credit, known);
        self.leave(event.credit, Some);
    }

    /// Takes over when more is requested.
    pub fn top_up_set(&mut self, event: &TopUpSet) {
        self.top_ups.set(event);
    }

    /// Takes over that more was requested.
    pub fn top_up_requested(&mut self, event: &TopUpRequested) {
        self.top_ups.requested(event);
    }

    /// Takes over that what was left has expired.
    pub fn expired(&mut self, event: &CreditExpired) {
        self.leave(event.credit, |left| left.checked_sub(event.amount));
    }

    /// Takes over that what was left is gone.
    pub fn withdrawn(&mut self, event: &CreditWithdrawn) {
        self.leave(event.credit, |left| left.checked_sub(event.amount));
    }

    /// Takes a document over: an invoice uses credit up, a credit note gives it back.
    pub fn invoiced(&mut self, invoice: &Invoice) {
        for used in &invoice.prepaid {
            self.leave(used.credit, |left| match invoice.document {
                DocumentKind::Invoice => left.checked_sub(used.amount),
                DocumentKind::CreditNote => left.checked_add(used.amount),
            });
        }
    }

    fn leave(&mut self, credit: CreditId, change: impl FnOnce(Amount) -> Option<Amount>) {
        let Some(known) = self.by_id.get_mut(&credit) else { return };
        known.left = change(known.left).unwrap_or(known.left);
        let (place, expiry) = (known.place(credit), known.expires_at.map(|at| (at, credit)));
        if known.left.minor() > 0 {
            self.open.insert(place);
            self.expiring.extend(expiry);
        } else {
            self.open.remove(&place);
            expiry.map(|expiry| self.expiring.remove(&expiry));
        }
        let Self { top_ups, by_id, open, .. } = self;
        top_ups.balance_is(place.0, || {
            let from = (place.0, u8::MIN, Timestamp::MIN, CreditId(0));
            let theirs = open.range(from..).take_while(|(owner, ..)| *owner == place.0);
            let left = theirs.filter_map(|(.., credit)| by_id.get(credit)).map(|known| known.left);
            Amount::sum(place.0.2, left)
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::Answer;
    use crate::domain::event::{Event, Stream};
    use crate::domain::given::{Given, register_party};
    use crate::domain::id::{InvalidText, PartyId};
    use crate::domain::invoice::{CreditUsed, DocumentKind};
    use crate::domain::money::{Amount, Currency};

    use crate::domain::time::Timestamp;

    use super::{
        CreditExpired, CreditGranted, CreditId, CreditKind, CreditRefusal, CreditWithdrawn, ExpireCredits,
        GrantCredit, MAX_EXPIRED, PRIORITY, WithdrawCredit,
    };

    fn euros(cents: i128) -> Amount {
        Amount::from_minor(cents, Currency::EUR)
    }

    fn grant(cents: i128) -> GrantCredit {
        GrantCredit {
            seller: PartyId(1),
            customer: PartyId(2),
            currency: Currency::EUR,
            amount: euros(cents),
            description: "paid in advance".into(),
            kind: CreditKind::Paid,
            priority: PRIORITY,
            expires_at: None,
        }
    }

    /// One that expires so many seconds after the beginning.
    fn expiring(given: &Given, cents: i128, priority: u8, seconds: i64) -> GrantCredit {
        let expires_at = Some(given.now.plus_micros(seconds * 1_000_000));
        GrantCredit { kind: CreditKind::Promotional, priority, expires_at, ..grant(cents) }
    }

    fn withdraw(credit: u64, reason: &str) -> WithdrawCredit {
        WithdrawCredit { credit: CreditId(credit), reason: reason.into() }
    }

    fn two() -> Given {
        Given::nothing().done(register_party()).done(register_party())
    }

    fn pay(given: &Given, cents: i128) -> Vec<(u64, i128)> {
        pay_at(given, cents, given.now)
    }

    fn pay_at(given: &Given, cents: i128, at: Timestamp) -> Vec<(u64, i128)> {
        let owner = (PartyId(1), PartyId(2), Currency::EUR);
        let used = given.project().credits.pay(owner, euros(cents), at);
        used.iter().map(|used| (used.credit.0, used.amount.minor())).collect()
    }

    #[test]
    fn credit_is_granted_and_withdrawn() {
        let given = two();
        let now = given.now;
        let GrantCredit { seller, customer, currency, amount, description, kind, priority, expires_at } =
            grant(500);
        let credit = CreditId(1);
        let granted = CreditGranted {
            credit,
            seller,
            customer,
            currency,
            amount,
            description,
            kind,
            priority,
            expires_at,
            at: now,
        };
        let withdrawn = CreditWithdrawn { credit, amount, reason: "paid back".into(), at: now };
        given
            .when(grant(500))
            .then([(Stream::Party(PartyId(2)), Event::CreditGranted(granted))])
            .answered(&Answer::Credit(credit))
            .and()
            .when(withdraw(1, "paid back"))
            .then([(Stream::Party(PartyId(2)), Event::CreditWithdrawn(withdrawn))])
            .answered(&Answer::Done)
            .and()
            .when(withdraw(1, "paid back"))
            .unchanged()
            .and()
            .when(grant(1))
            .answered(&Answer::Credit(CreditId(2)));
    }

    #[test]
    fn what_is_no_credit() {
        let stranger = |party| CreditRefusal::UnknownParty { party: PartyId(party) };
        let bad = |currency| CreditRefusal::BadAmount { currency };
        let dinar = "TND".parse().expect("a currency");
        let long = "x".repeat(501).into_boxed_str();
        let rows = [
            (GrantCredit { seller: PartyId(3), customer: PartyId(4), ..grant(0) }, stranger(3)),
            (GrantCredit { customer: PartyId(4), ..grant(0) }, stranger(4)),
            (GrantCredit { description: "".into(), ..grant(0) }, bad(Currency::EUR)),
            (grant(-1), bad(Currency::EUR)),
            (GrantCredit { currency: dinar, ..grant(1) }, bad(dinar)),
            (
                GrantCredit { description: "".into(), ..grant(1) },
                CreditRefusal::BadDescription(InvalidText::Empty),
            ),
            (
                GrantCredit { description: long, ..grant(1) },
                CreditRefusal::BadDescription(InvalidText::TooLong { max: 500 }),
            ),
            (GrantCredit { priority: 101, ..grant(1) }, CreditRefusal::BadPriority),
            (expiring(&two(), 1, 0, 0), CreditRefusal::ExpiresInThePast),
        ];
        for (command, refusal) in rows {
            two().when(command).refused(refusal);
        }
        two()
            .when(withdraw(1, ""))
            .refused(CreditRefusal::Unknown { credit: CreditId(1) })
            .done(grant(1))
            .when(withdraw(1, ""))
            .refused(CreditRefusal::BadReason(InvalidText::Empty));
    }

    #[test]
    fn the_oldest_credit_pays_first() {
        let given = two()
            .done(grant(500))
            .done(GrantCredit { seller: PartyId(2), ..grant(9000) })
            .done(GrantCredit { customer: PartyId(1), ..grant(9000) })
            .done(GrantCredit { currency: "USD".parse().expect("a currency"), ..grant(9000) })
            .done(grant(300));
        let rows: [(i128, &[(u64, i128)]); 6] = [
            (-100, &[]),
            (0, &[]),
            (499, &[(1, 499)]),
            (500, &[(1, 500)]),
            (501, &[(1, 500), (5, 1)]),
            (10_000, &[(1, 500), (5, 300)]),
        ];
        for (total, used) in rows {
            assert_eq!(pay(&given, total), used, "{total}");
        }
        let given = given.done(withdraw(1, "paid back"));
        assert_eq!(pay(&given, 10_000), [(5, 300)]);
    }

    #[test]
    fn credits_pay_by_priority_then_by_expiry_then_by_age() {
        let given = two().done(grant(1)).done(grant(2));
        let (late, early) = (expiring(&given, 4, PRIORITY, 20), expiring(&given, 8, PRIORITY, 10));
        let (urgent, last) = (expiring(&given, 16, 0, 30), expiring(&given, 32, 100, 5));
        let given = given.done(late).done(early).done(urgent).done(last);
        let order: Vec<u64> = pay(&given, 10_000).into_iter().map(|(credit, _)| credit).collect();
        assert_eq!(order, [5, 4, 3, 1, 2, 6]);
        // What has expired pays nothing, whether that is recorded or not.
        let later = given.now.plus_micros(10_000_000);
        let order: Vec<u64> = pay_at(&given, 10_000, later).into_iter().map(|(credit, _)| credit).collect();
        assert_eq!(order, [5, 3, 1, 2]);
    }

    #[test]
    fn what_is_left_of_a_credit_expires_once() {
        let expire = || ExpireCredits { limit: MAX_EXPIRED };
        let given = two().done(grant(1));
        let (first, second) = (expiring(&given, 500, 50, 60), expiring(&given, 300, 50, 90));
        let given = given.done(first).done(second).when(expire()).unchanged().and();
        let start = given.now;
        let mut given = given;
        given.now = start.plus_micros(61_000_000);
        let at = given.now;
        let gone = CreditExpired { credit: CreditId(2), amount: euros(500), at };
        let given = given
            .when(expire())
            .then([(Stream::Party(PartyId(2)), Event::CreditExpired(gone))])
            .answered(&Answer::Done)
            .and();
        assert_eq!(given.project().credits.next_expiry(), Some(start.plus_micros(90_000_000)));
        let given = given.when(expire()).unchanged().and().when(withdraw(2, "paid back")).unchanged().and();
        assert_eq!(pay(&given, 10_000), [(3, 300), (1, 1)]);
    }

    #[test]
    fn invoices_use_credit_up_and_credit_notes_give_it_back() {
        let mut given = two().done(grant(500)).done(grant(300));
        let mut invoice = crate::log::golden::first_invoice();
        let used = |credit, cents| CreditUsed { credit: CreditId(credit), amount: euros(cents) };
        invoice.prepaid = vec![used(1, 500), used(2, 100), used(9, 1)];
        given.project_mut().credits.invoiced(&invoice);
        assert_eq!(pay(&given, 10_000), [(2, 200)]);
        invoice.document = DocumentKind::CreditNote;
        invoice.prepaid = vec![used(1, 50)];
        given.project_mut().credits.invoiced(&invoice);
        assert_eq!(pay(&given, 10_000), [(1, 50), (2, 200)]);
    }
}
