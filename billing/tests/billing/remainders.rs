//! What remains of lines, their residues and taxes, and of documents, when later documents take something of them.

use slapledger_billing::LineCorrection;
use slapledger_billing::run::{finalise_drafts, finalise_run};
use slapledger_core::domain::Command;
use slapledger_core::domain::charge::{ChargeId, RecordCharge};
use slapledger_core::domain::credit::{CreditKind, GrantCredit, PRIORITY};
use slapledger_core::domain::id::{InvoiceId, PartyId, RunId};
use slapledger_core::domain::invoice::{GiveBack, HowMuch, Invoice, IssueCreditNote, LineKind, LineRef};
use slapledger_core::domain::money::{Amount, Currency, Exact};
use slapledger_core::domain::party::{DescribeParty, Description};
use slapledger_core::domain::tax::SetTaxRate;
use slapledger_core::domain::usage::{Revision, UsageId};

use crate::cloud::{Cloud, PRODUCTION, REQUESTS, SELLER, at};

/// 0.004 for a request: two and a half requests are a cent.
const BOOK: &str = r#"
name = "standard"
currency = "EUR"
valid_from = "2026-01-01T00:00:00Z"
resources = [{ resource = "requests", kind = "counter", meter = "sum", unit = "request" }]
rates = [
    { kind = "per_unit", resource = "requests", price = "0.004" },
    { kind = "recurring", every = "month", when = "arrears", price = "10.00" },
]
"#;

const CUSTOMER: PartyId = PartyId(2);
const MONTHS: [(&str, &str); 4] = [
    ("2026-10-01", "2026-11-01"),
    ("2026-11-01", "2026-12-01"),
    ("2026-12-01", "2027-01-01"),
    ("2027-01-01", "2027-02-01"),
];

fn cloud(book: &str) -> Cloud {
    let mut cloud = Cloud::new(book);
    cloud.clock("2026-09-30T00:00:00Z");
    let customer = cloud.customer("UTC");
    assert_eq!(customer, CUSTOMER);
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-11-01T00:00:00Z");
    cloud
}

fn taxed(rate: &str) -> Cloud {
    let mut cloud = cloud(BOOK);
    let country = Some("FR".parse().expect("a country"));
    let description = Description { country, vat_id: true, ..Description::default() };
    cloud.execute(Command::DescribeParty(DescribeParty { party: SELLER, description }));
    let (rate, valid_from) = (rate.parse().expect(rate), at("2026-01-01T00:00:00Z"));
    cloud.execute(Command::SetTaxRate(SetTaxRate { seller: SELLER, rate, valid_from }));
    cloud
}

/// Requests of a day of October.
fn used(cloud: &mut Cloud, id: &str, quantity: &str, day: u32) {
    revised(cloud, (id, Revision::None), quantity, day);
}

fn revised(cloud: &mut Cloud, (id, revision): (&str, Revision), quantity: &str, day: u32) {
    let hour = |hour| at(&format!("2026-10-{day:02}T{hour}:00:00Z"));
    cloud.report(id, revision, ("slappart0", REQUESTS), quantity, (hour("00"), hour("12")));
}

fn replaces(id: &str) -> Revision {
    Revision::Replaces(UsageId::new(id).expect("an id"))
}

/// Invoices a month when it is over: its lines.
fn month(cloud: &mut Cloud, n: usize) -> Vec<String> {
    let (start, stop) = MONTHS[n];
    cloud.clock(&format!("{stop}T06:00:00Z"));
    let run = cloud.open_run(start, stop);
    let charges = cloud.charges(run);
    cloud.finalise(run);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
    charges
}

fn note(cloud: &mut Cloud, invoice: &str, give_back: GiveBack) -> Invoice {
    let original = document(cloud, invoice).clone();
    let note = IssueCreditNote { original, give_back, reason: "a reason".into(), as_of: None };
    let issued = cloud.execute(Command::IssueCreditNote(Box::new(note)));
    let slapledger_core::domain::Answer::Invoice(note) = issued else { panic!("{issued:?}") };
    document(cloud, note.as_str()).clone()
}

fn part(n: u32, cents: i128) -> GiveBack {
    GiveBack::Lines(vec![(n, HowMuch::Amount(euros(cents)))])
}

fn document<'c>(cloud: &'c Cloud, invoice: &str) -> &'c Invoice {
    &cloud.view.billing.document(invoice).expect(invoice).invoice
}

