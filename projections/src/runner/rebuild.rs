//! A new generation of a view, made from the log beside the live one.
//!
//! A rebuild goes through the states of [`AsideState`]: it is built, until it is level with the log; compared with a copy
//! of the live generation at the same event; and takes its place at the same event, by itself only if both are equal.
//! The old generation stays aside until somebody confirms the new one, or for the time that the request says; until
//! then it can be swapped back. At most one generation is aside.
//!
//! The log is read without a lock, on a thread of its own. A swap holds up the fold for the last few events, and no
//! reader. What is aside is in memory alone: a restart continues with the live generation.

mod states;

use std::fmt::Display;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use slapledger_core::domain::id::Sequence;
use tokio::sync::watch;
use tracing::{error, info};

use super::generation::{Draining, ViewGeneration};
use super::{Runner, RunnerShared};
use crate::replay::{ReplayFault, replay_stepwise};
use crate::stop::{self, StopFlag, stoppable};
use crate::view::View;

pub use states::{
    AsideGeneration, AsideState, BuildProgress, KEPT, RebuildFault, RebuildOutcome, RebuildRequest, Rebuilt,
    RebuiltView, ViewGenerations, rebuilt,
};

/// How many events a generation may be behind when a swap brings it level: the fold waits for these.
const LEVEL: u64 = 1_000;
/// How long a step sleeps at most before it looks whether it was stopped.
const NAP: Duration = Duration::from_millis(50);

/// How far a generation is, for those who look.
#[derive(Debug)]
struct BuildMeter {
    started: Instant,
    reached: AtomicU64,
}

impl BuildMeter {
    fn progress(&self, head: Sequence) -> BuildProgress {
        let done = self.reached.load(Ordering::Relaxed);
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
        let events_per_second = done.saturating_mul(1_000_000) / micros;
        let left = head.0.saturating_sub(done);
        let seconds_left = (events_per_second > 0).then(|| left.div_ceil(events_per_second));
        BuildProgress { done: Sequence(done), total: head, events_per_second, seconds_left }
    }
}

/// Holds a build to its events per second, and stops it when it is cancelled.
struct Pace {
    meter: Arc<BuildMeter>,
    most: Option<NonZeroU64>,
    paid: Sequence,
    /// When the events so far are paid for.
    until: Instant,
}

impl Pace {
    fn new(meter: &Arc<BuildMeter>, most: Option<NonZeroU64>) -> Self {
        Self { meter: Arc::clone(meter), most, paid: Sequence::ZERO, until: Instant::now() }
    }

    fn step(&mut self, reached: Sequence) {
        self.meter.reached.store(reached.0, Ordering::Relaxed);
        stop::check();
        if let Some(most) = self.most {
            let cost = reached.0.saturating_sub(self.paid.0).saturating_mul(1_000_000) / most.get();
            // Time that was not used does not count: what follows is as slow.
            let now = Instant::now();
            self.until = self.until.max(now.checked_sub(NAP).unwrap_or(now)) + Duration::from_micros(cost);
            while let Some(left) = self.until.checked_duration_since(Instant::now()) {
                thread::sleep(left.min(NAP));
                stop::check();
            }
        }
        self.paid = reached;
    }
}

/// A view that nobody reads yet.
struct Fresh<V> {
    view: V,
    at: Sequence,
}

enum Phase<V> {
    Idle,
    Building {
        number: u64,
        meter: Arc<BuildMeter>,
        stop: StopFlag,
    },
    Comparing {
        number: u64,
        at: Sequence,
        stop: StopFlag,
    },
    Ready {
        number: u64,
        fresh: Box<Fresh<V>>,
        rebuilt: Arc<Rebuilt>,
        request: RebuildRequest,
        until: Instant,
    },
    Swapping {
        number: u64,
        at: Sequence,
        stop: StopFlag,
    },
    Previous {
        generation: Arc<ViewGeneration<V>>,
        rebuilt: Arc<Rebuilt>,
        on_thread: fn(),
        until: Instant,
    },
}

struct DeskState<V> {
    phase: Phase<V>,
    /// The number of the last generation that was begun.
    begun: u64,
    latest: Option<(u64, RebuildOutcome)>,
    is_closed: bool,
    threads: Vec<thread::JoinHandle<()>>,
}

