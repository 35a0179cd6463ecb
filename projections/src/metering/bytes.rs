//! The bytes of metering: sets of dimensions in the order of their first events, series by target and resource, their
//! intervals by sequence, and nothing of the layout in memory.
//!
//! Intervals are written in groups, as what differs from the one before ([`rows`]), because there are millions of them.

use std::io::{self, Read, Write};

use rustc_hash::FxHashMap;
use slapledger_core::domain::id::ResourceId;

use super::counts::ReportCounts;
use super::rows::{self, Before};
use super::series::{Amounts, BLOCK, Interval, ReplacedInterval};
use super::suspense::SuspenseIndex;
use super::{IntervalSeries, Metering, Owner, Target};
use crate::rows::RowDigests;
use crate::view::{get, put};

pub(super) fn write(metering: &Metering, out: &mut dyn Write) -> io::Result<()> {
    let mut order: Vec<(Target, &ResourceId, u32)> = (0..)
        .zip(metering.series.iter())
        .map(|(index, series)| {
            (metering.target(series.owner), metering.resources.name(series.resource), index)
        })
        .collect();
    order.sort_unstable_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
    metering.dimensions.write_sets(out)?;
    put(order.len() as u64, out)?;
    for (target, resource, index) in order {
        put((target, resource), out)?;
        write_series(&metering.series[index as usize], out)?;
        metering.dimensions.write_rows(index, out)?;
    }
    metering.counts.write(&metering.computers, out)?;
    put(&*metering.successors, out)?;
    metering.suspense.write(out)?;
    put(&metering.allocated, out)
}

/// The same as rows to compare: a series is one.
pub(super) fn rows_of(metering: &Metering, rows: &mut RowDigests) {
    rows.add("dimensions", String::new(), |out| metering.dimensions.write_sets(out));
    for (index, series) in (0..).zip(metering.series.iter()) {
        let owner = match metering.target(series.owner) {
            Target::Instance(instance) => instance.to_string(),
            Target::Computer(computer) => computer.to_string(),
        };
        let key = format!("{owner} {}", metering.resources.name(series.resource));
        rows.add("series", key, |out| {
            write_series(series, out)?;
            metering.dimensions.write_rows(index, out)
        });
    }
    rows.add("counts", String::new(), |out| metering.counts.write(&metering.computers, out));
    rows.table("successors", metering.successors.iter());
    metering.suspense.rows(rows);
    rows.value("allocated", String::new(), &metering.allocated);
}

fn write_series(series: &IntervalSeries, out: &mut dyn Write) -> io::Result<()> {
    put((series.len() as u64, series.replaced.len() as u64), out)?;
    let mut wide = Vec::new();
    let mut group = IntervalGroup::default();
    // Groups are of the same length whatever the blocks in memory are.
    for interval in series.blocks.iter().flat_map(|block| &block.intervals) {
        group.add(&beside(series, interval, &mut wide), out)?;
    }
    group.end(out)?;
    for replaced in &series.replaced {
        rows::put(replaced.by, &mut group.bytes);
        group.add(&beside(series, &replaced.interval, &mut wide), out)?;
    }
    group.end(out)?;
    put(wide.len() as u64, out)?;
    for amounts in wide {
        out.write_all(&amounts.counter.to_le_bytes())?;
        out.write_all(&amounts.gauge.to_le_bytes())?;
    }
    Ok(())
}

/// Intervals that are written together, with the length of their bytes before them.
#[derive(Default)]
struct IntervalGroup {
    before: Before,
    bytes: Vec<u8>,
    intervals: usize,
}

impl IntervalGroup {
    fn add(&mut self, interval: &Interval, out: &mut dyn Write) -> io::Result<()> {
        self.before.write(interval, &mut self.bytes);
        self.intervals += 1;
        if self.intervals == BLOCK { self.write(out) } else { Ok(()) }
    }

