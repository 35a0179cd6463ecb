//! Erasing over REST, and what everybody reads after it.

use std::fs;

use axum::http::StatusCode;
use serde_json::{Value, json};
use slapledger_core::domain::Command;
use slapledger_core::domain::erasure::{Erase, ErasureSubject};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{InstanceId, KeyId, PartyId};
use slapledger_core::log::envelope::Actor;
use slapledger_slap_wire::marshal::Value as Marshalled;

use crate::testing::kit::Kit;
use crate::testing::world::{COMPUTER, World, dumps};

const ERASE: &str = "/v1/instances/SOFTINST-1/erase";

/// An instance that said everything that is sealed, and is gone.
fn gone(world: &World) {
    world.request("a", &[("password", "hunter2")], None).expect(200);
    let connection = dumps(&Marshalled::dict([("url", Marshalled::from("https://hunter2.example/"))]));
    world
        .say("/setComputerPartitionConnectionXml", "slappart0", &[("connection_xml", &connection)])
        .expect(200);
    world.say("/softwareInstanceError", "slappart0", &[("error_log", "hunter2 is wrong")]).expect(200);
    world.say("/softwareInstanceBang", "slappart0", &[("message", "hunter2")]).expect(200);
    assert!(world.instance(1).to_string().matches("hunter2").count() >= 3, "{}", world.instance(1));
    world.post_json(ERASE, "", &[]).expect(409);
    world.request("a", &[("password", "hunter2")], Some("destroyed")).expect(200);
    world.post_json(ERASE, "", &[]).expect(409);
    world.say("/destroyedComputerPartition", "slappart0", &[]).expect(200);
}

fn key(world: &World) -> KeyId {
    world.ctx.key_of(InstanceId(1)).expect("it is there")
}

#[test]
fn an_instance_is_erased_for_everybody_who_reads() {
    let world = World::proxy(1);
    gone(&world);
    let before = world.instance(1);
    assert!(before.to_string().contains("hunter2"));
    let tag = world.get("/v1/instances/SOFTINST-1").header(axum::http::header::ETAG).to_owned();
    world.post_json(ERASE, "{}", &[("if-match", "\"other\"")]).expect(412);
    world.post_json(ERASE, "{\"reason\": \"x\"}", &[]).expect(400);
    let key = key(&world);
    assert!(world.ctx.keys().has(key));
    let named = [("if-match", tag.as_str()), ("idempotency-key", "erase it")];
    let erased = world.post_json(ERASE, "{}", &named).expect(200).json();
    assert!(!world.ctx.keys().has(key), "the answer comes after the key is gone");
    let mut expected = before.clone();
    expected["parameters"] = json!({});
    expected["connection_parameters"] = json!({});
    expected["error"] = Value::Null;
    expected["erased_at"] = erased["erased_at"].clone();
    assert_eq!(erased, expected);
    assert!(erased["erased_at"].is_string());
    // Again it is no change, under the same name or without one.
    let head = world.ctx.ledger().head().last;
    for headers in [&named[..], &[]] {
        assert_eq!(world.post_json(ERASE, "{}", headers).expect(200).json(), expected);
    }
    assert_eq!(world.ctx.ledger().head().last, head);
    world.post_json("/v1/instances/SOFTINST-9/erase", "", &[]).expect(404);
    world.post_json("/v1/instances/nine/erase", "", &[]).expect(404);
    let writes = [
        world.post_json("/v1/instances/SOFTINST-1/bang", "{\"message\": \"x\"}", &[]),
        world.post_json("/v1/instances/SOFTINST-1/reports", "{\"state\": \"error\", \"error\": \"x\"}", &[]),
    ];
    for refused in writes {
        refused.expect(409);
    }
    read_everywhere(&world);
    // The next of its name is another instance.
    world.request("a", &[("k", "v")], None).expect(200);
    assert_eq!(world.instance(2)["parameters"], json!({"k": "v"}));
    read_everywhere(&world.restart());
}

