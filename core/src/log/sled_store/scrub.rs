//! The scrub: sealed epochs are read through again and again, at a bounded rate, and held against their manifests.
//!
//! It reads the files and nothing else; what it finds is shown on the health page until the file is whole again.

use std::fs::File;
use std::time::{Duration, Instant};

use super::StoreShared;
use super::copy::{HashingReader, check};
use super::folder::{epoch_path, io_fault};
use super::manifest::SealedManifest;
use crate::log::store::StoreFault;

/// The first time after a start it goes so many times as fast.
const FIRST_PASS: u64 = 8;
/// A pass begins this long after the one before, or when that is over.
const PASS_EVERY: Duration = Duration::from_secs(3600);

/// Where the scrub is.
pub(super) struct Scrub {
    rate: u64,
    /// How many bytes may be read now.
    budget: u64,
    refilled: Instant,
    is_first_pass: bool,
    pass_began: Instant,
    /// Whether the pass is over, and the next one not due.
    rests: bool,
    /// The epoch that comes next, from 0, and its file.
    next: (usize, usize),
    file: Option<HashingReader>,
}

impl Scrub {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self {
            rate: bytes_per_second,
            budget: 0,
            refilled: Instant::now(),
            is_first_pass: true,
            pass_began: Instant::now(),
            rests: false,
            next: (0, 0),
            file: None,
        }
    }

    /// Reads what the time since the last step allows.
    pub(super) fn step(&mut self, shared: &StoreShared) {
        if self.rests {
            if self.pass_began.elapsed() < PASS_EVERY {
                return;
            }
            (self.rests, self.pass_began, self.refilled) = (false, Instant::now(), Instant::now());
        }
        let rate = if self.is_first_pass { self.rate.saturating_mul(FIRST_PASS) } else { self.rate };
        let elapsed = u64::try_from(self.refilled.elapsed().as_millis()).unwrap_or(u64::MAX).min(2000);
        self.refilled = Instant::now();
        self.budget = rate.saturating_mul(elapsed) / 1000;
        let sealed = shared.view.read().sealed.clone();
        while self.budget > 0 && !shared.is_stopping() {
            let Some(epoch) = sealed.get(self.next.0) else {
                (self.is_first_pass, self.rests, self.next) = (false, true, (0, 0));
                return;
            };
            if let Err(fault) = self.read_on(shared, epoch) {
                self.file = None;
                self.next = (self.next.0 + 1, 0);
                shared.readers.note_damage(epoch.epoch(), &fault);
            }
        }
    }

    /// Reads on in the file that comes next, as far as the budget goes.
    fn read_on(&mut self, shared: &StoreShared, sealed: &SealedManifest) -> Result<(), StoreFault> {
        let folder = epoch_path(&shared.dir, sealed.epoch());
        let Some(known) = sealed.manifest.files.get(self.next.1) else {
            if sealed.knows_files() {
                shared.readers.note_whole(sealed.epoch());
            }
            self.next = (self.next.0 + 1, 0);
            return Ok(());
        };
        let mut hashing = if let Some(hashing) = self.file.take() {
            hashing
        } else {
            let path = folder.join(&known.name);
            HashingReader::new(File::open(&path).map_err(io_fault("open", &path))?, &path)
        };
        while self.budget > 0 {
            let Some(piece) = hashing.next()? else {
                self.next.1 += 1;
                return check(&folder, sealed, known, &hashing.finish(&known.name));
            };
            self.budget = self.budget.saturating_sub(piece.len() as u64);
        }
        self.file = Some(hashing);
        Ok(())
    }
}
