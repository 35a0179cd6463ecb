//! Transactions: postings that balance, and what caused them.
//!
//! A [`Transaction`] can only be made of postings whose debits equal their credits, exactly; it has one posting for each
//! account that it moves, however many lines a document has.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use slapledger_core::domain::credit::CreditId;
use slapledger_core::domain::id::{InvoiceId, PartyId, Sequence};
use slapledger_core::domain::money::{Currency, Exact};
use slapledger_core::domain::time::Timestamp;

use super::account::Account;

/// What a transaction is about.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct About {
    /// When it counts: the instant of the event; of a closing, the last microsecond that is closed.
    pub at: Timestamp,
    /// The event that caused it.
    pub sequence: Sequence,
    /// Whose books it is in.
    pub seller: PartyId,
    /// In what.
    pub currency: Currency,
    /// What happened.
    pub cause: Cause,
}

/// What causes postings.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Cause {
    /// An invoice was issued.
    Invoice(InvoiceId),
    /// A credit note was issued.
    CreditNote {
        /// Which.
        document: InvoiceId,
        /// The document it cites, if it cites one.
        cites: Option<InvoiceId>,
    },
    /// A customer has prepaid credit.
    CreditGranted {
        /// Which.
        credit: CreditId,
        /// For people.
        description: Box<str>,
    },
    /// What was left of a credit was taken back.
    CreditWithdrawn {
        /// Which.
        credit: CreditId,
        /// Why, for people.
        reason: Box<str>,
    },
    /// What was left of a credit expired.
    CreditExpired {
        /// Which.
        credit: CreditId,
    },
    /// The books were closed.
    Closing {
        /// The first instant that is still open.
        until: Timestamp,
    },
}

impl Cause {
    /// The document it is, if it is one.
    pub fn document(&self) -> Option<&InvoiceId> {
        match self {
            Self::Invoice(document) | Self::CreditNote { document, .. } => Some(document),
            Self::CreditGranted { .. }
            | Self::CreditWithdrawn { .. }
            | Self::CreditExpired { .. }
            | Self::Closing { .. } => None,
        }
    }
}

/// In words, on one line but for what people wrote.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invoice(document) => write!(f, "Invoice {document}"),
            Self::CreditNote { document, cites: None } => write!(f, "Credit note {document}"),
            Self::CreditNote { document, cites: Some(cites) } => {
                write!(f, "Credit note {document} to {cites}")
            }
            Self::CreditGranted { credit, description } => {
                write!(f, "Prepaid credit {credit}: {description}")
            }
            Self::CreditWithdrawn { credit, reason } => {
                write!(f, "Prepaid credit {credit} withdrawn: {reason}")
            }
            Self::CreditExpired { credit } => write!(f, "Prepaid credit {credit} expired"),
            Self::Closing { until } => write!(f, "Accounts closed until {until}"),
        }
    }
}

/// An amount in an account.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Posting {
    /// Which.
    pub account: Account,
    /// A debit is above zero, a credit below.
    pub amount: Exact,
}

/// What is to become a transaction: the sum of what was posted, by account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Postings(BTreeMap<Account, Exact>);

impl Postings {
    pub(super) fn debit(&mut self, account: Account, amount: impl Into<Exact>) {
        let sum = self.0.entry(account).or_default();
        *sum = sum.plus(amount.into());
    }

    pub(super) fn credit(&mut self, account: Account, amount: impl Into<Exact>) {
        self.debit(account, Exact::ZERO.minus(amount.into()));
    }

    /// The same the other way round.
    pub(super) fn reversed(self) -> Self {
        Self(self.0.into_iter().map(|(account, amount)| (account, Exact::ZERO.minus(amount))).collect())
    }
}

/// Postings whose debits are not equal to their credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[error("debits exceed credits by {excess}")]
pub struct Unbalanced {
    /// Debits less credits.
    pub excess: Exact,
}

/// Balanced postings and what they are about.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Transaction {
    about: About,
    postings: Vec<Posting>,
}

impl Transaction {
    /// A transaction of these postings, if they balance; nothing, if nothing moves.
    pub(super) fn balanced(about: About, postings: Postings) -> Result<Option<Self>, Unbalanced> {
        let excess: Exact = postings.0.values().copied().sum();
        if excess != Exact::ZERO {
            return Err(Unbalanced { excess });
        }
        let moved = postings.0.into_iter().filter(|(_, amount)| *amount != Exact::ZERO);
        let postings: Vec<_> = moved.map(|(account, amount)| Posting { account, amount }).collect();
        Ok((!postings.is_empty()).then_some(Self { about, postings }))
    }

    /// What it is about.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// One for each account, in order of accounts; their sum is zero, and none of them is.
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }

    /// What it is known by.
    pub fn id(&self) -> TransactionId {
        TransactionId { sequence: self.about.sequence, currency: self.about.currency }
    }
}

/// What a transaction is known by: an event causes at most one in each currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransactionId {
    /// The event that caused it.
    pub sequence: Sequence,
    /// In what.
    pub currency: Currency,
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.sequence, self.currency)
    }
}

/// The text is not the id of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a sequence and a currency such as 40213.EUR")]
pub struct InvalidTransactionId;

impl FromStr for TransactionId {
    type Err = InvalidTransactionId;

    fn from_str(text: &str) -> Result<Self, InvalidTransactionId> {
        let (sequence, currency) = text.split_once('.').ok_or(InvalidTransactionId)?;
        let sequence = sequence.parse().map(Sequence).map_err(|_| InvalidTransactionId)?;
        Ok(Self { sequence, currency: currency.parse().map_err(|_| InvalidTransactionId)? })
    }
}

#[cfg(test)]
mod tests {
    use slapledger_core::domain::money::Amount;

    use super::super::account::Income;
    use super::*;

    fn about() -> About {
        About {
            at: Timestamp::MIN,
            sequence: Sequence(7),
            seller: PartyId(1),
            currency: Currency::EUR,
            cause: Cause::Closing { until: Timestamp::MAX },
        }
    }

    #[test]
    fn only_what_balances_is_a_transaction() {
        let cent = Amount::from_minor(1, Currency::EUR);
        let mut postings = Postings::default();
        postings.debit(Account::Clearing, cent);
        let unbalanced = Transaction::balanced(about(), postings.clone()).expect_err("a cent too much");
        assert_eq!(unbalanced.to_string(), "debits exceed credits by 0.01");
        postings.credit(Account::Income(Income::Recurring), cent);
        postings.debit(Account::Earnings, Exact::ZERO);
        let transaction = Transaction::balanced(about(), postings.clone()).expect("balanced").expect("moves");
        assert_eq!(transaction.postings().len(), 2, "{transaction:?}");
        assert_eq!(transaction.id().to_string(), "7.EUR");
        assert_eq!("7.EUR".parse(), Ok(transaction.id()));
        let sum = postings.clone().reversed().0.into_iter().fold(postings, |mut sum, (account, amount)| {
            sum.debit(account, amount);
            sum
        });
        assert_eq!(Transaction::balanced(about(), sum), Ok(None), "there and back again nothing moves");
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in ["", "7", "7.", ".EUR", "7.eur", "x.EUR", "7.EUR.1"] {
            assert_eq!(text.parse::<TransactionId>(), Err(InvalidTransactionId), "{text}");
        }
    }
}
