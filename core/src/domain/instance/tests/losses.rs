//! Partitions that leave the configuration of their computer, and computers that are retired.

use super::*;
use crate::domain::computer::{
    ComputerRefusal, ComputerRetired, ConfigureComputer, PartitionWithdrawn, RequestComputer, RetireComputer,
};
use crate::domain::instance::{ReleasePartition, RequestedAgain};
use crate::domain::time::TimeZone;

fn three(given: Given) -> Given {
    given.done(configure("COMP-1", &["slappart0", "slappart1", "slappart2"]))
}

fn withdrawn(given: &Given, name: &str) -> (Stream, Event) {
    let (computer, partition) = (computer("COMP-1"), partition(name));
    let stream = Stream::Computer(computer.clone());
    (stream, Event::PartitionWithdrawn(PartitionWithdrawn { computer, partition, at: given.now }))
}

fn shared(name: &str) -> RequestInstance {
    RequestInstance { shared: true, ..request(name) }
}

fn release_of(name: &str) -> ReleasePartition {
    ReleasePartition { computer: computer("COMP-1"), partition: partition(name), again: Vec::new() }
}

fn retire() -> RetireComputer {
    RetireComputer { computer: computer("COMP-1"), again: Vec::new() }
}

/// The parameters of an instance under a fresh key.
fn sealed_again(instance: u64, name: &str) -> RequestedAgain {
    let (parameters_were, parameters) = (request(name).parameters.digest, sealed(&format!("{name}2"), "{}"));
    RequestedAgain { instance: InstanceId(instance), parameters_were, parameters }
}

fn release_again(partition: &str, instance: u64, name: &str) -> ReleasePartition {
    ReleasePartition { again: vec![sealed_again(instance, name)], ..release_of(partition) }
}

/// An instance that is requested in place of one that ended.
fn again(given: &Given, instance: u64, name: &str) -> (Stream, Event) {
    let parameters = sealed(&format!("{name}2"), "{}");
    requested(given, instance, RequestInstance { parameters, ..request(name) })
}

#[test]
fn an_instance_whose_partition_is_released_is_requested_again_by_the_same_decision() {
    let two = |name: &str| given_two(name);
    let given = two("a").done(configure("COMP-1", &["slappart1"]));
    // Without its parameters, or with others than it has now, nothing is decided.
    let changed = || InstanceRefusal::OtherKey { reference: reference("a") };
    let given = given.when(release_of("slappart0")).refused(changed());
    let stale = RequestedAgain { parameters_were: [9; 16], ..sealed_again(1, "a") };
    let given = given.when(ReleasePartition { again: vec![stale], ..release_of("slappart0") });
    let given = given.refused(changed());
    // A key that was another's is none for it.
    let used = RequestedAgain { parameters: request("a").parameters, ..sealed_again(1, "a") };
    let given = given.when(ReleasePartition { again: vec![used], ..release_of("slappart0") });
    let given = given.refused(changed());
    // It gets the room there is at once.
    let events = [ended(&given, 1), again(&given, 2, "a"), allocated(&given, 2, "slappart1")];
    let given = given.when(release_again("slappart0", 1, "a")).then(events).and();
    assert_eq!(place(&given, 2).as_deref(), Some("COMP-1 slappart1"));
    // One that is to be destroyed ends alone.
    let given = two("a").done(destroy("a")).done(configure("COMP-1", &["slappart1"]));
    let events = [ended(&given, 1)];
    given.when(release_of("slappart0")).then(events);
}

/// An instance in the first of two partitions of a master.
fn given_two(name: &str) -> Given {
    Given::master().done(configure("COMP-1", &["slappart0", "slappart1"])).done(request(name))
}

#[test]
fn instances_of_a_retired_computer_do_not_get_the_same_partition_of_another() {
    let given = given_two("a").done(request("b")).done(register_computer("COMP-2"));
    let given = given.done(configure("COMP-2", &["slappart0"])).done(retire());
    let again = vec![sealed_again(1, "a"), sealed_again(2, "b")];
    let given = given.done(RetireComputer { again, ..retire() });
    assert_eq!(place(&given, 3).as_deref(), Some("COMP-2 slappart0"));
    assert_eq!(place(&given, 4), None);
    // It waits as any other does.
    let given = given.done(configure("COMP-2", &["slappart0", "slappart1"]));
    assert_eq!(place(&given, 4).as_deref(), Some("COMP-2 slappart1"));
}

