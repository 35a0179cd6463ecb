//! Computers: those that are silent first.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::values::{items, text};
use crate::answers::{Answers, DerivedFrom, PageRequest, Part};
use crate::format;

/// How a computer is.
fn state(computer: &Value) -> &str {
    if computer["retired_at"].is_string() {
        "retired"
    } else if computer["silent_since"].is_string() {
        "silent"
    } else if computer["configured_at"].is_null() {
        "requested"
    } else {
        "current"
    }
}

/// A slot for each partition: taken, free, or lost.
fn slots(computer: &Value) -> String {
    let of = |member: &str| {
        usize::try_from(computer["partitions"][member].as_u64().unwrap_or_default()).unwrap_or(0)
    };
    let marks = [("b", of("busy")), ("slot", of("free")), ("b-warn", of("lost")), ("b2", of("withdrawn"))];
    let total: usize = marks.iter().map(|(_, count)| count).sum();
    // More than a line of them says no more than the number beside it.
    let shown = total.min(40);
    let width = shown.max(1) * 10;
    let slots = marks
        .into_iter()
        .flat_map(|(class, count)| std::iter::repeat_n(class, count))
        .take(shown)
        .enumerate();
    let slots = slots.fold(String::new(), |mut svg, (at, class)| {
        let _ =
            write!(svg, "<rect class=\"{class}\" x=\"{}\" y=\"1\" width=\"8\" height=\"8\"/>", at * 10 + 1);
        svg
    });
    format!("<svg class=\"slots\" viewBox=\"0 0 {width} 10\" aria-hidden=\"true\">{slots}</svg>")
}

/// The days that a lane shows.
const DAYS: i64 = 31;

/// The last days of a computer as a lane: there, silent, or not yet there.
fn lane(view: &DerivedFrom<'_>, computer: &Value) -> Option<String> {
    let now = format::parse(&view.asked.now)?.timestamp();
    let from = now - DAYS * 86_400;
    let at = |text: &str| format::parse(text).map(|instant| instant.timestamp());
    // Of 620 units, 20 are a day.
    let place = |instant: i64| (instant.clamp(from, now) - from) * DAYS * 20 / (DAYS * 86_400);
    let mut svg = format!(
        "<svg class=\"lane\" viewBox=\"0 0 {} 40\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\" \
         shape-rendering=\"crispEdges\"><line class=\"axis\" x1=\"0\" x2=\"{}\" y1=\"39.5\" y2=\"39.5\"/>",
        DAYS * 20,
        format::escape(&lane_name(view, computer)),
        DAYS * 20
    );
    let mut bar = |class: &str, start: i64, stop: i64, top: u32| {
        let (x, end) = (place(start), place(stop));
        if end > x {
            let (width, height) = (end - x, 39 - top);
            let _ = write!(
                svg,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"/>"
            );
        }
    };
    let began = at(text(computer, "configured_at")).or_else(|| at(text(computer, "registered_at")))?;
    let ended = at(text(computer, "retired_at")).unwrap_or(now);
    let mut heard = began;
    for silence in items(&computer["silences"]) {
        let since = at(text(silence, "since")).unwrap_or(heard);
        let until = at(text(silence, "until")).unwrap_or(now);
        bar("b", heard, since, 12);
        bar("b-bad", since, until, 4);
        heard = until;
    }
    bar("b", heard, ended, 12);
    // In front of what was heard: a computer that is in error speaks.
    for error in items(&computer["errors"]) {
        let since = at(text(error, "since")).unwrap_or(began);
        bar("b-warn", since, at(text(error, "until")).unwrap_or(now).max(since + 7200), 24);
    }
    svg.push_str("</svg>");
    Some(svg)
}

/// What a lane says, in words.
fn lane_name(view: &DerivedFrom<'_>, computer: &Value) -> String {
    let count = |member: &str| items(&computer[member]).len().to_string();
    let named = ("computer", text(computer, "id").to_owned());
    let silent = view.writer.text("lane-name", &[named, ("count", count("silences"))]);
    let in_error = view.writer.text("lane-errors", &[("count", count("errors"))]);
    format!("{silent}, {in_error}")
}

/// Whether something on a computer is in error now.
fn is_in_error(computer: &Value) -> bool {
    items(&computer["errors"]).last().is_some_and(|last| last["until"].is_null())
}

fn row(view: &DerivedFrom<'_>, computer: &Value) -> Value {
    json!({"it": computer, "state": state(computer), "is_in_error": is_in_error(computer), "slots": slots(computer), "lane": lane(view, computer)})
}

pub(crate) fn derive(view: &DerivedFrom<'_>) -> Value {
    let all = view.answers.get("it").map_or(&[][..], |it| items(&it["items"]));
    let rank = |computer: &&Value| match state(computer) {
        "silent" => 0,
        "requested" => 1,
        "current" => 2,
        _ => 3,
    };
    let mut sorted: Vec<&Value> = all.iter().collect();
    sorted.sort_by_key(rank);
    let counts = view.answers.get("counts").unwrap_or(&Value::Null);
    let states = ["all", "silent", "error", "current", "requested", "retired"];
    let tabs = states.iter().map(|state| json!({"state": state, "count": counts[*state]}));
    json!({
        "rows": sorted.into_iter().map(|computer| row(view, computer)).collect::<Vec<_>>(),
        "counts": counts, "tabs": tabs.collect::<Vec<_>>(),
        "state": view.asked.parameter("state").unwrap_or("all"),
    })
}

/// How many computers there are in all.
pub(crate) fn list_parts(_: &PageRequest, _: &Answers) -> Vec<Part> {
    vec![Part::new("counts", "/v1/computer-counts")]
}

/// What runs in its partitions.
pub(crate) fn parts(_: &PageRequest, answers: &Answers) -> Vec<Part> {
    let id = answers.get("it").map_or("", |it| text(it, "id"));
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("computer", id).finish();
    vec![Part::new("instances", format!("/v1/instances?{query}&limit=1000"))]
}

pub(crate) fn derive_one(view: &DerivedFrom<'_>) -> Value {
    let Some(it) = view.answers.get("it") else { return Value::Null };
    let known = view.answers.get("instances").map_or(&[][..], |list| items(&list["items"]));
    let here = items(&it["partition_list"]).iter().map(|partition| {
        let instance = known.iter().find(|known| known["id"] == partition["instance"]);
        json!({"it": partition, "instance": instance})
    });
    let mut shown = row(view, it);
    shown["partitions"] = here.collect();
    shown
}
