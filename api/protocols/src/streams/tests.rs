use std::sync::Arc;

use slapledger_core::domain::event::{Event, Stream, WriterStarted};
use slapledger_core::domain::id::{CommandId, PartyId, ProjectId, Sequence};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::envelope::{Actor, Meta, RULES_VERSION, Recorded};

use super::groups::{EventGroup, ShownMembers};
use super::recent::RecentGroups;

fn meta() -> Arc<Meta> {
    Arc::new(Meta {
        project: ProjectId::DEFAULT,
        actor: Actor { credential: Some("secret".into()), ..Actor::system() },
        command: CommandId([0; 16]),
        named_by_sender: false,
        digest: [0; 16],
        causation: None,
        correlation: None,
        rules: RULES_VERSION,
    })
}

fn events(first: u64, count: u64, meta: &Arc<Meta>, stream: &Arc<Stream>) -> Vec<Recorded> {
    let event = |sequence| Recorded {
        sequence: Sequence(sequence),
        stream: Arc::clone(stream),
        stream_version: sequence,
        recorded_at: Timestamp::MIN,
        meta: Arc::clone(meta),
        event: Event::WriterStarted(WriterStarted { term: 1, program: "a\nb".into(), at: Timestamp::MIN }),
    };
    (first..first + count).map(event).collect()
}

fn group(first: u64, count: u64) -> EventGroup {
    EventGroup::new(&Arc::new(events(first, count, &meta(), &Arc::new(Stream::Ledger)))).expect("events")
}

#[test]
fn a_run_ends_where_the_command_or_the_stream_does() {
    let (one, other) = (meta(), meta());
    let [ledger, party] = [Stream::Ledger, Stream::Party(PartyId(1))].map(Arc::new);
    let all =
        [events(5, 2, &one, &ledger), events(7, 3, &one, &party), events(10, 1, &other, &party)].concat();
    let group = EventGroup::new(&Arc::new(all)).expect("events");
    assert_eq!((group.first, group.last, group.len()), (Sequence(5), Sequence(10), 6));
    let runs: Vec<_> = group.runs.iter().map(|run| (run.from, run.until, &*run.written)).collect();
    assert_eq!(runs, [(0, 2, "ledger"), (2, 5, "party/PARTY-1"), (5, 6, "party/PARTY-1")]);
    assert!(EventGroup::new(&Arc::default()).is_none());
}

#[test]
fn an_event_is_written_once_on_one_line_and_without_its_credential_for_those_who_see_their_own() {
    let group = group(1, 1);
    let events = group.events().expect("they are in memory");
    let whole = events.written(0, ShownMembers::Whole).expect("it is written");
    let text = std::str::from_utf8(&whole).expect("text");
    assert!(text.starts_with("id: 1\nevent: WriterStarted\ndata: {") && text.ends_with("}\n\n"), "{text}");
    assert_eq!(text.matches('\n').count(), 4, "{text}");
    assert!(text.contains("secret"));
    let again = events.written(0, ShownMembers::Whole).expect("it is written");
    assert_eq!(again.as_ptr(), whole.as_ptr());
    let own = events.written(0, ShownMembers::WithoutCredential).expect("it is written");
    assert!(!own.windows(6).any(|bytes| bytes == b"secret"));
}

#[test]
fn what_was_recorded_last_is_known_within_bounds_and_without_a_gap() {
    let mut recent = RecentGroups::default();
    recent.restart(Sequence(9));
    assert!(recent.group_after(Sequence(9)).is_none());
    for n in 0..40 {
        recent.push(group(10 + n * 1000, 1000));
    }
    let last = 10 + 40 * 1000 - 1;
    assert!(recent.group_after(Sequence(last)).is_none(), "it is the last one");
    let newest = recent.group_after(Sequence(last - 1)).expect("it is known");
    assert!(newest.events().is_some());
    // What is no longer in memory is still known, and read again when somebody needs it.
    let oldest = recent.group_after(Sequence(9)).expect("it is known");
    assert_eq!((oldest.first, oldest.runs.len()), (Sequence(10), 1));
    assert!(oldest.events().is_none());
    oldest.fill(Arc::new(events(10, 1000, &meta(), &Arc::new(Stream::Ledger))));
    recent.loaded(Arc::clone(&oldest));
    assert!(oldest.events().is_some());
    for n in 1..=4 {
        let group = recent.group_after(Sequence(9 + n * 1000)).expect("it is known");
        group.fill(Arc::new(events(10 + n * 1000, 1000, &meta(), &Arc::new(Stream::Ledger))));
        recent.loaded(group);
    }
    assert!(oldest.events().is_none(), "others were read since");
    // A group that does not follow: what came before it is not taken for its neighbour.
    recent.push(group(last + 100, 5));
    assert!(recent.group_after(Sequence(last - 1)).is_none());
    assert!(recent.group_after(Sequence(last + 99)).is_some());
}

#[test]
fn runs_are_bounded_too() {
    let mut recent = RecentGroups::default();
    recent.restart(Sequence::ZERO);
    let ledger = Arc::new(Stream::Ledger);
    let mut first = 1;
    for _ in 0..20 {
        let group: Vec<Recorded> = (0..4096).flat_map(|n| events(first + n, 1, &meta(), &ledger)).collect();
        recent.push(EventGroup::new(&Arc::new(group)).expect("events"));
        first += 4096;
    }
    assert!(recent.group_after(Sequence(0)).is_none(), "the oldest are let go of");
    assert!(recent.group_after(Sequence(first - 60_000)).is_some());
}
