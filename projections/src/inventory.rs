//! The inventory: computers, the partitions they offer, and the software they are to hold.
//!
//! Partitions are kept in the order they were first offered. A withdrawn one stays known, and stays taken as long
//! as an instance is in it. A supply is forgotten when its computer says that it removed the release.
//! Who an occupant is, is not known here: see `instances`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::ops::Bound;

use bincode::{Decode, Encode};
use slapledger_core::domain::computer::{
    AllocationScope, AllocationScopeSet, ComputerConfigured, ComputerDescribed, ComputerRegistered,
    ComputerRetired, Offer, PartitionOffered, PartitionWithdrawn, in_trouble,
};
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{ComputerId, InstanceId, PartitionId, PartyId, Sequence, SoftwareRelease};
use slapledger_core::domain::instance::{
    InstanceAllocated, InstanceEnded, InstanceStateReported, ReportedState,
};
use slapledger_core::domain::sealed::Sealed;
use slapledger_core::domain::software::{
    SoftwareState, SoftwareStateReported, SoftwareSupplied, SupplyState,
};
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::log::envelope::Recorded;

use crate::page::Page;
use crate::rows::RowDigests;
use crate::view::{Projection, put};

/// So many withdrawn partitions that never had a tenant are kept in any case.
const MOST_FORGOTTEN: usize = 64;

/// A computer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct InventoryComputer {
    /// Its reference.
    pub id: ComputerId,
    /// Its provider.
    pub owner: PartyId,
    /// Where times it reports without an offset belong.
    pub time_zone: TimeZone,
    /// What people call it.
    pub title: Option<Box<str>>,
    /// What filters may ask for: region, network, processors and the like.
    pub attributes: BTreeMap<Box<str>, Box<str>>,
    /// Whom it is for.
    pub scope: AllocationScope,
    /// The releases it is limited to; all, if there are none.
    pub software: Vec<SoftwareRelease>,
    /// How many instances it takes at most.
    pub capacity: Option<u32>,
    /// When it was last heard of, if it fell silent.
    pub silent_since: Option<Timestamp>,
    /// When it was silent, the last of them last; the present one, if it is, among them.
    pub silences: Vec<SilentPeriod>,
    /// When something on it was in error, the last of them last; the present one, if something is, among them.
    pub errors: Vec<ErrorPeriod>,
    /// Its own address; empty until it is configured.
    pub address: Box<str>,
    /// And its netmask.
    pub netmask: Box<str>,
    /// When it entered the cloud.
    pub registered_at: Timestamp,
    /// When it last told how it is reached.
    pub configured_at: Option<Timestamp>,
    /// When it was retired, if it was.
    pub retired_at: Option<Timestamp>,
    /// The last event that changed anything about it, its partitions or its supplies.
    pub changed_by: Sequence,
    partitions: Vec<Partition>,
    by_name: BTreeMap<PartitionId, u32>,
    supplies: BTreeMap<SoftwareRelease, Supply>,
    in_error: BTreeSet<InstanceId>,
    /// How many of its partitions are withdrawn and never had a tenant.
    forgotten: usize,
}

/// The most silences of a computer that are kept.
const MOST_SILENCES: usize = 50;

/// A time in which nothing was heard of a computer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct SilentPeriod {
    /// When it was last heard of.
    pub since: Timestamp,
    /// When it was heard of again.
    pub until: Option<Timestamp>,
}

/// The most times of errors of a computer that are kept.
const MOST_ERROR_PERIODS: usize = 50;

/// A time in which an instance or a release on a computer was in error, as the computer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ErrorPeriod {
    /// When the first was.
    pub since: Timestamp,
    /// When none was any more.
    pub until: Option<Timestamp>,
    /// The most that were at a time.
    pub most: u32,
}

/// A partition of a computer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Partition {
    /// What the computer last said of it.
    pub offer: Offer,
    /// Whether it is on offer, or was withdrawn.
    pub offered: bool,
    /// The instance that is in it.
    pub occupant: Option<InstanceId>,
    had_tenant: bool,
}

impl Partition {
    /// Whether a node or a list gets to see it: withdrawn partitions are gone unless somebody is in them.
    pub fn is_present(&self) -> bool {
        self.offered || self.occupant.is_some()
    }

    /// Whether its computer does not offer it any more, and somebody is in it: nothing happens there.
    pub fn is_lost(&self) -> bool {
        !self.offered && self.occupant.is_some()
    }

    /// Whether nobody ever was in it, and nobody will be.
    fn is_forgotten(&self) -> bool {
        !self.offered && !self.had_tenant
    }

