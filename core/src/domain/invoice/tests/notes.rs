//! Credit notes by hand: whole lines, parts of lines, corrections, voids.

use proptest::prelude::*;

use super::*;
use crate::domain::charge::RecordCharge;
use crate::domain::credit::{CreditId, CreditKind, GrantCredit, PRIORITY};
use crate::domain::given::When;

/// `20 %` on all lines.
fn standard(cents: &[i128]) -> Invoice {
    let tax = Tax { category: TaxCategory::S, rate: "20".parse().expect("a number") };
    let mut draft = draft(2, cents);
    for line in &mut draft.lines {
        line.tax = tax;
    }
    let base: i128 = cents.iter().sum();
    let amount = euros((base * 2 + 5).div_euclid(10));
    draft.tax = vec![TaxSubtotal { tax, base: euros(base), amount, exemption: None }];
    draft.total = euros(base).checked_add(amount).expect("small");
    draft.seller.vat_id = true;
    draft
}

pub(super) fn last(given: &Given) -> Invoice {
    match &given.log.last().expect("something happened").1 {
        Event::InvoiceFinalised(event) => event.invoice.clone(),
        other => panic!("{}", other.name()),
    }
}

/// A document that is final, and the ledger it is in.
fn final_document(draft: Invoice) -> (Given, Invoice) {
    let given = given().done(finalise(draft));
    let invoice = last(&given);
    (given, invoice)
}

pub(super) fn back(original: &Invoice, give_back: GiveBack) -> IssueCreditNote {
    IssueCreditNote { original: original.clone(), give_back, reason: "not delivered".into(), as_of: None }
}

pub(super) fn lines(original: &Invoice, lines: &[(u32, HowMuch)]) -> IssueCreditNote {
    back(original, GiveBack::Lines(lines.to_vec()))
}

pub(super) fn part(n: u32, cents: i128) -> (u32, HowMuch) {
    (n, HowMuch::Amount(euros(cents)))
}

pub(super) fn note(when: &When) -> Invoice {
    let Event::InvoiceFinalised(event) = when.last_event() else { panic!("nothing was issued") };
    event.invoice.clone()
}

pub(super) fn sums(note: &Invoice) -> (i128, i128, i128) {
    let tax: i128 = note.tax.iter().map(|subtotal| subtotal.amount.minor()).sum();
    (note.net.minor(), tax, note.total.minor())
}

#[test]
fn a_line_is_given_back_whole() {
    let (given, invoice) = final_document(standard(&[1000, 333]));
    let when = given.when(lines(&invoice, &[(2, HowMuch::Rest)]));
    let note = note(&when);
    assert_eq!(note.id, number("INVCN-2026-000001"));
    assert_eq!(
        note.cites,
        Some(Citation { invoice: invoice.id.clone(), reason: "not delivered".into(), all: false })
    );
    let cites = Some(LineRef { invoice: invoice.id.clone(), line: 2 });
    assert_eq!(note.lines, [InvoiceLine { n: 1, cites, ..invoice.lines[1].clone() }]);
    // 20 % of 3.33 is 0.666, rounded 0.67.
    assert_eq!(sums(&note), (333, 67, 400));
    assert_eq!((note.due, note.period, note.run), (euros(400), invoice.period, invoice.run));
    when.and()
        .when(lines(&invoice, &[(2, HowMuch::Rest)]))
        .refused(InvoiceRefusal::MoreThanLeft { line: 2, left: euros(0) });
}

/// Whatever the parts were rounded to, the taxes of all notes are together the tax of the document.
#[test]
fn parts_have_the_tax_of_the_whole() {
    let (given, invoice) = final_document(standard(&[1000]));
    let when = given.when(lines(&invoice, &[part(1, 333)]));
    let first = note(&when);
    assert_eq!(sums(&first), (333, 67, 400));
    let line = &first.lines[0];
    assert_eq!((line.quantity.to_string().as_str(), &*line.unit, line.unit_price), ("1", "part", None));
    assert_eq!(&*line.description, "part of: an instance");
    let when = when.and().when(lines(&invoice, &[part(1, 333)]));
    // 20 % of 6.66 is 1.332, so 1.33, of which 0.67 went back before.
    assert_eq!(sums(&note(&when)), (333, 66, 399));
    let when = when.and().when(lines(&invoice, &[part(1, 334)]));
    // What is left of the tax: 2.00 - 1.33.
    assert_eq!(sums(&note(&when)), (334, 67, 401));
    assert!(note(&when).cites.is_some_and(|cites| cites.all));
    when.and().when(back(&invoice, GiveBack::All)).refused(InvoiceRefusal::Void { invoice: invoice.id });
}

