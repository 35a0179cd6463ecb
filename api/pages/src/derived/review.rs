//! The month review: the drafts of a run by what is unusual, and revenue over months.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::month::CalendarMonth;
use super::values::{decimal, distinct, items, text};
use crate::answers::{Answers, DerivedFrom, PageRequest, Part};
use crate::chart::{self, Bar};
use crate::format;

/// The most drafts that a page shows.
const MOST: u32 = 100;
/// How many months are shown beside each other.
const MONTHS: usize = 6;
/// How many sources of revenue have a row of their own.
const MOST_SOURCES: usize = 15;

pub(crate) fn parts(asked: &PageRequest, _: &Answers) -> Vec<Part> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &MOST.to_string());
    if let Some(cursor) = asked.parameter("cursor") {
        query.append_pair("cursor", cursor);
    }
    let run = percent_encoding::utf8_percent_encode(asked.name("id"), percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%2D", "-");
    vec![Part::new("drafts", format!("/v1/invoice-runs/{run}/drafts?{}", query.finish()))]
}

/// The month of a period, if it is one.
fn month_of(period: &Value) -> Option<CalendarMonth> {
    let month = CalendarMonth::read(text(period, "start").get(..7)?)?;
    let (start, stop) = (text(period, "start"), text(period, "stop"));
    let is_month = format!("{start}/{stop}") == month.period();
    is_month.then_some(month)
}

pub(crate) fn derive(view: &DerivedFrom<'_>) -> Value {
    let it = view.answers.get("it").unwrap_or(&Value::Null);
    let drafts = view.answers.get("drafts").unwrap_or(&Value::Null);
    let rows = items(&drafts["items"]);
    let common: Vec<&str> = items(&drafts["common"]).iter().filter_map(Value::as_str).collect();
    let open = view.asked.parameter("open");
    let shown = rows.iter().map(|draft| {
        let findings: Vec<&Value> = items(&draft["findings"])
            .iter()
            .filter(|finding| !common.contains(&text(finding, "kind")))
            .collect();
        let decision = match (text(draft, "state"), text(&draft["review"], "decision")) {
            ("final", _) => "final",
            (_, "") => "",
            (_, decision) => decision,
        };
        json!({"draft": draft, "findings": findings, "decision": decision,
            "is_open": open == Some(text(draft, "payer"))})
    });
    let mut totals: BTreeMap<&str, [(Decimal, u64); 4]> = BTreeMap::new();
    for draft in rows {
        let totals = totals.entry(text(draft, "currency")).or_default();
        let place = match (text(draft, "state"), text(&draft["review"], "decision")) {
            ("final", _) => 3,
            (_, "approved") => 1,
            (_, "held") => 2,
            _ => 0,
        };
        totals[place].0 += decimal(&draft["total"]);
        totals[place].1 += 1;
    }
    let totals = totals.into_iter().map(|(currency, [undecided, approved, held, issued])| {
        let of = |(amount, count): (Decimal, u64)| json!({"amount": amount.to_string(), "count": count});
        let all = undecided.0 + approved.0 + held.0 + issued.0;
        json!({"currency": currency, "total": all.to_string(), "undecided": of(undecided),
            "approved": of(approved), "held": of(held), "issued": of(issued)})
    });
    let month = month_of(&it["period"]);
    let before = month.and_then(CalendarMonth::before);
    json!({
        "rows": shown.collect::<Vec<_>>(),
        "common": common,
        "next": drafts["next"],
        "etag": drafts["run_etag"],
        "totals": totals.collect::<Vec<_>>(),
        "month": month.map(CalendarMonth::key),
        "before": before.map(CalendarMonth::key),
        "is_open": text(it, "state") == "draft",
        "ask": view.asked.parameter("ask"),
    })
}

/// What revenue is shown by.
fn by(asked: &PageRequest) -> &str {
    asked.parameter("by").filter(|by| ["customer", "software", "computer"].contains(by)).unwrap_or("customer")
}

/// The months that are shown, the last one last.
fn months(asked: &PageRequest) -> Vec<CalendarMonth> {
    let mut months: Vec<CalendarMonth> = Vec::new();
    let mut next = CalendarMonth::asked(asked);
    while let Some(month) = next.filter(|_| months.len() < MONTHS) {
        months.push(month);
        next = month.before();
    }
    months.reverse();
    months
}

