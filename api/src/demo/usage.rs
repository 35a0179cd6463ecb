//! Plausible usage: what the nodes of the demo report, with the mistakes that real nodes make.

use slapledger_core::domain::id::{ComputerId, PartitionId};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_core::domain::usage::{RecordUsage, Revision, Unmeterable, UsageId, UsageReport};

use super::random::Random;

pub(super) const HOUR: i64 = 3_600_000_000;
pub(super) const DAY: i64 = 24 * HOUR;

/// A partition that somebody uses, and how busily.
pub(super) struct Busy {
    pub(super) computer: ComputerId,
    pub(super) partition: PartitionId,
    /// The unix user, under which the node's daily report speaks of it.
    pub(super) user: String,
    /// Percent of a core, MiB of memory and of disk, requests an hour: what it typically takes.
    pub(super) cpu_percent: i64,
    pub(super) memory_mib: i64,
    pub(super) disk_mib: i64,
    pub(super) requests: i64,
    /// Since when it is there, and until when.
    pub(super) allocated: Period,
}

impl Busy {
    pub(super) fn new(
        random: &mut Random,
        (computer, partition, user): (ComputerId, PartitionId, String),
        allocated: Period,
    ) -> Self {
        Self {
            computer,
            partition,
            user,
            cpu_percent: random.between(3, 60),
            memory_mib: random.between(2, 64) * 64,
            disk_mib: random.between(1, 80) * 512,
            requests: random.between(40, 4000),
            allocated,
        }
    }
}

/// The report that `slapos node collect` sends of one day: levels, by unix user, for the whole day.
pub(super) fn daily(random: &mut Random, computer: &ComputerId, busy: &[&Busy], day: Period) -> RecordUsage {
    let date = day.start.to_utc().format("%Y-%m-%d").to_string();
    let mut reports = Vec::new();
    for (ordinal, partition) in busy.iter().enumerate() {
        let levels = [
            ("service_module/cpu_load_percent", tenths(random, partition.cpu_percent * 10)),
            ("service_module/memory_used", tenths(random, partition.memory_mib * 10)),
            ("service_module/disk_used", tenths(random, partition.disk_mib * 10)),
        ];
        for (resource, quantity) in levels {
            // What one movement of such a report is known by.
            let id = format!("{date}-global/{resource}/{}/{ordinal}", partition.user);
            let id = UsageId::Text(id.into());
            reports.push(report(id, Revision::Latest, &partition.user, resource, quantity, day));
        }
    }
    RecordUsage { computer: computer.clone(), reports }
}

/// The requests that partitions served in a day, counted every hour.
pub(super) fn hourly(random: &mut Random, computer: &ComputerId, busy: &[&Busy], day: Period) -> RecordUsage {
    let mut reports = Vec::new();
    for partition in busy {
        for hour in 0..24 {
            let start = day.start.plus_micros(hour * HOUR);
            let Some(period) = Period::new(start, start.plus_micros(HOUR)) else { continue };
            if period.stop <= partition.allocated.start || period.start >= partition.allocated.stop {
                continue;
            }
            let by_day = if (7..19).contains(&hour) { 3 } else { 1 };
            let quantity = tenths(random, partition.requests * by_day).trunc();
            let id = UsageId::Uuid(random.id());
            let partition = partition.partition.as_str();
            reports.push(report(id, Revision::None, partition, "service_module/requests", quantity, period));
        }
    }
    RecordUsage { computer: computer.clone(), reports }
}

/// A level between half and one and a half of the usual one, given in tenths.
fn tenths(random: &mut Random, usual: i64) -> rust_decimal::Decimal {
    rust_decimal::Decimal::new(random.between(usual / 2, usual + usual / 2), 1)
}

fn report(
    id: UsageId,
    revision: Revision,
    subject: &str,
    resource: &str,
    quantity: rust_decimal::Decimal,
    period: Period,
) -> UsageReport {
    let read = Quantity::from_decimal(quantity).map_err(|_| Unmeterable::OutOfRange);
    UsageReport {
        id,
        revision,
        subject: subject.into(),
        resource: resource.into(),
        quantity: (quantity.normalize().to_string().into(), read),
        start: Ok(Some(period.start)),
        stop: Ok(Some(period.stop)),
        dimensions: Vec::new(),
        node_sequence: None,
    }
}

/// What no node should send and some do: no number, an unknown partition, the day after tomorrow.
pub(super) fn unmeterable(computer: &ComputerId, partition: &PartitionId, now: Timestamp) -> RecordUsage {
    let hour = Period { start: now.plus_micros(-HOUR), stop: now };
    let ahead = Period { start: now.plus_micros(DAY), stop: now.plus_micros(2 * DAY) };
    let one = rust_decimal::Decimal::ONE;
    let name = |what: &str| UsageId::Text(format!("demo-{what}-{now}").into());
    let resource = "service_module/requests";
    let known = partition.as_str();
    let mut not_a_number = report(name("nan"), Revision::None, known, resource, one, hour);
    not_a_number.quantity = ("NaN".into(), Err(Unmeterable::NotANumber));
    let reports = vec![
        not_a_number,
        report(name("unknown"), Revision::None, "slappart99", resource, one, hour),
        report(name("future"), Revision::None, known, resource, one, ahead),
    ];
    RecordUsage { computer: computer.clone(), reports }
}
