//! The routes of SLAP, from request to answer: a life, the answers of slapos proxy byte for byte, and bad input.

use std::collections::BTreeSet;
use std::fs;

use slapledger_core::domain::event::{Event, Mode};
use slapledger_core::log::envelope::EventDecoder;
use slapledger_slap_wire::marshal::{self, Value};

use crate::testing::world::{COMPUTER, RELEASE, Seen, World, configuration, dumps, request_form};

mod fidelity;
mod master;
mod shared;

/// Names of the events in the log after a sequence.
fn events_after(world: &World, after: u64) -> Vec<&'static str> {
    let after = slapledger_core::domain::id::Sequence(after);
    let mut decoder = EventDecoder::default();
    let mut names = Vec::new();
    for frame in world.ctx.ledger().store().read(after, usize::MAX).unwrap() {
        for (sequence, bytes) in frame.decode().unwrap().events_after(after) {
            names.push(decoder.decode(sequence, bytes).unwrap().event.name());
        }
    }
    names
}

fn head(world: &World) -> u64 {
    world.ctx.ledger().head().last.0
}

fn recorded(name: &str) -> String {
    fs::read_to_string(format!("{}/../../fixtures/slap/answers/{name}.xml", env!("CARGO_MANIFEST_DIR")))
        .unwrap()
}

fn attribute(document: &str, name: &str) -> Value {
    let value = marshal::read(document).unwrap();
    value.as_object().and_then(|object| object.get(name)).cloned().unwrap_or(Value::None)
}

fn set_connection(world: &World, partition: &str, url: &str) -> Seen {
    let xml = dumps(&Value::dict([("url", Value::from(url))]));
    world.say("/setComputerPartitionConnectionXml", partition, &[("connection_xml", &xml)])
}

/// The requests that `fixtures/slap/record_answers.py` sent to slapos proxy, and what it answered.
#[test]
fn answers_are_those_of_slapos_proxy() {
    let world = World::empty(Mode::Proxy);
    let check = |name: &str, seen: Seen| {
        let seen = seen.expect(200);
        assert_eq!(seen.header(axum::http::header::CONTENT_TYPE), "text/xml; charset=utf-8", "{name}");
        // Their seconds are a float without the zeros at its end; the rest is the same, byte for byte.
        assert_eq!(seen.body, recorded(name).replace("1795442650.73", "1795442650.730000"), "{name}");
    };
    let xml = recorded("computer_configuration");
    world.post("/loadComputerConfigurationFromXML", &[("xml", &xml)]).expect(200);
    check("computer_empty", world.get("/getFullComputerInformation?computer_id=COMP-1"));
    let parameters = Value::dict([
        ("foo", Value::from("bar")),
        ("flag", Value::Bool(true)),
        ("empty", Value::from("")),
        ("list", Value::List(vec![Value::Int(1), Value::from("é")])),
        ("awk", Value::from("x<y&z> \"q\"")),
    ]);
    let none = dumps(&Value::Dict(Vec::new()));
    let (parameters, stopped) = (dumps(&parameters), dumps(&Value::from("stopped")));
    let (unsaid, not_shared) = (dumps(&Value::None), dumps(&Value::Bool(false)));
    let form = [("software_release", RELEASE), ("filter_xml", &none), ("shared_xml", &not_shared)];
    let root = [
        ("partition_reference", "root"),
        ("software_type", "type a"),
        ("partition_parameter_xml", &parameters),
        ("state", &unsaid),
    ];
    let root = [form.as_slice(), root.as_slice()].concat();
    check("request_new", world.post("/requestComputerPartition", &root));
    let child = [
        ("partition_reference", "child"),
        ("software_type", "default"),
        ("partition_parameter_xml", none.as_str()),
        ("state", &stopped),
    ];
    let child = [form.as_slice(), child.as_slice()].concat();
    let claim = [("authorization", "X-SlapPartition computer_id=COMP-1, computer_partition_id=slappart0")];
    check("request_child_stopped", world.post_with("/requestComputerPartition", &child, &claim));
    let connection = Value::dict([
        ("url", Value::from("https://[2001:db8::]/?a=1&b=2")),
        ("pass", Value::from("p'\"<")),
        ("none", Value::from("")),
    ]);
    let connection = dumps(&connection);
    let connection = [("connection_xml", connection.as_str()), ("slave_reference", "None")];
    world.say("/setComputerPartitionConnectionXml", "slappart0", &connection).expect(200);
    check("request_again", world.post("/requestComputerPartition", &root));
    for number in 1..3 {
        let path =
            "/registerComputerPartition?computer_reference=COMP-1&computer_partition_reference=slappart";
        check(&format!("partition{number}"), world.get(&format!("{path}{number}")));
    }
    let path = "/getComputerPartitionCertificate?computer_id=COMP-1&computer_partition_id=slappart0";
    check("certificate", world.get(path));
}