#[test]
fn a_void_gives_back_all_that_is_left_and_frees_the_period() {
    let (given, invoice) = final_document(standard(&[1000, -250, 0, 1]));
    let given = given.done(lines(&invoice, &[part(1, 400)]));
    let when = given.when(back(&invoice, GiveBack::All));
    let void = note(&when);
    // 7.51 less 4.00; tax 1.50 less 0.80.
    assert_eq!(sums(&void), (351, 70, 421));
    let amounts: Vec<i128> = void.lines.iter().map(|line| line.amount.minor()).collect();
    assert_eq!(amounts, [600, -250, 0, 1]);
    assert!(void.cites.as_ref().is_some_and(|cites| cites.all));
    when.and()
        .when(back(&invoice, GiveBack::All))
        .refused(InvoiceRefusal::Void { invoice: invoice.id.clone() })
        .done(open())
        .when(finalise(Invoice { run: RunId(2), ..standard(&[900]) }))
        .answered(&issued("INV-2026-000002"));
}

/// Other documents do not know what was given back: a run that was open must look again.
#[test]
fn a_note_makes_open_runs_outdated() {
    let november = || OpenInvoiceRun { period: days("2026-11-01", "2026-12-01"), ..open() };
    let (given, invoice) = final_document(standard(&[1000]));
    let of_november = Invoice {
        run: RunId(2),
        period: period("2026-11-01T00:00:00Z/2026-12-01T00:00:00Z"),
        ..draft(2, &[100])
    };
    given
        .done(november())
        .done(lines(&invoice, &[part(1, 1)]))
        .at("2026-12-02T00:00:00Z")
        .when(finalise(of_november))
        .refused(InvoiceRefusal::Outdated { run: RunId(2), invoice: number("INVCN-2026-000001") });
}

#[test]
fn a_line_is_corrected_down() {
    let (given, invoice) = final_document(draft(2, &[2000]));
    let to = |cents| lines(&invoice, &[(1, HowMuch::DownTo(euros(cents)))]);
    let when = given.when(to(1200));
    assert_eq!(sums(&note(&when)), (800, 0, 800));
    let given = when
        .and()
        .when(to(1200))
        .refused(InvoiceRefusal::MoreThanLeft { line: 1, left: euros(1200) })
        .when(to(1201))
        .refused(InvoiceRefusal::MoreThanLeft { line: 1, left: euros(1200) })
        .when(to(-1))
        .refused(InvoiceRefusal::MoreThanLeft { line: 1, left: euros(1200) });
    assert_eq!(sums(&note(&given.when(to(0)))), (1200, 0, 1200));
}

#[test]
fn what_was_due_is_given_back_before_what_was_prepaid() {
    let grant = |cents| GrantCredit {
        seller: PartyId(1),
        customer: PartyId(2),
        currency: Currency::EUR,
        amount: euros(cents),
        description: "paid in advance".into(),
        kind: CreditKind::Paid,
        priority: PRIORITY,
        expires_at: None,
    };
    // 3.00 and 4.00 were prepaid, 3.00 is due.
    let given = given().done(grant(300)).done(grant(400)).done(finalise(draft(2, &[1000])));
    let invoice = last(&given);
    assert_eq!(invoice.due, euros(300));
    let used = |credit, cents| CreditUsed { credit: CreditId(credit), amount: euros(cents) };
    let when = given.when(lines(&invoice, &[part(1, 200)]));
    assert_eq!((note(&when).prepaid, note(&when).due.minor()), (vec![], 200));
    let when = when.and().when(lines(&invoice, &[part(1, 250)]));
    assert_eq!((note(&when).prepaid, note(&when).due.minor()), (vec![used(2, 150)], 100));
    let when = when.and().when(back(&invoice, GiveBack::All));
    assert_eq!((note(&when).prepaid, note(&when).due.minor()), (vec![used(2, 250), used(1, 300)], 0));
    let given = when.and();
    let left = [1, 2].map(|credit| given.project().credits.get(CreditId(credit)).map(|credit| credit.left));
    assert_eq!(left, [Some(euros(300)), Some(euros(400))]);
}

