//! The idempotency keys that senders gave to commands, as long as they are remembered.
//!
//! Invariant: what is kept is a function of the log alone. A key is forgotten by the time of an event, never by a clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bincode::{Decode, Encode};

use crate::domain::id::{CommandId, ProjectId, Sequence};
use crate::domain::time::Timestamp;

/// How long a key is remembered after its command was recorded: 30 days. docs/slap.md says so.
pub(super) const REMEMBERED_MICROS: i64 = 30 * 24 * 3600 * 1_000_000;

/// An actor as a key: kind and id, without the credential, which may change between two attempts.
pub(super) type KeyOwner = (u8, Box<str>);

/// What a sender named a command, in its project.
pub(super) type CommandName = (ProjectId, KeyOwner, CommandId);

/// What is known of a command that its sender named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) struct NamedCommand {
    /// Of what was sent.
    pub(super) digest: [u8; 16],
    /// The event that holds its answer, or the first of several.
    pub(super) answer: Sequence,
    /// When that was recorded.
    pub(super) at: Timestamp,
}

impl NamedCommand {
    fn is_forgotten(&self, now: Timestamp) -> bool {
        self.at.plus_micros(REMEMBERED_MICROS) < now
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct IdempotencyKeys {
    known: BTreeMap<Arc<CommandName>, NamedCommand>,
    /// Each name with its answer, oldest first. One that was used again since is here twice.
    by_age: VecDeque<(Sequence, Arc<CommandName>)>,
}

impl IdempotencyKeys {
    /// What is known under a name at this time.
    pub(super) fn get(&self, name: &CommandName, now: Timestamp) -> Option<&NamedCommand> {
        self.known.get(name).filter(|known| !known.is_forgotten(now))
    }

    /// Remembers a command, later than all others.
    pub(super) fn insert(&mut self, name: CommandName, command: NamedCommand) {
        let name = Arc::new(name);
        self.by_age.push_back((command.answer, Arc::clone(&name)));
        self.known.insert(name, command);
    }

    /// Forgets what is too old when an event is recorded at this time.
    pub(super) fn forget(&mut self, now: Timestamp) {
        while let Some((answer, name)) = self.by_age.front() {
            match self.known.get(name) {
                Some(known) if known.answer == *answer && !known.is_forgotten(now) => return,
                Some(known) if known.answer == *answer => drop(self.known.remove(name)),
                _ => {}
            }
            self.by_age.pop_front();
        }
    }

    /// All of them, oldest first, for a snapshot.
    pub(super) fn list(&self) -> Vec<(CommandName, NamedCommand)> {
        let current = self.by_age.iter().filter_map(|(answer, name)| {
            let known = self.known.get(name).filter(|known| known.answer == *answer)?;
            Some(((**name).clone(), *known))
        });
        current.collect()
    }

    /// The same, from a snapshot.
    pub(super) fn of_list(list: Vec<(CommandName, NamedCommand)>) -> Self {
        let mut keys = Self::default();
        for (name, command) in list {
            keys.insert(name, command);
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(id: u8) -> CommandName {
        (ProjectId::DEFAULT, (1, "PARTY-1".into()), CommandId([id; 16]))
    }

    fn at(days: i64) -> Timestamp {
        let begin = Timestamp::parse_rfc3339("2026-10-01T12:00:00Z").expect("an instant");
        begin.plus_micros(days * 24 * 3600 * 1_000_000)
    }

    fn command(answer: u64, days: i64) -> NamedCommand {
        NamedCommand { digest: [0; 16], answer: Sequence(answer), at: at(days) }
    }

    #[test]
    fn keys_are_forgotten_after_thirty_days_and_not_before() {
        let mut keys = IdempotencyKeys::default();
        keys.insert(name(1), command(1, 0));
        keys.insert(name(2), command(2, 10));
        assert!(keys.get(&name(1), at(30)).is_some());
        // Whether or not something was recorded meanwhile.
        assert!(keys.get(&name(1), at(30).plus_micros(1)).is_none());
        keys.forget(at(30));
        assert_eq!(keys.list().len(), 2);
        keys.forget(at(31));
        assert_eq!(keys.list(), [(name(2), command(2, 10))]);
    }

    #[test]
    fn a_key_that_is_used_again_is_as_old_as_its_last_use() {
        let mut keys = IdempotencyKeys::default();
        keys.insert(name(1), command(1, 0));
        keys.insert(name(2), command(2, 1));
        keys.insert(name(1), command(3, 31));
        let restored = IdempotencyKeys::of_list(keys.list());
        for mut keys in [keys, restored] {
            assert_eq!(keys.list(), [(name(2), command(2, 1)), (name(1), command(3, 31))]);
            keys.forget(at(40));
            assert_eq!(keys.get(&name(1), at(40)), Some(&command(3, 31)));
            assert!(keys.by_age.len() == 1 && keys.known.len() == 1, "what was forgotten takes no room");
            keys.forget(at(62));
            assert!(keys.by_age.is_empty() && keys.known.is_empty());
        }
    }
}
