use slapledger_core::domain::Command;
use slapledger_core::domain::id::{ComputerId, InstanceId, PartitionId, PartyId, SoftwareType};
use slapledger_core::domain::instance::{
    InstancePlace, InstanceType, ReportInstance, ReportedState, RequestInstance, RequestedState, Requester,
    SetConnectionParameters, WithoutRoom,
};

use super::InstanceFilter;
use crate::testing::{Story, computer, configure, offer, partition, release, request, sealed};

const PARTY: Requester = Requester::Party(PartyId(1));

fn on(place: &str) -> (ComputerId, PartitionId) {
    (computer("COMP-1"), partition(place))
}

fn says(place: &str, state: ReportedState, error: Option<u8>) -> Command {
    let (computer, partition) = on(place);
    Command::ReportInstance(ReportInstance {
        place: InstancePlace::new(computer, partition),
        state,
        error: error.map(sealed),
    })
}

fn connects(place: &str, content: u8) -> Command {
    let (computer, partition) = on(place);
    let connection = sealed(content);
    Command::SetConnectionParameters(SetConnectionParameters {
        place: InstancePlace::new(computer, partition),
        connection,
    })
}

/// SOFTINST-1 in slappart0, and SOFTINST-2 in slappart1, which it requested.
fn tree() -> Story {
    let mut story = Story::begin();
    assert_eq!(story.request(request(PARTY, "parent")), InstanceId(1));
    assert_eq!(story.request(request(Requester::Instance(InstanceId(1)), "child")), InstanceId(2));
    story.passes(1_000_000);
    story
}

/// Which timestamps move with which command, and to when.
#[test]
fn timestamps_move_with_what_must_reach_the_node() {
    let parent = request(PARTY, "parent");
    let child = request(Requester::Instance(InstanceId(1)), "child");
    let changed = |change: fn(&mut RequestInstance)| {
        let mut wish = parent.clone();
        change(&mut wish);
        Command::RequestInstance(wish)
    };
    let offers =
        |address| configure("COMP-1", vec![offer("slappart0", address), offer("slappart1", "10.0.1.1")]);
    let user = || {
        let mut other = offer("slappart0", "10.0.1.0");
        other.user = Some("somebody".into());
        configure("COMP-1", vec![other, offer("slappart1", "10.0.1.1")])
    };
    let rows: [(&str, Command, &[u64]); 17] = [
        ("nothing new", Command::RequestInstance(parent.clone()), &[]),
        ("release", changed(|wish| wish.release = release("http://example.com/two.cfg")), &[1]),
        (
            "software type",
            changed(|wish| wish.software_type = SoftwareType::new("other").expect("a type")),
            &[1],
        ),
        ("parameters", changed(|wish| wish.parameters = sealed(7)), &[1]),
        ("stopped", changed(|wish| wish.state = Some(RequestedState::Stopped)), &[1]),
        ("destroyed", changed(|wish| wish.state = Some(RequestedState::Destroyed)), &[1]),
        ("purpose", changed(|wish| wish.instance_type = Some(InstanceType::Testing)), &[]),
        (
            "child's parameters",
            Command::RequestInstance(RequestInstance { parameters: sealed(7), ..child }),
            &[2],
        ),
        (
            "another child",
            Command::RequestInstance(request(Requester::Instance(InstanceId(2)), "other")),
            &[],
        ),
        ("state reported", says("slappart0", ReportedState::Started, None), &[]),
        ("error reported", says("slappart0", ReportedState::Error, Some(1)), &[]),
        ("own connection", connects("slappart0", 1), &[]),
        ("child's connection", connects("slappart1", 1), &[1]),
        ("address", offers("10.0.9.9"), &[1]),
        ("same address", offers("10.0.1.0"), &[]),
        ("unix user", user(), &[]),
        // Its requester may request it again.
        ("withdrawn", configure("COMP-1", vec![offer("slappart1", "10.0.1.1")]), &[2]),
    ];
    for (name, command, moved) in rows {
        let mut story = tree();
        let before: Vec<_> = story.view.instances.iter().map(|known| known.changed_at).collect();
        story.then(command);
        for (known, before) in story.view.instances.iter().zip(before) {
            let expected = if moved.contains(&known.id.0) { story.now } else { before };
            assert_eq!(known.changed_at, expected, "{name}: {}", known.id);
        }
    }
}

#[test]
fn two_changes_in_a_microsecond_are_two_timestamps() {
    let mut story = tree();
    let mut wish = request(PARTY, "parent");
    for content in 1..=3 {
        wish.parameters = sealed(content);
        story.then(Command::RequestInstance(wish.clone()));
        let parent = story.view.instances.get(InstanceId(1)).expect("the parent");
        assert_eq!(parent.changed_at, story.now.plus_micros(i64::from(content) - 1));
    }
}

