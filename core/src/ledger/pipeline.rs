//! From decided to durable: a few threads pack groups of events, and one commits them, in order.
//!
//! To pack is to encode, cut, compress and hash; it needs nothing but the events. To commit is to add what was packed to
//! the tree, to append it, to publish it, and then to answer. What is packed by then is appended together.
//!
//! Invariants: groups are committed in the order they were decided in; nothing of a group is shown or answered before
//! all of it, and all before it, is durable; when an append fails, its groups and all behind them are discarded, and
//! their senders are told that the writer has stopped. The number of groups in flight is bounded.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle, Thread};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::clock_guard::ClockReading;
use super::declared::PublishedResources;
use super::guards::Guards;
use super::queue::CommandReply;
use super::sequencer::pack_events;
use super::{Accepted, AppendObserver, Publisher, Queued, StopCause, SubmitError};
use crate::log::envelope::Recorded;
use crate::log::frame::{Frame, PackedFrame};
use crate::log::merkle::Tree;
use crate::log::store::{Appended, EventStore, Head, Term};

/// How many groups may be decided and not durable yet.
const MOST_IN_FLIGHT: usize = 4;
/// Who decided no more events than this packs them, too: to hand them over takes as long.
const FEW_EVENTS: usize = 256;
/// More threads than this do not pack.
const MOST_PACKERS: usize = 4;

/// What commands are answered, and whom.
pub(super) type CommandReplies = Vec<(CommandReply, Result<Accepted, SubmitError>)>;

/// What came of a group of commands: to become durable and be answered together.
pub(super) struct UncommittedGroup {
    pub(super) events: Vec<Recorded>,
    pub(super) replies: CommandReplies,
    /// The clock that it was decided by.
    pub(super) reading: ClockReading,
    /// The commands, which nobody needs any more: to free them takes time.
    pub(super) spent: Vec<Queued>,
}

/// A group whose events are packed.
struct PackedGroup {
    group: UncommittedGroup,
    frames: Vec<PackedFrame>,
}

/// A group on its way: the packer sends it here. If it does not, it panicked.
type PackedSlot = Receiver<Result<PackedGroup, (CommandReplies, String)>>;

type PackJob = (UncommittedGroup, SyncSender<Result<PackedGroup, (CommandReplies, String)>>);

fn pack(mut group: UncommittedGroup) -> Result<PackedGroup, (CommandReplies, String)> {
    group.spent = Vec::new();
    match pack_events(&group.events) {
        Ok(frames) => Ok(PackedGroup { group, frames }),
        Err(error) => Err((group.replies, error.to_string())),
    }
}

/// How many groups are in flight, and why there will be no more.
#[derive(Default)]
struct Flight {
    state: Mutex<FlightState>,
    changed: Condvar,
}

#[derive(Default)]
struct FlightState {
    groups: usize,
    failed: Option<String>,
    /// Woken when something fails.
    writer: Option<Thread>,
}

impl Flight {
    fn fail(&self, cause: &str) {
        let mut state = self.state.lock();
        state.failed.get_or_insert_with(|| cause.to_owned());
        if let Some(writer) = &state.writer {
            writer.unpark();
        }
        self.changed.notify_all();
    }

    fn failed(&self) -> Option<String> {
        self.state.lock().failed.clone()
    }

    fn enter(&self) {
        self.state.lock().groups += 1;
    }

    fn leave(&self, groups: usize) {
        self.state.lock().groups -= groups;
        self.changed.notify_all();
    }

    fn is_idle(&self) -> bool {
        self.state.lock().groups == 0
    }

    /// Waits until no more than so many groups are in flight. The error is why they failed.
    fn wait_for(&self, most: usize) -> Result<(), String> {
        let mut state = self.state.lock();
        while state.groups > most {
            self.changed.wait(&mut state);
        }
        state.failed.clone().map_or(Ok(()), Err)
    }
}

/// Makes groups durable, shows them and answers.
pub(super) struct Committer {
    pub(super) term: Term,
    pub(super) store: Arc<dyn EventStore>,
    pub(super) guards: Arc<Guards>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) resources: Arc<PublishedResources>,
    pub(super) stopped: Arc<StopCause>,
    /// Told how long each append took.
    pub(super) observer: Arc<OnceLock<AppendObserver>>,
    /// The tree of all that was committed.
    pub(super) tree: Tree,
}

