//! Price books over REST: published as JSON or as the TOML of files, shown as JSON.
//!
//! 201 for a version that this request published (also when it is repeated under the same `Idempotency-Key`), 200 for one
//! that counted already.

pub(super) mod describe;
pub(super) mod overrides;
mod seen;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::price_book::{self, ChangeShown, PriceBookError};
use slapledger_billing::{PriceBookShown, Publication, PublishedBook, TouchedInvoice};
use slapledger_core::domain::id::{InvoiceId, PartyId, PriceBookName, Sequence};
use slapledger_core::domain::pricing::{PriceBook, PublishPriceBook, Rate};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::{Answer, Command};
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::collect;
use slapledger_kit::problem::Problem;
use slapledger_usecases::caller::Caller;

use super::log;
use super::openapi::schema::List;
use super::query::{self, Named, Query};
use super::usage::local;
use crate::access::Authorised;

/// The most bytes of the text of a price book; published, it has fewer still.
const MOST_BYTES: usize = 1024 * 1024;

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Published")]
pub(crate) struct PublishedForm {
    name: PriceBookName,
    version: u32,
    sequence: Sequence,
    /// Of a preview: what publishing it would do. Nothing is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<PublicationForm>,
}

/// What publishing a price book would do.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PublicationForm {
    /// The tag of the newest version, for `If-Match` when it is published; none, if it would be the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    /// The version that counts where this one would begin to count.
    #[serde(skip_serializing_if = "Option::is_none")]
    follows: Option<u32>,
    /// How it differs from that: settings, resources and rates.
    changes: Vec<ChangeShown>,
    /// The documents whose periods it takes effect in; the first hundred.
    invoiced: Vec<TouchedForm>,
    /// How many more there are.
    invoiced_left_out: u64,
}

/// A document in whose period a version takes effect.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TouchedForm {
    invoice: InvoiceId,
    payer: PartyId,
    start: Timestamp,
    stop: Timestamp,
}

impl PublicationForm {
    fn of(publication: Publication, etag: Option<String>) -> Self {
        let touched = |touched: TouchedInvoice| TouchedForm {
            invoice: touched.invoice,
            payer: touched.payer,
            start: touched.period.start,
            stop: touched.period.stop,
        };
        Self {
            etag,
            follows: publication.follows,
            changes: publication.difference.changes,
            invoiced: publication.invoiced.into_iter().map(touched).collect(),
            invoiced_left_out: publication.invoiced_left_out,
        }
    }
}

/// A parameter that is `true` or `false`; the latter, if it is left out.
fn flag(query: &Query, name: &str) -> Result<bool, Problem> {
    match query.text(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::field(name, "must be true or false")),
    }
}

/// `POST /v1/price-books`; with `preview=true` it tells what that would do, and records nothing.
pub(super) async fn publish(
    Authorised(ctx): Authorised,
    uri: Uri,
    request: Request,
) -> Result<HttpAnswer<PublishedForm>, Problem> {
    let query = Query::read(&uri, &["preview", "retroactive"])?;
    let (preview, retroactive) = (flag(&query, "preview")?, flag(&query, "retroactive")?);
    let (headers, body, book) = read_book(request).await?;
    if preview {
        let position = query.position(&ctx).await?;
        ctx.billing().reach(position).await?;
        return ctx.billing().read(|view, sequence| {
            let publication = view.billing.publication(&book);
            let (name, version) = (book.name.clone(), publication.version);
            let preview = Some(PublicationForm::of(publication, seen::tag(view, &name, &ctx.caller)?));
            Ok(HttpAnswer::ok(sequence, PublishedForm { name, version, sequence, preview }))
        });
    }
    let path: &[u8] = if retroactive { b"/v1/price-books?retroactive=true" } else { b"/v1/price-books" };
    let meta = query::meta(&ctx, local(&ctx), &headers, &[path, &body])?;
    let mine = meta.command;
    let name = book.name.clone();
    let command = Command::PublishPriceBook(PublishPriceBook { book, retroactive });
    let accepted = seen::publish(&ctx, (meta, &headers), (name, command)).await?;
    let Answer::PriceBook { name, version } = accepted.answer else {
        return Err(Problem::fault(&"a price book was answered otherwise"));
    };
    let find = |books: &slapledger_billing::BillingView| {
        let found = books.billing.price_book(name.as_str()).find(|published| published.version == version);
        found.map(|published| published.sequence)
    };
    let sequence = ctx.billing().read_at(accepted.sequence, |view, _| find(view)).await?;
    let sequence =
        sequence.ok_or_else(|| Problem::fault(&format!("{name} {version} is not in the billing view")))?;
    let store = Arc::clone(ctx.ledger().store());
    let recorded =
        tokio::task::spawn_blocking(move || log::events(&*store, BTreeSet::from([sequence]))).await;
    let recorded = recorded.map_err(|error| Problem::fault(&error))??;
    let by_this = recorded.get(&sequence).is_some_and(|event| event.meta.command == mine);
    let status = if by_this { StatusCode::CREATED } else { StatusCode::OK };
    let form = PublishedForm { name, version, sequence, preview: None };
    Ok(HttpAnswer::new(status, accepted.sequence, form))
}

