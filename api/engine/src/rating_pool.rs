//! Where rating is done: on threads of its own, a few at a time, and with a fair share for everybody.
//!
//! What a request rates may take minutes of one core, and must take them neither from the threads that answer everybody
//! else, nor from the same work of others. So no party has all of the places, no project has, and a place that becomes
//! free goes to the project, and in it to the party, that has fewest places and was served longest ago. The queue is
//! bounded; past its end the sender is told to come back.
//!
//! If the client leaves or its time is up, the future is dropped: the work is taken out of the
//! queue, or stops at its next check ([`slapledger_projections::stop`]).

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use slapledger_core::domain::id::ProjectId;
use slapledger_projections::stop::{StopFlag, stoppable};
use tokio::sync::oneshot;

/// Places at least: with these a party has one, a project two, and one is left for another project.
const LEAST_PLACES: usize = 3;
/// How many may wait.
const QUEUE: usize = 64;
/// How many of one project may wait.
const QUEUE_OF_PROJECT: usize = 32;
/// How many of one party may wait.
const QUEUE_OF_ONE: usize = 8;
/// How long one waits for a place.
const PATIENCE: Duration = Duration::from_secs(20);

/// For whom work is done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RatingShare {
    /// In which project.
    pub project: ProjectId,
    /// Who in it, by whatever name; empty for the program itself.
    pub party: Box<str>,
}

/// Work was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RatingPoolFault {
    /// Too much waits already.
    #[error("too many requests wait to be rated")]
    Full,
    /// No place became free in time.
    #[error("no place to rate became free in {} s", PATIENCE.as_secs())]
    NoPlace,
    /// The work broke.
    #[error("a thread that rated panicked")]
    Panicked,
}

/// The places, and who waits for one.
#[derive(Clone)]
pub struct RatingPool {
    queue: Arc<Mutex<Queue>>,
}

struct Queue {
    places: usize,
    running: usize,
    /// Those who run or wait.
    of_project: BTreeMap<ProjectId, ShareInUse>,
    of_one: BTreeMap<RatingShare, ShareInUse>,
    waiting: Vec<WaitingRating>,
    /// Rises with everything that is served.
    turn: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct ShareInUse {
    running: usize,
    waiting: usize,
    served: u64,
}

struct WaitingRating {
    share: RatingShare,
    place: oneshot::Sender<PoolPlace>,
}

/// A place in the pool. Dropping it frees the place.
struct PoolPlace {
    pool: RatingPool,
    share: RatingShare,
}

impl Drop for PoolPlace {
    fn drop(&mut self) {
        self.pool.queue.lock().leave(&self.share);
        self.pool.admit();
    }
}

/// Raised when the one who waits for the work is dropped.
struct RaiseOnDrop(StopFlag);

impl Drop for RaiseOnDrop {
    fn drop(&mut self) {
        self.0.raise();
    }
}

impl Default for RatingPool {
    fn default() -> Self {
        Self::of(thread::available_parallelism().map_or(1, NonZero::get))
    }
}

impl RatingPool {
    /// A pool with a place for each core, and a few at least.
    pub fn of(cores: usize) -> Self {
        let queue = Queue {
            places: cores.max(LEAST_PLACES),
            running: 0,
            of_project: BTreeMap::new(),
            of_one: BTreeMap::new(),
            waiting: Vec::new(),
            turn: 0,
        };
        Self { queue: Arc::new(Mutex::new(queue)) }
    }

    /// Does work on a thread of its own when there is a place for it. Dropped, the work stops.
    pub async fn run<R: Send + 'static>(
        &self,
        share: RatingShare,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, RatingPoolFault> {
        let place = self.enter(share).ok_or(RatingPoolFault::Full)?;
        let place = tokio::time::timeout(PATIENCE, place).await.map_err(|_| RatingPoolFault::NoPlace)?;
        let place = place.map_err(|_| RatingPoolFault::NoPlace)?;
        let flag = StopFlag::default();
        let _stop = RaiseOnDrop(flag.clone());
        let done = tokio::task::spawn_blocking(move || {
            let done = stoppable(Some(flag), work);
            drop(place);
            done
        });
        // Stopped it is only when nobody waits here.
        done.await.ok().and_then(Result::ok).ok_or(RatingPoolFault::Panicked)
    }

