//! The billing view: metering, prices, invoice runs, their drafts and the documents that were issued.
//!
//! A fold of events. When a run is opened its drafts are computed from the state at that very event, so that they are a
//! function of the events up to the cut-off: whatever comes later leaves them as they are, and a rebuild gives them back
//! byte for byte. A view that is read meanwhile has them computed apart (`drafting`). When an invoice is issued its document takes the place of the draft. Nothing
//! is decided here; what may become final, and under which number, is the domain's to say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::charge::{ChargeId, ChargeRecorded};
use slapledger_core::domain::credit::{CreditGranted, CreditId, CreditOwner, Credits};
use slapledger_core::domain::id::{InvoiceId, KeyId, PartyId, PriceBookName, RunId, Sequence};
use slapledger_core::domain::invoice::{Balances, Invoice, InvoiceLine, InvoiceRunOpened, Remainders};
use slapledger_core::domain::money::Amount;
use slapledger_core::domain::pricing::{OverrideId, PriceBook, PriceBooks};
use slapledger_core::domain::tax::Taxes;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::top_up::{TopUp, TopUpRequested};
use slapledger_core::log::envelope::Recorded;
use slapledger_projections::metering::Metering;
use slapledger_projections::rows::RowDigests;
use slapledger_projections::stop::StopFlag;
use slapledger_projections::view::{Deferred, Projection, View, get, put};
use slapledger_projections::{CopyOnWrite, Page};

use crate::document::Payer;
use crate::history::Histories;
use crate::journal::Journal;
use crate::known_override::KnownOverride;
use crate::rating::RedeemedCodes;
use crate::regions::Regions;
use crate::review::DraftReviews;
use crate::warning::Warning;

/// Metering, billing and the books of one project, at one position.
///
/// A clone is a generation: it costs next to nothing, never changes, and is what rating works on while the view goes on.
#[derive(Debug, Clone, Default)]
pub struct BillingView {
    /// What was used.
    pub metering: Metering,
    /// What it costs, and what was invoiced.
    pub billing: Billing,
    /// What that means in double entry.
    pub journal: Journal,
    /// Drafts that are being computed: of runs that are there without them.
    pub(crate) drafting: CopyOnWrite<BTreeMap<RunId, Arc<DraftJob>>>,
}

/// The drafts of a run that are being computed (`crate::drafting`).
#[derive(Debug)]
pub(crate) struct DraftJob {
    pub(crate) opened: InvoiceRunOpened,
    /// The view at the event that asks for them.
    pub(crate) generation: BillingView,
    pub(crate) drafted: OnceLock<Drafted>,
    pub(crate) stop: StopFlag,
}

/// The drafts of a run, and what there is to say of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drafted {
    pub(crate) documents: Vec<(DocumentPlace, CopyOnWrite<Document>)>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) suspended_usage: u64,
}

impl View for BillingView {
    const FORMAT: u32 = 34;

    fn apply(&mut self, event: &Recorded) {
        self.billing.before_metering(event, &self.metering);
        self.metering.apply(event);
        self.billing.apply(event, &self.metering);
        self.journal.apply(event);
    }

    fn apply_live(&mut self, event: &Recorded) -> Option<Deferred<Self>> {
        self.take_over(event)
    }

    fn projections(&self) -> Vec<Box<dyn Projection + '_>> {
        let billing: Box<dyn Projection + '_> = if self.drafting.is_empty() {
            Box::new(&self.billing)
        } else {
            // What is written is whole.
            let mut whole = self.clone();
            whole.settle_all();
            Box::new(whole.billing)
        };
        vec![Box::new(&self.metering), billing, Box::new(&self.journal)]
    }

    fn read(from: &mut dyn Read) -> io::Result<Self> {
        let (metering, billing, journal) = (Metering::read_from(from)?, get(from)?, get(from)?);
        Ok(Self { metering, billing, journal, drafting: CopyOnWrite::default() })
    }
}

/// What is known of a run and a payer.
type OfRuns<T> = BTreeMap<(RunId, PartyId), Vec<T>>;

