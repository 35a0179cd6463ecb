//! Drafts: what a run would issue, from all that was known at its cut-off.
//!
//! A pure reading of the view. Beside what was in the period itself a draft has what earlier documents left to be
//! settled: fees charged in advance, usage that came late, and what was charged by hand.

mod earlier;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

use slapledger_core::domain::id::{InstanceId, InvoiceId, PartyId, PriceBookName, RunId, Sequence};
use slapledger_core::domain::invoice::{
    Invoice, InvoiceLine, InvoiceRunOpened, LineKind, LineRef, RunPeriod,
};
use slapledger_core::domain::money::{Currency, Exact};
use slapledger_core::domain::pricing::{Model, PriceBook, When};
use slapledger_core::domain::quantity::{ONE, Quantity};
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_projections::metering::Metering;
use slapledger_projections::stop::{StopFlag, stoppable};

use crate::document::{self, DocumentHead, Payer, as_charged, line_of};
use crate::doubt::ImplausibleUsage;
use crate::events::event_set;
use crate::history::History;
use crate::rating::{self, Charged, ChargedInAdvance, Earlier, Prices, Rated, RatingBasis, RatingSubject};
use crate::view::{Billing, Document, DocumentPlace};
use crate::warning::Warning;

/// What drafts are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// The run they are for.
    pub(crate) run: RunId,
    pub(crate) seller: PartyId,
    pub(crate) period: RunPeriod,
    pub(crate) price_book: &'a PriceBookName,
    /// Its versions.
    pub(crate) versions: &'a [PriceBook],
    pub(crate) cut_off: Sequence,
    pub(crate) at: Timestamp,
}

impl<'a> Question<'a> {
    pub(crate) fn of_run(run: &'a InvoiceRunOpened, versions: &'a [PriceBook]) -> Self {
        let InvoiceRunOpened { run: id, seller, period, ref price_book, cut_off, at, .. } = *run;
        Self { run: id, seller, period, price_book, versions, cut_off, at }
    }
}

/// The id of a draft, until it has a number: run and payer.
fn draft_id(run: RunId, payer: PartyId) -> InvoiceId {
    InvoiceId::new(&format!("{run}-{payer}")).expect("two numbers and their prefixes are short text")
}

/// The instances of one payer.
type Instances<'a> = Vec<(InstanceId, &'a History)>;

impl Billing {
    /// The drafts of all payers, and what they do not charge.
    pub(crate) fn drafts(&self, question: Question<'_>, metering: &Metering) -> (Vec<Invoice>, Vec<Warning>) {
        let Some(currency) = question.versions.first().map(|book| book.currency) else {
            return (Vec::new(), Vec::new());
        };
        let prices = Prices::new(question.price_book, question.versions);
        let by_owner = self.histories.by_owner();
        let payers: Vec<PartyId> = self.payers_of(&question, currency, &by_owner).into_iter().collect();
        let implausible = ImplausibleUsage::new(metering, &self.histories);
        let desk = Desk { billing: self, question, prices: &prices, currency, metering, implausible };
        in_parallel(&payers, |payers| desk.drafts(payers, &by_owner))
    }

    /// Who may have anything to pay, of whoever is asked for.
    pub(crate) fn payers_asked(&self, question: &Question<'_>) -> BTreeSet<PartyId> {
        let currency = question.versions.first().map(|book| book.currency);
        currency
            .map(|currency| self.payers_of(question, currency, &self.histories.by_owner()))
            .unwrap_or_default()
    }

    /// The draft of one payer, and what it does not charge.
    pub(crate) fn draft_of(
        &self,
        question: Question<'_>,
        metering: &Metering,
        payer: PartyId,
    ) -> (Option<Invoice>, Vec<Warning>) {
        let mut warnings = Vec::new();
        let Some(currency) = question.versions.first().map(|book| book.currency) else {
            return (None, warnings);
        };
        let prices = Prices::new(question.price_book, question.versions);
        let instances = self.histories.of(payer);
        let implausible = ImplausibleUsage::new(metering, &self.histories);
        let desk = Desk { billing: self, question, prices: &prices, currency, metering, implausible };
        (desk.draft(payer, &instances, &mut warnings), warnings)
    }

    /// Who may have anything to pay.
    fn payers_of(
        &self,
        question: &Question<'_>,
        currency: Currency,
        by_owner: &BTreeMap<PartyId, Instances<'_>>,
    ) -> BTreeSet<PartyId> {
        let charges = self.open_charges.values().flatten().filter_map(|charge| self.charges.get(charge));
        let charges = charges.map(|charge| &charge.recorded);
        let charges =
            charges.filter(|charge| (charge.seller, charge.currency) == (question.seller, currency));
        let late = self.late.keys().map(|(_, payer)| *payer);
        let voided = self.voided.keys().copied();
        let others = charges.map(|charge| charge.customer).chain(late).chain(voided);
        by_owner.keys().copied().chain(others).collect()
    }

