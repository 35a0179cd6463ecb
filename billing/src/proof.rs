//! Deriving an invoice again from the events of its proof, and from nothing else.
//!
//! A proof of an invoice holds the events that the billing view needs for its customer: parties, taxes, prices, runs,
//! documents, credits, charges, instances and usage. [`ProofSelection`] chooses them from the log. [`repeat`] folds them
//! into an empty view, so that the draft of the run is computed once more, and compares it with the document that was
//! issued. An event that names other customers is never chosen, nor one with a code of a discount for a reader who may not
//! read codes; the proof says that it was withheld.

mod selection;

use std::collections::BTreeMap;

use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{InvoiceId, PartyId, RunId, Sequence};
use slapledger_core::domain::invoice::{
    DocumentKind, Invoice, InvoiceLine, TaxCategory, base_and_tax, has_lines_digest,
};
use slapledger_core::domain::money::{Amount, Price};
use slapledger_core::log::envelope::Recorded;
use slapledger_projections::view::View as _;

pub use selection::{EventChoice, ProofSelection, UsageChosen, beside_lines};

use crate::view::{BillingView, DocumentPlace};

/// What was derived again and is as it was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatedInvoice {
    /// How many lines.
    pub lines: usize,
    /// How many events meter usage.
    pub usage: usize,
    /// The total of the document.
    pub total: Amount,
    /// What is to be paid.
    pub due: Amount,
    /// The event that issued it.
    pub issued: Sequence,
    /// Whether somebody wrote it by hand: then its sums are checked, and that it credits what was charged.
    pub by_hand: bool,
}

/// Why a document is not what its events give.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepeatFault {
    /// No event issues it.
    #[error("no event issues {invoice}")]
    NotIssued {
        /// Which.
        invoice: Box<str>,
    },
    /// Two events issue a document of one number.
    #[error("{invoice} was issued twice: by events {first} and {second}")]
    IssuedTwice {
        /// Which.
        invoice: InvoiceId,
        /// The first event.
        first: Sequence,
        /// The second event.
        second: Sequence,
    },
    /// Its lines are not those that the issuing event names.
    #[error(
        "the lines of {invoice} have another digest than event {sequence} says: lines are missing or changed"
    )]
    OtherLines {
        /// Which.
        invoice: InvoiceId,
        /// The event that issued it.
        sequence: Sequence,
    },
    /// The events have no run that made it.
    #[error("the events give no draft of {run} for {payer}")]
    NoDraft {
        /// Which run.
        run: RunId,
        /// For whom.
        payer: PartyId,
    },
    /// There is no such line.
    #[error("{invoice} has no line {line}")]
    NoLine {
        /// Which document.
        invoice: InvoiceId,
        /// Which line.
        line: u32,
    },
    /// A line, or a sum, is something else.
    #[error("{place}: {what} is {said}, the events give {found}")]
    Differs {
        /// A line or the document.
        place: String,
        /// Which of its values.
        what: &'static str,
        /// As it was issued.
        said: String,
        /// As it was derived.
        found: String,
    },
    /// Its own sums are wrong.
    #[error("{invoice}: {why}")]
    Sums {
        /// Which.
        invoice: InvoiceId,
        /// What is wrong.
        why: String,
    },
    /// A credit note credits what was not charged.
    #[error("{note} line {line} credits more than {invoice} line {of} charged")]
    NotCharged {
        /// The credit note.
        note: InvoiceId,
        /// Its line.
        line: u32,
        /// The document it cites.
        invoice: InvoiceId,
        /// The line it cites.
        of: u32,
    },
}

