//! hateoas through the routes. What the client of slapos.core makes of it is in tests/clients.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};
use slapledger_core::domain::event::Mode;

use crate::access::{Gateway, hateoas_url};
use crate::testing::world::{COMPUTER, RELEASE, Seen, World};

fn get(world: &World, path: &str) -> Seen {
    world.send(Request::get(path).header(header::HOST, "localhost:5000").body(Body::empty()).unwrap())
}

fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("/hateoas/?{pairs}")
}

fn search(world: &World, wanted: &str, select: &str) -> Value {
    let path = query(&[("mode", "search"), ("query", wanted), ("select_list", select)]);
    get(world, &path).expect(200).json()["_embedded"]["contents"].clone()
}

fn traverse(world: &World, relative_url: &str) -> Seen {
    get(world, &query(&[("mode", "traverse"), ("relative_url", relative_url), ("view", "slaposjs_view")]))
}

fn form(world: &World, relative_url: &str) -> Value {
    traverse(world, relative_url).expect(200).json()["_embedded"]["_view"].clone()
}

const TREES: &str = "portal_type:\"Instance Tree\" AND validation_state:validated";

#[test]
fn the_root_names_both_templates() {
    let world = World::proxy(1);
    assert_eq!(get(&world, "/getHateoasUrl").expect(200).body, "http://localhost:5000/hateoas/");
    let expected = json!({"_links": {
        "raw_search": {"href": "http://localhost:5000/hateoas/?mode=search&query={query}&select_list={select_list}"},
        "traverse": {"href": "http://localhost:5000/hateoas/?mode=traverse&relative_url={relative_url}&view={view}"},
        "self": {"href": "http://localhost:5000/hateoas"},
        "me": {"href": "urn:jio:get:person_module/PARTY-1"},
    }});
    for path in ["/hateoas", "/hateoas/", "/hateoas/?mode=root"] {
        assert_eq!(get(&world, path).expect(200).json(), expected);
    }
    assert_eq!(form(&world, "person_module/PARTY-1")["my_reference"]["default"], "PARTY-1");
}

#[test]
fn an_address_is_made_of_the_host_alone() {
    let worlds = [World::empty(Mode::Serve), World::empty(Mode::Proxy)];
    let url = |mode, headers: &[(&'static str, &str)]| {
        let world = worlds.iter().find(|world| world.ctx.mode() == mode).unwrap();
        let headers = headers.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), header::HeaderValue::from_str(value).unwrap())
        });
        hateoas_url(&Gateway::open(Arc::clone(&world.ctx.engine)), &headers.collect())
    };
    let forwarded = [("host", "[::1]:5000"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "other")];
    assert_eq!(url(Mode::Serve, &forwarded).unwrap(), "http://[::1]:5000/hateoas/");
    assert_eq!(url(Mode::Proxy, &forwarded).unwrap(), "https://[::1]:5000/hateoas/");
    let odd = [("host", "a"), ("x-forwarded-proto", "javascript")];
    assert_eq!(url(Mode::Proxy, &odd).unwrap(), "http://a/hateoas/");
    for host in ["a@b", "a/b", "a b", "", "a?b", ":5000"] {
        assert_eq!(url(Mode::Proxy, &[("host", host)]).unwrap_err().field.as_deref(), Some("host"), "{host}");
    }
    assert_eq!(url(Mode::Proxy, &[]).unwrap_err().field.as_deref(), Some("host"));
}

#[test]
fn a_path_in_front_is_a_part_of_the_address() {
    let world = World::proxy(1);
    let url = |prefix: &str| {
        let headers = [("host", "a"), ("x-forwarded-prefix", prefix)].map(|(name, value)| {
            (header::HeaderName::from_static(name), header::HeaderValue::from_str(value).unwrap())
        });
        hateoas_url(&Gateway::open(Arc::clone(&world.ctx.engine)), &headers.into_iter().collect()).unwrap()
    };
    for (prefix, path) in [("/slap", "/slap"), ("/a/b/", "/a/b"), ("", ""), ("/", "")] {
        assert_eq!(url(prefix), format!("http://a{path}/hateoas/"), "{prefix}");
    }
    for wrong in ["slap", "//evil.example", "/a b", "/a?b", "/../a", "/a\"b"] {
        assert_eq!(url(wrong), "http://a/hateoas/", "{wrong}");
    }
}

