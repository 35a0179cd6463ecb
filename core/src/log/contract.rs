//! The contract of [`EventStore`]: every store passes these checks, so that nothing above can tell them apart.
//!
//! `check` takes a way to make empty stores; `check_reopening` a way to open the same log again and again. What only
//! one store can do (damage, crashes, disks) is tested beside that store.

use std::sync::Arc;
use std::thread;

use super::frame::{Frame, MAX_EVENT_BYTES, pack};
use super::merkle::Tree;
use super::store::{Appended, EventStore, Head, StoreFault, Term, read_events, read_frames};
use crate::domain::id::Sequence;

/// A writer that keeps the tree, as the sequencer does.
pub(super) struct Scribe {
    pub(super) term: Term,
    pub(super) tree: Tree,
}

impl Scribe {
    /// A writer of the store, which has read the log.
    pub(super) fn new(store: &dyn EventStore) -> Self {
        let mut tree = Tree::new();
        for (_, event) in events(store, 0) {
            tree.push(&event);
        }
        Self { term: store.acquire().unwrap(), tree }
    }

    pub(super) fn last(&self) -> Sequence {
        Sequence(self.tree.size())
    }

    /// Frames that continue the log; the writer counts on them.
    pub(super) fn pack(&mut self, events: &[Vec<u8>]) -> Vec<Frame> {
        pack(&mut self.tree, events).unwrap()
    }

    /// Appends, and expects to succeed.
    pub(super) fn write(&mut self, store: &dyn EventStore, events: &[Vec<u8>]) -> Head {
        let last = self.last();
        let frames = self.pack(events);
        assert_eq!(store.append(self.term, last, &frames), Appended::Durable);
        let head = Head { last: self.last(), root: self.tree.root() };
        assert_eq!(store.head().unwrap(), head);
        head
    }
}

/// `count` events from `first` on, each with its sequence in it.
pub(super) fn numbered(first: u64, count: u64, length: usize) -> Vec<Vec<u8>> {
    (first..first + count)
        .map(|sequence| {
            let mut event = sequence.to_be_bytes().to_vec();
            event.resize(length.max(8), b'.');
            event
        })
        .collect()
}

/// All that a store shows after a sequence.
pub(super) fn events(store: &dyn EventStore, after: u64) -> Vec<(u64, Vec<u8>)> {
    read_events(store, Sequence(after)).map(|event| event.unwrap()).map(|(s, e)| (s.0, e.to_vec())).collect()
}

fn sequences(store: &dyn EventStore, after: u64) -> Vec<u64> {
    events(store, after).into_iter().map(|(sequence, _)| sequence).collect()
}

/// The checks that need empty stores.
pub(super) fn check<S: EventStore>(make: impl Fn() -> S) {
    an_empty_store(&make());
    appends_come_back(&make());
    reads_begin_in_the_middle_of_a_frame(&make());
    reads_are_bounded(&make());
    another_last_sequence_is_a_conflict(&make());
    an_old_term_is_fenced(&make());
    no_frames_are_durable_at_once(&make());
    frames_that_do_not_continue_the_log_stop_the_store(&make());
    several_frames_appear_together(&Arc::new(make()));
}

/// The checks that open a log again. Each call of `open` finds what was durable when the store before was dropped.
pub(super) fn check_reopening<S: EventStore>(open: impl Fn() -> S) {
    let first = {
        let store = open();
        let mut scribe = Scribe::new(&store);
        scribe.write(&store, &numbered(1, 5, 20));
        scribe.write(&store, &numbered(6, 5, 20));
        scribe.term
    };
    let store = open();
    assert_eq!(sequences(&store, 0), (1..=10).collect::<Vec<_>>());
    let mut scribe = Scribe::new(&store);
    assert!(scribe.term > first, "terms only grow");
    let more = scribe.pack(&numbered(11, 1, 20));
    assert_eq!(store.append(first, Sequence(10), &more), Appended::Fenced { by: scribe.term });
    assert_eq!(store.append(scribe.term, Sequence(10), &more), Appended::Durable);

    // A store that has stopped takes events again when it is opened again.
    assert!(matches!(store.append(scribe.term, Sequence(11), &more), Appended::Unknown { .. }));
    assert!(matches!(store.acquire(), Err(StoreFault::Stopped { .. })));
    drop(store);
    let store = open();
    let head = Scribe::new(&store).write(&store, &numbered(12, 1, 20));
    drop(store);
    let store = open();
    assert_eq!(store.head().unwrap(), head);
    assert_eq!(
        events(&store, 0).into_iter().map(|(_, event)| event).collect::<Vec<_>>(),
        numbered(1, 12, 20)
    );
}

fn an_empty_store(store: &dyn EventStore) {
    assert_eq!(store.head().unwrap(), Head::EMPTY);
    for after in [0, 1, u64::MAX] {
        assert_eq!(store.read(Sequence(after), usize::MAX).unwrap(), vec![]);
    }
    assert_eq!(events(store, 0), vec![]);
    assert_eq!(store.stats().blobs, 0);
}

fn appends_come_back(store: &dyn EventStore) {
    let mut scribe = Scribe::new(store);
    let batches =
        [numbered(1, 1, 8), numbered(2, 3000, 116), vec![vec![1; MAX_EVENT_BYTES]; 4], numbered(3006, 7, 50)];
    for batch in &batches {
        scribe.write(store, batch);
    }
    let all: Vec<_> = (1..).zip(batches.concat()).collect();
    assert_eq!(events(store, 0), all);
    assert_eq!(events(store, 3004), all[3004..]);
    assert_eq!(events(store, 3012), vec![]);
    assert_eq!(events(store, u64::MAX), vec![]);
}

