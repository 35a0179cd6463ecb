//! The writer under weather: random commands of several actors, appends and reads that fail, clocks that run backwards,
//! and restarts at random moments, all from one seed. The projections follow it, each on the thread of its runner.
//!
//! It drives the sequencer itself, and waits for the projections where it looks at them, so that a seed repeats its run
//! exactly. What is told to anybody, what decisions look at and what the projections show is checked against `whole`,
//! `facts` and `books`, a second and simpler reading of the log that shares no code with them. It is not a test of sled or
//! of a killed process: that is the crash drill.

use slapledger_core::domain;
use slapledger_core::domain::event::Event;

/// Shared with the tests of the decisions: it reads events alone.
#[path = "../../core/src/domain/naive.rs"]
mod naive;

mod books;
mod commands;
mod facts;
mod index;
mod keys;
mod money;
mod promises;
mod readers;
mod whole;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use slapledger_tests::{quick, told_seed};
use world::{STEPS, SimulatedWorld};

/// Prints the seed when a run of it fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the simulation failed; SLAPLEDGER_SEED={} repeats it", self.0);
        }
    }
}

#[test]
fn invariants_hold_in_all_weather() {
    let seeds = match told_seed() {
        Some(seed) => seed..=seed,
        None if quick() => 1..=32,
        None => 1..=160,
    };
    let next = AtomicU64::new(*seeds.start());
    let totals = Mutex::new((BTreeMap::new(), 0));
    thread::scope(|scope| {
        let work = || {
            loop {
                let seed = Seed(next.fetch_add(1, Ordering::Relaxed));
                if !seeds.contains(&seed.0) {
                    break;
                }
                let (kinds, restarts) = run(seed.0).finish();
                let mut totals = totals.lock().expect("no thread panicked with it");
                totals.1 += restarts;
                for (kind, count) in kinds {
                    *totals.0.entry(kind).or_insert(0) += count;
                }
            }
        };
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            assert!(worker.join().is_ok(), "a seed failed; it is named above");
        }
    });
    let (kinds, restarts) = totals.into_inner().expect("no thread panicked with it");
    println!("{restarts} restarts, {kinds:?}");
    // Weather that never comes is no test: all that can happen did.
    if told_seed().is_none() {
        let never: Vec<_> = Event::NAMES.iter().filter(|name| !kinds.contains_key(*name)).collect();
        assert!(never.is_empty(), "{never:?} never happened; {kinds:?}");
    }
}

/// A seed is worth nothing if it does not repeat.
#[test]
fn a_seed_repeats_its_run() {
    assert_eq!(run(7).root(), run(7).root());
}

fn run(seed: u64) -> SimulatedWorld {
    let mut world = SimulatedWorld::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world
}
