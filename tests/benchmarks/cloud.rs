//! The cloud that is measured: ten computers of a hundred partitions with an instance each, and its usage.
//!
//! Each computer reports its own instances, four resources of each, in quarter-hours from 1 October 2026 on, as nodes
//! do; ten million events are the usage of 26 days. Ids are random UUIDs, quantities random.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use slapledger_tests::cloudevents::{self, BATCH, UsageEvent, minute_of_month};
use slapledger_tests::http::{Answer, Client};
use slapledger_tests::random::Random;
use slapledger_tests::server::{Server, Setup};
use slapledger_tests::slap::{Request, configuration_form};

use crate::Setting;

pub(crate) const COMPUTERS: u64 = 10;
pub(crate) const PARTITIONS: u64 = 100;
pub(crate) const RESOURCES: [&str; 4] = [
    "service_module/cpu_load_percent",
    "service_module/memory_used",
    "service_module/disk_used",
    "service_module/requests",
];
/// What every instance runs.
pub(crate) const RELEASE: &str = "http://example.com/software/benchmark/software.cfg";

/// A server with its instances, ready for usage.
pub(crate) struct Cloud {
    pub(crate) setup: Setup,
    pub(crate) server: Server,
}

impl Cloud {
    /// On a new folder.
    pub(crate) fn new(setting: &Setting, folder: &std::path::Path) -> anyhow::Result<Self> {
        let setup = Setup::proxy(setting.binary.clone(), folder, &computer(0)).at("2026-10-01T00:00:00Z")?;
        let server = setup.start()?;
        let cloud = Self { setup, server };
        cloud.build()?;
        cloud.setup.set_clock("2026-11-15T00:00:00Z")?;
        Ok(cloud)
    }

    /// Its computers, and an instance in each of their partitions.
    pub(crate) fn build(&self) -> anyhow::Result<()> {
        let mut client = self.server.client(true);
        for n in 0..COMPUTERS {
            let form = configuration_form(&computer(n), usize::try_from(PARTITIONS)?);
            client.post_form("/loadComputerConfigurationFromXML", &form)?.expect(200)?;
            for partition in 0..PARTITIONS {
                let reference = format!("instance {}", n * PARTITIONS + partition);
                let request = Request {
                    reference: &reference,
                    release: RELEASE,
                    parameters: &[],
                    computer: &computer(n),
                    state: "",
                };
                client.post_form("/requestComputerPartition", &request.form())?.expect(200)?;
            }
        }
        Ok(())
    }

    /// Posts so many events, made on the way; for figures about what is there afterwards.
    pub(crate) fn fill(&self, seed: u64, events: u64) -> anyhow::Result<()> {
        const CLIENTS: usize = 4;
        const SIZE: u64 = 1000;
        let next = AtomicU64::new(0);
        thread::scope(|scope| {
            let post = || -> anyhow::Result<()> {
                let mut client = self.server.client(true);
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n * SIZE >= events {
                        return Ok(());
                    }
                    let size = SIZE.min(events - n * SIZE);
                    check(post(&mut client, &batch(seed, n, SIZE, size))?, size)?;
                }
            };
            let senders: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(post)).collect();
            senders.into_iter().try_for_each(|sender| sender.join().expect("a sender does not panic"))
        })
    }

    /// Waits until the views show everything, and says for how long.
    pub(crate) fn settle(&self) -> anyhow::Result<Duration> {
        settle(&self.server)
    }
}

/// Waits until the views show everything, and says for how long.
pub(crate) fn settle(server: &Server) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut client = server.client(true);
    loop {
        let health = client.get("/healthz")?.expect(200)?.json()?;
        let views = health["views"].as_array().context("health without views")?;
        ensure!(!views.is_empty() && health["store"]["blobs"] == 0, "it is not well: {health}");
        if views.iter().all(|view| view["lag"] == 0) {
            return Ok(began.elapsed());
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// The last sequence of a server.
pub(crate) fn sequence(server: &Server) -> anyhow::Result<u64> {
    let health: Value = server.client(false).get("/healthz")?.expect(200)?.json()?;
    health["sequence"].as_u64().context("health without sequence")
}

/// The name of a computer.
pub(crate) fn computer(n: u64) -> String {
    format!("COMP-{n}")
}

/// Batch `n` of those of `size` events, `count` of them: of the computer whose turn it is.
pub(crate) fn batch(seed: u64, n: u64, size: u64, count: u64) -> String {
    batch_of(seed, n, (size, count), |partition| format!("slappart{partition}"))
}

/// The same of the computer itself, which may have used something before an instance was on it.
pub(crate) fn batch_of_computer(seed: u64, n: u64, size: u64) -> String {
    let reporter = computer(n % COMPUTERS);
    batch_of(seed, n, (size, size), |_| reporter.clone())
}

fn batch_of(seed: u64, n: u64, counts: (u64, u64), subject: impl Fn(u64) -> String) -> String {
    cloudevents::batch(&computer(n % COMPUTERS), &events_of(seed, n, counts, subject))
}

/// The same batch as rows for a database.
pub(crate) fn rows(seed: u64, n: u64, size: u64) -> String {
    let events = events_of(seed, n, (size, size), |partition| format!("slappart{partition}"));
    cloudevents::copy_rows(&computer(n % COMPUTERS), &events)
}

fn events_of(
    seed: u64,
    n: u64,
    (size, count): (u64, u64),
    subject: impl Fn(u64) -> String,
) -> Vec<UsageEvent> {
    let mut random = Random::new(seed ^ n.wrapping_mul(0xd134_2543_de82_ef95));
    let first = n / COMPUTERS * size;
    let series = PARTITIONS * RESOURCES.len() as u64;
    (first..first + count)
        .map(|event| {
            let (partition, resource) = (event % series % PARTITIONS, event % series / PARTITIONS);
            let quarter = u32::try_from(event / series).expect("less than a year of usage");
            UsageEvent {
                id: random.uuid(),
                subject: subject(partition),
                resource: RESOURCES[usize::try_from(resource).expect("one of four")].to_owned(),
                thousandths: random.below(100_000),
                start_minute: minute_of_month(10) + quarter * 15,
                minutes: 15,
            }
        })
        .collect()
}

/// Posts a batch.
pub(crate) fn post(client: &mut Client, body: &str) -> std::io::Result<Answer> {
    client.post("/v1/usage-events", BATCH, body.as_bytes())
}

/// Every event must be accepted.
pub(crate) fn check(answer: Answer, events: u64) -> anyhow::Result<()> {
    let answer = answer.expect(200)?;
    let told = answer.json()?;
    ensure!(told["accepted"] == events, "not all were accepted: {answer}");
    Ok(())
}
