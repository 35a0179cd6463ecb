//! Lists that are a table and nothing else: which member stands in which column, and how it is written.

use serde_json::{Value, json};

use super::month::CalendarMonth;
use super::values::{items, text};
use crate::answers::DerivedFrom;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// As it is.
    Text,
    /// A name that others gave.
    Name,
    /// A name of a machine, a digest, a stream.
    Mono,
    /// A number.
    Number,
    /// An amount in the currency of the member `currency`.
    Money,
    /// A date.
    Date,
    /// A time.
    Time,
    /// A state.
    State,
    /// A sequence.
    Sequence,
    /// All members of it, one beside the other.
    Words,
}

impl Written {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Name => "name",
            Self::Mono => "mono",
            Self::Number => "number",
            Self::Money => "money",
            Self::Date => "date",
            Self::Time => "time",
            Self::State => "state",
            Self::Sequence => "sequence",
            Self::Words => "words",
        }
    }

    fn is_right(self) -> bool {
        matches!(self, Self::Number | Self::Money)
    }
}

/// A column.
pub(crate) struct Column {
    /// The key of its title.
    pub(crate) title: &'static str,
    /// The member, as a pointer.
    pub(crate) member: &'static str,
    pub(crate) written: Written,
    /// The class by which it goes on narrow screens; empty, if it stays.
    pub(crate) class: &'static str,
    /// What stands before the value in the address that it leads to.
    pub(crate) leads_to: Option<&'static str>,
}

/// A column that leads nowhere.
pub(crate) const fn column(
    title: &'static str,
    member: &'static str,
    written: Written,
    class: &'static str,
) -> Column {
    Column { title, member, written, class, leads_to: None }
}

/// A list.
pub(crate) struct ListShown {
    /// The key of its title; with `-lede` after it, the key of the text below the title.
    pub(crate) title: &'static str,
    pub(crate) columns: &'static [Column],
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            members.values().map(words).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

impl ListShown {
    pub(crate) fn derive(&self, view: &DerivedFrom<'_>) -> Value {
        let all = view.answers.get("it").map_or(&[][..], |it| items(&it["items"]));
        let columns = self.columns.iter().map(|column| {
            let class = if column.written.is_right() {
                format!("n {}", column.class)
            } else {
                column.class.to_owned()
            };
            json!({"title": column.title, "class": class.trim()})
        });
        let rows = all.iter().map(|item| {
            let cells = self.columns.iter().map(|column| {
                let value = item.pointer(column.member).unwrap_or(&Value::Null);
                let shown = match column.written {
                    Written::Words => Value::String(words(value)),
                    _ if value.is_number() => value.to_string().into(),
                    _ => value.clone(),
                };
                let address = column.leads_to.zip(shown.as_str().filter(|shown| !shown.is_empty()));
                let class = if column.written.is_right() {
                    format!("n {}", column.class)
                } else {
                    column.class.to_owned()
                };
                json!({
                    "value": shown, "kind": column.written.name(), "class": class.trim(),
                    "currency": text(item, "currency"), "before": address.map(|(before, _)| before),
                })
            });
            json!({"cells": cells.collect::<Vec<_>>(), "sequence": item["sequence"]})
        });
        let last_month = CalendarMonth::asked(view.asked).map(CalendarMonth::key);
        json!({"title": self.title, "last_month": last_month, "columns": columns.collect::<Vec<_>>(), "rows": rows.collect::<Vec<_>>()})
    }
}

use Written::{Date, Mono, Name, Number, Sequence, State, Text, Time, Words};

static PROJECTIONS: ListShown = ListShown {
    title: "projections",
    columns: &[
        column("name", "/name", Text, ""),
        column("view", "/view", Text, "c3"),
        column("position", "/position", Sequence, ""),
        column("bytes", "/bytes", Number, "c3"),
        column("digest-short", "/digest", Mono, "c2"),
    ],
};

static CREDENTIALS: ListShown = ListShown {
    title: "credentials",
    columns: &[
        Column { leads_to: Some("/v1/credentials/"), ..column("number", "/id", Mono, "") },
        column("holder", "/holder", Words, ""),
        column("roles", "/roles", Words, ""),
        column("label", "/label", Name, "c2"),
        column("issued", "/issued_at", Date, "c3"),
        column("expires", "/expires_at", Time, "c2"),
        column("state", "/state", State, ""),
        column("ended", "/ended_at", Time, "c2"),
    ],
};

static RUNS: ListShown = ListShown {
    title: "review",
    columns: &[
        Column { leads_to: Some("/v1/invoice-runs/"), ..column("run", "/id", Text, "") },
        column("state", "/state", State, ""),
        column("from", "/period/start", Text, "c3"),
        column("until", "/period/stop", Text, "c3"),
        column("price-book", "/price_book", Text, "c2"),
        column("cut-off", "/cut_off", Sequence, "c2"),
        column("opened", "/opened_at", Time, "c3"),
        column("documents-title", "/invoices", Words, "c2"),
    ],
};

static PARTIES: ListShown = ListShown {
    title: "parties",
    columns: &[
        Column { leads_to: Some("/v1/invoices?payer="), ..column("number", "/id", Text, "") },
        column("name", "/name", Name, ""),
        column("time-zone", "/time_zone", Text, "c3"),
        column("registered", "/registered_at", Date, "c3"),
        column("sequence", "/sequence", Sequence, "c2"),
    ],
};

static ACCOUNTS: ListShown = ListShown {
    title: "accounts",
    columns: &[
        Column { leads_to: Some("/v1/accounts/"), ..column("account", "/id", Mono, "") },
        column("kind", "/kind", Text, "c3"),
        column("currency", "/currency", Text, ""),
        column("balance", "/balance", Written::Money, ""),
    ],
};

pub(crate) fn projections(view: &DerivedFrom<'_>) -> Value {
    PROJECTIONS.derive(view)
}

pub(crate) fn credentials(view: &DerivedFrom<'_>) -> Value {
    CREDENTIALS.derive(view)
}

pub(crate) fn runs(view: &DerivedFrom<'_>) -> Value {
    RUNS.derive(view)
}

pub(crate) fn parties(view: &DerivedFrom<'_>) -> Value {
    PARTIES.derive(view)
}

pub(crate) fn accounts(view: &DerivedFrom<'_>) -> Value {
    let mut list = ACCOUNTS.derive(view);
    // An account may be used in several currencies: each leads to its own statement.
    for row in list["rows"].as_array_mut().into_iter().flatten() {
        let after = format!("?currency={}", text(&row["cells"][0], "currency"));
        row["cells"][0]["after"] = after.into();
    }
    list
}
