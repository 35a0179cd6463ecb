//! What instances used.

use slapledger_core::domain::Command;
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::invoice::RefreshInvoiceRun;
use slapledger_core::domain::usage::{
    DismissSuspendedUsage, ResolveSuspendedUsage, Revision, Unmeterable, UsageId, UsageOutcome,
};

use crate::cloud::{BOOK, CPU, Cloud, PRODUCTION, REQUESTS, Wanted, at};

/// Prices of usage alone, so that lines are about usage alone.
fn usage_alone() -> String {
    let lines = BOOK.lines().filter(|line| !line.contains("recurring"));
    lines.collect::<Vec<_>>().join("\n")
}

/// A customer with one instance, `web`, all October, and the clock at the end of it.
fn with_web(book: &str) -> Cloud {
    let mut cloud = Cloud::new(book);
    cloud.clock("2026-09-30T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "web", &PRODUCTION);
    cloud.clock("2026-11-02T00:00:00Z");
    cloud
}

const DAY: (&str, &str) = ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z");
const OCTOBER: &str = "production, 2026-10-01/2026-11-01";

#[test]
fn a_gauge_is_paid_by_the_hours_it_held() {
    let mut cloud = with_web(&usage_alone());
    // 12.5 % x 24 h = 300 percent hours; x 0.002 = 0.60
    cloud.usage(("slappart0", CPU), "12.5", DAY);
    assert_eq!(
        cloud.october(),
        [format!("PARTY-2: web on COMP-1 slappart0: cpu, {OCTOBER}: 300 percent_hour x 0.002 = 0.60 v1")]
    );
}

#[test]
fn a_gauge_is_rounded_once_for_each_line() {
    let mut cloud = with_web(&usage_alone());
    // Three times 1 % for a second are 3/3600 = 0.000 833 333... percent hours, not three times 0.000 277 778.
    for second in 0..3 {
        let period = (format!("2026-10-05T00:00:0{second}Z"), format!("2026-10-05T00:00:0{}Z", second + 1));
        cloud.usage(("slappart0", CPU), "1", (&period.0, &period.1));
    }
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    let line = &cloud.view.billing.documents_of(run).next().expect("a draft").invoice.lines[0];
    assert_eq!((line.quantity.to_string().as_str(), line.events.count), ("0.000833333", 3));
}

#[test]
fn a_counter_is_cut_at_the_end_of_the_period() {
    let mut cloud = with_web(&usage_alone());
    cloud.usage(("slappart0", REQUESTS), "1000", DAY);
    // Two hours, one of them October's: 1500. Together 2500 x 0.0005 = 1.25
    cloud.usage(("slappart0", REQUESTS), "3000", ("2026-10-31T23:00:00Z", "2026-11-01T01:00:00Z"));
    // Nothing of November's own.
    cloud.usage(("slappart0", REQUESTS), "7", ("2026-11-01T00:00:00Z", "2026-11-01T01:00:00Z"));
    assert_eq!(
        cloud.october(),
        [format!("PARTY-2: web on COMP-1 slappart0: requests, {OCTOBER}: 2500 request x 0.0005 = 1.25 v1")]
    );
}

#[test]
fn nothing_used_is_no_line() {
    let mut cloud = with_web(&usage_alone());
    cloud.usage(("slappart0", CPU), "0", DAY);
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.view.billing.documents_of(run).count(), 0);
    assert_eq!(cloud.warnings(run), Vec::<String>::new());
}

#[test]
fn prices_of_usage_change_in_the_middle_of_a_report() {
    let mut cloud = with_web(&usage_alone());
    cloud.publish(&usage_alone().replace("0.0005", "0.001").replace("2026-01-01T00", "2026-10-05T06"));
    // A quarter of the day, 250 x 0.0005 = 0.125 -> 0.13; three quarters, 750 x 0.001 = 0.75
    cloud.usage(("slappart0", REQUESTS), "1000", DAY);
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(
        cloud.lines(run),
        [
            "PARTY-2: web on COMP-1 slappart0: requests, production, 2026-10-01T00:00:00Z/2026-10-05T06:00:00Z: 250 request x 0.0005 = 0.13 v1",
            "PARTY-2: web on COMP-1 slappart0: requests, production, 2026-10-05T06:00:00Z/2026-11-01T00:00:00Z: 750 request x 0.001 = 0.75 v2",
        ]
    );
    // Both rest on the same report.
    let usage = cloud.sequences(|event| matches!(event, Event::UsageRecorded(_)));
    assert_eq!(cloud.view.line_events("RUN-1-PARTY-2", 1), Some(usage.clone()));
    assert_eq!(cloud.view.line_events("RUN-1-PARTY-2", 2), Some(usage));
}

