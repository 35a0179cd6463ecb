//! Descriptions of the routes of top-ups and forecasts.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{ForecastForm, TopUpsForm};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

/// When more prepaid credit is requested.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TopUpWanted {
    /// With whom; with the user, if it is not said.
    pub(super) seller: Option<schema::PartyId>,
    pub(super) currency: schema::Currency,
    /// More is requested when the balance falls below this; never, if it is zero.
    pub(super) threshold: schema::Amount,
    /// How much is requested; above zero.
    pub(super) amount: schema::Amount,
}

pub(crate) fn set(operation: Operation) -> Operation {
    operation
        .called("setTopUp", "invoices", "Request more prepaid credit when a balance falls below a threshold")
        .description(
            "The request is the event TopUpRequested, once until the balance is at the threshold again.",
        )
        .path::<schema::PartyId>("id", "Which customer")
        .body::<TopUpWanted>(json!({"currency": "EUR", "threshold": "20.00", "amount": "100.00"}))
        .writes::<TopUpsForm>(200, "It is set")
        .problem(404)
}

pub(crate) fn show(operation: Operation) -> Operation {
    operation
        .called("showTopUp", "invoices", "When more prepaid credit is requested, and what was")
        .description("The requests are events; somebody grants credit, or nobody does.")
        .path::<schema::PartyId>("id", "Which customer")
        .shows::<TopUpsForm>("The top-ups, by seller and currency")
}

pub(crate) fn forecast(operation: Operation) -> Operation {
    operation
        .called("forecastCredit", "invoices", "When prepaid credit runs out; nothing is recorded")
        .description("It continues the charges of the month so far by day; the answer says what it assumes.")
        .path::<schema::PartyId>("id", "Which customer")
        .query::<schema::PartyId>("seller", "With whom; with the user, if it is not said")
        .query::<schema::PriceBookName>(
            "price_book",
            "By which prices; may be left out while there is but one price book",
        )
        .reads::<ForecastForm>("The forecast, and what it assumes")
        .problem(404)
}
