//! From events to transactions: which accounts a document, a credit and a closing move.

use std::collections::BTreeMap;

use slapledger_core::domain::account::AccountsClosed;
use slapledger_core::domain::credit::{CreditGranted, CreditWithdrawn};
use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::invoice::{
    CreditUsed, DocumentKind, Invoice, InvoiceLine, InvoiceLinesRecorded, LineKind,
};
use slapledger_core::domain::money::{Currency, Exact};

use super::account::{Account, Income, Kind};
use super::transaction::{About, Cause, Postings};
use super::{ClosedPeriod, FaultReason, Granted, Journal};

impl Journal {
    pub(super) fn lines_recorded(&mut self, event: &InvoiceLinesRecorded) {
        let parts = self.parts.entry(event.invoice.clone()).or_default();
        if event.part == 1 {
            *parts = Postings::default();
        }
        event.lines.iter().for_each(|line| sell(parts, line));
    }

    pub(super) fn finalised(&mut self, invoice: &Invoice, sequence: Sequence) -> Result<(), FaultReason> {
        let mut postings = self.parts.remove(&invoice.id).unwrap_or_else(|| {
            let mut postings = Postings::default();
            invoice.lines.iter().for_each(|line| sell(&mut postings, line));
            postings
        });
        let (customer, document) = (invoice.buyer.party, invoice.id.clone());
        for subtotal in &invoice.tax {
            postings.credit(Account::Tax(subtotal.tax), subtotal.amount);
        }
        postings.credit(Account::Income(Income::Rounding), invoice.rounding);
        postings.debit(Account::Receivable(customer), invoice.total);
        for CreditUsed { amount, .. } in &invoice.prepaid {
            postings.debit(Account::Prepaid(customer), *amount);
            postings.credit(Account::Receivable(customer), *amount);
        }
        let (cause, postings) = match invoice.document {
            DocumentKind::Invoice => (Cause::Invoice(document), postings),
            DocumentKind::CreditNote => {
                let cites = invoice.cites.as_ref().map(|cited| cited.invoice.clone());
                (Cause::CreditNote { document, cites }, postings.reversed())
            }
        };
        let (seller, currency) = (invoice.seller.party, invoice.currency);
        self.post(About { at: invoice.issued_at, sequence, seller, currency, cause }, postings)
    }

    pub(super) fn granted(&mut self, event: &CreditGranted, sequence: Sequence) -> Result<(), FaultReason> {
        let CreditGranted { credit, seller, customer, currency, amount, description, at } = event;
        let (credit, seller, customer, currency) = (*credit, *seller, *customer, *currency);
        self.credits.insert(credit, Granted { seller, customer, currency });
        let mut postings = Postings::default();
        postings.debit(Account::Clearing, *amount);
        postings.credit(Account::Prepaid(customer), *amount);
        let cause = Cause::CreditGranted { credit, description: description.clone() };
        self.post(About { at: *at, sequence, seller, currency, cause }, postings)
    }

    pub(super) fn withdrawn(
        &mut self,
        event: &CreditWithdrawn,
        sequence: Sequence,
    ) -> Result<(), FaultReason> {
        let CreditWithdrawn { credit, amount, reason, at } = event;
        let Granted { seller, customer, currency } =
            *self.credits.get(credit).ok_or(FaultReason::UnknownCredit(*credit))?;
        let mut postings = Postings::default();
        postings.debit(Account::Prepaid(customer), *amount);
        postings.credit(Account::Clearing, *amount);
        let cause = Cause::CreditWithdrawn { credit: *credit, reason: reason.clone() };
        self.post(About { at: *at, sequence, seller, currency, cause }, postings)
    }

    /// Income that is known now and dated before an instant moves to earnings, in every currency.
    pub(super) fn closed(&mut self, event: &AccountsClosed, sequence: Sequence) -> Result<(), FaultReason> {
        let AccountsClosed { seller, until, at } = *event;
        let from = self.periods_of(seller).last().map(|period| period.until);
        self.periods.push(ClosedPeriod { sequence, seller, from, until, at });
        let mut income: BTreeMap<Currency, BTreeMap<&Account, Exact>> = BTreeMap::new();
        let closed = self.all_from(0);
        for transaction in closed.filter(|known| known.about().seller == seller && known.about().at < until) {
            let balances = income.entry(transaction.about().currency).or_default();
            let postings = transaction.postings().iter();
            for posting in postings.filter(|posting| posting.account.kind() == Kind::Income) {
                let balance = balances.entry(&posting.account).or_default();
                *balance = balance.plus(posting.amount);
            }
        }
        let closings: Vec<(Currency, Postings)> =
            income.into_iter().map(|(currency, balances)| (currency, close(balances))).collect();
        let at = until.plus_micros(-1);
        for (currency, postings) in closings {
            let cause = Cause::Closing { until };
            self.post(About { at, sequence, seller, currency, cause }, postings)?;
        }
        Ok(())
    }
}

/// What a line earns, at its exact price; what rounding added to it is income of its own.
fn sell(postings: &mut Postings, line: &InvoiceLine) {
    let income = match &line.kind {
        LineKind::Recurring | LineKind::Advance => Income::Recurring,
        LineKind::Usage { resource } => Income::Usage(resource.clone()),
        LineKind::Percentage => Income::Percentage,
        LineKind::Minimum => Income::Minimum,
        LineKind::Adjustment => Income::Adjustments,
        LineKind::OneOff { .. } => Income::OneOff,
    };
    postings.credit(Account::Income(income), Exact::from(line.amount).minus(line.residue));
    postings.credit(Account::Income(Income::Rounding), line.residue);
}

fn close(balances: BTreeMap<&Account, Exact>) -> Postings {
    let mut postings = Postings::default();
    for (account, balance) in balances {
        postings.credit(account.clone(), balance);
        postings.debit(Account::Earnings, balance);
    }
    postings
}
