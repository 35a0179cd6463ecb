//! What a run would say if it were opened now, where that is something else, and why.
//!
//! The lines of its documents are compared with the period rated again from all that is known now: usage that came, was
//! corrected or was taken away since, and versions of its price book that were published since. Normally there is no
//! difference. Adjustments, settled fees and charges by hand are about other documents and are not compared, and what
//! was given back is not looked at.

use std::collections::{BTreeMap, BTreeSet};

use slapledger_core::domain::id::{InvoiceId, PartyId, RunId, Sequence};
use slapledger_core::domain::invoice::{EventSet, Invoice, InvoiceLine, InvoiceRunOpened, LineKind};
use slapledger_core::domain::money::Amount;
use slapledger_core::domain::pricing::PriceBook;
use slapledger_projections::Page;

use crate::behind;
use crate::document::as_charged;
use crate::events::event_set;
use crate::rating::{OwnedAdjustmentKey, RatedLine, key, new_events};
use crate::view::{Billing, BillingView, DocumentPlace, Run};

/// The most sequences that are told of a line.
const MOST: usize = 10;

/// A line that would be another.
#[derive(Debug, PartialEq, Eq)]
pub struct LineDiff {
    /// Whose.
    pub payer: PartyId,
    /// The document of the run, if there is one.
    pub invoice: Option<InvoiceId>,
    /// The line as it stands (as something charged); none, if there was none.
    pub then: Option<InvoiceLine>,
    /// The line as it would be; none, if it would not be there.
    pub now: Option<InvoiceLine>,
    /// What it would be more.
    pub difference: Amount,
    /// The events that came since and make it so.
    pub events: EventSet,
    /// The first of them.
    pub sequences: Vec<Sequence>,
    /// The versions of its price book that were published since.
    pub versions: Vec<(u32, Sequence)>,
}

impl LineDiff {
    /// The line to tell what it is about.
    pub fn like(&self) -> Option<&InvoiceLine> {
        self.then.as_ref().or(self.now.as_ref())
    }
}

/// A place in the list of differences: payer, and how many of theirs come before.
pub type DiffPlace = (PartyId, u32);

impl BillingView {
    /// The lines of a run that would be others now, after one; none, if there is no such run.
    pub fn diff(
        &self,
        run: RunId,
        now: Sequence,
        after: Option<DiffPlace>,
        limit: usize,
    ) -> Option<Page<LineDiff, DiffPlace>> {
        let run = self.billing.run(run)?;
        let payers = self.billing.may_differ(run).into_iter();
        let payers = payers.filter(|payer| after.is_none_or(|(after, _)| *payer >= after));
        let lines = payers.flat_map(|payer| {
            let lines = self.differences(run, payer, now).into_iter();
            (1_u32..).zip(lines).map(move |(n, line)| ((payer, n), line))
        });
        let mut rest = lines.filter(|(place, _)| after.is_none_or(|after| *place > after));
        let page = Page::take(&mut rest, limit, |(place, _)| *place);
        Some(page.map(|(_, line)| line))
    }

