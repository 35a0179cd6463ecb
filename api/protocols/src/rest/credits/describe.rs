//! What is said of the routes of prepaid credit and one-off charges.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use slapledger_core::domain::credit::CreditKind;

use super::{ChargeForm, CreditForm};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

/// What a customer paid before.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreditWanted {
    /// With whom; with the user, if it is not said.
    pub(super) seller: Option<schema::PartyId>,
    pub(super) customer: schema::PartyId,
    pub(super) currency: schema::Currency,
    /// Above zero.
    pub(super) amount: schema::Amount,
    pub(super) description: schema::LongText,
    /// Whether the customer paid for it; `paid`, if it is left out.
    pub(super) kind: Option<CreditKindWanted>,
    /// Lower ones pay first; 50, if it is left out.
    #[schemars(range(max = 100))]
    pub(super) priority: Option<u8>,
    /// From when on it pays nothing; never, if it is left out.
    pub(super) expires_at: Option<schema::Instant>,
}

/// Where a credit comes from.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CreditKindWanted {
    Paid,
    Promotional,
}

impl From<CreditKindWanted> for CreditKind {
    fn from(wanted: CreditKindWanted) -> Self {
        match wanted {
            CreditKindWanted::Paid => Self::Paid,
            CreditKindWanted::Promotional => Self::Promotional,
        }
    }
}

/// What is charged, or given.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChargeWanted {
    /// Who charges; the user, if it is not said.
    pub(super) seller: Option<schema::PartyId>,
    pub(super) customer: schema::PartyId,
    pub(super) currency: schema::Currency,
    /// Below zero, if it is given.
    pub(super) amount: schema::Amount,
    pub(super) description: schema::LongText,
}

/// Why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Withdrawal {
    pub(super) reason: schema::LongText,
}

pub(crate) fn credits(operation: Operation) -> Operation {
    operation
        .called("listCredits", "invoices", "Prepaid credits, the oldest first")
        .description("Credits pay by priority, then by expiry, then by age.")
        .query::<schema::PartyId>("customer", "Of this customer alone")
        .lists::<CreditForm>("A part of the list")
}

pub(crate) fn grant(operation: Operation) -> Operation {
    operation
        .called("grantCredit", "invoices", "Give a customer prepaid credit, which pays for the next invoices")
        .body::<CreditWanted>(json!({
            "customer": "PARTY-1", "currency": "EUR", "amount": "100.00", "description": "paid in advance",
        }))
        .writes::<CreditForm>(201, "It is granted")
        .location(201)
        .tagged(201)
        .problem(404)
}

pub(crate) fn credit(operation: Operation) -> Operation {
    operation
        .called("showCredit", "invoices", "A prepaid credit, and what is left of it")
        .path::<schema::CreditId>("id", "Which credit")
        .shows::<CreditForm>("The credit")
}

pub(crate) fn withdraw(operation: Operation) -> Operation {
    operation
        .called("withdrawCredit", "invoices", "Take back what is left of a prepaid credit")
        .path::<schema::CreditId>("id", "Which credit")
        .body::<Withdrawal>(json!({"reason": "paid back"}))
        .writes::<CreditForm>(200, "Nothing is left of it")
        .tagged(200)
}

pub(crate) fn charges(operation: Operation) -> Operation {
    operation
        .called("listCharges", "invoices", "What was charged or given by hand, the oldest first")
        .query::<schema::PartyId>("customer", "Of this customer alone")
        .lists::<ChargeForm>("A part of the list")
}

pub(crate) fn record(operation: Operation) -> Operation {
    operation
        .called("recordCharge", "invoices", "Charge or give something with the next invoice")
        .body::<ChargeWanted>(json!({
            "customer": "PARTY-1", "currency": "EUR", "amount": "-5.00", "description": "sorry for the outage",
        }))
        .writes::<ChargeForm>(201, "It is recorded")
        .location(201)
        .tagged(201)
        .problem(404)
}

pub(crate) fn charge(operation: Operation) -> Operation {
    operation
        .called("showCharge", "invoices", "A one-off charge, and the document that has it")
        .path::<schema::ChargeId>("id", "Which charge")
        .shows::<ChargeForm>("The charge")
}
