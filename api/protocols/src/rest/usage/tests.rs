use std::fmt::Write as _;

use axum::http::StatusCode;
use serde_json::{Value, json};
use slapledger_usecases::caller::FIRST_PARTY;

use crate::testing::kit::Kit;

const BATCH: &str = "application/cloudevents-batch+json";
const ONE: &str = "application/cloudevents+json";

fn event(id: &str, quantity: &str) -> Value {
    json!({
        "specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1", "id": id, "subject": "slappart0",
        "time": "2026-10-02T01:00:00Z",
        "data": {"resource": "service_module/requests", "quantity": quantity,
                 "start": "2026-10-02T00:00:00Z", "stop": "2026-10-02T01:00:00Z"},
    })
}

fn with(mut event: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    event.pointer_mut(parent).expect(parent)[name] = value;
    event
}

/// A master where an instance has been in `slappart0` since the first, and now is the third.
fn kit() -> Kit {
    let kit = Kit::with_computer("2026-10-01T00:00:00Z");
    kit.instance(FIRST_PARTY, "first");
    kit.set("2026-10-03T00:00:00Z");
    kit
}

/// What is answered to a body of which no event is accepted.
fn post_in_vain(kit: &Kit, events: &Value) -> Value {
    let reply = kit.post("/v1/usage-events", BATCH, events.to_string());
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{reply:?}");
    assert_eq!(reply.headers["content-type"], "application/problem+json");
    let told = reply.json();
    assert_eq!(told["type"], "urn:slapledger:problem:no-usage-accepted");
    assert_eq!(reply.headers["slapledger-sequence"], told["sequence"].to_string());
    told
}

fn post(kit: &Kit, events: &Value) -> Value {
    let reply = kit.post("/v1/usage-events", BATCH, events.to_string());
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply.json()
}

#[test]
fn a_batch_is_told_of_every_event_that_was_not_accepted() {
    let kit = kit();
    let first = post(&kit, &json!([event("a", "1"), event("b", "2")]));
    assert_eq!((&first["accepted"], &first["outcomes"]), (&json!(2), &json!([])));
    let sequence = first["sequence"].as_u64().expect("a sequence");
    let (a, b) = (sequence - 1, sequence);

    let told = post(
        &kit,
        &json!([
            event("c", "3"),
            event("a", "1.0"),
            event("b", "2.5"),
            with(event("b", "2"), "/data/node_sequence", json!(7)),
            with(event("d", "4"), "/subject", json!("slappart7")),
            with(event("e", "NaN"), "/data/stop", json!("2026-10-02T01:00:00Z")),
            with(event("f", "5"), "/data/stop", json!("soon")),
            with(event("g", "6"), "/data/replaces", json!("a")),
            with(event("h", "6"), "/data/replaces", json!("nobody")),
            with(event("i", "7"), "/specversion", json!("0.3")),
            with(event("j", "8"), "/source", json!("COMP-9")),
            with(event("k", "9"), "/data/colour", json!("red")),
            "no event",
            event("c", "3"),
            event("c", "4"),
        ]),
    );
    let c = sequence + 1;
    let expected = json!({
        "accepted": 2, "duplicates": 2, "suspended": 3, "rejected": 8, "sequence": c + 4,
        "outcomes": [
            {"index": 1, "id": "a", "outcome": "duplicate", "sequence": a},
            {"index": 2, "id": "b", "outcome": "conflict", "sequence": b, "field": "data.quantity",
             "reason": format!("identity was reported with other content as sequence {b}")},
            {"index": 3, "id": "b", "outcome": "conflict", "sequence": b, "field": "data.node_sequence",
             "reason": format!("identity was reported with other content as sequence {b}")},
            {"index": 4, "id": "d", "outcome": "suspended", "sequence": c + 1, "field": "subject",
             "reason": "subject is neither an instance, a partition nor a user of the reporting computer, nor itself"},
            {"index": 5, "id": "e", "outcome": "suspended", "sequence": c + 2, "field": "data.quantity",
             "reason": "quantity is not a number"},
            {"index": 6, "id": "f", "outcome": "suspended", "sequence": c + 3, "field": "data.stop",
             "reason": "stop is not a date"},
            {"index": 8, "id": "h", "outcome": "conflict", "field": "data.replaces",
             "reason": "no usage event of this computer has this id"},
            {"index": 9, "id": "i", "outcome": "invalid", "field": "specversion", "reason": "must be \"1.0\""},
            {"index": 10, "id": "j", "outcome": "invalid", "field": "source", "reason": "there is no computer COMP-9"},
            {"index": 11, "id": "k", "outcome": "invalid", "field": "data.colour", "reason": "is not a field here"},
            {"index": 12, "outcome": "invalid", "reason": "must be a JSON object, not a string"},
            {"index": 13, "id": "c", "outcome": "duplicate", "sequence": c},
            {"index": 14, "id": "c", "outcome": "conflict", "sequence": c, "field": "data.quantity",
             "reason": format!("identity was reported with other content as sequence {c}")},
        ],
    });
    assert_eq!(told, expected, "{told:#}");
}

