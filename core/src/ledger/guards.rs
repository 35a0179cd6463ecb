//! What the writer asks before it decides: whether the clock can be believed, and whether there is room on the disk.
//!
//! While one of them says no, nothing is recorded: a command that would write is refused with the reason, before anything of
//! it is decided; one that changes nothing, or was carried out before, is answered. A thread looks at both once a second,
//! so that health knows of them when nobody writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{error, warn};

use super::clock_guard::{
    BEHIND_TOLERANCE, CONFIRMATION_WITHIN, ClockBounds, ClockDoubt, ClockGuard, ClockReading,
};
use super::room::{DiskRoom, RoomOptions, RoomShort};
use super::{Accepted, Clock, Queued, Sequencer, SubmitError, What};
use crate::domain::clock::ConfirmClock;
use crate::domain::event::Event;
use crate::domain::id::Sequence;
use crate::domain::time::Timestamp;
use crate::domain::usage::UsageLimits;
use crate::domain::{Answer, Command};
use crate::log::envelope::Recorded;

/// How often both are looked at when nothing else asks for it.
const EVERY: Duration = Duration::from_secs(1);

/// What keeps the writer from recording what it should not.
#[derive(Default)]
pub struct GuardOptions {
    /// How far the clock may step.
    pub clock: ClockBounds,
    /// Which room is kept free on the disk; it is not looked at, if not said.
    pub room: Option<RoomOptions>,
    /// The limits of usage.
    pub usage: UsageLimits,
}

/// How the clock is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockStatus {
    /// What it shows.
    pub now: Timestamp,
    /// When the last event was recorded.
    pub recorded_at: Timestamp,
    /// Whether it is watched. A clock that is set by hand or read from a file is not.
    pub watched: bool,
    /// Why nothing is recorded, if the clock is in doubt.
    pub doubt: Option<ClockDoubt>,
    /// Whether it is watched and shows an earlier time than that of the last event: no document is issued.
    pub behind: bool,
    /// How far it may step.
    pub bounds: ClockBounds,
}

/// Why nothing is recorded at the moment.
#[derive(Debug, Clone, Copy)]
enum Halt {
    Clock(ClockDoubt),
    Room(RoomShort),
}

impl From<Halt> for SubmitError {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Clock(doubt) => Self::ClockUnconfirmed(doubt),
            Halt::Room(short) => Self::NoRoom(short),
        }
    }
}

/// What clock and disk allow the commands of a group.
pub(super) struct Admission {
    /// The clock that the group is decided by.
    pub(super) reading: ClockReading,
    doubt: Option<ClockDoubt>,
    short: Option<RoomShort>,
    recorded_at: Timestamp,
    /// Whether the log is ahead of the clock.
    is_behind: bool,
}

impl Admission {
    /// Why a command is not decided now, if it is not, or what it is answered instead. It is answered otherwise if that
    /// takes no writing.
    pub(super) fn refusal(
        &self,
        sequencer: &Sequencer,
        queued: &Queued,
    ) -> Option<Result<Accepted, SubmitError>> {
        let &Self { reading, doubt, short, recorded_at, is_behind } = self;
        let halt = doubt.map(Halt::Clock).or(short.map(Halt::Room));
        match &queued.what {
            What::Do(Command::ConfirmClock(confirm)) => match (doubt, short) {
                (_, Some(short)) => Some(Err(SubmitError::NoRoom(short))),
                (None, None) => Some(Ok(unchanged(sequencer.seen_by(&queued.what)))),
                (Some(_), None) => check_stated(confirm.confirmed, reading.now).err().map(Err),
            },
            What::Do(command) | What::IfUnmoved { command, .. } if is_behind && is_document(command) => {
                let now = reading.now;
                Some(Err(halt.map_or(SubmitError::ClockBehind { now, recorded_at }, SubmitError::from)))
            }
            _ => halt.map(|halt| Err(halt.into())),
        }
    }
}

