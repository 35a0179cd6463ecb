//! Prepaid credit: what a customer paid before, used up by the invoices of one seller in one currency.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Serialize, Serializer};

use super::Outcome;
use super::event::{Event, Stream};
use super::id::{InvalidText, PartyId, check_text, number_id};
use super::invoice::{CreditUsed, DocumentKind, Invoice};
use super::money::{Amount, Currency};
use super::party::Parties;
use super::time::Timestamp;

number_id!(
    /// A prepaid credit.
    CreditId, "CREDIT-", "CREDIT-1"
);

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
}

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
}

/// All prepaid credits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Credits {
    by_id: BTreeMap<CreditId, Credit>,
    /// Those of which something is left, by seller, customer and currency, the oldest first.
    open: BTreeSet<(PartyId, PartyId, Currency, CreditId)>,
}

impl Credits {
    /// The credit, if there is one.
    pub fn get(&self, credit: CreditId) -> Option<&Credit> {
        self.by_id.get(&credit)
    }

    /// What of a total is paid with the credits a customer has left with a seller, the oldest first. Nothing, if the
    /// total is not above zero.
    pub fn pay(
        &self,
        seller: PartyId,
        customer: PartyId,
        currency: Currency,
        total: Amount,
    ) -> Vec<CreditUsed> {
        let mut due = total;
        let mut used = Vec::new();
        let bound = |credit| (seller, customer, currency, CreditId(credit));
        for (.., credit) in self.open.range(bound(0)..=bound(u64::MAX)) {
            if due.minor() <= 0 {
                break;
            }
            let Some(known) = self.by_id.get(credit) else { continue };
            let amount = if known.left.minor() < due.minor() { known.left } else { due };
            let Some(rest) = due.checked_sub(amount) else { break };
            due = rest;
            used.push(CreditUsed { credit: *credit, amount });
        }
        used
    }

    pub(crate) fn grant(
        &self,
        parties: &Parties,
        command: &GrantCredit,
        now: Timestamp,
    ) -> Result<Outcome<CreditId>, CreditRefusal> {
        let GrantCredit { seller, customer, currency, amount, description } = command.clone();
        for party in [seller, customer] {
            parties.get(party).ok_or(CreditRefusal::UnknownParty { party })?;
        }
        if amount.minor() <= 0 || !amount.is_in(currency) {
            return Err(CreditRefusal::BadAmount { currency });
        }
        check_text(&description, MAX_TEXT).map_err(CreditRefusal::BadDescription)?;
        let credit = CreditId(self.by_id.last_key_value().map_or(1, |(last, _)| last.0 + 1));
        let event = CreditGranted { credit, seller, customer, currency, amount, description, at: now };
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
        Ok(Outcome::of((), [(Stream::Party(known.customer), Event::CreditWithdrawn(event))]))
    }

    /// Takes a credit over: the fold that decisions and billing share.
    pub fn granted(&mut self, event: &CreditGranted) {
        let CreditGranted { seller, customer, currency, amount, .. } = *event;
        self.by_id.insert(event.credit, Credit { seller, customer, currency, left: amount });
        self.open.insert((seller, customer, currency, event.credit));
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
        let place = (known.seller, known.customer, known.currency, credit);
        if known.left.minor() > 0 {
            self.open.insert(place);
        } else {
            self.open.remove(&place);
        }
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

    use super::{CreditGranted, CreditId, CreditRefusal, CreditWithdrawn, GrantCredit, WithdrawCredit};

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
        }
    }

    fn withdraw(credit: u64, reason: &str) -> WithdrawCredit {
        WithdrawCredit { credit: CreditId(credit), reason: reason.into() }
    }

    fn two() -> Given {
        Given::nothing().done(register_party()).done(register_party())
    }

    fn pay(given: &Given, cents: i128) -> Vec<(u64, i128)> {
        let used = given.project().credits.pay(PartyId(1), PartyId(2), Currency::EUR, euros(cents));
        used.iter().map(|used| (used.credit.0, used.amount.minor())).collect()
    }

    #[test]
    fn credit_is_granted_and_withdrawn() {
        let given = two();
        let now = given.now;
        let GrantCredit { seller, customer, currency, amount, description } = grant(500);
        let credit = CreditId(1);
        let granted = CreditGranted { credit, seller, customer, currency, amount, description, at: now };
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