/// Derives a document, or one line of it, from events alone and compares it with what was issued.
pub fn repeat(events: &[Recorded], invoice: &str, line: Option<u32>) -> Result<RepeatedInvoice, RepeatFault> {
    check_numbers(events)?;
    let issues = |recorded: &&Recorded| matches!(&recorded.event, Event::InvoiceFinalised(event) if event.invoice.id.as_str() == invoice);
    let issuing = events.iter().find(issues);
    let not_issued = || RepeatFault::NotIssued { invoice: invoice.into() };
    let (at, document) = issued(events, issuing.ok_or_else(not_issued)?).ok_or_else(not_issued)??;
    let mut view = BillingView::default();
    for recorded in events.iter().take_while(|recorded| recorded.sequence < at) {
        view.apply(recorded);
    }
    let by_hand = match (draft_of(&view, &document)?, line) {
        (None, _) => check_note(&view, &document).map(|()| true)?,
        (Some(draft), Some(n)) => compare_line_alone(&document, draft, n).map(|()| false)?,
        (Some(draft), None) => compare(&view, &document, draft).map(|()| false)?,
    };
    let usage = events.iter().filter(|recorded| recorded.event.metered_usage().is_some()).count();
    Ok(RepeatedInvoice {
        lines: if line.is_some() { 1 } else { document.lines.len() },
        usage,
        total: document.total,
        due: document.due,
        issued: at,
        by_hand,
    })
}

/// Compares a document that is issued next with what a view of all events before it gives.
pub(crate) fn compare_issued(view: &BillingView, document: &Invoice) -> Result<(), RepeatFault> {
    match draft_of(view, document)? {
        None => check_note(view, document),
        Some(draft) => compare(view, document, draft),
    }
}

/// The draft of a document that is issued next; none, if it is a credit note that was written by hand.
fn draft_of<'v>(view: &'v BillingView, document: &Invoice) -> Result<Option<&'v Invoice>, RepeatFault> {
    let place = DocumentPlace::of(document.run, document.buyer.party);
    let no_draft = RepeatFault::NoDraft { run: place.run, payer: place.payer };
    let known = view.billing.documents.get(&place).ok_or(no_draft)?;
    Ok(known.issued.is_none().then_some(&known.invoice))
}

/// No number is issued twice.
fn check_numbers(events: &[Recorded]) -> Result<(), RepeatFault> {
    let mut known: BTreeMap<&InvoiceId, Sequence> = BTreeMap::new();
    for recorded in events {
        if let Event::InvoiceFinalised(event) = &recorded.event
            && let Some(first) = known.insert(&event.invoice.id, recorded.sequence)
        {
            let (invoice, second) = (event.invoice.id.clone(), recorded.sequence);
            return Err(RepeatFault::IssuedTwice { invoice, first, second });
        }
    }
    Ok(())
}

/// The document of an event with all its lines.
fn issued(events: &[Recorded], issuing: &Recorded) -> Option<Result<(Sequence, Invoice), RepeatFault>> {
    let Event::InvoiceFinalised(event) = &issuing.event else { return None };
    let parts = events.iter().filter(|recorded| recorded.sequence < issuing.sequence);
    let parts = parts.filter_map(|recorded| match &recorded.event {
        Event::InvoiceLinesRecorded(part) if part.invoice == event.invoice.id => Some(&part.lines),
        _ => None,
    });
    let document = match event.parts {
        0 => event.invoice.clone(),
        _ => event.invoice.with_lines(parts.flatten().cloned().collect()),
    };
    Some(if has_lines_digest(&document.lines, event.lines_digest) {
        Ok((issuing.sequence, document))
    } else {
        Err(RepeatFault::OtherLines { invoice: document.id, sequence: issuing.sequence })
    })
}

