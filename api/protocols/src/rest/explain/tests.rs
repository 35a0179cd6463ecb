//! The arithmetic of every kind of line, done again from the JSON of its explanation alone: whole numbers, and nothing of
//! the program's own.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use slapledger_core::domain::Command;
use slapledger_core::domain::charge::RecordCharge;
use slapledger_core::domain::id::PartyId;
use slapledger_core::domain::instance::{InstancePlace, ReportInstance, ReportedState};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::tax::SetTaxRate;
use slapledger_usecases::caller::FIRST_PARTY;

use crate::testing::kit::{Kit, at};

/// A decimal text as a whole number of 10^-scale.
#[track_caller]
fn units(value: &Value, scale: usize) -> i128 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no text"));
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    assert!(fraction.len() <= scale, "{text} is finer than 10^-{scale}");
    let fraction = format!("{fraction:0<scale$}");
    sign * format!("{whole}{fraction}").parse::<i128>().expect(text)
}

fn instant(value: &Value) -> i128 {
    at(value.as_str().expect("an instant")).micros().into()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The nearest whole number; of two the one farther from zero, or the even one.
fn rounded(numerator: i128, denominator: i128, rounding: &str) -> i128 {
    let (sign, above) = (numerator.signum(), numerator.abs());
    let (whole, rest) = (above / denominator, above % denominator);
    let up = match (2 * rest).cmp(&denominator) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => rounding == "half_up" || whole % 2 == 1,
    };
    sign * (whole + i128::from(up))
}

const BILLION: i128 = 1_000_000_000;
const ATTO: usize = 18;

/// What the meter makes of the events of a part: a fraction of billionths.
fn metered(answer: &Value, part: &Value, resource: &Value) -> (i128, i128) {
    struct Held {
        level: i128,
        start: i128,
        stop: i128,
        sequence: u64,
    }
    let mut held = Vec::new();
    let mut users = std::collections::BTreeSet::new();
    for event in list(&answer["items"]) {
        for counted in list(&event["counted"]) {
            if counted["instance"] != part["instance"] {
                continue;
            }
            held.push(Held {
                level: units(&counted["quantity"], 9),
                start: instant(&counted["start"]),
                stop: instant(&counted["stop"]),
                sequence: event["sequence"].as_u64().expect("a sequence"),
            });
            users.extend(event["dimensions"]["user"].as_str());
        }
    }
    let levels = || held.iter().map(|held| held.level);
    let time = || held.iter().map(|held| held.stop - held.start);
    let integral = || held.iter().map(|held| held.level * (held.stop - held.start));
    match resource["meter"].as_str().expect("a meter") {
        "sum" => (levels().sum(), 1),
        // Those that do not end in the time of the line are not behind it.
        "count" => (held.len() as i128 * BILLION, 1),
        "min" => (levels().min().expect("usage"), 1),
        "max" => (levels().max().expect("usage"), 1),
        "time_integral" => (integral().sum(), 3_600_000_000),
        "average" => (integral().sum(), time().sum()),
        "latest" => {
            let latest = held.iter().max_by_key(|held| (held.stop, held.start, held.sequence));
            (latest.expect("usage").level, 1)
        }
        "unique_count" => (users.len() as i128 * BILLION, 1),
        "percentile" => {
            let length = 60_000_000 * i128::from(resource["sample_minutes"].as_u64().expect("minutes"));
            let (from, to) = (instant(&part["start"]) / length, (instant(&part["stop"]) - 1) / length);
            let mut samples = Vec::new();
            for sample in from..=to {
                let (start, stop) = (sample * length, (sample + 1) * length);
                let inside = held.iter().filter_map(|held| {
                    let time = held.stop.min(stop) - held.start.max(start);
                    (time > 0).then_some((held.level * time, time))
                });
                let (sum, time) = inside.fold((0, 0), |(sum, all), (held, time)| (sum + held, all + time));
                if time > 0 {
                    samples.push(rounded(sum, time, "half_up"));
                }
            }
            samples.sort_unstable();
            let percent = resource["percent"]
                .as_u64()
                .and_then(|percent| usize::try_from(percent).ok())
                .expect("percent");
            let rank = (percent * samples.len()).div_ceil(100);
            let told = &part["samples"];
            assert_eq!(
                (told["count"].as_u64(), told["rank"].as_u64()),
                (Some(samples.len() as u64), Some(rank as u64)),
                "{told}"
            );
            let mut told_one_by_one = Vec::new();
            for value in list(&told["values"]) {
                for _ in 0..value["samples"].as_u64().expect("a number") {
                    told_one_by_one.push(units(&value["value"], 9));
                }
            }
            assert_eq!(told_one_by_one, samples);
            (samples[rank - 1], 1)
        }
        other => panic!("{other}"),
    }
}

