//! An invoice: its lines by instance, what it is made of, and the line that is unfolded.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::line;
use super::values::{decimal, distinct, items, text};
use crate::answers::{Answers, DerivedFrom, PageRequest, Part};
use crate::chart;

/// The most instances whose titles are read; lines of others show their numbers.
const MOST_INSTANCES: usize = 24;
/// The most documents, and lines of each, that a document is said to cite.
const MOST_CITED: usize = 20;
/// The most groups of a document; a longer one is shown in the order of its lines.
const MOST_EVENTS: u32 = 1000;

/// The buyer, whose zone counts; the run, whose cut-off is shown; the instances; and the line that is unfolded.
pub(crate) fn parts(asked: &PageRequest, answers: &Answers) -> Vec<Part> {
    let Some(it) = answers.get("it") else { return Vec::new() };
    let mut parts = vec![
        Part::new("buyer", format!("/v1/parties/{}", text(&it["buyer"], "party"))),
        Part::new("run", format!("/v1/invoice-runs/{}", text(it, "run"))),
    ];
    let instances = distinct(items(&it["lines"]).iter().map(|line| text(line, "instance")));
    let of = |instance: &&str| Part::new(format!("instance {instance}"), format!("/v1/instances/{instance}"));
    parts.extend(instances.iter().take(MOST_INSTANCES).map(of));
    if let Some(n) = asked.parameter("line").and_then(|n| n.parse::<u32>().ok()) {
        let id = utf8_percent_encode(asked.name("id"), NON_ALPHANUMERIC);
        let path = format!("/v1/invoices/{id}/lines/{n}/explanation?limit={MOST_EVENTS}");
        parts.push(Part::new("explained", path));
        parts.extend(line::parts(answers));
    }
    parts
}

/// What a line is for, in a few words.
pub(super) fn what(view: &DerivedFrom<'_>, line: &Value) -> String {
    let writer = view.writer;
    let resource = text(line, "resource");
    match text(line, "kind") {
        "recurring" => writer.word("fee", text(line, "unit")),
        _ if !resource.is_empty() => writer.resource(resource),
        kind => writer.word("line-kind", kind),
    }
}

pub(crate) fn derive(view: &DerivedFrom<'_>) -> Value {
    let Some(it) = view.answers.get("it") else { return Value::Null };
    let lines = items(&it["lines"]);
    let open = view.asked.parameter("line").and_then(|n| n.parse::<u64>().ok());
    let explained = view.answers.get("explained").filter(|explained| !explained.is_null());
    let mut groups: Vec<(String, Decimal, Vec<Value>)> = Vec::new();
    let mut made: Vec<(String, Decimal)> = Vec::new();
    for line in lines {
        let (what, amount) = (what(view, line), decimal(&line["amount"]));
        match made.iter_mut().find(|(known, _)| *known == what) {
            Some((_, sum)) => *sum += amount,
            None => made.push((what.clone(), amount)),
        }
        let shown =
            json!({"line": line, "what": what, "is_open": open.is_some() && line["n"].as_u64() == open});
        let instance = text(line, "instance");
        // Lines stay in their order: an instance may have more than one group.
        match groups.last_mut().filter(|(known, ..)| known == instance) {
            Some((_, sum, lines)) => {
                *sum += amount;
                lines.push(shown);
            }
            None => groups.push((instance.to_owned(), amount, vec![shown])),
        }
    }
    made.sort_by_key(|(_, sum)| std::cmp::Reverse(*sum));
    let most = made.first().map_or(Decimal::ZERO, |(_, sum)| *sum);
    let net = decimal(&it["net"]);
    let made = made.into_iter().map(|(what, sum)| {
        let percent = if net.is_zero() { Decimal::ZERO } else { (sum * Decimal::ONE_HUNDRED / net).round() };
        json!({"what": what, "amount": sum.to_string(), "percent": percent.to_string(), "bar": chart::share(sum, most)})
    });
    let made: Vec<Value> = made.collect();
    let groups = groups.into_iter().map(|(instance, sum, lines)| {
        let known = view.answers.get(&format!("instance {instance}")).cloned().unwrap_or_default();
        json!({"instance": instance, "known": known, "sum": sum.to_string(), "lines": lines})
    });
    let groups: Vec<Value> = groups.collect();
    let events =
        |member: &str| lines.iter().filter_map(|line| line["events"][member].as_u64()).collect::<Vec<_>>();
    let instances = distinct(lines.iter().map(|line| text(line, "instance"))).len();
    let books = lines.iter().filter(|line| line["price_book"].is_object());
    let mut books: Vec<Value> = books.map(|line| line["price_book"].clone()).collect();
    books.dedup();
    let mut cited: Vec<(&str, Vec<u64>)> = Vec::new();
    let whole = Some((text(&it["cites"], "invoice"), None)).filter(|(invoice, _)| !invoice.is_empty());
    let of_lines = lines.iter().map(|line| &line["cites"]).filter(|cites| cites.is_object());
    let of_lines = of_lines.map(|cites| (text(cites, "invoice"), cites["line"].as_u64()));
    for (invoice, line) in whole.into_iter().chain(of_lines) {
        let at = cited.iter().position(|(known, _)| *known == invoice).unwrap_or_else(|| {
            cited.push((invoice, Vec::new()));
            cited.len() - 1
        });
        if let Some(line) = line.filter(|line| *line > 0 && !cited[at].1.contains(line)) {
            cited[at].1.push(line);
        }
    }
    let cited = cited.into_iter().take(MOST_CITED).map(|(invoice, lines)| {
        json!({"invoice": invoice, "lines": lines.into_iter().take(MOST_CITED).collect::<Vec<_>>()})
    });
    let zone = view.answers.get("buyer").map_or("", |buyer| text(buyer, "time_zone"));
    json!({
        "groups": groups,
        "made": made,
        "instances": instances,
        "events": events("count").iter().sum::<u64>(),
        "first": events("first_sequence").into_iter().filter(|sequence| *sequence > 0).min(),
        "last": events("last_sequence").into_iter().max(),
        "books": books,
        "cited": cited.collect::<Vec<_>>(),
        "zone": zone,
        "line": explained.map(|explained| line::derive(view, explained)),
    })
}