    /// Writes what there is, and begins as if nothing had come before.
    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.before = Before::default();
        if self.intervals == 0 { Ok(()) } else { self.write(out) }
    }

    fn write(&mut self, out: &mut dyn Write) -> io::Result<()> {
        put(self.bytes.len() as u64, out)?;
        out.write_all(&self.bytes)?;
        self.bytes.clear();
        self.intervals = 0;
        Ok(())
    }
}

/// An interval whose amounts beside are numbered as they come, whatever their places are in memory.
fn beside(series: &IntervalSeries, interval: &Interval, wide: &mut Vec<Amounts>) -> Interval {
    let mut interval = *interval;
    if interval.is_wide() {
        let amounts = series.amounts(&interval);
        interval.amount = i64::try_from(wide.len()).unwrap_or(i64::MAX);
        wide.push(amounts);
    }
    interval
}

pub(super) fn read(from: &mut dyn Read) -> io::Result<Metering> {
    let mut metering = Metering::default();
    metering.dimensions.read_sets(from)?;
    let count: u64 = get(from)?;
    for _ in 0..count {
        let (target, resource): (Target, ResourceId) = get(from)?;
        let resource = metering.resources.intern(&resource);
        let owner = match target {
            Target::Instance(instance) => Owner::Instance(instance),
            Target::Computer(computer) => Owner::Computer(metering.computers.intern(&computer)),
        };
        let index = metering.series_for(owner, resource);
        let series = metering.series.get_mut(index as usize).ok_or_else(damaged)?;
        read_series(series, index, &mut metering.divided, from)?;
        metering.dimensions.read_rows(index, from)?;
    }
    metering.counts = ReportCounts::read(&mut metering.computers, from)?;
    metering.successors = get(from)?;
    metering.suspense = SuspenseIndex::read(from)?;
    metering.allocated = get(from)?;
    Ok(metering)
}

fn read_series(
    series: &mut IntervalSeries,
    index: u32,
    divided: &mut FxHashMap<u64, Vec<u32>>,
    from: &mut dyn Read,
) -> io::Result<()> {
    let (counting, replaced): (u64, u64) = get(from)?;
    let mut last = 0;
    read_groups(counting, from, |before, bytes| {
        let interval = before.read(bytes)?;
        if interval.sequence() < last {
            return None;
        }
        last = interval.sequence();
        if interval.is_divided() {
            divided.entry(interval.sequence()).or_default().push(index);
        }
        series.append(interval);
        Some(())
    })?;
    read_groups(replaced, from, |before, bytes| {
        let by = rows::take(bytes)?;
        series.replaced.push(ReplacedInterval { interval: before.read(bytes)?, by });
        Some(())
    })?;
    let wide: u64 = get(from)?;
    for _ in 0..wide {
        let mut amounts = [[0; 16]; 2];
        from.read_exact(amounts.as_flattened_mut())?;
        let [counter, gauge] = amounts.map(i128::from_le_bytes);
        series.keep_beside(Amounts { counter, gauge });
    }
    Ok(())
}

/// Reads so many intervals, group by group; `read` takes one from the front of the bytes.
fn read_groups(
    mut left: u64,
    from: &mut dyn Read,
    mut read: impl FnMut(&mut Before, &mut &[u8]) -> Option<()>,
) -> io::Result<()> {
    let (mut before, mut buffer) = (Before::default(), [0; BLOCK * rows::MOST_BYTES]);
    while left > 0 {
        let intervals = left.min(BLOCK as u64);
        left -= intervals;
        let length: u64 = get(from)?;
        let group = usize::try_from(length).ok().and_then(|length| buffer.get_mut(..length));
        let group = group.ok_or_else(damaged)?;
        from.read_exact(group)?;
        let mut bytes = &*group;
        for _ in 0..intervals {
            read(&mut before, &mut bytes).ok_or_else(damaged)?;
        }
        if !bytes.is_empty() {
            return Err(damaged());
        }
    }
    Ok(())
}

pub(super) fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the series of a snapshot do not fit together")
}
