//! What is wrong with a running program, in one place: anyone who finds a new kind of fault adds it to [`HealthFault`]
//! and to `Engine::faults`.
//!
//! Invariants: everything here answers from memory. No look at the disk, and no lock that is held while something is
//! rated, folded or snapshotted, so that health is told when nothing else goes on. What is on the disk is looked at by
//! a thread of its own ([`Monitor::watch`]); a disk that does not answer it is itself a fault.
//!
//! Not here: how it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::ledger::Ledger;
use slapledger_core::log::store::{EventStore, StoreStats};

/// How often the disk is looked at.
const EVERY: Duration = Duration::from_secs(5);
/// How long a look at the disk may take before that is a fault.
const DISK_PATIENCE: Duration = Duration::from_secs(60);

/// Something that a restart or a person has to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HealthFault {
    /// No command is carried out any more; reads go on.
    #[error("the writer has stopped: {cause}")]
    WriterStopped {
        /// What happened.
        cause: Arc<str>,
    },
    /// A view shows what was so, and no more.
    #[error("view {view} has stopped: {cause}")]
    ViewStopped {
        /// Which.
        view: &'static str,
        /// What happened.
        cause: Arc<str>,
    },
    /// The store has put values where it never syncs them.
    #[error("{count} values are in files that are never synced")]
    UnsyncedValues {
        /// How many.
        count: u64,
    },
    /// The clock stepped, or is behind the log.
    #[error("{cause}")]
    ClockInDoubt {
        /// Which times differ, and what to do.
        cause: String,
    },
    /// Less is free on the disk than its reserve.
    #[error("{cause}")]
    DiskFull {
        /// How much is free, and what to do.
        cause: String,
    },
    /// A part of the log is not as it was written, or the log is not copied into its databases.
    #[error("{cause}")]
    LogDamaged {
        /// Epoch, sequences, and what to do.
        cause: String,
    },
    /// Sealed epochs are not copied to where they should be.
    #[error("{cause}")]
    NotShipped {
        /// How many wait, and why.
        cause: String,
    },
    /// Checkpoints are not published, or a witness does not cosign them.
    #[error("{cause}")]
    NotCosigned {
        /// Which witness, and why.
        cause: String,
    },
    /// The disk of the data folder does not answer.
    #[error("the disk of the data folder has not answered for {seconds} s")]
    DiskSilent {
        /// Since when.
        seconds: u64,
    },
}

impl HealthFault {
    /// All codes.
    pub const CODES: [&'static str; 9] = [
        "writer-stopped",
        "view-stopped",
        "unsynced-values",
        "clock-in-doubt",
        "disk-full",
        "log-damaged",
        "not-shipped",
        "not-cosigned",
        "disk-silent",
    ];

    /// A word for programs; it stays when the words for people change.
    pub fn code(&self) -> &'static str {
        match self {
            Self::WriterStopped { .. } => "writer-stopped",
            Self::ViewStopped { .. } => "view-stopped",
            Self::UnsyncedValues { .. } => "unsynced-values",
            Self::ClockInDoubt { .. } => "clock-in-doubt",
            Self::DiskFull { .. } => "disk-full",
            Self::LogDamaged { .. } => "log-damaged",
            Self::NotShipped { .. } => "not-shipped",
            Self::NotCosigned { .. } => "not-cosigned",
            Self::DiskSilent { .. } => "disk-silent",
        }
    }
}

/// What is known of the disk, as it was looked at last; and whether the program is stopping.
#[derive(Debug)]
pub struct Monitor {
    seen: Mutex<DiskLook>,
    /// When the event was recorded that was the last one at the start.
    recorded_before: Option<Timestamp>,
    stopping: AtomicBool,
}

#[derive(Debug)]
struct DiskLook {
    store: StoreStats,
    /// Since when a look is under way.
    looking_since: Option<Instant>,
}

impl Monitor {
    /// What is seen of a ledger now. Reads from the disk.
    pub fn of(ledger: &Ledger) -> Self {
        let head = ledger.head().last;
        let last = ledger.feed().poll(Sequence(head.0.saturating_sub(1)));
        let recorded_before = last.ok().flatten().and_then(|group| Some(group.last()?.recorded_at));
        let seen = DiskLook { store: ledger.store().stats(), looking_since: None };
        Self { seen: Mutex::new(seen), recorded_before, stopping: AtomicBool::new(false) }
    }

    /// Looks at the disk from time to time, on a thread of its own, until what is returned is dropped.
    pub fn watch(self: &Arc<Self>, store: Arc<dyn EventStore>) -> Watching {
        let (end, ended) = mpsc::channel::<()>();
        let monitor = Arc::clone(self);
        let watch = move || {
            while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                monitor.look(|| store.stats());
            }
        };
        let thread = thread::Builder::new().name("health".into()).spawn(watch);
        let thread = thread.inspect_err(|error| tracing::error!(%error, "the disk is not looked at"));
        Watching { end: Some(end), thread: thread.ok() }
    }

    /// Looks at the disk.
    pub fn look(&self, look: impl FnOnce() -> StoreStats) {
        self.seen.lock().looking_since = Some(Instant::now());
        let store = look();
        *self.seen.lock() = DiskLook { store, looking_since: None };
    }

    /// As if a look were under way since then, for tests of what is told of it.
    #[doc(hidden)]
    pub fn pretend_looking_since(&self, since: Instant) {
        self.seen.lock().looking_since = Some(since);
    }

    /// The store as it was looked at last.
    pub fn store(&self) -> StoreStats {
        self.seen.lock().store
    }

    /// When the last event was recorded.
    pub fn recorded_at(&self, ledger: &Ledger) -> Option<Timestamp> {
        // What was recorded since the start is in memory, at least the last of it.
        ledger.feed().last_recorded_at().or(self.recorded_before)
    }

    /// From now on no new requests are taken.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the program is stopping.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// What is wrong with the disk.
    pub fn faults(&self) -> impl Iterator<Item = HealthFault> + use<> {
        let DiskLook { store, looking_since } = *self.seen.lock();
        let unsynced = (store.blobs > 0).then_some(HealthFault::UnsyncedValues { count: store.blobs });
        let silent = looking_since.map(|since| since.elapsed()).filter(|waited| *waited > DISK_PATIENCE);
        let silent = silent.map(|waited| HealthFault::DiskSilent { seconds: waited.as_secs() });
        unsynced.into_iter().chain(silent)
    }
}

/// The disk is looked at for as long as this is kept. Dropping it waits for a look that is under way, as it holds the
/// store.
#[derive(Debug)]
pub struct Watching {
    end: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that looks at the disk panicked");
        }
    }
}
