//! Which computers let instances in, and when.

use super::*;
use crate::domain::computer::NoticeSilence;

fn taken(given: &Given) -> usize {
    let known = given.project().computers.get("COMP-1").expect("it is registered");
    2 - known.free().count()
}

fn of(party: u64, name: &str) -> RequestInstance {
    RequestInstance { requester: Requester::Party(PartyId(party)), ..request(name) }
}

#[test]
fn a_scope_says_whom_a_computer_is_for() {
    use AllocationScope::{Closed, Group, Open, Personal};
    let three = |given: Given| given.done(register_party()).done(register_party());
    let rows = [
        (Open, [true, true, true]),
        (Personal, [true, false, false]),
        (Group(vec![PartyId(2)]), [true, true, false]),
        (Group(Vec::new()), [true, false, false]),
        (Closed, [false, false, false]),
    ];
    for (set, expected) in rows {
        for (party, let_in) in (1..).zip(expected) {
            let given = three(Given::master()).done(scope(set.clone())).done(of(party, "a"));
            assert_eq!(place(&given, 1).is_some(), let_in, "{set:?} for {party}");
            // Who was let in stays, and who was not comes in when the computer is opened.
            let given = given.done(scope(Closed)).done(scope(Open));
            assert_eq!(taken(&given), 1);
            // slapos proxy lets everybody in.
            let given = three(Given::cloud()).done(scope(set.clone())).done(of(party, "a"));
            assert_eq!(taken(&given), 1);
        }
    }
    // A new computer is its provider's.
    let given = three(Given::master()).done(of(2, "a")).done(of(1, "b"));
    assert_eq!((place(&given, 1), place(&given, 2).is_some()), (None, true));
}

#[test]
fn a_computer_may_be_limited_to_named_software() {
    let limited =
        |n: &str| SetAllocationScope { software: [release(n)].into(), ..scope(AllocationScope::Personal) };
    let given = Given::master().done(limited("http://release/2")).done(request("a"));
    assert_eq!(taken(&given), 0);
    let other = RequestInstance { release: release("http://release/2"), ..request("b") };
    let given = given.done(other);
    assert_eq!(taken(&given), 1);
    assert_eq!(taken(&given.done(limited("http://release/1"))), 2);
    let given = Given::cloud().done(limited("http://release/2")).done(request("a"));
    assert_eq!(taken(&given), 1);
}

#[test]
fn a_computer_takes_as_many_as_it_can() {
    let most = |n| SetAllocationScope { capacity: Some(n), ..scope(AllocationScope::Personal) };
    let given = Given::master().done(most(0)).done(request("a")).done(request("b"));
    assert_eq!(taken(&given), 0);
    let given = given.done(most(1));
    assert_eq!((place(&given, 1).is_some(), place(&given, 2)), (true, None));
    // One goes, one comes.
    let given = given.done(destroy("a")).done(report("slappart0", ReportedState::Destroyed));
    assert_eq!((taken(&given), place(&given, 2).is_some()), (1, true));
    let given = Given::cloud().done(most(0)).done(request("a"));
    assert_eq!(taken(&given), 1);
}

#[test]
fn a_silent_computer_takes_nobody_until_it_is_heard_again() {
    let silence = |since| NoticeSilence { computer: computer("COMP-1"), since };
    let since = Some(crate::domain::given::at("2026-09-30T00:00:00Z"));
    let given = Given::master().done(silence(since)).done(request("a"));
    assert_eq!(taken(&given), 0);
    let when = given.when(silence(None)).then_named(&["ComputerHeard", "InstanceAllocated"]);
    when.and().when(silence(None)).unchanged();
    let given = Given::cloud().done(silence(since)).done(request("a"));
    assert_eq!(taken(&given), 1);
}

/// COMP-1 with four partitions, three of them taken and in error.
fn in_error(given: Given) -> Given {
    let names = ["slappart0", "slappart1", "slappart2", "slappart3"];
    let given = given.done(configure("COMP-1", &names));
    let given = given.done(request("a")).done(request("b")).done(request("c"));
    names[..3].iter().fold(given, |given, name| given.done(report(name, ReportedState::Error)))
}