#[test]
fn bad_bodies_are_refused_as_a_whole_and_nothing_is_recorded() {
    let kit = kit();
    let head = kit.ctx.ledger().head();
    let long = "x".repeat(16 * 1024 * 1024 + 1);
    let many = format!("[{}]", vec!["{}"; 50_001].join(","));
    let unknown = |id: &str| with(event(id, "1"), "/source", json!("COMP-9"));
    let other = with(event("b", "1"), "/source", json!("COMP-8"));
    let rows: Vec<(&str, String, u16, Option<&str>, &str)> = vec![
        (BATCH, "[{]".into(), 400, None, "line 1, column 3: key must be a string"),
        (
            BATCH,
            event("a", "1").to_string(),
            400,
            None,
            "line 1, column 1: invalid type: map, expected a list of events",
        ),
        (ONE, "NaN".into(), 400, None, "line 1, column 1: expected value"),
        ("application/x-ndjson", "{}\n{}\nx".into(), 400, None, "line 3, column 1: expected value"),
        (BATCH, long, 413, None, "the body must have at most 16777216 bytes"),
        (BATCH, many, 413, None, "a body must not hold more than 50000 events"),
        (
            "application/json",
            "[]".into(),
            415,
            Some("content-type"),
            "the body must be application/cloudevents+json, application/cloudevents-batch+json or application/x-ndjson, in UTF-8",
        ),
        (
            "application/cloudevents+json; charset=iso-8859-1",
            "{}".into(),
            415,
            Some("content-type"),
            "the body must be application/cloudevents+json, application/cloudevents-batch+json or application/x-ndjson, in UTF-8",
        ),
        (
            BATCH,
            json!([unknown("a"), unknown("b")]).to_string(),
            404,
            Some("source"),
            "there is no computer COMP-9",
        ),
        (
            BATCH,
            json!([unknown("a"), other]).to_string(),
            404,
            Some("source"),
            "there is no computer COMP-9, none COMP-8",
        ),
    ];
    for (content_type, body, status, field, detail) in rows {
        let shown: String = body.chars().take(80).collect();
        let problem = kit.post("/v1/usage-events", content_type, body).problem();
        assert_eq!(problem, (status, field.map(str::to_owned), detail.to_owned()), "{content_type} {shown}");
    }
    assert_eq!(kit.ctx.ledger().head(), head);
}

/// The sender of 100 MB says so first; nothing of it is kept.
#[test]
fn a_body_that_says_it_is_too_long_is_not_kept() {
    let kit = kit();
    for length in [Some("104857600"), None] {
        let headers: Vec<(&str, &str)> = [("content-type", BATCH)]
            .into_iter()
            .chain(length.map(|length| ("content-length", length)))
            .collect();
        let problem = kit.post_with("/v1/usage-events", &headers, vec![b' '; 100 << 20]).problem();
        assert_eq!((problem.0, &*problem.2), (413, "the body must have at most 16777216 bytes"));
    }
}

