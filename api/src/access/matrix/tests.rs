//! What the letters of the table cannot say.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::world::{Ask, Key, OF_ALICE, RELEASE, Who, World, prices, usage};
use crate::slap::testing::request_form;

/// The members of this name of a whole list, a page of one item after the other.
pub(super) fn walked(world: &World, who: Who, path: &str, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let between = if path.contains('?') { '&' } else { '?' };
        let page = world.get(who, &format!("{path}{between}limit=1{cursor}")).expect(200);
        let items = page.items(name);
        assert!(items.len() <= 1, "{page:?}");
        let next = page.json()["next"].as_str().map(str::to_owned);
        assert!(next.is_none() || items.len() == 1, "an empty page that goes on tells of others: {page:?}");
        found.extend(items);
        let Some(next) = next else { return found };
        let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        cursor = format!("&cursor={next}");
    }
}

#[test]
fn lists_and_their_cursors_have_what_is_ones_own() {
    let world = World::new();
    let check = |path: &str, name: &str, who: Who, expected: &[&str]| {
        assert_eq!(walked(&world, who, path, name), expected, "{path} for {who:?}");
        assert_eq!(world.get(who, path).expect(200).items(name), expected, "{path} for {who:?}");
    };
    let instances = |numbers: &[u32]| -> Vec<String> {
        numbers.iter().map(|number| format!("SOFTINST-{number}")).collect()
    };
    let rows: [(Who, &[u32], &[u32]); 10] = [
        (Who::Root, &[1, 2, 3, 4, 5, 6, 7], &[1, 3, 4, 5, 6, 7]),
        (Who::OtherAdmin, &[], &[]),
        (Who::Alice, &[1, 2, 6], &[1, 6]),
        (Who::Bob, &[3, 4, 5], &[3, 4, 5]),
        (Who::Provider, &[1, 2, 3, 4, 6, 7], &[1, 3, 4, 6, 7]),
        (Who::OtherProvider, &[5], &[5]),
        (Who::Node, &[1, 2, 3, 4, 6, 7], &[1, 3, 4, 6, 7]),
        (Who::OtherNode, &[5], &[5]),
        (Who::Instance, &[1, 2, 4], &[1, 4]),
        (Who::OtherInstance, &[3], &[3]),
    ];
    for (who, all, roots) in rows {
        let (all, roots) = (instances(all), instances(roots));
        let [all, roots] = [&all, &roots].map(|ids| ids.iter().map(String::as_str).collect::<Vec<_>>());
        check("/v1/instances", "id", who, &all);
        check("/software_instance_module/", "id", who, &all);
        check("/v1/instance-trees", "id", who, &roots);
        check("/instance_tree_module/", "id", who, &roots);
    }
    check("/v1/instances?title=shop", "id", Who::Bob, &["SOFTINST-3"]);
    check("/v1/instances?computer=COMP-1", "id", Who::Bob, &["SOFTINST-3", "SOFTINST-4"]);
    check("/v1/instances?root=SOFTINST-1", "id", Who::Bob, &[]);

    let computers: [(Who, &[&str]); 6] = [
        (Who::Root, &["COMP-1", "COMP-2", "COMP-3"]),
        (Who::OtherAdmin, &[]),
        (Who::Provider, &["COMP-1", "COMP-3"]),
        (Who::OtherProvider, &["COMP-2"]),
        (Who::Alice, &[]),
        (Who::OtherNode, &["COMP-2"]),
    ];
    for (who, expected) in computers {
        check("/v1/computers", "id", who, expected);
    }
    for (who, party, credit, charge) in [
        (Who::Alice, "PARTY-2", ["CREDIT-1", "CREDIT-3"], ["CHARGE-1", "CHARGE-3"]),
        (Who::Bob, "PARTY-3", ["CREDIT-2", "CREDIT-4"], ["CHARGE-2", "CHARGE-4"]),
    ] {
        check("/v1/parties", "id", who, &[party]);
        check("/v1/credits", "id", who, &credit);
        check("/v1/charges", "id", who, &charge);
        let credential = world.credential(who);
        let theirs = walked(&world, who, "/v1/credentials", "holder");
        assert!(theirs.iter().all(|holder| holder == party), "{theirs:?}");
        assert!(walked(&world, who, "/v1/credentials", "id").contains(&credential));
    }
    check("/v1/credits?customer=PARTY-2", "id", Who::Bob, &[]);
    check("/v1/charges?customer=PARTY-2", "id", Who::Bob, &[]);
    check("/v1/invoices?payer=PARTY-2", "id", Who::Bob, &[]);
    for (who, party) in [(Who::Alice, "PARTY-2"), (Who::Bob, "PARTY-3")] {
        let ids = walked(&world, who, "/v1/invoices", "id");
        assert_eq!(ids.len(), 2, "an invoice and a draft: {ids:?}");
        for id in ids {
            let invoice = world.get(who, &format!("/v1/invoices/{id}")).expect(200).json();
            assert_eq!(invoice["buyer"]["party"], party);
        }
    }
    let suspended = |who| walked(&world, who, "/v1/usage-suspense", "computer");
    assert_eq!(suspended(Who::Root), ["COMP-1", "COMP-2"]);
    assert_eq!(suspended(Who::Provider), ["COMP-1"]);
    assert_eq!(suspended(Who::OtherProvider), ["COMP-2"]);
    assert_eq!(suspended(Who::OtherAdmin), Vec::<String>::new());
    let gaps = "/v1/usage-gaps?period=2026-10-01/2026-12-01";
    for (who, computer) in [(Who::Provider, "COMP-1"), (Who::OtherProvider, "COMP-2")] {
        let of: BTreeSet<String> = walked(&world, who, gaps, "computer").into_iter().collect();
        assert_eq!(of, BTreeSet::from([computer.to_owned()]));
    }
    // A tree is as large as what of it is theirs.
    let size = |who, tree: &str| {
        world.get(who, &format!("/v1/instance-trees/{tree}")).expect(200).json()["instances"].clone()
    };
    assert_eq!(
        [size(Who::Alice, "SOFTINST-1"), size(Who::OtherProvider, "SOFTINST-5")],
        [json!(2), json!(1)]
    );
    let titles = |who| {
        let told = world.post(who, "/slapos.allDocs.v0.instance_tree_list", &json!({})).expect(200).json();
        told["result_list"].clone()
    };
    assert_eq!(titles(Who::Alice), json!([{"title": "shop"}]));
    assert_eq!(titles(Who::Bob), json!([{"title": "shop"}, {"title": "far"}, {"title": "site"}]));
    assert_eq!(titles(Who::Provider), json!([]));
    let shares = |who| {
        let path = "/slapos.allDocs.v0.instance_node_instance_list";
        let told = world.post(who, path, &json!({"instance_guid": "SOFTINST-1"})).expect(200).json();
        told["result_list"].as_array().map(Vec::len)
    };
    assert_eq!([shares(Who::Node), shares(Who::Instance), shares(Who::Alice)], [Some(1), Some(1), Some(0)]);
}

