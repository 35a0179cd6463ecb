//! What is asked of the journal: transactions, accounts, statements, trial balances.
//!
//! A balance at an instant is the sum of all that is dated before it, so that what closes a period opens the next.

use std::collections::{BTreeMap, BTreeSet};

use slapledger_core::domain::id::{PartyId, Sequence};
use slapledger_core::domain::money::{Currency, Exact};
use slapledger_core::domain::time::Timestamp;
use slapledger_projections::Page;

use super::account::Account;
use super::transaction::{Transaction, TransactionId};
use super::{ClosedPeriod, Journal};

/// The books of a seller in a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Book {
    /// Whose.
    pub seller: PartyId,
    /// In what.
    pub currency: Currency,
}

/// Which transactions are meant; all, if nothing is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    /// Dated at this instant or later.
    pub from: Option<Timestamp>,
    /// Dated before this one.
    pub to: Option<Timestamp>,
    /// Of this seller alone.
    pub seller: Option<PartyId>,
    /// In this currency alone.
    pub currency: Option<Currency>,
}

impl TransactionFilter {
    pub(super) fn fits(&self, transaction: &Transaction) -> bool {
        let about = transaction.about();
        self.from.is_none_or(|from| from <= about.at)
            && self.to.is_none_or(|to| about.at < to)
            && self.seller.is_none_or(|seller| seller == about.seller)
            && self.currency.is_none_or(|currency| currency == about.currency)
    }
}

/// All accounts of a book that are not empty, at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialBalance<'a> {
    /// Of which.
    pub book: Book,
    /// In order of accounts; a debit is above zero. None is zero.
    pub balances: Vec<(&'a Account, Exact)>,
    /// The sum of those above zero.
    pub debits: Exact,
    /// The sum of those below zero, without the sign; equal to the debits.
    pub credits: Exact,
}

/// What happened to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Its balance before the period.
    pub opening: Exact,
    /// In order of date, and of one date in order of events; the next are asked for with the last one's id.
    pub moves: Page<Move<'a>, TransactionId>,
    /// Its balance at the end of the period.
    pub closing: Exact,
}

/// A posting, and the balance after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move<'a> {
    /// Part of which.
    pub transaction: &'a Transaction,
    /// What it adds; a debit is above zero.
    pub amount: Exact,
    /// The sum of all up to and with it.
    pub balance: Exact,
}

impl Journal {
    /// Transactions from the one at an index on, in order of their ids.
    pub(super) fn all_from(&self, start: usize) -> impl Iterator<Item = &Transaction> {
        self.transactions[start..].iter().map(|transaction| &**transaction)
    }

    /// Transactions after one, in order of the events that caused them.
    pub fn transactions(
        &self,
        filter: TransactionFilter,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Page<&Transaction, TransactionId> {
        let start = after.map_or(0, |after| self.transactions.partition_point(|known| known.id() <= after));
        let wanted = self.all_from(start).filter(|transaction| filter.fits(transaction));
        page(wanted, limit, |transaction| transaction.id())
    }

    /// All accounts that the transactions of the filter move, by book, with what these come to.
    pub fn accounts(&self, filter: TransactionFilter) -> BTreeMap<(Book, &Account), Exact> {
        let books = self.balances(filter);
        let accounts = books.into_iter().flat_map(|(book, balances)| {
            balances.into_iter().map(move |(account, balance)| ((book, account), balance))
        });
        accounts.collect()
    }

    /// The currencies in which a seller has an account.
    pub fn currencies_of(&self, seller: PartyId, account: &Account) -> BTreeSet<Currency> {
        let of_seller = self.all_from(0).filter(|transaction| transaction.about().seller == seller);
        let with_it = of_seller.filter(|transaction| transaction.amount_in(account).is_some());
        with_it.map(|transaction| transaction.about().currency).collect()
    }

    /// The periods that a seller closed, the oldest first.
    pub fn periods_of(&self, seller: PartyId) -> impl DoubleEndedIterator<Item = &ClosedPeriod> {
        self.periods.iter().filter(move |period| period.seller == seller)
    }

    /// What an event posted, by currency.
    pub fn caused_by(&self, sequence: Sequence) -> impl Iterator<Item = &Transaction> {
        let start = self.transactions.partition_point(|known| known.id().sequence < sequence);
        self.all_from(start).take_while(move |known| known.id().sequence == sequence)
    }

    /// The balance of every account that fits, the period of the filter's transactions being all that counts.
    pub(super) fn balances(&self, filter: TransactionFilter) -> BTreeMap<Book, BTreeMap<&Account, Exact>> {
        let mut books: BTreeMap<Book, BTreeMap<&Account, Exact>> = BTreeMap::new();
        for transaction in self.all_from(0).filter(|transaction| filter.fits(transaction)) {
            let balances = books.entry(transaction.book()).or_default();
            for posting in transaction.postings() {
                let balance = balances.entry(&posting.account).or_default();
                *balance = balance.plus(posting.amount);
            }
        }
        books
    }

    /// The trial balance of every book that fits: what its accounts come to, as far as they are dated before the end
    /// of the filter and not before its beginning.
    pub fn trial_balances(&self, filter: TransactionFilter) -> Vec<TrialBalance<'_>> {
        let books = self.balances(filter).into_iter();
        books.map(|(book, balances)| TrialBalance::of(book, balances)).collect()
    }

