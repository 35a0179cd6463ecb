//! What later documents took of the lines of an invoice, and what then is left to credit, due and prepaid.

use super::notes::{back, last, lines, note, part, sums};
use super::*;
use crate::domain::charge::{ChargeId, RecordCharge};
use crate::domain::credit::{CreditId, CreditKind, GrantCredit, PRIORITY};

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
        kind: CreditKind::Paid,
        priority: PRIORITY,
        expires_at: None,
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

/// A charge by hand that corrects line 1 of INV-2026-000001.
fn corrects(cents: i128) -> RecordCharge {
    RecordCharge {
        seller: PartyId(1),
        customer: PartyId(2),
        currency: Currency::EUR,
        amount: euros(cents),
        description: "a correction".into(),
        cites: Some(LineRef { invoice: number("INV-2026-000001"), line: 1 }),
        as_of: None,
    }
}

fn by_hand(charge: u64) -> LineKind {
    LineKind::OneOff { charge: ChargeId(charge) }
}

/// 10.00 are charged, and 2.00 more later. A charge of -11.00 takes 10.00 of the first line and 1.00 of the second, in
/// lines that together are the charge. Nothing is left to credit of the first: a void gives back nothing, and no more than
/// 1.00 is left of the second.
#[test]
fn what_a_charge_takes_of_lines_is_not_credited_again() {
    let more = november(DocumentKind::Invoice, vec![about(1, 1, LineKind::Adjustment, 200)]);
    let (given, first) = then_november(given().done(grant(1200)), &[1000], more);
    let second = last(&given);
    let corrects_second = |n, cents| InvoiceLine {
        cites: Some(LineRef { invoice: second.id.clone(), line: 1 }),
        ..about(n, 1, corrected(1), cents)
    };
    let lines_of = |rest: InvoiceLine| vec![about(1, 1, corrected(1), 1000), rest];
    let december = OpenInvoiceRun { period: days("2026-12-01", "2027-01-01"), ..open() };
    let given = given.done(corrects(-1100)).done(december).at("2027-01-02T10:00:00Z");
    let note_of = |lines: Vec<InvoiceLine>| Invoice {
        run: RunId(3),
        period: period("2026-12-01T00:00:00Z/2027-01-01T00:00:00Z"),
        ..november(DocumentKind::CreditNote, lines)
    };
    let not_open = InvoiceRefusal::ChargeNotOpen { charge: ChargeId(1) };
    let given = given
        .when(finalise(note_of(vec![about(1, 1, corrected(1), 1000)])))
        .refused(not_open.clone())
        .when(finalise(note_of(lines_of(corrects_second(2, 101)))))
        .refused(not_open);
    let given = given.done(finalise(note_of(lines_of(corrects_second(2, 100)))));
    assert_eq!(last(&given).prepaid, [CreditUsed { credit: CreditId(1), amount: euros(1100) }]);
    assert_eq!(balance(&given, &second.id), (euros(100), euros(100), euros(0)));
    let when = given
        .when(lines(&first, &[part(1, 1)]))
        .refused(InvoiceRefusal::MoreThanLeft { line: 1, left: euros(0) })
        .when(lines(&second, &[part(1, 101)]))
        .refused(InvoiceRefusal::MoreThanLeft { line: 1, left: euros(100) })
        .when(back(&first, GiveBack::All));
    assert_eq!(sums(&note(&when)), (0, 0, 0));
    let given = when.and();
    assert_eq!(left_of_credit(&given), Some(euros(1100)));
}

/// The invoice that has a part of a charge is void: the part has taken nothing.
#[test]
fn a_charge_on_a_void_document_has_taken_nothing() {
    let given = given().done(finalise(draft(2, &[1000])));
    let first = last(&given);
    let run = OpenInvoiceRun { period: days("2026-11-01", "2026-12-01"), ..open() };
    let given = given.done(corrects(-400)).done(run).at("2026-12-02T10:00:00Z");
    let lines_of_november = vec![line(1, 900), about(2, 1, corrected(1), -400)];
    let given = given.done(finalise(november(DocumentKind::Invoice, lines_of_november)));
    let second = last(&given);
    let given = given
        .when(lines(&first, &[part(1, 601)]))
        .refused(InvoiceRefusal::MoreThanLeft { line: 1, left: euros(600) })
        .done(back(&second, GiveBack::All));
    assert_eq!(sums(&last(&given)), (500, 0, 500));
    assert_eq!(sums(&note(&given.when(lines(&first, &[(1, HowMuch::Rest)])))), (1000, 0, 1000));
}

/// A line that stands on a credit note of a run made that note less. What a later note takes of it is given back of the
/// invoice that the first was about: nothing is owed to the customer while prepaid credit has paid.
#[test]
fn what_a_line_of_a_credit_note_charged_returns_where_the_note_returned() {
    let lines = vec![about(1, 1, LineKind::Adjustment, 600), line(2, -450)];
    let (given, first) =
        then_november(given().done(grant(1000)), &[1000], november(DocumentKind::CreditNote, lines));
    let second = last(&given).id;
    assert_eq!(left_of_credit(&given), Some(euros(150)));
    let cites = Some(LineRef { invoice: second, line: 2 });
    let back = InvoiceLine { cites, ..about(1, 1, LineKind::Adjustment, 450) };
    let given = then_december(given, vec![back]);
    assert_eq!(last(&given).due, euros(0));
    assert_eq!(balance(&given, &first.id), (euros(600), euros(400), euros(0)));
    assert_eq!(left_of_credit(&given), Some(euros(600)));
}

