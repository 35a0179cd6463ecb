//! Durable usage events per second through HTTP.
//!
//! The bodies are made before the clock runs, so that the client costs the shared cores little more than sending; from
//! the first byte sent to the last answer is what is timed. An answer means durable.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::Setting;
use crate::cloud::{self, Cloud};
use crate::measure::{Grouped, Rate, median, milliseconds, percentile};

pub(crate) fn ingest(
    setting: &Setting,
    events: u64,
    runs: usize,
    clients: usize,
    size: u64,
) -> anyhow::Result<()> {
    ensure!(size > 0 && events >= size && runs > 0 && clients > 0, "there is nothing to send");
    let posts = events / size;
    println!("{} events in posts of {size}, {clients} connections, {runs} runs", Grouped(posts * size));
    let mut rates = Vec::new();
    let mut latencies = Vec::new();
    for run in 0..runs {
        let folder = setting.new_folder()?;
        let cloud = Cloud::new(setting, folder.path())?;
        let seed = setting.seed + run as u64;
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
    Ok(())
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
