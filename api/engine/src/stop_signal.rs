//! A signal that ends a thread which waits most of the time.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Tells a thread to stop, and wakes it if it waits.
#[derive(Debug, Default)]
pub(crate) struct StopSignal {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl StopSignal {
    /// Sets it, for good.
    pub(crate) fn set(&self) {
        *self.is_set.lock() = true;
        self.changed.notify_all();
    }

    /// Whether it is set.
    pub(crate) fn is_set(&self) -> bool {
        *self.is_set.lock()
    }

    /// Waits until it is set, at most so long; whether it is.
    pub(crate) fn wait(&self, longest: Duration) -> bool {
        let until = Instant::now() + longest;
        let mut is_set = self.is_set.lock();
        while !*is_set {
            if self.changed.wait_until(&mut is_set, until).timed_out() {
                break;
            }
        }
        *is_set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_waits_is_woken() {
        let signal = StopSignal::default();
        assert!(!signal.wait(Duration::ZERO) && !signal.is_set());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| signal.wait(Duration::from_secs(600)));
            signal.set();
            assert!(waiting.join().expect("it ends"));
        });
        assert!(signal.wait(Duration::from_secs(600)) && signal.is_set());
    }
}
