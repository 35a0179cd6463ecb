use serde_json::json;
use slapledger_usecases::caller::FIRST_PARTY;

use super::*;
use crate::testing::kit::Kit;

#[test]
fn projections_are_listed_with_their_digests() {
    let kit = Kit::with_computer("2026-10-01T00:00:00Z");
    kit.instance(FIRST_PARTY, "first");
    let before = kit.get("/v1/projections").json();
    let items = before["items"].as_array().expect("a list");
    let names: Vec<_> = items.iter().filter_map(|item| item["name"].as_str()).collect();
    assert_eq!(names, ["inventory", "instances", "catalogue", "metering", "billing", "journal", "access"]);
    let head = kit.ctx.ledger().head().last.0;
    assert!(items.iter().all(|item| item["position"] == head), "{before:#}");
}

#[test]
fn health_says_what_is_wrong() {
    let kit = Kit::with_computer("2026-10-01T00:00:00Z");
    let head = kit.ctx.ledger().head().last.0;
    kit.get(&format!("/v1/usage-suspense?min_sequence={head}"));
    kit.get("/v1/computers");
    kit.ctx.access().read_at_blocking(kit.ctx.ledger().head().last, |_, _| ()).expect("it is shown");
    let health = kit.get("/healthz");
    assert_eq!(health.status, StatusCode::OK, "{health:?}");
    let health = health.json();
    assert_eq!(
        (&health["status"], &health["faults"], &health["sequence"]),
        (&json!("ok"), &json!([]), &json!(head))
    );
    assert_eq!((&health["store"]["blobs"], &health["writer"]["alive"]), (&json!(0), &json!(true)));
    assert_eq!(
        health["clock"],
        json!({"now": "2026-10-01T00:00:00Z", "recorded_at": "2026-10-01T00:00:00Z", "behind": false})
    );
    let lags: Vec<_> =
        health["views"].as_array().expect("views").iter().map(|view| (&view["name"], &view["lag"])).collect();
    let expected = ["slap", "billing", "access"].map(|name| (json!(name), json!(0)));
    assert_eq!(lags, expected.iter().map(|(name, lag)| (name, lag)).collect::<Vec<_>>());
    assert_eq!(kit.get("/readyz").status, StatusCode::OK);

    kit.set("2026-09-30T00:00:00Z");
    assert_eq!(kit.get("/healthz").json()["clock"]["behind"], true);

    // No command is taken any more: told, not hidden.
    kit.ctx.ledger().shut_down().expect("it shuts down");
    let book = kit.post("/v1/price-books", "application/toml", slapledger_fixtures::STANDARD_PRICES);
    assert_eq!(
        (book.status, book.headers["retry-after"].to_str().ok()),
        (StatusCode::SERVICE_UNAVAILABLE, Some("30"))
    );
}
