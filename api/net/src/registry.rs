//! Which connections there are, and which of them makes place when there is no room.
//!
//! Invariants: a seat is returned once, by the drop of its guard, also when its connection was closed for another's
//! sake.
//! A connection is closed for another only while it waits for a request: beginning a request and being closed
//! exclude each other.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::bounds::Connections;

/// Among how many the one that has waited longest is looked for.
const SAMPLE: usize = 64;

const WAITING: u8 = 0;
const BUSY: u8 = 1;
const CLOSED: u8 = 2;

/// No byte of a head has come.
const NO_HEAD: u64 = u64::MAX;

/// What a connection is doing: written by its own task, read by anyone who looks for place.
#[derive(Debug)]
pub(super) struct Watch {
    began: Instant,
    phase: AtomicU8,
    /// Since when it waits for a request.
    since: AtomicU64,
    /// Since when the head of that request arrives.
    head_since: AtomicU64,
    /// Whether what was answered is still to be written.
    writing: AtomicBool,
    /// Since when the other side has taken none of it.
    stuck_since: AtomicU64,
    /// Whether the server stops: its next answer is its last.
    stopping: AtomicBool,
    /// Whether its request was given up for that.
    cut: AtomicBool,
    /// Whether it has not sent a request yet.
    first: AtomicBool,
}

/// Why a connection is past its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Nothing was sent.
    Silent,
    /// A part of a head was sent.
    Head,
    /// The server stops, and its request is not there.
    Stopping,
}

impl Watch {
    pub(super) fn new(began: Instant) -> Self {
        let watch = Self {
            began,
            phase: AtomicU8::new(WAITING),
            since: AtomicU64::new(0),
            head_since: AtomicU64::new(NO_HEAD),
            writing: AtomicBool::new(false),
            stuck_since: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            first: AtomicBool::new(true),
        };
        watch.opened();
        watch
    }

