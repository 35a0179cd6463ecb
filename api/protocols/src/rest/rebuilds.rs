//! Generations of the projections: made from the log while the live one serves, compared, swapped, and swapped back.
//!
//! Projections of one view share their generations: a rebuild of one of them rebuilds all of them.

pub(super) mod describe;
mod follow;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::{ProjectId, Sequence};
use slapledger_engine::Engine;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_kit::{conflict, json_body};
use slapledger_projections::ViewPart;
use slapledger_projections::rows::{RowChange, RowDifference};
use slapledger_projections::runner::rebuild::{
    AsideState, BuildProgress, RebuildFault, RebuildOutcome, Rebuilt, RebuiltView, ViewGenerations, rebuilt,
};
use slapledger_usecases::context::RequestContext;

use self::describe::RebuildWish;
use super::openapi::schema;
use super::query::{Named, Query};
use crate::access::Authorised;

pub(super) use follow::follow;

/// How long a rebuild is waited for; after that its sender looks at its generations. Beside other tests it may take long.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 2 });
/// The same of one that is held back: it takes long.
const THROTTLED_PATIENCE: Duration = Duration::from_millis(100);
/// When to look again.
const RETRY_AFTER_SECONDS: u32 = 1;

/// What a rebuild came to.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RebuiltForm {
    /// The projection that was asked for.
    #[serde(flatten)]
    projection: ComparedForm,
    /// All that were rebuilt with it, itself included.
    projections: Vec<ComparedForm>,
    /// The generation that was made.
    generation: u64,
    /// Whether it is live: a generation that differs waits until somebody swaps it in.
    swapped: bool,
    differences: DifferencesForm,
    sequence: Sequence,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct ComparedForm {
    name: &'static str,
    /// Of the new generation.
    digest: String,
    /// Of the one before.
    before: String,
    /// Whether it came back byte for byte.
    same: bool,
    bytes: u64,
}

impl ComparedForm {
    fn of(before: &ViewPart, after: &ViewPart) -> Self {
        let (digest, same) = (after.digest.to_string(), before == after);
        Self { name: after.name, digest, before: before.digest.to_string(), same, bytes: after.bytes }
    }

    fn all(rebuilt: &Rebuilt) -> Vec<Self> {
        rebuilt.before.iter().zip(&rebuilt.after).map(|(before, after)| Self::of(before, after)).collect()
    }
}

/// The rows in which two generations differ.
#[derive(Debug, Serialize, JsonSchema)]
struct DifferencesForm {
    /// How many they are.
    count: u64,
    /// The first 100 of them.
    items: Vec<DifferenceForm>,
}

impl DifferencesForm {
    fn of(rebuilt: &Rebuilt) -> Self {
        let items = rebuilt.differences.first.iter().map(DifferenceForm::of).collect();
        Self { count: rebuilt.differences.count, items }
    }
}

/// A row in which two generations differ.
#[derive(Debug, Serialize, JsonSchema)]
struct DifferenceForm {
    projection: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<ProjectId>,
    table: &'static str,
    key: String,
    change: ChangeForm,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ChangeForm {
    /// The new generation alone has it.
    Added,
    /// The new generation lacks it.
    Removed,
    /// It holds something else.
    Changed,
}

impl DifferenceForm {
    fn of(difference: &RowDifference) -> Self {
        let RowDifference { projection, row, change } = difference;
        let change = match change {
            RowChange::Added => ChangeForm::Added,
            RowChange::Removed => ChangeForm::Removed,
            RowChange::Changed => ChangeForm::Changed,
        };
        Self { projection, project: row.project, table: row.table, key: row.key.clone(), change }
    }
}

/// What a generation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum GenerationState {
    /// It answers readers.
    Live,
    /// It is derived from the log.
    Building,
    /// It is compared with the live one.
    Comparing,
    /// It waits for a swap.
    Ready,
    /// It is about to become the live one.
    Swapping,
    /// It was the live one, and can be swapped back.
    Previous,
}

/// One generation of a view.
#[derive(Debug, Serialize, JsonSchema)]
struct GenerationForm {
    /// Counted since the server started.
    number: u64,
    state: GenerationState,
    /// The last event in it.
    position: Sequence,
    /// How many events it will have.
    #[serde(skip_serializing_if = "Option::is_none")]
    events_total: Option<u64>,
    /// How many it takes over in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    events_per_second: Option<u64>,
    /// How long it will take.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_left: Option<u64>,
    /// How long it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_seconds: Option<u64>,
}

/// What became of the last rebuild.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RebuildOutcomeForm {
    /// It waits for a swap.
    Ready,
    /// It became the live generation.
    Swapped,
    /// The previous generation is live again.
    SwappedBack,
    /// It was cancelled, or waited too long.
    Cancelled,
    /// It failed; `cause` says why.
    Failed,
}

/// The last rebuild that ended, or waits for a swap.
#[derive(Debug, Serialize, JsonSchema)]
struct LatestForm {
    /// Its generation.
    number: u64,
    outcome: RebuildOutcomeForm,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    /// The digests that were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    projections: Option<Vec<ComparedForm>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    differences: Option<DifferencesForm>,
}

