//! Usage events per second and the time of reads, alone and while a view is rebuilt again and again.
//!
//! The log has a history, so that a rebuild takes a while. Nothing is asserted about time; each rebuild must give the
//! digests of what serves, and every answer must be right.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use slapledger_tests::http::Client;
use slapledger_tests::server::Server;

use crate::Setting;
use crate::cloud::{self, Cloud};
use crate::ingest::{Size, send};
use crate::measure::{Grouped, median, milliseconds, percentile, times};

/// What is read: of each view something.
const PATHS: [&str; 3] = [
    "/v1/instances/SOFTINST-1",
    "/v1/computers?limit=10",
    "/v1/usage?instance=SOFTINST-1&from=2026-10-01&to=2026-10-02&step=hour",
];
/// A reader asks so often.
const READ_EVERY: Duration = Duration::from_millis(2);
/// How often somebody looks whether a rebuild is over.
const LOOK: Duration = Duration::from_millis(20);

/// What a phase came to.
struct MeasuredPhase {
    rate: u64,
    reads: Vec<Duration>,
    rebuilds: u64,
}

/// Pairs of runs on folders of their own: alone, and beside rebuilds of a projection.
pub(crate) fn rebuilding(
    setting: &Setting,
    size: &Size,
    history: u64,
    (projection, throttle): (&str, Option<u64>),
) -> anyhow::Result<()> {
    let &Size { events, runs, clients, batch } = size;
    ensure!(batch > 0 && events >= batch && runs > 0 && clients > 0, "there is nothing to send");
    println!(
        "{} events in posts of {batch}, {clients} connections, {runs} pairs, after {} events; {projection} is rebuilt",
        Grouped(events),
        Grouped(history)
    );
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for run in 0..runs {
        for (rebuilds, phases) in [(false, &mut alone), (true, &mut beside)] {
            let folder = setting.new_folder()?;
            let cloud = Cloud::new(setting, folder.path())?;
            cloud.fill(setting.seed, history)?;
            cloud.settle()?;
            let seed = setting.seed + 1_000 + run as u64;
            let bodies: Vec<String> =
                (0..events / batch).map(|n| cloud::batch(seed, n, batch, batch)).collect();
            let rebuilt = rebuilds.then_some((projection, throttle));
            let phase = phase(&cloud, &bodies, (clients, batch), rebuilt)?;
            let memory = cloud.server.memory_kib("VmHWM")?;
            println!(
                "pair {}, {} rebuilds: {} events/s; {} reads p50 {} ms, p99 {} ms; peak {} MiB",
                run + 1,
                phase.rebuilds,
                Grouped(phase.rate),
                Grouped(phase.reads.len() as u64),
                milliseconds(median(&phase.reads).unwrap_or_default()),
                milliseconds(percentile(&phase.reads, 99).unwrap_or_default()),
                memory / 1024,
            );
            phases.push(phase);
        }
    }
    let rate = |phases: &[MeasuredPhase]| median(&phases.iter().map(|phase| phase.rate).collect::<Vec<_>>());
    let p99 = |phases: &[MeasuredPhase]| {
        let all: Vec<Duration> = phases.iter().flat_map(|phase| phase.reads.iter().copied()).collect();
        percentile(&all, 99).unwrap_or_default()
    };
    let (one, other) = (rate(&alone).unwrap_or_default(), rate(&beside).unwrap_or_default());
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    println!(
        "ingest {} events/s alone, {} beside rebuilds: {} %; reads p99 {} ms alone, {} ms beside: {} times",
        Grouped(one),
        Grouped(other),
        (other * 100).checked_div(one).unwrap_or_default(),
        milliseconds(p99(&alone)),
        milliseconds(p99(&beside)),
        times(micros(p99(&beside)), micros(p99(&alone))),
    );
    Ok(())
}

fn phase(
    cloud: &Cloud,
    bodies: &[String],
    (clients, batch): (usize, u64),
    rebuilt: Option<(&str, Option<u64>)>,
) -> anyhow::Result<MeasuredPhase> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| read(&cloud.server, &is_over));
        let rebuilder = scope.spawn(|| rebuilt.map_or(Ok(0), |what| rebuild(&cloud.server, what, &is_over)));
        let sent = send(cloud, bodies, clients, batch);
        is_over.store(true, Ordering::Relaxed);
        let reads = reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
        let rebuilds = rebuilder.join().map_err(|_| anyhow::anyhow!("the rebuilder panicked"))??;
        Ok(MeasuredPhase { rate: sent?.0.per_second(), reads, rebuilds })
    })
}

fn read(server: &Server, is_over: &AtomicBool) -> anyhow::Result<Vec<Duration>> {
    let mut client = server.client(true);
    let mut took = Vec::new();
    for path in PATHS.into_iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let began = Instant::now();
        client.get(path)?.expect(200)?;
        took.push(began.elapsed());
        thread::sleep(READ_EVERY);
    }
    Ok(took)
}

/// Rebuilds until it is over; how often. One that is under way then is cancelled.
fn rebuild(
    server: &Server,
    (projection, throttle): (&str, Option<u64>),
    is_over: &AtomicBool,
) -> anyhow::Result<u64> {
    let mut client = server.client(true);
    let body = throttle.map_or(json!({}), |most| json!({"most_events_per_second": most})).to_string();
    let mut done = 0;
    while !is_over.load(Ordering::Relaxed) {
        let place = format!("/v1/projections/{projection}/rebuild");
        let begun = client.post(&place, "application/json", body.as_bytes())?.json()?;
        let Some(number) = begun["items"][1]["number"].as_u64() else {
            ensure!(begun["same"] == true && begun["swapped"] == true, "it did not come back: {begun}");
            done += 1;
            continue;
        };
        loop {
            if is_over.load(Ordering::Relaxed) {
                client.post(&format!("{place}/cancel"), "application/json", b"{}")?;
                return Ok(done);
            }
            let latest = latest(&mut client, projection)?;
            if latest["number"] == number {
                ensure!(latest["outcome"] == "swapped", "it did not come back: {latest}");
                done += 1;
                break;
            }
            thread::sleep(LOOK);
        }
    }
    Ok(done)
}

fn latest(client: &mut Client, projection: &str) -> anyhow::Result<Value> {
    let path = format!("/v1/projections/{projection}/generations");
    let mut generations = client.get(&path)?.expect(200)?.json()?;
    generations.get_mut("latest").map(Value::take).context("generations without the latest rebuild")
}
