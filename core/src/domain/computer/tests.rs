use crate::domain::given::{
    Given, computer, configure, destroy, offer, partition, register_computer, register_party, request,
};

use super::*;
use crate::domain::event::{Event, Stream};
use crate::domain::id::{InstanceId, PartitionId, PartyId};
use crate::domain::time::TimeZone;

fn stream() -> Stream {
    Stream::Computer(computer("COMP-1"))
}

fn offered(given: &Given, offer: Offer) -> (Stream, Event) {
    (
        stream(),
        Event::PartitionOffered(PartitionOffered { computer: computer("COMP-1"), offer, at: given.now }),
    )
}

fn withdrawn(given: &Given, name: &str) -> (Stream, Event) {
    let (computer, partition) = (computer("COMP-1"), partition(name));
    (stream(), Event::PartitionWithdrawn(PartitionWithdrawn { computer, partition, at: given.now }))
}

fn free(given: &Given) -> Vec<&str> {
    let computer = given.state.computers.get("COMP-1").expect("it is registered");
    let free: Vec<_> = computer.free().map(PartitionId::as_str).collect();
    let listed = given.state.computers.with_room().contains("COMP-1");
    assert_eq!(listed, !free.is_empty(), "the list of computers with room is wrong");
    free
}

#[test]
fn a_computer_is_registered_once() {
    let given = Given::nothing().done(register_party());
    let event = ComputerRegistered {
        computer: computer("COMP-1"),
        owner: PartyId(1),
        time_zone: TimeZone::UTC,
        at: given.now,
    };
    given
        .when(register_computer("COMP-1"))
        .then([(stream(), Event::ComputerRegistered(event))])
        .and()
        .when(register_computer("COMP-1"))
        .refused(ComputerRefusal::AlreadyRegistered { computer: computer("COMP-1") });
}

/// A configuration that contradicts itself is wrong whoever sends it, so that is said first.
#[test]
fn configurations_are_refused_in_order() {
    let unknown = UnknownComputer { computer: computer("COMP-9") };
    Given::cloud()
        .when(configure("COMP-9", &["slappart0", "slappart1", "slappart0"]))
        .refused(ComputerRefusal::PartitionTwice { partition: partition("slappart0") })
        .when(configure("COMP-9", &["slappart0"]))
        .refused(ComputerRefusal::Unknown(unknown));
}

#[test]
fn a_configuration_records_what_is_other_than_before() {
    let given = Given::nothing().done(register_party()).done(register_computer("COMP-1"));
    let configured = ComputerConfigured {
        computer: computer("COMP-1"),
        address: "10.0.0.254".into(),
        netmask: "255.255.255.0".into(),
        at: given.now,
    };
    let first = [
        (stream(), Event::ComputerConfigured(configured.clone())),
        offered(&given, offer("slappart0")),
        offered(&given, offer("slappart1")),
    ];
    let given = given.when(configure("COMP-1", &["slappart0", "slappart1"])).then(first).and();
    assert_eq!(free(&given), ["slappart0", "slappart1"]);
    let given = given.when(configure("COMP-1", &["slappart1", "slappart0"])).unchanged().and();

    let gone = [withdrawn(&given, "slappart0")];
    let given = given.when(configure("COMP-1", &["slappart1"])).then(gone).and();
    assert_eq!(free(&given), ["slappart1"]);
    let given = given.when(configure("COMP-1", &["slappart1"])).unchanged().and();
    assert!(given.state.computers.get("COMP-1").is_some_and(|known| known.has_partition("slappart0")));

    // It comes back at its old place in the order.
    let back = [offered(&given, offer("slappart0"))];
    let given = given.when(configure("COMP-1", &["slappart0", "slappart1"])).then(back).and();
    assert_eq!(free(&given), ["slappart0", "slappart1"]);

    let other = Offer { tap: None, ..offer("slappart1") };
    let changed = [offered(&given, other.clone())];
    let mut command = configure("COMP-1", &["slappart0"]);
    command.offers.push(other);
    let given = given.when(command.clone()).then(changed).and();
    command.address = "10.0.0.253".into();
    let configured = ComputerConfigured { address: "10.0.0.253".into(), ..configured };
    given.when(command).then([(stream(), Event::ComputerConfigured(configured))]);
}

#[test]
fn where_anybody_may_bring_a_computer_its_configuration_registers_it() {
    let command = ConfigureComputer { owner_if_new: Some(PartyId(1)), ..configure("COMP-1", &["slappart0"]) };
    Given::nothing()
        .done(register_party())
        .when(command.clone())
        .then_named(&["ComputerRegistered", "ComputerConfigured", "PartitionOffered"])
        .and()
        .when(command)
        .unchanged();
}

#[test]
fn a_withdrawn_partition_keeps_its_tenant_and_is_not_given_to_another() {
    let given = Given::cloud().done(request("a")).done(configure("COMP-1", &["slappart1"]));
    let known = given.state.computers.get("COMP-1").expect("it is registered");
    assert_eq!(known.occupant(&partition("slappart0")), Some(InstanceId(1)));
    let given = given
        .done(destroy("a"))
        .done(crate::domain::given::report("slappart0", crate::domain::instance::ReportedState::Destroyed));
    assert_eq!(free(&given), ["slappart1"]);
    let given = given.done(configure("COMP-1", &["slappart0", "slappart1"]));
    assert_eq!(free(&given), ["slappart0", "slappart1"]);
    assert_eq!(free(&given.done(request("b")).done(request("c"))), Vec::<&str>::new());
}

/// Two partitions swapped their unix users. The second offer forgot the user of the first, because it was
/// the second's before, and the usage of that user was suspended from then on.
#[test]
fn users_can_be_swapped() {
    let swapped = |name, user: &str| Offer { user: Some(user.into()), ..offer(name) };
    let mut command = configure("COMP-1", &[]);
    command.offers = vec![swapped("slappart0", "slapuser1"), swapped("slappart1", "slapuser0")];
    let given = Given::cloud().done(command);
    let known = given.state.computers.get("COMP-1").expect("it is registered");
    assert_eq!(known.partition_of_user("slapuser1"), Some(&partition("slappart0")));
    assert_eq!(known.partition_of_user("slapuser0"), Some(&partition("slappart1")));

    let mut command = configure("COMP-1", &[]);
    command.offers = vec![Offer { user: None, ..offer("slappart0") }, swapped("slappart1", "slapuser0")];
    let given = given.done(command);
    let known = given.state.computers.get("COMP-1").expect("it is registered");
    assert_eq!(known.partition_of_user("slapuser1"), None);
    assert_eq!(known.partition_of_user("slapuser0"), Some(&partition("slappart1")));
}
