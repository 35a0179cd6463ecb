//! Every document of every story here can be derived from the events of its proof alone, and a lie about it is named.

mod codes;
mod lines;
mod notes;

use std::sync::Arc;

use serde_json::json;
use slapledger_billing::proof::{
    EventChoice, ProofSelection, RepeatFault, UsageChosen, beside_lines, explain_proved, repeat,
};
use slapledger_billing::{BillingView, DocumentState};
use slapledger_core::domain::Command;
use slapledger_core::domain::event::{Event, Stream};
use slapledger_core::domain::id::{PartyId, ProjectId, Sequence};
use slapledger_core::domain::invoice::{GiveBack, Invoice, IssueCreditNote, lines_digest};
use slapledger_core::domain::usage::Attribution;
use slapledger_core::log::envelope::{Meta, Recorded};

use crate::cloud::{BOOK, Cloud, PRODUCTION, REQUESTS, at};

/// The events of a proof.
struct ProofEvents {
    /// Those that its reader sees.
    shown: Vec<Recorded>,
    /// Those of which the reader sees the hash.
    withheld: Vec<Recorded>,
    /// All of them in their order.
    all: Vec<Recorded>,
}

/// The events of the proof of a document for a reader who sees codes, or does not.
fn proof(
    view: &BillingView,
    log: &[Recorded],
    invoice: &str,
    (usage, sees_codes): (UsageChosen, bool),
) -> Option<ProofEvents> {
    let mut selection = ProofSelection::new(view, invoice, usage, sees_codes)?;
    let mut events = ProofEvents { shown: Vec::new(), withheld: Vec::new(), all: Vec::new() };
    for recorded in log {
        match selection.choose(recorded) {
            EventChoice::Yes => events.shown.push(recorded.clone()),
            EventChoice::Withheld => events.withheld.push(recorded.clone()),
            EventChoice::No => continue,
        }
        events.all.push(recorded.clone());
    }
    Some(events)
}

/// Derives all documents again that were issued, and their lines or every fifth one, as the drop of every [`Cloud`] asks
/// for.
pub(crate) fn repeat_all(view: &BillingView, log: &[Recorded], every: usize) {
    let documents = view.billing.documents((None, Some(DocumentState::Final)), |_| true, None, usize::MAX);
    for document in documents.items {
        let id = document.invoice.id.as_str();
        // Both the events that a proof usually has, and all of them, give the document.
        for all_usage in [false, true] {
            prove(view, log, (id, None), all_usage);
        }
        for line in document.invoice.lines.iter().skip(log.len() % every).step_by(every) {
            prove(view, log, (id, Some(line.n)), false);
        }
    }
}

/// Proves a document or a line as the server does: the first events that give it.
fn prove(view: &BillingView, log: &[Recorded], (invoice, line): (&str, Option<u32>), all_usage: bool) {
    let mut faults = Vec::new();
    for usage in UsageChosen::attempts(line, all_usage) {
        let Some(events) = proof(view, log, invoice, (usage, true)) else { continue };
        match repeat(&events.all, invoice, line) {
            Ok(_) if line.is_none() => return explained(view, &events.all, invoice),
            Ok(_) => return,
            Err(fault) => faults.push(fault.to_string()),
        }
    }
    panic!("{invoice} line {line:?}: {faults:?}");
}

/// Every line of a document is explained from the events of its proof, with its amount.
fn explained(view: &BillingView, events: &[Recorded], invoice: &str) {
    let document = &view.billing.document(invoice).expect("a document").invoice;
    let told = explain_proved(events, invoice, None).expect("it can be derived");
    let told = told.iter().map(|told| {
        let amount = told.explanation.amount.to_string();
        let amount = if told.explanation.turned { turned(&amount) } else { amount };
        (told.line, amount)
    });
    let lines = document.lines.iter().map(|line| (line.n, line.amount.to_string()));
    assert_eq!(told.collect::<Vec<_>>(), lines.collect::<Vec<_>>(), "{invoice}");
}

/// An amount with the other sign.
fn turned(amount: &str) -> String {
    match amount.strip_prefix('-') {
        Some(positive) => positive.to_owned(),
        None if amount.bytes().all(|byte| matches!(byte, b'0' | b'.')) => amount.to_owned(),
        None => format!("-{amount}"),
    }
}

