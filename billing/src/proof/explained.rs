//! The explanations that a proof carries. They are derived from its events alone, as of the event that issued the document,
//! so that its reader can derive them too.

use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::log::envelope::Recorded;
use slapledger_projections::view::View as _;

use super::fault::RepeatFault;
use super::repeat::{issuing_event, view_before};
use crate::explain::Explanation;

/// The most lines that a proof explains.
const MOST_LINES: usize = 1000;

/// A line of a proved document, and its explanation.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProvedExplanation {
    /// The number of the line.
    pub line: u32,
    /// As `GET /v1/invoices/{id}/explanation` answered it when the document was issued.
    pub explanation: Explanation,
}

/// Explains a line of a document, or its first 1,000 lines, from the events of its proof.
pub fn explain_proved(
    events: &[Recorded],
    invoice: &str,
    line: Option<u32>,
) -> Result<Vec<ProvedExplanation>, RepeatFault> {
    let issuing = issuing_event(events, invoice)?;
    let mut view = view_before(events, issuing.sequence)?;
    view.apply(issuing);
    let (after, limit) = line.map_or((0, MOST_LINES), |n| (n.saturating_sub(1), 1));
    let explained = view.explain(invoice, after, limit, issuing.sequence);
    let lines = explained.into_iter().flat_map(|explained| explained.lines);
    let wanted = lines.filter(|(known, _)| line.is_none_or(|n| known.n == n));
    Ok(wanted.map(|(known, explanation)| ProvedExplanation { line: known.n, explanation }).collect())
}
