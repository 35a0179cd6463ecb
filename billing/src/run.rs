//! From the drafts of a run to the commands that make them final.
//!
//! Each draft becomes one command, and what is final already is left out: a run that was interrupted goes on where it
//! stopped. A run that was drawn up before its period was over is for looking at: what came after its cut-off is not in
//! its drafts, and as invoices they would keep it from ever being invoiced. What is said of parties is sealed anew, under keys that are
//! kept as long as invoices must be; the keys are the caller's.

use slapledger_core::domain::id::RunId;
use slapledger_core::domain::invoice::{FinaliseInvoice, FinaliseInvoiceRun, Invoice, InvoiceParty};
use slapledger_core::domain::time::Timestamp;

use crate::doubt::in_doubt;
use crate::view::Billing;

/// The run was drawn up before its period was over for all of its payers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{run} was drafted before its period ended at {stop}; refresh it after that")]
pub struct OpenedEarly {
    /// Which.
    pub run: RunId,
    /// When the period is over for the last of them.
    pub stop: Timestamp,
}

/// Whether a run can become final at all.
pub fn check_over(billing: &Billing, run: RunId) -> Result<(), OpenedEarly> {
    let drawn_up = billing.run(run).map(|run| run.drawn_up_at);
    let stop = billing.documents_of(run).map(|document| document.invoice.period.stop).max();
    if let (Some(drawn_up), Some(stop)) = (drawn_up, stop)
        && drawn_up < stop
    {
        return Err(OpenedEarly { run, stop });
    }
    Ok(())
}

/// The commands that make the drafts of a run final: those left that are none yet, are not held, and whose usage is not
/// in doubt. `reseal` is given a draft and one of its parties, seller first, and returns it with what is sealed under
/// the retention key of that invoice.
pub fn finalise_drafts<E>(
    billing: &Billing,
    run: RunId,
    mut reseal: impl FnMut(&Invoice, &InvoiceParty) -> Result<InvoiceParty, E>,
) -> Result<impl Iterator<Item = Result<FinaliseInvoice, E>>, OpenedEarly> {
    check_over(billing, run)?;
    let in_doubt = in_doubt(billing, run);
    let drafts = billing.documents_of(run).filter(|document| document.issued.is_none());
    let held = billing.held(run);
    let drafts = drafts.filter(move |document| {
        let payer = &document.invoice.buyer.party;
        !in_doubt.contains_key(payer) && !held.contains_key(payer)
    });
    Ok(drafts.map(move |document| {
        let mut draft = document.invoice.clone();
        draft.seller = reseal(&document.invoice, &document.invoice.seller)?;
        draft.buyer = reseal(&document.invoice, &document.invoice.buyer)?;
        Ok(FinaliseInvoice { draft, alone: false })
    }))
}

/// The command that closes a run, when all its drafts are final; until then it is refused.
pub fn finalise_run(billing: &Billing, run: RunId) -> FinaliseInvoiceRun {
    let invoices = u32::try_from(billing.documents_of(run).count()).unwrap_or(u32::MAX);
    FinaliseInvoiceRun { run, invoices }
}
