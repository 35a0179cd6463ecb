//! The thread that writes: it decides groups of commands, makes them durable, publishes them, and then answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use super::guards::{Admitted, Guards};
use super::recovery::Recovery;
use super::{Accepted, Publisher, Queued, Sequencer, SubmitError, Undecided, What};
use crate::domain::Command;
use crate::domain::id::Sequence;
use crate::domain::usage::MemoryIndex;
use crate::log::store::{Appended, EventStore, Head, Term};

/// How many events the writer may add before it snapshots its state again: a little less than what fills the index's
/// table of recent identities, so that the run of a checkpoint is one that would be written soon anyway.
const SNAPSHOT_EVERY: u64 = 900_000;
/// How many commands are decided as one group, at most.
const GROUP_COMMANDS: usize = 1024;
/// How many usage reports are decided as one group, at most (one command may have more).
const GROUP_REPORTS: usize = 16_384;
/// How many bytes of values are decided as one group, at most (one command may have more).
const GROUP_BYTES: usize = 16 * 1024 * 1024;
/// After this long the index of usage identities may be rebuilt again: a disk that damages it sooner is not trusted.
const REBUILD_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// To whom a command is answered.
pub(super) type Reply = oneshot::Sender<Result<Accepted, SubmitError>>;

pub(super) fn failure(outcome: &Appended) -> String {
    match outcome {
        Appended::Durable => "nothing failed".into(),
        Appended::Conflict { last } => format!("another writer has appended up to sequence {last}"),
        Appended::Fenced { by } => format!("another writer has taken over with term {by}"),
        Appended::Unknown { cause } => format!("nobody knows whether an append succeeded: {cause}"),
    }
}

/// The one thread that writes, and what it works with.
pub(super) struct Writer {
    pub(super) sequencer: Arc<RwLock<Sequencer>>,
    pub(super) term: Term,
    pub(super) store: Arc<dyn EventStore>,
    pub(super) guards: Arc<Guards>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) stopped: Arc<Mutex<Option<Arc<str>>>>,
    /// The ledger is being shut down.
    pub(super) closing: Arc<AtomicBool>,
    pub(super) recovery: Recovery,
    /// When the index of usage identities was last rebuilt.
    pub(super) rebuilt: Option<Instant>,
    pub(super) snapshot_at: Sequence,
}

/// What commands are answered, and whom.
type Replies = Vec<(Reply, Result<Accepted, SubmitError>)>;

