//! Runs, drafts, and the invoices they become.

use std::convert::Infallible;

use slapledger_billing::preview::Preview;
use slapledger_billing::{Billing, BillingView, DocumentState, Warning, run};
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{PartyId, RunId, Sequence};
use slapledger_core::domain::invoice::{Invoice, InvoiceParty, InvoiceRefusal, RefreshInvoiceRun, RunPeriod};
use slapledger_core::domain::{Answer, Command, Refusal};
use slapledger_projections::View;

use crate::cloud::{BOOK, CPU, Cloud, PRODUCTION, REQUESTS, SELLER, Wanted, at, bound, sealed};

const DAY: (&str, &str) = ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z");

/// Three customers and the seller, an instance each, and November has come.
fn a_month() -> Cloud {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-09-30T00:00:00Z");
    let customers = [cloud.customer("UTC"), cloud.customer("Europe/Paris"), cloud.customer("UTC")];
    for payer in customers.into_iter().chain([SELLER]) {
        cloud.request(payer, "web", &PRODUCTION);
    }
    cloud.clock("2026-11-02T00:00:00Z");
    cloud
}

fn finalise(cloud: &mut Cloud, run: RunId, most: usize) -> usize {
    let reseal = |draft: &_, party: &InvoiceParty| -> Result<InvoiceParty, Infallible> {
        let slapledger_core::domain::invoice::Invoice { id, .. } = draft;
        Ok(InvoiceParty { name: sealed(999, &format!("{id} {}", party.party)), ..party.clone() })
    };
    let drafts = run::finalise_drafts(&cloud.view.billing, run, reseal).expect("the period is over");
    let commands: Result<Vec<_>, _> = drafts.take(most).collect();
    let commands = commands.expect("names are sealed anew");
    let count = commands.len();
    for command in commands {
        cloud.execute(Command::FinaliseInvoice(Box::new(command)));
    }
    count
}

fn ids(billing: &Billing, payer: Option<u64>, state: Option<DocumentState>) -> Vec<String> {
    let page = billing.documents((payer.map(PartyId), state), |_| true, None, 100);
    assert_eq!(page.next, None);
    page.items.iter().map(|document| document.invoice.id.to_string()).collect()
}

#[test]
fn drafts_are_documents_without_a_number() {
    let mut cloud = a_month();
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    let billing = &cloud.view.billing;
    let known = billing.run(run).expect("a run");
    assert_eq!((known.state(), known.opened.cut_off.next()), (DocumentState::Draft, known.sequence));
    // The seller pays for what is theirs: who sells to nobody else still wants to see what it costs.
    assert_eq!(
        ids(billing, None, None),
        ["RUN-1-PARTY-1", "RUN-1-PARTY-2", "RUN-1-PARTY-3", "RUN-1-PARTY-4"]
    );
    let draft = billing.document("RUN-1-PARTY-3").expect("a draft");
    assert_eq!(draft.state(), DocumentState::Draft);
    let invoice = &draft.invoice;
    assert_eq!((invoice.seller.party, invoice.buyer.party), (SELLER, PartyId(3)));
    assert_eq!(invoice.period.to_string(), "2026-09-30T22:00:00Z/2026-10-31T23:00:00Z");
    assert_eq!([invoice.net, invoice.total].map(|amount| amount.to_string()), ["10.00", "10.00"]);
    assert_eq!([invoice.rounding, invoice.tax[0].amount].map(|amount| amount.to_string()), ["0.00", "0.00"]);
    assert_eq!(invoice.tax[0].base, invoice.net);
    for unknown in ["", "RUN-1", "RUN-2-PARTY-1", "RUN-1-PARTY-9", "RUN-x-PARTY-1", "INV-2026-000001"] {
        assert_eq!(billing.document(unknown), None, "{unknown}");
    }
}

