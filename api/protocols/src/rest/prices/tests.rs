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
    for kind in ["recurring", "per_unit", "graduated", "volume", "package", "percentage", "minimum"] {
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
        ("size = \"1000\"", "size = \"0\"", "rates[8].size", "must be above 0"),
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
