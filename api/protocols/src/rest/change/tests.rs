//! Changes of computers and instances over REST: what is lost to nobody, and what is refused.

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::{Value, json};

use crate::testing::kit::{Kit, Reply};

const RELEASE: &str = "https://example.org/a/software.cfg";

fn kit() -> Kit {
    Kit::with_computer("2026-10-01T00:00:00Z")
}

fn send(kit: &Kit, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    kit.send(request.body(Body::from(body.to_string())).expect("a request"))
}

fn ok(reply: &Reply, status: u16) -> Value {
    assert_eq!(reply.status.as_u16(), status, "{reply:?}");
    reply.json()
}

fn tag(reply: &Reply) -> String {
    reply.headers[header::ETAG].to_str().expect("ASCII").to_owned()
}

fn requested(kit: &Kit, title: &str) -> Value {
    let body = json!({"software_release": RELEASE, "instance_id": title, "parameters": {"a": "b"}});
    ok(&kit.post_json("/v1/instances", &body), 201)
}

#[test]
fn a_computer_lives_its_life() {
    let kit = kit();
    let entered = kit.post_json("/v1/computers", &json!({"title": "cellar", "time_zone": "Europe/Paris"}));
    assert_eq!(entered.headers[header::LOCATION], "/v1/computers/COMP-2");
    let entered = ok(&entered, 201);
    assert_eq!((&entered["title"], &entered["time_zone"]), (&json!("cellar"), &json!("Europe/Paris")));
    ok(&kit.post_json("/v1/computers", &json!({"title": "cellar"})), 200);
    ok(&kit.post_json("/computer_module/", &json!({"reference": "node-of-mine"})), 201);
    assert_eq!(kit.post_json("/v1/computers", &json!({"reference": "node-of-mine"})).problem().0, 409);
    for wrong in [json!({}), json!({"reference": "a", "title": "b"})] {
        assert_eq!(
            kit.post_json("/v1/computers", &wrong).problem().1.as_deref(),
            Some("reference"),
            "{wrong}"
        );
    }

    let at = "/v1/computers/COMP-2";
    let put = |path: &str, body: &Value| send(&kit, Method::PUT, &format!("{at}/{path}"), &[], body);
    let configuration = json!({"address": "10.0.0.1", "netmask": "255.0.0.0", "partitions": [
        {"id": "p0", "addresses": [{"address": "10.1.0.1", "netmask": "255.0.0.0"}], "user": "u0", "capabilities": ["gpu"]},
        {"id": "p1"}]});
    let configured = ok(&put("configuration", &configuration), 200);
    assert_eq!(configured["partitions"], json!({"free": 2, "busy": 0, "lost": 0, "withdrawn": 0}));
    assert_eq!(configured["partition_list"][0]["capabilities"], json!(["gpu"]));
    let twice = json!({"partitions": [{"id": "p0"}, {"id": "p0"}]});
    assert_eq!(put("configuration", &twice).problem().0, 400);
    let wrong = json!({"partitions": [{"id": "p0", "addresses": [{"adress": ""}]}]});
    let problem = put("configuration", &wrong).problem();
    assert_eq!(problem.1.as_deref(), Some("partitions[0].addresses[0].adress"));
    ok(&put("configuration", &json!({"partitions": [{"id": "p1"}]})), 200);

    let scope = json!({"scope": "group", "group": ["PARTY-1"], "software": [RELEASE], "capacity": 3});
    assert_eq!(ok(&put("allocation-scope", &scope), 200)["allocation_scope"], scope);
    let field = |body: &Value| put("allocation-scope", body).problem().1;
    assert_eq!(field(&json!({"scope": "all"})).as_deref(), Some("scope"));
    assert_eq!(field(&json!({"scope": "open", "group": ["PARTY-1"]})).as_deref(), Some("group"));
    assert_eq!(field(&json!({"scope": "open", "capacity": -1})).as_deref(), Some("capacity"));

    let patch = |body: &Value| send(&kit, Method::PATCH, at, &[], body);
    ok(&patch(&json!({"attributes": {"region": "europe", "cpu_core": "4"}})), 200);
    let patched = ok(&patch(&json!({"title": "attic", "attributes": {"cpu_core": null}})), 200);
    assert_eq!((&patched["title"], &patched["attributes"]), (&json!("attic"), &json!({"region": "europe"})));
    assert_eq!(ok(&patch(&json!({"title": null})), 200)["title"], Value::Null);
    assert_eq!(patch(&json!({"attributes": {"colour": "red"}})).problem().1.as_deref(), Some("attributes"));

    let supply = |state: &str| {
        kit.post_json(&format!("{at}/software"), &json!({"software_release": RELEASE, "state": state}))
    };
    assert_eq!(ok(&supply("available"), 200)["software"][0]["state"], "available");
    let say = |body: &Value| kit.post_json(&format!("{at}/software-reports"), body);
    let error = json!({"software_release": RELEASE, "state": "error", "error": "no space\u{7}"});
    let told = ok(&say(&error), 200)["software"][0].clone();
    assert_eq!((&told["reported_state"], &told["error"]), (&json!("error"), &json!("no space\u{FFFD}")));
    ok(&supply("destroyed"), 200);
    let gone = ok(&say(&json!({"software_release": RELEASE, "state": "destroyed"})), 200);
    assert_eq!(gone["software"], json!([]));
    ok(&kit.post(&format!("{at}/bang"), "application/json", ""), 200);
    for path in ["/v1/computers/nobody/bang", "/v1/computers/nobody/software-reports"] {
        assert_eq!(kit.post_json(path, &json!({})).problem().0 / 100, 4, "{path}");
    }
    assert_eq!(kit.post_json("/v1/computers/nobody/bang", &json!({})).problem().0, 404);
    let installation = json!({"computer": "COMP-2", "software_release": RELEASE, "state": "available"});
    ok(&kit.post_json("/software_installation_module/", &installation), 200);
}