/// October of two customers, each with an instance that used something.
fn october() -> Cloud {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-10-01T00:00:00Z");
    for name in ["one", "two"] {
        let customer = cloud.customer("UTC");
        cloud.request(customer, name, &PRODUCTION);
    }
    cloud.clock("2026-10-05T00:00:00Z");
    for (n, name) in [(0, "one"), (1, "two")] {
        for day in 1..4 {
            let period = [day, day + 1].map(|day| at(&format!("2026-10-{day:02}T00:00:00Z")));
            let id = format!("{name} {day}");
            let subject = format!("slappart{n}");
            cloud.report(
                &id,
                slapledger_core::domain::usage::Revision::None,
                (&subject, REQUESTS),
                "1001",
                (period[0], period[1]),
            );
        }
    }
    cloud.clock("2026-11-02T00:00:00Z");
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(run);
    cloud
}

const INVOICE: &str = "INV-2026-000001";

fn events(cloud: &Cloud, usage: UsageChosen) -> Vec<Recorded> {
    proof(&cloud.view, &cloud.log, INVOICE, (usage, true)).expect("it is final").shown
}

#[test]
fn a_proof_holds_what_its_lines_name_and_nothing_of_other_customers() {
    let cloud = october();
    let all = events(&cloud, UsageChosen::OfLines(None));
    let repeated = repeat(&all, INVOICE, None).expect("it is as it was issued");
    assert_eq!((repeated.lines, repeated.usage, repeated.total.to_string()), (2, 3, "11.50".to_owned()));
    let parties = all.iter().filter(|recorded| matches!(recorded.event, Event::PartyRegistered(_)));
    assert_eq!(parties.count(), 2, "seller and customer");
    let second = &cloud.view.billing.document("INV-2026-000002").expect("a document").invoice;
    for recorded in &all {
        let told = serde_json::to_string(recorded).expect("it can be written");
        assert!(!told.contains(&second.buyer.party.to_string()), "{told}");
        assert!(!told.contains("\"two"), "{told}");
    }
    // Nothing happened since: the ledger explains the lines alike.
    let issued = repeated.issued;
    let known = cloud.view.explain(INVOICE, 0, 9, issued).expect("a document").lines;
    let known = known.iter().map(|(line, explanation)| json!({"line": line.n, "explanation": explanation}));
    let told = explain_proved(&all, INVOICE, None).expect("it can be derived");
    assert_eq!(json!(told), json!(known.collect::<Vec<_>>()));
    assert!(told.iter().all(|told| told.explanation.found));
    // Of one line only its usage.
    let fee = events(&cloud, UsageChosen::OfLines(Some(1)));
    assert_eq!(repeat(&fee, INVOICE, Some(1)).map(|repeated| repeated.usage), Ok(0));
    let usage = events(&cloud, UsageChosen::OfLines(Some(2)));
    assert_eq!(repeat(&usage, INVOICE, Some(2)).map(|repeated| repeated.usage), Ok(3));
    let no_line = RepeatFault::NoLine { invoice: INVOICE.parse().expect("a number"), line: 3 };
    assert_eq!(repeat(&usage, INVOICE, Some(3)), Err(no_line));
}

/// The seller sees the document, and nothing of instances that it does not charge.
#[test]
fn what_is_beside_the_lines_is_not_needed() {
    let mut cloud = october();
    let customer = cloud.view.billing.document(INVOICE).expect("a document").invoice.buyer.party;
    let later = cloud.request(customer, "later", &PRODUCTION);
    cloud.clock("2026-11-20T00:00:00Z");
    cloud.end(customer, "later");
    for (now, start, stop) in [
        ("2026-12-02T00:00:00Z", "2026-11-01", "2026-12-01"),
        ("2027-01-02T00:00:00Z", "2026-12-01", "2027-01-01"),
    ] {
        cloud.clock(now);
        let run = cloud.open_run(start, stop);
        cloud.finalise(run);
    }
    let shown = |invoice: &str| {
        let document = &cloud.view.billing.document(invoice).expect("a document").invoice;
        let usage = (UsageChosen::OfLines(None), true);
        let mut events = proof(&cloud.view, &cloud.log, invoice, usage).expect("final").all;
        let beside = beside_lines(&events, document);
        events.retain(|recorded| !beside.contains(&recorded.sequence));
        let repeated = repeat(&events, invoice, None);
        assert!(repeated.is_ok(), "{invoice}: {repeated:?}");
        let of_later = events.iter().filter(|recorded| *recorded.stream == Stream::Instance(later));
        (of_later.count(), beside.len())
    };
    assert_eq!(shown(INVOICE), (0, 0), "it was requested after the document was issued");
    assert_eq!(shown("INV-2026-000003"), (4, 0), "November charges it: requested, allocated, changed, ended");
    assert_eq!(shown("INV-2027-000001"), (0, 4), "December does not");
}

