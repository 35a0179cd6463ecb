//! What a closed store takes on disk, and how fast everything derived from it is derived again.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::ensure;

use crate::Setting;
use crate::cloud::{self, Cloud};
use crate::measure::{Grouped, Hundredths, Rate, bytes_under, median, milliseconds};

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

pub(crate) fn rebuild(setting: &Setting, events: u64, runs: usize) -> anyhow::Result<()> {
    let folder = setting.new_folder()?;
    let sequence = closed(setting, folder.path(), events)?;
    let data = folder.path().join("data");
    println!("{} events in the log, {runs} runs", Grouped(sequence));
    for projection in ["", "metering"] {
        let mut rates = Vec::new();
        for run in 0..runs {
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
        let name = if projection.is_empty() { "everything" } else { projection };
        println!("{name}: median {} events/s", Grouped(median(&rates).unwrap_or_default()));
    }
    Ok(())
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
