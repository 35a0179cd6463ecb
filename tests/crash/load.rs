//! Those who send: each thread sends one request after the other and writes down what it was answered, and what it
//! was not.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use slapledger_tests::cloudevents::{self, BATCH, UsageEvent, minute_of_month};
use slapledger_tests::http::{Answer, Client};
use slapledger_tests::random::Random;
use slapledger_tests::slap::{Request, member};
use uuid::Uuid;

use crate::known::Known;
use crate::{COMPUTER, METERED, THREADS, next};

/// What all instances run.
pub(crate) const RELEASE: &str = "http://example.com/drill/software.cfg";
/// What is measured.
pub(crate) const RESOURCES: [&str; 2] = ["drill/requests", "drill/bytes"];
/// New instances of a round, at most.
const NEW_IN_A_ROUND: i64 = 50;

/// Computer and partition.
pub(crate) type LoadPlace = (String, String);

/// Names that are never used twice.
#[derive(Default)]
pub(crate) struct Counters {
    instances: AtomicU64,
    versions: AtomicU64,
    names: AtomicU64,
}

/// What the threads of a round share.
pub(crate) struct Shared<'a> {
    counters: &'a Counters,
    stopped: AtomicBool,
    room: AtomicI64,
    /// What somebody is posting right now, for others to post it too.
    hot: Mutex<Option<Arc<Batch>>>,
}

impl<'a> Shared<'a> {
    pub(crate) fn new(counters: &'a Counters) -> Self {
        let (stopped, room) = (AtomicBool::new(false), AtomicI64::new(NEW_IN_A_ROUND));
        Self { counters, stopped, room, hot: Mutex::new(None) }
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}

/// A post of usage events.
pub(crate) struct Batch {
    /// Its Idempotency-Key, if it has one.
    pub(crate) name: Option<String>,
    pub(crate) events: Vec<UsageEvent>,
    body: String,
}

impl Batch {
    pub(crate) fn new(name: Option<String>, events: Vec<UsageEvent>) -> Self {
        let body = cloudevents::batch(COMPUTER, &events);
        Self { name, events, body }
    }

    pub(crate) fn send(&self, client: &mut Client) -> std::io::Result<Answer> {
        match &self.name {
            Some(name) => client.post_named("/v1/usage-events", BATCH, name, self.body.as_bytes()),
            None => client.post("/v1/usage-events", BATCH, self.body.as_bytes()),
        }
    }
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) accepted: u64,
    /// Of each event: the sequence of what it duplicates; none, if it was accepted.
    pub(crate) duplicates: Vec<Option<u64>>,
    pub(crate) sequence: u64,
}

impl Told {
    pub(crate) fn read(answer: Answer, batch: &Batch) -> anyhow::Result<Self> {
        let told = answer.expect(200)?.json()?;
        let number = |name: &str| told[name].as_u64().with_context(|| format!("{name} is missing in {told}"));
        let mut duplicates = vec![None; batch.events.len()];
        for outcome in told["outcomes"].as_array().context("outcomes are missing")? {
            ensure!(outcome["outcome"] == "duplicate", "neither accepted nor a duplicate: {outcome}");
            let index = outcome["index"].as_u64().context("an outcome without index")?;
            let place = duplicates.get_mut(usize::try_from(index)?).context("an index out of range")?;
            *place = Some(outcome["sequence"].as_u64().context("a duplicate without sequence")?);
        }
        let (accepted, repeated) = (number("accepted")?, number("duplicates")?);
        ensure!(number("suspended")? + number("rejected")? == 0, "suspended or rejected: {told}");
        let counted = duplicates.iter().filter(|duplicate| duplicate.is_some()).count();
        ensure!(repeated == counted as u64, "{repeated} duplicates, but {counted} in the outcomes");
        ensure!(accepted + repeated == batch.events.len() as u64, "not all are counted: {told}");
        Ok(Self { accepted, duplicates, sequence: number("sequence")? })
    }
}

