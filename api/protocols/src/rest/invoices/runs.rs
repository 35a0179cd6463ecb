//! Invoice runs over REST: opened, looked at, drawn up again, withdrawn, made final.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{StatusCode, Uri, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use slapledger_billing::{BillingView, DocumentState, Importance, Run, Warning};
use slapledger_core::domain::event::Stream;
use slapledger_core::domain::id::{InvoiceId, PartyId, PriceBookName, RunId, Sequence};
use slapledger_core::domain::invoice::{
    Bound, OpenInvoiceRun, RefreshInvoiceRun, RunPeriod, RunReason, WithdrawInvoiceRun,
};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_kit::answer::{HttpAnswer, precondition};
use slapledger_kit::code::ProblemCode;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::invoicing::{self, FinaliseError};

use crate::access::Authorised;
use crate::rest::change::{ChangedResource, ResourceChange};
use crate::rest::openapi::schema::{self, List};
use crate::rest::query::{self, Named, Query};
use crate::rest::usage::local;

/// What a run is to invoice.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RunWanted {
    /// May be left out if `payers` are named: then it is their current month until now.
    pub(super) period: Option<schema::AnyPeriod>,
    /// Whom to invoice; everybody, if it is left out.
    #[schemars(length(min = 1, max = 1000))]
    pub(super) payers: Option<Vec<schema::PartyId>>,
    /// Who sells; the user, if it is not said.
    pub(super) seller: Option<schema::PartyId>,
    /// For how long the drafts may be looked at, and none becomes final.
    #[schemars(range(max = 8784))]
    pub(super) grace_hours: Option<u32>,
    /// Whether its drafts become final by themselves: at once, or when the time of grace is over.
    pub(super) finalise: Option<bool>,
    /// By which prices; may be left out while there is but one price book.
    pub(super) price_book: Option<schema::PriceBookName>,
}

/// How long an answer waits for drafts.
const DRAFTS_PATIENCE: Duration = Duration::from_secs(10);

/// A run.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RunForm {
    id: RunId,
    state: DocumentState,
    seller: PartyId,
    #[schemars(with = "schema::RunPeriodBody")]
    period: RunPeriod,
    /// Whom it invoices; everybody, if it is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    payers: Vec<PartyId>,
    /// Why it was opened.
    reason: RunReason,
    price_book: PriceBookName,
    cut_off: Sequence,
    opened_at: Timestamp,
    /// When its drafts were drawn up last, if that was later.
    #[serde(skip_serializing_if = "Option::is_none")]
    refreshed_at: Option<Timestamp>,
    /// Until when its drafts may be looked at, and none becomes final.
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_until: Option<Timestamp>,
    /// Whether its drafts become final by themselves when that time is over.
    finalise: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    finalised_at: Option<Timestamp>,
    /// Its drafts are still being computed: `invoices` and `warnings` are empty until they are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    drafting: Option<bool>,
    invoices: Vec<InvoiceId>,
    /// How many of its drafts are approved, held, and neither.
    decided: DecidedDrafts,
    /// The most important first.
    warnings: Vec<WarningForm>,
    /// The last event of it.
    sequence: Sequence,
}

/// How many drafts are approved, held, and neither.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DecidedDrafts {
    approved: usize,
    held: usize,
    undecided: usize,
}

/// A warning, and what it says for people.
#[derive(Serialize, JsonSchema)]
pub(crate) struct WarningForm {
    #[serde(flatten)]
    warning: Warning,
    /// How much it matters.
    importance: Importance,
    message: String,
    /// What to do about it.
    remedy: &'static str,
}

impl WarningForm {
    pub(crate) fn of(warning: Warning) -> Self {
        let (importance, remedy) = (warning.importance(), warning.remedy());
        Self { importance, message: warning.to_string(), remedy, warning }
    }
}

