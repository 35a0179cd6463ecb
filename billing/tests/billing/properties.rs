//! What holds whatever happened.

use proptest::prelude::*;
use slapledger_billing::BillingView;
use slapledger_core::domain::id::{InstanceId, PartyId, RunId};
use slapledger_core::domain::instance::InstanceType;
use slapledger_core::domain::invoice::{InvoiceLine, LineKind};
use slapledger_core::domain::money::Amount;
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::usage::Revision;
use slapledger_projections::View;

use crate::cloud::{BOOK, CPU, Cloud, PRODUCTION, REQUESTS, Wanted, at};

const SECOND: i64 = 1_000_000;
const OCTOBER_SECONDS: i64 = 31 * 86_400;

/// A report: partition, resource, billionths, start and length in seconds from the beginning of October.
type Report = (usize, bool, i64, (i64, i64));

#[derive(Debug, Clone)]
pub(crate) struct Month {
    zones: [&'static str; 2],
    /// When the second customer's instance comes and goes, and when the first one's changes its type.
    times: [i64; 3],
    /// When prices change.
    dearer: i64,
    reports: Vec<Report>,
}

pub(crate) fn months() -> impl Strategy<Value = Month> {
    let zone = || prop::sample::select(vec!["UTC", "Europe/Paris", "Asia/Kathmandu", "America/St_Johns"]);
    let report = (0..2_usize, any::<bool>(), 0..5_000_000_000_000_i64, (0..OCTOBER_SECONDS, 1..90_000_i64));
    let times = prop::collection::btree_set(0..OCTOBER_SECONDS, 3);
    (zone(), zone(), times, 0..OCTOBER_SECONDS, prop::collection::vec(report, 0..12)).prop_map(
        |(one, two, times, dearer, reports)| {
            let mut times = times.into_iter();
            let times = [(); 3].map(|()| times.next().expect("three of them"));
            Month { zones: [one, two], times, dearer, reports }
        },
    )
}

fn second(n: i64) -> Timestamp {
    at("2026-10-01T00:00:00Z").plus_micros(n * SECOND)
}

impl Month {
    /// The month as it is after the last of it, with reports in an order of their own, some sent again.
    fn play(&self, order: &[usize]) -> Cloud {
        let mut cloud = Cloud::new(BOOK);
        let from = second(self.dearer).to_string();
        cloud.publish(
            &BOOK.replace("10.00", "12.34").replace("0.002", "0.003").replace("2026-01-01T00:00:00Z", &from),
        );
        cloud.clock("2026-09-30T00:00:00Z");
        let customers = self.zones.map(|zone| cloud.customer(zone));
        cloud.request(customers[0], "one", &PRODUCTION);
        let [first, between, last] = self.times.map(|time| second(time).to_string());
        cloud.clock(&first);
        cloud.request(customers[1], "two", &PRODUCTION);
        cloud.clock(&between);
        cloud.request(customers[0], "one", &Wanted { kind: Some(InstanceType::Testing), ..PRODUCTION });
        cloud.clock(&last);
        cloud.end(customers[1], "two");
        cloud.clock("2026-11-03T00:00:00Z");
        for n in order {
            let (partition, counter, billionths, (start, length)) = self.reports[*n];
            let quantity = Quantity::from_billionths(billionths.into()).expect("in range").to_string();
            let resource = if counter { REQUESTS } else { CPU };
            let subject = format!("slappart{partition}");
            let period = (second(start), second(start + length));
            cloud.report(&format!("report {n}"), Revision::None, (&subject, resource), &quantity, period);
        }
        cloud
    }

