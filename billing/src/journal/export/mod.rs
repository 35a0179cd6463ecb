//! The books of a seller as texts that programs for accounting in plain text read.
//!
//! A text says everything it uses before it uses it: accounts, and for each currency a format with as many digits after
//! the point as its finest amount has. hledger and ledger look at sums with the digits of that format, and beancount is
//! told that nothing may be missing, so each of them refuses a text in which any digit of any amount was changed.
//! Amounts are exact. Dates are those where the seller is. A text that does not begin at the beginning begins with the
//! balances of that day.
//!
//! Names of accounts are those of the journal, but for what not all of the programs can read (`name_of`).

mod beancount;
mod hledger;
mod ledger;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::str::FromStr;

use chrono::NaiveDate;
use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::id::{InvoiceId, PartyId, Sequence};
use slapledger_core::domain::money::{Currency, Exact};
use slapledger_core::domain::time::{TimeZone, Timestamp};

use super::account::Account;
use super::query::TransactionFilter;
use super::transaction::Transaction;
use super::{Journal, amount_text, decimals};

/// Whose text it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// <https://hledger.org>
    Hledger,
    /// <https://ledger-cli.org>
    Ledger,
    /// <https://beancount.github.io>, version 3.
    Beancount,
}

/// The text is not the name of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be hledger, ledger or beancount")]
pub struct UnknownFormat;

impl FromStr for ExportFormat {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        match name {
            "hledger" => Ok(Self::Hledger),
            "ledger" => Ok(Self::Ledger),
            "beancount" => Ok(Self::Beancount),
            _ => Err(UnknownFormat),
        }
    }
}

/// The books of a seller in a period, ready to be written.
#[derive(Debug)]
pub struct Export<'a> {
    seller: PartyId,
    /// With as many digits as are needed after the point.
    currencies: BTreeMap<Currency, usize>,
    /// With the currencies they are used in.
    accounts: BTreeMap<&'a Account, BTreeSet<Currency>>,
    /// By date.
    entries: Vec<ExportEntry<'a>>,
}

/// A transaction, or the opening balances in a currency.
#[derive(Debug)]
struct ExportEntry<'a> {
    date: NaiveDate,
    description: String,
    document: Option<&'a InvoiceId>,
    sequence: Option<Sequence>,
    currency: Currency,
    /// The name of the account, and the amount.
    postings: Vec<(&'a Account, Exact)>,
}

impl Journal {
    /// The books of a seller, from an instant on, up to another.
    pub fn export(
        &self,
        seller: PartyId,
        currency: Option<Currency>,
        (from, to): (Option<Timestamp>, Option<Timestamp>),
    ) -> Export<'_> {
        let utc = Calendar::of(TimeZone::UTC);
        let calendar = self.calendar_of(seller).unwrap_or(&utc);
        let of_seller = TransactionFilter { seller: Some(seller), currency, ..TransactionFilter::default() };
        let mut entries = Vec::new();
        if let Some(from) = from {
            for balance in self.trial_balances(TransactionFilter { to: Some(from), ..of_seller }) {
                if !balance.balances.is_empty() {
                    entries.push(ExportEntry {
                        date: day_of(calendar, from),
                        description: "Opening balances".to_owned(),
                        document: None,
                        sequence: None,
                        currency: balance.book.currency,
                        postings: balance.balances,
                    });
                }
            }
        }
        let filter = TransactionFilter { from, to, ..of_seller };
        let mut within: Vec<&Transaction> = self.transactions(filter, None, usize::MAX).items;
        within.sort_by_key(|transaction| (transaction.about().at, transaction.id()));
        entries.extend(within.into_iter().map(|transaction| ExportEntry::of(transaction, calendar)));
        // A zone that begins to count may show a day again: programs want days in their order.
        entries.sort_by_key(|entry| entry.date);
        Export::of(seller, entries)
    }
}

impl<'a> ExportEntry<'a> {
    fn of(transaction: &'a Transaction, calendar: &Calendar) -> Self {
        let about = transaction.about();
        let postings = transaction.postings().iter();
        Self {
            date: day_of(calendar, about.at),
            description: about.cause.to_string(),
            document: about.cause.document(),
            sequence: Some(about.sequence),
            currency: about.currency,
            postings: postings.map(|posting| (&posting.account, posting.amount)).collect(),
        }
    }
}

impl<'a> Export<'a> {
    fn of(seller: PartyId, entries: Vec<ExportEntry<'a>>) -> Self {
        let mut currencies = BTreeMap::new();
        let mut accounts: BTreeMap<&Account, BTreeSet<Currency>> = BTreeMap::new();
        for entry in &entries {
            let digits = currencies.entry(entry.currency).or_insert(0);
            for (account, amount) in &entry.postings {
                *digits = decimals(&amount_text(*amount, entry.currency)).max(*digits);
                accounts.entry(account).or_default().insert(entry.currency);
            }
        }
        Self { seller, currencies, accounts, entries }
    }

    /// The text.
    pub fn write(&self, format: ExportFormat) -> String {
        let mut text = String::new();
        let written = match format {
            ExportFormat::Hledger => hledger::write(self, &mut text),
            ExportFormat::Ledger => ledger::write(self, &mut text),
            ExportFormat::Beancount => beancount::write(self, &mut text),
        };
        written.expect("what is in memory can be written to");
        text
    }

    fn title(&self) -> String {
        format!("Books of {}", self.seller)
    }
}

impl ExportEntry<'_> {
    /// Its postings, each on a line: indented, and with the amounts below each other.
    fn write_lines(&self, indent: &str, out: &mut impl Write) -> fmt::Result {
        for (account, amount) in &self.postings {
            let (name, amount) = (names::name_of(account), amount_text(*amount, self.currency));
            writeln!(out, "{indent}{name:<48}  {amount:>24} {}", self.currency)?;
        }
        Ok(())
    }
}

/// The day an instant is in; of a month that is over, no day of the next, whatever zone counts by then.
pub(super) fn day_of(calendar: &Calendar, instant: Timestamp) -> NaiveDate {
    let shown = instant.to_utc().with_timezone(&calendar.zone_at(instant).0).date_naive();
    let month = calendar.month_of(instant);
    let (first, next) = (month.first().0, month.next().first().0);
    let last = next.pred_opt().unwrap_or(next);
    shown.clamp(first, last)
}

/// A text of somebody on one line.
fn one_line(text: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.chars().map(|c| if breaks(c) { ' ' } else { c }).collect()
}

/// A text of somebody as a description of hledger and ledger, which end at a comment and are divided at a bar.
fn description(text: &str) -> String {
    one_line(text).replace(';', ",").replace('|', "/").trim().to_owned()
}

/// The number of a document as a code of hledger and ledger, with a space before it.
fn code(document: Option<&InvoiceId>) -> String {
    let safe = |id: &InvoiceId| one_line(id.as_str()).replace(['(', ')'], "-");
    document.map_or_else(String::new, |id| format!(" ({})", safe(id)))
}

/// A number of that many digits after the point, as formats are told with.
fn format_sample(digits: usize) -> String {
    format!("1000.{:0<digits$}", "")
}

#[cfg(test)]
mod tests;