/// The generation of a view that is aside, and whoever works on it.
pub(super) struct RebuildDesk<V> {
    state: Mutex<DeskState<V>>,
    changed: Condvar,
    told: watch::Sender<u64>,
}

impl<V> Default for RebuildDesk<V> {
    fn default() -> Self {
        let (latest, threads) = Default::default();
        let state = DeskState { phase: Phase::Idle, begun: 1, latest, is_closed: false, threads };
        Self { state: Mutex::new(state), changed: Condvar::new(), told: watch::Sender::new(0) }
    }
}

impl<V> RebuildDesk<V> {
    /// How far a generation is built, if one is.
    pub(super) fn reached(&self) -> Option<Sequence> {
        match &self.state.lock().phase {
            Phase::Building { meter, .. } => Some(Sequence(meter.reached.load(Ordering::Relaxed))),
            Phase::Comparing { at, .. } | Phase::Swapping { at, .. } => Some(*at),
            Phase::Idle | Phase::Ready { .. } | Phase::Previous { .. } => None,
        }
    }

    /// Stops what goes on; nothing begins any more.
    pub(super) fn abandon(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        let old = match &state.phase {
            Phase::Building { stop, .. } | Phase::Comparing { stop, .. } | Phase::Swapping { stop, .. } => {
                stop.raise();
                None
            }
            Phase::Idle | Phase::Ready { .. } | Phase::Previous { .. } => {
                Some(std::mem::replace(&mut state.phase, Phase::Idle))
            }
        };
        drop(state);
        drop(old);
        self.tell();
    }

    /// The same, and waits for its threads.
    pub(super) fn close(&self) {
        self.abandon();
        let threads = std::mem::take(&mut self.state.lock().threads);
        for thread in threads {
            // What it did is said in the outcome.
            let _ = thread.join();
        }
    }

    fn tell(&self) {
        self.changed.notify_all();
        self.told.send_modify(|version| *version += 1);
    }
}

impl<V: View> RebuiltView for Runner<V> {
    fn generations(&self) -> ViewGenerations {
        let shared = &*self.shared;
        let head = shared.feed.head().last;
        let now = Instant::now();
        let state = shared.desk.state.lock();
        let aside = |number, position, state| Some(AsideGeneration { number, position, state });
        let mut previous = None;
        let aside = match &state.phase {
            Phase::Idle => None,
            Phase::Building { number, meter, .. } => {
                let progress = meter.progress(head);
                aside(*number, progress.done, AsideState::Building(progress))
            }
            Phase::Comparing { number, at, .. } => aside(*number, *at, AsideState::Comparing),
            Phase::Ready { number, fresh, rebuilt, until, .. } => {
                let left = until.saturating_duration_since(now);
                aside(*number, fresh.at, AsideState::Ready(Arc::clone(rebuilt), left))
            }
            Phase::Swapping { number, at, .. } => aside(*number, *at, AsideState::Swapping),
            Phase::Previous { generation, rebuilt, until, .. } => {
                let left = until.saturating_duration_since(now);
                let state = AsideState::Previous(Arc::clone(rebuilt), left);
                previous = Some(Arc::clone(generation));
                aside(generation.number, Sequence::ZERO, state)
            }
        };
        let latest = state.latest.clone();
        drop(state);
        // Whoever looks at health takes that lock: it is not held while a fold is waited for.
        let position = |aside: AsideGeneration| match &previous {
            Some(generation) => AsideGeneration { position: generation.position(), ..aside },
            None => aside,
        };
        let aside = aside.map(position);
        let (live, position) = (shared.live().number, shared.progress.borrow().position);
        ViewGenerations { view: shared.name, live, position, aside, latest }
    }

    fn generations_changed(&self) -> watch::Receiver<u64> {
        self.shared.desk.told.subscribe()
    }

