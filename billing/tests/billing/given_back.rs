//! Credit notes and later runs: what was given back stays given back, and no time is charged twice.

use slapledger_billing::Document;
use slapledger_core::domain::Command;
use slapledger_core::domain::id::{PartyId, RunId};
use slapledger_core::domain::invoice::{
    FinaliseInvoice, GiveBack, HowMuch, IssueCreditNote, RefreshInvoiceRun, WithdrawInvoiceRun,
};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::usage::{Revision, UsageId};

use crate::cloud::{BOOK, CPU, Cloud, PRODUCTION, at};

/// October of a customer: 10.00 for an instance, 1.20 for what it used (600 `percent_hour` x 0.002).
fn invoiced() -> Cloud {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-09-20T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-11-01T00:00:00Z");
    used(&mut cloud, "first", "50", 5);
    let october = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(october);
    cloud
}

/// October of a customer who pays for usage alone, and used nothing.
fn without_fees() -> Cloud {
    let book: Vec<&str> = BOOK.lines().filter(|line| !line.contains("recurring")).collect();
    let mut cloud = Cloud::new(&book.join("\n"));
    cloud.clock("2026-09-20T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-11-01T00:00:00Z");
    cloud
}

/// Half a day of October at some percent.
fn used(cloud: &mut Cloud, id: &str, percent: &str, day: u32) {
    let hours = |hour| at(&format!("2026-10-{day:02}T{hour}:00:00Z"));
    cloud.report(id, Revision::None, ("slappart0", CPU), percent, (hours("00"), hours("12")));
}

fn note(cloud: &mut Cloud, invoice: &str, give_back: GiveBack) {
    let original = cloud.view.billing.document(invoice).expect(invoice).invoice.clone();
    let note = IssueCreditNote { original, give_back, reason: "not delivered".into(), as_of: None };
    cloud.execute(Command::IssueCreditNote(Box::new(note)));
}

fn euros(cents: i128) -> Amount {
    Amount::from_minor(cents, Currency::EUR)
}

fn next_month(cloud: &mut Cloud) -> (RunId, Vec<String>) {
    cloud.clock("2026-12-01T00:00:00Z");
    let run = cloud.open_run("2026-11-01", "2026-12-01");
    let charges = cloud.charges(run);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
    (run, charges)
}

const FEE: &str = "PARTY-2: SOFTINST-1 recurring: 1 month = 10.00 (0)";
const USE: &str = "PARTY-2: SOFTINST-1 usage of cpu: 600 percent_hour = 1.20 (0)";

#[test]
fn a_note_stands_beside_its_document() {
    let mut cloud = invoiced();
    note(&mut cloud, "INV-2026-000001", GiveBack::Lines(vec![(2, HowMuch::Amount(euros(50)))]));
    let shown = |document: &Document| (document.invoice.id.to_string(), document.invoice.total.to_string());
    let notes: Vec<_> = cloud.view.billing.notes_on(RunId(1), PartyId(2)).map(shown).collect();
    assert_eq!(notes, [("INVCN-2026-000001".to_owned(), "0.50".to_owned())]);
    // The documents of the run are those it had.
    assert_eq!(cloud.charges(RunId(1)), [FEE, USE]);
    let (_, charges) = next_month(&mut cloud);
    assert_eq!(charges, [FEE]);
}

/// Of 1.20 are 0.50 given back by hand. Then the usage is corrected to nothing: 0.70 are left to give back.
#[test]
fn what_was_given_back_is_not_given_back_again() {
    let mut cloud = invoiced();
    note(&mut cloud, "INV-2026-000001", GiveBack::Lines(vec![(2, HowMuch::Amount(euros(50)))]));
    let hours = |hour| at(&format!("2026-10-05T{hour}:00:00Z"));
    let first = Revision::Replaces(UsageId::new("first").expect("an id"));
    cloud.report("second", first, ("slappart0", CPU), "0", (hours("00"), hours("12")));
    let rest = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 2: -600 percent_hour = -0.70 (0)";
    assert_eq!(next_month(&mut cloud).1, [FEE, rest]);
}

#[test]
fn a_void_period_is_invoiced_again() {
    let mut cloud = invoiced();
    note(&mut cloud, "INV-2026-000001", GiveBack::All);
    used(&mut cloud, "late", "10", 6);
    let again = cloud.open_run("2026-10-01", "2026-11-01");
    let more = "PARTY-2: SOFTINST-1 usage of cpu: 720 percent_hour = 1.44 (0)";
    assert_eq!(cloud.charges(again), [FEE, more]);
    cloud.finalise(again);
    // What came late is in it, and nowhere else.
    assert_eq!(next_month(&mut cloud).1, [FEE]);
}

