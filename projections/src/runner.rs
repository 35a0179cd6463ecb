//! Keeps a view up to date with the log, on a thread of its own, while it is read.
//!
//! A group of events (what was made durable together) is taken over under one lock, so that nobody sees half of a
//! command; between groups, readers that wait are let in first. The position is under the same lock: what is read is
//! exact for the sequence it comes with. A view that cannot go on stays readable where it is, and says so.
//!
//! What an event leaves to be done apart ([`View::apply_live`]) is done by a thread of its own, one after the other,
//! while the view goes on and is read; only its result is taken over under the lock. No snapshot is taken meanwhile.
//!
//! A start is a snapshot and the events after it; a snapshot that does not fit the log is discarded. A view has
//! generations: what readers read is one of them, and a rebuild makes another aside ([`rebuild`]).
//!
//! The runner ends with the ledger's feed: shut the ledger down, then [`Runner::finish`].

mod generation;
pub mod rebuild;

use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock, RwLockWriteGuard};
use slapledger_core::domain::id::Sequence;
use slapledger_core::ledger::{DiskRoom, Feed};
use slapledger_core::log::envelope::Recorded;
use slapledger_core::log::store::{EventStore, root_at};
use slapledger_core::log::witness::Witness;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::replay::{ReplayFault, replay};
use crate::snapshot::{ViewSnapshotFile, ViewSnapshotHeader};
use crate::view::{Deferred, View, ViewPart};

pub use generation::GenerationLease;
use generation::{Draining, ViewGeneration};
use rebuild::RebuildDesk;

/// How many events a view may be ahead of its snapshot before another is taken: at least, and at most. In between, as
/// many as make a fifth of the log: a snapshot of a long log is large, and what it saves at a start is not.
const SNAPSHOT_EVERY: RangeInclusive<u64> = 1_000_000..=2_500_000;
const SNAPSHOT_SHARE: u64 = 5;
/// How long the end of a runner waits for work that is done apart. Without it there is no last snapshot, and the next
/// start reads more of the log.
const LAST_WORK: Duration = Duration::from_secs(5);
/// How long a reader waits for a sequence.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a view is kept.
#[derive(Clone)]
pub struct ViewOptions {
    /// The folder of its snapshot; none is taken, if not said.
    pub folder: Option<PathBuf>,
    /// Whether the folder is only read: its snapshot is used, and none is taken.
    pub read_only: bool,
    /// How many events it may be ahead of its snapshot before another is taken, at least and at most.
    pub snapshot_every: RangeInclusive<u64>,
    /// How long a reader waits for a sequence.
    pub patience: Duration,
    /// The room on the disk: while there is too little, no snapshot is taken.
    pub room: Option<Arc<DiskRoom>>,
}

impl Default for ViewOptions {
    fn default() -> Self {
        let (folder, room) = (None, None);
        Self { folder, read_only: false, snapshot_every: SNAPSHOT_EVERY, patience: PATIENCE, room }
    }
}

/// A view cannot be read at the sequence asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadFault {
    /// It did not get there in time; it may be asked again.
    #[error("wait for sequence {wanted}: {name} is at {position}")]
    Behind {
        /// Which view.
        name: &'static str,
        /// The sequence asked for.
        wanted: Sequence,
        /// The one it is at.
        position: Sequence,
    },
    /// It will not get there.
    #[error("wait for sequence {wanted}: {name} has stopped at {position}: {cause}")]
    Stopped {
        /// Which view.
        name: &'static str,
        /// The sequence asked for.
        wanted: Sequence,
        /// The one it is at.
        position: Sequence,
        /// What happened.
        cause: Arc<str>,
    },
}

