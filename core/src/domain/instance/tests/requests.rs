//! `request()`: instances made, changed, waiting, and found a partition.

use super::*;

#[test]
fn a_new_instance_gets_the_first_free_partition() {
    let given = Given::cloud();
    let first = [requested(&given, 1, request("a")), allocated(&given, 1, "slappart0")];
    let given =
        given.when(request("a")).then(first).answered(&answer(1, RequestOutcome::Created, true)).and();
    let second = RequestInstance {
        instance_type: Some(InstanceType::Testing),
        state: Some(RequestedState::Stopped),
        ..request("b")
    };
    let when = given.when(second);
    let Event::InstanceRequested(event) = &when.outcome().events[0].1 else { panic!("not requested") };
    assert_eq!((event.instance_type, event.state), (InstanceType::Testing, RequestedState::Stopped));
    assert_eq!(place(&when.and(), 2).as_deref(), Some("COMP-1 slappart1"));
}

#[test]
fn a_request_as_before_changes_nothing() {
    let unchanged = answer(1, RequestOutcome::Unchanged, true);
    let same = RequestInstance {
        instance_type: Some(InstanceType::Production),
        filter: on("COMP-9"),
        // Sealed anew: the same digest, another ciphertext.
        parameters: Sealed { nonce: [9; 24], ciphertext: vec![9], ..sealed("a", "{}") },
        ..request_state("a", RequestedState::Started)
    };
    let given = Given::cloud().done(request("a"));
    given.when(request("a")).then([]).answered(&unchanged).and().when(same).then([]).answered(&unchanged);
}

