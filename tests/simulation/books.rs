//! What the events about money must be, read one by one: parties, tax, prepaid credit, charges, runs and documents.
//!
//! As [`crate::facts`], a second reading: the arithmetic is written again in whole numbers.

use std::collections::{BTreeMap, BTreeSet};

use slapledger_billing::view::{BillingView, DocumentState};
use slapledger_core::domain::Project;
use slapledger_core::domain::charge::{ChargeId, ChargeRecorded};
use slapledger_core::domain::credit::CreditId;
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{InvoiceId, KeyId, PartyId, RunId, Sequence};
use slapledger_core::domain::invoice::{
    DocumentKind, DraftDecision, Invoice, InvoiceFinalised, InvoiceLine, LineKind, TaxCategory, TaxSubtotal,
};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::party::PartyDescribed;
use slapledger_core::domain::pricing::OverrideId;
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::tax::{Exemption, TaxTreatmentSet};
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_core::log::envelope::Recorded;

/// A party, as the log tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartyFact {
    pub(crate) key: KeyId,
    pub(crate) erased: bool,
    series: Option<Box<str>>,
    terms_days: Option<u16>,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunEnd {
    Open,
    Final,
    Withdrawn,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunFact {
    seller: PartyId,
    /// The last event its drafts look at: when it was opened, and after each refresh. The next event says so.
    cut_offs: Vec<Sequence>,
    pub(crate) end: RunEnd,
    issued: BTreeSet<(PartyId, Currency)>,
    /// Whose drafts are held.
    held: BTreeSet<PartyId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct CreditFact {
    about: (PartyId, PartyId, Currency),
    left: i128,
    expires_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ChargeFact {
    about: (PartyId, PartyId, Currency),
    amount: i128,
    open: bool,
}

/// A document, and what is left of each line, as something charged.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DocumentFact {
    about: (PartyId, PartyId, Currency),
    sequence: Sequence,
    period: Period,
    by_hand: bool,
    stands: bool,
    left: Vec<i128>,
    total: Amount,
}

/// All that a log says of the money of a project, as far as it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct BooksFacts {
    pub(crate) parties: BTreeMap<PartyId, PartyFact>,
    pub(crate) runs: BTreeMap<RunId, RunFact>,
    /// Every series that was ever said, and by whom.
    series: BTreeMap<Box<str>, PartyId>,
    rates: BTreeMap<PartyId, Vec<(Timestamp, Quantity)>>,
    treatments: BTreeMap<PartyId, Vec<(Timestamp, TaxCategory, Option<Exemption>)>>,
    /// How many taxes of products each seller said.
    products: BTreeMap<PartyId, usize>,
    /// Prices of single customers, and until when they count.
    overrides: BTreeMap<OverrideId, (PartyId, Timestamp, Option<Timestamp>)>,
    credits: BTreeMap<CreditId, CreditFact>,
    charges: BTreeMap<ChargeId, ChargeFact>,
    codes: BTreeSet<(PartyId, Box<str>)>,
    closed: BTreeMap<PartyId, Timestamp>,
    documents: BTreeMap<InvoiceId, DocumentFact>,
    /// Lines of runs that take something of a line, and of which.
    takes: BTreeMap<(InvoiceId, u32), (InvoiceId, u32)>,
    /// Lines that came before their document.
    parts: BTreeMap<InvoiceId, Vec<InvoiceLine>>,
    /// The last number of what a number begins with.
    numbers: BTreeMap<Box<str>, u64>,
    /// What the last restore marks numbers with.
    mark: Option<Box<str>>,
}

impl BooksFacts {
    /// A restore holds for every project.
    pub(crate) fn take_of_ledger(&mut self, event: &Event) {
        if let Event::LedgerRestored(event) = event {
            self.mark = Some(event.mark.to_string().into());
        }
    }

    /// Takes the next event over.
    pub(crate) fn take(&mut self, recorded: &Recorded) {
        let sequence = recorded.sequence;
        match &recorded.event {
            Event::PartyRegistered(event) => {
                assert_eq!(event.party.0, self.parties.len() as u64 + 1, "parties are numbered");
                let (key, terms_days) = (event.name.key, None);
                let party = PartyFact { key, erased: false, series: None, terms_days };
                self.parties.insert(event.party, party);
            }
            Event::PartyDescribed(event) => self.described(event),
            Event::PartyTimeZoneSet(event) => {
                self.known(event.party);
                assert!(event.from > event.at, "months that are over are cut anew");
            }
            Event::TaxRateSet(event) => {
                self.known(event.seller);
                let percent = event.rate.billionths();
                assert!((0..=100_000_000_000).contains(&percent), "a rate of {percent} billionths");
                self.rates.entry(event.seller).or_default().push((event.valid_from, event.rate));
            }
            Event::TaxTreatmentSet(event) => self.treated(event),
            Event::ProductTaxSet(event) => {
                self.known(event.seller);
                let product = &event.product;
                assert!(product.software_release.is_some() || product.resource.is_some(), "of no product");
                assert!(event.rate.is_none() || event.category == TaxCategory::S, "a rate without tax");
                *self.products.entry(event.seller).or_default() += 1;
            }
            Event::PriceOverrideSet(event) => {
                let own = &event.price_override;
                self.known(own.customer);
                assert_eq!(own.id.0, self.overrides.len() as u64 + 1, "overrides are numbered");
                assert_eq!(own.rate.matching.customer, Some(own.customer), "{} is for another", own.id);
                assert!(
                    own.valid_until.is_none_or(|until| own.valid_from < until),
                    "{} never counts",
                    own.id
                );
                self.overrides.insert(own.id, (own.customer, own.valid_from, own.valid_until));
            }
            Event::PriceOverrideEnded(event) => {
                let (_, from, until) = self.overrides.get_mut(&event.id).expect("an override of the log");
                assert!(*from <= event.valid_until, "{} ends before it begins", event.id);
                assert!(until.is_none_or(|until| event.valid_until < until), "{} ends later", event.id);
                *until = Some(event.valid_until);
            }
            Event::CreditGranted(event) => {
                assert_eq!(event.credit.0, self.credits.len() as u64 + 1, "credits are numbered");
                let (about, left) = ((event.seller, event.customer, event.currency), event.amount.minor());
                assert!(left > 0, "a credit of nothing");
                self.known(event.seller);
                self.known(event.customer);
                self.credits.insert(event.credit, CreditFact { about, left, expires_at: event.expires_at });
            }
            Event::CreditWithdrawn(event) => {
                let known = self.credits.get_mut(&event.credit).expect("a credit that was granted");
                assert!(known.left > 0, "{} is withdrawn and empty", event.credit);
                assert_eq!(known.left, event.amount.minor(), "all that is left is withdrawn");
                known.left = 0;
            }
            Event::CreditExpired(event) => {
                let known = self.credits.get_mut(&event.credit).expect("a credit that was granted");
                assert!(
                    known.expires_at.is_some_and(|expiry| expiry <= event.at),
                    "{} is not over",
                    event.credit
                );
                assert!(known.left > 0, "{} expires and is empty", event.credit);
                assert_eq!(known.left, event.amount.minor(), "all that is left expires");
                known.left = 0;
            }
            Event::ChargeRecorded(event) => self.charged(event),
            Event::DiscountCodeRedeemed(event) => {
                self.known(event.customer);
                let first = self.codes.insert((event.customer, event.code.clone()));
                assert!(first, "{} redeemed {} twice", event.customer, event.code);
            }
            Event::AccountsClosed(event) => {
                self.known(event.seller);
                assert!(event.until <= event.at, "books are closed ahead of time");
                let before = self.closed.insert(event.seller, event.until);
                assert!(before < Some(event.until), "books are opened again");
            }
            Event::InvoiceRunOpened(event) => {
                assert_eq!(event.cut_off.next(), sequence, "a run is cut off before its own first event");
                assert_eq!(event.run.0, self.runs.len() as u64 + 1, "runs are numbered");
                self.known(event.seller);
                let (seller, cut_offs, end) = (event.seller, vec![event.cut_off], RunEnd::Open);
                let run = RunFact { seller, cut_offs, end, issued: BTreeSet::new(), held: BTreeSet::new() };
                self.runs.insert(event.run, run);
            }
            Event::InvoiceRunRefreshed(event) => {
                assert_eq!(event.cut_off.next(), sequence, "a run is cut off before it is refreshed");
                let run = self.open(event.run);
                assert!(run.issued.is_empty(), "{} has issued documents", event.run);
                run.cut_offs.push(event.cut_off);
            }
            Event::InvoiceRunWithdrawn(event) => {
                let run = self.open(event.run);
                assert!(run.issued.is_empty(), "{} has issued documents", event.run);
                run.end = RunEnd::Withdrawn;
            }
            Event::InvoiceDraftReviewed(event) => {
                self.known(event.payer);
                let run = self.open(event.run);
                let issued = run.issued.iter().any(|(payer, _)| *payer == event.payer);
                assert!(!issued, "the document of {} in {} is final", event.payer, event.run);
                match event.decision {
                    DraftDecision::Held => drop(run.held.insert(event.payer)),
                    DraftDecision::Approved => drop(run.held.remove(&event.payer)),
                }
            }
            Event::InvoiceRunFinalised(event) => {
                let run = self.open(event.run);
                assert_eq!(event.invoices as usize, run.issued.len(), "{} counts its documents", event.run);
                run.end = RunEnd::Final;
            }
            Event::InvoiceLinesRecorded(event) => {
                let lines = self.parts.entry(event.invoice.clone()).or_default();
                assert!(lines.is_empty() == (event.part == 1), "parts of {} are in order", event.invoice);
                lines.extend_from_slice(&event.lines);
            }
            Event::InvoiceFinalised(event) => self.finalised(event, sequence),
            _ => {}
        }
    }

    /// Whether name and details of a party are erased.
    pub(crate) fn is_erased(&self, party: PartyId) -> bool {
        self.parties.get(&party).is_some_and(|known| known.erased)
    }

    /// Whether a document was issued to the payer of a draft after its run looked at the log, when the log ended at an
    /// event.
    pub(crate) fn was_outdated(&self, draft: &Invoice, end: Sequence) -> bool {
        let about = (draft.seller.party, draft.buyer.party, draft.currency);
        let known = |cut_off: &&Sequence| cut_off.next() <= end;
        let cut_off = self.runs.get(&draft.run).and_then(|run| run.cut_offs.iter().rfind(known));
        cut_off.is_some_and(|cut_off| {
            let mut documents = self.documents.values().filter(|known| known.about == about);
            documents.any(|known| known.sequence > *cut_off && known.sequence <= end)
        })
    }

    /// Whether a document was issued.
    pub(crate) fn knows_document(&self, invoice: &InvoiceId) -> bool {
        self.documents.contains_key(invoice)
    }

    /// Whether a credit was granted.
    pub(crate) fn knows_credit(&self, credit: CreditId) -> bool {
        self.credits.contains_key(&credit)
    }

    /// Whether a charge was recorded.
    pub(crate) fn knows_charge(&self, charge: ChargeId) -> bool {
        self.charges.contains_key(&charge)
    }

    fn known(&mut self, party: PartyId) -> &mut PartyFact {
        self.parties.get_mut(&party).unwrap_or_else(|| panic!("there is no {party}"))
    }

    fn open(&mut self, run: RunId) -> &mut RunFact {
        let known = self.runs.get_mut(&run).filter(|known| known.end == RunEnd::Open);
        known.unwrap_or_else(|| panic!("{run} is not open"))
    }

    /// The key of a party is destroyed.
    pub(crate) fn erased(&mut self, party: PartyId, key: KeyId) {
        let series = self.series_of(party);
        let known = self.known(party);
        assert_eq!(known.key, key, "the key of {party}");
        assert!(!std::mem::replace(&mut known.erased, true), "{party} is erased twice");
        assert_eq!(series, None, "who issues documents is erased");
    }

    fn described(&mut self, event: &PartyDescribed) {
        let party = self.known(event.party);
        assert!(!party.erased, "{} is erased and described", event.party);
        party.series = event.series.as_ref().map(|series| series.as_str().into());
        party.terms_days = event.terms_days;
        if let Some(series) = &event.series {
            let before = self.series.insert(series.as_str().into(), event.party);
            assert!(before.is_none_or(|party| party == event.party), "{series} is that of two");
        }
    }

    fn treated(&mut self, event: &TaxTreatmentSet) {
        self.known(event.customer);
        let taxed = matches!(event.category, TaxCategory::S | TaxCategory::Z);
        let reason = event.exemption.is_some();
        assert!(!(taxed && reason), "what is taxed is exempt");
        assert!(taxed || reason || event.category == TaxCategory::O, "nobody says why there is no tax");
        let treatment = (event.valid_from, event.category, event.exemption.clone());
        self.treatments.entry(event.customer).or_default().push(treatment);
    }

    fn charged(&mut self, event: &ChargeRecorded) {
        assert_eq!(event.charge.0, self.charges.len() as u64 + 1, "charges are numbered");
        let (about, amount) = ((event.seller, event.customer, event.currency), event.amount.minor());
        assert!(amount != 0, "a charge of nothing");
        self.known(event.seller);
        self.known(event.customer);
        self.charges.insert(event.charge, ChargeFact { about, amount, open: true });
    }

    fn series_of(&self, party: PartyId) -> Option<Box<str>> {
        let said = self.parties.get(&party)?.series.clone();
        said.or_else(|| (party == PartyId(1)).then(|| "INV".into()))
    }

    fn finalised(&mut self, event: &InvoiceFinalised, sequence: Sequence) {
        let invoice = &event.invoice;
        let parts = self.parts.remove(&invoice.id);
        assert_eq!(parts.is_some(), event.parts > 0, "{} counts its parts", invoice.id);
        assert!(parts.is_none() || invoice.lines.is_empty(), "lines of {} are said twice", invoice.id);
        let lines = parts.unwrap_or_else(|| invoice.lines.clone());
        self.numbered(invoice);
        let about = (invoice.seller.party, invoice.buyer.party, invoice.currency);
        let run = self.runs.get_mut(&invoice.run).expect("a run that was opened");
        assert_eq!(run.seller, invoice.seller.party, "another seller than that of the run");
        let by_hand = !run.issued.insert((invoice.buyer.party, invoice.currency));
        assert!(by_hand || !run.held.contains(&invoice.buyer.party), "{} was a held draft", invoice.id);
        assert!(by_hand || run.end == RunEnd::Open, "{} issues documents and is not open", invoice.run);
        assert!(invoice.period.stop <= invoice.issued_at, "{} is issued before its time is over", invoice.id);
        check_sums(invoice, &lines, by_hand);
        self.pays(invoice);
        if by_hand {
            self.gives_back(invoice, &lines);
        } else {
            let clash = self.documents.values().find(|known| {
                known.stands && known.about == about && known.period.intersection(invoice.period).is_some()
            });
            assert_eq!(clash, None, "{} is for a time that is invoiced", invoice.id);
            assert!(
                !self.was_outdated(invoice, sequence),
                "{} does not know of an earlier document",
                invoice.id
            );
            self.takes(invoice, &lines);
        }
        self.carries(invoice, &lines);
        let document = DocumentFact {
            about,
            sequence,
            period: invoice.period,
            by_hand,
            stands: !by_hand,
            left: lines.iter().map(|line| as_charged(invoice, line)).collect(),
            total: invoice.total,
        };
        let before = self.documents.insert(invoice.id.clone(), document);
        assert_eq!(before, None, "{} is issued twice", invoice.id);
    }

    /// Numbers of one series, year and restore follow each other.
    fn numbered(&mut self, invoice: &Invoice) {
        let series = self.series_of(invoice.seller.party).expect("somebody who sells");
        let note = if invoice.document == DocumentKind::CreditNote { "CN" } else { "" };
        let mark = self.mark.as_ref().map(|mark| format!("-{mark}")).unwrap_or_default();
        let begins: Box<str> = format!("{series}{note}{mark}-2026").into();
        let last = self.numbers.entry(begins.clone()).or_default();
        *last += 1;
        assert_eq!(invoice.id.as_str(), format!("{begins}-{last:06}"), "the number of a document");
    }

    /// Prepaid credit is used up by invoices and comes back with credit notes.
    fn pays(&mut self, invoice: &Invoice) {
        for used in &invoice.prepaid {
            let known = self.credits.get_mut(&used.credit).expect("a credit that was granted");
            assert_eq!(known.about, (invoice.seller.party, invoice.buyer.party, invoice.currency));
            assert!(used.amount.minor() > 0, "nothing is paid");
            match invoice.document {
                DocumentKind::Invoice => known.left -= used.amount.minor(),
                DocumentKind::CreditNote => known.left += used.amount.minor(),
            }
            assert!(known.left >= 0, "more than {} is paid from {}", known.left, used.credit);
        }
    }

    /// A credit note by hand gives back lines of an invoice, and never more than is left of them.
    fn gives_back(&mut self, note: &Invoice, lines: &[InvoiceLine]) {
        let cited = &note.cites.as_ref().expect("a note about a document").invoice;
        assert!(self.documents.get(cited).is_some_and(|document| document.stands), "{cited} is void");
        for line in lines {
            let n = line.cites.as_ref().expect("a line about a line").line;
            let (left, back) = (*self.left(cited, n).expect("a line"), line.amount.minor());
            assert!((left - back).signum() * back.signum() >= 0, "{back} of {left} of a line of {cited}");
            *self.left(cited, n).expect("a line") -= back;
            // What had taken something and is given back has taken nothing.
            if let Some((of, n)) = self.takes.get(&(cited.clone(), n)).cloned() {
                *self.left(&of, n).expect("a line") -= back;
            }
        }
        let all = note.cites.as_ref().is_some_and(|cites| cites.all);
        let document = self.documents.get_mut(cited).expect("a document that was issued");
        document.stands = !all;
        let empty = document.left.iter().all(|left| *left <= 0);
        assert!(document.stands || empty, "{cited} is void while something is left of it");
    }

    fn left(&mut self, invoice: &InvoiceId, n: u32) -> Option<&mut i128> {
        self.documents.get_mut(invoice)?.left.get_mut((n as usize).checked_sub(1)?)
    }

    /// A run settles or adjusts lines of earlier documents: what has the other sign takes of the line it cites.
    fn takes(&mut self, invoice: &Invoice, lines: &[InvoiceLine]) {
        let takes_of_others = |line: &&InvoiceLine| {
            matches!(line.kind, LineKind::Adjustment | LineKind::Advance | LineKind::Correction { .. })
        };
        for line in lines.iter().filter(takes_of_others) {
            let Some(cited) = &line.cites else { continue };
            let amount = as_charged(invoice, line);
            let Some(left) = self.left(&cited.invoice, cited.line) else { continue };
            if left.signum() * amount.signum() < 0 {
                *left += amount;
                let of = (cited.invoice.clone(), cited.line);
                self.takes.insert((invoice.id.clone(), line.n), of);
            }
        }
    }

    /// A charge is on one document, with its amount.
    fn carries(&mut self, invoice: &Invoice, lines: &[InvoiceLine]) {
        for line in lines {
            let (LineKind::OneOff { charge }, None) = (&line.kind, &line.cites) else { continue };
            let known = self.charges.get_mut(charge).expect("a charge that was recorded");
            let sign = if invoice.document == DocumentKind::Invoice { 1 } else { -1 };
            assert_eq!(known.amount, sign * line.amount.minor(), "the amount of {charge}");
            assert!(std::mem::replace(&mut known.open, false), "{charge} is on two documents");
        }
    }

    /// The state that decisions look at says the same.
    pub(crate) fn check_state(&self, state: &Project) {
        for (party, fact) in &self.parties {
            let known = state.parties.get(*party).expect("a party of the log");
            assert_eq!((known.key, known.terms_days), (fact.key, fact.terms_days), "what {party} is");
            assert_eq!(state.parties.series_of(*party), self.series_of(*party).as_deref(), "{party} sells");
            let rates: Vec<_> = state.taxes.rates_of(*party).collect();
            assert_eq!(rates, self.rates.get(party).cloned().unwrap_or_default(), "the rates of {party}");
            let known: Vec<_> = state.taxes.treatments_of(*party).collect();
            assert_eq!(known, self.treatments_of(*party), "how {party} is taxed");
            assert_eq!(state.accounts.open_from(*party), self.closed.get(party).copied(), "{party} closed");
        }
        for (customer, code) in &self.codes {
            assert!(state.discount_codes.redeemed(*customer, code).is_some(), "{customer} redeemed {code}");
        }
        for (credit, fact) in &self.credits {
            let left = state.credits.get(*credit).map(|known| known.left.minor());
            assert_eq!(left, Some(fact.left), "what is left of {credit}");
        }
        let open: Vec<_> = state.charges.open().map(|charge| charge.charge).collect();
        assert_eq!(open, self.open_charges(), "which charges are open");
        for (run, fact) in &self.runs {
            assert_eq!(state.invoices.issued(*run).count(), fact.issued.len(), "what {run} issued");
        }
    }

    /// What the billing view shows says the same.
    pub(crate) fn check_view(&self, view: &BillingView) {
        let BillingView { billing, journal, .. } = view;
        for (party, fact) in &self.parties {
            let known = billing.party(*party).expect("a party of the log");
            assert_eq!((known.name.key, known.terms_days), (fact.key, fact.terms_days), "what {party} is");
            assert_eq!(known.erased_at.is_some(), fact.erased, "whether {party} is erased");
            assert_eq!(
                known.series.as_ref().map(slapledger_core::domain::party::Series::as_str),
                fact.series.as_deref()
            );
            let rates: Vec<_> = billing.taxes().rates_of(*party).collect();
            assert_eq!(rates, self.rates.get(party).cloned().unwrap_or_default(), "the rates of {party}");
            let known: Vec<_> = billing.taxes().treatments_of(*party).collect();
            assert_eq!(known, self.treatments_of(*party), "how {party} is taxed");
            let products = self.products.get(party).copied().unwrap_or_default();
            assert_eq!(billing.taxes().products_of(*party).count(), products, "the products of {party}");
            let closed = journal.periods_of(*party).next_back().map(|period| period.until);
            assert_eq!(closed, self.closed.get(party).copied(), "{party} closed its books");
        }
        for (id, fact) in &self.overrides {
            let known = billing.price_override(*id).expect("an override of the log").now();
            assert_eq!((known.customer, known.valid_from, known.valid_until), *fact, "when {id} counts");
        }
        for (credit, fact) in &self.credits {
            let left = billing.credit(*credit).map(|known| known.left.minor());
            assert_eq!(left, Some(fact.left), "what is left of {credit}");
        }
        for (charge, fact) in &self.charges {
            let known = billing.charge(*charge).expect("a charge of the log");
            assert_eq!(known.invoice.is_none(), fact.open, "whether {charge} is open");
        }
        for (run, fact) in &self.runs {
            let state = match fact.end {
                RunEnd::Open => DocumentState::Draft,
                RunEnd::Final => DocumentState::Final,
                RunEnd::Withdrawn => DocumentState::Withdrawn,
            };
            assert_eq!(
                billing.run(*run).map(slapledger_billing::Run::state),
                Some(state),
                "how {run} stands"
            );
        }
        for (id, fact) in &self.documents {
            let known = billing.document(id.as_str()).expect("a document of the log");
            assert_eq!((known.issued.is_some(), known.invoice.total), (true, fact.total), "{id}");
            assert_eq!(known.invoice.lines.len(), fact.left.len(), "the lines of {id}");
            assert!(
                fact.total.minor() == 0 || journal.caused_by(known.issued.unwrap_or_default()).count() > 0,
                "{id} is not in the books"
            );
        }
        assert_eq!(journal.check(), Ok(()), "the books");
    }

    fn treatments_of(&self, party: PartyId) -> Vec<(Timestamp, TaxCategory, Option<&Exemption>)> {
        let known = self.treatments.get(&party).into_iter().flatten();
        known.map(|(since, category, exemption)| (*since, *category, exemption.as_ref())).collect()
    }

    fn open_charges(&self) -> Vec<ChargeId> {
        self.charges.iter().filter(|(_, fact)| fact.open).map(|(id, _)| *id).collect()
    }
}

/// In a credit note of a run amounts are turned round.
fn as_charged(invoice: &Invoice, line: &InvoiceLine) -> i128 {
    match invoice.document {
        DocumentKind::Invoice => line.amount.minor(),
        DocumentKind::CreditNote => -line.amount.minor(),
    }
}

/// EN 16931, once more: net is the sum of the lines, each tax its rate of the sum of its lines, half a cent goes up.
fn check_sums(invoice: &Invoice, lines: &[InvoiceLine], by_hand: bool) {
    let id = &invoice.id;
    let sum = |amounts: &mut dyn Iterator<Item = Amount>| amounts.map(Amount::minor).sum::<i128>();
    assert_eq!(sum(&mut lines.iter().map(|line| line.amount)), invoice.net.minor(), "the net of {id}");
    let mut taxed = 0;
    for TaxSubtotal { tax, base, amount, .. } in &invoice.tax {
        let of_it = sum(&mut lines.iter().filter(|line| line.tax == *tax).map(|line| line.amount));
        assert_eq!(of_it, base.minor(), "the base of a tax of {id}");
        taxed += of_it;
        // A note by hand has the tax of all notes so far less that of the earlier ones.
        if !by_hand {
            let rate = if tax.category == TaxCategory::S { tax.rate.billionths() } else { 0 };
            assert_eq!(percent_of(base.minor(), rate), amount.minor(), "a tax of {id}");
        }
    }
    assert_eq!(taxed, invoice.net.minor(), "a line of {id} has no tax");
    let tax_total = sum(&mut invoice.tax.iter().map(|subtotal| subtotal.amount));
    let total = invoice.net.minor() + tax_total + invoice.rounding.minor();
    assert_eq!(total, invoice.total.minor(), "the total of {id}");
    assert!(total >= 0, "{id} asks for less than nothing");
    let paid = sum(&mut invoice.prepaid.iter().map(|used| used.amount));
    assert_eq!(total - paid, invoice.due.minor(), "what is due of {id}");
}

/// So many billionths of a percent of an amount; half a minor unit goes away from zero.
fn percent_of(minor: i128, billionths: i128) -> i128 {
    let whole = 100_000_000_000;
    (2 * minor.abs() * billionths + whole) / (2 * whole) * minor.signum()
}