/// What failed by the time a view was finished. What it shows can be derived from the log again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FinishFault {
    /// It had stopped by itself.
    #[error("view {name} stopped on a fault: {cause}")]
    Stopped {
        /// Which view.
        name: &'static str,
        /// What happened.
        cause: Arc<str>,
    },
    /// Its thread panicked.
    #[error("the thread of view {name} panicked")]
    Panicked {
        /// Which view.
        name: &'static str,
    },
    /// Its last snapshot is not there: the next start reads more of the log.
    #[error("snapshot view {name}: {cause}")]
    Snapshot {
        /// Which view.
        name: &'static str,
        /// What happened.
        cause: String,
    },
}

/// How a view is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub name: &'static str,
    /// The last event it has taken over.
    pub position: Sequence,
    /// The last event in its snapshot; 0 if there is none.
    pub snapshot: Sequence,
    /// How far a rebuild has come, if there is one.
    pub rebuilding: Option<Sequence>,
    /// Why it does not go on, if it does not.
    pub fault: Option<Arc<str>>,
}

/// A view that is kept up to date. Dropping it lets its thread end with the next events.
pub struct Runner<V: View> {
    shared: Arc<RunnerShared<V>>,
    thread: Mutex<Option<thread::JoinHandle<Result<(), String>>>>,
}

#[derive(Debug, Clone)]
struct RunnerProgress {
    position: Sequence,
    fault: Option<Arc<str>>,
    abandoned: bool,
}

impl RunnerProgress {
    fn ends_wait(&self, min: Sequence) -> bool {
        self.position >= min || self.fault.is_some()
    }
}

struct RunnerShared<V> {
    name: &'static str,
    /// The generation that answers readers.
    live: RwLock<Arc<ViewGeneration<V>>>,
    /// Held while a generation takes events over, and while another takes its place. No reader waits for it.
    turn: Mutex<()>,
    /// The generations before the live one, while requests that began with them go on.
    draining: Mutex<Vec<Draining<V>>>,
    progress: watch::Sender<RunnerProgress>,
    /// Threads that wait for progress.
    moved: Condvar,
    waiting: Mutex<()>,
    feed: Feed,
    store: Arc<dyn EventStore>,
    options: ViewOptions,
    /// The last event in the snapshot.
    snapshot: AtomicU64,
    /// The last event when a snapshot was last tried.
    tried: AtomicU64,
    /// What is done apart, to the thread that does it.
    apart: OnceLock<mpsc::Sender<DeferredOf<V>>>,
    /// Held by anyone who writes the snapshot.
    snapshotting: Mutex<()>,
    desk: RebuildDesk<V>,
}

/// What is done apart, and the generation that it is for.
type DeferredOf<V> = (Weak<ViewGeneration<V>>, Deferred<V>);

/// A view as of an event, which nobody keeps up to date yet.
pub struct RestoredView<V> {
    name: &'static str,
    view: V,
    position: Sequence,
    snapshot: Sequence,
}

impl<V: View> RestoredView<V> {
    /// Restores a view as of `until` from its snapshot and the log. Writes nothing, so that it may run while nobody
    /// knows yet whether the ledger will be opened. `progress` is told how far it has come.
    pub fn from_log(
        name: &'static str,
        store: &dyn EventStore,
        folder: Option<&Path>,
        until: Sequence,
        progress: impl FnMut(Sequence),
    ) -> Result<Self, ReplayFault> {
        let started = Instant::now();
        let (view, useless) = restore::<V>(name, store, folder)?;
        let (mut view, snapshot) = view.unwrap_or_default();
        replay(store, &mut view, (snapshot, until), progress)?;
        if let Some(useless) = useless {
            warn!("{useless}; rebuilt from the log in {} ms", started.elapsed().as_millis());
        }
        Ok(Self { name, view, position: until, snapshot })
    }

    /// The name of the view.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The view itself.
    pub fn view(&self) -> &V {
        &self.view
    }
}

