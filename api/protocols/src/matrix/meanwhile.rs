//! What happens while a request is under way: what let it in ends, others want room, the same is asked for twice.

use std::fs;

use serde_json::json;

use super::asking::{Ask, Key};
use super::world::{Who, World};
use crate::access::RequestLimits;

fn revoke(id: &str) -> Ask {
    Ask::json("POST", &format!("/v1/credentials/{id}/revoke"), &json!({}))
}

fn id_of(key: &Key) -> String {
    let Key::Token(text) = key else { panic!("a token") };
    text.split('_').nth(1).expect("an id").to_owned()
}

#[test]
fn what_was_begun_before_a_revocation_is_not_carried_out_after_it() {
    let world = World::new();
    let admin = world.token(Who::Root, None, &json!({"holder": "anna", "roles": ["admin"]}));
    let alice = || world.token(Who::Alice, None, &json!({}));
    let wanted = json!({"software_release": "https://example.org/new/software.cfg", "instance_id": "late"});
    for body in [Ask::json("POST", "/v1/tokens", &json!({})), Ask::json("POST", "/v1/instances", &wanted)] {
        let key = alice();
        let head = world.head();
        let (seen, revoked) = world.ask_while((Some(&key), body), (Some(&admin), revoke(&id_of(&key))));
        revoked.expect(200);
        seen.expect(401);
        assert_eq!(world.head(), head + 1, "the revocation alone");
    }
    // A node that is told to come no more gets no other certificate.
    let node = world.certificate(
        Who::OtherNode,
        "/slapos.post.v0.compute_node_certificate",
        &json!({"computer_guid": "COMP-2"}),
    );
    let another = Ask::form("/generateComputerCertificate", &[("computer_id", "COMP-2")]);
    let end = Ask::new("DELETE", "/v1/computers/COMP-2/certificate");
    let (seen, ended) = world.ask_while((Some(&node), another), (Some(&admin), end));
    ended.expect(200);
    seen.expect(401);
}

#[test]
fn a_token_enters_one_computer_however_often_it_is_shown_at_once() {
    let world = World::new();
    let Key::Token(token) = world.token(Who::Provider, None, &json!({"purpose": "register_computer"})) else {
        panic!("a token")
    };
    let computers = || world.get(Who::Provider, "/v1/computers").expect(200).items("id").len();
    let before = computers();
    let ask = |n: usize| {
        let title = format!("room {n}");
        Ask::form("/Person_requestComputer", &[("title", &title)]).with("x-access-token", token.clone())
    };
    let mut seen: Vec<_> =
        world.ask_together((0..6).map(ask).collect()).iter().map(|seen| seen.status).collect();
    seen.sort_unstable();
    assert_eq!(seen, [200, 403, 403, 403, 403, 403]);
    assert_eq!(computers(), before + 1);
}

#[test]
fn nobody_takes_the_room_of_others() {
    let world = World::with_shares(1);
    let token = |who| world.token(who, None, &json!({}));
    let (bob, another, alice) = (token(Who::Bob), token(Who::Bob), token(Who::Alice));
    let read = || Ask::get("/v1/instances");
    let slow = || Ask::json("POST", "/v1/tokens", &json!({}));
    let (seen, other) = world.ask_while((Some(&bob), slow()), (Some(&alice), read()));
    seen.expect(201);
    other.expect(200);
    let waits = world.waits_for((Some(&another), read()), (Some(&bob), slow()));
    assert!(waits, "they have one at a time, by whichever of their tokens");
    world.ask_with(Some(&another), read()).expect(200);
    // What their computers send counts for those who own them, and what operators of a project do, whatever they are
    // called; of one who reaches all projects a namesake takes nothing.
    let bang = "/slapos.put.v0.compute_node_bang";
    let slow = |path: &str| Ask::json("POST", path, &json!({"computer_guid": "COMP-3"}));
    let waits = |one: &Key, path: &str, other: &Key| {
        world.waits_for((Some(other), Ask::get("/v1/products")), (Some(one), slow(path)))
    };
    let goes_on = |one: &Key, path: &str, other: &Key| {
        world.ask_while((Some(one), slow(path)), (Some(other), Ask::get("/v1/products"))).1.expect(200);
    };
    let provider = token(Who::Provider);
    let node = world.certificate(
        Who::Provider,
        "/slapos.post.v0.compute_node_certificate",
        &json!({"computer_guid": "COMP-3"}),
    );
    let operator = |name: &str| world.token(Who::Admin, None, &json!({"holder": name, "roles": ["admin"]}));
    let root = world.token(Who::Root, None, &json!({"all_projects": true}));
    assert!(waits(&node, bang, &provider));
    goes_on(&node, bang, &operator("anna"));
    assert!(waits(&operator("anna"), "/v1/tokens", &operator("root")));
    goes_on(&operator("root"), "/v1/tokens", &root);
}