    /// Whether it could be given to an instance.
    pub fn is_free(&self) -> bool {
        self.offered && self.occupant.is_none()
    }
}

/// A release on a computer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Supply {
    /// Whether it is to be there.
    pub requested: SupplyState,
    /// How far the computer says it is.
    pub reported: Option<SoftwareState>,
    /// What went wrong, if that is what it last said; sealed.
    pub error: Option<Sealed>,
    /// When it was last asked for or away.
    pub requested_at: Timestamp,
    /// When the computer last spoke of it.
    pub reported_at: Option<Timestamp>,
}

impl InventoryComputer {
    fn fell_silent(&mut self, since: Timestamp) {
        if self.silences.len() == MOST_SILENCES {
            self.silences.remove(0);
        }
        self.silences.push(SilentPeriod { since, until: None });
    }

    fn heard(&mut self, at: Timestamp) {
        if let Some(last) = self.silences.last_mut() {
            last.until.get_or_insert(at);
        }
    }

    /// Notes whether anything on it is in error now.
    fn note_errors(&mut self, at: Timestamp) {
        let count = self.in_error.len() + self.releases_in_error();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        match self.errors.last_mut().filter(|last| last.until.is_none()) {
            Some(last) if count == 0 => last.until = Some(at),
            Some(last) => last.most = last.most.max(count),
            None if count == 0 => {}
            None => {
                if self.errors.len() == MOST_ERROR_PERIODS {
                    self.errors.remove(0);
                }
                self.errors.push(ErrorPeriod { since: at, until: None, most: count });
            }
        }
    }

    /// How many of its instances are in error.
    pub fn instances_in_error(&self) -> usize {
        self.in_error.len()
    }

    /// How many releases on it are in error.
    pub fn releases_in_error(&self) -> usize {
        self.supplies.values().filter(|supply| supply.reported == Some(SoftwareState::Error)).count()
    }

    /// All its partitions in the order they were first offered, withdrawn ones too.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// A partition by its name, offered or withdrawn.
    pub fn partition(&self, partition: &str) -> Option<&Partition> {
        self.partitions.get(usize::try_from(*self.by_name.get(partition)?).ok()?)
    }

    /// The releases it is to hold or to remove, by address.
    pub fn supplies(&self) -> &BTreeMap<SoftwareRelease, Supply> {
        &self.supplies
    }

    /// How many instances are on it.
    pub fn instances(&self) -> usize {
        self.partitions.iter().filter(|partition| partition.occupant.is_some()).count()
    }

    /// Whether so many of its instances are in error that it is to blame, and gets no others.
    pub fn is_in_trouble(&self) -> bool {
        in_trouble(self.in_error.len(), self.instances())
    }

    /// Drops the partitions that nothing will name any more, once they are the most of them.
    fn forget(&mut self) {
        if self.forgotten <= MOST_FORGOTTEN || self.forgotten * 2 <= self.partitions.len() {
            return;
        }
        self.partitions.retain(|partition| !partition.is_forgotten());
        let names = self.partitions.iter().map(|partition| partition.offer.partition.clone());
        self.by_name = names.zip(0..).collect();
        self.forgotten = 0;
    }

    fn partition_mut(&mut self, partition: &PartitionId) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(*self.by_name.get(partition)?).ok()?)
    }
}

/// Computers, partitions and supplies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Inventory {
    computers: BTreeMap<ComputerId, InventoryComputer>,
    /// Where living instances are: the event that ends one does not say it.
    places: BTreeMap<InstanceId, (ComputerId, PartitionId)>,
}

impl Inventory {
    /// A computer by its reference.
    pub fn computer(&self, computer: &str) -> Option<&InventoryComputer> {
        self.computers.get(computer)
    }

