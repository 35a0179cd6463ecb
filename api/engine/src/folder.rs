//! A data folder as commands open it: the log, and the caches beside it that know how long the log was.
//!
//! All commands open a log here, so that none of them overlooks that events are missing. Each log is
//! compared with its witnesses before anything in the folder is changed.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use slapledger_core::backup;
use slapledger_core::domain::id::Sequence;
use slapledger_core::fingerprints::TieredIndex;
use slapledger_core::ledger::{SnapshotFile, last_event};
use slapledger_core::log::memory::MemoryStore;
use slapledger_core::log::sled_store::{SledStore, StoreOptions};
use slapledger_core::log::store::{EventStore, Head, StoreFault};
use slapledger_core::log::witness::{self, Witness, WitnessFault};
use slapledger_projections::runner;

/// The folder of the log, in a data folder.
pub const LOG: &str = "log";
/// The folder of snapshots.
pub const STATE: &str = "state";
/// The folder of the index of usage identities.
pub const INDEX: &str = "index";
/// The folder of the key ring.
pub const KEYS: &str = "keys";
/// The snapshot of the writer, in the folder of snapshots.
pub const WRITER_SNAPSHOT: &str = "writer.snapshot";
/// The views, by the names of their snapshots.
pub const VIEWS: [&str; 3] = ["slap", "billing", "access"];

/// A folder without a log.
#[derive(Debug, thiserror::Error)]
#[error("there is no ledger in {}; --data names its folder", data.display())]
pub struct NoLedger {
    data: PathBuf,
}

/// Opens the log of a data folder to write to it, if `accept` accepts it; makes one where nothing is. A refusal leaves the
/// folder as it was. An epoch is sealed when it has `epoch_bytes`, if not as many as usual.
pub fn open_log(
    data: &Path,
    epoch_bytes: Option<u64>,
    accept: impl FnOnce(&SledStore) -> anyhow::Result<()>,
) -> anyhow::Result<SledStore> {
    check_use(data)?;
    let log = data.join(LOG);
    if !log.exists() {
        // A new log would begin anew what the caches are the rest of.
        check_empty(data)?;
    }
    let usual = StoreOptions::default();
    let options = StoreOptions { epoch_bytes: epoch_bytes.unwrap_or(usual.epoch_bytes), ..usual };
    SledStore::open_accepted(&log, options, |store| {
        check(data, store)?;
        accept(store)
    })
}

/// Opens the log of a data folder that no server is using, and writes nothing.
pub fn read_log(data: &Path) -> anyhow::Result<SledStore> {
    let log = data.join(LOG);
    if !log.is_dir() {
        return Err(NoLedger { data: data.to_owned() }.into());
    }
    check_restored(data)?;
    let store = SledStore::open_read_only(&log).map_err(|fault| match fault {
        StoreFault::InUse { .. } => anyhow::Error::from(fault).context(format!(
            "{} is in use by a running server: add --url, or set SLAPLEDGER_URL, in place of --data",
            data.display()
        )),
        fault => fault.into(),
    })?;
    check(data, &store)?;
    Ok(store)
}

/// Refuses a folder that is no data folder to write to: a backup, or what a restore has not finished.
fn check_use(data: &Path) -> anyhow::Result<()> {
    let folder = data.display();
    ensure!(
        !backup::is_backup(data),
        "{folder} is a backup; restore it first: `slapledger restore {folder} DIR`"
    );
    check_restored(data)
}

fn check_restored(data: &Path) -> anyhow::Result<()> {
    let folder = data.display();
    ensure!(
        !data.join(backup::UNFINISHED).exists(),
        "{folder} was not restored or imported to the end; run `slapledger restore BACKUP {folder}` or `slapledger import \
         FILE {folder}` again"
    );
    Ok(())
}

/// Where a log ends, as one line for people.
pub fn end_of(store: &dyn EventStore) -> anyhow::Result<String> {
    Ok(match last_event(store)? {
        Some(last) => format!("the log ends at sequence {}, recorded {}", last.sequence, last.recorded_at),
        None => "the log holds no events".to_owned(),
    })
}

/// Refuses a log that is not the one its witnesses know.
fn check(data: &Path, store: &dyn EventStore) -> anyhow::Result<()> {
    let head = store.head().context("find the end of the log")?;
    Ok(witness::check(store, head, &witnesses(data))?)
}

/// Refuses to begin a log beside witnesses of one.
fn check_empty(data: &Path) -> Result<(), WitnessFault> {
    let witnesses: Vec<_> =
        witnesses(data).into_iter().filter(|witness| witness.last > Sequence::ZERO).collect();
    witness::check(&MemoryStore::new(), Head::EMPTY, &witnesses)
}

/// All that is beside the log and knows how long it was.
fn witnesses(data: &Path) -> Vec<Witness> {
    let state = data.join(STATE);
    let writer = SnapshotFile::new(state.join(WRITER_SNAPSHOT));
    let writer = writer.witness(&format!("{STATE}/{WRITER_SNAPSHOT}"));
    let index = TieredIndex::witness(&data.join(INDEX), INDEX);
    let views = VIEWS.into_iter().filter_map(|name| runner::witness(name, &state));
    writer.into_iter().chain(index).chain(views).collect()
}

#[cfg(test)]
mod tests;
