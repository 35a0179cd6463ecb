use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::testing::kit::Kit;

fn book(name: &str) -> Value {
    json!({
        "name": name, "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z",
        "rates": [{"kind": "recurring", "every": "month", "when": "arrears", "price": "10.00"}],
    })
}

const OCTOBER: &str = "/v1/invoice-drafts?period=2026-10-01/2026-11-01";

#[test]
fn what_would_be_invoiced_is_told_and_nothing_is_recorded() {
    let kit = Kit::with_computer("2026-09-20T00:00:00Z");
    assert_eq!(kit.get(OCTOBER).problem().0, 404);
    assert_eq!(kit.post_json("/v1/price-books", &book("standard")).status, StatusCode::CREATED);
    for (name, partition) in [("Nexedi", "slappart0"), ("Viewportal", "slappart1")] {
        let customer = kit.register(name, "UTC");
        kit.instance(customer, "shop");
        kit.started(partition);
    }
    kit.set("2026-10-16T00:00:00Z");
    let before = kit.ctx.ledger().head().last;
    let drafts = kit.get(OCTOBER).json();
    assert_eq!(kit.ctx.ledger().head().last, before);
    let names: Vec<_> =
        drafts["items"].as_array().expect("a list").iter().map(|item| &item["name"]).collect();
    assert_eq!(names, ["Nexedi", "Viewportal"]);
    let one = kit.get(&format!("{OCTOBER}&payer=PARTY-3&price_book=standard")).json();
    assert_eq!(one["items"], json!([drafts["items"][1]]));
    let page = kit.get(&format!("{OCTOBER}&limit=1")).json();
    assert_eq!((&page["items"], &page["next"]), (&json!([drafts["items"][0]]), &json!("PARTY-2")));
    // A run drafts the same.
    let run = json!({"period": {"start": "2026-10-01", "stop": "2026-11-01"}});
    assert_eq!(kit.post_json("/v1/invoice-runs", &run).status, StatusCode::CREATED);
    let draft = kit.get("/v1/invoices/RUN-1-PARTY-2").json();
    let told = &drafts["items"][0]["draft"];
    for member in ["lines", "net", "total", "tax", "period", "currency", "document"] {
        assert_eq!(told[member], draft[member], "{member}");
    }
    assert_eq!((&told["net"], &drafts["items"][0]["warnings"]), (&json!("10.00"), &json!([])));

    // In one currency it would be for the same customers.
    let mut other = book("other");
    other["currency"] = json!("USD");
    assert_eq!(kit.post_json("/v1/price-books", &other).status, StatusCode::CREATED);
    let rows = [
        (OCTOBER, 400, "price_book"),
        ("/v1/invoice-drafts?period=2026-10-01/2026-11-01&price_book=none", 404, "price_book"),
        ("/v1/invoice-drafts", 400, "period"),
        ("/v1/invoice-drafts?period=2026-10-01/2026-11-01&payer=x", 400, "payer"),
    ];
    for (path, expected, field) in rows {
        let (status, blamed, _) = kit.get(path).problem();
        assert_eq!((status, blamed.as_deref()), (expected, Some(field)), "{path}");
    }
}
