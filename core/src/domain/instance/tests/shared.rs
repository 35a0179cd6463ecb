//! Shared instances and their hosts.

use super::*;

/// PARTY-1 asks for a shared instance.
fn shared(name: &str) -> RequestInstance {
    RequestInstance { shared: true, ..request(name) }
}

fn on_host(given: &Given, instance: u64, host: u64, name: &str) -> (Stream, Event) {
    let (computer, partition) = (computer("COMP-1"), partition(name));
    let (instance, host) = (InstanceId(instance), Some(InstanceId(host)));
    let event = InstanceAllocated { instance, computer, partition, host, at: given.now };
    (Stream::Instance(instance), Event::InstanceAllocated(event))
}

fn host_of(given: &Given, instance: u64) -> Option<u64> {
    let allocation = given.project().instances.get(InstanceId(instance))?.allocation.as_ref()?;
    allocation.host.map(|host| host.0)
}

fn guid(text: &str) -> Vec<(Box<str>, Box<str>)> {
    vec![("instance_guid".into(), text.into())]
}

/// A shared instance on the one in a partition.
fn place_of(name: &str, shared: u64) -> InstancePlace {
    InstancePlace { shared: Some(InstanceId(shared)), ..in_partition(name) }
}

/// SOFTINST-1 in slappart0, and SOFTINST-2 that lives on it.
fn hosted(given: Given) -> Given {
    given.done(request("host")).done(shared("s"))
}

fn both() -> [Given; 2] {
    [Given::cloud(), Given::master()]
}

#[test]
fn a_shared_instance_lives_on_one_that_runs_the_same() {
    for given in both() {
        let given = given.done(request("host"));
        let events = [requested(&given, 2, shared("s")), on_host(&given, 2, 1, "slappart0")];
        let created = answer(2, RequestOutcome::Created, true);
        let given = given.when(shared("s")).then(events).answered(&created).and();
        assert_eq!(place(&given, 2).as_deref(), Some("COMP-1 slappart0"));
        // It took no partition, and the one it lives on is not its own.
        let known = given.project().computers.get("COMP-1").expect("it is registered");
        assert_eq!(known.occupant(&partition("slappart0")), Some(InstanceId(1)));
        assert_eq!(known.free().count(), 1);
        assert_eq!(given.project().instances.tenants("COMP-1", "slappart0"), [InstanceId(1)]);
        let unchanged = answer(2, RequestOutcome::Unchanged, true);
        given.when(shared("s")).then([]).answered(&unchanged);
    }
}

#[test]
fn shared_instances_and_others_do_not_take_each_others_names() {
    for given in both() {
        let other = RequestInstance { parameters: sealed("other", "{}"), ..shared("a") };
        let given = given.done(request("a")).when(other.clone());
        let given = given.answered(&answer(2, RequestOutcome::Created, true)).and();
        given.when(request("a")).then([]).and().when(other).then([]);
    }
}

#[test]
fn without_a_host_it_is_refused_or_waits() {
    for given in both() {
        // It runs something else, or as something else.
        let given = given
            .done(RequestInstance { release: release("http://release/2"), ..request("a") })
            .done(RequestInstance { software_type: software_type("x"), ..request("b") });
        let refused = RequestInstance { without_room: WithoutRoom::Refuse, ..shared("s") };
        let given = given.when(refused).refused(InstanceRefusal::NoRoom { reference: reference("s") });
        let alone = [requested(&given, 3, shared("s"))];
        given.when(shared("s")).then(alone).answered(&answer(3, RequestOutcome::Created, false));
    }
}

#[test]
fn who_waits_for_a_host_gets_one_as_soon_as_there_is_one() {
    for given in both() {
        let later = RequestInstance { release: release("http://release/2"), ..request("later") };
        let given = given.done(shared("s")).done(shared("t")).done(later);
        assert_eq!(host_of(&given, 1), None);
        // It changes its release.
        let change = RequestInstance { parameters: sealed("later", "{}"), ..request("later") };
        let when = given.when(change.clone());
        let given = when.then_named(&["InstanceChanged", "InstanceAllocated", "InstanceAllocated"]).and();
        assert_eq!((host_of(&given, 1), host_of(&given, 2)), (Some(3), Some(3)));
    }
    for given in both() {
        // It comes.
        let given = given.done(shared("s"));
        let events = [
            requested(&given, 2, request("host")),
            allocated(&given, 2, "slappart0"),
            on_host(&given, 1, 2, "slappart0"),
        ];
        given.when(request("host")).then(events);
    }
    for given in both() {
        // It was to go, and is not any more.
        let given = given.done(request("host")).done(destroy("host")).done(shared("s"));
        assert_eq!(host_of(&given, 2), None);
        let given = given.done(request_state("host", RequestedState::Started));
        assert_eq!(host_of(&given, 2), Some(1));
    }
    for given in both() {
        // What it waits for changes.
        let given = given.done(request("host")).done(RequestInstance { filter: on("COMP-9"), ..shared("s") });
        assert_eq!(host_of(&given, 2), None);
        let given = given.when(shared("s")).then_named(&["InstanceChanged", "InstanceAllocated"]).and();
        assert_eq!(host_of(&given, 2), Some(1));
    }
}

