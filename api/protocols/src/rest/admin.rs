//! What whoever runs it looks at: the events, the projections, and how everything is doing.
//!
//! `/healthz` answers 200 as long as nothing is wrong that a restart or a person has to mend; `/readyz` as long as requests
//! are answered in time. Neither waits for anything: not for the disk, and for no lock that is held for long.

pub(super) mod describe;

use std::io;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::BillingView;
use slapledger_core::domain::access::Access;
use slapledger_core::domain::event::Stream;
use slapledger_core::domain::id::{CredentialId, ProjectId, Sequence};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::envelope::Recorded;
use slapledger_core::log::store::StoreStats;
use slapledger_engine::Engine;
use slapledger_engine::health::HealthFault;
use slapledger_engine::shipping::ShippingStatus;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_kit::{conflict, json_body};
use slapledger_projections::runner::{RebuildFault, Rebuilt, Runner, Status};
use slapledger_projections::{AccessView, Part, SlapViews, View};
use slapledger_usecases::context::RequestContext;

use super::log::{self, Seen};
use super::openapi::schema::{self, List};
use super::query::{self, Named, Query};
use crate::access::Authorised;

/// The most bytes of a page of events, but for the last one.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// The most events that are looked at for a page of them.
const MOST_LOOKED_AT: u32 = 200_000;
/// How far a view may be behind before requests are better sent elsewhere.
const READY_LAG: u64 = 1_000_000;