    /// What happened to an account from the beginning of a period to its end, `limit` moves after one. The balance of
    /// each is that of the account, whatever part is asked for.
    pub fn statement(
        &self,
        (book, account): (Book, &Account),
        (from, to): (Option<Timestamp>, Option<Timestamp>),
        after: Option<TransactionId>,
        limit: usize,
    ) -> Statement<'_> {
        let of_book =
            TransactionFilter { to, seller: Some(book.seller), currency: Some(book.currency), from: None };
        let moves = self.all_from(0).filter(|transaction| of_book.fits(transaction));
        let mut moves: Vec<(&Transaction, Exact)> =
            moves.filter_map(|transaction| Some((transaction, transaction.amount_in(account)?))).collect();
        moves.sort_by_key(|(transaction, _)| (transaction.about().at, transaction.id()));
        let before = |transaction: &Transaction| from.is_some_and(|from| transaction.about().at < from);
        let opened = moves.partition_point(|(transaction, _)| before(transaction));
        let opening: Exact = moves[..opened].iter().map(|(_, amount)| *amount).sum();
        let mut balance = opening;
        let running: Vec<Move<'_>> = moves[opened..]
            .iter()
            .map(|(transaction, amount)| {
                balance = balance.plus(*amount);
                Move { transaction, amount: *amount, balance }
            })
            .collect();
        let seen = after.and_then(|after| running.iter().position(|known| known.transaction.id() == after));
        let rest = running.into_iter().skip(seen.map_or(0, |seen| seen + 1));
        Statement { opening, moves: page(rest, limit, |known| known.transaction.id()), closing: balance }
    }
}

impl Transaction {
    /// The books it is in.
    pub fn book(&self) -> Book {
        Book { seller: self.about().seller, currency: self.about().currency }
    }

    /// What it adds to an account, if it moves it.
    pub fn amount_in(&self, account: &Account) -> Option<Exact> {
        let found = self.postings().binary_search_by(|posting| posting.account.cmp(account)).ok()?;
        Some(self.postings()[found].amount)
    }
}

impl<'a> TrialBalance<'a> {
    fn of(book: Book, balances: BTreeMap<&'a Account, Exact>) -> Self {
        let (mut debits, mut credits) = (Exact::ZERO, Exact::ZERO);
        let balances: Vec<_> = balances.into_iter().filter(|(_, balance)| *balance != Exact::ZERO).collect();
        for (_, balance) in &balances {
            if balance.is_negative() {
                credits = credits.minus(*balance);
            } else {
                debits = debits.plus(*balance);
            }
        }
        Self { book, balances, debits, credits }
    }
}

fn page<T>(
    mut items: impl Iterator<Item = T>,
    limit: usize,
    id: impl Fn(&T) -> TransactionId,
) -> Page<T, TransactionId> {
    let taken: Vec<T> = items.by_ref().take(limit).collect();
    let next = taken.last().map(id).filter(|_| items.next().is_some());
    Page { items: taken, next }
}
