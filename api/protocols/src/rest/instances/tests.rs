//! Instances, computers and software over REST.

use axum::http::header;
use serde_json::{Value, json};
use slapledger_core::domain::event::Mode;

use crate::testing::world::{COMPUTER, RELEASE, Seen, World};

const MODULE: &str = "/software_instance_module/";

/// The body of a request, with more or other members.
fn wanted(more: &Value) -> String {
    let mut body = json!({"software_release": RELEASE, "instance_id": "My first instance", "instance_type": "production"});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.to_string()
}

fn post(world: &World, more: &Value) -> Seen {
    world.post_json(MODULE, &wanted(more), &[])
}

fn check_problem(seen: &Seen, status: u16, field: &Value, detail: &str) {
    assert_eq!(seen.status.as_u16(), status, "{seen:?}");
    assert_eq!(seen.header(header::CONTENT_TYPE), "application/problem+json");
    let problem = seen.json();
    let told = (&problem["status"], &problem["field"], problem["detail"].as_str());
    assert_eq!(told, (&json!(status), field, Some(detail)));
}

#[test]
fn an_instance_is_requested_and_read() {
    let world = World::proxy(1);
    let parameters = json!({"a": "x<y&z>\"\r\n\té", "e": "", "_": {"b": [1, null]}});
    let more =
        json!({"parameters": parameters, "software_type": "server", "sla": {"computer_guid": COMPUTER}});
    let created = post(&world, &more).expect(201);
    assert_eq!(created.header(header::LOCATION), "/software_instance_module/SOFTINST-1");
    assert_eq!(created.header(header::RETRY_AFTER), "");
    let document = created.json();
    let expected = json!({
        "id": "SOFTINST-1",
        "title": "My first instance",
        "state": "started",
        "reported_state": null,
        "instance_type": "production",
        "software_release": RELEASE,
        "software_type": "server",
        "requester": "PARTY-1",
        "owner": "PARTY-1",
        "root": "SOFTINST-1",
        "shared": false,
        "host": null,
        "computer": COMPUTER,
        "partition": "slappart0",
        "partition_lost_since": null,
        "sla": {"computer_guid": COMPUTER},
        "requested_at": "2026-11-23T14:04:10.730Z",
        "allocated_at": "2026-11-23T14:04:10.730Z",
        "reported_at": null,
        "changed_at": "2026-11-23T14:04:10.730Z",
        "ended_at": null,
        "parameters": {"a": "x<y&z>\"\r\n\té", "e": "", "_": "{\"b\":[1,null]}"},
        "connection_parameters": {},
        "error": null,
    });
    assert_eq!(document, expected);
    let read = world.get("/software_instance_module/SOFTINST-1").expect(200);
    assert_eq!((read.header(header::CONTENT_TYPE), read.json()), ("application/json", expected.clone()));
    let tag = read.header(header::ETAG).to_owned();
    assert_eq!(world.get("/v1/instances/SOFTINST-1").expect(200).json(), expected);
    let request = axum::http::Request::get("/v1/instances/SOFTINST-1").header(header::IF_NONE_MATCH, &tag);
    world.send(request.body(axum::body::Body::empty()).unwrap()).expect(304);

    let xml = world.get_as("/software_instance_module/SOFTINST-1", "application/xml").expect(200);
    assert_eq!(xml.header(header::CONTENT_TYPE), "application/xml; charset=utf-8");
    let expected = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<software_instance>\n  \
        <allocated_at>2026-11-23T14:04:10.730Z</allocated_at>\n  \
        <changed_at>2026-11-23T14:04:10.730Z</changed_at>\n  <computer>COMP-1</computer>\n  \
        <connection_parameters>\n  </connection_parameters>\n  <id>SOFTINST-1</id>\n  \
        <instance_type>production</instance_type>\n  <owner>PARTY-1</owner>\n  <parameters>\n    \
        <parameter id=\"_\">{&quot;b&quot;:[1,null]}</parameter>\n    \
        <parameter id=\"a\">x&lt;y&amp;z&gt;&quot;&#13;&#10;&#9;é</parameter>\n    \
        <parameter id=\"e\"></parameter>\n  </parameters>\n  <partition>slappart0</partition>\n  \
        <requested_at>2026-11-23T14:04:10.730Z</requested_at>\n  <requester>PARTY-1</requester>\n  \
        <root>SOFTINST-1</root>\n  <shared>false</shared>\n  <sla>\n    <parameter id=\"computer_guid\">COMP-1</parameter>\n  \
        </sla>\n  \
        <software_release>http://example.com/software.cfg?a=1&amp;b=&lt;2&gt;</software_release>\n  \
        <software_type>server</software_type>\n  <state>started</state>\n  <title>My first instance</title>\n\
        </software_instance>\n";
    assert_eq!(xml.body, expected);
    world.get_as("/software_instance_module/SOFTINST-1", "text/html").expect(406);
}

