//! Suspended usage: what cannot be metered until somebody puts it right or dismisses it, and how much of it there is.

use std::collections::BTreeMap;

use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::ReportedAgain;
use slapledger_core::domain::id::{ComputerId, InstanceId, Sequence};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::usage::{Unmeterable, UsageSuspended};
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::problem::Problem;
use slapledger_projections::metering::Suspense;

use crate::access::Authorised;
use crate::rest::openapi::schema::List;
use crate::rest::query::{self, Query};

/// The most computers whose suspended usage is counted apart.
const MOST_COMPUTERS: usize = 100;

/// A suspended event, as the list shows it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SuspenseForm {
    sequence: Sequence,
    computer: ComputerId,
    recorded_at: Timestamp,
    #[serde(flatten)]
    usage: UsageSuspended,
    field: &'static str,
    detail: String,
    /// What to do, if that can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<SuspenseSuggestion>,
}

/// What to do with suspended usage, and why.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SuspenseSuggestion {
    action: SuspenseAction,
    reason: String,
    /// The first event that meters the same time.
    sequence: Sequence,
    /// The instance it is metered for.
    instance: InstanceId,
}

/// What is done with suspended usage.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum SuspenseAction {
    Dismiss,
}

impl From<ReportedAgain> for SuspenseSuggestion {
    fn from(again: ReportedAgain) -> Self {
        let ReportedAgain { instance, first_sequence, events } = again;
        let by = if events == 1 { "event".to_owned() } else { format!("{events} events, first") };
        let reason = format!("the same time of {instance} was reported again by {by} {first_sequence}");
        Self { action: SuspenseAction::Dismiss, reason, sequence: first_sequence, instance }
    }
}

impl SuspenseForm {
    fn of(sequence: Sequence, suspense: &Suspense, again: Option<ReportedAgain>) -> Self {
        let Suspense { computer, recorded_at, usage } = suspense.clone();
        let (field, detail) = (usage.reason.field(), usage.reason.to_string());
        let suggestion = again.map(Into::into);
        Self { sequence, computer, recorded_at, usage, field, detail, suggestion }
    }
}

/// What suspended usage is filtered by.
struct SuspenseFilter {
    reason: Option<String>,
    computer: Option<ComputerId>,
}

impl SuspenseFilter {
    fn read(query: &Query) -> Result<Self, Problem> {
        let reason = query.text("reason").map(str::to_owned);
        if reason.as_deref().is_some_and(|reason| !Unmeterable::NAMES.contains(&reason)) {
            let rule = format!("must be one of {}", Unmeterable::NAMES.join(", "));
            return Err(Problem::field("reason", rule));
        }
        Ok(Self { reason, computer: query.parse("computer")? })
    }

    fn fits(&self, suspense: &Suspense) -> bool {
        self.reason.as_deref().is_none_or(|reason| suspense.usage.reason.name() == reason)
            && self.computer.as_ref().is_none_or(|computer| *computer == suspense.computer)
    }
}

/// `GET /v1/usage-suspense`.
pub(crate) async fn list(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<SuspenseForm>>, Problem> {
    let query = Query::read(&uri, &["reason", "computer"])?;
    let filter = SuspenseFilter::read(&query)?;
    let (limit, after) = (query.limit()?, query.cursor::<u64>()?.map_or(Sequence::ZERO, Sequence));
    let position = query.position(&ctx).await?;
    let theirs = ctx.computers_seen(position).await?;
    ctx.rate(position, move |_, view, sequence| {
        let is_wanted = |suspense: &Suspense| theirs.has(&suspense.computer) && filter.fits(suspense);
        let page = view.metering.suspense(is_wanted, after, limit);
        let places = view.instance_places(page.items.iter().map(|(_, suspense)| *suspense));
        let items = page.items.into_iter().map(|(at, suspense)| {
            let again = view.reported_again(&places, suspense);
            SuspenseForm::of(at, suspense, again)
        });
        Ok(query::list(items.collect(), page.next, sequence))
    })
    .await
}

/// How much usage is suspended.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SuspenseCounts {
    all: u64,
    /// By reason, the most first.
    reasons: Vec<ReasonCount>,
    /// By computer, the most first; at most 100.
    computers: Vec<SuspenseOfComputer>,
    /// How many computers there are in all.
    computer_count: u64,
    sequence: Sequence,
}

#[derive(Serialize, JsonSchema)]
struct ReasonCount {
    reason: &'static str,
    count: u64,
}

#[derive(Serialize, JsonSchema)]
struct SuspenseOfComputer {
    computer: ComputerId,
    count: u64,
}

/// `GET /v1/usage-suspense-counts`: of all that the caller may see.
pub(crate) async fn counts(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<SuspenseCounts>, Problem> {
    let query = Query::read(&uri, &["reason", "computer"])?;
    let filter = SuspenseFilter::read(&query)?;
    let position = query.position(&ctx).await?;
    let theirs = ctx.computers_seen(position).await?;
    ctx.rate(position, move |_, view, sequence| {
        let waiting = view.metering.waiting().map(|(_, suspense)| suspense);
        let waiting = waiting.filter(|suspense| theirs.has(&suspense.computer) && filter.fits(suspense));
        let (mut all, mut reasons, mut computers) = (0, BTreeMap::new(), BTreeMap::new());
        for suspense in waiting {
            all += 1;
            *reasons.entry(suspense.usage.reason.name()).or_insert(0) += 1;
            *computers.entry(&suspense.computer).or_insert(0) += 1;
        }
        let mut reasons: Vec<_> =
            reasons.into_iter().map(|(reason, count)| ReasonCount { reason, count }).collect();
        reasons.sort_by_key(|known| std::cmp::Reverse(known.count));
        let computer_count = computers.len() as u64;
        let mut computers: Vec<(&ComputerId, u64)> = computers.into_iter().collect();
        computers.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let computers = computers.into_iter().take(MOST_COMPUTERS);
        let computers =
            computers.map(|(computer, count)| SuspenseOfComputer { computer: computer.clone(), count });
        let counts =
            SuspenseCounts { all, reasons, computers: computers.collect(), computer_count, sequence };
        Ok(HttpAnswer::ok(sequence, counts))
    })
    .await
}
