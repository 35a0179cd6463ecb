//! What is missing before a run: `GET /v1/usage-gaps`.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::BillingView;
use slapledger_billing::gaps::{Gap, GapPlace, StillCharged};
use slapledger_core::domain::id::{ComputerId, InstanceId, ResourceId, Sequence};
use slapledger_core::domain::invoice::RunPeriod;
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::problem::Problem;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::context::RequestContext;

use super::openapi::schema::List;
use super::period::period;
use super::query::{self, Query};
use crate::access::Authorised;

/// The most instances and resources of a computer that are named.
const MOST_NAMED: usize = 10;
/// How many instances a count looks at, those of one computer at least.
const MOST_INSTANCES: usize = 1_000;
const HOUR_MICROS: u64 = 3_600_000_000;

/// Something that is missing.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum UsageGap {
    /// A computer reported nothing though instances were allocated on it.
    Silent { computer: ComputerId, start: Timestamp, stop: Timestamp, instances: u64 },
    /// Numbers of a computer's own count (`node_sequence`) that never came; what is missing stopped, it seems, from `since` to
    /// `until`.
    MissingReports {
        computer: ComputerId,
        after: u64,
        before: u64,
        count: u64,
        since: Timestamp,
        until: Timestamp,
    },
    /// Reports that may be about the period wait for somebody to resolve or dismiss them.
    Suspended { computer: ComputerId, events: u64, first_sequence: Sequence, last_sequence: Sequence },
    /// Nothing was reported of a resource of an instance while its computer reported other things; the first time it was so.
    SilentResource {
        computer: ComputerId,
        instance: InstanceId,
        resource: ResourceId,
        hours: u64,
        times: u64,
        start: Timestamp,
        stop: Timestamp,
    },
    /// A computer was silent for more than a day when the period ended; fees are charged for that time all the same.
    DeadComputer {
        computer: ComputerId,
        start: Timestamp,
        stop: Timestamp,
        instances: u64,
        charges: Vec<StillChargedForm>,
    },
}

/// Fees in one currency.
#[derive(Serialize, JsonSchema)]
pub(crate) struct StillChargedForm {
    currency: Currency,
    amount: Amount,
}

impl From<Gap> for UsageGap {
    fn from(gap: Gap) -> Self {
        match gap {
            Gap::Silent { computer, start, stop, instances } => {
                Self::Silent { computer, start, stop, instances }
            }
            Gap::MissingReports { computer, after, before, count, since, until } => {
                Self::MissingReports { computer, after, before, count, since, until }
            }
            Gap::Suspended { computer, events, first_sequence, last_sequence } => {
                Self::Suspended { computer, events, first_sequence, last_sequence }
            }
            Gap::SilentResource { computer, instance, resource, hours, times, start, stop } => {
                Self::SilentResource { computer, instance, resource, hours, times, start, stop }
            }
            Gap::DeadComputer { computer, start, stop, instances, charges } => {
                let charges = charges
                    .into_iter()
                    .map(|StillCharged { currency, amount }| StillChargedForm { currency, amount })
                    .collect();
                Self::DeadComputer { computer, start, stop, instances, charges }
            }
        }
    }
}