/// What is another's is answered as what does not exist.
#[test]
fn what_is_others_is_not_there() {
    let world = World::new();
    let suspended = world.suspended();
    let alice = world.credential(Who::Alice);
    let nobody = "00000000000000000000000000000000";
    let get = |path: &str| Ask::get(path);
    let told = |method: &str, path: &str, body: Value| Ask::json(method, path, &body);
    let call = |name: &str, body: Value| Ask::json("POST", &format!("/slapos.{name}"), &body);
    let want = json!({"state": "stopped"});
    let supply = json!({"software_release": RELEASE, "state": "destroyed"});
    let from = json!({"software_release": RELEASE, "instance_id": "new", "requester": "$"});
    let fetch = "/registerComputerPartition?computer_reference=COMP-1&computer_partition_reference=$";
    let status = "/getComputerPartitionStatus?computer_id=$&computer_partition_id=slappart0";
    let (instance, computer) = (["SOFTINST-1", "SOFTINST-99"], ["COMP-1", "COMP-99"]);
    let invoice = ["INV-2026-000001", "INV-2026-000099"];
    let rows: Vec<(&[Who], Ask, [&str; 2])> = vec![
        (
            &[Who::Bob, Who::OtherProvider, Who::OtherNode, Who::OtherInstance, Who::OtherAdmin],
            get("/v1/instances/$"),
            instance,
        ),
        (
            &[Who::Bob, Who::OtherProvider, Who::OtherNode, Who::OtherInstance],
            get("/v1/instance-trees/$"),
            instance,
        ),
        (
            &[Who::Bob, Who::OtherProvider, Who::OtherNode, Who::OtherInstance],
            get("/v1/usage?instance=$&from=2026-10-01&to=2026-11-01"),
            instance,
        ),
        (
            &[Who::Bob, Who::Instance, Who::OtherInstance, Who::Both],
            told("PATCH", "/v1/instances/$", want),
            instance,
        ),
        (&[Who::Bob, Who::OtherInstance, Who::Both], Ask::new("DELETE", "/v1/instances/$"), instance),
        (&[Who::Bob, Who::Both], Ask::new("POST", "/v1/instances/$/erase"), ["SOFTINST-6", "SOFTINST-99"]),
        (&[Who::Bob, Who::OtherInstance, Who::Both], told("POST", "/v1/instances", from.clone()), instance),
        // One that is on oneself is no part of one's own tree.
        (&[Who::Instance], told("POST", "/v1/instances", from), ["SOFTINST-4", "SOFTINST-99"]),
        (
            &[Who::OtherNode, Who::OtherInstance],
            told("POST", "/v1/instances/$/reports", json!({"state": "stopped"})),
            instance,
        ),
        (&[Who::OtherNode], told("POST", "/v1/instances/$/rename", json!({"title": "a"})), instance),
        (&[Who::Bob, Who::OtherProvider, Who::OtherNode, Who::OtherAdmin], get("/v1/computers/$"), computer),
        (&[Who::OtherProvider], told("PATCH", "/v1/computers/$", json!({"title": "a"})), computer),
        (
            &[Who::OtherProvider],
            told("PUT", "/v1/computers/$/allocation-scope", json!({"scope": "closed"})),
            computer,
        ),
        (&[Who::OtherProvider], told("POST", "/v1/computers/$/software", supply), computer),
        (&[Who::OtherNode], told("POST", "/v1/computers/$/bang", json!({})), computer),
        (&[Who::Bob, Who::Provider, Who::Publisher, Who::OtherAdmin], get("/v1/invoices/$"), invoice),
        (&[Who::Bob], get("/v1/invoices/$/explanation"), invoice),
        (&[Who::Bob], get("/v1/invoices/$/lines/1/events"), invoice),
        (&[Who::Bob], get("/v1/invoices/$/lines/1/explanation"), invoice),
        (&[Who::Bob], get("/v1/invoices/$"), ["RUN-2-PARTY-2", "RUN-2-PARTY-99"]),
        (&[Who::Bob, Who::Provider, Who::OtherAdmin], get("/v1/parties/$"), ["PARTY-2", "PARTY-99"]),
        (&[Who::Bob], get("/v1/credits/$"), ["CREDIT-1", "CREDIT-99"]),
        (&[Who::Bob], get("/v1/charges/$"), ["CHARGE-1", "CHARGE-99"]),
        (&[Who::Bob, Who::OtherAdmin], get("/v1/credentials/$"), [&alice, nobody]),
        (&[Who::Bob, Who::OtherAdmin], Ask::new("POST", "/v1/credentials/$/revoke"), [&alice, nobody]),
        (
            &[Who::OtherProvider, Who::OtherAdmin],
            told("POST", "/v1/usage-suspense/$/dismiss", json!({"reason": "a"})),
            [&suspended, "999999"],
        ),
        (&[Who::Bob], get("/getComputerStatus?computer_id=$"), computer),
        (&[Who::Bob], get(fetch), ["slappart0", "slappart99"]),
        (
            &[Who::Bob],
            get("/registerComputerPartition?computer_reference=$&computer_partition_reference=slappart0"),
            computer,
        ),
        (&[Who::Bob, Who::OtherNode, Who::OtherInstance], get(status), computer),
        (&[Who::OtherNode], get("/getFullComputerInformation?computer_id=$"), computer),
        (&[Who::OtherProvider], Ask::form("/generateComputerCertificate", &[("computer_id", "$")]), computer),
        (&[Who::OtherProvider], Ask::form("/revokeComputerCertificate", &[("computer_id", "$")]), computer),
        (
            &[Who::OtherProvider],
            Ask::form("/supplySupply", &[("computer_id", "$"), ("url", RELEASE), ("state", "available")]),
            computer,
        ),
        (
            &[Who::Bob, Who::OtherNode, Who::OtherInstance],
            call("get.v0.software_instance", json!({"instance_guid": "$"})),
            instance,
        ),
        (
            &[Who::Bob, Who::OtherNode],
            call("get.v0.compute_partition", json!({"computer_guid": "COMP-1", "compute_partition_id": "$"})),
            ["slappart0", "slappart99"],
        ),
        (
            &[Who::OtherNode, Who::OtherInstance],
            call("get.v0.software_instance_certificate", json!({"instance_guid": "$"})),
            instance,
        ),
        (
            &[Who::OtherNode, Who::OtherInstance],
            call("put.v0.software_instance_bang", json!({"instance_guid": "$", "message": "a"})),
            instance,
        ),
        (
            &[Who::OtherNode, Who::OtherProvider],
            call("post.v0.compute_node_certificate", json!({"computer_guid": "$"})),
            computer,
        ),
        (
            &[Who::OtherNode, Who::OtherProvider],
            call("remove.v0.compute_node_certificate", json!({"computer_guid": "$"})),
            computer,
        ),
        (
            &[Who::OtherNode, Who::OtherProvider, Who::Bob],
            call("get.v0.compute_node_status", json!({"computer_guid": "$"})),
            computer,
        ),
        (
            &[Who::OtherProvider],
            call(
                "post.v0.software_installation",
                json!({"computer_guid": "$", "software_release_uri": RELEASE}),
            ),
            computer,
        ),
        (&[Who::Bob], call("get.v0.instance_tree", json!({"title": "$"})), ["gone", "unheard"]),
        (&[Who::Bob], get("/hateoas/?mode=traverse&relative_url=software_instance_module%2F$"), instance),
        (&[Who::Bob], get("/hateoas/?mode=traverse&relative_url=compute_node_module%2F$"), computer),
    ];
    let before = world.head();
    for (callers, ask, [theirs, missing]) in rows {
        for who in callers {
            let answered = |name: &str| {
                let (path, body) =
                    (ask.path.replace('$', name), ask.body.replace("%24", name).replace('$', name));
                let seen = world.ask(*who, Ask { path, body, ..ask.clone() });
                (seen.status, seen.body.replace(name, "$"))
            };
            let (is, is_not) = (answered(theirs), answered(missing));
            assert_eq!(is, is_not, "{} for {who:?}", ask.path);
            assert!([403, 404].contains(&is.0), "{} for {who:?}: {is:?}", ask.path);
        }
    }
    assert_eq!(world.head(), before, "something was done");
}

