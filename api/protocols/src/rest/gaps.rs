//! What is missing before a run: `GET /v1/usage-gaps`.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::gaps::{Gap, GapPlace, StillCharged};
use slapledger_core::domain::id::{ComputerId, InstanceId, ResourceId, Sequence};
use slapledger_core::domain::invoice::RunPeriod;
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::problem::Problem;
use slapledger_usecases::caller::FIRST_PARTY;

use super::openapi::rules::bound;
use super::openapi::schema::{self, List};
use super::query::{self, Query};
use crate::access::Authorised;

/// Something that is missing.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum UsageGap {
    /// A computer reported nothing though instances were allocated on it.
    Silent {
        #[schemars(with = "schema::ComputerId")]
        computer: ComputerId,
        #[schemars(with = "schema::Instant")]
        start: Timestamp,
        #[schemars(with = "schema::Instant")]
        stop: Timestamp,
        instances: u64,
    },
    /// Numbers of a computer's own count (`node_sequence`) that never came; what is missing stopped, it seems, from `since` to
    /// `until`.
    MissingReports {
        #[schemars(with = "schema::ComputerId")]
        computer: ComputerId,
        after: u64,
        before: u64,
        count: u64,
        #[schemars(with = "schema::Instant")]
        since: Timestamp,
        #[schemars(with = "schema::Instant")]
        until: Timestamp,
    },
    /// Reports that may be about the period wait for somebody to resolve or dismiss them.
    Suspended {
        #[schemars(with = "schema::ComputerId")]
        computer: ComputerId,
        events: u64,
        #[schemars(with = "schema::Sequence")]
        first_sequence: Sequence,
        #[schemars(with = "schema::Sequence")]
        last_sequence: Sequence,
    },
    /// Nothing was reported of a resource of an instance while its computer reported other things; the first time it was so.
    SilentResource {
        #[schemars(with = "schema::ComputerId")]
        computer: ComputerId,
        #[schemars(with = "schema::InstanceId")]
        instance: InstanceId,
        #[schemars(with = "schema::ResourceId")]
        resource: ResourceId,
        hours: u64,
        times: u64,
        #[schemars(with = "schema::Instant")]
        start: Timestamp,
        #[schemars(with = "schema::Instant")]
        stop: Timestamp,
    },
    /// A computer was silent for more than a day when the period ended; fees are charged for that time all the same.
    DeadComputer {
        #[schemars(with = "schema::ComputerId")]
        computer: ComputerId,
        #[schemars(with = "schema::Instant")]
        start: Timestamp,
        #[schemars(with = "schema::Instant")]
        stop: Timestamp,
        instances: u64,
        charges: Vec<StillChargedForm>,
    },
}

/// Fees in one currency.
#[derive(Serialize, JsonSchema)]
pub(crate) struct StillChargedForm {
    #[schemars(with = "schema::Currency")]
    currency: Currency,
    #[schemars(with = "schema::Amount")]
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

/// START/STOP in a query, each a day or an instant.
pub(super) fn period(query: &Query) -> Result<RunPeriod, Problem> {
    start_stop(&query.required::<String>("period")?)
}

/// The same of a text.
pub(super) fn start_stop(text: &str) -> Result<RunPeriod, Problem> {
    let form = || Problem::field("period", "must be START/STOP, two days or RFC 3339 instants");
    let (start, stop) = text.split_once('/').ok_or_else(form)?;
    let bound = |text| bound(text).map_err(|rule| Problem::field("period", format!("{text} {rule}")));
    Ok(RunPeriod { start: bound(start)?, stop: bound(stop)? })
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
    let (limit, after) = (query.limit()?, query.cursor::<At>()?);
    let position = query.position(&ctx).await?;
    let theirs = ctx.computers_seen(position).await?;
    ctx.rate(position, move |ctx, view, sequence| {
        let calendar = view.billing.calendar_of(FIRST_PARTY);
        let within = calendar.and_then(|calendar| period.within(calendar));
        let within = within.ok_or_else(|| Problem::field("period", "must stop after it starts"))?;
        let Some(over) = Period::new(within.start, within.stop.min(ctx.now())) else {
            return Ok(query::list(Vec::new(), None::<String>, sequence));
        };
        let wanted = |known: &ComputerId| {
            computer.as_ref().is_none_or(|computer| computer == known) && theirs.has(known)
        };
        let page = view.gaps(over, wanted, after.as_ref().map(|at| &at.0), limit);
        Ok(query::list(page.items.into_iter().map(Into::into).collect(), page.next.map(At), sequence))
    })
    .await
}

/// A place in the list. The computer is last: its name may be anything.
struct At(GapPlace);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GapPlace { computer, kind, at } = &self.0;
        write!(f, "{kind}.{at}.{computer}")
    }
}

impl FromStr for At {
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
