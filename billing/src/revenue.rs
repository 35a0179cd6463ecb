//! Reports over documents: revenue of a period by customer, software or computer, and two periods compared.
//!
//! A document counts in the period in which its own period begins, as its buyer's calendar has it. Amounts are without
//! tax; credit notes count below zero. A pure reading of the view.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use slapledger_core::domain::id::{ComputerId, PartyId, SoftwareRelease};
use slapledger_core::domain::invoice::{InvoiceLine, RunPeriod, as_charged};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_projections::stop;

use crate::net::line_nets;
use crate::view::{Billing, Document, DocumentState};

/// What revenue is shown by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum RevenueBy {
    /// Who pays.
    Customer,
    /// The software release that an instance had when a line begins.
    Software,
    /// The computer that an instance was on.
    Computer,
}

/// What a part of the revenue is from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RevenueSource {
    /// A customer.
    Customer(PartyId),
    /// A software release.
    Software(SoftwareRelease),
    /// A computer.
    Computer(ComputerId),
    /// Lines about no instance: charges by hand, percentages, minimums, usage of all instances together.
    Other,
}

/// A part of the revenue of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revenue {
    /// What it is from.
    pub source: RevenueSource,
    /// In what.
    pub currency: Currency,
    /// Without tax.
    pub net: Amount,
    /// How many lines it is the sum of.
    pub lines: u64,
}

/// What a customer was invoiced for two periods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerComparison {
    /// Who.
    pub payer: PartyId,
    /// In what.
    pub currency: Currency,
    /// For the earlier period, without tax.
    pub before: Amount,
    /// For the later one.
    pub after: Amount,
    /// What that is more.
    pub difference: Amount,
    /// Whether some of it is drafts.
    pub drafts: bool,
}

impl Billing {
    /// The revenue of a period: what final documents of a seller, or of all, come to. The largest first.
    pub fn revenue(&self, by: RevenueBy, period: RunPeriod, seller: Option<PartyId>) -> Vec<Revenue> {
        let mut sums: BTreeMap<(RevenueSource, Currency), (i128, u64)> = BTreeMap::new();
        for document in self.documents_in(period, seller) {
            stop::check();
            if document.state() != DocumentState::Final {
                continue;
            }
            let invoice = &document.invoice;
            for (line, net) in invoice.lines.iter().zip(line_nets(invoice)) {
                let source = match by {
                    RevenueBy::Customer => RevenueSource::Customer(invoice.buyer.party),
                    RevenueBy::Software | RevenueBy::Computer => self.source_of(by, line),
                };
                let (sum, lines) = sums.entry((source, invoice.currency)).or_default();
                *sum += as_charged(invoice.document, net).minor();
                *lines += 1;
            }
        }
        let mut all: Vec<Revenue> = sums
            .into_iter()
            .map(|((source, currency), (minor, lines))| Revenue {
                source,
                currency,
                net: Amount::from_minor(minor, currency),
                lines,
            })
            .collect();
        all.sort_by(|one, other| (one.currency, other.net.minor()).cmp(&(other.currency, one.net.minor())));
        all
    }

    /// What each customer of a seller, or of all, was invoiced for two periods, drafts included; the largest change
    /// first. Customers without a document in either are left out.
    pub fn compare_periods(
        &self,
        (before, after): (RunPeriod, RunPeriod),
        seller: Option<PartyId>,
    ) -> Vec<CustomerComparison> {
        let mut sums: BTreeMap<(PartyId, Currency), ([i128; 2], bool)> = BTreeMap::new();
        for (side, period) in [before, after].into_iter().enumerate() {
            for document in self.documents_in(period, seller) {
                stop::check();
                let invoice = &document.invoice;
                let place = (invoice.buyer.party, invoice.currency);
                let (sides, drafts) = sums.entry(place).or_default();
                sides[side] += as_charged(invoice.document, invoice.net).minor();
                *drafts |= document.state() != DocumentState::Final;
            }
        }
        let mut all: Vec<CustomerComparison> = sums
            .into_iter()
            .map(|((payer, currency), ([before, after], drafts))| {
                let amount = |minor| Amount::from_minor(minor, currency);
                let [before, after, difference] = [before, after, after - before].map(amount);
                CustomerComparison { payer, currency, before, after, difference, drafts }
            })
            .collect();
        all.sort_by_key(|change| (change.currency, std::cmp::Reverse(change.difference.minor().abs())));
        all
    }

    /// Documents and drafts that count in a period.
    pub(crate) fn documents_in(
        &self,
        period: RunPeriod,
        seller: Option<PartyId>,
    ) -> impl Iterator<Item = &Document> {
        let documents = self.documents.values().map(|document| &**document);
        documents.filter(move |document| {
            let invoice = &document.invoice;
            let within = self.calendar_of(invoice.buyer.party).and_then(|calendar| period.within(calendar));
            seller.is_none_or(|seller| seller == invoice.seller.party)
                && within.is_some_and(|within| within.contains(invoice.period.start))
        })
    }

    /// What a line about an instance is from.
    fn source_of(&self, by: RevenueBy, line: &InvoiceLine) -> RevenueSource {
        let history = line.instance.and_then(|instance| self.histories.get(instance));
        let source = history.and_then(|history| match by {
            RevenueBy::Software => {
                let (_, attributes) = history.within(line.period).next()?;
                Some(RevenueSource::Software(attributes.release.clone()))
            }
            _ => Some(RevenueSource::Computer(history.allocation.as_ref()?.computer.clone())),
        });
        source.unwrap_or(RevenueSource::Other)
    }
}
