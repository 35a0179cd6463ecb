//! Drafts: what a run would issue, from all that was known at its cut-off.
//!
//! A pure reading of the view. Beside what was in the period itself a draft has what earlier documents left to be
//! settled: fees charged in advance, usage that came late, and what was charged by hand.

mod charges;
mod earlier;

use std::collections::BTreeSet;

use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::id::{InstanceId, InvoiceId, PartyId, PriceBookName, RunId, Sequence};
use slapledger_core::domain::invoice::{
    DocumentKind, Invoice, InvoiceLine, InvoiceRunOpened, LineRef, RunPeriod,
};
use slapledger_core::domain::money::Currency;
use slapledger_core::domain::pricing::{PriceBook, ZeroInvoices};
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_projections::metering::Metering;

use self::charges::TakenByHand;
use crate::document::{self, DocumentHead, Payer, as_charged, line_of};
use crate::doubt::ImplausibleUsage;
use crate::history::History;
use crate::parallel::in_parallel;
use crate::rating::{
    self, Charged, ChargedInAdvance, DiscountedInvoices, Earlier, Prices, RatedLine, RatingBasis,
    RatingSubject,
};
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
    /// Whom it is about; empty, if about everybody.
    pub(crate) payers: &'a [PartyId],
}

impl<'a> Question<'a> {
    pub(crate) fn of_run(run: &'a InvoiceRunOpened, versions: &'a [PriceBook]) -> Self {
        let InvoiceRunOpened { run: id, seller, period, ref price_book, cut_off, at, ref payers, .. } = *run;
        Self { run: id, seller, period, price_book, versions, cut_off, at, payers }
    }
}

/// The id of a draft, until it has a number: run and payer.
fn draft_id(run: RunId, payer: PartyId) -> InvoiceId {
    InvoiceId::new(&format!("{run}-{payer}")).expect("two numbers and their prefixes are short text")
}

/// The instances of one payer.
type PayerInstances<'a> = Vec<(InstanceId, &'a History)>;

impl Billing {
    /// The drafts of all payers, and what they do not charge.
    pub(crate) fn drafts(&self, question: Question<'_>, metering: &Metering) -> (Vec<Invoice>, Vec<Warning>) {
        let Some(currency) = question.versions.first().map(|book| book.currency) else {
            return (Vec::new(), Vec::new());
        };
        let prices = Prices::new(question.price_book, question.versions);
        let payers: Vec<PartyId> = self.payers_of(&question, currency).into_iter().collect();
        let implausible = ImplausibleUsage::new(metering, &self.histories);
        let desk =
            Desk { billing: self, question, prices: &prices, currency, metering, implausible: &implausible };
        // What each payer owes depends on nobody else.
        let (drafts, warnings): (Vec<_>, Vec<_>) =
            in_parallel(&payers, |payers| desk.drafts(payers)).into_iter().unzip();
        (drafts.into_iter().flatten().collect(), warnings.into_iter().flatten().collect())
    }

    /// Which of the payers asked for may have anything to pay.
    pub(crate) fn payers_asked(&self, question: &Question<'_>) -> BTreeSet<PartyId> {
        let currency = question.versions.first().map(|book| book.currency);
        currency.map(|currency| self.payers_of(question, currency)).unwrap_or_default()
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
        let desk =
            Desk { billing: self, question, prices: &prices, currency, metering, implausible: &implausible };
        (desk.draft(payer, &instances, &mut warnings), warnings)
    }

    /// Who may have anything to pay.
    fn payers_of(&self, question: &Question<'_>, currency: Currency) -> BTreeSet<PartyId> {
        let charges = self.open_charges.values().flatten().filter_map(|charge| self.charges.get(charge));
        let charges = charges.map(|charge| &charge.recorded);
        let charges =
            charges.filter(|charge| (charge.seller, charge.currency) == (question.seller, currency));
        let late = self.late.keys().map(|(_, payer)| *payer);
        let voided = self.voided.keys().copied();
        let always = question.versions.iter().flat_map(PriceBook::always_owed_by);
        let always = always.chain(self.always_owed_by(question.price_book));
        let others = charges.map(|charge| charge.customer).chain(late).chain(voided).chain(always);
        let named = |payer: &PartyId| question.payers.is_empty() || question.payers.contains(payer);
        self.histories.owners().chain(others).filter(named).collect()
    }