fn reads_begin_in_the_middle_of_a_frame(store: &dyn EventStore) {
    let mut scribe = Scribe::new(store);
    for first in [1, 11, 21] {
        scribe.write(store, &numbered(first, 10, 30));
    }
    for after in 0..30 {
        let first = store.read(Sequence(after), 1).unwrap()[0].clone();
        assert!(first.first() <= Sequence(after + 1) && Sequence(after + 1) <= first.last());
        assert_eq!(sequences(store, after), (after + 1..=30).collect::<Vec<_>>());
    }
}

fn reads_are_bounded(store: &dyn EventStore) {
    let mut scribe = Scribe::new(store);
    for first in 1..=20 {
        scribe.write(store, &numbered(first, 1, 200));
    }
    let one = store.read(Sequence(4), 0).unwrap();
    assert_eq!(one.len(), 1, "at least one");
    let size = one[0].bytes().len();
    assert_eq!(store.read(Sequence(4), 3 * size).unwrap().len(), 3);
    assert_eq!(store.read(Sequence(4), 4 * size - 1).unwrap().len(), 3);
    assert_eq!(store.read(Sequence(19), usize::MAX).unwrap().len(), 1);
}

fn another_last_sequence_is_a_conflict(store: &dyn EventStore) {
    let mut scribe = Scribe::new(store);
    scribe.write(store, &numbered(1, 3, 10));
    let head = store.head().unwrap();
    let frames = scribe.pack(&numbered(4, 1, 10));
    for expected in [0, 2, 4] {
        let outcome = store.append(scribe.term, Sequence(expected), &frames);
        assert_eq!(outcome, Appended::Conflict { last: Sequence(3) });
    }
    assert_eq!((store.head().unwrap(), sequences(store, 0)), (head, vec![1, 2, 3]));
    assert_eq!(
        store.append(scribe.term, Sequence(3), &frames),
        Appended::Durable,
        "a conflict does not stop a store"
    );
}

fn an_old_term_is_fenced(store: &dyn EventStore) {
    let mut old = Scribe::new(store);
    old.write(store, &numbered(1, 1, 10));
    let mut new = Scribe::new(store);
    assert!(new.term > old.term);
    let frames = old.pack(&numbered(2, 1, 10));
    let fenced = Appended::Fenced { by: new.term };
    assert_eq!(store.append(old.term, Sequence(1), &frames), fenced);
    assert_eq!(store.append(old.term, Sequence(9), &frames), fenced, "the term is judged before the place");
    assert_eq!(store.append(old.term, Sequence(1), &[]), fenced);
    assert_eq!(sequences(store, 0), vec![1]);
    new.write(store, &numbered(2, 1, 10));
}

fn no_frames_are_durable_at_once(store: &dyn EventStore) {
    let term = store.acquire().unwrap();
    assert_eq!(store.append(term, Sequence(0), &[]), Appended::Durable);
    assert_eq!(store.append(term, Sequence(1), &[]), Appended::Conflict { last: Sequence(0) });
    assert_eq!(store.head().unwrap(), Head::EMPTY);
}

fn frames_that_do_not_continue_the_log_stop_the_store(store: &dyn EventStore) {
    let mut scribe = Scribe::new(store);
    let head = scribe.write(store, &numbered(1, 2, 10));
    scribe.pack(&numbered(3, 1, 10));
    let gap = scribe.pack(&numbered(4, 1, 10));
    assert!(matches!(store.append(scribe.term, Sequence(2), &gap), Appended::Unknown { .. }));

    let mut good = Scribe { term: scribe.term, tree: Tree::new() };
    good.pack(&numbered(1, 2, 10));
    let frames = good.pack(&numbered(3, 1, 10));
    assert!(
        matches!(store.append(good.term, Sequence(2), &frames), Appended::Unknown { .. }),
        "until opened again"
    );
    assert!(matches!(store.acquire(), Err(StoreFault::Stopped { .. })));
    assert_eq!(
        (store.head().unwrap(), sequences(store, 0)),
        (head, vec![1, 2]),
        "what was durable can be read"
    );
}

/// A reader beside the writer sees whole appends, in order, and nothing twice.
fn several_frames_appear_together<S: EventStore>(store: &Arc<S>) {
    const APPENDS: u64 = 20;
    const EVENTS: u64 = 4;
    let reader = {
        let store = Arc::clone(store);
        thread::spawn(move || {
            let mut last = Sequence::ZERO;
            while last.0 < APPENDS * EVENTS {
                let head = store.head().unwrap().last;
                assert_eq!(head.0 % EVENTS, 0, "a part of an append");
                for frame in read_frames(&*store, last) {
                    let frame = frame.unwrap();
                    assert_eq!(frame.first, last.next());
                    last = frame.last;
                }
                assert!(last >= head);
            }
        })
    };
    let mut scribe = Scribe::new(&**store);
    for append in 0..APPENDS {
        let batch: Vec<_> =
            (0..EVENTS).map(|n| vec![u8::try_from(append * EVENTS + n).unwrap(); 60_000]).collect();
        scribe.write(&**store, &batch);
    }
    reader.join().unwrap();
}