/// The residue of a line goes back with what is last of it, so that exact prices cancel too.
#[test]
fn the_last_part_has_the_residue() {
    let residue = Exact::product("0.004".parse().expect("a number"), "1".parse().expect("a price"));
    let priced =
        InvoiceLine { unit_price: Some("9.996".parse().expect("a price")), residue, ..line(1, 1000) };
    let (given, invoice) = final_document(Invoice { lines: vec![priced], ..draft(2, &[1000]) });
    let when = given.when(lines(&invoice, &[part(1, 400)]));
    assert_eq!(note(&when).lines[0].residue, Exact::ZERO);
    let when = when.and().when(lines(&invoice, &[(1, HowMuch::Rest)]));
    assert_eq!(note(&when).lines[0].residue, residue);
}

#[test]
fn what_cannot_be_given_back() {
    let (given, invoice) = final_document(draft(2, &[600, -400]));
    let dinars = Amount::from_minor(1, "TND".parse().expect("a currency"));
    let no_line = |line| InvoiceRefusal::UnknownLine { invoice: invoice.id.clone(), line };
    let more = |line, cents| InvoiceRefusal::MoreThanLeft { line, left: euros(cents) };
    let document = |cents| InvoiceRefusal::MoreThanDocument {
        invoice: invoice.id.clone(),
        net: euros(cents),
        left: euros(200),
    };
    let rows: [(&[(u32, HowMuch)], InvoiceRefusal); 12] = [
        (&[], InvoiceRefusal::NoLines),
        (&[part(0, 1)], no_line(0)),
        (&[part(3, 1)], no_line(3)),
        (&[(1, HowMuch::Amount(dinars))], InvoiceRefusal::BadAmount { currency: Currency::EUR }),
        (&[part(1, 0)], more(1, 600)),
        (&[part(1, -1)], more(1, 600)),
        (&[part(1, 601)], more(1, 600)),
        (&[part(2, 1)], more(2, -400)),
        (&[part(2, -401)], more(2, -400)),
        (&[part(1, 1), part(1, 2)], InvoiceRefusal::LineTwice { line: 1 }),
        // More than is left of all lines together, or less than nothing.
        (&[part(1, 201)], document(201)),
        (&[part(2, -1)], document(-1)),
    ];
    let mut given = given;
    for (wanted, refusal) in rows {
        given = given.when(lines(&invoice, wanted)).refused(refusal);
    }
    let unknown = Invoice { id: number("INV-2026-000009"), ..invoice.clone() };
    let mut other = invoice.clone();
    other.lines[1].amount = euros(-399);
    let reason = |reason: &str| IssueCreditNote { reason: reason.into(), ..lines(&invoice, &[part(1, 1)]) };
    let given = given
        .when(lines(&unknown, &[part(1, 1)]))
        .refused(InvoiceRefusal::UnknownInvoice { invoice: unknown.id.clone() })
        .when(lines(&other, &[part(1, 1)]))
        .refused(InvoiceRefusal::OtherDocument { invoice: invoice.id.clone() })
        .when(reason(""))
        .refused(InvoiceRefusal::BadReason(crate::domain::id::InvalidText::Empty))
        .done(lines(&invoice, &[part(1, 200)]));
    let note = last(&given);
    let given = given
        .when(lines(&note, &[part(1, 1)]))
        .refused(InvoiceRefusal::NotAnInvoice { invoice: note.id.clone() });
    // Nothing is left in all, so only a void can take the rest.
    given
        .when(lines(&invoice, &[part(1, 400), part(2, -399)]))
        .refused(InvoiceRefusal::MoreThanDocument {
            invoice: invoice.id.clone(),
            net: euros(1),
            left: euros(0),
        })
        .when(back(&invoice, GiveBack::All))
        .answered(&issued("INVCN-2026-000002"));
}

#[test]
fn a_long_document_is_given_back_too() {
    let mut long = draft(2, &vec![1; 2000]);
    for line in &mut long.lines {
        line.description = "x".repeat(80).into();
    }
    let given = given().done(finalise(long.clone()));
    let mut invoice = last(&given);
    assert!(invoice.lines.is_empty(), "its lines are in parts");
    invoice.lines = long.lines;
    let when = given.when(back(&invoice, GiveBack::All));
    assert_eq!(sums(&note(&when)), (2000, 0, 2000));
    when.and().when(lines(&invoice, &[part(1, 1)])).refused(InvoiceRefusal::Void { invoice: invoice.id });
}