#[test]
fn one_event_a_list_and_lines_are_the_same() {
    let kit = kit();
    let a = event("a", "1").to_string();
    let rows = [
        (ONE, a.clone(), (1, 0)),
        (BATCH, format!("[{a}]"), (0, 1)),
        ("application/x-ndjson", format!("{a}\n{}\n", event("b", "1")), (1, 1)),
        ("Application/CloudEvents+JSON; charset=UTF-8", a, (0, 1)),
        (BATCH, "[]".to_owned(), (0, 0)),
    ];
    for (content_type, body, (accepted, duplicates)) in rows {
        let reply = kit.post("/v1/usage-events", content_type, body);
        let told = reply.json();
        assert_eq!(
            (&told["accepted"], &told["duplicates"]),
            (&json!(accepted), &json!(duplicates)),
            "{told}"
        );
        assert_eq!(reply.headers["slapledger-sequence"], told["sequence"].to_string());
    }
}

/// `curl -f` did not fail when nothing was recorded, or nothing was metered.
#[test]
fn a_body_of_which_no_event_is_accepted_fails() {
    let kit = kit();
    post(&kit, &json!([event("a", "1")]));
    let (not_metered, invalid) = (event("s", "NaN"), with(event("i", "1"), "/specversion", json!("2")));
    let conflict = event("a", "2");
    let rows = [
        (
            json!([not_metered]),
            "the event was not accepted: quantity is not a number (suspended); \
            suspended usage is in the log and is not metered",
        ),
        (json!([invalid]), "the event was not accepted: specversion must be \"1.0\" (invalid)"),
        (
            json!([conflict, invalid]),
            "none of the 2 events was accepted: identity was reported with other \
            content as sequence 5 (conflict)",
        ),
        (json!(["x"]), "the event was not accepted: event must be a JSON object, not a string (invalid)"),
    ];
    for (body, detail) in &rows {
        let told = post_in_vain(&kit, body);
        let wanted = body.as_array().expect("a list").len();
        assert_eq!(told["outcomes"].as_array().map(Vec::len), Some(wanted), "{told:#}");
        let digits = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
        assert_eq!(digits(told["detail"].as_str().expect("a text")), digits(detail));
    }
    // What is known already was accepted before: a sender who repeats its body is not stopped.
    let known = post(&kit, &json!([event("a", "1"), invalid]));
    assert_eq!(
        (&known["accepted"], &known["duplicates"], &known["rejected"]),
        (&json!(0), &json!(1), &json!(1))
    );
    assert_eq!(post(&kit, &json!([event("b", "1"), invalid]))["accepted"], 1);
}

#[test]
fn an_event_in_binary_mode_is_the_same_event() {
    let kit = kit();
    let data = event("a", "1")["data"].to_string();
    let attributes = [
        ("ce-specversion", "1.0"),
        ("ce-type", "org.slapos.usage"),
        ("ce-source", "COMP-1"),
        ("ce-id", "a"),
        ("ce-subject", "slappart0"),
        ("ce-time", "2026-10-02T01:00:00Z"),
        ("ce-traceparent", "00-1"),
    ];
    let send = |more: &[(&str, &str)], body: &str| {
        let headers: Vec<_> = attributes.iter().copied().chain(more.iter().copied()).collect();
        kit.post_with("/v1/usage-events", &headers, body.to_owned())
    };
    let json = ("content-type", "application/json");
    let told = send(&[json], &data);
    assert_eq!((told.status, &told.json()["accepted"]), (StatusCode::OK, &json!(1)));
    // Without a type, and in structured mode, it is a duplicate.
    assert_eq!(send(&[], &data).json()["duplicates"], 1);
    assert_eq!(post(&kit, &json!([event("a", "1")]))["duplicates"], 1);
    // What is structured is read as such whatever headers come with it.
    assert_eq!(send(&[("content-type", BATCH)], &json!([event("b", "1")]).to_string()).json()["accepted"], 1);
    let documentary = attributes.iter().copied().chain([json]).collect::<Vec<_>>();
    let again = kit.post_with("/usage_report_module/", &documentary, data.clone());
    assert_eq!(again.json()["duplicates"], 1);
    let problem = |more: &[(&str, &str)], body: &str| send(more, body).problem();
    assert_eq!(problem(&[("content-type", "text/plain")], &data).0, 415);
    assert_eq!(problem(&[json], "{").0, 400);
    assert_eq!(problem(&[json, ("ce-data", "{}")], &data).1.as_deref(), Some("ce-data"));
    let twice = send(&[json, ("ce-id", "b")], &data).json();
    assert_eq!(twice["outcomes"][0]["field"], "id");
    let none = send(&[json], "").json();
    assert_eq!(
        (&none["outcomes"][0]["field"], &none["outcomes"][0]["reason"]),
        (&json!("data"), &json!("is missing"))
    );
}

