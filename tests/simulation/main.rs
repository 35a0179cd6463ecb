//! The writer under weather: random commands of several actors, appends that fail in every way, clocks that run
//! backwards, and restarts at random moments, all from one seed.
//!
//! It drives the sequencer itself, without threads, so that a seed repeats its run exactly; what is told to anybody is
//! checked against `facts`, a second and simpler reading of the log that shares no code with the decisions. It is not
//! a test of sled or of a killed process: that is the crash drill.

mod commands;
mod facts;
mod index;
mod promises;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use slapledger_tests::{quick, told_seed};
use world::World;

const STEPS: u32 = 300;

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
        None if quick() => 1..=40,
        None => 1..=200,
    };
    let next = AtomicU64::new(*seeds.start());
    let (events, restarts) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        let work = || {
            loop {
                let seed = Seed(next.fetch_add(1, Ordering::Relaxed));
                if !seeds.contains(&seed.0) {
                    break;
                }
                let mut world = World::new(seed.0);
                for _ in 0..STEPS {
                    world.step();
                }
                let (made, met) = world.finish();
                events.fetch_add(made, Ordering::Relaxed);
                restarts.fetch_add(met, Ordering::Relaxed);
            }
        };
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            assert!(worker.join().is_ok(), "a seed failed; it is named above");
        }
    });
    println!("{} events, {} restarts", events.into_inner(), restarts.into_inner());
}

/// A seed is worth nothing if it does not repeat.
#[test]
fn a_seed_repeats_its_run() {
    let run = || {
        let mut world = World::new(7);
        for _ in 0..STEPS {
            world.step();
        }
        world.root()
    };
    assert_eq!(run(), run());
}