#[test]
fn what_a_request_leaves_out_stays_as_it_is() {
    let world = World::proxy(1);
    let at = |changed: &Value| (post(&world, changed).status.as_u16(), world.timestamp("slappart0"));
    assert_eq!(at(&json!({"parameters": {"a": "b"}, "software_type": "server"})).0, 201);
    let first = world.timestamp("slappart0");
    assert_eq!(at(&json!({})), (200, first.clone()));
    assert_eq!(at(&json!({"parameters": {"a": "b"}})), (200, first.clone()));
    let shown = world.instance(1);
    assert_eq!((&shown["software_type"], &shown["parameters"]), (&json!("server"), &json!({"a": "b"})));
    assert_eq!(at(&json!({"instance_type": "testing"})), (200, first.clone()), "no news for the node");
    assert_eq!(world.instance(1)["instance_type"], "testing");
    assert_eq!(at(&json!({"instance_type": null})), (200, first.clone()));
    assert_eq!(world.instance(1)["instance_type"], "testing");
    let (status, second) = at(&json!({"parameters": {}}));
    assert_eq!((status, second == first), (200, false));
    assert_eq!(post(&world, &json!({"state": "stopped"})).expect(200).json()["state"], "stopped");
    assert_eq!(post(&world, &json!({})).expect(200).json()["state"], "stopped");
    // The same instance by SLAP, which says all there is to say.
    world.request("My first instance", &[], Some("started")).expect(200);
    assert_eq!(world.instance(1)["software_type"], "default");
    post(&world, &json!({"state": "destroyed"})).expect(200);
    world.say("/destroyedComputerPartition", "slappart0", &[]).expect(200);
    let shown = world.instance(1);
    assert_eq!((&shown["state"], &shown["reported_state"]), (&json!("destroyed"), &json!("destroyed")));
    let another = post(&world, &json!({"instance_type": null})).expect(201).json();
    assert_eq!((&another["id"], &another["instance_type"]), (&json!("SOFTINST-2"), &json!("production")));
}

#[test]
fn without_room_it_is_kept_and_allocated_later() {
    for mode in [Mode::Proxy, Mode::Serve] {
        let world = World::empty(mode);
        let kept = post(&world, &json!({})).expect(202);
        assert_eq!(kept.header(header::RETRY_AFTER), "30");
        assert_eq!(kept.header(header::LOCATION), "/software_instance_module/SOFTINST-1");
        assert_eq!(kept.json()["computer"], json!(null));
        post(&world, &json!({})).expect(202);
        world.format(COMPUTER, 1);
        assert_eq!(world.instance(1)["partition"], "slappart0");
        post(&world, &json!({})).expect(200);
        post(&world, &json!({"instance_id": "two"})).expect(202);
        // Nobody waits any more for what was given up.
        post(&world, &json!({"instance_id": "two", "state": "destroyed"})).expect(200);
        assert_eq!(world.instance(2)["state"], "destroyed");
    }
}

