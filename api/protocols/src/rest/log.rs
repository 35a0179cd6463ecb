//! Reading recorded events for answers: by their sequences, or one after the other.
//!
//! Blocking: the log is on a disk. Call it from threads made for that.

use std::collections::{BTreeMap, BTreeSet};

use slapledger_core::domain::id::Sequence;
use slapledger_core::log::envelope::{EventDecoder, Recorded};
use slapledger_core::log::store::{EventStore, read_frames};
use slapledger_kit::problem::Problem;

/// The events of these sequences, those of them that the log has.
pub(super) fn events(
    store: &dyn EventStore,
    wanted: BTreeSet<Sequence>,
) -> Result<BTreeMap<Sequence, Recorded>, Problem> {
    let mut wanted = wanted;
    let mut found = BTreeMap::new();
    let mut decoder = EventDecoder::default();
    // A frame at a time: what is wanted may be far apart.
    while let Some(next) = wanted.pop_first() {
        let Some(before) = next.0.checked_sub(1).map(Sequence) else { continue };
        let frames = store.read(before, 1).map_err(|fault| Problem::fault(&fault))?;
        let Some(frame) = frames.into_iter().next() else { break };
        let frame = frame.decode().map_err(|fault| Problem::fault(&fault))?;
        for (sequence, bytes) in frame.events_after(before) {
            if sequence == next || wanted.remove(&sequence) {
                let recorded = decoder.decode(sequence, bytes).map_err(|fault| Problem::fault(&fault))?;
                found.insert(sequence, recorded);
            }
        }
    }
    Ok(found)
}

/// Shows events after a sequence to `each`, in order, until it has seen enough.
pub(super) fn each_after(
    store: &dyn EventStore,
    after: Sequence,
    mut each: impl FnMut(&Recorded) -> Result<ReadOn, Problem>,
) -> Result<(), Problem> {
    let mut decoder = EventDecoder::default();
    for frame in read_frames(store, after) {
        let frame = frame.map_err(|fault| Problem::fault(&fault))?;
        for (sequence, bytes) in frame.events_after(after) {
            let recorded = decoder.decode(sequence, bytes).map_err(|fault| Problem::fault(&fault))?;
            if each(&recorded)? == ReadOn::Enough {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Whether more events are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadOn {
    /// The next one too.
    More,
    /// No more.
    Enough,
}
