//! Witnesses that are slow, silent or set back, and what is kept of those that cosigned.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};

use slapledger_core::log::cosigning::{
    CosignedTree, CosigningRefusal, CosigningRequest, check_continues, check_signed,
};
use slapledger_core::log::frame::pack;
use slapledger_core::log::memory::MemoryStore;
use slapledger_core::log::merkle::Tree;
use slapledger_core::log::note::{SignatureKind, Signer, Verifier};
use slapledger_core::log::store::{Appended, EventStore as _};

use super::*;
use crate::kept_checkpoints::KeptCheckpoints;
use crate::witnesses::WitnessAnswer;

/// A witness that decides as `slapledger witness` does.
struct FakeWitness {
    signer: Signer,
    log: Verifier,
    known: Mutex<CosignedTree>,
    is_down: AtomicBool,
    asked: Mutex<u32>,
}

impl WitnessLink for FakeWitness {
    fn key(&self) -> &Verifier {
        self.signer.verifier()
    }

    fn add_checkpoint(&self, body: &str) -> Result<WitnessAnswer, String> {
        *self.asked.lock() += 1;
        if self.is_down.load(Ordering::Relaxed) {
            return Err("connection refused".to_owned());
        }
        let request = CosigningRequest::parse(body).expect("a request");
        let checkpoint = check_signed(&request, std::slice::from_ref(&self.log)).expect("it is signed");
        let mut known = self.known.lock();
        Ok(match check_continues(&request, &checkpoint, *known) {
            Ok(()) => {
                *known = CosignedTree { size: checkpoint.size, root: checkpoint.root };
                WitnessAnswer { status: 200, body: format!("{}\n", self.signer.sign(request.note.text(), 7)) }
            }
            Err(CosigningRefusal::OtherSize { known, .. }) => {
                WitnessAnswer { status: 409, body: format!("{known}\n") }
            }
            Err(refusal) => WitnessAnswer { status: 422, body: refusal.to_string() },
        })
    }
}

/// A witness that takes a request and never answers.
struct SilentWitness {
    key: Verifier,
    released: Mutex<Receiver<()>>,
}

impl WitnessLink for SilentWitness {
    fn key(&self) -> &Verifier {
        &self.key
    }

    fn add_checkpoint(&self, _: &str) -> Result<WitnessAnswer, String> {
        let _ = self.released.lock().recv();
        Err("it was silent".to_owned())
    }
}

struct World {
    store: Arc<MemoryStore>,
    tree: Tree,
    notary: Arc<Notary>,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let (store, folder) = (Arc::new(MemoryStore::new()), tempfile::tempdir().expect("a folder"));
        let kept = KeptCheckpoints::open(folder.path(), true);
        let notary = Notary::new([1; 16], Arc::clone(&store) as _, None).with_kept(kept);
        let signer = Signer::new(notary.origin(), SignatureKind::Log, &[1; 32]).expect("a key");
        notary.take_signer(signer);
        Self { store, tree: Tree::new(), notary: Arc::new(notary), folder }
    }

    fn grow(&mut self, events: u8) -> Head {
        let term = self.store.acquire().expect("a term");
        let before = slapledger_core::domain::id::Sequence(self.tree.size());
        let leaves: Vec<Vec<u8>> = (0..events).map(|leaf| vec![leaf]).collect();
        let frames = pack(&mut self.tree, &leaves).expect("small events");
        assert_eq!(self.store.append(term, before, &frames), Appended::Durable);
        self.store.head().expect("read")
    }

    fn witness(&self, name: &str) -> Arc<FakeWitness> {
        let signer = Signer::new(name, SignatureKind::Cosignature, &[9; 32]).expect("a key");
        let log = Signer::new(self.notary.origin(), SignatureKind::Log, &[1; 32]).expect("a key");
        Arc::new(FakeWitness {
            signer,
            log: log.verifier().clone(),
            known: Mutex::new(CosignedTree::EMPTY),
            is_down: AtomicBool::new(false),
            asked: Mutex::new(0),
        })
    }

    fn publishing(&self, witnesses: Vec<Arc<dyn WitnessLink>>) -> Publishing {
        let options = PublishingOptions { interval: Duration::from_secs(10), witnesses };
        Publishing::new(&self.notary, options)
    }

    /// Who signed the newest checkpoint that is on the disk, beside the log.
    fn cosigners(&self) -> Vec<String> {
        let kept = KeptCheckpoints::open(self.folder.path(), false);
        let newest = kept.newest(false).expect("one is kept");
        let names = newest.note.signatures().iter().map(|signature| signature.name.to_string());
        names.filter(|name| **name != *self.notary.origin()).collect()
    }
}

