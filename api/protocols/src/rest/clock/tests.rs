//! A clock in doubt and a full disk, as clients see them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::ledger::Clock;
use slapledger_engine::clock::ManualClock;
use slapledger_engine::{Engine, Open, WriterBounds, accepted, unwatched};

use crate::testing::kit::{Kit, Reply, at};
use crate::testing::world::{COMPUTER, RELEASE, World, configuration, dumps};

/// The clock of a machine, of which it is known how much time has passed; nothing, at first.
struct Machine {
    shown: Arc<ManualClock>,
    /// In seconds.
    passed: AtomicI64,
}

impl Machine {
    fn pass(&self, seconds: i64) {
        self.passed.fetch_add(seconds, Ordering::SeqCst);
        self.step(seconds);
    }

    fn step(&self, seconds: i64) {
        self.shown.set(self.now().plus_micros(seconds * 1_000_000));
    }
}

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        self.shown.now()
    }

    fn elapsed(&self) -> Option<Duration> {
        u64::try_from(self.passed.load(Ordering::SeqCst)).ok().map(Duration::from_secs)
    }
}

const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

/// A draft for October, on 2 November at 09:00. From now on the clock is watched.
fn drafted() -> (Kit, Arc<Machine>) {
    let shown = Arc::new(ManualClock::new(at("2026-09-20T00:00:00Z")));
    let machine = Arc::new(Machine { shown: Arc::clone(&shown), passed: AtomicI64::new(-1) });
    let kit = Kit::by_clock(shown, Arc::clone(&machine) as Arc<dyn Clock>, "UTC");
    kit.computer("COMP-1", "UTC");
    let customer = kit.register("Nexedi", "UTC");
    let prices = json!({
        "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z", "rounding": "half_up",
        "rates": [{"kind": "recurring", "every": "month", "when": "arrears", "price": "10.00",
                   "match": {"instance_type": "production"}}],
    });
    let book = kit.post_json("/v1/price-books", &prices);
    assert_eq!(book.status, StatusCode::CREATED, "{book:?}");
    kit.set("2026-10-01T00:00:00Z");
    kit.instance(customer, "shop");
    kit.started("slappart0");
    kit.set("2026-11-02T09:00:00Z");
    let period = json!({"period": {"start": "2026-10-01", "stop": "2026-11-01"}});
    let opened = kit.post_json("/v1/invoice-runs", &period);
    assert_eq!(opened.json()["invoices"], json!(["RUN-1-PARTY-2"]), "{opened:?}");
    machine.passed.store(0, Ordering::SeqCst);
    assert_eq!(kit.get("/v1/clock").json()["state"], "trusted");
    (kit, machine)
}

#[track_caller]
fn is_problem(reply: &Reply, status: u16, kind: &str) -> Value {
    assert_eq!(reply.status.as_u16(), status, "{reply:?}");
    let problem = reply.json();
    assert_eq!(problem["type"], format!("urn:slapledger:problem:{kind}"), "{problem}");
    problem
}

fn finalise(kit: &Kit) -> Reply {
    kit.post_json("/v1/invoice-runs/RUN-1/finalise", &json!({}))
}

fn confirm(kit: &Kit, now: Timestamp) -> Reply {
    kit.post_json("/v1/clock/confirm", &json!({"now": now.to_string()}))
}

