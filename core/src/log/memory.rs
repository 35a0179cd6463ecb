//! A store in memory: for tests, simulations and dry runs.
//!
//! It keeps the contract of the trait, and it can be told how the next append ends ([`AppendOutcome`]) and that a read fails,
//! so that the code above it is tested against outcomes that a good disk never shows. "Durable" means: survives [`MemoryStore::reopen`].
//!
//! It is not bounded, and it is gone with the process.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::frame::Frame;
use super::store::{Appended, EventStore, Head, StoreFault, StoreStats, Term, check_chain};
use crate::domain::id::Sequence;

/// How an append is made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOutcome {
    /// Nothing is written, the answer is a conflict.
    Conflict,
    /// Another writer takes over just before.
    Fenced,
    /// The outcome is unknown to the writer.
    Unknown {
        /// Whether the frames are there when the store is opened again.
        landed: bool,
    },
}

/// See the module.
#[derive(Debug, Default)]
pub struct MemoryStore {
    disk: Arc<Mutex<Disk>>,
    state: Mutex<MemoryState>,
}

/// What survives.
#[derive(Debug)]
struct Disk {
    frames: Vec<Frame>,
    head: Head,
    term: Term,
}

impl Default for Disk {
    fn default() -> Self {
        Self { frames: Vec::new(), head: Head::EMPTY, term: Term::default() }
    }
}

/// What does not.
#[derive(Debug, Default)]
struct MemoryState {
    outcomes: VecDeque<AppendOutcome>,
    /// How many reads are good before the next one fails.
    failing_read: Option<u64>,
    stopped: Option<StoppedStore>,
}

/// After an unknown outcome the store shows what it knew to be durable before.
#[derive(Debug)]
struct StoppedStore {
    cause: String,
    head: Head,
}

impl MemoryStore {
    /// A store without events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next append that would succeed end like this. Several are used up one after the other.
    pub fn inject(&self, outcome: AppendOutcome) {
        self.state.lock().outcomes.push_back(outcome);
    }

    /// Makes a read fail, once, after so many that are good.
    pub fn fail_read(&self, after: u64) {
        self.state.lock().failing_read = Some(after);
    }

    /// Makes no read fail after all; whether one was still to fail.
    pub fn fail_no_read(&self) -> bool {
        self.state.lock().failing_read.take().is_some()
    }

    /// The same log as a new process would find it.
    #[must_use]
    pub fn reopen(&self) -> Self {
        Self { disk: Arc::clone(&self.disk), state: Mutex::default() }
    }

    fn durable(&self, disk: &Disk) -> Head {
        self.state.lock().stopped.as_ref().map_or(disk.head, |stopped| stopped.head)
    }

    /// The fault of this read, if it was made to fail.
    fn read_fault(&self) -> Option<StoreFault> {
        let mut state = self.state.lock();
        let left = state.failing_read?;
        state.failing_read = left.checked_sub(1);
        let source = io::Error::other("a fault that a test asked for");
        (left == 0).then(|| StoreFault::Io { action: "read", path: "memory".into(), source })
    }

    fn stop(&self, cause: String, head: Head) -> Appended {
        self.state.lock().stopped = Some(StoppedStore { cause: cause.clone(), head });
        Appended::Unknown { cause }
    }
}

impl Disk {
    fn land(&mut self, frames: &[Frame], head: Head) {
        self.frames.extend_from_slice(frames);
        self.head = head;
    }
}

impl EventStore for MemoryStore {
    fn acquire(&self) -> Result<Term, StoreFault> {
        if let Some(stopped) = &self.state.lock().stopped {
            return Err(StoreFault::Stopped { cause: stopped.cause.clone() });
        }
        let mut disk = self.disk.lock();
        disk.term = Term(disk.term.0 + 1);
        Ok(disk.term)
    }

    fn head(&self) -> Result<Head, StoreFault> {
        Ok(self.durable(&self.disk.lock()))
    }

