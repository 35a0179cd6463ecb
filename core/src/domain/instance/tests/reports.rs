//! What nodes and instances say.

use super::*;

#[test]
fn a_node_says_in_which_state_an_instance_is() {
    let given = Given::cloud().done(request("a"));
    let started = [reported(&given, 1, ReportedState::Started)];
    let given = given.when(report("slappart0", ReportedState::Started)).then(started.clone()).and();
    let mut given = given.when(report("slappart0", ReportedState::Started)).unchanged().and();
    for text in ["first", "second"] {
        let error =
            ReportInstance { error: Some(sealed("a", text)), ..report("slappart0", ReportedState::Error) };
        given = given
            .when(error.clone())
            .then_named(&["InstanceStateReported"])
            .and()
            .when(error)
            .unchanged()
            .and();
    }
    given.when(report("slappart0", ReportedState::Started)).then(started);
}

#[test]
fn a_node_says_how_an_instance_is_reached() {
    let given = Given::cloud().done(request("a"));
    let connection = sealed("a", "https://[::1]/");
    let event =
        ConnectionParametersSet { instance: InstanceId(1), connection: connection.clone(), at: given.now };
    given
        .when(connect("slappart0", connection.clone()))
        .then([(stream(1), Event::ConnectionParametersSet(event))])
        .and()
        .when(connect("slappart0", Sealed { nonce: [9; 24], ..connection }))
        .unchanged()
        .and()
        .when(connect("slappart0", sealed("a", "https://[::2]/")))
        .then_named(&["ConnectionParametersSet"]);
}

#[test]
fn refusals_of_reports_in_order() {
    let (at, free) = (computer("COMP-1"), partition("slappart1"));
    let elsewhere = UnknownComputer { computer: computer("COMP-9") };
    let state = |computer, name| ReportInstance {
        place: InstancePlace { computer, partition: partition(name), shared: None },
        error: Some(sealed("fresh", "e")),
        state: ReportedState::Destroyed,
    };
    let unknown =
        InstanceRefusal::UnknownPartition { computer: at.clone(), partition: partition("slappart9") };
    let nobody = InstanceRefusal::PartitionFree { computer: at.clone(), partition: free };
    Given::master()
        .done(request("a"))
        .when(state(computer("COMP-9"), "slappart9"))
        .refused(InstanceRefusal::UnknownComputer(elsewhere.clone()))
        .when(state(at.clone(), "slappart9"))
        .refused(unknown.clone())
        .when(state(at.clone(), "slappart1"))
        .refused(nobody.clone())
        .when(state(at, "slappart0"))
        .refused(InstanceRefusal::OtherKey { reference: reference("a") })
        .when(report("slappart0", ReportedState::Destroyed))
        .refused(InstanceRefusal::NotToBeDestroyed { instance: InstanceId(1) })
        .when(SetConnectionParameters {
            place: InstancePlace { computer: computer("COMP-9"), ..in_partition("slappart9") },
            connection: sealed("fresh", "c"),
        })
        .refused(InstanceRefusal::UnknownComputer(elsewhere))
        .when(connect("slappart9", sealed("fresh", "c")))
        .refused(unknown)
        .when(connect("slappart1", sealed("fresh", "c")))
        .refused(nobody);
}

#[test]
fn destruction_can_be_taken_back_until_it_happened() {
    let given = Given::master().done(request("a")).done(destroy("a"));
    let given = given.when(request("a")).answered(&answer(1, RequestOutcome::Unchanged, true)).and();
    let given = given.done(request_state("a", RequestedState::Started));
    given
        .when(report("slappart0", ReportedState::Destroyed))
        .refused(InstanceRefusal::NotToBeDestroyed { instance: InstanceId(1) });
}

/// slapos proxy frees whatever its node says is gone.
#[test]
fn at_slapos_proxy_what_the_node_says_is_gone_is_gone() {
    let given = Given::cloud().done(request("a"));
    let events = [reported(&given, 1, ReportedState::Destroyed), ended(&given, 1)];
    given.when(report("slappart0", ReportedState::Destroyed)).then(events);
}

#[test]
fn an_instance_bangs_for_its_whole_tree() {
    for given in [Given::cloud(), Given::master()] {
        let given = given.done(request("a")).done(request_from(1, "b"));
        let bang = |message| BangInstance { place: in_partition("slappart1"), message };
        let event = |message| {
            let (instance, root, at) = (InstanceId(2), InstanceId(1), given.now);
            (stream(2), Event::InstanceBanged(InstanceBanged { instance, root, message, at }))
        };
        let message = Some(sealed("b", "why"));
        let (first, second) = (event(message.clone()), event(None));
        // Every one counts: the tree is processed once more.
        let given = given.when(bang(message.clone())).then([first.clone()]).and();
        let given = given.when(bang(message)).then([first]).and().when(bang(None)).then([second]).and();
        given
            .when(bang(Some(sealed("a", "why"))))
            .refused(InstanceRefusal::OtherKey { reference: reference("b") });
    }
}

#[test]
fn an_instance_goes_by_another_name() {
    for given in [Given::cloud(), Given::master()] {
        let rename = |name| RenameInstance { place: in_partition("slappart0"), reference: reference(name) };
        let given = given.done(request("a")).done(request("b"));
        let taken = InstanceRefusal::NameTaken { reference: reference("b") };
        assert_eq!(Refusal::from(taken.clone()).class(), RefusalClass::Conflict);
        assert_eq!(Refusal::from(taken.clone()).field(), Some("new_name"));
        let given = given.when(rename("b")).refused(taken).when(rename("a")).unchanged().and();
        let event = InstanceRenamed { instance: InstanceId(1), reference: reference("z"), at: given.now };
        let given = given.when(rename("z")).then([(stream(1), Event::InstanceRenamed(event))]).and();
        // It is the same one by its new name, and its old one is free.
        let same = RequestInstance { parameters: sealed("a", "{}"), ..request("z") };
        let given = given.when(same).answered(&answer(1, RequestOutcome::Unchanged, true)).and();
        let fresh = RequestInstance { parameters: sealed("fresh", "{}"), ..request("a") };
        let given = given.when(fresh).answered(&answer(3, RequestOutcome::Created, false)).and();
        let gone = RequestInstance { parameters: sealed("a", "{}"), ..destroy("z") };
        let given = given.done(gone).done(report("slappart0", ReportedState::Destroyed));
        assert_eq!(given.project().instances.names.len(), 2);
    }
}

#[test]
fn refusals_of_bangs_and_names_in_order() {
    let elsewhere = UnknownComputer { computer: computer("COMP-9") };
    let at = |name, place| InstancePlace { computer: computer(name), ..in_partition(place) };
    let unknown =
        InstanceRefusal::UnknownPartition { computer: computer("COMP-1"), partition: partition("slappart9") };
    let free =
        InstanceRefusal::PartitionFree { computer: computer("COMP-1"), partition: partition("slappart1") };
    let rows = [
        (at("COMP-9", "slappart0"), InstanceRefusal::UnknownComputer(elsewhere)),
        (at("COMP-1", "slappart9"), unknown),
        (at("COMP-1", "slappart1"), free),
    ];
    for (place, refusal) in rows {
        let given = Given::master().done(request("a"));
        let bang = BangInstance { place: place.clone(), message: Some(sealed("other", "why")) };
        let given = given.when(bang).refused(refusal.clone());
        given.when(RenameInstance { place, reference: reference("a") }).refused(refusal);
    }
}
