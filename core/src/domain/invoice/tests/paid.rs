//! What a document gets when it becomes final besides its number: terms, prepaid credit; and what it must say and have.

use super::*;
use crate::domain::charge::{ChargeId, RecordCharge};
use crate::domain::credit::{CreditId, CreditKind, GrantCredit, PRIORITY};
use crate::domain::given::When;

fn describe(party: u64, series: Option<&str>, terms_days: Option<u16>) -> DescribeParty {
    let series = series.map(|text| text.parse().expect(text));
    let description = Description { series, terms_days, ..Description::default() };
    DescribeParty { party: PartyId(party), description }
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

#[track_caller]
fn document(when: &When) -> &Invoice {
    let Event::InvoiceFinalised(event) = when.last_event() else { panic!("nothing was issued") };
    &event.invoice
}

#[test]
fn prepaid_credit_pays_the_oldest_first() {
    let given = given().done(grant(300)).done(grant(500));
    let when = given.when(finalise(draft(2, &[700])));
    let used = |credit, cents| CreditUsed { credit: CreditId(credit), amount: euros(cents) };
    assert_eq!(document(&when).prepaid, [used(1, 300), used(2, 400)]);
    assert_eq!((document(&when).total, document(&when).due), (euros(700), euros(0)));
    // What is left pays the next, and that is not enough.
    let november = OpenInvoiceRun { period: days("2026-11-01", "2026-12-01"), ..open() };
    let of_november = Invoice {
        run: RunId(2),
        period: period("2026-11-01T00:00:00Z/2026-12-01T00:00:00Z"),
        ..draft(2, &[150])
    };
    let when = when.and().done(november).at("2026-12-02T00:00:00Z").when(finalise(of_november));
    assert_eq!(document(&when).prepaid, [used(2, 100)]);
    assert_eq!((document(&when).total, document(&when).due), (euros(150), euros(50)));
}

/// What a draft says was paid is not looked at, and a document that gives back uses nothing up.
#[test]
fn a_credit_note_of_a_run_uses_no_prepaid_credit() {
    let mut note = draft(2, &[700]);
    note.document = DocumentKind::CreditNote;
    note.prepaid = vec![CreditUsed { credit: CreditId(1), amount: euros(300) }];
    let when = given().done(grant(300)).when(finalise(note));
    assert_eq!((document(&when).prepaid.as_slice(), document(&when).due), (&[][..], euros(700)));
}

#[test]
fn terms_are_those_of_the_buyer_then_of_the_seller() {
    let rows = [
        (None, None, "2026-12-02T10:00:00Z"),
        (Some(7), None, "2026-11-09T10:00:00Z"),
        (Some(7), Some(14), "2026-11-16T10:00:00Z"),
        (Some(7), Some(0), "2026-11-02T10:00:00Z"),
    ];
    for (seller, buyer, due) in rows {
        let given = given().done(describe(1, None, seller)).done(describe(2, None, buyer));
        assert_eq!(document(&given.when(finalise(draft(2, &[700])))).due_at, at(due));
    }
}

#[test]
fn a_series_has_numbers_of_its_own_and_keeps_them() {
    let next = |run, buyer| Invoice { run: RunId(run), ..draft(buyer, &[100]) };
    let given = (0..4).fold(given(), |given, _| given.done(register_party()));
    given
        .done(finalise(next(1, 2)))
        .done(describe(1, Some("ACME"), None))
        .when(finalise(next(1, 3)))
        .answered(&issued("ACME-2026-000001"))
        .and()
        .when(finalise(next(1, 4)))
        .answered(&issued("ACME-2026-000002"))
        .and()
        .done(describe(1, None, None))
        .when(finalise(next(1, 5)))
        .answered(&issued("INV-2026-000002"));
}

#[test]
fn who_is_not_the_first_needs_a_series_to_sell() {
    let given = given().done(OpenInvoiceRun { seller: PartyId(2), ..open() });
    let mut draft = draft(1, &[100]);
    (draft.run, draft.seller.party) = (RunId(2), PartyId(2));
    given
        .when(finalise(draft.clone()))
        .refused(InvoiceRefusal::NoSeries { seller: PartyId(2) })
        .done(describe(2, Some("ACME"), None))
        .when(finalise(draft))
        .answered(&issued("ACME-2026-000001"));
}

#[test]
fn what_the_tax_categories_ask_for_must_be_there() {
    let seller = "a VAT identifier of the seller";
    let buyer = "a VAT identifier of the buyer";
    let country = "the country of the buyer";
    let rows = [
        (TaxCategory::O, [false, false, false], None),
        (TaxCategory::S, [false, true, true], Some(seller)),
        (TaxCategory::S, [true, false, false], None),
        (TaxCategory::Z, [false, true, true], Some(seller)),
        (TaxCategory::E, [false, true, true], Some(seller)),
        (TaxCategory::G, [false, true, true], Some(seller)),
        (TaxCategory::AE, [false, true, true], Some(seller)),
        (TaxCategory::AE, [true, false, true], Some(buyer)),
        (TaxCategory::AE, [true, true, false], None),
        (TaxCategory::K, [true, false, true], Some(buyer)),
        (TaxCategory::K, [true, true, false], Some(country)),
        (TaxCategory::K, [true, true, true], None),
    ];
    for (category, [seller_vat, buyer_vat, buyer_country], missing) in rows {
        let tax = Tax { category, rate: Quantity::ZERO };
        let mut draft = draft(2, &[100]);
        (draft.lines[0].tax, draft.tax[0].tax) = (tax, tax);
        (draft.seller.vat_id, draft.buyer.vat_id) = (seller_vat, buyer_vat);
        draft.buyer.country = buyer_country.then(|| "FR".parse().expect("a country"));
        let when = given().when(finalise(draft));
        match missing {
            Some(what) => {
                when.refused(InvoiceRefusal::MissingDetails { payer: PartyId(2), what });
            }
            None => drop(when.answered(&issued("INV-2026-000001"))),
        }
    }
}

#[test]
fn a_charge_is_on_one_document_as_it_was_recorded() {
    let charge = RecordCharge {
        seller: PartyId(1),
        customer: PartyId(2),
        currency: Currency::EUR,
        amount: euros(-100),
        description: "sorry".into(),
        cites: None,
        as_of: None,
    };
    let with = |lines: &[(u64, i128)]| {
        let amounts: Vec<i128> = lines.iter().map(|(_, cents)| *cents).collect();
        let mut draft = draft(2, &amounts);
        for (line, (charge, _)) in draft.lines.iter_mut().zip(lines) {
            if *charge > 0 {
                line.kind = LineKind::OneOff { charge: ChargeId(*charge) };
            }
        }
        draft
    };
    let not_open = |charge| InvoiceRefusal::ChargeNotOpen { charge: ChargeId(charge) };
    let mut note = with(&[(1, 100)]);
    note.document = DocumentKind::CreditNote;
    let given = given().done(charge).done(register_party());
    let given = given
        .when(finalise(with(&[(0, 500), (2, -100)])))
        .refused(not_open(2))
        .when(finalise(with(&[(0, 500), (1, -99)])))
        .refused(not_open(1))
        .when(finalise(with(&[(0, 500), (1, -100), (1, -100)])))
        .refused(not_open(1))
        .when(finalise(Invoice { buyer: draft(3, &[]).buyer, ..with(&[(0, 500), (1, -100)]) }))
        .refused(not_open(1));
    let given = given.when(finalise(note)).answered(&issued("INVCN-2026-000001")).and();
    given
        .done(OpenInvoiceRun { period: days("2026-11-01", "2026-12-01"), ..open() })
        .at("2026-12-02T00:00:00Z")
        .when(finalise(Invoice {
            run: RunId(2),
            period: period("2026-11-01T00:00:00Z/2026-12-01T00:00:00Z"),
            ..with(&[(0, 500), (1, -100)])
        }))
        .refused(not_open(1));
}

#[test]
fn a_line_is_quantity_times_price() {
    let what = "a line is not quantity times price";
    let price = |text: &str| Some(text.parse::<Price>().expect(text));
    let quantity = |text: &str| text.parse::<Quantity>().expect(text);
    let step = |amount: &str, cost: &str, flat: &str| PriceStep {
        quantity: quantity(amount),
        price: cost.parse().expect(cost),
        flat: flat.parse().expect(flat),
        up_to: None,
    };
    // Half a cent more than three thirds of a cent: what rounding added.
    let residue = |text: &str| Exact::product(quantity(text), "1".parse().expect("a price"));
    let cases: [(InvoiceLine, bool); 10] = [
        (InvoiceLine { unit_price: price("2"), ..line(1, 200) }, true),
        (InvoiceLine { unit_price: price("2.01"), ..line(1, 200) }, false),
        (InvoiceLine { unit_price: price("1.995"), residue: residue("0.005"), ..line(1, 200) }, true),
        (InvoiceLine { unit_price: price("1.995"), residue: residue("-0.005"), ..line(1, 200) }, false),
        (InvoiceLine { unit_price: price("1.98"), residue: residue("0.02"), ..line(1, 200) }, false),
        // A third of a month: the digits after the ninth are not in the quantity.
        (
            InvoiceLine {
                quantity: quantity("0.333333333"),
                unit_price: price("6"),
                residue: residue("0.000000001"),
                ..line(1, 200)
            },
            true,
        ),
        (InvoiceLine { unit_price: None, steps: vec![step("1", "1.5", "0.5")], ..line(1, 200) }, true),
        (InvoiceLine { unit_price: None, steps: vec![step("1", "1.5", "0.4")], ..line(1, 200) }, false),
        (
            InvoiceLine {
                unit_price: None,
                steps: vec![step("1", "1", "0"), step("0.5", "2", "0")],
                ..line(1, 200)
            },
            true,
        ),
        (InvoiceLine { unit_price: None, steps: Vec::new(), ..line(1, 200) }, true),
    ];
    // With a quantity below zero what is charged once is given back: -5 x 0.5 and 0.5 are -3.
    let turned = |flat| {
        let steps = vec![step("-5", "0.5", flat)];
        let more = InvoiceLine { unit_price: None, ..line(1, 500) };
        vec![more, InvoiceLine { unit_price: None, steps, ..line(2, -300) }]
    };
    let alone = cases.into_iter().map(|(line, fine)| (vec![line], fine));
    for (lines, fine) in alone.chain([(turned("0.5"), true), (turned("0.4"), false)]) {
        let when = given().when(finalise(Invoice { lines, ..draft(2, &[200]) }));
        if fine {
            when.answered(&issued("INV-2026-000001"));
        } else {
            when.refused(InvoiceRefusal::SumsDoNotAddUp { what });
        }
    }
}
