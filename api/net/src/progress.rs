//! The least progress that the other side of a connection must make while it is waited for.
//!
//! Only time spent waiting counts, and no timer runs before there is a wait: who is fast enough costs nothing.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Counts waits and bytes; see the module.
#[derive(Debug)]
pub(super) struct ConnectionProgress {
    window: Duration,
    least_bytes: u64,
    /// Bytes within this window.
    moved: u64,
    /// Waits within this window that are over.
    waited: Duration,
    /// The wait under way.
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl ConnectionProgress {
    /// In every `window` of waiting, at least so many bytes.
    pub(super) fn new(window_seconds: u64, least_bytes: u64) -> Self {
        let window = Duration::from_secs(window_seconds);
        Self { window, least_bytes, moved: 0, waited: Duration::ZERO, since: None, timer: None }
    }

    /// Nothing moves: ready when that has been so for too long.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            let end = now + self.window.saturating_sub(self.waited);
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(end),
                None => self.timer = Some(Box::pin(tokio::time::sleep_until(end))),
            }
        }
        let Some(timer) = &mut self.timer else { return Poll::Pending };
        while timer.as_mut().poll(cx).is_ready() {
            if self.moved < self.least_bytes {
                return Poll::Ready(());
            }
            let now = Instant::now();
            (self.moved, self.waited, self.since) = (0, Duration::ZERO, Some(now));
            timer.as_mut().reset(now + self.window);
        }
        Poll::Pending
    }

    /// Something moved: the wait, if there was one, is over.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.moved = self.moved.saturating_add(bytes as u64);
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
    }
}
