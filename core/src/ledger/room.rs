//! Room on the disk: below a reserve the writer refuses what it would have to write, before the disk is full.
//!
//! Free space is looked at once a second by a thread that does nothing else than such looks. In between the writer
//! counts what it appends, and has the thread look again when a quarter of the way to the reserve is used; when the
//! whole way seems to be used it looks itself before it refuses. So no rate of writing crosses the reserve unseen, and
//! the writer goes on with the first command after there is room again.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

/// The reserve of a large file system, if no other is configured.
pub const DEFAULT_RESERVE_BYTES: u64 = 256 * 1024 * 1024;
/// The reserve of a small file system is this part of it.
const DEFAULT_RESERVE_DIVISOR: u64 = 20;
/// How many bytes on the disk a byte of a frame may take until the next look: the store may write it more than once,
/// and indices and snapshots come on top.
const WRITTEN_FOR_EACH_BYTE: u64 = 4;
/// How many senders that cannot repeat what they send may wait for room at a time.
const MOST_WAITING: usize = 64;

/// How much room there is on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpace {
    /// How many bytes this process may still write.
    pub free: u64,
    /// How large the file system is.
    pub total: u64,
}

/// Looks how much room there is.
pub type LookForSpace = Box<dyn Fn() -> io::Result<FreeSpace> + Send + Sync>;

/// Which room is kept free, and where.
pub struct RoomOptions {
    /// How many bytes are kept free; 0 switches it off. If `None`, 256 MiB, or a twentieth of a smaller file system.
    pub reserve_bytes: Option<u64>,
    /// Looks where the ledger writes.
    pub look: LookForSpace,
}

/// The room as it was seen last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomStatus {
    /// How much is free, and of how much.
    pub space: FreeSpace,
    /// How many bytes are kept free.
    pub reserve: u64,
}

/// There is less room than the reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{free} bytes are free where the ledger writes, fewer than the reserve of {reserve} bytes; free some space, or lower \
     disk.reserve_bytes"
)]
pub struct RoomShort {
    /// How many bytes are free.
    pub free: u64,
    /// How many should be.
    pub reserve: u64,
}

/// See the module.
pub struct DiskRoom {
    reserve_bytes: Option<u64>,
    look: LookForSpace,
    /// Held during a look: of two at a time both would take off what was appended.
    looking: Mutex<()>,
    /// What the last look saw, or why it saw nothing.
    seen: Mutex<Result<FreeSpace, String>>,
    /// What was appended since.
    appended: AtomicU64,
    /// Whether another look was asked for since.
    asked: AtomicBool,
    short: watch::Sender<Option<RoomShort>>,
    waiting: Semaphore,
}

impl DiskRoom {
    /// Looks for the first time.
    pub fn new(options: RoomOptions) -> Self {
        let RoomOptions { reserve_bytes, look } = options;
        let room = Self {
            reserve_bytes,
            look,
            looking: Mutex::new(()),
            seen: Mutex::new(Err("nobody has looked yet".into())),
            appended: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            short: watch::Sender::new(None),
            waiting: Semaphore::new(MOST_WAITING),
        };
        room.look();
        room
    }

    fn reserve(&self, total: u64) -> u64 {
        let default = || DEFAULT_RESERVE_BYTES.min(total / DEFAULT_RESERVE_DIVISOR);
        self.reserve_bytes.unwrap_or_else(default)
    }

    /// Looks again. Asks the operating system, which may take its time: never from a thread that must not wait.
    pub fn look(&self) {
        let _alone = self.looking.lock();
        self.asked.store(false, Ordering::Relaxed);
        let appended = self.appended.load(Ordering::Relaxed);
        let space = (self.look)().map_err(|error| error.to_string());
        // What is appended during the look may be in it or not: it counts until the next one.
        self.appended.fetch_sub(appended, Ordering::Relaxed);
        let short = space.as_ref().ok().and_then(|space| self.short_of(*space, 0));
        *self.seen.lock() = space;
        self.short.send_if_modified(|known| std::mem::replace(known, short) != short);
    }

    fn short_of(&self, space: FreeSpace, written: u64) -> Option<RoomShort> {
        let (free, reserve) = (space.free.saturating_sub(written), self.reserve(space.total));
        // Where it cannot be said how much room there is, the disk says it.
        (free < reserve).then_some(RoomShort { free, reserve })
    }

    /// What the last look and the appends since come to.
    fn estimate(&self) -> Option<RoomShort> {
        let space = self.seen.lock().as_ref().ok().copied()?;
        self.short_of(space, self.appended.load(Ordering::Relaxed).saturating_mul(WRITTEN_FOR_EACH_BYTE))
    }

    /// Whether the writer may go on. It looks itself before it refuses.
    pub(super) fn check(&self) -> Result<(), RoomShort> {
        if self.estimate().is_none() {
            return Ok(());
        }
        self.look();
        self.short().map_or(Ok(()), Err)
    }

    /// The writer has appended so many bytes. Whether the thread is to look before its time.
    pub(super) fn appended(&self, bytes: u64) -> bool {
        let appended = self.appended.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let Ok(space) = *self.seen.lock() else { return false };
        let way = space.free.saturating_sub(self.reserve(space.total));
        let is_far = appended.saturating_mul(WRITTEN_FOR_EACH_BYTE) > way / 4;
        is_far && !self.asked.swap(true, Ordering::Relaxed)
    }

    /// Whether there was less room than the reserve at the last look.
    pub fn short(&self) -> Option<RoomShort> {
        *self.short.borrow()
    }

