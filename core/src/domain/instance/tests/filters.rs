//! Where an instance may be: filters of requests.

use super::*;
use crate::domain::id::SoftwareRelease;
use crate::domain::instance::filter::{ATTRIBUTES, FOR_THE_NODE};

fn filter(pairs: &[(&str, &str)]) -> Vec<(Box<str>, Box<str>)> {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

fn filtered(name: &str, pairs: &[(&str, &str)]) -> RequestInstance {
    RequestInstance { filter: filter(pairs), ..request(name) }
}

/// COMP-1, and COMP-2 with these attributes.
fn two(attributes: &[(&str, &str)]) -> Given {
    let given = Given::master().done(register_computer("COMP-2"));
    given.done(configure("COMP-2", &["slappart0", "slappart1"])).done(describe("COMP-2", attributes))
}

fn computer_of(given: &Given, instance: u64) -> Option<String> {
    let allocation = given.project().instances.get(InstanceId(instance))?.allocation.as_ref()?;
    Some(allocation.computer.to_string())
}

#[test]
fn every_attribute_is_asked_of_the_computer() {
    for key in ATTRIBUTES {
        let given = two(&[(key, "x")]).done(filtered("a", &[(key, "x")])).done(filtered("b", &[(key, "y")]));
        assert_eq!(computer_of(&given, 1).as_deref(), Some("COMP-2"), "{key}");
        assert_eq!(computer_of(&given, 2), None, "{key}");
        // slapos proxy does not look.
        let given = Given::cloud().done(filtered("a", &[(key, "y")]));
        assert_eq!(computer_of(&given, 1).as_deref(), Some("COMP-1"), "{key}");
    }
    let both = [("region", "europe"), ("cpu_core", "4")];
    let given = two(&both).done(filtered("a", &both)).done(filtered("b", &[both[0], ("cpu_core", "8")]));
    assert_eq!((computer_of(&given, 1).as_deref(), computer_of(&given, 2)), (Some("COMP-2"), None));
}

#[test]
fn a_region_is_in_a_larger_one() {
    let rows = [
        ("europe/france", "europe", true),
        ("europe/france", "europe/france", true),
        ("europe", "europe/france", false),
        ("europeland", "europe", false),
        ("europe/france", "france", false),
    ];
    for (is, asked, fits) in rows {
        let given = two(&[("region", is)]).done(filtered("a", &[("region", asked)]));
        assert_eq!(computer_of(&given, 1).is_some(), fits, "{asked} in {is}");
    }
}

#[test]
fn keys_for_the_node_say_nothing_of_the_place() {
    let values = ["3", "on", "10.0.0.0/8", ""];
    for (key, value) in FOR_THE_NODE.into_iter().zip(values) {
        let given = Given::master().done(filtered("a", &[(key, value)]));
        assert_eq!(computer_of(&given, 1).as_deref(), Some("COMP-1"), "{key}");
    }
}

#[test]
fn at_the_master_what_a_filter_cannot_mean_is_refused() {
    let bad = |key: &str, rule| InstanceRefusal::BadFilter { key: key.into(), rule };
    let empty = "must not be empty";
    let days = "must be a number of days";
    let rows = [
        ("nonsense", "x", InstanceRefusal::UnknownFilter { key: "nonsense".into() }),
        ("master_url", "x", InstanceRefusal::UnknownFilter { key: "master_url".into() }),
        ("mode", "anything", bad("mode", "must be unique_by_network")),
        ("retention_delay", "a week", bad("retention_delay", days)),
        ("retention_delay", "", bad("retention_delay", days)),
        ("retention_delay", "1.", bad("retention_delay", days)),
        ("retention_delay", "-1", bad("retention_delay", days)),
        ("fw_restricted_access", "maybe", bad("fw_restricted_access", "must be on or off")),
        ("computer_guid", "", bad("computer_guid", empty)),
        ("capability", "", bad("capability", empty)),
        ("region", "", bad("region", empty)),
        (
            "instance_guid",
            "SOFTINST-1",
            bad("instance_guid", "names the host of a shared instance, and this one is not shared"),
        ),
    ];
    for (key, value, refusal) in rows {
        assert_eq!(Refusal::from(refusal.clone()).class(), RefusalClass::Invalid);
        assert_eq!(Refusal::from(refusal.clone()).field(), Some("filter"));
        let wrong = filtered("a", &[(key, value)]);
        let given = Given::master().when(wrong.clone()).refused(refusal.clone());
        given.done(request("a")).when(wrong.clone()).refused(refusal);
        // slapos proxy takes it without a word; it looks at the computer alone.
        let given = Given::cloud().done(wrong);
        assert_eq!(computer_of(&given, 1).is_some(), key != "computer_guid", "{key}");
    }
    let host = RequestInstance { shared: true, ..filtered("a", &[("instance_guid", "COMP-1-slappart0")]) };
    let refusal = bad("instance_guid", "must look like SOFTINST-1");
    Given::master().when(host.clone()).refused(refusal);
    Given::cloud().when(host).answered(&answer(1, RequestOutcome::Created, false));
    let half_a_day = filtered("a", &[("retention_delay", "0.5")]);
    Given::master().when(half_a_day).answered(&answer(1, RequestOutcome::Created, true));
}

/// Clients keep filters in maps: the order in which one comes means nothing.
#[test]
fn a_filter_in_another_order_is_the_same() {
    let pairs = [("region", "europe"), ("cpu_core", "4")];
    let given = two(&pairs).done(filtered("a", &pairs));
    let unchanged = answer(1, RequestOutcome::Unchanged, true);
    given.when(filtered("a", &[pairs[1], pairs[0]])).then([]).answered(&unchanged);
}

#[test]
fn a_changed_filter_gives_room_to_who_waits_and_moves_nobody() {
    for master in [true, false] {
        let given = if master { Given::master() } else { Given::cloud() };
        let given = given.done(RequestInstance { filter: on("COMP-9"), ..request("a") });
        assert_eq!(computer_of(&given, 1), None);
        let event = InstanceChanged { filter: Some(Vec::new()), ..change(&given, 1) };
        let events = [changed(event), allocated(&given, 1, "slappart0")];
        let given = given.when(request("a")).then(events).and();
        // It has its place: the master keeps what is wished now, slapos proxy forgets it.
        let elsewhere = RequestInstance { filter: on("COMP-9"), ..request("a") };
        let event = InstanceChanged { filter: Some(on("COMP-9")), ..change(&given, 1) };
        let expected: Vec<_> = master.then(|| changed(event)).into_iter().collect();
        let given = given.when(elsewhere).then(expected).and();
        assert_eq!(computer_of(&given, 1).as_deref(), Some("COMP-1"));
    }
}

#[test]
fn a_partition_is_able_to_do_what_is_asked_of_it() {
    let mut command = configure("COMP-1", &["slappart0", "slappart1"]);
    command.offers[1].capabilities = vec!["gpu".into(), "tap".into()];
    let asked = filtered("a", &[("capability", "gpu")]);
    let given = Given::master().done(command.clone()).done(asked.clone());
    assert_eq!(place(&given, 1).as_deref(), Some("COMP-1 slappart1"));
    let given =
        given.done(filtered("b", &[("capability", "gpu")])).done(filtered("c", &[("capability", "x")]));
    assert_eq!((place(&given, 2), place(&given, 3)), (None, None));
    // Another becomes able.
    command.offers[0].capabilities = vec!["gpu".into()];
    let given = given.done(command);
    assert_eq!(place(&given, 2).as_deref(), Some("COMP-1 slappart0"));
    let given = Given::cloud().done(asked);
    assert_eq!(place(&given, 1).as_deref(), Some("COMP-1 slappart0"));
}

const SPREAD: [(&str, &str); 1] = [("mode", "unique_by_network")];

fn spread_from(parent: u64, name: &str) -> RequestInstance {
    RequestInstance { filter: filter(&SPREAD), ..request_from(parent, name) }
}

#[test]
fn a_tree_is_spread_over_networks() {
    let given = Given::master().done(request("root")).done(spread_from(1, "b")).done(spread_from(1, "c"));
    assert_eq!((computer_of(&given, 2), computer_of(&given, 3)), (None, None));
    // Another computer is a network of its own; of those who wait one gets there.
    let given =
        given.done(register_computer("COMP-2")).done(configure("COMP-2", &["slappart0", "slappart1"]));
    assert_eq!((computer_of(&given, 2).as_deref(), computer_of(&given, 3)), (Some("COMP-2"), None));
    // Two computers of one network are one place, and both come in the same moment.
    let given = given.done(spread_from(1, "d")).done(register_computer("COMP-3"));
    let given = given.done(register_computer("COMP-4")).done(describe("COMP-3", &[("network_guid", "n")]));
    let given = given.done(describe("COMP-4", &[("network_guid", "n")]));
    let given = given.done(configure("COMP-3", &["p"])).done(configure("COMP-4", &["p"]));
    assert_eq!((computer_of(&given, 3).as_deref(), computer_of(&given, 4)), (Some("COMP-3"), None));
    // slapos proxy does not spread.
    let given = Given::cloud().done(request("root")).done(spread_from(1, "b"));
    assert_eq!(computer_of(&given, 2).as_deref(), Some("COMP-1"));
}

/// Two computers of one network had room in the same moment, and each got an instance of the tree.
#[test]
fn a_tree_is_spread_when_much_comes_at_once() {
    let given = Given::master().done(request("root"));
    let given = given.done(spread_from(1, "b")).done(spread_from(1, "c"));
    let given = given.done(register_computer("COMP-2")).done(register_computer("COMP-3"));
    let state = &given.state;
    let offer = |name: &str| {
        let offer = crate::domain::given::offer("p");
        Event::PartitionOffered(PartitionOffered { computer: computer(name), offer, at: given.now })
    };
    let events = [offer("COMP-2"), offer("COMP-3")];
    let describe = |name: &str| {
        let attributes = filter(&[("network_guid", "n")]);
        let (computer, title) = (computer(name), None);
        Event::ComputerDescribed(ComputerDescribed { computer, title, attributes, at: given.now })
    };
    let mut copy = State::restore(&state.snapshot(), crate::domain::given::state().seen).expect("restored");
    for event in [describe("COMP-2"), describe("COMP-3")].iter().chain(&events) {
        copy.evolve((ProjectId::DEFAULT, None), &Stream::Ledger, event, given.next());
    }
    let allocations = {
        let (now, next) = (given.now, given.next());
        let context = crate::domain::Context { now, next, project: ProjectId::DEFAULT };
        copy.consequences(&context, events.iter())
    };
    assert_eq!(allocations.len(), 1, "{allocations:?}");
}

/// Where the mode is not that of a master, a second of a tree was passed over, and nobody looked at it again.
#[test]
fn where_nothing_is_spread_nobody_is_passed_over() {
    let given = Given::cloud().done(request("root")).done(request("other"));
    let given = given.done(spread_from(1, "b")).done(spread_from(1, "c"));
    let given = given.done(configure("COMP-1", &["slappart0", "slappart1", "slappart2", "slappart3"]));
    assert_eq!(place(&given, 3).as_deref(), Some("COMP-1 slappart2"));
    assert_eq!(place(&given, 4).as_deref(), Some("COMP-1 slappart3"));
}

/// A tree left a network by an instance that ended on another computer, or by a computer that moved, and those
/// who waited for that network were forgotten.
#[test]
fn a_network_that_a_tree_left_is_free_for_it() {
    let in_n = |name: &str| describe(name, &[("network_guid", "n")]);
    let given = Given::master().done(register_computer("COMP-2")).done(in_n("COMP-1")).done(in_n("COMP-2"));
    let given = given.done(configure("COMP-2", &["p0", "p1"]));
    let elsewhere = RequestInstance { filter: on("COMP-2"), ..request("root") };
    let given = given.done(elsewhere).done(RequestInstance { filter: on("COMP-1"), ..request_from(1, "b") });
    let given = given.done(configure("COMP-2", &["p0"])).done(spread_from(1, "c"));
    assert_eq!(computer_of(&given, 3), None);
    let moved = given.done(describe("COMP-2", &[("network_guid", "m")]));
    assert_eq!(computer_of(&moved, 3), None, "b is still in n");
    let gone = RequestInstance { state: Some(RequestedState::Destroyed), ..request_from(1, "b") };
    let given = moved.done(gone).done(report("slappart0", ReportedState::Destroyed));
    assert_eq!(computer_of(&given, 3).as_deref(), Some("COMP-1"));

    // The one that ends is on another computer than the one that has room.
    let on_and_spread = |name: &str, at: &str| RequestInstance {
        filter: filter(&[("computer_guid", at), SPREAD[0]]),
        ..request_from(1, name)
    };
    let given = Given::master().done(register_computer("COMP-2")).done(register_computer("COMP-3"));
    let given = given.done(in_n("COMP-1")).done(in_n("COMP-3")).done(configure("COMP-2", &["p0"]));
    let given = given.done(configure("COMP-3", &["p0"]));
    let given = given.done(RequestInstance { filter: on("COMP-2"), ..request("root") });
    let given = given.done(on_and_spread("b", "COMP-1")).done(on_and_spread("c", "COMP-3"));
    assert_eq!(computer_of(&given, 3), None);
    let gone = RequestInstance { state: Some(RequestedState::Destroyed), ..on_and_spread("b", "COMP-1") };
    let given = given.done(gone).done(report("slappart0", ReportedState::Destroyed));
    assert_eq!(computer_of(&given, 3).as_deref(), Some("COMP-3"));
}

/// A host on COMP-1, one on COMP-2, and a tree whose root is on COMP-3, all in networks of their own.
fn hosts() -> Given {
    let mut given = Given::master();
    for name in ["COMP-2", "COMP-3"] {
        given = given.done(register_computer(name)).done(configure(name, &["p0"]));
    }
    for (name, at) in [("host", "COMP-1"), ("other host", "COMP-2")] {
        given = given.done(RequestInstance { filter: on(at), ..request(name) });
    }
    let release = SoftwareRelease::new("http://example.com/root.cfg").expect("a release");
    given.done(RequestInstance { filter: on("COMP-3"), release, ..request("root") })
}

fn shared_and_spread(name: &str) -> RequestInstance {
    RequestInstance { shared: true, ..spread_from(3, name) }
}

/// A host was taken for a shared instance whatever network it was in.
#[test]
fn shared_instances_of_a_tree_are_spread_over_networks() {
    let given =
        hosts().done(shared_and_spread("a")).done(shared_and_spread("b")).done(shared_and_spread("c"));
    assert_eq!(computer_of(&given, 4).as_deref(), Some("COMP-1"));
    assert_eq!(computer_of(&given, 5).as_deref(), Some("COMP-2"));
    assert_eq!(computer_of(&given, 6), None, "the tree is in both networks");
    // Those that have partitions are not where shared ones are either.
    let given = given.done(spread_from(3, "d"));
    assert_eq!(computer_of(&given, 7), None);
    // Whom it lives on is named, and is in such a network.
    let mut named = shared_and_spread("e");
    named.filter.extend(filter(&[("instance_guid", "SOFTINST-1")]));
    assert_eq!(computer_of(&given.done(named), 8), None);
    // Who does not ask for it goes anywhere; and slapos proxy does not spread.
    let anywhere = RequestInstance { filter: Vec::new(), ..shared_and_spread("e") };
    assert_eq!(
        computer_of(&hosts().done(shared_and_spread("a")).done(anywhere), 5).as_deref(),
        Some("COMP-1")
    );
    let given =
        Given::cloud().done(request("root")).done(RequestInstance { shared: true, ..spread_from(1, "a") });
    assert_eq!(computer_of(&given, 2).as_deref(), Some("COMP-1"));
}

#[test]
fn shared_instances_that_wait_for_a_network_get_one_that_their_tree_left() {
    let waits =
        hosts().done(shared_and_spread("a")).done(shared_and_spread("b")).done(shared_and_spread("c"));
    assert_eq!(computer_of(&waits, 6), None);
    // One of its tree ends.
    let gone = RequestInstance { state: Some(RequestedState::Destroyed), ..shared_and_spread("b") };
    let given = waits.done(gone);
    assert_eq!(computer_of(&given, 6).as_deref(), Some("COMP-2"));
    // A computer moves to another network, and both of its hosts are there: one of two gets there.
    let given = hosts().done(describe("COMP-1", &[("network_guid", "n")]));
    let given = given.done(describe("COMP-2", &[("network_guid", "n")]));
    let given = given.done(shared_and_spread("a")).done(shared_and_spread("b")).done(shared_and_spread("c"));
    assert_eq!((computer_of(&given, 5), computer_of(&given, 6)), (None, None));
    let given = given.done(describe("COMP-2", &[("network_guid", "m")]));
    assert_eq!((computer_of(&given, 5).as_deref(), computer_of(&given, 6)), (Some("COMP-2"), None));
}
