//! The ledger: commands in, durable events out, and a feed of them for everybody who reads.
//!
//! One thread decides. It takes what waits in two bounded queues, lets the [`Sequencer`] decide it, and hands groups of
//! events on: others encode, hash and compress them, and one has the store make them durable, publishes them, and only
//! then answers. Every answer, also "unchanged" and "refused", waits until what its decision saw is durable. If an
//! append fails or nobody knows how it ended, the writer stops and its state is discarded, with all groups that were on
//! their way; the next start reads the log. Readers never hold it up.
//!
//! The state is ahead of the log. Each decision therefore says which events it rests on; usage matters only to commands
//! about usage. Anyone who finds the state free may tell a sender at once that a command changes nothing or is refused,
//! if all that it rests on is durable. Most commands say again what was said before; to hand them over to the writer and
//! back takes several times as long as to decide them.

mod clock_guard;
mod declared;
mod feed;
mod guards;
mod idempotency;
mod pipeline;
mod queue;
mod read_only;
mod recovery;
mod room;
mod sequencer;
mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::domain::event::{LedgerCreated, Mode, Stream};
use crate::domain::id::{ProjectId, Sequence};
use crate::domain::time::Timestamp;
use crate::domain::{Answer, Command, Refusal};
use crate::log::envelope::{EnvelopeError, Meta};
use crate::log::frame::FrameError;
use crate::log::store::{Appended, EventStore, Head, StoreFault, Term};

use declared::PublishedResources;
use guards::Guards;
use pipeline::{Committer, Pipeline, failure};
use queue::{CommandQueue, command_queue};
use recovery::Recovery;
use writer::Writer;

pub use clock_guard::{ClockBounds, ClockDoubt, ClockDoubtCause};
pub use declared::DeclaredResources;
pub use feed::{Feed, Publisher};
pub use guards::{ClockStatus, GuardOptions};
pub use read_only::{created, last_event};
pub use recovery::{IndexAt, NoIndex};
pub use room::{
    DEFAULT_RESERVE_BYTES, DiskRoom, FreeSpace, LookForSpace, RoomOptions, RoomShort, RoomStatus,
};
pub use sequencer::{DecidedGroup, Sequencer, Undecided};
pub use snapshot::SnapshotFile;

/// The format of envelope and payloads that a new ledger is written in.
pub const FORMAT: u16 = 1;

/// What time it is. Only the edge looks at a real clock.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;

    /// How much time has passed since an instant that stays the same while the machine runs, whatever the clock is set
    /// to.
    /// `None`, if the clock steps by design, as one does that is set by hand: then it is not watched.
    fn elapsed(&self) -> Option<Duration> {
        None
    }
}

/// A command on its way to the writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Who sends it, and under which name.
    pub meta: Arc<Meta>,
    /// What is to be done.
    pub command: Command,
}

/// A command in the queue, and what must hold for it to be carried out. One whose name is known is answered as it was
/// the first time, whatever holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Who sends it, and under which name.
    pub meta: Arc<Meta>,
    /// What is to be done.
    pub what: What,
}

/// What is to be done, and when not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// This.
    Do(Command),
    /// This, if nothing happened in a stream since its sender looked.
    IfUnmoved {
        /// What is to be done.
        command: Command,
        /// Where nothing must have happened.
        stream: Stream,
        /// The last event its sender saw.
        since: Sequence,
    },
    /// Nothing but to give the answer again.
    Repeat,
}

impl From<Submission> for Queued {
    fn from(submission: Submission) -> Self {
        let Submission { meta, command } = submission;
        Self { meta, what: What::Do(command) }
    }
}