#[test]
fn usage_of_a_partition_is_paid_by_its_tenant_of_the_time() {
    let mut cloud = Cloud::new(&usage_alone());
    let (one, two) = (cloud.customer("UTC"), cloud.customer("UTC"));
    cloud.clock("2026-10-05T00:00:00Z");
    cloud.request(one, "first", &PRODUCTION);
    cloud.clock("2026-10-05T18:00:00Z");
    cloud.end(one, "first");
    cloud.request(two, "second", &PRODUCTION);
    cloud.clock("2026-11-02T00:00:00Z");
    // 18 hours of 24: 750 x 0.0005 = 0.375 -> 0.38; 6 hours: 250 x 0.0005 = 0.125 -> 0.13
    cloud.usage(("slappart0", REQUESTS), "1000", DAY);
    // 1 % in both: 18 x 0.002 = 0.036 -> 0.04; 6 x 0.002 = 0.012 -> 0.01
    cloud.usage(("slappart0", CPU), "1", DAY);
    assert_eq!(
        cloud.october(),
        [
            "PARTY-2: first on COMP-1 slappart0: cpu, production, 2026-10-05T00:00:00Z/2026-10-05T18:00:00Z: 18 percent_hour x 0.002 = 0.04 v1",
            "PARTY-2: first on COMP-1 slappart0: requests, production, 2026-10-05T00:00:00Z/2026-10-05T18:00:00Z: 750 request x 0.0005 = 0.38 v1",
            "PARTY-3: second on COMP-1 slappart0: cpu, production, 2026-10-05T18:00:00Z/2026-11-01T00:00:00Z: 6 percent_hour x 0.002 = 0.01 v1",
            "PARTY-3: second on COMP-1 slappart0: requests, production, 2026-10-05T18:00:00Z/2026-11-01T00:00:00Z: 250 request x 0.0005 = 0.13 v1",
        ]
    );
}

/// A node whose clock is two minutes ahead reports up to an instant at which its instance was gone already.
#[test]
fn usage_reported_before_the_end_but_stopping_after_it_counts() {
    let mut cloud = Cloud::new(&usage_alone());
    let customer = cloud.customer("UTC");
    cloud.clock("2026-10-05T00:00:00Z");
    cloud.request(customer, "web", &PRODUCTION);
    cloud.clock("2026-10-05T09:59:00Z");
    cloud.usage(("slappart0", REQUESTS), "1000", ("2026-10-05T09:00:00Z", "2026-10-05T10:00:00Z"));
    cloud.usage(("slappart0", CPU), "5", ("2026-10-05T08:00:00Z", "2026-10-05T09:00:00Z"));
    cloud.clock("2026-10-05T09:59:30Z");
    cloud.end(customer, "web");
    assert_eq!(
        cloud.october(),
        [
            "PARTY-2: web on COMP-1 slappart0: cpu, production, 2026-10-05T00:00:00Z/2026-10-05T09:59:30Z: 5 percent_hour x 0.002 = 0.01 v1",
            "PARTY-2: web on COMP-1 slappart0: requests, production, 2026-10-05/2026-11-01: 1000 request x 0.0005 = 0.50 v1",
        ]
    );
}

#[test]
fn corrected_usage_counts_once_and_suspended_usage_when_it_is_resolved() {
    let mut cloud = with_web(&usage_alone());
    cloud.report("a", Revision::None, ("slappart0", REQUESTS), "1000", (at(DAY.0), at(DAY.1)));
    let replaces = Revision::Replaces(UsageId::new("a").expect("an id"));
    cloud.report("b", replaces, ("slappart0", REQUESTS), "400", (at(DAY.0), at(DAY.1)));
    let outcome = cloud.usage(("slappart0", REQUESTS), "NaN", DAY);
    let UsageOutcome::Suspended(suspended, _) = outcome else { panic!("{outcome:?}") };
    // November's and September's are not this run's concern; one without a stop may be.
    cloud.usage(("slappart0", REQUESTS), "NaN", ("2026-11-01T00:00:00Z", "2026-11-01T01:00:00Z"));
    cloud.usage(("slappart0", REQUESTS), "NaN", ("2026-09-30T23:00:00Z", "2026-10-01T00:00:00Z"));

    let before = cloud.open_run("2026-10-01", "2026-11-01");
    let expected =
        [format!("PARTY-2: web on COMP-1 slappart0: requests, {OCTOBER}: 400 request x 0.0005 = 0.20 v1")];
    assert_eq!(cloud.lines(before), expected);
    assert_eq!(cloud.warnings(before), ["1 report of usage suspended, not charged until resolved"]);
    assert_eq!(cloud.view.billing.run(before).map(|run| run.suspended_usage), Some(1));
    let corrected = cloud.sequences(|event| matches!(event, Event::UsageCorrected(_)));
    assert_eq!(cloud.view.line_events("RUN-1-PARTY-2", 1), Some(corrected));

    cloud.execute(Command::ResolveSuspendedUsage(ResolveSuspendedUsage {
        suspended,
        subject: None,
        resource: None,
        quantity: Some("600".parse().expect("a quantity")),
        period: None,
    }));
    assert_eq!(cloud.lines(before), expected);
    let after = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(
        cloud.lines(after),
        [format!("PARTY-2: web on COMP-1 slappart0: requests, {OCTOBER}: 1000 request x 0.0005 = 0.50 v1")]
    );
    assert_eq!(cloud.warnings(after), Vec::<String>::new());
}

