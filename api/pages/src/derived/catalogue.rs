//! The catalogue: the tables of the document, and beside each software what the log shows.

use serde_json::{Value, json};

use super::instances::state;
use super::month::CalendarMonth;
use super::values::{decimal, distinct, items, text};
use crate::answers::{Answers, DerivedFrom, PageRequest, Part};
use crate::chart;

/// The most instances, parties and amounts that are looked at for stories.
const MOST: u32 = 1000;

/// What stories are drawn with; who may not see it gets none.
pub(crate) fn parts(asked: &PageRequest, answers: &Answers) -> Vec<Part> {
    let all = answers.get("it").map_or(&[][..], |it| items(&it["items"]));
    if all.is_empty() {
        return Vec::new();
    }
    let mut parts = Vec::new();
    if all.iter().any(|entry| text(entry, "table") == "story") {
        parts.push(Part::new("parties", format!("/v1/parties?limit={MOST}")));
        parts.push(Part::new("trees", format!("/v1/instance-trees?limit={MOST}")));
    }
    if let Some(month) = CalendarMonth::asked(asked) {
        let period = month.period();
        parts.push(Part::new("revenue", format!("/v1/revenue?by=software&period={period}&limit={MOST}")));
    }
    parts
}

/// The stages that the tables of software have.
const STAGES: [&str; 4] = ["considered", "planned", "supported", "production"];

/// A stage as cells that are filled up to it.
fn reach(stage: &str) -> String {
    let filled = match stage {
        "considered" => 1,
        "planned" => 2,
        "supported" | "tested" | "used" => 3,
        "production" => 4,
        _ => 0,
    };
    chart::cells(filled, STAGES.len())
}

/// The folder of a release, as entries name software.
fn folder(release: &str) -> String {
    let mut parts = release.rsplit('/').filter(|part| !part.is_empty());
    let last = parts.next().unwrap_or_default();
    if last.contains(".cfg") { parts.next().unwrap_or(last) } else { last }.to_lowercase()
}

pub(crate) fn derive(view: &DerivedFrom<'_>) -> Value {
    let list = |name: &str, member: &str| view.answers.get(name).map_or(&[][..], |it| items(&it[member]));
    let mut all: Vec<&Value> = list("it", "items").iter().collect();
    // In the order of their document.
    all.sort_by_key(|item| item["recorded_by"].as_u64());
    let of = |table: &str| -> Vec<&Value> {
        all.iter().copied().filter(|item| text(item, "table") == table).collect()
    };
    let revenue = list("revenue", "items");
    let amounts = |software: &str| -> Vec<Value> {
        let theirs: Vec<&Value> =
            revenue.iter().filter(|item| folder(text(item, "id")) == software).collect();
        let currencies = distinct(theirs.iter().map(|item| text(item, "currency")));
        let sums = currencies.into_iter().map(|currency| {
            let of = theirs.iter().filter(|item| text(item, "currency") == currency);
            let sum: rust_decimal::Decimal = of.map(|item| decimal(&item["net"])).sum();
            json!({"currency": currency, "amount": sum.to_string()})
        });
        sums.collect()
    };
    let software = |table: &str| {
        let rows = of(table);
        let counts = STAGES.map(|stage| {
            json!({"stage": stage, "count": rows.iter().filter(|item| text(item, "stage") == stage).count()})
        });
        let groups = distinct(rows.iter().map(|item| text(item, "category"))).into_iter().map(|category| {
            let of = rows.iter().filter(|item| text(item, "category") == category).map(|item| {
                let name = text(item, "software");
                json!({"it": item, "reach": reach(text(item, "stage")), "amounts": amounts(name)})
            });
            json!({"category": category, "rows": of.collect::<Vec<_>>()})
        });
        let groups: Vec<Value> = groups.collect();
        json!({"table": table, "count": rows.len(), "groups": groups, "counts": counts})
    };
    let hosts: Vec<Value> = of("host")
        .into_iter()
        .map(|item| {
            let ticks = usize::try_from(item["ticks"].as_u64().unwrap_or_default()).unwrap_or(0);
            json!({"it": item, "ticks": chart::cells(ticks, 7)})
        })
        .collect();
    let half = hosts.len().div_ceil(2).max(1);
    let trees = list("trees", "items");
    let parties = list("parties", "items");
    let mut told: Vec<&str> = Vec::new();
    let mut stories = Vec::new();
    for item in of("story") {
        let customer = text(item, "customer");
        let party = parties.iter().find(|party| text(party, "id") == customer);
        // Two stories of one application are two instances, the first requested first.
        let fits = |tree: &&Value| {
            text(tree, "owner") == customer
                && text(tree, "title").starts_with(text(item, "title"))
                && !told.contains(&text(tree, "id"))
        };
        let runs = |tree: &&Value| folder(text(tree, "software_release")) == text(item, "software");
        let tree = trees.iter().find(|tree| fits(tree) && runs(tree)).or_else(|| trees.iter().find(fits));
        told.extend(tree.map(|tree| text(tree, "id")));
        stories.push(json!({"it": item, "name": party.map(|party| party["name"].clone()),
            "tree": tree, "state": tree.map(state)}));
    }
    json!({
        "software": [software("storage"), software("platform")],
        "hosts": hosts.chunks(half).collect::<Vec<_>>(), "host_count": hosts.len(),
        "stories": stories, "key": STAGES.map(|stage| json!({"stage": stage, "reach": reach(stage)})),
        "month": CalendarMonth::asked(view.asked).map(CalendarMonth::key), "is_empty": all.is_empty(),
    })
}
