//! The chart of accounts: which there are, what they are called, and on which side they grow.
//!
//! Every account is one of a seller and a currency, which are named beside it. A name has one spelling, and names one
//! account.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use slapledger_core::domain::id::{PartyId, ResourceId};
use slapledger_core::domain::tax::{Tax, TaxCategory};

/// An account, in the order of a balance sheet and then of an income statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Account {
    /// What a customer owes.
    Receivable(PartyId),
    /// Money that came in for prepaid credit, and goes out when credit is withdrawn.
    Clearing,
    /// Credit a customer has left.
    Prepaid(PartyId),
    /// Tax to be paid, by category and rate.
    Tax(Tax),
    /// Income of closed periods.
    Earnings,
    /// What was sold.
    Income(Income),
    /// What promotional credit cost.
    Promotions,
}

/// What something was sold as.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Income {
    /// Fees for time, in arrears or in advance.
    Recurring,
    /// What was used of a resource.
    Usage(ResourceId),
    /// Parts of other lines.
    Percentage,
    /// What was missing from the least a customer pays.
    Minimum,
    /// What discounts took off; a debit.
    Discounts,
    /// What was above the most a customer pays; a debit.
    Maximum,
    /// Corrections of earlier documents by later ones.
    Adjustments,
    /// What was charged or given by hand.
    OneOff,
    /// Credit that was paid and expired before it was used.
    Breakage,
    /// What rounding added.
    Rounding,
}

/// The kinds of accounts, as accountants have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// What is owned, or owed to the seller.
    Asset,
    /// What the seller owes.
    Liability,
    /// What is left of both.
    Equity,
    /// What makes equity grow.
    Income,
    /// What makes equity shrink.
    Expense,
}

/// The sides of a posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Above zero.
    Debit,
    /// Below zero.
    Credit,
}

impl AccountKind {
    /// The side on which accounts of this kind grow.
    pub fn normal_side(self) -> Side {
        match self {
            Self::Asset | Self::Expense => Side::Debit,
            Self::Liability | Self::Equity | Self::Income => Side::Credit,
        }
    }
}

impl Account {
    /// What kind of account it is.
    pub fn kind(&self) -> AccountKind {
        match self {
            Self::Receivable(_) | Self::Clearing => AccountKind::Asset,
            Self::Prepaid(_) | Self::Tax(_) => AccountKind::Liability,
            Self::Earnings => AccountKind::Equity,
            Self::Income(_) => AccountKind::Income,
            Self::Promotions => AccountKind::Expense,
        }
    }

    /// The side on which it grows.
    pub fn normal_side(&self) -> Side {
        self.kind().normal_side()
    }
}

const RECEIVABLE: &str = "Assets:Receivable:";
const CLEARING: &str = "Assets:Clearing";
const PREPAID: &str = "Liabilities:Prepaid:";
const TAX: &str = "Liabilities:Tax:";
const EARNINGS: &str = "Equity:Earnings";
const PROMOTIONS: &str = "Expenses:Promotions";
const USAGE: &str = "Income:Usage:";

/// Accounts of income that need no further name.
const PLAIN_INCOME: [(Income, &str); 9] = [
    (Income::Recurring, "Income:Recurring"),
    (Income::Percentage, "Income:Percentage"),
    (Income::Minimum, "Income:Minimum"),
    (Income::Discounts, "Income:Discounts"),
    (Income::Maximum, "Income:Maximum"),
    (Income::Adjustments, "Income:Adjustments"),
    (Income::OneOff, "Income:OneOff"),
    (Income::Breakage, "Income:Breakage"),
    (Income::Rounding, "Income:Rounding"),
];

/// Tax categories as they are written (UNCL 5305).
const CATEGORIES: [(TaxCategory, &str); 7] = [
    (TaxCategory::O, "O"),
    (TaxCategory::S, "S"),
    (TaxCategory::Z, "Z"),
    (TaxCategory::E, "E"),
    (TaxCategory::AE, "AE"),
    (TaxCategory::K, "K"),
    (TaxCategory::G, "G"),
];

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receivable(party) => write!(f, "{RECEIVABLE}{party}"),
            Self::Clearing => f.write_str(CLEARING),
            Self::Prepaid(party) => write!(f, "{PREPAID}{party}"),
            Self::Tax(Tax { category, rate }) => {
                let known = CATEGORIES.iter().find(|(known, _)| known == category);
                write!(f, "{TAX}{}:{rate}", known.map_or("?", |(_, name)| name))
            }
            Self::Earnings => f.write_str(EARNINGS),
            Self::Promotions => f.write_str(PROMOTIONS),
            Self::Income(Income::Usage(resource)) => write!(f, "{USAGE}{resource}"),
            Self::Income(income) => {
                let known = PLAIN_INCOME.iter().find(|(known, _)| known == income);
                f.write_str(known.map_or("Income:?", |(_, name)| name))
            }
        }
    }
}