/// Compares a document with the draft that its events give.
fn compare(view: &BillingView, issued: &Invoice, draft: &Invoice) -> Result<(), RepeatFault> {
    for (said, found) in issued.lines.iter().zip(&draft.lines) {
        compare_lines(&issued.id, said, found)?;
    }
    let prepaid = match issued.document {
        DocumentKind::Invoice => {
            let owner = (issued.seller.party, issued.buyer.party, issued.currency);
            view.billing.credits.pay(owner, draft.total, issued.issued_at)
        }
        DocumentKind::CreditNote => issued.prepaid.clone(),
    };
    let paid = Amount::sum(issued.currency, prepaid.iter().map(|used| used.amount));
    let due = paid.and_then(|paid| draft.total.checked_sub(paid)).unwrap_or(draft.total);
    let differs = [
        difference("number of lines", &issued.lines.len(), &draft.lines.len()),
        difference("kind", &issued.document, &draft.document),
        difference("seller", &issued.seller.party, &draft.seller.party),
        difference("currency", &issued.currency, &draft.currency),
        difference("period", &issued.period, &draft.period),
        difference("citation", &issued.cites, &draft.cites),
        difference("kind of prices", &issued.price_tax, &draft.price_tax),
        shown("net", &issued.net, &draft.net),
        difference("tax", &issued.tax, &draft.tax),
        shown("rounding", &issued.rounding, &draft.rounding),
        shown("total", &issued.total, &draft.total),
        difference("prepaid", &issued.prepaid, &prepaid),
        shown("due", &issued.due, &due),
    ];
    first_difference(issued.id.to_string(), differs)
}

/// One line, wherever the draft has it: without the usage of the other lines, those may be missing.
fn compare_line_alone(issued: &Invoice, draft: &Invoice, n: u32) -> Result<(), RepeatFault> {
    let said = issued.lines.iter().find(|line| line.n == n);
    let said = said.ok_or_else(|| RepeatFault::NoLine { invoice: issued.id.clone(), line: n })?;
    let same_subject = |line: &&InvoiceLine| {
        (&line.kind, line.instance, &line.dimensions, line.period, &line.reduces, line.rate, &line.cites)
            == (
                &said.kind,
                said.instance,
                &said.dimensions,
                said.period,
                &said.reduces,
                said.rate,
                &said.cites,
            )
    };
    let found = draft.lines.iter().find(same_subject);
    let found = found.ok_or_else(|| RepeatFault::Differs {
        place: format!("{} line {n}", issued.id),
        what: "amount",
        said: said.amount.to_string(),
        found: "no such line".to_owned(),
    })?;
    compare_lines(&issued.id, said, &InvoiceLine { n, ..found.clone() })
}

fn compare_lines(invoice: &InvoiceId, said: &InvoiceLine, found: &InvoiceLine) -> Result<(), RepeatFault> {
    let differs = [
        difference("number", &said.n, &found.n),
        difference("kind", &said.kind, &found.kind),
        difference("instance", &said.instance, &found.instance),
        difference("group", &said.dimensions, &found.dimensions),
        difference("period", &said.period, &found.period),
        shown("quantity", &said.quantity, &found.quantity),
        difference("unit", &said.unit, &found.unit),
        shown("unit price", &price_text(said.unit_price), &price_text(found.unit_price)),
        difference("steps", &said.steps, &found.steps),
        shown("amount", &said.amount, &found.amount),
        difference("residue of rounding", &said.residue, &found.residue),
        difference("price version", &said.price_book, &found.price_book),
        difference("rate", &said.rate, &found.rate),
        difference("what it reduces", &said.reduces, &found.reduces),
        difference("tax", &said.tax, &found.tax),
        difference("number of events", &said.events.count, &found.events.count),
        difference("set of events", &said.events, &found.events),
        difference("citation", &said.cites, &found.cites),
        difference("description", &said.description, &found.description),
        difference("line", said, found),
    ];
    first_difference(format!("{invoice} line {}", said.n), differs)
}

fn price_text(price: Option<Price>) -> String {
    price.map_or_else(|| "none".to_owned(), |price| price.to_string())
}