    /// How many work and how many wait.
    pub fn load(&self) -> (usize, usize) {
        let mut queue = self.queue.lock();
        queue.forget_gone();
        (queue.running, queue.waiting.len())
    }

    fn enter(&self, share: RatingShare) -> Option<oneshot::Receiver<PoolPlace>> {
        let (place, entered) = oneshot::channel();
        self.queue.lock().wait(WaitingRating { share, place })?;
        self.admit();
        Some(entered)
    }

    /// Gives free places away.
    fn admit(&self) {
        loop {
            let Some(WaitingRating { share, place }) = self.queue.lock().next() else { return };
            // If nobody waits for it any more it is dropped here, and goes to the next.
            drop(place.send(PoolPlace { pool: self.clone(), share }));
        }
    }
}

impl Queue {
    fn most_of_one(&self) -> usize {
        self.places.div_ceil(3)
    }

    fn most_of_project(&self) -> usize {
        (2 * self.places).div_ceil(3)
    }

    fn project(&self, share: &RatingShare) -> ShareInUse {
        self.of_project.get(&share.project).copied().unwrap_or_default()
    }

    fn one(&self, share: &RatingShare) -> ShareInUse {
        self.of_one.get(share).copied().unwrap_or_default()
    }

    fn change(&mut self, share: &RatingShare, change: impl Fn(&mut ShareInUse)) {
        change(self.of_project.entry(share.project).or_default());
        change(self.of_one.entry(share.clone()).or_default());
        self.of_project.retain(|_, share| share.running + share.waiting > 0);
        self.of_one.retain(|_, share| share.running + share.waiting > 0);
    }

    fn wait(&mut self, waiting: WaitingRating) -> Option<()> {
        self.forget_gone();
        let (project, one) = (self.project(&waiting.share), self.one(&waiting.share));
        let room =
            self.waiting.len() < QUEUE && project.waiting < QUEUE_OF_PROJECT && one.waiting < QUEUE_OF_ONE;
        if !room {
            return None;
        }
        self.change(&waiting.share, |share| share.waiting += 1);
        self.waiting.push(waiting);
        Some(())
    }

    fn forget_gone(&mut self) {
        while let Some(at) = self.waiting.iter().position(|waiting| waiting.place.is_closed()) {
            let gone = self.waiting.remove(at);
            self.change(&gone.share, |share| share.waiting -= 1);
        }
    }

    /// Who is next, if there is a place for anybody who waits.
    fn next(&mut self) -> Option<WaitingRating> {
        self.forget_gone();
        if self.running >= self.places {
            return None;
        }
        let (of_one, of_project) = (self.most_of_one(), self.most_of_project());
        let fits = self.waiting.iter().enumerate().filter_map(|(at, waiting)| {
            let (project, one) = (self.project(&waiting.share), self.one(&waiting.share));
            let fits = project.running < of_project && one.running < of_one;
            fits.then_some((project.running, one.running, project.served, one.served, at))
        });
        let (.., at) = fits.min()?;
        let next = self.waiting.remove(at);
        self.running += 1;
        self.turn += 1;
        let served = self.turn;
        self.change(&next.share, |share| {
            share.waiting -= 1;
            share.running += 1;
            share.served = served;
        });
        Some(next)
    }

    fn leave(&mut self, share: &RatingShare) {
        self.running -= 1;
        self.change(share, |share| share.running -= 1);
    }
}

#[cfg(test)]
mod tests {
    use slapledger_projections::stop::check;

    use super::*;

