//! What was measured, kept: a line of JSON for each figure, and the table that docs/benchmarks.md shows of the last ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use slapledger_core::domain::time::Timestamp;

use crate::Setting;
use crate::measure::{Grouped, Hundredths, machine, median, times};

/// Between these lines of the document is the table.
const BEGIN: &str = "<!-- begin of the table that `bench report` writes -->";
const END: &str = "<!-- end of the table -->";
const HEAD: &str =
    "| figure | Slapledger | peer | ratio | day, commit | command |\n| --- | --- | --- | --- | --- | --- |\n";

/// A figure of one run: rates in a second, of the program and, in turns with it, of a peer.
pub(crate) struct Record<'a> {
    /// Its name in the table.
    pub(crate) figure: &'a str,
    /// What was run.
    pub(crate) command: &'a str,
    /// Of the program, in the order they were measured.
    pub(crate) ours: &'a [u64],
    /// The peer's name and version, and its rates.
    pub(crate) peer: Option<(&'a str, &'a [u64])>,
}

impl Record<'_> {
    /// Prints medians, spread and ratio, and keeps them if the setting says where.
    pub(crate) fn keep(&self, setting: &Setting) -> anyhow::Result<()> {
        println!("{}: {}", self.figure, spread(self.ours));
        if let Some((peer, rates)) = self.peer {
            println!("{}: {peer}: {}; ratio {}", self.figure, spread(rates), ratio(self.ours, rates));
        }
        let Some(file) = &setting.record else { return Ok(()) };
        #[expect(clippy::disallowed_methods, reason = "this is the edge: a record is dated")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let now = Timestamp::from_micros(i64::try_from(now.as_secs())? * 1_000_000).context("a date")?;
        let line = json!({
            "at": now.to_string(),
            "commit": commit(),
            "machine": machine()?,
            "figure": self.figure,
            "command": self.command,
            "ours": self.ours,
            "peer": self.peer.map(|(name, _)| name),
            "theirs": self.peer.map(|(_, rates)| rates),
        });
        let mut file = OpenOptions::new().create(true).append(true).open(file)?;
        writeln!(file, "{line}")?;
        Ok(())
    }
}

/// One median as a multiple of another.
fn ratio(ours: &[u64], theirs: &[u64]) -> Hundredths {
    times(median(ours).unwrap_or_default(), median(theirs).unwrap_or_default())
}

/// The median, and between what the others are.
fn spread(rates: &[u64]) -> String {
    let (least, most) = (rates.iter().min().copied(), rates.iter().max().copied());
    format!(
        "{}/s ({} to {}, {} runs)",
        Grouped(median(rates).unwrap_or_default()),
        Grouped(least.unwrap_or_default()),
        Grouped(most.unwrap_or_default()),
        rates.len(),
    )
}

/// The commit that was measured, if this is a checkout.
fn commit() -> Option<String> {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Writes the last record of each figure, for each peer, into a document.
pub(crate) fn report(history: &Path, document: &Path) -> anyhow::Result<()> {
    let lines = std::fs::read_to_string(history).with_context(|| format!("read {}", history.display()))?;
    let mut last = BTreeMap::new();
    for line in lines.lines() {
        let record: Value = serde_json::from_str(line).with_context(|| format!("a record: {line}"))?;
        let figure = record["figure"].as_str().context("a record without figure")?.to_owned();
        let peer = record["peer"].as_str().and_then(|peer| peer.split(' ').next()).map(str::to_owned);
        last.insert((figure, peer), record);
    }
    let text = std::fs::read_to_string(document)?;
    let (before, rest) = text.split_once(BEGIN).context("the document has no place for the table")?;
    let (_, after) = rest.split_once(END).context("the place for the table has no end")?;
    let text = format!("{before}{BEGIN}\n\n{}\n{END}{after}", table(last.values())?);
    std::fs::write(document, text)?;
    println!("{} figures in {}", last.len(), document.display());
    Ok(())
}

fn table<'a>(records: impl Iterator<Item = &'a Value>) -> anyhow::Result<String> {
    let mut table = HEAD.to_owned();
    for record in records {
        let rates = |name: &str| -> Vec<u64> {
            record[name].as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
        };
        let text = |name: &str| record[name].as_str().unwrap_or("-");
        let (ours, theirs) = (rates("ours"), rates("theirs"));
        ensure!(!ours.is_empty(), "a record without rates: {record}");
        let (peer, ratio) = if theirs.is_empty() {
            ("-".to_owned(), "-".to_owned())
        } else {
            (format!("{}: {}", text("peer"), spread(&theirs)), ratio(&ours, &theirs).to_string())
        };
        let day = text("at").split('T').next().unwrap_or_default();
        let (figure, commit, command) = (text("figure"), text("commit"), text("command"));
        writeln!(
            table,
            "| {figure} | **{}** | {peer} | {ratio} | {day}, {commit} | `{command}` |",
            spread(&ours)
        )?;
    }
    Ok(table)
}
