//! Two projects in which the same names and numbers mean different things: given, when, then.

use super::*;
use crate::domain::computer::UnknownComputer;
use crate::domain::given::{
    Given, computer, configure, reference, register_computer, register_party, report, request, usage,
};
use crate::domain::id::{InstanceId, PartyId};
use crate::domain::instance::{InstanceRefusal, ReportedState, RequestInstance, RequestOutcome, WithoutRoom};
use crate::domain::usage::{DismissSuspendedUsage, UsageOutcome, UsageRefusal, UsageReport};

/// PROJ-1 and PROJ-2, each with a PARTY-1 and its COMP-1 of two partitions. What comes next is about PROJ-2.
fn two() -> Given {
    Given::cloud().within(2).with_computer()
}

fn bytes(given: &Given, project: u64) -> Vec<u8> {
    let project = given.state.project(ProjectId(project));
    bincode::encode_to_vec(project, bincode::config::standard()).expect("it can be encoded")
}

fn seated(given: &Given, instance: u64) -> bool {
    given.project().instances.get(InstanceId(instance)).is_some_and(|known| known.allocation.is_some())
}

#[test]
fn a_project_appears_with_its_first_event() {
    let ids = |given: &Given| given.state.projects().map(|(id, _)| id.0).collect::<Vec<_>>();
    let given = Given::nothing().by_the_master();
    assert_eq!(ids(&given), [0; 0], "what is of the ledger is of no project");
    let given =
        given.within(9).when(request("a")).refused(InstanceRefusal::UnknownParty { party: PartyId(1) });
    assert_eq!(ids(&given), [0; 0], "a refusal is no event");
    let given = given.done(register_party()).within(4).done(register_party());
    assert_eq!(ids(&given), [4, 9]);
}

#[test]
fn names_and_numbers_are_taken_in_one_project_only() {
    let given = two().within(1).done(request("a")).done(request("b")).within(2);
    let before = bytes(&given, 1);
    let new = Answer::Instance { instance: InstanceId(1), outcome: RequestOutcome::Created, allocated: true };
    let given = given.when(request("a")).answered(&new).and();
    let given = given.when(register_party()).answered(&Answer::Party(PartyId(2))).and();
    let given = given.done(register_computer("COMP-2")).done(report("slappart0", ReportedState::Started));
    assert_eq!(bytes(&given, 1), before);
    let (before, given) = (bytes(&given, 2), given.within(1));
    let given = given.when(register_party()).answered(&Answer::Party(PartyId(2))).and();
    assert_eq!(bytes(&given, 2), before);
}

/// What one project offers is not there for another, and what becomes free in it neither.
#[test]
fn room_is_in_the_project_of_who_looks_for_it() {
    let refuse = |name: &str| RequestInstance { without_room: WithoutRoom::Refuse, ..request(name) };
    let given = Given::cloud().within(2).done(register_party());
    let given = given.when(refuse("a")).refused(InstanceRefusal::NoRoom { reference: reference("a") });
    let given = given.done(request("a"));
    assert!(!seated(&given, 1));
    // A partition more, and one that becomes free.
    let given = given
        .within(1)
        .done(request("a"))
        .done(configure("COMP-1", &["slappart0", "slappart1", "slappart2"]));
    let gone = crate::domain::given::destroy("a");
    let given = given.done(gone).done(report("slappart0", ReportedState::Destroyed)).within(2);
    assert!(!seated(&given, 1));
    let given = given.done(register_computer("COMP-1"));
    let when = given.when(configure("COMP-1", &["slappart0"]));
    let given = when.then_named(&["ComputerConfigured", "PartitionOffered", "InstanceAllocated"]).and();
    assert!(seated(&given, 1));
}

#[test]
fn what_another_project_has_is_unknown() {
    let given = Given::cloud().done(request("a")).within(2).done(register_party());
    let unknown = UnknownComputer { computer: computer("COMP-1") };
    let reported = given.when_reported([usage("1", "1")]);
    let given = reported.refused(UsageRefusal::UnknownComputer(unknown));
    let given = given.within(1).at("2026-10-01T12:00:00Z");
    let lost = UsageReport { subject: "nobody".into(), ..usage("1", "1") };
    let given = given.when_reported([lost]).then_named(&["UsageSuspended"]).and();
    let suspended = Sequence(given.log.len() as u64);
    let dismiss = DismissSuspendedUsage { suspended, reason: "nonsense".into() };
    let given = given.within(2).when(dismiss.clone()).refused(UsageRefusal::NotSuspended { suspended });
    given.within(1).when(dismiss).then_named(&["SuspendedUsageDismissed"]);
}

#[test]
fn an_identity_of_usage_is_known_in_its_project() {
    let given = two().done(request("a")).within(1).done(request("a")).at("2026-10-01T12:00:00Z");
    let next = given.next();
    let accepted = |sequence| [UsageOutcome::Accepted(sequence)];
    let given = given.when_reported([usage("1", "1")]).answered_usage(accepted(next)).and();
    let given = given.within(2);
    let given = given.when_reported([usage("1", "2")]).answered_usage(accepted(next.next())).and();
    let duplicate = |sequence| [UsageOutcome::Duplicate(sequence)];
    let given = given.when_reported([usage("1", "2")]).answered_usage(duplicate(next.next())).and();
    let given = given.within(1);
    let given = given.when_reported([usage("1", "1")]).answered_usage(duplicate(next)).and();
    given.when_reported([usage("1", "2")]).answered_usage([UsageOutcome::Conflict(next)]);
}