impl Committer {
    /// The error is why nothing more may be committed; by then it is told to everybody who waits for these groups.
    fn commit(&mut self, groups: Vec<PackedGroup>) -> Result<(), String> {
        let expected = self.publisher.head().last;
        let mut frames = Vec::new();
        let mut durable = Vec::with_capacity(groups.len());
        for PackedGroup { group, frames: packed } in groups {
            let event_bytes = packed.iter().map(PackedFrame::raw_bytes).sum::<usize>();
            let before = frames.len();
            frames.extend(packed.into_iter().map(|frame| frame.seal(&mut self.tree)));
            let stored_bytes = frames[before..].iter().map(|frame| frame.bytes().len() as u64).sum::<u64>();
            let root = frames.last().and_then(Frame::root_after);
            durable.push((group, event_bytes, stored_bytes, root));
        }
        if !frames.is_empty() {
            let begun = Instant::now();
            let appended = self.store.append(self.term, expected, &frames);
            if let Some(observe) = self.observer.get() {
                observe(begun.elapsed());
            }
            match appended {
                Appended::Durable => {}
                other => {
                    let cause = failure(&other);
                    self.stopped.note(&cause);
                    refuse(durable.into_iter().flat_map(|(group, ..)| group.replies), &cause);
                    return Err(cause);
                }
            }
        }
        for (group, event_bytes, stored_bytes, root) in durable {
            let UncommittedGroup { events, replies, reading, .. } = group;
            if let Some((last, root)) = events.last().map(|event| event.sequence).zip(root) {
                self.guards.recorded(&events, stored_bytes, reading);
                self.resources.recorded(&events);
                self.publisher.publish(events, event_bytes, Head { last, root });
            }
            for (reply, result) in replies {
                // Anyone who does not wait any more has its answer in the log.
                let _ = reply.send(result);
            }
        }
        Ok(())
    }
}

pub(super) fn failure(outcome: &Appended) -> String {
    match outcome {
        Appended::Durable => "nothing failed".into(),
        Appended::Conflict { last } => format!("another writer has appended up to sequence {last}"),
        Appended::Fenced { by } => format!("another writer has taken over with term {by}"),
        Appended::Unknown { cause } => format!("nobody knows whether an append succeeded: {cause}"),
    }
}

fn refuse(replies: impl IntoIterator<Item = (CommandReply, Result<Accepted, SubmitError>)>, cause: &str) {
    for (reply, _) in replies {
        let _ = reply.send(Err(SubmitError::Stopped(cause.into())));
    }
}

/// See the module.
pub(super) struct Pipeline {
    committer: Arc<Mutex<Committer>>,
    flight: Arc<Flight>,
    /// Nothing, when it has ended.
    lines: Option<PipelineLines>,
    threads: Vec<JoinHandle<()>>,
}

struct PipelineLines {
    to_pack: Sender<PackJob>,
    to_commit: Sender<PackedSlot>,
}

