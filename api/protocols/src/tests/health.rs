//! What health tells of a running program.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use slapledger_core::domain::Command;
use slapledger_core::domain::computer::RegisterComputer;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::ComputerId;
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::ledger::SubmitError;
use slapledger_core::log::envelope::Actor;
use slapledger_core::log::store::StoreStats;
use slapledger_engine::health::HealthFault;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::context::RequestContext;

use crate::testing::world::World;

fn codes(ctx: &RequestContext) -> Vec<&'static str> {
    ctx.engine.faults().iter().map(HealthFault::code).collect()
}

fn register(ctx: &RequestContext, id: &str) -> Result<(), SubmitError> {
    let computer = ComputerId::new(id).unwrap();
    let register = RegisterComputer { computer, owner: FIRST_PARTY, time_zone: TimeZone::UTC };
    ctx.submit_own(Actor::system(), Command::RegisterComputer(register)).map(|_| ())
}

#[test]
fn a_writer_that_stopped_is_a_fault_while_reads_go_on_and_the_shutdown_says_so() {
    let world = World::empty(Mode::Proxy);
    assert_eq!(codes(&world.ctx), [""; 0]);
    world.get("/readyz").expect(200);
    // Somebody else writes to the log: this writer is fenced.
    world.ctx.ledger().store().acquire().unwrap();
    assert!(matches!(register(&world.ctx, "COMP-9"), Err(SubmitError::Stopped(_))));
    // The sender is told before everybody else.
    while world.ctx.ledger().fault().is_none() {
        thread::yield_now();
    }
    assert_eq!(codes(&world.ctx), ["writer-stopped"]);
    let health = world.get("/healthz").expect(503).json();
    assert_eq!(health["fault_codes"], serde_json::json!(["writer-stopped"]));
    assert!(health["faults"][0].as_str().unwrap().contains("another writer has taken over"), "{health}");
    world.get("/readyz").expect(503);
    world.get("/v1/computers").expect(200);
    let closed = world.ctx.engine.shut_down().unwrap_err().to_string();
    assert!(closed.starts_with("did not shut down cleanly: the writer stopped on a fault: "), "{closed}");
    assert!(!closed.contains('\n'), "{closed}");
}

#[test]
fn a_view_that_cannot_be_kept_is_told_by_the_shutdown() {
    let world = World::empty(Mode::Proxy);
    let state = world.ctx.engine.data.join("state");
    // It may not have been made yet.
    let _ = std::fs::remove_dir_all(&state);
    std::fs::write(&state, "no folder").unwrap();
    let closed = world.ctx.engine.shut_down().unwrap_err().to_string();
    for name in ["the state of the writer", "view slap", "view billing", "view access"] {
        assert!(closed.contains(&format!("snapshot {name}")), "{name}: {closed}");
    }
}

#[test]
fn who_is_stopping_is_not_ready_and_has_no_fault() {
    let world = World::empty(Mode::Proxy);
    world.ctx.engine.health.stop();
    world.get("/readyz").expect(503);
    world.get("/healthz").expect(200);
}

#[test]
fn when_the_last_event_was_recorded_is_known_from_the_start() {
    let world = World::empty(Mode::Proxy).restart();
    let ctx = &world.ctx;
    let recorded = ctx.engine.health.recorded_at(ctx.ledger());
    assert_eq!(recorded, Some(ctx.now()), "the start is an event");
    let later = "2026-11-23T16:00:00Z";
    world.set_clock(later);
    register(ctx, "COMP-9").unwrap();
    assert_eq!(ctx.engine.health.recorded_at(ctx.ledger()), Timestamp::parse_rfc3339(later));
}

/// A store whose disk answers when it is let.
struct Slow {
    looks: AtomicU64,
    let_go: Mutex<mpsc::Receiver<()>>,
}

#[test]
fn a_disk_that_does_not_answer_is_a_fault_and_keeps_nobody_waiting() {
    let world = World::empty(Mode::Proxy);
    let monitor = Arc::clone(&world.ctx.engine.health);
    let (go, let_go) = mpsc::channel();
    let slow = Arc::new(Slow { looks: AtomicU64::new(0), let_go: Mutex::new(let_go) });
    let looking = {
        let (monitor, slow) = (Arc::clone(&monitor), Arc::clone(&slow));
        thread::spawn(move || {
            monitor.look(|| {
                slow.looks.store(1, Ordering::SeqCst);
                slow.let_go.lock().recv().unwrap();
                StoreStats { epochs: 7, bytes_on_disk: 1, blobs: 2 }
            });
        })
    };
    while slow.looks.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    assert_eq!(codes(&world.ctx), [""; 0], "it is looked at, not yet for long");
    monitor.pretend_looking_since(Instant::now().checked_sub(Duration::from_secs(120)).expect("an instant"));
    assert_eq!(codes(&world.ctx), ["disk-silent"]);
    world.get("/healthz").expect(503);
    go.send(()).unwrap();
    looking.join().unwrap();
    assert_eq!(codes(&world.ctx), ["unsynced-values"]);
    assert_eq!(monitor.store().epochs, 7);
}
