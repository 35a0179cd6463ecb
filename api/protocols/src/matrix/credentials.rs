//! Credentials: who issues what to whom, for how long, and what ends them.

use serde_json::{Value, json};

use super::asking::{Ask, Key};
use super::table;
use super::tests::walked;
use super::world::{RELEASE, Who, World};

#[test]
fn nobody_gives_more_than_they_have() {
    let world = World::new();
    let rows: [(Who, Value, u16, Option<&str>); 23] = [
        (Who::Alice, json!({}), 201, None),
        (Who::Alice, json!({"roles": ["customer"]}), 201, None),
        (Who::Alice, json!({"purpose": "get_certificate"}), 201, None),
        (Who::Alice, json!({"roles": ["customer", "provider"]}), 403, Some("roles")),
        (Who::Alice, json!({"roles": ["admin"]}), 403, Some("roles")),
        (Who::Alice, json!({"roles": ["auditor"]}), 403, Some("roles")),
        (Who::Alice, json!({"purpose": "get_certificate", "roles": ["admin"]}), 403, Some("roles")),
        (Who::Alice, json!({"purpose": "register_computer"}), 403, Some("roles")),
        (Who::Alice, json!({"holder": "PARTY-3", "roles": ["customer"]}), 403, Some("holder")),
        (Who::Alice, json!({"holder": "root", "roles": ["admin"]}), 403, Some("holder")),
        (Who::Alice, json!({"all_projects": true}), 403, Some("all_projects")),
        (Who::Provider, json!({"purpose": "register_computer"}), 201, None),
        (Who::Provider, json!({"roles": ["customer"]}), 403, Some("roles")),
        (Who::Both, json!({"roles": ["customer"]}), 201, None),
        (Who::Prying, json!({"roles": ["auditor"]}), 201, None),
        (Who::Prying, json!({"roles": ["auditor"], "all_projects": true}), 403, Some("all_projects")),
        (Who::Auditor, json!({}), 403, None),
        (Who::Admin, json!({"holder": "PARTY-2", "roles": ["customer", "provider"]}), 201, None),
        (
            Who::Admin,
            json!({"holder": "other", "roles": ["admin"], "all_projects": true}),
            403,
            Some("all_projects"),
        ),
        (Who::Admin, json!({"holder": "other", "roles": ["admin"]}), 201, None),
        (Who::OtherAdmin, json!({"holder": "PARTY-2", "roles": ["customer"]}), 404, None),
        (Who::Root, json!({"holder": "PARTY-2", "roles": ["admin"], "all_projects": true}), 400, None),
        (Who::Root, json!({"holder": "other", "roles": ["auditor"], "all_projects": true}), 201, None),
    ];
    for (who, wanted, status, field) in rows {
        let seen = world.post(who, "/v1/tokens", &wanted);
        assert_eq!(seen.status, status, "{who:?} {wanted}: {seen:?}");
        if let Some(field) = field {
            assert_eq!(seen.json()["field"], field, "{who:?} {wanted}");
        }
        if status == 201 {
            assert_eq!(seen.headers["cache-control"], "no-store");
            let issued = seen.json();
            let roles = issued["roles"].as_array().cloned().unwrap_or_default();
            assert!(!roles.is_empty());
            let project = if who == Who::OtherAdmin { "PROJ-2" } else { "PROJ-1" };
            assert_eq!((&issued["project"], roles.contains(&json!("node"))), (&json!(project), false));
        }
    }
    // What the admin of a project may not issue is not theirs to see or to take away, whatever they call themselves.
    let root = world.credential(Who::Root);
    let namesake = world.token(Who::Admin, None, &json!({"holder": "root", "roles": ["admin"]}));
    for path in [format!("/v1/credentials/{root}/revoke"), "/v1/credentials/x/revoke".to_owned()] {
        world.ask(Who::Admin, Ask::new("POST", &path)).expect(404);
        world.ask_with(Some(&namesake), Ask::new("POST", &path)).expect(404);
    }
    let listed = walked(&world, Who::Admin, "/v1/credentials", "id");
    assert!(!listed.contains(&root) && listed.contains(&world.credential(Who::Alice)), "{listed:?}");
    world.get(Who::Root, &format!("/v1/credentials/{root}")).expect(200);
}