#[test]
fn what_comes_after_the_cut_off_changes_no_draft() {
    let mut cloud = with_web(BOOK);
    cloud.report("a", Revision::None, ("slappart0", CPU), "12.5", (at(DAY.0), at(DAY.1)));
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    let (draft, behind) =
        (cloud.view.billing.document("RUN-1-PARTY-2").cloned(), cloud.view.line_events("RUN-1-PARTY-2", 2));
    assert!(draft.is_some() && behind.as_ref().is_some_and(|events| events.len() == 1));
    // Late, corrected, ended, changed, dearer.
    cloud.usage(("slappart0", CPU), "80", DAY);
    let replaces = Revision::Replaces(UsageId::new("a").expect("an id"));
    cloud.report("b", replaces, ("slappart0", CPU), "1", (at(DAY.0), at(DAY.1)));
    cloud.request(
        slapledger_core::domain::id::PartyId(2),
        "web",
        &Wanted { release: "http://example.org/v9", ..PRODUCTION },
    );
    cloud.publish(&BOOK.replace("0.002", "5"));
    assert_eq!(cloud.view.billing.document("RUN-1-PARTY-2").cloned(), draft);
    assert_eq!(cloud.view.line_events("RUN-1-PARTY-2", 2), behind);
    let again = cloud.open_run("2026-10-01", "2026-11-01");
    assert_ne!(cloud.lines(again), cloud.lines(run));
}

#[test]
fn usage_without_a_price_is_told_of() {
    let book = usage_alone()
        .replace("price = \"0.0005\"", "price = \"0.0005\", match = { instance_type = \"testing\" }")
        .replace(
            "resources = [",
            "resources = [\n    { resource = \"free\", kind = \"counter\", meter = \"sum\", unit = \"x\" },",
        );
    let mut cloud = with_web(&book);
    for resource in [CPU, REQUESTS, "free", "unheard-of", "unheard-of"] {
        cloud.usage(("slappart0", resource), "1", DAY);
    }
    // The computer's own usage is nobody's.
    cloud.usage(("COMP-1", CPU), "1", DAY);
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.lines(run).len(), 1);
    let october = "2026-10-01T00:00:00Z/2026-11-01T00:00:00Z";
    assert_eq!(
        cloud.warnings(run),
        [
            format!("SOFTINST-1: no rate for requests is for it; 1 report of usage not charged in {october}"),
            format!(
                "SOFTINST-1: unheard-of is not declared in the price book; 2 reports of usage not charged in {october}"
            ),
        ]
    );
}

#[test]
fn what_is_too_much_for_a_quantity_is_told_of_and_never_wraps() {
    let mut cloud = with_web(&usage_alone());
    let most = "999999999999999.999999999";
    cloud.usage(("slappart0", CPU), most, DAY);
    cloud.usage(("slappart0", REQUESTS), most, DAY);
    let first = cloud.open_run("2026-10-01", "2026-11-01");
    let october = "2026-10-01T00:00:00Z/2026-11-01T00:00:00Z";
    // 24 times the largest quantity is none; the largest quantity is: x 0.0005 = 499 999 999 999.9999... -> .00
    assert_eq!(
        cloud.lines(first),
        [format!(
            "PARTY-2: web on COMP-1 slappart0: requests, production, 2026-10-01/2026-11-01: {most} request x 0.0005 = 500000000000.00 v1"
        )]
    );
    let too_much = |what| {
        format!("SOFTINST-1: {what} in {october} is too much for a quantity of 15 digits and is not charged")
    };
    assert_eq!(cloud.warnings(first), [too_much(CPU)]);
    cloud.usage(("slappart0", REQUESTS), "1", DAY);
    let second = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.warnings(second), [too_much(CPU), too_much(REQUESTS)]);
    assert_eq!(cloud.view.billing.documents_of(second).count(), 0);
}