#[test]
fn a_whole_life() {
    let world = World::proxy(1);
    let supply = |state| [("url", RELEASE), ("computer_id", COMPUTER), ("state", state)];
    world.post("/supplySupply", &supply("available")).expect(200);
    let release = [("url", RELEASE), ("computer_id", COMPUTER)];
    world.post("/buildingSoftwareRelease", &release).expect(200);
    let log = [release.as_slice(), &[("error_log", "no space left on <device>")]].concat();
    world.post("/softwareReleaseError", &log).expect(200);
    let before = head(&world);
    world.post("/softwareReleaseError", &log).expect(200);
    assert_eq!(head(&world), before, "the same error again is nothing new");
    let computer = world.get(&format!("/v1/computers/{COMPUTER}")).expect(200).json();
    assert_eq!(computer["software"][0]["reported_state"], "error");
    assert_eq!(computer["software"][0]["error"], "no space left on <device>");
    world.post("/availableSoftwareRelease", &release).expect(200);

    world.request("one", &[("a", "b")], None).expect(200);
    assert_eq!(world.attribute("slappart0", "_requested_state"), "started".into());
    world.say("/startedComputerPartition", "slappart0", &[]).expect(200);
    assert_eq!(world.instance(1)["reported_state"], "started");
    set_connection(&world, "slappart0", "https://example.com/?a=1&b=<2>").expect(200);
    let seen = world.request("one", &[("a", "b")], None).expect(200);
    let url = attribute(&seen.body, "_connection_dict").get("url").cloned();
    assert_eq!(url, Some("https://example.com/?a=1&b=<2>".into()));
    world
        .say("/softwareInstanceError", "slappart0", &[("error_log", "could not \u{1b}[31mstart")])
        .expect(200);
    let shown = world.instance(1);
    assert_eq!(
        (&shown["reported_state"], &shown["error"]),
        (&"error".into(), &"could not \u{FFFD}[31mstart".into())
    );
    assert_eq!(shown["connection_parameters"]["url"], "https://example.com/?a=1&b=<2>");

    world.request("one", &[("a", "b")], Some("stopped")).expect(200);
    assert_eq!(world.attribute("slappart0", "_requested_state"), "stopped".into());
    world.say("/stoppedComputerPartition", "slappart0", &[]).expect(200);
    // Without a state it stays as it is.
    world.request("one", &[("a", "b")], None).expect(200);
    assert_eq!(world.attribute("slappart0", "_requested_state"), "stopped".into());

    world.request("one", &[("a", "b")], Some("destroyed")).expect(200);
    assert_eq!(world.attribute("slappart0", "_requested_state"), "destroyed".into());
    let software = world.attribute("slappart0", "_software_release_document");
    assert!(software.as_object().is_some(), "the node needs its software to destroy it");
    let refused = world.request("two", &[], None).expect(404);
    assert_eq!(refused.body, "there is no free partition for instance two\n");
    world.say("/stoppedComputerPartition", "slappart0", &[]).expect(200);
    assert_eq!(world.say("/destroyedComputerPartition", "slappart0", &[]).expect(200).body, "OK");
    assert_eq!(world.attribute("slappart0", "_software_release_document"), Value::None);
    // Nodes say it again of free partitions.
    world.say("/stoppedComputerPartition", "slappart0", &[]).expect(200);
    world.say("/destroyedComputerPartition", "slappart0", &[]).expect(200);
    let free = world.say("/startedComputerPartition", "slappart0", &[]).expect(404);
    assert_eq!(free.body, "partition slappart0 of computer COMP-1 is free\n");

    let seen = world.request("two", &[], None).expect(200);
    assert_eq!(attribute(&seen.body, "_connection_dict"), Value::Dict(Vec::new()));
    world.post("/supplySupply", &supply("destroyed")).expect(200);
    let computer = world.get("/getFullComputerInformation?computer_id=COMP-1").expect(200).body;
    let releases = attribute(&computer, "_software_release_list");
    let state =
        releases.as_items().and_then(|items| items.first()?.as_object()?.get("_requested_state").cloned());
    assert_eq!(state, Some("destroyed".into()));
    world.post("/destroyedSoftwareRelease", &release).expect(200);
    let computer = world.get("/getComputerInformation?computer_id=COMP-1").expect(200).body;
    assert_eq!(attribute(&computer, "_software_release_list"), Value::List(Vec::new()));
}