/// Prices, what they are applied to, and the documents. A clone shares all of it until one of the two changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Billing {
    pub(crate) payers: CopyOnWrite<BTreeMap<PartyId, Payer>>,
    pub(crate) taxes: CopyOnWrite<Taxes>,
    pub(crate) histories: CopyOnWrite<Histories>,
    pub(crate) regions: CopyOnWrite<Regions>,
    pub(crate) books: CopyOnWrite<PriceBooks>,
    /// Whether any version has a trial of so many units: usage of earlier times changes what later months cost.
    pub(crate) trials_by_quantity: bool,
    /// The codes of discounts that customers redeemed.
    pub(crate) redeemed: CopyOnWrite<BTreeMap<PartyId, RedeemedCodes>>,
    /// The event that published each version of a book, the first being version 1.
    pub(crate) published: CopyOnWrite<BTreeMap<PriceBookName, Vec<Sequence>>>,
    /// The prices of single customers.
    pub(crate) overrides: CopyOnWrite<BTreeMap<OverrideId, KnownOverride>>,
    /// Which customer has which, by rising numbers.
    pub(crate) overrides_by_customer: CopyOnWrite<BTreeMap<PartyId, Vec<OverrideId>>>,
    pub(crate) runs: CopyOnWrite<BTreeMap<RunId, Run>>,
    pub(crate) documents: CopyOnWrite<BTreeMap<DocumentPlace, CopyOnWrite<Document>>>,
    pub(crate) issued: CopyOnWrite<BTreeMap<InvoiceId, DocumentPlace>>,
    /// The places of the documents of each payer that are issued.
    pub(crate) of_payer: CopyOnWrite<BTreeMap<PartyId, Vec<DocumentPlace>>>,
    /// Lines of invoices that are not issued yet: their event is the next.
    pub(crate) parts: CopyOnWrite<BTreeMap<InvoiceId, Vec<InvoiceLine>>>,
    /// What was decided of drafts.
    pub(crate) reviews: CopyOnWrite<DraftReviews>,
    /// What later documents took of the lines of earlier ones.
    pub(crate) remainders: CopyOnWrite<Remainders>,
    /// What is credited, paid and due of each invoice.
    pub(crate) balances: CopyOnWrite<Balances>,
    /// The documents of each payer that are void.
    pub(crate) voided: CopyOnWrite<BTreeMap<PartyId, BTreeSet<DocumentPlace>>>,
    /// Lines that charged a payer in advance.
    pub(crate) in_advance: CopyOnWrite<BTreeMap<PartyId, Vec<(DocumentPlace, u32)>>>,
    /// Charges by hand.
    pub(crate) charges: CopyOnWrite<BTreeMap<ChargeId, Charge>>,
    /// Those that correct lines of a document.
    pub(crate) corrections: CopyOnWrite<BTreeMap<InvoiceId, BTreeSet<ChargeId>>>,
    /// Those that are on no invoice yet, by customer.
    pub(crate) open_charges: CopyOnWrite<BTreeMap<PartyId, BTreeSet<ChargeId>>>,
    /// What is left of prepaid credits.
    pub(crate) credits: CopyOnWrite<Credits>,
    /// How they were granted, and the events that did.
    pub(crate) granted: CopyOnWrite<BTreeMap<CreditId, (CreditGranted, Sequence)>>,
    /// The requests for more prepaid credit, and the events that made them.
    pub(crate) top_ups_requested: CopyOnWrite<BTreeMap<CreditOwner, Vec<(TopUpRequested, Sequence)>>>,
    /// What a run could not know of a payer: usage that was recorded after its cut-off.
    pub(crate) late: CopyOnWrite<BTreeMap<(RunId, PartyId), LateUsage>>,
    /// Lines that adjusted what a run charged a payer.
    pub(crate) adjusted: CopyOnWrite<OfRuns<(DocumentPlace, u32)>>,
    /// As of when what a run charged a payer was adjusted, by rising sequences.
    pub(crate) settled: CopyOnWrite<OfRuns<Sequence>>,
    /// What was late until a run settled it for a payer, and about which run: it is late again if that document is void.
    pub(crate) was_late: CopyOnWrite<OfRuns<(RunId, LateUsage)>>,
    /// No run is about usage from here on.
    pub(crate) billed_until: Option<Timestamp>,
}

