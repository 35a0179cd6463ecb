//! The books over REST: the journal, its accounts, trial balances, and the periods that are closed.
//!
//! Everything is derived from the log, and is about one seller: the local user, if nobody is named. A debit is above zero,
//! a credit below it. Amounts are exact, so they may have more digits than their currency. A day means midnight where the
//! seller is; a balance at an instant is the sum of all that is dated before it.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};
use slapledger_billing::journal::{
    About, Account, AccountKind, Book, Cause, ClosedPeriod, ExportFormat, Move, Side, Transaction,
    TransactionFilter, TransactionId, TrialBalance, amount_text,
};
use slapledger_billing::{BillingView, Journal};
use slapledger_core::domain::Command;
use slapledger_core::domain::account::CloseAccounts;
use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::credit::CreditId;
use slapledger_core::domain::id::{InvoiceId, PartyId, Sequence};
use slapledger_core::domain::invoice::Bound;
use slapledger_core::domain::money::{Currency, Exact};
use slapledger_core::domain::time::{Date, Timestamp};
use slapledger_core::ledger::Submission;
use slapledger_kit::answer::{FileAnswer, HttpAnswer, ValueOrFile};
use slapledger_kit::code::ProblemCode;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::context::RequestContext;

use self::describe::PeriodWanted;
use super::openapi::schema::{self, List};
use super::period::{bound_in, period_instead_of_bounds};
use super::query::{self, Named, Query};
use super::usage::local;
use crate::access::Authorised;

/// Whose books are asked for, and in what.
#[derive(Clone, Copy)]
struct BooksQuery {
    seller: PartyId,
    currency: Option<Currency>,
    position: Sequence,
}

impl BooksQuery {
    async fn read(ctx: &RequestContext, query: &Query) -> Result<Self, Problem> {
        let seller = query.parse("seller")?.unwrap_or(FIRST_PARTY);
        let currency = query.parse("currency")?;
        Ok(Self { seller, currency, position: query.position(ctx).await? })
    }

    fn filter(&self) -> TransactionFilter {
        TransactionFilter {
            seller: Some(self.seller),
            currency: self.currency,
            ..TransactionFilter::default()
        }
    }

    /// Reads the books, where their days begin, and the sequence they reflect.
    async fn books<R: Send + 'static>(
        self,
        ctx: &Arc<RequestContext>,
        read: impl FnOnce(&Journal, &Calendar, Sequence) -> Result<R, Problem> + Send + 'static,
    ) -> Result<R, Problem> {
        let read = ctx.rate(self.position, move |_, view, sequence| {
            read(books(view)?, calendar(view, self.seller)?, sequence)
        });
        read.await
    }
}

/// The books; if what is recorded could not be posted, nobody is to rely on them.
fn books(view: &BillingView) -> Result<&Journal, Problem> {
    view.journal.check().map_err(|fault| Problem::fault(&fault))?;
    Ok(&view.journal)
}

fn calendar(view: &BillingView, seller: PartyId) -> Result<&Calendar, Problem> {
    let unknown = || Problem::unknown(ProblemCode::PartyUnknown, format!("there is no party {seller}"));
    view.journal.calendar_of(seller).ok_or_else(|| Problem { field: Some("seller".into()), ..unknown() })
}

/// A part of time: all of it, where nothing is said.
#[derive(Clone, Copy)]
struct BookSpan {
    from: Option<Bound>,
    to: Option<Bound>,
}

impl BookSpan {
    fn read(query: &Query) -> Result<Self, Problem> {
        if let Some(period) = period_instead_of_bounds(query)? {
            return Ok(Self { from: Some(period.start), to: Some(period.stop) });
        }
        Ok(Self { from: bound_in(query, "from")?, to: bound_in(query, "to")? })
    }

    fn within(self, calendar: &Calendar) -> Result<(Option<Timestamp>, Option<Timestamp>), Problem> {
        let [from, to] = [self.from, self.to].map(|bound| bound.map(|bound| bound.within(calendar)));
        if from.zip(to).is_some_and(|(from, to)| to < from) {
            return Err(Problem::field("to", "must not be before from"));
        }
        Ok((from, to))
    }
}