/// `GET /v1/events`: what happened in a project, in order. Sealed values show their key and digest.
///
/// What is of the ledger itself is shown in the first project, to those who reach all of them. A page that had to pass
/// over much may be short of its limit, or empty, and still have one after it.
pub(super) async fn events(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<RecordedEvent>>, Problem> {
    let query = Query::read(&uri, &["after"])?;
    let limit = query.limit()?;
    let after = match query.cursor::<u64>()? {
        Some(cursor) => Sequence(cursor),
        None => query.sequence("after")?.unwrap_or(Sequence::ZERO),
    };
    let position = query.position(&ctx).await?;
    // How far a credential reaches is known of all that is shown.
    ctx.access().reach(position).await?;
    let store = Arc::clone(ctx.ledger().store());
    let found = tokio::task::spawn_blocking(move || -> Result<(Vec<RecordedEvent>, _), Problem> {
        let mut items = Vec::new();
        let (mut bytes, mut looked_at, mut last) = (0, 0, after);
        let mut next = None;
        log::each_after(&*store, after, |recorded| {
            if recorded.sequence > position {
                return Ok(Seen::Enough);
            }
            let is_theirs = is_theirs(&ctx, recorded);
            if looked_at == MOST_LOOKED_AT || (is_theirs && (items.len() == limit || bytes > PAGE_BYTES)) {
                next = Some(last);
                return Ok(Seen::Enough);
            }
            (looked_at, last) = (looked_at + 1, recorded.sequence);
            if is_theirs {
                let event = RecordedEvent(recorded.clone());
                bytes += event.bytes()?;
                items.push(event);
            }
            Ok(Seen::More)
        })?;
        Ok((items, next))
    });
    let (items, next) = found.await.map_err(|error| Problem::fault(&error))??;
    Ok(query::list(items, next, position))
}

/// An event as it stands in the log: the core writes it.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct RecordedEvent(#[schemars(with = "schema::RecordedEvent")] Recorded);

impl RecordedEvent {
    /// How long it is in JSON.
    fn bytes(&self) -> Result<usize, Problem> {
        let mut count = Count(0);
        serde_json::to_writer(&mut count, self).map_err(|error| Problem::fault(&error))?;
        Ok(count.0)
    }
}

/// Counts what is written.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether an event is one that whoever this is for may read, in their project.
fn is_theirs(ctx: &RequestContext, recorded: &Recorded) -> bool {
    let of_ledger = matches!(*recorded.stream, Stream::Ledger | Stream::Project(_));
    if of_ledger {
        return ctx.project == ProjectId::DEFAULT && ctx.caller.reaches_all_projects();
    }
    let (project, reaches_all) = match *recorded.stream {
        Stream::Credential(id) => {
            ctx.access().read(|view, _| lets_into(&view.access, id, recorded.project()))
        }
        _ => (recorded.project(), false),
    };
    project == ctx.project && (!reaches_all || ctx.caller.reaches_all_projects())
}

/// Into which project a credential lets, from wherever it was issued or revoked, and whether into all others too. One that
/// is not known is taken for one that does.
fn lets_into(access: &Access, id: CredentialId, recorded: ProjectId) -> (ProjectId, bool) {
    access.credential(id).map_or((recorded, true), |known| (known.project, known.issued.all_projects))
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct PartForm {
    name: &'static str,
    view: &'static str,
    #[schemars(with = "schema::Sequence")]
    position: Sequence,
    /// SHA-256 of its canonical bytes at that position.
    digest: String,
    bytes: u64,
}

impl PartForm {
    fn of(part: &Part, view: &'static str, position: Sequence) -> Self {
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

/// What a rebuild came to.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RebuiltForm {
    /// The projection that was asked for.
    #[serde(flatten)]
    projection: ComparedForm,
    /// All that were rebuilt with it, itself included.
    projections: Vec<ComparedForm>,
    #[schemars(with = "schema::Sequence")]
    sequence: Sequence,
}

#[derive(Clone, Serialize, JsonSchema)]
struct ComparedForm {
    name: &'static str,
    /// Of what is there now.
    digest: String,
    /// Of what was there before.
    before: String,
    /// Whether it came back byte for byte.
    same: bool,
    bytes: u64,
}

impl ComparedForm {
    fn of(before: &Part, after: &Part) -> Self {
        let (digest, same) = (after.digest.to_string(), before == after);
        Self { name: after.name, digest, before: before.digest.to_string(), same, bytes: after.bytes }
    }
}

/// `POST /v1/projections/{name}/rebuild`: a projection is derived again from the first event, together with those it
/// shares its view with, beside the one in use. Answers when it has taken its place.
pub(super) async fn rebuild(
    Authorised(ctx): Authorised,
    Named(name): Named<String>,
    request: Request,
) -> Result<HttpAnswer<RebuiltForm>, Problem> {
    json_body::read_optional::<schema::Nothing>(request, json_body::MOST_BYTES).await?;
    let (of_slap, of_access) = (holds::<SlapViews>(&name), holds::<AccessView>(&name));
    if !of_slap && !of_access && !holds::<BillingView>(&name) {
        return Err(Problem::not_found(format!("there is no projection {name}")));
    }
    let rebuilt = tokio::task::spawn_blocking(move || {
        if of_access {
            return ctx.engine.access.rebuild(|_| ());
        }
        if !of_slap {
            return ctx.engine.billing.rebuild(|_| ());
        }
        let rebuilt = ctx.engine.slap.rebuild(|_| ());
        // Should it not have come back the same, what was written from it is not the same either.
        ctx.engine.documents.forget();
        rebuilt
    });
    let rebuilt = rebuilt.await.map_err(|error| Problem::fault(&error))?.map_err(|fault| match fault {
        RebuildFault::UnderWay { .. } => conflict::of_code(ProblemCode::RebuildUnderWay, fault.to_string()),
        RebuildFault::Replay { .. } => Problem::fault(&fault),
    })?;
    let Rebuilt { sequence, before, after } = rebuilt;
    let projections: Vec<_> =
        before.iter().zip(&after).map(|(before, after)| ComparedForm::of(before, after)).collect();
    let asked = projections.iter().find(|compared| compared.name == name).cloned();
    let projection =
        asked.ok_or_else(|| Problem::fault(&format!("{name} was not among what was rebuilt")))?;
    Ok(HttpAnswer::ok(sequence, RebuiltForm { projection, projections, sequence }))
}

fn holds<V: View>(name: &str) -> bool {
    V::default().projections().iter().any(|projection| projection.name() == name)
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Health {
    status: &'static str,
    writer: WriterForm,
    #[schemars(with = "schema::Sequence")]
    sequence: Sequence,
    clock: ClockForm,
    views: Vec<ViewForm>,
    store: StoreForm,
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
struct ClockForm {
    #[schemars(with = "schema::Instant")]
    now: Timestamp,
    /// When the last event was recorded.
    #[schemars(with = "Option<schema::Instant>")]
    recorded_at: Option<Timestamp>,
    /// Whether the clock shows an earlier time than that: until it has caught up, events are recorded at that time.
    behind: bool,
}

#[derive(Serialize, JsonSchema)]
struct ViewForm {
    name: &'static str,
    #[schemars(with = "schema::Sequence")]
    position: Sequence,
    /// How many events it has yet to take over.
    lag: u64,
    #[schemars(with = "schema::Sequence")]
    snapshot: Sequence,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Sequence>")]
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

/// The same for whoever has no route: all of it is in memory.
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
        sequence: head,
        clock: ClockForm {
            now,
            recorded_at,
            behind: recorded_at.is_some_and(|recorded_at| now < recorded_at),
        },
        views: views.into(),
        store: StoreForm { epochs, bytes_on_disk, blobs },
        shipping: shipping.map(Into::into),
        fault_codes: faults.iter().map(HealthFault::code).collect(),
        faults: faults.iter().map(HealthFault::to_string).collect(),
    }
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Ready {
    ready: bool,
    #[schemars(with = "schema::Sequence")]
    sequence: Sequence,
}

/// `GET /readyz`.
pub(super) async fn ready(Authorised(ctx): Authorised) -> HttpAnswer<Ready> {
    readiness_of(&ctx.engine)
}

/// The same for whoever has no route.
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
