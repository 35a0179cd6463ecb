use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::testing::kit::Kit;

/// Two customers with an instance each since September; the invoices of September are final, and it is November.
fn kit() -> Kit {
    let kit = Kit::with_computer("2026-08-20T00:00:00Z");
    let (first, second) = (kit.register("Ada", "UTC"), kit.register("Grace", "Europe/Paris"));
    let book = json!({
        "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z",
        "rates": [{"kind": "recurring", "every": "month", "when": "arrears", "price": "10.00"}],
    });
    assert_eq!(kit.post_json("/v1/price-books", &book).status, StatusCode::CREATED);
    kit.set("2026-08-31T12:00:00Z");
    kit.instance(first, "shop");
    kit.set("2026-10-01T00:00:00Z");
    let run = kit.post_json("/v1/invoice-runs", &json!({"period": "2026-09", "finalise": true}));
    assert_eq!(run.status, StatusCode::CREATED, "{run:?}");
    kit.instance(second, "site");
    kit.set("2026-11-02T00:00:00Z");
    kit
}

fn run(kit: &Kit, body: &Value) -> Value {
    kit.post_json("/v1/invoice-runs", body).json()
}

#[test]
fn revenue_is_that_of_final_documents() {
    let kit = kit();
    run(&kit, &json!({"period": "2026-10"}));
    let of = |query: &str| kit.get(&format!("/v1/revenue?{query}")).json()["items"].clone();
    // October is drafts.
    assert_eq!(of("by=customer&period=2026-10"), json!([]));
    let ada = json!([{"id": "PARTY-2", "name": "Ada", "currency": "EUR", "net": "10.00", "lines": 1}]);
    assert_eq!(of("by=customer&period=2026-09"), ada);
    assert_eq!(of("by=customer&period=2026-09-01/2026-10-01"), ada);
    assert_eq!(of("by=customer&period=2026-09&seller=PARTY-2"), json!([]));
    let computer = json!([{"id": "COMP-1", "currency": "EUR", "net": "10.00", "lines": 1}]);
    assert_eq!(of("by=computer&period=2026-09"), computer);
    assert_eq!(of("by=software&period=2026-09")[0]["net"], "10.00");
    // A credit note counts below zero.
    let credit = json!({"reason": "not delivered", "lines": [{"n": 1, "amount": "4.00"}]});
    kit.post_json("/v1/invoices/INV-2026-000001/credit", &credit);
    assert_eq!(of("by=customer&period=2026-09")[0]["net"], "6.00");
}

#[test]
fn customers_are_compared_by_change() {
    let kit = kit();
    run(&kit, &json!({"period": "2026-10"}));
    let path = "/v1/invoice-comparison?before=2026-09&after=2026-10";
    let all = kit.get(path).json();
    let rows = all["items"].as_array().expect("a list");
    assert_eq!(rows.len(), 2, "{all:#}");
    let (new, same) = (&rows[0], &rows[1]);
    assert_eq!(
        (&new["payer"], &new["before"], &new["drafts"]),
        (&json!("PARTY-3"), &json!("0.00"), &json!(true))
    );
    assert_eq!(new["after"], new["difference"]);
    assert_eq!((&same["payer"], &same["difference"]), (&json!("PARTY-2"), &json!("0.00")));
    let first = kit.get(&format!("{path}&limit=1")).json();
    assert_eq!((&first["items"], &first["next"]), (&json!([new]), &json!("1")));
    let rest = kit.get(&format!("{path}&cursor=1")).json();
    assert_eq!((&rest["items"], &rest["next"]), (&json!([same]), &Value::Null));
}

#[test]
fn what_is_asked_is_checked() {
    let kit = kit();
    let rows = [
        ("/v1/revenue?period=2026-10", "by"),
        ("/v1/revenue?by=weather&period=2026-10", "by"),
        ("/v1/revenue?by=customer", "period"),
        ("/v1/revenue?by=customer&period=2026-13", "period"),
        ("/v1/invoice-comparison?before=2026-09", "after"),
        ("/v1/invoice-comparison?before=soon&after=2026-10", "before"),
        ("/v1/journal?period=2026-10&from=2026-10-01", "from"),
        ("/v1/usage?instance=SOFTINST-1&period=2026-10&to=2026-11-01", "to"),
    ];
    for (path, field) in rows {
        let (status, blamed, detail) = kit.get(path).problem();
        assert_eq!((status, blamed.as_deref()), (400, Some(field)), "{path}: {detail}");
    }
    let backwards = kit.post_json("/v1/invoice-runs", &json!({"period": "2026-11-01/2026-10-01"})).problem();
    assert_eq!((backwards.0, backwards.1.as_deref()), (400, Some("period")));
}

