//! All that was answered, and the checks that it is still so.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use anyhow::{Context, ensure};
use serde_json::Value;
use slapledger_tests::cloudevents::UsageEvent;
use slapledger_tests::http::Client;
use slapledger_tests::random::Random;
use slapledger_tests::server::Server;
use slapledger_tests::slap::{Request, percent_encode};
use uuid::Uuid;

use crate::load::{self, Batch, Journal, LoadPlace, RELEASE, Told};
use crate::record::Record;

/// An instance that was answered.
pub(crate) struct Instance {
    pub(crate) place: LoadPlace,
    /// The version of its parameters, as it was read last.
    pub(crate) version: u64,
    /// Versions that were sent since then, in order, and whether they were answered.
    sent: Vec<(u64, bool)>,
}

/// Usage that was sent.
struct Sent {
    event: UsageEvent,
    /// Whether it was answered as accepted or as a duplicate.
    acknowledged: bool,
    /// The sequence it was told to duplicate.
    sequence: Option<u64>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Known {
    instances: BTreeMap<String, Instance>,
    /// Requested, but nobody heard the answer.
    perhaps: BTreeSet<String>,
    usage: HashMap<Uuid, Sent>,
    ids: Vec<Uuid>,
    /// Sent in the last round.
    recent: Vec<Uuid>,
    /// Posts of the last round that had a name.
    named: Vec<(Arc<Batch>, Option<Told>)>,
    sequence: u64,
    duplicates: u64,
    unheard: u64,
}

impl Known {
    /// An instance that is there before the drill begins.
    pub(crate) fn prepared(&mut self, reference: &str, place: LoadPlace) {
        self.instances.insert(reference.to_owned(), Instance { place, version: 0, sent: Vec::new() });
    }

    /// The instances that this thread may change.
    pub(crate) fn instances_of(&self, thread: usize, threads: usize) -> Vec<(&String, &Instance)> {
        self.instances
            .iter()
            .enumerate()
            .filter(|(n, _)| n % threads == thread)
            .map(|(_, known)| known)
            .collect()
    }

    /// Where an instance is.
    pub(crate) fn place_of(&self, reference: &str) -> Option<&LoadPlace> {
        self.instances.get(reference).map(|instance| &instance.place)
    }

    /// Some event that was sent in an earlier round.
    pub(crate) fn any_event(&self, random: &mut Random) -> Option<&UsageEvent> {
        if self.ids.is_empty() {
            return None;
        }
        self.usage.get(random.pick(&self.ids)).map(|sent| &sent.event)
    }

    /// For people.
    pub(crate) fn summary(&self) -> String {
        let (instances, usage) = (self.instances.len(), self.usage.len());
        let Self { duplicates, unheard, .. } = self;
        format!(
            "{instances} instances, {usage} usage events, {duplicates} duplicates, {unheard} answers not heard"
        )
    }

    /// Takes over what a thread was answered.
    pub(crate) fn take(&mut self, journal: Journal) {
        for (reference, place) in journal.requests {
            if let Some(place) = place {
                self.promised(reference, &place);
            } else {
                self.unheard += 1;
                self.perhaps.insert(reference);
            }
        }
        let answered = journal.unchanged.into_iter().chain(journal.shown);
        answered.for_each(|(reference, place)| self.promised(reference, &place));
        for (reference, version, answered) in journal.changes {
            self.unheard += u64::from(!answered);
            if let Some(instance) = self.instances.get_mut(&reference) {
                instance.sent.push((version, answered));
            }
        }
        self.sequence = self.sequence.max(journal.sequence);
        for (batch, told) in journal.posts {
            self.unheard += u64::from(told.is_none());
            self.duplicates += told.as_ref().map_or(0, |told| batch.events.len() as u64 - told.accepted);
            for (n, event) in batch.events.iter().enumerate() {
                let sent = self.usage.entry(load::key(event)).or_insert_with(|| {
                    self.ids.push(load::key(event));
                    Sent { event: event.clone(), acknowledged: false, sequence: None }
                });
                self.recent.push(load::key(event));
                if let Some(told) = &told {
                    sent.acknowledged = true;
                    sent.sequence = sent.sequence.or(told.duplicates[n]);
                }
            }
            if batch.name.is_some() {
                self.named.push((batch, told));
            }
        }
    }

    fn promised(&mut self, reference: String, place: &LoadPlace) {
        self.perhaps.remove(&reference);
        let instance = self.instances.entry(reference).or_insert(Instance {
            place: place.clone(),
            version: 0,
            sent: Vec::new(),
        });
        assert_eq!(instance.place, *place, "an instance was answered in two places");
    }