/// Nodes work on a partition when its timestamp is another: it moves when something must reach them, and never else.
#[test]
fn the_timestamp_moves_when_the_node_has_something_to_do() {
    let world = World::proxy(2);
    world.request("one", &[("a", "b")], None).expect(200);
    let at = || world.timestamp("slappart0");
    assert_eq!(at(), "1795442650.730000");
    let same = |what: &str, act: &dyn Fn()| {
        let before = at();
        act();
        assert_eq!(at(), before, "{what}");
    };
    let other = |what: &str, act: &dyn Fn()| {
        let before = at();
        act();
        assert_ne!(at(), before, "{what}");
    };
    same("the same request", &|| drop(world.request("one", &[("a", "b")], None).expect(200)));
    same("the same state", &|| drop(world.request("one", &[("a", "b")], Some("started")).expect(200)));
    same("the same format", &|| world.format(COMPUTER, 2));
    same("a report", &|| drop(world.say("/startedComputerPartition", "slappart0", &[]).expect(200)));
    same("its connection", &|| drop(set_connection(&world, "slappart0", "http://a/").expect(200)));
    same("another instance", &|| drop(world.request("two", &[], None).expect(200)));
    // The clock stands still all the time.
    other("other parameters", &|| drop(world.request("one", &[("a", "c")], None).expect(200)));
    other("another state", &|| drop(world.request("one", &[("a", "c")], Some("stopped")).expect(200)));
}

#[test]
fn requests_from_inside_a_tree() {
    let world = World::proxy(3);
    world.request("root", &[], None).expect(200);
    let claim = [("authorization", "X-SlapPartition computer_id=COMP-1, computer_partition_id=slappart0")];
    let child = |state: Option<&str>, headers: &[(&str, &str)], more: &[(&str, &str)]| {
        let form = request_form("child", &[], state);
        let mut form: Vec<_> = form.iter().map(|(key, value)| (*key, value.as_str())).collect();
        form.extend_from_slice(more);
        world.post_with("/requestComputerPartition", &form, headers)
    };
    let place = |seen: &Seen| attribute(&seen.body, "slap_computer_partition_id");
    assert_eq!(place(&child(None, &claim, &[]).expect(200)), "slappart1".into());
    let in_form = [("computer_id", COMPUTER), ("computer_partition_id", "slappart1")];
    assert_eq!(
        place(&child(None, &[], &in_form).expect(200)),
        "slappart1".into(),
        "from a child of the same tree"
    );
    assert_eq!(
        place(&child(None, &claim, &in_form).expect(200)),
        "slappart1".into(),
        "the header goes first"
    );
    assert_eq!(place(&child(None, &[], &[]).expect(200)), "slappart2".into(), "the user's is another");
    let parameters = world.attribute("slappart1", "_parameter_dict");
    assert_eq!(parameters.get("instance_title"), Some(&"child".into()));
    assert_eq!(parameters.get("root_instance_title"), Some(&"root".into()));
    assert_eq!(world.instance(2)["requester"], "SOFTINST-1");

    let before = world.timestamp("slappart0");
    set_connection(&world, "slappart1", "http://child/").expect(200);
    let after = world.timestamp("slappart0");
    assert_ne!(after, before, "the parent gets to know");
    set_connection(&world, "slappart1", "http://child/").expect(200);
    assert_eq!(world.timestamp("slappart0"), after);

    // A tree whose root is stopped stops, one by one as they are requested again.
    world.request("root", &[], Some("stopped")).expect(200);
    child(None, &claim, &[]).expect(200);
    assert_eq!(world.attribute("slappart1", "_requested_state"), "stopped".into());
    world.request("root", &[], Some("destroyed")).expect(200);
    let waits = world.say("/destroyedComputerPartition", "slappart0", &[]).expect(200);
    assert_eq!(waits.body, "Not destroying yet because this partition has child partitions: child");
    assert_eq!(world.attribute("slappart1", "_requested_state"), "destroyed".into());
    child(None, &claim, &[]).expect(200);
    assert_eq!(world.attribute("slappart1", "_requested_state"), "destroyed".into());
    assert_eq!(world.say("/destroyedComputerPartition", "slappart1", &[]).expect(200).body, "OK");
    assert_eq!(world.say("/destroyedComputerPartition", "slappart0", &[]).expect(200).body, "OK");
    assert_eq!(world.instance(1)["state"], "destroyed");

    let check = |claim: &str, status: u16, body: &str| {
        let seen = child(None, &[("authorization", claim)], &[]).expect(status);
        assert_eq!(seen.body, body, "{claim}");
    };
    let nothing = "No partition matching the authorization header: (COMP-1 / slappart9)\n";
    check("X-SlapPartition computer_id=COMP-1, computer_partition_id=slappart9", 400, nothing);
    let nothing = "No partition matching the authorization header: (C / p)\n";
    check("x-slappartition computer_partition_id=p,computer_id=C", 400, nothing);
    check("X-SlapPartition computer_id=COMP-1", 400, "authorization: must name computer_partition_id\n");
    check("X-SlapPartition", 400, "authorization: must name computer_id\n");
    check("X-SlapPartition computer_id=,computer_partition_id=a", 400, "authorization: must not be empty\n");
    child(None, &[("authorization", "Basic YTpi")], &[]).expect(200);
    // Nobody is in the partition: to slapos proxy that is the user.
    let place = place(&child(None, &claim, &[]).expect(200));
    assert_eq!(place, "slappart2".into());
}