#[test]
fn no_project_takes_the_room_of_others() {
    let requests = RequestLimits { most_at_a_time: 2, most_at_a_time_of_one: 1, ..RequestLimits::default() };
    let world = World::within(requests);
    let [alice, bob] = [Who::Alice, Who::Bob].map(|who| world.token(who, None, &json!({})));
    let elsewhere = world.token(Who::OtherAdmin, None, &json!({"holder": "olga", "roles": ["admin"]}));
    let slow = || Ask::json("POST", "/v1/tokens", &json!({}));
    let read = || Ask::get("/v1/instances");
    assert!(world.waits_for((Some(&bob), read()), (Some(&alice), slow())), "all of one project");
    world.ask_while((Some(&alice), slow()), (Some(&elsewhere), read())).1.expect(200);
}

/// The thief of a credential fills all the room of its holder, and is revoked for all that.
#[test]
fn nobody_is_kept_from_ending_a_credential() {
    let world = World::with_shares(1);
    let own = world.token(Who::Root, None, &json!({}));
    let slow = || Ask::json("POST", "/v1/tokens", &json!({}));
    let ends: [fn(&str) -> Ask; 6] = [
        |stolen| revoke(stolen),
        |_| Ask::json("POST", "/v1/parties/PARTY-3/revoke-credentials", &json!({})),
        |_| Ask::new("DELETE", "/v1/computers/COMP-1/certificate"),
        |_| Ask::form("/revokeComputerCertificate", &[("computer_id", "COMP-2")]),
        |_| {
            Ask::json(
                "POST",
                "/slapos.remove.v0.compute_node_certificate",
                &json!({"computer_guid": "COMP-2"}),
            )
        },
        |_| Ask::json("POST", "/v1/parties/PARTY-7/erase", &json!({})),
    ];
    for end in ends {
        let stolen = world.token(Who::Root, None, &json!({}));
        let (_, ended) = world.ask_while((Some(&stolen), slow()), (Some(&own), end(&id_of(&stolen))));
        ended.expect(200);
    }
    // Its own body is short.
    let long = Ask::json("POST", "/v1/parties/PARTY-3/revoke-credentials", &json!({"x": "y".repeat(70_000)}));
    world.ask_with(Some(&own), long).expect(413);
}

#[test]
fn no_body_is_longer_than_is_configured() {
    let world = World::within(RequestLimits { most_body_bytes: 65_536, ..RequestLimits::default() });
    let long = "x".repeat(65_536);
    let rule = "the body must have at most 65536 bytes";
    for path in ["/v1/parties", "/v1/price-books", "/usage_report_module/"] {
        let seen = world.post(Who::Root, path, &json!({"name": long})).expect(413).json();
        assert_eq!(seen["detail"], rule, "{path}");
    }
    let form = Ask::form("/supplySupply", &[("url", &long)]);
    assert!(world.ask(Who::Provider, form).expect(413).body.starts_with(rule));
    world.post(Who::Root, "/v1/parties", &json!({"name": "short"})).expect(201);
}

#[test]
fn an_instance_is_handed_out_no_certificate_that_has_ended() {
    let world = World::new();
    let path = "/slapos.get.v0.software_instance_certificate";
    let ask = || world.post(Who::Node, path, &json!({"instance_guid": "SOFTINST-1"})).expect(200).json();
    let first = ask();
    assert_eq!(ask(), first, "it is kept");
    let kept = world.kept_of("SOFTINST-1");
    let bytes = fs::read(&kept).expect("it is kept in a file");
    world
        .ask(Who::Provider, Ask::new("DELETE", "/v1/computers/COMP-1/certificate?with_instances=true"))
        .expect(200);
    let node = world.certificate(
        Who::Provider,
        "/slapos.post.v0.compute_node_certificate",
        &json!({"computer_guid": "COMP-1"}),
    );
    let ask = || {
        let ask = Ask::json("POST", path, &json!({"instance_guid": "SOFTINST-1"}));
        world.ask_with(Some(&node), ask).expect(200).json()
    };
    let second = ask();
    assert_ne!(second, first);
    // As if the program had died between the event and the file.
    fs::write(&kept, bytes).expect("it is written");
    let third = ask();
    assert!(third != first && third != second);
    world.ask_with(Some(&World::key_of(&first)), Ask::get("/v1/instances")).expect(401);
    world.ask_with(Some(&World::key_of(&third)), Ask::get("/v1/instances")).expect(200);
    // Its folder has pairs and nothing half written.
    let names: Vec<_> = fs::read_dir(kept.parent().expect("a folder")).expect("it is read").collect();
    assert!(names.iter().flatten().all(|entry| !entry.file_name().to_string_lossy().ends_with(".new")));
}
