//! The views as they were at an event, for reads with `as_of`.
//!
//! A thread of the pool derives them from the log: from the nearest earlier views in the cache, or from the first event.
//! Readers of the same event wait for the same work. Each set takes as much memory as the live views. The cache keeps the two
//! that were used last, for ten minutes after their last use, and new ones until their reader comes back.
//!
//! Invariants: views of the past never change; deriving them reads the log and nothing else, and holds no lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use slapledger_billing::BillingView;
use slapledger_core::domain::id::{ProjectId, Sequence};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::envelope::EventDecoder;
use slapledger_core::log::store::{EventStore, read_frames};
use slapledger_projections::replay::{ReplayFault, replay};
use slapledger_projections::{AccessView, Projects, SlapViews, stop};
use tokio::sync::watch;

use crate::rating_pool::RatingShare;
use crate::views::{ProjectView, ViewSource};

/// How many are kept.
const MOST_KEPT: usize = 2;
/// How many are kept while their readers come back for them.
const MOST_NEW: usize = 4;
/// How long a reader has to come back.
const NEW: Duration = Duration::from_secs(10);
/// How long views are kept that nobody reads.
const IDLE: Duration = Duration::from_secs(600);
/// How often somebody looks for idle views.
pub const LOOK_FOR_IDLE: Duration = Duration::from_secs(60);
/// How many are derived or wait for it.
const MOST_DERIVED: usize = 16;
/// How many of one sender.
const MOST_DERIVED_OF_ONE: usize = 2;

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
    /// A bug.
    #[error("deriving the views as of sequence {at} panicked")]
    Panicked {
        /// The event.
        at: Sequence,
    },
}

type PastResult = Result<Arc<PastViews>, PastFault>;

/// Views that are being derived, as those who wait for them see it.
#[derive(Debug, Clone)]
pub struct PastProgress {
    reached: Arc<AtomicU64>,
    done: watch::Receiver<Option<PastResult>>,
}

impl PastProgress {
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
#[derive(Debug, Clone, Default)]
pub struct PastCache(Arc<Mutex<Pasts>>);

#[derive(Debug, Default)]
struct Pasts {
    /// The last used at the end.
    kept: Vec<KeptPast>,
    /// Each with who asked first.
    derived: BTreeMap<Sequence, (RatingShare, PastProgress)>,
    /// Whether somebody forgets what is idle.
    is_watched: bool,
}

impl Pasts {
    fn use_kept(&mut self, at: Sequence) -> Option<Arc<PastViews>> {
        let place = self.kept.iter().position(|kept| kept.views.at == at)?;
        let views = self.kept.remove(place).views;
        self.kept.push(KeptPast { views: Arc::clone(&views), used: Instant::now(), is_new: false });
        Some(views)
    }
}

#[derive(Debug)]
struct KeptPast {
    views: Arc<PastViews>,
    used: Instant,
    /// Nobody has read them yet.
    is_new: bool,
}

/// The work of deriving views. Dropped before it is done, it tells those who wait to come back.
pub struct PastWork {
    at: Sequence,
    cache: PastCache,
    reached: Arc<AtomicU64>,
    done: watch::Sender<Option<PastResult>>,
}

impl PastCache {
    /// The views as of an event of the log, for a sender.
    pub fn find(&self, at: Sequence, share: &RatingShare) -> Result<FoundPast, PastFault> {
        let mut pasts = self.0.lock();
        if let Some(views) = pasts.use_kept(at) {
            return Ok(FoundPast::Kept(views));
        }
        if let Some((_, progress)) = pasts.derived.get(&at) {
            return Ok(FoundPast::Derived(progress.clone()));
        }
        let of_one = pasts.derived.values().filter(|(of, _)| of == share).count();
        if of_one >= MOST_DERIVED_OF_ONE || pasts.derived.len() >= MOST_DERIVED {
            return Err(PastFault::Busy);
        }
        let (done, waiting) = watch::channel(None);
        let reached = Arc::new(AtomicU64::default());
        let progress = PastProgress { reached: Arc::clone(&reached), done: waiting };
        pasts.derived.insert(at, (share.clone(), progress.clone()));
        Ok(FoundPast::Absent(progress, PastWork { at, cache: self.clone(), reached, done }))
    }

    /// The views as of an event, if they are kept.
    pub fn kept(&self, at: Sequence) -> Option<Arc<PastViews>> {
        self.0.lock().use_kept(at)
    }

    /// Whether the caller is to forget idle views from now on, with [`forget_idle`](Self::forget_idle) from time to time
    /// until it says that none is left: there is one who does.
    pub fn begin_forgetting(&self) -> bool {
        let mut pasts = self.0.lock();
        !std::mem::replace(&mut pasts.is_watched, true)
    }

    /// Forgets views that nobody has read for a while; whether none is left, which ends the duty of the caller.
    pub fn forget_idle(&self) -> bool {
        let mut pasts = self.0.lock();
        let idle: Vec<_> = pasts.kept.extract_if(.., |kept| kept.used.elapsed() >= IDLE).collect();
        pasts.is_watched = !pasts.kept.is_empty();
        let is_over = !pasts.is_watched;
        drop(pasts);
        // To free them takes time.
        drop(idle);
        is_over
    }

    /// The views of the last event before one, of those that are kept.
    fn nearest(&self, at: Sequence) -> Option<Arc<PastViews>> {
        let pasts = self.0.lock();
        let earlier = pasts.kept.iter().map(|kept| &kept.views).filter(|views| views.at < at);
        earlier.max_by_key(|views| views.at).map(Arc::clone)
    }

    fn end(&self, at: Sequence, result: &PastResult) {
        let mut pasts = self.0.lock();
        pasts.derived.remove(&at);
        let mut over = Vec::new();
        if let Ok(views) = result {
            pasts.kept.push(KeptPast { views: Arc::clone(views), used: Instant::now(), is_new: true });
            let is_wanted = |kept: &KeptPast| kept.is_new && kept.used.elapsed() < NEW;
            while pasts.kept.len() > MOST_KEPT {
                let most = pasts.kept.len() > MOST_NEW;
                let Some(place) = pasts.kept.iter().position(|kept| most || !is_wanted(kept)) else { break };
                over.push(pasts.kept.remove(place));
            }
        }
        drop(pasts);
        // To free them takes time.
        drop(over);
    }
}

impl PastWork {
    /// Derives them; stops where [`stop::check`] does.
    pub fn run(self, store: &dyn EventStore) {
        let derived = self.derive(store).map(Arc::new);
        let unread = |fault: ReplayFault| {
            let cause = format!("{:#}", anyhow::Error::from(fault)).into();
            PastFault::Unread { at: self.at, cause }
        };
        self.tell(derived.map_err(unread));
    }

    fn derive(&self, store: &dyn EventStore) -> Result<PastViews, ReplayFault> {
        let at = self.at;
        let (mut slap, mut billing, mut access, mut after) = Default::default();
        if let Some(nearest) = self.cache.nearest(at) {
            (slap, billing) = (nearest.slap.clone(), nearest.billing.clone());
            (access, after) = (nearest.access.clone(), nearest.at);
        }
        let span = (after, at);
        self.reached.store(after.0, Ordering::Relaxed);
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
            let at = self.at;
            self.tell(Err(if thread::panicking() { PastFault::Panicked { at } } else { PastFault::Busy }));
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
