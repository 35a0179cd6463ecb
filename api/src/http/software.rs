//! Software releases as resources: where they are to be, and how much they are used.

pub(super) mod describe;

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::SoftwareRelease;
use slapledger_core::domain::time::Timestamp;
use slapledger_projections::catalogue::Release;

use super::openapi::schema;
use super::problem::Problem;
use super::query::{self, Query};
use crate::app::App;
use crate::slap::read;

/// A software release in a list.
#[derive(Serialize, JsonSchema)]
struct ReleaseItem {
    software_release: String,
    #[schemars(with = "schema::Instant")]
    first_seen: Timestamp,
    instances: u64,
    computers: Vec<String>,
}

impl ReleaseItem {
    fn of(release: &Release) -> Self {
        Self {
            software_release: release.release.to_string(),
            first_seen: release.first_seen,
            instances: release.instances,
            computers: release.supplies.iter().map(ToString::to_string).collect(),
        }
    }
}

/// `GET /v1/software`, by address.
pub(super) async fn software(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::read(&uri, &[])?;
    let (limit, after) = (query.limit()?, query.cursor::<SoftwareRelease>()?);
    let position = query.position(&app).await?;
    let page = read(&app, position, |view, at| {
        let page = view.catalogue.releases(after.as_ref().map(SoftwareRelease::as_str), limit);
        (page.items.into_iter().map(ReleaseItem::of).collect(), page.next, at)
    });
    let (items, next, sequence): (Vec<_>, _, _) = page.await?;
    Ok(query::list(items, next, sequence))
}
