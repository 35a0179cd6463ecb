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
        place: Place { computer, partition: partition(name), shared: None },
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
            place: Place { computer: computer("COMP-9"), ..in_partition("slappart9") },
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