#[test]
fn a_node_reports_usage_of_itself_alone() {
    let world = World::new();
    let before = world.head();
    let both = [usage("COMP-1", "x", "slappart0", "1"), usage("COMP-2", "y", "slappart0", "1")];
    for events in [&both[..], &both[1..]] {
        let refused = world.report(Who::Node, events).expect(403);
        assert!(refused.body.contains("COMP-1, not of COMP-2"), "{refused:?}");
    }
    assert_eq!(world.head(), before, "nothing is recorded of what is refused");
    world.report(Who::Node, &both[..1]).expect(200);
    // What is on another computer is no subject here.
    let suspended = world.report(Who::Node, &[usage("COMP-1", "z", "SOFTINST-5", "1")]).expect(200).json();
    assert_eq!((&suspended["suspended"], &suspended["outcomes"][0]["field"]), (&json!(1), &json!("subject")));
}

#[test]
fn a_claim_has_to_fit_the_certificate() {
    let world = World::new();
    let claim = |computer: &str, partition: &str| {
        format!("X-SlapPartition computer_id={computer}, computer_partition_id={partition}")
    };
    let form = request_form("claimed", &[("a", "1")], None);
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let call = json!({"title": "claimed", "software_release_uri": RELEASE, "software_type": "default"});
    let asks = [
        Ask::form("/requestComputerPartition", &form),
        Ask::json("POST", "/slapos.post.v0.software_instance", &call),
    ];
    let rows = [
        (Who::Node, "COMP-1", "slappart0", true),
        (Who::Instance, "COMP-1", "slappart0", true),
        (Who::Node, "COMP-2", "slappart0", false),
        (Who::OtherNode, "COMP-1", "slappart0", false),
        (Who::OtherNode, "COMP-99", "slappart0", false),
        (Who::Instance, "COMP-1", "slappart1", false),
        (Who::Instance, "COMP-1", "slappart9", false),
        (Who::Instance, "COMP-1", "slappart99", false),
        (Who::Instance, "COMP-99", "slappart0", false),
        (Who::OtherInstance, "COMP-1", "slappart0", false),
    ];
    for ask in asks {
        for (who, computer, partition, fits) in rows {
            let before = world.head();
            let seen = world.ask(who, ask.clone().with("authorization", claim(computer, partition)));
            let place = format!("{} of {who:?} from {computer} {partition}: {seen:?}", ask.path);
            if fits {
                // On this wire 408 is that there is no room for it.
                assert!([200, 408].contains(&seen.status), "{place}");
            } else {
                assert_eq!((seen.status, world.head()), (403, before), "{place}");
            }
        }
    }
    let claimed = world.get(Who::Root, "/v1/instances?title=claimed").expect(200).json();
    assert_eq!(claimed["items"].as_array().map(Vec::len), Some(1), "{claimed:#}");
    assert_eq!(
        (&claimed["items"][0]["requester"], &claimed["items"][0]["owner"]),
        (&json!("SOFTINST-1"), &json!("PARTY-2"))
    );
}

