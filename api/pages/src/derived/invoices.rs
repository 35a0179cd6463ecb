//! The list of invoices: totals of what is shown, for each currency.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::month::CalendarMonth;
use super::values::{decimal, items, text};
use crate::answers::{Answers, DerivedFrom, PageRequest, Part};

/// The month as the period that the route takes.
pub(crate) fn sent(asked: &PageRequest) -> Vec<(String, String)> {
    let month = asked.parameter("month").and_then(CalendarMonth::read);
    month.map(|month| ("period".to_owned(), month.period())).into_iter().collect()
}

/// The customer whose documents are shown.
pub(crate) fn parts(asked: &PageRequest, _: &Answers) -> Vec<Part> {
    let payer = asked
        .parameter("payer")
        .filter(|payer| payer.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    payer.map(|payer| Part::new("payer", format!("/v1/parties/{payer}"))).into_iter().collect()
}

/// Credit notes lower the sum.
pub(super) fn signed(document: &Value, member: &str) -> Decimal {
    let sign = if document["sign"].as_i64() == Some(-1) { -Decimal::ONE } else { Decimal::ONE };
    sign * decimal(&document[member])
}

pub(crate) fn derive(view: &DerivedFrom<'_>) -> Value {
    let documents = view.answers.get("it").map_or(&[][..], |it| items(&it["items"]));
    let mut totals: BTreeMap<&str, (Decimal, Decimal, u64)> = BTreeMap::new();
    for document in documents {
        let (total, due, count) = totals.entry(text(document, "currency")).or_default();
        *total += signed(document, "total");
        *due += decimal(&document["due"]);
        *count += 1;
    }
    let totals = totals.into_iter().map(|(currency, (total, due, count))| {
        json!({"currency": currency, "total": total.to_string(), "due": due.to_string(), "count": count})
    });
    let is_filtered =
        ["state", "month", "payer"].into_iter().any(|name| view.asked.parameter(name).is_some());
    json!({"totals": totals.collect::<Vec<_>>(), "is_filtered": is_filtered, "month": view.asked.parameter("month"),
        "state": view.asked.parameter("state")})
}
