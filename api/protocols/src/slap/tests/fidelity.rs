//! What real clients and nodes of `SlapOS` do, where that is not what the protocol says first.

use serde_json::json;
use slapledger_core::domain::event::Mode;
use slapledger_slap_wire::marshal::{self, Value};

use super::{attribute, dumps, events_after, head, usage};
use crate::testing::world::{COMPUTER, RELEASE, Seen, World, configuration, request_form};

fn master(partitions: usize) -> World {
    let world = World::empty(Mode::Serve);
    world.format(COMPUTER, partitions);
    world
}

fn shared(name: &str, parameters: &Value, state: &Value) -> Vec<(&'static str, String)> {
    let values =
        [("partition_parameter_xml", parameters), ("shared_xml", &Value::Bool(true)), ("state", state)];
    let form = request_form(name, &[], None).into_iter().map(|(key, value)| {
        let other = values.iter().find(|(other, _)| *other == key).map(|(_, value)| dumps(value));
        (key, other.unwrap_or(value))
    });
    form.collect()
}

fn post(world: &World, form: &[(&'static str, String)]) -> Seen {
    let form: Vec<_> = form.iter().map(|(key, value)| (*key, value.as_str())).collect();
    world.post("/requestComputerPartition", &form)
}

fn call(world: &World, verb: &str, body: &serde_json::Value) -> Seen {
    world.post_json(&format!("/slapos.{verb}"), &body.to_string(), &[])
}

/// A parent that keeps an optional child at `state=destroyed` failed at each of its runs.
#[test]
fn to_destroy_what_is_not_there_is_no_error() {
    let destroyed = Value::from("destroyed");
    let no_parameters = Value::Dict(Vec::new());
    let ghost = json!({"title": "ghost", "software_release_uri": RELEASE, "software_type": "default",
        "state": "destroyed"});

    let world = World::proxy(2);
    let before = head(&world);
    let seen = world.request("ghost", &[("a", "b")], Some("destroyed")).expect(200);
    assert_eq!(attribute(&seen.body, "_requested_state"), "destroyed".into());
    assert_eq!(attribute(&seen.body, "_instance_guid"), "".into());
    assert_eq!(attribute(&seen.body, "slap_computer_partition_id"), "".into());
    let seen = post(&world, &shared("ghost", &no_parameters, &destroyed)).expect(200);
    assert_eq!(attribute(&seen.body, "_requested_state"), "destroyed".into());
    let seen = call(&world, "post.v0.software_instance", &ghost).expect(200).json();
    assert_eq!((&seen["title"], &seen["state"]), (&json!("ghost"), &json!("destroyed")));
    assert_eq!(head(&world), before, "no partition is taken");
    // One that is gone, again and again.
    world.request("one", &[], None).expect(200);
    world.request("one", &[], Some("destroyed")).expect(200);
    world.say("/destroyedComputerPartition", "slappart0", &[]).expect(200);
    let before = head(&world);
    world.request("one", &[], Some("destroyed")).expect(200);
    assert_eq!(head(&world), before);

    let world = master(2);
    let before = head(&world);
    world.request("ghost", &[("a", "b")], Some("destroyed")).expect(408);
    post(&world, &shared("ghost", &no_parameters, &destroyed)).expect(408);
    let seen = call(&world, "post.v0.software_instance", &ghost).expect(200).json();
    assert_eq!((&seen["status"], &seen["name"]), (&json!(102), &json!("SoftwareInstanceNotReady")));
    // REST has no clients that would fail by it.
    let wanted = json!({"software_release": RELEASE, "instance_id": "ghost", "state": "destroyed"});
    world.post_json("/v1/instances", &wanted.to_string(), &[]).expect(404);
    assert_eq!(head(&world), before, "nothing is created");
}

/// The root of a CDN hands the list of all its sites to each of its nodes in one parameter.
#[test]
fn parameters_of_a_megabyte_reach_the_node_and_stay() {
    let long = "{\"é\": <&> 1}".repeat(100_000);
    for world in [World::proxy(1), master(1)] {
        let before = head(&world);
        world.request("one", &[("_", &long)], None).expect(200);
        let happened = events_after(&world, before);
        assert!(happened.iter().filter(|name| **name == "SealedPartRecorded").count() > 20, "{happened:?}");
        let told = |world: &World| world.attribute("slappart0", "_parameter_dict").get("_").cloned();
        assert_eq!(told(&world), Some(long.as_str().into()));
        let before = head(&world);
        world.request("one", &[("_", &long)], None).expect(200);
        assert_eq!(head(&world), before, "the same is nothing new");
        let connection = dumps(&Value::dict([("sites", Value::from(long.as_str()))]));
        world
            .say("/setComputerPartitionConnectionXml", "slappart0", &[("connection_xml", &connection)])
            .expect(200);
        // As the log and a snapshot have it.
        let world = world.restart();
        assert_eq!(told(&world), Some(long.as_str().into()));
        let seen = world.request("one", &[("_", &long)], None).expect(200);
        assert_eq!(attribute(&seen.body, "_connection_dict").get("sites"), Some(&long.as_str().into()));
        assert_eq!(world.instance(1)["parameters"]["_"], long.as_str());
        // Another value takes its place.
        world.request("one", &[("_", "short")], None).expect(200);
        assert_eq!(told(&world), Some("short".into()));
    }
}

/// Characters that are not ASCII are written up to six times as long as they are stored. A body of parameters is as long as
/// the longest spelling of the most parameters.
#[test]
fn the_most_parameters_may_be_in_any_spelling_over_each_protocol() {
    const MOST: usize = 8 * 1024 * 1024;
    let world = World::proxy(3);
    // As it is stored; what is around it is less than 200 bytes.
    let count = (MOST - 200) / 2;
    let long = "é".repeat(count);
    let send = |path: &str, media_type: &str, body: String| {
        let length = body.len().to_string();
        world.post_raw(path, media_type, body, &[("content-length", &length)])
    };
    // xml_marshaller writes numbers, and a form writes each sign of them as three.
    let as_numbers = |text: &str| dumps(&Value::dict([("_", Value::from("@"))])).replace('@', text);
    let form = |name: &str, text: &str| {
        let fields = request_form(name, &[], None).into_iter().map(|(key, value)| match key {
            "partition_parameter_xml" => (key, as_numbers(text)),
            _ => (key, value),
        });
        form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
    };
    let body = form("form", &"&#233;".repeat(count));
    assert!(body.len() > 16 * 1024 * 1024 && body.len() > 5 * MOST, "{}", body.len());
    let form_type = "application/x-www-form-urlencoded";
    send("/requestComputerPartition", form_type, body.clone()).expect(200);
    // JSON may write a character by its number, too.
    let escaped = "\\u00e9".repeat(count);
    let rpc = json!({"title": "rpc", "software_release_uri": RELEASE, "software_type": "default",
        "parameters": {"_": "@"}});
    let rpc = rpc.to_string().replace('@', &escaped);
    send("/slapos.post.v0.software_instance", "application/json", rpc).expect(200);
    let rest =
        json!({"software_release": RELEASE, "instance_id": "rest", "parameters": {"_": "@"}}).to_string();
    send("/v1/instances", "application/json", rest.replace('@', &escaped)).expect(201);
    for n in 1..=3 {
        let told = world.instance(n);
        assert!(told["parameters"]["_"] == long.as_str(), "{}", told["title"]);
    }
    let connection = as_numbers(&"&#233;".repeat(count));
    let place = [("computer_id", COMPUTER), ("computer_partition_id", "slappart0")];
    let fields = place.into_iter().chain([("connection_xml", connection.as_str())]);
    let connected = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    send("/setComputerPartitionConnectionXml", form_type, connected).expect(200);
    // One character more than there may be is told as such, and not as a body that is too long.
    let seen = send("/requestComputerPartition", form_type, form("more", &"&#233;".repeat(MOST / 2)));
    let rule = "partition_parameter_xml: must have at most 8388608 bytes as stored (instance XML), not ";
    assert!(seen.body.starts_with(rule), "{:.200}", seen.body);
    seen.expect(413);
    // Whoever does not tell the length has as much as everybody, and other routes take no such bodies.
    let rule = "the body must have at most 16777216 bytes";
    let seen = world.post_raw("/requestComputerPartition", form_type, body.clone(), &[]).expect(413);
    assert!(seen.body.starts_with(rule), "{:.200}", seen.body);
    send("/supplySupply", form_type, body).expect(413);
}

/// docs/slap.md, "Limits".
#[test]
fn limits_hold_at_their_edges() {
    let world = master(1);
    let ask = |field: &'static str, length: usize, status: u16| {
        let name = format!("of {field}");
        let form = request_form(&name, &[], Some("started")).into_iter();
        let form = form.map(|(key, value)| (key, if key == field { "x".repeat(length) } else { value }));
        post(&world, &form.collect::<Vec<_>>()).expect(status)
    };
    for (field, most) in [("partition_reference", 1024), ("software_release", 2048), ("software_type", 255)] {
        let known = ask(field, most, if field == "partition_reference" { 200 } else { 408 });
        let refused = ask(field, most + 1, 400);
        let rule = format!("{field}: must not be longer than {most} bytes");
        assert!(refused.body.starts_with(&rule), "{refused:?} after {known:?}");
    }
    let named = |title: usize| {
        let title = "é".repeat(title);
        json!({"title": title, "software_release_uri": RELEASE, "software_type": "default"})
    };
    // It waits: there is one partition.
    assert_eq!(call(&world, "post.v0.software_instance", &named(200)).expect(200).json()["status"], 102);
    let refused = call(&world, "post.v0.software_instance", &named(201)).expect(400).json();
    assert_eq!(refused["title"], "title: must not be longer than 200 characters");
    for (length, status) in [(255, 201), (256, 400)] {
        let computer = json!({"reference": "c".repeat(length)});
        world.post_json("/v1/computers", &computer.to_string(), &[]).expect(status);
    }
    for (length, status) in [(255, 200), (256, 400)] {
        let partition = Value::dict([
            ("reference", Value::from("p".repeat(length))),
            ("address_list", Value::List(Vec::new())),
        ]);
        let told = Value::dict([
            ("reference", Value::from(COMPUTER)),
            ("address", Value::from("127.0.0.1")),
            ("netmask", Value::from("255.255.255.255")),
            ("partition_list", Value::List(vec![partition])),
        ]);
        world.post("/loadComputerConfigurationFromXML", &[("xml", &dumps(&told))]).expect(status);
    }
}

#[test]
fn parameters_of_shared_instances_keep_their_types_in_a_proxy() {
    let parameters = Value::dict([
        ("empty", Value::from("")),
        ("no", Value::Bool(false)),
        ("none", Value::None),
        ("port", Value::Int(5)),
        ("text", Value::from("5")),
        ("list", Value::List(vec![Value::from("a"), Value::None])),
    ]);
    let told = |world: &World| {
        let host = world.attribute("slappart0", "_parameter_dict");
        host.get("slave_instance_list").and_then(Value::as_items).map(<[Value]>::to_vec).unwrap_or_default()
    };
    let world = World::proxy(1);
    world.request("host", &[], None).expect(200);
    post(&world, &shared("site", &parameters, &Value::None)).expect(200);
    let list = told(&world);
    for (key, value) in parameters.as_dict().unwrap() {
        assert_eq!(list[0].get(key.as_str().unwrap()), Some(value), "{key:?}");
    }
    let before = head(&world);
    post(&world, &shared("site", &parameters, &Value::None)).expect(200);
    assert_eq!(head(&world), before);
    let json = json!({"title": "json", "software_release_uri": RELEASE, "software_type": "default",
        "shared": true, "parameters": {"port": 5, "no": false}});
    call(&world, "post.v0.software_instance", &json).expect(200);
    assert_eq!(told(&world)[1].get("port"), Some(&Value::Int(5)));

    // The master makes texts of all of them.
    let world = master(1);
    world.request("host", &[], None).expect(200);
    post(&world, &shared("site", &parameters, &Value::None)).expect(200);
    let list = told(&world);
    assert_eq!((list[0].get("port"), list[0].get("empty")), (Some(&"5".into()), Some(&Value::None)));
}

/// slapgrid's firewall reads the addresses of routes from `full_ip_list`.
#[test]
fn a_master_keeps_the_network_of_each_address_and_the_route_to_a_partition() {
    let text =
        |pairs: &[(&str, &str)]| Value::dict(pairs.iter().map(|(key, text)| (*key, Value::from(*text))));
    let tap = text(&[
        ("name", "slaptap0"),
        ("ipv4_addr", "172.16.0.2"),
        ("ipv4_gateway", "172.16.0.1"),
        ("ipv4_netmask", "255.255.0.0"),
        ("ipv4_network", "172.16.0.0"),
    ]);
    let own = text(&[("addr", "10.0.0.1"), ("netmask", "255.255.255.255")]);
    let partition = Value::dict([
        ("reference", Value::from("slappart0")),
        ("address_list", Value::List(vec![own])),
        ("tap", tap),
    ]);
    let formatted = |world: &World| {
        let Value::Dict(mut computer) = configuration(COMPUTER, 1) else { panic!("no dictionary") };
        for (key, value) in &mut computer {
            if key.as_str() == Some("partition_list") {
                *value = Value::List(vec![partition.clone()]);
            }
        }
        let xml = dumps(&Value::Dict(computer));
        world.post("/loadComputerConfigurationFromXML", &[("xml", &xml)]).expect(200);
        world.request("vm", &[], None).expect(200);
    };
    let list = |world: &World, name: &str| world.attribute("slappart0", "_parameter_dict").get(name).cloned();
    let tuple = |texts: &[&str]| Value::Tuple(texts.iter().map(|text| Value::from(*text)).collect());
    let world = master(0);
    formatted(&world);
    let own = tuple(&["slaptap0", "10.0.0.1"]);
    assert_eq!(list(&world, "ip_list"), Some(Value::List(vec![own.clone()])));
    let full = vec![
        tuple(&["slaptap0", "10.0.0.1", "", "255.255.255.255", ""]),
        tuple(&["route_slaptap0", "172.16.0.2", "172.16.0.1", "255.255.0.0", "172.16.0.0"]),
    ];
    assert_eq!(list(&world, "full_ip_list"), Some(Value::List(full)));
    let tree = world.get("/getHostingSubscriptionIpList?computer_id=COMP-1&computer_partition_id=slappart0");
    let route = tuple(&["route_slaptap0", "172.16.0.2"]);
    assert_eq!(marshal::read(&tree.expect(200).body).unwrap(), Value::List(vec![own.clone(), route]));
    // slapos proxy knows of no routes.
    let world = World::proxy(0);
    formatted(&world);
    assert_eq!(list(&world, "ip_list"), Some(Value::List(vec![own])));
    assert_eq!(list(&world, "full_ip_list"), None);

    let address = |n: u8| {
        json!({"ip-address": format!("10.0.0.{n}"), "network-interface": format!("if{n}"),
        "network-address": format!("10.0.{n}.0"), "gateway-ip-address": format!("10.0.{n}.1"), "netmask": "255.255.255.0"})
    };
    for world in [World::proxy(0), master(0)] {
        let format = json!({"computer_guid": COMPUTER, "compute_partition_list": [
            {"partition_id": "slappart0", "ip_list": [address(1), address(2)]}]});
        call(&world, "put.v0.compute_node_format", &format).expect(200);
        world.request("vm", &[], None).expect(200);
        let at = json!({"computer_guid": COMPUTER, "compute_partition_id": "slappart0"});
        let seen = call(&world, "get.v0.compute_partition", &at).expect(200).json();
        assert_eq!(seen["ip_list"], json!([["if1", "10.0.0.1"], ["if2", "10.0.0.2"]]));
        let full = match world.ctx.mode() {
            Mode::Serve => json!([
                ["if1", "10.0.0.1", "10.0.1.1", "255.255.255.0", "10.0.1.0"],
                ["if2", "10.0.0.2", "10.0.2.1", "255.255.255.0", "10.0.2.0"]
            ]),
            _ => json!([]),
        };
        assert_eq!(seen["full_ip_list"], full);
    }
}

#[test]
fn forms_in_parts_are_read_and_a_field_given_twice_is_not() {
    let world = World::proxy(1);
    let part = |name: &str, value: &str| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let fields = request_form("one", &[("a", "b")], None);
    let parts: String = fields.iter().map(|(name, value)| part(name, value)).collect();
    let kind = "multipart/form-data; boundary=x";
    world.post_raw("/requestComputerPartition", kind, format!("{parts}--x--\r\n"), &[]).expect(200);
    assert_eq!(world.attribute("slappart0", "_parameter_dict").get("a"), Some(&"b".into()));
    let twice = format!("{parts}{}--x--\r\n", part("state", "x"));
    let seen = world.post_raw("/requestComputerPartition", kind, twice, &[]).expect(400);
    assert_eq!(seen.body, "state: must not be given more than once\n");
    world.post_raw("/requestComputerPartition", kind, parts, &[]).expect(400);
    let seen =
        world.post("/supplySupply", &[("url", "http://a"), ("computer_id", COMPUTER), ("url", "http://b")]);
    assert_eq!(seen.expect(400).body, "url: must not be given more than once\n");
    let twice = r#"{"title": "one", "title": "two"}"#;
    let seen = world.post_json("/slapos.get.v0.instance_tree", twice, &[]).expect(400);
    assert!(seen.body.contains("given more than once"), "{seen:?}");
}

#[test]
fn reports_in_utf_16_are_read() {
    let world = World::proxy(1);
    world.request("one", &[], None).expect(200);
    world.set_clock("2026-11-23T16:00:00Z");
    let document = format!("<?xml version=\"1.0\" encoding=\"utf-16\"?>{}", usage("1", "slappart0"));
    let bytes: Vec<u8> = document.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let sent = [b"\xFF\xFE".as_slice(), &bytes].concat();
    let mut body = b"computer_id=COMP-1&use_string=".to_vec();
    body.extend(form_urlencoded::byte_serialize(&sent).collect::<String>().bytes());
    let before = head(&world);
    world.post_raw("/useComputer", "application/x-www-form-urlencoded", body, &[]).expect(200);
    assert_eq!(events_after(&world, before).len(), 1);
}

#[test]
fn partitions_that_leave_the_configuration_of_a_proxy_are_forgotten() {
    let world = World::proxy(3);
    for name in ["a", "b", "c"] {
        world.request(name, &[], None).expect(200);
    }
    world.format(COMPUTER, 2);
    // No room: it was in the third.
    world.request("c", &[], None).expect(404);
    world.format(COMPUTER, 4);
    let seen = world.request("c", &[("n", "2")], None).expect(200);
    assert_eq!(attribute(&seen.body, "slap_computer_partition_id"), "slappart2".into());
    assert_eq!(world.instance(3)["state"], "destroyed");
    assert_eq!(world.instance(4)["parameters"]["n"], "2");
}

#[test]
fn a_lost_partition_is_shown_and_released_and_its_instance_moves() {
    let world = master(2);
    for name in ["a", "b"] {
        world.request(name, &[("p", "v")], None).expect(200);
    }
    world.format(COMPUTER, 1);
    assert!(world.instance(2)["partition_lost_since"].is_string(), "{}", world.instance(2));
    assert!(world.instance(1)["partition_lost_since"].is_null());
    let computer = || world.get("/v1/computers/COMP-1").expect(200).json();
    assert_eq!(computer()["partitions"], json!({"free": 0, "busy": 1, "withdrawn": 0, "lost": 1}));
    let delete = |path: &str| {
        let request = axum::http::Request::delete(path).body(axum::body::Body::empty()).unwrap();
        world.send(request)
    };
    let seen = delete("/v1/computers/COMP-1/partitions/slappart0").expect(409).json();
    assert_eq!(seen["type"], "urn:slapledger:problem:partition-offered");
    delete("/v1/computers/COMP-1/partitions/slappart9").expect(404);
    delete("/v1/computers/COMP-1/partitions/slappart1").expect(200);
    assert_eq!(world.instance(2)["state"], "destroyed");
    // It is requested again for its owner, and waits for room.
    assert_eq!((&world.instance(3)["title"], &world.instance(3)["computer"]), (&json!("b"), &json!(null)));
    assert_eq!(world.instance(3)["parameters"]["p"], "v");
    world.format(COMPUTER, 2);
    assert_eq!(world.instance(3)["partition"], "slappart1");

    // All that is on a computer that is gone.
    let retired = delete("/v1/computers/COMP-1").expect(200).json();
    assert!(retired["retired_at"].is_string(), "{retired}");
    assert_eq!([1, 3].map(|n| world.instance(n)["state"].clone()), [json!("destroyed"), json!("destroyed")]);
    assert_eq!([4, 5].map(|n| world.instance(n)["title"].clone()), [json!("a"), json!("b")]);
    let xml = dumps(&configuration(COMPUTER, 1));
    world.post("/loadComputerConfigurationFromXML", &[("xml", &xml)]).expect(409);
    delete("/v1/computers/COMP-1").expect(200);
    delete("/v1/computers/COMP-9").expect(404);
}

#[test]
fn references_of_computers_are_taken_for_nothing_else() {
    let world = master(0);
    let register =
        |reference: &str| world.post_json("/v1/computers", &json!({"reference": reference}).to_string(), &[]);
    for wrong in [
        "PARTY-1",
        "softinst-12",
        "INV-2026-000001",
        "a b",
        "a/b",
        "a=b",
        "COMP-9\u{200b}",
        "a\u{202e}b",
        "a\u{a0}b",
        ".",
        "..",
    ] {
        let seen = register(wrong).expect(400).json();
        assert_eq!(seen["field"], "reference", "{wrong:?}: {seen}");
    }
    for right in ["COMP-9", "party-house", "node.example.org", "Ä-1", "run-way"] {
        register(right).expect(201);
    }
}
