//! The fold: what each event changes in the view.

use std::collections::{BTreeMap, BTreeSet};

use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::discount::DiscountCodeRedeemed;
use slapledger_core::domain::erasure::{ErasureSubject, KeyDestroyed};
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{InvoiceId, PartyId, RunId, Sequence};
use slapledger_core::domain::invoice::{
    EarlierLines, Invoice, InvoiceFinalised, InvoiceLine, InvoiceLinesRecorded, InvoiceRunFinalised,
    InvoiceRunOpened, InvoiceRunRefreshed, InvoiceRunWithdrawn, LineKind, Remainders, Tax, as_charged,
};
use slapledger_core::domain::money::Amount;
use slapledger_core::domain::party::{PartyDescribed, PartyRegistered, PartyTimeZoneSet};
use slapledger_core::domain::pricing::{Model, PriceBookPublished, Trial};
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_core::log::envelope::Recorded;
use slapledger_projections::CopyOnWrite;
use slapledger_projections::metering::{Metering, Target};

use crate::document::Payer;
use crate::document::line_of;
use crate::drafts::Question;
use crate::gaps::may_be_within;
use crate::view::{Billing, Charge, Document, DocumentPlace, Drafted, LateUsage, Run};
use crate::warning::Warning;

impl Billing {
    /// What an event changes that metering must not have taken over yet: whose usage it replaces is still known.
    pub(crate) fn before_metering(&mut self, recorded: &Recorded, metering: &Metering) {
        let Some(billed_until) = self.billed_until else { return };
        // A level that carries over holds until the next report, perhaps for months.
        let carried = match &recorded.event {
            Event::UsageRecorded(usage) => self.books.carries_over(Some(&usage.resource)),
            Event::UsageCorrected(_) | Event::SuspendedUsageResolved(_) | Event::UsageVoided(_) => {
                self.books.carries_over(None)
            }
            _ => false,
        };
        for (target, period) in metering.touched(recorded) {
            let stop = if carried { Timestamp::MAX } else { period.stop };
            let period = Period { stop, ..period };
            if period.start < billed_until
                && let Target::Instance(instance) = target
                && let Some(owner) = self.histories.get(instance).map(|history| history.owner)
            {
                self.came_late(owner, period, recorded.sequence);
            }
        }
    }

    /// Takes the next event over, with metering as it is after it.
    pub(crate) fn apply(&mut self, recorded: &Recorded, metering: &Metering) {
        let sequence = recorded.sequence;
        match &recorded.event {
            Event::PartyRegistered(event) => self.registered(event, sequence),
            Event::PartyDescribed(event) => self.described(event, sequence),
            Event::PartyTimeZoneSet(event) => self.time_zone_set(event, sequence),
            Event::TaxRateSet(event) => {
                self.taxes.rate_set(event, sequence);
                self.said_of(event.seller, sequence);
            }
            Event::TaxTreatmentSet(event) => {
                self.taxes.treatment_set(event, sequence);
                self.said_of(event.customer, sequence);
            }
            Event::ProductTaxSet(event) => {
                self.taxes.product_set(event, sequence);
                self.said_of(event.seller, sequence);
            }
            Event::CreditGranted(event) => {
                self.credits.granted(event);
                self.granted.insert(event.credit, (event.clone(), sequence));
            }
            Event::CreditWithdrawn(event) => self.credits.withdrawn(event),
            Event::CreditExpired(event) => self.credits.expired(event),
            Event::TopUpSet(event) => self.credits.top_up_set(event),
            Event::TopUpRequested(event) => {
                self.credits.top_up_requested(event);
                let owner = (event.seller, event.customer, event.currency);
                self.top_ups_requested.entry(owner).or_default().push((event.clone(), sequence));
            }
            Event::KeyDestroyed(event) => self.key_destroyed(event, sequence),
            Event::ComputerDescribed(event) => self.regions.described(event),
            Event::PriceBookPublished(event) => self.published(event, sequence),
            Event::PriceOverrideSet(event) => self.override_set(event, sequence),
            Event::PriceOverrideEnded(event) => self.override_ended(event, sequence),
            Event::ChargeRecorded(event) => {
                self.open_charges.entry(event.customer).or_default().insert(event.charge);
                if let Some(cited) = &event.cites {
                    self.corrections.entry(cited.invoice.clone()).or_default().insert(event.charge);
                }
                let charge = Charge { recorded: event.clone(), sequence, invoice: None };
                self.charges.insert(event.charge, charge);
            }
            Event::DiscountCodeRedeemed(event) => self.code_redeemed(event, sequence),
            Event::InvoiceRunOpened(event) => self.draw_up(event.clone(), (event.at, sequence), metering),
            Event::InvoiceRunRefreshed(event) => self.refreshed(event, sequence, metering),
            Event::InvoiceRunWithdrawn(event) => self.withdrawn(event, sequence),
            Event::InvoiceDraftReviewed(event) => self.reviewed(event, recorded),
            Event::InvoiceLinesRecorded(event) => self.lines_recorded(event),
            Event::InvoiceFinalised(event) => self.finalised(event, sequence),
            Event::InvoiceRunFinalised(event) => self.run_finalised(event, sequence),
            other => {
                if let Some(event) = other.about_instance() {
                    self.histories.apply(event, sequence);
                }
            }
        }
    }