/// The invoice was INV-2027-000001 once, and nobody was told that anything was wrong.
#[test]
fn a_run_by_a_clock_a_year_ahead_issues_nothing_and_goes_on_when_the_clock_is_right() {
    let (kit, machine) = drafted();
    machine.pass(60);
    machine.step(YEAR);
    let head = kit.ctx.ledger().head();
    let refused = finalise(&kit);
    is_problem(&refused, 503, "clock-unconfirmed");
    assert_eq!(refused.headers["retry-after"], "30");
    let health = kit.get("/healthz");
    assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
    let fault = health.json()["faults"][0].as_str().expect("a fault").to_owned();
    for part in ["2027-11-02T09:01:00Z", "2026-11-02T09:01:00Z", "slapledger clock confirm"] {
        assert!(fault.contains(part), "{fault}");
    }
    let shown = kit.get("/v1/clock").json();
    assert_eq!(
        shown,
        json!({
            "state": "unconfirmed", "now": "2027-11-02T09:01:00Z", "expected": "2026-11-02T09:01:00Z",
            "recorded_at": "2026-11-02T09:00:00Z", "fault": fault, "most_step_seconds": 300,
            "most_absence_seconds": 2_678_400,
        })
    );
    // Reads go on.
    assert_eq!(kit.get("/v1/invoices").json()["items"][0]["state"], "draft");
    assert_eq!(kit.ctx.ledger().head(), head);
    machine.step(-YEAR);
    let done = finalise(&kit);
    assert_eq!((done.status, &done.json()["invoices"]), (StatusCode::OK, &json!(["INV-2026-000001"])));
    assert_eq!(kit.get("/healthz").json()["faults"], json!([]));
}

#[test]
fn an_operator_confirms_the_time_that_the_clock_shows_and_no_other() {
    let (kit, machine) = drafted();
    machine.step(-2 * HOUR);
    let head = kit.ctx.ledger().head();
    let problem = is_problem(&confirm(&kit, at("2026-11-02T09:00:00Z")), 409, "clock-stated-otherwise");
    assert_eq!(problem["field"], "now");
    for (body, field) in [(json!({}), "now"), (json!({"now": "noon"}), "now"), (json!({"at": "x"}), "now")] {
        let problem = kit.post_json("/v1/clock/confirm", &body).problem();
        assert_eq!((problem.0, problem.1.as_deref()), (400, Some(field)), "{body}");
    }
    assert_eq!(kit.ctx.ledger().head(), head);
    let confirmed = confirm(&kit, at("2026-11-02T07:00:30Z"));
    assert_eq!(confirmed.status, StatusCode::OK, "{confirmed:?}");
    // Two hours of the log are still to come: no document is issued in them, all else goes on.
    assert_eq!(confirmed.json()["state"], "behind");
    let last = kit.get(&format!("/v1/events?after={}", head.last)).json()["items"][0].clone();
    assert_eq!((&last["type"], &last["actor"]["kind"]), (&json!("ClockConfirmed"), &json!("person")));
    let expected = json!({
        "previous": "2026-11-02T09:00:00Z", "confirmed": "2026-11-02T07:00:30Z", "at": "2026-11-02T09:00:00Z",
    });
    assert_eq!(last["data"], expected);
    kit.register("another", "UTC");
    let refused = finalise(&kit);
    is_problem(&refused, 503, "clock-behind");
    assert_eq!(refused.headers["retry-after"], "3600");
    assert!(
        kit.get("/healthz").json()["faults"][0].as_str().is_some_and(|fault| fault.contains("no invoice"))
    );
    machine.pass(2 * HOUR);
    assert_eq!(finalise(&kit).status, StatusCode::OK);
    let invoice = kit.get("/v1/invoices/INV-2026-000001").json();
    assert_eq!(invoice["issued_at"], "2026-11-02T09:00:00Z");

    // Nor is a credit note, when the clock is set back.
    machine.step(-200);
    let credit = kit.post_json("/v1/invoices/INV-2026-000001/void", &json!({"reason": "a test"}));
    is_problem(&credit, 503, "clock-behind");
    assert_eq!(credit.headers["retry-after"], "201");
    machine.pass(200);
    let credit = kit.post_json("/v1/invoices/INV-2026-000001/void", &json!({"reason": "a test"}));
    assert_eq!(credit.status, StatusCode::CREATED, "{credit:?}");
    // Where nothing is in doubt, nothing is recorded.
    let head = kit.ctx.ledger().head();
    let now = kit.get("/v1/clock").json()["now"].clone();
    assert_eq!(confirm(&kit, at(now.as_str().unwrap())).json()["state"], "trusted");
    is_problem(&confirm(&kit, at("2020-01-01T00:00:00Z")), 409, "clock-stated-otherwise");
    assert_eq!(kit.ctx.ledger().head(), head);
}

