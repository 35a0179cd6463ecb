//! Usage events that wait for a decision, and usage that is missing.

use chrono::TimeDelta;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::month::CalendarMonth;
use super::values::{decimal, distinct, items, text};
use crate::answers::{Answers, DerivedFrom, PageRequest, Part};
use crate::format;

/// The rows that are shown.
const ROWS: usize = 50;
/// How many gaps of a month it shows at a time: of a computer that fell silent it is worked out what is still charged.
const MOST_GAPS: &str = "25";

/// The event that is unfolded: the one that is asked for, or the first.
fn open<'a>(asked: &PageRequest, answers: &'a Answers) -> Option<&'a Value> {
    let all = items(&answers.get("suspense")?["items"]);
    match asked.parameter("open").and_then(|open| open.parse::<u64>().ok()) {
        Some(sequence) => all.iter().find(|usage| usage["sequence"].as_u64() == Some(sequence)),
        None => all.first(),
    }
}

/// The query of a list that takes the filters of the page; each of them under its own name.
fn filtered(asked: &PageRequest, filters: &[(&str, &str)], limit: Option<usize>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(limit) = limit {
        query.append_pair("limit", &limit.to_string());
    }
    for (name, parameter) in filters {
        if let Some(value) = asked.parameter(parameter) {
            query.append_pair(name, value);
        }
    }
    query.finish()
}

/// The instance that has the partition of an event now.
fn instance<'a>(usage: &'a Value, answers: &'a Answers) -> &'a str {
    let subject = text(usage, "subject");
    if subject.starts_with("SOFTINST-") {
        return subject;
    }
    let partitions = answers.get("computer").map_or(&[][..], |computer| items(&computer["partition_list"]));
    partitions
        .iter()
        .find(|partition| text(partition, "id") == subject || text(partition, "user") == subject)
        .map_or("", |partition| text(partition, "instance"))
}

/// What became of events that were sent, as the filters say.
fn receipts(asked: &PageRequest) -> String {
    let filters = [("computer", "computer"), ("outcome", "outcome"), ("cursor", "before")];
    format!("/v1/usage-receipts?{}", filtered(asked, &filters, Some(ROWS)))
}

/// The outcomes with their numbers; first all of them.
fn outcomes(totals: &Value) -> Vec<Value> {
    let names = ["accepted", "duplicate", "suspended", "rejected"];
    let of = |name: &str| totals[name].as_u64().unwrap_or_default();
    let all = json!({"outcome": "", "count": names.iter().map(|name| of(name)).sum::<u64>()});
    let each = names.iter().map(|name| json!({"outcome": name, "count": of(name)}));
    [all].into_iter().chain(each).collect()
}

/// A receipt, with the key of what is to be done next.
fn receipt(receipt: &Value) -> Value {
    let mut receipt = receipt.clone();
    let next = match text(&receipt, "outcome") {
        "rejected" if receipt["sequence"].is_u64() => "conflict",
        outcome => outcome,
    };
    receipt["next"] = next.into();
    receipt
}