/// A value as it is told: a fraction of billionths.
fn told(value: &Value) -> (i128, i128) {
    match (value.get("quantity"), value.get("level_seconds"), value.get("seconds")) {
        (Some(quantity), None, None) => (units(quantity, 9), 1),
        // 10^-15 of a level and second are 10^-9 of a level and microsecond.
        (None, Some(level_seconds), None) => (units(level_seconds, 15), 3_600_000_000),
        (None, Some(level_seconds), Some(seconds)) => (units(level_seconds, 15), units(seconds, 6)),
        _ => panic!("{value}"),
    }
}

/// The quantity of usage, from its steps and from its events.
fn redo_usage(answer: &Value, basis: &Value, from_events: bool) {
    let resource = &answer["explanation"]["price"]["resource"];
    let mut sum = 0;
    for part in list(&basis["parts"]) {
        let value = told(&part["value"]);
        let steps: Vec<(i128, i128)> = list(&part["steps"]).iter().map(told).collect();
        match part["by"].as_str().expect("a word") {
            "hour" | "day" | "month" | "value" => {
                let above: i128 = steps.iter().map(|(above, _)| above).sum();
                assert_eq!(above, value.0, "{part}");
                if part["value"].get("seconds").is_some() {
                    assert_eq!(steps.iter().map(|(_, below)| below).sum::<i128>(), value.1, "{part}");
                }
            }
            "interval" => assert_eq!(steps, [value], "{part}"),
            "sample" => assert_eq!(steps, []),
            other => panic!("{other}"),
        }
        if from_events {
            let again = metered(answer, part, resource);
            assert_eq!(again.0 * value.1, value.0 * again.1, "{part:#}\n{answer:#}");
        }
        let factor = |name: &str| i128::from(part[name].as_u64().expect("a factor"));
        assert_eq!(factor("multiply_by"), resource["multiply_by"].as_u64().unwrap_or(1).into());
        assert_eq!(factor("divide_by"), resource["divide_by"].as_u64().unwrap_or(1).into());
        let quantity = rounded(value.0 * factor("multiply_by"), value.1 * factor("divide_by"), "half_up");
        assert_eq!(quantity, units(&part["quantity"], 9), "{part}");
        sum += quantity;
    }
    assert_eq!(sum, units(&basis["quantity"], 9), "{basis}");
}

fn gcd(one: i128, other: i128) -> i128 {
    if other == 0 { one } else { gcd(other, one % other) }
}

fn redo_time(time: &Value) {
    // Over a common denominator.
    let (mut above, mut below) = (0, 1);
    for part in list(&time["parts"]) {
        let (seconds, of_seconds) = (units(&part["seconds"], 6), units(&part["of_seconds"], 6));
        assert_eq!(seconds, instant(&part["stop"]) - instant(&part["start"]));
        let common = gcd(below, of_seconds);
        (above, below) =
            (above * (of_seconds / common) + seconds * (below / common), below / common * of_seconds);
    }
    let below = below * i128::from(time["divide_by"].as_u64().expect("a number"));
    // Up to two months have room: 10^9 x 10^25.
    assert_eq!(rounded(above * BILLION, below, "half_up"), units(&time["quantity"], 9), "{time}");
}

/// The parts a rate divides a quantity into, and what each costs: quantity, price and flat, in billionths.
fn tariff(rate: &Value, quantity: i128) -> Vec<(i128, i128, i128)> {
    let number = |value: &Value| if value.is_null() { 0 } else { units(value, 9) };
    let free = number(&rate["free"]).min(quantity);
    let rest = quantity - free;
    let mut parts = if free > 0 { vec![(free, 0, 0)] } else { Vec::new() };
    let tiers = list(&rate["tiers"]);
    if rest == 0 {
        return parts;
    }
    match rate["kind"].as_str().expect("a kind") {
        "per_unit" => parts.push((rest, number(&rate["price"]), 0)),
        "package" => {
            let size = number(&rate["size"]);
            parts.push(((rest + size - 1) / size * BILLION, number(&rate["price"]), 0));
        }
        "graduated" => {
            let mut below = 0;
            for tier in tiers {
                let up_to = if tier["up_to"].is_null() { rest } else { number(&tier["up_to"]).min(rest) };
                if up_to > below {
                    parts.push((up_to - below, number(&tier["price"]), number(&tier["flat"])));
                    below = up_to;
                }
            }
        }
        "volume" => {
            let tier = tiers.iter().find(|tier| tier["up_to"].is_null() || rest <= number(&tier["up_to"]));
            let tier = tier.expect("a last tier");
            parts.push((rest, number(&tier["price"]), number(&tier["flat"])));
        }
        "recurring" => parts.push((quantity, number(&rate["price"]), 0)),
        other => panic!("{other}"),
    }
    parts
}