#[test]
fn a_body_sent_again_under_its_key_is_answered_again() {
    let kit = kit();
    let body = json!([event("a", "1"), event("b", "NaN")]).to_string();
    let send = |key: &str, body: &str| {
        let headers = [("content-type", BATCH), ("idempotency-key", key)];
        kit.post_with("/v1/usage-events", &headers, body.to_owned())
    };
    let first = send("2026-10-02", &body).json();
    let head = kit.ctx.ledger().head();
    let again = send("2026-10-02", &body).json();
    assert_eq!(first["accepted"], 1);
    for member in ["accepted", "duplicates", "suspended", "rejected", "outcomes"] {
        assert_eq!(first[member], again[member], "{member}");
    }
    assert_eq!(kit.ctx.ledger().head(), head);
    let other = send("2026-10-02", &json!([event("c", "1")]).to_string()).problem();
    assert_eq!((other.0, other.1.as_deref()), (409, Some("idempotency-key")));
    for key in ["", "\u{e9}", &"k".repeat(256)] {
        let problem = send(key, &body).problem();
        assert_eq!((problem.0, problem.1.as_deref()), (400, Some("idempotency-key")), "{key}");
    }
    let other_key = send("2026-10-03", &body).json();
    assert_eq!((&other_key["accepted"], &other_key["duplicates"]), (&json!(0), &json!(2)));
}

#[test]
fn times_without_offset_are_those_of_the_computer() {
    let kit = Kit::new("2026-10-01T00:00:00Z", "UTC");
    kit.computer("COMP-1", "Europe/Paris");
    kit.instance(FIRST_PARTY, "first");
    kit.set("2026-10-03T00:00:00Z");
    let local = with(event("a", "1"), "/data/start", json!("2026-10-02T02:00:00"));
    let local = with(local, "/data/stop", json!("2026-10-02T03:00:00"));
    assert_eq!(post(&kit, &json!([local]))["accepted"], 1);
    // The same content, said otherwise.
    assert_eq!(post(&kit, &json!([event("a", "1")]))["duplicates"], 1);
}

#[test]
fn readings_come_in_steps() {
    let kit = kit();
    let mut gauge = event("g", "50");
    gauge["data"] = json!({"resource": "service_module/cpu", "quantity": "50",
                           "start": "2026-10-01T12:00:00Z", "stop": "2026-10-02T12:00:00Z"});
    post(&kit, &json!([event("a", "1.5"), event("b", "2"), gauge]));
    let path = "/v1/usage?instance=SOFTINST-1&from=2026-10-01&to=2026-10-03&step=day";
    let read = kit.get(path).json();
    let sequence = &read["sequence"];
    let expected = json!({
        "instance": "SOFTINST-1", "from": "2026-10-01T00:00:00Z", "to": "2026-10-03T00:00:00Z", "step": "day",
        "time_zone": "UTC", "sequence": sequence,
        "resources": [
            {"resource": "service_module/cpu", "steps": [
                {"start": "2026-10-01T00:00:00Z", "stop": "2026-10-02T00:00:00Z", "events": 1, "sum": "25", "time_integral": "600"},
                {"start": "2026-10-02T00:00:00Z", "stop": "2026-10-03T00:00:00Z", "events": 1, "sum": "25", "time_integral": "600"},
            ]},
            {"resource": "service_module/requests", "steps": [
                {"start": "2026-10-01T00:00:00Z", "stop": "2026-10-02T00:00:00Z", "events": 0, "sum": "0", "time_integral": "0"},
                {"start": "2026-10-02T00:00:00Z", "stop": "2026-10-03T00:00:00Z", "events": 2, "sum": "3.5", "time_integral": "3.5"},
            ]},
        ],
    });
    assert_eq!(read, expected, "{read:#}");
    let month = kit.get("/v1/usage?instance=SOFTINST-1&from=2026-10-01&to=2026-11-01&step=month&resource=service_module/requests");
    assert_eq!(month.json()["resources"][0]["steps"].as_array().map(Vec::len), Some(1));
    let paris = kit.get(&format!("{path}&time_zone=Europe/Paris")).json();
    assert_eq!(paris["from"], "2026-09-30T22:00:00Z");
}