/// Where a document is: the one of its run for a payer, or one of the credit notes written about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct DocumentPlace {
    /// The run.
    pub run: RunId,
    /// Who pays.
    pub payer: PartyId,
    /// 0 for the document of the run, then its credit notes from 1.
    pub note: u32,
}

impl DocumentPlace {
    pub(crate) fn of(run: RunId, payer: PartyId) -> Self {
        Self { run, payer, note: 0 }
    }
}

/// Usage a run did not know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct LateUsage {
    /// How many events.
    pub events: u64,
    /// The first.
    pub first_sequence: Sequence,
    /// The last.
    pub last_sequence: Sequence,
}

/// Whether an invoice or a run can still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentState {
    /// It is what would be invoiced.
    Draft,
    /// It never changes again.
    Final,
    /// Of a run: it was given up.
    Withdrawn,
}

impl DocumentState {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Final => "final",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// An invoice run.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Run {
    /// What was fixed when it was opened, or when its drafts were drawn up again.
    pub opened: InvoiceRunOpened,
    /// The event that opened it, or drew its drafts up again.
    pub sequence: Sequence,
    /// When that was.
    pub drawn_up_at: Timestamp,
    /// What it does not charge.
    pub warnings: Vec<Warning>,
    /// How many reports were suspended at the cut-off that may belong to its period.
    pub suspended_usage: u64,
    /// When all of its invoices were final, and the event that says so.
    pub finalised: Option<(Timestamp, Sequence)>,
    /// Whether it was given up.
    pub withdrawn: bool,
    /// Those it says nothing of: whom its warnings say it passed over, and whose drafts were given up when the others were
    /// final.
    pub silent_on: BTreeSet<PartyId>,
}

impl Run {
    /// Whether it can still change.
    pub fn state(&self) -> DocumentState {
        match self.finalised {
            _ if self.withdrawn => DocumentState::Withdrawn,
            Some(_) => DocumentState::Final,
            None => DocumentState::Draft,
        }
    }

    /// Whether it is final and says what somebody owes, or that it is nothing.
    pub(crate) fn is_about(&self, payer: PartyId) -> bool {
        self.state() == DocumentState::Final && self.opened.names(payer) && !self.silent_on.contains(&payer)
    }
}

/// An invoice, a credit note, or the draft of one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Document {
    /// The document with all its lines; of a draft, the dates are those of its run.
    pub invoice: Invoice,
    /// The event that issued it; none, while it is a draft.
    pub issued: Option<Sequence>,
}

impl Document {
    /// Whether it can still change.
    pub fn state(&self) -> DocumentState {
        if self.issued.is_some() { DocumentState::Final } else { DocumentState::Draft }
    }
}

/// Something charged or given by hand.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Charge {
    /// As it was recorded.
    pub recorded: ChargeRecorded,
    /// The event that recorded it.
    pub sequence: Sequence,
    /// The document that has it, if one does.
    pub invoice: Option<InvoiceId>,
}

/// A prepaid credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrepaidCredit<'a> {
    /// As it was granted.
    pub granted: &'a CreditGranted,
    /// The event that granted it.
    pub sequence: Sequence,
    /// What is left of it.
    pub left: Amount,
}

/// When a customer is asked for more prepaid credit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerTopUp<'a> {
    /// Seller, customer and currency.
    pub owner: CreditOwner,
    /// What was said.
    pub top_up: &'a TopUp,
    /// What is left.
    pub balance: Amount,
    /// The requests, the oldest first, and the events that made them.
    pub requests: &'a [(TopUpRequested, Sequence)],
}

/// A version of a price book, and since when there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedBook<'a> {
    /// Its version, from 1.
    pub version: u32,
    /// What it says.
    pub book: &'a PriceBook,
    /// The event that published it.
    pub sequence: Sequence,
}

/// Queries.
impl Billing {
    /// Whether a party is known.
    pub fn knows_party(&self, party: PartyId) -> bool {
        self.payers.contains_key(&party)
    }

