//! Lies in documents that follow the one of a run: invented invoices, and credit notes that nobody could issue.

use std::collections::BTreeMap;

use slapledger_billing::audit::{AuditFault, AuditScope, LogAudit};
use slapledger_billing::proof::{UsageChosen, repeat};
use slapledger_core::domain::Command;
use slapledger_core::domain::charge::RecordCharge;
use slapledger_core::domain::credit::{CreditKind, GrantCredit, PRIORITY};
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{PartyId, RunId, Sequence};
use slapledger_core::domain::invoice::{
    DocumentKind, GiveBack, HowMuch, Invoice, InvoiceLine, IssueCreditNote, LineRef, lines_digest,
};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::party::{DescribeParty, Description};
use slapledger_core::domain::tax::SetTaxRate;
use slapledger_core::log::envelope::Recorded;

use super::{INVOICE, ParseAmount as _, proof};
use crate::cloud::{BOOK, CPU, Cloud, PRODUCTION, SELLER, at};

const FIRST: &str = "INVCN-2026-000001";
const SECOND: &str = "INVCN-2026-000002";
const NOVEMBER: &str = "INV-2026-000002";

/// October of a customer who had paid 13.00 of 13.44: 10.00 for an instance and 1.20 for CPU, with 20 % of tax. 0.50 of the
/// CPU are credited, then 2.00 of the fee and 0.30 of the CPU. Then November is invoiced.
fn credited() -> Cloud {
    let mut cloud = Cloud::empty("2026-01-01T00:00:00Z");
    // The first event of a log creates the ledger.
    cloud.next = Sequence(2);
    cloud.customer("UTC");
    cloud.computer("COMP-1");
    cloud.publish(BOOK);
    let description = Description { vat_id: true, ..Description::default() };
    cloud.execute(Command::DescribeParty(DescribeParty { party: SELLER, description }));
    let (rate, valid_from) = ("20".parse().expect("a rate"), at("2026-01-01T00:00:00Z"));
    cloud.execute(Command::SetTaxRate(SetTaxRate { seller: SELLER, rate, valid_from }));
    cloud.clock("2026-09-30T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-11-01T00:00:00Z");
    cloud.usage(("slappart0", CPU), "50", ("2026-10-05T00:00:00Z", "2026-10-05T12:00:00Z"));
    cloud.execute(Command::GrantCredit(GrantCredit {
        seller: SELLER,
        customer,
        currency: Currency::EUR,
        amount: "13.00".parse_amount(),
        description: "paid in advance".into(),
        kind: CreditKind::Paid,
        priority: PRIORITY,
        expires_at: None,
    }));
    let october = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(october);
    let part = |amount: &str| HowMuch::Amount(amount.parse_amount());
    for lines in [vec![(2, part("0.50"))], vec![(1, part("2.00")), (2, part("0.30"))]] {
        let original = cloud.view.billing.document(INVOICE).expect("October").invoice.clone();
        let give_back = GiveBack::Lines(lines);
        let note = IssueCreditNote { original, give_back, reason: "not delivered".into(), as_of: None };
        cloud.execute(Command::IssueCreditNote(Box::new(note)));
    }
    cloud.clock("2026-12-01T00:00:00Z");
    let november = cloud.open_run("2026-11-01", "2026-12-01");
    cloud.finalise(november);
    cloud
}

fn events(cloud: &Cloud, invoice: &str) -> Vec<Recorded> {
    let usage = (UsageChosen::OfLines(None), false);
    proof(&cloud.view, &cloud.log, invoice, usage).expect("it is final").all
}

fn document<'e>(events: &'e mut [Recorded], invoice: &str) -> &'e mut Invoice {
    let mut issued = events.iter_mut().filter_map(|recorded| match &mut recorded.event {
        Event::InvoiceFinalised(event) => Some(&mut event.invoice),
        _ => None,
    });
    issued.find(|issued| issued.id.as_str() == invoice).expect(invoice)
}

fn sign(events: &mut [Recorded]) {
    for recorded in events {
        if let Event::InvoiceFinalised(event) = &mut recorded.event {
            event.lines_digest = lines_digest(&event.invoice.lines);
        }
    }
}

/// What an audit of the whole log says of the first document that is not what its events give.
fn audited(log: &[Recorded]) -> Option<String> {
    let mut audit = LogAudit::new(AuditScope { is_whole: true, deep: true });
    let mut versions = BTreeMap::new();
    for recorded in log {
        let version = versions.entry(recorded.stream.to_string()).or_insert(0);
        *version += 1;
        let recorded = Recorded { stream_version: *version, ..recorded.clone() };
        match audit.take(&recorded) {
            Ok(()) => {}
            Err(AuditFault::Document { fault, .. }) => return Some(fault.to_string()),
            Err(other) => panic!("{other}"),
        }
    }
    None
}

#[test]
fn credit_notes_and_what_follows_them_are_proved() {
    let cloud = credited();
    assert_eq!(audited(&cloud.log), None);
    let totals = [(FIRST, "0.60"), (SECOND, "2.76"), (NOVEMBER, "12.00")];
    for (invoice, total) in totals {
        let events = events(&cloud, invoice);
        let repeated = repeat(&events, invoice, None).expect("it is as it was issued");
        assert_eq!((repeated.total.to_string(), repeated.by_hand), (total.to_owned(), invoice != NOVEMBER));
    }
    let events = events(&cloud, SECOND);
    assert!(repeat(&events, SECOND, Some(2)).is_ok());
    let told = repeat(&events, SECOND, Some(3)).expect_err("it has two lines").to_string();
    assert_eq!(told, "INVCN-2026-000002 has no line 3");
    // Prepaid credit had paid, so most goes back there.
    let mut seen = events;
    assert_eq!(document(&mut seen, FIRST).prepaid[0].amount.to_string(), "0.16");
    assert_eq!(document(&mut seen, SECOND).prepaid[0].amount.to_string(), "2.76");
}

