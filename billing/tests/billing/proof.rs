//! Every document of every story here can be derived from the events of its proof alone, and a lie about it is named.

use slapledger_billing::proof::{
    EventChoice, ProofSelection, RepeatFault, UsageChosen, beside_lines, repeat,
};
use slapledger_billing::{BillingView, DocumentState};
use slapledger_core::domain::Command;
use slapledger_core::domain::discount::RedeemDiscountCode;
use slapledger_core::domain::event::{Event, Stream};
use slapledger_core::domain::id::{PartyId, Sequence};
use slapledger_core::domain::invoice::{Invoice, lines_digest};
use slapledger_core::domain::usage::Attribution;
use slapledger_core::log::envelope::Recorded;

use crate::cloud::{BOOK, Cloud, PRODUCTION, REQUESTS, at};

/// The events of the proof of a document, and whether something was withheld.
fn proof(
    view: &BillingView,
    log: &[Recorded],
    invoice: &str,
    usage: UsageChosen,
) -> Option<(Vec<Recorded>, bool)> {
    let mut selection = ProofSelection::new(view, invoice, usage)?;
    let mut withheld = false;
    let mut events = Vec::new();
    for recorded in log {
        match selection.choose(recorded) {
            EventChoice::Yes => events.push(recorded.clone()),
            EventChoice::Withheld => withheld = true,
            EventChoice::No => {}
        }
    }
    Some((events, withheld))
}

/// Derives all documents again that were issued, as the drop of every [`Cloud`] asks for.
pub(crate) fn repeat_all(view: &BillingView, log: &[Recorded]) {
    let documents = view.billing.documents((None, Some(DocumentState::Final)), |_| true, None, 20);
    for document in documents.items {
        let id = document.invoice.id.as_str();
        let (events, withheld) = proof(view, log, id, UsageChosen::All).expect("it is final");
        if withheld {
            continue;
        }
        let repeated = repeat(&events, id, None);
        assert!(repeated.is_ok(), "{id}: {}", repeated.expect_err("it differs"));
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
    proof(&cloud.view, &cloud.log, INVOICE, usage).expect("it is final").0
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
        let (mut events, _) =
            proof(&cloud.view, &cloud.log, invoice, UsageChosen::OfLines(None)).expect("final");
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

/// Only those who may read codes of discounts find them in a proof, and the customer who redeemed them.
#[test]
fn a_code_is_in_no_proof_of_those_who_may_not_read_it() {
    let coded = BOOK.replacen(
        "rates = [",
        "rates = [{ kind = \"discount\", item = \"welcome\", percent = \"10\", code = \"WELCOME\" },",
        1,
    );
    assert!(coded.contains("WELCOME"));
    let mut cloud = Cloud::new(&coded);
    cloud.clock("2026-10-01T00:00:00Z");
    for name in ["one", "two"] {
        let customer = cloud.customer("UTC");
        cloud.request(customer, name, &PRODUCTION);
    }
    let redeem = RedeemDiscountCode { customer: PartyId(3), code: "WELCOME".into() };
    cloud.execute(Command::RedeemDiscountCode(redeem));
    cloud.clock("2026-11-02T00:00:00Z");
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(run);
    let books = |invoice: &str, codes: bool| {
        let selection = ProofSelection::new(&cloud.view, invoice, UsageChosen::OfLines(None)).expect("final");
        let mut selection = if codes { selection } else { selection.without_codes(&cloud.view) };
        let books = cloud.log.iter().filter(|known| matches!(known.event, Event::PriceBookPublished(_)));
        books.map(|recorded| selection.choose(recorded)).collect::<Vec<_>>()
    };
    for (invoice, customer, known) in
        [(INVOICE, 2, EventChoice::Withheld), ("INV-2026-000002", 3, EventChoice::Yes)]
    {
        let document = &cloud.view.billing.document(invoice).expect("a document").invoice;
        assert_eq!(document.buyer.party, PartyId(customer));
        assert_eq!((books(invoice, true), books(invoice, false)), (vec![EventChoice::Yes], vec![known]));
    }
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
    let (events, withheld) = proof(&cloud.view, &cloud.log, INVOICE, UsageChosen::All).expect("it is final");
    assert!(withheld);
    assert!(events.iter().all(|recorded| recorded.event.metered_usage().is_none()));
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