fn in_trouble(given: &Given) -> bool {
    given.project().computers.get("COMP-1").expect("it is registered").is_in_trouble()
}

#[test]
fn a_computer_in_trouble_takes_nobody_until_it_recovers() {
    let recoveries: [fn(Given) -> Given; 2] = [
        |given| given.done(report("slappart1", ReportedState::Started)),
        |given| given.done(destroy("b")).done(report("slappart1", ReportedState::Destroyed)),
    ];
    for recover in recoveries {
        let given = in_error(Given::master()).done(request("d"));
        assert!(in_trouble(&given));
        assert_eq!(place(&given, 4), None);
        let given = given.done(report("slappart0", ReportedState::Error));
        assert_eq!(place(&given, 4), None);
        let given = recover(given);
        assert!(!in_trouble(&given));
        assert!(place(&given, 4).is_some());
    }
    let given = in_error(Given::cloud()).done(request("d"));
    assert!(in_trouble(&given) && place(&given, 4).is_some());
    // Two are no trouble, and neither are three of seven.
    let given =
        in_error(Given::master()).done(report("slappart2", ReportedState::Stopped)).done(request("d"));
    assert!(!in_trouble(&given));
    let names: Vec<_> = (0..8).map(|n| format!("slappart{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut given = given.done(configure("COMP-1", &names));
    for name in ["e", "f", "g"] {
        given = given.done(request(name));
    }
    let given = given.done(report("slappart2", ReportedState::Error)).done(request("h"));
    assert!(!in_trouble(&given));
    assert!(place(&given, 8).is_some());
}

#[test]
fn partitions_vanish_and_come_back() {
    for given in [Given::cloud(), Given::master()] {
        let is_master = given.state.mode == crate::domain::event::Mode::Serve;
        let mut given = given.done(request("a")).done(configure("COMP-1", &[])).done(request("b"));
        assert_eq!(place(&given, 2), None);
        // slapos proxy forgets who is there; at the master it stays.
        let ended = given.project().instances.get(InstanceId(1)).expect("it was requested").has_ended();
        assert_eq!(ended, !is_master);
        if is_master {
            assert_eq!(place(&given, 1).as_deref(), Some("COMP-1 slappart0"), "who is there stays");
            // It is freed while it is away: nobody gets it.
            given = given.done(destroy("a")).done(report("slappart0", ReportedState::Destroyed));
            assert_eq!(place(&given, 2), None);
        }
        let back = given.when(configure("COMP-1", &["slappart0"]));
        let given = back.then_named(&["PartitionOffered", "InstanceAllocated"]).and();
        assert_eq!(place(&given, 2).as_deref(), Some("COMP-1 slappart0"));
    }
}

/// Everybody who waits was looked at whenever any node said anything.
#[test]
fn what_nodes_say_costs_nothing_however_many_wait() {
    let given = Given::master().done(request("a")).done(configure("COMP-1", &["slappart0", "slappart2"]));
    let mut given = given.done(scope(AllocationScope::Closed));
    for n in 0..10_000 {
        given = given.done(request(&format!("waiting {n}")));
    }
    let started = std::time::Instant::now();
    for n in 0..10_000 {
        let state = if n % 2 == 0 { ReportedState::Started } else { ReportedState::Error };
        given = given.done(report("slappart0", state));
    }
    assert!(started.elapsed().as_secs() < 5, "took {:?}", started.elapsed());
}

#[test]
fn so_many_instances_of_a_party_wait_and_no_more() {
    let mut given = Given::master();
    // Two have the partitions there are.
    for n in 0..10_001 {
        given.execute(request(&format!("n{n}")).into()).expect("a partition, or a wait");
    }
    let given = given.done(request("last"));
    let refusal = InstanceRefusal::TooManyWait { party: PartyId(1), max: 10_000 };
    let given = given.when(request("more")).refused(refusal);
    // What is there already may be changed, and another party has room of its own.
    let given = given.when(destroy("last")).and().done(request("more"));
    let given = given.done(register_party());
    given.done(RequestInstance { requester: Requester::Party(PartyId(2)), ..request("theirs") });
}
