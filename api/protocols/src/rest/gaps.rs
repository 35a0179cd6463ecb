//! What is missing before a run: `GET /v1/usage-gaps`.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use axum::http::Uri;
use axum::response::Response;
use slapledger_billing::gaps::GapPlace;
use slapledger_core::domain::id::ComputerId;
use slapledger_core::domain::invoice::RunPeriod;
use slapledger_core::domain::time::Period;
use slapledger_kit::problem::Problem;
use slapledger_usecases::caller::FIRST_PARTY;

use super::openapi::rules::bound;
use super::query::{self, Query};
use crate::access::Authorised;

/// START/STOP in a query, each a day or an instant.
pub(super) fn period(query: &Query) -> Result<RunPeriod, Problem> {
    let text: String = query.required("period")?;
    let form = || Problem::field("period", "must be START/STOP, two days or RFC 3339 instants");
    let (start, stop) = text.split_once('/').ok_or_else(form)?;
    let bound = |text| bound(text).map_err(|rule| Problem::field("period", format!("{text} {rule}")));
    Ok(RunPeriod { start: bound(start)?, stop: bound(stop)? })
}

/// `GET /v1/usage-gaps`: by computer, silence first, then missing reports, then what is suspended. What is still to come is
/// not missing.
pub(super) async fn list(Authorised(ctx): Authorised, uri: Uri) -> Result<Response, Problem> {
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
            return Ok(query::list(Vec::<()>::new(), None::<String>, sequence));
        };
        let wanted = |known: &ComputerId| {
            computer.as_ref().is_none_or(|computer| computer == known) && theirs.has(known)
        };
        let page = view.gaps(over, wanted, after.as_ref().map(|at| &at.0), limit);
        Ok(query::list(page.items, page.next.map(At), sequence))
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