/// The exact price of the steps, against what the rate says of the quantity; in attos.
fn redo_steps(explanation: &Value, rate: &Value, quantity: i128) -> i128 {
    let steps = list(&explanation["steps"]).iter().map(|step| {
        let parts = (units(&step["quantity"], 9), units(&step["price"], 9), units(&step["flat"], 9));
        assert_eq!(parts.0 * parts.1 + parts.2 * BILLION, units(&step["cost"], ATTO), "{step}");
        parts
    });
    let steps: Vec<_> = steps.collect();
    assert_eq!(steps, tariff(rate, quantity), "{explanation:#}");
    steps.iter().map(|(quantity, price, flat)| quantity * price + flat * BILLION).sum()
}

/// An exact price rounded, as it is told of a line.
fn redo_rounding(answer: &Value, exact: i128, rounding: &str) {
    let digits = minor_digits(answer);
    let unit = 10_i128.pow(18 - digits);
    let amount = rounded(exact, unit, rounding);
    let (explanation, line) = (&answer["explanation"], &answer["line"]);
    let sign = if explanation["turned"] == true { -1 } else { 1 };
    assert_eq!(amount, units(&explanation["amount"], digits as usize), "{answer:#}");
    assert_eq!(amount * unit - exact, units(&explanation["residue"], ATTO), "{answer:#}");
    assert_eq!(sign * amount, units(&line["amount"], digits as usize), "{answer:#}");
    assert_eq!(sign * (amount * unit - exact), units(&line["residue"], ATTO), "{answer:#}");
}

fn minor_digits(answer: &Value) -> u32 {
    match answer["currency"].as_str() {
        Some("JPY") => 0,
        Some("TND") => 3,
        _ => 2,
    }
}

fn redo_tax(answer: &Value, invoice: &Value) {
    let (digits, tax) = (minor_digits(answer), &answer["explanation"]["tax"]);
    let amount = |value: &Value| units(value, digits as usize);
    let lines = list(&invoice["lines"]).iter().filter(|line| line["tax"] == answer["line"]["tax"]);
    let (numbers, amounts): (Vec<_>, Vec<_>) =
        lines.map(|line| (&line["n"], amount(&line["amount"]))).unzip();
    assert_eq!(list(&tax["lines"]).iter().collect::<Vec<_>>(), numbers);
    assert_eq!(amount(&tax["base"]), amounts.iter().sum::<i128>());
    // Minor units x billionths of a percent.
    let exact = amount(&tax["base"]) * units(&tax["rate"], 9);
    assert_eq!(units(&tax["exact"], ATTO), exact * 10_i128.pow(18 - 11 - digits));
    assert_eq!(amount(&tax["amount"]), rounded(exact, 100 * BILLION, "half_up"));
    let subtotal = list(&invoice["tax"]).iter().find(|subtotal| subtotal["rate"] == tax["rate"]);
    assert_eq!(subtotal.map(|subtotal| &subtotal["amount"]), Some(&tax["amount"]));
}

