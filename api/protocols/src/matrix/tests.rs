//! What the letters of the table cannot say.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::asking::Ask;
use super::furnished::usage;
use super::world::{LEAVING, RELEASE, Who, World};
use crate::testing::world::request_form;

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
    let suspended = world.report(Who::Node, &[usage("COMP-1", "z", "SOFTINST-5", "1")]).expect(422).json();
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
    // Also where nothing is asked for: of what a computer or an instance says, and of what it reads.
    let place = [("computer_id", "COMP-1"), ("computer_partition_id", "slappart0")];
    for ask in [
        Ask::form("/startedComputerPartition", &place),
        Ask::form("/softwareInstanceBang", &[place[0], place[1], ("message", "now")]),
        Ask::get(
            "/registerComputerPartition?computer_reference=COMP-1&computer_partition_reference=slappart0",
        ),
        Ask::get("/v1/instances/SOFTINST-1"),
    ] {
        let from = |computer, partition| ask.clone().with("authorization", claim(computer, partition));
        for (who, computer, partition, status) in [
            (Who::Node, "COMP-1", "slappart2", 200),
            (Who::Node, "COMP-2", "slappart0", 403),
            (Who::Node, "COMP-77", "zz", 403),
            (Who::Instance, "COMP-1", "slappart0", 200),
            (Who::Instance, "COMP-1", "slappart1", 403),
            (Who::Instance, "COMP-1", "slappart99", 403),
        ] {
            let seen = world.ask(who, from(computer, partition));
            assert_eq!(seen.status, status, "{} of {who:?} from {computer} {partition}", ask.path);
        }
        world.ask(Who::Node, ask.clone().with("authorization", "X-SlapPartition garbage")).expect(400);
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

/// What others use is their affair, down to its address.
#[test]
fn software_is_shown_to_its_users_and_publishers() {
    let mut world = World::new();
    let seen = |world: &World, who| -> Vec<Value> {
        let list = world.get(who, "/v1/software").expect(200).json();
        let item = |item: &Value| json!([item["software_release"], item["instances"], item["computers"]]);
        list["items"].as_array().expect("a list").iter().map(item).collect()
    };
    let private = "https://user:secret@example.org/private/software.cfg";
    let supply = json!({"software_release": private, "state": "available"});
    world.post(Who::OtherProvider, "/v1/computers/COMP-2/software", &supply).expect(200);
    assert_eq!(
        seen(&world, Who::Root),
        [
            json!([RELEASE, 6, ["COMP-1", "COMP-2"]]),
            json!([LEAVING, 0, ["COMP-1"]]),
            json!([private, 0, ["COMP-2"]])
        ]
    );
    // A shared instance is where its host is.
    assert_eq!(
        seen(&world, Who::Provider),
        [json!([RELEASE, 5, ["COMP-1"]]), json!([LEAVING, 0, ["COMP-1"]])]
    );
    assert_eq!(
        seen(&world, Who::OtherProvider),
        [json!([RELEASE, 1, ["COMP-2"]]), json!([private, 0, ["COMP-2"]])]
    );
    // Of their own software all that use it, and no computers of others.
    assert_eq!(seen(&world, Who::Publisher), [json!([RELEASE, 6, []])]);
    let nobody =
        world.token(Who::Root, None, &json!({"holder": "PARTY-7", "roles": ["customer", "provider"]}));
    world.keep(Who::Bob, nobody);
    assert_eq!(seen(&world, Who::Bob), Vec::<Value>::new());
    assert_eq!(walked(&world, Who::OtherProvider, "/v1/software", "software_release"), [RELEASE, private]);
}

/// A shared instance lives in the partition of another: what comes from there is its host.
#[test]
fn what_lives_on_another_has_no_certificate() {
    let world = World::new();
    let ask = json!({"instance_guid": "SOFTINST-4"});
    for who in [Who::Node, Who::Instance] {
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