pub(crate) fn parts(asked: &PageRequest, answers: &Answers) -> Vec<Part> {
    let (reason, computer, cursor) = (("reason", "reason"), ("computer", "computer"), ("cursor", "cursor"));
    let listed = filtered(asked, &[reason, computer, cursor], Some(ROWS));
    // Counts say what each choice would leave: of one filter, with the other.
    let mut parts = vec![
        Part::new("suspense", format!("/v1/usage-suspense?{listed}")),
        Part::new("reasons", format!("/v1/usage-suspense-counts?{}", filtered(asked, &[computer], None))),
        Part::new("computers", format!("/v1/usage-suspense-counts?{}", filtered(asked, &[reason], None))),
    ];
    if let Some(month) = CalendarMonth::asked(asked) {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("period", &month.period()).append_pair("limit", MOST_GAPS);
        if let Some(cursor) = asked.parameter("gap") {
            query.append_pair("cursor", cursor);
        }
        parts.push(Part::new("gaps", format!("/v1/usage-gaps?{}", query.finish())));
    }
    parts.push(Part::new("receipts", receipts(asked)));
    let Some(usage) = open(asked, answers) else { return parts };
    let computer = text(usage, "computer");
    parts.push(Part::new("computer", format!("/v1/computers/{computer}")));
    let subject = instance(usage, answers);
    if !subject.is_empty() {
        parts.push(Part::new("instance", format!("/v1/instances/{subject}")));
        let around = |member: &str, hours: i64| {
            let at = format::parse(text(usage, member))?.checked_add_signed(TimeDelta::hours(hours))?;
            Some(at.format("%Y-%m-%dT%H:%M:%SZ").to_string())
        };
        for (name, hours) in [("around", 1), ("again", 0)] {
            if let (Some(from), Some(to)) = (around("start", -hours), around("stop", hours)) {
                let query = form_urlencoded::Serializer::new(String::new())
                    .append_pair("instance", subject)
                    .append_pair("resource", text(usage, "resource"))
                    .append_pair("from", &from)
                    .append_pair("to", &to)
                    .append_pair("step", "hour")
                    .append_pair("time_zone", "UTC")
                    .finish();
                parts.push(Part::new(name, format!("/v1/usage?{query}")));
            }
        }
    }
    parts
}

pub(crate) fn derive(view: &DerivedFrom<'_>) -> Value {
    let (asked, answers) = (view.asked, view.answers);
    let rows = answers.get("suspense").map_or(&[][..], |list| items(&list["items"]));
    let counts = |name: &str| answers.get(name).unwrap_or(&Value::Null);
    let reasons = &counts("reasons")["reasons"];
    let opened = open(asked, answers);
    let around = answers.get("around").map_or(&[][..], |around| items(&around["resources"]));
    let steps: Vec<Value> = around.first().map_or(&[][..], |resource| items(&resource["steps"])).to_vec();
    // What was metered in the very time of the event was reported by others.
    let again = answers.get("again").map_or(&[][..], |again| items(&again["resources"]));
    let again = again.first().map_or(&[][..], |resource| items(&resource["steps"]));
    let (events, value) = again.iter().fold((0, Decimal::ZERO), |(events, value), step| {
        (events.max(step["events"].as_u64().unwrap_or_default()), value + decimal(&step["sum"]))
    });
    // The ledger says whether all of the time was reported again.
    let is_again = opened.is_some_and(|usage| usage["suggestion"].is_object());
    let again =
        (is_again && events > 0).then(|| json!({"events": events, "sum": value.normalize().to_string()}));
    let gaps = answers.get("gaps").map_or(&[][..], |gaps| items(&gaps["items"]));
    let receipts = answers.get("receipts").unwrap_or(&Value::Null);
    let reporters = items(&receipts["computers"]).iter().map(|known| text(known, "computer"));
    let is_filtered =
        ["reason", "computer", "cursor"].into_iter().any(|name| asked.parameter(name).is_some());
    json!({
        "outcomes": outcomes(&receipts["totals"]),
        "outcome": asked.parameter("outcome"),
        "since": receipts["since"],
        "receipts": items(&receipts["items"]).iter().map(receipt).collect::<Vec<_>>(),
        "older": receipts["next"],
        "count": counts("reasons")["all"].as_u64().unwrap_or_default(),
        "next": answers.get("suspense").map(|list| list["next"].clone()),
        "is_filtered": is_filtered,
        "reasons": reasons,
        "computers": distinct(
            items(&counts("computers")["computers"]).iter().map(|known| text(known, "computer")).chain(reporters)
        ),
        "rows": rows,
        "open": opened.map(|usage| usage["sequence"].clone()),
        "steps": steps,
        "again": again,
        "gaps_next": answers.get("gaps").map(|gaps| &gaps["next"]),
        "gaps": gaps.iter().filter(|gap| text(gap, "type") != "suspended").collect::<Vec<_>>(),
        "month": CalendarMonth::asked(asked).map(CalendarMonth::key),
        "reason": asked.parameter("reason"),
        "for_computer": asked.parameter("computer"),
    })
}