    /// Where the billing periods of a party are cut, if there is such a party.
    pub fn calendar_of(&self, party: PartyId) -> Option<&Calendar> {
        self.payers.get(&party).map(|payer| &payer.calendar)
    }

    /// All versions of a price book, the first one first.
    pub fn price_book(&self, name: &str) -> impl Iterator<Item = PublishedBook<'_>> {
        let published = self.published.get(name).into_iter().flatten();
        let versions = self.books.versions(name).iter().zip(published);
        (1..).zip(versions).map(|(version, (book, sequence))| PublishedBook {
            version,
            book,
            sequence: *sequence,
        })
    }

    /// The newest version of every price book, by name.
    pub fn price_books(&self) -> impl Iterator<Item = PublishedBook<'_>> {
        self.books.names().filter_map(|name| self.price_book(name.as_str()).last())
    }

    /// A party, if there is one.
    pub fn party(&self, party: PartyId) -> Option<&Payer> {
        self.payers.get(&party)
    }

    /// Parties after one, in the order they were registered.
    pub fn parties(
        &self,
        seen: impl Fn(PartyId) -> bool,
        after: Option<PartyId>,
        limit: usize,
    ) -> Page<(PartyId, &Payer), PartyId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let parties = self.payers.range((from, Bound::Unbounded));
        page(parties.filter(|(id, _)| seen(**id)).map(|(id, party)| (*id, (*id, party))), limit)
    }

    /// The keys of all parties that were erased: those that no key ring may have.
    pub fn erased_keys(&self) -> impl Iterator<Item = KeyId> {
        self.payers.values().filter(|party| party.erased_at.is_some()).map(|party| party.name.key)
    }

    /// The keys that names and details of all parties are sealed with.
    pub fn sealing_keys(&self) -> impl Iterator<Item = KeyId> {
        self.payers.values().map(|party| party.name.key)
    }

    /// Tax rates, and how customers are taxed.
    pub fn taxes(&self) -> &Taxes {
        &self.taxes
    }

    /// A charge by hand, if it was recorded.
    pub fn charge(&self, charge: ChargeId) -> Option<&Charge> {
        self.charges.get(&charge)
    }

    /// Charges after one, of one customer or of all, in the order they were recorded.
    pub fn charges(
        &self,
        customer: Option<PartyId>,
        seen: impl Fn(PartyId) -> bool,
        after: Option<ChargeId>,
        limit: usize,
    ) -> Page<&Charge, ChargeId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let all = self.charges.range((from, Bound::Unbounded)).map(|(id, charge)| (*id, charge));
        let of = |charge: &Charge| {
            let theirs = charge.recorded.customer;
            customer.is_none_or(|customer| theirs == customer) && seen(theirs)
        };
        page(all.filter(|(_, charge)| of(charge)), limit)
    }

    /// A prepaid credit, if it was granted.
    pub fn credit(&self, credit: CreditId) -> Option<PrepaidCredit<'_>> {
        let (granted, sequence) = self.granted.get(&credit)?;
        let left = self.credits.get(credit)?.left;
        Some(PrepaidCredit { granted, sequence: *sequence, left })
    }

    /// The top-ups of a customer: what is left at an instant, and the last requests, the newest first.
    pub fn top_ups(&self, customer: PartyId, at: Timestamp) -> Vec<CustomerTopUp<'_>> {
        let top_ups = self.credits.top_ups().of(customer).map(|(owner, top_up)| {
            let requests = self.top_ups_requested.get(&owner).map_or(&[][..], Vec::as_slice);
            CustomerTopUp { owner, top_up, balance: self.credits.balance(owner, at), requests }
        });
        top_ups.collect()
    }

    /// When the first prepaid credit expires of which something is left.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.credits.next_expiry()
    }

    /// Prepaid credits after one, of one customer or of all, in the order they were granted.
    pub fn credits(
        &self,
        customer: Option<PartyId>,
        seen: impl Fn(PartyId) -> bool,
        after: Option<CreditId>,
        limit: usize,
    ) -> Page<PrepaidCredit<'_>, CreditId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let all = self.granted.range((from, Bound::Unbounded));
        let of = all.filter(|(_, (granted, _))| {
            customer.is_none_or(|customer| granted.customer == customer) && seen(granted.customer)
        });
        page(of.filter_map(|(id, _)| Some((*id, self.credit(*id)?))), limit)
    }

    /// A run, if it was opened.
    pub fn run(&self, run: RunId) -> Option<&Run> {
        self.runs.get(&run)
    }

    /// Runs after one, in the order they were opened.
    pub fn runs(&self, after: Option<RunId>, limit: usize) -> Page<&Run, RunId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        page(self.runs.range((from, Bound::Unbounded)).map(|(id, run)| (*id, run)), limit)
    }

    /// The runs that are to become final by themselves.
    pub fn becoming_final(&self) -> impl Iterator<Item = &Run> {
        let open = self.runs.values().filter(|run| run.state() == DocumentState::Draft);
        open.filter(|run| run.opened.finalise)
    }

    /// When the period of a run is over for everybody that it invoices.
    pub fn over_at(&self, run: &InvoiceRunOpened) -> Timestamp {
        let payers = self.payers.iter().filter(|(id, _)| run.names(**id));
        let stops = payers.map(|(_, payer)| run.period.stop.within(&payer.calendar));
        stops.max().unwrap_or(run.at)
    }

    /// The invoices of a run and its drafts that are none yet, by payer.
    pub fn documents_of(&self, run: RunId) -> impl Iterator<Item = &Document> {
        let (first, last) =
            (DocumentPlace::of(run, PartyId(u64::MIN)), DocumentPlace::of(run, PartyId(u64::MAX)));
        let of_run = self.documents.range(first..=last);
        of_run.filter(|(place, _)| place.note == 0).map(|(_, document)| &**document)
    }

    /// Whether a run has a draft for a payer.
    pub(crate) fn is_draft(&self, run: RunId, payer: PartyId) -> bool {
        let document = self.documents.get(&DocumentPlace::of(run, payer));
        document.is_some_and(|document| document.issued.is_none())
    }

    /// The drafts of a run that are no invoices yet, of payers after one.
    pub fn drafts_after(&self, run: RunId, payer: Option<PartyId>) -> impl Iterator<Item = &Invoice> {
        let from = payer.map_or(Bound::Included(DocumentPlace::of(run, PartyId(u64::MIN))), |payer| {
            Bound::Excluded(DocumentPlace { note: u32::MAX, ..DocumentPlace::of(run, payer) })
        });
        let to =
            Bound::Included(DocumentPlace { note: u32::MAX, ..DocumentPlace::of(run, PartyId(u64::MAX)) });
        let documents = self.documents.range((from, to)).map(|(_, document)| &**document);
        documents.filter(|document| document.issued.is_none()).map(|document| &document.invoice)
    }

    /// An invoice by its number, or the draft or invoice by the id it had as a draft.
    pub fn document(&self, id: &str) -> Option<&Document> {
        self.documents.get(&self.place(id)?).map(|document| &**document)
    }

    /// Invoices and drafts after one, of one payer or of all, in one state or in both; by run and payer.
    pub fn documents(
        &self,
        (payer, state): (Option<PartyId>, Option<DocumentState>),
        seen: impl Fn(&Document) -> bool,
        after: Option<DocumentPlace>,
        limit: usize,
    ) -> Page<&Document, DocumentPlace> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let all =
            self.documents.range((from, Bound::Unbounded)).map(|(place, document)| (*place, &**document));
        let wanted = all.filter(|(place, document)| {
            payer.is_none_or(|payer| payer == place.payer)
                && state.is_none_or(|state| state == document.state())
                && seen(document)
        });
        page(wanted, limit)
    }

    /// The newest document that is final and that somebody may see.
    pub fn newest_final(&self, seen: impl Fn(&Document) -> bool) -> Option<&Document> {
        let newest_first = self.documents.values().rev().map(|document| &**document);
        newest_first.into_iter().find(|document| document.issued.is_some() && seen(document))
    }

    /// The versions of its price book that a run looks at.
    pub(crate) fn versions_of(&self, run: &InvoiceRunOpened) -> &[PriceBook] {
        let versions = self.books.versions(run.price_book.as_str());
        &versions[..versions.len().min(usize::try_from(run.versions).unwrap_or(usize::MAX))]
    }

    /// What a run could not know of a payer and nothing has settled since.
    pub fn late(&self, run: RunId, payer: PartyId) -> Option<LateUsage> {
        self.late.get(&(run, payer)).copied()
    }

    /// Whether a document is the one of its run for its payer, and no credit note about that.
    pub fn is_of_run(&self, document: &Document) -> bool {
        let of_run =
            self.documents.get(&DocumentPlace::of(document.invoice.run, document.invoice.buyer.party));
        of_run.is_some_and(|of_run| of_run.invoice.id == document.invoice.id)
    }

    /// The credit notes that were written about a document.
    pub fn notes_on(&self, run: RunId, payer: PartyId) -> impl Iterator<Item = &Document> {
        let first = DocumentPlace { run, payer, note: 1 };
        self.documents
            .range(first..=DocumentPlace { note: u32::MAX, ..first })
            .map(|(_, document)| &**document)
    }

    fn place(&self, id: &str) -> Option<DocumentPlace> {
        self.issued.get(id).copied().or_else(|| place_of_draft(id))
    }
}