/// What a thread was answered, and what it was not.
#[derive(Default)]
pub(crate) struct Journal {
    /// Requests for new instances; with their place, if answered.
    pub(crate) requests: Vec<(String, Option<LoadPlace>)>,
    /// Requests with the parameters they had.
    pub(crate) unchanged: Vec<(String, LoadPlace)>,
    /// Requests with other parameters: the version, and whether it was answered.
    pub(crate) changes: Vec<(String, u64, bool)>,
    pub(crate) posts: Vec<(Arc<Batch>, Option<Told>)>,
    /// Instances that a read showed.
    pub(crate) shown: Vec<(String, LoadPlace)>,
    /// The highest sequence that an answer named.
    pub(crate) sequence: u64,
}

/// One thread.
pub(crate) struct Load<'a> {
    client: Client,
    random: Random,
    known: &'a Known,
    shared: &'a Shared<'a>,
    thread: usize,
    journal: Journal,
}

impl<'a> Load<'a> {
    pub(crate) fn new(
        address: SocketAddr,
        mut random: Random,
        known: &'a Known,
        shared: &'a Shared<'a>,
        thread: usize,
    ) -> Self {
        // A node keeps its connection open, a SLAP client opens one for each request.
        let client = Client::new(address, random.once_in(2));
        Self { client, random, known, shared, thread, journal: Journal::default() }
    }

    /// Sends until nobody answers.
    pub(crate) fn run(mut self) -> anyhow::Result<Journal> {
        while !self.shared.stopped.load(Ordering::SeqCst) {
            let alive = match self.random.below(10) {
                0..2 => self.request_new(),
                2..4 => self.request_known(),
                4..8 => self.post(),
                _ => self.read(),
            }?;
            if !alive {
                break;
            }
        }
        Ok(self.journal)
    }

    /// Mostly two threads ask for the same instance at about the same time.
    fn request_new(&mut self) -> anyhow::Result<bool> {
        if self.shared.room.fetch_sub(1, Ordering::Relaxed) <= 0 {
            return self.request_known();
        }
        let reference = format!("new {}", next(&self.shared.counters.instances) / 2);
        let at = self.journal.requests.len();
        self.journal.requests.push((reference.clone(), None));
        let Some(answer) = self.request(&reference, 0) else { return Ok(false) };
        self.journal.requests[at].1 = Some(place(&answer.expect(200)?)?);
        Ok(true)
    }

    /// Only one thread changes an instance, and knows how it is.
    fn request_known(&mut self) -> anyhow::Result<bool> {
        let mine = self.known.instances_of(self.thread, THREADS);
        if mine.is_empty() {
            return self.read();
        }
        let (reference, instance) = *self.random.pick(&mine);
        let changes = self.journal.changes.iter().rev().filter(|(changed, _, _)| changed == reference);
        let version = changes.map(|(_, version, _)| *version).next().unwrap_or(instance.version);
        if self.random.once_in(2) {
            let version = next(&self.shared.counters.versions) + 1;
            let at = self.journal.changes.len();
            self.journal.changes.push((reference.clone(), version, false));
            let Some(answer) = self.request(reference, version) else { return Ok(false) };
            ensure!(place(&answer.expect(200)?)? == instance.place, "{reference} moved while it changed");
            self.journal.changes[at].2 = true;
        } else {
            let Some(answer) = self.request(reference, version) else { return Ok(false) };
            self.journal.unchanged.push((reference.clone(), place(&answer.expect(200)?)?));
        }
        Ok(true)
    }

    fn request(&mut self, reference: &str, version: u64) -> Option<Answer> {
        let version = version.to_string();
        let parameters = [("v", version.as_str())];
        let form = Request { reference, release: RELEASE, parameters: &parameters, computer: "", state: "" };
        self.client.post_form("/requestComputerPartition", &form.form()).ok()
    }

