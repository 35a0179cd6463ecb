//! Which instances were ever allocated to each computer: their usage, and its own, is all that a computer reports.
//!
//! A void names the event that is no longer metered, and neither instance nor resource. Its series is found among those
//! of the computer that reported it, however many there are in the project.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use slapledger_core::domain::id::{ComputerId, InstanceId};
use slapledger_core::domain::instance::InstanceAllocated;

use crate::copy_on_write::CopyOnWrite;

/// The instances of each computer, in the order in which they were allocated.
#[derive(Debug, Clone, Default, Encode, Decode)]
pub(super) struct AllocatedInstances(CopyOnWrite<BTreeMap<ComputerId, CopyOnWrite<Vec<InstanceId>>>>);

impl AllocatedInstances {
    pub(super) fn allocated(&mut self, event: &InstanceAllocated) {
        match self.0.get_mut(&event.computer) {
            Some(instances) => instances.push(event.instance),
            None => {
                self.0.insert(event.computer.clone(), vec![event.instance].into());
            }
        }
    }

    /// Those of a computer, the newest first: most voids are about usage of late.
    pub(super) fn of(&self, computer: &ComputerId) -> impl Iterator<Item = InstanceId> {
        self.0.get(computer).into_iter().flat_map(|instances| instances.iter().rev().copied())
    }
}
