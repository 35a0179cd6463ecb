use axum::http::StatusCode;
use serde_json::json;
use slapledger_usecases::credit_expiry;

use crate::testing::kit::Kit;

fn kit() -> Kit {
    let kit = Kit::new("2026-10-15T12:00:00Z", "UTC");
    kit.register("Nexedi", "UTC");
    kit
}

#[test]
fn credit_is_granted_shown_and_withdrawn() {
    let kit = kit();
    let wanted = json!({"customer": "PARTY-2", "currency": "EUR", "amount": "100.00", "description": "paid"});
    let granted = kit.post_json("/v1/credits", &wanted);
    assert_eq!(granted.status, StatusCode::CREATED, "{granted:?}");
    assert_eq!(granted.headers["location"], "/v1/credits/CREDIT-1");
    let expected = json!({
        "id": "CREDIT-1", "seller": "PARTY-1", "customer": "PARTY-2", "currency": "EUR", "amount": "100.00",
        "left": "100.00", "description": "paid", "kind": "paid", "priority": 50, "granted_at": "2026-10-15T12:00:00Z", "sequence": 5,
    });
    assert_eq!(granted.json(), expected);
    assert_eq!(kit.get("/v1/credits/CREDIT-1").json(), expected);
    assert_eq!(kit.get("/v1/credits?customer=PARTY-2").json()["items"], json!([expected]));
    assert_eq!(kit.get("/v1/credits?customer=PARTY-1").json()["items"], json!([]));
    for _ in 0..2 {
        let gone = kit.post_json("/v1/credits/CREDIT-1/withdraw", &json!({"reason": "paid back"}));
        assert_eq!((gone.status, &gone.json()["left"]), (StatusCode::OK, &json!("0.00")), "{gone:?}");
    }
    let unknown = kit.post_json("/v1/credits/CREDIT-2/withdraw", &json!({"reason": "paid back"}));
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(kit.get("/v1/credits/CREDIT-2").status, StatusCode::NOT_FOUND);
    // Sent twice under one name it is one credit.
    let named = [("content-type", "application/json"), ("idempotency-key", "order-1")];
    let ids: Vec<_> = (0..2)
        .map(|_| kit.post_with("/v1/credits", &named, wanted.to_string()).json()["id"].clone())
        .collect();
    assert_eq!(ids, ["CREDIT-2", "CREDIT-2"]);
}

/// What is left when a credit expires is gone, once; the journal says what that means.
#[test]
fn promotional_credit_expires() {
    let kit = kit();
    let wanted = json!({"customer": "PARTY-2", "currency": "EUR", "amount": "30.00", "description": "welcome",
        "kind": "promotional", "priority": 10, "expires_at": "2026-10-20T00:00:00+02:00"});
    let granted = kit.post_json("/v1/credits", &wanted).json();
    assert_eq!(
        (&granted["kind"], &granted["priority"], &granted["expires_at"]),
        (&json!("promotional"), &json!(10), &json!("2026-10-19T22:00:00Z"))
    );
    let look = || kit.block_on(credit_expiry::look(&kit.ctx)).expect("it is not refused");
    let left = || kit.get("/v1/credits/CREDIT-1").json()["left"].clone();
    look();
    assert_eq!(left(), "30.00");
    kit.set("2026-10-19T22:00:00Z");
    look();
    let head = kit.ctx.ledger().head().last;
    assert_eq!(left(), "0.00");
    look();
    assert_eq!(kit.ctx.ledger().head().last, head);
    let journal = kit.get("/v1/journal").json();
    let last = journal["items"].as_array().and_then(|all| all.last()).expect("a transaction").clone();
    assert_eq!((&last["kind"], &last["credit"]), (&json!("credit_expired"), &json!("CREDIT-1")), "{last:#}");
    assert_eq!(
        last["postings"],
        json!([{"account": "Liabilities:Prepaid:PARTY-2", "amount": "30.00"},
               {"account": "Expenses:Promotions", "amount": "-30.00"}])
    );
    let refused = [
        (json!({"priority": 101}), "priority"),
        (json!({"expires_at": "2026-10-19T22:00:00Z"}), "expires_at"),
        (json!({"kind": "free"}), "kind"),
    ];
    for (more, field) in refused {
        let mut body = wanted.clone();
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        assert_eq!(kit.post_json("/v1/credits", &body).problem().1.as_deref(), Some(field));
    }
}

#[test]
fn a_charge_is_recorded_and_shown() {
    let kit = kit();
    let wanted = json!({"customer": "PARTY-2", "currency": "EUR", "amount": "-5.00", "description": "sorry"});
    let recorded = kit.post_json("/v1/charges", &wanted);
    assert_eq!(recorded.status, StatusCode::CREATED, "{recorded:?}");
    let expected = json!({
        "id": "CHARGE-1", "seller": "PARTY-1", "customer": "PARTY-2", "currency": "EUR", "amount": "-5.00",
        "description": "sorry", "state": "open", "recorded_at": "2026-10-15T12:00:00Z", "sequence": 5,
    });
    assert_eq!(recorded.json(), expected);
    assert_eq!(kit.get("/v1/charges/CHARGE-1").json(), expected);
    assert_eq!(kit.get("/v1/charges").json()["items"], json!([expected]));
    assert_eq!(kit.get("/v1/charges/CHARGE-2").status, StatusCode::NOT_FOUND);
}

#[test]
fn what_is_wrong_is_named() {
    let kit = kit();
    let head = kit.ctx.ledger().head().last;
    let rows = [
        (json!({"customer": "PARTY-9"}), 404, None),
        (json!({"customer": "Nexedi"}), 400, Some("customer")),
        (json!({"currency": "EURO"}), 400, Some("currency")),
        (json!({"amount": "1.001"}), 400, Some("amount")),
        (json!({"amount": "one"}), 400, Some("amount")),
        (json!({"amount": 1}), 400, Some("amount")),
        (json!({"amount": "0.00"}), 400, Some("amount")),
        (json!({"description": ""}), 400, Some("description")),
        (json!({"note": "x"}), 400, Some("note")),
    ];
    for (wrong, status, field) in rows {
        for path in ["/v1/credits", "/v1/charges"] {
            let mut body =
                json!({"customer": "PARTY-2", "currency": "EUR", "amount": "1.00", "description": "paid"});
            for (name, value) in wrong.as_object().expect("an object") {
                body[name] = value.clone();
            }
            let refused = kit.post_json(path, &body);
            let told = refused.json();
            assert_eq!((refused.status.as_u16(), told["field"].as_str()), (status, field), "{wrong}: {told}");
        }
    }
    let less = json!({"customer": "PARTY-2", "currency": "EUR", "amount": "-1.00", "description": "paid"});
    assert_eq!(kit.post_json("/v1/credits", &less).json()["field"], "amount");
    assert_eq!(kit.ctx.ledger().head().last, head, "nothing was recorded");
}
