//! A month that is invoiced at thresholds costs what it costs on one invoice.
//!
//! Two clouds live through the same usage, late usage, corrections, upgrades, ends and voids. In one of them the customer
//! gets invoices within the months as well, whenever a threshold is reached, and some of these become void. When
//! everything is invoiced, the documents of both come to the same sum. All prices give whole cents for any whole hours of
//! the months that are played, so that nothing is rounded differently.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use slapledger_core::domain::Command;
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{PartyId, RunId};
use slapledger_core::domain::instance::InstanceType;
use slapledger_core::domain::invoice::{DocumentKind, GiveBack, Invoice, IssueCreditNote, RunReason};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::usage::{Revision, UsageId};

use crate::cloud::{Cloud, PRODUCTION, REQUESTS, Wanted, at};

/// A month has 744 or 720 hours: 223.20 for each of them is 0.30 or 0.31 an hour.
const BOOK: &str = r#"
name = "standard"
currency = "EUR"
valid_from = "2026-01-01T00:00:00Z"
threshold = "40.00"
resources = [
    { resource = "requests", kind = "counter", meter = "sum", unit = "request" },
    { resource = "disk", kind = "gauge", meter = "time_integral", unit = "GB_hour" },
]
rates = [
    { kind = "recurring", every = "month", when = "arrears", price = "223.20", match = { instance_type = "production" } },
    { kind = "recurring", every = "month", when = "advance", item = "support", price = "446.40", match = { instance_type = "testing" } },
    { kind = "recurring", item = "hours", every = "hour", when = "arrears", price = "0.02", per = "customer" },
    { kind = "base_fee", every = "week", price = "5.00", anchor = "anniversary", proration = "whole" },
    { kind = "graduated", resource = "requests", tiers = [{ up_to = "50", price = "1.00" }, { price = "0.50" }] },
    { kind = "per_unit", resource = "disk", price = "0.10", free = "100" },
    { kind = "percentage", percent = "10", of = "usage" },
    { kind = "minimum", price = "372.00", of = "usage" },
]
"#;

/// Other prices: units of requests are free in a trial, and discounts and maximums take something off.
fn reduced_book() -> String {
    let (usage, _) = BOOK.split_once("    { kind = \"graduated\"").expect("a tariff of requests");
    format!(
        r#"{usage}    {{ kind = "per_unit", resource = "requests", price = "1.00", trial = {{ quantity = "40" }} }},
    {{ kind = "per_unit", resource = "disk", price = "0.10", free = "100" }},
    {{ kind = "maximum", price = "60.00", per = "line", resource = "requests", proration = "none" }},
    {{ kind = "discount", percent = "20", of = "usage" }},
    {{ kind = "discount", item = "fixed", amount = "2.00", of = "usage", order = 1 }},
    {{ kind = "maximum", price = "75.00", per = "customer", of = "usage", proration = "none" }},
    {{ kind = "minimum", price = "372.00", of = "recurring", proration = "none" }},
]
"#
    )
}

const OF_INSTANCES: [&str; 2] = ["one", "two"];
const TESTING: Wanted = Wanted { kind: Some(InstanceType::Testing), ..PRODUCTION };
const HOUR_MICROS: i64 = 3_600_000_000;
const CUSTOMER: PartyId = PartyId(2);
/// October to January.
const STARTS: [i64; 5] = [0, 744, 744 + 720, 744 + 720 + 744, 744 + 720 + 744 + 744];