/// Does a line again; what kind of arithmetic it was.
fn redo(kit: &Kit, invoice: &Value, n: u64) -> String {
    let id = invoice["id"].as_str().expect("an id");
    let path = format!("/v1/invoices/{id}/lines/{n}/explanation");
    let reply = kit.get(&format!("{path}?limit=1000"));
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let mut answer = reply.json();
    while let Some(next) = answer["next"].as_str() {
        let more = kit.get(&format!("{path}?limit=1000&cursor={next}")).json();
        let items = [list(&answer["items"]), list(&more["items"])].concat();
        answer["items"] = items.into();
        answer["next"] = more["next"].clone();
    }
    let (line, explanation) = (&answer["line"], &answer["explanation"]);
    assert_eq!(explanation["found"], true, "{answer:#}");
    assert_eq!(list(&answer["items"]).len() as u64, line["events"]["count"].as_u64().expect("a number"));
    redo_tax(&answer, invoice);
    let (basis, price) = (&explanation["basis"], &explanation["price"]);
    let rounding = price["rounding"].as_str().unwrap_or("half_up");
    let digits = minor_digits(&answer) as usize;
    let amount = |value: &Value| units(value, digits);
    let kind = basis["type"].as_str().expect("a basis").to_owned();
    let sign = if explanation["turned"] == true { -1 } else { 1 };
    match &*kind {
        "time" | "usage" => {
            if kind == "time" {
                redo_time(basis);
            } else {
                redo_usage(&answer, basis, true);
            }
            assert_eq!(sign * units(&line["quantity"], 9), units(&basis["quantity"], 9));
            let exact = redo_steps(explanation, &price["rate"], units(&basis["quantity"], 9));
            assert_eq!(exact, units(&explanation["exact"], ATTO));
            redo_rounding(&answer, exact, rounding);
        }
        "lines" => {
            let sum: i128 = list(&basis["lines"]).iter().map(|line| amount(&line["amount"])).sum();
            assert_eq!(sum, amount(&basis["sum"]));
            for counted in list(&basis["lines"]) {
                let other = list(&invoice["lines"]).iter().find(|line| line["n"] == counted["n"]);
                assert_eq!(sign * amount(&other.expect("a line")["amount"]), amount(&counted["amount"]));
            }
            if price["rate"]["kind"] == "percentage" {
                let percent = units(&price["rate"]["percent"], 9);
                let exact = sum * percent * 10_i128.pow(7 - u32::try_from(digits).expect("small"));
                assert_eq!(exact, units(&explanation["exact"], ATTO));
                redo_rounding(&answer, exact, rounding);
            } else {
                let least = &basis["least"];
                redo_time(&least["time"]);
                let exact = units(&least["time"]["quantity"], 9) * units(&price["rate"]["price"], 9);
                assert_eq!(exact, units(&least["exact"], ATTO));
                let unit = 10_i128.pow(18 - minor_digits(&answer));
                let rounded = rounded(exact, unit, rounding);
                assert_eq!(rounded, amount(&least["amount"]));
                assert_eq!(sign * (rounded - sum), amount(&line["amount"]));
                assert_eq!(sign * (rounded * unit - exact), units(&line["residue"], ATTO));
            }
        }
        "taken_back" => {
            let left = amount(&basis["charged"]) - amount(&basis["given_back"]);
            assert_eq!(left, amount(&basis["left"]));
            assert_eq!(sign * amount(&line["amount"]), -left, "{answer:#}");
        }
        "adjustment" => {
            let now = &basis["now"];
            if now["usage"].is_object() {
                redo_usage(&answer, &now["usage"], false);
            }
            let charged = list(&basis["charged"]);
            let sum: i128 = charged.iter().map(|line| amount(&line["amount"])).sum();
            let given: i128 = charged.iter().map(|line| amount(&line["given_back"])).sum();
            assert_eq!(
                (sum, given),
                (amount(&basis["charged_amount"]), amount(&basis["given_back"])),
                "{answer:#}"
            );
            let unit = 10_i128.pow(18 - minor_digits(&answer));
            let (quantity, rate) = (units(&now["quantity"], 9), &price["rate"]);
            match rate["kind"].as_str() {
                Some("percentage") => {
                    let exact = amount(&now["base"]) * quantity * unit / (100 * BILLION);
                    assert_eq!(exact, units(&now["exact"], ATTO));
                    assert_eq!(rounded(exact, unit, rounding), amount(&now["amount"]));
                }
                Some("minimum") => {
                    let least = rounded(quantity * units(&rate["price"], 9), unit, rounding);
                    assert_eq!(least - amount(&now["base"]), amount(&now["amount"]));
                }
                _ => {
                    let exact = redo_steps(now, rate, quantity);
                    assert_eq!(exact, units(&now["exact"], ATTO));
                    assert_eq!(rounded(exact, unit, rounding), amount(&now["amount"]));
                }
            }
            let difference = (amount(&now["amount"]) - sum).max(-(sum - given).max(0));
            assert_eq!(sign * amount(&line["amount"]), difference, "{answer:#}");
        }
        "by_hand" => assert_eq!(line["events"]["first_sequence"], basis["sequence"]),
        other => panic!("{other}"),
    }
    match &*kind {
        "time" | "usage" => format!("{} {}", price["rate"]["kind"].as_str().expect("a kind"), {
            let meter = price["resource"]["meter"].as_str();
            meter.or(price["rate"]["every"].as_str()).unwrap_or("")
        }),
        _ => kind,
    }
}

