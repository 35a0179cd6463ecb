//! The groups of events that readers are likely to need, within bounds.

use std::collections::VecDeque;
use std::sync::Arc;

use slapledger_core::domain::id::Sequence;

use super::groups::EventGroup;

/// How many runs are known of what was recorded last. Most readers pass over most of them.
const MOST_RUNS: usize = 65_536;
/// Of how many of the last events their content is in memory too.
const MOST_EVENTS: usize = 16_384;
/// How many groups that were read from the log are shared.
const MOST_LOADED: usize = 4;

/// What was recorded last, and what was read from the log last.
#[derive(Default)]
pub(super) struct RecentGroups {
    /// Without a gap, up to the newest.
    newest: VecDeque<Arc<EventGroup>>,
    /// The last sequence before the first group.
    before: Sequence,
    runs: usize,
    /// How many of `newest`, from its end, have their events, and how many events those are.
    with_events: (usize, usize),
    loaded: VecDeque<Arc<EventGroup>>,
}

impl RecentGroups {
    /// Knows nothing, and goes on after a sequence.
    pub(super) fn restart(&mut self, before: Sequence) {
        *self = Self { before, ..Self::default() };
    }

    /// Adds the group that follows.
    pub(super) fn push(&mut self, group: EventGroup) {
        let end = self.newest.back().map_or(self.before, |last| last.last);
        if group.first != end.next() {
            self.restart(Sequence(group.first.0.saturating_sub(1)));
        }
        self.runs += group.runs.len();
        self.with_events = (self.with_events.0 + 1, self.with_events.1 + group.len());
        self.newest.push_back(Arc::new(group));
        while self.with_events.1 > MOST_EVENTS && self.with_events.0 > 1 {
            let oldest = &self.newest[self.newest.len() - self.with_events.0];
            oldest.forget();
            self.with_events = (self.with_events.0 - 1, self.with_events.1 - oldest.len());
        }
        while self.runs > MOST_RUNS && self.newest.len() > self.with_events.0 {
            let Some(oldest) = self.newest.pop_front() else { break };
            self.runs -= oldest.runs.len();
            self.before = oldest.last;
        }
    }

    /// The group with the event after a sequence, if it is known.
    pub(super) fn group_after(&self, after: Sequence) -> Option<Arc<EventGroup>> {
        let next = after.next();
        let has = |group: &&Arc<EventGroup>| group.first <= next && next <= group.last;
        let at = self.newest.partition_point(|group| group.last < next);
        self.newest.get(at).filter(has).or_else(|| self.loaded.iter().find(has)).map(Arc::clone)
    }

    /// Shares a group whose events were read from the log.
    pub(super) fn loaded(&mut self, group: Arc<EventGroup>) {
        self.loaded.push_back(group);
        if self.loaded.len() > MOST_LOADED
            && let Some(oldest) = self.loaded.pop_front()
            && !self.loaded.iter().any(|group| Arc::ptr_eq(group, &oldest))
            && !self.is_among_last(&oldest)
        {
            oldest.forget();
        }
    }

    fn is_among_last(&self, group: &EventGroup) -> bool {
        let from = self.newest.len() - self.with_events.0;
        self.newest.get(from).is_some_and(|first| group.first >= first.first)
    }
}