fn corrected(charge: u64) -> LineKind {
    LineKind::Correction { charge: ChargeId(charge) }
}

/// The next month after `then_november`.
fn then_december(given: Given, lines: Vec<InvoiceLine>) -> Given {
    let run = OpenInvoiceRun { period: days("2026-12-01", "2027-01-01"), ..open() };
    let of_december = period("2026-12-01T00:00:00Z/2027-01-01T00:00:00Z");
    let december = november(DocumentKind::CreditNote, lines);
    let december = Invoice { run: RunId(3), period: of_december, ..december };
    given.done(run).at("2027-01-02T10:00:00Z").done(finalise(december))
}

fn left_of_credit(given: &Given) -> Option<Amount> {
    given.project().credits.get(CreditId(1)).map(|credit| credit.left)
}

fn balance(given: &Given, invoice: &InvoiceId) -> (Amount, Amount, Amount) {
    let balance = given.project().invoices.balances.get(invoice).expect("a balance");
    (balance.credited, balance.paid(), balance.due)
}

/// 10.00, and 2.00 more that came late or were charged by hand, are prepaid. Then 1.00 is right: 10.00 go back of the first
/// invoice and 1.00 of the second.
#[test]
fn a_correction_below_what_is_left_of_the_line_returns_prepaid_credit() {
    for charged in [LineKind::Adjustment, by_hand(1)] {
        let given = given().done(grant(1200));
        let given =
            if charged == LineKind::Adjustment { given } else { given.done(finalise(draft(2, &[1000]))) };
        let lines = vec![about(1, 1, charged.clone(), 200)];
        let (given, charge) = if charged == LineKind::Adjustment {
            let (given, _) = then_november(given, &[1000], november(DocumentKind::Invoice, lines));
            (given, 1)
        } else {
            let run = OpenInvoiceRun { period: days("2026-11-01", "2026-12-01"), ..open() };
            let given = given.done(corrects(200)).done(run).at("2026-12-02T10:00:00Z");
            (given.done(finalise(november(DocumentKind::Invoice, lines))), 2)
        };
        let (first, second) = (number("INV-2026-000001"), last(&given).id);
        let open = balance(&given, &second);
        assert_eq!((open, left_of_credit(&given)), ((euros(0), euros(200), euros(0)), Some(euros(0))));
        let given = then_december(given.done(corrects(-1100)), vec![about(1, 1, by_hand(charge), 1100)]);
        let note = last(&given);
        assert_eq!(note.prepaid, [CreditUsed { credit: CreditId(1), amount: euros(1100) }]);
        assert_eq!((note.total, note.due), (euros(1100), euros(0)));
        assert_eq!(balance(&given, &first), (euros(1000), euros(0), euros(0)));
        assert_eq!(balance(&given, &second), (euros(100), euros(100), euros(0)));
        assert_eq!(left_of_credit(&given), Some(euros(1100)));
    }
}

/// Nothing was prepaid: what is due is lowered.
#[test]
fn a_correction_below_what_is_left_of_the_line_lowers_what_is_due() {
    let more = november(DocumentKind::Invoice, vec![about(1, 1, LineKind::Adjustment, 200)]);
    let (given, first) = then_november(given(), &[1000], more);
    let second = last(&given).id;
    let given = then_december(given.done(corrects(-1100)), vec![about(1, 1, by_hand(1), 1100)]);
    assert_eq!((last(&given).prepaid, last(&given).due), (vec![], euros(1100)));
    assert_eq!(balance(&given, &first.id), (euros(1000), euros(0), euros(0)));
    assert_eq!(balance(&given, &second), (euros(100), euros(0), euros(100)));
}

/// A discount that corrects no line is no credit of any invoice.
#[test]
fn a_discount_is_about_no_invoice() {
    let discount = RecordCharge { cites: None, ..corrects(-300) };
    let given = given().done(grant(1000)).done(discount);
    let line = InvoiceLine { cites: None, ..about(1, 1, by_hand(1), 300) };
    let (given, first) = then_november(given, &[1000], november(DocumentKind::CreditNote, vec![line]));
    assert_eq!((last(&given).prepaid, last(&given).due), (vec![], euros(300)));
    assert_eq!(balance(&given, &first.id), (euros(0), euros(1000), euros(0)));
}

#[test]
fn a_line_of_a_void_document_is_not_corrected() {
    let given = given().done(finalise(draft(2, &[1000])));
    let invoice = last(&given);
    let given = given.done(corrects(100)).done(back(&invoice, GiveBack::All));
    given
        .when(corrects(100))
        .refused(InvoiceRefusal::Void { invoice: invoice.id })
        .when(RecordCharge { cites: None, ..corrects(100) })
        .answered(&Answer::Charge(ChargeId(2)));
}
