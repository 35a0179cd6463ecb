use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{october, prices, run, usage};
use crate::testing::kit::Kit;

/// October of `october`, and a second customer with an instance that uses nothing, in drafts.
fn drafted() -> Kit {
    let kit = october();
    let other = kit.register("Idle", "UTC");
    kit.instance(other, "idle");
    kit.started("slappart1");
    kit.set("2026-11-02T09:00:00Z");
    let opened = kit.post_json("/v1/invoice-runs", &run());
    assert_eq!(opened.status, StatusCode::CREATED, "{opened:?}");
    kit
}

fn kinds(draft: &Value) -> Vec<&str> {
    let findings = draft["findings"].as_array().expect("a list");
    findings.iter().filter_map(|finding| finding["kind"].as_str()).collect()
}

fn with_tag(kit: &Kit, path: &str, tag: &str, body: &Value) -> crate::testing::kit::Reply {
    kit.post_with(path, &[("content-type", "application/json"), ("if-match", tag)], body.to_string())
}

#[test]
fn drafts_come_by_what_is_unusual() {
    let kit = drafted();
    let ranked = kit.get("/v1/invoice-runs/RUN-1/drafts").json();
    let items = ranked["items"].as_array().expect("a list");
    let payers: Vec<_> = items.iter().filter_map(|item| item["payer"].as_str()).collect();
    // Both miss usage; the larger document comes first.
    assert_eq!(payers, ["PARTY-2", "PARTY-3"], "{ranked:#}");
    let first = &items[0];
    assert!(kinds(first).starts_with(&["missing_usage", "suspended_usage"]), "{first:#}");
    assert!(kinds(first).contains(&"first_invoice"));
    let suspended = &first["findings"][1];
    assert_eq!((&suspended["count"], &suspended["instances"]), (&json!(1), &json!(["SOFTINST-1"])));
    assert!(!kinds(&items[1]).contains(&"suspended_usage"), "{:#}", items[1]);
    assert_eq!(first["before"], Value::Null);
    let common = ranked["common"].as_array().expect("a list");
    assert!(common.contains(&json!("first_invoice")) && !common.contains(&json!("suspended_usage")));
    // The tag is that of the draft as it is read alone.
    let alone = kit.get("/v1/invoices/RUN-1-PARTY-2");
    assert_eq!(alone.headers["etag"].to_str().ok(), first["etag"].as_str());
    let alone = kit.get("/v1/invoice-runs/RUN-1");
    assert_eq!(alone.headers["etag"].to_str().ok(), ranked["run_etag"].as_str());
    let page = kit.get("/v1/invoice-runs/RUN-1/drafts?limit=1").json();
    let next = page["next"].as_str().expect("there is another");
    let rest = kit.get(&format!("/v1/invoice-runs/RUN-1/drafts?limit=1&cursor={next}")).json();
    assert_eq!((&rest["items"][0]["payer"], &rest["next"]), (&json!("PARTY-3"), &Value::Null));
    assert_eq!(kit.get("/v1/invoice-runs/RUN-9/drafts").problem().0, 404);
}

#[test]
fn two_people_do_not_overwrite_each_other() {
    let kit = drafted();
    let seen = kit.get("/v1/invoice-runs/RUN-1/drafts").json();
    let tag = seen["items"][0]["etag"].as_str().expect("a tag").to_owned();
    let reason = |text: &str| json!({"reason": text});
    let approve = "/v1/invoices/RUN-1-PARTY-2/approve";
    let hold = "/v1/invoices/RUN-1-PARTY-2/hold";
    assert_eq!(with_tag(&kit, approve, &tag, &reason("fine")).status, StatusCode::OK);
    let late = with_tag(&kit, hold, &tag, &reason("wait"));
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED, "{late:?}");
    let now = kit.get("/v1/invoice-runs/RUN-1/drafts").json();
    let draft = &now["items"][0];
    assert_eq!(
        (&draft["review"]["decision"], &draft["review"]["reason"]),
        (&json!("approved"), &json!("fine"))
    );
    let decided = kit.get("/v1/invoice-runs/RUN-1").json()["decided"].clone();
    assert_eq!(decided, json!({"approved": 1, "held": 0, "undecided": 1}));
    // Of a draft that somebody has looked at again.
    let tag = draft["etag"].as_str().expect("a tag");
    assert_eq!(with_tag(&kit, hold, tag, &reason("wait")).status, StatusCode::OK);
    // The run is another one by each decision.
    for path in ["finalise", "refresh", "withdraw"] {
        let path = format!("/v1/invoice-runs/RUN-1/{path}");
        let tag = seen["run_etag"].as_str().expect("a tag");
        let refused = with_tag(&kit, &path, tag, &json!({}));
        assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED, "{path}: {refused:?}");
    }
    let tag = kit.get("/v1/invoice-runs/RUN-1").headers["etag"].to_str().expect("ASCII").to_owned();
    let withdrawn = with_tag(&kit, "/v1/invoice-runs/RUN-1/withdraw", &tag, &json!({}));
    assert_eq!(withdrawn.json()["state"], "withdrawn");
}