/// Whatever is asked, in whichever protocol.
#[test]
fn below_the_reserve_writes_are_answered_507_and_reads_go_on() {
    let world = World::proxy(2);
    world.request("first", &[], None).expect(200);
    let world = world.restart_with(WriterBounds { reserve_bytes: Some(u64::MAX), ..WriterBounds::default() });
    let head = world.ctx.ledger().head();
    let said = world.request("second", &[], None).expect(507);
    assert_eq!(said.header(axum::http::header::RETRY_AFTER), "60");
    assert!(said.body.contains("fewer than the reserve of 18446744073709551615 bytes"), "{said:?}");
    let request = json!({"title": "third", "software_release_uri": RELEASE, "software_type": "default"});
    let call = world.post_json("/slapos.post.v0.software_instance", &request.to_string(), &[]).expect(507);
    assert_eq!(call.json()["type"], "Insufficient Storage");
    let problem = world.post_json("/v1/computers", r#"{"title": "new"}"#, &[]).expect(507).json();
    assert_eq!(problem["type"], "urn:slapledger:problem:insufficient-storage");
    // What changes nothing is answered.
    world.request("first", &[], None).expect(200);
    let xml = dumps(&configuration(COMPUTER, 2));
    world.post("/loadComputerConfigurationFromXML", &[("xml", &xml)]).expect(200);
    let health = world.get("/healthz").expect(503).json();
    assert!(health["faults"][0].as_str().is_some_and(|fault| fault.starts_with("writes are answered 507")));
    assert_eq!(world.ctx.ledger().head(), head);
    // No snapshot is taken of what comes to an end now, which is told.
    let state = world.ctx.engine.data.join("state");
    let age = |name: &str| std::fs::metadata(state.join(name)).and_then(|file| file.modified()).ok();
    let names = ["writer.snapshot", "slap.snapshot"];
    let before = names.map(age);
    assert!(before[0].is_some(), "one was taken before");
    let told = format!("{:#}", world.ctx.engine.shut_down().unwrap_err());
    assert!(told.contains("snapshot view slap") && told.contains("free some space"), "{told}");
    assert_eq!(names.map(age), before);
}

/// A folder that is opened again knows that it was confirmed; one whose clock is in doubt is not confirmed by that.
#[test]
fn a_ledger_that_was_off_for_long_asks_once() {
    let folder = tempfile::tempdir().unwrap();
    let shown = Arc::new(ManualClock::new(at("2026-09-20T00:00:00Z")));
    let machine = Arc::new(Machine { shown, passed: AtomicI64::new(0) });
    let open = || {
        let clock = Arc::clone(&machine) as Arc<dyn Clock>;
        Engine::open(Open {
            data: folder.path(),
            mode: Mode::Proxy,
            clock,
            master_key: None,
            progress: &unwatched,
            accept: &accepted,
        })
        .unwrap()
    };
    open().shut_down().unwrap();
    machine.pass(32 * 24 * HOUR);
    let in_doubt = |engine: &Engine| engine.ledger.clock_status().doubt.is_some();
    for _ in 0..2 {
        let engine = open();
        assert!(in_doubt(&engine));
        engine.shut_down().unwrap();
    }
    let engine = open();
    let meta = Arc::new(engine.meta(
        slapledger_core::domain::id::ProjectId::DEFAULT,
        slapledger_core::log::envelope::Actor::system(),
        [0; 16],
    ));
    assert!(engine.ledger.confirm_clock_blocking(meta, machine.now()).unwrap().is_some());
    engine.shut_down().unwrap();
    // It holds the folder.
    drop(engine);
    let engine = open();
    assert!(!in_doubt(&engine));
    engine.shut_down().unwrap();
}
