//! What is exported is read back: whole, a part, one project; and a changed byte is found.

use std::sync::Arc;

use super::*;
use crate::domain::event::{Event, LedgerCreated, Mode, Stream};
use crate::domain::id::{CommandId, PartyId};
use crate::domain::party::PartyTimeZoneSet;
use crate::domain::time::Timestamp;
use crate::log::envelope::{Actor, Meta, Recorded};
use crate::log::frame::pack;
use crate::log::memory::MemoryStore;
use crate::log::merkle::Tree;
use crate::log::store::{Appended, EventStore};

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).expect("an instant")
}

fn meta(project: u64) -> Arc<Meta> {
    Arc::new(Meta {
        project: ProjectId(project),
        actor: Actor::system(),
        command: CommandId([0; 16]),
        named_by_sender: false,
        digest: [0; 16],
        causation: None,
        correlation: None,
        rules: 1,
    })
}

fn zone_set(party: PartyId) -> (Stream, Event) {
    let zone = "UTC".parse().expect("a zone");
    let set = PartyTimeZoneSet { party, time_zone: zone, from: at(0), at: at(0) };
    (Stream::Party(party), Event::PartyTimeZoneSet(set))
}

/// A log of so many events: the first creates it, then each is of one of two projects, in runs of seven.
fn log(events: u64) -> MemoryStore {
    let store = MemoryStore::new();
    let term = store.acquire().expect("a term");
    let recorded = (1..=events).map(|n| {
        let (stream, event) = if n == 1 {
            let created =
                LedgerCreated { ledger: [1; 16], format: 1, mode: Mode::Demo, key_ring: [2; 16], at: at(0) };
            (Stream::Ledger, Event::LedgerCreated(created))
        } else {
            zone_set(PartyId(n))
        };
        let project = if n / 7 % 2 == 0 { 1 } else { 2 };
        let recorded = Recorded {
            sequence: Sequence(n),
            stream: Arc::new(stream),
            stream_version: 1,
            recorded_at: at(0),
            meta: meta(project),
            event,
        };
        recorded.encode()
    });
    let recorded: Vec<Vec<u8>> = recorded.collect();
    let frames = pack(&mut Tree::new(), &recorded).expect("they fit");
    assert_eq!(store.append(term, Sequence::ZERO, &frames), Appended::Durable);
    store
}

fn written(store: &dyn EventStore, range: ExportRange) -> (Vec<u8>, ExportSummary) {
    let mut file = Vec::new();
    let wish = ExportWish { range, note: Some("a note\n") };
    let summary = export(store, &wish, &mut file, &mut |_| ()).expect("it is written");
    (file, summary)
}

fn read_all(file: &[u8]) -> Result<Vec<ExportedEvent>, ExportFault> {
    let mut reader = ExportReader::open(file)?;
    let mut found = Vec::new();
    while let Some(event) = reader.next_event()? {
        found.push(event);
    }
    assert_eq!(reader.note(), Some("a note\n"));
    Ok(found)
}

#[test]
fn a_whole_log_becomes_one_with_the_same_root() {
    let store = log(1000);
    let range = ExportRange { after: Sequence::ZERO, last: Sequence(1000), project: None };
    let (file, summary) = written(&store, range);
    assert_eq!((summary.events, summary.hidden), (1000, 0));
    let copy = MemoryStore::new();
    let mut reader = ExportReader::open(&*file).expect("an export");
    let head = import(&mut reader, &copy, &mut |_| ()).expect("it is imported");
    assert_eq!(Ok(head), store.head().map_err(|_| ()));
    assert_eq!(summary.root, head.root);
}