#[test]
fn usage_events_are_named_by_their_sequences() {
    let mut cloud = with_web(BOOK);
    let mut behind = Vec::new();
    for hour in 0..9 {
        let period = (format!("2026-10-05T0{hour}:00:00Z"), format!("2026-10-05T0{}:00:00Z", hour + 1));
        match cloud.usage(("slappart0", CPU), "1", (&period.0, &period.1)) {
            UsageOutcome::Accepted(sequence) => behind.push(sequence),
            other => panic!("{other:?}"),
        }
        cloud.usage(("slappart0", REQUESTS), "1", (&period.0, &period.1));
    }
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    let line = &cloud.view.billing.documents_of(run).next().expect("a draft").invoice.lines[1];
    assert_eq!((line.events.count, line.events.first_sequence), (9, behind[0]));
    assert_eq!(line.events.last_sequence, Sequence(behind[0].0 + 16));
    assert_eq!(cloud.view.line_events("RUN-1-PARTY-2", 2), Some(behind));
}

/// A report of more than can be is suspended: while it is, nothing of its payer becomes final, and no other payer
/// waits.
#[test]
fn implausible_usage_keeps_its_payer_from_being_invoiced() {
    let bounded = BOOK.replace("unit = \"request\"", "unit = \"request\", most = \"100\"");
    let mut cloud = Cloud::new(&bounded);
    let (customer, other) = (cloud.customer("UTC"), cloud.customer("UTC"));
    cloud.clock("2026-09-30T00:00:00Z");
    cloud.request(customer, "web", &PRODUCTION);
    cloud.request(other, "blog", &PRODUCTION);
    cloud.clock("2026-11-02T00:00:00Z");
    let outcome = cloud.usage(("slappart0", REQUESTS), "999999999999999", DAY);
    let UsageOutcome::Suspended(suspended, _) = outcome else { panic!("{outcome:?}") };
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    let implausible =
        "PARTY-2: 1 report of usage implausible, not charged until resolved or dismissed".to_owned();
    let waiting = "1 report of usage suspended, not charged until resolved".to_owned();
    assert_eq!(cloud.warnings(run), [waiting, implausible.clone()]);
    let in_doubt = slapledger_billing::doubt::in_doubt(&cloud.view.billing, run);
    assert_eq!(in_doubt.into_iter().collect::<Vec<_>>(), [(customer, implausible.into())]);
    let drafts = slapledger_billing::run::finalise_drafts(&cloud.view.billing, run, |_, party| {
        Ok::<_, ()>(party.clone())
    });
    let payers = drafts.expect("it is over").map(|draft| draft.expect("it is sealed").draft.buyer.party);
    assert_eq!(payers.collect::<Vec<_>>(), [other]);
    let dismiss = DismissSuspendedUsage { suspended, reason: "a broken counter".into() };
    cloud.execute(Command::DismissSuspendedUsage(dismiss));
    cloud.execute(Command::RefreshInvoiceRun(RefreshInvoiceRun { run }));
    assert!(slapledger_billing::doubt::in_doubt(&cloud.view.billing, run).is_empty());
    cloud.finalise(run);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}

/// A report about three tenants of a partition, one after the other: none of their payers is invoiced, and the first and
/// last are named alone.
#[test]
fn an_implausible_report_keeps_the_payers_of_all_its_tenants_from_being_invoiced() {
    let bounded = BOOK.replace("unit = \"request\"", "unit = \"request\", most = \"100\"");
    let mut cloud = Cloud::new(&bounded);
    let payers: Vec<_> = (0..5).map(|_| cloud.customer("UTC")).collect();
    cloud.clock("2026-09-30T00:00:00Z");
    // The last has another partition all the time.
    cloud.request(payers[4], "other", &PRODUCTION);
    for (n, payer) in payers[..4].iter().enumerate() {
        cloud.clock(&format!("2026-10-{:02}T00:00:00Z", 5 * n + 1));
        cloud.request(*payer, "web", &PRODUCTION);
        cloud.clock(&format!("2026-10-{:02}T00:00:00Z", 5 * n + 4));
        cloud.end(*payer, "web");
    }
    cloud.clock("2026-11-02T00:00:00Z");
    // Of the second, third and fourth.
    let period = ("2026-10-06T12:00:00Z", "2026-10-18T00:00:00Z");
    let outcome = cloud.usage(("slappart1", REQUESTS), "999999999999999", period);
    assert!(matches!(outcome, UsageOutcome::Suspended(_, Unmeterable::Implausible { .. })), "{outcome:?}");
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    let in_doubt = slapledger_billing::doubt::in_doubt(&cloud.view.billing, run);
    assert_eq!(in_doubt.into_keys().collect::<Vec<_>>(), payers[1..4]);
}
