//! Whom usage belongs to: from what a sender wrote to the instances that were there at that time.

use super::{Attribution, Share, Timestamp, Unmeterable, UsageSeries};
use crate::domain::computer::{Computer, Computers};
use crate::domain::id::{ComputerId, InstanceId, PartitionId, ResourceId};
use crate::domain::instance::{Allocation, Instances};
use crate::domain::time::Period;

/// What a subject turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttributionTarget<'a> {
    /// The reporting computer itself.
    Computer,
    /// An instance that is or was on it.
    Instance(InstanceId),
    /// One of its partitions.
    Partition(&'a PartitionId),
}

fn partition<'a>(computer: &'a Computer, subject: &str) -> Option<&'a PartitionId> {
    computer.partition(subject).or_else(|| computer.partition_of_user(subject))
}

/// One name for what may be called in several ways: that of the partition, if it is one.
pub(super) fn place<'a>(computer: Option<&'a Computer>, subject: &'a str) -> &'a str {
    computer.and_then(|computer| partition(computer, subject)).map_or(subject, PartitionId::as_str)
}

/// Resolves subjects on one computer.
pub(super) struct Reporter<'a> {
    pub(super) id: &'a ComputerId,
    pub(super) computer: &'a Computer,
    pub(super) instances: &'a Instances,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(
        id: &'a ComputerId,
        computers: &'a Computers,
        instances: &'a Instances,
    ) -> Result<Self, super::UsageRefusal> {
        Ok(Self { id, computer: computers.known(id)?, instances })
    }

    /// Partition names and unix users come from the computer's own format, so they go before ids of ours.
    pub(super) fn resolve(&self, subject: &str) -> Result<AttributionTarget<'a>, Unmeterable> {
        if subject.is_empty() {
            return Err(Unmeterable::NoSubject);
        }
        if let Some(partition) = partition(self.computer, subject) {
            return Ok(AttributionTarget::Partition(partition));
        }
        if subject == self.id.as_str() {
            return Ok(AttributionTarget::Computer);
        }
        let instance: InstanceId = subject.parse().map_err(|_| Unmeterable::UnknownSubject)?;
        let here = self.allocation(instance).is_some_and(|allocation| allocation.computer == *self.id);
        here.then_some(AttributionTarget::Instance(instance)).ok_or(Unmeterable::UnknownSubject)
    }

    /// What reports of that subject and resource follow each other in.
    pub(super) fn series(&self, subject: &str, resource: &ResourceId) -> UsageSeries {
        (place(Some(self.computer), subject).into(), resource.clone())
    }

    /// Where a report without a start begins if there was none before it: with the allocation.
    pub(super) fn first_start(&self, target: AttributionTarget<'_>, stop: Timestamp) -> Option<Timestamp> {
        let from = |instance| self.allocation(instance).map(|allocation| allocation.from);
        match target {
            AttributionTarget::Computer => None,
            AttributionTarget::Instance(instance) => from(instance),
            AttributionTarget::Partition(partition) => {
                let tenants = self.instances.tenants(self.id.as_str(), partition.as_str());
                tenants.iter().rev().filter_map(|tenant| from(*tenant)).find(|start| *start < stop)
            }
        }
    }

    /// The instances that were there in the period, each for its time.
    pub(super) fn attribute(
        &self,
        target: AttributionTarget<'_>,
        period: Period,
    ) -> Result<Attribution, Unmeterable> {
        match target {
            AttributionTarget::Computer => Ok(Attribution::Computer),
            AttributionTarget::Instance(instance) => {
                self.share(instance, period).map_or(Err(Unmeterable::Unallocated), |share| {
                    Ok(if share.period == period {
                        Attribution::Instance(instance)
                    } else {
                        Attribution::Shares(vec![share])
                    })
                })
            }
            AttributionTarget::Partition(partition) => {
                let tenants = self.instances.tenants(self.id.as_str(), partition.as_str());
                // Tenants follow each other in time; most usage is of the last one.
                let current = tenants.last().and_then(|tenant| self.share(*tenant, period));
                match current {
                    Some(share) if share.period == period => {
                        return Ok(Attribution::Instance(share.instance));
                    }
                    _ => {}
                }
                let shares: Vec<Share> =
                    tenants.iter().filter_map(|tenant| self.share(*tenant, period)).collect();
                match shares.as_slice() {
                    [] => Err(Unmeterable::Unallocated),
                    [all] if all.period == period => Ok(Attribution::Instance(all.instance)),
                    _ => Ok(Attribution::Shares(shares)),
                }
            }
        }
    }

    fn share(&self, instance: InstanceId, period: Period) -> Option<Share> {
        let period = self.allocation(instance)?.within(period)?;
        Some(Share { instance, period })
    }

    fn allocation(&self, instance: InstanceId) -> Option<&'a Allocation> {
        self.instances.get(instance)?.allocation.as_ref()
    }
}