impl<V: View> Runner<V> {
    /// Restores a view from its snapshot and the log, and keeps it up to date from then on. Returns when it is at
    /// the end that the feed has now; `progress` is told how far it has come.
    pub fn start(
        name: &'static str,
        feed: Feed,
        store: Arc<dyn EventStore>,
        options: ViewOptions,
        progress: impl FnMut(Sequence),
    ) -> Result<Self, ReplayFault> {
        let until = feed.head().last;
        let restored = RestoredView::from_log(name, &*store, options.folder.as_deref(), until, progress)?;
        Self::follow(restored, feed, store, options)
    }

    /// The same with a view that was restored before; what happened since is taken over first.
    pub fn follow(
        restored: RestoredView<V>,
        feed: Feed,
        store: Arc<dyn EventStore>,
        options: ViewOptions,
    ) -> Result<Self, ReplayFault> {
        let RestoredView { name, mut view, position: restored_to, snapshot } = restored;
        if let Some(folder) = options.folder.as_ref().filter(|_| !options.read_only) {
            ViewSnapshotFile::new(folder, name).remove_unfinished();
        }
        let position = feed.head().last;
        replay(&*store, &mut view, (restored_to, position), |_| ())?;
        info!(view = name, snapshot = snapshot.0, tail = position.0 - snapshot.0, "a view is up to date");
        let shared = Arc::new(RunnerShared {
            name,
            live: RwLock::new(Arc::new(ViewGeneration::new(1, view, position))),
            turn: Mutex::default(),
            draining: Mutex::default(),
            progress: watch::Sender::new(RunnerProgress { position, fault: None, abandoned: false }),
            moved: Condvar::new(),
            waiting: Mutex::default(),
            feed,
            store,
            options,
            snapshot: AtomicU64::new(snapshot.0),
            tried: AtomicU64::new(snapshot.0),
            apart: OnceLock::new(),
            snapshotting: Mutex::default(),
            desk: RebuildDesk::default(),
        });
        let running = Arc::clone(&shared);
        let thread = thread::Builder::new().name(name.into()).spawn(move || running.run());
        let thread = Mutex::new(Some(thread.expect("a start that cannot make a thread goes no further")));
        Ok(Self { shared, thread })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.shared.name
    }

    /// The live generation, for a request that reads it several times: it stays the same for the request, and follows
    /// the log, also when another takes its place meanwhile.
    pub fn lease(&self) -> GenerationLease<V> {
        GenerationLease::take(&self.shared)
    }

    /// Reads the view as it is now, and the last event it has taken over.
    pub fn read<R>(&self, read: impl FnOnce(&V, Sequence) -> R) -> R {
        self.shared.read(None, read)
    }

    /// Reads the view when it has taken over all events up to `min`, or later ones too.
    pub async fn read_at<R>(
        &self,
        min: Sequence,
        read: impl FnOnce(&V, Sequence) -> R,
    ) -> Result<R, ReadFault> {
        self.reach(min).await?;
        Ok(self.read(read))
    }

    /// Waits until the view has taken over all events up to `min`.
    pub async fn reach(&self, min: Sequence) -> Result<(), ReadFault> {
        self.shared.reach(None, min).await
    }

    /// The same as [`read_at`](Self::read_at), for a thread without a runtime.
    pub fn read_at_blocking<R>(
        &self,
        min: Sequence,
        read: impl FnOnce(&V, Sequence) -> R,
    ) -> Result<R, ReadFault> {
        self.shared.reach_blocking(None, min)?;
        Ok(self.read(read))
    }

    /// Reads the view as soon as `read` finds what it looks for, and at the latest in so long; none, if it does not.
    pub async fn read_when<R>(
        &self,
        patience: Duration,
        read: impl Fn(&V, Sequence) -> Option<R>,
    ) -> Option<R> {
        self.shared.read_when(None, patience, read).await
    }

    /// The same, for a thread without a runtime.
    pub fn read_when_blocking<R>(
        &self,
        patience: Duration,
        read: impl Fn(&V, Sequence) -> Option<R>,
    ) -> Option<R> {
        self.shared.read_when_blocking(None, patience, read)
    }

