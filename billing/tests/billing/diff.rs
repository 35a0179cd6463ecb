//! A run that is done is rated again: nothing has changed, or it is told what and why.

use slapledger_billing::diff::LineDiff;
use slapledger_core::domain::id::{RunId, Sequence};
use slapledger_core::domain::usage::Revision;

use crate::cloud::{BOOK, CPU, Cloud, PRODUCTION, REQUESTS, at};

const DAY: (&str, &str) = ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z");

/// October of two customers, each with an instance that uses something, made final.
fn october(book: &str) -> (Cloud, RunId) {
    let mut cloud = Cloud::new(book);
    cloud.clock("2026-09-20T00:00:00Z");
    for _ in 0..2 {
        let customer = cloud.customer("UTC");
        cloud.request(customer, "one", &PRODUCTION);
    }
    cloud.clock("2026-11-02T00:00:00Z");
    for (n, subject) in ["slappart0", "slappart1"].into_iter().enumerate() {
        for (resource, quantity) in [(CPU, "50"), (REQUESTS, "10000")] {
            let id = format!("{resource} {n}");
            cloud.report(&id, Revision::None, (subject, resource), quantity, (at(DAY.0), at(DAY.1)));
        }
    }
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(run);
    (cloud, run)
}

fn diff(cloud: &Cloud, run: RunId) -> Vec<LineDiff> {
    let now = Sequence(cloud.log.len() as u64);
    cloud.view.diff(run, now, None, usize::MAX).expect("a run").items
}

fn shown(cloud: &Cloud, run: RunId) -> Vec<String> {
    let lines = diff(cloud, run).into_iter().map(|diff| {
        let side = |line: &Option<_>| {
            line.as_ref().map_or(
                "nothing".to_owned(),
                |line: &slapledger_core::domain::invoice::InvoiceLine| {
                    let version = line.price_book.as_ref().map_or(0, |priced| priced.version);
                    format!("{} {} = {} v{version}", line.quantity, line.unit, line.amount)
                },
            )
        };
        let causes: Vec<&str> = diff
            .sequences
            .iter()
            .map(|sequence| cloud.log[usize::try_from(sequence.0).expect("small") - 1].event.name())
            .collect();
        assert_eq!(diff.events.count, diff.sequences.len() as u64);
        let n = diff.then.as_ref().map_or(0, |line| line.n);
        let versions: Vec<u32> = diff.versions.iter().map(|(version, _)| *version).collect();
        let (then, now) = (side(&diff.then), side(&diff.now));
        format!("{} {n}: {then} -> {now}: {} {causes:?} {versions:?}", diff.payer, diff.difference)
    });
    lines.collect()
}

#[test]
fn a_run_that_knew_everything_has_no_differences() {
    let (mut cloud, run) = october(BOOK);
    assert_eq!(shown(&cloud, run), [""; 0]);
    // What is of another month is no reason either.
    cloud.usage(("slappart0", CPU), "7", ("2026-11-01T00:00:00Z", "2026-11-01T01:00:00Z"));
    assert_eq!(shown(&cloud, run), [""; 0]);
}

#[test]
fn late_and_corrected_usage_are_told_with_their_events() {
    let (mut cloud, run) = october(BOOK);
    // 3 percent for a day more are 72 percent hours: 0.144 more than 2.40.
    cloud.usage(("slappart0", CPU), "3", DAY);
    // 10000 requests were none.
    cloud.report("requests 1", Revision::Latest, ("slappart1", REQUESTS), "0", (at(DAY.0), at(DAY.1)));
    let expected = [
        "PARTY-2 2: 1200 percent_hour = 2.40 v1 -> 1272 percent_hour = 2.54 v1: 0.14 [\"UsageRecorded\"] []",
        "PARTY-3 3: 10000 request = 5.00 v1 -> nothing: -5.00 [\"UsageCorrected\"] []",
    ];
    assert_eq!(shown(&cloud, run), expected);
    // Page by page.
    let now = Sequence(cloud.log.len() as u64);
    let first = cloud.view.diff(run, now, None, 1).expect("a run");
    let rest = cloud.view.diff(run, now, first.next, 1).expect("a run");
    let both: Vec<LineDiff> = first.items.into_iter().chain(rest.items).collect();
    assert_eq!((both, rest.next), (diff(&cloud, run), None));
    // A later run settles it, and this run would still say something else if it were opened now.
    cloud.clock("2026-12-01T00:00:00Z");
    let november = cloud.open_run("2026-11-01", "2026-12-01");
    cloud.finalise(november);
    assert_eq!(shown(&cloud, run), expected);
    assert_eq!(shown(&cloud, november), [""; 0]);
}

#[test]
fn prices_that_are_published_late_are_told_by_version() {
    let (mut cloud, run) = october(BOOK);
    cloud
        .publish(&BOOK.replace("2026-01-01", "2026-10-01").replace("price = \"0.002\"", "price = \"0.003\""));
    let told = shown(&cloud, run);
    // Lines are those of a version: each of the three is another now, and one costs more.
    assert_eq!(told.len(), 12, "{told:#?}");
    assert!(
        told.contains(&"PARTY-2 2: 1200 percent_hour = 2.40 v1 -> nothing: -2.40 [] [2]".to_owned()),
        "{told:#?}"
    );
    assert!(
        told.contains(&"PARTY-2 0: nothing -> 1200 percent_hour = 3.60 v2: 3.60 [] [2]".to_owned()),
        "{told:#?}"
    );
    // One that counts from November on makes no difference to October.
    let (mut cloud, run) = october(BOOK);
    cloud.publish(&BOOK.replace("2026-01-01", "2026-11-01").replace("10.00", "11"));
    assert_eq!(shown(&cloud, run), [""; 0]);
}

#[test]
fn a_draft_that_was_opened_early_is_what_it_was() {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-09-20T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-10-15T00:00:00Z");
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.clock("2026-10-16T00:00:00Z");
    cloud.end(customer, "one");
    // Its instance ended since: 15/31 of a month. Its explanation is that of the draft.
    assert_eq!(
        shown(&cloud, run),
        [
            "PARTY-2 1: 1 month = 10.00 v1 -> 0.483870968 month = 4.84 v1: -5.16 [\"InstanceChanged\", \"InstanceEnded\"] []"
        ]
    );
    let now = Sequence(cloud.log.len() as u64);
    let (_, line, why) = cloud.view.explain_line("RUN-1-PARTY-2", 1, now).expect("a line");
    assert!(why.found);
    assert_eq!(line.quantity.to_string(), "1");
    assert_eq!(why.allocations[0].ended, None);
    assert_eq!(why.since.expect("it would be another").amount.to_string(), "4.84");
}