    /// Computers after a reference, in order of their references.
    pub fn computers(
        &self,
        seen: impl Fn(&InventoryComputer) -> bool,
        after: Option<&str>,
        limit: usize,
    ) -> Page<&InventoryComputer, ComputerId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.computers.range::<str, _>((from, Bound::Unbounded)).map(|(_, computer)| computer);
        Page::take(found.filter(|computer| seen(computer)), limit, |computer| computer.id.clone())
    }

    /// All computers, in order of their references.
    pub fn iter(&self) -> impl Iterator<Item = &InventoryComputer> {
        self.computers.values()
    }

    /// A partition by the names of computer and partition.
    pub fn partition(&self, computer: &str, partition: &str) -> Option<&Partition> {
        self.computers.get(computer)?.partition(partition)
    }

    /// Where an instance is, while it lives.
    pub fn place(&self, instance: InstanceId) -> Option<(&ComputerId, &PartitionId)> {
        self.places.get(&instance).map(|(computer, partition)| (computer, partition))
    }

    /// Takes the next event over.
    pub fn apply(&mut self, recorded: &Recorded) {
        let sequence = recorded.sequence;
        match &recorded.event {
            Event::ComputerRegistered(event) => self.registered(event, sequence),
            Event::ComputerConfigured(event) => self.configured(event, sequence),
            Event::PartitionOffered(event) => self.offered(event, sequence),
            Event::PartitionWithdrawn(event) => self.withdrawn(event, sequence),
            Event::SoftwareSupplied(event) => self.supplied(event, sequence),
            Event::SoftwareStateReported(event) => self.software_reported(event, sequence),
            Event::ComputerDescribed(event) => self.described(event, sequence),
            Event::AllocationScopeSet(event) => self.scope_set(event, sequence),
            Event::ComputerFellSilent(event) => {
                if let Some(computer) = self.touch(&event.computer, sequence) {
                    computer.silent_since = Some(event.since);
                    computer.fell_silent(event.since);
                }
            }
            Event::ComputerHeard(event) => {
                if let Some(computer) = self.touch(&event.computer, sequence) {
                    computer.silent_since = None;
                    computer.heard(event.at);
                }
            }
            Event::ComputerRetired(event) => self.retired(event, sequence),
            Event::InstanceStateReported(event) => self.state_reported(event, sequence),
            // A shared instance takes nobody's place.
            Event::InstanceAllocated(event) if event.host.is_some() => {}
            Event::InstanceAllocated(event) => self.allocated(event, sequence),
            Event::InstanceEnded(event) => self.ended(event, sequence),
            _ => {}
        }
    }

    fn touch(&mut self, computer: &ComputerId, by: Sequence) -> Option<&mut InventoryComputer> {
        let computer = self.computers.get_mut(computer)?;
        computer.changed_by = by;
        Some(computer)
    }

    fn registered(&mut self, event: &ComputerRegistered, by: Sequence) {
        let computer = InventoryComputer {
            id: event.computer.clone(),
            owner: event.owner,
            time_zone: event.time_zone,
            title: None,
            attributes: BTreeMap::new(),
            scope: AllocationScope::Personal,
            software: Vec::new(),
            capacity: None,
            silent_since: None,
            silences: Vec::new(),
            errors: Vec::new(),
            address: Box::default(),
            netmask: Box::default(),
            registered_at: event.at,
            configured_at: None,
            changed_by: by,
            partitions: Vec::new(),
            by_name: BTreeMap::new(),
            supplies: BTreeMap::new(),
            in_error: BTreeSet::new(),
            retired_at: None,
            forgotten: 0,
        };
        self.computers.insert(event.computer.clone(), computer);
    }

    fn configured(&mut self, event: &ComputerConfigured, by: Sequence) {
        let Some(computer) = self.touch(&event.computer, by) else { return };
        computer.address.clone_from(&event.address);
        computer.netmask.clone_from(&event.netmask);
        computer.configured_at = Some(event.at);
        computer.retired_at = None;
    }

    fn retired(&mut self, event: &ComputerRetired, by: Sequence) {
        if let Some(computer) = self.touch(&event.computer, by) {
            computer.retired_at = Some(event.at);
        }
    }

    fn described(&mut self, event: &ComputerDescribed, by: Sequence) {
        let Some(computer) = self.touch(&event.computer, by) else { return };
        computer.title.clone_from(&event.title);
        computer.attributes = event.attributes.iter().cloned().collect();
    }

    fn scope_set(&mut self, event: &AllocationScopeSet, by: Sequence) {
        let Some(computer) = self.touch(&event.computer, by) else { return };
        computer.scope.clone_from(&event.scope);
        computer.software.clone_from(&event.software);
        computer.capacity = event.capacity;
    }

    fn state_reported(&mut self, event: &InstanceStateReported, by: Sequence) {
        let Some((computer, _)) = self.places.get(&event.instance).cloned() else { return };
        let Some(computer) = self.touch(&computer, by) else { return };
        if event.state == ReportedState::Error {
            computer.in_error.insert(event.instance);
        } else {
            computer.in_error.remove(&event.instance);
        }
        computer.note_errors(event.at);
    }

    fn offered(&mut self, event: &PartitionOffered, by: Sequence) {
        let Some(computer) = self.touch(&event.computer, by) else { return };
        let name = &event.offer.partition;
        computer.retired_at = None;
        if let Some(known) = computer.partition_mut(name) {
            let returns = known.is_forgotten();
            known.offer.clone_from(&event.offer);
            known.offered = true;
            computer.forgotten -= usize::from(returns);
        } else {
            let rank = u32::try_from(computer.partitions.len()).unwrap_or(u32::MAX);
            computer.by_name.insert(name.clone(), rank);
            computer.partitions.push(Partition {
                offer: event.offer.clone(),
                offered: true,
                occupant: None,
                had_tenant: false,
            });
        }
    }

    fn withdrawn(&mut self, event: &PartitionWithdrawn, by: Sequence) {
        let Some(computer) = self.touch(&event.computer, by) else { return };
        if let Some(partition) = computer.partition_mut(&event.partition)
            && partition.offered
        {
            partition.offered = false;
            let is_forgotten = partition.is_forgotten();
            computer.forgotten += usize::from(is_forgotten);
            computer.forget();
        }
    }

    fn supplied(&mut self, event: &SoftwareSupplied, by: Sequence) {
        let Some(computer) = self.touch(&event.computer, by) else { return };
        let fresh = || Supply {
            requested: event.state,
            reported: None,
            error: None,
            requested_at: event.at,
            reported_at: None,
        };
        let supply = computer.supplies.entry(event.release.clone()).or_insert_with(fresh);
        supply.requested = event.state;
        supply.requested_at = event.at;
    }

    fn software_reported(&mut self, event: &SoftwareStateReported, by: Sequence) {
        let Some(computer) = self.touch(&event.computer, by) else { return };
        if event.state == SoftwareState::Destroyed {
            computer.supplies.remove(&event.release);
        } else if let Some(supply) = computer.supplies.get_mut(&event.release) {
            supply.reported = Some(event.state);
            supply.error.clone_from(&event.error);
            supply.reported_at = Some(event.at);
        }
        computer.note_errors(event.at);
    }

    fn allocated(&mut self, event: &InstanceAllocated, by: Sequence) {
        if let Some(partition) =
            self.touch(&event.computer, by).and_then(|c| c.partition_mut(&event.partition))
        {
            partition.occupant = Some(event.instance);
            partition.had_tenant = true;
        }
        self.places.insert(event.instance, (event.computer.clone(), event.partition.clone()));
    }

    fn ended(&mut self, event: &InstanceEnded, by: Sequence) {
        let instance = event.instance;
        let Some((computer, partition)) = self.places.remove(&instance) else { return };
        let computer = self.touch(&computer, by);
        let partition = computer.and_then(|computer| {
            computer.in_error.remove(&instance);
            computer.note_errors(event.at);
            computer.partition_mut(&partition)
        });
        if let Some(partition) = partition.filter(|partition| partition.occupant == Some(instance)) {
            partition.occupant = None;
        }
    }
}