#[test]
fn a_period_is_a_month_wherever_it_is_taken() {
    let kit = kit();
    run(&kit, &json!({"period": "2026-10"}));
    let same = |one: &str, other: &str| assert_eq!(kit.get(one).json(), kit.get(other).json(), "{one}");
    same("/v1/invoices?period=2026-10", "/v1/invoices?period=2026-10-01/2026-11-01");
    same("/v1/journal?period=2026-10", "/v1/journal?from=2026-10-01&to=2026-11-01");
    same("/v1/usage-gaps?period=2026-10", "/v1/usage-gaps?period=2026-10-01/2026-11-01");
    same("/v1/invoice-drafts?period=2026-12", "/v1/invoice-drafts?period=2026-12-01/2027-01-01");
    let usage = "/v1/usage?instance=SOFTINST-1";
    same(&format!("{usage}&period=2026-10"), &format!("{usage}&from=2026-10-01&to=2026-11-01"));
}

#[test]
fn lines_show_the_local_days_of_their_buyer() {
    let kit = kit();
    run(&kit, &json!({"period": "2026-10"}));
    let draft = kit.get("/v1/invoices/RUN-1-PARTY-3").json();
    let draft = if draft["lines"].is_array() { draft } else { kit.get("/v1/invoices/RUN-2-PARTY-3").json() };
    assert_eq!(draft["local_period"], "2026-10-01/2026-11-01", "{draft:#}");
    let line = &draft["lines"][0];
    let local = "2026-10-01T02:00:00+02:00/2026-11-01T00:00:00+01:00";
    assert_eq!(line["local_period"], local, "{draft:#}");
    assert!(line["description"].as_str().is_some_and(|text| text.contains(local)), "{draft:#}");
}

#[test]
fn drafts_are_approved_and_held_one_by_one() {
    let kit = kit();
    run(&kit, &json!({"period": "2026-10", "grace_hours": 72}));
    let [ada, grace] = ["RUN-2-PARTY-2", "RUN-2-PARTY-3"];
    let post = |id: &str, step: &str, body: &Value| kit.post_json(&format!("/v1/invoices/{id}/{step}"), body);
    let code = |reply: &crate::testing::kit::Reply| reply.json()["type"].as_str().map(str::to_owned);
    let problem = |word: &str| Some(format!("urn:slapledger:problem:{word}"));
    let reason = json!({"reason": "a price is discussed"});
    assert_eq!(code(&post(ada, "finalise", &json!({}))), problem("draft-not-approved"));
    let held = post(grace, "hold", &reason).json();
    assert_eq!((&held["review"]["decision"], &held["review"]["reason"]), (&json!("held"), &reason["reason"]));
    assert!(held["review"]["by"].is_string(), "{held:#}");
    let approved = post(ada, "approve", &json!({"reason": "looked at"})).json();
    assert_eq!(approved["review"]["decision"], "approved");
    // Also in the grace period.
    let issued = post(ada, "finalise", &json!({})).json();
    assert_eq!((&issued["state"], &issued["id"]), (&json!("final"), &json!("INV-2026-000002")), "{issued:#}");
    assert_eq!(post(ada, "finalise", &json!({})).json()["id"], "INV-2026-000002");
    assert_eq!(code(&post(ada, "hold", &reason)), problem("already-invoiced"));
    // The run leaves out what is held, and says so.
    kit.set("2026-11-06T00:00:00Z");
    let rest = kit.post_json("/v1/invoice-runs/RUN-2/finalise", &json!({}));
    assert_eq!((code(&rest), rest.status), (problem("draft-held"), StatusCode::CONFLICT), "{rest:?}");
    assert_eq!(kit.get("/v1/invoice-runs/RUN-2").json()["state"], "draft");
    assert_eq!(kit.get(&format!("/v1/invoices/{grace}")).json()["state"], "draft");
    assert_eq!(code(&post(grace, "finalise", &json!({}))), problem("draft-held"));
    post(grace, "approve", &json!({"reason": "agreed"}));
    let done = kit.post_json("/v1/invoice-runs/RUN-2/finalise", &json!({})).json();
    assert_eq!(
        (&done["state"], done["invoices"].as_array().map(Vec::len)),
        (&json!("final"), Some(2)),
        "{done:#}"
    );
    let (status, field, _) = post("RUN-2-PARTY-9", "hold", &reason).problem();
    assert_eq!((status, field), (404, None));
    let (status, field, _) = post(grace, "hold", &json!({})).problem();
    assert_eq!((status, field.as_deref()), (400, Some("reason")));
}
