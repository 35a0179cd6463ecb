//! Descriptions of the routes of discounts.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{DiscountForm, RedemptionForm};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

/// A code, and who is to have its discounts.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RedemptionWanted {
    pub(super) customer: schema::PartyId,
    pub(super) code: schema::LongText,
}

pub(crate) fn list(operation: Operation) -> Operation {
    operation
        .called("listDiscounts", "invoices", "The discounts of customers that are not over")
        .query::<schema::PartyId>("customer", "Of this customer alone")
        .lists::<DiscountForm>("A part of the list")
}

pub(crate) fn redeem(operation: Operation) -> Operation {
    operation
        .called("redeemDiscountCode", "invoices", "Give a customer the discounts of a code")
        .body::<RedemptionWanted>(json!({"customer": "PARTY-1", "code": "WELCOME"}))
        .writes::<RedemptionForm>(200, "The customer has the discounts")
        .tagged(200)
        .problem(404)
}