    fn share(project: u64, party: &str) -> RatingShare {
        RatingShare { project: ProjectId(project), party: party.into() }
    }

    fn wait(pool: &RatingPool, project: u64, party: &str) -> oneshot::Receiver<PoolPlace> {
        pool.enter(share(project, party)).expect("the queue has room")
    }

    fn has_place(entered: &mut oneshot::Receiver<PoolPlace>) -> Option<PoolPlace> {
        entered.try_recv().ok()
    }

    #[test]
    fn nobody_has_all_places() {
        let pool = RatingPool::of(2);
        let mut one = [wait(&pool, 1, "A"), wait(&pool, 1, "A"), wait(&pool, 1, "B"), wait(&pool, 1, "C")];
        let placed: Vec<Option<PoolPlace>> = one.iter_mut().map(has_place).collect();
        let has: Vec<bool> = placed.iter().map(Option::is_some).collect();
        assert_eq!(has, [true, false, true, false], "one place of three is left for another project");
        let mut other = wait(&pool, 2, "A");
        assert!(has_place(&mut other).is_some());
        assert_eq!(
            pool.load(),
            (2, 2),
            "the place is free at once, and the first project still may not take it"
        );
    }

    #[test]
    fn a_free_place_goes_to_the_sender_served_longest_ago() {
        let pool = RatingPool::of(2);
        let mut first = wait(&pool, 1, "A");
        let place = has_place(&mut first).expect("all places are free");
        let mut again: Vec<_> = (0..3).map(|_| wait(&pool, 1, "A")).collect();
        let mut others = [wait(&pool, 1, "B"), wait(&pool, 1, "C")];
        let of_b = has_place(&mut others[0]).expect("a project has two places");
        drop(place);
        let of_c = has_place(&mut others[1]).expect("before all of what A has waiting");
        assert!(has_place(&mut again[0]).is_none());
        drop(of_b);
        assert!(has_place(&mut again[0]).is_some());
        drop(of_c);
    }

    #[test]
    fn the_queue_is_bounded_for_each_and_for_all() {
        let pool = RatingPool::of(2);
        let kept: Vec<_> = (0..=QUEUE_OF_ONE).map(|_| wait(&pool, 1, "A")).collect();
        assert!(pool.enter(share(1, "A")).is_none(), "of one party");
        let more: Vec<_> = (0..QUEUE).filter_map(|n| pool.enter(share(1, &n.to_string()))).collect();
        assert!(pool.enter(share(1, "Z")).is_none(), "of one project");
        let rest: Vec<_> = (2..100).filter_map(|project| pool.enter(share(project, "A"))).collect();
        assert!(pool.enter(share(100, "A")).is_none(), "of all");
        assert_eq!(pool.load().1, QUEUE);
        // If the caller drops the wait, its place in the queue is free.
        drop(rest);
        assert!(pool.enter(share(100, "A")).is_some());
        drop((kept, more));
        assert_eq!(pool.load(), (0, 0));
    }

    #[test]
    fn work_stops_when_nobody_waits_for_it() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let pool = RatingPool::of(2);
        runtime.block_on(async {
            assert_eq!(pool.run(share(1, "A"), || 7).await, Ok(7));
            let endless = pool.run(share(1, "A"), || {
                loop {
                    check();
                    thread::yield_now();
                }
            });
            let cut: Result<Result<(), _>, _> =
                tokio::time::timeout(Duration::from_millis(50), endless).await;
            assert!(cut.is_err());
            // Its place is free again as soon as it has stopped: this one would wait for it for ever otherwise.
            assert_eq!(pool.run(share(1, "A"), || 8).await, Ok(8));
            let broken = pool.run(share(1, "A"), || -> u8 { std::panic::resume_unwind(Box::new("broken")) });
            assert_eq!(broken.await, Err(RatingPoolFault::Panicked));
            assert_eq!(pool.load(), (0, 0));
        });
    }
}
