//! `slapledger import`: a ledger from an export of a whole log.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use slapledger_client::print::say;
use slapledger_core::backup::{PRIVATE, Staging, copy_private};
use slapledger_core::domain::id::Sequence;
use slapledger_core::export::{ExportReader, import};
use slapledger_core::keyring::{KeyRing, KeyRingOptions};
use slapledger_core::ledger::created;
use slapledger_core::log::sled_store::SledStore;
use slapledger_core::log::store::EventStore;
use slapledger_core::secret_files::create_folder;
use slapledger_engine::folder;

use super::progress;

#[derive(Args)]
pub(super) struct ImportArgs {
    /// An export of a whole log
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Data folder to create: missing or empty
    #[arg(value_name = "DIR")]
    target: PathBuf,
    /// Data folder whose keys and authority are copied
    #[arg(long, value_name = "DIR")]
    keys_of: Option<PathBuf>,
}

pub(super) fn run(asked: &ImportArgs) -> anyhow::Result<()> {
    let (file, target) = (&asked.file, &asked.target);
    if let Some(from) = &asked.keys_of {
        ensure!(
            PRIVATE.iter().any(|name| from.join(name).exists()),
            "--keys-of {}: no keys are there; name the data folder that the log is of",
            from.display()
        );
    }
    let opened = File::open(file).with_context(|| format!("read {}", file.display()))?;
    let mut reader = ExportReader::open(opened).with_context(|| format!("{}", file.display()))?;
    let staging = Staging::begin(target)?;
    let last = match fill(asked, &mut reader, staging.folder()) {
        Ok(last) => {
            staging.finish()?;
            last
        }
        Err(fault) => {
            staging.abandon();
            return Err(fault);
        }
    };
    say!("{}: {last} events, root {}", target.display(), reader.root());
    if asked.keys_of.is_none() {
        say!("keys       none: names and parameters stay sealed, and it cannot be served");
    }
    Ok(())
}

fn fill(asked: &ImportArgs, reader: &mut ExportReader<File>, staging: &Path) -> anyhow::Result<Sequence> {
    let of_file = || format!("{} does NOT hold", asked.file.display());
    let log = staging.join(folder::LOG);
    create_folder(&log)?;
    let store = SledStore::open(&log)?;
    let bar = progress::bar("import", reader.range().last);
    let head = import(reader, &store, &mut |reached| bar.set_position(reached.0)).with_context(of_file)?;
    bar.finish_and_clear();
    ensure!(head.root == reader.root(), "the imported log has another root: {}", head.root);
    let created = created(&store)?;
    store.close()?;
    drop(store);
    if let Some(from) = &asked.keys_of {
        copy_private(from, staging, &mut |_| true)?;
        check_ring(from, &staging.join(folder::KEYS), created.key_ring)?;
    }
    Ok(head.last)
}

/// Refuses the key ring of another ledger. One whose master key is elsewhere is compared at the first start.
fn check_ring(from: &Path, ring: &Path, expected: [u8; 16]) -> anyhow::Result<()> {
    if !KeyRing::exists(ring) || !ring.join("master").exists() {
        return Ok(());
    }
    let keys = KeyRing::open_read_only(ring, &KeyRingOptions { master_key: None, now: None })?;
    ensure!(
        keys.id() == expected,
        "--keys-of {}: its key ring is of another ledger; name the data folder that the log is of",
        from.display()
    );
    Ok(())
}