fn euros(cents: i128) -> Amount {
    Amount::from_minor(cents, Currency::EUR)
}

fn due(cloud: &Cloud, invoice: &str) -> String {
    let found = cloud.view.billing.document(invoice).expect(invoice);
    let (balance, state) = cloud.view.billing.balance(found).expect("it is final");
    format!("{} {}", balance.due, state.as_str())
}

/// What all documents charged exactly, before rounding: a credit note as less.
fn exact(cloud: &Cloud, invoices: &[&str]) -> Exact {
    let lines =
        invoices.iter().flat_map(|name| document(cloud, name).lines.iter().map(move |line| (name, line)));
    lines
        .map(|(name, line)| {
            let exact = Exact::from(line.amount).minus(line.residue);
            if name.contains("CN-") { Exact::ZERO.minus(exact) } else { exact }
        })
        .sum()
}

/// 6 requests are 0.024, so 0.02; 4 of them are 0.016, so 0.02 too; 1 is 0.004: nothing. The adjustment takes all of the
/// amount and not all of the exact price. When the invoice is void, nothing of either is left.
#[test]
fn a_void_leaves_nothing_of_exact_prices() {
    let mut cloud = cloud(BOOK);
    used(&mut cloud, "first", "6", 5);
    month(&mut cloud, 0);
    revised(&mut cloud, ("second", replaces("first")), "1", 5);
    let adjusted = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 2: -5 request = -0.02 (0)";
    assert_eq!(month(&mut cloud, 1)[1], adjusted);
    let void = note(&mut cloud, "INV-2026-000001", GiveBack::All);
    let lines: Vec<String> =
        void.lines.iter().map(|line| format!("{} ({})", line.amount, line.residue)).collect();
    assert_eq!(lines, ["10.00 (0)", "0.00 (-0.004)"]);
    let all = ["INV-2026-000001", "INV-2026-000002", void.id.as_str()];
    assert_eq!(exact(&cloud, &all), Exact::from(euros(1000)), "the fee of November");
}

/// Of 10.00 that two documents charged all is taken by a third: each line of it takes what remains of one of them, with
/// what remains of its residue.
#[test]
fn each_part_of_an_adjustment_has_the_residue_of_its_line() {
    let mut cloud = cloud(BOOK);
    used(&mut cloud, "first", "1001", 5);
    assert_eq!(
        month(&mut cloud, 0)[1],
        "PARTY-2: SOFTINST-1 usage of requests: 1001 request = 4.00 (-0.004)"
    );
    used(&mut cloud, "late", "503", 6);
    let more = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 2: 503 request = 2.02 (0.008)";
    assert_eq!(month(&mut cloud, 1)[1], more);
    revised(&mut cloud, ("second", replaces("first")), "0", 5);
    revised(&mut cloud, ("later", replaces("late")), "2", 6);
    assert_eq!(
        month(&mut cloud, 2)[1..],
        [
            "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 2: -1001 request = -4.00 (0.004)",
            "PARTY-2: SOFTINST-1 adjustment of INV-2026-000002 line 2: -501 request = -2.01 (-0.006)",
        ]
    );
    let all = ["INV-2026-000001", "INV-2026-000002", "INV-2027-000001"];
    // Three fees, and two requests.
    assert_eq!(
        exact(&cloud, &all),
        Exact::from(euros(3000))
            .plus(Exact::product("2".parse().expect("a quantity"), "0.004".parse().expect("a price")))
    );
}

/// What a later invoice adjusted has its tax there: a credit note has the tax on what notes credited, and on no more.
/// 7.7 % of 0.75 are 0.05775, so 0.06, and of 1.50 together 0.1155, so 0.12. With the 0.08 that were adjusted before it
/// would be 0.12 for 1.58 less 0.01 for 0.08.
#[test]
fn the_tax_of_a_note_is_on_what_notes_credited() {
    let mut cloud = taxed("7.7");
    used(&mut cloud, "first", "1000", 5);
    month(&mut cloud, 0);
    revised(&mut cloud, ("second", replaces("first")), "980", 5);
    month(&mut cloud, 1);
    let taxes = [75, 75, 5].map(|cents| {
        let note = note(&mut cloud, "INV-2026-000001", part(2, cents));
        note.tax[0].amount.to_string()
    });
    // 0.05775, 0.1155, 0.11935.
    assert_eq!(taxes, ["0.06", "0.06", "0.00"]);
    let void = note(&mut cloud, "INV-2026-000001", GiveBack::All);
    // All notes together: 7.7 % of 13.92 are 1.07184.
    assert_eq!((void.net.to_string(), void.tax[0].amount.to_string()), ("12.37".into(), "0.95".into()));
}

