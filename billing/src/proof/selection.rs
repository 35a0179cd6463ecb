//! Which events the proof of a document holds.

use std::collections::BTreeSet;

use slapledger_core::domain::credit::CreditId;
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{
    ComputerId, InstanceId, InvoiceId, PartyId, PriceBookName, RunId, Sequence,
};
use slapledger_core::domain::invoice::Invoice;
use slapledger_core::domain::pricing::{OverrideId, Rate};
use slapledger_core::domain::usage::{Attribution, Usage};
use slapledger_core::log::envelope::Recorded;

use crate::view::BillingView;

/// Which usage a proof holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageChosen {
    /// The events that the lines name, of one line or of all.
    OfLines(Option<u32>),
    /// All usage of the customer up to the cut-off.
    All,
}

impl UsageChosen {
    /// What the prover tries in this order: the usage of the line, that of all lines, and all usage of the customer. A line
    /// may depend on usage that it does not name: that of the lines which a percentage or a discount is of.
    pub fn attempts(line: Option<u32>, all: bool) -> Vec<Self> {
        let of_line = line.map(|line| Self::OfLines(Some(line)));
        let of_lines = of_line.into_iter().chain([Self::OfLines(None)]).filter(|_| !all);
        of_lines.chain([Self::All]).collect()
    }
}

/// Whether a proof holds an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventChoice {
    /// It is not about this invoice.
    No,
    /// It is needed.
    Yes,
    /// It is needed, and names other customers or codes that the payer does not know: the proof holds its hash.
    Withheld,
}

/// Chooses the events of a proof, in the order of the log.
#[derive(Debug)]
pub struct ProofSelection {
    seller: PartyId,
    payer: PartyId,
    book: PriceBookName,
    instances: BTreeSet<InstanceId>,
    computers: BTreeSet<ComputerId>,
    documents: BTreeSet<InvoiceId>,
    /// The usage that is wanted; all, if `None`.
    usage: Option<BTreeSet<Sequence>>,
    /// The codes of discounts that the reader may see; all, if `None`.
    codes: Option<BTreeSet<Box<str>>>,
    cut_off: Sequence,
    issued: Sequence,
    /// What the events so far were about.
    runs: BTreeSet<RunId>,
    overrides: BTreeSet<OverrideId>,
    credits: BTreeSet<CreditId>,
    metered: BTreeSet<Sequence>,
}

impl ProofSelection {
    /// That of a final document; `None`, if there is no such one, or not all of the events that its lines name are
    /// found. A reader who may not see the codes of discounts sees those that the payer redeemed.
    pub fn new(view: &BillingView, invoice: &str, usage: UsageChosen, sees_codes: bool) -> Option<Self> {
        let billing = &view.billing;
        let document = billing.document(invoice)?;
        let issued = document.issued?;
        let invoice = &document.invoice;
        let (seller, payer) = (invoice.seller.party, invoice.buyer.party);
        let run = billing.run(invoice.run)?;
        let histories = billing.histories.of(payer);
        let allocations = histories.iter().filter_map(|(_, history)| history.allocation.as_ref());
        let computers = allocations.map(|allocation| allocation.computer.clone()).collect();
        let places = billing.of_payer.get(&payer).into_iter().flatten();
        let documents = places.filter_map(|place| billing.documents.get(place));
        let documents = documents.filter(|known| known.invoice.seller.party == seller);
        let redeemed = || billing.redeemed.get(&payer).into_iter().flatten();
        let codes = (!sees_codes).then(|| redeemed().map(|(code, _)| code.clone()).collect());
        let usage = match usage {
            UsageChosen::All => None,
            UsageChosen::OfLines(one) => {
                let lines = invoice.lines.iter().filter(|line| one.is_none_or(|one| line.n == one));
                let mut events = BTreeSet::new();
                for line in lines {
                    events.extend(view.line_events(invoice.id.as_str(), line.n)?);
                }
                Some(events)
            }
        };
        Some(Self {
            seller,
            payer,
            book: run.opened.price_book.clone(),
            instances: histories.iter().map(|(id, _)| *id).collect(),
            computers,
            documents: documents.map(|known| known.invoice.id.clone()).collect(),
            usage,
            codes,
            cut_off: run.opened.cut_off,
            issued,
            runs: BTreeSet::new(),
            overrides: BTreeSet::new(),
            credits: BTreeSet::new(),
            metered: BTreeSet::new(),
        })
    }

    /// The last event that is looked at: the one that issued the document.
    pub fn last(&self) -> Sequence {
        self.issued
    }

    /// Whether usage of this sequence has to be looked at.
    pub fn may_choose_usage(&self, sequence: Sequence) -> bool {
        sequence <= self.cut_off && self.usage.as_ref().is_none_or(|wanted| wanted.contains(&sequence))
    }