/// A second run of a month finds nothing to do. What comes late is about the document, and not about that run too.
#[test]
fn late_usage_is_charged_once_if_two_runs_are_about_its_time() {
    let mut cloud = invoiced();
    let second = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.charges(second), Vec::<String>::new());
    cloud.finalise(second);
    used(&mut cloud, "late", "10", 6);
    let late = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 2: 120 percent_hour = 0.24 (0)";
    assert_eq!(next_month(&mut cloud).1, [FEE, late]);
}

/// What comes late before a second run of a month is not in that run, which passes the customer over: it is in the
/// next. Before, the second run counted as the one that had charged it, and nobody ever did.
#[test]
fn late_usage_is_not_lost_if_a_second_run_passes_its_customer_over() {
    let mut cloud = invoiced();
    used(&mut cloud, "late", "10", 6);
    let second = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.charges(second), Vec::<String>::new());
    cloud.finalise(second);
    let late = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 2: 120 percent_hour = 0.24 (0)";
    assert_eq!(next_month(&mut cloud).1, [FEE, late]);
}

/// Neither of two runs of a month had anything to charge. What comes late is charged once, and not for each of them.
#[test]
fn late_usage_is_charged_once_if_two_runs_had_no_document() {
    let mut cloud = without_fees();
    // The second is about a part of the time, the third about all of it.
    for stop in ["2026-11-01", "2026-10-20", "2026-11-01"] {
        let run = cloud.open_run("2026-10-01", stop);
        cloud.finalise(run);
    }
    used(&mut cloud, "late", "50", 5);
    let (november, charges) = next_month(&mut cloud);
    assert_eq!(charges, ["PARTY-2: SOFTINST-1 adjustment: 600 percent_hour = 1.20 (0)"]);
    cloud.finalise(november);
    used(&mut cloud, "later", "10", 6);
    cloud.clock("2027-01-01T00:00:00Z");
    let december = cloud.open_run("2026-12-01", "2027-01-01");
    assert_eq!(cloud.charges(december), ["PARTY-2: SOFTINST-1 adjustment: 120 percent_hour = 0.24 (0)"]);
}

/// A second run passes the customer over, and then the document of the first is void. What comes late is for anyone who
/// invoices the month again, and no reason to charge all of it as something that came late.
#[test]
fn what_is_void_is_not_charged_by_a_run_that_passed_its_customer_over() {
    let mut cloud = invoiced();
    let second = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(second);
    note(&mut cloud, "INV-2026-000001", GiveBack::All);
    used(&mut cloud, "late", "10", 6);
    assert_eq!(next_month(&mut cloud).1, [FEE]);
}

/// November charged what came late for October, and is void. Anyone who invoices November again charges it again.
#[test]
fn an_adjustment_that_is_void_is_charged_again() {
    let mut cloud = invoiced();
    used(&mut cloud, "late", "10", 6);
    let late = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 2: 120 percent_hour = 0.24 (0)";
    let (november, charges) = next_month(&mut cloud);
    assert_eq!(charges, [FEE, late]);
    cloud.finalise(november);
    note(&mut cloud, "INV-2026-000002", GiveBack::All);
    let again = cloud.open_run("2026-11-01", "2026-12-01");
    assert_eq!(cloud.charges(again), [FEE, late]);
    cloud.finalise(again);
    cloud.clock("2027-01-01T00:00:00Z");
    let december = cloud.open_run("2026-12-01", "2027-01-01");
    assert_eq!(cloud.charges(december), [FEE]);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}