    /// Everything that was answered is so, after a restart.
    pub(crate) fn check(
        &mut self,
        server: &Server,
        record: &Record,
        random: &mut Random,
    ) -> anyhow::Result<()> {
        let mut client = server.client(true);
        ensure!(
            record.last() >= self.sequence,
            "sequence {} was answered, the log is at {}",
            self.sequence,
            record.last()
        );
        let health = client.get("/healthz")?.expect(200)?.json()?;
        ensure!(find(&health, "blobs") == Some(&Value::from(0)), "blobs outside the log: {health}");
        self.check_record(record)?;
        self.check_instances(&mut client, record, random)?;
        self.check_named(&mut client)?;
        self.check_usage(&mut client, record, random)?;
        self.check_totals(&mut client)
    }

    /// The log holds what was answered.
    pub(crate) fn check_record(&self, record: &Record) -> anyhow::Result<()> {
        for (reference, instance) in &self.instances {
            let place = record.places().get(reference);
            ensure!(
                place == Some(&Some(instance.place.clone())),
                "{reference} was answered at {:?}, the log says {place:?}",
                instance.place
            );
        }
        let unknown = |reference: &&String| {
            !self.instances.contains_key(*reference) && !self.perhaps.contains(*reference)
        };
        let unasked = record.places().keys().find(unknown);
        ensure!(unasked.is_none(), "nobody asked for {unasked:?}");
        for (id, sent) in self.usage.iter().filter(|(_, sent)| sent.acknowledged) {
            let sequence = record
                .usage(id)
                .with_context(|| format!("usage {id} was acknowledged and is not in the log"))?;
            ensure!(
                sent.sequence.is_none_or(|told| told == sequence),
                "usage {id} was said to be {:?}, it is {sequence}",
                sent.sequence
            );
        }
        ensure!(record.usage_events() <= self.usage.len(), "usage that nobody sent");
        Ok(())
    }

    /// Instances as they are listed, their parameters, and what a request for them is answered.
    fn check_instances(
        &mut self,
        client: &mut Client,
        record: &Record,
        random: &mut Random,
    ) -> anyhow::Result<()> {
        let mut listed = BTreeMap::new();
        let mut cursor = String::new();
        loop {
            let page = client.get(&format!("/v1/instances?limit=1000{cursor}"))?.expect(200)?.json()?;
            for item in page["items"].as_array().context("a list without items")? {
                let (title, place) =
                    load::instance(item).with_context(|| format!("it has no place: {item}"))?;
                let id = item["id"].as_str().context("an instance without id")?.to_owned();
                ensure!(listed.insert(title.clone(), (id, place)).is_none(), "{title} is listed twice");
            }
            match page["next"].as_str() {
                Some(next) => {
                    "&cursor=".clone_into(&mut cursor);
                    percent_encode(next, &mut cursor);
                }
                None => break,
            }
        }
        let places: BTreeMap<_, _> =
            listed.iter().map(|(title, (_, place))| (title, Some(place.clone()))).collect();
        let logged: BTreeMap<_, _> =
            record.places().iter().map(|(title, place)| (title, place.clone())).collect();
        ensure!(places == logged, "the list of instances is not what the log says");
        // What was requested without an answer has come, or will come now.
        for reference in std::mem::take(&mut self.perhaps) {
            let place = request(client, &reference, 0)?;
            if let Some((_, before)) = listed.get(&reference) {
                ensure!(*before == place, "{reference} was at {before:?}, now it is answered at {place:?}");
            }
            self.prepared(&reference, place);
        }
        for (reference, instance) in &mut self.instances {
            if instance.sent.is_empty() && !random.once_in(20) {
                continue;
            }
            let Some((id, _)) = listed.get(reference) else { continue };
            let shown = client.get(&format!("/v1/instances/{id}"))?.expect(200)?.json()?;
            let version = shown["parameters"]["v"].as_str().and_then(|version| version.parse().ok());
            let version: u64 = version.with_context(|| format!("no version in {shown}"))?;
            let answered = instance.sent.iter().rposition(|(_, answered)| *answered);
            let possible = match answered {
                Some(last) => &instance.sent[last..],
                None => &instance.sent[..],
            };
            let as_before = answered.is_none() && version == instance.version;
            let one_sent = possible.iter().any(|(sent, _)| *sent == version);
            ensure!(as_before || one_sent, "{reference} has version {version}, not one of {possible:?}");
            instance.version = version;
            instance.sent.clear();
            let place = request(client, reference, version)?;
            ensure!(place == instance.place, "{reference} moved to {place:?}");
        }
        Ok(())
    }

