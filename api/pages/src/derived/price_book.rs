//! A version of a price book, beside the one before.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::values::items;
use crate::answers::{Answers, DerivedFrom, PageRequest, Part};

fn before(it: &Value) -> Option<u64> {
    it["version"].as_u64().filter(|version| *version > 1).map(|version| version - 1)
}

pub(crate) fn parts(asked: &PageRequest, answers: &Answers) -> Vec<Part> {
    let previous = answers.get("it").and_then(before);
    let name = utf8_percent_encode(asked.name("name"), NON_ALPHANUMERIC);
    previous
        .map(|version| Part::new("previous", format!("/v1/price-books/{name}?version={version}")))
        .into_iter()
        .collect()
}

pub(crate) fn derive(view: &DerivedFrom<'_>) -> Value {
    let Some(it) = view.answers.get("it") else { return Value::Null };
    let rates = items(&it["rates"]);
    let previous = view.answers.get("previous").filter(|previous| previous.is_object());
    let earlier = previous.map_or(&[][..], |previous| items(&previous["rates"]));
    let now = rates.iter().enumerate().map(|(at, rate)| {
        let change = if previous.is_none() || earlier.contains(rate) { "same" } else { "new" };
        json!({"rate": rate, "number": at + 1, "change": change})
    });
    let gone = earlier.iter().filter(|rate| !rates.contains(rate));
    let gone = gone.map(|rate| json!({"rate": rate, "number": null, "change": "gone"}));
    let newest = items(&it["versions"]).iter().filter_map(|version| version["version"].as_u64()).max();
    let newest = newest.or_else(|| it["version"].as_u64()).unwrap_or(1);
    json!({
        "rates": now.chain(gone).collect::<Vec<_>>(), "previous": before(it),
        "versions": (1..=newest).rev().take(20).collect::<Vec<_>>(),
    })
}
