//! What a closed store takes on disk, and how fast everything derived from it is derived again.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::ensure;

use crate::Setting;
use crate::cloud::{self, Cloud};
use crate::duckdb::Duckdb;
use crate::measure::{Grouped, Hundredths, Rate, bytes_under, milliseconds};
use crate::postgresql::Postgresql;
use crate::record::Record;

/// A closed data folder with so many usage events; how many events there are in all.
fn closed(setting: &Setting, folder: &Path, events: u64) -> anyhow::Result<u64> {
    let mut cloud = Cloud::new(setting, folder)?;
    cloud.fill(setting.seed, events)?;
    cloud.settle()?;
    let sequence = cloud::sequence(&cloud.server)?;
    cloud.server.stop()?;
    // A clean stop adds nothing to the log.
    Ok(sequence)
}

/// Rebuilds of a log; with peers, these add up the same events by instance, resource and hour, in turns with us. PostgreSQL
/// is one, and DuckDB another, if there is an environment that has it.
pub(crate) fn rebuild(
    setting: &Setting,
    events: u64,
    runs: usize,
    has_postgresql: bool,
    duckdb_venv: Option<&Path>,
) -> anyhow::Result<()> {
    let folder = setting.new_folder()?;
    let sequence = closed(setting, folder.path(), events)?;
    let data = folder.path().join("data");
    let peers =
        if has_postgresql { fill_peers(setting, folder.path(), events, duckdb_venv)? } else { Vec::new() };
    println!("{} events in the log, {runs} runs", Grouped(sequence));
    let (mut everything, mut metering) = (Vec::new(), Vec::new());
    let mut theirs = vec![Vec::new(); peers.len()];
    for run in 0..runs {
        for (projection, rates) in [("", &mut everything), ("metering", &mut metering)] {
            let mut command = Command::new(&setting.binary);
            command.arg("rebuild").args(Some(projection).filter(|name| !name.is_empty()));
            command.args(["--json", "--data"]).arg(&data);
            let began = Instant::now();
            let rebuilt = command.output()?;
            let rate = Rate { count: sequence, time: began.elapsed() };
            ensure!(rebuilt.status.success(), "rebuild: {}", String::from_utf8_lossy(&rebuilt.stderr));
            if run == 0 {
                println!("  {}", String::from_utf8_lossy(&rebuilt.stdout).trim());
            }
            println!("  {} ms, {} events/s", milliseconds(rate.time), Grouped(rate.per_second()));
            rates.push(rate.per_second());
        }
        for (peer, rates) in peers.iter().zip(&mut theirs) {
            let rate = (peer.sum_by_hour)()?;
            println!(
                "  {}: {} ms, {} rows/s",
                peer.name,
                milliseconds(rate.time),
                Grouped(rate.per_second())
            );
            rates.push(rate.per_second());
        }
    }
    let more = if peers.is_empty() { "" } else { " --postgresql --duckdb-venv DIR" };
    let command = &format!("bench rebuild --events {events} --runs {runs}{more}");
    Record { figure: "rebuild of everything from the log", command, ours: &everything, peer: None }
        .keep(setting)?;
    let figure = "rebuild of metering from the log";
    let record = |peer| Record { figure, command, ours: &metering, peer }.keep(setting);
    if peers.is_empty() {
        return record(None);
    }
    peers
        .iter()
        .zip(&theirs)
        .try_for_each(|(peer, rates)| record(Some((peer.name.as_str(), rates.as_slice()))))
}

/// A program that has the same events.
struct SumPeer {
    name: String,
    sum_by_hour: Box<dyn Fn() -> anyhow::Result<Rate>>,
}

fn fill_peers(
    setting: &Setting,
    folder: &Path,
    events: u64,
    duckdb_venv: Option<&Path>,
) -> anyhow::Result<Vec<SumPeer>> {
    const SIZE: u64 = 1000;
    let postgresql = Postgresql::start()?;
    let rows: Vec<String> = (0..events / SIZE).map(|n| cloud::rows(setting.seed, n, SIZE)).collect();
    postgresql.copy(&rows, 2, SIZE)?;
    let mut peers = Vec::new();
    if let Some(venv) = duckdb_venv {
        let (csv, parquet) = (folder.join("usage.csv"), folder.join("usage.parquet"));
        let duckdb = Duckdb::in_environment(venv);
        postgresql.write_csv(&csv)?;
        duckdb.write_parquet(&csv, &parquet)?;
        std::fs::remove_file(csv)?;
        let name = duckdb.version()?;
        peers.push(SumPeer { name, sum_by_hour: Box::new(move || duckdb.sum_by_hour(&parquet)) });
    }
    let name = postgresql.version()?;
    peers.push(SumPeer { name, sum_by_hour: Box::new(move || postgresql.sum_by_hour()) });
    Ok(peers)
}

pub(crate) fn size(setting: &Setting, events: u64) -> anyhow::Result<()> {
    let folder = setting.new_folder()?;
    let sequence = closed(setting, folder.path(), events)?;
    print_size(&folder.path().join("data"), sequence)
}

/// What each part of a data folder takes.
pub(crate) fn print_size(data: &Path, events: u64) -> anyhow::Result<()> {
    println!("{} events", Grouped(events));
    let mut parts: Vec<_> = std::fs::read_dir(data)?.collect::<Result<_, _>>()?;
    parts.sort_by_key(std::fs::DirEntry::file_name);
    let named = parts.iter().map(|part| (part.path(), part.file_name().to_string_lossy().into_owned()));
    for (path, name) in named.chain([(data.to_owned(), "all".to_owned())]) {
        let (length, kept) = bytes_under(&path)?;
        let each = |bytes: u64| Hundredths(bytes.saturating_mul(100) / events.max(1));
        println!(
            "  {name:<8} {:>15} bytes, {:>8} an event; on disk {:>15}, {:>8} an event",
            Grouped(length),
            each(length),
            Grouped(kept),
            each(kept),
        );
    }
    Ok(())
}