    /// A post that was answered under a name is answered so again, and not carried out again.
    fn check_named(&mut self, client: &mut Client) -> anyhow::Result<()> {
        for (batch, told) in std::mem::take(&mut self.named) {
            let again = Told::read(batch.send(client)?, &batch)?;
            if let Some(told) = told {
                let same = (again.accepted, &again.duplicates) == (told.accepted, &told.duplicates);
                ensure!(same, "{:?} was answered {told:?}, now {again:?}", batch.name);
            }
        }
        Ok(())
    }

    /// Usage of the last round, and some that is older, sent again.
    fn check_usage(
        &mut self,
        client: &mut Client,
        record: &Record,
        random: &mut Random,
    ) -> anyhow::Result<()> {
        let older: Vec<Uuid> = (0..self.ids.len().min(200)).map(|_| *random.pick(&self.ids)).collect();
        let all: BTreeSet<Uuid> = std::mem::take(&mut self.recent).into_iter().chain(older).collect();
        let all: Vec<Uuid> = all.into_iter().collect();
        for ids in all.chunks(500) {
            let events: Vec<UsageEvent> = ids.iter().map(|id| self.usage[id].event.clone()).collect();
            let batch = Batch::new(None, events);
            let told = Told::read(batch.send(client)?, &batch)?;
            for (id, duplicate) in ids.iter().zip(&told.duplicates) {
                let sent = self.usage.get_mut(id).context("it was sent")?;
                ensure!(
                    duplicate.is_some() || !sent.acknowledged,
                    "usage {id} was acknowledged, and is accepted again"
                );
                let logged = record.usage(id);
                // Only a post under a name can have come in between.
                let same = duplicate.is_none() || logged.is_none() || *duplicate == logged;
                ensure!(same, "usage {id} is said to be {duplicate:?}, the log says {logged:?}");
                let before = sent.sequence.or(logged);
                ensure!(
                    before.is_none() || before == *duplicate,
                    "usage {id} was {before:?}, now {duplicate:?}"
                );
                (sent.acknowledged, sent.sequence) = (true, *duplicate);
            }
        }
        Ok(())
    }

    /// By now all usage that was ever sent is acknowledged: what is metered is the sum of it, once.
    fn check_totals(&self, client: &mut Client) -> anyhow::Result<()> {
        let mut expected: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for sent in self.usage.values() {
            ensure!(sent.acknowledged, "usage {} was never answered", sent.event.id);
            let total = expected.entry((&sent.event.subject, &sent.event.resource)).or_default();
            *total += sent.event.thousandths;
        }
        let mut found = 0;
        for n in 1..=crate::METERED {
            let place = self.place_of(&format!("metered {}", n - 1)).context("it was prepared")?;
            let path = format!("/v1/usage?instance=SOFTINST-{n}&from=2026-10-01&to=2026-11-02&step=month");
            let readings = client.get(&path)?.expect(200)?.json()?;
            for reading in readings["resources"].as_array().context("readings without resources")? {
                let resource = reading["resource"].as_str().context("a reading without resource")?;
                let steps = reading["steps"].as_array().into_iter().flatten();
                let sum: Option<u64> = steps.map(|step| thousandths(step["sum"].as_str()?)).sum();
                let wanted = expected.get(&(place.1.as_str(), resource)).copied();
                ensure!(sum == wanted, "{sum:?} of {resource} is metered in {place:?}, {wanted:?} was sent");
                found += 1;
            }
        }
        ensure!(found == expected.len(), "{found} series are metered, {} were sent", expected.len());
        Ok(())
    }
}

fn request(client: &mut Client, reference: &str, version: u64) -> anyhow::Result<LoadPlace> {
    let version = version.to_string();
    let form =
        Request { reference, release: RELEASE, parameters: &[("v", &version)], computer: "", state: "" };
    load::place(&client.post_form("/requestComputerPartition", &form.form())?.expect(200)?)
}

/// A member of this name, wherever it is.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => {
            members.get(name).or_else(|| members.values().find_map(|value| find(value, name)))
        }
        Value::Array(items) => items.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

/// A decimal of at most three digits after the point, in thousandths.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = format!("{fraction:0<3}");
    Some(whole.parse::<u64>().ok()? * 1000 + fraction.parse::<u64>().ok().filter(|_| fraction.len() == 3)?)
}
