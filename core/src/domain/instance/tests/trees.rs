//! Trees of instances.

use super::*;

#[test]
fn children_are_destroyed_before_their_parent() {
    let given = Given::cloud()
        .done(request("root"))
        .done(request_from(1, "child"))
        .done(RequestInstance { filter: on("COMP-9"), ..request_from(1, "waiting") })
        .done(destroy("root"));
    let asked_away = [destruction(&given, 2), destruction(&given, 3), ended(&given, 3)];
    let given = given.when(report("slappart0", ReportedState::Destroyed)).then(asked_away).and();
    // The child is not gone yet.
    let given = given.when(report("slappart0", ReportedState::Destroyed)).unchanged().and();
    let end = |given: &Given, instance| {
        [reported(given, instance, ReportedState::Destroyed), ended(given, instance)]
    };
    let child = end(&given, 2);
    let given = given.when(report("slappart1", ReportedState::Destroyed)).then(child).and();
    let root = end(&given, 1);
    given.when(report("slappart0", ReportedState::Destroyed)).then(root);
}

/// A tree of any depth ends in two runs of `slapos node report`, as at slapos proxy, and not in one more for each
/// level.
#[test]
fn at_slapos_proxy_a_tree_ends_in_two_report_runs() {
    let given = four(Given::cloud()).done(request("a")).done(request_from(1, "b")).done(request_from(2, "c"));
    let given = given.done(destroy("a"));
    let all = [destruction(&given, 2), destruction(&given, 3)];
    let given = given.when(report("slappart0", ReportedState::Destroyed)).then(all).and();
    let moved = changed(InstanceChanged { requester: Some(InstanceId(1)), ..change(&given, 3) });
    let middle = [moved, reported(&given, 2, ReportedState::Destroyed), ended(&given, 2)];
    let given = given.when(report("slappart1", ReportedState::Destroyed)).then(middle).and();
    let ends = ["InstanceStateReported", "InstanceEnded"];
    let given = given.when(report("slappart2", ReportedState::Destroyed)).then_named(&ends).and();
    given.when(report("slappart0", ReportedState::Destroyed)).then_named(&ends);
}

#[test]
fn an_instance_without_a_partition_cannot_request_another() {
    let unknown = InstanceRefusal::UnknownInstance { instance: InstanceId(1) };
    Given::nothing()
        .done(register_party())
        .done(request("a"))
        .when(request_from(1, "child"))
        .refused(unknown.clone());
    gone(Given::cloud().done(request("a")), "a", "slappart0").when(request_from(1, "child")).refused(unknown);
}

#[test]
fn titles_are_unique_for_each_requester_and_tree() {
    let given = Given::cloud()
        .done(register_party())
        .done(configure("COMP-1", &["p0", "p1", "p2", "p3", "p4", "p5"]))
        .done(request("a"));
    // PARTY-2 and SOFTINST-1 have an `a` of their own.
    let of_other = RequestInstance {
        requester: Requester::Party(PartyId(2)),
        parameters: sealed("other", "{}"),
        ..request("a")
    };
    let given = given.when(of_other).answered(&answer(2, RequestOutcome::Created, true)).and();
    let child = RequestInstance { parameters: sealed("child", "{}"), ..request_from(1, "a") };
    let when = given.when(child.clone());
    let Event::InstanceRequested(event) = &when.outcome().events[0].1 else { panic!("not requested") };
    assert_eq!((event.root, event.owner), (InstanceId(1), PartyId(1)));
    // From any partition of the tree it is the same one.
    let from_child = RequestInstance { requester: Requester::Instance(InstanceId(3)), ..child };
    let given = when.and().when(from_child).answered(&answer(3, RequestOutcome::Unchanged, true)).and();
    let when = given.when(request_from(3, "grandchild"));
    let Event::InstanceRequested(event) = &when.outcome().events[0].1 else { panic!("not requested") };
    assert_eq!((event.root, event.owner), (InstanceId(1), PartyId(1)));
}

fn stopped(name: &str) -> RequestInstance {
    request_state(name, RequestedState::Stopped)
}

fn wanted(given: &Given, instance: u64) -> RequestedState {
    given.project().instances.get(InstanceId(instance)).expect("it is there").state
}

