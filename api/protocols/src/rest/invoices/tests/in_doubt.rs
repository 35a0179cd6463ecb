//! Usage that is not charged and may have to be keeps its payer, and nobody else, from being invoiced.

use axum::http::StatusCode;
use serde_json::{Value, json};
use slapledger_core::domain::usage::UsageLimits;
use slapledger_engine::WriterBounds;

use super::{october, prices, run, usage};
use crate::testing::kit::Kit;

const REQUESTS: &str = "service_module/requests";

fn report(kit: &Kit, lines: &[String]) -> Value {
    kit.post("/v1/usage-events", "application/x-ndjson", lines.join("\n")).json()
}

fn finalise(kit: &Kit) -> Value {
    let reply = kit.post_json("/v1/invoice-runs", &json!({"period": run()["period"], "finalise": true}));
    reply.json()
}

#[test]
fn implausible_usage_keeps_its_payer_from_being_invoiced() {
    let kit = october();
    let other = kit.register("Other", "UTC");
    kit.instance(other, "blog");
    let mut book = prices();
    book["resources"][1]["most"] = json!("100");
    let published = kit.post_json("/v1/price-books", &book);
    assert_eq!(published.status, StatusCode::CREATED, "{published:?}");
    assert_eq!(kit.get("/v1/price-books/standard").json()["resources"][1]["most"], "100");
    // Two hours have begun: 200 can be, and no more.
    let hours = ("2026-10-18T00:00:00Z", "2026-10-18T01:00:00.000001Z");
    let answer =
        report(&kit, &[usage("e", REQUESTS, "200", hours), usage("f", REQUESTS, "200.000000001", hours)]);
    assert_eq!((&answer["accepted"], &answer["suspended"]), (&json!(1), &json!(1)), "{answer}");
    let outcome = &answer["outcomes"][0];
    assert_eq!((&outcome["id"], &outcome["field"]), (&json!("f"), &json!("data.quantity")), "{answer}");
    let event = kit.get(&format!("/v1/events?after={}", answer["sequence"].as_u64().expect("a number") - 1));
    assert_eq!(event.json()["items"][0]["data"]["reason"], "implausible", "{event:?}");

    kit.set("2026-11-02T09:00:00Z");
    let refused = finalise(&kit);
    assert_eq!(refused["type"], "urn:slapledger:problem:usage-in-doubt", "{refused}");
    let detail = refused["detail"].as_str().expect("a text");
    let expected = "1 of 2 drafts were not finalised; the draft for PARTY-2 does not charge all usage: \
                    PARTY-2: 1 report of usage implausible, not charged until resolved or dismissed";
    assert!(detail.contains(expected), "{detail}");
    let draft = kit.get("/v1/invoices/RUN-1-PARTY-2").json();
    assert!(draft["warnings"].to_string().contains("implausible_usage"), "{draft:#}");
    let told = kit.get("/v1/invoice-runs/RUN-1").json();
    assert_eq!(told["invoices"], json!(["RUN-1-PARTY-2", "INV-2026-000001"]));
    // The others are final; somebody looks at the report, and the payer is invoiced by another run.
    kit.post_json("/v1/invoice-runs/RUN-1/withdraw", &json!({}));
    let suspended = answer["sequence"].as_u64().expect("a number");
    let resolved = kit.post_json(&format!("/v1/usage-suspense/{suspended}/resolve"), &json!({}));
    assert_eq!(resolved.status, StatusCode::OK, "{resolved:?}");
    let again = finalise(&kit);
    assert_eq!(again["invoices"], json!(["INV-2026-000002"]), "{again}");
    let lines = kit.get("/v1/invoices/INV-2026-000002").json()["lines"].clone();
    // 8.5, 200 and 200.000000001.
    assert_eq!(lines[2]["quantity"], "408.500000001", "{lines:#}");
}

