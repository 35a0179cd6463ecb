//! What instances are called on the wire.
//!
//! At slapos proxy the guid of an instance is its place, which passes to the next tenant; a shared instance is known by
//! the title of the tree it was requested from and its own. At a master both are the id, which nobody else ever has.

use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::InstanceId;
use slapledger_projections::SlapViews;
use slapledger_projections::instances::{InstanceView, InstancesView};

/// The guid of the instance in a partition; of the partition itself, if it is free.
pub fn guid_of_place(
    mode: Mode,
    computer: &str,
    partition: &str,
    occupant: Option<InstanceId>,
) -> Option<String> {
    match mode {
        Mode::Proxy | Mode::Demo => Some(format!("{computer}-{partition}")),
        Mode::Serve => occupant.map(|id| id.to_string()),
    }
}

/// The guid of an instance; `None` where it would be the place that it does not have yet.
pub fn guid(mode: Mode, instances: &InstancesView, instance: &InstanceView) -> Option<String> {
    if instance.shared {
        return Some(shared_reference(mode, instances, instance));
    }
    match mode {
        Mode::Serve => Some(instance.id.to_string()),
        Mode::Proxy | Mode::Demo => {
            let place = instance.allocation.as_ref()?;
            guid_of_place(mode, place.computer.as_str(), place.partition.as_str(), Some(instance.id))
        }
    }
}

/// What a host knows a shared instance by.
pub fn shared_reference(mode: Mode, instances: &InstancesView, instance: &InstanceView) -> String {
    match mode {
        Mode::Serve => instance.id.to_string(),
        Mode::Proxy | Mode::Demo => {
            let root = instances.get(instance.root).filter(|root| root.id != instance.id);
            let root = root.map_or("", |root| root.reference.as_str());
            format!("{root}_{}", instance.reference)
        }
    }
}

/// The shared instance that a host speaks of.
pub fn share<'a>(
    mode: Mode,
    view: &'a SlapViews,
    host: InstanceId,
    reference: &str,
) -> Option<&'a InstanceView> {
    view.instances.shares(host).find(|shared| shared_reference(mode, &view.instances, shared) == reference)
}
