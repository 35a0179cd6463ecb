//! Sealed epochs of a ledger that goes on writing, in another folder.

use std::fs;
use std::time::{Duration, Instant};

use slapledger_core::domain::Command;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{KeyId, ProjectId};
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::sealed::Sealed;
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::domain::usage::{MemoryIndex, SeenIndex};
use slapledger_core::ledger::{Ledger, LedgerOptions, Submission};
use slapledger_core::log::envelope::{Actor, Meta, RULES_VERSION};
use slapledger_core::log::sled_store;
use slapledger_core::log::store::EventStore;

use super::*;
use crate::clock::ManualClock;
use crate::random_bytes;

struct Running {
    ledger: Ledger,
    store: Arc<SledStore>,
    clock: Arc<dyn Clock>,
    _data: tempfile::TempDir,
}

impl Running {
    fn new() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let small =
            sled_store::StoreOptions { epoch_bytes: 64 * 1024, ..sled_store::StoreOptions::default() };
        let store = Arc::new(SledStore::open_with(data.path(), small).expect("a log"));
        let noon = Timestamp::parse_rfc3339("2026-10-01T12:00:00Z").expect("an instant");
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(noon));
        let options = LedgerOptions {
            mode: Mode::Serve,
            new_ledger: [7; 16],
            key_ring: [6; 16],
            program: PROGRAM.into(),
            queue: 8,
            snapshot: None,
            seen: Box::new(|_| Ok(Box::new(MemoryIndex::new([1; 16])) as Box<dyn SeenIndex>)),
        };
        let log = Arc::clone(&store) as Arc<dyn EventStore>;
        let ledger = Ledger::open(log, Arc::clone(&clock), options).expect("a ledger");
        Self { ledger, store, clock, _data: data }
    }

    /// Writes until so many epochs are sealed.
    fn seal(&self, epochs: usize) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.store.sealed_count() < epochs {
            assert!(Instant::now() < until, "no epoch is sealed");
            let ciphertext = random_bytes::<1000>().to_vec();
            let name = Sealed { key: KeyId([1; 16]), digest: [0; 16], nonce: [0; 24], ciphertext };
            let command = RegisterParty { name, time_zone: TimeZone::UTC, description: None };
            let meta = Meta {
                project: ProjectId::DEFAULT,
                actor: Actor::system(),
                command: slapledger_core::domain::id::CommandId(random_bytes()),
                named_by_sender: true,
                digest: [0; 16],
                causation: None,
                correlation: None,
                rules: RULES_VERSION,
            };
            let command = Command::RegisterParty(command);
            self.ledger.submit_blocking(Submission { meta: Arc::new(meta), command }).expect("it is written");
        }
    }

    fn ship(&self, to: &Path) -> Arc<Shipping> {
        Shipping::start(to, &self.store, self.ledger.created(), &self.clock).expect("a thread")
    }
}

/// Waits until shipping is as expected.
fn wait(shipping: &Shipping, what: &str, is_so: impl Fn(&ShippingStatus) -> bool) -> ShippingStatus {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let status = shipping.status();
        if is_so(&status) {
            return status;
        }
        assert!(Instant::now() < until, "{what}: {status:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn databases(to: &Path) -> usize {
    let entries = fs::read_dir(to.join("log")).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().join("db").exists()).count()
}

#[test]
fn epochs_are_shipped_as_they_are_sealed() {
    let (running, folder) = (Running::new(), tempfile::tempdir().expect("a folder"));
    running.seal(2);
    let shipping = running.ship(folder.path());
    let status = wait(&shipping, "the first are shipped", |status| status.shipped >= 2);
    assert_eq!((status.fault(), status.to.as_path()), (None, folder.path()));
    let sealed = running.store.sealed_count();
    running.seal(sealed + 1);
    wait(&shipping, "the next is shipped", |status| status.shipped > sealed && status.waiting == 0);
    assert_eq!(databases(folder.path()), shipping.status().shipped);
    shipping.stop();
}

#[test]
fn a_folder_that_is_not_there_is_a_fault_until_it_is() {
    let (running, above) = (Running::new(), tempfile::tempdir().expect("a folder"));
    let folder = above.path().join("mounted later");
    running.seal(1);
    let shipping = running.ship(&folder);
    let status = wait(&shipping, "a fault", |status| status.fault.is_some());
    let fault = status.fault().expect("a fault");
    assert!(fault.contains("sealed epochs are not shipped to") && fault.contains("is not there"), "{fault}");
    assert!(!folder.exists(), "it is not made where a disk may be mounted");
    fs::create_dir(&folder).expect("a folder");
    let status = wait(&shipping, "it is shipped", |status| status.shipped >= 1);
    assert_eq!((status.fault(), databases(&folder)), (None, status.shipped));
    shipping.stop();
}
