//! The stream of events: who is shown what, and when it ends.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::asking::{Ask, Key};
use super::furnished::usage;
use super::world::{Who, World};
use crate::access::RequestLimits;
use crate::testing::streamed::parse;

/// The sequences of events that somebody is shown from the beginning.
fn shown(world: &World, who: Who) -> BTreeSet<u64> {
    let seen = world.get(who, "/v1/events/stream?after=0").expect(200);
    let events = parse(&seen.body);
    assert!(events.windows(2).all(|pair| pair[0].id < pair[1].id), "out of order for {who:?}");
    events.iter().map(|event| event.id).collect()
}

/// All events of the first project, as an admin of all projects reads them in the list.
fn all(world: &World) -> Vec<Value> {
    let list = world.get(Who::Root, "/v1/events?limit=1000").expect(200).json();
    assert_eq!(list["next"], Value::Null);
    list["items"].as_array().expect("a list").clone()
}

/// What a party is to see, told again from the JSON of the list: a second implementation.
fn expected(events: &[Value], party: &str, instances: &[u64], computers: &[&str]) -> BTreeSet<u64> {
    let instances: BTreeSet<String> = instances.iter().map(|n| format!("SOFTINST-{n}")).collect();
    let is_theirs = |id: &Value| instances.contains(id.as_str().expect("an id"));
    let invoices: BTreeSet<String> = events
        .iter()
        .filter(|event| event["type"] == "InvoiceFinalised")
        .filter(|event| event["data"]["invoice"]["buyer"]["party"] == party)
        .map(|event| event["stream"].as_str().expect("a stream").to_owned())
        .collect();
    let is_shown = |event: &&Value| {
        let stream = event["stream"].as_str().expect("a stream");
        let (kind, id) = stream.split_once('/').unwrap_or((stream, ""));
        let data = &event["data"];
        let usage = if data["usage"].is_object() { &data["usage"] } else { data };
        let attribution = &usage["attribution"];
        let shares = attribution["shares"].as_array().filter(|shares| !shares.is_empty());
        match kind {
            "party" => id == party,
            "instance" => instances.contains(id),
            "computer" => computers.contains(&id),
            "usage" if computers.contains(&id) => true,
            "usage" => {
                (attribution["instance"].is_string() && is_theirs(&attribution["instance"]))
                    || shares.is_some_and(|shares| shares.iter().all(|share| is_theirs(&share["instance"])))
            }
            "product" => match event["type"].as_str().expect("a type") {
                "SoftwareReleasePublished" => data["publisher"] == party,
                "CatalogueEntryRecorded" => {
                    let customer = &data["says"]["customer"];
                    customer.is_null() || customer == party
                }
                kind => kind == "SoftwareSchemaSupplied",
            },
            "invoice" => invoices.contains(stream) && event["type"] != "AnswerRecorded",
            _ => false,
        }
    };
    events.iter().filter(is_shown).map(|event| event["sequence"].as_u64().expect("a sequence")).collect()
}

