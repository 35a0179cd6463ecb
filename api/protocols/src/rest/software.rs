//! Software as resources: releases, where they are to be and how much they are used; and products, what people call them.

pub(super) mod describe;

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::Command;
use slapledger_core::domain::id::{ComputerId, PartyId, Reference, Sequence, SoftwareRelease};
use slapledger_core::domain::product::PublishSoftwareRelease;
use slapledger_core::domain::software_schema::{MOST_SCHEMA_BYTES, SupplySoftwareSchema};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::ledger::Submission;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_projections::SlapViews;
use slapledger_projections::catalogue::{Product, Release};
use slapledger_usecases::caller::Caller;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::reading::read;

use self::describe::{ReleasePublication, SchemaSupply};
use super::openapi::schema::{self, List};
use super::query::{self, Query};
use crate::access::Authorised;

/// The longest body that describes a release: written anew, it may be shorter.
const MOST_SCHEMA_BODY: usize = 4 * MOST_SCHEMA_BYTES;

/// A software release in a list.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReleaseItem {
    software_release: String,
    first_seen: Timestamp,
    instances: u64,
    computers: Vec<String>,
}

/// The software that somebody sees: of a publisher their own, with all who use it; of a provider what is on their
/// computers, with those who use it there. The rest is other people's, down to its address.
struct VisibleSoftware<'a> {
    view: &'a SlapViews,
    caller: &'a Caller,
    /// All of which their own is told; none, if all there is may be seen.
    published: Option<BTreeSet<&'a SoftwareRelease>>,
    /// How many living instances of each release are on their computers.
    used: BTreeMap<&'a SoftwareRelease, u64>,
}

impl<'a> VisibleSoftware<'a> {
    fn of(view: &'a SlapViews, caller: &'a Caller) -> Self {
        let mut seen = Self { view, caller, published: None, used: BTreeMap::new() };
        if caller.reaches_all() {
            return seen;
        }
        seen.published =
            Some(caller.publisher().map(|party| view.catalogue.published_by(party)).unwrap_or_default());
        for instance in view.instances.iter().filter(|known| known.lives()) {
            let place = instance.allocation.as_ref();
            if place.is_some_and(|place| seen.has(&place.computer)) {
                *seen.used.entry(&instance.release).or_default() += 1;
            }
        }
        seen
    }

    /// Whether a computer is theirs.
    fn has(&self, computer: &ComputerId) -> bool {
        self.caller.provides()
            && self
                .view
                .inventory
                .computer(computer.as_str())
                .is_some_and(|known| self.caller.sees_computer(known))
    }

    fn is_all(&self, release: &Release) -> bool {
        self.published.as_ref().is_none_or(|published| published.contains(&release.release))
    }

    fn shows(&self, release: &Release) -> bool {
        self.is_all(release)
            || self.used.contains_key(&release.release)
            || release.supplies.iter().any(|computer| self.has(computer))
    }

    fn item(&self, release: &Release) -> ReleaseItem {
        let all = self.published.is_none();
        let computers = release.supplies.iter().filter(|computer| all || self.has(computer));
        ReleaseItem {
            software_release: release.release.to_string(),
            first_seen: release.first_seen,
            instances: if self.is_all(release) {
                release.instances
            } else {
                self.used.get(&release.release).copied().unwrap_or_default()
            },
            computers: computers.map(ToString::to_string).collect(),
        }
    }
}

