//! The thread that writes: it decides commands in groups, and hands each group on to become durable.
//!
//! While groups are on their way, it decides the next ones: the state is ahead of the log. It is held for one command
//! at a time, so that others can look at it in between.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tracing::{error, warn};

use super::guards::{Admission, Guards};
use super::pipeline::{CommandReplies, Pipeline, UncommittedGroup};
use super::queue::{CommandReply, WaitingCommand, WaitingCommands};
use super::recovery::Recovery;
use super::sequencer::DecidedCommand;
use super::{Publisher, Queued, Sequencer, SnapshotFile, StopCause, What};
use crate::domain::Command;
use crate::domain::id::Sequence;
use crate::domain::time::Timestamp;
use crate::domain::usage::MemoryIndex;
use crate::log::envelope::Recorded;
use crate::log::store::{EventStore, Head};

/// How many events the writer may add before it snapshots its state again: a little less than what fills the index's
/// table of recent identities, so that the run of a checkpoint is one that would be written soon anyway.
const SNAPSHOT_EVERY: u64 = 900_000;
/// How many commands are decided as one group, at most.
const GROUP_COMMANDS: usize = 1024;
/// How many usage reports are decided as one group, at most (one command may have more).
const GROUP_REPORTS: usize = 4096;
/// How many bytes of values are decided as one group, at most (one command may have more).
const GROUP_BYTES: usize = 16 * 1024 * 1024;
/// After this long the index of usage identities may be rebuilt again: a disk that damages it sooner is not trusted.
const REBUILD_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// The one thread that writes, and what it works with.
pub(super) struct Writer {
    pub(super) sequencer: Arc<RwLock<Sequencer>>,
    pub(super) store: Arc<dyn EventStore>,
    pub(super) guards: Arc<Guards>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) stopped: Arc<StopCause>,
    /// The ledger is being shut down.
    pub(super) closing: Arc<AtomicBool>,
    pub(super) recovery: Recovery,
    /// When the index of usage identities was last rebuilt.
    pub(super) rebuilt: Option<Instant>,
    pub(super) snapshot_at: Sequence,
    /// The thread that writes a snapshot, while it does.
    pub(super) snapshotting: Option<JoinHandle<()>>,
}

/// A group that is being decided.
struct OpenGroup {
    admission: Admission,
    /// When its events are recorded.
    at: Timestamp,
    events: Vec<Recorded>,
    /// The commands that are not answered yet.
    decided: Vec<(WaitingCommand, DecidedCommand)>,
    commands: usize,
    reports: usize,
    bytes: usize,
}

impl Writer {
    /// The error is that of the last snapshot; why the writer stopped by itself is said in `stopped`.
    pub(super) fn run(mut self, mut commands: WaitingCommands, mut pipeline: Pipeline) -> Result<(), String> {
        let work = || self.work(&mut commands, &pipeline);
        let worked =
            catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the writer panicked".into()));
        // What is on its way is durable, or refused, before anything is closed.
        let ended = pipeline.end();
        if let Err(cause) = worked.and(ended) {
            error!(%cause, "the writer stops");
            self.stopped.note(&cause);
            drop(commands);
            self.publisher.close();
            self.wait_for_snapshot();
            return Ok(());
        }
        self.take_snapshot(&pipeline)
    }

    /// The error is why nothing may be decided any more.
    fn work(&mut self, commands: &mut WaitingCommands, pipeline: &Pipeline) -> Result<(), String> {
        while commands.wait(|| pipeline.has_failed()) {
            pipeline.wait_for_place()?;
            let group = self.decide_group(commands, pipeline)?;
            let last = group.events.last().map_or(Sequence::ZERO, |event| event.sequence);
            pipeline.commit(group.close())?;
            let is_due = last.0.saturating_sub(self.snapshot_at.0) >= SNAPSHOT_EVERY;
            if is_due && self.snapshotting.as_ref().is_none_or(JoinHandle::is_finished) {
                pipeline.wait_until_idle()?;
                self.begin_snapshot(pipeline);
            }
        }
        Ok(())
    }

