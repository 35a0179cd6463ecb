//! Price books over REST: published as JSON or as the TOML of files, shown as JSON.
//!
//! 201 for a version that this request published (also when it is repeated under the same `Idempotency-Key`), 200 for one
//! that counted already.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::price_book::{self, PriceBookError};
use slapledger_billing::{PriceBookForm, PublishedBook};
use slapledger_core::domain::id::{PriceBookName, Sequence};
use slapledger_core::domain::pricing::{PriceBook, PublishPriceBook};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::collect;
use slapledger_kit::problem::Problem;

use super::log;
use super::openapi::schema::{self, List};
use super::query::{self, Named, Query};
use super::usage::local;
use crate::access::Authorised;

/// The most bytes of the text of a price book; published, it has fewer still.
const MOST_BYTES: usize = 1024 * 1024;

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Published")]
pub(crate) struct PublishedForm {
    #[schemars(with = "schema::PriceBookName")]
    name: PriceBookName,
    version: u32,
    #[schemars(with = "schema::Sequence")]
    sequence: Sequence,
}

/// `POST /v1/price-books`.
pub(super) async fn publish(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<PublishedForm>, Problem> {
    let (headers, body, book) = read_book(request).await?;
    let meta = query::meta(&ctx, local(&ctx), &headers, &[b"/v1/price-books", &body])?;
    let mine = meta.command;
    let command = Command::PublishPriceBook(PublishPriceBook { book });
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
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
    Ok(HttpAnswer::new(status, accepted.sequence, PublishedForm { name, version, sequence }))
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

/// A version of a price book, shown with the fields it is read from.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Shown")]
pub(crate) struct VersionShown {
    version: u32,
    #[schemars(with = "schema::Sequence")]
    sequence: Sequence,
    #[serde(flatten)]
    #[schemars(with = "schema::PriceBookShown")]
    book: PriceBookForm,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    versions: Vec<VersionForm>,
}

#[derive(Serialize, JsonSchema)]
struct VersionForm {
    version: u32,
    #[schemars(with = "schema::Sequence")]
    sequence: Sequence,
    #[schemars(with = "schema::Instant")]
    valid_from: Timestamp,
}

impl VersionShown {
    fn of(published: PublishedBook<'_>, versions: Vec<VersionForm>) -> Self {
        let PublishedBook { version, book, sequence } = published;
        Self { version, sequence, book: PriceBookForm::of(book), versions }
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
        let items = items.into_iter().map(|published| VersionShown::of(published, Vec::new())).collect();
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
        let versions = all.iter().map(|published| {
            let PublishedBook { version, book, sequence } = *published;
            VersionForm { version, sequence, valid_from: book.valid_from }
        });
        Ok(HttpAnswer::resource(sequence, VersionShown::of(wanted, versions.collect())))
    })
}
