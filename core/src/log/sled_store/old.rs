//! The open epoch of a folder of format 1: a database without a tail.
//!
//! A copy of it is opened, read to its end and held against the witnesses like a tail. Then its frames are written to a
//! tail, which takes its place; the database itself is left alone until the tail is durable.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use super::copy::{CopyPlaces, SealedCopy};
use super::epoch::EpochDb;
use super::folder::EpochPlace;
use super::folder::epoch_path;
use super::tail::Tail;
use crate::log::frame::Frame;
use crate::log::merkle::Root;
use crate::log::store::StoreFault;

/// Written to the tail at a time.
const PIECE_FRAMES: usize = 256;

/// See the module.
pub(super) struct OldEpoch {
    place: EpochPlace,
    root_before: Root,
    db: EpochDb,
}

impl OldEpoch {
    pub(super) fn open(
        dir: &Path,
        (place, root_before): (EpochPlace, Root),
        places: &CopyPlaces,
        patience: Duration,
    ) -> Result<Self, StoreFault> {
        let copy = SealedCopy::of_folder(&epoch_path(dir, place.number), places)?;
        Ok(Self { place, root_before, db: EpochDb::open_copy(copy, place, patience)? })
    }

    pub(super) fn number(&self) -> u32 {
        self.place.number
    }

    /// All frames in order.
    pub(super) fn each(
        &self,
        mut visit: impl FnMut(Frame) -> Result<(), StoreFault>,
    ) -> Result<(), StoreFault> {
        self.db.scan(0, self.place.first, |frame| visit(frame).map(ControlFlow::Continue))
    }

    /// Makes the tail of the epoch in a folder, durably.
    pub(super) fn write_tail(&self, dir: &Path) -> Result<(), StoreFault> {
        let tail = Tail::create_unfinished(dir, self.place, self.root_before)?;
        let mut buffer = Vec::new();
        let mut piece = Vec::new();
        self.each(|frame| {
            piece.push(frame);
            if piece.len() < PIECE_FRAMES {
                return Ok(());
            }
            tail.append(&std::mem::take(&mut piece), &mut buffer)
        })?;
        tail.append(&piece, &mut buffer)?;
        tail.publish(dir)
    }
}
