//! `GET /v1/invoices/{id}/proof`: what a customer needs to check an invoice without trusting the server.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use std::str::FromStr;

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::proof::ProvedExplanation;
use slapledger_core::domain::id::{InvoiceId, Sequence};
use slapledger_core::log::envelope::RULES_VERSION;
use slapledger_core::log::merkle::Root;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::problem::Problem;
use slapledger_usecases::invoice_proof::{InvoiceProof, prove};

use super::invoices::{find, position_of};
use super::openapi::schema;
use super::query::{Named, Query};
use crate::access::Authorised;

/// The version of the form below.
const FORMAT: u32 = 1;

/// The proof of an invoice, or of a line of it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "InvoiceProof")]
pub(crate) struct InvoiceProofShown {
    /// The version of this form.
    format: u32,
    invoice: InvoiceId,
    /// The line that is proved; none, if the whole document is.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    /// The rules that the program follows which made the proof; each event says by which it was decided.
    rules: u16,
    /// The key that signed the checkpoint, as `NAME+ID+KEY`. A reader believes their own copy alone.
    key: String,
    /// The signed checkpoint (C2SP tlog-checkpoint).
    checkpoint: String,
    /// The events that the document can be derived from again, in their order.
    events: Vec<ProvedEvent>,
    /// Events that are needed and that the reader may not see: their hashes alone.
    withheld: Vec<WithheldEvent>,
    /// The hashes of the largest parts of the tree that have none of these events, from the left to the right.
    #[schemars(with = "Vec<schema::Hex>")]
    hashes: Vec<String>,
    /// The explanations of the lines, the first 1,000 of a document, as the events give them; none if events are withheld.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    explanations: Vec<ProvedExplanation>,
}

/// An event of a proof.
#[derive(Serialize, JsonSchema)]
struct ProvedEvent {
    sequence: Sequence,
    /// As it is stored (docs/format.md), in base64.
    bytes: String,
}

/// An event that a proof does not show.
#[derive(Serialize, JsonSchema)]
struct WithheldEvent {
    sequence: Sequence,
    /// The hash of its leaf.
    #[schemars(with = "schema::Hex")]
    hash: String,
}

/// Which usage a proof holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(crate) enum UsageOfProof {
    /// What the lines name.
    Lines,
    /// All usage of the customer up to the cut-off.
    All,
}

impl FromStr for UsageOfProof {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "lines" => Ok(Self::Lines),
            "all" => Ok(Self::All),
            _ => Err("must be lines or all"),
        }
    }
}

/// `GET /v1/invoices/{id}/proof?line=&usage=`.
pub(super) async fn proof(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<InvoiceProofShown>, Problem> {
    let query = Query::read(&uri, &["line", "usage"])?;
    let line = query.parse::<u32>("line")?;
    let all_usage = query.parse::<UsageOfProof>("usage")? == Some(UsageOfProof::All);
    let position = position_of(&ctx, &query, &id).await?;
    let (sequence, shown) = ctx
        .rate(position, move |ctx, view, _| {
            let document = find(ctx, view, &id)?;
            if let Some(n) = line
                && !document.invoice.lines.iter().any(|line| line.n == n)
            {
                return Err(Problem::field("line", format!("must be the number of a line of {id}")));
            }
            let InvoiceProof { checkpoint, events, withheld, hashes, explanations } =
                prove(ctx, view, &id, (line, all_usage))?;
            let events = events.into_iter();
            let events =
                events.map(|(sequence, bytes)| ProvedEvent { sequence, bytes: BASE64.encode(bytes) });
            let withheld = withheld.into_iter();
            let withheld =
                withheld.map(|(sequence, hash)| WithheldEvent { sequence, hash: Root(hash).to_string() });
            let shown = InvoiceProofShown {
                format: FORMAT,
                invoice: document.invoice.id.clone(),
                line,
                rules: RULES_VERSION,
                key: checkpoint.key.to_string(),
                checkpoint: checkpoint.note.to_string(),
                events: events.collect(),
                withheld: withheld.collect(),
                hashes: hashes.into_iter().map(|hash| Root(hash).to_string()).collect(),
                explanations,
            };
            Ok((Sequence(checkpoint.checkpoint.size), shown))
        })
        .await?;
    Ok(HttpAnswer::ok(sequence, shown).not_stored())
}
