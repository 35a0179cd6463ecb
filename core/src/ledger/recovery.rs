//! How the state of the writer comes from the log: at a start, and when the index of usage identities is damaged.
//!
//! The snapshot of the writer and the index are caches. They shorten the way to the end of the log, and are never
//! trusted over it: one that is damaged, or does not fit, is dropped, and all of it comes from the log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

use tracing::{info, warn};

use super::{OpenFault, Sequencer, SnapshotFile};
use crate::domain::id::Sequence;
use crate::domain::usage::SeenIndex;
use crate::log::envelope::EventDecoder;
use crate::log::frame::{Frame, UnpackedFrame};
use crate::log::store::EventStore;

/// How many unpacked frames may wait to be taken over.
const FRAMES: usize = 16;

/// Why there is no index of usage identities as of a sequence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoIndex {
    /// No index was kept at this sequence with these keys.
    #[error("no index was kept")]
    Absent,
    /// Its files cannot be read, or are not what was written.
    #[error("{0}")]
    Damaged(String),
}

/// Makes the index of usage identities as it was at a sequence; an empty one at 0, whatever was there.
pub type IndexAt = Box<dyn Fn(Sequence) -> Result<Box<dyn SeenIndex>, NoIndex> + Send>;

/// Where a writer's state comes from, beside the log.
pub(super) struct Recovery {
    pub(super) snapshot: Option<SnapshotFile>,
    pub(super) index: IndexAt,
}

/// What was wrong with the caches of a writer.
enum UselessCaches {
    /// They were not there, or of an older log than this one: nothing to be told about.
    Nothing,
    /// Told with how long it took to do without.
    Damaged(String),
}

impl Recovery {
    /// The sequencer as of the end of the log.
    pub(super) fn open(&self, store: &dyn EventStore) -> Result<Sequencer, OpenFault> {
        let started = Instant::now();
        if let Some(snapshot) = &self.snapshot {
            snapshot.remove_unfinished();
        }
        let dropped = match self.shortened(store)? {
            Ok(sequencer) => return Ok(sequencer),
            Err(dropped) => dropped,
        };
        let sequencer = self.read_all(store, &AtomicBool::new(false))?;
        if let UselessCaches::Damaged(what) = dropped {
            warn!("{what}; rebuilt from the log in {} ms", started.elapsed().as_millis());
        }
        Ok(sequencer)
    }

    /// The sequencer as of the end of the log, with a new index, in place of one that was damaged. It takes as long as
    /// reading the log does, unless it is told to stop.
    pub(super) fn rebuild(
        &self,
        store: &dyn EventStore,
        fault: &str,
        stop: &AtomicBool,
    ) -> Result<Sequencer, String> {
        let started = Instant::now();
        info!(%fault, "the index of usage identities is damaged; it is rebuilt from the log");
        let rebuilt = self.read_all(store, stop).map_err(|cause| {
            format!(
                "the index of usage identities was damaged ({fault}), and cannot be rebuilt: {}",
                told(&cause)
            )
        })?;
        warn!("{}; rebuilt from the log in {} ms", damaged_index(fault), started.elapsed().as_millis());
        Ok(rebuilt)
    }

    /// The snapshot, with the index of its sequence, and the events after it.
    fn shortened(&self, store: &dyn EventStore) -> Result<Result<Sequencer, UselessCaches>, OpenFault> {
        let Some(file) = &self.snapshot else { return Ok(Err(UselessCaches::Nothing)) };
        let bytes = match file.read() {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Err(UselessCaches::Nothing)),
            Err(cause) => return Ok(Err(UselessCaches::Damaged(cause))),
        };
        let useless = |why: &str| UselessCaches::Damaged(format!("{} {why}", file.path().display()));
        let head = store.head()?;
        let Some((last, root)) = Sequencer::snapshot_place(&bytes) else {
            return Ok(Err(useless("cannot be read by this version")));
        };
        if last > head.last || (last == head.last && root != head.root) {
            return Ok(Err(useless("does not fit the log")));
        }
        let index = match (self.index)(last) {
            Ok(index) => index,
            Err(NoIndex::Absent) => {
                let missing = format!("no index of usage identities was kept at sequence {last}");
                return Ok(Err(UselessCaches::Damaged(missing)));
            }
            Err(NoIndex::Damaged(fault)) => return Ok(Err(UselessCaches::Damaged(damaged_index(&fault)))),
        };
        let Some(restored) = Sequencer::restore(&bytes, index) else {
            return Ok(Err(useless("cannot be read by this version")));
        };
        match catch_up(store, restored, &AtomicBool::new(false)) {
            Ok(sequencer) => {
                if let Some(fault) = sequencer.index_fault() {
                    return Ok(Err(UselessCaches::Damaged(damaged_index(&fault))));
                }
                info!(snapshot = last.0, tail = head.last.0 - last.0, "opened the log from a snapshot");
                Ok(Ok(sequencer))
            }
            Err(fault) => Ok(Err(useless(&format!("does not fit the log ({})", told(&fault))))),
        }
    }

    fn read_all(&self, store: &dyn EventStore, stop: &AtomicBool) -> Result<Sequencer, OpenFault> {
        let index = (self.index)(Sequence::ZERO).map_err(|cause| {
            OpenFault::Start(format!("the index of usage identities cannot be made: {cause}"))
        })?;
        catch_up(store, Sequencer::new(index), stop)
    }
}

fn damaged_index(fault: &str) -> String {
    format!("the index of usage identities was damaged ({fault})")
}

fn told(fault: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(fault.source(), |fault| fault.source());
    sources.fold(fault.to_string(), |text, source| format!("{text}: {source}"))
}

/// Replays the rest of the log. One thread reads, unpacks and hashes frames; the calling one decodes their events and takes
/// them over.
fn catch_up(
    store: &dyn EventStore,
    mut sequencer: Sequencer,
    stop: &AtomicBool,
) -> Result<Sequencer, OpenFault> {
    let after = sequencer.last();
    let mut decoder = EventDecoder::default();
    thread::scope(|scope| {
        let (frames, unpacked) = sync_channel(FRAMES);
        scope.spawn(move || {
            // Nobody listens any more when the other side has failed.
            unpack_after(store, after, |frame| frames.send(frame).is_ok());
        });
        for frame in unpacked {
            if stop.load(Ordering::Relaxed) {
                return Err(OpenFault::Start("it is shutting down".into()));
            }
            sequencer.replay(frame?, &mut decoder, |_| ())?;
        }
        Ok(sequencer)
    })
}

/// Hands on every frame after an event, and last the fault that ended it, while somebody listens.
fn unpack_after(
    store: &dyn EventStore,
    mut after: Sequence,
    mut hand_on: impl FnMut(Result<UnpackedFrame, OpenFault>) -> bool,
) {
    const READ_BYTES: usize = 1024 * 1024;
    loop {
        let frames = match store.read(after, READ_BYTES) {
            Ok(frames) => frames,
            Err(fault) => {
                hand_on(Err(fault.into()));
                return;
            }
        };
        let Some(last) = frames.last().map(Frame::last) else { return };
        after = last;
        for frame in frames {
            let sequence = frame.first();
            let unpacked = frame.unpack().map_err(|source| OpenFault::Frame { sequence, source });
            let goes_on = unpacked.is_ok();
            if !hand_on(unpacked) || !goes_on {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
