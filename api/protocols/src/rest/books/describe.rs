//! What is said of the routes of the books.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{AccountForm, JournalFormat, PeriodForm, StatementForm, TransactionForm, TrialBalanceForm};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

/// Up to when books are to be closed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PeriodWanted {
    /// The first day that stays open, where the seller is.
    pub(super) until: schema::Day,
    /// Whose books; the local user's, if it is not said.
    pub(super) seller: Option<schema::PartyId>,
}

fn of_seller(operation: Operation) -> Operation {
    operation
        .query::<schema::PartyId>("seller", "Whose books; the local user's, if it is not said")
        .problem(404)
}

fn of_book(operation: Operation) -> Operation {
    of_seller(operation).query::<schema::Currency>("currency", "In this currency alone")
}

fn at(operation: Operation) -> Operation {
    let description = "As all that is dated before it makes it; a day begins where the seller is";
    operation.query::<schema::BoundText>("at", description)
}

fn between(operation: Operation) -> Operation {
    operation
        .query::<schema::StartStop>("period", "Dated in it, instead of `from` and `to`; where the seller is")
        .query::<schema::BoundText>("from", "Dated at it or later; a day begins where the seller is")
        .query::<schema::BoundText>("to", "Dated before it")
}

pub(crate) fn journal(operation: Operation) -> Operation {
    of_book(between(operation))
        .called("showJournal", "books", "Balanced transactions, in the order of the events that caused them")
        .description(
            "With `format` hledger, ledger or beancount: all of them by date, as the text that program reads. A text that \
             does not begin at the beginning begins with the balances of `from`.",
        )
        .query::<JournalFormat>("format", "json, if it is not said")
        .lists::<TransactionForm>("A part of the journal, or all of it as a text")
        .or_text(200)
}

pub(crate) fn accounts(operation: Operation) -> Operation {
    of_book(at(operation))
        .called("listAccounts", "books", "The accounts that are used, with their balances")
        .lists::<AccountForm>("A part of the list")
}

pub(crate) fn statement(operation: Operation) -> Operation {
    of_book(at(between(operation)))
        .called("showStatement", "books", "What happened to an account")
        .description(
            "A debit is above zero, a credit below. With `at`: no more than the balance. `currency` may be left out while \
             the account is used in but one.",
        )
        .path::<schema::AccountName>("id", "Which account")
        .query::<schema::Limit>("limit", "How many items, at most; 100, if it is not said")
        .query::<schema::Cursor>("cursor", "The `next` of an earlier answer: the items after those")
        .reads::<StatementForm>("The statement, or a part of it")
}

pub(crate) fn trial_balance(operation: Operation) -> Operation {
    of_book(at(operation))
        .called("showTrialBalance", "books", "All accounts that are not empty; their sum is zero")
        .reads::<TrialBalanceForm>("The balances by currency")
}

pub(crate) fn periods(operation: Operation) -> Operation {
    of_seller(operation)
        .called("listAccountingPeriods", "books", "The periods that are closed, the oldest first")
        .lists::<PeriodForm>("A part of the list")
}

pub(crate) fn close(operation: Operation) -> Operation {
    operation
        .called("closeAccounts", "books", "Close the books up to the beginning of a day that is over")
        .description(
            "Income that is dated before it moves to `Equity:Earnings`, and nothing can be dated before it any more.",
        )
        .body::<PeriodWanted>(json!({"until": "2026-11-01"}))
        .writes::<PeriodForm>(201, "They are closed")
        .problem(404)
}
