//! The log as anybody can read it, one JSON event after the other, and what must be true of any log.

use std::collections::{BTreeMap, HashMap, VecDeque};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use serde_json::value::RawValue;
use slapledger_core::domain::time::Timestamp;
use slapledger_tests::http::Client;
use uuid::Uuid;

use crate::load::LoadPlace;

/// How many events are compared again after a restart: only the end of a log could be lost.
const COMPARED: usize = 3000;

/// What was read so far.
#[derive(Default)]
pub(crate) struct Record {
    last: u64,
    recorded_at: Option<Timestamp>,
    versions: HashMap<String, u64>,
    terms: Vec<u64>,
    /// The event that records each usage.
    usage: HashMap<Uuid, u64>,
    /// Names by instance id.
    names: HashMap<String, String>,
    places: BTreeMap<String, Option<LoadPlace>>,
    newest: VecDeque<String>,
}

impl Record {
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// How many starts there were.
    pub(crate) fn terms(&self) -> u64 {
        self.terms.len() as u64
    }

    /// The event that recorded this usage.
    pub(crate) fn usage(&self, id: &Uuid) -> Option<u64> {
        self.usage.get(id).copied()
    }

    /// How many usage events there are.
    pub(crate) fn usage_events(&self) -> usize {
        self.usage.len()
    }

    /// All instances and where they are.
    pub(crate) fn places(&self) -> &BTreeMap<String, Option<LoadPlace>> {
        &self.places
    }

    /// Reads what a running server has more than last time, and compares the end of what it had.
    pub(crate) fn catch_up(&mut self, client: &mut Client) -> anyhow::Result<()> {
        let known = std::mem::take(&mut self.newest);
        let mut after = self.last - known.len() as u64;
        let mut expected = known.iter();
        loop {
            let page = client.get(&format!("/v1/events?limit=1000&after={after}"))?.expect(200)?;
            let page = page.text();
            let page: Page<'_> = read(&page)?;
            if page.items.is_empty() {
                break;
            }
            for item in page.items {
                match expected.next() {
                    Some(before) => {
                        ensure!(
                            before == item.get(),
                            "sequence {} was {before}, now it is {item}",
                            after + 1
                        );
                        self.newest.push_back(item.get().to_owned());
                    }
                    None => self.take(item.get())?,
                }
                after += 1;
            }
        }
        ensure!(expected.next().is_none(), "the log was at {}, now it ends at {after}", self.last);
        Ok(())
    }

    /// Takes the next event over.
    pub(crate) fn take(&mut self, line: &str) -> anyhow::Result<()> {
        let event: Value = serde_json::from_str(line).with_context(|| format!("read {line}"))?;
        self.check(&event).with_context(|| format!("the log cannot hold {line} after {}", self.last))?;
        self.newest.push_back(line.to_owned());
        if self.newest.len() > COMPARED {
            self.newest.pop_front();
        }
        Ok(())
    }

    fn check(&mut self, event: &Value) -> anyhow::Result<()> {
        let number = |name: &str| event[name].as_u64().with_context(|| format!("{name} is missing"));
        ensure!(number("sequence")? == self.last + 1, "sequences have a gap");
        self.last += 1;
        let recorded_at = event["recorded_at"].as_str().and_then(Timestamp::parse_rfc3339);
        ensure!(recorded_at.is_some() && recorded_at >= self.recorded_at, "time runs backwards");
        self.recorded_at = recorded_at;
        let stream = event["stream"].as_str().context("stream is missing")?;
        let version = self.versions.entry(stream.to_owned()).or_default();
        ensure!(number("stream_version")? == *version + 1, "the versions of {stream} have a gap");
        *version += 1;
        let data = &event["data"];
        let text =
            |name: &str| data[name].as_str().map(str::to_owned).with_context(|| format!("{name} is missing"));
        match event["type"].as_str().context("type is missing")? {
            "WriterStarted" => {
                let term = data["term"].as_u64().context("a start without term")?;
                ensure!(self.terms.last().is_none_or(|last| *last < term), "terms do not rise");
                self.terms.push(term);
            }
            "UsageRecorded" => {
                let id: Uuid = text("id")?.parse()?;
                let before = self.usage.insert(id, self.last);
                ensure!(before.is_none(), "usage {id} was recorded as {before:?}");
            }
            kind @ ("UsageCorrected" | "UsageSuspended" | "InstanceEnded") => {
                bail!("nobody asked for {kind}")
            }
            "InstanceRequested" => {
                let (instance, reference) = (text("instance")?, text("reference")?);
                let before = self.places.insert(reference.clone(), None);
                ensure!(before.is_none(), "{reference} was requested twice");
                ensure!(self.names.insert(instance, reference).is_none(), "an instance id is used again");
            }
            "InstanceAllocated" => {
                let place = (text("computer")?, text("partition")?);
                let taken = self.places.iter().find(|(_, known)| known.as_ref() == Some(&place));
                ensure!(taken.is_none(), "{place:?} has {taken:?} already");
                let reference =
                    self.names.get(&text("instance")?).context("an unknown instance is allocated")?;
                let before = self.places.insert(reference.clone(), Some(place));
                ensure!(before == Some(None), "{reference} is allocated twice");
            }
            _ => {}
        }
        Ok(())
    }

