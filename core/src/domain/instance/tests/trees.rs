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

#[test]
fn whoever_has_no_partition_cannot_ask_from_inside_it() {
    let unknown = InstanceRefusal::UnknownInstance { instance: InstanceId(1) };
    Given::nothing()
        .done(register_party())
        .done(request("a"))
        .when(request_from(1, "child"))
        .refused(unknown.clone());
    gone(Given::cloud().done(request("a")), "a", "slappart0").when(request_from(1, "child")).refused(unknown);
}

#[test]
fn names_belong_to_whoever_asks_and_in_a_tree_to_its_root() {
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