/// What is done. Numbers choose among what there is.
#[derive(Debug, Clone, Copy)]
enum ThresholdStep {
    /// So many hours pass.
    Wait {
        hours: i64,
    },
    Use {
        instance: usize,
        disk: bool,
        /// So many hours ago.
        ago: i64,
        quantity: i64,
    },
    Replace {
        report: usize,
        quantity: i64,
    },
    Change {
        instance: usize,
    },
    End {
        instance: usize,
    },
    /// What is charged is compared with the threshold.
    Look,
    /// The month so far is invoiced, whatever it comes to.
    Part,
    /// A document of a part becomes void.
    Void {
        document: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<ThresholdStep>> {
    let (n, quantity) = (0..64_usize, 0..90_i64);
    let step = prop_oneof![
        5 => (1..260_i64).prop_map(|hours| ThresholdStep::Wait { hours }),
        5 => (0..2_usize, any::<bool>(), 0..900_i64, quantity.clone())
            .prop_map(|(instance, disk, ago, quantity)| ThresholdStep::Use { instance, disk, ago, quantity }),
        2 => (n.clone(), quantity).prop_map(|(report, quantity)| ThresholdStep::Replace { report, quantity }),
        1 => (0..2_usize).prop_map(|instance| ThresholdStep::Change { instance }),
        1 => (0..2_usize).prop_map(|instance| ThresholdStep::End { instance }),
        3 => Just(ThresholdStep::Look),
        2 => Just(ThresholdStep::Part),
        2 => n.prop_map(|document| ThresholdStep::Void { document }),
    ];
    prop::collection::vec(step, 4..28)
}

/// A report: its id by now, of which instance, of disk or requests, and when.
type Reported = (String, usize, bool, (Timestamp, Timestamp));

/// A cloud in which months are invoiced in parts, or as a whole.
struct Invoiced {
    cloud: Cloud,
    parts: bool,
    hour: i64,
    months: usize,
    reports: Vec<Reported>,
    names: u32,
    changed: [bool; 2],
    ended: [Option<i64>; 2],
}

fn instant(hour: i64) -> Timestamp {
    at("2026-10-01T00:00:00Z").plus_micros(hour * HOUR_MICROS)
}

impl Invoiced {
    fn new(book: &str, parts: bool) -> Self {
        let mut cloud = Cloud::new(book);
        cloud.is_of_many();
        cloud.clock("2026-10-01T00:00:00Z");
        let customer = cloud.customer("UTC");
        for name in OF_INSTANCES {
            cloud.request(customer, name, &PRODUCTION);
        }
        let (reports, changed, ended) = (Vec::new(), [false; 2], [None; 2]);
        Self { cloud, parts, hour: 0, months: 0, reports, names: 0, changed, ended }
    }

    fn play(book: &str, parts: bool, steps: &[ThresholdStep]) -> Self {
        let mut play = Self::new(book, parts);
        for step in steps {
            play.step(*step);
        }
        // All is over, and what came late is invoiced, too.
        while play.months + 1 < STARTS.len() {
            play.wait(STARTS[play.months + 1] - play.hour);
        }
        play
    }

    /// Months that end meanwhile are invoiced.
    fn wait(&mut self, hours: i64) {
        self.hour = (self.hour + hours).min(STARTS[STARTS.len() - 1]);
        while STARTS.get(self.months + 1).is_some_and(|stop| *stop <= self.hour) {
            let (start, stop) = (instant(STARTS[self.months]), instant(STARTS[self.months + 1]));
            self.months += 1;
            // Of a month with void parts each run is about one part.
            while self.run(RunReason::Period, (start, stop)) {}
        }
        self.cloud.clock(&instant(self.hour).to_string());
    }

    /// Whether a run has a document.
    fn run(&mut self, reason: RunReason, (start, stop): (Timestamp, Timestamp)) -> bool {
        self.cloud.clock(&stop.max(instant(self.hour)).to_string());
        let run: RunId =
            self.cloud.open_run_because(reason, &[CUSTOMER], &start.to_string(), &stop.to_string());
        self.cloud.finalise(run);
        self.cloud.view.billing.documents_of(run).next().is_some()
    }

    fn step(&mut self, step: ThresholdStep) {
        match step {
            ThresholdStep::Wait { hours } => self.wait(hours),
            ThresholdStep::Use { instance, disk, ago, quantity } => {
                let start = (self.hour - 1 - ago).max(0);
                let over =
                    start + 1 > self.hour || self.ended[instance].is_some_and(|ended| start + 1 > ended);
                if !over {
                    let times = (instant(start), instant(start + 1));
                    let name = self.report(Revision::None, (instance, disk), quantity, times);
                    self.reports.push((name, instance, disk, times));
                }
            }
            ThresholdStep::Replace { report, quantity } => {
                let Some(n) = report.checked_rem(self.reports.len()) else { return };
                let (name, instance, disk, times) = self.reports[n].clone();
                let instead = Revision::Replaces(UsageId::new(&name).expect("an id"));
                self.reports[n].0 = self.report(instead, (instance, disk), quantity, times);
            }
            ThresholdStep::Change { instance } => {
                if self.ended[instance].is_none() {
                    self.changed[instance] = !self.changed[instance];
                    let wanted = if self.changed[instance] { &TESTING } else { &PRODUCTION };
                    self.cloud.request(CUSTOMER, OF_INSTANCES[instance], wanted);
                }
            }
            ThresholdStep::End { instance } => {
                if self.ended[instance].is_none() {
                    self.cloud.end(CUSTOMER, OF_INSTANCES[instance]);
                    self.ended[instance] = Some(self.hour);
                }
            }
            ThresholdStep::Look | ThresholdStep::Part | ThresholdStep::Void { .. } if !self.parts => {}
            ThresholdStep::Look => self.look(),
            ThresholdStep::Part => {
                let start = STARTS[self.months];
                if self.hour > start {
                    self.run(RunReason::Threshold, (instant(start), instant(self.hour)));
                }
            }
            ThresholdStep::Void { document } => self.void(document),
        }
    }

    fn report(
        &mut self,
        revision: Revision,
        (instance, disk): (usize, bool),
        quantity: i64,
        times: (Timestamp, Timestamp),
    ) -> String {
        self.names += 1;
        let (name, subject) = (format!("report {}", self.names), format!("slappart{instance}"));
        let resource = if disk { "disk" } else { REQUESTS };
        self.cloud.report(&name, revision, (&subject, resource), &quantity.to_string(), times);
        name
    }

    /// As the server does: what reached the threshold is invoiced.
    fn look(&mut self) {
        let name = "standard".parse().expect("a name");
        let as_of = (self.cloud.now_sequence(), instant(self.hour));
        let parties = (crate::cloud::SELLER, CUSTOMER);
        if let Some(reached) = self.cloud.view.reached_threshold(parties, &name, as_of) {
            let period = reached.period;
            assert!(self.run(RunReason::Threshold, (period.start, period.stop)), "it has charges");
        }
    }

    /// The documents that charge something, and stand.
    fn standing(&self) -> Vec<Invoice> {
        let billing = &self.cloud.view.billing;
        let documents = billing.documents((None, None), |_| true, None, usize::MAX).items.into_iter();
        let invoices = documents
            .map(|document| &document.invoice)
            .filter(|invoice| invoice.document == DocumentKind::Invoice && !billing.is_void(invoice));
        invoices.cloned().collect()
    }

    /// A document of the month that is not over becomes void: the run of the month charges its time again.
    fn void(&mut self, choice: usize) {
        let start = instant(STARTS[self.months]);
        let of_month: Vec<Invoice> =
            self.standing().into_iter().filter(|invoice| invoice.period.start >= start).collect();
        let Some(n) = choice.checked_rem(of_month.len()) else { return };
        let note = IssueCreditNote {
            original: of_month[n].clone(),
            give_back: GiveBack::All,
            reason: "a reason".into(),
            as_of: None,
        };
        self.cloud.execute(Command::IssueCreditNote(Box::new(note)));
    }

    /// The sum of all documents, in minor units.
    fn charged(&self) -> i128 {
        let documents = self.cloud.log.iter().filter_map(|recorded| match &recorded.event {
            Event::InvoiceFinalised(event) => Some(&event.invoice),
            _ => None,
        });
        let signed = documents.map(|invoice| match invoice.document {
            DocumentKind::Invoice => invoice.total.minor(),
            DocumentKind::CreditNote => -invoice.total.minor(),
        });
        signed.sum()
    }

    /// For a failure: each document, its period and total.
    fn shown(&self) -> String {
        let documents = self.cloud.log.iter().filter_map(|recorded| match &recorded.event {
            Event::InvoiceFinalised(event) => Some(&event.invoice),
            _ => None,
        });
        let shown = documents.map(|invoice| {
            let lines =
                invoice.lines.iter().map(|line| format!("\n    {} {}", line.description, line.amount));
            format!(
                "{:?} {} {}{}",
                invoice.document,
                invoice.period,
                invoice.total,
                lines.collect::<String>()
            )
        });
        shown.collect::<Vec<_>>().join("\n  ")
    }
}

/// How many threshold runs and credit notes there were: a property without them shows nothing.
type Played = BTreeMap<&'static str, usize>;

fn compare(book: &str, steps: &[ThresholdStep]) -> Result<Played, String> {
    let (parts, whole) = (Invoiced::play(book, true, steps), Invoiced::play(book, false, steps));
    if parts.charged() != whole.charged() {
        return Err(format!(
            "{} in parts, {} as a whole\n  {}\nwhole\n  {}",
            parts.charged(),
            whole.charged(),
            parts.shown(),
            whole.shown()
        ));
    }
    let mut played = Played::new();
    for recorded in &parts.cloud.log {
        match &recorded.event {
            Event::InvoiceRunOpened(run) if run.reason == RunReason::Threshold => {
                *played.entry("threshold").or_default() += 1;
            }
            Event::InvoiceFinalised(event) if event.invoice.document == DocumentKind::CreditNote => {
                *played.entry("note").or_default() += 1;
            }
            _ => {}
        }
    }
    Ok(played)
}

fn hold(book: &str) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(200);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let total = RefCell::new(Played::new());
    let result = TestRunner::new(config).run(&steps(), |steps| {
        let played = compare(book, &steps).map_err(TestCaseError::fail)?;
        for (what, count) in played {
            *total.borrow_mut().entry(what).or_default() += count;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let total = total.into_inner();
    let least = |what, least| assert!(total.get(what).is_some_and(|count| *count > least), "{total:?}");
    least("threshold", 100);
    least("note", 30);
}

#[test]
fn parts_of_months_come_to_what_the_months_do() {
    hold(BOOK);
}

#[test]
fn parts_of_months_with_reduced_prices_come_to_what_the_months_do() {
    hold(&reduced_book());
}
