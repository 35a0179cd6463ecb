use super::*;

fn event(id: &str, data: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","type":"org.slapos.usage","source":"COMP-1","id":"{id}","subject":"slappart0","time":"2026-10-01T01:00:00Z","data":{data}}}"#
    )
}

const DATA: &str =
    r#"{"resource":"r/cpu","quantity":"12.5","start":"2026-10-01T00:00:00Z","stop":"2026-10-01T01:00:00Z"}"#;

fn one(body: &str) -> Batch {
    read(body.as_bytes(), EventFormat::One, &HashMap::new()).expect(body)
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect(text)
}

#[test]
fn an_event_becomes_a_report() {
    let data = r#"{"resource":"r/cpu","quantity":"12.50","start":"2026-10-01T02:00:00+02:00","stop":"2026-10-01T01:00:00Z",
        "dimensions":{"region":"eu","az":"\u0031"},"replaces":"earlier","node_sequence":17}"#;
    let batch = one(&event("8f0c6a52-52b1-4ee3-8f3d-3c2b8f0e7a11", data));
    let [group] = &batch.groups[..] else { panic!("{batch:?}") };
    assert_eq!((group.computer.as_str(), batch.events), ("COMP-1", 1));
    let expected = UsageReport {
        id: UsageId::new("8f0c6a52-52b1-4ee3-8f3d-3c2b8f0e7a11").expect("an id"),
        revision: Revision::Replaces(UsageId::new("earlier").expect("an id")),
        subject: "slappart0".into(),
        resource: "r/cpu".into(),
        quantity: ("".into(), Ok("12.5".parse().expect("a quantity"))),
        start: Ok(Some(at("2026-10-01T00:00:00Z"))),
        stop: Ok(Some(at("2026-10-01T01:00:00Z"))),
        dimensions: vec![("az".into(), "1".into()), ("region".into(), "eu".into())],
        node_sequence: Some(17),
    };
    assert_eq!(group.reports, [expected]);
}

