use axum::http::StatusCode;
use serde_json::json;

use crate::testing::kit::Kit;

#[test]
fn trees_are_counted_and_filtered_over_all_pages() {
    let kit = Kit::with_computer("2026-10-01T00:00:00Z");
    let (ada, grace) = (kit.register("Ada", "UTC"), kit.register("Grace", "UTC"));
    for (owner, title) in [(ada, "The Shop"), (grace, "site")] {
        kit.instance(owner, title);
    }
    let titles = |query: &str| -> Vec<String> {
        let list = kit.get(&format!("/v1/instance-trees?{query}")).json();
        let items = list["items"].as_array().unwrap_or_else(|| panic!("{list:#}")).iter();
        items.map(|item| item["title"].as_str().expect("a title").to_owned()).collect()
    };
    assert_eq!(titles(""), ["The Shop", "site"]);
    assert_eq!(titles("q=SHOP"), ["The Shop"]);
    assert_eq!(titles("q=softinst-2"), ["site"]);
    assert_eq!(titles("owner=PARTY-3"), ["site"]);
    assert_eq!(titles("q=s&limit=1"), ["The Shop"]);
    let counts = kit.get("/v1/instance-counts").json();
    assert_eq!(counts["all"], 2, "{counts:#}");
    let by_state = titles("state=started").len() + titles("state=unplaced").len();
    assert_eq!(by_state, 2);
    assert_eq!(titles("state=wrong").len() as u64, counts["wrong"].as_u64().expect("a count"));
    assert_eq!(kit.get("/v1/instance-counts?q=shop").json()["all"], 1);
    let refused = kit.get("/v1/instance-trees?state=happy");
    assert_eq!((refused.status, refused.json()["field"].clone()), (StatusCode::BAD_REQUEST, json!("state")));
    let long = kit.get(&format!("/v1/instance-trees?q={}", "x".repeat(256)));
    assert_eq!(long.json()["field"], "q");
}