    /// Its first request is waited for from now on.
    pub(super) fn opened(&self) {
        self.since.store(self.now(), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(NO_HEAD - 1)
    }

    /// Bytes have come.
    pub(super) fn heard(&self) {
        if self.head_since.load(Ordering::Relaxed) == NO_HEAD && self.phase.load(Ordering::Relaxed) == WAITING
        {
            self.head_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// A request is under way; `false` if the connection was closed for another's sake before.
    pub(super) fn begin(&self) -> bool {
        self.first.store(false, Ordering::Relaxed);
        self.phase.compare_exchange(WAITING, BUSY, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The answer is complete, though perhaps not sent: the next request is waited for.
    pub(super) fn finished(&self) {
        self.since.store(self.now(), Ordering::Relaxed);
        self.head_since.store(NO_HEAD, Ordering::Relaxed);
        let _ = self.phase.compare_exchange(BUSY, WAITING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether bytes wait to be written.
    pub(super) fn writes(&self, writing: bool) {
        if self.writing.load(Ordering::Relaxed) != writing {
            self.stuck_since.store(self.now(), Ordering::Relaxed);
            self.writing.store(writing, Ordering::Relaxed);
        }
    }

    /// Some bytes were taken.
    pub(super) fn written(&self) {
        if self.writing.load(Ordering::Relaxed) {
            self.stuck_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Whether bytes wait to be written, and none was taken for so long.
    pub(super) fn is_stuck(&self, patience: Duration) -> bool {
        let waited = self.now().saturating_sub(self.stuck_since.load(Ordering::Relaxed));
        self.writing.load(Ordering::Relaxed) && Duration::from_millis(waited) >= patience
    }

    /// The server stops.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the server stops.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Its request is given up.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// Whether its request was given up.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Whether a request is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.phase.load(Ordering::Acquire) == BUSY
    }

    /// Whether it waits for a request, and has nothing to write.
    pub(super) fn waits_for_head(&self) -> bool {
        self.phase.load(Ordering::Acquire) == WAITING && !self.writing.load(Ordering::Relaxed)
    }

    /// Whether it waits for a request and has heard nothing of one.
    pub(super) fn is_idle(&self) -> bool {
        self.phase.load(Ordering::Acquire) == WAITING
            && self.head_since.load(Ordering::Relaxed) == NO_HEAD
            && !self.writing.load(Ordering::Relaxed)
    }

    /// Why it is past its time, or after how long to look again.
    pub(super) fn late(&self, head: Duration, idle: Duration) -> Result<Duration, Overdue> {
        if self.phase.load(Ordering::Acquire) != WAITING || self.writing.load(Ordering::Relaxed) {
            return Ok(head);
        }
        let (now, first) = (self.now(), self.first.load(Ordering::Relaxed));
        let head_since = self.head_since.load(Ordering::Relaxed);
        let since = self.since.load(Ordering::Relaxed);
        let passed = |since| Duration::from_millis(now.saturating_sub(since));
        if head_since != NO_HEAD {
            let since = if first { since } else { head_since };
            return head.checked_sub(passed(since)).filter(|left| !left.is_zero()).ok_or(Overdue::Head);
        }
        let patience = if first { head } else { idle };
        let left =
            patience.checked_sub(passed(since)).filter(|left| !left.is_zero()).ok_or(Overdue::Silent)?;
        // A head may begin meanwhile; its end is not before the next look.
        Ok(left.min(head))
    }

    /// For how long it could have made place, if it can.
    fn closable(&self, now: u64) -> Option<u64> {
        let waits = self.phase.load(Ordering::Acquire) == WAITING && !self.writing.load(Ordering::Relaxed);
        waits.then(|| now.saturating_sub(self.since.load(Ordering::Relaxed)))
    }

    fn close(&self) -> bool {
        self.phase.compare_exchange(WAITING, CLOSED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// Why there is no seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeatRefusal {
    /// All connections have a request under way.
    Full,
    /// Its address has as many as it may have.
    Address,
}

/// All connections; see the module.
#[derive(Debug)]
pub(super) struct Registry {
    began: Instant,
    most: usize,
    most_per_address: usize,
    terminators: Vec<IpAddr>,
    seats: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    slots: Vec<Option<ConnectionSlot>>,
    free: Vec<usize>,
    by_address: HashMap<IpAddr, usize>,
    /// Where the last search for place ended.
    hand: usize,
}

#[derive(Debug)]
struct ConnectionSlot {
    watch: Arc<Watch>,
    address: IpAddr,
    task: Option<AbortHandle>,
}

/// Whose connection is counted.
#[derive(Debug)]
pub(super) struct Seat {
    registry: Arc<Registry>,
    index: usize,
    pub(super) watch: Arc<Watch>,
}

impl Registry {
    /// For so many, which may be fewer than is configured.
    pub(super) fn new(most: usize, bounds: &Connections) -> Self {
        let Connections { most_per_address, terminators, .. } = bounds.clone();
        Self { began: Instant::now(), most, most_per_address, terminators, seats: Mutex::default() }
    }

    /// A seat for a connection from there; another may have been closed for it.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Seat, SeatRefusal> {
        let bounded = !self.terminators.contains(&address);
        let address = whose(address);
        let mut seats = self.seats.lock();
        let taken = seats.by_address.get(&address).copied().unwrap_or_default();
        if bounded && taken >= self.most_per_address {
            return Err(SeatRefusal::Address);
        }
        if seats.taken() >= self.most && !seats.make_place(self.now()) {
            return Err(SeatRefusal::Full);
        }
        let watch = Arc::new(Watch::new(self.began));
        let index = seats.take(ConnectionSlot { watch: Arc::clone(&watch), address, task: None });
        Ok(Seat { registry: Arc::clone(self), index, watch })
    }

    /// The task of a connection that has just got its seat; it may have ended already.
    pub(super) fn runs(&self, index: usize, watch: &Arc<Watch>, task: AbortHandle) {
        let mut seats = self.seats.lock();
        if let Some(Some(slot)) = seats.slots.get_mut(index).filter(|slot| holds(slot.as_ref(), watch)) {
            slot.task = Some(task);
        }
    }

    /// Closes the connection that has waited longest, if any waits.
    pub(super) fn make_place(&self) -> bool {
        self.seats.lock().make_place(self.now())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(NO_HEAD - 1)
    }
}

impl Seat {
    pub(super) fn index(&self) -> usize {
        self.index
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.registry.seats.lock();
        if holds(seats.slots.get(self.index).and_then(Option::as_ref), &self.watch) {
            seats.give_back(self.index);
        }
    }
}

fn holds(slot: Option<&ConnectionSlot>, watch: &Arc<Watch>) -> bool {
    slot.is_some_and(|slot| Arc::ptr_eq(&slot.watch, watch))
}

impl Seats {
    fn taken(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn take(&mut self, slot: ConnectionSlot) -> usize {
        *self.by_address.entry(slot.address).or_default() += 1;
        if let Some(index) = self.free.pop() {
            self.slots[index] = Some(slot);
            return index;
        }
        self.slots.push(Some(slot));
        self.slots.len() - 1
    }

    fn give_back(&mut self, index: usize) -> Option<ConnectionSlot> {
        let slot = self.slots[index].take()?;
        self.free.push(index);
        if let Some(count) = self.by_address.get_mut(&slot.address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&slot.address);
            }
        }
        Some(slot)
    }

    fn make_place(&mut self, now: u64) -> bool {
        while let Some(index) = self.longest_waiting(now) {
            // Else a request began this very moment, and goes on.
            if self.slots[index].as_ref().is_some_and(|slot| slot.watch.close()) {
                if let Some(task) = self.give_back(index).and_then(|slot| slot.task) {
                    task.abort();
                }
                return true;
            }
        }
        false
    }

    /// Looks at a sample, beginning where the last search ended, and goes on only until one is found.
    fn longest_waiting(&mut self, now: u64) -> Option<usize> {
        let mut longest: Option<(u64, usize)> = None;
        for step in 0..self.slots.len() {
            if step >= SAMPLE && longest.is_some() {
                break;
            }
            self.hand = (self.hand + 1) % self.slots.len();
            let waited = self.slots[self.hand].as_ref().and_then(|slot| slot.watch.closable(now));
            if let Some(waited) = waited
                && longest.is_none_or(|(most, _)| waited > most)
            {
                longest = Some((waited, self.hand));
            }
        }
        longest.map(|(_, index)| index)
    }
}

/// Whose an address is: in IPv6 anyone who has one has all of its /64.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}