/// An adjustment that charged more is settled when the document is void that it is about.
#[test]
fn what_adjusted_a_void_document_is_settled_by_the_next_run() {
    let mut cloud = cloud(BOOK);
    used(&mut cloud, "first", "1001", 5);
    month(&mut cloud, 0);
    used(&mut cloud, "late", "503", 6);
    month(&mut cloud, 1);
    let void = note(&mut cloud, "INV-2026-000001", GiveBack::All);
    let settled = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000002 line 2: -503 request = -2.02 (-0.008)";
    assert_eq!(month(&mut cloud, 2)[1..], [settled]);
    let all = ["INV-2026-000001", "INV-2026-000002", void.id.as_str(), "INV-2027-000001"];
    assert_eq!(exact(&cloud, &all), Exact::from(euros(2000)), "the fees of November and December");
}

const ADVANCE: &str = r#"
name = "standard"
currency = "EUR"
valid_from = "2026-01-01T00:00:00Z"
rates = [{ kind = "recurring", every = "month", when = "advance", price = "30.00" }]
"#;

/// What is credited of a fee in advance is a payment in advance that is given back: the month is settled with what remains.
/// The residue of the line goes with its last part.
#[test]
fn a_fee_in_advance_is_settled_with_what_remains_of_it() {
    let third = ADVANCE.replace("30.00", "33.333");
    let mut cloud = cloud(&third);
    assert_eq!(month(&mut cloud, 0)[1], "PARTY-2: SOFTINST-1 advance: 1 month = 33.33 (-0.003)");
    note(&mut cloud, "INV-2026-000001", part(2, 1000));
    cloud.clock("2026-11-11T00:00:00Z");
    cloud.end(CUSTOMER, "one");
    assert_eq!(
        month(&mut cloud, 1),
        [
            // Turned round, as it is a credit note: 11.11 less 23.33.
            "PARTY-2: SOFTINST-1 recurring: -0.333333333 month = -11.11 (0.000999988889)",
            "PARTY-2: SOFTINST-1 advance of INV-2026-000001 line 2: 1 month = 23.33 (-0.003)",
        ]
    );
}

/// Finalises a run as earlier versions of the program did: a charge that corrects a line takes nothing of the line.
fn finalise_as_before(cloud: &mut Cloud, run: RunId) {
    cloud.issues_otherwise();
    let drafts = finalise_drafts(&cloud.view.billing, run, |_, party| Ok::<_, ()>(party.clone()));
    let drafts: Vec<_> = drafts.expect("it is over").map(|draft| draft.expect("it is sealed")).collect();
    for mut finalise in drafts {
        for line in &mut finalise.draft.lines {
            if let LineKind::Correction { charge } = line.kind {
                line.kind = LineKind::OneOff { charge };
            }
        }
        cloud.execute(Command::FinaliseInvoice(Box::new(finalise)));
    }
    let close = finalise_run(&cloud.view.billing, run);
    cloud.execute(Command::FinaliseInvoiceRun(close));
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}

/// A discount of 2.00 is part of an invoice over 8.00, and a later one reverses it, as what it corrects is void. The note
/// about the first gives back 10.00: 8.00 of it, and 2.00 of the later one. In a document of an earlier version the
/// discount takes nothing of the line it corrects, and it stays so.
#[test]
fn a_note_that_gives_back_more_than_its_invoice_lowers_what_a_later_one_charged() {
    let mut cloud = cloud(BOOK);
    let charge = |cloud: &mut Cloud, cents: i128, cites: Option<(&str, u32)>| {
        cloud.execute(Command::RecordCharge(RecordCharge {
            seller: SELLER,
            customer: CUSTOMER,
            currency: Currency::EUR,
            amount: euros(cents),
            description: "by hand".into(),
            cites: cites
                .map(|(invoice, line)| LineRef { invoice: InvoiceId::new(invoice).expect("a number"), line }),
            as_of: None,
        }));
    };
    month(&mut cloud, 0);
    // November has a discount that corrects October.
    charge(&mut cloud, -200, Some(("INV-2026-000001", 1)));
    cloud.clock("2026-12-01T06:00:00Z");
    let november = cloud.open_run(MONTHS[1].0, MONTHS[1].1);
    finalise_as_before(&mut cloud, november);
    let corrected = "PARTY-2: all one_off of INV-2026-000001 line 1: -1 1 = -2.00 (0)";
    assert_eq!(cloud.charges(november)[1], corrected);
    note(&mut cloud, "INV-2026-000001", GiveBack::All);
    // October is void, and what corrected it is settled in December.
    let settled = "PARTY-2: all adjustment of INV-2026-000002 line 2: 1 1 = 2.00 (0)";
    assert_eq!(month(&mut cloud, 2)[1..], [settled]);
    assert_eq!(due(&cloud, "INV-2026-000002"), "8.00 open");
    assert_eq!(due(&cloud, "INV-2027-000001"), "12.00 open");
    // November is void: 10.00 of 8.00.
    let void = note(&mut cloud, "INV-2026-000002", GiveBack::All);
    assert_eq!(void.total, euros(1000));
    assert_eq!(due(&cloud, "INV-2026-000002"), "0.00 void");
    assert_eq!(due(&cloud, "INV-2027-000001"), "10.00 partly_credited");
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}