#[test]
fn a_timestamp_begins_with_the_allocation() {
    let mut story = tree();
    for name in ["third", "fourth"] {
        story.request(request(PARTY, name));
    }
    let waiting = story.request(request(PARTY, "waiting"));
    let requested_at = story.now;
    story.passes(5);
    story.then(Command::RequestInstance(RequestInstance {
        parameters: sealed(3),
        ..request(PARTY, "waiting")
    }));
    let known = story.view.instances.get(waiting).expect("it waits");
    assert!(known.waits());
    assert_eq!((known.changed_at, known.requested_at), (requested_at, requested_at));
    story.passes(5);
    let more = ["slappart0", "slappart1", "slappart2"].map(|name| offer(name, "10.0.1.0")).to_vec();
    story.then(configure("COMP-2", more));
    let known = story.view.instances.get(waiting).expect("it is allocated");
    assert_eq!(known.changed_at, story.now);
    assert_eq!(known.allocation.as_ref().map(|place| place.from), Some(story.now));
    let there = story.view.instances.occupant("COMP-2", "slappart2").map(|known| known.id);
    assert_eq!(there, Some(waiting));
}

#[test]
fn names_belong_to_the_requester_or_the_tree_and_to_the_living() {
    let mut story = tree();
    let found = |story: &Story, by, name| story.view.instances.find(by, false, name).map(|known| known.id.0);
    let (parent, child) = (Requester::Instance(InstanceId(1)), Requester::Instance(InstanceId(2)));
    assert_eq!(found(&story, PARTY, "parent"), Some(1));
    assert_eq!(found(&story, PARTY, "child"), None);
    assert_eq!(found(&story, parent, "child"), Some(2));
    assert_eq!(found(&story, child, "child"), Some(2));
    assert_eq!(found(&story, Requester::Instance(InstanceId(9)), "child"), None);
    let same_name = story.request(request(PARTY, "child"));
    assert_eq!(found(&story, PARTY, "child"), Some(same_name.0));

    let gone = RequestInstance { state: Some(RequestedState::Destroyed), ..request(child, "child") };
    story.then(Command::RequestInstance(gone));
    assert_eq!(found(&story, parent, "child"), Some(2));
    story.then(says("slappart1", ReportedState::Destroyed, None));
    assert_eq!(found(&story, parent, "child"), None);
    assert_eq!(story.view.instances.occupant("COMP-1", "slappart1"), None);
    let ended = story.view.instances.get(InstanceId(2)).expect("it is remembered");
    assert_eq!((ended.lives(), ended.ended_at), (false, Some(story.now)));
    assert_eq!(ended.allocation.as_ref().and_then(|place| place.until), Some(story.now));
    assert_eq!(story.view.instances.children(InstanceId(1)).count(), 1);
    let again = story.request(request(parent, "child"));
    assert_eq!((found(&story, parent, "child"), again), (Some(4), InstanceId(4)));
    let here: Vec<_> =
        story.view.instances.on_computer("COMP-1").map(|(at, known)| (at.as_str(), known.id.0)).collect();
    assert_eq!(here, [("slappart0", 1), ("slappart1", 4)]);
}

#[test]
fn lists_are_filtered_and_paged() {
    let mut story = Story::begin();
    for n in 0..4 {
        let mut wish = request(PARTY, &format!("instance {n}"));
        wish.without_room = WithoutRoom::Wait;
        wish.instance_type = (n % 2 == 1).then_some(InstanceType::Testing);
        story.request(wish);
    }
    let all = InstanceFilter::default();
    let ids = |filter: &InstanceFilter<'_>, after: Option<u64>, limit| {
        let page = story.view.instances.list(filter, |_| true, after.map(InstanceId), limit);
        (page.items.iter().map(|known| known.id.0).collect::<Vec<_>>(), page.next.map(|id| id.0))
    };
    assert_eq!(ids(&all, None, 3), (vec![1, 2, 3], Some(3)));
    assert_eq!(ids(&all, Some(3), 3), (vec![4], None));
    assert_eq!(ids(&all, None, 4), (vec![1, 2, 3, 4], None));
    let owned = InstanceFilter { owner: Some(PartyId(1)), ..all };
    assert_eq!(ids(&owned, Some(1), 2), (vec![2, 3], Some(3)));
    assert_eq!(ids(&InstanceFilter { owner: Some(PartyId(2)), ..all }, None, 9), (vec![], None));
    assert_eq!(ids(&InstanceFilter { computer: Some("COMP-2"), ..all }, None, 9), (vec![3, 4], None));
    let testing = InstanceFilter { instance_type: Some(InstanceType::Testing), ..all };
    assert_eq!(ids(&testing, None, 1), (vec![2], Some(2)));
    assert_eq!(ids(&testing, Some(2), 1), (vec![4], None));
    assert_eq!(ids(&InstanceFilter { reference: Some("instance 2"), ..all }, None, 9), (vec![3], None));
    assert_eq!(ids(&InstanceFilter { lives: Some(false), ..all }, None, 9), (vec![], None));
}