    /// Whether what comes late for somebody without a document of a run is for another such run, which is about all of
    /// its time: of several about the same time it is the last.
    pub(crate) fn is_covered(&self, run: RunId, payer: PartyId) -> bool {
        let about = |run: RunId| {
            let known = self.runs.get(&run)?;
            let book = (known.opened.seller, &known.opened.price_book);
            let period = known.opened.period.within(self.calendar_of(payer)?)?;
            (known.is_about(payer) && !self.documents.contains_key(&DocumentPlace::of(run, payer)))
                .then_some((book, period))
        };
        let Some((book, period)) = about(run) else { return false };
        self.runs.keys().filter(|other| **other != run).any(|other| {
            about(*other).is_some_and(|(of_book, other_period)| {
                of_book == book
                    && other_period.intersection(period) == Some(period)
                    && (other_period != period || *other > run)
            })
        })
    }

    /// The documents of a seller in a currency that stand, by payer.
    pub(crate) fn standing(
        &self,
        (seller, currency): (PartyId, Currency),
        payer: PartyId,
    ) -> impl Iterator<Item = (DocumentPlace, &Document)> {
        let places = self.of_payer.get(&payer).into_iter().flatten();
        let documents = places.filter_map(|place| Some((*place, &**self.documents.get(place)?)));
        documents.filter(move |(place, document)| {
            let invoice = &document.invoice;
            place.note == 0
                && (invoice.seller.party, invoice.currency) == (seller, currency)
                && !self.is_void(invoice)
        })
    }
}

/// Payers for whom it is worth while to start a thread.
const WORTH_A_THREAD: usize = 256;

/// Does a share of the work on each core. What each payer owes depends on nobody else, and what comes back is in the order
/// of the payers: however many cores there are, it is the same.
fn in_parallel<T: Send, W: Send>(
    payers: &[PartyId],
    work: impl Fn(&[PartyId]) -> (Vec<T>, Vec<W>) + Sync,
) -> (Vec<T>, Vec<W>) {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = payers.len().div_ceil(cores).max(WORTH_A_THREAD);
    let Some((first, others)) = payers.split_at_checked(share) else { return work(payers) };
    thread::scope(|scope| {
        let work = &work;
        let flag = StopFlag::of_thread();
        let others = others.chunks(share).map(|payers| {
            let flag = flag.clone();
            scope.spawn(move || stoppable(flag, || work(payers)))
        });
        let others: Vec<_> = others.collect();
        let mut done = work(first);
        for other in others {
            // A panic of one is a panic of all, and so is a stop.
            let shared = other.join().unwrap_or_else(|panic| resume_unwind(panic));
            let (drafts, warnings) = shared.unwrap_or_else(|stopped| resume_unwind(Box::new(stopped)));
            done.0.extend(drafts);
            done.1.extend(warnings);
        }
        done
    })
}

/// Everything at hand for the drafts of one question.
struct Desk<'a> {
    billing: &'a Billing,
    question: Question<'a>,
    prices: &'a Prices<'a>,
    currency: Currency,
    metering: &'a Metering,
    implausible: ImplausibleUsage<'a>,
}