    /// Waits until all that was left to be done apart is taken over, so long at most; whether it is.
    pub fn settle(&self, patience: Duration) -> bool {
        let settled = || self.shared.live().is_settled().then_some(());
        self.read_when_blocking(patience, |_, _| settled()).is_some()
    }

    /// The last event it has taken over.
    pub fn position(&self) -> Sequence {
        self.shared.live().position()
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        let RunnerShared { name, progress, snapshot, desk, .. } = &*self.shared;
        let RunnerProgress { position, fault, .. } = progress.borrow().clone();
        let rebuilding = desk.reached();
        Status { name, position, snapshot: Sequence(snapshot.load(Ordering::Relaxed)), rebuilding, fault }
    }

    /// What it holds in short, and the last event in it. Takes as long as writing all of it; readers and the fold go on
    /// meanwhile, for it is done with a copy.
    pub fn parts(&self) -> (Vec<ViewPart>, Sequence) {
        let (view, position) = self.shared.live().copy();
        (view.parts(), position)
    }

    /// Takes a snapshot now, if there is a folder for it. A failure is logged: the next start takes longer.
    pub fn snapshot(&self) {
        let _ = self.shared.take_snapshot();
    }

    /// Waits until the feed has ended and the last snapshot is taken. The ledger must be shut down before. The error is
    /// what failed, now or before.
    pub fn finish(&self) -> Result<(), FinishFault> {
        let name = self.shared.name;
        self.shared.desk.close();
        let thread = self.thread.lock().take();
        let ended = thread.map(thread::JoinHandle::join);
        if let Some(cause) = self.shared.progress.borrow().fault.clone() {
            return Err(FinishFault::Stopped { name, cause });
        }
        match ended {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(cause))) => Err(FinishFault::Snapshot { name, cause }),
            Some(Err(_)) => Err(FinishFault::Panicked { name }),
        }
    }
}

impl<V: View> Drop for Runner<V> {
    fn drop(&mut self) {
        self.shared.progress.send_modify(|progress| progress.abandoned = true);
        self.shared.desk.abandon();
    }
}

/// What a snapshot file came to: the view and the last event in it, and what is wrong with the file.
type SnapshotRead<V> = (Option<(V, Sequence)>, Option<String>);

/// The view of the snapshot and the last event in it, if there is one that can be used.
fn restore<V: View>(
    name: &'static str,
    store: &dyn EventStore,
    folder: Option<&Path>,
) -> Result<SnapshotRead<V>, ReplayFault> {
    let Some(folder) = folder else { return Ok((None, None)) };
    let mut fault = None;
    let fits = |header: &ViewSnapshotHeader| {
        header.name == name
            && root_at(store, header.sequence).map_or_else(
                |error| {
                    fault = Some(error);
                    false
                },
                |root| root == Some(header.root),
            )
    };
    let restored = ViewSnapshotFile::new(folder, name).read::<V>(fits);
    if let Some(fault) = fault {
        return Err(fault.into());
    }
    Ok(match restored {
        Ok(found) => (found.map(|(header, view)| (view, header.sequence)), None),
        Err(useless) => (None, Some(useless)),
    })
}

/// What the snapshot of a view that nobody runs keeps: the digests of its projections, and the last event in it.
/// `None` if there is no snapshot, or none that can be used, which is logged.
pub fn kept<V: View>(
    name: &'static str,
    store: &dyn EventStore,
    folder: &Path,
) -> Result<Option<(Vec<ViewPart>, Sequence)>, ReplayFault> {
    let (view, useless) = restore::<V>(name, store, Some(folder))?;
    if let Some(useless) = useless {
        warn!("{useless}; nothing is compared with it");
    }
    let view = view.filter(|(_, position)| *position > Sequence::ZERO);
    Ok(view.map(|(view, position)| (view.parts(), position)))
}

/// What the snapshot of a view in this folder says of the log, if there is one.
pub fn witness(name: &str, folder: &Path) -> Option<Witness> {
    let file = format!("{}/{name}.snapshot", folder.file_name()?.to_string_lossy());
    ViewSnapshotFile::new(folder, name).witness(&file)
}