/// See the module.
pub(super) struct Guards {
    clock: Arc<dyn Clock>,
    bounds: ClockBounds,
    guard: Mutex<ClockGuard>,
    recorded_at: AtomicI64,
    room: Option<Arc<DiskRoom>>,
    thread: Mutex<Option<(SyncSender<()>, JoinHandle<()>)>>,
}

impl Guards {
    /// The guards of a log that ends as this sequencer knows it.
    pub(super) fn new(clock: Arc<dyn Clock>, options: GuardOptions, sequencer: &Sequencer) -> Self {
        let GuardOptions { clock: bounds, room, .. } = options;
        let recorded_at = sequencer.recorded_at();
        let log = sequencer.created().map(|_| {
            // Since a clock that was ahead was confirmed to be so, events are recorded at the time of the last one before.
            let confirmed = sequencer.state().clock_confirmed();
            let stands_still = confirmed.filter(|confirmed| confirmed.at == recorded_at);
            (stands_still.map_or(recorded_at, |confirmed| confirmed.confirmed.min(recorded_at)), recorded_at)
        });
        let guard = Mutex::new(ClockGuard::new(bounds, log, reading(&*clock)));
        Self {
            clock,
            bounds,
            guard,
            recorded_at: AtomicI64::new(recorded_at.micros()),
            room: room.map(|room| Arc::new(DiskRoom::new(room))),
            thread: Mutex::new(None),
        }
    }

    /// Begins to look at both, until [`end`](Self::end).
    pub(super) fn begin(self: &Arc<Self>) -> std::io::Result<()> {
        let (wake, woken) = sync_channel(1);
        let guards = Arc::clone(self);
        let thread = thread::Builder::new().name("guards".into()).spawn(move || guards.watch(&woken))?;
        *self.thread.lock() = Some((wake, thread));
        Ok(())
    }

    pub(super) fn end(&self) {
        let Some((wake, thread)) = self.thread.lock().take() else { return };
        drop(wake);
        if thread.join().is_err() {
            error!("the thread that watches clock and disk panicked");
        }
    }