/// `GET /v1/software`, by address.
pub(super) async fn software(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<ReleaseItem>>, Problem> {
    let page = |view: &SlapViews, after: Option<&SoftwareRelease>, limit| {
        let seen = VisibleSoftware::of(view, &ctx.caller);
        let after = after.map(SoftwareRelease::as_str);
        view.catalogue.releases(|release| seen.shows(release), after, limit).map(|release| seen.item(release))
    };
    Query::read(&uri, &[])?.page(&ctx, page).await
}

/// How the parameters of a release are described.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SoftwareSchema")]
pub(crate) struct SchemaForm {
    #[schemars(with = "schema::SoftwareRelease")]
    software_release: SoftwareRelease,
    /// The JSON schema, or the `software.cfg.json` that has it.
    #[schemars(with = "schema::AnyObject")]
    schema: serde_json::Value,
    sequence: Sequence,
}

fn no_schema(release: &SoftwareRelease) -> Problem {
    Problem::unknown(ProblemCode::SchemaUnknown, format!("{release} has no schema"))
}

/// The schema of a release as it is at a sequence or later.
async fn schema_at(
    ctx: &RequestContext,
    release: SoftwareRelease,
    min: Sequence,
) -> Result<(SchemaForm, Sequence), Problem> {
    let find = |view: &SlapViews, at| {
        let (text, by) = view.catalogue.schema(release.as_str())?;
        Some((serde_json::from_str(text), by, at))
    };
    let (schema, sequence, at) = read(ctx, min, find).await?.ok_or_else(|| no_schema(&release))?;
    let schema = schema.map_err(|error: serde_json::Error| Problem::fault(&error))?;
    Ok((SchemaForm { software_release: release, schema, sequence }, at))
}

/// `GET /v1/software-schemas?software_release=`.
pub(super) async fn schema(Authorised(ctx): Authorised, uri: Uri) -> Result<HttpAnswer<SchemaForm>, Problem> {
    let query = Query::read(&uri, &["software_release"])?;
    let release: SoftwareRelease = query.required("software_release")?;
    let position = query.position(&ctx).await?;
    let (form, at) = schema_at(&ctx, release, position).await?;
    Ok(HttpAnswer::resource(at, form))
}

/// `PUT /v1/software-schemas`: the parameters of a release are described so from now on.
pub(super) async fn supply_schema(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<SchemaForm>, Problem> {
    let (sent, wanted) = json_body::read::<SchemaSupply>(request, MOST_SCHEMA_BODY).await?;
    let release: SoftwareRelease = wanted.software_release.into();
    let schema = serde_json::to_string(&wanted.schema).map_err(|error| Problem::fault(&error))?;
    let meta = query::meta(&ctx, ctx.caller.actor(), &sent.headers, &sent.content())?;
    let supplier = ctx.caller.party()?;
    let command = SupplySoftwareSchema { release: release.clone(), schema: schema.into(), supplier };
    let command = Command::SupplySoftwareSchema(command);
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let (form, at) = schema_at(&ctx, release, accepted.sequence).await?;
    Ok(HttpAnswer::tagged(StatusCode::OK, at, form))
}

/// A software product: what people call a software, and its releases.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SoftwareProduct")]
pub(crate) struct ProductItem {
    #[schemars(with = "schema::Reference")]
    product: String,
    publisher: PartyId,
    /// The best first.
    software_releases: Vec<String>,
    published_at: Timestamp,
}

impl ProductItem {
    fn of(product: &Product) -> Self {
        Self {
            product: product.product.to_string(),
            publisher: product.publisher,
            software_releases: product.releases.iter().map(ToString::to_string).collect(),
            published_at: product.published_at,
        }
    }
}

/// `GET /v1/products`, by name.
pub(super) async fn products(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<ProductItem>>, Problem> {
    let page = |view: &SlapViews, after: Option<&Reference>, limit| {
        view.catalogue.products(after.map(Reference::as_str), limit).map(ProductItem::of)
    };
    Query::read(&uri, &[])?.page(&ctx, page).await
}

/// `POST /v1/products`: a release becomes the best one of a product.
pub(super) async fn publish(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<ProductItem>, Problem> {
    let (sent, publication) = json_body::read::<ReleasePublication>(request, json_body::MOST_BYTES).await?;
    let product: Reference = publication.product.into();
    let release = publication.software_release.into();
    let meta = query::meta(&ctx, ctx.caller.actor(), &sent.headers, &sent.content())?;
    let command =
        PublishSoftwareRelease { product: product.clone(), release, publisher: ctx.caller.party()? };
    let command = Command::PublishSoftwareRelease(command);
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let find = |view: &SlapViews, at| Some((ProductItem::of(view.catalogue.product(product.as_str())?), at));
    let found = read(&ctx, accepted.sequence, find).await?;
    let (item, sequence) =
        found.ok_or_else(|| Problem::fault(&"a product was published and is not there"))?;
    Ok(HttpAnswer::tagged(StatusCode::OK, sequence, item))
}