#[test]
fn an_instance_is_shown_its_own_partition_and_no_software() {
    let world = World::new();
    let fetch =
        |who, computer: &str| world.get(who, &format!("/getFullComputerInformation?computer_id={computer}"));
    let all = fetch(Who::Node, "COMP-1").expect(200).body;
    for told in ["slappart0", "slappart1", "slappart2", "slappart9", RELEASE, "alice-child", "bob-parameter"]
    {
        assert!(all.contains(told), "{told}: {all}");
    }
    let own = fetch(Who::Instance, "COMP-1").expect(200).body;
    assert!(own.contains("slappart0") && own.contains("alice-parameter"), "{own}");
    for others in [
        "slappart1",
        "slappart2",
        "slappart9",
        "alice-child",
        "bob-parameter",
        "<string>https://example.org/b",
    ] {
        assert!(!own.contains(others), "{others}: {own}");
    }
    assert!(own.contains("_software_release_list"), "it has the member, and nothing in it: {own}");
    let bobs = fetch(Who::OtherInstance, "COMP-1").expect(200).body;
    assert!(bobs.contains("slappart2") && !bobs.contains("slappart0"), "{bobs}");
    fetch(Who::Instance, "COMP-2").expect(403);
    // What the node fetched before is the node's, and so is what it fetches afterwards.
    assert_eq!(fetch(Who::Node, "COMP-1").expect(200).body, all);
}

