//! Who holds the place of an event among what is metered, however many took it one after another.
//!
//! The events that held one place are a line. Each knows the first of its line, and the first knows the last; so the
//! holder is found in a few steps, whichever of them is named. A line of events that were never metered may end in
//! another line: that of what came in their place, or of what they would have replaced.
//!
//! Invariants: an event that knows a first one leads nowhere itself, and nothing is led on twice but the first of a
//! line.
//! An index may hold links of before there were lines, from each event to the next: those are walked.

use rustc_hash::FxHashMap;

use super::Sequence;
use super::seen::{KnownUsage, SeenIndex};

/// Lines of events that held one place.
pub(super) trait Places {
    /// Where the first of a line leads to: the last of it, another line, or zero if nobody holds the place.
    fn end(&self, first: Sequence) -> Option<Sequence>;
    /// The first of the line that an event continues.
    fn first(&self, sequence: Sequence) -> Option<Sequence>;
    fn set_end(&mut self, first: Sequence, end: Sequence);
    fn set_first(&mut self, sequence: Sequence, first: Sequence);

    /// The event that holds the place of another now: that one itself, the last of those that replaced it, or none if
    /// it was dismissed.
    fn holder(&self, sequence: Sequence) -> Option<Sequence> {
        let mut holder = sequence;
        while holder != Sequence::ZERO {
            let first = self.first(holder).unwrap_or(holder);
            match self.end(first) {
                Some(end) if end != holder => holder = end,
                _ => return Some(holder),
            }
        }
        None
    }

    /// An event that replaces the first of these replaces the second; nothing, if that is zero.
    fn pass_on(&mut self, from: Sequence, to: Sequence) {
        let first = self.first(from).unwrap_or(from);
        // What continues a line or has one of its own keeps it.
        if to != Sequence::ZERO && self.first(to).is_none() && self.end(to).is_none() {
            self.set_first(to, first);
        }
        self.set_end(first, to);
    }
}

/// What is recorded.
impl Places for dyn SeenIndex + '_ {
    fn end(&self, first: Sequence) -> Option<Sequence> {
        self.get(self.place(first)).map(|seen| seen.sequence)
    }

    fn first(&self, sequence: Sequence) -> Option<Sequence> {
        self.get(self.line(sequence)).map(|seen| seen.sequence)
    }

    fn set_end(&mut self, first: Sequence, end: Sequence) {
        let place = self.place(first);
        self.insert(place, KnownUsage { sequence: end, content: 0 });
    }

    fn set_first(&mut self, sequence: Sequence, first: Sequence) {
        let line = self.line(sequence);
        self.insert(line, KnownUsage { sequence: first, content: 0 });
    }
}

/// What a command adds to it, before any of that is recorded.
pub(super) struct Added<'a> {
    recorded: &'a dyn SeenIndex,
    ends: FxHashMap<Sequence, Sequence>,
    firsts: FxHashMap<Sequence, Sequence>,
}

impl<'a> Added<'a> {
    pub(super) fn to(recorded: &'a dyn SeenIndex) -> Self {
        Self { recorded, ends: FxHashMap::default(), firsts: FxHashMap::default() }
    }
}

impl Places for Added<'_> {
    fn end(&self, first: Sequence) -> Option<Sequence> {
        self.ends.get(&first).copied().or_else(|| self.recorded.end(first))
    }

    fn first(&self, sequence: Sequence) -> Option<Sequence> {
        self.firsts.get(&sequence).copied().or_else(|| self.recorded.first(sequence))
    }

    fn set_end(&mut self, first: Sequence, end: Sequence) {
        self.ends.insert(first, end);
    }

    fn set_first(&mut self, sequence: Sequence, first: Sequence) {
        self.firsts.insert(sequence, first);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::MemoryIndex;
    use super::*;

    /// Counts the steps of a search.
    struct Counted<P>(P, Cell<usize>);

    impl<P: Places> Places for Counted<P> {
        fn end(&self, first: Sequence) -> Option<Sequence> {
            self.1.set(self.1.get() + 1);
            self.0.end(first)
        }

        fn first(&self, sequence: Sequence) -> Option<Sequence> {
            self.0.first(sequence)
        }

        fn set_end(&mut self, first: Sequence, end: Sequence) {
            self.0.set_end(first, end);
        }

        fn set_first(&mut self, sequence: Sequence, first: Sequence) {
            self.0.set_first(sequence, first);
        }
    }

    /// A command that adds to what is recorded looks no longer than at what is recorded.
    #[test]
    fn whichever_of_a_line_is_named_the_last_is_near() {
        let recorded: Box<dyn SeenIndex> = Box::new(MemoryIndex::default());
        let mut added = Counted(Added::to(&*recorded), Cell::new(0));
        for to in 2..=1000 {
            added.pass_on(Sequence(to - 1), Sequence(to));
        }
        for named in 1..=1000 {
            added.1.set(0);
            assert_eq!(added.holder(Sequence(named)), Some(Sequence(1000)));
            assert!(added.1.get() <= 2, "{named}: {} steps", added.1.get());
        }
        assert_eq!(added.holder(Sequence(1001)), Some(Sequence(1001)));
        added.pass_on(Sequence(1000), Sequence::ZERO);
        assert_eq!(added.holder(Sequence(1)), None);
        assert_eq!(recorded.holder(Sequence(1)), Some(Sequence(1)));
    }

    /// Two that waited for the same place, of which one was replaced by another that waited, and all gave up or were
    /// resolved in the end.
    #[test]
    fn a_line_may_end_in_another() {
        let mut recorded: Box<dyn SeenIndex> = Box::new(MemoryIndex::default());
        let mut pass_on = |from, to| recorded.pass_on(Sequence(from), Sequence(to));
        pass_on(2, 4);
        pass_on(3, 1);
        pass_on(1, 5);
        pass_on(4, 5);
        pass_on(5, 6);
        for named in 1..=6 {
            assert_eq!(recorded.holder(Sequence(named)), Some(Sequence(6)), "{named}");
        }
    }

    #[test]
    fn links_from_each_to_the_next_are_walked() {
        let mut recorded: Box<dyn SeenIndex> = Box::new(MemoryIndex::default());
        for to in 2..=5 {
            recorded.set_end(Sequence(to - 1), Sequence(to));
        }
        recorded.pass_on(Sequence(5), Sequence(6));
        recorded.pass_on(Sequence(6), Sequence(7));
        for named in 1..=7 {
            assert_eq!(recorded.holder(Sequence(named)), Some(Sequence(7)), "{named}");
        }
    }
}
