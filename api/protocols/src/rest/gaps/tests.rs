use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::testing::kit::Kit;

/// An instance since 1 October on COMP-1, which reports a day of it with numbers that have a hole, and something of nobody.
fn kit() -> Kit {
    let kit = Kit::with_computer("2026-09-20T00:00:00Z");
    let customer = kit.register("Nexedi", "UTC");
    let book = json!({
        "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z",
        "resources": [{"resource": "requests", "kind": "counter", "meter": "sum", "unit": "request"}],
        "rates": [{"kind": "per_unit", "resource": "requests", "price": "0.5"}],
    });
    assert_eq!(kit.post_json("/v1/price-books", &book).status, StatusCode::CREATED);
    kit.set("2026-10-01T00:00:00Z");
    kit.instance(customer, "shop");
    kit.started("slappart0");
    kit.set("2026-10-04T00:00:00Z");
    let rows = [
        ("a", "slappart0", 1, ("2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z")),
        ("b", "slappart0", 4, ("2026-10-02T06:00:00Z", "2026-10-03T00:00:00Z")),
        ("c", "nobody", 5, ("2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z")),
    ];
    let lines = rows.map(|(id, subject, number, (start, stop))| {
        let event = json!({
            "specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1", "id": id, "subject": subject,
            "data": {"resource": "requests", "quantity": "1", "start": start, "stop": stop, "node_sequence": number},
        });
        event.to_string()
    });
    let reply = kit.post("/v1/usage-events", "application/x-ndjson", lines.join("\n"));
    assert_eq!(reply.json()["suspended"], 1, "{reply:?}");
    kit
}

const DAYS: &str = "/v1/usage-gaps?period=2026-10-01/2026-11-01";

#[test]
fn gaps_are_listed_by_computer_and_in_pages() {
    let kit = kit();
    let all = kit.get(DAYS).json();
    let sequence = &all["sequence"];
    let expected = json!([
        {"type": "silent", "computer": "COMP-1", "start": "2026-10-02T00:00:00Z", "stop": "2026-10-02T06:00:00Z", "instances": 1},
        // The present is as far as a node can have reported.
        {"type": "silent", "computer": "COMP-1", "start": "2026-10-03T00:00:00Z", "stop": "2026-10-04T00:00:00Z", "instances": 1},
        {"type": "missing_reports", "computer": "COMP-1", "after": 1, "before": 4, "count": 2,
         "since": "2026-10-02T00:00:00Z", "until": "2026-10-03T00:00:00Z"},
        {"type": "suspended", "computer": "COMP-1", "events": 1, "first_sequence": sequence, "last_sequence": sequence},
    ]);
    assert_eq!(all["items"], expected, "{all:#}");
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = kit.get(&format!("{DAYS}&limit=1{cursor}")).json();
        seen.extend(page["items"].as_array().expect("a list").clone());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(Value::from(seen), expected);
    assert_eq!(kit.get(&format!("{DAYS}&computer=COMP-1")).json()["items"], expected);
    assert_eq!(kit.get(&format!("{DAYS}&computer=COMP-9")).json()["items"], json!([]));
    assert_eq!(kit.get("/v1/usage-gaps?period=2026-11-01/2026-12-01").json()["items"], json!([]));
}

#[test]
fn runs_and_their_drafts_warn_of_gaps() {
    let kit = kit();
    kit.set("2026-11-02T00:00:00Z");
    let period = json!({"period": {"start": "2026-10-01", "stop": "2026-11-01"}});
    let run = kit.post_json("/v1/invoice-runs", &period).json();
    let look = "look at `slapledger usage gaps PERIOD`, and have the computers report what is missing";
    let warnings = json!([
        {"type": "suspended_usage", "events": 1, "importance": "not_charged",
         "remedy": "look at `slapledger usage suspended`, resolve or dismiss the reports, then refresh the run",
         "message": "1 report of usage suspended, not charged until resolved"},
        {"type": "silent_computer", "computer": "COMP-1", "hours": 702, "times": 2,
         "first": {"start": "2026-10-02T00:00:00Z", "stop": "2026-10-02T06:00:00Z"},
         "importance": "may_be_missing", "remedy": look,
         "message": "COMP-1: no usage was reported for 702 hours with instances allocated in 2 pieces, the first \
                     2026-10-02T00:00:00Z/2026-10-02T06:00:00Z"},
        {"type": "missing_reports", "computer": "COMP-1", "events": 2, "after": 1, "before": 4,
         "importance": "may_be_missing", "remedy": look,
         "message": "COMP-1: by its own count 2 reports of usage between 1 and 4 never came"},
    ]);
    assert_eq!(run["warnings"], warnings, "{run:#}");
    assert_eq!(kit.get("/v1/invoices/RUN-1-PARTY-2").json()["warnings"], warnings);
    kit.post("/v1/invoice-runs/RUN-1/finalise", "application/json", "");
    assert_eq!(kit.get("/v1/invoices/RUN-1-PARTY-2").json().get("warnings"), None);
}

#[test]
fn what_is_asked_must_be_a_period() {
    let kit = kit();
    let rows = [
        ("/v1/usage-gaps", "period"),
        ("/v1/usage-gaps?period=2026-10-01", "period"),
        ("/v1/usage-gaps?period=2026-10-01/tomorrow", "period"),
        ("/v1/usage-gaps?period=2026-10-02/2026-10-01", "period"),
        ("/v1/usage-gaps?period=2026-10-01/2026-10-02&cursor=1", "cursor"),
        ("/v1/usage-gaps?period=2026-10-01/2026-10-02&computer=", "computer"),
    ];
    for (path, field) in rows {
        let (status, blamed, _) = kit.get(path).problem();
        assert_eq!((status, blamed.as_deref()), (400, Some(field)), "{path}");
    }
}