#[test]
fn a_proxy_forgets_who_was_in_a_partition_that_is_gone() {
    let given = three(Given::cloud()).done(request("a")).done(request("b"));
    // It lives on the first that runs the same, and goes with it.
    let given = given
        .done(RequestInstance { filter: vec![("instance_guid".into(), "slappart1".into())], ..shared("s") });
    let gone =
        [withdrawn(&given, "slappart1"), withdrawn(&given, "slappart2"), ended(&given, 2), ended(&given, 3)];
    let given = given.when(configure("COMP-1", &["slappart0"])).then(gone).and();
    // A second request gets another one, where there is room.
    let again =
        RequestInstance { without_room: WithoutRoom::Refuse, parameters: sealed("b2", "{}"), ..request("b") };
    let given = given.when(again.clone()).refused(InstanceRefusal::NoRoom { reference: reference("b") });
    let given = given.done(configure("COMP-1", &["slappart0", "slappart5"]));
    let given = given.when(again).answered(&answer(4, RequestOutcome::Created, true)).and();
    assert_eq!(place(&given, 4).as_deref(), Some("COMP-1 slappart5"));
}

#[test]
fn in_a_proxy_the_children_of_what_is_gone_are_the_root_s_or_go_with_it() {
    let four =
        |given: Given| given.done(configure("COMP-1", &["slappart0", "slappart1", "slappart2", "slappart3"]));
    let tree =
        || four(Given::cloud()).done(request("a")).done(request_from(1, "b")).done(request_from(2, "c"));
    let given = tree();
    let moved = changed(InstanceChanged { requester: Some(InstanceId(1)), ..change(&given, 3) });
    let events = [withdrawn(&given, "slappart1"), moved, ended(&given, 2)];
    given.when(configure("COMP-1", &["slappart0", "slappart2", "slappart3"])).then(events);
    // The root itself.
    let given = tree();
    let events =
        [withdrawn(&given, "slappart0"), destruction(&given, 2), destruction(&given, 3), ended(&given, 1)];
    let given = given.when(configure("COMP-1", &["slappart1", "slappart2", "slappart3"])).then(events).and();
    // Their nodes say when they are gone.
    let given = given.done(report("slappart1", ReportedState::Destroyed));
    given
        .when(report("slappart2", ReportedState::Destroyed))
        .then_named(&["InstanceStateReported", "InstanceEnded"]);
    // All of it: nobody is left to be asked away.
    let given = tree();
    let events = [
        "PartitionWithdrawn",
        "PartitionWithdrawn",
        "PartitionWithdrawn",
        "PartitionWithdrawn",
        "InstanceEnded",
        "InstanceEnded",
        "InstanceEnded",
    ];
    given.when(configure("COMP-1", &[])).then_named(&events);
}

#[test]
fn a_master_keeps_an_instance_until_somebody_releases_its_partition() {
    let given = three(Given::master()).done(request("a")).done(request("b")).done(request_from(2, "c"));
    let given = given.done(RequestInstance { shared: true, ..request("s") });
    let given = given.when(release_of("slappart0")).refused(InstanceRefusal::StillOffered {
        computer: computer("COMP-1"),
        partition: partition("slappart0"),
    });
    let events = [withdrawn(&given, "slappart0"), withdrawn(&given, "slappart1")];
    let given = given.when(configure("COMP-1", &["slappart2"])).then(events).and();
    assert_eq!(place(&given, 2).as_deref(), Some("COMP-1 slappart1"));
    let release = [destruction(&given, 3), ended(&given, 2), again(&given, 5, "b")];
    let given = given.when(release_again("slappart1", 2, "b")).then(release).and();
    let given = given.when(release_of("slappart1")).refused(InstanceRefusal::PartitionFree {
        computer: computer("COMP-1"),
        partition: partition("slappart1"),
    });
    // With those that live on it.
    let release = [ended(&given, 1), ended(&given, 4), again(&given, 6, "a")];
    let given = given.when(release_again("slappart0", 1, "a")).then(release).and();
    let given = given.when(release_of("slappart9")).refused(InstanceRefusal::UnknownPartition {
        computer: computer("COMP-1"),
        partition: partition("slappart9"),
    });
    let unknown = UnknownComputer { computer: computer("COMP-9") };
    given
        .when(ReleasePartition { computer: computer("COMP-9"), ..release_of("slappart0") })
        .refused(InstanceRefusal::UnknownComputer(unknown));
}

