//! What a period came to: totals by customer beside those of an earlier period, and what its lines are for.
//!
//! All documents count that the reader may see, drafts of runs included; amounts are with tax, credit notes below zero. A
//! document counts in the period in which its own period begins. A pure reading of the view.

use std::collections::BTreeMap;

use slapledger_core::domain::id::{InvoiceId, PartyId, ResourceId};
use slapledger_core::domain::invoice::{InvoiceLine, LineKind, RunPeriod, as_charged};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_projections::stop;

use crate::view::{Billing, Document, DocumentState};

/// What a line is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinePurpose {
    /// A fee for this unit of time.
    Fee(Box<str>),
    /// Usage of a resource.
    Usage(ResourceId),
    /// Something else, by its kind.
    Other(&'static str),
}

/// What a customer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerSummary {
    /// Who.
    pub payer: PartyId,
    /// In the period.
    pub now: Amount,
    /// In the earlier one.
    pub before: Amount,
    /// How many documents are in the period.
    pub documents: u64,
    /// The first of them that is no draft.
    pub first: Option<InvoiceId>,
}

/// What a period came to in a currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodSummary {
    /// In what.
    pub currency: Currency,
    /// All documents of the period.
    pub total: Amount,
    /// All of the earlier one.
    pub before: Amount,
    /// What is left to be paid of the period's.
    pub due: Amount,
    /// How many documents are in the period, and how many of them are drafts.
    pub documents: (u64, u64),
    /// How many documents are in the earlier one.
    pub documents_before: u64,
    /// The largest growth first.
    pub customers: Vec<CustomerSummary>,
    /// What lines of the period are for, the largest first; without tax.
    pub parts: Vec<(LinePurpose, Amount)>,
}

#[derive(Default)]
struct CustomerSums {
    sides: [i128; 2],
    documents: u64,
    first: Option<InvoiceId>,
}

#[derive(Default)]
struct CurrencySums<'a> {
    due: i128,
    documents: (u64, u64),
    before: u64,
    customers: BTreeMap<PartyId, CustomerSums>,
    parts: BTreeMap<PurposeOf<'a>, i128>,
}

/// A [`LinePurpose`] in the words of a line: there are many lines, and few purposes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PurposeOf<'a> {
    Fee(&'a str),
    Usage(&'a ResourceId),
    Other(&'static str),
}

impl From<PurposeOf<'_>> for LinePurpose {
    fn from(purpose: PurposeOf<'_>) -> Self {
        match purpose {
            PurposeOf::Fee(unit) => Self::Fee(unit.into()),
            PurposeOf::Usage(resource) => Self::Usage(resource.clone()),
            PurposeOf::Other(kind) => Self::Other(kind),
        }
    }
}

impl<'a> PurposeOf<'a> {
    fn line(line: &'a InvoiceLine) -> Self {
        match &line.kind {
            LineKind::Recurring => Self::Fee(&line.unit),
            LineKind::Usage { resource } => Self::Usage(resource),
            LineKind::Advance => Self::Other("advance"),
            LineKind::Percentage => Self::Other("percentage"),
            LineKind::Minimum => Self::Other("minimum"),
            LineKind::Maximum => Self::Other("maximum"),
            LineKind::Discount => Self::Other("discount"),
            LineKind::Adjustment => Self::Other("adjustment"),
            LineKind::OneOff { .. } | LineKind::Correction { .. } => Self::Other("one_off"),
        }
    }
}

impl Billing {
    /// What two periods came to, of the documents that are shown.
    pub fn summary(
        &self,
        (now, before): (RunPeriod, RunPeriod),
        shown: impl Fn(&Document) -> bool,
    ) -> Vec<PeriodSummary> {
        let mut all: BTreeMap<Currency, CurrencySums<'_>> = BTreeMap::new();
        for (side, period) in [now, before].into_iter().enumerate() {
            for document in self.documents_in(period, None).filter(|document| shown(document)) {
                stop::check();
                let invoice = &document.invoice;
                let sums = all.entry(invoice.currency).or_default();
                let customer = sums.customers.entry(invoice.buyer.party).or_default();
                customer.sides[side] += as_charged(invoice.document, invoice.total).minor();
                if side == 1 {
                    sums.before += 1;
                    continue;
                }
                let is_draft = document.state() != DocumentState::Final;
                customer.documents += 1;
                if !is_draft && customer.first.is_none() {
                    customer.first = Some(invoice.id.clone());
                }
                sums.documents = (sums.documents.0 + 1, sums.documents.1 + u64::from(is_draft));
                sums.due += self.balance(document).map_or(0, |(balance, _)| balance.due.minor());
                for line in &invoice.lines {
                    *sums.parts.entry(PurposeOf::line(line)).or_default() +=
                        as_charged(invoice.document, line.amount).minor();
                }
            }
        }
        all.into_iter().map(|(currency, sums)| sums.summary(currency)).collect()
    }
}

impl CurrencySums<'_> {
    fn summary(self, currency: Currency) -> PeriodSummary {
        let amount = |minor| Amount::from_minor(minor, currency);
        let sum = |side: usize| self.customers.values().map(|customer| customer.sides[side]).sum();
        let (total, before) = (amount(sum(0)), amount(sum(1)));
        let customers = self.customers.into_iter().map(|(payer, sums)| {
            let CustomerSums { sides: [now, before], documents, first } = sums;
            CustomerSummary { payer, now: amount(now), before: amount(before), documents, first }
        });
        let mut customers: Vec<CustomerSummary> = customers.collect();
        customers.sort_by_key(|customer| std::cmp::Reverse(customer.now.minor() - customer.before.minor()));
        let mut parts: Vec<(LinePurpose, Amount)> =
            self.parts.into_iter().map(|(purpose, minor)| (purpose.into(), amount(minor))).collect();
        parts.sort_by_key(|(_, amount)| std::cmp::Reverse(amount.minor()));
        PeriodSummary {
            currency,
            total,
            before,
            due: amount(self.due),
            documents: self.documents,
            documents_before: self.before,
            customers,
            parts,
        }
    }
}