/// What a lie comes to.
#[track_caller]
fn told(lie: impl FnOnce(&mut Vec<Recorded>)) -> String {
    let mut events = events(&october(), UsageChosen::OfLines(None));
    lie(&mut events);
    repeat(&events, INVOICE, None).expect_err("it is a lie").to_string()
}

fn invoice(events: &mut [Recorded], change: impl FnOnce(&mut Invoice)) {
    let issued = events.iter_mut().find_map(|recorded| match &mut recorded.event {
        Event::InvoiceFinalised(event) => Some(event),
        _ => None,
    });
    let issued = issued.expect("a document");
    change(&mut issued.invoice);
    issued.lines_digest = lines_digest(&issued.invoice.lines);
}

fn book(events: &mut [Recorded], price: &str) {
    for recorded in events {
        if let Event::PriceBookPublished(event) = &mut recorded.event {
            let text = BOOK.replace("0.0005", price);
            event.book = slapledger_billing::price_book::parse_toml(&text).expect("a book");
        }
    }
}

#[test]
fn every_lie_is_named() {
    assert_eq!(
        told(|events| book(events, "0.0006")),
        "INV-2026-000001 line 2: unit price is 0.0005, the events give 0.0006"
    );
    let quantity = told(|events| {
        let usage = events.iter_mut().find_map(|recorded| match &mut recorded.event {
            Event::UsageRecorded(usage) => Some(usage),
            _ => None,
        });
        usage.expect("usage").quantity = "1000".parse().expect("a quantity");
    });
    assert_eq!(quantity, "INV-2026-000001 line 2: quantity is 3003, the events give 3002");
    let rounded = told(|events| {
        invoice(events, |invoice| {
            invoice.lines[1].amount = "1.51".parse_amount();
            invoice.net = "11.51".parse_amount();
        });
    });
    assert_eq!(rounded, "INV-2026-000001 line 2: amount is 1.51, the events give 1.50");
    let total = told(|events| invoice(events, |invoice| invoice.total = "11.51".parse_amount()));
    assert_eq!(total, "INV-2026-000001: total is 11.51, the events give 11.50");
    let dropped = told(|events| {
        let usage = events.iter().position(|recorded| recorded.event.metered_usage().is_some());
        events.remove(usage.expect("usage"));
    });
    assert_eq!(dropped, "INV-2026-000001 line 2: quantity is 3003, the events give 2002");
    let inserted = told(|events| {
        let usage = events.iter().position(|recorded| recorded.event.metered_usage().is_some());
        let mut copy = events[usage.expect("usage")].clone();
        copy.sequence = Sequence(copy.sequence.0 + 1);
        events.insert(usage.expect("usage") + 1, copy);
    });
    assert!(inserted.starts_with("INV-2026-000001 line 2: quantity is 3003, the events give"), "{inserted}");
    let twice = told(|events| {
        let mut copy = events.last().expect("the document").clone();
        copy.sequence = Sequence(copy.sequence.0 + 1);
        events.push(copy);
    });
    assert!(twice.starts_with("INV-2026-000001 was issued twice: by events "), "{twice}");
    let lines = told(|events| {
        invoice(events, |invoice| {
            invoice.lines.pop();
        });
    });
    assert_eq!(lines, "INV-2026-000001: number of lines is 1, the events give 2");
    let no_document = repeat(&[], INVOICE, None);
    assert_eq!(no_document, Err(RepeatFault::NotIssued { invoice: INVOICE.into() }));
}

#[test]
fn usage_that_names_two_customers_is_withheld() {
    let mut cloud = october();
    let (one, two) = {
        let mut instances = cloud.log.iter().filter_map(|recorded| match &recorded.event {
            Event::InstanceRequested(event) => Some(event.instance),
            _ => None,
        });
        (instances.next().expect("one"), instances.next().expect("two"))
    };
    for recorded in &mut cloud.log {
        if let Event::UsageRecorded(usage) = &mut recorded.event
            && usage.attribution == Attribution::Instance(one)
        {
            let share = |instance| slapledger_core::domain::usage::Share { instance, period: usage.period };
            usage.attribution = Attribution::Shares(vec![share(one), share(two)]);
        }
    }
    let events = proof(&cloud.view, &cloud.log, INVOICE, (UsageChosen::All, true)).expect("it is final");
    assert_eq!(events.withheld.len(), 3);
    assert!(events.shown.iter().all(|recorded| recorded.event.metered_usage().is_none()));
}