/// Nor is it lost if the draft that would have charged it is given up: the next run of that month charges it.
#[test]
fn late_usage_is_not_lost_with_a_draft_that_is_given_up() {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-09-20T00:00:00Z");
    let customers = [cloud.customer("UTC"), cloud.customer("UTC")];
    cloud.request(customers[0], "one", &PRODUCTION);
    cloud.request(customers[1], "two", &PRODUCTION);
    cloud.clock("2026-11-01T00:00:00Z");
    let october = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(october);
    let hours = |hour| at(&format!("2026-10-05T{hour}:00:00Z"));
    cloud.report("late", Revision::None, ("slappart1", CPU), "50", (hours("00"), hours("12")));
    let (november, charges) = next_month(&mut cloud);
    let fee = |party, instance| format!("PARTY-{party}: SOFTINST-{instance} recurring: 1 month = 10.00 (0)");
    let late =
        "PARTY-3: SOFTINST-2 adjustment of INV-2026-000002 line 0: 600 percent_hour = 1.20 (0)".to_owned();
    assert_eq!(charges, [fee(2, 1), fee(3, 2), late.clone()]);
    let draft = cloud.view.billing.document("RUN-2-PARTY-2").expect("a draft").invoice.clone();
    cloud.execute(Command::FinaliseInvoice(Box::new(FinaliseInvoice { draft, alone: false })));
    cloud.execute(Command::WithdrawInvoiceRun(WithdrawInvoiceRun { run: november }));
    let again = cloud.open_run("2026-11-01", "2026-12-01");
    assert_eq!(cloud.charges(again), [fee(3, 2), late]);
}

/// A second run of a month charges what came late since the first, which had nothing to charge: as usage, and once.
#[test]
fn late_usage_is_charged_once_by_a_second_run_of_its_month() {
    let mut cloud = without_fees();
    let first = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(first);
    used(&mut cloud, "late", "50", 5);
    let second = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.charges(second), [USE]);
    cloud.finalise(second);
    assert_eq!(next_month(&mut cloud).1, Vec::<String>::new());
}

/// A customer who had nothing to pay used something after all: the next month charges it, so no second run may.
#[test]
fn what_an_adjustment_charged_is_not_in_a_second_run() {
    let mut cloud = without_fees();
    let october = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.charges(october), Vec::<String>::new());
    cloud.finalise(october);
    used(&mut cloud, "late", "50", 5);
    let (november, charges) = next_month(&mut cloud);
    assert_eq!(charges, ["PARTY-2: SOFTINST-1 adjustment: 600 percent_hour = 1.20 (0)"]);
    cloud.finalise(november);
    let again = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.charges(again), Vec::<String>::new());
    assert_eq!(
        cloud.warnings(again),
        ["PARTY-2: INV-2026-000001 already covers this period; there is no draft"]
    );
}

/// Of two drafts one becomes final, and the run is given up. The other customer is as if there had been no run.
#[test]
fn who_was_given_up_is_charged_by_another_run_alone() {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-09-20T00:00:00Z");
    let customers = [cloud.customer("UTC"), cloud.customer("UTC")];
    cloud.request(customers[0], "one", &PRODUCTION);
    cloud.request(customers[1], "two", &PRODUCTION);
    cloud.clock("2026-11-01T00:00:00Z");
    let october = cloud.open_run("2026-10-01", "2026-11-01");
    let draft = cloud.view.billing.document("RUN-1-PARTY-2").expect("a draft").invoice.clone();
    cloud.execute(Command::FinaliseInvoice(Box::new(FinaliseInvoice { draft, alone: false })));
    cloud.execute(Command::WithdrawInvoiceRun(WithdrawInvoiceRun { run: october }));
    assert_eq!(cloud.charges(october), [FEE]);
    assert!(cloud.view.billing.document("RUN-1-PARTY-3").is_none());
    let hours = |hour| at(&format!("2026-10-05T{hour}:00:00Z"));
    cloud.report("late", Revision::None, ("slappart1", CPU), "50", (hours("00"), hours("12")));
    let (november, charges) = next_month(&mut cloud);
    let fee = |party, instance| format!("PARTY-{party}: SOFTINST-{instance} recurring: 1 month = 10.00 (0)");
    assert_eq!(charges, [fee(2, 1), fee(3, 2)]);
    cloud.execute(Command::WithdrawInvoiceRun(WithdrawInvoiceRun { run: november }));
    let again = cloud.open_run("2026-10-01", "2026-11-01");
    let used = "PARTY-3: SOFTINST-2 usage of cpu: 600 percent_hour = 1.20 (0)".to_owned();
    assert_eq!(cloud.charges(again), [fee(3, 2), used]);
}

#[test]
fn a_refreshed_run_knows_what_came_since() {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-09-20T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-11-01T00:00:00Z");
    let october = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.charges(october), [FEE]);
    used(&mut cloud, "first", "50", 5);
    assert_eq!(cloud.charges(october), [FEE]);
    cloud.execute(Command::RefreshInvoiceRun(RefreshInvoiceRun { run: october }));
    assert_eq!(cloud.charges(october), [FEE, USE]);
    cloud.finalise(october);
    assert_eq!(next_month(&mut cloud).1, [FEE]);
}