    fn registered(&mut self, event: &PartyRegistered, sequence: Sequence) {
        let payer = Payer {
            name: event.name.clone(),
            details: None,
            country: None,
            vat_id: false,
            series: None,
            terms_days: None,
            calendar: Calendar::of(event.time_zone),
            registered_at: event.at,
            erased_at: None,
            sequence,
        };
        self.payers.insert(event.party, payer);
    }

    fn described(&mut self, event: &PartyDescribed, sequence: Sequence) {
        if let Some(payer) = self.payers.get_mut(&event.party) {
            payer.details.clone_from(&event.details);
            payer.series.clone_from(&event.series);
            (payer.country, payer.vat_id) = (event.country, event.vat_id);
            (payer.terms_days, payer.sequence) = (event.terms_days, sequence);
        }
    }

    fn time_zone_set(&mut self, event: &PartyTimeZoneSet, sequence: Sequence) {
        if let Some(payer) = self.payers.get_mut(&event.party) {
            payer.calendar.change(event.from, event.time_zone);
            payer.sequence = sequence;
        }
    }

    fn key_destroyed(&mut self, event: &KeyDestroyed, sequence: Sequence) {
        if let ErasureSubject::Party(party) = event.subject
            && let Some(payer) = self.payers.get_mut(&party)
        {
            (payer.erased_at, payer.sequence) = (Some(event.at), sequence);
        }
    }

    fn said_of(&mut self, party: PartyId, sequence: Sequence) {
        if let Some(payer) = self.payers.get_mut(&party) {
            payer.sequence = sequence;
        }
    }

    fn published(&mut self, event: &PriceBookPublished, sequence: Sequence) {
        self.books.published(event);
        self.trials_by_quantity |=
            event.book.rates.iter().any(|rate| matches!(rate.trial, Some(Trial::Quantity(_))));
        self.published.entry(event.book.name.clone()).or_default().push(sequence);
    }

    /// A code counts from the beginning of its month on: what is drafted or invoiced of it already is adjusted.
    fn code_redeemed(&mut self, event: &DiscountCodeRedeemed, sequence: Sequence) {
        let codes = self.redeemed.entry(event.customer).or_default();
        codes.entry(event.code.clone()).or_insert((event.at, sequence));
        let Some(calendar) = self.payers.get(&event.customer).map(|payer| &payer.calendar) else { return };
        let month = calendar.start_of(calendar.month_of(event.at).first());
        if self.billed_until.is_some_and(|until| month < until)
            && let Some(time) = Period::new(month, Timestamp::MAX)
        {
            self.came_late(event.customer, time, sequence);
        }
    }

    fn came_late(
        &mut self,
        owner: PartyId,
        period: slapledger_core::domain::time::Period,
        sequence: Sequence,
    ) {
        let Some(calendar) = self.payers.get(&owner).map(|payer| &payer.calendar) else { return };
        let about = self.runs.iter().filter(|(_, run)| run.opened.names(owner)).filter(|(_, run)| {
            let of_run = run.opened.period.within(calendar).filter(|_| !run.withdrawn);
            of_run.is_some_and(|of_run| {
                of_run.intersection(period).is_some()
                    || continues_month(of_run, period, calendar)
                    // What is used of a trial is not left for later months.
                    || (self.trials_by_quantity && of_run.start >= period.stop)
            })
        });
        for (run, _) in about {
            let new = LateUsage { events: 0, first_sequence: sequence, last_sequence: sequence };
            let late = self.late.entry((*run, owner)).or_insert(new);
            late.events += 1;
            late.last_sequence = sequence;
        }
    }

    /// What a run is from when it is refreshed.
    pub(crate) fn refreshed_run(&self, event: &InvoiceRunRefreshed) -> Option<InvoiceRunOpened> {
        let opened = self.runs.get(&event.run)?.opened.clone();
        Some(InvoiceRunOpened { cut_off: event.cut_off, versions: event.versions, ..opened })
    }

