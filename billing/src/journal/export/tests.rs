//! Exports as they are written; `tests/journal` has the programs read them.

use super::super::testing::{Books, SELLER, at, document, line, prepaid};
use super::*;
use slapledger_core::domain::invoice::DocumentKind;

/// A seller in Paris: credit, an invoice in euros that it pays in part, one in yen, and books closed up to December.
fn books() -> Books {
    let mut books = Books::of_seller_in("Europe/Paris");
    books.grant(1, 500, "EUR");
    let lines = vec![
        line("recurring", ("0.516129032", "10.00"), "EUR", "S 5.5"),
        line("service_module/requests", ("2.5", "0.002"), "EUR", "S 5.5"),
    ];
    let mut invoice = document(DocumentKind::Invoice, "INV-2026-000001", "EUR", lines);
    // Half past midnight of the 2nd in Paris.
    invoice.issued_at = at("2026-11-01T23:30:00Z");
    books.issue(prepaid(invoice, 1, 100));
    let yen = vec![line("recurring", ("1", "33.5"), "JPY", "O")];
    books.issue(document(DocumentKind::Invoice, "INV-2026-000002", "JPY", yen));
    books.withdraw(1, 400, "EUR");
    books.close("2026-11-30T23:00:00Z");
    books
}

fn export(format: ExportFormat, from: Option<&str>) -> String {
    books().journal.export(SELLER, None, (from.map(at), None)).write(format)
}

#[test]
fn hledger_is_told_everything_it_needs() {
    let expected = "\
; Books of PARTY-1

decimal-mark .

tag sequence

commodity 1000.00000000 EUR
commodity 1000.0 JPY

account Assets:Receivable:PARTY-2  ; type: A
account Assets:Clearing  ; type: A
account Liabilities:Prepaid:PARTY-2  ; type: L
account Liabilities:Tax:S:5-5  ; type: L
account Equity:Earnings  ; type: E
account Income:Recurring  ; type: R
; service_module/requests
account Income:Usage:Service-module:Requests  ; type: R
account Income:Rounding  ; type: R

2026-10-05 * Prepaid credit CREDIT-1: paid, before / all  ; sequence: 2
    Assets:Clearing                                                       5.00 EUR
    Liabilities:Prepaid:PARTY-2                                          -5.00 EUR

2026-11-02 * (INV-2026-000001) Invoice INV-2026-000001  ; sequence: 3
    Assets:Receivable:PARTY-2                                             4.45 EUR
    Liabilities:Prepaid:PARTY-2                                           1.00 EUR
    Liabilities:Tax:S:5-5                                                -0.28 EUR
    Income:Recurring                                               -5.16129032 EUR
    Income:Usage:Service-module:Requests                                -0.005 EUR
    Income:Rounding                                                -0.00370968 EUR

2026-11-02 * (INV-2026-000002) Invoice INV-2026-000002  ; sequence: 4
    Assets:Receivable:PARTY-2                                               34 JPY
    Income:Recurring                                                     -33.5 JPY
    Income:Rounding                                                       -0.5 JPY

2026-11-20 * Prepaid credit CREDIT-1 withdrawn: moved \"away\" for good  ; sequence: 5
    Assets:Clearing                                                      -4.00 EUR
    Liabilities:Prepaid:PARTY-2                                           4.00 EUR

2026-11-30 * Accounts closed until 2026-11-30T23:00:00Z  ; sequence: 6
    Equity:Earnings                                                      -5.17 EUR
    Income:Recurring                                                5.16129032 EUR
    Income:Usage:Service-module:Requests                                 0.005 EUR
    Income:Rounding                                                 0.00370968 EUR

2026-11-30 * Accounts closed until 2026-11-30T23:00:00Z  ; sequence: 6
    Equity:Earnings                                                        -34 JPY
    Income:Recurring                                                      33.5 JPY
    Income:Rounding                                                        0.5 JPY
";
    assert_eq!(export(ExportFormat::Hledger, None), expected);
}

