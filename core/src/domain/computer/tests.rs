use crate::domain::given::{
    Given, computer, configure, destroy, offer, partition, register_computer, register_party, release,
    request, sealed,
};

use std::collections::BTreeSet;

use super::*;
use crate::domain::Answer;
use crate::domain::event::{Event, Stream};
use crate::domain::id::{InstanceId, InvalidText, PartitionId, PartyId};
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
    let computer = given.project().computers.get("COMP-1").expect("it is registered");
    let free: Vec<_> = computer.free().map(PartitionId::as_str).collect();
    let listed = given.project().computers.with_room().contains("COMP-1");
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

/// A configuration that contradicts itself is wrong for every sender, so that is said first.
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
    assert!(given.project().computers.get("COMP-1").is_some_and(|known| known.has_partition("slappart0")));

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
    let given = Given::master().done(request("a")).done(configure("COMP-1", &["slappart1"]));
    let known = given.project().computers.get("COMP-1").expect("it is registered");
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
    let known = given.project().computers.get("COMP-1").expect("it is registered");
    assert_eq!(known.partition_of_user("slapuser1"), Some(&partition("slappart0")));
    assert_eq!(known.partition_of_user("slapuser0"), Some(&partition("slappart1")));

    let mut command = configure("COMP-1", &[]);
    command.offers = vec![Offer { user: None, ..offer("slappart0") }, swapped("slappart1", "slapuser0")];
    let given = given.done(command);
    let known = given.project().computers.get("COMP-1").expect("it is registered");
    assert_eq!(known.partition_of_user("slapuser1"), None);
    assert_eq!(known.partition_of_user("slapuser0"), Some(&partition("slappart1")));
}

fn computer_requested(title: &str) -> RequestComputer {
    RequestComputer { owner: PartyId(1), title: title.into(), time_zone: TimeZone::UTC }
}

fn bad(what: &str, rule: InvalidText) -> ComputerRefusal {
    ComputerRefusal::BadText { what: what.into(), rule }
}

#[test]
fn a_requested_computer_gets_the_next_free_name_and_keeps_it() {
    let given = Given::nothing().done(register_party()).done(register_party());
    let registered = |given: &Given, name: &str| {
        let (owner, time_zone) = (PartyId(1), TimeZone::UTC);
        let event = ComputerRegistered { computer: computer(name), owner, time_zone, at: given.now };
        (Stream::Computer(computer(name)), Event::ComputerRegistered(event))
    };
    let titled = |given: &Given, name: &str, title: &str| {
        let (computer, title) = (computer(name), Some(title.into()));
        let event = ComputerDescribed { computer, title, attributes: Vec::new(), at: given.now };
        (Stream::Computer(event.computer.clone()), Event::ComputerDescribed(event))
    };
    let answer = |name| Answer::Computer(computer(name));
    let first = [registered(&given, "COMP-1"), titled(&given, "COMP-1", "mine")];
    let given = given.when(computer_requested("mine")).then(first).answered(&answer("COMP-1")).and();
    let given = given.when(computer_requested("mine")).then([]).answered(&answer("COMP-1")).and();
    // Somebody brought the next name along.
    let given = given.done(register_computer("COMP-3")).done(register_computer("COMP-4"));
    let given = given.when(computer_requested("second")).answered(&answer("COMP-5")).and();
    // A title is one of its provider's.
    let of_other = RequestComputer { owner: PartyId(2), ..computer_requested("mine") };
    let given = given.when(of_other).answered(&answer("COMP-6")).and();
    // It is the one of that title now.
    let renamed = DescribeComputer { title: Some("mine".into()), ..description("COMP-3", &[]) };
    let given = given.done(DescribeComputer { title: None, ..description("COMP-1", &[]) }).done(renamed);
    given.when(computer_requested("mine")).then([]).answered(&answer("COMP-3"));
}

#[test]
fn requests_of_computers_are_refused_in_order() {
    let of_nobody = RequestComputer { owner: PartyId(9), ..computer_requested("") };
    Given::cloud()
        .when(of_nobody)
        .refused(ComputerRefusal::UnknownParty { party: PartyId(9) })
        .when(computer_requested(""))
        .refused(bad("computer_title", InvalidText::Empty))
        .when(computer_requested(&"x".repeat(257)))
        .refused(bad("computer_title", InvalidText::TooLong { max: 256 }))
        .when(computer_requested("a\nb"))
        .refused(bad("computer_title", InvalidText::Control { code: 10 }));
}

fn description(name: &str, attributes: &[(&str, &str)]) -> DescribeComputer {
    let attributes = attributes.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    DescribeComputer { computer: computer(name), title: Some("title".into()), attributes }
}

#[test]
fn a_computer_is_described() {
    let given = Given::cloud();
    let pairs: Vec<(Box<str>, Box<str>)> =
        vec![("cpu_core".into(), "4".into()), ("region".into(), "europe".into())];
    let (title, attributes) = (Some("title".into()), pairs);
    let event = ComputerDescribed { computer: computer("COMP-1"), title, attributes, at: given.now };
    let described = [(stream(), Event::ComputerDescribed(event.clone()))];
    let command = description("COMP-1", &[("region", "europe"), ("cpu_core", "4")]);
    let given = given.when(command.clone()).then(described).and().when(command).unchanged().and();
    // What is not named is taken away.
    let less = ComputerDescribed { attributes: Vec::new(), ..event.clone() };
    let given =
        given.when(description("COMP-1", &[])).then([(stream(), Event::ComputerDescribed(less))]).and();
    let untitled = ComputerDescribed { title: None, attributes: Vec::new(), ..event };
    let nothing = DescribeComputer { title: None, ..description("COMP-1", &[]) };
    given.when(nothing).then([(stream(), Event::ComputerDescribed(untitled))]);
}

