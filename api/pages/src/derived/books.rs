//! The books: trial balance, journal, and the statement of an account, each side in a column of its own.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::values::{decimal, items, text};
use crate::answers::{DerivedFrom, PageRequest};

/// The most accounts of a book that a trial balance shows; its sums are of all.
const MOST_ACCOUNTS: usize = 200;

/// What the forms of these pages filter by, as it was told.
fn told(asked: &PageRequest) -> Value {
    let names = ["period", "from", "to", "at", "seller", "currency"];
    let told =
        names.iter().map(|name| ((*name).to_owned(), asked.parameter(name).unwrap_or_default().into()));
    Value::Object(told.collect())
}

/// An amount as a debit or a credit; zero stands on neither side.
fn sides(amount: &Value) -> Value {
    let amount = decimal(amount);
    let side = |is_there: bool| is_there.then(|| amount.abs().to_string());
    json!({"debit": side(amount > Decimal::ZERO), "credit": side(amount < Decimal::ZERO)})
}

/// The parameters that lead from one page of the books to another: the same seller, currency and time.
fn carried(asked: &PageRequest, names: &[&str]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for name in names {
        if let Some(value) = asked.parameter(name) {
            query.append_pair(if *name == "at" { "to" } else { name }, value);
        }
    }
    query.finish()
}

pub(crate) fn trial_balance(view: &DerivedFrom<'_>) -> Value {
    let books = view.answers.get("it").map_or(&[][..], |it| items(&it["books"]));
    let books = books.iter().map(|book| {
        let accounts = items(&book["accounts"]);
        let rows = accounts.iter().take(MOST_ACCOUNTS).map(|account| {
            json!({"account": account["account"], "kind": account["kind"], "sides": sides(&account["balance"])})
        });
        json!({"currency": book["currency"], "rows": rows.collect::<Vec<_>>(),
            "left": accounts.len().saturating_sub(MOST_ACCOUNTS), "debits": book["debits"],
            "credits": book["credits"], "is_balanced": book["debits"] == book["credits"]})
    });
    json!({"books": books.collect::<Vec<_>>(), "told": told(view.asked),
        "carried": carried(view.asked, &["at", "seller"])})
}

pub(crate) fn journal(view: &DerivedFrom<'_>) -> Value {
    let all = view.answers.get("it").map_or(&[][..], |it| items(&it["items"]));
    let rows = all.iter().map(|entry| {
        let postings = items(&entry["postings"])
            .iter()
            .map(|posting| json!({"account": posting["account"], "sides": sides(&posting["amount"])}));
        json!({"it": entry, "postings": postings.collect::<Vec<_>>()})
    });
    json!({"rows": rows.collect::<Vec<_>>(), "told": told(view.asked),
        "carried": carried(view.asked, &["period", "from", "to", "seller"]),
        "is_filtered": view.asked.query.iter().any(|(name, value)| name != "cursor" && !value.is_empty())})
}

pub(crate) fn statement(view: &DerivedFrom<'_>) -> Value {
    let it = view.answers.get("it").unwrap_or(&Value::Null);
    let rows = items(&it["items"]).iter().map(|moved| json!({"it": moved, "sides": sides(&moved["amount"])}));
    json!({"rows": rows.collect::<Vec<_>>(), "told": told(view.asked), "is_customer": text(it, "id").contains(":PARTY-"),
        "carried": carried(view.asked, &["seller"])})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_stands_on_one_side() {
        let of = |text: &str| sides(&Value::from(text));
        assert_eq!(of("3.50"), json!({"debit": "3.50", "credit": null}));
        assert_eq!(of("-3.50"), json!({"debit": null, "credit": "3.50"}));
        assert_eq!(of("0.00"), json!({"debit": null, "credit": null}));
    }
}
