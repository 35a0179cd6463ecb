//! The catalogue as it is read and written.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};
use slapledger_core::domain::event::Mode;

use crate::testing::world::{Seen, World};

fn ask(world: &World, method: &str, entry: &str, body: &Value) -> Seen {
    let request = Request::builder().method(method).uri(format!("/v1/catalogue/{entry}"));
    let request = request.header(header::CONTENT_TYPE, "application/json");
    world.send(request.body(Body::from(body.to_string())).expect("a request"))
}

fn put(world: &World, entry: &str, body: &Value) -> Seen {
    ask(world, "PUT", entry, body)
}

#[test]
fn entries_are_recorded_listed_filtered_and_removed() {
    let world = World::empty(Mode::Proxy);
    let mysql = json!({"table": "storage", "title": "MySQL", "category": "SQL", "software": "mysql",
        "stage": "production", "applications": ["PALO Web"]});
    let recorded = put(&world, "mysql", &mysql).expect(200).json();
    assert_eq!((recorded["id"].as_str(), recorded["reached"].as_str()), (Some("mysql"), Some("production")));
    assert!(recorded["shown"].is_null());
    // The same again changes nothing.
    let again = put(&world, "mysql", &mysql).expect(200).json();
    assert_eq!(again["changed_by"], recorded["changed_by"]);
    put(&world, "xen", &json!({"table": "host", "title": "xen", "ticks": 1})).expect(200);
    let titles = |query: &str| -> Vec<String> {
        let list = world.get(&format!("/v1/catalogue{query}")).expect(200).json();
        let items = list["items"].as_array().expect("items").iter();
        items.map(|item| item["title"].as_str().expect("a title").to_owned()).collect()
    };
    assert_eq!(titles(""), ["MySQL", "xen"]);
    assert_eq!(titles("?table=host"), ["xen"]);
    assert_eq!(titles("?category=SQL&stage=production"), ["MySQL"]);
    assert_eq!(titles("?stage=used"), [""; 0]);
    assert_eq!(titles("?software=mysql&limit=1"), ["MySQL"]);
    let refused = world.get("/v1/catalogue?table=sofa").expect(400).json();
    assert_eq!(refused["field"], "table");
    let refused =
        put(&world, "xen", &json!({"table": "host", "title": "xen", "ticks": 8})).expect(400).json();
    assert_eq!(refused["field"], "ticks");
    let story = json!({"table": "story", "title": "ERP", "customer": "PARTY-9"});
    assert!(put(&world, "story", &story).expect(404).body.contains("there is no party PARTY-9"));
    ask(&world, "DELETE", "xen", &json!({})).expect(200);
    let gone = ask(&world, "DELETE", "xen", &json!({})).expect(404).json();
    assert_eq!(gone["type"], "urn:slapledger:problem:catalogue-entry-unknown");
    assert_eq!(titles(""), ["MySQL"]);
}
