//! The events behind a line, found again: the line is rated once more as it was, and must name the same set.

use slapledger_core::domain::id::{InstanceId, PartyId, Sequence};
use slapledger_core::domain::invoice::{Invoice, InvoiceLine, InvoiceRunOpened, LineKind};
use slapledger_core::domain::time::{Period, Timestamp};

use crate::document::line_of;
use crate::events::event_set;
use crate::history::History;
use crate::rating::{AdjustmentKey, Prices, RatedLine, RatingBasis, RatingSubject, key, new_events};
use crate::view::{BillingView, DocumentPlace, Run};

impl BillingView {
    /// The events behind a line of an invoice or draft, ascending; none, if there is no such line, or if they are not
    /// those it names (of a document that was issued otherwise than from its draft).
    pub fn line_events(&self, invoice: &str, n: u32) -> Option<Vec<Sequence>> {
        let document = self.billing.document(invoice)?;
        let line = document.invoice.lines.get(usize::try_from(n).ok()?.checked_sub(1)?)?;
        events(self, &document.invoice, line)
    }
}

/// The events behind a line of a document, ascending; none, if they are not those it names (of a document that was
/// issued otherwise than from its draft).
pub(crate) fn events(view: &BillingView, invoice: &Invoice, line: &InvoiceLine) -> Option<Vec<Sequence>> {
    let named = &line.events;
    if let Some((original, credited)) = credited(view, invoice, line) {
        return events(view, original, credited).filter(|events| event_set(events) == *named);
    }
    let candidates = match (named.count, &line.kind) {
        (0, _) => vec![Vec::new()],
        (1, _) => vec![vec![named.first_sequence]],
        (_, LineKind::Adjustment) => adjusted(view, invoice, line)?,
        _ => vec![rated(view, invoice, line)?.events],
    };
    candidates.into_iter().find(|events| event_set(events) == *named)
}

/// The line that a line of a credit note about a document credits, and that document: what was behind it is behind the note.
pub(crate) fn credited<'v>(
    view: &'v BillingView,
    note: &Invoice,
    line: &InvoiceLine,
) -> Option<(&'v Invoice, &'v InvoiceLine)> {
    view.billing.issued.get(&note.id).filter(|place| place.note > 0)?;
    let cited = line.cites.as_ref()?;
    let original = &view.billing.document(cited.invoice.as_str())?.invoice;
    Some((original, original.lines.iter().find(|line| line.n == cited.line)?))
}

/// A line rated again as its document was; none, if it is not one that is rated.
pub(crate) fn rated(view: &BillingView, invoice: &Invoice, line: &InvoiceLine) -> Option<RatedLine> {
    let run = view.billing.run(invoice.run)?;
    again(view, invoice, (&run.opened, invoice.period.start), |subject, instances| {
        let lines: Vec<RatedLine> = if line.kind == LineKind::Advance {
            subject.in_advance(instances)
        } else {
            let own = subject.rate(instances, &mut Vec::new());
            own.lines.into_iter().chain(own.in_advance.into_values().flatten()).collect()
        };
        let wanted = key(line)?;
        lines.into_iter().find(|rated| key(&rated.line) == Some(wanted))
    })
}

/// The sets of events an adjustment may rest on, from each time its period was settled before. Where there was no line
/// then, every event behind it now is new, also one that was known and came to nothing: as `adjustments` has it.
fn adjusted(view: &BillingView, invoice: &Invoice, line: &InvoiceLine) -> Option<Vec<Vec<Sequence>>> {
    let billing = &view.billing;
    let about = billing.run(billing.run_about(invoice, line)?)?;
    let now = billing.run(invoice.run)?.opened.cut_off;
    let settled =
        billing.settled.get(&(about.opened.run, invoice.buyer.party)).into_iter().flatten().copied();
    let before = [about.opened.cut_off].into_iter().chain(settled).filter(|then| *then < now);
    let known = rated_at(view, invoice, about, line, now, UnchargedUsage::Included);
    let then = |as_of: Sequence| rated_at(view, invoice, about, line, as_of, UnchargedUsage::LeftOut);
    let sets = before.map(|as_of| new_events(&view.metering, now, (known.as_ref(), then(as_of).as_ref())));
    Some(sets.collect())
}