impl<V: View> RunnerShared<V> {
    /// The generation that answers readers.
    fn live(&self) -> Arc<ViewGeneration<V>> {
        Arc::clone(&self.live.read())
    }

    fn tell(&self, change: impl FnOnce(&mut RunnerProgress)) {
        self.progress.send_modify(change);
        // Anyone who looked before this and waits since then has given the lock away by now.
        drop(self.waiting.lock());
        self.moved.notify_all();
    }

    /// Has work done apart, for a generation.
    fn defer(self: &Arc<Self>, generation: &Arc<ViewGeneration<V>>, work: Deferred<V>) {
        let to = self.apart.get_or_init(|| {
            let (to, all) = mpsc::channel::<DeferredOf<V>>();
            // It ends with the view: it keeps nothing of it while it waits.
            let shared = Arc::downgrade(self);
            let work = move || {
                for (generation, work) in all {
                    let done = catch_unwind(AssertUnwindSafe(|| work.run()));
                    let Some(shared) = shared.upgrade() else { return };
                    let Some(generation) = generation.upgrade() else { continue };
                    if let Ok(finish) = done {
                        finish(&mut generation.kept.write().view);
                    } else if Arc::ptr_eq(&generation, &shared.live()) {
                        let cause: Arc<str> = "what was done apart panicked".into();
                        error!(view = shared.name, %cause, "a view stops");
                        shared.tell(|progress| progress.fault = Some(cause));
                    } else {
                        // One whose place another took may be broken: that is no fault of the view.
                        error!(
                            view = shared.name,
                            generation = generation.number,
                            "what was done apart panicked"
                        );
                    }
                    generation.unfinished.fetch_sub(1, Ordering::AcqRel);
                    shared.tell(|_| ());
                }
            };
            let thread = thread::Builder::new().name(format!("{}-apart", self.name)).spawn(work);
            drop(thread.expect("a thread is made for the first run, when there are few"));
            to
        });
        // The thread ends only with what it is a part of.
        let _ = to.send((Arc::downgrade(generation), work));
    }

    /// The error is that of the last snapshot; why the view stopped by itself is said in its progress.
    fn run(self: &Arc<Self>) -> Result<(), String> {
        if let Err(cause) = self.follow() {
            let cause: Arc<str> = cause.into();
            error!(view = self.name, %cause, "a view stops");
            self.tell(|progress| progress.fault = Some(cause));
            return Ok(());
        }
        let until = Instant::now() + LAST_WORK;
        let mut waiting = self.waiting.lock();
        while !self.live().is_settled() && !self.moved.wait_until(&mut waiting, until).timed_out() {}
        drop(waiting);
        self.take_snapshot()
    }

    /// Takes over what the feed gives, until it ends.
    fn follow(self: &Arc<Self>) -> Result<(), String> {
        let mut position = self.live().position();
        while let Some(group) = self.feed.next(position)? {
            position = match catch_unwind(AssertUnwindSafe(|| self.take_over(&group))) {
                Ok(taken) => taken?,
                Err(_) => {
                    return Err(format!(
                        "a fold panicked between sequence {} and its group's last",
                        position.next()
                    ));
                }
            };
            let abandoned = self.progress.borrow().abandoned;
            if abandoned {
                return Ok(());
            }
            let tried = self.tried.load(Ordering::Relaxed);
            let (least, most) = self.options.snapshot_every.clone().into_inner();
            if position.0 - tried >= (tried / SNAPSHOT_SHARE).clamp(least, most) {
                // A failure is logged, and it is tried again.
                let _ = self.take_snapshot();
            }
        }
        Ok(())
    }

