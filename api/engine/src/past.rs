//! The views as they were at an event, for reads with `as_of`.
//!
//! They are derived from the log again: from the nearest earlier ones that are kept, or from the first event on. Whoever
//! asks for the same event meanwhile waits for the same work. The two used last are kept, and one is derived at a time,
//! because each takes as much memory as the views that follow the log (what did not change between two is shared).
//!
//! Invariants: views of the past never change; deriving them reads the log and nothing else, and holds no lock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use slapledger_billing::BillingView;
use slapledger_core::domain::id::{ProjectId, Sequence};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::envelope::EventDecoder;
use slapledger_core::log::store::{EventStore, read_frames};
use slapledger_projections::replay::{ReplayFault, replay};
use slapledger_projections::{AccessView, Projects, SlapViews, stop};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, watch};

use crate::views::{ProjectView, ViewSource};

/// How many are kept.
const MOST_KEPT: usize = 2;
/// How many are derived or wait for it.
const MOST_DERIVED: usize = 16;

/// The views as they were when an event was the last.
#[derive(Debug)]
pub struct PastViews {
    /// That event.
    pub at: Sequence,
    /// When it was recorded.
    pub time: Timestamp,
    slap: Projects<SlapViews>,
    billing: Projects<BillingView>,
    access: AccessView,
}

impl PastViews {
    /// What SLAP and lists of a project are answered from.
    pub fn slap_of(&self, project: ProjectId) -> ProjectView<'_, SlapViews> {
        ProjectView::new(ViewSource::Past(&self.slap, self.at), project)
    }

    /// Metering, prices, runs and invoices of a project.
    pub fn billing_of(&self, project: ProjectId) -> ProjectView<'_, BillingView> {
        ProjectView::new(ViewSource::Past(&self.billing, self.at), project)
    }

    /// Projects and credentials.
    pub fn access(&self) -> ViewSource<'_, AccessView> {
        ViewSource::Past(&self.access, self.at)
    }
}

/// Why there are no views of an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PastFault {
    /// The log cannot be read.
    #[error("derive the views as of sequence {at}: {cause}")]
    Unread {
        /// The event.
        at: Sequence,
        /// Why.
        cause: Arc<str>,
    },
    /// There was no place to derive them in time, or too much is derived already.
    #[error("too many views of the past are being derived")]
    Busy,
}

type PastResult = Result<Arc<PastViews>, PastFault>;

/// Views that are being derived, as those who wait for them see it.
#[derive(Debug, Clone)]
pub struct PastProgress {
    at: Sequence,
    reached: Arc<AtomicU64>,
    done: watch::Receiver<Option<PastResult>>,
}

impl PastProgress {
    /// The event they are derived for.
    pub fn at(&self) -> Sequence {
        self.at
    }

    /// The event that was reached.
    pub fn reached(&self) -> Sequence {
        Sequence(self.reached.load(Ordering::Relaxed))
    }

    /// Waits for them.
    pub async fn finished(&mut self) -> PastResult {
        let done = self.done.wait_for(Option::is_some).await;
        done.ok().and_then(|done| done.clone()).unwrap_or(Err(PastFault::Busy))
    }
}

/// What was found of an event.
pub enum FoundPast {
    /// Its views.
    Kept(Arc<PastViews>),
    /// They are being derived.
    Derived(PastProgress),
    /// They have to be derived: this is the work, to be done where it may take long.
    Absent(PastProgress, PastWork),
}

/// The views of the past that are kept or being derived.
#[derive(Debug, Clone)]
pub struct PastCache {
    pasts: Arc<Mutex<Pasts>>,
    turn: Arc<Semaphore>,
}

impl Default for PastCache {
    fn default() -> Self {
        Self { pasts: Arc::default(), turn: Arc::new(Semaphore::new(1)) }
    }
}

#[derive(Debug, Default)]
struct Pasts {
    /// The last used at the end.
    kept: VecDeque<Arc<PastViews>>,
    derived: BTreeMap<Sequence, PastProgress>,
}

/// The work of deriving views. Dropped before it is done, it tells those who wait to come back.
pub struct PastWork {
    at: Sequence,
    nearest: Option<Arc<PastViews>>,
    cache: PastCache,
    reached: Arc<AtomicU64>,
    done: watch::Sender<Option<PastResult>>,
}