/// What a value was issued as and derived as, if the two differ.
type Difference = Option<(&'static str, String, String)>;

fn difference<T: PartialEq + std::fmt::Debug>(what: &'static str, said: &T, found: &T) -> Difference {
    (said != found).then(|| (what, format!("{said:?}"), format!("{found:?}")))
}

fn shown<T: PartialEq + std::fmt::Display>(what: &'static str, said: &T, found: &T) -> Difference {
    (said != found).then(|| (what, said.to_string(), found.to_string()))
}

fn first_difference(place: String, differs: impl IntoIterator<Item = Difference>) -> Result<(), RepeatFault> {
    match differs.into_iter().flatten().next() {
        Some((what, said, found)) => Err(RepeatFault::Differs { place, what, said, found }),
        None => Ok(()),
    }
}

/// A credit note that was written by hand: how much is somebody's decision, but it adds up and credits what was charged.
fn check_note(view: &BillingView, note: &Invoice) -> Result<(), RepeatFault> {
    let sums = |why: &str| RepeatFault::Sums { invoice: note.id.clone(), why: why.to_owned() };
    check_note_sums(view, note).map_err(sums)?;
    for line in &note.lines {
        let Some(cited) = &line.cites else { continue };
        let original = view.billing.document(cited.invoice.as_str());
        let missing = || RepeatFault::NotIssued { invoice: cited.invoice.as_str().into() };
        let original = &original.ok_or_else(missing)?.invoice;
        let charged = original.lines.iter().find(|line| line.n == cited.line);
        if charged.is_none_or(|charged| line.amount.minor().abs() > charged.amount.minor().abs()) {
            return Err(RepeatFault::NotCharged {
                note: note.id.clone(),
                line: line.n,
                invoice: cited.invoice.clone(),
                of: cited.line,
            });
        }
    }
    let paid = Amount::sum(note.currency, note.prepaid.iter().map(|used| used.amount));
    let due = paid.and_then(|paid| note.total.checked_sub(paid));
    if due == Some(note.due) { Ok(()) } else { Err(sums("due is not the total without prepaid credit")) }
}

/// Net, tax and total of a credit note. The notes about a document have together the tax on all that they credit.
fn check_note_sums(view: &BillingView, note: &Invoice) -> Result<(), &'static str> {
    let currency = note.currency;
    let earlier = view.billing.notes_on(note.run, note.buyer.party).map(|known| &known.invoice);
    let notes: Vec<&Invoice> = earlier.filter(|known| known.currency == currency).chain([note]).collect();
    for subtotal in &note.tax {
        let lines = notes.iter().flat_map(|note| &note.lines).filter(|line| line.tax == subtotal.tax);
        let credited = Amount::sum(currency, lines.map(|line| line.amount));
        let taxes = notes.iter().flat_map(|note| &note.tax).filter(|known| known.tax == subtotal.tax);
        let taxes = Amount::sum(currency, taxes.map(|known| known.amount));
        let split =
            credited.and_then(|credited| base_and_tax(note.price_tax, subtotal.tax, credited, currency));
        let expected = match subtotal.tax.category {
            TaxCategory::S => split.map(|(_, tax)| tax),
            _ => Some(Amount::zero(currency)),
        };
        if taxes != expected {
            return Err("the tax of the notes is not the tax on what they credit");
        }
        let own = note.lines.iter().filter(|line| line.tax == subtotal.tax).map(|line| line.amount);
        let contained = if note.price_tax.is_exclusive() { None } else { Some(subtotal.amount) };
        let base = Amount::sum(currency, contained.into_iter().chain([subtotal.base]));
        if Amount::sum(currency, own) != base {
            return Err("a tax base is not the sum of its lines");
        }
    }
    if Amount::sum(currency, note.tax.iter().map(|subtotal| subtotal.base)) != Some(note.net) {
        return Err("net is not the sum of the tax bases");
    }
    let parts = note.tax.iter().map(|subtotal| subtotal.amount).chain([note.net, note.rounding]);
    if Amount::sum(currency, parts) != Some(note.total) {
        return Err("total is not net, tax and rounding");
    }
    Ok(())
}