#[test]
fn ledger_is_told_everything_it_needs() {
    let expected = "\
; Books of PARTY-1

tag sequence

commodity EUR
    format 1000.00 EUR
commodity JPY
    format 1000 JPY

account Assets:Receivable:PARTY-2
account Assets:Clearing
account Liabilities:Tax:S:5-5
account Equity:Earnings

2026-12-01 * Opening balances
    Assets:Receivable:PARTY-2                                             4.45 EUR
    Assets:Clearing                                                       1.00 EUR
    Liabilities:Tax:S:5-5                                                -0.28 EUR
    Equity:Earnings                                                      -5.17 EUR

2026-12-01 * Opening balances
    Assets:Receivable:PARTY-2                                               34 JPY
    Equity:Earnings                                                        -34 JPY
";
    assert_eq!(export(ExportFormat::Ledger, Some("2026-11-30T23:00:00Z")), expected);
    let whole = export(ExportFormat::Ledger, None);
    let invoice = "\n2026-11-02 * (INV-2026-000002) Invoice INV-2026-000002\n    ; sequence: 4\n    Assets";
    assert!(whole.contains(invoice), "{whole}");
    assert!(whole.contains("    format 1000.00000000 EUR\n"), "{whole}");
}

#[test]
fn beancount_is_told_everything_it_needs() {
    let expected = "\
option \"title\" \"Books of PARTY-1\"
option \"operating_currency\" \"EUR\"
option \"operating_currency\" \"JPY\"
option \"tolerance_multiplier\" \"0\"

2026-11-02 commodity EUR
2026-11-02 commodity JPY

2026-11-02 open Assets:Receivable:PARTY-2 EUR,JPY
2026-11-02 open Assets:Clearing EUR
2026-11-02 open Liabilities:Prepaid:PARTY-2 EUR
2026-11-02 open Liabilities:Tax:S:5-5 EUR
2026-11-02 open Equity:Earnings EUR,JPY
2026-11-02 open Income:Recurring EUR,JPY
2026-11-02 open Income:Usage:Service-module:Requests EUR
  resource: \"service_module/requests\"
2026-11-02 open Income:Rounding EUR,JPY

2026-11-02 * \"Opening balances\"
  Assets:Clearing                                                       5.00 EUR
  Liabilities:Prepaid:PARTY-2                                          -5.00 EUR

2026-11-02 * \"Invoice INV-2026-000001\"
  document: \"INV-2026-000001\"
  sequence: 3
";
    let text = export(ExportFormat::Beancount, Some("2026-11-01T23:30:00Z"));
    assert!(text.starts_with(expected), "{text}");
    let withdrawn = "2026-11-20 * \"Prepaid credit CREDIT-1 withdrawn: moved \\\"away\\\" for good\"\n";
    assert!(text.contains(withdrawn), "{text}");
}

#[test]
fn books_without_entries_are_texts_too() {
    let books = Books::of_seller_in("UTC");
    let export = books.journal.export(SELLER, None, (None, None));
    assert_eq!(export.write(ExportFormat::Ledger), "; Books of PARTY-1\n\ntag sequence\n\n\n");
    assert!(export.write(ExportFormat::Hledger).starts_with("; Books of PARTY-1\n"));
    assert!(export.write(ExportFormat::Beancount).starts_with("option \"title\" \"Books of PARTY-1\"\n"));
}

#[test]
fn a_zone_that_begins_to_count_shows_no_day_twice() {
    // Honolulu is behind Paris: the first hours of its December are still the 30th there.
    let mut calendar = Calendar::of("Europe/Paris".parse().expect("a zone"));
    let december = at("2026-11-30T23:00:00Z");
    calendar.change(december, "Pacific/Honolulu".parse().expect("a zone"));
    let day = |instant: Timestamp| day_of(&calendar, instant).to_string();
    assert_eq!(day(december.plus_micros(-1)), "2026-11-30");
    assert_eq!(day(december), "2026-12-01");
    assert_eq!(day(at("2026-12-02T09:59:59Z")), "2026-12-01");
    assert_eq!(day(at("2026-12-02T10:00:00Z")), "2026-12-02");
}