#[test]
fn an_instance_lives_its_life() {
    let kit = kit();
    let instance = requested(&kit, "mine");
    let at = format!("/v1/instances/{}", instance["id"].as_str().expect("a text"));
    let patched = send(&kit, Method::PATCH, &at, &[], &json!({"parameters": {"c": "d"}, "state": "stopped"}));
    let patched = ok(&patched, 200);
    assert_eq!((&patched["parameters"], &patched["state"]), (&json!({"c": "d"}), &json!("stopped")));
    let patched = ok(&send(&kit, Method::PATCH, &at, &[], &json!({"software_type": "server"})), 200);
    assert_eq!((&patched["parameters"], &patched["state"]), (&json!({"c": "d"}), &json!("stopped")));
    assert_eq!(patched["software_type"], "server");
    let connection = json!({"connection_parameters": {"url": "https://[::1]/"}});
    let told = ok(&send(&kit, Method::PUT, &format!("{at}/connection-parameters"), &[], &connection), 200);
    assert_eq!(told["connection_parameters"], connection["connection_parameters"]);
    let report = |body: &Value| kit.post_json(&format!("{at}/reports"), body);
    assert_eq!(ok(&report(&json!({"state": "started"})), 200)["reported_state"], "started");
    assert_eq!(ok(&report(&json!({"state": "error", "error": "x"})), 200)["error"], "x");
    assert_eq!(report(&json!({"state": "started", "error": "x"})).problem().1.as_deref(), Some("error"));
    ok(&kit.post_json(&format!("{at}/bang"), &json!({"message": "wake up"})), 200);
    assert_eq!(
        ok(&kit.post_json(&format!("{at}/rename"), &json!({"title": "yours"})), 200)["title"],
        "yours"
    );
    requested(&kit, "other");
    let taken = kit.post_json(&format!("{at}/rename"), &json!({"title": "other"})).problem();
    assert_eq!((taken.0, taken.1.as_deref()), (409, Some("title")));

    let listed = |query: &str| {
        let items = ok(&kit.get(&format!("/v1/instances?{query}")), 200)["items"].clone();
        items.as_array().expect("a list").len()
    };
    assert_eq!(
        (listed(""), listed("title=yours"), listed("root=SOFTINST-2"), listed("computer=no")),
        (2, 1, 1, 0)
    );
    let tree = ok(&kit.get("/v1/instance-trees/SOFTINST-1"), 200);
    assert_eq!((&tree["id"], &tree["instances"]), (&json!("SOFTINST-1"), &json!(1)));
    let page = ok(&kit.get("/instance_tree_module/?limit=1"), 200);
    assert_eq!((&page["next"], &page["items"][0]["title"]), (&json!("SOFTINST-1"), &json!("yours")));
    let page = ok(&kit.get("/instance_tree_module/?limit=1&cursor=SOFTINST-1"), 200);
    assert_eq!((&page["next"], &page["items"][0]["title"]), (&Value::Null, &json!("other")));

    assert_eq!(ok(&send(&kit, Method::DELETE, &at, &[], &json!({})), 200)["state"], "destroyed");
    ok(&report(&json!({"state": "destroyed"})), 200);
    assert_eq!(report(&json!({"state": "started"})).problem().0, 409, "it has ended");
    assert_eq!(send(&kit, Method::PATCH, &at, &[], &json!({})).problem().0, 409);
    assert_eq!(send(&kit, Method::PATCH, "/v1/instances/SOFTINST-9", &[], &json!({})).problem().0, 404);
}

