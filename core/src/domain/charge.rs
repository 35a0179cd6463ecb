//! One-off charges: what is charged or given by hand, with the next invoice.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Serialize, Serializer};

use super::id::{InvalidText, PartyId, number_id};
use super::invoice::LineRef;
use super::money::{Amount, Currency};
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