pub(crate) fn revenue_parts(asked: &PageRequest, _: &Answers) -> Vec<Part> {
    let months = months(asked);
    let by = by(asked);
    let mut parts: Vec<Part> = months
        .iter()
        .map(|month| {
            let path = format!("/v1/revenue?by={by}&period={}&limit=200", month.key());
            Part::new(format!("month-{}", month.key()), path)
        })
        .collect();
    if let [.., before, after] = months[..] {
        let path = format!("/v1/invoice-comparison?before={}&after={}&limit=200", before.key(), after.key());
        parts.push(Part::new("comparison", path));
    }
    parts
}

/// Amounts of a source by month.
#[derive(Default)]
struct SourceRevenue {
    name: String,
    months: Vec<Decimal>,
}

pub(crate) fn derive_revenue(view: &DerivedFrom<'_>) -> Value {
    let months = months(view.asked);
    let answers: Vec<&[Value]> = months
        .iter()
        .map(|month| {
            let answer = view.answers.get(&format!("month-{}", month.key()));
            answer.map_or(&[][..], |answer| items(&answer["items"]))
        })
        .collect();
    let currencies =
        distinct(answers.iter().flat_map(|month| month.iter()).map(|item| text(item, "currency")));
    let (language, writer) = (view.writer.language, view.writer);
    let name_of = |month: &CalendarMonth| format::month(month.0, language);
    let other = writer.text("revenue-other", &[]);
    let books = currencies.iter().enumerate().map(|(nth, currency)| {
        let mut sources: BTreeMap<&str, SourceRevenue> = BTreeMap::new();
        for (at, month) in answers.iter().enumerate() {
            for item in month.iter().filter(|item| text(item, "currency") == *currency) {
                let id = text(item, "id");
                let source = sources.entry(id).or_default();
                let named = [text(item, "name"), id].into_iter().find(|name| !name.is_empty());
                source.name = named.map_or_else(|| other.clone(), str::to_owned);
                source.months.resize(months.len(), Decimal::ZERO);
                source.months[at] += decimal(&item["net"]);
            }
        }
        let total = |at: usize| sources.values().map(|source| source.months[at]).sum::<Decimal>();
        let totals: Vec<Decimal> = (0..months.len()).map(total).collect();
        let digits = format::minor_digits(currency);
        let bar = |(month, total): (&CalendarMonth, &Decimal)| Bar {
            title: format!(
                "{}: {} {currency}",
                name_of(month),
                format::money(&total.to_string(), digits, language)
            ),
            parts: vec![("b", (*total).max(Decimal::ZERO))],
        };
        let id = format!("chart-revenue-{nth}");
        let (svg, axis) = chart::bars(&months.iter().zip(&totals).map(bar).collect::<Vec<_>>(), &id);
        let axis = axis.into_iter().map(|value| format::number(&value.to_string(), language));
        let mut rows: Vec<(&str, SourceRevenue)> = sources.into_iter().collect();
        rows.sort_by_key(|(_, source)| std::cmp::Reverse(source.months.last().copied()));
        let left = rows.len().saturating_sub(MOST_SOURCES);
        let texts = |amounts: &[Decimal]| amounts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let shown = rows.iter().take(MOST_SOURCES).map(|(id, source)| {
            let change = match source.months[..] {
                [.., before, after] => after - before,
                _ => Decimal::ZERO,
            };
            json!({"id": id, "name": source.name, "amounts": texts(&source.months), "change": change.to_string()})
        });
        json!({
            "currency": currency, "rows": shown.collect::<Vec<_>>(), "totals": texts(&totals), "left": left,
            "chart_id": id,
            "chart": {
                "caption": writer.text("chart-revenue", &[("currency", (*currency).to_owned())]),
                "svg": svg, "axis": axis.collect::<Vec<_>>(), "labels": months.iter().map(|month| month.key()).collect::<Vec<_>>(),
            },
        })
    });
    let comparison = view.answers.get("comparison").map_or(&[][..], |list| items(&list["items"]));
    let asked_month = CalendarMonth::asked(view.asked);
    json!({
        "by": by(view.asked),
        "months": months.iter().map(|month| month.key()).collect::<Vec<_>>(),
        "books": books.collect::<Vec<_>>(),
        "comparison": comparison,
        "month": asked_month.map(CalendarMonth::key),
        "before": asked_month.and_then(CalendarMonth::before).map(CalendarMonth::key),
    })
}