#[test]
fn a_part_and_a_project_come_to_the_same_root() {
    let store = log(100);
    for after in [0, 1, 6, 7, 8, 31, 32, 33, 99, 100] {
        for last in [after, 64, 99, 100].into_iter().filter(|last| *last >= after) {
            for project in [None, Some(ProjectId(1)), Some(ProjectId(2))] {
                let range = ExportRange { after: Sequence(after), last: Sequence(last), project };
                let (file, summary) = written(&store, range);
                let events = read_all(&file).unwrap_or_else(|fault| panic!("{range:?}: {fault}"));
                assert_eq!(events.len() as u64, summary.events, "{range:?}");
                assert_eq!(summary.events + summary.hidden, last - after, "{range:?}");
                if project == Some(ProjectId(2)) {
                    let theirs = events.iter().filter(|event| event.sequence.0 > 1);
                    assert!(theirs.clone().all(|event| event.sequence.0 / 7 % 2 == 1), "{range:?}");
                }
                let whole = range.is_whole();
                let mut reader = ExportReader::open(&*file).expect("an export");
                let imported = import(&mut reader, &MemoryStore::new(), &mut |_| ());
                assert_eq!(imported.is_ok(), whole, "{range:?}");
            }
        }
    }
    let beyond = ExportRange { after: Sequence(0), last: Sequence(101), project: None };
    let wish = ExportWish { range: beyond, note: None };
    assert!(matches!(
        export(&store, &wish, Vec::new(), &mut |_| ()),
        Err(ExportFault::Range { last: Sequence(100), .. })
    ));
}

#[test]
fn what_is_changed_is_found() {
    let store = log(50);
    let range = ExportRange { after: Sequence::ZERO, last: Sequence(50), project: None };
    let (file, _) = written(&store, range);
    let events = read_all(&file).expect("an export");
    let (mut harmless, mut found) = (0, 0);
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0x40;
        // A few bits of zstd change nothing of what is read, such as how much memory a reader may need.
        match read_all(&changed) {
            Ok(read) => {
                assert_eq!(read, events, "byte {at}");
                harmless += 1;
            }
            Err(_) => found += 1,
        }
    }
    assert!(harmless * 20 < found, "{harmless} of {found}");
    for length in 0..file.len() {
        let fault = read_all(&file[..length]).expect_err("it is cut short");
        let is_told =
            matches!(fault, ExportFault::NotAnExport) || fault.to_string().contains("in the middle");
        assert!(is_told, "{length} bytes: {fault}");
    }
    // Compressed anew, a changed event gives another root.
    let plain = zstd::decode_all(&*file).expect("it is zstd");
    let mut changed = plain.clone();
    let byte = changed.len() / 2;
    changed[byte] ^= 1;
    let again = zstd::encode_all(&*changed, 1).expect("it is compressed");
    assert!(read_all(&again).is_err());
    let mut newer = plain;
    newer[7] = 9;
    let newer = zstd::encode_all(&*newer, 1).expect("it is compressed");
    assert!(matches!(read_all(&newer), Err(ExportFault::Newer { version: 9 })));
}

/// A file that comes to its own root may still hold no events: whoever made it chose the root.
#[test]
fn what_is_no_event_is_not_imported() {
    let of = |leaves: &[Vec<u8>]| {
        let mut tree = Tree::new();
        for leaf in leaves {
            tree.push(leaf);
        }
        let mut file = MAGIC.to_vec();
        for number in [0, leaves.len() as u64, 0] {
            file.extend(number.to_be_bytes());
        }
        file.extend(tree.root().0);
        for leaf in leaves {
            file.push(EVENT);
            file.extend(u16::try_from(leaf.len()).expect("short").to_be_bytes());
            file.extend(leaf);
        }
        file.extend([END, 0, 0, 0, 0]);
        let file = zstd::encode_all(&*file, 1).expect("it is compressed");
        let mut reader = ExportReader::open(&*file).expect("an export");
        import(&mut reader, &MemoryStore::new(), &mut |_| ()).map(|head| head.last)
    };
    let stored: Vec<Vec<u8>> = {
        let range = ExportRange { after: Sequence::ZERO, last: Sequence(20), project: None };
        let (file, _) = written(&log(20), range);
        read_all(&file).expect("an export").into_iter().map(|event| event.bytes).collect()
    };
    assert!(matches!(of(&stored), Ok(Sequence(20))));
    let zeros = [stored[0].clone(), vec![0; 60_000]];
    assert!(matches!(of(&zeros), Err(ExportFault::Event { sequence: Sequence(2), .. })));
    let (stream, event) = zone_set(PartyId(1));
    let first = Recorded {
        sequence: Sequence(1),
        stream: Arc::new(stream),
        stream_version: 1,
        recorded_at: at(0),
        meta: meta(1),
        event,
    };
    let other = of(&[first.encode()]).expect_err("nothing creates a ledger");
    assert!(matches!(other, ExportFault::Damaged { after: Sequence::ZERO, .. }), "{other:?}");
}
