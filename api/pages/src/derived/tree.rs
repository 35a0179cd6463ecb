//! One instance with its tree: what it costs, and what it used by hour, day or month.

use chrono::{Days, Months, NaiveDate};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::instances::{row, software, state};
use super::month::CalendarMonth;
use super::values::{decimal, items, text};
use crate::answers::{Answers, DerivedFrom, PageRequest, Part};
use crate::chart::{self, Bar};
use crate::format;

/// The months that are shown beside each other.
const MONTHS: u32 = 12;

/// How long the steps are, and from which day to which.
struct UsageRange {
    step: &'static str,
    from: NaiveDate,
    to: NaiveDate,
    /// What the ranges before and after are asked for with, if there is one.
    previous: Option<String>,
    next: Option<String>,
}

impl UsageRange {
    fn asked(asked: &PageRequest) -> Option<Self> {
        let today = format::parse(&asked.now)?.date_naive();
        match asked.parameter("step").unwrap_or("day") {
            "hour" => {
                let from: NaiveDate =
                    asked.parameter("day").and_then(|day| day.parse().ok()).or_else(|| today.pred_opt())?;
                let to = from.checked_add_days(Days::new(1))?;
                let previous = from.pred_opt().map(|day| day.to_string());
                let next = Some(to).filter(|next| *next <= today).map(|day| day.to_string());
                Some(Self { step: "hour", from, to, previous, next })
            }
            "month" => {
                let to = CalendarMonth::current(asked)?.after()?.0;
                let from = to.checked_sub_months(Months::new(MONTHS))?;
                Some(Self { step: "month", from, to, previous: None, next: None })
            }
            _ => {
                let month = CalendarMonth::asked(asked)?;
                let current = CalendarMonth::current(asked)?;
                let next = month.after().filter(|next| next.0 <= current.0).map(CalendarMonth::key);
                let to = month.after()?.0;
                let previous = month.before().map(CalendarMonth::key);
                Some(Self { step: "day", from: month.0, to, previous, next })
            }
        }
    }
}

/// The instances of the tree, its owner, what it cost and used, and before it is destroyed what it costs now.
pub(crate) fn parts(asked: &PageRequest, answers: &Answers) -> Vec<Part> {
    let Some(it) = answers.get("it") else { return Vec::new() };
    let (id, owner) = (text(it, "id"), text(it, "owner"));
    let mut parts = vec![
        Part::new("instance", format!("/v1/instances/{id}")),
        Part::new("members", format!("/v1/instances?root={}&limit=200", text(it, "root"))),
        Part::new("owner", format!("/v1/parties/{owner}")),
    ];
    if let Some(month) = CalendarMonth::asked(asked) {
        let period = month.period();
        parts.push(Part::new("invoices", format!("/v1/invoices?payer={owner}&period={period}&limit=20")));
    }
    match asked.parameter("ask") {
        None => {
            if let Some(range) = UsageRange::asked(asked) {
                let UsageRange { step, from, to, .. } = range;
                let path = format!("/v1/usage?instance={id}&from={from}&to={to}&step={step}");
                parts.push(Part::new("usage", path));
                parts.push(Part::new("prices", "/v1/price-books?limit=20"));
            }
        }
        Some("destroy") => {
            if let Some(current) = CalendarMonth::current(asked) {
                let period = current.period();
                parts.push(Part::new(
                    "draft",
                    format!("/v1/invoice-drafts?payer={owner}&period={period}&limit=1"),
                ));
            }
        }
        Some(_) => {}
    }
    parts
}

/// What lines about some instances come to, for each currency.
fn sums(lines: &[Value], instances: &[&str]) -> Decimal {
    let of = lines.iter().filter(|line| instances.contains(&text(line, "instance")));
    of.map(|line| decimal(&line["amount"])).sum()
}

/// Whether a price book calls a resource a counter: its reports add up.
fn is_counter(view: &DerivedFrom<'_>, resource: &str) -> Option<(bool, String)> {
    let books = view.answers.get("prices").map_or(&[][..], |books| items(&books["items"]));
    let mut all = books.iter().flat_map(|book| items(&book["resources"]));
    let known = all.find(|known| text(known, "resource") == resource)?;
    Some((text(known, "kind") == "counter", view.writer.unit(text(known, "unit"))))
}