    fn differences(&self, run: &Run, payer: PartyId, now: Sequence) -> Vec<LineDiff> {
        let (billing, opened) = (&self.billing, &run.opened);
        let document =
            billing.documents.get(&DocumentPlace::of(opened.run, payer)).map(|document| &document.invoice);
        let all = billing.books.versions(opened.price_book.as_str());
        let versions = u32::try_from(all.len()).unwrap_or(u32::MAX);
        let then_rated = self.rated(payer, opened, opened.cut_off);
        let as_now = InvoiceRunOpened { cut_off: now, versions, ..opened.clone() };
        let now_rated = self.rated(payer, &as_now, now);
        let charged = document.map(|invoice| charged(billing, invoice)).unwrap_or_default();
        let then: BTreeMap<_, _> =
            charged.iter().filter_map(|line| Some((key(line)?.owned(), line))).collect();
        let by_key = |rated: &'_ [RatedLine]| -> BTreeMap<OwnedAdjustmentKey, usize> {
            let keyed = rated.iter().enumerate();
            keyed.filter_map(|(at, rated)| Some((key(&rated.line)?.owned(), at))).collect()
        };
        let (then_at, now_at) = (by_key(&then_rated.0), by_key(&now_rated.0));
        let nothing_at = by_key(&now_rated.1);
        let mut keys: Vec<_> = then.keys().chain(now_at.keys()).cloned().collect();
        keys.sort_unstable();
        keys.dedup();
        let since: Vec<(u32, Sequence)> = billing
            .price_book(opened.price_book.as_str())
            .filter(|known| known.version > opened.versions)
            .map(|known| (known.version, known.sequence))
            .collect();
        let mut found = Vec::new();
        for wanted in keys {
            let then = then.get(&wanted).copied();
            let now_rated_line = now_at.get(&wanted).and_then(|at| now_rated.0.get(*at));
            let now_line = now_rated_line.map(|rated| &rated.line);
            let said = |line: &InvoiceLine| (line.quantity, line.amount, line.period);
            if then.map(said) == now_line.map(said) {
                continue;
            }
            let Some(like) = then.or(now_line) else { continue };
            let Some(nothing) = like.amount.checked_sub(like.amount) else { continue };
            let amount = |line: Option<&InvoiceLine>| line.map_or(nothing, |line| line.amount);
            let Some(difference) = amount(now_line).checked_sub(amount(then)) else { continue };
            let behind =
                now_rated_line.or_else(|| nothing_at.get(&wanted).and_then(|at| now_rated.1.get(*at)));
            let before = then_at.get(&wanted).and_then(|at| then_rated.0.get(*at));
            let mut sequences = new_events(&self.metering, now, (behind, before));
            sequences.retain(|sequence| *sequence > opened.cut_off);
            let events = event_set(&sequences);
            sequences.truncate(MOST);
            found.push(LineDiff {
                payer,
                invoice: document.map(|invoice| invoice.id.clone()),
                then: then.cloned(),
                now: now_line.cloned(),
                difference,
                events,
                sequences,
                versions: since.clone(),
            });
        }
        found
    }

    /// The lines of a payer as a run would have them, and those that come to nothing.
    fn rated(
        &self,
        payer: PartyId,
        run: &InvoiceRunOpened,
        overrides_as_of: Sequence,
    ) -> (Vec<RatedLine>, Vec<RatedLine>) {
        let (mut lines, mut nothing) = (Vec::new(), Vec::new());
        for period in self.billing.times_of(run.run, payer) {
            let of_run = (run, period, overrides_as_of);
            let rated = behind::again_priced(self, payer, of_run, |subject, instances| {
                let own = subject.rate(instances, &mut Vec::new());
                let advance = subject.in_advance(instances);
                Some((own.lines.into_iter().chain(advance), own.nothing))
            });
            let Some((own, none)) = rated else { continue };
            lines.extend(own);
            nothing.extend(none);
        }
        (lines, nothing)
    }
}

/// The lines of a document that are about its own period, as something charged.
fn charged(billing: &Billing, invoice: &Invoice) -> Vec<InvoiceLine> {
    let own = invoice.lines.iter().filter(|line| match line.kind {
        LineKind::Recurring
        | LineKind::Usage { .. }
        | LineKind::Percentage
        | LineKind::Minimum
        | LineKind::Discount
        | LineKind::Maximum => !billing.is_in_advance(line),
        LineKind::Advance => line.cites.is_none(),
        LineKind::Adjustment | LineKind::OneOff { .. } | LineKind::Correction { .. } => false,
    });
    own.map(|line| as_charged(invoice, line)).collect()
}

impl Billing {
    /// The payers for whom a run may say something else now: those whose usage came late, or all of them, if prices were
    /// published since or its period was not over.
    fn may_differ(&self, run: &Run) -> BTreeSet<PartyId> {
        let opened = &run.opened;
        let about = |(id, payer): &(RunId, PartyId)| (*id == opened.run).then_some(*payer);
        let late = self.late.keys().chain(self.settled.keys()).filter_map(about);
        let published = self.books.versions(opened.price_book.as_str()).len();
        let newer = u32::try_from(published).unwrap_or(u32::MAX) > opened.versions;
        let all = self.histories.owners().filter(|payer| {
            let calendar = self.calendar_of(*payer);
            newer || calendar.is_some_and(|calendar| opened.at < opened.period.stop.within(calendar))
        });
        let always = self.versions_of(opened).iter().flat_map(PriceBook::always_owed_by).filter(|_| newer);
        late.chain(all).chain(always).filter(|payer| opened.names(*payer)).collect()
    }
}
