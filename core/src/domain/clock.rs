//! The clock as an operator confirmed it.
//!
//! Decisions know no clock; the ledger does, and records nothing while it is in doubt. That an operator confirmed it is
//! part of the history: it says from which event on which time was taken for right, and who said so.

use bincode::{Decode, Encode};
use serde::Serialize;

use super::Outcome;
use super::event::{Event, Stream};
use super::time::Timestamp;

/// An operator confirmed the time that the clock showed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ClockConfirmed {
    /// What it should have shown by elapsed time, or the time of the last event when the program started.
    pub previous: Timestamp,
    /// What the operator said it is, within a minute of what it showed.
    pub confirmed: Timestamp,
    /// When this was recorded: never earlier than the event before, also when the clock was set back.
    pub at: Timestamp,
}

/// Confirm the time that the clock shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmClock {
    /// What it should show by what is known.
    pub previous: Timestamp,
    /// What the operator says it is. Anyone who has the clock compares the two.
    pub confirmed: Timestamp,
}

impl ConfirmClock {
    pub(crate) fn decide(&self, now: Timestamp) -> Outcome<()> {
        let Self { previous, confirmed } = *self;
        Outcome::of(
            (),
            [(Stream::Ledger, Event::ClockConfirmed(ClockConfirmed { previous, confirmed, at: now }))],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{ClockConfirmed, ConfirmClock};
    use crate::domain::Answer;
    use crate::domain::State;
    use crate::domain::event::{Event, Stream};
    use crate::domain::given::Given;
    use crate::domain::usage::MemoryIndex;

    #[test]
    fn a_confirmation_is_recorded_and_remembered_by_a_snapshot() {
        let given = Given::cloud();
        let (now, confirmed) = (given.now, given.now.plus_micros(-1_000_000));
        let confirm = ConfirmClock { previous: given.now.plus_micros(7), confirmed };
        let event = ClockConfirmed { previous: confirm.previous, confirmed, at: now };
        let given = given
            .when(confirm)
            .then([(Stream::Ledger, Event::ClockConfirmed(event.clone()))])
            .answered(&Answer::Done)
            .and();
        let restored = State::restore(&given.state.snapshot(), Box::new(MemoryIndex::new([7; 16])));
        assert_eq!(restored.expect("it is a snapshot").clock_confirmed(), Some(&event));
    }
}
