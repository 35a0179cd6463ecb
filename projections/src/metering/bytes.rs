//! The bytes of metering: sets of dimensions in the order of their first events, series by target and resource, their
//! intervals by sequence, and nothing of the layout in memory.
//!
//! Intervals are fixed rows of little-endian numbers, because there are millions of them.

use std::io::{self, Read, Write};

use rustc_hash::FxHashMap;
use slapledger_core::domain::id::ResourceId;

use super::counts::Counts;
use super::series::{Amounts, BLOCK, Interval, Replaced};
use super::{IntervalSeries, Metering, Owner, Target};
use crate::view::{get, put};

const ROW: usize = 32;
const REPLACED_ROW: usize = ROW + 8;

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
    put(&*metering.suspense, out)
}

fn write_series(series: &IntervalSeries, out: &mut dyn Write) -> io::Result<()> {
    put((series.len() as u64, series.replaced.len() as u64), out)?;
    let mut wide = Vec::new();
    let mut rows = Vec::with_capacity(BLOCK * ROW);
    for block in &series.blocks {
        rows.clear();
        for interval in &block.intervals {
            write_row(series, interval, &mut wide, &mut rows);
        }
        out.write_all(&rows)?;
    }
    for replaced in &series.replaced {
        rows.clear();
        write_row(series, &replaced.interval, &mut wide, &mut rows);
        rows.extend_from_slice(&replaced.by.to_le_bytes());
        out.write_all(&rows)?;
    }
    put(wide.len() as u64, out)?;
    for amounts in wide {
        out.write_all(&amounts.counter.to_le_bytes())?;
        out.write_all(&amounts.gauge.to_le_bytes())?;
    }
    Ok(())
}

/// Amounts beside the intervals are numbered as they come, whatever their places are in memory.
fn write_row(series: &IntervalSeries, interval: &Interval, wide: &mut Vec<Amounts>, rows: &mut Vec<u8>) {
    let mut amount = interval.amount;
    if interval.is_wide() {
        amount = i64::try_from(wide.len()).unwrap_or(i64::MAX);
        wide.push(series.amounts(interval));
    }
    rows.extend_from_slice(&interval.tag.to_le_bytes());
    for number in [interval.start, interval.stop, amount] {
        rows.extend_from_slice(&number.to_le_bytes());
    }
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
    metering.counts = Counts::read(&mut metering.computers, from)?;
    metering.successors = get(from)?;
    metering.suspense = get(from)?;
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
    let mut buffer = [0; BLOCK * ROW];
    let mut left = usize::try_from(counting).map_err(|_| damaged())?;
    while left > 0 {
        let rows = left.min(BLOCK);
        left -= rows;
        let buffer = &mut buffer[..rows * ROW];
        from.read_exact(buffer)?;
        for row in buffer.chunks_exact(ROW) {
            let interval = interval_of(row).ok_or_else(damaged)?;
            if interval.sequence() < last {
                return Err(damaged());
            }
            last = interval.sequence();
            if interval.is_divided() {
                divided.entry(interval.sequence()).or_default().push(index);
            }
            series.append(interval);
        }
    }
    for _ in 0..replaced {
        let mut row = [0; REPLACED_ROW];
        from.read_exact(&mut row)?;
        let interval = interval_of(&row[..ROW]).ok_or_else(damaged)?;
        let by = number(&row[ROW..]).ok_or_else(damaged)?;
        series.replaced.push(Replaced { interval, by: u64::from_le_bytes(by) });
    }
    let wide: u64 = get(from)?;
    for _ in 0..wide {
        let mut amounts = [[0; 16]; 2];
        from.read_exact(amounts.as_flattened_mut())?;
        let [counter, gauge] = amounts.map(i128::from_le_bytes);
        series.keep_beside(Amounts { counter, gauge });
    }
    Ok(())
}

fn interval_of(row: &[u8]) -> Option<Interval> {
    Some(Interval {
        tag: u64::from_le_bytes(number(row)?),
        start: i64::from_le_bytes(number(row.get(8..)?)?),
        stop: i64::from_le_bytes(number(row.get(16..)?)?),
        amount: i64::from_le_bytes(number(row.get(24..)?)?),
    })
}

fn number(bytes: &[u8]) -> Option<[u8; 8]> {
    bytes.first_chunk().copied()
}

pub(super) fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the series of a snapshot do not fit together")
}