    /// Whether what comes late for somebody without a document of a run is for another such run, which is about all of
    /// its time: of several about the same time it is the last.
    pub(crate) fn is_covered(&self, run: RunId, payer: PartyId) -> bool {
        let Some((book, period)) = self.without_document(run, payer) else { return false };
        self.runs.keys().filter(|other| **other != run).any(|other| {
            self.without_document(*other, payer).is_some_and(|(of_book, other_period)| {
                of_book == book
                    && other_period.intersection(period) == Some(period)
                    && (other_period != period || *other > run)
            })
        })
    }

    /// The times that a run is about for somebody, in their order: the period of its document. Without one it leaves to
    /// others what overlaps with its period: to the runs that have a document about it, or else to the last run without
    /// one. What is left may be the time before it and the time after it.
    pub(crate) fn times_of(&self, run: RunId, payer: PartyId) -> Vec<Period> {
        if let Some(document) = self.documents.get(&DocumentPlace::of(run, payer)) {
            return vec![document.invoice.period];
        }
        let Some((book, whole)) = self.without_document(run, payer) else {
            let known = self.runs.get(&run).zip(self.calendar_of(payer));
            return known
                .and_then(|(run, calendar)| run.opened.period.within(calendar))
                .into_iter()
                .collect();
        };
        let later = self.runs.keys().filter(|other| **other > run).filter_map(|other| {
            let about = self.without_document(*other, payer)?;
            // One that is within this run is covered by it.
            let shared = about.1.intersection(whole)?;
            (shared != about.1 && !self.is_covered(*other, payer)).then_some(about)
        });
        let places = self.of_payer.get(&payer).into_iter().flatten().filter(|place| place.note == 0);
        let invoiced = places.filter_map(|place| {
            let known = self.runs.get(&place.run)?;
            let document = self.documents.get(place).filter(|document| !self.is_void(&document.invoice))?;
            Some(((known.opened.seller, &known.opened.price_book), document.invoice.period))
        });
        let others = later.chain(invoiced).filter(|(of_book, _)| *of_book == book);
        whole.without(others.map(|(_, other)| other))
    }

    /// Seller and book, and the period, of a run that is about somebody and has no document for them.
    fn without_document(&self, run: RunId, payer: PartyId) -> Option<((PartyId, &PriceBookName), Period)> {
        let known = self.runs.get(&run)?;
        let period = known.opened.period.within(self.calendar_of(payer)?)?;
        let none = known.is_about(payer) && !self.documents.contains_key(&DocumentPlace::of(run, payer));
        none.then_some(((known.opened.seller, &known.opened.price_book), period))
    }

    /// How many invoices of a payer stood at an event that have each discount of a price book; none, if no discount
    /// counts them.
    pub(crate) fn invoices_with_discounts(
        &self,
        prices: &Prices<'_>,
        seller: Option<(PartyId, Currency)>,
        payer: PartyId,
        as_of: Sequence,
    ) -> Option<DiscountedInvoices> {
        if !prices.counts_invoices {
            return None;
        }
        let known = |document: &Document| document.issued.is_some_and(|issued| issued <= as_of);
        let mut discounted = DiscountedInvoices::new();
        let places = self.of_payer.get(&payer).into_iter().flatten().filter(|place| place.note == 0);
        for document in places.filter_map(|place| self.documents.get(place)) {
            let invoice = &document.invoice;
            let void = || {
                self.notes_on(invoice.run, payer)
                    .any(|note| known(note) && note.invoice.cites.as_ref().is_some_and(|cites| cites.all))
            };
            if invoice.document == DocumentKind::Invoice
                && seller.is_none_or(|seller| (invoice.seller.party, invoice.currency) == seller)
                && known(document)
                && !void()
            {
                for item in prices.discounts_on(invoice.lines.iter()) {
                    *discounted.entry(item.into()).or_default() += 1;
                }
            }
        }
        Some(discounted)
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

/// Everything at hand for the drafts of one question.
pub(crate) struct Desk<'a> {
    pub(crate) billing: &'a Billing,
    pub(crate) question: Question<'a>,
    pub(crate) prices: &'a Prices<'a>,
    pub(crate) currency: Currency,
    pub(crate) metering: &'a Metering,
    pub(crate) implausible: &'a ImplausibleUsage<'a>,
}

impl<'a> Desk<'a> {
    fn basis(&self) -> RatingBasis<'a> {
        let Billing { regions, taxes, .. } = self.billing;
        RatingBasis { regions, metering: self.metering, taxes }
    }