/// A master keeps a request for which there is no room, where slapos proxy refuses it.
#[test]
fn a_master_answers_otherwise_than_a_proxy() {
    let world = World::empty(Mode::Serve);
    let waiting = world.request("one", &[("a", "b")], None).expect(408);
    assert_eq!(waiting.body, "the instance has no partition yet\n");
    let xml = dumps(&configuration("COMP-2", 1));
    let unknown = world.post("/loadComputerConfigurationFromXML", &[("xml", &xml)]).expect(404);
    assert_eq!(unknown.body, "there is no computer COMP-2\n");
    world.format(COMPUTER, 1);
    world.request("one", &[("a", "b")], None).expect(200);
    let path = "/getComputerPartitionCertificate?computer_id=COMP-1&computer_partition_id=slappart0";
    world.get(path).expect(404);
    let form = request_form("two", &[], None);
    let form: Vec<_> = form.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let claim = [("authorization", "X-SlapPartition computer_id=COMP-1, computer_partition_id=slappart9")];
    world.post_with("/requestComputerPartition", &form, &claim).expect(404);
    let wanted = world.say("/destroyedComputerPartition", "slappart0", &[]).expect(404);
    assert_eq!(wanted.body, "instance SOFTINST-1 is not requested to be destroyed\n");
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let world = World::proxy(2);
    let awkward = [("a", "x<y&z>\"'\r\n\té🙂"), ("_", "{\"a\": [1, null]}"), ("e", "")];
    world.request("one", &awkward, None).expect(200);
    set_connection(&world, "slappart0", "http://[::1]/?a=1&b=<2>").expect(200);
    let path = "/getFullComputerInformation?computer_id=COMP-1";
    let (before, head_before) = (world.get(path).expect(200).body, head(&world));
    let world = world.restart();
    assert_eq!(world.get(path).expect(200).body, before);
    assert_eq!(head(&world), head_before + 1, "the writer started");
    world.request("one", &awkward, None).expect(200);
    assert_eq!(head(&world), head_before + 1, "the same request changes nothing");
}

#[test]
fn what_was_erased_is_shown_as_empty() {
    let world = World::proxy(1);
    world.request("one", &[("secret", "s")], None).expect(200);
    set_connection(&world, "slappart0", "http://secret/").expect(200);
    let key = world.ctx.key_of(slapledger_core::domain::id::InstanceId(1)).unwrap();
    let full = || world.get("/getFullComputerInformation?computer_id=COMP-1").expect(200).body;
    assert!(full().contains("http://secret/"));
    world.ctx.keys().destroy(key).unwrap();
    assert!(!full().contains("http://secret/"), "what was written of it is not kept either");
    let parameters = world.attribute("slappart0", "_parameter_dict");
    assert_eq!((parameters.get("secret"), parameters.get("instance_title")), (None, Some(&"one".into())));
    assert_eq!(world.attribute("slappart0", "_connection_dict"), Value::Dict(Vec::new()));
    world.request("one", &[("secret", "t")], None).expect(409);
}

#[test]
fn a_computer_is_brought_grows_and_shrinks() {
    let world = World::empty(Mode::Proxy);
    let ids = |computer: &str| {
        let body = world.get(&format!("/getFullComputerInformation?computer_id={computer}")).expect(200).body;
        let list = attribute(&body, "_computer_partition_list");
        let ids = list.as_items().unwrap().iter().map(|item| {
            let id = item.as_object().and_then(|partition| partition.get("_partition_id")?.as_str());
            id.unwrap_or_default().to_owned()
        });
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(COMPUTER), Vec::<String>::new());
    world.format(COMPUTER, 3);
    assert_eq!(ids(COMPUTER), ["slappart0", "slappart1", "slappart2"]);
    world.request("one", &[], None).expect(200);
    world.request("two", &[], None).expect(200);
    world.format(COMPUTER, 1);
    assert_eq!(ids(COMPUTER), ["slappart0"], "whoever was in slappart1 moves");
    let gone = "/registerComputerPartition?computer_reference=COMP-1&computer_partition_reference=slappart1";
    assert_eq!(world.get(gone).expect(404).body, "computer COMP-1 has no partition slappart1\n");
    world.format("COMP-2", 1);
    assert_eq!(ids("COMP-2"), ["slappart0"]);
    world.request("three", &[], None).expect(404);
}