/// A command that was carried out, durably.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What its sender is told.
    pub answer: Answer,
    /// The last event its decision saw or made.
    pub sequence: Sequence,
    /// How many events it made.
    pub events: usize,
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The sender's mistake.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The sender used the name of another command.
    #[error("idempotency key was used before with a different request")]
    CommandIdReused,
    /// It would make an event longer than the log takes.
    #[error("{event} would have {bytes} bytes; an event has at most 65535")]
    TooLarge {
        /// Which event.
        event: &'static str,
        /// How long it would be.
        bytes: usize,
    },
    /// It was carried out before, and its answer cannot be given again.
    #[error(
        "this request was already processed; its answer, recorded as sequence {sequence}, cannot be read"
    )]
    AnswerUnreadable {
        /// Where the answer stands.
        sequence: Sequence,
    },
    /// It was to be carried out only if nothing had happened meanwhile, or if it had been carried out before.
    #[error("the resource was modified concurrently; read it again and retry")]
    ModifiedConcurrently,
    /// The clock is in doubt, and nothing is recorded.
    #[error(
        "{0}; nothing is recorded until the clock is corrected, or an admin of all projects confirms it: \
         slapledger clock confirm"
    )]
    ClockUnconfirmed(ClockDoubt),
    /// It would issue a document, and the log is ahead of the clock.
    #[error(
        "the clock shows {now}, earlier than the last event, recorded at {recorded_at}; no invoice or credit note is \
         issued before the clock has passed that time"
    )]
    ClockBehind {
        /// What the clock shows.
        now: Timestamp,
        /// When the last event was recorded.
        recorded_at: Timestamp,
    },
    /// It confirms another time than the clock shows.
    #[error(
        "now is {stated}, and the clock of the server shows {now}; they must be within a minute of each other: correct \
         the clock, or state the time that it shows"
    )]
    ClockStatedOtherwise {
        /// What it confirms.
        stated: Timestamp,
        /// What the clock shows.
        now: Timestamp,
    },
    /// There is less room on the disk than is kept free.
    #[error(transparent)]
    NoRoom(#[from] RoomShort),
    /// Too many commands are waiting; it may be sent again.
    #[error("too many commands are waiting")]
    Busy,
    /// The writer has stopped: a fault of ours.
    #[error("the ledger has stopped taking commands: {0}")]
    Stopped(Arc<str>),
}

/// Why a ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// A frame does not continue those before it.
    #[error("read the frame at sequence {sequence}")]
    Frame {
        /// Its first sequence.
        sequence: Sequence,
        /// What is wrong.
        source: FrameError,
    },
    /// An event cannot be read.
    #[error("read the event at sequence {sequence}")]
    Event {
        /// Which.
        sequence: Sequence,
        /// What is wrong.
        source: EnvelopeError,
    },
    /// The ledger is of another mode.
    #[error("the folder holds a {found} ledger: use `slapledger {found} --data DIR`, or another --data")]
    OtherMode {
        /// What it is.
        found: Mode,
        /// What it was to be.
        wanted: Mode,
    },
    /// What is sealed in the ledger was sealed with other keys.
    #[error("open a ledger whose values are sealed with another key ring")]
    OtherKeys,
    /// It holds nothing.
    #[error("open a log without events: nothing was ever written to it")]
    Empty,
    /// Its first event is not the one that a ledger begins with.
    #[error("read the log: its first event is not that of a ledger")]
    NoLedger,
    /// The first events could not be made durable.
    #[error("write the first events of this start: {0}")]
    Start(String),
}

/// What failed by the time a ledger was shut down. What was acknowledged is in the log all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShutdownFault {
    /// The writer had stopped by itself.
    #[error("the writer stopped on a fault: {0}")]
    WriterStopped(Arc<str>),
    /// The thread of the writer panicked.
    #[error("the writer panicked")]
    WriterPanicked,
    /// The last snapshot of the writer is not there: the next start reads more of the log.
    #[error("snapshot the state of the writer: {0}")]
    Snapshot(String),
}

/// How a ledger is opened.
pub struct LedgerOptions {
    /// What it is run as.
    pub mode: Mode,
    /// Its id, if it is new.
    pub new_ledger: [u8; 16],
    /// The key ring that its values are sealed with.
    pub key_ring: [u8; 16],
    /// Name and version of the program.
    pub program: String,
    /// Commands that may wait; more are answered "busy".
    pub queue: usize,
    /// Where the writer's state is kept between starts; nowhere, if not said.
    pub snapshot: Option<PathBuf>,
    /// Makes the index of usage identities.
    pub seen: IndexAt,
}

/// Why the writer stopped, once it has. The first cause counts.
#[derive(Default)]
struct StopCause(Mutex<Option<Arc<str>>>);

impl StopCause {
    /// Says why nothing is decided any more.
    fn note(&self, cause: &str) {
        self.0.lock().get_or_insert_with(|| cause.into());
    }

    fn get(&self) -> Option<Arc<str>> {
        self.0.lock().clone()
    }
}

/// How long the post of a node waits for room in the queue: it has deleted its report before it sends it.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many commands wait for the writer, and how many may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueStatus {
    /// How many wait now.
    pub waiting: usize,
    /// How many may wait; more are answered "busy".
    pub most: usize,
}

/// Told how long an append took: until its events were durable.
pub type AppendObserver = Box<dyn Fn(Duration) + Send + Sync>;

