//! Long readings that nobody waits for any more are stopped.
//!
//! The caller that starts a long reading gives its thread a [`StopFlag`]. The loops that read, meter and rate call
//! [`check`], which unwinds to [`stoppable`] once the flag is raised: what they had so far is dropped, and no half of
//! it is ever seen. A thread without a flag, such as that of a fold, is never stopped.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells long readings to stop. Clones are the same flag.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

/// A reading was stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was stopped")]
pub struct Stopped;

thread_local! {
    static FLAG: RefCell<Option<StopFlag>> = const { RefCell::new(None) };
}

impl StopFlag {
    /// Stops whatever was given this flag.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag of this thread, to give it to threads that do a part of the same work.
    pub fn of_thread() -> Option<Self> {
        FLAG.with_borrow(Clone::clone)
    }
}

/// Stops this thread's reading if its flag is raised.
pub fn check() {
    if FLAG.with_borrow(|flag| flag.as_ref().is_some_and(StopFlag::is_raised)) {
        // Not a panic: nothing is reported.
        resume_unwind(Box::new(Stopped));
    }
}

/// Does work that stops at the next [`check`] once the flag is raised. The work reads only what it alone will drop:
/// nothing that others see may be left half changed.
pub fn stoppable<R>(flag: Option<StopFlag>, work: impl FnOnce() -> R) -> Result<R, Stopped> {
    let before = FLAG.replace(flag);
    let done = catch_unwind(AssertUnwindSafe(work));
    FLAG.set(before);
    done.or_else(|cause| if cause.is::<Stopped>() { Err(Stopped) } else { resume_unwind(cause) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_goes_on_until_the_flag_is_raised() {
        let flag = StopFlag::default();
        let mut steps = 0;
        let done = stoppable(Some(flag.clone()), || {
            for step in 1..=10 {
                steps = step;
                if step == 3 {
                    flag.raise();
                }
                check();
            }
        });
        assert_eq!((done, steps), (Err(Stopped), 3));
        check();
        assert_eq!(stoppable(None, check), Ok(()), "a thread without a flag is not stopped");
    }

    #[test]
    fn a_panic_stays_a_panic() {
        let panicked = catch_unwind(|| stoppable(Some(StopFlag::default()), || panic!("a fault")));
        assert!(panicked.is_err());
        assert!(StopFlag::of_thread().is_none(), "the thread is as it was before");
    }
}