/// Whether usage that came to nothing, for which there is no line, is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UnchargedUsage {
    Included,
    LeftOut,
}

fn rated_at(
    view: &BillingView,
    invoice: &Invoice,
    run: &Run,
    line: &InvoiceLine,
    as_of: Sequence,
    nothing: UnchargedUsage,
) -> Option<RatedLine> {
    let opened = InvoiceRunOpened { cut_off: as_of, ..run.opened.clone() };
    again(view, invoice, (&opened, line.period.start), |subject, instances| {
        let wanted: AdjustmentKey<'_> = key(line)?;
        let own = subject.rate(instances, &mut Vec::new());
        let nothing = own.nothing.into_iter().filter(|_| nothing == UnchargedUsage::Included);
        own.lines.into_iter().chain(nothing).find(|rated| key(&rated.line) == Some(wanted))
    })
}

/// Rates the time that a run was about around an instant again for the buyer of a document, by what was known of instances
/// at its cut-off.
pub(crate) fn again<T>(
    view: &BillingView,
    invoice: &Invoice,
    (run, around): (&InvoiceRunOpened, Timestamp),
    read: impl FnOnce(&RatingSubject<'_>, &[(InstanceId, &History)]) -> Option<T>,
) -> Option<T> {
    let times = view.billing.times_of(run.run, invoice.buyer.party);
    let period = times.iter().find(|period| period.contains(around)).or_else(|| times.first());
    again_for(view, invoice.buyer.party, (run, *period?), read)
}

/// The same for a payer and a time.
fn again_for<T>(
    view: &BillingView,
    payer: PartyId,
    (run, period): (&InvoiceRunOpened, Period),
    read: impl FnOnce(&RatingSubject<'_>, &[(InstanceId, &History)]) -> Option<T>,
) -> Option<T> {
    // The prices are those of the run, whatever event it is rated as of.
    let known = view.billing.run(run.run).map_or(run.cut_off, |known| known.opened.cut_off);
    again_priced(view, payer, (run, period, known), read)
}

/// The same by prices of the customer as they were known at an event.
pub(crate) fn again_priced<T>(
    view: &BillingView,
    payer: PartyId,
    (run, period, prices_as_of): (&InvoiceRunOpened, Period, Sequence),
    read: impl FnOnce(&RatingSubject<'_>, &[(InstanceId, &History)]) -> Option<T>,
) -> Option<T> {
    let billing = &view.billing;
    let calendar = billing.calendar_of(payer)?;
    let overrides = billing.overrides_for(&run.price_book, payer, prices_as_of);
    let prices = Prices::with(&run.price_book, billing.versions_of(run), &overrides);
    let currency = billing.versions_of(run).first()?.currency;
    let discounted =
        billing.invoices_with_discounts(&prices, Some((run.seller, currency)), payer, run.cut_off);
    let place = DocumentPlace::of(run.run, payer);
    let own = billing.documents.get(&place).into_iter().flat_map(|document| &document.invoice.lines);
    let own = own.filter(|line| line.kind.is_rated());
    let later = billing.adjusted.get(&(run.run, payer)).into_iter().flatten();
    let later = later.filter_map(|(place, n)| line_of(&billing.documents.get(place)?.invoice, *n));
    let taxes_charged = prices.taxes_charged(own.chain(later));
    let subject = RatingSubject {
        basis: RatingBasis { regions: &billing.regions, metering: &view.metering, taxes: &billing.taxes },
        prices: &prices,
        seller: run.seller,
        payer,
        calendar,
        period,
        as_of: run.cut_off,
        taxes_as_of: prices_as_of,
        taxes_charged: taxes_charged.as_ref(),
        discounted: discounted.as_ref(),
        redeemed: billing.redeemed.get(&payer),
    };
    let known = billing.histories.of(payer).into_iter();
    let known: Vec<(InstanceId, History)> =
        known.filter_map(|(id, history)| Some((id, history.as_of(run.cut_off)?))).collect();
    let instances: Vec<(InstanceId, &History)> = known.iter().map(|(id, history)| (*id, history)).collect();
    read(&subject, &instances)
}