#[test]
fn questions_that_make_no_sense_are_told_why() {
    let kit = kit();
    post(&kit, &json!([event("a", "1")]));
    let usage = "/v1/usage?instance=SOFTINST-1";
    let rows = [
        ("/v1/usage".to_owned(), 400, Some("instance"), "is missing"),
        ("/v1/usage?instance=7".to_owned(), 400, Some("instance"), "must look like SOFTINST-1"),
        (
            "/v1/usage?instance=SOFTINST-7&from=2026-10-01&to=2026-10-02".to_owned(),
            404,
            Some("instance"),
            "there is no instance SOFTINST-7",
        ),
        (usage.to_owned(), 400, Some("from"), "is missing"),
        (format!("{usage}&from=2026-10-01"), 400, Some("to"), "is missing"),
        (
            format!("{usage}&from=now&to=2026-10-01"),
            400,
            Some("from"),
            "must be a day such as 2026-10-01, or an RFC 3339 instant with its offset",
        ),
        (format!("{usage}&from=2026-10-02&to=2026-10-02"), 400, Some("to"), "must be after from"),
        (
            format!("{usage}&from=2026-10-01&to=2026-10-02&step=week"),
            400,
            Some("step"),
            "must be hour, day or month",
        ),
        (
            format!("{usage}&from=1900-01-01&to=2026-10-02&step=hour"),
            400,
            Some("step"),
            "must be longer: there would be more than 20000 of them",
        ),
        (
            format!("{usage}&form=2026-10-01"),
            400,
            Some("form"),
            "is not a parameter here; there are instance, resource, period, from, to, step, time_zone, limit, cursor, min_sequence",
        ),
        (format!("{usage}&instance=SOFTINST-1"), 400, Some("instance"), "must not be given more than once"),
        ("/v1/usage-suspense?limit=0".to_owned(), 400, Some("limit"), "must be a number from 1 to 1000"),
        (
            "/v1/usage-suspense?cursor=x".to_owned(),
            400,
            Some("cursor"),
            "must be the next of an earlier answer",
        ),
        (
            "/v1/usage-suspense?min_sequence=-1".to_owned(),
            400,
            Some("min_sequence"),
            "must be a sequence: a number from 0",
        ),
        ("/v1/nothing".to_owned(), 404, None, "there is nothing at /v1/nothing"),
        (
            "/v1/usage-events".to_owned(),
            405,
            None,
            "/v1/usage-events does not take GET; the header allow says what it takes",
        ),
    ];
    for (path, status, field, detail) in rows {
        let reply = kit.get(&path);
        assert_eq!(reply.problem(), (status, field.map(str::to_owned), detail.to_owned()), "{path}");
        assert!(reply.headers.contains_key("slapledger-sequence"), "{path}");
        assert_eq!(reply.headers.get("allow").map(|allow| allow == "POST"), (status == 405).then_some(true));
    }
    // After the last number there can be, there is nothing, and nothing breaks.
    let last = u64::MAX;
    for path in
        [format!("/v1/usage-suspense?cursor={last}"), format!("/v1/events?after={last}&cursor={last}")]
    {
        let reply = kit.get(&path);
        assert_eq!((reply.status.as_u16(), &reply.json()["items"]), (200, &json!([])), "{path}: {reply:?}");
    }
}