/// Does all lines of a document again.
fn redo_all(kit: &Kit, id: &str) -> Vec<String> {
    let invoice = kit.get(&format!("/v1/invoices/{id}")).json();
    let lines = list(&invoice["lines"]);
    let kinds = lines.iter().map(|line| redo(kit, &invoice, line["n"].as_u64().expect("a number"))).collect();
    // And all at once, without the events.
    let all = kit.get(&format!("/v1/invoices/{id}/explanation")).json();
    assert_eq!(list(&all["items"]).len(), lines.len());
    for (item, line) in list(&all["items"]).iter().zip(lines) {
        assert_eq!(item["line"], *line);
        let path = format!("/v1/invoices/{id}/lines/{}/explanation?limit=1", line["n"]);
        assert_eq!(item["explanation"], kit.get(&path).json()["explanation"]);
    }
    assert_eq!([&all["net"], &all["total"]], [&invoice["net"], &invoice["total"]]);
    kinds
}

struct Usage<'a> {
    id: &'a str,
    subject: &'a str,
    resource: &'a str,
    quantity: &'a str,
    period: (&'a str, &'a str),
    dimensions: Value,
    replaces: Option<&'a str>,
}

fn used(kit: &Kit, usage: &Usage<'_>) {
    let mut data = json!({"resource": usage.resource, "quantity": usage.quantity, "start": usage.period.0,
        "stop": usage.period.1, "dimensions": usage.dimensions});
    if let Some(replaces) = usage.replaces {
        data["replaces"] = replaces.into();
    }
    let event = json!({"specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1", "id": usage.id,
        "subject": usage.subject, "data": data});
    let reply = kit.post("/v1/usage-events", "application/x-ndjson", event.to_string());
    assert_eq!(reply.json()["accepted"], 1, "{}", reply.json());
}

/// Usage of many kinds in October of somebody in Paris, told twice for two instances; an event reaches over the end.
fn use_everything(kit: &Kit) {
    let mut n = 0;
    let mut report =
        |subject: &str, resource: &str, quantity: &str, period: (&str, &str), dimensions: Value| {
            n += 1;
            let id = format!("usage {n}");
            used(kit, &Usage { id: &id, subject, resource, quantity, period, dimensions, replaces: None });
        };
    for (subject, more) in [("slappart0", "1"), ("slappart1", "7")] {
        for (resource, quantity) in [
            ("cpu", "33.3"),
            ("disk", "700.123"),
            ("low", "5"),
            ("high", "5"),
            ("mean", "5"),
            ("last", "5"),
            ("net", "12"),
        ] {
            let none = || json!({});
            let more = format!("{quantity}{more}");
            report(subject, resource, quantity, ("2026-10-05T00:00:00Z", "2026-10-05T07:20:00Z"), none());
            report(subject, resource, &more, ("2026-10-09T21:00:00Z", "2026-10-10T00:00:00.000001Z"), none());
            // Over the clock's change, and beyond the end of October in Paris.
            report(subject, resource, &more, ("2026-10-24T20:00:00Z", "2026-10-26T20:00:00Z"), none());
            report(subject, resource, "3", ("2026-10-31T22:00:00Z", "2026-11-01T01:00:00Z"), none());
        }
        for (resource, quantity) in [
            ("requests", "1234.5"),
            ("bytes", "150.5"),
            ("calls", "70.25"),
            ("hits", "99.9"),
            ("jobs", "1"),
            ("users", "1"),
        ] {
            for (day, zone, user) in [("02", "a", "x"), ("03", "b", "y"), ("04", "a", "x")] {
                let (start, stop) = (format!("2026-10-{day}T10:00:00Z"), format!("2026-10-{day}T11:30:00Z"));
                let dimensions = json!({"zone": zone, "user": user});
                report(subject, resource, quantity, (&start, &stop), dimensions);
            }
            let over = ("2026-10-31T22:30:00Z", "2026-10-31T23:20:00Z");
            report(subject, resource, more, over, json!({"zone": "a"}));
        }
    }
}