impl Writer {
    /// The error is that of the last snapshot; why the writer stopped by itself is said in `stopped`.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<(Reply, Queued)>) -> Result<(), String> {
        let held = Arc::clone(&self.sequencer);
        while let Some(first) = commands.blocking_recv() {
            let group = gather(first, &mut commands);
            let mut sequencer = held.write();
            let cause = match catch_unwind(AssertUnwindSafe(|| self.write(&mut sequencer, group))) {
                Ok(Ok(replies)) => {
                    let is_due = sequencer.last().0 - self.snapshot_at.0 >= SNAPSHOT_EVERY;
                    // Whoever is answered may come back before this thread goes on, and shall find it free.
                    drop(sequencer);
                    for (reply, result) in replies {
                        // Whoever does not wait any more has its answer in the log.
                        let _ = reply.send(result);
                    }
                    if is_due {
                        // It only shortens the next start, and is tried again.
                        let _ = self.take_snapshot(&mut held.write());
                    }
                    continue;
                }
                Ok(Err(cause)) => cause,
                Err(_) => "a decision panicked".to_owned(),
            };
            // The state may be ahead of the log: nothing may be decided on it any more. Said while it is held.
            error!(%cause, "the writer stops");
            self.note_stop(&cause);
            drop(sequencer);
            commands.close();
            self.publisher.close();
            return Ok(());
        }
        self.take_snapshot(&mut held.write())
    }

    fn write(&mut self, sequencer: &mut Sequencer, group: Vec<(Reply, Queued)>) -> Result<Replies, String> {
        let expected = self.publisher.head().last;
        let Admitted { group, mut answered, reading } = self.guards.admit(sequencer, &*self.store, group)?;
        let group = match sequencer.decide(reading.now, &*self.store, group) {
            Ok(group) => group,
            // Nothing of it is durable and nobody was answered: it is decided again by what the log says.
            Err(Undecided::Damaged { fault, commands }) => {
                // Whoever finds that nobody answers looks for the cause.
                self.rebuild(sequencer, &fault).inspect_err(|cause| self.note_stop(cause))?;
                let again = sequencer.decide(reading.now, &*self.store, commands);
                again.map_err(|undecided| undecided.to_string())?
            }
            Err(Undecided::Failed(cause)) => return Err(cause),
        };
        if !group.frames.is_empty() {
            match self.store.append(self.term, expected, &group.frames) {
                Appended::Durable => {}
                other => {
                    let cause = failure(&other);
                    self.note_stop(&cause);
                    for (reply, _) in group.replies {
                        let _ = reply.send(Err(SubmitError::Stopped(cause.as_str().into())));
                    }
                    return Err(cause);
                }
            }
            let bytes = group.frames.iter().map(|frame| frame.bytes().len() as u64).sum();
            self.guards.recorded(&group.events, bytes, reading);
            let head = Head { last: sequencer.last(), root: sequencer.root() };
            self.publisher.publish(group.events, group.event_bytes, head);
        }
        answered.extend(group.replies);
        Ok(answered)
    }

    /// Says why nothing is decided any more.
    fn note_stop(&self, cause: &str) {
        *self.stopped.lock() = Some(cause.into());
    }

    /// Puts the state as of the end of the log, with a new index, in the place of one whose index is damaged.
    fn rebuild(&mut self, sequencer: &mut Sequencer, fault: &str) -> Result<(), String> {
        if self.rebuilt.is_some_and(|before| before.elapsed() < REBUILD_AGAIN_AFTER) {
            return Err(format!(
                "the index of usage identities is damaged soon after it was rebuilt: {fault}"
            ));
        }
        // Nobody may be left in the folder of the index when the next one begins to use it.
        *sequencer = Sequencer::new(Box::new(MemoryIndex::default()));
        let rebuilt = self.recovery.rebuild(&*self.store, fault, &self.closing)?;
        let (head, here) = (self.publisher.head(), Head { last: rebuilt.last(), root: rebuilt.root() });
        if here != head {
            return Err(format!(
                "the log ends at sequence {}, and {} was acknowledged",
                here.last, head.last
            ));
        }
        self.rebuilt = Some(Instant::now());
        *sequencer = rebuilt;
        Ok(())
    }

    fn take_snapshot(&mut self, sequencer: &mut Sequencer) -> Result<(), String> {
        let Some(file) = &self.recovery.snapshot else { return Ok(()) };
        let last = sequencer.last();
        if let Some(short) = self.guards.room().and_then(|room| room.short()) {
            self.snapshot_at = last;
            warn!(%short, "the state of the writer is not snapshotted");
            return Err(short.to_string());
        }
        let taken = sequencer.seen().checkpoint(last).and_then(|()| file.write(&sequencer.snapshot()));
        self.snapshot_at = last;
        taken.inspect_err(|cause| error!(%cause, "the state of the writer could not be snapshotted"))
    }
}

/// What waits besides the first command, up to the size of a group.
fn gather(first: (Reply, Queued), commands: &mut mpsc::Receiver<(Reply, Queued)>) -> Vec<(Reply, Queued)> {
    let weight = |queued: &Queued| match &queued.what {
        What::Do(Command::RecordUsage(command)) => command.reports.len(),
        _ => 1,
    };
    let value_bytes = |queued: &Queued| match &queued.what {
        What::Do(command) | What::IfUnmoved { command, .. } => command.value_bytes(),
        What::Repeat => 0,
    };
    let (mut reports, mut bytes) = (weight(&first.1), value_bytes(&first.1));
    let mut group = vec![first];
    while group.len() < GROUP_COMMANDS && reports < GROUP_REPORTS && bytes < GROUP_BYTES {
        let Ok(next) = commands.try_recv() else { break };
        reports += weight(&next.1);
        bytes += value_bytes(&next.1);
        group.push(next);
    }
    group
}