impl LatestForm {
    fn of((number, outcome): (u64, RebuildOutcome)) -> Self {
        let (outcome, compared, cause) = match outcome {
            RebuildOutcome::Ready(rebuilt) => (RebuildOutcomeForm::Ready, Some(rebuilt), None),
            RebuildOutcome::Swapped(rebuilt) => (RebuildOutcomeForm::Swapped, Some(rebuilt), None),
            RebuildOutcome::SwappedBack(rebuilt) => (RebuildOutcomeForm::SwappedBack, Some(rebuilt), None),
            RebuildOutcome::Cancelled => (RebuildOutcomeForm::Cancelled, None, None),
            RebuildOutcome::Failed(cause) => (RebuildOutcomeForm::Failed, None, Some(cause.to_string())),
        };
        let compared = compared.as_deref();
        let (projections, differences) = (compared.map(ComparedForm::all), compared.map(DifferencesForm::of));
        Self { number, outcome, cause, projections, differences }
    }
}

/// The generations of the view of a projection.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GenerationsForm {
    view: &'static str,
    /// All projections of the view.
    projections: Vec<&'static str>,
    /// The live one first.
    items: Vec<GenerationForm>,
    latest: Option<LatestForm>,
    sequence: Sequence,
}

impl GenerationsForm {
    fn of(generations: ViewGenerations, projections: Vec<&'static str>) -> Self {
        let ViewGenerations { view, live, position, aside, latest } = generations;
        let form = |number, state, position| GenerationForm {
            number,
            state,
            position,
            events_total: None,
            events_per_second: None,
            seconds_left: None,
            kept_seconds: None,
        };
        let mut items = vec![form(live, GenerationState::Live, position)];
        items.extend(aside.map(|aside| {
            let form = |state| form(aside.number, state, aside.position);
            let kept = |left: Duration| Some(left.as_secs());
            match aside.state {
                AsideState::Building(progress) => {
                    let BuildProgress { total, events_per_second, seconds_left, .. } = progress;
                    let (total, rate) = (Some(total.0), Some(events_per_second));
                    let form = form(GenerationState::Building);
                    GenerationForm { events_total: total, events_per_second: rate, seconds_left, ..form }
                }
                AsideState::Comparing => form(GenerationState::Comparing),
                AsideState::Ready(_, left) => {
                    GenerationForm { kept_seconds: kept(left), ..form(GenerationState::Ready) }
                }
                AsideState::Swapping => form(GenerationState::Swapping),
                AsideState::Previous(_, left) => {
                    GenerationForm { kept_seconds: kept(left), ..form(GenerationState::Previous) }
                }
            }
        }));
        let latest = latest.map(LatestForm::of);
        Self { view, projections, items, latest, sequence: position }
    }

    /// Whether the server still works on a generation.
    fn is_at_work(&self) -> bool {
        use GenerationState::{Building, Comparing, Swapping};
        self.items.iter().any(|item| matches!(item.state, Building | Comparing | Swapping))
    }
}

fn unknown(name: &str) -> Problem {
    Problem::not_found(format!("there is no projection {name}"))
}

/// The generations of the view of a projection, as they are now.
fn generations_of(engine: &Engine, name: &str) -> Result<GenerationsForm, Problem> {
    let (view, projections) = engine.view_of(name).ok_or_else(|| unknown(name))?;
    Ok(GenerationsForm::of(view.generations(), projections))
}

/// Does what touches a view where it may take long: freeing a generation does.
async fn with_view<T: Send + 'static>(
    ctx: &RequestContext,
    name: &str,
    work: impl FnOnce(&dyn RebuiltView) -> Result<T, RebuildFault> + Send + 'static,
) -> Result<T, Problem> {
    let (engine, name) = (Arc::clone(&ctx.engine), name.to_owned());
    let done = tokio::task::spawn_blocking(move || {
        let (view, _) = engine.view_of(&name).ok_or_else(|| unknown(&name))?;
        work(view).map_err(|fault| problem(&fault))
    });
    done.await.map_err(|error| Problem::fault(&error))?
}

fn problem(fault: &RebuildFault) -> Problem {
    let code = match fault {
        RebuildFault::UnderWay { .. } => ProblemCode::RebuildUnderWay,
        RebuildFault::Unconfirmed { .. } => ProblemCode::GenerationUnconfirmed,
        RebuildFault::NothingToCancel { .. }
        | RebuildFault::NotReady { .. }
        | RebuildFault::NoPrevious { .. } => ProblemCode::NoSuchGeneration,
        RebuildFault::Cancelled { .. } => ProblemCode::RebuildCancelled,
        RebuildFault::Closed { .. } => {
            return Problem::later(ProblemCode::Unavailable, fault.to_string(), 30);
        }
        RebuildFault::Failed { .. } => return Problem::fault(fault),
    };
    conflict::of_code(code, fault.to_string())
}

