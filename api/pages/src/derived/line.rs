//! A line that is unfolded: its quantity by day, one day by hour, and the events behind it.

use chrono::Days;
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::values::{decimal, items, text};
use crate::answers::{Answers, DerivedFrom, Part};
use crate::chart::{self, Bar};
use crate::format;

/// The events that are shown first; the last one follows, and a link leads to all.
const FIRST_EVENTS: usize = 4;
const HOUR_SECONDS: u32 = 3600;

/// The one part of the usage of a line, if it has one.
fn usage(explained: &Value) -> Option<&Value> {
    let basis = &explained["explanation"]["basis"];
    let parts = items(&basis["parts"]);
    (text(basis, "type") == "usage" && parts.len() == 1).then(|| &parts[0])
}

/// The hours of the last day of the line.
pub(super) fn parts(answers: &Answers) -> Vec<Part> {
    let Some(explained) = answers.get("explained") else { return Vec::new() };
    let zone = zone_of(answers);
    let Some(part) = usage(explained) else { return Vec::new() };
    let Some(last) = items(&part["steps"]).last().filter(|_| text(part, "by") == "day") else {
        return Vec::new();
    };
    let (resource, from) = (text(&explained["line"], "resource"), text(last, "start"));
    let day = format::iso_day(from, zone);
    let next = day.parse::<chrono::NaiveDate>().ok().and_then(|day| day.checked_add_days(Days::new(1)));
    let Some(next) = next else { return Vec::new() };
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("instance", text(part, "instance"))
        .append_pair("resource", resource)
        .append_pair("from", &day)
        .append_pair("to", &next.to_string())
        .append_pair("step", "hour")
        .append_pair("time_zone", zone.name())
        .finish();
    vec![Part::new("hours", format!("/v1/usage?{query}"))]
}

/// The zone of the buyer.
pub(super) fn zone_of(answers: &Answers) -> Tz {
    let name = answers.get("buyer").map_or("", |buyer| text(buyer, "time_zone"));
    name.parse().unwrap_or(Tz::UTC)
}

/// What a step adds, in the unit that is charged.
fn step_value(part: &Value, step: &Value) -> Option<Decimal> {
    let (multiply, divide) = (&part["multiply_by"], &part["divide_by"]);
    let factor = |value: &Value| value.as_u64().map(Decimal::from).filter(|factor| !factor.is_zero());
    let value = match (&step["quantity"], &step["level_seconds"]) {
        (Value::String(_), _) => decimal(&step["quantity"]),
        (_, Value::String(_)) => decimal(&step["level_seconds"]) / Decimal::from(HOUR_SECONDS),
        _ => return None,
    };
    value
        .checked_mul(factor(multiply)?)?
        .checked_div(factor(divide)?)
        .map(|value| value.round_dp(9).normalize())
}

