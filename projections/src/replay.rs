//! Folding the log from any place to any place: what start-up and rebuild are made of.
//!
//! One thread reads and unpacks frames; the calling one decodes and folds them, event by event, so that what an event
//! allocates is used and given back while it is at hand.

use std::sync::mpsc::sync_channel;
use std::thread;

use slapledger_core::domain::id::Sequence;
use slapledger_core::log::envelope::{EnvelopeError, EventDecoder};
use slapledger_core::log::store::{EventStore, StoreFault, read_frames};

use crate::view::View;

/// How many unpacked frames may wait to be folded.
const FRAMES: usize = 16;
/// After how many events progress is told again.
const PROGRESS_EVENTS: u64 = 10_000;

/// The log cannot be folded.
#[derive(Debug, thiserror::Error)]
pub enum ReplayFault {
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// It does not hold an event that can be read.
    #[error("read the event at sequence {sequence}")]
    Event {
        /// Where.
        sequence: Sequence,
        /// Why not.
        source: EnvelopeError,
    },
    /// It is shorter than it was said to be.
    #[error("read the log up to sequence {until}: it ends at {last}")]
    Short {
        /// How far it was to be read.
        until: Sequence,
        /// Where it ends.
        last: Sequence,
    },
}

/// A view of the log up to an event, from the first one on.
///
/// `progress` is told the sequence that was reached, every few thousand events.
pub fn rebuild<V: View>(
    store: &dyn EventStore,
    until: Sequence,
    progress: impl FnMut(Sequence),
) -> Result<V, ReplayFault> {
    let mut view = V::default();
    replay(store, &mut view, (Sequence::ZERO, until), progress)?;
    Ok(view)
}

/// Takes the events after `after`, up to and with `until`, over into a view.
pub fn replay<V: View>(
    store: &dyn EventStore,
    view: &mut V,
    (after, until): (Sequence, Sequence),
    mut progress: impl FnMut(Sequence),
) -> Result<(), ReplayFault> {
    let mut told = after;
    replay_stepwise(store, view, (after, until), |last| {
        if last.0 - told.0 >= PROGRESS_EVENTS || last == until {
            told = last;
            progress(last);
        }
    })
}

/// The same, with a step after each frame: it may take its time, and it may unwind ([`stop::check`](crate::stop::check)).
pub fn replay_stepwise<V: View>(
    store: &dyn EventStore,
    view: &mut V,
    (after, until): (Sequence, Sequence),
    mut step: impl FnMut(Sequence),
) -> Result<(), ReplayFault> {
    let mut last = after;
    let mut decoder = EventDecoder::default();
    thread::scope(|scope| {
        let (frames, unpacked) = sync_channel(FRAMES);
        if after < until {
            scope.spawn(move || {
                for frame in read_frames(store, after) {
                    let ends = frame.as_ref().map_or(true, |frame| frame.last >= until);
                    // Nobody listens any more when the other side has failed.
                    if frames.send(frame).is_err() || ends {
                        break;
                    }
                }
            });
        } else {
            drop(frames);
        }
        for frame in unpacked {
            let frame = frame?;
            for (sequence, bytes) in frame.events_after(after).take_while(|(sequence, _)| *sequence <= until)
            {
                let event = if V::LOOKS_AT_USAGE {
                    decoder.decode(sequence, bytes).map(Some)
                } else {
                    decoder.decode_unless_usage(sequence, bytes)
                };
                if let Some(event) = event.map_err(|source| ReplayFault::Event { sequence, source })? {
                    view.apply(&event);
                }
                last = sequence;
            }
            step(last);
        }
        Ok::<_, ReplayFault>(())
    })?;
    if last < until { Err(ReplayFault::Short { until, last }) } else { Ok(()) }
}
