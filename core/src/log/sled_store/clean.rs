//! The record of a clean shutdown: which bytes the database of the open epoch had when it was closed.
//!
//! It lets the next start go on with that database instead of filling it again from the tail. It is removed, durably,
//! before the database is opened: a database without it is of no use to anybody.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::copy::hash_file;
use super::folder::{self, clean_path, epoch_path, io_fault};
use super::manifest::{FILES, FileEntry};
use crate::domain::id::Sequence;
use crate::log::store::StoreFault;

const FORMAT: u32 = 2;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CleanRecord {
    format: u32,
    epoch: u32,
    /// The last sequence in the database.
    last: u64,
    files: Vec<FileEntry>,
}

impl CleanRecord {
    /// Of a database that was just closed.
    pub(super) fn of(dir: &Path, epoch: u32, last: Sequence) -> Result<Self, StoreFault> {
        let folder = epoch_path(dir, epoch);
        let files = FILES.iter().map(|name| hash_file(&folder.join(name), name)).collect::<Result<_, _>>()?;
        Ok(Self { format: FORMAT, epoch, last: last.0, files })
    }

    pub(super) fn last(&self) -> Sequence {
        Sequence(self.last)
    }

    /// Writes it durably.
    pub(super) fn write(&self, dir: &Path) -> Result<(), StoreFault> {
        let path = clean_path(dir, self.epoch);
        let json = serde_json::to_vec_pretty(self)
            .map_err(|error| StoreFault::DamagedFile { path: path.clone(), cause: error.to_string() })?;
        folder::replace(&path, &json)
    }

    /// Reads it, if it is there. One that cannot be understood is as good as none: the tail has everything.
    pub(super) fn read(dir: &Path, epoch: u32) -> Result<Option<Self>, StoreFault> {
        let path = clean_path(dir, epoch);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_fault("read", &path)(error)),
        };
        let record: Option<Self> = serde_json::from_slice(&bytes).ok();
        if record.is_none() {
            tracing::warn!(path = %path.display(), "the record of a clean shutdown is damaged; the tail counts");
        }
        Ok(record.filter(|record| record.format == FORMAT && record.epoch == epoch))
    }

    /// Removes it durably.
    pub(super) fn remove(dir: &Path, epoch: u32) -> Result<(), StoreFault> {
        let path = clean_path(dir, epoch);
        if path.exists() {
            folder::remove(&path)?;
            folder::sync(dir)?;
        }
        Ok(())
    }

    /// Whether the files of the database are those that were recorded.
    pub(super) fn holds(&self, dir: &Path) -> Result<bool, StoreFault> {
        Ok(Self::of(dir, self.epoch, self.last())? == *self)
    }
}