#[test]
fn a_read_waits_for_the_sequence_it_is_to_reflect() {
    let kit = kit();
    let head = kit.ctx.ledger().head().last.0;
    let now = kit.get(&format!("/v1/usage-suspense?min_sequence={head}"));
    assert_eq!((now.status, now.json()["sequence"].as_u64()), (StatusCode::OK, Some(head)));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| kit.get(&format!("/v1/usage-suspense?min_sequence={}", head + 1)));
        std::thread::sleep(std::time::Duration::from_millis(50));
        kit.register("somebody", "UTC");
        let read = waiting.join().expect("an answer");
        assert_eq!((read.status, read.json()["sequence"].as_u64()), (StatusCode::OK, Some(head + 1)));
    });
    let late = kit.get(&format!("/v1/usage-suspense?min_sequence={}", head + 100));
    let detail = format!("the ledger is at sequence {}, not yet at {}", head + 1, head + 100);
    assert_eq!(late.problem(), (503, Some("min_sequence".into()), detail));
    assert_eq!(late.headers["retry-after"], "1");
}

#[test]
fn suspended_usage_is_listed_and_settled() {
    let kit = kit();
    let told = post_in_vain(
        &kit,
        &json!([
            with(event("a", "1"), "/subject", json!("slappart7")),
            event("b", "NaN"),
            with(event("c", "3"), "/data/stop", json!("2026-10-05T00:00:00Z")),
        ]),
    );
    assert_eq!(told["suspended"], 3);
    let list = kit.get("/v1/usage-suspense?limit=2").json();
    let items = list["items"].as_array().expect("a list");
    let sequences: Vec<u64> = items.iter().filter_map(|item| item["sequence"].as_u64()).collect();
    let [first, second] = sequences[..] else { panic!("{list:#}") };
    assert_eq!(list["next"], second.to_string());
    let item = json!({
        "sequence": first, "computer": "COMP-1", "recorded_at": "2026-10-03T00:00:00Z", "id": "a", "subject": "slappart7",
        "resource": "service_module/requests", "quantity": "1", "start": "2026-10-02T00:00:00Z",
        "stop": "2026-10-02T01:00:00Z", "unreadable_start": null, "unreadable_stop": null, "dimensions": [], "node_sequence": null, "replaces": null,
        "reason": "unknown_subject", "field": "subject",
        "detail": "subject is neither an instance, a partition nor a user of the reporting computer, nor itself",
    });
    assert_eq!(items[0], item);
    let rest = kit.get(&format!("/v1/usage-suspense?cursor={second}")).json();
    assert_eq!((rest["items"].as_array().map(Vec::len), &rest["next"]), (Some(1), &Value::Null));
    let third = rest["items"][0]["sequence"].as_u64().expect("a sequence");

    let settle = |sequence: u64, how: &str, body: &Value| {
        kit.post_json(&format!("/v1/usage-suspense/{sequence}/{how}"), body)
    };
    let rows = [
        (first, "resolve", json!({}), 400, Some("subject")),
        (first, "resolve", json!({"subject": 7}), 400, Some("subject")),
        (first, "resolve", json!({"subjects": "x"}), 400, Some("subjects")),
        (first, "resolve", json!({"resource": ""}), 400, Some("resource")),
        (first, "resolve", json!({"quantity": 1.5}), 400, Some("quantity")),
        (first, "resolve", json!({"quantity": "INF"}), 400, Some("quantity")),
        (first, "resolve", json!({"period": {"start": "2026-10-01T00:00:00Z"}}), 400, Some("period.stop")),
        (
            first,
            "resolve",
            json!({"period": {"start": "2026-10-01T00:00:00Z", "stop": "2026-10-01T00:00:00Z"}}),
            400,
            Some("period"),
        ),
        (first, "resolve", json!({"period": {"start": "a", "stop": "b"}}), 400, Some("period.start")),
        (second, "resolve", json!({}), 400, Some("quantity")),
        (third, "resolve", json!({}), 400, Some("period")),
        (first, "dismiss", json!({}), 400, Some("reason")),
        (first, "dismiss", json!({"reason": " "}), 400, Some("reason")),
        (first, "dismiss", json!([]), 400, None),
        (9999, "dismiss", json!({"reason": "x"}), 404, None),
        (9999, "resolve", json!({}), 404, None),
    ];
    for (sequence, how, body, status, field) in rows {
        let (found, blamed, detail) = settle(sequence, how, &body).problem();
        assert_eq!((found, blamed.as_deref()), (status, field), "{how} {body}: {detail}");
    }
    let problem = kit.post_json("/v1/usage-suspense/x/resolve", &json!({})).problem();
    assert_eq!(problem.0, 404);
    let problem = kit.post(&format!("/v1/usage-suspense/{first}/dismiss"), "text/plain", "{}").problem();
    assert_eq!(problem.0, 415);

    let resolved = settle(first, "resolve", &json!({"subject": "slappart0"}));
    assert_eq!((resolved.status, resolved.json()["suspended"].as_u64()), (StatusCode::OK, Some(first)));
    let dismissed = settle(second, "dismiss", &json!({"reason": "a broken sensor"}));
    assert_eq!(dismissed.status, StatusCode::OK);
    assert_eq!(settle(second, "dismiss", &json!({"reason": "again"})).status, StatusCode::NOT_FOUND);
    let left = kit.get("/v1/usage-suspense").json();
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1));
    let read = kit.get("/v1/usage?instance=SOFTINST-1&from=2026-10-02&to=2026-10-03").json();
    assert_eq!(read["resources"][0]["steps"][0]["sum"], "1");
}