#[test]
fn a_named_request_is_carried_out_once() {
    let world = World::proxy(2);
    let named = |more: &Value, key: &str| world.post_json(MODULE, &wanted(more), &[("idempotency-key", key)]);
    named(&json!({}), "k 1").expect(201);
    named(&json!({}), "k 1").expect(201);
    post(&world, &json!({})).expect(200);
    let other = named(&json!({"state": "stopped"}), "k 1");
    let detail = "idempotency key was used before with a different request";
    check_problem(&other, 409, &json!("idempotency-key"), detail);
    named(&json!({"state": "stopped"}), "k 2").expect(200);
    // The answer of then, whatever has become of it.
    assert_eq!(named(&json!({}), "k 1").expect(201).json()["state"], "stopped");
    for wrong in ["", &"x".repeat(256)] {
        assert_eq!(named(&json!({}), wrong).expect(400).json()["field"], "idempotency-key");
    }
    assert_eq!(world.get("/v1/instances").json()["items"].as_array().unwrap().len(), 1);
    let world = world.restart();
    world.post_json(MODULE, &wanted(&json!({})), &[("idempotency-key", "k 1")]).expect(201);
}

/// Each member wrong once; nothing of it reaches the log.
#[test]
fn bad_requests_are_refused_with_the_name_of_the_field() {
    let world = World::proxy(1);
    let before = world.ctx.ledger().head().last;
    let check = |member: &str, value: Value, field: &str, detail: &str| {
        let seen = post(&world, &json!({member: value}));
        check_problem(&seen, 400, &json!(field), detail);
        assert_eq!(world.ctx.ledger().head().last, before);
    };
    for member in ["software_release", "instance_id"] {
        check(member, json!(null), member, "is missing");
        check(member, json!(1), member, "must be a string, not a number");
    }
    check("instance_type", json!(1), "instance_type", "must be a string, not a number");
    for member in ["software_release", "instance_id", "software_type"] {
        check(member, json!(""), member, "must not be empty");
        let cannot = "text has characters that xml cannot carry: U+0007";
        check(member, json!("a\u{7}"), member, cannot);
        check(member, json!("a\n"), member, "must not contain the control character U+000A");
    }
    check(
        "software_release",
        json!("x".repeat(2049)),
        "software_release",
        "must not be longer than 2048 bytes",
    );
    check("software_type", json!("x".repeat(256)), "software_type", "must not be longer than 255 bytes");
    check("instance_type", json!("toy"), "instance_type", "must be production or testing");
    check("state", json!("flying"), "state", "must be started, stopped or destroyed");
    check("colour", json!("blue"), "colour", "is not a field here");
    for member in ["parameters", "sla"] {
        check(member, json!([]), member, "must be an object of strings");
        check(member, json!("a"), member, "must be an object of strings");
        let rule = "must be a string; JSON stands under _";
        check(member, json!({"a": 1}), &format!("{member}.a"), rule);
        let cannot = "text has characters that xml cannot carry: U+FFFE";
        check(member, json!({"a": "\u{FFFE}"}), &format!("{member}.a"), cannot);
    }
    let long = post(&world, &json!({"parameters": {"_": "x".repeat(8 * 1024 * 1024)}}));
    let rule = "must have at most 8388608 bytes as stored (instance XML), not ";
    let detail = long.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.starts_with(rule), "{detail}");
    check_problem(&long, 413, &json!("parameters"), &detail);
    // What is long all together.
    let long = post(&world, &json!({"sla": {"a": "x".repeat(70_000)}})).expect(413).json();
    let detail = long["detail"].as_str().unwrap_or_default();
    assert!(detail.ends_with(" bytes to keep all of it, 65535 at most can be kept"), "{detail}");
    let seen = post(&world, &json!({"state": "destroyed"}));
    check_problem(&seen, 404, &json!(null), "there is no instance My first instance to destroy");

    let malformed = world.post_json(MODULE, "{", &[]).expect(400).json();
    assert!(malformed["detail"].as_str().unwrap().starts_with("the body is not JSON: "), "{malformed}");
    let list = world.post_json(MODULE, "[]", &[]);
    check_problem(&list, 400, &json!(null), "the body must be a JSON object, not a list");
    let text = world.post_raw(MODULE, "text/plain", "{}", &[]);
    check_problem(&text, 415, &json!("content-type"), "the body must be application/json or application/xml");
    let long = world.post_json(MODULE, &" ".repeat(16 * 1024 * 1024 + 1), &[]);
    check_problem(&long, 413, &json!(null), "the body must have at most 16777216 bytes");
    let accept = world.post_json(MODULE, &wanted(&json!({})), &[("accept", "text/html")]);
    let detail = "this can be read as application/json or application/xml";
    check_problem(&accept, 406, &json!("accept"), detail);
    for id in ["SOFTINST-404", "SOFTINST-0", "x", "%FF"] {
        world.get(&format!("{MODULE}{id}")).expect(404);
        world.get(&format!("/v1/instances/{id}")).expect(404);
    }
    world.get("/v1/computers/COMP-404").expect(404);
    for path in ["/v1/instances", "/v1/computers", "/v1/software"] {
        assert_eq!(world.get(&format!("{path}?colour=blue")).expect(400).json()["field"], "colour");
        assert_eq!(world.get(&format!("{path}?limit=0")).expect(400).json()["field"], "limit");
        assert_eq!(world.get(&format!("{path}?cursor=")).expect(400).json()["field"], "cursor");
        assert_eq!(world.get(&format!("{path}?min_sequence=x")).expect(400).json()["field"], "min_sequence");
    }
    assert_eq!(world.ctx.ledger().head().last, before);
}

