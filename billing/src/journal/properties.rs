//! What is true of the books whatever is sold.

use std::collections::BTreeMap;

use proptest::prelude::*;
use slapledger_core::domain::id::InvoiceId;
use slapledger_core::domain::invoice::{DocumentKind, Invoice};
use slapledger_core::domain::money::Exact;
use slapledger_core::domain::time::Timestamp;

use super::export::ExportFormat;
use super::testing::{Books, SELLER, at, document, line, prepaid};
use super::{Account, AccountKind, Book, TransactionFilter};

const KINDS: [&str; 8] =
    ["recurring", "advance", "a/b", "Ä  ; c", "percentage", "minimum", "adjustment", "one_off"];
const TAXES: [&str; 4] = ["S 20", "S 5.5", "AE", "O"];
const CODES: [&str; 3] = ["EUR", "JPY", "TND"];

/// Billionths as a number is written.
fn number(billionths: i64) -> String {
    let sign = if billionths < 0 { "-" } else { "" };
    let digits = billionths.unsigned_abs();
    format!("{sign}{}.{:09}", digits / 1_000_000_000, digits % 1_000_000_000)
}

prop_compose! {
    fn invoices()(
        is_note in prop::bool::weighted(0.25),
        code in prop::sample::select(&CODES[..]),
        lines in prop::collection::vec(
            (prop::sample::select(&KINDS[..]), -1_000_000_000_000_i64..1_000_000_000_000_000,
             0_i64..1_000_000_000_000, prop::sample::select(&TAXES[..])),
            1..12),
        paid in 0_i128..1000,
        hours in 0_i64..1000,
    ) -> Invoice {
        let lines = lines.into_iter().map(|(kind, quantity, price, tax)| {
            line(kind, (&number(quantity), &number(price)), code, tax)
        });
        let kind = if is_note { DocumentKind::CreditNote } else { DocumentKind::Invoice };
        let mut invoice = document(kind, "INV-2026-000001", code, lines.collect());
        invoice.issued_at = instant(hours);
        prepaid(invoice, 1, paid)
    }
}

fn instant(hours: i64) -> Timestamp {
    at("2026-10-01T00:00:00Z").plus_micros(hours * 3_600_000_000)
}

fn books_of(documents: &[Invoice]) -> Books {
    let mut books = Books::of_seller_in("Europe/Paris");
    for (n, invoice) in documents.iter().enumerate() {
        if n % 3 == 0 {
            books.issue_in_parts(invoice.clone(), 2);
        } else {
            books.issue(invoice.clone());
        }
    }
    books
}