fn everything(currency: &str, rounding: &str) -> Value {
    let gauge = |name: &str, meter: &str, unit: &str| json!({"resource": name, "kind": "gauge", "meter": meter, "unit": unit});
    let counter =
        |name: &str, meter: &str| json!({"resource": name, "kind": "counter", "meter": meter, "unit": name});
    let mut disk = gauge("disk", "time_integral", "GiB_hour");
    disk["reported_in"] = "MiB".into();
    let mut net = gauge("net", "percentile", "Mbit");
    (net["percent"], net["sample_minutes"]) = (95.into(), 30.into());
    let (mut hits, mut users) = (counter("hits", "sum"), counter("users", "unique_count"));
    hits["group_by"] = json!(["zone"]);
    users["dimension"] = "user".into();
    json!({
        "name": "everything", "currency": currency, "valid_from": "2026-01-01T00:00:00Z", "rounding": rounding,
        "resources": [
            gauge("cpu", "time_integral", "percent_hour"), disk, net, hits, users, gauge("low", "min", "level"),
            gauge("high", "max", "level"), gauge("mean", "average", "level"), gauge("last", "latest", "level"),
            counter("requests", "sum"), counter("bytes", "sum"), counter("calls", "sum"), counter("jobs", "count"),
        ],
        "rates": [
            {"kind": "recurring", "every": "month", "when": "arrears", "price": "9.99"},
            {"kind": "recurring", "item": "watch", "every": "hour", "when": "arrears", "price": "0.0123"},
            {"kind": "recurring", "item": "care", "every": "day", "when": "arrears", "price": "0.3333"},
            {"kind": "recurring", "item": "name", "every": "year", "when": "arrears", "price": "12.345"},
            {"kind": "recurring", "item": "rack", "every": "month", "when": "advance", "price": "77.70"},
            {"kind": "per_unit", "resource": "cpu", "price": "0.002345678"},
            {"kind": "per_unit", "resource": "disk", "price": "0.01", "free": "3.5"},
            {"kind": "per_unit", "resource": "net", "price": "1.05"},
            {"kind": "per_unit", "resource": "hits", "price": "0.005"},
            {"kind": "volume", "resource": "calls", "tiers": [{"up_to": "100", "price": "0.2"}, {"price": "0.1", "flat": "0.5"}]},
            {"kind": "package", "resource": "bytes", "size": "100", "price": "0.99", "free": "50"},
            {"kind": "graduated", "resource": "requests", "per": "customer", "free": "10",
             "tiers": [{"up_to": "1000", "price": "0.002"}, {"up_to": "2000.5", "price": "0.001", "flat": "1"}, {"price": "0.0005"}]},
            {"kind": "per_unit", "resource": "jobs", "price": "0.25"},
            {"kind": "per_unit", "resource": "users", "price": "1.5"},
            {"kind": "per_unit", "resource": "low", "price": "0.1"},
            {"kind": "per_unit", "resource": "high", "price": "0.1"},
            {"kind": "per_unit", "resource": "mean", "price": "0.123456789"},
            {"kind": "per_unit", "resource": "last", "price": "0.1"},
            {"kind": "percentage", "percent": "3.75", "of": "usage"},
            {"kind": "minimum", "price": "1234.565"},
        ],
    })
}

/// Somebody in Paris with two instances, one from the middle of October on, who uses everything.
fn cloud(currency: &str, rounding: &str) -> (Kit, PartyId) {
    let kit = Kit::with_computer("2026-09-20T00:00:00Z");
    let customer = kit.register("Nexedi", "Europe/Paris");
    let reply = kit.post_json("/v1/price-books", &everything(currency, rounding));
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    kit.set("2026-09-25T00:00:00Z");
    kit.instance(customer, "shop");
    kit.started("slappart0");
    kit.set("2026-10-01T05:06:07.089Z");
    kit.instance(customer, "blog");
    kit.started("slappart1");
    (kit, customer)
}

fn run(kit: &Kit, (start, stop): (&str, &str), finalise: bool) -> Value {
    let body = json!({"period": {"start": start, "stop": stop}, "finalise": finalise});
    let reply = kit.post_json("/v1/invoice-runs", &body);
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    reply.json()
}

const OCTOBER: (&str, &str) = ("2026-10-01", "2026-11-01");

#[test]
fn every_line_can_be_done_again_by_hand() {
    for (currency, rounding) in [("EUR", "half_up"), ("TND", "half_even"), ("JPY", "half_up")] {
        let (kit, _) = cloud(currency, rounding);
        kit.submit(Command::SetTaxRate(SetTaxRate {
            seller: FIRST_PARTY,
            rate: "19.6".parse().expect("a rate"),
            valid_from: at("2026-01-01T00:00:00Z"),
        }));
        kit.set("2026-11-01T10:00:00Z");
        use_everything(&kit);
        run(&kit, OCTOBER, false);
        let mut kinds = redo_all(&kit, "RUN-1-PARTY-2");
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(
            kinds,
            [
                "graduated sum",
                "lines",
                "package sum",
                "per_unit average",
                "per_unit count",
                "per_unit latest",
                "per_unit max",
                "per_unit min",
                "per_unit percentile",
                "per_unit sum",
                "per_unit time_integral",
                "per_unit unique_count",
                "recurring day",
                "recurring hour",
                "recurring month",
                "recurring year",
                "volume sum",
            ]
        );
    }
}

