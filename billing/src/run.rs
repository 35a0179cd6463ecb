//! From the drafts of a run to the commands that make them final.
//!
//! Each draft becomes one command, and what is final already is left out: a run that was interrupted goes on where it
//! stopped. Names are sealed anew, under keys that are kept as long as invoices must be; the keys are the caller's.

use slapledger_core::domain::id::RunId;
use slapledger_core::domain::invoice::{FinaliseInvoice, FinaliseInvoiceRun, Invoice, InvoiceParty};
use slapledger_core::domain::sealed::Sealed;

use crate::view::Billing;

/// The commands that make the drafts of a run final, those left that are none yet. `reseal` is given a draft and one
/// of its parties, seller first, and returns the party's name under the retention key of that invoice.
pub fn finalise_drafts<E>(
    billing: &Billing,
    run: RunId,
    mut reseal: impl FnMut(&Invoice, &InvoiceParty) -> Result<Sealed, E>,
) -> impl Iterator<Item = Result<FinaliseInvoice, E>> {
    let drafts = billing.documents_of(run).filter(|document| document.issued.is_none());
    drafts.map(move |document| {
        let mut draft = document.invoice.clone();
        draft.seller.name = reseal(&document.invoice, &document.invoice.seller)?;
        draft.buyer.name = reseal(&document.invoice, &document.invoice.buyer)?;
        Ok(FinaliseInvoice { draft })
    })
}

/// The command that closes a run, when all its drafts are final; until then it is refused.
pub fn finalise_run(billing: &Billing, run: RunId) -> FinaliseInvoiceRun {
    let invoices = u32::try_from(billing.documents_of(run).count()).unwrap_or(u32::MAX);
    FinaliseInvoiceRun { run, invoices }
}
