//! The log alone: frames of a thousand events appended to the store, beside the least that makes the same bytes durable.
//!
//! Both run on the same disk, one after the other in each run. The frames are made before the clock starts, tree included,
//! as the writer has them when it appends. The store then checks the chain, writes the record, syncs it, writes the head,
//! and copies everything into sled behind that; the bare file is filled with zeros, written and synced. Both are measured
//! on a file that was filled before: the store on the tail of its third epoch, which was that of an epoch before.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use slapledger_core::domain::id::Sequence;
use slapledger_core::log::frame::{Frame, pack};
use slapledger_core::log::merkle::Tree;
use slapledger_core::log::sled_store::{SledStore, StoreOptions};
use slapledger_core::log::store::{Appended, EventStore};
use slapledger_tests::random::Random;

use crate::Setting;
use crate::measure::{Grouped, Rate, median, percentile, times};

const EVENTS_OF_A_FRAME: u64 = 1000;
/// Half of what an epoch takes in production, so that less is written before anything is measured.
const EPOCH_BYTES: u64 = 96 * 1024 * 1024;
/// What the store has in its first two epochs before anything is measured, and a little of the third.
const WARM_BYTES: usize = 2 * 97 * 1024 * 1024;
/// How long the disk rests before each measurement: many disks lend bandwidth for a burst and take it back.
const REST: Duration = Duration::from_secs(3);

pub(crate) fn append(setting: &Setting, events: u64, runs: usize) -> anyhow::Result<()> {
    let frames = events / EVENTS_OF_A_FRAME;
    let (warm, measured) = frames_of(setting.seed, usize::try_from(frames)?)?;
    let bytes: usize = measured.iter().map(|frame| frame.bytes().len()).sum();
    println!(
        "{} events in frames of {EVENTS_OF_A_FRAME}, {} bytes an event as stored, {runs} runs",
        Grouped(frames * EVENTS_OF_A_FRAME),
        bytes as u64 / (frames * EVENTS_OF_A_FRAME)
    );
    let (mut of_store, mut of_bare) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let folder = setting.new_folder()?;
        let bare = bare(&folder.path().join("bare"), &measured)?;
        let store = store(&folder.path().join("log"), &warm, &measured)?;
        println!("  bare {bare}; store {store}; {} of it", times(store.rate, bare.rate));
        of_bare.push(bare.rate);
        of_store.push(store.rate);
    }
    let (bare, store) = (median(&of_bare).unwrap_or_default(), median(&of_store).unwrap_or_default());
    println!(
        "median: bare {} events/s, store {} events/s, {} of it",
        Grouped(bare),
        Grouped(store),
        times(store, bare)
    );
    Ok(())
}

/// How fast, and how long each append took, in microseconds.
struct Measured {
    rate: u64,
    median: u128,
    slow: u128,
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} events/s ({} us, p99 {} us)", Grouped(self.rate), self.median, self.slow)
    }
}

/// Appends one frame after the other by what is given.
fn measure(
    frames: &[Frame],
    mut append: impl FnMut(&Frame) -> anyhow::Result<()>,
) -> anyhow::Result<Measured> {
    thread::sleep(REST);
    let mut each = Vec::with_capacity(frames.len());
    let began = Instant::now();
    for frame in frames {
        let one = Instant::now();
        append(frame)?;
        each.push(one.elapsed().as_micros());
    }
    let rate = Rate { count: frames.len() as u64 * EVENTS_OF_A_FRAME, time: began.elapsed() };
    let slow = percentile(&each, 99).unwrap_or_default();
    Ok(Measured { rate: rate.per_second(), median: median(&each).unwrap_or_default(), slow })
}

fn bare(path: &std::path::Path, frames: &[Frame]) -> anyhow::Result<Measured> {
    let file = File::create(path)?;
    let zeros = vec![0; 1024 * 1024];
    let bytes: usize = frames.iter().map(|frame| frame.bytes().len()).sum();
    for at in (0..bytes).step_by(zeros.len()) {
        file.write_all_at(&zeros, at as u64)?;
    }
    file.sync_all()?;
    let mut at = 0;
    measure(frames, |frame| {
        file.write_all_at(frame.bytes(), at)?;
        file.sync_data()?;
        at += frame.bytes().len() as u64;
        Ok(())
    })
}

fn store(path: &std::path::Path, warm: &[Frame], frames: &[Frame]) -> anyhow::Result<Measured> {
    // Sealed epochs are not scrubbed meanwhile: what that costs has to do with how long the log is.
    let options =
        StoreOptions { epoch_bytes: EPOCH_BYTES, scrub_bytes_per_second: 0, ..StoreOptions::default() };
    let store = SledStore::open_with(path, options)?;
    let term = store.acquire()?;
    let mut last = Sequence::ZERO;
    let mut append = |frame: &Frame| {
        let appended = store.append(term, last, std::slice::from_ref(frame));
        ensure!(appended == Appended::Durable, "{appended:?}");
        last = frame.last();
        Ok(())
    };
    // The first epoch becomes a database, and its tail free; the third is then written on that.
    let (first, second) = warm.split_at(warm.len() / 2);
    for (frames, epoch) in [(first, 1), (second, 2)] {
        frames.iter().try_for_each(&mut append)?;
        let sealed = path.join(format!("epoch-{epoch:06}.manifest"));
        let spare = path.join("tail.spare");
        while !(sealed.exists() && spare.exists()) && store.damage().is_empty() {
            thread::sleep(Duration::from_millis(20));
        }
    }
    measure(frames, append)
}

/// Frames for the first epoch, and those that are measured.
fn frames_of(seed: u64, measured: usize) -> anyhow::Result<(Vec<Frame>, Vec<Frame>)> {
    let mut random = Random::new(seed);
    let mut tree = Tree::new();
    let mut one = || -> anyhow::Result<Frame> {
        // As the events of a post: what is the same in all of them, then an id, times and a quantity.
        let event = |random: &mut Random| {
            let mut event = vec![b'u'; 30];
            for _ in 0..5 {
                event.extend_from_slice(&random.below(u64::MAX).to_be_bytes());
            }
            event.extend_from_slice(&[0; 30]);
            event
        };
        let events: Vec<_> = (0..EVENTS_OF_A_FRAME).map(|_| event(&mut random)).collect();
        pack(&mut tree, &events)?.pop().context("a thousand events make a frame")
    };
    let (mut warm, mut bytes) = (Vec::new(), 0);
    while bytes < WARM_BYTES {
        let frame = one()?;
        bytes += frame.bytes().len();
        warm.push(frame);
    }
    let measured = (0..measured).map(|_| one()).collect::<anyhow::Result<_>>()?;
    Ok((warm, measured))
}
