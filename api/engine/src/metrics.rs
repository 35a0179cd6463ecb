//! Metrics, as Prometheus reads them: what happens is counted as it happens, and what is so is looked at when somebody asks.
//!
//! Names and units are those of Prometheus' conventions: seconds, bytes, and `_total` for what only rises. docs/metrics.md
//! lists them; a test compares the two.
//!
//! Not here: who may ask (the listener for operations).

use std::time::Duration;

use parking_lot::Mutex;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use slapledger_core::domain::access::{Credential, Purpose, Standing};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::store::StoreStats;
use slapledger_projections::runner::Status;

use crate::Engine;
use crate::health::HealthFault;
use crate::receipts::ReceiptOutcome;

/// What all names begin with.
const PREFIX: &str = "slapledger";
/// How long requests take, in seconds: from a fast path to what a client waits for at most.
const REQUEST_SECONDS: &[f64] =
    &[0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// How long appends take: what disks do, and what they do when they are in trouble.
const APPEND_SECONDS: &[f64] =
    &[0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// A credential that expires within this time is counted.
const EXPIRES_SOON_MICROS: i64 = 30 * 24 * 3600 * 1_000_000;

/// How long one look waits for another.
const LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// The media type of the text.
pub const METRICS_TYPE: &str = prometheus::TEXT_FORMAT;

/// What is counted as it happens.
#[derive(Debug)]
pub struct Metrics {
    counted: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    append_seconds: Histogram,
    /// One look at a time: it takes locks of views for a moment.
    looking: Mutex<()>,
}

impl Default for Metrics {
    fn default() -> Self {
        let counted = Registry::new();
        let requests = Opts::new(name("http_requests_total"), "Requests answered, by route and status.");
        let requests = IntCounterVec::new(requests, &["method", "route", "status"]).expect(GOOD);
        let seconds = "Time from the whole head of a request to its answer.";
        let seconds = HistogramOpts::new(name("http_request_duration_seconds"), seconds);
        let seconds = seconds.buckets(REQUEST_SECONDS.to_vec());
        let request_seconds = HistogramVec::new(seconds, &["method", "route"]).expect(GOOD);
        let append = "Time until the events of an append were durable.";
        let append = HistogramOpts::new(name("log_append_duration_seconds"), append);
        let append_seconds = Histogram::with_opts(append.buckets(APPEND_SECONDS.to_vec())).expect(GOOD);
        counted.register(Box::new(requests.clone())).expect(GOOD);
        counted.register(Box::new(request_seconds.clone())).expect(GOOD);
        counted.register(Box::new(append_seconds.clone())).expect(GOOD);
        Self { counted, requests, request_seconds, append_seconds, looking: Mutex::default() }
    }
}

/// Why nothing of this fails: names are constants, and a test reads all of them.
const GOOD: &str = "a name of its own";

fn name(rest: &str) -> String {
    format!("{PREFIX}_{rest}")
}

impl Metrics {
    /// A request was answered. The route is as it is registered, so that there are as many as there are routes.
    pub fn answered(&self, method: &str, route: &str, status: &str, took: Duration) {
        self.requests.with_label_values(&[method, route, status]).inc();
        self.request_seconds.with_label_values(&[method, route]).observe(took.as_secs_f64());
    }

    /// Events became durable.
    pub fn appended(&self, took: Duration) {
        self.append_seconds.observe(took.as_secs_f64());
    }

    /// All metrics as text; none, if another look does not end in time. It reads views and so may wait for their locks:
    /// call it on a thread that may.
    pub fn text(&self, engine: &Engine) -> Option<String> {
        let _looking = self.looking.try_lock_for(LOOK_PATIENCE)?;
        let look = Look(Registry::new());
        look.at_program(engine);
        look.at_log(engine);
        look.at_views(engine);
        look.at_business(engine);
        let mut families = self.counted.gather();
        families.extend(look.0.gather());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        // It is written to memory.
        TextEncoder::new().encode_to_string(&families).ok()
    }
}

/// What is so at the time of a look.
struct Look(Registry);

/// Numbers past what a gauge holds are as good as its most.
fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Look {
    fn gauge(&self, rest: &str, help: &str, value: u64) {
        let gauge = IntGauge::new(name(rest), help).expect(GOOD);
        gauge.set(whole(value));
        self.0.register(Box::new(gauge)).expect(GOOD);
    }

    fn counter(&self, rest: &str, help: &str, value: u64) {
        let counter = IntCounter::new(name(rest), help).expect(GOOD);
        counter.inc_by(value);
        self.0.register(Box::new(counter)).expect(GOOD);
    }

    fn gauges<'a>(
        &self,
        rest: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        let gauges = IntGaugeVec::new(Opts::new(name(rest), help), &[label]).expect(GOOD);
        for (of, value) in values {
            gauges.with_label_values(&[of]).set(whole(value));
        }
        self.0.register(Box::new(gauges)).expect(GOOD);
    }

    fn at_program(&self, engine: &Engine) {
        let version = env!("CARGO_PKG_VERSION");
        self.gauges("build_info", "The version of the program; always 1.", "version", [(version, 1)]);
        let faults = engine.faults();
        let is_now = |code: &&'static str| u64::from(faults.iter().any(|fault| fault.code() == *code));
        let faults = HealthFault::CODES.iter().map(|code| (*code, is_now(code)));
        self.gauges("fault", "Whether a fault of /healthz is present, by its code.", "code", faults);
        let (running, waiting) = engine.rating.load();
        self.gauge("rating_running", "Long reads that are computed now.", running as u64);
        self.gauge("rating_waiting", "Long reads that wait for a place.", waiting as u64);
    }

    fn at_log(&self, engine: &Engine) {
        let head = engine.ledger.head().last;
        self.counter("log_events_total", "Events in the log: its last sequence.", head.0);
        let StoreStats { epochs, bytes_on_disk, blobs } = engine.health.store();
        self.gauge("log_epochs", "Epochs of the log.", epochs);
        self.gauge("log_size_bytes", "Size of the log on the disk.", bytes_on_disk);
        self.gauge("log_unsynced_values", "Values in files that the store never syncs.", blobs);
        if let Some(at) = engine.health.recorded_at(&engine.ledger) {
            let seconds = u64::try_from(at.micros() / 1_000_000).unwrap_or(0);
            self.gauge("log_last_event_timestamp_seconds", "When the newest event was recorded.", seconds);
        }
        if let Some(queue) = engine.ledger.queue_status() {
            self.gauge("writer_queue_commands", "Commands that wait for the writer.", queue.waiting as u64);
            let most = "Commands that may wait; more are answered 503.";
            self.gauge("writer_queue_commands_max", most, queue.most as u64);
        }
        if let Some(room) = engine.ledger.room().and_then(|room| room.status()) {
            self.gauge("disk_free_bytes", "Free space where the data folder is.", room.space.free);
            self.gauge("disk_size_bytes", "Size of the file system of the data folder.", room.space.total);
            self.gauge("disk_reserve_bytes", "Free space below which writes are refused.", room.reserve);
        }
    }

    fn at_views(&self, engine: &Engine) {
        let head = engine.ledger.head().last;
        let views = [engine.slap.status(), engine.billing.status(), engine.access.status()];
        let lag = |view: &Status| head.0.saturating_sub(view.position.0);
        let unsaved = |view: &Status| view.position.0.saturating_sub(view.snapshot.0);
        let each = |value: &dyn Fn(&Status) -> u64| -> Vec<(&'static str, u64)> {
            views.iter().map(|view| (view.name, value(view))).collect()
        };
        self.gauges("view_lag_events", "Events that a view has not taken over yet.", "view", each(&lag));
        let help = "Events since the snapshot of a view: a start reads them again.";
        self.gauges("view_unsnapshotted_events", help, "view", each(&unsaved));
        let rebuilds = each(&|view| u64::from(view.rebuilding.is_some()));
        self.gauges("view_rebuilding", "Whether a view is being rebuilt.", "view", rebuilds);
    }

    fn at_business(&self, engine: &Engine) {
        let now = engine.now();
        let outcomes = engine.receipts.totals();
        let usage =
            Opts::new(name("usage_events_total"), "Usage events received since the start, by outcome.");
        let usage = IntCounterVec::new(usage, &["outcome"]).expect(GOOD);
        for outcome in ReceiptOutcome::ALL {
            usage.with_label_values(&[outcome.as_str()]).inc_by(outcomes.of(outcome));
        }
        self.0.register(Box::new(usage)).expect(GOOD);
        let suspended = engine.billing.read(|projects, _| {
            projects.iter().map(|(_, view)| view.metering.waiting().count() as u64).sum()
        });
        self.gauge("usage_suspended_events", "Usage events that wait for a decision.", suspended);
        let (mut computers, mut silent) = (0, 0);
        engine.slap.read(|projects, _| {
            for computer in projects.iter().flat_map(|(_, view)| view.inventory.iter()) {
                if computer.retired_at.is_none() {
                    computers += 1;
                    silent += u64::from(computer.silent_since.is_some());
                }
            }
        });
        self.gauge("computers", "Computers that are not retired.", computers);
        self.gauge("computers_silent", "Computers that were not heard of for too long.", silent);
        let (mut certificates, mut tokens) = (0, 0);
        engine.access.read(|view, _| {
            for credential in view.access.all().filter(|known| expires_soon(known, now)) {
                if credential.is_certificate() { certificates += 1 } else { tokens += 1 }
            }
        });
        let help = "Credentials in use that expire within 30 days.";
        let kinds = [("certificate", certificates), ("token", tokens)];
        self.gauges("credentials_expiring", help, "kind", kinds);
    }
}

/// Whether a credential is good, and not for long. Tokens for one use are meant to be short.
fn expires_soon(credential: &Credential, now: Timestamp) -> bool {
    let soon = now.plus_micros(EXPIRES_SOON_MICROS);
    matches!(credential.standing, Standing::Active)
        && credential.issued.purpose == Purpose::Access
        && credential.issued.expires_at.is_some_and(|at| now < at && at <= soon)
}

#[cfg(test)]
mod tests;
