//! Sealed epochs that are open for reading: few at a time, and closed again when nobody reads them.
//!
//! sled's memory grows with its file, so this is what bounds the memory of a rebuild. An epoch is opened as a copy
//! whose bytes are those of the manifest; making it takes some tenths of a second, during which only readers of the
//! same epoch wait. What is found damaged is remembered for those who ask how the log is.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::copy::{CopyPlaces, SealedCopy};
use super::epoch::EpochDb;
use super::manifest::{SealedManifest, hex};
use crate::domain::id::Sequence;
use crate::log::store::StoreFault;

/// Two readers at different places do not close each other's epoch.
const MOST_OPEN: usize = 2;

/// How long an epoch stays open after it was last read.
const IDLE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Readers {
    dir: PathBuf,
    places: CopyPlaces,
    patience: Duration,
    /// Least recently used first.
    recent: Mutex<Vec<RecentFrames>>,
    /// By epoch.
    damage: Mutex<BTreeMap<u32, String>>,
}

#[derive(Debug)]
struct RecentFrames {
    epoch: u32,
    used: Instant,
    slot: Arc<Mutex<Option<Arc<EpochDb>>>>,
}

impl Readers {
    pub(super) fn new(dir: PathBuf, places: CopyPlaces, patience: Duration) -> Self {
        Self { dir, places, patience, recent: Mutex::default(), damage: Mutex::default() }
    }

    /// Takes over what another has open of the same folder.
    pub(super) fn take_over(&self, other: &Self) {
        let (recent, damage) =
            (std::mem::take(&mut *other.recent.lock()), std::mem::take(&mut *other.damage.lock()));
        *self.recent.lock() = recent;
        *self.damage.lock() = damage;
    }

    /// The sealed epoch, opened if need be.
    pub(super) fn get(&self, sealed: &SealedManifest) -> Result<Arc<EpochDb>, StoreFault> {
        let slot = self.slot(sealed.epoch());
        let mut slot = slot.lock();
        if let Some(db) = &*slot {
            return Ok(Arc::clone(db));
        }
        let opened = self.open(sealed);
        match &opened {
            Ok(db) => *slot = Some(Arc::clone(db)),
            Err(fault) => self.note_damage(sealed.epoch(), fault),
        }
        opened
    }

    fn open(&self, sealed: &SealedManifest) -> Result<Arc<EpochDb>, StoreFault> {
        let copy = SealedCopy::of_sealed(&self.dir, sealed, &self.places)?;
        let db = EpochDb::open_copy(copy, sealed.place(), self.patience)?;
        if !sealed.knows_files() {
            check_frames(&db, sealed)?;
        }
        Ok(Arc::new(db))
    }

    /// Takes over an epoch that was just sealed.
    pub(super) fn adopt(&self, db: EpochDb) {
        let slot = self.slot(db.number());
        *slot.lock() = Some(Arc::new(db));
    }

    /// The place of an epoch, as the most recent one. What it drives out is closed when nobody reads it.
    fn slot(&self, epoch: u32) -> Arc<Mutex<Option<Arc<EpochDb>>>> {
        let mut left = Vec::new();
        let mut recent = self.recent.lock();
        let known = recent.iter().position(|recent| recent.epoch == epoch);
        let slot = known.map_or_else(Arc::default, |at| recent.remove(at).slot);
        recent.push(RecentFrames { epoch, used: Instant::now(), slot: Arc::clone(&slot) });
        while recent.len() > MOST_OPEN {
            left.push(recent.remove(0));
        }
        drop(recent);
        drop(left);
        slot
    }

    /// Closes what nobody has read for a while.
    pub(super) fn close_idle(&self) {
        let mut recent = self.recent.lock();
        let idle = recent.iter().take_while(|recent| recent.used.elapsed() > IDLE).count();
        let left: Vec<_> = recent.drain(..idle).collect();
        drop(recent);
        drop(left);
    }

    /// Remembers that an epoch is damaged, and says so once.
    pub(super) fn note_damage(&self, epoch: u32, fault: &StoreFault) {
        if !fault.is_damage() {
            return;
        }
        let text = fault.to_string();
        let before = self.damage.lock().insert(epoch, text.clone());
        if before.as_ref() != Some(&text) {
            tracing::error!(epoch, fault = text, "a sealed epoch is damaged");
        }
    }

    /// An epoch was found whole.
    pub(super) fn note_whole(&self, epoch: u32) {
        if self.damage.lock().remove(&epoch).is_some() {
            tracing::info!(epoch, "a sealed epoch that was damaged is whole again");
        }
    }

    /// What is known to be damaged.
    pub(super) fn damage(&self) -> Vec<String> {
        self.damage.lock().values().cloned().collect()
    }
}

/// Holds the frames of an epoch against its manifest: for those whose files are not in it.
fn check_frames(db: &EpochDb, sealed: &SealedManifest) -> Result<(), StoreFault> {
    let (mut count, mut hasher, mut last) = (0, Sha256::new(), Sequence::ZERO);
    db.scan(0, sealed.place().first, |frame| {
        count += 1;
        hasher.update(frame.bytes());
        last = frame.last();
        Ok(ControlFlow::Continue(()))
    })?;
    let epoch = sealed.epoch();
    let other = |what| Err(StoreFault::OtherManifest { epoch, sequence: last, what });
    if last != sealed.head().last {
        return Err(StoreFault::Gap { epoch, expected: last.next(), found: None });
    }
    if count != sealed.manifest.frames {
        return other("frames");
    }
    if hex(&hasher.finalize().into()) != sealed.manifest.sha256 {
        return other("sha256");
    }
    Ok(())
}
