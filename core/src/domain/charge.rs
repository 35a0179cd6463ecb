//! One-off charges: what is charged or given by hand, with the next invoice.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Serialize, Serializer};

use super::Outcome;
use super::event::{Event, Stream};
use super::id::{InvalidText, PartyId, Sequence, check_text, number_id};
use super::invoice::{InvoiceLine, LineRef};
use super::money::{Amount, Currency};
use super::party::Parties;
use super::time::Timestamp;

number_id!(
    /// A one-off charge.
    ChargeId, "CHARGE-", "CHARGE-1"
);

/// Something is to be on the next invoice of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ChargeRecorded {
    /// Which.
    pub charge: ChargeId,
    /// Who charges.
    pub seller: PartyId,
    /// Whom.
    pub customer: PartyId,
    /// In what.
    pub currency: Currency,
    /// How much; below zero, if it is given.
    pub amount: Amount,
    /// For people.
    pub description: Box<str>,
    /// The line of an issued document it corrects, if it does.
    pub cites: Option<LineRef>,
    /// When.
    pub at: Timestamp,
}

/// Charge or give something by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordCharge {
    /// Who charges.
    pub seller: PartyId,
    /// Whom.
    pub customer: PartyId,
    /// In what.
    pub currency: Currency,
    /// How much; below zero, if it is given.
    pub amount: Amount,
    /// For people.
    pub description: Box<str>,
    /// The line of an issued document it corrects, if it does. Whether there is one is for who commands it to know.
    pub cites: Option<LineRef>,
    /// The last event that the amount was worked out from, if it depends on what else corrects the line.
    pub as_of: Option<Sequence>,
}

/// The longest description, in bytes.
pub const MAX_DESCRIPTION: usize = 500;

/// Why a one-off charge is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChargeRefusal {
    /// The seller or customer is no party.
    #[error("there is no party {party}")]
    UnknownParty {
        /// Who.
        party: PartyId,
    },
    /// It is nothing, or not in minor units of the currency.
    #[error("amount must be other than zero, in minor units of {currency}")]
    BadAmount {
        /// In what.
        currency: Currency,
    },
    /// The description is empty, too long, or has control characters.
    #[error("description {0}")]
    BadDescription(InvalidText),
}

/// The charges that no invoice has yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Charges {
    last: u64,
    open: BTreeMap<ChargeId, ChargeRecorded>,
}

impl Charges {
    /// Those that no invoice has yet, the oldest first.
    pub fn open(&self) -> impl Iterator<Item = &ChargeRecorded> {
        self.open.values()
    }

    /// The charge, if no invoice has it yet.
    pub fn get(&self, charge: ChargeId) -> Option<&ChargeRecorded> {
        self.open.get(&charge)
    }

    pub(crate) fn record(
        &self,
        parties: &Parties,
        command: &RecordCharge,
        now: Timestamp,
    ) -> Result<Outcome<ChargeId>, ChargeRefusal> {
        let RecordCharge { seller, customer, currency, amount, description, cites, .. } = command.clone();
        for party in [seller, customer] {
            parties.get(party).ok_or(ChargeRefusal::UnknownParty { party })?;
        }
        if amount.minor() == 0 || !amount.is_in(currency) {
            return Err(ChargeRefusal::BadAmount { currency });
        }
        check_text(&description, MAX_DESCRIPTION).map_err(ChargeRefusal::BadDescription)?;
        let charge = ChargeId(self.last + 1);
        let event =
            ChargeRecorded { charge, seller, customer, currency, amount, description, cites, at: now };
        Ok(Outcome::of(charge, [(Stream::Party(customer), Event::ChargeRecorded(event))]))
    }

    /// Takes a charge over: the fold that decisions and billing share.
    pub fn recorded(&mut self, event: &ChargeRecorded) {
        self.last = self.last.max(event.charge.0);
        self.open.insert(event.charge, event.clone());
    }

