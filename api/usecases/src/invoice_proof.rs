//! The proof of an invoice: the stored events that it can be derived from again, and that they are in the log.
//!
//! The fewest events that do are looked for: first the usage that the lines name, then all usage of the customer.
//! Whether they do is tried before they are handed out, also with the events that the reader may not see. A caller who sees
//! the document and not its customer, such as the seller, gets no events about instances that it does not charge, and no
//! other usage than that of its lines.

use std::collections::BTreeMap;

use http::StatusCode;
use slapledger_billing::BillingView;
use slapledger_billing::proof::{
    EventChoice, ProofSelection, ProvedExplanation, UsageChosen, beside_lines, explain_proved, repeat,
};
use slapledger_core::domain::event::Stream;
use slapledger_core::domain::id::Sequence;
use slapledger_core::log::envelope::{EventDecoder, Recorded};
use slapledger_core::log::merkle::leaf_hash;
use slapledger_core::log::store::{read_events, read_frames};
use slapledger_engine::notary::{NotaryFault, SignedCheckpoint};
use slapledger_kit::code::ProblemCode;
use slapledger_kit::conflict;
use slapledger_kit::problem::Problem;
use slapledger_projections::stop;

use crate::context::RequestContext;

/// The most bytes of events in a proof.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// What proves an invoice, or a line of it.
#[derive(Debug)]
pub struct InvoiceProof {
    /// What the log was, and who says so.
    pub checkpoint: SignedCheckpoint,
    /// The events, as they are stored.
    pub events: BTreeMap<Sequence, Vec<u8>>,
    /// The hashes of events that are needed and that the reader may not see.
    pub withheld: BTreeMap<Sequence, [u8; 32]>,
    /// The hashes that lead from all of these to the root of the checkpoint.
    pub hashes: Vec<[u8; 32]>,
    /// The explanations of the lines, as the events give them; none if events are withheld, as no reader could check them.
    pub explanations: Vec<ProvedExplanation>,
}

/// Proves a final document, or a line of it, which the caller may see; with all usage of the customer, if it is wanted.
/// Blocking.
pub fn prove(
    ctx: &RequestContext,
    view: &BillingView,
    invoice: &str,
    (line, all_usage): (Option<u32>, bool),
) -> Result<InvoiceProof, Problem> {
    let ChosenEvents { mut events, withheld, explanations } = chosen(ctx, view, invoice, (line, all_usage))?;
    let last = events.keys().chain(withheld.keys()).max().copied().unwrap_or(Sequence::ZERO);
    let checkpoint = match ctx.engine.notary.cosigned(last) {
        Some(cosigned) => cosigned,
        None => ctx.engine.checkpoint().map_err(fault)?,
    };
    let size = checkpoint.checkpoint.size;
    let keys = ctx.access().read(|view, _| view.log_keys.iter().map(|(since, _)| *since).collect::<Vec<_>>());
    let store = &**ctx.ledger().store();
    for since in keys.into_iter().filter(|since| since.0 <= size) {
        let event = read_events(store, Sequence(since.0 - 1)).next();
        if let Some((sequence, bytes)) = event.transpose().map_err(|fault| Problem::fault(&fault))? {
            events.insert(sequence, bytes.to_vec());
        }
    }
    let mut leaves: Vec<u64> = events.keys().chain(withheld.keys()).map(|sequence| sequence.0 - 1).collect();
    leaves.sort_unstable();
    let head = ctx.ledger().head();
    let hashes = ctx.engine.notary.inclusion_of_several(&leaves, size, head).map_err(fault)?;
    Ok(InvoiceProof { checkpoint, events, withheld, hashes, explanations })
}

/// The fewest events that give the document, the hashes of those that are withheld, and the explanations.
struct ChosenEvents {
    events: BTreeMap<Sequence, Vec<u8>>,
    withheld: BTreeMap<Sequence, [u8; 32]>,
    explanations: Vec<ProvedExplanation>,
}

