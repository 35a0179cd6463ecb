use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::testing::kit::Kit;

fn book(price: &str) -> Value {
    json!({
        "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z",
        "resources": [{"resource": "requests", "kind": "counter", "meter": "sum", "unit": "request"}],
        "rates": [
            {"kind": "recurring", "every": "month", "when": "arrears", "price": price},
            {"kind": "per_unit", "resource": "requests", "price": "0.5"},
        ],
    })
}

/// Two customers with an instance each since September; the first has 8 requests.
fn kit() -> Kit {
    let kit = Kit::with_computer("2026-09-20T00:00:00Z");
    assert_eq!(kit.post_json("/v1/price-books", &book("10.00")).status, StatusCode::CREATED);
    for (name, partition) in [("Nexedi", "slappart0"), ("Viewportal", "slappart1")] {
        let customer = kit.register(name, "UTC");
        kit.instance(customer, "shop");
        kit.started(partition);
    }
    kit.set("2026-11-02T00:00:00Z");
    let event = json!({
        "specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1", "id": "a", "subject": "slappart0",
        "data": {"resource": "requests", "quantity": "8", "start": "2026-10-02T00:00:00Z", "stop": "2026-10-03T00:00:00Z"},
    });
    let reply = kit.post("/v1/usage-events", "application/x-ndjson", event.to_string());
    assert_eq!(reply.json()["accepted"], 1, "{reply:?}");
    kit
}

const OCTOBER: &str = "/v1/what-if?period=2026-10-01/2026-11-01";

#[test]
fn prices_are_tried_and_nothing_is_recorded() {
    let kit = kit();
    let before = kit.ctx.ledger().head().last;
    let reply = kit.post_json(OCTOBER, &book("12.34"));
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let expected = json!({
        "price_book": "standard", "against": "standard", "currency": "EUR",
        "period": {"start": "2026-10-01", "stop": "2026-11-01"},
        "items": [
            {"payer": "PARTY-2", "name": "Nexedi", "now": "14.00", "what_if": "16.34", "difference": "2.34"},
            {"payer": "PARTY-3", "name": "Viewportal", "now": "10.00", "what_if": "12.34", "difference": "2.34"},
        ],
        "now": "24.00", "what_if": "28.68", "difference": "4.68", "next": null, "sequence": before.0,
    });
    assert_eq!(reply.json(), expected, "{:#}", reply.json());
    let lines = kit.post_json(&format!("{OCTOBER}&lines=true&limit=1"), &book("12.34")).json();
    let groups = json!([
        {"kind": "recurring", "now": "10.00", "what_if": "12.34", "difference": "2.34"},
        {"kind": "usage", "resource": "requests", "now": "4.00", "what_if": "4.00", "difference": "0.00"},
    ]);
    assert_eq!(
        [&lines["items"][0]["lines"], &lines["next"], &lines["now"]],
        [&groups, &json!("PARTY-2"), &json!("14.00")]
    );
    let rest = kit.post_json(&format!("{OCTOBER}&cursor=PARTY-2"), &book("12.34")).json();
    assert_eq!(
        [&rest["items"][0]["payer"], &rest["next"], &rest["now"]],
        [&json!("PARTY-3"), &Value::Null, &json!("10.00")]
    );
    assert_eq!(kit.ctx.ledger().head().last, before);
    assert_eq!(kit.get("/v1/price-books/standard").json()["version"], 1);
}

#[test]
fn a_book_of_another_name_is_compared_with_one_that_is_named() {
    let kit = kit();
    let mut other = book("9.00");
    other["name"] = "cheap".into();
    let (status, field, _) = kit.post_json(OCTOBER, &other).problem();
    assert_eq!((status, field.as_deref()), (404, Some("against")));
    let reply = kit.post_json(&format!("{OCTOBER}&against=standard"), &other).json();
    assert_eq!([&reply["price_book"], &reply["difference"]], ["cheap", "-2.00"]);
    let toml = "name = \"standard\"\ncurrency = \"EUR\"\nvalid_from = \"2030-01-01T00:00:00Z\"\n\
                rates = [{ kind = \"recurring\", every = \"month\", when = \"arrears\", price = \"1\" }]\n";
    let reply = kit.post(OCTOBER, "application/toml", toml).json();
    assert_eq!([&reply["what_if"], &reply["items"][0]["warnings"][0]["type"]], ["2.00", "undeclared"]);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let kit = kit();
    let mut yen = book("9");
    yen["currency"] = "JPY".into();
    let rows = [
        ("/v1/what-if", book("1"), "period"),
        ("/v1/what-if?period=x", book("1"), "period"),
        ("/v1/what-if?period=2026-10-01/2026-11-01&lines=1", book("1"), "lines"),
        ("/v1/what-if?period=2026-11-01/2026-10-01", book("1"), "period"),
        ("/v1/what-if?period=2026-10-01/2026-11-01&cursor=1", book("1"), "cursor"),
        (OCTOBER, yen, "currency"),
        (OCTOBER, json!({"name": "standard"}), "currency"),
        (OCTOBER, book("-1"), "rates[0].price"),
    ];
    for (path, body, field) in rows {
        let (status, blamed, detail) = kit.post_json(path, &body).problem();
        assert_eq!((status, blamed.as_deref()), (400, Some(field)), "{path}: {detail}");
    }
    assert_eq!(kit.post(OCTOBER, "text/plain", "x").status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