#[test]
fn of_a_token_every_digit_counts() {
    let world = World::new();
    let Key::Token(token) = world.token(Who::Alice, None, &json!({})) else { panic!("a token") };
    let seen =
        |token: &str| world.ask_with(Some(&Key::Token(token.to_owned())), Ask::get("/v1/instances")).status;
    assert_eq!(seen(&token), 200);
    let (credential, secret) = token.rsplit_once('_').expect("two parts");
    let other = |text: &str, at: usize| {
        let digit = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
        format!("{}{digit}{}", &text[..at], &text[at + 1..])
    };
    for at in [0, 31, 63] {
        assert_eq!(seen(&format!("{credential}_{}", other(secret, at))), 401, "digit {at}");
    }
    let unknown = other(credential, credential.len() - 1);
    for wrong in [format!("{unknown}_{secret}"), format!("{token}0"), credential.to_owned(), String::new()] {
        assert_eq!(seen(&wrong), 401, "{wrong:?}");
    }
}

#[test]
fn a_token_that_registers_a_computer_is_good_for_that_alone() {
    let world = World::new();
    let key = world.token(Who::Provider, None, &json!({"purpose": "register_computer"}));
    for row in table::rows() {
        let mut ask = row.ask;
        ask.path = world.filled(&ask.path);
        let seen = world.ask_with(Some(&key), ask);
        assert_eq!(seen.status, 401, "{}: {seen:?}", row.route);
    }
    let Key::Token(token) = &key else { panic!("a token") };
    let form = |path: &str| Ask::form(path, &[("title", "kitchen")]).with("x-access-token", token.clone());
    world.ask(Who::Nobody, form("/Person_getCertificate")).expect(403);
    let given = world.ask(Who::Nobody, form("/Person_requestComputer")).expect(200).json();
    let computer = given["reference"].as_str().expect("a reference");
    let shown = world.get(Who::Provider, &format!("/v1/computers/{computer}")).expect(200).json();
    assert_eq!((&shown["owner"], &shown["title"]), (&json!("PARTY-4"), &json!("kitchen")));
    // Once.
    world.ask(Who::Nobody, form("/Person_requestComputer")).expect(403);

    let key = world.token(Who::Alice, None, &json!({"purpose": "get_certificate"}));
    let Key::Token(token) = key else { panic!("a token") };
    let form = |path: &str| Ask::form(path, &[("title", "kitchen")]).with("x-access-token", token.clone());
    world.ask(Who::Nobody, form("/Person_requestComputer")).expect(403);
    world.ask(Who::Nobody, form("/Person_getCertificate")).expect(200);
    world.ask(Who::Nobody, form("/Person_getCertificate")).expect(403);
}

