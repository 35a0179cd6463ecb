//! `slapledger repair`: brings damaged sealed epochs back from a backup.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use slapledger_client::print::say;
use slapledger_core::backup::{RepairReport, repair};

use super::{DEFAULT_DATA, progress};

#[derive(Args)]
pub(super) struct Repair {
    /// The folder of the backup
    #[arg(long, value_name = "BACKUP")]
    from: PathBuf,
    /// The data folder; no server may be using it
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(asked: &Repair) -> anyhow::Result<()> {
    let bar = progress::bytes("repair");
    let repaired = repair(&asked.data, &asked.from, &mut |bytes| {
        bar.inc(bytes);
        true
    });
    bar.finish_and_clear();
    let report = repaired?;
    print(asked, &report);
    match report.unopened {
        None => Ok(()),
        Some(fault) => Err(anyhow::Error::from(fault).context(format!(
            "{} cannot be opened; `slapledger repair` repairs sealed epochs only, restore a backup",
            asked.data.display()
        ))),
    }
}

fn print(asked: &Repair, report: &RepairReport) {
    let RepairReport { epochs, repaired, unopened } = report;
    if asked.json {
        let repaired: Vec<Value> =
            repaired.iter().map(|(file, aside)| json!({"file": file, "damaged": aside})).collect();
        say!("{}", json!({"epochs": epochs, "repaired": repaired}));
        return;
    }
    for (file, aside) in repaired {
        if let Some(aside) = aside {
            say!("repaired  {} (damaged: {})", file.display(), aside.display());
        } else {
            say!("repaired  {} (it was not there)", file.display());
        }
    }
    if repaired.is_empty() && unopened.is_none() {
        say!("nothing to repair: all files of {epochs} sealed epochs match their manifests");
    }
}
