//! A generation of a view: one fold of the log, and the requests that read it.
//!
//! A request that reads a view several times takes a lease. While it has that, it reads the same generation, which goes
//! on following the log for a bounded time when another has taken its place: nobody sees a mixture of two.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use slapledger_core::domain::id::Sequence;

use super::{ReadFault, RunnerProgress, RunnerShared};
use crate::view::View;

/// How long a generation follows the log for requests that began with it. A request that goes on for longer is told
/// that its view is behind, as if the view were slow.
const DRAIN: Duration = Duration::from_secs(600);

pub(super) struct Kept<V> {
    pub(super) view: V,
    pub(super) position: Sequence,
}

/// One fold of the log.
pub(super) struct ViewGeneration<V> {
    /// Which of its view, counted since the start.
    pub(super) number: u64,
    pub(super) kept: RwLock<Kept<V>>,
    /// How much of what is done apart is not taken over yet.
    pub(super) unfinished: AtomicUsize,
    /// The requests that read it and no other.
    leases: AtomicUsize,
}

impl<V: View> ViewGeneration<V> {
    pub(super) fn new(number: u64, view: V, position: Sequence) -> Self {
        let kept = RwLock::new(Kept { view, position });
        Self { number, kept, unfinished: AtomicUsize::new(0), leases: AtomicUsize::new(0) }
    }

    pub(super) fn position(&self) -> Sequence {
        self.kept.read().position
    }

    /// Whether all that was left to be done apart is taken over.
    pub(super) fn is_settled(&self) -> bool {
        self.unfinished.load(Ordering::Acquire) == 0
    }

    /// The view as it is now. Readers go on while it is copied; the fold waits for that alone.
    pub(super) fn copy(&self) -> (V, Sequence) {
        // Not a plain read lock: a writer that waits for one keeps new readers out.
        let kept = self.kept.upgradable_read();
        (kept.view.clone(), kept.position)
    }
}

/// A generation whose place another has taken.
pub(super) struct Draining<V> {
    pub(super) generation: Arc<ViewGeneration<V>>,
    until: Instant,
}

impl<V> Draining<V> {
    pub(super) fn new(generation: Arc<ViewGeneration<V>>) -> Self {
        Self { generation, until: Instant::now() + DRAIN }
    }

    /// Whether it is to go on following the log.
    pub(super) fn is_wanted(&self) -> bool {
        self.generation.leases.load(Ordering::Acquire) > 0 && Instant::now() < self.until
    }
}

/// The right to read one generation, for as long as a request takes.
pub struct GenerationLease<V: View> {
    shared: Arc<RunnerShared<V>>,
    generation: Arc<ViewGeneration<V>>,
}