    fn take_over(self: &Arc<Self>, group: &[Recorded]) -> Result<Sequence, String> {
        let turn = self.turn.lock();
        let position = self.take_over_into(&self.live(), group)?;
        let gone = self.drain(group);
        drop(turn);
        // To free it takes time.
        drop(gone);
        self.tell(|progress| progress.position = position);
        if group.is_empty() { Err(format!("nothing follows {position} in its feed")) } else { Ok(position) }
    }

    fn take_over_into(
        self: &Arc<Self>,
        generation: &Arc<ViewGeneration<V>>,
        group: &[Recorded],
    ) -> Result<Sequence, String> {
        let mut deferred = Vec::new();
        let mut kept = generation.kept.write();
        for event in group {
            if event.sequence != kept.position.next() {
                return Err(format!("sequence {} follows {} in its feed", event.sequence, kept.position));
            }
            deferred.extend(kept.view.apply_live(event));
            kept.position = event.sequence;
        }
        let position = kept.position;
        // Whoever holds the lock next sees that something is left.
        generation.unfinished.fetch_add(deferred.len(), Ordering::AcqRel);
        RwLockWriteGuard::unlock_fair(kept);
        for work in deferred {
            self.defer(generation, work);
        }
        Ok(position)
    }

    /// Generations before the live one follow while requests that began with them go on; those that do not any more. That
    /// one cannot is no fault of the view.
    fn drain(self: &Arc<Self>, group: &[Recorded]) -> Vec<Draining<V>> {
        let mut draining = self.draining.lock();
        let follows = |old: &Draining<V>| {
            old.is_wanted() && {
                let taken = catch_unwind(AssertUnwindSafe(|| self.take_over_into(&old.generation, group)));
                matches!(taken, Ok(Ok(_)))
            }
        };
        let (gone, followed) = std::mem::take(&mut *draining).into_iter().partition(|old| !follows(old));
        *draining = followed;
        gone
    }

    /// Frees generations that no request reads any more.
    fn forget_drained(&self) {
        let mut draining = self.draining.lock();
        let (wanted, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut *draining).into_iter().partition(Draining::is_wanted);
        *draining = wanted;
        drop(draining);
        drop(gone);
    }

    /// A failure is logged and returned: the next start takes longer.
    fn take_snapshot(&self) -> Result<(), String> {
        let Some(folder) = self.options.folder.as_ref().filter(|_| !self.options.read_only) else {
            return Ok(());
        };
        let _alone = self.snapshotting.lock();
        // What a fold left behind that broke is not worth keeping.
        if self.progress.borrow().fault.is_some() {
            return Ok(());
        }
        let live = self.live();
        // Writing would wait for it, and the events after it with that.
        if !live.is_settled() {
            warn!(view = self.name, "a view is not snapshotted while drafts are computed");
            return Ok(());
        }
        // Not a plain read lock: a writer that waits for one keeps new readers out.
        let kept = live.kept.upgradable_read();
        // The fold may have left something meanwhile.
        if !live.is_settled() {
            return Ok(());
        }
        let sequence = kept.position;
        if let Some(short) = self.options.room.as_ref().and_then(|room| room.short()) {
            self.tried.store(sequence.0, Ordering::Relaxed);
            warn!(view = self.name, %short, "a view is not snapshotted");
            return Err(short.to_string());
        }
        let written = match root_at(&*self.store, sequence) {
            Ok(Some(root)) => {
                let header = ViewSnapshotHeader { name: self.name.into(), format: V::FORMAT, sequence, root };
                ViewSnapshotFile::new(folder, self.name)
                    .write(&header, &kept.view)
                    .map_err(|error| error.to_string())
            }
            Ok(None) => Err(format!("the log does not tell its root at sequence {sequence}")),
            Err(fault) => Err(fault.to_string()),
        };
        self.tried.store(sequence.0, Ordering::Relaxed);
        written
            .inspect(|()| self.snapshot.store(sequence.0, Ordering::Relaxed))
            .inspect_err(|cause| error!(view = self.name, %cause, "a view could not be snapshotted"))
    }
}

#[cfg(test)]
mod tests;