    fn begin_rebuild(&self, request: RebuildRequest) -> Result<u64, RebuildFault> {
        let name = self.shared.name;
        let mut state = self.shared.desk.state.lock();
        let under_way = |state| Err(RebuildFault::UnderWay { name, state });
        match &state.phase {
            _ if state.is_closed => return Err(RebuildFault::Closed { name }),
            Phase::Building { .. } => return under_way("building"),
            Phase::Comparing { .. } => return under_way("comparing"),
            Phase::Ready { .. } => return under_way("ready"),
            Phase::Swapping { .. } => return under_way("swapping"),
            Phase::Previous { rebuilt, .. } if !rebuilt.is_same() => {
                return Err(RebuildFault::Unconfirmed { name });
            }
            Phase::Previous { .. } | Phase::Idle => {}
        }
        state.begun += 1;
        let number = state.begun;
        let stop = StopFlag::default();
        let meter = Arc::new(BuildMeter { started: Instant::now(), reached: AtomicU64::new(0) });
        let phase = Phase::Building { number, meter: Arc::clone(&meter), stop: stop.clone() };
        let old = std::mem::replace(&mut state.phase, phase);
        let shared = Arc::clone(&self.shared);
        shared.spawn(&mut state, move |shared| shared.make(number, &request, &meter, &stop));
        drop(state);
        self.shared.desk.tell();
        // To free it takes time.
        drop(old);
        Ok(number)
    }

    fn cancel_rebuild(&self) -> Result<(), RebuildFault> {
        let desk = &self.shared.desk;
        let mut state = desk.state.lock();
        let old = match &state.phase {
            Phase::Building { stop, .. } | Phase::Comparing { stop, .. } => {
                stop.raise();
                None
            }
            Phase::Ready { number, .. } => {
                state.latest = Some((*number, RebuildOutcome::Cancelled));
                Some(std::mem::replace(&mut state.phase, Phase::Idle))
            }
            Phase::Idle | Phase::Swapping { .. } | Phase::Previous { .. } => {
                return Err(RebuildFault::NothingToCancel { name: self.shared.name });
            }
        };
        drop(state);
        desk.tell();
        drop(old);
        Ok(())
    }

    fn swap_rebuilt(&self) -> Result<(), RebuildFault> {
        let name = self.shared.name;
        let mut state = self.shared.desk.state.lock();
        let (number, at) = match &state.phase {
            _ if state.is_closed => return Err(RebuildFault::Closed { name }),
            Phase::Ready { number, fresh, .. } => (*number, fresh.at),
            _ => return Err(RebuildFault::NotReady { name }),
        };
        let stop = StopFlag::default();
        let swapping = Phase::Swapping { number, at, stop: stop.clone() };
        if let Phase::Ready { fresh, rebuilt, request, .. } = std::mem::replace(&mut state.phase, swapping) {
            self.shared.spawn(&mut state, move |shared| {
                shared.take_place(number, *fresh, rebuilt, &request, &stop);
            });
        }
        drop(state);
        self.shared.desk.tell();
        Ok(())
    }

    fn confirm_rebuilt(&self) -> Result<(), RebuildFault> {
        let desk = &self.shared.desk;
        let mut state = desk.state.lock();
        let Phase::Previous { .. } = &state.phase else {
            return Err(RebuildFault::NoPrevious { name: self.shared.name });
        };
        let old = std::mem::replace(&mut state.phase, Phase::Idle);
        drop(state);
        desk.tell();
        drop(old);
        self.shared.forget_drained();
        Ok(())
    }

    fn swap_back(&self) -> Result<(), RebuildFault> {
        let name = self.shared.name;
        let mut state = self.shared.desk.state.lock();
        let (number, at) = match &state.phase {
            _ if state.is_closed => return Err(RebuildFault::Closed { name }),
            Phase::Previous { generation, rebuilt, .. } => (generation.number, rebuilt.sequence),
            _ => return Err(RebuildFault::NoPrevious { name }),
        };
        let stop = StopFlag::default();
        let swapping = Phase::Swapping { number, at, stop: stop.clone() };
        let phase = std::mem::replace(&mut state.phase, swapping);
        if let Phase::Previous { generation, rebuilt, on_thread, .. } = phase {
            self.shared.spawn(&mut state, move |shared| {
                shared.take_place_again(&generation, rebuilt, on_thread, &stop);
            });
        }
        drop(state);
        self.shared.desk.tell();
        Ok(())
    }
}