/// `GET /v1/usage-gaps`: by computer, silence first, then missing reports, then what is suspended. What is still to come is
/// not missing.
pub(super) async fn list(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<UsageGap>>, Problem> {
    let query = Query::read(&uri, &["period", "computer"])?;
    let period = period(&query)?;
    let computer: Option<ComputerId> = query.parse("computer")?;
    let (limit, after) = (query.limit()?, query.cursor::<GapCursor>()?);
    let position = query.position(&ctx).await?;
    let theirs = ctx.computers_seen(position).await?;
    ctx.rate(position, move |ctx, view, sequence| {
        let Some(over) = part_that_is_over(ctx, view, period)? else {
            return Ok(query::list(Vec::new(), None::<String>, sequence));
        };
        let wanted = |known: &ComputerId| {
            computer.as_ref().is_none_or(|computer| computer == known) && theirs.has(known)
        };
        let page = view.gaps(over, wanted, after.as_ref().map(|at| &at.0), limit);
        Ok(query::list(page.items.into_iter().map(Into::into).collect(), page.next.map(GapCursor), sequence))
    })
    .await
}

/// How much is missing, by computer.
#[derive(Serialize, JsonSchema)]
pub(crate) struct GapCounts {
    /// How many computers something is missing of.
    computers: u64,
    /// How many times something is.
    gaps: u64,
    /// How many computers were not looked at: a count looks at those with 1,000 instances together.
    computers_left_out: u64,
    /// By computer, those with the most hours first; as many as `limit` says.
    items: Vec<GapsOfComputer>,
    sequence: Sequence,
}

/// What is missing of a computer; what is suspended is not among it.
#[derive(Serialize, JsonSchema)]
struct GapsOfComputer {
    computer: ComputerId,
    gaps: u64,
    /// The most hours that one resource of an instance, or the computer, was silent.
    hours: u64,
    /// Whether it reported nothing at all for some time.
    is_silent: bool,
    /// How many of its reports never came, by its own count.
    missing_reports: u64,
    /// The instances of which resources are missing; at most 10.
    instances: Vec<InstanceId>,
    /// The resources that are missing; at most 10.
    resources: Vec<ResourceId>,
    start: Timestamp,
    stop: Timestamp,
}

impl GapsOfComputer {
    fn add(&mut self, gap: &Gap) {
        let (hours, start, stop) = match gap {
            Gap::Silent { start, stop, .. } | Gap::DeadComputer { start, stop, .. } => {
                self.is_silent = true;
                (hours_between(*start, *stop), start, stop)
            }
            Gap::MissingReports { count, since, until, .. } => {
                self.missing_reports = self.missing_reports.saturating_add(*count);
                (0, since, until)
            }
            Gap::SilentResource { instance, resource, hours, start, stop, .. } => {
                if self.instances.len() < MOST_NAMED && !self.instances.contains(instance) {
                    self.instances.push(*instance);
                }
                if self.resources.len() < MOST_NAMED && !self.resources.contains(resource) {
                    self.resources.push(resource.clone());
                }
                (*hours, start, stop)
            }
            Gap::Suspended { .. } => return,
        };
        self.gaps += 1;
        self.hours = self.hours.max(hours);
        self.start = self.start.min(*start);
        self.stop = self.stop.max(*stop);
    }
}

/// Begun hours.
fn hours_between(start: Timestamp, stop: Timestamp) -> u64 {
    u64::try_from(stop.micros().saturating_sub(start.micros())).unwrap_or(0).div_ceil(HOUR_MICROS)
}

/// The part of a period that is over, as the first party has it; `None`, if it has not begun.
fn part_that_is_over(
    ctx: &RequestContext,
    view: &BillingView,
    period: RunPeriod,
) -> Result<Option<Period>, Problem> {
    let calendar = view.billing.calendar_of(FIRST_PARTY);
    let within = calendar.and_then(|calendar| period.within(calendar));
    let within = within.ok_or_else(|| Problem::field("period", "must stop after it starts"))?;
    Ok(Period::new(within.start, within.stop.min(ctx.now())))
}

/// `GET /v1/usage-gap-counts`: the same as the list, counted by computer.
pub(super) async fn counts(Authorised(ctx): Authorised, uri: Uri) -> Result<HttpAnswer<GapCounts>, Problem> {
    let query = Query::read(&uri, &["period"])?;
    let period = period(&query)?;
    let limit = query.limit()?;
    let position = query.position(&ctx).await?;
    let theirs = ctx.computers_seen(position).await?;
    ctx.rate(position, move |ctx, view, sequence| {
        let (mut items, mut computers_left_out): (Vec<GapsOfComputer>, u64) = (Vec::new(), 0);
        if let Some(over) = part_that_is_over(ctx, view, period)? {
            let (gaps, left_out) = view.first_gaps(over, |known| theirs.has(known), MOST_INSTANCES);
            computers_left_out = left_out;
            for gap in gaps {
                let computer = gap.place().computer;
                if items.last().is_none_or(|last| last.computer != computer) {
                    items.push(GapsOfComputer {
                        computer,
                        gaps: 0,
                        hours: 0,
                        is_silent: false,
                        missing_reports: 0,
                        instances: Vec::new(),
                        resources: Vec::new(),
                        start: over.stop,
                        stop: over.start,
                    });
                }
                if let Some(last) = items.last_mut() {
                    last.add(&gap);
                }
            }
        }
        items.retain(|known| known.gaps > 0);
        let (computers, gaps) = (items.len() as u64, items.iter().map(|known| known.gaps).sum());
        items.sort_by_key(|known| std::cmp::Reverse((known.hours, known.gaps)));
        items.truncate(limit);
        Ok(HttpAnswer::ok(sequence, GapCounts { computers, gaps, computers_left_out, items, sequence }))
    })
    .await
}

/// A place in the list. The computer is last: its name may be anything.
struct GapCursor(GapPlace);

impl fmt::Display for GapCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GapPlace { computer, kind, at } = &self.0;
        write!(f, "{kind}.{at}.{computer}")
    }
}

impl FromStr for GapCursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '.');
        let mut next = || parts.next().ok_or(());
        let kind = next()?.parse().map_err(|_| ())?;
        let at = next()?.parse().map_err(|_| ())?;
        let computer = ComputerId::new(next()?).map_err(|_| ())?;
        Ok(Self(GapPlace { computer, kind, at }))
    }
}
