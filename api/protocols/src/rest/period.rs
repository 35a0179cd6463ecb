//! Periods in queries and bodies. They are read by the one parser of the core; here they get the member to blame.

use slapledger_core::domain::invoice::{Bound, InvalidPeriod, RunPeriod};
use slapledger_kit::problem::Problem;

use super::openapi::rules::bound;
use super::query::Query;

/// A period in a query: `2026-10`, or START/STOP.
pub(super) fn period(query: &Query) -> Result<RunPeriod, Problem> {
    period_in(query, "period")
}

/// The same under another name.
pub(super) fn period_in(query: &Query, name: &str) -> Result<RunPeriod, Problem> {
    let text =
        query.text(name).ok_or_else(|| Problem::field(name, "is missing; a month such as 2026-10 is one"))?;
    of_text(name, text)
}

/// A period that may be left out.
pub(super) fn optional_period(query: &Query) -> Result<Option<RunPeriod>, Problem> {
    query.text("period").map(|text| of_text("period", text)).transpose()
}

/// A period, or else the two bounds that it stands for.
pub(super) fn period_instead_of_bounds(query: &Query) -> Result<Option<RunPeriod>, Problem> {
    let period = optional_period(query)?;
    match (["from", "to"].into_iter().find(|name| query.text(name).is_some()), period) {
        (Some(name), Some(_)) => {
            Err(Problem::field(name, "cannot be combined with `period`; leave one of them out"))
        }
        (_, period) => Ok(period),
    }
}

/// A day or an instant in a query.
pub(super) fn bound_in(query: &Query, name: &str) -> Result<Option<Bound>, Problem> {
    let parsed = query.text(name).map(|text| bound(text).map_err(|rule| Problem::field(name, rule)));
    parsed.transpose()
}

fn of_text(name: &str, text: &str) -> Result<RunPeriod, Problem> {
    text.parse().map_err(|rule: InvalidPeriod| Problem::field(name, rule.to_string()))
}
