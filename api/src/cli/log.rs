//! `slapledger log`: the events of a folder or of a running server.

use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::Context;
use serde_json::Value;
use slapledger_client::print::note;
use slapledger_client::server::Server;
use slapledger_core::domain::id::Sequence;
use slapledger_core::log::envelope::EventDecoder;
use slapledger_core::log::sled_store::SledStore;
use slapledger_core::log::store::read_frames;
use slapledger_engine::folder;

use super::warnings;

/// How many events are asked of a server at a time.
const PAGE: u64 = 1000;

/// Opens the log of a folder that no server is using, and writes nothing.
pub(super) fn open_folder(data: &Path) -> anyhow::Result<SledStore> {
    warnings::to_stderr();
    folder::read_log(data)
}

pub(super) fn of_folder(data: &Path, after: u64, limit: Option<u64>, json: bool) -> anyhow::Result<()> {
    let store = open_folder(data)?;
    note!("{}", folder::end_of(&store)?);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut decoder = EventDecoder::default();
    let mut left = limit.unwrap_or(u64::MAX);
    for frame in read_frames(&store, Sequence(after)) {
        for (sequence, bytes) in frame?.events_after(Sequence(after)) {
            if left == 0 {
                return finish(out.flush());
            }
            left -= 1;
            let event = serde_json::to_value(decoder.decode(sequence, bytes)?)?;
            if let Err(error) = print(&mut out, &event, json) {
                return finish(Err(error));
            }
        }
    }
    finish(out.flush())
}

pub(super) fn of_server(server: &Server, after: u64, limit: Option<u64>, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let (mut after, mut left) = (after, limit.unwrap_or(u64::MAX));
    while left > 0 {
        let page = left.min(PAGE).to_string();
        let events = server.get("/v1/events", &[("after", &after.to_string()), ("limit", &page)])?;
        let items = events["items"].as_array().context("the server's answer has no items")?;
        let last = items.last().map(|last| last["sequence"].as_u64().context("an event without sequence"));
        // A page that had to pass over much is short, perhaps empty, and says how far it came.
        let passed = events["next"].as_str().and_then(|next| next.parse().ok());
        let Some(reached) = passed.or(last.transpose()?) else { break };
        for event in items {
            if let Err(error) = print(&mut out, event, json) {
                return finish(Err(error));
            }
        }
        left -= items.len() as u64;
        after = reached;
    }
    finish(out.flush())
}

/// Anyone who reads may have seen enough (`slapledger log | head`).
fn finish(result: std::io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("print events"),
        _ => Ok(()),
    }
}

fn print(out: &mut impl Write, event: &Value, json: bool) -> std::io::Result<()> {
    if json {
        return writeln!(out, "{event}");
    }
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    writeln!(
        out,
        "{:>8}  {:<27}  {:<24}  {:<24}  {}",
        event["sequence"].to_string(),
        text(&event["recorded_at"]),
        text(&event["stream"]),
        text(&event["type"]),
        event["data"]
    )
}