/// slapos.core puts a title between quotes as it is.
#[test]
fn titles_with_quotes_and_backslashes_are_found() {
    let world = World::proxy(4);
    for title in ["back\\slash", "quote\"'", "\"x\" AND title:(\"y"] {
        world.request(title, &[], None).expect(200);
        let query = form_urlencoded::byte_serialize(format!("{TREES} AND title:=\"{title}\"").as_bytes())
            .collect::<String>();
        let path = format!("/hateoas/?mode=search&query={query}&select_list=title");
        let found = get(&world, &path).expect(200).json();
        assert_eq!(found["_embedded"]["contents"], json!([{"title": title}]), "{title}");
    }
}

#[test]
fn trees_are_found_and_shown_as_slapos_proxy_shows_them() {
    let world = World::proxy(1);
    world.request("a \"b\"", &[("k", "v")], None).expect(200);
    let found = search(&world, TREES, "title,url_string");
    assert_eq!(found, json!([{"title": "a \"b\"", "url_string": RELEASE}]));
    let titled = format!("{TREES} AND title:=\"a \\\"b\\\"\"");
    let found = search(&world, &titled, "title,relative_url");
    let at = found[0]["relative_url"].as_str().unwrap();
    assert_eq!(at, "instance_tree_module/SOFTINST-1");
    assert_eq!(search(&world, &format!("{TREES} AND title:=\"other\""), ""), json!([]));
    let seen = form(&world, at);
    let value = |name: &str| seen[format!("my_{name}")]["default"].clone();
    assert_eq!(value("slap_state"), "started");
    assert_eq!(value("url_string"), RELEASE);
    assert_eq!(value("source_reference"), "default");
    assert_eq!(value("root_slave"), 0);
    assert_eq!(value("connection_parameter_list"), Value::Null);
    assert!(value("text_content").as_str().unwrap().contains("<parameter id=\"k\">v</parameter>"));
    assert_eq!(seen.get("my_news"), None);
    world.say("/destroyedComputerPartition", "slappart0", &[]).expect(200);
    assert_eq!(search(&world, TREES, "title"), json!([]));
    traverse(&world, at).expect(404);
}

#[test]
fn a_master_shows_states_and_lists_of_connection_parameters() {
    let world = World::empty(Mode::Serve);
    world.format(COMPUTER, 1);
    world.request("first", &[], None).expect(200);
    let connection =
        crate::testing::world::dumps(&slapledger_slap_wire::marshal::Value::dict([("url", "u".into())]));
    world
        .say("/setComputerPartitionConnectionXml", "slappart0", &[("connection_xml", &connection)])
        .expect(200);
    world.say("/startedComputerPartition", "slappart0", &[]).expect(200);
    let seen = form(&world, "instance_tree_module/SOFTINST-1");
    let pairs = json!([{"connection_key": "url", "connection_value": "u"}]);
    assert_eq!(seen["my_connection_parameter_list"]["default"], pairs);
    let news = json!({"instance": [{"text": "#access Instance correctly started"}]});
    assert_eq!(seen["my_news"]["default"], news);
    let wanted = "portal_type:(\"Software Instance\", \"Slave Instance\") AND validation_state:validated \
                  AND default_specialise_title:=\"first\"";
    let found =
        search(&world, wanted, "uid,title,portal_type,getConnectionXmlAsDict,SoftwareInstance_getNewsDict");
    assert_eq!(
        found,
        json!([{
            "uid": "software_instance_module/SOFTINST-1", "title": "first", "portal_type": "Software Instance",
            "getConnectionXmlAsDict": {"url": "u"},
            "SoftwareInstance_getNewsDict": {"text": "#access Instance correctly started"},
        }])
    );
}