/// All items of a list, a page of so many at a time.
fn pages(world: &World, path: &str, limit: usize) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.get(&format!("{path}?limit={limit}{cursor}")).expect(200).json();
        assert_eq!(page["sequence"], world.ctx.ledger().head().last.0);
        let some = page["items"].as_array().unwrap();
        assert!(!some.is_empty() && some.len() <= limit, "{page}");
        items.extend_from_slice(some);
        let Some(next) = page["next"].as_str() else { return items };
        let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        cursor = format!("&cursor={next}");
    }
}

#[test]
fn lists_are_read_page_by_page() {
    let world = World::proxy(3);
    world.format("COMP-2", 1);
    for name in ["one", "two", "three"] {
        world.request(name, &[], None).expect(200);
    }
    let software_release = "http://example.com/?a=1&b=ü";
    let supply = [("url", software_release), ("computer_id", "COMP-2"), ("state", "available")];
    world.post("/supplySupply", &supply).expect(200);
    for limit in [1, 2, 3, 1000] {
        let names = |items: Vec<Value>, member: &str| -> Vec<String> {
            items.iter().map(|item| item[member].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(pages(&world, "/v1/instances", limit), "title"), ["one", "two", "three"]);
        assert_eq!(names(pages(&world, "/v1/computers", limit), "id"), [COMPUTER, "COMP-2"]);
        let releases = pages(&world, "/v1/software", limit);
        assert_eq!(names(releases, "software_release"), [software_release, RELEASE]);
    }
    let (instances, releases) = (pages(&world, "/v1/instances", 9), pages(&world, "/v1/software", 9));
    assert_eq!(instances[0].get("parameters"), None, "a list opens nothing");
    assert_eq!((&releases[0]["instances"], &releases[0]["computers"]), (&json!(0), &json!(["COMP-2"])));
    assert_eq!((&releases[1]["instances"], &releases[1]["computers"]), (&json!(3), &json!([])));
    let computer = world.get("/v1/computers/COMP-1").expect(200).json();
    assert_eq!(computer["partitions"], json!({"free": 0, "busy": 3, "lost": 0, "withdrawn": 0}));
    assert_eq!(
        computer["partition_list"][0],
        json!({
            "id": "slappart0",
            "state": "busy",
            "instance": "SOFTINST-1",
            "interface": "slaptap0",
            "user": "slapuser0",
            "addresses": [{"address": "10.0.0.1", "gateway": "", "interface": "slaptap0", "netmask": "255.255.255.255", "network": ""}],
            "capabilities": [],
        })
    );
    let computer = world.get("/v1/computers/COMP-2").expect(200).json();
    assert_eq!(computer["software"][0]["software_release"], software_release);
    assert_eq!(computer["software"][0]["state"], "available");
}
