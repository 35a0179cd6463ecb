//! The feed: durable events in order, for the views that fold them.
//!
//! The newest groups are kept decoded in memory, within a bound; a reader that is further behind reads the log. A
//! slow reader therefore costs the writer nothing, and misses nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use crate::domain::id::Sequence;
use crate::domain::time::Timestamp;
use crate::log::envelope::{EventDecoder, Recorded};
use crate::log::store::{EventStore, Head};

/// How many decoded events are kept for readers that are close behind.
const RECENT_EVENTS: usize = 65_536;
/// And how many bytes they may have as they are stored; decoded, invoices take three times as much.
const RECENT_BYTES: usize = 16 * 1024 * 1024;
/// How much of the log a reader that is further behind takes at a time.
const READ_BYTES: usize = 2 * 1024 * 1024;

/// The writer's side.
pub struct Publisher {
    recent: Mutex<RecentEvents>,
    arrived: Condvar,
    head: watch::Sender<Head>,
    store: Arc<dyn EventStore>,
}

struct RecentEvents {
    groups: VecDeque<(Arc<Vec<Recorded>>, usize)>,
    events: usize,
    bytes: usize,
    head: Head,
    closed: bool,
}

impl Publisher {
    /// Nothing published yet but what the log holds up to `head`.
    pub fn new(store: Arc<dyn EventStore>, head: Head) -> Self {
        let recent =
            Mutex::new(RecentEvents { groups: VecDeque::new(), events: 0, bytes: 0, head, closed: false });
        Self { recent, arrived: Condvar::new(), head: watch::Sender::new(head), store }
    }

    /// Shows a durable group to all readers: its events, and how many bytes they have as they are stored.
    pub fn publish(&self, group: Vec<Recorded>, bytes: usize, head: Head) {
        // Dropping them takes time: readers need not wait for that.
        let mut old = Vec::new();
        {
            let mut recent = self.recent.lock();
            recent.events += group.len();
            recent.bytes += bytes;
            recent.groups.push_back((Arc::new(group), bytes));
            recent.head = head;
            while (recent.events > RECENT_EVENTS || recent.bytes > RECENT_BYTES) && recent.groups.len() > 1 {
                if let Some((oldest, bytes)) = recent.groups.pop_front() {
                    recent.events -= oldest.len();
                    recent.bytes -= bytes;
                    old.push(oldest);
                }
            }
        }
        self.arrived.notify_all();
        self.head.send_replace(head);
        drop(old);
    }

    /// The end of what is published.
    pub fn head(&self) -> Head {
        *self.head.borrow()
    }

    /// Lets readers go once they have read all there is.
    pub fn close(&self) {
        self.recent.lock().closed = true;
        self.arrived.notify_all();
    }
}

/// A reader's side. Cheap to clone.
#[derive(Clone)]
pub struct Feed {
    publisher: Arc<Publisher>,
}

impl Feed {
    /// A reader of what this publisher shows.
    pub fn new(publisher: &Arc<Publisher>) -> Self {
        Self { publisher: Arc::clone(publisher) }
    }

    /// The end of what is published.
    pub fn head(&self) -> Head {
        self.publisher.head()
    }

    /// The end of what is published, as it moves.
    pub fn watch(&self) -> watch::Receiver<Head> {
        self.publisher.head.subscribe()
    }

    /// Waits for events after `after` and gives some of them, in order, beginning with the next one. `None` when
    /// the ledger is closed and there are no more.
    pub fn next(&self, after: Sequence) -> Result<Option<Arc<Vec<Recorded>>>, String> {
        {
            let mut recent = self.publisher.recent.lock();
            while recent.head.last <= after {
                if recent.closed {
                    return Ok(None);
                }
                self.publisher.arrived.wait(&mut recent);
            }
            // Groups follow each other without gaps: the one with the next event, if it is still here.
            let at = recent
                .groups
                .partition_point(|(group, _)| group.last().is_some_and(|last| last.sequence <= after));
            if let Some((group, _)) = recent.groups.get(at)
                && group.first().is_some_and(|first| first.sequence <= after.next())
            {
                let skip = group.partition_point(|event| event.sequence <= after);
                return Ok(Some(if skip == 0 {
                    Arc::clone(group)
                } else {
                    Arc::new(group[skip..].to_vec())
                }));
            }
        }
        self.read_log(after).map(Some)
    }

    /// The same without waiting: `None` when there is nothing after `after` yet.
    pub fn poll(&self, after: Sequence) -> Result<Option<Arc<Vec<Recorded>>>, String> {
        if self.head().last <= after { Ok(None) } else { self.next(after) }
    }

    /// When the last event was recorded, if it is still in memory: never waits for the disk.
    pub fn last_recorded_at(&self) -> Option<Timestamp> {
        let recent = self.publisher.recent.lock();
        let (group, _) = recent.groups.back()?;
        group.last().map(|event| event.recorded_at)
    }

    fn read_log(&self, after: Sequence) -> Result<Arc<Vec<Recorded>>, String> {
        let mut decoder = EventDecoder::default();
        let mut events = Vec::new();
        for frame in self.publisher.store.read(after, READ_BYTES).map_err(|fault| fault.to_string())? {
            let frame = frame.decode().map_err(|error| error.to_string())?;
            for (sequence, bytes) in frame.events_after(after) {
                events.push(decoder.decode(sequence, bytes).map_err(|error| error.to_string())?);
            }
        }
        Ok(Arc::new(events))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{Event, Stream, WriterStarted};
    use crate::domain::id::{CommandId, ProjectId};
    use crate::log::envelope::{Actor, Meta, RULES_VERSION};
    use crate::log::memory::MemoryStore;
    use crate::log::merkle::Root;

    /// Events of usage are small; those of invoices are not, and as many of them took 500 MB.
    #[test]
    fn what_is_kept_for_readers_has_a_bound_in_bytes() {
        let head = |last| Head { last: Sequence(last), root: Root::EMPTY };
        let publisher = Publisher::new(Arc::new(MemoryStore::new()), head(0));
        let meta = Meta {
            project: ProjectId::DEFAULT,
            actor: Actor::system(),
            command: CommandId([0; 16]),
            named_by_sender: false,
            digest: [0; 16],
            causation: None,
            correlation: None,
            rules: RULES_VERSION,
        };
        let meta = Arc::new(meta);
        let event = |sequence| Recorded {
            sequence: Sequence(sequence),
            stream: Arc::new(Stream::Ledger),
            stream_version: sequence,
            recorded_at: Timestamp::MIN,
            meta: Arc::clone(&meta),
            event: Event::WriterStarted(WriterStarted {
                term: 1,
                program: "test".into(),
                at: Timestamp::MIN,
            }),
        };
        let kept = |publisher: &Publisher| {
            let recent = publisher.recent.lock();
            (recent.groups.len(), recent.events, recent.bytes)
        };
        for last in 1..=4 {
            publisher.publish(vec![event(last)], RECENT_BYTES / 4, head(last));
        }
        assert_eq!(kept(&publisher), (4, 4, RECENT_BYTES));
        publisher.publish(vec![event(5)], 1, head(5));
        assert_eq!(kept(&publisher), (4, 4, RECENT_BYTES / 4 * 3 + 1));
        // One is kept however large it is: anyone who waits for it is there already.
        publisher.publish(vec![event(6)], RECENT_BYTES * 2, head(6));
        assert_eq!(kept(&publisher), (1, 1, RECENT_BYTES * 2));
    }
}