#[test]
fn computers_and_software_are_found() {
    let world = World::proxy(1);
    world.format("COMP-2.x", 1);
    let computers = "portal_type:\"Compute Node\" AND validation_state:validated";
    let found = search(&world, computers, "title,reference");
    assert_eq!(
        found,
        json!([{"title": COMPUTER, "reference": COMPUTER}, {"title": "COMP-2.x", "reference": "COMP-2.x"}])
    );
    let found = search(&world, &format!("{computers} AND reference:=\"COMP-2.x\""), "relative_url");
    let seen = form(&world, found[0]["relative_url"].as_str().unwrap());
    assert_eq!(seen["my_title"]["default"], "COMP-2.x");
    assert_eq!(seen["my_news"]["default"]["computer"]["text"], "#access Computer is available");
    let supply = [("url", RELEASE), ("computer_id", COMPUTER), ("state", "available")];
    world.post("/supplySupply", &supply).expect(200);
    let wanted = format!(
        "portal_type:\"Software Installation\" AND validation_state:validated \
         AND default_aggregate_reference:=\"{COMPUTER}\""
    );
    let found = search(&world, &wanted, "url_string,SoftwareInstallation_getNewsDict,relative_url");
    assert_eq!(found[0]["url_string"], RELEASE);
    let text = format!("#error no data found for {RELEASE}");
    assert_eq!(found[0]["SoftwareInstallation_getNewsDict"], json!({ "text": text }));
    let seen = form(&world, found[0]["relative_url"].as_str().unwrap());
    assert_eq!(seen["my_slap_state"]["default"], "available");
    let other = wanted.replace(COMPUTER, "COMP-2.x");
    assert_eq!(search(&world, &other, ""), json!([]));
}

#[test]
fn what_is_wrong_is_told_with_its_name() {
    let world = World::proxy(1);
    let check = |pairs: &[(&str, &str)], status: u16, field: &str| {
        let seen = get(&world, &query(pairs)).expect(status).json();
        assert_eq!(seen["field"], field, "{seen}");
    };
    check(&[("mode", "other")], 400, "mode");
    check(&[("mode", "search")], 400, "query");
    check(&[("mode", "search"), ("query", "title:a")], 400, "query");
    let searched = [("mode", "search"), ("query", TREES)];
    let with = |more: (&'static str, &'static str)| [searched[0], searched[1], more];
    check(&with(("select_list", "title,password")), 400, "select_list");
    check(&with(("limit", "0")), 400, "limit");
    check(&with(("limit", "1001")), 400, "limit");
    check(&with(("query", "x")), 400, "query");
    check(&with(("other", "x")), 400, "other");
    check(&[("mode", "traverse")], 400, "relative_url");
    check(&[("mode", "traverse"), ("relative_url", "x"), ("view", "y")], 400, "view");
    for nothing in
        ["", "x", "instance_tree_module/SOFTINST-9", "instance_tree_module/1", "compute_node_module/%"]
    {
        check(&[("mode", "traverse"), ("relative_url", nothing)], 404, "relative_url");
    }
    let path = "/hateoas/computer_module/Base_getComputerToken";
    let tokens = [0, 1].map(|_| get(&world, path).expect(200).json()["access_token"].clone());
    assert_ne!(tokens[0], tokens[1]);
    let none = get(&World::empty(Mode::Serve), path).expect(404).json();
    assert_eq!(none["detail"], "there are no certificates here: nobody needs one");
}

#[test]
fn no_more_than_the_limit_is_given() {
    let world = World::proxy(3);
    for name in ["a", "b", "c"] {
        world.request(name, &[], None).expect(200);
    }
    let path = query(&[("mode", "search"), ("query", TREES), ("limit", "2"), ("select_list", "title")]);
    let found = get(&world, &path).expect(200).json();
    assert_eq!(found["_embedded"]["contents"], json!([{"title": "a"}, {"title": "b"}]));
}
