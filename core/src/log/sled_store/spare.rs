//! The file of the next tail, filled with zeros before it is needed.
//!
//! While a file grows, each sync of it waits for the journal of the file system too. Tails take turns: the file of a sealed
//! epoch serves the next one. Until the first epoch is sealed there is none to take, so one is made here, a piece at a time
//! beside other work, under an unfinished name. A half-made one is removed at the next start, like everything of that name.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::folder::{self, io_fault};
use super::tail::FILL_PIECE;
use crate::log::store::StoreFault;

/// How many bytes are written at a time.
const STEP_BYTES: u64 = 4 * FILL_PIECE as u64;

/// See the module.
#[derive(Debug)]
pub(super) struct SpareTail {
    spare: PathBuf,
    making: Option<(File, u64)>,
}

impl SpareTail {
    pub(super) fn new(dir: &Path) -> Self {
        Self { spare: folder::spare_path(dir), making: None }
    }

    /// Writes a few megabytes of a spare of this length; nothing, if there is one.
    pub(super) fn step(&mut self, bytes: u64) -> Result<(), StoreFault> {
        let stepped = self.try_step(bytes);
        // It takes room on a disk that may be full.
        stepped.or_else(|fault| self.give_up().and(Err(fault)))
    }

    fn try_step(&mut self, bytes: u64) -> Result<(), StoreFault> {
        if self.spare.exists() {
            return self.give_up();
        }
        let path = folder::unfinished(&self.spare);
        let (file, mut filled) = match self.making.take() {
            Some(making) => making,
            None => (File::create(&path).map_err(io_fault("create", &path))?, 0),
        };
        let zeros = vec![0; FILL_PIECE];
        let until = bytes.min(filled + STEP_BYTES);
        while filled < until {
            file.write_all_at(&zeros, filled).map_err(io_fault("write", &path))?;
            filled += FILL_PIECE as u64;
            file.sync_data().map_err(io_fault("sync", &path))?;
        }
        if filled < bytes {
            self.making = Some((file, filled));
            return Ok(());
        }
        file.sync_all().map_err(io_fault("sync", &path))?;
        folder::rename(&path, &self.spare)
    }

    fn give_up(&mut self) -> Result<(), StoreFault> {
        match self.making.take() {
            Some(_) => folder::remove(&folder::unfinished(&self.spare)),
            None => Ok(()),
        }
    }
}
