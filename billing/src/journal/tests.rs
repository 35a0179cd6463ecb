//! Transactions, balances and statements with numbers worked out by hand.

use slapledger_core::domain::credit::CreditKind;
use slapledger_core::domain::id::{InvoiceId, Sequence};
use slapledger_core::domain::invoice::{DocumentKind, Invoice, InvoiceLine};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::time::Timestamp;
use slapledger_projections::View;

use super::testing::{Books, CUSTOMER, SELLER, at, currency, document, line, prepaid};
use super::{Account, Book, Journal, TransactionFilter, TransactionId, amount_text};

const ALL: TransactionFilter = TransactionFilter { from: None, to: None, seller: None, currency: None };

fn invoice(code: &str, lines: Vec<InvoiceLine>) -> Invoice {
    document(DocumentKind::Invoice, "INV-2026-000001", code, lines)
}

/// Half a month of a fee, 5.16129032, and usage: rounded to 5.16 and 0.01; tax of 20 percent on 5.17.
fn taxed() -> Invoice {
    let lines = vec![
        line("recurring", ("0.516129032", "10.00"), "EUR", "S 20"),
        line("service_module/requests", ("2.5", "0.002"), "EUR", "S 20"),
    ];
    invoice("EUR", lines)
}

#[track_caller]
fn check(books: &Books, code: &str, expected: &[(&str, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|(name, sum)| ((*name).to_owned(), (*sum).to_owned())).collect();
    assert_eq!(books.balances(ALL, code), expected);
    books.journal.check().expect("everything could be posted");
}

fn noted(mut books: Books, mut invoice: Invoice) -> Books {
    invoice.document = DocumentKind::CreditNote;
    invoice.id = InvoiceId::new("INVCN-2026-000001").expect("an id");
    books.issue(invoice);
    books
}

#[test]
fn an_invoice_earns_exact_prices_and_what_rounding_added() {
    let mut books = Books::of_seller_in("UTC");
    books.issue(taxed());
    // 5.17 x 20 % = 1.034; residues 5.16 - 5.16129032 + 0.01 - 0.005.
    let expected = [
        ("Assets:Receivable:PARTY-2", "6.20"),
        ("Liabilities:Tax:S:20", "-1.03"),
        ("Income:Recurring", "-5.16129032"),
        ("Income:Usage:service_module/requests", "-0.005"),
        ("Income:Rounding", "-0.00370968"),
    ];
    check(&books, "EUR", &expected);
    let transactions = books.journal.transactions(ALL, None, 10).items;
    let [transaction] = transactions.as_slice() else { panic!("{transactions:?}") };
    assert_eq!(transaction.about().cause.to_string(), "Invoice INV-2026-000001");
    assert_eq!(transaction.about().at, at("2026-11-02T09:00:00Z"));
    assert_eq!(transaction.postings().len(), 5);

    // Nothing is left in any account when all is given back.
    let books = noted(books, taxed());
    check(&books, "EUR", &[]);
    assert_eq!(books.journal.accounts(ALL).len(), 5);
}

#[test]
fn lines_that_come_before_their_document_count_as_its_own() {
    for of in [1, 2, 5] {
        let mut whole = Books::of_seller_in("UTC");
        whole.issue(taxed());
        let mut parts = Books::of_seller_in("UTC");
        parts.issue_in_parts(taxed(), of);
        assert_eq!(parts.balances(ALL, "EUR"), whole.balances(ALL, "EUR"), "{of}");
        parts.journal.check().expect("it could be posted");
    }
}

/// 50.00 were paid and 30.00 given; the invoice of 6.20 takes 4.00 and 2.20. Then 46.00 of what was paid are earned, and
/// 20.00 of what was given never cost anything; the rest, 7.80, is withdrawn.
#[test]
fn what_expires_of_promotional_credit_did_not_cost_anything() {
    let mut books = Books::of_seller_in("UTC");
    books.grant_of(CreditKind::Paid, 1, 5_000, "EUR");
    books.grant_of(CreditKind::Promotional, 2, 3_000, "EUR");
    let granted = [
        ("Assets:Clearing", "50.00"),
        ("Liabilities:Prepaid:PARTY-2", "-80.00"),
        ("Expenses:Promotions", "30.00"),
    ];
    check(&books, "EUR", &granted);
    books.issue(prepaid(prepaid(taxed(), 1, 400), 2, 220));
    books.expire(1, 4_600, "EUR");
    books.expire(2, 2_000, "EUR");
    books.withdraw(2, 780, "EUR");
    let expected = [
        ("Assets:Clearing", "50.00"),
        ("Liabilities:Tax:S:20", "-1.03"),
        ("Income:Recurring", "-5.16129032"),
        ("Income:Usage:service_module/requests", "-0.005"),
        ("Income:Breakage", "-46.00"),
        ("Income:Rounding", "-0.00370968"),
        ("Expenses:Promotions", "2.20"),
    ];
    check(&books, "EUR", &expected);
    // 2.20 of expenses lower what is earned.
    books.close("2026-12-01T00:00:00Z");
    let closed =
        [("Assets:Clearing", "50.00"), ("Liabilities:Tax:S:20", "-1.03"), ("Equity:Earnings", "-48.97")];
    check(&books, "EUR", &closed);
}

#[test]
fn reverse_charge_posts_no_tax() {
    let mut books = Books::of_seller_in("UTC");
    books.issue(invoice("EUR", vec![line("recurring", ("1", "10.00"), "EUR", "AE")]));
    check(&books, "EUR", &[("Assets:Receivable:PARTY-2", "10.00"), ("Income:Recurring", "-10.00")]);
}

#[test]
fn every_kind_of_line_has_its_account() {
    let mut books = Books::of_seller_in("UTC");
    let kinds = ["recurring", "advance", "a/b", "c", "percentage", "minimum", "adjustment", "one_off"];
    let mut lines: Vec<_> = kinds.into_iter().map(|kind| line(kind, ("1", "1.00"), "EUR", "O")).collect();
    lines.push(line("one_off", ("-3", "1.00"), "EUR", "O"));
    books.issue(invoice("EUR", lines));
    let expected = [
        ("Assets:Receivable:PARTY-2", "5.00"),
        ("Income:Recurring", "-2.00"),
        ("Income:Usage:a/b", "-1.00"),
        ("Income:Usage:c", "-1.00"),
        ("Income:Percentage", "-1.00"),
        ("Income:Minimum", "-1.00"),
        ("Income:Adjustments", "-1.00"),
        ("Income:OneOff", "2.00"),
    ];
    check(&books, "EUR", &expected);
}

#[test]
fn prepaid_credit_pays_what_is_owed() {
    let mut books = Books::of_seller_in("UTC");
    books.grant(1, 10_000, "EUR");
    check(&books, "EUR", &[("Assets:Clearing", "100.00"), ("Liabilities:Prepaid:PARTY-2", "-100.00")]);
    books.issue(prepaid(invoice("EUR", vec![line("recurring", ("3", "10.00"), "EUR", "O")]), 1, 3000));
    let paid = [
        ("Assets:Clearing", "100.00"),
        ("Liabilities:Prepaid:PARTY-2", "-70.00"),
        ("Income:Recurring", "-30.00"),
    ];
    check(&books, "EUR", &paid);
    // A credit note gives prepaid credit back.
    let given = prepaid(invoice("EUR", vec![line("recurring", ("1", "10.00"), "EUR", "O")]), 1, 1000);
    books = noted(books, given);
    books.withdraw(1, 8000, "EUR");
    check(&books, "EUR", &[("Assets:Clearing", "20.00"), ("Income:Recurring", "-20.00")]);
    let words: Vec<String> = books
        .journal
        .transactions(ALL, None, 10)
        .items
        .iter()
        .map(|transaction| transaction.about().cause.to_string())
        .collect();
    assert_eq!(
        words,
        [
            "Prepaid credit CREDIT-1: paid; before | all",
            "Invoice INV-2026-000001",
            "Credit note INVCN-2026-000001",
            "Prepaid credit CREDIT-1 withdrawn: moved \"away\"\nfor good",
        ]
    );
}

#[test]
fn currencies_have_books_of_their_own() {
    let mut books = Books::of_seller_in("UTC");
    // 33.5 yen become 34; 0.0015 dinars become 0.002.
    books.issue(invoice("JPY", vec![line("recurring", ("1", "33.5"), "JPY", "S 10")]));
    books.issue(invoice("TND", vec![line("c", ("3", "0.0005"), "TND", "O")]));
    let yen = [
        ("Assets:Receivable:PARTY-2", "37"),
        ("Liabilities:Tax:S:10", "-3"),
        ("Income:Recurring", "-33.5"),
        ("Income:Rounding", "-0.5"),
    ];
    check(&books, "JPY", &yen);
    let dinars = [
        ("Assets:Receivable:PARTY-2", "0.002"),
        ("Income:Usage:c", "-0.0015"),
        ("Income:Rounding", "-0.0005"),
    ];
    check(&books, "TND", &dinars);
    let codes: Vec<_> =
        books.journal.trial_balances(ALL).iter().map(|balance| balance.book.currency.to_string()).collect();
    assert_eq!(codes, ["JPY", "TND"]);
}

#[test]
fn a_total_that_is_rounded_to_be_paid_is_income_of_rounding() {
    let mut books = Books::of_seller_in("UTC");
    let mut invoice = invoice("EUR", vec![line("recurring", ("1", "9.98"), "EUR", "O")]);
    invoice.rounding = Amount::from_minor(2, Currency::EUR);
    invoice.total = Amount::from_minor(1000, Currency::EUR);
    books.issue(invoice);
    let expected =
        [("Assets:Receivable:PARTY-2", "10.00"), ("Income:Recurring", "-9.98"), ("Income:Rounding", "-0.02")];
    check(&books, "EUR", &expected);
}

#[test]
fn what_does_not_add_up_is_a_fault_and_no_transaction() {
    let mut books = Books::of_seller_in("UTC");
    let mut wrong = taxed();
    wrong.total = Amount::from_minor(621, Currency::EUR);
    books.issue(wrong);
    books.issue(taxed());
    let fault = books.journal.check().expect_err("a cent too much");
    assert_eq!(fault.to_string(), "post the event at sequence 2: debits exceed credits by 0.01");
    assert_eq!(books.journal.transactions(ALL, None, 10).items.len(), 1);

    let mut books = Books::of_seller_in("UTC");
    books.withdraw(7, 1, "EUR");
    let fault = books.journal.check().expect_err("never granted");
    assert_eq!(fault.to_string(), "post the event at sequence 2: there is no prepaid credit CREDIT-7");
}

#[test]
fn a_closing_moves_income_to_earnings() {
    let mut books = Books::of_seller_in("Europe/Paris");
    books.issue(taxed());
    let mut december = taxed();
    december.issued_at = at("2026-12-01T00:00:00Z");
    books.issue(december);
    books.issue(invoice("JPY", vec![line("recurring", ("1", "33.5"), "JPY", "O")]));
    // Midnight of 1 December in Paris.
    books.close("2026-11-30T23:00:00Z");
    let before = TransactionFilter { to: Some(at("2026-11-30T23:00:00Z")), ..ALL };
    let closed = [
        ("Assets:Receivable:PARTY-2", "6.20"),
        ("Liabilities:Tax:S:20", "-1.03"),
        ("Equity:Earnings", "-5.17"),
    ];
    let own = |rows: &[(&str, &str)]| -> Vec<(String, String)> {
        rows.iter().map(|(name, sum)| ((*name).to_owned(), (*sum).to_owned())).collect()
    };
    assert_eq!(books.balances(before, "EUR"), own(&closed));
    let yen = [("Assets:Receivable:PARTY-2", "34"), ("Equity:Earnings", "-34")];
    assert_eq!(books.balances(before, "JPY"), own(&yen));
    // As it was a microsecond earlier: not closed yet.
    let open = TransactionFilter { to: Some(at("2026-11-30T22:59:59.999999Z")), ..ALL };
    assert_eq!(books.balances(open, "EUR")[2].0, "Income:Recurring");
    // What came later is still income.
    let later = [
        ("Assets:Receivable:PARTY-2", "12.40"),
        ("Liabilities:Tax:S:20", "-2.06"),
        ("Equity:Earnings", "-5.17"),
        ("Income:Recurring", "-5.16129032"),
        ("Income:Usage:service_module/requests", "-0.005"),
        ("Income:Rounding", "-0.00370968"),
    ];
    check(&books, "EUR", &later);
    // Closed again up to a later day, only what is new moves.
    books.close("2026-12-23T23:00:00Z");
    let end = [
        ("Assets:Receivable:PARTY-2", "12.40"),
        ("Liabilities:Tax:S:20", "-2.06"),
        ("Equity:Earnings", "-10.34"),
    ];
    check(&books, "EUR", &end);
    let ids: Vec<String> = books
        .journal
        .transactions(ALL, None, 10)
        .items
        .iter()
        .map(|transaction| format!("{} {}", transaction.id(), transaction.about().cause))
        .collect();
    assert_eq!(
        ids[3..],
        [
            "5.EUR Accounts closed until 2026-11-30T23:00:00Z",
            "5.JPY Accounts closed until 2026-11-30T23:00:00Z",
            "6.EUR Accounts closed until 2026-12-23T23:00:00Z",
        ]
    );
}

#[test]
fn a_statement_has_every_move_and_the_balance_after_it() {
    let mut books = Books::of_seller_in("UTC");
    for (day, n) in [("2026-10-01", 1), ("2026-10-02", 2), ("2026-10-02", 3), ("2026-11-01", 4)] {
        let mut one = invoice("EUR", vec![line("recurring", (&n.to_string(), "10.00"), "EUR", "O")]);
        one.issued_at = at(&format!("{day}T00:00:00Z"));
        books.issue(one);
    }
    books.close("2026-10-02T00:00:00Z");
    let book = Book { seller: SELLER, currency: Currency::EUR };
    let rows = |account: &Account, from: Option<&str>, to: Option<&str>, after, limit| {
        let statement = books.journal.statement((book, account), (from.map(at), to.map(at)), after, limit);
        let text = |sum| amount_text(sum, Currency::EUR);
        let moves: Vec<_> = statement
            .moves
            .items
            .iter()
            .map(|known| (known.transaction.id().sequence.0, text(known.amount), text(known.balance)))
            .collect();
        (text(statement.opening), moves, text(statement.closing), statement.moves.next)
    };
    let (owed, day) = (Account::Receivable(CUSTOMER), Some("2026-10-02T00:00:00Z"));
    let row = |sequence, amount: &str, balance: &str| (sequence, amount.to_owned(), balance.to_owned());
    let month = rows(&owed, day, Some("2026-11-01T00:00:00Z"), None, 10);
    let expected = vec![row(3, "20.00", "30.00"), row(4, "30.00", "60.00")];
    assert_eq!(month, ("10.00".to_owned(), expected, "60.00".to_owned(), None));
    let next = Some(TransactionId { sequence: Sequence(3), currency: Currency::EUR });
    let page = rows(&owed, day, None, None, 1);
    assert_eq!(page, ("10.00".into(), vec![row(3, "20.00", "30.00")], "100.00".into(), next));
    let page = rows(&owed, day, None, next, 1);
    assert_eq!(page.1, [row(4, "30.00", "60.00")]);
    // The closing comes last in the log, and second by date.
    let income = "Income:Recurring".parse().expect("an account");
    let all = rows(&income, None, day, None, 10);
    assert_eq!(all.1, [row(2, "-10.00", "-10.00"), row(6, "10.00", "0.00")]);
}

#[test]
fn transactions_are_paged_by_event_and_currency() {
    let mut books = Books::of_seller_in("UTC");
    for code in ["EUR", "JPY", "TND"] {
        books.issue(invoice(code, vec![line("recurring", ("1", "10"), code, "O")]));
    }
    books.close("2026-12-01T00:00:00Z");
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = books.journal.transactions(ALL, after, 2);
        assert!(page.items.len() <= 2);
        seen.extend(page.items.iter().map(|transaction| transaction.id().to_string()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["2.EUR", "3.JPY", "4.TND", "5.EUR", "5.JPY", "5.TND"]);
    let filter =
        TransactionFilter { currency: Some(currency("TND")), to: Some(at("2026-11-03T00:00:00Z")), ..ALL };
    let found = books.journal.transactions(filter, None, 9).items;
    assert_eq!(found.iter().map(|transaction| transaction.id().to_string()).collect::<Vec<_>>(), ["4.TND"]);
}

#[test]
fn the_journal_comes_back_from_its_bytes() {
    let mut books = Books::of_seller_in("Europe/Paris");
    books.grant(1, 10_000, "EUR");
    books.issue(prepaid(taxed(), 1, 100));
    books.close("2026-12-01T00:00:00Z");
    let bytes = books.journal.snapshot();
    assert_eq!(Journal::restore(&bytes), Some(books.journal));
}

/// 10,000 invoices of 30 lines: the trial balance is a sum over postings, not over lines.
#[test]
fn a_year_of_invoices_is_summed_at_once() {
    let mut books = Books::of_seller_in("UTC");
    let lines: Vec<_> = (0..30)
        .map(|n| line(["recurring", "a", "b", "c"][n % 4], ("1.333", "0.017"), "EUR", "S 20"))
        .collect();
    for _ in 0..10_000 {
        books.issue(invoice("EUR", lines.clone()));
    }
    let started = std::time::Instant::now();
    let balances = books.balances(TransactionFilter { to: Some(Timestamp::MAX), ..ALL }, "EUR");
    let took = started.elapsed();
    // 30 lines of 0.02 and 20 percent.
    assert_eq!(balances[0], ("Assets:Receivable:PARTY-2".to_owned(), "7200.00".to_owned()));
    println!("a trial balance over 10,000 invoices of 30 lines took {took:?}");
    assert!(took.as_secs() < 1, "{took:?}");
}