#[test]
fn what_is_revoked_is_good_for_nothing_from_the_next_request_on() {
    let world = World::new();
    let revoke = |who| Ask::new("POST", &format!("/v1/credentials/{}/revoke", world.credential(who)));
    world.get(Who::Bob, "/v1/instances").expect(200);
    world.ask(Who::Bob, revoke(Who::Bob)).expect(200);
    world.get(Who::Bob, "/v1/instances").expect(401);
    world.get(Who::Bob, "/healthz").expect(401);
    let fetch = "/getFullComputerInformation?computer_id=COMP-1";
    world.get(Who::Node, fetch).expect(200);
    world
        .ask(Who::Provider, Ask::form("/revokeComputerCertificate", &[("computer_id", "COMP-1")]))
        .expect(200);
    world.get(Who::Node, fetch).expect(401);
    // A node that asks for another certificate has done with the one before when it asks by that other one: an answer
    // may be lost, and a caller that repeats the first has done with what they did not get.
    let asked = json!({"computer_guid": "COMP-2"});
    let next = "/slapos.post.v0.compute_node_certificate";
    let fetch = || Ask::get("/getFullComputerInformation?computer_id=COMP-2");
    let lost = world.certificate(Who::OtherNode, next, &asked);
    let second = world.certificate(Who::OtherNode, next, &asked);
    world.ask_with(Some(&lost), fetch()).expect(401);
    world.ask(Who::OtherNode, fetch()).expect(200);
    world.ask_with(Some(&second), fetch()).expect(200);
    let fresh =
        World::key_of(&world.ask_with(Some(&second), Ask::json("POST", next, &asked)).expect(200).json());
    world.ask(Who::OtherNode, fetch()).expect(401);
    world.ask_with(Some(&second), fetch()).expect(200);
    world.ask_with(Some(&fresh), fetch()).expect(200);
    // What is good is for its owner to revoke, all of it.
    world
        .ask(Who::OtherProvider, Ask::form("/revokeComputerCertificate", &[("computer_id", "COMP-2")]))
        .expect(200);
    world.ask_with(Some(&second), fetch()).expect(401);
    world.ask_with(Some(&fresh), fetch()).expect(401);
    let fresh = world.certificate(Who::OtherProvider, next, &asked);
    world.ask_with(Some(&fresh), fetch()).expect(200);
    // And time ends all of them.
    world.get(Who::Alice, "/v1/instances").expect(200);
    world.get(Who::Instance, "/v1/instances").expect(200);
    world.set("2028-01-02T00:00:00Z");
    world.get(Who::Instance, "/v1/instances").expect(401);
    world.ask_with(Some(&fresh), fetch()).expect(401);
    world.get(Who::Alice, "/v1/instances").expect(200);
}

#[test]
fn nobody_has_for_longer_what_they_have_for_a_time() {
    let world = World::new();
    let short = json!({"expires_at": "2026-12-10T00:00:00Z"});
    let key = world.token(Who::Alice, None, &short);
    let issue = |body: Value| world.ask_with(Some(&key), Ask::json("POST", "/v1/tokens", &body));
    let issued = issue(json!({})).expect(201).json();
    assert_eq!(issued["expires_at"], "2026-12-10T00:00:00Z");
    let sooner = json!({"expires_at": "2026-12-09T23:59:59Z"});
    assert_eq!(issue(sooner.clone()).expect(201).json()["expires_at"], sooner["expires_at"]);
    let refused = |body: Value, field: &str| {
        let problem = issue(body).expect(403).json();
        assert_eq!(problem["field"], field, "{problem}");
    };
    refused(json!({"expires_at": "2026-12-10T00:00:00.000001Z"}), "expires_at");
    refused(json!({"purpose": "get_certificate"}), "purpose");
    let provider = world.token(Who::Provider, None, &short);
    let issue_to = |body: Value| world.ask_with(Some(&provider), Ask::json("POST", "/v1/tokens", &body));
    let once = issue_to(json!({"purpose": "register_computer"})).expect(201).json();
    assert_eq!(once["expires_at"], "2026-12-03T09:00:00Z", "a day");
    let late = json!({"purpose": "register_computer", "expires_at": "2027-01-01T00:00:00Z"});
    assert_eq!(issue_to(late).expect(403).json()["field"], "expires_at");
    world.set("2026-12-09T12:00:00Z");
    let once = issue_to(json!({"purpose": "register_computer"})).expect(201).json();
    assert_eq!(once["expires_at"], "2026-12-10T00:00:00Z", "no longer than what it is issued by");
    // Who has a certificate renews it, and has what comes of it for as long.
    let once = world.token(Who::Alice, None, &json!({"purpose": "get_certificate"}));
    let Key::Token(once) = once else { panic!("a token") };
    let given = world.ask(Who::Nobody, Ask::form("/Person_getCertificate", &[]).with("x-access-token", once));
    let certificate = World::key_of(&given.expect(200).json());
    let renewal = Ask::json("POST", "/v1/tokens", &json!({"purpose": "get_certificate"}));
    world.ask_with(Some(&certificate), renewal).expect(201);
    // An admin gives others what is theirs, and themselves no more than they have.
    let admin = json!({"holder": "short", "roles": ["admin"], "expires_at": "2026-12-10T00:00:00Z"});
    let key = world.token(Who::Admin, None, &admin);
    let issue = |body: Value| world.ask_with(Some(&key), Ask::json("POST", "/v1/tokens", &body));
    let others = issue(json!({"holder": "PARTY-2", "roles": ["customer"]})).expect(201).json();
    assert_eq!(others["expires_at"], Value::Null);
    assert_eq!(issue(json!({})).expect(201).json()["expires_at"], "2026-12-10T00:00:00Z");
    issue(json!({"expires_at": "2027-01-01T00:00:00Z"})).expect(403);
    // Nor, under another name, what lets others in or reads all.
    for role in ["admin", "auditor"] {
        for holder in ["another", "PARTY-2"] {
            let wanted = json!({"holder": holder, "roles": [role]});
            assert_eq!(issue(wanted).expect(201).json()["expires_at"], "2026-12-10T00:00:00Z");
            let later =
                json!({"holder": holder, "roles": [role], "expires_at": "2026-12-10T00:00:00.000001Z"});
            assert_eq!(issue(later).expect(403).json()["field"], "expires_at", "{holder} {role}");
        }
        let lasting = json!({"holder": "PARTY-2", "roles": [role], "purpose": "get_certificate"});
        assert_eq!(issue(lasting).expect(403).json()["field"], "purpose");
    }
}

