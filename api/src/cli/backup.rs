//! `slapledger backup`: copies a ledger to a folder, from its data folder or from a running server.

mod download;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use slapledger_client::print::say;
use slapledger_client::table::pair_lines;
use slapledger_core::backup::{BackupReport, BackupSource, BackupWish, Extent, FolderSource, back_up};
use slapledger_core::ledger::Clock as _;
use slapledger_core::log::store::StoreFault;
use slapledger_engine::clock::SystemClock;
use slapledger_engine::{PROGRAM, folder};

use self::download::ServerSource;
use super::{ReadSource, progress};

#[derive(Args)]
pub(super) struct Backup {
    /// Folder of the backup: a new or an earlier one
    #[arg(value_name = "DEST")]
    destination: PathBuf,
    #[command(flatten)]
    source: ReadSource,
    /// Also copy keys and certificates; DEST needs mode 0700
    ///
    /// Without it, keys that DEST already has are kept.
    #[arg(long)]
    with_keys: bool,
    /// Hard-link sealed epochs, on the same file system
    #[arg(long)]
    link: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(asked: &Backup) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let report = if let Some(server) = asked.source.server()? {
        anyhow::ensure!(
            !asked.with_keys,
            "--with-keys copies keys from a data folder, never over HTTP: run `slapledger backup DEST --data DIR \
             --with-keys` on the machine of the server"
        );
        anyhow::ensure!(!asked.link, "--link needs --data: files of another machine cannot be linked");
        make(&ServerSource::new(server), asked)?
    } else {
        let data = asked.source.folder();
        check_idle(data)?;
        make(&FolderSource::new(data, PROGRAM, now)?, asked)?
    };
    print(asked, &report);
    Ok(())
}

/// Refuses a folder that nobody uses if its log is shorter than snapshots or index know. A server has checked its own.
fn check_idle(data: &Path) -> anyhow::Result<()> {
    match folder::read_log(data) {
        Err(fault) if matches!(fault.downcast_ref(), Some(StoreFault::InUse { .. })) => Ok(()),
        read => read.map(drop),
    }
}

fn make(source: &dyn BackupSource, asked: &Backup) -> anyhow::Result<BackupReport> {
    let wish = BackupWish {
        destination: &asked.destination,
        private: asked.with_keys.then_some(asked.source.folder()),
        link: asked.link,
        extent: Extent::All,
    };
    let bar = progress::bytes("backup");
    let made = back_up(source, &wish, &mut |bytes| {
        bar.inc(bytes);
        true
    });
    bar.finish_and_clear();
    Ok(made?)
}

fn print(asked: &Backup, report: &BackupReport) {
    let BackupReport {
        last,
        root,
        epochs,
        copied_epochs,
        copied_bytes,
        private_files,
        keys_as_of,
        lacks_master_key,
    } = report;
    if asked.json {
        say!(
            "{}",
            json!({
                "backup": asked.destination, "last": last, "root": root.to_string(), "epochs": epochs,
                "copied_epochs": copied_epochs, "copied_bytes": copied_bytes, "with_keys": *private_files > 0,
                "keys_as_of": keys_as_of,
            })
        );
        return;
    }
    let keys = match (asked.with_keys, lacks_master_key) {
        (false, _) if *private_files > 0 => {
            let as_of = keys_as_of.map_or_else(|| "the backup before".to_owned(), |at| at.to_string());
            format!("as of {as_of}; --with-keys brings them up to date")
        }
        (false, _) => {
            "none; keep keys/, ca/, certificates/ and signing.key elsewhere, or add --with-keys".into()
        }
        (true, false) => format!("{private_files} files; anybody who reads them can open sealed values"),
        (true, true) => {
            format!("{private_files} files, without the master key, which lies elsewhere: keep a copy of it")
        }
    };
    let pairs = [
        ("backup", asked.destination.display().to_string()),
        ("last", format!("sequence {last}")),
        ("root", root.to_string()),
        ("epochs", format!("{epochs} sealed, {copied_epochs} of them copied now")),
        ("copied", format!("{copied_bytes} bytes")),
        ("keys", keys),
    ];
    say!("{}", pair_lines(&pairs.map(|(name, value)| (name.to_owned(), value))));
}
