//! What later documents took of the lines of an invoice, and what then is left to credit, due and prepaid.

use super::notes::{back, last, lines, note, part, sums};
use super::*;
use crate::domain::credit::{CreditId, GrantCredit};

/// The draft of RUN-2, about November, with these lines.
fn november(document: DocumentKind, lines: Vec<InvoiceLine>) -> Invoice {
    let cents: Vec<i128> = lines.iter().map(|line| line.amount.minor()).collect();
    let of_november = period("2026-11-01T00:00:00Z/2026-12-01T00:00:00Z");
    Invoice { run: RunId(2), document, period: of_november, lines, ..draft(2, &cents) }
}

/// A line of a run about line `of` of INV-2026-000001.
fn about(n: u32, of: u32, kind: LineKind, cents: i128) -> InvoiceLine {
    let cites = Some(LineRef { invoice: number("INV-2026-000001"), line: of });
    InvoiceLine { kind, cites, unit_price: None, ..line(n, cents) }
}

/// October with these lines, and then a document of November.
fn then_november(given: Given, october: &[i128], november: Invoice) -> (Given, Invoice) {
    let given = given.done(finalise(draft(2, october)));
    let invoice = last(&given);
    let run = OpenInvoiceRun { period: days("2026-11-01", "2026-12-01"), ..open() };
    (given.done(run).at("2026-12-02T10:00:00Z").done(finalise(november)), invoice)
}

fn grant(cents: i128) -> GrantCredit {
    GrantCredit {
        seller: PartyId(1),
        customer: PartyId(2),
        currency: Currency::EUR,
        amount: euros(cents),
        description: "paid in advance".into(),
    }
}

/// The advance of 30.00 was settled by November: it cannot be credited again, and a void leaves it out.
#[test]
fn what_a_run_settled_is_not_credited_again() {
    let settles = vec![line(1, 6968), about(2, 2, LineKind::Advance, -3000), line(3, 9000)];
    let (given, invoice) = then_november(given(), &[1000, 3000], november(DocumentKind::Invoice, settles));
    let when = given
        .when(lines(&invoice, &[(2, HowMuch::Rest)]))
        .refused(InvoiceRefusal::MoreThanLeft { line: 2, left: euros(0) })
        .when(back(&invoice, GiveBack::All));
    assert_eq!(sums(&note(&when)), (1000, 0, 1000));
    assert!(note(&when).cites.is_some_and(|cites| cites.all));
}

/// 10.00 were adjusted to 4.00: that is what is left to credit, by a part, by all, or down to an amount.
#[test]
fn what_a_run_adjusted_is_not_credited_again() {
    let adjusted = || november(DocumentKind::CreditNote, vec![about(1, 1, LineKind::Adjustment, 600)]);
    let (given, invoice) = then_november(given(), &[1000], adjusted());
    let when = given
        .when(lines(&invoice, &[part(1, 401)]))
        .refused(InvoiceRefusal::MoreThanLeft { line: 1, left: euros(400) })
        .when(lines(&invoice, &[(1, HowMuch::DownTo(euros(300)))]));
    assert_eq!(sums(&note(&when)), (100, 0, 100));
    let when = when.and().when(lines(&invoice, &[(1, HowMuch::Rest)]));
    assert_eq!(sums(&note(&when)), (300, 0, 300));
    when.and().when(back(&invoice, GiveBack::All)).refused(InvoiceRefusal::Void { invoice: invoice.id });
}

/// What charges more is a line of its own, and takes nothing.
#[test]
fn an_adjustment_that_charges_more_takes_nothing() {
    let more = november(DocumentKind::Invoice, vec![about(1, 1, LineKind::Adjustment, 500)]);
    let (given, invoice) = then_november(given(), &[1000], more);
    let more = last(&given);
    let when = given.when(lines(&invoice, &[(1, HowMuch::Rest)]));
    assert_eq!(sums(&note(&when)), (1000, 0, 1000));
    assert_eq!(sums(&note(&when.and().when(lines(&more, &[(1, HowMuch::Rest)])))), (500, 0, 500));
}

