use std::path::Path;

use slapledger_core::domain::Command;
use slapledger_core::domain::computer::RegisterComputer;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, PartyId};
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::time::TimeZone;
use slapledger_core::log::envelope::Actor;
use slapledger_projections::{View, ViewPart};

use super::*;
use crate::clock::ManualClock;
use crate::{Engine, Open, accepted, unwatched};

fn share(of: u64) -> RatingShare {
    RatingShare { project: ProjectId::DEFAULT, party: of.to_string().into() }
}

fn instant(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect(text)
}

/// A ledger with an event in each of some hours.
fn engine(data: &Path, hours: u32) -> Engine {
    let clock = Arc::new(ManualClock::new(instant("2026-10-05T00:00:00Z")));
    let told = Arc::clone(&clock);
    let engine = Engine::open(Open {
        data,
        mode: Mode::Proxy,
        clock: told,
        master_key: None,
        progress: &unwatched,
        accept: &accepted,
    });
    let engine = engine.expect("a new folder");
    for hour in 1..=hours {
        clock.set(instant(&format!("2026-10-05T{hour:02}:00:00Z")));
        let command = if hour == 1 {
            let key = engine.keys.fresh().expect("a key");
            let name = engine.keys.seal(key, b"somebody").expect("sealed");
            Command::RegisterParty(RegisterParty { name, time_zone: TimeZone::UTC, description: None })
        } else {
            Command::RegisterComputer(RegisterComputer {
                computer: ComputerId::new(&format!("COMP-{hour}")).expect("an id"),
                owner: PartyId(1),
                time_zone: TimeZone::UTC,
            })
        };
        engine.submit_own(ProjectId::DEFAULT, Actor::system(), command).expect("it is carried out");
    }
    engine
}

/// The views of an event, which are not there yet.
fn derived(engine: &Engine, at: Sequence) -> Arc<PastViews> {
    let Ok(FoundPast::Absent(_, work)) = engine.past.find(at, &share(1)) else { panic!("{at} is there") };
    work.run(&**engine.ledger.store());
    let Ok(FoundPast::Kept(views)) = engine.past.find(at, &share(1)) else { panic!("{at} is not there") };
    views
}

fn parts(views: &PastViews) -> Vec<ViewPart> {
    [views.slap.parts(), views.billing.parts(), views.access.parts()].concat()
}

fn rebuilt<V: View>(engine: &Engine, at: Sequence) -> Vec<ViewPart> {
    let mut view = V::default();
    let store = &**engine.ledger.store();
    replay(store, &mut view, (Sequence::ZERO, at), |_| ()).expect("a log that can be read");
    view.parts()
}

#[test]
fn the_past_is_what_the_log_gives_up_to_an_event_from_the_nearest_or_from_the_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(folder.path(), 12);
    let head = engine.ledger.head().last;
    // Later ones first: those before them begin at the first event, those between at an earlier one.
    for at in [head.0, 3, head.0 - 2, 1, 7] {
        let at = Sequence(at);
        let views = derived(&engine, at);
        let expected = [
            rebuilt::<Projects<SlapViews>>(&engine, at),
            rebuilt::<Projects<BillingView>>(&engine, at),
            rebuilt::<AccessView>(&engine, at),
        ];
        assert_eq!(parts(&views), expected.concat(), "as of {at}");
        assert_eq!(views.at, at);
    }
    // Few are kept, those that were used last.
    assert!(matches!(engine.past.find(head, &share(1)), Ok(FoundPast::Absent(..))));
    assert!(matches!(engine.past.find(Sequence(7), &share(1)), Ok(FoundPast::Kept(_))));
    engine.shut_down().expect("nothing failed");
}

#[test]
fn the_last_event_before_an_instant_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(folder.path(), 9);
    let (store, head) = (&**engine.ledger.store(), engine.ledger.head().last);
    let time = |at: u64| recorded_at(store, Sequence(at)).expect("an event");
    let before = |at| last_before(store, at, head).expect("a log that can be read");
    for at in 1..=head.0 {
        let expected = (1..=head.0).rfind(|other| time(*other) < time(at)).unwrap_or(0);
        assert_eq!(before(time(at)), Sequence(expected), "{at}");
    }
    assert_eq!(before(time(head.0).plus_micros(1)), head);
    assert!(matches!(recorded_at(store, Sequence(head.0 + 1)), Err(ReplayFault::Short { .. })));
    engine.shut_down().expect("nothing failed");
}

#[test]
fn work_that_is_not_done_tells_those_who_wait_and_more_than_enough_is_refused() {
    let cache = PastCache::default();
    let mut works = Vec::new();
    for at in 1..=MOST_DERIVED as u64 {
        let found = cache.find(Sequence(at), &share(at / 2));
        let Ok(FoundPast::Absent(progress, work)) = found else { panic!("{at}") };
        works.push((progress, work));
    }
    assert!(matches!(cache.find(Sequence(99), &share(99)), Err(PastFault::Busy)));
    let Ok(FoundPast::Derived(mut waiting)) = cache.find(Sequence(1), &share(99)) else {
        panic!("it is derived")
    };
    works.clear();
    let told = waiting.finished();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    assert_eq!(runtime.block_on(told).err(), Some(PastFault::Busy));
    assert!(matches!(cache.find(Sequence(99), &share(99)), Ok(FoundPast::Absent(..))));
}

#[test]
fn one_sender_does_not_take_what_is_for_all() {
    let cache = PastCache::default();
    let asked = |at, of| cache.find(Sequence(at), &share(of));
    let works: Vec<_> = (1..=MOST_DERIVED_OF_ONE as u64).map(|at| asked(at, 1)).collect();
    assert!(works.iter().all(|found| matches!(found, Ok(FoundPast::Absent(..)))));
    assert!(matches!(asked(9, 1), Err(PastFault::Busy)));
    assert!(matches!(asked(9, 2), Ok(FoundPast::Absent(..))));
}

#[test]
fn new_views_stay_until_their_reader_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(folder.path(), 9);
    let work = |at| match engine.past.find(Sequence(at), &share(at)) {
        Ok(FoundPast::Absent(_, work)) => work.run(&**engine.ledger.store()),
        _ => panic!("{at} is there"),
    };
    (1..=MOST_NEW as u64).for_each(work);
    assert!((1..=MOST_NEW as u64).all(|at| engine.past.kept(Sequence(at)).is_some()));
    // They were read: the next one takes their places.
    work(7);
    let kept = (1..=7).filter(|at| engine.past.kept(Sequence(*at)).is_some()).count();
    assert_eq!(kept, MOST_KEPT);
    engine.shut_down().expect("nothing failed");
}

#[test]
fn one_caller_forgets_what_is_idle_until_nothing_is_left() {
    let cache = PastCache::default();
    assert!(cache.begin_forgetting());
    assert!(!cache.begin_forgetting(), "there is one");
    assert!(cache.forget_idle(), "nothing is kept");
    assert!(cache.begin_forgetting());
}