#[test]
fn revoking_a_token_also_revokes_what_it_issued() {
    let world = World::new();
    let thief = world.token(Who::Alice, None, &json!({}));
    let all = json!({"all_of_holder": true});
    let revoke = |who, of, body: &Value| {
        world.post(who, &format!("/v1/credentials/{}/revoke", world.credential(of)), body)
    };
    revoke(Who::Bob, Who::Alice, &all).expect(404);
    revoke(Who::Alice, Who::Alice, &json!({"all_of_holder": "yes"})).expect(400);
    world.ask_with(Some(&thief), Ask::get("/v1/instances")).expect(200);
    revoke(Who::Alice, Who::Alice, &all).expect(200);
    world.ask_with(Some(&thief), Ask::get("/v1/instances")).expect(401);
    world.get(Who::Alice, "/v1/instances").expect(401);
    world.get(Who::Bob, "/v1/instances").expect(200);
    // What was issued in another project is found there.
    let ops = json!({"holder": "ops", "roles": ["admin"], "all_projects": true});
    let lost = world.token(Who::Root, None, &ops);
    let elsewhere = Ask::json("POST", "/v1/tokens", &json!({"all_projects": true}));
    let elsewhere =
        world.ask_with(Some(&lost), elsewhere.with("slapledger-project", "PROJ-2")).expect(201).json();
    assert_eq!((&elsewhere["project"], &elsewhere["all_projects"]), (&json!("PROJ-2"), &json!(true)));
    let elsewhere = Key::Token(elsewhere["token"].as_str().expect("a token").to_owned());
    world.ask_with(Some(&elsewhere), Ask::get("/v1/projects")).expect(200);
    // What is of one project alone would not be, so it is not given to the same name there.
    let narrow = |project| {
        let wanted = json!({"holder": "ops", "roles": ["auditor"]});
        let ask = Ask::json("POST", "/v1/tokens", &wanted).with("slapledger-project", project);
        world.ask_with(Some(&lost), ask)
    };
    assert_eq!(narrow("PROJ-2").expect(403).json()["field"], "holder");
    narrow("PROJ-1").expect(201);
    let Key::Token(text) = &lost else { panic!("a token") };
    let id = text.split('_').nth(1).expect("an id");
    world.post(Who::Root, &format!("/v1/credentials/{id}/revoke"), &all).expect(200);
    world.ask_with(Some(&elsewhere), Ask::get("/v1/projects")).expect(401);
    // Whichever of theirs is named: what reaches all projects, and what is of one of them.
    for names_narrow in [false, true] {
        let lost = world.token(Who::Root, None, &ops);
        let issue = |wanted: Value, project| {
            let ask = Ask::json("POST", "/v1/tokens", &wanted).with("slapledger-project", project);
            let told = world.ask_with(Some(&lost), ask).expect(201).json();
            let token = Key::Token(told["token"].as_str().expect("a token").to_owned());
            (told["id"].as_str().expect("an id").to_owned(), token)
        };
        let (wide, narrow) =
            (issue(ops.clone(), "PROJ-2"), issue(json!({"holder": "ops", "roles": ["admin"]}), "PROJ-1"));
        let (id, project) = if names_narrow { (&narrow.0, "PROJ-1") } else { (&wide.0, "PROJ-2") };
        let end = Ask::json("POST", &format!("/v1/credentials/{id}/revoke"), &all);
        world.ask(Who::Root, end.with("slapledger-project", project)).expect(200);
        for key in [&lost, &wide.1, &narrow.1] {
            world.ask_with(Some(key), Ask::get("/v1/instances")).expect(401);
        }
    }
    // A namesake of who reaches all projects does not take that from them.
    let namesake = world.token(Who::Admin, None, &json!({"holder": "root", "roles": ["admin"]}));
    let Key::Token(text) = &namesake else { panic!("a token") };
    let id = text.split('_').nth(1).expect("an id");
    let path = format!("/v1/credentials/{id}/revoke");
    let problem = world.post(Who::Admin, &path, &all).expect(403).json();
    assert_eq!(problem["field"], "all_of_holder");
    world.get(Who::Root, "/v1/projects").expect(200);
    world.post(Who::Admin, &path, &json!({})).expect(200);
}