/// The invoice that had adjusted is void: it has taken nothing.
#[test]
fn what_is_void_has_taken_nothing() {
    let less = november(DocumentKind::Invoice, vec![line(1, 1000), about(2, 1, LineKind::Adjustment, -600)]);
    let (given, invoice) = then_november(given(), &[1000], less);
    let less = last(&given);
    let when = given.when(back(&less, GiveBack::All));
    assert_eq!(sums(&note(&when)), (400, 0, 400));
    assert_eq!(sums(&note(&when.and().when(lines(&invoice, &[(1, HowMuch::Rest)])))), (1000, 0, 1000));
}

/// 1.00 and -3.00 are left: the void gives 1.00 less 1.00, and the next run settles the rest.
#[test]
fn a_void_never_asks_for_money() {
    let less = november(DocumentKind::CreditNote, vec![about(1, 1, LineKind::Adjustment, 900)]);
    let (given, invoice) = then_november(given(), &[1000, -300], less);
    let when = given.when(back(&invoice, GiveBack::All));
    let amounts: Vec<i128> = note(&when).lines.iter().map(|line| line.amount.minor()).collect();
    assert_eq!((amounts, sums(&note(&when))), (vec![100, -100], (0, 0, 0)));
    when.and().when(back(&invoice, GiveBack::All)).refused(InvoiceRefusal::Void { invoice: invoice.id });
}

/// Nothing is left, and the period can still be freed: the note has a line about nothing.
#[test]
fn what_was_adjusted_to_nothing_can_be_void() {
    let less = november(DocumentKind::CreditNote, vec![about(1, 1, LineKind::Adjustment, 1000)]);
    let (given, invoice) = then_november(given(), &[1000], less);
    let when = given.when(back(&invoice, GiveBack::All));
    assert_eq!((note(&when).lines.len(), sums(&note(&when))), (1, (0, 0, 0)));
    when.and()
        .done(open())
        .when(finalise(Invoice { run: RunId(3), ..draft(2, &[900]) }))
        .answered(&issued("INV-2026-000002"));
}

/// 7.00 of 10.00 were prepaid. A run gives 6.00 back: 3.00 that are due, and 3.00 that go back to the newest credit.
#[test]
fn a_note_of_a_run_returns_prepaid_credit() {
    let given = given().done(grant(300)).done(grant(400));
    let less = november(DocumentKind::CreditNote, vec![about(1, 1, LineKind::Adjustment, 600)]);
    let (given, invoice) = then_november(given, &[1000], less);
    let note = last(&given);
    assert_eq!(note.prepaid, [CreditUsed { credit: CreditId(2), amount: euros(300) }]);
    assert_eq!((note.total, note.due), (euros(600), euros(300)));
    let left = [1, 2].map(|credit| given.project().credits.get(CreditId(credit)).map(|credit| credit.left));
    assert_eq!(left, [Some(euros(0)), Some(euros(300))]);
    let balance = given.project().invoices.balances.get(&invoice.id).expect("a balance");
    let used = |credit, cents| CreditUsed { credit: CreditId(credit), amount: euros(cents) };
    assert_eq!((balance.credited, balance.due), (euros(600), euros(0)));
    assert_eq!(balance.prepaid, [used(1, 300), used(2, 100)]);
    // A void returns the rest.
    let when = given.when(back(&invoice, GiveBack::All));
    assert_eq!(super::notes::note(&when).prepaid, [used(2, 100), used(1, 300)]);
}

/// It returns no more than its own total, however much its lines give back: what it charges is paid with them.
#[test]
fn a_note_of_a_run_returns_no_more_than_its_total() {
    let lines = vec![about(1, 1, LineKind::Adjustment, 600), line(2, -450)];
    let (given, _) =
        then_november(given().done(grant(1000)), &[1000], november(DocumentKind::CreditNote, lines));
    let note = last(&given);
    assert_eq!((note.total, note.due), (euros(150), euros(0)));
    assert_eq!(note.prepaid, [CreditUsed { credit: CreditId(1), amount: euros(150) }]);
}
