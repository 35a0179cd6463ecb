//! Sealed values that are too long for one event: their ciphertext comes before the event that sets them, in parts.
//!
//! Invariants: the parts of a value are in the stream of its instance, in order, and directly before the event that
//! sets it; that event has an empty ciphertext, which no sealed value has by itself. What puts them together again is
//! the fold that shows values.

use bincode::{Decode, Encode};
use serde::Serialize;

use crate::domain::event::{Event, Stream};
use crate::domain::id::InstanceId;
use crate::domain::sealed::Sealed;

/// The most bytes of ciphertext in one event.
const PART_BYTES: usize = 48_000;

/// A part of the ciphertext of a value that the next event of the stream sets.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct SealedPartRecorded {
    /// Of which instance.
    pub instance: InstanceId,
    /// Which part, from 1.
    pub part: u32,
    /// Its bytes.
    #[serde(skip)]
    pub ciphertext: Vec<u8>,
}

/// The same events, with what is too long for one of them in parts before it.
pub(super) fn in_parts(events: Vec<(Stream, Event)>) -> Vec<(Stream, Event)> {
    let is_long = |(_, event): &(Stream, Event)| {
        value_of(event).is_some_and(|(_, sealed)| sealed.ciphertext.len() > PART_BYTES)
    };
    if !events.iter().any(is_long) {
        return events;
    }
    let mut cut = Vec::new();
    for (stream, mut event) in events {
        if let Some((instance, sealed)) =
            value_of_mut(&mut event).filter(|(_, s)| s.ciphertext.len() > PART_BYTES)
        {
            let ciphertext = std::mem::take(&mut sealed.ciphertext);
            cut.extend((1..).zip(ciphertext.chunks(PART_BYTES)).map(|(part, bytes)| {
                let ciphertext = bytes.to_vec();
                let part = SealedPartRecorded { instance, part, ciphertext };
                (stream.clone(), Event::SealedPartRecorded(part))
            }));
        }
        cut.push((stream, event));
    }
    cut
}

/// The value that an event sets, and of which instance.
fn value_of(event: &Event) -> Option<(InstanceId, &Sealed)> {
    match event {
        Event::InstanceRequested(event) => Some((event.instance, &event.parameters)),
        Event::InstanceChanged(event) => Some((event.instance, event.parameters.as_ref()?)),
        Event::ConnectionParametersSet(event) => Some((event.instance, &event.connection)),
        _ => None,
    }
}

fn value_of_mut(event: &mut Event) -> Option<(InstanceId, &mut Sealed)> {
    match event {
        Event::InstanceRequested(event) => Some((event.instance, &mut event.parameters)),
        Event::InstanceChanged(event) => Some((event.instance, event.parameters.as_mut()?)),
        Event::ConnectionParametersSet(event) => Some((event.instance, &mut event.connection)),
        _ => None,
    }
}
