//! `GET /v1/invoice-drafts`: what would be invoiced, computed when it is asked for. Nothing is recorded.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::BillingView;
use slapledger_billing::preview::{Preview, Previewed};
use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::id::{PartyId, PriceBookName};
use slapledger_core::domain::invoice::{DocumentKind, Invoice, TaxSubtotal};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::pricing::PriceTax;
use slapledger_core::domain::time::Period;
use slapledger_core::keyring::KeyRing;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::invoicing::open_name;

use super::invoices::LineForm;
use super::invoices::runs::WarningForm;
use super::openapi::schema::List;
use super::period::period;
use super::query::{self, Query};
use crate::access::Authorised;

/// What a customer would be invoiced now.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LiveDraft {
    payer: PartyId,
    name: String,
    /// The document; none, if there is nothing to pay or it cannot be invoiced.
    draft: Option<DraftForm>,
    /// What it does not charge.
    warnings: Vec<WarningForm>,
}

/// A document that has neither number nor run.
#[derive(Serialize, JsonSchema)]
struct DraftForm {
    document: DocumentKind,
    currency: Currency,
    period: Period,
    /// Whether the amounts of the lines contain tax; they do not, if it is left out.
    #[serde(skip_serializing_if = "PriceTax::is_exclusive")]
    price_tax: PriceTax,
    lines: Vec<LineForm>,
    net: Amount,
    tax: Vec<TaxSubtotal>,
    total: Amount,
}

impl DraftForm {
    fn of(invoice: Invoice, calendar: Option<&Calendar>) -> Self {
        let lines = LineForm::all(&invoice, calendar);
        let Invoice { document, currency, period, price_tax, net, tax, total, .. } = invoice;
        Self { document, currency, period, price_tax, lines, net, tax, total }
    }
}

impl LiveDraft {
    fn of(view: &BillingView, keys: &KeyRing, told: Previewed) -> Self {
        let Previewed { payer, draft, warnings } = told;
        let name = open_name(keys, view.billing.party(payer).map(|party| &party.name));
        let draft = draft.map(|draft| DraftForm::of(draft, view.billing.calendar_of(payer)));
        Self { payer, name, draft, warnings: warnings.into_iter().map(WarningForm::of).collect() }
    }
}

/// `GET /v1/invoice-drafts`: by payer, those who would have a document or of whom there is something to be warned.
pub(super) async fn list(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<LiveDraft>>, Problem> {
    let query = Query::read(&uri, &["period", "payer", "price_book"])?;
    let period = period(&query)?;
    let payer: Option<PartyId> = query.parse("payer")?;
    let named: Option<PriceBookName> = query.parse("price_book")?;
    let (limit, after) = (query.limit()?, query.cursor::<PartyId>()?);
    let position = query.position(&ctx).await?;
    // Whoever sees their own alone asks about nobody else.
    let own = if ctx.caller.reaches_all() { None } else { Some(ctx.caller.party()?) };
    let is_hidden = own.is_some_and(|own| payer.is_some_and(|payer| payer != own));
    let payer = own.or(payer);
    ctx.rate(position, move |ctx, view, sequence| {
        if is_hidden {
            return Ok(query::list(Vec::new(), None::<PartyId>, sequence));
        }
        let price_book = book(view, named)?;
        let asked = Preview {
            seller: FIRST_PARTY,
            payer,
            period,
            price_book: &price_book,
            as_of: sequence,
            at: ctx.now(),
        };
        let page = view.preview(asked, after, limit);
        let items = page.items.into_iter().map(|told| LiveDraft::of(view, ctx.keys(), told));
        Ok(query::list(items.collect(), page.next, sequence))
    })
    .await
}

/// The price book that is named, or the one there is.
pub(super) fn book(view: &BillingView, named: Option<PriceBookName>) -> Result<PriceBookName, Problem> {
    let mut all = view.billing.price_books().map(|published| &published.book.name);
    let found = match (&named, all.next(), all.next()) {
        (Some(named), ..) => view.billing.price_book(named.as_str()).next().map(|first| &first.book.name),
        (None, only, None) => only,
        (None, ..) => {
            return Err(Problem::field("price_book", "must be named: there are several price books"));
        }
    };
    found.cloned().ok_or_else(|| {
        let detail = named.map_or_else(
            || "there is no price book; publish one first".to_owned(),
            |named| format!("there is no price book {named}"),
        );
        Problem {
            field: Some("price_book".into()),
            ..Problem::unknown(ProblemCode::PriceBookUnknown, detail)
        }
    })
}
