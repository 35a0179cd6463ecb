//! Calls through the routes, as slapos proxy and as a master.

use serde_json::{Value, json};
use slapledger_core::domain::event::Mode;

use crate::testing::world::{COMPUTER, RELEASE, Seen, World};

const FIRST: &str = "first______0";

fn call(world: &World, name: &str, members: &Value) -> Seen {
    world.post_json(&format!("/slapos.{name}"), &members.to_string(), &[])
}

#[track_caller]
fn ok(world: &World, name: &str, members: &Value) -> Value {
    let seen = call(world, name, members).expect(200);
    assert_eq!(seen.header(axum::http::header::CONTENT_TYPE), "application/json");
    seen.json()
}

#[track_caller]
fn refused(world: &World, name: &str, members: &Value, status: u16, title: &str) {
    let seen = call(world, name, members).expect(status);
    assert_eq!(seen.header(axum::http::header::CONTENT_TYPE), "application/json");
    let reason = seen.status.canonical_reason().unwrap();
    assert_eq!(seen.json(), json!({"status": status, "type": reason, "title": title}), "{name}");
}

fn success(title: &str) -> Value {
    json!({"type": "success", "title": title})
}

fn request(title: &str) -> Value {
    json!({"title": title, "software_release_uri": RELEASE, "software_type": "default"})
}

/// A request with some members more.
fn request_with(title: &str, more: &Value) -> Value {
    let mut all = request(title);
    for (key, value) in more.as_object().unwrap() {
        all[key] = value.clone();
    }
    all
}

fn guid(guid: &str) -> Value {
    json!({"instance_guid": guid})
}