/// The periods of two runs overlap in part, and neither had anything to charge: what comes late in both is charged once.
#[test]
fn late_usage_of_two_runs_that_overlap_in_part_is_charged_once() {
    let mut cloud =
        cloud(&BOOK.lines().filter(|line| !line.contains("recurring")).collect::<Vec<_>>().join("\n"));
    cloud.clock("2026-12-01T06:00:00Z");
    for (start, stop) in [("2026-10-01", "2026-11-01"), ("2026-10-15", "2026-11-15")] {
        let run = cloud.open_run(start, stop);
        assert_eq!(cloud.charges(run), Vec::<String>::new());
        cloud.finalise(run);
    }
    used(&mut cloud, "first half", "1000", 5);
    used(&mut cloud, "second half", "500", 20);
    let (start, stop) = ("2026-11-15", "2026-12-15");
    cloud.clock(&format!("{stop}T06:00:00Z"));
    let run = cloud.open_run(start, stop);
    let adjusted =
        |quantity, amount| format!("PARTY-2: SOFTINST-1 adjustment: {quantity} request = {amount} (0)");
    assert_eq!(cloud.charges(run), [adjusted("1000", "4.00"), adjusted("500", "2.00")]);
    cloud.finalise(run);
    used(&mut cloud, "more", "250", 21);
    cloud.clock("2027-01-15T06:00:00Z");
    let run = cloud.open_run("2026-12-15", "2027-01-15");
    assert_eq!(cloud.charges(run), [adjusted("250", "1.00")]);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}

/// The run of October had nothing to charge. Then the week in its middle was invoiced, and what comes late is before and
/// after that week: both are charged, each once. Before, neither was.
#[test]
fn late_usage_around_what_another_run_invoiced_is_charged_once() {
    let mut cloud = cloud(PLAIN);
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.charges(run), Vec::<String>::new());
    cloud.finalise(run);
    used(&mut cloud, "middle", "3", 12);
    let run = cloud.open_run("2026-10-10", "2026-10-15");
    assert_eq!(cloud.charges(run), ["PARTY-2: SOFTINST-1 usage of requests: 3 request = 3.00 (0)"]);
    cloud.finalise(run);
    used(&mut cloud, "before", "5", 5);
    used(&mut cloud, "after", "7", 20);
    let adjusted =
        |quantity| format!("PARTY-2: SOFTINST-1 adjustment: {quantity} request = {quantity}.00 (0)");
    assert_eq!(month(&mut cloud, 1), [adjusted("5"), adjusted("7")]);
    used(&mut cloud, "more", "2", 21);
    revised(&mut cloud, ("less", replaces("before")), "4", 5);
    let less = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000002 line 1: -1 request = -1.00 (0)";
    assert_eq!(month(&mut cloud, 2), [less.to_owned(), adjusted("2")]);
}

/// Usage at a price of its own, nothing else.
const PLAIN: &str = r#"
name = "standard"
currency = "EUR"
valid_from = "2026-01-01T00:00:00Z"
resources = [{ resource = "requests", kind = "counter", meter = "sum", unit = "request" }]
rates = [{ kind = "per_unit", resource = "requests", price = "1.00" }]
"#;

fn grant(cloud: &mut Cloud, cents: i128) {
    cloud.execute(Command::GrantCredit(GrantCredit {
        seller: SELLER,
        customer: CUSTOMER,
        currency: Currency::EUR,
        amount: euros(cents),
        description: "paid in advance".into(),
        kind: CreditKind::Paid,
        priority: PRIORITY,
        expires_at: None,
    }));
}

