use std::collections::BTreeSet;
use std::sync::Arc;

use slapledger_core::domain::event::Mode;

use super::*;
use crate::clock::ManualClock;
use crate::{Open, accepted, unwatched};

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect(text)
}

fn engine(data: &std::path::Path) -> Engine {
    let clock = Arc::new(ManualClock::new(at("2026-10-05T00:00:00Z")));
    let open =
        Open { data, mode: Mode::Proxy, clock, master_key: None, progress: &unwatched, accept: &accepted };
    Engine::open(open).expect("a new folder")
}

/// The names of the metrics of a text, each of which has a help and a type.
fn names(text: &str) -> BTreeSet<String> {
    let of = |kind: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(kind)?.split(' ').next());
        lines.map(str::to_owned).collect()
    };
    assert_eq!(of("# HELP "), of("# TYPE "));
    of("# TYPE ")
}

#[test]
fn the_document_lists_all_metrics_and_no_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(folder.path());
    engine.metrics.answered("GET", "/v1/computers", "200", Duration::from_millis(2));
    let text = engine.metrics.text(&engine).expect("nobody else looks");
    let document = include_str!("../../../../docs/metrics.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `slapledger_"));
    let listed = rows.filter_map(|row| row.split(['`', '{']).next()).map(|rest| format!("slapledger_{rest}"));
    assert_eq!(names(&text), listed.collect());
    engine.shut_down().expect("nothing failed");
}

#[test]
fn what_happens_is_counted_and_what_is_so_is_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(folder.path());
    for status in ["200", "200", "503"] {
        engine.metrics.answered("POST", "/v1/usage-events", status, Duration::from_millis(3));
    }
    let text = engine.metrics.text(&engine).expect("nobody else looks");
    let head = engine.ledger.head().last;
    for line in [
        "slapledger_http_requests_total{method=\"POST\",route=\"/v1/usage-events\",status=\"200\"} 2",
        "slapledger_http_requests_total{method=\"POST\",route=\"/v1/usage-events\",status=\"503\"} 1",
        "slapledger_http_request_duration_seconds_bucket{method=\"POST\",route=\"/v1/usage-events\",le=\"0.0025\"} 0",
        "slapledger_http_request_duration_seconds_bucket{method=\"POST\",route=\"/v1/usage-events\",le=\"0.005\"} 3",
        "slapledger_fault{code=\"disk-full\"} 0",
        "slapledger_usage_events_total{outcome=\"accepted\"} 0",
        &format!("slapledger_log_events_total {head}"),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    engine.shut_down().expect("nothing failed");
    let text = engine.metrics.text(&engine).expect("nobody else looks");
    assert!(text.contains("slapledger_log_events_total "));
}

#[test]
fn every_fault_has_its_code_in_the_list() {
    let all = [
        HealthFault::WriterStopped { cause: "a".into() },
        HealthFault::ViewStopped { view: "slap", cause: "a".into() },
        HealthFault::UnsyncedValues { count: 1 },
        HealthFault::ClockInDoubt { cause: String::new() },
        HealthFault::DiskFull { cause: String::new() },
        HealthFault::LogDamaged { cause: String::new() },
        HealthFault::NotShipped { cause: String::new() },
        HealthFault::NotCosigned { cause: String::new() },
        HealthFault::DiskSilent { seconds: 1 },
    ];
    assert_eq!(all.map(|fault| fault.code()), HealthFault::CODES);
}