pub(crate) fn derive(view: &DerivedFrom<'_>, explained: &Value) -> Value {
    let (writer, zone) = (view.writer, zone_of(view.answers));
    let line = &explained["line"];
    let unit = writer.unit(text(line, "unit"));
    let number = |value: Decimal| format::number(&value.to_string(), writer.language);
    let explanation = &explained["explanation"];
    let steps = items(&explanation["steps"]);
    let is_product = steps.len() == 1 && decimal(&steps[0]["flat"]).is_zero();
    let days = usage(explained).filter(|part| text(part, "by") == "day").and_then(|part| {
        let of = |step: &Value| {
            let day: chrono::NaiveDate = format::iso_day(text(step, "start"), zone).parse().ok()?;
            let value = step_value(part, step)?;
            let shown = json!({
                "day": format::day(day, writer.language), "value": value.to_string(),
                "level_seconds": step["level_seconds"], "events": step["events"],
            });
            Some((format::day(day, writer.language), value, shown))
        };
        let days: Option<Vec<_>> = items(&part["steps"]).iter().map(of).collect();
        let days = days.filter(|days| days.len() > 1)?;
        let least = days.iter().min_by_key(|(_, value, _)| *value)?;
        let most = days.iter().max_by_key(|(_, value, _)| *value)?;
        let caption = writer.text("chart-days", &[
            ("unit", unit.clone()), ("low", least.0.clone()), ("least", number(least.1)),
            ("high", most.0.clone()), ("most", number(most.1)),
        ]);
        let bar = |(day, value, _): &(String, Decimal, Value)| Bar {
            title: format!("{day}: {} {unit}", number(*value)),
            parts: vec![("b", *value)],
        };
        let (svg, axis) = chart::bars(&days.iter().map(bar).collect::<Vec<_>>(), "chart-days");
        Some(json!({
            "caption": caption, "svg": svg, "axis": axis.into_iter().map(number).collect::<Vec<_>>(),
            "labels": days.iter().map(|(day, ..)| day.split(' ').next().unwrap_or_default()).collect::<Vec<_>>(),
            "rows": days.iter().map(|(.., shown)| shown).collect::<Vec<_>>(),
            "value": part["value"], "quantity": part["quantity"],
            "is_level": part["value"]["level_seconds"].is_string(),
        }))
    });
    let all = items(&explained["items"]);
    let total = explained["events"]["count"].as_u64().unwrap_or_default();
    let shown = all.len().min(if all.len() <= FIRST_EVENTS + 2 { all.len() } else { FIRST_EVENTS });
    let last = all.last().filter(|_| shown < all.len() && explained["next"].is_null());
    let left = total.saturating_sub(shown as u64).saturating_sub(u64::from(last.is_some()));
    json!({
        "is_product": is_product,
        "unit": unit,
        "days": days,
        "hours": hours(view, zone),
        "events": all[..shown].iter().map(event).collect::<Vec<_>>(),
        "last": last.map(event),
        "left": left,
        "has_usage": all.iter().any(|item| item["quantity"].is_string()),
    })
}

/// An event, with the time that counts where that is not the whole time it reports.
fn event(item: &Value) -> Value {
    let counted = &item["counted"][0];
    let differs = |member: &str| counted[member].is_string() && counted[member] != item[member];
    json!({
        "event": item,
        "counted_from": differs("start").then(|| counted["start"].clone()),
        "counted_until": differs("stop").then(|| counted["stop"].clone()),
    })
}

/// The hours of the last day.
fn hours(view: &DerivedFrom<'_>, zone: Tz) -> Option<Value> {
    let answer = view.answers.get("hours").filter(|answer| !answer.is_null())?;
    let resource = items(&answer["resources"]).first()?;
    let (language, writer) = (view.writer.language, view.writer);
    let steps = items(&resource["steps"]);
    let day: chrono::NaiveDate = format::iso_day(text(answer, "from"), zone).parse().ok()?;
    let clock = |step: &Value| {
        let start = format::parse(text(step, "start"))?;
        Some(start.with_timezone(&zone).format("%H").to_string())
    };
    let values: Vec<(String, Decimal)> =
        steps.iter().filter_map(|step| Some((clock(step)?, decimal(&step["time_integral"])))).collect();
    let bar = |(hour, value): &(String, Decimal)| Bar {
        title: format!("{hour}:00: {}", format::number(&value.to_string(), language)),
        parts: vec![("b", *value)],
    };
    let (svg, axis) = chart::bars(&values.iter().map(bar).collect::<Vec<_>>(), "chart-hours");
    let axis = axis.into_iter().map(|value| format::number(&value.to_string(), language));
    Some(json!({
        "caption": writer.text("chart-hours", &[("day", format::day(day, language))]),
        "svg": svg,
        "axis": axis.collect::<Vec<_>>(),
        "labels": values.iter().map(|(hour, _)| hour).collect::<Vec<_>>(),
        "rows": values.iter().map(|(hour, value)| json!({"hour": hour, "value": value.to_string()})).collect::<Vec<_>>(),
    }))
}
