use super::*;
use slapledger_core::log::frame::pack;
use slapledger_core::log::memory::MemoryStore;
use slapledger_core::log::merkle::Tree;
use slapledger_core::log::merkle::proof::{check_consistency, check_inclusion};
use slapledger_core::log::store::Appended;

/// A log of so many events, and its end.
fn log(events: u64) -> (Arc<dyn EventStore>, Head) {
    let store = MemoryStore::new();
    let term = store.acquire().expect("a term");
    let mut tree = Tree::new();
    for first in (0..events).step_by(100) {
        let before = Sequence(tree.size());
        let leaves: Vec<Vec<u8>> =
            (first..events.min(first + 100)).map(|n| n.to_be_bytes().to_vec()).collect();
        let frames = pack(&mut tree, &leaves).expect("small events");
        assert_eq!(store.append(term, before, &frames), Appended::Durable);
    }
    let head = store.head().expect("read");
    (Arc::new(store), head)
}

#[test]
fn proofs_are_about_the_log_as_it_was_and_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, head) = log(1000);
    let notary = Notary::new([1; 16], Arc::clone(&store), Some(folder.path()));
    let proof = notary.inclusion(Sequence(300), 700, head).expect("read").expect("it is in it");
    assert_eq!(check_inclusion((299, proof.leaf), (700, proof.root), &proof.path), Ok(()));
    let proof = notary.consistency(700, 1000, head).expect("read").expect("it continues");
    assert_eq!(check_consistency((700, proof.before), (1000, proof.after), &proof.path), Ok(()));
    assert_eq!(proof.after, head.root);
    for (sequence, size) in [(0, 10), (11, 10), (1, 1001)] {
        assert_eq!(notary.inclusion(Sequence(sequence), size, head).expect("read"), None);
    }
    assert_eq!(notary.consistency(3, 2, head).expect("read"), None);
    let path = folder.path().join("tiles");
    assert_eq!(std::fs::metadata(&path).expect("it is kept").len(), 8 + 3 * 32);

    // What was kept is compared with the log before it is believed: changed, of a longer log, or of another one.
    let kept = std::fs::read(&path).expect("read");
    let mut changed = kept.clone();
    changed[10] ^= 1;
    for (bytes, events) in [(&changed, 1000), (&changed, 1100), (&kept, 600), (&kept, 1000)] {
        std::fs::write(&path, bytes).expect("write");
        let (store, head) = log(events);
        let notary = Notary::new([1; 16], store, Some(folder.path()));
        let proof = notary.consistency(256, events, head).expect("read").expect("it continues");
        let (before, after) = ((256, proof.before), (events, proof.after));
        assert_eq!(check_consistency(before, after, &proof.path), Ok(()), "{events}");
        assert_eq!(proof.after, head.root, "{events}");
        let known = std::fs::metadata(&path).expect("it is kept").len();
        assert_eq!(known, 8 + events / 256 * 32, "{events}");
    }
}