    fn refreshed(&mut self, event: &InvoiceRunRefreshed, sequence: Sequence, metering: &Metering) {
        let Some(opened) = self.refreshed_run(event) else { return };
        self.forget(event.run);
        self.drafts_changed(event.run);
        self.draw_up(opened, (event.at, sequence), metering);
    }

    fn withdrawn(&mut self, event: &InvoiceRunWithdrawn, sequence: Sequence) {
        self.forget(event.run);
        if let Some(run) = self.runs.get_mut(&event.run) {
            (run.withdrawn, run.sequence) = (true, sequence);
            // Its drafts may not have been computed before: what they found is forgotten either way.
            run.warnings.clear();
            run.silent_on.clear();
            run.suspended_usage = 0;
        }
    }

    /// Forgets the drafts of a run, and what they did not know.
    pub(crate) fn forget(&mut self, run: RunId) {
        self.documents.retain(|place, document| place.run != run || document.issued.is_some());
        self.late.retain(|(of, _), _| *of != run);
    }

    fn draw_up(
        &mut self,
        opened: InvoiceRunOpened,
        (drawn_up_at, sequence): (Timestamp, Sequence),
        metering: &Metering,
    ) {
        let drafted = self.drafted(&opened, metering);
        let run = opened.run;
        self.begin(opened, (drawn_up_at, sequence));
        self.fill(run, drafted);
    }

    /// The drafts of a run, and what there is to say of them. A pure reading of the view.
    pub(crate) fn drafted(&self, opened: &InvoiceRunOpened, metering: &Metering) -> Drafted {
        let question = Question::of_run(opened, self.versions_of(opened));
        let (drafts, warnings) = self.drafts(question, metering);
        let suspended_usage = self.suspended_within(opened, metering);
        let told = (suspended_usage > 0).then_some(Warning::SuspendedUsage { events: suspended_usage });
        let gaps = self.gaps_within(opened, metering);
        let warnings = told.into_iter().chain(warnings).chain(gaps).collect();
        let documents = drafts.into_iter().map(|invoice| {
            let place = DocumentPlace::of(opened.run, invoice.buyer.party);
            (place, Document { invoice, issued: None }.into())
        });
        Drafted { documents: documents.collect(), warnings, suspended_usage }
    }

    /// A run that has no drafts yet.
    pub(crate) fn begin(&mut self, opened: InvoiceRunOpened, (drawn_up_at, sequence): (Timestamp, Sequence)) {
        self.billed_until = self.billed_until.max(Some(self.over_at(&opened)));
        let run = Run {
            sequence,
            drawn_up_at,
            warnings: Vec::new(),
            suspended_usage: 0,
            finalised: None,
            withdrawn: false,
            silent_on: BTreeSet::new(),
            opened,
        };
        self.runs.insert(run.opened.run, run);
    }

    /// The drafts of a run that was begun.
    pub(crate) fn fill(&mut self, run: RunId, drafted: Drafted) {
        let silent_on = drafted
            .warnings
            .iter()
            .filter_map(|warning| warning.passed_over().or_else(|| self.payer_in_doubt(warning)))
            .collect();
        let Some(run) = self.runs.get_mut(&run) else { return };
        run.silent_on = silent_on;
        (run.warnings, run.suspended_usage) = (drafted.warnings, drafted.suspended_usage);
        self.documents.extend(drafted.documents);
    }

    /// How many suspended reports may be about the period of a run, as the seller has it.
    fn suspended_within(&self, run: &InvoiceRunOpened, metering: &Metering) -> u64 {
        let period = self.payers.get(&run.seller).and_then(|seller| run.period.within(&seller.calendar));
        let Some(period) = period else { return 0 };
        let waiting = metering.suspense(|_| true, Sequence::ZERO, usize::MAX).items.into_iter();
        waiting.filter(|(_, suspense)| may_be_within(&suspense.usage, period)).count() as u64
    }

    /// What is missing in the period of a run, as the seller has it and as far as it is over; of prices that charge for
    /// no usage nothing is.
    fn gaps_within(&self, run: &InvoiceRunOpened, metering: &Metering) -> Vec<Warning> {
        let rates = self.versions_of(run).iter().flat_map(|book| &book.rates);
        if !rates.into_iter().any(|rate| matches!(rate.model, Model::Usage { .. })) {
            return Vec::new();
        }
        let period = self.payers.get(&run.seller).and_then(|seller| run.period.within(&seller.calendar));
        let over = period.and_then(|period| Period::new(period.start, period.stop.min(run.at)));
        over.map_or_else(Vec::new, |over| self.gap_warnings(over, run.cut_off, metering))
    }

