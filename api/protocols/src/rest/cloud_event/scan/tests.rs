//! The scanner against the reader of all JSON, with bodies that are usual, nearly usual, and broken.

use std::collections::HashMap;

use slapledger_core::domain::time::TimeZone;

use super::super::{EventFormat, read_by_scanner, read_in_full};

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("below a small number")
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

const SPACES: &[&str] = &["", "", "", "", " ", "\n", "\t \r\n"];
const UNUSUAL: &[&str] = &["null", "true", "[]", "{}", "-1", "1e5", "\"\\u0041\"", "\"a\\nb\"", "\"\""];

fn value(dice: &mut Dice, usual: &str) -> String {
    if dice.once_in(40) { dice.pick(UNUSUAL).to_owned() } else { usual.to_owned() }
}

fn object(dice: &mut Dice, mut members: Vec<(&str, String)>) -> String {
    if dice.once_in(4) {
        for at in (1..members.len()).rev() {
            members.swap(at, dice.below(at + 1));
        }
    }
    if dice.once_in(30) {
        let again = members[dice.below(members.len())].clone();
        members.push(again);
    }
    if dice.once_in(30) {
        members.remove(dice.below(members.len()));
    }
    if dice.once_in(30) {
        members.push(("extension", dice.pick(UNUSUAL).to_owned()));
    }
    let mut text = String::from("{");
    for (nth, (name, value)) in members.iter().enumerate() {
        let mut space = || dice.pick(SPACES);
        let comma = if nth > 0 { "," } else { "" };
        for part in [comma, space(), "\"", name, "\"", space(), ":", space(), value, space()] {
            text.push_str(part);
        }
    }
    text + "}"
}

fn event(dice: &mut Dice) -> String {
    const TIMES: &[&str] = &[
        "\"2026-10-01T00:00:00Z\"",
        "\"2026-10-01T02:00:00.5+02:00\"",
        "\"2026-10-01T00:00:00\"",
        "\"yesterday\"",
        "\"2026-02-29T00:00:00Z\"",
        "\"2026-10-01t00:00:00z\"",
        "\"2026-10-01T23:59:60Z\"",
    ];
    const QUANTITIES: &[&str] = &[
        "\"12.5\"",
        "12.5",
        "0",
        "-0",
        "1e3",
        "1E+400",
        "-3.25",
        "\"1e3\"",
        "\"NaN\"",
        "01",
        "1.",
        ".5",
        "1e",
        "\"\"",
        "123456789012345678901234567890.5",
        "\"1\\u0032\"",
    ];
    let time = |dice: &mut Dice| {
        let text = if dice.once_in(8) { dice.pick(TIMES) } else { TIMES[0] };
        value(dice, text)
    };
    let mut data = vec![
        ("resource", value(dice, "\"r/cpu\"")),
        ("quantity", if dice.once_in(3) { dice.pick(QUANTITIES).to_owned() } else { value(dice, "\"1.5\"") }),
        ("start", time(dice)),
        ("stop", time(dice)),
    ];
    if dice.once_in(5) {
        data.push(("dimensions", value(dice, r#"{"region":"eu","zone":"é"}"#)));
    }
    if dice.once_in(5) {
        let number = dice.pick(&["17", "18446744073709551615", "18446744073709551616", "1.0", "-1", "01"]);
        data.push(("node_sequence", number.to_owned()));
    }
    if dice.once_in(10) {
        data.push(("replaces", value(dice, "\"earlier\"")));
    }
    let is_void = dice.once_in(15);
    if is_void {
        data = vec![("voids", value(dice, "\"earlier\"")), ("reason", value(dice, "\"wrong\""))];
    }
    let data = object(dice, data);
    let id =
        format!("\"{}\"", dice.pick(&["a", "b", "8f0c6a52-52b1-4ee3-8f3d-3c2b8f0e7a11", "é", "a\u{7f}"]));
    let kind = if is_void { "\"org.slapos.usage.void\"" } else { "\"org.slapos.usage\"" };
    let source = format!("\"{}\"", dice.pick(&["COMP-1", "COMP-1", "COMP-2"]));
    let mut members = vec![
        ("specversion", value(dice, "\"1.0\"")),
        ("type", value(dice, kind)),
        ("source", value(dice, &source)),
        ("id", value(dice, &id)),
        ("subject", value(dice, "\"slappart0\"")),
        ("data", if dice.once_in(40) { dice.pick(UNUSUAL).to_owned() } else { data }),
    ];
    if dice.once_in(2) {
        members.push(("time", time(dice)));
    }
    if dice.once_in(5) {
        members.push(("datacontenttype", value(dice, "\"application/json\"")));
    }
    object(dice, members)
}

fn body(dice: &mut Dice, format: EventFormat) -> String {
    let count = dice.below(5);
    let events: Vec<String> = (0..count).map(|_| event(dice)).collect();
    let mut text = match format {
        EventFormat::One => event(dice),
        EventFormat::Batch => format!("{}[{}]{}", dice.pick(SPACES), events.join(","), dice.pick(SPACES)),
        EventFormat::Lines => events.iter().map(|event| event.replace(['\n', '\r'], "") + "\n").collect(),
    };
    // Broken anywhere.
    if dice.once_in(4) && !text.is_empty() {
        let at = (0..=dice.below(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        match dice.below(3) {
            0 => text.truncate(at),
            1 => text.insert_str(at, dice.pick(&["\"", "\\", "{", "}", ",", "\u{0}", "x", "1"])),
            _ => drop(text.remove(at.min(text.len() - 1))),
        }
    }
    text
}

#[test]
fn what_the_scanner_reads_the_other_reader_reads_the_same() {
    let zones = HashMap::from([("COMP-2".to_owned(), TimeZone::UTC)]);
    let mut dice = Dice(0x5eed_5ca1);
    let (mut scanned, mut usual_that_were_not) = (0, 0);
    for _ in 0..60_000 {
        for format in [EventFormat::One, EventFormat::Batch, EventFormat::Lines] {
            let body = body(&mut dice, format);
            let full = read_in_full(&body, format, &zones);
            if let Some(batch) = read_by_scanner(&body, format, &zones) {
                scanned += 1;
                assert_eq!(Ok(batch), full, "{body}");
            } else if full.is_ok_and(|batch| batch.invalid.is_empty()) {
                usual_that_were_not += 1;
            }
        }
    }
    assert!(scanned > 30_000, "only {scanned} bodies were of the usual shape");
    assert!(usual_that_were_not > 1000, "nearly all unusual bodies were broken");
}

#[test]
fn a_body_of_the_usual_shape_is_scanned() {
    let event = |data: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"a","source":"COMP-1","type":"org.slapos.usage","data":{data}}}"#
        )
    };
    let data =
        r#"{"resource":"r","quantity":1,"start":"2026-10-01T00:00:00Z","stop":"2026-10-01T01:00:00Z"}"#;
    let is_scanned = |body: &str| read_by_scanner(body, EventFormat::Batch, &HashMap::new()).is_some();
    let event = event(data);
    assert!(is_scanned("[]") && is_scanned(&format!("[{event}]")));
    assert!(is_scanned(&format!(" [\n{event} ,\t{event}\r\n] ")));
    for unusual in [
        event.clone(),
        format!("[{event},]"),
        format!("[{event}"),
        format!("[{event}]]"),
        format!("[{event}]").replace("\"a\"", "\"\\u0061\""),
        format!("[{event}]").replace("\"id\"", "\"ID\""),
        format!("[{event}]").replace(":1,", ":01,"),
    ] {
        assert!(!is_scanned(&unusual), "{unusual}");
    }
}