/// Also a measurement: `SLAPLEDGER_BODIES=1000 cargo test --release -p slapledger-api --lib many_bodies -- --nocapture`
/// prints how many events a second go through the router, 1000 in a body and 16 bodies at a time, without the sockets.
#[test]
fn many_bodies_at_once_are_all_recorded() {
    let kit = kit();
    let bodies = std::env::var("SLAPLEDGER_BODIES").ok().and_then(|text| text.parse().ok()).unwrap_or(20_u32);
    let tasks = 16;
    let body = |n: u32| {
        let mut text = String::from("[");
        for i in 0..1000_u32 {
            let id = uuid::Uuid::from_u128(
                u128::from(n * 1000 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
            );
            let comma = if i == 0 { "" } else { "," };
            write!(
                text,
                r#"{comma}{{"specversion":"1.0","type":"org.slapos.usage","source":"COMP-1","id":"{id}","subject":"slappart0","time":"2026-10-02T01:00:00Z","data":{{"resource":"service_module/r{}","quantity":"{}.{}","start":"2026-10-02T{:02}:00:00Z","stop":"2026-10-02T{:02}:00:00Z"}}}}"#,
                i % 4, i, n % 10, i % 12, i % 12 + 1,
            )
            .expect("text");
        }
        text.push(']');
        text
    };
    let all: Vec<String> = (0..bodies).map(body).collect();
    let started = std::time::Instant::now();
    for text in &all {
        let batch =
            super::cloud_event::read(text.as_bytes(), super::EventFormat::Batch, &super::Zones::new())
                .expect("it reads");
        assert_eq!(batch.groups[0].reports.len(), 1000);
    }
    let parse = started.elapsed();
    println!("reading alone: {} ns an event", parse.as_nanos() / (u128::from(bodies) * 1000));
    let left = parking_lot::Mutex::new(all);
    let started = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..tasks {
            scope.spawn(|| {
                loop {
                    let Some(text) = left.lock().pop() else { break };
                    let reply = kit.post("/v1/usage-events", BATCH, text);
                    assert_eq!(reply.json()["accepted"], 1000);
                }
            });
        }
    });
    let took = started.elapsed().as_micros();
    println!("through the router, durable: {} events/s", u128::from(bodies) * 1_000_000_000 / took);
    let counted = kit.ctx.billing_now(|view| view.metering.len()).expect("a view");
    assert_eq!(counted, bodies as usize * 1000);
}