/// A running ledger.
pub struct Ledger {
    observer: Arc<OnceLock<AppendObserver>>,
    queue: Mutex<Option<Arc<CommandQueue>>>,
    sequencer: Arc<RwLock<Sequencer>>,
    publisher: Arc<Publisher>,
    resources: Arc<PublishedResources>,
    store: Arc<dyn EventStore>,
    writer: Mutex<Option<thread::JoinHandle<Result<(), String>>>>,
    stopped: Arc<StopCause>,
    closing: Arc<AtomicBool>,
    created: LedgerCreated,
    term: Term,
    clock: Arc<dyn Clock>,
    guards: Arc<Guards>,
}

impl Ledger {
    /// Reads the log (a snapshot and what came after it), fences earlier writers, and begins to write.
    pub fn open(
        store: Arc<dyn EventStore>,
        clock: Arc<dyn Clock>,
        options: LedgerOptions,
    ) -> Result<Self, OpenFault> {
        Self::open_guarded(store, clock, options, GuardOptions::default())
    }

    /// The same with a writer that watches clock and disk within these bounds.
    pub fn open_guarded(
        store: Arc<dyn EventStore>,
        clock: Arc<dyn Clock>,
        options: LedgerOptions,
        guards: GuardOptions,
    ) -> Result<Self, OpenFault> {
        let term = store.acquire()?;
        let snapshot = options.snapshot.map(SnapshotFile::new);
        let recovery = Recovery { snapshot, index: options.seen };
        let mut sequencer = recovery.open(&*store)?;
        if let Some(created) = sequencer.created().filter(|created| created.mode != options.mode) {
            return Err(OpenFault::OtherMode { found: created.mode, wanted: options.mode });
        }
        if sequencer.created().is_some_and(|created| created.key_ring != options.key_ring) {
            return Err(OpenFault::OtherKeys);
        }
        sequencer.set_usage_limits(guards.usage);
        let snapshot_at = sequencer.last();
        let (ledger, key_ring) = (options.new_ledger, options.key_ring);
        let (format, mode) = (FORMAT, options.mode);
        let expected = sequencer.last();
        let guards = Arc::new(Guards::new(Arc::clone(&clock), guards, &sequencer));
        // A clock that is in doubt does not date this event: it is recorded at the time of the last one.
        let now = guards.time_of_start();
        let start = sequencer.start(
            now,
            term,
            &options.program,
            &LedgerCreated { ledger, format, mode, key_ring, at: now },
        );
        match store.append(term, expected, &start.frames) {
            Appended::Durable => {}
            other => return Err(OpenFault::Start(failure(&other))),
        }
        guards.began(&start.events);
        let head = Head { last: sequencer.last(), root: sequencer.root() };
        let created =
            sequencer.created().cloned().ok_or_else(|| OpenFault::Start("it was not created".into()))?;
        let publisher = Arc::new(Publisher::new(Arc::clone(&store), head));
        let resources = Arc::new(PublishedResources::known_to(&sequencer));
        let (queue, commands) = command_queue(options.queue);
        let stopped = Arc::<StopCause>::default();
        let closing = Arc::new(AtomicBool::new(false));
        let sequencer = Arc::new(RwLock::new(sequencer));
        let observer = Arc::<OnceLock<AppendObserver>>::default();
        let committer = Committer {
            observer: Arc::clone(&observer),
            term,
            store: Arc::clone(&store),
            guards: Arc::clone(&guards),
            publisher: Arc::clone(&publisher),
            resources: Arc::clone(&resources),
            stopped: Arc::clone(&stopped),
            tree: sequencer.read().tree().clone(),
        };
        let writer = Writer {
            sequencer: Arc::clone(&sequencer),
            store: Arc::clone(&store),
            guards: Arc::clone(&guards),
            publisher: Arc::clone(&publisher),
            stopped: Arc::clone(&stopped),
            closing: Arc::clone(&closing),
            recovery,
            rebuilt: None,
            snapshot_at,
            snapshotting: None,
        };
        let fault = |error: std::io::Error| OpenFault::Start(error.to_string());
        let pipeline = Pipeline::begin(committer).map_err(fault)?;
        let run = move || {
            pipeline.wake_on_failure();
            writer.run(commands, pipeline)
        };
        let thread = thread::Builder::new().name("writer".into()).spawn(run).map_err(fault)?;
        queue.set_writer(thread.thread().clone());
        let (queue, writer) = (Mutex::new(Some(Arc::new(queue))), Mutex::new(Some(thread)));
        guards.begin().map_err(|error| OpenFault::Start(error.to_string()))?;
        Ok(Self {
            observer,
            queue,
            sequencer,
            publisher,
            resources,
            store,
            writer,
            stopped,
            closing,
            created,
            term,
            clock,
            guards,
        })
    }