/// A transaction of the journal.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TransactionForm {
    #[schemars(with = "schema::TransactionId")]
    id: String,
    kind: Caused,
    /// When it counts: the instant of its event; of a closing, the last microsecond that is closed.
    at: Timestamp,
    /// The day of it, where the seller is.
    #[schemars(with = "schema::Day")]
    day: Option<Date>,
    seller: PartyId,
    currency: Currency,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<InvoiceId>,
    /// The document that a credit note is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    cites: Option<InvoiceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    credit: Option<CreditId>,
    /// They add up to zero.
    postings: Vec<PostingForm>,
    /// The event that caused it.
    sequence: Sequence,
}

/// What caused a transaction.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Caused {
    Invoice,
    CreditNote,
    CreditGranted,
    CreditWithdrawn,
    CreditExpired,
    Closing,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct PostingForm {
    #[schemars(with = "schema::AccountName")]
    account: Account,
    #[schemars(with = "schema::Decimal")]
    amount: String,
}

impl TransactionForm {
    fn of(journal: &Journal, transaction: &Transaction) -> Self {
        let About { at, sequence, seller, currency, ref cause } = *transaction.about();
        let (kind, cites, credit) = match cause {
            Cause::Invoice(_) => (Caused::Invoice, None, None),
            Cause::CreditNote { cites, .. } => (Caused::CreditNote, cites.clone(), None),
            Cause::CreditGranted { credit, .. } => (Caused::CreditGranted, None, Some(*credit)),
            Cause::CreditWithdrawn { credit, .. } => (Caused::CreditWithdrawn, None, Some(*credit)),
            Cause::CreditExpired { credit } => (Caused::CreditExpired, None, Some(*credit)),
            Cause::Closing { .. } => (Caused::Closing, None, None),
        };
        let postings = transaction.postings().iter().map(|posting| PostingForm {
            account: posting.account.clone(),
            amount: amount_text(posting.amount, currency),
        });
        Self {
            id: transaction.id().to_string(),
            kind,
            at,
            day: journal.day_of(seller, at),
            seller,
            currency,
            description: cause.to_string(),
            document: cause.document().cloned(),
            cites,
            credit,
            postings: postings.collect(),
            sequence,
        }
    }
}

/// What a journal is written as.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum JournalFormat {
    Json,
    Hledger,
    Ledger,
    Beancount,
}

impl JournalFormat {
    /// The format of a text; none of JSON.
    fn of_text(self) -> Option<ExportFormat> {
        match self {
            Self::Json => None,
            Self::Hledger => Some(ExportFormat::Hledger),
            Self::Ledger => Some(ExportFormat::Ledger),
            Self::Beancount => Some(ExportFormat::Beancount),
        }
    }
}

impl FromStr for JournalFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
        Self::deserialize(text).map_err(|_| "must be json, hledger, ledger or beancount")
    }
}

/// `GET /v1/journal`: transactions in the order of their events; or all of them as the text of another program.
pub(super) async fn journal(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<ValueOrFile<List<TransactionForm>>, Problem> {
    let query = Query::read(&uri, &["period", "from", "to", "seller", "currency", "format"])?;
    let span = BookSpan::read(&query)?;
    let format = query.parse("format")?.unwrap_or(JournalFormat::Json).of_text();
    if format.is_some()
        && let Some(name) = ["limit", "cursor"].into_iter().find(|name| query.text(name).is_some())
    {
        return Err(Problem::field(name, "goes with format json alone: a text is whole"));
    }
    let (limit, after) = (query.limit()?, query.cursor::<TransactionId>()?);
    let asked = BooksQuery::read(&ctx, &query).await?;
    let read = asked.books(&ctx, move |journal, calendar, sequence| {
        let (from, to) = span.within(calendar)?;
        if let Some(format) = format {
            let export = journal.export(asked.seller, asked.currency, (from, to));
            return Ok(ValueOrFile::File(FileAnswer::text(sequence, export.write(format))));
        }
        let page = journal.transactions(TransactionFilter { from, to, ..asked.filter() }, after, limit);
        let items = page.items.into_iter().map(|known| TransactionForm::of(journal, known)).collect();
        Ok(ValueOrFile::Value(query::list(items, page.next, sequence)))
    });
    read.await
}

/// An account, and what is in it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AccountForm {
    #[schemars(with = "schema::AccountName")]
    id: Account,
    seller: PartyId,
    currency: Currency,
    kind: AccountKind,
    /// The side on which it grows.
    normal_side: Side,
    #[schemars(with = "schema::Decimal")]
    balance: String,
}

