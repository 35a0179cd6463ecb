//! Metering: for each instance or computer and resource, the usage that counts, interval by interval.
//!
//! Intervals are kept exactly as reported. They are not folded into quarter-hours: an invoice line lists the very
//! events it rests on, and from a sum nobody can tell which they were, nor take one out again when it is corrected.
//! Whether a resource is a counter or a gauge is said later, in price books, so both readings are possible for each
//! interval. Cutting at the edges of a period happens when it is read.
//!
//! Invariants:
//! - An interval is known by the sequence of the event that meters it: for suspended usage that is the event that
//!   resolved it, which holds what is metered. Within a series they are in that order, so a late report needs no
//!   sorting.
//! - What is replaced is kept, with the event that replaced it: any reading can be had again as of an earlier sequence
//!   ([`Metering::as_of`]), which is what makes a draft a function of the events up to its cut-off.
//! - What names an event that was replaced, or suspended and resolved, means the event that counts in its place now.
//! - A reading does not depend on the order in which reports arrived; the bytes depend on the events alone, not on
//!   the layout in memory.
//! - The parts of a cut counter add up to the whole.
//!
//! Memory: 32 bytes for an interval, in blocks that never grow past 8 KiB, so that there is no moment at which
//! all of it exists twice. Dimensions take room only where there are some.

mod allocated;
mod bytes;
mod counts;
mod dimensions;
mod hours;
mod meter;
mod read;
mod rows;
mod series;
mod suspense;
mod touched;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use bincode::{Decode, Encode};
use rustc_hash::FxHashMap;
use slapledger_core::domain::event::{Event, Stream};
use slapledger_core::domain::id::{ComputerId, InstanceId, ResourceId, Sequence};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_core::domain::usage::{Attribution, Share, Usage};
use slapledger_core::log::envelope::Recorded;

use crate::copy_on_write::CopyOnWrite;
use crate::rows::RowDigests;
use crate::view::Projection;
use allocated::AllocatedInstances;
use counts::ReportCounts;
use dimensions::DimensionIndex;
use series::{Amounts, Interval, IntervalSeries, Tag};
use suspense::SuspenseIndex;

pub use counts::MissingReports;
pub use hours::HourMarks;
pub use meter::{Dimension, Metered, Method};
pub use read::{AsOf, MeteredInterval, Reading, StepReading};
pub use suspense::Suspense;

/// Whose usage it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Target {
    /// An instance's.
    Instance(InstanceId),
    /// A computer's own.
    Computer(ComputerId),
}

/// A target whose name is a small number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Owner {
    Instance(InstanceId),
    Computer(u32),
}

/// All usage that counts, and all that waits. A clone shares all of it until one of the two changes.
#[derive(Debug, Clone, Default)]
pub struct Metering {
    resources: CopyOnWrite<NameTable<ResourceId>>,
    computers: CopyOnWrite<NameTable<ComputerId>>,
    series: CopyOnWrite<Vec<CopyOnWrite<IntervalSeries>>>,
    by_key: CopyOnWrite<FxHashMap<(Owner, u32), u32>>,
    by_owner: CopyOnWrite<FxHashMap<Owner, Vec<u32>>>,
    /// The series of events whose usage was divided among several.
    divided: CopyOnWrite<FxHashMap<u64, Vec<u32>>>,
    dimensions: DimensionIndex,
    /// The nodes' own counts of their events.
    counts: ReportCounts,
    /// What counts in the place of a replaced event, or of a suspended one that was resolved.
    successors: CopyOnWrite<BTreeMap<u64, u64>>,
    suspense: SuspenseIndex,
    allocated: AllocatedInstances,
}

impl Metering {
    /// The state before the first event.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event over.
    pub fn apply(&mut self, recorded: &Recorded) {
        if let Event::InstanceAllocated(event) = &recorded.event {
            self.allocated.allocated(event);
        }
        let Some(change) = recorded.event.usage_change() else { return };
        // Usage is in the stream of its reporter, always.
        let Stream::Usage(computer) = &*recorded.stream else { return };
        let by = recorded.sequence.0;
        if let Some(settled) = change.settles {
            self.suspense.remove(settled);
        }
        if let Some(replaced) = change.replaces {
            self.replace(replaced.0, by, computer, change.metered);
        }
        if let Some(usage) = change.metered {
            match change.settles {
                // Later corrections name the suspended event: the sender knows of no other. Its number was counted
                // when it was suspended.
                Some(suspended) => {
                    self.successors.insert(suspended.0, by);
                }
                None => self.count(computer, usage.node_sequence, usage.period.stop),
            }
            self.meter(by, computer, usage);
        }
        if let Some(usage) = change.suspended {
            let stop = usage.stop.or(usage.start).unwrap_or(recorded.recorded_at);
            self.count(computer, usage.node_sequence, stop);
            let (computer, recorded_at) = (computer.clone(), recorded.recorded_at);
            self.suspense.insert(recorded.sequence, Suspense { computer, recorded_at, usage: usage.clone() });
        }
    }