/// What the id of a draft says.
fn place_of_draft(id: &str) -> Option<DocumentPlace> {
    let at = id.find("-PARTY-")?;
    Some(DocumentPlace::of(id[..at].parse().ok()?, id[at + 1..].parse().ok()?))
}

/// The run that an id is a draft of, if it is the id of a draft.
pub fn run_of_draft(id: &str) -> Option<RunId> {
    place_of_draft(id).map(|place| place.run)
}

fn page<T, K>(mut items: impl Iterator<Item = (K, T)>, limit: usize) -> Page<T, K> {
    let mut last = None;
    let taken = items.by_ref().take(limit).map(|(key, item)| {
        last = Some(key);
        item
    });
    let items_taken = taken.collect();
    let next = last.filter(|_| items.next().is_some());
    Page { items: items_taken, next }
}

impl Projection for Billing {
    fn name(&self) -> &'static str {
        "billing"
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        put(self, out)
    }

    fn rows(&self, rows: &mut RowDigests) {
        rows.table("payers", self.payers.iter());
        rows.value("taxes", String::new(), &self.taxes);
        rows.value("histories", String::new(), &self.histories);
        rows.value("regions", String::new(), &self.regions);
        rows.value("price books", String::new(), (&self.books, self.trials_by_quantity));
        rows.table("redeemed codes", self.redeemed.iter());
        rows.table("published", self.published.iter());
        rows.keyed("overrides", self.overrides.iter());
        rows.table("overrides by customer", self.overrides_by_customer.iter());
        rows.table("runs", self.runs.iter());
        let place = |at: &DocumentPlace| format!("{} {} {}", at.run, at.payer, at.note);
        rows.table("documents", self.documents.iter().map(|(at, document)| (place(at), document)));
        rows.table("issued", self.issued.iter());
        rows.table("documents of payers", self.of_payer.iter());
        rows.table("parts", self.parts.iter());
        rows.value("reviews", String::new(), &self.reviews);
        rows.value("remainders", String::new(), &self.remainders);
        rows.value("balances", String::new(), &self.balances);
        rows.table("voided", self.voided.iter());
        rows.table("in advance", self.in_advance.iter());
        rows.keyed("charges", self.charges.iter());
        rows.table("corrections", self.corrections.iter());
        rows.table("open charges", self.open_charges.iter());
        rows.value("credits", String::new(), &self.credits);
        rows.keyed("credits granted", self.granted.iter());
        rows.keyed("top-ups requested", self.top_ups_requested.iter());
        rows.keyed("late usage", self.late.iter());
        rows.keyed("adjusted", self.adjusted.iter());
        rows.keyed("settled", self.settled.iter());
        rows.keyed("was late", self.was_late.iter());
        rows.value("billed until", String::new(), self.billed_until);
    }
}