#[test]
fn a_silent_witness_delays_no_other_one_and_no_stop() {
    let mut world = World::new();
    let head = world.grow(9);
    let (release, released) = channel();
    let silent = Signer::new("silent.example", SignatureKind::Cosignature, &[2; 32]).expect("a key");
    let silent = SilentWitness { key: silent.verifier().clone(), released: Mutex::new(released) };
    let other = world.witness("w.example");
    let publishing = world.publishing(vec![Arc::new(silent), Arc::clone(&other) as _]);
    std::thread::scope(|scope| {
        let publish = scope.spawn(|| publishing.publish(head));
        let until = Instant::now() + Duration::from_secs(60);
        while other.known.lock().size < 9 {
            assert!(Instant::now() < until, "the other witness is not asked");
            std::thread::sleep(Duration::from_millis(5));
        }
        let stopped = Instant::now();
        publishing.stop();
        assert_eq!(publish.join().expect("it ends"), Ok(()));
        assert!(stopped.elapsed() < Duration::from_secs(10), "it waits for the silent witness");
    });
    drop(release);
}

#[test]
fn who_cosigned_is_kept_while_others_are_asked_again() {
    let mut world = World::new();
    let head = world.grow(9);
    let (one, other) = (world.witness("one.example"), world.witness("other.example"));
    let publishing = world.publishing(vec![Arc::clone(&one) as _, Arc::clone(&other) as _]);
    other.is_down.store(true, Ordering::Relaxed);
    assert_eq!(publishing.publish(head), Ok(()));
    assert_eq!(world.cosigners(), ["one.example"]);
    let fault = publishing.fault().expect("one is missing");
    assert!(fault.contains("other.example does not cosign: connection refused"), "{fault}");
    // Later the first one is down, and was needed no more.
    one.is_down.store(true, Ordering::Relaxed);
    other.is_down.store(false, Ordering::Relaxed);
    assert_eq!(publishing.publish(head), Ok(()));
    assert_eq!(world.cosigners(), ["one.example", "other.example"]);
    assert_eq!((publishing.fault(), *one.asked.lock()), (None, 1));
}

#[test]
fn the_size_that_a_witness_cosigned_is_known_after_a_restart() {
    let mut world = World::new();
    let head = world.grow(9);
    let witness = world.witness("w.example");
    assert_eq!(world.publishing(vec![Arc::clone(&witness) as _]).publish(head), Ok(()));
    assert_eq!(*witness.asked.lock(), 1);
    let head = world.grow(3);
    assert_eq!(world.publishing(vec![Arc::clone(&witness) as _]).publish(head), Ok(()));
    assert_eq!(*witness.asked.lock(), 2, "it is asked from the size that it knows");
    // One that was set back cosigns again, from what it knows.
    *witness.known.lock() = CosignedTree::EMPTY;
    let head = world.grow(3);
    assert_eq!(world.publishing(vec![Arc::clone(&witness) as _]).publish(head), Ok(()));
    assert_eq!((*witness.asked.lock(), witness.known.lock().size), (4, 15));
    // A log that lost events is told so without being sent.
    let publishing = world.publishing(vec![Arc::clone(&witness) as _]);
    let mut shorter = World::new();
    let head = shorter.grow(4);
    assert_eq!(publishing.publish(head), Ok(()));
    let fault = publishing.fault().expect("events are missing");
    assert!(fault.contains("it has cosigned 15 events, this log has 4"), "{fault}");
}