#[test]
fn who_is_customer_and_provider_changes_what_is_theirs_alone() {
    let world = World::new();
    let seen = world.get(Who::Both, "/v1/instances/SOFTINST-1").expect(200).json();
    assert_eq!(
        (&seen["title"], &seen["parameters"], &seen["connection_parameters"]),
        (&json!("shop"), &json!({}), &json!({}))
    );
    let failed = world.get(Who::Both, "/v1/instances/SOFTINST-2").expect(200).json();
    assert_eq!((&failed["reported_state"], &failed["error"]), (&json!("error"), &json!(null)));
    let stopped = json!({"state": "stopped"});
    world.ask(Who::Both, Ask::json("PATCH", "/v1/instances/SOFTINST-1", &stopped)).expect(404);
    world.ask(Who::Both, Ask::new("DELETE", "/v1/instances/SOFTINST-1")).expect(404);
    world.post(Who::Both, "/v1/instances/SOFTINST-1/reports", &json!({"state": "stopped"})).expect(403);
    // Of their own they may.
    let wanted = json!({"software_release": RELEASE, "instance_id": "own", "parameters": {"a": "1"}});
    let own = world.post(Who::Both, "/v1/instances", &wanted).expect(201).json();
    assert_eq!((&own["owner"], &own["parameters"]), (&json!("PARTY-4"), &json!({"a": "1"})));
    // Their credential for their computers is none for their instances.
    let path = format!("/v1/instances/{}", own["id"].as_str().expect("an id"));
    let seen = world.get(Who::Provider, &path).expect(200).json();
    assert_eq!(seen["parameters"], json!({}));
    world.ask(Who::Both, Ask::json("PATCH", &path, &stopped)).expect(200);
}

#[test]
fn who_reaches_all_projects_chooses_one_and_nobody_else_does() {
    let world = World::new();
    let from =
        |who, project: &str| world.ask(who, Ask::get("/v1/instances").with("slapledger-project", project));
    let count = |who, project: &str| from(who, project).expect(200).items("id").len();
    assert_eq!([count(Who::Root, "PROJ-1"), count(Who::Root, "PROJ-2")], [7, 0]);
    assert_eq!([count(Who::Auditor, "PROJ-1"), count(Who::Auditor, "PROJ-2")], [7, 0]);
    assert_eq!([count(Who::Admin, "PROJ-1"), count(Who::OtherAdmin, "PROJ-2")], [7, 0]);
    for (who, project) in [
        (Who::Root, "PROJ-9"),
        (Who::Admin, "PROJ-2"),
        (Who::Admin, "PROJ-9"),
        (Who::OtherAdmin, "PROJ-1"),
        (Who::Alice, "PROJ-2"),
        (Who::Node, "PROJ-2"),
        (Who::Instance, "PROJ-2"),
    ] {
        let seen = from(who, project).expect(400);
        assert_eq!(seen.json()["field"], "slapledger-project", "{who:?} {project}");
        assert_eq!(seen.json()["detail"], format!("there is no project {project}"));
    }
    assert_eq!(from(Who::Root, "other").expect(400).json()["field"], "slapledger-project");
    from(Who::Revoked, "PROJ-9").expect(401);
}