/// Chooses the fewest events that give the document.
fn chosen(
    ctx: &RequestContext,
    view: &BillingView,
    invoice: &str,
    (line, all_usage): (Option<u32>, bool),
) -> Result<ChosenEvents, Problem> {
    let document = view.billing.document(invoice).map(|document| &document.invoice);
    let hidden = document.filter(|document| !ctx.caller.sees_party(document.buyer.party));
    if all_usage && hidden.is_some() {
        return Err(only_of_customer("usage=all is"));
    }
    let mut attempts = UsageChosen::attempts(line, all_usage);
    attempts.retain(|usage| hidden.is_none() || *usage != UsageChosen::All);
    let mut fault = None;
    for usage in attempts {
        // A document that was issued otherwise than from its draft names events that cannot be found again.
        let selection = ProofSelection::new(view, invoice, usage, ctx.caller.sees_codes());
        let Some(selection) = selection else { continue };
        let SelectedEvents { mut stored, withheld, mut all } = read(ctx, selection)?;
        if let Some(document) = hidden {
            let beside = beside_lines(&all, document);
            all.retain(|recorded| !beside.contains(&recorded.sequence));
            stored.retain(|sequence, _| !beside.contains(sequence));
        }
        let explained = repeat(&all, invoice, line).and_then(|_| {
            if withheld.is_empty() { explain_proved(&all, invoice, line) } else { Ok(Vec::new()) }
        });
        match explained {
            Ok(explanations) => return Ok(ChosenEvents { events: stored, withheld, explanations }),
            Err(differs) => fault = Some(differs),
        }
    }
    let detail = match fault {
        Some(_) if hidden.is_some() => {
            return Err(only_of_customer("this proof needs more than its lines name, and is"));
        }
        Some(differs) => format!("{invoice} has no proof: its events do not give it again. {differs}"),
        None => format!("{invoice} is a draft; only final documents have proofs: finalise it first"),
    };
    Err(conflict::of_code(ProblemCode::Conflict, detail))
}

/// Whoever sees a document and not its customer may not have this.
fn only_of_customer(what: &str) -> Problem {
    let detail = format!("{what} for the customer, admins and auditors: ask one of them for the proof");
    Problem::new(StatusCode::FORBIDDEN, ProblemCode::Forbidden, detail)
}

/// The events that a selection chooses.
#[derive(Default)]
struct SelectedEvents {
    /// As they are stored, without those that are withheld.
    stored: BTreeMap<Sequence, Vec<u8>>,
    /// The hashes of those that are withheld.
    withheld: BTreeMap<Sequence, [u8; 32]>,
    /// All of them, decoded.
    all: Vec<Recorded>,
}

fn read(ctx: &RequestContext, mut selection: ProofSelection) -> Result<SelectedEvents, Problem> {
    let mut selected = SelectedEvents::default();
    let mut decoder = EventDecoder::default();
    let mut room = MAX_BYTES;
    for frame in read_frames(&**ctx.ledger().store(), Sequence::ZERO) {
        stop::check();
        let frame = frame.map_err(|fault| Problem::fault(&fault))?;
        for (sequence, bytes) in frame.events_after(Sequence::ZERO) {
            if sequence > selection.last() {
                return Ok(selected);
            }
            let recorded = if selection.may_choose_usage(sequence) {
                decoder.decode(sequence, bytes).map(Some)
            } else {
                decoder.decode_unless_usage(sequence, bytes)
            };
            let Some(recorded) = recorded.map_err(|fault| Problem::fault(&fault))? else { continue };
            if recorded.project() != ctx.project && *recorded.stream != Stream::Ledger {
                continue;
            }
            match selection.choose(&recorded) {
                EventChoice::No => continue,
                EventChoice::Withheld => {
                    selected.withheld.insert(sequence, leaf_hash(bytes));
                }
                EventChoice::Yes => {
                    selected.stored.insert(sequence, bytes.to_vec());
                }
            }
            room = room.checked_sub(bytes.len()).ok_or_else(too_large)?;
            selected.all.push(recorded);
        }
    }
    Ok(selected)
}

fn too_large() -> Problem {
    let detail =
        format!("the events of this proof are more than {MAX_BYTES} bytes; ask for a line at a time");
    conflict::of_code(ProblemCode::Conflict, detail)
}

fn fault(fault: NotaryFault) -> Problem {
    match fault {
        NotaryFault::NoKey => Problem::not_found(fault.to_string()),
        fault => Problem::fault(&fault),
    }
}