#[test]
fn a_filter_names_the_host() {
    let rows = |given: fn() -> Given, expected: &[(&str, Option<u64>)]| {
        for (named, host) in expected {
            let given = given().done(request("a")).done(request("b"));
            let given = given.done(RequestInstance { filter: guid(named), ..shared("s") });
            assert_eq!(host_of(&given, 3), *host, "{named}");
        }
    };
    rows(
        Given::cloud,
        &[
            ("COMP-1-slappart1", Some(2)),
            ("slappart1", Some(2)),
            ("COMP-1-slappart9", None),
            ("COMP-1", None),
            ("COMP-1slappart1", None),
            ("SOFTINST-2", None),
        ],
    );
    rows(Given::master, &[("SOFTINST-1", Some(1)), ("SOFTINST-2", Some(2)), ("SOFTINST-9", None)]);
    for given in both() {
        let given = given.done(request("a")).done(RequestInstance { filter: on("COMP-2"), ..shared("s") });
        assert_eq!(host_of(&given, 2), None);
    }
    // A shared one is no host, and neither is itself.
    let given = Given::master().done(request("a")).done(shared("s"));
    let given = given.done(RequestInstance { filter: guid("SOFTINST-2"), ..shared("t") });
    assert_eq!(host_of(&given, 3), None);
}

#[test]
fn a_destroyed_one_ends_at_once_and_its_host_stays() {
    for given in both() {
        let given = hosted(given);
        let events = [destruction(&given, 2), ended(&given, 2)];
        let destroyed = RequestInstance { shared: true, ..destroy("s") };
        let changed = answer(2, RequestOutcome::Changed, true);
        let given = given.when(destroyed.clone()).then(events).answered(&changed).and();
        let nothing = InstanceRefusal::NothingToDestroy { reference: reference("s") };
        let given = given.when(destroyed).refused(nothing);
        assert_eq!(given.project().instances.shares(InstanceId(1)).count(), 0);
        let again = RequestInstance { parameters: sealed("s again", "{}"), ..shared("s") };
        given.when(again).answered(&answer(3, RequestOutcome::Created, true));
    }
    for given in both() {
        // One that waits, too.
        let given = given.done(shared("s"));
        let events = [destruction(&given, 1), ended(&given, 1)];
        let given = given.when(RequestInstance { shared: true, ..destroy("s") }).then(events).and();
        assert!(!given.project().instances.waiting.anybody());
    }
}

#[test]
fn those_on_a_host_end_with_it() {
    for given in both() {
        let given = hosted(given).done(shared("t")).done(destroy("host"));
        let events = [
            reported(&given, 1, ReportedState::Destroyed),
            ended(&given, 2),
            ended(&given, 3),
            ended(&given, 1),
        ];
        let given = given.when(report("slappart0", ReportedState::Destroyed)).then(events).and();
        let state = &given.project().instances;
        assert!(state.shares.is_empty() && state.running.is_empty());
    }
}