impl Projection for Inventory {
    fn name(&self) -> &'static str {
        "inventory"
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        put(self, out)
    }

    fn rows(&self, rows: &mut RowDigests) {
        rows.table("computers", &self.computers);
        rows.table("places", &self.places);
    }
}

#[cfg(test)]
mod tests {
    use slapledger_core::domain::Command;
    use slapledger_core::domain::instance::{InstancePlace, ReportInstance, Requester};
    use slapledger_core::domain::software::{ReportSoftware, SupplySoftware};

    use super::*;
    use crate::testing::{Story, computer, configure, offer, partition, release, request, sealed};

    fn supply(state: SupplyState) -> Command {
        let (computer, release) = (computer("COMP-1"), release("http://example.com/one.cfg"));
        Command::SupplySoftware(SupplySoftware { computer, release, state })
    }

    fn says(state: SoftwareState, error: Option<u8>) -> Command {
        let (computer, release) = (computer("COMP-1"), release("http://example.com/one.cfg"));
        Command::ReportSoftware(ReportSoftware { computer, release, state, error: error.map(sealed) })
    }

    fn partitions(story: &Story) -> Vec<(&str, bool, Option<u64>)> {
        let computer = story.view.inventory.computer("COMP-1").expect("it is registered");
        let all = computer.partitions().iter();
        all.map(|known| (known.offer.partition.as_str(), known.offered, known.occupant.map(|id| id.0)))
            .collect()
    }