    fn lines_recorded(&mut self, event: &InvoiceLinesRecorded) {
        self.parts.entry(event.invoice.clone()).or_default().extend_from_slice(&event.lines);
    }

    fn finalised(&mut self, event: &InvoiceFinalised, sequence: Sequence) {
        let mut place = DocumentPlace::of(event.invoice.run, event.invoice.buyer.party);
        let parts = self.parts.remove(&event.invoice.id);
        let issued = parts.as_ref().unwrap_or(&event.invoice.lines);
        // Nearly always they are those of the draft, which stay where they are in memory.
        let draft = self.documents.get_mut(&place).filter(|document| document.issued.is_none());
        let same = draft.filter(|draft| draft.invoice.lines == *issued);
        let same = same.map(|draft| std::mem::take(&mut draft.invoice.lines));
        let invoice = event.invoice.with_lines(same.or(parts).unwrap_or_else(|| event.invoice.lines.clone()));
        let by_hand = self.documents.get(&place).is_some_and(|document| document.issued.is_some());
        if by_hand {
            place.note = u32::try_from(self.notes_on(place.run, place.payer).count() + 1).unwrap_or(u32::MAX);
            self.credited(&invoice);
        } else {
            self.carried(&invoice, place);
            self.settles(&invoice);
        }
        self.credits.invoiced(&invoice);
        self.issued.insert(invoice.id.clone(), place);
        self.of_payer.entry(place.payer).or_default().push(place);
        self.documents.insert(place, Document { invoice, issued: Some(sequence) }.into());
    }

    /// Somebody wrote a credit note.
    fn credited(&mut self, note: &Invoice) {
        let Self { remainders, balances, documents, issued, .. } = self;
        remainders.credited(note, &note.lines);
        balances.credited(note, &IssuedLines { documents, issued, remainders });
        if note.cites.as_ref().is_some_and(|cites| cites.all) {
            let place = DocumentPlace::of(note.run, note.buyer.party);
            self.voided.entry(place.payer).or_default().insert(place);
            self.unsettled(place);
        }
    }

    /// What the document of a run takes of lines of earlier documents.
    fn settles(&mut self, invoice: &Invoice) {
        let Self { remainders, balances, documents, issued, .. } = self;
        remainders.issued(invoice, &invoice.lines, |cited| {
            let (earlier, line) = line_at(documents, issued, (&cited.invoice, cited.line))?;
            Some(as_charged(earlier.document, line.amount))
        });
        balances.issued(invoice, &invoice.lines, &IssuedLines { documents, issued, remainders });
    }

