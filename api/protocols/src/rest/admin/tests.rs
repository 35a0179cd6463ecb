use serde_json::{Value, json};
use slapledger_core::domain::access::{Holder, Role};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::CredentialId;
use slapledger_usecases::caller::{Caller, FIRST_PARTY, Principal, Reach};

use super::*;
use crate::testing::kit::Kit;
use crate::testing::world::World;

#[test]
fn events_are_shown_in_order_and_page_by_page() {
    let kit = Kit::with_computer("2026-10-01T00:00:00Z");
    kit.instance(FIRST_PARTY, "first");
    let head = kit.ctx.ledger().head().last.0;
    let all = kit.get("/v1/events?limit=1000").json();
    let items = all["items"].as_array().expect("a list");
    let sequences: Vec<u64> = items.iter().filter_map(|item| item["sequence"].as_u64()).collect();
    assert_eq!(sequences, (1..=head).collect::<Vec<_>>());
    assert_eq!((&all["next"], all["sequence"].as_u64()), (&Value::Null, Some(head)));
    let party = items.iter().find(|item| item["type"] == "PartyRegistered").expect("a party");
    assert_eq!((&party["stream"], &party["actor"]["kind"]), (&json!("party/PARTY-1"), &json!("system")));
    // Sealed: its key and digest, nothing to read and nothing to decrypt.
    let name = party["data"]["name"].as_object().expect("a sealed name");
    assert_eq!(name.keys().map(String::as_str).collect::<Vec<_>>(), ["digest", "key"]);

    let mut walked = Vec::new();
    let mut path = "/v1/events?after=2&limit=3".to_owned();
    loop {
        let page = kit.get(&path).json();
        walked.extend(
            page["items"].as_array().expect("a list").iter().filter_map(|item| item["sequence"].as_u64()),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/events?limit=3&cursor={next}");
    }
    assert_eq!(walked, (3..=head).collect::<Vec<_>>());
    let beyond = kit.get(&format!("/v1/events?after={}", head + 5)).json();
    assert_eq!((&beyond["items"], &beyond["next"]), (&json!([]), &Value::Null));
    for (query, field) in
        [("after=x", "after"), ("limit=1001", "limit"), ("cursor=-1", "cursor"), ("from=1", "from")]
    {
        assert_eq!(kit.get(&format!("/v1/events?{query}")).problem().1.as_deref(), Some(field));
    }
}

#[test]
fn projections_come_back_the_same() {
    let kit = Kit::with_computer("2026-10-01T00:00:00Z");
    kit.instance(FIRST_PARTY, "first");
    let before = kit.get("/v1/projections").json();
    let items = before["items"].as_array().expect("a list");
    let names: Vec<_> = items.iter().filter_map(|item| item["name"].as_str()).collect();
    assert_eq!(names, ["inventory", "instances", "catalogue", "metering", "billing", "journal", "access"]);
    let head = kit.ctx.ledger().head().last.0;
    assert!(items.iter().all(|item| item["position"] == head), "{before:#}");
    for name in names {
        let rebuilt = kit.post(&format!("/v1/projections/{name}/rebuild"), "application/json", "");
        assert_eq!(rebuilt.status, StatusCode::OK, "{rebuilt:?}");
        let rebuilt = rebuilt.json();
        assert_eq!((&rebuilt["same"], &rebuilt["name"]), (&json!(true), &json!(name)));
        for compared in rebuilt["projections"].as_array().expect("a list") {
            let live = items.iter().find(|item| item["name"] == compared["name"]).expect("it was there");
            assert_eq!((&compared["before"], &compared["digest"]), (&live["digest"], &live["digest"]));
        }
    }
    assert_eq!(kit.get("/v1/projections").json(), before);
    let unknown = kit.post("/v1/projections/prices/rebuild", "application/json", "").problem();
    assert_eq!((unknown.0, &*unknown.2), (404, "there is no projection prices"));
    assert_eq!(kit.get("/v1/projections/billing/rebuild").status, StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn health_says_what_is_wrong() {
    let kit = Kit::with_computer("2026-10-01T00:00:00Z");
    let head = kit.ctx.ledger().head().last.0;
    kit.get(&format!("/v1/usage-suspense?min_sequence={head}"));
    kit.get("/v1/computers");
    kit.ctx.access().read_at_blocking(kit.ctx.ledger().head().last, |_, _| ()).expect("it is shown");
    let health = kit.get("/healthz");
    assert_eq!(health.status, StatusCode::OK, "{health:?}");
    let health = health.json();
    assert_eq!(
        (&health["status"], &health["faults"], &health["sequence"]),
        (&json!("ok"), &json!([]), &json!(head))
    );
    assert_eq!((&health["store"]["blobs"], &health["writer"]["alive"]), (&json!(0), &json!(true)));
    assert_eq!(
        health["clock"],
        json!({"now": "2026-10-01T00:00:00Z", "recorded_at": "2026-10-01T00:00:00Z", "behind": false})
    );
    let lags: Vec<_> =
        health["views"].as_array().expect("views").iter().map(|view| (&view["name"], &view["lag"])).collect();
    let expected = ["slap", "billing", "access"].map(|name| (json!(name), json!(0)));
    assert_eq!(lags, expected.iter().map(|(name, lag)| (name, lag)).collect::<Vec<_>>());
    assert_eq!(kit.get("/readyz").status, StatusCode::OK);

    kit.set("2026-09-30T00:00:00Z");
    assert_eq!(kit.get("/healthz").json()["clock"]["behind"], true);

    // No command is taken any more: told, not hidden.
    kit.ctx.ledger().shut_down().expect("it shuts down");
    let book = kit.post("/v1/price-books", "application/toml", slapledger_fixtures::STANDARD_PRICES);
    assert_eq!(
        (book.status, book.headers["retry-after"].to_str().ok()),
        (StatusCode::SERVICE_UNAVAILABLE, Some("30"))
    );
}

/// What the view of credentials does not know yet may be of one that reaches further.
#[test]
fn what_is_not_known_of_a_credential_is_not_shown() {
    let world = World::empty(Mode::Serve);
    let mut recorded = None;
    let first = |of: &Recorded| {
        recorded = Some(of.clone());
        Ok(if matches!(*of.stream, Stream::Ledger) { Seen::More } else { Seen::Enough })
    };
    log::each_after(&**world.ctx.ledger().store(), Sequence::ZERO, first).unwrap();
    let recorded = recorded.expect("an event");
    let project = world.ctx.project;
    let seen_by = |all_projects| {
        let holder = Holder::Operator("anna".into());
        let (credential, roles) = (CredentialId([7; 16]), Role::Admin.into());
        let known =
            Principal { credential, holder, roles, project, all_projects, home: project, until: None };
        world.ctx.seen_by(&Caller::Authenticated { principal: known.into(), reach: Reach::All })
    };
    let unknown = Recorded { stream: Stream::Credential(CredentialId([9; 16])).into(), ..recorded.clone() };
    assert!(is_theirs(&seen_by(false), &recorded) && is_theirs(&seen_by(true), &unknown));
    assert!(!is_theirs(&seen_by(false), &unknown));
}