/// A world of the same names in the other project.
fn double(world: &mut World) -> (Key, Key) {
    let party = json!({"name": "carol-name"});
    world.post(Who::OtherAdmin, "/v1/parties", &party).expect(201);
    let both = json!({"holder": "PARTY-2", "roles": ["customer", "provider"]});
    let carol = world.token(Who::OtherAdmin, None, &both);
    let ask = |key: &Key, ask: Ask, status| world.ask_with(Some(key), ask).expect(status);
    ask(&carol, Ask::json("POST", "/v1/computers", &json!({"reference": "COMP-1"})), 201);
    let pair = world.ask_with(
        Some(&carol),
        Ask::json("POST", "/slapos.post.v0.compute_node_certificate", &json!({"computer_guid": "COMP-1"})),
    );
    let node = World::key_of(&pair.expect(200).json());
    let configured = json!({"address": "10.9.0.1", "partitions": [{"id": "slappart0"}]});
    ask(&node, Ask::json("PUT", "/v1/computers/COMP-1/configuration", &configured), 200);
    let supply = json!({"software_release": RELEASE, "state": "available"});
    ask(&carol, Ask::json("POST", "/v1/computers/COMP-1/software", &supply), 200);
    let wanted = json!({
        "software_release": RELEASE, "instance_id": "shop", "parameters": {"secret": "carol-parameter"},
    });
    world.set("2026-12-03T00:00:00Z");
    ask(&carol, Ask::json("POST", "/v1/instances", &wanted), 201);
    ask(&node, Ask::json("POST", "/v1/instances/SOFTINST-1/reports", &json!({"state": "started"})), 200);
    let events = [usage("COMP-1", "a", "slappart0", "99"), usage("COMP-1", "q", "slappart7", "1")];
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    let report = Ask::new("POST", "/v1/usage-events").with("content-type", "application/x-ndjson");
    ask(&node, report.saying(lines.join("\n")), 200);
    world.post(Who::OtherAdmin, "/v1/price-books", &prices("standard", "77.00")).expect(201);
    let charge =
        json!({"customer": "PARTY-2", "currency": "EUR", "amount": "3.00", "description": "by hand"});
    world.post(Who::OtherAdmin, "/v1/charges", &charge).expect(201);
    world.set("2027-01-02T00:00:00Z");
    let run = json!({"period": {"start": "2026-12-01", "stop": "2027-01-01"}, "finalise": true});
    world.post(Who::OtherAdmin, "/v1/invoice-runs", &run).expect(201);
    (carol, node)
}

#[test]
fn the_same_names_in_two_projects_are_two_things() {
    let mut world = World::new();
    // What was fetched before the other project had any of it.
    let fetch = "/getFullComputerInformation?computer_id=COMP-1";
    let before = world.get(Who::Node, fetch).expect(200).body;
    let of_alice = world.get(Who::Root, "/v1/invoices/INV-2026-000001").expect(200).json();
    let (carol, node) = double(&mut world);
    let of = |key: &Key, path: &str| world.ask_with(Some(key), Ask::get(path)).expect(200);

    let shown = of(&node, fetch).body;
    assert!(shown.contains("carol-parameter") && !shown.contains("alice-parameter"), "{shown}");
    let again = world.get(Who::Node, fetch).expect(200).body;
    assert!(again.contains("alice-parameter") && !again.contains("carol-parameter"), "{again}");
    assert_eq!(again, before);
    let partition =
        "/registerComputerPartition?computer_reference=COMP-1&computer_partition_reference=slappart0";
    assert!(of(&node, partition).body.contains("carol-parameter"));
    assert!(world.get(Who::Node, partition).expect(200).body.contains("alice-parameter"));

    assert_eq!(
        of(&carol, "/v1/instances/SOFTINST-1").json()["parameters"],
        json!({"secret": "carol-parameter"})
    );
    let hers = world.get(Who::Alice, "/v1/instances/SOFTINST-1").expect(200).json();
    assert_eq!(hers["parameters"], json!({"secret": "alice-parameter"}));
    assert_eq!(of(&carol, "/v1/computers/COMP-1").json()["address"], "10.9.0.1");
    assert_eq!(world.get(Who::Provider, "/v1/computers/COMP-1").expect(200).json()["address"], "10.0.0.1");

    let invoice = of(&carol, "/v1/invoices/INV-2027-000001").json();
    assert_eq!(
        (&invoice["buyer"]["party"], &invoice["buyer"]["name"]),
        (&json!("PARTY-2"), &json!("carol-name"))
    );
    assert_eq!(world.get(Who::Root, "/v1/invoices/INV-2026-000001").expect(200).json(), of_alice);
    world.get(Who::Root, "/v1/invoices/INV-2027-000001").expect(404);
    assert_eq!(of(&carol, "/v1/charges/CHARGE-1").json()["amount"], "3.00");
    assert_eq!(world.get(Who::Alice, "/v1/charges/CHARGE-1").expect(200).json()["amount"], "1.00");
    let standard =
        |who| world.get(who, "/v1/price-books/standard").expect(200).json()["rates"][0]["price"].clone();
    assert_eq!([standard(Who::Root), standard(Who::OtherAdmin)], [json!("10"), json!("77")]);
    let suspended = |who| world.get(who, "/v1/usage-suspense").expect(200).items("subject");
    assert_eq!(suspended(Who::OtherAdmin), ["slappart0", "slappart7"]);
    assert_eq!(suspended(Who::Admin), ["slappart0", "slappart9"]);
    for word in OF_ALICE {
        for path in ["/v1/instances/SOFTINST-1", "/v1/parties/PARTY-2", "/v1/events", "/v1/invoices"] {
            assert!(!of(&carol, "/v1/parties/PARTY-2").body.contains(word));
            assert!(!world.get(Who::OtherAdmin, path).expect(200).body.contains(word), "{path} has {word}");
        }
    }

    // What one of them loses the other one has.
    world
        .ask_with(Some(&carol), Ask::form("/revokeComputerCertificate", &[("computer_id", "COMP-1")]))
        .expect(200);
    world.ask_with(Some(&node), Ask::get(fetch)).expect(401);
    world.get(Who::Node, fetch).expect(200);
    let erase = Ask::new("DELETE", "/v1/instances/SOFTINST-1");
    world.ask_with(Some(&carol), erase).expect(200);
    assert_eq!(world.get(Who::Alice, "/v1/instances/SOFTINST-1").expect(200).json()["state"], "started");
}