#[test]
fn what_a_lost_token_of_an_admin_gave_others_is_revoked_with_it() {
    let world = World::new();
    let issue = |key: &Key, body: Value| {
        let told = world.ask_with(Some(key), Ask::json("POST", "/v1/tokens", &body)).expect(201).json();
        let token = told["token"].as_str().expect("a token").to_owned();
        (told["id"].as_str().expect("an id").to_owned(), Key::Token(token))
    };
    let is_good = |key: &Key| world.ask_with(Some(key), Ask::get("/v1/instances")).status == 200;
    let admin = json!({"holder": "lost", "roles": ["admin"]});
    let lost = world.token(Who::Admin, None, &admin);
    let Key::Token(text) = &lost else { panic!("a token") };
    let path = format!("/v1/credentials/{}/revoke", text.split('_').nth(1).expect("an id"));
    let (_, before) = issue(&lost, json!({"holder": "PARTY-3", "roles": ["customer"]}));
    world.set("2026-12-03T00:00:00Z");
    let (id, other) = issue(&lost, json!({"holder": "other", "roles": ["admin"]}));
    let (third, of_bob) = issue(&other, json!({"holder": "PARTY-3", "roles": ["customer"]}));
    let shown = world.get(Who::Admin, &format!("/v1/credentials/{third}")).expect(200).json();
    assert_eq!(shown["issued_by"], id);
    let first = world.get(Who::Root, &format!("/v1/credentials/{}", world.credential(Who::Root))).expect(200);
    assert_eq!(first.json()["issued_by"], Value::Null);

    let wrong = world.post(Who::Admin, &path, &json!({"issued_since": "yesterday"})).expect(400).json();
    assert_eq!(wrong["field"], "issued_since");
    let since = json!({"issued_since": "2026-12-03T00:00:00Z"});
    let own = format!("/v1/credentials/{}/revoke", world.credential(Who::Alice));
    assert_eq!(world.post(Who::Alice, &own, &since).expect(403).json()["field"], "issued_since");
    assert!([&before, &other, &of_bob].into_iter().all(is_good));
    let revoked = |body: &Value| -> Vec<Value> {
        let told = world.post(Who::Admin, &path, body).expect(200).json();
        told["revoked"].as_array().expect("a list").iter().map(|one| one["holder"].clone()).collect()
    };
    let future = json!({"issued_since": "2026-12-03T00:00:00.000001Z"});
    assert_eq!(world.post(Who::Admin, &path, &future).expect(400).json()["field"], "issued_since");
    assert_eq!(revoked(&since), ["lost", "other", "PARTY-3"]);
    assert!(is_good(&before), "that was given when nobody had lost anything");
    assert!(!is_good(&lost) && !is_good(&other) && !is_good(&of_bob));
    // It is a thing to be done after the token itself was revoked, too.
    let all = json!({"issued_since": "2026-12-01T00:00:00Z", "all_of_holder": true});
    assert_eq!(revoked(&all), ["PARTY-3"]);
    assert!(!is_good(&before));
    assert_eq!(revoked(&all), Vec::<Value>::new());
    // Anyone who writes a token where its id belongs is not shown it again.
    let Key::Token(text) = &lost else { panic!("a token") };
    let seen = world.get(Who::Admin, &format!("/v1/credentials/{text}")).expect(404);
    assert!(!seen.body.contains(text.as_str()), "{seen:?}");
    world.get(Who::Bob, "/v1/instances").expect(200);
}