    /// Who is charged, for when.
    pub(crate) fn subject<'s>(
        &'s self,
        (payer, calendar): (PartyId, &'s Calendar),
        period: Period,
        discounted: Option<&'s DiscountedInvoices>,
    ) -> RatingSubject<'s> {
        let Question { seller, cut_off, .. } = self.question;
        RatingSubject {
            basis: self.basis(),
            prices: self.prices,
            seller,
            payer,
            calendar,
            period,
            as_of: cut_off,
            taxes_as_of: cut_off,
            taxes_charged: None,
            discounted,
            redeemed: self.billing.redeemed.get(&payer),
        }
    }

    /// Of discounts on so many invoices, on how many of a payer there are.
    pub(crate) fn discounted(&self, payer: PartyId) -> Option<DiscountedInvoices> {
        let Question { seller, cut_off, .. } = self.question;
        self.billing.invoices_with_discounts(self.prices, Some((seller, self.currency)), payer, cut_off)
    }

    /// The drafts of some payers, in their order.
    fn drafts(&self, payers: &[PartyId]) -> (Vec<Invoice>, Vec<Warning>) {
        let (mut drafts, mut warnings) = (Vec::new(), Vec::new());
        for payer in payers {
            let instances = self.billing.histories.of(*payer);
            drafts.extend(self.draft(*payer, &instances, &mut warnings));
        }
        (drafts, warnings)
    }

    /// The draft of a payer, by the prices of their own that were known at the cut-off.
    fn draft(
        &self,
        payer: PartyId,
        instances: &PayerInstances<'a>,
        warnings: &mut Vec<Warning>,
    ) -> Option<Invoice> {
        let Question { price_book, versions, cut_off, .. } = self.question;
        let overrides = self.billing.overrides_for(price_book, payer, cut_off);
        if overrides.is_empty() {
            return self.draft_by_prices(payer, instances, warnings);
        }
        let prices = Prices::with(price_book, versions, &overrides);
        let Desk { billing, question, currency, metering, implausible, .. } = *self;
        let own = Desk { billing, question, prices: &prices, currency, metering, implausible };
        own.draft_by_prices(payer, instances, warnings)
    }

    fn draft_by_prices(
        &self,
        payer: PartyId,
        instances: &PayerInstances<'a>,
        warnings: &mut Vec<Warning>,
    ) -> Option<Invoice> {
        let buyer = self.billing.payers.get(&payer)?;
        let Some(period) = self.question.period.within(&buyer.calendar) else {
            warnings.push(Warning::NoPeriod { payer });
            return None;
        };
        let open = match self.open_parts(payer, period) {
            Ok(open) => open,
            Err(invoice) => {
                warnings.push(Warning::Invoiced { payer, invoice });
                return None;
            }
        };
        for (n, part) in (1..).zip(&open) {
            let draft = self.draft_about((payer, buyer), *part, instances, warnings);
            if draft.is_some() {
                let left = open.len() - n;
                if left > 0 {
                    warnings.push(Warning::PartsLeft { payer, period: *part, left: left as u64 });
                }
                return draft;
            }
        }
        None
    }

    /// The parts of a period that are not invoiced to a payer; the document that invoiced the last of it, if there is none.
    pub(crate) fn open_parts(&self, payer: PartyId, period: Period) -> Result<Vec<Period>, InvoiceId> {
        let standing = self.billing.standing((self.question.seller, self.currency), payer);
        let invoiced: Vec<&Invoice> = standing
            .map(|(_, document)| &document.invoice)
            .filter(|invoice| invoice.period.intersection(period).is_some())
            .collect();
        let mut open = period.without(invoiced.iter().map(|invoice| invoice.period));
        let mut by = invoiced.first().map(|invoice| invoice.id.clone());
        open.retain(|part| {
            let adjusted = self.adjusted_within(payer, *part);
            let is_open = adjusted.is_none();
            by = by.take().or(adjusted);
            is_open
        });
        match by {
            Some(by) if open.is_empty() => Err(by),
            _ => Ok(open),
        }
    }

    /// The draft of one payer about a time that is not invoiced.
    fn draft_about(
        &self,
        (payer, buyer): (PartyId, &'a Payer),
        period: Period,
        instances: &PayerInstances<'a>,
        warnings: &mut Vec<Warning>,
    ) -> Option<Invoice> {
        let Question { run, seller, at, .. } = self.question;
        let discounted = self.discounted(payer);
        let subject = self.subject((payer, &buyer.calendar), period, discounted.as_ref());
        let mut own = subject.rate(instances, warnings);
        warnings.extend(self.implausible.warning(payer, period));
        let mut lines = std::mem::take(&mut own.lines);
        // What charges take of earlier lines is gone when these lines are settled and adjusted.
        let (by_hand, taken) = self.charges(payer, period);
        let charged = self.charged_in_advance(payer, period, &taken);
        lines.extend(rating::settle(own, charged, (self.prices.name, self.currency)));
        lines.extend(self.in_advance(&subject, instances, &taken));
        lines.extend(self.of_void(payer));
        lines.extend(self.adjustments((payer, buyer), &taken, period, instances));
        lines.extend(by_hand);
        let head = DocumentHead {
            id: draft_id(run, payer),
            run,
            seller: (seller, self.billing.payers.get(&seller)?),
            buyer: (payer, buyer),
            currency: self.currency,
            price_tax: self.prices.price_tax(),
            period,
            at,
        };
        let why = |lines: &[InvoiceLine], tax| self.billing.exemption((seller, payer), lines, tax);
        let draft = document::assemble(head, lines, &why)?;
        let terms = self.prices.at(period.stop.plus_micros(-1)).map(|version| &version.book.terms);
        if terms.is_some_and(|terms| terms.zero_invoices == ZeroInvoices::Skip) && document::is_zero(&draft) {
            return None;
        }
        warnings
            .extend(draft.missing_details().map(|what| Warning::MissingDetails { payer, what: what.into() }));
        Some(draft)
    }

    /// The document that charged usage of a period which came after the run that was about it, and had no document
    /// then.
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
    fn charged_in_advance(
        &self,
        payer: PartyId,
        period: Period,
        taken: &TakenByHand,
    ) -> Vec<ChargedInAdvance> {
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
            let at = LineRef { invoice: invoice.id.clone(), line: *n };
            let (left, residue) = self.left_of((invoice, line), &at, taken);
            let charged = ChargedInAdvance {
                line: as_charged(invoice, line),
                at,
                left,
                residue,
                issued: document.issued?,
            };
            (period.contains(charged.line.period.start) && left.minor() != 0).then_some(charged)
        });
        charged.collect()
    }

    /// What usage that came late changes in what earlier runs charged.
    fn adjustments(
        &self,
        (payer, buyer): (PartyId, &'a Payer),
        taken: &TakenByHand,
        own: Period,
        instances: &PayerInstances<'a>,
    ) -> Vec<RatedLine> {
        // Runs are few, and what came late may be of everybody.
        let Billing { runs, late, .. } = self.billing;
        let about =
            runs.keys().filter(|run| **run != self.question.run && late.contains_key(&(**run, payer)));
        let adjusted = about.flat_map(|run| self.adjust(*run, (payer, buyer), taken, (own, instances)));
        adjusted.collect()
    }

    fn adjust(
        &self,
        run: RunId,
        (payer, buyer): (PartyId, &'a Payer),
        taken: &TakenByHand,
        (own, instances): (Period, &PayerInstances<'a>),
    ) -> Vec<RatedLine> {
        let Some(earlier) = self.billing.runs.get(&run) else { return Vec::new() };
        let opened = &earlier.opened;
        let same = (opened.seller, &opened.price_book) == (self.question.seller, self.question.price_book);
        if !same || !earlier.is_about(payer) {
            return Vec::new();
        }
        // What this draft is about itself is rated anew anyway.
        let all = self.billing.times_of(run, payer);
        let times: Vec<Period> = all.iter().flat_map(|time| time.without([own])).collect();
        let document = self.billing.documents.get(&DocumentPlace::of(run, payer));
        let document =
            document.filter(|document| document.issued.is_some()).map(|document| &document.invoice);
        if document.is_none() && self.billing.is_covered(run, payer) {
            return Vec::new();
        }
        // What was void was invoiced again, or will be.
        if document.is_some_and(|invoice| self.billing.is_void(invoice)) {
            return Vec::new();
        }
        let versions = self.billing.versions_of(opened);
        let overrides = self.billing.overrides_for(&opened.price_book, payer, opened.cut_off);
        let prices = Prices::with(&opened.price_book, versions, &overrides);
        let seller = (opened.seller, self.currency);
        let discounted = self.billing.invoices_with_discounts(&prices, Some(seller), payer, opened.cut_off);
        let several = times.len() > 1 || times != all;
        let adjusted = times.into_iter().flat_map(|period| {
            // What another run invoiced is adjusted where it was invoiced.
            let mut standing = self.billing.standing((opened.seller, self.currency), payer);
            if document.is_none()
                && standing.any(|(_, other)| other.invoice.period.intersection(period).is_some())
            {
                return Vec::new();
            }
            let mut charged = self.charged((run, payer), document, taken);
            let taxes_charged = prices.taxes_charged(charged.iter().map(|charged| &charged.line));
            charged.retain(|charged| !several || period.contains(charged.line.period.start));
            let subject = RatingSubject {
                basis: self.basis(),
                prices: &prices,
                seller: opened.seller,
                payer,
                calendar: &buyer.calendar,
                period,
                as_of: opened.cut_off,
                taxes_as_of: opened.cut_off,
                taxes_charged: taxes_charged.as_ref(),
                discounted: discounted.as_ref(),
                redeemed: self.billing.redeemed.get(&payer),
            };
            let earlier = Earlier { subject, document: document.map(|invoice| &invoice.id), charged };
            rating::adjustments(&earlier, instances, self.question.cut_off)
        });
        adjusted.collect()
    }

    /// All that was charged for what was in the period of an earlier run.
    fn charged(
        &self,
        place: (RunId, PartyId),
        document: Option<&Invoice>,
        taken: &TakenByHand,
    ) -> Vec<Charged> {
        let lines =
            document.into_iter().flat_map(|invoice| invoice.lines.iter().map(move |line| (invoice, line)));
        let own = lines.filter(|(_, line)| {
            // Fees in advance were compared with what was charged for them, and are settled.
            line.kind.is_rated() && !self.billing.is_in_advance(line)
        });
        let charged = |invoice: &Invoice, line: &InvoiceLine, as_of| {
            let own = LineRef { invoice: invoice.id.clone(), line: line.n };
            let (remainder, residue) = self.left_of((invoice, line), &own, taken);
            let credited = self.billing.credited_of(invoice, line);
            let credited = credited.checked_add(taken.of(&own, credited).0).unwrap_or(credited);
            let regained = self.billing.regained_of(invoice, line);
            Charged { line: as_charged(invoice, line), own, remainder, residue, credited, regained, as_of }
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
}