/// The events that somebody is shown, in pages of a few.
fn events(world: &World, who: Who, project: Option<&str>) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let ask = Ask::get(&format!("/v1/events?limit=7{cursor}"));
        let ask = project.into_iter().fold(ask, |ask, project| ask.with("slapledger-project", project));
        let page = world.ask(who, ask).expect(200).json();
        all.extend(page["items"].as_array().expect("items").iter().cloned());
        let Some(next) = page["next"].as_str() else { return all };
        cursor = format!("&cursor={next}");
    }
}

fn sequences(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["sequence"].as_u64().expect("a sequence")).collect()
}

#[test]
fn the_log_is_read_project_by_project() {
    let mut world = World::new();
    double(&mut world);
    let of_ledger = |event: &&Value| {
        let stream = event["stream"].to_string();
        stream.contains("ledger") || stream.contains("project")
    };
    let root = events(&world, Who::Root, None);
    let admin = events(&world, Who::Admin, None);
    let other = events(&world, Who::OtherAdmin, None);
    assert!(admin.iter().chain(&other).all(|event| !of_ledger(&event)));
    assert!(admin.iter().all(|event| event["project"] == "PROJ-1"), "{admin:#?}");
    assert!(other.iter().all(|event| event["project"] == "PROJ-2"), "{other:#?}");
    assert_eq!(sequences(&events(&world, Who::Root, Some("PROJ-2"))), sequences(&other));
    assert_eq!(sequences(&events(&world, Who::Auditor, Some("PROJ-2"))), sequences(&other));
    assert_eq!(sequences(&events(&world, Who::Auditor, None)), sequences(&root));
    // Nor are credentials that reach further than the admin of one does.
    let wide = root.iter().filter(|event| event["data"]["all_projects"] == true);
    let wide: BTreeSet<_> = wide.map(|event| event["stream"].to_string()).collect();
    assert!(wide.len() >= 4, "{wide:?}");
    let of_wide = |event: &&Value| wide.contains(&event["stream"].to_string());
    assert!(!admin.iter().chain(&other).any(|event| of_wide(&event)));
    let ledger = root.iter().filter(|event| of_ledger(event) || of_wide(event));
    let ledger: Vec<Value> = ledger.cloned().collect();
    assert!(ledger.len() >= 3, "it was made, written, and has another project: {ledger:#?}");
    // Nothing is shown twice, and nothing to nobody.
    let mut all = [sequences(&ledger), sequences(&admin), sequences(&other)].concat();
    all.sort_unstable();
    assert_eq!(all, (1..=world.head()).collect::<Vec<_>>());
    let whole = world.get(Who::Admin, "/v1/events?limit=1000").expect(200).json();
    assert_eq!(sequences(whole["items"].as_array().expect("items")), sequences(&admin));
    assert_eq!((&whole["next"], &whole["sequence"]), (&json!(null), &json!(world.head())));
}