impl PastCache {
    /// The turn to derive views: one after the other has it, so that memory holds few of them.
    ///
    /// # Errors
    /// Never: it is not closed.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.turn).acquire_owned().await
    }

    /// The views as of an event of the log.
    pub fn find(&self, at: Sequence) -> Result<FoundPast, PastFault> {
        let mut pasts = self.pasts.lock();
        if let Some(place) = pasts.kept.iter().position(|kept| kept.at == at) {
            let kept = pasts.kept.remove(place).expect("it was found there");
            pasts.kept.push_back(Arc::clone(&kept));
            return Ok(FoundPast::Kept(kept));
        }
        if let Some(progress) = pasts.derived.get(&at) {
            return Ok(FoundPast::Derived(progress.clone()));
        }
        if pasts.derived.len() >= MOST_DERIVED {
            return Err(PastFault::Busy);
        }
        let (done, waiting) = watch::channel(None);
        let reached = Arc::new(AtomicU64::default());
        let progress = PastProgress { at, reached: Arc::clone(&reached), done: waiting };
        pasts.derived.insert(at, progress.clone());
        let earlier = pasts.kept.iter().filter(|kept| kept.at < at);
        let nearest = earlier.max_by_key(|kept| kept.at).map(Arc::clone);
        let work = PastWork { at, nearest, cache: self.clone(), reached, done };
        Ok(FoundPast::Absent(progress, work))
    }

    fn end(&self, at: Sequence, result: &PastResult) {
        let mut pasts = self.pasts.lock();
        pasts.derived.remove(&at);
        if let Ok(views) = result {
            pasts.kept.push_back(Arc::clone(views));
            let over = pasts.kept.len().saturating_sub(MOST_KEPT);
            pasts.kept.drain(..over);
        }
    }
}

impl PastWork {
    /// Derives them; stops where [`stop::check`] does.
    pub fn run(mut self, store: &dyn EventStore) {
        let derived = self.derive(store).map(Arc::new);
        let unread = |fault: ReplayFault| {
            let cause = format!("{:#}", anyhow::Error::from(fault)).into();
            PastFault::Unread { at: self.at, cause }
        };
        self.tell(derived.map_err(unread));
    }

    fn derive(&mut self, store: &dyn EventStore) -> Result<PastViews, ReplayFault> {
        let at = self.at;
        let (mut slap, mut billing, mut access, mut after) = Default::default();
        if let Some(nearest) = self.nearest.take() {
            (slap, billing) = (nearest.slap.clone(), nearest.billing.clone());
            (access, after) = (nearest.access.clone(), nearest.at);
        }
        let span = (after, at);
        replay(store, &mut slap, span, |_| stop::check())?;
        replay(store, &mut access, span, |_| stop::check())?;
        // This one takes longest: it looks at usage.
        replay(store, &mut billing, span, |reached| {
            self.reached.store(reached.0, Ordering::Relaxed);
            stop::check();
        })?;
        Ok(PastViews { at, time: recorded_at(store, at)?, slap, billing, access })
    }

    fn tell(&self, result: PastResult) {
        self.cache.end(self.at, &result);
        self.done.send_replace(Some(result));
    }
}

impl Drop for PastWork {
    fn drop(&mut self) {
        if self.done.borrow().is_none() {
            self.tell(Err(PastFault::Busy));
        }
    }
}

/// The last event up to `head` that was recorded before an instant; [`Sequence::ZERO`], if none was. Times of recording
/// never go back, so it is found by halving.
pub fn last_before(store: &dyn EventStore, at: Timestamp, head: Sequence) -> Result<Sequence, ReplayFault> {
    let (mut earlier, mut later) = (0, head.0.saturating_add(1));
    while later - earlier > 1 {
        let middle = earlier.midpoint(later);
        if recorded_at(store, Sequence(middle))? < at {
            earlier = middle;
        } else {
            later = middle;
        }
    }
    Ok(Sequence(earlier))
}

/// When an event was recorded.
fn recorded_at(store: &dyn EventStore, at: Sequence) -> Result<Timestamp, ReplayFault> {
    let before = Sequence(at.0.saturating_sub(1));
    let mut decoder = EventDecoder::default();
    for frame in read_frames(store, before) {
        if let Some((sequence, bytes)) = frame?.events_after(before).next() {
            let read = decoder.recorded_at(sequence, bytes);
            return read.map_err(|source| ReplayFault::Event { sequence, source });
        }
    }
    Err(ReplayFault::Short { until: at, last: before })
}

#[cfg(test)]
mod tests;
