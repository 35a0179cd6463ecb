//! Software as resources: releases, where they are to be and how much they are used; and products, what people call them.

pub(super) mod describe;

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::Command;
use slapledger_core::domain::id::{ComputerId, PartyId, Reference, SoftwareRelease};
use slapledger_core::domain::product::PublishSoftwareRelease;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::ledger::Submission;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_projections::SlapViews;
use slapledger_projections::catalogue::{Product, Release};
use slapledger_usecases::caller::Caller;
use slapledger_usecases::reading::read;

use self::describe::Publication;
use super::openapi::schema::{self, List};
use super::query::{self, Query};
use crate::access::Authorised;

/// A software release in a list.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReleaseItem {
    software_release: String,
    #[schemars(with = "schema::Instant")]
    first_seen: Timestamp,
    instances: u64,
    computers: Vec<String>,
}

/// The software that somebody sees: of a publisher their own, with all who use it; of a provider what is on their
/// computers, with those who use it there. The rest is other people's, down to its address.
struct Seen<'a> {
    view: &'a SlapViews,
    caller: &'a Caller,
    /// All of which their own is told; none, if all there is may be seen.
    published: Option<BTreeSet<&'a SoftwareRelease>>,
    /// How many living instances of each release are on their computers.
    used: BTreeMap<&'a SoftwareRelease, u64>,
}

impl<'a> Seen<'a> {
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
        let seen = Seen::of(view, &ctx.caller);
        let after = after.map(SoftwareRelease::as_str);
        view.catalogue.releases(|release| seen.shows(release), after, limit).map(|release| seen.item(release))
    };
    Query::read(&uri, &[])?.page(&ctx, page).await
}

/// A software product: what people call a software, and its releases.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SoftwareProduct")]
pub(crate) struct ProductItem {
    #[schemars(with = "schema::Reference")]
    product: String,
    #[schemars(with = "schema::PartyId")]
    publisher: PartyId,
    /// The best first.
    software_releases: Vec<String>,
    #[schemars(with = "schema::Instant")]
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
    let (sent, publication) = json_body::read::<Publication>(request, json_body::MOST_BYTES).await?;
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