    /// Decides what waits now, up to the size of a group, and answers at once what rests on nothing but what is durable.
    fn decide_group(
        &mut self,
        commands: &mut WaitingCommands,
        pipeline: &Pipeline,
    ) -> Result<OpenGroup, String> {
        let held = Arc::clone(&self.sequencer);
        let mut durable = self.publisher.head().last;
        commands.begin_round();
        let mut group = {
            let mut sequencer = held.write();
            let admission = self.guards.admission(sequencer.recorded_at());
            let at = sequencer.begin_group(admission.reading.now, durable);
            OpenGroup::new(admission, at)
        };
        while group.has_room() {
            let Some((reply, queued)) = commands.next() else { break };
            group.count(&queued);
            let mut sequencer = held.write();
            let decided = self.decide(&mut sequencer, &mut group, &queued)?;
            let fault = sequencer.index_fault();
            drop(sequencer);
            if let Some(fault) = fault {
                // Nothing of it is durable and nobody was answered: it is decided again by what the log says.
                group.decided.push(((reply, queued), decided));
                self.decide_again(&fault, &mut group, pipeline)?;
                break;
            }
            if decided.rests_on > durable {
                durable = self.publisher.head().last;
            }
            if decided.rests_on <= durable {
                answer(reply, decided);
            } else {
                group.decided.push(((reply, queued), decided));
            }
        }
        Ok(group)
    }

    /// Decides one command, whose events are added to those of the group.
    fn decide(
        &self,
        sequencer: &mut Sequencer,
        group: &mut OpenGroup,
        queued: &Queued,
    ) -> Result<DecidedCommand, String> {
        let decide = || match group.admission.refusal(sequencer, queued) {
            None => sequencer.decide_next(group.at, &*self.store, queued, &mut group.events),
            Some(refused) => {
                let now = group.admission.reading.now;
                let answer = sequencer.answer_without_writing(now, &*self.store, queued)?;
                Ok(DecidedCommand {
                    result: answer.unwrap_or(refused),
                    rests_on: sequencer.seen_by(&queued.what),
                })
            }
        };
        let decided = catch_unwind(AssertUnwindSafe(decide));
        let decided = decided.unwrap_or_else(|_| Err("a decision panicked".to_owned()));
        // The state may be good for nothing any more. Said while it is held.
        decided.inspect_err(|cause| self.stopped.note(cause))
    }

    /// Decides a group again, by a state that has a new index of usage identities.
    fn decide_again(
        &mut self,
        fault: &str,
        group: &mut OpenGroup,
        pipeline: &Pipeline,
    ) -> Result<(), String> {
        pipeline.wait_until_idle()?;
        let held = Arc::clone(&self.sequencer);
        let mut sequencer = held.write();
        // Anyone who finds that nobody answers looks for the cause.
        let rebuilt = catch_unwind(AssertUnwindSafe(|| self.rebuild(&mut sequencer, fault)));
        let rebuilt = rebuilt.unwrap_or_else(|_| Err("rebuilding the index panicked".into()));
        rebuilt.inspect_err(|cause| self.stopped.note(cause))?;
        let durable = self.publisher.head().last;
        group.at = sequencer.begin_group(group.admission.reading.now, durable);
        group.events.clear();
        for ((reply, queued), _) in std::mem::take(&mut group.decided) {
            let decided = self.decide(&mut sequencer, group, &queued)?;
            group.decided.push(((reply, queued), decided));
        }
        if let Some(fault) = sequencer.index_fault() {
            let cause = format!("the index of usage identities is damaged: {fault}");
            self.stopped.note(&cause);
            return Err(cause);
        }
        Ok(())
    }

    /// Puts the state as of the end of the log, with a new index, in the place of one whose index is damaged.
    fn rebuild(&mut self, sequencer: &mut Sequencer, fault: &str) -> Result<(), String> {
        if self.rebuilt.is_some_and(|before| before.elapsed() < REBUILD_AGAIN_AFTER) {
            return Err(format!(
                "the index of usage identities is damaged soon after it was rebuilt: {fault}"
            ));
        }
        // Nobody may be left in the folder of the index when the next one begins to use it.
        self.wait_for_snapshot();
        let limits = sequencer.usage_limits();
        *sequencer = Sequencer::new(Box::new(MemoryIndex::default()));
        let mut rebuilt = self.recovery.rebuild(&*self.store, fault, &self.closing)?;
        let (head, here) = (self.publisher.head(), Head { last: rebuilt.last(), root: rebuilt.root() });
        if here != head {
            return Err(format!(
                "the log ends at sequence {}, and {} was acknowledged",
                here.last, head.last
            ));
        }
        self.rebuilt = Some(Instant::now());
        rebuilt.set_usage_limits(limits);
        *sequencer = rebuilt;
        Ok(())
    }

