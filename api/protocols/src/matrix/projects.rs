//! Two projects are two worlds: their things, their lists, their events.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::asking::{Ask, Key};
use super::furnished::{prices, usage};
use super::world::{OF_ALICE, RELEASE, Who, World};

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
    // Nothing was allocated there yet: it is suspended.
    ask(&node, report.saying(lines.join("\n")), 422);
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

/// What ends a credential is an event of the project that it lets into, from wherever it was done.
#[test]
fn a_revocation_across_projects_is_seen_where_it_counts() {
    let world = World::new();
    let lost =
        world.token(Who::Root, None, &json!({"holder": "lost", "roles": ["admin"], "all_projects": true}));
    let wanted = json!({"holder": "olga", "roles": ["admin"]});
    let ask = Ask::json("POST", "/v1/tokens", &wanted).with("slapledger-project", "PROJ-2");
    let issued = world.ask_with(Some(&lost), ask).expect(201).json()["id"].clone();
    let Key::Token(text) = &lost else { panic!("a token") };
    let path = format!("/v1/credentials/{}/revoke", text.split('_').nth(1).expect("an id"));
    let told =
        world.post(Who::Root, &path, &json!({"issued_since": "2026-12-02T00:00:00Z"})).expect(200).json();
    assert_eq!(told["revoked"].as_array().map(Vec::len), Some(2), "{told:#}");
    let seen = |who| {
        let events = events(&world, who, None);
        events
            .iter()
            .any(|event| event["type"] == "CredentialRevoked" && event["data"]["credential"] == issued)
    };
    assert_eq!([Who::OtherAdmin, Who::Admin, Who::Root].map(seen), [true, false, false]);
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
    let id = |seen: super::asking::Seen| seen.json()["id"].as_str().expect("an id").to_owned();
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