/// No read fails, and none shows what was erased.
fn read_everywhere(world: &World) {
    let full = format!("/getFullComputerInformation?computer_id={COMPUTER}");
    let tree = "/hateoas/?mode=search&query=portal_type%3A%22Instance+Tree%22&select_list=title,url_string,\
                connection_parameter_list";
    let of_one = "/hateoas/?mode=traverse&relative_url=instance_tree_module/SOFTINST-1&view=slaposjs_view";
    let reads = [
        "/v1/instances",
        "/v1/instances/SOFTINST-1",
        "/v1/instance-trees",
        "/v1/instance-trees/SOFTINST-1",
        "/software_instance_module/SOFTINST-1",
        "/v1/computers/COMP-1",
        "/v1/parties",
        "/v1/events?limit=500",
        &full,
        tree,
        of_one,
    ];
    for path in reads {
        let seen = world.get(path);
        assert!(seen.status.as_u16() < 500 && !seen.body.contains("hunter2"), "{path}: {seen:?}");
    }
    let computer = json!({"computer_guid": COMPUTER});
    for (call, members) in [
        ("get.v0.instance_tree", json!({"title": "a"})),
        ("allDocs.v0.instance_tree_list", json!({})),
        ("get.v0.software_instance", json!({"instance_guid": "a______0"})),
        ("allDocs.v0.compute_node_instance_list", computer.clone()),
        ("get.v0.compute_node_status", computer),
    ] {
        let seen = world.post_json(&format!("/slapos.{call}"), &members.to_string(), &[]);
        assert!(seen.status.as_u16() < 500 && !seen.body.contains("hunter2"), "{call}: {seen:?}");
    }
}

#[test]
fn a_start_destroys_what_a_crash_or_a_backup_left() {
    let world = World::proxy(1);
    gone(&world);
    let (key, mut ring) = (key(&world), Vec::new());
    let world = world.restart_after(|folder| ring = fs::read(folder.join("keys/ring")).unwrap());
    assert!(world.instance(1).to_string().contains("hunter2"));
    // The event came, and then the power went.
    let erase = Command::Erase(Erase { subject: ErasureSubject::Instance(InstanceId(1)) });
    world.ctx.submit_own(Actor::system(), erase).unwrap();
    assert!(world.ctx.keys().has(key));
    let mut world = world.restart();
    assert!(!world.ctx.keys().has(key));
    assert!(!world.instance(1).to_string().contains("hunter2"));
    // A ring from before brings the key back, until the start is over; also where the views are derived anew.
    for derived_anew in [false, true] {
        world = world.restart_after(|folder| {
            fs::write(folder.join("keys/ring"), &ring).unwrap();
            if derived_anew {
                fs::remove_dir_all(folder.join("state")).unwrap();
            }
        });
        assert!(!world.ctx.keys().has(key), "{derived_anew}");
        assert!(world.instance(1)["erased_at"].is_string());
        world.post_json(ERASE, "", &[]).expect(200);
    }
    // Anyone who repeats it, because no answer came, is answered when the key is gone.
    let world = World::proxy(1);
    gone(&world);
    let erase = Command::Erase(Erase { subject: ErasureSubject::Instance(InstanceId(1)) });
    world.ctx.submit_own(Actor::system(), erase).unwrap();
    let head = world.ctx.ledger().head().last;
    world.post_json(ERASE, "", &[]).expect(200);
    assert!(!world.ctx.keys().has(self::key(&world)));
    assert_eq!(world.ctx.ledger().head().last, head);
}

#[test]
fn the_mode_of_a_master_erases_too() {
    let world = World::empty(Mode::Serve);
    world.request("a", &[("password", "hunter2")], None);
    world.post_json(ERASE, "", &[]).expect(409);
    // Nobody had room for it: it is gone at once.
    world.request("a", &[("password", "hunter2")], Some("destroyed"));
    world.post_json(ERASE, "", &[]).expect(200);
    assert_eq!(world.instance(1)["parameters"], json!({}));
    read_everywhere(&world);
}

fn prices() -> Value {
    json!({
        "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z", "rounding": "half_up",
        "resources": [],
        "rates": [{"kind": "recurring", "every": "month", "when": "arrears", "price": "10.00"}],
    })
}

/// A customer who had an instance in October and in November, and the final invoice of October.
fn customer() -> Kit {
    let kit = Kit::with_computer("2026-09-20T00:00:00Z");
    let acme = json!({
        "name": "Jane Roe", "legal_name": "Jane Roe SARL", "email": "jane@roe.example",
        "address": {"lines": ["1 rue de la Paix"], "city": "Paris", "country": "FR"},
    });
    assert_eq!(kit.post_json("/v1/parties", &acme).status, StatusCode::CREATED);
    let reply = kit.post_json("/v1/price-books", &prices());
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    kit.set("2026-10-01T00:00:00Z");
    kit.instance(PartyId(2), "shop");
    kit.started("slappart0");
    kit.set("2026-11-02T09:00:00Z");
    let october = json!({"period": {"start": "2026-10-01", "stop": "2026-11-01"}, "finalise": true});
    let reply = kit.post_json("/v1/invoice-runs", &october);
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    kit
}