    fn watch(&self, woken: &Receiver<()>) {
        let (mut clock, mut room) = (None, None);
        loop {
            if let Some(room) = &self.room {
                room.look();
            }
            tell(&mut clock, self.clock_fault(), "the clock can be believed again");
            tell(&mut room, self.room_fault(), "there is room on the disk again");
            if woken.recv_timeout(EVERY) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    fn observe(&self) -> (ClockReading, Option<ClockDoubt>) {
        let mut guard = self.guard.lock();
        let reading = reading(&*self.clock);
        (reading, guard.observe(reading))
    }

    /// The time of the events of the start: a clock in doubt dates nothing, so they get the time of the last event.
    pub(super) fn time_of_start(&self) -> Timestamp {
        let (reading, doubt) = self.observe();
        if doubt.is_some() { Timestamp::MIN } else { reading.now }
    }

    /// The events of the start are durable.
    pub(super) fn began(&self, events: &[Recorded]) {
        if let Some(last) = events.last() {
            self.recorded_at.store(last.recorded_at.micros(), Ordering::Relaxed);
        }
    }

    /// What may be decided now, after events that were recorded at this time or before.
    pub(super) fn admission(&self, recorded_at: Timestamp) -> Admission {
        let (reading, doubt) = self.observe();
        let short = self.room.as_ref().and_then(|room| room.check().err());
        Admission { reading, doubt, short, recorded_at, is_behind: is_behind(reading, recorded_at) }
    }

    /// These events were made durable, in so many bytes, by this reading of the clock.
    pub(super) fn recorded(&self, events: &[Recorded], bytes: u64, reading: ClockReading) {
        self.began(events);
        if events.iter().any(|event| matches!(event.event, Event::ClockConfirmed(_))) {
            self.guard.lock().confirm(reading);
        }
        let Some(room) = &self.room else { return };
        if room.appended(bytes)
            && let Some((wake, _)) = &*self.thread.lock()
        {
            // If it is full, the thread is about to look anyway.
            let _ = wake.try_send(());
        }
    }

    /// The command that confirms what the clock shows, if it is in doubt. `stated` is what it should show.
    pub(super) fn confirmation(&self, stated: Timestamp) -> Result<Option<Command>, SubmitError> {
        let (reading, doubt) = self.observe();
        // Also where nothing is in doubt: a wrong statement is never accepted.
        check_stated(stated, reading.now)?;
        let Some(doubt) = doubt else { return Ok(None) };
        let confirm = ConfirmClock { previous: doubt.expected, confirmed: stated };
        Ok(Some(Command::ConfirmClock(confirm)))
    }

    pub(super) fn clock_status(&self) -> ClockStatus {
        let (reading, doubt) = self.observe();
        let recorded_at = Timestamp::from_micros(self.recorded_at.load(Ordering::Relaxed));
        let recorded_at = recorded_at.unwrap_or(Timestamp::MIN);
        ClockStatus {
            now: reading.now,
            recorded_at,
            watched: reading.elapsed.is_some(),
            doubt,
            behind: is_behind(reading, recorded_at),
            bounds: self.bounds,
        }
    }

    pub(super) fn check_recording(&self) -> Result<(), SubmitError> {
        if let Some(doubt) = self.observe().1 {
            return Err(SubmitError::ClockUnconfirmed(doubt));
        }
        self.room
            .as_ref()
            .and_then(|room| room.short())
            .map_or(Ok(()), |short| Err(SubmitError::NoRoom(short)))
    }

    pub(super) fn check_issuing(&self) -> Result<(), SubmitError> {
        self.check_recording()?;
        let ClockStatus { now, recorded_at, behind, .. } = self.clock_status();
        if behind { Err(SubmitError::ClockBehind { now, recorded_at }) } else { Ok(()) }
    }

    pub(super) fn clock_fault(&self) -> Option<String> {
        let ClockStatus { now, recorded_at, doubt, behind, .. } = self.clock_status();
        let doubt = doubt.map(|doubt| SubmitError::ClockUnconfirmed(doubt).to_string());
        doubt.or_else(|| behind.then(|| SubmitError::ClockBehind { now, recorded_at }.to_string()))
    }

    pub(super) fn room_fault(&self) -> Option<String> {
        self.room.as_ref()?.fault()
    }

    pub(super) fn room(&self) -> Option<&Arc<DiskRoom>> {
        self.room.as_ref()
    }
}

/// The time that passed is read around the clock: a thread that is stopped in between must not see a step.
fn reading(clock: &dyn Clock) -> ClockReading {
    const BETWEEN: Duration = Duration::from_millis(100);
    loop {
        let before = clock.elapsed();
        let now = clock.now();
        let elapsed = clock.elapsed();
        let between =
            elapsed.zip(before).map_or(Duration::ZERO, |(after, before)| after.saturating_sub(before));
        if between < BETWEEN {
            return ClockReading { now, elapsed };
        }
    }
}

fn is_behind(reading: ClockReading, recorded_at: Timestamp) -> bool {
    let behind = recorded_at.micros().saturating_sub(reading.now.micros());
    reading.elapsed.is_some()
        && u128::try_from(behind).is_ok_and(|behind| behind > BEHIND_TOLERANCE.as_micros())
}

/// Whether it issues a document, which is dated by the clock.
fn is_document(command: &Command) -> bool {
    matches!(command, Command::FinaliseInvoice(_) | Command::IssueCreditNote(_))
}

fn check_stated(stated: Timestamp, now: Timestamp) -> Result<(), SubmitError> {
    let apart = u128::from(stated.micros().abs_diff(now.micros()));
    if apart <= CONFIRMATION_WITHIN.as_micros() {
        return Ok(());
    }
    Err(SubmitError::ClockStatedOtherwise { stated, now })
}

fn unchanged(sequence: Sequence) -> Accepted {
    Accepted { answer: Answer::Unchanged, sequence, events: 0 }
}

/// Logs what began and what ended.
fn tell(known: &mut Option<String>, fault: Option<String>, over: &str) {
    match (&known, &fault) {
        (None, Some(fault)) => error!("{fault}"),
        (Some(_), None) => warn!("{over}"),
        _ => {}
    }
    *known = fault;
}

#[cfg(test)]
mod tests;