    /// New events and some that were sent before; now and then what another thread is posting at this moment.
    fn post(&mut self) -> anyhow::Result<bool> {
        let hot = self.shared.hot.lock().expect("no thread panicked with it").clone();
        let batch = match hot {
            Some(batch) if self.random.once_in(4) => batch,
            _ => {
                let batch = Arc::new(self.batch());
                *self.shared.hot.lock().expect("no thread panicked with it") = Some(Arc::clone(&batch));
                batch
            }
        };
        let at = self.journal.posts.len();
        self.journal.posts.push((Arc::clone(&batch), None));
        let Ok(answer) = batch.send(&mut self.client) else { return Ok(false) };
        let told = Told::read(answer, &batch)?;
        self.journal.sequence = self.journal.sequence.max(told.sequence);
        self.journal.posts[at].1 = Some(told);
        Ok(true)
    }

    fn batch(&mut self) -> Batch {
        let october = minute_of_month(10);
        let mut events = Vec::new();
        for _ in 0..=self.random.below(20) {
            if self.random.once_in(6)
                && let Some(event) = self.known.any_event(&mut self.random)
            {
                events.push(event.clone());
                continue;
            }
            let start = u32::try_from(self.random.below(30 * 1440)).expect("a minute of a month");
            let instance = self.random.below(METERED as u64);
            let metered = self.known.place_of(&format!("metered {instance}"));
            events.push(UsageEvent {
                id: self.random.uuid(),
                subject: metered.map(|(_, partition)| partition.clone()).unwrap_or_default(),
                resource: (*self.random.pick(&RESOURCES)).to_owned(),
                thousandths: self.random.below(10_000),
                start_minute: october + start,
                minutes: 15,
            });
        }
        let name = self.random.once_in(5).then(|| format!("post {}", next(&self.shared.counters.names)));
        Batch::new(name, events)
    }

    /// What is read is durable too.
    fn read(&mut self) -> anyhow::Result<bool> {
        match self.random.below(3) {
            0 => {
                let Ok(answer) = self.client.get("/v1/instances?limit=20") else { return Ok(false) };
                let page = self.page(answer)?;
                for item in page["items"].as_array().into_iter().flatten() {
                    if let Some(found) = instance(item) {
                        self.journal.shown.push(found);
                    }
                }
            }
            1 => {
                let path = "/v1/usage?instance=SOFTINST-1&from=2026-10-01&to=2026-11-01&step=day";
                let Ok(answer) = self.client.get(path) else { return Ok(false) };
                self.page(answer)?;
            }
            _ => {
                let partition = self.random.below(METERED as u64);
                let path = format!(
                    "/registerComputerPartition?computer_reference={COMPUTER}\
                     &computer_partition_reference=slappart{partition}"
                );
                let Ok(answer) = self.client.get(&path) else { return Ok(false) };
                answer.expect(200)?;
            }
        }
        Ok(true)
    }

    fn page(&mut self, answer: Answer) -> anyhow::Result<Value> {
        let page = answer.expect(200)?.json()?;
        let sequence = page["sequence"].as_u64().context("a page without sequence")?;
        self.journal.sequence = self.journal.sequence.max(sequence);
        Ok(page)
    }
}

/// The place in the answer to a request.
pub(crate) fn place(answer: &Answer) -> anyhow::Result<LoadPlace> {
    let text = answer.text();
    let found = |name| member(&text, name).map(str::to_owned);
    match (found("slap_computer_id"), found("slap_computer_partition_id")) {
        (Some(computer), Some(partition)) => Ok((computer, partition)),
        _ => bail!("an answer without a partition: {answer}"),
    }
}

/// Title and place of a listed instance that has a place.
pub(crate) fn instance(item: &Value) -> Option<(String, LoadPlace)> {
    let text = |name: &str| item[name].as_str().map(str::to_owned);
    Some((text("title")?, (text("computer")?, text("partition")?)))
}

/// The id of an event, as a key.
pub(crate) fn key(event: &UsageEvent) -> Uuid {
    event.id
}