fn left(cloud: &Cloud) -> String {
    let credit = cloud.view.billing.credit("CREDIT-1".parse().expect("a credit"));
    credit.expect("it was granted").left.to_string()
}

/// What is charged for line 1 of INV-2026-000001 should be this.
fn correct(cloud: &mut Cloud, cents: i128) -> Option<ChargeId> {
    let (original, billing) = (document(cloud, "INV-2026-000001").clone(), &cloud.view.billing);
    let correction = billing.correction(&original, &original.lines[0], euros(cents));
    let Some(LineCorrection::Charge(amount)) = correction else { panic!("{correction:?}") };
    let cites = Some(LineRef { invoice: original.id, line: 1 });
    let command = RecordCharge {
        seller: SELLER,
        customer: CUSTOMER,
        currency: Currency::EUR,
        amount,
        description: "by hand".into(),
        cites,
        as_of: None,
    };
    match cloud.execute(Command::RecordCharge(command)) {
        slapledger_core::domain::Answer::Charge(charge) => Some(charge),
        _ => None,
    }
}

/// 10 in October and 2 that came late are prepaid. 1.00 is right: the note of December returns 11.00, and nothing is
/// owed to anybody.
#[test]
fn a_correction_below_what_is_left_of_the_line_returns_prepaid_credit() {
    let mut cloud = cloud(PLAIN);
    grant(&mut cloud, 1200);
    used(&mut cloud, "first", "10", 5);
    month(&mut cloud, 0);
    used(&mut cloud, "late", "2", 6);
    month(&mut cloud, 1);
    assert_eq!(left(&cloud), "0.00");
    correct(&mut cloud, 100);
    let corrected = [
        "PARTY-2: all correction of INV-2026-000001 line 1: 1 part = 10.00 (0)",
        "PARTY-2: all correction of INV-2026-000002 line 1: 1 part = 1.00 (0)",
    ];
    assert_eq!(month(&mut cloud, 2), corrected);
    assert_eq!(due(&cloud, "INV-2026-000001"), "0.00 credited");
    assert_eq!(due(&cloud, "INV-2026-000002"), "0.00 paid");
    assert_eq!(left(&cloud), "11.00");
    assert_eq!(document(&cloud, "INVCN-2027-000001").due, euros(0));
}

/// The same, and then October is void. The charge had taken all of its line, so the void gives nothing back, and the next
/// run takes back what the charge had left of November. Before, the void gave 10.00 back once more: they were owed to the
/// customer, beside prepaid credit that had paid.
#[test]
fn what_a_charge_corrected_is_not_given_back_again_by_a_void() {
    let mut cloud = cloud(PLAIN);
    grant(&mut cloud, 1200);
    used(&mut cloud, "first", "10", 5);
    month(&mut cloud, 0);
    used(&mut cloud, "late", "2", 6);
    month(&mut cloud, 1);
    correct(&mut cloud, 100);
    month(&mut cloud, 2);
    let void = note(&mut cloud, "INV-2026-000001", GiveBack::All);
    assert_eq!((void.total, left(&cloud)), (euros(0), "11.00".to_owned()));
    let settled = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000002 line 1: 2 request = 1.00 (0)";
    assert_eq!(month(&mut cloud, 3), [settled]);
    assert_eq!(left(&cloud), "12.00");
    assert_eq!(
        (due(&cloud, "INV-2026-000001"), due(&cloud, "INV-2026-000002")),
        ("0.00 void".into(), "0.00 credited".into())
    );
    let again = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.charges(again), ["PARTY-2: SOFTINST-1 usage of requests: 12 request = 12.00 (0)"]);
}

/// 12.00 were charged for 12, and a charge brought them to 1.00. If nothing was used after all, 1.00 is left to give back,
/// and the charge is no gift of 11.00 beside it. If 20 were used, 20.00 less the 11.00 are to be paid: 8.00 more.
#[test]
fn what_a_charge_corrected_is_good_will_about_its_line() {
    let nothing = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000002 line 1: 12 request = 1.00 (0)";
    let more = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 1: 8 request = 8.00 (0)";
    for (first, second, adjusted) in [("0", "0", nothing), ("18", "2", more)] {
        let mut cloud = cloud(PLAIN);
        used(&mut cloud, "first", "10", 5);
        month(&mut cloud, 0);
        used(&mut cloud, "late", "2", 6);
        month(&mut cloud, 1);
        correct(&mut cloud, 100);
        month(&mut cloud, 2);
        revised(&mut cloud, ("second", replaces("first")), first, 5);
        revised(&mut cloud, ("later", replaces("late")), second, 6);
        assert_eq!(month(&mut cloud, 3), [adjusted]);
    }
}