#[test]
fn a_change_of_what_has_changed_is_refused() {
    let kit = kit();
    requested(&kit, "mine");
    for (at, first, second) in [
        ("/v1/instances/SOFTINST-1", json!({"state": "stopped"}), json!({"state": "started"})),
        ("/v1/computers/COMP-1", json!({"title": "a"}), json!({"title": "b"})),
    ] {
        let seen = tag(&kit.get(at));
        let patch = |headers: &[(&str, &str)], body: &Value| send(&kit, Method::PATCH, at, headers, body);
        let changed = patch(&[("if-match", &seen), ("idempotency-key", at)], &first);
        ok(&changed, 200);
        assert_ne!(tag(&changed), seen);
        assert_eq!(tag(&changed), tag(&kit.get(at)));
        let refused = patch(&[("if-match", &seen)], &second).problem();
        assert_eq!((refused.0, refused.1.as_deref()), (412, Some("if-match")));
        // Repeated under its name it is answered again, though by its own doing it is not what was seen.
        ok(&patch(&[("if-match", &seen), ("idempotency-key", at)], &first), 200);
        let other = patch(&[("if-match", &seen), ("idempotency-key", at)], &second).problem();
        assert_eq!((other.0, other.1.as_deref()), (409, Some("idempotency-key")));
        ok(&patch(&[("if-match", &format!("\"other\", {}", tag(&changed)))], &second), 200);
        ok(&patch(&[("if-match", "*")], &first), 200);
        let xml = Request::get(at).header(header::ACCEPT, "application/xml");
        let xml = kit.send(xml.body(Body::empty()).expect("a request"));
        let (of_xml, of_json) = (tag(&xml), tag(&kit.get(at)));
        assert_eq!(of_xml.replace("-xml", ""), of_json);
        assert_ne!(of_xml, of_json);
        ok(&patch(&[("if-match", &tag(&xml))], &second), 200);
    }
}