    /// Tells of each append from now on. There is one observer, the first.
    pub fn observe_appends(&self, observe: AppendObserver) {
        let _ = self.observer.set(observe);
    }

    /// Carries a command out; returns when its outcome is durable.
    pub async fn submit(&self, submission: Submission) -> Result<Accepted, SubmitError> {
        // After the last command nothing is told any more.
        self.queue()?;
        if let Some(told) = self.decide_here(&submission) {
            return told;
        }
        self.enqueue(submission.into()).await
    }

    /// The same, if nothing happened in a stream since its sender looked; else it is refused as moved.
    pub async fn submit_if_unmoved(
        &self,
        submission: Submission,
        stream: Stream,
        since: Sequence,
    ) -> Result<Accepted, SubmitError> {
        let Submission { meta, command } = submission;
        self.enqueue(Queued { meta, what: What::IfUnmoved { command, stream, since } }).await
    }

    /// What a command of this name was answered, if there was one.
    pub async fn answer_of(&self, meta: Arc<Meta>) -> Result<Option<Accepted>, SubmitError> {
        match self.enqueue(Queued { meta, what: What::Repeat }).await {
            Err(SubmitError::ModifiedConcurrently) => Ok(None),
            answered => answered.map(Some),
        }
    }

    async fn enqueue(&self, queued: Queued) -> Result<Accepted, SubmitError> {
        let queue = self.queue()?;
        let (reply, answer) = oneshot::channel();
        let of = queue.of(&queued).ok_or_else(|| self.stopped())?;
        of.try_send((reply, queued)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SubmitError::Busy,
            mpsc::error::TrySendError::Closed(_) => self.stopped(),
        })?;
        queue.wake();
        // It may be the last that keeps the queue open.
        drop(queue);
        answer.await.unwrap_or_else(|_| Err(self.stopped()))
    }

    /// The same for the post of a node, which cannot repeat it: waits first, for room on the disk and in the queue.
    pub async fn submit_patiently(&self, submission: Submission) -> Result<Accepted, SubmitError> {
        let queue = self.queue()?;
        if let Some(told) = self.decide_here(&submission) {
            return told;
        }
        if let Some(room) = self.guards.room() {
            room.wait(PATIENCE).await?;
        }
        let (reply, answer) = oneshot::channel();
        let queued = Queued::from(submission);
        let of = queue.of(&queued).ok_or_else(|| self.stopped())?;
        match of.send_timeout((reply, queued), PATIENCE).await {
            Ok(()) => queue.wake(),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => return Err(SubmitError::Busy),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => return Err(self.stopped()),
        }
        drop(queue);
        answer.await.unwrap_or_else(|_| Err(self.stopped()))
    }

    /// The same for a thread without a runtime.
    pub fn submit_blocking(&self, submission: Submission) -> Result<Accepted, SubmitError> {
        // After the last command nothing is told any more.
        self.queue()?;
        if let Some(told) = self.decide_here(&submission) {
            return told;
        }
        self.begin_blocking(submission)?.wait()
    }

    /// Hands a command over, when there is room in the queue, and leaves its outcome to be waited for: what somebody
    /// hands over meanwhile is made durable together. For a thread without a runtime.
    pub fn begin_blocking(&self, submission: Submission) -> Result<UnderWay<'_>, SubmitError> {
        let queue = self.queue()?;
        let (reply, answer) = oneshot::channel();
        let queued = Queued::from(submission);
        let of = queue.of(&queued).ok_or_else(|| self.stopped())?;
        of.blocking_send((reply, queued)).map_err(|_| self.stopped())?;
        queue.wake();
        Ok(UnderWay { ledger: self, answer })
    }

    /// What a command that changes nothing is answered, if that can be told without the writer: see the module.
    fn decide_here(&self, submission: &Submission) -> Option<Result<Accepted, SubmitError>> {
        let sequencer = self.sequencer.try_read()?;
        // The writer says so before it lets go of a state that may be good for nothing.
        if self.stopped.get().is_some() {
            return None;
        }
        sequencer.decide_unchanged(self.clock.now(), self.publisher.head().last, submission)
    }

    fn queue(&self) -> Result<Arc<CommandQueue>, SubmitError> {
        self.queue.lock().clone().ok_or_else(|| self.stopped())
    }

    fn stopped(&self) -> SubmitError {
        SubmitError::Stopped(self.stopped.get().unwrap_or_else(|| "it is shutting down".into()))
    }

    /// Why the writer stopped, if it did by itself.
    pub fn fault(&self) -> Option<Arc<str>> {
        self.stopped.get()
    }

    /// Confirms what the clock shows, if it is in doubt; `None`, if it is not. `stated` is what the operator says that
    /// it should show, which must be within a minute of what it does.
    pub async fn confirm_clock(
        &self,
        meta: Arc<Meta>,
        stated: Timestamp,
    ) -> Result<Option<Accepted>, SubmitError> {
        let Some(command) = self.guards.confirmation(stated)? else { return Ok(None) };
        self.enqueue(Submission { meta, command }.into()).await.map(Some)
    }

    /// The same for a thread without a runtime.
    pub fn confirm_clock_blocking(
        &self,
        meta: Arc<Meta>,
        stated: Timestamp,
    ) -> Result<Option<Accepted>, SubmitError> {
        let Some(command) = self.guards.confirmation(stated)? else { return Ok(None) };
        self.begin_blocking(Submission { meta, command })?.wait().map(Some)
    }

    /// Why nothing is recorded at the moment, if nothing is. To be asked before something durable is made for a
    /// command, such as a key: what is refused must not fill the disk. The writer asks again.
    pub fn check_recording(&self) -> Result<(), SubmitError> {
        self.guards.check_recording()
    }

    /// The same for a command that issues a document.
    pub fn check_issuing(&self) -> Result<(), SubmitError> {
        self.guards.check_issuing()
    }

    /// How the clock is doing.
    pub fn clock_status(&self) -> ClockStatus {
        self.guards.clock_status()
    }

    /// What is wrong with the clock, in words.
    pub fn clock_fault(&self) -> Option<String> {
        self.guards.clock_fault()
    }

    /// What is wrong with the room on the disk, in words.
    pub fn room_fault(&self) -> Option<String> {
        self.guards.room_fault()
    }

    /// The room on the disk, if it is watched.
    pub fn room(&self) -> Option<&Arc<DiskRoom>> {
        self.guards.room()
    }

    /// How full the queue of the writer is; `None` after the last command.
    pub fn queue_status(&self) -> Option<QueueStatus> {
        self.queue.lock().as_ref()?.status()
    }

    /// The end of what is durable and published.
    pub fn head(&self) -> Head {
        self.publisher.head()
    }

    /// The resources that the price books of a project declare; `None`, if it has no price book.
    pub fn declared_resources(&self, project: ProjectId) -> Option<Arc<DeclaredResources>> {
        self.resources.of(project)
    }

    /// All events as they become durable, from any sequence on.
    pub fn feed(&self) -> Feed {
        Feed::new(&self.publisher)
    }

    /// The log, to read.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// The first event.
    pub fn created(&self) -> &LedgerCreated {
        &self.created
    }

    /// The reign of this writer.
    pub fn term(&self) -> Term {
        self.term
    }

    /// The clock it lives by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Takes no more commands, carries out those that wait, snapshots the state, and ends all feeds. The error is what
    /// failed, now or before.
    pub fn shut_down(&self) -> Result<(), ShutdownFault> {
        self.closing.store(true, Ordering::Relaxed);
        self.queue.lock().take();
        let writer = self.writer.lock().take();
        let ended = writer.map(thread::JoinHandle::join);
        self.guards.end();
        self.publisher.close();
        // A ledger that was opened to be read has no writer that could stop.
        if self.term == Term::default() {
            return Ok(());
        }
        if let Some(cause) = self.fault() {
            return Err(ShutdownFault::WriterStopped(cause));
        }
        match ended {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(cause))) => Err(ShutdownFault::Snapshot(cause)),
            Some(Err(_)) => Err(ShutdownFault::WriterPanicked),
        }
    }
}

/// A command that was handed over; it is carried out whether or not anybody waits for it.
pub struct UnderWay<'a> {
    ledger: &'a Ledger,
    answer: oneshot::Receiver<Result<Accepted, SubmitError>>,
}

impl UnderWay<'_> {
    /// Waits until its outcome is durable.
    pub fn wait(self) -> Result<Accepted, SubmitError> {
        self.answer.blocking_recv().unwrap_or_else(|_| Err(self.ledger.stopped()))
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if let Err(fault) = self.shut_down() {
            error!(%fault, "a ledger did not shut down well");
        }
    }
}