/// A node reported 999,999,999,999,999 twice: the line was left out with a warning, and the month was invoiced without it.
#[test]
fn usage_that_is_too_much_to_be_charged_keeps_its_payer_from_being_invoiced() {
    let kit = Kit::with_computer("2026-09-20T00:00:00Z");
    let customer = kit.register("Nexedi", "UTC");
    let mut book = prices();
    book["rates"].as_array_mut().expect("rates").retain(|rate| rate["kind"] == "per_unit");
    kit.post_json("/v1/price-books", &book);
    kit.instance(customer, "shop");
    kit.set("2026-11-02T09:00:00Z");
    let hour =
        |hour: u32| (format!("2026-10-17T{hour:02}:00:00Z"), format!("2026-10-17T{:02}:00:00Z", hour + 1));
    let lines: Vec<String> = (1..=2)
        .map(|n| {
            let (start, stop) = hour(n);
            usage(&format!("much {n}"), REQUESTS, "999999999999999", (&start, &stop))
        })
        .collect();
    assert_eq!(report(&kit, &lines)["accepted"], 2);
    // There is nothing else to charge, and so no draft.
    let refused = finalise(&kit);
    assert_eq!(refused["type"], "urn:slapledger:problem:usage-in-doubt", "{refused}");
    assert!(refused["detail"].as_str().expect("a text").contains("SOFTINST-1"), "{refused}");
    let told = kit.get("/v1/invoice-runs/RUN-1").json();
    assert_eq!((&told["state"], &told["invoices"]), (&json!("draft"), &json!([])), "{told:#}");
    // Corrected, it is charged by the same run.
    let (start, stop) = hour(1);
    let mut right: Value =
        serde_json::from_str(&usage("right", REQUESTS, "3", (&start, &stop))).expect("an event");
    right["data"]["replaces"] = json!("much 1");
    assert_eq!(report(&kit, &[right.to_string()])["accepted"], 1);
    let (start, stop) = hour(2);
    let mut right: Value =
        serde_json::from_str(&usage("right too", REQUESTS, "4", (&start, &stop))).expect("an event");
    right["data"]["replaces"] = json!("much 2");
    assert_eq!(report(&kit, &[right.to_string()])["accepted"], 1);
    assert_eq!(kit.post_json("/v1/invoice-runs/RUN-1/refresh", &json!({})).status, StatusCode::OK);
    let finalised = kit.post("/v1/invoice-runs/RUN-1/finalise", "application/json", "").json();
    assert_eq!(finalised["invoices"], json!(["INV-2026-000001"]), "{finalised}");
    assert_eq!(kit.get("/v1/invoices/INV-2026-000001").json()["net"], "3.50");
}

/// `usage.most_groups` in the file of `serve`: usage in one group more is suspended, and its sender is told.
#[test]
fn usage_in_one_group_more_than_are_allowed_is_suspended() {
    let kit = Kit::within(
        "2026-09-20T00:00:00Z",
        WriterBounds {
            usage: UsageLimits { most_groups: 2, ..UsageLimits::default() },
            ..WriterBounds::default()
        },
    );
    let customer = kit.register("Nexedi", "UTC");
    let mut book = prices();
    book["resources"][1]["group_by"] = json!(["region"]);
    assert_eq!(kit.post_json("/v1/price-books", &book).status, StatusCode::CREATED);
    kit.set("2026-10-01T00:00:00Z");
    kit.instance(customer, "shop");
    kit.set("2026-11-05T00:00:00Z");
    let grouped = |id: &str, region: &str, month: &str| {
        let hours = (format!("2026-{month}T00:00:00Z"), format!("2026-{month}T01:00:00Z"));
        let mut event: Value =
            serde_json::from_str(&usage(id, REQUESTS, "1", (&hours.0, &hours.1))).expect("JSON");
        event["data"]["dimensions"] = json!({"region": region});
        event.to_string()
    };
    let sent = ["a", "b", "c", "a"].iter().enumerate();
    let sent: Vec<String> = sent.map(|(n, region)| grouped(&format!("e{n}"), region, "10-05")).collect();
    let answer = report(&kit, &sent);
    assert_eq!((&answer["accepted"], &answer["suspended"]), (&json!(3), &json!(1)), "{answer}");
    let told = &answer["outcomes"][0];
    assert_eq!((&told["id"], &told["field"]), (&json!("e2"), &json!("data.dimensions")), "{answer}");
    // Another month has its own.
    let answer = report(&kit, &[grouped("e9", "c", "11-02")]);
    assert_eq!(answer["accepted"], 1, "{answer}");
}
