//! Streams of events: how many are open, and what they share.
//!
//! One thread follows the feed while anybody reads. It groups events into runs (one command, one stream of the log), so
//! that a reader decides about thousands of events at once, and tells all readers a few times a second how far they may
//! read. An event is encoded once, by the first reader who sees it. The writer does nothing for a stream: there is no
//! task, no lock and no copy for a reader on its side.
//!
//! All readers together send a bounded number of bytes a second. A reader who falls behind continues from the log, in
//! bounded pieces that readers share; nothing is skipped.
//!
//! `answer` is the form of an answer that is a stream. Not here: who may see which event, and how a request becomes a stream.

mod answer;
mod groups;
mod recent;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use slapledger_core::domain::access::Holder;
use slapledger_core::domain::id::{ProjectId, Sequence};
use slapledger_engine::Engine;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use tokio::sync::{Semaphore, watch};

pub(crate) use answer::server_sent;
pub(crate) use groups::{EventGroup, EventRun, GroupEvents, ShownMembers};
use recent::RecentGroups;

/// How often readers are told that there is more.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// How often the feed is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How many readers may read from the disk at a time.
const LOADING_AT_A_TIME: usize = 2;
/// Seconds after which somebody who finds no place may try again.
const RETRY_SECONDS: u32 = 30;

/// How many streams there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamBounds {
    pub(crate) most: usize,
    pub(crate) most_of_one: usize,
}

/// How far streams may read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tick {
    /// The views have reached this sequence.
    pub(crate) head: Sequence,
    /// How many readers share the bytes of a second.
    pub(crate) readers: usize,
    /// No more comes: the program stops, or a view has failed.
    pub(crate) is_over: bool,
}

/// Who a stream counts for: a holder in a project, by whichever credentials; nobody, where there is one local user.
pub(crate) type StreamHolder = Option<(ProjectId, Holder)>;

#[derive(Default)]
struct StreamPlaces {
    all: usize,
    of_one: HashMap<(ProjectId, Holder), usize>,
    is_followed: bool,
}

/// All streams of a server.
pub struct EventStreams {
    places: Mutex<StreamPlaces>,
    recent: Mutex<RecentGroups>,
    ticks: watch::Sender<Tick>,
    loading: Semaphore,
}

impl Default for EventStreams {
    fn default() -> Self {
        Self {
            places: Mutex::default(),
            recent: Mutex::default(),
            ticks: watch::Sender::default(),
            loading: Semaphore::new(LOADING_AT_A_TIME),
        }
    }
}

/// A place among the streams; given back when it is dropped.
pub(crate) struct StreamSeat {
    streams: Arc<EventStreams>,
    holder: StreamHolder,
}

impl Drop for StreamSeat {
    fn drop(&mut self) {
        let mut places = self.streams.places.lock();
        places.all -= 1;
        if let Some(holder) = &self.holder
            && let Some(count) = places.of_one.get_mut(holder)
        {
            *count -= 1;
            if *count == 0 {
                places.of_one.remove(holder);
            }
        }
    }
}

impl EventStreams {
    /// A place for another stream, if there is one. The first one begins to follow the feed.
    pub(crate) fn open(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        holder: StreamHolder,
        bounds: StreamBounds,
    ) -> Result<StreamSeat, Problem> {
        let mut places = self.places.lock();
        let StreamBounds { most, most_of_one } = bounds;
        if places.all >= most {
            return Err(no_place(format!("{most} event streams are open; that is the limit of this server")));
        }
        let of_one = holder.as_ref().and_then(|holder| places.of_one.get(holder)).copied().unwrap_or(0);
        if of_one >= most_of_one && holder.is_some() {
            let detail = format!("you have {most_of_one} event streams open; close one of them");
            return Err(no_place(detail));
        }
        if !places.is_followed {
            self.ticks.send_replace(Tick::default());
            let (streams, engine) = (Arc::clone(self), Arc::clone(engine));
            let follow = thread::Builder::new().name("event-streams".into());
            follow.spawn(move || streams.follow(&engine)).map_err(|error| Problem::fault(&error))?;
            places.is_followed = true;
        }
        places.all += 1;
        if let Some(holder) = &holder {
            *places.of_one.entry(holder.clone()).or_default() += 1;
        }
        Ok(StreamSeat { streams: Arc::clone(self), holder })
    }

    /// How far streams may read, as it moves.
    pub(crate) fn ticks(&self) -> watch::Receiver<Tick> {
        self.ticks.subscribe()
    }