type Lie = fn(&mut Invoice);

/// What is said of the second note and why that is a lie. The sums of a note are made to fit.
const LIES: [(&str, Lie, &str); 14] = [
    (
        "another kind",
        |note| note.document = DocumentKind::Invoice,
        "is a second document of RUN-1 for PARTY-2, after INV-2026-000001: only credit notes may follow it",
    ),
    (
        "more than remains, and less than was charged",
        |note| note.lines[1].amount = "1.00".parse_amount(),
        "credits what it may not: amount must be above 0 and at most 0.70, what is still uncredited of line 2",
    ),
    (
        "below nothing",
        |note| note.lines[1].amount = "-0.30".parse_amount(),
        "credits what it may not: amount must be above 0 and at most 0.70",
    ),
    (
        "a line twice",
        |note| {
            let again = InvoiceLine { n: 3, ..note.lines[1].clone() };
            note.lines.push(again);
        },
        "credits what it may not: line 2",
    ),
    (
        "a line without a citation",
        |note| note.lines[0].cites = None,
        "line 1 cites no line of INV-2026-000001",
    ),
    (
        "a line of another document",
        |note| {
            let cites = note.lines[0].cites.as_mut().expect("a citation");
            cites.invoice = NOVEMBER.parse().expect("a number");
        },
        "line 1 cites no line of INV-2026-000001",
    ),
    (
        "a line that is not there",
        |note| note.lines[0].cites.as_mut().expect("a citation").line = 9,
        "credits what it may not: INV-2026-000001 has no line 9",
    ),
    ("no citation", |note| note.cites = None, "citation is none, the events give INV-2026-000001"),
    ("another currency", |note| note.currency = "USD".parse().expect("a currency"), "currency is"),
    ("no tax", |note| note.tax.clear(), "tax is []"),
    (
        "no prepaid credit goes back",
        |note| note.prepaid.clear(),
        "prepaid is nothing, the events give CREDIT-1 2.76",
    ),
    ("something is due", |note| note.due = "0.01".parse_amount(), "due is 0.01, the events give 0.00"),
    ("nothing is left", |note| note.cites.as_mut().expect("a citation").all = true, "the events give"),
    (
        "something was rounded",
        |note| {
            note.rounding = "0.01".parse_amount();
            note.total = "2.77".parse_amount();
        },
        "rounding is 0.01, the events give 0.00",
    ),
];

#[test]
fn a_credit_note_that_nobody_could_issue_is_named() {
    let cloud = credited();
    let (own, november) = (events(&cloud, SECOND), events(&cloud, NOVEMBER));
    for (what, lie, words) in LIES {
        let mut own = own.clone();
        lie(document(&mut own, SECOND));
        sign(&mut own);
        let told = repeat(&own, SECOND, None).expect_err(what).to_string();
        assert!(told.starts_with(SECOND) && told.contains(words), "{what}: {told}");
        // A later document may depend on what remains, so its proof names the lie, too.
        let mut later = november.clone();
        lie(document(&mut later, SECOND));
        sign(&mut later);
        assert_eq!(
            repeat(&later, NOVEMBER, None).map_err(|fault| fault.to_string()),
            Err(told.clone()),
            "{what}"
        );
        let mut log = cloud.log.clone();
        lie(document(&mut log, SECOND));
        sign(&mut log);
        assert_eq!(audited(&log), Some(told), "{what}");
    }
}

#[test]
fn an_earlier_document_is_of_a_run_that_is_there() {
    let cloud = credited();
    let november = events(&cloud, NOVEMBER);
    let told = |invoice: &str, run: u64| {
        let mut events = november.clone();
        document(&mut events, invoice).run = RunId(run);
        repeat(&events, NOVEMBER, None).expect_err("another run").to_string()
    };
    assert_eq!(told(SECOND, 2), "INVCN-2026-000002 is of RUN-2, which was opened later");
    assert_eq!(told(INVOICE, 9), "the events give no draft of RUN-9 for PARTY-2");
}

/// A run of a month that gives money back: what goes into prepaid credit follows from its lines.
#[test]
fn prepaid_credit_that_a_run_returns_is_not_believed() {
    let mut cloud = credited();
    cloud.clock("2027-01-02T00:00:00Z");
    cloud.execute(Command::RecordCharge(RecordCharge {
        seller: SELLER,
        customer: PartyId(2),
        currency: Currency::EUR,
        amount: Amount::from_minor(-800, Currency::EUR),
        description: "not delivered".into(),
        cites: Some(LineRef { invoice: INVOICE.parse().expect("a number"), line: 1 }),
        as_of: None,
    }));
    let run = cloud.open_run("2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z");
    cloud.finalise(run);
    let name = "INVCN-2027-000001";
    let mut own = events(&cloud, name);
    assert_eq!(repeat(&own, name, None).map(|repeated| repeated.by_hand), Ok(false));
    let note = document(&mut own, name);
    assert_eq!(note.prepaid.len(), 1, "{note:?}");
    note.prepaid.clear();
    note.due = note.total;
    let told = repeat(&own, name, None).expect_err("credit is kept").to_string();
    assert!(told.starts_with(&format!("{name}: prepaid is nothing")), "{told}");
}