    /// How many intervals count.
    pub fn len(&self) -> usize {
        self.series.iter().map(|series| series.len()).sum()
    }

    /// Whether nothing counts.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how much memory the intervals take, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.series.iter().map(|series| series.memory_bytes()).sum::<usize>() + self.dimensions.memory_bytes()
    }

    /// Whose usage there is, in order.
    pub fn targets(&self) -> Vec<Target> {
        let mut targets: Vec<Target> = self.by_owner.keys().map(|owner| self.target(*owner)).collect();
        targets.sort_unstable();
        targets
    }

    /// The resources that were ever metered for a target, by name.
    pub fn series(&self, target: &Target) -> Vec<&ResourceId> {
        let of_target = self.owner(target).and_then(|owner| self.by_owner.get(&owner)).into_iter().flatten();
        let mut resources: Vec<&ResourceId> =
            of_target.map(|index| self.resources.name(self.series[*index as usize].resource)).collect();
        resources.sort_unstable();
        resources
    }

    /// What counts now in the place of an event: itself, unless it was replaced or resolved.
    pub fn counts_as(&self, sequence: Sequence) -> Sequence {
        let mut at = sequence.0;
        while let Some(next) = self.successors.get(&at) {
            at = *next;
        }
        Sequence(at)
    }

    fn owner(&self, target: &Target) -> Option<Owner> {
        match target {
            Target::Instance(instance) => Some(Owner::Instance(*instance)),
            Target::Computer(computer) => self.computers.id(computer.as_str()).map(Owner::Computer),
        }
    }

    fn target(&self, owner: Owner) -> Target {
        match owner {
            Owner::Instance(instance) => Target::Instance(instance),
            Owner::Computer(computer) => Target::Computer(self.computers.name(computer).clone()),
        }
    }

    fn series_of(&self, target: &Target, resource: &str) -> Option<u32> {
        let key = (self.owner(target)?, self.resources.id(resource)?);
        self.by_key.get(&key).copied()
    }

    fn meter(&mut self, sequence: u64, computer: &ComputerId, usage: &Usage) {
        let resource = known_or_new(&mut self.resources, &usage.resource);
        let quantity = usage.quantity.billionths();
        let whole = Amounts { counter: quantity, gauge: quantity };
        let tag = Tag { sequence, divided: false, dimensions: !usage.dimensions.is_empty() };
        match &usage.attribution {
            Attribution::Instance(instance) => {
                let series = self.series_for(Owner::Instance(*instance), resource);
                self.push(series, (tag, usage), usage.period, whole);
            }
            Attribution::Computer => {
                let owner = Owner::Computer(known_or_new(&mut self.computers, computer));
                let series = self.series_for(owner, resource);
                self.push(series, (tag, usage), usage.period, whole);
            }
            Attribution::Shares(shares) => {
                let divided = shares.len() > 1;
                let counters = divide(usage.quantity, shares);
                for (share, counter) in shares.iter().zip(counters) {
                    let series = self.series_for(Owner::Instance(share.instance), resource);
                    let amounts = Amounts { counter: counter.billionths(), gauge: quantity };
                    self.push(series, (Tag { divided, ..tag }, usage), share.period, amounts);
                    if divided {
                        self.divided.entry(sequence).or_default().push(series);
                    }
                }
            }
        }
    }

    /// Usage that has a number stopped then. A resolution has the number of what it resolves.
    fn count(&mut self, computer: &ComputerId, number: Option<u64>, stop: Timestamp) {
        if let Some(number) = number {
            let computer = known_or_new(&mut self.computers, computer);
            self.counts.saw(computer, number, stop);
        }
    }

    fn push(&mut self, series: u32, (tag, usage): (Tag, &Usage), period: Period, amounts: Amounts) {
        self.series[series as usize].push(tag, period, amounts);
        if tag.dimensions {
            self.dimensions.note(series, tag.sequence, &usage.dimensions);
        }
    }

    fn series_for(&mut self, owner: Owner, resource: u32) -> u32 {
        if let Some(series) = self.by_key.get(&(owner, resource)) {
            return *series;
        }
        let series = small(self.series.len());
        self.series.push(IntervalSeries::new(owner, resource).into());
        self.by_key.insert((owner, resource), series);
        self.by_owner.entry(owner).or_default().push(series);
        series
    }

    /// The series that metered an event among those of its reporter, if it still counts.
    fn holder(&self, sequence: u64, computer: &ComputerId, instead: Option<&Usage>) -> Option<u32> {
        let holds = |index: &u32| !self.series[*index as usize].of_event(sequence).is_empty();
        // Most often it is where the usage will be that takes its place; otherwise it was metered for another resource or
        // another tenant, or nothing takes its place.
        let likely = instead.and_then(|usage| self.likely_series(computer, usage)).filter(holds);
        likely.or_else(|| self.series_of_reporter(computer).find(holds))
    }

    fn likely_series(&self, computer: &ComputerId, usage: &Usage) -> Option<u32> {
        let owner = match &usage.attribution {
            Attribution::Instance(instance) => Owner::Instance(*instance),
            Attribution::Shares(shares) => Owner::Instance(shares.first()?.instance),
            Attribution::Computer => Owner::Computer(self.computers.id(computer.as_str())?),
        };
        self.by_key.get(&(owner, self.resources.id(usage.resource.as_str())?)).copied()
    }

    /// All series of which a computer has reported any usage, or could have.
    fn series_of_reporter(&self, computer: &ComputerId) -> impl Iterator<Item = u32> {
        let own = self.computers.id(computer.as_str()).map(Owner::Computer).into_iter();
        let owners = own.chain(self.allocated.of(computer).map(Owner::Instance));
        owners.filter_map(|owner| self.by_owner.get(&owner)).flatten().copied()
    }

    /// The event `by` takes the place of another, or of what took its place before.
    fn replace(&mut self, replaced: u64, by: u64, computer: &ComputerId, instead: Option<&Usage>) {
        let counting = self.counts_as(Sequence(replaced)).0;
        if counting >= by {
            return;
        }
        self.successors.insert(counting, by);
        if self.divided.contains_key(&counting) {
            for series in self.divided.remove(&counting).into_iter().flatten() {
                self.series[series as usize].retire(counting, by);
            }
            return;
        }
        // Looked for before anything is changed: a change of a series that is shared copies it.
        if let Some(series) = self.holder(counting, computer, instead) {
            self.series[series as usize].retire(counting, by);
        }
    }
}