#[test]
fn drafts_become_invoices_and_an_interrupted_run_goes_on() {
    let mut cloud = a_month();
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(finalise(&mut cloud, run, 2), 2);
    let state = |state| Some(state);
    assert_eq!(
        ids(&cloud.view.billing, None, state(DocumentState::Draft)),
        ["RUN-1-PARTY-3", "RUN-1-PARTY-4"]
    );
    let closing = run::finalise_run(&cloud.view.billing, run);
    let early = cloud.try_execute(Command::FinaliseInvoiceRun(closing.clone()));
    assert_eq!(early, Err(Refusal::Invoice(InvoiceRefusal::RunIncomplete { issued: 2, drafts: 4 })));

    assert_eq!(finalise(&mut cloud, run, usize::MAX), 2);
    assert_eq!(finalise(&mut cloud, run, usize::MAX), 0);
    assert_eq!(cloud.execute(Command::FinaliseInvoiceRun(closing)), Answer::InvoiceRun(run));
    let billing = &cloud.view.billing;
    assert_eq!(billing.run(run).map(slapledger_billing::Run::state), Some(DocumentState::Final));
    assert_eq!(ids(billing, None, state(DocumentState::Draft)), Vec::<String>::new());
    assert_eq!(
        ids(billing, None, state(DocumentState::Final)),
        ["INV-2026-000001", "INV-2026-000002", "INV-2026-000003", "INV-2026-000004"]
    );
    assert_eq!(ids(billing, Some(3), None), ["INV-2026-000003"]);

    // The id it had as a draft still finds it; its names are under the keys of invoices, its lines as they were.
    let invoice = billing.document("INV-2026-000003").expect("an invoice");
    assert_eq!(billing.document("RUN-1-PARTY-3"), Some(invoice));
    assert_eq!(invoice.invoice.buyer.name, sealed(999, "RUN-1-PARTY-3 PARTY-3"));
    assert_eq!(invoice.invoice.seller.name, sealed(999, "RUN-1-PARTY-3 PARTY-1"));
    assert_eq!(cloud.view.line_events("INV-2026-000003", 1).map(|events| events.len()), Some(2));
    let issued = invoice.issued.expect("it is issued");
    assert!(matches!(
        cloud.log[usize::try_from(issued.0).expect("small") - 1].event,
        Event::InvoiceFinalised(_)
    ));
}

#[test]
fn who_was_invoiced_for_a_time_is_not_invoiced_for_it_again() {
    let mut cloud = a_month();
    let first = cloud.open_run("2026-10-01", "2026-11-01");
    finalise(&mut cloud, first, 2);
    // Two of the four are left, and of the others the day that is not invoiced.
    let second = cloud.open_run("2026-10-20", "2026-11-02");
    let left = cloud.view.billing.documents_of(second);
    let left: Vec<(PartyId, String)> =
        left.map(|document| (document.invoice.buyer.party, document.invoice.period.to_string())).collect();
    let since = |party, start: &str| {
        let (_, period) = left.iter().find(|(payer, _)| *payer == PartyId(party)).expect("a draft");
        assert!(period.starts_with(start), "{period}");
    };
    assert_eq!(left.len(), 4);
    let day = &left[1].1;
    assert_eq!(day, "2026-11-01T00:00:00Z/2026-11-02T00:00:00Z");
    since(3, "2026-10-");
    assert_eq!(cloud.warnings(second), Vec::<String>::new());
    let third = cloud.open_run("2026-10-20", "2026-11-01");
    assert_eq!(
        cloud.warnings(third),
        [
            "PARTY-1: INV-2026-000001 already covers this period; there is no draft",
            "PARTY-2: INV-2026-000002 already covers this period; there is no draft",
        ]
    );
    // A month later all of them are.
    cloud.clock("2026-12-01T00:00:00Z");
    let third = cloud.open_run("2026-11-01", "2026-12-01");
    assert_eq!(cloud.view.billing.documents_of(third).count(), 4);
    assert_eq!(cloud.warnings(third), Vec::<String>::new());
}

#[test]
fn a_run_that_was_opened_early_stays_a_draft() {
    let mut cloud = a_month();
    // In Paris October is over, in UTC there is a second left.
    cloud.clock("2026-10-31T23:59:59Z");
    let early = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.clock("2026-11-01T00:00:00Z");
    let reseal = |_: &_, party: &InvoiceParty| Ok::<_, Infallible>(party.clone());
    let refused = run::finalise_drafts(&cloud.view.billing, early, reseal).map(Iterator::count);
    assert_eq!(refused, Err(run::OpenedEarly { run: early, stop: at("2026-11-01T00:00:00Z") }));
    cloud.execute(Command::RefreshInvoiceRun(RefreshInvoiceRun { run: early }));
    assert_eq!(finalise(&mut cloud, early, usize::MAX), 4);
}

