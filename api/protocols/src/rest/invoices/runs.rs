//! Invoice runs over REST: opened, looked at, drawn up again, withdrawn, made final.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::{BillingView, DocumentState, Run, Warning};
use slapledger_core::domain::id::{InvoiceId, PartyId, PriceBookName, RunId, Sequence};
use slapledger_core::domain::invoice::{OpenInvoiceRun, RefreshInvoiceRun, RunPeriod, WithdrawInvoiceRun};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::invoicing::{self, FinaliseError};

use super::describe::RunWanted;
use crate::access::Authorised;
use crate::rest::openapi::schema::{self, List};
use crate::rest::query::{self, Named, Query};
use crate::rest::usage::local;

/// How long an answer waits for drafts.
const DRAFTS_PATIENCE: Duration = Duration::from_secs(10);

/// A run.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RunForm {
    #[schemars(with = "schema::RunId")]
    id: RunId,
    #[schemars(with = "schema::DocumentState")]
    state: DocumentState,
    #[schemars(with = "schema::PartyId")]
    seller: PartyId,
    #[schemars(with = "schema::RunPeriod")]
    period: RunPeriod,
    #[schemars(with = "schema::PriceBookName")]
    price_book: PriceBookName,
    #[schemars(with = "schema::Sequence")]
    cut_off: Sequence,
    #[schemars(with = "schema::Instant")]
    opened_at: Timestamp,
    /// When its drafts were drawn up last, if that was later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Instant>")]
    refreshed_at: Option<Timestamp>,
    /// Until when its drafts may be looked at, and none becomes final.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Instant>")]
    grace_until: Option<Timestamp>,
    /// Whether its drafts become final by themselves when that time is over.
    finalise: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Instant>")]
    finalised_at: Option<Timestamp>,
    /// Its drafts are still being computed: `invoices` and `warnings` are empty until they are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    drafting: Option<bool>,
    #[schemars(with = "Vec<schema::InvoiceId>")]
    invoices: Vec<InvoiceId>,
    warnings: Vec<WarningForm>,
    /// The last event of it.
    #[schemars(with = "schema::Sequence")]
    sequence: Sequence,
}

/// A warning, and what it says for people.
#[derive(Serialize, JsonSchema)]
pub(crate) struct WarningForm {
    #[serde(flatten)]
    #[schemars(with = "schema::Warning")]
    warning: Warning,
    message: String,
}

impl WarningForm {
    pub(crate) fn of(warning: Warning) -> Self {
        Self { message: warning.to_string(), warning }
    }
}

impl RunForm {
    fn of(view: &BillingView, run: &Run) -> Self {
        let (billing, opened) = (&view.billing, &run.opened);
        let warnings = run.warnings.iter().cloned().map(WarningForm::of);
        Self {
            id: opened.run,
            state: run.state(),
            seller: opened.seller,
            period: opened.period,
            price_book: opened.price_book.clone(),
            cut_off: opened.cut_off,
            opened_at: opened.at,
            refreshed_at: Some(run.drawn_up_at).filter(|at| *at != opened.at),
            grace_until: opened.grace_until,
            finalise: opened.finalise,
            finalised_at: run.finalised.map(|(at, _)| at),
            drafting: Some(view.is_drafting(opened.run)).filter(|drafting| *drafting),
            invoices: billing.documents_of(opened.run).map(|document| document.invoice.id.clone()).collect(),
            warnings: warnings.collect(),
            sequence: run.finalised.map_or(run.sequence, |(_, sequence)| sequence),
        }
    }
}

