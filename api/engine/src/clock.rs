//! The clocks of the edge: the only place where the real time is read.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::ledger::Clock;

/// The clock of the machine.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the edge")]
    fn now(&self) -> Timestamp {
        Timestamp::from_utc(chrono::Utc::now())
    }

    /// Since the machine was started, also while it slept.
    fn elapsed(&self) -> Option<Duration> {
        let passed = clock_gettime(ClockId::Boottime);
        let (seconds, nanoseconds) =
            (u64::try_from(passed.tv_sec).ok()?, u32::try_from(passed.tv_nsec).ok()?);
        Some(Duration::new(seconds, nanoseconds))
    }
}

/// A clock that stands still until it is set.
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows this.
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.micros()))
    }

    /// Sets it.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.micros(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MIN)
    }
}

/// A clock that shows the RFC 3339 instant in a file, read anew each time (`--clock`, for tests).
pub struct FileClock {
    path: PathBuf,
    last: AtomicI64,
}

/// Why a file cannot be a clock.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// It cannot be read.
    #[error("read the clock file {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("clock file {} must hold an RFC 3339 instant such as 2026-10-01T00:00:00Z", path.display())]
    NotAnInstant {
        /// Which.
        path: PathBuf,
    },
}

impl FileClock {
    /// The clock in this file, which must show a time now.
    pub fn open(path: PathBuf) -> Result<Self, ClockError> {
        let clock = Self { path, last: AtomicI64::new(0) };
        let now = clock.read()?;
        clock.last.store(now.micros(), Ordering::SeqCst);
        Ok(clock)
    }

    fn read(&self) -> Result<Timestamp, ClockError> {
        let path = || self.path.clone();
        let text = std::fs::read_to_string(&self.path)
            .map_err(|source| ClockError::Read { path: path(), source })?;
        Timestamp::parse_rfc3339(text.trim()).ok_or_else(|| ClockError::NotAnInstant { path: path() })
    }
}

impl Clock for FileClock {
    /// A file that cannot be read at the moment (it is being replaced) leaves the clock where it was.
    fn now(&self) -> Timestamp {
        if let Ok(now) = self.read() {
            self.last.store(now.micros(), Ordering::SeqCst);
        }
        Timestamp::from_micros(self.last.load(Ordering::SeqCst)).unwrap_or(Timestamp::MIN)
    }
}
