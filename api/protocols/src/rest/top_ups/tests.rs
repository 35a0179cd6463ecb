use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::testing::kit::{Kit, Reply};

fn put(kit: &Kit, path: &str, body: &Value) -> Reply {
    let request = Request::put(path).header("content-type", "application/json");
    kit.send(request.body(Body::from(body.to_string())).expect("a request"))
}

fn grant(kit: &Kit, amount: &str) {
    let body = json!({"customer": "PARTY-2", "currency": "EUR", "amount": amount, "description": "paid"});
    assert_eq!(kit.post_json("/v1/credits", &body).status, 201);
}

/// A fee of 3.10 a month is 0.10 a day: after ten days of October 1.00 is to be paid, and the other 4.00 are enough for
/// forty days more.
#[test]
fn a_top_up_is_requested_by_the_document_that_uses_credit_up() {
    let kit = Kit::with_computer("2026-09-20T00:00:00Z");
    let customer = kit.register("Nexedi", "UTC");
    let book = json!({
        "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z",
        "rates": [{"kind": "recurring", "every": "day", "when": "arrears", "price": "0.10"}],
    });
    assert_eq!(kit.post_json("/v1/price-books", &book).status, 201);
    kit.set("2026-10-01T00:00:00Z");
    kit.instance(customer, "shop");
    grant(&kit, "5.00");
    let path = "/v1/parties/PARTY-2/top-up";
    let wanted = json!({"currency": "EUR", "threshold": "4.50", "amount": "10.00"});
    let set = put(&kit, path, &wanted).json();
    let expected = json!({"seller": "PARTY-1", "currency": "EUR", "threshold": "4.50", "amount": "10.00",
        "balance": "5.00", "requested": false, "requests": []});
    assert_eq!(set, json!({"customer": "PARTY-2", "top_ups": [expected]}));

    kit.set("2026-10-11T00:00:00Z");
    let forecast = kit.get("/v1/parties/PARTY-2/credit-forecast").json();
    let assumes = forecast["assumes"].clone();
    let expected = json!({"customer": "PARTY-2", "seller": "PARTY-1", "currency": "EUR", "balance": "5.00",
        "period": {"start": "2026-10-01T00:00:00Z", "stop": "2026-10-11T00:00:00Z"}, "charged": "1.00",
        "uninvoiced": "1.00", "per_day": "0.10", "runs_out_at": "2026-11-20T00:00:00Z", "assumes": assumes});
    assert_eq!(forecast, expected, "{forecast:#}");
    let run = json!({"payers": ["PARTY-2"], "finalise": true});
    assert_eq!(kit.post_json("/v1/invoice-runs", &run).status, 201);
    let shown = kit.get(path).json();
    let top_up = &shown["top_ups"][0];
    assert_eq!((&top_up["balance"], &top_up["requested"]), (&json!("4.00"), &json!(true)), "{shown:#}");
    let request = &top_up["requests"][0];
    assert_eq!((&request["balance"], &request["amount"]), (&json!("4.00"), &json!("10.00")));
    assert_eq!(kit.get("/v1/parties/PARTY-2/credit-forecast").status, 404);
    // It is requested once until the balance is back.
    grant(&kit, "1.00");
    let top_up = kit.get(path).json()["top_ups"][0].clone();
    assert_eq!((&top_up["balance"], &top_up["requested"]), (&json!("5.00"), &json!(false)));
    assert_eq!(top_up["requests"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_is_wrong_is_named() {
    let kit = Kit::new("2026-10-15T12:00:00Z", "UTC");
    let good = json!({"currency": "EUR", "threshold": "20.00", "amount": "100.00"});
    let rows = [
        ("PARTY-1", json!({"threshold": "-1.00"}), 400, Some("threshold")),
        ("PARTY-1", json!({"amount": "0.00"}), 400, Some("amount")),
        ("PARTY-1", json!({"currency": "XXX"}), 400, Some("currency")),
        ("PARTY-9", json!({}), 404, None),
    ];
    for (party, more, status, field) in rows {
        let mut body = good.clone();
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let told = put(&kit, &format!("/v1/parties/{party}/top-up"), &body).problem();
        assert_eq!((told.0, told.1.as_deref()), (status, field), "{party} {more}: {told:?}");
    }
    assert_eq!(kit.get("/v1/parties/PARTY-9/top-up").status, 404);
    assert_eq!(kit.get("/v1/parties/PARTY-9/credit-forecast").status, 404);
}
