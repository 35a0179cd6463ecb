//! Decisions about instances: given, when, then. By subject; here is what they share.

mod candidates;
mod filters;
mod losses;
mod reports;
mod requests;
mod rooms;
mod shared;
mod trees;

use std::collections::BTreeSet;

use super::*;
use crate::domain::Answer;
use crate::domain::State;
use crate::domain::computer::{
    AllocationScope, ComputerDescribed, DescribeComputer, PartitionOffered, SetAllocationScope,
    UnknownComputer,
};
use crate::domain::event::{Event, Stream};
use crate::domain::given::{
    Given, computer, configure, connect, destroy, in_partition, key, on, partition, reference,
    register_computer, register_party, release, report, request, request_from, request_state, sealed,
    software_type,
};
use crate::domain::id::{InstanceId, PartyId, ProjectId};
use crate::domain::refusal::{Refusal, RefusalClass};
use crate::domain::sealed::Sealed;
use crate::domain::software::{SupplySoftware, SupplyState};

fn stream(instance: u64) -> Stream {
    Stream::Instance(InstanceId(instance))
}

/// The event of a request of PARTY-1 that says nothing of what may be left out.
fn requested(given: &Given, instance: u64, command: RequestInstance) -> (Stream, Event) {
    let event = InstanceRequested {
        instance: InstanceId(instance),
        requester: command.requester,
        owner: PartyId(1),
        root: InstanceId(instance),
        reference: command.reference,
        release: command.release,
        software_type: command.software_type,
        instance_type: InstanceType::Production,
        parameters: command.parameters,
        filter: command.filter,
        state: RequestedState::Started,
        shared: command.shared,
        at: given.now,
    };
    (stream(instance), Event::InstanceRequested(event))
}

fn allocated(given: &Given, instance: u64, name: &str) -> (Stream, Event) {
    let stream = stream(instance);
    let (computer, partition) = (computer("COMP-1"), partition(name));
    let (instance, host) = (InstanceId(instance), None);
    let event = InstanceAllocated { instance, computer, partition, host, at: given.now };
    (stream, Event::InstanceAllocated(event))
}

/// A change of nothing yet.
fn change(given: &Given, instance: u64) -> InstanceChanged {
    InstanceChanged {
        instance: InstanceId(instance),
        release: None,
        software_type: None,
        instance_type: None,
        parameters: None,
        state: None,
        wish: None,
        filter: None,
        requester: None,
        at: given.now,
    }
}

fn changed(event: InstanceChanged) -> (Stream, Event) {
    (Stream::Instance(event.instance), Event::InstanceChanged(event))
}

fn destruction(given: &Given, instance: u64) -> (Stream, Event) {
    let state = Some(RequestedState::Destroyed);
    changed(InstanceChanged { state, wish: state, ..change(given, instance) })
}

fn ended(given: &Given, instance: u64) -> (Stream, Event) {
    (stream(instance), Event::InstanceEnded(InstanceEnded { instance: InstanceId(instance), at: given.now }))
}

fn reported(given: &Given, instance: u64, state: ReportedState) -> (Stream, Event) {
    let event = InstanceStateReported { instance: InstanceId(instance), state, error: None, at: given.now };
    (stream(instance), Event::InstanceStateReported(event))
}

fn answer(instance: u64, outcome: RequestOutcome, allocated: bool) -> Answer {
    Answer::Instance { instance: InstanceId(instance), outcome, allocated }
}

/// Where an instance is, in short.
fn place(given: &Given, instance: u64) -> Option<String> {
    let allocation = given.project().instances.get(InstanceId(instance))?.allocation.as_ref()?;
    Some(format!("{} {}", allocation.computer, allocation.partition))
}

fn gone(given: Given, name: &str, partition: &str) -> Given {
    given.done(destroy(name)).done(report(partition, ReportedState::Destroyed))
}

/// COMP-1 is for whom a scope says.
fn scope(scope: AllocationScope) -> SetAllocationScope {
    SetAllocationScope { computer: computer("COMP-1"), scope, software: BTreeSet::new(), capacity: None }
}

fn describe(name: &str, attributes: &[(&str, &str)]) -> DescribeComputer {
    let attributes = attributes.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    DescribeComputer { computer: computer(name), title: None, attributes }
}
