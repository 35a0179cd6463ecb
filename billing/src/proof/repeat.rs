//! Deriving a document again from events alone.

use std::collections::BTreeMap;

use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{InvoiceId, ProjectId, RunId, Sequence};
use slapledger_core::domain::invoice::{Invoice, InvoiceLine, InvoiceRunOpened, has_lines_digest};
use slapledger_core::domain::money::Amount;
use slapledger_core::log::envelope::Recorded;
use slapledger_projections::view::View as _;

use super::compare::{compare_draft, compare_line_alone, line_at};
use super::fault::RepeatFault;
use super::note::check_note;
use crate::view::{BillingView, Document, DocumentPlace};

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
    /// The project of the events.
    pub project: ProjectId,
    /// Whether somebody wrote it by hand: then what it credits is a decision, and the rest follows from it.
    pub by_hand: bool,
}

/// Derives a document, or one line of it, from events alone and compares it with what was issued.
pub fn repeat(events: &[Recorded], invoice: &str, line: Option<u32>) -> Result<RepeatedInvoice, RepeatFault> {
    let project = check_projects(events)?;
    check_numbers(events)?;
    let issuing = issuing_event(events, invoice)?;
    let document = issued(events, issuing).ok_or_else(|| not_issued(invoice))??;
    let view = view_before(events, issuing.sequence)?;
    if let Some(n) = line {
        line_at(&document, n)?;
    }
    let derived = derived(&view, &document)?;
    match (&derived, line) {
        (DerivedDocument::NoteAbout(first), _) => check_note(&view, first, &document)?,
        (DerivedDocument::Draft(draft), Some(n)) => compare_line_alone(&document, draft, n)?,
        (DerivedDocument::Draft(draft), None) => compare_draft(&view, &document, draft)?,
    }
    let usage = events.iter().filter(|recorded| recorded.event.metered_usage().is_some()).count();
    Ok(RepeatedInvoice {
        lines: if line.is_some() { 1 } else { document.lines.len() },
        usage,
        total: document.total,
        due: document.due,
        issued: issuing.sequence,
        project,
        by_hand: matches!(derived, DerivedDocument::NoteAbout(_)),
    })
}

/// The event that issues a document.
pub(super) fn issuing_event<'e>(events: &'e [Recorded], invoice: &str) -> Result<&'e Recorded, RepeatFault> {
    let issues = |recorded: &&Recorded| matches!(&recorded.event, Event::InvoiceFinalised(event) if event.invoice.id.as_str() == invoice);
    events.iter().find(issues).ok_or_else(|| not_issued(invoice))
}

fn not_issued(invoice: &str) -> RepeatFault {
    RepeatFault::NotIssued { invoice: invoice.into() }
}

/// Compares a document that is issued next with what a view of all events before it gives.
pub(crate) fn compare_issued(view: &BillingView, document: &Invoice) -> Result<(), RepeatFault> {
    check_versions(view, document.run)?;
    match derived(view, document)? {
        DerivedDocument::NoteAbout(first) => check_note(view, first, document),
        DerivedDocument::Draft(draft) => compare_draft(view, document, draft),
    }
}

/// What the events before a document say that it is.
enum DerivedDocument<'v> {
    /// The document of its run: this draft.
    Draft(&'v Invoice),
    /// A credit note about this document, which its run made.
    NoteAbout(&'v Invoice),
}

fn derived<'v>(view: &'v BillingView, document: &Invoice) -> Result<DerivedDocument<'v>, RepeatFault> {
    let no_draft = || RepeatFault::NoDraft { run: document.run, payer: document.buyer.party };
    let Document { invoice, issued } = of_run(view, document).ok_or_else(no_draft)?;
    Ok(if issued.is_some() { DerivedDocument::NoteAbout(invoice) } else { DerivedDocument::Draft(invoice) })
}

/// The document or draft that the run of a document made for its payer.
fn of_run<'v>(view: &'v BillingView, document: &Invoice) -> Option<&'v Document> {
    let place = DocumentPlace::of(document.run, document.buyer.party);
    view.billing.documents.get(&place).map(|known| &**known)
}

/// The view of all events before one. What later documents rest on is checked as far as documents alone show it: the runs
/// that they are of, the price versions of these, and credit notes.
pub(super) fn view_before(events: &[Recorded], at: Sequence) -> Result<BillingView, RepeatFault> {
    let mut view = BillingView::default();
    for recorded in events.iter().take_while(|recorded| recorded.sequence < at) {
        if let Some(document) = issued(events, recorded).transpose()? {
            check_earlier(&view, &document)?;
        }
        if let Event::InvoiceRunOpened(InvoiceRunOpened { run, .. }) = recorded.event
            && let Some(before) = view.billing.documents_of(run).next()
        {
            return Err(RepeatFault::BeforeRun { invoice: before.invoice.id.clone(), run });
        }
        view.apply(recorded);
    }
    for run in view.billing.runs.keys() {
        check_versions(&view, *run)?;
    }
    Ok(view)
}

/// Checks a document that a later one may rest on. The events have the runs of one price book alone, and not the usage that
/// such a document charges.
fn check_earlier(view: &BillingView, document: &Invoice) -> Result<(), RepeatFault> {
    if let Some(Document { invoice: first, issued: Some(_) }) = of_run(view, document) {
        return check_note(view, first, document);
    }
    let is_of_book = |line: &InvoiceLine| {
        let priced = line.price_book.as_ref().filter(|_| line.cites.is_none());
        priced.is_some_and(|priced| view.billing.published.contains_key(&priced.name))
    };
    if view.billing.runs.contains_key(&document.run) || !document.lines.iter().any(is_of_book) {
        return Ok(());
    }
    Err(RepeatFault::NoDraft { run: document.run, payer: document.buyer.party })
}

/// A run takes all versions of its price book that there were when its drafts were made.
fn check_versions(view: &BillingView, run: RunId) -> Result<(), RepeatFault> {
    let Some(known) = view.billing.runs.get(&run).filter(|known| !known.withdrawn) else { return Ok(()) };
    let book = &known.opened.price_book;
    let published = view.billing.published.get(book).into_iter().flatten();
    let found = published.filter(|published| **published < known.sequence).count() as u64;
    let said = known.opened.versions;
    if found == u64::from(said) {
        return Ok(());
    }
    Err(RepeatFault::OtherVersions { run, book: book.clone(), said, found })
}

/// The project of all events, but for those of the ledger itself. Numbers are those of a project.
fn check_projects(events: &[Recorded]) -> Result<ProjectId, RepeatFault> {
    let is_of_ledger = |event: &Event| matches!(event, Event::LedgerCreated(_) | Event::LogKeySet(_));
    let mut others = events.iter().filter(|recorded| !is_of_ledger(&recorded.event));
    let first = others.next().map_or(ProjectId::DEFAULT, Recorded::project);
    match others.find(|recorded| recorded.project() != first) {
        Some(other) => {
            let (sequence, project) = (other.sequence, other.project());
            Err(RepeatFault::OtherProject { sequence, project, first })
        }
        None => Ok(first),
    }
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

/// The document that an event issues, with all its lines; none, if it issues none.
fn issued(events: &[Recorded], issuing: &Recorded) -> Option<Result<Invoice, RepeatFault>> {
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
        Ok(document)
    } else {
        Err(RepeatFault::OtherLines { invoice: document.id, sequence: issuing.sequence })
    })
}