/// A form that is right, for every route that takes one.
fn forms() -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let release = || vec![("url", RELEASE.to_owned()), ("computer_id", COMPUTER.to_owned())];
    let place =
        || vec![("computer_id", COMPUTER.to_owned()), ("computer_partition_id", "slappart0".to_owned())];
    let with = |mut form: Vec<(&'static str, String)>, name: &'static str, value: String| {
        form.push((name, value));
        form
    };
    let dict = || dumps(&Value::dict([("a", Value::from("b"))]));
    vec![
        ("requestComputerPartition", request_form("one", &[("a", "b")], None)),
        ("supplySupply", with(release(), "state", "available".to_owned())),
        ("loadComputerConfigurationFromXML", vec![("xml", dumps(&configuration(COMPUTER, 1)))]),
        ("useComputer", vec![("computer_id", COMPUTER.to_owned()), ("use_string", usage("1", "slappart0"))]),
        ("buildingSoftwareRelease", release()),
        ("availableSoftwareRelease", release()),
        ("destroyedSoftwareRelease", release()),
        ("softwareReleaseError", with(release(), "error_log", "no".to_owned())),
        ("startedComputerPartition", place()),
        ("stoppedComputerPartition", place()),
        ("destroyedComputerPartition", place()),
        ("softwareInstanceError", with(place(), "error_log", "no".to_owned())),
        ("setComputerPartitionConnectionXml", with(place(), "connection_xml", dict())),
        (
            "updateComputerPartitionRelatedInstanceList",
            with(place(), "instance_reference_xml", dumps(&Value::List(Vec::new()))),
        ),
    ]
}

/// A usage report of one movement.
fn usage(quantity: &str, reference: &str) -> String {
    format!(
        "<journal><transaction type=\"Sale Packing List\"><start_date>2026-11-23 13:00:00</start_date>\
         <stop_date>2026-11-23 13:59:59</stop_date><reference>daily</reference><currency/><payment_mode/>\
         <arrow type=\"\"/><movement><resource>cpu</resource><reference>{reference}</reference>\
         <quantity>{quantity}</quantity><price>0</price><VAT/></movement></transaction></journal>"
    )
}

/// Posts a right form with one field left out or changed.
fn post_changed(world: &World, path: &str, field: &str, value: Option<&str>) -> Seen {
    let (_, form) = forms().into_iter().find(|(route, _)| *route == path).unwrap();
    assert!(form.iter().any(|(name, _)| *name == field) || value.is_some(), "{path} has no {field}");
    let mut form: Vec<_> = form.into_iter().filter(|(name, _)| *name != field).collect();
    if let Some(value) = value {
        let name = forms().into_iter().flat_map(|(_, form)| form).find(|(name, _)| *name == field);
        form.push((name.map_or("slave_reference", |(name, _)| name), value.to_owned()));
    }
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    world.post(&format!("/{path}"), &form)
}

