//! Folding the log from any place to any place: what start-up and rebuild are made of.
//!
//! One thread reads and decodes, the calling one folds.

use std::sync::mpsc::sync_channel;
use std::thread;

use slapledger_core::domain::id::Sequence;
use slapledger_core::log::envelope::{EnvelopeError, EventDecoder, Recorded};
use slapledger_core::log::merkle::Root;
use slapledger_core::log::store::{EventStore, StoreFault, read_frames};

use crate::view::View;

/// How many events the decoder hands over at a time.
const BATCH_EVENTS: usize = 4096;
/// How many batches may wait to be folded.
const BATCHES: usize = 4;

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

/// A view of the log up to an event, from the first one on, and what it holds in short.
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
    let mut last = after;
    thread::scope(|scope| {
        let (batches, decoded) = sync_channel::<Result<Vec<Recorded>, ReplayFault>>(BATCHES);
        scope.spawn(move || {
            // Nobody listens any more when the other side has failed.
            let _ = decode(store, (after, until), |batch| batches.send(batch).is_ok());
        });
        for batch in decoded {
            for event in &batch? {
                view.apply(event);
                last = event.sequence;
            }
            progress(last);
        }
        Ok::<_, ReplayFault>(())
    })?;
    if last < until { Err(ReplayFault::Short { until, last }) } else { Ok(()) }
}

/// Gives the events in batches, in order; ends early when `take` does not want more.
fn decode(
    store: &dyn EventStore,
    (after, until): (Sequence, Sequence),
    take: impl Fn(Result<Vec<Recorded>, ReplayFault>) -> bool,
) -> Option<()> {
    let mut decoder = EventDecoder::default();
    let mut batch = Vec::with_capacity(BATCH_EVENTS);
    let wanted = |go_on: bool| go_on.then_some(());
    if after >= until {
        return None;
    }
    for frame in read_frames(store, after) {
        let frame = match frame {
            Ok(frame) => frame,
            Err(fault) => return wanted(take(Err(fault.into()))),
        };
        for (sequence, bytes) in frame.events_after(after).take_while(|(sequence, _)| *sequence <= until) {
            match decoder.decode(sequence, bytes) {
                Ok(event) => batch.push(event),
                Err(source) => return wanted(take(Err(ReplayFault::Event { sequence, source }))),
            }
            if batch.len() == BATCH_EVENTS {
                wanted(take(Ok(std::mem::replace(&mut batch, Vec::with_capacity(BATCH_EVENTS)))))?;
            }
        }
        if frame.last >= until {
            break;
        }
    }
    wanted(take(Ok(batch)))
}

/// The root of the log up to an event, if the log can tell it: it knows the roots between its frames.
pub(crate) fn root_at(store: &dyn EventStore, sequence: Sequence) -> Result<Option<Root>, StoreFault> {
    let head = store.head()?;
    if sequence >= head.last {
        return Ok((sequence == head.last).then_some(head.root));
    }
    let frames = store.read(sequence, 1)?;
    let next = frames.first().filter(|frame| frame.first() == sequence.next());
    Ok(next.map(|frame| frame.header().root_before))
}