/// Something that is posted, in its turn.
#[derive(Debug, Clone)]
enum JournalStep {
    Issue(Box<Invoice>),
    Grant {
        code: &'static str,
        minor: i128,
    },
    /// Of a credit that was granted, if there is one.
    Withdraw {
        nth: usize,
        minor: i128,
    },
    Close {
        hours: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<JournalStep>> {
    let step = prop_oneof![
        5 => invoices().prop_map(|invoice| JournalStep::Issue(Box::new(invoice))),
        2 => (prop::sample::select(&CODES[..]), 1_i128..1_000_000)
            .prop_map(|(code, minor)| JournalStep::Grant { code, minor }),
        1 => (0_usize..10, 1_i128..1_000_000).prop_map(|(nth, minor)| JournalStep::Withdraw { nth, minor }),
        1 => (0_i64..1100).prop_map(|hours| JournalStep::Close { hours }),
    ];
    prop::collection::vec(step, 1..12)
}

fn played(steps: Vec<JournalStep>) -> Books {
    let mut books = Books::of_seller_in("Europe/Paris");
    let mut credits = Vec::new();
    for (n, step) in (1_u64..).zip(steps) {
        match step {
            JournalStep::Issue(invoice) if n % 3 == 0 => books.issue_in_parts(*invoice, 2),
            JournalStep::Issue(invoice) => books.issue(*invoice),
            JournalStep::Grant { code, minor } => {
                credits.push((n, code));
                books.grant(n, minor, code);
            }
            JournalStep::Withdraw { nth, minor } => {
                if let Some((credit, code)) = credits.get(nth % credits.len().max(1)) {
                    books.withdraw(*credit, minor, code);
                }
            }
            JournalStep::Close { hours } => books.close(&instant(hours).to_string()),
        }
    }
    books
}

type Sums = BTreeMap<(Book, Account), Exact>;

/// All postings of all transactions that fit, added up one by one.
fn added_up(books: &Books, filter: TransactionFilter) -> Sums {
    let mut sums = Sums::new();
    for transaction in books.journal.transactions(filter, None, usize::MAX).items {
        for posting in transaction.postings() {
            let sum = sums.entry((transaction.book(), posting.account.clone())).or_default();
            *sum = sum.plus(posting.amount);
        }
    }
    sums.retain(|_, sum| *sum != Exact::ZERO);
    sums
}

fn balances(books: &Books, filter: TransactionFilter) -> Sums {
    let mut sums = Sums::new();
    for balance in books.journal.trial_balances(filter) {
        assert_eq!(balance.debits, balance.credits, "{balance:?}");
        sums.extend(
            balance.balances.into_iter().map(|(account, sum)| ((balance.book, account.clone()), sum)),
        );
    }
    sums
}

/// Attos, read from what is written; the numbers of these tests fit.
fn attos(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction:0<18}");
    digits.parse().expect("a number")
}

/// What an export says, by name of account and currency; each of its entries must balance.
fn read_export(text: &str) -> BTreeMap<(String, String), i128> {
    let mut sums = BTreeMap::new();
    for entry in text.split("\n\n") {
        let mut excess = 0;
        for posting in entry.lines().filter(|line| line.starts_with("    ")) {
            let words: Vec<&str> = posting.split_whitespace().collect();
            let [name, amount, code] = words.as_slice() else { panic!("{posting}") };
            let amount = attos(amount);
            excess += amount;
            *sums.entry(((*name).to_owned(), (*code).to_owned())).or_insert(0) += amount;
        }
        assert_eq!(excess, 0, "{entry}");
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_happens_every_transaction_and_every_currency_balances(
        steps in steps(),
        hours in 0_i64..1100,
    ) {
        let books = played(steps);
        prop_assert_eq!(books.journal.check(), Ok(()));
        for transaction in books.journal.transactions(TransactionFilter::default(), None, usize::MAX).items {
            let sum: Exact = transaction.postings().iter().map(|posting| posting.amount).sum();
            prop_assert_eq!(sum, Exact::ZERO, "{:?}", transaction);
        }
        let filter = TransactionFilter { to: Some(instant(hours)), ..TransactionFilter::default() };
        for balance in books.journal.trial_balances(filter) {
            let sum: Exact = balance.balances.iter().map(|(_, sum)| *sum).sum();
            prop_assert_eq!(sum, Exact::ZERO, "{:?}", balance);
        }
    }

    #[test]
    fn a_statement_opens_moves_and_closes(
        steps in steps(),
        (from, hours) in (0_i64..1100, 0_i64..600),
        limit in 1_usize..5,
    ) {
        let books = played(steps);
        let (from, to) = (instant(from), instant(from + hours));
        let up_to = |to| TransactionFilter { to: Some(to), ..TransactionFilter::default() };
        let (before, after) = (balances(&books, up_to(from)), balances(&books, up_to(to)));
        for (book, account) in books.journal.accounts(TransactionFilter::default()).into_keys() {
            let read = |after| books.journal.statement((book, account), (Some(from), Some(to)), after, limit);
            let first = read(None);
            let sum_of = |sums: &Sums| sums.get(&(book, account.clone())).copied().unwrap_or_default();
            prop_assert_eq!((first.opening, first.closing), (sum_of(&before), sum_of(&after)));
            // Page by page, each balance is the one before and what is added.
            let (mut balance, mut page) = (first.opening, first);
            loop {
                for known in &page.moves.items {
                    let at = known.transaction.about().at;
                    prop_assert!(from <= at && at < to, "{}", at);
                    balance = balance.plus(known.amount);
                    prop_assert_eq!(balance, known.balance);
                }
                let Some(next) = page.moves.next else { break };
                page = read(Some(next));
            }
            prop_assert_eq!(balance, page.closing);
        }
    }

    #[test]
    fn debits_equal_credits(documents in prop::collection::vec(invoices(), 1..8)) {
        let books = books_of(&documents);
        prop_assert_eq!(books.journal.check(), Ok(()));
        for transaction in books.journal.transactions(TransactionFilter::default(), None, usize::MAX).items {
            let sum: Exact = transaction.postings().iter().map(|posting| posting.amount).sum();
            prop_assert_eq!(sum, Exact::ZERO);
            let mut accounts: Vec<_> = transaction.postings().iter().map(|posting| &posting.account).collect();
            accounts.dedup();
            prop_assert_eq!(accounts.len(), transaction.postings().len());
            prop_assert!(accounts.is_sorted());
        }
    }

    #[test]
    fn what_is_given_back_leaves_nothing(documents in prop::collection::vec(invoices(), 1..8)) {
        let mut books = books_of(&documents);
        for mut invoice in documents {
            invoice.document = match invoice.document {
                DocumentKind::Invoice => DocumentKind::CreditNote,
                DocumentKind::CreditNote => DocumentKind::Invoice,
            };
            invoice.id = InvoiceId::new("INVCN-2026-000001").expect("an id");
            books.issue(invoice);
        }
        prop_assert_eq!(balances(&books, TransactionFilter::default()), Sums::new());
    }

    #[test]
    fn a_balance_is_the_sum_of_what_was_posted_before(
        documents in prop::collection::vec(invoices(), 1..8),
        hours in 0_i64..1100,
        closed in prop::option::of(0_i64..1100),
    ) {
        let mut books = books_of(&documents);
        if let Some(closed) = closed {
            books.close(&instant(closed).to_string());
        }
        let filter = TransactionFilter { to: Some(instant(hours)), ..TransactionFilter::default() };
        prop_assert_eq!(balances(&books, filter), added_up(&books, filter));
        // And statements end with it.
        for ((book, account), sum) in balances(&books, filter) {
            let statement = books.journal.statement((book, &account), (None, filter.to), None, usize::MAX);
            prop_assert_eq!((statement.opening, statement.closing), (Exact::ZERO, sum));
        }
    }

    #[test]
    fn a_closing_leaves_no_income_and_all_earnings(
        documents in prop::collection::vec(invoices(), 1..8),
        hours in 0_i64..1100,
    ) {
        let mut books = books_of(&documents);
        let filter = TransactionFilter { to: Some(instant(hours)), ..TransactionFilter::default() };
        let before = balances(&books, filter);
        books.close(&instant(hours).to_string());
        let after = balances(&books, filter);
        let is_income = |account: &Account| matches!(account.kind(), AccountKind::Income | AccountKind::Expense);
        prop_assert!(after.keys().all(|(_, account)| !is_income(account)), "{:?}", after);
        let mut expected = Sums::new();
        for ((book, account), sum) in before {
            let account = if is_income(&account) { Account::Earnings } else { account };
            let entry = expected.entry((book, account)).or_default();
            *entry = entry.plus(sum);
        }
        expected.retain(|_, sum| *sum != Exact::ZERO);
        prop_assert_eq!(after, expected);
        prop_assert_eq!(books.journal.check(), Ok(()));
    }

    #[test]
    fn an_export_of_the_rest_adds_up_to_the_whole(
        documents in prop::collection::vec(invoices(), 1..8),
        hours in 0_i64..1100,
    ) {
        let mut books = books_of(&documents);
        books.close(&instant(500).to_string());
        let export = |from| books.journal.export(SELLER, None, (from, None)).write(ExportFormat::Hledger);
        prop_assert_eq!(read_export(&export(None)), read_export(&export(Some(instant(hours)))));
    }
}