    /// The room at the last look; `None`, if it could not be seen.
    pub fn status(&self) -> Option<RoomStatus> {
        let space = self.seen.lock().as_ref().ok().copied()?;
        Some(RoomStatus { space, reserve: self.reserve(space.total) })
    }

    /// What is wrong, in words.
    pub fn fault(&self) -> Option<String> {
        if let Some(short) = self.short() {
            return Some(format!("writes are answered 507: {short}"));
        }
        let seen = self.seen.lock();
        seen.as_ref().err().map(|cause| format!("the free space of the data folder cannot be read: {cause}"))
    }

    /// Waits for room, for a sender who cannot repeat what it sends. Not for long, and only so many at a time: anyone who
    /// waits takes the place of a request.
    pub(super) async fn wait(&self, patience: Duration) -> Result<(), RoomShort> {
        let Some(short) = self.short() else { return Ok(()) };
        let Ok(_one_of_many) = self.waiting.try_acquire() else { return Err(short) };
        let mut changes = self.short.subscribe();
        let enough = changes.wait_for(Option::is_none);
        match tokio::time::timeout(patience, enough).await {
            Ok(_) => Ok(()),
            Err(_) => self.short().map_or(Ok(()), Err),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const MIB: u64 = 1024 * 1024;
    const GIB: u64 = 1024 * MIB;

    /// A room whose free space is set by hand, and how often somebody looked.
    fn room(reserve_bytes: Option<u64>, free: u64, total: u64) -> (DiskRoom, Arc<AtomicU64>, Arc<AtomicU64>) {
        let (free, looks) = (Arc::new(AtomicU64::new(free)), Arc::new(AtomicU64::new(0)));
        let look = {
            let (free, looks) = (Arc::clone(&free), Arc::clone(&looks));
            move || {
                looks.fetch_add(1, Ordering::SeqCst);
                Ok(FreeSpace { free: free.load(Ordering::SeqCst), total })
            }
        };
        (DiskRoom::new(RoomOptions { reserve_bytes, look: Box::new(look) }), free, looks)
    }

    #[test]
    fn the_reserve_is_what_is_configured_or_a_small_part_of_the_file_system() {
        let rows = [
            (None, GIB, 256 * MIB, 100 * GIB),
            (None, 0, 50 * MIB, 1000 * MIB),
            (Some(10 * GIB), 0, 10 * GIB, 100 * GIB),
            (Some(0), 0, 0, 100 * GIB),
        ];
        for (configured, free, reserve, total) in rows {
            let (room, ..) = room(configured, free, total);
            assert_eq!(room.reserve(total), reserve, "{configured:?} of {total}");
            assert_eq!(room.status(), Some(RoomStatus { space: FreeSpace { free, total }, reserve }));
            let short = (free < reserve).then_some(RoomShort { free, reserve });
            assert_eq!(room.short(), short, "{configured:?} of {total}");
        }
    }

    #[test]
    fn what_is_appended_counts_until_the_next_look_and_a_quarter_of_the_way_asks_for_one() {
        let (room, free, looks) = room(Some(100), 1700, 10_000);
        assert_eq!(looks.load(Ordering::SeqCst), 1);
        assert!(!room.appended(100), "400 of 1600 bytes");
        assert!(room.appended(1), "more than a quarter");
        assert!(!room.appended(1), "it was asked for");
        room.look();
        assert!(!room.appended(50));
        // The whole way seems to be used: the writer looks, and there is room after all.
        room.appended(400);
        assert_eq!((room.check(), looks.load(Ordering::SeqCst)), (Ok(()), 3));
        free.store(99, Ordering::SeqCst);
        assert_eq!((room.check(), looks.load(Ordering::SeqCst)), (Ok(()), 3), "it was looked just now");
        room.appended(401);
        let short = RoomShort { free: 99, reserve: 100 };
        assert_eq!((room.check(), room.check()), (Err(short), Err(short)));
        assert!(room.fault().is_some_and(|fault| fault.starts_with("writes are answered 507: 99 bytes")));
        // With room again the next command is taken, whenever the thread looks.
        free.store(100, Ordering::SeqCst);
        assert_eq!((room.check(), room.short(), room.fault()), (Ok(()), None, None));
    }

    #[test]
    fn a_look_that_fails_is_a_fault_and_stops_nobody() {
        let look: LookForSpace = Box::new(|| Err(io::Error::other("no such device")));
        let room = DiskRoom::new(RoomOptions { reserve_bytes: None, look });
        assert_eq!((room.check(), room.appended(GIB)), (Ok(()), false));
        let fault = "the free space of the data folder cannot be read: no such device";
        assert_eq!(room.fault().as_deref(), Some(fault));
    }

    #[tokio::test]
    async fn who_cannot_repeat_what_it_sends_waits_for_room_but_not_all_do() {
        let (room, free, _) = room(Some(100), 0, 10_000);
        let (room, short) = (Arc::new(room), RoomShort { free: 0, reserve: 100 });
        assert_eq!(room.wait(Duration::ZERO).await, Err(short));
        let waiting: Vec<_> = (0..MOST_WAITING)
            .map(|_| {
                let room = Arc::clone(&room);
                tokio::spawn(async move { room.wait(Duration::from_secs(600)).await })
            })
            .collect();
        while room.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(room.wait(Duration::from_secs(600)).await, Err(short), "one more than may wait");
        free.store(100, Ordering::SeqCst);
        room.look();
        for waits in waiting {
            assert_eq!(waits.await.expect("it ends"), Ok(()));
        }
        assert_eq!(room.wait(Duration::ZERO).await, Ok(()));
    }
}