/// The run that names two customers would show the one to the other.
#[test]
fn a_run_that_names_two_customers_is_withheld() {
    let mut cloud = october();
    let customers = [PartyId(2), PartyId(3)];
    cloud.clock("2026-12-02T00:00:00Z");
    // Later documents may depend on that run, too.
    let rows = [(&customers[..1], 0), (&[][..], 0), (&customers[..], 1), (&customers[..1], 1)];
    for (payers, withheld) in rows {
        let run = cloud.open_run_for(payers, "2026-11-01", "2026-12-01");
        cloud.finalise(run);
        let document = cloud.view.billing.document(&format!("{run}-PARTY-2")).expect("a document");
        let invoice = document.invoice.clone();
        let (id, usage) = (invoice.id.as_str(), (UsageChosen::OfLines(None), false));
        let events = proof(&cloud.view, &cloud.log, id, usage).expect("it is final");
        assert_eq!(events.withheld.len(), withheld, "{payers:?}");
        let told = serde_json::to_string(&events.shown).expect("it can be written");
        assert!(!told.contains("PARTY-3"), "{told}");
        assert_eq!(repeat(&events.all, id, None).map(|repeated| repeated.lines), Ok(1));
        for document in cloud.view.billing.documents_of(run).cloned().collect::<Vec<_>>() {
            void(&mut cloud, document.invoice);
        }
    }
}

/// Voids an invoice, so that its period can be invoiced again.
fn void(cloud: &mut Cloud, original: Invoice) {
    let reason = "not delivered".into();
    let note = IssueCreditNote { original, give_back: GiveBack::All, reason, as_of: None };
    cloud.execute(Command::IssueCreditNote(Box::new(note)));
}

#[test]
fn a_run_takes_all_versions_of_its_prices() {
    let mut cloud = Cloud::new(&BOOK.replace("10.00", "9.00"));
    cloud.publish(&BOOK.replace("10.00", "20.00"));
    cloud.publish(BOOK);
    cloud.clock("2026-10-01T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-11-02T00:00:00Z");
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(run);
    let all = events(&cloud, UsageChosen::OfLines(None));
    assert!(repeat(&all, INVOICE, None).is_ok());
    // The last version, without which the fee would be twice as much, and the first one.
    let versions: Vec<Sequence> = cloud.sequences(|event| matches!(event, Event::PriceBookPublished(_)));
    for left_out in versions {
        let fewer: Vec<Recorded> =
            all.iter().filter(|recorded| recorded.sequence != left_out).cloned().collect();
        let told = repeat(&fewer, INVOICE, None).expect_err("a version is missing").to_string();
        assert_eq!(told, "RUN-1 takes 3 versions of standard, the events before it have 2");
    }
}

#[test]
fn a_proof_is_of_one_project() {
    let mut all = events(&october(), UsageChosen::OfLines(None));
    let usage = all.iter_mut().find(|recorded| recorded.event.metered_usage().is_some()).expect("usage");
    usage.meta = Arc::new(Meta { project: ProjectId(7), ..(*usage.meta).clone() });
    let sequence = usage.sequence;
    let told = repeat(&all, INVOICE, None).expect_err("usage of another project").to_string();
    assert_eq!(told, format!("event {sequence} is of PROJ-7, and those before it are of PROJ-1"));
    // All of them may be of another project than the events of the ledger itself.
    for recorded in &mut all {
        recorded.meta = Arc::new(Meta { project: ProjectId(7), ..(*recorded.meta).clone() });
    }
    assert_eq!(repeat(&all, INVOICE, None).map(|repeated| repeated.project), Ok(ProjectId(7)));
}

/// Amounts in euro.
trait ParseAmount {
    fn parse_amount(self) -> slapledger_core::domain::money::Amount;
}

impl ParseAmount for &str {
    fn parse_amount(self) -> slapledger_core::domain::money::Amount {
        let currency = "EUR".parse().expect("a currency");
        let minor = self.replace('.', "").parse().expect("an amount");
        slapledger_core::domain::money::Amount::from_minor(minor, currency)
    }
}