fn requester(given: &Given, instance: u64) -> Requester {
    given.project().instances.get(InstanceId(instance)).expect("it is there").requester
}

fn child_in(parent: u64, name: &str, state: RequestedState) -> RequestInstance {
    RequestInstance { state: Some(state), ..request_from(parent, name) }
}

fn four(given: Given) -> Given {
    given.done(configure("COMP-1", &["slappart0", "slappart1", "slappart2", "slappart3"]))
}

#[test]
fn at_slapos_proxy_a_child_goes_with_its_root_at_its_next_request() {
    use RequestedState::{Destroyed, Started, Stopped};
    // Root, child, grandchild.
    let given = four(Given::cloud()).done(request("a")).done(request_from(1, "b")).done(request_from(2, "c"));
    let given = given.done(stopped("a"));
    assert_eq!([2, 3].map(|id| wanted(&given, id)), [Started, Started]);
    let forced = [changed(InstanceChanged { state: Some(Stopped), ..change(&given, 3) })];
    let given = given.when(request_from(2, "c")).then(forced).and();
    let given = given.when(child_in(2, "c", Started)).then([]).and();
    // A new one is not looked at before its next request.
    let given = given.done(request_from(1, "d"));
    assert_eq!(wanted(&given, 4), Started);
    assert_eq!(wanted(&given.done(request_from(1, "d")), 4), Stopped);

    // It comes back with its root, in the state that was wanted of it.
    let given = four(Given::cloud()).done(request("a")).done(request_from(1, "b"));
    let given = given.done(destroy("a")).done(request_from(1, "b"));
    assert_eq!(wanted(&given, 2), Destroyed);
    let given = given.done(request_state("a", Started)).done(request_from(1, "b"));
    assert_eq!(wanted(&given, 2), Started);
    // A child may be less than its root.
    let given = given.done(child_in(1, "b", Stopped)).done(request_from(1, "b"));
    assert_eq!(wanted(&given, 2), Stopped);
}

#[test]
fn at_slapos_proxy_a_shared_child_ends_with_its_destroyed_root() {
    let shared = RequestInstance { shared: true, ..request_from(1, "s") };
    let given = Given::cloud().done(request("a")).done(shared.clone()).done(destroy("a"));
    let forced = changed(InstanceChanged { state: Some(RequestedState::Destroyed), ..change(&given, 2) });
    let end = ended(&given, 2);
    given.when(shared).then([forced, end]);
}

#[test]
fn at_the_master_nothing_runs_under_what_is_stopped() {
    use RequestedState::{Destroyed, Started, Stopped};
    let given =
        four(Given::master()).done(request("a")).done(request_from(1, "b")).done(request_from(2, "c"));
    let given = given.done(stopped("a"));
    // The parent counts, not the root.
    let given = given.when(request_from(2, "c")).then([]).and();
    let forced = [changed(InstanceChanged { state: Some(Stopped), ..change(&given, 2) })];
    let given = given.when(request_from(1, "b")).then(forced).and();
    let forced = [changed(InstanceChanged { state: Some(Stopped), ..change(&given, 3) })];
    let given = given.when(child_in(2, "c", Started)).then(forced).and();
    // A new one too, and what was wanted of it is not forgotten.
    let when = given.when(request_from(1, "d"));
    let given = when.then_named(&["InstanceRequested", "InstanceChanged", "InstanceAllocated"]).and();
    assert_eq!(wanted(&given, 4), Stopped);
    let given = given.when(request_from(1, "d")).then([]).and();
    let given = given.done(request_state("a", Started)).done(request_from(1, "d"));
    assert_eq!(wanted(&given, 4), Started);
    let given = given.done(request_from(1, "b")).done(request_from(2, "c"));
    assert_eq!([2, 3].map(|id| wanted(&given, id)), [Started, Started]);
    // To ask a child away is always possible.
    let given = given.done(stopped("a")).done(child_in(1, "b", Destroyed));
    assert_eq!([2, 3].map(|id| wanted(&given, id)), [Destroyed, Destroyed]);
}

