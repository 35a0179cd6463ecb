//! Prepaid credit: what a customer paid before, used up by the invoices of one seller in one currency.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Serialize, Serializer};

use super::id::{InvalidText, PartyId, number_id};
use super::money::{Amount, Currency};
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
