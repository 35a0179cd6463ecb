//! Instances as trees, by customer.

use serde_json::{Value, json};

use super::values::{distinct, items, text};
use crate::answers::{Answers, DerivedFrom, PageRequest, Part};

/// The most customers whose names are read.
const MOST: u32 = 1000;

pub(crate) fn parts(asked: &PageRequest, _: &Answers) -> Vec<Part> {
    let sought = asked
        .parameter("q")
        .map(|sought| form_urlencoded::Serializer::new(String::new()).append_pair("q", sought).finish());
    vec![
        Part::new("counts", format!("/v1/instance-counts?{}", sought.unwrap_or_default())),
        Part::new("prices", "/v1/price-books?limit=5"),
        Part::new("parties", format!("/v1/parties?limit={MOST}")),
        Part::new("products", "/v1/products?limit=200"),
    ]
}

/// The state that a reader sees: the requested one, unless the instance has ended or has no partition.
pub(super) fn state(instance: &Value) -> &str {
    if instance["ended_at"].is_string() {
        "ended"
    } else if instance["partition_lost_since"].is_string() {
        "lost"
    } else if instance["allocated_at"].is_null() {
        "unplaced"
    } else {
        text(instance, "state")
    }
}

/// The last word of the address of a release that says something: its folder.
pub(super) fn software(release: &str) -> &str {
    let mut parts = release.rsplit('/').filter(|part| !part.is_empty());
    match parts.next() {
        Some(last) if last.contains(".cfg") => parts.next().unwrap_or(last),
        Some(last) => last,
        None => release,
    }
}

fn is_wrong(instance: &Value) -> bool {
    matches!(state(instance), "unplaced" | "lost")
        || (state(instance) == "started" && text(instance, "reported_state") != "started")
}

pub(super) fn row(instance: &Value) -> Value {
    json!({"it": instance, "state": state(instance), "software": software(text(instance, "software_release")),
        "is_wrong": is_wrong(instance)})
}

pub(crate) fn derive(view: &DerivedFrom<'_>) -> Value {
    let all = view.answers.get("it").map_or(&[][..], |it| items(&it["items"]));
    let parties = view.answers.get("parties").map_or(&[][..], |parties| items(&parties["items"]));
    let wanted = view.asked.parameter("state");
    let owners = distinct(all.iter().map(|instance| text(instance, "owner")));
    let groups = owners.into_iter().map(|owner| {
        let name = parties.iter().find(|party| text(party, "id") == owner).map(|party| party["name"].clone());
        let of = all.iter().filter(|instance| text(instance, "owner") == owner);
        json!({"owner": owner, "name": name, "rows": of.map(row).collect::<Vec<_>>()})
    });
    let counts = view.answers.get("counts");
    let tabs = ["wrong", "started", "stopped", "ended", ""].map(|state| {
        let count = counts.map(|counts| &counts[if state.is_empty() { "all" } else { state }]);
        json!({"state": state, "count": count})
    });
    let products = view.answers.get("products").map_or(&[][..], |products| items(&products["items"]));
    let releases =
        products.iter().flat_map(|product| items(&product["software_releases"])).filter_map(Value::as_str);
    json!({"groups": groups.collect::<Vec<_>>(), "tabs": tabs, "state": wanted, "q": view.asked.parameter("q"),
        "releases": distinct(releases)})
}
