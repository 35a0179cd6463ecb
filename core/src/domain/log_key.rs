//! The key that signs checkpoints of the log.
//!
//! Its secret is in a file beside the log; the log says which key it is and since which event. A new key takes the place
//! of the one before for all later checkpoints; signatures of earlier keys stay what they are, and are believed for the
//! time of their key alone.

use bincode::{Decode, Encode};
use serde::Serialize;

use super::Outcome;
use super::event::{Event, Stream};
use super::sealed::hex;
use super::time::Timestamp;

/// From here on, checkpoints are signed with this key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct LogKeySet {
    /// The public key, Ed25519.
    #[serde(serialize_with = "hex")]
    pub public: [u8; 32],
    /// When.
    pub at: Timestamp,
}

/// Sign checkpoints with a key from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetLogKey {
    /// The public key, Ed25519.
    pub public: [u8; 32],
}

impl SetLogKey {
    pub(crate) fn decide(&self, known: Option<&LogKeySet>, now: Timestamp) -> Outcome<()> {
        let Self { public } = *self;
        if known.is_some_and(|known| known.public == public) {
            return Outcome::unchanged(());
        }
        Outcome::of((), [(Stream::Ledger, Event::LogKeySet(LogKeySet { public, at: now }))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::given::Given;
    use crate::domain::usage::MemoryIndex;
    use crate::domain::{Answer, State};

    #[test]
    fn a_key_signs_until_another_one_does() {
        let given = Given::cloud();
        let set = |filler: u8| SetLogKey { public: [filler; 32] };
        let event = |filler: u8, at| {
            let SetLogKey { public } = set(filler);
            (Stream::Ledger, Event::LogKeySet(LogKeySet { public, at }))
        };
        let now = given.now;
        let given = given.when(set(1)).then([event(1, now)]).answered(&Answer::Done).and();
        let given = given.when(set(1)).then([]).answered(&Answer::Unchanged).and();
        let given = given.when(set(2)).then([event(2, now)]).and();
        let restored = State::restore(&given.state.snapshot(), Box::new(MemoryIndex::new([7; 16])));
        let restored = restored.expect("it is a snapshot");
        assert_eq!(restored.log_key().map(|known| known.public), Some([2; 32]));
    }
}