    fn append(&self, term: Term, expected_last: Sequence, frames: &[Frame]) -> Appended {
        let mut disk = self.disk.lock();
        if let Some(stopped) = &self.state.lock().stopped {
            return Appended::Unknown { cause: stopped.cause.clone() };
        }
        let before = disk.head;
        if term != disk.term {
            return Appended::Fenced { by: disk.term };
        }
        if expected_last != before.last {
            return Appended::Conflict { last: before.last };
        }
        let after = match check_chain(before, frames) {
            Ok(head) => head,
            Err(cause) => return self.stop(cause, before),
        };
        let injected = self.state.lock().outcomes.pop_front();
        match injected {
            None => {
                disk.land(frames, after);
                Appended::Durable
            }
            Some(AppendOutcome::Conflict) => Appended::Conflict { last: before.last },
            Some(AppendOutcome::Fenced) => {
                disk.term = Term(disk.term.0 + 1);
                Appended::Fenced { by: disk.term }
            }
            Some(AppendOutcome::Unknown { landed }) => {
                if landed {
                    disk.land(frames, after);
                }
                self.stop("an outcome that a test asked for".into(), before)
            }
        }
    }

    fn read(&self, after: Sequence, max_bytes: usize) -> Result<Vec<Frame>, StoreFault> {
        if let Some(fault) = self.read_fault() {
            return Err(fault);
        }
        let disk = self.disk.lock();
        let last = self.durable(&disk).last;
        let start = disk.frames.partition_point(|frame| frame.last() <= after);
        let mut bytes = 0;
        let frames = disk.frames[start..].iter().take_while(|frame| {
            let fits = bytes == 0 || bytes + frame.bytes().len() <= max_bytes;
            bytes += frame.bytes().len();
            fits && frame.last() <= last
        });
        Ok(frames.cloned().collect())
    }

    fn stats(&self) -> StoreStats {
        StoreStats { epochs: 1, ..StoreStats::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::contract::{self, Scribe, events, numbered};

    #[test]
    fn keeps_the_contract() {
        contract::check(MemoryStore::new);
        let disk = MemoryStore::new();
        contract::check_reopening(|| disk.reopen());
    }

    #[test]
    fn outcomes_come_as_asked_for() {
        let store = MemoryStore::new();
        let mut scribe = Scribe::new(&store);
        scribe.write(&store, &numbered(1, 2, 10));
        let frames = scribe.pack(&numbered(3, 1, 10));
        store.inject(AppendOutcome::Conflict);
        store.inject(AppendOutcome::Fenced);
        let append = |term| store.append(term, Sequence(2), &frames);
        assert_eq!(append(scribe.term), Appended::Conflict { last: Sequence(2) });
        assert_eq!(append(scribe.term), Appended::Fenced { by: Term(2) });
        assert_eq!(append(Term(2)), Appended::Durable);
    }

    #[test]
    fn a_read_fails_once_when_asked_for() {
        let store = MemoryStore::new();
        Scribe::new(&store).write(&store, &numbered(1, 2, 10));
        let read = || store.read(Sequence::ZERO, usize::MAX).map(|frames| frames.len());
        store.fail_read(1);
        assert_eq!(read().unwrap(), 1);
        assert!(matches!(read(), Err(StoreFault::Io { action: "read", .. })));
        assert_eq!((read().unwrap(), store.fail_no_read()), (1, false));
        store.fail_read(0);
        assert!(store.fail_no_read());
        assert_eq!(read().unwrap(), 1);
    }

    #[test]
    fn an_unknown_outcome_shows_when_the_store_is_opened_again() {
        for landed in [false, true] {
            let store = MemoryStore::new();
            let mut scribe = Scribe::new(&store);
            scribe.write(&store, &numbered(1, 2, 10));
            let frames = scribe.pack(&numbered(3, 1, 10));
            store.inject(AppendOutcome::Unknown { landed });
            assert!(matches!(store.append(scribe.term, Sequence(2), &frames), Appended::Unknown { .. }));
            assert!(matches!(store.append(scribe.term, Sequence(2), &frames), Appended::Unknown { .. }));
            assert_eq!((store.head().unwrap().last, events(&store, 0).len()), (Sequence(2), 2));
            let again = store.reopen();
            assert_eq!(events(&again, 0).len(), if landed { 3 } else { 2 });
        }
    }
}
