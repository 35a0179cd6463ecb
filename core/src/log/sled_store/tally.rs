//! The tree of the log, put together from frames as they are read.

use std::num::NonZero;
use std::thread;

use parking_lot::Mutex;

use super::epoch::damaged;
use crate::domain::id::Sequence;
use crate::log::frame::{Frame, FrameError};
use crate::log::merkle::{LeafRun, Tree};
use crate::log::store::{Head, StoreFault};

/// The stored bytes of the frames that are hashed at a time. Bounds the memory: each thread unpacks one of them.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// More threads wait for the disk.
const MOST_THREADS: usize = 4;

/// Where frames end, and the batch that is not hashed yet.
#[derive(Debug)]
pub(super) struct Tally {
    tree: Tree,
    batch: Vec<(u32, Frame)>,
    batch_bytes: usize,
}

impl Tally {
    /// Of frames that continue a tree.
    pub(super) fn new(tree: Tree) -> Self {
        Self { tree, batch: Vec::new(), batch_bytes: 0 }
    }

    /// Takes a frame of an epoch. Whether it continues the tree is found when a batch is full: `checked` sees the end
    /// after each frame. The fault is the first in the order of the log.
    pub(super) fn take(
        &mut self,
        epoch: u32,
        frame: Frame,
        checked: &mut impl FnMut(u32, Head) -> Result<(), StoreFault>,
    ) -> Result<(), StoreFault> {
        self.batch_bytes += frame.bytes().len();
        self.batch.push((epoch, frame));
        if self.batch_bytes >= BATCH_BYTES { self.settle(checked) } else { Ok(()) }
    }

    /// Checks what is left.
    pub(super) fn settle(
        &mut self,
        checked: &mut impl FnMut(u32, Head) -> Result<(), StoreFault>,
    ) -> Result<(), StoreFault> {
        self.batch_bytes = 0;
        for ((epoch, mut frame), hashed) in hash_all(std::mem::take(&mut self.batch)) {
            frame
                .advance_by(hashed, &mut self.tree)
                .map_err(|source| damaged(epoch, frame.first(), source))?;
            checked(epoch, self.head())?;
        }
        Ok(())
    }

    /// Where the frames that were checked end.
    pub(super) fn head(&self) -> Head {
        Head { last: Sequence(self.tree.size()), root: self.tree.root() }
    }

    /// The tree of the frames that were checked.
    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The same, to keep.
    pub(super) fn into_tree(self) -> Tree {
        self.tree
    }
}

/// Unpacks and hashes frames, which do not need each other for that, on a few threads. The order stays.
fn hash_all(frames: Vec<(u32, Frame)>) -> impl Iterator<Item = ((u32, Frame), Result<LeafRun, FrameError>)> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS).min(frames.len());
    let mut slots: Vec<_> = frames.into_iter().map(|frame| (frame, None)).collect();
    let next = Mutex::new(slots.iter_mut());
    let work = || {
        loop {
            let Some(((_, frame), hashed)) = next.lock().next() else { return };
            *hashed = Some(frame.hash());
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // A thread that cannot be had is not missed: this one does what is left.
            let _ = thread::Builder::new().name("verify".into()).spawn_scoped(scope, work);
        }
        work();
    });
    slots.into_iter().map(|(frame, hashed)| (frame, hashed.expect("every slot was worked on")))
}