/// No account is called so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an account such as Assets:Receivable:PARTY-2 or Income:Recurring")]
pub struct UnknownAccount;

impl FromStr for Account {
    type Err = UnknownAccount;

    fn from_str(name: &str) -> Result<Self, UnknownAccount> {
        let party = |text: &str| text.parse().map_err(|_| UnknownAccount);
        let account = if let Some(text) = name.strip_prefix(RECEIVABLE) {
            Self::Receivable(party(text)?)
        } else if let Some(text) = name.strip_prefix(PREPAID) {
            Self::Prepaid(party(text)?)
        } else if let Some(text) = name.strip_prefix(TAX) {
            let (category, rate) = text.split_once(':').ok_or(UnknownAccount)?;
            let category = CATEGORIES.iter().find(|(_, known)| *known == category).ok_or(UnknownAccount)?.0;
            Self::Tax(Tax { category, rate: rate.parse().map_err(|_| UnknownAccount)? })
        } else if let Some(text) = name.strip_prefix(USAGE) {
            Self::Income(Income::Usage(ResourceId::new(text).map_err(|_| UnknownAccount)?))
        } else if name == CLEARING {
            Self::Clearing
        } else if name == EARNINGS {
            Self::Earnings
        } else if name == PROMOTIONS {
            Self::Promotions
        } else {
            let known = PLAIN_INCOME.iter().find(|(_, known)| *known == name).ok_or(UnknownAccount)?;
            Self::Income(known.0.clone())
        };
        // A rate has one spelling, 20 and not 20.0.
        (account.to_string() == name).then_some(account).ok_or(UnknownAccount)
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_has_one_name() {
        use AccountKind::{Asset, Equity, Expense, Income, Liability};
        let rows = [
            ("Assets:Receivable:PARTY-2", Asset, Side::Debit),
            ("Assets:Clearing", Asset, Side::Debit),
            ("Liabilities:Prepaid:PARTY-2", Liability, Side::Credit),
            ("Liabilities:Tax:S:20", Liability, Side::Credit),
            ("Liabilities:Tax:S:5.5", Liability, Side::Credit),
            ("Liabilities:Tax:AE:0", Liability, Side::Credit),
            ("Equity:Earnings", Equity, Side::Credit),
            ("Income:Recurring", Income, Side::Credit),
            ("Income:Usage:service_module/cpu_load_percent", Income, Side::Credit),
            ("Income:Usage:a:b  c;d", Income, Side::Credit),
            ("Income:Percentage", Income, Side::Credit),
            ("Income:Minimum", Income, Side::Credit),
            ("Income:Discounts", Income, Side::Credit),
            ("Income:Maximum", Income, Side::Credit),
            ("Income:Adjustments", Income, Side::Credit),
            ("Income:OneOff", Income, Side::Credit),
            ("Income:Breakage", Income, Side::Credit),
            ("Expenses:Promotions", Expense, Side::Debit),
            ("Income:Rounding", Income, Side::Credit),
        ];
        for (name, kind, side) in rows {
            let account: Account = name.parse().expect(name);
            assert_eq!(account.to_string(), name);
            assert_eq!((account.kind(), account.normal_side()), (kind, side), "{name}");
        }
    }

    #[test]
    fn other_names_are_none() {
        let names = [
            "",
            "Assets",
            "Assets:Receivable:2",
            "Assets:Receivable:PARTY-02",
            "assets:clearing",
            "Liabilities:Tax:S",
            "Liabilities:Tax:S:20.0",
            "Liabilities:Tax:X:20",
            "Income:Usage:",
            "Income:Sales",
        ];
        for name in names {
            assert_eq!(name.parse::<Account>(), Err(UnknownAccount), "{name}");
        }
    }
}