/// What became of what was sent can be looked at, also what is not in the log.
#[test]
fn receipts_count_every_outcome_and_show_the_last() {
    let kit = Kit::with_computer("2026-10-01T00:00:00Z");
    kit.instance(FIRST_PARTY, "first");
    kit.set("2026-11-01T00:00:00Z");
    let event = |id: &str, subject: &str, quantity: &str| {
        json!({
            "specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1", "id": id, "subject": subject,
            "data": {
                "resource": "cpu", "quantity": quantity, "start": "2026-10-01T01:00:00Z",
                "stop": "2026-10-01T02:00:00Z",
            },
        })
    };
    let post = |events: &[Value]| {
        kit.post("/v1/usage-events", "application/cloudevents-batch+json", json!(events).to_string())
    };
    let none = kit.get("/v1/usage-receipts").json();
    assert_eq!((&none["items"], &none["totals"]["accepted"]), (&json!([]), &json!(0)));
    post(&[event("a", "slappart0", "1"), event("a", "slappart0", "1"), event("b", "nowhere", "2")]);
    post(&[event("a", "slappart0", "3"), json!({"specversion": "1.0"}), event("a", "slappart0", "1")]);
    let mut unknown = event("c", "slappart0", "1");
    unknown["source"] = json!("COMP-9");
    assert_eq!(post(&[unknown]).status, StatusCode::NOT_FOUND);

    let all = kit.get("/v1/usage-receipts").json();
    assert_eq!(all["totals"], json!({"accepted": 1, "duplicate": 2, "suspended": 1, "rejected": 3}));
    assert_eq!(
        all["computers"],
        json!([
            {"computer": null, "accepted": 0, "duplicate": 0, "suspended": 0, "rejected": 2},
            {"computer": "COMP-1", "accepted": 1, "duplicate": 2, "suspended": 1, "rejected": 1},
        ])
    );
    let items = all["items"].as_array().expect("a list");
    let outcomes: Vec<_> = items.iter().map(|item| item["outcome"].as_str().expect("a word")).collect();
    assert_eq!(
        outcomes,
        ["rejected", "rejected", "duplicate", "rejected", "suspended", "duplicate", "accepted"]
    );
    assert_eq!(
        (&items[0]["field"], &items[0]["reason"]),
        (&json!("source"), &json!("there is no computer COMP-9"))
    );
    assert_eq!((&items[1]["computer"], &items[1]["id"]), (&Value::Null, &Value::Null));
    let conflict = &items[3];
    assert_eq!(
        (&conflict["id"], &conflict["field"], &conflict["quantity"]),
        (&json!("a"), &json!("data"), &json!("1"))
    );
    assert!(conflict["remedy"].as_str().is_some_and(|remedy| remedy.contains("replaces")), "{conflict}");
    let suspended = &items[4];
    assert_eq!((&suspended["subject"], &suspended["field"]), (&json!("nowhere"), &json!("subject")));
    assert_eq!((&items[6]["id"], &items[6]["start"]), (&json!("a"), &json!("2026-10-01T01:00:00Z")));

    // What is sent again under its name is answered as before, and is a duplicate all the same.
    let again = || {
        let headers = [("content-type", BATCH), ("idempotency-key", "once")];
        kit.post_with("/v1/usage-events", &headers, json!([event("n", "slappart1", "1")]).to_string())
    };
    assert_eq!((again().json(), again().status), (again().json(), again().status));
    let counted = kit.get("/v1/usage-receipts").json()["totals"].clone();
    assert_eq!(counted["duplicate"], json!(2 + 3), "{counted}");

    let only = kit.get("/v1/usage-receipts?computer=COMP-1&outcome=duplicate&limit=1").json();
    let next = only["next"].as_str().expect("there is another");
    assert_eq!(only["totals"], counted);
    let rest = kit
        .get(&format!("/v1/usage-receipts?computer=COMP-1&outcome=duplicate&limit=9&cursor={next}"))
        .json();
    assert_eq!((rest["items"].as_array().map(Vec::len), &rest["next"]), (Some(4), &Value::Null));
    assert_eq!(kit.get("/v1/usage-receipts?outcome=lost").problem().1.as_deref(), Some("outcome"));
}
