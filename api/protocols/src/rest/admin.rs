//! What the operator looks at: the projections, and how everything is doing.
//!
//! `/healthz` answers 200 as long as nothing is wrong that a restart or a person has to mend; `/readyz` as long as
//! requests are answered in time. Neither waits for anything: not for the disk, and for no lock that is held for long.

pub(super) mod describe;

use axum::http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::store::StoreStats;
use slapledger_engine::Engine;
use slapledger_engine::health::HealthFault;
use slapledger_engine::shipping::ShippingStatus;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::problem::Problem;
use slapledger_projections::runner::{Runner, Status};
use slapledger_projections::{View, ViewPart};

use super::openapi::schema::List;
use super::query::{self, Query};
use crate::access::Authorised;

/// How far a view may be behind before requests are better sent elsewhere.
const READY_LAG: u64 = 1_000_000;

#[derive(Serialize, JsonSchema)]
pub(crate) struct PartForm {
    name: &'static str,
    view: &'static str,
    position: Sequence,
    /// SHA-256 of its canonical bytes at that position.
    digest: String,
    bytes: u64,
}

impl PartForm {
    fn of(part: &ViewPart, view: &'static str, position: Sequence) -> Self {
        Self { name: part.name, view, position, digest: part.digest.to_string(), bytes: part.bytes }
    }
}

