//! Durable usage events per second through HTTP.
//!
//! The bodies are made before the clock runs, so that the client costs the shared cores little more than sending; from
//! the first byte sent to the last answer is what is timed. An answer means durable.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::Setting;
use crate::cloud::{self, Cloud};
use crate::measure::{Grouped, Rate, median, milliseconds, percentile};
use crate::postgresql::Postgresql;
use crate::record::Record;

/// How much is sent, and how.
pub(crate) struct Size {
    pub(crate) events: u64,
    pub(crate) runs: usize,
    pub(crate) clients: usize,
    pub(crate) batch: u64,
}

/// Pairs of runs on folders of their own: alone, and while backups are made one after the other, each of what is new.
pub(crate) fn beside_backups(setting: &Setting, size: &Size) -> anyhow::Result<()> {
    let &Size { events, runs, clients, batch } = size;
    println!("{} events in posts of {batch}, {clients} connections, {runs} pairs", Grouped(events));
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for run in 0..runs {
        for (has_backups, all) in [(false, &mut alone), (true, &mut beside)] {
            let folder = setting.new_folder()?;
            let cloud = Cloud::new(setting, folder.path())?;
            let seed = setting.seed + run as u64;
            let bodies: Vec<String> =
                (0..events / batch).map(|n| cloud::batch(seed, n, batch, batch)).collect();
            let is_over = AtomicBool::new(!has_backups);
            let (sent, backups) = thread::scope(|scope| {
                let backups = scope.spawn(|| back_up(setting, folder.path(), &is_over));
                let sent = send(&cloud, &bodies, clients, batch);
                is_over.store(true, Ordering::Relaxed);
                (sent, backups.join().expect("it does not panic"))
            });
            let (rate, times) = sent?;
            println!(
                "pair {}: {} backups; {} events/s; post p50 {} ms, p99 {} ms",
                run + 1,
                backups?,
                Grouped(rate.per_second()),
                milliseconds(median(&times).unwrap_or_default()),
                milliseconds(percentile(&times, 99).unwrap_or_default()),
            );
            all.extend(times);
        }
    }
    let p99 = |times: &[Duration]| percentile(times, 99).unwrap_or_default();
    println!(
        "post p99 {} ms alone, {} ms beside backups",
        milliseconds(p99(&alone)),
        milliseconds(p99(&beside))
    );
    Ok(())
}

/// Backups one after the other until the end; how many.
fn back_up(setting: &Setting, folder: &Path, is_over: &AtomicBool) -> anyhow::Result<u32> {
    let mut made = 0;
    while !is_over.load(Ordering::Relaxed) {
        let mut command = Command::new(&setting.binary);
        command.arg("backup").arg(folder.join("backup")).arg("--data").arg(folder.join("data"));
        let output = command.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        made += 1;
    }
    Ok(made)
}

/// Runs on folders of their own; with a peer, each beside one of PostgreSQL that copies the same events, already parsed.
pub(crate) fn ingest(setting: &Setting, size: &Size, has_peer: bool) -> anyhow::Result<()> {
    let &Size { events, runs, clients, batch: size } = size;
    ensure!(size > 0 && events >= size && runs > 0 && clients > 0, "there is nothing to send");
    let posts = events / size;
    println!("{} events in posts of {size}, {clients} connections, {runs} runs", Grouped(posts * size));
    let (mut rates, mut latencies) = (Vec::new(), Vec::new());
    let (mut theirs, mut peer) = (Vec::new(), String::new());
    for run in 0..runs {
        let seed = setting.seed + run as u64;
        if has_peer {
            let postgresql = Postgresql::start()?;
            let rows: Vec<String> = (0..posts).map(|n| cloud::rows(seed, n, size)).collect();
            let rate = postgresql.copy(&rows, clients, size)?.per_second();
            peer = postgresql.version()?;
            let each = postgresql.bytes()? / (posts * size);
            println!("run {}: {peer}: {} rows/s; {each} bytes a row", run + 1, Grouped(rate));
            theirs.push(rate);
        }
        let folder = setting.new_folder()?;
        let cloud = Cloud::new(setting, folder.path())?;
        let bodies: Vec<String> = (0..posts).map(|n| cloud::batch(seed, n, size, size)).collect();
        let (rate, times) = send(&cloud, &bodies, clients, size)?;
        let behind = cloud.settle()?;
        println!(
            "run {}: {} events/s; post p50 {} ms, p99 {} ms; views up to date {} ms later; {} bytes a post",
            run + 1,
            Grouped(rate.per_second()),
            milliseconds(median(&times).unwrap_or_default()),
            milliseconds(percentile(&times, 99).unwrap_or_default()),
            milliseconds(behind),
            Grouped(bodies.first().map_or(0, |body| body.len() as u64)),
        );
        rates.push(rate.per_second());
        latencies.extend(times);
    }
    println!(
        "median {} events/s; all posts p50 {} ms, p99 {} ms",
        Grouped(median(&rates).unwrap_or_default()),
        milliseconds(median(&latencies).unwrap_or_default()),
        milliseconds(percentile(&latencies, 99).unwrap_or_default()),
    );
    let more = if has_peer { " --postgresql" } else { "" };
    Record {
        figure: &format!("durable usage events, posts of {size}, {clients} connections"),
        command: &format!(
            "bench ingest --events {events} --runs {runs} --clients {clients} --batch {size}{more}"
        ),
        ours: &rates,
        peer: has_peer.then_some((peer.as_str(), theirs.as_slice())),
    }
    .keep(setting)
}

pub(crate) fn send(
    cloud: &Cloud,
    bodies: &[String],
    clients: usize,
    size: u64,
) -> anyhow::Result<(Rate, Vec<Duration>)> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::with_capacity(bodies.len()));
    let mut times = Vec::with_capacity(bodies.len());
    let began = Instant::now();
    thread::scope(|scope| {
        let post = || -> std::io::Result<Vec<Duration>> {
            let mut client = cloud.server.client(true);
            let mut times = Vec::with_capacity(bodies.len());
            while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                let sent = Instant::now();
                let answer = cloud::post(&mut client, body)?;
                times.push(sent.elapsed());
                answers.lock().expect("no sender panics").push(answer);
            }
            Ok(times)
        };
        let senders: Vec<_> = (0..clients).map(|_| scope.spawn(post)).collect();
        senders.into_iter().try_for_each(|sender| {
            times.extend(sender.join().expect("a sender does not panic")?);
            anyhow::Ok(())
        })
    })?;
    let rate = Rate { count: bodies.len() as u64 * size, time: began.elapsed() };
    let answers = answers.into_inner().expect("no sender panics");
    answers.into_iter().try_for_each(|answer| cloud::check(answer, size))?;
    Ok((rate, times))
}
