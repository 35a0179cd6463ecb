//! `slapledger verify`: every byte of a data folder against every other, and one verdict.
//!
//! The log first, which is what counts, then what lies beside it. It ends at the first thing that is not as it was written;
//! nothing is changed or repaired.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use slapledger_ca::Authority;
use slapledger_client::print::say;
use slapledger_core::backup::is_backup;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::Sequence;
use slapledger_core::fingerprints::TieredIndex;
use slapledger_core::keyring::{self, KeyRing};
use slapledger_core::ledger::{SnapshotFile, created};
use slapledger_core::log::checkpoint::Checkpoint;
use slapledger_core::log::merkle::proof;
use slapledger_core::log::note::{SignatureKind, SignedNote, Verifier};
use slapledger_core::log::sled_store::{self, SledStore};
use slapledger_core::log::store::EventStore;
use slapledger_core::log::tiles::{TileHashes, TileReader};
use slapledger_engine::folder;
use slapledger_engine::lost_keys::LostKeys;
use slapledger_engine::notary::Notary;
use slapledger_projections::runner;

use super::audit::KeptCheckpoint;
use super::verdict::{Unverifiable, is_newer, is_out_of_reach, of_newer_format};
use super::{Folder, audit, init, log_key, progress, rebuild, verify_backup, warnings};

/// What is added to a fault of a cache.
const CACHE: &str = "it is a cache: the next start makes it anew from the log";

/// What is verified beside a folder itself.
#[derive(Debug, clap::Args)]
pub(super) struct Against {
    /// A checkpoint that the log must continue
    #[arg(long, value_name = "NOTE")]
    checkpoint: Option<PathBuf>,
    /// The key that must have signed the checkpoint
    #[arg(long, value_name = "KEY", requires = "checkpoint")]
    key: Option<Verifier>,
}

pub(super) fn run(folder: &Folder, file: Option<&Path>, deep: bool, against: &Against) -> anyhow::Result<()> {
    warnings::to_stderr();
    let data = &folder.data;
    let kept = against.read()?;
    if let Some(file) = file {
        return audit::of_file(file, deep, kept.as_ref());
    }
    if is_backup(data) {
        ensure!(kept.is_none(), "--checkpoint is for data folders: restore the backup first");
        return verify_backup::run(data, deep);
    }
    let checked = check(folder, deep, kept.as_ref()).map_err(|fault| {
        if is_out_of_reach(&fault) {
            fault.context(Unverifiable { data: data.clone() })
        } else if is_newer(&fault) {
            fault.context(of_newer_format(data))
        } else {
            fault.context(format!("{} is NOT whole", data.display()))
        }
    })?;
    say!("{} is whole: {checked}", data.display());
    Ok(())
}

/// Checks everything, one part after the other; says what was checked.
fn check(folder: &Folder, deep: bool, kept: Option<&KeptCheckpoint>) -> anyhow::Result<String> {
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
    let audit = audit::of_store(&store, deep)?;
    if let Some(KeptCheckpoint { checkpoint, key }) = kept {
        check_continues(&store, checkpoint)?;
        if let Some(key) = key {
            audit::check_key(&audit, key, checkpoint.size)?;
        }
    }
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

impl Against {
    /// The checkpoint, if one is given, signed as it must be.
    fn read(&self) -> anyhow::Result<Option<KeptCheckpoint>> {
        let Some(path) = &self.checkpoint else { return Ok(None) };
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let of_file = || format!("{}", path.display());
        let note = SignedNote::parse(&text).with_context(of_file)?;
        let checkpoint = Checkpoint::parse(note.text()).with_context(of_file)?;
        match &self.key {
            None => say!("checkpoint {} events; its signature is not checked without --key", checkpoint.size),
            Some(key) => {
                ensure!(
                    key.name() == &*checkpoint.origin || key.kind() == SignatureKind::Cosignature,
                    "{}: it is of {}, and the key of {}",
                    path.display(),
                    checkpoint.origin,
                    key.name()
                );
                key.check(&note).with_context(of_file)?;
                say!("checkpoint {} events, signed by {}", checkpoint.size, key.name());
            }
        }
        Ok(Some(KeptCheckpoint { checkpoint, key: self.key.clone() }))
    }
}

/// Whether the log has what a checkpoint says.
fn check_continues(store: &SledStore, kept: &Checkpoint) -> anyhow::Result<()> {
    let origin = Notary::origin_of(created(store)?.ledger);
    ensure!(*kept.origin == *origin, "the checkpoint is of {}, the log is {origin}", kept.origin);
    let last = store.head()?.last;
    ensure!(
        kept.size <= last.0,
        "the checkpoint has {} events, the log only {last}: later events are missing",
        kept.size
    );
    let mut hashes = TileHashes::default();
    hashes.extend(store, Sequence(kept.size), || true)?;
    let found = proof::root(&mut TileReader::new(&hashes, store), kept.size)?;
    ensure!(
        found == kept.root,
        "the first {} events have root {found}, the checkpoint says {}: the log was rewritten",
        kept.size,
        kept.root
    );
    say!("continues  the checkpoint of {} events", kept.size);
    Ok(())
}

fn check_keys(folder: &Folder, store: &SledStore) -> anyhow::Result<()> {
    let ring = folder.data.join(folder::KEYS);
    if !KeyRing::exists(&ring) {
        say!("keys       none here; sealed values cannot be read without them");
        return Ok(());
    }
    let options = keyring::KeyRingOptions { master_key: folder.master_key().map(Path::to_owned), now: None };
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
    log_key::check(data)?;
    say!("authority  {} and {}", authority.display(), data.join(log_key::SIGNING_KEY).display());
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