impl AccountForm {
    fn of(Book { seller, currency }: Book, account: &Account, balance: Exact) -> Self {
        let (kind, normal_side) = (account.kind(), account.normal_side());
        Self {
            id: account.clone(),
            seller,
            currency,
            kind,
            normal_side,
            balance: amount_text(balance, currency),
        }
    }
}

/// A place in the list of accounts.
struct AccountPlace {
    currency: Currency,
    account: Account,
}

impl fmt::Display for AccountPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.currency, self.account)
    }
}

impl FromStr for AccountPlace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (currency, account) = text.split_once('.').ok_or(())?;
        let account = account.parse().map_err(|_| ())?;
        Ok(Self { currency: currency.parse().map_err(|_| ())?, account })
    }
}

/// `GET /v1/accounts`: all that were ever used, by currency, in the order of a balance sheet.
pub(super) async fn accounts(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<AccountForm>>, Problem> {
    let query = Query::read(&uri, &["at", "seller", "currency"])?;
    let at = bound_in(&query, "at")?;
    let (limit, after) = (query.limit()?, query.cursor::<AccountPlace>()?);
    let asked = BooksQuery::read(&ctx, &query).await?;
    let read = asked.books(&ctx, move |journal, calendar, sequence| {
        let to = at.map(|at| at.within(calendar));
        let accounts = journal.accounts(TransactionFilter { to, ..asked.filter() });
        let is_seen = |book: &Book, account: &Account| {
            after.as_ref().is_some_and(|after| (book.currency, account) <= (after.currency, &after.account))
        };
        let mut rest = accounts.into_iter().skip_while(|((book, account), _)| is_seen(book, account));
        let items: Vec<_> = rest
            .by_ref()
            .take(limit)
            .map(|((book, account), balance)| AccountForm::of(book, account, balance))
            .collect();
        let last =
            items.last().map(|last| AccountPlace { currency: last.currency, account: last.id.clone() });
        let next = last.filter(|_| rest.next().is_some());
        Ok(query::list(items, next, sequence))
    });
    read.await
}

/// What happened to an account in a period.
#[derive(Serialize, JsonSchema)]
pub(crate) struct StatementForm {
    #[schemars(with = "schema::AccountName")]
    id: Account,
    seller: PartyId,
    currency: Currency,
    kind: AccountKind,
    /// The side on which it grows.
    normal_side: Side,
    /// The first instant of the period; null, if it is from the first event on.
    from: Option<Timestamp>,
    /// The first instant after the period; null, if it is up to the last event.
    to: Option<Timestamp>,
    /// What was in it before.
    #[schemars(with = "schema::Decimal")]
    opening: String,
    /// What is in it afterwards; opening and all items come to it.
    #[schemars(with = "schema::Decimal")]
    closing: String,
    /// By date, and of one date in the order of events.
    items: Vec<MoveForm>,
    /// What to ask for as `cursor` for those after them; none, if there are no more.
    next: Option<String>,
    /// The sequence that the statement reflects.
    sequence: Sequence,
}

#[derive(Serialize, JsonSchema)]
struct MoveForm {
    #[schemars(with = "schema::TransactionId")]
    transaction: String,
    at: Timestamp,
    /// The day of it, where the seller is.
    #[schemars(with = "schema::Day")]
    day: Option<Date>,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<InvoiceId>,
    #[schemars(with = "schema::Decimal")]
    amount: String,
    /// What is in the account with it.
    #[schemars(with = "schema::Decimal")]
    balance: String,
}

impl MoveForm {
    fn of(journal: &Journal, known: &Move<'_>) -> Self {
        let About { at, seller, currency, ref cause, .. } = *known.transaction.about();
        Self {
            transaction: known.transaction.id().to_string(),
            at,
            day: journal.day_of(seller, at),
            description: cause.to_string(),
            document: cause.document().cloned(),
            amount: amount_text(known.amount, currency),
            balance: amount_text(known.balance, currency),
        }
    }
}

/// `GET /v1/accounts/{id}`: the statement of an account, for a period or, with `at`, of no more than a balance.
pub(super) async fn statement(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<StatementForm>, Problem> {
    let query = Query::read(&uri, &["period", "from", "to", "at", "seller", "currency"])?;
    let unknown = "there are such as Assets:Receivable:PARTY-2 and Income:Recurring";
    let unknown = || Problem::not_found(format!("there is no account {id}; {unknown}"));
    let account: Account = id.parse().map_err(|_| unknown())?;
    let mut span = BookSpan::read(&query)?;
    if let Some(at) = bound_in(&query, "at")? {
        if span.from.or(span.to).is_some() {
            return Err(Problem::field(
                "at",
                "cannot be combined with `period`, `from` or `to`; leave it out, or them",
            ));
        }
        span = BookSpan { from: Some(at), to: Some(at) };
    }
    let (limit, after) = (query.limit()?, query.cursor::<TransactionId>()?);
    let asked = BooksQuery::read(&ctx, &query).await?;
    let read = asked.books(&ctx, move |journal, calendar, sequence| {
        let (from, to) = span.within(calendar)?;
        let book = Book { seller: asked.seller, currency: currency_of(journal, &asked, &account)? };
        let statement = journal.statement((book, &account), (from, to), after, limit);
        let form = StatementForm {
            id: account.clone(),
            seller: book.seller,
            currency: book.currency,
            kind: account.kind(),
            normal_side: account.normal_side(),
            from,
            to,
            opening: amount_text(statement.opening, book.currency),
            closing: amount_text(statement.closing, book.currency),
            items: statement.moves.items.iter().map(|known| MoveForm::of(journal, known)).collect(),
            next: statement.moves.next.map(|next| next.to_string()),
            sequence,
        };
        Ok(HttpAnswer::ok(sequence, form))
    });
    read.await
}

/// The currency that is asked for, or the only one the account is used in.
fn currency_of(journal: &Journal, asked: &BooksQuery, account: &Account) -> Result<Currency, Problem> {
    let seller = asked.seller;
    let unknown = || Problem::not_found(format!("there is no account {account} in the books of {seller}"));
    let used = journal.currencies_of(seller, account);
    match asked.currency {
        Some(currency) if used.contains(&currency) => Ok(currency),
        Some(currency) => Err(Problem::not_found(format!(
            "there is no account {account} in {currency} in the books of {seller}"
        ))),
        None if used.len() > 1 => {
            let codes: Vec<&str> = used.iter().map(Currency::code).collect();
            let rule = format!("must be said: the account is used in {}", codes.join(", "));
            Err(Problem::field("currency", rule))
        }
        None => used.into_iter().next().ok_or_else(unknown),
    }
}

/// All accounts that are not empty, at an instant.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TrialBalanceForm {
    seller: PartyId,
    /// All that is dated before it counts; null, if all there is does.
    at: Option<Timestamp>,
    /// One for each currency.
    books: Vec<BookForm>,
    sequence: Sequence,
}

#[derive(Serialize, JsonSchema)]
struct BookForm {
    currency: Currency,
    accounts: Vec<BalanceForm>,
    /// The sum of what is above zero.
    #[schemars(with = "schema::Decimal")]
    debits: String,
    /// The sum of what is below zero, without the sign; always the same as the debits.
    #[schemars(with = "schema::Decimal")]
    credits: String,
}

#[derive(Serialize, JsonSchema)]
struct BalanceForm {
    #[schemars(with = "schema::AccountName")]
    account: Account,
    kind: AccountKind,
    #[schemars(with = "schema::Decimal")]
    balance: String,
}

impl BookForm {
    fn of(trial: TrialBalance<'_>) -> Self {
        let currency = trial.book.currency;
        let balances = trial.balances.into_iter().map(|(account, balance)| BalanceForm {
            account: account.clone(),
            kind: account.kind(),
            balance: amount_text(balance, currency),
        });
        Self {
            currency,
            accounts: balances.collect(),
            debits: amount_text(trial.debits, currency),
            credits: amount_text(trial.credits, currency),
        }
    }
}

/// `GET /v1/trial-balance`.
pub(super) async fn trial_balance(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<TrialBalanceForm>, Problem> {
    let query = Query::read(&uri, &["at", "seller", "currency"])?;
    let at = bound_in(&query, "at")?;
    let asked = BooksQuery::read(&ctx, &query).await?;
    let read = asked.books(&ctx, move |journal, calendar, sequence| {
        let at = at.map(|at| at.within(calendar));
        let trials = journal.trial_balances(TransactionFilter { to: at, ..asked.filter() });
        let books = trials.into_iter().map(BookForm::of).collect();
        let form = TrialBalanceForm { seller: asked.seller, at, books, sequence };
        Ok(HttpAnswer::ok(sequence, form))
    });
    read.await
}

/// A period of a seller's books that is closed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PeriodForm {
    seller: PartyId,
    /// Its first instant; null, if nothing was closed before.
    from: Option<Timestamp>,
    /// The first instant after it.
    until: Timestamp,
    closed_at: Timestamp,
    /// What it earned: income that moved to `Equity:Earnings`.
    earnings: Vec<EarningsForm>,
    sequence: Sequence,
}

#[derive(Serialize, JsonSchema)]
struct EarningsForm {
    currency: Currency,
    #[schemars(with = "schema::Decimal")]
    amount: String,
}

impl PeriodForm {
    fn of(journal: &Journal, period: &ClosedPeriod) -> Self {
        let &ClosedPeriod { sequence, seller, from, until, at: closed_at } = period;
        let earnings = journal.caused_by(sequence).map(|transaction| {
            let currency = transaction.about().currency;
            let credited = transaction.amount_in(&Account::Earnings).unwrap_or_default();
            EarningsForm { currency, amount: amount_text(Exact::ZERO.minus(credited), currency) }
        });
        Self { seller, from, until, closed_at, earnings: earnings.collect(), sequence }
    }
}

/// `GET /v1/accounting-periods`: those that are closed, the oldest first.
pub(super) async fn periods(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<PeriodForm>>, Problem> {
    let query = Query::read(&uri, &["seller"])?;
    let (limit, after) = (query.limit()?, query.cursor::<u64>()?.map_or(Sequence::ZERO, Sequence));
    let asked = BooksQuery::read(&ctx, &query).await?;
    let read = asked.books(&ctx, move |journal, _, sequence| {
        let mut rest = journal.periods_of(asked.seller).filter(|period| period.sequence > after);
        let items: Vec<_> = rest.by_ref().take(limit).map(|period| PeriodForm::of(journal, period)).collect();
        let next = items.last().map(|last| last.sequence).filter(|_| rest.next().is_some());
        Ok(query::list(items, next, sequence))
    });
    read.await
}

/// `POST /v1/accounting-periods`: closes the books of a seller up to the beginning of a day.
pub(super) async fn close(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<PeriodForm>, Problem> {
    let (sent, wanted) = json_body::read::<PeriodWanted>(request, json_body::MOST_BYTES).await?;
    let until = wanted.until.0;
    let seller = wanted.seller.map_or(FIRST_PARTY, Into::into);
    let head = ctx.ledger().head().last;
    let read = ctx.billing().read_at(head, |view, _| calendar(view, seller).map(|days| days.start_of(until)));
    let until = read.await??;
    let meta = query::meta(&ctx, local(&ctx), &sent.headers, &sent.content())?;
    let command = Command::CloseAccounts(CloseAccounts { seller, until });
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let read = ctx.billing().read_at(accepted.sequence, |view, sequence| {
        let journal = books(view)?;
        let closed = journal.periods_of(seller).find(|period| period.until == until);
        let closed =
            closed.ok_or_else(|| Problem::fault(&"books were closed, and the journal has no such period"))?;
        Ok(HttpAnswer::new(StatusCode::CREATED, sequence, PeriodForm::of(journal, closed)))
    });
    read.await?
}
