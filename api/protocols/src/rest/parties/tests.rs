use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::testing::kit::Kit;

fn acme() -> Value {
    json!({
        "name": "Acme", "time_zone": "Europe/Paris", "legal_name": "Acme SAS",
        "address": {"lines": ["1 rue de la Paix"], "postal_code": "75002", "city": "Paris", "country": "FR"},
        "vat_id": "FR83404833048", "email": "billing@acme.example", "terms_days": 14, "series": "ACME",
        "electronic_address": {"scheme": "0009", "id": "40483304800022"},
        "iban": "FR14 2004 1010 0505 0001 3M02 606", "bic": "PSSTFRPPPAR",
    })
}

fn kit() -> Kit {
    Kit::new("2026-10-15T12:00:00Z", "UTC")
}

#[test]
fn a_party_is_registered_with_all_that_is_told_of_it() {
    let kit = kit();
    let registered = kit.post_json("/v1/parties", &acme());
    assert_eq!(registered.status, StatusCode::CREATED, "{registered:?}");
    assert_eq!(registered.headers["location"], "/v1/parties/PARTY-2");
    let mut expected = acme();
    let more = json!({
        "id": "PARTY-2", "iban": "FR1420041010050500013M02606", "registered_at": "2026-10-15T12:00:00Z",
        "tax_treatments": [], "tax_rates": [], "sequence": 5,
    });
    for (name, value) in more.as_object().expect("an object") {
        expected[name] = value.clone();
    }
    assert_eq!(registered.json(), expected);
    let shown = kit.get("/v1/parties/PARTY-2");
    assert_eq!(shown.json(), expected);
    assert_eq!(shown.headers["etag"], registered.headers["etag"]);
    let names: Vec<Value> = kit.get("/v1/parties").json()["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|party| party["name"].clone())
        .collect();
    assert_eq!(names, ["local user", "Acme"]);
    assert_eq!(kit.get("/v1/parties/PARTY-9").status, StatusCode::NOT_FOUND);
    assert_eq!(kit.get("/v1/parties/acme").status, StatusCode::NOT_FOUND);
    // Nothing of it stands in the log as it is.
    let log = kit.get("/v1/events?limit=100").body;
    let log = String::from_utf8_lossy(&log);
    assert!(
        log.contains("PartyDescribed") && !log.contains("rue de la Paix") && !log.contains("FR834"),
        "{log}"
    );
}

#[test]
fn what_is_left_out_stays_and_what_is_null_goes() {
    let kit = kit();
    kit.post_json("/v1/parties", &acme());
    let before = kit.get("/v1/parties/PARTY-2").json();
    let change = json!({"vat_id": null, "terms_days": null, "phone": "+33 1 23 45 67 89", "time_zone": "Asia/Kathmandu"});
    let changed = kit.patch_json("/v1/parties/PARTY-2", &change);
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    let mut expected = before.clone();
    let members = expected.as_object_mut().expect("an object");
    members.remove("vat_id");
    members.remove("terms_days");
    members.insert("phone".into(), json!("+33 1 23 45 67 89"));
    // The zone counts from November on.
    members.insert("next_time_zone".into(), json!("Asia/Kathmandu"));
    members.insert("sequence".into(), json!(7));
    assert_eq!(changed.json(), expected);
    kit.set("2026-11-01T00:00:00Z");
    assert_eq!(kit.get("/v1/parties/PARTY-2").json()["time_zone"], "Asia/Kathmandu");
    // Said again it is no change.
    let again = kit.patch_json("/v1/parties/PARTY-2", &json!({"phone": "+33 1 23 45 67 89"}));
    assert_eq!(again.json()["sequence"], 7, "{again:?}");
    let stale = kit.patch_with("/v1/parties/PARTY-2", &[("if-match", "\"other\"")], &json!({"phone": "1"}));
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(kit.patch_json("/v1/parties/PARTY-9", &json!({"phone": "1"})).status, StatusCode::NOT_FOUND);
}

#[test]
fn a_change_of_what_has_changed_is_refused() {
    let kit = kit();
    kit.post_json("/v1/parties", &acme());
    let at = "/v1/parties/PARTY-2";
    let rows = [
        json!({"phone": "1"}),
        json!({"time_zone": "Asia/Kathmandu"}),
        json!({"phone": "2", "time_zone": "Asia/Tokyo"}),
        json!({}),
    ];
    for change in rows {
        let head = kit.ctx.ledger().head().last;
        let stale = kit.patch_with(at, &[("if-match", "\"other\"")], &change);
        let (status, field, _) = stale.problem();
        assert_eq!((status, field.as_deref()), (412, Some("if-match")), "{change}");
        assert_eq!(kit.ctx.ledger().head().last, head, "{change}: nothing was recorded");
        let seen = kit.get(at).headers["etag"].to_str().expect("ASCII").to_owned();
        let changed = kit.patch_with(at, &[("if-match", &seen)], &change);
        assert_eq!(changed.status, StatusCode::OK, "{change}: {changed:?}");
        assert_eq!(changed.headers["etag"], kit.get(at).headers["etag"], "{change}");
    }
}

/// What somebody else has said since stays.
#[test]
fn a_change_is_carried_out_once_under_its_name() {
    let kit = kit();
    kit.post_json("/v1/parties", &acme());
    let at = "/v1/parties/PARTY-2";
    let rows = [
        json!({"phone": "1"}),
        json!({"time_zone": "Asia/Kathmandu"}),
        json!({"phone": "2", "time_zone": "Asia/Tokyo"}),
    ];
    for (n, change) in rows.iter().enumerate() {
        let (seen, key) =
            (kit.get(at).headers["etag"].to_str().expect("ASCII").to_owned(), format!("key {n}"));
        let send = || kit.patch_with(at, &[("if-match", &seen), ("idempotency-key", &key)], change);
        let first = send();
        assert_eq!(first.status, StatusCode::OK, "{change}: {first:?}");
        let since = kit.patch_json(at, &json!({"phone": "3", "time_zone": "Europe/Athens"}));
        assert_eq!(since.status, StatusCode::OK, "{change}: {since:?}");
        let again = send();
        assert_eq!((again.status, again.json()), (StatusCode::OK, since.json()), "{change}");
    }
}

#[test]
fn what_cannot_be_said_names_the_field_and_the_rule() {
    let kit = kit();
    kit.post_json("/v1/parties", &acme());
    let rows = [
        ("name", json!({"name": ""}), "name", "must be a text of 1 to 500 bytes"),
        ("zone", json!({"time_zone": "Mars"}), "time_zone", "time zone"),
        ("country", json!({"address": {"country": "XX"}}), "address.country", "ISO 3166-1"),
        ("no country", json!({"address": {"city": "Paris"}}), "address.country", "is missing"),
        (
            "lines",
            json!({"address": {"country": "FR", "lines": ["a", "b", "c", "d"]}}),
            "address.lines",
            "at most 3",
        ),
        ("member", json!({"address": {"country": "FR", "planet": "Mars"}}), "address.planet", "not a field"),
        ("vat", json!({"vat_id": "83404833048"}), "vat_id", "must begin with its country"),
        ("iban", json!({"iban": "FR1420041010050500013M02607"}), "iban", "check digits"),
        ("bic", json!({"bic": "PSST"}), "bic", "8 or 11"),
        ("email", json!({"email": "billing"}), "email", "such as billing@example.org"),
        (
            "scheme",
            json!({"electronic_address": {"scheme": "9", "id": "1"}}),
            "electronic_address.scheme",
            "four",
        ),
        ("series", json!({"series": "acme"}), "series", "capital letters"),
        ("taken", json!({"series": "ACME"}), "series", "PARTY-2"),
        ("terms", json!({"terms_days": 3651}), "terms_days", "at most 3650"),
        ("days", json!({"terms_days": -1}), "terms_days", "whole number"),
        ("unknown", json!({"nickname": "A"}), "nickname", "is not a field here"),
    ];
    let head = kit.ctx.ledger().head().last;
    for (what, wrong, field, rule) in rows {
        let mut body = json!({"name": "Other"});
        for (name, value) in wrong.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let refused = kit.post_json("/v1/parties", &body);
        assert!(refused.status.is_client_error(), "{what}: {refused:?}");
        assert_eq!(refused.json()["field"], field, "{what}: {refused:?}");
        assert!(refused.json()["detail"].as_str().expect("a text").contains(rule), "{what}: {refused:?}");
        if what != "name" {
            let refused = kit.patch_json("/v1/parties/PARTY-1", &wrong);
            assert_eq!(refused.json()["field"], field, "{what}: {refused:?}");
        }
    }
    assert_eq!(kit.ctx.ledger().head().last, head, "nothing was recorded");
}

#[test]
fn tax_is_said_and_shown() {
    let kit = kit();
    kit.post_json("/v1/parties", &acme());
    let from = "2026-01-01T00:00:00Z";
    let rate = kit.post_json("/v1/tax-rates", &json!({"rate": "20", "valid_from": from}));
    assert_eq!(rate.status, StatusCode::CREATED, "{rate:?}");
    assert_eq!(rate.json()["id"], "PARTY-1");
    assert_eq!(rate.json()["tax_rates"], json!([{"rate": "20", "valid_from": from}]));
    let path = "/v1/parties/PARTY-2/tax-treatments";
    let reverse =
        json!({"category": "AE", "reason": "Reverse charge", "code": "VATEX-EU-AE", "valid_from": from});
    let treated = kit.post_json(path, &reverse);
    assert_eq!(treated.status, StatusCode::CREATED, "{treated:?}");
    assert_eq!(treated.json()["tax_treatments"], json!([reverse]));
    let rows = [
        ("/v1/tax-rates", json!({"rate": "101", "valid_from": from}), "rate"),
        ("/v1/tax-rates", json!({"rate": "20"}), "valid_from"),
        ("/v1/tax-rates", json!({"rate": "20", "valid_from": "2026-01-01"}), "valid_from"),
        (path, json!({"category": "X", "valid_from": from}), "category"),
        (path, json!({"category": "AE", "valid_from": from}), "reason"),
        (path, json!({"category": "AE", "code": "VATEX-EU-AE", "valid_from": from}), "reason"),
        (path, json!({"category": "S", "reason": "why", "valid_from": from}), "reason"),
    ];
    for (path, body, field) in rows {
        let refused = kit.post_json(path, &body);
        assert_eq!((refused.status.as_u16(), &refused.json()["field"]), (400, &json!(field)), "{refused:?}");
    }
    let product = json!({"software_release": "https://example.org/book.cfg", "category": "S", "rate": "5.5", "valid_from": from});
    let set = kit.post_json("/v1/product-taxes", &product);
    assert_eq!(set.status, StatusCode::CREATED, "{set:?}");
    assert_eq!(set.json()["product_taxes"], json!([product]));
    let exempt = json!({"resource": "loans", "category": "E", "reason": "by law", "valid_from": from});
    assert_eq!(kit.post_json("/v1/product-taxes", &exempt).json()["product_taxes"], json!([product, exempt]));
    let rows = [
        (json!({"category": "Z", "valid_from": from}), "software_release"),
        (json!({"resource": "gas", "category": "AE", "reason": "why", "valid_from": from}), "category"),
        (json!({"resource": "gas", "category": "Z", "rate": "0", "valid_from": from}), "rate"),
        (json!({"resource": "gas", "category": "S", "rate": "101", "valid_from": from}), "rate"),
        (json!({"resource": "gas", "category": "E", "valid_from": from}), "reason"),
        (json!({"resource": "gas", "category": "E", "code": "VATEX-EU-O", "valid_from": from}), "reason"),
    ];
    for (body, field) in rows {
        let refused = kit.post_json("/v1/product-taxes", &body);
        assert_eq!((refused.status.as_u16(), &refused.json()["field"]), (400, &json!(field)), "{refused:?}");
    }
    let nobody = json!({"seller": "PARTY-9", "rate": "20", "valid_from": from});
    assert_eq!(kit.post_json("/v1/tax-rates", &nobody).status, StatusCode::NOT_FOUND);
}