#[test]
fn who_has_nothing_to_pay_gets_no_draft() {
    let mut cloud = Cloud::new(BOOK);
    cloud.customer("UTC");
    cloud.clock("2026-11-02T00:00:00Z");
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.view.billing.documents_of(run).count(), 0);
    // An empty run can be closed.
    let closing = run::finalise_run(&cloud.view.billing, run);
    assert_eq!(cloud.execute(Command::FinaliseInvoiceRun(closing)), Answer::InvoiceRun(run));
}

/// Drafts of many payers are drawn up on several cores.
#[test]
fn however_many_payers_there_are_they_come_in_order() {
    let odd = Wanted { release: "http://example.org/odd", ..PRODUCTION };
    let book = "name = \"standard\"\ncurrency = \"EUR\"\nvalid_from = \"2026-01-01T00:00:00Z\"\n\
        rates = [{ kind = \"recurring\", every = \"hour\", when = \"arrears\", price = \"1\", \
        match = { software_release = \"http://example.org/v1\" } }]";
    let mut cloud = Cloud::new(book);
    cloud.clock("2026-10-05T00:00:00Z");
    // One after the other in the same partition, an hour each; every third has no price.
    let customers = 900_u64;
    for n in 0..customers {
        let customer = cloud.customer("UTC");
        let wanted = if n % 3 == 0 { &odd } else { &PRODUCTION };
        cloud.request(customer, "job", wanted);
        let (day, hour) = (6 + n / 40, n % 40 / 2);
        cloud.clock(&format!("2026-10-{day:02}T{hour:02}:{:02}:00Z", n % 2 * 30));
        cloud.end(customer, "job");
    }
    cloud.clock("2026-11-01T00:00:00Z");
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    let priced = (0..customers).filter(|n| n % 3 > 0).map(|n| PartyId(n + 2));
    let drafts = cloud.view.billing.documents_of(run).map(|document| document.invoice.buyer.party);
    assert_eq!(drafts.collect::<Vec<_>>(), priced.collect::<Vec<_>>());
    let warned: Vec<u64> = (0..customers).filter(|n| n % 3 == 0).map(|n| n + 1).collect();
    let known = cloud.view.billing.run(run).expect("a run");
    let told = known.warnings.iter().map(|warning| match warning {
        Warning::NoRate { instance, .. } => instance.0,
        other => panic!("{other}"),
    });
    assert_eq!(told.collect::<Vec<_>>(), warned);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}

#[test]
fn a_period_may_be_empty_for_somebody() {
    let mut cloud = a_month();
    // From midnight to 00:30 UTC: in Paris midnight was two hours ago, and half past twelve has not come for the day.
    let run = cloud.open_run("2026-10-01T22:30:00Z", "2026-10-02");
    assert_eq!(cloud.warnings(run), ["PARTY-3: the period is empty in their time zone"]);
    assert_eq!(cloud.view.billing.documents_of(run).count(), 3);
}

#[test]
fn lists_come_in_pages() {
    let mut cloud = a_month();
    for day in 1..4 {
        cloud.open_run(&format!("2026-10-0{day}"), &format!("2026-10-0{}", day + 1));
    }
    let billing = &cloud.view.billing;
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = billing.documents((Some(PartyId(2)), Some(DocumentState::Draft)), |_| true, after, 2);
        seen.push(page.items.iter().map(|document| document.invoice.id.to_string()).collect::<Vec<_>>());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, [vec!["RUN-1-PARTY-2", "RUN-2-PARTY-2"], vec!["RUN-3-PARTY-2"]]);
    let runs = billing.runs(None, 2);
    assert_eq!((runs.items.len(), runs.next), (2, Some(RunId(2))));
    assert_eq!(billing.runs(runs.next, 2).items[0].opened.run, RunId(3));
}

#[test]
fn price_books_are_listed_with_the_events_that_published_them() {
    let mut cloud = Cloud::new(BOOK);
    cloud.publish(&BOOK.replace("10.00", "11"));
    let published = cloud.sequences(|event| matches!(event, Event::PriceBookPublished(_)));
    let billing = &cloud.view.billing;
    let versions: Vec<_> =
        billing.price_book("standard").map(|known| (known.version, known.sequence)).collect();
    assert_eq!(versions, [(1, published[0]), (2, published[1])]);
    let newest: Vec<_> =
        billing.price_books().map(|known| (known.book.name.as_str(), known.version)).collect();
    assert_eq!(newest, [("standard", 2)]);
    assert_eq!(billing.price_book("other").count(), 0);
}

