//! Work on many things that do not depend on each other, a share of it on each core.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

use slapledger_projections::stop::{StopFlag, stoppable};

/// Things for which it is worth while to start a thread.
const WORTH_A_THREAD: usize = 256;

/// What comes of each share, in the order of the things: put together, it is the same however many cores there are.
pub(crate) fn in_parallel<I: Sync, T: Send>(things: &[I], work: impl Fn(&[I]) -> T + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = things.len().div_ceil(cores).max(WORTH_A_THREAD);
    let Some((first, others)) = things.split_at_checked(share) else { return vec![work(things)] };
    thread::scope(|scope| {
        let work = &work;
        let flag = StopFlag::of_thread();
        let others = others.chunks(share).map(|things| {
            let flag = flag.clone();
            scope.spawn(move || stoppable(flag, || work(things)))
        });
        let others: Vec<_> = others.collect();
        let mut done = vec![work(first)];
        for other in others {
            // A panic of one is a panic of all, and so is a stop.
            let shared = other.join().unwrap_or_else(|panic| resume_unwind(panic));
            done.push(shared.unwrap_or_else(|stopped| resume_unwind(Box::new(stopped))));
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_back_in_order() {
        for many in [0, 1, WORTH_A_THREAD - 1, WORTH_A_THREAD, WORTH_A_THREAD + 1, 10 * WORTH_A_THREAD + 7] {
            let things: Vec<usize> = (0..many).collect();
            let shares = in_parallel(&things, <[usize]>::to_vec);
            assert_eq!(shares.concat(), things, "{many}");
        }
    }
}
