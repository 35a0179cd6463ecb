//! Witnesses: files beside the log that know how long it was when they were written.
//!
//! Each was written after the events it knows were durable. A log that ends before one of them, or has another root
//! where one of them stands, has lost events or is another log, and must not be opened: whatever is appended to it
//! would get the sequences of what is missing. A witness that is damaged is none: it is a cache, and is made anew.

use super::merkle::Root;
use super::store::{EventStore, Head, root_at};
use crate::domain::id::Sequence;

/// What a file beside the log says of it.
pub struct Witness {
    /// The file, as its reader is told.
    pub name: String,
    /// The last event it knows.
    pub last: Sequence,
    /// The root of the log with that event, if the file says so.
    pub root: Option<Root>,
    /// Whether the file is what was written. Asked only of one that contradicts the log: it may take long.
    pub is_whole: Box<dyn Fn() -> bool>,
}

/// A log that is not the one its witnesses know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessFault {
    /// Events are missing at its end.
    #[error(
        "open the log: it ends at sequence {ends}, but {name} knows {last}: {} events are missing; restore the log from a \
         backup, or remove the folders state and index beside it if the log was set back on purpose",
        last.0 - ends.0
    )]
    Ahead {
        /// The witness that knows most.
        name: String,
        /// The last event it knows.
        last: Sequence,
        /// The last event of the log.
        ends: Sequence,
    },
    /// Its events are others.
    #[error(
        "open the log: at sequence {last} its root is {found}, but {name} knows {known}: it is another log; restore log, \
         state and index from the same backup, or remove the folders state and index beside it if the log was replaced on \
         purpose"
    )]
    OtherLog {
        /// The witness.
        name: String,
        /// The last event it knows.
        last: Sequence,
        /// The root there as it knows it.
        known: Root,
        /// The root there as the log has it.
        found: Root,
    },
}

/// Compares a log with its witnesses. Of several that are ahead of it, the one furthest ahead is told.
pub fn check(store: &dyn EventStore, head: Head, witnesses: &[Witness]) -> Result<(), WitnessFault> {
    // Of equals the last is found: it is to be the first.
    let ahead = witnesses.iter().rev().filter(|witness| witness.last > head.last && (witness.is_whole)());
    if let Some(Witness { name, last, .. }) = ahead.max_by_key(|witness| witness.last) {
        return Err(WitnessFault::Ahead { name: name.clone(), last: *last, ends: head.last });
    }
    for witness in witnesses.iter().filter(|witness| witness.last <= head.last) {
        let Some(known) = witness.root else { continue };
        // A log that cannot be read there says so itself to anyone who reads it.
        let Ok(Some(found)) = root_at(store, witness.last) else { continue };
        if known != found && (witness.is_whole)() {
            let (name, last) = (witness.name.clone(), witness.last);
            return Err(WitnessFault::OtherLog { name, last, known, found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::frame::pack;
    use crate::log::memory::MemoryStore;
    use crate::log::merkle::Tree;

    fn witness(name: &str, last: u64, root: Option<Root>, is_whole: bool) -> Witness {
        Witness { name: name.into(), last: Sequence(last), root, is_whole: Box::new(move || is_whole) }
    }

    #[test]
    fn a_log_that_its_witnesses_contradict_is_refused() {
        let store = MemoryStore::new();
        let term = store.acquire().unwrap();
        let mut tree = Tree::new();
        let mut roots = vec![Root::EMPTY];
        for n in 0..5_u8 {
            let frames = pack(&mut tree, &[vec![n]]).unwrap();
            assert_eq!(
                store.append(term, Sequence(n.into()), &frames),
                super::super::store::Appended::Durable
            );
            roots.push(tree.root());
        }
        let head = store.head().unwrap();
        let check = |witnesses: &[Witness]| check(&store, head, witnesses);
        let right = |last: u64| Some(roots[usize::try_from(last).unwrap()]);
        let other = Some(Root([9; 32]));

        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[witness("a", 5, right(5), true), witness("b", 3, right(3), true)]), Ok(()));
        assert_eq!(check(&[witness("a", 4, None, true), witness("b", 0, right(0), true)]), Ok(()));
        // One that is damaged is none.
        assert_eq!(check(&[witness("a", 9, other, false), witness("b", 3, other, false)]), Ok(()));

        let ahead = check(&[
            witness("a", 7, None, true),
            witness("b", 9, other, true),
            witness("c", 99, None, false),
        ]);
        let told = ahead.clone().unwrap_err().to_string();
        let (name, last, ends) = ("b".into(), Sequence(9), Sequence(5));
        assert_eq!(ahead, Err(WitnessFault::Ahead { name, last, ends }));
        assert!(
            told.starts_with("open the log: it ends at sequence 5, but b knows 9: 4 events are missing"),
            "{told}"
        );
        for last in [3, 5] {
            let found = check(&[witness("a", last, other, true)]);
            assert!(matches!(found, Err(WitnessFault::OtherLog { .. })), "{last}: {found:?}");
        }
    }
}