impl RunForm {
    pub(super) fn of(view: &BillingView, run: &Run) -> Self {
        let (billing, opened) = (&view.billing, &run.opened);
        let mut warnings: Vec<WarningForm> = run.warnings.iter().cloned().map(WarningForm::of).collect();
        warnings.sort_by_key(|warning| warning.importance);
        let [approved, held, undecided] = billing.decided(opened.run);
        Self {
            id: opened.run,
            state: run.state(),
            seller: opened.seller,
            period: opened.period,
            payers: opened.payers.clone(),
            reason: opened.reason,
            price_book: opened.price_book.clone(),
            cut_off: opened.cut_off,
            opened_at: opened.at,
            refreshed_at: Some(run.drawn_up_at).filter(|at| *at != opened.at),
            grace_until: opened.grace_until,
            finalise: opened.finalise,
            finalised_at: run.finalised.map(|(at, _)| at),
            drafting: Some(view.is_drafting(opened.run)).filter(|drafting| *drafting),
            invoices: billing.documents_of(opened.run).map(|document| document.invoice.id.clone()).collect(),
            decided: DecidedDrafts { approved, held, undecided },
            warnings,
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
    // Without time for a look it is done here and now, and the caller is told what became of it.
    let at_once = finalise && grace_hours == 0;
    let payers: Option<Vec<PartyId>> =
        wanted.payers.map(|payers| payers.into_iter().map(Into::into).collect());
    if payers.as_ref().is_some_and(Vec::is_empty) {
        return Err(Problem::field(
            "payers",
            "must name at least one party; leave it out to invoice everybody",
        ));
    }
    let payers = payers.unwrap_or_default();
    let period = wanted.period.map_or_else(|| until_now(&ctx, &payers), |period| Ok(period.into()))?;
    let open = OpenInvoiceRun {
        seller: wanted.seller.map_or(FIRST_PARTY, Into::into),
        period,
        payers,
        reason: RunReason::Period,
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

/// The current month of some payers until now.
fn until_now(ctx: &RequestContext, payers: &[PartyId]) -> Result<RunPeriod, Problem> {
    let now = ctx.now();
    let mut months = ctx.billing().read(|view, _| {
        let calendars = payers.iter().filter_map(|payer| view.billing.calendar_of(*payer));
        calendars.map(|calendar| calendar.month_of(now).first()).collect::<Vec<_>>()
    });
    months.dedup();
    match months.as_slice() {
        [month] => Ok(RunPeriod { start: Bound::Day(*month), stop: Bound::Instant(now) }),
        [] => Err(Problem::field("period", "is missing; a month such as 2026-10 is one, or name `payers`")),
        _ => Err(Problem::field(
            "period",
            "is missing: the payers are in different months now; name START/STOP",
        )),
    }
}

/// Waits for the drafts of a run, for as long as for a sequence. If they take longer the answer says so, and they are
/// there when the run does not say so any more.
pub(super) async fn drafts_of(ctx: &RequestContext, run: RunId, min: Sequence) -> Result<(), Problem> {
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
    let (sent, schema::Nothing {}) = json_body::read_optional(request, json_body::MOST_BYTES).await?;
    if sent.headers.contains_key(header::IF_MATCH) {
        let (_, seen) = run_at(&ctx, run, ctx.ledger().head().last).await?;
        precondition(&sent.headers, || seen)?;
    }
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
    command: impl Fn(RunId) -> Command,
) -> Result<HttpAnswer<RunForm>, Problem> {
    let (sent, schema::Nothing {}) = json_body::read_optional(request, json_body::MOST_BYTES).await?;
    let change = ResourceChange::new(ctx, local(ctx), &sent)?;
    // What it is now is shown where it is asked for alone: the command decides about a run that there is not.
    let find = |view: &BillingView| {
        let form = view.billing.run(run).map(|known| RunForm::of(view, known));
        form.map(|form| to_raw_value(&form).map_err(|error| Problem::fault(&error))).transpose()
    };
    let accepted = change
        .carry_out(ChangedResource {
            stream: Stream::InvoiceRun(run),
            find,
            show: Clone::clone,
            command: |_: &Option<_>| Ok(command(run)),
        })
        .await?;
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