impl<'a> Desk<'a> {
    fn basis(&self) -> RatingBasis<'a> {
        let Billing { regions, taxes, .. } = self.billing;
        RatingBasis { regions, metering: self.metering, taxes }
    }

    /// The drafts of some payers, in their order.
    fn drafts(
        &self,
        payers: &[PartyId],
        by_owner: &BTreeMap<PartyId, Instances<'a>>,
    ) -> (Vec<Invoice>, Vec<Warning>) {
        let none = Instances::new();
        let (mut drafts, mut warnings) = (Vec::new(), Vec::new());
        for payer in payers {
            let instances = by_owner.get(payer).unwrap_or(&none);
            drafts.extend(self.draft(*payer, instances, &mut warnings));
        }
        (drafts, warnings)
    }

    fn draft(
        &self,
        payer: PartyId,
        instances: &Instances<'a>,
        warnings: &mut Vec<Warning>,
    ) -> Option<Invoice> {
        let Question { run, seller, period, cut_off, at, .. } = self.question;
        let buyer = self.billing.payers.get(&payer)?;
        let Some(period) = period.within(&buyer.calendar) else {
            warnings.push(Warning::NoPeriod { payer });
            return None;
        };
        let mut standing = self.billing.standing((seller, self.currency), payer);
        if let Some((_, before)) =
            standing.find(|(_, document)| document.invoice.period.intersection(period).is_some())
        {
            warnings.push(Warning::Invoiced { payer, invoice: before.invoice.id.clone() });
            return None;
        }
        drop(standing);
        if let Some(invoice) = self.adjusted_within(payer, period) {
            warnings.push(Warning::Invoiced { payer, invoice });
            return None;
        }
        let subject = RatingSubject {
            basis: self.basis(),
            prices: self.prices,
            seller,
            payer,
            calendar: &buyer.calendar,
            period,
            as_of: cut_off,
        };
        let mut own = subject.rate(instances, warnings);
        warnings.extend(self.implausible.warning(payer, period));
        let mut lines = std::mem::take(&mut own.lines);
        let charged = self.charged_in_advance(payer, period);
        lines.extend(rating::settle(own, charged, (self.prices.name, self.currency)));
        lines.extend(self.in_advance(&subject, instances));
        lines.extend(self.of_void(payer));
        lines.extend(self.adjustments((payer, buyer), period, instances));
        lines.extend(self.charges(payer, period));
        let head = DocumentHead {
            id: draft_id(run, payer),
            run,
            seller: (seller, self.billing.payers.get(&seller)?),
            buyer: (payer, buyer),
            currency: self.currency,
            period,
            at,
        };
        let draft = document::assemble(head, lines, &self.billing.taxes)?;
        warnings
            .extend(draft.missing_details().map(|what| Warning::MissingDetails { payer, what: what.into() }));
        Some(draft)
    }

    /// The document that charged usage of a period which came after the run that was about it, and had no document then.
    fn adjusted_within(&self, payer: PartyId, period: Period) -> Option<InvoiceId> {
        let Billing { adjusted, runs, documents, .. } = self.billing;
        let calendar = self.billing.calendar_of(payer)?;
        let about = runs.iter().filter(|(run, known)| {
            let about = known.opened.period.within(calendar);
            known.opened.seller == self.question.seller
                && about.is_some_and(|about| about.intersection(period).is_some())
                && !documents.contains_key(&DocumentPlace::of(**run, payer))
        });
        let mut lines = about.filter_map(|(run, _)| adjusted.get(&(*run, payer))).flatten();
        lines.find_map(|(place, _)| {
            let invoice = &documents.get(place)?.invoice;
            (invoice.currency == self.currency && !self.billing.is_void(invoice)).then(|| invoice.id.clone())
        })
    }

    /// Fees that issued documents charged before for time that begins in a period.
    fn charged_in_advance(&self, payer: PartyId, period: Period) -> Vec<ChargedInAdvance> {
        let places = self.billing.in_advance.get(&payer).into_iter().flatten();
        let charged = places.filter_map(|(place, n)| {
            let document = self.billing.documents.get(place)?;
            let invoice = &document.invoice;
            // What is left of a void document is settled for itself.
            if (invoice.seller.party, invoice.currency) != (self.question.seller, self.currency)
                || self.billing.is_void(invoice)
            {
                return None;
            }
            let line = line_of(invoice, *n)?;
            let left = self.billing.remainder_of(invoice, line);
            let at = LineRef { invoice: invoice.id.clone(), line: *n };
            let charged =
                ChargedInAdvance { line: as_charged(invoice, line), at, left, issued: document.issued? };
            (period.contains(charged.line.period.start) && left.minor() != 0).then_some(charged)
        });
        charged.collect()
    }

    /// What usage that came late changes in what earlier runs charged.
    fn adjustments(
        &self,
        (payer, buyer): (PartyId, &'a Payer),
        own: Period,
        instances: &Instances<'a>,
    ) -> Vec<Rated> {
        // Runs are few, and what came late may be of everybody.
        let Billing { runs, late, .. } = self.billing;
        let about =
            runs.keys().filter(|run| **run != self.question.run && late.contains_key(&(**run, payer)));
        let adjusted = about.flat_map(|run| self.adjust(*run, (payer, buyer), own, instances));
        adjusted.collect()
    }

    fn adjust(
        &self,
        run: RunId,
        (payer, buyer): (PartyId, &'a Payer),
        own: Period,
        instances: &Instances<'a>,
    ) -> Vec<Rated> {
        let Some(earlier) = self.billing.runs.get(&run) else { return Vec::new() };
        let opened = &earlier.opened;
        let same = (opened.seller, &opened.price_book) == (self.question.seller, self.question.price_book);
        if !same || !earlier.is_about(payer) {
            return Vec::new();
        }
        let Some(period) = opened.period.within(&buyer.calendar) else { return Vec::new() };
        // What this draft is about itself is rated anew anyway.
        if period.intersection(own).is_some() {
            return Vec::new();
        }
        let document = self.billing.documents.get(&DocumentPlace::of(run, payer));
        let document =
            document.filter(|document| document.issued.is_some()).map(|document| &document.invoice);
        // What another run invoiced is adjusted where it was invoiced.
        let mut standing = self.billing.standing((opened.seller, self.currency), payer);
        if document.is_none()
            && standing.any(|(_, other)| other.invoice.period.intersection(period).is_some())
        {
            return Vec::new();
        }
        drop(standing);
        if document.is_none() && self.billing.is_covered(run, payer) {
            return Vec::new();
        }
        // What was void was invoiced again, or will be.
        if document.is_some_and(|invoice| self.billing.is_void(invoice)) {
            return Vec::new();
        }
        let versions = self.billing.versions_of(opened);
        let prices = Prices::new(&opened.price_book, versions);
        let subject = RatingSubject {
            basis: self.basis(),
            prices: &prices,
            seller: opened.seller,
            payer,
            calendar: &buyer.calendar,
            period,
            as_of: opened.cut_off,
        };
        let earlier = Earlier {
            subject,
            document: document.map(|invoice| &invoice.id),
            charged: self.charged((run, payer), document, versions),
        };
        rating::adjustments(&earlier, instances, self.question.cut_off)
    }

    /// All that was charged for what was in the period of an earlier run.
    fn charged(
        &self,
        place: (RunId, PartyId),
        document: Option<&Invoice>,
        versions: &[PriceBook],
    ) -> Vec<Charged> {
        let lines =
            document.into_iter().flat_map(|invoice| invoice.lines.iter().map(move |line| (invoice, line)));
        let own = lines.filter(|(_, line)| {
            let kinds = matches!(
                line.kind,
                LineKind::Recurring | LineKind::Usage { .. } | LineKind::Percentage | LineKind::Minimum
            );
            // Fees in advance were compared with what was charged for them, and are settled.
            kinds && !is_in_advance(line, versions)
        });
        let charged = |invoice: &Invoice, line: &InvoiceLine, as_of| Charged {
            line: as_charged(invoice, line),
            own: LineRef { invoice: invoice.id.clone(), line: line.n },
            remainder: self.billing.stands_of(invoice, line),
            credited: self.billing.credited_of(invoice, line),
            as_of,
        };
        let own = own.map(|(invoice, line)| charged(invoice, line, None));
        let later = self.billing.adjusted.get(&place).into_iter().flatten();
        let later = later.filter_map(|(place, n)| {
            let invoice = &self.billing.documents.get(place)?.invoice;
            let as_of = self.billing.runs.get(&place.run).map(|run| run.opened.cut_off);
            Some(charged(invoice, line_of(invoice, *n)?, as_of))
        });
        own.chain(later).collect()
    }

    /// What was charged or given by hand, and is on no invoice yet.
    fn charges(&self, payer: PartyId, period: Period) -> Vec<Rated> {
        let open = self.billing.open_charges.get(&payer).into_iter().flatten();
        let open = open.filter_map(|charge| self.billing.charges.get(charge));
        let of_seller = open.map(|known| (&known.recorded, &known.sequence)).filter(|(charge, recorded)| {
            (charge.seller, charge.currency) == (self.question.seller, self.currency)
                && **recorded <= self.question.cut_off
                // With a void document went what corrected it.
                && !charge.cites.as_ref().is_some_and(|cited| self.billing.is_of_void(cited))
        });
        let lines = of_seller.map(|(charge, recorded)| {
            let last = period.stop.plus_micros(-1);
            let (tax, _) = self.billing.taxes.on((self.question.seller, payer), last);
            let events = vec![*recorded];
            let sign = if charge.amount.minor() < 0 { -1 } else { 1 };
            let line = InvoiceLine {
                n: 0,
                kind: LineKind::OneOff { charge: charge.charge },
                instance: None,
                dimensions: Vec::new(),
                description: charge.description.clone(),
                period,
                quantity: Quantity::from_billionths(sign * ONE).unwrap_or_default(),
                unit: "1".into(),
                unit_price: None,
                steps: Vec::new(),
                amount: charge.amount,
                residue: Exact::ZERO,
                price_book: None,
                rate: 0,
                tax,
                events: event_set(&events),
                cites: charge.cites.clone(),
            };
            Rated::new(line, events)
        });
        lines.collect()
    }
}

pub(crate) fn is_in_advance(line: &InvoiceLine, versions: &[PriceBook]) -> bool {
    let nth = |n: u32| usize::try_from(n).ok()?.checked_sub(1);
    let version = line.price_book.as_ref().and_then(|priced| versions.get(nth(priced.version)?));
    let rate = version.and_then(|book| book.rates.get(nth(line.rate)?));
    matches!(rate.map(|rate| &rate.model), Some(Model::Recurring { when: When::Advance, .. }))
}