/// `GET /v1/projections/{name}/generations`.
pub(super) async fn generations(
    Authorised(ctx): Authorised,
    Named(name): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<GenerationsForm>, Problem> {
    Query::read(&uri, &[])?.position(&ctx).await?;
    let form = generations_of(&ctx.engine, &name)?;
    Ok(HttpAnswer::ok(form.sequence, form))
}

/// `POST /v1/projections/{name}/rebuild`: answers what it came to, if that does not take long, and else where to look.
pub(super) async fn rebuild(
    Authorised(ctx): Authorised,
    Named(name): Named<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (_, wish): (_, RebuildWish) = json_body::read_optional(request, json_body::MOST_BYTES).await?;
    let most = wish.most_events_per_second.and_then(|most| NonZeroU64::new(most.0.get().into()));
    let wanted = ctx.engine.rebuilds.request(wish.swap.unwrap_or(true), most);
    let number = with_view(&ctx, &name, |view| view.begin_rebuild(wanted)).await?;
    let (view, projections) = ctx.engine.view_of(&name).ok_or_else(|| unknown(&name))?;
    let fault = |fault: RebuildFault| Err(problem(&fault));
    let patience = if most.is_some() { THROTTLED_PATIENCE } else { PATIENCE };
    let outcome = rebuilt(view, number, patience).await;
    let now = view.generations();
    let view_name = now.view;
    // What ended meanwhile is not under way: one look says both.
    let ended = now.latest.clone().filter(|(of, _)| *of == number).map(|(_, outcome)| outcome);
    let (rebuilt, swapped) = match outcome.or(ended) {
        Some(RebuildOutcome::Ready(rebuilt)) => (rebuilt, false),
        Some(RebuildOutcome::Swapped(rebuilt) | RebuildOutcome::SwappedBack(rebuilt)) => (rebuilt, true),
        Some(RebuildOutcome::Cancelled) => return fault(RebuildFault::Cancelled { name: view_name }),
        Some(RebuildOutcome::Failed(cause)) => return fault(RebuildFault::Failed { name: view_name, cause }),
        None => {
            let form = GenerationsForm::of(now, projections);
            let answer = HttpAnswer::new(StatusCode::ACCEPTED, form.sequence, form);
            let place = format!("/v1/projections/{name}/generations");
            return Ok(answer.located(&place).retry_after(RETRY_AFTER_SECONDS).into_response());
        }
    };
    let projections = ComparedForm::all(&rebuilt);
    let asked = projections.iter().find(|compared| compared.name == name).cloned();
    let projection =
        asked.ok_or_else(|| Problem::fault(&format!("{name} was not among what was rebuilt")))?;
    let (sequence, differences) = (rebuilt.sequence, DifferencesForm::of(&rebuilt));
    let form = RebuiltForm { projection, projections, generation: number, swapped, differences, sequence };
    Ok(HttpAnswer::ok(sequence, form).into_response())
}

/// Changes the generations, and answers how they are when nothing goes on any more, or soon.
async fn changed(
    ctx: &RequestContext,
    name: &str,
    request: Request,
    change: fn(&dyn RebuiltView) -> Result<(), RebuildFault>,
) -> Result<HttpAnswer<GenerationsForm>, Problem> {
    json_body::read_optional::<schema::Nothing>(request, json_body::MOST_BYTES).await?;
    with_view(ctx, name, change).await?;
    let (view, _) = ctx.engine.view_of(name).ok_or_else(|| unknown(name))?;
    let mut told = view.generations_changed();
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        told.mark_unchanged();
        let form = generations_of(&ctx.engine, name)?;
        let waits = form.is_at_work();
        if !waits || !matches!(tokio::time::timeout_at(until, told.changed()).await, Ok(Ok(()))) {
            return Ok(HttpAnswer::ok(form.sequence, form));
        }
    }
}

/// `POST /v1/projections/{name}/rebuild/cancel`.
pub(super) async fn cancel(
    Authorised(ctx): Authorised,
    Named(name): Named<String>,
    request: Request,
) -> Result<HttpAnswer<GenerationsForm>, Problem> {
    changed(&ctx, &name, request, |view| view.cancel_rebuild()).await
}

/// `POST /v1/projections/{name}/rebuild/swap`.
pub(super) async fn swap(
    Authorised(ctx): Authorised,
    Named(name): Named<String>,
    request: Request,
) -> Result<HttpAnswer<GenerationsForm>, Problem> {
    changed(&ctx, &name, request, |view| view.swap_rebuilt()).await
}

/// `POST /v1/projections/{name}/rebuild/confirm`.
pub(super) async fn confirm(
    Authorised(ctx): Authorised,
    Named(name): Named<String>,
    request: Request,
) -> Result<HttpAnswer<GenerationsForm>, Problem> {
    changed(&ctx, &name, request, |view| view.confirm_rebuilt()).await
}

/// `POST /v1/projections/{name}/rebuild/swap-back`.
pub(super) async fn swap_back(
    Authorised(ctx): Authorised,
    Named(name): Named<String>,
    request: Request,
) -> Result<HttpAnswer<GenerationsForm>, Problem> {
    changed(&ctx, &name, request, |view| view.swap_back()).await
}

#[cfg(test)]
mod tests;
