//! The log: events, the newest first, with what each of them is about.

use serde_json::{Value, json};

use super::values::{items, text};
use crate::answers::{Answers, DerivedFrom, PageRequest, Part};

/// The most sequences and documents that an event is said to name.
const MOST_NAMED: usize = 12;
/// Members of an event whose number is the sequence of another event.
const SEQUENCES: [&str; 10] = [
    "cut_off",
    "sequence",
    "suspended",
    "first_sequence",
    "last_sequence",
    "as_of",
    "first",
    "last",
    "published_by",
    "recorded_by",
];

/// An event that is sought, and which events come first.
pub(crate) fn sent(asked: &PageRequest) -> Vec<(String, String)> {
    let sought = asked
        .parameter("sequence")
        .and_then(|text| text.trim().replace([',', ' ', '\u{202f}', '\u{a0}'], "").parse().ok());
    if let Some(sequence) = sought.filter(|sequence: &u64| *sequence > 0) {
        return vec![("after".to_owned(), (sequence - 1).to_string())];
    }
    let is_placed = ["after", "order"].into_iter().any(|name| asked.parameter(name).is_some());
    if is_placed { Vec::new() } else { vec![("order".to_owned(), "newest".to_owned())] }
}

/// The head of the log, signed.
pub(crate) fn parts(_: &PageRequest, _: &Answers) -> Vec<Part> {
    vec![Part::new("checkpoint", "/v1/log/checkpoint")]
}

/// The page about what a stream is about, if there is one.
fn place(stream: &str) -> Option<String> {
    let (kind, id) = stream.split_once('/')?;
    let segment = percent_encoding::utf8_percent_encode(id, crate::format::SEGMENT);
    let of = |path: &str| Some(format!("{path}{segment}"));
    match kind {
        "invoice" => of("/v1/invoices/"),
        "invoice-run" => of("/v1/invoice-runs/"),
        "computer" | "usage" => of("/v1/computers/"),
        "instance" => of("/v1/instance-trees?q="),
        "price-book" => of("/v1/price-books/"),
        "credential" => of("/v1/credentials/"),
        "party" => of("/v1/invoices?payer="),
        _ => None,
    }
}

/// Documents and other events that an event names, as it is written.
#[derive(Default)]
struct NamedThings {
    sequences: Vec<u64>,
    documents: Vec<String>,
}

impl NamedThings {
    fn find(&mut self, name: &str, value: &Value, own: u64) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| self.find(name, value, own)),
            Value::Array(values) => values.iter().for_each(|value| self.find(name, value, own)),
            Value::Number(number) if SEQUENCES.contains(&name) => {
                let sequence = number.as_u64().filter(|sequence| (1..own).contains(sequence));
                if let Some(sequence) = sequence.filter(|sequence| !self.sequences.contains(sequence)) {
                    self.sequences.push(sequence);
                }
            }
            Value::String(document)
                if matches!(name, "invoice" | "cites" | "document") && !self.documents.contains(document) =>
            {
                self.documents.push(document.clone());
            }
            _ => {}
        }
    }
}

fn row(event: &Value, is_open: bool) -> Value {
    let stream = text(event, "stream");
    let mut shown = json!({
        "sequence": event["sequence"], "recorded_at": event["recorded_at"], "type": event["type"],
        "stream": stream, "version": event["stream_version"], "actor": event["actor"]["id"],
        "actor_kind": event["actor"]["kind"], "is_open": is_open,
    });
    if is_open {
        let mut named = NamedThings::default();
        named.find("", &event["data"], event["sequence"].as_u64().unwrap_or_default());
        named.sequences.sort_unstable();
        let left = named.sequences.len().saturating_sub(MOST_NAMED);
        named.sequences.truncate(MOST_NAMED);
        named.documents.truncate(MOST_NAMED);
        shown["json"] = serde_json::to_string_pretty(event).unwrap_or_default().into();
        shown["place"] = place(stream).into();
        shown["named"] = json!({"sequences": named.sequences, "left": left, "documents": named.documents});
    }
    shown
}

pub(crate) fn derive(view: &DerivedFrom<'_>) -> Value {
    let asked = view.asked;
    let all = view.answers.get("it").map_or(&[][..], |it| items(&it["items"]));
    let sought = sent(asked).into_iter().find(|(name, _)| name == "after");
    let sought = sought.and_then(|(_, after)| after.parse::<u64>().ok()).map(|after| after + 1);
    let open = asked.parameter("open").and_then(|open| open.parse().ok()).or(sought);
    let rows = all.iter().map(|event| row(event, open.is_some() && event["sequence"].as_u64() == open));
    let filters = ["type", "stream", "actor", "from", "to"];
    let told: serde_json::Map<String, Value> = filters
        .iter()
        .map(|name| ((*name).to_owned(), asked.parameter(name).unwrap_or_default().into()))
        .collect();
    let is_oldest = sought.is_some()
        || asked.parameter("after").is_some()
        || asked.parameter("order").is_some_and(|order| order == "oldest");
    json!({
        "rows": rows.collect::<Vec<_>>(), "told": told, "sought": sought, "is_oldest": is_oldest,
        "is_filtered": filters.iter().any(|name| asked.parameter(name).is_some()) || sought.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_earlier_events_and_documents() {
        let event = json!({"sequence": 9, "stream": "invoice/INV-1", "data": {"cut_off": 4, "quantity": 3,
            "lines": [{"events": {"first_sequence": 2, "last_sequence": 4}, "cites": {"invoice": "INV-0", "line": 1}}],
            "later": {"sequence": 9}}});
        let row = row(&event, true);
        assert_eq!(row["named"], json!({"sequences": [2, 4], "left": 0, "documents": ["INV-0"]}));
        assert_eq!(row["place"], "/v1/invoices/INV-1");
        assert!(super::row(&event, false).get("json").is_none());
        assert_eq!(place("usage/COMP <1>").as_deref(), Some("/v1/computers/COMP%20%3C1%3E"));
        assert_eq!(place("ledger"), None);
    }

    #[test]
    fn a_sought_event_comes_first_and_otherwise_the_newest() {
        let asked = |query: &[(&str, &str)]| {
            let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let asked = PageRequest {
                path: String::new(),
                names: std::collections::BTreeMap::new(),
                now: String::new(),
                query,
            };
            sent(&asked).into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(asked(&[]), ["order=newest"]);
        assert_eq!(asked(&[("sequence", "13,626")]), ["after=13625"]);
        assert_eq!(asked(&[("sequence", "0")]), ["order=newest"]);
        assert!(asked(&[("after", "5")]).is_empty() && asked(&[("order", "oldest")]).is_empty());
    }
}