    /// Takes lines of a document over: the charges among them are on it, and on no other.
    pub fn invoiced(&mut self, lines: &[InvoiceLine]) {
        for line in lines {
            if let Some(charge) = line.kind.charge() {
                self.open.remove(&charge);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::Answer;
    use crate::domain::event::{Event, Stream};
    use crate::domain::given::{Given, register_party};
    use crate::domain::id::{InvalidText, PartyId};
    use crate::domain::invoice::{InvoiceFinalised, InvoiceLinesRecorded, LineKind};
    use crate::domain::money::{Amount, Currency};

    use super::{ChargeId, ChargeRecorded, ChargeRefusal, RecordCharge};

    fn charge(cents: i128) -> RecordCharge {
        RecordCharge {
            seller: PartyId(1),
            customer: PartyId(2),
            currency: Currency::EUR,
            amount: Amount::from_minor(cents, Currency::EUR),
            description: "an hour of work".into(),
            cites: None,
            as_of: None,
        }
    }

    fn two() -> Given {
        Given::nothing().done(register_party()).done(register_party())
    }

    fn open(given: &Given) -> Vec<u64> {
        given.project().charges.open().map(|charge| charge.charge.0).collect()
    }

    #[test]
    fn charges_and_discounts_are_recorded() {
        let given = two();
        let RecordCharge { seller, customer, currency, amount, description, cites, .. } = charge(-500);
        let id = ChargeId(1);
        let event = ChargeRecorded {
            charge: id,
            seller,
            customer,
            currency,
            amount,
            description,
            cites,
            at: given.now,
        };
        given
            .when(charge(-500))
            .then([(Stream::Party(PartyId(2)), Event::ChargeRecorded(event))])
            .answered(&Answer::Charge(id))
            .and()
            .when(charge(500))
            .answered(&Answer::Charge(ChargeId(2)));
    }

    #[test]
    fn what_is_no_charge() {
        let stranger = |party| ChargeRefusal::UnknownParty { party: PartyId(party) };
        let bad = |currency| ChargeRefusal::BadAmount { currency };
        let text = ChargeRefusal::BadDescription;
        let dinar = "TND".parse().expect("a currency");
        let describe = |text: &str| RecordCharge { description: text.into(), ..charge(1) };
        let rows = [
            (RecordCharge { seller: PartyId(3), customer: PartyId(4), ..charge(0) }, stranger(3)),
            (RecordCharge { customer: PartyId(4), ..charge(0) }, stranger(4)),
            (RecordCharge { description: "".into(), ..charge(0) }, bad(Currency::EUR)),
            (RecordCharge { currency: dinar, ..charge(1) }, bad(dinar)),
            (describe(""), text(InvalidText::Empty)),
            (describe(&"x".repeat(501)), text(InvalidText::TooLong { max: 500 })),
            (describe("a\tb"), text(InvalidText::Control { code: 9 })),
        ];
        for (command, refusal) in rows {
            two().when(command).refused(refusal);
        }
        two().done(describe(&"x".repeat(500)));
    }

    #[test]
    fn a_charge_is_on_one_invoice() {
        let given = two().done(charge(1)).done(charge(2)).done(charge(3));
        let mut invoice = crate::log::golden::first_invoice();
        let stream = Stream::Invoice(invoice.id.clone());
        let mut line = invoice.lines[0].clone();
        line.kind = LineKind::OneOff { charge: ChargeId(2) };
        let part = InvoiceLinesRecorded { invoice: invoice.id.clone(), part: 1, lines: vec![line.clone()] };
        let given = given.event(stream.clone(), Event::InvoiceLinesRecorded(part));
        assert_eq!(open(&given), [1, 3]);
        line.kind = LineKind::OneOff { charge: ChargeId(3) };
        invoice.lines = vec![line];
        let last = InvoiceFinalised { invoice, parts: 0, lines_digest: [0; 32] };
        let given = given.event(stream, Event::InvoiceFinalised(Box::new(last)));
        assert_eq!(open(&given), [1]);
        given.when(charge(4)).answered(&Answer::Charge(ChargeId(4)));
    }
}