    /// Another reading of the same log, as far as that went.
    pub(crate) fn same_so_far(&self, earlier: &Self) -> anyhow::Result<()> {
        ensure!(self.last >= earlier.last, "it ends at {} instead of {}", self.last, earlier.last);
        for (id, sequence) in &earlier.usage {
            ensure!(self.usage.get(id) == Some(sequence), "usage {id} is not at {sequence}");
        }
        for (reference, place) in &earlier.places {
            ensure!(self.places.get(reference) == Some(place), "{reference} is not at {place:?}");
        }
        ensure!(self.terms.starts_with(&earlier.terms), "the starts differ");
        Ok(())
    }
}

#[derive(Default)]
struct Page<'a> {
    items: Vec<&'a RawValue>,
}

/// The items of a page as they were written.
fn read(page: &str) -> anyhow::Result<Page<'_>> {
    let members: HashMap<&str, &RawValue> = serde_json::from_str(page).context("read a page of events")?;
    let items = members.get("items").context("a page without items")?;
    Ok(Page { items: serde_json::from_str(items.get())? })
}

#[cfg(test)]
mod tests {
    use super::Record;

    fn event(sequence: u64, kind: &str, data: &str) -> String {
        format!(
            r#"{{"sequence":{sequence},"recorded_at":"2026-10-01T00:00:00Z","stream":"s","stream_version":{sequence},
            "type":"{kind}","data":{data}}}"#
        )
    }

    /// A drill that cannot fail shows nothing.
    #[test]
    fn planted_faults_are_found() {
        let usage = r#"{"id":"5a4f0c9e-8f5b-4c0e-9f57-0b6d5f0a1c11"}"#;
        let (one, place) =
            (r#"{"instance":"SOFTINST-1","reference":"a"}"#, r#""computer":"C","partition":"p""#);
        let good = [
            event(1, "WriterStarted", r#"{"term":1}"#),
            event(2, "UsageRecorded", usage),
            event(3, "InstanceRequested", one),
            event(4, "InstanceAllocated", &format!(r#"{{"instance":"SOFTINST-1",{place}}}"#)),
            event(5, "InstanceRequested", r#"{"instance":"SOFTINST-2","reference":"b"}"#),
        ];
        let bad = [
            event(7, "WriterStarted", r#"{"term":2}"#),
            event(6, "WriterStarted", r#"{"term":1}"#),
            event(6, "UsageRecorded", usage),
            event(6, "InstanceRequested", one),
            event(6, "InstanceAllocated", &format!(r#"{{"instance":"SOFTINST-2",{place}}}"#)),
            event(6, "UsageSuspended", usage),
            event(6, "WriterStarted", r#"{"term":2}"#).replace("2026-10-01T00", "2026-09-30T00"),
            event(6, "WriterStarted", r#"{"term":2}"#)
                .replace("\"stream_version\":6", "\"stream_version\":5"),
        ];
        for bad in bad {
            let mut record = Record::default();
            for event in &good {
                record.take(event).unwrap();
            }
            assert!(record.take(&bad).is_err(), "{bad}");
        }
    }
}