#[test]
fn at_the_master_a_tree_is_asked_away_with_its_root() {
    let given =
        four(Given::master()).done(request("a")).done(request_from(1, "b")).done(request_from(2, "c"));
    let shared = RequestInstance { shared: true, ..request_from(2, "s") };
    let waiting = RequestInstance { filter: on("COMP-9"), ..request_from(2, "w") };
    let given = given.done(shared).done(waiting).done(request("other"));
    let events = [
        destruction(&given, 1),
        destruction(&given, 2),
        destruction(&given, 3),
        destruction(&given, 4),
        ended(&given, 4),
        destruction(&given, 5),
        ended(&given, 5),
    ];
    let given = given.when(destroy("a")).then(events).and();
    assert_eq!(wanted(&given, 6), RequestedState::Started);
    let given = given.when(destroy("a")).then([]).and();
    // The root goes last; the others in any order, so that a tree of any depth ends in two report runs.
    let given = given.when(report("slappart0", ReportedState::Destroyed)).unchanged().and();
    let ends = ["InstanceChanged", "InstanceStateReported", "InstanceEnded"];
    let given = given.when(report("slappart1", ReportedState::Destroyed)).then_named(&ends).and();
    assert_eq!(requester(&given, 3), Requester::Instance(InstanceId(1)));
    let given = given.when(report("slappart0", ReportedState::Destroyed)).unchanged().and();
    let given = given.when(report("slappart2", ReportedState::Destroyed)).then_named(&ends[1..]).and();
    given.when(report("slappart0", ReportedState::Destroyed)).then_named(&ends[1..]);
    // At slapos proxy the node asks level by level.
    let given = four(Given::cloud()).done(request("a")).done(request_from(1, "b")).done(request_from(2, "c"));
    let only = [destruction(&given, 1)];
    given.when(destroy("a")).then(only);
}

/// The partition of an instance that is to go still ran, asked for its children again, and they stayed for ever.
#[test]
fn at_the_master_what_is_to_go_asks_for_nothing() {
    use RequestedState::{Destroyed, Started};
    let goes = InstanceRefusal::RequesterGoes { instance: InstanceId(1) };
    assert_eq!(Refusal::from(goes.clone()).class(), RefusalClass::Conflict);
    let given = four(Given::master()).done(request("a")).done(request_from(1, "b")).done(destroy("a"));
    let given = given
        .when(request_from(1, "new"))
        .refused(goes.clone())
        .when(child_in(1, "new", Destroyed))
        .refused(InstanceRefusal::NothingToDestroy { reference: reference("new") })
        .when(child_in(1, "b", Started))
        .refused(goes);
    let given = given.when(request_from(1, "b")).then([]).and();
    given.when(child_in(1, "b", Destroyed)).then([]);
    Given::cloud()
        .done(request("a"))
        .done(destroy("a"))
        .when(request_from(1, "b"))
        .then_named(&["InstanceRequested", "InstanceAllocated"]);
}

#[test]
fn another_of_the_tree_may_ask_for_an_instance() {
    for given in [Given::cloud(), Given::master()] {
        let given = four(given).done(request("a")).done(request_from(1, "b")).done(request_from(1, "c"));
        assert_eq!(requester(&given, 3), Requester::Instance(InstanceId(1)));
        let event = InstanceChanged { requester: Some(InstanceId(2)), ..change(&given, 3) };
        let given = given.when(request_from(2, "c")).then([changed(event)]).and();
        assert_eq!(requester(&given, 3), Requester::Instance(InstanceId(2)));
        let given = given.when(request_from(2, "c")).then([]).and();
        // It does not become its own child, nor that of what is under it.
        let given = given.when(request_from(3, "b")).then([]).and();
        let given = given.when(request_from(3, "c")).then([]).and();
        assert_eq!(requester(&given, 2), Requester::Instance(InstanceId(1)));
        let given = given.done(child_in(1, "b", RequestedState::Destroyed));
        let given = given.when(report("slappart1", ReportedState::Destroyed)).and();
        let lives = given.project().instances.names.values().any(|id| *id == InstanceId(2));
        // It goes, and what it asked for is the root's.
        assert_eq!(requester(&given, 3), Requester::Instance(InstanceId(1)));
        assert!(!lives, "it waits for its child");
    }
}

#[test]
fn a_shared_instance_asks_for_nothing() {
    let shared = RequestInstance { shared: true, ..request("s") };
    let unknown = InstanceRefusal::UnknownInstance { instance: InstanceId(2) };
    Given::master().done(request("a")).done(shared).when(request_from(2, "b")).refused(unknown);
}