/// Each field wrong once; nothing of it reaches the log.
#[test]
fn bad_input_is_refused_with_the_name_of_the_field() {
    let world = World::proxy(1);
    world.request("one", &[], None).expect(200);
    world
        .post("/supplySupply", &[("url", RELEASE), ("computer_id", COMPUTER), ("state", "available")])
        .expect(200);
    let before = head(&world);
    let check = |path: &str, field: &str, value: Option<&str>, status: u16, body: &str| {
        let seen = post_changed(&world, path, field, value);
        let told = (seen.status.as_u16(), seen.body.as_str());
        assert_eq!(told, (status, format!("{body}\n").as_str()), "{path} {field}={value:?}");
        assert_eq!(seen.header(axum::http::header::CONTENT_TYPE), "text/plain; charset=utf-8");
        assert_eq!(head(&world), before, "{path} {field}={value:?}: {:?}", events_after(&world, before));
    };
    let long = "x".repeat(5000);
    let bound = |field: &str| match field {
        "software_release" | "url" => 2048,
        "partition_reference" => 1024,
        _ => 255,
    };

    // Every field that is a name.
    let names = BTreeSet::from([
        "software_release",
        "partition_reference",
        "url",
        "computer_id",
        "computer_partition_id",
    ]);
    for (path, form) in forms() {
        for (field, _) in form.iter().filter(|(field, _)| names.contains(field)) {
            check(path, field, None, 400, &format!("{field}: is missing"));
            check(path, field, Some(""), 400, &format!("{field}: must not be empty"));
            let cannot = "text has characters that xml cannot carry";
            check(path, field, Some("a\u{1}b"), 400, &format!("{field}: {cannot}: U+0001"));
            check(path, field, Some("a\u{FFFE}b"), 400, &format!("{field}: {cannot}: U+FFFE"));
            let control = "must not contain the control character U+000A";
            check(path, field, Some("a\nb"), 400, &format!("{field}: {control}"));
            let rule = format!("{field}: must not be longer than {} bytes", bound(field));
            check(path, field, Some(&long), 400, &rule);
        }
    }
    // What does not exist.
    for (path, form) in forms() {
        if form.iter().any(|(field, _)| *field == "computer_id") {
            check(path, "computer_id", Some("COMP-404"), 404, "there is no computer COMP-404");
        }
        if form.iter().any(|(field, _)| *field == "computer_partition_id") {
            let nothing = "computer COMP-1 has no partition slappart9";
            check(path, "computer_partition_id", Some("slappart9"), 404, nothing);
        }
    }
    for path in ["buildingSoftwareRelease", "availableSoftwareRelease", "destroyedSoftwareRelease"] {
        let nothing = "software release http://a is not supplied to computer COMP-1";
        check(path, "url", Some("http://a"), 404, nothing);
    }
    check(
        "setComputerPartitionConnectionXml",
        "slave_reference",
        Some("x"),
        404,
        "there is no shared instance x",
    );
    check("softwareInstanceError", "slave_reference", Some("x"), 404, "there is no shared instance x");

    // What is missing, besides names.
    check("supplySupply", "state", None, 400, "state: is missing");
    check("loadComputerConfigurationFromXML", "xml", None, 400, "xml: is missing");
    check("useComputer", "use_string", None, 400, "use_string: is missing");
    check("softwareReleaseError", "error_log", None, 400, "error_log: is missing");
    check("softwareInstanceError", "error_log", None, 400, "error_log: is missing");
    check("setComputerPartitionConnectionXml", "connection_xml", None, 400, "connection_xml: is missing");

    // Words.
    let states = "state: must be None, started, stopped or destroyed";
    check("requestComputerPartition", "state", Some(&dumps(&Value::from("flying"))), 400, states);
    check("requestComputerPartition", "state", Some(&dumps(&Value::Int(1))), 400, states);
    check("supplySupply", "state", Some("maybe"), 400, "state: must be available or destroyed");

    // Marshalled values.
    let marshalled = [
        ("requestComputerPartition", "partition_parameter_xml"),
        ("requestComputerPartition", "filter_xml"),
        ("requestComputerPartition", "state"),
        ("requestComputerPartition", "shared_xml"),
        ("loadComputerConfigurationFromXML", "xml"),
        ("setComputerPartitionConnectionXml", "connection_xml"),
        ("updateComputerPartitionRelatedInstanceList", "instance_reference_xml"),
    ];
    for (path, field) in marshalled {
        let rows = [
            ("", "line 1: not well-formed: no root element"),
            ("a", "line 1: not well-formed: text outside the root element"),
            ("<marshal><list id='i2'>", "line 1: not well-formed: element list is not closed"),
            ("<marshal><nothing/></marshal>", "line 1: unknown tag \"nothing\""),
            (
                "<!DOCTYPE a [<!ENTITY e \"x\">]><marshal><none/></marshal>",
                "line 1: a document type declaration with entities or an external subset is refused",
            ),
            (
                "<marshal><reference id='i9'/></marshal>",
                "line 1: reference to \"i9\", which is not the id of a container before it",
            ),
            (
                "<marshal><string>\u{1}</string></marshal>",
                "line 1: character U+0001 cannot be in an xml document",
            ),
        ];
        for (value, cause) in rows {
            let message = format!("{field}: must be a marshalled value: {cause}");
            check(path, field, Some(value), 400, &message);
        }
        let deep =
            format!("<marshal>{}{}</marshal>", "<list id='i2'>".repeat(20_000), "</list>".repeat(20_000));
        let deep_rule =
            format!("{field}: must be a marshalled value: line 1: elements are nested deeper than 64");
        check(path, field, Some(&deep), 400, &deep_rule);
    }
    let list = dumps(&Value::List(Vec::new()));
    let number = dumps(&Value::Dict(vec![(Value::Int(1), Value::None)]));
    for (path, field) in [
        ("requestComputerPartition", "partition_parameter_xml"),
        ("requestComputerPartition", "filter_xml"),
        ("setComputerPartitionConnectionXml", "connection_xml"),
    ] {
        check(path, field, Some(&list), 400, &format!("{field}: parameters must be a dict, not list"));
        let rule = "the name of a parameter must be a str, not int";
        check(path, field, Some(&number), 400, &format!("{field}: {rule}"));
    }

    // Documents.
    let configuration = |value: Value| dumps(&value);
    let path = "loadComputerConfigurationFromXML";
    check(
        path,
        "xml",
        Some(&configuration(Value::List(Vec::new()))),
        400,
        "xml: field computer must be dict, not list",
    );
    check(
        path,
        "xml",
        Some(&configuration(Value::Dict(Vec::new()))),
        400,
        "xml: field partition_list is missing",
    );
    let partition =
        Value::dict([("reference", Value::from("a\nb")), ("address_list", Value::List(Vec::new()))]);
    let bad_name = Value::dict([
        ("reference", Value::from(COMPUTER)),
        ("address", Value::None),
        ("netmask", Value::None),
        ("partition_list", Value::List(vec![partition])),
    ]);
    let rule = "xml: partition_list[].reference: must not contain the control character U+000A";
    check(path, "xml", Some(&configuration(bad_name)), 400, rule);
    let path = "useComputer";
    let rows = [
        (String::new(), "line 1: not well-formed: no root element"),
        ("cpu=1".to_owned(), "line 1: not well-formed: text outside the root element"),
        ("<journal/>".to_owned(), "line 1: element \"journal\": must have transaction"),
        ("<marshal/>".to_owned(), "line 1: element \"marshal\": the root must be journal"),
        (usage("one", "slappart0"), "line 1: element \"quantity\": \"one\" is no xs:float"),
        (usage("1", "a\u{1}"), "line 1: character U+0001 cannot be in an xml document"),
        (
            usage("1", "a").replace("<currency/>", ""),
            "line 1: element \"payment_mode\": currency must come before it",
        ),
        (
            usage("1", "a").replace("<VAT/>", "<VAT/><x/>"),
            "line 1: element \"x\": must not be there in movement",
        ),
    ];
    for (document, cause) in &rows {
        check(path, "use_string", Some(document), 400, &format!("use_string: {cause}"));
    }

    // Queries.
    for (path, status, body) in [
        ("getFullComputerInformation", 400, "computer_id: is missing"),
        ("getFullComputerInformation?computer_id=", 400, "computer_id: must not be empty"),
        ("getFullComputerInformation?computer_id=%FF", 400, "computer_id: must be UTF-8"),
        ("getFullComputerInformation?computer_id=COMP-404", 404, "there is no computer COMP-404"),
        ("getComputerInformation?computer_id=COMP-404", 404, "there is no computer COMP-404"),
        (
            "registerComputerPartition?computer_reference=COMP-1",
            400,
            "computer_partition_reference: is missing",
        ),
        ("registerComputerPartition?computer_partition_reference=p", 400, "computer_reference: is missing"),
        (
            "registerComputerPartition?computer_reference=COMP-404&computer_partition_reference=p",
            404,
            "there is no computer COMP-404",
        ),
    ] {
        let seen = world.get(&format!("/{path}"));
        assert_eq!((seen.status.as_u16(), seen.body), (status, format!("{body}\n")), "{path}");
    }
    assert_eq!(head(&world), before);
}

