//! What the senders of usage are told when a quota of suspended usage is used up.

use serde_json::{Value, json};
use slapledger_core::domain::usage::UsageLimits;
use slapledger_engine::WriterBounds;

use crate::testing::world::{COMPUTER, World};

/// A computer that may have two suspended events.
fn world() -> World {
    let usage = UsageLimits { most_suspended_of_node: 2, ..UsageLimits::default() };
    let world = World::proxy(1).restart_with(WriterBounds { usage, ..WriterBounds::default() });
    world.request("one", &[], None).expect(200);
    world.set_clock("2026-11-23T16:00:00Z");
    world
}

fn event(id: &str, subject: &str) -> Value {
    json!({"specversion": "1.0", "type": "org.slapos.usage", "source": COMPUTER, "id": id, "subject": subject,
        "data": {"resource": "cpu", "quantity": "1", "start": "2026-11-23T14:30:00Z",
            "stop": "2026-11-23T15:00:00Z"}})
}

fn report(ids: &[&str]) -> String {
    let movements = ids.iter().map(|id| {
        format!(
            "<transaction type=\"Sale Packing List\"><start_date>2026-11-23 14:30:00</start_date>\
             <stop_date>2026-11-23 14:59:59</stop_date><reference>{id}</reference><currency/><payment_mode/>\
             <arrow type=\"\"/><movement><resource>cpu</resource><reference>nobody</reference>\
             <quantity>1</quantity><price>0</price><VAT/></movement></transaction>"
        )
    });
    format!("<journal>{}</journal>", movements.collect::<String>())
}

const RULE: &str = "its computer has 2 suspended usage events, as many as it may have \
                    (usage.most_suspended_of_node); resolve or dismiss some, then send it again";

#[test]
fn a_sender_of_events_is_told_which_quota_is_used_up() {
    let world = world();
    let post = |events: &Value| {
        let kind = "application/cloudevents-batch+json";
        world.post_raw("/v1/usage-events", kind, events.to_string(), &[])
    };
    let events = json!([event("1", "x"), event("2", "x"), event("3", "x"), event("4", "slappart0")]);
    let told = post(&events).expect(200).json();
    assert_eq!(
        [&told["accepted"], &told["suspended"], &told["rejected"]],
        [1, 2, 1].map(|n| json!(n)).each_ref()
    );
    let last = &told["outcomes"][2];
    assert_eq!((&last["outcome"], &last["reason"]), (&json!("over_quota"), &json!(RULE)), "{told}");
    assert!(last.get("sequence").is_none(), "{told}");
    // Alone it is an error.
    let told = post(&json!([event("3", "x")])).expect(422).json();
    let detail = told["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(RULE) && detail.contains("(over_quota)"), "{told}");
    // When somebody has dismissed one, it is taken.
    let suspended = world.get("/v1/usage-suspense").expect(200).json()["items"][0]["sequence"].to_string();
    let path = format!("/v1/usage-suspense/{suspended}/dismiss");
    world.post_json(&path, &json!({"reason": "a test"}).to_string(), &[]).expect(200);
    let told = post(&json!([event("3", "x"), event("4", "slappart0")])).expect(200).json();
    assert_eq!((&told["suspended"], &told["duplicates"]), (&json!(1), &json!(1)), "{told}");
    // As a start finds it.
    let usage = UsageLimits { most_suspended_of_node: 2, ..UsageLimits::default() };
    let world = world.restart_with(WriterBounds { usage, ..WriterBounds::default() });
    let kind = "application/cloudevents-batch+json";
    world.post_raw("/v1/usage-events", kind, json!([event("5", "x")]).to_string(), &[]).expect(422);
}

#[test]
fn a_node_keeps_a_report_that_was_not_recorded() {
    let world = world();
    let post = |ids: &[&str]| {
        let report = report(ids);
        world.post("/useComputer", &[("computer_id", COMPUTER), ("use_string", &report)])
    };
    post(&["1"]).expect(200);
    let seen = post(&["1", "2", "3"]).expect(409);
    let rule = format!("1 of 3 movements were not recorded: {RULE}");
    assert!(seen.body.contains(&rule), "{seen:?}");
    // What could be recorded is known.
    post(&["1", "2"]).expect(200);
    let call = json!({"computer_guid": COMPUTER, "tioxml": report(&["4"])});
    let seen = world.post_json("/slapos.post.v0.compute_node_usage", &call.to_string(), &[]);
    assert!(seen.body.contains(RULE), "{seen:?}");
    assert_ne!(seen.status.as_u16() / 100, 2, "{seen:?}");
}