#[test]
fn what_is_said_of_a_shared_instance_is_kept_with_it() {
    for given in both() {
        let given = hosted(given).done(request("other"));
        let report = |name, state| ReportInstance { place: place_of(name, 2), state, error: None };
        let events = [reported(&given, 2, ReportedState::Error)];
        let given = given.when(report("slappart0", ReportedState::Error)).then(events).and();
        let given = given.when(report("slappart0", ReportedState::Error)).unchanged().and();
        let given = given
            .when(report("slappart0", ReportedState::Destroyed))
            .refused(InstanceRefusal::NotToBeDestroyed { instance: InstanceId(2) });

        let (connection, place) = (sealed("s", "url"), place_of("slappart0", 2));
        let event = ConnectionParametersSet {
            instance: InstanceId(2),
            connection: connection.clone(),
            at: given.now,
        };
        let set = SetConnectionParameters { place: place.clone(), connection };
        let given = given.when(set).then([(stream(2), Event::ConnectionParametersSet(event))]).and();
        // Under the key of its host it would be lost with that.
        let of_host = SetConnectionParameters { place: place.clone(), connection: sealed("host", "url") };
        let given = given.when(of_host).refused(InstanceRefusal::OtherKey { reference: reference("s") });

        let message = Some(sealed("s", "why"));
        let event = InstanceBanged {
            instance: InstanceId(2),
            root: InstanceId(2),
            message: message.clone(),
            at: given.now,
        };
        let bang = BangInstance { place: place.clone(), message };
        let given = given.when(bang).then([(stream(2), Event::InstanceBanged(event))]).and();
        let given = given
            .when(BangInstance { place: place.clone(), message: Some(sealed("host", "why")) })
            .refused(InstanceRefusal::OtherKey { reference: reference("s") });

        let renamed = InstanceRenamed { instance: InstanceId(2), reference: reference("z"), at: given.now };
        let rename = RenameInstance { place, reference: reference("z") };
        let given = given.when(rename).then([(stream(2), Event::InstanceRenamed(renamed))]).and();
        let renamed = RequestInstance { parameters: sealed("s", "{}"), ..shared("z") };
        let given = given.when(renamed).then([]).and();

        // Nobody but its host speaks of it.
        let elsewhere = InstanceRefusal::UnknownInstance { instance: InstanceId(2) };
        let given = given.when(report("slappart1", ReportedState::Started)).refused(elsewhere.clone());
        let place = place_of("slappart1", 2);
        let connection = sealed("s", "other");
        let set = SetConnectionParameters { place: place.clone(), connection };
        let given = given.when(set).refused(elsewhere.clone());
        let bang = BangInstance { place: place.clone(), message: None };
        let given = given.when(bang).refused(elsewhere.clone());
        given.when(RenameInstance { place, reference: reference("y") }).refused(elsewhere);
    }
}

#[test]
fn in_serve_a_shared_instance_needs_access_to_the_computer_of_its_host() {
    let of_other = RequestInstance { requester: Requester::Party(PartyId(2)), ..shared("s") };
    let given = Given::master().done(register_party()).done(request("host")).done(of_other.clone());
    assert_eq!(host_of(&given, 2), None);
    let given = given.done(scope(AllocationScope::Group(vec![PartyId(2)])));
    assert_eq!(host_of(&given, 2), Some(1));
    let given = Given::cloud().done(register_party()).done(request("host")).done(of_other);
    assert_eq!(host_of(&given, 2), Some(1));

    // Its own may be used on any computer, and the attributes of the computer count.
    let given = Given::master().done(request("host")).done(scope(AllocationScope::Closed)).done(shared("s"));
    assert_eq!(host_of(&given, 2), Some(1));
    let in_europe = vec![("region".into(), "europe".into())];
    let given = given.done(RequestInstance { filter: in_europe, ..shared("t") });
    assert_eq!(host_of(&given, 3), None);
    let given = given.done(describe("COMP-1", &[("region", "europe/france")]));
    assert_eq!(host_of(&given, 3), Some(1));
}

/// Capabilities are those of the host's partition.
#[test]
fn at_the_master_its_host_is_able() {
    let able = vec![("capability".into(), "gpu".into())];
    let given = Given::master().done(request("host")).done(RequestInstance { filter: able, ..shared("s") });
    assert_eq!(host_of(&given, 2), None);
    let mut command = configure("COMP-1", &["slappart0", "slappart1"]);
    command.offers[1].capabilities = vec!["gpu".into()];
    let given = given.done(command).done(request("able"));
    assert_eq!(host_of(&given, 2), Some(3));
}

/// Everybody who waited for a host looked at everybody who ran the release, whenever one came.
#[test]
fn many_hosts_and_many_who_wait_for_another_cost_little() {
    let partitions: Vec<_> = (0..2_000).map(|n| format!("slappart{n}")).collect();
    let partitions: Vec<_> = partitions.iter().map(String::as_str).collect();
    let mut given = Given::master().done(configure("COMP-1", &partitions));
    for n in 0..2_000 {
        let named = guid("SOFTINST-999999");
        given = given.done(RequestInstance { filter: named, ..shared(&format!("waiting {n}")) });
    }
    let started = std::time::Instant::now();
    for n in 0..2_000 {
        given = given.done(request(&format!("host {n}")));
    }
    assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
    assert_eq!(host_of(&given, 1), None);
}