/// What corrects a line has the tax of the line, not that of the day.
#[test]
fn a_correction_has_the_tax_of_its_line() {
    let mut cloud = taxed("20");
    let (rate, valid_from) = ("10".parse().expect("a rate"), at("2026-11-01T00:00:00Z"));
    cloud.execute(Command::SetTaxRate(SetTaxRate { seller: SELLER, rate, valid_from }));
    month(&mut cloud, 0);
    correct(&mut cloud, 1200);
    correct(&mut cloud, 100);
    let charges = [
        "PARTY-2: SOFTINST-1 recurring: 1 month = 10.00 (0)",
        "PARTY-2: all one_off of INV-2026-000001 line 1: 1 1 = 2.00 (0)",
        "PARTY-2: all correction of INV-2026-000001 line 1: -1 part = -10.00 (0)",
        "PARTY-2: all one_off of INV-2026-000001 line 1: -1 part = -1.00 (0)",
    ];
    assert_eq!(month(&mut cloud, 1), charges);
    let lines = &document(&cloud, "INV-2026-000002").lines;
    let rates: Vec<String> = lines.iter().map(|line| line.tax.rate.to_string()).collect();
    assert_eq!(rates, ["10", "20", "20", "20"]);
}

/// 10 in October, corrected to 12.00 by a charge: corrected to 0.00, all of both returns.
#[test]
fn a_correction_of_a_correction_returns_prepaid_credit() {
    let mut cloud = cloud(PLAIN);
    grant(&mut cloud, 2000);
    used(&mut cloud, "first", "10", 5);
    month(&mut cloud, 0);
    correct(&mut cloud, 1200);
    month(&mut cloud, 1);
    assert_eq!(left(&cloud), "8.00");
    correct(&mut cloud, 0);
    month(&mut cloud, 2);
    assert_eq!(due(&cloud, "INV-2026-000001"), "0.00 credited");
    assert_eq!(due(&cloud, "INV-2026-000002"), "0.00 credited");
    assert_eq!(left(&cloud), "20.00");
}

/// What corrects a document that is void before it was charged is on no document, and said to be so.
#[test]
fn a_charge_about_a_void_document_is_dropped() {
    let mut cloud = cloud(PLAIN);
    used(&mut cloud, "first", "10", 5);
    month(&mut cloud, 0);
    let charge = correct(&mut cloud, 1200).expect("a charge");
    let dropped = |cloud: &Cloud| {
        cloud.view.billing.is_dropped(cloud.view.billing.charge(charge).expect("it was recorded"))
    };
    assert!(!dropped(&cloud));
    note(&mut cloud, "INV-2026-000001", GiveBack::All);
    assert!(dropped(&cloud));
    assert_eq!(month(&mut cloud, 1), Vec::<String>::new());
    assert!(dropped(&cloud));
}

/// 1,000 requests are 4.00; 250 of them, 1.00. An adjustment takes 3.00, of which a note gives 0.60 back. Later usage is
/// charged at its price, and no run takes the 0.60 again.
#[test]
fn what_a_note_gives_back_of_an_adjustment_stays_given_back() {
    let mut cloud = cloud(BOOK);
    used(&mut cloud, "first", "1000", 5);
    month(&mut cloud, 0);
    revised(&mut cloud, ("second", replaces("first")), "250", 5);
    let adjusted = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 2: -750 request = -3.00 (0)";
    assert_eq!(month(&mut cloud, 1)[1], adjusted);
    // A note is above zero: it credits 1.00 of the fee, too.
    let some = |cents| HowMuch::Amount(euros(cents));
    note(&mut cloud, "INV-2026-000002", GiveBack::Lines(vec![(1, some(100)), (2, some(-60))]));
    used(&mut cloud, "more", "100", 6);
    let adjusted = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 2: 100 request = 0.40 (0)";
    assert_eq!(month(&mut cloud, 2)[1..], [adjusted]);
    used(&mut cloud, "nothing", "0", 7);
    assert_eq!(month(&mut cloud, 3).len(), 1);
}