/// The members of every call that has some, all of them as they should be.
fn calls() -> Vec<(&'static str, Value)> {
    let computer = json!({"computer_guid": COMPUTER});
    let with = |base: &Value, more: Value| {
        let mut all = base.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let software = with(&computer, json!({"software_release_uri": RELEASE}));
    let first = guid(FIRST);
    vec![
        ("post.v0.software_instance", request("first")),
        ("get.v0.instance_tree", json!({"title": "first"})),
        ("allDocs.v0.instance_tree_list", json!({})),
        ("post.v0.software_installation", software.clone()),
        ("put.v0.compute_node_format", with(&computer, json!({"compute_partition_list": []}))),
        ("put.v0.compute_node_bang", with(&computer, json!({"message": "m"}))),
        ("post.v0.compute_node_usage", with(&computer, json!({"tioxml": "<journal/>"}))),
        ("get.v0.compute_node_status", computer.clone()),
        ("post.v0.compute_node_certificate", computer.clone()),
        ("remove.v0.compute_node_certificate", computer.clone()),
        ("allDocs.v0.compute_node_instance_list", computer.clone()),
        ("allDocs.WIP.compute_node_list", json!({})),
        ("allDocs.v0.compute_node_software_installation_list", computer.clone()),
        (
            "put.v0.software_installation_reported_state",
            with(&software, json!({"reported_state": "available"})),
        ),
        ("put.v0.software_installation_error", with(&software, json!({"message": "m"}))),
        ("get.v0.software_instance", first.clone()),
        ("get.v0.compute_partition", with(&computer, json!({"compute_partition_id": "slappart0"}))),
        ("get.v0.software_instance_certificate", first.clone()),
        ("allDocs.v0.instance_node_instance_list", first.clone()),
        ("put.v0.software_instance_reported_state", with(&first, json!({"reported_state": "started"}))),
        ("put.v0.software_instance_error", with(&first, json!({"message": "m"}))),
        ("put.v0.software_instance_bang", with(&first, json!({"message": "m"}))),
        ("put.v0.software_instance_title", with(&first, json!({"title": "first"}))),
        (
            "put.v0.software_instance_connection_parameter",
            with(&first, json!({"connection_parameter_dict": {}})),
        ),
    ]
}

#[test]
fn every_member_of_every_call_is_checked() {
    let world = World::proxy(1);
    for (name, members) in calls() {
        let path = format!("/slapos.{name}");
        let got = world.get(&path).expect(405).json();
        assert_eq!(got, json!({"status": 405, "type": "Method Not Allowed", "title": "must be posted"}));
        refused(&world, name, &json!([]), 400, "the body must be an object");
        world.post_json(&path, "{", &[]).expect(400);
        world.post(&path, &[("a", "b")]).expect(415);
        for member in members.as_object().unwrap().keys() {
            let mut without = members.clone();
            without.as_object_mut().unwrap().remove(member);
            refused(&world, name, &without, 400, &format!("{member}: is missing"));
            let mut other = members.clone();
            other[member] = json!(1);
            let title = call(&world, name, &other).expect(400).json()["title"].as_str().unwrap().to_owned();
            assert!(title.starts_with(&format!("{member}: must be ")), "{name}: {title}");
        }
        let mut more = members.clone();
        more["extra"] = json!(1);
        let title = call(&world, name, &more).expect(400).json()["title"].as_str().unwrap().to_owned();
        assert!(title.starts_with("extra: is not a member of this call; there are "), "{name}: {title}");
    }
}

#[test]
fn rules_of_members_name_what_breaks_them() {
    let world = World::proxy(1);
    let check = |more: Value, title: &str| {
        refused(&world, "post.v0.software_instance", &request_with("a", &more), 400, title);
    };
    check(json!({"title": "é".repeat(201)}), "title: must not be longer than 200 characters");
    check(json!({"title": ""}), "title: must not be empty");
    check(json!({"state": "on"}), "state: must be one of started, stopped, destroyed");
    check(json!({"shared": "true"}), "shared: must be true or false");
    check(json!({"parameters": null}), "parameters: must be an object");
    check(json!({"sla_parameters": {"group": 1}}), "sla_parameters.group: must be a text");
    check(
        json!({"sla_parameters": {"retention_delay": "1"}}),
        "sla_parameters.retention_delay: must be a number",
    );
    let format = |list: Value| json!({"computer_guid": COMPUTER, "compute_partition_list": list});
    let rows = [
        (json!([1]), "compute_partition_list[0]: must be an object"),
        (json!([{}]), "compute_partition_list[0].partition_id: is missing"),
        (json!([{"partition_id": 1}]), "compute_partition_list[0].partition_id: must be a text"),
        (json!([{"partition_id": "a", "ip_list": 1}]), "compute_partition_list[0].ip_list: must be a list"),
        (
            json!([{"partition_id": "a", "ip_list": [{}]}]),
            "compute_partition_list[0].ip_list[0].ip-address: is missing",
        ),
        (
            json!([{"partition_id": "a", "ip_list": [{"ip-address": "b", "netmask": 1}]}]),
            "compute_partition_list[0].ip_list[0].netmask: must be a text",
        ),
        (json!([{"partition_id": ""}]), "compute_partition_list[0].partition_id: must not be empty"),
    ];
    for (list, title) in rows {
        refused(&world, "put.v0.compute_node_format", &format(list), 400, title);
    }
    let long = call(&world, "get.v0.software_instance", &guid(&"x".repeat(2 * 1024 * 1024)));
    long.expect(413);
}

#[test]
fn an_instance_is_requested_shown_and_gone() {
    let world = World::proxy(2);
    let mut expected = json!({
        "title": "first", "instance_guid": FIRST, "software_release_uri": RELEASE, "software_type": "default",
        "state": "started", "connection_parameters": {},
        "parameters": {"a": "b", "n": "1", "f": "1.5", "t": "True", "l": "[1, 'x']", "none": "None", "e": null},
        "shared": false, "root_instance_title": "first", "ip_list": [["slaptap0", "10.0.0.1"]],
        "full_ip_list": [], "sla_parameters": {}, "computer_guid": COMPUTER, "compute_partition_id": "slappart0",
        "processing_timestamp": 1_795_442_650, "access_status_message": "",
    });
    let parameters = json!({"a": "b", "n": 1, "f": 1.5, "t": true, "l": [1, "x"], "none": null, "e": ""});
    let wanted = request_with("first", &json!({"parameters": parameters}));
    assert_eq!(ok(&world, "post.v0.software_instance", &wanted), expected);
    let connected = json!({"instance_guid": FIRST, "connection_parameter_dict": {"url": "http://x/"}});
    assert_eq!(ok(&world, "put.v0.software_instance_connection_parameter", &connected), success("Updated"));
    expected["connection_parameters"] = json!({"url": "http://x/"});
    assert_eq!(ok(&world, "post.v0.software_instance", &wanted), expected);
    assert_eq!(ok(&world, "get.v0.software_instance", &guid(FIRST)), expected);
    assert_eq!(ok(&world, "get.v0.instance_tree", &json!({"title": "first"})), expected);
    let place = json!({"computer_guid": COMPUTER, "compute_partition_id": "slappart0"});
    assert_eq!(ok(&world, "get.v0.compute_partition", &place), expected);
    let item = json!({
        "title": "first", "instance_guid": FIRST, "state": "started", "compute_partition_id": "slappart0",
        "software_release_uri": RELEASE,
    });
    let computer = json!({"computer_guid": COMPUTER});
    let list = ok(&world, "allDocs.v0.compute_node_instance_list", &computer);
    assert_eq!(list, json!({"result_list": [item]}));
    assert_eq!(
        ok(&world, "allDocs.v0.instance_tree_list", &json!({})),
        json!({"result_list": [{"title": "first"}]})
    );

    let says = |state: &str| json!({"instance_guid": FIRST, "reported_state": state});
    assert_eq!(ok(&world, "put.v0.software_instance_reported_state", &says("started")), success("Reported"));
    assert_eq!(world.instance(1)["reported_state"], "started");
    let wrong = json!({"instance_guid": FIRST, "message": "it broke"});
    assert_eq!(ok(&world, "put.v0.software_instance_error", &wrong), success("Reported"));
    assert_eq!(world.instance(1)["error"], "it broke");
    assert_eq!(
        ok(&world, "put.v0.software_instance_reported_state", &says("destroyed")),
        success("Destroyed")
    );
    let gone = format!("No software instance {FIRST} found.");
    refused(&world, "get.v0.software_instance", &guid(FIRST), 403, &gone);
    refused(&world, "put.v0.software_instance_reported_state", &says("destroyed"), 403, &gone);
}

#[test]
fn an_unknown_instance_is_answered_forbidden() {
    let world = World::proxy(1);
    let partition = json!({"computer_guid": "COMP-9", "compute_partition_id": "slappart7"});
    refused(&world, "get.v0.compute_partition", &partition, 403, "No instance on partition slappart7 found.");
    refused(&world, "get.v0.instance_tree", &json!({"title": "x"}), 403, "No instance tree x found.");
    for unreadable in ["", "foo", "a___0", "a___b___2", "a___b___"] {
        let title = format!("instance_guid {unreadable} not handled.");
        refused(&world, "get.v0.software_instance", &guid(unreadable), 403, &title);
    }
    refused(&world, "get.v0.software_instance", &guid("a______1"), 403, "No shared instance a______1 found.");
    let computer = json!({"computer_guid": "COMP-9"});
    for list in
        ["allDocs.v0.compute_node_instance_list", "allDocs.v0.compute_node_software_installation_list"]
    {
        refused(&world, list, &computer, 403, "COMP-9 is not registered.");
    }
    let supply = json!({"computer_guid": "COMP-9", "software_release_uri": RELEASE});
    refused(&world, "post.v0.software_installation", &supply, 403, "there is no computer COMP-9");
    ok(&world, "post.v0.software_instance", &request("first"));
    let full = "No free computer partition found for: second";
    refused(&world, "post.v0.software_instance", &request("second"), 403, full);
    let shared = request_with("third", &json!({"shared": true, "software_type": "other"}));
    refused(
        &world,
        "post.v0.software_instance",
        &shared,
        403,
        "No partition corresponding to slave request: third",
    );
    let claim = "X-SlapPartition computer_id=foo, computer_partition_id=bar";
    let seen = world.post_json(
        "/slapos.post.v0.software_instance",
        &request("second").to_string(),
        &[("authorization", claim)],
    );
    let title = "No partition matching the authorization header: (foo / bar)";
    assert_eq!(seen.expect(400).json(), json!({"status": 400, "type": "Bad Request", "title": title}));
}

#[test]
fn trees_and_shared_instances_have_guids_of_their_own() {
    let world = World::proxy(2);
    ok(&world, "post.v0.software_instance", &request("a___b_"));
    let claim = [("authorization", "X-SlapPartition computer_id=COMP-1, computer_partition_id=slappart0")];
    let from = |members: &Value| {
        world.post_json("/slapos.post.v0.software_instance", &members.to_string(), &claim).expect(200).json()
    };
    let child = from(&request("_child"));
    assert_eq!(child["instance_guid"], "_child___a___b____0");
    let shared = from(&request_with("shared", &json!({"shared": true, "parameters": {"k": "v"}})));
    assert_eq!(shared["instance_guid"], "shared___a___b____1");
    for instance in [&child, &shared] {
        let found =
            ok(&world, "get.v0.software_instance", &guid(instance["instance_guid"].as_str().unwrap()));
        assert_eq!(found["title"], instance["title"]);
        assert_eq!(found["root_instance_title"], "a___b_");
    }
    assert_eq!((&shared["shared"], &shared["processing_timestamp"]), (&json!(true), &json!(0)));
    let list = ok(&world, "allDocs.v0.instance_node_instance_list", &guid("a___b_______0"));
    let item = json!({
        "title": "shared", "instance_guid": shared["instance_guid"], "software_type": "default", "state": "started",
        "parameters": {"k": "v"}, "compute_partition_id": "slappart0",
    });
    assert_eq!(list, json!({"result_list": [item]}));
    let of_shared = shared["instance_guid"].as_str().unwrap();
    for name in ["put.v0.software_instance_bang", "put.v0.software_instance_title"] {
        let member = if name.ends_with("bang") { "message" } else { "title" };
        refused(&world, name, &json!({"instance_guid": of_shared, member: "x"}), 403, "NotImplemented");
    }
    // The root goes last.
    let ends = json!({"instance_guid": "a___b_______0", "reported_state": "destroyed"});
    let title = "Not destroying yet because this partition has child partitions: _child, shared";
    let left = call(&world, "put.v0.software_instance_reported_state", &ends).expect(403).json();
    assert!(title.starts_with(left["title"].as_str().unwrap()), "{left}");
}

#[test]
fn bangs_and_new_titles_reach_the_instance() {
    let world = World::proxy(1);
    let before = ok(&world, "post.v0.software_instance", &request("first"))["processing_timestamp"].clone();
    world.set_clock("2026-11-23T14:05:00Z");
    let bang = json!({"instance_guid": FIRST, "message": "again"});
    assert_eq!(ok(&world, "put.v0.software_instance_bang", &bang), success("Bang handled"));
    let after = ok(&world, "get.v0.software_instance", &guid(FIRST))["processing_timestamp"].clone();
    assert!(after.as_i64() > before.as_i64(), "{before} {after}");
    let title = json!({"instance_guid": FIRST, "title": "other"});
    assert_eq!(ok(&world, "put.v0.software_instance_title", &title), success("Renamed"));
    assert_eq!(ok(&world, "get.v0.software_instance", &guid("other______0"))["title"], "other");
    refused(
        &world,
        "get.v0.software_instance",
        &guid(FIRST),
        403,
        "No software instance first______0 found.",
    );
    let computer = json!({"computer_guid": COMPUTER, "message": "again"});
    assert_eq!(ok(&world, "put.v0.compute_node_bang", &computer), success("Bang handled"));
}

#[test]
fn computers_and_software() {
    let world = World::empty(Mode::Proxy);
    let computer = json!({"computer_guid": COMPUTER});
    assert_eq!(
        ok(&world, "get.v0.compute_node_status", &computer),
        json!({"text": "Unknown (not implemented)"})
    );
    let bang = json!({"computer_guid": COMPUTER, "message": "m"});
    assert_eq!(ok(&world, "put.v0.compute_node_bang", &bang), success("Ignored"));
    let address = json!({"ip-address": "any", "network-interface": "eth0", "netmask": "mask", "more": 1});
    let list = json!([{"partition_id": "part0", "ip_list": [address]}, {"partition_id": "part1"}]);
    let format = json!({"computer_guid": COMPUTER, "compute_partition_list": list});
    assert_eq!(ok(&world, "put.v0.compute_node_format", &format), success("Formatted"));
    assert_eq!(ok(&world, "post.v0.software_instance", &request("a"))["ip_list"], json!([["eth0", "any"]]));
    let status = ok(&world, "get.v0.compute_node_status", &computer);
    assert_eq!(status["text"], "#access Computer is available");

    let software = json!({"computer_guid": COMPUTER, "software_release_uri": "https://mysoft"});
    let supplied = ok(&world, "post.v0.software_installation", &software);
    assert_eq!(supplied, success("Supplied https://mysoft to be available"));
    let list =
        || ok(&world, "allDocs.v0.compute_node_software_installation_list", &computer)["result_list"].clone();
    assert_eq!(list(), json!([{"software_release_uri": "https://mysoft", "state": "available"}]));
    let says = |state: &str| {
        let mut members = software.clone();
        members["reported_state"] = json!(state);
        ok(&world, "put.v0.software_installation_reported_state", &members)
    };
    assert_eq!((says("building"), says("available")), (success("Reported"), success("Reported")));
    let mut error = software.clone();
    error["message"] = json!("no room");
    assert_eq!(ok(&world, "put.v0.software_installation_error", &error), success("Reported"));
    assert_eq!(says("destroyed"), success("Destroyed"));
    assert_eq!(list(), json!([]));
    assert_eq!(says("available"), success("Ignored"));
    assert_eq!(ok(&world, "put.v0.software_installation_error", &error), success("Ignored"));

    let usage = |computer: &str, tioxml: &str| json!({"computer_guid": computer, "tioxml": tioxml});
    assert_eq!(ok(&world, "post.v0.compute_node_usage", &usage("foo", "")), success("Ignored"));
    let bad = call(&world, "post.v0.compute_node_usage", &usage(COMPUTER, "<x/>")).expect(400).json();
    assert!(bad["title"].as_str().unwrap().starts_with("tioxml: "), "{bad}");
    let none = json!({"key": "", "certificate": ""});
    assert_eq!(ok(&world, "post.v0.compute_node_certificate", &computer), none);
    assert_eq!(ok(&world, "get.v0.software_instance_certificate", &guid("foo")), none);
    assert_eq!(ok(&world, "remove.v0.compute_node_certificate", &computer), success("Ignored"));
    let computers = ok(&world, "allDocs.WIP.compute_node_list", &json!({}));
    assert_eq!(computers, json!({"result_list": [{"computer_guid": COMPUTER}]}));
}

#[test]
fn a_front_end_is_made_up() {
    let world = World::empty(Mode::Proxy);
    let release =
        "http://git.erp5.org/gitweb/slapos.git/blob_plain/HEAD:/software/apache-frontend/software.cfg";
    let more =
        json!({"software_release_uri": release, "shared": true, "parameters": {"url": "https://[::1]:1/"}});
    let seen = ok(&world, "post.v0.software_instance", &request_with("site", &more));
    assert_eq!(
        seen["connection_parameters"],
        json!({"secure_access": "https://[::1]:1/", "domain": "[::1]:1"})
    );
    assert_eq!(seen["compute_partition_id"], "Fake frontend for https://[::1]:1/");
    assert_eq!(seen["instance_guid"], "site______1");
}

#[test]
fn a_master_knows_ids_and_waits_for_room() {
    let world = World::empty(Mode::Serve);
    let waits = json!({
        "status": 102, "name": "SoftwareInstanceNotReady", "message": "instance first has no partition yet",
    });
    assert_eq!(ok(&world, "post.v0.software_instance", &request("first")), waits);
    assert_eq!(ok(&world, "get.v0.instance_tree", &json!({"title": "first"})), waits);
    let waiting = "instance SOFTINST-1 has no partition yet";
    refused(&world, "get.v0.software_instance", &guid("SOFTINST-1"), 403, waiting);
    world.format(COMPUTER, 1);
    let seen = ok(&world, "get.v0.software_instance", &guid("SOFTINST-1"));
    assert_eq!(seen["instance_guid"], "SOFTINST-1");
    assert_eq!(seen["processing_timestamp"], json!(1_795_442_650_730_000_i64));
    assert_eq!(seen["full_ip_list"], json!([["slaptap0", "10.0.0.1", "", "255.255.255.255", ""]]));
    assert_eq!(seen["access_status_message"], "#error no data found for SOFTINST-1");
    refused(&world, "get.v0.software_instance", &guid(FIRST), 403, "instance_guid first______0 not handled.");
    // What slapos proxy passes over is told here.
    let error = |guid: &str| json!({"instance_guid": guid, "message": "m"});
    let gone = "No software instance SOFTINST-9 found.";
    refused(&world, "put.v0.software_instance_error", &error("SOFTINST-9"), 403, gone);
    let ends = json!({"instance_guid": "SOFTINST-1", "reported_state": "destroyed"});
    let wanted = "instance SOFTINST-1 is not requested to be destroyed";
    refused(&world, "put.v0.software_instance_reported_state", &ends, 403, wanted);
    let software = json!({"computer_guid": COMPUTER, "software_release_uri": "https://mysoft"});
    ok(&world, "post.v0.software_installation", &software);
    let mut ends = software;
    ends["reported_state"] = json!("destroyed");
    let wanted = "software release https://mysoft is not to be removed from computer COMP-1";
    refused(&world, "put.v0.software_installation_reported_state", &ends, 403, wanted);
    let computer = json!({"computer_guid": COMPUTER});
    for name in ["post.v0.compute_node_certificate", "remove.v0.compute_node_certificate"] {
        refused(&world, name, &computer, 403, "there are no certificates here: nobody needs one");
    }
    let none = "there are no certificates here: nobody needs one";
    refused(&world, "get.v0.software_instance_certificate", &guid("SOFTINST-1"), 403, none);
    let experiment = "this call is an experiment of slapos proxy";
    refused(&world, "allDocs.WIP.compute_node_list", &json!({}), 403, experiment);
}

#[test]
fn where_hateoas_is() {
    let world = World::empty(Mode::Proxy);
    let at = |world: &World, headers: &[(&str, &str)]| {
        world.post_json("/slapos.get.v0.hateoas_url", "{}", headers)
    };
    let named = at(&world, &[("host", "localhost:5000")]).expect(200).json();
    assert_eq!(named, json!({"hateoas_url": "http://localhost:5000/hateoas/"}));
    let forwarded = [("host", "localhost"), ("x-forwarded-proto", "https")];
    let named = at(&world, &forwarded).expect(200).json();
    assert_eq!(named, json!({"hateoas_url": "https://localhost/hateoas/"}));
    // A master trusts nobody who says how it is reached.
    let named = at(&World::empty(Mode::Serve), &forwarded).expect(200).json();
    assert_eq!(named, json!({"hateoas_url": "http://localhost/hateoas/"}));
}