impl<V: View> Drop for GenerationLease<V> {
    fn drop(&mut self) {
        self.generation.leases.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<V: View> GenerationLease<V> {
    pub(super) fn take(shared: &Arc<RunnerShared<V>>) -> Self {
        // Counted under the lock that a swap takes: once a generation is not the live one it gets no more leases.
        let live = shared.live.read();
        live.leases.fetch_add(1, Ordering::AcqRel);
        let generation = Arc::clone(&live);
        drop(live);
        Self { shared: Arc::clone(shared), generation }
    }

    /// Which generation it is.
    pub fn number(&self) -> u64 {
        self.generation.number
    }

    /// See [`Runner::read`](super::Runner::read).
    pub fn read<R>(&self, read: impl FnOnce(&V, Sequence) -> R) -> R {
        self.shared.read(Some(&self.generation), read)
    }

    /// See [`Runner::read_at`](super::Runner::read_at).
    pub async fn read_at<R>(
        &self,
        min: Sequence,
        read: impl FnOnce(&V, Sequence) -> R,
    ) -> Result<R, ReadFault> {
        self.reach(min).await?;
        Ok(self.read(read))
    }

    /// See [`Runner::reach`](super::Runner::reach).
    pub async fn reach(&self, min: Sequence) -> Result<(), ReadFault> {
        self.shared.reach(Some(&self.generation), min).await
    }

    /// See [`Runner::read_at_blocking`](super::Runner::read_at_blocking).
    pub fn read_at_blocking<R>(
        &self,
        min: Sequence,
        read: impl FnOnce(&V, Sequence) -> R,
    ) -> Result<R, ReadFault> {
        self.shared.reach_blocking(Some(&self.generation), min)?;
        Ok(self.read(read))
    }

    /// See [`Runner::read_when`](super::Runner::read_when).
    pub async fn read_when<R>(
        &self,
        patience: Duration,
        read: impl Fn(&V, Sequence) -> Option<R>,
    ) -> Option<R> {
        self.shared.read_when(Some(&self.generation), patience, read).await
    }

    /// See [`Runner::read_when_blocking`](super::Runner::read_when_blocking).
    pub fn read_when_blocking<R>(
        &self,
        patience: Duration,
        read: impl Fn(&V, Sequence) -> Option<R>,
    ) -> Option<R> {
        self.shared.read_when_blocking(Some(&self.generation), patience, read)
    }

    /// Why the view has stopped, if it has.
    pub fn fault(&self) -> Option<Arc<str>> {
        self.shared.progress.borrow().fault.clone()
    }
}

/// Which generation is read: the one of a lease, or the live one.
type Leased<'a, V> = Option<&'a ViewGeneration<V>>;

impl<V: View> RunnerShared<V> {
    pub(super) fn read<R>(&self, leased: Leased<'_, V>, read: impl FnOnce(&V, Sequence) -> R) -> R {
        if let Some(generation) = leased {
            let kept = generation.kept.read();
            return read(&kept.view, kept.position);
        }
        let live = self.live();
        let kept = live.kept.read();
        read(&kept.view, kept.position)
    }

    pub(super) async fn reach(&self, leased: Leased<'_, V>, min: Sequence) -> Result<(), ReadFault> {
        let mut progress = self.progress.subscribe();
        let there = progress.wait_for(|progress| progress.ends_wait(min));
        // The sender is ours and lives: either it is there, or it is not and time is up.
        let _ = tokio::time::timeout(self.options.patience, there).await;
        self.judge(leased, min)
    }

    pub(super) fn reach_blocking(&self, leased: Leased<'_, V>, min: Sequence) -> Result<(), ReadFault> {
        let until = Instant::now() + self.options.patience;
        let mut waiting = self.waiting.lock();
        while !self.progress.borrow().ends_wait(min) {
            if self.moved.wait_until(&mut waiting, until).timed_out() {
                break;
            }
        }
        drop(waiting);
        self.judge(leased, min)
    }

    pub(super) async fn read_when<R>(
        &self,
        leased: Leased<'_, V>,
        patience: Duration,
        read: impl Fn(&V, Sequence) -> Option<R>,
    ) -> Option<R> {
        let until = tokio::time::Instant::now() + patience;
        let mut progress = self.progress.subscribe();
        loop {
            progress.mark_unchanged();
            if let Some(found) = self.read(leased, &read) {
                return Some(found);
            }
            if !matches!(tokio::time::timeout_at(until, progress.changed()).await, Ok(Ok(()))) {
                return self.read(leased, &read);
            }
        }
    }

    pub(super) fn read_when_blocking<R>(
        &self,
        leased: Leased<'_, V>,
        patience: Duration,
        read: impl Fn(&V, Sequence) -> Option<R>,
    ) -> Option<R> {
        let until = Instant::now() + patience;
        loop {
            // Anyone who tells of progress takes this lock: nothing is missed between the look and the wait.
            let mut waiting = self.waiting.lock();
            if let Some(found) = self.read(leased, &read) {
                return Some(found);
            }
            if self.moved.wait_until(&mut waiting, until).timed_out() {
                return self.read(leased, &read);
            }
        }
    }

    /// Whether a view that was waited for is at the sequence.
    fn judge(&self, leased: Leased<'_, V>, wanted: Sequence) -> Result<(), ReadFault> {
        let name = self.name;
        let RunnerProgress { position, fault, .. } = self.progress.borrow().clone();
        // A generation that follows no more is behind its view.
        let position = leased.filter(|_| position >= wanted).map_or(position, ViewGeneration::position);
        match fault {
            _ if position >= wanted => Ok(()),
            Some(cause) => Err(ReadFault::Stopped { name, wanted, position, cause }),
            None => Err(ReadFault::Behind { name, wanted, position }),
        }
    }
}
