//! Price books through the routes: every version, with all that was said in it.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::testing::kit::Kit;

const EVERYTHING: &str = include_str!("../../../../../fixtures/price-books/everything.toml");

/// Without what is said of the version, and not in it.
fn said(mut shown: Value) -> Value {
    let members = shown.as_object_mut().expect("an object");
    for of_the_version in ["version", "sequence", "versions"] {
        assert!(members.remove(of_the_version).is_some(), "{of_the_version} in {members:?}");
    }
    shown
}

#[test]
fn what_is_shown_can_be_published_and_says_the_same() {
    let kit = Kit::new("2026-01-01T00:00:00Z", "UTC");
    let published = kit.post("/v1/price-books", "application/toml", EVERYTHING);
    assert_eq!(published.status, StatusCode::CREATED, "{published:?}");
    let shown = said(kit.get("/v1/price-books/everything").json());
    let again = kit.post_json("/v1/price-books", &shown);
    assert_eq!((again.status, &again.json()["version"]), (StatusCode::OK, &json!(1)), "{again:?}");
    // The factor of units that are known, and what has its usual value.
    assert_eq!(
        shown["resources"][0],
        json!({"resource": "service_module/memory_used", "kind": "gauge", "meter": "time_integral", "unit": "GiB_hour",
               "divide_by": 1024})
    );
    assert_eq!(
        shown["resources"][2]["group_by"],
        json!(["zone", "tier"]),
        "in the order in which they are declared"
    );
    let kinds: Vec<_> =
        shown["rates"].as_array().expect("rates").iter().filter_map(|rate| rate["kind"].as_str()).collect();
    let all = [
        "recurring",
        "base_fee",
        "per_unit",
        "graduated",
        "volume",
        "package",
        "percentage",
        "minimum",
        "maximum",
        "discount",
    ];
    for kind in all {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
}

#[test]
fn every_version_can_be_read() {
    let kit = Kit::new("2026-01-01T00:00:00Z", "UTC");
    let book = |valid_from: &str, price: &str| {
        json!({"name": "n", "currency": "JPY", "valid_from": valid_from, "rates": [
            {"kind": "recurring", "every": "month", "when": "arrears", "price": price}]})
    };
    let (first, second) = (book("2026-01-01T00:00:00Z", "1000"), book("2026-02-01T00:00:00Z", "1100"));
    let publish = |book: &Value| {
        let reply = kit.post_json("/v1/price-books", book);
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
        reply.json()["sequence"].clone()
    };
    let sequences = [publish(&first), publish(&second)];
    let versions = json!([
        {"version": 1, "sequence": sequences[0], "valid_from": "2026-01-01T00:00:00Z"},
        {"version": 2, "sequence": sequences[1], "valid_from": "2026-02-01T00:00:00Z"},
    ]);
    let rows = [("", 2, "1100"), ("?version=1", 1, "1000"), ("?version=2", 2, "1100")];
    for (query, version, price) in rows {
        let shown = kit.get(&format!("/v1/price-books/n{query}")).json();
        assert_eq!(shown["version"], version, "{query}");
        assert_eq!(shown["sequence"], sequences[version - 1], "{query}");
        assert_eq!(shown["versions"], versions, "{query}");
        assert_eq!(shown["rates"][0]["price"], price, "{query}");
    }
    let rows = [
        ("n?version=3", (404, None, "price book n has no version 3")),
        ("m", (404, None, "there is no price book m")),
        ("n?version=0", (400, Some("version"), "must be a number from 1")),
        ("n?version=x", (400, Some("version"), "must be a number from 1")),
    ];
    for (path, (status, field, detail)) in rows {
        let expected = (status, field.map(str::to_owned), detail.to_owned());
        assert_eq!(kit.get(&format!("/v1/price-books/{path}")).problem(), expected, "{path}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let kit = Kit::new("2026-01-01T00:00:00Z", "UTC");
    let rows = [
        ("size = \"1000\"", "size = \"0\"", "rates[13].size", "must be above 0"),
        ("percent = 95", "percent = 0", "resources[1].percent", "must be from 1 to 100"),
        (
            "reported_in = \"MiB\"",
            "reported_in = \"Mbit\"\nmultiply_by = 2",
            "resources[0].multiply_by",
            "cannot stand beside reported_in: the factor follows from the units",
        ),
    ];
    for (from, to, field, rule) in rows {
        assert!(EVERYTHING.contains(from), "{from}");
        let reply = kit.post("/v1/price-books", "application/toml", EVERYTHING.replacen(from, to, 1));
        let (status, told, detail) = reply.problem();
        assert_eq!((status, told.as_deref()), (400, Some(field)), "{detail}");
        let (place, said) = detail.split_once(": ").expect("a place");
        assert!(place.starts_with("line ") && said == rule, "{detail}");
    }
}

/// What publishing would do is told and not done; what would change a period that is invoiced needs to be asked for.
#[test]
fn a_version_is_looked_at_before_it_is_published() {
    let kit = Kit::with_computer("2026-09-20T00:00:00Z");
    let customer = kit.register("Nexedi", "UTC");
    kit.instance(customer, "shop");
    let book = |valid_from: &str, price: &str| {
        json!({"name": "n", "currency": "EUR", "valid_from": valid_from, "rates": [
            {"kind": "recurring", "every": "month", "when": "arrears", "price": price}]})
    };
    let first = kit.post_json("/v1/price-books", &book("2026-01-01T00:00:00Z", "10.00"));
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    kit.set("2026-11-01T09:00:00Z");
    let run = json!({"period": {"start": "2026-10-01", "stop": "2026-11-01"}, "finalise": true});
    assert_eq!(kit.post_json("/v1/invoice-runs", &run).status, StatusCode::CREATED);

    let second = book("2026-10-15T00:00:00Z", "12.00");
    let head = kit.ctx.ledger().head();
    let preview = kit.post_json("/v1/price-books?preview=true", &second);
    assert_eq!(preview.status, StatusCode::OK, "{preview:?}");
    let told = preview.json();
    assert_eq!((&told["version"], &told["preview"]["follows"]), (&json!(2), &json!(1)), "{told:#}");
    assert_eq!(told["preview"]["changes"].as_array().map(Vec::len), Some(2), "{told:#}");
    let touched = &told["preview"]["invoiced"];
    assert_eq!(
        (&touched[0]["invoice"], &touched[0]["payer"]),
        (&json!("INV-2026-000001"), &json!("PARTY-2"))
    );
    assert_eq!(
        (touched.as_array().map(Vec::len), &told["preview"]["invoiced_left_out"]),
        (Some(1), &json!(0))
    );
    // It was looked at alone, also where publishing it is refused.
    assert_eq!(kit.ctx.ledger().head(), head);
    for path in ["/v1/price-books", "/v1/price-books?retroactive=false"] {
        let refused = kit.post_json(path, &second);
        assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
        let problem = refused.json();
        assert_eq!(problem["type"], "urn:slapledger:problem:period-invoiced-by-prices", "{problem}");
        let detail = problem["detail"].as_str().expect("a text");
        assert!(detail.contains("INV-2026-000001") && detail.contains("retroactive"), "{detail}");
        assert_eq!(problem["field"], "valid_from", "{problem}");
    }
    assert_eq!(kit.ctx.ledger().head(), head);
    for name in ["preview", "retroactive"] {
        let wrong = kit.post_json(&format!("/v1/price-books?{name}=perhaps"), &second);
        let expected = (400, Some(name.to_owned()), "must be true or false".to_owned());
        assert_eq!(wrong.problem(), expected);
    }
    let published = kit.post_json("/v1/price-books?retroactive=true", &second);
    assert_eq!(
        (published.status, &published.json()["version"]),
        (StatusCode::CREATED, &json!(2)),
        "{published:?}"
    );
    assert!(published.json().get("preview").is_none(), "{published:?}");
    // A version that takes effect later needs no flag.
    let third = kit.post_json("/v1/price-books", &book("2026-12-01T00:00:00Z", "13.00"));
    assert_eq!(third.status, StatusCode::CREATED, "{third:?}");
}

#[test]
fn a_version_follows_what_its_sender_has_seen_if_they_say_so() {
    let kit = Kit::new("2026-01-01T00:00:00Z", "UTC");
    let book = |month: u32, price: &str| {
        json!({"name": "n", "currency": "EUR", "valid_from": format!("2026-0{month}-01T00:00:00Z"), "rates": [
            {"kind": "recurring", "every": "month", "when": "arrears", "price": price}]})
    };
    let preview = |book: &Value| {
        let reply = kit.post_json("/v1/price-books?preview=true", book).json();
        reply["preview"]["etag"].as_str().map(str::to_owned)
    };
    let publish = |tag: &str, book: &Value| {
        let headers = [("content-type", "application/json"), ("if-match", tag)];
        kit.post_with("/v1/price-books", &headers, book.to_string())
    };
    assert_eq!(preview(&book(1, "1.00")), None, "there is nothing to have seen");
    assert_eq!(publish("*", &book(1, "1.00")).status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(kit.post_json("/v1/price-books", &book(1, "1.00")).status, StatusCode::CREATED);
    let seen = preview(&book(2, "2.00")).expect("a tag");
    let read = kit.get("/v1/price-books/n");
    let tag = read.headers.get("etag").and_then(|tag| tag.to_str().ok());
    assert_eq!(tag, Some(&*seen), "as reading it shows it");
    assert_eq!(publish(&seen, &book(2, "2.00")).status, StatusCode::CREATED);
    // Somebody else looked at the same version.
    let late = publish(&seen, &book(3, "3.00"));
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED, "{late:?}");
    assert_eq!(kit.get("/v1/price-books/n").json()["version"], 2);
    assert_eq!(
        publish(&preview(&book(3, "3.00")).expect("a tag"), &book(3, "3.00")).status,
        StatusCode::CREATED
    );
}