#[test]
fn bodies_are_bounded_and_of_one_type() {
    let world = World::proxy(1);
    let before = head(&world);
    for (path, _) in forms() {
        let path = format!("/{path}");
        world.post_raw(&path, "application/json", "{}", &[]).expect(415);
        world.post_raw(&path, "multipart/form-data; boundary=x", "", &[]).expect(400);
        let limit = match path.as_str() {
            "/loadComputerConfigurationFromXML" | "/useComputer" => slapledger_kit::text::LARGE,
            // Parameters may be longer than any body may be by default.
            "/requestComputerPartition" | "/setComputerPartitionConnectionXml" => 16 * 1024 * 1024,
            _ => slapledger_kit::text::SMALL,
        };
        let form = "application/x-www-form-urlencoded";
        let seen = world.post_raw(&path, form, "x".repeat(limit + 1), &[]).expect(413);
        assert_eq!(seen.body, format!("the body must have at most {limit} bytes\n"), "{path}");
        world
            .post_raw(&path, "Application/X-WWW-Form-URLEncoded; charset=UTF-8", "x".repeat(limit), &[])
            .expect(400);
        world.get(&path).expect(405);
    }
    for path in ["/noSuchThing", "/getComputer"] {
        world.get(path).expect(404);
    }
    world.post("/getFullComputerInformation", &[]).expect(405);
    let long = "x".repeat(8 * 1024 * 1024);
    let rule = "must have at most 8388608 bytes as stored (instance XML), not ";
    let seen = world.request("one", &[("a", &long)], None).expect(413);
    assert!(seen.body.starts_with(&format!("partition_parameter_xml: {rule}")), "{seen:?}");
    assert_eq!(head(&world), before);
    world.request("one", &[], None).expect(200);
    let before = head(&world);
    let seen = world.request("one", &[("a", &long)], None).expect(413);
    assert!(seen.body.starts_with(&format!("partition_parameter_xml: {rule}")), "{seen:?}");
    let xml = dumps(&Value::Dict(vec![("a".into(), long.as_str().into())]));
    let seen = world.say("/setComputerPartitionConnectionXml", "slappart0", &[("connection_xml", &xml)]);
    assert!(seen.expect(413).body.starts_with(&format!("connection_xml: {rule}")));
    assert_eq!(head(&world), before);
    // Of an error the end is kept.
    let printed = "\u{1b}".repeat(300_000);
    world.say("/softwareInstanceError", "slappart0", &[("error_log", &printed)]).expect(200);
}