#[test]
fn nobody_comes_as_a_party_that_was_erased() {
    let world = World::new();
    let wanted = json!({"holder": "PARTY-7", "roles": ["customer"]});
    let key = world.token(Who::Admin, None, &wanted);
    world.ask_with(Some(&key), Ask::get("/v1/instances")).expect(200);
    world.post(Who::Admin, "/v1/parties/PARTY-7/erase", &json!({})).expect(200);
    world.ask_with(Some(&key), Ask::get("/v1/instances")).expect(401);
    world.post(Who::Admin, "/v1/tokens", &wanted).expect(404);
}

#[test]
fn a_computer_of_a_party_that_was_erased_comes_in_no_more() {
    let world = World::new();
    let erase = |party: &str| world.post(Who::Admin, &format!("/v1/parties/{party}/erase"), &json!({}));
    // Others are on it.
    let detail = erase("PARTY-4").expect(409).json()["detail"].as_str().expect("a text").to_owned();
    assert!(
        detail.ends_with("is on COMP-1, which is of PARTY-4; end what is on its computers first"),
        "{detail}"
    );
    let node = "/getFullComputerInformation?computer_id=COMP-2";
    erase("PARTY-5").expect(409);
    world.ask(Who::Admin, Ask::new("DELETE", "/v1/instances/SOFTINST-5")).expect(200);
    world
        .post(Who::OtherNode, "/v1/instances/SOFTINST-5/reports", &json!({"state": "destroyed"}))
        .expect(200);
    world.get(Who::OtherNode, node).expect(200);
    erase("PARTY-5").expect(200);
    world.get(Who::OtherNode, node).expect(401);
    world.get(Who::OtherProvider, "/v1/computers").expect(401);
    world.get(Who::Node, "/getFullComputerInformation?computer_id=COMP-1").expect(200);
}

#[test]
fn a_project_has_somebody_who_runs_it() {
    let world = World::new();
    let opened =
        world.post(Who::Root, "/v1/projects", &json!({"title": "third", "time_zone": "Europe/Paris"}));
    let id = opened.expect(201).json()["id"].as_str().expect("an id").to_owned();
    let within = |ask: Ask| world.ask(Who::Root, ask.with("slapledger-project", id.clone()));
    let first = within(Ask::get("/v1/parties/PARTY-1")).expect(200).json();
    assert_eq!((&first["name"], &first["time_zone"]), (&json!("third"), &json!("Europe/Paris")));
    let erased = within(Ask::json("POST", "/v1/parties/PARTY-1/erase", &json!({}))).expect(409).json();
    assert_eq!(erased["detail"], "PARTY-1 issues documents of series INV, which must name it");
    let next = within(Ask::json("POST", "/v1/parties", &json!({"name": "a user"}))).expect(201).json();
    assert_eq!(next["id"], "PARTY-2");
    within(Ask::json("POST", "/v1/parties/PARTY-2/erase", &json!({}))).expect(200);
    let wrong = json!({"title": "fourth", "time_zone": "Mars"});
    assert_eq!(world.post(Who::Root, "/v1/projects", &wrong).expect(400).json()["field"], "time_zone");
}