/// Any cents of any line, as long as it is something of what is left.
fn something_of(invoice: &Invoice, given: &Given, wish: (usize, i128)) -> Option<(u32, HowMuch)> {
    let (at, cents) = (wish.0 % invoice.lines.len(), wish.1);
    let n = invoice.lines[at].n;
    let charged = invoice.lines[at].amount.minor();
    let back = |event: &Event| match event {
        Event::InvoiceFinalised(event) if event.invoice.document == DocumentKind::CreditNote => {
            let lines = event.invoice.lines.iter();
            let about = lines.filter(|line| line.cites.as_ref().is_some_and(|cites| cites.line == n));
            about.map(|line| line.amount.minor()).sum()
        }
        _ => 0,
    };
    let left = charged - given.log.iter().map(|(_, event)| back(event)).sum::<i128>();
    (left != 0).then(|| part(n, (cents % left.abs() + 1) * left.signum()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Charge and credit are nothing: whatever was given back in whatever parts, a void brings net, tax, total, what is
    /// due and what was prepaid to nothing, to the minor unit; and never was more given back than is there.
    #[test]
    fn charge_and_credit_are_nothing(
        cents in prop::collection::vec(-2000_i128..100_000, 1..6),
        wishes in prop::collection::vec((0_usize..6, 0_i128..100_000), 0..8),
        prepaid in 0_i128..200_000,
    ) {
        prop_assume!(cents.iter().sum::<i128>() > 0);
        let grant = GrantCredit {
            seller: PartyId(1),
            customer: PartyId(2),
            currency: Currency::EUR,
            amount: euros(prepaid + 1),
            description: "paid in advance".into(), kind: CreditKind::Paid, priority: PRIORITY, expires_at: None };
        let mut given = given().done(grant).done(finalise(standard(&cents)));
        let invoice = last(&given);
        let mut notes = Vec::new();
        for wish in wishes {
            let Some(line) = something_of(&invoice, &given, wish) else { continue };
            // More than is left of the document, or less than nothing, is refused.
            if given.execute(lines(&invoice, &[line]).into()).is_ok() {
                notes.push(last(&given));
            }
        }
        if !notes.iter().any(|note| note.cites.as_ref().is_some_and(|cites| cites.all)) {
            given = given.done(back(&invoice, GiveBack::All));
            notes.push(last(&given));
        }
        let sum = |of: fn(&Invoice) -> i128| notes.iter().map(of).sum::<i128>();
        let (net, tax, total) = sums(&invoice);
        prop_assert_eq!((sum(|note| sums(note).0), sum(|note| sums(note).1)), (net, tax));
        prop_assert_eq!(sum(|note| sums(note).2), total);
        prop_assert_eq!(sum(|note| note.due.minor()), invoice.due.minor());
        prop_assert!(notes.iter().all(|note| note.due.minor() >= 0 && note.total.minor() >= 0));
        let left = given.project().credits.get(CreditId(1)).map(|credit| credit.left);
        prop_assert_eq!(left, Some(euros(prepaid + 1)));
        // And the period is free.
        let again = Invoice { run: RunId(2), ..standard(&cents) };
        given.done(open()).when(finalise(again)).answered(&issued("INV-2026-000002"));
    }
}

/// What a correction was worked out from has changed: it is worked out again, and not added to what changed it.
#[test]
fn a_correction_of_what_has_changed_meanwhile_is_refused() {
    let (given, invoice) = final_document(standard(&[1000, 500]));
    let seen = Sequence(given.next().0 - 1);
    let charge = |cites, as_of| RecordCharge {
        seller: PartyId(1),
        customer: invoice.buyer.party,
        currency: invoice.currency,
        amount: euros(100),
        description: "a correction".into(),
        cites,
        as_of,
    };
    let line = Some(LineRef { invoice: invoice.id.clone(), line: 1 });
    // A charge that corrects nothing changes nothing.
    let given = given.done(charge(None, None)).done(charge(line.clone(), Some(seen)));
    let changed = InvoiceRefusal::CorrectedMeanwhile { payer: invoice.buyer.party };
    let note = IssueCreditNote { as_of: Some(seen), ..lines(&invoice, &[part(1, 1)]) };
    let given = given.when(charge(line.clone(), Some(seen))).refused(changed.clone());
    let given = given.when(note.clone()).refused(changed.clone());
    let seen = Sequence(given.next().0 - 1);
    let given = given.done(IssueCreditNote { as_of: Some(seen), ..note });
    given.when(charge(line, Some(seen))).refused(changed);
}