    pub(crate) fn in_order(&self) -> Cloud {
        self.play(&(0..self.reports.len()).collect::<Vec<_>>())
    }
}

fn all_lines(view: &BillingView, run: RunId) -> Vec<InvoiceLine> {
    view.billing.documents_of(run).flat_map(|document| document.invoice.lines.clone()).collect()
}

/// All of a line but which events are behind it.
fn content(line: &InvoiceLine) -> String {
    let InvoiceLine { n, description, unit_price, amount, price_book, events, .. } = line;
    format!(
        "{n} {description} x {unit_price:?} = {amount} v{} of {}",
        price_book.as_ref().map_or(0, |priced| priced.version),
        events.count
    )
}

/// How much of each thing in all lines, in billionths, and how many lines it was.
fn quantity(lines: &[InvoiceLine], instance: InstanceId, kind: &LineKind) -> (i128, i128) {
    let of_it = lines.iter().filter(|line| line.instance == Some(instance) && line.kind == *kind);
    of_it.fold((0, 0), |(sum, count), line| (sum + line.quantity.billionths(), count + 1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lines_add_up_and_name_their_events(month in months()) {
        let mut cloud = month.in_order();
        let run = cloud.open_run("2026-10-01", "2026-11-01");
        for document in cloud.view.billing.documents_of(run) {
            let invoice = &document.invoice;
            let sum = Amount::sum(invoice.currency, invoice.lines.iter().map(|line| line.amount));
            prop_assert_eq!(sum, Some(invoice.net));
            prop_assert_eq!(invoice.total, invoice.net);
            for (line, n) in invoice.lines.iter().zip(1..) {
                prop_assert_eq!(line.n, n);
                prop_assert!(line.quantity > Quantity::ZERO);
                prop_assert_eq!(line.period.intersection(invoice.period), Some(line.period));
                let events = cloud.view.line_events(invoice.id.as_str(), n).expect("the events it names");
                prop_assert_eq!(events.len() as u64, line.events.count);
                prop_assert!(events.is_sorted());
            }
        }
    }

    #[test]
    fn duplicates_and_order_change_nothing(
        (month, order) in months().prop_flat_map(|month| {
            let twice: Vec<usize> = (0..month.reports.len()).chain(0..month.reports.len() / 2).collect();
            (Just(month), Just(twice).prop_shuffle())
        }),
    ) {
        let (mut one, mut other) = (month.in_order(), month.play(&order));
        let runs = [&mut one, &mut other].map(|cloud| cloud.open_run("2026-10-01", "2026-11-01"));
        let lines = [all_lines(&one.view, runs[0]), all_lines(&other.view, runs[1])];
        let contents = lines.map(|lines| lines.iter().map(content).collect::<Vec<_>>());
        prop_assert_eq!(&contents[0], &contents[1]);
    }

    /// A cut before October has begun, or after it has ended where a customer is, divides another period: so it did here
    /// in St John's, where October begins at 02:30 UTC. In Kathmandu it ends at 18:15 UTC of the 31st.
    #[test]
    fn halves_are_the_whole(month in months(), cut in 9_001..OCTOBER_SECONDS - 20_700) {
        let mut cloud = month.in_order();
        let cut = second(cut).to_string();
        let whole = cloud.open_run("2026-10-01", "2026-11-01");
        let halves = [cloud.open_run("2026-10-01", &cut), cloud.open_run(&cut, "2026-11-01")];
        let halves = halves.map(|run| all_lines(&cloud.view, run)).concat();
        let whole = all_lines(&cloud.view, whole);
        let usage = |resource: &str| LineKind::Usage { resource: resource.parse().expect("a resource") };
        for kind in [LineKind::Recurring, usage(CPU), usage(REQUESTS)] {
            for instance in [1, 2].map(InstanceId) {
                let (all, lines) = quantity(&whole, instance, &kind);
                let (parts, more) = quantity(&halves, instance, &kind);
                // Counters are cut without loss; fees and levels are rounded once for each line.
                let tolerance = if kind == usage(REQUESTS) { 0 } else { lines + more };
                prop_assert!((all - parts).abs() <= tolerance, "{:?}: {} and {}", kind, all, parts);
            }
        }
    }

    #[test]
    fn live_and_rebuilt_and_restored_are_the_same(month in months(), cut in any::<prop::sample::Index>()) {
        let mut cloud = month.in_order();
        cloud.open_run("2026-10-01", "2026-11-01");
        let live = cloud.view.snapshot();
        prop_assert!(cloud.rebuilt().snapshot() == live);
        let cut = cut.index(cloud.log.len());
        let mut view = BillingView::default();
        cloud.log[..cut].iter().for_each(|recorded| view.apply(recorded));
        let mut view = BillingView::restore(&view.snapshot()).expect("a snapshot");
        cloud.log[cut..].iter().for_each(|recorded| view.apply(recorded));
        prop_assert!(view.snapshot() == live);
    }

    /// Nobody pays for what was before they came or after they went.
    #[test]
    fn nobody_pays_for_others(month in months()) {
        let mut cloud = month.in_order();
        let run = cloud.open_run("2026-10-01", "2026-11-01");
        for document in cloud.view.billing.documents_of(run) {
            let expected = if document.invoice.buyer.party == PartyId(2) { InstanceId(1) } else { InstanceId(2) };
            prop_assert!(document.invoice.lines.iter().all(|line| line.instance == Some(expected)));
        }
    }
}