/// The price book in the body of a request, and its headers and bytes.
pub(super) async fn read_book(request: Request) -> Result<(HeaderMap, Bytes, PriceBook), Problem> {
    let (parts, body) = request.into_parts();
    let media_type = collect::media_type(&parts.headers);
    let json = match media_type.as_deref() {
        Some("application/json") => true,
        Some("application/toml") => false,
        _ => return Err(Problem::unsupported_media_type("application/json or application/toml, in UTF-8")),
    };
    let body = collect::collect(&parts, body, MOST_BYTES).await?;
    let book = if json {
        price_book::parse_json(&body).map_err(wrong_book)?
    } else {
        let text = std::str::from_utf8(&body).map_err(|error| {
            Problem::bad_request(format!("the body is not UTF-8: see byte {}", error.valid_up_to()))
        })?;
        price_book::parse_toml(text).map_err(wrong_book)?
    };
    Ok((parts.headers, body, book))
}

/// What is wrong with a price book, and where.
fn wrong_book(error: PriceBookError) -> Problem {
    let detail = match (error.line, error.column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: {}", error.message),
        _ => error.message,
    };
    if error.field.is_empty() { Problem::bad_request(detail) } else { Problem::field(error.field, detail) }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A version of a price book, shown with the fields it is read from.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Shown")]
pub(crate) struct VersionShown {
    version: u32,
    sequence: Sequence,
    #[serde(flatten)]
    book: PriceBookShown,
    /// How many rates the reader may not see: those of other customers, and discounts that need a code.
    #[serde(skip_serializing_if = "is_zero")]
    rates_withheld: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    versions: Vec<VersionForm>,
}

#[derive(Serialize, JsonSchema)]
struct VersionForm {
    version: u32,
    sequence: Sequence,
    valid_from: Timestamp,
}

impl VersionForm {
    fn of(published: &PublishedBook<'_>) -> Self {
        let PublishedBook { version, book, sequence } = *published;
        Self { version, sequence, valid_from: book.valid_from }
    }
}

impl VersionShown {
    /// A version as a caller may see it: what a customer negotiated is for that customer, the seller and auditors; what needs
    /// a code, for the seller and auditors.
    fn of(published: PublishedBook<'_>, caller: &Caller, versions: Vec<VersionForm>) -> Self {
        let PublishedBook { version, book, sequence } = published;
        let seen = |rate: &Rate| {
            rate.matching.customer.is_none_or(|customer| caller.sees_prices_of(customer))
                && (rate.code().is_none() || caller.sees_codes())
        };
        let withheld = book.rates.iter().filter(|rate| !seen(rate));
        let rates_withheld = withheld.count();
        Self { version, sequence, book: PriceBookShown::seen(book, seen), rates_withheld, versions }
    }
}

/// `GET /v1/price-books`: the newest version of each.
pub(super) async fn list(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<VersionShown>>, Problem> {
    let query = Query::read(&uri, &[])?;
    let (limit, after) = (query.limit()?, query.text("cursor").map(str::to_owned));
    let position = query.position(&ctx).await?;
    ctx.billing().reach(position).await?;
    Ok(ctx.billing().read(|view, sequence| {
        let all = view.billing.price_books();
        let mut rest =
            all.filter(|published| after.as_deref().is_none_or(|after| published.book.name.as_str() > after));
        let items: Vec<_> = rest.by_ref().take(limit).collect();
        let more = rest.next().is_some();
        let next = items.last().filter(|_| more).map(|published| published.book.name.clone());
        let shown = |published: PublishedBook<'_>| VersionShown::of(published, &ctx.caller, Vec::new());
        let items = items.into_iter().map(shown).collect();
        query::list(items, next, sequence)
    }))
}

/// `GET /v1/price-books/{name}`: its newest version, or `?version=`, and what versions there are.
pub(super) async fn show(
    Authorised(ctx): Authorised,
    Named(name): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<VersionShown>, Problem> {
    let query = Query::read(&uri, &["version"])?;
    let version = query.text("version").map(|text| {
        let version: Option<u32> = text.parse().ok();
        version
            .filter(|version| *version > 0)
            .ok_or_else(|| Problem::field("version", "must be a number from 1"))
    });
    let version = version.transpose()?;
    let position = query.position(&ctx).await?;
    ctx.billing().reach(position).await?;
    ctx.billing().read(|view, sequence| {
        let all: Vec<_> = view.billing.price_book(&name).collect();
        let wanted = match version {
            None => all.last(),
            Some(version) => all.iter().find(|published| published.version == version),
        };
        let Some(wanted) = wanted.copied() else {
            let detail = match (version, all.is_empty()) {
                (Some(version), false) => format!("price book {name} has no version {version}"),
                _ => format!("there is no price book {name}"),
            };
            return Err(Problem::unknown(ProblemCode::PriceBookUnknown, detail));
        };
        let versions = all.iter().map(VersionForm::of).collect();
        Ok(HttpAnswer::resource(sequence, VersionShown::of(wanted, &ctx.caller, versions)))
    })
}