#[test]
fn a_party_is_erased_and_its_invoices_are_not() {
    const ERASE: &str = "/v1/parties/PARTY-2/erase";
    let kit = customer();
    let none = json!({});
    let lives = kit.post_json(ERASE, &none);
    assert_eq!(lives.status, StatusCode::CONFLICT, "{lives:?}");
    assert!(lives.json()["detail"].as_str().expect("a detail").contains("SOFTINST-1"), "{lives:?}");
    let destroyed = kit.send(
        axum::http::Request::delete("/v1/instances/SOFTINST-1")
            .body(axum::body::Body::empty())
            .expect("it is one"),
    );
    assert_eq!(destroyed.status, StatusCode::OK, "{destroyed:?}");
    kit.post_json("/v1/instances/SOFTINST-1/reports", &json!({"state": "destroyed"}));
    let november = json!({"period": {"start": "2026-11-01", "stop": "2026-12-01"}});
    assert_eq!(kit.post_json("/v1/invoice-runs", &november).status, StatusCode::CREATED);
    let invoice = kit.get("/v1/invoices/INV-2026-000001").json();
    assert_eq!(invoice["buyer"]["name"], "Jane Roe", "{invoice:#}");
    assert_eq!(kit.get("/v1/invoices/RUN-2-PARTY-2").json()["buyer"]["name"], "Jane Roe");

    let key = kit.ctx.billing_now(|view| view.billing.party(PartyId(2)).expect("it is there").name.key);
    let key = key.expect("a view");
    assert!(kit.ctx.keys().has(key));
    let stale =
        kit.post_with(ERASE, &[("if-match", "\"other\""), ("content-type", "application/json")], "{}");
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    let tag = kit.get("/v1/parties/PARTY-2").headers["etag"].to_str().expect("a tag").to_owned();
    let erased = kit.post_with(ERASE, &[("if-match", &tag)], "");
    assert_eq!(erased.status, StatusCode::OK, "{erased:?}");
    assert!(!kit.ctx.keys().has(key), "the answer comes after the key is gone");
    let erased = erased.json();
    let expected = json!({
        "id": "PARTY-2", "name": "(erased)", "time_zone": "UTC", "tax_treatments": [], "tax_rates": [],
        "registered_at": "2026-09-20T00:00:00Z", "erased_at": "2026-11-02T09:00:00Z",
        "sequence": kit.ctx.ledger().head().last.0,
    });
    assert_eq!(erased, expected);
    assert_eq!(kit.get("/v1/parties").json()["items"][1], expected);
    // Again it is no change.
    assert_eq!(kit.post_json(ERASE, &none).json(), expected);

    // What was issued is as it was; what was not is without a name.
    assert_eq!(kit.get("/v1/invoices/INV-2026-000001").json(), invoice);
    assert_eq!(
        kit.get("/v1/invoices/RUN-2-PARTY-2").json()["buyer"],
        json!({"party": "PARTY-2", "name": "(erased)"})
    );
    for path in [
        "/v1/invoices",
        "/v1/invoices/INV-2026-000001/explanation",
        "/v1/invoice-runs/RUN-2/diff",
        "/v1/invoice-drafts?period=2026-11-01/2026-12-01",
        "/v1/journal",
        "/v1/journal?format=hledger",
        "/v1/journal?format=ledger",
        "/v1/journal?format=beancount",
        "/v1/accounts",
        "/v1/events?limit=500",
    ] {
        let seen = kit.get(path);
        assert_eq!(seen.status, StatusCode::OK, "{path}: {seen:?}");
    }
    kit.set("2026-12-01T09:00:00Z");
    let refreshed = kit.post("/v1/invoice-runs/RUN-2/refresh", "application/json", "");
    assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
    let finalised = kit.post("/v1/invoice-runs/RUN-2/finalise", "application/json", "");
    assert_eq!(finalised.status, StatusCode::OK, "{finalised:?}");
    let last = kit.get("/v1/invoices/INV-2026-000002").json();
    assert_eq!(last["buyer"], json!({"party": "PARTY-2", "name": "(erased)"}), "{last:#}");

    // Nothing is said of it any more, and it asks for nothing; we cannot be erased.
    for (path, body, detail) in [
        ("/v1/parties/PARTY-2", json!({"phone": "1"}), "erased"),
        ("/v1/parties/PARTY-2", json!({"terms_days": 3}), "PARTY-2 was erased"),
    ] {
        let refused = kit.patch_json(path, &body);
        assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
        assert!(refused.json()["detail"].as_str().expect("a detail").contains(detail), "{refused:?}");
    }
    let wanted = json!({
        "software_release": "https://example.org/a/software.cfg", "instance_id": "b", "owner": "PARTY-2",
    });
    let refused = kit.post_json("/v1/instances", &wanted);
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    let seller = kit.post_json("/v1/parties/PARTY-1/erase", &none);
    assert_eq!(seller.status, StatusCode::CONFLICT, "{seller:?}");
    assert_eq!(kit.post_json("/v1/parties/PARTY-9/erase", &none).status, StatusCode::NOT_FOUND);
}
