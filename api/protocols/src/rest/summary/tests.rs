use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::testing::kit::Kit;

#[test]
fn a_period_is_summed_beside_an_earlier_one() {
    let kit = Kit::with_computer("2026-08-20T00:00:00Z");
    let (ada, grace) = (kit.register("Ada", "UTC"), kit.register("Grace", "UTC"));
    let book = json!({
        "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z",
        "rates": [{"kind": "recurring", "every": "month", "when": "arrears", "price": "10.00"}],
    });
    assert_eq!(kit.post_json("/v1/price-books", &book).status, StatusCode::CREATED);
    kit.set("2026-08-31T12:00:00Z");
    kit.instance(ada, "shop");
    kit.set("2026-10-01T00:00:00Z");
    kit.post_json("/v1/invoice-runs", &json!({"period": "2026-09", "finalise": true}));
    kit.instance(grace, "site");
    kit.set("2026-11-02T00:00:00Z");
    kit.post_json("/v1/invoice-runs", &json!({"period": "2026-10"}));
    let summary = kit.get("/v1/invoice-summary?period=2026-10&before=2026-09").json();
    let book = &summary["books"][0];
    let members = ["total", "before", "change", "due", "documents", "drafts", "documents_before"];
    assert_eq!(
        members.map(|member| book[member].clone()),
        [json!("20.00"), json!("10.00"), json!("10.00"), json!("0.00"), json!(2), json!(2), json!(1)],
        "{summary:#}"
    );
    assert_eq!(book["customers"][0]["name"], "Grace", "the largest growth first");
    assert_eq!(book["customers"][1]["change"], "0.00");
    assert_eq!(book["parts"], json!([{"kind": "recurring", "unit": "month", "amount": "20.00"}]));
    assert_eq!(book["others"], Value::Null);
    let nothing = kit.get("/v1/invoice-summary?period=2025-10&before=2025-09").json();
    assert_eq!(nothing["books"], json!([]));
    assert_eq!(kit.get("/v1/invoice-summary?period=2026-10").json()["field"], "before");
}