#[test]
fn an_event_that_is_none_is_told_which_member_is_to_blame() {
    let base = event("a", DATA);
    let change = |from: &str, to: &str| {
        assert!(base.contains(from), "{from}");
        base.replacen(from, to, 1)
    };
    let data = |data: &str| event("a", data);
    let long = "x".repeat(256);
    let many: Vec<String> = (0..17).map(|n| format!(r#""k{n}":"v""#)).collect();
    let rows: Vec<(String, &str, &str)> = vec![
        ("{}".into(), "specversion", "is missing"),
        (change(r#""1.0""#, r#""0.3""#), "specversion", "must be \"1.0\""),
        (
            change(r#""1.0""#, "1.0"),
            "specversion",
            "must be a string, not a number with a fraction or an exponent",
        ),
        (change(r#""id":"a","#, ""), "id", "is missing"),
        (change(r#""id":"a""#, r#""id":"""#), "id", "must not be empty"),
        (change(r#""id":"a""#, r#""id":null"#), "id", "is missing"),
        (change(r#""id":"a""#, r#""id":7"#), "id", "must be a string, not a number"),
        (change(r#""id":"a""#, r#""id":"a\u0007""#), "id", "must not contain the control character U+0007"),
        (change(r#""id":"a""#, &format!(r#""id":"{long}""#)), "id", "must not be longer than 255 bytes"),
        (change(r#""id":"a""#, r#""id":"a","id":"b""#), "id", "must not be given more than once"),
        (change(r#""COMP-1""#, r#""""#), "source", "must not be empty"),
        (change(r#""COMP-1""#, "[1,[2]]"), "source", "must be a string, not a list"),
        (change(r#""COMP-1""#, r#""\u0000""#), "source", "must not contain the control character U+0000"),
        (
            change("org.slapos.usage", "org.slapos.other"),
            "type",
            "must be \"org.slapos.usage\", or \"org.slapos.usage.void\" to void an event",
        ),
        (
            change("2026-10-01T01:00:00Z", "yesterday"),
            "time",
            "must be an RFC 3339 instant such as 2026-10-01T01:00:00Z",
        ),
        (change(r#""slappart0""#, "true"), "subject", "must be a string, not true or false"),
        (change("slappart0", r"slap\npart0"), "subject", "must not contain the control character U+000A"),
        (change("slappart0", &long), "subject", "must not be longer than 255 bytes"),
        (
            change(r#""data""#, r#""datacontenttype":"text/xml","data""#),
            "datacontenttype",
            "must be application/json",
        ),
        (
            change(r#""data""#, r#""data_base64":"AA==","data""#),
            "data_base64",
            "must be data in JSON instead",
        ),
        (change(r#""data""#, r#""ext":{"a":1},"data""#), "ext", "must be a string, a number, true or false"),
        (change(r#","data":"#, r#","other":0,"dat":"#).replace(DATA, "1"), "data", "is missing"),
        (data("[]"), "data", "must be an object, not a list"),
        (data("null"), "data", "is missing"),
        (data(r#"{"resource":"r"}"#), "data.quantity", "is missing"),
        (data(r#"{"quantity":true}"#), "data.quantity", "must be a string or a number, not true or false"),
        (data(r#"{"quantity":["1"]}"#), "data.quantity", "must be a string or a number, not a list"),
        (data(&DATA.replacen('{', r#"{"colour":"red","#, 1)), "data.colour", "is not a field here"),
        (data(&DATA.replacen('{', r#"{"stop":"x","#, 1)), "data.stop", "must not be given more than once"),
        (
            data(&DATA.replacen("r/cpu", r"\u001b", 1)),
            "data.resource",
            "must not contain the control character U+001B",
        ),
        (
            data(&DATA.replacen("2026-10-01T00:00:00Z", &long, 1)),
            "data.start",
            "must not be longer than 255 bytes",
        ),
        (
            data(&DATA.replacen('{', r#"{"node_sequence":-1,"#, 1)),
            "data.node_sequence",
            "must be a whole number from 0, not a negative number",
        ),
        (data(&DATA.replacen('{', r#"{"replaces":"","#, 1)), "data.replaces", "must not be empty"),
        (
            data(&DATA.replacen('{', r#"{"dimensions":"eu","#, 1)),
            "data.dimensions",
            "must be an object, not a string",
        ),
        (
            data(&DATA.replacen('{', r#"{"dimensions":{"a":1},"#, 1)),
            "data.dimensions.a",
            "must be a string, not a number",
        ),
        (
            data(&DATA.replacen('{', r#"{"dimensions":{"a":"1","a":"2"},"#, 1)),
            "data.dimensions.a",
            "must not be given more than once",
        ),
        (
            data(&DATA.replacen('{', &format!(r#"{{"dimensions":{{{}}},"#, many.join(",")), 1)),
            "data.dimensions",
            "must not have more than 16 members",
        ),
    ];
    for (body, field, reason) in rows {
        let batch = one(&body);
        assert!(batch.groups.is_empty(), "{body}");
        let [invalid] = &batch.invalid[..] else { panic!("{body}: {batch:?}") };
        assert_eq!((&*invalid.field, &*invalid.reason), (field, reason), "{body}");
    }
}

#[test]
fn what_cannot_be_metered_is_an_event_all_the_same() {
    use Unmeterable::{Infinite, NotANumber, OutOfRange};
    let rows = [
        ("\"NaN\"", Err(NotANumber)),
        ("\"INF\"", Err(Infinite)),
        ("\"-Infinity\"", Err(Infinite)),
        ("\"\"", Err(NotANumber)),
        ("\"twelve\"", Err(NotANumber)),
        ("\"1000000000000000\"", Err(OutOfRange)),
        ("\"0.0000000001\"", Err(OutOfRange)),
        ("1e-10", Err(OutOfRange)),
        ("1E400", Err(OutOfRange)),
        // From its digits: the nearest binary float is another number.
        ("0.123456789", Ok("0.123456789")),
        ("123456789012345.123456789", Ok("123456789012345.123456789")),
        ("-7", Ok("-7")),
        ("12.5e1", Ok("125")),
        ("\"12.5\"", Ok("12.5")),
        ("\"\\u0031\"", Ok("1")),
    ];
    for (quantity, expected) in rows {
        let batch = one(&event("a", &DATA.replacen("\"12.5\"", quantity, 1)));
        let read = batch.groups[0].reports[0].quantity.1.map(|quantity| quantity.to_string());
        assert_eq!(read, expected.map(str::to_owned), "{quantity}");
    }
    let report = |data: &str| one(&event("a", data)).groups.remove(0);
    let without = report(r#"{"quantity":"1"}"#);
    assert_eq!((&without.reports[0].start, &without.reports[0].stop), (&Ok(None), &Ok(None)));
    let bad = report(r#"{"quantity":"1","start":"2026-10-01T00:00:00Z","stop":"2026-13-01T00:00:00Z"}"#);
    assert_eq!(bad.reports[0].start, Ok(Some(at("2026-10-01T00:00:00Z"))));
    assert_eq!(bad.reports[0].stop, Err(UnreadableInstant::malformed("2026-13-01T00:00:00Z")));
}

#[test]
fn an_instant_without_offset_is_on_the_clock_of_its_computer() {
    let local = DATA.replace("00Z", "00");
    let body = event("a", &local);
    let without = one(&body);
    assert_eq!(without.zones_missing, BTreeSet::from(["COMP-1".to_owned()]));
    let zones = HashMap::from([("COMP-1".to_owned(), "Europe/Paris".parse().expect("a zone"))]);
    let batch = read(body.as_bytes(), EventFormat::One, &zones).expect("it reads");
    assert!(batch.zones_missing.is_empty());
    assert_eq!(batch.groups[0].reports[0].stop, Ok(Some(at("2026-09-30T23:00:00Z"))));
}

#[test]
fn bodies_are_malformed_somewhere() {
    let good = event("a", DATA);
    let end = good.len();
    let not_a_number = event("a", &DATA.replace("\"12.5\"", "NaN"));
    let at_nan = not_a_number.find("NaN").expect("it is there") + 1;
    let rows: Vec<(EventFormat, Vec<u8>, String)> = vec![
        (EventFormat::One, b"".to_vec(), "line 1, column 1: EOF while parsing a value".into()),
        (EventFormat::One, b"{\n  \"id\": }".to_vec(), "line 2, column 9: expected value".into()),
        (EventFormat::One, format!("{good}x").into_bytes(), format!("line 1, column {}: trailing characters", end + 1)),
        (EventFormat::One, format!("[{good}]").into_bytes(), "line 1, column 1: the body must be one event, a JSON object, not a list; application/cloudevents-batch+json is for a list".into()),
        (EventFormat::One, not_a_number.into_bytes(), format!("line 1, column {at_nan}: expected value")),
        (EventFormat::Batch, good.clone().into_bytes(), "line 1, column 1: invalid type: map, expected a list of events".into()),
        (EventFormat::Batch, format!("[{good},").into_bytes(), format!("line 1, column {}: EOF while parsing a value", end + 2)),
        (EventFormat::Batch, format!("[{good}").into_bytes(), format!("line 1, column {}: EOF while parsing a list", end + 1)),
        (EventFormat::Lines, format!("{good}\n\n{{\"id\":\"b\"\n").into_bytes(), "line 3, column 9: EOF while parsing an object".into()),
        (EventFormat::Lines, b"\xff".to_vec(), "the body is not UTF-8: see byte 0".into()),
    ];
    for (format, body, expected) in rows {
        let error = read(&body, format, &HashMap::new()).expect_err(&expected);
        assert_eq!(error.to_string(), expected, "{}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn lines_may_be_empty_and_end_as_they_like() {
    let (a, b) = (event("a", DATA), event("b", DATA));
    for body in [format!("{a}\n{b}"), format!("{a}\r\n\r\n{b}\r\n"), format!("\n  \n{a}\n{b}\n\n")] {
        let batch = read(body.as_bytes(), EventFormat::Lines, &HashMap::new()).expect(&body);
        assert_eq!((batch.events, batch.groups[0].reports.len()), (2, 2), "{body:?}");
    }
    let batch = read(b"", EventFormat::Lines, &HashMap::new()).expect("nothing is no event");
    assert_eq!(batch, Batch::default());
}

#[test]
fn depth_costs_no_stack() {
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    let extension = event("a", DATA).replacen("\"data\"", &format!("\"deep\":{deep},\"data\""), 1);
    let batch = one(&extension);
    assert_eq!(batch.invalid[0].field, "deep");
    let batch = read(deep.as_bytes(), EventFormat::Batch, &HashMap::new()).expect("a list of something");
    assert_eq!(batch.invalid[0].reason, "must be a JSON object, not a list");
    let quantity = one(&event("a", &format!("{{\"quantity\":{deep}}}")));
    assert_eq!(quantity.invalid[0].field, "data.quantity");
    let unclosed = "[".repeat(1_000_000);
    assert!(read(unclosed.as_bytes(), EventFormat::Batch, &HashMap::new()).is_err());
}

#[test]
fn events_are_counted_before_they_are_kept() {
    let many = |n: usize| format!("[{}]", vec!["{}"; n].join(","));
    let most = read(many(MOST_EVENTS).as_bytes(), EventFormat::Batch, &HashMap::new())
        .expect("the most there may be");
    assert_eq!((most.events, most.invalid.len()), (MOST_EVENTS, MOST_EVENTS));
    let error = read(many(MOST_EVENTS + 1).as_bytes(), EventFormat::Batch, &HashMap::new());
    assert_eq!(error, Err(BodyError::TooManyEvents));
    let lines = "{}\n".repeat(MOST_EVENTS + 1);
    assert_eq!(read(lines.as_bytes(), EventFormat::Lines, &HashMap::new()), Err(BodyError::TooManyEvents));
}

#[test]
fn events_are_sorted_by_computer_and_keep_their_places() {
    let from = |source: &str, id: &str| event(id, DATA).replace("COMP-1", source);
    let body = format!("[{},{},7,{},{}]", from("A", "a"), from("B", "b"), from("A", "c"), from("B", "d"));
    let batch = read(body.as_bytes(), EventFormat::Batch, &HashMap::new()).expect("it reads");
    let places =
        |group: &ComputerEvents| -> Vec<u32> { group.names.iter().map(|(index, _)| *index).collect() };
    let groups: Vec<_> = batch.groups.iter().map(|group| (group.computer.as_str(), places(group))).collect();
    assert_eq!(groups, [("A", vec![0, 3]), ("B", vec![1, 4])]);
    assert_eq!((batch.events, batch.invalid[0].index), (5, 2));
}