impl Pipeline {
    /// Begins its threads.
    pub(super) fn begin(committer: Committer) -> std::io::Result<Self> {
        let committer = Arc::new(Mutex::new(committer));
        let flight = Arc::<Flight>::default();
        let (to_pack, jobs) = channel::<PackJob>();
        let (to_commit, slots) = channel();
        let mut threads = Vec::new();
        {
            let (committer, flight) = (Arc::clone(&committer), Arc::clone(&flight));
            let commit = move || commit_in_order(&committer, &slots, &flight);
            threads.push(thread::Builder::new().name("committer".into()).spawn(commit)?);
        }
        let jobs = Arc::new(Mutex::new(jobs));
        let packers = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_PACKERS);
        for _ in 0..packers {
            let jobs = Arc::clone(&jobs);
            let pack = move || pack_jobs(&jobs);
            threads.push(thread::Builder::new().name("packer".into()).spawn(pack)?);
        }
        Ok(Self { committer, flight, lines: Some(PipelineLines { to_pack, to_commit }), threads })
    }

    /// Wakes the thread that calls this when something fails.
    pub(super) fn wake_on_failure(&self) {
        self.flight.state.lock().writer = Some(thread::current());
    }

    /// Whether something failed.
    pub(super) fn has_failed(&self) -> bool {
        self.flight.failed().is_some()
    }

    /// Waits until another group may be decided.
    pub(super) fn wait_for_place(&self) -> Result<(), String> {
        self.flight.wait_for(MOST_IN_FLIGHT - 1)
    }

    /// Waits until all that was decided is durable.
    pub(super) fn wait_until_idle(&self) -> Result<(), String> {
        self.flight.wait_for(0)
    }

    /// The tree of all that is durable.
    pub(super) fn tree(&self) -> Tree {
        self.committer.lock().tree.clone()
    }

    /// Takes a group over. The error is why it failed, if that is known at once.
    pub(super) fn commit(&self, group: UncommittedGroup) -> Result<(), String> {
        if group.events.is_empty() && group.replies.is_empty() {
            // All of it was answered at once: it takes no place of those that wait for the disk.
            return Ok(());
        }
        let are_few = group.events.len() <= FEW_EVENTS;
        if are_few && group.replies.len() <= 1 && self.flight.is_idle() {
            // Nobody else waits: it is done sooner here than handed over.
            let packed = pack(group).map_err(|fault| self.stop(fault))?;
            return self.committer.lock().commit(vec![packed]).inspect_err(|cause| self.flight.fail(cause));
        }
        let Some(lines) = &self.lines else { return Err("the pipeline has ended".into()) };
        let (slot, packed) = sync_channel(1);
        self.flight.enter();
        // Nobody listens any more when both have panicked, which whoever waits for the group is told.
        let _ = lines.to_commit.send(packed);
        if are_few {
            let _ = slot.send(pack(group));
        } else {
            let _ = lines.to_pack.send((group, slot));
        }
        Ok(())
    }

    fn stop(&self, (replies, cause): (CommandReplies, String)) -> String {
        self.committer.lock().stopped.note(&cause);
        refuse(replies, &cause);
        cause
    }

    /// Takes nothing over any more, and waits until all that it has is durable. The error is what failed.
    pub(super) fn end(&mut self) -> Result<(), String> {
        self.lines = None;
        let panicked = self.threads.drain(..).filter_map(|thread| thread.join().err()).count();
        match self.flight.failed() {
            Some(cause) => Err(cause),
            None if panicked > 0 => Err("a thread that commits panicked".into()),
            None => Ok(()),
        }
    }
}

fn pack_jobs(jobs: &Mutex<Receiver<PackJob>>) {
    loop {
        let job = jobs.lock().recv();
        let Ok((group, slot)) = job else { return };
        // The committer takes every one.
        let _ = slot.send(pack(group));
    }
}

fn commit_in_order(committer: &Mutex<Committer>, slots: &Receiver<PackedSlot>, flight: &Flight) {
    let mut waiting: Option<PackedSlot> = None;
    while let Some(slot) = waiting.take().or_else(|| slots.recv().ok()) {
        const PANICKED: &str = "packing events panicked";
        let mut packed = vec![slot.recv().unwrap_or_else(|_| Err((Vec::new(), PANICKED.into())))];
        while packed.len() < MOST_IN_FLIGHT && waiting.is_none() {
            let Ok(slot) = slots.try_recv() else { break };
            match slot.try_recv() {
                Ok(next) => packed.push(next),
                Err(TryRecvError::Empty) => waiting = Some(slot),
                Err(TryRecvError::Disconnected) => packed.push(Err((Vec::new(), PANICKED.into()))),
            }
        }
        let count = packed.len();
        let mut groups = Vec::with_capacity(count);
        let mut failed = flight.failed();
        let mut refused = Vec::new();
        for packed in packed {
            match packed {
                Ok(packed) if failed.is_none() => groups.push(packed),
                Ok(packed) => refused.push(packed.group.replies),
                Err((replies, cause)) => {
                    failed.get_or_insert(cause);
                    refused.push(replies);
                }
            }
        }
        // What was decided before the fault is as good as any.
        if !groups.is_empty() {
            let commit = || committer.lock().commit(groups);
            let outcome = catch_unwind(AssertUnwindSafe(commit));
            if let Err(cause) = outcome.unwrap_or_else(|_| Err("committing events panicked".into())) {
                failed.get_or_insert(cause);
            }
        }
        if let Some(cause) = failed {
            committer.lock().stopped.note(&cause);
            flight.fail(&cause);
            refuse(refused.into_iter().flatten(), &cause);
        }
        flight.leave(count);
    }
}

#[cfg(test)]
mod tests;
