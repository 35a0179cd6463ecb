use slapledger_core::domain::Command;
use slapledger_core::domain::event::{Event, WriterStarted};
use slapledger_core::domain::usage::RecordUsage;

use super::*;
use crate::slap::SlapViews;
use crate::testing::{Everything, Story, at, computer, fold, recorded, report, request};

fn of_project(project: u64, event: &Recorded) -> Recorded {
    let meta = slapledger_core::log::envelope::Meta { project: ProjectId(project), ..(*event.meta).clone() };
    Recorded { meta: meta.into(), ..event.clone() }
}

fn ids<V: View>(projects: &Projects<V>) -> Vec<u64> {
    projects.ids().map(|id| id.0).collect()
}

#[test]
fn a_project_is_here_from_its_first_event_on() {
    let story = Story::begin();
    let mut projects = Projects::<Everything>::default();
    let none = projects.of(ProjectId(2)).snapshot();
    assert_eq!((none, ids(&projects)), (Everything::default().snapshot(), vec![]), "to look changes nothing");
    for project in [5, 2, 9, 2] {
        projects.apply(&of_project(project, &story.events[0]));
    }
    assert_eq!(ids(&projects), [2, 5, 9]);
}

/// Whatever command it is of.
#[test]
fn what_is_of_the_ledger_is_in_the_default_project() {
    let started = WriterStarted { term: 1, program: "a test".into(), at: at("2026-10-01T00:00:00Z") };
    let now = started.at;
    let event = recorded(1, (Stream::Ledger, 1), Event::WriterStarted(started), now);
    let projects: Projects<Everything> = fold(&[of_project(7, &event)]);
    assert_eq!(ids(&projects), [1]);
}

#[test]
fn names_and_numbers_mean_what_they_mean_in_their_project() {
    let mut story = Story::begin();
    let instance = story.request(request(
        slapledger_core::domain::instance::Requester::Party(slapledger_core::domain::id::PartyId(1)),
        "one",
    ));
    let (all, without): (Vec<_>, Vec<_>) = (
        story.events.iter().map(|event| of_project(2, event)).collect(),
        Story::begin().events.iter().map(|event| of_project(3, event)).collect(),
    );
    let projects: Projects<Everything> = fold(&[all, without].concat());
    let knows = |project: u64| projects.of(ProjectId(project)).instances.get(instance).is_some();
    assert_eq!([1, 2, 3].map(knows), [false, true, false]);
    let computers = |project: u64| projects.of(ProjectId(project)).inventory.iter().count();
    assert_eq!([1, 2, 3].map(computers), [0, 2, 2]);
}

/// A view that does not look at usage is not shown it when it is rebuilt, and is the same.
#[test]
fn usage_alone_brings_no_project_to_those_who_do_not_look_at_it() {
    let mut story = Story::begin();
    story.passes(7_200_000_000);
    let hour = ("2026-10-01T00:00:00Z", "2026-10-01T01:00:00Z");
    let reports = vec![report("1", "COMP-1", "1", hour)];
    story.then(Command::RecordUsage(RecordUsage { computer: computer("COMP-1"), reports }));
    let last = story.events.last().expect("it was recorded");
    assert_eq!(last.event.name(), "UsageRecorded");
    let usage = of_project(2, last);
    assert_eq!(ids(&fold::<Projects<SlapViews>>(std::slice::from_ref(&usage))), [0; 0]);
    assert_eq!(ids(&fold::<Projects<Everything>>(&[usage])), [2]);
}

/// One line for each projection, whatever projects there are; and the same bytes however they came about.
#[test]
fn a_digest_is_of_all_projects() {
    let story = Story::begin();
    let events = |project| story.events.iter().map(|event| of_project(project, event)).collect::<Vec<_>>();
    let parts = |projects: &[u64]| {
        let events = projects.iter().flat_map(|project| events(*project)).collect::<Vec<_>>();
        fold::<Projects<Everything>>(&events).parts()
    };
    let names: Vec<_> = parts(&[1, 2]).iter().map(|part| part.name).collect();
    assert_eq!(names, Everything::default().parts().iter().map(|part| part.name).collect::<Vec<_>>());
    assert_eq!(parts(&[1, 2]), parts(&[2, 1]));
    for other in [&[1][..], &[2], &[1, 3], &[1, 2, 3], &[]] {
        for (part, of_other) in parts(&[1, 2]).iter().zip(parts(other)) {
            assert_ne!(part.digest, of_other.digest, "{} of {other:?}", part.name);
        }
    }
}

#[test]
fn bytes_that_are_no_projects_are_none() {
    let story = Story::begin();
    let all: Vec<_> =
        [1, 2].iter().flat_map(|id| story.events.iter().map(|event| of_project(*id, event))).collect();
    let bytes = fold::<Projects<Everything>>(&all).snapshot();
    assert!(Projects::<Everything>::restore(&bytes).is_some());
    let mut wrong_order = bytes.clone();
    // The id of the first one stands behind their number.
    assert_eq!(wrong_order[..2], [2, 1]);
    wrong_order[1] = 2;
    for wrong in [wrong_order, bytes[..bytes.len() - 1].to_vec(), [bytes.clone(), vec![0]].concat()] {
        assert!(Projects::<Everything>::restore(&wrong).is_none());
    }
}