#[test]
fn a_retired_computer_is_gone_with_all_that_is_on_it() {
    let given = three(Given::master()).done(request("a")).done(request_from(1, "b"));
    let of_computer = Stream::Computer(computer("COMP-1"));
    let retired = Event::ComputerRetired(ComputerRetired { computer: computer("COMP-1"), at: given.now });
    let events = [
        withdrawn(&given, "slappart0"),
        withdrawn(&given, "slappart1"),
        withdrawn(&given, "slappart2"),
        (of_computer, retired),
        ended(&given, 2),
    ];
    let given = given.when(retire()).then(events).and();
    // What its owner still wants stays until the command names it.
    let given = given.when(retire()).unchanged().and();
    let events = [ended(&given, 1), again(&given, 3, "a")];
    let given =
        given.when(RetireComputer { again: vec![sealed_again(1, "a")], ..retire() }).then(events).and();
    let given = given.when(retire()).unchanged().and();
    let refused = || ComputerRefusal::Retired { computer: computer("COMP-1") };
    let given = given.when(configure("COMP-1", &["slappart0"])).refused(refused());
    let given = given.when(scope(AllocationScope::Open)).refused(refused());
    // Nothing gets there any more, and its reference is not used again.
    let given = given.when(request("c")).answered(&answer(4, RequestOutcome::Created, false)).and();
    let given = given
        .when(register_computer("COMP-1"))
        .refused(ComputerRefusal::AlreadyRegistered { computer: computer("COMP-1") });
    let unknown = UnknownComputer { computer: computer("COMP-9") };
    given
        .when(RetireComputer { computer: computer("COMP-9"), ..retire() })
        .refused(InstanceRefusal::UnknownComputer(unknown));
}

#[test]
fn a_title_of_a_retired_computer_is_free_for_another() {
    let wanted = || RequestComputer { owner: PartyId(1), title: "mine".into(), time_zone: TimeZone::UTC };
    let given = Given::master().done(wanted());
    let given = given.when(wanted()).answered(&Answer::Computer(computer("COMP-2"))).and();
    let given = given.done(RetireComputer { computer: computer("COMP-2"), ..retire() });
    given.when(wanted()).answered(&Answer::Computer(computer("COMP-3")));
}

#[test]
fn in_a_proxy_a_retired_computer_may_come_back() {
    let given = Given::cloud().done(request("a")).done(retire());
    let back = ConfigureComputer { owner_if_new: Some(PartyId(1)), ..configure("COMP-1", &["slappart0"]) };
    let given = given.done(back).done(RequestInstance { parameters: sealed("b", "{}"), ..request("a") });
    assert_eq!(place(&given, 2).as_deref(), Some("COMP-1 slappart0"));
}

/// 60,000 names of partitions that a node offered once each took 200 MB.
#[test]
fn partitions_that_nobody_was_in_are_forgotten() {
    let known = |given: &Given, name: &str| {
        given.project().computers.get("COMP-1").expect("it is registered").has_partition(name)
    };
    let many: Vec<String> = (0..200).map(|n| format!("x{n}")).collect();
    let offered: Vec<&str> =
        ["slappart0", "slappart1"].into_iter().chain(many.iter().map(String::as_str)).collect();
    let given = Given::master().done(configure("COMP-1", &offered)).done(request("a")).done(destroy("a"));
    let given =
        given.done(report("slappart0", ReportedState::Destroyed)).done(configure("COMP-1", &["other"]));
    let left = ["slappart0", "slappart1", "x0", "x150", "other"].map(|name| known(&given, name));
    assert_eq!(left, [true, false, false, false, true]);
    // One that returns is a new one.
    let given = given.done(configure("COMP-1", &["slappart1"])).done(request("b"));
    assert_eq!(place(&given, 2).as_deref(), Some("COMP-1 slappart1"));
}

#[test]
fn a_long_value_is_recorded_in_parts() {
    let long = |length: usize| Sealed { ciphertext: vec![7; length], ..sealed("a", "long") };
    let part = |part: u32, length: usize| {
        let part = SealedPartRecorded { instance: InstanceId(1), part, ciphertext: vec![7; length] };
        (stream(1), Event::SealedPartRecorded(part))
    };
    let given = Given::cloud();
    let (first, place) = (
        requested(&given, 1, RequestInstance { parameters: long(0), ..request("a") }),
        allocated(&given, 1, "slappart0"),
    );
    let events = [part(1, 48_000), part(2, 48_000), part(3, 1), first, place];
    let given = given.when(RequestInstance { parameters: long(96_001), ..request("a") }).then(events).and();
    // As long as one event takes it, it is whole.
    let given =
        given.when(connect("slappart0", Sealed { ciphertext: vec![7; 48_000], ..sealed("a", "short") }));
    let given = given.then_named(&["ConnectionParametersSet"]).and();
    let set = ConnectionParametersSet { instance: InstanceId(1), connection: long(0), at: given.now };
    let given = given.when(connect("slappart0", long(48_001)));
    let given =
        given.then([part(1, 48_000), part(2, 1), (stream(1), Event::ConnectionParametersSet(set))]).and();
    // The same again is nothing new, whatever its length.
    let given = given.when(connect("slappart0", long(48_001))).unchanged().and();
    let other = Sealed { ciphertext: vec![7; 50_000], ..sealed("a", "other") };
    let names = ["SealedPartRecorded", "SealedPartRecorded", "InstanceChanged"];
    given.when(RequestInstance { parameters: other, ..request("a") }).then_named(&names);
}
