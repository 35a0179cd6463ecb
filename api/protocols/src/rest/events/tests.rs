use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use slapledger_core::domain::access::{Holder, Role};
use slapledger_core::domain::event::{Mode, Stream};
use slapledger_core::domain::id::CredentialId;
use slapledger_usecases::caller::{Caller, FIRST_PARTY, Principal, Reach};

use super::*;
use crate::testing::kit::Kit;
use crate::testing::streamed::EventBody;
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
    for (query, field) in [
        ("after=x", "after"),
        ("limit=1001", "limit"),
        ("cursor=-1", "cursor"),
        ("from=1", "from"),
        ("order=last", "order"),
        ("from=2026-10-02&to=2026-10-01", "to"),
        ("period=2026-10&to=2026-11-01", "to"),
    ] {
        assert_eq!(kit.get(&format!("/v1/events?{query}")).problem().1.as_deref(), Some(field));
    }
}

/// What the view of credentials does not know yet may be of one that reaches further.
#[test]
fn what_is_not_known_of_a_credential_is_not_shown() {
    let world = World::empty(Mode::Serve);
    let mut recorded = None;
    let first = |of: &Recorded| {
        recorded = Some(of.clone());
        Ok(if matches!(*of.stream, Stream::Ledger) { ReadOn::More } else { ReadOn::Enough })
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
    let sees = |ctx: &_, event: &Recorded| sees_stream(ctx, &event.stream, event.meta.project);
    let unknown = Recorded { stream: Stream::Credential(CredentialId([9; 16])).into(), ..recorded.clone() };
    assert!(sees(&seen_by(false), &recorded) && sees(&seen_by(true), &unknown));
    assert!(!sees(&seen_by(false), &unknown));
}

#[test]
fn events_are_filtered_by_type_stream_and_actor() {
    let kit = Kit::with_computer("2026-10-01T00:00:00Z");
    kit.instance(FIRST_PARTY, "first");
    let all = kit.get("/v1/events?limit=1000").json();
    let all = all["items"].as_array().expect("a list");
    let of = |keep: &dyn Fn(&Value) -> bool| -> Vec<u64> {
        all.iter().filter(|event| keep(event)).filter_map(|event| event["sequence"].as_u64()).collect()
    };
    let is_type = |name: &'static str| move |event: &Value| event["type"] == name;
    let stream = |name: &'static str| move |event: &Value| event["stream"] == name;
    let rows: [(&str, Vec<u64>); 6] = [
        ("type=InstanceRequested", of(&is_type("InstanceRequested"))),
        (
            "type=InstanceAllocated,PartitionOffered",
            of(&|event| is_type("InstanceAllocated")(event) || is_type("PartitionOffered")(event)),
        ),
        ("stream=computer/COMP-1", of(&stream("computer/COMP-1"))),
        (
            "stream=computer",
            of(&|event| event["stream"].as_str().is_some_and(|s| s.starts_with("computer/"))),
        ),
        ("actor=slapledger&stream=instance/SOFTINST-1", of(&stream("instance/SOFTINST-1"))),
        ("actor=PARTY-9", Vec::new()),
    ];
    for (query, expected) in rows {
        let listed = kit.get(&format!("/v1/events?{query}")).json();
        let listed: Vec<u64> = listed["items"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|e| e["sequence"].as_u64())
            .collect();
        assert_eq!(listed, expected, "{query}");
        let mut streamed = stream_of(&kit, &format!("/v1/events/stream?after=0&{query}"), None);
        kit.block_on(streamed.wait_for(": caught up"));
        let streamed: Vec<u64> = streamed.events().iter().map(|event| event.id).collect();
        assert_eq!(streamed, expected, "{query}");
    }
    for (query, field) in
        [("type=Usage", "type"), ("type=", "type"), ("stream=", "stream"), ("actor=", "actor")]
    {
        for path in ["/v1/events", "/v1/events/stream"] {
            assert_eq!(kit.get(&format!("{path}?{query}")).problem().1.as_deref(), Some(field), "{query}");
        }
    }
}

#[test]
fn the_newest_come_first_if_somebody_wants_them() {
    let kit = Kit::with_computer("2026-10-01T00:00:00Z");
    for n in 0..40 {
        kit.register(&format!("party {n}"), "UTC");
    }
    let sequences = |listed: &Value| -> Vec<u64> {
        listed["items"].as_array().expect("a list").iter().filter_map(|e| e["sequence"].as_u64()).collect()
    };
    for filter in ["", "&type=PartyRegistered", "&stream=party", "&actor=nobody", "&after=7"] {
        let mut expected = sequences(&kit.get(&format!("/v1/events?limit=1000{filter}")).json());
        expected.reverse();
        for limit in [1, 7, 1000] {
            let mut walked = Vec::new();
            let mut path = format!("/v1/events?order=newest&limit={limit}{filter}");
            loop {
                let page = kit.get(&path).json();
                let found = sequences(&page);
                assert!(found.len() <= limit, "{path}");
                walked.extend(found);
                let Some(next) = page["next"].as_str() else { break };
                path = format!("/v1/events?order=newest&limit={limit}{filter}&cursor={next}");
            }
            assert_eq!(walked, expected, "{limit} {filter}");
        }
    }
}

#[test]
fn events_are_found_by_when_they_were_recorded() {
    let kit = Kit::with_computer("2026-10-01T00:00:00Z");
    for day in 2..=4 {
        kit.set(&format!("2026-10-0{day}T12:00:00Z"));
        kit.register(&format!("of day {day}"), "UTC");
    }
    let all = kit.get("/v1/events?limit=1000").json();
    let all = all["items"].as_array().expect("a list").clone();
    let between = |from: &str, to: &str| -> Vec<u64> {
        let is_in = |event: &&Value| {
            let at = event["recorded_at"].as_str().expect("a time");
            (from.is_empty() || at >= from) && (to.is_empty() || at < to)
        };
        all.iter().filter(is_in).filter_map(|event| event["sequence"].as_u64()).collect()
    };
    for (query, from, to) in [
        ("from=2026-10-03T12:00:00Z", "2026-10-03T12:00:00Z", ""),
        ("to=2026-10-03T12:00:00Z", "", "2026-10-03T12:00:00Z"),
        ("from=2026-10-02&to=2026-10-04", "2026-10-02T00:00:00Z", "2026-10-04T00:00:00Z"),
        ("period=2026-10-03/2026-10-05", "2026-10-03T00:00:00Z", "2026-10-05T00:00:00Z"),
        ("from=2027-01-01", "2027", ""),
        ("to=2020-01-01", "", "2020"),
    ] {
        let mut expected = between(from, to);
        for order in ["oldest", "newest"] {
            let listed = kit.get(&format!("/v1/events?limit=1000&order={order}&{query}")).json();
            let listed: Vec<u64> = listed["items"]
                .as_array()
                .expect("a list")
                .iter()
                .filter_map(|event| event["sequence"].as_u64())
                .collect();
            assert_eq!(listed, expected, "{order} {query}");
            expected.reverse();
        }
    }
}

/// A stream, before anything of it was read.
fn stream_of(kit: &Kit, path: &str, last_event_id: Option<u64>) -> EventBody {
    let request = Request::get(path);
    let request = last_event_id.into_iter().fold(request, |request, id| request.header("last-event-id", id));
    EventBody::of(kit.endless(request.body(Body::empty()).expect("a request")))
}

#[test]
fn events_are_streamed_as_they_are_recorded_and_resumed_where_they_were_left() {
    let kit = Kit::with_computer("2026-10-01T00:00:00Z");
    let before = kit.ctx.ledger().head().last.0;
    let mut live = stream_of(&kit, "/v1/events/stream", None);
    kit.block_on(live.wait_for(": caught up"));
    assert!(live.events().is_empty(), "from now on: {}", live.text());
    assert!(live.text().starts_with("retry: "));
    kit.instance(FIRST_PARTY, "first");
    let last = kit.ctx.ledger().head().last.0;
    let count = usize::try_from(last - before).expect("few");
    let events = kit.block_on(live.wait_for_events(count));
    let listed = kit.get(&format!("/v1/events?after={before}")).json();
    let listed = listed["items"].as_array().expect("a list");
    assert_eq!(events.iter().map(|event| &event.data).collect::<Vec<_>>(), listed.iter().collect::<Vec<_>>());
    for (event, listed) in events.iter().zip(listed) {
        assert_eq!(
            (Some(event.id), Some(&*event.kind)),
            (listed["sequence"].as_u64(), listed["type"].as_str())
        );
    }
    // Where it was left, which goes before what the address says.
    let mut resumed = stream_of(&kit, "/v1/events/stream?after=0", Some(last - 1));
    kit.block_on(resumed.wait_for(": caught up"));
    assert_eq!(resumed.events(), events[count - 1..]);
    assert!(resumed.text().contains(&format!(": caught up\nid: {last}\n")));
    let beyond = format!("/v1/events/stream?after={}", last + 1);
    assert_eq!(kit.get(&beyond).problem().1.as_deref(), Some("after"));
}

/// What is no longer in memory is read from the log, in pieces, without a gap and in order.
#[test]
fn who_falls_behind_catches_up_from_the_log() {
    const EVENTS: u64 = 40_000;
    let kit = Kit::with_computer("2026-10-01T00:00:00Z");
    kit.instance(FIRST_PARTY, "first");
    kit.set("2026-11-15T00:00:00Z");
    let before = kit.ctx.ledger().head().last.0;
    let mut slow = stream_of(&kit, "/v1/events/stream?type=UsageRecorded", None);
    kit.block_on(slow.wait_for(": caught up"));
    for batch in 0..EVENTS / 1000 {
        let event = |n: u64| {
            let at = slapledger_core::domain::time::Timestamp::parse_rfc3339("2026-10-01T00:00:00Z")
                .expect("an instant");
            let start = at.plus_micros(i64::try_from((batch * 1000 + n) * 10_000_000).expect("a month"));
            let stop = start.plus_micros(10_000_000);
            json!({
                "specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1",
                "id": format!("{batch}-{n}"), "subject": "slappart0",
                "data": {"resource": "cpu", "quantity": "1", "start": start.to_string(), "stop": stop.to_string()},
            })
        };
        let events: Vec<Value> = (0..1000).map(event).collect();
        let posted =
            kit.post("/v1/usage-events", "application/cloudevents-batch+json", json!(events).to_string());
        assert_eq!(posted.json()["accepted"], 1000, "{posted:?}");
    }
    let expected: Vec<u64> = (before + 1..=before + EVENTS).collect();
    let ids = |events: Vec<crate::testing::streamed::StreamedEvent>| -> Vec<u64> {
        events.iter().map(|event| event.id).collect()
    };
    let count = usize::try_from(EVENTS).expect("few");
    assert_eq!(ids(kit.block_on(slow.wait_for_events(count))), expected);
    let mut late = stream_of(&kit, &format!("/v1/events/stream?after={before}"), None);
    assert_eq!(ids(kit.block_on(late.wait_for_events(count))), expected);
}

#[test]
fn streams_end_when_the_program_stops() {
    let kit = Kit::with_computer("2026-10-01T00:00:00Z");
    let mut open = stream_of(&kit, "/v1/events/stream", None);
    kit.block_on(open.wait_for(": caught up"));
    kit.ctx.engine.health.stop();
    kit.block_on(open.wait_for("nothing that comes"));
    assert!(open.is_over());
}