/// The parts of a counter's quantity that fall to each share, by time; unallocated time takes no part, and the parts
/// add up to the whole.
fn divide(quantity: Quantity, shares: &[Share]) -> Vec<Quantity> {
    let begin = Timestamp::MIN;
    let mut covered = 0_i64;
    let parts: Vec<Period> = shares
        .iter()
        .map(|share| {
            let start = begin.plus_micros(covered);
            covered = covered.saturating_add(share.period.micros().max(0));
            Period { start, stop: begin.plus_micros(covered) }
        })
        .collect();
    match Period::new(begin, begin.plus_micros(covered)) {
        Some(whole) => quantity.split(whole, &parts),
        None => vec![Quantity::ZERO; shares.len()],
    }
}

/// An index in memory as a small number: there are never 2^32 of anything that is interned here.
fn small(index: usize) -> u32 {
    u32::try_from(index).expect("memory holds fewer than 2^32 series and names")
}

/// Texts as small numbers.
#[derive(Debug, Clone)]
struct NameTable<T> {
    all: Vec<T>,
    ids: FxHashMap<T, u32>,
}

impl<T> Default for NameTable<T> {
    fn default() -> Self {
        Self { all: Vec::new(), ids: FxHashMap::default() }
    }
}

/// The number of a name. A table that is shared is copied only for a name that is new.
fn known_or_new<T: Clone + Eq + std::hash::Hash + std::borrow::Borrow<str>>(
    table: &mut CopyOnWrite<NameTable<T>>,
    name: &T,
) -> u32 {
    table.id(name.borrow()).unwrap_or_else(|| table.intern(name))
}

impl<T: Clone + Eq + std::hash::Hash + std::borrow::Borrow<str>> NameTable<T> {
    fn id(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    fn intern(&mut self, name: &T) -> u32 {
        if let Some(id) = self.id(name.borrow()) {
            return id;
        }
        let id = small(self.all.len());
        self.all.push(name.clone());
        self.ids.insert(name.clone(), id);
        id
    }

    fn name(&self, id: u32) -> &T {
        &self.all[id as usize]
    }
}

impl Metering {
    /// What [`Projection::write`] wrote.
    pub fn read_from(from: &mut dyn Read) -> io::Result<Self> {
        bytes::read(from)
    }
}

impl Projection for Metering {
    fn name(&self) -> &'static str {
        "metering"
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        bytes::write(self, out)
    }

    fn rows(&self, rows: &mut RowDigests) {
        bytes::rows_of(self, rows);
    }
}

#[cfg(test)]
mod tests;