#[test]
fn an_invoice_of_many_lines_is_whole_again() {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-09-30T00:00:00Z");
    let customer = cloud.customer("UTC");
    // Instances follow each other in one partition: each has three lines.
    let long = "x".repeat(200);
    for n in 0..60 {
        cloud.clock(&format!("2026-10-05T{:02}:{:02}:00Z", n / 6, n % 6 * 10));
        cloud.request(customer, &format!("{long} {n}"), &PRODUCTION);
        let now = format!("2026-10-05T{:02}:{:02}:00Z", n / 6, n % 6 * 10 + 9);
        cloud.clock(&now);
        for resource in [CPU, REQUESTS] {
            let start = format!("2026-10-05T{:02}:{:02}:00Z", n / 6, n % 6 * 10);
            cloud.usage(("slappart0", resource), "60", (&start, &now));
        }
        cloud.end(customer, &format!("{long} {n}"));
    }
    cloud.clock("2026-11-02T00:00:00Z");
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    let draft = cloud.view.billing.document("RUN-1-PARTY-2").expect("a draft").invoice.clone();
    assert_eq!(draft.lines.len(), 180);
    finalise(&mut cloud, run, 1);
    let parts = cloud.sequences(|event| matches!(event, Event::InvoiceLinesRecorded(_)));
    assert!(parts.len() > 1);
    let issued = &cloud.view.billing.document("INV-2026-000001").expect("an invoice").invoice;
    assert_eq!((&issued.lines, issued.total), (&draft.lines, draft.total));
    assert!((1..=180).all(|n| cloud.view.line_events("INV-2026-000001", n).is_some()));
}

#[test]
fn what_would_be_invoiced_now_is_what_a_run_drafts() {
    let mut cloud = a_month();
    cloud.usage(("slappart0", CPU), "12.5", DAY);
    let ask = |cloud: &Cloud, payer, after, limit| {
        let name = "standard".parse().expect("a name");
        let asked = Preview {
            seller: SELLER,
            payer,
            period: RunPeriod { start: bound("2026-10-01"), stop: bound("2026-11-01") },
            price_book: &name,
            as_of: Sequence(cloud.log.len() as u64),
            at: at("2026-11-02T00:00:00Z"),
        };
        cloud.view.preview(asked, after, limit)
    };
    let all = ask(&cloud, None, None, 9);
    let one = ask(&cloud, Some(PartyId(3)), None, 9);
    let (first, rest) = (ask(&cloud, None, None, 1), ask(&cloud, None, Some(PartyId(1)), 9));
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    let said = |invoice: &Invoice| (invoice.buyer.party, invoice.lines.clone(), invoice.net, invoice.total);
    let drafts: Vec<_> =
        cloud.view.billing.documents_of(run).map(|document| said(&document.invoice)).collect();
    let previewed: Vec<_> = all.items.iter().filter_map(|told| told.draft.as_ref().map(said)).collect();
    assert_eq!((previewed, all.next), (drafts, None));
    assert_eq!(one.items, all.items[2..3]);
    assert_eq!((first.items.as_slice(), first.next), (&all.items[..1], Some(PartyId(1))));
    assert_eq!(rest.items, all.items[1..]);
    // What is invoiced is not invoiced again, and that is said.
    finalise(&mut cloud, run, 1);
    let after = ask(&cloud, None, None, 1);
    assert_eq!((&after.items[0].draft, after.items[0].warnings.len()), (&None, 1));
}

#[test]
fn a_rebuilt_view_is_the_same_to_the_byte() {
    let mut cloud = a_month();
    for payer in 0..4 {
        cloud.usage((&format!("slappart{payer}"), CPU), "12.5", DAY);
    }
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    finalise(&mut cloud, run, 2);
    cloud.usage(("slappart0", CPU), "1", DAY);
    let live = cloud.view.snapshot();
    assert_eq!(cloud.rebuilt().snapshot(), live);
    // And from a snapshot of any place with the tail after it.
    for cut in 0..cloud.log.len() {
        let mut view = BillingView::default();
        cloud.log[..cut].iter().for_each(|recorded| view.apply(recorded));
        let mut view = BillingView::restore(&view.snapshot()).expect("a snapshot");
        cloud.log[cut..].iter().for_each(|recorded| view.apply(recorded));
        assert!(view.snapshot() == live, "cut at {cut}");
    }
    let names: Vec<&str> = cloud.view.parts().iter().map(|part| part.name).collect();
    assert_eq!(names, ["metering", "billing", "journal"]);
}
