//! What SLAP and the lists of things of one project are answered from: inventory, instances and catalogue, at one
//! position.

use std::io::{self, Read};

use slapledger_core::log::envelope::Recorded;

use crate::catalogue::Catalogue;
use crate::instances::InstancesView;
use crate::inventory::Inventory;
use crate::view::{Projection, View, get};

/// Inventory, instances and catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlapViews {
    /// Computers, their partitions and their software.
    pub inventory: Inventory,
    /// Instances, living and ended.
    pub instances: InstancesView,
    /// Software releases.
    pub catalogue: Catalogue,
}

impl View for SlapViews {
    const FORMAT: u32 = 6;
    const LOOKS_AT_USAGE: bool = false;

    fn apply(&mut self, event: &Recorded) {
        self.inventory.apply(event);
        self.instances.apply(event);
        self.catalogue.apply(event);
    }

    fn projections(&self) -> Vec<Box<dyn Projection + '_>> {
        vec![Box::new(&self.inventory), Box::new(&self.instances), Box::new(&self.catalogue)]
    }

    fn read(from: &mut dyn Read) -> io::Result<Self> {
        Ok(Self { inventory: get(from)?, instances: get(from)?, catalogue: get(from)? })
    }
}