#[test]
fn everybody_is_shown_what_is_theirs_and_nothing_else() {
    let world = World::new();
    let story = json!({"table": "story", "title": "Shop", "customer": "PARTY-2"});
    world.ask(Who::Admin, Ask::json("PUT", "/v1/catalogue/shop", &story)).expect(200);
    world.ask(Who::Admin, Ask::json("DELETE", "/v1/catalogue/mysql", &json!({}))).expect(200);
    let events = all(&world);
    for kind in ["CatalogueEntryRecorded", "CatalogueEntryRemoved", "SoftwareSchemaSupplied"] {
        assert!(events.iter().any(|event| event["type"] == kind), "no {kind}");
    }
    let everything: BTreeSet<u64> = events.iter().filter_map(|event| event["sequence"].as_u64()).collect();
    assert_eq!(shown(&world, Who::Root), everything);
    assert_eq!(shown(&world, Who::Auditor), everything);
    // The stream shows a reader of one project what the list shows them.
    for who in [Who::Admin, Who::OtherAdmin] {
        let list = world.get(who, "/v1/events?limit=1000").expect(200);
        let listed: BTreeSet<u64> =
            list.items("sequence").iter().map(|n| n.parse().expect("a number")).collect();
        assert_eq!(shown(&world, who), listed, "{who:?}");
    }
    let rows: [(Who, &str, &[u64], &[&str]); 6] = [
        (Who::Alice, "PARTY-2", &[1, 2, 6], &[]),
        (Who::Bob, "PARTY-3", &[3, 4, 5], &[]),
        (Who::Provider, "PARTY-4", &[1, 2, 3, 4, 6, 7], &["COMP-1", "COMP-3"]),
        (Who::OtherProvider, "PARTY-5", &[5], &["COMP-2"]),
        (Who::Both, "PARTY-4", &[1, 2, 3, 4, 6, 7], &["COMP-1", "COMP-3"]),
        (Who::Publisher, "PARTY-6", &[], &[]),
    ];
    for (who, party, instances, computers) in rows {
        let expected = expected(&events, party, instances, computers);
        assert_eq!(shown(&world, who), expected, "{who:?}");
        assert!(!expected.is_empty(), "{who:?} sees something");
    }
    // Nobody but those who see all of a project learns which credential caused an event.
    let seen = world.get(Who::Alice, "/v1/events/stream?after=0").expect(200);
    let credential =
        |text: &str| parse(text).iter().any(|event| !event.data["actor"]["credential"].is_null());
    assert!(!credential(&seen.body));
    assert!(credential(&world.get(Who::Root, "/v1/events/stream?after=0").expect(200).body));
}

#[test]
fn a_stream_ends_with_its_credential_and_shows_nothing_that_came_after() {
    let world = World::new();
    let issued = world.token(Who::Alice, None, &json!({}));
    let Key::Token(text) = &issued else { panic!("a token") };
    let id = text.split('_').nth(1).expect("an id").to_owned();
    let mut stream = world.stream(&issued, Ask::get("/v1/events/stream"));
    world.wait_for(&mut stream, ": caught up");
    world.report(Who::Node, &[usage("COMP-1", "before", "slappart0", "1")]).expect(200);
    world.wait_for(&mut stream, "\"id\":\"before\"");
    world.post(Who::Root, &format!("/v1/credentials/{id}/revoke"), &json!({})).expect(200);
    world.report(Who::Node, &[usage("COMP-1", "after", "slappart0", "1")]).expect(200);
    world.wait_for(&mut stream, "event: end");
    world.wait_for(&mut stream, "nothing that comes");
    assert!(stream.is_over());
    assert!(stream.text().contains("urn:slapledger:problem:token-revoked"), "{}", stream.text());
    assert!(!stream.text().contains("\"id\":\"after\""), "{}", stream.text());

    // A token that expires: noticed before anything more is sent.
    let expiring = world.token(Who::Alice, None, &json!({"expires_at": "2026-12-02T10:00:00Z"}));
    let mut stream = world.stream(&expiring, Ask::get("/v1/events/stream"));
    world.wait_for(&mut stream, ": caught up");
    world.set("2026-12-02T10:00:00Z");
    world.report(Who::Node, &[usage("COMP-1", "late", "slappart0", "1")]).expect(200);
    world.wait_for(&mut stream, "event: end");
    assert!(stream.text().contains("token-expired"), "{}", stream.text());
    assert!(!stream.text().contains("\"id\":\"late\""));
}

#[test]
fn the_streams_of_one_holder_are_bounded_and_leave_room() {
    let limits = RequestLimits { most_streams: 3, most_streams_of_one: 2, ..RequestLimits::default() };
    let world = World::within(limits);
    let [first, second] = [(), ()].map(|()| world.token(Who::Alice, None, &json!({})));
    let bob = world.token(Who::Bob, None, &json!({}));
    let ask = || Ask::get("/v1/events/stream");
    let one = world.stream(&first, ask());
    let two = world.stream(&second, ask());
    let refused = world.ask_with(Some(&first), ask()).expect(503);
    assert_eq!(refused.headers["retry-after"], "30");
    assert!(refused.body.contains("you have 2 event streams open"), "{}", refused.body);
    let three = world.stream(&bob, ask());
    let other = world.token(Who::Provider, None, &json!({}));
    let refused = world.ask_with(Some(&other), ask()).expect(503);
    assert!(refused.body.contains("that is the limit of this server"), "{}", refused.body);
    drop((one, two, three));
    world.ask_with(Some(&first), ask()).expect(200);
}