    /// Whether the next event is needed.
    pub fn choose(&mut self, recorded: &Recorded) -> EventChoice {
        if recorded.sequence > self.issued {
            return EventChoice::No;
        }
        let is_party = |party: PartyId| chosen(party == self.seller || party == self.payer);
        let is_customer =
            |seller: PartyId, customer: PartyId| chosen((seller, customer) == (self.seller, self.payer));
        match &recorded.event {
            Event::PartyRegistered(event) => is_party(event.party),
            Event::PartyDescribed(event) => is_party(event.party),
            Event::PartyTimeZoneSet(event) => is_party(event.party),
            Event::TaxRateSet(event) => chosen(event.seller == self.seller),
            Event::ProductTaxSet(event) => chosen(event.seller == self.seller),
            Event::TaxTreatmentSet(event) => chosen(event.customer == self.payer),
            Event::ComputerDescribed(event) => chosen(self.computers.contains(&event.computer)),
            Event::PriceBookPublished(event) if event.book.name == self.book => {
                only(event.book.rates.iter(), |rate| self.shows(rate))
            }
            Event::PriceOverrideSet(event) => {
                let theirs = &event.price_override;
                if theirs.price_book != self.book || theirs.customer != self.payer {
                    return EventChoice::No;
                }
                self.overrides.insert(theirs.id);
                only([&*theirs.rate].into_iter(), |rate| self.shows(rate))
            }
            Event::PriceOverrideEnded(event) => chosen(self.overrides.contains(&event.id)),
            Event::InvoiceRunOpened(event)
                if (event.seller, &event.price_book) == (self.seller, &self.book)
                    && event.names(self.payer) =>
            {
                self.runs.insert(event.run);
                only(event.payers.iter().copied(), |payer| payer == self.payer)
            }
            Event::InvoiceRunRefreshed(event) => chosen(self.runs.contains(&event.run)),
            Event::InvoiceRunWithdrawn(event) => chosen(self.runs.contains(&event.run)),
            Event::InvoiceRunFinalised(event) => chosen(self.runs.contains(&event.run)),
            Event::InvoiceLinesRecorded(event) => chosen(self.documents.contains(&event.invoice)),
            Event::InvoiceFinalised(event) => chosen(self.documents.contains(&event.invoice.id)),
            Event::CreditGranted(event) => {
                let theirs = is_customer(event.seller, event.customer);
                if theirs == EventChoice::Yes {
                    self.credits.insert(event.credit);
                }
                theirs
            }
            Event::CreditWithdrawn(event) => chosen(self.credits.contains(&event.credit)),
            Event::CreditExpired(event) => chosen(self.credits.contains(&event.credit)),
            Event::ChargeRecorded(event) => is_customer(event.seller, event.customer),
            Event::DiscountCodeRedeemed(event) => chosen(event.customer == self.payer),
            Event::InstanceRequested(event) => chosen(self.instances.contains(&event.instance)),
            Event::InstanceChanged(event) => chosen(self.instances.contains(&event.instance)),
            Event::InstanceAllocated(event) => chosen(self.instances.contains(&event.instance)),
            Event::InstanceEnded(event) => chosen(self.instances.contains(&event.instance)),
            Event::LogKeySet(_) | Event::LedgerCreated(_) => EventChoice::Yes,
            event => match event.usage_change() {
                Some(change) => self.choose_usage(recorded.sequence, change.replaces, change.metered),
                None => EventChoice::No,
            },
        }
    }

    /// Whether the reader may see a price.
    fn shows(&self, rate: &Rate) -> bool {
        let is_code_shown = |code: &str| self.codes.as_ref().is_none_or(|codes| codes.contains(code));
        rate.matching.customer.is_none_or(|customer| customer == self.payer)
            && rate.code().is_none_or(is_code_shown)
    }

    fn choose_usage(
        &mut self,
        sequence: Sequence,
        replaces: Option<Sequence>,
        metered: Option<&Usage>,
    ) -> EventChoice {
        if !self.may_choose_usage(sequence) {
            return EventChoice::No;
        }
        let instances = metered.map(instances_of).unwrap_or_default();
        let is_theirs = instances.iter().any(|id| self.instances.contains(id));
        if !is_theirs && !replaces.is_some_and(|replaced| self.metered.contains(&replaced)) {
            return EventChoice::No;
        }
        self.metered.insert(sequence);
        only(instances.into_iter(), |id| self.instances.contains(&id))
    }
}

fn chosen(is_chosen: bool) -> EventChoice {
    if is_chosen { EventChoice::Yes } else { EventChoice::No }
}

/// Events of a proof about instances that a document does not charge, and about computers of those alone. A reader who sees
/// the document and not its customer, such as the seller, is not shown them.
pub fn beside_lines(events: &[Recorded], document: &Invoice) -> BTreeSet<Sequence> {
    let metered = events.iter().filter_map(|recorded| recorded.event.usage_change()?.metered);
    let mut charged: BTreeSet<InstanceId> = metered.flat_map(instances_of).collect();
    charged.extend(document.lines.iter().filter_map(|line| line.instance));
    let allocated = events.iter().filter_map(|recorded| match &recorded.event {
        Event::InstanceAllocated(event) if charged.contains(&event.instance) => Some(&event.computer),
        _ => None,
    });
    let computers: BTreeSet<&ComputerId> = allocated.collect();
    let is_beside = |event: &Event| match event {
        Event::InstanceRequested(event) => !charged.contains(&event.instance),
        Event::InstanceChanged(event) => !charged.contains(&event.instance),
        Event::InstanceAllocated(event) => !charged.contains(&event.instance),
        Event::InstanceEnded(event) => !charged.contains(&event.instance),
        Event::ComputerDescribed(event) => !computers.contains(&event.computer),
        _ => false,
    };
    events.iter().filter(|recorded| is_beside(&recorded.event)).map(|recorded| recorded.sequence).collect()
}

/// An event that is needed and names these: it is withheld if the reader may not see one of them.
fn only<T>(mut named: impl Iterator<Item = T>, is_own: impl Fn(T) -> bool) -> EventChoice {
    if named.all(is_own) { EventChoice::Yes } else { EventChoice::Withheld }
}

fn instances_of(usage: &Usage) -> Vec<InstanceId> {
    match &usage.attribution {
        Attribution::Computer => Vec::new(),
        Attribution::Instance(id) => vec![*id],
        Attribution::Shares(shares) => shares.iter().map(|share| share.instance).collect(),
    }
}
