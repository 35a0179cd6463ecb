use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::testing::kit::Kit;

fn used(kit: &Kit, id: &str, quantity: &str, replaces: Option<&str>) {
    let event = json!({
        "specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1", "id": id, "subject": "slappart0",
        "data": {"resource": "requests", "quantity": quantity, "start": "2026-10-02T00:00:00Z",
                 "stop": "2026-10-03T00:00:00Z", "replaces": replaces},
    });
    let reply = kit.post("/v1/usage-events", "application/x-ndjson", event.to_string());
    assert_eq!(reply.json()["accepted"], 1, "{reply:?}");
}

#[test]
fn a_run_tells_what_it_would_say_now_and_why() {
    let kit = Kit::with_computer("2026-09-20T00:00:00Z");
    let book = json!({
        "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z",
        "resources": [{"resource": "requests", "kind": "counter", "meter": "sum", "unit": "request"}],
        "rates": [
            {"kind": "recurring", "every": "month", "when": "arrears", "price": "10.00"},
            {"kind": "per_unit", "resource": "requests", "price": "0.5"},
        ],
    });
    assert_eq!(kit.post_json("/v1/price-books", &book).status, StatusCode::CREATED);
    let customer = kit.register("Nexedi", "UTC");
    kit.instance(customer, "shop");
    kit.started("slappart0");
    kit.set("2026-11-02T00:00:00Z");
    used(&kit, "a", "8", None);
    let run = json!({"period": {"start": "2026-10-01", "stop": "2026-11-01"}, "finalise": true});
    assert_eq!(kit.post_json("/v1/invoice-runs", &run).status, StatusCode::CREATED);
    let same = kit.get("/v1/invoice-runs/RUN-1/diff").json();
    assert_eq!((&same["items"], &same["next"]), (&json!([]), &Value::Null));

    // What adds up to the same is no difference.
    used(&kit, "late", "1", None);
    used(&kit, "corrected", "7", Some("a"));
    assert_eq!(kit.get("/v1/invoice-runs/RUN-1/diff").json()["items"], json!([]));
    used(&kit, "later", "2.5", None);
    let diff = kit.get("/v1/invoice-runs/RUN-1/diff").json();
    let [item] = diff["items"].as_array().expect("a list").as_slice() else { panic!("{diff:#}") };
    let invoice = kit.get("/v1/invoices/INV-2026-000001").json();
    assert_eq!(item["then"], invoice["lines"][1]);
    assert_eq!(
        [
            &item["payer"],
            &item["invoice"],
            &item["now"]["quantity"],
            &item["now"]["amount"],
            &item["difference"]
        ],
        ["PARTY-2", "INV-2026-000001", "10.5", "5.25", "1.25"]
    );
    let causes = item["causes"].as_array().expect("a list").iter();
    let causes: Vec<_> = causes.map(|cause| (&cause["id"], &cause["type"], &cause["quantity"])).collect();
    assert_eq!(
        causes,
        [
            (&json!("late"), &json!("UsageRecorded"), &json!("1")),
            (&json!("corrected"), &json!("UsageCorrected"), &json!("7")),
            (&json!("later"), &json!("UsageRecorded"), &json!("2.5")),
        ]
    );
    assert_eq!((&item["events"]["count"], item.get("versions")), (&json!(3), None));
}

#[test]
fn a_run_that_is_not_there_is_not_found() {
    let kit = Kit::with_computer("2026-09-20T00:00:00Z");
    for run in ["RUN-1", "RUN-x", "x"] {
        assert_eq!(kit.get(&format!("/v1/invoice-runs/{run}/diff")).problem().0, 404, "{run}");
    }
}