#[test]
fn every_event_names_who_caused_it_and_what_let_them_in() {
    let mut world = World::new();
    let (carol, _) = double(&mut world);
    let mut all = events(&world, Who::Root, None);
    all.extend(events(&world, Who::OtherAdmin, None));
    let credentials: BTreeSet<String> = all
        .iter()
        .filter(|event| event["type"] == "CredentialIssued")
        .map(|event| event["data"]["credential"].as_str().expect("a credential").to_owned())
        .collect();
    // The program began by itself: the ledger, the first party, and what lets the operator in.
    let by_itself = all.iter().filter(|event| event["actor"]["kind"] == "system");
    let first: Vec<String> = by_itself
        .filter(|event| !event["stream"].to_string().contains("ledger"))
        .map(|event| event["type"].as_str().expect("a type").to_owned())
        .collect();
    assert_eq!(first, ["PartyRegistered", "CredentialIssued"]);
    for event in all.iter().filter(|event| event["actor"]["kind"] != "system") {
        let credential = event["actor"]["credential"].as_str();
        assert!(credential.is_some_and(|credential| credentials.contains(credential)), "{event:#}");
    }
    let actors = |kind: &str| -> BTreeSet<String> {
        let of_kind = all.iter().filter(|event| event["type"] == kind);
        of_kind
            .map(|event| {
                let actor = &event["actor"];
                format!(
                    "{} {}",
                    actor["kind"].as_str().expect("a kind"),
                    actor["id"].as_str().expect("an id")
                )
            })
            .collect()
    };
    let is = |kind: &str, expected: &[&str]| {
        assert_eq!(actors(kind), expected.iter().map(|text| (*text).to_owned()).collect(), "{kind}");
    };
    is("UsageRecorded", &["computer COMP-1"]);
    is("UsageSuspended", &["computer COMP-1", "computer COMP-2"]);
    is("InstanceRequested", &["instance SOFTINST-1", "operator root", "person PARTY-2", "person PARTY-3"]);
    is("InstanceStateReported", &["computer COMP-1"]);
    is("ProjectOpened", &["operator root"]);
    is("SoftwareReleasePublished", &["person PARTY-6"]);
    is("InvoiceRunOpened", &["operator otto", "operator root"]);
    is("CredentialRevoked", &["operator root"]);
    drop(carol);
}

#[test]
fn the_name_of_a_command_is_its_senders_and_its_projects() {
    let world = World::new();
    let named = |who, name: &str, project: Option<&str>| {
        let wanted = json!({"software_release": RELEASE, "instance_id": name, "parameters": {}});
        let ask = Ask::json("POST", "/v1/instances", &wanted).with("idempotency-key", "the same");
        let ask = project.into_iter().fold(ask, |ask, project| ask.with("slapledger-project", project));
        world.ask(who, ask)
    };
    let id = |seen: super::world::Seen| seen.json()["id"].as_str().expect("an id").to_owned();
    let alices = id(named(Who::Alice, "new", None).expect(201));
    let before = world.head();
    assert_eq!(id(named(Who::Alice, "new", None)), alices);
    assert_eq!(world.head(), before, "it was done before");
    named(Who::Alice, "other", None).expect(409);
    let bobs = id(named(Who::Bob, "new", None).expect(201));
    let from_within = id(named(Who::Instance, "new", None).expect(201));
    let roots = id(named(Who::Root, "new", None).expect(201));
    let there = named(Who::Root, "new", Some("PROJ-2")).expect(202).json();
    let different: BTreeSet<_> = [&alices, &bobs, &from_within, &roots].into_iter().collect();
    assert_eq!(different.len(), 4);
    assert_eq!((&there["id"], &there["title"]), (&json!("SOFTINST-1"), &json!("new")));
    named(Who::Root, "another", Some("PROJ-2")).expect(409);
    named(Who::OtherAdmin, "another", None).expect(202);
}

/// A shared instance lives in the partition of another: what comes from there is its host.
#[test]
fn what_lives_on_another_has_no_certificate() {
    let world = World::new();
    let ask = json!({"instance_guid": "SOFTINST-4"});
    for who in [Who::Root, Who::Node, Who::Instance] {
        world.post(who, "/slapos.get.v0.software_instance_certificate", &ask).expect(403);
    }
}

/// Also not which computers there are.
#[test]
fn an_instance_learns_of_its_own_computer_and_of_no_other() {
    let world = World::new();
    let list = |computer: &str| {
        let path = "/slapos.allDocs.v0.compute_node_instance_list";
        world.post(Who::Instance, path, &json!({"computer_guid": computer}))
    };
    list("COMP-1").expect(200);
    let (there, not_there) = (list("COMP-2"), list("COMP-9"));
    assert_eq!(there.status, not_there.status);
    assert_eq!(there.body.replace("COMP-2", "COMP-9"), not_there.body);
    world
        .post(
            Who::OtherNode,
            "/slapos.allDocs.v0.compute_node_instance_list",
            &json!({"computer_guid": "COMP-2"}),
        )
        .expect(200);
}