#[test]
fn usage_is_recorded_metered_or_not() {
    let world = World::proxy(1);
    world.request("one", &[], None).expect(200);
    world.set_clock("2026-11-23T16:00:00Z");
    let post = |document: &str| {
        let before = head(&world);
        let form = [("computer_id", COMPUTER), ("use_string", document)];
        let answer = world.post("/useComputer", &form).expect(200).body;
        let events = events_after(&world, before);
        // What is not metered is said below the word that clients expect.
        let (first, rest) = answer.split_once('\n').unwrap_or((&answer, ""));
        let suspended = events.iter().filter(|event| **event == "UsageSuspended").count();
        assert_eq!((first, rest.is_empty()), ("OK", suspended == 0), "{answer}");
        assert_eq!(rest.lines().count(), suspended + usize::from(suspended > 0), "{answer}");
        assert!(suspended == 0 || rest.contains("are suspended and not metered:\n"), "{answer}");
        events
    };
    let hour = |quantity: &str, reference: &str| {
        usage(quantity, reference).replace("2026-11-23 13:", "2026-11-23 15:")
    };
    assert_eq!(post(&hour("1", "slappart0")), ["UsageRecorded"]);
    assert_eq!(post(&hour("1.0", "slappart0")), Vec::<&str>::new(), "the same content");
    assert_eq!(post(&hour("2", "slapuser0")), ["UsageRecorded"], "another name, hence another movement");
    assert_eq!(post(&hour("2", "slappart0")), ["UsageCorrected"]);
    assert_eq!(post(&hour("1", "slappart0")), Vec::<&str>::new(), "seen in an earlier revision");
    assert_eq!(post(&hour("NaN", "SOFTINST-1")), ["UsageSuspended"]);
    assert_eq!(post(&hour("1", "slappart9")), ["UsageSuspended"]);
    assert_eq!(
        post(&usage("1", "slappart0").replace("daily", "before")),
        ["UsageSuspended"],
        "nobody was there"
    );
    let movement = |quantity: &str| {
        let whole = hour(quantity, "slappart0").replace("daily", "two");
        let start = whole.find("<transaction").unwrap();
        whole[start..].strip_suffix("</journal>").unwrap().to_owned()
    };
    let two = format!("<journal>{}{}</journal>", movement("1"), movement("INF"));
    assert_eq!(post(&two), ["UsageRecorded", "UsageSuspended"], "every transaction counts");
    assert_eq!(post(&two), Vec::<&str>::new());
}

/// A report in an encoding of its own reaches its parser as it was sent.
#[test]
fn usage_in_latin_1() {
    let world = World::proxy(1);
    world.request("one", &[], None).expect(200);
    let document =
        usage("1", "caf\u{e9}").chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect::<Vec<_>>();
    let declaration = b"<?xml version='1.0' encoding='iso-8859-1'?>".as_slice();
    let mut body = b"computer_id=COMP-1&use_string=".to_vec();
    body.extend(
        form_urlencoded::byte_serialize(&[declaration, &document].concat()).collect::<String>().bytes(),
    );
    let before = slapledger_core::domain::id::Sequence(head(&world));
    world.post_raw("/useComputer", "application/x-www-form-urlencoded", body, &[]).expect(200);
    let mut decoder = EventDecoder::default();
    let frames = world.ctx.ledger().store().read(before, usize::MAX).unwrap();
    let frame = frames.first().unwrap().decode().unwrap();
    let (sequence, bytes) = frame.events_after(before).next().unwrap();
    let Event::UsageSuspended(event) = decoder.decode(sequence, bytes).unwrap().event else { panic!() };
    assert_eq!(&*event.subject, "caf\u{e9}");
}

/// All of them look before any of them is there: those that sealed under a key of their own seal again.
#[test]
fn the_same_request_many_times_at_once_is_one_instance() {
    let world = World::proxy(4);
    let form = request_form("one", &[("a", "b")], None);
    let form: Vec<_> = form.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let answers = world.post_at_once("/requestComputerPartition", &form, 24);
    for seen in answers {
        let seen = seen.expect(200);
        assert_eq!(attribute(&seen.body, "slap_computer_partition_id"), "slappart0".into());
    }
    assert_eq!(world.get("/v1/instances").expect(200).json()["items"].as_array().unwrap().len(), 1);
}