    /// Snapshots the state, which has to be as far as the log, but leaves the disk to another thread. It only shortens
    /// the next start: where it fails, it is tried again.
    fn begin_snapshot(&mut self, pipeline: &Pipeline) {
        self.wait_for_snapshot();
        let Some(file) =
            self.recovery.snapshot.as_ref().map(|file| SnapshotFile::new(file.path().to_owned()))
        else {
            return;
        };
        let mut sequencer = self.sequencer.write();
        let last = sequencer.last();
        self.snapshot_at = last;
        if self.check_room_for_snapshot().is_err() {
            return;
        }
        sequencer.take_tree(pipeline.tree());
        let begun = sequencer.seen().begin_checkpoint(last);
        let state = begun.map(|checkpoint| (checkpoint, sequencer.snapshot()));
        drop(sequencer);
        let write = move || {
            let written =
                state.and_then(|(checkpoint, state)| checkpoint().and_then(|()| file.write(&state)));
            if let Err(cause) = written {
                error!(%cause, "the state of the writer could not be snapshotted");
            }
        };
        match thread::Builder::new().name("snapshot".into()).spawn(write) {
            Ok(thread) => self.snapshotting = Some(thread),
            Err(cause) => error!(%cause, "the state of the writer could not be snapshotted"),
        }
    }

    /// Waits for the thread that writes a snapshot.
    fn wait_for_snapshot(&mut self) {
        if self.snapshotting.take().is_some_and(|thread| thread.join().is_err()) {
            error!("writing a snapshot of the writer panicked");
        }
    }

    fn check_room_for_snapshot(&self) -> Result<(), String> {
        let Some(short) = self.guards.room().and_then(|room| room.short()) else { return Ok(()) };
        warn!(%short, "the state of the writer is not snapshotted");
        Err(short.to_string())
    }

    /// Snapshots the state, which has to be as far as the log.
    fn take_snapshot(&mut self, pipeline: &Pipeline) -> Result<(), String> {
        self.wait_for_snapshot();
        let Some(file) = &self.recovery.snapshot else { return Ok(()) };
        let mut sequencer = self.sequencer.write();
        let last = sequencer.last();
        self.snapshot_at = last;
        self.check_room_for_snapshot()?;
        sequencer.take_tree(pipeline.tree());
        let taken = sequencer.seen().checkpoint(last).and_then(|()| file.write(&sequencer.snapshot()));
        taken.inspect_err(|cause| error!(%cause, "the state of the writer could not be snapshotted"))
    }
}

impl OpenGroup {
    fn new(admission: Admission, at: Timestamp) -> Self {
        let (events, decided) = (Vec::new(), Vec::new());
        Self { admission, at, events, decided, commands: 0, reports: 0, bytes: 0 }
    }

    fn has_room(&self) -> bool {
        self.commands < GROUP_COMMANDS && self.reports < GROUP_REPORTS && self.bytes < GROUP_BYTES
    }

    fn count(&mut self, queued: &Queued) {
        self.commands += 1;
        self.reports += match &queued.what {
            What::Do(Command::RecordUsage(command)) => command.reports.len(),
            _ => 1,
        };
        self.bytes += match &queued.what {
            What::Do(command) | What::IfUnmoved { command, .. } => command.value_bytes(),
            What::Repeat => 0,
        };
    }

    fn close(self) -> UncommittedGroup {
        let (mut replies, mut spent) = (CommandReplies::new(), Vec::with_capacity(self.decided.len()));
        for ((reply, queued), decided) in self.decided {
            replies.push((reply, decided.result));
            spent.push(queued);
        }
        UncommittedGroup { events: self.events, replies, reading: self.admission.reading, spent }
    }
}

fn answer(reply: CommandReply, decided: DecidedCommand) {
    // Anyone who does not wait any more has its answer in the log.
    let _ = reply.send(decided.result);
}
