//! The events of a frame, read in order without copying.

use std::ops::Deref;
use std::sync::Arc;

use super::{FrameError, PREFIX_BYTES};
use crate::domain::id::Sequence;

/// Whether a body holds so many events and nothing else.
pub(super) fn check_events(mut body: &[u8], count: u32) -> Result<(), FrameError> {
    for _ in 0..count {
        let (event, rest) =
            split_event(body).ok_or(FrameError::Inconsistent("its body ends within an event"))?;
        if event.is_empty() {
            return Err(FrameError::Inconsistent("it holds an empty event"));
        }
        body = rest;
    }
    if body.is_empty() {
        Ok(())
    } else {
        Err(FrameError::Inconsistent("its body goes on after the last event"))
    }
}

/// The first event of a body, and the rest.
pub(super) fn split_event(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// The events of a frame, unpacked and checked. Cloning shares the bytes.
#[derive(Debug, Clone)]
pub struct DecodedFrame {
    /// The sequence of the first event.
    pub first: Sequence,
    /// The sequence of the last event.
    pub last: Sequence,
    /// The number of events, at least 1.
    pub count: u32,
    pub(super) body: Arc<Vec<u8>>,
    pub(super) start: usize,
}

impl DecodedFrame {
    /// The events in order, without copying.
    pub fn events(&self) -> FrameEvents<'_> {
        FrameEvents { next: self.first.0, body: &self.body[self.start..] }
    }

    /// The events that come after `after`, in order: all, some or none of them.
    pub fn events_after(&self, after: Sequence) -> FrameEvents<'_> {
        let mut events = self.events();
        while events.next <= after.0 && events.next().is_some() {}
        events
    }

    /// The event that starts at `at` in the body, as bytes that keep the frame alive.
    fn event_at(&self, at: usize) -> Option<(EventBytes, usize)> {
        let (event, _) = split_event(&self.body[at..])?;
        let start = at + PREFIX_BYTES;
        let end = start + event.len();
        Some((EventBytes { body: Arc::clone(&self.body), start, end }, end))
    }

    /// The events as values of their own, each sharing the buffer of the frame.
    pub fn into_events(self) -> IntoEvents {
        IntoEvents { next: self.first, at: self.start, frame: self }
    }
}

/// See [`DecodedFrame::events`].
#[derive(Debug, Clone)]
pub struct FrameEvents<'a> {
    next: u64,
    body: &'a [u8],
}

impl<'a> Iterator for FrameEvents<'a> {
    type Item = (Sequence, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (event, rest) = split_event(self.body)?;
        let sequence = Sequence(self.next);
        self.body = rest;
        self.next = self.next.saturating_add(1);
        Some((sequence, event))
    }
}

/// See [`DecodedFrame::into_events`].
#[derive(Debug)]
pub struct IntoEvents {
    next: Sequence,
    at: usize,
    frame: DecodedFrame,
}

impl Iterator for IntoEvents {
    type Item = (Sequence, EventBytes);

    fn next(&mut self) -> Option<Self::Item> {
        let (event, end) = self.frame.event_at(self.at)?;
        let sequence = self.next;
        self.at = end;
        self.next = Sequence(sequence.0.saturating_add(1));
        Some((sequence, event))
    }
}

/// The stored bytes of one event, as a part of the buffer of its frame. No copy, no allocation.
#[derive(Debug, Clone)]
pub struct EventBytes {
    body: Arc<Vec<u8>>,
    start: usize,
    end: usize,
}

impl Deref for EventBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.body[self.start..self.end]
    }
}

impl AsRef<[u8]> for EventBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