/// A change of a fifth or more, late usage, instances that ended.
#[test]
fn the_second_month_is_compared_with_the_first() {
    let kit = october();
    kit.set("2026-11-02T09:00:00Z");
    let mut opened = run();
    opened["finalise"] = json!(true);
    assert_eq!(kit.post_json("/v1/invoice-runs", &opened).json()["state"], "final");
    kit.set("2026-12-01T09:00:00Z");
    let november = json!({"period": "2026-11"});
    assert_eq!(kit.post_json("/v1/invoice-runs", &november).status, StatusCode::CREATED);
    let ranked = kit.get("/v1/invoice-runs/RUN-2/drafts").json();
    let draft = &ranked["items"][0];
    // 11.81 for half of October with usage; 10.00 for November without.
    assert_eq!(
        (&draft["before"], &draft["net"], &draft["difference"]),
        (&json!("11.81"), &json!("10.00"), &json!("-1.81"))
    );
    assert!(!kinds(draft).contains(&"change") && !kinds(draft).contains(&"first_invoice"), "{draft:#}");
    let late =
        usage("late", "service_module/requests", "3", ("2026-11-05T00:00:00Z", "2026-11-05T01:00:00Z"));
    assert_eq!(kit.post("/v1/usage-events", "application/x-ndjson", late).json()["accepted"], 1);
    let ranked = kit.get("/v1/invoice-runs/RUN-2/drafts").json();
    assert!(kinds(&ranked["items"][0]).contains(&"late_usage"), "{ranked:#}");
    assert_eq!(kit.post("/v1/invoice-runs/RUN-2/refresh", "application/json", "").status, StatusCode::OK);
    let mut dear = prices();
    dear["rates"][0]["price"] = json!("20.00");
    dear["valid_from"] = json!("2026-11-01T00:00:00Z");
    assert_eq!(kit.post_json("/v1/price-books", &dear).status, StatusCode::CREATED);
    assert_eq!(kit.post("/v1/invoice-runs/RUN-2/refresh", "application/json", "").status, StatusCode::OK);
    let ranked = kit.get("/v1/invoice-runs/RUN-2/drafts").json();
    assert!(kinds(&ranked["items"][0]).contains(&"change"), "{ranked:#}");
}

/// What was reported again is suggested to be dismissed; what was not, is not.
#[test]
fn suspended_usage_that_was_reported_again_suggests_to_be_dismissed() {
    let kit = october();
    let suspended = || kit.get("/v1/usage-suspense").json()["items"][0].clone();
    assert_eq!(suspended()["suggestion"], Value::Null);
    let half = usage("e", "service_module/requests", "2", ("2026-10-17T02:00:00Z", "2026-10-17T02:30:00Z"));
    kit.post("/v1/usage-events", "application/x-ndjson", half);
    assert_eq!(suspended()["suggestion"], Value::Null, "half of its time is not all of it");
    let rest = usage("f", "service_module/requests", "2", ("2026-10-17T02:30:00Z", "2026-10-17T03:00:00Z"));
    kit.post("/v1/usage-events", "application/x-ndjson", rest);
    let suggestion = suspended()["suggestion"].clone();
    assert_eq!((&suggestion["action"], &suggestion["instance"]), (&json!("dismiss"), &json!("SOFTINST-1")));
    let reason = suggestion["reason"].as_str().expect("a text");
    assert!(
        reason.starts_with("the same time of SOFTINST-1 was reported again by 2 events, first "),
        "{reason}"
    );
}