/// Nobody can tell who has read a key, so it is for the instance and its provider.
#[test]
fn the_key_of_an_instance_is_not_for_admins() {
    let world = World::new();
    let read = "/getComputerPartitionCertificate?computer_id=COMP-1&computer_partition_id=slappart0";
    for who in [Who::Root, Who::Admin, Who::Provider, Who::Alice, Who::Auditor] {
        let seen = world.get(who, read).expect(403);
        assert!(!seen.body.contains("PRIVATE"), "{who:?}");
        world
            .post(
                who,
                "/slapos.get.v0.software_instance_certificate",
                &json!({"instance_guid": "SOFTINST-1"}),
            )
            .expect(403);
    }
    world.get(Who::Node, read).expect(200);
    world.get(Who::Instance, read).expect(200);
}

#[test]
fn a_party_is_revoked_with_its_computers_if_wanted() {
    let revoked = |body: &Value| {
        let world = World::new();
        world.post(Who::Admin, "/v1/parties/PARTY-4/revoke-credentials", body).expect(200);
        world.get(Who::Provider, "/v1/computers").expect(401);
        world.get(Who::OtherNode, "/getFullComputerInformation?computer_id=COMP-2").expect(200);
        [
            world.get(Who::Node, "/getFullComputerInformation?computer_id=COMP-1").status,
            world.get(Who::Instance, "/v1/instances").status,
        ]
    };
    assert_eq!(revoked(&json!({})), [200, 200]);
    assert_eq!(revoked(&json!({"with_computers": true})), [401, 401]);
}

#[test]
fn a_computer_is_revoked_with_what_is_on_it_if_wanted() {
    let revoked = |query: &str| {
        let world = World::new();
        let path = format!("/v1/computers/COMP-1/certificate{query}");
        world.ask(Who::Provider, Ask::new("DELETE", &path)).expect(200);
        world.get(Who::Node, "/getFullComputerInformation?computer_id=COMP-1").expect(401);
        world.get(Who::Instance, "/v1/instances").status
    };
    assert_eq!(revoked(""), 200);
    assert_eq!(revoked("?with_instances=false"), 200);
    assert_eq!(revoked("?with_instances=true"), 401);
    // Nothing new is placed where nobody comes in, until somebody does.
    let world = World::new();
    let request = |name: &str| {
        let wanted = json!({
            "software_release": RELEASE, "instance_id": name, "instance_type": "production", "sla": {"computer_guid": "COMP-1"},
        });
        world.post(Who::Bob, "/v1/instances", &wanted).status
    };
    assert_eq!(request("before"), 201);
    world
        .ask(Who::Provider, Ask::new("DELETE", "/v1/computers/COMP-1/certificate?with_instances=true"))
        .expect(200);
    assert_eq!(request("after"), 202);
    let certify = json!({"computer_guid": "COMP-1"});
    let key = world.certificate(Who::Provider, "/slapos.post.v0.compute_node_certificate", &certify);
    assert_eq!(request("after"), 202);
    world.set("2026-12-02T09:00:01Z");
    world.ask_with(Some(&key), Ask::get("/getFullComputerInformation?computer_id=COMP-1")).expect(200);
    world.look_for_silence();
    assert_eq!(request("after"), 200);
    let world = World::new();
    let wrong = Ask::new("DELETE", "/v1/computers/COMP-1/certificate?with_instances=1");
    assert_eq!(world.ask(Who::Provider, wrong).expect(400).json()["field"], "with_instances");
    world.get(Who::Node, "/getFullComputerInformation?computer_id=COMP-1").expect(200);
}
