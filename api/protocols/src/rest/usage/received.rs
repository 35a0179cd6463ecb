//! `GET /v1/usage-receipts`: what became of usage events that were sent since the program started.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{ComputerId, Sequence};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::usage::{Usage, UsageSuspended};
use slapledger_core::log::envelope::Recorded;
use slapledger_engine::receipts::{
    ListedReceipt, ReceiptCounts, ReceiptOutcome, UsageReceipt, UsageReporter,
};
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::problem::Problem;

use crate::access::Authorised;
use crate::rest::log;
use crate::rest::query::Query;

/// What became of a usage event.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReceiptOutcomeName {
    Accepted,
    Duplicate,
    Suspended,
    Rejected,
}

impl From<ReceiptOutcome> for ReceiptOutcomeName {
    fn from(outcome: ReceiptOutcome) -> Self {
        match outcome {
            ReceiptOutcome::Accepted => Self::Accepted,
            ReceiptOutcome::Duplicate => Self::Duplicate,
            ReceiptOutcome::Suspended => Self::Suspended,
            ReceiptOutcome::Rejected => Self::Rejected,
        }
    }
}

/// Receipts, the newest first, and counts of all there were.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReceiptList {
    items: Vec<ReceiptForm>,
    /// The cursor of the next page; null, if there is none.
    next: Option<String>,
    /// Since when events are counted: when the program started.
    since: Timestamp,
    /// Of all computers, whatever is listed.
    totals: ReceiptCountsForm,
    computers: Vec<ComputerReceiptCounts>,
    sequence: Sequence,
}

/// How many events became what.
#[derive(Default, Serialize, JsonSchema)]
pub(crate) struct ReceiptCountsForm {
    accepted: u64,
    duplicate: u64,
    suspended: u64,
    rejected: u64,
}

impl ReceiptCountsForm {
    fn add(&mut self, counts: ReceiptCounts) {
        self.accepted += counts.of(ReceiptOutcome::Accepted);
        self.duplicate += counts.of(ReceiptOutcome::Duplicate);
        self.suspended += counts.of(ReceiptOutcome::Suspended);
        self.rejected += counts.of(ReceiptOutcome::Rejected);
    }
}

/// The same of one computer.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ComputerReceiptCounts {
    /// Null for events of no computer that is known.
    computer: Option<ComputerId>,
    #[serde(flatten)]
    counts: ReceiptCountsForm,
}

/// What became of one event, and what to do about it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReceiptForm {
    /// Its number among all receipts.
    number: u64,
    /// Null, if it names no computer that is known.
    computer: Option<ComputerId>,
    outcome: ReceiptOutcomeName,
    received_at: Timestamp,
    /// The sender's id of the event, if it had one that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The event in the log: itself, the one that it repeats, or the one that it contradicts.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<Sequence>,
    /// What that event says.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<Timestamp>,
    /// The member that is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Why it was suspended or rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What to do about it.
    remedy: &'static str,
}

impl ReceiptForm {
    fn of(listed: ListedReceipt, recorded: Option<&Recorded>) -> Self {
        let ListedReceipt { computer, outcome, receipt } = listed;
        let UsageReceipt { number, received_at, id, sequence, field, reason } = receipt;
        let text = |text: Option<Box<str>>| text.map(String::from);
        let mut form = Self {
            number,
            computer,
            outcome: outcome.into(),
            received_at,
            id: text(id),
            sequence,
            subject: None,
            resource: None,
            quantity: None,
            start: None,
            stop: None,
            field: text(field),
            reason: text(reason),
            remedy: remedy(outcome, sequence),
        };
        match recorded.map(|recorded| &recorded.event) {
            Some(Event::UsageRecorded(usage)) => form.says(usage),
            Some(Event::UsageCorrected(corrected)) => form.says(&corrected.usage),
            Some(Event::UsageSuspended(suspended)) => form.says_suspended(suspended),
            _ => {}
        }
        form
    }