#[test]
fn a_change_names_what_is_new_and_nothing_else() {
    let mut given = Given::cloud().done(request("a"));
    let none = change(&given, 1);
    let other = sealed("a", r#"{"n":2}"#);
    let rows = [
        (
            RequestInstance { release: release("http://release/2"), ..request("a") },
            InstanceChanged { release: Some(release("http://release/2")), ..none.clone() },
        ),
        (
            RequestInstance {
                release: release("http://release/2"),
                software_type: software_type("x"),
                ..request("a")
            },
            InstanceChanged { software_type: Some(software_type("x")), ..none.clone() },
        ),
        (
            RequestInstance { instance_type: Some(InstanceType::Testing), ..request("a") },
            InstanceChanged {
                release: Some(release("http://release/1")),
                software_type: Some(software_type("default")),
                instance_type: Some(InstanceType::Testing),
                ..none.clone()
            },
        ),
        (
            RequestInstance { parameters: other.clone(), ..request("a") },
            InstanceChanged { parameters: Some(other.clone()), ..none.clone() },
        ),
        (
            RequestInstance { parameters: other.clone(), ..request_state("a", RequestedState::Stopped) },
            InstanceChanged {
                state: Some(RequestedState::Stopped),
                wish: Some(RequestedState::Stopped),
                ..none.clone()
            },
        ),
        (
            // Neither state nor purpose is said: they stay.
            request("a"),
            InstanceChanged { parameters: Some(sealed("a", "{}")), ..none.clone() },
        ),
        (
            destroy("a"),
            InstanceChanged {
                state: Some(RequestedState::Destroyed),
                wish: Some(RequestedState::Destroyed),
                ..none
            },
        ),
    ];
    for (command, expected) in rows {
        let when = given.when(command.clone()).then([changed(expected)]);
        given = when.answered(&answer(1, RequestOutcome::Changed, true)).and();
        given = given.when(command).then([]).and();
    }
}

#[test]
fn refusals_of_requests_in_order() {
    let full = || Given::cloud().done(request("a")).done(request("b"));
    let nowhere = |command: RequestInstance| RequestInstance { without_room: WithoutRoom::Refuse, ..command };
    let of_party_9 = RequestInstance { requester: Requester::Party(PartyId(9)), ..nowhere(destroy("c")) };
    let old_key = |command: RequestInstance| RequestInstance { parameters: sealed("a", "{}"), ..command };
    full()
        .when(of_party_9)
        .refused(InstanceRefusal::UnknownParty { party: PartyId(9) })
        .when(nowhere(RequestInstance { requester: Requester::Instance(InstanceId(9)), ..destroy("c") }))
        .refused(InstanceRefusal::UnknownInstance { instance: InstanceId(9) })
        .when(nowhere(RequestInstance { requester: Requester::Instance(InstanceId(0)), ..destroy("c") }))
        .refused(InstanceRefusal::UnknownInstance { instance: InstanceId(0) })
        .when(old_key(nowhere(destroy("c"))))
        .refused(InstanceRefusal::NothingToDestroy { reference: reference("c") })
        .when(old_key(nowhere(request("c"))))
        .refused(InstanceRefusal::OtherKey { reference: reference("c") })
        .when(nowhere(request("c")))
        .refused(InstanceRefusal::NoRoom { reference: reference("c") });
}

/// The edge seals before the writer decides: in between the instance may have come or gone. Values under a key
/// that is not its own would be lost with somebody else's.
#[test]
fn values_under_another_key_are_to_be_sealed_again() {
    let other = InstanceRefusal::OtherKey { reference: reference("a") };
    assert_eq!(Refusal::from(other.clone()).class(), RefusalClass::Retry);
    let came = RequestInstance { parameters: sealed("fresh", "{}"), ..request("a") };
    let given = Given::cloud().done(request("a")).when(came.clone()).refused(other.clone());
    let error =
        ReportInstance { error: Some(sealed("fresh", "e")), ..report("slappart0", ReportedState::Error) };
    let given = given.when(error).refused(other.clone());
    let given = given.when(connect("slappart0", sealed("fresh", "c"))).refused(other.clone());
    let given = gone(given, "a", "slappart0").when(request("a")).refused(other);
    given.when(came).answered(&answer(2, RequestOutcome::Created, true));
}

#[test]
fn without_room_a_request_waits_and_the_first_to_come_is_the_first_served() {
    let given = Given::nothing().done(register_party()).done(register_computer("COMP-1"));
    let alone = [requested(&given, 1, request("a"))];
    let given =
        given.when(request("a")).then(alone).answered(&answer(1, RequestOutcome::Created, false)).and();
    let there = RequestInstance { filter: on("COMP-1"), ..request("b") };
    let elsewhere = RequestInstance { filter: on("COMP-2"), ..request("elsewhere") };
    let given =
        given.done(elsewhere).done(there).done(request("c")).done(request("d")).at("2026-10-02T00:00:00Z");

    let allocations = [allocated(&given, 1, "slappart0"), allocated(&given, 3, "slappart1")];
    let when = given.when(configure("COMP-1", &["slappart0", "slappart1"]));
    assert_eq!(when.outcome().events[3..], allocations);
    let given = when.and();
    let given = given.when(request("a")).answered(&answer(1, RequestOutcome::Unchanged, true)).and();

    // A partition is freed.
    let given = given.done(destroy("b")).at("2026-10-03T00:00:00Z");
    let freed =
        [reported(&given, 3, ReportedState::Destroyed), ended(&given, 3), allocated(&given, 4, "slappart1")];
    let given = given.when(report("slappart1", ReportedState::Destroyed)).then(freed).and();

    // Another computer comes, for whom it names and for who is left.
    let given = given
        .done(register_computer("COMP-2"))
        .done(configure("COMP-2", &["slappart0", "slappart1", "slappart2"]));
    assert_eq!(place(&given, 2).as_deref(), Some("COMP-2 slappart0"));
    assert_eq!(place(&given, 5).as_deref(), Some("COMP-2 slappart1"));
    assert!(!given.project().instances.waiting.anybody());
}

#[test]
fn who_waits_can_give_up() {
    let given = Given::nothing().done(register_party()).done(register_computer("COMP-1"));
    let given = given.done(request("a")).done(RequestInstance { filter: on("COMP-1"), ..request("b") });
    let given_up = [destruction(&given, 1), ended(&given, 1)];
    let given =
        given.when(destroy("a")).then(given_up).answered(&answer(1, RequestOutcome::Changed, false)).and();
    let given = given.done(destroy("b"));
    assert!(!given.project().instances.waiting.anybody());
    let given = given.done(configure("COMP-1", &["slappart0"]));
    assert_eq!((place(&given, 1), place(&given, 2)), (None, None));
}

#[test]
fn the_filter_and_the_supply_say_where() {
    let computers = |given: Given| {
        let given =
            given.done(register_computer("COMP-2")).done(configure("COMP-2", &["slappart0", "slappart1"]));
        let release = release("http://release/1");
        given.done(SupplySoftware { computer: computer("COMP-2"), release, state: SupplyState::Available })
    };
    let check = |command: RequestInstance, expected: Option<&str>| {
        let given = computers(Given::cloud()).done(command.clone());
        assert_eq!(place(&given, 1).as_deref(), expected, "{command:?}");
    };
    check(request("a"), Some("COMP-2 slappart0"));
    check(RequestInstance { release: release("http://release/2"), ..request("a") }, Some("COMP-1 slappart0"));
    check(RequestInstance { filter: on("COMP-1"), ..request("a") }, Some("COMP-1 slappart0"));
    check(RequestInstance { filter: on("COMP-9"), ..request("a") }, None);
    check(
        RequestInstance { default_computer: Some(computer("COMP-1")), ..request("a") },
        Some("COMP-1 slappart0"),
    );
    let both =
        RequestInstance { default_computer: Some(computer("COMP-1")), filter: on("COMP-2"), ..request("a") };
    check(both, Some("COMP-2 slappart0"));

    // The computer that holds the release is full: another will do.
    let given = computers(Given::cloud()).done(request("a")).done(request("b")).done(request("c"));
    assert_eq!(place(&given, 3).as_deref(), Some("COMP-1 slappart0"));
}

#[test]
fn an_id_is_never_used_again_and_a_name_is() {
    let given = gone(Given::cloud().done(request("a")), "a", "slappart0").at("2026-10-02T00:00:00Z");
    let again = RequestInstance { parameters: sealed("a again", "{}"), ..request("a") };
    let given = given.when(again).answered(&answer(2, RequestOutcome::Created, true)).and();
    assert_eq!(place(&given, 2).as_deref(), Some("COMP-1 slappart0"));
    assert_eq!(given.project().instances.tenants("COMP-1", "slappart0"), [InstanceId(1), InstanceId(2)]);
    let past = given.project().instances.get(InstanceId(1)).and_then(|known| known.allocation.as_ref());
    let until = past.and_then(|allocation| allocation.until);
    assert_eq!(until, Some(crate::domain::given::at("2026-10-01T00:00:00Z")));
}

/// A freed partition made everybody who waits look at every computer: with a hundred thousand of them, every
/// instance that ended took minutes.
#[test]
fn many_who_wait_elsewhere_cost_nothing() {
    let mut given = Given::cloud().done(request("a")).done(request("b"));
    for n in 0..20_000 {
        let elsewhere = on(&format!("COMP-ELSEWHERE-{}", n % 100));
        given = given.done(RequestInstance { filter: elsewhere, ..request(&format!("waiting {n}")) });
    }
    let started = std::time::Instant::now();
    let mut tenant = "a".to_owned();
    for n in 0..2_000 {
        given = gone(given, &tenant, "slappart0");
        tenant = format!("tenant {n}");
        given = given.done(request(&tenant));
    }
    assert_eq!(given.project().instances.get(InstanceId(1)).map(|known| known.key), Some(key("a")));
    // Milliseconds, not minutes; a slow machine is no failure.
    assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
}