/// A chart of a resource, and the same as a table.
fn chart_of(view: &DerivedFrom<'_>, at: usize, resource: &Value) -> Value {
    let (writer, name) = (view.writer, text(resource, "resource"));
    let zone = view.answers.get("usage").map_or("", |usage| text(usage, "time_zone"));
    let zone: chrono_tz::Tz = zone.parse().unwrap_or(chrono_tz::Tz::UTC);
    let number = |value: Decimal| format::number(&value.normalize().to_string(), writer.language);
    let step = view.answers.get("usage").map_or("", |usage| text(usage, "step"));
    let known = is_counter(view, name);
    let is_counter = known.as_ref().is_none_or(|(is_counter, _)| *is_counter);
    let member = if is_counter { "sum" } else { "time_integral" };
    let title = |at: &str| -> (String, String) {
        let Some(local) = format::parse(at).map(|instant| instant.with_timezone(&zone)) else {
            return (at.to_owned(), String::new());
        };
        let day = local.date_naive();
        match step {
            "hour" => (local.format("%H:%M").to_string(), local.format("%H").to_string()),
            "month" => (format::month(day, writer.language), local.format("%m").to_string()),
            _ => (format::day(day, writer.language), local.format("%-d").to_string()),
        }
    };
    let rows: Vec<(String, String, Decimal, Value)> = items(&resource["steps"])
        .iter()
        .map(|step| {
            let (title, label) = title(text(step, "start"));
            (title, label, decimal(&step[member]), step["events"].clone())
        })
        .collect();
    let bars: Vec<Bar> = rows
        .iter()
        .map(|(title, _, value, _)| Bar {
            title: format!("{title}: {}", number(*value)),
            parts: vec![("b", *value)],
        })
        .collect();
    let id = format!("usage-{at}");
    let (svg, axis) = chart::bars(&bars, &id);
    let sum: Decimal = rows.iter().map(|(_, _, value, _)| *value).sum();
    // More than fit beside each other: every other one.
    let is_dense = rows.len() > 16;
    let labels: Vec<&str> = rows
        .iter()
        .enumerate()
        .map(|(at, (_, label, ..))| if is_dense && at % 2 == 1 { "" } else { label.as_str() })
        .collect();
    let unit = known.map_or_else(String::new, |(_, unit)| unit);
    let shown = rows.iter().map(
        |(title, _, value, events)| json!({"title": title, "value": value.to_string(), "events": events}),
    );
    json!({
        "id": id, "resource": name, "unit": unit, "sum": sum.normalize().to_string(),
        "caption": writer.text("usage-caption", &[("resource", writer.resource(name)), ("unit", unit.clone()), ("sum", number(sum))]),
        "svg": svg, "axis": axis.into_iter().map(number).collect::<Vec<_>>(),
        "labels": labels,
        "rows": shown.collect::<Vec<_>>(),
    })
}

pub(crate) fn derive(view: &DerivedFrom<'_>) -> Value {
    let Some(it) = view.answers.get("it") else { return Value::Null };
    let list = |name: &str| view.answers.get(name).map_or(&[][..], |list| items(&list["items"]));
    let (id, members) = (text(it, "id"), list("members"));
    let costs = list("invoices").iter().filter_map(|document| {
        let lines = items(&document["lines"]);
        let is_of = lines.iter().any(|line| text(line, "instance") == id);
        is_of.then(|| {
            json!({"document": text(document, "id"), "currency": document["currency"],
                "amount": sums(lines, &[id]).to_string()})
        })
    });
    let ids: Vec<&str> = members.iter().map(|member| text(member, "id")).chain([id]).collect();
    let drafts = list("draft").iter().map(|item| &item["draft"]).filter(|draft| draft.is_object());
    let pending = drafts.map(|draft| {
        json!({"currency": draft["currency"], "amount": sums(items(&draft["lines"]), &ids).to_string()})
    });
    let usage = view.answers.get("usage").map_or(&[][..], |usage| items(&usage["resources"]));
    let charts = usage.iter().enumerate().map(|(at, resource)| chart_of(view, at, resource));
    let range = UsageRange::asked(view.asked);
    json!({
        "state": state(it),
        "software": software(text(it, "software_release")),
        "members": members.iter().filter(|member| member["id"] != it["id"]).map(row).collect::<Vec<_>>(),
        "costs": costs.collect::<Vec<_>>(),
        "pending": pending.collect::<Vec<_>>(),
        "month": CalendarMonth::asked(view.asked).map(CalendarMonth::key),
        "current": CalendarMonth::current(view.asked).map(CalendarMonth::key),
        "charts": charts.collect::<Vec<_>>(),
        "range": range.map(|range| json!({"step": range.step, "from": range.from.to_string(),
            "to": range.to.to_string(), "previous": range.previous, "next": range.next})),
        "is_asked": view.asked.parameter("ask"),
        "shows_connection": view.asked.parameter("connection").is_some(),
    })
}