    fn says(&mut self, usage: &Usage) {
        self.id.get_or_insert_with(|| usage.id.to_string());
        self.subject = Some(usage.subject.to_string());
        self.resource = Some(usage.resource.to_string());
        self.quantity = Some(usage.quantity.to_string());
        (self.start, self.stop) = (Some(usage.period.start), Some(usage.period.stop));
    }

    fn says_suspended(&mut self, suspended: &UsageSuspended) {
        self.id.get_or_insert_with(|| suspended.id.to_string());
        self.subject = Some(suspended.subject.to_string());
        self.resource = Some(suspended.resource.to_string());
        self.quantity = Some(suspended.quantity.to_string());
        (self.start, self.stop) = (suspended.start, suspended.stop);
    }
}

fn remedy(outcome: ReceiptOutcome, sequence: Option<Sequence>) -> &'static str {
    match outcome {
        ReceiptOutcome::Accepted => "nothing: it is metered",
        ReceiptOutcome::Duplicate => "nothing: it was recorded when it came first",
        ReceiptOutcome::Suspended => "resolve or dismiss it, unless somebody has",
        ReceiptOutcome::Rejected if sequence.is_some() => {
            "send it with an id of its own, or with `replaces` if it corrects the event that has its id"
        }
        ReceiptOutcome::Rejected => "correct the member at the sender, and send the event again",
    }
}

fn outcome(query: &Query) -> Result<Option<ReceiptOutcome>, Problem> {
    let Some(text) = query.text("outcome") else { return Ok(None) };
    let known = ReceiptOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == text);
    let rule = "must be accepted, duplicate, suspended or rejected";
    known.map(Some).ok_or_else(|| Problem::field("outcome", rule))
}

/// `GET /v1/usage-receipts`.
pub(crate) async fn list(Authorised(ctx): Authorised, uri: Uri) -> Result<HttpAnswer<ReceiptList>, Problem> {
    let query = Query::read(&uri, &["computer", "outcome"])?;
    let wanted: Option<ComputerId> = query.parse("computer")?;
    let outcome = outcome(&query)?;
    let (limit, before) = (query.limit()?, query.cursor::<u64>()?.unwrap_or(u64::MAX));
    let position = query.position(&ctx).await?;
    let theirs = ctx.computers_seen(position).await?;
    let is_theirs =
        |who: &UsageReporter| who.as_ref().map_or(theirs.are_all(), |computer| theirs.has(computer));
    let is_wanted =
        |who: &UsageReporter| is_theirs(who) && (wanted.is_none() || wanted.as_ref() == who.as_ref());
    let receipts = &ctx.engine.receipts;
    let counts = receipts.counts(ctx.project, is_theirs);
    let mut listed = receipts.last(ctx.project, (is_wanted, outcome), (before, limit + 1));
    let is_more = listed.len() > limit;
    listed.truncate(limit);
    let next = listed.last().filter(|_| is_more).map(|last| last.receipt.number.to_string());
    let sequences: BTreeSet<Sequence> = listed.iter().filter_map(|listed| listed.receipt.sequence).collect();
    let store = Arc::clone(ctx.ledger().store());
    let found = tokio::task::spawn_blocking(move || log::events(&*store, sequences)).await;
    let found = found.map_err(|error| Problem::fault(&error))??;
    let items = listed.into_iter().map(|listed| {
        let recorded = listed.receipt.sequence.and_then(|sequence| found.get(&sequence));
        ReceiptForm::of(listed, recorded)
    });
    let mut totals = ReceiptCountsForm::default();
    let computers = counts.into_iter().map(|(computer, known)| {
        let mut counts = ReceiptCountsForm::default();
        counts.add(known);
        totals.add(known);
        ComputerReceiptCounts { computer, counts }
    });
    let computers = computers.collect();
    let (items, since) = (items.collect(), receipts.since());
    let body = ReceiptList { items, next, since, totals, computers, sequence: position };
    Ok(HttpAnswer::ok(position, body))
}