    /// Follows the feed until nobody reads any more.
    fn follow(&self, engine: &Engine) {
        let feed = engine.ledger.feed();
        let mut at = feed.head().last;
        self.recent.lock().restart(at);
        let mut ticked = None::<Instant>;
        loop {
            let readers = {
                let mut places = self.places.lock();
                if places.all == 0 {
                    places.is_followed = false;
                    self.ticks.send_replace(Tick::default());
                    self.recent.lock().restart(Sequence::ZERO);
                    return;
                }
                places.all
            };
            let last = self.ticks.borrow().head;
            let step = self.collect(&feed, &mut at);
            let is_stopping = engine.health.is_stopping();
            let is_due = ticked.is_none_or(|ticked| ticked.elapsed() >= TICK) && at > last;
            let reached = if is_due && step.is_ok() { reach(engine, at) } else { Ok(()) };
            if is_stopping || step.is_err() || reached.is_err() {
                if let Err(fault) = step.and(reached) {
                    tracing::error!(%fault, "event streams end");
                }
                self.end();
                return;
            }
            if is_due {
                ticked = Some(Instant::now());
                self.ticks.send_replace(Tick { head: at, readers, is_over: false });
            }
            thread::sleep(LOOK);
        }
    }

    /// Takes over what is new in the feed.
    fn collect(&self, feed: &slapledger_core::ledger::Feed, at: &mut Sequence) -> Result<(), String> {
        while let Some(events) = feed.poll(*at)? {
            let Some(group) = EventGroup::new(&events).filter(|group| group.last > *at) else {
                return Ok(());
            };
            *at = group.last;
            self.recent.lock().push(group);
        }
        Ok(())
    }

    /// Ends all streams, for they cannot go on.
    fn end(&self) {
        // Who opens a stream from now on begins to follow anew.
        self.places.lock().is_followed = false;
        self.ticks.send_replace(Tick { is_over: true, ..Tick::default() });
        self.recent.lock().restart(Sequence::ZERO);
    }

    /// The group with the event after a sequence: from memory, or read from the log for all who need it.
    pub(crate) async fn group_after(
        &self,
        engine: &Arc<Engine>,
        after: Sequence,
    ) -> Result<(Arc<EventGroup>, bool), Problem> {
        if let Some(group) = self.recent.lock().group_after(after) {
            return Ok((group, false));
        }
        let _permit = self.loading.acquire().await.map_err(|error| Problem::fault(&error))?;
        // Another reader may have read it meanwhile.
        if let Some(group) = self.recent.lock().group_after(after) {
            return Ok((group, false));
        }
        let events = read(engine, after).await?;
        let group = EventGroup::new(&events).ok_or_else(|| Problem::fault(&"the log ended early"))?;
        let group = Arc::new(group);
        self.recent.lock().loaded(Arc::clone(&group));
        Ok((group, true))
    }

    /// The events of a group whose events are no longer in memory.
    pub(crate) async fn events_of(
        &self,
        engine: &Arc<Engine>,
        group: &Arc<EventGroup>,
    ) -> Result<(Arc<GroupEvents>, bool), Problem> {
        if let Some(events) = group.events() {
            return Ok((events, false));
        }
        let _permit = self.loading.acquire().await.map_err(|error| Problem::fault(&error))?;
        if let Some(events) = group.events() {
            return Ok((events, false));
        }
        let mut events = Vec::new();
        let mut at = Sequence(group.first.0.saturating_sub(1));
        while at < group.last {
            let read = read(engine, at).await?;
            let wanted = read.partition_point(|event| event.sequence <= group.last);
            at = read.last().map_or(group.last, |last| last.sequence);
            events.extend_from_slice(&read[..wanted]);
        }
        let events = group.fill(Arc::new(events));
        self.recent.lock().loaded(Arc::clone(group));
        Ok((events, true))
    }
}

/// Waits until the views show what streams are about to: who owns what, and which credentials are revoked.
fn reach(engine: &Engine, at: Sequence) -> Result<(), String> {
    let access = engine.access.read_at_blocking(at, |_, _| ());
    let slap = engine.slap.read_at_blocking(at, |_, _| ());
    access.and(slap).map_err(|fault| fault.to_string())
}

/// A bounded piece of the log after a sequence.
async fn read(
    engine: &Arc<Engine>,
    after: Sequence,
) -> Result<Arc<Vec<slapledger_core::log::envelope::Recorded>>, Problem> {
    let feed = engine.ledger.feed();
    let read = tokio::task::spawn_blocking(move || feed.poll(after)).await;
    let read = read.map_err(|error| Problem::fault(&error))?.map_err(|fault| Problem::fault(&fault))?;
    read.ok_or_else(|| Problem::fault(&"the log has no more events"))
}

fn no_place(detail: String) -> Problem {
    Problem::later(ProblemCode::Overloaded, detail, RETRY_SECONDS)
}