/// `GET /v1/projections`: the digests are computed now, which takes its time.
pub(super) async fn projections(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<PartForm>>, Problem> {
    let position = Query::read(&uri, &[])?.position(&ctx).await?;
    ctx.slap().reach(position).await?;
    ctx.billing().reach(position).await?;
    ctx.access().reach(position).await?;
    let forms = tokio::task::spawn_blocking(move || {
        let mut forms = parts_of(&ctx.engine.slap);
        forms.extend(parts_of(&ctx.engine.billing));
        forms.extend(parts_of(&ctx.engine.access));
        forms
    });
    let forms = forms.await.map_err(|error| Problem::fault(&error))?;
    let sequence = forms.iter().map(|form| form.position).min().unwrap_or(position);
    Ok(query::list(forms, None::<String>, sequence))
}

fn parts_of<V: View>(views: &Runner<V>) -> Vec<PartForm> {
    let (parts, position) = views.parts();
    parts.iter().map(|part| PartForm::of(part, views.name(), position)).collect()
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Health {
    status: &'static str,
    writer: WriterForm,
    /// The commands that wait for the writer; null, when it takes none any more.
    queue: Option<QueueForm>,
    sequence: Sequence,
    clock: ClockForm,
    views: Vec<ViewForm>,
    store: StoreForm,
    /// The room where the ledger writes; null, if it is not watched.
    disk: Option<DiskForm>,
    /// How sealed epochs are copied elsewhere, where that is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping: Option<ShippingForm>,
    /// What is wrong, in words; nothing, if nothing is.
    faults: Vec<String>,
    /// The code of each of them, in the same order: a word that stays, such as `writer-stopped`.
    fault_codes: Vec<&'static str>,
}

#[derive(Serialize, JsonSchema)]
struct ShippingForm {
    /// Where sealed epochs are copied to.
    to: String,
    /// How many are there.
    shipped: u64,
    /// How many are not there yet.
    waiting: u64,
    /// Why the last attempt failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

impl From<ShippingStatus> for ShippingForm {
    fn from(status: ShippingStatus) -> Self {
        let ShippingStatus { to, shipped, waiting, fault } = status;
        Self { to: to.display().to_string(), shipped: shipped as u64, waiting: waiting as u64, fault }
    }
}

#[derive(Serialize, JsonSchema)]
struct WriterForm {
    alive: bool,
    term: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct QueueForm {
    waiting: u64,
    /// More are answered 503.
    most: u64,
}

#[derive(Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "clients read the unit in the name")]
struct DiskForm {
    free_bytes: u64,
    total_bytes: u64,
    /// Below this nothing is recorded any more.
    reserve_bytes: u64,
}

#[derive(Serialize, JsonSchema)]
struct ClockForm {
    now: Timestamp,
    /// When the last event was recorded.
    recorded_at: Option<Timestamp>,
    /// Whether the clock shows an earlier time than that: until it has caught up, events are recorded at that time.
    behind: bool,
}

#[derive(Serialize, JsonSchema)]
struct ViewForm {
    name: &'static str,
    position: Sequence,
    /// How many events it has yet to take over.
    lag: u64,
    snapshot: Sequence,
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuilding: Option<Sequence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

impl ViewForm {
    fn of(status: &Status, head: Sequence) -> Self {
        let Status { name, position, snapshot, rebuilding, fault } = status.clone();
        let lag = head.0.saturating_sub(position.0);
        let fault = fault.map(|fault| fault.to_string());
        Self { name, position, lag, snapshot, rebuilding, fault }
    }
}

#[derive(Serialize, JsonSchema)]
struct StoreForm {
    epochs: u64,
    bytes_on_disk: u64,
    /// Files that the store never syncs: anything but 0 is a fault.
    blobs: u64,
}

/// `GET /healthz`.
pub(super) async fn health(Authorised(ctx): Authorised) -> HttpAnswer<Health> {
    health_of(&ctx.engine)
}

/// The same for anyone who has no route: all of it is in memory.
pub(crate) fn health_of(engine: &Engine) -> HttpAnswer<Health> {
    let health = look(engine);
    let status = if health.faults.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    HttpAnswer::new(status, health.sequence, health)
}

fn look(engine: &Engine) -> Health {
    let head = engine.ledger.head().last;
    let recorded_at = engine.health.recorded_at(&engine.ledger);
    let now = engine.now();
    let StoreStats { epochs, bytes_on_disk, blobs } = engine.health.store();
    let views = [engine.slap.status(), engine.billing.status(), engine.access.status()]
        .map(|status| ViewForm::of(&status, head));
    let fault = engine.ledger.fault().map(|fault| fault.to_string());
    let shipping = engine.shipping.as_ref().map(|shipping| shipping.status());
    let faults = engine.faults();
    Health {
        status: if faults.is_empty() { "ok" } else { "fault" },
        writer: WriterForm { alive: fault.is_none(), term: engine.ledger.term().0, fault },
        queue: engine
            .ledger
            .queue_status()
            .map(|queue| QueueForm { waiting: queue.waiting as u64, most: queue.most as u64 }),
        sequence: head,
        clock: ClockForm {
            now,
            recorded_at,
            behind: recorded_at.is_some_and(|recorded_at| now < recorded_at),
        },
        views: views.into(),
        store: StoreForm { epochs, bytes_on_disk, blobs },
        disk: engine.ledger.room().and_then(|room| room.status()).map(|room| DiskForm {
            free_bytes: room.space.free,
            total_bytes: room.space.total,
            reserve_bytes: room.reserve,
        }),
        shipping: shipping.map(Into::into),
        fault_codes: faults.iter().map(HealthFault::code).collect(),
        faults: faults.iter().map(HealthFault::to_string).collect(),
    }
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Ready {
    ready: bool,
    sequence: Sequence,
}

/// `GET /readyz`.
pub(super) async fn ready(Authorised(ctx): Authorised) -> HttpAnswer<Ready> {
    readiness_of(&ctx.engine)
}

/// The same for anyone who has no route.
pub(crate) fn readiness_of(engine: &Engine) -> HttpAnswer<Ready> {
    let head = engine.ledger.head().last;
    let keeps_up =
        |status: Status| status.fault.is_none() && head.0.saturating_sub(status.position.0) < READY_LAG;
    let views = [engine.slap.status(), engine.billing.status(), engine.access.status()];
    let takes_requests = !engine.health.is_stopping() && engine.ledger.fault().is_none();
    let ready = takes_requests && views.into_iter().all(keeps_up);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    HttpAnswer::new(status, head, Ready { ready, sequence: head })
}

#[cfg(test)]
mod tests;
