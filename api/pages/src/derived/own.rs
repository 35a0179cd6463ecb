//! What a customer sees first: the draft of this month with a forecast, its instances, its documents and its balance.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::instances::row;
use super::invoice::what;
use super::invoices::signed;
use super::values::{decimal, distinct, items, text};
use crate::answers::DerivedFrom;
use crate::{chart, format};

/// What a line will have come to when its period ends: usage at the pace so far, everything else as it is drafted.
fn forecast(line: &Value, now: &str, minor_digits: u32) -> Decimal {
    let amount = decimal(&line["amount"]);
    let at = |text: &str| format::parse(text).map(|instant| instant.timestamp());
    let period = &line["period"];
    let (Some(start), Some(stop), Some(now)) = (at(text(period, "start")), at(text(period, "stop")), at(now))
    else {
        return amount;
    };
    let elapsed = now.min(stop) - start;
    if text(line, "kind") != "usage" || elapsed <= 0 || now >= stop {
        return amount;
    }
    let grown = amount * Decimal::from(stop - start) / Decimal::from(elapsed);
    grown.round_dp(minor_digits)
}

pub(crate) fn derive(view: &DerivedFrom<'_>) -> Value {
    let list = |name: &str| view.answers.get(name).map_or(&[][..], |list| items(&list["items"]));
    let drafts = list("own").iter().map(|item| &item["draft"]).filter(|draft| draft.is_object());
    let drafts = drafts.map(|draft| {
        let currency = text(draft, "currency");
        let digits = u32::try_from(format::minor_digits(currency)).unwrap_or(2);
        let lines = items(&draft["lines"]);
        let mut parts: Vec<(String, Decimal, Decimal)> = Vec::new();
        for line in lines {
            let (what, amount) = (what(view, line), decimal(&line["amount"]));
            let later = forecast(line, &view.asked.now, digits);
            match parts.iter_mut().find(|(known, ..)| *known == what) {
                Some((_, sum, grown)) => (*sum, *grown) = (*sum + amount, *grown + later),
                None => parts.push((what, amount, later)),
            }
        }
        let whole: Decimal = parts.iter().map(|(.., later)| later).sum();
        let most = parts.iter().map(|(.., later)| *later).max().unwrap_or_default();
        let parts = parts.into_iter().map(|(what, amount, later)| {
            json!({"what": what, "amount": amount.to_string(), "forecast": later.to_string(),
                "bar": chart::share(later, most)})
        });
        json!({"currency": currency, "total": draft["total"], "net": draft["net"], "forecast": whole.to_string(),
            "lines": lines.len(), "period": draft["period"], "parts": parts.collect::<Vec<_>>()})
    });
    let drafts: Vec<Value> = drafts.collect();
    let documents = list("documents");
    let credits = list("credits");
    let currencies = distinct(documents.iter().chain(credits).map(|item| text(item, "currency")));
    let balances = currencies.into_iter().map(|currency| {
        let is_of = |item: &&Value| text(item, "currency") == currency;
        let due: Decimal = documents.iter().filter(is_of).map(|document| decimal(&document["due"])).sum();
        let left: Decimal = credits.iter().filter(is_of).map(|credit| decimal(&credit["left"])).sum();
        json!({"currency": currency, "due": due.to_string(), "left": left.to_string()})
    });
    let shown = documents
        .iter()
        .map(|document| json!({"it": document, "total": signed(document, "total").to_string()}));
    let next = |name: &str| view.answers.get(name).is_some_and(|list| list["next"].is_string());
    json!({
        "drafts": drafts, "balances": balances.collect::<Vec<_>>(), "documents": shown.collect::<Vec<_>>(),
        "instances": list("trees").iter().map(row).collect::<Vec<_>>(), "has_more": next("trees"),
        "count": list("trees").len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_grows_at_its_pace_and_fees_stay() {
        let line = |kind: &str| {
            json!({"kind": kind, "amount": "3.00",
                "period": {"start": "2026-11-01T00:00:00Z", "stop": "2026-12-01T00:00:00Z"}})
        };
        let at = |kind: &str, now: &str| forecast(&line(kind), now, 2).to_string();
        assert_eq!(at("usage", "2026-11-11T00:00:00Z"), "9.00");
        assert_eq!(at("recurring", "2026-11-11T00:00:00Z"), "3.00");
        assert_eq!(at("usage", "2026-12-05T00:00:00Z"), "3.00", "it is over");
        assert_eq!(at("usage", "2026-10-31T00:00:00Z"), "3.00", "it has not begun");
    }
}