    /// The lines of all documents that are issued by now.
    pub(crate) fn issued_lines(&self) -> IssuedLines<'_> {
        let Self { remainders, documents, issued, .. } = self;
        IssuedLines { documents, issued, remainders }
    }

    /// A document is void: what it charged of usage that came late is to be charged again.
    fn unsettled(&mut self, place: DocumentPlace) {
        let DocumentPlace { run, payer, .. } = place;
        for about in self.runs.keys() {
            if let Some(lines) = self.adjusted.get_mut(&(*about, payer)) {
                lines.retain(|(at, _)| *at != place);
            }
        }
        let settled_by_it = self.was_late.remove(&(run, payer)).into_iter().flatten();
        for (about, late) in settled_by_it {
            let again = self.late.entry((about, payer)).or_insert(LateUsage { events: 0, ..late });
            again.events += late.events;
            again.first_sequence = late.first_sequence;
            again.last_sequence = again.last_sequence.max(late.last_sequence);
        }
    }

    /// What later documents need to know of the lines of this one.
    fn carried(&mut self, invoice: &Invoice, place: DocumentPlace) {
        for line in &invoice.lines {
            match &line.kind {
                LineKind::Advance if line.cites.is_none() => {
                    self.in_advance.entry(place.payer).or_default().push((place, line.n));
                }
                LineKind::OneOff { charge } | LineKind::Correction { charge } => {
                    if let Some(known) = self.charges.get_mut(charge) {
                        known.invoice = Some(invoice.id.clone());
                    }
                    if let Some(open) = self.open_charges.get_mut(&place.payer) {
                        open.remove(charge);
                    }
                }
                LineKind::Adjustment => {
                    if let Some(run) = self.run_about(invoice, line) {
                        self.adjusted.entry((run, place.payer)).or_default().push((place, line.n));
                    }
                }
                _ => {}
            }
        }
    }

    /// The run that an adjustment is about: that of the document it cites, or the one that was about its time.
    pub(crate) fn run_about(&self, invoice: &Invoice, line: &InvoiceLine) -> Option<RunId> {
        if let Some(cited) = &line.cites {
            let place = self.issued.get(&cited.invoice)?;
            let earlier = self.documents.get(place).map(|document| &document.invoice);
            let line = earlier.and_then(|earlier| line_of(earlier, cited.line));
            // An adjustment that adjusts another is about the run that the other is about.
            return match earlier.zip(line) {
                Some((earlier, line)) if line.kind == LineKind::Adjustment => self.run_about(earlier, line),
                _ => Some(place.run),
            };
        }
        let calendar = self.calendar_of(invoice.buyer.party)?;
        let book = line.price_book.as_ref()?;
        let about = self.runs.iter().filter(|(id, run)| {
            **id != invoice.run
                && run.is_about(invoice.buyer.party)
                && (run.opened.seller, &run.opened.price_book) == (invoice.seller.party, &book.name)
                && run.opened.period.within(calendar).is_some_and(|period| period.contains(line.period.start))
                && self
                    .documents
                    .get(&DocumentPlace::of(**id, invoice.buyer.party))
                    .is_none_or(|document| document.invoice.period.contains(line.period.start))
                && !self.is_covered(**id, invoice.buyer.party)
        });
        about.map(|(id, _)| *id).next_back()
    }

    fn run_finalised(&mut self, event: &InvoiceRunFinalised, sequence: Sequence) {
        let drafts = self.documents_of(event.run).filter(|document| document.issued.is_none());
        let given_up: Vec<PartyId> = drafts.map(|draft| draft.invoice.buyer.party).collect();
        self.documents.retain(|place, document| place.run != event.run || document.issued.is_some());
        let Some(run) = self.runs.get_mut(&event.run) else { return };
        run.silent_on.extend(given_up);
        run.finalised = Some((event.at, sequence));
        let cut_off = run.opened.cut_off;
        let (seller, book) = (run.opened.seller, run.opened.price_book.clone());
        // What came late for earlier runs is settled by this one, as far as it knew; but for those it says nothing of.
        let runs = &self.runs;
        let Some(of_this) = runs.get(&event.run) else { return };
        let settled = self.late.iter().filter(|((about, payer), _)| {
            *about != event.run
                && of_this.is_about(*payer)
                && runs.get(about).is_some_and(|earlier| {
                    earlier.finalised.is_some_and(|(_, at)| at <= cut_off)
                        && (earlier.opened.seller, &earlier.opened.price_book) == (seller, &book)
                })
        });
        let settled: Vec<((RunId, PartyId), LateUsage)> =
            settled.map(|(place, late)| (*place, *late)).collect();
        for (place, late) in settled {
            self.settled.entry(place).or_default().push(cut_off);
            if late.last_sequence <= cut_off {
                self.late.remove(&place);
                let (about, payer) = place;
                self.was_late.entry((event.run, payer)).or_default().push((about, late));
            }
        }
    }
}

/// Whether a period begins within a month after some time of the same month: what is counted by the month continues.
fn continues_month(of_run: Period, time: Period, calendar: &Calendar) -> bool {
    const MONTH_MICROS: i64 = 32 * 86_400 * 1_000_000;
    // Most runs are of another month, or begin with one.
    if of_run.start < time.stop || of_run.start > time.stop.plus_micros(MONTH_MICROS) {
        return false;
    }
    let month = calendar.start_of(calendar.month_of(of_run.start).first());
    month < of_run.start && month < time.stop
}

/// The lines of all documents that are issued.
pub(crate) struct IssuedLines<'b> {
    documents: &'b BTreeMap<DocumentPlace, CopyOnWrite<Document>>,
    issued: &'b BTreeMap<InvoiceId, DocumentPlace>,
    remainders: &'b Remainders,
}

/// A line of a document that is issued, and the document.
fn line_at<'d>(
    documents: &'d BTreeMap<DocumentPlace, CopyOnWrite<Document>>,
    issued: &BTreeMap<InvoiceId, DocumentPlace>,
    (invoice, n): (&InvoiceId, u32),
) -> Option<(&'d Invoice, &'d InvoiceLine)> {
    let earlier = &documents.get(issued.get(invoice)?)?.invoice;
    Some((earlier, line_of(earlier, n)?))
}

impl EarlierLines for IssuedLines<'_> {
    fn line(&self, invoice: &InvoiceId, n: u32) -> Option<(Amount, Tax)> {
        let (invoice, line) = line_at(self.documents, self.issued, (invoice, n))?;
        Some((as_charged(invoice.document, line.amount), line.tax))
    }

    fn remainders(&self) -> &Remainders {
        self.remainders
    }
}
