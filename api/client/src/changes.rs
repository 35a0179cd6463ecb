//! `slapledger diff`: what changed between two points of the log, by stream.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::{Value, json};
use slapledger_core::domain::time::Timestamp;

use crate::invoices::text_of;
use crate::options::ReadSourceArgs;
use crate::print::say;
use crate::server::Server;
use crate::table::table;

/// How many events are asked for at a time.
const PAGE: &str = "1000";

#[derive(Args)]
pub struct DiffArgs {
    /// Changes after this sequence or instant (RFC 3339)
    #[arg(long, value_name = "SEQUENCE|INSTANT")]
    from: String,
    /// Up to this sequence or instant. Default: now
    #[arg(long, value_name = "SEQUENCE|INSTANT")]
    to: Option<String>,
    #[command(flatten)]
    client: ReadSourceArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What happened in one stream.
#[derive(Default)]
struct StreamChanges {
    events: u64,
    first: u64,
    last: u64,
    types: BTreeMap<String, u64>,
}

/// Prints what changed.
pub fn diff(asked: &DiffArgs) -> anyhow::Result<()> {
    let server = asked.client.server()?;
    let from = sequence_of(&server, "--from", &asked.from)?;
    let to = asked.to.as_deref().map_or(Ok(u64::MAX), |told| sequence_of(&server, "--to", told))?;
    ensure!(from <= to, "--from {from} is after --to {to}");
    let mut changes: BTreeMap<String, StreamChanges> = BTreeMap::new();
    let (mut after, mut events) = (from, 0);
    loop {
        let page = events_after(&server, after, PAGE)?;
        let end = sequence(&page);
        ensure!(from <= end, "--from {from}: the log ends at sequence {end}");
        ensure!(
            asked.to.is_none() || to <= end,
            "--to {to}: the log ends at sequence {end}; leave --to out to see all"
        );
        for event in items_of(&page)?.iter().take_while(|event| sequence(event) <= to) {
            let of_stream = changes.entry(text_of(&event["stream"]).to_owned()).or_default();
            if of_stream.events == 0 {
                of_stream.first = sequence(event);
            }
            of_stream.last = sequence(event);
            of_stream.events += 1;
            events += 1;
            *of_stream.types.entry(text_of(&event["type"]).to_owned()).or_default() += 1;
        }
        // A page that had to pass over events of others is short, perhaps empty, and says how far it came.
        match passed(&page) {
            Some(passed) if passed < to => after = passed,
            _ => {
                after = end.min(to);
                break;
            }
        }
    }
    if asked.json {
        let items: Vec<Value> = changes.iter().map(|(stream, found)| {
            json!({"stream": stream, "events": found.events, "first": found.first, "last": found.last, "types": found.types})
        }).collect();
        say!("{}", json!({"items": items, "from": from, "to": after}));
        return Ok(());
    }
    let mut shown = table(&["stream", "events", "first", "last", "what"], &[1, 2, 3]);
    for (stream, found) in &changes {
        let what: Vec<String> = found
            .types
            .iter()
            .map(|(name, count)| if *count == 1 { name.clone() } else { format!("{count} {name}") })
            .collect();
        let numbers = [found.events, found.first, found.last].map(|number| number.to_string());
        let [events, first, last] = numbers;
        shown.add_row([stream.clone(), events, first, last, what.join(", ")]);
    }
    shown.print();
    say!("{events} events in {} streams after sequence {from}, up to {after}", changes.len());
    Ok(())
}

fn sequence(event: &Value) -> u64 {
    event["sequence"].as_u64().unwrap_or_default()
}

fn events_after(server: &Server, after: u64, limit: &str) -> anyhow::Result<Value> {
    server.get("/v1/events", &[("after", &after.to_string()), ("limit", limit)])
}

/// How far a page came that has another one after it.
fn passed(page: &Value) -> Option<u64> {
    page["next"].as_str()?.parse().ok()
}

/// The first event after a sequence that is shown.
fn first_after(server: &Server, after: u64) -> anyhow::Result<Option<Value>> {
    let mut after = after;
    loop {
        let page = events_after(server, after, "1")?;
        match (items_of(&page)?.first(), passed(&page)) {
            (Some(event), _) => return Ok(Some(event.clone())),
            (None, Some(passed)) => after = passed,
            (None, None) => return Ok(None),
        }
    }
}

fn items_of(page: &Value) -> anyhow::Result<&Vec<Value>> {
    page["items"].as_array().context("the server's answer has no items")
}

/// The sequence of the last event that the server recorded at an instant or before. Events are recorded in the order of time,
/// so this searches by halves.
fn sequence_of(server: &Server, option: &str, told: &str) -> anyhow::Result<u64> {
    if let Ok(sequence) = told.parse() {
        return Ok(sequence);
    }
    let form = || {
        format!(
            "{option} {told}: must be a sequence such as 40213, or an instant such as 2026-10-01T01:00:00Z"
        )
    };
    let until = Timestamp::parse_rfc3339(told).with_context(form)?;
    let (mut before, mut beyond) = (0, None);
    // Each step halves what is left, or doubles how far it looks.
    let mut step = 1;
    while beyond.is_none_or(|beyond| before + 1 < beyond) {
        let probe = beyond.map_or(before + step, |beyond| before + (beyond - before) / 2);
        step *= 2;
        let event = first_after(server, probe - 1)?;
        let event = event.as_ref();
        let read = |event: &Value| {
            Timestamp::parse_rfc3339(text_of(&event["recorded_at"])).context("an event without instant")
        };
        match (event, event.map(read).transpose()?) {
            (Some(event), Some(at)) if at <= until => before = sequence(event).max(probe),
            _ => beyond = Some(probe),
        }
    }
    Ok(before)
}
