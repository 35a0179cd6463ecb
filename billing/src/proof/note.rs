//! Credit notes that somebody wrote: how much is that person's decision, and all else follows from it.
//!
//! The note is decided once more from the documents before it, by the function that decides the command.

use slapledger_core::domain::invoice::{
    Citation, DocumentKind, GiveBack, HowMuch, Invoice, InvoiceRefusal, credit_note,
};

use super::compare::compare;
use super::fault::RepeatFault;
use crate::view::BillingView;

/// Checks a document that is issued next, after the one that its run made for its payer.
pub(super) fn check_note(view: &BillingView, first: &Invoice, note: &Invoice) -> Result<(), RepeatFault> {
    if note.document != DocumentKind::CreditNote {
        return Err(RepeatFault::SecondDocument {
            invoice: note.id.clone(),
            run: note.run,
            payer: note.buyer.party,
            first: first.id.clone(),
        });
    }
    let Some(citation) = note.cites.as_ref().filter(|cited| cited.invoice == first.id) else {
        let cited = note.cites.as_ref().map_or("none", |cited| cited.invoice.as_str());
        return Err(RepeatFault::Differs {
            place: note.id.to_string(),
            what: "citation",
            said: cited.to_owned(),
            found: first.id.to_string(),
        });
    };
    let lines = GiveBack::Lines(credited(first, note)?);
    let as_lines = check_decision(view, (first, note), &lines, citation);
    if as_lines.is_ok() || !citation.all {
        return as_lines;
    }
    check_decision(view, (first, note), &GiveBack::All, citation)
}

/// What a note credits of which lines.
fn credited(first: &Invoice, note: &Invoice) -> Result<Vec<(u32, HowMuch)>, RepeatFault> {
    let lines = note.lines.iter().map(|line| match &line.cites {
        Some(cited) if cited.invoice == first.id => Ok((cited.line, HowMuch::Amount(line.amount))),
        _ => Err(RepeatFault::NotCited { note: note.id.clone(), line: line.n, invoice: first.id.clone() }),
    });
    lines.collect()
}

fn check_decision(
    view: &BillingView,
    (first, note): (&Invoice, &Invoice),
    give_back: &GiveBack,
    citation: &Citation,
) -> Result<(), RepeatFault> {
    let refused =
        |why: InvoiceRefusal| RepeatFault::NotCredited { note: note.id.clone(), why: Box::new(why) };
    let (balances, earlier) = (&*view.billing.balances, view.billing.issued_lines());
    let found = credit_note(first, (give_back, &citation.reason), (balances, &earlier)).map_err(refused)?;
    compare(note, &found, (&found.prepaid, found.due))
}