    #[test]
    fn partitions_keep_their_order_and_their_tenants() {
        let mut story = Story::begin();
        story.then(configure("COMP-1", vec![offer("slappart9", "10.0.1.9"), offer("slappart0", "10.0.1.0")]));
        story.request(request(Requester::Party(PartyId(1)), "a"));
        assert_eq!(
            partitions(&story),
            [("slappart0", true, Some(1)), ("slappart1", false, None), ("slappart9", true, None)]
        );
        story.then(configure("COMP-1", vec![offer("slappart1", "10.0.1.7")]));
        assert_eq!(
            partitions(&story),
            [("slappart0", false, None), ("slappart1", true, None), ("slappart9", false, None)],
            "the instance moves"
        );
        let inventory = &story.view.inventory;
        let known = |name| inventory.partition("COMP-1", name).expect("it was offered");
        assert!(!known("slappart0").is_present() && !known("slappart0").is_free());
        assert!(known("slappart1").is_free() && !known("slappart9").is_present());
        assert_eq!(&*known("slappart1").offer.addresses[0].address, "10.0.1.7");
        assert_eq!(inventory.place(InstanceId(1)), None);
        assert_eq!(inventory.partition("COMP-1", "slappart2"), None);
        assert_eq!(inventory.partition("COMP-3", "slappart0"), None);
    }

    #[test]
    fn supplies_are_forgotten_when_they_are_gone() {
        let mut story = Story::begin();
        let known = |story: &Story| {
            let computer = story.view.inventory.computer("COMP-1").expect("it is registered");
            let supply = computer.supplies().get("http://example.com/one.cfg");
            supply.map(|supply| {
                (supply.requested, supply.reported, supply.error.as_ref().map(|error| error.digest[0]))
            })
        };
        let available = SupplyState::Available;
        story.then(supply(available));
        assert_eq!(known(&story), Some((available, None, None)));
        story.then(says(SoftwareState::Error, Some(3)));
        assert_eq!(known(&story), Some((available, Some(SoftwareState::Error), Some(3))));
        story.then(says(SoftwareState::Available, None));
        assert_eq!(known(&story), Some((available, Some(SoftwareState::Available), None)));
        story.then(supply(SupplyState::Destroyed));
        assert_eq!(known(&story), Some((SupplyState::Destroyed, Some(SoftwareState::Available), None)));
        story.then(says(SoftwareState::Destroyed, None));
        assert_eq!(known(&story), None);
    }

    #[test]
    fn times_of_errors_are_known_from_the_first_to_the_last() {
        let mut story = Story::begin();
        let known = |story: &Story| {
            let computer = story.view.inventory.computer("COMP-1").expect("it is registered");
            let of = |known: &ErrorPeriod| (known.until.is_some(), known.most);
            computer.errors.iter().map(of).collect::<Vec<_>>()
        };
        story.then(supply(SupplyState::Available));
        assert_eq!(known(&story), []);
        story.then(says(SoftwareState::Error, Some(3)));
        story.request(request(Requester::Party(PartyId(1)), "a"));
        let reports = |state| {
            let place = InstancePlace::new(computer("COMP-1"), partition("slappart0"));
            let error = (state == ReportedState::Error).then(|| sealed(5));
            Command::ReportInstance(ReportInstance { place, state, error })
        };
        story.then(reports(ReportedState::Error));
        assert_eq!(known(&story), [(false, 2)]);
        story.then(says(SoftwareState::Available, None));
        assert_eq!(known(&story), [(false, 2)], "the instance still is");
        story.then(reports(ReportedState::Started));
        assert_eq!(known(&story), [(true, 2)]);
        for _ in 0..MOST_ERROR_PERIODS {
            story.then(says(SoftwareState::Error, Some(3)));
            story.then(says(SoftwareState::Available, None));
        }
        let all = known(&story);
        assert_eq!((all.len(), all.first()), (MOST_ERROR_PERIODS, Some(&(true, 1))), "the first went");
    }

    #[test]
    fn computers_are_listed_by_reference() {
        let story = Story::begin();
        let page = |after, limit| {
            let page = story.view.inventory.computers(|_| true, after, limit);
            let ids: Vec<_> = page.items.iter().map(|known| known.id.as_str()).collect();
            (ids, page.next.map(|id| id.to_string()))
        };
        assert_eq!(page(None, 1), (vec!["COMP-1"], Some("COMP-1".to_owned())));
        assert_eq!(page(Some("COMP-1"), 1), (vec!["COMP-2"], None));
        assert_eq!(page(Some("COMP-2"), 1), (vec![], None));
    }

    #[test]
    fn what_changed_it_last_is_known() {
        let mut story = Story::begin();
        let changed_by =
            |story: &Story| story.view.inventory.computer("COMP-1").map(|known| known.changed_by);
        let before = changed_by(&story);
        story.then(configure("COMP-2", vec![]));
        assert_eq!(changed_by(&story), before);
        story.request(request(Requester::Party(PartyId(1)), "a"));
        assert_eq!(changed_by(&story), story.events.last().map(|event| event.sequence));
    }
}
