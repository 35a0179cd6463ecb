use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use axum::body::Body;
use serde_json::{Value, json};
use slapledger_usecases::caller::FIRST_PARTY;

use super::*;
use crate::testing::kit::Kit;
use crate::testing::streamed::EventBody;

fn kit() -> Kit {
    let kit = Kit::with_computer("2026-10-01T00:00:00Z");
    kit.instance(FIRST_PARTY, "first");
    kit
}

/// The state of each generation of a projection, the live one first.
fn states(generations: &Value) -> Vec<&str> {
    let items = generations["items"].as_array().expect("a list");
    items.iter().map(|item| item["state"].as_str().expect("a state")).collect()
}

fn rebuilt(kit: &Kit, name: &str, body: &Value) -> (StatusCode, Value) {
    let answer = kit.post_json(&format!("/v1/projections/{name}/rebuild"), body);
    (answer.status, answer.json())
}

fn generations(kit: &Kit, name: &str) -> Value {
    kit.get(&format!("/v1/projections/{name}/generations")).json()
}

/// A rebuild that takes until somebody cancels it.
fn slow() -> Value {
    json!({"most_events_per_second": 1})
}

#[test]
fn projections_come_back_the_same() {
    let kit = kit();
    let before = kit.get("/v1/projections").json();
    let items = before["items"].as_array().expect("a list");
    let names: Vec<_> = items.iter().filter_map(|item| item["name"].as_str()).collect();
    for name in names {
        let rebuilt = kit.post(&format!("/v1/projections/{name}/rebuild"), "application/json", "");
        assert_eq!(rebuilt.status, StatusCode::OK, "{rebuilt:?}");
        let rebuilt = rebuilt.json();
        assert_eq!((&rebuilt["same"], &rebuilt["name"]), (&json!(true), &json!(name)));
        assert_eq!((&rebuilt["swapped"], &rebuilt["differences"]["count"]), (&json!(true), &json!(0)));
        for compared in rebuilt["projections"].as_array().expect("a list") {
            let live = items.iter().find(|item| item["name"] == compared["name"]).expect("it was there");
            assert_eq!((&compared["before"], &compared["digest"]), (&live["digest"], &live["digest"]));
        }
    }
    assert_eq!(kit.get("/v1/projections").json(), before);
    let unknown = kit.post("/v1/projections/prices/rebuild", "application/json", "").problem();
    assert_eq!((unknown.0, &*unknown.2), (404, "there is no projection prices"));
    assert_eq!(kit.get("/v1/projections/billing/rebuild").status, StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn a_rebuild_that_takes_long_says_how_far_it_is_and_is_cancelled() {
    let kit = kit();
    let (status, begun) = rebuilt(&kit, "instances", &slow());
    assert_eq!((status, states(&begun)), (StatusCode::ACCEPTED, vec!["live", "building"]));
    assert_eq!((&begun["view"], &begun["items"][1]["number"]), (&json!("slap"), &json!(2)));
    assert_eq!(begun["items"][1]["events_total"], kit.ctx.ledger().head().last.0);
    // Those of one view are rebuilt together.
    let again = kit.post("/v1/projections/catalogue/rebuild", "application/json", "").problem();
    assert_eq!((again.0, &*again.2), (409, "rebuild slap: a generation is building already"));
    let health = kit.get("/healthz").json();
    assert!(health["views"][0]["rebuilding"].is_u64(), "{health:#}");
    let cancelled = kit.post_json("/v1/projections/inventory/rebuild/cancel", &json!({}));
    assert_eq!(cancelled.status, StatusCode::OK);
    let cancelled = cancelled.json();
    assert_eq!((states(&cancelled), &cancelled["latest"]["outcome"]), (vec!["live"], &json!("cancelled")));
    let none = kit.post_json("/v1/projections/inventory/rebuild/cancel", &json!({})).problem();
    assert_eq!((none.0, &*none.2), (409, "slap has no rebuild to cancel"));
    assert_eq!(rebuilt(&kit, "instances", &json!({})).0, StatusCode::OK);
}

#[test]
fn a_generation_waits_is_swapped_and_swapped_back() {
    let kit = kit();
    let (status, kept) = rebuilt(&kit, "billing", &json!({"swap": false}));
    assert_eq!((status, &kept["swapped"], &kept["same"]), (StatusCode::OK, &json!(false), &json!(true)));
    let now = generations(&kit, "journal");
    assert_eq!((states(&now), &now["latest"]["outcome"]), (vec!["live", "ready"], &json!("ready")));
    assert!(now["items"][1]["kept_seconds"].as_u64().is_some_and(|seconds| seconds > 3000), "{now:#}");
    let swapped = kit.post_json("/v1/projections/billing/rebuild/swap", &json!({})).json();
    assert_eq!((states(&swapped), &swapped["items"][0]["number"]), (vec!["live", "previous"], &json!(2)));
    kit.instance(FIRST_PARTY, "second");
    let back = kit.post_json("/v1/projections/billing/rebuild/swap-back", &json!({})).json();
    assert_eq!((states(&back), &back["items"][0]["number"]), (vec!["live"], &json!(1)));
    assert_eq!(back["latest"]["outcome"], "swapped_back");
    for change in ["swap", "confirm", "swap-back"] {
        let problem =
            kit.post_json(&format!("/v1/projections/billing/rebuild/{change}"), &json!({})).problem();
        assert_eq!(problem.0, 409, "{change}");
    }
    assert_eq!(rebuilt(&kit, "billing", &json!({})).0, StatusCode::OK);
    let confirmed = kit.post_json("/v1/projections/billing/rebuild/confirm", &json!({})).json();
    assert_eq!((states(&confirmed), &confirmed["items"][0]["number"]), (vec!["live"], &json!(3)));
}

#[test]
fn what_cannot_be_is_refused() {
    let kit = kit();
    let (status, problem) = rebuilt(&kit, "billing", &json!({"most_events_per_second": 0}));
    assert_eq!((status, &problem["field"]), (StatusCode::BAD_REQUEST, &json!("most_events_per_second")));
    assert_eq!(rebuilt(&kit, "prices", &json!({})).0, StatusCode::NOT_FOUND);
    assert_eq!(kit.get("/v1/projections/prices/generations").status, StatusCode::NOT_FOUND);
    assert_eq!(kit.get("/v1/projections/prices/generations/stream").status, StatusCode::NOT_FOUND);
    let nothing = kit.post_json("/v1/projections/prices/rebuild/swap", &json!({}));
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);
}

#[test]
fn readers_of_the_stream_are_told_until_the_rebuild_ends() {
    let kit = kit();
    rebuilt(&kit, "access", &slow());
    let request = Request::get("/v1/projections/access/generations/stream").body(Body::empty());
    let mut stream = EventBody::of(kit.endless(request.expect("a request")));
    let read = |stream: &mut EventBody, text: &str| kit.block_on(stream.wait_for(text));
    read(&mut stream, "\"state\":\"building\"");
    assert_eq!(kit.post_json("/v1/projections/access/rebuild/cancel", &json!({})).status, StatusCode::OK);
    read(&mut stream, "\"outcome\":\"cancelled\"");
    read(&mut stream, "there is no such text");
    assert!(stream.is_over(), "{}", stream.text());
}

/// Has a projection rebuilt and swapped, however long that takes.
fn replaced(kit: &Kit, name: &str) {
    let (status, answer) = rebuilt(kit, name, &json!({}));
    if status == StatusCode::OK {
        assert_eq!((&answer["same"], &answer["swapped"]), (&json!(true), &json!(true)), "{answer:#}");
        return;
    }
    assert_eq!(status, StatusCode::ACCEPTED, "{answer:#}");
    let number = &answer["items"][1]["number"];
    let latest = loop {
        let latest = generations(kit, name)["latest"].take();
        if latest["number"] == *number {
            break latest;
        }
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(latest["outcome"], "swapped", "{latest:#}");
}

/// Readers while usage comes in and views are replaced. The slow twin derives the views as of the sequence that an answer
/// names, and must give the same bytes.
#[test]
fn answers_during_rebuilds_are_those_as_of_their_sequences() {
    let kit = kit();
    kit.set("2026-10-02T00:00:00Z");
    let book = kit.post("/v1/price-books", "application/toml", slapledger_fixtures::STANDARD_PRICES);
    assert_eq!(book.status, StatusCode::CREATED, "{book:?}");
    let resource = "service_module/cpu_load_percent";
    let usage =
        "/v1/usage?instance=SOFTINST-1&resource=service_module/cpu_load_percent&period=2026-10-01/2026-10-02";
    let paths = ["/v1/instances", "/v1/computers", usage];
    let done = AtomicBool::new(false);
    let read = |path: &'static str| {
        let mut seen = BTreeMap::new();
        while !done.load(Ordering::Relaxed) {
            let reply = kit.get(path);
            assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
            let sequence = reply.headers["slapledger-sequence"].to_str().expect("a number").to_owned();
            let known = seen.entry(sequence).or_insert_with(|| reply.body.clone());
            assert_eq!(*known, reply.body, "{path}: two answers as of one event");
        }
        (path, seen)
    };
    let write = || {
        let mut sent = 0;
        while !done.load(Ordering::Relaxed) {
            let event = json!({
                "specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1", "id": format!("event {sent}"),
                "subject": "slappart0", "data": {"resource": resource, "quantity": "1",
                    "start": "2026-10-01T00:00:00Z", "stop": "2026-10-01T01:00:00Z"},
            });
            let answer = kit.post("/v1/usage-events", "application/cloudevents+json", event.to_string());
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            sent += 1;
        }
    };
    let seen = thread::scope(|scope| {
        let read = &read;
        let readers = paths.map(|path| scope.spawn(move || read(path)));
        let writer = scope.spawn(write);
        for _ in 0..5 {
            replaced(&kit, "instances");
            replaced(&kit, "metering");
        }
        done.store(true, Ordering::Relaxed);
        writer.join().expect("it writes");
        readers.map(|reader| reader.join().expect("it reads"))
    });
    for (path, seen) in seen {
        assert!(!seen.is_empty());
        // Each takes as long as reading the log: some of them, from first to last.
        for (sequence, body) in seen.iter().step_by(seen.len().div_ceil(12)) {
            let joint = if path.contains('?') { '&' } else { '?' };
            let twin = kit.get(&format!("{path}{joint}as_of={sequence}"));
            assert_eq!((twin.status, &twin.body), (StatusCode::OK, body), "{path} as of {sequence}");
        }
    }
}