#[test]
fn all_is_said_in_xml_too() {
    let kit = kit();
    let post = |path: &str, body: &str| {
        let headers = [("content-type", "application/xml"), ("accept", "application/xml")];
        kit.post_with(path, &headers, body.to_owned())
    };
    let text = |reply: &Reply| String::from_utf8(reply.body.to_vec()).expect("UTF-8");
    let body = format!(
        "<instance><software_release>{RELEASE}</software_release><instance_id>mine</instance_id>\
         <shared>false</shared><parameters><parameter id=\"a b\">c &amp; d</parameter></parameters></instance>"
    );
    let created = post("/software_instance_module/", &body);
    assert_eq!(created.status.as_u16(), 201, "{created:?}");
    assert_eq!(created.headers[header::LOCATION], "/software_instance_module/SOFTINST-1");
    assert!(text(&created).contains("<parameter id=\"a b\">c &amp; d</parameter>"), "{created:?}");
    assert!(text(&created).contains("\n<software_instance>\n"), "{created:?}");
    let problem = post("/software_instance_module/", "<instance><shared>perhaps</shared></instance>");
    assert_eq!(problem.headers[header::CONTENT_TYPE], "application/problem+xml");
    let expected = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<problem xmlns=\"urn:ietf:rfc:7807\">\n  \
        <detail>is missing</detail>\n  <field>software_release</field>\n  <status>400</status>\n  \
        <title>bad request</title>\n  <type>urn:slapledger:problem:bad-request</type>\n</problem>\n";
    assert_eq!(text(&problem), expected);
    for path in ["/v1/nothing", "/v1/instances/SOFTINST-9"] {
        let request = Request::get(path).header(header::ACCEPT, "text/xml").body(Body::empty());
        let missing = kit.send(request.expect("a request"));
        assert_eq!(
            (missing.status.as_u16(), text(&missing).contains("<problem xmlns=")),
            (404, true),
            "{missing:?}"
        );
    }
    let refused = kit.send(Request::delete("/v1/instances").body(Body::empty()).expect("a request"));
    assert_eq!(
        (refused.problem().0, &refused.headers[header::ALLOW]),
        (405, &"GET,HEAD,POST".parse().unwrap())
    );
    let configuration = "<computer><partitions><item><id>p0</id><addresses><item><address>10.0.0.1</address></item></addresses>\
        </item></partitions></computer>";
    let request = Request::put("/v1/computers/COMP-7/configuration").header("content-type", "text/xml");
    let configured = kit.send(request.body(Body::from(configuration)).expect("a request"));
    assert_eq!(ok(&configured, 200)["partition_list"][0]["addresses"][0]["address"], "10.0.0.1");
}

#[test]
fn usage_is_reported_as_a_document() {
    let kit = kit();
    requested(&kit, "mine");
    kit.set("2026-10-03T00:00:00Z");
    let document = "<journal><transaction type=\"Sale Packing List\"><title>Resource consumptions</title>\
        <start_date>2026-10-01 00:00:00</start_date><stop_date>2026-10-01 23:59:59</stop_date>\
        <reference>2026-10-01-global</reference><currency/><payment_mode/><category/><arrow type=\"Destination\"/>\
        <movement><resource>service_module/cpu_load_percent</resource><title>CPU</title><reference>slappart0</reference>\
        <quantity>12.5</quantity><price>0.0</price><VAT/><category/></movement>\
        <movement><resource>service_module/cpu_load_percent</resource><title>CPU</title><reference>slappart9</reference>\
        <quantity>12.5</quantity><price>0.0</price><VAT/><category/></movement></transaction></journal>";
    let post = |query: &str, media_type: &str, body: &str| {
        kit.post(&format!("/usage_report_module/{query}"), media_type, body.to_owned())
    };
    let told = ok(&post("?computer=COMP-1", "application/xml", document), 200);
    assert_eq!((&told["accepted"], &told["suspended"]), (&json!(1), &json!(1)), "{told}");
    assert_eq!(told["outcomes"][0]["index"], 1);
    let again = ok(&post("?computer=COMP-1", "application/xml", document), 200);
    assert_eq!(again["duplicates"], 2, "{again}");
    let event = json!({"specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1", "id": "a",
        "subject": "slappart0", "data": {"resource": "r", "quantity": "1", "start": "2026-10-01T00:00:00Z",
        "stop": "2026-10-01T01:00:00Z"}});
    assert_eq!(ok(&post("", "application/json", &event.to_string()), 200)["accepted"], 1);
    assert_eq!(ok(&post("", "application/json", &json!([event]).to_string()), 200)["duplicates"], 1);
    let problem = |query: &str, media_type: &str, body: &str| {
        let (status, field, _) = post(query, media_type, body).problem();
        (status, field.unwrap_or_default())
    };
    assert_eq!(problem("", "application/xml", document), (400, "computer".to_owned()));
    assert_eq!(problem("?computer=nobody", "application/xml", document), (404, "computer".to_owned()));
    assert_eq!(problem("?computer=COMP-1", "application/xml", "<a/>").0, 400);
    assert_eq!(problem("", "text/plain", document), (415, "content-type".to_owned()));
}
