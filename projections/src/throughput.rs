//! Measurements, taken by hand: `cargo test --release -p slapledger-projections throughput -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use slapledger_core::domain::event::{Event, Stream};
use slapledger_core::domain::id::{InstanceId, ResourceId, Sequence};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Period;
use slapledger_core::domain::usage::{Attribution, Usage, UsageId};
use slapledger_core::log::envelope::{EventDecoder, Recorded};
use slapledger_core::log::frame::pack;
use slapledger_core::log::memory::MemoryStore;
use slapledger_core::log::merkle::Tree;
use slapledger_core::log::store::{Appended, EventStore, read_frames};

use crate::metering::{Metering, Target};
use crate::replay::rebuild;
use crate::testing::{Everything, at, computer, recorded};
use crate::view::{Part, Projection};

const RESOURCES: [&str; 4] = ["service_module/cpu_load_percent", "memory_used", "disk_used", "requests"];
const INSTANCES: u64 = 1000;
const HOUR: i64 = 3_600_000_000;

/// Each hour every instance reports every resource; a computer has a hundred instances.
fn usage(sequence: u64) -> Recorded {
    let n = sequence - 1;
    let (resource, instance, hour) = (n % 4, n / 4 % INSTANCES, (n / 4 / INSTANCES).cast_signed());
    let start = at("2026-01-01T00:00:00Z").plus_micros(hour * HOUR);
    let usage = Usage {
        id: UsageId::Uuid(u128::from(sequence).to_be_bytes()),
        subject: format!("slappart{}", instance % 100).into(),
        resource: ResourceId::new(RESOURCES[usize::try_from(resource).unwrap_or(0)]).expect("a resource"),
        quantity: Quantity::from_billionths(i128::from(n % 1000) * 125_000_000).expect("a quantity"),
        period: Period::new(start, start.plus_micros(HOUR)).expect("an hour"),
        start_found: false,
        attribution: Attribution::Instance(InstanceId(instance + 1)),
        dimensions: Vec::new(),
        node_sequence: None,
    };
    let stream = Stream::Usage(computer(&format!("COMP-{}", instance / 100)));
    recorded(sequence, (stream, sequence), Event::UsageRecorded(usage), start)
}

fn resident_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn per_second(events: u64, time: Duration) -> u128 {
    u128::from(events) * 1_000_000 / time.as_micros().max(1)
}

#[test]
#[ignore = "a measurement"]
fn metering_of_ten_million_intervals() {
    const EVENTS: u64 = 10_000_000;
    let before = resident_megabytes();
    let mut metering = Metering::new();
    let mut folding = Duration::ZERO;
    for chunk in 0..EVENTS / 20_000 {
        let events: Vec<Recorded> = (1..=20_000).map(|n| usage(chunk * 20_000 + n)).collect();
        let start = Instant::now();
        for event in &events {
            metering.apply(event);
        }
        folding += start.elapsed();
        if chunk == 99 {
            println!("fold of the first 2,000,000: {} events/s", per_second(2_000_000, folding));
        }
    }
    println!("fold of 10,000,000: {} events/s", per_second(EVENTS, folding));
    println!(
        "memory: {} MB by its own account, resident {before} -> {} MB, peak {} MB",
        metering.memory_bytes() / 1_000_000,
        resident_megabytes(),
        peak_megabytes()
    );
    let month = Period::new(at("2026-02-01T00:00:00Z"), at("2026-03-01T00:00:00Z")).expect("a month");
    let start = Instant::now();
    let mut count = 0;
    for instance in 1..=INSTANCES {
        for resource in RESOURCES {
            count += metering.read(&Target::Instance(InstanceId(instance)), resource, month).count;
        }
    }
    println!("a month of all series, with their events: {count} intervals in {:?}", start.elapsed());
    let start = Instant::now();
    let part = Part::of(&metering);
    println!("digest of {} MB: {:?}", part.bytes / 1_000_000, start.elapsed());
    let start = Instant::now();
    let mut bytes = Vec::new();
    metering.write(&mut bytes).expect("memory");
    println!("written in {:?}", start.elapsed());
    drop(metering);
    let start = Instant::now();
    let metering = Metering::read_from(&mut bytes.as_slice()).expect("its own bytes");
    println!("read in {:?}", start.elapsed());
    assert_eq!(Part::of(&metering), part);
}

#[test]
#[ignore = "a measurement"]
fn rebuild_of_two_million_events() {
    const EVENTS: u64 = 2_000_000;
    let store = MemoryStore::new();
    let term = store.acquire().expect("a term");
    let mut tree = Tree::new();
    for chunk in 0..EVENTS / 1000 {
        let events: Vec<Vec<u8>> = (1..=1000).map(|n| usage(chunk * 1000 + n).encode()).collect();
        let frames = pack(&mut tree, &events).expect("small events");
        assert_eq!(store.append(term, Sequence(chunk * 1000), &frames), Appended::Durable);
    }
    for _ in 0..3 {
        let start = Instant::now();
        let mut decoder = EventDecoder::default();
        for frame in read_frames(&store, Sequence::ZERO) {
            let frame = frame.expect("readable");
            for (sequence, bytes) in frame.events() {
                std::hint::black_box(decoder.decode(sequence, bytes).expect("an event"));
            }
        }
        println!("decoding alone, one thread: {} events/s", per_second(EVENTS, start.elapsed()));
        let start = Instant::now();
        let view: Everything = rebuild(&store, Sequence(EVENTS), |_| ()).expect("readable");
        println!("rebuild from a store in memory: {} events/s", per_second(EVENTS, start.elapsed()));
        assert_eq!(view.metering.len() as u64, EVENTS);
    }
}