#[test]
fn descriptions_are_refused_in_order() {
    let unknown = UnknownComputer { computer: computer("COMP-9") };
    let untitled = |name, pairs| DescribeComputer { title: Some("".into()), ..description(name, pairs) };
    let no_attribute = ComputerRefusal::UnknownAttribute { name: "colour".into() };
    Given::cloud()
        .when(untitled("COMP-9", &[("colour", "")]))
        .refused(ComputerRefusal::Unknown(unknown))
        .when(untitled("COMP-1", &[("colour", "")]))
        .refused(bad("title", InvalidText::Empty))
        .when(description("COMP-1", &[("colour", "")]))
        .refused(no_attribute)
        .when(description("COMP-1", &[("region", "")]))
        .refused(bad("region", InvalidText::Empty));
}

fn open(scope: AllocationScope) -> SetAllocationScope {
    SetAllocationScope { computer: computer("COMP-1"), scope, software: BTreeSet::new(), capacity: None }
}

#[test]
fn whom_and_what_a_computer_is_for_is_said_once() {
    let given = Given::cloud().done(register_party());
    let given = given.when(open(AllocationScope::Personal)).unchanged().and();
    let command = SetAllocationScope {
        software: [release("b"), release("a")].into(),
        capacity: Some(3),
        ..open(AllocationScope::Group(vec![PartyId(2)]))
    };
    let event = AllocationScopeSet {
        computer: computer("COMP-1"),
        scope: AllocationScope::Group(vec![PartyId(2)]),
        software: vec![release("a"), release("b")],
        capacity: Some(3),
        at: given.now,
    };
    let given = given.when(command.clone()).then([(stream(), Event::AllocationScopeSet(event))]).and();
    let given = given.when(command.clone()).unchanged().and();
    let more = SetAllocationScope { capacity: Some(4), ..command };
    given.when(more).then_named(&["AllocationScopeSet"]);
}

#[test]
fn scopes_are_refused_in_order() {
    let unknown = UnknownComputer { computer: computer("COMP-9") };
    let many = AllocationScope::Group(vec![PartyId(9); 257]);
    let software: BTreeSet<_> = (0..257).map(|n| release(&n.to_string())).collect();
    let too_many = |what| ComputerRefusal::TooMany { what, max: 256 };
    Given::cloud()
        .when(SetAllocationScope { computer: computer("COMP-9"), ..open(many.clone()) })
        .refused(ComputerRefusal::Unknown(unknown))
        .when(open(many))
        .refused(too_many("scope"))
        .when(SetAllocationScope {
            software: software.clone(),
            ..open(AllocationScope::Group(vec![PartyId(1), PartyId(9)]))
        })
        .refused(ComputerRefusal::UnknownParty { party: PartyId(9) })
        .when(SetAllocationScope { software, ..open(AllocationScope::Open) })
        .refused(too_many("software"));
}

#[test]
fn silence_is_noticed_once_and_so_is_its_end() {
    let silence = |name, since| NoticeSilence { computer: computer(name), since };
    let given = Given::cloud();
    let (at, since) = (given.now, crate::domain::given::at("2026-09-30T00:00:00Z"));
    let silent = ComputerFellSilent { computer: computer("COMP-1"), since, at };
    let heard = ComputerHeard { computer: computer("COMP-1"), at };
    let unknown = UnknownComputer { computer: computer("COMP-9") };
    given
        .when(silence("COMP-9", None))
        .refused(ComputerRefusal::Unknown(unknown))
        .when(silence("COMP-1", None))
        .unchanged()
        .and()
        .when(silence("COMP-1", Some(since)))
        .then([(stream(), Event::ComputerFellSilent(silent))])
        .and()
        .when(silence("COMP-1", Some(at)))
        .unchanged()
        .and()
        .when(silence("COMP-1", None))
        .then([(stream(), Event::ComputerHeard(heard))]);
}

#[test]
fn a_computer_bangs_as_often_as_it_likes() {
    let given = Given::cloud();
    let bang = |name| BangComputer { computer: computer(name), message: Some(sealed("COMP-1", "why")) };
    let BangComputer { computer: at, message } = bang("COMP-1");
    let event = ComputerBanged { computer: at, message, at: given.now };
    let banged = [(stream(), Event::ComputerBanged(event))];
    let unknown = UnknownComputer { computer: computer("COMP-9") };
    let given = given.when(bang("COMP-1")).then(banged.clone()).and().when(bang("COMP-1")).then(banged).and();
    given.when(bang("COMP-9")).refused(ComputerRefusal::Unknown(unknown));
}

#[test]
fn what_a_computer_offers_is_bounded_in_number_and_in_bytes() {
    let partitions = |count: usize| -> Vec<String> { (0..count).map(|n| format!("slappart{n}")).collect() };
    let of = |names: &[String]| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        configure("COMP-1", &names)
    };
    let given = Given::cloud().done(of(&partitions(10_000)));
    let too_many = ComputerRefusal::TooMany { what: "partition_list", max: 10_000 };
    let given = given.when(of(&partitions(10_001))).refused(too_many);
    // Bytes are those of all texts: here capabilities, beside the partition and what it has by itself.
    let max = 4 * 1024 * 1024;
    let with = |length: usize| {
        let capabilities = vec!["x".repeat(length).into()];
        let offer =
            Offer { capabilities, tap: None, user: None, addresses: Vec::new(), ..offer("slappart0") };
        ConfigureComputer { offers: vec![offer], ..configure("COMP-1", &[]) }
    };
    let room = max - "slappart0".len();
    let given = given.done(with(room));
    given.when(with(room + 1)).refused(ComputerRefusal::TooLong { bytes: max + 1, max });
}
