//! From events to transactions: which accounts a document, a credit and a closing move.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use slapledger_core::domain::account::AccountsClosed;
use slapledger_core::domain::credit::{CreditExpired, CreditGranted, CreditKind, CreditWithdrawn};
use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::invoice::{
    CreditUsed, DocumentKind, Invoice, InvoiceLine, InvoiceLinesRecorded, LineKind,
};
use slapledger_core::domain::money::{Amount, Currency, Exact};
use slapledger_core::domain::tax::Tax;

use super::account::{Account, AccountKind, Income};
use super::transaction::{About, Cause, Postings};
use super::{ClosedPeriod, FaultReason, Granted, Journal};
use crate::net::shares;

impl Journal {
    pub(super) fn lines_recorded(&mut self, event: &InvoiceLinesRecorded) {
        let parts = self.parts.entry(event.invoice.clone()).or_default();
        if event.part == 1 {
            *parts = SoldLines::default();
        }
        event.lines.iter().for_each(|line| parts.sell(line));
    }

    pub(super) fn finalised(&mut self, invoice: &Invoice, sequence: Sequence) -> Result<(), FaultReason> {
        let sold = self.parts.remove(&invoice.id).unwrap_or_else(|| {
            let mut sold = SoldLines::default();
            invoice.lines.iter().for_each(|line| sold.sell(line));
            sold
        });
        let mut postings = sold.without_tax(invoice);
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
        let CreditGranted { credit, seller, customer, currency, amount, description, kind, at, .. } = event;
        let (credit, seller, customer, currency) = (*credit, *seller, *customer, *currency);
        self.credits.insert(credit, Granted { seller, customer, currency, kind: *kind });
        let mut postings = Postings::default();
        postings.debit(source(*kind), *amount);
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
        let Granted { seller, customer, currency, kind } =
            *self.credits.get(credit).ok_or(FaultReason::UnknownCredit(*credit))?;
        let mut postings = Postings::default();
        postings.debit(Account::Prepaid(customer), *amount);
        postings.credit(source(kind), *amount);
        let cause = Cause::CreditWithdrawn { credit: *credit, reason: reason.clone() };
        self.post(About { at: *at, sequence, seller, currency, cause }, postings)
    }

    /// What was left of a credit: promotional credit did not cost that, and what was paid is earned.
    pub(super) fn expired(&mut self, event: &CreditExpired, sequence: Sequence) -> Result<(), FaultReason> {
        let CreditExpired { credit, amount, at } = event;
        let Granted { seller, customer, currency, kind } =
            *self.credits.get(credit).ok_or(FaultReason::UnknownCredit(*credit))?;
        let mut postings = Postings::default();
        postings.debit(Account::Prepaid(customer), *amount);
        let to = match kind {
            CreditKind::Paid => Account::Income(Income::Breakage),
            CreditKind::Promotional => Account::Promotions,
        };
        postings.credit(to, *amount);
        let cause = Cause::CreditExpired { credit: *credit };
        self.post(About { at: *at, sequence, seller, currency, cause }, postings)
    }

    /// Income and expenses that are known now and dated before an instant move to earnings, in every currency.
    pub(super) fn closed(&mut self, event: &AccountsClosed, sequence: Sequence) -> Result<(), FaultReason> {
        let AccountsClosed { seller, until, at } = *event;
        let from = self.periods_of(seller).last().map(|period| period.until);
        self.periods.push(ClosedPeriod { sequence, seller, from, until, at });
        let mut income: BTreeMap<Currency, BTreeMap<&Account, Exact>> = BTreeMap::new();
        let closed = self.all_from(0);
        for transaction in closed.filter(|known| known.about().seller == seller && known.about().at < until) {
            let balances = income.entry(transaction.about().currency).or_default();
            let postings = transaction.postings().iter();
            let is_closed = |kind| matches!(kind, AccountKind::Income | AccountKind::Expense);
            for posting in postings.filter(|posting| is_closed(posting.account.kind())) {
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

/// Where a credit comes from, and what is left of it goes back to.
fn source(kind: CreditKind) -> Account {
    match kind {
        CreditKind::Paid => Account::Clearing,
        CreditKind::Promotional => Account::Promotions,
    }
}

/// What lines of a document earn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct SoldLines {
    postings: Postings,
    /// Their amounts by tax and account: they may contain the tax.
    by_tax: BTreeMap<Tax, BTreeMap<Account, Amount>>,
}

impl SoldLines {
    /// What a line earns, at its exact price; what rounding added to it is income of its own.
    fn sell(&mut self, line: &InvoiceLine) {
        let income = Account::Income(income_of(line));
        let amounts = self.by_tax.entry(line.tax).or_default();
        let sum = amounts.entry(income.clone()).or_insert(line.amount.with_minor(0));
        *sum = sum.checked_add(line.amount).unwrap_or(*sum);
        self.postings.credit(income, Exact::from(line.amount).minus(line.residue));
        self.postings.credit(Account::Income(Income::Rounding), line.residue);
    }

    /// The postings without the tax that amounts contain: that of each category and rate is divided among the accounts.
    fn without_tax(self, invoice: &Invoice) -> Postings {
        let Self { mut postings, by_tax } = self;
        if invoice.price_tax.is_exclusive() {
            return postings;
        }
        for subtotal in &invoice.tax {
            let Some(amounts) = by_tax.get(&subtotal.tax) else { continue };
            let sums: Vec<Amount> = amounts.values().copied().collect();
            for (account, share) in amounts.keys().zip(shares(subtotal.amount, &sums)) {
                postings.debit(account.clone(), share);
            }
        }
        postings
    }
}

fn income_of(line: &InvoiceLine) -> Income {
    match &line.kind {
        LineKind::Recurring | LineKind::Advance => Income::Recurring,
        LineKind::Usage { resource } => Income::Usage(resource.clone()),
        LineKind::Percentage => Income::Percentage,
        LineKind::Minimum => Income::Minimum,
        LineKind::Adjustment => Income::Adjustments,
        LineKind::OneOff { .. } | LineKind::Correction { .. } => Income::OneOff,
        LineKind::Discount => Income::Discounts,
        LineKind::Maximum => Income::Maximum,
    }
}

fn close(balances: BTreeMap<&Account, Exact>) -> Postings {
    let mut postings = Postings::default();
    for (account, balance) in balances {
        postings.credit(account.clone(), balance);
        postings.debit(Account::Earnings, balance);
    }
    postings
}