impl<V: View> Runner<V> {
    /// Makes a generation and waits for its end, for a thread without a runtime.
    pub fn rebuild(&self, request: RebuildRequest) -> Result<Arc<Rebuilt>, RebuildFault> {
        let number = self.begin_rebuild(request)?;
        let desk = &self.shared.desk;
        let mut state = desk.state.lock();
        loop {
            let latest = state.latest.as_ref().filter(|(of, _)| *of == number);
            if let Some((_, outcome)) = latest {
                return outcome.clone().into_rebuilt(self.shared.name);
            }
            // Another ended before this thread looked.
            if state.latest.as_ref().is_some_and(|(of, _)| *of > number) {
                return Err(RebuildFault::Cancelled { name: self.shared.name });
            }
            desk.changed.wait(&mut state);
        }
    }
}

/// Why a generation is not made: it was stopped, or the log cannot be folded.
enum NotMade {
    Stopped,
    Failed(Arc<str>),
}

/// Does work that takes long and reads the log on a thread of its own, which stops with its flag.
fn aside<T: Send, E: Display + Send>(
    on_thread: fn(),
    stop: &StopFlag,
    work: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, NotMade> {
    let work = || {
        on_thread();
        stoppable(Some(stop.clone()), work)
    };
    let done = thread::scope(|scope| scope.spawn(work).join());
    match done.unwrap_or_else(|panic| resume_unwind(panic)) {
        Err(_) => Err(NotMade::Stopped),
        Ok(Err(fault)) => Err(NotMade::Failed(fault.to_string().into())),
        Ok(Ok(done)) => Ok(done),
    }
}

impl<V: View> RunnerShared<V> {
    /// Works on the generation aside. Work that breaks is an outcome, not a fault of the view.
    fn spawn(self: &Arc<Self>, state: &mut DeskState<V>, work: impl FnOnce(&Arc<Self>) + Send + 'static) {
        state.threads.retain(|thread| !thread.is_finished());
        let shared = Arc::clone(self);
        let number = state.begun;
        let run = move || {
            if catch_unwind(AssertUnwindSafe(|| work(&shared))).is_err() {
                let broke = || NotMade::Failed("a fold panicked".into());
                shared.give_up(number, broke());
            }
        };
        match thread::Builder::new().name(format!("{}-rebuild", self.name)).spawn(run) {
            Ok(thread) => state.threads.push(thread),
            Err(fault) => {
                state.phase = Phase::Idle;
                state.latest = Some((number, RebuildOutcome::Failed(fault.to_string().into())));
            }
        }
    }

    fn give_up(&self, number: u64, cause: NotMade) {
        let outcome = match cause {
            NotMade::Stopped => RebuildOutcome::Cancelled,
            NotMade::Failed(cause) => {
                error!(view = self.name, %cause, "a view could not be rebuilt");
                RebuildOutcome::Failed(cause)
            }
        };
        self.enter(Phase::Idle, Some((number, outcome)));
    }

    /// Goes on to a phase, unless somebody cancelled it meanwhile; whether it does.
    fn proceed(
        &self,
        (number, stop): (u64, &StopFlag),
        phase: Phase<V>,
        latest: Option<RebuildOutcome>,
    ) -> bool {
        let mut state = self.desk.state.lock();
        // Cancelling takes the same lock: what is cancelled after this is told that it cannot be.
        if stop.is_raised() {
            drop(state);
            self.give_up(number, NotMade::Stopped);
            return false;
        }
        state.phase = phase;
        if let Some(outcome) = latest {
            state.latest = Some((number, outcome));
        }
        drop(state);
        self.desk.tell();
        true
    }

    /// Goes on to a phase.
    fn enter(&self, phase: Phase<V>, latest: Option<(u64, RebuildOutcome)>) {
        let mut state = self.desk.state.lock();
        let old = std::mem::replace(&mut state.phase, phase);
        if latest.is_some() {
            state.latest = latest;
        }
        drop(state);
        drop(old);
        self.desk.tell();
    }

    /// Builds a generation, compares it, and lets it take its place or wait.
    fn make(
        self: &Arc<Self>,
        number: u64,
        request: &RebuildRequest,
        meter: &Arc<BuildMeter>,
        stop: &StopFlag,
    ) {
        let made = self.build(number, request, meter, stop);
        let (fresh, rebuilt) = match made {
            Ok(made) => made,
            Err(cause) => return self.give_up(number, cause),
        };
        let (view, sequence) = (self.name, rebuilt.sequence.0);
        if rebuilt.is_same() {
            info!(view, sequence, "a view was rebuilt and came back the same");
        } else {
            let rows = rebuilt.differences.count;
            error!(view, sequence, rows, "a view was rebuilt and was not the same");
        }
        if request.swap && rebuilt.is_same() {
            return self.take_place(number, fresh, rebuilt, request, stop);
        }
        let until = Instant::now() + request.kept;
        let outcome = RebuildOutcome::Ready(Arc::clone(&rebuilt));
        let fresh = Box::new(fresh);
        let phase = Phase::Ready { number, fresh, rebuilt, request: request.clone(), until };
        if !self.proceed((number, stop), phase, Some(outcome)) {
            return;
        }
        self.keep(until, |phase| matches!(phase, Phase::Ready { number: of, .. } if *of == number));
    }

    fn build(
        &self,
        number: u64,
        request: &RebuildRequest,
        meter: &Arc<BuildMeter>,
        stop: &StopFlag,
    ) -> Result<(Fresh<V>, Arc<Rebuilt>), NotMade> {
        let mut fresh = Fresh { view: V::default(), at: Sequence::ZERO };
        let mut pace = Pace::new(meter, request.most_events_per_second);
        aside(request.on_thread, stop, || self.follow_log(&mut fresh, |reached| pace.step(reached)))?;
        let phase = Phase::Comparing { number, at: fresh.at, stop: stop.clone() };
        if !self.proceed((number, stop), phase, None) {
            return Err(NotMade::Stopped);
        }
        // On a thread of usual priority: the fold waits for the copy.
        let (live, sequence) = self.live().copy();
        let rebuilt = aside(request.on_thread, stop, || {
            self.follow_until(&mut fresh, sequence, |_| stop::check())?;
            Ok::<_, ReplayFault>(Rebuilt::compare(&live, &fresh.view, sequence))
        })?;
        Ok((fresh, Arc::new(rebuilt)))
    }

    /// Takes over what a generation lacks, until it is nearly level with the live one.
    fn follow_log(&self, fresh: &mut Fresh<V>, mut step: impl FnMut(Sequence)) -> Result<(), ReplayFault> {
        loop {
            let until = self.live().position();
            self.follow_until(fresh, until, &mut step)?;
            if self.live().position().0 - fresh.at.0 <= LEVEL {
                return Ok(());
            }
        }
    }

    fn follow_until(
        &self,
        fresh: &mut Fresh<V>,
        until: Sequence,
        step: impl FnMut(Sequence),
    ) -> Result<(), ReplayFault> {
        if fresh.at < until {
            replay_stepwise(&*self.store, &mut fresh.view, (fresh.at, until), step)?;
            fresh.at = until;
        }
        Ok(())
    }

    /// Lets a generation take the place of the live one, which is kept aside.
    fn take_place(
        self: &Arc<Self>,
        number: u64,
        mut fresh: Fresh<V>,
        rebuilt: Arc<Rebuilt>,
        request: &RebuildRequest,
        stop: &StopFlag,
    ) {
        let phase = Phase::Swapping { number, at: fresh.at, stop: stop.clone() };
        if !self.proceed((number, stop), phase, None) {
            return;
        }
        let level = aside(request.on_thread, stop, || self.follow_log(&mut fresh, |_| stop::check()));
        if let Err(cause) = level {
            return self.give_up(number, cause);
        }
        let Fresh { view, at } = fresh;
        let generation = match self.swap(Arc::new(ViewGeneration::new(number, view, at))) {
            Ok(old) => old,
            Err(cause) => return self.give_up(number, NotMade::Failed(cause.into())),
        };
        let old = generation.number;
        info!(view = self.name, generation = number, "a generation of a view is live");
        self.keep_live(stop);
        let until = Instant::now() + request.kept;
        let outcome = RebuildOutcome::Swapped(Arc::clone(&rebuilt));
        let phase = Phase::Previous { generation, rebuilt, on_thread: request.on_thread, until };
        self.enter(phase, Some((number, outcome)));
        self.keep(
            until,
            |phase| matches!(phase, Phase::Previous { generation, .. } if generation.number == old),
        );
    }

    /// Lets the old generation take its place again.
    fn take_place_again(
        self: &Arc<Self>,
        old: &Arc<ViewGeneration<V>>,
        rebuilt: Arc<Rebuilt>,
        on_thread: fn(),
        stop: &StopFlag,
    ) {
        let number = self.live().number;
        let level = aside(on_thread, stop, || {
            loop {
                let position = old.position();
                let live = self.live().position();
                if live.0 <= position.0 + LEVEL {
                    return Ok::<_, String>(());
                }
                stop::check();
                // While requests read it, the fold has it follow: it is level soon.
                if self.draining.lock().iter().any(|draining| Arc::ptr_eq(&draining.generation, old)) {
                    thread::sleep(NAP);
                } else {
                    self.advance(old, (position, live))?;
                }
            }
        });
        if let Err(cause) = level {
            return self.give_up(number, cause);
        }
        if let Err(cause) = self.swap(Arc::clone(old)) {
            return self.give_up(number, NotMade::Failed(cause.into()));
        }
        info!(view = self.name, generation = old.number, "a generation of a view is live again");
        self.keep_live(stop);
        self.enter(Phase::Idle, Some((number, RebuildOutcome::SwappedBack(rebuilt))));
    }

    /// Writes the generation that took the place of another as the snapshot: a restart continues with it. What its last
    /// events left to be done apart is waited for.
    fn keep_live(&self, stop: &StopFlag) {
        while !self.live().is_settled() && !stop.is_raised() {
            thread::sleep(NAP);
        }
        // A failure is logged.
        let _ = self.take_snapshot();
    }

    /// Takes over the next events into a generation that readers may still read, up to one of them.
    fn advance(
        self: &Arc<Self>,
        generation: &Arc<ViewGeneration<V>>,
        (position, until): (Sequence, Sequence),
    ) -> Result<(), String> {
        let ended = || format!("the feed ends at {position}, before {until}");
        let group = self.feed.next(position)?.ok_or_else(ended)?;
        let wanted = group.partition_point(|event| event.sequence <= until);
        if wanted == 0 {
            return Err(format!("nothing follows {position} in its feed"));
        }
        self.take_over_into(generation, &group[..wanted]).map(drop)
    }

    /// Brings a generation level with the live one, while the fold waits, and lets it take its place; the one before. What
    /// its last events leave to be done apart is done apart.
    fn swap(self: &Arc<Self>, generation: Arc<ViewGeneration<V>>) -> Result<Arc<ViewGeneration<V>>, String> {
        let turn = self.turn.lock();
        let live = self.live();
        let until = live.position();
        loop {
            let position = generation.position();
            if position >= until {
                break;
            }
            self.advance(&generation, (position, until))?;
        }
        // Requests that began with the live one read it to their end.
        let mut draining = self.draining.lock();
        draining.retain(|old| !Arc::ptr_eq(&old.generation, &generation));
        draining.push(Draining::new(Arc::clone(&live)));
        drop(draining);
        // The one step that readers see.
        *self.live.write() = generation;
        drop(turn);
        self.tell(|_| ());
        Ok(live)
    }

    /// Keeps what is aside until it is gone, or for so long; then it is discarded.
    fn keep(&self, until: Instant, is_it: impl Fn(&Phase<V>) -> bool) {
        let mut state = self.desk.state.lock();
        while is_it(&state.phase) {
            if state.is_closed || self.desk.changed.wait_until(&mut state, until).timed_out() {
                if !is_it(&state.phase) {
                    return;
                }
                if let Phase::Ready { number, .. } = &state.phase {
                    state.latest = Some((*number, RebuildOutcome::Cancelled));
                }
                let old = std::mem::replace(&mut state.phase, Phase::Idle);
                drop(state);
                drop(old);
                self.forget_drained();
                return self.desk.tell();
            }
        }
    }
}

#[cfg(test)]
mod tests;