#[test]
fn what_is_settled_adjusted_and_said_by_hand_can_be_done_again() {
    let (kit, customer) = cloud("EUR", "half_up");
    kit.set("2026-10-01T05:00:00Z");
    run(&kit, ("2026-09-01", "2026-10-01"), true);
    assert!(redo_all(&kit, "INV-2026-000001").contains(&"recurring month".to_owned()));
    // A quarter of an hour before October ends in Paris, an instance does.
    kit.set("2026-10-31T22:45:00Z");
    let gone = Request::delete("/v1/instances/SOFTINST-1").body(Body::empty()).expect("a request");
    assert_eq!(kit.send(gone).status, StatusCode::OK);
    kit.submit(Command::ReportInstance(ReportInstance {
        place: InstancePlace::new("COMP-1".parse().expect("a name"), "slappart0".parse().expect("a name")),
        state: ReportedState::Destroyed,
        error: None,
    }));
    kit.set("2026-11-01T10:00:00Z");
    use_everything(&kit);
    let currency: Currency = "EUR".parse().expect("a currency");
    kit.submit(Command::RecordCharge(RecordCharge {
        seller: FIRST_PARTY,
        customer,
        currency,
        amount: Amount::from_minor(-500, currency),
        description: "a discount".into(),
        cites: None,
        as_of: None,
    }));
    run(&kit, OCTOBER, true);
    let kinds = redo_all(&kit, "INV-2026-000002");
    for kind in ["taken_back", "by_hand", "recurring month", "lines"] {
        assert!(kinds.iter().any(|known| known == kind), "{kind} in {kinds:?}");
    }
    let first = |resource: &str, id: &str| {
        let invoice = kit.get(&format!("/v1/invoices/{id}")).json();
        let line = list(&invoice["lines"]).iter().find(|line| line["resource"] == resource).cloned();
        line.expect("a line")["n"].as_u64().expect("a number")
    };
    let cpu = first("cpu", "INV-2026-000002");
    let path = format!("/v1/invoices/INV-2026-000002/lines/{cpu}/explanation");
    let before = kit.get(&path).json();
    assert_eq!(before["explanation"].get("since"), None);

    // One report is corrected, and another comes late: the line says what it was, and what it would be.
    kit.set("2026-11-20T00:00:00Z");
    let period = ("2026-10-05T00:00:00Z", "2026-10-05T07:20:00Z");
    let report = |id, quantity, period, replaces| {
        let (subject, resource, dimensions) = ("slappart0", "cpu", json!({}));
        used(&kit, &Usage { id, subject, resource, quantity, period, dimensions, replaces });
    };
    report("corrected", "44", period, Some("usage 1"));
    report("late", "10", ("2026-10-06T00:00:00Z", "2026-10-06T03:00:00Z"), None);
    let mut after = kit.get(&path).json();
    let since = after["explanation"].as_object_mut().expect("an object").remove("since").expect("it changed");
    assert_eq!(since["events"]["count"], 2, "{since}");
    // 10.7 percent more for 7 hours and 20 minutes, and 30 percent hours.
    let more = 107 * BILLION * 22 / 30 + 30 * BILLION;
    let told = units(&since["quantity"], 9) - units(&before["line"]["quantity"], 9);
    assert!((told - more).abs() <= 1, "{told} {more} {since}");
    assert_eq!(
        units(&since["amount"], 2) - units(&before["line"]["amount"], 2),
        units(&since["difference"], 2)
    );
    assert_eq!(
        [&after["explanation"], &after["line"], &after["items"]],
        [&before["explanation"], &before["line"], &before["items"]],
        "nothing else has changed"
    );
    assert!(redo_all(&kit, "INV-2026-000002").contains(&"per_unit time_integral".to_owned()));

    kit.set("2026-12-01T10:00:00Z");
    run(&kit, ("2026-11-01", "2026-12-01"), true);
    let kinds = redo_all(&kit, "INV-2026-000003");
    // The usage, the percentage of it, and what the minimum lacks now.
    assert_eq!(kinds.iter().filter(|kind| *kind == "adjustment").count(), 3, "{kinds:?}");
    let later = kit.get(&path).json()["explanation"]["later"].clone();
    assert_eq!(later[0]["invoice"], "INV-2026-000003");
    assert_eq!(later[0]["amount"], since["difference"]);

    // Usage that is taken away again: what is given back is a credit, and can be done again too.
    report("taken away", "0", period, Some("corrected"));
    kit.set("2027-01-01T10:00:00Z");
    run(&kit, ("2026-12-01", "2027-01-01"), true);
    let kinds = redo_all(&kit, "INV-2027-000001");
    assert!(kinds.iter().any(|kind| kind == "adjustment"), "{kinds:?}");
}