/// `POST /v1/invoice-runs`: opens a run, which fixes its drafts; `finalise` makes them final too, at once or when the
/// time of grace is over.
pub(crate) async fn open_run(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<RunForm>, Problem> {
    let (sent, wanted) = json_body::read::<RunWanted>(request, json_body::MOST_BYTES).await?;
    let (grace_hours, finalise) = (wanted.grace_hours.unwrap_or(0), wanted.finalise.unwrap_or(false));
    // Without time for a look it is done here and now, and whoever asks for it is told what became of it.
    let at_once = finalise && grace_hours == 0;
    let open = OpenInvoiceRun {
        seller: wanted.seller.map_or(FIRST_PARTY, Into::into),
        period: wanted.period.into(),
        price_book: wanted.price_book.map(Into::into),
        grace_hours,
        finalise: finalise && !at_once,
    };

    let meta = query::meta(&ctx, local(&ctx), &sent.headers, &sent.content())?;
    let command = Command::OpenInvoiceRun(open);
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let Answer::InvoiceRun(run) = accepted.answer else {
        return Err(Problem::fault(&"an invoice run was answered otherwise"));
    };
    let mut sequence = accepted.sequence;
    if at_once {
        // The run is there whatever becomes of the rest: every error names it.
        let finalised = invoicing::finalise(&ctx, local(&ctx), run).await.map_err(|error| {
            let names_it = matches!(error, FinaliseError::OpenedEarly(_));
            let problem = Problem::from(error);
            let detail =
                if names_it { problem.detail } else { format!("{run} was opened; {}", problem.detail) };
            Problem { detail, ..problem }
        })?;
        sequence = finalised.sequence;
    }
    drafts_of(&ctx, run, sequence).await?;
    let (sequence, form) = run_at(&ctx, run, sequence).await?;
    Ok(HttpAnswer::new(StatusCode::CREATED, sequence, form))
}

/// Waits for the drafts of a run, for as long as for a sequence. If they take longer the answer says so, and they are
/// there when the run does not say so any more.
async fn drafts_of(ctx: &RequestContext, run: RunId, min: Sequence) -> Result<(), Problem> {
    ctx.billing().reach(min).await?;
    let there = |view: &BillingView, _| (!view.is_drafting(run)).then_some(());
    let _ = ctx.billing().read_when(DRAFTS_PATIENCE, there).await;
    Ok(())
}

async fn run_at(ctx: &RequestContext, run: RunId, min: Sequence) -> Result<(Sequence, RunForm), Problem> {
    let read = ctx.billing().read_at(min, |view, sequence| {
        let known = view.billing.run(run)?;
        Some((sequence, RunForm::of(view, known)))
    });
    read.await?.ok_or_else(|| unknown_run(&run.to_string()))
}

pub(crate) fn unknown_run(run: &str) -> Problem {
    Problem::unknown(ProblemCode::RunUnknown, format!("there is no invoice run {run}"))
}

pub(crate) fn run_named(name: &str) -> Result<RunId, Problem> {
    name.parse().map_err(|_| unknown_run(name))
}

/// `POST /v1/invoice-runs/{id}/finalise`: drafts become invoices; done again it changes nothing.
pub(crate) async fn finalise_run(
    Authorised(ctx): Authorised,
    Named(run): Named<String>,
    request: Request,
) -> Result<HttpAnswer<RunForm>, Problem> {
    let run = run_named(&run)?;
    json_body::read_optional::<schema::Nothing>(request, json_body::MOST_BYTES).await?;
    let finalised = invoicing::finalise(&ctx, local(&ctx), run).await?;
    let (sequence, form) = run_at(&ctx, run, finalised.sequence).await?;
    Ok(HttpAnswer::ok(sequence, form))
}

/// `POST /v1/invoice-runs/{id}/refresh`: its drafts are drawn up again from all that is known by now.
pub(crate) async fn refresh_run(
    Authorised(ctx): Authorised,
    Named(run): Named<String>,
    request: Request,
) -> Result<HttpAnswer<RunForm>, Problem> {
    carry_out(&ctx, request, run_named(&run)?, |run| Command::RefreshInvoiceRun(RefreshInvoiceRun { run }))
        .await
}

/// `POST /v1/invoice-runs/{id}/withdraw`: its drafts are given up.
pub(crate) async fn withdraw_run(
    Authorised(ctx): Authorised,
    Named(run): Named<String>,
    request: Request,
) -> Result<HttpAnswer<RunForm>, Problem> {
    carry_out(&ctx, request, run_named(&run)?, |run| Command::WithdrawInvoiceRun(WithdrawInvoiceRun { run }))
        .await
}

async fn carry_out(
    ctx: &RequestContext,
    request: Request,
    run: RunId,
    command: impl FnOnce(RunId) -> Command,
) -> Result<HttpAnswer<RunForm>, Problem> {
    let (sent, schema::Nothing {}) = json_body::read_optional(request, json_body::MOST_BYTES).await?;
    let meta = query::meta(ctx, local(ctx), &sent.headers, &sent.content())?;
    let accepted = ctx.ledger().submit(Submission { meta, command: command(run) }).await?;
    drafts_of(ctx, run, accepted.sequence).await?;
    let (sequence, form) = run_at(ctx, run, accepted.sequence).await?;
    Ok(HttpAnswer::ok(sequence, form))
}

/// `GET /v1/invoice-runs/{id}`.
pub(crate) async fn show_run(
    Authorised(ctx): Authorised,
    Named(run): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<RunForm>, Problem> {
    let run = run_named(&run)?;
    let position = Query::read(&uri, &[])?.position(&ctx).await?;
    let (sequence, form) = run_at(&ctx, run, position).await?;
    Ok(HttpAnswer::resource(sequence, form))
}

/// `GET /v1/invoice-runs`, in the order they were opened.
pub(crate) async fn list_runs(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<RunForm>>, Problem> {
    let query = Query::read(&uri, &[])?;
    let (limit, after) = (query.limit()?, query.cursor::<RunId>()?);
    let position = query.position(&ctx).await?;
    ctx.billing().reach(position).await?;
    Ok(ctx.billing().read(|view, sequence| {
        let page = view.billing.runs(after, limit);
        let items = page.items.into_iter().map(|run| RunForm::of(view, run)).collect();
        query::list(items, page.next, sequence)
    }))
}
