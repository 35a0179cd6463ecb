use axum::http::StatusCode;
use serde_json::json;

use crate::testing::kit::Kit;

const BOOK: &str = r#"
name = "standard"
currency = "EUR"
valid_from = "2026-01-01T00:00:00Z"
rates = [
    { kind = "discount", item = "welcome", percent = "10", code = "WELCOME", months = 2, invoices = 3 },
    { kind = "discount", item = "loyal", percent = "5", match = { customer = "PARTY-2" } },
]
"#;

fn kit() -> Kit {
    let kit = Kit::new("2026-10-15T12:00:00Z", "UTC");
    kit.register("Nexedi", "UTC");
    let published =
        kit.post_with("/v1/price-books", &[("content-type", "application/toml")], BOOK.to_owned());
    assert_eq!(published.status, StatusCode::CREATED, "{published:?}");
    kit
}

#[test]
fn a_code_is_redeemed_once_and_shown() {
    let kit = kit();
    let loyal = json!({
        "customer": "PARTY-2", "item": "loyal", "price_book": "standard", "version": 1, "rate": 2,
    });
    assert_eq!(kit.get("/v1/discounts").json()["items"], json!([loyal]));
    let wanted = json!({"customer": "PARTY-2", "code": "WELCOME"});
    let redeemed = kit.post_json("/v1/discount-codes/redeem", &wanted);
    assert_eq!(redeemed.status, StatusCode::OK, "{redeemed:?}");
    let form = redeemed.json();
    assert_eq!(form["redeemed_at"], "2026-10-15T12:00:00Z");
    // Again changes nothing.
    let head = kit.ctx.ledger().head().last;
    assert_eq!(kit.post_json("/v1/discount-codes/redeem", &wanted).json(), form);
    assert_eq!(kit.ctx.ledger().head().last, head);
    let welcome = json!({
        "customer": "PARTY-2", "item": "welcome", "code": "WELCOME", "price_book": "standard", "version": 1,
        "rate": 1, "since": "2026-10-15T12:00:00Z", "until": "2026-12-01T00:00:00Z", "invoices_left": 3,
    });
    assert_eq!(kit.get("/v1/discounts?customer=PARTY-2").json()["items"], json!([welcome, loyal]));
    assert_eq!(kit.get("/v1/discounts?customer=PARTY-1").json()["items"], json!([]));
    let first = kit.get("/v1/discounts?limit=1").json();
    assert_eq!(first["items"], json!([welcome]));
    let next = first["next"].as_str().expect("there is more");
    assert_eq!(kit.get(&format!("/v1/discounts?limit=1&cursor={next}")).json()["items"], json!([loyal]));
}

#[test]
fn what_is_wrong_is_named() {
    let kit = kit();
    let rows = [
        (json!({"customer": "PARTY-2", "code": "welcome"}), 404, "code"),
        (json!({"customer": "PARTY-9", "code": "WELCOME"}), 404, ""),
        (json!({"customer": "PARTY-2", "code": ""}), 400, "code"),
        (json!({"customer": "PARTY-2", "code": "x".repeat(101)}), 400, "code"),
        (json!({"customer": "PARTY-2"}), 400, "code"),
    ];
    for (wanted, status, field) in rows {
        let refused = kit.post_json("/v1/discount-codes/redeem", &wanted);
        assert_eq!(refused.status.as_u16(), status, "{wanted}: {refused:?}");
        assert!(refused.json().to_string().contains(field), "{wanted}: {refused:?}");
    }
}
