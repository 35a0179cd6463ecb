//! `slapledger verify`: every byte of a data folder against every other, and one verdict.
//!
//! The log first, which is what counts, then what lies beside it. It ends at the first thing that is not as it was written;
//! nothing is changed or repaired.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use anyhow::{Context, anyhow, ensure};
use slapledger_ca::Authority;
use slapledger_client::print::say;
use slapledger_core::backup::is_backup;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::Sequence;
use slapledger_core::fingerprints::TieredIndex;
use slapledger_core::keyring::{self, KeyRing, KeyRingFault};
use slapledger_core::ledger::{SnapshotFile, created};
use slapledger_core::log::sled_store::{self, SledStore};
use slapledger_core::log::store::{EventStore, StoreFault};
use slapledger_engine::folder;
use slapledger_engine::lost_keys::LostKeys;
use slapledger_projections::runner;

use super::{Folder, init, progress, rebuild, verify_backup, warnings};

/// What is added to a fault of a cache.
const CACHE: &str = "it is a cache: the next start makes it anew from the log";

pub(super) fn run(folder: &Folder, deep: bool) -> anyhow::Result<()> {
    warnings::to_stderr();
    let data = &folder.data;
    if is_backup(data) {
        return verify_backup::run(data, deep);
    }
    let checked = check(folder, deep).map_err(|fault| {
        if is_out_of_reach(&fault) {
            fault.context(Unverifiable { data: data.clone() })
        } else {
            fault.context(format!("{} is NOT whole", data.display()))
        }
    })?;
    say!("{} is whole: {checked}", data.display());
    Ok(())
}

/// There is no verdict: the folder could not be read.
#[derive(Debug)]
pub(super) struct Unverifiable {
    data: PathBuf,
}

impl fmt::Display for Unverifiable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} could not be verified", self.data.display())
    }
}

/// Whether somebody else has the folder, it may not be read, or holds no ledger.
fn is_out_of_reach(fault: &anyhow::Error) -> bool {
    fault.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
            || cause.is::<folder::NoLedger>()
            || matches!(cause.downcast_ref(), Some(StoreFault::InUse { .. }))
            || matches!(cause.downcast_ref(), Some(KeyRingFault::InUse { .. }))
    })
}

/// Checks everything, one part after the other; says what was checked.
fn check(folder: &Folder, deep: bool) -> anyhow::Result<String> {
    let data = &folder.data;
    let log = data.join(folder::LOG);
    let store = folder::read_log(data)?;
    let bar = progress::bar("log", store.head()?.last);
    let head = store.verify_with(|reached| bar.set_position(reached.0));
    bar.finish_and_clear();
    let head = head?;
    let was_closed = sled_store::was_closed(&log, head.last)?;
    sled_store::verify_beside(&log, was_closed)?;
    say!("log        {} events in {} epochs, root {}", head.last, store.stats().epochs, head.root);
    check_keys(folder, &store)?;
    check_snapshots(data)?;
    let (checkpoints, identities) =
        TieredIndex::verify(&data.join(folder::INDEX), was_closed).with_context(|| CACHE.to_owned())?;
    say!("index      {checkpoints} checkpoints, {identities} entries");
    if deep {
        check_views(data, &store)?;
    }
    Ok(format!("the log ends at sequence {}", head.last))
}

fn check_keys(folder: &Folder, store: &SledStore) -> anyhow::Result<()> {
    let ring = folder.data.join(folder::KEYS);
    if !KeyRing::exists(&ring) {
        say!("keys       none here; sealed values cannot be read without them");
        return Ok(());
    }
    let options = keyring::Options { master_key: folder.master_key().map(Path::to_owned), now: None };
    let keys = KeyRing::open_read_only(&ring, &options)?;
    if store.head()?.last > Sequence::ZERO {
        let is_of_log = keys.id() == created(store)?.key_ring;
        ensure!(is_of_log, "{} is not the key ring of this log", ring.display());
        let state = folder.data.join(folder::STATE);
        LostKeys::of_log(store, &state, &keys)?.check(&ring, &folder.data.join(folder::LOG))?;
        check_authority(&folder.data, store)?;
    }
    say!("keys       every record of {}", ring.join("ring").display());
    Ok(())
}

/// What `serve` needs beside the log: the certificate authority and the key of checkpoints.
fn check_authority(data: &Path, store: &SledStore) -> anyhow::Result<()> {
    if created(store)?.mode != Mode::Serve {
        return Ok(());
    }
    let authority = data.join(init::AUTHORITY);
    ensure!(
        authority.exists(),
        "{} is missing; restore it from a backup, or make another with `slapledger init`",
        authority.display()
    );
    Authority::open(&authority)?;
    init::check_signing_key(data)?;
    say!("authority  {} and {}", authority.display(), data.join(init::SIGNING_KEY).display());
    Ok(())
}

fn check_snapshots(data: &Path) -> anyhow::Result<()> {
    let state = data.join(folder::STATE);
    let writer = SnapshotFile::new(state.join(folder::WRITER_SNAPSHOT));
    let mut found = 0;
    if writer.is_of_earlier_version() {
        say!("snapshots  {} is of an earlier version: {CACHE}", writer.path().display());
    } else {
        found += usize::from(writer.read().map_err(|fault| anyhow!(fault).context(CACHE))?.is_some());
    }
    for view in folder::VIEWS {
        let path = state.join(format!("{view}.snapshot"));
        if !path.exists() {
            continue;
        }
        let is_whole = runner::witness(view, &state).is_some_and(|witness| (witness.is_whole)());
        ensure!(is_whole, "{} is damaged or of another version: {CACHE}", path.display());
        found += 1;
    }
    say!("snapshots  {found}");
    Ok(())
}

/// Derives every view from the first event on, and compares it with the one that was kept.
fn check_views(data: &Path, store: &dyn EventStore) -> anyhow::Result<()> {
    let rows = rebuild::derive_all(store, &data.join(folder::STATE), None)?;
    for row in &rows {
        ensure!(
            !row.is_different(),
            "the view {} that was kept is not what the log gives: {CACHE}",
            row.name
        );
    }
    say!("views      {} derived from the first event on", rows.len());
    Ok(())
}