#[test]
fn a_credit_note_of_a_run_can_be_done_again() {
    let kit = Kit::with_computer("2026-09-20T00:00:00Z");
    let customer = kit.register("Nexedi", "Europe/Paris");
    let book = json!({
        "name": "usage", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z",
        "resources": [{"resource": "cpu", "kind": "gauge", "meter": "time_integral", "unit": "percent_hour"}],
        "rates": [{"kind": "graduated", "resource": "cpu",
                   "tiers": [{"up_to": "100", "price": "0.01"}, {"price": "0.005", "flat": "0.333"}]}],
    });
    assert_eq!(kit.post_json("/v1/price-books", &book).status, StatusCode::CREATED);
    kit.instance(customer, "shop");
    kit.started("slappart0");
    kit.set("2026-11-01T10:00:00Z");
    let period = ("2026-10-05T00:00:00Z", "2026-10-05T07:20:00Z");
    let report = |id, quantity, replaces| {
        let (subject, resource, dimensions) = ("slappart0", "cpu", json!({}));
        used(&kit, &Usage { id, subject, resource, quantity, period, dimensions, replaces });
    };
    report("a", "55.5", None);
    run(&kit, OCTOBER, true);
    assert_eq!(redo_all(&kit, "INV-2026-000001"), ["graduated time_integral"]);
    // 22 percent hours instead of 407.
    report("b", "3", Some("a"));
    kit.set("2026-12-01T10:00:00Z");
    run(&kit, ("2026-11-01", "2026-12-01"), true);
    let note = kit.get("/v1/invoices/INVCN-2026-000001").json();
    // 100 x 0.01 + 307 x 0.005 + 0.333 = 2.868 was 2.87; 22 x 0.01 is 0.22.
    assert_eq!((&note["document"], &note["total"]), (&json!("credit_note"), &json!("2.65")));
    assert_eq!(redo_all(&kit, "INVCN-2026-000001"), ["adjustment"]);
}

#[test]
fn an_explanation_reads_like_this() {
    let (kit, _) = cloud("EUR", "half_up");
    kit.set("2026-11-01T10:00:00Z");
    use_everything(&kit);
    run(&kit, OCTOBER, true);
    let invoice = kit.get("/v1/invoices/INV-2026-000001").json();
    let formulas = list(&invoice["lines"]).iter().map(|line| {
        let path = format!("/v1/invoices/INV-2026-000001/lines/{}/explanation?limit=1", line["n"]);
        let answer = kit.get(&path).json();
        let formula: Vec<&str> =
            list(&answer["explanation"]["formula"]).iter().filter_map(Value::as_str).collect();
        format!("{} {}: {}", line["n"], line["kind"].as_str().unwrap_or(""), formula.join("; "))
    });
    insta::assert_snapshot!(formulas.collect::<Vec<_>>().join("\n"));
    let n = list(&invoice["lines"])
        .iter()
        .find(|line| line["resource"] == "cpu")
        .map(|line| line["n"].clone())
        .expect("a line");
    let mut answer = kit.get(&format!("/v1/invoices/INV-2026-000001/lines/{n}/explanation?limit=2")).json();
    answer["line"] = json!("as the invoice has it");
    answer["events"]["digest"] = json!("a digest");
    insta::assert_snapshot!(serde_json::to_string_pretty(&answer).expect("JSON"));
}

#[test]
fn what_is_not_there_cannot_be_explained() {
    let (kit, _) = cloud("EUR", "half_up");
    kit.set("2026-11-01T10:00:00Z");
    run(&kit, OCTOBER, false);
    for path in [
        "/v1/invoices/INV-2026-000009/explanation",
        "/v1/invoices/INV-2026-000009/lines/1/explanation",
        "/v1/invoices/RUN-1-PARTY-2/lines/0/explanation",
        "/v1/invoices/RUN-1-PARTY-2/lines/99/explanation",
        "/v1/invoices/RUN-1-PARTY-2/lines/x/explanation",
    ] {
        assert_eq!(kit.get(path).problem().0, 404, "{path}");
    }
    assert_eq!(kit.get("/v1/invoices/RUN-1-PARTY-2/explanation?cursor=x").problem().0, 400);
    let page = kit.get("/v1/invoices/RUN-1-PARTY-2/explanation?limit=1").json();
    assert_eq!((list(&page["items"]).len(), &page["next"]), (1, &json!("1")));
    let rest = kit.get("/v1/invoices/RUN-1-PARTY-2/explanation?cursor=1").json();
    assert_eq!((&rest["items"][0]["line"]["n"], &rest["next"]), (&json!(2), &Value::Null));
}
